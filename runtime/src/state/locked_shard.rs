//! A shard that producers merge into, behind a lock of its own.

use super::*;
use crate::Nanos;
use crate::sync::{Mutex, MutexGuard, lock, try_lock};

/// What the producers and owners of one shared state have in common, whatever it is divided into.
pub(super) struct Sharing<A: Aggregation> {
    pub(super) aggregation: Arc<A>,
    pub(super) frontier: SharedFrontier,
    pub(super) bytes: SharedBytes,
    pub(super) witness: Witness,
    pub(super) meter: Meter,
}

impl<A: Aggregation> Sharing<A> {
    pub(super) fn new(spec: StateSpec<A>) -> Self {
        let StateSpec { aggregation, meter, .. } = spec;
        let (frontier, bytes, witness) = (SharedFrontier::default(), SharedBytes::default(), Witness::default());
        Self { aggregation, frontier, bytes, witness, meter }
    }

    /// Stands for election at `frontier`; whoever wins takes the windows out with `close`.
    pub(super) fn close(&self, frontier: EventTimeMs, close: impl FnOnce(&mut Cost) -> Vec<A::Closed>) -> Closing<A> {
        let mut cost = Cost::default();
        if !self.frontier.claim(frontier) {
            return Closing { windows: Vec::new(), is_elected: false, cost };
        }
        Witness::add(&self.witness.elections, 1);
        Closing { windows: close(&mut cost), is_elected: true, cost }
    }
}

/// The shard and its lock. On cache lines of its own, so that whoever holds one lock is not slowed down by those who come
/// and go at the next.
#[repr(align(128))]
pub(super) struct LockedShard<A: Aggregation>(Mutex<State<A>>);

struct State<A: Aggregation> {
    shard: A::Shard,
    version: Version,
}

impl<A: Aggregation> LockedShard<A> {
    pub(super) fn new(sharing: &Sharing<A>) -> Self {
        let shard = sharing.aggregation.shard();
        sharing.bytes.change(0, sharing.aggregation.bytes(&shard));
        Self(Mutex::new(State { shard, version: Version(0) }))
    }

    /// Merges, in one turn under the lock, after waiting for it.
    pub(super) fn merge(
        &self,
        sharing: &Sharing<A>,
        partials: impl Iterator<Item = A::Partial>,
        cost: &mut Cost,
    ) -> Result<(), A::Error> {
        let state = sharing.meter.time(&mut cost.wait, || lock(&self.0));
        Self::merge_into(state, sharing, partials, cost)
    }

    /// Merges and empties `partials` if nobody holds the lock; otherwise leaves them as they are, and says so with `false`.
    pub(super) fn try_merge(
        &self,
        sharing: &Sharing<A>,
        partials: &mut Vec<A::Partial>,
        cost: &mut Cost,
    ) -> Result<bool, A::Error> {
        match try_lock(&self.0) {
            Some(state) => Self::merge_into(state, sharing, partials.drain(..), cost).map(|()| true),
            None => Ok(false),
        }
    }

    fn merge_into(
        mut state: MutexGuard<'_, State<A>>,
        sharing: &Sharing<A>,
        mut partials: impl Iterator<Item = A::Partial>,
        cost: &mut Cost,
    ) -> Result<(), A::Error> {
        let (result, spent) = Self::change(&mut state, sharing, |aggregation, shard| {
            partials.try_for_each(|partial| aggregation.merge(shard, partial))
        });
        drop(state);
        cost.merge.0 += spent.0;
        cost.held.0 += spent.0;
        result
    }

    /// Takes the windows out that are over.
    pub(super) fn close(&self, sharing: &Sharing<A>, frontier: EventTimeMs, cost: &mut Cost) -> Vec<A::Closed> {
        let mut state = sharing.meter.time(&mut cost.wait, || lock(&self.0));
        let (closed, spent) =
            Self::change(&mut state, sharing, |aggregation, shard| aggregation.close(shard, frontier));
        drop(state);
        cost.held.0 += spent.0;
        closed
    }

    /// Reads under the lock.
    pub(super) fn read<R>(
        &self,
        read: impl FnOnce(&A::Shard) -> Result<R, A::Error>,
    ) -> Result<(Version, R), A::Error> {
        let state = lock(&self.0);
        Ok((state.version, read(&state.shard)?))
    }

    /// Changes the shard and keeps count of its size and versions. Says how long it took.
    fn change<R>(
        state: &mut State<A>,
        sharing: &Sharing<A>,
        change: impl FnOnce(&A, &mut A::Shard) -> R,
    ) -> (R, Nanos) {
        let Sharing { aggregation, bytes, meter, .. } = sharing;
        let mut spent = Nanos(0);
        let result = meter.time(&mut spent, || {
            let was = aggregation.bytes(&state.shard);
            let result = change(aggregation, &mut state.shard);
            bytes.change(was, aggregation.bytes(&state.shard));
            state.version.0 += 1;
            result
        });
        (result, spent)
    }
}
