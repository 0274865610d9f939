//! Columns of a batch as CSV writes them: one row's field, or the texts of many rows at once.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};

use super::base64;
use super::style::{Nested, Style, Unwritable};
use super::text_form::{DateWriter, ShortText, decimal, float, integer, scientific, time};
use crate::error::{Error, Result};

/// A column of a batch, its type looked up once.
pub struct Cells<'a> {
    /// Which rows are NULL.
    pub nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Null,
    Boolean(&'a arrow_array::BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt64(&'a [u64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal(&'a [i128], i8),
    ScientificDecimal(&'a [i128], i8),
    Date(&'a [i32]),
    Time(Times<'a>),
    /// With what follows it.
    Timestamp(&'a [i64], TimeUnit, &'static [u8]),
    Utf8View(&'a arrow_array::StringViewArray),
    Utf8(&'a arrow_array::StringArray),
    LargeUtf8(&'a arrow_array::LargeStringArray),
    BinaryView(&'a arrow_array::BinaryViewArray),
    Binary(&'a arrow_array::BinaryArray),
    LargeBinary(&'a arrow_array::LargeBinaryArray),
    /// Where each ARRAY's elements start and end, and the elements.
    Array(&'a [i32], Box<Cells<'a>>),
    /// The fields of each ROW.
    Row(Vec<Cells<'a>>),
}

/// Times of day, by their unit.
#[derive(Clone, Copy)]
enum Times<'a> {
    Seconds(&'a [i32]),
    Millis(&'a [i32]),
    Micros(&'a [i64]),
    Nanos(&'a [i64]),
}

impl<'a> Cells<'a> {
    /// The cells of a column that is to be written in a style.
    ///
    /// # Errors
    /// `Internal`, for a type that CSV does not have.
    pub fn new(column: &'a dyn Array, style: &Style) -> Result<Self> {
        let values = match column.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Boolean(column.as_boolean()),
            DataType::Int8 => Values::Int8(column.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Values::Int16(column.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Values::Int32(column.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Values::Int64(column.as_primitive::<Int64Type>().values()),
            DataType::UInt64 => Values::UInt64(column.as_primitive::<UInt64Type>().values()),
            DataType::Float32 => Values::Float32(column.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Values::Float64(column.as_primitive::<Float64Type>().values()),
            DataType::List(_) => {
                let lists = column.as_list::<i32>();
                Values::Array(lists.value_offsets(), Box::new(Self::new(lists.values().as_ref(), style)?))
            }
            DataType::Struct(_) => {
                let fields = column.as_struct().columns().iter().map(|field| Self::new(field.as_ref(), style));
                Values::Row(fields.collect::<Result<_>>()?)
            }
            DataType::Decimal128(_, scale) if style.scientific_decimals => {
                Values::ScientificDecimal(column.as_primitive::<Decimal128Type>().values(), *scale)
            }
            DataType::Decimal128(_, scale) => Values::Decimal(column.as_primitive::<Decimal128Type>().values(), *scale),
            DataType::Utf8View => Values::Utf8View(column.as_string_view()),
            DataType::Utf8 => Values::Utf8(column.as_string()),
            DataType::LargeUtf8 => Values::LargeUtf8(column.as_string()),
            DataType::BinaryView => Values::BinaryView(column.as_binary_view()),
            DataType::Binary => Values::Binary(column.as_binary()),
            DataType::LargeBinary => Values::LargeBinary(column.as_binary()),
            _ => Self::temporal(column)?,
        };
        Ok(Self { nulls: column.nulls(), values })
    }

    fn temporal(column: &'a dyn Array) -> Result<Values<'a>> {
        use Times::{Micros, Millis, Nanos, Seconds};
        Ok(match column.data_type() {
            DataType::Date32 => Values::Date(column.as_primitive::<Date32Type>().values()),
            DataType::Time32(TimeUnit::Second) => {
                Values::Time(Seconds(column.as_primitive::<Time32SecondType>().values()))
            }
            DataType::Time32(_) => Values::Time(Millis(column.as_primitive::<Time32MillisecondType>().values())),
            DataType::Time64(TimeUnit::Microsecond) => {
                Values::Time(Micros(column.as_primitive::<Time64MicrosecondType>().values()))
            }
            DataType::Time64(_) => Values::Time(Nanos(column.as_primitive::<Time64NanosecondType>().values())),
            DataType::Timestamp(unit, zone) => {
                let suffix: &'static [u8] = if zone.is_some() { b"Z" } else { b"" };
                let values: &[i64] = match unit {
                    TimeUnit::Second => column.as_primitive::<TimestampSecondType>().values(),
                    TimeUnit::Millisecond => column.as_primitive::<TimestampMillisecondType>().values(),
                    TimeUnit::Microsecond => column.as_primitive::<TimestampMicrosecondType>().values(),
                    TimeUnit::Nanosecond => column.as_primitive::<TimestampNanosecondType>().values(),
                };
                Values::Timestamp(values, *unit, suffix)
            }
            other => return Err(Error::internal(format!("a column of type {other} reached the encoder of CSV"))),
        })
    }

    /// Writes the field of a row.
    ///
    /// # Errors
    /// If it would not be read as what it is.
    pub fn write(&self, row: usize, style: &Style, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(&style.null_literal);
            return Ok(());
        }
        match &self.values {
            Values::Utf8View(values) => style.text(values.value(row).as_bytes(), out),
            Values::Utf8(values) => style.text(values.value(row).as_bytes(), out),
            Values::LargeUtf8(values) => style.text(values.value(row).as_bytes(), out),
            Values::Null => {
                out.extend_from_slice(&style.null_literal);
                Ok(())
            }
            Values::Array(offsets, elements) => {
                let rows = offsets[row] as usize..offsets[row + 1] as usize;
                style.elements(rows.map(|row| (elements.as_ref(), row)), Nested::Array, out)
            }
            Values::Row(fields) => style.elements(fields.iter().map(|field| (field, row)), Nested::Row, out),
            _ => style.value(out, |out| self.write_value(row, out)),
        }
    }

    /// Strings of at most twelve bytes are in these views themselves; none for other types.
    pub fn views(&self) -> Option<&'a [u128]> {
        match &self.values {
            Values::Utf8View(values) => Some(values.views()),
            _ => None,
        }
    }

    /// Writes an element of an ARRAY or ROW as it stands; says whether it is NULL, and whether it is a string.
    pub fn write_element(&self, row: usize, null_literal: &[u8], out: &mut Vec<u8>) -> (bool, bool) {
        let text = match &self.values {
            Values::Utf8View(values) => Some(values.value(row)),
            Values::Utf8(values) => Some(values.value(row)),
            Values::LargeUtf8(values) => Some(values.value(row)),
            _ => None,
        };
        let is_null = matches!(self.values, Values::Null) || self.nulls.is_some_and(|nulls| nulls.is_null(row));
        match text {
            _ if is_null => out.extend_from_slice(null_literal),
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => self.write_value(row, out),
        }
        (is_null, text.is_some())
    }

    fn write_value(&self, row: usize, out: &mut Vec<u8>) {
        let mut text = [ShortText::default()];
        if self.short_texts(row, &mut DateWriter::default(), &mut text) {
            return out.extend_from_slice(text[0].bytes());
        }
        match &self.values {
            Values::Decimal(values, scale) => decimal(values[row], *scale, out),
            Values::ScientificDecimal(values, scale) => scientific(values[row], *scale, out),
            Values::BinaryView(values) => base64::encode(values.value(row), out),
            Values::Binary(values) => base64::encode(values.value(row), out),
            Values::LargeBinary(values) => base64::encode(values.value(row), out),
            // One level of elements is all that is accepted.
            _ => {}
        }
    }

    /// Whether all values are short.
    pub fn is_short(&self) -> bool {
        self.short_texts(0, &mut DateWriter::default(), &mut [])
    }

    /// The texts of the values from row `first` on, as many as `out` has places; for a row that is NULL, any. `false`, and
    /// nothing done, for values that may be long.
    pub fn short_texts(&self, first: usize, dates: &mut DateWriter, out: &mut [ShortText]) -> bool {
        match &self.values {
            Values::Boolean(values) => {
                let [yes, no] = [b"true" as &[u8], b"false"].map(|text| ShortText::of(text).unwrap_or_default());
                let each = out.iter_mut().zip(first..);
                each.for_each(|(text, row)| *text = if values.value(row) { yes } else { no });
            }
            Values::Int8(values) => fill(values, first, out, integer),
            Values::Int16(values) => fill(values, first, out, integer),
            Values::Int32(values) => fill(values, first, out, integer),
            Values::Int64(values) => fill(values, first, out, integer),
            Values::UInt64(values) => fill(values, first, out, integer),
            Values::Float32(values) => fill(values, first, out, float),
            Values::Float64(values) => fill(values, first, out, float),
            Values::Date(values) => fill(values, first, out, |days, text| dates.begin(i64::from(days), text)),
            Values::Time(values) => match values {
                Times::Seconds(values) => fill(values, first, out, |units, text| time::<1>(i64::from(units), text)),
                Times::Millis(values) => fill(values, first, out, |units, text| time::<1000>(i64::from(units), text)),
                Times::Micros(values) => fill(values, first, out, time::<1_000_000>),
                Times::Nanos(values) => fill(values, first, out, time::<1_000_000_000>),
            },
            Values::Timestamp(values, unit, suffix) => {
                timestamps(values, *unit, dates, first, out);
                if !suffix.is_empty() {
                    out.iter_mut().for_each(|text| text.append(suffix));
                }
            }
            _ => return false,
        }
        true
    }
}

/// Texts of the values from `first` on.
#[inline]
fn fill<T: Copy>(values: &[T], first: usize, out: &mut [ShortText], mut write: impl FnMut(T, &mut ShortText)) {
    let values = &values[first..first + out.len()];
    for (&value, text) in values.iter().zip(out) {
        *text = ShortText::default();
        write(value, text);
    }
}

fn timestamps(values: &[i64], unit: TimeUnit, dates: &mut DateWriter, first: usize, out: &mut [ShortText]) {
    match unit {
        TimeUnit::Second => fill(values, first, out, |units, text| dates.timestamp::<1>(units, text)),
        TimeUnit::Millisecond => fill(values, first, out, |units, text| dates.timestamp::<1000>(units, text)),
        TimeUnit::Microsecond => fill(values, first, out, |units, text| dates.timestamp::<1_000_000>(units, text)),
        TimeUnit::Nanosecond => fill(values, first, out, |units, text| dates.timestamp::<1_000_000_000>(units, text)),
    }
}
