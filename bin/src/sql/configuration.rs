//! SET and RESET: what was set, what overrides it, and which values are accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thalweg_operators::kernels::{Kernels, UnknownKernels};
use thalweg_runtime::state::UnknownStrategy;

use super::nearest;
use super::reader::Name;
use crate::connect::options::parse_duration_ms;
use crate::error::{Error, Result};
use crate::job::Metrics;
use crate::plan::MiniBatch;
use crate::plan::strategy::StrategyChoice;

/// The keys whose values decide something here: a slip in them would be lost in silence, since Flink takes any key.
const KEYS: [&str; 9] =
    [MODE, TIME_ZONE, NOT_NULL, STRATEGY, KERNELS, METRICS, MINI_BATCH, MINI_BATCH_LATENCY, MINI_BATCH_SIZE];

/// `execution.runtime-mode`.
pub(crate) const MODE: &str = "execution.runtime-mode";
/// `table.local-time-zone`.
pub(crate) const TIME_ZONE: &str = "table.local-time-zone";
/// What becomes of a row with a NULL for a sink's column that is NOT NULL.
const NOT_NULL: &str = "table.exec.sink.not-null-enforcer";

/// Whether the changes of running aggregations are gathered.
const MINI_BATCH: &str = "table.exec.mini-batch.enabled";
/// For how long.
const MINI_BATCH_LATENCY: &str = "table.exec.mini-batch.allow-latency";
/// For how many rows.
const MINI_BATCH_SIZE: &str = "table.exec.mini-batch.size";

/// As `--strategy`.
pub(crate) const STRATEGY: &str = "thalweg.state.strategy";
/// As `--kernels`.
pub(crate) const KERNELS: &str = "thalweg.kernels";
/// As `--metrics`.
pub(crate) const METRICS: &str = "thalweg.metrics";

/// Prefix of what is Thalweg's own.
const OWN: &str = "thalweg.";

/// How rows are to be computed, before the sources are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeSetting {
    Streaming,
    Batch,
    /// Batch if every source is bounded.
    Automatic,
}

/// What is set.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    /// From the command line: they stay.
    fixed: BTreeMap<String, String>,
    /// By SET.
    set: BTreeMap<String, String>,
}

impl Configuration {
    pub(crate) fn new(fixed: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { fixed: fixed.into_iter().collect(), set: BTreeMap::new() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.fixed.get(key).or_else(|| self.set.get(key)).map(String::as_str)
    }

    /// Everything that is set, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let keys: BTreeSet<&String> = self.fixed.keys().chain(self.set.keys()).collect();
        keys.into_iter().filter_map(|key| Some((key.as_str(), self.get(key)?)))
    }

    /// SET. Keys of Flink that Thalweg does not know are kept, as Flink keeps them.
    ///
    /// # Errors
    /// If the value is not accepted, or the key looks like a slip.
    pub(crate) fn set(&mut self, key: &Name, value: &str) -> Result<()> {
        check(&key.value, value).map_err(|error| error.at(key.span.clone()))?;
        self.set.insert(key.value.clone(), value.to_owned());
        Ok(())
    }

    /// RESET of one key or of all.
    pub(crate) fn reset(&mut self, key: Option<&Name>) {
        match key {
            Some(key) => drop(self.set.remove(&key.value)),
            None => self.set.clear(),
        }
    }

    /// `execution.runtime-mode`.
    ///
    /// # Errors
    /// If it was set on the command line to something else than a mode.
    pub(crate) fn mode(&self) -> Result<ModeSetting> {
        mode(self.get(MODE).unwrap_or("automatic"))
    }

    /// Whether rows with a NULL for a sink's column that is NOT NULL are left out; they end the job otherwise.
    pub(crate) fn drops_nulls(&self) -> bool {
        self.get(NOT_NULL).is_some_and(|value| value.eq_ignore_ascii_case("drop"))
    }

    /// `table.exec.mini-batch.*`, if they are enabled. As in Flink, latency and size must both be given then.
    ///
    /// # Errors
    /// If one of them is missing, or was set on the command line to something that is not accepted.
    pub(crate) fn mini_batch(&self) -> Result<Option<MiniBatch>> {
        if !self.get(MINI_BATCH).map_or(Ok(false), truth)? {
            return Ok(None);
        }
        let given = |key, example| {
            self.get(key).ok_or_else(|| {
                Error::statement(format!("'{MINI_BATCH}' is 'true', and '{key}' is not set"))
                    .help(format!("SET '{key}' = '{example}'"))
            })
        };
        let latency = mini_batch_latency(given(MINI_BATCH_LATENCY, "1 s")?)?;
        Ok(Some(MiniBatch { rows: mini_batch_size(given(MINI_BATCH_SIZE, "5000")?)?, latency }))
    }

    /// `thalweg.state.strategy`, if it is set.
    ///
    /// # Errors
    /// If it was set on the command line to something else than a strategy.
    pub(crate) fn strategy(&self) -> Result<Option<StrategyChoice>> {
        self.get(STRATEGY).map(strategy).transpose()
    }

    /// `thalweg.kernels`, if it is set.
    ///
    /// # Errors
    /// If it was set on the command line to something else than kernels.
    pub(crate) fn kernels(&self) -> Result<Option<Kernels>> {
        self.get(KERNELS).map(kernels).transpose()
    }

    /// `thalweg.metrics`, if it is set.
    ///
    /// # Errors
    /// If it was set on the command line to something else than `off`, `latency` or `on`.
    pub(crate) fn metrics(&self) -> Result<Option<Metrics>> {
        self.get(METRICS).map(metrics).transpose()
    }

    /// Options of a table that were set as `thalweg.table.NAME.OPTION`.
    pub(crate) fn table_options<'a>(&'a self, table: &str) -> impl Iterator<Item = (String, String)> + use<'a> {
        let prefix = format!("{OWN}table.{table}.");
        self.iter().filter_map(move |(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value.to_owned())))
    }

    /// Checks what came from the command line.
    ///
    /// # Errors
    /// For the first value that is not accepted.
    pub(crate) fn check_fixed(&self) -> Result<()> {
        self.fixed.iter().try_for_each(|(key, value)| {
            check(key, value).map_err(|error| Error { message: format!("--set {key}: {}", error.message), ..error })
        })
    }
}

fn mode(value: &str) -> Result<ModeSetting> {
    match value.to_ascii_lowercase().as_str() {
        "streaming" => Ok(ModeSetting::Streaming),
        "batch" => Ok(ModeSetting::Batch),
        "automatic" => Ok(ModeSetting::Automatic),
        other => {
            let error = Error::statement(format!("'{other}' is not a runtime mode"));
            Err(match nearest(other, ["streaming", "batch", "automatic"].into_iter()) {
                Some(near) => error.help(format!("did you mean '{near}'?")),
                None => error.help("'streaming', 'batch' or 'automatic'"),
            })
        }
    }
}

fn truth(value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::statement(format!("'{value}' is not a truth value")).help("'true' or 'false'")),
    }
}

fn mini_batch_latency(value: &str) -> Result<Duration> {
    let ms = parse_duration_ms(value).and_then(|ms| u64::try_from(ms).ok()).filter(|&ms| ms > 0);
    ms.map(Duration::from_millis).ok_or_else(|| {
        Error::statement(format!("'{value}' is not a time for mini-batches"))
            .help("more than nothing, as '1 s' or '500 ms'")
    })
}

fn mini_batch_size(value: &str) -> Result<u64> {
    value.trim().parse().ok().filter(|&rows| rows > 0).ok_or_else(|| {
        Error::statement(format!("'{value}' is not a size of mini-batches")).help("a number of rows above 0, as '5000'")
    })
}

fn kernels(value: &str) -> Result<Kernels> {
    value.parse().map_err(|_: UnknownKernels| {
        Error::statement(format!("there are no kernels '{value}'")).help("'scalar' or 'simd'")
    })
}

fn strategy(value: &str) -> Result<StrategyChoice> {
    value.parse().map_err(|_: UnknownStrategy| {
        let error = Error::statement(format!("'{value}' is not a strategy of sharing state"));
        match nearest(value, StrategyChoice::NAMES.into_iter()) {
            Some(near) => error.help(format!("did you mean '{near}'?")),
            None => {
                let [names @ .., last] = StrategyChoice::NAMES;
                error.help(format!("there are {} and {last}", names.join(", ")))
            }
        }
    })
}

fn metrics(value: &str) -> Result<Metrics> {
    value.parse().map_err(|_| {
        Error::statement(format!("'{value}' is none of 'off', 'latency' and 'on'")).help(
            "'latency' measures how long rows take, 'on' also where the time of each GROUP BY goes, 'off' measures nothing",
        )
    })
}

fn check(key: &str, value: &str) -> Result<()> {
    match key {
        MODE => mode(value).map(drop),
        STRATEGY => strategy(value).map(drop),
        KERNELS => kernels(value).map(drop),
        METRICS => metrics(value).map(drop),
        MINI_BATCH => truth(value).map(drop),
        MINI_BATCH_LATENCY => mini_batch_latency(value).map(drop),
        MINI_BATCH_SIZE => mini_batch_size(value).map(drop),
        TIME_ZONE => match value {
            "UTC" | "Etc/UTC" | "GMT" | "Z" | "+00:00" | "GMT+00:00" | "UTC+00:00" => Ok(()),
            _ => Err(Error::statement(format!("the time zone '{value}' is not supported"))
                .help("TIMESTAMP_LTZ is shown in UTC; CONVERT_TZ converts a string to another zone")),
        },
        NOT_NULL if !["error", "drop"].iter().any(|known| value.eq_ignore_ascii_case(known)) => {
            Err(Error::statement(format!("'{value}' is not a way to treat a NULL that may not be"))
                .help("'error' ends the job, 'drop' leaves the row out"))
        }
        _ => match nearest(key, KEYS.into_iter()) {
            Some(near) if near != key && strsim::damerau_levenshtein(near, key) <= 2 => {
                Err(Error::statement(format!("there is no setting '{key}'")).help(format!("did you mean '{near}'?")))
            }
            _ => Ok(()),
        },
    }
}
