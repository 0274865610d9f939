//! DECIMAL: precision and scale of results, and exact arithmetic on `i128` with `i256` where that is too narrow.
//!
//! Rules of precision are Flink's (after SQL Server's, with Hive's way of giving up digits after the point when a result
//! would have more than 38): `LogicalTypeMerging` in Flink's sources.

use arrow_array::ArrayRef;
use arrow_array::types::Decimal128Type;
use arrow_buffer::i256;

use super::super::functions::binding::Value;
use super::super::functions::columns::{all_null, has_null_scalar, natives, nulls_of, primitive, try_rows};
use super::Operation;
use crate::sql::types::{DECIMAL_PRECISION_MAX, FlinkType};

/// Digits after the point that a result keeps even when it has to give up some.
const SCALE_KEPT_MIN: i32 = 6;

/// Type of `l operation r`, from precision and scale of both.
pub(crate) fn result_type(operation: Operation, left: (u8, u8), right: (u8, u8)) -> FlinkType {
    let ((p1, s1), (p2, s2)) = ((i32::from(left.0), i32::from(left.1)), (i32::from(right.0), i32::from(right.1)));
    let (precision, scale) = match operation {
        Operation::Add | Operation::Subtract => {
            let scale = s1.max(s2);
            ((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Operation::Multiply => (p1 + p2 + 1, s1 + s2),
        Operation::Divide => {
            let scale = SCALE_KEPT_MIN.max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        Operation::Remainder if s1 == 0 && s2 == 0 => (p2, 0),
        Operation::Remainder => {
            let scale = s1.max(s2);
            ((p1 - s1).min(p2 - s2) + scale, scale)
        }
    };
    adjusted(precision, scale)
}

/// At most 38 digits: digits after the point are given up first, but not below 6 of them.
fn adjusted(precision: i32, scale: i32) -> FlinkType {
    let max = i32::from(DECIMAL_PRECISION_MAX);
    if precision <= max {
        return FlinkType::Decimal(precision as u8, scale as u8);
    }
    let scale = (max - (precision - scale)).max(scale.min(SCALE_KEPT_MIN));
    FlinkType::Decimal(DECIMAL_PRECISION_MAX, scale as u8)
}

/// The type that holds the values of both.
pub(crate) fn common_type(left: (u8, u8), right: (u8, u8)) -> FlinkType {
    let whole = (left.0 - left.1).max(right.0 - right.1).min(DECIMAL_PRECISION_MAX);
    let scale = left.1.max(right.1).min(DECIMAL_PRECISION_MAX - whole);
    FlinkType::Decimal(whole + scale, scale)
}

/// 10 to the power of `digits`, at most 38.
pub(crate) fn power_of_ten(digits: u8) -> i128 {
    10_i128.pow(u32::from(digits.min(DECIMAL_PRECISION_MAX)))
}

/// Whether a DECIMAL of this precision can hold the unscaled value.
pub(crate) fn fits(unscaled: i128, precision: u8) -> bool {
    unscaled.unsigned_abs() < power_of_ten(precision).unsigned_abs()
}

/// `dividend / divisor` to the nearest whole number, halves away from zero. The divisor is not 0.
pub(crate) fn divide_half_up(dividend: i128, divisor: i128) -> i128 {
    let quotient = dividend / divisor;
    let remainder = (dividend % divisor).unsigned_abs();
    let away = remainder >= divisor.unsigned_abs() - remainder;
    if !away {
        quotient
    } else if (dividend < 0) == (divisor < 0) {
        quotient + 1
    } else {
        quotient - 1
    }
}

/// The value with another scale, halves away from zero; `None` where it leaves `i128`.
pub(crate) fn rescale(unscaled: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        unscaled.checked_mul(power_of_ten(to - from))
    } else if from - to > DECIMAL_PRECISION_MAX {
        // A product may lose more digits than an `i128` has: less than half of one is left.
        Some(0)
    } else {
        Some(divide_half_up(unscaled, power_of_ten(from - to)))
    }
}

/// As text: `-12.340`.
pub(crate) fn write_decimal(unscaled: i128, scale: u8, out: &mut String) {
    use std::fmt::Write as _;
    let digits = unscaled.unsigned_abs();
    let unit = power_of_ten(scale).unsigned_abs();
    if unscaled < 0 {
        out.push('-');
    }
    let written = match scale {
        0 => write!(out, "{digits}"),
        _ => write!(out, "{}.{:0width$}", digits / unit, digits % unit, width = usize::from(scale)),
    };
    written.expect("a String takes all that is written");
}

/// `l operation r` on DECIMAL columns of the given precisions and scales, rounded half up to the result's scale.
///
/// # Errors
/// Division by zero, and results with more digits than 38.
pub(crate) fn compute(
    operation: Operation,
    left: (u8, u8),
    right: (u8, u8),
    arguments: &[Value],
    rows: usize,
) -> Result<ArrayRef, String> {
    let result = result_type(operation, left, right);
    let FlinkType::Decimal(precision, scale) = result else { unreachable!("arithmetic on DECIMAL gives DECIMAL") };
    if has_null_scalar(arguments) {
        return Ok(all_null(result, rows));
    }
    let nulls = nulls_of(arguments, rows);
    let (lefts, rights) = (natives::<Decimal128Type>(&arguments[0]), natives::<Decimal128Type>(&arguments[1]));
    let (left_stride, right_stride) = (arguments[0].stride(), arguments[1].stride());
    let pair = |row: usize| (lefts[row * left_stride], rights[row * right_stride]);
    // No operand reaches 10^p, so neither does a product reach 10^(p1 + p2): below 38 digits nothing need be checked.
    if operation == Operation::Multiply && left.0 + right.0 <= DECIMAL_PRECISION_MAX && scale == left.1 + right.1 {
        let product = |row| {
            let (l, r): (i128, i128) = pair(row);
            l.wrapping_mul(r)
        };
        return Ok(primitive::<Decimal128Type>((0..rows).map(product).collect(), nulls, result));
    }
    let values = try_rows(rows, nulls.as_ref(), |row| {
        let (l, r) = pair(row);
        let value = match operation {
            Operation::Add => add(l, r, left.1, right.1, scale),
            Operation::Subtract => add(l, -r, left.1, right.1, scale),
            Operation::Multiply => multiply(l, r, left.1 + right.1, scale),
            Operation::Divide | Operation::Remainder if r == 0 => return Err("division by zero".to_owned()),
            Operation::Divide => divide(l, r, i32::from(scale) + i32::from(right.1) - i32::from(left.1)),
            Operation::Remainder => remainder(l, r, left.1, right.1, scale),
        };
        value.filter(|value| fits(*value, precision)).ok_or_else(|| {
            let mut text = String::new();
            write_decimal(l, left.1, &mut text);
            text.push_str(operation.spaced());
            write_decimal(r, right.1, &mut text);
            format!("{text} does not fit {result}")
        })
    })?;
    Ok(primitive::<Decimal128Type>(values, nulls, result))
}

fn add(l: i128, r: i128, left_scale: u8, right_scale: u8, scale: u8) -> Option<i128> {
    let common = left_scale.max(right_scale);
    if scale == common
        && let (Some(l), Some(r)) = (rescale(l, left_scale, common), rescale(r, right_scale, common))
        && let Some(sum) = l.checked_add(r)
    {
        return Some(sum);
    }
    let widened = |value: i128, from: u8| i256::from_i128(value).checked_mul(wide_power_of_ten(common - from));
    narrowed(widened(l, left_scale)?.checked_add(widened(r, right_scale)?)?, common - scale)
}

fn multiply(l: i128, r: i128, product_scale: u8, scale: u8) -> Option<i128> {
    match l.checked_mul(r) {
        Some(product) => rescale(product, product_scale, scale),
        None => narrowed(i256::from_i128(l).checked_mul(i256::from_i128(r))?, product_scale - scale),
    }
}

/// `l × 10^shift / r`, to the nearest.
fn divide(l: i128, r: i128, shift: i32) -> Option<i128> {
    // A result of more than 38 digits gives up digits after the point, so that the shift can be negative.
    if shift < 0 {
        let divisor = i256::from_i128(r).checked_mul(wide_power_of_ten(shift.unsigned_abs() as u8))?;
        return divide_wide_half_up(i256::from_i128(l), divisor)?.to_i128();
    }
    let shift = shift as u8;
    if shift <= DECIMAL_PRECISION_MAX
        && let Some(dividend) = l.checked_mul(power_of_ten(shift))
    {
        return Some(divide_half_up(dividend, r));
    }
    let dividend = i256::from_i128(l).checked_mul(wide_power_of_ten(shift))?;
    divide_wide_half_up(dividend, i256::from_i128(r))?.to_i128()
}

fn remainder(l: i128, r: i128, left_scale: u8, right_scale: u8, scale: u8) -> Option<i128> {
    let common = left_scale.max(right_scale);
    let widened = |value: i128, from: u8| i256::from_i128(value).checked_mul(wide_power_of_ten(common - from));
    match (rescale(l, left_scale, common), rescale(r, right_scale, common)) {
        // The remainder by −1 is 0; computing it overflows for the least `i128`.
        (Some(l), Some(r)) => rescale(l.wrapping_rem(r), common, scale),
        _ => narrowed(widened(l, left_scale)?.checked_rem(widened(r, right_scale)?)?, common - scale),
    }
}

fn wide_power_of_ten(digits: u8) -> i256 {
    i256::from_i128(10).wrapping_pow(u32::from(digits))
}

/// Without the last `digits` digits, to the nearest; `None` where it leaves `i128`.
fn narrowed(value: i256, digits: u8) -> Option<i128> {
    match digits {
        0 => value.to_i128(),
        _ => divide_wide_half_up(value, wide_power_of_ten(digits))?.to_i128(),
    }
}

fn divide_wide_half_up(dividend: i256, divisor: i256) -> Option<i256> {
    let quotient = dividend.checked_div(divisor)?;
    let remainder = dividend.checked_rem(divisor)?.wrapping_abs();
    let is_away = remainder >= divisor.wrapping_abs().checked_sub(remainder)?;
    match (is_away, dividend.is_negative() == divisor.is_negative()) {
        (false, _) => Some(quotient),
        (true, true) => quotient.checked_add(i256::ONE),
        (true, false) => quotient.checked_sub(i256::ONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_digits_may_go_than_an_i128_has() {
        let almost = power_of_ten(38) - 1;
        assert_eq!(rescale(6 * power_of_ten(37), 44, 6), Some(1));
        assert_eq!(rescale(6 * power_of_ten(37), 45, 6), Some(0));
        assert_eq!(rescale(-almost, 76, 6), Some(0));
        assert_eq!(multiply(1, almost, 45, 6), Some(0));
    }
}
