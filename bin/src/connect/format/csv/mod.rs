//! CSV (RFC 4180), read in parallel from blocks that are cut anywhere.
//!
//! Quotes: a quote character opens and closes, and a record ends at a newline outside of quotes. A field that goes on over a
//! line end must be well-formed, else its line is given up: `text::scan` has the rules. In a record of one line broken quotes
//! are a fault of their field, found when it is decoded. LF and CR LF end a record, also mixed; blank lines are passed over,
//! but in a table of one column they are a field.
//!
//! NULL: an unquoted empty field, unless the column is a string; with `csv.null-literal`, an unquoted field of that text. A
//! quoted field is never NULL. Spaces around values that are not strings are accepted, and columns that a query does not
//! ask for are not looked at.

pub(crate) mod base64;
mod cells;
mod column;
mod decode;
mod encode;
mod infer;
mod lines;
pub(super) mod number;
mod options;
mod quoting;
mod refusal;
mod shape;
mod slices;
mod style;
mod table;
pub(super) mod temporal;
mod text_form;
pub(super) mod vector;

pub use encode::{CsvEncoder, header_line};
pub use infer::infer;
pub use options::{CsvOptions, Header};
pub(in crate::connect) use refusal::type_name;
pub use table::{CsvSource, Table, csv_source};

#[cfg(test)]
mod tests;
