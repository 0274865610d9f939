//! What the analysis of the job server predicted, before anything of this was built.

use thalweg_operators::kernels::Kernels;
use thalweg_runtime::state::StrategyName;

use crate::contender::{Contender, DataModel, Subject};

/// One line of the prediction: the seed workload of 5,000 rows in 5 batches over 200 keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// Rows per second.
    pub rate: f64,
    /// How many times the rate of the job server as it was, which is `clone-swap`.
    pub times_current: f64,
}

/// What was predicted of it, if anything was. The pure engine apart, all but the last two lines are with metrics on and
/// without SIMD; `owned-shards` was not thought of.
#[must_use]
pub fn predicted(contender: &Contender) -> Option<Predicted> {
    use StrategyName as S;
    let Contender { subject, model, is_metered, kernels } = *contender;
    if model == DataModel::Rows {
        return None;
    }
    let (rate, times_current) = match (subject, is_metered) {
        (Subject::Shared(S::LocalMergePartitioned), false) if kernels == Kernels::Simd => (600e3, 25.0),
        _ if kernels == Kernels::Simd => return None,
        (Subject::Pure, false) => (790e3, 34.0),
        (Subject::Shared(S::CloneSwap), true) => (23e3, 1.0),
        (Subject::Shared(S::ReadWriteLock), true) => (35e3, 1.5),
        (Subject::Shared(S::HoldLock), true) => (100e3, 4.0),
        (Subject::Shared(S::Actor), true) => (120e3, 5.0),
        (Subject::Shared(S::PartitionLock), true) => (150e3, 6.0),
        (Subject::Shared(S::LocalMerge), true) => (200e3, 8.0),
        (Subject::Shared(S::LocalMergePartitioned), true) => (400e3, 17.0),
        (Subject::Shared(S::LocalMergePartitioned), false) => (500e3, 21.0),
        _ => return None,
    };
    Some(Predicted { rate, times_current })
}
