//! The closing account: where every row of a job went. Counted at independent places, so that a row lost shows.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::costs::AggregationAccount;
use super::latency::LatencyAccount;
use crate::connect::bad_input::RejectCounts;
use crate::report::number::{self, grouped, rounded};

/// Counters of one stage, shared by its workers. Each is added to once a batch, never per row.
#[derive(Debug, Default)]
pub struct StageCounters {
    /// Records that the source's reader took from the input.
    pub records: AtomicU64,
    /// Records that the reader refused.
    pub rejected: AtomicU64,
    /// Bytes of input.
    pub bytes: AtomicU64,
    /// Rows that entered the stage's steps.
    pub rows_in: AtomicU64,
    /// Rows for which a filter was not TRUE.
    pub filtered: AtomicU64,
    /// Rows that were refused after they had been decoded: for an expression, or their event time.
    pub failed: AtomicU64,
    /// Rows that an UNNEST took in.
    pub unnested: AtomicU64,
    /// Rows that it made of them.
    pub produced: AtomicU64,
    /// Rows folded into groups.
    pub folded: AtomicU64,
    /// Rows whose windows had closed.
    pub late: AtomicU64,
    /// Rows sent as rows to the owner of an aggregation's state, who folds them.
    pub handed: AtomicU64,
    /// Rows that the owner took in as rows.
    pub taken: AtomicU64,
    /// Rows that left the stage as rows.
    pub passed: AtomicU64,
    /// Of those that went into a sink: rows that replace another one, and those that are replaced or go.
    pub updates: AtomicU64,
}

/// Adds to a counter. Relaxed: a counter orders nothing; the final reading comes after the workers were joined.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// What one source read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceAccount {
    /// The table.
    pub table: String,
    /// Records in the input.
    pub records: u64,
    /// Rows that became of them.
    pub rows: u64,
    /// Records that did not become rows.
    pub rejected: u64,
    /// Records that need not be read, since no filter would let them through.
    pub unread: u64,
    /// Those, and the rows that failed in the steps above the scan, by reason; as the ledger of rejects counts them.
    pub rejects: RejectCounts,
    /// Bytes of input.
    pub bytes: u64,
}

/// What one stage did with its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorAccount {
    /// The stage.
    pub name: String,
    /// Rows that entered.
    pub rows_in: u64,
    /// Rows folded into groups.
    pub folded: u64,
    /// Rows that left as rows.
    pub passed: u64,
    /// Of those that went into a sink: all but the `+I`.
    pub updates: u64,
    /// Rows that a filter left out.
    pub filtered: u64,
    /// Rows that came after their windows had closed.
    pub late: u64,
    /// Rows handed to the owner of all groups, to be folded there.
    pub handed: u64,
    /// Rows that were taken in to be folded.
    pub taken: u64,
    /// Rows rejected for an expression, or for their event time.
    pub failed: u64,
    /// Rows that an UNNEST took in.
    pub unnested: u64,
    /// Rows that it made of them.
    pub produced: u64,
}

/// What one edge carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeAccount {
    /// From which stage to which.
    pub name: String,
    /// Rows or partials sent.
    pub sent: u64,
    /// Rows or partials received.
    pub received: u64,
    /// The reader of the sink went away (`| head`): what was on its way then is in no account.
    pub is_hung_up: bool,
}

/// The account of a job that has ended.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// One for each scan.
    pub sources: Vec<SourceAccount>,
    /// One for each stage.
    pub operators: Vec<OperatorAccount>,
    /// One for each edge.
    pub edges: Vec<EdgeAccount>,
    /// One for each aggregation.
    pub aggregations: Vec<AggregationAccount>,
    /// How long rows took.
    pub latency: LatencyAccount,
    /// Rows written, over all sinks.
    pub emitted: u64,
    /// Rows that were on their way to a sink when its reader went away (`| head`), and never arrived.
    pub undelivered: u64,
    /// Greatest sum of state over the workers, in bytes.
    pub state_peak_bytes: u64,
    /// From the first worker's start to the last row written.
    pub elapsed: Duration,
    /// Workers.
    pub workers: usize,
    /// Whether the user ended the job before its input did.
    pub is_drained: bool,
}

impl Account {
    /// Whether every row went somewhere: `records = rows + rejected + unread` for each source, `in + produced + taken =
    /// folded + passed + filtered + late + failed + unnested + handed` for each stage, `handed = taken` over all of them,
    /// `sent = received` for each edge; and the reasons add up to what was rejected.
    ///
    /// # Errors
    /// The first sum that does not balance, in words.
    pub fn check(&self) -> Result<(), String> {
        for source in &self.sources {
            let SourceAccount { table, records, rows, rejected, unread, .. } = source;
            if *records != rows + rejected + unread {
                return Err(format!(
                    "source {table}: {records} records, but {rows} rows + {rejected} rejected + {unread} unread"
                ));
            }
        }
        for operator in &self.operators {
            let OperatorAccount { name, rows_in, folded, passed, filtered, late, .. } = operator;
            let OperatorAccount { failed, unnested, produced, handed, taken, .. } = operator;
            if rows_in + produced + taken != folded + passed + filtered + late + failed + unnested + handed {
                return Err(format!(
                    "stage {name}: {rows_in} rows in + {produced} produced + {taken} taken, but {folded} folded + \
                     {passed} passed + {filtered} filtered + {late} late + {failed} failed + {unnested} unnested + \
                     {handed} handed on"
                ));
            }
        }
        let sum = |of: fn(&OperatorAccount) -> u64| self.operators.iter().map(of).sum::<u64>();
        let (handed, taken) = (sum(|operator| operator.handed), sum(|operator| operator.taken));
        if handed != taken {
            return Err(format!("{handed} rows handed to the owners of groups, but {taken} taken"));
        }
        let (reasons, rejected) = (self.rejects().total(), self.rejected());
        if reasons != rejected {
            return Err(format!("{rejected} rejected, but {reasons} with a reason"));
        }
        for edge in &self.edges {
            if edge.sent != edge.received && !edge.is_hung_up {
                return Err(format!("edge {}: {} sent, but {} received", edge.name, edge.sent, edge.received));
            }
        }
        Ok(())
    }

    /// Records read, over all sources.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.sources.iter().map(|source| source.records).sum()
    }

    /// Late rows, over all stages.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.operators.iter().map(|operator| operator.late).sum()
    }

    /// Records that were not read because no filter would let them through, over all sources.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.sources.iter().map(|source| source.unread).sum()
    }

    /// Rows written that update another one, `-U` and `+U` counted each, over all stages.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.operators.iter().map(|operator| operator.updates).sum()
    }

    /// Rejected records and rows, over all sources.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        let decoded = self.sources.iter().map(|source| source.rejected).sum::<u64>();
        decoded + self.operators.iter().map(|operator| operator.failed).sum::<u64>()
    }

    /// Rejected records and rows by reason, over all sources.
    #[must_use]
    pub fn rejects(&self) -> RejectCounts {
        let mut counts = RejectCounts::default();
        self.sources.iter().for_each(|source| counts.add_all(&source.rejects));
        counts
    }
}

/// Three lines for a person, and more for each source if there are several, and for each aggregation if it was measured.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64().max(1e-6);
        let bytes: u64 = self.sources.iter().map(|source| source.bytes).sum();
        let sum = |of: fn(&OperatorAccount) -> u64| self.operators.iter().map(of).sum::<u64>();
        writeln!(
            f,
            "read {} record{} ({}) in {seconds:.3} s: {} rows/s, {}/s, {} worker{}{}",
            grouped(self.records()),
            if self.records() == 1 { "" } else { "s" },
            number::bytes(bytes),
            rounded(self.records() as f64 / seconds),
            number::bytes((bytes as f64 / seconds) as u64),
            self.workers,
            if self.workers == 1 { "" } else { "s" },
            if self.is_drained { ", drained before the end of input" } else { "" },
        )?;
        if self.sources.len() > 1 {
            for source in &self.sources {
                write!(f, "  {}: {} records", source.table, grouped(source.records))?;
                if source.rejects.total() > 0 {
                    write!(f, ", {} rejected", grouped(source.rejects.total()))?;
                }
                writeln!(f, " ({})", number::bytes(source.bytes))?;
            }
        }
        if self.unread() > 0 {
            writeln!(f, "left {} of them unread, which no filter would let through", self.unread())?;
        }
        writeln!(
            f,
            "rejected {}{}, filtered {}, aggregated {}, passed {}, late {}; emitted {}{}; state peak {}",
            grouped(self.rejected()),
            if self.rejects().total() == 0 { String::new() } else { format!(" ({})", self.rejects()) },
            grouped(sum(|operator| operator.filtered)),
            grouped(sum(|operator| operator.folded)),
            grouped(sum(|operator| operator.passed)),
            grouped(self.late()),
            grouped(self.emitted),
            if self.updates() == 0 { String::new() } else { format!(", {} of them updates", grouped(self.updates())) },
            number::bytes(self.state_peak_bytes),
        )?;
        if self.undelivered > 0 {
            let rows = grouped(self.undelivered);
            writeln!(f, "{rows} rows were on their way when the reader of a sink went away")?;
        }
        let latency = self.latency.to_string();
        if !latency.is_empty() {
            writeln!(f, "{latency}")?;
        }
        for aggregation in self.aggregations.iter().filter(|aggregation| aggregation.cost.is_some()) {
            writeln!(f, "{aggregation}")?;
        }
        match self.check() {
            Ok(()) => write!(f, "every row is accounted for"),
            Err(imbalance) => write!(f, "THE ACCOUNT DOES NOT BALANCE: {imbalance}"),
        }
    }
}

/// The counters of all stages of a job.
pub(super) type Counters = Vec<Arc<StageCounters>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::bad_input::RejectReason;

    #[test]
    fn account_speaks_of_each_source_if_there_are_several() {
        let mut rejects = RejectCounts::default();
        rejects.add(RejectReason::Malformed, 1);
        let source = |table: &str, rejects| SourceAccount {
            table: table.to_owned(),
            records: 6_000,
            rows: 6_000,
            rejected: 0,
            unread: 0,
            rejects,
            bytes: 3 << 20,
        };
        let one = Account {
            sources: vec![source("a.csv", RejectCounts::default())],
            elapsed: Duration::from_millis(1_500),
            emitted: 1_234,
            workers: 1,
            ..Account::default()
        };
        assert_eq!(
            one.to_string(),
            "read 6,000 records (3.00 MiB) in 1.500 s: 4.00 K rows/s, 2.00 MiB/s, 1 worker\n\
             rejected 0, filtered 0, aggregated 0, passed 0, late 0; emitted 1,234; state peak 0 B\n\
             every row is accounted for"
        );
        let two = Account {
            sources: vec![source("a.csv", RejectCounts::default()), source("b.csv", rejects)],
            workers: 2,
            is_drained: true,
            ..one
        };
        let text = two.to_string();
        assert!(
            text.starts_with(
                "read 12,000 records (6.00 MiB) in 1.500 s: 8.00 K rows/s, 4.00 MiB/s, 2 workers, drained"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "\n  a.csv: 6,000 records (3.00 MiB)\n  b.csv: 6,000 records, 1 rejected (3.00 MiB)\nrejected "
            ),
            "{text}"
        );
    }
}
