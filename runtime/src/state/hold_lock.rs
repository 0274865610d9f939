//! `hold-lock`: one lock around all state, held for the whole batch.
//!
//! ```text
//!   producer 0 ──┐  lock ┌───────────┐
//!   producer 1 ──┼──────►│ all state │──► the elected owner closes, under the same lock
//!   producer 2 ──┘       └───────────┘
//! ```
//!
//! A batch is folded straight into the state: nothing is copied and nothing is merged. Producers queue, so the state is
//! changed by one core at a time. **Readers** take the same lock: they see the state between two batches, whole and up to
//! date, and wait for the batch in progress, as a batch waits for them.

use super::bytes::{Share, SharedBytes};
use super::*;
use crate::sync::{Mutex, lock};

/// The strategy.
pub(super) struct HoldLock<A: Aggregation>(Arc<Inner<A>>);

struct Inner<A: Aggregation> {
    aggregation: Arc<A>,
    state: Mutex<State<A>>,
    frontier: SharedFrontier,
    bytes: SharedBytes,
    witness: Witness,
    meter: Meter,
}

struct State<A: Aggregation> {
    shard: A::Shard,
    scratch: A::Scratch,
    version: Version,
}

impl<A: Aggregation> HoldLock<A> {
    pub(super) fn new(spec: StateSpec<A>) -> Self {
        let StateSpec { aggregation, meter, .. } = spec;
        let state = State { shard: aggregation.shard(), scratch: A::Scratch::default(), version: Version(0) };
        let bytes = SharedBytes::default();
        bytes.change(0, aggregation.bytes(&state.shard));
        let (frontier, witness) = (SharedFrontier::default(), Witness::default());
        Self(Arc::new(Inner { aggregation, state: Mutex::new(state), frontier, bytes, witness, meter }))
    }
}

impl<A: Aggregation> Inner<A> {
    /// Changes the state under the lock, and keeps count of its size, its versions and the time.
    fn change<R>(&self, cost: &mut Cost, change: impl FnOnce(&mut State<A>, &mut Cost) -> R) -> R {
        let mut state = self.meter.time(&mut cost.wait, || lock(&self.state));
        let start = self.meter.now();
        let was = self.aggregation.bytes(&state.shard);
        let result = change(&mut state, cost);
        self.bytes.change(was, self.aggregation.bytes(&state.shard));
        state.version.0 += 1;
        drop(state);
        cost.held.0 += self.meter.now().0 - start.0;
        result
    }
}

impl<A: Aggregation> Strategy<A> for HoldLock<A> {
    fn name(&self) -> StrategyName {
        StrategyName::HoldLock
    }

    fn producer(&self, _: WorkerId) -> Box<dyn Producer<A>> {
        Box::new(End { share: self.0.bytes.share(), inner: Arc::clone(&self.0) })
    }

    fn owner(&self, _: WorkerId) -> Box<dyn Owner<A>> {
        Box::new(End { share: self.0.bytes.share(), inner: Arc::clone(&self.0) })
    }

    fn reader(&self) -> Arc<dyn Reader<A>> {
        Arc::clone(&self.0) as Arc<dyn Reader<A>>
    }

    fn witness(&self) -> WitnessCounts {
        self.0.witness.counts()
    }
}

/// A producer or an owner: both work on the one state.
struct End<A: Aggregation> {
    inner: Arc<Inner<A>>,
    share: Share,
}

impl<A: Aggregation> Producer<A> for End<A> {
    fn process(&mut self, batch: &A::Batch, _: &mut Sends<A>) -> Result<Processed, A::Error> {
        let Inner { aggregation, witness, meter, .. } = &*self.inner;
        let mut cost = Cost::default();
        let folded = self.inner.change(&mut cost, |state, cost| {
            meter.time(&mut cost.fold, || aggregation.fold(&mut state.shard, batch, &mut state.scratch))
        })?;
        Witness::add(&witness.batches, 1);
        Witness::add(&witness.locks, 1);
        Ok(Processed { folded, passed: 0, cost })
    }

    fn release(&mut self, _: Release, _: &mut Sends<A>) -> Result<Cost, A::Error> {
        Ok(Cost::default())
    }

    fn bytes(&self) -> usize {
        self.share.report()
    }
}

impl<A: Aggregation> Owner<A> for End<A> {
    fn receive(&mut self, _: Message<A>) -> Result<Received, A::Error> {
        unreachable!("the producers of this strategy send nothing")
    }

    fn close(&mut self, frontier: EventTimeMs) -> Result<Closing<A>, A::Error> {
        let mut cost = Cost::default();
        if !self.inner.frontier.claim(frontier) {
            return Ok(Closing { windows: Vec::new(), is_elected: false, cost });
        }
        Witness::add(&self.inner.witness.elections, 1);
        let aggregation = &self.inner.aggregation;
        let windows = self.inner.change(&mut cost, |state, _| aggregation.close(&mut state.shard, frontier));
        Ok(Closing { windows, is_elected: true, cost })
    }

    fn publish(&mut self) {}

    fn bytes(&self) -> usize {
        self.share.report()
    }
}

impl<A: Aggregation> Reader<A> for Inner<A> {
    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error> {
        let state = lock(&self.state);
        Ok((state.version, self.aggregation.lookup(&state.shard, key)?))
    }

    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error> {
        let state = lock(&self.state);
        Ok(vec![(state.version, self.aggregation.scan(&state.shard)?)])
    }
}
