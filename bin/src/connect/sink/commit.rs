//! When a partition is complete, and how others are told: an empty file `_SUCCESS` in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use super::cannot;
use super::temporary::sync_directory;
use crate::error::Result;

/// Partitions that were written and not yet committed.
pub struct Commits {
    success_file: String,
    delay: Duration,
    /// By path below the table's directory: when its first row came.
    pending: BTreeMap<String, Instant>,
}

impl Commits {
    /// Commits by a file of this name, not sooner than `delay` after a partition's first row.
    pub fn new(success_file: String, delay: Duration) -> Self {
        Self { success_file, delay, pending: BTreeMap::new() }
    }

    /// Rows of this partition have come.
    pub fn note(&mut self, partition: &str, now: Instant) {
        if !self.pending.contains_key(partition) {
            self.pending.insert(partition.to_owned(), now);
        }
    }

    /// Whether this partition may be committed by its age.
    pub fn is_due(&self, partition: &str, now: Instant) -> bool {
        // The directory of a table without partitions is complete when the job is.
        let age = self.pending.get(partition).map(|first| now.saturating_duration_since(*first));
        !partition.is_empty() && age.is_some_and(|age| age >= self.delay)
    }

    /// The partitions that are not committed.
    pub fn pending(&self) -> Vec<String> {
        self.pending.keys().cloned().collect()
    }

    /// Says that a partition of the table in `directory` is complete. Rows that come later begin anew.
    ///
    /// # Errors
    /// `Connector`, if the system refuses.
    pub fn commit(&mut self, directory: &Path, partition: &str) -> Result<()> {
        let directory = directory.join(partition);
        let path = directory.join(&self.success_file);
        let made = File::create(&path).and_then(|file| file.sync_all()).and_then(|()| sync_directory(&directory));
        made.map_err(|error| cannot("make", &path, error))?;
        self.pending.remove(partition);
        Ok(())
    }
}
