//! The least and the greatest of many numbers.

/// Numbers that are compared side by side: each lane waits only for itself.
const LANES: usize = 8;

/// The least and the greatest of `values`; of none, the greatest and the least number that there is. Cost: one pass.
#[must_use]
pub fn extent(values: &[i64]) -> (i64, i64) {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let (mut least, mut greatest) = ([i64::MAX; LANES], [i64::MIN; LANES]);
    for chunk in chunks {
        for lane in 0..LANES {
            least[lane] = least[lane].min(chunk[lane]);
            greatest[lane] = greatest[lane].max(chunk[lane]);
        }
    }
    let all = |lanes: [i64; LANES]| lanes.into_iter().chain(rest.iter().copied());
    (all(least).fold(i64::MAX, i64::min), all(greatest).fold(i64::MIN, i64::max))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_extent_is_that_of_one_after_the_other(values in proptest::collection::vec(any::<i64>(), 0..70)) {
            let least = values.iter().copied().min().unwrap_or(i64::MAX);
            let greatest = values.iter().copied().max().unwrap_or(i64::MIN);
            prop_assert_eq!(extent(&values), (least, greatest));
        }
    }
}
