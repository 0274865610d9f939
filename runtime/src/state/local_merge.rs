//! `local-merge`: fold apart, then merge each batch into one shared state under one short lock.
//!
//! ```text
//!   producer 0: fold ─► private tables ──┐ lock  ┌───────────┐
//!   producer 1: fold ─► private tables ──┼──────►│ all state │──► the elected owner closes, under the same lock
//!   producer 2: fold ─► private tables ──┘ merge └───────────┘
//! ```
//!
//! A batch is folded without a lock into tables that only its producer knows; the groups that it came to, which are fewer
//! than its rows, are merged in one turn under the lock. Then the private tables are empty again, so nothing is held back
//! from a promise. A batch of late rows alone takes no lock.
//!
//! **Readers** take the same lock: they see the state after some number of whole batches, up to date, and wait for one
//! merge at most, as a merge waits for them. A lookup is short; a scan keeps all producers waiting until all groups are
//! copied.
//!
//! **Where it hurts**: every group is looked up twice, once in the private tables and once in the state; and with many
//! producers, or batches of nearly as many groups as rows, the one lock is where all of them meet.

use super::bytes::Share;
use super::locked_shard::{LockedShard, Sharing};
use super::private_tables::PrivateTables;
use super::*;

/// The strategy.
pub(super) struct LocalMerge<A: Aggregation>(Arc<Inner<A>>);

struct Inner<A: Aggregation> {
    sharing: Sharing<A>,
    shard: LockedShard<A>,
}

impl<A: Aggregation> LocalMerge<A> {
    pub(super) fn new(spec: StateSpec<A>) -> Self {
        let sharing = Sharing::new(spec);
        Self(Arc::new(Inner { shard: LockedShard::new(&sharing), sharing }))
    }
}

impl<A: Aggregation> Strategy<A> for LocalMerge<A> {
    fn name(&self) -> StrategyName {
        StrategyName::LocalMerge
    }

    fn producer(&self, _: WorkerId) -> Box<dyn Producer<A>> {
        let Sharing { aggregation, bytes, meter, .. } = &self.0.sharing;
        let (private, share) = (PrivateTables::new(aggregation, *meter), bytes.share());
        Box::new(Merger { inner: Arc::clone(&self.0), private, share })
    }

    fn owner(&self, _: WorkerId) -> Box<dyn Owner<A>> {
        Box::new(Closer { inner: Arc::clone(&self.0), share: self.0.sharing.bytes.share() })
    }

    fn reader(&self) -> Arc<dyn Reader<A>> {
        Arc::clone(&self.0) as Arc<dyn Reader<A>>
    }

    fn witness(&self) -> WitnessCounts {
        self.0.sharing.witness.counts()
    }
}

struct Merger<A: Aggregation> {
    inner: Arc<Inner<A>>,
    private: PrivateTables<A>,
    share: Share,
}

impl<A: Aggregation> Producer<A> for Merger<A> {
    fn process(&mut self, batch: &A::Batch, _: &mut Sends<A>) -> Result<Processed, A::Error> {
        let Inner { sharing, shard } = &*self.inner;
        let mut cost = Cost::default();
        let folded = self.private.fold(batch, &mut cost)?;
        let partials = self.private.split(Release::All, 1, &mut cost);
        let witness = &sharing.witness;
        Witness::add(&witness.batches, 1);
        if !partials.is_empty() {
            Witness::add(&witness.locks, 1);
            Witness::add(&witness.merges_locked, partials.len() as u64);
            shard.merge(sharing, partials.into_iter().map(|(_, partial)| partial), &mut cost)?;
        }
        Ok(Processed { folded, passed: 0, cost })
    }

    fn release(&mut self, _: Release, _: &mut Sends<A>) -> Result<Cost, A::Error> {
        Ok(Cost::default())
    }

    fn bytes(&self) -> usize {
        self.private.bytes() + self.share.report()
    }
}

struct Closer<A: Aggregation> {
    inner: Arc<Inner<A>>,
    share: Share,
}

impl<A: Aggregation> Owner<A> for Closer<A> {
    fn receive(&mut self, _: Message<A>) -> Result<Received, A::Error> {
        unreachable!("the producers of this strategy send nothing")
    }

    fn close(&mut self, frontier: EventTimeMs) -> Result<Closing<A>, A::Error> {
        let Inner { sharing, shard } = &*self.inner;
        Ok(sharing.close(frontier, |cost| shard.close(sharing, frontier, cost)))
    }

    fn publish(&mut self) {}

    fn bytes(&self) -> usize {
        self.share.report()
    }
}

impl<A: Aggregation> Reader<A> for Inner<A> {
    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error> {
        self.shard.read(|shard| self.sharing.aggregation.lookup(shard, key))
    }

    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error> {
        Ok(vec![self.shard.read(|shard| self.sharing.aggregation.scan(shard))?])
    }
}
