//! The shape of a job: its stages, and the edges on which rows change worker or leave.

use crate::StageId;

/// A job's graph. Every worker runs every stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Names for reports, in topological order: a stage's place here is its [`StageId`].
    pub stages: Vec<String>,
    /// An edge's place here is its [`EdgeId`](crate::EdgeId).
    pub edges: Vec<EdgeSpec>,
}

/// One edge: a lane from every worker to every worker, or from every worker to the one consumer outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeSpec {
    /// The stage that sends.
    pub from: StageId,
    /// Who receives.
    pub to: Target,
    /// Messages that one lane holds before its producer keeps them; at least 1.
    pub lane_capacity: usize,
}

/// Where an edge leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a later stage, on every worker.
    Stage(StageId),
    /// Out of the workers, to a thread that may block: a sink.
    External,
}

impl Topology {
    /// Checks what the workers rely on.
    ///
    /// # Panics
    /// If an edge names no stage, leads backwards, or has no room: a bug in the planner, never in a user's statement.
    pub(crate) fn check(&self) {
        for (index, edge) in self.edges.iter().enumerate() {
            assert!(usize::from(edge.from.0) < self.stages.len(), "edge {index} comes from no stage: {edge:?}");
            assert!(edge.lane_capacity >= 1, "edge {index} has no room: {edge:?}");
            if let Target::Stage(to) = edge.to {
                assert!(usize::from(to.0) < self.stages.len(), "edge {index} leads to no stage: {edge:?}");
                assert!(edge.from < to, "edge {index} leads backwards: {edge:?}");
            }
        }
    }
}
