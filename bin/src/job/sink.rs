//! The consumer of a pipeline: one thread that writes what the workers have encoded, and may block.

use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use thalweg_runtime::Control;
use thalweg_runtime::exchange::external::{External, Received};
use thalweg_runtime::latency::{Latencies, Point};

use super::control::{JobControl, Progress};
use super::flow::{Flow, Output};
use super::latency::Track;
use super::order::Order;
use crate::connect::{SinkRows, SinkWriter, WriteOutcome};
use crate::error::Result;

/// How long the writer sleeps at most; its bell wakes it when there is something.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Writes until every producer has ended or the job has failed, and says how many rows were written. The caller finishes
/// the writer once the job is done.
pub(super) fn write(
    mut external: External<Flow>,
    writer: &mut dyn SinkWriter,
    control: &Control,
    job: &JobControl,
    progress: &Progress,
    latencies: &Latencies,
) -> u64 {
    let mut emitted = 0;
    let mut track = Track::new(latencies);
    let mut order = Order::default();
    loop {
        let output = match next(&mut external, writer) {
            Ok(Some(Flow::Output(output))) => output,
            Ok(Some(_)) => continue,
            Ok(None) => return emitted,
            Err(error) => {
                control.fail(error.into());
                return emitted;
            }
        };
        for output in in_order(&mut order, output) {
            let (rows, is_closed) = match write_one(writer, &output) {
                Ok(WriteOutcome::Written) => (output.rows, false),
                Ok(WriteOutcome::Closed { rows }) => (rows.min(output.rows), true),
                Err(error) => {
                    control.fail(error.into());
                    return emitted;
                }
            };
            track.record_all(Point::Written, &output.spans);
            emitted += rows;
            progress.add_emitted(rows);
            if is_closed {
                // Nobody reads any more (`| head`): the job ends, quietly.
                external.hang_up();
                job.drain();
                return emitted;
            }
        }
    }
}

/// The next payload, and before it what the writer has to do by the clock; `None` when the job has ended.
fn next(external: &mut External<Flow>, writer: &mut dyn SinkWriter) -> Result<Option<Flow>> {
    loop {
        let wake = writer.look(Instant::now())?;
        external.bell().take();
        match external.try_recv() {
            Received::Data(_, data) => return Ok(Some(data)),
            Received::Ended => return Ok(None),
            Received::Empty => external.bell().wait(wake.unwrap_or(SLEEP_MAX).min(SLEEP_MAX)),
        }
    }
}

/// Collects the batches of a pipeline for a caller in the same process.
pub(super) fn collect(mut external: External<Flow>, progress: &Progress) -> Vec<RecordBatch> {
    let mut collector = Collector::default();
    while let Some((_, data)) = external.recv() {
        collector.take_in(data, progress);
    }
    collector.batches
}

/// The rows of one sink, in its order.
#[derive(Default)]
pub(super) struct Collector {
    order: Order<Output>,
    pub(super) batches: Vec<RecordBatch>,
}

impl Collector {
    pub(super) fn take_in(&mut self, data: Flow, progress: &Progress) {
        if let Flow::Output(output) = data {
            for output in in_order(&mut self.order, output) {
                progress.add_emitted(output.rows);
                self.batches.extend(output.batches);
            }
        }
    }
}

/// What is due with `output`: rows without a block at once.
fn in_order(order: &mut Order<Output>, output: Output) -> Vec<Output> {
    match output.block {
        None => vec![output],
        Some(block) => {
            order.take_in(block, output);
            std::iter::from_fn(|| order.next()).collect()
        }
    }
}

fn write_one(writer: &mut dyn SinkWriter, output: &Output) -> Result<WriteOutcome> {
    match output {
        Output { rows: 0, .. } => Ok(WriteOutcome::Written),
        Output { batches, .. } if !batches.is_empty() => writer.write(SinkRows::Batches(batches)),
        Output { bytes, .. } => writer.write(SinkRows::Encoded(bytes)),
    }
}
