//! Medians, their spread, and percentiles that are left out where too few samples lie beyond them.

/// The middle of some measurements, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of the measurements are at or below it.
    pub median: f64,
    /// A quarter is at or below it.
    pub low: f64,
    /// Three quarters are at or below it.
    pub high: f64,
    /// How many there are.
    pub count: usize,
}

impl Spread {
    /// Of at least one measurement; `None` of none. Quartiles between two measurements are interpolated.
    #[must_use]
    pub fn of(measurements: &[f64]) -> Option<Self> {
        let mut sorted = measurements.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (sorted.len() - 1) as f64;
            let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        (!sorted.is_empty()).then(|| Self { median: at(0.5), low: at(0.25), high: at(0.75), count: sorted.len() })
    }
}

/// The quotients of two measurements of the same round: what disturbs a round disturbs both, and drops out.
///
/// # Panics
/// If there are not as many of one as of the other.
#[must_use]
pub fn ratios(of: &[f64], to: &[f64]) -> Vec<f64> {
    assert_eq!(of.len(), to.len(), "one of each in a round");
    of.iter().zip(to).map(|(of, to)| of / to).collect()
}

/// Samples beyond a percentile, without which it says more of chance than of what was measured.
pub const BEYOND_MIN: f64 = 10.0;

/// Durations in nanoseconds, for their percentiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    sorted: Vec<u64>,
}

impl Durations {
    /// Of these, in any order.
    #[must_use]
    pub fn new(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        Self { sorted: nanos }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The least duration that this share of all (above 0, below 1) does not exceed; `None` if fewer than
    /// [`BEYOND_MIN`] lie beyond it.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<u64> {
        let count = self.sorted.len() as f64;
        // Shares such as 0.99 have no exact double: without the slack, 1,000 samples would not do for it.
        let has_enough = count * (1.0 - share) >= BEYOND_MIN - 1e-6;
        has_enough.then(|| self.sorted[((count * share).ceil() as usize).clamp(1, self.sorted.len()) - 1])
    }

    /// The greatest, if there is any.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.sorted.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_measurements() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[3.0]), Some(Spread { median: 3.0, low: 3.0, high: 3.0, count: 1 }));
        let four = Spread::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((four.low, four.median, four.high), (1.75, 2.5, 3.25));
        let five = Spread::of(&[50.0, 10.0, 30.0, 20.0, 40.0]).unwrap();
        assert_eq!((five.low, five.median, five.high, five.count), (20.0, 30.0, 40.0, 5));
    }

    /// Two rounds at full speed, one at half: the median of the ratios does not see it, that of the rates does.
    #[test]
    fn ratios_are_taken_round_by_round() {
        let (fast, slow) = ([80.0, 40.0, 84.0], [10.0, 5.0, 10.0]);
        let ratios = ratios(&fast, &slow);
        assert_eq!(ratios, [8.0, 8.0, 8.4]);
        assert_eq!(Spread::of(&ratios).unwrap().median, 8.0);
    }

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let of = |count: u64| Durations::new((1..=count).rev().collect());
        assert_eq!(of(19).percentile(0.5), None);
        assert_eq!(of(20).percentile(0.5), Some(10));
        assert_eq!(of(999).percentile(0.99), None);
        assert_eq!(of(1_000).percentile(0.99), Some(990));
        assert_eq!(of(9_999).percentile(0.999), None);
        assert_eq!(of(10_000).percentile(0.999), Some(9_990));
        assert_eq!((of(3).max(), of(0).max(), of(0).percentile(0.5)), (Some(3), None, None));
    }
}
