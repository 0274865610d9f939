//! A lane: one bounded channel from one producer to one consumer of one edge.
//!
//! **Nobody blocks here.** A producer stages its messages in the lane's backlog and flushes as many as the channel takes;
//! the rest stays with the producer, whose worker calls none of that stage's operators until the backlog is gone. So the
//! bytes that wait are bounded by the output of one call, without a lock and without counting credits.
//!
//! **Who rings whom.** A message in the channel is followed by a ring of the consumer. A producer that finds the channel
//! full raises the lane's `wanted` flag and tries *once more*; a consumer that has taken a message lowers the flag, and
//! rings the producer if it was up. Both change the flag by a read-modify-write, so the changes have one order: either the
//! consumer's comes second and sees the flag, or the producer's comes second, and then (acquire, of a release) its second
//! try happens after the room was made and finds it. One of the two always notices; the producer may sleep on a full lane.
//!
//! **Order.** The channel keeps the order of messages; within a message the data come first, then its
//! mark. A watermark is attached to the newest message of the backlog or travels in one of its own behind it: it cannot
//! overtake what it speaks for.
//!
//! **Counting.** Each message says how many messages and rows its producer put on this lane since the last barrier. The
//! consumer counts for itself and compares at every barrier and at the end.
//!
//! **Closing.** Either end may be dropped: the channel is closed first, then the other end's bell is rung, so that it
//! finds out. A producer that ends in order has promised [`EventTimeMs::END`] before; a consumer that ends early (an
//! unread pipe) makes its lanes swallow what is sent.

use crate::exchange::doorbell::{Doorbell, Doorbells};
use crate::progress::barrier::{Barrier, Count, Miscount};
use crate::sync::{Arc, AtomicBool, Receiver, Sender, TryRecvError, TrySendError, bounded, mutant, ordering};
use crate::{EventTimeMs, Payload, WorkerId};
use std::collections::VecDeque;

/// What travels on a lane, in the order in which the consumer deals with it: data, then the mark.
#[derive(Debug)]
pub struct Message<D> {
    /// Rows or partials, if any.
    pub data: Option<D>,
    /// What the producer says behind the data.
    pub mark: Option<Mark>,
    /// What the producer put on this lane since the last barrier, this message included.
    pub count: Count,
}

/// Progress of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// An epoch ends here.
    Barrier(Barrier),
    /// The promise from here on.
    Watermark(EventTimeMs),
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
        self.backlog.push_back(Message { data: Some(data), mark: None, count: self.count });
    }

    /// Promises `watermark` behind all that was staged. A time at or below an earlier promise changes nothing.
    pub fn stage_watermark(&mut self, watermark: EventTimeMs) {
        if watermark <= self.promised {
            return;
        }
        self.promised = watermark;
        let newest = match self.backlog.pop_back() {
            Some(newest) if !matches!(newest.mark, Some(Mark::Barrier(_))) => newest,
            // Behind a barrier a new epoch begins.
            other => {
                self.backlog.extend(other);
                self.empty_message()
            }
        };
        let mark = Some(Mark::Watermark(watermark));
        if mutant!(lane_watermark_goes_first) {
            self.backlog.push_front(Message { data: None, mark, count: self.count });
        }
        // The count of now: what was staged and is not in front of this promise is missed at the end.
        self.backlog.push_back(Message { mark, count: self.count, ..newest });
    }

    /// Ends an epoch behind all that was staged. Nothing follows an end that was promised, not even a barrier: a consumer
    /// takes a lane that has ended as aligned.
    pub fn stage_barrier(&mut self, barrier: Barrier) {
        if self.promised == EventTimeMs::END {
            return;
        }
        let newest = match self.backlog.pop_back() {
            Some(newest) if newest.mark.is_none() => newest,
            other => {
                self.backlog.extend(other);
                self.empty_message()
            }
        };
        self.backlog.push_back(Message { mark: Some(Mark::Barrier(barrier)), count: self.count, ..newest });
        self.count = Count::default();
    }

    /// A message without data, counted but not yet staged.
    fn empty_message(&mut self) -> Message<D> {
        self.count.messages += 1;
        Message { data: None, mark: None, count: self.count }
    }

    /// Sends what the channel takes, in order, and rings the consumer if anything went. Does not wait.
    pub fn flush(&mut self) -> Flushed {
        let Some(channel) = &self.channel else { return Flushed { moved: 0, is_backlogged: false } };
        if mutant!(lane_rings_early) {
            self.consumer.ring();
        }
        let (mut moved, mut sent) = (0, false);
        while let Some(message) = self.backlog.pop_front() {
            let rows = message.data.as_ref().map_or(0, Payload::rows);
            let mut outcome = channel.try_send(message);
            if let Err(TrySendError::Full(message)) = outcome {
                if !mutant!(lane_leaves_no_note) {
                    // Acquire: pairs with the consumer's swap; if that came first, the room it made is seen by the second
                    // try. See the module's page.
                    self.wanted.swap(true, ordering!(lane_raise, Acquire));
                }
                let may_try = !mutant!(lane_tries_once);
                outcome = if may_try { channel.try_send(message) } else { Err(TrySendError::Full(message)) };
            }
            match outcome {
                Ok(()) => {
                    sent = true;
                    self.sent_rows += rows;
                }
                Err(TrySendError::Full(_)) if mutant!(lane_drops_when_full) => {}
                Err(TrySendError::Full(message)) if mutant!(lane_puts_back_at_the_end) => {
                    self.backlog.push_back(message);
                    break;
                }
                Err(TrySendError::Full(message)) => {
                    self.backlog.push_front(message);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => self.discarded_rows += rows,
            }
            moved += 1;
        }
        if mutant!(lane_rings_early) {
            sent = false;
        }
        if sent && !mutant!(lane_sends_in_silence) {
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
        if mutant!(lane_sender_leaves_in_silence) {
            return;
        }
        if mutant!(lane_sender_rings_early) {
            return self.consumer.ring();
        }
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
        let was_wanted = mutant!(lane_lowers_early) && self.lower();
        let message = match channel.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Empty) => return Taken::Empty,
            Err(TryRecvError::Disconnected) => return Taken::Closed,
        };
        let is_wanted = if mutant!(lane_lowers_early) { was_wanted } else { self.lower() };
        if is_wanted && !mutant!(lane_makes_room_in_silence) {
            self.producer.ring();
        }
        let rows = message.data.as_ref().map_or(0, Payload::rows);
        self.received_rows += rows;
        self.count.messages += 1;
        self.count.rows += rows;
        let is_barrier = matches!(message.mark, Some(Mark::Barrier(_)));
        if is_barrier || message.mark == Some(Mark::Watermark(EventTimeMs::END)) {
            if message.count != self.count {
                return Taken::Miscounted(Miscount { sent: message.count, received: self.count });
            }
            if is_barrier {
                self.count = Count::default();
            }
        }
        Taken::Message(message)
    }

    /// Lowers the flag; true if it was up.
    fn lower(&self) -> bool {
        // Release: pairs with the producer's swap in `flush`. See the module's page.
        self.wanted.swap(false, ordering!(lane_lower, Release))
    }

    /// Rows that were taken.
    #[must_use]
    pub fn received_rows(&self) -> u64 {
        self.received_rows
    }
}

impl<D: Payload> Drop for LaneReceiver<D> {
    fn drop(&mut self) {
        if mutant!(lane_receiver_leaves_in_silence) {
            return;
        }
        if mutant!(lane_receiver_rings_early) {
            return self.producer.ring();
        }
        drop(self.channel.take());
        self.producer.ring();
    }
}

#[cfg(all(test, not(thalweg_loom)))]
mod tests {
    use super::*;
    use crate::Epoch;

    #[derive(Debug, PartialEq, Eq)]
    struct Rows(u64);

    impl Payload for Rows {
        fn rows(&self) -> u64 {
            self.0
        }
        fn bytes(&self) -> usize {
            8
        }
    }

    const PRODUCER: WorkerId = WorkerId(0);
    const CONSUMER: WorkerId = WorkerId(1);

    fn pair(capacity: usize) -> (Doorbells, LaneSender<Rows>, LaneReceiver<Rows>) {
        let bells = Doorbells::new(2);
        let (sender, receiver) = lane(capacity, Ringer::new(&bells, PRODUCER), Ringer::new(&bells, CONSUMER));
        (bells, sender, receiver)
    }

    fn taken(receiver: &mut LaneReceiver<Rows>) -> Message<Rows> {
        match receiver.take() {
            Taken::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn progress_rides_on_the_newest_message_or_behind_it() {
        let (_, mut sender, mut receiver) = pair(8);
        sender.stage_data(Rows(3));
        sender.stage_barrier(Barrier { epoch: Epoch(1) });
        sender.stage_watermark(EventTimeMs(5));
        sender.stage_barrier(Barrier { epoch: Epoch(2) });
        sender.stage_watermark(EventTimeMs(4));
        sender.stage_data(Rows(2));
        sender.stage_watermark(EventTimeMs::END);
        sender.stage_barrier(Barrier { epoch: Epoch(3) });
        assert_eq!(sender.flush(), Flushed { moved: 4, is_backlogged: false });
        let barrier = |epoch| Some(Mark::Barrier(Barrier { epoch: Epoch(epoch) }));
        let watermark = |time| Some(Mark::Watermark(time));
        let count = |messages, rows| Count { messages, rows };
        for (data, mark, count) in [
            (Some(Rows(3)), barrier(1), count(1, 3)),
            (None, watermark(EventTimeMs(5)), count(1, 0)),
            (None, barrier(2), count(2, 0)),
            (Some(Rows(2)), watermark(EventTimeMs::END), count(1, 2)),
        ] {
            let message = taken(&mut receiver);
            assert_eq!((message.data, message.mark, message.count), (data, mark, count));
        }
        assert!(matches!(receiver.take(), Taken::Empty), "nothing follows the end");
        assert_eq!((sender.sent_rows(), receiver.received_rows()), (5, 5));
    }

    #[test]
    fn each_end_is_rung_when_the_other_one_made_work_for_it() {
        let (bells, mut sender, mut receiver) = pair(1);
        sender.stage_data(Rows(1));
        sender.flush();
        assert!(bells.bell(CONSUMER).take() && !bells.bell(PRODUCER).take());
        taken(&mut receiver);
        assert!(!bells.bell(PRODUCER).take(), "the lane was not found full");
        (0..2).for_each(|_| sender.stage_data(Rows(1)));
        assert!(sender.flush().is_backlogged);
        taken(&mut receiver);
        assert!(bells.bell(PRODUCER).take(), "the lane was found full");
        assert!(!sender.flush().is_backlogged);
    }

    #[test]
    fn a_producer_that_goes_away_rings_and_its_messages_come_first() {
        let (bells, mut sender, mut receiver) = pair(2);
        sender.stage_data(Rows(1));
        sender.flush();
        bells.bell(CONSUMER).take();
        drop(sender);
        assert!(bells.bell(CONSUMER).take());
        taken(&mut receiver);
        assert!(matches!(receiver.take(), Taken::Closed));
    }

    #[test]
    fn a_consumer_that_goes_away_rings_and_what_is_sent_is_discarded() {
        let (bells, mut sender, receiver) = pair(1);
        (0..3).for_each(|_| sender.stage_data(Rows(10)));
        assert!(sender.flush().is_backlogged);
        drop(receiver);
        assert!(bells.bell(PRODUCER).take());
        assert_eq!(sender.flush(), Flushed { moved: 2, is_backlogged: false });
        assert_eq!((sender.sent_rows(), sender.discarded_rows()), (10, 20));
    }

    #[test]
    fn a_lost_message_is_found_at_the_barrier() {
        let (_, mut sender, mut receiver) = pair(4);
        (0..2).for_each(|_| sender.stage_data(Rows(10)));
        assert!(sender.lose_newest());
        sender.stage_barrier(Barrier { epoch: Epoch(1) });
        sender.flush();
        let sent = Count { messages: 2, rows: 20 };
        let received = Count { messages: 1, rows: 10 };
        match receiver.take() {
            Taken::Miscounted(miscount) => assert_eq!(miscount, Miscount { sent, received }),
            other => panic!("{other:?}"),
        }
    }
}
