//! A hidden file that gets its name when it is finished.
//!
//! Its writer holds a lock on it (`flock`) from the moment it is made until it has its final name. The system gives the
//! lock back when a process dies, however it dies, so a hidden file that can be locked belongs to nobody and is removed
//! by the next writer of the same name. One that cannot be locked is somebody's, whatever its age, and stays.
//!
//! Two orders of events need care. A cleaner may find a file between its making and its locking: the maker then does not
//! get the lock, or finds its file gone, and makes another. A cleaner may get the lock of a file that has just been
//! renamed: it removes a name only while that name still stands for the file that it has locked, and the name of a file
//! that is locked by the cleaner cannot change, since its owner is dead.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::cannot;
use crate::error::{Error, Result};

/// The files that this process is writing: a second writer of one of them is refused, and a process that must end at
/// once can remove what is not finished.
static UNFINISHED: Mutex<Vec<Unfinished>> = Mutex::new(Vec::new());

struct Unfinished {
    temporary: PathBuf,
    destination: PathBuf,
}

/// How often a new name is tried before the writer gives up.
const ATTEMPTS_MAX: u32 = 100;

/// Removes the files that are not finished. For a process that ends without unwinding its threads.
pub fn remove_unfinished() {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    for file in unfinished.drain(..) {
        // It may be gone already; there is nobody left to tell.
        let _ = std::fs::remove_file(&file.temporary);
    }
}

/// A hidden file that is not finished. Dropping it removes the file.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    destination: PathBuf,
}

impl Temporary {
    /// A new hidden file beside `destination`, which it will replace; the process's number is in its name. Removes the
    /// leftovers of dead writers of the same destination.
    ///
    /// # Errors
    /// `Connector`, if it cannot be made, or this process is writing the same destination already.
    pub fn beside(destination: &Path) -> Result<(Self, File)> {
        let name = destination.file_name().ok_or_else(|| {
            Error::connector(format!("'{}' does not name a file", destination.display()))
                .help("write the path of a file, or of a directory with '/' at its end")
        })?;
        let name = name.to_string_lossy();
        let absolute = std::path::absolute(destination).map_err(|error| cannot("find", destination, error))?;
        sweep(&directory_of(&absolute), |found| is_temporary_of(found, &name));
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        if unfinished.iter().any(|file| file.destination == absolute) {
            return Err(Error::connector(format!("two sinks write '{}' at the same time", destination.display()))
                .help("give each INSERT of a statement set a file of its own, or combine them with UNION ALL"));
        }
        for attempt in 0..ATTEMPTS_MAX {
            let path = absolute.with_file_name(format!(".{name}.{}-{attempt}.tmp", std::process::id()));
            if let Some(file) = make(&path).map_err(|error| cannot("write beside", destination, error))? {
                unfinished.push(Unfinished { temporary: path.clone(), destination: absolute.clone() });
                return Ok((Self { path, destination: absolute }, file));
            }
        }
        Err(Error::connector(format!("too many unfinished files beside '{}'", destination.display()))
            .help("remove the hidden '.tmp' files there"))
    }

    /// A new hidden file for `destination`, a name that nobody has yet: while it lives, no other writer gets the same
    /// name, in this process or another. `None` if somebody has it.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn reserve(destination: &Path) -> std::io::Result<Option<(Self, File)>> {
        let name = destination.file_name().ok_or(ErrorKind::InvalidFilename)?.to_string_lossy();
        let path = destination.with_file_name(format!(".{name}.tmp"));
        let mut made = make(&path)?;
        if made.is_none() && remove_if_dead(&path) {
            made = make(&path)?;
        }
        let Some(file) = made else { return Ok(None) };
        let destination = destination.to_path_buf();
        let temporary = Self { path, destination };
        // Looked for only now: whoever made it before has let go of the hidden name since.
        if temporary.destination.symlink_metadata().is_ok() {
            let _ = std::fs::remove_file(&temporary.path);
            return Ok(None);
        }
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, destination) = (temporary.path.clone(), temporary.destination.clone());
        unfinished.push(Unfinished { temporary: path, destination });
        drop(unfinished);
        Ok(Some((temporary, file)))
    }

    /// Gives the finished file its name: after this, also the directory has it on the disk. A file that is replaced
    /// leaves its permissions.
    ///
    /// # Errors
    /// If the system refuses; the file is removed then.
    pub fn publish(self, file: &File) -> std::io::Result<()> {
        if let Ok(replaced) = std::fs::metadata(&self.destination) {
            file.set_permissions(replaced.permissions())?;
        }
        file.sync_all()?;
        std::fs::rename(&self.path, &self.destination)?;
        forget(&self.path);
        sync_directory(&directory_of(&self.destination))
    }

    /// What it will be called.
    #[must_use]
    pub fn destination(&self) -> &Path {
        &self.destination
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // The job failed, or was abandoned: no part of a result is left. Nobody is left to hear of an error either.
        if forget(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes the files in `directory` whose names `is_ours` knows and whose writers are dead.
pub(super) fn sweep(directory: &Path, is_ours: impl Fn(&str) -> bool) {
    // What cannot be listed or removed stays: it is in nobody's way but the disk's.
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(&is_ours) {
            remove_if_dead(&entry.path());
        }
    }
}

/// Makes the directory and those above it, each on the disk before what is in it.
pub(super) fn make_directories(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() || directory.as_os_str().is_empty() {
        return Ok(());
    }
    let above = directory_of(directory);
    make_directories(&above)?;
    match std::fs::create_dir(directory) {
        Ok(()) => sync_directory(&above),
        // Another writer was faster, or something else has the name: then whoever writes into it hears of it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// A name is durable only when the directory that holds it is.
pub(super) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The directory that holds `file`.
pub(super) fn directory_of(file: &Path) -> PathBuf {
    file.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
}

/// A new file with its lock; `None` if the name is taken.
fn make(path: &Path) -> std::io::Result<Option<File>> {
    let file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        // A file system without locks: leftovers stay there, since nobody can tell whose they are.
        Err(std::fs::TryLockError::Error(_)) => return Ok(Some(file)),
        // A cleaner has it and will remove it.
        Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
        Ok(()) => {}
    }
    Ok(is_still(path, &file).then_some(file))
}

/// Removes the file if nobody writes it; whether it did.
fn remove_if_dead(path: &Path) -> bool {
    if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return false;
    }
    let Ok(file) = OpenOptions::new().write(true).open(path) else { return false };
    file.try_lock().is_ok() && is_still(path, &file) && std::fs::remove_file(path).is_ok()
}

/// Whether `path` names the open file.
fn is_still(path: &Path, file: &File) -> bool {
    let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (path.symlink_metadata(), file.metadata()) {
        (Ok(named), Ok(open)) => place(named) == place(open),
        _ => false,
    }
}

/// Whether `found` is a name that [`Temporary::beside`] gives for `name`: `.name.123-0.tmp`.
fn is_temporary_of(found: &str, name: &str) -> bool {
    let middle = found.strip_prefix('.').and_then(|rest| rest.strip_prefix(name)).and_then(|rest| {
        let numbers = rest.strip_prefix('.')?.strip_suffix(".tmp")?;
        numbers.split_once('-')
    });
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    middle.is_some_and(|(process, attempt)| is_number(process) && is_number(attempt))
}

/// Whether it was known.
fn forget(temporary: &Path) -> bool {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    let before = unfinished.len();
    unfinished.retain(|file| file.temporary != temporary);
    unfinished.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_the_dead_go_and_those_of_the_living_stay() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in [".out.csv.1-0.tmp", ".out.csv.99-7.tmp", ".out.csv.x-0.tmp", ".other.csv.1-0.tmp", ".out.csv.tmp"]
        {
            std::fs::write(at(name), "half").unwrap();
        }
        let living = File::open(at(".out.csv.99-7.tmp")).unwrap();
        living.try_lock().unwrap();
        let (temporary, file) = Temporary::beside(&at("out.csv")).unwrap();
        assert!(!at(".out.csv.1-0.tmp").exists(), "its writer is dead");
        for name in [".out.csv.99-7.tmp", ".out.csv.x-0.tmp", ".other.csv.1-0.tmp", ".out.csv.tmp"] {
            assert!(at(name).exists(), "{name} is somebody else's");
        }
        temporary.publish(&file).unwrap();
        assert!(at("out.csv").exists());
    }

    #[test]
    fn a_name_is_reserved_once_and_a_dead_reservation_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("part-0-0.csv");
        std::fs::write(directory.path().join(".part-0-0.csv.tmp"), "half").unwrap();
        let (first, file) = Temporary::reserve(&path).unwrap().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        assert!(Temporary::reserve(&path).unwrap().is_none(), "the first one is alive");
        first.publish(&file).unwrap();
        assert!(Temporary::reserve(&path).unwrap().is_none(), "the name is given");
        let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["part-0-0.csv"]);
    }
}
