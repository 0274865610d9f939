//! The SQL text as the user wrote it and as the parser sees it, and the way back from the one's places to the other's.
//!
//! `${NAME}` is replaced before parsing, so the parser's positions belong to another text than the user's. Every place
//! that leaves this module is a range of bytes of the original.

use std::collections::BTreeMap;
use std::ops::Range;

use sqlparser::tokenizer::{Location, Span};

use crate::error::{Error, Result};

/// A text and its positions.
#[derive(Debug)]
pub(crate) struct SqlText {
    original: String,
    /// What is parsed.
    replaced: String,
    /// Byte offset of each line of `replaced`.
    lines: Vec<usize>,
    /// Where `replaced` differs from `original`, ascending.
    replacements: Vec<Replacement>,
}

/// One `${NAME}`.
#[derive(Debug)]
struct Replacement {
    original: Range<usize>,
    replaced: Range<usize>,
}

impl SqlText {
    /// Replaces every `${NAME}` outside of comments: from `variables`, else from the environment. Within a string literal
    /// the value's quotes are doubled, so that a value stays one literal.
    ///
    /// # Errors
    /// One for each variable that has no value, at its place.
    pub(crate) fn new(original: &str, variables: &BTreeMap<String, String>) -> Result<Self, Vec<Error>> {
        let mut replaced = String::with_capacity(original.len());
        let mut replacements = Vec::new();
        let mut errors = Vec::new();
        let mut inside = Inside::Code;
        let mut at = 0;
        while let Some(ch) = original[at..].chars().next() {
            let rest = &original[at..];
            if inside != Inside::LineComment
                && inside != Inside::BlockComment
                && let Some(name) = variable_at(rest)
            {
                let place = at..at + name.len() + 3;
                match variables.get(name).cloned().or_else(|| std::env::var(name).ok()) {
                    Some(value) => {
                        let start = replaced.len();
                        replaced.push_str(&inside.escape(&value));
                        replacements.push(Replacement { original: place.clone(), replaced: start..replaced.len() });
                    }
                    None => errors.push(unset(name, variables).at(place.clone())),
                }
                at = place.end;
                continue;
            }
            inside = inside.after(rest);
            replaced.push(ch);
            at += ch.len_utf8();
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let lines = std::iter::once(0).chain(replaced.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Ok(Self { original: original.to_owned(), replaced, lines, replacements })
    }

    /// What the parser is to see.
    pub(crate) fn replaced(&self) -> &str {
        &self.replaced
    }

    /// The user's text of `range`.
    pub(crate) fn original(&self, range: &Range<usize>) -> &str {
        self.original.get(range.clone()).unwrap_or_default()
    }

    /// The end of the original.
    pub(crate) fn end(&self) -> usize {
        self.original.len()
    }

    /// Line and column of a byte of the original, in characters, from 1.
    pub(crate) fn position(&self, at: usize) -> (usize, usize) {
        let before = self.original.get(..at).unwrap_or(&self.original);
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line..].chars().count() + 1)
    }

    /// The place in the original, within `whole`, of the path in `FROM 'path'`: the parser keeps none.
    pub(crate) fn path(&self, path: &str, whole: &Range<usize>) -> Option<Range<usize>> {
        let literal = format!("'{}'", path.replace('\'', "''"));
        let place = |(at, _)| self.to_original(at, false)..self.to_original(at + literal.len(), true);
        let is_within = |place: &Range<usize>| whole.start <= place.start && place.end <= whole.end;
        let follows_from = |place: &Range<usize>| {
            let before = self.original.get(..place.start).unwrap_or_default().trim_end().to_uppercase();
            ["FROM", "JOIN", "TABLE", ","].iter().any(|word| before.ends_with(word))
        };
        let places: Vec<_> = self.replaced.match_indices(&literal).map(place).filter(is_within).collect();
        places.iter().find(|place| follows_from(place)).or(places.first()).cloned()
    }

    /// The place in the original of the parser's `span`; `None` where the parser knows none.
    pub(crate) fn range(&self, span: Span) -> Option<Range<usize>> {
        let start = self.offset(span.start)?;
        let end = self.offset(span.end)?.max(start);
        let (start, end) = (self.to_original(start, false), self.to_original(end, true));
        (start <= end).then_some(start..end)
    }

    /// The place in the original of a piece of syntax, with the parentheses that it opens.
    pub(crate) fn place(&self, span: Span) -> Option<Range<usize>> {
        self.range(span).map(|range| self.closed(&range))
    }

    /// The place in the original of the character at line and column, each from 1.
    pub(crate) fn range_at(&self, line: u64, column: u64) -> Option<Range<usize>> {
        let start = self.offset(Location { line, column })?;
        let end = start + self.replaced[start..].chars().next().map_or(0, char::len_utf8);
        Some(self.to_original(start, false)..self.to_original(end, true))
    }

    /// Where `needle` stands for the last time at or before the start of `place`, on the same line or shortly before.
    pub(crate) fn last_before(&self, needle: &str, place: &Range<usize>) -> Option<Range<usize>> {
        const REACH: usize = 200;
        let end = (place.start + needle.len()).min(self.original.len());
        let end = (0..=end).rev().find(|at| self.original.is_char_boundary(*at))?;
        let start = (end.saturating_sub(REACH)..=end).find(|at| self.original.is_char_boundary(*at))?;
        let at = start + self.original[start..end].rfind(needle)?;
        Some(at..at + needle.len())
    }

    /// From the range's start to just before the parenthesis that closes what it stands in.
    pub(crate) fn to_closing(&self, range: &Range<usize>) -> Range<usize> {
        let mut depth = 0_usize;
        let rest = self.original.get(range.start..).unwrap_or_default();
        for (at, ch) in rest.char_indices() {
            match ch {
                '(' => depth += 1,
                ')' if depth == 0 => return range.start..range.start + at,
                ')' => depth -= 1,
                ';' => break,
                _ => {}
            }
        }
        range.clone()
    }

    /// The same range with the parentheses and brackets closed that it opens: the parser's places leave the last ones out.
    pub(crate) fn closed(&self, range: &Range<usize>) -> Range<usize> {
        let mut depth = 0_usize;
        let mut in_string = false;
        let Some(rest) = self.original.get(range.start..) else { return range.clone() };
        for (at, ch) in rest.char_indices() {
            let is_past = range.start + at >= range.end;
            if is_past && depth == 0 {
                break;
            }
            match ch {
                '\'' => in_string = !in_string,
                '(' | '[' if !in_string => depth += 1,
                ')' | ']' if !in_string => {
                    depth = depth.saturating_sub(1);
                    if is_past && depth == 0 {
                        return range.start..range.start + at + 1;
                    }
                }
                ';' if !in_string && is_past => break,
                _ => {}
            }
        }
        range.clone()
    }

    /// Byte offset in the replaced text. The parser counts columns in characters.
    fn offset(&self, location: Location) -> Option<usize> {
        let line = usize::try_from(location.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(location.column).ok()?.checked_sub(1)?;
        let start = *self.lines.get(line)?;
        let line = &self.replaced[start..];
        Some(start + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at))
    }

    fn to_original(&self, offset: usize, is_end: bool) -> usize {
        // The last replacement that starts before the place decides by how much it has moved.
        let before = |r: &Replacement| if is_end { r.replaced.start < offset } else { r.replaced.start <= offset };
        let count = self.replacements.partition_point(before);
        let Some(last) = count.checked_sub(1).map(|last| &self.replacements[last]) else { return offset };
        if offset < last.replaced.end || (is_end && offset == last.replaced.end) {
            // Within a value: the whole `${NAME}`.
            return if is_end { last.original.end } else { last.original.start };
        }
        last.original.end + (offset - last.replaced.end)
    }
}

/// What the scanner for variables is in the middle of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    String,
    BackTicks,
    LineComment,
    BlockComment,
    /// Between the `*` and the `/` that end one: the slash begins nothing.
    BlockCommentEnd,
}

impl Inside {
    /// The state after the first character of `rest`.
    fn after(self, rest: &str) -> Self {
        match self {
            Self::Code if rest.starts_with('\'') => Self::String,
            Self::Code if rest.starts_with('`') => Self::BackTicks,
            Self::Code if rest.starts_with("--") => Self::LineComment,
            Self::Code if rest.starts_with("/*") => Self::BlockComment,
            // A doubled quote leaves and enters again, which comes to the same.
            Self::String if rest.starts_with('\'') => Self::Code,
            Self::BackTicks if rest.starts_with('`') => Self::Code,
            Self::LineComment if rest.starts_with('\n') => Self::Code,
            Self::BlockComment if rest.starts_with("*/") => Self::BlockCommentEnd,
            Self::BlockCommentEnd => Self::Code,
            other => other,
        }
    }

    fn escape(self, value: &str) -> String {
        match self {
            Self::String => value.replace('\'', "''"),
            Self::BackTicks => value.replace('`', "``"),
            _ => value.to_owned(),
        }
    }
}

/// The name, if `rest` begins with `${NAME}`.
fn variable_at(rest: &str) -> Option<&str> {
    let (name, _) = rest.strip_prefix("${")?.split_once('}')?;
    let is_name = !name.is_empty() && name.chars().all(|ch| ch.is_alphanumeric() || ch == '_' || ch == '.');
    is_name.then_some(name)
}

fn unset(name: &str, variables: &BTreeMap<String, String>) -> Error {
    let error = Error::statement(format!("the variable `{name}` has no value"));
    match super::nearest(name, variables.keys().map(String::as_str)) {
        Some(near) => error.help(format!("`${{{near}}}` has one")),
        None => error.help(format!("give it one: `--var {name}=VALUE`, or set it in the environment")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(original: &str, variables: &[(&str, &str)]) -> SqlText {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        SqlText::new(original, &variables).unwrap()
    }

    fn place(text: &SqlText, needle: &str) -> Range<usize> {
        let at = text.replaced.find(needle).unwrap();
        let (start, end) = (location(text, at), location(text, at + needle.len()));
        text.range(Span { start, end }).unwrap()
    }

    fn location(text: &SqlText, offset: usize) -> Location {
        let line = text.lines.partition_point(|&start| start <= offset);
        let column = text.replaced[text.lines[line - 1]..offset].chars().count() + 1;
        Location { line: line as u64, column: column as u64 }
    }

    #[test]
    fn places_lead_back_across_values_of_other_lengths_lines_and_wide_characters() {
        let text = text("SELECT 'é' AS ${A},\n ${B} b, c FROM t", &[("A", "a_long_name"), ("B", "x\ny")]);
        assert_eq!(text.replaced(), "SELECT 'é' AS a_long_name,\n x\ny b, c FROM t");
        for (needle, original) in
            [("'é'", "'é'"), ("a_long_name", "${A}"), ("long", "${A}"), (" b", " b"), ("c FROM t", "c FROM t")]
        {
            assert_eq!(text.original(&place(&text, needle)), original, "{needle}");
        }
    }

    #[test]
    fn a_value_stays_one_literal_and_comments_are_left_alone() {
        let text = text("-- ${X}\n/* ${Y} */ SELECT '${Z}'", &[("Z", "it's")]);
        assert_eq!(text.replaced(), "-- ${X}\n/* ${Y} */ SELECT 'it''s'");
    }

    #[test]
    fn every_variable_without_a_value_is_named_at_its_place() {
        let variables = BTreeMap::from([("INPUT".to_owned(), String::new())]);
        let errors = SqlText::new("SELECT ${THALWEG_NO_SUCH}, ${INPUTT}", &variables).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert_eq!(errors[0].span, Some(7..25));
        assert_eq!(errors[1].help.as_deref(), Some("`${INPUT}` has one"));
    }
}
