//! NDJSON: one JSON object (RFC 8259) on each line, decoded straight into columns, nested ones included.
//!
//! A line ends with LF or CR LF; lines of white space are passed over. Fields are found by name, in any order; those that
//! no column is named for are checked to be JSON, and not looked at further. Of several fields with one name the last
//! counts. A column for which a record has no field is NULL.
//!
//! `decode` reads one record, and is what says which are accepted and why others are refused. Records of the `shape` of those
//! before them are read many at a time (`fit`, `vector`), to the same values; `batch` puts both together.

mod batch;
mod column;
mod decode;
mod encode;
mod fit;
mod infer;
mod kinds;
mod names;
mod options;
mod refusal;
mod scalar;
mod scan;
mod shape;
mod source;
mod text;
mod vector;
mod views;

pub use encode::{JsonEncoder, MapKeys, json_encoder};
pub use infer::infer;
pub use options::{JsonOptions, TimestampFormat};
pub use source::{JsonTable, json_source};
pub use text::write_string;

#[cfg(test)]
mod tests;
