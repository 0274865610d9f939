//! The type that values of different types have in common.

use crate::error::Error;
use crate::sql::arithmetic::decimals;
use crate::sql::types::{FlinkType, MapType, RowField, TypeWithin};

/// The type in which two values are compared.
pub(crate) fn comparison_type(left: FlinkType, right: FlinkType) -> Option<FlinkType> {
    let is_temporal = |flink: FlinkType| flink.is_timestamp() || matches!(flink, FlinkType::Date | FlinkType::Time(_));
    match (left, right) {
        (FlinkType::Null, FlinkType::Null) => Some(FlinkType::Boolean),
        (l, r) if l.is_string() && is_temporal(r) => Some(r),
        (l, r) if is_temporal(l) && r.is_string() => Some(l),
        (FlinkType::Date, r) if r.is_timestamp() => Some(r),
        (l, FlinkType::Date) if l.is_timestamp() => Some(l),
        (FlinkType::Timestamp(_), FlinkType::TimestampLtz(_))
        | (FlinkType::TimestampLtz(_), FlinkType::Timestamp(_)) => None,
        _ => common_type(&[left, right]),
    }
}

/// The type that all the values can have without losing anything; bare NULLs have any.
pub(crate) fn common_type(types: &[FlinkType]) -> Option<FlinkType> {
    let mut known = types.iter().copied().filter(|flink| *flink != FlinkType::Null);
    let Some(first) = known.next() else { return Some(FlinkType::Null) };
    known.try_fold(first, common_of_two)
}

fn common_of_two(left: FlinkType, right: FlinkType) -> Option<FlinkType> {
    use FlinkType as T;
    match (left, right) {
        (l, r) if l == r => Some(l),
        (l, r) if l.is_integer() && r.is_integer() => Some(if l.digits() >= r.digits() { l } else { r }),
        (l, r) if l.is_exact() && r.is_exact() => Some(decimals::common_type(l.digits()?, r.digits()?)),
        (l, r) if l.is_numeric() && r.is_numeric() => {
            let is_double = [l, r].iter().any(|flink| matches!(flink, T::Double | T::Decimal(..)));
            Some(if is_double { T::Double } else { T::Float })
        }
        (T::Char(l) | T::VarChar(l), T::Char(r) | T::VarChar(r)) => Some(T::VarChar(l.max(r))),
        (T::Binary(l) | T::VarBinary(l), T::Binary(r) | T::VarBinary(r)) => Some(T::VarBinary(l.max(r))),
        (T::Time(l), T::Time(r)) => Some(T::Time(l.max(r))),
        (T::Timestamp(l), T::Timestamp(r)) => Some(T::Timestamp(l.max(r))),
        (T::TimestampLtz(l) | T::Timestamp(l), T::TimestampLtz(r) | T::Timestamp(r)) => Some(T::TimestampLtz(l.max(r))),
        (T::Array(l), T::Array(r)) => Some(T::array_of(common_within(*l, *r)?)),
        (T::Map(l), T::Map(r)) => {
            let key = common_type(&[l.key, r.key])?;
            Some(T::map_of(MapType { key, value: common_within(l.value, r.value)? }))
        }
        (T::Row(l), T::Row(r)) if l.fields.len() == r.fields.len() => {
            let fields = l.fields.iter().zip(&r.fields);
            let common = |(l, r): (&RowField, &RowField)| {
                Some(RowField { name: l.name.clone(), value: common_within(l.value, r.value)? })
            };
            fields.map(common).collect::<Option<Vec<_>>>().map(T::row_of)
        }
        _ => None,
    }
}

fn common_within(left: TypeWithin, right: TypeWithin) -> Option<TypeWithin> {
    let flink = common_type(&[left.flink, right.flink])?;
    Some(TypeWithin { flink, is_nullable: left.is_nullable || right.is_nullable })
}

/// The error for values that have none.
pub(super) fn not_comparable(left: FlinkType, right: FlinkType) -> Error {
    let error = Error::statement(format!("cannot compare {left} with {right}"));
    if left.is_timestamp() && right.is_timestamp() {
        error.help("cast one of them: CAST(… AS TIMESTAMP_LTZ(3))")
    } else if left.is_timestamp() || right.is_timestamp() {
        error.help("compare it with a time: TIMESTAMP '2026-01-31 23:59:59', or ts - INTERVAL '1' HOUR")
    } else {
        error.help("cast one of them to the type of the other")
    }
}
