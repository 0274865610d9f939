//! A region cut record by record, where what the index knows is not enough: see [`Walk::over`].

use super::RecordFormat;
use super::carry::MARK;
use super::dialect::Dialect;
use super::region::{Region, Row, Rows};
use super::scan::{Fault, FaultKind, Scan, Stop};
use crate::connect::bad_input::{OnError, Reject, RejectReason, Rejects};

/// A record that is not finished: how far it was looked at, and its delimiters so far, counted from its start.
#[derive(Clone, Debug, Default)]
pub struct Unfinished {
    /// The state behind the last byte that was looked at.
    pub scan: Scan,
    /// Places of delimiters.
    pub delimiters: Vec<u32>,
}

/// How far a walk came.
#[derive(Debug, Default)]
pub struct Walk {
    /// Behind the last byte that is done with.
    pub end: usize,
    /// The record that is left, if anything is.
    pub unfinished: Unfinished,
    /// The rest of a refused record is to be passed over, up to the next newline.
    pub discards_line: bool,
    /// A record was refused that ends the job.
    pub is_broken: bool,
    /// A byte order mark is still to be passed over, with the record behind it.
    pub is_file_start: bool,
    /// No byte of the stream follows.
    pub is_last: bool,
}

impl Walk {
    /// Finds the records of `region` one by one, passes over comments and the byte order mark, and refuses what is too
    /// long, or not to be believed. The walk starts as the one before it ended: all but `end` is read too, `unfinished`
    /// for the region's first record.
    pub fn over<F: RecordFormat>(&mut self, region: &mut Region, format: &F) {
        let (dialect, bad_input) = (format.dialect(), format.bad_input());
        let end = region.end;
        let mut rows = Vec::new();
        let mut positions = Vec::new();
        let mut rejects = Rejects::default();
        let mut at = region.start;
        self.end = at;
        if self.is_file_start && !self.is_last && MARK.starts_with(&region.buffer.bytes[at..end]) {
            region.rows = Rows::Listed(rows);
            return;
        }
        if self.is_file_start && region.buffer.bytes[at..end].starts_with(MARK) {
            at += MARK.len();
            region.anchor = at;
        }
        while at < end {
            let bytes = &region.buffer.bytes;
            if self.discards_line || (dialect.comments && bytes[at] == b'#') {
                let newline = memchr::memchr(b'\n', &bytes[at..end]);
                // Nothing needs to be kept of a line that is passed over, but that it has not ended.
                self.discards_line = newline.is_none();
                at = newline.map_or(end, |newline| at + newline + 1);
                self.end = at;
                continue;
            }
            let Unfinished { mut scan, mut delimiters } = std::mem::take(&mut self.unfinished);
            let first = positions.len();
            positions.extend(delimiters.iter().map(|&place| at as u32 + place));
            let rest = &bytes[at + scan.bytes()..end];
            let stop = scan.run(rest, dialect, bad_input.record_bytes_max, |place| positions.push((at + place) as u32));
            let fault = match stop {
                Some(Stop::End(newline)) => {
                    positions.push((at + newline) as u32);
                    let fields = (positions.len() - first) as u32;
                    rows.push(Row { start: at as u32, first: first as u32, fields });
                    at += newline + 1;
                    self.end = at;
                    continue;
                }
                Some(Stop::Fault(fault)) => fault,
                None if self.is_last => scan.at_end(),
                None => {
                    delimiters.clear();
                    delimiters.extend(positions.drain(first..).map(|position| position - at as u32));
                    self.unfinished = Unfinished { scan, delimiters };
                    break;
                }
            };
            positions.truncate(first);
            let reject = || refused_record(region, at, fault, format);
            if bad_input.on_error == OnError::Fail {
                region.error = Some(reject().into_error());
                self.is_broken = true;
                break;
            }
            rejects.add(bad_input.on_error, reason(fault.kind), reject);
            // A newline that was not seen yet comes behind all that was.
            self.discards_line = fault.newline.is_none();
            at += fault.newline.map_or(0, |newline| newline + 1);
            self.end = at;
        }
        region.has_quotes = dialect.quote.is_some() || dialect.escape.is_some();
        region.rejects = rejects;
        region.positions = positions;
        region.rows = Rows::Listed(rows);
    }
}

fn reason(kind: FaultKind) -> RejectReason {
    if kind == FaultKind::TooLong { RejectReason::TooLong } else { RejectReason::Quote }
}

/// The record that starts at `start`, and is given up.
fn refused_record<F: RecordFormat>(region: &Region, start: usize, fault: Fault, format: &F) -> Reject {
    let bytes_max = format.bad_input().record_bytes_max;
    let bytes = &region.buffer.bytes;
    let (message, help) = explain(fault.kind, bytes_max, format.dialect());
    // Of a record that is too long, how much more is known here depends on where the block ends.
    let end = match fault.newline {
        Some(newline) if fault.kind != FaultKind::TooLong => start + newline,
        _ => region.end.min(start.saturating_add(bytes_max)),
    };
    Reject { message, help, ..region.reject(bytes, start..end, start + fault.place, reason(fault.kind)) }
}

fn explain(kind: FaultKind, bytes_max: usize, dialect: Dialect) -> (String, String) {
    let close =
        "close it, set 'csv.disable-quote-character' = 'true' if quotes mean nothing, or set 'on-error' = 'skip'";
    match kind {
        FaultKind::Unclosed => ("the quote that is opened here is never closed".to_owned(), close.to_owned()),
        FaultKind::UnclosedSoFar => {
            let message = format!("the quote that is opened here is not closed within {bytes_max} bytes");
            (message, format!("{close}; a longer field needs a higher 'max-record-bytes'"))
        }
        FaultKind::ClosedAmiss => {
            let message = "the quote that is opened here is not closed where a field may end";
            let help = "close it, and write quotes within the field twice, or set 'on-error' = 'skip'";
            (message.to_owned(), help.to_owned())
        }
        FaultKind::Stray => {
            let message = "this quote neither starts a field nor ends one";
            let help = "quote the whole field and write quotes within it twice, \
                        or set 'csv.disable-quote-character' = 'true' if quotes mean nothing";
            (message.to_owned(), help.to_owned())
        }
        FaultKind::TooLong => {
            let quotes = if dialect.quote.is_some() { "a quote may be opened and never closed; if not, " } else { "" };
            let help = "raise 'max-record-bytes', or pass over such records with 'on-error' = 'skip'";
            (format!("the record that starts here is longer than {bytes_max} bytes"), format!("{quotes}{help}"))
        }
        FaultKind::Escape => {
            let message = "the input ends behind an escape character";
            (message.to_owned(), "write an escape character that means itself twice".to_owned())
        }
    }
}
