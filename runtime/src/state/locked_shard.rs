//! A shard that producers merge into, behind a lock of its own.

use super::counted::Counted;
use super::sharing::Basis;
use super::*;
use crate::Nanos;
use crate::sync::{Mutex, MutexGuard, lock, try_lock};

/// The shard and its lock. On cache lines of its own, so that whoever holds one lock is not slowed down by those who come
/// and go at the next.
#[repr(align(128))]
pub(super) struct LockedShard<A: Aggregation>(Mutex<State<A>>);

struct State<A: Aggregation> {
    groups: Counted<A>,
    version: Version,
}

impl<A: Aggregation> LockedShard<A> {
    pub fn new(basis: &Basis<A>) -> Self {
        Self(Mutex::new(State { groups: basis.empty(), version: Version(0) }))
    }

    /// Merges in one turn under the lock, after waiting for it.
    pub fn merge(
        &self,
        basis: &Basis<A>,
        partials: impl Iterator<Item = A::Partial>,
        cost: &mut Cost,
    ) -> Result<(), A::Error> {
        let state = basis.meter.time(&mut cost.wait, || lock(&self.0));
        Self::merge_into(state, basis, partials, cost)
    }

    /// Merges and empties `partials` if nobody holds the lock; otherwise leaves them as they are, and says so with `false`.
    pub fn try_merge(
        &self,
        basis: &Basis<A>,
        partials: &mut Vec<A::Partial>,
        cost: &mut Cost,
    ) -> Result<bool, A::Error> {
        match try_lock(&self.0) {
            Some(state) => Self::merge_into(state, basis, partials.drain(..), cost).map(|()| true),
            None => Ok(false),
        }
    }

    /// Takes the windows out that are over.
    pub fn close(&self, basis: &Basis<A>, frontier: EventTimeMs, cost: &mut Cost) -> Vec<A::Closed> {
        let state = basis.meter.time(&mut cost.wait, || lock(&self.0));
        let (closed, held) = Self::change(state, basis, |shard| basis.aggregation.close(shard, frontier));
        cost.held.0 += held.0;
        closed
    }

    /// Reads under the lock.
    pub fn read<R>(&self, read: impl FnOnce(&A::Shard) -> Result<R, A::Error>) -> Result<(Version, R), A::Error> {
        let state = lock(&self.0);
        Ok((state.version, read(state.groups.shard())?))
    }

    fn merge_into(
        state: MutexGuard<'_, State<A>>,
        basis: &Basis<A>,
        mut partials: impl Iterator<Item = A::Partial>,
        cost: &mut Cost,
    ) -> Result<(), A::Error> {
        let (result, held) = Self::change(state, basis, |shard| {
            partials.try_for_each(|partial| basis.aggregation.merge(shard, partial))
        });
        cost.merge.0 += held.0;
        cost.held.0 += held.0;
        result
    }

    /// Changes the shard, and says for how long the lock was held.
    fn change<R>(
        mut state: MutexGuard<'_, State<A>>,
        basis: &Basis<A>,
        change: impl FnOnce(&mut A::Shard) -> R,
    ) -> (R, Nanos) {
        let mut held = Nanos(0);
        let result = basis.meter.time(&mut held, || {
            let result = state.groups.change(&basis.aggregation, change);
            state.version.0 += 1;
            drop(state);
            result
        });
        (result, held)
    }
}
