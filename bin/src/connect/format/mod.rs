//! Formats: how rows are written as bytes.

pub mod csv;
pub mod json;
pub mod parquet;
pub mod text;

use std::sync::Arc;

use self::csv::{CsvOptions, csv_source};
use self::parquet::ParquetOptions;
use super::bad_input::BadInput;
use super::block::BlockInput;
use super::options::OptionReader;
use super::{Source, TableScan};
use crate::error::{Error, Result};

/// A format and its options.
#[derive(Clone, Debug)]
pub enum Format {
    /// Lines of fields.
    Csv(CsvOptions),
    /// Columns in pages.
    Parquet(ParquetOptions),
}

/// The formats, as the option `format` names them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FormatName {
    Csv,
    Parquet,
}

impl Format {
    /// Takes the format's options out of a table's, and what they say about bad input. CSV where `format` is not given.
    ///
    /// # Errors
    /// If an option or value is not accepted.
    pub fn read(reader: &mut OptionReader<'_>) -> Result<(Self, BadInput)> {
        let formats = [("csv", FormatName::Csv), ("parquet", FormatName::Parquet)];
        let format = reader.choice("format", &formats)?.unwrap_or(FormatName::Csv);
        let mut bad_input = BadInput::read(reader)?;
        if format == FormatName::Parquet {
            return Ok((Self::Parquet(ParquetOptions::read(reader)?), bad_input));
        }
        reader.refuse(&[
            ("csv.escape-character", "write a quote within a quoted field twice, as RFC 4180 has it"),
            ("csv.array-element-delimiter", "declare the column as STRING and split it in the query"),
            ("csv.write-bigdecimal-in-scientific-notation", "decimals are written with all their digits"),
        ]);
        reader.skips_parse_errors("csv.ignore-parse-errors", &mut bad_input)?;
        let options = CsvOptions::parse(&reader.group(&CsvOptions::KEYS)).map_err(|error| reader.of_format(error))?;
        Ok((Self::Csv(options), bad_input))
    }

    /// A source of the rows in blocks of bytes.
    ///
    /// # Errors
    /// `Statement`, if the format cannot hold one of the columns.
    pub fn open_blocks(&self, input: impl BlockInput + 'static, scan: &TableScan<'_>) -> Result<Arc<dyn Source>> {
        match self {
            Self::Csv(options) => Ok(Arc::new(csv_source(input, options.clone(), scan)?)),
            Self::Parquet(_) => Err(Error::statement(format!("table `{}` reads Parquet from a pipe", scan.name)).help(
                "Parquet is read from its end: write the input to a file first, and read that with 'filesystem'",
            )),
        }
    }
}
