//! Files: a path, directory or glob as one chain of blocks, in the order of the files' names.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::block::{BlockPool, check_block_bytes};
use super::format::{Format, parquet};
use super::input::chain::FileChain;
use super::input::feed::Feed;
use super::input::packing::Packing;
use super::input::pipe::{self, Writers};
use super::input::{ListedFile, follow, sequence};
use super::{Source, TableScan, missing_path};
use crate::error::{Error, Result};
use crate::plan::pruning::ColumnTest;

/// Opens the files of a table: `path` is a file, a directory (its files, but for hidden ones) or a glob.
///
/// A path of `-` is standard input. A path that names a pipe or a terminal is read as [`pipe`] does. With
/// `monitor_interval`, the files are looked at again and again, and read as they grow: see [`follow`].
/// Rows that fail one of the tests in `pruning` need not be read.
///
/// # Errors
/// `Connector`, if nothing is there or it cannot be read; `Statement`, if the format cannot hold
/// one of the columns.
pub fn open(
    path: &str,
    monitor_interval: Option<Duration>,
    scan: &TableScan<'_>,
    pruning: &[ColumnTest],
) -> Result<Arc<dyn Source>> {
    check_block_bytes(scan.read.block_bytes)?;
    if path == "-" {
        return pipe::open_stdin(None, scan);
    }
    let special = std::fs::metadata(path).ok().filter(|found| !found.is_file() && !found.is_dir());
    if special.is_some_and(|found| found.file_type().is_fifo() || found.file_type().is_char_device()) {
        let writers = monitor_interval.map_or(Writers::One, Writers::Many);
        return pipe::open_path(Path::new(path), writers, scan);
    }
    if let Format::Parquet(_) = scan.format {
        return parquet::open(files(scan.name, path)?, scan, pruning);
    }
    if let Some(interval) = monitor_interval {
        let feed = follow::start(path, interval, scan)?;
        return scan.format.open_blocks(feed, scan);
    }
    let files = files(scan.name, path)?.into_iter().map(ListedFile::look).collect::<Result<Vec<_>>>()?;
    open_listed(files, scan)
}

/// Opens these files, as one chain.
///
/// # Errors
/// As [`open`].
pub fn open_listed(files: Vec<ListedFile>, scan: &TableScan<'_>) -> Result<Arc<dyn Source>> {
    if let Format::Parquet(_) = scan.format {
        return parquet::open(files.into_iter().map(|file| file.path).collect(), scan, &[]);
    }
    if files.iter().all(|file| file.packing == Packing::Plain) {
        return scan.format.open_blocks(FileChain::new(files, BlockPool::new(scan.read.block_bytes)), scan);
    }
    let bytes_total = files.iter().map(|file| file.bytes).sum();
    let feed = Feed::start("thalweg-files", Some(bytes_total), scan, move |feeder| sequence::run(feeder, &files))?;
    scan.format.open_blocks(feed, scan)
}

/// The files that `path` stands for, in the order in which they are read: by name.
///
/// # Errors
/// `Connector`, if there is none or the path cannot be listed.
pub fn files(table_name: &str, path: &str) -> Result<Vec<PathBuf>> {
    let literal = Path::new(path);
    if literal.is_file() {
        return Ok(vec![literal.to_path_buf()]);
    }
    let mut files = if literal.is_dir() {
        let entries = std::fs::read_dir(literal).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        entries.map_err(|error| unreadable(literal, &error))?.into_iter().map(|entry| entry.path()).collect()
    } else if path.contains(['*', '?', '[']) {
        globbed(path)?
    } else {
        let error = match std::fs::metadata(literal) {
            Err(error) => unreadable(literal, &error),
            Ok(_) => Error::connector(format!("`{path}` is neither a file nor a directory")),
        };
        return Err(error);
    };
    files.retain(|file| file.is_file() && (!literal.is_dir() || !is_hidden(file)));
    files.sort();
    if files.is_empty() {
        let of = if table_name == path { String::new() } else { format!("table `{table_name}`: ") };
        return Err(match literal.is_dir() {
            true => Error::connector(format!("{of}there is no file in the directory `{path}`"))
                .help(format!("hidden files and subdirectories are left out; a glob may name them: `{path}/**/*.csv`")),
            false => Error::connector(format!("{of}no file matches `{path}`"))
                .help("`*` stands for any characters of a name, `**` for any directories; quotes keep the shell away"),
        });
    }
    Ok(files)
}

fn globbed(pattern: &str) -> Result<Vec<PathBuf>> {
    let paths = glob::glob(pattern)
        .map_err(|error| Error::connector(format!("`{pattern}` is not a glob: {error}")).help("escape `[` as `[[]`"))?;
    paths.map(|path| path.map_err(|error| unreadable(error.path(), error.error()))).collect()
}

/// Whether a directory leaves the file out: its name starts with `.` or `_`.
pub fn is_hidden(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.as_encoded_bytes().first().is_some_and(|first| b"._".contains(first)))
}

/// The error for a path that the system refuses.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let advice = match error.kind() {
        std::io::ErrorKind::NotFound => missing_path::advice(&path.display().to_string()),
        std::io::ErrorKind::PermissionDenied => "the user who runs the job needs the right to read it".to_owned(),
        _ => "see whether the device or file system is in order".to_owned(),
    };
    Error::connector(format!("cannot read `{}`: {error}", path.display())).help(advice)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use thalweg_runtime::WorkerId;

    use super::*;
    use crate::connect::SourceEvent;
    use crate::connect::bad_input::OnError;
    use crate::connect::numbers::Numbers;
    use crate::error::Kind;

    fn open_numbers(path: &Path, block_bytes: usize) -> Result<Arc<dyn Source>> {
        let path = path.to_str().expect("a path of the test is UTF-8");
        open(path, None, &Numbers::new(10, block_bytes, OnError::Fail).scan(), &[])
    }

    /// Polls to the end; only for what never waits for another thread for long.
    fn numbers(source: &dyn Source) -> Result<Vec<i64>> {
        let mut reader = source.reader(WorkerId(0));
        let mut numbers = Vec::new();
        loop {
            match reader.poll()? {
                SourceEvent::Block(block) => {
                    for batch in block.batches {
                        numbers.extend(batch.column(0).as_primitive::<Int64Type>().values());
                    }
                }
                SourceEvent::Pending => std::thread::yield_now(),
                SourceEvent::End => return Ok(numbers),
            }
        }
    }

    #[test]
    fn a_directory_is_its_visible_files_in_order_of_names() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [("b.csv", "n\n3\n4"), ("a.csv", "1\n2\n"), (".c.csv", "9\n"), ("_d", "9\n"), ("e", "")] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        std::fs::create_dir(directory.path().join("sub")).unwrap();
        std::fs::write(directory.path().join("sub/c.csv"), "5\n").unwrap();
        for block_bytes in [1, 2, 3, 1000] {
            let source = open_numbers(directory.path(), block_bytes).unwrap();
            assert_eq!(source.bytes_total(), Some(9));
            assert_eq!(numbers(source.as_ref()).unwrap(), [1, 2, 3, 4]);
            let source = open_numbers(&directory.path().join("**/[bc].csv"), block_bytes).unwrap();
            assert_eq!(numbers(source.as_ref()).unwrap(), [3, 4, 5]);
        }
    }

    #[test]
    fn what_is_not_there_is_an_error_of_the_connector() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["none.csv", "*.csv", "."] {
            let error = open_numbers(&directory.path().join(path), 100).err().expect("nothing is there");
            assert_eq!(error.kind, Kind::Connector);
            assert!(error.help.is_some());
        }
    }

    #[test]
    fn what_was_there_at_the_start_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.csv");
        std::fs::write(&path, "1\n2\n3\n").unwrap();
        let source = open_numbers(&path, 2).unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"4\n5\n").unwrap();
        assert_eq!(numbers(source.as_ref()).unwrap(), [1, 2, 3]);
        let source = open_numbers(&path, 2).unwrap();
        file.set_len(4).unwrap();
        let error = numbers(source.as_ref()).unwrap_err();
        assert_eq!(error.kind, Kind::Connector);
        assert!(error.message.ends_with("became shorter than the 10 bytes it had when it was opened"), "{error}");
    }

    #[test]
    fn a_drained_source_hands_out_no_more_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.csv");
        std::fs::write(&path, "1\n2\n3\n").unwrap();
        let source = open_numbers(&path, 2).unwrap();
        source.drain();
        assert!(numbers(source.as_ref()).unwrap().is_empty());
    }

    #[test]
    fn a_fifo_is_read_like_standard_input() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let source = open_numbers(&path, 100).unwrap();
        assert_eq!(source.bytes_total(), None);
        let writer = std::thread::spawn(move || std::fs::write(path, "1\n2"));
        assert_eq!(numbers(source.as_ref()).unwrap(), [1, 2]);
        writer.join().unwrap().unwrap();
    }
}
