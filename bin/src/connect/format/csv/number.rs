//! Numbers from text: eight digits at a time where the text is plain, digit by digit where it is not.
//!
//! All functions take a buffer and a range in it, and read up to 16 bytes in front of the range's end if they are there:
//! a block's padding sees to that.

/// Each power of ten that an `f64` holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

const ZEROS: u64 = 0x3030_3030_3030_3030;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// What is wrong with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadNumber {
    /// Not a number.
    Malformed,
    /// A number beyond the type.
    OutOfRange,
}

/// An integer: sign and digits, nothing else.
///
/// # Errors
/// If it is not one, or does not fit 64 bits.
#[inline]
pub fn integer(bytes: &[u8], start: usize, end: usize) -> Result<i64, BadNumber> {
    let is_negative = start < end && bytes[start] == b'-';
    if let Some(magnitude) = digits(bytes, start + usize::from(is_negative), end) {
        // At most 16 digits: fits.
        let magnitude = magnitude.cast_signed();
        return Ok(if is_negative { -magnitude } else { magnitude });
    }
    integer_slowly(&bytes[start..end])
}

/// 1 to 16 digits and nothing else.
#[inline]
pub fn digits(bytes: &[u8], start: usize, end: usize) -> Option<u64> {
    match end.wrapping_sub(start) {
        length @ 1..=8 => {
            let low = load(bytes, end.checked_sub(8)?)? ^ ZEROS;
            let low = low & (u64::MAX << (64 - 8 * length));
            is_digits(low).then(|| value(low))
        }
        length @ 9..=16 => {
            let high = load(bytes, end.checked_sub(16)?)? ^ ZEROS;
            let high = high & (u64::MAX << (128 - 8 * length));
            let low = load(bytes, end - 8)? ^ ZEROS;
            (is_digits(high) && is_digits(low)).then(|| value(high) * 100_000_000 + value(low))
        }
        _ => None,
    }
}

#[inline]
fn load(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?))
}

/// Whether each byte, a character xor `'0'`, is 0 to 9.
#[inline]
fn is_digits(word: u64) -> bool {
    (word.wrapping_add(0x7676_7676_7676_7676) | word) & HIGH_BITS == 0
}

/// The number of eight digits, the first in the lowest byte.
#[inline]
fn value(word: u64) -> u64 {
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let upper = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let lower = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    upper.wrapping_add(lower) >> 32
}

#[cold]
fn integer_slowly(text: &[u8]) -> Result<i64, BadNumber> {
    let (is_negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BadNumber::Malformed);
    }
    let mut number = 0_i64;
    for digit in digits {
        let digit = i64::from(digit - b'0');
        let next = number
            .checked_mul(10)
            .and_then(|tens| if is_negative { tens.checked_sub(digit) } else { tens.checked_add(digit) });
        number = next.ok_or(BadNumber::OutOfRange)?;
    }
    Ok(number)
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// Up to 15 digits with at most one point among them, as (all digits, how many follow the point). No sign.
#[inline]
pub fn scaled(bytes: &[u8], start: usize, end: usize) -> Option<(u64, usize)> {
    let length = end.wrapping_sub(start);
    if length == 0 || length > 8 {
        return scaled_slowly(bytes.get(start..end)?);
    }
    let word = load(bytes, end.checked_sub(8)?)? ^ ZEROS;
    let word = word & (u64::MAX << (64 - 8 * length));
    // A point is 0x1E here. The lowest bit set marks the first one exactly; those above it may be false.
    let points = word ^ 0x1E1E_1E1E_1E1E_1E1E;
    let found = points.wrapping_sub(0x0101_0101_0101_0101) & !points & HIGH_BITS;
    if found == 0 {
        return is_digits(word).then(|| (value(word), 0));
    }
    if length == 1 {
        return None;
    }
    let point = found.trailing_zeros() as usize / 8;
    // The digits before the point move up by one byte and cover it.
    let before = (1_u64 << (8 * point)) - 1;
    let joined = ((word & before) << 8) | (word & !before & !(0xFF << (8 * point)));
    is_digits(joined).then(|| (value(joined), 7 - point))
}

fn scaled_slowly(text: &[u8]) -> Option<(u64, usize)> {
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    let (mut number, mut digits, mut point) = (0_u64, 0, None);
    for (position, &byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            number = number * 10 + u64::from(digit);
            digits += 1;
        } else if byte == b'.' && point.is_none() {
            point = Some(text.len() - 1 - position);
        } else {
            return None;
        }
    }
    (1..=15).contains(&digits).then_some((number, point.unwrap_or(0)))
}

/// A DOUBLE, correctly rounded. Also `NaN`, `Infinity` and `-Infinity`.
///
/// # Errors
/// If it is not one, or its magnitude is too large.
#[inline]
pub fn double(bytes: &[u8], start: usize, end: usize) -> Result<f64, BadNumber> {
    let is_negative = start < end && bytes[start] == b'-';
    if let Some((number, fraction_digits)) = scaled(bytes, start + usize::from(is_negative), end) {
        // Both are exact (at most 15 digits, below 2^53), so their quotient is rounded once: correctly.
        let magnitude = number as f64 / EXACT_POWERS[fraction_digits];
        return Ok(if is_negative { -magnitude } else { magnitude });
    }
    let number: f64 = lexical_core::parse(&bytes[start..end]).map_err(|_| BadNumber::Malformed)?;
    if number.is_infinite() { infinity(&bytes[start..end], number) } else { Ok(number) }
}

/// The number, if `text` says infinity and not a number that is too large.
#[cold]
fn infinity<T>(text: &[u8], number: T) -> Result<T, BadNumber> {
    if text.iter().any(u8::is_ascii_digit) { Err(BadNumber::OutOfRange) } else { Ok(number) }
}

/// A FLOAT, correctly rounded; otherwise like [`double`].
///
/// # Errors
/// If it is not one, or its magnitude is too large.
pub fn float(bytes: &[u8], start: usize, end: usize) -> Result<f32, BadNumber> {
    let number: f32 = lexical_core::parse(&bytes[start..end]).map_err(|_| BadNumber::Malformed)?;
    if number.is_infinite() { infinity(&bytes[start..end], number) } else { Ok(number) }
}

/// A DECIMAL(precision, scale) as its unscaled number. Digits beyond the scale are rounded half up, away from zero.
///
/// # Errors
/// If it is not a number, or has more digits before the point than the type.
#[inline]
pub fn decimal(bytes: &[u8], start: usize, end: usize, precision: u8, scale: i8) -> Result<i128, BadNumber> {
    let is_negative = start < end && bytes[start] == b'-';
    if let Some((number, fraction_digits)) = scaled(bytes, start + usize::from(is_negative), end)
        && let Ok(missing) = u32::try_from(i64::from(scale) - fraction_digits as i64)
        && let Some(unscaled) = 10_i128.checked_pow(missing).and_then(|power| power.checked_mul(i128::from(number)))
    {
        let signed = if is_negative { -unscaled } else { unscaled };
        return within_precision(signed, precision);
    }
    decimal_slowly(&bytes[start..end], precision, scale)
}

fn within_precision(unscaled: i128, precision: u8) -> Result<i128, BadNumber> {
    // 10^38 is the largest power of ten below 2^127.
    let bound = 10_i128.pow(u32::from(precision.min(38)));
    if unscaled.abs() < bound { Ok(unscaled) } else { Err(BadNumber::OutOfRange) }
}

fn decimal_slowly(text: &[u8], precision: u8, scale: i8) -> Result<i128, BadNumber> {
    let (is_negative, unsigned) = split_sign(text);
    let (mantissa, exponent) = split_exponent(unsigned)?;
    let point = memchr::memchr(b'.', mantissa).unwrap_or(mantissa.len());
    let all = || mantissa.iter().enumerate().filter(|&(position, _)| position != point).map(|(_, digit)| *digit);
    if all().next().is_none() || !all().all(|digit| digit.is_ascii_digit()) {
        return Err(BadNumber::Malformed);
    }
    let leading_zeros = all().take_while(|&digit| digit == b'0').count();
    let significant = || all().skip(leading_zeros).map(|digit| i128::from(digit - b'0'));
    if significant().next().is_none() {
        return Ok(0);
    }
    // The number is 0.d₁d₂… × 10^magnitude with d₁ ≠ 0; its first `kept` digits are those of the unscaled number.
    let magnitude = point as i64 - leading_zeros as i64 + exponent;
    let kept = magnitude + i64::from(scale);
    if kept > 38 {
        return Err(BadNumber::OutOfRange);
    }
    let Ok(kept) = usize::try_from(kept) else { return Ok(0) };
    let padded = significant().chain(std::iter::repeat(0));
    let unscaled = padded.take(kept).fold(0_i128, |number, digit| number * 10 + digit);
    let rounded = unscaled + i128::from(significant().nth(kept).is_some_and(|digit| digit >= 5));
    within_precision(if is_negative { -rounded } else { rounded }, precision)
}

/// Splits `12.5e-3` into `12.5` and −3.
fn split_exponent(text: &[u8]) -> Result<(&[u8], i64), BadNumber> {
    let Some(e) = text.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e')) else { return Ok((text, 0)) };
    let exponent = integer_slowly(&text[e + 1..])?;
    // Bounded so that sums with lengths of texts cannot overflow; far beyond any DECIMAL on both sides.
    Ok((&text[..e], exponent.clamp(-(1 << 40), 1 << 40)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text in the middle of a padded buffer full of what must not be read.
    fn padded(text: &str) -> (Vec<u8>, usize, usize) {
        let mut bytes = vec![b'7'; 64];
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(&[b'7'; 64]);
        (bytes, 64, 64 + text.len())
    }

    fn parsed<T>(text: &str, parse: impl Fn(&[u8], usize, usize) -> T) -> T {
        let (bytes, start, end) = padded(text);
        let with_padding = parse(&bytes, start, end);
        drop(parse(text.as_bytes(), 0, text.len()));
        with_padding
    }

    proptest! {
        #[test]
        fn integers_agree_with_the_standard_library(text in "[-+]?[0-9]{0,20}|[-+0-9.e ]{0,10}") {
            let expected = text.parse::<i64>();
            let found = parsed(&text, integer);
            prop_assert_eq!(found.ok(), expected.ok(), "{}", text);
            prop_assert_eq!(integer(text.as_bytes(), 0, text.len()).ok(), text.parse::<i64>().ok());
        }

        #[test]
        fn doubles_agree_with_the_standard_library(text in "[-+]?[0-9]{0,18}[.]?[0-9]{0,18}(e[-+]?[0-9]{1,3})?|[-.0-9]{1,9}") {
            let found = parsed(&text, double).ok().map(f64::to_bits);
            prop_assert_eq!(found, text.parse::<f64>().ok().map(f64::to_bits), "{}", text);
            prop_assert_eq!(double(text.as_bytes(), 0, text.len()).ok().map(f64::to_bits), found);
            let found = parsed(&text, float).ok().map(f32::to_bits);
            prop_assert_eq!(found, text.parse::<f32>().ok().map(f32::to_bits), "{}", text);
        }

        #[test]
        fn every_double_survives_its_text(number in any::<f64>()) {
            let text = format!("{number:?}");
            let found = parsed(&text, double).unwrap();
            prop_assert!(found == number || (found.is_nan() && number.is_nan()));
        }

        #[test]
        fn decimals_are_exact_or_rounded_half_up(unscaled in -10_i128.pow(20)..10_i128.pow(20), digits in 0_u32..12, scale in 0_u32..12) {
            let power = 10_i128.pow(digits);
            let sign = if unscaled < 0 { "-" } else { "" };
            let magnitude = unscaled.abs();
            let text = format!("{sign}{}.{:0width$}", magnitude / power, magnitude % power, width = digits as usize);
            let text = if digits == 0 { format!("{unscaled}") } else { text };
            let exact = magnitude * 10_i128.pow(scale);
            let rounded = (exact + power / 2) / power * unscaled.signum();
            prop_assert_eq!(parsed(&text, |b, s, e| decimal(b, s, e, 38, scale as i8)), Ok(rounded), "{}", text);
        }
    }

    #[test]
    fn decimals_at_the_edges() {
        use BadNumber::{Malformed, OutOfRange};
        let nines = "9".repeat(38);
        for (text, precision, scale, expected) in [
            ("123.45", 5, 2, Ok(12345)),
            ("999.99", 5, 2, Ok(99999)),
            ("1000", 5, 2, Err(OutOfRange)),
            ("999.995", 5, 2, Err(OutOfRange)),
            ("-0.005", 5, 2, Ok(-1)),
            ("0.0049999", 5, 2, Ok(0)),
            ("1.5e2", 5, 2, Ok(15000)),
            ("15E-1", 5, 0, Ok(2)),
            ("1e-99999999999", 5, 2, Ok(0)),
            ("1e99999999999", 5, 2, Err(OutOfRange)),
            ("0e99999999999", 5, 2, Ok(0)),
            (nines.as_str(), 38, 0, Ok(10_i128.pow(38) - 1)),
            ("100000000000000000000000000000000000000", 38, 0, Err(OutOfRange)),
            (".5", 5, 1, Ok(5)),
            ("5.", 5, 1, Ok(50)),
            (".", 5, 1, Err(Malformed)),
            ("", 5, 1, Err(Malformed)),
            ("-", 5, 1, Err(Malformed)),
            ("1.2.3", 5, 1, Err(Malformed)),
            ("1e", 5, 1, Err(Malformed)),
            ("--1", 5, 1, Err(Malformed)),
        ] {
            assert_eq!(parsed(text, |b, s, e| decimal(b, s, e, precision, scale)), expected, "{text}");
        }
    }

    #[test]
    fn integers_at_the_edges() {
        assert_eq!(parsed("9223372036854775807", integer), Ok(i64::MAX));
        assert_eq!(parsed("-9223372036854775808", integer), Ok(i64::MIN));
        assert_eq!(parsed("9223372036854775808", integer), Err(BadNumber::OutOfRange));
        assert_eq!(parsed("+000000000000000000000000012", integer), Ok(12));
        assert_eq!(parsed("", integer), Err(BadNumber::Malformed));
        assert_eq!(parsed("Infinity", double), Ok(f64::INFINITY));
        assert_eq!(parsed("1e999", double), Ok(f64::INFINITY));
        assert!(parsed("-0", double).unwrap().is_sign_negative());
    }
}
