//! Group keys: fixed-width cells, their routing hash, and the way back to columns.
//!
//! A key column becomes a cell of 16 bytes, whatever its type; a key is its cells side by side. Two keys are equal exactly
//! when their cells are and, for strings longer than 12 bytes, when the bytes behind the cells are too.

mod cell;
mod codes;
mod column;
pub mod hash;
mod long;
mod strings;

pub use cell::{CELL_WORDS, INLINE_BYTES_MAX, KeyShape, PackedKeys, is_long, is_supported, string_length};
pub(crate) use cell::{canonical_column, canonical_f64};
pub use codes::{DistinctKeys, coded, coded_type, plain};
pub(crate) use column::{KeyCells, array_of_cells, key_column};
pub(crate) use long::ColumnBytes;
pub use long::{LongKeys, WINDOW};
