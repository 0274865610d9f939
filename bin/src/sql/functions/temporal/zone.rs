//! Time zones: CONVERT_TZ.

use chrono::{LocalResult, NaiveDateTime, Offset, TimeZone};

use super::super::arguments::Parameter::Text;
use super::super::arguments::{accept, literal_text};
use super::super::binding::{Argument, Binding, Nullness, Value};
use super::super::calendar::{DAY_MS, SECOND_NS};
use super::super::columns::{Strings, string_rows};
use super::super::moments::write_timestamp;
use super::super::patterns::{Pattern, Strictness};
use crate::error::{Error, Result};
use crate::sql::types::FlinkType;

/// A time zone by name, or as `GMT+8`, `GMT-08:00`, `+08:00`.
#[derive(Clone, Copy, Debug)]
enum Zone {
    Named(chrono_tz::Tz),
    Fixed(i64),
}

impl Zone {
    fn named(name: &str) -> Result<Self, String> {
        let unknown = || format!("'{name}' is no time zone");
        let name = name.trim();
        if let Ok(zone) = name.parse::<chrono_tz::Tz>() {
            return Ok(Self::Named(zone));
        }
        // Java's short names that are not in the database of zones.
        if let "PST" = name {
            return Ok(Self::Named(chrono_tz::America::Los_Angeles));
        }
        let offset = ["GMT", "UTC"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        let (sign, digits) = match offset.split_at_checked(1) {
            Some(("+", digits)) => (1, digits),
            Some(("-", digits)) => (-1, digits),
            _ => return Err(unknown()),
        };
        let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
        let number = |text: &str, max: i64| text.parse::<i64>().ok().filter(|number| (0..=max).contains(number));
        match (number(hours, 18), number(minutes, 59)) {
            (Some(hours), Some(minutes)) => Ok(Self::Fixed(sign * (hours * 3_600 + minutes * 60))),
            _ => Err(unknown()),
        }
    }

    /// Seconds since 1970 of a time on the wall; a time that a change of the clock skips is moved as Java moves it.
    fn to_instant(self, wall_seconds: i64) -> Option<i64> {
        let zone = match self {
            Self::Fixed(offset) => return Some(wall_seconds - offset),
            Self::Named(zone) => zone,
        };
        let wall: NaiveDateTime = chrono::DateTime::from_timestamp(wall_seconds, 0)?.naive_utc();
        match zone.from_local_datetime(&wall) {
            LocalResult::Single(moment) => Some(moment.timestamp()),
            LocalResult::Ambiguous(_, later) => Some(later.timestamp()),
            LocalResult::None => {
                // The offset before the gap.
                let earlier = wall - chrono::TimeDelta::hours(3);
                let offset = zone.offset_from_local_datetime(&earlier).earliest()?.fix().local_minus_utc();
                Some(wall_seconds - i64::from(offset))
            }
        }
    }

    fn to_wall(self, instant: i64) -> Option<i64> {
        match self {
            Self::Fixed(offset) => Some(instant + offset),
            Self::Named(zone) => {
                let utc = chrono::DateTime::from_timestamp(instant, 0)?.naive_utc();
                Some(instant + i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()))
            }
        }
    }
}

pub(super) fn bind_convert_tz(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "CONVERT_TZ(string, from zone, to zone)", &[Text, Text, Text], 3, arguments)?;
    let constant =
        |place: usize| literal_text(arguments.get(place)).map(Zone::named).transpose().map_err(Error::statement);
    let constants = [constant(1)?, constant(2)?];
    let pattern = Pattern::parse(super::text::DEFAULT_PATTERN).map_err(Error::internal)?;
    let kernel = move |arguments: &[Value], rows: usize| {
        let [texts, from, to] = [0, 1, 2].map(|place| Strings::of(&arguments[place]));
        string_rows(rows, |row, out| {
            let (Some(text), Some(from), Some(to)) = (texts.get(row), from.get(row), to.get(row)) else {
                return Ok(false);
            };
            let zone = |constant: Option<Zone>, name: &str| constant.map_or_else(|| Zone::named(name), Ok);
            let (from, to) = (zone(constants[0], from)?, zone(constants[1], to)?);
            let Some((days, nanos)) = pattern.read(text, Strictness::Lenient) else { return Ok(false) };
            let wall = days * (DAY_MS / 1_000) + nanos / SECOND_NS;
            match from.to_instant(wall).and_then(|instant| to.to_wall(instant)) {
                None => Ok(false),
                Some(seconds) => {
                    write_timestamp(seconds, 1, 0, out);
                    Ok(true)
                }
            }
        })
    };
    Ok(Binding::strict(types, FlinkType::STRING, kernel).with_nullness(Nullness::Possible))
}
