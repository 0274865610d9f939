//! From DataFusion's logical plan to the plan of a job: columns numbered, expressions compiled, windows recognised.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use datafusion_common::DFSchema;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::{Expr, ExprSchemable, FetchType, Limit, LogicalPlan, Projection, SkipType, Sort, Union, Values};

use thalweg_operators::spec::WindowKind;

use super::compile::describe;
use super::diagnostic::parser_span;
use super::lower_aggregate::lower_aggregate;
use super::lower_rank::{Numbered, lower_rank, refuse_unfiltered};
use super::lower_scan::lower_scan;
use super::lower_session::lower_session;
use super::lower_unnest::lower_unnest;
use super::relation::{ProjectionBuilder, Relation, Slot, WindowColumn, internal};
use super::text::SqlText;
use super::types::FlinkType;
use super::typing::set_operation;
use super::unnest::Unnest;
use super::window::{Window, WindowPart};
use crate::error::{Error, Result};
use crate::plan::{MiniBatch, Node, NodeOp, RuntimeMode, SortKey};

/// What lowering needs to know of the job.
pub(crate) struct Lowering {
    pub(crate) mode: RuntimeMode,
    /// How the changes of running aggregations are gathered.
    pub(crate) mini_batch: Option<MiniBatch>,
    /// Where the rows go, if that cannot take updates: table and connector.
    pub(crate) append_only: Option<(String, &'static str)>,
    /// Place of the query, for errors that have no better one.
    pub(crate) span: Range<usize>,
    pub(crate) text: Arc<SqlText>,
}

impl Lowering {
    /// Lowers a whole query: the node's columns are the query's, in order and under their names.
    ///
    /// # Errors
    /// For what cannot run, at its place.
    pub(crate) fn root(&self, plan: &LogicalPlan) -> Result<Node> {
        let relation = self.lower(plan).and_then(Relation::spread).map_err(|error| error.at(self.span.clone()))?;
        let mut builder = ProjectionBuilder::new(&relation, plan.schema());
        for (slot, field) in relation.slots.iter().zip(plan.schema().fields()) {
            builder.push_slot(*slot, Some(field))?;
        }
        let projection = builder.finish()?;
        Ok(projection.over(relation.node))
    }

    /// Lowers one operator and what is below it.
    ///
    /// # Errors
    /// For what cannot run.
    pub(crate) fn lower(&self, plan: &LogicalPlan) -> Result<Relation> {
        match plan {
            LogicalPlan::TableScan(scan) => lower_scan(self, scan),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => {
                if let Some(numbered) = Numbered::of(self, plan)? {
                    return lower_rank(self, &numbered, true);
                }
                let logical = filter.input.schema();
                let input = self.lower(&filter.input)?.with_computed([&filter.predicate], logical)?;
                let predicate = input.compile(&filter.predicate, logical)?;
                let tests = input.column_tests(&filter.predicate, logical)?;
                let Relation { mut node, slots } = input;
                node.prune(tests);
                let schema = Arc::clone(&node.schema);
                let of_whole_keys = set_operation::of_groups(&filter.input).is_some();
                let op = NodeOp::Filter { input: Box::new(node), predicate, of_whole_keys };
                Ok(Relation { node: Node { schema, op }, slots })
            }
            LogicalPlan::SubqueryAlias(alias) => self.lower(&alias.input),
            LogicalPlan::Window(window) => Err(refuse_unfiltered(self, window)),
            LogicalPlan::Aggregate(aggregate) => lower_aggregate(self, aggregate),
            LogicalPlan::Extension(extension) => {
                let node = extension.node.as_any();
                if let Some(window) = node.downcast_ref::<Window>() {
                    self.window(window)
                } else if let Some(unnest) = node.downcast_ref::<Unnest>() {
                    lower_unnest(self, unnest)
                } else {
                    Err(Error::internal(format!("an unknown operator: {}", extension.node.name())))
                }
            }
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Values(values) => values_of(values),
            LogicalPlan::EmptyRelation(empty) => {
                let options = RecordBatchOptions::new().with_row_count(Some(usize::from(empty.produce_one_row)));
                let schema = Arc::clone(empty.schema.inner());
                let columns: Vec<ArrayRef> =
                    schema.fields().iter().map(|field| arrow_array::new_empty_array(field.data_type())).collect();
                let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
                    .map_err(|error| Error::internal(error.to_string()))?;
                Ok(Relation::of(Node { schema, op: NodeOp::Values(batch) }))
            }
            LogicalPlan::Join(_) => {
                Err(Error::statement("joins are not supported").help("read one table, or several with UNION ALL"))
            }
            other => Err(Error::internal(format!("a query planned as {}", other.display()))),
        }
    }

    fn projection(&self, projection: &Projection) -> Result<Relation> {
        let mut input = match Numbered::of(self, &projection.input)? {
            Some(numbered) => lower_rank(self, &numbered, numbered.is_used_by(projection.expr.iter()))?,
            None => self.lower(&projection.input)?,
        };
        let logical = projection.input.schema();
        let kept: Vec<Slot> = projection.expr.iter().filter_map(|expr| input.slot_of(expr, logical)).collect();
        if !Relation::keeps_open_window(kept.iter()) {
            input = input.spread()?;
        }
        let is_column = |expr: &&Expr| input.slot_of(expr, logical).is_some();
        let computed: Vec<&Expr> = projection.expr.iter().filter(|expr| !is_column(expr)).collect();
        let input = input.with_computed(computed, logical)?;
        let mut builder = ProjectionBuilder::new(&input, logical);
        let mut slots = Vec::with_capacity(projection.expr.len());
        for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
            slots.push(match input.slot_of(expr, logical) {
                Some(slot @ Slot { column: None, .. }) => slot,
                Some(slot) => Slot { column: Some(builder.push(expr, field)?), window: slot.window },
                None => Slot::column(builder.push(expr, field)?),
            });
        }
        // The time of a window goes with its columns.
        for slot in &mut slots {
            if let Some(window) = &mut slot.window {
                window.time = builder.pass(window.time);
            }
        }
        let projection = builder.finish()?;
        Ok(Relation { node: projection.over(input.node), slots })
    }

    /// Three slots more; nothing is computed.
    fn window(&self, window: &Window) -> Result<Relation> {
        if window.shape.kind == WindowKind::Session {
            return lower_session(self, window);
        }
        let input = self.lower(&window.input)?.spread()?;
        let logical = window.input.schema();
        let mut relation = input.with_computed([&window.time], logical)?;
        let time = relation.slot_of(&window.time, logical).and_then(|slot| slot.column);
        let time = time.ok_or_else(|| Error::internal("the time of a window is lost"))?;
        for part in [WindowPart::Start, WindowPart::End, WindowPart::Time] {
            let window = WindowColumn { part, time, shape: window.shape, is_given: false };
            relation.slots.push(Slot { column: None, window: Some(window) });
        }
        Ok(relation)
    }

    /// UNION ALL. Where all inputs have the same window's columns at the same places, the union has, too.
    fn union(&self, union: &Union) -> Result<Relation> {
        let mut inputs = union.inputs.iter().map(|input| self.lower(input)).collect::<Result<Vec<_>>>()?;
        let fields = union.schema.fields();
        let is_open = |input: &Relation| Relation::keeps_open_window(input.slots.iter());
        if common_window(&inputs).is_none() || !inputs.iter().all(is_open) {
            inputs = inputs.into_iter().map(Relation::spread).collect::<Result<_>>()?;
        }
        let window = common_window(&inputs);
        // What no input has computed yet of the common window stays so.
        let is_open =
            |column: usize| window.is_some() && inputs.iter().all(|input| input.slots[column].column.is_none());
        let open: Vec<bool> = (0..fields.len()).map(is_open).collect();
        let mut nodes = Vec::with_capacity(inputs.len());
        let mut time = 0;
        for (relation, plan) in inputs.into_iter().zip(&union.inputs) {
            let mut builder = ProjectionBuilder::new(&relation, plan.schema());
            for ((slot, field), is_open) in relation.slots.iter().zip(fields).zip(&open) {
                if !is_open {
                    builder.push_slot(*slot, Some(field))?;
                }
            }
            if let Some(own) = relation.slots.iter().find_map(|slot| slot.window).filter(|_| window.is_some()) {
                let field = relation.node.schema.field(own.time).clone().with_name("window_time");
                time = builder.push_slot(Slot::column(own.time), Some(&field))?;
            }
            let projection = builder.finish()?;
            nodes.push(projection.over(relation.node));
        }
        let Some(first) = nodes.first() else { return Err(Error::internal("a union of nothing")) };
        let schema = Arc::clone(&first.schema);
        if let Some(other) = nodes.iter().find(|node| !has_equal_types(&node.schema, &schema)) {
            return Err(Error::internal(format!("a union of {:?} and {:?}", other.schema, schema)));
        }
        let windows = window.unwrap_or_else(|| vec![None; fields.len()]);
        let mut columns = 0..;
        let slots = windows.iter().zip(open).map(|(window, is_open)| Slot {
            column: if is_open { None } else { columns.next() },
            window: window.map(|window| WindowColumn { time, ..window }),
        });
        let slots = slots.collect();
        Ok(Relation { node: Node { schema, op: NodeOp::Union { inputs: nodes } }, slots })
    }

    fn sort(&self, sort: &Sort) -> Result<Relation> {
        let refused = self.refuse_unbounded("ORDER BY", "the rows of a window can be ordered by whoever reads them");
        refused.map_err(|error| {
            let place = self.place_of(sort.expr.iter().map(|key| &key.expr));
            place.into_iter().fold(error, Error::at)
        })?;
        let logical = sort.input.schema();
        let input = self.lower(&sort.input)?.spread()?.with_computed(sort.expr.iter().map(|key| &key.expr), logical)?;
        let mut builder = ProjectionBuilder::new(&input, logical);
        for column in 0..input.node.schema.fields().len() {
            builder.pass(column);
        }
        let mut keys = Vec::with_capacity(sort.expr.len());
        for key in &sort.expr {
            let field = field_of(&key.expr, logical)?;
            if let flink @ (FlinkType::Array(_) | FlinkType::Map(_) | FlinkType::Row(_)) =
                FlinkType::from_field(&field)?
            {
                let error = Error::statement(format!("values of {flink} have no order"));
                let error = error.help("ORDER BY a field or an item of it, or CAST it to STRING");
                return Err(self.place_of(std::iter::once(&key.expr)).into_iter().fold(error, Error::at));
            }
            let column = builder.share(&key.expr, &field)?;
            keys.push(SortKey { column, is_descending: !key.asc, is_nulls_first: key.nulls_first });
        }
        let projection = builder.finish()?;
        let node = projection.over(input.node);
        let schema = Arc::clone(&node.schema);
        let limit = sort.fetch.map(|fetch| fetch as u64);
        let op = NodeOp::Sort { input: Box::new(node), keys, offset: 0, limit };
        Ok(Relation { node: Node { schema, op }, slots: input.slots })
    }

    fn limit(&self, limit: &Limit) -> Result<Relation> {
        self.refuse_unbounded("LIMIT", "`| head` takes the first rows of a stream")?;
        let not_literal = |error| internal(&error);
        let SkipType::Literal(skip) = limit.get_skip_type().map_err(not_literal)? else {
            return Err(Error::statement("OFFSET takes a whole number"));
        };
        let FetchType::Literal(fetch) = limit.get_fetch_type().map_err(not_literal)? else {
            return Err(Error::statement("LIMIT takes a whole number"));
        };
        let Relation { node, slots } = self.lower(&limit.input)?.spread()?;
        let (offset, fetch) = (skip as u64, fetch.map(|fetch| fetch as u64));
        match with_limit(node, offset, fetch) {
            Ok(node) => Ok(Relation { node, slots }),
            Err(node) => {
                let schema = Arc::clone(&node.schema);
                let op = NodeOp::Sort { input: node, keys: Vec::new(), offset, limit: fetch };
                Ok(Relation { node: Node { schema, op }, slots })
            }
        }
    }

    /// The place of the first expression that has one.
    pub(crate) fn place_of<'e>(&self, expressions: impl Iterator<Item = &'e Expr>) -> Option<Range<usize>> {
        for expression in expressions {
            let mut found = None;
            // The walk itself cannot fail.
            let _ = expression.apply(|expr| {
                found = expr.spans().and_then(|spans| spans.first());
                Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            });
            let place = found.and_then(|span| self.text.range(parser_span(span)));
            if place.is_some() {
                return place;
            }
        }
        None
    }

    /// Refuses in streaming mode what needs the end of the input.
    ///
    /// # Errors
    /// In streaming mode.
    pub(crate) fn refuse_unbounded(&self, what: &str, instead: &str) -> Result<()> {
        match self.mode {
            RuntimeMode::Batch => Ok(()),
            RuntimeMode::Streaming => Err(Error::statement(format!(
                "{what} is not supported in streaming mode: its result would never be final"
            ))
            .help(format!("SET 'execution.runtime-mode' = 'batch' if all input is bounded; {instead}"))),
        }
    }
}

/// The sort below, if there is nothing but projections between, with a limit; the node as it was, if not.
fn with_limit(node: Node, offset: u64, fetch: Option<u64>) -> Result<Node, Box<Node>> {
    match node.op {
        NodeOp::Sort { input, keys, offset: 0, limit: None } => {
            Ok(Node { schema: node.schema, op: NodeOp::Sort { input, keys, offset, limit: fetch } })
        }
        NodeOp::Project { input, expressions } => {
            let rebuild =
                |input| Node { schema: node.schema, op: NodeOp::Project { input: Box::new(input), expressions } };
            match with_limit(*input, offset, fetch) {
                Ok(input) => Ok(rebuild(input)),
                Err(input) => Err(Box::new(rebuild(*input))),
            }
        }
        op => Err(Box::new(Node { schema: node.schema, op })),
    }
}

/// Column by column what all inputs have of a window, if they agree and each has one window only.
fn common_window(inputs: &[Relation]) -> Option<Vec<Option<WindowColumn>>> {
    // Times are other columns in each input: they are compared within one only.
    let shape = |relation: &Relation| {
        let windows: Vec<Option<WindowColumn>> = relation.slots.iter().map(|slot| slot.window).collect();
        let first = windows.iter().flatten().next()?;
        windows.iter().flatten().all(|window| window.is_same_window(first)).then_some(())?;
        Some(windows.iter().map(|window| window.map(|window| WindowColumn { time: 0, ..window })).collect::<Vec<_>>())
    };
    let first = shape(inputs.first()?)?;
    inputs.iter().all(|input| shape(input).is_some_and(|other| other == first)).then_some(first)
}

fn has_equal_types(a: &Schema, b: &Schema) -> bool {
    a.fields().len() == b.fields().len()
        && a.fields().iter().zip(b.fields()).all(|(a, b)| a.data_type() == b.data_type())
}

/// A field for an expression, under the name that EXPLAIN shows.
pub(crate) fn field_of(expr: &Expr, logical: &DFSchema) -> Result<Field> {
    let (_, field) = expr.to_field(logical).map_err(|error| internal(&error))?;
    Ok(field.as_ref().clone().with_name(describe(expr, logical)))
}

fn values_of(values: &Values) -> Result<Relation> {
    let empty = Relation::of(no_columns());
    let one_row = RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&empty.node.schema), Vec::new(), &one_row)
        .map_err(|error| Error::internal(error.to_string()))?;
    let schema = Arc::clone(values.schema.inner());
    let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::with_capacity(values.values.len()); schema.fields().len()];
    for row in &values.values {
        for (column, expr) in columns.iter_mut().zip(row) {
            let scalar = empty.compile(expr, &DFSchema::empty())?;
            column.push(scalar.evaluate(&batch).map_err(|error| Error::statement(error.to_string()))?);
        }
    }
    let columns = columns.iter().zip(schema.fields()).map(|(rows, field)| {
        let rows: Vec<&dyn arrow_array::Array> = rows.iter().map(|row| row.as_ref()).collect();
        let column = arrow_select::concat::concat(&rows)?;
        if column.data_type() == field.data_type() { Ok(column) } else { arrow_cast::cast(&column, field.data_type()) }
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>().map_err(|error| Error::internal(error.to_string()))?;
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Relation::of(Node { schema, op: NodeOp::Values(batch) }))
}

/// A node without columns, to compile against what needs none.
fn no_columns() -> Node {
    let schema = Arc::new(Schema::empty());
    Node { schema: Arc::clone(&schema), op: NodeOp::Values(RecordBatch::new_empty(schema)) }
}
