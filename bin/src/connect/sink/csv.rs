//! CSV as a sink writes it: the header line and the encoder of the rows, wherever they go.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use crate::connect::format::csv::{CsvEncoder, CsvOptions, Header, header_line};
use crate::connect::{Encoder, MakeEncoder};
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
    pub encoder: MakeEncoder,
    /// The header line, with its line end; empty if there is none.
    pub header: Vec<u8>,
}

impl CsvSink {
    /// A sink for rows of `schema`.
    ///
    /// # Errors
    /// If a column's type cannot be written as CSV.
    pub fn new(schema: &SchemaRef, options: &CsvOptions, default: HeaderDefault) -> Result<Self> {
        CsvEncoder::new(schema, options)?;
        let has_header = match options.header {
            Header::Auto => default == HeaderDefault::Present,
            Header::Present => true,
            Header::Absent => false,
        };
        let header = if has_header { header_line(schema, options)? } else { Vec::new() };
        let (schema, options) = (Arc::clone(schema), options.clone());
        let encoder = move || -> Box<dyn Encoder> {
            Box::new(CsvEncoder::new(&schema, &options).expect("the same columns were accepted above"))
        };
        Ok(Self { encoder: Arc::new(encoder), header })
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn header_is_there_where_it_is_asked_for_or_read_by_people() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("a,b", DataType::Utf8View, true),
        ]));
        for (header, default, expected) in [
            (Header::Auto, HeaderDefault::Present, "id,\"a,b\"\n"),
            (Header::Auto, HeaderDefault::Absent, ""),
            (Header::Present, HeaderDefault::Absent, "id,\"a,b\"\n"),
            (Header::Absent, HeaderDefault::Present, ""),
        ] {
            let options = CsvOptions { header, ..CsvOptions::default() };
            let sink = CsvSink::new(&schema, &options, default).unwrap();
            assert_eq!(String::from_utf8(sink.header).unwrap(), expected, "{header:?}, {default:?}");
        }
    }
}
