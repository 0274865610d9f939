//! The steps of a stage on one batch: filters and projections, each row that is left out counted.

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use thalweg_operators::batch::Batch;
use thalweg_operators::expr::{EvaluateError, Scalar};

use super::account::{StageCounters, add};
use super::unnest;
use crate::error::{Error, Result};
use crate::plan::stages::Step;
use std::sync::Arc;

/// Runs `steps` over `batch` and gives what comes out to `push`: one batch, or several where an UNNEST is among the steps.
pub(super) fn run_through(
    steps: &[Step],
    batch: Batch,
    counters: &StageCounters,
    push: &mut dyn FnMut(Batch) -> Result<()>,
) -> Result<()> {
    unnest::run(steps, batch, counters, &mut |steps, batch| run(steps, batch, counters), push)
}

/// Runs `steps`, none of which is an UNNEST, over `batch`. A watermark is not a step here: the source has stamped its rows before.
fn run(steps: &[Step], batch: Batch, counters: &StageCounters) -> Result<Batch> {
    let mut batch = batch;
    for step in steps {
        match step {
            Step::Watermark { .. } => {}
            Step::Unnest(_) => return Err(Error::internal("an UNNEST gives several batches")),
            Step::Filter(predicate) => {
                let keep = predicate.evaluate(&batch.columns).map_err(refused)?;
                let keep = keep.as_boolean();
                let kept = keep.true_count();
                add(&counters.filtered, (keep.len() - kept) as u64);
                if kept < keep.len() {
                    batch = batch.filter(keep).map_err(|error| Error::internal(error.to_string()))?;
                }
            }
            Step::Project(expressions, schema) => {
                let columns = project(expressions, schema, &batch.columns)?;
                batch = batch.with_columns(columns);
            }
        }
    }
    Ok(batch)
}

/// One column for each of `expressions`.
pub(super) fn project(
    expressions: &[Arc<dyn Scalar>],
    schema: &SchemaRef,
    columns: &RecordBatch,
) -> Result<RecordBatch> {
    let arrays: Vec<ArrayRef> = expressions
        .iter()
        .map(|expression| match expression.column() {
            Some(column) => Ok(Arc::clone(columns.column(column))),
            None => expression.evaluate(columns).map_err(refused),
        })
        .collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(columns.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
        .map_err(|error| Error::internal(format!("a projection does not give the columns that were planned: {error}")))
}

/// An expression without a value is an error in the data.
pub(super) fn refused(error: EvaluateError) -> Error {
    Error::data(error.to_string())
        .help("leave such rows out with WHERE, or write TRY_CAST to get NULL where a value does not convert")
}
