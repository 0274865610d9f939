//! Files of which some are compressed, one after the other, read by one helper thread.
//!
//! A decompressor is one sequential cutter, so the whole chain is read in sequence; decoding is shared by the workers all
//! the same. As in a chain of plain files, a plain file is read as it was when the table was opened.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;

use super::feed::{Ending, Feeder, Stream};
use super::packing::{Fault, Packing, Unpacker};
use super::{ListedFile, shrunk};
use crate::connect::filesystem::unreadable;

/// Reads `files` to their ends, or until nobody wants more.
pub fn run(mut feeder: Feeder, files: &[ListedFile]) {
    for file in files {
        if read_file(&mut feeder, file).is_break() {
            return;
        }
    }
}

fn read_file(feeder: &mut Feeder, file: &ListedFile) -> ControlFlow<()> {
    let mut stream = feeder.begin(&file.path.to_string_lossy());
    let opened = match File::open(&file.path) {
        Ok(opened) => opened,
        Err(error) => {
            feeder.fail(unreadable(&file.path, &error));
            return ControlFlow::Break(());
        }
    };
    let mut source = opened.take(file.bytes);
    let mut unpacker = Unpacker::new(file.path.to_str());
    match pump(feeder, &mut stream, &mut unpacker, &mut source, Fill::Whole) {
        Ok(Pumped::Stopped) => ControlFlow::Break(()),
        Ok(Pumped::Dry) if source.limit() > 0 => {
            feeder.fail(shrunk(&file.path, file.bytes));
            ControlFlow::Break(())
        }
        Ok(Pumped::Dry) => end(feeder, stream, &mut unpacker),
        Err(Fault::Io(error)) => {
            feeder.fail(unreadable(&file.path, &error));
            ControlFlow::Break(())
        }
        Err(Fault::Damage(damage)) => {
            // What lies behind the fault is not read, but it is done with.
            let input_offset = if file.packing == Packing::Plain { unpacker.packed_offset() } else { file.bytes };
            feeder.finish(stream, Ending::Damaged(damage), input_offset)
        }
    }
}

/// When a block is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// When it is full: for files.
    Whole,
    /// When there is anything: for pipes, whose rows are wanted as they come.
    Any,
}

/// How [`pump`] came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pumped {
    /// The source gives nothing, for now or for ever.
    Dry,
    /// Nobody wants more.
    Stopped,
}

/// Reads `source` through `unpacker` and hands out blocks of `stream`, until the source gives nothing.
///
/// # Errors
/// As [`Unpacker::read`]; what was read before the fault has been handed out.
pub fn pump(
    feeder: &mut Feeder,
    stream: &mut Stream,
    unpacker: &mut Unpacker,
    source: &mut dyn Read,
    fill: Fill,
) -> Result<Pumped, Fault> {
    loop {
        if feeder.is_stopped() {
            return Ok(Pumped::Stopped);
        }
        let mut buffer = feeder.buffer();
        let room = buffer.input();
        let mut bytes = 0;
        let outcome = loop {
            match unpacker.read(source, &mut room[bytes..]) {
                Ok(0) => break Ok(Pumped::Dry),
                Ok(more) => bytes += more,
                Err(fault) => break Err(fault),
            }
            if fill == Fill::Any || bytes == room.len() {
                break Ok(Pumped::Stopped);
            }
        };
        if bytes > 0 && feeder.send(stream, buffer, bytes, unpacker.packed_offset()).is_break() {
            return Ok(Pumped::Stopped);
        }
        match outcome {
            // A block, and there may be more.
            Ok(Pumped::Stopped) => {}
            Ok(Pumped::Dry) | Err(_) => return outcome,
        }
    }
}

/// Ends `stream`, of which nothing more will come.
pub fn end(feeder: &mut Feeder, mut stream: Stream, unpacker: &mut Unpacker) -> ControlFlow<()> {
    let mut rest = [0; super::packing::MAGIC_BYTES];
    let ending = match unpacker.finish(&mut rest) {
        Ok(bytes) => {
            // Cut to the size of blocks, however small that is.
            let mut rest = &rest[..bytes];
            while !rest.is_empty() {
                let mut buffer = feeder.buffer();
                let room = buffer.input();
                let some = rest.len().min(room.len());
                room[..some].copy_from_slice(&rest[..some]);
                rest = &rest[some..];
                feeder.send(&mut stream, buffer, some, unpacker.packed_offset() - rest.len() as u64)?;
            }
            Ending::Whole
        }
        Err(damage) => Ending::Damaged(damage),
    };
    feeder.finish(stream, ending, unpacker.read_offset())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::{Path, PathBuf};

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use thalweg_runtime::WorkerId;

    use super::super::feed::Feed;
    use super::*;
    use crate::connect::SourceEvent;
    use crate::connect::bad_input::{OnError, Reject};
    use crate::connect::numbers::Numbers;
    use crate::error::Result;

    /// Numbers, bytes and rejects of a chain of files.
    fn read(files: Vec<ListedFile>, block_bytes: usize) -> Result<(Vec<i64>, u64, Vec<Reject>)> {
        let table = Numbers::new(100, block_bytes, OnError::Divert);
        let scan = table.scan();
        let feed = Feed::start("test", None, &scan, move |feeder| run(feeder, &files))?;
        let source = scan.format.open_blocks(feed, &scan)?;
        let mut reader = source.reader(WorkerId(0));
        let (mut numbers, mut bytes, mut rejects) = (Vec::new(), 0, Vec::new());
        loop {
            match reader.poll()? {
                SourceEvent::Block(block) => {
                    bytes += block.bytes;
                    rejects.extend(block.rejects.records);
                    for batch in block.batches {
                        numbers.extend(batch.column(0).as_primitive::<Int64Type>().values());
                    }
                }
                SourceEvent::Pending => std::thread::yield_now(),
                SourceEvent::End => return Ok((numbers, bytes, rejects)),
            }
        }
    }

    fn write(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn damage_costs_the_record_that_it_cuts_wherever_blocks_are_cut() {
        let directory = tempfile::tempdir().unwrap();
        let text: Vec<u8> = (100_000..101_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        let whole = gzip(&text);
        let (mut cuts, mut inside) = (0, 0);
        for cut in (whole.len() / 3..whole.len()).step_by(97) {
            let files = || {
                let broken = write(directory.path(), "a.csv.gz", &whole[..cut]);
                let plain = write(directory.path(), "b.csv", b"7");
                vec![ListedFile::look(broken).unwrap(), ListedFile::look(plain).unwrap()]
            };
            let (numbers, bytes, rejects) = read(files(), 1 << 17).unwrap();
            assert_eq!(bytes, cut as u64 + 1);
            assert_eq!(numbers.last(), Some(&7), "the next file is read");
            let rows = numbers.len() - 1;
            assert_eq!(numbers[..rows], (100_000..100_000 + rows as i64).collect::<Vec<_>>());
            let [reject] = &rejects[..] else { panic!("{rejects:?}") };
            assert_eq!((reject.offset, reject.line), (7 * rows as u64, 1 + rows as u64));
            assert_eq!(reject.record, &text[7 * rows..7 * rows + reject.record.len()]);
            assert!(reject.record.len() < 7);
            (cuts, inside) = (cuts + 1, inside + usize::from(!reject.record.is_empty()));
            for block_bytes in [1, 10, 700] {
                assert_eq!(read(files(), block_bytes).unwrap(), (numbers.clone(), bytes, rejects.clone()));
            }
        }
        assert!(cuts > 5 && inside > 0, "{cuts} {inside}");
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in [("a.gz", gzip(b"1\n")), ("a.csv", b"1\n".to_vec())] {
            let mut file = ListedFile::look(write(directory.path(), name, &bytes)).unwrap();
            file.bytes += 5;
            let error = read(vec![file], 100).unwrap_err();
            assert!(error.message.contains("became shorter than"), "{}", error.message);
        }
    }
}
