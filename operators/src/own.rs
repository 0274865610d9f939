//! Columns without a view into an input block: what leaves a step may keep none, or the block could not be used again.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow_schema::{ArrowError, DataType};

use crate::batch::Batch;
use crate::key::{coded, coded_type, plain};

/// The same rows, with [`column()`]s of their own.
///
/// # Errors
/// As [`column()`].
pub fn batch(batch: &Batch) -> Result<Batch, ArrowError> {
    let columns = batch.columns.columns().iter().map(column).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.rows()));
    Ok(batch.with_columns(RecordBatch::try_new_with_options(batch.columns.schema(), columns, &options)?))
}

/// The same values with strings and bytes of their own, within arrays, maps and rows, too.
///
/// # Errors
/// Never, unless Arrow refuses to put together again what was taken apart: a bug.
pub fn column(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !has_views(column.data_type()) {
        return Ok(Arc::clone(column));
    }
    Ok(match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        // Of a dictionary, no more than what is used.
        _ if *column.data_type() == coded_type() => coded(&self::column(&plain(column)?)?),
        DataType::List(field) => {
            let list = column.as_list::<i32>();
            let values = self::column(&used(list.values(), list.value_offsets()))?;
            let offsets = from_zero(list.value_offsets());
            Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, list.nulls().cloned())?)
        }
        DataType::Map(field, is_sorted) => {
            let map = column.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = self::column(&used(&entries, map.value_offsets()))?.as_struct().clone();
            let offsets = from_zero(map.value_offsets());
            Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, map.nulls().cloned(), *is_sorted)?)
        }
        DataType::Struct(fields) => {
            let row = column.as_struct();
            let columns = row.columns().iter().map(self::column).collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new(fields.clone(), columns, row.nulls().cloned())?)
        }
        _ => Arc::clone(column),
    })
}

fn has_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::Dictionary(_, values) => has_views(values),
        DataType::List(field) | DataType::Map(field, _) => has_views(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_views(field.data_type())),
        _ => false,
    }
}

/// The values that a slice of lists still has.
fn used(values: &ArrayRef, offsets: &[i32]) -> ArrayRef {
    let (first, last) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    values.slice(first, last - first)
}

fn from_zero(offsets: &[i32]) -> arrow_buffer::OffsetBuffer<i32> {
    let first = offsets[0];
    arrow_buffer::OffsetBuffer::new(offsets.iter().map(|offset| offset - first).collect())
}

#[cfg(test)]
mod tests {
    use arrow_array::StringViewArray;
    use arrow_array::builder::{ListBuilder, MapBuilder, StringViewBuilder};
    use arrow_buffer::NullBuffer;
    use arrow_schema::Field;

    use super::*;

    /// Bytes behind the views of a column, wherever it has some.
    fn behind(array: &ArrayRef) -> usize {
        match array.data_type() {
            DataType::Utf8View => array.as_string_view().data_buffers().iter().map(|buffer| buffer.len()).sum(),
            DataType::List(_) => behind(array.as_list::<i32>().values()),
            DataType::Map(..) => behind(array.as_map().keys()) + behind(array.as_map().values()),
            _ => array.as_struct().columns().iter().map(behind).sum(),
        }
    }

    const LONG: &str = "a string that is too long to stand in its view";

    fn rows() -> ArrayRef {
        let mut lists = ListBuilder::new(StringViewBuilder::new());
        let mut maps = MapBuilder::new(None, StringViewBuilder::new(), StringViewBuilder::new());
        for row in 0..50 {
            if row == 3 {
                lists.append_null();
            } else {
                lists.append_value([Some(format!("{LONG} {row}")), None]);
            }
            maps.keys().append_value(format!("{LONG} {row}"));
            maps.values().append_value(format!("{row} {LONG}"));
            maps.append(row != 4).unwrap();
        }
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("s", Arc::new(StringViewArray::from_iter_values((0..50).map(|row| format!("{LONG}{row}"))))),
            ("l", Arc::new(lists.finish())),
            ("m", Arc::new(maps.finish())),
        ];
        let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
        let columns = columns.into_iter().map(|(_, array)| array).collect();
        Arc::new(StructArray::new(fields, columns, Some(NullBuffer::from_iter((0..50).map(|row| row != 5)))))
    }

    #[test]
    fn nested_strings_are_copied_out_and_equal() {
        let whole = rows();
        for (offset, length) in [(0, 50), (2, 5), (49, 1), (7, 0)] {
            let part = whole.slice(offset, length);
            let owned = column(&part).unwrap();
            assert_eq!(&owned, &part, "{length} rows from {offset}");
            assert!(behind(&owned) <= length * 5 * (LONG.len() + 3), "{length} rows from {offset}");
        }
    }
}
