//! UNNEST in FROM: `t CROSS JOIN UNNEST(t.items) AS u (x)`, `t, UNNEST(items)`, `t LEFT JOIN UNNEST(items) ON TRUE`, and
//! UNNEST alone. What stands before it becomes its input, so that FROM is one relation again.

use std::collections::HashSet;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Join, JoinConstraint, JoinOperator, Spanned, TableFactor, TableWithJoins, Value,
};
use sqlparser::tokenizer::Span;

use super::rewrite::Rewriter;
use super::unnest::{self, UnnestCall};
use crate::error::Result;

const NO_JOINS: (&str, &str) = ("joins are not supported", "read one table, or several with UNION ALL");
const FORM: &str = "CROSS JOIN UNNEST(t.items) AS u (item)";

/// Makes what is in FROM ready: at most one relation, without joins.
///
/// # Errors
/// If something is joined that is no UNNEST, or an UNNEST is wrong.
pub(crate) fn fold(rewriter: &mut Rewriter<'_>, from: &mut Vec<TableWithJoins>) -> Result<()> {
    let mut whole: Option<TableFactor> = None;
    for TableWithJoins { relation, joins } in from.drain(..) {
        whole = Some(match (whole, is_unnest(&relation)) {
            (input, true) => unnested(rewriter, input, &relation, false)?,
            (None, false) => {
                let mut relation = relation;
                rewriter.table_factor(&mut relation)?;
                relation
            }
            (Some(_), false) => return Err(rewriter.refuse(relation.span(), NO_JOINS.0, NO_JOINS.1)),
        });
        for join in &joins {
            let is_outer = is_outer(rewriter, join)?;
            whole = Some(unnested(rewriter, whole, &join.relation, is_outer)?);
        }
    }
    from.extend(whole.map(|relation| TableWithJoins { relation, joins: Vec::new() }));
    Ok(())
}

/// What the relations in FROM are called.
pub(crate) fn names_of(from: &[TableWithJoins]) -> HashSet<String> {
    let relations = from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    relations.filter_map(name_of).collect()
}

fn name_of(factor: &TableFactor) -> Option<String> {
    let (name, alias) = match factor {
        TableFactor::Table { name, alias, .. } => (name.0.last().and_then(|part| part.as_ident()), alias),
        TableFactor::Derived { alias, .. } | TableFactor::TableFunction { alias, .. } => (None, alias),
        _ => return None,
    };
    alias.as_ref().map(|alias| &alias.name).or(name).map(|name| name.value.clone())
}

fn is_unnest(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { name, args: Some(_), .. } => name.to_string().eq_ignore_ascii_case("UNNEST"),
        TableFactor::UNNEST { .. } => true,
        _ => false,
    }
}

/// Whether the join keeps rows without values.
fn is_outer(rewriter: &Rewriter<'_>, join: &Join) -> Result<bool> {
    let span = join.relation.span();
    if !is_unnest(&join.relation) {
        return Err(rewriter.refuse(span, NO_JOINS.0, NO_JOINS.1));
    }
    let (constraint, is_outer) = match &join.join_operator {
        JoinOperator::CrossJoin(constraint) => (constraint, false),
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (constraint, false),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (constraint, true),
        _ => return Err(rewriter.refuse(span, "UNNEST is joined by CROSS JOIN, INNER JOIN or LEFT JOIN", FORM)),
    };
    match constraint {
        JoinConstraint::None if matches!(join.join_operator, JoinOperator::CrossJoin(_)) => Ok(is_outer),
        JoinConstraint::On(Expr::Value(value)) if value.value == Value::Boolean(true) => Ok(is_outer),
        JoinConstraint::On(condition) => Err(rewriter.refuse(
            condition.span(),
            "the condition of a join with UNNEST can only be TRUE",
            "ON TRUE, and the condition in WHERE",
        )),
        _ => Err(rewriter.refuse(span, "a join with UNNEST needs ON TRUE", FORM)),
    }
}

/// The relation that joins `input` with the values of an UNNEST.
fn unnested(
    rewriter: &mut Rewriter<'_>,
    input: Option<TableFactor>,
    factor: &TableFactor,
    is_outer: bool,
) -> Result<TableFactor> {
    let span = factor.span();
    let TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } = factor else {
        return Err(rewriter.refuse(span, "this form of UNNEST is not Flink's", FORM));
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] = &args.args[..] else {
        return Err(rewriter.refuse(name.span(), "UNNEST takes one array or map", FORM));
    };
    let place = array.span();
    let mut array = array.clone();
    rewriter.expression(&mut array, "UNNEST")?;
    let place = if place == Span::empty() { name.span() } else { place };
    let call = UnnestCall {
        input,
        array,
        place: rewriter.place(place),
        alias: alias.clone(),
        is_outer,
        with_ordinality: *with_ordinality,
    };
    rewriter.unnests.push(call);
    Ok(unnest::marker(rewriter.unnests.len() - 1))
}
