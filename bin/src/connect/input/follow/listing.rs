//! Which files are there now, of a path, a directory or a glob.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::notices::Notices;
use crate::connect::filesystem::{is_hidden, unreadable};
use crate::error::{Error, Result};

/// What a file is called by the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// That of the file that `metadata` is of.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Size and time of the last change: if both are as before, the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Size in bytes.
    pub bytes: u64,
    modified: (i64, i64),
}

impl Extent {
    /// That of the file that `metadata` is of.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self { bytes: metadata.size(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }

    /// Seconds and nanoseconds since 1970 at which it changed last.
    #[must_use]
    pub fn modified(&self) -> (i64, i64) {
        self.modified
    }
}

/// A file that is there.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where.
    pub path: PathBuf,
    /// Which.
    pub id: FileId,
    /// Its state.
    pub extent: Extent,
}

/// What is looked at.
#[derive(Debug)]
pub enum Watch {
    /// One path.
    File(PathBuf),
    /// The files of a directory, but for hidden ones.
    Directory(PathBuf),
    /// The files that match a pattern.
    Glob(PathBuf),
}

impl Watch {
    /// What `path` asks for.
    ///
    /// # Errors
    /// `Connector`, if there can be no file: no such directory, or no glob.
    pub fn new(path: &str) -> Result<Self> {
        let literal = PathBuf::from(path);
        if literal.is_dir() {
            return Ok(Self::Directory(literal));
        }
        if !literal.is_file() && path.contains(['*', '?', '[']) {
            glob::Pattern::new(path).map_err(|error| {
                Error::connector(format!("`{path}` is not a glob: {error}")).help("escape `[` as `[[]`")
            })?;
            return Ok(Self::Glob(literal));
        }
        // The file may come later, its directory must be there: else the path is a mistake.
        let directory = match literal.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        match std::fs::metadata(directory) {
            Ok(found) if found.is_dir() => Ok(Self::File(literal)),
            Ok(_) => Err(Error::connector(format!("`{}` is not a directory", directory.display()))
                .help("check the path; a relative one starts at the directory of the process")),
            Err(error) => Err(unreadable(directory, &error)),
        }
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Directory(path) | Self::Glob(path) => path,
        }
    }

    /// The one file whose rotated generations may be found beside it.
    #[must_use]
    pub fn rotating_path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Directory(_) | Self::Glob(_) => None,
        }
    }

    /// The files that are there, in the order of their names. A file with several names is listed under the first.
    pub fn list(&self, notices: &mut Notices) -> Vec<Listed> {
        let mut paths = match self {
            Self::File(path) => vec![path.clone()],
            Self::Directory(path) => match std::fs::read_dir(path) {
                Ok(entries) => entries.flatten().map(|entry| entry.path()).filter(|path| !is_hidden(path)).collect(),
                Err(error) => {
                    notices.unreadable(path, &error);
                    Vec::new()
                }
            },
            Self::Glob(pattern) => match glob::glob(&pattern.to_string_lossy()) {
                Ok(paths) => paths.flatten().collect(),
                Err(_) => Vec::new(),
            },
        };
        paths.sort();
        let mut seen = HashSet::new();
        let mut listing = Vec::with_capacity(paths.len());
        for path in paths {
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => {
                    let (id, extent) = (FileId::of(&metadata), Extent::of(&metadata));
                    if seen.insert(id) {
                        listing.push(Listed { path, id, extent });
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => notices.unreadable(&path, &error),
            }
        }
        listing
    }
}
