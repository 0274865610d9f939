//! The beginning of standard input, looked at before it is read as a table.
//!
//! The columns of `FROM '-'` follow from the first bytes. They are read by a thread of their own, kept, and read again by
//! the table: nothing of a pipe is lost by looking at it.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::packing::{Fault, Unpacker};
use crate::error::{Error, Result};

/// Bytes that are waited for at most.
const HEAD_BYTES_MAX: usize = 1 << 20;

/// A pipe that gives nothing for so long is not waited for, once it has given a line: it may be silent for hours.
const SILENCE_MAX: Duration = Duration::from_millis(500);

/// Bytes read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces on their way at most.
const PIECES_MAX: usize = 4;

/// Standard input of which the beginning has been read.
#[derive(Clone)]
pub struct Peeked {
    /// As it came, still compressed.
    head: Arc<[u8]>,
    /// `head` is all there is.
    is_whole: bool,
    rest: Receiver<std::io::Result<Vec<u8>>>,
}

impl std::fmt::Debug for Peeked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peeked").field("head_bytes", &self.head.len()).field("is_whole", &self.is_whole).finish()
    }
}

impl Peeked {
    /// Looks at standard input; the second look in a process sees what the first did.
    ///
    /// # Errors
    /// `Connector`, if it cannot be read.
    pub fn stdin() -> Result<Self> {
        static SEEN: OnceLock<Mutex<Option<Peeked>>> = OnceLock::new();
        let mut seen = SEEN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.as_ref() {
            return Ok(seen.clone());
        }
        let peeked = Self::look(std::io::stdin())?;
        *seen = Some(peeked.clone());
        Ok(peeked)
    }

    fn look(mut input: impl Read + Send + 'static) -> Result<Self> {
        let (give, pieces) = bounded(PIECES_MAX);
        let read = move || {
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let outcome = match input.read(&mut piece) {
                    Ok(0) => return,
                    Ok(bytes) => {
                        piece.truncate(bytes);
                        Ok(piece)
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let is_last = outcome.is_err();
                if give.send(outcome).is_err() || is_last {
                    return;
                }
            }
        };
        // Detached: a silent pipe cannot be interrupted.
        thread::Builder::new()
            .name("thalweg-peek".to_owned())
            .spawn(read)
            .map_err(|error| Error::connector(format!("no thread to read standard input: {error}")))?;
        let mut head = Vec::new();
        let is_whole = loop {
            if head.len() >= HEAD_BYTES_MAX {
                break false;
            }
            match pieces.recv_timeout(SILENCE_MAX) {
                Ok(Ok(piece)) => head.extend_from_slice(&piece),
                Ok(Err(error)) => return Err(Error::connector(format!("cannot read standard input: {error}"))),
                Err(RecvTimeoutError::Timeout) if has_line(&head) => break false,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break true,
            }
        };
        Ok(Self { head: head.into(), is_whole, rest: pieces })
    }

    /// The beginning as text, decompressed, and whether it is all there is. A fault that comes later is told when the
    /// table is read.
    ///
    /// # Errors
    /// What is wrong with the very first bytes.
    pub fn text(&self, bytes_max: usize) -> std::result::Result<(Vec<u8>, bool), Fault> {
        let (text, is_dry) = unpacked_head(&mut &self.head[..], None, bytes_max)?;
        Ok((text, is_dry && self.is_whole))
    }

    /// All of it from the beginning. To be called once.
    #[must_use]
    pub fn replay(&self) -> Replay {
        Replay { head: Arc::clone(&self.head), at: 0, rest: self.rest.clone(), piece: Vec::new(), piece_at: 0 }
    }
}

/// The first bytes of text in `source`, at most `bytes_max`, and whether that is all that it gives.
///
/// # Errors
/// A fault before any text; what comes before a later fault is text like any other.
pub fn unpacked_head(
    source: &mut dyn Read,
    name: Option<&str>,
    bytes_max: usize,
) -> std::result::Result<(Vec<u8>, bool), Fault> {
    let mut unpacker = Unpacker::new(name);
    let mut text = vec![0; bytes_max];
    let mut bytes = 0;
    while bytes < bytes_max {
        match unpacker.read(source, &mut text[bytes..]) {
            Ok(0) => {
                let mut rest = [0; super::packing::MAGIC_BYTES];
                let more = unpacker.finish(&mut rest).unwrap_or(0);
                text.truncate(bytes);
                text.extend_from_slice(&rest[..more]);
                return Ok((text, true));
            }
            Ok(more) => bytes += more,
            Err(fault) if bytes == 0 => return Err(fault),
            Err(_) => break,
        }
    }
    text.truncate(bytes);
    Ok((text, false))
}

/// Whether there is what may be a line: compressed data says nothing about that, and is not waited for either.
fn has_line(head: &[u8]) -> bool {
    use super::packing::Packing;
    head.contains(&b'\n') || !matches!(Packing::of(head), None | Some(Packing::Plain))
}

/// Reads what was looked at, then the rest.
pub struct Replay {
    head: Arc<[u8]>,
    at: usize,
    rest: Receiver<std::io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    piece_at: usize,
}

impl Read for Replay {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.at < self.head.len() {
            let bytes = (&self.head[self.at..]).read(out)?;
            self.at += bytes;
            return Ok(bytes);
        }
        if self.piece_at == self.piece.len() {
            // A reader that is gone has met the end.
            let Ok(piece) = self.rest.recv() else { return Ok(0) };
            (self.piece, self.piece_at) = (piece?, 0);
        }
        let bytes = (&self.piece[self.piece_at..]).read(out)?;
        self.piece_at += bytes;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_is_read_again() {
        let text: Vec<u8> = (0..500_000).flat_map(|n: u32| format!("{n}\n").into_bytes()).collect();
        let peeked = Peeked::look(std::io::Cursor::new(text.clone())).unwrap();
        let (head, is_whole) = peeked.text(1000).unwrap();
        assert_eq!((&head[..], is_whole), (&text[..1000], false));
        let mut all = Vec::new();
        peeked.replay().read_to_end(&mut all).unwrap();
        assert!(all == text);
        let peeked = Peeked::look(&b"a\n1\n"[..]).unwrap();
        assert_eq!(peeked.text(1000).unwrap(), (b"a\n1\n".to_vec(), true));
    }

    #[test]
    fn a_pipe_that_falls_silent_behind_a_line_is_not_waited_for() {
        let (give, take) = bounded::<Vec<u8>>(1);
        struct Fed(Receiver<Vec<u8>>);
        impl Read for Fed {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                let bytes = self.0.recv().unwrap_or_default();
                out[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
        }
        give.send(b"a\n1\n2".to_vec()).unwrap();
        let peeked = Peeked::look(Fed(take)).unwrap();
        assert_eq!(peeked.text(1000).unwrap(), (b"a\n1\n2".to_vec(), false));
        give.send(b"3\n".to_vec()).unwrap();
        drop(give);
        let mut all = Vec::new();
        peeked.replay().read_to_end(&mut all).unwrap();
        assert_eq!(all, b"a\n1\n23\n");
    }
}
