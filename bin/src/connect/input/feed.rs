//! A feed: blocks that one helper thread reads, and workers take.
//!
//! The thread may sleep in `read` for ever, so nobody waits for it: it puts blocks into a bounded channel and rings the
//! workers. Where it waits for time to pass, it sleeps on a condition that [`BlockInput::stop`] ends at once.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use thalweg_runtime::exchange::doorbell::Doorbells;

use super::packing::Damage;
use crate::connect::TableScan;
use crate::connect::bad_input::{Reject, RejectReason};
use crate::connect::block::{BlockBuffer, BlockInput, BlockPool, RawBlock, Taken};
use crate::error::{Error, Result};

/// The workers' end.
pub struct Feed {
    blocks: Receiver<Result<RawBlock, (u64, Error)>>,
    /// One above the greatest number received. Written by the takers.
    next: AtomicU64,
    stop: Arc<Stop>,
    bytes_total: Option<u64>,
    /// A thread that never sleeps but in [`Feeder::sleep`]: it is waited for.
    thread: Option<JoinHandle<()>>,
}

/// The thread's end.
pub struct Feeder {
    pool: Arc<BlockPool>,
    blocks: Sender<Result<RawBlock, (u64, Error)>>,
    bells: Doorbells,
    stop: Arc<Stop>,
    /// Number of the next block.
    index: u64,
    /// Number of the next stream.
    stream: u32,
}

/// Tells the thread that nobody wants more.
#[derive(Debug, Default)]
pub struct Stop {
    is_stopped: AtomicBool,
    gate: Mutex<()>,
    wake: Condvar,
}

/// One input of a feed: a file, a pipe, one generation of a followed file.
#[derive(Debug)]
pub struct Stream {
    origin: Arc<str>,
    number: u32,
    /// Bytes of text sent.
    offset: u64,
    /// Bytes of the input, as they are stored, that the blocks sent account for.
    input_offset: u64,
    is_begun: bool,
}

/// What a thread found at the end of a stream.
#[derive(Debug)]
pub enum Ending {
    /// All is there.
    Whole,
    /// It cannot be read on.
    Damaged(Damage),
}

impl Feed {
    /// Starts a thread called `thread_name` that reads with `run`.
    ///
    /// # Errors
    /// `Connector`, if the thread cannot be started.
    pub fn start(
        thread_name: &str,
        bytes_total: Option<u64>,
        scan: &TableScan<'_>,
        run: impl FnOnce(Feeder) + Send + 'static,
    ) -> Result<Self> {
        // Enough that the thread reads on while every worker decodes, and little enough that backpressure is felt.
        let (give, blocks) = bounded(2 * scan.read.workers + 2);
        let stop = Arc::new(Stop::default());
        let feeder = Feeder {
            pool: BlockPool::new(scan.read.block_bytes),
            blocks: give,
            bells: scan.bells.clone(),
            stop: Arc::clone(&stop),
            index: 0,
            stream: 0,
        };
        let thread = thread::Builder::new()
            .name(thread_name.to_owned())
            .spawn(move || run(feeder))
            .map_err(|error| Error::connector(format!("no thread to read table `{}`: {error}", scan.name)))?;
        Ok(Self { blocks, next: AtomicU64::new(0), stop, bytes_total, thread: Some(thread) })
    }

    /// Does not wait for the thread at the end: it may sleep in `read` for ever.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.thread = None;
        self
    }
}

impl BlockInput for Feed {
    fn take(&self) -> Taken {
        if self.stop.is_stopped() {
            return Taken::End;
        }
        let (index, taken) = match self.blocks.try_recv() {
            Ok(Ok(block)) => (block.index, Taken::Block(block)),
            Ok(Err((index, error))) => (index, Taken::Failed { index, error }),
            Err(TryRecvError::Empty) => return Taken::Pending,
            Err(TryRecvError::Disconnected) => return Taken::End,
        };
        // SeqCst: pairs with `next_index` and the note that a reader makes before it takes.
        self.next.fetch_max(index + 1, Ordering::SeqCst);
        taken
    }

    fn next_index(&self) -> u64 {
        // A block that another worker has received but not counted yet has a higher number than this: a bound below is
        // still a bound.
        self.next.load(Ordering::SeqCst)
    }

    fn stop(&self) {
        self.stop.stop();
    }

    fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.stop();
        // Disconnects the channel, should the thread wait for room in it.
        self.blocks = crossbeam_channel::never();
        // A panic of the thread has been told already, and ended the input.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Stop {
    /// Whether anybody still wants blocks.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        // Relaxed: the flag carries no data, and one block more or less after it is as good.
        self.is_stopped.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        // Under the lock: who is about to sleep has either seen the flag or hears the wake-up.
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_stopped.store(true, Ordering::Relaxed);
        self.wake.notify_all();
    }

    /// Sleeps for `duration`, or until nobody wants more.
    fn sleep(&self, duration: Duration) {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it ended by time or by a wake-up is told by the flag.
        drop(self.wake.wait_timeout_while(gate, duration, |()| !self.is_stopped()));
    }
}

impl Feeder {
    /// Whether the job takes no more blocks.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_stopped()
    }

    /// Sleeps for `duration`, or until the job takes no more blocks.
    pub fn sleep(&self, duration: Duration) {
        self.stop.sleep(duration);
    }

    /// A buffer for the next block's input.
    #[must_use]
    pub fn buffer(&self) -> BlockBuffer {
        self.pool.buffer()
    }

    /// Begins a stream; `origin` is what errors call it.
    pub fn begin(&mut self, origin: &str) -> Stream {
        let number = self.stream;
        self.stream += 1;
        Stream { origin: origin.into(), number, offset: 0, input_offset: 0, is_begun: false }
    }

    /// Hands out the first `bytes` of `buffer` as the next block of `stream`. `input_offset` is how far into the input, as
    /// it is stored, these bytes come from. Breaks off if nobody wants more.
    pub fn send(
        &mut self,
        stream: &mut Stream,
        buffer: BlockBuffer,
        bytes: usize,
        input_offset: u64,
    ) -> ControlFlow<()> {
        let block = stream.block(self.index, buffer, bytes, input_offset);
        self.hand_out(block)
    }

    /// Ends `stream`. If it is damaged, the format makes that the job's error or a reject, as the table's policy says: only it
    /// knows what comes before.
    ///
    /// The end is a block of its own: only now is it known that a last record without a line end is whole.
    pub fn finish(&mut self, mut stream: Stream, ending: Ending, input_offset: u64) -> ControlFlow<()> {
        let mut block = stream.block(self.index, self.pool.buffer(), 0, input_offset);
        block.is_last = true;
        if let Ending::Damaged(damage) = ending {
            block.damage = Some(Box::new(stream.reject(&damage)));
        }
        self.hand_out(block)
    }

    /// Ends the job with an error, behind the blocks handed out so far.
    pub fn fail(&mut self, error: Error) {
        // Refused only if the source is gone, and then nobody wants it.
        let _ = self.blocks.send(Err((self.index, error)));
        self.bells.ring_all();
    }

    fn hand_out(&mut self, block: RawBlock) -> ControlFlow<()> {
        if self.is_stopped() || self.blocks.send(Ok(block)).is_err() {
            return ControlFlow::Break(());
        }
        self.index += 1;
        self.bells.ring_all();
        ControlFlow::Continue(())
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        if thread::panicking() {
            // Or the input would seem to end here.
            self.fail(Error::internal("the thread that reads a table has panicked"));
        }
        // Disconnects the channel before the last ring: who wakes up then must find the end.
        let (unconnected, _) = bounded(0);
        drop(std::mem::replace(&mut self.blocks, unconnected));
        self.bells.ring_all();
    }
}

impl Stream {
    /// What errors call it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    fn block(&mut self, index: u64, buffer: BlockBuffer, bytes: usize, input_offset: u64) -> RawBlock {
        let block = RawBlock {
            index,
            origin: Arc::clone(&self.origin),
            buffer,
            bytes,
            input_bytes: input_offset - self.input_offset,
            stream: self.number,
            offset: self.offset,
            is_first: !self.is_begun,
            is_last: false,
            damage: None,
            arrived: std::time::Instant::now(),
        };
        self.is_begun = true;
        self.offset += bytes as u64;
        self.input_offset = input_offset;
        block
    }

    fn reject(&self, damage: &Damage) -> Reject {
        Reject {
            origin: Arc::clone(&self.origin),
            offset: damage.offset,
            line: 0,
            column: 0,
            field: None,
            reason: RejectReason::Corrupt,
            message: damage.message(),
            help: damage.help().to_owned(),
            record: Vec::new(),
        }
    }
}
