//! What DataFusion's planner asks: tables, functions, types, and the hooks for what Flink does otherwise.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_schema::{DataType, Field, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Column, DataFusionError, Result as PlannerResult, ScalarValue, TableReference};
use datafusion_expr::planner::{
    ContextProvider, ExprPlanner, PlannerResult as Planned, RawAggregateExpr, RelationPlanner, TypePlanner,
};
use datafusion_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF,
};
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::optimize_unions::OptimizeUnions;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_optimizer::{Analyzer, Optimizer, OptimizerContext};
use datafusion_sql::planner::{NullOrdering, ParserOptions, SqlToRel};
use sqlparser::ast::Statement;

use super::arithmetic::FlinkExprPlanner;
use super::catalog::{Catalog, Entry, View};
use super::diagnostic::{self, statement_error, wrap};
use super::functions::nested;
use super::known_functions::KnownFunctions;
use super::locate;
use super::rewrite::Rewritten;
use super::row_number::{ROW_NUMBER, row_number};
use super::types::FlinkTypePlanner;
use super::typing::FlinkTyping;
use super::unnest::UnnestPlanner;
use super::values::ValuesPlanner;
use super::window::WindowPlanner;
use crate::error::{Error, Result, counted};

/// Answers for one query.
pub(crate) struct Binder<'a> {
    catalog: &'a Catalog,
    functions: &'a KnownFunctions,
    rewritten: Option<&'a Rewritten>,
    options: ConfigOptions,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
    type_planner: Arc<dyn TypePlanner>,
}

impl<'a> Binder<'a> {
    /// For `rewritten`, or for expressions alone.
    pub(crate) fn new(catalog: &'a Catalog, functions: &'a KnownFunctions, rewritten: Option<&'a Rewritten>) -> Self {
        let calls = rewritten.map(|rewritten| Arc::clone(&rewritten.windows)).unwrap_or_default();
        let unnests = rewritten.map(|rewritten| Arc::clone(&rewritten.unnests)).unwrap_or_default();
        let tables = rewritten.map(|rewritten| Arc::clone(&rewritten.values)).unwrap_or_default();
        let text = rewritten.map(|rewritten| Arc::clone(&rewritten.text));
        Self {
            catalog,
            functions,
            rewritten,
            options: ConfigOptions::new(),
            expr_planners: vec![Arc::new(CountPlanner), Arc::new(FieldPlanner), Arc::new(FlinkExprPlanner)],
            relation_planners: vec![
                Arc::new(WindowPlanner { calls }),
                Arc::new(UnnestPlanner { calls: unnests }),
                Arc::new(ValuesPlanner { tables, text }),
            ],
            type_planner: Arc::new(FlinkTypePlanner),
        }
    }

    /// DataFusion's planner over these answers.
    pub(crate) fn planner(&self) -> SqlToRel<'_, Self> {
        self.planner_with_spans(true)
    }

    fn planner_with_spans(&self, collects_spans: bool) -> SqlToRel<'_, Self> {
        let options = ParserOptions::new()
            .with_enable_ident_normalization(false)
            .with_collect_spans(collects_spans)
            .with_parse_float_as_decimal(true)
            .with_default_null_ordering(NullOrdering::NullsMin);
        SqlToRel::new_with_options(self, options)
    }

    fn view(&self, view: &View) -> Result<LogicalPlan> {
        // The places of another text would point anywhere in this one.
        let is_same_text = self.rewritten.is_some_and(|rewritten| Arc::ptr_eq(&rewritten.text, &view.query.text));
        plan_with_spans(&view.query, self.catalog, self.functions, is_same_text)
            .and_then(|plan| with_names(plan, &view.columns))
            .map_err(|error| Error {
                span: None,
                message: format!("the view `{}` is no longer valid: {}", view.name, error.message),
                ..error
            })
    }
}

/// The logical plan of a query, as the planner makes it.
///
/// # Errors
/// For what the query gets wrong, at its place.
pub(crate) fn plan(rewritten: &Rewritten, catalog: &Catalog, functions: &KnownFunctions) -> Result<LogicalPlan> {
    plan_with_spans(rewritten, catalog, functions, true)
}

/// Everything that keeps a query from being planned, with places; empty if nothing does.
pub(crate) fn errors(rewritten: &Rewritten, catalog: &Catalog, functions: &KnownFunctions) -> Vec<Error> {
    let binder = Binder::new(catalog, functions, Some(rewritten));
    let found = locate::errors(rewritten, &binder.planner());
    if found.is_empty() { plan(rewritten, catalog, functions).err().into_iter().collect() } else { found }
}

fn plan_with_spans(
    rewritten: &Rewritten,
    catalog: &Catalog,
    functions: &KnownFunctions,
    collects_spans: bool,
) -> Result<LogicalPlan> {
    let binder = Binder::new(catalog, functions, Some(rewritten));
    let planner = binder.planner_with_spans(collects_spans);
    // Types are checked here, where the syntax tree is at hand to find the place of an error.
    planner.sql_statement_to_plan(Statement::Query(Box::new(rewritten.query.clone()))).and_then(analyze).map_err(
        |error| {
            let found = locate::error(statement_error(&error, &rewritten.text), rewritten, &planner);
            let known = diagnostic::place(&error, &rewritten.text);
            known.into_iter().fold(found, Error::at).at(rewritten.span.clone())
        },
    )
}

/// Types made equal where Flink does so without being asked.
pub(crate) fn analyze(plan: LogicalPlan) -> PlannerResult<LogicalPlan> {
    let analyzer = Analyzer::with_rules(vec![Arc::new(FlinkTyping)]);
    analyzer.execute_and_check(plan, &ConfigOptions::new(), |_, _| {})
}

/// The rules that are of use to a stream and keep its meaning: no rule moves LIMIT, splits an aggregate in two or invents
/// names.
///
/// # Errors
/// If a rule fails: a bug of ours, or an expression of constants that has no value.
pub(crate) fn optimize(plan: LogicalPlan) -> Result<LogicalPlan> {
    let optimizer = Optimizer::with_rules(vec![
        Arc::new(OptimizeUnions::new()),
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ReplaceDistinctWithAggregate::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(OptimizeProjections::new()),
    ]);
    let config = OptimizerContext::new().with_max_passes(1).without_query_execution_start_time();
    optimizer
        .optimize(plan, &config, |_, _| {})
        .map_err(|error| Error::statement(error.strip_backtrace().lines().next().unwrap_or_default().to_owned()))
}

/// The same plan with the names that a view gives its columns.
///
/// # Errors
/// If there are more or fewer names than columns.
pub(crate) fn with_names(plan: LogicalPlan, names: &[String]) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    if names.is_empty() {
        return Ok(plan);
    }
    if names.len() != schema.fields().len() {
        return Err(Error::statement(format!(
            "the view names {}, its query has {}",
            counted(names.len(), "column"),
            schema.fields().len()
        ))
        .help("name every column of the query, or none"));
    }
    let columns = schema.iter().zip(names).map(|(field, name)| Expr::from(field).alias(name));
    LogicalPlanBuilder::from(plan)
        .project(columns)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| Error::internal(error.strip_backtrace()))
}

/// A view as the planner takes it in.
struct ViewSource {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl TableSource for ViewSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

impl ContextProvider for Binder<'_> {
    fn get_table_source(&self, name: TableReference) -> PlannerResult<Arc<dyn TableSource>> {
        let name = name.table();
        if let Some(file) = self.rewritten.and_then(|rewritten| rewritten.files.get(name)) {
            return Ok(Arc::clone(file) as Arc<dyn TableSource>);
        }
        match self.catalog.get(name) {
            Some(Entry::Table(table)) => Ok(Arc::clone(table) as Arc<dyn TableSource>),
            Some(Entry::View(view)) => {
                let plan = self.view(view).map_err(wrap)?;
                let schema = Arc::clone(plan.schema().inner());
                Ok(Arc::new(ViewSource { plan, schema }))
            }
            None => Err(DataFusionError::Plan(format!("there is no table `{name}`"))),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::clone(&self.type_planner))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        name.eq_ignore_ascii_case(ROW_NUMBER).then(row_number)
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.scalar_names().map(str::to_owned).collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.functions.aggregate_names().map(str::to_owned).collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        vec![ROW_NUMBER.to_owned()]
    }
}

/// `COUNT(*)` counts rows: COUNT of what is never NULL.
#[derive(Debug)]
struct CountPlanner;

impl ExprPlanner for CountPlanner {
    fn plan_aggregate(&self, mut expr: RawAggregateExpr) -> PlannerResult<Planned<RawAggregateExpr>> {
        #[expect(deprecated, reason = "DataFusion has no other form for the star of COUNT(*)")]
        let is_star = matches!(&expr.args[..], [Expr::Wildcard { .. }]);
        if is_star {
            if !expr.func.name().eq_ignore_ascii_case("COUNT") || expr.distinct {
                return Err(wrap(
                    Error::statement(format!("{}(*) means nothing here", expr.func.name().to_uppercase()))
                        .help("COUNT(*) counts rows; the others take an expression"),
                ));
            }
            expr.args = vec![Expr::Literal(ScalarValue::Int64(Some(1)), None)];
        }
        Ok(Planned::Original(expr))
    }
}

/// `r.f.g`, where `r` is a column.
#[derive(Debug)]
struct FieldPlanner;

impl ExprPlanner for FieldPlanner {
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> PlannerResult<Planned<Vec<Expr>>> {
        let column = Expr::Column(Column::from((qualifier, field)));
        nested_names.iter().try_fold(column, |row, name| nested::field(row, name)).map(Planned::Planned).map_err(wrap)
    }
}
