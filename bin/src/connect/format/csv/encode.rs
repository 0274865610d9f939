//! Batches to CSV: quotes only where they are needed, values in Flink's text forms.
//!
//! NULL is an empty field, or `csv.null-literal`. A string that would read as NULL is quoted, the empty one as `""`, so
//! that the two differ.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema, SchemaRef};

use super::cells::Cells;
use super::lines::Lines;
use super::options::CsvOptions;
use super::refusal::type_name;
use super::style::Style;
use super::text_form::{DateWriter, ShortText};
use crate::connect::Encoder;
use crate::error::{Error, Result};

/// Rows whose texts are made column by column before they are put into lines: what they take is in the nearest cache.
const ROWS: usize = 256;

/// Writes rows, each ended by a newline.
pub struct CsvEncoder {
    style: Style,
    /// What NULL is written as, where that is short.
    null: Option<ShortText>,
    lines: Lines,
    /// For each column, texts of some rows.
    texts: Vec<Vec<ShortText>>,
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
        let style = Style::new(options);
        let null = ShortText::of(&style.null_literal);
        Ok(Self { style, null, lines: Lines::default(), texts: Vec::new() })
    }

    /// How a column is written.
    fn way<'a>(&self, cells: Cells<'a>) -> Column<'a> {
        let has_nulls = cells.nulls.is_some();
        let way = if let Some(views) = cells.views() {
            Way::Views(views)
        } else if cells.is_short() && !self.style.checks_values && (!has_nulls || self.null.is_some()) {
            Way::Texts
        } else {
            Way::Each
        };
        Column { cells, way, dates: DateWriter::default() }
    }
}

/// A column of a batch.
struct Column<'a> {
    cells: Cells<'a>,
    way: Way<'a>,
    dates: DateWriter,
}

/// How the fields of a column come into their lines.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// Their texts are made for many rows at once.
    Texts,
    /// They are strings; many are short, and plain.
    Views(&'a [u128]),
    /// One by one.
    Each,
}

impl Column<'_> {
    /// Texts of the rows from `first` on.
    fn texts(&mut self, first: usize, null: ShortText, texts: &mut [ShortText]) {
        self.cells.short_texts(first, &mut self.dates, texts);
        if let Some(nulls) = self.cells.nulls {
            let each = texts.iter_mut().zip(first..).filter(|(_, row)| nulls.is_null(*row));
            each.for_each(|(text, _)| *text = null);
        }
    }
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let cells = batch.columns().iter().map(|column| Cells::new(column.as_ref(), &self.style));
        let mut columns = cells.map(|cells| Ok(self.way(cells?))).collect::<Result<Vec<_>>>()?;
        self.texts.resize_with(columns.len(), Vec::new);
        let rows = batch.num_rows();
        if columns.is_empty() {
            out.resize(out.len() + rows, b'\n');
        }
        for first in (0..rows).step_by(ROWS) {
            let count = ROWS.min(rows - first);
            for (column, texts) in columns.iter_mut().zip(&mut self.texts) {
                if matches!(column.way, Way::Texts) {
                    texts.resize(count, ShortText::default());
                    column.texts(first, self.null.unwrap_or_default(), texts);
                }
            }
            self.join(&columns, batch.schema_ref(), first, count, out)?;
        }
        self.lines.flush(out);
        Ok(())
    }
}

impl CsvEncoder {
    /// Writes lines of `count` rows.
    fn join(
        &mut self,
        columns: &[Column<'_>],
        schema: &Schema,
        first: usize,
        count: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let (style, lines) = (&self.style, &mut self.lines);
        for row in 0..count {
            for (number, (column, texts)) in columns.iter().zip(&self.texts).enumerate() {
                let end = if number + 1 < columns.len() { style.delimiter } else { b'\n' };
                match column.way {
                    Way::Texts => {
                        lines.field(texts[row].padded(), texts[row].len(), end, out);
                        continue;
                    }
                    Way::Views(views) if column.cells.nulls.is_none_or(|nulls| nulls.is_valid(first + row)) => {
                        // A view is its length, then up to twelve bytes; 0 behind them.
                        let view = views[first + row];
                        let (length, bytes) = (view as u32 as usize, (view >> 32).to_le_bytes());
                        if length <= 12 && style.is_plain_short(&bytes, length) {
                            lines.field(&bytes, length, end, out);
                            continue;
                        }
                    }
                    Way::Views(_) | Way::Each => {}
                }
                lines.flush(out);
                let written = column.cells.write(first + row, style, out);
                written.map_err(|refused| refused.into_error(schema.field(number).name()))?;
                out.push(end);
            }
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
    fn lines_are_their_fields_one_by_one() {
        let rows = 3 * ROWS + 17;
        let each = |nth: usize| (0..rows).map(move |row| (row, row % nth == 0));
        let strings = |length: usize| -> ArrayRef {
            let text = move |row: usize| ["", "a", "x,y", "it \"is\"", "Köln"][row % 5].repeat(row % length);
            Arc::new(each(7).map(|(row, is_null)| (!is_null).then(|| text(row))).collect::<StringViewArray>())
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("s", strings(3)),
            ("i", Arc::new(each(3).map(|(row, is_null)| (!is_null).then_some(row as i64 - 9)).collect::<Int64Array>())),
            ("l", strings(5000)),
            (
                "d",
                Arc::new(
                    each(4).map(|(row, is_null)| (!is_null).then_some(row as f64 / 7.0)).collect::<Float64Array>(),
                ),
            ),
            ("t", Arc::new(TimestampMillisecondArray::from_iter_values((0..rows as i64).map(|row| row * 12_345_678)))),
            ("b", Arc::new(each(5).map(|(row, is_null)| (!is_null).then_some(row % 2 == 0)).collect::<BooleanArray>())),
            ("m", Arc::new(Decimal128Array::from_iter_values((0..rows as i128).map(|row| row * 1_000_003)))),
        ];
        for null_literal in [None, Some("NULL"), Some("17"), Some("a literal that is longer than any number")] {
            let options = CsvOptions { null_literal: null_literal.map(str::to_owned), ..CsvOptions::default() };
            let style = Style::new(&options);
            let cells: Vec<_> =
                columns.iter().map(|(_, column)| Cells::new(column.as_ref(), &style).unwrap()).collect();
            let mut expected = Vec::new();
            for row in 0..rows {
                for (number, cells) in cells.iter().enumerate() {
                    assert!(cells.write(row, &style, &mut expected).is_ok());
                    expected.push(if number + 1 < columns.len() { b',' } else { b'\n' });
                }
            }
            assert_eq!(encode(columns.clone(), &options).unwrap().as_bytes(), expected, "{null_literal:?}");
        }
    }

    #[test]
    fn a_header_is_quoted_like_a_row() {
        let fields = ["a", "b,c"].map(|name| arrow_schema::Field::new(name, DataType::Int64, true));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        assert_eq!(header_line(&schema, &CsvOptions::default()).unwrap(), b"a,\"b,c\"\n");
    }
}
