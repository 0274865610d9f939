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
//!
//! The first words say whose error it is: `error` that of the SQL or the command line, `data error` that of the input,
//! `i/o error` that of a file, pipe or disk, `memory error` that of the budget, `internal error` ours.

use std::fmt::Write;
use std::io::IsTerminal;

use super::place::Place;
use crate::error::{Error, InputPlace, Kind};

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

/// The error with its places in the input and in `source`, if it has any, as lines that end in a line end.
#[must_use]
pub fn render(error: &Error, source: Option<&SourceText>, colours: Colours) -> String {
    let mut out = String::new();
    let message = without_error_number(error.bare_message());
    let heading = colours.paint(RED, &heading(error.kind));
    put(&mut out, format_args!("{heading}{}\n", colours.paint(BOLD, &format!(": {message}"))));
    let mut margin = None;
    if let Some(input) = &error.input {
        margin = Some(put_input(&mut out, input, colours));
    }
    if let Some((source, span)) = source.zip(error.span.as_ref()) {
        let place = Place::find(&source.text, span);
        let position = format!("{}:{}:{}", source.name, place.line, place.column);
        // What is to be mended is in the input: the SQL that reads it is named, not shown.
        match margin {
            Some(width) => {
                put(&mut out, format_args!("{:width$}{} {position}\n", "", colours.paint(BLUE, "-->")));
            }
            None => {
                put_excerpt(&mut out, &position, &place, colours);
                margin = Some(place.line.to_string().len());
            }
        }
    }
    if let Some(help) = error.help.as_deref().or_else(|| help_of(error)) {
        match margin {
            Some(width) => {
                let help = help.replace('\n', &format!("\n{:width$}         ", ""));
                put(&mut out, format_args!("{:width$} {} help: {help}\n", "", colours.paint(BLUE, "=")));
            }
            None => {
                let help = help.replace('\n', "\n      ");
                put(&mut out, format_args!("{}: {help}\n", colours.paint(BLUE, "help")));
            }
        }
    }
    out
}

/// How to mend an error that says nothing of it: a bug of ours, and what the system refuses.
pub(super) fn help_of(error: &Error) -> Option<&'static str> {
    const SYSTEM: [(&str, &str); 6] = [
        ("Permission denied", "the user who runs the job needs the right to do that"),
        ("No space left on device", "make room there, or write to another device"),
        ("File exists", "a file is where a directory should be"),
        ("Not a directory", "a file is where a directory should be"),
        ("Read-only file system", "write to another place"),
        ("Too many open files", "raise the limit: ulimit -n 10000"),
    ];
    match error.kind {
        Kind::Internal => Some(REPORT),
        Kind::Connector => SYSTEM.iter().find(|(text, _)| error.message.contains(text)).map(|(_, help)| *help),
        _ => None,
    }
}

/// What to do about a bug of ours.
const REPORT: &str = "nothing is wrong with your SQL or data: please report this message, together with the SQL";

/// The word that says whose error it is.
fn heading(kind: Kind) -> String {
    match kind {
        Kind::Statement => "error".to_owned(),
        Kind::Data => "data error".to_owned(),
        Kind::Connector => "i/o error".to_owned(),
        Kind::Memory => "memory error".to_owned(),
        Kind::Internal => format!("internal error: bug in thalweg {}", env!("CARGO_PKG_VERSION")),
    }
}

/// The system's text for an error, without the number that Rust puts behind it.
pub(super) fn without_error_number(message: &str) -> String {
    const OPENING: &str = " (os error ";
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, behind)) = rest.split_once(OPENING) {
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(before);
        match behind[digits..].strip_prefix(')').filter(|_| digits > 0) {
            Some(behind) => rest = behind,
            None => {
                out.push_str(OPENING);
                rest = behind;
            }
        }
    }
    out + rest
}

/// The place in the input and the record with the fault; gives the width of the margin.
fn put_input(out: &mut String, input: &InputPlace, colours: Colours) -> usize {
    let record = input.record.strip_suffix(b"\n").unwrap_or(&input.record);
    let record = String::from_utf8_lossy(record.strip_suffix(b"\r").unwrap_or(record));
    // The line of a record over several lines, and the text of a format without lines, cannot be told from here.
    if input.line == 0 || record.is_empty() || record.contains(['\n', '\0']) {
        put(out, format_args!(" {} {input}\n", colours.paint(BLUE, "-->")));
        return 1;
    }
    let from = (input.column.max(1) - 1) as usize;
    let start = record.char_indices().nth(from).map_or(record.len(), |(at, _)| at);
    let span = if input.column == 0 { 0..record.len() } else { start..start };
    let place = Place { line: input.line as usize, ..Place::find(&record, &span) };
    put_excerpt(out, &input.to_string(), &place, colours);
    place.line.to_string().len()
}

/// The position, and below it the line with carets.
fn put_excerpt(out: &mut String, position: &str, place: &Place, colours: Colours) {
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let bar = colours.paint(BLUE, "|");
    put(out, format_args!("{margin}{} {position}\n", colours.paint(BLUE, "-->")));
    put(out, format_args!("{margin} {bar}\n"));
    put(out, format_args!("{} {bar} {}\n", colours.paint(BLUE, &number), place.shown));
    let carets = colours.paint(RED, &"^".repeat(place.width));
    put(out, format_args!("{margin} {bar} {}{carets}\n", " ".repeat(place.indent)));
}

/// Writing to a `String` cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::report::place::LINE_WIDTH_MAX;

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
        assert_eq!(render(&error, None, Colours::Off), "data error: bad\nhelp: mend it\n");
        assert!(render(&error, None, Colours::On).starts_with("\x1b[1;31mdata error\x1b[0m"));
    }

    fn place(line: u64, column: u64, record: &[u8]) -> InputPlace {
        InputPlace { file: "a.csv".into(), line, column, record: record.to_vec() }
    }

    #[test]
    fn place_in_the_input_is_shown_with_its_record() {
        let error = Error::data_at(place(12, 3, "é,ten\r\n".as_bytes()), "no number").help("skip it");
        assert_eq!(error.message, "a.csv:12:3: no number");
        let expected = "\
data error: no number
  --> a.csv:12:3
   |
12 | é,ten
   |   ^
   = help: skip it
";
        assert_eq!(render(&error, None, Colours::Off), expected);
        let source = SourceText { name: "job.sql".into(), text: "SELECT 1".into() };
        let expected = expected.replace("   = help", "  --> job.sql:1:8\n   = help");
        assert_eq!(render(&error.at(7..8), Some(&source), Colours::Off), expected);
    }

    #[test]
    fn record_that_cannot_be_shown_is_left_out() {
        for (line, record) in [(0, &b"abc"[..]), (3, b""), (3, b"a\nb"), (3, b"a\0b")] {
            let error = Error::data_at(place(line, 1, record), "no");
            let place = if line == 0 { "a.csv" } else { "a.csv:3:1" };
            assert_eq!(render(&error, None, Colours::Off), format!("data error: no\n --> {place}\n"));
        }
        for column in 0..9 {
            let out = render(&Error::data_at(place(1, column, b"\xFF\xE9b"), "no"), None, Colours::Off);
            assert!(out.starts_with("data error: no\n --> a.csv:1"), "{out}");
        }
    }

    #[test]
    fn heading_says_whose_it_is() {
        for (kind, expected) in [
            (Kind::Statement, "error: no"),
            (Kind::Data, "data error: no"),
            (Kind::Connector, "i/o error: no"),
            (Kind::Memory, "memory error: no"),
        ] {
            assert_eq!(render(&Error::new(kind, "no"), None, Colours::Off), format!("{expected}\n"));
        }
        let ours = render(&Error::internal("no"), None, Colours::Off);
        assert!(
            ours.starts_with(concat!("internal error: bug in thalweg ", env!("CARGO_PKG_VERSION"), ": no\n")),
            "{ours}"
        );
        assert!(ours.contains("please report"), "{ours}");
    }

    #[test]
    fn the_systems_numbers_are_left_out() {
        for (message, expected) in [
            ("cannot read `a`: Permission denied (os error 13)", "cannot read `a`: Permission denied"),
            ("a (os error 2): b (os error 17)", "a: b"),
            ("'x (os error y)'", "'x (os error y)'"),
        ] {
            assert_eq!(without_error_number(message), expected);
        }
    }
}
