//! Which strategy of sharing keyed state a job takes: the one that was named, or what the rule of `auto` makes of the facts.

use std::fmt;
use std::str::FromStr;

use thalweg_runtime::state::{StrategyName, UnknownStrategy};

use super::distinct::KeyEstimate;
use crate::report::number::grouped;

/// `--strategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrategyChoice {
    /// This one.
    Named(StrategyName),
    /// What the rule makes of the facts, for each aggregation.
    Auto,
}

impl Default for StrategyChoice {
    fn default() -> Self {
        Self::Named(StrategyName::OwnedShards)
    }
}

impl StrategyChoice {
    /// All names that are accepted, as they are written.
    pub const NAMES: [&str; 9] = [
        StrategyName::OwnedShards.as_str(),
        StrategyName::LocalMergePartitioned.as_str(),
        StrategyName::LocalMerge.as_str(),
        StrategyName::Actor.as_str(),
        StrategyName::ReadWriteLock.as_str(),
        StrategyName::PartitionLock.as_str(),
        StrategyName::HoldLock.as_str(),
        StrategyName::CloneSwap.as_str(),
        "auto",
    ];
}

impl FromStr for StrategyChoice {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        if name == "auto" { Ok(Self::Auto) } else { name.parse().map(Self::Named) }
    }
}

impl fmt::Display for StrategyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => name.fmt(f),
            Self::Auto => f.pad("auto"),
        }
    }
}

/// What `auto` goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Sources whose rows the aggregation gathers.
    pub sources: usize,
    /// Workers of the job: each of them reads every source.
    pub workers: usize,
    /// Cores that the process may use.
    pub cores: usize,
    /// Readers of live state that will be attached.
    pub readers: usize,
    /// Distinct keys, if some rows could be looked at beforehand.
    pub keys: Option<KeyEstimate>,
}

/// What was chosen, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The strategy.
    pub strategy: StrategyName,
    /// The part of the rule that decided.
    pub reason: &'static str,
}

/// How the state of one aggregation is shared, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is taken.
    pub strategy: StrategyName,
    /// Why.
    pub basis: Basis,
}

/// Why a strategy is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// It was named, or nothing was said.
    Named,
    /// Another aggregation feeds this one, or rows that met on one worker: there is nothing to choose.
    Later,
    /// The rule of `auto`.
    Auto {
        /// The facts.
        facts: Facts,
        /// The part of the rule that decided.
        reason: &'static str,
    },
}

impl Decision {
    /// For an aggregation that is not fed by sources alone.
    pub const LATER: Self = Self { strategy: StrategyName::OwnedShards, basis: Basis::Later };

    /// For an aggregation that sources feed. `facts` are asked for if the choice depends on them.
    pub fn new(choice: StrategyChoice, facts: impl FnOnce() -> Facts) -> Self {
        match choice {
            StrategyChoice::Named(strategy) => Self { strategy, basis: Basis::Named },
            StrategyChoice::Auto => {
                let facts = facts();
                let Choice { strategy, reason } = choose(&facts);
                Self { strategy, basis: Basis::Auto { facts, reason } }
            }
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy = self.strategy;
        match &self.basis {
            Basis::Named => write!(f, "{strategy}"),
            Basis::Later => write!(f, "{strategy} (later exchange)"),
            Basis::Auto { facts, reason } => write!(f, "{strategy}, chosen by auto because {reason}: {facts}"),
        }
    }
}

/// What one worker takes that nobody reads from. It has nobody to share with: an exchange with itself costs it a second
/// table and a copy of every group, a lock that is always free costs next to nothing. Measured, both are equally fast at
/// 200 keys (90 and 89 M rows/s), and this one holds a window's groups once.
const ALONE: StrategyName = StrategyName::HoldLock;

/// What several workers take, for any number of keys and readers: with two producers it was the fastest of all for 200 and
/// 10,000 keys and within 5 % of the fastest for 1,000,000; nothing of it grows with the number of workers, and its
/// readers look at published versions, so that they hold up nobody.
const SHARED: StrategyName = StrategyName::OwnedShards;

/// The rule of `auto`.
#[must_use]
pub fn choose(facts: &Facts) -> Choice {
    match facts {
        Facts { workers: 1, readers: 0, .. } => Choice { strategy: ALONE, reason: "one worker shares with nobody" },
        Facts { workers: 1, .. } => Choice { strategy: SHARED, reason: "its readers hold up no worker" },
        Facts { readers: 1.., .. } => {
            Choice { strategy: SHARED, reason: "several workers share, and readers hold up none of them" }
        }
        _ => Choice { strategy: SHARED, reason: "several workers share" },
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sources, workers, cores, readers, keys } = self;
        let counted = |count: usize, noun: &str| match count {
            0 => format!("no {noun}s"),
            1 => format!("1 {noun}"),
            _ => format!("{} {noun}s", grouped(count as u64)),
        };
        write!(
            f,
            "{}, {} on {}, {}, {}",
            counted(*sources, "source"),
            counted(*workers, "worker"),
            counted(*cores, "core"),
            counted(*readers, "reader"),
            keys.map_or_else(|| "unknown number of keys".to_owned(), |keys| keys.to_string()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_all_are_there() {
        for name in StrategyChoice::NAMES {
            assert_eq!(name.parse::<StrategyChoice>().map(|choice| choice.to_string()), Ok(name.to_owned()));
        }
        for name in StrategyName::ALL {
            assert!(StrategyChoice::NAMES.contains(&name.as_str()), "{name}");
        }
        assert!("owned_shards".parse::<StrategyChoice>().is_err());
    }

    #[test]
    fn auto_decides_by_its_table() {
        let few = Some(KeyEstimate { rows: 65_536, seen: 200, keys: 200 });
        let many = Some(KeyEstimate { rows: 65_536, seen: 60_000, keys: 1_000_000 });
        #[rustfmt::skip]
        let table = [
            // sources, workers, readers, keys, strategy
            (1, 1, 0, few,  StrategyName::HoldLock),
            (1, 1, 0, many, StrategyName::HoldLock),
            (3, 1, 0, None, StrategyName::HoldLock),
            (1, 1, 1, few,  StrategyName::OwnedShards),
            (1, 2, 0, few,  StrategyName::OwnedShards),
            (1, 2, 0, many, StrategyName::OwnedShards),
            (2, 4, 0, few,  StrategyName::OwnedShards),
            (2, 4, 0, many, StrategyName::OwnedShards),
            (2, 4, 8, few,  StrategyName::OwnedShards),
            (1, 64, 0, None, StrategyName::OwnedShards),
        ];
        for (sources, workers, readers, keys, strategy) in table {
            let facts = Facts { sources, workers, cores: 2, readers, keys };
            assert_eq!(choose(&facts).strategy, strategy, "{facts}");
        }
    }

    #[test]
    fn facts_are_told_in_one_line() {
        let keys = Some(KeyEstimate { rows: 5_000, seen: 200, keys: 210 });
        let facts = Facts { sources: 2, workers: 1, cores: 8, readers: 0, keys };
        let told = "2 sources, 1 worker on 8 cores, no readers, about 210 keys (200 in the first 5,000 rows)";
        assert_eq!(facts.to_string(), told);
        let facts = Facts { sources: 1, workers: 2, cores: 1, readers: 3, keys: None };
        assert_eq!(facts.to_string(), "1 source, 2 workers on 1 core, 3 readers, unknown number of keys");
    }
}
