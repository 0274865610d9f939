//! Strings that their cells do not hold whole: where their bytes are, how they are hashed and compared without a branch on
//! their lengths.
//!
//! Names of places or people are sometimes shorter than a cell and sometimes not, as no processor can foretell. So all
//! strings of a column that has long ones are treated alike: 32 bytes are read from where a string begins, and those behind
//! its end are left out of account. Where memory ends sooner, and for longer strings, the bytes are taken as a slice.

use std::hint::select_unpredictable;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::Buffer;
use arrow_schema::DataType;

use super::cell::INLINE_BYTES_MAX;
use super::hash;

/// Bytes that are read of a long string at once.
pub const WINDOW: usize = 32;

/// Where the bytes of long strings are found while keys are looked up.
pub trait LongKeys {
    /// The bytes of column `column` of the key, in row `row`, whose cell [`is_long`](super::is_long).
    fn bytes(&self, row: usize, column: usize) -> &[u8];

    /// For keys from `first` on, the memory that begins with these bytes, if there is as much. For cells that are not long
    /// it is without meaning.
    fn windows<'a>(&'a self, first: usize, column: usize, windows: &mut [Option<&'a [u8; WINDOW]>]);
}

/// Long strings where they were packed from.
pub(crate) struct ColumnBytes<'a>(Vec<Views<'a>>);

impl<'a> ColumnBytes<'a> {
    /// Those of these columns of a key.
    pub(crate) fn new(columns: &[&'a ArrayRef]) -> Self {
        Self(columns.iter().map(|array| Views::of(array).unwrap_or_default()).collect())
    }
}

impl LongKeys for ColumnBytes<'_> {
    fn bytes(&self, row: usize, column: usize) -> &[u8] {
        let column = &self.0[column];
        column.bytes(column.views[row])
    }

    #[inline]
    fn windows<'a>(&'a self, first: usize, column: usize, windows: &mut [Option<&'a [u8; WINDOW]>]) {
        let column = &self.0[column];
        for (window, &view) in windows.iter_mut().zip(&column.views[first..]) {
            *window = column.window(view);
        }
    }
}

/// The views of a column of strings or bytes, and what the long ones among them point into.
#[derive(Clone, Copy, Default)]
pub(super) struct Views<'a> {
    pub(super) views: &'a [u128],
    buffers: &'a [Buffer],
}

impl<'a> Views<'a> {
    /// `None` for other columns.
    pub(super) fn of(array: &'a ArrayRef) -> Option<Self> {
        match array.data_type() {
            DataType::Utf8View => {
                let array = array.as_string_view();
                Some(Self { views: array.views(), buffers: array.data_buffers() })
            }
            DataType::BinaryView => {
                let array = array.as_binary_view();
                Some(Self { views: array.views(), buffers: array.data_buffers() })
            }
            _ => None,
        }
    }

    /// The cell of a string that is not NULL.
    #[inline(always)]
    pub(super) fn cell(&self, view: u128) -> [u64; 2] {
        let length = view as u32 as usize;
        let is_long = length > INLINE_BYTES_MAX;
        let hash = match self.window(view) {
            Some(window) if length < WINDOW => hash::hash_window(window, length),
            _ if is_long => hash::hash_bytes(self.bytes(view)),
            _ => 0,
        };
        [view as u64, select_unpredictable(is_long, hash, (view >> 64) as u64)]
    }

    /// The bytes of a long string.
    fn bytes(&self, view: u128) -> &'a [u8] {
        let (length, buffer, start) = (view as u32 as usize, (view >> 64) as u32 as usize, (view >> 96) as usize);
        &self.buffers[buffer][start..start + length]
    }

    /// Memory from where a long string begins; for a short one, other memory.
    #[inline(always)]
    fn window(&self, view: u128) -> Option<&'a [u8; WINDOW]> {
        let place = select_unpredictable(view as u32 as usize > INLINE_BYTES_MAX, (view >> 64) as u64, 0);
        let buffer = self.buffers.get(place as u32 as usize)?;
        buffer.as_slice().get((place >> 32) as usize..)?.first_chunk()
    }
}
