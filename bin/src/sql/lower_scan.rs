//! A table's scan: only the columns that are used, the computed ones above it, and the watermark above those.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_schema::Schema;
use datafusion_common::tree_node::TreeNode;
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::Expr;
use datafusion_expr::logical_plan::TableScan;

use super::catalog::{CatalogTable, ColumnSource, Watermark, WatermarkKind};
use super::lower::Lowering;
use super::relation::{ProjectionBuilder, Relation, Slot, internal};
use crate::error::{Error, Result};
use crate::plan::{Node, NodeOp, RuntimeMode, WatermarkStrategy};

/// Lowers the scan of a table of the catalog.
///
/// # Errors
/// If a computed column cannot be compiled.
pub(crate) fn lower_scan(lowering: &Lowering, scan: &TableScan) -> Result<Relation> {
    let source: &dyn Any = scan.source.as_ref();
    let Some(table) = source.downcast_ref::<CatalogTable>() else {
        return Err(Error::internal(format!("a scan of the unknown table {}", scan.table_name)));
    };
    if !scan.filters.is_empty() || scan.fetch.is_some() {
        return Err(Error::internal("a filter or limit within a scan"));
    }
    let wanted: Vec<usize> = match &scan.projection {
        Some(columns) => columns.clone(),
        None => (0..table.columns.len()).collect(),
    };
    let watermark = table.watermark.as_ref().filter(|_| lowering.mode == RuntimeMode::Streaming);
    // Ascending, so that the columns of the node are in declared order.
    let mut needed: BTreeSet<usize> = wanted.iter().copied().collect();
    if let Some(watermark) = watermark {
        needed.extend(columns_of_watermark(table, watermark)?);
    }
    let relation = with_computed(table, &needed)?;
    let place: HashMap<usize, usize> = needed.iter().enumerate().map(|(place, column)| (*column, place)).collect();
    let node = match watermark {
        None => relation.node,
        Some(watermark) => with_watermark(table, relation, &needed, watermark, place[&watermark.column])?,
    };
    let slots = wanted.iter().map(|column| Slot::column(place[column])).collect();
    Ok(Relation { node, slots })
}

/// The needed columns, in declared order, above a scan of the physical ones that they follow from.
fn with_computed(table: &CatalogTable, needed: &BTreeSet<usize>) -> Result<Relation> {
    let mut physical: BTreeSet<usize> = BTreeSet::new();
    for &column in needed {
        match &table.columns[column].source {
            ColumnSource::Physical(index) => {
                physical.insert(*index);
            }
            ColumnSource::Computed { expression, .. } => physical.extend(columns_in(expression, &table.table.schema)?),
        }
    }
    let columns: Vec<usize> = physical.iter().copied().collect();
    let schema = table.table.schema.project(&columns).map_err(|error| Error::internal(error.to_string()))?;
    let logical = DFSchema::try_from(schema.clone()).map_err(|error| internal(&error))?;
    let scan = NodeOp::Scan { table: Arc::clone(&table.table), columns, pruning: Vec::new() };
    let relation = Relation::of(Node { schema: Arc::new(schema), op: scan });
    let mut builder = ProjectionBuilder::new(&relation, &logical);
    for &column in needed {
        let field = table.schema.field(column);
        match &table.columns[column].source {
            ColumnSource::Physical(index) => {
                let place = physical.iter().position(|known| known == index).unwrap_or_default();
                builder.push_slot(Slot::column(place), Some(field))?
            }
            ColumnSource::Computed { expression, .. } => builder.push(expression, field)?,
        };
    }
    let projection = builder.finish()?;
    Ok(Relation::of(projection.over(relation.node)))
}

fn with_watermark(
    table: &CatalogTable,
    relation: Relation,
    needed: &BTreeSet<usize>,
    watermark: &Watermark,
    time_column: usize,
) -> Result<Node> {
    let strategy = match &watermark.strategy {
        WatermarkKind::Lag(ms) => WatermarkStrategy::Lag(*ms),
        WatermarkKind::Expression(expression) => {
            let columns: Vec<usize> = needed.iter().copied().collect();
            let schema = table.schema.project(&columns).map_err(|error| Error::internal(error.to_string()))?;
            let logical = DFSchema::try_from(schema).map_err(|error| internal(&error))?;
            WatermarkStrategy::Expression(relation.compile(expression, &logical)?)
        }
    };
    let schema = Arc::clone(&relation.node.schema);
    Ok(Node { schema, op: NodeOp::Watermark { input: Box::new(relation.node), time_column, strategy } })
}

fn columns_of_watermark(table: &CatalogTable, watermark: &Watermark) -> Result<Vec<usize>> {
    let mut columns = vec![watermark.column];
    if let WatermarkKind::Expression(expression) = &watermark.strategy {
        columns.extend(columns_in(expression, &table.schema)?);
    }
    Ok(columns)
}

/// Indices in `schema` of the columns that an expression reads.
fn columns_in(expression: &Expr, schema: &Schema) -> Result<Vec<usize>> {
    let mut columns = Vec::new();
    expression
        .apply(|expr| {
            if let Expr::Column(column) = expr {
                columns
                    .push(schema.index_of(&column.name).map_err(|error| DataFusionError::Internal(error.to_string()))?);
            }
            Ok(datafusion_common::tree_node::TreeNodeRecursion::Continue)
        })
        .map_err(|error| internal(&error))?;
    Ok(columns)
}
