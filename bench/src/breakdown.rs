//! `overhead-breakdown`: exactly the seed workload, and the same with more rows: where the time goes.

use std::time::Duration;

use thalweg_operators::kernels::Kernels;
use thalweg_runtime::Fault;

use crate::cell::{CellPlan, Rounds};
use crate::conditions::Conditions;
use crate::contender::{Contender, DataModel, Subject};
use crate::report::Outputs;
use crate::strategies::{by_row, contenders, report, with_rounds};
use crate::workload::{Distribution, Workload};

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub struct BreakdownArguments {
    /// The seed workload and one of 50,000 rows, two rounds: does it run, and are the answers right?
    #[arg(long)]
    small: bool,
    /// Rounds of each size, instead of as many as fit into its time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    #[command(flatten)]
    outputs: Outputs,
}

/// Measures all sizes and reports them.
///
/// # Errors
/// If a run fails or answers wrongly, or a report cannot be written.
pub fn run(arguments: &BreakdownArguments) -> Result<(), Fault> {
    arguments.outputs.check()?;
    let conditions = Conditions::now();
    let (plans, rounds) = if arguments.small {
        (vec![plan(5_000, 5), plan(50_000, 2)], Rounds { min: 2, max: 2, budget: Duration::ZERO })
    } else {
        let rounds = Rounds { min: 5, max: 21, budget: Duration::from_secs(90) };
        (vec![plan(5_000, 400), plan(50_000, 40), plan(500_000, 4), plan(5_000_000, 1)], rounds)
    };
    let title = "Where the time goes: the seed workload and larger ones, predicted against measured";
    let report = report(title, conditions, &plans, with_rounds(rounds, arguments.rounds))?;
    arguments.outputs.write(&report)
}

/// 200 keys, that is 20 traders and 10 symbols, two producers, batches of 1,000 rows. Everything runs with metrics on and scalar
/// kernels, as was predicted; then with metrics off; then with SIMD too.
fn plan(rows: u64, repetitions: usize) -> CellPlan {
    let variants = [(true, Kernels::Scalar), (false, Kernels::Scalar), (false, Kernels::Simd)];
    let columns = variants.into_iter().flat_map(|(is_metered, kernels)| contenders(is_metered, kernels));
    let mut all: Vec<Contender> = columns.chain([true, false].into_iter().flat_map(by_row)).collect();
    all.sort_by_key(|contender| {
        let name = match contender.subject {
            Subject::Pure => None,
            Subject::Shared(name) => Some(name),
        };
        (contender.model == DataModel::Rows, name)
    });
    CellPlan {
        name: format!("{} rows in {} batches", crate::report::figures::whole(rows), rows / 1_000),
        workload: Workload {
            keys: 200,
            distribution: Distribution::Uniform,
            rows,
            pool_rows: rows.min(500_000),
            batch_rows: 1_000,
            is_prefilled: false,
        },
        producers: 2,
        contenders: all,
        repetitions,
        limit: Duration::from_millis(if rows > 1_000_000 { 1_500 } else { 250 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_workload_runs_in_every_way_that_was_predicted() {
        let plan = plan(5_000, 1);
        assert_eq!(plan.name, "5,000 rows in 5 batches");
        assert_eq!(plan.contenders.len(), 3 * 9 + 4);
        let predicted = plan.contenders.iter().filter_map(crate::predicted::predicted);
        let mut times: Vec<f64> = predicted.map(|predicted| predicted.times_current).collect();
        times.sort_by(f64::total_cmp);
        assert_eq!(times, [1.0, 1.5, 4.0, 5.0, 6.0, 8.0, 17.0, 21.0, 25.0, 34.0]);
        assert_eq!(plan.contenders.iter().filter(|contender| contender.is_current(DataModel::Rows)).count(), 2);
    }
}
