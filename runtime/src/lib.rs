//! Who computes what, where and when: symmetric workers that own shards of the keys, the lanes between them, and the
//! progress of event time.
//!
//! A job is a graph of stages. Every worker holds one [`Operator`] of every stage; rows change worker
//! only on the edges between stages. A worker is a state machine whose step never blocks, so that pinned threads and the
//! seeded scheduler drive the same code.
//!
//! Not here: SQL, columns, files (`bin`), what an operator computes (`thalweg-operators`).

#[cfg(not(thalweg_loom))]
pub mod affinity;
pub mod clock;
pub mod control;
#[cfg(not(thalweg_loom))]
pub mod driver;
pub mod exchange;
pub mod failure;
pub mod latency;
pub mod mesh;
pub mod operator;
pub mod progress;
#[cfg(not(thalweg_loom))]
pub mod simulate;
mod stage;
pub mod state;
pub mod sync;
pub mod topology;
pub mod worker;

pub use clock::{MonotonicClock, Nanos};
pub use control::{Control, EdgeAccount};
#[cfg(not(thalweg_loom))]
pub use driver::{DriveOptions, DriveReport, Idle, Pin, drive};
pub use exchange::doorbell::{Doorbell, Doorbells};
pub use exchange::external::{External, Received};
pub use failure::JobFailure;
pub use mesh::{Mesh, build};
pub use operator::{Activity, Context, Fault, Operator, Outbox, Payload};
#[cfg(not(thalweg_loom))]
pub use simulate::{SimulationFailure, SimulationReport, Simulator};
pub use topology::{EdgeSpec, Target, Topology};
pub use worker::{Progress, Worker};

/// One of the job's worker threads, from 0. It owns a shard: a contiguous range of the key groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u16);

/// A stage of the job's graph, from 0 in topological order: an edge leads from a lower to a higher stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub u16);

/// An edge of the job's graph: from one stage to the next, or to a consumer outside of the workers (a sink).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(pub u16);

/// Number of a checkpoint interval; a barrier carries the epoch that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Event time in milliseconds since 1970-01-01T00:00:00Z; as a watermark *w*: "no more rows at or below *w*".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTimeMs(pub i64);

impl EventTimeMs {
    /// Nothing is promised yet.
    pub const MIN: Self = Self(i64::MIN);
    /// The end of a bounded input: there are no more rows at all.
    pub const END: Self = Self(i64::MAX);
}
