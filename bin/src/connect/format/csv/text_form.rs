//! Values as CSV writes them: Flink's text forms.
//!
//! What is short is put into a [`ShortText`], which is a register or two wide and is copied whole; only decimals, which may
//! be long, are appended to a buffer.

use super::temporal::civil_of;

/// Most bytes of a [`ShortText`]: more than a number, a date, a time or a timestamp has.
pub const SHORT_BYTES_MAX: usize = 31;

/// A short text in place: its bytes from the first on, its length in the last.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
pub struct ShortText([u8; SHORT_BYTES_MAX + 1]);

impl ShortText {
    /// The text; none if it is too long.
    #[must_use]
    pub fn of(text: &[u8]) -> Option<Self> {
        (text.len() <= SHORT_BYTES_MAX).then(|| {
            let mut short = Self::default();
            short.append(text);
            short
        })
    }

    /// How many bytes the text has.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.0[SHORT_BYTES_MAX])
    }

    /// The text and what stands behind it: meaningless bytes.
    #[inline]
    #[must_use]
    pub fn padded(&self) -> &[u8; SHORT_BYTES_MAX + 1] {
        &self.0
    }

    /// The text.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0[..self.len()]
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.put([byte]);
    }

    /// Appends the bytes.
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let start = self.len();
        self.0[start..start + N].copy_from_slice(&bytes);
        self.0[SHORT_BYTES_MAX] = (start + N) as u8;
    }

    /// Appends the bytes; there must be room.
    pub fn append(&mut self, bytes: &[u8]) {
        let (start, end) = (self.len(), self.len() + bytes.len());
        self.0[start..end].copy_from_slice(bytes);
        self.0[SHORT_BYTES_MAX] = end as u8;
    }
}

/// Digits, with a sign if it is negative.
#[inline]
pub fn integer(number: impl itoa::Integer, out: &mut ShortText) {
    out.append(itoa::Buffer::new().format(number).as_bytes());
}

/// A floating-point number of a type that is written in its shortest text.
pub trait Shortest: zmij::Float + lexical_core::ToLexical + Copy + Into<f64> {
    /// From 1e-4 to below this, the faster way of writing gives the same text as the other, without an exponent.
    const PLAIN_MAX: f64;
}

impl Shortest for f32 {
    // Nowhere: of two texts that are equally short and near, as for 2274170.25, they take different ones.
    const PLAIN_MAX: f64 = 0.0;
}

impl Shortest for f64 {
    const PLAIN_MAX: f64 = 1e9;
}

/// The shortest text that reads as the same number; what is not finite as Java names it.
#[inline]
pub fn float<F: Shortest>(number: F, out: &mut ShortText) {
    let wide: f64 = number.into();
    // The first way is three times as fast.
    if (1e-4..F::PLAIN_MAX).contains(&wide.abs()) {
        out.append(zmij::Buffer::new().format_finite(number).as_bytes());
    } else if wide.is_finite() {
        let mut digits = [0; lexical_core::BUFFER_SIZE];
        out.append(lexical_core::write(number, &mut digits));
    } else if wide.is_nan() {
        out.append(b"NaN");
    } else {
        out.append(if wide > 0.0 { b"Infinity" } else { b"-Infinity" });
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
    out.extend_from_slice(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
}

/// Writes dates, and remembers the last one: they come in runs.
#[derive(Clone, Copy, Debug)]
pub struct DateWriter {
    days: i64,
    text: ShortText,
}

impl Default for DateWriter {
    fn default() -> Self {
        Self { days: 0, text: ShortText::of(b"1970-01-01").expect("ten bytes are short") }
    }
}

impl DateWriter {
    /// `YYYY-MM-DD`, in place of what `out` was.
    #[inline]
    pub fn begin(&mut self, days: i64, out: &mut ShortText) {
        if days != self.days {
            self.days = days;
            self.text = ShortText::default();
            date(days, &mut self.text);
        }
        *out = self.text;
    }

    /// Date and time of day in units of which a day has `86_400 * PER_SECOND`, in place of what `out` was.
    #[inline]
    pub fn timestamp<const PER_SECOND: i64>(&mut self, units: i64, out: &mut ShortText) {
        let units_of_day = const { 86_400 * PER_SECOND };
        self.begin(units.div_euclid(units_of_day), out);
        out.push(b' ');
        time::<PER_SECOND>(units.rem_euclid(units_of_day), out);
    }
}

/// `YYYY-MM-DD`.
fn date(days: i64, out: &mut ShortText) {
    let (year, month, day) = civil_of(days);
    if year < 0 {
        out.push(b'-');
    }
    padded(year.unsigned_abs(), 4, out);
    out.put([b'-', DIGITS[month as usize][0], DIGITS[month as usize][1]]);
    out.put([b'-', DIGITS[day as usize][0], DIGITS[day as usize][1]]);
}

/// `HH:MM:SS` and the fraction, of as many digits as `PER_SECOND` has zeros.
#[inline]
pub fn time<const PER_SECOND: i64>(units: i64, out: &mut ShortText) {
    let seconds = units.div_euclid(PER_SECOND);
    let (minutes, second) = (seconds / 60, (seconds % 60).unsigned_abs() as usize);
    let (hours, minute) = ((minutes / 60).unsigned_abs(), (minutes % 60).unsigned_abs() as usize);
    match DIGITS.get(hours as usize) {
        Some(digits) => out.put(*digits),
        // No time of day; it is written as it is all the same.
        None => padded(hours, 2, out),
    }
    let ([m, n], [s, t]) = (DIGITS[minute], DIGITS[second]);
    out.put([b':', m, n, b':', s, t]);
    let fraction = units.rem_euclid(PER_SECOND).unsigned_abs();
    if PER_SECOND == 1000 {
        let [a, b] = DIGITS[(fraction % 100) as usize];
        out.put([b'.', b'0' + (fraction / 100) as u8, a, b]);
    } else if PER_SECOND > 1 {
        out.push(b'.');
        padded(fraction, PER_SECOND.ilog10() as usize, out);
    }
}

/// A number with zeros in front up to `width` digits.
fn padded(number: u64, width: usize, out: &mut ShortText) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number).as_bytes();
    (digits.len()..width).for_each(|_| out.push(b'0'));
    out.append(digits);
}

/// The numbers below 100 in two digits.
const DIGITS: [[u8; 2]; 100] = {
    let mut digits = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        digits[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut ShortText)) -> String {
        let mut text = ShortText::default();
        write(&mut text);
        String::from_utf8(text.bytes().to_vec()).unwrap()
    }

    /// As the reference writes it.
    fn reference<F: lexical_core::ToLexical>(number: F) -> String {
        let mut digits = [0; lexical_core::BUFFER_SIZE];
        String::from_utf8(lexical_core::write(number, &mut digits).to_vec()).unwrap()
    }

    fn timestamp<const PER_SECOND: i64>(units: i64) -> String {
        let (seconds, rest) = (units.div_euclid(PER_SECOND), units.rem_euclid(PER_SECOND));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_of(days);
        let (sign, year) = if year < 0 { ("-", -year) } else { ("", year) };
        let digits = PER_SECOND.ilog10() as usize;
        let fraction = if digits > 0 { format!(".{rest:0digits$}") } else { String::new() };
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{sign}{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}")
    }

    fn written<const PER_SECOND: i64>(dates: &mut DateWriter, units: i64) -> String {
        text(|out| dates.timestamp::<PER_SECOND>(units, out))
    }

    proptest! {
        #[test]
        fn floats_have_the_texts_of_the_reference(bits in any::<u64>(), digits in -10_i64.pow(15)..10_i64.pow(15), scale in 0..20) {
            let number = f64::from_bits(bits);
            let decimal = digits as f64 / 10_f64.powi(scale);
            let near = f64::from_bits(decimal.to_bits().wrapping_add(bits & 3));
            for number in [number, decimal, near].into_iter().filter(|number| number.is_finite()) {
                prop_assert_eq!(text(|out| float(number, out)), reference(number));
            }
            for number in [f32::from_bits(bits as u32), decimal as f32].into_iter().filter(|number| number.is_finite()) {
                prop_assert_eq!(text(|out| float(number, out)), reference(number));
            }
        }

        #[test]
        fn timestamps_of_all_times_are_written(units in any::<i64>(), near in -10_i64.pow(12)..10_i64.pow(13)) {
            let mut dates = DateWriter::default();
            for units in [units, near, i64::MIN, i64::MAX, 0, -1] {
                prop_assert_eq!(written::<1>(&mut dates, units), timestamp::<1>(units));
                prop_assert_eq!(written::<1000>(&mut dates, units), timestamp::<1000>(units));
                prop_assert_eq!(written::<1_000_000>(&mut dates, units), timestamp::<1_000_000>(units));
                prop_assert_eq!(written::<1_000_000_000>(&mut dates, units), timestamp::<1_000_000_000>(units));
            }
        }

        #[test]
        fn a_time_that_is_none_is_written_too(units in any::<i64>()) {
            for text in [text(|out| time::<1_000_000>(units, out)), text(|out| time::<1000>(units, out))] {
                prop_assert!(text.len() <= SHORT_BYTES_MAX && text.is_ascii());
            }
        }
    }

    #[test]
    fn floats_at_the_ends_of_what_is_written_without_an_exponent() {
        for number in [0.0, -0.0, 1e-5, 9.999e-5, 1e-4, 0.1, 1.0, 999_999_999.0, 1e9, 1e10, -1e9, 5e-324, f64::MAX] {
            assert_eq!(text(|out| float(number, out)), reference(number));
        }
        assert_eq!(text(|out| float(f32::NEG_INFINITY, out)), "-Infinity");
        assert_eq!(text(|out| float(f64::NAN, out)), "NaN");
    }
}
