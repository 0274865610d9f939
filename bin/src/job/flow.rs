//! What the workers of a job send each other, and what they send to a sink.

use arrow_array::RecordBatch;
use thalweg_operators::batch::Batch;
use thalweg_operators::group::Partials;
use thalweg_operators::route::Routed;
use thalweg_runtime::Payload;
use thalweg_runtime::latency::{Span, Spans};

/// The payload of every lane; with when the rows were due, for the measure of latency.
#[derive(Debug)]
pub enum Flow {
    /// Groups of one window on their way to their owner.
    Partials(Partials, Spans),
    /// Rows on their way to another stage, also to the owner of all groups, who folds them.
    Rows(Batch, Spans),
    /// What one block holds for one owner who takes in row by row.
    Routed(RoutedBlock),
    /// Rows on their way to a sink.
    Output(Output),
}

/// The rows of one block that are of one owner, in their order. Every block of a source comes, once, also without rows.
#[derive(Debug)]
pub struct RoutedBlock {
    /// Number of the block; `None`: the rows come out of no source, so no order of their own is theirs.
    pub block: Option<u64>,
    /// A part for each batch.
    pub parts: Vec<Routed>,
    /// When they were due, if that is measured.
    pub span: Option<Span>,
}

/// Rows for a sink: encoded, or as they are for a caller in the same process.
#[derive(Debug, Default)]
pub struct Output {
    /// The source block that these rows come from, where the sink restores the order of input. Every block comes, once.
    pub block: Option<u64>,
    /// How many rows.
    pub rows: u64,
    /// The rows, encoded.
    pub bytes: Vec<u8>,
    /// The rows, where the sink collects batches.
    pub batches: Vec<RecordBatch>,
    /// When what they came from was due.
    pub spans: Spans,
}

impl Payload for Flow {
    fn rows(&self) -> u64 {
        match self {
            Self::Partials(partials, _) => partials.rows() as u64,
            Self::Rows(batch, _) => batch.rows() as u64,
            Self::Routed(routed) => routed.rows(),
            Self::Output(output) => output.rows,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Partials(partials, _) => partials.bytes(),
            Self::Rows(batch, _) => batch.columns.get_array_memory_size(),
            Self::Routed(routed) => routed.bytes(),
            Self::Output(output) => {
                output.bytes.len() + output.batches.iter().map(RecordBatch::get_array_memory_size).sum::<usize>()
            }
        }
    }
}

impl RoutedBlock {
    /// Number of rows.
    pub(super) fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows() as u64).sum()
    }

    /// Bytes held in memory.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(Routed::bytes).sum()
    }
}
