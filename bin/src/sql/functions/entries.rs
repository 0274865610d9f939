//! Lists and maps as what they hold: one column of values, and the range of it that each row has.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, UInt32Array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;
use arrow_select::take::take;

use crate::sql::types::FlinkType;

/// The values of a column of lists, or the entries of a column of maps. Nothing stands before the first range, behind the
/// last or in the range of a row that is NULL, so that `values` may be computed with as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    /// Values of all rows, one row after the other.
    pub values: ArrayRef,
    /// Where each row's begin; one more for the end.
    pub offsets: OffsetBuffer<i32>,
    /// Rows that are NULL.
    pub nulls: Option<NullBuffer>,
}

impl Entries {
    /// What a column of lists or maps holds.
    ///
    /// # Errors
    /// If it is neither.
    pub fn of(array: &ArrayRef) -> Result<Self, String> {
        let (values, offsets) = match array.data_type() {
            DataType::List(_) => (Arc::clone(array.as_list::<i32>().values()), array.as_list::<i32>().offsets()),
            DataType::Map(..) => (Arc::new(array.as_map().entries().clone()) as ArrayRef, array.as_map().offsets()),
            other => return Err(format!("internal error: {other} is neither a list nor a map")),
        };
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        let is_hidden = |row: usize| offsets[row] != offsets[row + 1];
        let hides =
            nulls.as_ref().is_some_and(|nulls| (0..array.len()).any(|row| nulls.is_null(row) && is_hidden(row)));
        if hides {
            return Self::without_hidden(&values, offsets, nulls);
        }
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        let values = values.slice(first as usize, (last - first) as usize);
        let offsets = if first == 0 { offsets.clone() } else { rebased(offsets) };
        Ok(Self { values, offsets, nulls })
    }

    fn without_hidden(
        values: &ArrayRef,
        offsets: &OffsetBuffer<i32>,
        nulls: Option<NullBuffer>,
    ) -> Result<Self, String> {
        let mut kept: Vec<u32> = Vec::new();
        let lengths = (0..offsets.len() - 1).map(|row| {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                return 0;
            }
            kept.extend(offsets[row] as u32..offsets[row + 1] as u32);
            (offsets[row + 1] - offsets[row]) as usize
        });
        let offsets = OffsetBuffer::from_lengths(lengths);
        let values = take(values, &UInt32Array::from(kept), None).map_err(|error| error.to_string())?;
        Ok(Self { values, offsets, nulls })
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether a row is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Places of a row's values.
    pub fn range(&self, row: usize) -> Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    /// The same rows as a column of type `flink`, whose values are of the type that it says.
    ///
    /// # Errors
    /// If they are not.
    pub fn into_array(self, flink: FlinkType) -> Result<ArrayRef, String> {
        self.into_array_of(&flink.to_arrow())
    }

    /// The same with Arrow's type.
    ///
    /// # Errors
    /// If the values are of another type.
    pub fn into_array_of(self, data_type: &DataType) -> Result<ArrayRef, String> {
        let wrong = |error: arrow_schema::ArrowError| format!("internal error: {error}");
        match data_type {
            DataType::List(field) => {
                let list =
                    ListArray::try_new(Arc::clone(field), self.offsets, self.values, self.nulls).map_err(wrong)?;
                Ok(Arc::new(list))
            }
            DataType::Map(field, is_sorted) => {
                let entries = self.values.as_struct_opt().ok_or("internal error: a map of no entries")?.clone();
                let map = MapArray::try_new(Arc::clone(field), self.offsets, entries, self.nulls, *is_sorted)
                    .map_err(wrong)?;
                Ok(Arc::new(map))
            }
            other => Err(format!("internal error: {other} is neither a list nor a map")),
        }
    }
}

fn rebased(offsets: &OffsetBuffer<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::from_lengths(offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize))
}

/// The columns of a column of rows; NULL in each where the row itself is.
pub(crate) fn fields_of(array: &ArrayRef) -> Result<Vec<ArrayRef>, String> {
    let row: &StructArray = array.as_struct_opt().ok_or("internal error: no column of rows")?;
    (0..row.num_columns()).map(|field| field_of(row, field)).collect()
}

/// One of them.
pub(crate) fn field_of(row: &StructArray, field: usize) -> Result<ArrayRef, String> {
    let column = row.columns().get(field).ok_or("internal error: a row without that field")?;
    match row.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => Ok(Arc::clone(column)),
        Some(_) if *column.data_type() == DataType::Null => Ok(Arc::clone(column)),
        Some(nulls) => {
            let is_null = arrow_array::BooleanArray::new(!nulls.inner(), None);
            arrow_select::nullif::nullif(column, &is_null).map_err(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::types::Int32Type;
    use arrow_array::{Int32Array, ListArray};
    use arrow_schema::Field;

    use super::*;

    /// What each row holds.
    fn rows(entries: &Entries) -> Vec<Option<Vec<i32>>> {
        let values = entries.values.as_primitive::<Int32Type>();
        let row = |row| (!entries.is_null(row)).then(|| values.values()[entries.range(row)].to_vec());
        (0..entries.len()).map(row).collect()
    }

    #[test]
    fn a_slice_has_the_values_of_its_rows_and_no_others() {
        let mut builder = ListBuilder::new(Int32Builder::new());
        builder.append_value([Some(1), Some(2)]);
        builder.append_null();
        builder.append_value([Some(3)]);
        builder.append_value([] as [Option<i32>; 0]);
        builder.append_value([Some(4), Some(5)]);
        let lists: ArrayRef = Arc::new(builder.finish());
        let all = [Some(vec![1, 2]), None, Some(vec![3]), Some(vec![]), Some(vec![4, 5])];
        for (offset, length) in [(0, 5), (1, 3), (2, 3), (3, 1), (5, 0), (0, 1)] {
            let entries = Entries::of(&lists.slice(offset, length)).unwrap();
            let expected = &all[offset..offset + length];
            assert_eq!(rows(&entries), expected, "{length} from {offset}");
            assert_eq!(entries.values.len(), expected.iter().flatten().map(Vec::len).sum::<usize>());
            let again = entries.into_array(FlinkType::array(FlinkType::Int)).unwrap();
            assert_eq!(rows(&Entries::of(&again).unwrap()), expected);
        }
    }

    #[test]
    fn what_a_null_hides_is_gone() {
        let field = Arc::new(Field::new("element", DataType::Int32, true));
        let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let nulls = Some(NullBuffer::from(vec![true, false, true]));
        let lists: ArrayRef = Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([1, 1, 1]), values, nulls));
        let entries = Entries::of(&lists).unwrap();
        assert_eq!(rows(&entries), [Some(vec![1]), None, Some(vec![3])]);
        assert_eq!(entries.values.len(), 2);
    }

    #[test]
    fn a_field_of_a_null_row_is_null() {
        let field = Arc::new(Field::new("a", DataType::Int32, false));
        let a: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let row = StructArray::new(vec![field].into(), vec![a], Some(NullBuffer::from(vec![true, false])));
        let a = field_of(&row, 0).unwrap();
        assert_eq!(a.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [Some(1), None]);
    }
}
