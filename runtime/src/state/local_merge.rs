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

use super::counted::Apart;
use super::locked_shard::LockedShard;
use super::sharing::{Basis, Sharing};
use super::*;

/// The strategy.
pub(super) struct LocalMerge<A: Aggregation> {
    basis: Basis<A>,
    state: LockedShard<A>,
}

impl<A: Aggregation> LocalMerge<A> {
    pub fn new(spec: StateSpec<A>) -> Self {
        let basis = Basis::new(spec.aggregation, spec.meter);
        Self { state: LockedShard::new(&basis), basis }
    }
}

impl<A: Aggregation> Sharing<A> for LocalMerge<A> {
    const NAME: StrategyName = StrategyName::LocalMerge;
    type Private = Apart<A>;

    fn basis(&self) -> &Basis<A> {
        &self.basis
    }

    fn private(&self, _: WorkerId) -> Apart<A> {
        Apart::new(&self.basis)
    }

    fn process(&self, apart: &mut Apart<A>, batch: &A::Batch, cost: &mut Cost) -> Result<Folded, A::Error> {
        let split = |aggregation: &A, shard: &mut A::Shard| aggregation.split(shard, Release::All, 1);
        let (folded, partials) = apart.fold(&self.basis, batch, cost, split)?;
        if !partials.is_empty() {
            self.basis.count(cost, |witness| {
                Witness::add(&witness.locks, 1);
                Witness::add(&witness.merges_locked, partials.len() as u64);
            });
            self.state.merge(&self.basis, partials.into_iter().map(|(_, partial)| partial), cost)?;
        }
        Ok(folded)
    }

    fn close(&self, frontier: EventTimeMs, cost: &mut Cost) -> Result<Vec<A::Closed>, A::Error> {
        Ok(self.state.close(&self.basis, frontier, cost))
    }

    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error> {
        self.state.read(|shard| self.basis.aggregation.lookup(shard, key))
    }

    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error> {
        Ok(vec![self.state.read(|shard| self.basis.aggregation.scan(shard))?])
    }
}
