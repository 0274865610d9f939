//! The steps of a stage on one batch: filters and projections, each row that is left out counted.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use thalweg_operators::batch::Batch;
use thalweg_operators::expr::{EvaluateError, Scalar};

use super::account::{StageCounters, add};
use super::rejects::{FailedRow, Salvaged, evaluate, salvage};
use super::unnest;
use crate::connect::bad_input::RejectReason;
use crate::error::{Error, Result};
use crate::plan::stages::Step;

/// How to do without an expression that has no value.
fn advice(message: &str) -> &'static str {
    if message.starts_with("division by zero") {
        "leave such rows out with WHERE, or divide by NULLIF(x, 0) to get NULL"
    } else if message.contains(" does not fit ") && !message.contains("CAST(") {
        "compute with a wider type: CAST(x AS DECIMAL(38, 0)) or CAST(x AS DOUBLE); or leave such rows out with WHERE"
    } else {
        "leave such rows out with WHERE, or write TRY_CAST to get NULL where a value does not convert"
    }
}

/// Runs `steps` over `batch` and gives what comes out to `push`: one batch, or several where an UNNEST is among the steps.
///
/// # Errors
/// `Data`, if an expression has no value for some row.
pub(super) fn run(
    steps: &[Step],
    batch: Batch,
    counters: &StageCounters,
    push: &mut dyn FnMut(Batch) -> Result<()>,
) -> Result<()> {
    unnest::run(steps, batch, counters, &mut |steps, batch| plain(steps, batch, counters, &mut Failures::Refuse), push)
}

/// As [`run`], but leaves rows for which an expression has no value out, and adds them to `failed`. The low half of a
/// row's ordinal must be its number in its block.
pub(super) fn run_rejecting(
    steps: &[Step],
    batch: Batch,
    counters: &StageCounters,
    failed: &mut Vec<FailedRow>,
    push: &mut dyn FnMut(Batch) -> Result<()>,
) -> Result<()> {
    let mut failures = Failures::Reject(failed);
    unnest::run(steps, batch, counters, &mut |steps, batch| plain(steps, batch, counters, &mut failures), push)
}

/// The computed columns of a scan: `steps` below the watermark, where no UNNEST can be. Otherwise as [`run_rejecting`].
pub(super) fn compute(
    steps: &[Step],
    batch: Batch,
    counters: &StageCounters,
    failed: &mut Vec<FailedRow>,
) -> Result<Batch> {
    plain(steps, batch, counters, &mut Failures::Reject(failed))
}

/// What becomes of rows for which an expression has no value.
enum Failures<'a> {
    /// They are the end of the job.
    Refuse,
    /// They are left out.
    Reject(&'a mut Vec<FailedRow>),
}

/// Runs `steps`, none of which is an UNNEST. A watermark is not a step here: the source has stamped its rows before.
fn plain(steps: &[Step], mut batch: Batch, counters: &StageCounters, failures: &mut Failures<'_>) -> Result<Batch> {
    for step in steps {
        match step {
            Step::Watermark { .. } => {}
            Step::Unnest(_) => return Err(Error::internal("an UNNEST gives several batches")),
            Step::Filter { predicate, of_whole_keys } => {
                let predicate = std::slice::from_ref(predicate);
                let values = values(predicate, None, &mut batch, counters, failures)?;
                let keep = values[0].as_boolean();
                let kept = keep.true_count();
                add(&counters.filtered, (keep.len() - kept) as u64);
                if kept < keep.len() {
                    batch = batch.filter(keep).map_err(|error| Error::internal(error.to_string()))?;
                }
                if *of_whole_keys {
                    batch.kinds = batch.kinds.of_whole_keys();
                }
            }
            Step::Project(expressions, schema) => {
                let values = values(expressions, Some(schema), &mut batch, counters, failures)?;
                let columns = batch_of(values, schema, batch.rows())?;
                batch = batch.with_columns(columns);
            }
        }
    }
    Ok(batch)
}

/// One column for each of `expressions`, named by `schema`, over the rows that `batch` then still has.
fn values(
    expressions: &[Arc<dyn Scalar>],
    schema: Option<&SchemaRef>,
    batch: &mut Batch,
    counters: &StageCounters,
    failures: &mut Failures<'_>,
) -> Result<Vec<ArrayRef>> {
    match (evaluate(expressions, &batch.columns), failures) {
        (Ok(values), _) => Ok(values),
        (Err((_, error)), Failures::Refuse) => Err(refused(error)),
        (Err(_), Failures::Reject(failed)) => {
            let salvaged = salvage(expressions, &batch.columns)?;
            leave_out(salvaged, schema, batch, counters, failed)
        }
    }
}

/// The values of the rows that have some; `batch` loses the others.
pub(super) fn leave_out(
    salvaged: Salvaged,
    schema: Option<&SchemaRef>,
    batch: &mut Batch,
    counters: &StageCounters,
    failed: &mut Vec<FailedRow>,
) -> Result<Vec<ArrayRef>> {
    add(&counters.failed, salvaged.failed.len() as u64);
    for (row, (number, error)) in salvaged.failed {
        let column = schema.map(|schema| schema.field(number).name().as_str());
        failed.push(FailedRow {
            row: number_in_block(batch, row),
            reason: RejectReason::Expression,
            field: column.map(Into::into),
            message: column.map_or_else(|| error.to_string(), |column| format!("{error} (column `{column}`)")),
            help: advice(&error.to_string()),
        });
    }
    *batch = batch.filter(&salvaged.kept).map_err(|error| Error::internal(error.to_string()))?;
    Ok(salvaged.columns)
}

/// The number of a batch's row in its block, before any row was left out.
pub(super) fn number_in_block(batch: &Batch, row: usize) -> u32 {
    // The low half of the ordinal of a source's row is just that.
    batch.ordinals.get(row).row as u32
}

fn batch_of(columns: Vec<ArrayRef>, schema: &SchemaRef, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| Error::internal(format!("a projection does not give the columns that were planned: {error}")))
}

/// An expression without a value is an error in the data.
fn refused(error: EvaluateError) -> Error {
    let message = error.to_string();
    let help = advice(&message);
    Error::data(message).help(help)
}
