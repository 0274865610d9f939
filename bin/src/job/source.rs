//! The first stage of a pipeline on one worker: takes blocks of its source, stamps their rows, folds or passes them on.
//!
//! Blocks are decoded in any order and stamped in the order of input: a block waits in the stash until the blocks before
//! it have passed the carry. What has passed is folded at once, within the same step, so that nothing which a published
//! watermark speaks for is ever held back here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use thalweg_operators::batch::{Batch, Ordinal, Ordinals, Stamps};
use thalweg_operators::changelog::RowKinds;
use thalweg_runtime::latency::{Point, Span};
use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Nanos, Operator, WorkerId};

use super::account::{StageCounters, add};
use super::control::Progress;
use super::event_time::Passed;
use super::flow::Flow;
use super::rejects::{FailedRow, Ledger};
use super::steps;
use super::tail::Tail;
use super::watermark::{RowTimes, Watermark, stamps};
use crate::connect::bad_input::{Rejects, RowPlaces};
use crate::connect::{SourceBlock, SourceEvent, SourceReader};
use crate::error::{Error, Result};
use crate::plan::stages::Step;

/// Decoded blocks that may wait for their turn. Each pins a block of input; four cover a neighbour that is slow for the
/// time of three blocks.
const STASH_BLOCKS_MAX: usize = 4;

/// A scan and the steps above it.
pub(super) struct SourceOperator {
    pub(super) reader: Box<dyn SourceReader>,
    /// Distinguishes the sources of a job in the ordinals of their rows.
    pub(super) source: u32,
    /// Steps below the watermark: computed columns.
    pub(super) computed: Vec<Step>,
    pub(super) watermark: Option<Watermark>,
    /// Steps above the watermark.
    pub(super) steps: Vec<Step>,
    pub(super) tail: Tail,
    pub(super) ledger: Arc<Ledger>,
    /// Keeps late rows, if the table asks for it.
    pub(super) late: Option<Arc<Ledger>>,
    pub(super) counters: Arc<StageCounters>,
    pub(super) progress: Arc<Progress>,
    pub(super) stash: VecDeque<StampedBlock>,
    pub(super) is_ended: bool,
}

/// A decoded block that waits for its turn.
pub(super) struct StampedBlock {
    index: u64,
    batches: Vec<TimedBatch>,
    /// Greatest watermark value of its rows.
    greatest: EventTimeMs,
    /// Greatest event time of its rows.
    greatest_time: EventTimeMs,
    /// What its format refused.
    rejects: Rejects,
    /// Rows that were refused since.
    failed: Vec<FailedRow>,
    /// Where its rows stand in the input. Keeps the block's text, so it goes as soon as the block is done with.
    places: Option<Box<dyn RowPlaces>>,
    /// When its rows were due, if that is measured.
    span: Option<Span>,
}

struct TimedBatch {
    /// Not stamped yet.
    batch: Batch,
    times: Option<RowTimes>,
}

impl Operator<Flow> for SourceOperator {
    fn receive(&mut self, _: &mut Context<'_, Flow>, _: EdgeId, _: WorkerId, _: Flow) -> Result<(), Fault> {
        Err(Error::internal("a source has no input edge").into())
    }

    fn advance(&mut self, _: &mut Context<'_, Flow>, _: EventTimeMs) -> Result<(), Fault> {
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Flow>) -> Result<Activity, Fault> {
        let has_read = self.read()?;
        let has_passed = self.pass(cx)?;
        self.tail.answer_readers(cx)?;
        self.tail.release_aged(has_read || has_passed, cx)?;
        if let Some(moment) = self.reader.wakes_at().filter(|_| !self.is_ended) {
            let left = moment.saturating_duration_since(Instant::now()).as_nanos();
            cx.wake_at(Nanos(cx.now().0.saturating_add(u64::try_from(left).unwrap_or(u64::MAX))));
        }
        if let Some(watermark) = &self.watermark
            && self.tail.advance(watermark.chain.promise(), cx)?
        {
            watermark.chain.announce();
        }
        if self.is_ended && self.stash.is_empty() {
            self.tail.finish(cx)?;
            if let Some(watermark) = &self.watermark {
                watermark.chain.end_reader();
            }
            return Ok(Activity::Done);
        }
        Ok(if has_read || has_passed { Activity::Busy } else { Activity::Waiting })
    }

    fn barrier(&mut self, cx: &mut Context<'_, Flow>, _: Epoch) -> Result<(), Fault> {
        self.tail.flush(cx)?;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.tail.state_bytes()
    }
}

impl SourceOperator {
    /// Takes one block into the stash, if there is one and room for it.
    fn read(&mut self) -> Result<bool> {
        if self.is_ended || self.stash.len() >= STASH_BLOCKS_MAX {
            return Ok(false);
        }
        let asked = self.tail.track.now();
        let event = match self.reader.poll() {
            Ok(event) => event,
            Err(error) => {
                let Some(index) = self.reader.failed_at() else { return Err(error) };
                self.is_ended = true;
                self.ledger.fail(index, error)?;
                return Ok(true);
            }
        };
        match event {
            SourceEvent::Block(block) => {
                add(&self.counters.records, block.records);
                add(&self.counters.rejected, block.rejects.total());
                add(&self.counters.bytes, block.bytes);
                self.progress.add_read(block.records, block.bytes);
                let span = self.tail.track.arrived(asked, self.reader.arrival(), block.records);
                let mut block = self.time(block)?;
                self.tail.track.record(Point::Decoded, span);
                block.span = span;
                self.stash.push_back(block);
                Ok(true)
            }
            SourceEvent::Pending => Ok(false),
            SourceEvent::End => {
                self.is_ended = true;
                Ok(true)
            }
        }
    }

    /// Computed columns and watermark values of a block: all that does not depend on the blocks before.
    fn time(&self, block: SourceBlock) -> Result<StampedBlock> {
        let SourceBlock { index, batches, rejects, places, .. } = block;
        let mut timed = Vec::with_capacity(batches.len());
        let mut failed = Vec::new();
        let (mut greatest, mut greatest_time, mut first_row) = (EventTimeMs::MIN, EventTimeMs::MIN, 0);
        for columns in batches {
            let rows = columns.num_rows() as u32;
            add(&self.counters.rows_in, u64::from(rows));
            let first = (u128::from(self.source) << 96) | (u128::from(index) << 32) | u128::from(first_row);
            let stamps = Stamps::Uniform(EventTimeMs::MIN);
            let batch =
                Batch { columns, ordinals: Ordinals::Run(Ordinal::of_row(first)), stamps, kinds: RowKinds::Inserts };
            let mut batch = steps::compute(&self.computed, batch, &self.counters, &mut failed)?;
            let times = match &self.watermark {
                Some(watermark) if rows > 0 => watermark.times(&mut batch, &self.counters, &mut failed)?,
                _ => None,
            };
            greatest = times.as_ref().map_or(greatest, |times| greatest.max(times.greatest));
            greatest_time = times.as_ref().map_or(greatest_time, |times| greatest_time.max(times.greatest_time));
            timed.push(TimedBatch { batch, times });
            first_row += rows;
        }
        Ok(StampedBlock { index, batches: timed, greatest, greatest_time, rejects, failed, places, span: None })
    }

    /// Stamps and processes every stashed block whose turn has come.
    fn pass(&mut self, cx: &mut Context<'_, Flow>) -> Result<bool> {
        let mut has_passed = false;
        while let Some(front) = self.stash.front_mut() {
            let mut ledgers = std::iter::once(&self.ledger).chain(&self.late);
            let has_room =
                ledgers.try_fold(true, |all, ledger| Ok::<bool, Error>(all & ledger.may_pass(front.index)?))?;
            if !has_room || !self.tail.may_pass(front.index, cx.worker()) {
                break;
            }
            let mut running = EventTimeMs::MIN;
            let mut others = EventTimeMs::END;
            if let Some(watermark) = &self.watermark {
                let chain = &watermark.chain;
                let Some(mut turn) = chain.carry.try_turn(front.index, cx.worker()) else { break };
                front.reject_future(watermark, turn.time, &self.counters)?;
                running = turn.watermark;
                *turn = Passed { watermark: running.max(front.greatest), time: turn.time.max(front.greatest_time) };
                chain.publish(turn.watermark);
                self.progress.set_watermark(turn.watermark);
                drop(turn);
                others = chain.others();
            }
            let Some(mut block) = self.stash.pop_front() else { break };
            self.tail.track.begin_block(block.span);
            let mut late = Vec::new();
            let (mut row, of) = (0, block.batches.iter().map(|timed| timed.batch.rows() as u64).sum());
            for TimedBatch { mut batch, times } in block.batches {
                let (stamps, after) = stamps(times.as_ref(), running, others);
                running = after;
                batch.stamps = stamps;
                let end = row + batch.rows() as u64;
                self.tail.track.begin(block.span.map(|span| span.part(row, end, of)));
                row = end;
                steps::run_rejecting(&self.steps, batch, &self.counters, &mut block.failed, &mut |batch| {
                    let batch = match &self.late {
                        Some(_) => self.tail.leave_out_late(batch, &self.counters, &mut late)?,
                        None => batch,
                    };
                    self.tail.push(batch, &self.counters, cx)
                })?;
            }
            if let Some(ledger) = &self.late {
                ledger.submit(block.index, ledger.gather(Rejects::default(), late, block.places.as_deref()))?;
            }
            let refused = self.ledger.gather(block.rejects, block.failed, block.places.as_deref());
            self.ledger.submit(block.index, refused)?;
            self.tail.end_block(self.tail.is_ordered().then_some(block.index), cx);
            has_passed = true;
        }
        Ok(has_passed)
    }
}

impl StampedBlock {
    /// Leaves out rows whose event time is too far ahead of what was `reached` before them.
    fn reject_future(&mut self, watermark: &Watermark, reached: EventTimeMs, counters: &StageCounters) -> Result<()> {
        if watermark.reaches(reached, self.greatest_time) {
            return Ok(());
        }
        let mut reached = reached;
        (self.greatest, self.greatest_time) = (EventTimeMs::MIN, EventTimeMs::MIN);
        for TimedBatch { batch, times } in &mut self.batches {
            let Some(before) = times.take() else { continue };
            *times = watermark.reject_future(before, &mut reached, batch, counters, &mut self.failed)?;
            let Some(times) = times else { continue };
            self.greatest = self.greatest.max(times.greatest);
            self.greatest_time = self.greatest_time.max(times.greatest_time);
        }
        Ok(())
    }
}
