//! Batches to CSV: quotes only where they are needed, values in Flink's text forms.
//!
//! NULL is an empty field, or `csv.null-literal`. A string that would read as NULL is quoted, the empty one as `""`, so
//! that the two differ.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Schema, SchemaRef, TimeUnit};

use super::base64;
use super::options::CsvOptions;
use super::refusal::type_name;
use super::text_form::{date, decimal, float, integer, scientific, time};
use crate::connect::Encoder;
use crate::connect::format::text::shown;
use crate::error::{Error, Result};

/// Writes rows, each ended by a newline.
pub struct CsvEncoder {
    style: Style,
}

impl CsvEncoder {
    /// An encoder for batches of this schema.
    ///
    /// # Errors
    /// `Statement`, if CSV cannot hold one of the columns.
    pub fn new(schema: &Schema, options: &CsvOptions) -> Result<Self> {
        for field in schema.fields() {
            let is_accepted = match field.data_type() {
                DataType::List(element) => is_written(element.data_type()),
                DataType::Struct(fields) => fields.iter().all(|field| is_written(field.data_type())),
                other => is_written(other),
            };
            if !is_accepted {
                let (name, type_name) = (field.name(), type_name(field.data_type()));
                return Err(Error::statement(format!("column `{name}` of type {type_name} cannot be written as CSV"))
                    .help("cast it to STRING, or choose a format with nested types, for example 'json'"));
            }
        }
        Ok(Self { style: Style::new(options) })
    }
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let cells = |column| Cells::new(column, &self.style);
        let columns = batch.columns().iter().map(|column| cells(column.as_ref())).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            for (number, column) in columns.iter().enumerate() {
                if number > 0 {
                    out.push(self.style.delimiter);
                }
                column
                    .write(row, &self.style, out)
                    .map_err(|refused| refused.into_error(batch.schema_ref().field(number).name()))?;
            }
            out.push(b'\n');
        }
        Ok(())
    }
}

/// The line of column names that a file starts with.
///
/// # Errors
/// `Statement`, if a name cannot be written without quotes, and they are disabled.
pub fn header_line(schema: &SchemaRef, options: &CsvOptions) -> Result<Vec<u8>> {
    let style = Style::new(options);
    let mut line = Vec::new();
    for (number, field) in schema.fields().iter().enumerate() {
        if number > 0 {
            line.push(style.delimiter);
        }
        let name = field.name().as_bytes();
        style.text(name, &mut line).map_err(|refused| refused.into_error(field.name()))?;
    }
    line.push(b'\n');
    Ok(line)
}

fn is_written(data_type: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Null,
    };
    use DataType::{LargeBinary, LargeUtf8, Time32, Time64, Timestamp, UInt64, Utf8, Utf8View};
    matches!(
        data_type,
        Null | Boolean
            | Int8
            | Int16
            | Int32
            | Int64
            | UInt64
            | Float32
            | Float64
            | Decimal128(_, _)
            | Utf8
            | LargeUtf8
            | Utf8View
            | Binary
            | LargeBinary
            | BinaryView
            | Date32
            | Time32(_)
            | Time64(_)
            | Timestamp(_, _)
    )
}

/// How fields are written.
struct Style {
    delimiter: u8,
    quote: Option<u8>,
    null_literal: Vec<u8>,
    /// By byte: a text that has it must be quoted.
    needs_quotes: [bool; 256],
    /// A number or date could have a byte that must be quoted, or could be the NULL literal.
    checks_values: bool,
    escape: Option<u8>,
    element_delimiter: Vec<u8>,
    scientific_decimals: bool,
}

/// A text that would not be read as what it is.
enum Unwritable {
    /// It would have to be quoted, and quotes are disabled.
    Unquoted(Vec<u8>),
    /// The element of an ARRAY or field of a ROW holds their delimiter.
    Delimiter(Vec<u8>),
    /// Such an element looks like NULL, or like no element at all.
    Ambiguous(Vec<u8>),
}

impl Unwritable {
    fn into_error(self, column: &str) -> Error {
        match self {
            Self::Unquoted(text) => {
                let text = shown(&text);
                Error::data(format!("{text} in column `{column}` cannot be written as CSV without quotes"))
                    .help("remove 'csv.disable-quote-character', or choose a delimiter that is not in the data")
            }
            Self::Delimiter(text) => {
                let text = shown(&text);
                Error::data(format!("{text} in column `{column}` holds the delimiter of elements"))
                    .help("choose a 'csv.array-element-delimiter' that is not in the data, or another format")
            }
            Self::Ambiguous(text) => {
                let text = shown(&text);
                Error::data(format!("the element {text} of column `{column}` would not be read as it was written"))
                    .help("set a 'csv.null-literal' that is not in the data, or choose another format, for example 'json'")
            }
        }
    }
}

impl Style {
    fn new(options: &CsvOptions) -> Self {
        let dialect = options.dialect;
        let mut needs_quotes = [false; 256];
        // A comment starts with `#` in the first field only; elsewhere quotes do no harm.
        let comment = dialect.comments.then_some(b'#');
        let special = [Some(dialect.separator()), dialect.quote, dialect.escape, comment, Some(b'\n'), Some(b'\r')];
        for byte in special.into_iter().flatten() {
            needs_quotes[usize::from(byte)] = true;
        }
        let is_special = |byte: &u8| needs_quotes[usize::from(*byte)];
        let in_values =
            (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z').chain(*b"+-.: /=").any(|byte| is_special(&byte));
        let null_literal = options.null_literal.clone().unwrap_or_default().into_bytes();
        let checks_values = in_values || !null_literal.is_empty();
        Self {
            delimiter: dialect.separator(),
            quote: dialect.quote,
            null_literal,
            needs_quotes,
            checks_values,
            escape: dialect.escape,
            element_delimiter: options.element_delimiter.clone().into_bytes(),
            scientific_decimals: options.scientific_decimals,
        }
    }

    fn text(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let is_special = text.iter().any(|&byte| self.needs_quotes[usize::from(byte)]);
        if !is_special && text != self.null_literal && !text.is_empty() {
            out.extend_from_slice(text);
            return Ok(());
        }
        match self.quote {
            Some(quote) => quoted(text, quote, self.escape, out),
            // An empty string reads as one even without quotes.
            None if text.is_empty() => {}
            None => match self.escape.filter(|_| text != self.null_literal) {
                Some(escape) => {
                    for &byte in text {
                        if self.needs_quotes[usize::from(byte)] {
                            out.push(escape);
                        }
                        out.push(byte);
                    }
                }
                None => return Err(Unwritable::Unquoted(text.to_vec())),
            },
        }
        Ok(())
    }

    /// Writes a value that is no string.
    #[inline]
    fn value(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Unwritable> {
        let start = out.len();
        write(out);
        // No bytes at all are a value too, and not NULL.
        if self.checks_values || out.len() == start {
            let text = out.split_off(start);
            if text.is_empty() && self.quote.is_none() {
                return Err(Unwritable::Unquoted(text));
            }
            return self.text(&text, out);
        }
        Ok(())
    }

    /// Writes the elements of an ARRAY, or the fields of a ROW, as one field.
    fn elements<'a>(
        &self,
        cells: impl ExactSizeIterator<Item = (&'a Cells<'a>, usize)>,
        kind: Nested,
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        let (count, mut field) = (cells.len(), Vec::new());
        for (number, (cells, row)) in cells.enumerate() {
            let start = field.len();
            let (is_null, is_string) = cells.write_element(row, &self.null_literal, &mut field);
            let element = &field[start..];
            // What is not a string reads as NULL if it is empty.
            let is_literal = element == self.null_literal && !(is_string && element.is_empty());
            let reads_as_null = is_literal || (!is_string && element.is_empty());
            if is_null != reads_as_null || (count == 1 && kind == Nested::Array && element.is_empty()) {
                return Err(Unwritable::Ambiguous(element.to_vec()));
            }
            let end = field.len();
            let delimiter = if number + 1 < count { &self.element_delimiter[..] } else { &[] };
            field.extend_from_slice(delimiter);
            // The first delimiter from here on is the one behind the element, also where the two overlap.
            let found = memchr::memmem::find(&field[start..], &self.element_delimiter);
            if found != (number + 1 < count).then_some(end - start) {
                return Err(Unwritable::Delimiter(field[start..end].to_vec()));
            }
        }
        if field.is_empty() && self.quote.is_none() {
            return Err(Unwritable::Unquoted(field));
        }
        self.text(&field, out)
    }
}

/// What has elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nested {
    Array,
    Row,
}

/// Quotes within the text are doubled, and so are escape characters.
fn quoted(text: &[u8], quote: u8, escape: Option<u8>, out: &mut Vec<u8>) {
    out.push(quote);
    let mut rest = text;
    while let Some(position) = memchr::memchr2(quote, escape.unwrap_or(quote), rest) {
        out.extend_from_slice(&rest[..=position]);
        out.push(rest[position]);
        rest = &rest[position + 1..];
    }
    out.extend_from_slice(rest);
    out.push(quote);
}

/// A column of a batch, its type looked up once.
struct Cells<'a> {
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
    UInt64(&'a [u64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal(&'a [i128], i8),
    ScientificDecimal(&'a [i128], i8),
    Date(&'a [i32]),
    /// Time of day with units per second and digits of the fraction.
    Time32(&'a [i32], i64, usize),
    Time64(&'a [i64], i64, usize),
    /// The same with what follows it.
    Timestamp(&'a [i64], i64, usize, &'static [u8]),
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

impl<'a> Cells<'a> {
    fn new(column: &'a dyn Array, style: &Style) -> Result<Self> {
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
        Ok(match column.data_type() {
            DataType::Date32 => Values::Date(column.as_primitive::<Date32Type>().values()),
            DataType::Time32(TimeUnit::Second) => {
                Values::Time32(column.as_primitive::<Time32SecondType>().values(), 1, 0)
            }
            DataType::Time32(_) => Values::Time32(column.as_primitive::<Time32MillisecondType>().values(), 1000, 3),
            DataType::Time64(TimeUnit::Microsecond) => {
                Values::Time64(column.as_primitive::<Time64MicrosecondType>().values(), 1_000_000, 6)
            }
            DataType::Time64(_) => {
                Values::Time64(column.as_primitive::<Time64NanosecondType>().values(), 1_000_000_000, 9)
            }
            DataType::Timestamp(unit, zone) => {
                let suffix: &'static [u8] = if zone.is_some() { b"Z" } else { b"" };
                let (values, per_second, digits): (&[i64], _, _) = match unit {
                    TimeUnit::Second => (column.as_primitive::<TimestampSecondType>().values(), 1, 0),
                    TimeUnit::Millisecond => (column.as_primitive::<TimestampMillisecondType>().values(), 1000, 3),
                    TimeUnit::Microsecond => (column.as_primitive::<TimestampMicrosecondType>().values(), 1_000_000, 6),
                    TimeUnit::Nanosecond => {
                        (column.as_primitive::<TimestampNanosecondType>().values(), 1_000_000_000, 9)
                    }
                };
                Values::Timestamp(values, per_second, digits, suffix)
            }
            other => return Err(Error::internal(format!("a column of type {other} reached the encoder of CSV"))),
        })
    }

    fn write(&self, row: usize, style: &Style, out: &mut Vec<u8>) -> Result<(), Unwritable> {
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

    /// Writes an element of an ARRAY or ROW as it stands; says whether it is NULL, and whether it is a string.
    fn write_element(&self, row: usize, null_literal: &[u8], out: &mut Vec<u8>) -> (bool, bool) {
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
        match &self.values {
            Values::Boolean(values) => out.extend_from_slice(if values.value(row) { b"true" } else { b"false" }),
            Values::Int8(values) => integer(values[row], out),
            Values::Int16(values) => integer(values[row], out),
            Values::Int32(values) => integer(values[row], out),
            Values::Int64(values) => integer(values[row], out),
            Values::UInt64(values) => integer(values[row], out),
            Values::Float32(values) => float(values[row], values[row].is_finite(), f64::from(values[row]), out),
            Values::Float64(values) => float(values[row], values[row].is_finite(), values[row], out),
            Values::Decimal(values, scale) => decimal(values[row], *scale, out),
            Values::ScientificDecimal(values, scale) => scientific(values[row], *scale, out),
            Values::Date(values) => date(i64::from(values[row]), out),
            Values::Time32(values, per_second, digits) => time(i64::from(values[row]), *per_second, *digits, out),
            Values::Time64(values, per_second, digits) => time(values[row], *per_second, *digits, out),
            Values::Timestamp(values, per_second, digits, suffix) => {
                let units_of_day = 86_400 * per_second;
                date(values[row].div_euclid(units_of_day), out);
                out.push(b' ');
                time(values[row].rem_euclid(units_of_day), *per_second, *digits, out);
                out.extend_from_slice(suffix);
            }
            Values::BinaryView(values) => base64::encode(values.value(row), out),
            Values::Binary(values) => base64::encode(values.value(row), out),
            Values::LargeBinary(values) => base64::encode(values.value(row), out),
            Values::Null | Values::Utf8View(_) | Values::Utf8(_) | Values::LargeUtf8(_) => {}
            // One level of elements is all that is accepted.
            Values::Array(..) | Values::Row(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
        Int64Array, StringViewArray, Time32MillisecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    };

    use super::*;
    use crate::connect::format::text::Dialect;

    fn encode(columns: Vec<(&str, ArrayRef)>, options: &CsvOptions) -> Result<String> {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let mut out = Vec::new();
        CsvEncoder::new(&batch.schema(), options)?.encode(&batch, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_have_flinks_text_forms() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("t", Arc::new(Int8Array::from(vec![-128, 0]))),
            ("f", Arc::new(Float32Array::from(vec![0.1, f32::NAN]))),
            ("g", Arc::new(Float64Array::from(vec![-1.0, f64::NEG_INFINITY]))),
            ("m", Arc::new(Decimal128Array::from(vec![-5, 12345]).with_precision_and_scale(10, 3).unwrap())),
            ("d", Arc::new(Date32Array::from(vec![-1, 19_675]))),
            ("c", Arc::new(Time32MillisecondArray::from(vec![86_399_999, 60_000]))),
            ("ts", Arc::new(TimestampMillisecondArray::from(vec![-1, 1_699_999_999_741]))),
            ("z", Arc::new(TimestampMicrosecondArray::from(vec![0, 1]).with_timezone("UTC"))),
            ("x", Arc::new(BinaryViewArray::from(vec![Some(&b"\x00\xFF"[..]), Some(b"")]))),
        ];
        assert_eq!(
            encode(columns, &CsvOptions::default()).unwrap(),
            "true,-128,0.1,-1.0,-0.005,1969-12-31,23:59:59.999,1969-12-31 23:59:59.999,1970-01-01 00:00:00.000000Z,AP8=\n\
             ,0,NaN,-Infinity,12.345,2023-11-14,00:01:00.000,2023-11-14 22:13:19.741,1970-01-01 00:00:00.000001Z,\"\"\n"
        );
    }

    #[test]
    fn quotes_are_where_they_are_needed() {
        let texts = || -> ArrayRef {
            let texts = ["plain", "a,b", "say \"hi\"", "two\nlines", "", "NULL", "# no", " x "];
            Arc::new(StringViewArray::from(texts.into_iter().map(Some).chain([None]).collect::<Vec<_>>()))
        };
        let mut options = CsvOptions::default();
        let text = encode(vec![("s", texts())], &options).unwrap();
        assert_eq!(text, "plain\n\"a,b\"\n\"say \"\"hi\"\"\"\n\"two\nlines\"\n\"\"\nNULL\n# no\n x \n\n");
        options.null_literal = Some("NULL".into());
        options.dialect.comments = true;
        let text = encode(vec![("s", texts())], &options).unwrap();
        assert!(text.ends_with("\"\"\n\"NULL\"\n\"# no\"\n x \nNULL\n"), "{text}");
        options.dialect.quote = None;
        let error = encode(vec![("s", texts())], &options).unwrap_err();
        assert_eq!(error.message, "\"a,b\" in column `s` cannot be written as CSV without quotes");
    }

    #[test]
    fn numbers_are_quoted_if_the_dialect_would_read_them_otherwise() {
        let numbers = || -> ArrayRef { Arc::new(Int64Array::from(vec![-1, 0])) };
        let dialect = Dialect { delimiter: Some(b'-'), ..CsvOptions::default().dialect };
        let options = CsvOptions { dialect, null_literal: Some("0".into()), ..CsvOptions::default() };
        assert_eq!(encode(vec![("a", numbers()), ("b", numbers())], &options).unwrap(), "\"-1\"-\"-1\"\n\"0\"-\"0\"\n");
    }

    #[test]
    fn a_header_is_quoted_like_a_row() {
        let fields = ["a", "b,c"].map(|name| arrow_schema::Field::new(name, DataType::Int64, true));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        assert_eq!(header_line(&schema, &CsvOptions::default()).unwrap(), b"a,\"b,c\"\n");
    }
}
