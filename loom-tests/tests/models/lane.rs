//! Lanes hand over everything, in order, and tell both ends when the other one is gone.

use loom::thread;
use std::time::Duration;
use thalweg_loom_tests::explore::explore;
use thalweg_runtime::exchange::lane::{LaneReceiver, LaneSender, Mark, Ringer, Taken, lane};
use thalweg_runtime::progress::frontier::Frontier;
use thalweg_runtime::{Doorbells, EventTimeMs, Payload, WorkerId};

/// A row with its event time.
#[derive(Debug, PartialEq, Eq)]
struct Row(i64);

impl Payload for Row {
    fn rows(&self) -> u64 {
        1
    }
    fn bytes(&self) -> usize {
        8
    }
}

const PRODUCER: WorkerId = WorkerId(0);
const CONSUMER: WorkerId = WorkerId(1);

/// A lane with room for one message, between two workers.
fn narrow_lane(bells: &Doorbells, producer: WorkerId, consumer: WorkerId) -> (LaneSender<Row>, LaneReceiver<Row>) {
    lane(1, Ringer::new(bells, producer), Ringer::new(bells, consumer))
}

/// Flushes until nothing is left, asleep while the lane is full.
fn flush_all(sender: &mut LaneSender<Row>, bells: &Doorbells, me: WorkerId) {
    loop {
        bells.bell(me).take();
        if !sender.flush().is_backlogged {
            return;
        }
        bells.bell(me).wait(Duration::MAX);
    }
}

#[test]
fn a_full_lane_hands_over_all_in_order() {
    explore("lane, hand-over", || {
        let bells = Doorbells::new(2);
        let (mut sender, mut receiver) = narrow_lane(&bells, PRODUCER, CONSUMER);
        let producer_bells = bells.clone();
        let producer = thread::spawn(move || {
            (0..3).for_each(|time| sender.stage_data(Row(time)));
            sender.stage_watermark(EventTimeMs::END);
            flush_all(&mut sender, &producer_bells, PRODUCER);
            assert_eq!(sender.sent_rows(), 3);
        });
        let mut next = 0;
        loop {
            bells.bell(CONSUMER).take();
            match receiver.take() {
                Taken::Message(message) => {
                    assert_eq!(message.data, Some(Row(next)));
                    next += 1;
                    if message.mark == Some(Mark::Watermark(EventTimeMs::END)) {
                        break;
                    }
                }
                Taken::Empty => bells.bell(CONSUMER).wait(Duration::MAX),
                other => panic!("{other:?} before the end"),
            }
        }
        assert_eq!((next, receiver.received_rows()), (3, 3));
        producer.join().expect("the producer does not panic");
    });
}

#[test]
fn a_producer_that_goes_away_is_noticed_behind_its_last_message() {
    explore("lane, producer gone", || {
        let bells = Doorbells::new(2);
        let (mut sender, mut receiver) = narrow_lane(&bells, PRODUCER, CONSUMER);
        let producer = thread::spawn(move || {
            sender.stage_data(Row(7));
            sender.flush();
        });
        let mut rows = Vec::new();
        loop {
            bells.bell(CONSUMER).take();
            match receiver.take() {
                Taken::Message(message) => rows.extend(message.data),
                Taken::Empty => bells.bell(CONSUMER).wait(Duration::MAX),
                Taken::Closed => break,
                Taken::Miscounted(miscount) => panic!("{miscount}"),
            }
        }
        assert_eq!(rows, [Row(7)]);
        producer.join().expect("the producer does not panic");
    });
}

#[test]
fn a_consumer_that_goes_away_frees_a_producer_that_waits_for_room() {
    explore("lane, consumer gone", || {
        let bells = Doorbells::new(2);
        let (mut sender, mut receiver) = narrow_lane(&bells, PRODUCER, CONSUMER);
        let consumer = thread::spawn(move || {
            // Maybe a message, maybe none: then it hangs up.
            receiver.take();
        });
        (0..3).for_each(|time| sender.stage_data(Row(time)));
        flush_all(&mut sender, &bells, PRODUCER);
        assert_eq!(sender.sent_rows() + sender.discarded_rows(), 3);
        consumer.join().expect("the consumer does not panic");
    });
}

#[test]
fn no_watermark_overtakes_the_data_it_speaks_for() {
    explore("lane, watermark behind data", || {
        const CONSUMER: WorkerId = WorkerId(2);
        let bells = Doorbells::new(3);
        let mut receivers = Vec::new();
        let mut producers = Vec::new();
        for producer in (0..2).map(WorkerId) {
            let (mut sender, receiver) = narrow_lane(&bells, producer, CONSUMER);
            receivers.push(receiver);
            let bells = bells.clone();
            producers.push(thread::spawn(move || {
                sender.stage_data(Row(10));
                sender.stage_watermark(EventTimeMs(10));
                sender.flush();
                sender.stage_watermark(EventTimeMs::END);
                flush_all(&mut sender, &bells, producer);
            }));
        }
        let mut frontier = Frontier::new(2);
        let mut rows = 0;
        while frontier.get() < EventTimeMs::END {
            bells.bell(CONSUMER).take();
            let mut is_idle = true;
            for (index, receiver) in receivers.iter_mut().enumerate() {
                if frontier.has_ended(index) {
                    continue;
                }
                if let Taken::Message(message) = receiver.take() {
                    is_idle = false;
                    rows += usize::from(message.data.is_some());
                    if let Some(Mark::Watermark(watermark)) = message.mark {
                        frontier.raise(index, watermark);
                    }
                }
            }
            assert!(frontier.get() < EventTimeMs(10) || rows == 2, "at {:?} only {rows} rows had come", frontier.get());
            if is_idle {
                bells.bell(CONSUMER).wait(Duration::MAX);
            }
        }
        producers.into_iter().for_each(|thread| thread.join().expect("a producer does not panic"));
    });
}
