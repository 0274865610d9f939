//! Inputs: what blocks are read from, and by whom.
//!
//! Plain files that are read once are a [`chain`] whose blocks workers read side by side. All else is read by one helper
//! thread that fills a [`feed`]: a [`sequence`] of files of which some are compressed, a pipe, or files that are
//! [followed](follow) as they grow.

pub mod chain;
pub mod feed;
pub mod follow;
pub mod packing;
pub mod peek;
pub mod pipe;
pub mod sequence;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use self::packing::{MAGIC_BYTES, Packing};
use super::filesystem::unreadable;
use crate::error::{Error, Result};

/// A file that is to be read, as it was when it was looked at.
#[derive(Clone, Debug)]
pub struct ListedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How it is packed; for a name that promises a packing, that one.
    pub packing: Packing,
}

impl ListedFile {
    /// Looks at the file: a file that may not be read is known before the job starts.
    ///
    /// # Errors
    /// `Connector`, if it cannot be read.
    pub fn look(path: PathBuf) -> Result<Self> {
        let look = || -> std::io::Result<(u64, Packing)> {
            let mut file = File::open(&path)?;
            let bytes = file.metadata()?.len();
            let mut head = [0; MAGIC_BYTES];
            let mut known = 0;
            while known < MAGIC_BYTES {
                match file.read(&mut head[known..])? {
                    0 => break,
                    more => known += more,
                }
            }
            Ok((bytes, Packing::of(&head[..known]).unwrap_or(Packing::Plain)))
        };
        let (bytes, found) = look().map_err(|error| unreadable(&path, &error))?;
        let promised = path.to_str().and_then(Packing::of_name);
        Ok(Self { bytes, packing: if found == Packing::Plain { promised.unwrap_or(found) } else { found }, path })
    }
}

/// The error for a file that lost bytes while it was read.
fn shrunk(path: &Path, expected: u64) -> Error {
    let path = path.display();
    Error::connector(format!("`{path}` became shorter than the {expected} bytes it had when it was opened"))
        .help("read a file that nobody truncates, for example a copy, or follow it with 'source.monitor-interval'")
}
