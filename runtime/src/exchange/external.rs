//! The consumer of an edge that leaves the workers: a helper thread that may block, such as a sink's.

use crate::control::Control;
use crate::exchange::doorbell::Doorbell;
use crate::exchange::lane::{LaneReceiver, Mark, Ringer, Taken};
use crate::operator::Payload;
use crate::progress::frontier::Frontier;
use crate::sync::mutant;
use crate::{EdgeId, EventTimeMs, WorkerId};
use std::time::Duration;

/// How long an outside consumer sleeps at most. Nothing depends on it: every message, every closed lane and every failure
/// rings.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The outside end of an edge, one lane from each worker. Dropping it is hanging up, unless it has read to the end.
pub struct External<D: Payload> {
    edge: EdgeId,
    /// By worker.
    lanes: Vec<LaneReceiver<D>>,
    frontier: Frontier,
    bell: Ringer,
    control: Control,
    /// Where the round over the lanes goes on.
    next_lane: usize,
    received_rows: u64,
}

/// What [`External::try_recv`] found.
#[derive(Debug)]
pub enum Received<D> {
    /// The next payload, and the worker that sent it.
    Data(WorkerId, D),
    /// Nothing now.
    Empty,
    /// Nothing any more: every producer has ended, or the job has failed.
    Ended,
}

impl<D: Payload> External<D> {
    pub(crate) fn new(edge: EdgeId, lanes: Vec<LaneReceiver<D>>, bell: Ringer, control: &Control) -> Self {
        let frontier = Frontier::new(lanes.len());
        Self { edge, lanes, frontier, bell, control: control.clone(), next_lane: 0, received_rows: 0 }
    }

    /// The edge that ends here.
    #[must_use]
    pub fn edge(&self) -> EdgeId {
        self.edge
    }

    /// The bell that says when to read again after [`Received::Empty`].
    #[must_use]
    pub fn bell(&self) -> &Doorbell {
        self.bell.bell()
    }

    /// The least watermark of the live producers: every payload that speaks of it or before was handed out.
    #[must_use]
    pub fn frontier(&self) -> EventTimeMs {
        self.frontier.get()
    }

    /// The next payload, and the worker that sent it. Blocks the calling thread until there is one; None when every
    /// producer has ended, or the job has failed. One worker's payloads come in the order in which it sent them.
    pub fn recv(&mut self) -> Option<(WorkerId, D)> {
        loop {
            if !mutant!(external_takes_the_bell_late) {
                self.bell().take();
            }
            match self.try_recv() {
                Received::Data(worker, data) => return Some((worker, data)),
                Received::Ended => return None,
                Received::Empty if mutant!(external_takes_the_bell_late) => {
                    self.bell().take();
                    self.bell().wait(SLEEP_MAX);
                }
                Received::Empty => self.bell().wait(SLEEP_MAX),
            }
        }
    }

    /// The next payload, without blocking.
    pub fn try_recv(&mut self) -> Received<D> {
        if self.control.has_failed() {
            return Received::Ended;
        }
        let lanes = self.lanes.len();
        let mut quiet = 0;
        while quiet < lanes {
            let index = self.next_lane;
            self.next_lane = (index + 1) % lanes;
            if self.frontier.has_ended(index) {
                quiet += 1;
                continue;
            }
            let message = match self.lanes[index].take() {
                Taken::Message(message) => message,
                // A worker that ended without a word: the job is failing, and the failure rings.
                Taken::Empty | Taken::Closed => {
                    quiet += 1;
                    continue;
                }
                Taken::Miscounted(miscount) => {
                    self.control.fail(Box::new(miscount));
                    return Received::Ended;
                }
            };
            quiet = 0;
            if let Some(Mark::Watermark(watermark)) = message.mark {
                self.frontier.raise(index, watermark);
            }
            if let Some(data) = message.data {
                self.received_rows += data.rows();
                self.control.publish_external(self.edge, self.received_rows);
                return Received::Data(WorkerId(index as u16), data);
            }
        }
        if self.frontier.get() == EventTimeMs::END { Received::Ended } else { Received::Empty }
    }

    /// The consumer is gone (`| head`): what is sent to it from now on is taken and dropped. The job goes on; whether it
    /// should drain is for the caller to say.
    pub fn hang_up(self) {
        drop(self);
    }
}

impl<D: Payload> Drop for External<D> {
    fn drop(&mut self) {
        if self.frontier.get() < EventTimeMs::END {
            self.control.publish_hang_up(self.edge);
        }
    }
}
