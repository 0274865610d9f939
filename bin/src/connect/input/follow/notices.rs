//! What whoever runs the job should know of followed files: said once for each file, and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::report::progress::aside;

/// Rotations and truncations so far. Dropping it tells the sums.
#[derive(Debug, Default)]
pub struct Notices {
    counts: BTreeMap<PathBuf, Counts>,
    /// Files of which it was said that they cannot be read, or are not there.
    told: BTreeSet<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    rotated: u64,
    truncated: u64,
}

impl Notices {
    /// Another file is found under the path.
    pub fn rotated(&mut self, path: &Path) {
        let counts = self.counts.entry(path.to_owned()).or_default();
        counts.rotated += 1;
        if counts.rotated == 1 {
            say(&format!("`{}` was rotated: the old file is read to its end, then the new one", path.display()));
        }
    }

    /// The file has lost bytes.
    pub fn truncated(&mut self, path: &Path) {
        let counts = self.counts.entry(path.to_owned()).or_default();
        counts.truncated += 1;
        if counts.truncated == 1 {
            say(&format!(
                "warning: `{}` was truncated and is read again from its start; what was written between the last look \
                 and the truncation is lost (rotate by renaming to lose nothing)",
                path.display()
            ));
        }
    }

    /// The file cannot be read; it is tried again.
    pub fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        if self.told.insert(path.to_owned()) {
            say(&format!("warning: cannot read `{}`: {error}; it is tried again at every look", path.display()));
        }
    }

    /// The one file that is followed is not there yet.
    pub fn awaited(&self, path: &Path) {
        say(&format!("`{}` is not there; it is read when it comes", path.display()));
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        for (path, Counts { rotated, truncated }) in &self.counts {
            if rotated + truncated > 1 {
                say(&format!("`{}` was rotated {rotated} times and truncated {truncated} times", path.display()));
            }
        }
    }
}

fn say(text: &str) {
    aside(|| eprintln!("{text}"));
}
