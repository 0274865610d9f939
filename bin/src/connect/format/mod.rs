//! Formats: how rows are written as bytes.

pub mod csv;
pub mod json;
pub mod parquet;
pub mod text;

use std::sync::Arc;

use self::csv::{CsvOptions, csv_source};
use self::json::{JsonOptions, json_source};
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
    /// Lines of objects.
    Json(JsonOptions),
    /// Columns in pages.
    Parquet(ParquetOptions),
}

/// Reads the options of one format.
type ReadFormat<'a> = fn(&mut OptionReader<'a>) -> Result<(Format, BadInput)>;

impl Format {
    /// Takes the format's options out of a table's, and what they say about bad input. CSV where `format` is not given.
    ///
    /// # Errors
    /// If an option or value is not accepted.
    pub fn read(reader: &mut OptionReader<'_>) -> Result<(Self, BadInput)> {
        let formats =
            [("csv", Self::read_csv as ReadFormat<'_>), ("json", Self::read_json), ("parquet", Self::read_parquet)];
        match reader.choice("format", &formats)? {
            Some(read) => read(reader),
            None => Self::read_csv(reader),
        }
    }

    fn read_parquet(reader: &mut OptionReader<'_>) -> Result<(Self, BadInput)> {
        let bad_input = BadInput::read(reader)?;
        if let Some(value) = reader.text("max-record-bytes") {
            let reason = "nothing, for Parquet: a row has no bytes of its own there, and pages have a limit";
            return Err(reader.wrong_value("max-record-bytes", value, reason));
        }
        Ok((Self::Parquet(ParquetOptions::read(reader)?), bad_input))
    }

    fn read_csv(reader: &mut OptionReader<'_>) -> Result<(Self, BadInput)> {
        let mut bad_input = BadInput::read(reader)?;
        reader.skips_parse_errors("csv.ignore-parse-errors", &mut bad_input)?;
        let options = CsvOptions::parse(&reader.group(&CsvOptions::KEYS)).map_err(|error| reader.of_format(error))?;
        Ok((Self::Csv(options), bad_input))
    }

    fn read_json(reader: &mut OptionReader<'_>) -> Result<(Self, BadInput)> {
        let mut bad_input = BadInput::read(reader)?;
        reader.skips_parse_errors("json.ignore-parse-errors", &mut bad_input)?;
        let options = JsonOptions::parse(&reader.group(&JsonOptions::KEYS)).map_err(|error| reader.of_format(error))?;
        if options.fails_on_missing_field && reader.flag("json.ignore-parse-errors")? == Some(true) {
            let reason = "'false', since 'json.fail-on-missing-field' is 'true'; \
                          'on-error' = 'skip' passes over all records that are refused";
            return Err(reader.wrong_value("json.ignore-parse-errors", "true", reason));
        }
        Ok((Self::Json(options), bad_input))
    }

    /// A source of the rows in blocks of bytes.
    ///
    /// # Errors
    /// `Statement`, if the format cannot hold one of the columns.
    pub fn open_blocks(&self, input: impl BlockInput + 'static, scan: &TableScan<'_>) -> Result<Arc<dyn Source>> {
        match self {
            Self::Csv(options) => Ok(Arc::new(csv_source(input, options.clone(), scan)?)),
            Self::Json(options) => Ok(Arc::new(json_source(input, options.clone(), scan)?)),
            Self::Parquet(_) => Err(Error::statement(format!("table `{}` reads Parquet from a pipe", scan.name)).help(
                "Parquet is read from its end: write the input to a file first, and read that with 'filesystem'",
            )),
        }
    }
}
