//! An error as the user meets it: what, where, how to mend it, and whose it is.

use std::fmt;
use std::ops::Range;

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
}

/// The result of everything that a user's text or data can make fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given kind, without place and help.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, span: None }
    }

    /// The user's SQL, plan or command line is wrong.
    pub fn statement(message: impl Into<String>) -> Self {
        Self::new(Kind::Statement, message)
    }

    /// The input holds what is not accepted.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
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
