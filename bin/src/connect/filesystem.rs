//! Files: a path, directory or glob as one chain of blocks, in the order of the files' names.
//!
//! What is read is what was there when the table was opened: a file that has shrunk since is an error, and what it has
//! grown by is left for the next job.

use std::fs::File;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::block::{BlockInput, BlockPool, RawBlock, Taken, check_block_bytes};
use super::format::{Format, parquet};
use super::{Source, TableScan, stdin};
use crate::error::{Error, Result};
use crate::plan::pruning::ColumnTest;

/// Opens the files of a table: `path` is a file, a directory (its files, but for hidden ones) or a glob.
///
/// Rows that fail one of the tests in `pruning` need not be read. A path of `-` is standard input. A path that names a pipe or a terminal is read as [`stdin`] is.
///
/// # Errors
/// `Connector`, if nothing is there or it cannot be read; `Statement`, if the format cannot hold
/// one of the columns.
pub fn open(path: &str, scan: &TableScan<'_>, pruning: &[ColumnTest]) -> Result<Arc<dyn Source>> {
    check_block_bytes(scan.read.block_bytes)?;
    if path == "-" {
        return stdin::open(scan);
    }
    let special = std::fs::metadata(path).ok().filter(|found| !found.is_file() && !found.is_dir());
    if special.is_some_and(|found| found.file_type().is_fifo() || found.file_type().is_char_device()) {
        return stdin::open_path(Path::new(path), scan);
    }
    if let Format::Parquet(_) = scan.format {
        return parquet::open(path, scan, pruning);
    }
    let chain = FileChain::new(scan.name, path, BlockPool::new(scan.read.block_bytes))?;
    scan.format.open_blocks(chain, scan)
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
        return Err(Error::connector(format!("no file for table `{table_name}` at `{path}`")).help(
            "a directory is read without its hidden files and subdirectories; a glob may name them: `data/**/*.csv`",
        ));
    }
    Ok(files)
}

fn globbed(pattern: &str) -> Result<Vec<PathBuf>> {
    let paths = glob::glob(pattern)
        .map_err(|error| Error::connector(format!("`{pattern}` is not a glob: {error}")).help("escape `[` as `[[]`"))?;
    paths.map(|path| path.map_err(|error| unreadable(error.path(), error.error()))).collect()
}

fn is_hidden(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.as_encoded_bytes().first().is_some_and(|first| b"._".contains(first)))
}

/// The error for a path that the system refuses.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let advice = match error.kind() {
        std::io::ErrorKind::NotFound => "check the path; a relative one starts at the directory of the process",
        std::io::ErrorKind::PermissionDenied => "the user who runs the job needs the right to read it",
        _ => "see whether the device or file system is in order",
    };
    Error::connector(format!("cannot read `{}`: {error}", path.display())).help(advice)
}

/// Blocks of files, one file after the other, handed out by one counter.
struct FileChain {
    files: Vec<ChainFile>,
    /// The next block. Taking is one `fetch_add`.
    next: AtomicU64,
    blocks: u64,
    is_stopped: AtomicBool,
    pool: Arc<BlockPool>,
}

struct ChainFile {
    path: PathBuf,
    origin: Arc<str>,
    /// At the time of opening.
    bytes: u64,
    first_block: u64,
    blocks: u64,
    open: Mutex<OpenFile>,
}

/// Open from the first block that is read to the last, so that a directory of many files needs few descriptors.
struct OpenFile {
    file: Option<Arc<File>>,
    blocks_left: u64,
}

impl FileChain {
    fn new(table_name: &str, path: &str, pool: Arc<BlockPool>) -> Result<Self> {
        let block_bytes = pool.block_bytes() as u64;
        let mut blocks = 0;
        let mut chain = Vec::new();
        for path in files(table_name, path)? {
            // Opened once beforehand: a file that may not be read is known before the job starts.
            let bytes =
                File::open(&path).and_then(|file| file.metadata()).map_err(|error| unreadable(&path, &error))?.len();
            let origin: Arc<str> = path.to_string_lossy().into();
            let file_blocks = bytes.div_ceil(block_bytes);
            let open = Mutex::new(OpenFile { file: None, blocks_left: file_blocks });
            chain.push(ChainFile { path, origin, bytes, first_block: blocks, blocks: file_blocks, open });
            blocks += file_blocks;
        }
        Ok(Self { files: chain, next: AtomicU64::new(0), blocks, is_stopped: AtomicBool::new(false), pool })
    }

    fn read(&self, index: u64) -> Result<RawBlock> {
        // The last file that starts at or before the block; empty files start where the next one does.
        let position = self.files.partition_point(|file| file.first_block <= index) - 1;
        let file = &self.files[position];
        let number = index - file.first_block;
        let offset = number * self.pool.block_bytes() as u64;
        let bytes = (file.bytes - offset).min(self.pool.block_bytes() as u64) as usize;
        let mut buffer = self.pool.buffer();
        let handle = file.handle().map_err(|error| unreadable(&file.path, &error))?;
        handle.read_exact_at(&mut buffer.input()[..bytes], offset).map_err(|error| file.read_error(&error))?;
        file.block_done();
        let (is_first, is_last) = (number == 0, number + 1 == file.blocks);
        let (origin, stream) = (Arc::clone(&file.origin), position as u32);
        Ok(RawBlock { index, origin, buffer, bytes, stream, offset, is_first, is_last })
    }
}

impl ChainFile {
    fn handle(&self) -> std::io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &open.file {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(&self.path)?);
        open.file = Some(Arc::clone(&file));
        Ok(file)
    }

    fn block_done(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.blocks_left -= 1;
        if open.blocks_left == 0 {
            open.file = None;
        }
    }

    fn read_error(&self, error: &std::io::Error) -> Error {
        if error.kind() != std::io::ErrorKind::UnexpectedEof {
            return unreadable(&self.path, error);
        }
        let expected = self.bytes;
        Error::connector(format!(
            "`{}` became shorter than the {expected} bytes it had when it was opened",
            self.origin
        ))
        .help("read a file that nobody truncates, for example a copy")
    }
}

impl BlockInput for FileChain {
    fn take(&self) -> Taken {
        // Relaxed: the flag carries no data, and one block more or less after it is as good.
        if self.is_stopped.load(Ordering::Relaxed) {
            return Taken::End;
        }
        // SeqCst: orders this take after the caller's note of what it may take (see `CsvReader::take`), for all.
        let index = self.next.fetch_add(1, Ordering::SeqCst);
        if index >= self.blocks {
            return Taken::End;
        }
        match self.read(index) {
            Ok(block) => Taken::Block(block),
            Err(error) => Taken::Failed { index, error },
        }
    }

    fn next_index(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    fn bytes_total(&self) -> Option<u64> {
        Some(self.files.iter().map(|file| file.bytes).sum())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_schema::{DataType, Field, Schema};
    use thalweg_runtime::WorkerId;

    use super::*;
    use crate::connect::bad_input::BadInput;
    use crate::connect::format::csv::CsvOptions;
    use crate::connect::{Doorbells, ReadOptions, SourceEvent};
    use crate::error::Kind;

    fn open_numbers(path: &Path, block_bytes: usize) -> Result<Arc<dyn Source>> {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let read = ReadOptions { batch_rows: 10, block_bytes, workers: 1 };
        let path = path.to_str().expect("a path of the test is UTF-8");
        let (format, bad_input, bells) = (Format::Csv(CsvOptions::default()), BadInput::default(), Doorbells::new(1));
        let scan = TableScan {
            name: "t",
            schema: &schema,
            columns: &[0],
            format: &format,
            bad_input: &bad_input,
            read: &read,
            bells: &bells,
        };
        open(path, &scan, &[])
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
