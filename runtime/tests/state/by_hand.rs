//! Producers and owners without a job around them: what one call does can be told apart.

use crate::aggregation::{Batch, Output, Row, Toy};
use std::sync::Arc;
use thalweg_runtime::state::*;
use thalweg_runtime::{Doorbells, EventTimeMs, WorkerId};

/// One producer and one owner on each worker; windows of 10 ms.
pub struct ByHand {
    pub strategy: Arc<dyn Strategy<Toy>>,
    pub producers: Vec<Box<dyn Producer<Toy>>>,
    pub owners: Vec<Box<dyn Owner<Toy>>>,
    /// What receiving has cost.
    pub received: Cost,
    next_ordinal: u64,
}

impl ByHand {
    pub fn new(name: StrategyName, workers: usize, meter: Meter) -> Self {
        let aggregation = Arc::new(Toy { window: 10, closes_at_end: false });
        let strategy = strategy(name, StateSpec { aggregation, workers, bells: Doorbells::new(workers), meter });
        let ids = || (0..workers as u16).map(WorkerId);
        let producers = ids().map(|worker| strategy.producer(worker)).collect();
        let owners = ids().map(|worker| strategy.owner(worker)).collect();
        Self { strategy, producers, owners, received: Cost::default(), next_ordinal: 0 }
    }

    /// A producer takes in a batch of (key, time), no row of which is late; what it sends is received at once.
    pub fn process(&mut self, producer: usize, rows: &[(u64, i64)]) -> Processed {
        let row = |(index, &(key, time)): (usize, &(u64, i64))| {
            let ordinal = self.next_ordinal + index as u64;
            Row { ordinal, key, time, value: 1, stamp: i64::MIN }
        };
        let batch = Batch { rows: rows.iter().enumerate().map(row).collect(), is_view: true };
        self.next_ordinal += rows.len() as u64;
        let mut sends = Vec::new();
        let processed = self.producers[producer].process(&batch, &mut sends).expect("no window is closed");
        self.deliver(sends);
        processed
    }

    /// All producers let go of what `frontier` closes; then the owners close, one after the other.
    pub fn close(&mut self, frontier: i64) -> Vec<(Vec<Output>, bool)> {
        let frontier = EventTimeMs(frontier);
        let mut sends = Vec::new();
        for producer in &mut self.producers {
            producer.release(Release::ClosedBy(frontier), &mut sends).expect("no window is closed");
        }
        self.deliver(sends);
        let close = |owner: &mut Box<dyn Owner<Toy>>| {
            let closing = owner.close(frontier).expect("nothing to merge");
            (closing.windows.into_iter().flatten().collect(), closing.is_elected)
        };
        self.owners.iter_mut().map(close).collect()
    }

    /// All groups, as a reader sees them, in order.
    pub fn scan(&self) -> Vec<Output> {
        let pieces = self.strategy.reader().scan().expect("the toy can be read");
        let mut groups: Vec<Output> = pieces.into_iter().flat_map(|(_, rows)| rows).collect();
        groups.sort_by_key(|output| (output.window, output.key));
        groups
    }

    /// What all ends answer for together.
    pub fn bytes(&self) -> usize {
        let producers: usize = self.producers.iter().map(|producer| producer.bytes()).sum();
        producers + self.owners.iter().map(|owner| owner.bytes()).sum::<usize>()
    }

    /// Each message reaches its owner.
    pub fn deliver(&mut self, sends: Sends<Toy>) {
        for (to, message) in sends {
            let received = self.owners[usize::from(to.0)].receive(message).expect("no window is closed");
            self.received += received.cost;
        }
    }
}
