//! Numbers as people write them.

use std::time::Duration;

/// `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `999`, `12.3 K`, `4.56 M`: three digits or so, for a number that changes all the time.
#[must_use]
pub fn rounded(number: f64) -> String {
    scaled(number, 1_000.0, &["", "K", "M", "G", "T"])
}

/// `512 B`, `4.00 MiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, 1_024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// `3.2 s`, `2 min 05 s`, `1 h 02 min`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// A size in bytes as `--memory` takes it: `4G`, `512 MiB`, `1000000`; the units are powers of 1,024.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn scaled(number: f64, step: f64, units: &[&str]) -> String {
    let mut number = number;
    let mut index = 0;
    while number >= step && index + 1 < units.len() {
        number /= step;
        index += 1;
    }
    let decimals = match (index, number) {
        (0, _) => 0,
        (_, 100.0..) => 0,
        (_, 10.0..) => 1,
        _ => 2,
    };
    let unit = units[index];
    let space = if unit.is_empty() { "" } else { " " };
    format!("{number:.decimals$}{space}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
        for (number, expected) in [(0.0, "0"), (999.0, "999"), (12_345.0, "12.3 K"), (4_560_000.0, "4.56 M")] {
            assert_eq!(rounded(number), expected);
        }
        assert_eq!(bytes(4 << 20), "4.00 MiB");
        assert_eq!(bytes(12), "12 B");
    }

    #[test]
    fn durations_are_short() {
        for (millis, expected) in
            [(3_210, "3.2 s"), (59_900, "59 s"), (125_000, "2 min 05 s"), (3_720_000, "1 h 02 min")]
        {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, expected) in [
            ("4G", Some(4 << 30)),
            ("512 MiB", Some(512 << 20)),
            ("1000", Some(1_000)),
            ("1k", Some(1_024)),
            ("", None),
            ("G", None),
            ("4X", None),
            ("99999999999T", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
