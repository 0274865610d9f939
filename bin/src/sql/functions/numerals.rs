//! Numbers as text, the way CAST reads and writes them.

use std::fmt::Write as _;

use crate::sql::arithmetic::decimals::{fits, power_of_ten};
use crate::sql::types::DECIMAL_PRECISION_MAX;

/// An integer with an optional sign. Digits behind a point are ignored, as Flink does.
pub(crate) fn parse_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_fraction = fraction.bytes().all(|byte| byte.is_ascii_digit());
    (is_fraction && whole.bytes().last()?.is_ascii_digit()).then(|| whole.parse().ok())?
}

/// A floating-point number as Java reads it: `1`, `1.5`, `.5`, `1e3`, `NaN`, `-Infinity`.
pub(crate) fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    (is_number || unsigned == "NaN" || unsigned == "Infinity").then(|| text.parse().ok())?
}

/// Unscaled value of `-12.345` or `1.5e3` as a DECIMAL(precision, scale), rounded half up; `None` if it is no number or
/// does not fit.
pub(crate) fn parse_decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let text = text.trim();
    let (is_negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Digits up to the last that counts are collected; the first beyond it decides the rounding.
    let kept = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(scale);
    let mut unscaled: i128 = 0;
    let mut is_up = false;
    let mut places = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        if places < kept {
            unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        } else if places == kept {
            is_up = digit >= b'5';
        }
        places += 1;
    }
    if places < kept && unscaled != 0 {
        let zeros = u8::try_from(kept - places).ok().filter(|zeros| *zeros <= DECIMAL_PRECISION_MAX)?;
        unscaled = unscaled.checked_mul(power_of_ten(zeros))?;
    }
    unscaled = unscaled.checked_add(i128::from(is_up))?;
    fits(unscaled, precision).then_some(if is_negative { -unscaled } else { unscaled })
}

/// A floating-point number as a DECIMAL(precision, scale), by its shortest digits, rounded half up.
pub(crate) fn decimal_from_double(value: f64, precision: u8, scale: u8) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    let mut text = String::new();
    write!(text, "{value:e}").expect("a String takes all that is written");
    parse_decimal(&text, precision, scale)
}

/// The nearest floating-point number.
pub(crate) fn double_from_decimal(unscaled: i128, scale: u8) -> f64 {
    /// Whole numbers and powers of ten up to here are exact, so one division rounds once.
    const EXACT_MAX: u128 = 1 << 53;
    const EXACT_POWER_MAX: u8 = 22;
    if unscaled.unsigned_abs() <= EXACT_MAX && scale <= EXACT_POWER_MAX {
        return unscaled as f64 / power_of_ten(scale) as f64;
    }
    format!("{unscaled}e-{scale}").parse().expect("digits and an exponent are a number")
}

/// The whole part: digits after the point are cut off.
pub(crate) fn integer_from_decimal(unscaled: i128, scale: u8) -> Option<i64> {
    i64::try_from(unscaled / power_of_ten(scale)).ok()
}

/// A double as Java writes it: `1.0`, `0.001`, `1.0E-4`, `1.2345678E7`, `NaN`, `-Infinity`.
pub(crate) fn write_double(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str(non_finite(value));
        return;
    }
    let mut text = String::new();
    write!(text, "{value:e}").expect("a String takes all that is written");
    write_java(&text, value == 0.0, out);
}

/// A float as Java writes it.
pub(crate) fn write_float(value: f32, out: &mut String) {
    if !value.is_finite() {
        out.push_str(non_finite(f64::from(value)));
        return;
    }
    let mut text = String::new();
    write!(text, "{value:e}").expect("a String takes all that is written");
    write_java(&text, value == 0.0, out);
}

fn non_finite(value: f64) -> &'static str {
    match (value.is_nan(), value > 0.0) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    }
}

/// Rewrites `-1.234e5`, the shortest digits that name the number, in Java's layout.
fn write_java(scientific: &str, is_zero: bool, out: &mut String) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa = match mantissa.strip_prefix('-') {
        Some(rest) => {
            out.push('-');
            rest
        }
        None => mantissa,
    };
    if is_zero {
        out.push_str("0.0");
        return;
    }
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !(-3..7).contains(&exponent) {
        let rest = if rest.is_empty() { "0" } else { rest };
        write!(out, "{first}.{rest}E{exponent}").expect("a String takes all that is written");
        return;
    }
    let digits = || first.chars().chain(rest.chars());
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.extend(digits());
        return;
    }
    let whole = exponent as usize + 1;
    out.extend(digits().chain(std::iter::repeat('0')).take(whole));
    out.push('.');
    if first.len() + rest.len() > whole {
        out.extend(digits().skip(whole));
    } else {
        out.push('0');
    }
}
