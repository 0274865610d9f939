//! Functions of dates, times and timestamps. The session's time zone is UTC.

mod text;
mod zone;

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::types::{
    Date32Type, Int32Type, Int64Type, Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};
use arrow_schema::{DataType, TimeUnit};
use datafusion_expr::ScalarUDF;

use super::arguments::Parameter::Integer;
use super::arguments::{accept, literal_text};
use super::binding::{Argument, Binding, Declared, Form, Value};
use super::calendar::{
    DAY_NS, SECOND_NS, add_months, civil_from_days, day_of_year, days_from_civil, iso_week, iso_weekday,
};
use super::columns::{Numbers, primitive_rows};
use super::moments::joined;
use crate::error::{Error, Result, with_article};
use crate::sql::cast::moments;
use crate::sql::types::FlinkType;

/// The functions of this family.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let call = |name, bind| Declared::udf(name, Form::Call, bind);
    let refused = |name| call(name, refuse_clock);
    vec![
        call("EXTRACT", bind_extract),
        call("YEAR", |name, arguments| bind_part(name, arguments, Unit::Year)),
        call("QUARTER", |name, arguments| bind_part(name, arguments, Unit::Quarter)),
        call("MONTH", |name, arguments| bind_part(name, arguments, Unit::Month)),
        call("WEEK", |name, arguments| bind_part(name, arguments, Unit::Week)),
        call("DAYOFYEAR", |name, arguments| bind_part(name, arguments, Unit::DayOfYear)),
        call("DAYOFMONTH", |name, arguments| bind_part(name, arguments, Unit::Day)),
        call("DAYOFWEEK", |name, arguments| bind_part(name, arguments, Unit::DayOfWeek)),
        call("HOUR", |name, arguments| bind_part(name, arguments, Unit::Hour)),
        call("MINUTE", |name, arguments| bind_part(name, arguments, Unit::Minute)),
        call("SECOND", |name, arguments| bind_part(name, arguments, Unit::Second)),
        call("DATE_FORMAT", text::bind_date_format),
        call("TO_TIMESTAMP", text::bind_to_timestamp),
        call("TO_DATE", text::bind_to_date),
        call("TO_TIMESTAMP_LTZ", text::bind_to_timestamp_ltz),
        call("FROM_UNIXTIME", text::bind_from_unixtime),
        call("UNIX_TIMESTAMP", text::bind_unix_timestamp),
        call("TIMESTAMPADD", bind_timestampadd),
        call("TIMESTAMPDIFF", bind_timestampdiff),
        call("CONVERT_TZ", zone::bind_convert_tz),
        refused("NOW"),
        refused("CURRENT_TIMESTAMP"),
        refused("CURRENT_ROW_TIMESTAMP"),
        refused("LOCALTIMESTAMP"),
        refused("LOCALTIME"),
        refused("CURRENT_TIME"),
        refused("CURRENT_DATE"),
        refused("PROCTIME"),
        refused("RAND"),
        refused("RAND_INTEGER"),
        refused("UUID"),
    ]
}

fn refuse_clock(name: &'static str, _: &[Argument]) -> Result<Binding> {
    Err(Error::statement(format!(
        "{name} is not supported: its value differs from run to run, and so would the result"
    ))
    .help("use a time or a value that the input carries, or a constant such as TIMESTAMP '2026-01-31 12:00:00'"))
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Millennium,
    Century,
    Decade,
    Year,
    IsoYear,
    Quarter,
    Month,
    Week,
    Day,
    DayOfYear,
    DayOfWeek,
    IsoDayOfWeek,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    Epoch,
}

impl Unit {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "MILLENNIUM" | "MILLENIUM" => Self::Millennium,
            "CENTURY" => Self::Century,
            "DECADE" => Self::Decade,
            "YEAR" | "SQL_TSI_YEAR" => Self::Year,
            "ISOYEAR" => Self::IsoYear,
            "QUARTER" | "SQL_TSI_QUARTER" => Self::Quarter,
            "MONTH" | "SQL_TSI_MONTH" => Self::Month,
            "WEEK" | "SQL_TSI_WEEK" => Self::Week,
            "DAY" | "SQL_TSI_DAY" => Self::Day,
            "DOY" | "DAYOFYEAR" => Self::DayOfYear,
            "DOW" | "DAYOFWEEK" => Self::DayOfWeek,
            "ISODOW" => Self::IsoDayOfWeek,
            "HOUR" | "SQL_TSI_HOUR" => Self::Hour,
            "MINUTE" | "SQL_TSI_MINUTE" => Self::Minute,
            "SECOND" | "SQL_TSI_SECOND" => Self::Second,
            "MILLISECOND" => Self::Millisecond,
            "MICROSECOND" => Self::Microsecond,
            "NANOSECOND" => Self::Nanosecond,
            "EPOCH" => Self::Epoch,
            _ => return None,
        })
    }

    /// Nanoseconds of a unit that is shorter than a day.
    fn nanos(self) -> Option<i64> {
        Some(match self {
            Self::Hour => 3_600 * SECOND_NS,
            Self::Minute => 60 * SECOND_NS,
            Self::Second => SECOND_NS,
            Self::Millisecond => 1_000_000,
            Self::Microsecond => 1_000,
            Self::Nanosecond => 1,
            _ => return None,
        })
    }

    /// Months of a unit that is made of months.
    fn months(self) -> Option<i64> {
        Some(match self {
            Self::Millennium => 12_000,
            Self::Century => 1_200,
            Self::Decade => 120,
            Self::Year => 12,
            Self::Quarter => 3,
            Self::Month => 1,
            _ => return None,
        })
    }
}

/// The unit that a call names as a constant.
fn unit_of(name: &str, argument: &Argument) -> Result<Unit> {
    let text = literal_text(Some(argument)).unwrap_or_default();
    Unit::named(text).ok_or_else(|| {
        Error::statement(format!("{name} of the unit '{text}'"))
            .help("units are YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, MILLISECOND")
    })
}

/// The type in which a point in time is taken: strings are read as timestamps.
fn point_type(name: &str, flink: FlinkType) -> Result<FlinkType> {
    match flink {
        FlinkType::Null => Ok(FlinkType::Timestamp(3)),
        flink if flink.is_timestamp() || matches!(flink, FlinkType::Date | FlinkType::Time(_)) => Ok(flink),
        other => Err(Error::statement(format!("{name} takes a date, time or timestamp, not {other}"))
            .help("TO_TIMESTAMP(string) or CAST(… AS TIMESTAMP(3)) makes a timestamp")),
    }
}

/// Days since 1970-01-01 and nanoseconds of the day of a row; a time of day is on day 0.
type Moments<'a> = Box<dyn Fn(usize) -> Option<(i64, i64)> + 'a>;

fn moments_of(value: &Value) -> Result<Moments<'_>, String> {
    Ok(match value.array.data_type() {
        DataType::Date32 => {
            let dates = Numbers::<Date32Type>::of(value);
            Box::new(move |row| dates.get(row).map(|days| (i64::from(days), 0)))
        }
        DataType::Time32(_) => {
            let times = Numbers::<Time32MillisecondType>::of(value);
            Box::new(move |row| times.get(row).map(|ms| (0, (i64::from(ms) * 1_000_000).rem_euclid(DAY_NS))))
        }
        _ => Box::new(moments(value)?),
    })
}

/// A column of points in time from moments.
fn points(
    result: FlinkType,
    rows: usize,
    f: impl Fn(usize) -> Result<Option<(i64, i64)>, String>,
) -> Result<ArrayRef, String> {
    let out_of_range = || format!("the result is out of the range of {result}");
    let timestamp = |row: usize, per_second: i64| match f(row)? {
        None => Ok(None),
        Some((days, nanos)) => joined(days, nanos, per_second).map(Some).ok_or_else(out_of_range),
    };
    match result.to_arrow() {
        DataType::Date32 => primitive_rows::<Date32Type>(rows, result, |row| match f(row)? {
            None => Ok(None),
            Some((days, _)) => i32::try_from(days).map(Some).map_err(|_| out_of_range()),
        }),
        DataType::Time32(_) => primitive_rows::<Time32MillisecondType>(rows, result, |row| {
            Ok(f(row)?.map(|(_, nanos)| (nanos / 1_000_000) as i32))
        }),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            primitive_rows::<TimestampMillisecondType>(rows, result, |row| timestamp(row, 1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            primitive_rows::<TimestampMicrosecondType>(rows, result, |row| timestamp(row, 1_000_000))
        }
        _ => primitive_rows::<TimestampNanosecondType>(rows, result, |row| timestamp(row, SECOND_NS)),
    }
}

/// The front-end gives the unit first.
fn bind_extract(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [unit, point] = arguments else {
        return Err(Error::statement("EXTRACT takes a unit and a point in time").help("EXTRACT(HOUR FROM ts)"));
    };
    let unit = unit_of(name, unit)?;
    extract(name, point, unit, vec![FlinkType::STRING])
}

fn bind_part(name: &'static str, arguments: &[Argument], unit: Unit) -> Result<Binding> {
    match arguments {
        [point] => extract(name, point, unit, vec![]),
        _ => Err(Error::statement(format!("{name} takes one argument, not {}", arguments.len()))),
    }
}

fn extract(name: &str, point: &Argument, unit: Unit, mut types: Vec<FlinkType>) -> Result<Binding> {
    if point.flink.is_interval() {
        return Err(Error::statement(format!("{name} of an interval is not supported")));
    }
    let flink = point_type(name, point.flink)?;
    let is_of_day = unit.nanos().is_some();
    if matches!(flink, FlinkType::Time(_)) && !is_of_day {
        return Err(Error::statement(format!("{name}: {} has no {unit:?}", with_article(&flink.to_string()))));
    }
    types.push(flink);
    let place = types.len() - 1;
    Ok(Binding::strict(types, FlinkType::BigInt, move |arguments, rows| {
        let moment = moments_of(&arguments[place])?;
        primitive_rows::<Int64Type>(rows, FlinkType::BigInt, |row| {
            Ok(moment(row).map(|(days, nanos)| part(unit, days, nanos)))
        })
    }))
}

fn part(unit: Unit, days: i64, nanos: i64) -> i64 {
    let (year, month, day) = civil_from_days(days);
    // The first century is 1 to 100.
    let counted = |years: i64| if year > 0 { (year + years - 1) / years } else { (year - years + 1) / years };
    match unit {
        Unit::Millennium => counted(1_000),
        Unit::Century => counted(100),
        Unit::Decade => year.div_euclid(10),
        Unit::Year => year,
        Unit::IsoYear => iso_week(days).0,
        Unit::Quarter => i64::from(month.div_ceil(3)),
        Unit::Month => i64::from(month),
        Unit::Week => i64::from(iso_week(days).1),
        Unit::Day => i64::from(day),
        Unit::DayOfYear => i64::from(day_of_year(days)),
        Unit::DayOfWeek => i64::from(iso_weekday(days) % 7 + 1),
        Unit::IsoDayOfWeek => i64::from(iso_weekday(days)),
        Unit::Hour => nanos / SECOND_NS / 3_600,
        Unit::Minute => nanos / SECOND_NS / 60 % 60,
        Unit::Second => nanos / SECOND_NS % 60,
        Unit::Millisecond => nanos / 1_000_000 % 1_000,
        Unit::Microsecond => nanos / 1_000 % 1_000_000,
        Unit::Nanosecond => nanos % SECOND_NS,
        Unit::Epoch => days * 86_400 + nanos / SECOND_NS,
    }
}

/// FLOOR and CEIL of a point in time to a unit.
pub(crate) fn bind_rounding(name: &'static str, point: &Argument, unit: &Argument, is_up: bool) -> Result<Binding> {
    if point.flink.is_numeric() {
        return Err(Error::statement(format!("{name} takes one number")).help("ROUND(x, digits) keeps digits"));
    }
    let unit = unit_of(name, unit)?;
    let flink = point_type(name, point.flink)?;
    let is_known = unit.nanos().is_some() || unit.months().is_some() || matches!(unit, Unit::Week | Unit::Day);
    let is_fitting = match flink {
        FlinkType::Time(_) => unit.nanos().is_some(),
        FlinkType::Date => unit.nanos().is_none(),
        _ => true,
    };
    if !is_known || !is_fitting {
        return Err(Error::statement(format!("{name} of {} to {unit:?}", with_article(&flink.to_string()))));
    }
    Ok(Binding::strict(vec![flink, FlinkType::STRING], flink, move |arguments, rows| {
        let moment = moments_of(&arguments[0])?;
        points(flink, rows, |row| Ok(moment(row).map(|(days, nanos)| rounded(unit, days, nanos, is_up))))
    }))
}

fn rounded(unit: Unit, days: i64, nanos: i64, is_up: bool) -> (i64, i64) {
    if let Some(length) = unit.nanos() {
        let floor = nanos - nanos % length;
        let rounded = if is_up && floor < nanos { floor + length } else { floor };
        return (days + rounded / DAY_NS, rounded % DAY_NS);
    }
    let (floor, next) = match (unit, unit.months()) {
        // Weeks begin on Sunday here, as in Flink.
        (Unit::Week, _) => {
            let floor = days - i64::from(iso_weekday(days) % 7);
            (floor, floor + 7)
        }
        (_, Some(months)) => {
            let (year, month, _) = civil_from_days(days);
            let since_0 = year * 12 + i64::from(month) - 1;
            // Centuries and millennia begin with their year 1.
            let shift = if months > 120 { 12 } else { 0 };
            let first = (since_0 - shift).div_euclid(months) * months + shift;
            let day = |months: i64| days_from_civil(months.div_euclid(12), months.rem_euclid(12) as u32 + 1, 1);
            (day(first), day(first + months))
        }
        _ => (days, days + 1),
    };
    let is_exact = floor == days && nanos == 0;
    (if is_up && !is_exact { next } else { floor }, 0)
}

fn bind_timestampadd(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [unit, amount, point] = arguments else {
        return Err(Error::statement("TIMESTAMPADD takes three arguments").help("TIMESTAMPADD(DAY, 1, ts)"));
    };
    let unit = unit_of(name, unit)?;
    let flink = if point.flink.is_string() { FlinkType::Timestamp(3) } else { point_type(name, point.flink)? };
    accept(name, "TIMESTAMPADD(DAY, 1, ts)", &[Integer], 1, std::slice::from_ref(amount))?;
    let months = unit.months();
    let nanos = unit.nanos().or(match unit {
        Unit::Day => Some(DAY_NS),
        Unit::Week => Some(7 * DAY_NS),
        _ => None,
    });
    if months.is_none() && nanos.is_none() {
        return Err(Error::statement(format!("TIMESTAMPADD of the unit {unit:?}")));
    }
    // Hours make a timestamp of a date.
    let result = match flink {
        FlinkType::Date if unit.nanos().is_some() => FlinkType::Timestamp(3),
        flink => flink,
    };
    let types = vec![FlinkType::STRING, FlinkType::BigInt, flink];
    Ok(Binding::strict(types, result, move |arguments, rows| {
        let amounts = Numbers::<Int64Type>::of(&arguments[1]);
        let moment = moments_of(&arguments[2])?;
        points(result, rows, |row| {
            let Some(((days, of_day), amount)) = moment(row).zip(amounts.get(row)) else { return Ok(None) };
            let moved = moved(days, of_day, amount, months, nanos);
            moved.map(Some).ok_or_else(|| format!("the result is out of the range of {result}"))
        })
    }))
}

fn moved(days: i64, of_day: i64, amount: i64, months: Option<i64>, nanos: Option<i64>) -> Option<(i64, i64)> {
    /// Far more than any type holds, and far from what the calendar's arithmetic can bear.
    const MONTHS_MAX: i64 = 1 << 36;
    if let Some(months) = months {
        let months = amount.checked_mul(months).filter(|months| months.abs() < MONTHS_MAX)?;
        return Some((add_months(days, months), of_day));
    }
    let total = i128::from(of_day) + i128::from(amount) * i128::from(nanos?);
    let shift = i64::try_from(total.div_euclid(i128::from(DAY_NS))).ok()?;
    Some((days.checked_add(shift)?, total.rem_euclid(i128::from(DAY_NS)) as i64))
}

fn bind_timestampdiff(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [unit, from, to] = arguments else {
        return Err(
            Error::statement("TIMESTAMPDIFF takes three arguments").help("TIMESTAMPDIFF(SECOND, earlier, later)")
        );
    };
    let unit = unit_of(name, unit)?;
    let taken = |argument: &Argument| {
        if argument.flink.is_string() { Ok(FlinkType::Timestamp(3)) } else { point_type(name, argument.flink) }
    };
    let (from, to) = (taken(from)?, taken(to)?);
    let is_zoned = |flink: FlinkType| matches!(flink, FlinkType::TimestampLtz(_));
    if is_zoned(from) != is_zoned(to) {
        return Err(Error::statement(format!("TIMESTAMPDIFF of {from} and {to}"))
            .help("cast one of them: CAST(… AS TIMESTAMP_LTZ(3))"));
    }
    let nanos = unit.nanos().or(match unit {
        Unit::Day => Some(DAY_NS),
        Unit::Week => Some(7 * DAY_NS),
        _ => None,
    });
    let months = unit.months();
    if nanos.is_none() && months.is_none() {
        return Err(Error::statement(format!("TIMESTAMPDIFF of the unit {unit:?}")));
    }
    let types = vec![FlinkType::STRING, from, to];
    Ok(Binding::strict(types, FlinkType::Int, move |arguments, rows| {
        let (from, to) = (moments_of(&arguments[1])?, moments_of(&arguments[2])?);
        primitive_rows::<Int32Type>(rows, FlinkType::Int, |row| {
            let Some((from, to)) = from(row).zip(to(row)) else { return Ok(None) };
            let difference = match (nanos, months) {
                (Some(nanos), _) => {
                    let of = |(days, of_day): (i64, i64)| i128::from(days) * i128::from(DAY_NS) + i128::from(of_day);
                    // Flink counts in milliseconds: what is finer is cut off on both sides.
                    let ms = |nanos: i128| nanos.div_euclid(1_000_000);
                    let unit = i128::from(nanos.max(1_000_000) / 1_000_000);
                    match nanos {
                        1_000_000.. => (ms(of(to)) - ms(of(from))) / unit,
                        finer => (of(to) - of(from)) / i128::from(finer),
                    }
                }
                (None, months) => i128::from(months_between(from, to) / months.unwrap_or(1)),
            };
            i32::try_from(difference).map(Some).map_err(|_| format!("{difference} does not fit INT"))
        })
    }))
}

/// Whole months from one moment to another; below 0 if the second is earlier.
fn months_between(from: (i64, i64), to: (i64, i64)) -> i64 {
    if to < from {
        return -months_between(to, from);
    }
    let ((from_year, from_month, _), (to_year, to_month, _)) = (civil_from_days(from.0), civil_from_days(to.0));
    let months = (to_year - from_year) * 12 + i64::from(to_month) - i64::from(from_month);
    if (add_months(from.0, months), from.1) > to { months - 1 } else { months }
}
