//! A strategy as the engine runs it: workers with a source and a merge each, driven by threads.
//!
//! Every worker's source feeds one producer with batches from memory; its merge holds the owner and emits. What is timed
//! lies within warm workers: a repetition begins when all of them stand at the gate, awake, and ends when the
//! last of them has made its last row of the result (or, where state is prefilled, has taken in its last group). Threads
//! are started, and answers compared, outside of that time.

mod gate;
mod merge;
mod pure;
mod source;

use std::sync::{Arc, Mutex, PoisonError};

use thalweg_runtime::state::{Aggregation, Cost, Message, Meter, StateSpec, StrategyName, WitnessCounts, strategy};
use thalweg_runtime::{
    Doorbells, DriveOptions, EdgeSpec, Fault, Nanos, Operator, Payload, StageId, Target, Topology, build, drive,
};

use crate::answer::Answer;
use crate::model::{BatchOf, Model, Prepared};
use gate::Gate;
use merge::Merge;
use source::Source;

pub use pure::{answer_of, run_pure};

/// As many as between the stages of a job.
const LANE_CAPACITY: usize = 8;

/// What one run came to.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Rows per second of each measured repetition.
    pub rates: Vec<f64>,
    /// Rows fed while it was measured.
    pub rows: u64,
    /// Batches fed in each repetition, by producer.
    pub fed: Vec<Vec<usize>>,
    /// A limit ended a repetition before all of its rows were fed.
    pub is_cut: bool,
    /// For each batch that was measured, how long it kept its producer, in nanoseconds.
    pub latencies: Vec<u64>,
    /// Where the time of all workers went, while it was measured and metered.
    pub cost: Cost,
    /// Time for making rows of the result, likewise.
    pub emit: Nanos,
    /// Measured time, summed over repetitions.
    pub elapsed: Nanos,
    /// Workers that were there to use it.
    pub workers: usize,
    /// All rows of the result.
    pub answer: Answer,
    /// What the strategy did, from start to end.
    pub witness: WitnessCounts,
}

/// What one operator saw. Times and costs of measured repetitions alone.
#[derive(Debug, Default)]
struct Record {
    worker: usize,
    fed: Vec<usize>,
    latencies: Vec<u64>,
    rows: Vec<u64>,
    cost: Cost,
    emit: Nanos,
    answer: Answer,
}

/// Where operators leave their records at their end.
type Records = Arc<Mutex<Vec<Record>>>;

/// Runs `name` over `prepared`.
///
/// # Errors
/// If the job fails.
pub fn run_strategy<M: Model>(
    name: StrategyName,
    model: &M,
    prepared: &Arc<Prepared<BatchOf<M>>>,
    meter: Meter,
) -> Result<Run, Fault> {
    let workers = prepared.script.producers();
    let bells = Doorbells::new(workers);
    let aggregation = model.aggregation()?;
    let spec = StateSpec { aggregation: Arc::clone(&aggregation), workers, bells: bells.clone(), meter };
    let strategy = strategy(name, spec);
    let gate = Arc::new(Gate::new(&prepared.script, bells.clone()));
    let records = Records::default();
    let topology = Topology {
        stages: vec!["source".to_owned(), "merge".to_owned()],
        edges: vec![EdgeSpec { from: StageId(0), to: Target::Stage(StageId(1)), lane_capacity: LANE_CAPACITY }],
    };
    let mesh = build(&topology, workers, &bells, |stage, worker| -> Box<dyn Operator<Parcel<M::Aggregation>>> {
        match stage.0 {
            0 => {
                let producer = strategy.producer(worker);
                Box::new(Source::<M>::new(worker, producer, Arc::clone(prepared), Arc::clone(&gate), records.clone()))
            }
            _ => {
                let results = model.results(&aggregation);
                let owner = strategy.owner(worker);
                Box::new(Merge::<M>::new(
                    owner,
                    results,
                    Arc::clone(prepared),
                    Arc::clone(&gate),
                    meter,
                    records.clone(),
                ))
            }
        }
    });
    gate.watch(&mesh.control);
    drive(mesh.workers, &DriveOptions::default(), &mesh.control).map_err(|failure| format!("{name}: {failure}"))?;
    let records = std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Run { witness: strategy.witness(), ..gathered(records, &gate, prepared) })
}

/// Puts the records of all operators together.
fn gathered<B>(records: Vec<Record>, gate: &Gate, prepared: &Prepared<B>) -> Run {
    let repetitions = &prepared.script.repetitions;
    let workers = prepared.script.producers();
    let mut run = Run { workers, fed: vec![vec![0; workers]; repetitions.len()], ..Run::default() };
    let mut rows = vec![0; repetitions.len()];
    for record in records {
        for (repetition, (&batches, &fed)) in record.fed.iter().zip(&record.rows).enumerate() {
            run.fed[repetition][record.worker] = batches;
            rows[repetition] += fed;
        }
        run.latencies.extend(record.latencies);
        run.cost += record.cost;
        run.emit.0 += record.emit.0;
        run.answer += record.answer;
    }
    for (index, repetition) in repetitions.iter().enumerate().filter(|(_, repetition)| repetition.is_measured) {
        let Some(Nanos(elapsed)) = gate.elapsed(index) else { continue };
        run.is_cut |= repetition.feeds.iter().zip(&run.fed[index]).any(|(feed, &fed)| fed < feed.len());
        run.rows += rows[index];
        run.elapsed.0 += elapsed;
        run.rates.push(rows[index] as f64 * 1e9 / elapsed.max(1) as f64);
    }
    run
}

/// What travels between the two stages.
struct Parcel<A: Aggregation>(Message<A>);

impl<A: Aggregation> Payload for Parcel<A> {
    /// The accounts of the edge are kept in messages.
    fn rows(&self) -> u64 {
        1
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

#[cfg(test)]
mod tests;
