//! The `print` connector: rows on standard output (or error) as Flink's shows them: `+I[1, abc, null]`.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::options::OptionReader;
use super::stdout::{Stream, StreamWriter};
use super::value_text::{ColumnText, Style, check_schema};
use super::{Encoder, OpenSink};
use crate::error::Result;

/// The options of a `print` table.
#[derive(Clone, Debug)]
pub struct PrintOptions {
    /// `print-identifier`: put before each row, with `> ` between.
    identifier: String,
    /// `standard-error`: there instead of standard output.
    stream: Stream,
}

impl PrintOptions {
    /// Reads the options.
    ///
    /// # Errors
    /// If a value is not accepted.
    pub fn read(reader: &mut OptionReader<'_>) -> Result<Self> {
        let identifier = match reader.text("print-identifier") {
            Some(identifier) if !identifier.is_empty() => format!("{identifier}> "),
            _ => String::new(),
        };
        let stream = match reader.flag("standard-error")? {
            Some(true) => Stream::Stderr,
            _ => Stream::Stdout,
        };
        Ok(Self { identifier, stream })
    }

    /// Opens it for rows of `schema`; `has_kinds`: their kind is in the first column.
    ///
    /// # Errors
    /// If a column's type cannot be written.
    pub fn open(&self, schema: &SchemaRef, has_kinds: bool) -> Result<OpenSink> {
        check_schema(schema)?;
        let identifier: Arc<str> = self.identifier.as_str().into();
        Ok(OpenSink {
            encoder: Some(Arc::new(move || {
                Box::new(PrintEncoder { identifier: Arc::clone(&identifier), has_kinds, line: String::new() })
            })),
            writer: Box::new(StreamWriter::new(self.stream, Vec::new())),
            schema: Arc::clone(schema),
        })
    }
}

struct PrintEncoder {
    identifier: Arc<str>,
    has_kinds: bool,
    line: String,
}

impl Encoder for PrintEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = ColumnText::of_batch(batch, Style::Print)?;
        for row in 0..batch.num_rows() {
            self.line.clear();
            self.line.push_str(&self.identifier);
            let columns = match columns.split_first().filter(|_| self.has_kinds) {
                Some((kind, columns)) => {
                    kind.write(row, &mut self.line);
                    columns
                }
                None => {
                    self.line.push_str("+I");
                    &columns[..]
                }
            };
            self.line.push('[');
            for (index, column) in columns.iter().enumerate() {
                self.line.push_str(if index == 0 { "" } else { ", " });
                match column.is_null(row) {
                    true => self.line.push_str("null"),
                    false => column.write(row, &mut self.line),
                }
            }
            self.line.push_str("]\n");
            out.extend_from_slice(self.line.as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow_array::{Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn rows_look_like_flinks() {
        let options = BTreeMap::from([("print-identifier".to_owned(), "p".to_owned())]);
        let print = PrintOptions::read(&mut OptionReader::new("t", "print", &options, &|_, _| None)).unwrap();
        let schema =
            Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)]));
        let columns: Vec<arrow_array::ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![Some(1), None])), Arc::new(StringArray::from(vec!["x", "y, z"]))];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let mut out = Vec::new();
        (print.open(&schema, false).unwrap().encoder.unwrap())().encode(&batch, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "p> +I[1, x]\np> +I[null, y, z]\n");
    }
}
