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

    /// The values of one row.
    pub fn row(&self, row: usize) -> ArrayRef {
        let range = self.range(row);
        self.values.slice(range.start, range.len())
    }

    /// The same rows as a column of type `flink`, whose values are of the type that it says.
    ///
    /// # Errors
    /// If they are not.
    pub fn into_array(self, flink: FlinkType) -> Result<ArrayRef, String> {
        let wrong = |error: arrow_schema::ArrowError| format!("internal error: {error}");
        match flink.to_arrow() {
            DataType::List(field) => {
                let list = ListArray::try_new(field, self.offsets, self.values, self.nulls).map_err(wrong)?;
                Ok(Arc::new(list))
            }
            DataType::Map(field, is_sorted) => {
                let entries = self.values.as_struct_opt().ok_or("internal error: a map of no entries")?.clone();
                let map = MapArray::try_new(field, self.offsets, entries, self.nulls, is_sorted).map_err(wrong)?;
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
