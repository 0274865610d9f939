//! The options of a table: read one by one, each with its type, and none left over.
//!
//! A connector takes what it knows out of an [`OptionReader`]; [`OptionReader::finish`] then refuses what is left, with
//! the nearest name that would have been accepted. Nothing is ever accepted and ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use super::bad_input::{BadInput, OnError};
use crate::error::{Error, Result};

/// Which part of an option an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionPart {
    /// Its name.
    Name,
    /// Its value.
    Value,
}

/// Where an option stands in the SQL, in bytes; `None` for one that was set elsewhere.
pub type OptionPlace<'a> = dyn Fn(&str, OptionPart) -> Option<Range<usize>> + 'a;

/// The options of one table on their way into a connector.
pub struct OptionReader<'a> {
    table: &'a str,
    connector: &'a str,
    options: &'a BTreeMap<String, String>,
    place: &'a OptionPlace<'a>,
    /// Every name asked for so far: what is accepted, and what the user may have meant.
    accepted: BTreeSet<String>,
    /// Names that Flink has and that are refused here, with the reason; a name that ends or begins with `*` stands for a
    /// family.
    refused: Vec<(&'static str, &'static str)>,
}

impl<'a> OptionReader<'a> {
    /// Options of table `table`, to be read by connector `connector`. `connector` itself counts as read. Errors point at
    /// `place`.
    #[must_use]
    pub fn new(
        table: &'a str,
        connector: &'a str,
        options: &'a BTreeMap<String, String>,
        place: &'a OptionPlace<'a>,
    ) -> Self {
        let accepted = BTreeSet::from(["connector".to_owned()]);
        Self { table, connector, options, place, accepted, refused: Vec::new() }
    }

    /// Names that Flink accepts and that have no meaning here: refused with a reason instead of a guess.
    pub fn refuse(&mut self, names: &[(&'static str, &'static str)]) {
        self.refused.extend_from_slice(names);
    }

    /// The option as written.
    pub fn text(&mut self, name: &str) -> Option<&'a str> {
        self.accepted.insert(name.to_owned());
        self.options.get(name).map(String::as_str)
    }

    /// The option as written, for a message about it; empty if it is not given. Does not count as read.
    #[must_use]
    pub fn given(&self, name: &str) -> &'a str {
        self.options.get(name).map_or("", String::as_str)
    }

    /// The option as written.
    ///
    /// # Errors
    /// If it is missing; `example` shows what to write.
    pub fn required(&mut self, name: &str, example: &str) -> Result<&'a str> {
        self.text(name).ok_or_else(|| {
            let others: Vec<&str> =
                self.options.keys().map(String::as_str).filter(|other| !self.accepted.contains(*other)).collect();
            if let Some(slip) = nearest(name, &others).filter(|slip| slip.len() > 2) {
                let error = Error::statement(format!(
                    "option '{slip}' of table `{}` is not known to connector '{}'",
                    self.table, self.connector
                ));
                return self.at(slip, OptionPart::Name, error.help(format!("did you mean '{name}'?")));
            }
            Error::statement(format!(
                "table `{}` with connector '{}' needs option '{name}'",
                self.table, self.connector
            ))
            .help(format!("add it to WITH (...), for example '{name}' = '{example}'"))
        })
    }

    /// TRUE or FALSE in any case.
    ///
    /// # Errors
    /// If it is something else.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(self.wrong_value(name, text, "'true' or 'false'")),
        }
    }

    /// A number from `least` to `greatest`.
    ///
    /// # Errors
    /// If it is not a number of that kind or out of range.
    pub fn number<T>(&mut self, name: &str, least: T, greatest: T) -> Result<Option<T>>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.trim().parse::<T>() {
            Ok(number) if number >= least && number <= greatest => Ok(Some(number)),
            _ => Err(self.wrong_value(name, text, &format!("a number from {least} to {greatest}"))),
        }
    }

    /// A size in bytes from `least` to `greatest`, as Flink writes them: `128 MB`, `1gb`; a bare number is bytes.
    ///
    /// # Errors
    /// If it is not one, or out of range.
    pub fn bytes(&mut self, name: &str, least: u64, greatest: u64) -> Result<Option<u64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match parse_size(text) {
            Some(bytes) if (least..=greatest).contains(&bytes) => Ok(Some(bytes)),
            _ => {
                let accepted = format!("a size from {least} to {greatest} bytes, for example '16 mb'");
                Err(self.wrong_value(name, text, &accepted))
            }
        }
    }

    /// A format's `ignore-parse-errors`: TRUE is another way to say `on-error` = `skip`.
    ///
    /// # Errors
    /// If it is neither TRUE nor FALSE, or `on-error` says something else.
    pub fn skips_parse_errors(&mut self, name: &str, bad_input: &mut BadInput) -> Result<()> {
        if self.flag(name)? == Some(true) {
            match bad_input.on_error {
                OnError::Fail if self.text("on-error").is_some() => {
                    return Err(self.wrong_value(name, "true", "'false', since 'on-error' is 'fail'"));
                }
                OnError::Fail => bad_input.on_error = OnError::Skip,
                OnError::Skip | OnError::Divert => {}
            }
        }
        Ok(())
    }

    /// A duration in milliseconds, as Flink writes them: `5 s`, `100ms`, `2 min`; a bare number is milliseconds.
    ///
    /// # Errors
    /// If it is not one.
    pub fn duration_ms(&mut self, name: &str) -> Result<Option<i64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse_duration_ms(text)
            .map(Some)
            .ok_or_else(|| self.wrong_value(name, text, "a duration such as '100 ms', '5 s', '2 min', '1 h' or '1 d'"))
    }

    /// One of the words in `choices`.
    ///
    /// # Errors
    /// If it is another word.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                let error = self.wrong_value(name, text, &any_of(&words));
                Err(match nearest(text, &words).filter(|_| words.len() > 1) {
                    Some(near) => {
                        Error { help: error.help.map(|help| format!("did you mean '{near}'? {help}")), ..error }
                    }
                    None => error,
                })
            }
        }
    }

    /// All options for which `takes` is true, as a map of their own: for a format, which reads its options itself.
    /// `names` are the names that the format accepts, for the advice that [`finish`](Self::finish) gives.
    pub fn group(&mut self, names: &[&str]) -> BTreeMap<String, String> {
        self.accepted.extend(names.iter().map(|name| (*name).to_owned()));
        self.options
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// The error for a value that is not accepted; `accepted` says what is.
    #[must_use]
    pub fn wrong_value(&self, name: &str, value: &str, accepted: &str) -> Error {
        let error = Error::statement(format!("option '{name}' of table `{}` cannot be '{value}'", self.table))
            .help(format!("accepted: {accepted}"));
        self.at(name, OptionPart::Value, error)
    }

    /// The error of a format that was given the options of [`group`](Self::group): it names an option in quotes.
    #[must_use]
    pub fn of_format(&self, error: Error) -> Error {
        match self.options.keys().find(|name| error.message.contains(&format!("'{name}'"))) {
            Some(name) => self.at(name, OptionPart::Value, error),
            None => error,
        }
    }

    fn at(&self, name: &str, part: OptionPart, error: Error) -> Error {
        match (self.place)(name, part) {
            Some(span) => error.at(span),
            None => error,
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// If an option was given that nobody asked for.
    pub fn finish(self) -> Result<()> {
        let Some(name) = self.options.keys().find(|name| !self.accepted.contains(*name)) else { return Ok(()) };
        let refused = self.refused.iter().find(|(refused, _)| is_named(refused, name));
        let error = match refused {
            Some((_, reason)) => {
                let message = format!("option '{name}' of table `{}` is not supported", self.table);
                Error::statement(message).help((*reason).to_owned())
            }
            None => self.unknown(name),
        };
        Err(self.at(name, OptionPart::Name, error))
    }

    fn unknown(&self, name: &str) -> Error {
        let (table, connector) = (self.table, self.connector);
        let accepted: Vec<&str> = self.accepted.iter().map(String::as_str).collect();
        let list = format!("connector '{connector}' accepts {}", all_of(&accepted));
        let error =
            Error::statement(format!("option '{name}' of table `{table}` is not known to connector '{connector}'"));
        match nearest(name, &accepted) {
            Some(near) => error.help(format!("did you mean '{near}'?")),
            None => error.help(list),
        }
    }
}

/// The candidate that `name` was most probably meant to be, if one is near enough.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    candidates
        .iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&name, &candidate.to_ascii_lowercase()), *candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// A duration in Flink's notation, in milliseconds; `None` if it is not one or is negative.
#[must_use]
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: i64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// A size in Flink's notation, in bytes; `None` if it is not one.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => 0,
        "k" | "kb" | "kib" | "kibibyte" | "kibibytes" => 10,
        "m" | "mb" | "mib" | "mebibyte" | "mebibytes" => 20,
        "g" | "gb" | "gib" | "gibibyte" | "gibibytes" => 30,
        "t" | "tb" | "tib" | "tebibyte" | "tebibytes" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// `'a', 'b' or 'c'`.
pub(crate) fn any_of(words: &[&str]) -> String {
    listed(words, "or")
}

/// `'a', 'b' and 'c'`.
fn all_of(words: &[&str]) -> String {
    listed(words, "and")
}

fn listed(words: &[&str], conjunction: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {conjunction} {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

fn is_named(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(suffix), _) => name.ends_with(suffix),
        (None, Some(prefix)) => name.starts_with(prefix),
        (None, None) => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn misspelt_option_is_refused_with_the_nearest_name() {
        let options = options(&[("connector", "print"), ("standard-eror", "true")]);
        let mut reader = OptionReader::new("t", "print", &options, &|_, _| None);
        assert_eq!(reader.flag("standard-error").unwrap(), None);
        let error = reader.finish().unwrap_err();
        assert_eq!(error.message, "option 'standard-eror' of table `t` is not known to connector 'print'");
        let help = error.help.unwrap();
        assert_eq!(help, "did you mean 'standard-error'?");
    }

    #[test]
    fn option_without_meaning_is_refused_with_the_reason() {
        let options = options(&[("sink.rolling-policy.file-size", "1MB")]);
        let mut reader = OptionReader::new("t", "filesystem", &options, &|_, _| None);
        reader.refuse(&[("sink.rolling-policy.*", "the sink is one file")]);
        assert_eq!(reader.finish().unwrap_err().help.as_deref(), Some("the sink is one file"));
    }

    #[test]
    fn wrong_values_say_what_is_accepted() {
        let options = options(&[("n", "0"), ("b", "yes"), ("d", "5 parsecs"), ("c", "z")]);
        let place = |name: &str, part| (name == "n" && part == OptionPart::Value).then_some(3..6);
        let mut reader = OptionReader::new("t", "datagen", &options, &place);
        assert_eq!(reader.number("n", 1, 9).unwrap_err().span, Some(3..6));
        assert_eq!(reader.number("n", 1, 9).unwrap_err().help.unwrap(), "accepted: a number from 1 to 9");
        assert_eq!(reader.flag("b").unwrap_err().help.unwrap(), "accepted: 'true' or 'false'");
        assert!(reader.duration_ms("d").unwrap_err().help.unwrap().contains("'5 s'"));
        let choices = [("x", 1), ("y", 2)];
        assert_eq!(reader.choice("c", &choices).unwrap_err().help.unwrap(), "accepted: 'x' or 'y'");
    }

    #[test]
    fn sizes_are_read_in_flinks_notation() {
        for (text, expected) in [
            ("128 MB", Some(128 << 20)),
            ("7", Some(7)),
            ("1gb", Some(1 << 30)),
            ("2 kibibytes", Some(2048)),
            ("2 apples", None),
            ("-1", None),
            ("", None),
            ("99999999999999999999", None),
            ("18446744073709551615 kb", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_are_read_in_flinks_notation() {
        for (text, expected) in [
            ("5 s", Some(5_000)),
            ("100ms", Some(100)),
            ("7", Some(7)),
            ("2 min", Some(120_000)),
            ("1 h", Some(3_600_000)),
            ("1d", Some(86_400_000)),
            ("", None),
            ("s", None),
            ("-1 s", None),
            ("5 fortnights", None),
            ("9223372036854775807 d", None),
        ] {
            assert_eq!(parse_duration_ms(text), expected, "{text}");
        }
    }
}
