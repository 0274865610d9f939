//! Seeded random numbers whose sequence never changes: generated data is the same for ever.
//!
//! SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): a counter and a mixing
//! function, so that a stream for any (seed, stream number) is found without running through the others.

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// The stream for `seed` and the numbers of `path`, such as column and block: other numbers, another stream.
    #[must_use]
    pub fn new(seed: u64, path: &[u64]) -> Self {
        path.iter().fold(Self { state: mix(seed ^ GOLDEN_GAMMA) }, |random, &step| random.branch(step))
    }

    /// The stream with `step` behind the path of this one, if nothing was drawn from it.
    #[must_use]
    pub fn branch(&self, step: u64) -> Self {
        Self { state: mix(self.state.wrapping_add(GOLDEN_GAMMA) ^ step.wrapping_mul(0xD6E8_FEB8_6659_FD93)) }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number below `bound`, which must not be 0; uneven by less than `bound` ÷ 2⁶⁴.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `least` to `greatest`, both included; `least` must not be above `greatest`.
    pub fn between(&mut self, least: i64, greatest: i64) -> i64 {
        let span = greatest.wrapping_sub(least) as u64;
        let drawn = if span == u64::MAX { self.bits() } else { self.below(span + 1) };
        least.wrapping_add(drawn as i64)
    }

    /// A number in [0, 1) with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal around 0 in units of 1/65,536 of the standard deviation: the sum of twelve uniform numbers. Integers only, so
    /// that every processor draws the same.
    pub fn normal_16(&mut self) -> i64 {
        let mut sum = 0;
        for _ in 0..3 {
            let bits = self.bits();
            sum += (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
        }
        sum as i64 - 6 * 65_536 + 6
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_never_changes() {
        let mut random = Random::new(42, &[1, 2]);
        let drawn: Vec<u64> = (0..3).map(|_| random.below(1_000_000)).collect();
        assert_eq!(drawn, [739_717, 946_131, 6_817]);
        assert_ne!(drawn[0], Random::new(42, &[2, 1]).below(1_000_000));
    }

    #[test]
    fn bounds_hold_at_the_extremes() {
        let mut random = Random::new(1, &[]);
        for _ in 0..1_000 {
            assert!((-3..=3).contains(&random.between(-3, 3)));
            assert_eq!(random.between(7, 7), 7);
            random.between(i64::MIN, i64::MAX);
            assert!((0.0..1.0).contains(&random.unit()));
        }
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = Random::new(9, &[]);
        let drawn: Vec<f64> = (0..100_000).map(|_| random.normal_16() as f64 / 65_536.0).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }
}
