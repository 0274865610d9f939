//! A batch: columns of equal length, each row's place in its source, and the watermark at that place.

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::{filter::filter_record_batch, take::take_record_batch};
use thalweg_runtime::EventTimeMs;

/// A row's place in the order of its input, the same for any number of workers and any batch size.
/// For rows of a source: `chain << 96 | block << 32 | row in the block`; rows of a closed window get theirs from the
/// window's end and the group's hash. Order-sensitive aggregates and ties in sorting go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ordinal(pub u128);

/// The ordinals of a batch's rows.
#[derive(Clone, Debug)]
pub enum Ordinals {
    /// Row *i* has the first ordinal + *i*.
    Run(Ordinal),
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
}

impl Ordinals {
    /// The ordinal of row `row`.
    #[must_use]
    pub fn get(&self, row: usize) -> Ordinal {
        match self {
            Self::Run(first) => Ordinal(first.0 + row as u128),
            Self::Each(each) => each[row],
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
        Self { columns, ordinals: self.ordinals.clone(), stamps: self.stamps.clone() }
    }

    /// The rows for which `keep` is true; NULL counts as false.
    ///
    /// # Errors
    /// If Arrow refuses: lengths that differ, a bug of the caller.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        let rows = || (0..keep.len()).filter(|&row| keep.is_valid_and_true(row));
        Ok(Self {
            columns: filter_record_batch(&self.columns, keep)?,
            ordinals: Ordinals::Each(rows().map(|row| self.ordinals.get(row)).collect()),
            stamps: match &self.stamps {
                Stamps::Uniform(stamp) => Stamps::Uniform(*stamp),
                Stamps::Each(each) => Stamps::Each(rows().map(|row| each[row]).collect()),
            },
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
            ordinals: Ordinals::Each(index().map(|row| self.ordinals.get(row)).collect()),
            stamps: match &self.stamps {
                Stamps::Uniform(stamp) => Stamps::Uniform(*stamp),
                Stamps::Each(each) => Stamps::Each(index().map(|row| each[row]).collect()),
            },
        })
    }

    /// `length` rows from `offset` on, without a copy of the columns.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self {
            columns: self.columns.slice(offset, length),
            ordinals: match &self.ordinals {
                Ordinals::Run(first) => Ordinals::Run(Ordinal(first.0 + offset as u128)),
                Ordinals::Each(each) => Ordinals::Each(each[offset..offset + length].into()),
            },
            stamps: match &self.stamps {
                Stamps::Uniform(stamp) => Stamps::Uniform(*stamp),
                Stamps::Each(each) => Stamps::Each(each[offset..offset + length].into()),
            },
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
