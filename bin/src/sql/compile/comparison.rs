//! Comparisons of two columns.

use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{BooleanArray, Datum, Scalar as ArrowScalar};
use arrow_buffer::BooleanBuffer;
use arrow_ord::cmp;
use arrow_schema::DataType;
use datafusion_expr::Operator;

use crate::sql::functions::binding::Value;
use crate::sql::functions::columns::{natives, nulls_of};
use crate::sql::functions::encoded::Encoded;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    Distinct,
    NotDistinct,
}

impl Comparison {
    /// The comparison that an operator is, if it is one.
    pub(crate) fn of(op: Operator) -> Option<Self> {
        Some(match op {
            Operator::Eq => Self::Eq,
            Operator::NotEq => Self::NotEq,
            Operator::Lt => Self::Lt,
            Operator::LtEq => Self::LtEq,
            Operator::Gt => Self::Gt,
            Operator::GtEq => Self::GtEq,
            Operator::IsDistinctFrom => Self::Distinct,
            Operator::IsNotDistinctFrom => Self::NotDistinct,
            _ => return None,
        })
    }

    /// As written between two operands.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
            Self::Distinct => "IS DISTINCT FROM",
            Self::NotDistinct => "IS NOT DISTINCT FROM",
        }
    }
}

/// A comparison with SQL's NULL; numbers as IEEE 754 has them, so NaN equals nothing, and −0.0 equals 0.0.
pub(crate) fn compare(op: Comparison, left: &Value, right: &Value, rows: usize) -> Result<Value, String> {
    let is_scalar = left.is_scalar && right.is_scalar;
    let len = if is_scalar { 1 } else { rows };
    let is_null = |value: &Value| *value.array.data_type() == DataType::Null;
    if is_null(left) || is_null(right) {
        return Ok(compare_with_null(op, left, right, len, is_scalar));
    }
    let array = match left.array.data_type() {
        DataType::Float32 | DataType::Float64 => compare_floats(op, left, right, len)?,
        DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => compare_nested(op, left, right, len)?,
        _ => {
            let as_datum = |value: &Value| -> Box<dyn Datum> {
                if value.is_scalar {
                    Box::new(ArrowScalar::new(Arc::clone(&value.array)))
                } else {
                    Box::new(Arc::clone(&value.array))
                }
            };
            let (l, r) = (as_datum(left), as_datum(right));
            let compared = match op {
                Comparison::Eq => cmp::eq(&*l, &*r),
                Comparison::NotEq => cmp::neq(&*l, &*r),
                Comparison::Lt => cmp::lt(&*l, &*r),
                Comparison::LtEq => cmp::lt_eq(&*l, &*r),
                Comparison::Gt => cmp::gt(&*l, &*r),
                Comparison::GtEq => cmp::gt_eq(&*l, &*r),
                Comparison::Distinct => cmp::distinct(&*l, &*r),
                Comparison::NotDistinct => cmp::not_distinct(&*l, &*r),
            };
            compared.map_err(|error| error.to_string())?
        }
    };
    Ok(Value { array: Arc::new(array), is_scalar })
}

/// A comparison where one side is a bare NULL.
fn compare_with_null(op: Comparison, left: &Value, right: &Value, len: usize, is_scalar: bool) -> Value {
    let both_null = |row: usize| {
        let is_null = |value: &Value| *value.array.data_type() == DataType::Null || value.is_null(row);
        is_null(left) && is_null(right)
    };
    let array = match op {
        Comparison::Distinct => BooleanArray::new(BooleanBuffer::collect_bool(len, |row| !both_null(row)), None),
        Comparison::NotDistinct => BooleanArray::new(BooleanBuffer::collect_bool(len, both_null), None),
        _ => BooleanArray::new_null(len),
    };
    Value { array: Arc::new(array), is_scalar }
}

fn compare_floats(op: Comparison, left: &Value, right: &Value, len: usize) -> Result<BooleanArray, String> {
    if left.array.data_type() != right.array.data_type() {
        return Err("internal error: a comparison of two types".to_owned());
    }
    let pair = [left.clone(), right.clone()];
    let (l, r) = (left.stride(), right.stride());
    macro_rules! loops {
        ($kind:ty) => {{
            let (lefts, rights) = (natives::<$kind>(left), natives::<$kind>(right));
            let collect = |test: fn(&_, &_) -> bool| {
                BooleanBuffer::collect_bool(len, |row| test(&lefts[row * l], &rights[row * r]))
            };
            match op {
                Comparison::Eq | Comparison::NotDistinct | Comparison::Distinct => collect(|l, r| l == r),
                Comparison::NotEq => collect(|l, r| l != r),
                Comparison::Lt => collect(|l, r| l < r),
                Comparison::LtEq => collect(|l, r| l <= r),
                Comparison::Gt => collect(|l, r| l > r),
                Comparison::GtEq => collect(|l, r| l >= r),
            }
        }};
    }
    let values = match left.array.data_type() {
        DataType::Float32 => loops!(Float32Type),
        _ => loops!(Float64Type),
    };
    if !matches!(op, Comparison::Distinct | Comparison::NotDistinct) {
        return Ok(BooleanArray::new(values, nulls_of(&pair, len)));
    }
    let is_same = BooleanBuffer::collect_bool(len, |row| match (left.is_null(row), right.is_null(row)) {
        (true, true) => true,
        (false, false) => values.value(row),
        _ => false,
    });
    let values = if op == Comparison::NotDistinct { is_same } else { !&is_same };
    Ok(BooleanArray::new(values, None))
}

/// Equality of arrays, maps and rows: within them, NULL equals NULL and a NaN another, as in Flink's own.
fn compare_nested(op: Comparison, left: &Value, right: &Value, len: usize) -> Result<BooleanArray, String> {
    let (lefts, rights) = Encoded::pair(&left.array, &right.array)?;
    let is_same =
        BooleanBuffer::collect_bool(len, |row| lefts.row(row * left.stride()) == rights.row(row * right.stride()));
    Ok(match op {
        Comparison::NotDistinct => BooleanArray::new(is_same, None),
        Comparison::Distinct => BooleanArray::new(!&is_same, None),
        Comparison::Eq => BooleanArray::new(is_same, nulls_of(&[left.clone(), right.clone()], len)),
        Comparison::NotEq => BooleanArray::new(!&is_same, nulls_of(&[left.clone(), right.clone()], len)),
        _ => return Err("internal error: an order of nested values".to_owned()),
    })
}
