//! A session: the catalog and the configuration that statements change, and the jobs that they become.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use thalweg_operators::kernels::Kernels;

use super::binder::{plan, with_names};
use super::catalog::{Catalog, CatalogTable, Entry, View};
use super::configuration::Configuration;
use super::declaration::{Declaration, file_table, has_event_time};
use super::job::{Planner, Target};
use super::known_functions::KnownFunctions;
use super::reader::Name;
use super::rewrite::{Rewritten, Scope, rewrite};
use super::script::{Script, read_script};
use super::show;
use super::stack::on_large_stack;
use super::statement::{CreateView, Insert, Statement, StatementKind};
use super::text::SqlText;
use crate::connect::{Connector, infer_file};
use crate::error::{Error, Result};
use crate::job::Metrics;
use crate::plan::JobPlan;
use crate::plan::strategy::StrategyChoice;

/// What the command line gives a session.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// `--set k=v`: beats SET.
    pub settings: Vec<(String, String)>,
    /// `--var NAME=VALUE`: beats the environment.
    pub variables: BTreeMap<String, String>,
    /// `--watermark 'ts - INTERVAL ''5'' SECOND'`: event time of `FROM 'file'`.
    pub watermark: Option<String>,
}

/// Tables, views and settings, and what statements make of them.
pub struct Session {
    options: SessionOptions,
    pub(super) catalog: Catalog,
    pub(super) configuration: Configuration,
    pub(super) functions: KnownFunctions,
    /// Tables and views whose declarations [`check`](Self::check) has refused.
    pub(super) broken: BTreeSet<String>,
    /// Schema and connector of a file by its path.
    infer_file: InferFile,
}

/// How the schema of a file is found.
type InferFile = fn(&str) -> Result<(SchemaRef, Connector)>;

/// What a statement comes to.
#[derive(Debug)]
pub enum Outcome {
    /// It is done: there is nothing to show.
    Done,
    /// An answer about the catalog or the configuration.
    Rows(RecordBatch),
    /// EXPLAIN: the plan is to be shown, not run.
    Explain(JobPlan),
    /// A job to run.
    Job(JobPlan),
}

impl Session {
    /// A session without tables.
    #[must_use]
    pub fn new(options: SessionOptions) -> Self {
        Self {
            configuration: Configuration::new(options.settings.iter().cloned()),
            options,
            catalog: Catalog::default(),
            functions: KnownFunctions::new(),
            broken: BTreeSet::new(),
            infer_file,
        }
    }

    /// Reads a text of any number of statements. Nothing is executed.
    ///
    /// # Errors
    /// One for each statement that cannot be read, and for each variable without a value.
    pub fn parse(&self, text: &str) -> Result<Script, Vec<Error>> {
        let (script, errors) = self.read(text);
        if errors.is_empty() { Ok(script) } else { Err(errors) }
    }

    /// As [`parse`](Self::parse), but what can be read comes beside what is wrong with the rest: for
    /// [`check`](Self::check). A statement that cannot be read is in the script too, and does nothing.
    #[must_use]
    pub fn read(&self, text: &str) -> (Script, Vec<Error>) {
        let nothing = Script { statements: Vec::new() };
        if let Err(error) = self.configuration.check_fixed() {
            return (nothing, vec![error]);
        }
        match SqlText::new(text, &self.options.variables) {
            Ok(text) => on_large_stack(|| read_script(&Arc::new(text))),
            Err(errors) => (nothing, errors),
        }
    }

    /// Checks a statement against the catalog and does what it says, short of running a job.
    ///
    /// # Errors
    /// For the first thing that is wrong with it, at its place.
    pub fn execute(&mut self, statement: &Statement) -> Result<Outcome> {
        let outcome = on_large_stack(|| self.execute_kind(&statement.kind, &statement.text));
        outcome.map_err(|error| error.at(statement.span.clone()))
    }

    /// Has the schemas of files found in another way.
    #[cfg(test)]
    pub(crate) fn infer_files_with(&mut self, infer_file: InferFile) {
        self.infer_file = infer_file;
    }

    /// What a key is set to, on the command line or by SET.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.configuration.get(key)
    }

    /// The strategy that was SET, if one was.
    ///
    /// # Errors
    /// If `--set` gave something else than a strategy.
    pub fn strategy(&self) -> Result<Option<StrategyChoice>> {
        self.configuration.strategy()
    }

    /// The kernels that SET chose, if it did.
    ///
    /// # Errors
    /// If `--set` gave something else than kernels.
    pub fn kernels(&self) -> Result<Option<Kernels>> {
        self.configuration.kernels()
    }

    /// What SET says is to be measured, if it did.
    ///
    /// # Errors
    /// If `--set` gave something else than `off`, `latency` or `on`.
    pub fn metrics(&self) -> Result<Option<Metrics>> {
        self.configuration.metrics()
    }

    pub(super) fn execute_kind(&mut self, kind: &StatementKind, text: &Arc<SqlText>) -> Result<Outcome> {
        match kind {
            StatementKind::CreateTable(create) => {
                if self.catalog.is_free(&create.name, create.if_not_exists)? {
                    let more = self.configuration.table_options(&create.name.value);
                    let table = Declaration { functions: &self.functions, text }.table(create, more)?;
                    self.catalog.insert(create.name.value.clone(), Entry::Table(Arc::new(table)));
                }
                Ok(Outcome::Done)
            }
            StatementKind::CreateView(create) => {
                if self.catalog.is_free(&create.name, create.if_not_exists)? {
                    let view = self.view(create, text)?;
                    self.catalog.insert(create.name.value.clone(), Entry::View(Arc::new(view)));
                }
                Ok(Outcome::Done)
            }
            StatementKind::Drop { object, name, if_exists } => {
                self.catalog.remove(*object, name, *if_exists)?;
                Ok(Outcome::Done)
            }
            StatementKind::Set(Some((key, value))) => {
                self.configuration.set(key, value)?;
                Ok(Outcome::Done)
            }
            StatementKind::Set(None) => {
                let lines =
                    self.configuration.iter().map(|(key, value)| vec![Some(key.to_owned()), Some(value.to_owned())]);
                show::rows(&["key", "value"], lines.collect()).map(Outcome::Rows)
            }
            StatementKind::Reset(key) => {
                self.configuration.reset(key.as_ref());
                Ok(Outcome::Done)
            }
            StatementKind::Describe(name) => show::describe(self.entry(name)?).map(Outcome::Rows),
            StatementKind::Show(object) => show::show(&self.catalog, *object).map(Outcome::Rows),
            StatementKind::ShowFunctions => {
                let lines = self.functions.names().map(|name| vec![Some(name.to_owned())]).collect();
                show::rows(&["function name"], lines).map(Outcome::Rows)
            }
            StatementKind::ShowCreate { object, name } => {
                let shown = show::show_create(self.entry(name)?, *object);
                shown.map(Outcome::Rows).map_err(|error| error.at(name.span.clone()))
            }
            StatementKind::Explain(inner) => self.job(inner, text).map(Outcome::Explain),
            StatementKind::Query(..) | StatementKind::Insert(_) | StatementKind::StatementSet(_) => {
                self.job(kind, text).map(Outcome::Job)
            }
            StatementKind::Broken(_) => Err(Error::internal("a statement that could not be read is to run")),
        }
    }

    fn entry(&self, name: &Name) -> Result<&Entry> {
        self.catalog
            .get(&name.value)
            .ok_or_else(|| self.catalog.unknown(&name.value, "table", std::iter::empty(), name.span.clone()))
    }

    pub(super) fn job(&self, kind: &StatementKind, text: &Arc<SqlText>) -> Result<JobPlan> {
        let planner =
            Planner { catalog: &self.catalog, functions: &self.functions, configuration: &self.configuration };
        match kind {
            StatementKind::Query(query, span) => planner.job(&[(self.rewrite(query, span, text)?, None)]),
            StatementKind::Insert(insert) => {
                let query = self.rewrite(&insert.query, &insert.query_span, text)?;
                planner.job(&[(query, Some(target(insert)))])
            }
            StatementKind::StatementSet(set) => {
                let mut queries = Vec::with_capacity(set.len());
                for insert in set {
                    let query = self.rewrite(&insert.query, &insert.query_span, text)?;
                    queries.push((query, Some(target(insert))));
                }
                planner.job(&queries)
            }
            _ => Err(Error::internal("a statement without a plan")),
        }
    }

    fn view(&self, create: &CreateView, text: &Arc<SqlText>) -> Result<View> {
        let query = self.rewrite(&create.query, &create.query_span, text)?;
        let columns: Vec<String> = create.columns.iter().map(|name| name.value.clone()).collect();
        let place = create.columns.first().map_or(&create.name.span, |first| &first.span);
        let planned = plan(&query, &self.catalog, &self.functions)?;
        let named = with_names(planned, &columns).map_err(|error| error.at(place.clone()))?;
        let schema = Arc::clone(named.schema().inner());
        let text = text.original(&create.query_span).to_owned();
        Ok(View { name: create.name.value.clone(), columns, query, text, is_temporary: create.is_temporary, schema })
    }

    fn rewrite(
        &self,
        query: &sqlparser::ast::Query,
        span: &std::ops::Range<usize>,
        text: &Arc<SqlText>,
    ) -> Result<Rewritten> {
        let (rewritten, mut errors) = self.rewrite_leniently(query, span, text);
        if errors.is_empty() { Ok(rewritten) } else { Err(errors.swap_remove(0)) }
    }

    /// The query as far as it can be made ready, and what is wrong with the rest.
    pub(super) fn rewrite_leniently(
        &self,
        query: &sqlparser::ast::Query,
        span: &std::ops::Range<usize>,
        text: &Arc<SqlText>,
    ) -> (Rewritten, Vec<Error>) {
        let open_file = |path: &str| self.open_file(path);
        let scope = Scope { catalog: &self.catalog, functions: &self.functions, open_file: &open_file };
        let (rewritten, mut errors) = rewrite(query, span, &scope, text);
        if errors.is_empty() {
            errors.extend(self.without_event_time(&rewritten).map(|error| error.at(span.clone())));
        }
        (rewritten, errors)
    }

    /// The error of `--watermark` if the query reads files and none of them has its column.
    fn without_event_time(&self, query: &Rewritten) -> Option<Error> {
        let watermark = self.options.watermark.as_deref()?;
        if query.files.values().any(|file| file.watermark.is_some()) {
            return None;
        }
        let (path, file) = query.files.first_key_value()?;
        let (schema, connector) = (&file.table.schema, file.table.connector.clone());
        file_table(path, schema, connector, Some(watermark), &self.functions)
            .err()
            .map(|error| error.at(query.text.path(path, &query.span).unwrap_or_else(|| query.span.clone())))
    }

    fn open_file(&self, path: &str) -> Result<CatalogTable> {
        let (schema, connector) = (self.infer_file)(path)?;
        // Of several files, those have event time that have its column.
        let watermark = self.options.watermark.as_deref().filter(|watermark| has_event_time(watermark, &schema));
        file_table(path, &schema, connector, watermark, &self.functions)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("catalog", &self.catalog).field("configuration", &self.configuration).finish()
    }
}

fn target(insert: &Insert) -> Target<'_> {
    Target { table: &insert.table, columns: insert.columns.as_deref() }
}
