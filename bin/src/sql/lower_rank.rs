//! Top-N and deduplication: `ROW_NUMBER()` below a filter that says up to which number rows are wanted.
//!
//! The optimizer moves such a filter down to the function, whatever aliases, views and projections are between them. Other
//! conditions stand above: they choose among the numbered rows.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::{Column, DFSchema, ScalarValue};
use datafusion_expr::expr::WindowFunctionParams;
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{BinaryExpr, Expr, LogicalPlan, Operator, Projection, Window, lit};
use thalweg_operators::rank::{self, Emit, RankSpec, Ties};
use thalweg_operators::spec::KeyColumn;

use super::catalog::is_time_attribute;
use super::lower::{Lowering, field_of};
use super::relation::{ProjectionBuilder, Relation, Slot, WindowColumn};
use super::select_names::free_name;
use super::types::FlinkType;
use crate::error::{Error, Result};
use crate::plan::changelog::ChangelogMode;
use crate::plan::{Node, NodeOp, RuntimeMode, SortKey};

/// `ROW_NUMBER()` and the filter above it.
pub(crate) struct Numbered<'a> {
    window: &'a Window,
    /// The columns that the optimizer leaves of it, if not all.
    kept: Option<&'a Projection>,
    predicate: &'a Expr,
    params: &'a WindowFunctionParams,
    /// The column of numbers.
    number: Column,
}

/// Numbers that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: i128,
    last: Option<i128>,
}

impl<'a> Numbered<'a> {
    /// The plan as such a pair, if it is one.
    ///
    /// # Errors
    /// If there are several functions over windows.
    pub(crate) fn of(lowering: &Lowering, plan: &'a LogicalPlan) -> Result<Option<Self>> {
        let LogicalPlan::Filter(filter) = plan else { return Ok(None) };
        let (input, kept) = below(&filter.input);
        let LogicalPlan::Window(window) = input else { return Ok(None) };
        let (params, number) = number_of(lowering, window)?;
        Ok(Some(Self { window, kept, predicate: &filter.predicate, params, number }))
    }

    /// Whether one of these expressions over the filter's columns uses the number.
    pub(crate) fn is_used_by<'e>(&self, mut expressions: impl Iterator<Item = &'e Expr>) -> bool {
        expressions.any(|expr| self.uses_number(expr))
    }

    fn uses_number(&self, expr: &Expr) -> bool {
        expr.column_refs().contains(&self.number)
    }
}

/// What is below a choice of columns, which the optimizer puts in, and that choice if there is one.
fn below(plan: &LogicalPlan) -> (&LogicalPlan, Option<&Projection>) {
    match plan {
        LogicalPlan::Projection(kept) if kept.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) => {
            (&kept.input, Some(kept))
        }
        plan => (plan, None),
    }
}

/// The call, and the column that it gives.
fn number_of<'a>(lowering: &Lowering, window: &'a Window) -> Result<(&'a WindowFunctionParams, Column)> {
    let is_alone = !matches!(below(&window.input).0, LogicalPlan::Window(_));
    // An alias keeps the name of a call whose expressions were given other types.
    let call = match &window.window_expr[..] {
        [Expr::WindowFunction(call)] => Some(call),
        [Expr::Alias(alias)] => match &*alias.expr {
            Expr::WindowFunction(call) => Some(call),
            _ => None,
        },
        _ => None,
    };
    let Some(call) = call.filter(|_| is_alone) else {
        let error = Error::statement("several functions over windows in one query are not supported");
        let error = error.help("number the rows in one derived table, and those that are left in another around it");
        return Err(lowering.place_of(window.window_expr.iter()).into_iter().fold(error, Error::at));
    };
    let (qualifier, field) = window.schema.qualified_field(window.schema.fields().len() - 1);
    Ok((&call.params, Column::from((qualifier, field))))
}

/// Refuses a ROW_NUMBER without a filter above it.
///
/// # Errors
/// Always.
pub(crate) fn refuse_unfiltered(lowering: &Lowering, window: &Window) -> Error {
    match number_of(lowering, window) {
        Ok((params, _)) => at(without_end(), lowering, params),
        Err(error) => error,
    }
}

fn without_end() -> Error {
    Error::statement("ROW_NUMBER is supported only where a condition says up to which number rows are wanted").help(
        "SELECT … FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY c DESC) AS rn FROM t) WHERE rn <= 10",
    )
}

/// Lowers the pair. `is_number_used`: somebody above wants the number.
///
/// # Errors
/// For what it cannot number, or nobody could take.
pub(crate) fn lower_rank(lowering: &Lowering, numbered: &Numbered<'_>, is_number_used: bool) -> Result<Relation> {
    let Numbered { window, kept, predicate, params, .. } = numbered;
    let logical = window.input.schema();
    let (range, others) = range_of(numbered, predicate);
    let (first, last) = numbers(range).map_err(|error| at(error, lowering, params))?;
    let is_number_used = is_number_used || others.iter().any(|other| numbered.uses_number(other));
    let input = lowering.lower(&window.input)?.spread()?;
    if lowering.mode == RuntimeMode::Streaming {
        refuse_input(&input.node).map_err(|error| at(error, lowering, params))?;
    }
    let computed = params.partition_by.iter().chain(params.order_by.iter().map(|key| &key.expr));
    let input = input.with_computed(computed, logical)?;
    let mut builder = ProjectionBuilder::new(&input, logical);
    let mut slots: Vec<Slot> = Vec::with_capacity(input.slots.len() + 1);
    for slot in &input.slots {
        let column = slot.column.map(|column| builder.pass(column));
        let window = slot.window.map(|window| WindowColumn { time: builder.pass(window.time), ..window });
        slots.push(Slot { column, window });
    }
    let (keys, order, ties) = columns_of(lowering, &mut builder, params, logical, last)?;
    let projection = builder.finish()?;
    let node = projection.over(input.node);
    let taken: HashSet<String> = node.schema.fields().iter().map(|field| field.name().clone()).collect();
    let number = (is_number_used && first != last).then(|| free_name("row_number", &taken));
    let emit = if lowering.mode == RuntimeMode::Batch { Emit::Final } else { Emit::Changes };
    let spec = RankSpec { keys, order, ties, first, last, number, emit };
    refuse_append_only(lowering, &spec).map_err(|error| at(error, lowering, params))?;
    let schema = rank::output_schema(&node.schema, spec.number.as_deref());
    let column = spec.number.as_ref().map(|_| schema.fields().len() - 1);
    slots.push(Slot { column, window: None });
    let relation = Relation { node: Node { schema, op: NodeOp::Rank { input: Box::new(node), spec } }, slots };
    let relation = if is_number_used && first == last { with_constant(relation, window, first)? } else { relation };
    let (relation, logical) = match kept {
        Some(kept) => (chosen(relation, kept, window)?, &kept.schema),
        None => (relation, &window.schema),
    };
    match conjunction(others.into_iter().cloned()) {
        None => Ok(relation),
        Some(predicate) => {
            let relation = relation.with_computed([&predicate], logical)?;
            let predicate = relation.compile(&predicate, logical)?;
            let Relation { node, slots } = relation;
            let schema = Arc::clone(&node.schema);
            Ok(Relation {
                node: Node { schema, op: NodeOp::Filter { input: Box::new(node), predicate, of_whole_keys: false } },
                slots,
            })
        }
    }
}

/// The columns of PARTITION BY and ORDER BY, and which of the rows that tie comes first.
fn columns_of(
    lowering: &Lowering,
    builder: &mut ProjectionBuilder<'_>,
    params: &WindowFunctionParams,
    logical: &DFSchema,
    last: u64,
) -> Result<(Vec<KeyColumn>, Vec<SortKey>, Ties)> {
    let column = |builder: &mut ProjectionBuilder<'_>, expr: &Expr, clause: &str| {
        let field = field_of(expr, logical)?;
        let flink = FlinkType::from_field(&field)?;
        if flink.is_nested() {
            let error = Error::statement(format!("{clause} of {flink} is not supported within OVER"));
            let error = error.help(format!("{clause} a field or an item of it, or CAST it to STRING"));
            return Err(lowering.place_of(std::iter::once(expr)).into_iter().fold(error, Error::at));
        }
        Ok((builder.share(expr, &field)?, field))
    };
    let mut keys = Vec::with_capacity(params.partition_by.len());
    for expr in &params.partition_by {
        let (column, field) = column(builder, expr, "PARTITION BY")?;
        keys.push(KeyColumn { column, data_type: field.data_type().clone() });
    }
    let mut order = Vec::with_capacity(params.order_by.len());
    let mut is_last_by_time = last == 1 && params.order_by.len() == 1;
    for key in &params.order_by {
        let (column, field) = column(builder, &key.expr, "ORDER BY")?;
        is_last_by_time &= !key.asc && is_time_attribute(&field);
        order.push(SortKey { column, is_descending: !key.asc, is_nulls_first: key.nulls_first });
    }
    // As in Flink, whose deduplication takes the later one of two rows of one time, and whose Top-N the earlier.
    let ties = if is_last_by_time { Ties::LaterFirst } else { Ties::EarlierFirst };
    Ok((keys, order, ties))
}

/// What the conjuncts of the filter say of the number, and the others.
fn range_of<'e>(numbered: &Numbered<'_>, predicate: &'e Expr) -> (Range, Vec<&'e Expr>) {
    let mut range = Range { first: 1, last: None };
    let others = split_conjunction(predicate).into_iter().filter(|conjunct| {
        let bound = bound_of(conjunct, &numbered.number);
        if let Some((operator, value)) = bound {
            range.narrow(operator, value);
        }
        bound.is_none()
    });
    let others = others.collect();
    (range, others)
}

impl Range {
    fn narrow(&mut self, operator: Operator, value: i128) {
        let (first, last) = match operator {
            Operator::Lt => (None, Some(value - 1)),
            Operator::LtEq => (None, Some(value)),
            Operator::Gt => (Some(value + 1), None),
            Operator::GtEq => (Some(value), None),
            _ => (Some(value), Some(value)),
        };
        self.first = self.first.max(first.unwrap_or(self.first));
        self.last = match (self.last, last) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// `number <= 3`, also the other way round.
fn bound_of(conjunct: &Expr, number: &Column) -> Option<(Operator, i128)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = conjunct else { return None };
    let is_number = |expr: &Expr| matches!(expr, Expr::Column(column) if column == number);
    let is_bound = matches!(op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq | Operator::Eq);
    match (integer(left), integer(right)) {
        (None, Some(value)) if is_number(left) && is_bound => Some((*op, value)),
        (Some(value), None) if is_number(right) && is_bound => Some((op.swap()?, value)),
        _ => None,
    }
}

fn integer(expr: &Expr) -> Option<i128> {
    match expr {
        Expr::Literal(ScalarValue::Int8(Some(value)), _) => Some(i128::from(*value)),
        Expr::Literal(ScalarValue::Int16(Some(value)), _) => Some(i128::from(*value)),
        Expr::Literal(ScalarValue::Int32(Some(value)), _) => Some(i128::from(*value)),
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => Some(i128::from(*value)),
        _ => None,
    }
}

/// The first and the last number that are asked for.
fn numbers(range: Range) -> Result<(u64, u64)> {
    let last = range.last.ok_or_else(without_end)?;
    if last < range.first {
        return Err(Error::statement(format!(
            "no row can have a number from {} to {last}: ROW_NUMBER begins with 1",
            range.first
        ))
        .help("WHERE rn <= 10 keeps the first ten"));
    }
    let number = |value: i128| u64::try_from(value).map_err(|_| Error::internal("a number beyond BIGINT"));
    Ok((number(range.first)?, number(last)?))
}

/// Refuses rows that are taken back, and such as come in no order of their own.
fn refuse_input(input: &Node) -> Result<()> {
    let what = match input.regrouped() {
        None => return Ok(()),
        Some(_) if input.changelog_mode() != ChangelogMode::APPEND_ONLY => {
            "ROW_NUMBER over the changing rows of an aggregation"
        }
        Some(_) => "ROW_NUMBER over the rows of an aggregation",
    };
    Err(Error::statement(format!("{what} is not supported in streaming mode")).help(
        "SET 'execution.runtime-mode' = 'batch' if all input is bounded; MAX and MIN find the greatest and the least",
    ))
}

/// Refuses rows that change later where they cannot be written.
fn refuse_append_only(lowering: &Lowering, spec: &RankSpec) -> Result<()> {
    let Some((table, connector)) = &lowering.append_only else { return Ok(()) };
    if ChangelogMode::of_rank(spec) == ChangelogMode::APPEND_ONLY {
        return Ok(());
    }
    Err(Error::statement(format!(
        "ROW_NUMBER changes rows that have been written, and `{table}` with connector '{connector}' only appends"
    ))
    .help(
        "SET 'execution.runtime-mode' = 'batch' if all input is bounded; 'print', 'stdout' and 'blackhole' take changes",
    ))
}

/// The same relation with the only number that its rows have as a column.
fn with_constant(relation: Relation, window: &Window, number: u64) -> Result<Relation> {
    let mut builder = ProjectionBuilder::new(&relation, &window.schema);
    for column in 0..relation.node.schema.fields().len() {
        builder.pass(column);
    }
    let number = i64::try_from(number).map_err(|_| Error::internal("a number beyond BIGINT"))?;
    let field = window.schema.field(window.schema.fields().len() - 1);
    let column = builder.push(&lit(number), field)?;
    let projection = builder.finish()?;
    let mut slots = relation.slots;
    if let Some(slot) = slots.last_mut() {
        *slot = Slot::column(column);
    }
    Ok(Relation { node: projection.over(relation.node), slots })
}

/// The same relation with the slots that a choice of columns has.
fn chosen(relation: Relation, kept: &Projection, window: &Window) -> Result<Relation> {
    let slot = |expr: &Expr| {
        relation.slot_of(expr, &window.schema).ok_or_else(|| Error::internal("a numbered row has lost a column"))
    };
    let slots = kept.expr.iter().map(slot).collect::<Result<_>>()?;
    Ok(Relation { node: relation.node, slots })
}

/// The error at the place of the first column within OVER.
fn at(error: Error, lowering: &Lowering, params: &WindowFunctionParams) -> Error {
    let place = lowering.place_of(params.partition_by.iter().chain(params.order_by.iter().map(|key| &key.expr)));
    place.into_iter().fold(error, Error::at)
}
