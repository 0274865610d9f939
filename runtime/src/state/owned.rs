//! State that owners hold: what `actor` and `owned-shards` have in common. An owner alone touches its shard, so nothing
//! here takes a lock for a message; readers get versions that the owner makes when they ask.

use super::*;
use crate::exchange::key_group;
use crate::sync::{AtomicU64, Ordering, mutant};

/// What the producers, owners and readers of one owned state have in common.
pub(super) struct Owned<A: Aggregation> {
    pub(super) aggregation: Arc<A>,
    pub(super) witness: Witness,
    pub(super) meter: Meter,
    /// One for each shard, whose owner is the worker with this number.
    published: Box<[Published<A::Shard>]>,
    bells: Doorbells,
    questions: Questions,
}

/// How often readers have asked. Looked at for each batch, so on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Questions(AtomicU64);

impl<A: Aggregation> Owned<A> {
    /// With `shards` shards, one for each of the first workers.
    pub(super) fn new(spec: StateSpec<A>, shards: usize) -> Self {
        let StateSpec { aggregation, bells, meter, .. } = spec;
        let published = (0..shards).map(|_| Published::new(aggregation.shard())).collect();
        let (witness, questions) = (Witness::default(), Questions::default());
        Self { aggregation, witness, meter, published, bells, questions }
    }

    pub(super) fn shards(&self) -> usize {
        self.published.len()
    }

    /// Questions that readers have asked so far.
    pub(super) fn questions(&self) -> u64 {
        // Relaxed: the bell that follows a question makes it visible.
        self.questions.0.load(Ordering::Relaxed)
    }

    /// What was last published of a shard; its owner is asked for more. [`ring`](Self::ring) follows.
    fn read(&self, owner: WorkerId) -> (Version, Arc<A::Shard>) {
        self.questions.0.fetch_add(1, Ordering::Relaxed);
        self.published[usize::from(owner.0)].read()
    }

    /// Wakes whoever has to do with what was read: workers that have nothing else to do answer at once.
    fn ring(&self) {
        match self.shards() {
            // Of a single owner nobody else holds anything back.
            1 => self.bells.ring(WorkerId(0)),
            _ => self.bells.ring_all(),
        }
    }
}

impl<A: Aggregation> Reader<A> for Owned<A> {
    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error> {
        let owner = key_group::owner(self.aggregation.hash(key), self.shards());
        let (version, shard) = self.read(owner);
        if !mutant!(owned_asks_in_silence) {
            self.ring();
        }
        Ok((version, self.aggregation.lookup(&shard, key)?))
    }

    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error> {
        // All are asked before the first is looked through: the owners answer meanwhile.
        let latest: Vec<_> = (0..self.shards()).map(|owner| self.read(WorkerId(owner as u16))).collect();
        self.ring();
        latest.into_iter().map(|(version, shard)| Ok((version, self.aggregation.scan(&shard)?))).collect()
    }
}

/// The owner of one shard.
pub(super) struct ShardOwner<A: Aggregation> {
    owned: Arc<Owned<A>>,
    /// Which of [`Owned::published`] is this shard's.
    index: usize,
    shard: A::Shard,
    scratch: A::Scratch,
    version: Version,
    /// The last version that was made for readers, and its size.
    made: (Version, usize),
    /// A version that could not be handed over, because a reader was just taking the one before.
    offer: Option<Arc<A::Shard>>,
}

impl<A: Aggregation> ShardOwner<A> {
    pub(super) fn new(owned: &Arc<Owned<A>>, worker: WorkerId) -> Self {
        let (shard, scratch) = (owned.aggregation.shard(), A::Scratch::default());
        let (index, version) = (usize::from(worker.0), Version(0));
        // Readers begin with an empty shard.
        let made = (version, owned.aggregation.bytes(&shard));
        Self { owned: Arc::clone(owned), index, shard, scratch, version, made, offer: None }
    }

    fn make_version(&mut self) {
        let version = Arc::new(self.shard.clone());
        self.made = (self.version, self.owned.aggregation.bytes(&version));
        self.offer = Some(version);
        Witness::add(&self.owned.witness.versions, 1);
    }
}

impl<A: Aggregation> Owner<A> for ShardOwner<A> {
    fn receive(&mut self, message: Message<A>) -> Result<Received, A::Error> {
        let Self { owned, shard, scratch, version, .. } = self;
        let Owned { aggregation, witness, meter, .. } = &**owned;
        let mut received = Received::default();
        match message {
            Message::Groups(partial) => {
                meter.time(&mut received.cost.merge, || aggregation.merge(shard, partial))?;
                Witness::add(&witness.merges_owned, 1);
            }
            Message::Rows(batch) => {
                received.folded = meter.time(&mut received.cost.fold, || aggregation.fold(shard, &batch, scratch))?;
            }
        }
        version.0 += 1;
        Ok(received)
    }

    fn close(&mut self, frontier: EventTimeMs) -> Result<Closing<A>, A::Error> {
        let windows = self.owned.aggregation.close(&mut self.shard, frontier);
        // A version without a change would be copied for nothing.
        self.version.0 += u64::from(!windows.is_empty());
        if frontier == EventTimeMs::END && !mutant!(owned_keeps_the_end_to_itself) {
            // Nobody may step this owner again. Readers that come afterwards are not to find windows that were closed.
            self.make_version();
            if let Some(last) = self.offer.take() {
                self.owned.published[self.index].publish(self.version, last);
            }
        }
        Ok(Closing { windows, is_elected: self.index == 0, cost: Cost::default() })
    }

    fn publish(&mut self) {
        let published = &self.owned.published[self.index];
        if published.take_request() && self.version > self.made.0 {
            self.make_version();
        }
        if let Some(offer) = self.offer.take() {
            self.offer = self.owned.published[self.index].try_publish(self.made.0, offer).err();
        }
    }

    fn bytes(&self) -> usize {
        self.owned.aggregation.bytes(&self.shard) + self.made.1
    }
}
