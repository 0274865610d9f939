//! The steps of a stage with UNNEST among them: what is above it runs on each of the batches that it makes.

use arrow_schema::ArrowError;
use thalweg_operators::batch::Batch;
use thalweg_operators::unnest::Unnest;

use super::account::{StageCounters, add};
use crate::error::{Error, Result};
use crate::plan::stages::Step;

/// Runs steps without an UNNEST over a batch.
type RunPlain<'a> = dyn FnMut(&[Step], Batch) -> Result<Batch> + 'a;

/// Runs `steps` over `batch`, those between two UNNESTs with `run`, and gives what comes out to `push` in order.
pub(super) fn run(
    steps: &[Step],
    batch: Batch,
    counters: &StageCounters,
    run_plain: &mut RunPlain<'_>,
    push: &mut dyn FnMut(Batch) -> Result<()>,
) -> Result<()> {
    let found = steps.iter().enumerate().find_map(|(at, step)| match step {
        Step::Unnest(spec) => Some((at, spec)),
        _ => None,
    });
    let Some((at, spec)) = found else { return push(run_plain(steps, batch)?) };
    let batch = run_plain(&steps[..at], batch)?;
    add(&counters.unnested, batch.rows() as u64);
    let mut parts = Unnest::new(spec, &batch);
    let refused = |error: ArrowError| match error {
        ArrowError::ComputeError(message) => Error::data(message),
        error => Error::internal(error.to_string()),
    };
    while let Some(part) = parts.next_batch().map_err(refused)? {
        add(&counters.produced, part.rows() as u64);
        run(&steps[at + 1..], part, counters, run_plain, push)?;
    }
    Ok(())
}
