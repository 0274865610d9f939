//! `+` and `−` on dates, times, timestamps and intervals.

use arrow_array::ArrowPrimitiveType;
use arrow_array::types::{
    Date32Type, DurationMillisecondType, IntervalYearMonthType, Time32MillisecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_schema::{DataType, TimeUnit};

use super::super::functions::binding::{Binding, Value};
use super::super::functions::calendar::{DAY_MS, add_months};
use super::super::functions::columns::{all_null, has_null_scalar, natives, nulls_of, primitive, try_rows, try_unary};
use super::Operation;
use crate::error::{Error, Result};
use crate::sql::types::FlinkType;

/// `left operation right` where one of them is no number; `None` if there is no such operation.
pub(super) fn bind(operation: Operation, left: FlinkType, right: FlinkType) -> Option<Result<Binding>> {
    use FlinkType as T;
    let sign = match operation {
        Operation::Add => 1,
        Operation::Subtract => -1,
        _ => return None,
    };
    let is_point = |flink: T| flink.is_timestamp() || matches!(flink, T::Date | T::Time(_));
    match (left, right) {
        (l, r) if is_point(l) && is_point(r) => {
            Some(Err(Error::statement(format!("cannot compute {l}{}{r}", operation.spaced()))
                .help("the time between two points: TIMESTAMPDIFF(SECOND, earlier, later)")))
        }
        (l, r) if l.is_interval() && l == r => Some(Ok(interval(l, sign))),
        (l, r) if is_point(l) && r.is_interval() => Some(Ok(point(l, r, sign, 0))),
        (l, r) if sign == 1 && l.is_interval() && is_point(r) => Some(Ok(point(r, l, sign, 1))),
        // A bare NULL beside an interval or a point in time: NULL of the point's type.
        (T::Null, r) if r.is_interval() => Some(Ok(interval(r, sign))),
        (l, T::Null) if l.is_interval() => Some(Ok(interval(l, sign))),
        (l, T::Null) if is_point(l) => Some(Ok(point(l, T::IntervalDayTime, sign, 0))),
        _ => None,
    }
}

/// `−interval`.
pub(super) fn negate(flink: FlinkType) -> Binding {
    Binding::strict(vec![flink], flink, move |arguments, rows| match flink {
        FlinkType::IntervalYearMonth => {
            try_unary::<IntervalYearMonthType, IntervalYearMonthType>(arguments, rows, flink, |months| {
                months.checked_neg().ok_or_else(too_long)
            })
        }
        _ => try_unary::<DurationMillisecondType, DurationMillisecondType>(arguments, rows, flink, |ms| {
            ms.checked_neg().ok_or_else(too_long)
        }),
    })
}

fn too_long() -> String {
    "the interval is out of range".to_owned()
}

fn interval(flink: FlinkType, sign: i64) -> Binding {
    Binding::strict(vec![flink, flink], flink, move |arguments, rows| match flink {
        FlinkType::IntervalYearMonth => {
            pairs::<IntervalYearMonthType, IntervalYearMonthType>(arguments, rows, flink, 0, |l, r| {
                i32::try_from(i64::from(l) + sign * i64::from(r)).map_err(|_| too_long())
            })
        }
        _ => pairs::<DurationMillisecondType, DurationMillisecondType>(arguments, rows, flink, 0, |l, r| {
            r.checked_mul(sign).and_then(|r| l.checked_add(r)).ok_or_else(too_long)
        }),
    })
}

/// A point in time, which is argument `place` (0 or 1), and an interval, which is the other.
fn point(point: FlinkType, interval: FlinkType, sign: i64, place: usize) -> Binding {
    let arguments = if place == 0 { vec![point, interval] } else { vec![interval, point] };
    Binding::strict(arguments, point, move |arguments, rows| {
        let is_months = interval == FlinkType::IntervalYearMonth;
        match (point.to_arrow(), is_months) {
            (DataType::Date32, true) => {
                pairs::<Date32Type, IntervalYearMonthType>(arguments, rows, point, place, |days, months| {
                    let moved = add_months(i64::from(days), sign * i64::from(months));
                    i32::try_from(moved).map_err(|_| out_of_range(point))
                })
            }
            (DataType::Date32, false) => {
                pairs::<Date32Type, DurationMillisecondType>(arguments, rows, point, place, |days, ms| {
                    i32::try_from(i64::from(days) + sign * (ms / DAY_MS)).map_err(|_| out_of_range(point))
                })
            }
            (DataType::Time32(_), true) => {
                pairs::<Time32MillisecondType, IntervalYearMonthType>(arguments, rows, point, place, |ms, _| Ok(ms))
            }
            (DataType::Time32(_), false) => {
                pairs::<Time32MillisecondType, DurationMillisecondType>(arguments, rows, point, place, |time, ms| {
                    Ok((i64::from(time) + sign * (ms % DAY_MS)).rem_euclid(DAY_MS) as i32)
                })
            }
            (DataType::Timestamp(TimeUnit::Millisecond, _), _) => {
                timestamp::<TimestampMillisecondType>(arguments, rows, point, is_months, sign, place, 1)
            }
            (DataType::Timestamp(TimeUnit::Microsecond, _), _) => {
                timestamp::<TimestampMicrosecondType>(arguments, rows, point, is_months, sign, place, 1_000)
            }
            _ => timestamp::<TimestampNanosecondType>(arguments, rows, point, is_months, sign, place, 1_000_000),
        }
    })
}

fn timestamp<T: ArrowPrimitiveType<Native = i64>>(
    arguments: &[Value],
    rows: usize,
    point: FlinkType,
    is_months: bool,
    sign: i64,
    place: usize,
    units_per_ms: i64,
) -> Result<arrow_array::ArrayRef, String> {
    if is_months {
        let units_per_day = DAY_MS * units_per_ms;
        return pairs::<T, IntervalYearMonthType>(arguments, rows, point, place, |time, months| {
            let (days, rest) = (time.div_euclid(units_per_day), time.rem_euclid(units_per_day));
            let days = add_months(days, sign * i64::from(months));
            let moved = i128::from(days) * i128::from(units_per_day) + i128::from(rest);
            i64::try_from(moved).map_err(|_| out_of_range(point))
        });
    }
    pairs::<T, DurationMillisecondType>(arguments, rows, point, place, |time, ms| {
        let units = ms.checked_mul(sign * units_per_ms);
        units.and_then(|units| time.checked_add(units)).ok_or_else(|| out_of_range(point))
    })
}

fn out_of_range(flink: FlinkType) -> String {
    format!("the result is out of the range of {flink}")
}

/// `f` of each pair: the argument at `place` first.
fn pairs<P: ArrowPrimitiveType, I: ArrowPrimitiveType>(
    arguments: &[Value],
    rows: usize,
    result: FlinkType,
    place: usize,
    f: impl Fn(P::Native, I::Native) -> Result<P::Native, String>,
) -> Result<arrow_array::ArrayRef, String> {
    if has_null_scalar(arguments) {
        return Ok(all_null(result, rows));
    }
    let nulls = nulls_of(arguments, rows);
    let (point, interval) = (&arguments[place], &arguments[1 - place]);
    let (points, intervals) = (natives::<P>(point), natives::<I>(interval));
    let values =
        try_rows(rows, nulls.as_ref(), |row| f(points[row * point.stride()], intervals[row * interval.stride()]))?;
    Ok(primitive::<P>(values, nulls, result))
}
