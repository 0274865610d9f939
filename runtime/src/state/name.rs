//! The names of the strategies, as `--strategy` and `SET 'thalweg.state.strategy'` take them.

use std::fmt;
use std::str::FromStr;

/// A way to share keyed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StrategyName {
    /// Clone all state out, process the batch, write a clone back; one batch at a time.
    CloneSwap,
    /// One lock, held for the whole batch.
    HoldLock,
    /// A lock for each key.
    PartitionLock,
    /// Snapshot under the read lock, fold apart, merge under the write lock.
    ReadWriteLock,
    /// One owner of all state, to which every batch is sent.
    Actor,
    /// Fold apart, merge each batch under one short lock.
    LocalMerge,
    /// Fold apart, merge each batch into partitions with a lock each.
    LocalMergePartitioned,
    /// Fold apart, split by key, send; the owner of the keys merges.
    OwnedShards,
}

impl StrategyName {
    /// Whether a producer sends what it took in to an owner, now or later. If not, it is part of the state at once.
    #[must_use]
    pub fn sends(self) -> bool {
        matches!(self, Self::Actor | Self::OwnedShards)
    }

    /// All, in the order in which reports list them.
    pub const ALL: [Self; 8] = [
        Self::CloneSwap,
        Self::HoldLock,
        Self::PartitionLock,
        Self::ReadWriteLock,
        Self::Actor,
        Self::LocalMerge,
        Self::LocalMergePartitioned,
        Self::OwnedShards,
    ];

    /// The name as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CloneSwap => "clone-swap",
            Self::HoldLock => "hold-lock",
            Self::PartitionLock => "partition-lock",
            Self::ReadWriteLock => "read-write-lock",
            Self::Actor => "actor",
            Self::LocalMerge => "local-merge",
            Self::LocalMergePartitioned => "local-merge-partitioned",
            Self::OwnedShards => "owned-shards",
        }
    }
}

impl fmt::Display for StrategyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no strategy of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStrategy(pub String);

impl fmt::Display for UnknownStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = StrategyName::ALL.iter().map(|name| name.as_str()).collect();
        write!(f, "no strategy `{}`; there are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownStrategy {}

impl FromStr for StrategyName {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        let found = Self::ALL.into_iter().find(|strategy| strategy.as_str() == name);
        found.ok_or_else(|| UnknownStrategy(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in StrategyName::ALL {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        let unknown = "clone_swap".parse::<StrategyName>().unwrap_err();
        assert!(unknown.to_string().contains("clone-swap"), "{unknown}");
    }
}
