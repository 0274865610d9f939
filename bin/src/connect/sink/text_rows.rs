//! Formats of text as a sink writes them: a header and the encoder of the rows, wherever they go.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::RowEnd;
use crate::connect::format::Format;
use crate::connect::format::csv::{CsvEncoder, CsvOptions, Header, header_line};
use crate::connect::format::json::{MapKeys, json_encoder};
use crate::connect::{Encoder, MakeEncoder};
use crate::error::{Error, Result};

/// Whether there is a header line where `csv.header` does not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderDefault {
    /// What a person or a tool reads from standard output starts with the names of the columns.
    Present,
    /// Flink writes files without one, and so reads them back.
    Absent,
}

/// How rows are written as text.
pub struct TextRows {
    /// Makes the encoder of one worker.
    pub encoder: MakeEncoder,
    /// The header line, with its line end; empty if there is none.
    pub header: Vec<u8>,
    /// Where a row ends.
    pub row_end: RowEnd,
}

impl TextRows {
    /// For rows of `schema`.
    ///
    /// # Errors
    /// If a column's type cannot be written in the format.
    pub fn new(format: &Format, schema: &SchemaRef, default: HeaderDefault) -> Result<Self> {
        match format {
            Format::Csv(options) => Self::csv(options, schema, default),
            Format::Json(options) => {
                let encoder = json_encoder(schema, options, MapKeys::Strings)?;
                Ok(Self { encoder, header: Vec::new(), row_end: RowEnd::Line })
            }
            Format::Parquet(_) => Err(Error::statement("Parquet cannot be written to standard output")
                .help("a file of it is finished at its end: write a table with 'connector' = 'filesystem'")),
        }
    }

    /// As CSV.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn csv(options: &CsvOptions, schema: &SchemaRef, default: HeaderDefault) -> Result<Self> {
        CsvEncoder::new(schema, options)?;
        let has_header = match options.header {
            Header::Auto => default == HeaderDefault::Present,
            Header::Present => true,
            Header::Absent | Header::Ignored => false,
        };
        let header = if has_header { header_line(schema, options)? } else { Vec::new() };
        let row_end = options.dialect.quote.map_or(RowEnd::Line, RowEnd::LineOutside);
        let (schema, options) = (Arc::clone(schema), options.clone());
        let encoder = move || -> Box<dyn Encoder> {
            Box::new(CsvEncoder::new(&schema, &options).expect("the same columns were accepted above"))
        };
        Ok(Self { encoder: Arc::new(encoder), header, row_end })
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
            let sink = TextRows::csv(&options, &schema, default).unwrap();
            assert_eq!(String::from_utf8(sink.header).unwrap(), expected, "{header:?}, {default:?}");
        }
    }
}
