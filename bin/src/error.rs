//! An error as the user meets it: what, where, how to mend it, and whose it is.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Whose error it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The SQL, the plan or the command line: exit 2.
    Statement,
    /// Input that the policy `fail` does not accept, or an expression without a value: exit 3.
    Data,
    /// A source or sink: a file, pipe or disk that does not do what is asked: exit 5.
    Connector,
    /// The budget of `--memory` is exhausted: exit 6.
    Memory,
    /// A bug of ours: exit 1.
    Internal,
}

impl Kind {
    /// The exit code of a process that ends with such an error.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Statement => 2,
            Self::Data => 3,
            Self::Connector => 5,
            Self::Memory => 6,
        }
    }

    /// The word for it where errors are read by programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Data => "data",
            Self::Connector => "connector",
            Self::Memory => "memory",
            Self::Internal => "internal",
        }
    }
}

/// A noun with its article: `a STRING`, `an INT`.
#[must_use]
pub fn with_article(noun: &str) -> String {
    let is_vowel = noun.starts_with(|first: char| "aeioAEIO".contains(first));
    format!("{} {noun}", if is_vowel { "an" } else { "a" })
}

/// So many of something: `1 column`, `2 columns`.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A place in the input: a fault is mended there, not in the SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputPlace {
    /// Path of the file, or `<stdin>`.
    pub file: Arc<str>,
    /// Line, from 1; 0 in a format without lines.
    pub line: u64,
    /// Character of the line, from 1; 0 where the fault is the line as a whole.
    pub column: u64,
    /// The record with the fault as it stands, perhaps cut; empty where it is not known.
    pub record: Vec<u8>,
}

impl InputPlace {
    /// The first character of a file.
    #[must_use]
    pub fn start_of(file: &str) -> Self {
        Self { file: file.into(), line: 1, column: 1, record: Vec::new() }
    }
}

impl fmt::Display for InputPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// What went wrong. `span` is a range of bytes of the SQL text, where there is one to point at.
#[derive(Clone, Debug)]
pub struct Error {
    /// Whose it is.
    pub kind: Kind,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// How to mend it: the nearest accepted form.
    pub help: Option<String>,
    /// Where in the SQL text, in bytes.
    pub span: Option<Range<usize>>,
    /// Where in the input. The message then begins with the place, so that it is whole where only the message is shown.
    pub input: Option<Box<InputPlace>>,
}

/// The result of everything that a user's text or data can make fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given kind, without place and help.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, span: None, input: None }
    }

    /// The user's SQL, plan or command line is wrong.
    pub fn statement(message: impl Into<String>) -> Self {
        Self::new(Kind::Statement, message)
    }

    /// The input holds what is not accepted.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// The input holds at `place` what is not accepted.
    pub fn data_at(place: InputPlace, message: impl fmt::Display) -> Self {
        Self { input: Some(Box::new(place.clone())), ..Self::data(format!("{place}: {message}")) }
    }

    /// The message without the place in the input that it begins with.
    #[must_use]
    pub fn bare_message(&self) -> &str {
        let place = self.input.as_ref().map(|place| format!("{place}: "));
        place.and_then(|place| self.message.strip_prefix(&place)).unwrap_or(&self.message)
    }

    /// A source or sink fails.
    pub fn connector(message: impl Into<String>) -> Self {
        Self::new(Kind::Connector, message)
    }

    /// A bug of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// The same error with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same error pointing at `span`, unless it points somewhere already.
    #[must_use]
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span.get_or_insert(span);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
