//! `local-merge-partitioned`: as `local-merge`, into a state that is divided by key group, with a lock for each part.
//!
//! ```text
//!                                         lock ┌─────────────┐
//!   producer 0: fold ─► private tables ─┬─────►│ partition 0 │─┐
//!                                       │ lock ├─────────────┤ ├─► the elected owner closes, one lock after another
//!   producer 1: fold ─► private tables ─┴─────►│ partition 1 │─┘
//!                       split by key group     └─────────────┘
//! ```
//!
//! A batch is folded without a lock into tables that only its producer knows, and the groups that it came to are divided
//! by partition; each part is merged in one turn under its partition's lock. Producers start at places of their own,
//! spread over the partitions, so that they do not follow each other through the locks, and first go round taking what is
//! free ([`try_lock`](crate::sync::try_lock)); only for what is left they wait. Then the private tables are empty again,
//! so nothing is held back from a promise. Windows that close leave in the order of their ends, a window's pieces one
//! after the other.
//!
//! **How many partitions**: [`PARTITIONS_PER_WORKER`] for each worker, rounded up to a power of two (each is then the same
//! number of key groups). With *w* workers, the others hold at most *w* − 1 locks at any moment, so at least three quarters
//! of the partitions are free and a producer has something to do without waiting until it comes to its last ones. When
//! it waits, it waits for a merge of one partition's part of a batch. More partitions would make that rarer still, but
//! each is a piece to be split off and a lock to be taken by every batch.
//!
//! **Readers** take the same locks: a lookup sees its partition after some number of whole merges, up to date; a scan
//! goes from partition to partition, and what it reads of two of them may be from different moments: a batch may be seen
//! in one and not in the other. A reader waits for one merge at most, and keeps one partition's producers waiting.
//!
//! **Where it hurts**: every batch touches nearly all partitions, however few groups each of them gets; and every group is
//! looked up twice.

use super::bytes::Share;
use super::locked_shard::{LockedShard, Sharing};
use super::private_tables::PrivateTables;
use super::*;
use crate::exchange::key_group::{self, KEY_GROUPS};

/// Partitions for each worker: see above.
const PARTITIONS_PER_WORKER: usize = 4;

/// The strategy.
pub(super) struct LocalMergePartitioned<A: Aggregation>(Arc<Inner<A>>);

struct Inner<A: Aggregation> {
    sharing: Sharing<A>,
    /// A power of two of them, by key group.
    partitions: Box<[LockedShard<A>]>,
    workers: usize,
}

impl<A: Aggregation> LocalMergePartitioned<A> {
    pub(super) fn new(spec: StateSpec<A>) -> Self {
        let workers = spec.workers;
        let sharing = Sharing::new(spec);
        let partitions = (0..partitions(workers)).map(|_| LockedShard::new(&sharing)).collect();
        Self(Arc::new(Inner { sharing, partitions, workers }))
    }
}

/// Partitions for this many workers.
fn partitions(workers: usize) -> usize {
    workers.saturating_mul(PARTITIONS_PER_WORKER).clamp(1, KEY_GROUPS).next_power_of_two()
}

impl<A: Aggregation> Strategy<A> for LocalMergePartitioned<A> {
    fn name(&self) -> StrategyName {
        StrategyName::LocalMergePartitioned
    }

    fn producer(&self, worker: WorkerId) -> Box<dyn Producer<A>> {
        let Inner { sharing, partitions, workers } = &*self.0;
        let first = usize::from(worker.0) * partitions.len() / workers % partitions.len();
        let (private, share) = (PrivateTables::new(&sharing.aggregation, sharing.meter), sharing.bytes.share());
        let parts = partitions.iter().map(|_| Vec::new()).collect();
        Box::new(Merger { inner: Arc::clone(&self.0), private, parts, first, share })
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
    /// What a batch has for each partition. Empty between two batches; kept for its memory.
    parts: Box<[Vec<A::Partial>]>,
    /// The partition to start with.
    first: usize,
    share: Share,
}

impl<A: Aggregation> Producer<A> for Merger<A> {
    fn process(&mut self, batch: &A::Batch, _: &mut Sends<A>) -> Result<Processed, A::Error> {
        let mut cost = Cost::default();
        let folded = self.private.fold(batch, &mut cost)?;
        for (part, partial) in self.private.split(Release::All, self.parts.len(), &mut cost) {
            self.parts[part].push(partial);
        }
        Witness::add(&self.inner.sharing.witness.batches, 1);
        self.merge(&mut cost)?;
        Ok(Processed { folded, passed: 0, cost })
    }

    fn release(&mut self, _: Release, _: &mut Sends<A>) -> Result<Cost, A::Error> {
        Ok(Cost::default())
    }

    fn bytes(&self) -> usize {
        self.private.bytes() + self.share.report()
    }
}

impl<A: Aggregation> Merger<A> {
    /// Merges all parts into their partitions: first what is free, then what has to be waited for.
    fn merge(&mut self, cost: &mut Cost) -> Result<(), A::Error> {
        let Self { inner, parts, first, .. } = self;
        let Inner { sharing, partitions, .. } = &**inner;
        let (mut locks, mut merges, mut awaited) = (0, 0, 0);
        let (before, after) = (0..*first, *first..partitions.len());
        for index in after.clone().chain(before.clone()) {
            let part = &mut parts[index];
            if !part.is_empty() {
                (locks, merges) = (locks + 1, merges + part.len() as u64);
                if !partitions[index].try_merge(sharing, part, cost)? {
                    awaited += 1;
                }
            }
        }
        if awaited > 0 {
            for index in after.chain(before) {
                let part = &mut parts[index];
                if !part.is_empty() {
                    partitions[index].merge(sharing, part.drain(..), cost)?;
                }
            }
            Witness::add(&sharing.witness.locks_awaited, awaited);
        }
        Witness::add(&sharing.witness.locks, locks);
        Witness::add(&sharing.witness.merges_locked, merges);
        Ok(())
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
        let Inner { sharing, partitions, .. } = &*self.inner;
        Ok(sharing.close(frontier, |cost| {
            let mut windows = Vec::new();
            for partition in partitions {
                windows.extend(partition.close(sharing, frontier, cost));
            }
            windows.sort_by_key(|window| sharing.aggregation.end(window));
            windows
        }))
    }

    fn publish(&mut self) {}

    fn bytes(&self) -> usize {
        self.share.report()
    }
}

impl<A: Aggregation> Reader<A> for Inner<A> {
    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error> {
        let aggregation = &self.sharing.aggregation;
        let partition = key_group::owner(aggregation.hash(key), self.partitions.len());
        self.partitions[usize::from(partition.0)].read(|shard| aggregation.lookup(shard, key))
    }

    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error> {
        self.partitions.iter().map(|partition| partition.read(|shard| self.sharing.aggregation.scan(shard))).collect()
    }
}
