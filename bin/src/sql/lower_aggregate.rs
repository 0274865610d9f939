//! GROUP BY: keys, arguments and filters become columns of a projection below; both bounds of one window among the keys
//! make it a windowed one.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, TimeUnit};
use datafusion_common::{Column, DFSchema};
use datafusion_expr::expr::AggregateFunction as AggregateCall;
use datafusion_expr::{Aggregate, Expr};
use thalweg_operators::spec::{AggregateSpec, GroupSpec, KeyColumn, WindowKind, Windows};

use super::aggregates::{self, LoweredAggregate};
use super::catalog::as_time_attribute;
use super::compile::describe;
use super::functions::encoded::{Purpose, packed, unpacked};
use super::lower::{Lowering, field_of};
use super::relation::{ProjectionBuilder, Relation, Slot, WindowColumn, internal};
use super::types::FlinkType;
use super::typing::set_operation;
use super::window::WindowPart;
use crate::error::{Error, Result};
use crate::plan::changelog::ChangelogMode;
use crate::plan::{Node, NodeOp, RuntimeMode};

/// Lowers a GROUP BY, or aggregates without one.
///
/// # Errors
/// For what it cannot gather, or nobody could take.
pub(crate) fn lower_aggregate(lowering: &Lowering, aggregate: &Aggregate) -> Result<Relation> {
    let mut input = lowering.lower(&aggregate.input)?;
    let logical = aggregate.input.schema();
    let keys_of = |input: &Relation| -> Vec<Option<WindowColumn>> {
        aggregate.group_expr.iter().map(|key| input.slot_of(key, logical).and_then(|slot| slot.window)).collect()
    };
    // Rows are put into their windows by the aggregation itself, if it is one of these windows.
    let is_grouped =
        |open: WindowColumn| window_of(&keys_of(&input)).is_some_and(|window| window.is_same_window(&open));
    if input.open_window().is_some_and(|open| !is_grouped(open)) {
        input = input.spread()?;
    }
    let keys = keys_of(&input);
    let window = window_of(&keys);
    let is_running = window.is_none() && lowering.mode == RuntimeMode::Streaming;
    if lowering.mode == RuntimeMode::Streaming {
        refuse_input(lowering, aggregate, &input.node, is_running)?;
    }
    if is_running && !aggregate.aggr_expr.is_empty() {
        refuse_append_only(lowering, aggregate)?;
    }
    let is_bound =
        |key: &Option<WindowColumn>| window.zip(*key).is_some_and(|(window, key)| window.is_same_window(&key));

    let other_keys = aggregate.group_expr.iter().zip(&keys).filter(|(_, key)| !is_bound(key)).map(|(expr, _)| expr);
    let input = input.with_computed(other_keys.chain(&aggregate.aggr_expr), logical)?;
    // What was computed may have put the rows into their windows, which are other columns then.
    let keys = keys_of(&input);
    let window = window_of(&keys);
    let is_bound =
        |key: &Option<WindowColumn>| window.zip(*key).is_some_and(|(window, key)| window.is_same_window(&key));
    let mut builder = ProjectionBuilder::new(&input, logical);
    let mut fields: Vec<FieldRef> = Vec::new();
    let mut key_columns = Vec::new();
    let mut nested = Nested::default();
    // For each key of the logical plan: its place among the keys, or which bound of the window it is.
    let mut places = Vec::with_capacity(keys.len());
    for ((expr, key), field) in aggregate.group_expr.iter().zip(&keys).zip(aggregate.schema.fields()) {
        // Where a session begins does not follow from its end, so it is a key like others.
        let follows = |key: &WindowColumn| key.shape.kind != WindowKind::Session || key.part != WindowPart::Start;
        if let Some(key) = key.filter(|window| is_bound(key) && follows(window)) {
            places.push(Err(key.part));
            continue;
        }
        let field = field.as_ref().clone().with_name(describe(expr, logical));
        let (expr, field) = nested.operand(expr, field, fields.len(), Purpose::Key)?;
        let column = builder.share(&expr, &field)?;
        places.push(Ok(key_columns.len()));
        key_columns.push(KeyColumn { column, data_type: field.data_type().clone() });
        fields.push(Arc::new(field));
    }
    let mut aggregates = Vec::with_capacity(aggregate.aggr_expr.len());
    let output = aggregate.schema.fields().iter().skip(aggregate.group_expr.len());
    for (expr, field) in aggregate.aggr_expr.iter().zip(output) {
        let field = nested.result(field, fields.len())?;
        let spec = aggregate_spec(&mut builder, expr, &field, logical)?;
        fields.push(Arc::new(field.with_name(&spec.name)));
        aggregates.push(spec);
    }
    let windows = window.map(|window| Windows {
        time_column: builder.pass(window.time),
        shape: window.shape,
        is_given: window.is_given,
    });
    let time_type = window.map(|window| input.node.schema.field(window.time).data_type().clone());
    let projection = builder.finish()?;
    let node = projection.over(input.node);
    let spec = GroupSpec { keys: key_columns, aggregates, window: windows, is_global: aggregate.group_expr.is_empty() };
    let first_bound = fields.len();
    if window.is_some() {
        fields.extend(bound_fields());
    }
    let schema = Arc::new(Schema::new(distinct_names(fields)));
    let input = Box::new(node);
    // Rows that come from another aggregation come by its owners, one by one.
    let mini_batch = lowering.mini_batch.filter(|_| input.regrouped().is_none());
    let op = if is_running { NodeOp::Running { input, spec, mini_batch } } else { NodeOp::Aggregate { input, spec } };
    let node = nested.unpacked(Node { schema, op })?;
    let mut slots = slots(&places, first_bound, aggregate.aggr_expr.len(), window);
    for (slot, key) in slots.iter_mut().zip(&keys).filter(|(slot, key)| slot.window.is_none() && is_bound(key)) {
        slot.window = key.map(|key| WindowColumn { time: first_bound + 2, ..key });
    }
    let relation = Relation { node, slots };
    match time_type {
        Some(zoned @ DataType::Timestamp(_, Some(_))) => in_zone(relation, first_bound + 2, &zoned),
        _ => Ok(relation),
    }
}

/// Columns of nested values, which the operators see as bytes: columns of the output, and what they are.
#[derive(Default)]
struct Nested {
    columns: Vec<(usize, Field)>,
}

impl Nested {
    /// A key or an argument as the operators take it; `place` is the key's column of the output.
    fn operand(&mut self, expr: &Expr, field: Field, place: usize, purpose: Purpose) -> Result<(Expr, Field)> {
        let flink = FlinkType::from_field(&field)?;
        if !flink.is_nested() {
            return Ok((expr.clone(), field));
        }
        let expr = match expr {
            Expr::Alias(alias) => packed((*alias.expr).clone(), flink, purpose),
            expr => packed(expr.clone(), flink, purpose),
        };
        Ok((expr, self.result(&field, place)?))
    }

    /// The field of an output column, which is bytes where its values are nested.
    fn result(&mut self, field: &Field, place: usize) -> Result<Field> {
        if !FlinkType::from_field(field)?.is_nested() {
            return Ok(field.clone());
        }
        self.columns.push((place, field.clone()));
        Ok(Field::new(field.name(), DataType::BinaryView, field.is_nullable()))
    }

    /// The node with nested values in place of their bytes.
    fn unpacked(self, node: Node) -> Result<Node> {
        if self.columns.is_empty() {
            return Ok(node);
        }
        let logical = DFSchema::try_from(Arc::clone(&node.schema)).map_err(|error| internal(&error))?;
        let input = Relation::of(node);
        let mut builder = ProjectionBuilder::new(&input, &logical);
        for (column, field) in logical.fields().iter().enumerate() {
            match self.columns.iter().find(|(place, _)| *place == column) {
                None => {
                    builder.pass(column);
                }
                Some((_, nested)) => {
                    let flink = FlinkType::from_field(nested)?;
                    let value = unpacked(Expr::Column(Column::new_unqualified(field.name())), flink);
                    builder.push(&value, &nested.clone().with_name(field.name()))?;
                }
            }
        }
        let projection = builder.finish()?;
        Ok(projection.over(input.node))
    }
}

/// The first window that has its start and its end among the keys.
fn window_of(keys: &[Option<WindowColumn>]) -> Option<WindowColumn> {
    let has =
        |window: &WindowColumn, part| keys.iter().flatten().any(|key| key.part == part && key.is_same_window(window));
    keys.iter().flatten().find(|window| has(window, WindowPart::Start) && has(window, WindowPart::End)).copied()
}

/// Refuses windows over rows that may be taken back: what is emitted of a window is final.
fn refuse_input(lowering: &Lowering, aggregate: &Aggregate, input: &Node, is_running: bool) -> Result<()> {
    let what = match input.regrouped() {
        _ if is_running || input.changelog_mode() == ChangelogMode::APPEND_ONLY => return Ok(()),
        Some(NodeOp::Rank { .. }) => "a windowed aggregation over the changing rows of ROW_NUMBER",
        _ => "a windowed aggregation over the changing rows of another one",
    };
    let instead = "or GROUP BY window_start and window_end in both, or in none";
    let error = Error::statement(format!("{what} is not supported in streaming mode"))
        .help(format!("SET 'execution.runtime-mode' = 'batch' if all input is bounded; {instead}"));
    Err(at(error, lowering, aggregate))
}

/// Refuses rows that change later where they cannot be written.
fn refuse_append_only(lowering: &Lowering, aggregate: &Aggregate) -> Result<()> {
    let Some((table, connector)) = &lowering.append_only else { return Ok(()) };
    let logical = aggregate.input.schema();
    let calls: Vec<String> =
        aggregate.aggr_expr.iter().map(|expr| Ok(shown(aggregate_call(expr)?, logical))).collect::<Result<_>>()?;
    let what = match set_operation::of_groups_by(aggregate) {
        None => format!("the aggregation {}", calls.join(", ")),
        Some(operation) => operation.to_string(),
    };
    let error = Error::statement(format!(
        "{what} changes rows that have been written, and `{table}` with connector '{connector}' only appends"
    ))
    .help(
        "aggregate within windows: FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY \
         window_start, window_end; or SET 'execution.runtime-mode' = 'batch' if all input is bounded; 'print', 'stdout' \
         and 'blackhole' take changes",
    );
    Err(at(error, lowering, aggregate))
}

/// The error at the place of the aggregation.
fn at(error: Error, lowering: &Lowering, aggregate: &Aggregate) -> Error {
    match lowering.place_of(aggregate.group_expr.iter().chain(&aggregate.aggr_expr)) {
        Some(place) => error.at(place),
        None => error,
    }
}

fn aggregate_spec(
    builder: &mut ProjectionBuilder<'_>,
    expr: &Expr,
    field: &Field,
    logical: &DFSchema,
) -> Result<AggregateSpec> {
    let call = aggregate_call(expr)?;
    let LoweredAggregate { function, argument, distinct } = aggregates::lower(call)?;
    let purpose = if distinct { Purpose::Key } else { Purpose::Value };
    let argument = match argument {
        Some(argument) => {
            let field = field_of(&argument, logical)?;
            Some(Nested::default().operand(&argument, field, 0, purpose)?)
        }
        None => None,
    };
    let column = argument.as_ref().map(|(argument, field)| builder.share(argument, field)).transpose()?;
    let filter = match &call.params.filter {
        Some(filter) => Some(builder.share(filter, &field_of(filter, logical)?)?),
        None => None,
    };
    Ok(AggregateSpec {
        function,
        argument: column,
        input_type: argument.map_or(DataType::Null, |(_, field)| field.data_type().clone()),
        filter,
        distinct,
        output_type: field.data_type().clone(),
        name: shown(call, logical),
    })
}

fn aggregate_call(expr: &Expr) -> Result<&AggregateCall> {
    match expr {
        Expr::Alias(alias) => aggregate_call(&alias.expr),
        Expr::AggregateFunction(call) => Ok(call),
        other => Err(Error::internal(format!("{other} is not an aggregate"))),
    }
}

/// The call as the user would write it.
fn shown(call: &AggregateCall, logical: &DFSchema) -> String {
    let params = &call.params;
    let star = |arg: &&Expr| matches!(arg, Expr::Literal(value, _) if !value.is_null());
    let args = match &params.args[..] {
        [star_of_count] if call.func.name() == "count" && star(&star_of_count) && !params.distinct => "*".to_owned(),
        args => args.iter().map(|arg| describe(arg, logical)).collect::<Vec<_>>().join(", "),
    };
    let distinct = if params.distinct { "DISTINCT " } else { "" };
    let filter = params.filter.as_ref().map(|filter| format!(" FILTER (WHERE {})", describe(filter, logical)));
    format!("{}({distinct}{args}){}", call.func.name().to_uppercase(), filter.unwrap_or_default())
}

fn bound_fields() -> [FieldRef; 3] {
    let bound = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, None), false);
    [bound("window_start"), bound("window_end"), as_time_attribute(bound("window_time"))].map(Arc::new)
}

/// Slots of the logical plan's columns: the keys in their order, then the aggregates. `first_bound` is the column of the
/// window's start; its end and time follow.
fn slots(
    places: &[Result<usize, WindowPart>],
    first_bound: usize,
    aggregates: usize,
    window: Option<WindowColumn>,
) -> Vec<Slot> {
    let first_aggregate = first_bound - aggregates;
    let keys = places.iter().map(|place| match (place, window) {
        (Err(part), Some(window)) => Slot {
            column: Some(first_bound + *part as usize),
            window: Some(WindowColumn {
                part: *part,
                time: first_bound + 2,
                is_given: window.shape.kind != WindowKind::Tumble,
                ..window
            }),
        },
        (Ok(place), _) => Slot::column(*place),
        (Err(part), None) => Slot::column(first_bound + *part as usize),
    });
    keys.chain((first_aggregate..first_bound).map(Slot::column)).collect()
}

/// The aggregation gives the window's time without a zone: the same instant as an instant.
fn in_zone(input: Relation, time: usize, zoned: &DataType) -> Result<Relation> {
    let logical = DFSchema::empty();
    let mut builder = ProjectionBuilder::new(&input, &logical);
    for column in 0..input.node.schema.fields().len() {
        if column == time {
            builder.push_in_zone(column, zoned);
        } else {
            builder.pass(column);
        }
    }
    let projection = builder.finish()?;
    Ok(Relation { node: projection.over(input.node), slots: input.slots })
}

fn distinct_names(fields: Vec<FieldRef>) -> Vec<FieldRef> {
    let mut taken = std::collections::HashSet::new();
    let mut named = Vec::with_capacity(fields.len());
    for field in fields {
        let name = super::select_names::free_name(field.name(), &taken);
        taken.insert(name.clone());
        named.push(if *field.name() == name { field } else { Arc::new(field.as_ref().clone().with_name(name)) });
    }
    named
}
