//! Random lines, well-formed and mutated, against a parser that others wrote.

use std::collections::BTreeMap;

use arrow_schema::{DataType, TimeUnit};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::super::JsonOptions;
use super::{Reading, field, list_of, map_of, row_of, written};
use crate::connect::bad_input::RejectReason;

/// The one timestamp.
const AT: &str = "2023-11-14 22:13:20.5";

fn reading() -> Reading {
    let inner = row_of(vec![field("x", DataType::Utf8View), field("y", DataType::Int64)]);
    Reading::of(vec![
        field("a", DataType::Int64),
        field("b", DataType::Utf8View),
        field("c", list_of(DataType::Float64)),
        field("d", inner),
        field("m", map_of(DataType::Utf8View)),
        field("t", DataType::Timestamp(TimeUnit::Millisecond, None)),
    ])
}

/// A record, most of it such as the columns ask for.
fn random_record(rng: &mut StdRng) -> String {
    let names = ["a", "b", "c", "d", "m", "t", "z", "\\u0061", "a"];
    let fields = (0..rng.random_range(0..6)).map(|_| {
        let name = names[rng.random_range(0..names.len())];
        let value = if rng.random_range(0..4) == 0 { random_value(rng, 3) } else { fitting_value(rng, name) };
        format!("{}\"{name}\"{}:{}{value}{}", space(rng), space(rng), space(rng), space(rng))
    });
    let fields = fields.collect::<Vec<_>>().join(",");
    format!("{}{{{fields}}}{}", space(rng), space(rng))
}

fn fitting_value(rng: &mut StdRng, name: &str) -> String {
    match name {
        "a" => ["7", "-9223372036854775808", "\" 12 \"", "1e2", "-0", "null"][rng.random_range(0..6)].to_owned(),
        "b" => random_string(rng),
        "c" => ["[]", "[1,2.5e-3]", "[null,-0.0]", "[1e308 , 123456789012]"][rng.random_range(0..4)].to_owned(),
        "d" => format!("{{\"x\":{},\"y\":{}}}", random_string(rng), rng.random::<i64>()),
        "m" => format!("{{\"k\":{0},{0}:{1},\"k\":{1}}}", random_string(rng), random_value(rng, 1)),
        "t" => format!("\"{AT}\""),
        _ => random_value(rng, 2),
    }
}

fn random_value(rng: &mut StdRng, depth: usize) -> String {
    match rng.random_range(0..if depth == 0 { 6 } else { 8 }) {
        0 => "null".to_owned(),
        1 => ["true", "false"][rng.random_range(0..2)].to_owned(),
        2 => rng.random_range(-1000..1000).to_string(),
        3 => ["1.5", "0.25e3", "-1E-2", "12345678901234567890", "0", "1e400"][rng.random_range(0..6)].to_owned(),
        4 | 5 => random_string(rng),
        6 => {
            let elements = (0..rng.random_range(0..4)).map(|_| space(rng) + &random_value(rng, depth - 1));
            format!("[{}]", elements.collect::<Vec<_>>().join(","))
        }
        _ => {
            let fields = (0..rng.random_range(0..3)).map(|_| random_string(rng) + ":" + &random_value(rng, depth - 1));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
    }
}

fn random_string(rng: &mut StdRng) -> String {
    const PIECES: [&str; 10] =
        ["a", "\\n", "\\u00e9", "é", "\\ud83d\\ude00", "😀", "\\\"", "\\/", "a longer text", "\\u0000"];
    let pieces = (0..rng.random_range(0..4)).map(|_| PIECES[rng.random_range(0..PIECES.len())]);
    format!("\"{}\"", pieces.collect::<String>())
}

fn space(rng: &mut StdRng) -> String {
    ["", "", "", " ", "\t ", "\r"][rng.random_range(0..6)].to_owned()
}

/// Replaces, removes, doubles or puts in a few bytes.
fn mutated(rng: &mut StdRng, text: &str) -> Vec<u8> {
    const BYTES: &[u8] = b"\"\\{}[]:,0123456789eE.+-tfnaul /\x00\x1f\x7f\x80\xc3\xa9\xff";
    let mut text = text.as_bytes().to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..text.len());
        let byte = BYTES[rng.random_range(0..BYTES.len())];
        match rng.random_range(0..4) {
            0 => text[at] = byte,
            1 if text.len() > 1 => drop(text.remove(at)),
            2 => text.insert(at, byte),
            _ => text.insert(at, text[at]),
        }
    }
    text
}

/// Whether the line is JSON: an object. Numbers beyond what the oracle holds are JSON, but end its reading.
fn parsed(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line).ok().filter(Value::is_object)
}

/// What the columns hold, in the plainest way; none if a value does not fit.
fn expected(record: &Value) -> Option<BTreeMap<&'static str, Value>> {
    let at = |name: &str| record.get(name).cloned().unwrap_or(Value::Null);
    let text = |value: &Value| match value {
        Value::Null => Value::Null,
        Value::String(text) => Value::String(text.clone()),
        // The text of anything else is compared by what it says.
        other => Value::Array(vec![other.clone()]),
    };
    let integer = |value: &Value| match value {
        Value::Null => Some(Value::Null),
        Value::String(text) => Some(text.trim_ascii().parse::<i64>().ok()?.into()),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Some(number.into()),
            None => {
                let number = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15)?;
                Some((number as i64).into())
            }
        },
        _ => None,
    };
    let double = |value: &Value| match value {
        Value::Null => Some(Value::Null),
        Value::Number(number) => number.as_f64().map(Value::from),
        Value::String(text) => {
            text.trim_ascii().parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from)
        }
        _ => None,
    };
    let list = match at("c") {
        Value::Null => Value::Null,
        Value::Array(elements) => Value::Array(elements.iter().map(double).collect::<Option<Vec<_>>>()?),
        _ => return None,
    };
    let row = match at("d") {
        Value::Null => Value::Null,
        Value::Object(fields) => {
            let field = |name: &str| fields.get(name).cloned().unwrap_or(Value::Null);
            serde_json::json!({ "x": text(&field("x")), "y": integer(&field("y"))? })
        }
        _ => return None,
    };
    let map = match at("m") {
        Value::Null => Value::Null,
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
        _ => return None,
    };
    let timestamp = match at("t") {
        Value::Null => Value::Null,
        Value::String(text) if text == AT => Value::String(text),
        _ => return None,
    };
    Some(BTreeMap::from([
        ("a", integer(&at("a"))?),
        ("b", text(&at("b"))),
        ("c", list),
        ("d", row),
        ("m", map),
        ("t", timestamp),
    ]))
}

/// The same value; where the oracle says `[value]`, ours is that value as text.
fn is_same(ours: &Value, expected: &Value, is_text: bool) -> bool {
    match (ours, expected) {
        (Value::String(text), Value::Array(value)) if is_text => {
            let parsed = serde_json::from_str::<Value>(text);
            parsed.is_ok_and(|parsed| parsed == value[0])
        }
        // The oracle's own doubles are off by a digit at times.
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64(), a.as_f64(), b.as_f64()) {
            (Some(a), Some(b), ..) => a == b,
            (_, _, Some(a), Some(b)) => (a - b).abs() <= 1e-15 * b.abs(),
            _ => false,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b, false)),
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, value): (&String, &Value)| b.get(name).is_some_and(|other| is_same(value, other, true));
            a.len() == b.len() && a.iter().all(same)
        }
        (a, b) => a == b,
    }
}

/// A number that was not written as an integer, beyond those that doubles hold one by one, and within those of BIGINT.
fn is_beyond_doubles(value: &Value) -> bool {
    let within = |number: f64| (9e15..1e19).contains(&number.abs());
    value.as_i64().is_none() && value.as_f64().is_some_and(within)
}

fn check(line: &[u8]) -> Result<(), TestCaseError> {
    let shown = String::from_utf8_lossy(line).into_owned();
    // A newline would make two lines of it, and a line of white space is none.
    if line.contains(&b'\n') || line.trim_ascii().is_empty() {
        return Ok(());
    }
    let outcome = reading().read(line);
    let Ok(outcome) = outcome else {
        prop_assert!(line.starts_with(b"\xFF\xFE") || line.starts_with(b"\xFE\xFF"), "{shown}");
        return Ok(());
    };
    let reason = outcome.rejects.first().map(|reject| reject.reason);
    let is_json = !matches!(reason, Some(RejectReason::Syntax | RejectReason::NotUtf8 | RejectReason::TooDeep));
    let oracle = match serde_json::from_slice::<Value>(line) {
        Ok(value) => Some(value).filter(Value::is_object),
        Err(error) if error.to_string().starts_with("number out of range") => return Ok(()),
        Err(_) => None,
    };
    prop_assert_eq!(is_json, oracle.is_some(), "{}: {:?}", shown, outcome.rejects);
    let Some(record) = parsed(line).filter(|_| oracle.is_some()) else { return Ok(()) };
    // Which other texts are timestamps is not for the oracle to say.
    if record["t"].as_str().is_some_and(|text| text != AT) {
        return Ok(());
    }
    // Nor is what a whole number with an exponent is that a double does not hold.
    if [&record["a"], &record["d"]["y"]].into_iter().any(is_beyond_doubles) {
        return Ok(());
    }
    let Some(expected) = expected(&record) else {
        prop_assert_eq!(outcome.rejects.len(), 1, "{}", shown);
        return Ok(());
    };
    prop_assert_eq!(&outcome.rejects, &[], "{}", shown);
    let ours: Value = serde_json::from_str(&written(&outcome.rows, &JsonOptions::default())).unwrap();
    for (name, value) in expected {
        prop_assert!(is_same(&ours[name], &value, name == "b" || name == "m"), "{}: {} {}", shown, ours[name], value);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_line_is_what_the_oracle_says(seed in any::<u64>()) {
        let rng = &mut StdRng::seed_from_u64(seed);
        let record = random_record(rng);
        check(record.as_bytes())?;
        check(&mutated(rng, &record))?;
    }
}
