//! SESSION windows: keys and event time become columns of a projection below; the bounds are columns like others from here on.

use std::collections::HashSet;

use datafusion_expr::Expr;
use thalweg_operators::session::{SessionSpec, output_schema};
use thalweg_operators::spec::KeyColumn;

use super::lower::{Lowering, field_of};
use super::relation::{ProjectionBuilder, Relation, Slot, WindowColumn};
use super::select_names::free_name;
use super::types::FlinkType;
use super::window::{Window, WindowPart};
use crate::error::{Error, Result};
use crate::plan::{Node, NodeOp, RuntimeMode};

/// Lowers a SESSION call.
///
/// # Errors
/// For what cannot be a key, or rows that come in no order of their own.
pub(crate) fn lower_session(lowering: &Lowering, window: &Window) -> Result<Relation> {
    let logical = window.input.schema();
    let columns: Vec<&Expr> = std::iter::once(&window.time).chain(&window.partition).collect();
    let at = |error: Error| lowering.place_of(columns.iter().copied()).into_iter().fold(error, Error::at);
    let input = lowering.lower(&window.input)?.spread()?;
    if lowering.mode == RuntimeMode::Streaming && input.node.regrouped().is_some() {
        let error = Error::statement(
            "SESSION windows over the rows of another window or aggregation are not supported in streaming mode",
        );
        return Err(at(error.help("SET 'execution.runtime-mode' = 'batch' if all input is bounded")));
    }
    let input = input.with_computed(columns.iter().copied(), logical)?;
    let mut builder = ProjectionBuilder::new(&input, logical);
    let mut slots: Vec<Slot> = Vec::with_capacity(input.slots.len() + 3);
    for slot in &input.slots {
        let column = slot.column.map(|column| builder.pass(column));
        let window = slot.window.map(|window| WindowColumn { time: builder.pass(window.time), ..window });
        slots.push(Slot { column, window });
    }
    let time_column = builder.share(&window.time, &field_of(&window.time, logical)?)?;
    let mut keys = Vec::with_capacity(window.partition.len());
    for key in &window.partition {
        let field = field_of(key, logical)?;
        let flink = FlinkType::from_field(&field)?;
        if flink.is_nested() {
            let error = Error::statement(format!("PARTITION BY of {flink} is not supported for SESSION"));
            return Err(at(error.help("PARTITION BY a field or an item of it, or CAST it to STRING")));
        }
        keys.push(KeyColumn { column: builder.share(key, &field)?, data_type: field.data_type().clone() });
    }
    let projection = builder.finish()?;
    let node = projection.over(input.node);
    let mut taken: HashSet<String> = node.schema.fields().iter().map(|field| field.name().clone()).collect();
    let names = ["window_start", "window_end", "window_time"].map(|name| {
        let name = free_name(name, &taken);
        taken.insert(name.clone());
        name
    });
    let spec = SessionSpec { keys, time_column, gap_ms: window.shape.size_ms, names };
    let schema = output_schema(&node.schema, &spec).map_err(|error| Error::internal(error.to_string()))?;
    let first = node.schema.fields().len();
    for part in [WindowPart::Start, WindowPart::End, WindowPart::Time] {
        let window = WindowColumn { part, time: first + 2, shape: window.shape, is_given: true };
        slots.push(Slot { column: Some(first + part as usize), window: Some(window) });
    }
    Ok(Relation { node: Node { schema, op: NodeOp::Session { input: Box::new(node), spec } }, slots })
}
