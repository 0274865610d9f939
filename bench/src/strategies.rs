//! `strategies`: the matrix of strategy × producers × keys × metrics × kernels.

use std::time::Duration;

use thalweg_operators::kernels::Kernels;
use thalweg_runtime::Fault;
use thalweg_runtime::state::StrategyName;

use crate::cell::{CellPlan, Rounds, measure};
use crate::conditions::Conditions;
use crate::contender::Contender;
use crate::report::{Outputs, Report};
use crate::workload::{Distribution, SYMBOLS, Workload};

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub struct StrategiesArguments {
    /// One factor at a time from the seed workload, in less than ten minutes; this is the default
    #[arg(long, group = "extent")]
    quick: bool,
    /// Every combination of all factors
    #[arg(long, group = "extent")]
    full: bool,
    /// A few rows: does it run, and are the answers right?
    #[arg(long, group = "extent")]
    small: bool,
    /// Rounds of each cell, instead of as many as fit into its time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    #[command(flatten)]
    outputs: Outputs,
}

/// Measures the matrix and reports it.
///
/// # Errors
/// If a run fails or answers wrongly, or a report cannot be written.
pub fn run(arguments: &StrategiesArguments) -> Result<(), Fault> {
    arguments.outputs.check()?;
    let conditions = Conditions::now();
    let (plans, rounds) = match (arguments.small, arguments.full) {
        (true, _) => (small(), Rounds { min: 2, max: 2, budget: Duration::ZERO }),
        (_, true) => (full(), Rounds { min: 3, max: 11, budget: Duration::from_secs(25) }),
        _ => (quick(), Rounds { min: 3, max: 15, budget: Duration::from_secs(36) }),
    };
    let title = "Strategies of sharing keyed state, by producers, keys, metrics and kernels";
    let report = report(title, conditions, &plans, with_rounds(rounds, arguments.rounds))?;
    arguments.outputs.write(&report)
}

/// As many rounds as were asked for, if a number was.
pub(crate) fn with_rounds(rounds: Rounds, number: Option<u32>) -> Rounds {
    number.map_or(rounds, |number| Rounds { min: number as usize, max: number as usize, ..rounds })
}

/// Measures all cells, and says on the way where it is.
pub(crate) fn report(title: &str, conditions: Conditions, plans: &[CellPlan], rounds: Rounds) -> Result<Report, Fault> {
    let mut cells = Vec::with_capacity(plans.len());
    for (index, plan) in plans.iter().enumerate() {
        let mut progress = |what: &str| eprintln!("[{}/{}] {what}", index + 1, plans.len());
        cells.push(measure(plan, rounds, &mut progress)?);
    }
    Ok(Report { title: title.to_owned(), conditions, notes: notes(), cells })
}

/// What a reader has to know.
fn notes() -> Vec<String> {
    [
        "Every row of every result was compared with the pure engine's, bit for bit, over exactly the batches that were \
         fed; prices are whole cents, so that every sum is exact. The pure engine's answer was compared with a naive sum.",
        "Each round runs every contender once, beginning with another one each time. Rates are medians over the rounds; \
         × current is the median of the quotients within each round; quartiles over the rounds stand beside them.",
        "Timed within warm workers, from the first batch to the last row of the result: starting threads is left out, \
         closing and emitting windows is not. Several repetitions in one run: the median of them is the run's rate.",
        "Where all keys are in the state from the start (1,000,000 keys), one batch with a row for each key goes first, \
         untimed, for every contender alike; the time then ends when every row is in its owner's state, and closing the \
         one window is left out, since it costs the same whoever does it and however few rows were fed.",
        "A batch has 1,000 rows. Its latency is how long it kept its producer: what is handed to an owner is done later. \
         A percentile stands only where at least 10 batches lie beyond it.",
        "\"(cut)\": the time limit of a run ended it before all rows were fed; its rate is that of the rows fed.",
        "\"current\" is clone-swap, the job server as it was analysed: over the engine's columns, and row at a time (records \
         as maps from field name to dynamic value). Row at a time is left out at 1,000,000 keys, where two clones of all \
         state for each batch take seconds.",
        "With more producers than cores the workers take turns on them, and a batch's latency includes being off the core.",
    ]
    .map(str::to_owned)
    .to_vec()
}

const ZIPF: Distribution = Distribution::Zipf(1.1);
/// Rows of a run in the matrix.
const ROWS: u64 = 1_000_000;
/// Distinct rows among them.
const POOL_ROWS: u64 = 500_000;
/// Keys from which on all are in the state before anything is measured: no number of rows that a strategy that clones can
/// take in would bring them there.
const PREFILLED_KEYS: u32 = 1_000_000;

fn workload(keys: u32, distribution: Distribution) -> Workload {
    let is_prefilled = keys >= PREFILLED_KEYS;
    let pool_rows = if is_prefilled { ROWS } else { POOL_ROWS };
    Workload { keys, distribution, rows: ROWS, pool_rows, batch_rows: 1_000, is_prefilled }
}

/// The pure engine and all strategies, over columns.
pub(crate) fn contenders(is_metered: bool, kernels: Kernels) -> Vec<Contender> {
    let pure = Contender::pure(is_metered, kernels);
    let shared = StrategyName::ALL.map(|name| Contender::shared(name, is_metered, kernels));
    std::iter::once(pure).chain(shared).collect()
}

/// The job server's data model, alone and as the job server was.
pub(crate) fn by_row(is_metered: bool) -> [Contender; 2] {
    let kernels = Kernels::default();
    let current = Contender::shared(StrategyName::CloneSwap, is_metered, kernels);
    [Contender::pure(is_metered, kernels).by_row(), current.by_row()]
}

fn plan(name: &str, workload: Workload, producers: usize, (is_metered, kernels): (bool, Kernels)) -> CellPlan {
    let mut contenders = contenders(is_metered, kernels);
    if !workload.is_prefilled {
        contenders.extend(by_row(is_metered));
    }
    CellPlan {
        name: name.to_owned(),
        workload,
        producers,
        contenders,
        repetitions: 1,
        limit: Duration::from_millis(500),
    }
}

fn quick() -> Vec<CellPlan> {
    let seed = Workload { rows: 5_000, pool_rows: 5_000, ..workload(200, Distribution::Uniform) };
    let base = workload(200, Distribution::Uniform);
    let usual = (false, Kernels::Simd);
    let mut plans = vec![
        CellPlan {
            repetitions: 400,
            limit: Duration::from_millis(250),
            ..plan("the seed workload, 5,000 rows in 5 batches", seed, 2, usual)
        },
        plan("1,000,000 rows", base, 2, usual),
        plan("one producer", base, 1, usual),
        plan("four producers", base, 4, usual),
        plan("200 keys, skewed", workload(200, ZIPF), 2, usual),
        plan("metrics on", base, 2, (true, Kernels::Simd)),
        plan("scalar kernels", base, 2, (false, Kernels::Scalar)),
    ];
    for keys in [10_000, 1_000_000] {
        plans.push(plan("more keys", workload(keys, Distribution::Uniform), 2, usual));
        plans.push(plan("more keys, skewed", workload(keys, ZIPF), 2, usual));
    }
    plans
}

fn full() -> Vec<CellPlan> {
    let mut plans = Vec::new();
    for keys in [200, 10_000, 1_000_000] {
        for distribution in [Distribution::Uniform, ZIPF] {
            for producers in [1, 2, 4] {
                for is_metered in [false, true] {
                    for kernels in Kernels::ALL {
                        let metrics = if is_metered { "on" } else { "off" };
                        let name = format!("metrics {metrics}, {kernels} kernels");
                        plans.push(plan(&name, workload(keys, distribution), producers, (is_metered, kernels)));
                    }
                }
            }
        }
    }
    plans
}

fn small() -> Vec<CellPlan> {
    let base = Workload { rows: 20_000, pool_rows: 10_000, ..workload(20 * SYMBOLS, ZIPF) };
    let prefilled = Workload { keys: 2_000, is_prefilled: true, pool_rows: 20_000, ..base };
    vec![
        CellPlan { repetitions: 3, ..plan("200 keys", base, 2, (true, Kernels::Scalar)) },
        plan("2,000 keys", prefilled, 1, (false, Kernels::Simd)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All factors of a cell.
    fn factors(plan: &CellPlan) -> (Workload, usize, bool, Kernels) {
        let Contender { is_metered, kernels, .. } = plan.contenders[0];
        assert_eq!(plan.contenders[..9], contenders(is_metered, kernels));
        (plan.workload, plan.producers, is_metered, kernels)
    }

    #[test]
    fn the_full_matrix_is_every_combination_once() {
        let plans = full();
        assert_eq!(plans.len(), 3 * 2 * 3 * 2 * 2);
        for (index, plan) in plans.iter().enumerate() {
            let same = |other: &CellPlan| factors(other) == factors(plan);
            assert_eq!(plans.iter().position(same), Some(index));
        }
    }

    #[test]
    fn the_quick_matrix_changes_one_factor_at_a_time() {
        let plans = quick();
        let (base, producers, metered, kernels) = factors(&plans[1]);
        for plan in &plans[2..] {
            let other = factors(plan);
            let keys = (other.0.keys, other.0.distribution) != (base.keys, base.distribution);
            let changes = [keys, other.1 != producers, other.2 != metered, other.3 != kernels];
            assert_eq!(changes.iter().filter(|&&is_other| is_other).count(), 1, "{}", plan.name);
        }
        assert!(plans.len() as u64 * 36 < 7 * 60, "making rows and the last rounds take time too");
    }
}
