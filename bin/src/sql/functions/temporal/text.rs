//! Points in time from text and numbers, and as text.

use std::cell::RefCell;

use arrow_array::ArrayRef;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMillisecondType};

use super::super::arguments::Parameter::{Integer, Text};
use super::super::arguments::{accept, literal_integer, literal_text};
use super::super::binding::{Argument, Binding, Nullness, Value};
use super::super::calendar::SECOND_NS;
use super::super::columns::{Numbers, Strings, primitive_rows, string_rows};
use super::super::moments::{parse_date, parse_timestamp};
use super::super::patterns::{Pattern, Strictness};
use super::{moments_of, point_type, points, refuse_clock};
use crate::error::{Error, Result};
use crate::sql::types::FlinkType;

/// The pattern of a call: a constant that is read once, or the last one of a column.
struct Patterns {
    constant: Option<Pattern>,
}

impl Patterns {
    fn new(argument: Option<&Argument>, default: &str) -> Result<Self> {
        let constant = match argument {
            None => Some(default),
            Some(_) => literal_text(argument),
        };
        Ok(Self { constant: constant.map(Pattern::parse).transpose().map_err(Error::statement)? })
    }

    /// Calls `f` with the pattern of a row; `None` where it is NULL.
    fn with<R>(
        &self,
        given: Option<&Strings<'_>>,
        last: &RefCell<Option<(String, Pattern)>>,
        row: usize,
        f: impl FnOnce(&Pattern) -> R,
    ) -> Result<Option<R>, String> {
        if let Some(pattern) = &self.constant {
            return Ok(Some(f(pattern)));
        }
        let Some(text) = given.and_then(|given| given.get(row)) else { return Ok(None) };
        let mut last = last.borrow_mut();
        if let Some((known, pattern)) = &*last
            && known == text
        {
            return Ok(Some(f(pattern)));
        }
        let pattern = Pattern::parse(text)?;
        let result = f(&pattern);
        *last = Some((text.to_owned(), pattern));
        Ok(Some(result))
    }
}

/// The pattern where a call names none.
pub(super) const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) fn bind_date_format(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [point, pattern] = arguments else {
        return Err(Error::statement("DATE_FORMAT takes two arguments").help("DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')"));
    };
    let flink = if point.flink.is_string() { FlinkType::Timestamp(3) } else { point_type(name, point.flink)? };
    if matches!(flink, FlinkType::Time(_)) {
        return Err(Error::statement("DATE_FORMAT takes a date or timestamp, not a TIME"));
    }
    accept(name, "DATE_FORMAT(ts, pattern)", &[Text], 1, std::slice::from_ref(pattern))?;
    let patterns = Patterns::new(Some(pattern), DEFAULT_PATTERN)?;
    Ok(Binding::strict(vec![flink, FlinkType::STRING], FlinkType::STRING, move |arguments, rows| {
        let moment = moments_of(&arguments[0])?;
        let given = Strings::of(&arguments[1]);
        let last = RefCell::default();
        string_rows(rows, |row, out| {
            let Some((days, nanos)) = moment(row) else { return Ok(false) };
            Ok(patterns.with(Some(&given), &last, row, |pattern| pattern.write(days, nanos, out))?.is_some())
        })
    }))
}

/// Reads strings with a pattern: NULL where that fails.
fn read_rows(
    patterns: &Patterns,
    strictness: Strictness,
    arguments: &[Value],
    finish: impl FnOnce(&dyn Fn(usize) -> Result<Option<Option<(i64, i64)>>, String>) -> Result<ArrayRef, String>,
) -> Result<ArrayRef, String> {
    let texts = Strings::of(&arguments[0]);
    let given = arguments.get(1).map(Strings::of);
    let last = RefCell::default();
    finish(&|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        patterns.with(given.as_ref(), &last, row, |pattern| pattern.read(text, strictness))
    })
}

pub(super) fn bind_to_timestamp(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "TO_TIMESTAMP(string, pattern)", &[Text, Text], 1, arguments)?;
    let result = FlinkType::Timestamp(3);
    let patterns = Patterns::new(arguments.get(1), DEFAULT_PATTERN)?;
    let has_pattern = arguments.len() == 2;
    let kernel = move |arguments: &[Value], rows: usize| {
        let texts = Strings::of(&arguments[0]);
        // The default form is the one of CAST; a text that does not follow a given pattern may still follow that.
        let plain = |row: usize| texts.get(row).and_then(parse_timestamp);
        if !has_pattern {
            return points(result, rows, |row| Ok(plain(row)));
        }
        read_rows(&patterns, Strictness::Strict, arguments, |read| {
            points(result, rows, |row| Ok(read(row)?.and_then(|moment| moment.or_else(|| plain(row)))))
        })
    };
    Ok(Binding::strict(types, result, kernel).with_nullness(Nullness::Possible))
}

pub(super) fn bind_to_date(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "TO_DATE(string, pattern)", &[Text, Text], 1, arguments)?;
    let result = FlinkType::Date;
    let patterns = Patterns::new(arguments.get(1), "yyyy-MM-dd")?;
    let has_pattern = arguments.len() == 2;
    let kernel = move |arguments: &[Value], rows: usize| {
        if !has_pattern {
            let texts = Strings::of(&arguments[0]);
            return points(result, rows, |row| {
                Ok(texts.get(row).and_then(parse_date).map(|days| (i64::from(days), 0)))
            });
        }
        read_rows(&patterns, Strictness::Lenient, arguments, |read| {
            points(result, rows, |row| Ok(read(row)?.flatten()))
        })
    };
    Ok(Binding::strict(types, result, kernel).with_nullness(Nullness::Possible))
}

pub(super) fn bind_unix_timestamp(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    if arguments.is_empty() {
        return refuse_clock("UNIX_TIMESTAMP without arguments", arguments);
    }
    let types = accept(name, "UNIX_TIMESTAMP(string, pattern)", &[Text, Text], 1, arguments)?;
    let patterns = Patterns::new(arguments.get(1), DEFAULT_PATTERN)?;
    Ok(Binding::strict(types, FlinkType::BigInt, move |arguments, rows| {
        read_rows(&patterns, Strictness::Lenient, arguments, |read| {
            primitive_rows::<Int64Type>(rows, FlinkType::BigInt, |row| {
                // What cannot be read is the least BIGINT in Flink.
                Ok(read(row)?.map(|moment| moment.map_or(i64::MIN, |(days, nanos)| days * 86_400 + nanos / SECOND_NS)))
            })
        })
    }))
}

pub(super) fn bind_from_unixtime(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "FROM_UNIXTIME(seconds, pattern)", &[Integer, Text], 1, arguments)?;
    let patterns = Patterns::new(arguments.get(1), DEFAULT_PATTERN)?;
    Ok(Binding::strict(types, FlinkType::STRING, move |arguments, rows| {
        let seconds = Numbers::<Int64Type>::of(&arguments[0]);
        let given = arguments.get(1).map(Strings::of);
        let last = RefCell::default();
        string_rows(rows, |row, out| {
            let Some(seconds) = seconds.get(row) else { return Ok(false) };
            let (days, nanos) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) * SECOND_NS);
            Ok(patterns.with(given.as_ref(), &last, row, |pattern| pattern.write(days, nanos, out))?.is_some())
        })
    }))
}

/// Seconds (precision 0) or milliseconds (precision 3) as an instant; NULL outside of the years 0 to 9999.
pub(super) fn bind_to_timestamp_ltz(_: &'static str, arguments: &[Argument]) -> Result<Binding> {
    const FIRST_MS: i128 = -62_167_219_200_000;
    const LAST_MS: i128 = 253_402_300_799_999;
    let usage = "TO_TIMESTAMP_LTZ(milliseconds, 3), TO_TIMESTAMP_LTZ(seconds, 0)";
    let (number, precision) = match arguments {
        [number] => (number, Some(3)),
        [number, precision] => (number, literal_integer(Some(precision))),
        _ => return Err(Error::statement("TO_TIMESTAMP_LTZ takes a number and a precision").help(usage)),
    };
    let units = match precision {
        Some(0) => 1_000,
        Some(3) => 1,
        _ => return Err(Error::statement("the precision of TO_TIMESTAMP_LTZ is 0 or 3, a constant").help(usage)),
    };
    let flink = match number.flink {
        FlinkType::Null => FlinkType::BigInt,
        flink if flink.is_integer() => FlinkType::BigInt,
        flink if flink.is_approximate() => FlinkType::Double,
        flink @ FlinkType::Decimal(..) => flink,
        other => return Err(Error::statement(format!("TO_TIMESTAMP_LTZ takes a number, not {other}")).help(usage)),
    };
    let result = FlinkType::TimestampLtz(3);
    let types = [Some(flink), (arguments.len() == 2).then_some(FlinkType::Int)].into_iter().flatten().collect();
    let kernel = move |arguments: &[Value], rows: usize| {
        let in_range = |ms: i128| (FIRST_MS..=LAST_MS).contains(&ms).then_some(ms as i64);
        let ms: Box<dyn Fn(usize) -> Option<i64>> = match flink {
            FlinkType::Double => {
                let numbers = Numbers::<Float64Type>::of(&arguments[0]);
                // A cast from a floating-point number saturates, and what saturates is out of range.
                Box::new(move |row| numbers.get(row).and_then(|number| in_range((number * f64::from(units)) as i128)))
            }
            FlinkType::Decimal(_, scale) => {
                let unit = crate::sql::arithmetic::decimals::power_of_ten(scale);
                let numbers = Numbers::<Decimal128Type>::of(&arguments[0]);
                Box::new(move |row| {
                    numbers.get(row).and_then(|number| in_range((number / unit).saturating_mul(i128::from(units))))
                })
            }
            _ => {
                let numbers = Numbers::<Int64Type>::of(&arguments[0]);
                Box::new(move |row| {
                    numbers.get(row).and_then(|number| in_range(i128::from(number) * i128::from(units)))
                })
            }
        };
        primitive_rows::<TimestampMillisecondType>(rows, result, |row| Ok(ms(row)))
    };
    Ok(Binding::strict(types, result, kernel).with_nullness(Nullness::Possible))
}
