//! Changelogs: rows that say what becomes of an earlier row, by their kind.

use std::fmt;
use std::sync::Arc;

/// What a row of a changelog does to the result, as in Flink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// `+I`: the row is new.
    Insert,
    /// `-U`: the row, as it was, goes; the next row of the same key takes its place.
    UpdateBefore,
    /// `+U`: the row, as it is now.
    UpdateAfter,
    /// `-D`: the row goes, and none takes its place.
    Delete,
}

impl RowKind {
    /// Whether it takes an earlier row back: `-U` and `-D`.
    #[must_use]
    pub fn takes_back(self) -> bool {
        matches!(self, Self::UpdateBefore | Self::Delete)
    }

    /// Of a row whose key comes and goes as a whole: `+I` for `+U`, `-D` for `-U`.
    #[must_use]
    pub fn of_whole_key(self) -> Self {
        if self.takes_back() { Self::Delete } else { Self::Insert }
    }

    /// As Flink writes it: `+I`, `-U`, `+U`, `-D`.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Insert => "+I",
            Self::UpdateBefore => "-U",
            Self::UpdateAfter => "+U",
            Self::Delete => "-D",
        }
    }
}

impl fmt::Display for RowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// The kinds of a batch's rows.
#[derive(Clone, Debug, Default)]
pub enum RowKinds {
    /// Every row is new: an append-only stream.
    #[default]
    Inserts,
    /// One for each row.
    Each(Arc<[RowKind]>),
}

impl RowKinds {
    /// That of row `row`.
    #[must_use]
    pub fn get(&self, row: usize) -> RowKind {
        match self {
            Self::Inserts => RowKind::Insert,
            Self::Each(kinds) => kinds[row],
        }
    }

    /// Each as [`RowKind::of_whole_key`] has it.
    #[must_use]
    pub fn of_whole_keys(&self) -> Self {
        match self {
            Self::Inserts => Self::Inserts,
            Self::Each(kinds) => Self::Each(kinds.iter().map(|kind| kind.of_whole_key()).collect()),
        }
    }

    /// Those of some rows.
    pub(crate) fn of(&self, rows: impl Iterator<Item = usize>) -> Self {
        match self {
            Self::Inserts => Self::Inserts,
            Self::Each(kinds) => Self::Each(rows.map(|row| kinds[row]).collect()),
        }
    }
}
