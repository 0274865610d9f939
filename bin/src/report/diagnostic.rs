//! An error as the terminal shows it: what, then the place in the SQL with a caret below it, then how to mend it.
//!
//! ```text
//! error: column 'pric' is not known
//!  --> job.sql:3:12
//!   |
//! 3 | SELECT AVG(pric) FROM trades
//!   |            ^^^^
//!   = help: did you mean 'price'?
//! ```

use std::fmt::Write;
use std::io::IsTerminal;
use std::ops::Range;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::error::{Error, Kind};

/// SQL and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// File name, `<stdin>` or `-e`.
    pub name: String,
    /// All of it; spans are ranges of its bytes.
    pub text: String,
}

/// Whether to write escape sequences for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// Yes.
    On,
    /// No.
    Off,
}

impl Colours {
    /// Colours for standard error: if it is a terminal that knows them, and the user did not say no (<https://no-color.org>).
    #[must_use]
    pub fn of_stderr() -> Self {
        let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        match std::io::stderr().is_terminal() && !is_refused && !is_dumb {
            true => Self::On,
            false => Self::Off,
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }
}

const RED: &str = "1;31";
const BLUE: &str = "1;34";
const BOLD: &str = "1";

/// Columns of the terminal that a line of SQL takes at most; more of it is left out on both sides of the place.
const LINE_WIDTH_MAX: usize = 140;

/// Columns kept ahead of the place in a line that is too long.
const WIDTH_BEFORE: usize = 60;

/// The error with its place in `source`, if it has one, as lines that end in a line end.
#[must_use]
pub fn render(error: &Error, source: Option<&SourceText>, colours: Colours) -> String {
    let mut out = String::new();
    let message = if error.kind == Kind::Internal {
        format!("{} (a bug in thalweg: please report it)", error.message)
    } else {
        error.message.clone()
    };
    put(&mut out, format_args!("{}{}\n", colours.paint(RED, "error"), colours.paint(BOLD, &format!(": {message}"))));
    let place = source.zip(error.span.as_ref()).map(|(source, span)| (source, Place::find(&source.text, span)));
    let Some((source, place)) = place else {
        if let Some(help) = &error.help {
            put(&mut out, format_args!("{}: {}\n", colours.paint(BLUE, "help"), help.replace('\n', "\n      ")));
        }
        return out;
    };
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let bar = colours.paint(BLUE, "|");
    let arrow = colours.paint(BLUE, "-->");
    put(&mut out, format_args!("{margin}{arrow} {}:{}:{}\n", source.name, place.line, place.column));
    put(&mut out, format_args!("{margin} {bar}\n"));
    put(&mut out, format_args!("{} {bar} {}\n", colours.paint(BLUE, &number), place.shown));
    let carets = colours.paint(RED, &"^".repeat(place.width));
    put(&mut out, format_args!("{margin} {bar} {}{carets}\n", " ".repeat(place.indent)));
    if let Some(help) = &error.help {
        let help = help.replace('\n', &format!("\n{margin}         "));
        put(&mut out, format_args!("{margin} {} help: {help}\n", colours.paint(BLUE, "=")));
    }
    out
}

/// A span in terms of lines and of what a terminal shows.
struct Place {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// The line, tabs expanded, perhaps cut.
    shown: String,
    /// Columns of the terminal before the caret.
    indent: usize,
    /// Carets, at least one.
    width: usize,
}

impl Place {
    fn find(text: &str, span: &Range<usize>) -> Self {
        let mut start = boundary(text, span.start);
        if start == text.len() {
            // The end of the text: what is missing there is missed behind the last word.
            start = text.trim_end().len();
        }
        let end = boundary(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |index| index + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |index| start + index);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let (before, after) = line.split_at((start - line_start).min(line.len()));
        let marked = &after[..boundary(after, end - start)];
        let mut place = Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: before.chars().count() + 1,
            shown: expanded(line),
            indent: expanded(before).width(),
            width: expanded(marked.trim_end()).width().max(1),
        };
        place.cut();
        place
    }

    /// Leaves out what is far from the place in a line that is too long.
    fn cut(&mut self) {
        if self.shown.width() <= LINE_WIDTH_MAX {
            return;
        }
        let first = self.indent.saturating_sub(WIDTH_BEFORE);
        let (mut column, mut kept, mut skipped) = (0, String::new(), 0);
        for character in self.shown.chars() {
            let width = character.width().unwrap_or(0);
            if column < first {
                skipped = column + width;
            } else if column + width <= first + LINE_WIDTH_MAX {
                kept.push(character);
            } else {
                kept.push('…');
                break;
            }
            column += width;
        }
        let lead = if skipped > 0 { "…" } else { "" };
        self.indent = self.indent - skipped + lead.width();
        self.shown = format!("{lead}{kept}");
        self.width = self.width.min(self.shown.width().saturating_sub(self.indent)).max(1);
    }
}

/// The greatest boundary between characters that is not after `index`.
fn boundary(text: &str, index: usize) -> usize {
    text.floor_char_boundary(index.min(text.len()))
}

/// Tabs as four spaces, other control characters as one.
fn expanded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => out.push_str("    "),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// Writing to a `String` cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, span: Range<usize>) -> String {
        let source = SourceText { name: "job.sql".into(), text: text.into() };
        let error = Error::statement("no").help("yes").at(span);
        render(&error, Some(&source), Colours::Off)
    }

    #[test]
    fn place_is_shown_with_a_caret() {
        let text = "-- a job\nSELECT 1;\nSELECT AVG(pric) FROM t\n";
        let start = text.find("pric").unwrap();
        let expected = "\
error: no
 --> job.sql:3:12
  |
3 | SELECT AVG(pric) FROM t
  |            ^^^^
  = help: yes
";
        assert_eq!(rendered(text, start..start + 4), expected);
    }

    #[test]
    fn wide_characters_and_tabs_keep_the_caret_below_the_place() {
        let text = "\tSELECT '渋谷', x";
        let start = text.find('x').unwrap();
        let out = rendered(text, start..start + 1);
        assert!(out.contains("job.sql:1:15\n"), "{out}");
        let lines: Vec<&str> = out.lines().collect();
        let at = lines[3][..lines[3].find('x').unwrap()].width();
        assert_eq!(lines[4].find('^').unwrap(), at, "{out}");
    }

    #[test]
    fn end_of_text_points_behind_the_last_word() {
        let out = rendered("SELECT a FROM\n\n", 15..15);
        assert!(out.contains("job.sql:1:14\n"), "{out}");
        assert!(out.contains("  |              ^\n"), "{out}");
    }

    #[test]
    fn span_over_lines_marks_the_first_one() {
        let out = rendered("SELECT a,\n  b FROM t", 7..15);
        assert!(out.contains("1 | SELECT a,\n  |        ^^\n"), "{out}");
    }

    #[test]
    fn long_line_is_cut_around_the_place() {
        let text = format!("SELECT {}missing{}", "a, ".repeat(200), ", b".repeat(200));
        let start = text.find("missing").unwrap();
        let out = rendered(&text, start..start + 7);
        let lines: Vec<&str> = out.lines().collect();
        let at = lines[3][..lines[3].find("missing").unwrap()].width();
        assert_eq!(lines[4].find('^').unwrap(), at, "{out}");
        assert!(lines[4].ends_with("^^^^^^^"), "{out}");
        assert!(lines[3].width() < LINE_WIDTH_MAX + 10);
    }

    #[test]
    fn wrong_spans_do_no_harm() {
        for text in ["", "\n", "é", "a\r\nb"] {
            for start in 0..6 {
                for end in 0..6 {
                    assert!(rendered(text, start..end).starts_with("error: no\n"));
                }
            }
        }
    }

    #[test]
    fn without_a_place_there_is_only_help() {
        let error = Error::data("bad").help("mend it");
        assert_eq!(render(&error, None, Colours::Off), "error: bad\nhelp: mend it\n");
        assert!(render(&error, None, Colours::On).starts_with("\x1b[1;31merror\x1b[0m"));
    }
}
