//! Results as a table to look at.
//!
//! Columns can be aligned only when all shown rows are known, so the table is drawn at the end, and it shows a bounded
//! number of rows and characters: what a person reads. Between encoder and writer a cell is its length in bytes (four
//! bytes, little-endian) and its text; NULL is the length `u32::MAX`.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::connect::stdout::{Stream, StreamWriter};
use crate::connect::value_text::{ColumnText, Style};
use crate::connect::{Encoder, OpenSink, SinkRows, SinkWriter, WriteOutcome};
use crate::error::{Error, Result};
use crate::report::number::grouped;

/// Rows shown; the others are counted.
const ROWS_SHOWN_MAX: usize = 1_000;

/// Columns of the terminal that one value takes at most.
const CELL_WIDTH_MAX: usize = 100;

/// Length of a cell that is NULL.
const NULL_LENGTH: u32 = u32::MAX;

pub(super) fn open(schema: &SchemaRef) -> OpenSink {
    OpenSink {
        encoder: Some(Arc::new(|| Box::new(TableEncoder { text: String::new() }))),
        writer: Box::new(TableWriter::new(schema)),
        schema: Arc::clone(schema),
    }
}

/// Frames cells for [`TableWriter`]; cuts what is too wide.
struct TableEncoder {
    text: String,
}

impl Encoder for TableEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = ColumnText::of_batch(batch, Style::Cast)?;
        for row in 0..batch.num_rows() {
            for column in &columns {
                if column.is_null(row) {
                    out.extend_from_slice(&NULL_LENGTH.to_le_bytes());
                    continue;
                }
                self.text.clear();
                column.write(row, &mut self.text);
                let cell = shown(&self.text);
                out.extend_from_slice(&(cell.len() as u32).to_le_bytes());
                out.extend_from_slice(cell.as_bytes());
            }
        }
        Ok(())
    }
}

/// Keeps the first rows and draws them at the end.
struct TableWriter {
    columns: Vec<Column>,
    /// Row after row.
    cells: Vec<Option<Box<str>>>,
    rows: u64,
}

struct Column {
    name: String,
    is_right: bool,
    width: usize,
}

impl TableWriter {
    fn new(schema: &SchemaRef) -> Self {
        let column = |field: &arrow_schema::FieldRef| {
            let name = shown(field.name());
            Column { width: name.width(), name, is_right: field.data_type().is_numeric() }
        };
        Self { columns: schema.fields().iter().map(column).collect(), cells: Vec::new(), rows: 0 }
    }

    /// The whole table.
    fn draw(&self) -> String {
        let mut out = String::new();
        self.rule("┌", "┬", "┐", &mut out);
        let names = self.columns.iter().map(|column| column.name.as_str());
        self.line(names, &mut out);
        self.rule("├", "┼", "┤", &mut out);
        for row in self.cells.chunks(self.columns.len().max(1)) {
            self.line(row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")), &mut out);
        }
        self.rule("└", "┴", "┘", &mut out);
        let shown = self.rows.min(ROWS_SHOWN_MAX as u64);
        let _ = match self.rows {
            1 => writeln!(out, "1 row"),
            rows if rows == shown => writeln!(out, "{} rows", grouped(rows)),
            rows => {
                writeln!(out, "{} of {} rows shown; --format csv or json writes all", grouped(shown), grouped(rows))
            }
        };
        out
    }

    fn rule(&self, left: &str, middle: &str, right: &str, out: &mut String) {
        let dashes: Vec<String> = self.columns.iter().map(|column| "─".repeat(column.width + 2)).collect();
        let _ = writeln!(out, "{left}{}{right}", dashes.join(middle));
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>, out: &mut String) {
        for (column, cell) in self.columns.iter().zip(cells) {
            let padding = " ".repeat(column.width.saturating_sub(cell.width()));
            let _ = match column.is_right {
                true => write!(out, "│ {padding}{cell} "),
                false => write!(out, "│ {cell}{padding} "),
            };
        }
        out.push_str("│\n");
    }
}

impl SinkWriter for TableWriter {
    fn write(&mut self, rows: SinkRows<'_>) -> Result<WriteOutcome> {
        let mut rest = rows.encoded()?;
        while !rest.is_empty() && !self.columns.is_empty() {
            for index in 0..self.columns.len() {
                let cell = take_cell(&mut rest).ok_or_else(|| Error::internal("a row of a table was cut in two"))?;
                if self.rows < ROWS_SHOWN_MAX as u64 {
                    let column = &mut self.columns[index];
                    column.width = column.width.max(cell.unwrap_or("NULL").width());
                    self.cells.push(cell.map(Into::into));
                }
            }
            self.rows += 1;
        }
        Ok(WriteOutcome::Written)
    }

    fn finish(&mut self) -> Result<()> {
        let mut out = StreamWriter::new(Stream::Stdout, Vec::new());
        out.write(SinkRows::Encoded(self.draw().as_bytes()))?;
        out.finish()
    }
}

/// Cuts the next cell off `rest`: its text, or `None` for NULL.
fn take_cell<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a str>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    if length == NULL_LENGTH {
        *rest = after;
        return Some(None);
    }
    let (cell, after) = after.split_at_checked(length as usize)?;
    *rest = after;
    Some(Some(std::str::from_utf8(cell).ok()?))
}

/// The text on one line: control characters escaped, and cut where it is too wide.
fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(CELL_WIDTH_MAX * 4));
    let mut width = 0;
    for character in text.chars() {
        let piece = match character {
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            control if control.is_control() => format!("\\u{{{:x}}}", u32::from(control)),
            other => {
                width += other.width().unwrap_or(0);
                if width >= CELL_WIDTH_MAX {
                    out.push('…');
                    return out;
                }
                out.push(other);
                continue;
            }
        };
        width += piece.len();
        if width >= CELL_WIDTH_MAX {
            out.push('…');
            return out;
        }
        out.push_str(&piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn batch(numbers: Vec<Option<i64>>, texts: Vec<&str>) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
        ]));
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(numbers)), Arc::new(StringArray::from(texts))];
        RecordBatch::try_new(schema, columns).unwrap()
    }

    fn drawn(batches: &[RecordBatch]) -> String {
        let mut writer = TableWriter::new(&batches[0].schema());
        for batch in batches {
            let mut bytes = Vec::new();
            TableEncoder { text: String::new() }.encode(batch, &mut bytes).unwrap();
            writer.write(SinkRows::Encoded(&bytes)).unwrap();
        }
        writer.draw()
    }

    #[test]
    fn numbers_stand_right_and_wide_characters_line_up() {
        let table = drawn(&[batch(vec![Some(7), None], vec!["a\nb", "渋谷"]), batch(vec![Some(1_234)], vec!["ü"])]);
        let expected = "\
┌──────┬──────┐
│    n │ text │
├──────┼──────┤
│    7 │ a\\nb │
│ NULL │ 渋谷 │
│ 1234 │ ü    │
└──────┴──────┘
3 rows
";
        assert_eq!(table, expected);
    }

    #[test]
    fn long_result_is_cut_and_counted() {
        let rows = 700;
        let part = batch(vec![Some(1); rows], vec!["x"; rows]);
        let table = drawn(&[part.clone(), part]);
        assert!(table.ends_with("1,000 of 1,400 rows shown; --format csv or json writes all\n"));
        assert_eq!(table.lines().count(), 1_000 + 5);
    }

    #[test]
    fn wide_value_is_cut() {
        let table = drawn(&[batch(vec![None], vec![&"y".repeat(5_000)])]);
        assert!(table.contains("y…"));
        assert!(table.lines().all(|line| line.width() < 130));
    }
}
