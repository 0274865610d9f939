//! Plain files, one after the other, whose blocks workers read side by side.
//!
//! What is read is what was there when the table was opened: a file that has shrunk since is an error, and what it has
//! grown by is left for the next job.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{ListedFile, shrunk};
use crate::connect::block::{BlockInput, BlockPool, RawBlock, Taken};
use crate::connect::filesystem::unreadable;
use crate::error::{Error, Result};

/// Blocks of files, one file after the other, handed out by one counter.
pub struct FileChain {
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
    /// A chain of `files`, read in buffers of `pool`.
    #[must_use]
    pub fn new(files: Vec<ListedFile>, pool: Arc<BlockPool>) -> Self {
        let block_bytes = pool.block_bytes() as u64;
        let mut blocks = 0;
        let mut chain = Vec::with_capacity(files.len());
        for ListedFile { path, bytes, .. } in files {
            let origin: Arc<str> = path.to_string_lossy().into();
            let file_blocks = bytes.div_ceil(block_bytes);
            let open = Mutex::new(OpenFile { file: None, blocks_left: file_blocks });
            chain.push(ChainFile { path, origin, bytes, first_block: blocks, blocks: file_blocks, open });
            blocks += file_blocks;
        }
        Self { files: chain, next: AtomicU64::new(0), blocks, is_stopped: AtomicBool::new(false), pool }
    }

    fn read(&self, index: u64) -> Result<RawBlock> {
        // The last file that starts at or before the block; empty files start where the next one does.
        let position = self.files.partition_point(|file| file.first_block <= index) - 1;
        let file = &self.files[position];
        let number = index - file.first_block;
        let offset = number * self.pool.block_bytes() as u64;
        let bytes = (file.bytes - offset).min(self.pool.block_bytes() as u64) as usize;
        let arrived = Instant::now();
        let mut buffer = self.pool.buffer();
        let handle = file.handle().map_err(|error| unreadable(&file.path, &error))?;
        handle.read_exact_at(&mut buffer.input()[..bytes], offset).map_err(|error| file.read_error(&error))?;
        file.block_done();
        let (is_first, is_last) = (number == 0, number + 1 == file.blocks);
        let (origin, stream) = (Arc::clone(&file.origin), position as u32);
        Ok(RawBlock {
            index,
            origin,
            buffer,
            bytes,
            input_bytes: bytes as u64,
            stream,
            offset,
            is_first,
            is_last,
            damage: None,
            arrived,
        })
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
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => shrunk(&self.path, self.bytes),
            _ => unreadable(&self.path, error),
        }
    }
}

impl BlockInput for FileChain {
    fn take(&self) -> Taken {
        // Relaxed: the flag carries no data, and one block more or less after it is as good.
        if self.is_stopped.load(Ordering::Relaxed) {
            return Taken::End;
        }
        // SeqCst: orders this take after the caller's note of what it may take (see a text reader's `take`), for all.
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
