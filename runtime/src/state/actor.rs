//! `actor`: all state has one owner, to which every batch is sent as it is.
//!
//! ```text
//!   producer 0 ──┐ rows  ┌──────────────────────┐
//!   producer 1 ──┼──────►│ worker 0: all state  │──► worker 0 closes
//!   producer 2 ──┘ lanes └──────────────────────┘
//! ```
//!
//! A batch is made fit to travel, which copies what views into input blocks there are, and goes to worker 0 in one
//! message. Its owner folds it straight into the state: no lock, no partials, no merge. How many rows were late is known
//! there only, and told by [`Received::folded`]; the producer tells how many it passed on. The other workers own nothing
//! and emit nothing.
//!
//! **Readers** get a version of the whole state that the owner makes between two batches when somebody asked, in its next
//! step; see [`owned-shards`](super::owned_shards), whose contract this is with one shard.
//!
//! **Where it hurts**: all rows travel, and one worker folds them all, however many there are.

use super::owned::{Owned, ShardOwner};
use super::*;

/// The worker that owns all.
const OWNER: WorkerId = WorkerId(0);

/// The strategy.
pub(super) struct Actor<A: Aggregation>(Arc<Owned<A>>);

impl<A: Aggregation> Actor<A> {
    pub(super) fn new(spec: StateSpec<A>) -> Self {
        Self(Arc::new(Owned::new(spec, 1)))
    }
}

impl<A: Aggregation> Strategy<A> for Actor<A> {
    fn name(&self) -> StrategyName {
        StrategyName::Actor
    }

    fn producer(&self, worker: WorkerId) -> Box<dyn Producer<A>> {
        Box::new(Sender { owned: Arc::clone(&self.0), is_local: worker == OWNER })
    }

    fn owner(&self, worker: WorkerId) -> Box<dyn Owner<A>> {
        if worker == OWNER { Box::new(ShardOwner::new(&self.0, worker)) } else { Box::new(Bystander) }
    }

    fn reader(&self) -> Arc<dyn Reader<A>> {
        Arc::clone(&self.0) as Arc<dyn Reader<A>>
    }

    fn witness(&self) -> WitnessCounts {
        self.0.witness.counts()
    }
}

struct Sender<A: Aggregation> {
    owned: Arc<Owned<A>>,
    /// On the worker of the owner.
    is_local: bool,
}

impl<A: Aggregation> Producer<A> for Sender<A> {
    fn process(&mut self, batch: &A::Batch, sends: &mut Sends<A>) -> Result<Processed, A::Error> {
        let Owned { aggregation, witness, meter, .. } = &*self.owned;
        let mut cost = Cost::default();
        meter.time(&mut cost.channel, || -> Result<(), A::Error> {
            sends.push((OWNER, Message::Rows(aggregation.own(batch)?)));
            Ok(())
        })?;
        let passed = aggregation.rows(batch);
        meter.time(&mut cost.metrics, || {
            Witness::add(&witness.batches, 1);
            Witness::add(&witness.messages, 1);
            Witness::add(&witness.lane_messages, u64::from(!self.is_local));
            Witness::add(&witness.rows_sent, passed);
        });
        Ok(Processed { folded: Folded::default(), passed, cost })
    }

    fn release(&mut self, _: Release, _: &mut Sends<A>) -> Result<Cost, A::Error> {
        Ok(Cost::default())
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// A worker that owns nothing.
struct Bystander;

impl<A: Aggregation> Owner<A> for Bystander {
    fn receive(&mut self, _: Message<A>) -> Result<Received, A::Error> {
        unreachable!("the producers of this strategy send to worker {} only", OWNER.0)
    }

    fn close(&mut self, _: EventTimeMs) -> Result<Closing<A>, A::Error> {
        Ok(Closing { windows: Vec::new(), is_elected: false, cost: Cost::default() })
    }

    fn publish(&mut self) {}

    fn bytes(&self) -> usize {
        0
    }
}
