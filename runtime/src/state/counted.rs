//! Shards that count as memory while they live, and the private shard that a batch is folded into apart from the state.

use super::sharing::Basis;
use super::*;

/// A shard and its bytes, which are part of a shared size.
pub(super) struct Counted<A: Aggregation> {
    shard: A::Shard,
    bytes: usize,
    whole: SharedBytes,
}

impl<A: Aggregation> Counted<A> {
    pub fn new(shard: A::Shard, aggregation: &A, whole: &SharedBytes) -> Self {
        let bytes = aggregation.bytes(&shard);
        whole.change(0, bytes);
        Self { shard, bytes, whole: whole.clone() }
    }

    /// A clone, which counts by itself.
    pub fn copy(&self, aggregation: &A) -> Self {
        Self::new(self.shard.clone(), aggregation, &self.whole)
    }

    pub fn shard(&self) -> &A::Shard {
        &self.shard
    }

    /// Bytes as of the last change.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes the shard.
    pub fn change<R>(&mut self, aggregation: &A, change: impl FnOnce(&mut A::Shard) -> R) -> R {
        let result = change(&mut self.shard);
        let bytes = aggregation.bytes(&self.shard);
        self.whole.change(self.bytes, bytes);
        self.bytes = bytes;
        result
    }
}

impl<A: Aggregation> Drop for Counted<A> {
    fn drop(&mut self) {
        self.whole.change(self.bytes, 0);
    }
}

/// What a producer folds into by itself. It is empty between two batches and keeps its tables.
pub(super) struct Apart<A: Aggregation> {
    counted: Counted<A>,
    scratch: A::Scratch,
}

impl<A: Aggregation> Apart<A> {
    pub fn new(basis: &Basis<A>) -> Self {
        Self { counted: basis.empty(), scratch: A::Scratch::default() }
    }

    /// Folds a batch, and takes all groups out again by `split`.
    pub fn fold<P>(
        &mut self,
        Basis { aggregation, meter, .. }: &Basis<A>,
        batch: &A::Batch,
        cost: &mut Cost,
        split: impl FnOnce(&A, &mut A::Shard) -> Vec<P>,
    ) -> Result<(Folded, Vec<P>), A::Error> {
        let Self { counted, scratch } = self;
        let folded = meter
            .time(&mut cost.fold, || counted.change(aggregation, |shard| aggregation.fold(shard, batch, scratch)))?;
        let groups = meter.time(&mut cost.merge, || counted.change(aggregation, |shard| split(aggregation, shard)));
        Ok((folded, groups))
    }
}
