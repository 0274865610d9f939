//! Window functions: the call as it is written, and its place in the logical plan.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};
use datafusion_common::{DFSchema, DFSchemaRef, DataFusionError, ExprSchema, Result as PlannerResult};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use sqlparser::ast::{self, TableFactor};
use thalweg_operators::spec::{WindowKind, WindowShape};

use super::catalog::{as_time_attribute, is_time_attribute, list};
use super::diagnostic::wrap;
use crate::error::Error;

/// How a table factor names a window call on its way to [`WindowPlanner`]: `$window 3`. No name of the user's has a blank.
const MARKER: &str = "$window ";

/// A window function's call, taken out of the syntax tree.
#[derive(Clone, Debug)]
pub(crate) struct WindowCall {
    /// The rows.
    pub(crate) input: TableFactor,
    /// The column that is to be a time attribute.
    pub(crate) time: ast::Expr,
    /// Its place.
    pub(crate) time_span: Range<usize>,
    pub(crate) shape: WindowShape,
    /// Columns of which each value has windows of its own: those of SESSION.
    pub(crate) partition: Vec<ast::Expr>,
    pub(crate) names: WindowNames,
}

/// What the three columns are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct WindowNames {
    pub(crate) start: &'static str,
    pub(crate) end: &'static str,
    pub(crate) time: &'static str,
}

impl WindowNames {
    /// Of a table function.
    pub(crate) const TABLE_FUNCTION: Self = Self { start: "window_start", end: "window_end", time: "window_time" };
    /// Of `GROUP BY TUMBLE(…)`, where the user has no names for them.
    pub(crate) const TUMBLE: Self = Self { start: "$tumble_start", end: "$tumble_end", time: "$tumble_rowtime" };
    /// Of `GROUP BY SESSION(…)`.
    pub(crate) const SESSION: Self = Self { start: "$session_start", end: "$session_end", time: "$session_rowtime" };
    /// Of `GROUP BY HOP(…)`.
    pub(crate) const HOP: Self = Self { start: "$hop_start", end: "$hop_end", time: "$hop_rowtime" };
}

/// The table factor that stands for call number `index`.
pub(crate) fn marker(index: usize, alias: Option<ast::TableAlias>) -> TableFactor {
    TableFactor::TableFunction { expr: ast::Expr::Identifier(ast::Ident::new(format!("{MARKER}{index}"))), alias }
}

/// The call that a table factor stands for, if it is a marker.
pub(crate) fn call_of<'a>(factor: &TableFactor, calls: &'a [WindowCall]) -> Option<&'a WindowCall> {
    match factor {
        TableFactor::TableFunction { expr: ast::Expr::Identifier(name), .. } => {
            name.value.strip_prefix(MARKER).and_then(|index| calls.get(index.parse::<usize>().ok()?))
        }
        _ => None,
    }
}

/// Plans the calls that the syntax tree's markers stand for.
#[derive(Debug)]
pub(crate) struct WindowPlanner {
    /// By the number in the marker.
    pub(crate) calls: Arc<Vec<WindowCall>>,
}

impl RelationPlanner for WindowPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> PlannerResult<RelationPlanning> {
        let call = call_of(&relation, &self.calls);
        let TableFactor::TableFunction { alias, .. } = relation.clone() else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(call) = call else { return Ok(RelationPlanning::Original(Box::new(relation))) };
        let input = context.plan(call.input.clone())?;
        let time = context.sql_to_expr(call.time.clone(), input.schema())?;
        let keys = call.partition.iter().map(|key| context.sql_to_expr(key.clone(), input.schema()));
        let keys = keys.collect::<PlannerResult<Vec<Expr>>>()?;
        let node = Window::try_new(input, (time, keys), call).map_err(wrap)?;
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// Rows with the start, the end and the time of their window: three columns more than the input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    pub(crate) input: Arc<LogicalPlan>,
    /// A column of the input.
    pub(crate) time: Expr,
    /// Columns of the input: PARTITION BY.
    pub(crate) partition: Vec<Expr>,
    pub(crate) shape: WindowShape,
    names: WindowNames,
    schema: DFSchemaRef,
}

impl Window {
    /// # Errors
    /// If `time` is not a time attribute, or the input has a column of a window's name already.
    fn try_new(input: LogicalPlan, (time, partition): (Expr, Vec<Expr>), call: &WindowCall) -> Result<Self, Error> {
        let schema = input.schema();
        let field = match &time {
            Expr::Column(column) => schema.field_from_column(column).ok(),
            _ => None,
        };
        let Some(field) = field.filter(|field| is_time_attribute(field)) else {
            return Err(not_a_time_attribute(&time, schema).at(call.time_span.clone()));
        };
        let names = call.names;
        for name in [names.start, names.end, names.time] {
            if schema.fields().iter().any(|field| field.name() == name) {
                return Err(Error::statement(format!("the window's input has a column `{name}` already"))
                    .help(format!("give it another name where it comes from: {name} AS inner_{name}"))
                    .at(call.time_span.clone()));
            }
        }
        let schema = Self::schema_over(schema, field, names)
            .map_err(|error| Error::internal(format!("the columns of a window: {error}")))?;
        Ok(Self { input: Arc::new(input), time, partition, shape: call.shape, names, schema })
    }

    fn schema_over(input: &DFSchema, time: &Field, names: WindowNames) -> PlannerResult<DFSchemaRef> {
        let bound = DataType::Timestamp(TimeUnit::Millisecond, None);
        let time_type = time.data_type().clone();
        let mut fields: Vec<_> = input.iter().map(|(table, field)| (table.cloned(), Arc::clone(field))).collect();
        fields.push((None, Arc::new(Field::new(names.start, bound.clone(), false))));
        fields.push((None, Arc::new(Field::new(names.end, bound, false))));
        fields.push((None, Arc::new(as_time_attribute(Field::new(names.time, time_type, false)))));
        Ok(Arc::new(DFSchema::new_with_metadata(fields, input.metadata().clone())?))
    }
}

impl PartialOrd for Window {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        let key = |window: &Self| (window.shape, window.names);
        match key(self).cmp(&key(other)) {
            std::cmp::Ordering::Equal => self.input.partial_cmp(&other.input),
            unequal => Some(unequal),
        }
    }
}

impl UserDefinedLogicalNodeCore for Window {
    fn name(&self) -> &'static str {
        "Window"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        std::iter::once(&self.time).chain(&self.partition).cloned().collect()
    }

    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        let own = [self.names.start, self.names.end, self.names.time].map(str::to_owned);
        // A row that is left out below may be what joins two sessions.
        let inputs = self.input.schema().fields().iter().map(|field| field.name().clone());
        own.into_iter().chain(inputs.filter(|_| self.shape.kind == WindowKind::Session)).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Window: {} {:?}", self.time, self.shape)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> PlannerResult<Self> {
        let partition = exprs.split_off(exprs.len().min(1));
        let (Some(time), Some(input)) = (exprs.pop(), inputs.pop()) else {
            return Err(DataFusionError::Internal("a window without its time or its input".to_owned()));
        };
        let Expr::Column(column) = &time else {
            return Err(DataFusionError::Internal(format!("the time of a window became {time}")));
        };
        let schema = Self::schema_over(input.schema(), input.schema().field_from_column(column)?, self.names)?;
        Ok(Self { input: Arc::new(input), time, partition, schema, ..self.clone() })
    }

    /// The time is needed whatever columns are used above.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let Expr::Column(column) = &self.time else { return None };
        let time = self.input.schema().maybe_index_of_column(column)?;
        let inputs = self.input.schema().fields().len();
        let mut needed: Vec<usize> = output_columns.iter().copied().filter(|&column| column < inputs).collect();
        needed.push(time);
        for key in &self.partition {
            let Expr::Column(key) = key else { return None };
            needed.push(self.input.schema().maybe_index_of_column(key)?);
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

fn not_a_time_attribute(time: &Expr, schema: &DFSchema) -> Error {
    let name = match time {
        Expr::Column(column) => format!("`{}`", column.name),
        other => format!("`{other}`"),
    };
    let error = Error::statement(format!("a window needs a time attribute, and {name} is none"));
    let attributes: Vec<&str> =
        schema.fields().iter().filter(|field| is_time_attribute(field)).map(|field| field.name().as_str()).collect();
    if attributes.is_empty() {
        error.help(
            "declare one: WATERMARK FOR column AS column - INTERVAL '5' SECOND in CREATE TABLE, or --watermark with FROM 'file'",
        )
    } else {
        error.help(format!("time attributes here: {}", list(&attributes)))
    }
}

/// Which column of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum WindowPart {
    /// The first instant of the window.
    Start,
    /// The first instant after it.
    End,
    /// The last instant in it.
    Time,
}
