//! Comparisons of arrays, maps and rows.

use std::sync::Arc;

use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::{BinaryExpr, Expr, Operator, ScalarUDF};

use super::common_type::{comparison_type, not_comparable};

use crate::error::{Error, Result};
use crate::sql::compile::{Comparison, compare};
use crate::sql::functions::binding::{Argument, Binding, Declared, Form, Nullness, Value};
use crate::sql::types::FlinkType;

/// The comparisons as functions. DataFusion would compare constants by their bits, and refuses many types.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    ["=", "<>", "<", "<=", ">", ">=", "$IS DISTINCT FROM", "$IS NOT DISTINCT FROM"]
        .map(|name| Declared::udf(name, Form::Infix, bind))
        .to_vec()
}

/// The function that stands for an operator.
pub(super) fn name_of(op: Operator) -> &'static str {
    match op {
        Operator::Eq => "=",
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        Operator::IsDistinctFrom => "$is distinct from",
        _ => "$is not distinct from",
    }
}

fn bind(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [left, right] = arguments else { return Err(Error::internal("a comparison of other than two values")) };
    let flink = comparison_type(left.flink, right.flink).ok_or_else(|| not_comparable(left.flink, right.flink))?;
    let comparison = match name {
        "=" => Comparison::Eq,
        "<>" => Comparison::NotEq,
        "$IS DISTINCT FROM" => Comparison::Distinct,
        "$IS NOT DISTINCT FROM" => Comparison::NotDistinct,
        _ => {
            return Err(Error::statement(format!("values of {flink} have no order"))
                .help("compare with = or <>, or field by field"));
        }
    };
    let kernel = move |arguments: &[Value], rows: usize| {
        compare(comparison, &arguments[0], &arguments[1], rows).map(|value| value.array)
    };
    let nullness = match comparison {
        Comparison::Distinct | Comparison::NotDistinct => Nullness::Impossible,
        _ => Nullness::OfArguments,
    };
    Ok(Binding::strict(vec![flink; 2], FlinkType::Boolean, kernel).with_nullness(nullness))
}

/// `x IN (a, b)` as `x = a OR x = b`.
pub(super) fn is_among(
    value: Expr,
    list: Vec<Expr>,
    is_negated: bool,
    schema: &DFSchema,
) -> datafusion_common::Result<Expr> {
    let equal = list.into_iter().map(|item| super::compared(value.clone(), Operator::Eq, item, schema));
    let either = |left: datafusion_common::Result<Expr>, right: datafusion_common::Result<Expr>| {
        Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left?), Operator::Or, Box::new(right?))))
    };
    let any = equal.reduce(either).unwrap_or(Ok(Expr::Literal(ScalarValue::Boolean(Some(false)), None)))?;
    Ok(if is_negated { Expr::Not(Box::new(any)) } else { any })
}
