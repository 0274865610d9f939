//! Exact sums and quotients of decimals, and whether they fit a declared precision.

use arrow_buffer::i256;

/// The most digits that a DECIMAL has.
const PRECISION_MAX: u8 = 38;

/// `value`, if it has at most `precision` digits.
pub(super) fn fit(value: i128, precision: u8) -> Option<i128> {
    let bound = 10i128.pow(u32::from(precision.min(PRECISION_MAX)));
    (-bound < value && value < bound).then_some(value)
}

/// What a wrapped sum and its carries stand for: `carries × 2^128 + sum`.
pub(super) fn unwrap_sum(sum: i128, carries: u64) -> i256 {
    i256::from_parts(sum as u128, i128::from(carries as i64) + (sum >> 127))
}

/// `sum ÷ count` with `more_digits` more digits behind the point than `sum` has; halves are rounded away from zero.
pub(super) fn average(sum: i256, count: u64, more_digits: u32) -> Option<i128> {
    let count = i256::from_i128(count.into());
    let sum = sum.checked_mul(i256::from_i128(10).checked_pow(more_digits)?)?;
    let (quotient, rest) = (sum.checked_div(count)?, sum.checked_rem(count)?.wrapping_abs());
    let away = if sum.is_negative() { i256::MINUS_ONE } else { i256::ONE };
    let is_half_or_more = rest.wrapping_add(rest) >= count;
    if is_half_or_more { quotient.checked_add(away)?.to_i128() } else { quotient.to_i128() }
}

/// The unscaled DECIMAL next to `value`, if it has at most `precision` digits.
pub(super) fn from_f64(value: f64, precision: u8, scale: i8) -> Option<i128> {
    let unscaled = (value * 10f64.powi(scale.into())).round();
    // The cast saturates, far beyond 38 digits; NaN would become 0.
    if unscaled.is_nan() { None } else { fit(unscaled as i128, precision) }
}
