//! CAST and TRY_CAST.
//!
//! A value that the target type cannot hold is an error, and NULL under TRY_CAST. Flink differs in one place: there a
//! number that is too large for a narrower number type wraps around, or becomes NULL as a DECIMAL; here it is such an
//! error. The session's time zone is UTC.

mod castable;
mod named;
mod nested;
mod text;

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_schema::{DataType, TimeUnit};
use datafusion_expr::Expr;
use datafusion_expr::expr::ScalarFunction;

use self::castable::check;
pub(crate) use self::named::{CAST_TO, TRY_CAST_TO, functions, named_type};
pub(crate) use self::nested::pairs;
pub(crate) use self::text::writer;
use super::arithmetic::decimals::{fits, rescale, write_decimal};
use super::functions::binding::{Binding, Bound, Form, Nullness, Value};
use super::functions::calendar::DAY_NS;
use super::functions::columns::{
    Booleans, Bytes, Numbers, Strings, all_null, boolean_rows, bytes_rows, primitive_rows, string_rows,
};
use super::functions::moments::{joined, parse_date, parse_time, parse_timestamp, split, write_date};
use super::functions::numerals::{
    decimal_from_double, double_from_decimal, integer_from_decimal, parse_decimal, parse_double, parse_integer,
};
use super::types::FlinkType;
use crate::error::Result;

/// What a cast does with a value that has no counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// CAST.
    Error,
    /// TRY_CAST.
    Null,
}

/// `CAST(operand AS to)`, `TRY_CAST(operand AS to)`, or a cast that nobody wrote; the operand itself where the types are
/// the same already.
///
/// # Errors
/// If Flink has no such cast.
pub(crate) fn cast(operand: Expr, from: FlinkType, to: FlinkType, form: Form, on_failure: OnFailure) -> Result<Expr> {
    if from == to {
        return Ok(operand);
    }
    let name = if on_failure == OnFailure::Null { "TRY_CAST" } else { "CAST" };
    let binding = bind(from, to, on_failure)?;
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Bound::udf(name, form, binding), vec![operand])))
}

/// The kernel that casts.
///
/// # Errors
/// If Flink has no such cast.
pub(crate) fn bind(from: FlinkType, to: FlinkType, on_failure: OnFailure) -> Result<Binding> {
    check(from, to)?;
    let nullness = if on_failure == OnFailure::Null { Nullness::Possible } else { Nullness::OfArguments };
    let kernel = move |arguments: &[Value], rows: usize| convert(&arguments[0], rows, from, to, on_failure);
    Ok(Binding::strict(vec![from], to, kernel).with_nullness(nullness))
}

fn convert(
    value: &Value,
    rows: usize,
    from: FlinkType,
    to: FlinkType,
    on_failure: OnFailure,
) -> Result<ArrayRef, String> {
    if from == FlinkType::Null {
        return Ok(all_null(to, rows));
    }
    if is_widening(from, to) {
        return Ok(widened(value, to)?.array);
    }
    let failed = Failed { from, to, on_failure };
    match to {
        FlinkType::Boolean => to_boolean(value, rows, from, &failed),
        FlinkType::TinyInt => to_integer::<Int8Type>(value, rows, from, &failed),
        FlinkType::SmallInt => to_integer::<Int16Type>(value, rows, from, &failed),
        FlinkType::Int => to_integer::<Int32Type>(value, rows, from, &failed),
        FlinkType::BigInt => to_integer::<Int64Type>(value, rows, from, &failed),
        FlinkType::Float => to_double(value, from, |f| {
            primitive_rows::<Float32Type>(rows, to, |row| failed.or(f(row).map(|v| v.map(|v| v as f32))))
        }),
        FlinkType::Double => {
            to_double(value, from, |f| primitive_rows::<Float64Type>(rows, to, |row| failed.or(f(row))))
        }
        FlinkType::Decimal(precision, scale) => to_decimal(value, rows, from, (precision, scale), &failed),
        FlinkType::Char(_) | FlinkType::VarChar(_) => to_string(value, rows, from, to),
        FlinkType::Binary(_) | FlinkType::VarBinary(_) => to_bytes(value, rows, from, to),
        FlinkType::Date => to_date(value, rows, from, &failed),
        FlinkType::Time(digits) => to_time(value, rows, from, digits, &failed),
        FlinkType::Timestamp(digits) | FlinkType::TimestampLtz(digits) => match to.to_arrow() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                to_timestamp::<TimestampMillisecondType>(value, rows, from, digits, 1_000, &failed)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                to_timestamp::<TimestampMicrosecondType>(value, rows, from, digits, 1_000_000, &failed)
            }
            _ => to_timestamp::<TimestampNanosecondType>(value, rows, from, digits, 1_000_000_000, &failed),
        },
        FlinkType::Array(_) | FlinkType::Map(_) | FlinkType::Row(_) => {
            nested::to_nested(&value.array, from, to, on_failure)
        }
        FlinkType::IntervalYearMonth | FlinkType::IntervalDayTime | FlinkType::Null => {
            Err(format!("internal error: cast of {from} to {to}"))
        }
    }
}

/// Casts that cannot fail and that Arrow does in one plain loop.
fn is_widening(from: FlinkType, to: FlinkType) -> bool {
    match (from, to) {
        (from, to) if from.is_integer() && to.is_integer() => from.digits() <= to.digits(),
        (from, to) if from.is_integer() && to.is_approximate() => true,
        (FlinkType::Float, FlinkType::Double) => true,
        (from, FlinkType::Decimal(precision, scale)) if from.is_integer() => {
            from.digits().is_some_and(|(digits, _)| digits <= precision - scale)
        }
        _ => false,
    }
}

/// What becomes of a value that has no counterpart.
struct Failed {
    from: FlinkType,
    to: FlinkType,
    on_failure: OnFailure,
}

/// A value that has no counterpart, in words.
type Refusal = String;

impl Failed {
    /// The error of CAST, or the NULL of TRY_CAST.
    fn or<T>(&self, result: Result<Option<T>, Refusal>) -> Result<Option<T>, String> {
        match (result, self.on_failure) {
            (Ok(value), _) => Ok(value),
            (Err(_), OnFailure::Null) => Ok(None),
            (Err(value), OnFailure::Error) => {
                let (from, to) = (self.from, self.to);
                Err(if from.is_string() {
                    format!("{value} is not a value of {to}")
                } else {
                    format!("the {from} {value} does not fit {to}")
                })
            }
        }
    }
}

fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_MAX) {
        None => format!("'{text}'"),
        Some((at, _)) => format!("'{}…'", &text[..at]),
    }
}

/// Reads the cells of a column with `f`, which sees no NULL; what it refuses is shown by `show`.
macro_rules! cells {
    ($reader:expr, |$value:ident| $result:expr, $show:expr) => {{
        let reader = $reader;
        move |row: usize| match reader.get(row) {
            None => Ok(None),
            Some($value) => match $result {
                Some(result) => Ok(Some(result)),
                None => Err($show($value)),
            },
        }
    }};
}

fn show<T: ToString>(value: T) -> String {
    value.to_string()
}

fn show_decimal(scale: u8) -> impl Fn(i128) -> String {
    move |value| {
        let mut text = String::new();
        write_decimal(value, scale, &mut text);
        text
    }
}

fn to_boolean(value: &Value, rows: usize, from: FlinkType, failed: &Failed) -> Result<ArrayRef, String> {
    if from.is_string() {
        let cell = cells!(Strings::of(value), |text| parse_boolean(text), quoted);
        return boolean_rows(rows, |row| failed.or(cell(row)));
    }
    let wide = widened(value, FlinkType::BigInt)?;
    let numbers = Numbers::<Int64Type>::of(&wide);
    boolean_rows(rows, |row| Ok(numbers.get(row).map(|number| number != 0)))
}

fn parse_boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    let is = |names: &[&str]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    match (is(&["true", "t", "yes", "y", "1"]), is(&["false", "f", "no", "n", "0"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// The same column in a wider type.
fn widened(value: &Value, to: FlinkType) -> Result<Value, String> {
    let (array, to) = (&value.array, to.to_arrow());
    // What every row has a counterpart for needs no look at each of them.
    let array: ArrayRef = match (array.data_type(), &to) {
        (DataType::Int32, DataType::Int64) => {
            Arc::new(array.as_primitive::<Int32Type>().unary::<_, Int64Type>(i64::from))
        }
        (DataType::Int32, DataType::Float64) => {
            Arc::new(array.as_primitive::<Int32Type>().unary::<_, Float64Type>(f64::from))
        }
        (DataType::Int64, DataType::Float64) => {
            Arc::new(array.as_primitive::<Int64Type>().unary::<_, Float64Type>(|value| value as f64))
        }
        _ => arrow_cast::cast(array, &to).map_err(|error| error.to_string())?,
    };
    Ok(Value { array, is_scalar: value.is_scalar })
}

fn to_integer<T>(value: &Value, rows: usize, from: FlinkType, failed: &Failed) -> Result<ArrayRef, String>
where
    T: arrow_array::ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    let narrow = |wide: Option<i64>| wide.and_then(|wide| T::Native::try_from(wide).ok());
    let to = failed.to;
    match from {
        FlinkType::Boolean => {
            let values = Booleans::of(value);
            primitive_rows::<T>(rows, to, |row| Ok(values.get(row).and_then(|value| narrow(Some(i64::from(value))))))
        }
        from if from.is_string() => {
            let cell = cells!(Strings::of(value), |text| narrow(parse_integer(text)), quoted);
            primitive_rows::<T>(rows, to, |row| failed.or(cell(row)))
        }
        FlinkType::Decimal(_, scale) => {
            let cell = cells!(
                Numbers::<Decimal128Type>::of(value),
                |number| narrow(integer_from_decimal(number, scale)),
                show_decimal(scale)
            );
            primitive_rows::<T>(rows, to, |row| failed.or(cell(row)))
        }
        from if from.is_approximate() => {
            let wide = widened(value, FlinkType::Double)?;
            let cell = cells!(Numbers::<Float64Type>::of(&wide), |number| narrow(truncated(number)), show);
            primitive_rows::<T>(rows, to, |row| failed.or(cell(row)))
        }
        _ => {
            let wide = widened(value, FlinkType::BigInt)?;
            let cell = cells!(Numbers::<Int64Type>::of(&wide), |number| narrow(Some(number)), show);
            primitive_rows::<T>(rows, to, |row| failed.or(cell(row)))
        }
    }
}

/// The whole part of a number, if 64 bits hold it.
fn truncated(number: f64) -> Option<i64> {
    /// 2^63, which is out of range itself; its negative is not.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let whole = number.trunc();
    (-LIMIT..LIMIT).contains(&whole).then_some(whole as i64)
}

/// Calls `finish` with a function from rows to numbers.
fn to_double(
    value: &Value,
    from: FlinkType,
    finish: impl FnOnce(&dyn Fn(usize) -> Result<Option<f64>, Refusal>) -> Result<ArrayRef, String>,
) -> Result<ArrayRef, String> {
    match from {
        FlinkType::Boolean => {
            let values = Booleans::of(value);
            finish(&|row| Ok(values.get(row).map(|value| f64::from(u8::from(value)))))
        }
        FlinkType::Decimal(_, scale) => {
            let numbers = Numbers::<Decimal128Type>::of(value);
            finish(&|row| Ok(numbers.get(row).map(|number| double_from_decimal(number, scale))))
        }
        FlinkType::Double => {
            let numbers = Numbers::<Float64Type>::of(value);
            finish(&|row| Ok(numbers.get(row)))
        }
        _ => finish(&cells!(Strings::of(value), |text| parse_double(text), quoted)),
    }
}

fn to_decimal(
    value: &Value,
    rows: usize,
    from: FlinkType,
    (precision, scale): (u8, u8),
    failed: &Failed,
) -> Result<ArrayRef, String> {
    let to = failed.to;
    let scaled = |unscaled: i128, from_scale: u8| {
        rescale(unscaled, from_scale, scale).filter(|unscaled| fits(*unscaled, precision))
    };
    match from {
        FlinkType::Boolean => {
            let values = Booleans::of(value);
            primitive_rows::<Decimal128Type>(rows, to, |row| {
                failed.or(match values.get(row) {
                    None => Ok(None),
                    Some(value) => scaled(i128::from(value), 0).map(Some).ok_or_else(|| value.to_string()),
                })
            })
        }
        from if from.is_string() => {
            let cell = cells!(Strings::of(value), |text| parse_decimal(text, precision, scale), quoted);
            primitive_rows::<Decimal128Type>(rows, to, |row| failed.or(cell(row)))
        }
        FlinkType::Decimal(_, from_scale) => {
            let cell = cells!(
                Numbers::<Decimal128Type>::of(value),
                |number| scaled(number, from_scale),
                show_decimal(from_scale)
            );
            primitive_rows::<Decimal128Type>(rows, to, |row| failed.or(cell(row)))
        }
        FlinkType::Float => {
            // By the float's own shortest digits: 0.1 is 0.1, and not what it is as a double.
            let numbers = Numbers::<Float32Type>::of(value);
            let decimal = |number: f32| {
                let shortest = format!("{number:e}");
                if number.is_finite() { parse_decimal(&shortest, precision, scale) } else { None }
            };
            let cell = cells!(numbers, |number| decimal(number), show);
            primitive_rows::<Decimal128Type>(rows, to, |row| failed.or(cell(row)))
        }
        FlinkType::Double => {
            let cell =
                cells!(Numbers::<Float64Type>::of(value), |number| decimal_from_double(number, precision, scale), show);
            primitive_rows::<Decimal128Type>(rows, to, |row| failed.or(cell(row)))
        }
        _ => {
            let wide = widened(value, FlinkType::BigInt)?;
            let cell = cells!(Numbers::<Int64Type>::of(&wide), |number| scaled(i128::from(number), 0), show);
            primitive_rows::<Decimal128Type>(rows, to, |row| failed.or(cell(row)))
        }
    }
}

fn to_string(value: &Value, rows: usize, from: FlinkType, to: FlinkType) -> Result<ArrayRef, String> {
    let write = writer(value, from)?;
    let (length, is_padded) = match to {
        FlinkType::Char(length) => (length as usize, true),
        FlinkType::VarChar(length) => (length as usize, false),
        _ => (usize::MAX, false),
    };
    if from.is_string() && to == FlinkType::STRING && !value.is_scalar {
        return Ok(Arc::clone(&value.array));
    }
    string_rows(rows, |row, out| {
        if value.is_null(row) {
            return Ok(false);
        }
        write(row, out);
        let count = if out.len() < length && !is_padded { 0 } else { out.chars().count() };
        if count > length {
            let end = out.char_indices().nth(length).map_or(out.len(), |(at, _)| at);
            out.truncate(end);
        } else if is_padded {
            out.extend(std::iter::repeat_n(' ', length - count));
        }
        Ok(true)
    })
}

fn to_bytes(value: &Value, rows: usize, from: FlinkType, to: FlinkType) -> Result<ArrayRef, String> {
    let (length, is_padded) = match to {
        FlinkType::Binary(length) => (length as usize, true),
        FlinkType::VarBinary(length) => (length as usize, false),
        _ => (usize::MAX, false),
    };
    let write = |bytes: Option<&[u8]>, out: &mut Vec<u8>| {
        let Some(bytes) = bytes else { return Ok(false) };
        out.extend_from_slice(&bytes[..bytes.len().min(length)]);
        if is_padded {
            out.resize(length, 0);
        }
        Ok(true)
    };
    if from.is_string() {
        let strings = Strings::of(value);
        return bytes_rows(rows, |row, out| write(strings.get(row).map(str::as_bytes), out));
    }
    let bytes = Bytes::of(value);
    bytes_rows(rows, |row, out| write(bytes.get(row), out))
}

/// Days and nanoseconds of the day of each row of a column of timestamps.
pub(crate) fn moments(value: &Value) -> Result<impl Fn(usize) -> Option<(i64, i64)> + '_, String> {
    let (values, per_second) = match value.array.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            (value.array.as_primitive::<TimestampMillisecondType>().values(), 1_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            (value.array.as_primitive::<TimestampMicrosecondType>().values(), 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            (value.array.as_primitive::<TimestampNanosecondType>().values(), 1_000_000_000)
        }
        other => return Err(format!("internal error: {other} is no timestamp")),
    };
    Ok(move |row: usize| (!value.is_null(row)).then(|| split(values[row * value.stride()], per_second)))
}

fn to_date(value: &Value, rows: usize, from: FlinkType, failed: &Failed) -> Result<ArrayRef, String> {
    if from.is_string() {
        let cell = cells!(Strings::of(value), |text| parse_date(text), quoted);
        return primitive_rows::<Date32Type>(rows, failed.to, |row| failed.or(cell(row)));
    }
    let moment = moments(value)?;
    primitive_rows::<Date32Type>(rows, failed.to, |row| {
        failed.or(match moment(row) {
            None => Ok(None),
            Some((days, _)) => i32::try_from(days).map(Some).map_err(|_| "with this day".to_owned()),
        })
    })
}

fn to_time(value: &Value, rows: usize, from: FlinkType, digits: u8, failed: &Failed) -> Result<ArrayRef, String> {
    let unit = 10_i32.pow(3 - u32::from(digits.min(3)));
    let cut = |ms: i32| ms - ms.rem_euclid(unit);
    if from.is_string() {
        let cell = cells!(Strings::of(value), |text| parse_time(text).map(cut), quoted);
        return primitive_rows::<Time32MillisecondType>(rows, failed.to, |row| failed.or(cell(row)));
    }
    if let FlinkType::Time(_) = from {
        let times = Numbers::<Time32MillisecondType>::of(value);
        return primitive_rows::<Time32MillisecondType>(rows, failed.to, |row| Ok(times.get(row).map(cut)));
    }
    let moment = moments(value)?;
    primitive_rows::<Time32MillisecondType>(rows, failed.to, |row| {
        Ok(moment(row).map(|(_, nanos)| cut((nanos / 1_000_000) as i32)))
    })
}

fn to_timestamp<T>(
    value: &Value,
    rows: usize,
    from: FlinkType,
    digits: u8,
    units_per_second: i64,
    failed: &Failed,
) -> Result<ArrayRef, String>
where
    T: arrow_array::ArrowPrimitiveType<Native = i64>,
{
    let nanos_kept = 10_i64.pow(9 - u32::from(digits.min(9)));
    let join = |(days, nanos): (i64, i64)| joined(days, nanos - nanos % nanos_kept, units_per_second);
    if from.is_string() {
        let cell = cells!(Strings::of(value), |text| parse_timestamp(text).and_then(join), quoted);
        return primitive_rows::<T>(rows, failed.to, |row| failed.or(cell(row)));
    }
    let cell: Box<dyn Fn(usize) -> Option<(i64, i64)>> = match from {
        FlinkType::Date => {
            let dates = Numbers::<Date32Type>::of(value);
            Box::new(move |row| dates.get(row).map(|days| (i64::from(days), 0)))
        }
        FlinkType::Time(_) => {
            let times = Numbers::<Time32MillisecondType>::of(value);
            Box::new(move |row| times.get(row).map(|ms| (0, (i64::from(ms) * 1_000_000).rem_euclid(DAY_NS))))
        }
        _ => Box::new(moments(value)?),
    };
    primitive_rows::<T>(rows, failed.to, |row| {
        failed.or(match cell(row) {
            None => Ok(None),
            Some(moment) => join(moment).map(Some).ok_or_else(|| {
                let mut text = String::new();
                write_date(moment.0, &mut text);
                text
            }),
        })
    })
}
