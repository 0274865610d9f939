//! The options of a table of JSON, under Flink's names.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// `json.timestamp-format.standard`: what stands between the date and the time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampFormat {
    /// A space: `2023-11-14 22:13:19.741`.
    #[default]
    Sql,
    /// A `T`: `2023-11-14T22:13:19.741`.
    Iso,
}

impl TimestampFormat {
    /// What stands between the date and the time of day.
    #[must_use]
    pub fn separator(self) -> u8 {
        match self {
            Self::Sql => b' ',
            Self::Iso => b'T',
        }
    }
}

/// How a table of JSON is read and written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonOptions {
    /// `json.fail-on-missing-field`: a field that a record does not have is not NULL; the record is refused.
    pub fails_on_missing_field: bool,
    /// `json.timestamp-format.standard`.
    pub timestamps: TimestampFormat,
    /// `json.encode.decimal-as-plain-number`: DECIMALs are written without an exponent.
    pub writes_plain_decimals: bool,
    /// `json.encode.ignore-null-fields`: fields that are NULL are not written.
    pub omits_null_fields: bool,
    /// Records that the types were inferred from; `None` if the columns were declared.
    pub inferred_from: Option<u64>,
}

impl JsonOptions {
    /// The options that [`JsonOptions::parse`] reads; a table may have others, which are the connector's.
    pub const KEYS: [&'static str; 7] = [
        "json.decode.json-parser.enabled",
        "json.encode.decimal-as-plain-number",
        "json.encode.ignore-null-fields",
        "json.fail-on-missing-field",
        "json.map-null-key.literal",
        "json.map-null-key.mode",
        "json.timestamp-format.standard",
    ];

    /// Those of them that have no effect on what is written.
    pub const OF_READING: [&'static str; 2] = ["json.decode.json-parser.enabled", "json.fail-on-missing-field"];

    /// Those of them that have no effect on what is read.
    pub const OF_WRITING: [&'static str; 4] = [
        "json.encode.decimal-as-plain-number",
        "json.encode.ignore-null-fields",
        "json.map-null-key.literal",
        "json.map-null-key.mode",
    ];

    /// Reads the format's options from all options of a table; those that are not the format's are left to others.
    ///
    /// # Errors
    /// `Statement`, if an option of `json.*` is unknown, a value is not one of those it can have, or options contradict
    /// each other.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut parsed = Self::default();
        for (key, value) in options {
            match key.as_str() {
                "json.fail-on-missing-field" => parsed.fails_on_missing_field = flag(key, value)?,
                "json.encode.decimal-as-plain-number" => parsed.writes_plain_decimals = flag(key, value)?,
                "json.encode.ignore-null-fields" => parsed.omits_null_fields = flag(key, value)?,
                "json.timestamp-format.standard" => parsed.timestamps = timestamp_format(key, value)?,
                "json.map-null-key.mode" => check_map_null_key(key, value)?,
                "json.map-null-key.literal" => {}
                "json.decode.json-parser.enabled" => check_parser(key, value)?,
                _ if key.starts_with("json.") => {
                    let known = Self::KEYS.join(", ");
                    return Err(Error::statement(format!("there is no option '{key}'"))
                        .help(format!("the options of the format are {known}")));
                }
                _ => {}
            }
        }
        let has_literal = options.contains_key("json.map-null-key.literal");
        let mode = options.get("json.map-null-key.mode");
        if has_literal && !mode.is_some_and(|mode| mode.eq_ignore_ascii_case("LITERAL")) {
            return Err(Error::statement(
                "'json.map-null-key.literal' is given, but 'json.map-null-key.mode' is not 'LITERAL'",
            )
            .help("set 'json.map-null-key.mode' = 'LITERAL', or remove the literal"));
        }
        Ok(parsed)
    }
}

fn timestamp_format(key: &str, value: &str) -> Result<TimestampFormat> {
    match value {
        "SQL" => Ok(TimestampFormat::Sql),
        "ISO-8601" => Ok(TimestampFormat::Iso),
        _ => Err(refused(key, value, "'SQL' (`2023-11-14 22:13:19`) or 'ISO-8601' (`2023-11-14T22:13:19`)")),
    }
}

/// What to do with a NULL among the keys of a MAP. There is none to do it with: keys are NOT NULL here, whatever makes the
/// MAP, so that each of the modes is kept.
fn check_map_null_key(key: &str, value: &str) -> Result<()> {
    match value.to_ascii_uppercase().as_str() {
        "FAIL" | "DROP" | "LITERAL" => Ok(()),
        _ => Err(refused(key, value, "'FAIL', 'DROP' or 'LITERAL'")),
    }
}

/// Flink's option chooses between two ways to the same rows, but for how a number becomes a STRING; there is one here.
fn check_parser(key: &str, value: &str) -> Result<()> {
    if flag(key, value)? {
        return Ok(());
    }
    Err(Error::statement(format!("'{key}' = 'false' is not supported"))
        .help("records are decoded straight into columns, as with 'true'; remove the option"))
}

fn flag(key: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(refused(key, value, "'true' or 'false'")),
    }
}

fn refused(key: &str, value: &str, accepted: &str) -> Error {
    Error::statement(format!("'{key}' = '{value}' is not accepted")).help(format!("choose {accepted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<JsonOptions> {
        JsonOptions::parse(&options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn flinks_names_are_read_and_other_options_left_alone() {
        let options = parse(&[
            ("connector", "filesystem"),
            ("json.fail-on-missing-field", "TRUE"),
            ("json.timestamp-format.standard", "ISO-8601"),
            ("json.map-null-key.mode", "literal"),
            ("json.encode.decimal-as-plain-number", "true"),
            ("json.encode.ignore-null-fields", "true"),
            ("json.decode.json-parser.enabled", "true"),
        ])
        .unwrap();
        let expected = JsonOptions {
            fails_on_missing_field: true,
            timestamps: TimestampFormat::Iso,
            writes_plain_decimals: true,
            omits_null_fields: true,
            inferred_from: None,
        };
        assert_eq!(options, expected);
        parse(&[("json.map-null-key.mode", "LITERAL"), ("json.map-null-key.literal", "none")]).unwrap();
        assert_eq!(parse(&[]).unwrap(), JsonOptions::default());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (key, value) in [
            ("json.timestamp-format.standard", "sql"),
            ("json.timestamp-format.standard", "RFC-3339"),
            ("json.fail-on-missing-field", "yes"),
            ("json.map-null-key.mode", "IGNORE"),
            ("json.map-null-key.literal", "none"),
            ("json.decode.json-parser.enabled", "false"),
            ("json.encode.ignore-nulls", "true"),
        ] {
            assert!(parse(&[(key, value)]).is_err(), "{key} = {value}");
        }
    }
}
