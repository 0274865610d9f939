//! Dates and times as text, the way CAST reads and writes them.

use std::fmt::Write as _;

use super::calendar::{DAY_MS, DAY_NS, SECOND_NS, civil_from_days, days_from_civil, days_of_month};

/// Takes leading digits off `text`: between `min` and `max` of them.
fn digits(text: &mut &str, min: usize, max: usize) -> Option<u32> {
    let count = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = (count >= min).then(|| text.split_at(count))?;
    *text = rest;
    digits.parse().ok()
}

fn literal(text: &mut &str, expected: char) -> Option<()> {
    *text = text.strip_prefix(expected)?;
    Some(())
}

fn checked_days(year: i64, month: u32, day: u32) -> Option<i64> {
    let is_valid = (0..=9999).contains(&year) && (1..=12).contains(&month) && day >= 1;
    (is_valid && day <= days_of_month(year, month)).then(|| days_from_civil(year, month, day))
}

/// Days of `2020-01-05`, also as `2020-1-5`, `2020-1`, `2020`, and with a time of day behind a blank, which is ignored.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let text = text.trim();
    let text = text.split_once(' ').map_or(text, |(date, _)| date);
    let mut parts = text.split('-').map(str::trim);
    let mut number = || match parts.next() {
        None => Some(1),
        Some(part) if !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit()) => {
            part.parse::<u32>().ok()
        }
        Some(_) => None,
    };
    let (year, month, day) = (number()?, number()?, number()?);
    if parts.next().is_some() {
        return None;
    }
    checked_days(i64::from(year), month, day).map(|days| days as i32)
}

/// Milliseconds of `12:34:56.789`, also without fraction, seconds or minutes.
pub(crate) fn parse_time(text: &str) -> Option<i32> {
    let mut text = text.trim();
    let hour = digits(&mut text, 1, 2)?;
    let mut rest = || {
        if text.is_empty() { Some(0) } else { literal(&mut text, ':').and_then(|()| digits(&mut text, 1, 2)) }
    };
    let (minute, second) = (rest()?, rest()?);
    let nanos = fraction(&mut text)?;
    let is_valid = text.is_empty() && hour < 24 && minute < 60 && second < 60;
    is_valid.then(|| ((hour * 60 + minute) * 60 + second) as i32 * 1_000 + (nanos / 1_000_000) as i32)
}

/// Nanoseconds of `.789`; 0 where there is no point.
fn fraction(text: &mut &str) -> Option<i64> {
    if !text.starts_with('.') {
        return Some(0);
    }
    literal(text, '.')?;
    let before = text.len();
    let value = i64::from(digits(text, 0, 9).or((before == text.len()).then_some(0))?);
    Some(value * 10_i64.pow(9 - (before - text.len()) as u32))
}

/// Days and nanoseconds of the day of `2020-01-05 12:34:56.789`; months to seconds may have one digit, and the time of
/// day may be missing.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, i64)> {
    let mut text = text.trim();
    let year = digits(&mut text, 4, 4)?;
    literal(&mut text, '-')?;
    let month = digits(&mut text, 1, 2)?;
    literal(&mut text, '-')?;
    let day = digits(&mut text, 1, 2)?;
    let days = checked_days(i64::from(year), month, day)?;
    if text.is_empty() {
        return Some((days, 0));
    }
    literal(&mut text, ' ')?;
    let hour = digits(&mut text, 1, 2)?;
    literal(&mut text, ':')?;
    let minute = digits(&mut text, 1, 2)?;
    literal(&mut text, ':')?;
    let second = digits(&mut text, 1, 2)?;
    let nanos = fraction(&mut text)?;
    let is_valid = text.is_empty() && hour < 24 && minute < 60 && second < 60;
    is_valid.then(|| (days, i64::from((hour * 60 + minute) * 60 + second) * SECOND_NS + nanos))
}

/// `2020-01-05`. Years beyond 9999 and below 0 are written in full.
pub(crate) fn write_date(days: i64, out: &mut String) {
    let (year, month, day) = civil_from_days(days);
    let sign = if year < 0 { "-" } else { "" };
    write!(out, "{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs()).expect("a String takes all that is written");
}

/// `12:34:56` and so many digits of the second.
pub(crate) fn write_time(nanos: i64, digits: u8, out: &mut String) {
    let seconds = nanos / SECOND_NS;
    write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        .expect("a String takes all that is written");
    write_fraction(nanos % SECOND_NS, digits, out);
}

fn write_fraction(nanos: i64, digits: u8, out: &mut String) {
    if digits > 0 {
        let width = usize::from(digits.min(9));
        let value = nanos / 10_i64.pow(9 - width as u32);
        write!(out, ".{value:0width$}").expect("a String takes all that is written");
    }
}

/// A time of day as Flink writes it: no more zeros at the end than one.
pub(crate) fn write_time_of_day(ms: i32, digits: u8, out: &mut String) {
    let ms = i64::from(ms).rem_euclid(DAY_MS);
    write_time(ms * 1_000_000, 0, out);
    if digits > 0 {
        let mut text = String::new();
        write_fraction(ms % 1_000 * 1_000_000, digits.min(3), &mut text);
        let significant = text.trim_end_matches('0').len().max(2);
        out.push_str(&text[..significant]);
    }
}

/// `2020-01-05 12:34:56.789` with so many digits of the second; `value` counts `units_per_second` since 1970.
pub(crate) fn write_timestamp(value: i64, units_per_second: i64, digits: u8, out: &mut String) {
    let (days, nanos) = split(value, units_per_second);
    write_date(days, out);
    out.push(' ');
    write_time(nanos, digits, out);
}

/// Days since 1970-01-01 and nanoseconds of the day.
pub(crate) fn split(value: i64, units_per_second: i64) -> (i64, i64) {
    let units_per_day = units_per_second * 86_400;
    let nanos_per_unit = SECOND_NS / units_per_second;
    (value.div_euclid(units_per_day), value.rem_euclid(units_per_day) * nanos_per_unit)
}

/// The inverse of [`split`], fractions of a unit cut off; `None` where 64 bits are not enough.
pub(crate) fn joined(days: i64, nanos: i64, units_per_second: i64) -> Option<i64> {
    debug_assert!((0..DAY_NS).contains(&nanos));
    let nanos_per_unit = SECOND_NS / units_per_second;
    i64::try_from(i128::from(days) * i128::from(units_per_second * 86_400) + i128::from(nanos / nanos_per_unit)).ok()
}
