//! Event time of an aggregation: how far each of its sources has come, and what a worker may promise.
//!
//! The blocks of a source pass their carry in the order of input, each with the greatest watermark value so far. What was
//! published after block *k* holds for every row of a later block: such a row is either above it or late at its own
//! place. So whatever a worker still holds unfolded has not passed, and the published value is always a promise that it
//! can make.
//!
//! An aggregation may have several sources (UNION ALL). Its event time is the least of theirs, both for promises and for the
//! decision whether a row is late: a row is dropped only if its windows have closed, not because its own source is ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use thalweg_runtime::EventTimeMs;
use thalweg_runtime::exchange::doorbell::Doorbells;
use thalweg_runtime::progress::carry::OrderedCarry;

/// The sources whose rows meet in one aggregation.
#[derive(Debug)]
pub struct EventTime {
    published: Vec<AtomicI64>,
}

/// One source's place in the event time of its aggregation; shared by the workers that read it.
pub struct Chain {
    /// What is known of the blocks before, handed on in the order of input.
    pub carry: OrderedCarry<Passed>,
    event_time: Arc<EventTime>,
    source: usize,
    /// Workers that still read the source.
    readers: AtomicUsize,
    bells: Doorbells,
}

/// How far a source has come, block by block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Greatest watermark value.
    pub watermark: EventTimeMs,
    /// Greatest event time.
    pub time: EventTimeMs,
}

impl EventTime {
    /// Nothing is known yet of any of the `sources`.
    #[must_use]
    pub fn new(sources: usize) -> Arc<Self> {
        Arc::new(Self { published: (0..sources).map(|_| AtomicI64::new(EventTimeMs::MIN.0)).collect() })
    }

    /// The chain of source number `source`, read by `workers` workers.
    #[must_use]
    pub fn chain(self: &Arc<Self>, source: usize, workers: usize, bells: &Doorbells) -> Arc<Chain> {
        Arc::new(Chain {
            carry: OrderedCarry::new(Passed { watermark: EventTimeMs::MIN, time: EventTimeMs::MIN }, bells.clone()),
            event_time: Arc::clone(self),
            source,
            readers: AtomicUsize::new(workers),
            bells: bells.clone(),
        })
    }

    /// The least of what the sources have published.
    #[must_use]
    pub fn least(&self) -> EventTimeMs {
        self.least_but(usize::MAX)
    }

    fn least_but(&self, left_out: usize) -> EventTimeMs {
        let times = self.published.iter().enumerate().filter(|(source, _)| *source != left_out);
        // Acquire pairs with the Release in `publish`: whoever sees a watermark also sees that the blocks before it
        // have passed, so that it holds none of them unfolded.
        EventTimeMs(times.map(|(_, time)| time.load(Ordering::Acquire)).min().unwrap_or(EventTimeMs::END.0))
    }
}

impl Chain {
    /// What the sources may promise now.
    #[must_use]
    pub fn promise(&self) -> EventTimeMs {
        self.event_time.least()
    }

    /// The least watermark of the other sources: a row whose window is still open there is not late.
    #[must_use]
    pub fn others(&self) -> EventTimeMs {
        self.event_time.least_but(self.source)
    }

    /// The source's watermark has reached `watermark`.
    pub fn publish(&self, watermark: EventTimeMs) {
        // Release pairs with the Acquire in `least_but`.
        self.event_time.published[self.source].fetch_max(watermark.0, Ordering::Release);
    }

    /// One worker has read its last block; the last to say so ends the source, which then holds nobody back.
    pub fn end_reader(&self) {
        // AcqRel: the last reader publishes END after all that the others published.
        if self.readers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.publish(EventTimeMs::END);
            self.announce();
        }
    }

    /// Wakes all workers, also those that have nothing to read: windows may close.
    pub fn announce(&self) {
        self.bells.ring_all();
    }
}
