//! Files: a path, directory or glob as one chain of blocks, in the order of the files' names.
//!
//! What is read is what was there when the table was opened: a file that has shrunk since is an error, and what it has
//! grown by is left for the next job.

use std::fs::File;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::SchemaRef;
use thalweg_runtime::exchange::doorbell::Doorbells;

use super::block::{BlockInput, BlockPool, RawBlock, Taken, check_block_bytes};
use super::format::csv::{CsvOptions, CsvSource};
use super::{ReadOptions, Source, stdin};
use crate::error::{Error, Result};

/// Opens the files of a table of CSV: `path` is a file, a directory (its files, but for hidden ones) or a glob.
///
/// `schema` holds the physical columns; the batches hold those of `columns` in that order. A path that names a pipe or
/// a terminal is read as [`stdin`] is.
///
/// # Errors
/// `Connector`, if nothing is there or it cannot be read; `Statement`, if the schema has a type that CSV cannot hold.
pub fn open(
    table_name: &str,
    path: &str,
    schema: &SchemaRef,
    columns: &[usize],
    csv: CsvOptions,
    read: &ReadOptions,
    bells: &Doorbells,
) -> Result<Arc<dyn Source>> {
    check_block_bytes(read.block_bytes)?;
    let special = std::fs::metadata(path).ok().filter(|found| !found.is_file() && !found.is_dir());
    if special.is_some_and(|found| found.file_type().is_fifo() || found.file_type().is_char_device()) {
        return stdin::open_path(table_name, Path::new(path), schema, columns, csv, read, bells);
    }
    let chain = FileChain::new(table_name, path, BlockPool::new(read.block_bytes))?;
    Ok(Arc::new(CsvSource::new(chain, schema, columns, csv, read, bells)?))
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
        Ok(RawBlock { index, origin: Arc::clone(&file.origin), buffer, bytes, is_first, is_last })
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
