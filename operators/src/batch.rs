//! A batch: columns of equal length, each row's place in its source, and the watermark at that place.

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::{filter::filter_record_batch, take::take_record_batch};
use thalweg_runtime::EventTimeMs;

use crate::changelog::RowKinds;

/// A row's place in the order of its input, the same for any number of workers and any batch size.
/// Order-sensitive aggregates and ties in sorting go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ordinal {
    /// For rows of a source: `chain << 96 | block << 32 | row in the block`; rows of a closed window get theirs from the
    /// window's end and the group's hash.
    pub row: u128,
    /// Which part of that row, where an UNNEST made several of it: 32 bits for each UNNEST, the first one's on top; 0
    /// without one.
    pub part: u128,
}

/// UNNESTs that the rows of a batch can have come through: each takes 32 bits of [`Ordinal::part`].
pub const UNNESTS_MAX: usize = 4;

impl Ordinal {
    /// The place of a whole row.
    #[must_use]
    pub fn of_row(row: u128) -> Self {
        Self { row, part: 0 }
    }

    /// The place of a part of this row, or of this part.
    #[must_use]
    pub fn part(self, number: u32) -> Self {
        Self { row: self.row, part: self.part << 32 | u128::from(number) }
    }

    fn plus(self, rows: usize) -> Self {
        Self { row: self.row + rows as u128, part: self.part }
    }
}

/// The ordinals of a batch's rows.
#[derive(Clone, Debug)]
pub enum Ordinals {
    /// Row *i* has the first ordinal, its row + *i*.
    Run(Ordinal),
    /// Some rows of such a run: how far each is from its first.
    Picked(Ordinal, Arc<[u32]>),
    /// Groups of one window: the upper half of [`Ordinal::row`], and the lower half of each row.
    Groups(u64, Arc<[u64]>),
    /// One for each row.
    Each(Arc<[Ordinal]>),
}

/// For each row, the watermark of its split just before it: what decides whether the row is late.
#[derive(Clone, Debug)]
pub enum Stamps {
    /// The same for all rows; [`EventTimeMs::MIN`] where no row can be late.
    Uniform(EventTimeMs),
    /// One for each row.
    Each(Arc<[EventTimeMs]>),
}

/// Rows that move together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The columns; the row count is `columns.num_rows()`, also where there is no column.
    pub columns: RecordBatch,
    /// Places of the rows; as many as rows.
    pub ordinals: Ordinals,
    /// Watermarks at those places; as many as rows.
    pub stamps: Stamps,
    /// What the rows do to the result; as many as rows. Rows of a changelog have no places of their own: the order of its
    /// batches is theirs.
    pub kinds: RowKinds,
}

impl Ordinals {
    /// The ordinal of row `row`.
    #[must_use]
    pub fn get(&self, row: usize) -> Ordinal {
        match self {
            Self::Run(first) => first.plus(row),
            Self::Picked(first, rows) => first.plus(rows[row] as usize),
            Self::Groups(upper, lower) => Ordinal::of_row(u128::from(*upper) << 64 | u128::from(lower[row])),
            Self::Each(each) => each[row],
        }
    }

    /// Those of `length` rows from `offset` on.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        match self {
            Self::Run(first) => Self::Run(first.plus(offset)),
            Self::Picked(first, rows) => Self::Picked(*first, rows[offset..offset + length].into()),
            Self::Groups(upper, lower) => Self::Groups(*upper, lower[offset..offset + length].into()),
            Self::Each(each) => Self::Each(each[offset..offset + length].into()),
        }
    }

    /// Those of some rows.
    fn of(&self, rows: impl Iterator<Item = usize>) -> Self {
        match self {
            Self::Run(first) => Self::Picked(*first, rows.map(|row| row as u32).collect()),
            Self::Picked(first, run) => Self::Picked(*first, rows.map(|row| run[row]).collect()),
            Self::Groups(upper, lower) => Self::Groups(*upper, rows.map(|row| lower[row]).collect()),
            Self::Each(each) => Self::Each(rows.map(|row| each[row]).collect()),
        }
    }
}

impl Stamps {
    /// The watermark just before row `row`.
    #[must_use]
    pub fn get(&self, row: usize) -> EventTimeMs {
        match self {
            Self::Uniform(stamp) => *stamp,
            Self::Each(each) => each[row],
        }
    }
}

impl Batch {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// The same rows with other columns.
    #[must_use]
    pub fn with_columns(&self, columns: RecordBatch) -> Self {
        debug_assert_eq!(columns.num_rows(), self.rows());
        let (ordinals, stamps, kinds) = (self.ordinals.clone(), self.stamps.clone(), self.kinds.clone());
        Self { columns, ordinals, stamps, kinds }
    }

    /// The rows for which `keep` is true; NULL counts as false.
    ///
    /// # Errors
    /// If Arrow refuses: lengths that differ, a bug of the caller.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        let rows = || (0..keep.len()).filter(|&row| keep.is_valid_and_true(row));
        Ok(Self {
            columns: filter_record_batch(&self.columns, keep)?,
            ordinals: self.ordinals.of(rows()),
            stamps: match &self.stamps {
                Stamps::Uniform(stamp) => Stamps::Uniform(*stamp),
                Stamps::Each(each) => Stamps::Each(rows().map(|row| each[row]).collect()),
            },
            kinds: self.kinds.of(rows()),
        })
    }

    /// The rows named by `rows`, in that order.
    ///
    /// # Errors
    /// If an index is out of range: a bug of the caller.
    pub fn take(&self, rows: &UInt32Array) -> Result<Self, ArrowError> {
        let index = || rows.values().iter().map(|&row| row as usize);
        Ok(Self {
            columns: take_record_batch(&self.columns, rows)?,
            ordinals: self.ordinals.of(index()),
            stamps: match &self.stamps {
                Stamps::Uniform(stamp) => Stamps::Uniform(*stamp),
                Stamps::Each(each) => Stamps::Each(index().map(|row| each[row]).collect()),
            },
            kinds: self.kinds.of(index()),
        })
    }

    /// `length` rows from `offset` on, without a copy of the columns.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self {
            columns: self.columns.slice(offset, length),
            ordinals: self.ordinals.slice(offset, length),
            stamps: match &self.stamps {
                Stamps::Uniform(stamp) => Stamps::Uniform(*stamp),
                Stamps::Each(each) => Stamps::Each(each[offset..offset + length].into()),
            },
            kinds: self.kinds.of(offset..offset + length),
        }
    }
}

/// `BooleanArray` as a predicate of SQL: only TRUE keeps a row.
trait Predicate {
    fn is_valid_and_true(&self, row: usize) -> bool;
}

impl Predicate for BooleanArray {
    fn is_valid_and_true(&self, row: usize) -> bool {
        use arrow_array::Array;
        self.is_valid(row) && self.value(row)
    }
}
