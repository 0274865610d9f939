//! Results as JSON lines: one object for each row, columns in order, as a table of JSON is written.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use crate::connect::OpenSink;
use crate::connect::format::json::{JsonOptions, MapKeys, json_encoder};
use crate::connect::stdout::{Stream, StreamWriter};
use crate::error::Result;

/// # Errors
/// If a column's type cannot be written.
pub(super) fn open(schema: &SchemaRef) -> Result<OpenSink> {
    let options = JsonOptions { writes_plain_decimals: true, ..JsonOptions::default() };
    Ok(OpenSink {
        encoder: Some(json_encoder(schema, &options, MapKeys::Any)?),
        writer: Box::new(StreamWriter::new(Stream::Stdout, Vec::new())),
        schema: Arc::clone(schema),
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
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
        (open(&schema).unwrap().encoder.unwrap())().encode(&batch, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"a \\\"quoted\\\"\":1,\"b\":\"x\\ny\"}\n{\"a \\\"quoted\\\"\":null,\"b\":\"ü\"}\n"
        );
    }
}
