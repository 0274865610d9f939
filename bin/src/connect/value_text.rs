//! Values as text, nested ones included: as Flink's `CAST(… AS STRING)` writes them, and as its `print` connector does.
//!
//! A [`ColumnText`] is made once for a column of a batch and then asked row by row; what depends only on the type is
//! decided then, not for each value.

mod nested;

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::timezone::Tz;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};
use chrono::{DateTime, Offset, TimeZone};

use crate::error::{Error, Result};

/// Whose way of writing a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `CAST(… AS STRING)`: `TRUE`, `2023-11-14 22:13:19.741`. Bytes as `x'68'`, the way Flink's SQL client shows them.
    Cast,
    /// Flink's `print` connector, which shows Java objects: `true`, `2023-11-14T22:13:19.741`.
    Print,
}

/// Writes the values of one column.
pub struct ColumnText<'a> {
    array: &'a dyn Array,
    style: Style,
    /// Zone of a `TIMESTAMP_LTZ`.
    zone: Option<Tz>,
    /// Fields of a ROW, elements of an ARRAY, keys and values of a MAP.
    parts: Vec<ColumnText<'a>>,
}

impl<'a> ColumnText<'a> {
    /// The columns of `batch`.
    ///
    /// # Errors
    /// If a type cannot be written as text.
    pub fn of_batch(batch: &'a RecordBatch, style: Style) -> Result<Vec<Self>> {
        batch.columns().iter().map(|array| Self::new(array.as_ref(), style)).collect()
    }

    /// One column.
    ///
    /// # Errors
    /// If its type cannot be written as text.
    pub fn new(array: &'a dyn Array, style: Style) -> Result<Self> {
        let zone = match array.data_type() {
            DataType::Timestamp(_, Some(zone)) => Some(
                zone.parse::<Tz>()
                    .map_err(|_| Error::internal(format!("'{zone}' is not a time zone that can be written")))?,
            ),
            other => {
                check_type(other)?;
                None
            }
        };
        let parts = match array.data_type() {
            DataType::Struct(_) => array.as_struct().columns().iter().collect(),
            DataType::List(_) => vec![array.as_list::<i32>().values()],
            DataType::Map(..) => vec![array.as_map().keys(), array.as_map().values()],
            _ => Vec::new(),
        };
        let parts = parts.into_iter().map(|part| Self::new(part.as_ref(), style)).collect::<Result<_>>()?;
        Ok(Self { array, style, zone, parts })
    }

    /// Whether row `row` is NULL.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row) || *self.array.data_type() == DataType::Null
    }

    /// Appends the value of row `row`, which must not be NULL.
    pub fn write(&self, row: usize, out: &mut String) {
        let array = self.array;
        match array.data_type() {
            DataType::Boolean => out.push_str(match (array.as_boolean().value(row), self.style) {
                (true, Style::Cast) => "TRUE",
                (false, Style::Cast) => "FALSE",
                (true, Style::Print) => "true",
                (false, Style::Print) => "false",
            }),
            DataType::Int8 => integer(value::<Int8Type>(array, row), out),
            DataType::Int16 => integer(value::<Int16Type>(array, row), out),
            DataType::Int32 => integer(value::<Int32Type>(array, row), out),
            DataType::Int64 => integer(value::<Int64Type>(array, row), out),
            DataType::UInt8 => integer(value::<UInt8Type>(array, row), out),
            DataType::UInt16 => integer(value::<UInt16Type>(array, row), out),
            DataType::UInt32 => integer(value::<UInt32Type>(array, row), out),
            DataType::UInt64 => integer(value::<UInt64Type>(array, row), out),
            DataType::Float32 => {
                let number = value::<Float32Type>(array, row);
                Self::float(f64::from(number), &format!("{number:e}"), out);
            }
            DataType::Float64 => {
                let number = value::<Float64Type>(array, row);
                Self::float(number, &format!("{number:e}"), out);
            }
            DataType::Decimal128(_, scale) => {
                write_decimal(value::<Decimal128Type>(array, row), *scale, self.style == Style::Print, out);
            }
            DataType::Date32 => write_date(i64::from(value::<Date32Type>(array, row)), out),
            DataType::Time32(_) | DataType::Time64(_) => self.time_of_day(row, out),
            DataType::Timestamp(unit, _) => self.timestamp(*unit, row, out),
            DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
            DataType::Utf8View => out.push_str(array.as_string_view().value(row)),
            DataType::Binary => self.bytes(array.as_binary::<i32>().value(row), out),
            DataType::LargeBinary => self.bytes(array.as_binary::<i64>().value(row), out),
            DataType::BinaryView => self.bytes(array.as_binary_view().value(row), out),
            DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => self.nested(row, out),
            other => unreachable!("`new` refuses columns of type {other}"),
        }
    }

    fn bytes(&self, bytes: &[u8], out: &mut String) {
        match self.style {
            Style::Cast => {
                out.push_str("x'");
                bytes.iter().for_each(|byte| put(out, format_args!("{byte:02x}")));
                out.push('\'');
            }
            Style::Print => {
                out.push('[');
                for (index, byte) in bytes.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    put(out, format_args!("{comma}{}", *byte as i8));
                }
                out.push(']');
            }
        }
    }

    /// As Java writes it. `shortest` is the shortest text that reads back as the same number, in `{:e}` form.
    fn float(number: f64, shortest: &str, out: &mut String) {
        match number {
            _ if number.is_nan() => out.push_str("NaN"),
            f64::INFINITY => out.push_str("Infinity"),
            f64::NEG_INFINITY => out.push_str("-Infinity"),
            _ => write_java_float(number, shortest, out),
        }
    }

    fn time_of_day(&self, row: usize, out: &mut String) {
        let array = self.array;
        let (nanos, digits) = match array.data_type() {
            DataType::Time32(TimeUnit::Second) => (i64::from(value::<Time32SecondType>(array, row)) * 1_000_000_000, 0),
            DataType::Time32(_) => {
                let millis = i64::from(value::<Time32MillisecondType>(array, row));
                (millis * 1_000_000, if millis % 1_000 == 0 { 0 } else { 3 })
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                (value::<Time64MicrosecondType>(array, row).wrapping_mul(1_000), 6)
            }
            _ => (value::<Time64NanosecondType>(array, row), 9),
        };
        let seconds = nanos.div_euclid(1_000_000_000);
        self.clock(seconds, nanos.rem_euclid(1_000_000_000) as u32, digits, out);
    }

    fn timestamp(&self, unit: TimeUnit, row: usize, out: &mut String) {
        let array = self.array;
        let (value, per_second, digits) = match unit {
            TimeUnit::Second => (value::<TimestampSecondType>(array, row), 1, 0),
            TimeUnit::Millisecond => (value::<TimestampMillisecondType>(array, row), 1_000, 3),
            TimeUnit::Microsecond => (value::<TimestampMicrosecondType>(array, row), 1_000_000, 6),
            TimeUnit::Nanosecond => (value::<TimestampNanosecondType>(array, row), 1_000_000_000, 9),
        };
        let mut seconds = value.div_euclid(per_second);
        let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
        if let (Style::Cast, Some(zone)) = (self.style, self.zone)
            && let Some(utc) = DateTime::from_timestamp(seconds, 0)
        {
            let offset = zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc();
            seconds = seconds.saturating_add(i64::from(offset));
        }
        write_date(seconds.div_euclid(86_400), out);
        out.push(if self.style == Style::Print { 'T' } else { ' ' });
        self.clock(seconds.rem_euclid(86_400), nanos as u32, digits, out);
        if self.zone.is_some() && self.style != Style::Cast {
            out.push('Z');
        }
    }

    /// `HH:MM:SS` and a fraction of `digits` digits; the way of Java's `LocalTime` under [`Style::Print`], which leaves
    /// out seconds of 0 (but not for an instant) and writes a fraction of 0, 3, 6 or 9 digits.
    fn clock(&self, seconds: i64, nanos: u32, digits: usize, out: &mut String) {
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        put(out, format_args!("{hours:02}:{minutes:02}"));
        let digits = match self.style {
            Style::Print if nanos == 0 => 0,
            Style::Print if nanos.is_multiple_of(1_000_000) => 3,
            Style::Print if nanos.is_multiple_of(1_000) => 6,
            Style::Print => 9,
            Style::Cast => digits,
        };
        if self.style == Style::Print && seconds == 0 && digits == 0 && self.zone.is_none() {
            return;
        }
        put(out, format_args!(":{seconds:02}"));
        if digits > 0 {
            let fraction = nanos / 10_u32.pow(9 - digits as u32);
            put(out, format_args!(".{fraction:0digits$}"));
        }
    }
}

/// Checks that every column can be written.
///
/// # Errors
/// If a type cannot be written as text; names the column.
pub fn check_schema(schema: &Schema) -> Result<()> {
    for field in schema.fields() {
        check_type(field.data_type())
            .map_err(|error| Error { message: format!("column `{}`: {}", field.name(), error.message), ..error })?;
    }
    Ok(())
}

fn check_type(data_type: &DataType) -> Result<()> {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Decimal128, Float32, Float64, LargeBinary, LargeUtf8, Null, Time32,
        Time64, Timestamp, Utf8, Utf8View,
    };
    let is_written = data_type.is_integer()
        || matches!(data_type, Null | Boolean | Float32 | Float64 | Decimal128(..) | Date32)
        || matches!(data_type, Time32(_) | Time64(_) | Timestamp(..) | Utf8 | LargeUtf8 | Utf8View)
        || matches!(data_type, Binary | LargeBinary | BinaryView);
    match data_type {
        _ if is_written => return Ok(()),
        DataType::List(part) | DataType::Map(part, _) => return check_type(part.data_type()),
        DataType::Struct(parts) => return parts.iter().try_for_each(|part| check_type(part.data_type())),
        _ => {}
    }
    Err(Error::statement(format!("a column of type {data_type} cannot be written as text"))
        .help("CAST it to a scalar type in the query"))
}

fn value<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

fn integer(number: impl itoa::Integer, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Writing to a `String` cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Java's `Double.toString`: at least one decimal; scientific below 10⁻³ and from 10⁷ on.
pub(crate) fn write_java_float(number: f64, shortest: &str, out: &mut String) {
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    out.push_str(sign);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if number == 0.0 {
        out.push_str("0.0");
    } else if !(-3..7).contains(&exponent) {
        let fraction = if digits.len() > 1 { &digits[1..] } else { "0" };
        put(out, format_args!("{}.{fraction}E{exponent}", &digits[..1]));
    } else if exponent < 0 {
        let zeros = (-exponent - 1) as usize;
        put(out, format_args!("0.{}{digits}", "0".repeat(zeros)));
    } else {
        let whole = exponent as usize + 1;
        let padded = format!("{digits:0<whole$}");
        let fraction = if padded.len() > whole { &padded[whole..] } else { "0" };
        put(out, format_args!("{}.{fraction}", &padded[..whole]));
    }
}

/// `BigDecimal.toPlainString`, or `toString` if `is_scientific`, which turns to an exponent below 10⁻⁶.
pub(crate) fn write_decimal(unscaled: i128, scale: i8, is_scientific: bool, out: &mut String) {
    let digits = unscaled.unsigned_abs().to_string();
    if unscaled < 0 {
        out.push('-');
    }
    let Ok(scale) = usize::try_from(scale) else {
        put(
            out,
            format_args!(
                "{digits}{}",
                if unscaled == 0 { String::new() } else { "0".repeat(usize::from(scale.unsigned_abs())) }
            ),
        );
        return;
    };
    let adjusted = digits.len() as i32 - 1 - scale as i32;
    if is_scientific && adjusted < -6 {
        let point = if digits.len() > 1 { "." } else { "" };
        put(out, format_args!("{}{point}{}E{adjusted}", &digits[..1], &digits[1..]));
    } else if scale == 0 {
        out.push_str(&digits);
    } else {
        let width = scale + 1;
        let padded = format!("{digits:0>width$}");
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        put(out, format_args!("{whole}.{fraction}"));
    }
}

/// `YYYY-MM-DD` of a day since 1970-01-01, in the proleptic Gregorian calendar.
/// Source: Howard Hinnant, chrono-Compatible Low-Level Date Algorithms (`civil_from_days`).
fn write_date(days: i64, out: &mut String) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (sign, year) = if year < 0 { ("-", -year) } else { ("", year) };
    put(out, format_args!("{sign}{year:04}-{month:02}-{day:02}"));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array,
        StringArray, Time32MillisecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    };

    use super::*;

    fn texts(array: ArrayRef) -> [String; 2] {
        [Style::Cast, Style::Print].map(|style| {
            let column = ColumnText::new(array.as_ref(), style).unwrap();
            let mut out = String::new();
            column.write(0, &mut out);
            out
        })
    }

    #[test]
    fn values_are_written_as_flink_writes_them() {
        let millis = 1_700_000_000_000_i64;
        let ltz = |zone: &str| TimestampMillisecondArray::from(vec![millis]).with_timezone(zone);
        let decimal = |unscaled, scale| Decimal128Array::from(vec![unscaled]).with_precision_and_scale(20, scale);
        let cases: Vec<(ArrayRef, [&str; 2])> = vec![
            (Arc::new(BooleanArray::from(vec![true])), ["TRUE", "true"]),
            (Arc::new(Int64Array::from(vec![i64::MIN])), ["-9223372036854775808"; 2]),
            (Arc::new(Float64Array::from(vec![100.51])), ["100.51"; 2]),
            (Arc::new(Float32Array::from(vec![0.1])), ["0.1"; 2]),
            (Arc::new(Float64Array::from(vec![f64::NAN])), ["NaN", "NaN"]),
            (Arc::new(decimal(-5, 2).unwrap()), ["-0.05"; 2]),
            (Arc::new(decimal(12_345, 0).unwrap()), ["12345"; 2]),
            (Arc::new(decimal(0, 10).unwrap()), ["0.0000000000", "0E-10"]),
            (Arc::new(Date32Array::from(vec![19_675])), ["2023-11-14", "2023-11-14"]),
            (Arc::new(Time32MillisecondArray::from(vec![36_000_000])), ["10:00:00", "10:00"]),
            (
                Arc::new(TimestampMillisecondArray::from(vec![millis])),
                ["2023-11-14 22:13:20.000", "2023-11-14T22:13:20"],
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![-1_500_000])),
                ["1969-12-31 23:59:58.500000", "1969-12-31T23:59:58.500"],
            ),
            (Arc::new(ltz("Europe/Berlin")), ["2023-11-14 23:13:20.000", "2023-11-14T22:13:20Z"]),
            (Arc::new(StringArray::from(vec!["a\"\n\u{1}"])), ["a\"\n\u{1}", "a\"\n\u{1}"]),
            (Arc::new(BinaryArray::from(vec![&b"hi\xff"[..]])), ["x'6869ff'", "[104, 105, -1]"]),
        ];
        for (array, expected) in cases {
            assert_eq!(texts(Arc::clone(&array)), expected, "{array:?}");
        }
    }

    #[test]
    fn floats_are_written_as_java_writes_them() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (123_456.0, "123456.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e10, "1.25E10"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (-1.5e-300, "-1.5E-300"),
            (f64::MAX, "1.7976931348623157E308"),
        ] {
            let mut out = String::new();
            write_java_float(number, &format!("{number:e}"), &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn dates_far_away_are_written() {
        for (days, expected) in
            [(0, "1970-01-01"), (-719_468, "0000-03-01"), (-719_529, "-0001-12-31"), (2_932_896, "9999-12-31")]
        {
            let mut out = String::new();
            write_date(days, &mut out);
            assert_eq!(out, expected);
        }
        for extreme in [i64::MIN, i64::MAX] {
            let array: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![extreme]));
            assert!(texts(array).iter().all(|text| !text.is_empty()));
        }
    }
}
