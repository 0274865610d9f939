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

use super::counted::Apart;
use super::locked_shard::LockedShard;
use super::sharing::{Basis, Sharing};
use super::*;
use crate::exchange::key_group::{self, KEY_GROUPS};
use crate::sync::mutant;

/// Partitions for each worker: see above.
const PARTITIONS_PER_WORKER: usize = 4;

/// The strategy.
pub(super) struct LocalMergePartitioned<A: Aggregation> {
    basis: Basis<A>,
    /// A power of two of them, by key group.
    partitions: Box<[LockedShard<A>]>,
    workers: usize,
}

/// What a producer has for itself.
pub(super) struct Merger<A: Aggregation> {
    apart: Apart<A>,
    /// What a batch has for each partition. Empty between two batches; kept for its memory.
    parts: Box<[Vec<A::Partial>]>,
    /// The partition to start with.
    first: usize,
}

impl<A: Aggregation> LocalMergePartitioned<A> {
    pub fn new(spec: StateSpec<A>) -> Self {
        let basis = Basis::new(spec.aggregation, spec.meter);
        let partitions = (0..partitions(spec.workers)).map(|_| LockedShard::new(&basis)).collect();
        Self { basis, partitions, workers: spec.workers }
    }

    /// Merges all parts into their partitions: first what is free, then what has to be waited for.
    fn merge(&self, parts: &mut [Vec<A::Partial>], first: usize, cost: &mut Cost) -> Result<(), A::Error> {
        let Self { basis, partitions, .. } = self;
        let (mut locks, mut merges, mut awaited) = (0, 0, 0);
        let (before, after) = (0..first, first..partitions.len());
        for index in after.clone().chain(before.clone()) {
            let part = &mut parts[index];
            if !part.is_empty() {
                (locks, merges) = (locks + 1, merges + part.len() as u64);
                if !partitions[index].try_merge(basis, part, cost)? {
                    awaited += 1;
                }
            }
        }
        if awaited > 0 && !mutant!(partitioned_leaves_what_is_taken) {
            for index in after.chain(before) {
                let part = &mut parts[index];
                if !part.is_empty() {
                    partitions[index].merge(basis, part.drain(..), cost)?;
                }
            }
        }
        basis.count(cost, |witness| {
            Witness::add(&witness.locks, locks);
            Witness::add(&witness.locks_awaited, awaited);
            Witness::add(&witness.merges_locked, merges);
        });
        Ok(())
    }
}

impl<A: Aggregation> Sharing<A> for LocalMergePartitioned<A> {
    const NAME: StrategyName = StrategyName::LocalMergePartitioned;
    type Private = Merger<A>;

    fn basis(&self) -> &Basis<A> {
        &self.basis
    }

    fn private(&self, worker: WorkerId) -> Merger<A> {
        let Self { basis, partitions, workers } = self;
        let first = usize::from(worker.0) * partitions.len() / workers % partitions.len();
        Merger { apart: Apart::new(basis), parts: partitions.iter().map(|_| Vec::new()).collect(), first }
    }

    fn process(&self, merger: &mut Merger<A>, batch: &A::Batch, cost: &mut Cost) -> Result<Folded, A::Error> {
        let Merger { apart, parts, first } = merger;
        let split = |aggregation: &A, shard: &mut A::Shard| aggregation.split(shard, Release::All, parts.len());
        let (folded, partials) = apart.fold(&self.basis, batch, cost, split)?;
        partials.into_iter().for_each(|(part, partial)| parts[part].push(partial));
        self.merge(parts, *first, cost)?;
        Ok(folded)
    }

    fn close(&self, frontier: EventTimeMs, cost: &mut Cost) -> Result<Vec<A::Closed>, A::Error> {
        let mut windows = Vec::new();
        for partition in &self.partitions {
            windows.extend(partition.close(&self.basis, frontier, cost));
        }
        windows.sort_by_key(|window| self.basis.aggregation.end(window));
        Ok(windows)
    }

    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error> {
        let aggregation = &self.basis.aggregation;
        let partition = key_group::owner(aggregation.hash(key), self.partitions.len());
        self.partitions[usize::from(partition.0)].read(|shard| aggregation.lookup(shard, key))
    }

    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error> {
        self.partitions.iter().map(|partition| partition.read(|shard| self.basis.aggregation.scan(shard))).collect()
    }
}

/// Partitions for this many workers.
fn partitions(workers: usize) -> usize {
    workers.saturating_mul(PARTITIONS_PER_WORKER).clamp(1, KEY_GROUPS).next_power_of_two()
}
