//! `owned-shards`, the default: every worker owns the shard of its key groups; groups travel there, rows never.
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
//! **Where it hurts**: the exchange. Nearly unique keys are looked up twice and travel, and few workers with little to do
//! pay for messages that one lock would have spared them.

use super::owned::{Owned, ShardOwner};
use super::*;

/// Groups in private tables at which all are sent to their owners: about 4 MiB of tables, past which folding costs cache
/// misses that the owner's merge has to pay again.
const PRIVATE_GROUPS_MAX: usize = 1 << 16;

/// Groups in private tables from which on it counts whether they are worth having: tables that fit a core's own cache.
const WORTH_GROUPS_MIN: usize = 1 << 12;

/// Private tables are for rows that meet their group there. Where at least this share of a batch's rows, in eighths, are
/// groups of their own, hardly any will, and tables that grow beyond the cache only cost. Measured at 1,000,000 keys:
/// 18 M rows/s without this rule, 29 M with it.
const NEW_EIGHTHS_MIN: usize = 7;

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
        Box::new(Folder { owned: Arc::clone(&self.0), private, scratch, worker, answered: 0 })
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
    worker: WorkerId,
    /// Questions of readers that were answered by a release.
    answered: u64,
}

impl<A: Aggregation> Producer<A> for Folder<A> {
    fn process(&mut self, batch: &A::Batch, sends: &mut Sends<A>) -> Result<Processed, A::Error> {
        let Self { owned, private, scratch, .. } = self;
        let Owned { aggregation, witness, meter, .. } = &**owned;
        let mut cost = Cost::default();
        let before = aggregation.groups(private);
        let folded = meter.time(&mut cost.fold, || aggregation.fold(private, batch, scratch))?;
        let groups = aggregation.groups(private);
        let is_worth = groups < WORTH_GROUPS_MIN || (groups - before) * 8 < folded.folded as usize * NEW_EIGHTHS_MIN;
        meter.time(&mut cost.metrics, || Witness::add(&witness.batches, 1));
        if !is_worth || groups >= PRIVATE_GROUPS_MAX || self.is_awaited() {
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
        owned.questions() != *answered && owned.aggregation.groups(private) > 0
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
        let Self { owned, private, worker, .. } = self;
        let Owned { aggregation, witness, meter, .. } = &**owned;
        let parts = meter.time(&mut cost.merge, || aggregation.split(private, release, owned.shards()));
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
