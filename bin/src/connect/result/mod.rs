//! The result of a bare SELECT on standard output: as a table to look at, as CSV, or as JSON lines.

mod flat;
mod json;
mod table;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use self::flat::FlatEncoder;
use super::sink::{HeaderDefault, TextRows};
use super::stdout::{Stream, StreamWriter};
use super::value_text::check_schema;
use super::{OpenSink, SinkRows};
use crate::error::{Error, Result};

/// `--format`: how results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ResultFormat {
    /// Aligned columns in a frame, drawn when the job has ended; the first rows of a long result.
    Table,
    /// A header line, then a line for each row, as they come.
    #[default]
    Csv,
    /// One JSON object on a line for each row, as they come.
    Json,
}

impl ResultFormat {
    /// The formats, as `--format` names them.
    pub const NAMES: [&'static str; 3] = ["table", "csv", "json"];
}

impl fmt::Display for ResultFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Json => "json",
        })
    }
}

impl FromStr for ResultFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "table" => Ok(Self::Table),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            other => Err(Error::statement(format!("'{other}' is not a format of results"))
                .help("formats: 'table', 'csv' and 'json'")),
        }
    }
}

/// Opens standard output for a result with these columns.
///
/// # Errors
/// If a column's type cannot be written in the format.
pub fn open(format: ResultFormat, schema: &SchemaRef) -> Result<OpenSink> {
    check_schema(schema)?;
    Ok(match format {
        ResultFormat::Table => table::open(schema),
        ResultFormat::Csv => {
            let flat = flat::schema(schema);
            let sink = TextRows::csv(&Default::default(), &flat, HeaderDefault::Present)?;
            OpenSink {
                encoder: Some(Arc::new(move || {
                    Box::new(FlatEncoder { schema: Arc::clone(&flat), encoder: (sink.encoder)() })
                })),
                writer: Box::new(StreamWriter::new(Stream::Stdout, sink.header).with_row_end(sink.row_end)),
                schema: Arc::clone(schema),
            }
        }
        ResultFormat::Json => json::open(schema)?,
    })
}

/// Writes rows that are there already, such as those of DESCRIBE, to standard output.
///
/// # Errors
/// As for [`open`] and for writing.
pub fn write_rows(format: ResultFormat, rows: &RecordBatch) -> Result<()> {
    let mut sink = open(format, &rows.schema())?;
    let mut bytes = Vec::new();
    match &sink.encoder {
        Some(encoder) => encoder().encode(rows, &mut bytes)?,
        None => return Err(Error::internal("a result without an encoder")),
    }
    sink.writer.write(SinkRows::Encoded(&bytes))?;
    sink.writer.finish()
}
