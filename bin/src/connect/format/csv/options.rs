//! The options of a table of CSV, under Flink's names where Flink has them.

use std::collections::BTreeMap;

use crate::connect::format::text::Dialect;
use crate::error::{Error, Result};

/// Whether a file starts with the names of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// If its first record says the names of the declared columns.
    Auto,
    /// Always; columns are matched by name, in any order, and further columns are ignored.
    Present,
    /// Never; columns are matched by position.
    Absent,
}

/// How a table of CSV is read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// `csv.field-delimiter`, `csv.quote-character` (none with `csv.disable-quote-character`), `csv.allow-comments`.
    pub dialect: Dialect,
    /// `csv.null-literal`: an unquoted field of just this is NULL. Without it, an empty unquoted field is NULL unless the
    /// column is a string. A quoted field is never NULL.
    pub null_literal: Option<String>,
    /// `csv.header`, also whether a sink writes one.
    pub header: Header,
    /// Records that the types were inferred from; `None` if the columns were declared.
    pub inferred_from: Option<u64>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            dialect: Dialect { delimiter: Some(b','), quote: Some(b'"'), comments: false },
            null_literal: None,
            header: Header::Auto,
            inferred_from: None,
        }
    }
}

impl CsvOptions {
    /// The options that [`CsvOptions::parse`] reads; a table may have others, which are the connector's.
    pub const KEYS: [&'static str; 6] = [
        "csv.allow-comments",
        "csv.disable-quote-character",
        "csv.field-delimiter",
        "csv.header",
        "csv.null-literal",
        "csv.quote-character",
    ];

    /// Reads the format's options from all options of a table; those that are not the format's are left to others.
    ///
    /// # Errors
    /// `Statement`, if an option of `csv.*` is unknown, or a value is not one of those it can have.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut parsed = Self::default();
        for (key, value) in options {
            parsed.set(key, value)?;
        }
        if flag_of(options, "csv.disable-quote-character")? {
            if options.contains_key("csv.quote-character") {
                return Err(Error::statement("'csv.quote-character' is given, but quoting is disabled")
                    .help("remove one of 'csv.quote-character' and 'csv.disable-quote-character'"));
            }
            parsed.dialect.quote = None;
        }
        if parsed.dialect.quote == parsed.dialect.delimiter {
            return Err(Error::statement("'csv.field-delimiter' and 'csv.quote-character' are the same character"));
        }
        if parsed.dialect.comments && (parsed.dialect.delimiter == Some(b'#') || parsed.dialect.quote == Some(b'#')) {
            return Err(Error::statement("`#` starts a comment, so it can be neither delimiter nor quote")
                .help("remove 'csv.allow-comments'"));
        }
        let is_special = |byte: u8| {
            Some(byte) == parsed.dialect.delimiter
                || parsed.dialect.quote == Some(byte)
                || matches!(byte, b'\r' | b'\n')
                || (parsed.dialect.comments && byte == b'#')
        };
        if parsed.null_literal.as_ref().is_some_and(|literal| literal.bytes().any(is_special)) {
            return Err(Error::statement(
                "'csv.null-literal' holds a delimiter, quote, line end or the start of a comment",
            )
            .help("choose a text that can stand in a field without quotes, for example 'NULL'"));
        }
        Ok(parsed)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "csv.field-delimiter" => self.dialect.delimiter = Some(separator(key, value)?),
            "csv.quote-character" => self.dialect.quote = Some(separator(key, value)?),
            "csv.allow-comments" => self.dialect.comments = flag(key, value)?,
            "csv.null-literal" => self.null_literal = Some(value.to_owned()),
            "csv.disable-quote-character" => {}
            "csv.header" => {
                self.header = match value.to_ascii_lowercase().as_str() {
                    "auto" => Header::Auto,
                    "true" => Header::Present,
                    "false" => Header::Absent,
                    _ => return Err(refused(key, value, "'auto', 'true' or 'false'")),
                }
            }
            _ if key.starts_with("csv.") => {
                let known = Self::KEYS.join(", ");
                return Err(Error::statement(format!("there is no option '{key}'"))
                    .help(format!("the options of the format are {known}")));
            }
            _ => {}
        }
        Ok(())
    }
}

fn flag_of(options: &BTreeMap<String, String>, key: &str) -> Result<bool> {
    options.get(key).map_or(Ok(false), |value| flag(key, value))
}

fn flag(key: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(refused(key, value, "'true' or 'false'")),
    }
}

fn separator(key: &str, value: &str) -> Result<u8> {
    let character = if value == "\\t" { "\t" } else { value };
    match *character.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0) => Ok(byte),
        _ => Err(refused(key, value, "one ASCII character other than a line end, for example ';' or '\\t'")),
    }
}

fn refused(key: &str, value: &str, accepted: &str) -> Error {
    Error::statement(format!("'{key}' = '{value}' is not accepted")).help(format!("choose {accepted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<CsvOptions> {
        CsvOptions::parse(&options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn flinks_names_are_read_and_other_options_left_alone() {
        let options = parse(&[
            ("connector", "filesystem"),
            ("csv.field-delimiter", "\\t"),
            ("csv.disable-quote-character", "true"),
            ("csv.null-literal", "n/a"),
            ("csv.header", "false"),
        ])
        .unwrap();
        assert_eq!(options.dialect, Dialect { delimiter: Some(b'\t'), quote: None, comments: false });
        assert_eq!(options.null_literal.as_deref(), Some("n/a"));
        assert_eq!(options.header, Header::Absent);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (key, value) in [
            ("csv.field-delimiter", "||"),
            ("csv.field-delimiter", "\""),
            ("csv.field-delimiter", "\n"),
            ("csv.header", "yes"),
            ("csv.escape-character", "\\"),
            ("csv.array-element-delimiter", ";"),
            ("csv.allow-comment", "true"),
            ("csv.null-literal", "a,b"),
        ] {
            assert!(parse(&[(key, value)]).is_err(), "{key} = {value}");
        }
    }
}
