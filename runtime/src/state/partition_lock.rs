//! `partition-lock`: a lock for each key.
//!
//! ```text
//!   producer 0: fold apart ──► key a ──┐ lock ┌────────┐
//!                          └─► key b ──┼─────►│ cell a │──┐
//!   producer 1: fold apart ──► key b ──┤ lock ├────────┤  ├──► the elected owner goes over all cells, one lock each
//!                          └─► key c ──┼─────►│ cell b │──┤
//!                                      └─────►│ cell c │──┘
//!                                             └────────┘
//! ```
//!
//! A batch is folded into a private shard, which is then taken apart into one piece for each key and window. For each key
//! the producer finds the cell in the [directory](Directory), takes that key's lock, and merges what belongs
//! to it. Two producers meet only where they have the same key at the same moment.
//!
//! **Where it hurts**: a batch costs a look-up, a lock and an allocation for each of its keys, so that few rows per key are
//! what it is worst at; hot keys are queued for as under one lock; and closing takes every key's lock once more.
//!
//! The elected owner goes over all cells, but only if some window is over: producers and the last closing leave word of
//! the earliest one. It gathers what is over in one shard and closes that, so that a window comes out whole and not key
//! by key. A cell that is left without groups is dropped: keys that come and go take no memory.
//!
//! **Readers** take the lock of one key at a time. What is seen of a key is whole and up to date; a batch may be seen in
//! some keys before it is in others, and so may the closing of a window. The version counts the batches that are merged to
//! the end: whoever reads it sees all of these, and perhaps a part of the next ones.

use super::counted::{Apart, Counted};
use super::directory::{Directory, Keep};
use super::sharing::{Basis, Sharing};
use super::*;
use crate::sync::{AtomicI64, AtomicU64, Ordering, mutant};

/// The strategy.
pub(super) struct PartitionLock<A: Aggregation> {
    basis: Basis<A>,
    cells: Directory<Counted<A>>,
    /// What has been closed: where a new cell begins.
    closed: AtomicI64,
    /// No cell holds a window that is closed before this, but for batches that are being merged. While an owner goes over the
    /// cells, which one does at a time, it is not known.
    next_close: AtomicI64,
    /// Batches that are merged to the end, and frontiers that are closed.
    version: AtomicU64,
}

impl<A: Aggregation> PartitionLock<A> {
    pub fn new(spec: StateSpec<A>) -> Self {
        let basis = Basis::new(spec.aggregation, spec.meter);
        let cells = Directory::new(&basis.bytes);
        let [closed, next_close] = [EventTimeMs::MIN, EventTimeMs::END].map(|time| AtomicI64::new(time.0));
        Self { basis, cells, closed, next_close, version: AtomicU64::new(0) }
    }

    /// Merges the groups of one key under its lock.
    fn merge(&self, hash: u64, groups: impl Iterator<Item = A::Partial>, cost: &mut Cost) -> Result<(), A::Error> {
        let Basis { aggregation, meter, .. } = &self.basis;
        let start = meter.now();
        let cell = || {
            let mut cell = self.basis.empty();
            // Relaxed: groups of closed windows do not come, see the contract. A cell that does not know how far it is closed
            // would only fail to notice if they did.
            let closed = EventTimeMs(self.closed.load(Ordering::Relaxed));
            cell.change(aggregation, |shard| aggregation.close(shard, closed));
            cell
        };
        let mut groups = groups;
        self.cells.with(hash, cell, |cell| {
            let locked = meter.now();
            let merged =
                cell.change(aggregation, |shard| groups.try_for_each(|groups| aggregation.merge(shard, groups)));
            let time = meter.now().0 - locked.0;
            cost.wait.0 += locked.0 - start.0;
            cost.merge.0 += time;
            cost.held.0 += time;
            merged
        })
    }

    /// A cell holds a window that is closed at `next`, if any.
    fn expect_close(&self, next: Option<EventTimeMs>) {
        // Called behind the merge. Relaxed: an owner that came to the cell before the merge has set `next_close` back
        // before that, and the cell's lock makes this seen here; one that comes later finds the window itself.
        if let Some(EventTimeMs(next)) = next
            && next < self.next_close.load(Ordering::Relaxed)
        {
            self.next_close.fetch_min(next, Ordering::Relaxed);
        }
    }

    /// Takes what is over at `frontier` out of a cell: groups of one window go to `over`; those that are in several windows
    /// come out by themselves, since some of them stay in the cell.
    fn gather(
        &self,
        cell: &mut Counted<A>,
        frontier: EventTimeMs,
        over: &mut Counted<A>,
        windows: &mut Vec<A::Closed>,
    ) -> Result<Keep, A::Error> {
        let Basis { aggregation, .. } = &self.basis;
        let is_over = aggregation.next_close(cell.shard()).is_some_and(|next| next <= frontier);
        if is_over && !aggregation.has_overlaps() {
            let groups = cell.change(aggregation, |shard| aggregation.split(shard, Release::ClosedBy(frontier), 1));
            over.change(aggregation, |shard| {
                groups.into_iter().try_for_each(|(_, groups)| aggregation.merge(shard, groups))
            })?;
        }
        windows.extend(cell.change(aggregation, |shard| aggregation.close(shard, frontier)));
        self.expect_close(aggregation.next_close(cell.shard()));
        Ok(if aggregation.groups(cell.shard()) == 0 { Keep::No } else { Keep::Yes })
    }

    /// The version, to be taken before the groups are read.
    fn version(&self) -> Version {
        // Relaxed: whoever reads a number sees what was merged before it was counted, because a cell's lock that is taken
        // after the number was read cannot have come before the merge that the number counts.
        Version(self.version.load(Ordering::Relaxed))
    }

    fn count_version(&self) {
        // Relaxed: see `version`.
        self.version.fetch_add(1, Ordering::Relaxed);
    }
}

impl<A: Aggregation> Sharing<A> for PartitionLock<A> {
    const NAME: StrategyName = StrategyName::PartitionLock;
    type Private = Apart<A>;

    fn basis(&self) -> &Basis<A> {
        &self.basis
    }

    fn private(&self, _: WorkerId) -> Apart<A> {
        Apart::new(&self.basis)
    }

    fn process(&self, apart: &mut Apart<A>, batch: &A::Batch, cost: &mut Cost) -> Result<Folded, A::Error> {
        let mut next_close = None;
        let (folded, mut groups) = apart.fold(&self.basis, batch, cost, |aggregation, shard| {
            next_close = aggregation.next_close(shard);
            let mut groups = aggregation.split_keys(shard);
            // The windows of a key side by side: one lock for all of them.
            groups.sort_by_key(|(hash, _)| *hash);
            groups
        })?;
        let merges = groups.len() as u64;
        let mut keys = 0;
        let mut groups = groups.drain(..).peekable();
        while let Some((hash, first)) = groups.next() {
            let rest = std::iter::from_fn(|| groups.next_if(|(other, _)| *other == hash));
            self.merge(hash, std::iter::once(first).chain(rest.map(|(_, groups)| groups)), cost)?;
            keys += 1;
        }
        if !mutant!(partition_expects_nothing) {
            self.expect_close(next_close);
        }
        self.count_version();
        self.basis.count(cost, |witness| {
            Witness::add(&witness.locks, keys);
            Witness::add(&witness.key_locks, keys);
            Witness::add(&witness.merges_locked, merges);
        });
        Ok(folded)
    }

    fn close(&self, frontier: EventTimeMs, _: &mut Cost) -> Result<Vec<A::Closed>, A::Error> {
        let Basis { aggregation, .. } = &self.basis;
        // Relaxed: see where a cell is made.
        self.closed.fetch_max(frontier.0, Ordering::Relaxed);
        // Relaxed: what producers expected before they promised `frontier` has come behind the promise.
        if frontier.0 < self.next_close.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        // The cells say it anew, and producers that are ahead of us there.
        if !mutant!(partition_forgets_late) {
            self.next_close.store(EventTimeMs::END.0, Ordering::Relaxed);
        }
        let mut over = self.basis.empty();
        let mut windows = Vec::new();
        self.cells.sweep(|cell| self.gather(cell, frontier, &mut over, &mut windows))?;
        if mutant!(partition_forgets_late) {
            self.next_close.store(EventTimeMs::END.0, Ordering::Relaxed);
        }
        self.count_version();
        windows.extend(over.change(aggregation, |shard| aggregation.close(shard, frontier)));
        windows.sort_by_key(|window| aggregation.end(window));
        Ok(windows)
    }

    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error> {
        let Basis { aggregation, .. } = &self.basis;
        let version = self.version();
        let found = self.cells.look(aggregation.hash(key), |cell| aggregation.lookup(cell.shard(), key));
        Ok((version, found.unwrap_or_else(|| aggregation.lookup(&aggregation.shard(), key))?))
    }

    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error> {
        let Basis { aggregation, .. } = &self.basis;
        let version = self.version();
        let mut all = aggregation.shard();
        self.cells.look_at_all(|cell| {
            let mut copy = cell.shard().clone();
            let groups = aggregation.split(&mut copy, Release::All, 1);
            groups.into_iter().try_for_each(|(_, groups)| aggregation.merge(&mut all, groups))
        })?;
        Ok(vec![(version, aggregation.scan(&all)?)])
    }
}
