//! Which types can be cast to which.

use crate::error::{Error, Result, counted};
use crate::sql::types::FlinkType;

/// Whether Flink has such a cast.
///
/// # Errors
/// If it has not; the help names a way round.
pub(super) fn check(from: FlinkType, to: FlinkType) -> Result<()> {
    use FlinkType as T;
    let is_point = |flink: T| flink.is_timestamp() || flink == T::Date;
    let is_known = match (from, to) {
        (_, T::Null) => false,
        (T::Null, _) => true,
        (from, to) if from.is_string() => !to.is_interval() && !to.is_nested(),
        (_, to) if to.is_string() => true,
        (from, to) if from.is_numeric() && to.is_numeric() => true,
        (from, T::Boolean) => from.is_integer() || from == T::Boolean,
        (T::Boolean, to) => to.is_numeric(),
        (from, to) if from.is_bytes() && to.is_bytes() => true,
        (from, to) if is_point(from) && is_point(to) => true,
        (T::Timestamp(_) | T::TimestampLtz(_) | T::Time(_), T::Time(_)) => true,
        (T::Time(_), to) => to.is_timestamp(),
        (T::Array(from), T::Array(to)) => return check(from.flink, to.flink),
        (T::Map(from), T::Map(to)) => {
            check(from.key, to.key)?;
            return check(from.value.flink, to.value.flink);
        }
        (T::Row(from), T::Row(to)) if from.fields.len() == to.fields.len() => {
            let mut pairs = from.fields.iter().zip(&to.fields);
            return pairs.try_for_each(|(from, to)| check(from.value.flink, to.value.flink));
        }
        (from, to) => from == to,
    };
    if is_known {
        return Ok(());
    }
    let error = Error::statement(format!("cannot cast {from} to {to}"));
    Err(match (from, to) {
        (from, T::Timestamp(_)) if from.is_numeric() => {
            error.help("CAST(TO_TIMESTAMP_LTZ(milliseconds, 3) AS TIMESTAMP(3)) makes a timestamp of a number")
        }
        (from, T::TimestampLtz(_)) if from.is_numeric() => {
            error.help("TO_TIMESTAMP_LTZ(milliseconds, 3) makes an instant of a number")
        }
        (from, to) if from.is_timestamp() && to.is_numeric() => {
            error.help("TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', …) makes a number of a timestamp")
        }
        (T::Row(from), T::Row(to)) => {
            error.help(format!("the first has {}, the second {}", counted(from.fields.len(), "field"), to.fields.len()))
        }
        (from, to) if from.is_string() && to.is_nested() => {
            error.help("a table with 'format' = 'json' reads such values")
        }
        (from, T::Boolean) if from.is_numeric() => error.help("compare instead: … <> 0"),
        (T::Array(_) | T::Map(_), _) => {
            error.help("a[1] and m['k'] take a value of it; CAST to STRING writes it as text")
        }
        (T::Row(_), _) => error.help("r.f takes a field of it; CAST to STRING writes it as text"),
        _ => error,
    })
}
