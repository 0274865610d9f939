//! The state of each aggregation of a job: which strategy shares it, what that costs, and what reads it from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::cast::{CastOptions, cast_with_options};
use arrow_schema::SchemaRef;
use thalweg_operators::group::{CloseMode, GroupAggregation};
use thalweg_operators::spec::GroupSpec;
use thalweg_runtime::exchange::doorbell::Doorbells;
use thalweg_runtime::state::{Meter, Reader, StateSpec, Strategy, StrategyName, Version, strategy};

use super::JobOptions;
use super::costs::AggregationCosts;
use super::sample::estimate_keys;
use super::tail::aggregate_refused;
use crate::connect::ReadOptions;
use crate::error::{Error, Result};
use crate::plan::RuntimeMode;
use crate::plan::stages::StageGraph;
use crate::plan::strategy::{Decision, Facts};

/// By stage: how the state of the aggregation at its head is shared. `auto` looks at the first rows of sources for it.
pub(super) fn decide(graph: &StageGraph, options: &JobOptions, read: &ReadOptions) -> BTreeMap<usize, Decision> {
    let decide = |stage| {
        let (spec, is_fed_by_sources) = graph.aggregation(stage)?;
        if !is_fed_by_sources {
            return Some((stage, Decision::LATER));
        }
        let feeders = graph.feeders(stage);
        let facts = || Facts {
            sources: feeders.len(),
            workers: options.workers,
            readers: options.readers,
            keys: estimate_keys(&feeders, spec, read),
        };
        Some((stage, Decision::new(options.strategy, facts)))
    };
    (0..graph.stages.len()).filter_map(decide).collect()
}

/// The state of one aggregation: one object for all its producers, on whatever stage and worker, and all its owners.
pub(super) struct State {
    pub(super) decision: Decision,
    pub(super) aggregation: Arc<GroupAggregation>,
    pub(super) strategy: Arc<dyn Strategy<GroupAggregation>>,
    pub(super) costs: Arc<AggregationCosts>,
}

impl State {
    /// State of `spec` without groups, over batches with the columns `input`.
    ///
    /// # Errors
    /// If a key or an aggregate has no implementation for its type.
    pub(super) fn new(
        decision: Decision,
        (spec, input): (&Arc<GroupSpec>, &SchemaRef),
        mode: RuntimeMode,
        (read, bells, meter): (&ReadOptions, &Doorbells, Meter),
    ) -> Result<Self> {
        let close = match mode {
            RuntimeMode::Streaming => CloseMode::WhenPassed,
            RuntimeMode::Batch => CloseMode::AtEnd,
        };
        let aggregation = GroupAggregation::new(Arc::clone(spec), input, close, read.kernels);
        let aggregation = Arc::new(aggregation.map_err(aggregate_refused)?);
        let workers = read.workers;
        let of = StateSpec { aggregation: Arc::clone(&aggregation), workers, bells: bells.clone(), meter };
        let strategy = strategy(decision.strategy, of);
        Ok(Self { decision, aggregation, strategy, costs: Arc::new(AggregationCosts::new(meter)) })
    }

    /// A handle for readers.
    pub(super) fn live(&self, name: String) -> LiveState {
        let Self { decision, aggregation, strategy, .. } = self;
        LiveState {
            name: name.into(),
            strategy: decision.strategy,
            aggregation: Arc::clone(aggregation),
            reader: strategy.reader(),
        }
    }
}

/// The groups of one aggregation of a job, to be read while it runs, and afterwards. Clones read the same state.
///
/// Rows are those that the aggregation would emit if its windows ended now: key columns, aggregates and, for windows,
/// `window_start`, `window_end` and `window_time`. Only open windows are there: what was emitted has left. How fresh the
/// rows are, and what reading costs the workers, is told by the strategy's page in the book.
#[derive(Clone)]
pub struct LiveState {
    name: Arc<str>,
    strategy: StrategyName,
    aggregation: Arc<GroupAggregation>,
    reader: Arc<dyn Reader<GroupAggregation>>,
}

impl LiveState {
    /// The stage, as EXPLAIN and the account name it: `1 merge`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the state is shared.
    #[must_use]
    pub fn strategy(&self) -> StrategyName {
        self.strategy
    }

    /// The columns of what readers get.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        self.aggregation.schema()
    }

    /// The columns of a key: the first ones of [`schema`](Self::schema).
    #[must_use]
    pub fn key_schema(&self) -> SchemaRef {
        self.aggregation.key_schema()
    }

    /// The groups with the key in the only row of `key`, one row for each open window, and the version of the state that
    /// they were read from. `key` has the columns of [`key_schema`](Self::key_schema), in this order; other types are cast
    /// to theirs.
    ///
    /// # Errors
    /// `Statement`, if `key` has another number of columns or rows, or a value that does not convert; `Data`, if an
    /// aggregate does not fit its type.
    pub fn lookup(&self, key: &RecordBatch) -> Result<(Version, RecordBatch)> {
        let schema = self.key_schema();
        if key.num_columns() != schema.fields().len() || key.num_rows() != 1 {
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(Error::statement(format!(
                "a key of `{}` is one row of {} columns ({}), and this is {} of {}",
                self.name,
                names.len(),
                names.join(", "),
                key.num_rows(),
                key.num_columns(),
            )));
        }
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let cast = |(column, field): (&ArrayRef, &Arc<arrow_schema::Field>)| {
            cast_with_options(column, field.data_type(), &options)
                .map_err(|error| Error::statement(format!("`{}` of the key: {error}", field.name())))
        };
        let columns = key.columns().iter().zip(schema.fields()).map(cast).collect::<Result<Vec<_>>>()?;
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(|error| Error::statement(format!("a key of `{}`: {error}", self.name)))?;
        let key = self.aggregation.key(&row).map_err(aggregate_refused)?;
        self.reader.lookup(&key).map_err(aggregate_refused)
    }

    /// All groups of all open windows: one piece for each part of the state that is whole by itself, possibly without rows.
    /// The version of a piece never goes back.
    ///
    /// # Errors
    /// `Data`, if an aggregate does not fit its type.
    pub fn scan(&self) -> Result<Vec<(Version, RecordBatch)>> {
        self.reader.scan().map_err(aggregate_refused)
    }
}

impl fmt::Debug for LiveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveState").field("name", &self.name).field("strategy", &self.strategy).finish_non_exhaustive()
    }
}
