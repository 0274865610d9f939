//! Blocks: pieces of input in recycled, padded buffers, as files and pipes hand them to a format.
//!
//! Invariant: at least [`PAD_BYTES`] readable bytes lie before and behind the input in a buffer, so that a kernel may read
//! past either end and mask what it read; and [`HEAD_BYTES`] lie in front, so that the unfinished record of the block
//! before usually fits there without moving the block.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::bad_input::Reject;
use crate::error::{Error, Result};

/// Bytes in front of a block's input.
pub const HEAD_BYTES: usize = 4096;

/// Bytes that may be read, but mean nothing, at both ends.
pub const PAD_BYTES: usize = 64;

/// Idle buffers kept at most; more than a job has in flight unless something downstream holds on to them.
const IDLE_BUFFERS_MAX: usize = 64;

/// Buffers that wait for their next block. Never waited for: an empty pool allocates.
#[derive(Debug)]
pub struct BlockPool {
    give: Sender<Vec<u8>>,
    take: Receiver<Vec<u8>>,
    block_bytes: usize,
}

impl BlockPool {
    /// A pool of buffers for blocks of `block_bytes`.
    #[must_use]
    pub fn new(block_bytes: usize) -> Arc<Self> {
        let (give, take) = bounded(IDLE_BUFFERS_MAX);
        Arc::new(Self { give, take, block_bytes })
    }

    /// A buffer of unspecified content: `block_bytes` at [`HEAD_BYTES`], padded at both ends.
    #[must_use]
    pub fn buffer(self: &Arc<Self>) -> BlockBuffer {
        let bytes = self.take.try_recv().unwrap_or_else(|_| vec![0; self.buffer_bytes()]);
        BlockBuffer { bytes, pool: Arc::clone(self) }
    }

    /// Bytes of input that fit into one block.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    fn buffer_bytes(&self) -> usize {
        HEAD_BYTES + self.block_bytes + PAD_BYTES
    }
}

/// A buffer on loan from its pool; it goes back when it is dropped, that is when the last view into it is gone.
#[derive(Debug)]
pub struct BlockBuffer {
    /// Head room, input, padding.
    pub bytes: Vec<u8>,
    pool: Arc<BlockPool>,
}

impl BlockBuffer {
    /// Where [`BlockPool::block_bytes`] of input go.
    pub fn input(&mut self) -> &mut [u8] {
        let end = HEAD_BYTES + self.pool.block_bytes;
        &mut self.bytes[HEAD_BYTES..end]
    }

    /// The buffer itself, leaving an empty one.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self { bytes: std::mem::take(&mut self.bytes), pool: Arc::clone(&self.pool) }
    }

    /// Moves everything up by `bytes`, for a record too long for the head room.
    pub fn grow_head(&mut self, bytes: usize) {
        let length = self.bytes.len();
        self.bytes.resize(length + bytes, 0);
        self.bytes.copy_within(..length, bytes);
    }
}

impl AsRef<[u8]> for BlockBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for BlockBuffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let usual = self.pool.buffer_bytes();
        // A buffer that a long record made grow is not kept: the pool's memory stays what it was planned to be.
        if bytes.capacity() <= 2 * usual && bytes.len() >= usual {
            bytes.truncate(usual);
            // A full pool drops the buffer, which is all that is left to do with it.
            let _ = self.pool.give.try_send(bytes);
        }
    }
}

/// One block of a table's input.
#[derive(Debug)]
pub struct RawBlock {
    /// Number in the order of the whole input, from 0 without gap.
    pub index: u64,
    /// What it was read from, as errors show it: a path or `<stdin>`.
    pub origin: Arc<str>,
    /// Holds the input at [`HEAD_BYTES`].
    pub buffer: BlockBuffer,
    /// Bytes of input, decompressed; may be 0.
    pub bytes: usize,
    /// Bytes of the file or pipe that it accounts for, as they are stored there: what progress is measured in.
    pub input_bytes: u64,
    /// Which of the inputs that take turns it is from: a file, a pipe. Blocks of one stream come in its order; blocks of
    /// others may come between them.
    pub stream: u32,
    /// Place of its first byte in the stream, after decompression.
    pub offset: u64,
    /// It is the first of its file or pipe.
    pub is_first: bool,
    /// It is the last of its file or pipe.
    pub is_last: bool,
    /// The stream cannot be read beyond this block, its last, and is known not to be whole: what is unfinished then is no
    /// record, but the start of this reject. Only for a table that does not end the job over it.
    pub damage: Option<Box<Reject>>,
    /// When its bytes were there: those of a file when they were asked for.
    pub arrived: Instant,
}

/// What a request for a block comes back with.
#[derive(Debug)]
pub enum Taken {
    /// The next block.
    Block(RawBlock),
    /// The block with this number could not be read: there is no going on beyond it.
    Failed {
        /// Number of the block.
        index: u64,
        /// Why.
        error: Error,
    },
    /// None now; the doorbells ring when there is one.
    Pending,
    /// None any more.
    End,
}

/// Where blocks come from. Handing out is atomic: each block goes to one caller.
pub trait BlockInput: Send + Sync {
    /// The next block that nobody has taken, without waiting for a device that may be silent.
    fn take(&self) -> Taken;

    /// A number that no block which is yet to be taken lies below.
    fn next_index(&self) -> u64;

    /// No block is handed out any more.
    fn stop(&self);

    /// Bytes of the whole input, if known.
    fn bytes_total(&self) -> Option<u64>;
}

/// Checks `block_bytes` of the read options.
///
/// # Errors
/// If it is 0 or too large for positions of 32 bits.
pub fn check_block_bytes(block_bytes: usize) -> Result<()> {
    if block_bytes == 0 || block_bytes > 1 << 28 {
        return Err(Error::statement(format!("a block of {block_bytes} bytes cannot be read"))
            .help("choose from 1 byte to 256 MiB; 131072 is usual"));
    }
    Ok(())
}
