//! `hold-lock`: one lock around all state, held for the whole batch.
//!
//! ```text
//!   producer 0 ──┐  lock ┌───────────┐
//!   producer 1 ──┼──────►│ all state │──► the elected owner closes, under the same lock
//!   producer 2 ──┘       └───────────┘
//! ```
//!
//! A batch is folded straight into the state: nothing is copied and nothing is merged.
//!
//! **Where it hurts**: producers queue, so the state is changed by one core at a time, however many there are.
//!
//! **Readers** take the same lock: they see the state between two batches, whole and up to date, and wait for the batch in
//! progress, as a batch waits for them.

use super::counted::Counted;
use super::sharing::{Basis, Sharing};
use super::*;
use crate::sync::{Mutex, lock};

/// The strategy.
pub(super) struct HoldLock<A: Aggregation> {
    basis: Basis<A>,
    state: Mutex<State<A>>,
}

struct State<A: Aggregation> {
    groups: Counted<A>,
    version: Version,
}

impl<A: Aggregation> HoldLock<A> {
    pub fn new(spec: StateSpec<A>) -> Self {
        let basis = Basis::new(spec.aggregation, spec.meter);
        let state = Mutex::new(State { groups: basis.empty(), version: Version(0) });
        Self { basis, state }
    }

    /// Changes the state under the lock, and keeps count of its size, its versions and the time.
    fn change<R>(&self, cost: &mut Cost, change: impl FnOnce(&mut A::Shard, &mut Cost) -> R) -> R {
        let Basis { aggregation, meter, .. } = &self.basis;
        let mut state = meter.time(&mut cost.wait, || lock(&self.state));
        let start = meter.now();
        let result = state.groups.change(aggregation, |shard| change(shard, cost));
        state.version.0 += 1;
        drop(state);
        cost.held.0 += meter.now().0 - start.0;
        result
    }
}

impl<A: Aggregation> Sharing<A> for HoldLock<A> {
    const NAME: StrategyName = StrategyName::HoldLock;
    type Private = A::Scratch;

    fn basis(&self) -> &Basis<A> {
        &self.basis
    }

    fn private(&self, _: WorkerId) -> A::Scratch {
        A::Scratch::default()
    }

    fn process(&self, scratch: &mut A::Scratch, batch: &A::Batch, cost: &mut Cost) -> Result<Folded, A::Error> {
        let Basis { aggregation, meter, .. } = &self.basis;
        self.basis.count(cost, |witness| Witness::add(&witness.locks, 1));
        self.change(cost, |shard, cost| meter.time(&mut cost.fold, || aggregation.fold(shard, batch, scratch)))
    }

    fn close(&self, frontier: EventTimeMs, cost: &mut Cost) -> Result<Vec<A::Closed>, A::Error> {
        Ok(self.change(cost, |shard, _| self.basis.aggregation.close(shard, frontier)))
    }

    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error> {
        let state = lock(&self.state);
        Ok((state.version, self.basis.aggregation.lookup(state.groups.shard(), key)?))
    }

    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error> {
        let state = lock(&self.state);
        Ok(vec![(state.version, self.basis.aggregation.scan(state.groups.shard())?)])
    }
}
