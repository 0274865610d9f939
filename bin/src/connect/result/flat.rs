//! Nested values as text, for formats of results that have columns of plain values only: as CAST to STRING writes them.

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::connect::Encoder;
use crate::connect::value_text::{ColumnText, Style};
use crate::error::{Error, Result};

/// The schema with STRING in the place of nested types.
pub(super) fn schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type().is_nested() {
        true => Arc::new(Field::new(field.name(), DataType::Utf8View, field.is_nullable())),
        false => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Gives another encoder batches of [`schema`].
pub(super) struct FlatEncoder {
    pub(super) schema: SchemaRef,
    pub(super) encoder: Box<dyn Encoder>,
}

impl Encoder for FlatEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        if !batch.columns().iter().any(|column| column.data_type().is_nested()) {
            return self.encoder.encode(batch, out);
        }
        let columns = batch.columns().iter().map(text).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let flat = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        self.encoder.encode(&flat.map_err(|error| Error::internal(error.to_string()))?, out)
    }
}

fn text(column: &ArrayRef) -> Result<ArrayRef> {
    if !column.data_type().is_nested() {
        return Ok(Arc::clone(column));
    }
    let values = ColumnText::new(column.as_ref(), Style::Cast)?;
    let mut builder = StringViewBuilder::with_capacity(column.len());
    let mut text = String::new();
    for row in 0..column.len() {
        if values.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        values.write(row, &mut text);
        builder.try_append_value(&text).map_err(|error| Error::data(error.to_string()))?;
    }
    Ok(Arc::new(builder.finish()))
}
