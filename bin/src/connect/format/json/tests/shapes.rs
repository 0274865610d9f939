//! Records of random shapes: rows, rejects and places are those of the records one by one.

use arrow_schema::{DataType, Field, TimeUnit};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use thalweg_operators::kernels::Kernels;

use super::super::{JsonOptions, TimestampFormat};
use super::{Outcome, Reading, field, list_of, map_of, row_of};
use crate::connect::bad_input::{BadInput, OnError};

/// A field of each record of a frame.
struct Slot {
    key: String,
    spaces: [String; 4],
    /// Which values it has, as [`value`] numbers them.
    kind: usize,
}

fn columns() -> Vec<Field> {
    let inner = row_of(vec![field("x", DataType::Utf8View), field("y", DataType::Int32)]);
    vec![
        field("i", DataType::Int64),
        field("s", DataType::Utf8View),
        field("d", DataType::Float64),
        field("t", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("small", DataType::Int8),
        field("f", DataType::Float32),
        field("dec", DataType::Decimal128(12, 3)),
        field("day", DataType::Date32),
        field("z", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))),
        field("b", DataType::Boolean),
        field("at", DataType::Time32(TimeUnit::Second)),
        field("bytes", DataType::BinaryView),
        field("list", list_of(DataType::Int64)),
        field("row", inner),
        field("map", map_of(DataType::Utf8View)),
        Field::new("must", DataType::Int16, false),
    ]
}

const KEYS: [&str; 22] = [
    "i",
    "s",
    "d",
    "t",
    "small",
    "f",
    "dec",
    "day",
    "z",
    "b",
    "at",
    "bytes",
    "list",
    "row",
    "map",
    "must",
    "other",
    "\\u0073",
    "é",
    "a key that is a great deal longer than what is compared together with a value, at once",
    "",
    "i",
];

fn one<'a>(rng: &mut StdRng, of: &[&'a str]) -> &'a str {
    of[rng.random_range(0..of.len())]
}

/// A value of one of so many kinds; for some keys most of them fit.
fn value(rng: &mut StdRng, kind: usize) -> String {
    match kind {
        11 => {
            let (p, q) = (value(rng, 0), value(rng, 2));
            let more = if rng.random_range(0..20) == 0 { ",\"s\":[{}]" } else { "" };
            format!("{{\"p\":{p}, \"i\":{{\"r\":{q}}}{more}}}")
        }
        0 => rng.random_range(-99..9999).to_string(),
        1 => format!("{:.2}", rng.random_range(-100.0..100000.0)),
        2 => {
            let length = rng.random_range(0..20) * rng.random_range(1..8);
            format!("\"{}\"", "abcdefgh ijkléop{}[],:".chars().cycle().take(length).collect::<String>())
        }
        3 => format!(
            "\"2023-11-{:02}{}22:13:{:02}.{:03}\"",
            rng.random_range(1..32),
            one(rng, &[" ", " ", " ", "T"]),
            rng.random_range(0..61),
            rng.random_range(0..1000)
        ),
        4 => format!("\"2024-02-{:02}\"", rng.random_range(1..31)),
        5 => one(
            rng,
            &["\"2023-11-14 22:13:20Z\"", "\"2023-11-14T22:13:20.123456789Z\"", "\"2023-11-14 22:13:20+01:00\""],
        )
        .to_owned(),
        6 => one(rng, &["true", "false", "null"]).to_owned(),
        7 => {
            one(rng, &["[]", "[1,2]", "{\"x\":\"y\",\"y\":7}", "{ \"k\" : \"v\" , \"k\" : 1 }", "[[[{}]]]"]).to_owned()
        }
        8 => one(
            rng,
            &["\"a\\n\\u00e9\"", "\"\\\"\"", "1e3", "-0.0e-2", "\" 12 \"", "\"12\"", "\"12:30:00\"", "\"aGk=\""],
        )
        .to_owned(),
        9 => one(
            rng,
            &["12345678901234567890", "123456789012345678901234567890123.5", "-0", "0.001", "127", "-128", "128"],
        )
        .to_owned(),
        _ => one(
            rng,
            &["007", "1.", ".5", "-", "\"\t\"", "\"open", "nul", "+1", "", "1 2", "{]", "\"\\ud800\"", "01.5", "--1"],
        )
        .to_owned(),
    }
}

fn spaces(rng: &mut StdRng, spaced: bool) -> String {
    if spaced {
        one(rng, &["", " ", "  ", "\t", "\r", "                                          "]).to_owned()
    } else {
        String::new()
    }
}

fn frame(rng: &mut StdRng) -> Vec<Slot> {
    let is_spaced = rng.random_range(0..3) == 0;
    let kind_of = |key: &str, rng: &mut StdRng| match (key, rng.random_range(0..8)) {
        (_, 0) => rng.random_range(0..10),
        ("i" | "small" | "must" | "f" | "dec", _) => 0,
        ("d", _) => 1,
        ("t", _) => 3,
        ("day", _) => 4,
        ("z", _) => 5,
        ("b", _) => 6,
        ("list" | "row" | "map", _) => 7,
        ("other", _) => 11,
        _ => 2,
    };
    let mut slots = Vec::new();
    for _ in 0..rng.random_range(0..8) {
        let key = one(rng, &KEYS).to_owned();
        let kind = kind_of(&key, rng);
        slots.push(Slot { key, spaces: std::array::from_fn(|_| spaces(rng, is_spaced)), kind });
    }
    slots
}

fn record(rng: &mut StdRng, frame: &[Slot], odds: usize) -> String {
    let slot = |slot: &Slot, rng: &mut StdRng| {
        let is_odd = rng.random_range(0..100) < odds;
        let value = match rng.random_range(0..4) {
            _ if !is_odd => value(rng, slot.kind),
            0 => "null".to_owned(),
            1 => value(rng, 10),
            _ => {
                let kind = rng.random_range(0..10);
                value(rng, kind)
            }
        };
        let [a, b, c, d] = &slot.spaces;
        format!("{a}\"{}\"{b}:{c}{value}{d}", slot.key)
    };
    let fields = frame.iter().map(|field| slot(field, rng)).collect::<Vec<_>>();
    format!("{{{}}}", fields.join(","))
}

/// Lines of a few frames that take turns, some of them broken.
fn text(rng: &mut StdRng) -> Vec<u8> {
    let frames = (0..rng.random_range(1..4)).map(|_| frame(rng)).collect::<Vec<_>>();
    let odds = [0, 0, 1, 10, 40][rng.random_range(0..5)];
    let (mut text, mut current) = (Vec::new(), 0);
    for _ in 0..rng.random_range(0..120) {
        if rng.random_range(0..10) == 0 {
            current = rng.random_range(0..frames.len());
        }
        let mut line = record(rng, &frames[current], odds).into_bytes();
        if odds > 0 && rng.random_range(0..40) == 0 {
            let at = rng.random_range(0..line.len());
            match rng.random_range(0..4) {
                0 => line[at] = b"\"\\{}[]:,0e.-tn \x00\x1f\x7f\xc3\xff"[rng.random_range(0..19)],
                1 => drop(line.remove(at)),
                2 => line.truncate(at),
                _ => line.extend_from_slice(b" x"),
            }
        }
        text.extend_from_slice(&line);
        text.extend_from_slice(one(rng, &["\n", "\n", "\n", "\n", "\r\n", "\n\n", " \n"]).as_bytes());
    }
    if rng.random() {
        text.pop();
    }
    text
}

fn outcome(reading: &Reading, text: &[u8]) -> Result<Outcome, String> {
    reading.read(text).map_err(|error| error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_read_does_not_depend_on_shapes(seed in any::<u64>()) {
        let rng = &mut StdRng::seed_from_u64(seed);
        let text = text(rng);
        let all = columns();
        let mut reading = Reading::of(all.clone());
        reading.columns = (0..all.len()).filter(|_| rng.random()).collect();
        reading.options = JsonOptions {
            fails_on_missing_field: rng.random_range(0..8) == 0,
            timestamps: [TimestampFormat::Sql, TimestampFormat::Iso][usize::from(rng.random_range(0..4) == 0)],
            ..JsonOptions::default()
        };
        if rng.random_range(0..4) == 0 {
            reading.bad_input = BadInput { on_error: OnError::Fail, ..BadInput::default() };
        }
        let scalar = outcome(&Reading { kernels: Kernels::Scalar, ..reading.clone() }, &text);
        for (batch_rows, workers) in [(4096, 1), (7, 1), (64, 2), (1, 1)] {
            let mut cuts = (0..rng.random_range(0..4)).map(|_| rng.random_range(0..=text.len())).collect::<Vec<_>>();
            cuts.sort_unstable();
            let simd = outcome(&Reading { batch_rows, workers, cuts, ..reading.clone() }, &text);
            prop_assert_eq!(&simd, &scalar, "{}", String::from_utf8_lossy(&text));
        }
    }
}

#[test]
fn nesting_within_a_shape_counts_from_the_record_on() {
    let line =
        |brackets: usize| format!("{{\"o\":{{\"p\":{}{},\"q\":{{}}}}}}\n", "[".repeat(brackets), "]".repeat(brackets));
    let text = [1, 2, 125, 126, 127, 128, 3].map(line).concat();
    let mut reading = Reading::of(vec![field("i", DataType::Int64)]);
    for kernels in Kernels::ALL {
        reading.kernels = kernels;
        let lines = reading.read(text.as_bytes()).unwrap().rejects.iter().map(|reject| reject.line).collect::<Vec<_>>();
        assert_eq!(lines, [5, 6]);
    }
}
