//! Formats: how rows are written as bytes.

pub mod csv;
pub mod json;
pub mod text;

use std::sync::Arc;

use self::csv::{CsvOptions, csv_source};
use super::bad_input::BadInput;
use super::block::BlockInput;
use super::options::OptionReader;
use super::{Source, TableScan};
use crate::error::Result;

/// A format and its options.
#[derive(Clone, Debug)]
pub enum Format {
    /// Lines of fields.
    Csv(CsvOptions),
}

impl Format {
    /// Takes the format's options out of a table's, and what they say about bad input. CSV where `format` is not given.
    ///
    /// # Errors
    /// If an option or value is not accepted.
    pub fn read(reader: &mut OptionReader<'_>) -> Result<(Self, BadInput)> {
        reader.choice("format", &[("csv", ())])?;
        let mut bad_input = BadInput::read(reader)?;
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
        }
    }
}
