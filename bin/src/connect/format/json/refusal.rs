//! Why a record is refused: in words, with its place and with help.

use arrow_schema::DataType;

use super::scan::{Broken, DEPTH_MAX, SyntaxFault};
use crate::connect::bad_input::RejectReason;
use crate::connect::format::csv::type_name;
use crate::connect::format::text::shown;
use crate::error::with_article;

/// What is wrong with a value that is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a value of the type.
    Malformed,
    /// A value, but beyond the type's range.
    OutOfRange,
    /// NULL in a column that is NOT NULL.
    Null,
    /// No value for a column that is NOT NULL.
    MissingNotNull,
    /// No value, where `json.fail-on-missing-field` asks for one.
    Missing,
}

impl Refusal {
    fn reason(self) -> RejectReason {
        match self {
            Self::Malformed => RejectReason::Malformed,
            Self::OutOfRange => RejectReason::OutOfRange,
            Self::Null => RejectReason::Null,
            Self::MissingNotNull | Self::Missing => RejectReason::MissingField,
        }
    }
}

/// A value that does not fit its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Position of its first byte; of the object's end, if it is missing.
    pub at: usize,
    /// Behind its last byte.
    pub end: usize,
    /// What is wrong.
    pub refusal: Refusal,
    /// The type that it should have.
    pub data_type: DataType,
    /// Where it is within the column, the innermost step first.
    pub path: Vec<Step>,
}

/// One step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A field of a ROW.
    Field(String),
    /// An element of an ARRAY, from 1 as SQL counts.
    Element(usize),
    /// The value under a key of a MAP.
    Key(String),
}

/// A record that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Position of the fault in the text.
    pub at: usize,
    /// The column, and the path within it.
    pub field: Option<Box<str>>,
    /// What it is counted as.
    pub reason: RejectReason,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl Refused {
    /// A text that is not JSON.
    #[must_use]
    pub fn broken(text: &[u8], broken: Broken) -> Self {
        let Broken { at, fault } = broken;
        let found = shown(&text[at.min(text.len())..]);
        let (message, help) = describe(fault, &found);
        let reason = if fault == SyntaxFault::TooDeep { RejectReason::TooDeep } else { RejectReason::Syntax };
        Self { at, field: None, reason, message, help: help.to_owned() }
    }

    /// Bytes that are not UTF-8.
    #[must_use]
    pub fn not_utf8(text: &[u8], at: usize) -> Self {
        Self {
            at,
            field: None,
            reason: RejectReason::NotUtf8,
            message: format!("bytes that are not UTF-8 at {}", shown(&text[at..])),
            help: "convert the file to UTF-8, for example with iconv, or set 'on-error' = 'skip'".to_owned(),
        }
    }

    /// A value that does not fit its column.
    #[must_use]
    pub fn fault(text: &[u8], fault: &Fault, inferred_from: Option<u64>) -> Self {
        let path = path_text(&fault.path);
        let type_name = type_name(&fault.data_type);
        let value = shown_value(&text[fault.at..fault.end]);
        let message = match fault.refusal {
            Refusal::Malformed => format!("{value} is not {} (column `{path}`)", with_article(&type_name)),
            Refusal::OutOfRange => format!("{value} does not fit {type_name} (column `{path}`)"),
            Refusal::Null => format!("NULL in column `{path}`, which is NOT NULL ({type_name})"),
            Refusal::MissingNotNull => {
                format!("the record has no field for column `{path}`, which is NOT NULL ({type_name})")
            }
            Refusal::Missing => format!("the record has no field for column `{path}` ({type_name})"),
        };
        let help = match (fault.refusal, inferred_from) {
            (Refusal::Malformed | Refusal::OutOfRange, Some(records)) => format!(
                "the type was inferred from the first {records} records; declare the columns instead: \
                 CREATE TABLE t (`{}` STRING, …) WITH ('connector' = 'filesystem', 'path' = '…', 'format' = 'json')",
                outermost(&fault.path)
            ),
            (Refusal::Malformed, None) if is_other_standard(&fault.data_type, &text[fault.at..fault.end]) => {
                "'json.timestamp-format.standard' says what stands between date and time: 'SQL' a space, 'ISO-8601' a T; \
                 a TIMESTAMP_LTZ ends with Z or an offset, a TIMESTAMP does not"
                    .to_owned()
            }
            (Refusal::Malformed | Refusal::OutOfRange, None) => {
                "declare the column as STRING, or pass over such records with 'on-error' = 'skip'".to_owned()
            }
            (Refusal::Null | Refusal::MissingNotNull, _) => {
                "declare the column without NOT NULL, or set 'on-error' = 'skip'".to_owned()
            }
            (Refusal::Missing, _) => {
                "remove 'json.fail-on-missing-field', so that it is NULL, or set 'on-error' = 'skip'".to_owned()
            }
        };
        Self { at: fault.at, field: Some(path.into()), reason: fault.refusal.reason(), message, help }
    }
}

/// A value as an error shows it: a string with its own quotes, anything else in quotes of ours.
fn shown_value(value: &[u8]) -> String {
    match value {
        [b'"', inner @ .., b'"'] => shown(inner),
        other => shown(other),
    }
}

/// A value that would be a timestamp, but is written in another way than it should be.
fn is_other_standard(data_type: &DataType, value: &[u8]) -> bool {
    let looks_like_one = value.len() > 12 && value[0] == b'"' && matches!(value[11], b' ' | b'T');
    matches!(data_type, DataType::Timestamp(..)) && looks_like_one
}

/// `a.b[3]['k']`.
fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path.iter().rev() {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => text.extend([".", name]),
            Step::Element(number) => text.push_str(&format!("[{number}]")),
            Step::Key(key) => text.extend(["['", key, "']"]),
        }
    }
    text
}

fn outermost(path: &[Step]) -> &str {
    match path.last() {
        Some(Step::Field(name) | Step::Key(name)) => name,
        Some(Step::Element(_)) | None => "",
    }
}

/// What is wrong with a text, and how to mend it. `found` is what stands there.
fn describe(fault: SyntaxFault, found: &str) -> (String, &'static str) {
    use SyntaxFault as F;
    let expected = |what: &str| format!("expected {what}, found {found}");
    let message = match fault {
        F::NoValue => expected("a value"),
        F::SingleQuote => expected("a string in double quotes"),
        F::Comment => format!("a comment, which JSON does not have: {found}"),
        F::Word => expected("true, false, null, a number or a string"),
        F::NoKey => expected("a name in double quotes"),
        F::NoColon => expected("`:` behind a name"),
        F::NoCommaInObject => expected("`,` or `}` behind a field"),
        F::NoCommaInArray => expected("`,` or `]` behind an element"),
        F::TrailingComma => "a comma in front of a closing bracket".to_owned(),
        F::End => "the line ends in the middle of the record".to_owned(),
        F::EndInString => "the line ends in the middle of a string".to_owned(),
        F::Control => format!("a control character in a string: {found}"),
        F::Escape => format!("{found} is not an escape that JSON has"),
        F::Surrogate => format!("half of a surrogate pair in a string: {found}"),
        F::LeadingZero => format!("a number with a superfluous 0 in front: {found}"),
        F::NumberStart => format!("a number starts with a digit or `-`, found {found}"),
        F::NoDigit => expected("a digit"),
        F::Trailing => format!("text behind the record: {found}"),
        F::NoObject => format!("a record is an object, found {found}"),
        F::TooDeep => format!("objects and arrays are nested deeper than {DEPTH_MAX}"),
    };
    let help = match fault {
        F::End | F::EndInString => {
            "a record is one line: a line break within a string is written as \\n, and a file cut short ends so"
        }
        F::Control => "control characters are written as escapes: \\t, \\u0001; or set 'on-error' = 'skip'",
        F::Surrogate => "characters beyond U+FFFF are two escapes, \\uD83D\\uDE00; or set 'on-error' = 'skip'",
        F::Word => "`NaN` and `Infinity` are strings in JSON; or set 'on-error' = 'skip'",
        F::NoObject => {
            "each line is an object, {\"column\": value, …}; an array of objects becomes lines with `jq -c '.[]'`"
        }
        F::Trailing => "each record is a line of its own; or set 'on-error' = 'skip'",
        F::TooDeep => "pass over such records with 'on-error' = 'skip'",
        _ => "correct the line, or pass over such records with 'on-error' = 'skip'",
    };
    (message, help)
}
