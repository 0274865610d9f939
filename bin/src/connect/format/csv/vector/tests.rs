//! Each kernel against the scalar code: what it takes, it takes with the same bits; what it promises to take, it takes.

use proptest::prelude::*;

use super::super::number;
use super::super::temporal::{self, DateCache};
use super::*;

/// A column of texts in one buffer, with what must not be read between and around them.
struct Written {
    bytes: Vec<u8>,
    starts: Vec<u32>,
    ends: Vec<u32>,
}

impl Written {
    fn new(texts: &[String], padding: usize, between: &str) -> Self {
        let mut bytes = b"7".repeat(padding);
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for text in texts {
            starts.push(bytes.len() as u32);
            bytes.extend_from_slice(text.as_bytes());
            ends.push(bytes.len() as u32);
            bytes.extend_from_slice(between.as_bytes());
        }
        bytes.extend_from_slice(&b"7".repeat(padding));
        Self { bytes, starts, ends }
    }

    fn texts(&self) -> Texts<'_> {
        Texts { bytes: &self.bytes, starts: &self.starts, ends: &self.ends }
    }
}

/// Runs a kernel over `texts`, laid out in several ways, and compares what it takes with the scalar code.
fn agree<T: PartialEq + std::fmt::Debug + Copy>(
    texts: &[String],
    kernel: impl Fn(Vectors, Texts<'_>, &mut Vec<u32>) -> Vec<T>,
    scalar: impl Fn(&[u8], usize, usize) -> Option<T>,
) -> Result<Vec<u32>, TestCaseError> {
    let Some(vectors) = Vectors::detect() else { return Ok(Vec::new()) };
    let mut left = Vec::new();
    for (padding, between) in [(0, ","), (64, ""), (64, ","), (40, "\r\n"), (64, "9")] {
        let written = Written::new(texts, padding, between);
        left.clear();
        let values = kernel(vectors, written.texts(), &mut left);
        prop_assert_eq!(values.len(), texts.len());
        prop_assert!(left.is_sorted_by(|a, b| a < b), "odd rows are ascending: {:?}", left);
        for (row, text) in texts.iter().enumerate() {
            if left.binary_search(&(row as u32)).is_err() {
                let (start, end) = (written.starts[row] as usize, written.ends[row] as usize);
                prop_assert_eq!(Some(values[row]), scalar(&written.bytes, start, end), "{:?}", text);
            }
        }
    }
    Ok(left)
}

/// Every row but those behind the last eight was taken.
fn all_taken(left: &[u32], rows: usize) -> bool {
    Vectors::detect().is_none() || left.len() == rows % 8
}

fn column(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(text, 0..40)
}

/// What may stand where a number should, and changes or hides it if a byte is taken for another.
fn almost_a_number() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+]?[0-9]{0,20}",
        "-?[0-9]{0,9}[.]?[0-9]{0,9}",
        "[-+0-9. eE]{0,18}",
        "-?[0-9]{1,8}[.][0-9]{0,4}[.][0-9]{0,3}",
        "[0-9/:;.,-]{0,17}",
        "-?0{0,12}[0-9]{0,3}[.]0{0,12}[0-9]{0,2}",
        any::<f64>().prop_map(|number| format!("{number}")),
        any::<i64>().prop_map(|number| number.to_string()),
        "[\u{0}-\u{ff}]{0,9}",
        Just("NaN".to_owned()),
        Just("9007199254740993".to_owned()),
        Just("-9223372036854775808".to_owned()),
        Just("9223372036854775808".to_owned()),
    ]
}

fn almost_a_timestamp() -> impl Strategy<Value = String> {
    let date = prop_oneof![
        Just("2023-11-14".to_owned()),
        "[0-9]{4}-[01][0-9]-[0-3][0-9]",
        "(0000|0400|1600|1900|2000|2023|2024|9999)-(0[0-9]|1[0-3])-(0[01]|2[89]|3[0-2])",
    ];
    let clock =
        prop_oneof!["[01][0-9]:[0-5][0-9]:[0-5][0-9]", "[0-9]{2}:[0-9]{2}:[0-9]{2}", Just("23:59:59".to_owned())];
    let fraction = prop_oneof![Just(String::new()), "[.][0-9]{3}", "[.][0-9]{0,10}"];
    let zone = prop_oneof![4 => Just(""), 2 => Just("Z"), 1 => Just(" Z"), 1 => Just("+01:00")];
    let whole = (date, prop_oneof![4 => Just(" "), 1 => Just("T"), 1 => Just("t")], clock, fraction, zone)
        .prop_map(|(date, between, clock, fraction, zone)| format!("{date}{between}{clock}{fraction}{zone}"));
    let spoiled = (whole.clone(), any::<prop::sample::Index>(), proptest::char::range('\u{0}', '\u{7f}')).prop_map(
        |(text, place, byte)| {
            let mut bytes = text.into_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte as u8;
            String::from_utf8(bytes).expect("ASCII")
        },
    );
    prop_oneof![3 => whole, 2 => spoiled, 1 => "[-0-9T:. Z]{0,31}"]
}

proptest! {
    #[test]
    fn numbers_are_those_of_the_scalar_code(
        texts in column(almost_a_number()),
        (precision, scale) in (1_u8..=38).prop_flat_map(|precision| (Just(precision), 0..=precision as i8)),
    ) {
        let bits = |number: f64| number.to_bits();
        agree(&texts, Vectors::integers, |b, s, e| number::integer(b, s, e).ok())?;
        agree(
            &texts,
            |vectors, texts, odd| vectors.doubles(texts, odd).into_iter().map(bits).collect(),
            |b, s, e| number::double(b, s, e).ok().map(bits),
        )?;
        agree(
            &texts,
            |vectors, texts, odd| vectors.floats(texts, odd).into_iter().map(f32::to_bits).collect(),
            |b, s, e| number::float(b, s, e).ok().map(f32::to_bits),
        )?;
        agree(
            &texts,
            |vectors, texts, odd| vectors.decimals(texts, precision, scale, odd),
            |b, s, e| number::decimal(b, s, e, precision, scale).ok(),
        )?;
    }

    #[test]
    fn times_are_those_of_the_scalar_code(texts in column(almost_a_timestamp())) {
        fn check<const PER_SECOND: i64>(texts: &[String]) -> Result<(), TestCaseError> {
            let read = |b: &[u8], s, e| temporal::timestamp(&b[s..e], &mut DateCache::default())?.in_units(PER_SECOND);
            agree(texts, |vectors, texts, odd| vectors.timestamps::<PER_SECOND>(texts, Zone::Local, odd), read)?;
            let read = |b: &[u8], s: usize, e: usize| {
                temporal::timestamp_with_zone(&b[s..e], &mut DateCache::default())?.in_units(PER_SECOND)
            };
            agree(texts, |vectors, texts, odd| vectors.timestamps::<PER_SECOND>(texts, Zone::Utc, odd), read)?;
            Ok(())
        }
        check::<1>(&texts)?;
        check::<1000>(&texts)?;
        check::<1_000_000>(&texts)?;
        check::<1_000_000_000>(&texts)?;
        let dates = texts.iter().map(|text| text.chars().take(10).collect()).collect::<Vec<String>>();
        agree(&dates, Vectors::dates, |b, s, e| temporal::date(&b[s..e]))?;
    }

    #[test]
    fn usual_integers_are_taken(texts in column("-?[0-9]{1,18}")) {
        let odd = agree(&texts, Vectors::integers, |b, s, e| number::integer(b, s, e).ok())?;
        prop_assert!(all_taken(&odd, texts.len()));
    }

    #[test]
    fn usual_numbers_with_a_point_are_taken(texts in column("-?[0-9]{1,10}([.][0-9]{0,5})?|-?[.][0-9]{1,15}")) {
        let odd = agree(&texts, Vectors::doubles, |b, s, e| number::double(b, s, e).ok())?;
        prop_assert!(all_taken(&odd, texts.len()));
        let odd = agree(
            &texts,
            |vectors, texts, odd| vectors.decimals(texts, 38, 16, odd),
            |b, s, e| number::decimal(b, s, e, 38, 16).ok(),
        )?;
        // Digits and zeros behind them may need more than 64 bits.
        prop_assert!(texts.iter().any(|text| text.len() > 4) || all_taken(&odd, texts.len()));
    }

    #[test]
    fn usual_times_are_taken(texts in column("2023-(02-28|11-14)[ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{0,9})?")) {
        let read = |b: &[u8], s, e| temporal::timestamp(&b[s..e], &mut DateCache::default())?.in_units(1_000_000);
        let odd = agree(&texts, |vectors, texts, odd| vectors.timestamps::<1_000_000>(texts, Zone::Local, odd), read)?;
        prop_assert!(all_taken(&odd, texts.len()));
    }
}

/// Each day of the calendar, which is too much for chance to meet.
#[test]
fn days_are_those_of_the_scalar_code() {
    let mut texts = Vec::new();
    for year in (0..10_000).step_by(7).chain([400, 1900, 2000, 2024, 9999]) {
        for month in 0..=13 {
            for day in [0, 1, 2, 27, 28, 29, 30, 31, 32] {
                texts.push(format!("{year:04}-{month:02}-{day:02}"));
            }
        }
    }
    agree(&texts, Vectors::dates, |b, s, e| temporal::date(&b[s..e])).expect("they agree");
    // A date that is wrong makes only itself odd.
    let are_good: Vec<_> = texts.into_iter().filter(|text| temporal::date(text.as_bytes()).is_some()).collect();
    let odd = agree(&are_good, Vectors::dates, |b, s, e| temporal::date(&b[s..e])).expect("they agree");
    assert!(all_taken(&odd, are_good.len()));
}
