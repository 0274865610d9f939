//! Which rows changed anything.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::DataType;

use crate::aggregate::{GONE, Places};
use crate::key::canonical_column;

/// Places of the history that are to be emitted: of a row that leaves every value of its group as it was, neither is.
/// `None`: all are. Values are equal as SQL has them equal, NULL to NULL.
pub(super) fn changed(columns: &[ArrayRef], places: &[Places], slots: usize) -> Option<BooleanBuffer> {
    let is_same = sameness(columns);
    let mut kept: Option<BooleanBufferBuilder> = None;
    for &Places { before, after } in places {
        let (before, after) = (before as usize, after as usize);
        if before != after && after != GONE as usize && is_same(before, after) {
            let kept = kept.get_or_insert_with(|| {
                let mut all = BooleanBufferBuilder::new(slots);
                all.append_n(slots, true);
                all
            });
            kept.set_bit(before, false);
            kept.set_bit(after, false);
        }
    }
    kept.map(|mut kept| kept.finish())
}

/// Whether two rows of these columns have the same values.
pub(crate) fn sameness(columns: &[ArrayRef]) -> impl Fn(usize, usize) -> bool {
    let tests: Vec<_> = columns.iter().map(test).collect();
    move |a, b| tests.iter().all(|is_same| is_same(a, b))
}

/// Whether two values of a column are the same.
fn test(column: &ArrayRef) -> Box<dyn Fn(usize, usize) -> bool> {
    let column = canonical_column(column);
    let nulls = column.nulls().cloned();
    let is_same = values_test(&column);
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => is_same,
        Some(nulls) => Box::new(move |a, b| match (nulls.is_null(a), nulls.is_null(b)) {
            (false, false) => is_same(a, b),
            (a, b) => a && b,
        }),
    }
}

fn values_test(column: &ArrayRef) -> Box<dyn Fn(usize, usize) -> bool> {
    match column.data_type() {
        DataType::Utf8View => {
            let values = column.as_string_view().clone();
            Box::new(move |a, b| values.value(a) == values.value(b))
        }
        DataType::BinaryView => {
            let values = column.as_binary_view().clone();
            Box::new(move |a, b| values.value(a) == values.value(b))
        }
        DataType::Boolean => {
            let values = column.as_boolean().values().clone();
            Box::new(move |a, b| values.value(a) == values.value(b))
        }
        // All others are of fixed width; one value is one pattern of bits.
        data_type => {
            let (width, data) = (data_type.primitive_width().unwrap_or(0), column.to_data());
            let (first, bytes) = (data.offset() * width, data.buffers()[0].clone());
            let value = move |row: usize| first + row * width..first + (row + 1) * width;
            Box::new(move |a, b| bytes[value(a)] == bytes[value(b)])
        }
    }
}
