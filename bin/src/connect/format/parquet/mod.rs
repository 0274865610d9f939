//! Parquet: files of columns, read piece by piece and written row group by row group.
//!
//! Plain columns are decoded in `direct`; the decoder of everything else, and of all that `direct` does not understand, is
//! that of the `parquet` crate. What stands before it are checks of everything that a file declares, since
//! a damaged or hostile file must be an error: never a panic, never more memory than a page may have, never a wrong row.
//! The metadata is walked by `thrift`, headers of pages are looked at by `headers`, pages by `pages`, values by `adapt`, and what panics in spite
//! of that is caught by `contained`.

mod adapt;
mod contained;
mod delta;
mod direct;
mod file;
mod group;
mod headers;
mod infer;
mod layout;
mod options;
mod pages;
mod places;
mod prune;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod thrift;
mod write;

pub use contained::is_contained;
pub use infer::infer;
pub use options::ParquetOptions;
pub use reader::open;
pub use write::{ParquetFileWriter, check_schema};
