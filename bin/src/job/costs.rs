//! What an aggregation costs, if that is measured: where the time goes, and how long a batch takes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;
use thalweg_runtime::Nanos;
use thalweg_runtime::state::{Cost, Meter};

use crate::plan::strategy::Decision;
use crate::report::number::grouped;

/// What one aggregation has cost so far, over all workers that have come to their end.
pub(super) struct AggregationCosts {
    meter: Meter,
    spent: Mutex<Spent>,
}

impl AggregationCosts {
    pub(super) fn new(meter: Meter) -> Self {
        Self { meter, spent: Mutex::default() }
    }

    /// Where one operator on one worker keeps its own.
    pub(super) fn tally(self: &Arc<Self>) -> Tally {
        Tally { own: self.meter.is_on().then(Box::default), whole: Arc::clone(self) }
    }

    /// The account; `None` if nothing was measured.
    pub(super) fn account(&self) -> Option<CostAccount> {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        self.meter.is_on().then(|| CostAccount {
            rows: spent.rows,
            batches: spent.batches.0.len(),
            cost: spent.cost,
            batch_p50: spent.batches.percentile(50.0),
            batch_p99: spent.batches.percentile(99.0),
        })
    }
}

#[derive(Default)]
struct Spent {
    rows: u64,
    cost: Cost,
    batches: Latencies,
}

/// What one operator has spent on an aggregation. It adds that to the whole when it goes.
pub(super) struct Tally {
    whole: Arc<AggregationCosts>,
    /// `None` if nothing is measured.
    own: Option<Box<Spent>>,
}

impl Tally {
    /// When a batch begins: to be given to [`end_batch`](Self::end_batch).
    pub(super) fn begin_batch(&self) -> Nanos {
        self.whole.meter.now()
    }

    /// A producer has taken in a batch of `rows` rows.
    pub(super) fn end_batch(&mut self, began: Nanos, rows: u64, cost: Cost) {
        if let Some(own) = &mut self.own {
            own.batches.record(self.whole.meter.now().0.saturating_sub(began.0));
            own.rows += rows;
            own.cost += cost;
        }
    }

    /// Time that belongs to no batch of this worker.
    pub(super) fn add(&mut self, cost: Cost) {
        if let Some(own) = &mut self.own {
            own.cost += cost;
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            let mut whole = self.whole.spent.lock().unwrap_or_else(PoisonError::into_inner);
            whole.rows += own.rows;
            whole.cost += own.cost;
            whole.batches.add(&own.batches);
        }
    }
}

/// Times, to three digits.
struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new(3).expect("three digits are a number of digits that a histogram can keep"))
    }
}

impl Latencies {
    fn record(&mut self, nanos: u64) {
        // It grows to whatever comes.
        let _ = self.0.record(nanos);
    }

    fn add(&mut self, other: &Self) {
        let _ = self.0.add(&other.0);
    }

    /// `None` if fewer than ten batches took longer: then it would be an accident of one of them.
    fn percentile(&self, percent: f64) -> Option<Nanos> {
        let beyond = self.0.len() as f64 * (100.0 - percent) / 100.0;
        (beyond >= 10.0).then(|| Nanos(self.0.value_at_percentile(percent)))
    }
}

/// What one aggregation of a job did with its state.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregationAccount {
    /// The stage.
    pub name: String,
    /// How its state was shared, and why so.
    pub decision: Decision,
    /// What that cost; `None` if it was not measured.
    pub cost: Option<CostAccount>,
}

/// Where the time of one aggregation went, summed over all workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostAccount {
    /// Rows that producers took in.
    pub rows: u64,
    /// Batches of them.
    pub batches: u64,
    /// The time by what it was spent on.
    pub cost: Cost,
    /// Half of the batches took a producer no longer than this, which includes waiting for locks and excludes what
    /// owners do later. `None`: too few batches to tell.
    pub batch_p50: Option<Nanos>,
    /// All but one in a hundred took no longer.
    pub batch_p99: Option<Nanos>,
}

impl CostAccount {
    /// What the time was spent on, in the order of a batch.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, Nanos); 6] {
        let Cost { wait, clone, fold, merge, channel, metrics, held: _ } = self.cost;
        [("wait", wait), ("clone", clone), ("fold", fold), ("merge", merge), ("channel", channel), ("metrics", metrics)]
    }
}

/// Two lines for a person: which strategy, and where the time went.
impl fmt::Display for AggregationAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage {}, state: {}", self.name, self.decision)?;
        let Some(account) = &self.cost else { return Ok(()) };
        let (total, rows) = (account.cost.total().0 as f64, account.rows.max(1) as f64);
        let s = |count| if count == 1 { "" } else { "s" };
        write!(
            f,
            "\n  {} row{} in {} batch{}, {:.1} ns a row",
            grouped(account.rows),
            s(account.rows),
            grouped(account.batches),
            if account.batches == 1 { "" } else { "es" },
            total / rows
        )?;
        let spent: Vec<String> = account
            .parts()
            .into_iter()
            .filter(|(_, time)| time.0 > 0)
            .map(|(name, time)| {
                format!("{name} {:.1} ns ({:.0} %)", time.0 as f64 / rows, time.0 as f64 * 100.0 / total)
            })
            .collect();
        if !spent.is_empty() {
            write!(f, ": {}", spent.join(", "))?;
        }
        if account.cost.held.0 > 0 {
            write!(f, "; locks held {:.1} ns a row", account.cost.held.0 as f64 / rows)?;
        }
        for (name, time) in [("p50", account.batch_p50), ("p99", account.batch_p99)] {
            if let Some(time) = time {
                write!(f, "; batch {name} {:.1} µs", time.0 as f64 / 1e3)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use thalweg_runtime::state::StrategyName;

    use super::*;
    use crate::plan::strategy::Basis;

    #[test]
    fn tallies_add_up_and_tell_percentiles_where_there_are_enough_batches() {
        let costs = Arc::new(AggregationCosts::new(Meter::on()));
        let mut tallies = [costs.tally(), costs.tally()];
        for (index, tally) in tallies.iter_mut().enumerate() {
            for batch in 0..15 {
                tally.end_batch(tally.begin_batch(), 100, Cost { fold: Nanos(2_000), ..Cost::default() });
                assert!(batch + index < 100);
            }
            tally.add(Cost { merge: Nanos(15_000), ..Cost::default() });
        }
        drop(tallies);
        let account = costs.account().expect("it was measured");
        assert_eq!((account.rows, account.batches), (3_000, 30));
        assert_eq!((account.cost.fold, account.cost.merge), (Nanos(60_000), Nanos(30_000)));
        assert!(account.batch_p50.is_some() && account.batch_p99.is_none());
        let decision = Decision { strategy: StrategyName::LocalMerge, basis: Basis::Named };
        let text = AggregationAccount { name: "1 merge".to_owned(), decision, cost: Some(account) }.to_string();
        let told = "stage 1 merge, state: local-merge\n  3,000 rows in 30 batches, 30.0 ns a row: \
                    fold 20.0 ns (67 %), merge 10.0 ns (33 %); batch p50 ";
        assert!(text.starts_with(told), "{text}");
    }

    #[test]
    fn nothing_is_kept_without_a_meter() {
        let costs = Arc::new(AggregationCosts::new(Meter::OFF));
        let mut tally = costs.tally();
        tally.end_batch(tally.begin_batch(), 100, Cost::default());
        drop(tally);
        assert_eq!(costs.account(), None);
    }
}
