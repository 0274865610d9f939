//! The least and the greatest of many numbers.
#![allow(unsafe_code)] // Eight at once: the instructions that every processor has compare no integers of 64 bits side by side.

use crate::kernels::{Kernels, Level};

/// Numbers that are compared side by side: each lane waits only for itself.
const LANES: usize = 16;

/// The least and the greatest of `values`; of none, the greatest and the least number that there is. Cost: one pass.
#[must_use]
pub fn extent(values: &[i64], kernels: Kernels) -> (i64, i64) {
    match kernels.level() {
        Level::Scalar => in_lanes(values),
        // SAFETY: the level says that the processor has the instructions.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(_) => unsafe { avx2(values) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => unsafe { avx512(values) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn avx2(values: &[i64]) -> (i64, i64) {
    in_lanes(values)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn avx512(values: &[i64]) -> (i64, i64) {
    in_lanes(values)
}

#[inline(always)]
fn in_lanes(values: &[i64]) -> (i64, i64) {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let (mut least, mut greatest) = ([i64::MAX; LANES], [i64::MIN; LANES]);
    for chunk in chunks {
        for lane in 0..LANES {
            least[lane] = least[lane].min(chunk[lane]);
            greatest[lane] = greatest[lane].max(chunk[lane]);
        }
    }
    let least = least.iter().chain(rest).fold(i64::MAX, |least, &value| least.min(value));
    (least, greatest.iter().chain(rest).fold(i64::MIN, |greatest, &value| greatest.max(value)))
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
            for kernels in Kernels::ALL {
                prop_assert_eq!(extent(&values, kernels), (least, greatest), "{}", kernels);
            }
        }
    }
}
