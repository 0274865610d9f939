//! Values as text, as CAST to STRING writes them.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMillisecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalYearMonthType, Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use crate::sql::arithmetic::decimals::write_decimal;
use crate::sql::functions::binding::Value;
use crate::sql::functions::calendar::DAY_MS;
use crate::sql::functions::columns::{Booleans, Bytes, Numbers, Strings};
use crate::sql::functions::moments::{write_date, write_time_of_day, write_timestamp};
use crate::sql::functions::numerals::{write_double, write_float};
use crate::sql::types::FlinkType;

/// Appends the text of a row's value, which is not NULL.
type Writer<'a> = Box<dyn Fn(usize, &mut String) + 'a>;

/// Writes values as CAST to STRING does.
pub(crate) fn writer(value: &Value, from: FlinkType) -> Result<Writer<'_>, String> {
    macro_rules! numbers {
        ($kind:ty, |$value:ident, $out:ident| $write:expr) => {{
            let numbers = Numbers::<$kind>::of(value);
            Box::new(move |row, $out: &mut String| {
                if let Some($value) = numbers.get(row) {
                    $write
                }
            })
        }};
    }
    macro_rules! integers {
        ($kind:ty) => {
            numbers!($kind, |number, out| out.push_str(itoa::Buffer::new().format(number)))
        };
    }
    Ok(match from {
        FlinkType::Boolean => {
            let values = Booleans::of(value);
            Box::new(move |row, out| out.push_str(if values.get(row) == Some(true) { "TRUE" } else { "FALSE" }))
        }
        FlinkType::TinyInt => integers!(Int8Type),
        FlinkType::SmallInt => integers!(Int16Type),
        FlinkType::Int => integers!(Int32Type),
        FlinkType::BigInt => integers!(Int64Type),
        FlinkType::Float => numbers!(Float32Type, |number, out| write_float(number, out)),
        FlinkType::Double => numbers!(Float64Type, |number, out| write_double(number, out)),
        FlinkType::Decimal(_, scale) => numbers!(Decimal128Type, |number, out| write_decimal(number, scale, out)),
        FlinkType::Char(_) | FlinkType::VarChar(_) => {
            let strings = Strings::of(value);
            Box::new(move |row, out| out.push_str(strings.get(row).unwrap_or_default()))
        }
        FlinkType::Binary(_) | FlinkType::VarBinary(_) => {
            let bytes = Bytes::of(value);
            Box::new(move |row, out| out.push_str(&String::from_utf8_lossy(bytes.get(row).unwrap_or_default())))
        }
        FlinkType::Date => numbers!(Date32Type, |days, out| write_date(i64::from(days), out)),
        FlinkType::Time(digits) => numbers!(Time32MillisecondType, |ms, out| write_time_of_day(ms, digits, out)),
        FlinkType::Timestamp(digits) | FlinkType::TimestampLtz(digits) => match from.to_arrow() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                numbers!(TimestampMillisecondType, |time, out| write_timestamp(time, 1_000, digits, out))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                numbers!(TimestampMicrosecondType, |time, out| write_timestamp(time, 1_000_000, digits, out))
            }
            _ => numbers!(TimestampNanosecondType, |time, out| write_timestamp(time, 1_000_000_000, digits, out)),
        },
        FlinkType::IntervalYearMonth => numbers!(IntervalYearMonthType, |months, out| {
            let sign = if months < 0 { '-' } else { '+' };
            let months = months.unsigned_abs();
            out.push_str(&format!("{sign}{}-{:02}", months / 12, months % 12));
        }),
        FlinkType::IntervalDayTime => numbers!(DurationMillisecondType, |ms, out| {
            let sign = if ms < 0 { '-' } else { '+' };
            let ms = ms.unsigned_abs();
            let (hours, minutes, seconds) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60);
            let days = ms / DAY_MS.unsigned_abs();
            out.push_str(&format!("{sign}{days} {hours:02}:{minutes:02}:{seconds:02}.{:03}", ms % 1_000));
        }),
        FlinkType::Array(_) | FlinkType::Map(_) | FlinkType::Row(_) => {
            Box::new(move |row, out| write_nested(&value.array, row * value.stride(), from, out))
        }
        FlinkType::Null => Box::new(|_, _| {}),
    })
}

/// `[1, 2]`, `{k=1}`, `(1, a)`. Type by type: the values within are few, and their writers are made for each.
fn write_nested(array: &ArrayRef, row: usize, flink: FlinkType, out: &mut String) {
    match flink {
        FlinkType::Array(element) => {
            let values = array.as_list::<i32>().value(row);
            out.push('[');
            write_listed(out, values.len(), |index, out| write_within(&values, index, element.flink, out));
            out.push(']');
        }
        FlinkType::Map(map) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            out.push('{');
            write_listed(out, entries.len(), |index, out| {
                write_within(keys, index, map.key, out);
                out.push('=');
                write_within(values, index, map.value.flink, out);
            });
            out.push('}');
        }
        FlinkType::Row(of) => {
            let columns = array.as_struct().columns();
            out.push('(');
            write_listed(out, columns.len(), |field, out| {
                write_within(&columns[field], row, of.fields[field].value.flink, out);
            });
            out.push(')');
        }
        _ => {}
    }
}

fn write_listed(out: &mut String, count: usize, mut write: impl FnMut(usize, &mut String)) {
    for index in 0..count {
        if index > 0 {
            out.push_str(", ");
        }
        write(index, out);
    }
}

fn write_within(array: &ArrayRef, row: usize, flink: FlinkType, out: &mut String) {
    if flink == FlinkType::Null || array.is_null(row) {
        out.push_str("NULL");
    } else if flink.is_nested() {
        write_nested(array, row, flink, out);
    } else if let Ok(write) = writer(&Value::column(array.slice(row, 1)), flink) {
        write(0, out);
    }
}
