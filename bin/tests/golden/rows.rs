//! Rows as golden files write them, and as the engine gives them.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};

/// Sums of doubles depend on the order of addition in their last digits.
const RELATIVE_TOLERANCE: f64 = 1e-9;

/// The fields of one row of text; `None` is NULL.
pub type Fields = Vec<Option<String>>;

/// A value as it is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// Equal or not.
    Exact(String),
    /// Equal within [`RELATIVE_TOLERANCE`].
    Double(f64),
}

/// What the rows of a result are made of, as far as comparing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it is written.
    Plain,
    /// Trailing zeros of the fraction say nothing.
    Time,
    /// A floating-point number.
    Double,
}

/// Rows of CSV: an empty field is NULL, a quoted empty one the empty string.
pub fn parse(text: &str) -> Vec<Fields> {
    let mut rows = Vec::new();
    let (mut row, mut field, mut is_quoted) = (Fields::new(), String::new(), false);
    let end_field = |row: &mut Fields, field: &mut String, is_quoted: &mut bool| {
        let text = std::mem::take(field);
        row.push((!text.is_empty() || *is_quoted).then_some(text));
        *is_quoted = false;
    };
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if field.is_empty() && !is_quoted => {
                is_quoted = true;
                while let Some(inner) = characters.next() {
                    match inner {
                        '"' if characters.peek() == Some(&'"') => field.extend(characters.next()),
                        '"' => break,
                        _ => field.push(inner),
                    }
                }
            }
            ',' => end_field(&mut row, &mut field, &mut is_quoted),
            '\n' => {
                end_field(&mut row, &mut field, &mut is_quoted);
                rows.push(std::mem::take(&mut row));
            }
            _ => field.push(character),
        }
    }
    assert!(row.is_empty() && field.is_empty() && !is_quoted, "rows end with a line end: {field:?}");
    rows
}

/// Expected rows as values of the given kinds; beyond the kinds' end, fields are plain.
pub fn expected(rows: &[Fields], kinds: &[Kind]) -> Vec<Vec<Value>> {
    let value = |column: usize, field: &Option<String>| match (field, kinds.get(column)) {
        (None, _) => Value::Null,
        (Some(text), Some(Kind::Double)) => text.parse().map_or_else(|_| Value::Exact(text.clone()), Value::Double),
        (Some(text), Some(Kind::Time)) => Value::Exact(trimmed(text)),
        (Some(text), _) => Value::Exact(text.clone()),
    };
    rows.iter().map(|row| row.iter().enumerate().map(|(column, field)| value(column, field)).collect()).collect()
}

/// What the columns of a result are.
pub fn kinds(batch: &RecordBatch) -> Vec<Kind> {
    let kind = |data_type: &DataType| match data_type {
        DataType::Float32 | DataType::Float64 => Kind::Double,
        DataType::Time32(_) | DataType::Timestamp(..) => Kind::Time,
        _ => Kind::Plain,
    };
    batch.schema().fields().iter().map(|field| kind(field.data_type())).collect()
}

/// The rows of a result.
pub fn actual(batch: &RecordBatch) -> Vec<Vec<Value>> {
    let rows = 0..batch.num_rows();
    rows.map(|row| batch.columns().iter().map(|column| value(column.as_ref(), row)).collect()).collect()
}

/// `None`, or what differs first, in words.
pub fn difference(mut actual: Vec<Vec<Value>>, mut expected: Vec<Vec<Value>>, is_ordered: bool) -> Option<String> {
    if !is_ordered {
        actual.sort_by(compare);
        expected.sort_by(compare);
    }
    let is_same_row = |(left, right): (&Vec<Value>, &Vec<Value>)| {
        left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_same(left, right))
    };
    let same = actual.iter().zip(&expected).take_while(|pair| is_same_row(*pair)).count();
    (same < actual.len().max(expected.len())).then(|| {
        let show = |rows: &[Vec<Value>]| rows.get(same).map_or("no such row".into(), |row| format!("{row:?}"));
        let (left, right) = (show(&actual), show(&expected));
        format!("row {} of {}:\n     got {left}\nexpected {right} (of {})", same + 1, actual.len(), expected.len())
    })
}

/// Values that may be off by a rounding come last, so that they do not tear rows apart that are otherwise equal.
fn compare(left: &Vec<Value>, right: &Vec<Value>) -> std::cmp::Ordering {
    let exact = |row: &Vec<Value>| -> Vec<Option<String>> {
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::Exact(text) => Some(text.clone()),
            Value::Double(_) => Some("~".into()),
        };
        row.iter().map(text).collect()
    };
    let doubles = |row: &Vec<Value>| -> Vec<f64> {
        row.iter().filter_map(|value| if let Value::Double(double) = value { Some(*double) } else { None }).collect()
    };
    exact(left).cmp(&exact(right)).then_with(|| {
        let pairs = doubles(left).into_iter().zip(doubles(right));
        pairs
            .map(|(left, right)| left.total_cmp(&right))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    })
}

fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Double(left), Value::Double(right)) => {
            left == right
                || (left.is_nan() && right.is_nan())
                || (left - right).abs() <= RELATIVE_TOLERANCE * left.abs().max(right.abs()).max(1e-3)
        }
        _ => left == right,
    }
}

/// Rows of a changelog key by key, those of one key as they came: keys are `columns` columns behind the first.
pub fn by_key(mut rows: Vec<Vec<Value>>, columns: usize) -> Vec<Vec<Value>> {
    rows.sort_by_cached_key(|row| format!("{:?}", &row[1..=columns]));
    rows
}

/// What is left of a changelog, whose first column is the kind of each row.
///
/// # Errors
/// If it takes back a row that is not there.
pub fn net(rows: Vec<Vec<Value>>) -> Result<Vec<Vec<Value>>, String> {
    let mut left: BTreeMap<String, Vec<Vec<Value>>> = BTreeMap::new();
    for mut row in rows {
        let kind = row.remove(0);
        let is_new = ["+I", "+U"].map(|kind| Value::Exact(kind.into())).contains(&kind);
        let key = format!("{row:?}");
        if is_new {
            left.entry(key).or_default().push(row);
        } else if left.get_mut(&key).and_then(Vec::pop).is_none() {
            return Err(format!("{kind:?} of {key}, which is not there"));
        }
    }
    Ok(left.into_values().flatten().collect())
}

/// One value of a column; independent of the engine's own way of writing results.
fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    let text = match column.data_type() {
        DataType::Float32 => return Value::Double(f64::from(column.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => return Value::Double(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Decimal128(_, scale) => decimal(column.as_primitive::<Decimal128Type>().value(row), *scale),
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).to_owned(),
        DataType::Utf8View => column.as_string_view().value(row).to_owned(),
        DataType::BinaryView => column.as_binary_view().value(row).iter().map(|byte| format!("{byte:02x}")).collect(),
        DataType::Date32 => date(column.as_primitive::<Date32Type>().value(row)),
        DataType::Time32(TimeUnit::Millisecond) => time(column.as_primitive::<Time32MillisecondType>().value(row)),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Millisecond => timestamp(column.as_primitive::<TimestampMillisecondType>().value(row), 1_000),
            TimeUnit::Microsecond => timestamp(column.as_primitive::<TimestampMicrosecondType>().value(row), 1_000_000),
            TimeUnit::Nanosecond => {
                timestamp(column.as_primitive::<TimestampNanosecondType>().value(row), 1_000_000_000)
            }
            TimeUnit::Second => unreachable!("no SQL type is kept in seconds"),
        },
        other => unreachable!("no SQL type is kept as {other}"),
    };
    Value::Exact(text)
}

fn decimal(unscaled: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).expect("scales of SQL are not negative");
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

fn date(days: i32) -> String {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");
    (epoch + TimeDelta::days(i64::from(days))).format("%Y-%m-%d").to_string()
}

fn time(ms: i32) -> String {
    trimmed(&(NaiveTime::MIN + TimeDelta::milliseconds(i64::from(ms))).format("%H:%M:%S%.9f").to_string())
}

fn timestamp(ticks: i64, ticks_per_second: i64) -> String {
    let nanos = ticks.rem_euclid(ticks_per_second) * (1_000_000_000 / ticks_per_second);
    let nanos = u32::try_from(nanos).expect("less than a second");
    let time =
        DateTime::from_timestamp(ticks.div_euclid(ticks_per_second), nanos).expect("a time that chrono can show");
    trimmed(&time.naive_utc().format("%Y-%m-%d %H:%M:%S%.9f").to_string())
}

/// A time without the zeros at the end of its fraction.
fn trimmed(time: &str) -> String {
    if time.contains('.') { time.trim_end_matches('0').trim_end_matches('.').to_owned() } else { time.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str, kinds: &[Kind]) -> Vec<Vec<Value>> {
        expected(&parse(text), kinds)
    }

    #[test]
    fn null_is_an_empty_field_and_a_quoted_one_is_not() {
        let rows = parse("a,,\"\"\n\"x \"\"y\"\", z\",\"two\nlines\",\n");
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(rows[0], [text("a"), None, text("")]);
        assert_eq!(rows[1], [text("x \"y\", z"), text("two\nlines"), None]);
    }

    #[test]
    fn rows_are_compared_as_a_multiset_unless_their_order_counts() {
        let (left, right) = (values("1,a\n2,b\n2,b\n", &[]), values("2,b\n1,a\n2,b\n", &[]));
        assert_eq!(difference(left.clone(), right.clone(), false), None);
        assert!(difference(left.clone(), right, true).is_some());
        assert!(difference(left.clone(), values("1,a\n1,a\n2,b\n", &[]), false).is_some());
        assert!(difference(left.clone(), values("1,a\n2,b\n", &[]), false).is_some());
        assert!(difference(values("1,a\n2,b\n", &[]), left, false).is_some());
    }

    #[test]
    fn doubles_may_be_off_by_a_rounding_and_nothing_else_may() {
        let kinds = [Kind::Plain, Kind::Double];
        let off = values("a,0.30000000000000004\nb,1\n", &kinds);
        assert_eq!(difference(off.clone(), values("b,1.0\na,0.3\n", &kinds), false), None);
        assert!(difference(off.clone(), values("b,1.0\na,0.3000001\n", &kinds), false).is_some());
        assert!(difference(off, values("b,1.0\na,\n", &kinds), false).is_some());
        assert!(difference(values("0.30000000000000004\n", &[]), values("0.3\n", &[]), false).is_some());
        assert_eq!(difference(values("NaN\n", &[Kind::Double]), values("NaN\n", &[Kind::Double]), false), None);
        assert!(difference(values("NaN\n", &[Kind::Double]), values("0\n", &[Kind::Double]), false).is_some());
    }

    #[test]
    fn what_is_taken_back_must_be_there() {
        let left = net(values("+I,a,1\n+I,b,1\n-U,a,1\n+U,a,2\n-D,b,1\n", &[])).expect("a changelog");
        assert_eq!(left, values("a,2\n", &[]));
        assert!(net(values("+I,a,1\n-U,a,2\n", &[])).is_err());
        assert!(net(values("-D,a,1\n+I,a,1\n", &[])).is_err());
    }

    #[test]
    fn times_and_decimals_are_written_as_sql_writes_them() {
        assert_eq!(decimal(-5, 3), "-0.005");
        assert_eq!(decimal(1234, 2), "12.34");
        assert_eq!(decimal(-7, 0), "-7");
        assert_eq!(timestamp(-1, 1_000), "1969-12-31 23:59:59.999");
        assert_eq!(timestamp(1_500, 1_000), "1970-01-01 00:00:01.5");
        assert_eq!(trimmed("1970-01-01 00:00:10.000"), "1970-01-01 00:00:10");
        assert_eq!(time(3_600_000), "01:00:00");
        assert_eq!(date(-1), "1969-12-31");
    }
}
