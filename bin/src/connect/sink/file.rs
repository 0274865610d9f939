//! One file as a sink, whatever the number of workers: whole, or not there at all.
//!
//! A path that names a device or a pipe is written directly, since there is nothing to rename: what was written is out,
//! and a reader that goes away ends the job quietly.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::temporary::{directory_of, make_directories};
use super::{RowFile, RowFormat, Temporary, cannot};
use crate::connect::{SinkRows, SinkWriter, WriteOutcome};
use crate::error::{Error, Result};

/// Writes one file.
pub struct FileWriter {
    format: RowFormat,
    /// `None` once it is finished.
    rows: Option<Box<dyn RowFile>>,
    destination: PathBuf,
    /// Where the rows are until the end; `None` if they are written directly, or are where they belong.
    temporary: Option<Temporary>,
}

impl FileWriter {
    /// Makes the file at `path`, and the directories above it. A named pipe is opened when somebody reads it.
    ///
    /// # Errors
    /// `Connector`, if it cannot be made, or this process is writing it already.
    pub fn create(path: &str, format: RowFormat) -> Result<Self> {
        let destination = destination(path)?;
        let found = std::fs::metadata(&destination);
        let is_special = found.as_ref().is_ok_and(|found| !found.is_file());
        if path.ends_with('/') || found.is_ok_and(|found| found.is_dir()) {
            return Err(Error::connector(format!("'{path}' is a directory")).help("name a file in it"));
        }
        let (file, temporary) = if is_special {
            let file = OpenOptions::new().write(true).open(&destination);
            (file.map_err(|error| cannot("open", &destination, error))?, None)
        } else {
            let (temporary, file) = Temporary::beside(&destination)?;
            (file, Some(temporary))
        };
        let mut rows = format.begin(file, &destination).map_err(|error| cannot("write", &destination, error))?;
        if is_special {
            // The header is out before the first rows, so that what a write leaves in a pipe are rows. A reader that has
            // gone away already is noticed then.
            match rows.flush() {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                    return Err(cannot("write", &destination, error));
                }
                _ => {}
            }
        }
        Ok(Self { format, rows: Some(rows), destination, temporary })
    }

    fn commit(&mut self) -> std::io::Result<()> {
        let Some(rows) = self.rows.take() else { return Ok(()) };
        let file = rows.finish()?;
        match self.temporary.take() {
            Some(temporary) => temporary.publish(&file),
            None => Ok(()),
        }
    }
}

impl SinkWriter for FileWriter {
    fn write(&mut self, rows: SinkRows<'_>) -> Result<WriteOutcome> {
        let Some(out) = &mut self.rows else {
            return Err(Error::internal("a file was written after it was finished"));
        };
        // Whoever reads a pipe waits for these rows; nobody can read a file that has no name yet.
        let is_direct = self.temporary.is_none();
        let before = out.taken();
        let written = out.write(rows).and_then(|()| if is_direct { out.flush() } else { Ok(()) });
        match written {
            Ok(()) => Ok(WriteOutcome::Written),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                let taken = out.taken() - before;
                Ok(WriteOutcome::Closed { rows: self.format.rows_taken(rows, taken, &self.destination) })
            }
            Err(error) => Err(cannot("write", &self.destination, error)),
        }
    }

    fn finish(&mut self) -> Result<()> {
        match self.commit() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|error| cannot("finish", &self.destination, error)),
        }
    }
}

/// The file that `path` stands for; makes the directories above it. A symbolic link stands for what it leads to.
fn destination(path: &str) -> Result<PathBuf> {
    let file = Path::new(path);
    make_directories(&directory_of(file)).map_err(|error| cannot("make the directory of", file, error))?;
    Ok(file.canonicalize().unwrap_or(file.to_path_buf()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &Path) -> Result<FileWriter> {
        FileWriter::create(path.to_str().unwrap(), RowFormat::lines())
    }

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
        let mut writer = create(&path).unwrap();
        writer.write(SinkRows::Encoded(b"a,b\n")).unwrap();
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
        let mut writer = create(&path).unwrap();
        writer.write(SinkRows::Encoded(b"new\n")).unwrap();
        drop(writer);
        assert_eq!(std::fs::read(&path).unwrap(), b"old\n");
        assert_eq!(names(directory.path()), ["out.csv"]);
    }

    #[test]
    fn two_writers_of_one_file_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        let first = create(&path).unwrap();
        let second = create(&path).err().unwrap();
        assert!(second.message.starts_with("two sinks write"), "{}", second.message);
        drop(first);
        create(&path).unwrap();
    }

    #[test]
    fn link_keeps_being_a_link_and_a_device_a_device() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("target.csv"), directory.path().join("link.csv"));
        std::fs::write(&target, "old\n").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut writer = create(&link).unwrap();
        writer.write(SinkRows::Encoded(b"new\n")).unwrap();
        writer.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&target).unwrap(), b"new\n");
        let mut null = create(Path::new("/dev/null")).unwrap();
        null.write(SinkRows::Encoded(b"x\n")).unwrap();
        null.finish().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
