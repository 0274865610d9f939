//! The pure engine: one thread, one shard, fold and close and nothing else.

use std::time::Instant;

use thalweg_operators::window::next_close_after;
use thalweg_runtime::state::{Aggregation, Cost, Meter};
use thalweg_runtime::{Fault, Nanos};

use super::Run;
use crate::answer::Answer;
use crate::model::{BatchOf, Fed, Model, Prepared};
use crate::workload::{START, tumbling};

/// Runs the batches of `prepared` in the order of the input, on the calling thread.
///
/// # Errors
/// If the rows cannot be aggregated: a bug.
pub fn run_pure<M: Model>(model: &M, prepared: &Prepared<BatchOf<M>>, meter: Meter) -> Result<Run, Fault> {
    run_fed(model, prepared, None, meter)
}

/// What the pure engine answers to the batches that another run was fed: `fed` by repetition and producer.
///
/// # Errors
/// As [`run_pure`].
pub fn answer_of<M: Model>(model: &M, prepared: &Prepared<BatchOf<M>>, fed: &[Vec<usize>]) -> Result<Answer, Fault> {
    run_fed(model, prepared, Some(fed), Meter::OFF).map(|run| run.answer)
}

fn run_fed<M: Model>(
    model: &M,
    prepared: &Prepared<BatchOf<M>>,
    fed: Option<&[Vec<usize>]>,
    meter: Meter,
) -> Result<Run, Fault> {
    let aggregation = model.aggregation()?;
    let mut results = model.results(&aggregation);
    let (mut shard, mut scratch) = (aggregation.shard(), Default::default());
    let mut run = Run { workers: 1, ..Run::default() };
    let mut first_measured = None;
    let mut next_close = next_close_after(Some(&tumbling(0)), START);
    for (index, (repetition, feeds)) in prepared.script.repetitions.iter().zip(&prepared.feeds).enumerate() {
        let turns = fed.and_then(|fed| fed.get(index)).map(Vec::as_slice);
        if fed.is_some() && turns.is_none() {
            // The other run had no time for this one.
            break;
        }
        let start = Instant::now();
        if repetition.is_measured {
            let first = *first_measured.get_or_insert(start);
            let is_over = prepared.script.limit.is_some_and(|limit| start - first > limit);
            if is_over && fed.is_none() {
                break;
            }
        }
        let limit = repetition.limit.filter(|_| fed.is_none());
        let (mut cost, mut emit, mut rows) = (Cost::default(), Nanos(0), 0);
        let mut close = |shard: &mut _, watermark, emit: &mut Nanos| -> Result<(), Fault> {
            results.push(aggregation.close(shard, watermark))?;
            meter.time(emit, || while_true(|| results.emit()))
        };
        let mut done = vec![0; feeds.len()];
        for (producer, batch) in in_order(feeds, turns) {
            let before = Instant::now();
            if limit.is_some_and(|limit| before - start > limit) {
                break;
            }
            meter
                .time(&mut cost.fold, || aggregation.fold(&mut shard, &batch.batch, &mut scratch))
                .map_err(Box::new)?;
            if batch.watermark >= next_close {
                next_close = next_close_after(Some(&tumbling(0)), batch.watermark);
                close(&mut shard, batch.watermark, &mut emit)?;
            }
            if repetition.is_measured {
                run.latencies.push(before.elapsed().as_nanos() as u64);
            }
            rows += batch.rows;
            done[producer] += 1;
        }
        close(&mut shard, repetition.until, &mut emit)?;
        next_close = next_close_after(Some(&tumbling(0)), repetition.until);
        let elapsed = start.elapsed().as_nanos() as u64;
        run.answer += results.take(repetition.offset_ms)?;
        run.is_cut |= fed.is_none() && done.iter().zip(feeds).any(|(&done, feed)| done < feed.len());
        run.fed.push(done);
        if repetition.is_measured {
            run.cost += cost;
            run.emit.0 += emit.0;
            run.rows += rows;
            run.elapsed.0 += elapsed;
            run.rates.push(rows as f64 * 1e9 / elapsed.max(1) as f64);
        }
    }
    Ok(run)
}

fn while_true(mut step: impl FnMut() -> Result<bool, Fault>) -> Result<(), Fault> {
    while step()? {}
    Ok(())
}

/// The batches of all producers in the order of the input: in turns, up to `fed` of each.
fn in_order<'a, B>(feeds: &'a [Vec<Fed<B>>], fed: Option<&'a [usize]>) -> impl Iterator<Item = (usize, &'a Fed<B>)> {
    let longest = feeds.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(move |turn| {
        let of = move |producer: usize| {
            let is_fed = fed.is_none_or(|fed| turn < fed[producer]);
            feeds[producer].get(turn).filter(|_| is_fed).map(|batch| (producer, batch))
        };
        (0..feeds.len()).filter_map(of)
    })
}
