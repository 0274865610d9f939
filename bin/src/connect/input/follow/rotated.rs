//! Files beside a followed path that bear its name with something behind it: where its rotated generations are.
//!
//! Those that were there at the start, or have been read already, are *bystanders*: known, and not read. What turns up
//! beside them when the path has been rotated is a generation that came and went between two looks. A copy that was made
//! before the path was truncated is a bystander as well.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::packing::Packing;
use super::generation::{Generation, HEAD_BYTES};
use super::listing::{Extent, FileId};

/// Looks after a rotation during which names are searched: while they are being shifted, a listing may miss one.
const SEARCHES: u32 = 3;

/// The files beside one path.
#[derive(Debug, Default)]
pub struct Bystanders {
    /// The path; none where there is no single one.
    path: Option<PathBuf>,
    /// What is known of each file: an inode may have been given to another one.
    known: HashMap<FileId, Known>,
    searches_left: u32,
}

/// A file that was seen.
#[derive(Debug)]
struct Known {
    /// As it was then: the same file, if it is so still.
    extent: Option<Extent>,
    /// Its first bytes: the same file too, if it begins so still.
    head: Vec<u8>,
}

/// A file beside the path.
struct Beside {
    path: PathBuf,
    id: FileId,
    extent: Extent,
}

impl Bystanders {
    /// Those beside `path` now.
    #[must_use]
    pub fn of(path: Option<&Path>) -> Self {
        let mut bystanders = Self { path: path.map(Path::to_owned), ..Self::default() };
        bystanders.refresh(&[]);
        bystanders
    }

    /// Takes all that is beside the path now for bystanders, but for `live` files.
    pub fn refresh(&mut self, live: &[Generation]) {
        for beside in self.beside() {
            if !live.iter().any(|live| live.id == beside.id) {
                let head = head(&beside.path).unwrap_or_default();
                self.known.insert(beside.id, Known { extent: Some(beside.extent), head });
            }
        }
    }

    /// A file that has been read to its end.
    pub fn add(&mut self, generation: &Generation) {
        if self.path.is_some() {
            let known = Known { extent: generation.extent(), head: generation.head().to_vec() };
            self.known.insert(generation.id, known);
        }
    }

    /// The path was rotated: others may have been too.
    pub fn expect_more(&mut self) {
        self.searches_left = SEARCHES;
    }

    /// Files that turned up since, oldest first, but for `live` ones and the `newest`. Compressed ones are left out: they
    /// hold what was read before.
    pub fn unseen(&mut self, live: &[Generation], newest: Option<FileId>) -> Vec<Generation> {
        if self.searches_left == 0 {
            return Vec::new();
        }
        if newest.is_none() {
            self.searches_left -= 1;
        }
        let beside = self.beside();
        // What is not there any more may come back as another file with the same inode.
        let ids: HashSet<FileId> = beside.iter().map(|beside| beside.id).collect();
        self.known.retain(|id, _| ids.contains(id));
        let is_live = |id| Some(id) == newest || live.iter().any(|live| live.id == id && !live.is_ended());
        let mut unseen = Vec::new();
        for Beside { path, id, extent } in beside {
            let known = self.known.get(&id);
            if is_live(id) || known.is_some_and(|known| known.extent == Some(extent)) {
                continue;
            }
            let Some(head) = head(&path) else { continue };
            let is_same = known.is_some_and(|known| head.starts_with(&known.head));
            if is_same || !matches!(Packing::of(&head), None | Some(Packing::Plain)) {
                continue;
            }
            // Under the name it has by now; if it was renamed again, the next search finds it.
            match Generation::open(&path) {
                Ok(generation) if generation.id == id => unseen.push((extent.modified(), generation)),
                _ => {}
            }
        }
        unseen.sort_by(|a, b| (a.0, &a.1.path).cmp(&(b.0, &b.1.path)));
        unseen.into_iter().map(|(_, generation)| generation).collect()
    }

    fn beside(&self) -> Vec<Beside> {
        let Some(path) = &self.path else { return Vec::new() };
        let Some(name) = path.file_name() else { return Vec::new() };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
        let is_beside = |other: &OsStr| other.as_encoded_bytes().starts_with(name.as_encoded_bytes()) && other != name;
        let entries = entries.flatten().filter(|entry| is_beside(&entry.file_name()));
        let looks = entries.filter_map(|entry| {
            let metadata = std::fs::metadata(entry.path()).ok().filter(std::fs::Metadata::is_file)?;
            Some(Beside { path: entry.path(), id: FileId::of(&metadata), extent: Extent::of(&metadata) })
        });
        looks.collect()
    }
}

/// The first bytes of a file, if they can be read.
fn head(path: &Path) -> Option<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES];
    let bytes = File::open(path).ok()?.read_at(&mut head, 0).ok()?;
    head.truncate(bytes);
    Some(head)
}
