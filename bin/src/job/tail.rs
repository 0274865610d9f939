//! The end of a stage on one worker: fold and send partials, pass rows on, or encode them for a sink.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{Array, ArrayRef, RecordBatch, StringViewArray};
use arrow_schema::SchemaRef;
use thalweg_operators::batch::Batch;
use thalweg_operators::changelog::{RowKind, RowKinds};
use thalweg_operators::group::GroupAggregation;
use thalweg_operators::kernels::Kernels;
use thalweg_operators::own;
use thalweg_operators::spec::Windows;
use thalweg_operators::window;
use thalweg_runtime::latency::{Point, Spans};
use thalweg_runtime::state::{Message, Producer, Release, Sends};
use thalweg_runtime::{Context, EdgeId, EventTimeMs, Nanos, WorkerId};

use super::account::{StageCounters, add};
use super::control::Progress;
use super::costs::Tally;
use super::flow::{Flow, Output};
use super::late::leave_out_late;
use super::latency::Track;
use super::rejects::FailedRow;
use super::route::Route;
use crate::connect::Encoder;
use crate::error::{Error, Result};
use crate::plan::MiniBatch;

/// The end of a stage: where its batches go, and when their rows were due.
pub(super) struct Tail {
    pub(super) to: Destination,
    pub(super) track: Track,
}

/// Where the batches of a stage go.
pub(super) enum Destination {
    /// Into the state of an aggregation.
    Fold(Box<Fold>),
    /// To the owners of their keys.
    Route(Box<Route>),
    /// All to worker 0.
    Gather(EdgeId),
    /// To the same worker.
    Pass(EdgeId),
    /// To a sink.
    Sink(SinkTail),
}

/// The producer's side of an aggregation, and what was promised of it.
pub(super) struct Fold {
    pub(super) producer: Box<dyn Producer<GroupAggregation>>,
    /// What the producer leaves to be sent; empty between two calls, kept for its memory.
    pub(super) sends: Sends<GroupAggregation>,
    pub(super) window: Option<Windows>,
    pub(super) kernels: Kernels,
    pub(super) edge: EdgeId,
    /// Least time that closes a window which is open after the last promise.
    pub(super) next_close: EventTimeMs,
    pub(super) tally: Tally,
    /// Nothing is held privately: what was taken in is part of the state.
    pub(super) merges_at_once: bool,
    pub(super) hold: Hold,
    /// Time of the step in which the oldest row was taken in that may be held.
    pub(super) held_since: Option<Nanos>,
    /// Rows that may be held.
    pub(super) held_rows: u64,
}

/// When rows leave that are held privately and that no window lets go of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hold {
    /// When their window does.
    Window,
    /// After this time, and as soon as no more input is there.
    Delay(Duration),
    /// When there are enough of them, or after their time.
    MiniBatch(MiniBatch),
}

impl Hold {
    fn rows_max(self) -> u64 {
        if let Self::MiniBatch(batch) = self { batch.rows } else { u64::MAX }
    }
}

/// The end of a pipeline.
pub(super) struct SinkTail {
    pub(super) edge: EdgeId,
    pub(super) writes: Writes,
    pub(super) output: Output,
    /// Columns that the sink declares NOT NULL, and their names.
    pub(super) required: Vec<(usize, String)>,
    /// The columns with the kinds of rows in front, where the sink shows them.
    pub(super) with_kinds: Option<SchemaRef>,
}

/// As what rows leave for a sink.
pub(super) enum Writes {
    /// As bytes.
    Encoded(Box<dyn Encoder>),
    /// As they are.
    Batches,
    /// Not at all: the sink throws them away. They are counted here.
    Nothing(Arc<Progress>),
}

impl Tail {
    /// Takes a batch that has passed all steps.
    pub(super) fn push(&mut self, batch: Batch, counters: &StageCounters, cx: &mut Context<'_, Flow>) -> Result<()> {
        let rows = batch.rows() as u64;
        if rows == 0 {
            return Ok(());
        }
        let Self { to, track } = self;
        match to {
            Destination::Fold(fold) => {
                let (mut first, rows_max) = (0, fold.hold.rows_max());
                while first < rows {
                    let taken = (rows - first).min(rows_max - fold.held_rows);
                    let part = if taken == rows { batch.clone() } else { batch.slice(first as usize, taken as usize) };
                    fold.take(&part, counters, track, cx)?;
                    first += taken;
                    if fold.held_rows >= rows_max {
                        fold.release(Release::All, track, cx)?;
                    }
                }
            }
            Destination::Route(route) => {
                route.push(&batch, counters)?;
                track.reach(Point::Folded, rows);
            }
            Destination::Gather(edge) => {
                add(&counters.passed, rows);
                cx.send(*edge, WorkerId(0), Flow::Rows(owned(&batch)?, track.spans(rows)));
            }
            Destination::Pass(edge) => {
                add(&counters.passed, rows);
                cx.send(*edge, cx.worker(), Flow::Rows(owned(&batch)?, track.spans(rows)));
            }
            Destination::Sink(sink) => {
                sink.refuse_null(&batch.columns)?;
                add(&counters.passed, rows);
                if let RowKinds::Each(kinds) = &batch.kinds {
                    add(&counters.updates, kinds.iter().filter(|kind| **kind != RowKind::Insert).count() as u64);
                }
                let SinkTail { writes, output, with_kinds: schema, .. } = sink;
                match writes {
                    Writes::Nothing(progress) => {
                        progress.add_emitted(rows);
                        track.discard(rows);
                        return Ok(());
                    }
                    Writes::Encoded(encoder) => {
                        encoder.encode(&with_kinds(schema.as_ref(), batch)?.columns, &mut output.bytes)?;
                    }
                    Writes::Batches => output.batches.push(owned(&with_kinds(schema.as_ref(), batch)?)?.columns),
                }
                output.rows += rows;
                track.gather(rows);
            }
        }
        Ok(())
    }

    /// The batch without the rows that are late for an aggregation that follows, each of which is described in `late`: of a
    /// batch of a source, ahead of [`push`](Self::push). They are counted as late.
    pub(super) fn leave_out_late(
        &self,
        batch: Batch,
        counters: &StageCounters,
        late: &mut Vec<FailedRow>,
    ) -> Result<Batch> {
        match &self.to {
            Destination::Fold(fold) => match &fold.window {
                Some(windows) => leave_out_late((windows, fold.kernels), batch, counters, late),
                None => Ok(batch),
            },
            Destination::Route(_) | Destination::Gather(_) | Destination::Pass(_) | Destination::Sink(_) => Ok(batch),
        }
    }

    /// Whether it wants to know which block rows come from, and every block.
    pub(super) fn is_ordered(&self) -> bool {
        match &self.to {
            Destination::Sink(sink) => !sink.discards(),
            Destination::Route(_) => true,
            Destination::Fold(_) | Destination::Gather(_) | Destination::Pass(_) => false,
        }
    }

    /// Whether a block may be pushed now; if not, the worker is rung when it is worth asking again.
    pub(super) fn may_pass(&self, block: u64, worker: WorkerId) -> bool {
        match &self.to {
            Destination::Route(route) => route.window.may_send(block, worker),
            Destination::Fold(_) | Destination::Gather(_) | Destination::Pass(_) | Destination::Sink(_) => true,
        }
    }

    /// Sends what has been gathered since the last call. `block`: the source block, if it [is ordered](Self::is_ordered).
    pub(super) fn end_block(&mut self, block: Option<u64>, cx: &mut Context<'_, Flow>) {
        let Self { to, track } = self;
        match (to, block) {
            (Destination::Sink(sink), block) if block.is_some() || sink.output.rows > 0 => {
                // The next block's rows are about as long.
                let bytes = Vec::with_capacity(sink.output.bytes.len() / 8 * 9);
                let output = std::mem::replace(&mut sink.output, Output { bytes, ..Output::default() });
                let spans = track.take_gathered();
                track.record_all(Point::Emitted, &spans);
                cx.send(sink.edge, WorkerId(0), Flow::Output(Output { block, spans, ..output }));
            }
            (Destination::Route(route), block) => route.end_block(block, track.block(), cx),
            _ => {}
        }
    }

    /// Rows and bytes that wait for [`end_block`](Self::end_block) on their way to a sink or to the owners of their keys.
    pub(super) fn gathered(&self) -> (u64, usize) {
        match &self.to {
            Destination::Sink(sink) => (sink.output.rows, sink.output.bytes.len()),
            Destination::Route(route) => route.gathered,
            Destination::Fold(_) | Destination::Gather(_) | Destination::Pass(_) => (0, 0),
        }
    }

    /// Everything at or below `time` has been pushed: lets go of what that closes, then promises it. Says whether windows
    /// may close by it.
    pub(super) fn advance(&mut self, time: EventTimeMs, cx: &mut Context<'_, Flow>) -> Result<bool> {
        let Self { to, track } = self;
        match to {
            Destination::Fold(fold) => {
                // Promises between two closes change nothing at the owner, so they are not sent.
                if fold.window.is_none() || time < fold.next_close {
                    return Ok(false);
                }
                fold.release(Release::ClosedBy(time), track, cx)?;
                fold.next_close = window::next_close_after(fold.window.as_ref(), time);
                cx.promise(time);
                Ok(true)
            }
            Destination::Route(route) => Ok(route.advance(time, cx)),
            // Nobody waits for what is thrown away.
            Destination::Sink(sink) if sink.discards() => Ok(false),
            Destination::Gather(_) | Destination::Pass(_) | Destination::Sink(_) => {
                cx.promise(time);
                Ok(false)
            }
        }
    }

    /// Lets go of what readers of live state ask for. Called in every step.
    pub(super) fn answer_readers(&mut self, cx: &mut Context<'_, Flow>) -> Result<()> {
        match &mut self.to {
            Destination::Fold(fold) if fold.producer.is_awaited() => fold.release(Release::All, &mut self.track, cx),
            _ => Ok(()),
        }
    }

    /// Lets go of what has been held for the delay of a batch, or of all that is held if no more input `is_there`: nobody
    /// is to wait for what may not come. A mini-batch waits for it as long as it was told to. Without a delay nothing goes
    /// before its window closes.
    pub(super) fn release_aged(&mut self, is_there: bool, cx: &mut Context<'_, Flow>) -> Result<()> {
        let Destination::Fold(fold) = &mut self.to else { return Ok(()) };
        let Some(since) = fold.held_since else { return Ok(()) };
        let (delay, waits) = match fold.hold {
            Hold::Window => return Ok(()),
            Hold::Delay(delay) => (delay, is_there),
            Hold::MiniBatch(batch) => (batch.latency, true),
        };
        let over = Nanos(since.0.saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)));
        if waits && cx.now() < over {
            cx.wake_at(over);
            return Ok(());
        }
        fold.release(Release::All, &mut self.track, cx)
    }

    /// No batch will come any more: lets go of what is held.
    pub(super) fn finish(&mut self, cx: &mut Context<'_, Flow>) -> Result<()> {
        match &mut self.to {
            Destination::Fold(fold) => fold.release(Release::All, &mut self.track, cx),
            Destination::Route(_) | Destination::Gather(_) | Destination::Pass(_) | Destination::Sink(_) => Ok(()),
        }
    }

    /// Lets go of all that is held privately, ahead of a barrier.
    pub(super) fn flush(&mut self, cx: &mut Context<'_, Flow>) -> Result<()> {
        self.finish(cx)?;
        self.end_block(None, cx);
        Ok(())
    }

    /// Bytes of the state that this side answers for.
    pub(super) fn state_bytes(&self) -> usize {
        match &self.to {
            Destination::Fold(fold) => fold.producer.bytes(),
            Destination::Route(_) | Destination::Gather(_) | Destination::Pass(_) | Destination::Sink(_) => 0,
        }
    }
}

impl SinkTail {
    fn discards(&self) -> bool {
        matches!(self.writes, Writes::Nothing(_))
    }

    /// As Flink's `table.exec.sink.not-null-enforcer` does by default.
    fn refuse_null(&self, columns: &RecordBatch) -> Result<()> {
        match self.required.iter().find(|(column, _)| columns.column(*column).null_count() > 0) {
            None => Ok(()),
            Some((_, name)) => Err(Error::data(format!("a NULL is to be written into column `{name}`, which is NOT NULL"))
                .help("leave such rows out with WHERE … IS NOT NULL, give a value with COALESCE, or declare the column without NOT NULL")),
        }
    }
}

/// The kinds of the rows as a column in front of the others, if they are to be shown: `schema` says so.
fn with_kinds(schema: Option<&SchemaRef>, batch: Batch) -> Result<Batch> {
    let Some(schema) = schema else { return Ok(batch) };
    let kinds: StringViewArray = (0..batch.rows()).map(|row| Some(batch.kinds.get(row).short())).collect();
    let columns = std::iter::once(Arc::new(kinds) as ArrayRef).chain(batch.columns.columns().iter().cloned());
    let columns = RecordBatch::try_new(Arc::clone(schema), columns.collect());
    Ok(batch.with_columns(columns.map_err(|error| Error::internal(error.to_string()))?))
}

impl Fold {
    /// Has the producer take in some rows of those that are tracked.
    fn take(
        &mut self,
        batch: &Batch,
        counters: &StageCounters,
        track: &mut Track,
        cx: &mut Context<'_, Flow>,
    ) -> Result<()> {
        let (began, rows) = (self.tally.begin_batch(), batch.rows() as u64);
        let processed = self.producer.process(batch, &mut self.sends).map_err(aggregate_refused)?;
        self.tally.end_batch(began, rows, processed.cost);
        add(&counters.folded, processed.folded.folded);
        add(&counters.late, processed.folded.late);
        add(&counters.handed, processed.passed);
        track.reach(Point::Folded, rows);
        if self.merges_at_once {
            track.reach(Point::Merged, rows);
        } else {
            track.gather(rows);
            self.held_since.get_or_insert(cx.now());
            self.held_rows += rows;
        }
        self.send(track, cx);
        Ok(())
    }

    fn release(&mut self, release: Release, track: &mut Track, cx: &mut Context<'_, Flow>) -> Result<()> {
        let cost = self.producer.release(release, &mut self.sends).map_err(aggregate_refused)?;
        self.tally.add(cost);
        self.send(track, cx);
        if release == Release::All {
            (self.held_since, self.held_rows) = (None, 0);
        }
        Ok(())
    }

    /// What goes takes the times of all that was gathered along.
    fn send(&mut self, track: &mut Track, cx: &mut Context<'_, Flow>) {
        if self.sends.is_empty() {
            return;
        }
        let rows = |message: &Message<GroupAggregation>| match message {
            Message::Groups(partials) => partials.rows() as u64,
            Message::Rows(batch) => batch.rows() as u64,
        };
        let of: u64 = self.sends.iter().map(|(_, message)| rows(message)).sum();
        let gathered = if of == 0 { Spans::default() } else { track.take_gathered() };
        let mut from = 0;
        for (owner, message) in self.sends.drain(..) {
            let to = from + rows(&message);
            let spans = gathered.share(from, to, of);
            from = to;
            let data = match message {
                Message::Groups(partials) => Flow::Partials(partials, spans),
                Message::Rows(batch) => Flow::Rows(batch, spans),
            };
            cx.send(self.edge, owner, data);
        }
    }
}

/// The same rows without a view into an input block: nothing that leaves a step may keep one.
fn owned(batch: &Batch) -> Result<Batch> {
    own::batch(batch).map_err(|error| Error::internal(error.to_string()))
}

/// An aggregate without a value (an overflow) is an error in the data.
pub(super) fn aggregate_refused(error: thalweg_operators::aggregate::AggregateError) -> Error {
    if error.is_internal() { Error::internal(error.to_string()) } else { Error::data(error.to_string()) }
}
