//! The first stage of a pipeline on one worker: takes blocks of its source, stamps their rows, folds or passes them on.
//!
//! Blocks are decoded in any order and stamped in the order of input: a block waits in the stash until the blocks before
//! it have passed the carry. What has passed is folded at once, within the same step, so that nothing which a published
//! watermark speaks for is ever held back here.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, PrimitiveArray, RecordBatch};
use thalweg_operators::batch::{Batch, Ordinal, Ordinals, Stamps};
use thalweg_operators::expr::Scalar;
use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Operator, WorkerId};

use super::account::{StageCounters, add};
use super::control::Progress;
use super::event_time::Chain;
use super::flow::Flow;
use super::steps;
use super::tail::Tail;
use crate::connect::{SourceBlock, SourceEvent, SourceReader};
use crate::error::{Error, Result};
use crate::plan::WatermarkStrategy;
use crate::plan::stages::Step;

/// Decoded blocks that may wait for their turn. Each pins a block of input; four cover a neighbour that is slow for the
/// time of three blocks.
const STASH_BLOCKS_MAX: usize = 4;

/// A scan and the steps above it.
pub(super) struct SourceOperator {
    pub(super) table: String,
    pub(super) reader: Box<dyn SourceReader>,
    /// Distinguishes the sources of a job in the ordinals of their rows.
    pub(super) source: u32,
    /// Steps below the watermark: computed columns.
    pub(super) computed: Vec<Step>,
    pub(super) watermark: Option<Watermark>,
    /// Steps above the watermark.
    pub(super) steps: Vec<Step>,
    pub(super) tail: Tail,
    /// The sink wants to know which block its rows come from.
    pub(super) is_sink_ordered: bool,
    pub(super) counters: Arc<StageCounters>,
    pub(super) progress: Arc<Progress>,
    pub(super) stash: VecDeque<StampedBlock>,
    pub(super) is_ended: bool,
}

/// How rows are stamped, and with whom.
pub(super) struct Watermark {
    pub(super) time_column: usize,
    pub(super) strategy: WatermarkStrategy,
    pub(super) chain: Arc<Chain>,
}

/// A decoded block that waits for its turn.
pub(super) struct StampedBlock {
    index: u64,
    batches: Vec<TimedBatch>,
    /// Greatest watermark value of its rows.
    greatest: EventTimeMs,
}

struct TimedBatch {
    columns: RecordBatch,
    first_row: u32,
    times: Option<RowTimes>,
}

/// What the watermark needs to know of a batch's rows.
struct RowTimes {
    /// Watermark value of each row: what it makes certain once it has passed.
    values: PrimitiveArray<TimestampMillisecondType>,
    /// Subtracted from `values`.
    lag_ms: i64,
    least_time: EventTimeMs,
    greatest: EventTimeMs,
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
        if let Some(watermark) = &self.watermark
            && self.tail.advance(watermark.chain.promise(), cx)
        {
            watermark.chain.announce();
        }
        if self.is_ended && self.stash.is_empty() {
            self.tail.finish(cx);
            if let Some(watermark) = &self.watermark {
                watermark.chain.end_reader();
            }
            return Ok(Activity::Done);
        }
        Ok(if has_read || has_passed { Activity::Busy } else { Activity::Waiting })
    }

    fn barrier(&mut self, cx: &mut Context<'_, Flow>, _: Epoch) -> Result<(), Fault> {
        self.tail.flush(cx);
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
        match self.reader.poll()? {
            SourceEvent::Block(block) => {
                add(&self.counters.records, block.records);
                add(&self.counters.rejected, block.rejects.total());
                add(&self.counters.bytes, block.bytes);
                self.progress.add_read(block.records, block.bytes);
                let block = self.time(block)?;
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
        let mut batches = Vec::with_capacity(block.batches.len());
        let (mut greatest, mut first_row) = (EventTimeMs::MIN, 0);
        for columns in block.batches {
            let rows = columns.num_rows() as u32;
            add(&self.counters.rows_in, u64::from(rows));
            let columns = self.compute(columns)?;
            let times = match &self.watermark {
                Some(watermark) if rows > 0 => Some(watermark.times(&columns, &self.table)?),
                _ => None,
            };
            greatest = times.as_ref().map_or(greatest, |times| greatest.max(times.greatest));
            batches.push(TimedBatch { columns, first_row, times });
            first_row += rows;
        }
        Ok(StampedBlock { index: block.index, batches, greatest })
    }

    fn compute(&self, columns: RecordBatch) -> Result<RecordBatch> {
        self.computed.iter().try_fold(columns, |columns, step| match step {
            Step::Project(expressions, schema) => steps::project(expressions, schema, &columns),
            Step::Filter(_) | Step::Unnest(_) | Step::Watermark { .. } => {
                Err(Error::internal("a filter below the watermark"))
            }
        })
    }

    /// Stamps and processes every stashed block whose turn has come.
    fn pass(&mut self, cx: &mut Context<'_, Flow>) -> Result<bool> {
        let mut has_passed = false;
        while let Some(front) = self.stash.front() {
            let mut running = EventTimeMs::MIN;
            let mut others = EventTimeMs::END;
            if let Some(watermark) = &self.watermark {
                let chain = &watermark.chain;
                let Some(mut turn) = chain.carry.try_turn(front.index, cx.worker()) else { break };
                running = *turn;
                *turn = running.max(front.greatest);
                chain.publish(*turn);
                drop(turn);
                others = chain.others();
                self.progress.set_watermark(running.max(front.greatest));
            }
            let Some(block) = self.stash.pop_front() else { break };
            for batch in block.batches {
                let (stamps, after) = stamps(batch.times.as_ref(), running, others);
                running = after;
                let first =
                    (u128::from(self.source) << 96) | (u128::from(block.index) << 32) | u128::from(batch.first_row);
                let batch = Batch { columns: batch.columns, ordinals: Ordinals::Run(Ordinal::of_row(first)), stamps };
                steps::run_through(&self.steps, batch, &self.counters, &mut |batch| {
                    self.tail.push(batch, &self.counters, cx)
                })?;
            }
            self.tail.end_block(self.is_sink_ordered.then_some(block.index), cx);
            has_passed = true;
        }
        Ok(has_passed)
    }
}

impl Watermark {
    fn times(&self, columns: &RecordBatch, table: &str) -> Result<RowTimes> {
        let time = columns.column(self.time_column).as_primitive::<TimestampMillisecondType>();
        if time.null_count() > 0 {
            let name = columns.schema().field(self.time_column).name().clone();
            return Err(Error::data(format!("event time `{name}` of table `{table}` is NULL in a row")).help(
                "leave such rows out before the table, or make the column NOT NULL by a computed column with COALESCE",
            ));
        }
        let (least_time, greatest_time) = range(time);
        let (values, lag_ms, greatest) = match &self.strategy {
            WatermarkStrategy::Lag(lag_ms) => (time.clone(), *lag_ms, greatest_time.saturating_sub(*lag_ms)),
            WatermarkStrategy::Expression(expression) => {
                let values = evaluate_times(expression, columns)?;
                // A NULL promises nothing.
                let greatest = values.iter().flatten().max().unwrap_or(i64::MIN);
                (values, 0, greatest)
            }
        };
        Ok(RowTimes { values, lag_ms, least_time: EventTimeMs(least_time), greatest: EventTimeMs(greatest) })
    }
}

fn evaluate_times(
    expression: &Arc<dyn Scalar>,
    columns: &RecordBatch,
) -> Result<PrimitiveArray<TimestampMillisecondType>> {
    let values = expression.evaluate(columns).map_err(steps::refused)?;
    Ok(values.as_primitive::<TimestampMillisecondType>().clone())
}

fn range(times: &PrimitiveArray<TimestampMillisecondType>) -> (i64, i64) {
    let mut least = i64::MAX;
    let mut greatest = i64::MIN;
    for &time in times.values() {
        least = least.min(time);
        greatest = greatest.max(time);
    }
    (least, greatest)
}

/// The stamps of a batch's rows and the watermark after them, given the watermark `before` and that of the other sources.
fn stamps(times: Option<&RowTimes>, before: EventTimeMs, others: EventTimeMs) -> (Stamps, EventTimeMs) {
    let Some(times) = times else { return (Stamps::Uniform(before.min(others)), before) };
    let after = before.max(times.greatest);
    // No row at or below the batch's last stamp: whatever window holds it ends later still, so none can be late and
    // one stamp for all decides the same.
    if before == after || times.least_time > after.min(others) {
        return (Stamps::Uniform(before.min(others)), after);
    }
    let mut running = before.0;
    let each = (0..times.values.len()).map(|row| {
        let stamp = EventTimeMs(running).min(others);
        if times.values.is_valid(row) {
            running = running.max(times.values.value(row).saturating_sub(times.lag_ms));
        }
        stamp
    });
    (Stamps::Each(each.collect()), after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_times(values: &[i64], lag_ms: i64) -> RowTimes {
        let least = values.iter().copied().min().unwrap();
        let greatest = values.iter().copied().max().unwrap() - lag_ms;
        RowTimes {
            values: values.to_vec().into(),
            lag_ms,
            least_time: EventTimeMs(least),
            greatest: EventTimeMs(greatest),
        }
    }

    #[test]
    fn a_row_is_stamped_with_the_watermark_of_the_rows_before_it() {
        let times = row_times(&[100, 300, 50, 400], 10);
        let (stamps, after) = stamps(Some(&times), EventTimeMs(60), EventTimeMs::END);
        let each: Vec<i64> = (0..4).map(|row| stamps.get(row).0).collect();
        assert_eq!((each, after.0), (vec![60, 90, 290, 290], 390));
    }

    #[test]
    fn a_batch_without_a_row_below_its_last_stamp_has_one_stamp() {
        let times = row_times(&[100, 101, 102], 50);
        let (stamps, after) = stamps(Some(&times), EventTimeMs(40), EventTimeMs::END);
        assert!(matches!(stamps, Stamps::Uniform(EventTimeMs(40))));
        assert_eq!(after.0, 52);
    }

    #[test]
    fn another_source_that_is_behind_holds_every_stamp_back() {
        let times = row_times(&[100, 300, 50, 400], 10);
        let (stamps, after) = stamps(Some(&times), EventTimeMs(60), EventTimeMs(70));
        let each: Vec<i64> = (0..4).map(|row| stamps.get(row).0).collect();
        assert_eq!((each, after.0), (vec![60, 70, 70, 70], 390));
    }
}
