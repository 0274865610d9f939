//! Which core a worker runs on, and the truth about it where the system forbids the choice.

use std::fmt;

/// How workers are bound to cores.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Pin {
    /// One worker to a core, if there are no more workers than cores.
    #[default]
    Auto,
    /// The system's scheduler decides.
    Off,
    /// Worker *i* on the core with the *i*-th of these numbers, round and round.
    Cores(Vec<usize>),
}

/// Where a worker ended up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// On the core with this number.
    Core(usize),
    /// On no core of its own.
    No(NotPinned),
}

/// Why a worker has no core of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPinned {
    /// It was not asked for.
    Off,
    /// There are more workers than cores.
    FewCores {
        /// Cores that this process may use.
        cores: usize,
    },
    /// The core does not exist, or this process may not use it.
    NoSuchCore {
        /// The number that was asked for.
        core: usize,
    },
    /// The system does not say which cores there are.
    CoresUnknown,
    /// The system refused.
    Refused {
        /// The core's number.
        core: usize,
    },
}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => write!(f, "pinning is off"),
            Self::FewCores { cores } => write!(f, "there are more workers than the {cores} cores of this process"),
            Self::NoSuchCore { core } => write!(f, "core {core} does not exist or is not for this process"),
            Self::CoresUnknown => write!(f, "the system does not tell its cores"),
            Self::Refused { core } => write!(f, "the system refused to bind the worker to core {core}"),
        }
    }
}

/// Which core each of `workers` workers is to run on, given the cores that this process may use.
///
/// Pure, so that it can be tested on any machine.
#[must_use]
pub fn plan(pin: &Pin, workers: usize, cores: Option<&[usize]>) -> Vec<Result<usize, NotPinned>> {
    let Some(cores) = cores.filter(|cores| !cores.is_empty()) else {
        let reason = if *pin == Pin::Off { NotPinned::Off } else { NotPinned::CoresUnknown };
        return vec![Err(reason); workers];
    };
    match pin {
        Pin::Off => vec![Err(NotPinned::Off); workers],
        Pin::Auto if workers > cores.len() => vec![Err(NotPinned::FewCores { cores: cores.len() }); workers],
        Pin::Auto => cores.iter().take(workers).map(|core| Ok(*core)).collect(),
        Pin::Cores(asked) if asked.is_empty() => vec![Err(NotPinned::Off); workers],
        Pin::Cores(asked) => {
            let choose =
                |core: &usize| cores.contains(core).then_some(*core).ok_or(NotPinned::NoSuchCore { core: *core });
            asked.iter().cycle().take(workers).map(choose).collect()
        }
    }
}

/// The cores that this process may use; None if the system does not say.
#[must_use]
pub fn usable_cores() -> Option<Vec<usize>> {
    core_affinity::get_core_ids().map(|cores| cores.into_iter().map(|core| core.id).collect())
}

/// Binds the calling thread to a core.
pub fn pin_current(choice: Result<usize, NotPinned>) -> Pinned {
    match choice {
        Ok(core) if core_affinity::set_for_current(core_affinity::CoreId { id: core }) => Pinned::Core(core),
        Ok(core) => Pinned::No(NotPinned::Refused { core }),
        Err(reason) => Pinned::No(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How to pin, workers, cores of the process, and what is to come of it.
    type Case = (Pin, usize, Option<&'static [usize]>, Vec<Result<usize, NotPinned>>);

    #[test]
    fn each_way_to_pin_gives_every_worker_a_core_or_the_reason_why_not() {
        let few = Err(NotPinned::FewCores { cores: 2 });
        let cases: [Case; 7] = [
            (Pin::Auto, 2, Some(&[4, 6]), vec![Ok(4), Ok(6)]),
            (Pin::Auto, 1, Some(&[4, 6]), vec![Ok(4)]),
            (Pin::Auto, 3, Some(&[4, 6]), vec![few; 3]),
            (Pin::Auto, 1, None, vec![Err(NotPinned::CoresUnknown)]),
            (Pin::Off, 1, Some(&[0]), vec![Err(NotPinned::Off)]),
            (Pin::Cores(vec![6, 4]), 3, Some(&[4, 6]), vec![Ok(6), Ok(4), Ok(6)]),
            (Pin::Cores(vec![9]), 1, Some(&[4, 6]), vec![Err(NotPinned::NoSuchCore { core: 9 })]),
        ];
        for (pin, workers, cores, expected) in cases {
            assert_eq!(plan(&pin, workers, cores), expected, "{pin:?} for {workers} workers on {cores:?}");
        }
    }
}
