//! Sums of floating-point numbers that may be taken back.
//!
//! They are kept in two `f64`, the second of which is what rounding the first leaves out, so that a large number that comes
//! and goes takes digits of the small ones beside it along only if it is some 10^15 times as large (for the sum of squares,
//! 10^8 times). The products are exact by a fused multiplication. Numbers that are not finite are counted: they can be taken back, too.

/// Words of a sum: the result, the sum and its rest, how many NaN, how many infinities of each sign.
pub(super) const SUM_WORDS: usize = 6;
/// Words of moments: number of values, their sum and its rest, the result (the sum of the squared distances to the mean), the
/// sum of their squares and its rest, how many are not finite. Number and result are at the places that
/// [`moments`](super::moments) have them.
pub(super) const MOMENT_WORDS: usize = 7;

/// Adds a value to a sum, or takes it back.
pub(super) fn change_sum(state: &mut [u64; SUM_WORDS], value: f64, is_back: bool) {
    if value.is_finite() {
        let sum = add(pair(state, 1), if is_back { -value } else { value });
        put(state, 1, sum);
    } else {
        let of = if value.is_nan() { 3 } else { 4 + usize::from(value < 0.0) };
        count(&mut state[of], is_back);
    }
    let [_, sum, _, nans, ups, downs] = *state;
    state[0] = match (nans, ups, downs) {
        (0, 0, 0) => sum,
        (0, _, 0) => f64::INFINITY.to_bits(),
        (0, 0, _) => f64::NEG_INFINITY.to_bits(),
        _ => f64::NAN.to_bits(),
    };
}

/// Adds a value to moments, or takes it back.
pub(super) fn change_moments(state: &mut [u64; MOMENT_WORDS], value: f64, is_back: bool) {
    count(&mut state[0], is_back);
    let square = value * value;
    if square.is_finite() {
        let sign = if is_back { -1.0 } else { 1.0 };
        let sum = add(pair(state, 1), sign * value);
        put(state, 1, sum);
        let squares = add(add(pair(state, 4), sign * square), sign * value.mul_add(value, -square));
        put(state, 4, squares);
    } else {
        count(&mut state[6], is_back);
    }
    let (sum, squares, values) = (pair(state, 1), pair(state, 4), state[0] as f64);
    let result = match (state[0], state[6]) {
        (_, 1..) => f64::NAN,
        (0 | 1, _) => 0.0,
        _ => {
            // Σx² − (Σx)² / n, in pairs.
            let high = sum.0 * sum.0;
            let low = sum.0.mul_add(sum.0, -high) + 2.0 * sum.0 * sum.1;
            let quotient = high / values;
            let rest = ((-quotient).mul_add(values, high) + low) / values;
            let distances = add(add(squares, -quotient), -rest);
            distances.0.max(0.0)
        }
    };
    state[3] = result.to_bits();
}

fn count(word: &mut u64, is_back: bool) {
    *word = if is_back { word.wrapping_sub(1) } else { word.wrapping_add(1) };
}

fn pair(state: &[u64], at: usize) -> (f64, f64) {
    (f64::from_bits(state[at]), f64::from_bits(state[at + 1]))
}

fn put(state: &mut [u64], at: usize, (sum, rest): (f64, f64)) {
    state[at] = sum.to_bits();
    state[at + 1] = rest.to_bits();
}

/// The sum and what rounding it leaves out: Knuth's two-sum, then made small again. Where it is too large for a number it is
/// infinite, and its rest is nothing.
fn add((sum, rest): (f64, f64), value: f64) -> (f64, f64) {
    let (total, error) = two_sum(sum, value);
    let (total, rest) = two_sum(total, error + rest);
    if rest.is_finite() { (total, rest) } else { (sum + value, 0.0) }
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_taken = sum - a;
    (sum, (a - (sum - b_taken)) + (b - b_taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_back_leaves_nothing() {
        let mut sum = [0; SUM_WORDS];
        let mut moments = [0; MOMENT_WORDS];
        let steps = [0.1, 1e9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.3, -7.5e9];
        for value in steps {
            change_sum(&mut sum, value, false);
            change_moments(&mut moments, value, false);
        }
        assert!(f64::from_bits(sum[0]).is_nan() && f64::from_bits(moments[3]).is_nan());
        for value in [f64::NAN, 1e9, f64::NEG_INFINITY, -7.5e9] {
            change_sum(&mut sum, value, true);
            change_moments(&mut moments, value, true);
        }
        assert_eq!(f64::from_bits(sum[0]), f64::INFINITY);
        change_sum(&mut sum, f64::INFINITY, true);
        change_moments(&mut moments, f64::INFINITY, true);
        assert_eq!(f64::from_bits(sum[0]), 0.4);
        let distances = f64::from_bits(moments[3]);
        assert_eq!(moments[0], 2);
        assert!((distances - 0.02).abs() < 1e-3, "{distances}");
    }
}
