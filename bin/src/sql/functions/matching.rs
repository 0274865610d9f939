//! LIKE, SIMILAR TO, and regular expressions.
//!
//! Java's regular expressions have look-around and back-references, which the linear-time engine here has not: a pattern
//! with them is refused, never read in another way.

use std::cell::RefCell;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::types::Int64Type;
use datafusion_expr::ScalarUDF;
use regex::{Regex, RegexBuilder};

use super::arguments::Parameter::{Integer, Text};
use super::arguments::{accept, literal_integer, literal_text};
use super::binding::{Argument, Binding, Declared, Form, Nullness, Value};
use super::columns::{Numbers, Strings, boolean_rows, slice_rows, string_rows};
use crate::error::{Error, Result};
use crate::sql::types::FlinkType;

/// Memory that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 22;

/// The functions of this family.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Declared::udf("LIKE", Form::Infix, |name, arguments| bind_pattern(name, arguments, Language::Like)),
        Declared::udf("SIMILAR", Form::Call, |name, arguments| bind_pattern(name, arguments, Language::Similar)),
        Declared::udf("REGEXP", Form::Call, bind_regexp),
        Declared::udf("REGEXP_EXTRACT", Form::Call, bind_extract),
        Declared::udf("REGEXP_REPLACE", Form::Call, bind_replace),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Like,
    Similar,
    Java,
}

/// What a pattern of LIKE comes down to.
#[derive(Clone, Debug)]
enum Matcher {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(Regex),
}

impl Matcher {
    fn new(language: Language, pattern: &str, escape: Option<char>) -> Result<Self, String> {
        match language {
            Language::Java => compile_java(pattern).map(Self::Regex),
            Language::Similar => compile(&similar_to_regex(pattern, escape)?, pattern).map(Self::Regex),
            Language::Like => like(pattern, escape),
        }
    }

    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Equals(whole) => text == whole,
            Self::StartsWith(start) => text.starts_with(start),
            Self::EndsWith(end) => text.ends_with(end),
            Self::Contains(part) => text.contains(part),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

fn compile(regex: &str, pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(regex).size_limit(PATTERN_BYTES_MAX).build().map_err(|_| {
        format!("the pattern '{pattern}' is not valid, or not supported: look-around and back-references are not")
    })
}

/// A regular expression of Java, where `\d`, `\w`, `\s` and `\b` mean ASCII.
fn compile_java(pattern: &str) -> Result<Regex, String> {
    compile(&ascii_classes(pattern), pattern)
}

/// Replaces the Perl classes by what they mean in Java.
fn ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('w') => out.push_str("[A-Za-z0-9_]"),
            Some('W') => out.push_str("[^A-Za-z0-9_]"),
            Some('s') => out.push_str(r"[ \t\n\x0B\f\r]"),
            Some('S') => out.push_str(r"[^ \t\n\x0B\f\r]"),
            Some('b') => out.push_str(r"(?-u:\b)"),
            Some('Z') => out.push_str(r"\n?\z"),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

/// Parts of a pattern of LIKE: `%`, `_`, or a character as it is.
enum Part {
    Any,
    One,
    Plain(char),
}

fn like_parts(pattern: &str, escape: Option<char>) -> Result<Vec<Part>, String> {
    let mut parts = vec![];
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        parts.push(match character {
            character if Some(character) == escape => match characters.next() {
                Some(next) if matches!(next, '%' | '_') || Some(next) == escape => Part::Plain(next),
                _ => {
                    return Err(format!(
                        "the escape character in the pattern '{pattern}' stands before no %, _ or itself"
                    ));
                }
            },
            '%' => Part::Any,
            '_' => Part::One,
            other => Part::Plain(other),
        });
    }
    Ok(parts)
}

fn like(pattern: &str, escape: Option<char>) -> Result<Matcher, String> {
    let parts = like_parts(pattern, escape)?;
    let start = parts.iter().take_while(|part| matches!(part, Part::Any)).count();
    let end = parts.iter().rev().take_while(|part| matches!(part, Part::Any)).count();
    let middle = parts.get(start..parts.len() - end.min(parts.len() - start)).unwrap_or_default();
    let plain: Option<String> = middle
        .iter()
        .map(|part| match part {
            Part::Plain(character) => Some(*character),
            _ => None,
        })
        .collect();
    if let Some(plain) = plain {
        return Ok(match (start > 0, end > 0) {
            (false, false) => Matcher::Equals(plain),
            (false, true) => Matcher::StartsWith(plain),
            (true, false) => Matcher::EndsWith(plain),
            (true, true) => Matcher::Contains(plain),
        });
    }
    let mut regex = String::from("(?s)^");
    for part in &parts {
        match part {
            Part::Any => regex.push_str(".*"),
            Part::One => regex.push('.'),
            Part::Plain(character) => regex.push_str(&regex::escape(character.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push('$');
    compile(&regex, pattern).map(Matcher::Regex)
}

/// SQL's regular expressions: `%` and `_` as in LIKE, and `| * + ? {m,n} ( ) [ ]`.
fn similar_to_regex(pattern: &str, escape: Option<char>) -> Result<String, String> {
    let mut regex = String::from("(?s)^(?:");
    let mut characters = pattern.chars();
    let mut is_in_class = false;
    while let Some(character) = characters.next() {
        match character {
            character if Some(character) == escape => match characters.next() {
                Some(next) => regex.push_str(&regex::escape(next.encode_utf8(&mut [0; 4]))),
                None => return Err(format!("the pattern '{pattern}' ends with its escape character")),
            },
            '%' if !is_in_class => regex.push_str(".*"),
            '_' if !is_in_class => regex.push('.'),
            '[' | ']' => {
                is_in_class = character == '[';
                regex.push(character);
            }
            '|' | '*' | '+' | '?' | '{' | '}' | '(' | ')' if !is_in_class => regex.push(character),
            '^' | '-' if is_in_class => regex.push(character),
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push_str(")$");
    Ok(regex)
}

/// Patterns of one argument: a constant that is compiled once, or the last ones of a column.
struct Patterns {
    constant: Option<Matcher>,
    language: Language,
}

/// The pattern before, since neighbours are often equal.
type Last = RefCell<Option<(String, Option<char>, Matcher)>>;

impl Patterns {
    /// # Errors
    /// If a constant pattern is not valid.
    fn new(language: Language, pattern: Option<&str>, escape: Option<char>) -> Result<Self> {
        let compiled = pattern.map(|pattern| Matcher::new(language, pattern, escape)).transpose();
        Ok(Self { constant: compiled.map_err(Error::statement)?, language })
    }

    fn with<R>(
        &self,
        last: &Last,
        pattern: &str,
        escape: Option<char>,
        f: impl FnOnce(&Matcher) -> R,
    ) -> Result<R, String> {
        if let Some(matcher) = &self.constant {
            return Ok(f(matcher));
        }
        let mut last = last.borrow_mut();
        match &*last {
            Some((known, with, matcher)) if known == pattern && *with == escape => Ok(f(matcher)),
            _ => {
                let matcher = Matcher::new(self.language, pattern, escape)?;
                let result = f(&matcher);
                *last = Some((pattern.to_owned(), escape, matcher));
                Ok(result)
            }
        }
    }
}

/// The one character of an ESCAPE.
fn escape_of(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(escape), None) => Ok(escape),
        _ => Err(format!("ESCAPE takes one character, not '{text}'")),
    }
}

fn bind_pattern(name: &'static str, arguments: &[Argument], language: Language) -> Result<Binding> {
    let types = accept(name, "string LIKE pattern ESCAPE character", &[Text, Text, Text], 2, arguments)?;
    let constant_escape = literal_text(arguments.get(2)).map(escape_of).transpose().map_err(Error::statement)?;
    let is_constant = arguments.len() == 2 || constant_escape.is_some();
    let constant = literal_text(arguments.get(1)).filter(|_| is_constant);
    let patterns = Patterns::new(language, constant, constant_escape)?;
    Ok(Binding::strict(types, FlinkType::Boolean, move |arguments, rows| {
        let (texts, given) = (Strings::of(&arguments[0]), Strings::of(&arguments[1]));
        let escapes = arguments.get(2).map(Strings::of);
        let last = Last::default();
        boolean_rows(rows, |row| {
            let (Some(text), Some(pattern)) = (texts.get(row), given.get(row)) else { return Ok(None) };
            let escape = match &escapes {
                None => None,
                Some(escapes) => match escapes.get(row) {
                    None => return Ok(None),
                    Some(escape) => Some(escape_of(escape)?),
                },
            };
            patterns.with(&last, pattern, escape, |matcher| Some(matcher.is_match(text)))
        })
    }))
}

fn bind_regexp(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "REGEXP(string, pattern)", &[Text, Text], 2, arguments)?;
    let patterns = Patterns::new(Language::Java, literal_text(arguments.get(1)), None)?;
    Ok(Binding::strict(types, FlinkType::Boolean, move |arguments, rows| {
        let (texts, given) = (Strings::of(&arguments[0]), Strings::of(&arguments[1]));
        let last = Last::default();
        boolean_rows(rows, |row| {
            let (Some(text), Some(pattern)) = (texts.get(row), given.get(row)) else { return Ok(None) };
            patterns.with(&last, pattern, None, |matcher| Some(!pattern.is_empty() && matcher.is_match(text)))
        })
    }))
}

fn bind_extract(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "REGEXP_EXTRACT(string, pattern, group)", &[Text, Text, Integer], 2, arguments)?;
    let patterns = Patterns::new(Language::Java, literal_text(arguments.get(1)), None)?;
    if let (Some(Matcher::Regex(regex)), Some(group)) = (&patterns.constant, literal_integer(arguments.get(2)))
        && !(0..regex.captures_len() as i64).contains(&group)
    {
        return Err(Error::statement(format!(
            "REGEXP_EXTRACT asks for group {group} of a pattern that has {}",
            regex.captures_len() - 1
        ))
        .help("0 is the whole match, 1 the first group"));
    }
    let kernel = move |arguments: &[Value], rows: usize| -> Result<ArrayRef, String> {
        let (texts, given) = (Strings::of(&arguments[0]), Strings::of(&arguments[1]));
        let groups = arguments.get(2).map(Numbers::<Int64Type>::of);
        let last = Last::default();
        slice_rows(rows, |row| {
            let group = match &groups {
                None => Some(0),
                Some(groups) => groups.get(row),
            };
            let (Some(text), Some(pattern), Some(group)) = (texts.get(row), given.get(row), group) else {
                return Ok(None);
            };
            let Ok(group) = usize::try_from(group) else { return Ok(None) };
            patterns.with(&last, pattern, None, |matcher| match matcher {
                Matcher::Regex(regex) if group == 0 => regex.find(text).map(|found| found.as_str()),
                Matcher::Regex(regex) => regex.captures(text)?.get(group).map(|found| found.as_str()),
                _ => None,
            })
        })
    };
    Ok(Binding::strict(types, FlinkType::STRING, kernel).with_nullness(Nullness::Possible))
}

fn bind_replace(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "REGEXP_REPLACE(string, pattern, new)", &[Text, Text, Text], 3, arguments)?;
    let patterns = Patterns::new(Language::Java, literal_text(arguments.get(1)), None)?;
    Ok(Binding::strict(types, FlinkType::STRING, move |arguments, rows| {
        let [texts, given, news] = [0, 1, 2].map(|place| Strings::of(&arguments[place]));
        let last = Last::default();
        string_rows(rows, |row, out| {
            let (Some(text), Some(pattern), Some(new)) = (texts.get(row), given.get(row), news.get(row)) else {
                return Ok(false);
            };
            patterns.with(&last, pattern, None, |matcher| {
                let Matcher::Regex(regex) = matcher else { return false };
                let mut end = 0;
                for found in regex.find_iter(text) {
                    out.push_str(&text[end..found.start()]);
                    out.push_str(new);
                    end = found.end();
                }
                out.push_str(&text[end..]);
                true
            })
        })
    }))
}
