//! CSV as a sink writes it: the header line and the encoder of the rows, wherever they go.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::Encoder;
use super::format::csv::{CsvOptions, Header};
use super::standins as csv;
use crate::error::Result;

/// Whether there is a header line where `csv.header` does not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderDefault {
    /// What a person or a tool reads from standard output starts with the names of the columns.
    Present,
    /// Flink writes files without one, and so reads them back.
    Absent,
}

/// How a sink of CSV is written.
pub struct CsvSink {
    /// Makes the encoder of one worker.
    pub encoder: Arc<dyn Fn() -> Box<dyn Encoder> + Send + Sync>,
    /// The header line, with its line end; empty if there is none.
    pub header: Vec<u8>,
}

impl CsvSink {
    /// A sink for rows of `schema`.
    ///
    /// # Errors
    /// If a column's type cannot be written as CSV.
    pub fn new(schema: &SchemaRef, options: &CsvOptions, default: HeaderDefault) -> Result<Self> {
        let first = csv::Encoder::new(schema, options)?;
        let has_header = match options.header {
            Header::Auto => default == HeaderDefault::Present,
            Header::Present => true,
            Header::Absent => false,
        };
        let header = if has_header { first.header() } else { Vec::new() };
        Ok(Self { encoder: Arc::new(move || Box::new(first.clone())), header })
    }
}
