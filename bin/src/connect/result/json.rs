//! Results as JSON lines: one object for each row, columns in order.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::connect::stdout::{Stream, StreamWriter};
use crate::connect::value_text::{ColumnText, Style, write_json_string};
use crate::connect::{Encoder, OpenSink};
use crate::error::Result;

pub(super) fn open(schema: &SchemaRef) -> OpenSink {
    // `{"a":`, then `,"b":`: all that stands between values.
    let mut keys = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let mut key = String::from(if keys.is_empty() { "{" } else { "," });
        write_json_string(field.name(), &mut key);
        key.push(':');
        keys.push(key);
    }
    let keys: Arc<[String]> = keys.into();
    OpenSink {
        encoder: Some(Arc::new(move || Box::new(JsonEncoder { keys: Arc::clone(&keys), line: String::new() }))),
        writer: Box::new(StreamWriter::new(Stream::Stdout, Vec::new())),
        schema: Arc::clone(schema),
    }
}

struct JsonEncoder {
    keys: Arc<[String]>,
    line: String,
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = ColumnText::of_batch(batch, Style::Json)?;
        for row in 0..batch.num_rows() {
            self.line.clear();
            for (key, column) in self.keys.iter().zip(&columns) {
                self.line.push_str(key);
                match column.is_null(row) {
                    true => self.line.push_str("null"),
                    false => column.write(row, &mut self.line),
                }
            }
            self.line.push_str("}\n");
            out.extend_from_slice(self.line.as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn rows_become_objects() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("a \"quoted\"", DataType::Int64, true),
            Field::new("b", DataType::Utf8, true),
        ]));
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![Some(1), None])), Arc::new(StringArray::from(vec!["x\ny", "ü"]))];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let mut out = Vec::new();
        (open(&schema).encoder.unwrap())().encode(&batch, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"a \\\"quoted\\\"\":1,\"b\":\"x\\ny\"}\n{\"a \\\"quoted\\\"\":null,\"b\":\"ü\"}\n"
        );
    }
}
