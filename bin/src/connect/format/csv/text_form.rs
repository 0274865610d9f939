//! Values as CSV writes them: Flink's text forms.

use super::temporal::civil_of;

/// Digits, with a sign if it is negative.
pub fn integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The shortest text that reads as the same number; what is not finite as Java names it.
pub fn float<F: lexical_core::ToLexical>(number: F, is_finite: bool, wide: f64, out: &mut Vec<u8>) {
    if is_finite {
        let mut digits = [0; lexical_core::BUFFER_SIZE];
        out.extend_from_slice(lexical_core::write(number, &mut digits));
    } else if wide.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if wide > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
}

/// All digits, as many behind the point as the scale says.
pub fn decimal(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    let Ok(fraction) = usize::try_from(scale) else {
        out.extend_from_slice(digits);
        // A negative scale counts zeros; there are none behind 0.
        let zeros = if unscaled == 0 { 0 } else { usize::from(scale.unsigned_abs()) };
        out.resize(out.len() + zeros, b'0');
        return;
    };
    let whole = digits.len().saturating_sub(fraction);
    out.extend_from_slice(if whole == 0 { b"0" } else { &digits[..whole] });
    if fraction > 0 {
        out.push(b'.');
        out.resize(out.len() + fraction.saturating_sub(digits.len()), b'0');
        out.extend_from_slice(&digits[whole..]);
    }
}

/// A decimal without zeros at its end, in Java's notation: `1.2E+3`, `0.05`, `5E-8`.
pub fn scientific(mut unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    let mut scale = i32::from(scale);
    if unscaled == 0 {
        return out.push(b'0');
    }
    while unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    let exponent = digits.len() as i32 - 1 - scale;
    if scale >= 0 && exponent >= -6 {
        return decimal(unscaled, scale as i8, out);
    }
    if unscaled < 0 {
        out.push(b'-');
    }
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"E-" } else { b"E+" });
    integer(exponent.unsigned_abs(), out);
}

/// `YYYY-MM-DD`.
pub fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_of(days);
    if year < 0 {
        out.push(b'-');
    }
    padded(year.unsigned_abs(), 4, out);
    out.push(b'-');
    padded(month.into(), 2, out);
    out.push(b'-');
    padded(day.into(), 2, out);
}

/// `HH:MM:SS` and the fraction.
pub fn time(units: i64, per_second: i64, fraction_digits: usize, out: &mut Vec<u8>) {
    let seconds = units.div_euclid(per_second);
    padded((seconds / 3600).unsigned_abs(), 2, out);
    out.push(b':');
    padded((seconds / 60 % 60).unsigned_abs(), 2, out);
    out.push(b':');
    padded((seconds % 60).unsigned_abs(), 2, out);
    if fraction_digits > 0 {
        out.push(b'.');
        padded(units.rem_euclid(per_second).unsigned_abs(), fraction_digits, out);
    }
}

/// A number with zeros in front up to `width` digits.
fn padded(number: u64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number).as_bytes();
    out.resize(out.len() + width.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(digits);
}
