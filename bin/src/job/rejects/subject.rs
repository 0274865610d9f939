//! What a ledger is about: rejects, or late rows. Both are written and told in the same way, with other words.

use crate::connect::bad_input::RejectReason;

/// What a ledger keeps account of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Records that were refused: they are no rows, and may end the job.
    Rejects,
    /// Rows that came after their windows had closed.
    LateRows,
}

impl Subject {
    /// What there is in its file.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Rejects => "rejects",
            Self::LateRows => "late rows",
        }
    }

    /// The word in the name of its file.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Rejects => "rejects",
            Self::LateRows => "late",
        }
    }

    /// The option that says where its file is.
    pub(super) fn path_option(self) -> &'static str {
        match self {
            Self::Rejects => "rejects-path",
            Self::LateRows => "late-rows-path",
        }
    }

    /// The option that says how large its file may be.
    pub(super) fn limit(self) -> &'static str {
        match self {
            Self::Rejects => "rejects-max-bytes",
            Self::LateRows => "late-rows-max-bytes",
        }
    }

    /// What became of a record.
    pub(super) fn verdict(self, reason: RejectReason) -> String {
        match self {
            Self::Rejects => format!("rejected as {}", reason.name()),
            Self::LateRows => "diverted".to_owned(),
        }
    }

    /// As many as were not shown.
    pub(super) fn more(self, more: u64) -> String {
        let records = if more == 1 { "record" } else { "records" };
        match self {
            Self::Rejects => format!("{more} more {records} rejected"),
            Self::LateRows => format!("{more} more late {records} diverted"),
        }
    }
}
