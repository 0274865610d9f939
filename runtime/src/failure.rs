//! How a job fails, told so that the layer above can say it to the user.

use crate::{Fault, WorkerId};
use std::fmt;

/// Why a job ended before its work was done. The first failure is kept; what follows from it is not told.
#[derive(Debug)]
pub enum JobFailure {
    /// An operator, or a thread outside of the workers, met an error.
    Fault {
        /// None for a thread outside of the workers.
        worker: Option<WorkerId>,
        /// The stage's name; [`JobFailure::OUTSIDE`] for a thread outside of the workers.
        stage: String,
        /// The error itself, to be downcast.
        fault: Fault,
    },
    /// A worker panicked: a bug of ours.
    Panic {
        /// The worker.
        worker: WorkerId,
        /// The stage whose operator ran, if one did.
        stage: Option<String>,
        /// The panic's own message.
        message: String,
    },
    /// The state of all workers together passed the limit.
    MemoryExhausted {
        /// Bytes of state when it was noticed.
        used: usize,
        /// The limit in bytes.
        limit: usize,
        /// Bytes by stage, in the order of the stages.
        stages: Vec<(String, usize)>,
    },
}

impl JobFailure {
    /// The stage name of a fault that happened outside of the workers.
    pub const OUTSIDE: &'static str = "outside of the workers";
}

impl fmt::Display for JobFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault { worker: Some(worker), stage, fault } => {
                write!(f, "stage `{stage}` failed on worker {}: {fault}", worker.0)
            }
            Self::Fault { worker: None, stage, fault } => write!(f, "the job failed {stage}: {fault}"),
            Self::Panic { worker, stage: Some(stage), message } => {
                write!(f, "stage `{stage}` panicked on worker {}: {message}", worker.0)
            }
            Self::Panic { worker, stage: None, message } => write!(f, "worker {} panicked: {message}", worker.0),
            Self::MemoryExhausted { used, limit, .. } => {
                write!(f, "the state needs {used} bytes, and the limit is {limit} bytes")
            }
        }
    }
}

impl std::error::Error for JobFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Fault { fault, .. } => Some(fault.as_ref()),
            _ => None,
        }
    }
}

/// An account that does not balance: rows went into an edge's lanes and did not come out. Ours to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// The edge, as "from → to".
    pub edge: String,
    /// Rows sent by all producers.
    pub sent: u64,
    /// Rows received by all consumers.
    pub received: u64,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the edge {} lost or doubled rows: {} sent, {} received", self.edge, self.sent, self.received)
    }
}

impl std::error::Error for Imbalance {}

/// The message of a panic, which is a string in all but odd cases.
#[cfg(not(thalweg_loom))]
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
