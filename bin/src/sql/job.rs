//! From queries and their sinks to the plan of a job.

use std::any::Any;
use std::sync::Arc;

use datafusion_common::metadata::FieldMetadata;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, ScalarValue};
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::binder::{optimize, plan};
use super::cast::{OnFailure, cast};
use super::catalog::{Catalog, CatalogTable, ColumnSource, Entry};
use super::configuration::{Configuration, MODE, ModeSetting};
use super::functions::binding::Form;
use super::known_functions::KnownFunctions;
use super::lower::Lowering;
use super::nearest;
use super::reader::Name;
use super::rewrite::Rewritten;
use super::types::FlinkType;
use crate::error::{Error, Result, counted};
use crate::plan::{JobPlan, Pipeline, RuntimeMode, SinkTable};

/// What a job is planned with.
pub(crate) struct Planner<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) functions: &'a KnownFunctions,
    pub(crate) configuration: &'a Configuration,
}

/// Where the rows of a query are to go.
pub(crate) struct Target<'a> {
    pub(crate) table: &'a Name,
    pub(crate) columns: Option<&'a [Name]>,
}

impl Planner<'_> {
    /// The plan of a job that runs these queries, each into its target or to the user.
    ///
    /// # Errors
    /// For what is wrong with a query or does not fit its target, at its place.
    pub(crate) fn job(&self, queries: &[(Rewritten, Option<Target<'_>>)]) -> Result<JobPlan> {
        let mut plans = Vec::with_capacity(queries.len());
        for (query, target) in queries {
            let logical = plan(query, self.catalog, self.functions)?;
            let (logical, sink) = match target {
                None => (logical, SinkTable::Result),
                Some(target) => {
                    let table = self.sink(target.table)?;
                    let fitted = fit(logical, &table, target).map_err(|error| error.at(query.span.clone()))?;
                    let fitted = if self.configuration.drops_nulls() { without_nulls(fitted, &table)? } else { fitted };
                    (fitted, SinkTable::Table(Arc::clone(&table.table)))
                }
            };
            let optimized = optimize(logical).map_err(|error| error.at(query.span.clone()))?;
            plans.push((optimized, sink, query));
        }
        let mode = self.mode(plans.iter().map(|(plan, _, query)| (plan, *query)))?;
        let first = queries.first().map(|(query, _)| query.span.clone());
        let mini_batch = self.configuration.mini_batch();
        let mini_batch = mini_batch.map_err(|error| first.into_iter().fold(error, Error::at))?;
        let mut pipelines = Vec::with_capacity(plans.len());
        for (logical, sink, query) in plans {
            let append_only = match &sink {
                SinkTable::Table(table) if !sink.takes_updates() => Some((table.name.clone(), table.connector.name())),
                _ => None,
            };
            let (span, text) = (query.span.clone(), Arc::clone(&query.text));
            let lowering = Lowering { mode, mini_batch, append_only, span, text };
            pipelines.push(Pipeline { root: lowering.root(&logical)?, sink });
        }
        Ok(JobPlan { mode, pipelines })
    }

    pub(crate) fn sink(&self, name: &Name) -> Result<Arc<CatalogTable>> {
        match self.catalog.get(&name.value) {
            Some(Entry::Table(table)) if table.table.connector.supports_writing() => Ok(Arc::clone(table)),
            Some(Entry::Table(table)) => {
                let connector = table.table.connector.name();
                Err(Error::statement(format!("`{}` can only be read: its connector is '{connector}'", name.value))
                    .help("INSERT INTO a table with 'filesystem', 'stdout', 'print' or 'blackhole'")
                    .at(name.span.clone()))
            }
            Some(Entry::View(_)) => Err(Error::statement(format!("`{}` is a view; rows go into tables", name.value))
                .help("INSERT INTO a table")
                .at(name.span.clone())),
            None => Err(self.catalog.unknown(&name.value, "table", std::iter::empty(), name.span.clone())),
        }
    }

    fn mode<'p>(&self, plans: impl Iterator<Item = (&'p LogicalPlan, &'p Rewritten)>) -> Result<RuntimeMode> {
        let setting = self.configuration.mode()?;
        for (logical, query) in plans {
            let Some(unbounded) = unbounded_source(logical) else { continue };
            if setting == ModeSetting::Batch {
                return Err(Error::statement(format!(
                    "the input of `{unbounded}` has no end, and batch mode needs one"
                ))
                .help(format!("SET '{MODE}' = 'streaming'"))
                .at(query.span.clone()));
            }
            return Ok(RuntimeMode::Streaming);
        }
        Ok(if setting == ModeSetting::Streaming { RuntimeMode::Streaming } else { RuntimeMode::Batch })
    }
}

/// The name of a source without an end.
fn unbounded_source(plan: &LogicalPlan) -> Option<String> {
    let mut unbounded = None;
    let _ = plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let source: &dyn Any = scan.source.as_ref();
            if let Some(table) = source.downcast_ref::<CatalogTable>()
                && !table.table.connector.is_bounded()
            {
                unbounded = Some(table.table.name.clone());
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    unbounded
}

/// The columns of a query as those of its target: by position, cast where Flink casts silently.
fn fit(plan: LogicalPlan, table: &CatalogTable, target: &Target<'_>) -> Result<LogicalPlan> {
    let physical: Vec<usize> = (0..table.columns.len())
        .filter(|index| matches!(table.columns[*index].source, ColumnSource::Physical(_)))
        .collect();
    // For each column of the query, the table's column that it goes into.
    let places = match target.columns {
        None => physical.clone(),
        Some(names) => names.iter().map(|name| place(name, table)).collect::<Result<Vec<_>>>()?,
    };
    let schema = Arc::clone(plan.schema());
    if schema.fields().len() != places.len() {
        return Err(wrong_width(&schema, table, &places));
    }
    let mut expressions = Vec::with_capacity(physical.len());
    for column in physical.iter().map(|index| &table.columns[*index]) {
        let to = column.data_type;
        let given = places.iter().position(|place| table.columns[*place].name == column.name);
        let value = match given {
            Some(index) => {
                let (table_of_field, field) = schema.qualified_field(index);
                let from = FlinkType::from_field(field)?;
                if !casts_silently(from, to) {
                    return Err(Error::statement(format!(
                        "column {} of the query is {from}, and `{}` of `{}` is {to}",
                        index + 1,
                        column.name,
                        table.table.name
                    ))
                    .help(
                        match schema.fields().iter().any(|field| *field.name() == column.name) {
                            true => format!(
                                "columns go by position, not by name; INSERT INTO {} ({}) names them",
                                table.table.name,
                                names_of(&schema)
                            ),
                            false if field.name().starts_with("EXPR$") => format!("CAST(… AS {to}), if that is meant"),
                            false => format!("CAST({} AS {to}), if that is meant", field.name()),
                        },
                    ));
                }
                let value = Expr::Column(Column::new(table_of_field.cloned(), field.name()));
                converted(value, from, to)?
            }
            None if column.is_nullable => converted(Expr::Literal(ScalarValue::Null, None), FlinkType::Null, to)?,
            None => {
                return Err(Error::statement(format!(
                    "`{}` of `{}` is NOT NULL and gets no value",
                    column.name, table.table.name
                ))
                .help("name it among the columns after INSERT INTO"));
            }
        };
        // What Arrow's type does not say is the table's, too.
        let declared = FieldMetadata::from(&to.to_field("", true));
        expressions.push(value.alias_with_metadata(&column.name, Some(declared)));
    }
    LogicalPlanBuilder::from(plan)
        .project(expressions)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| Error::internal(error.strip_backtrace()))
}

/// The rows that have a value for every column of `table` that is NOT NULL. `plan` has the columns of the table.
fn without_nulls(plan: LogicalPlan, table: &CatalogTable) -> Result<LogicalPlan> {
    let columns = plan.schema().iter().zip(table.table.schema.fields());
    let required = columns.filter(|(_, field)| !field.is_nullable());
    let tests = required.map(|((of, column), _)| Expr::Column(Column::new(of.cloned(), column.name())).is_not_null());
    let Some(predicate) = tests.reduce(Expr::and) else { return Ok(plan) };
    LogicalPlanBuilder::from(plan)
        .filter(predicate)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| Error::internal(error.strip_backtrace()))
}

/// The columns of a query, for a list of names.
fn names_of(schema: &datafusion_common::DFSchema) -> String {
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
}

fn place(name: &Name, table: &CatalogTable) -> Result<usize> {
    let found = table.columns.iter().position(|column| column.name == name.value);
    match found {
        Some(index) if matches!(table.columns[index].source, ColumnSource::Physical(_)) => Ok(index),
        Some(_) => Err(Error::statement(format!("`{}` is computed and takes no value", name.value))
            .help("leave it out")
            .at(name.span.clone())),
        None => {
            let error = Error::statement(format!("there is no column `{}` in `{}`", name.value, table.table.name));
            let names = table.columns.iter().map(|column| column.name.as_str());
            Err(match nearest(&name.value, names) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help("DESCRIBE shows the table's columns"),
            }
            .at(name.span.clone()))
        }
    }
}

fn wrong_width(schema: &datafusion_common::DFSchema, table: &CatalogTable, places: &[usize]) -> Error {
    let shown = |columns: Vec<String>| columns.join(", ");
    let query = schema.fields().iter().map(|field| {
        let data_type =
            FlinkType::from_field(field).map_or_else(|_| String::new(), |data_type| format!(" {data_type}"));
        format!("{}{data_type}", field.name())
    });
    let sink = places.iter().map(|index| {
        let column = &table.columns[*index];
        format!("{} {}", column.name, column.data_type)
    });
    Error::statement(format!(
        "the query has {}, `{}` takes {}",
        counted(schema.fields().len(), "column"),
        table.table.name,
        places.len()
    ))
    .help(format!("the query: {}; the table: {}", shown(query.collect()), shown(sink.collect())))
}

fn converted(value: Expr, from: FlinkType, to: FlinkType) -> Result<Expr> {
    if from.to_arrow() == to.to_arrow() { Ok(value) } else { cast(value, from, to, Form::Implicit, OnFailure::Error) }
}

/// Whether Flink casts a query's column to a sink's without being told.
fn casts_silently(from: FlinkType, to: FlinkType) -> bool {
    use FlinkType as T;
    match (from, to) {
        (T::Null, _) => true,
        (from, to) if from == to => true,
        (T::TinyInt, T::SmallInt | T::Int | T::BigInt) | (T::SmallInt, T::Int | T::BigInt) | (T::Int, T::BigInt) => {
            true
        }
        (from, T::Decimal(..)) => from.is_exact(),
        (from, T::Double) => from.is_numeric(),
        (from, T::Float) => from.is_exact(),
        (T::Char(_) | T::VarChar(_), T::VarChar(_)) | (T::Char(_), T::Char(_)) => true,
        (T::Binary(_) | T::VarBinary(_), T::VarBinary(_)) | (T::Binary(_), T::Binary(_)) => true,
        (T::Time(_), T::Time(_)) => true,
        (from, to) if from.is_timestamp() && to.is_timestamp() => true,
        (T::Date, T::Timestamp(_)) => true,
        (T::Array(from), T::Array(to)) => casts_silently(from.flink, to.flink),
        (T::Map(from), T::Map(to)) => {
            casts_silently(from.key, to.key) && casts_silently(from.value.flink, to.value.flink)
        }
        (T::Row(from), T::Row(to)) => {
            let mut pairs = from.fields.iter().zip(&to.fields);
            from.fields.len() == to.fields.len()
                && pairs.all(|(from, to)| casts_silently(from.value.flink, to.value.flink))
        }
        _ => false,
    }
}
