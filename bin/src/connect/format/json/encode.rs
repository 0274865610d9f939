//! Batches to JSON: one object for each row, on a line of its own, with the text forms of Flink.
//!
//! A record that is written is read back as the same values: numbers have all their digits, strings are escaped, and what
//! JSON has no number for (`NaN`, `Infinity`) is a string. Fractions of a second have as many digits as they need.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::options::JsonOptions;
use super::text::{self, write_string};
use crate::connect::format::csv::type_name;
use crate::connect::{Encoder, MakeEncoder};
use crate::error::{Error, Result};

/// Which keys a MAP may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKeys {
    /// Strings, which are read back as they were: for tables.
    Strings,
    /// Any, written as their text: for people.
    Any,
}

/// Writes rows, each ended by a newline.
pub struct JsonEncoder {
    fields: Vec<Shape>,
    options: JsonOptions,
}

impl JsonEncoder {
    /// An encoder for batches of this schema.
    ///
    /// # Errors
    /// `Statement`, if JSON cannot hold one of the columns.
    pub fn new(schema: &Schema, options: &JsonOptions, keys: MapKeys) -> Result<Self> {
        Ok(Self { fields: shapes(schema.fields(), keys)?, options: options.clone() })
    }
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = self.fields.iter().zip(batch.columns());
        let fields = columns.map(|(shape, column)| Cells::new(column.as_ref(), shape)).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            write_object(&fields, row, &self.options, out);
            out.push(b'\n');
        }
        Ok(())
    }
}

/// Makes the encoder of each worker.
///
/// # Errors
/// As for [`JsonEncoder::new`].
pub fn json_encoder(schema: &SchemaRef, options: &JsonOptions, keys: MapKeys) -> Result<MakeEncoder> {
    JsonEncoder::new(schema, options, keys)?;
    let (schema, options) = (Arc::clone(schema), options.clone());
    Ok(Arc::new(move || {
        Box::new(JsonEncoder::new(&schema, &options, keys).expect("the same columns were accepted above"))
    }))
}

/// What is known of a column before there are values.
struct Shape {
    /// `"name":`.
    key: Vec<u8>,
    /// The columns in it.
    parts: Vec<Shape>,
}

fn shapes(fields: &Fields, keys: MapKeys) -> Result<Vec<Shape>> {
    fields.iter().map(|field| Shape::new(field, keys)).collect()
}

impl Shape {
    fn new(field: &Field, keys: MapKeys) -> Result<Self> {
        let parts = match field.data_type() {
            DataType::Struct(fields) => shapes(fields, keys)?,
            DataType::List(element) => vec![Self::new(element, keys)?],
            DataType::Map(entry, _) => match entry.data_type() {
                DataType::Struct(fields) if keys == MapKeys::Any || is_text(fields[0].data_type()) => {
                    shapes(fields, keys)?
                }
                _ => return Err(not_written(field, "keys of objects are strings: CAST the keys to STRING")),
            },
            other if is_scalar(other) => Vec::new(),
            _ => return Err(not_written(field, "CAST it to STRING in the query")),
        };
        let mut key = Vec::new();
        write_string(field.name().as_bytes(), &mut key);
        key.push(b':');
        Ok(Self { key, parts })
    }
}

fn not_written(field: &Field, help: &str) -> Error {
    let (name, type_name) = (field.name(), type_name(field.data_type()));
    Error::statement(format!("column `{name}` of type {type_name} cannot be written as JSON")).help(help.to_owned())
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8)
}

fn is_scalar(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, Boolean, Date32, Decimal128, Float32, Float64, LargeBinary, Null};
    use DataType::{Time32, Time64, Timestamp};
    data_type.is_integer()
        || is_text(data_type)
        || matches!(data_type, Null | Boolean | Float32 | Float64 | Decimal128(..) | Date32)
        || matches!(data_type, Time32(_) | Time64(_) | Timestamp(..) | Binary | LargeBinary | BinaryView)
}

/// A column of a batch, its type looked up once.
struct Cells<'a> {
    shape: &'a Shape,
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Null,
    Boolean(&'a arrow_array::BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal(&'a [i128], i8),
    Date(&'a [i32]),
    /// Units per second follow.
    Time32(&'a [i32], i64),
    Time64(&'a [i64], i64),
    /// And what ends the text.
    Timestamp(&'a [i64], i64, &'static [u8]),
    Utf8View(&'a arrow_array::StringViewArray),
    Utf8(&'a arrow_array::StringArray),
    LargeUtf8(&'a arrow_array::LargeStringArray),
    BinaryView(&'a arrow_array::BinaryViewArray),
    Binary(&'a arrow_array::BinaryArray),
    LargeBinary(&'a arrow_array::LargeBinaryArray),
    Row(Vec<Cells<'a>>),
    /// Where the values start and end among the elements.
    Array(&'a [i32], Box<Cells<'a>>),
    /// The same, with keys and values.
    Map(&'a [i32], Box<Cells<'a>>, Box<Cells<'a>>),
}

impl<'a> Cells<'a> {
    fn new(column: &'a dyn Array, shape: &'a Shape) -> Result<Self> {
        let values = match column.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Boolean(column.as_boolean()),
            DataType::Int8 => Values::Int8(values::<Int8Type>(column)),
            DataType::Int16 => Values::Int16(values::<Int16Type>(column)),
            DataType::Int32 => Values::Int32(values::<Int32Type>(column)),
            DataType::Int64 => Values::Int64(values::<Int64Type>(column)),
            DataType::UInt8 => Values::UInt8(values::<UInt8Type>(column)),
            DataType::UInt16 => Values::UInt16(values::<UInt16Type>(column)),
            DataType::UInt32 => Values::UInt32(values::<UInt32Type>(column)),
            DataType::UInt64 => Values::UInt64(values::<UInt64Type>(column)),
            DataType::Float32 => Values::Float32(values::<Float32Type>(column)),
            DataType::Float64 => Values::Float64(values::<Float64Type>(column)),
            DataType::Decimal128(_, scale) => Values::Decimal(values::<Decimal128Type>(column), *scale),
            DataType::Utf8View => Values::Utf8View(column.as_string_view()),
            DataType::Utf8 => Values::Utf8(column.as_string()),
            DataType::LargeUtf8 => Values::LargeUtf8(column.as_string()),
            DataType::BinaryView => Values::BinaryView(column.as_binary_view()),
            DataType::Binary => Values::Binary(column.as_binary()),
            DataType::LargeBinary => Values::LargeBinary(column.as_binary()),
            DataType::Struct(_) | DataType::List(_) | DataType::Map(..) => Self::nested(column, shape)?,
            _ => Self::temporal(column)?,
        };
        Ok(Self { shape, nulls: column.nulls(), values })
    }

    fn nested(column: &'a dyn Array, shape: &'a Shape) -> Result<Values<'a>> {
        let unknown = || Error::internal("a batch that is not of its schema reached the encoder of JSON");
        Ok(match column.data_type() {
            DataType::Struct(_) => {
                let columns = column.as_struct().columns().iter();
                let parts = shape.parts.iter().zip(columns).map(|(shape, column)| Self::new(column.as_ref(), shape));
                Values::Row(parts.collect::<Result<Vec<_>>>()?)
            }
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                let shape = shape.parts.first().ok_or_else(unknown)?;
                Values::Array(list.value_offsets(), Box::new(Self::new(list.values().as_ref(), shape)?))
            }
            _ => {
                let map = column.as_map();
                let [key, value] = &shape.parts[..] else { return Err(unknown()) };
                let keys = Self::new(map.keys().as_ref(), key)?;
                Values::Map(map.value_offsets(), Box::new(keys), Box::new(Self::new(map.values().as_ref(), value)?))
            }
        })
    }

    fn temporal(column: &'a dyn Array) -> Result<Values<'a>> {
        Ok(match column.data_type() {
            DataType::Date32 => Values::Date(values::<Date32Type>(column)),
            DataType::Time32(TimeUnit::Second) => Values::Time32(values::<Time32SecondType>(column), 1),
            DataType::Time32(_) => Values::Time32(values::<Time32MillisecondType>(column), 1_000),
            DataType::Time64(TimeUnit::Microsecond) => {
                Values::Time64(values::<Time64MicrosecondType>(column), 1_000_000)
            }
            DataType::Time64(_) => Values::Time64(values::<Time64NanosecondType>(column), 1_000_000_000),
            DataType::Timestamp(unit, zone) => {
                let suffix: &'static [u8] = if zone.is_some() { b"Z" } else { b"" };
                let (values, per_second) = match unit {
                    TimeUnit::Second => (values::<TimestampSecondType>(column), 1),
                    TimeUnit::Millisecond => (values::<TimestampMillisecondType>(column), 1_000),
                    TimeUnit::Microsecond => (values::<TimestampMicrosecondType>(column), 1_000_000),
                    TimeUnit::Nanosecond => (values::<TimestampNanosecondType>(column), 1_000_000_000),
                };
                Values::Timestamp(values, per_second, suffix)
            }
            other => return Err(Error::internal(format!("a column of type {other} reached the encoder of JSON"))),
        })
    }

    #[inline]
    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row)) || matches!(self.values, Values::Null)
    }

    fn write(&self, row: usize, options: &JsonOptions, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.values {
            Values::Int64(values) => text::integer(values[row], out),
            Values::Float64(values) => text::double(values[row], out),
            Values::Utf8View(values) => write_string(values.value(row).as_bytes(), out),
            Values::Timestamp(values, per_second, suffix) => {
                let separator = options.timestamps.separator();
                text::timestamp(values[row], *per_second, separator, suffix, out);
            }
            Values::Null => out.extend_from_slice(b"null"),
            Values::Boolean(values) => out.extend_from_slice(if values.value(row) { b"true" } else { b"false" }),
            Values::Int8(values) => text::integer(values[row], out),
            Values::Int16(values) => text::integer(values[row], out),
            Values::Int32(values) => text::integer(values[row], out),
            Values::UInt8(values) => text::integer(values[row], out),
            Values::UInt16(values) => text::integer(values[row], out),
            Values::UInt32(values) => text::integer(values[row], out),
            Values::UInt64(values) => text::integer(values[row], out),
            Values::Float32(values) => text::float(values[row], out),
            Values::Decimal(values, scale) => text::decimal(values[row], *scale, options.writes_plain_decimals, out),
            Values::Date(values) => text::date(i64::from(values[row]), out),
            Values::Time32(values, per_second) => text::time(i64::from(values[row]), *per_second, out),
            Values::Time64(values, per_second) => text::time(values[row], *per_second, out),
            Values::Utf8(values) => write_string(values.value(row).as_bytes(), out),
            Values::LargeUtf8(values) => write_string(values.value(row).as_bytes(), out),
            Values::BinaryView(values) => text::bytes(values.value(row), out),
            Values::Binary(values) => text::bytes(values.value(row), out),
            Values::LargeBinary(values) => text::bytes(values.value(row), out),
            Values::Row(fields) => write_object(fields, row, options, out),
            Values::Array(offsets, elements) => write_array(elements, range(offsets, row), options, out),
            Values::Map(offsets, keys, values) => write_map((keys, values), range(offsets, row), options, out),
        }
    }
}

fn values<T: ArrowPrimitiveType>(column: &dyn Array) -> &[T::Native] {
    column.as_primitive::<T>().values()
}

fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

fn write_object(fields: &[Cells<'_>], row: usize, options: &JsonOptions, out: &mut Vec<u8>) {
    let mut before = b'{';
    for field in fields {
        if options.omits_null_fields && field.is_null(row) {
            continue;
        }
        out.push(before);
        before = b',';
        out.extend_from_slice(&field.shape.key);
        field.write(row, options, out);
    }
    if before == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

fn write_array(elements: &Cells<'_>, rows: std::ops::Range<usize>, options: &JsonOptions, out: &mut Vec<u8>) {
    out.push(b'[');
    for (number, row) in rows.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        elements.write(row, options, out);
    }
    out.push(b']');
}

fn write_map(
    (keys, values): (&Cells<'_>, &Cells<'_>),
    rows: std::ops::Range<usize>,
    options: &JsonOptions,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    for (number, row) in rows.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        let start = out.len();
        keys.write(row, options, out);
        if out[start] != b'"' {
            let key = out.split_off(start);
            write_string(&key, out);
        }
        out.push(b':');
        values.write(row, options, out);
    }
    out.push(b'}');
}
