//! `owned-shards`, the default: every worker owns the shard of its key groups; groups travel there.
//!
//! ```text
//!   producer 0: fold ─► private tables ─┬─ groups ─►┌─────────────────────┐
//!                                       │  lanes    │ worker 0: its shard │──► worker 0 closes its own
//!                                       ├──────────►├─────────────────────┤
//!   producer 1: fold ─► private tables ─┴─ groups ─►│ worker 1: its shard │──► worker 1 closes its own
//!                       split by key group          └─────────────────────┘
//! ```
//!
//! A batch is folded into tables that only its producer knows, and stays there: batches of one window add up before
//! anything travels. Groups leave, divided by the owners of their keys, when a promise closes their window, ahead of a
//! barrier and at the end; and all of them when there are 65,536, or 4,096 and nearly every row of a batch was a new one.
//! Where folding has hardly made groups of rows, batches are for a while divided without it: each row travels as if it
//! were the only one of its group, and nothing of it stays here (see [`folding`](super::folding)).
//! The owner alone merges them into its shard and takes out of it what closes. But for lanes and counters, nothing is
//! written to by two workers, and there is no lock.
//!
//! **Readers** never touch a shard. They take the last version that its owner made of it, ask for a newer one and ring;
//! the owner copies its shard in its next step, between two messages, if it has changed since. What producers hold in
//! private tables is in no shard and is not seen until it is released; so that it comes, every worker is rung, and a
//! producer that learns of a question releases all in its next step ([`Producer::is_awaited`]). Therefore: the first
//! question of all finds an empty state; who asks at intervals sees all batches up to two questions ago; and when the
//! input has ended, readers find what is left, which is nothing. Each shard's version is whole and versions never go
//! back; those of two shards may be from different moments. A reader stops nobody. A version costs its owner a copy of
//! the shard, at most one in a step, and the memory of that copy; a question costs each producer one release.
//!
//! **Where it hurts**: the exchange. Nearly unique keys travel row by row, and few workers with little to do pay for
//! messages that one lock would have spared them.

use super::folding::Folding;
use super::owned::{Owned, ShardOwner};
use super::*;
use crate::sync::mutant;

/// Groups in private tables at which all are sent to their owners: about 4 MiB of tables, past which folding costs cache
/// misses that the owner's merge has to pay again.
const PRIVATE_GROUPS_MAX: usize = 1 << 16;

/// The strategy.
pub(super) struct OwnedShards<A: Aggregation>(Arc<Owned<A>>);

impl<A: Aggregation> OwnedShards<A> {
    pub(super) fn new(spec: StateSpec<A>) -> Self {
        let shards = spec.workers;
        Self(Arc::new(Owned::new(spec, shards)))
    }
}

impl<A: Aggregation> Strategy<A> for OwnedShards<A> {
    fn name(&self) -> StrategyName {
        StrategyName::OwnedShards
    }

    fn producer(&self, worker: WorkerId) -> Box<dyn Producer<A>> {
        let (private, scratch) = (self.0.aggregation.shard(), A::Scratch::default());
        let folding = Folding::new();
        Box::new(Folder { owned: Arc::clone(&self.0), private, scratch, folding, worker, answered: 0 })
    }

    fn owner(&self, worker: WorkerId) -> Box<dyn Owner<A>> {
        Box::new(ShardOwner::new(&self.0, worker))
    }

    fn reader(&self) -> Arc<dyn Reader<A>> {
        Arc::clone(&self.0) as Arc<dyn Reader<A>>
    }

    fn witness(&self) -> WitnessCounts {
        self.0.witness.counts()
    }
}

struct Folder<A: Aggregation> {
    owned: Arc<Owned<A>>,
    private: A::Shard,
    scratch: A::Scratch,
    folding: Folding,
    worker: WorkerId,
    /// Questions of readers that were answered by a release.
    answered: u64,
}

impl<A: Aggregation> Producer<A> for Folder<A> {
    fn process(&mut self, batch: &A::Batch, sends: &mut Sends<A>) -> Result<Processed, A::Error> {
        let Self { owned, private, scratch, folding, .. } = self;
        let Owned { aggregation, witness, meter, .. } = &**owned;
        let mut cost = Cost::default();
        meter.time(&mut cost.metrics, || Witness::add(&witness.batches, 1));
        let before = aggregation.groups(private);
        let folded = if folding.folds(aggregation.rows(batch)) {
            let folded = meter.time(&mut cost.fold, || aggregation.fold(private, batch, scratch))?;
            let groups = aggregation.groups(private);
            if folding.folded(folded.folded, groups - before, groups) || groups >= PRIVATE_GROUPS_MAX {
                self.send(Release::All, sends, &mut cost);
            }
            folded
        } else {
            let divide = || aggregation.divide(batch, owned.shards(), scratch);
            let (folded, parts) = meter.time(&mut cost.fold, divide)?;
            self.forward(parts, sends, &mut cost);
            folded
        };
        if self.is_awaited() {
            self.send(Release::All, sends, &mut cost);
        }
        Ok(Processed { folded, passed: 0, cost })
    }

    fn release(&mut self, release: Release, sends: &mut Sends<A>) -> Result<Cost, A::Error> {
        let mut cost = Cost::default();
        self.send(release, sends, &mut cost);
        Ok(cost)
    }

    fn is_awaited(&self) -> bool {
        let Self { owned, private, answered, .. } = self;
        owned.questions() != *answered && owned.aggregation.groups(private) > 0 && !mutant!(shards_answer_nobody)
    }

    fn bytes(&self) -> usize {
        self.owned.aggregation.bytes(&self.private)
    }
}

impl<A: Aggregation> Folder<A> {
    fn send(&mut self, release: Release, sends: &mut Sends<A>, cost: &mut Cost) {
        if release == Release::All {
            self.answered = self.owned.questions();
        }
        let Self { owned, private, folding, .. } = self;
        let Owned { aggregation, meter, .. } = &**owned;
        let parts = meter.time(&mut cost.merge, || aggregation.split(private, release, owned.shards()));
        if !parts.is_empty() {
            folding.released();
        }
        self.forward(parts, sends, cost);
    }

    fn forward(&self, parts: Vec<(usize, A::Partial)>, sends: &mut Sends<A>, cost: &mut Cost) {
        let Self { owned, worker, .. } = self;
        let Owned { witness, meter, .. } = &**owned;
        let is_away = |part: &&(usize, A::Partial)| part.0 != usize::from(worker.0);
        meter.time(&mut cost.metrics, || {
            Witness::add(&witness.messages, parts.len() as u64);
            Witness::add(&witness.lane_messages, parts.iter().filter(is_away).count() as u64);
        });
        meter.time(&mut cost.channel, || {
            let messages = parts.into_iter().map(|(part, groups)| (WorkerId(part as u16), Message::Groups(groups)));
            sends.extend(messages);
        });
    }
}
