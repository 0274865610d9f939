//! Results with ROW, ARRAY and MAP columns in a format that has none: their values as CAST to STRING writes them.

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::connect::value_text::{ColumnText, Style};
use crate::connect::{Encoder, MakeEncoder};
use crate::error::{Error, Result};

/// The columns as they are written: STRING for those that are nested.
pub(super) fn flattened(schema: &SchemaRef) -> SchemaRef {
    if !schema.fields().iter().any(|field| field.data_type().is_nested()) {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().map(|field| match field.data_type().is_nested() {
        true => Arc::new(Field::new(field.name(), DataType::Utf8View, field.is_nullable())),
        false => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Makes encoders of rows of `schema` out of those of rows of `flat`.
pub(super) fn encoder(inner: MakeEncoder, schema: &SchemaRef, flat: &SchemaRef) -> MakeEncoder {
    if schema == flat {
        return inner;
    }
    let flat = Arc::clone(flat);
    Arc::new(move || Box::new(FlatEncoder { inner: inner(), flat: Arc::clone(&flat) }))
}

struct FlatEncoder {
    inner: Box<dyn Encoder>,
    flat: SchemaRef,
}

impl Encoder for FlatEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = batch.columns().iter().map(|column| match column.data_type().is_nested() {
            true => texts(column),
            false => Ok(Arc::clone(column)),
        });
        let flat = RecordBatch::try_new(Arc::clone(&self.flat), columns.collect::<Result<Vec<_>>>()?)
            .map_err(|error| Error::internal(format!("texts of nested values do not fit their columns: {error}")))?;
        self.inner.encode(&flat, out)
    }
}

fn texts(column: &ArrayRef) -> Result<ArrayRef> {
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
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, ListArray};

    use super::*;
    use crate::connect::format::csv::{CsvEncoder, CsvOptions};

    #[test]
    fn nested_values_are_texts_and_others_stay() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        let columns: Vec<(&str, ArrayRef)> =
            vec![("n", Arc::new(Int64Array::from(vec![1, 2]))), ("l", Arc::new(lists))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let (schema, flat) = (batch.schema(), flattened(&batch.schema()));
        let inner: MakeEncoder = {
            let flat = Arc::clone(&flat);
            Arc::new(move || Box::new(CsvEncoder::new(&flat, &CsvOptions::default()).unwrap()))
        };
        let mut out = Vec::new();
        encoder(inner, &schema, &flat)().encode(&batch, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "1,\"[1, NULL]\"\n2,\n");
    }
}
