//! `read-write-lock`: snapshot under the read lock, fold apart, merge under the write lock.
//!
//! ```text
//!                       read lock ┌───────────┐
//!   1. clone a snapshot ◄─────────┤ all state │
//!        │                        └─────▲─────┘
//!        └─► published ◄── readers      │ write lock
//!   2. fold into a private shard ───────┘ 3. merge it
//! ```
//!
//! Producers clone at the same time and fold at the same time; only merging keeps others out, and a merge costs what the
//! batch has groups.
//!
//! **Where it hurts**: every batch clones all state, so it costs what the state is large; and each writer waits until all
//! those who clone are done.
//!
//! What is merged is what the batch alone amounts to. **Merging the updated snapshot instead counts twice:** fold the
//! batch into the snapshot, merge that into the state, and every row that the snapshot held already is added once
//! more. Writing it back in place of the state would lose what others merged since, as in
//! [`clone-swap`](super::clone_swap) without turns.
//!
//! The elected owner closes under the write lock, and publishes what is left if it took a window out.
//!
//! **Readers** get the last snapshot: the whole state as it was before the batch that took it. They touch no lock of the
//! state and wait for no writer, only for the exchange of one pointer. A version never goes back: of two snapshots that
//! are published in the wrong order, the newer one stays. A reader also asks for a newer one, which an owner makes in one
//! of its next steps if the state has changed; so what was merged last is seen even if no batch follows it.

use super::counted::{Apart, Counted};
use super::sharing::{Basis, Sharing};
use super::*;
use crate::sync::{RwLock, mutant, read, write};

/// The strategy.
pub(super) struct ReadWriteLock<A: Aggregation> {
    basis: Basis<A>,
    state: RwLock<State<A>>,
    latest: Published<Counted<A>>,
    bells: Doorbells,
}

struct State<A: Aggregation> {
    groups: Counted<A>,
    version: Version,
}

impl<A: Aggregation> ReadWriteLock<A> {
    pub fn new(spec: StateSpec<A>) -> Self {
        let basis = Basis::new(spec.aggregation, spec.meter);
        let groups = basis.empty();
        let latest = Published::new(groups.copy(&basis.aggregation));
        Self { basis, state: RwLock::new(State { groups, version: Version(0) }), latest, bells: spec.bells }
    }

    /// Publishes the state as it is; its bytes.
    fn snapshot(&self, cost: &mut Cost) -> usize {
        let Basis { aggregation, witness, meter, .. } = &self.basis;
        let state = meter.time(&mut cost.wait, || read(&self.state));
        let start = meter.now();
        let version = state.version;
        let clone = meter.time(&mut cost.clone, || state.groups.copy(aggregation));
        drop(state);
        cost.held.0 += meter.now().0 - start.0;
        let version = if mutant!(snapshot_counts_what_it_missed) { read(&self.state).version } else { version };
        let bytes = clone.bytes();
        self.latest.publish(version, Arc::new(clone));
        Witness::add(&witness.versions, 1);
        bytes
    }

    /// Changes the state under the write lock.
    fn change<R>(&self, cost: &mut Cost, change: impl FnOnce(&mut A::Shard, &mut Cost) -> R) -> R {
        let Basis { aggregation, meter, .. } = &self.basis;
        let mut state = meter.time(&mut cost.wait, || write(&self.state));
        let start = meter.now();
        let result = state.groups.change(aggregation, |shard| change(shard, cost));
        state.version.0 += 1;
        drop(state);
        cost.held.0 += meter.now().0 - start.0;
        result
    }
}

impl<A: Aggregation> Sharing<A> for ReadWriteLock<A> {
    const NAME: StrategyName = StrategyName::ReadWriteLock;
    type Private = Apart<A>;

    fn basis(&self) -> &Basis<A> {
        &self.basis
    }

    fn private(&self, _: WorkerId) -> Apart<A> {
        Apart::new(&self.basis)
    }

    fn process(&self, apart: &mut Apart<A>, batch: &A::Batch, cost: &mut Cost) -> Result<Folded, A::Error> {
        let Basis { aggregation, meter, .. } = &self.basis;
        self.basis.count_clone(self.snapshot(cost));
        let split = |aggregation: &A, shard: &mut A::Shard| aggregation.split(shard, Release::All, 1);
        let (folded, delta) = apart.fold(&self.basis, batch, cost, split)?;
        self.basis.count(cost, |witness| {
            Witness::add(&witness.locks, 2);
            Witness::add(&witness.merges_locked, delta.len() as u64);
        });
        self.change(cost, |shard, cost| {
            meter.time(&mut cost.merge, || {
                delta.into_iter().try_for_each(|(_, groups)| aggregation.merge(shard, groups))
            })
        })?;
        Ok(folded)
    }

    fn close(&self, frontier: EventTimeMs, cost: &mut Cost) -> Result<Vec<A::Closed>, A::Error> {
        let windows = self.change(cost, |shard, _| self.basis.aggregation.close(shard, frontier));
        // At the end for what was merged last: no owner is asked any more.
        if (!windows.is_empty() || frontier == EventTimeMs::END) && !mutant!(snapshot_keeps_what_is_closed) {
            self.snapshot(cost);
        }
        Ok(windows)
    }

    fn publish(&self) {
        if self.latest.take_request() && self.latest.version() < read(&self.state).version {
            self.snapshot(&mut Cost::default());
        }
    }

    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error> {
        let (version, groups) = self.read();
        Ok((version, self.basis.aggregation.lookup(groups.shard(), key)?))
    }

    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error> {
        let (version, groups) = self.read();
        Ok(vec![(version, self.basis.aggregation.scan(groups.shard())?)])
    }
}

impl<A: Aggregation> ReadWriteLock<A> {
    /// The last snapshot. Any owner makes the next one; the first worker's is woken for it.
    fn read(&self) -> (Version, Arc<Counted<A>>) {
        let latest = self.latest.read();
        self.bells.ring(WorkerId(0));
        latest
    }
}
