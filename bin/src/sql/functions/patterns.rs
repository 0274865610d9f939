//! Java's patterns of dates and times: `yyyy-MM-dd HH:mm:ss.SSS`.

use std::fmt::Write as _;

use super::calendar::{SECOND_NS, civil_from_days, day_of_year, days_from_civil, days_of_month, iso_weekday};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A pattern, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Text(String),
    Field(Field, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    DayOfYear,
    Weekday,
    AmPm,
    /// 0 to 23.
    Hour,
    /// 1 to 24.
    Hour24,
    /// 0 to 11.
    Hour12From0,
    /// 1 to 12.
    Hour12,
    Minute,
    Second,
    Fraction,
}

impl Field {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'y' | 'u' => Self::Year,
            'M' | 'L' => Self::Month,
            'd' => Self::Day,
            'D' => Self::DayOfYear,
            'E' => Self::Weekday,
            'a' => Self::AmPm,
            'H' => Self::Hour,
            'k' => Self::Hour24,
            'K' => Self::Hour12From0,
            'h' => Self::Hour12,
            'm' => Self::Minute,
            's' => Self::Second,
            'S' => Self::Fraction,
            _ => return None,
        })
    }

    /// Most letters in a row that mean something.
    fn count_max(self) -> usize {
        match self {
            Self::Year | Self::Month | Self::Weekday => 4,
            Self::DayOfYear => 3,
            Self::AmPm => 1,
            Self::Fraction => 9,
            _ => 2,
        }
    }
}

/// How exactly text has to follow a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// As Java's `DateTimeFormatter`: the digits that the pattern says, and nothing behind.
    Strict,
    /// As Java's `SimpleDateFormat`: fewer digits will do, and what is behind is ignored.
    Lenient,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Letters that are not supported, and quotes that are left open, in words.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let mut items: Vec<Item> = vec![];
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            if first == '\'' {
                let (text, behind) =
                    quoted(&rest[1..]).ok_or_else(|| format!("the quote in '{pattern}' is left open"))?;
                push_text(&mut items, &text);
                rest = behind;
            } else if first.is_ascii_alphabetic() {
                let count = rest.chars().take_while(|letter| *letter == first).count();
                let field = Field::of(first).filter(|field| count <= field.count_max());
                let field = field.ok_or_else(|| {
                    let letters = &rest[..count];
                    format!("{letters} in the pattern '{pattern}' is not supported; y M d D E a H k K h m s S are")
                })?;
                items.push(Item::Field(field, count));
                rest = &rest[count..];
            } else if matches!(first, '[' | ']' | '{' | '}' | '#') {
                return Err(format!("{first} in the pattern '{pattern}' is reserved: put it in quotes"));
            } else {
                push_text(&mut items, first.encode_utf8(&mut [0; 4]));
                rest = &rest[first.len_utf8()..];
            }
        }
        Ok(Self { items })
    }

    /// Writes a moment: days since 1970-01-01 and nanoseconds of the day.
    pub fn write(&self, days: i64, nanos: i64, out: &mut String) {
        let (year, month, day) = civil_from_days(days);
        let seconds = nanos / SECOND_NS;
        let hour = seconds / 3_600;
        for item in &self.items {
            let (field, count) = match item {
                Item::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Item::Field(field, count) => (*field, *count),
            };
            let number = match field {
                Field::Year if count == 2 => year.rem_euclid(100),
                Field::Year => year,
                Field::Month if count > 2 => {
                    write_name(MONTHS[month as usize - 1], count, out);
                    continue;
                }
                Field::Weekday => {
                    write_name(WEEKDAYS[iso_weekday(days) as usize - 1], count, out);
                    continue;
                }
                Field::AmPm => {
                    out.push_str(if hour < 12 { "AM" } else { "PM" });
                    continue;
                }
                Field::Fraction => {
                    let fraction = nanos % SECOND_NS / 10_i64.pow(9 - count as u32);
                    write!(out, "{fraction:0count$}").expect("a String takes all that is written");
                    continue;
                }
                Field::Month => i64::from(month),
                Field::Day => i64::from(day),
                Field::DayOfYear => i64::from(day_of_year(days)),
                Field::Hour => hour,
                Field::Hour24 => (hour + 23) % 24 + 1,
                Field::Hour12From0 => hour % 12,
                Field::Hour12 => (hour + 11) % 12 + 1,
                Field::Minute => seconds / 60 % 60,
                Field::Second => seconds % 60,
            };
            write!(out, "{number:0count$}").expect("a String takes all that is written");
        }
    }

    /// Reads a moment; missing fields are those of 1970-01-01 00:00:00. `None` where the text does not follow the
    /// pattern or is no moment.
    pub fn read(&self, text: &str, strictness: Strictness) -> Option<(i64, i64)> {
        let mut parts = Parts { year: 1970, month: 1, day: 1, ..Parts::default() };
        let mut rest = text;
        for (place, item) in self.items.iter().enumerate() {
            match item {
                Item::Text(expected) => rest = rest.strip_prefix(expected.as_str())?,
                Item::Field(field, count) => {
                    // Digits that follow without a separator belong to the next field.
                    let is_adjacent = matches!(self.items.get(place + 1), Some(Item::Field(..)));
                    parts.read(*field, *count, strictness, is_adjacent, &mut rest)?;
                }
            }
        }
        (strictness == Strictness::Lenient || rest.is_empty()).then(|| parts.joined())?
    }
}

fn quoted(rest: &str) -> Option<(String, &str)> {
    // Two quotes in a row are one, within quotes and outside.
    if let Some(behind) = rest.strip_prefix('\'') {
        return Some(("'".to_owned(), behind));
    }
    let mut text = String::new();
    let mut rest = rest;
    loop {
        let end = rest.find('\'')?;
        text.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(behind) => {
                text.push('\'');
                rest = behind;
            }
            None => return Some((text, rest)),
        }
    }
}

fn push_text(items: &mut Vec<Item>, text: &str) {
    match items.last_mut() {
        Some(Item::Text(before)) => before.push_str(text),
        _ => items.push(Item::Text(text.to_owned())),
    }
}

fn write_name(name: &str, count: usize, out: &mut String) {
    out.push_str(if count > 3 { name } else { &name[..3] });
}

#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    year: i64,
    month: u32,
    day: u32,
    day_of_year: Option<u32>,
    hour: i64,
    hour_of_half: Option<i64>,
    is_pm: bool,
    minute: i64,
    second: i64,
    nanos: i64,
}

impl Parts {
    fn read(
        &mut self,
        field: Field,
        count: usize,
        strictness: Strictness,
        is_adjacent: bool,
        rest: &mut &str,
    ) -> Option<()> {
        match field {
            Field::AmPm => {
                let half = rest.get(..2)?;
                self.is_pm = half.eq_ignore_ascii_case("PM");
                if !self.is_pm && !half.eq_ignore_ascii_case("AM") {
                    return None;
                }
                *rest = &rest[2..];
                return Some(());
            }
            Field::Weekday => return name(&WEEKDAYS, count, rest).map(|_| ()),
            Field::Month if count > 2 => {
                self.month = name(&MONTHS, count, rest)? as u32 + 1;
                return Some(());
            }
            _ => {}
        }
        let (least, most) = widths(field, count, strictness, is_adjacent);
        let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if digits < least {
            return None;
        }
        let number: i64 = rest[..digits].parse().ok()?;
        *rest = &rest[digits..];
        let small = |range: std::ops::RangeInclusive<i64>| range.contains(&number).then_some(number);
        match field {
            // Two digits mean 2000 to 2099, as in Java's DateTimeFormatter.
            Field::Year if count == 2 && digits == 2 => self.year = 2000 + number,
            Field::Year => self.year = small(0..=9999)?,
            Field::Month => self.month = small(1..=12)? as u32,
            Field::Day => self.day = small(1..=31)? as u32,
            Field::DayOfYear => self.day_of_year = Some(small(1..=366)? as u32),
            Field::Hour => self.hour = small(0..=23)?,
            Field::Hour24 => self.hour = small(1..=24)? % 24,
            Field::Hour12From0 => self.hour_of_half = Some(small(0..=11)?),
            Field::Hour12 => self.hour_of_half = Some(small(1..=12)? % 12),
            Field::Minute => self.minute = small(0..=59)?,
            Field::Second => self.second = small(0..=59)?,
            Field::Fraction => self.nanos = number * 10_i64.pow(9 - digits as u32),
            Field::Weekday | Field::AmPm => return None,
        }
        Some(())
    }

    fn joined(&self) -> Option<(i64, i64)> {
        if self.day > days_of_month(self.year, self.month) {
            return None;
        }
        let days = match self.day_of_year {
            None => days_from_civil(self.year, self.month, self.day),
            Some(day) => {
                let days = days_from_civil(self.year, 1, 1) + i64::from(day) - 1;
                (civil_from_days(days).0 == self.year).then_some(days)?
            }
        };
        let hour = self.hour_of_half.map_or(self.hour, |hour| hour + if self.is_pm { 12 } else { 0 });
        Some((days, ((hour * 60 + self.minute) * 60 + self.second) * SECOND_NS + self.nanos))
    }
}

/// Least and most digits of a field.
fn widths(field: Field, count: usize, strictness: Strictness, is_adjacent: bool) -> (usize, usize) {
    let natural = match field {
        Field::Year => 4,
        Field::DayOfYear => 3,
        Field::Fraction => 9,
        _ => 2,
    };
    match (strictness, is_adjacent) {
        (_, true) => (count, count),
        (Strictness::Strict, _) if field == Field::Year && count != 2 => (count.min(4), 4),
        (Strictness::Strict, _) if count == 1 => (1, natural),
        (Strictness::Strict, _) => (count, count),
        (Strictness::Lenient, _) => (1, natural),
    }
}

/// Position of the name that the text begins with.
fn name(names: &[&str], count: usize, rest: &mut &str) -> Option<usize> {
    let found = names.iter().position(|name| {
        let name = if count > 3 { name } else { &name[..3] };
        rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
    })?;
    let length = if count > 3 { names[found].len() } else { 3 };
    *rest = &rest[length..];
    Some(found)
}
