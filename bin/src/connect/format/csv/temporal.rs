//! Dates, times and timestamps from text, checked against the calendar (proleptic Gregorian, years 0000 to 9999).

/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;

/// Days since 1970-01-01 of the date that was parsed last: in a file of events it is usually the one that comes next.
#[derive(Clone, Copy, Debug)]
pub struct DateCache {
    text: [u8; 10],
    days: i32,
}

impl Default for DateCache {
    fn default() -> Self {
        Self { text: *b"1970-01-01", days: 0 }
    }
}

impl DateCache {
    /// `yyyy-MM-dd` at the start of `text`.
    #[inline]
    pub fn days(&mut self, text: &[u8]) -> Option<i32> {
        let date = text.first_chunk::<10>()?;
        if *date != self.text {
            self.days = parse_date(date)?;
            self.text = *date;
        }
        Some(self.days)
    }
}

/// A moment, or a local date and time: since 1970-01-01 00:00:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    /// Seconds, rounded down.
    pub seconds: i64,
    /// And so many nanoseconds, below 10⁹.
    pub nanos: u32,
}

impl Instant {
    /// In units of which `per_second` make a second, finer digits cut off; `None` if that does not fit.
    #[inline]
    #[must_use]
    pub fn in_units(self, per_second: i64) -> Option<i64> {
        self.seconds.checked_mul(per_second)?.checked_add(i64::from(self.nanos) / (SECOND_NS / per_second))
    }
}

/// `yyyy-MM-dd`.
#[must_use]
pub fn date(text: &[u8]) -> Option<i32> {
    parse_date(text.try_into().ok()?)
}

/// `yyyy-MM-dd HH:mm:ss` with up to 9 digits of a fraction; `T` instead of the space is accepted.
#[inline]
pub fn timestamp(text: &[u8], cache: &mut DateCache) -> Option<Instant> {
    let (instant, rest) = timestamp_prefix(text, cache)?;
    rest.is_empty().then_some(instant)
}

/// The same followed by `Z` or an offset `+hh:mm` from UTC, with or without a space before.
pub fn timestamp_with_zone(text: &[u8], cache: &mut DateCache) -> Option<Instant> {
    let (instant, rest) = timestamp_prefix(text, cache)?;
    let zone = rest.strip_prefix(b" ").unwrap_or(rest);
    Some(Instant { seconds: instant.seconds - offset_seconds(zone)?, ..instant })
}

/// `HH:mm:ss` with up to 9 digits of a fraction, as nanoseconds of the day.
#[must_use]
pub fn time_ns(text: &[u8]) -> Option<i64> {
    let seconds = clock(text)?;
    let (nanos, rest) = fraction(&text[8..])?;
    rest.is_empty().then(|| i64::from(seconds) * SECOND_NS + i64::from(nanos))
}

#[inline]
fn timestamp_prefix<'a>(text: &'a [u8], cache: &mut DateCache) -> Option<(Instant, &'a [u8])> {
    let days = cache.days(text)?;
    if !matches!(text.get(10), Some(b' ' | b'T')) {
        return None;
    }
    let seconds = i64::from(days) * 86_400 + i64::from(clock(&text[11..])?);
    let (nanos, rest) = fraction(&text[19..])?;
    Some((Instant { seconds, nanos }, rest))
}

/// Seconds of the day for `HH:mm:ss` at the start of `text`.
#[inline]
fn clock(text: &[u8]) -> Option<u32> {
    let word = u64::from_le_bytes(*text.first_chunk::<8>()?) ^ 0x3030_3A30_303A_3030;
    // Every byte is a digit now, and the colons are 0.
    let excess = word.wrapping_add(0x7676_7F76_767F_7676) | word;
    if excess & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let (hour, minute, second) = (pairs & 0xFF, (pairs >> 24) & 0xFF, (pairs >> 48) & 0xFF);
    (hour < 24 && minute < 60 && second < 60).then(|| (hour * 3600 + minute * 60 + second) as u32)
}

/// Nanoseconds of a fraction like `.741` at the start of `text`, which may be absent, and what follows it.
#[inline]
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    // Milliseconds and nothing behind them are what most files hold.
    if let &[b'.', a, b, c] = text
        && a.is_ascii_digit()
        && b.is_ascii_digit()
        && c.is_ascii_digit()
    {
        let millis = u32::from(a - b'0') * 100 + u32::from(b - b'0') * 10 + u32::from(c - b'0');
        return Some((millis * 1_000_000, &[]));
    }
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let (mut nanos, mut count) = (0_u32, 0);
    while let Some(digit) = digits.get(count).map(|byte| byte.wrapping_sub(b'0'))
        && digit <= 9
    {
        if count == 9 {
            return None;
        }
        nanos = nanos * 10 + u32::from(digit);
        count += 1;
    }
    Some((nanos * 10_u32.pow(9 - count as u32), &digits[count..]))
}

fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, rest) = match zone {
        [b'Z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let &[h1, h2, b':', m1, m2] = rest else { return None };
    let (hours, minutes) = (pair(h1, h2)?, pair(m1, m2)?);
    // 18 hours is the largest offset that Java knows.
    (minutes < 60 && hours * 60 + minutes <= 18 * 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

fn pair(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
}

fn parse_date(text: &[u8; 10]) -> Option<i32> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let year = pair(y1, y2)? * 100 + pair(y3, y4)?;
    let (month, day) = (pair(m1, m2)?, pair(d1, d2)?);
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    (1..=length).contains(&day).then(|| days_of(year as i32, month, day))
}

/// Days since 1970-01-01. After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_of(year: i32, month: u32, day: u32) -> i32 {
    // Years start in March here, so that the leap day is the last of a year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400) as u32;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era as i32 - 719_468
}

/// Year, month and day of a number of days since 1970-01-01; the inverse of what [`date`] does.
#[must_use]
pub fn civil_of(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_agrees_with_chrono() {
        let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let first = chrono::NaiveDate::from_ymd_opt(0, 1, 1).unwrap();
        // Every 3rd day: still meets each month's ends in some year.
        for day in first.iter_days().step_by(3).take_while(|day| day.format("%Y").to_string().len() == 4) {
            let days = (day - epoch).num_days();
            use chrono::Datelike;
            assert_eq!(civil_of(days), (i64::from(day.year()), day.month(), day.day()));
            assert_eq!(i64::from(days_of(day.year(), day.month(), day.day())), days);
        }
    }

    #[test]
    fn only_days_of_the_calendar_are_dates() {
        assert_eq!(date(b"1970-01-01"), Some(0));
        assert_eq!(date(b"2000-02-29"), Some(11_016));
        assert_eq!(date(b"1969-12-31"), Some(-1));
        for bad in [
            "2023-02-29",
            "1900-02-29",
            "2023-04-31",
            "2023-00-01",
            "2023-13-01",
            "2023-01-00",
            "2023-1-1",
            "2023/01/01",
            "",
            "2023-01-01 ",
        ] {
            assert_eq!(date(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn timestamps_are_read_to_the_last_digit() {
        let mut cache = DateCache::default();
        let at = |seconds, nanos| Some(Instant { seconds, nanos });
        for (text, expected) in [
            ("2023-11-14 22:13:19.741", at(1_699_999_999, 741_000_000)),
            ("2023-11-14T22:13:19", at(1_699_999_999, 0)),
            ("2023-11-14 22:13:19.", at(1_699_999_999, 0)),
            ("1969-12-31 23:59:59.999999999", at(-1, 999_999_999)),
            ("2023-11-14 24:00:00", None),
            ("2023-11-14 22:60:00", None),
            ("2023-11-14 22:13:60", None),
            ("2023-11-14 22:13", None),
            ("2023-11-14_22:13:19", None),
            ("2023-11-14 22:13:19.1234567890", None),
            ("2023-11-14 22:13:19Z", None),
            ("2023-11-14 22:1:119", None),
            ("2023-11-14 2/:13:19", None),
            ("2023-11-14 22;13:19", None),
            ("2023-11-14 22z13:19", None),
            ("2023-11-1422:13:19", None),
            ("", None),
        ] {
            assert_eq!(timestamp(text.as_bytes(), &mut cache), expected, "{text}");
        }
        for (text, expected) in [
            ("2023-11-14 22:13:19.741Z", at(1_699_999_999, 741_000_000)),
            ("2023-11-14 23:13:19.741 +01:00", at(1_699_999_999, 741_000_000)),
            ("2023-11-14T16:43:19-05:30", at(1_699_999_999, 0)),
            ("2023-11-14 22:13:19", None),
            ("2023-11-14 22:13:19+19:00", None),
            ("2023-11-14 22:13:19+1:00", None),
        ] {
            assert_eq!(timestamp_with_zone(text.as_bytes(), &mut cache), expected, "{text}");
        }
    }

    #[test]
    fn finer_digits_are_cut_off_and_what_does_not_fit_is_none() {
        let before_epoch = Instant { seconds: -1, nanos: 999_999_999 };
        assert_eq!(before_epoch.in_units(1000), Some(-1));
        assert_eq!(Instant { seconds: 253_402_300_799, nanos: 0 }.in_units(SECOND_NS), None);
        assert_eq!(time_ns(b"23:59:59.5"), Some(86_399_500_000_000));
        assert_eq!(time_ns(b"23:59"), None);
    }
}
