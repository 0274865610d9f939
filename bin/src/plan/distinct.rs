//! How many distinct keys there may be, judged by the first rows.

use std::fmt;

use crate::report::number::grouped;

/// Distinct keys of an aggregation, as far as its first rows tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEstimate {
    /// Rows that were looked at.
    pub rows: u64,
    /// Distinct keys among them.
    pub seen: u64,
    /// Distinct keys of the whole input, estimated; at least `seen`.
    pub keys: u64,
}

impl KeyEstimate {
    /// From how often each key was seen in the first rows. `rows_max`: rows of the whole input, if that is about known;
    /// there are no more keys than rows, and none unseen if these are all.
    ///
    /// The estimate is the Chao1 estimator in its bias-corrected form, `d + f1 (f1 - 1) / (2 (f2 + 1))`: of `d` keys that
    /// were seen, `f1` were seen once and `f2` twice. Where few keys were seen only once, few are left to be seen; where
    /// nearly all were, there are many more. A. Chao, "Nonparametric estimation of the number of classes in a
    /// population", Scandinavian Journal of Statistics 11 (1984), 265-270; the corrected form is that of EstimateS.
    /// It takes the first rows for a fair sample: keys that only come later in a sorted input are not foreseen.
    #[must_use]
    pub fn of_counts(counts: impl IntoIterator<Item = u64>, rows_max: Option<u64>) -> Self {
        let (mut rows, mut seen, mut once, mut twice) = (0_u64, 0_u64, 0_u128, 0_u128);
        for count in counts {
            rows += count;
            seen += 1;
            once += u128::from(count == 1);
            twice += u128::from(count == 2);
        }
        let unseen = once * once.saturating_sub(1) / (2 * (twice + 1));
        let unseen = if rows_max == Some(rows) { 0 } else { u64::try_from(unseen).unwrap_or(u64::MAX) };
        let keys = seen.saturating_add(unseen);
        Self { rows, seen, keys: keys.min(rows_max.unwrap_or(u64::MAX)).max(seen) }
    }
}

impl fmt::Display for KeyEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, seen, keys } = self;
        let s = if *keys == 1 { "" } else { "s" };
        write!(f, "about {} key{s} ({} in the first {} rows)", grouped(*keys), grouped(*seen), grouped(*rows))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    fn estimate(rows: u64, rows_max: Option<u64>, mut key: impl FnMut() -> u64) -> KeyEstimate {
        let mut counts = BTreeMap::new();
        (0..rows).for_each(|_| *counts.entry(key()).or_default() += 1);
        KeyEstimate::of_counts(counts.into_values(), rows_max)
    }

    #[test]
    fn uniform_keys_are_estimated_within_a_tenth_even_where_most_were_not_seen() {
        let mut random = StdRng::seed_from_u64(1);
        for keys in [1, 200, 10_000, 100_000, 300_000] {
            let estimate = estimate(65_536, None, || random.random_range(0..keys));
            let off = (estimate.keys as f64 / keys as f64 - 1.0).abs();
            assert!(off < 0.1, "{keys} keys: {estimate}");
        }
    }

    #[test]
    fn keys_that_never_come_back_are_as_many_as_the_rows() {
        let mut next = 0;
        let mut unique = || {
            next += 1;
            next
        };
        assert_eq!(estimate(1_000, Some(7_000), &mut unique).keys, 7_000);
        assert!(estimate(1_000, None, &mut unique).keys > 100_000);
    }

    #[test]
    fn an_input_that_was_seen_to_its_end_is_known() {
        assert_eq!(KeyEstimate::of_counts([1, 1, 1, 5], Some(8)).keys, 4);
        assert!(KeyEstimate::of_counts([1, 1, 1, 5], Some(9)).keys > 4);
    }

    #[test]
    fn nothing_seen_is_nothing_estimated() {
        let none = KeyEstimate::of_counts([], Some(10));
        assert_eq!(none, KeyEstimate { rows: 0, seen: 0, keys: 0 });
    }
}
