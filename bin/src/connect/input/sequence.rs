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
