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
    /// `csv.ignore-first-line`: always, but columns are matched by position.
    Ignored,
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
    /// `csv.empty-string-as-null`: an empty field is NULL in every column, quoted or not.
    pub empty_is_null: bool,
    /// `csv.array-element-delimiter`: between the elements of an ARRAY and the fields of a ROW; not empty.
    pub element_delimiter: String,
    /// `csv.write-bigdecimal-in-scientific-notation`.
    pub scientific_decimals: bool,
    /// Which records with too many fields are read all the same.
    pub surplus: Surplus,
    /// Records that the types were inferred from; `None` if the columns were declared.
    pub inferred_from: Option<u64>,
}

/// Which records with more fields than there should be are read, without what is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surplus {
    /// None: `csv.allow-trailing-comma` = `false`.
    Refused,
    /// Those with one field too many that is empty.
    TrailingDelimiter,
    /// All: `csv.ignore-trailing-unmappable`.
    Ignored,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            dialect: Dialect { delimiter: Some(b','), quote: Some(b'"'), escape: None, comments: false },
            null_literal: None,
            header: Header::Auto,
            empty_is_null: false,
            element_delimiter: ";".to_owned(),
            scientific_decimals: false,
            surplus: Surplus::TrailingDelimiter,
            inferred_from: None,
        }
    }
}

impl CsvOptions {
    /// The options that [`CsvOptions::parse`] reads; a table may have others, which are the connector's.
    pub const KEYS: [&'static str; 15] = [
        "csv.allow-comments",
        "csv.allow-trailing-comma",
        "csv.array-element-delimiter",
        "csv.disable-quote-character",
        "csv.empty-string-as-null",
        "csv.escape-character",
        "csv.fail-on-missing-columns",
        "csv.field-delimiter",
        "csv.header",
        "csv.ignore-first-line",
        "csv.ignore-trailing-unmappable",
        "csv.null-literal",
        "csv.quote-character",
        "csv.trim-spaces",
        "csv.write-bigdecimal-in-scientific-notation",
    ];

    /// Those of them that have no effect on what is written.
    pub const OF_READING: [&'static str; 5] = [
        "csv.allow-trailing-comma",
        "csv.empty-string-as-null",
        "csv.fail-on-missing-columns",
        "csv.ignore-trailing-unmappable",
        "csv.trim-spaces",
    ];

    /// Those of them that have no effect on what is read.
    pub const OF_WRITING: [&'static str; 1] = ["csv.write-bigdecimal-in-scientific-notation"];

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
        parsed.surplus = surplus(options)?;
        if flag_of(options, "csv.ignore-first-line")? {
            if options.contains_key("csv.header") {
                return Err(Error::statement(
                    "both 'csv.header' and 'csv.ignore-first-line' say what the first line is",
                )
                .help("remove 'csv.ignore-first-line' if it holds the names of columns, else 'csv.header'"));
            }
            parsed.header = Header::Ignored;
        }
        parsed.check_characters()?;
        Ok(parsed)
    }

    /// Each character that means something means one thing, and the NULL literal holds none of them.
    fn check_characters(&self) -> Result<()> {
        let Dialect { delimiter, quote, escape, comments } = self.dialect;
        let named = [
            ("csv.field-delimiter", delimiter),
            ("csv.quote-character", quote),
            ("csv.escape-character", escape),
            ("csv.allow-comments", comments.then_some(b'#')),
        ];
        for (number, (name, byte)) in named.iter().enumerate() {
            let Some(byte) = byte else { continue };
            if let Some((earlier, _)) = named[..number].iter().find(|(_, earlier)| earlier == &Some(*byte)) {
                let character = char::from(*byte);
                return Err(Error::statement(format!("'{earlier}' and '{name}' both give `{character}` a meaning"))
                    .help("choose another character for one of them; comments start with `#`"));
            }
        }
        let letter = named.iter().find(|(_, byte)| matches!(byte, Some(b'0' | b'n' | b'r' | b't')));
        if let (Some(_), Some((name, _))) = (escape, letter) {
            return Err(Error::statement(format!(
                "'{name}' is a character that means another behind an escape character"
            ))
            .help("choose something other than 0, n, r and t, which stand for NUL, line ends and tab"));
        }
        let is_special =
            |byte: u8| matches!(byte, b'\r' | b'\n') || named.iter().any(|(_, special)| *special == Some(byte));
        if self.null_literal.as_ref().is_some_and(|literal| literal.bytes().any(is_special)) {
            return Err(Error::statement(
                "'csv.null-literal' holds a delimiter, quote, escape character, line end or the start of a comment",
            )
            .help("choose a text that can stand in a field without quotes, for example 'NULL'"));
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "csv.field-delimiter" => self.dialect.delimiter = Some(separator(key, value)?),
            "csv.quote-character" => self.dialect.quote = Some(separator(key, value)?),
            "csv.allow-comments" => self.dialect.comments = flag(key, value)?,
            "csv.null-literal" => self.null_literal = Some(value.to_owned()),
            "csv.escape-character" => self.dialect.escape = Some(separator(key, value)?),
            "csv.empty-string-as-null" => self.empty_is_null = flag(key, value)?,
            "csv.write-bigdecimal-in-scientific-notation" => self.scientific_decimals = flag(key, value)?,
            "csv.array-element-delimiter" => {
                if value.is_empty() {
                    return Err(refused(key, value, "one or more characters, for example ';'"));
                }
                value.clone_into(&mut self.element_delimiter);
            }
            // Read together with others.
            "csv.disable-quote-character"
            | "csv.ignore-first-line"
            | "csv.ignore-trailing-unmappable"
            | "csv.allow-trailing-comma" => {}
            "csv.trim-spaces" if flag(key, value)? => {
                return Err(Error::statement(
                    "spaces around strings are part of them: 'csv.trim-spaces' is not offered",
                )
                .help("write TRIM(column) in the query; around all other values spaces are passed over anyway"));
            }
            "csv.fail-on-missing-columns" if !flag(key, value)? => {
                return Err(Error::statement("a record with too few fields is always a bad record").help(
                    "remove 'csv.fail-on-missing-columns', and set 'on-error' = 'skip' to pass over such records",
                ));
            }
            "csv.trim-spaces" | "csv.fail-on-missing-columns" => {}
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

fn surplus(options: &BTreeMap<String, String>) -> Result<Surplus> {
    let allows_trailing = options.get("csv.allow-trailing-comma").map(|value| flag("csv.allow-trailing-comma", value));
    let is_ignored = flag_of(options, "csv.ignore-trailing-unmappable")?;
    match (is_ignored, allows_trailing.transpose()?) {
        (true, _) => Ok(Surplus::Ignored),
        (false, Some(false)) => Ok(Surplus::Refused),
        (false, _) => Ok(Surplus::TrailingDelimiter),
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
        assert_eq!(options.dialect, Dialect { delimiter: Some(b'\t'), quote: None, escape: None, comments: false });
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
            ("csv.escape-character", "\""),
            ("csv.escape-character", "ab"),
            ("csv.escape-character", "n"),
            ("csv.array-element-delimiter", ""),
            ("csv.trim-spaces", "true"),
            ("csv.fail-on-missing-columns", "false"),
            ("csv.allow-trailing-comma", "maybe"),
            ("csv.allow-comment", "true"),
            ("csv.null-literal", "a,b"),
        ] {
            assert!(parse(&[(key, value)]).is_err(), "{key} = {value}");
        }
    }
}
