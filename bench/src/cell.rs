//! One cell of the matrix: contenders under the same conditions, in paired rounds.
//!
//! In each round every contender runs once, and each round begins with another one. What is reported of a contender is the
//! median of its rounds; what is reported of two is the median of their quotients in the same round. Every answer is
//! compared with the pure engine's to exactly the batches that were fed, and that one with a naive sum.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_operators::kernels::Kernels;
use thalweg_runtime::Fault;
use thalweg_runtime::state::{Cost, Meter};

use crate::answer::Answer;
use crate::columns::Columns;
use crate::contender::{Contender, DataModel, Subject};
use crate::model::{BatchOf, Model, Prepared};
use crate::predicted::{Predicted, predicted};
use crate::rig::{Run, answer_of, run_pure, run_strategy};
use crate::row_at_a_time::Records;
use crate::statistics::{Durations, Spread, ratios};
use crate::workload::{Pool, Script, Workload};

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct CellPlan {
    /// What sets it apart.
    pub name: String,
    /// What is fed.
    pub workload: Workload,
    /// Workers, each with a producer.
    pub producers: usize,
    /// Who competes.
    pub contenders: Vec<Contender>,
    /// Repetitions of the workload in one run, at most.
    pub repetitions: usize,
    /// No run takes longer than this by much, threads and preparation left out.
    pub limit: Duration,
}

/// How often to measure.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// At least so often.
    pub min: usize,
    /// At most so often.
    pub max: usize,
    /// No round beyond the least begins after this time.
    pub budget: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What sets it apart.
    pub name: String,
    /// What was fed.
    pub workload: Workload,
    /// Workers, each with a producer.
    pub producers: usize,
    /// Rounds that were run.
    pub rounds: usize,
    /// By contender, in the order of the plan.
    pub entries: Vec<Entry>,
}

/// One contender's figures.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose they are.
    pub contender: Contender,
    /// Rows fed in the median run, over all of its repetitions.
    pub rows: u64,
    /// The time limit ended at least one run before all rows were fed.
    pub is_cut: bool,
    /// Rows per second: over the rounds, of the median repetition in each.
    pub rate: Spread,
    /// Times the rate of `clone-swap` over the same columns.
    pub times_current: Option<Spread>,
    /// Times the rate of `clone-swap`, row at a time.
    pub times_row_current: Option<Spread>,
    /// How long each batch kept its producer, over all rounds.
    pub latencies: Durations,
    /// Where the workers' time went, if it was metered.
    pub parts: Option<Parts>,
    /// What the analysis said.
    pub predicted: Option<Predicted>,
}

/// Nanoseconds of all workers for each row. `held` is part of the others; they add up to the measured time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// Waiting for a lock.
    pub wait: f64,
    /// Cloning state.
    pub clone: f64,
    /// Folding rows.
    pub fold: f64,
    /// Merging and dividing groups.
    pub merge: f64,
    /// Making rows travel.
    pub channel: f64,
    /// Counting, and reading the clock.
    pub metrics: f64,
    /// Making rows of the result.
    pub emit: f64,
    /// Stepping through stages, closing windows, and waiting for other workers.
    pub rest: f64,
    /// A lock was held.
    pub held: f64,
}

impl Parts {
    /// Names and values of all that add up, in the order in which they are drawn.
    #[must_use]
    pub fn all(&self) -> [(&'static str, f64); 8] {
        let Self { wait, clone, fold, merge, channel, metrics, emit, rest, held: _ } = *self;
        [
            ("wait", wait),
            ("clone", clone),
            ("fold", fold),
            ("merge", merge),
            ("channel", channel),
            ("metrics", metrics),
            ("emit", emit),
            ("rest", rest),
        ]
    }

    fn of(cost: Cost, emit: u64, worker_nanos: u64, rows: u64) -> Self {
        let per_row = |nanos: u64| nanos as f64 / rows.max(1) as f64;
        let known = cost.total().0 + emit;
        Self {
            wait: per_row(cost.wait.0),
            clone: per_row(cost.clone.0),
            fold: per_row(cost.fold.0),
            merge: per_row(cost.merge.0),
            channel: per_row(cost.channel.0),
            metrics: per_row(cost.metrics.0),
            emit: per_row(emit),
            rest: per_row(worker_nanos.saturating_sub(known)),
            held: per_row(cost.held.0),
        }
    }
}

/// Measures one cell. `progress` is told what is going on.
///
/// # Errors
/// If a run fails, or answers anything but what it should.
pub fn measure(plan: &CellPlan, rounds: Rounds, progress: &mut dyn FnMut(&str)) -> Result<Cell, Fault> {
    progress(&format!("{}: making rows", plan.name));
    let bench = Bench::new(plan)?;
    let mut samples: Vec<Samples> = plan.contenders.iter().map(|_| Samples::default()).collect();
    let mut answers = HashMap::new();
    let (start, mut done) = (Instant::now(), 0);
    while done < rounds.min || (done < rounds.max && start.elapsed() < rounds.budget) {
        for turn in 0..plan.contenders.len() {
            let index = (turn + done) % plan.contenders.len();
            let contender = &plan.contenders[index];
            progress(&format!("{}: round {}, {}", plan.name, done + 1, contender.name()));
            let run = bench.run(contender)?;
            bench.check(contender, &run, &mut answers)?;
            samples[index].add(&run);
        }
        done += 1;
    }
    let rates_of = |model| {
        // Predictions were made with metrics on and without SIMD: where there are several, that one is current.
        let is_current = |&index: &usize| plan.contenders[index].is_current(model);
        let rank = |&index: &usize| {
            let Contender { is_metered, kernels, .. } = plan.contenders[index];
            (is_metered, kernels == Kernels::Scalar)
        };
        let current = (0..samples.len()).filter(is_current).max_by_key(rank);
        current.map(|index| samples[index].rates.clone())
    };
    let (current, row_current) = (rates_of(DataModel::Columns), rates_of(DataModel::Rows));
    let entries = plan.contenders.iter().zip(samples).map(|(contender, samples)| {
        let times = |current: &Option<Vec<f64>>| Spread::of(&ratios(&samples.rates, current.as_ref()?));
        Ok(Entry {
            contender: *contender,
            rows: median_rows(&samples.rows),
            is_cut: samples.is_cut,
            rate: Spread::of(&samples.rates).ok_or("no round was run")?,
            times_current: times(&current),
            times_row_current: times(&row_current),
            parts: contender.is_metered.then(|| samples.parts()),
            // The analysis had 200 keys in mind, and no others.
            predicted: predicted(contender).filter(|_| plan.workload.keys == 200),
            latencies: Durations::new(samples.latencies),
        })
    });
    let entries = entries.collect::<Result<_, Fault>>()?;
    Ok(Cell { name: plan.name.clone(), workload: plan.workload, producers: plan.producers, rounds: done, entries })
}

fn median_rows(rows: &[u64]) -> u64 {
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// A cell's rows in both data models.
struct Bench<'a> {
    plan: &'a CellPlan,
    pool: Pool,
    columns: (Columns, Arc<Prepared<BatchOf<Columns>>>),
    rows: Option<(Records, Arc<Prepared<BatchOf<Records>>>)>,
}

impl<'a> Bench<'a> {
    fn new(plan: &'a CellPlan) -> Result<Self, Fault> {
        let pool = Pool::new(plan.workload);
        let script = Script::new(&plan.workload, plan.producers, plan.repetitions, plan.limit);
        let columns = Columns::new(&pool, Kernels::Simd)?;
        let column_batches = Arc::new(Prepared::new(&columns, &pool, script.clone())?);
        let rows = if plan.contenders.iter().any(|contender| contender.model == DataModel::Rows) {
            let rows = Records::new(&pool);
            let batches = Arc::new(Prepared::new(&rows, &pool, script)?);
            Some((rows, batches))
        } else {
            None
        };
        Ok(Self { plan, pool, columns: (columns, column_batches), rows })
    }

    fn run(&self, contender: &Contender) -> Result<Run, Fault> {
        let meter = if contender.is_metered { Meter::on() } else { Meter::OFF };
        match (contender.model, &self.rows) {
            (DataModel::Rows, Some((model, batches))) => run(contender.subject, model, batches, meter),
            _ => {
                let columns = self.columns.0.with_kernels(contender.kernels);
                run(contender.subject, &columns, &self.columns.1, meter)
            }
        }
    }

    /// The same answer as the pure engine's to the same batches, bit for bit.
    fn check(
        &self,
        contender: &Contender,
        run: &Run,
        answers: &mut HashMap<Vec<Vec<usize>>, Answer>,
    ) -> Result<(), Fault> {
        let expected = match answers.get(&run.fed) {
            Some(answer) => *answer,
            None => {
                let (columns, batches) = &self.columns;
                let answer = answer_of(columns, batches, &run.fed)?;
                // The first answer of a cell is also held against a sum that shares no code with any engine.
                if answers.is_empty() {
                    let naive = self.naive(&run.fed);
                    if answer != naive {
                        return Err(format!("the pure engine answers {answer}, a naive sum {naive}").into());
                    }
                }
                answers.insert(run.fed.clone(), answer);
                answer
            }
        };
        if run.answer != expected {
            let (name, cell) = (contender.name(), &self.plan.name);
            return Err(format!("{cell}: {name} answers {}, the pure engine {expected}", run.answer).into());
        }
        Ok(())
    }

    fn naive(&self, fed: &[Vec<usize>]) -> Answer {
        let repetitions = self.columns.1.script.repetitions.iter().zip(fed);
        let slices = repetitions.map(|(repetition, fed)| {
            let slices = repetition.feeds.iter().zip(fed).flat_map(|(feed, &fed)| feed[..fed].iter().cloned());
            (repetition.offset_ms, slices.collect::<Vec<_>>())
        });
        let mut answer = Answer::default();
        if self.plan.workload.is_prefilled {
            return self.pool.answer_from(slices.flat_map(|(_, slices)| slices), 0);
        }
        slices.for_each(|(offset_ms, slices)| answer += self.pool.answer_from(slices, offset_ms));
        answer
    }
}

fn run<M: Model>(subject: Subject, model: &M, batches: &Arc<Prepared<BatchOf<M>>>, meter: Meter) -> Result<Run, Fault> {
    match subject {
        Subject::Pure => run_pure(model, batches, meter),
        Subject::Shared(name) => run_strategy(name, model, batches, meter),
    }
}

/// What the rounds of one contender came to.
#[derive(Default)]
struct Samples {
    rates: Vec<f64>,
    rows: Vec<u64>,
    is_cut: bool,
    latencies: Vec<u64>,
    cost: Cost,
    emit: u64,
    worker_nanos: u64,
}

impl Samples {
    fn add(&mut self, run: &Run) {
        self.rates.extend(Spread::of(&run.rates).map(|spread| spread.median));
        self.rows.push(run.rows);
        self.is_cut |= run.is_cut;
        self.latencies.extend_from_slice(&run.latencies);
        self.cost += run.cost;
        self.emit += run.emit.0;
        self.worker_nanos += run.elapsed.0 * run.workers as u64;
    }

    fn parts(&self) -> Parts {
        Parts::of(self.cost, self.emit, self.worker_nanos, self.rows.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use thalweg_runtime::state::StrategyName;

    use super::*;
    use crate::workload::Distribution;

    fn plan() -> CellPlan {
        let rows = Contender::shared(StrategyName::CloneSwap, true, Kernels::Scalar).by_row();
        CellPlan {
            name: "a cell".to_owned(),
            workload: Workload {
                keys: 200,
                distribution: Distribution::Zipf(1.1),
                rows: 2_000,
                pool_rows: 1_000,
                batch_rows: 100,
                is_prefilled: false,
            },
            producers: 2,
            contenders: vec![
                Contender::pure(false, Kernels::Scalar),
                Contender::shared(StrategyName::CloneSwap, false, Kernels::Simd),
                Contender::shared(StrategyName::CloneSwap, true, Kernels::Scalar),
                rows,
            ],
            repetitions: 2,
            limit: Duration::from_secs(60),
        }
    }

    #[test]
    fn every_contender_has_its_figures_and_current_is_once_itself() {
        let rounds = Rounds { min: 3, max: 3, budget: Duration::ZERO };
        let mut told = 0;
        let cell = measure(&plan(), rounds, &mut |_| told += 1).unwrap();
        assert_eq!((cell.rounds, cell.entries.len(), told), (3, 4, 1 + 3 * 4));
        let [pure, off, on, rows] = &cell.entries[..] else { panic!("four entries") };
        assert_eq!(on.times_current.unwrap().median, 1.0, "metered, as predicted");
        assert_ne!(off.times_current.unwrap().median, 1.0);
        assert_eq!(rows.times_row_current.unwrap().median, 1.0);
        for entry in &cell.entries {
            assert_eq!((entry.rows, entry.is_cut, entry.latencies.count()), (4_000, false, 3 * 2 * 20));
            assert_eq!(entry.rate.count, 3);
            assert_eq!(entry.parts.is_some(), entry.contender.is_metered);
        }
        assert_eq!(pure.predicted.unwrap().times_current, 34.0);
        assert_eq!((off.predicted, rows.predicted), (None, None));
        let parts = on.parts.unwrap();
        assert!(parts.clone > 0.0 && parts.fold > 0.0 && parts.all().iter().all(|(_, part)| *part >= 0.0));
    }

    #[test]
    fn another_answer_than_the_pure_engines_is_refused() {
        let plan = plan();
        let bench = Bench::new(&plan).unwrap();
        let mut run = bench.run(&plan.contenders[1]).unwrap();
        let mut answers = HashMap::new();
        bench.check(&plan.contenders[1], &run, &mut answers).unwrap();
        run.answer.fingerprint ^= 1;
        let error = bench.check(&plan.contenders[1], &run, &mut answers).unwrap_err().to_string();
        assert!(error.contains("a cell: clone-swap answers"), "{error}");
        // Fed less, and telling of it: another question, another answer.
        run.fed[0][0] -= 1;
        assert!(bench.check(&plan.contenders[1], &run, &mut answers).is_err());
    }
}
