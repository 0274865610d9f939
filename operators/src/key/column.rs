//! The way back: a key column from the cells of groups.

use std::sync::Arc;

use arrow_array::builder::BinaryViewBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{ArrayRef, BinaryViewArray, BooleanArray, PrimitiveArray, StringViewArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};

use super::cell::{CELL_WORDS, INLINE_BYTES_MAX, NULL_CELL, is_long, string_length};
use crate::aggregate::AggregateError;

/// Groups as a source of key cells.
pub(crate) trait KeyCells {
    /// Number of groups asked for.
    fn groups(&self) -> usize;
    /// Cell `column` of the `group`-th of them.
    fn cell(&self, group: usize, column: usize) -> [u64; CELL_WORDS];
    /// The bytes behind that cell, which is long.
    fn long_bytes(&self, group: usize, column: usize) -> &[u8];
}

/// Key column `column` of all groups of `keys`, as an array of `data_type`.
///
/// # Errors
/// If the type cannot be part of a key: refused at planning already.
pub(crate) fn key_column(
    keys: &impl KeyCells,
    column: usize,
    data_type: &DataType,
) -> Result<ArrayRef, AggregateError> {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => bytes_column(keys, column, data_type),
        _ => {
            let cells = (0..keys.groups()).map(|group| keys.cell(group, column));
            array_of_cells(cells.map(|cell| (cell != NULL_CELL).then_some(cell)), data_type)
        }
    }
}

/// An array of `data_type`, which is of fixed width, from the cells of its values.
///
/// # Errors
/// If there are no cells of that type: refused at planning already.
pub(crate) fn array_of_cells(
    cells: impl Iterator<Item = Option<[u64; CELL_WORDS]>>,
    data_type: &DataType,
) -> Result<ArrayRef, AggregateError> {
    use DataType as T;
    let (as_i32, as_i64) = (|cell: [u64; CELL_WORDS]| cell[0] as i32, |cell: [u64; CELL_WORDS]| cell[0] as i64);
    Ok(match data_type {
        T::Boolean => Arc::new(cells.map(|cell| cell.map(|cell| cell[0] != 0)).collect::<BooleanArray>()),
        T::Float32 => primitive::<Float32Type>(cells, |cell| f32::from_bits(cell[0] as u32), data_type),
        T::Float64 => primitive::<Float64Type>(cells, |cell| f64::from_bits(cell[0]), data_type),
        T::Decimal128(..) => {
            let join = |cell: [u64; CELL_WORDS]| (u128::from(cell[1]) << 64 | u128::from(cell[0])) as i128;
            primitive::<Decimal128Type>(cells, join, data_type)
        }
        T::Int8 => primitive::<Int8Type>(cells, |cell| cell[0] as i8, data_type),
        T::Int16 => primitive::<Int16Type>(cells, |cell| cell[0] as i16, data_type),
        T::Int32 => primitive::<Int32Type>(cells, as_i32, data_type),
        T::Int64 => primitive::<Int64Type>(cells, as_i64, data_type),
        T::Date32 => primitive::<Date32Type>(cells, as_i32, data_type),
        T::Time32(TimeUnit::Second) => primitive::<Time32SecondType>(cells, as_i32, data_type),
        T::Time32(_) => primitive::<Time32MillisecondType>(cells, as_i32, data_type),
        T::Time64(TimeUnit::Microsecond) => primitive::<Time64MicrosecondType>(cells, as_i64, data_type),
        T::Time64(_) => primitive::<Time64NanosecondType>(cells, as_i64, data_type),
        T::Timestamp(TimeUnit::Second, _) => primitive::<TimestampSecondType>(cells, as_i64, data_type),
        T::Timestamp(TimeUnit::Millisecond, _) => primitive::<TimestampMillisecondType>(cells, as_i64, data_type),
        T::Timestamp(TimeUnit::Microsecond, _) => primitive::<TimestampMicrosecondType>(cells, as_i64, data_type),
        T::Timestamp(TimeUnit::Nanosecond, _) => primitive::<TimestampNanosecondType>(cells, as_i64, data_type),
        other => return Err(AggregateError::unsupported("a value in a cell", other)),
    })
}

fn primitive<T: ArrowPrimitiveType>(
    cells: impl Iterator<Item = Option<[u64; CELL_WORDS]>>,
    value: impl Fn([u64; CELL_WORDS]) -> T::Native,
    data_type: &DataType,
) -> ArrayRef {
    let array: PrimitiveArray<T> = cells.map(|cell| cell.map(&value)).collect();
    Arc::new(array.with_data_type(data_type.clone()))
}

fn bytes_column(keys: &impl KeyCells, column: usize, data_type: &DataType) -> Result<ArrayRef, AggregateError> {
    let groups = keys.groups();
    let (mut longest, mut nulls) = (0, 0);
    let mut views: Vec<u128> = Vec::with_capacity(groups);
    views.extend((0..groups).map(|group| {
        let cell = keys.cell(group, column);
        longest = longest.max(string_length(cell));
        nulls += usize::from(cell == NULL_CELL);
        u128::from(cell[1]) << 64 | u128::from(cell[0])
    }));
    if longest > INLINE_BYTES_MAX {
        return long_bytes_column(keys, column, data_type);
    }
    let is_valid = (nulls > 0).then(|| BooleanBuffer::collect_bool(groups, |group| views[group] != NULL_VIEW));
    if nulls > 0 {
        views.iter_mut().filter(|view| **view == NULL_VIEW).for_each(|view| *view = 0);
    }
    Ok(short_strings(views, is_valid.map(NullBuffer::new), data_type))
}

/// The cell of NULL as a view.
const NULL_VIEW: u128 = (NULL_CELL[1] as u128) << 64 | NULL_CELL[0] as u128;

/// Strings or bytes whose views hold them whole: as cells, which are views without the buffers of longer strings.
#[allow(unsafe_code)] // To check each string again took as long as all other columns of a result.
fn short_strings(views: Vec<u128>, nulls: Option<NullBuffer>, data_type: &DataType) -> ArrayRef {
    let (views, buffers): (ScalarBuffer<u128>, [Buffer; 0]) = (views.into(), []);
    match data_type {
        // SAFETY: a cell of at most 12 bytes is the view that a column of this type had, padded with zeros, and NULL is
        // the view 0; so the views need no buffer, and those of strings hold UTF-8.
        DataType::Utf8View => Arc::new(unsafe { StringViewArray::new_unchecked(views, buffers, nulls) }),
        // SAFETY: as above.
        _ => Arc::new(unsafe { BinaryViewArray::new_unchecked(views, buffers, nulls) }),
    }
}

fn long_bytes_column(keys: &impl KeyCells, column: usize, data_type: &DataType) -> Result<ArrayRef, AggregateError> {
    let mut builder = BinaryViewBuilder::with_capacity(keys.groups());
    for group in 0..keys.groups() {
        let cell = keys.cell(group, column);
        if cell == NULL_CELL {
            builder.append_null();
        } else if is_long(cell) {
            builder.append_value(keys.long_bytes(group, column));
        } else {
            let view = (u128::from(cell[1]) << 64 | u128::from(cell[0])).to_le_bytes();
            let length = string_length(cell).min(INLINE_BYTES_MAX);
            builder.append_value(&view[4..4 + length]);
        }
    }
    let bytes = builder.finish();
    Ok(match data_type {
        DataType::Utf8View => Arc::new(bytes.to_string_view()?),
        _ => Arc::new(bytes),
    })
}
