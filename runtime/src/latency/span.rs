//! Runs of rows and when they were due: what travels beside rows so that their latency can be told.

use crate::Nanos;

/// Spans that a message carries at most. More are joined in pairs, which keeps the ends and the rows of both.
const SPANS_MAX: usize = 64;

/// From when on rows wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From when they were due at the source.
    Row,
    /// From when the owner's frontier passed the window, or the end of input, that they are the result of.
    Close,
}

/// A run of rows that were due one after the other, evenly from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When the first was due.
    pub first: Nanos,
    /// When the last was; not before the first.
    pub last: Nanos,
    /// How many they are.
    pub rows: u64,
    /// What they waited for.
    pub origin: Origin,
}

impl Span {
    /// Rows that were all due at once.
    #[must_use]
    pub fn at(time: Nanos, rows: u64, origin: Origin) -> Self {
        Self { first: time, last: time, rows, origin }
    }

    /// As many other rows over the same time: what these became.
    #[must_use]
    pub fn with_rows(self, rows: u64) -> Self {
        Self { rows, ..self }
    }

    /// Rows `from` to `to` of these, counted as `of` of them.
    #[must_use]
    pub fn part(self, from: u64, to: u64, of: u64) -> Self {
        let last = self.due(to.max(from + 1) - 1, of);
        Self { first: self.due(from, of), last, rows: to.saturating_sub(from), origin: self.origin }
    }

    /// When row `row` of `of` was due.
    #[must_use]
    pub fn due(self, row: u64, of: u64) -> Nanos {
        let time = self.last.0.saturating_sub(self.first.0);
        if time == 0 || of < 2 {
            return self.first;
        }
        let after = u128::from(time) * u128::from(row.min(of - 1)) / u128::from(of - 1);
        Nanos(self.first.0 + after as u64)
    }

    fn join(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            rows: self.rows + other.rows,
            origin: self.origin,
        }
    }
}

/// Several spans, in the order in which they came; never more than a few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Adds one. The last two are joined with their neighbours when there are too many: rows are never lost, and which of
    /// them was due when is then told evenly over both.
    pub fn push(&mut self, span: Span) {
        if span.rows == 0 {
            return;
        }
        if self.0.len() >= SPANS_MAX {
            let joined = self.0.chunks(2).map(|pair| pair[1..].iter().fold(pair[0], |left, right| left.join(*right)));
            self.0 = joined.collect();
        }
        self.0.push(span);
    }

    /// All of another.
    pub fn extend(&mut self, other: Self) {
        other.0.into_iter().for_each(|span| self.push(span));
    }

    /// The spans.
    pub fn iter(&self) -> impl Iterator<Item = Span> + '_ {
        self.0.iter().copied()
    }

    /// All as one; `None` if there are none.
    #[must_use]
    pub fn joined(&self) -> Option<Span> {
        self.0.iter().copied().reduce(Span::join)
    }

    /// Rows in all.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.0.iter().map(|span| span.rows).sum()
    }

    /// Nothing is in them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The share that goes with parts `from` to `to` of `of` in all: of each span as many rows. The shares of all parts
    /// together are all rows.
    #[must_use]
    pub fn share(&self, from: u64, to: u64, of: u64) -> Self {
        let mut share = Self::default();
        for span in &self.0 {
            let cut = |part: u64| (u128::from(span.rows) * u128::from(part) / u128::from(of.max(1))) as u64;
            share.push(span.with_rows(cut(to) - cut(from)));
        }
        share
    }
}

#[cfg(all(test, not(thalweg_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_are_due_evenly_and_parts_keep_their_times() {
        let span = Span { first: Nanos(100), last: Nanos(190), rows: 10, origin: Origin::Row };
        let due: Vec<u64> = (0..10).map(|row| span.due(row, 10).0).collect();
        assert_eq!(due, [100, 110, 120, 130, 140, 150, 160, 170, 180, 190]);
        assert_eq!(span.part(3, 5, 10), Span { first: Nanos(130), last: Nanos(140), rows: 2, origin: Origin::Row });
        assert_eq!(span.part(9, 10, 10).rows, 1);
        assert_eq!(span.part(4, 4, 10).rows, 0);
    }

    proptest! {
        #[test]
        fn joined_spans_keep_all_rows_and_both_ends(spans in prop::collection::vec((0..1_000u64, 0..100u64, 1..9u64), 1..500)) {
            let mut all = Spans::default();
            for &(first, length, rows) in &spans {
                all.push(Span { first: Nanos(first), last: Nanos(first + length), rows, origin: Origin::Row });
            }
            prop_assert!(all.iter().count() <= SPANS_MAX);
            prop_assert_eq!(all.rows(), spans.iter().map(|span| span.2).sum::<u64>());
            prop_assert_eq!(all.iter().map(|span| span.first.0).min(), spans.iter().map(|span| span.0).min());
            prop_assert_eq!(all.iter().map(|span| span.last.0).max(), spans.iter().map(|span| span.0 + span.1).max());
        }

        #[test]
        fn shares_add_up(rows in prop::collection::vec(1..1_000u64, 1..20), parts in prop::collection::vec(0..50u64, 1..9)) {
            let mut all = Spans::default();
            rows.iter().for_each(|&rows| all.push(Span::at(Nanos(1), rows, Origin::Row)));
            let of: u64 = parts.iter().sum();
            prop_assume!(of > 0);
            let mut from = 0;
            let mut shared = 0;
            for part in parts {
                shared += all.share(from, from + part, of).rows();
                from += part;
            }
            prop_assert_eq!(shared, all.rows());
        }
    }
}
