//! Scalars of JSON to values of columns: numbers exactly, from numbers and from strings that hold one.

use crate::connect::format::csv::number::{self, BadNumber};
use crate::connect::format::csv::temporal::{self, DateCache, Instant};

use super::options::TimestampFormat;
use super::refusal::Refusal;

/// A scalar as text: without quotes, escapes resolved, and without white space around it if it was a string.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// What the range is one of; bytes before and behind it may be looked at, but mean nothing.
    pub bytes: &'a [u8],
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// What it was.
    pub kind: PlainKind,
}

/// What a scalar was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainKind {
    /// A string.
    String,
    /// `true` or `false`.
    Boolean,
    /// A number of digits alone.
    Whole,
    /// A number with a fraction or an exponent.
    Fractional,
}

impl<'a> Plain<'a> {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        &self.bytes[self.start..self.end]
    }

    /// Leaves out white space at both ends.
    #[must_use]
    pub fn trimmed(self) -> Self {
        let text = self.text();
        let start = self.start + (text.len() - text.trim_ascii_start().len());
        let end = self.end - (text.len() - text.trim_ascii_end().len());
        Self { start, end: end.max(start), ..self }
    }

    fn is_number(&self) -> bool {
        matches!(self.kind, PlainKind::Whole | PlainKind::Fractional)
    }
}

/// TRUE or FALSE, also as a string in any case.
///
/// # Errors
/// If it is neither.
pub fn boolean(plain: Plain<'_>) -> Result<bool, Refusal> {
    match plain.text() {
        text if plain.is_number() || text.is_empty() => Err(Refusal::Malformed),
        text if text.eq_ignore_ascii_case(b"true") => Ok(true),
        text if text.eq_ignore_ascii_case(b"false") => Ok(false),
        _ => Err(Refusal::Malformed),
    }
}

/// A whole number. A number with a fraction or an exponent is one if it is whole: `1.0`, `2e3`.
///
/// # Errors
/// If it is not one, or does not fit 64 bits.
#[inline]
pub fn integer(plain: Plain<'_>) -> Result<i64, Refusal> {
    match plain.kind {
        PlainKind::Whole | PlainKind::String => Ok(number::integer(plain.bytes, plain.start, plain.end)?),
        PlainKind::Fractional => whole(plain.text()),
        PlainKind::Boolean => Err(Refusal::Malformed),
    }
}

/// The whole number that a JSON number with a fraction or an exponent is.
#[cold]
fn whole(text: &[u8]) -> Result<i64, Refusal> {
    let (is_negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let e = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = e.map_or((unsigned, None), |e| (&unsigned[..e], Some(&unsigned[e + 1..])));
    let point = memchr::memchr(b'.', mantissa).unwrap_or(mantissa.len());
    let digits = mantissa.iter().filter(|byte| byte.is_ascii_digit()).copied().collect::<Vec<_>>();
    let leading_zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    let trailing_zeros = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
    if leading_zeros == digits.len() {
        return Ok(0);
    }
    // Beyond any text's length the exponent decides alone.
    let exponent = match exponent.map(|text| number::integer(text, 0, text.len())) {
        Some(Ok(exponent)) => exponent.clamp(-(1 << 40), 1 << 40),
        Some(Err(_)) if exponent.is_some_and(|text| text.starts_with(b"-")) => -(1 << 40),
        Some(Err(_)) => 1 << 40,
        None => 0,
    };
    // The number is its digits without the zeros around them, times ten to the power of `shift`.
    let shift = exponent - (digits.len() - point) as i64 + trailing_zeros as i64;
    if shift < 0 {
        return Err(Refusal::Malformed);
    }
    let significant = &digits[leading_zeros..digits.len() - trailing_zeros];
    if significant.len() as i64 + shift > 19 {
        return Err(Refusal::OutOfRange);
    }
    let magnitude = significant.iter().fold(0_i128, |number, digit| number * 10 + i128::from(digit - b'0'));
    let magnitude = magnitude * 10_i128.pow(shift as u32);
    i64::try_from(if is_negative { -magnitude } else { magnitude }).map_err(|_| Refusal::OutOfRange)
}

/// A DOUBLE, correctly rounded. `NaN` and `Infinity` are strings.
///
/// # Errors
/// If it is not one, or its magnitude is too large.
#[inline]
pub fn double(plain: Plain<'_>) -> Result<f64, Refusal> {
    if plain.kind == PlainKind::Boolean {
        return Err(Refusal::Malformed);
    }
    let value = number::double(plain.bytes, plain.start, plain.end)?;
    if value.is_infinite() && !is_word(plain) { Err(Refusal::OutOfRange) } else { Ok(value) }
}

/// A FLOAT, like [`double`].
///
/// # Errors
/// As for [`double`].
#[inline]
pub fn float(plain: Plain<'_>) -> Result<f32, Refusal> {
    if plain.kind == PlainKind::Boolean {
        return Err(Refusal::Malformed);
    }
    let value = number::float(plain.bytes, plain.start, plain.end)?;
    if value.is_infinite() && !is_word(plain) { Err(Refusal::OutOfRange) } else { Ok(value) }
}

/// It names infinity, rather than being a number too large.
#[cold]
fn is_word(plain: Plain<'_>) -> bool {
    !plain.text().iter().any(u8::is_ascii_digit)
}

/// A DECIMAL(precision, scale) as its unscaled number; digits beyond the scale are rounded half up.
///
/// # Errors
/// If it is not a number, or has too many digits before the point.
#[inline]
pub fn decimal(plain: Plain<'_>, precision: u8, scale: i8) -> Result<i128, Refusal> {
    if plain.kind == PlainKind::Boolean {
        return Err(Refusal::Malformed);
    }
    Ok(number::decimal(plain.bytes, plain.start, plain.end, precision, scale)?)
}

/// A DATE: days since 1970-01-01.
///
/// # Errors
/// If it is none.
pub fn date(text: &[u8], dates: &mut DateCache) -> Result<i32, Refusal> {
    dates.days(text).filter(|_| text.len() == 10).ok_or(Refusal::Malformed)
}

/// A TIME in units of so many nanoseconds; finer digits are cut off.
///
/// # Errors
/// If it is none.
pub fn time(text: &[u8], unit_ns: i64) -> Result<i64, Refusal> {
    temporal::time_ns(text).map(|time_ns| time_ns / unit_ns).ok_or(Refusal::Malformed)
}

/// Whether a timestamp says where on earth it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// TIMESTAMP.
    Local,
    /// TIMESTAMP_LTZ: with a `Z`, or an offset from UTC.
    Instant,
}

/// A timestamp in units of which `per_second` make a second; finer digits are cut off.
///
/// # Errors
/// If it is none in the format, or does not fit.
pub fn timestamp(
    text: &[u8],
    format: TimestampFormat,
    zone: Zone,
    per_second: i64,
    dates: &mut DateCache,
) -> Result<i64, Refusal> {
    let instant = instant(text, format, zone, dates).ok_or(Refusal::Malformed)?;
    instant.in_units(per_second).ok_or(Refusal::OutOfRange)
}

/// A moment, or a local date and time, in the format.
pub fn instant(text: &[u8], format: TimestampFormat, zone: Zone, dates: &mut DateCache) -> Option<Instant> {
    if text.get(10) != Some(&format.separator()) {
        return None;
    }
    let parse = |text: &[u8], dates: &mut DateCache| match zone {
        Zone::Local => temporal::timestamp(text, dates),
        Zone::Instant => temporal::timestamp_with_zone(text, dates),
    };
    // ISO 8601 lets the seconds be left out.
    if format == TimestampFormat::Iso && text.len() >= 16 && text.get(16) != Some(&b':') {
        let (minutes, rest) = text.split_at(16);
        return if rest.starts_with(b".") { None } else { parse(&[minutes, b":00", rest].concat(), dates) };
    }
    parse(text, dates)
}

impl From<BadNumber> for Refusal {
    fn from(bad: BadNumber) -> Self {
        match bad {
            BadNumber::Malformed => Self::Malformed,
            BadNumber::OutOfRange => Self::OutOfRange,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, kind: PlainKind) -> Plain<'_> {
        Plain { bytes: text.as_bytes(), start: 0, end: text.len(), kind }
    }

    #[test]
    fn numbers_with_a_point_or_exponent_are_integers_if_they_are_whole() {
        use Refusal::{Malformed, OutOfRange};
        for (text, expected) in [
            ("1.0", Ok(1)),
            ("-2.50e1", Ok(-25)),
            ("1e3", Ok(1000)),
            ("0e99999999999999999999", Ok(0)),
            ("-0.0", Ok(0)),
            ("1200e-2", Ok(12)),
            ("9223372036854775807.0", Ok(i64::MAX)),
            ("-9223372036854775808e0", Ok(i64::MIN)),
            ("9.223372036854775808e18", Err(OutOfRange)),
            ("1e19", Err(OutOfRange)),
            ("1e99999999999999999999", Err(OutOfRange)),
            ("1e-99999999999999999999", Err(Malformed)),
            ("1.5", Err(Malformed)),
            ("15e-1", Err(Malformed)),
        ] {
            assert_eq!(integer(plain(text, PlainKind::Fractional)), expected, "{text}");
        }
    }

    #[test]
    fn a_magnitude_too_large_is_out_of_range_and_infinity_is_a_word() {
        for kind in [PlainKind::Fractional, PlainKind::String] {
            assert_eq!(double(plain("1e999", kind)), Err(Refusal::OutOfRange));
            assert_eq!(float(plain("-1e39", kind)), Err(Refusal::OutOfRange));
            assert_eq!(double(plain("1e-999", kind)), Ok(0.0));
        }
        assert_eq!(double(plain("-Infinity", PlainKind::String)), Ok(f64::NEG_INFINITY));
        assert!(float(plain("NaN", PlainKind::String)).unwrap().is_nan());
        assert_eq!(double(plain("true", PlainKind::Boolean)), Err(Refusal::Malformed));
    }

    #[test]
    fn a_timestamp_is_in_the_format_that_is_set() {
        let mut dates = DateCache::default();
        let mut read = |text: &str, format, zone| timestamp(text.as_bytes(), format, zone, 1000, &mut dates).ok();
        use TimestampFormat::{Iso, Sql};
        let at = Some(1_699_999_999_741);
        let minute = Some(1_699_999_980_000);
        for (text, format, zone, expected) in [
            ("2023-11-14 22:13:19.741", Sql, Zone::Local, at),
            ("2023-11-14T22:13:19.741", Sql, Zone::Local, None),
            ("2023-11-14T22:13:19.741", Iso, Zone::Local, at),
            ("2023-11-14 22:13:19.741", Iso, Zone::Local, None),
            ("2023-11-14T22:13", Iso, Zone::Local, minute),
            ("2023-11-14T22:13Z", Iso, Zone::Instant, minute),
            ("2023-11-14T22:13.5", Iso, Zone::Local, None),
            ("2023-11-14 22:13", Sql, Zone::Local, None),
            ("2023-11-14 22:13:19.741Z", Sql, Zone::Instant, at),
            ("2023-11-14 23:13:19.741+01:00", Sql, Zone::Instant, at),
            ("2023-11-14 22:13:19.741", Sql, Zone::Instant, None),
            ("2023-11-14 22:13:19.741Z", Sql, Zone::Local, None),
            ("", Sql, Zone::Local, None),
        ] {
            assert_eq!(read(text, format, zone), expected, "{text}");
        }
    }

    #[test]
    fn spaces_around_a_string_are_left_out() {
        assert_eq!(integer(plain("  42 ", PlainKind::String).trimmed()), Ok(42));
        assert_eq!(integer(plain("   ", PlainKind::String).trimmed()), Err(Refusal::Malformed));
        assert_eq!(boolean(plain(" True ", PlainKind::String).trimmed()), Ok(true));
        assert_eq!(boolean(plain("1", PlainKind::Whole)), Err(Refusal::Malformed));
    }
}
