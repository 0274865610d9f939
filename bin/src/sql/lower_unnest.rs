//! UNNEST lowered: which columns go on, and under which names the values come out.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow_schema::{FieldRef, Schema};
use thalweg_operators::batch::UNNESTS_MAX;
use thalweg_operators::unnest::{UnnestBy, UnnestSpec};

use super::lower::Lowering;
use super::relation::{Relation, Slot, WindowColumn};
use super::select_names::free_name;
use super::unnest::Unnest;
use crate::error::{Error, Result};
use crate::plan::{Node, NodeOp};

/// Lowers an UNNEST and what is below it.
///
/// # Errors
/// If more of them stand one above the other than an ordinal can tell apart.
pub(crate) fn lower_unnest(lowering: &Lowering, unnest: &Unnest) -> Result<Relation> {
    let Relation { node, mut slots } = lowering.lower(&unnest.input)?;
    let lost = || Error::internal("the array of an UNNEST is lost");
    let array = slots.remove(unnest.array().ok_or_else(lost)?).column.ok_or_else(lost)?;
    check_unnests(&node)?;
    // What no slot names any more stays behind: above all the array itself.
    let used = slots.iter().flat_map(|slot| slot.column.into_iter().chain(slot.window.map(|window| window.time)));
    let kept: Vec<usize> = used.collect::<BTreeSet<_>>().into_iter().collect();
    let place = |column: usize| kept.binary_search(&column).map_err(|_| lost());
    let slots = slots.iter().map(|slot| {
        let window = slot.window.map(|window| Ok::<_, Error>(WindowColumn { time: place(window.time)?, ..window }));
        Ok(Slot { column: slot.column.map(place).transpose()?, window: window.transpose()? })
    });
    let mut slots = slots.collect::<Result<Vec<_>>>()?;
    let mut fields: Vec<FieldRef> = kept.iter().map(|column| Arc::clone(&node.schema.fields()[*column])).collect();
    let mut names: HashSet<String> = fields.iter().map(|field| field.name().clone()).collect();
    let logical = unnest.schema_fields();
    for field in &logical[logical.len() - unnest.added()..] {
        let name = free_name(field.name(), &names);
        names.insert(name.clone());
        slots.push(Slot::column(fields.len()));
        fields.push(Arc::new(field.as_ref().clone().with_name(name)));
    }
    let schema = Arc::new(Schema::new(fields));
    let spec = UnnestSpec {
        by: UnnestBy::Column(array),
        kept,
        is_outer: unnest.shape.is_outer,
        with_ordinality: unnest.shape.with_ordinality,
        schema: Arc::clone(&schema),
    };
    Ok(Relation { node: Node { schema, op: NodeOp::Unnest { input: Box::new(node), spec } }, slots })
}

/// Refuses one UNNEST more above `node`, or windows that make several rows of one, if an ordinal could not tell its rows apart.
///
/// # Errors
/// If there are too many below.
pub(crate) fn check_unnests(node: &Node) -> Result<()> {
    if unnests_below(node) < UNNESTS_MAX {
        return Ok(());
    }
    Err(Error::statement(format!(
        "more than {UNNESTS_MAX} UNNESTs, HOPs and CUMULATEs over one input are not supported"
    ))
    .help("write the result of some of them into a table"))
}

/// UNNESTs that a row of the node has come through since it got its ordinal.
fn unnests_below(node: &Node) -> usize {
    match &node.op {
        NodeOp::Unnest { input, .. } => 1 + unnests_below(input),
        NodeOp::Filter { input, .. }
        | NodeOp::Project { input, .. }
        | NodeOp::Watermark { input, .. }
        | NodeOp::Rank { input, .. }
        | NodeOp::Session { input, .. }
        | NodeOp::Sort { input, .. } => unnests_below(input),
        NodeOp::Union { inputs } => inputs.iter().map(unnests_below).max().unwrap_or(0),
        NodeOp::Scan { .. } | NodeOp::Values(_) | NodeOp::Aggregate { .. } | NodeOp::Running { .. } => 0,
    }
}
