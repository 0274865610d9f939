//! Sources and sinks: how rows come in from files, pipes and generators, and how they leave.
//!
//! A [`Source`] is shared by all workers. Its input is cut into blocks, numbered from 0 without a gap in the order of
//! input; each block is handed to exactly one worker's [`SourceReader`]. Nothing here blocks a worker: what can block sits
//! on a helper thread behind a bounded channel and rings the workers' doorbells.

pub mod bad_input;
pub mod blackhole;
pub mod block;
pub mod connector;
pub mod datagen;
pub mod filesystem;
pub mod format;
pub mod infer;
pub mod input;
pub mod missing_path;
#[cfg(test)]
mod numbers;
pub mod options;
pub mod partitioned;
pub mod print;
pub mod result;
mod sample;
pub mod sink;
pub mod stdout;
pub mod value_text;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use thalweg_operators::kernels::Kernels;
use thalweg_runtime::WorkerId;

use self::bad_input::{BadInput, Rejects, RowPlaces};
use self::format::Format;
use crate::error::{Error, Result};
use crate::plan::pruning::ColumnTest;

pub use connector::Connector;
pub use infer::infer_file;
pub use thalweg_runtime::Doorbells;

/// How a job reads: the same for all its sources.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Rows of a batch at most.
    pub batch_rows: usize,
    /// Bytes of a block of a file. Any number from 1 up; about 128 KiB is the fastest.
    pub block_bytes: usize,
    /// Workers that will ask for a reader.
    pub workers: usize,
    /// What text is taken apart with.
    pub kernels: Kernels,
}

/// What a query reads of a table, and how.
#[derive(Clone, Copy, Debug)]
pub struct TableScan<'a> {
    /// The table, for messages.
    pub name: &'a str,
    /// Its physical columns.
    pub schema: &'a SchemaRef,
    /// Those that are read, as positions in `schema`; batches hold them in this order.
    pub columns: &'a [usize],
    /// Places among `columns` of strings that come as [codes](thalweg_operators::key::coded_type).
    pub codes: &'a [usize],
    /// How rows are written down.
    pub format: &'a Format,
    /// What becomes of those that cannot be read.
    pub bad_input: &'a BadInput,
    /// What holds for all sources of the job.
    pub read: &'a ReadOptions,
    /// Rung when there is something to read.
    pub bells: &'a Doorbells,
}

/// What a query can do without.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScanHints<'a> {
    /// Rows that fail one of these.
    pub pruning: &'a [ColumnTest],
    /// Places among the columns of strings that may stay codes, if the connector [gives some](Connector::gives_codes).
    pub codes: &'a [usize],
}

/// A table's input, shared by all workers.
pub trait Source: Send + Sync {
    /// The handle of one worker; called once for each.
    fn reader(&self, worker: WorkerId) -> Box<dyn SourceReader>;

    /// Bytes of input if that is known beforehand, for the progress line.
    fn bytes_total(&self) -> Option<u64>;

    /// Records that were passed over so far, because the filter above the scan lets none of them through. They are in no
    /// block.
    fn unread(&self) -> u64 {
        0
    }

    /// Stops handing out blocks that nobody has taken yet: a drained job ends with what it holds.
    fn drain(&self);
}

/// One worker's handle on a source.
pub trait SourceReader: Send {
    /// Goes on reading, as far as that is possible without waiting. Every block that was taken comes out as one
    /// [`SourceEvent::Block`], in the order in which this reader took them; a block without a whole record is an empty one.
    ///
    /// # Errors
    /// [`crate::error::Kind::Data`] with source, line and column for a record that is refused; `Connector` for I/O.
    fn poll(&mut self) -> Result<SourceEvent>;

    /// Of the block that was given out last: when its rows were due, if that is known better than by when they were asked
    /// for.
    fn arrival(&self) -> Option<Arrival> {
        None
    }

    /// When it is worth asking again, also if no bell rings: for sources that have a schedule.
    fn wakes_at(&self) -> Option<Instant> {
        None
    }

    /// After an error of [`poll`](Self::poll): the number of the block that cannot be read, if that is known. The error is
    /// then the job's only if no row of an earlier block is refused.
    fn failed_at(&self) -> Option<u64> {
        None
    }
}

/// When the rows of a block came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When its first row was due: by a schedule, or the moment at which the bytes were there.
    pub first_due: Instant,
    /// When its last row was due; the rows between are taken to be spread evenly.
    pub last_due: Instant,
    /// Of a block of a schedule.
    pub taken: Option<Taken>,
}

/// When a block of a schedule was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When it could have been: the schedule's lag counts from then on, and for rows that were due later, from when they were.
    pub from: Instant,
    /// When it was.
    pub at: Instant,
}

/// What a reader has for its worker.
pub enum SourceEvent {
    /// The next block.
    Block(SourceBlock),
    /// Nothing now; the worker's doorbell rings when it is worth asking again.
    Pending,
    /// No block will come any more.
    End,
}

/// The rows of one block.
pub struct SourceBlock {
    /// Number of the block in the order of the whole input.
    pub index: u64,
    /// The rows, in order, cut to `batch_rows`; possibly none.
    pub batches: Vec<RecordBatch>,
    /// Records taken from the input, also those that were rejected.
    pub records: u64,
    /// Records that did not become rows, unless `on-error` = `fail`.
    pub rejects: Rejects,
    /// Where the rows stand in the input, for those that are refused later; `None` if that is not known.
    pub places: Option<Box<dyn RowPlaces>>,
    /// Bytes of input.
    pub bytes: u64,
}

/// Turns batches into bytes on the workers, so that the one thread that writes has little to do.
pub trait Encoder: Send {
    /// Appends the rows of `batch` to `out`.
    ///
    /// # Errors
    /// If a value cannot be written in the format.
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()>;
}

/// Where encoded rows go. Lives on a thread of its own and may block.
pub trait SinkWriter: Send {
    /// Writes whole rows.
    ///
    /// # Errors
    /// `Connector`, if the device refuses; [`WriteOutcome::Closed`] is not an error.
    fn write(&mut self, rows: SinkRows<'_>) -> Result<WriteOutcome>;

    /// Whether it throws all rows away: then they are not brought here, but end where they are made.
    fn discards(&self) -> bool {
        false
    }

    /// Looks at the clock, before each write and at times between: finishes what is due, and says after how long it wants
    /// to look again at the latest. What has no use for a clock never does.
    ///
    /// # Errors
    /// As for `write`.
    fn look(&mut self, _now: Instant) -> Result<Option<Duration>> {
        Ok(None)
    }

    /// Makes everything visible under its final name; nothing unfinished is, before.
    ///
    /// # Errors
    /// As for `write`.
    fn finish(&mut self) -> Result<()>;
}

/// Rows on their way to a device.
#[derive(Clone, Copy, Debug)]
pub enum SinkRows<'a> {
    /// As the sink's encoder wrote them.
    Encoded(&'a [u8]),
    /// As they are, for a sink without an encoder.
    Batches(&'a [RecordBatch]),
}

impl<'a> SinkRows<'a> {
    /// The bytes of encoded rows.
    ///
    /// # Errors
    /// `Internal`, if they are not encoded: the sink was opened with an encoder and given batches.
    pub fn encoded(self) -> Result<&'a [u8]> {
        match self {
            Self::Encoded(bytes) => Ok(bytes),
            Self::Batches(_) => Err(Error::internal("a sink with an encoder was given batches")),
        }
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// All bytes are out.
    Written,
    /// The reader of the pipe is gone (`| head`): the job may end quietly.
    Closed {
        /// Whole rows of this write that the pipe had taken by then, as far as that can be told.
        rows: u64,
    },
}

/// Makes the encoder of one worker.
pub type MakeEncoder = Arc<dyn Fn() -> Box<dyn Encoder> + Send + Sync>;

/// A sink as a job opens it.
pub struct OpenSink {
    /// One encoder for each worker is made of this; `None` if the writer takes batches.
    pub encoder: Option<MakeEncoder>,
    /// The one writer.
    pub writer: Box<dyn SinkWriter>,
    /// What it writes.
    pub schema: SchemaRef,
}
