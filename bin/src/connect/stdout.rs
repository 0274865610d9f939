//! Standard output and standard error as sinks.
//!
//! Each write is flushed: the job decides how much it gathers before, so a row is visible as soon as it is handed over.
//! Rows of several sinks never mix within a line. A reader that has gone away ends the job quietly.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sink::{RowEnd, write_counted};
use super::{SinkRows, SinkWriter, WriteOutcome};
use crate::error::{Error, Result};
use crate::report::progress;

/// Where rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Writes now under way.
static WRITES_OPEN: AtomicUsize = AtomicUsize::new(0);

/// Whether a sink is in the middle of a write. If that stays so while nothing moves, nobody reads the pipe.
#[must_use]
pub fn is_writing() -> bool {
    // Relaxed: a hint for a message; nothing is read on the strength of it.
    WRITES_OPEN.load(Ordering::Relaxed) > 0
}

/// Writes rows to a stream, after a header.
pub struct StreamWriter {
    stream: Stream,
    /// Written ahead of the first rows, or at the end if there were none; empty once it is out.
    header: Vec<u8>,
    row_end: RowEnd,
    /// The progress line shares the terminal and must make way.
    is_terminal: bool,
    is_closed: bool,
}

impl StreamWriter {
    /// A writer; `header` may be empty.
    #[must_use]
    pub fn new(stream: Stream, header: Vec<u8>) -> Self {
        let is_terminal = match stream {
            Stream::Stdout => std::io::stdout().is_terminal(),
            Stream::Stderr => std::io::stderr().is_terminal(),
        };
        Self { stream, header, row_end: RowEnd::Line, is_terminal, is_closed: false }
    }

    /// The same, for rows that end otherwise than with a line: for the account of a reader that goes away.
    #[must_use]
    pub fn with_row_end(self, row_end: RowEnd) -> Self {
        Self { row_end, ..self }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<WriteOutcome> {
        if self.is_closed {
            return Ok(WriteOutcome::Closed { rows: 0 });
        }
        if bytes.is_empty() {
            return Ok(WriteOutcome::Written);
        }
        let stream = self.stream;
        WRITES_OPEN.fetch_add(1, Ordering::Relaxed);
        let (taken, written) = match self.is_terminal {
            true => progress::aside(|| write_all(stream, bytes)),
            false => write_all(stream, bytes),
        };
        WRITES_OPEN.fetch_sub(1, Ordering::Relaxed);
        match written {
            Ok(()) => Ok(WriteOutcome::Written),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(WriteOutcome::Closed { rows: self.row_end.rows(&bytes[..taken]) })
            }
            Err(error) => {
                let name = if stream == Stream::Stdout { "standard output" } else { "standard error" };
                Err(Error::connector(format!("cannot write to {name}: {error}")))
            }
        }
    }
}

impl SinkWriter for StreamWriter {
    fn write(&mut self, rows: SinkRows<'_>) -> Result<WriteOutcome> {
        let rows = rows.encoded()?;
        let header = std::mem::take(&mut self.header);
        match self.put(&header)? {
            WriteOutcome::Written => self.put(rows),
            WriteOutcome::Closed { .. } => Ok(WriteOutcome::Closed { rows: 0 }),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.write(SinkRows::Encoded(&[])).map(|_| ())
    }
}

/// Writes under the lock of the stream, so that rows stay whole, and past its buffer: a pipe whose reader goes away has
/// taken just the bytes that are counted here.
fn write_all(stream: Stream, bytes: &[u8]) -> (usize, std::io::Result<()>) {
    match stream {
        Stream::Stdout => {
            let mut out = std::io::stdout().lock();
            let own = out.flush().and_then(|()| out.as_fd().try_clone_to_owned());
            write_past(own.map(File::from), bytes)
        }
        Stream::Stderr => {
            let out = std::io::stderr().lock();
            write_past(out.as_fd().try_clone_to_owned().map(File::from), bytes)
        }
    }
}

fn write_past(file: std::io::Result<File>, bytes: &[u8]) -> (usize, std::io::Result<()>) {
    match file {
        Ok(mut file) => write_counted(&mut file, bytes),
        Err(error) => (0, Err(error)),
    }
}
