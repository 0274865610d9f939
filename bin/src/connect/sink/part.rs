//! One part of a directory, from its hidden name to the visible one.

use std::path::Path;
use std::time::Instant;

use super::temporary::{make_directories, sweep};
use super::{RowFile, RowFormat, Temporary, cannot};
use crate::connect::SinkRows;
use crate::error::{Error, Result};

/// A part that is being written. Dropping it removes its file.
pub struct Part {
    rows: Box<dyn RowFile>,
    temporary: Temporary,
    opened: Instant,
    written: Instant,
}

/// How many names may be taken by parts that others are writing before this writer gives up.
const NEIGHBOURS_MAX: u64 = 10_000;

impl Part {
    /// Begins the next part of writer `writer` in `directory`, which is made if it is not there: `part-<writer>-<m>.csv`,
    /// with the first `m` from `number` on that nobody has. Gives the part and the number after its own.
    ///
    /// # Errors
    /// `Connector`, if the system refuses.
    pub fn begin(directory: &Path, writer: u32, number: u64, format: &RowFormat, now: Instant) -> Result<(Self, u64)> {
        make_directories(directory).map_err(|error| cannot("make the directory", directory, error))?;
        for number in number..number.saturating_add(NEIGHBOURS_MAX) {
            let path = directory.join(format!("part-{writer}-{number}.{}", format.extension()));
            let reserved = Temporary::reserve(&path).map_err(|error| cannot("make", &path, error))?;
            if let Some((temporary, file)) = reserved {
                let rows = format.begin(file, &path).map_err(|error| cannot("write", &path, error))?;
                return Ok((Self { rows, temporary, opened: now, written: now }, number + 1));
            }
        }
        Err(Error::connector(format!("too many parts are being written in '{}'", directory.display()))
            .help("see who else writes there"))
    }

    /// Appends rows.
    ///
    /// # Errors
    /// `Connector`, if the system refuses; others, if a value cannot be written.
    pub fn write(&mut self, rows: SinkRows<'_>, now: Instant) -> Result<()> {
        self.written = now;
        self.rows.write(rows).map_err(|error| cannot("write", self.temporary.destination(), error))
    }

    /// Makes it visible.
    ///
    /// # Errors
    /// As for `write`.
    pub fn finish(self) -> Result<()> {
        let destination = self.temporary.destination().to_path_buf();
        let finished = self.rows.finish().and_then(|file| self.temporary.publish(&file));
        finished.map_err(|error| cannot("finish", &destination, error))
    }

    /// Bytes of the file so far, about.
    pub fn bytes(&self) -> u64 {
        self.rows.bytes()
    }

    /// Bytes of rows that are in memory.
    pub fn held_bytes(&self) -> u64 {
        self.rows.held_bytes()
    }

    /// When it was begun.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// When rows came last.
    pub fn written(&self) -> Instant {
        self.written
    }
}

/// The number after the greatest that a part of writer `writer` in `directory` has: 0 where there is none.
pub(super) fn next_number(directory: &Path, writer: u32) -> u64 {
    let prefix = format!("part-{writer}-");
    let number = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let digits = name.to_str()?.strip_prefix(&prefix)?.split('.').next()?;
        digits.parse::<u64>().ok()
    };
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries.flatten().filter_map(number).max().map_or(0, |greatest| greatest.saturating_add(1))
}

/// Removes the leftovers of dead writers in `directory`, and in the partitions below it: `depth` levels of `name=value`.
pub(super) fn sweep_parts(directory: &Path, depth: usize) {
    sweep(directory, |name| name.starts_with(".part-") && name.ends_with(".tmp"));
    if depth == 0 {
        return;
    }
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let is_partition = entry.file_name().as_encoded_bytes().contains(&b'=');
        if is_partition && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep_parts(&entry.path(), depth - 1);
        }
    }
}
