//! A region: the whole records that end in one block, with the positions of their separators.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::Buffer;
use bytes::Bytes;

use super::dialect::Dialect;
use super::place::column;
use super::places::{PlacedRecords, TextPlaces};
use super::shape::Shape;
use crate::connect::bad_input::{OnError, REJECT_BYTES_MAX, Reject, RejectReason, Rejects};
use crate::connect::block::BlockBuffer;
use crate::error::{Error, InputPlace};

/// One record: where it starts, and its separators, the last of which is its newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Position of its first byte.
    pub start: u32,
    /// Its first separator, as a place in the region's positions.
    pub first: u32,
    /// Its separators, hence also its fields. At least 1.
    pub fields: u32,
}

/// Which records a region holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// All that the positions make, one after the other.
    Dense,
    /// These; there may be other text between them.
    Listed(Vec<Row>),
}

/// Whole records in a buffer. Starts at the start of a record and ends behind the end of one.
///
/// A decoder takes [`Region::rejects`], which count as records, and decodes the records that it finds with
/// [`Region::rows`]; for a format of lines [`Region::records`] says directly where they are. If [`Region::shape`] is none
/// there are no records. A view into the text outlives the region: [`Region::freeze`] hands the text out as a buffer, in
/// which all positions stay as they are. A bad record becomes a [`Region::reject`], with what is wrong and how to mend it
/// filled in. Under `fail` it is made an error and returned. Otherwise it goes to the rejects that the region came with.
/// Last, [`Region::error`] is what ends the job *after* the region's records: it is returned if no record was bad.
/// [`Region::positions`] goes back in [`Decoded::positions`](super::Decoded::positions), to be used again.
#[derive(Debug)]
pub struct Region {
    /// Holds the text.
    pub buffer: BlockBuffer,
    /// What it was read from.
    pub origin: Arc<str>,
    /// First byte, behind a byte order mark and a header.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// Place of the buffer's first byte in the stream that the text is from; below 0 if that is before the stream's start.
    pub base: i64,
    /// Where line [`Region::line`] starts.
    pub anchor: usize,
    /// Number of the first line, from 1.
    pub line: u64,
    /// What its records look like; none if there is no record in it, nor was there one before.
    pub shape: Option<Arc<Shape>>,
    /// Separators.
    pub positions: Vec<u32>,
    /// The first separator of the first record.
    pub first: usize,
    /// Newlines that end records, if dense.
    pub record_ends: usize,
    /// Which records there are.
    pub rows: Rows,
    /// There may be quotes.
    pub has_quotes: bool,
    /// All of it is known to be ASCII.
    pub is_ascii: bool,
    /// Records that were given up while the region was cut.
    pub rejects: Rejects,
    /// Comes after the records that are here, and ends the job.
    pub error: Option<Error>,
    /// The place asked for last, and its line: where most records are refused, lines are not counted from the top again.
    seen: Cell<(usize, u64)>,
}

impl Region {
    /// A region whose separators are yet to be found.
    #[must_use]
    pub fn new(
        buffer: BlockBuffer,
        origin: Arc<str>,
        range: Range<usize>,
        base: i64,
        line: u64,
        shape: Option<Arc<Shape>>,
    ) -> Self {
        Self {
            buffer,
            origin,
            start: range.start,
            end: range.end,
            base,
            anchor: range.start,
            line,
            shape,
            positions: Vec::new(),
            first: 0,
            record_ends: 0,
            rows: Rows::Dense,
            has_quotes: false,
            is_ascii: false,
            rejects: Rejects::default(),
            error: None,
            seen: Cell::new((range.start, line)),
        }
    }

    /// Adds that the stream breaks off behind these records: a reject, which starts with the record `tail` that it breaks off
    /// in, on line `line`. An error that the region has already comes before it.
    pub fn break_off(&mut self, damage: Reject, tail: &[u8], line: u64, on_error: OnError) {
        let offset = damage.offset - tail.len() as u64;
        let record = tail[..tail.len().min(REJECT_BYTES_MAX)].to_vec();
        let reject = Reject { offset, line, record, ..damage };
        match on_error {
            OnError::Fail => {
                self.error.get_or_insert_with(|| reject.into_error());
            }
            OnError::Skip | OnError::Divert => self.rejects.add(on_error, RejectReason::Corrupt, || reject),
        }
    }

    /// The records, one by one.
    pub fn rows(&self) -> Box<dyn Iterator<Item = Row> + '_> {
        match &self.rows {
            Rows::Listed(rows) => Box::new(rows.iter().copied()),
            Rows::Dense => Box::new(DenseRows { region: self, start: self.start as u32, first: self.first }),
        }
    }

    /// Where the records are, without their line ends (LF or CR LF).
    pub fn records(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.rows().map(|row| {
            let end = self.positions[(row.first + row.fields) as usize - 1] as usize;
            let start = row.start as usize;
            let has_return = end > start && self.buffer.bytes[end - 1] == b'\r';
            start..end - usize::from(has_return)
        })
    }

    /// The record is a line without text. In tables of several columns such lines are passed over.
    #[must_use]
    pub fn is_blank(&self, row: &Row) -> bool {
        let end = self.positions[row.first as usize] as usize;
        row.fields == 1 && matches!(&self.buffer.bytes[row.start as usize..end], b"" | b"\r")
    }

    /// The fields of a record as they are written, quotes included.
    #[must_use]
    pub fn texts(&self, row: &Row) -> Vec<&[u8]> {
        let ends = &self.positions[row.first as usize..][..row.fields as usize];
        let mut start = row.start as usize;
        let mut texts = Vec::with_capacity(ends.len());
        for &end in ends {
            texts.push(&self.buffer.bytes[start..end as usize]);
            start = end as usize + 1;
        }
        if let Some(last) = texts.last_mut() {
            *last = last.strip_suffix(b"\r").unwrap_or(last);
        }
        texts
    }

    /// Place in the stream of a position in the buffer.
    #[must_use]
    pub fn offset_of(&self, position: usize) -> u64 {
        self.base.saturating_add_unsigned(position as u64).max(0) as u64
    }

    /// A record that is refused, all but what is wrong and how to mend it. What is wrong is at `fault`, not before the
    /// record; `text` is the buffer's.
    #[must_use]
    pub fn reject(&self, text: &[u8], record: Range<usize>, fault: usize, reason: RejectReason) -> Reject {
        let (line, column) = self.line_and_column(text, fault);
        let end = record.end.min(record.start + REJECT_BYTES_MAX);
        Reject {
            origin: Arc::clone(&self.origin),
            offset: self.offset_of(record.start),
            line,
            column,
            field: None,
            reason,
            message: String::new(),
            help: String::new(),
            record: text[record.start..end].to_vec(),
        }
    }

    /// Line and column of a position, both from 1. `text` is the buffer's.
    fn line_and_column(&self, text: &[u8], position: usize) -> (u64, u64) {
        let (mut from, mut line) = self.seen.get();
        if position < from || from < self.anchor {
            (from, line) = (self.anchor, self.line);
        }
        line += memchr::memchr_iter(b'\n', &text[from..position]).count() as u64;
        self.seen.set((position, line));
        (line, column(&text[self.anchor..position]))
    }

    /// A position as the user finds it.
    #[must_use]
    pub fn place_of(&self, position: usize) -> InputPlace {
        let (line, column) = self.line_and_column(&self.buffer.bytes, position);
        InputPlace { file: Arc::clone(&self.origin), line, column, record: Vec::new() }
    }

    /// Leaves out the byte order mark of UTF-8.
    ///
    /// # Errors
    /// `Data`, if there is one of UTF-16.
    pub fn strip_byte_order_mark(&mut self) -> Result<(), Error> {
        let text = &self.buffer.bytes[self.start..self.end];
        if text.starts_with(b"\xFF\xFE") || text.starts_with(b"\xFE\xFF") {
            return Err(Error::data_at(InputPlace::start_of(&self.origin), "the file is in UTF-16, not in UTF-8")
                .help("convert it, for example with `iconv -f UTF-16 -t UTF-8`"));
        }
        if text.starts_with(b"\xEF\xBB\xBF") {
            self.start += 3;
            self.anchor = self.start;
        }
        Ok(())
    }

    /// Leaves out the records up to and including this one.
    pub fn drop_through(&mut self, row: &Row) {
        let behind = (row.first + row.fields) as usize;
        match &mut self.rows {
            Rows::Listed(rows) => rows.retain(|kept| kept.start > row.start),
            Rows::Dense => {
                let dropped = &self.positions[self.first..behind];
                let is_end = |position: &&u32| self.buffer.bytes[**position as usize] == b'\n';
                self.record_ends -= dropped.iter().filter(is_end).count();
                self.start = self.positions[behind - 1] as usize + 1;
                self.first = behind;
            }
        }
    }

    /// Hands the text out for views into it; nothing of it can be changed, or looked at here, from then on.
    #[must_use]
    pub fn freeze(&mut self) -> Buffer {
        Buffer::from(Bytes::from_owner(self.buffer.take()))
    }

    /// How the rows of this region are found again, once the text is handed out as `text`: row *i* is the record at
    /// `records`. Only what is needed for that is kept.
    #[must_use]
    pub fn places(&self, text: &Buffer, dialect: Dialect, records: PlacedRecords) -> TextPlaces {
        let origin = Arc::clone(&self.origin);
        let (anchor, line) = (self.anchor, self.line);
        let range = self.start..self.end;
        TextPlaces { text: text.clone(), origin, base: self.base, anchor, line, range, dialect, records }
    }

    /// Leaves out all records, for an error that comes before them.
    pub fn refuse_all(&mut self, error: Error) {
        self.rows = Rows::Listed(Vec::new());
        self.error = Some(error);
    }
}

/// Cuts the separators of a region into records.
struct DenseRows<'a> {
    region: &'a Region,
    start: u32,
    first: usize,
}

impl Iterator for DenseRows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let positions = &self.region.positions[self.first..];
        let last = positions.iter().position(|&position| self.region.buffer.bytes[position as usize] == b'\n')?;
        let row = Row { start: self.start, first: self.first as u32, fields: last as u32 + 1 };
        self.start = positions[last] + 1;
        self.first += last + 1;
        Some(row)
    }
}
