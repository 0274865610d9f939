//! For tests of what cuts a text into blocks: every pair of places, on all cores.
//!
//! A text of 2 KiB has two million pairs, so what is done for each must cost no more than reading the text.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::RecordBatch;

use crate::connect::bad_input::{Reject, RejectCounts};
use crate::connect::format::json::{JsonEncoder, JsonOptions, MapKeys};
use crate::connect::{Encoder, SourceBlock};

/// How many bytes a text is to have at least: what the environment variable CUTS says; each more costs twice the length.
pub fn bytes_asked() -> usize {
    std::env::var("CUTS").ok().and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Calls `check` with all pairs of places `first ≤ second ≤ length`; each thread has a `state` of its own.
pub fn for_each_pair<S>(length: usize, state: impl Fn() -> S + Sync, check: impl Fn(&mut S, usize, usize) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let _ends_all = StopOnPanic(&next);
                let mut state = state();
                loop {
                    // Relaxed: only who takes which number matters.
                    let first = next.fetch_add(1, Ordering::Relaxed);
                    if first > length {
                        return;
                    }
                    for second in first..=length {
                        check(&mut state, first, second);
                    }
                }
            });
        }
    });
}

/// Where one pair fails, the others need not be tried.
struct StopOnPanic<'a>(&'a AtomicUsize);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(usize::MAX / 2, Ordering::Relaxed);
        }
    }
}

/// What came of a text: all of it, but in bytes that are cheap to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The rows as JSON: each value is told from every other, and NULL from all.
    rows: Vec<u8>,
    row_count: usize,
    records: u64,
    counts: RejectCounts,
}

/// Sums up blocks of columns of one schema.
pub struct Summing {
    encoder: JsonEncoder,
    /// Of the latest blocks.
    pub summary: Summary,
}

impl Summing {
    /// For rows like those of `batch`.
    pub fn of(batch: &RecordBatch) -> Self {
        let encoder = JsonEncoder::new(batch.schema_ref(), &JsonOptions::default(), MapKeys::Strings);
        Self { encoder: encoder.expect("JSON can hold the columns"), summary: Summary::default() }
    }

    /// Sums up `blocks`, the whole input in order; their arrays must be valid and their accounts balance.
    pub fn sum_up(&mut self, blocks: &[SourceBlock]) -> &Summary {
        let summary = &mut self.summary;
        summary.rows.clear();
        (summary.row_count, summary.records, summary.counts) = (0, 0, RejectCounts::default());
        for block in blocks {
            summary.records += block.records;
            summary.counts.add_all(block.rejects.counts());
            for batch in &block.batches {
                for column in batch.columns() {
                    column.to_data().validate_full().expect("arrow accepts the array");
                }
                summary.row_count += batch.num_rows();
                self.encoder.encode(batch, &mut summary.rows).expect("JSON can hold the rows");
            }
        }
        assert_eq!(summary.records, summary.row_count as u64 + summary.counts.total(), "every record is accounted for");
        summary
    }
}

/// What is known of the records that were refused, in order.
pub fn rejects(blocks: &[SourceBlock]) -> impl Iterator<Item = &Reject> {
    blocks.iter().flat_map(|block| &block.rejects.records)
}
