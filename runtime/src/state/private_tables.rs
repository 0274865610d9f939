//! The tables that one producer alone folds into.

use super::*;

/// A shard that nobody else sees, and what folding into it takes.
pub(super) struct PrivateTables<A: Aggregation> {
    aggregation: Arc<A>,
    meter: Meter,
    shard: A::Shard,
    scratch: A::Scratch,
}

impl<A: Aggregation> PrivateTables<A> {
    pub(super) fn new(aggregation: &Arc<A>, meter: Meter) -> Self {
        let (shard, scratch) = (aggregation.shard(), A::Scratch::default());
        Self { aggregation: Arc::clone(aggregation), meter, shard, scratch }
    }

    pub(super) fn fold(&mut self, batch: &A::Batch, cost: &mut Cost) -> Result<Folded, A::Error> {
        let Self { aggregation, meter, shard, scratch } = self;
        meter.time(&mut cost.fold, || aggregation.fold(shard, batch, scratch))
    }

    /// As [`Aggregation::split`].
    pub(super) fn split(&mut self, release: Release, parts: usize, cost: &mut Cost) -> Vec<(usize, A::Partial)> {
        let Self { aggregation, meter, shard, .. } = self;
        meter.time(&mut cost.merge, || aggregation.split(shard, release, parts))
    }

    pub(super) fn groups(&self) -> usize {
        self.aggregation.groups(&self.shard)
    }

    pub(super) fn bytes(&self) -> usize {
        self.aggregation.bytes(&self.shard)
    }
}
