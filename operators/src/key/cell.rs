//! Cells: a key column's value in 16 bytes, packed and hashed in one pass over the columns of a batch.
//!
//! | Type | First word | Second word |
//! |---|---|---|
//! | strings and bytes up to 12 | length (4 bytes), bytes | bytes, padded with zeros (Arrow's own view layout) |
//! | longer ones | length, first 4 bytes | 64-bit hash of all bytes; the bytes themselves are kept beside the table |
//! | BOOLEAN, integers, dates, times | value | 0 |
//! | floating point | bits; NaN is one value, −0.0 is 0.0 | 0 |
//! | DECIMAL | low half | high half |
//! | NULL of any type | 0 | 1 << 63 |
//!
//! No value looks like NULL: an empty string has no bytes, and a decimal of 38 digits is above −2^127.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, BinaryViewType, ByteViewType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, StringViewType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};

use super::hash;
use super::long::Views;
use super::strings::{Lengths, pack_strings};
use crate::aggregate::AggregateError;
use crate::kernels::{Kernels, Level};

/// Words of a cell.
pub const CELL_WORDS: usize = 2;
/// The longest string that a cell holds whole.
pub const INLINE_BYTES_MAX: usize = 12;
/// The cell of NULL.
pub(super) const NULL_CELL: [u64; 2] = [0, 1 << 63];

/// Can a column of this type be part of a group key?
#[must_use]
pub fn is_supported(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(
        data_type,
        T::Utf8View
            | T::BinaryView
            | T::Boolean
            | T::Int8
            | T::Int16
            | T::Int32
            | T::Int64
            | T::Float32
            | T::Float64
            | T::Decimal128(..)
            | T::Date32
            | T::Time32(_)
            | T::Time64(_)
            | T::Timestamp(..)
    )
}

/// Does this cell of a string or bytes column stand for bytes that are kept beside the table?
#[inline]
#[must_use]
pub fn is_long(cell: [u64; CELL_WORDS]) -> bool {
    string_length(cell) > INLINE_BYTES_MAX
}

/// Length in bytes of the string that a cell of a string or bytes column stands for; 0 for NULL.
#[inline]
#[must_use]
pub fn string_length(cell: [u64; CELL_WORDS]) -> usize {
    cell[0] as u32 as usize
}

/// How many columns a key has, and which of them are strings or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyShape {
    columns: usize,
    byte_columns: Box<[usize]>,
}

impl KeyShape {
    /// The shape of a key with columns of these types.
    #[must_use]
    pub fn new<'a>(types: impl Iterator<Item = &'a DataType> + Clone) -> Self {
        let is_bytes = |data_type: &DataType| matches!(data_type, DataType::Utf8View | DataType::BinaryView);
        let byte_columns = types.clone().enumerate().filter(|(_, t)| is_bytes(t)).map(|(column, _)| column).collect();
        Self { columns: types.count(), byte_columns }
    }

    /// Words of a key.
    #[must_use]
    pub fn words(&self) -> usize {
        self.columns * CELL_WORDS
    }

    /// The columns that are strings or bytes.
    #[must_use]
    pub fn byte_columns(&self) -> &[usize] {
        &self.byte_columns
    }

    /// Columns and cells of the strings of a key.
    pub fn byte_cells(&self, key: &[u64]) -> impl Iterator<Item = (usize, [u64; CELL_WORDS])> {
        self.byte_columns.iter().map(|&column| (column, [key[column * CELL_WORDS], key[column * CELL_WORDS + 1]]))
    }

    /// Where the string of column `column`, whose cell [`is_long`], begins among the key's long strings, which lie one
    /// after the other.
    #[must_use]
    pub fn long_start(&self, key: &[u64], column: usize) -> usize {
        let before = self.byte_cells(key).take_while(|&(other, _)| other != column);
        before.filter(|&(_, cell)| is_long(cell)).map(|(_, cell)| string_length(cell)).sum()
    }

    /// The string of column `column`, whose cell [`is_long`], among `long`: the key's long strings one after the other.
    ///
    /// # Panics
    /// If the column is not long or `long` not of this key.
    #[must_use]
    pub fn long_bytes<'a>(&self, key: &[u64], long: &'a [u8], column: usize) -> &'a [u8] {
        let start = self.long_start(key, column);
        &long[start..start + string_length([key[column * CELL_WORDS], key[column * CELL_WORDS + 1]])]
    }

    /// Bytes that are kept beside the key.
    #[must_use]
    pub fn long_length(&self, key: &[u64]) -> usize {
        self.byte_cells(key).filter(|&(_, cell)| is_long(cell)).map(|(_, cell)| string_length(cell)).sum()
    }
}

/// The keys of a batch: cells row by row, and hashes. Reused from batch to batch.
#[derive(Debug, Default)]
pub struct PackedKeys {
    /// `rows × columns × 2` words.
    pub cells: Vec<u64>,
    /// One for each row.
    pub hashes: Vec<u64>,
    /// Some string is longer than [`INLINE_BYTES_MAX`], so that equal cells need a look at the bytes.
    pub has_long: bool,
}

impl PackedKeys {
    /// Packs and hashes `rows` rows of the key's columns with `kernels`.
    ///
    /// # Errors
    /// If a column's type cannot be part of a key: refused at planning already.
    pub fn pack(&mut self, columns: &[&ArrayRef], rows: usize, kernels: Kernels) -> Result<(), AggregateError> {
        if self.pack_strings(columns, rows, kernels.level()) {
            return Ok(());
        }
        self.cells.resize(rows * columns.len() * CELL_WORDS, 0);
        self.hashes.clear();
        self.hashes.resize(rows, if columns.is_empty() { hash::EMPTY_KEY } else { hash::SEED });
        self.has_long = false;
        let key_words = columns.len() * CELL_WORDS;
        for (index, array) in columns.iter().enumerate() {
            let target = Target { cells: &mut self.cells, hashes: &mut self.hashes, key_words, index };
            self.has_long |= pack_column(array, target)?;
        }
        Ok(())
    }
}

impl PackedKeys {
    /// Packs columns that are strings without NULL, if all are, and if there are kernels for that. Otherwise nothing is
    /// packed.
    fn pack_strings(&mut self, columns: &[&ArrayRef], rows: usize, level: Level) -> bool {
        let mut views = [Views::default(); STRINGS_MAX];
        if columns.len() > STRINGS_MAX || columns.iter().any(|array| array.null_count() > 0) {
            return false;
        }
        for (views, array) in views.iter_mut().zip(columns) {
            let Some(found) = Views::of(array) else { return false };
            *views = found;
        }
        self.cells.resize(rows * columns.len() * CELL_WORDS, 0);
        self.hashes.resize(rows, 0);
        // Columns with long strings mostly go on having some.
        for lengths in [Lengths::Short, Lengths::Any].into_iter().skip(usize::from(self.has_long)) {
            let packed = pack_strings(level, lengths, &views[..columns.len()], &mut self.cells, &mut self.hashes);
            let Some(has_long) = packed else { return false };
            self.has_long = has_long;
            if lengths == Lengths::Any || !has_long {
                return true;
            }
        }
        false
    }
}

/// Columns of a key that are packed together at most.
const STRINGS_MAX: usize = 3;

/// One column's places among the cells, and the hashes that it is added to.
struct Target<'a> {
    cells: &'a mut [u64],
    hashes: &'a mut [u64],
    key_words: usize,
    index: usize,
}

impl Target<'_> {
    #[inline]
    fn put(self, nulls: Option<&NullBuffer>, cell_of: impl Fn(usize) -> [u64; 2]) {
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => self.put_each(cell_of),
            Some(nulls) => self.put_each(|row| if nulls.is_valid(row) { cell_of(row) } else { NULL_CELL }),
        }
    }

    #[inline]
    fn put_each(self, cell_of: impl Fn(usize) -> [u64; 2]) {
        let at = self.index * CELL_WORDS;
        for (row, (key, hash)) in self.cells.chunks_exact_mut(self.key_words).zip(self.hashes).enumerate() {
            let cell = cell_of(row);
            key[at..at + CELL_WORDS].copy_from_slice(&cell);
            *hash = hash::add_cell(*hash, cell);
        }
    }
}

/// Returns whether a long string was met.
fn pack_column(array: &ArrayRef, target: Target<'_>) -> Result<bool, AggregateError> {
    use DataType as T;
    match array.data_type() {
        T::Utf8View => return Ok(pack_views::<StringViewType>(array, target)),
        T::BinaryView => return Ok(pack_views::<BinaryViewType>(array, target)),
        T::Boolean => {
            let values = array.as_boolean().values();
            target.put(array.nulls(), |row| [u64::from(values.value(row)), 0]);
        }
        T::Float32 => pack_words::<Float32Type>(array, target, |v| u64::from(canonical_f32(v).to_bits())),
        T::Float64 => pack_words::<Float64Type>(array, target, |v| canonical_f64(v).to_bits()),
        T::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().values();
            target.put(array.nulls(), |row| [values[row] as u64, (values[row] >> 64) as u64]);
        }
        T::Int8 => pack_words::<Int8Type>(array, target, |v| i64::from(v) as u64),
        T::Int16 => pack_words::<Int16Type>(array, target, |v| i64::from(v) as u64),
        T::Int32 => pack_words::<Int32Type>(array, target, |v| i64::from(v) as u64),
        T::Int64 => pack_words::<Int64Type>(array, target, |v| v as u64),
        T::Date32 => pack_words::<Date32Type>(array, target, |v| i64::from(v) as u64),
        T::Time32(TimeUnit::Second) => pack_words::<Time32SecondType>(array, target, |v| i64::from(v) as u64),
        T::Time32(_) => pack_words::<Time32MillisecondType>(array, target, |v| i64::from(v) as u64),
        T::Time64(TimeUnit::Microsecond) => pack_words::<Time64MicrosecondType>(array, target, |v| v as u64),
        T::Time64(_) => pack_words::<Time64NanosecondType>(array, target, |v| v as u64),
        T::Timestamp(TimeUnit::Second, _) => pack_words::<TimestampSecondType>(array, target, |v| v as u64),
        T::Timestamp(TimeUnit::Millisecond, _) => pack_words::<TimestampMillisecondType>(array, target, |v| v as u64),
        T::Timestamp(TimeUnit::Microsecond, _) => pack_words::<TimestampMicrosecondType>(array, target, |v| v as u64),
        T::Timestamp(TimeUnit::Nanosecond, _) => pack_words::<TimestampNanosecondType>(array, target, |v| v as u64),
        other => return Err(AggregateError::unsupported("a group key", other)),
    }
    Ok(false)
}

#[inline]
fn pack_words<T: ArrowPrimitiveType>(array: &ArrayRef, target: Target<'_>, word: impl Fn(T::Native) -> u64) {
    let values = array.as_primitive::<T>().values();
    target.put(array.nulls(), |row| [word(values[row]), 0]);
}

fn pack_views<T: ByteViewType>(array: &ArrayRef, target: Target<'_>) -> bool {
    let array = array.as_byte_view::<T>();
    let views = array.views();
    // Rows that are NULL may hold any view; that they count here costs a look at bytes, never a wrong answer.
    let has_long = views.iter().fold(0, |longest, &view| longest.max(view as u32)) > INLINE_BYTES_MAX as u32;
    let inline = |row: usize| [views[row] as u64, (views[row] >> 64) as u64];
    if has_long {
        target.put(array.nulls(), |row| {
            let cell = inline(row);
            let bytes: &[u8] = array.value(row).as_ref();
            if is_long(cell) { [cell[0], hash::hash_bytes(bytes)] } else { cell }
        });
    } else {
        target.put(array.nulls(), inline);
    }
    has_long
}

/// The one NaN for every NaN, 0.0 for −0.0.
#[inline]
pub(crate) fn canonical_f64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

/// The one NaN for every NaN, 0.0 for −0.0.
#[inline]
pub(crate) fn canonical_f32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value + 0.0 }
}

/// The column with one value for all that are equal in SQL, for those who compare values by their bits.
pub(crate) fn canonical_column(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float32 => Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(canonical_f32)),
        DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(canonical_f64)),
        _ => Arc::clone(array),
    }
}
