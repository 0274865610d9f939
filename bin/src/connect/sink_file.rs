//! A file as a sink: one file whatever the number of workers, whole or not there at all.
//!
//! Rows go to a hidden file in the same directory; at the end it is synced, renamed over whatever had the name, and the
//! directory is synced. A job that fails removes it. A path that ends in `/` or names a directory stands for the file
//! `part-0.csv` in it. A path that names a device or a pipe is written directly, since there is nothing to rename.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{SinkRows, SinkWriter, WriteOutcome};
use crate::error::{Error, Result};

/// Name of the file in a directory, as Flink counts its parts.
const PART_NAME: &str = "part-0.csv";

/// Bytes gathered before a write to the system.
const BUFFER_BYTES: usize = 256 * 1024;

/// The files that this process is writing: a second writer of one of them is refused, and a process that must end at
/// once can remove what is not finished.
static UNFINISHED: Mutex<Vec<Unfinished>> = Mutex::new(Vec::new());

struct Unfinished {
    temporary: PathBuf,
    destination: PathBuf,
}

/// Removes the files that are not finished. For a process that ends without unwinding its threads.
pub fn remove_unfinished() {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    for file in unfinished.drain(..) {
        // It may be gone already; there is nobody left to tell.
        let _ = std::fs::remove_file(&file.temporary);
    }
}

/// Writes one file.
pub struct FileWriter {
    out: Option<BufWriter<File>>,
    destination: PathBuf,
    /// Where the rows are until the end; `None` if they are written directly, or are where they belong.
    temporary: Option<PathBuf>,
}

impl FileWriter {
    /// Makes the file that `path` stands for, and the directories above it; writes `header`, which may be empty.
    ///
    /// # Errors
    /// `Connector`, if it cannot be made, or this process is writing it already.
    pub fn create(path: &str, header: Vec<u8>) -> Result<Self> {
        let destination = destination(path)?;
        let is_special = std::fs::metadata(&destination).is_ok_and(|found| !found.is_file());
        let mut writer = if is_special {
            let file = OpenOptions::new().write(true).open(&destination);
            let file = file.map_err(|error| cannot("open", &destination, &error))?;
            Self { out: Some(buffered(file)), destination, temporary: None }
        } else {
            let (file, temporary) = create_temporary(&destination)?;
            Self { out: Some(buffered(file)), destination, temporary: Some(temporary) }
        };
        writer.write(SinkRows::Encoded(&header))?;
        Ok(writer)
    }

    fn commit(&mut self) -> std::io::Result<()> {
        let Some(out) = self.out.take() else { return Ok(()) };
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        let Some(temporary) = self.temporary.as_deref() else { return Ok(()) };
        if let Ok(replaced) = std::fs::metadata(&self.destination) {
            file.set_permissions(replaced.permissions())?;
        }
        file.sync_all()?;
        std::fs::rename(temporary, &self.destination)?;
        forget(temporary);
        self.temporary = None;
        sync_directory(&self.destination)
    }
}

impl SinkWriter for FileWriter {
    fn write(&mut self, rows: SinkRows<'_>) -> Result<WriteOutcome> {
        let rows = rows.encoded()?;
        let Some(out) = &mut self.out else {
            return Err(Error::internal("a file was written after it was finished"));
        };
        // Whoever reads a pipe waits for these rows; nobody can read a file that has no name yet.
        let is_direct = self.temporary.is_none();
        let written = out.write_all(rows).and_then(|()| if is_direct { out.flush() } else { Ok(()) });
        match written {
            Ok(()) => Ok(WriteOutcome::Written),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(WriteOutcome::Closed),
            Err(error) => Err(cannot("write", &self.destination, &error)),
        }
    }

    fn finish(&mut self) -> Result<()> {
        match self.commit() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|error| cannot("finish", &self.destination, &error)),
        }
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // The job failed, or was abandoned: no part of a result is left. Nobody is left to hear of an error either.
            drop(self.out.take());
            let _ = std::fs::remove_file(&temporary);
            forget(&temporary);
        }
    }
}

/// The file that `path` stands for; makes the directories above it. A symbolic link stands for what it leads to.
fn destination(path: &str) -> Result<PathBuf> {
    let given = Path::new(path);
    let file = if path.ends_with('/') || given.is_dir() { given.join(PART_NAME) } else { given.to_path_buf() };
    if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(|error| cannot("make the directory of", &file, &error))?;
    }
    Ok(file.canonicalize().unwrap_or(file))
}

/// A new hidden file beside `destination`, noted as unfinished.
fn create_temporary(destination: &Path) -> Result<(File, PathBuf)> {
    let name = destination.file_name().ok_or_else(|| {
        Error::connector(format!("'{}' does not name a file", destination.display()))
            .help("write the path of a file, or of a directory with '/' at its end")
    })?;
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    let absolute = std::path::absolute(destination).map_err(|error| cannot("find", destination, &error))?;
    if unfinished.iter().any(|file| file.destination == absolute) {
        return Err(Error::connector(format!("two sinks write '{}' at the same time", destination.display()))
            .help("give each INSERT of a statement set a file of its own, or combine them with UNION ALL"));
    }
    for attempt in 0..100_u32 {
        let hidden = format!(".{}.{}-{attempt}.tmp", name.to_string_lossy(), std::process::id());
        let temporary = absolute.with_file_name(hidden);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => {
                unfinished.push(Unfinished { temporary: temporary.clone(), destination: absolute });
                return Ok((file, temporary));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot("write beside", destination, &error)),
        }
    }
    Err(Error::connector(format!("too many unfinished files beside '{}'", destination.display()))
        .help("remove the hidden '.tmp' files there"))
}

fn forget(temporary: &Path) {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    unfinished.retain(|file| file.temporary != temporary);
}

fn buffered(file: File) -> BufWriter<File> {
    BufWriter::with_capacity(BUFFER_BYTES, file)
}

/// A rename is durable only when the directory that holds the name is.
fn sync_directory(file: &Path) -> std::io::Result<()> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn cannot(what: &str, file: &Path, error: &std::io::Error) -> Error {
    Error::connector(format!("cannot {what} '{}': {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_visible_before_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/out.csv");
        let mut writer = FileWriter::create(path.to_str().unwrap(), b"a,b\n".to_vec()).unwrap();
        writer.write(SinkRows::Encoded(b"1,2\n")).unwrap();
        assert!(!path.exists());
        writer.finish().unwrap();
        drop(writer);
        assert_eq!(std::fs::read(&path).unwrap(), b"a,b\n1,2\n");
        assert_eq!(names(path.parent().unwrap()), ["out.csv"]);
    }

    #[test]
    fn failed_job_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        std::fs::write(&path, "old\n").unwrap();
        let mut writer = FileWriter::create(path.to_str().unwrap(), Vec::new()).unwrap();
        writer.write(SinkRows::Encoded(b"new\n")).unwrap();
        drop(writer);
        assert_eq!(std::fs::read(&path).unwrap(), b"old\n");
        assert_eq!(names(directory.path()), ["out.csv"]);
    }

    #[test]
    fn directory_gets_one_part_which_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        for (path, rows) in [("parts/", "1\n"), ("parts", "2\n")] {
            let path = directory.path().join(path);
            let mut writer = FileWriter::create(path.to_str().unwrap(), Vec::new()).unwrap();
            writer.write(SinkRows::Encoded(rows.as_bytes())).unwrap();
            writer.finish().unwrap();
            let part = directory.path().join("parts/part-0.csv");
            assert_eq!(std::fs::read_to_string(part).unwrap(), rows);
        }
        assert_eq!(names(&directory.path().join("parts")), ["part-0.csv"]);
    }

    #[test]
    fn two_writers_of_one_file_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        let first = FileWriter::create(path.to_str().unwrap(), Vec::new()).unwrap();
        let second = FileWriter::create(path.to_str().unwrap(), Vec::new()).err().unwrap();
        assert!(second.message.starts_with("two sinks write"), "{}", second.message);
        drop(first);
        FileWriter::create(path.to_str().unwrap(), Vec::new()).unwrap();
    }

    #[test]
    fn link_keeps_being_a_link_and_a_device_a_device() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("target.csv"), directory.path().join("link.csv"));
        std::fs::write(&target, "old\n").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut writer = FileWriter::create(link.to_str().unwrap(), Vec::new()).unwrap();
        writer.write(SinkRows::Encoded(b"new\n")).unwrap();
        writer.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&target).unwrap(), b"new\n");
        let mut null = FileWriter::create("/dev/null", b"x\n".to_vec()).unwrap();
        null.finish().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
