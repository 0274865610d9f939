//! `clone-swap`: clone all state out, fold the batch into the clone, write a clone back.
//!
//! ```text
//!   producer, in its turn      lock ┌───────────┐
//!     1. clone out       ◄──────────┤ all state │◄── readers
//!     2. fold into it, no lock      └───────────┘
//!     3. clone, write back ─────────────▲
//! ```
//!
//! This is what a job server does whose state is a value behind a lock: get it, process, put it back. The lock is free
//! while rows are folded.
//!
//! **Where it hurts**: for each batch all state is cloned twice, once as it was and once as it is now, so a batch costs
//! what the state is large, not what the batch is.
//!
//! That freedom is the trap. **Without turns the form is broken:** two producers clone the same state, each folds its
//! batch into its own clone, each writes back, and the second one wipes out the rows of the first without an error. So a
//! producer takes a *turn* first, a lock of its own that it holds from the first clone to the write-back; then
//! producers queue as under `hold-lock`, and pay for the clones besides. The elected owner closes in a turn, too: a clone
//! that was taken out before would bring the closed windows back.
//!
//! **Readers** lock the state alone, without a turn: they see the last version that was written, whole, and wait for a
//! clone at most, never for a batch.

use super::counted::Counted;
use super::sharing::{Basis, Sharing};
use super::*;
use crate::sync::{Mutex, MutexGuard, lock, mutant};

/// The strategy.
pub(super) struct CloneSwap<A: Aggregation> {
    basis: Basis<A>,
    /// Locked before the state, by whoever will change it.
    turn: Mutex<()>,
    state: Mutex<State<A>>,
}

struct State<A: Aggregation> {
    groups: Counted<A>,
    version: Version,
}

impl<A: Aggregation> CloneSwap<A> {
    pub fn new(spec: StateSpec<A>) -> Self {
        let basis = Basis::new(spec.aggregation, spec.meter);
        let groups = basis.empty();
        Self { basis, turn: Mutex::new(()), state: Mutex::new(State { groups, version: Version(0) }) }
    }

    fn lock_state(&self, cost: &mut Cost) -> MutexGuard<'_, State<A>> {
        self.basis.meter.time(&mut cost.wait, || lock(&self.state))
    }

    fn copy(&self, groups: &Counted<A>, cost: &mut Cost) -> Counted<A> {
        let copy = self.basis.meter.time(&mut cost.clone, || groups.copy(&self.basis.aggregation));
        self.basis.count_clone(copy.bytes());
        copy
    }

    /// A clone of the state as it is.
    fn clone_out(&self, cost: &mut Cost) -> Counted<A> {
        let state = self.lock_state(cost);
        let clone = self.copy(&state.groups, cost);
        drop(state);
        clone
    }

    /// The state becomes a clone of `groups`.
    fn write_back(&self, groups: &Counted<A>, cost: &mut Cost) {
        let mut state = self.lock_state(cost);
        let clone = self.copy(groups, cost);
        let replaced = std::mem::replace(&mut state.groups, clone);
        state.version.0 += 1;
        drop(state);
        // Freed when nobody waits for it.
        drop(replaced);
    }
}

impl<A: Aggregation> Sharing<A> for CloneSwap<A> {
    const NAME: StrategyName = StrategyName::CloneSwap;
    type Private = A::Scratch;

    fn basis(&self) -> &Basis<A> {
        &self.basis
    }

    fn private(&self, _: WorkerId) -> A::Scratch {
        A::Scratch::default()
    }

    fn process(&self, scratch: &mut A::Scratch, batch: &A::Batch, cost: &mut Cost) -> Result<Folded, A::Error> {
        let Basis { aggregation, meter, .. } = &self.basis;
        let turn = (!mutant!(clone_swap_takes_no_turn)).then(|| meter.time(&mut cost.wait, || lock(&self.turn)));
        let start = meter.now();
        let mut groups = self.clone_out(cost);
        let folded = meter
            .time(&mut cost.fold, || groups.change(aggregation, |shard| aggregation.fold(shard, batch, scratch)))?;
        self.write_back(&groups, cost);
        drop(turn);
        // A turn keeps the others out as a lock does.
        cost.held.0 += meter.now().0 - start.0;
        // The turn, and the state twice.
        self.basis.count(cost, |witness| Witness::add(&witness.locks, 3));
        Ok(folded)
    }

    fn close(&self, frontier: EventTimeMs, cost: &mut Cost) -> Result<Vec<A::Closed>, A::Error> {
        let Basis { aggregation, meter, .. } = &self.basis;
        let turn = (!mutant!(clone_swap_closes_out_of_turn)).then(|| meter.time(&mut cost.wait, || lock(&self.turn)));
        let start = meter.now();
        let mut state = self.lock_state(cost);
        let windows = state.groups.change(aggregation, |shard| aggregation.close(shard, frontier));
        state.version.0 += 1;
        drop(state);
        drop(turn);
        cost.held.0 += meter.now().0 - start.0;
        Ok(windows)
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
