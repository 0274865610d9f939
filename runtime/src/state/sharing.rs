//! What strategies have in common in which all workers work on one state: the two ends, the election, the account.
//!
//! Such a strategy sends nothing. A producer changes the state by itself, under whatever lock the strategy has, so that
//! nothing is left to be released; owners only close. What is different from one to the next is a [`Sharing`].

use super::bytes::{Share, SharedBytes};
use super::counted::Counted;
use super::*;

/// How a batch gets into the one state, how windows get out of it, and what readers see.
pub(super) trait Sharing<A: Aggregation>: Send + Sync + 'static {
    /// Which strategy this is.
    const NAME: StrategyName;
    /// What a producer has for itself.
    type Private: Send;

    fn basis(&self) -> &Basis<A>;

    /// What a new producer on `worker` has for itself.
    fn private(&self, worker: WorkerId) -> Self::Private;

    /// Takes a batch in. When it returns, the state holds all of it.
    fn process(&self, private: &mut Self::Private, batch: &A::Batch, cost: &mut Cost) -> Result<Folded, A::Error>;

    /// Takes the windows out that are over at `frontier`, the earliest end first. Called by the elected owner only,
    /// and by one at a time.
    fn close(&self, frontier: EventTimeMs, cost: &mut Cost) -> Result<Vec<A::Closed>, A::Error>;

    /// Called in every step of every owner.
    fn publish(&self) {}

    /// As [`Reader::lookup`].
    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error>;

    /// As [`Reader::scan`].
    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error>;
}

/// What every [`Sharing`] needs beside its locks.
pub(super) struct Basis<A: Aggregation> {
    pub aggregation: Arc<A>,
    pub frontier: SharedFrontier,
    /// All that is held: the state, copies of it, and what producers keep for themselves.
    pub bytes: SharedBytes,
    pub witness: Witness,
    pub meter: Meter,
}

impl<A: Aggregation> Basis<A> {
    pub fn new(aggregation: Arc<A>, meter: Meter) -> Self {
        let (frontier, bytes, witness) = (SharedFrontier::default(), SharedBytes::default(), Witness::default());
        Self { aggregation, frontier, bytes, witness, meter }
    }

    /// A shard without groups.
    pub fn empty(&self) -> Counted<A> {
        Counted::new(self.aggregation.shard(), &*self.aggregation, &self.bytes)
    }

    /// Counts what a batch came to, and the time that counting takes.
    pub fn count(&self, cost: &mut Cost, count: impl FnOnce(&Witness)) {
        self.meter.time(&mut cost.metrics, || count(&self.witness));
    }

    /// Counts a clone that was made for a batch.
    pub fn count_clone(&self, bytes: usize) {
        Witness::add(&self.witness.clones, 1);
        Witness::add(&self.witness.bytes_cloned, bytes as u64);
    }
}

/// A strategy whose workers work on one state.
pub(super) struct Shared<S>(Arc<S>);

impl<S> Shared<S> {
    pub fn new(sharing: S) -> Self {
        Self(Arc::new(sharing))
    }
}

impl<A: Aggregation, S: Sharing<A>> Strategy<A> for Shared<S> {
    fn name(&self) -> StrategyName {
        S::NAME
    }

    fn producer(&self, worker: WorkerId) -> Box<dyn Producer<A>> {
        let (sharing, share) = (Arc::clone(&self.0), self.0.basis().bytes.share());
        Box::new(SharingProducer { private: sharing.private(worker), sharing, share })
    }

    fn owner(&self, _: WorkerId) -> Box<dyn Owner<A>> {
        Box::new(SharingOwner { sharing: Arc::clone(&self.0), share: self.0.basis().bytes.share() })
    }

    fn reader(&self) -> Arc<dyn Reader<A>> {
        Arc::new(SharingReader(Arc::clone(&self.0)))
    }

    fn witness(&self) -> WitnessCounts {
        self.0.basis().witness.counts()
    }
}

struct SharingProducer<A: Aggregation, S: Sharing<A>> {
    sharing: Arc<S>,
    private: S::Private,
    share: Share,
}

impl<A: Aggregation, S: Sharing<A>> Producer<A> for SharingProducer<A, S> {
    fn process(&mut self, batch: &A::Batch, _: &mut Sends<A>) -> Result<Processed, A::Error> {
        let mut cost = Cost::default();
        let folded = self.sharing.process(&mut self.private, batch, &mut cost)?;
        self.sharing.basis().count(&mut cost, |witness| Witness::add(&witness.batches, 1));
        Ok(Processed { folded, passed: 0, cost })
    }

    fn release(&mut self, _: Release, _: &mut Sends<A>) -> Result<Cost, A::Error> {
        Ok(Cost::default())
    }

    fn bytes(&self) -> usize {
        self.share.report()
    }
}

struct SharingOwner<S> {
    sharing: Arc<S>,
    share: Share,
}

impl<A: Aggregation, S: Sharing<A>> Owner<A> for SharingOwner<S> {
    fn receive(&mut self, _: Message<A>) -> Result<Received, A::Error> {
        unreachable!("the producers of {} send nothing", S::NAME)
    }

    fn close(&mut self, frontier: EventTimeMs) -> Result<Closing<A>, A::Error> {
        let mut cost = Cost::default();
        let basis = self.sharing.basis();
        let Some(windows) = basis.frontier.elect(frontier, || self.sharing.close(frontier, &mut cost)) else {
            return Ok(Closing { windows: Vec::new(), is_elected: false, cost });
        };
        Witness::add(&basis.witness.elections, 1);
        Ok(Closing { windows: windows?, is_elected: true, cost })
    }

    fn publish(&mut self) {
        self.sharing.publish();
    }

    fn bytes(&self) -> usize {
        self.share.report()
    }
}

struct SharingReader<S>(Arc<S>);

impl<A: Aggregation, S: Sharing<A>> Reader<A> for SharingReader<S> {
    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error> {
        self.0.lookup(key)
    }

    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error> {
        self.0.scan()
    }
}
