//! Pipes: standard input, FIFOs and terminals, read in sequence by a helper thread.
//!
//! What a `read` returns is a block, however little it is: a row is not held back until a block is full. Compressed data is
//! recognised and decompressed as it comes.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::feed::{Ending, Feed, Feeder};
use super::packing::{Fault, Unpacker};
use super::peek::Peeked;
use super::sequence::{Fill, Pumped, end, pump};
use crate::connect::block::check_block_bytes;
use crate::connect::filesystem::unreadable;
use crate::connect::{Source, TableScan};
use crate::error::{Error, Result};

/// What errors call standard input.
pub const STDIN: &str = "<stdin>";

/// Whether the end of a pipe's writer is the end of the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// It is, as for `cat`.
    One,
    /// Others may come: they are looked for at this interval, and what each writes is a text of its own. The pipe stays
    /// open meanwhile: if it were opened again, what came just before would be lost.
    Many(Duration),
}

/// Standard input belongs to a table of this process.
static IS_STDIN_TAKEN: AtomicBool = AtomicBool::new(false);

/// Opens standard input as a table; `peeked` is its beginning, if that was looked at to find the columns.
///
/// # Errors
/// `Statement`, if another table of this process reads it, or if the format cannot hold one of the columns; `Connector`, if
/// the thread that reads cannot be started.
pub fn open_stdin(peeked: Option<&Peeked>, scan: &TableScan<'_>) -> Result<Arc<dyn Source>> {
    // Relaxed: the flag stands for itself.
    if IS_STDIN_TAKEN.swap(true, Ordering::Relaxed) {
        return Err(Error::statement(format!("table `{}` cannot read standard input: it is read already", scan.name))
            .help(
                "rows of standard input go to one table, used once in one statement; to use them more often, write \
                 them to a file first",
            ));
    }
    let replay = peeked.map(Peeked::replay);
    let opener = move || -> Result<Box<dyn Read>> {
        Ok(match replay {
            Some(replay) => Box::new(replay),
            None => Box::new(std::io::stdin()),
        })
    };
    open_with(STDIN, Writers::One, opener, scan)
}

/// Opens a FIFO or device.
///
/// # Errors
/// `Statement`, if the format cannot hold one of the columns; `Connector`, if the thread that reads cannot be started. A
/// FIFO that cannot be opened is an error of the first block: opening one may wait for its writer.
pub fn open_path(path: &Path, writers: Writers, scan: &TableScan<'_>) -> Result<Arc<dyn Source>> {
    let owned = path.to_path_buf();
    let opener = move || -> Result<Box<dyn Read>> {
        let file = File::open(&owned).map_err(|error| unreadable(&owned, &error))?;
        Ok(Box::new(file))
    };
    open_with(&path.to_string_lossy(), writers, opener, scan)
}

/// Opens whatever `opener` makes; it is called on the thread that reads.
fn open_with(
    origin: &str,
    writers: Writers,
    opener: impl FnOnce() -> Result<Box<dyn Read>> + Send + 'static,
    scan: &TableScan<'_>,
) -> Result<Arc<dyn Source>> {
    check_block_bytes(scan.read.block_bytes)?;
    let origin = origin.to_owned();
    let feed = Feed::start("thalweg-pipe", None, scan, move |feeder| run(feeder, &origin, writers, opener))?;
    // Detached: a `read` from a silent pipe cannot be interrupted, and the job must be able to end all the same.
    scan.format.open_blocks(feed.detached(), scan)
}

fn run(mut feeder: Feeder, origin: &str, writers: Writers, opener: impl FnOnce() -> Result<Box<dyn Read>>) {
    let mut input = match opener() {
        Ok(input) => input,
        Err(error) => return feeder.fail(error),
    };
    while !feeder.is_stopped() {
        let mut stream = feeder.begin(origin);
        let mut unpacker = Unpacker::new(None);
        let outcome = loop {
            let outcome = pump(&mut feeder, &mut stream, &mut unpacker, input.as_mut(), Fill::Any);
            match (&outcome, writers) {
                // Nobody has written yet.
                (Ok(Pumped::Dry), Writers::Many(interval)) if unpacker.read_offset() == 0 => feeder.sleep(interval),
                _ => break outcome,
            }
        };
        let next = match outcome {
            Ok(Pumped::Stopped) => return,
            Ok(Pumped::Dry) => end(&mut feeder, stream, &mut unpacker),
            Err(Fault::Io(error)) => return feeder.fail(unreadable(Path::new(origin), &error)),
            Err(Fault::Damage(damage)) => {
                // What is left of this writer's is no text of its own.
                let mut rest = [0; 4096];
                let passes_over = || writers != Writers::One && !feeder.is_stopped();
                while passes_over() && matches!(input.read(&mut rest), Ok(1..)) {}
                feeder.finish(stream, Ending::Damaged(damage), unpacker.packed_offset())
            }
        };
        if next.is_break() || writers == Writers::One {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use thalweg_runtime::WorkerId;

    use super::*;
    use crate::connect::bad_input::OnError;
    use crate::connect::numbers::Numbers;
    use crate::connect::{Doorbells, SourceBlock, SourceEvent};
    use crate::error::Kind;

    /// A pipe whose writer is the test.
    struct Fed(crossbeam_channel::Receiver<std::io::Result<Vec<u8>>>);

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
        feed: crossbeam_channel::Sender<std::io::Result<Vec<u8>>>,
    }

    fn job() -> Job {
        let (feed, fed) = crossbeam_channel::bounded(100);
        let numbers = Numbers::new(10, 100, OnError::Fail);
        let opener = move || -> Result<Box<dyn Read>> { Ok(Box::new(Fed(fed))) };
        let source = open_with("<stdin>", Writers::One, opener, &numbers.scan());
        Job { source: source.expect("the source opens"), bells: numbers.bells, feed }
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
