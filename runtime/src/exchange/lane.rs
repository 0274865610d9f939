//! A lane: one bounded channel from one producer to one consumer of one edge.
//!
//! **Nobody blocks here.** A producer stages its messages in the lane's backlog and flushes as many as the channel takes;
//! the rest stays with the producer, whose worker calls none of that stage's operators until the backlog is gone. So the
//! bytes that wait are bounded by the output of one call, without a lock and without counting credits.
//!
//! **Who rings whom.** A message in the channel is followed by a ring of the consumer. A producer that finds the channel
//! full raises the lane's `wanted` flag and tries *once more*; a consumer that has taken a message lowers the flag, and
//! rings the producer if it was up. Both change the flag by a read-modify-write, so the changes have one order: either the
//! consumer's comes second and sees the flag, or the producer's comes second, and then its second try happens after the
//! room was made and finds it. One of the two always notices; the producer may sleep on a full lane.
//!
//! **Order.** The channel keeps the order of messages; within a message the data come first, then the barrier, then the
//! watermark. A watermark is attached to the newest message of the backlog or travels in one of its own behind it: it
//! cannot overtake what it speaks for.
//!
//! **Counting.** Each message says how many messages and rows its producer put on this lane since the last barrier. The
//! consumer counts for itself and compares at every barrier and at the end.
//!
//! **Closing.** Either end may be dropped: the channel is closed first, then the other end's bell is rung, so that it
//! finds out. A producer that ends in order has promised [`EventTimeMs::END`] before; a consumer that ends early (an
//! unread pipe) makes its lanes swallow what is sent.

use crate::exchange::doorbell::{Doorbell, Doorbells};
use crate::progress::barrier::{Barrier, Count, Miscount};
use crate::sync::{Arc, AtomicBool, Ordering, Receiver, Sender, TryRecvError, TrySendError, bounded};
use crate::{EventTimeMs, Payload, WorkerId};
use std::collections::VecDeque;

/// What travels on a lane, in the order in which the consumer deals with it: data, barrier, watermark.
#[derive(Debug)]
pub struct Message<D> {
    /// Rows or partials, if any.
    pub data: Option<D>,
    /// The epoch that ends behind the data.
    pub barrier: Option<Barrier>,
    /// The producer's promise from here on, if it moved.
    pub watermark: Option<EventTimeMs>,
    /// What the producer put on this lane since the last barrier, this message included.
    pub count: Count,
}

/// A lane from a producer to a consumer, each with the bell of the other one.
pub fn lane<D: Payload>(capacity: usize, producer: Ringer, consumer: Ringer) -> (LaneSender<D>, LaneReceiver<D>) {
    let (sender, receiver) = bounded(capacity);
    let wanted = Arc::new(AtomicBool::new(false));
    let sender = LaneSender {
        channel: Some(sender),
        consumer,
        wanted: Arc::clone(&wanted),
        backlog: VecDeque::new(),
        count: Count::default(),
        promised: EventTimeMs::MIN,
        sent_rows: 0,
        discarded_rows: 0,
    };
    let receiver =
        LaneReceiver { channel: Some(receiver), producer, wanted, count: Count::default(), received_rows: 0 };
    (sender, receiver)
}

/// One end of a lane, as the other end sees it: whom to ring.
#[derive(Clone, Debug)]
pub struct Ringer {
    bells: Doorbells,
    index: WorkerId,
}

impl Ringer {
    /// Rings bell `index` of `bells`.
    #[must_use]
    pub fn new(bells: &Doorbells, index: WorkerId) -> Self {
        Self { bells: bells.clone(), index }
    }

    /// The bell itself.
    #[must_use]
    pub fn bell(&self) -> &Doorbell {
        self.bells.bell(self.index)
    }

    fn ring(&self) {
        self.bell().ring();
    }
}

/// What a [`LaneSender::flush`] left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Messages that left the backlog.
    pub moved: usize,
    /// Messages are left in the backlog. The consumer rings when there is room.
    pub is_backlogged: bool,
}

/// The producer's end: a backlog without a bound, and a channel with one.
pub struct LaneSender<D: Payload> {
    /// None only while dropping.
    channel: Option<Sender<Message<D>>>,
    consumer: Ringer,
    /// Up: the producer found the channel full. Raised here, lowered by the consumer.
    wanted: Arc<AtomicBool>,
    backlog: VecDeque<Message<D>>,
    /// Staged since the last barrier.
    count: Count,
    promised: EventTimeMs,
    sent_rows: u64,
    discarded_rows: u64,
}

impl<D: Payload> LaneSender<D> {
    /// Puts `data` at the end of the backlog.
    ///
    /// # Panics
    /// If the end was promised: an operator that sends after its own end.
    pub fn stage_data(&mut self, data: D) {
        assert!(self.promised < EventTimeMs::END, "an operator sent data after it had promised the end");
        self.count.messages += 1;
        self.count.rows += data.rows();
        self.backlog.push_back(Message { data: Some(data), barrier: None, watermark: None, count: self.count });
    }

    /// Promises `watermark` behind all that was staged. A time at or below an earlier promise changes nothing.
    pub fn stage_watermark(&mut self, watermark: EventTimeMs) {
        if watermark <= self.promised {
            return;
        }
        self.promised = watermark;
        match self.backlog.back_mut() {
            Some(newest) => newest.watermark = Some(watermark),
            None => self.stage_empty().watermark = Some(watermark),
        }
    }

    /// Ends an epoch behind all that was staged. Nothing follows an end that was promised, not even a barrier: a consumer
    /// takes a lane that has ended as aligned.
    pub fn stage_barrier(&mut self, barrier: Barrier) {
        if self.promised == EventTimeMs::END {
            return;
        }
        match self.backlog.back_mut() {
            // A message that already carries progress has its order fixed: the barrier would come before that watermark.
            Some(newest) if newest.barrier.is_none() && newest.watermark.is_none() => newest.barrier = Some(barrier),
            _ => self.stage_empty().barrier = Some(barrier),
        }
        self.count = Count::default();
    }

    fn stage_empty(&mut self) -> &mut Message<D> {
        self.count.messages += 1;
        self.backlog.push_back(Message { data: None, barrier: None, watermark: None, count: self.count });
        self.backlog.back_mut().expect("a message was just pushed")
    }

    /// Sends what the channel takes, in order, and rings the consumer if anything went. Does not wait.
    pub fn flush(&mut self) -> Flushed {
        let Some(channel) = &self.channel else { return Flushed { moved: 0, is_backlogged: false } };
        let (mut moved, mut sent) = (0, false);
        while let Some(message) = self.backlog.pop_front() {
            let rows = message.data.as_ref().map_or(0, Payload::rows);
            let mut outcome = channel.try_send(message);
            if let Err(TrySendError::Full(message)) = outcome {
                // Release: pairs with the consumer's swap, which then rings. Acquire: pairs with it as well; if it came
                // first, the room it made is seen by the second try. See the module's page.
                self.wanted.swap(true, Ordering::AcqRel);
                outcome = channel.try_send(message);
            }
            match outcome {
                Ok(()) => {
                    sent = true;
                    self.sent_rows += rows;
                }
                Err(TrySendError::Full(message)) => {
                    self.backlog.push_front(message);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => self.discarded_rows += rows,
            }
            moved += 1;
        }
        if sent {
            self.consumer.ring();
        }
        Flushed { moved, is_backlogged: !self.backlog.is_empty() }
    }

    /// Messages wait here for room.
    #[must_use]
    pub fn is_backlogged(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Rows that went into the channel.
    #[must_use]
    pub fn sent_rows(&self) -> u64 {
        self.sent_rows
    }

    /// Rows that were dropped because the consumer had hung up.
    #[must_use]
    pub fn discarded_rows(&self) -> u64 {
        self.discarded_rows
    }

    /// Loses the newest staged message, as a broken channel would.
    #[cfg(test)]
    pub(crate) fn lose_newest(&mut self) -> bool {
        self.backlog.pop_back().is_some()
    }
}

impl<D: Payload> Drop for LaneSender<D> {
    fn drop(&mut self) {
        // The consumer must find the channel closed when the bell wakes it.
        drop(self.channel.take());
        self.consumer.ring();
    }
}

/// What [`LaneReceiver::take`] found.
#[derive(Debug)]
pub enum Taken<D> {
    /// The next message.
    Message(Message<D>),
    /// Nothing now; the bell rings when there is.
    Empty,
    /// Nothing any more: the producer is gone.
    Closed,
    /// Messages were lost or doubled on the way.
    Miscounted(Miscount),
}

/// The consumer's end.
pub struct LaneReceiver<D: Payload> {
    /// None only while dropping.
    channel: Option<Receiver<Message<D>>>,
    producer: Ringer,
    wanted: Arc<AtomicBool>,
    /// Taken since the last barrier.
    count: Count,
    received_rows: u64,
}

impl<D: Payload> LaneReceiver<D> {
    /// Takes the next message, if there is one. A producer that found the lane full is rung.
    pub fn take(&mut self) -> Taken<D> {
        let Some(channel) = &self.channel else { return Taken::Closed };
        let message = match channel.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Empty) => return Taken::Empty,
            Err(TryRecvError::Disconnected) => return Taken::Closed,
        };
        // Acquire and Release: pair with the producer's swap in `flush`. See the module's page.
        if self.wanted.swap(false, Ordering::AcqRel) {
            self.producer.ring();
        }
        let rows = message.data.as_ref().map_or(0, Payload::rows);
        self.received_rows += rows;
        self.count.messages += 1;
        self.count.rows += rows;
        if message.barrier.is_some() || message.watermark == Some(EventTimeMs::END) {
            if message.count != self.count {
                return Taken::Miscounted(Miscount { sent: message.count, received: self.count });
            }
            if message.barrier.is_some() {
                self.count = Count::default();
            }
        }
        Taken::Message(message)
    }

    /// Rows that were taken.
    #[must_use]
    pub fn received_rows(&self) -> u64 {
        self.received_rows
    }
}

impl<D: Payload> Drop for LaneReceiver<D> {
    fn drop(&mut self) {
        drop(self.channel.take());
        self.producer.ring();
    }
}
