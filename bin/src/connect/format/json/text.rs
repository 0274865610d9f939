//! Values as JSON text, in the forms of Flink: Java's numbers, dates and times in quotes.

use super::scan::find_special;
use crate::connect::format::csv::base64;
use crate::connect::format::csv::temporal::civil_of;
use crate::connect::value_text::{write_decimal, write_java_float};

/// Digits of 10⁻⁹ s.
const NANO_DIGITS: usize = 9;

/// Appends a string in quotes. Escaped are quotes, backslashes and control characters.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push(b'"');
    let mut rest = text;
    loop {
        let at = find_special(rest, 0);
        out.extend_from_slice(&rest[..at]);
        let Some(&special) = rest.get(at) else { break };
        out.push(b'\\');
        match special {
            byte @ (b'"' | b'\\') => out.push(byte),
            0x08 => out.push(b'b'),
            0x0C => out.push(b'f'),
            b'\n' => out.push(b'n'),
            b'\r' => out.push(b'r'),
            b'\t' => out.push(b't'),
            control => {
                out.extend_from_slice(b"u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.push(b'"');
}

/// Appends an integer.
pub fn integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a DOUBLE: the shortest text that is read as the same number, as Java writes it.
pub fn double(number: f64, out: &mut Vec<u8>) {
    if is_written_plain(number) {
        let mut digits = [0; lexical_core::BUFFER_SIZE];
        out.extend_from_slice(lexical_core::write(number, &mut digits));
    } else {
        odd_float(number, || format!("{number:e}"), out);
    }
}

/// Appends a FLOAT, like [`double`].
pub fn float(number: f32, out: &mut Vec<u8>) {
    let wide = f64::from(number);
    if is_written_plain(wide) {
        let mut digits = [0; lexical_core::BUFFER_SIZE];
        out.extend_from_slice(lexical_core::write(number, &mut digits));
    } else {
        odd_float(wide, || format!("{number:e}"), out);
    }
}

/// Java writes an exponent below 10⁻³ and from 10⁷ on.
fn is_written_plain(number: f64) -> bool {
    number == 0.0 || (1e-3..1e7).contains(&number.abs())
}

#[cold]
fn odd_float(number: f64, shortest: impl FnOnce() -> String, out: &mut Vec<u8>) {
    let name: &[u8] = match number {
        _ if number.is_nan() => b"\"NaN\"",
        f64::INFINITY => b"\"Infinity\"",
        f64::NEG_INFINITY => b"\"-Infinity\"",
        _ => {
            let mut text = String::new();
            write_java_float(number, &shortest(), &mut text);
            out.extend_from_slice(text.as_bytes());
            return;
        }
    };
    out.extend_from_slice(name);
}

/// Appends a DECIMAL with all its digits; below 10⁻⁶ with an exponent, unless it is to be plain.
pub fn decimal(unscaled: i128, scale: i8, is_plain: bool, out: &mut Vec<u8>) {
    let mut text = String::new();
    write_decimal(unscaled, scale, !is_plain, &mut text);
    out.extend_from_slice(text.as_bytes());
}

/// Appends BYTES: base64 in quotes.
pub fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    base64::encode(bytes, out);
    out.push(b'"');
}

/// Appends a DATE in quotes: days since 1970-01-01.
pub fn date(days: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    bare_date(days, out);
    out.push(b'"');
}

/// Appends a TIME in quotes.
pub fn time(units: i64, per_second: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    bare_time(units, per_second, out);
    out.push(b'"');
}

/// Appends a timestamp in quotes: units since 1970-01-01.
pub fn timestamp(units: i64, per_second: i64, separator: u8, suffix: &[u8], out: &mut Vec<u8>) {
    let units_of_day = 86_400 * per_second;
    out.push(b'"');
    bare_date(units.div_euclid(units_of_day), out);
    out.push(separator);
    bare_time(units.rem_euclid(units_of_day), per_second, out);
    out.extend_from_slice(suffix);
    out.push(b'"');
}

fn bare_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_of(days);
    if (0..10_000).contains(&year) {
        let mut text = *b"0000-00-00";
        text[..2].copy_from_slice(&two_digits(year / 100));
        text[2..4].copy_from_slice(&two_digits(year));
        text[5..7].copy_from_slice(&two_digits(month.into()));
        text[8..].copy_from_slice(&two_digits(day.into()));
        out.extend_from_slice(&text);
        return;
    }
    if year < 0 {
        out.push(b'-');
    }
    let year = year.unsigned_abs();
    let zeros = 4_usize.saturating_sub(year.checked_ilog10().map_or(1, |log| log as usize + 1));
    out.extend_from_slice(&b"000"[..zeros]);
    integer(year, out);
    for part in [month, day] {
        out.push(b'-');
        out.extend_from_slice(&two_digits(part.into()));
    }
}

/// `HH:mm:ss`, and as many digits of a fraction as are needed.
fn bare_time(units: i64, per_second: i64, out: &mut Vec<u8>) {
    match per_second {
        1 => time_in::<1, 0>(units, out),
        1_000 => time_in::<1_000, 3>(units, out),
        1_000_000 => time_in::<1_000_000, 6>(units, out),
        _ => time_in::<1_000_000_000, NANO_DIGITS>(units, out),
    }
}

/// The unit is a constant, so that no row divides.
fn time_in<const PER_SECOND: i64, const DIGITS: usize>(units: i64, out: &mut Vec<u8>) {
    let seconds = units.div_euclid(PER_SECOND);
    let mut text = *b"00:00:00.000000000";
    text[..2].copy_from_slice(&two_digits(seconds / 3600));
    text[3..5].copy_from_slice(&two_digits(seconds / 60 % 60));
    text[6..8].copy_from_slice(&two_digits(seconds % 60));
    let mut fraction = units.rem_euclid(PER_SECOND) as u32;
    if fraction == 0 {
        out.extend_from_slice(&text[..8]);
        return;
    }
    for digit in text[9..9 + DIGITS].iter_mut().rev() {
        *digit = b'0' + (fraction % 10) as u8;
        fraction /= 10;
    }
    let zeros = text[9..9 + DIGITS].iter().rev().take_while(|&&digit| digit == b'0').count();
    out.extend_from_slice(&text[..9 + DIGITS - zeros]);
}

/// A number from 0 to 99; of one beyond that, which no time of day has, two digits.
fn two_digits(number: i64) -> [u8; 2] {
    let number = number.rem_euclid(100) as u8;
    [b'0' + number / 10, b'0' + number % 10]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_javas() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (100.51, "100.51"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (-1.5e-300, "-1.5E-300"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            assert_eq!(written(|out| double(number, out)), expected);
        }
        assert_eq!(written(|out| float(0.1, out)), "0.1");
        assert_eq!(written(|out| float(1e10, out)), "1.0E10");
    }

    #[test]
    fn times_have_the_digits_that_they_need() {
        for (units, per_second, expected) in [
            (1_700_000_000_000, 1_000, "\"2023-11-14 22:13:20\""),
            (1_700_000_000_700, 1_000, "\"2023-11-14 22:13:20.7\""),
            (-1, 1_000_000_000, "\"1969-12-31 23:59:59.999999999\""),
            (-62_167_219_200, 1, "\"0000-01-01 00:00:00\""),
            (-62_167_219_201, 1, "\"-0001-12-31 23:59:59\""),
        ] {
            assert_eq!(written(|out| timestamp(units, per_second, b' ', b"", out)), expected);
        }
        assert_eq!(written(|out| time(43_200_010, 1_000, out)), "\"12:00:00.01\"");
        assert_eq!(written(|out| date(19_675, out)), "\"2023-11-14\"");
        for extreme in [i64::MIN, i64::MAX] {
            assert!(!written(|out| timestamp(extreme, 1, b'T', b"Z", out)).is_empty());
            assert!(!written(|out| time(extreme, 1, out)).is_empty());
        }
    }

    #[test]
    fn decimals_are_javas() {
        assert_eq!(written(|out| decimal(-5, 2, false, out)), "-0.05");
        assert_eq!(written(|out| decimal(5, 9, false, out)), "5E-9");
        assert_eq!(written(|out| decimal(5, 9, true, out)), "0.000000005");
        assert_eq!(written(|out| decimal(1200, 0, false, out)), "1200");
    }

    #[test]
    fn strings_are_escaped_where_they_must_be() {
        assert_eq!(
            written(|out| write_string("a\"\\\n\u{1f}\u{7f}é😀".as_bytes(), out)),
            "\"a\\\"\\\\\\n\\u001F\u{7f}é😀\""
        );
    }
}
