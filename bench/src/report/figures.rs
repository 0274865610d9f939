//! Figures as people read them: three digits, and a unit.

use crate::statistics::Spread;

/// A number with three digits and a unit of thousands: `23.4 M`.
#[must_use]
pub fn count(value: f64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " K")];
    match units.into_iter().find(|(unit, _)| value.abs() >= *unit * 0.9995) {
        Some((unit, name)) => three_digits(value / unit) + name,
        None => three_digits(value),
    }
}

/// A whole number with its thousands set apart: `10,000`.
#[must_use]
pub fn whole(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds as a duration: `1.25 ms`.
#[must_use]
pub fn duration(nanos: f64) -> String {
    let units = [(1e9, " s"), (1e6, " ms"), (1e3, " µs")];
    match units.into_iter().find(|(unit, _)| nanos >= *unit * 0.9995) {
        Some((unit, name)) => three_digits(nanos / unit) + name,
        None => three_digits(nanos) + " ns",
    }
}

/// A quotient: `8.40`.
#[must_use]
pub fn times(value: f64) -> String {
    three_digits(value)
}

/// Lower and upper quartile of quotients: `8.1–8.6`; empty if there is but one.
#[must_use]
pub fn quartiles(spread: &Spread, figure: impl Fn(f64) -> String) -> String {
    if spread.count < 2 { String::new() } else { format!("{}–{}", figure(spread.low), figure(spread.high)) }
}

fn three_digits(value: f64) -> String {
    match value.abs() {
        size if size == 0.0 || size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_the_unit_that_fits() {
        assert_eq!(
            [790_000.0, 23_400_000.0, 999_600.0, 999.0, 12.34].map(count),
            ["790 K", "23.4 M", "1.00 M", "999", "12.3"]
        );
        assert_eq!(
            [0.0, 1.256, 950.0, 1_250.0, 2.5e9].map(duration),
            ["0 ns", "1.26 ns", "950 ns", "1.25 µs", "2.50 s"]
        );
        assert_eq!([0, 999, 1_000, 1_234_567].map(whole), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1.0, 24.96, 400.0].map(times), ["1.00", "25.0", "400"]);
    }
}
