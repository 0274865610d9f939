//! Files that are followed as they grow, as by `tail -F`: `source.monitor-interval`.
//!
//! One thread looks at the path, directory or glob at every interval, and reads what is new, in the order of the files'
//! names; in between it sleeps. Each *generation* of a file, which is one inode, is a stream of its own:
//! - what a file has grown by is read; a line that is not finished waits in its stream until the rest comes,
//! - a file that was renamed or deleted is read to its end. It is ended, and an unfinished line becomes a record, when it
//!   has not grown for `QUIET_LOOKS` looks: who writes it may take a while to notice. A file renamed to a name that is
//!   followed too goes on as it is,
//! - another inode under a known name is a new generation, read from its start after the old one. Generations of a single
//!   followed path that came and went between two looks are found under the names that they were given,
//! - a file that has become shorter, or does not begin as it did, was truncated and is a new generation too.
//!
//! A generation is known by device and inode, and by its first bytes: an inode that was given to another file does not
//! begin the same. Compressed files are followed like others: what can be decompressed is read, the rest waits.

mod generation;
mod listing;
mod notices;
mod rotated;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use self::generation::{Generation, Growth};
use self::listing::{FileId, Listed, Watch};
use self::notices::Notices;
use self::rotated::Bystanders;
use super::feed::{Ending, Feed, Feeder};
use super::packing::Fault;
use super::sequence::{Pumped, end};
use crate::connect::TableScan;
use crate::connect::filesystem::unreadable;
use crate::error::Result;

/// Looks without growth after which a file that is gone is taken to be finished.
const QUIET_LOOKS: u32 = 2;

/// Files held open at most; the others are opened when they have grown.
const OPEN_FILES_MAX: usize = 256;

/// Files that are read between two counts of the open ones.
const CLOSE_EVERY: u64 = 64;

/// Starts following `path`, a file, a directory or a glob; what is there already is read first.
///
/// # Errors
/// `Connector`, if there can never be anything at `path`, or the thread cannot be started.
pub fn start(path: &str, interval: Duration, scan: &TableScan<'_>) -> Result<Feed> {
    let watch = Watch::new(path)?;
    // Before anybody can take what is written from now on for something old.
    let bystanders = Bystanders::of(watch.rotating_path());
    let notices = Notices::default();
    if let Some(path) = watch.rotating_path().filter(|path| !path.exists()) {
        notices.awaited(path);
    }
    Feed::start("thalweg-follow", None, scan, move |feeder| {
        let (live, known_paths) = (Vec::new(), HashSet::new());
        let mut follower = Follower { watch, feeder, notices, live, known_paths, bystanders, reads: 0 };
        while follower.look().is_continue() && !follower.feeder.is_stopped() {
            follower.feeder.sleep(interval);
        }
    })
}

/// What the thread knows of the files.
struct Follower {
    watch: Watch,
    feeder: Feeder,
    notices: Notices,
    /// Files that are there, and files that are gone but may still be written.
    live: Vec<Generation>,
    /// Paths that had a generation before.
    known_paths: HashSet<PathBuf>,
    bystanders: Bystanders,
    /// Files that had grown, so far.
    reads: u64,
}

impl Follower {
    /// Looks once, and reads all that is new. Breaks off if nobody wants more, or an error ended the job.
    fn look(&mut self) -> ControlFlow<()> {
        let listing = self.watch.list(&mut self.notices);
        let by_id: HashMap<FileId, &Listed> = listing.iter().map(|listed| (listed.id, listed)).collect();
        for generation in &mut self.live {
            match by_id.get(&generation.id) {
                Some(listed) => generation.is_listed_as(&listed.path),
                None => generation.is_gone = true,
            }
        }
        drop(by_id);
        // Before anything new: what is gone comes first in the order of time.
        self.read_gone()?;
        let at: HashMap<FileId, usize> = self.live.iter().enumerate().map(|(at, live)| (live.id, at)).collect();
        for listed in &listing {
            match at.get(&listed.id) {
                Some(&at) => self.read_listed(at, listed)?,
                None => self.begin(listed)?,
            }
        }
        self.adopt_rotated(None)?;
        self.live.retain(|generation| !generation.is_ended());
        self.close_idle();
        ControlFlow::Continue(())
    }

    /// Reads files that are gone to their present ends, and ends those that have been quiet.
    fn read_gone(&mut self) -> ControlFlow<()> {
        for at in 0..self.live.len() {
            if self.live[at].is_gone {
                self.read_gone_one(at)?;
            }
        }
        self.live.retain(|generation| !generation.is_ended());
        ControlFlow::Continue(())
    }

    fn read_gone_one(&mut self, at: usize) -> ControlFlow<()> {
        match self.live[at].look_through_handle() {
            Some(Growth::Grown(bytes)) => {
                self.live[at].quiet_looks = 0;
                self.read(at, bytes)
            }
            // Truncated after it was renamed: whoever did so wanted it to be empty.
            Some(Growth::None | Growth::Replaced) if self.live[at].quiet_looks < QUIET_LOOKS => {
                self.live[at].quiet_looks += 1;
                ControlFlow::Continue(())
            }
            _ => self.end(at),
        }
    }

    /// Reads what a file that is there has grown by.
    fn read_listed(&mut self, at: usize, listed: &Listed) -> ControlFlow<()> {
        match self.live[at].look(listed) {
            Ok(Growth::None) => ControlFlow::Continue(()),
            Ok(Growth::Grown(bytes)) => self.read(at, bytes),
            Ok(Growth::Replaced) => {
                self.notices.truncated(&listed.path);
                self.bystanders.refresh(&self.live);
                self.end(at)?;
                self.begin(listed)
            }
            Err(error) => {
                self.notices.unreadable(&listed.path, &error);
                ControlFlow::Continue(())
            }
        }
    }

    /// A file that was not there before, or not under this inode.
    fn begin(&mut self, listed: &Listed) -> ControlFlow<()> {
        let generation = match Generation::open(&listed.path) {
            Ok(generation) => generation,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return ControlFlow::Continue(()),
            Err(error) => {
                self.notices.unreadable(&listed.path, &error);
                return ControlFlow::Continue(());
            }
        };
        // Renamed since it was listed: the next look finds it.
        if self.live.iter().any(|live| !live.is_ended() && live.id == generation.id) {
            return ControlFlow::Continue(());
        }
        if !self.known_paths.insert(listed.path.clone()) && !self.was_truncated(&listed.path) {
            self.notices.rotated(&listed.path);
            self.bystanders.expect_more();
        }
        self.adopt_rotated(Some(generation.id))?;
        self.read_new(generation)
    }

    /// The generation that had this path ended in this very look, because the file was truncated.
    fn was_truncated(&self, path: &std::path::Path) -> bool {
        self.live.iter().any(|live| live.is_ended() && live.path == path && !live.is_gone)
    }

    /// Reads generations of the one followed path that came and went unseen, before the `newest` if that is known.
    fn adopt_rotated(&mut self, newest: Option<FileId>) -> ControlFlow<()> {
        for generation in self.bystanders.unseen(&self.live, newest) {
            self.notices.rotated(self.watch.path());
            self.read_new(generation)?;
        }
        ControlFlow::Continue(())
    }

    fn read_new(&mut self, mut generation: Generation) -> ControlFlow<()> {
        generation.stream = Some(self.feeder.begin(&generation.path.to_string_lossy()));
        self.live.push(generation);
        let at = self.live.len() - 1;
        match self.live[at].look_through_handle() {
            Some(Growth::Grown(bytes)) => self.read(at, bytes),
            _ => ControlFlow::Continue(()),
        }
    }

    /// Reads up to `bytes` of the file.
    fn read(&mut self, at: usize, bytes: u64) -> ControlFlow<()> {
        let generation = &mut self.live[at];
        self.reads += 1;
        generation.last_growth = self.reads;
        if self.reads.is_multiple_of(CLOSE_EVERY) {
            self.close_idle();
        }
        let generation = &mut self.live[at];
        match generation.pump(&mut self.feeder, bytes) {
            Ok(Pumped::Dry) => ControlFlow::Continue(()),
            Ok(Pumped::Stopped) => ControlFlow::Break(()),
            Err(Fault::Io(error)) => {
                self.feeder.fail(unreadable(&generation.path, &error));
                ControlFlow::Break(())
            }
            Err(Fault::Damage(damage)) => {
                let input_offset = generation.unpacker.packed_offset();
                match generation.stream.take() {
                    // What comes behind the fault is never read, but the file stays known as long as it is there.
                    Some(stream) => self.feeder.finish(stream, Ending::Damaged(damage), input_offset),
                    None => ControlFlow::Continue(()),
                }
            }
        }
    }

    fn end(&mut self, at: usize) -> ControlFlow<()> {
        let generation = &mut self.live[at];
        generation.end();
        self.bystanders.add(generation);
        match generation.stream.take() {
            Some(stream) => end(&mut self.feeder, stream, &mut generation.unpacker),
            None => ControlFlow::Continue(()),
        }
    }

    /// Closes the files that have not grown for longest, so that descriptors are bounded.
    fn close_idle(&mut self) {
        let mut open: Vec<&mut Generation> =
            self.live.iter_mut().filter(|live| live.is_open() && !live.is_gone).collect();
        if open.len() > OPEN_FILES_MAX {
            open.sort_by_key(|live| std::cmp::Reverse(live.last_growth));
            open.drain(OPEN_FILES_MAX..).for_each(Generation::close);
        }
    }
}

#[cfg(test)]
mod tests;
