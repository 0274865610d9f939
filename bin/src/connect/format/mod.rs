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

/// What a connector does with a format: options that are about the other thing are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatUse {
    /// The same table can be read and written.
    Both,
    /// Read only.
    Reading,
    /// Written only.
    Writing,
}

impl FormatUse {
    /// Those of a format's options that have an effect.
    fn effective(self, keys: &[&'static str], of_reading: &[&str], of_writing: &[&str]) -> Vec<&'static str> {
        let without = match self {
            Self::Both => &[],
            Self::Reading => of_writing,
            Self::Writing => of_reading,
        };
        keys.iter().copied().filter(|key| !without.contains(key)).collect()
    }
}

const ABOUT_READING: &str = "it is about what is read, and this connector only writes: leave it out";
const ABOUT_WRITING: &str = "it is about what is written, and this connector only reads: leave it out";

/// Options without an effect on what is written, whatever the format.
const OF_READING: [(&str, &str); 10] = [
    ("on-error", ABOUT_READING),
    ("max-rejects", ABOUT_READING),
    ("max-record-bytes", ABOUT_READING),
    ("max-future", ABOUT_READING),
    ("late-rows", ABOUT_READING),
    ("late-rows-path", ABOUT_READING),
    ("late-rows-max-bytes", ABOUT_READING),
    ("rejects-path", ABOUT_READING),
    ("rejects-max-bytes", ABOUT_READING),
    ("*.ignore-parse-errors", ABOUT_READING),
];

/// Reads the options of one format.
type ReadFormat<'a> = fn(&mut OptionReader<'a>, FormatUse) -> Result<(Format, BadInput)>;

impl Format {
    /// Takes the format's options out of a table's, and what they say about bad input. CSV where `format` is not given.
    ///
    /// # Errors
    /// If an option or value is not accepted. What has no effect on `format_use` is left for the reader to refuse.
    pub fn read(reader: &mut OptionReader<'_>, format_use: FormatUse) -> Result<(Self, BadInput)> {
        let formats =
            [("csv", Self::read_csv as ReadFormat<'_>), ("json", Self::read_json), ("parquet", Self::read_parquet)];
        match reader.choice("format", &formats)? {
            Some(read) => read(reader, format_use),
            None => Self::read_csv(reader, format_use),
        }
    }

    fn read_parquet(reader: &mut OptionReader<'_>, format_use: FormatUse) -> Result<(Self, BadInput)> {
        let bad_input = bad_input(reader, format_use)?;
        if let Some(value) = reader.text("max-record-bytes") {
            let reason = "nothing, for Parquet: a row has no bytes of its own there, and pages have a limit";
            return Err(reader.wrong_value("max-record-bytes", value, reason));
        }
        Ok((Self::Parquet(ParquetOptions::read(reader)?), bad_input))
    }

    fn read_csv(reader: &mut OptionReader<'_>, format_use: FormatUse) -> Result<(Self, BadInput)> {
        let mut bad_input = bad_input(reader, format_use)?;
        if format_use != FormatUse::Writing {
            reader.skips_parse_errors("csv.ignore-parse-errors", &mut bad_input)?;
        }
        refuse_without_effect(reader, format_use, &CsvOptions::OF_READING, &CsvOptions::OF_WRITING);
        let keys = format_use.effective(&CsvOptions::KEYS, &CsvOptions::OF_READING, &CsvOptions::OF_WRITING);
        let options = CsvOptions::parse(&reader.group(&keys)).map_err(|error| reader.of_format(error))?;
        Ok((Self::Csv(options), bad_input))
    }

    fn read_json(reader: &mut OptionReader<'_>, format_use: FormatUse) -> Result<(Self, BadInput)> {
        let mut bad_input = bad_input(reader, format_use)?;
        if format_use != FormatUse::Writing {
            reader.skips_parse_errors("json.ignore-parse-errors", &mut bad_input)?;
        }
        refuse_without_effect(reader, format_use, &JsonOptions::OF_READING, &JsonOptions::OF_WRITING);
        let keys = format_use.effective(&JsonOptions::KEYS, &JsonOptions::OF_READING, &JsonOptions::OF_WRITING);
        let options = JsonOptions::parse(&reader.group(&keys)).map_err(|error| reader.of_format(error))?;
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

/// The policy for bad input, where anything is read.
fn bad_input(reader: &mut OptionReader<'_>, format_use: FormatUse) -> Result<BadInput> {
    match format_use {
        FormatUse::Both | FormatUse::Reading => BadInput::read(reader),
        FormatUse::Writing => {
            reader.refuse(&OF_READING);
            Ok(BadInput::default())
        }
    }
}

/// Has the reader refuse those of a format's options that have no effect here.
fn refuse_without_effect(
    reader: &mut OptionReader<'_>,
    format_use: FormatUse,
    of_reading: &[&'static str],
    of_writing: &[&'static str],
) {
    let (names, reason) = match format_use {
        FormatUse::Both => return,
        FormatUse::Reading => (of_writing, ABOUT_WRITING),
        FormatUse::Writing => (of_reading, ABOUT_READING),
    };
    names.iter().for_each(|name| reader.refuse(&[(name, reason)]));
}
