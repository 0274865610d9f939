//! Pipes: standard input, FIFOs and terminals, read in sequence by a helper thread.
//!
//! The thread may sleep in `read` for ever, so nobody waits for it: it puts blocks into a bounded channel and rings the
//! workers. What a `read` returns is a block, however little it is: a row is not held back until a block is full.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use thalweg_runtime::exchange::doorbell::Doorbells;

use super::block::{BlockInput, BlockPool, RawBlock, Taken, check_block_bytes};
use super::filesystem::unreadable;
use super::{Source, TableScan};
use crate::error::{Error, Result};

/// Opens standard input as a table.
///
/// # Errors
/// `Connector`, if the thread that reads cannot be started; `Statement`, if the format cannot hold
/// one of the columns.
pub fn open(scan: &TableScan<'_>) -> Result<Arc<dyn Source>> {
    open_with("<stdin>", || Ok(Box::new(std::io::stdin())), scan)
}

/// Opens a FIFO or device.
///
/// # Errors
/// As for [`open`]. A FIFO that cannot be opened is an error of the first block: opening one may wait for its writer.
pub fn open_path(path: &Path, scan: &TableScan<'_>) -> Result<Arc<dyn Source>> {
    let owned = path.to_path_buf();
    let opener = move || -> Result<Box<dyn Read>> {
        let file = File::open(&owned).map_err(|error| unreadable(&owned, &error))?;
        Ok(Box::new(file))
    };
    open_with(&path.to_string_lossy(), opener, scan)
}

/// Opens whatever `opener` makes; it is called on the thread that reads.
pub(super) fn open_with(
    origin: &str,
    opener: impl FnOnce() -> Result<Box<dyn Read>> + Send + 'static,
    scan: &TableScan<'_>,
) -> Result<Arc<dyn Source>> {
    check_block_bytes(scan.read.block_bytes)?;
    let pipe = Pipe::start(origin, opener, scan)?;
    scan.format.open_blocks(pipe, scan)
}

/// The receiving end of a reading thread.
struct Pipe {
    blocks: Receiver<Result<RawBlock, (u64, Error)>>,
    /// One above the greatest number received. Written by the takers.
    next: AtomicU64,
    /// Shared with the thread, which may notice it only when its `read` returns.
    is_stopped: Arc<AtomicBool>,
}

impl Pipe {
    fn start(
        origin: &str,
        opener: impl FnOnce() -> Result<Box<dyn Read>> + Send + 'static,
        scan: &TableScan<'_>,
    ) -> Result<Self> {
        // Enough that the thread reads on while every worker decodes, and little enough that backpressure is felt.
        let (give, blocks) = bounded(2 * scan.read.workers + 2);
        let is_stopped = Arc::new(AtomicBool::new(false));
        let filler = Filler {
            origin: origin.into(),
            pool: BlockPool::new(scan.read.block_bytes),
            blocks: give,
            bells: scan.bells.clone(),
            is_stopped: Arc::clone(&is_stopped),
        };
        // Detached: a `read` from a silent pipe cannot be interrupted, and the job must be able to end all the same.
        thread::Builder::new()
            .name("thalweg-pipe".into())
            .spawn(move || filler.run(opener))
            .map_err(|error| Error::connector(format!("no thread to read table `{}`: {error}", scan.name)))?;
        Ok(Self { blocks, next: AtomicU64::new(0), is_stopped })
    }
}

impl BlockInput for Pipe {
    fn take(&self) -> Taken {
        // Relaxed: the flag carries no data.
        if self.is_stopped.load(Ordering::Relaxed) {
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
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }
}

/// What the reading thread owns.
struct Filler {
    origin: Arc<str>,
    pool: Arc<BlockPool>,
    blocks: Sender<Result<RawBlock, (u64, Error)>>,
    bells: Doorbells,
    is_stopped: Arc<AtomicBool>,
}

impl Filler {
    fn run(self, opener: impl FnOnce() -> Result<Box<dyn Read>>) {
        let mut input = match opener() {
            Ok(input) => input,
            Err(error) => return self.end_with(Err((0, error))),
        };
        let (mut index, mut offset) = (0, 0);
        while !self.is_stopped.load(Ordering::Relaxed) {
            let mut buffer = self.pool.buffer();
            let bytes = match input.read(buffer.input()) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let error = unreadable(Path::new(&*self.origin), &error);
                    return self.end_with(Err((index, error)));
                }
            };
            // The end of input is a block of its own: only now is it known that a last line without a newline is whole.
            let is_last = bytes == 0;
            let origin = Arc::clone(&self.origin);
            let block = RawBlock { index, origin, buffer, bytes, stream: 0, offset, is_first: index == 0, is_last };
            if is_last {
                return self.end_with(Ok(block));
            }
            if self.blocks.send(Ok(block)).is_err() {
                return;
            }
            self.bells.ring_all();
            index += 1;
            offset += bytes as u64;
        }
    }

    fn end_with(self, last: Result<RawBlock, (u64, Error)>) {
        // Refused only if the source is gone, and then nobody wants it.
        let _ = self.blocks.send(last);
        let bells = self.bells.clone();
        // Disconnects the channel before the last ring: who wakes up then must find the end.
        drop(self);
        bells.ring_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow_schema::{DataType, Field, Schema};
    use thalweg_runtime::WorkerId;

    use super::*;
    use crate::connect::bad_input::BadInput;
    use crate::connect::format::Format;
    use crate::connect::format::csv::CsvOptions;
    use crate::connect::{ReadOptions, SourceBlock, SourceEvent};
    use crate::error::Kind;

    /// A pipe whose writer is the test.
    struct Fed(Receiver<std::io::Result<Vec<u8>>>);

    impl Read for Fed {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            // A writer that is gone is the end.
            let bytes = self.0.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            buffer[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }

    struct Job {
        source: Arc<dyn Source>,
        bells: Doorbells,
        feed: Sender<std::io::Result<Vec<u8>>>,
    }

    fn job() -> Job {
        let (feed, fed) = bounded(100);
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let read = ReadOptions { batch_rows: 10, block_bytes: 100, workers: 1 };
        let bells = Doorbells::new(1);
        let opener = move || -> Result<Box<dyn Read>> { Ok(Box::new(Fed(fed))) };
        let (format, bad_input) = (Format::Csv(CsvOptions::default()), BadInput::default());
        let scan = TableScan {
            name: "t",
            schema: &schema,
            columns: &[0],
            format: &format,
            bad_input: &bad_input,
            read: &read,
            bells: &bells,
        };
        let source = open_with("<stdin>", opener, &scan);
        Job { source: source.expect("the source opens"), bells, feed }
    }

    /// The next event that is not Pending, found by the bell alone.
    fn next(reader: &mut dyn crate::connect::SourceReader, bells: &Doorbells) -> Result<Option<SourceBlock>> {
        loop {
            bells.bell(WorkerId(0)).take();
            match reader.poll()? {
                SourceEvent::Block(block) => return Ok(Some(block)),
                SourceEvent::Pending => bells.bell(WorkerId(0)).wait(Duration::from_secs(3600)),
                SourceEvent::End => return Ok(None),
            }
        }
    }

    #[test]
    fn rows_come_as_soon_as_they_are_there() {
        let Job { source, bells, feed } = job();
        let mut reader = source.reader(WorkerId(0));
        let rows = |block: Option<SourceBlock>| block.map(|block| (block.index, block.records));
        for (index, (text, records)) in [("1\n", 1), ("2", 0), ("\n3\n4", 2)].into_iter().enumerate() {
            feed.send(Ok(text.as_bytes().to_vec())).unwrap();
            assert_eq!(rows(next(reader.as_mut(), &bells).unwrap()), Some((index as u64, records)));
        }
        drop(feed);
        assert_eq!(rows(next(reader.as_mut(), &bells).unwrap()), Some((3, 1)), "the line without a newline");
        assert!(next(reader.as_mut(), &bells).unwrap().is_none());
    }

    #[test]
    fn a_silent_pipe_hinders_nobody_from_ending() {
        let Job { source, bells, feed } = job();
        let mut reader = source.reader(WorkerId(0));
        assert!(matches!(reader.poll().unwrap(), SourceEvent::Pending));
        source.drain();
        assert!(next(reader.as_mut(), &bells).unwrap().is_none());
        drop(feed);
    }

    #[test]
    fn a_broken_pipe_is_an_error_behind_the_rows_before_it() {
        let Job { source, bells, feed } = job();
        let mut reader = source.reader(WorkerId(0));
        feed.send(Ok(b"1\n".to_vec())).unwrap();
        feed.send(Err(std::io::Error::other("the cable is out"))).unwrap();
        assert_eq!(next(reader.as_mut(), &bells).unwrap().map(|block| block.records), Some(1));
        let error = next(reader.as_mut(), &bells).err().expect("the pipe is broken");
        assert_eq!(error.kind, Kind::Connector);
        assert_eq!(error.message, "cannot read `<stdin>`: the cable is out");
    }
}
