//! Records that are refused: what a table does with them, and what is known about each.
//!
//! The policy holds for a table: for records that its format cannot read, and for rows for which an expression above its
//! scan has no value. Every refused record is counted by reason, whatever the policy.

use std::fmt;
use std::sync::Arc;

use super::options::OptionReader;
use crate::error::{Error, InputPlace, Result};

/// Bytes of a record that a reject keeps.
pub const REJECT_BYTES_MAX: usize = 1024;

/// Bytes of a file of rejects where `rejects-max-bytes` says nothing: 1 GiB.
pub const REJECTS_FILE_BYTES_MAX: u64 = 1 << 30;

/// What becomes of rows that come after their windows have closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LateRows {
    /// `drop`: they are counted.
    #[default]
    Drop,
    /// `divert`: they are counted, and their records are written to a file.
    Divert {
        /// `late-rows-path`; `None`: `TABLE.late.ndjson` in the directory of the process.
        path: Option<String>,
        /// `late-rows-max-bytes`: the file grows no further; what comes then is only counted.
        file_bytes_max: u64,
    },
}

/// Longest record accepted where `max-record-bytes` says nothing: 16 MiB.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// What becomes of a job when a record is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It ends with an error that shows the place.
    #[default]
    Fail,
    /// It goes on without the record, and counts it.
    Skip,
    /// As `Skip`, and the record is written to a file of rejects.
    Divert,
}

/// A table's policy for what it cannot accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadInput {
    /// `on-error`, or the format's `ignore-parse-errors` = `true` for `skip`.
    pub on_error: OnError,
    /// `max-rejects`: the job fails with the record after these, in the order of input.
    pub rejects_max: Option<u64>,
    /// `max-record-bytes`: the longest record that is accepted, without its line end.
    pub record_bytes_max: usize,
    /// `rejects-path`: where `divert` writes; `None`: `TABLE.rejects.ndjson` in the directory of the process.
    pub rejects_path: Option<String>,
    /// `rejects-max-bytes`: the file of rejects grows no further than this; what comes then is only counted.
    pub rejects_file_bytes_max: u64,
    /// `max-future` in milliseconds: a row whose event time is further ahead is rejected.
    pub future_ms_max: Option<i64>,
    /// `late-rows`, for every window that the table's rows are put into.
    pub late_rows: LateRows,
}

impl Default for BadInput {
    fn default() -> Self {
        Self {
            on_error: OnError::default(),
            rejects_max: None,
            record_bytes_max: RECORD_BYTES_MAX,
            rejects_path: None,
            rejects_file_bytes_max: REJECTS_FILE_BYTES_MAX,
            future_ms_max: None,
            late_rows: LateRows::default(),
        }
    }
}

impl BadInput {
    /// Takes the policy's options out of a table's.
    ///
    /// # Errors
    /// If a value is not accepted, or two options contradict each other.
    pub fn read(reader: &mut OptionReader<'_>) -> Result<Self> {
        let record_bytes_max = reader.bytes("max-record-bytes", 1, 1 << 30)?.unwrap_or(RECORD_BYTES_MAX as u64);
        Ok(Self { record_bytes_max: record_bytes_max as usize, ..Self::read_for_rows(reader)? })
    }

    /// As [`read`](Self::read), for a connector whose rows are not read from records: only expressions can refuse them.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_for_rows(reader: &mut OptionReader<'_>) -> Result<Self> {
        let policies = [("fail", OnError::Fail), ("skip", OnError::Skip), ("divert", OnError::Divert)];
        let on_error = reader.choice("on-error", &policies)?.unwrap_or_default();
        let rejects_max = reader.number("max-rejects", 0, u64::MAX)?;
        let rejects_path = reader.text("rejects-path").map(str::to_owned);
        let rejects_file_bytes_max = reader.bytes("rejects-max-bytes", 0, u64::MAX)?.unwrap_or(REJECTS_FILE_BYTES_MAX);
        let future_ms_max = reader.duration_ms("max-future")?;
        for name in ["rejects-path", "rejects-max-bytes"] {
            if let Some(value) = reader.text(name).filter(|_| on_error != OnError::Divert) {
                return Err(reader.wrong_value(name, value, "nothing, unless 'on-error' is 'divert'"));
            }
        }
        if rejects_path.as_deref() == Some("") {
            return Err(reader.wrong_value("rejects-path", "", "the path of a file"));
        }
        let late_rows = LateRows::read(reader)?;
        Ok(Self {
            on_error,
            rejects_max,
            rejects_path,
            rejects_file_bytes_max,
            future_ms_max,
            late_rows,
            ..Self::default()
        })
    }

    /// The policy as a format sees it: told to fail, it would not know which refusal is the first of the whole input, since
    /// an expression may refuse a row of an earlier block. So it keeps whatever may turn out to be the one that counts,
    /// and the job decides.
    #[must_use]
    pub fn for_format(&self) -> Self {
        let on_error = match (self.on_error, self.rejects_max) {
            (OnError::Skip, None) => OnError::Skip,
            _ => OnError::Divert,
        };
        Self { on_error, ..self.clone() }
    }
}

impl LateRows {
    fn read(reader: &mut OptionReader<'_>) -> Result<Self> {
        let is_diverted = reader.choice("late-rows", &[("drop", false), ("divert", true)])?.unwrap_or_default();
        let path = reader.text("late-rows-path").map(str::to_owned);
        let file_bytes_max = reader.bytes("late-rows-max-bytes", 0, u64::MAX)?.unwrap_or(REJECTS_FILE_BYTES_MAX);
        if path.as_deref() == Some("") {
            return Err(reader.wrong_value("late-rows-path", "", "the path of a file"));
        }
        if is_diverted {
            return Ok(Self::Divert { path, file_bytes_max });
        }
        for name in ["late-rows-path", "late-rows-max-bytes"] {
            if let Some(value) = reader.text(name) {
                return Err(reader.wrong_value(name, value, "nothing, unless 'late-rows' is 'divert'"));
            }
        }
        Ok(Self::Drop)
    }
}

/// Why a record is refused: what rejects are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// A field is not a value of its column's type.
    Malformed,
    /// A value, but beyond the range of its column's type.
    OutOfRange,
    /// NULL in a column that is NOT NULL.
    Null,
    /// Bytes that are not UTF-8, in a string.
    NotUtf8,
    /// Quotes that are not where they may be, or never closed.
    Quote,
    /// Too few or too many fields.
    FieldCount,
    /// A field that must be there is not.
    MissingField,
    /// The text does not follow the grammar of the format.
    Syntax,
    /// Nested deeper than the reader goes.
    TooDeep,
    /// Longer than `max-record-bytes`.
    TooLong,
    /// The file is damaged from here on: its compression or its pages.
    Corrupt,
    /// An expression has no value for the row: a CAST, a division by 0, an overflow.
    Expression,
    /// Event time too far ahead.
    Future,
    /// All windows of the row had closed. Such a row is not refused but late, and counted as such.
    Late,
}

impl RejectReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Malformed,
        Self::OutOfRange,
        Self::Null,
        Self::NotUtf8,
        Self::Quote,
        Self::FieldCount,
        Self::MissingField,
        Self::Syntax,
        Self::TooDeep,
        Self::TooLong,
        Self::Corrupt,
        Self::Expression,
        Self::Future,
        Self::Late,
    ];

    /// The word for it in accounts and files of rejects.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::OutOfRange => "out-of-range",
            Self::Null => "null",
            Self::NotUtf8 => "not-utf8",
            Self::Quote => "quote",
            Self::FieldCount => "field-count",
            Self::MissingField => "missing-field",
            Self::Syntax => "syntax",
            Self::TooDeep => "too-deep",
            Self::TooLong => "too-long",
            Self::Corrupt => "corrupt",
            Self::Expression => "expression",
            Self::Future => "future",
            Self::Late => "late",
        }
    }
}

/// One refused record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Path of the file, or `<stdin>`.
    pub origin: Arc<str>,
    /// Byte of the (decompressed) input at which the record starts, from 0.
    pub offset: u64,
    /// Line of the fault, from 1; 0 in a format without lines, where `offset` counts rows.
    pub line: u64,
    /// Character of that line, from 1; 0 if the fault is the record as a whole.
    pub column: u64,
    /// The column of the table that the fault is in.
    pub field: Option<Box<str>>,
    /// What it is counted as.
    pub reason: RejectReason,
    /// What is wrong, without the place.
    pub message: String,
    /// How to mend it.
    pub help: String,
    /// The record as it stands, its first [`REJECT_BYTES_MAX`] bytes.
    pub record: Vec<u8>,
}

impl Reject {
    /// `origin:line:column`, as far as it is known.
    #[must_use]
    pub fn place(&self) -> String {
        let origin = &self.origin;
        match (self.line, self.column) {
            (0, _) => format!("{origin}"),
            (line, 0) => format!("{origin}:{line}"),
            (line, column) => format!("{origin}:{line}:{column}"),
        }
    }

    /// The error that ends a job under the policy `fail`: the message with its place in front.
    #[must_use]
    pub fn into_error(self) -> Error {
        let Self { origin, line, column, message, help, record, .. } = self;
        Error::data_at(InputPlace { file: origin, line, column, record }, message).help(help)
    }
}

/// Where a row stands in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPlace {
    /// Path of the file, or `<stdin>`.
    pub origin: Arc<str>,
    /// As [`Reject::offset`].
    pub offset: u64,
    /// Line on which the record starts, from 1; 0 in a format without lines.
    pub line: u64,
    /// The record as it stands, its first [`REJECT_BYTES_MAX`] bytes.
    pub record: Vec<u8>,
}

/// Finds the places of rows of one block again. Kept while the block is worked on, and asked only when a row is refused
/// that was decoded: it must cost next to nothing to make.
pub trait RowPlaces: fmt::Debug + Send {
    /// The places of `rows`: numbers from 0 over all batches of the block, ascending; one may come several times.
    /// Cost: that of reading the block once.
    fn locate(&self, rows: &[u32]) -> Vec<RowPlace>;
}

/// How many records were refused for each reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RejectCounts([u64; RejectReason::ALL.len()]);

impl RejectCounts {
    /// Counts `records` more.
    pub fn add(&mut self, reason: RejectReason, records: u64) {
        self.0[reason as usize] += records;
    }

    /// Counts all that `other` counts.
    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, more)| *count += more);
    }

    /// Over all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// By reason; reasons that did not occur are left out.
    pub fn iter(&self) -> impl Iterator<Item = (RejectReason, u64)> + '_ {
        let all = RejectReason::ALL.into_iter().zip(self.0);
        all.filter(|(_, count)| *count > 0)
    }
}

/// `malformed 2, quote 1`.
impl fmt::Display for RejectCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (reason, count)) in self.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{} {count}", reason.name())?;
        }
        Ok(())
    }
}

/// What was refused of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejects {
    counts: RejectCounts,
    /// Under `divert` all; under `skip` the first alone, for the log.
    pub records: Vec<Reject>,
}

impl Rejects {
    /// Counts a record, and keeps what is known about it as far as the policy needs it. Under `fail`, `record` is for the
    /// caller to make an error of: it must not come here.
    pub fn add(&mut self, policy: OnError, reason: RejectReason, record: impl FnOnce() -> Reject) {
        self.counts.add(reason, 1);
        if policy == OnError::Divert || self.records.is_empty() {
            self.records.push(record());
        }
    }

    /// Records refused.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.total()
    }

    /// Records refused, by reason.
    #[must_use]
    pub fn counts(&self) -> &RejectCounts {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(line: u64) -> Reject {
        Reject {
            origin: "a.csv".into(),
            offset: 7,
            line,
            column: 3,
            field: None,
            reason: RejectReason::Malformed,
            message: "no number".into(),
            help: "none".into(),
            record: b"x".to_vec(),
        }
    }

    #[test]
    fn all_are_counted_and_only_divert_keeps_all() {
        for (policy, kept) in [(OnError::Skip, 1), (OnError::Divert, 3)] {
            let mut rejects = Rejects::default();
            for line in 1..=2 {
                rejects.add(policy, RejectReason::Quote, || reject(line));
            }
            rejects.add(policy, RejectReason::Malformed, || reject(3));
            assert_eq!((rejects.total(), rejects.records.len()), (3, kept));
            assert_eq!(rejects.counts().to_string(), "malformed 1, quote 2");
        }
        assert!(RejectReason::ALL.iter().enumerate().all(|(number, reason)| *reason as usize == number));
    }

    #[test]
    fn an_error_says_the_place() {
        assert_eq!(reject(2).into_error().message, "a.csv:2:3: no number");
        assert_eq!(reject(0).into_error().message, "a.csv: no number");
    }
}
