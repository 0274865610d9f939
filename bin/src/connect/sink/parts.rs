//! A directory of parts: `part-<n>-<m>.csv`, or the same in a directory for each partition.
//!
//! One thread writes them all. The rows of one block of input go to one writer `n`, block after block in turn, so which
//! rows are in the directory does not depend on the workers; where the sink keeps the order of its input (a query without
//! grouping or sorting), nor does which part they are in. A part is finished, and visible, when it is large or old enough,
//! when too many are open, and at the end; `m` goes on counting.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;

use super::commit::Commits;
use super::part::{Part, next_number, sweep_parts};
use super::partition::Partitioning;
use super::temporary::make_directories;
use super::{PartOptions, RowFormat, cannot};
use crate::connect::format::Format;
use crate::connect::{MakeEncoder, SinkRows, SinkWriter, WriteOutcome};
use crate::error::{Error, Result};

/// Parts that are open at most: each has a file and a buffer.
pub(super) const OPEN_PARTS_MAX: usize = 128;

/// Rows that parts hold in memory at most, over all: what a format gathers before it can write.
const HELD_BYTES_MAX: u64 = 256 << 20;

/// Partitions whose next number is remembered; the others are looked up again.
const NUMBERS_MAX: usize = 65_536;

/// Writes a directory of parts.
pub struct PartsWriter {
    directory: PathBuf,
    format: RowFormat,
    options: PartOptions,
    partitioning: Option<Partitioning>,
    /// By partition and writer.
    open: BTreeMap<PartKey, OpenPart>,
    /// The number of the next part.
    numbers: HashMap<PartKey, u64>,
    commits: Option<Commits>,
    /// Blocks so far.
    turn: u64,
    /// Writes so far: tells which part was used least recently.
    writes: u64,
    now: Instant,
    next_check: Instant,
}

/// A partition, as its path below the directory, empty in a table without; and a writer.
type PartKey = (String, u32);

struct OpenPart {
    part: Part,
    /// The write in which rows came last.
    used: u64,
}

impl PartsWriter {
    /// Makes the directory at `path`, and removes what dead writers have left in it.
    ///
    /// # Errors
    /// `Statement`, if a column's type cannot be written; `Connector`, if the directory cannot be made.
    pub fn create(path: &str, format: &Format, options: &PartOptions, schema: &SchemaRef) -> Result<Self> {
        let directory = PathBuf::from(path);
        let partitioning = match &options.partitions[..] {
            [] => None,
            partitions => Some(Partitioning::new(schema, partitions, &options.default_name)?),
        };
        let file_schema = partitioning.as_ref().map_or(Ok(schema.clone()), |parts| parts.file_schema(schema))?;
        let format = RowFormat::new(format, &file_schema)?;
        if directory.is_file() {
            return Err(Error::connector(format!("'{path}' is a file, and a directory of parts is to be written"))
                .help("remove the file, or name another directory"));
        }
        make_directories(&directory).map_err(|error| cannot("make the directory", &directory, error))?;
        let directory = directory.canonicalize().map_err(|error| cannot("find", &directory, error))?;
        sweep_parts(&directory, options.partitions.len());
        let commits = options.success_file.clone().map(|file| Commits::new(file, options.commit_delay));
        let now = Instant::now();
        Ok(Self {
            directory,
            format,
            partitioning,
            open: BTreeMap::new(),
            numbers: HashMap::new(),
            commits,
            turn: 0,
            writes: 0,
            now,
            next_check: now + options.check,
            options: options.clone(),
        })
    }

    /// What workers encode rows with; `None` where this writer needs batches, to tell partitions apart.
    #[must_use]
    pub fn encoder(&self) -> Option<MakeEncoder> {
        if self.partitioning.is_some() { None } else { self.format.encoder() }
    }

    fn write_partitions(&mut self, batches: &[RecordBatch], writer: u32) -> Result<()> {
        let (Some(partitioning), Some(first)) = (&self.partitioning, batches.first()) else { return Ok(()) };
        // As one, so that neither the order of the partitions nor the end of a part depends on the size of batches.
        let rows = match batches {
            [one] => one.clone(),
            _ => concat_batches(&first.schema(), batches).map_err(|error| Error::internal(error.to_string()))?,
        };
        for (partition, rows) in partitioning.split(&rows)? {
            let writer = if self.options.by_partition { self.writer_of(&partition) } else { writer };
            self.write_part((partition, writer), SinkRows::Batches(&[rows]))?;
        }
        Ok(())
    }

    fn writer_of(&self, partition: &str) -> u32 {
        // The keys of this hasher are fixed: the same partition has the same writer in every run.
        let mut hasher = DefaultHasher::new();
        partition.hash(&mut hasher);
        (hasher.finish() % u64::from(self.options.writers)) as u32
    }

    fn write_part(&mut self, key: PartKey, rows: SinkRows<'_>) -> Result<()> {
        self.writes += 1;
        if !self.open.contains_key(&key) {
            if self.open.len() >= OPEN_PARTS_MAX {
                self.finish_least_recent()?;
            }
            self.begin(&key)?;
        }
        if let Some(commits) = &mut self.commits {
            commits.note(&key.0, self.now);
        }
        let Some(open) = self.open.get_mut(&key) else { return Err(Error::internal("a part was not opened")) };
        open.used = self.writes;
        open.part.write(rows, self.now)?;
        if open.part.bytes() >= self.options.file_bytes {
            self.finish_part(&key)?;
        }
        while self.open.values().map(|open| open.part.held_bytes()).sum::<u64>() > HELD_BYTES_MAX {
            self.finish_least_recent()?;
        }
        Ok(())
    }

    fn begin(&mut self, key: &PartKey) -> Result<()> {
        let (partition, writer) = key;
        let directory = self.directory.join(partition);
        if self.numbers.len() >= NUMBERS_MAX {
            self.numbers.clear();
        }
        let number = match self.numbers.get(key) {
            Some(number) => *number,
            None => next_number(&directory, *writer),
        };
        let (part, next) = Part::begin(&directory, *writer, number, &self.format, self.now)?;
        self.numbers.insert(key.clone(), next);
        self.open.insert(key.clone(), OpenPart { part, used: self.writes });
        Ok(())
    }

    fn finish_least_recent(&mut self) -> Result<()> {
        let least = self.open.iter().min_by_key(|(_, open)| open.used).map(|(key, _)| key.clone());
        least.map_or(Ok(()), |key| self.finish_part(&key))
    }

    fn finish_part(&mut self, key: &PartKey) -> Result<()> {
        let Some(open) = self.open.remove(key) else { return Ok(()) };
        open.part.finish()?;
        self.commit_if_due(&key.0)
    }

    fn commit_if_due(&mut self, partition: &str) -> Result<()> {
        let first = (partition.to_owned(), 0);
        let is_open = self.open.range(first..).next().is_some_and(|((found, _), _)| found == partition);
        match &mut self.commits {
            Some(commits) if !is_open && commits.is_due(partition, self.now) => {
                commits.commit(&self.directory, partition)
            }
            _ => Ok(()),
        }
    }

    /// Finishes the parts that are old or have been still for too long, and commits what is due.
    fn check(&mut self) -> Result<()> {
        let (now, options) = (self.now, &self.options);
        let is_due = |part: &Part| {
            now.saturating_duration_since(part.opened()) >= options.rollover
                || now.saturating_duration_since(part.written()) >= options.inactivity
        };
        let due: Vec<PartKey> =
            self.open.iter().filter(|(_, open)| is_due(&open.part)).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.finish_part(&key)?;
        }
        for partition in self.commits.as_ref().map(Commits::pending).unwrap_or_default() {
            self.commit_if_due(&partition)?;
        }
        Ok(())
    }
}

impl SinkWriter for PartsWriter {
    fn write(&mut self, rows: SinkRows<'_>) -> Result<WriteOutcome> {
        let writer = (self.turn % u64::from(self.options.writers)) as u32;
        self.turn += 1;
        match (rows, &self.partitioning) {
            (SinkRows::Batches(batches), Some(_)) => self.write_partitions(batches, writer)?,
            (rows, None) => self.write_part((String::new(), writer), rows)?,
            (SinkRows::Encoded(_), Some(_)) => {
                return Err(Error::internal("a partitioned sink was given encoded rows"));
            }
        }
        Ok(WriteOutcome::Written)
    }

    fn look(&mut self, now: Instant) -> Result<Option<Duration>> {
        self.now = now;
        if now >= self.next_check {
            self.next_check = now + self.options.check;
            self.check()?;
        }
        Ok(Some(self.next_check.saturating_duration_since(now)))
    }

    fn finish(&mut self) -> Result<()> {
        let keys: Vec<PartKey> = self.open.keys().cloned().collect();
        for key in keys {
            self.finish_part(&key)?;
        }
        if let Some(commits) = &mut self.commits {
            if self.partitioning.is_none() {
                commits.note("", self.now);
            }
            for partition in commits.pending() {
                commits.commit(&self.directory, &partition)?;
            }
        }
        Ok(())
    }
}
