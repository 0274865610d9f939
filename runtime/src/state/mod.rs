//! Keyed state, and eight ways to share it between the workers that feed it.
//!
//! A GROUP BY has two sides. Where rows come in, each worker holds a [`Producer`]; where groups live, each worker holds an
//! [`Owner`]. A [`Strategy`] makes both, and decides what lies between them: a lock, a queue, or private tables and an
//! exchange. What is computed is an [`Aggregation`], whose batches, partials and shards are opaque here; every strategy
//! calls the same operations on the same batches.
//!
//! # What all strategies promise
//!
//! - **Results.** A row that [`Producer::process`] took in without an error, and that was not late, is in exactly one
//!   group of exactly one window, once. What is emitted does not depend on the strategy, the number of producers or the
//!   schedule, as far as the aggregation's `merge` is commutative and associative (what depends on the order of rows goes
//!   by their ordinals).
//! - **What a batch sees.** Nothing: no row's effect depends on the state that its batch meets. Lateness is decided by
//!   the watermark that each row was stamped with at its source.
//! - **When a merge is visible.** To whoever closes windows: at the latest when a promise that follows the batch is
//!   received, see below. To a [`Reader`]: as the strategy's page says.
//! - **How windows close.** A worker makes a promise downstream ("no more rows at or below *w*") only after
//!   [`Producer::release`] up to *w* returned and the messages that it left were sent; promises travel in the lanes behind
//!   them. An owner whose inputs have all promised *w* calls [`Owner::close`]. So everything that belongs to windows which
//!   are over at *w* is applied by then, whoever calls first. Strategies that share one state share a [`SharedFrontier`]:
//!   the first owner to bring a frontier is elected and takes all windows that are over out of the state; the others find
//!   nothing, and go on when they have been taken: what they promise then holds. Where owners have states of their own, each closes its own.
//! - **Errors.** An error of the aggregation ends the job; the state is of no use then. A panic that poisons a lock
//!   does not block the others ([`sync::lock`](crate::sync::lock)).
//!
//! Locks are held for a bounded piece of work, never while something is sent or awaited.

mod actor;
mod bytes;
mod clone_swap;
mod cost;
mod counted;
mod directory;
mod folding;
mod frontier;
mod hold_lock;
mod local_merge;
mod local_merge_partitioned;
mod locked_shard;
mod name;
mod owned;
mod owned_shards;
mod partition_lock;
mod published;
mod read_write_lock;
mod sharing;
mod witness;

pub use bytes::{Share, SharedBytes};
pub use cost::{Cost, Meter};
pub use frontier::SharedFrontier;
pub use name::{StrategyName, UnknownStrategy};
pub use published::{Published, Version};
pub use witness::{Witness, WitnessCounts};

use actor::Actor;
use clone_swap::CloneSwap;
use hold_lock::HoldLock;
use local_merge::LocalMerge;
use local_merge_partitioned::LocalMergePartitioned;
use owned_shards::OwnedShards;
use partition_lock::PartitionLock;
use read_write_lock::ReadWriteLock;
use sharing::Shared;

use crate::sync::Arc;
use crate::{Doorbells, EventTimeMs, WorkerId};

/// What is computed over keyed state: the operations that every strategy is made of.
///
/// `merge` makes the groups a commutative monoid: an empty shard is its identity, and in which order and grouping partials
/// are merged must not show in what comes out.
pub trait Aggregation: Send + Sync + 'static {
    /// Rows that come in together.
    type Batch: Send + Sync + 'static;
    /// Groups on their way from one shard to another: what was gathered of them, not what they amount to.
    type Partial: Send + 'static;
    /// Groups that are held, by key and window. A clone is independent of the original.
    type Shard: Clone + Send + Sync + 'static;
    /// All groups of a window that is over, taken out of a shard.
    type Closed: Send + 'static;
    /// What names a group to a reader: the values of the key columns.
    type Key: ?Sized;
    /// What a reader gets: one row for each group and open window.
    type Rows: Send + 'static;
    /// Memory that one fold leaves for the next.
    type Scratch: Default + Send + 'static;
    /// Why the job cannot go on.
    type Error: std::error::Error + Send + Sync + 'static;

    /// A shard without groups.
    fn shard(&self) -> Self::Shard;

    /// Adds the rows of a batch to the groups of their windows, except those that are late.
    ///
    /// # Errors
    /// If the rows cannot be aggregated. The shard is of no use then.
    fn fold(
        &self,
        shard: &mut Self::Shard,
        batch: &Self::Batch,
        scratch: &mut Self::Scratch,
    ) -> Result<Folded, Self::Error>;

    /// The rows of a batch on their way to the owners of their keys among `parts`, except those that are late: what comes
    /// of folding them into a shard apart and splitting it. For batches in which keys hardly meet twice there may be a
    /// faster way: a partial may have several entries for one key.
    ///
    /// # Errors
    /// As [`fold`](Self::fold).
    fn divide(
        &self,
        batch: &Self::Batch,
        parts: usize,
        scratch: &mut Self::Scratch,
    ) -> Result<Divided<Self>, Self::Error> {
        let mut apart = self.shard();
        let folded = self.fold(&mut apart, batch, scratch)?;
        Ok((folded, self.split(&mut apart, Release::All, parts)))
    }

    /// Takes groups out and divides them by the owners of their keys among `parts` (see
    /// [`key_group::owner`](crate::exchange::key_group::owner)): window by window, the earliest first. Parts without a
    /// group are left out.
    fn split(&self, shard: &mut Self::Shard, release: Release, parts: usize) -> Vec<(usize, Self::Partial)>;

    /// Takes all groups out, one partial for each key and window, with the hash of the key.
    fn split_keys(&self, shard: &mut Self::Shard) -> Vec<(u64, Self::Partial)>;

    /// Adds groups that were taken out of another shard to those of this one: group by group, what both have gathered is
    /// added up.
    ///
    /// # Errors
    /// If the groups were planned differently, or their window is closed here: bugs of the caller.
    fn merge(&self, shard: &mut Self::Shard, partial: Self::Partial) -> Result<(), Self::Error>;

    /// Nothing more comes at or below `frontier`: takes out every window that is over, the earliest end first. From now on
    /// the shard refuses groups of these windows. A frontier below an earlier one changes nothing.
    fn close(&self, shard: &mut Self::Shard, frontier: EventTimeMs) -> Vec<Self::Closed>;

    /// May groups belong to several windows? Then [`close`](Self::close) gives them out for the windows that are over, and
    /// those of a later window stay in the shard.
    fn has_overlaps(&self) -> bool {
        false
    }

    /// The least frontier at which [`close`](Self::close) takes anything out of the shard as it is; none if there are no
    /// groups. That may be later than the windows are over: what holds on to all until the end of input says
    /// [`END`](EventTimeMs::END). Cheap.
    fn next_close(&self, shard: &Self::Shard) -> Option<EventTimeMs>;

    /// The groups with this key, one row for each open window; none if there are none.
    ///
    /// # Errors
    /// If a value does not fit its type.
    fn lookup(&self, shard: &Self::Shard, key: &Self::Key) -> Result<Self::Rows, Self::Error>;

    /// All groups of all open windows.
    ///
    /// # Errors
    /// If a value does not fit its type.
    fn scan(&self, shard: &Self::Shard) -> Result<Self::Rows, Self::Error>;

    /// The last event time of a window that was taken out: it is over when a frontier reaches it.
    fn end(&self, closed: &Self::Closed) -> EventTimeMs;

    /// The hash of a key, by which it is routed.
    fn hash(&self, key: &Self::Key) -> u64;

    /// A batch that may wait and travel: the same rows, without a view into memory that is to be used again.
    ///
    /// # Errors
    /// If the rows cannot be copied: a bug.
    fn own(&self, batch: &Self::Batch) -> Result<Self::Batch, Self::Error>;

    /// Rows of a batch. Cheap.
    fn rows(&self, batch: &Self::Batch) -> u64;

    /// Groups held, over all windows. Cheap.
    fn groups(&self, shard: &Self::Shard) -> usize;

    /// Bytes held. Cheap.
    fn bytes(&self, shard: &Self::Shard) -> usize;
}

/// What became of the rows of a batch, and the partials for each owner.
pub type Divided<A> = (Folded, Vec<(usize, <A as Aggregation>::Partial)>);

/// What became of the rows of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Rows now in a group.
    pub folded: u64,
    /// Rows whose window was over at their place in the input. They are counted and nothing else.
    pub late: u64,
}

/// Which groups leave private tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// All.
    All,
    /// Those of the windows that [`Aggregation::close`] would take out at this watermark.
    ClosedBy(EventTimeMs),
}

/// What a producer leaves to be sent to an owner.
pub enum Message<A: Aggregation> {
    /// Rows that nobody has folded yet.
    Rows(A::Batch),
    /// Groups of one window.
    Groups(A::Partial),
}

/// Messages to be sent, in this order, each to the owner on that worker.
pub type Sends<A> = Vec<(WorkerId, Message<A>)>;

/// What one batch came to: all that a job server reports of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processed {
    /// Rows that were folded or are late, here. Rows that were sent on as rows are in `passed` instead.
    pub folded: Folded,
    /// Rows sent on, to be folded by an owner.
    pub passed: u64,
    /// Where the time went; all zero without a meter.
    pub cost: Cost,
}

/// What an owner made of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Rows that came as rows and were folded or are late.
    pub folded: Folded,
    /// Where the time went; all zero without a meter.
    pub cost: Cost,
}

/// What closing came to.
pub struct Closing<A: Aggregation> {
    /// Windows to be emitted by the caller, the earliest end first; pieces of one window may come one after the other.
    pub windows: Vec<A::Closed>,
    /// Among all owners, this one speaks for the whole state at this frontier: it was elected, or it owns the first shard.
    /// At the end of input it also says what is to be said about an input without rows.
    pub is_elected: bool,
    /// Where the time went; all zero without a meter.
    pub cost: Cost,
}

/// One of the eight ways, for one GROUP BY of one job.
pub trait Strategy<A: Aggregation>: Send + Sync {
    /// Which one.
    fn name(&self) -> StrategyName;

    /// A new producer on `worker`. A job with several sources asks for one for each.
    fn producer(&self, worker: WorkerId) -> Box<dyn Producer<A>>;

    /// The owner on `worker`: to be asked for once per worker.
    fn owner(&self, worker: WorkerId) -> Box<dyn Owner<A>>;

    /// What asks for live state, from any thread, while the job runs and afterwards.
    fn reader(&self) -> Arc<dyn Reader<A>>;

    /// What the strategy did so far.
    fn witness(&self) -> WitnessCounts;
}

/// Where the rows of one source on one worker come in.
pub trait Producer<A: Aggregation>: Send {
    /// Takes a batch in.
    ///
    /// # Errors
    /// As [`Aggregation::fold`] and [`Aggregation::merge`].
    fn process(&mut self, batch: &A::Batch, sends: &mut Sends<A>) -> Result<Processed, A::Error>;

    /// Lets go of what is still held privately, ahead of a promise, a barrier or the end.
    ///
    /// # Errors
    /// As [`Aggregation::merge`].
    fn release(&mut self, release: Release, sends: &mut Sends<A>) -> Result<Cost, A::Error>;

    /// A reader asks for what is still held privately: all of it is to be released in this step, whether or not there is
    /// a next batch. Looked at in every step. Cheap.
    fn is_awaited(&self) -> bool {
        false
    }

    /// Bytes of state that this producer answers for, see [`SharedBytes`]. Cheap.
    fn bytes(&self) -> usize;
}

/// Where groups live and windows close, on one worker.
pub trait Owner<A: Aggregation>: Send {
    /// Takes in what a producer sent here.
    ///
    /// # Errors
    /// As [`Aggregation::fold`] and [`Aggregation::merge`].
    fn receive(&mut self, message: Message<A>) -> Result<Received, A::Error>;

    /// All producers have promised `frontier`: takes out the windows that are this worker's to emit.
    ///
    /// # Errors
    /// As [`Aggregation::merge`].
    fn close(&mut self, frontier: EventTimeMs) -> Result<Closing<A>, A::Error>;

    /// Publishes a new version if a reader asked for one. Called in every step.
    fn publish(&mut self);

    /// Bytes of state that this owner answers for, see [`SharedBytes`]. Cheap.
    fn bytes(&self) -> usize;
}

/// Questions to live state. Never blocks a worker for longer than the strategy's page says.
pub trait Reader<A: Aggregation>: Send + Sync {
    /// The groups with this key, one row for each open window, and the version they were read from.
    ///
    /// # Errors
    /// As [`Aggregation::lookup`].
    fn lookup(&self, key: &A::Key) -> Result<(Version, A::Rows), A::Error>;

    /// All groups: one piece for each part of the state that is whole by itself. Each piece is one version, and versions
    /// of a piece never go back.
    ///
    /// # Errors
    /// As [`Aggregation::scan`].
    fn scan(&self) -> Result<Vec<(Version, A::Rows)>, A::Error>;
}

/// What a strategy is made for.
pub struct StateSpec<A: Aggregation> {
    /// What is computed.
    pub aggregation: Arc<A>,
    /// Workers of the job, at least 1.
    pub workers: usize,
    /// To wake the owners that a reader wants a version of: a bell for each worker.
    pub bells: Doorbells,
    /// Whether costs are measured.
    pub meter: Meter,
}

/// The strategy `name`, made for `spec`.
#[must_use]
pub fn strategy<A: Aggregation>(name: StrategyName, spec: StateSpec<A>) -> Arc<dyn Strategy<A>> {
    match name {
        StrategyName::CloneSwap => Arc::new(Shared::new(CloneSwap::new(spec))),
        StrategyName::HoldLock => Arc::new(Shared::new(HoldLock::new(spec))),
        StrategyName::PartitionLock => Arc::new(Shared::new(PartitionLock::new(spec))),
        StrategyName::ReadWriteLock => Arc::new(Shared::new(ReadWriteLock::new(spec))),
        StrategyName::Actor => Arc::new(Actor::new(spec)),
        StrategyName::LocalMerge => Arc::new(Shared::new(LocalMerge::new(spec))),
        StrategyName::LocalMergePartitioned => Arc::new(Shared::new(LocalMergePartitioned::new(spec))),
        StrategyName::OwnedShards => Arc::new(OwnedShards::new(spec)),
    }
}
