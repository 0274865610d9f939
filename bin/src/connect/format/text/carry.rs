//! What block *k* tells block *k* + 1, and how it makes whole records of a block: see [`Carry::advance`].
//!
//! A block starts and ends anywhere. What its reader can find out alone, it finds out before its turn ([`Piece`]). In turn
//! it learns whether it starts inside of quotes, and gets the bytes of the record that the blocks before left unfinished;
//! it leaves the same for the next. All that costs more than copying an unfinished record is done after the turn, but for
//! three cases: the first record of a file (it may be the header), comments, and records near the limit of length.

use std::ops::Range;
use std::sync::Arc;

use super::RecordFormat;
use super::dialect::Dialect;
use super::index::Found;
use super::region::{Region, Row, Rows};
use super::shape::{FirstRecord, Shape};
use super::simd::index;
use crate::connect::bad_input::{OnError, REJECT_BYTES_MAX, Reject, RejectReason, Rejects};
use crate::connect::block::{HEAD_BYTES, PAD_BYTES, RawBlock};
use crate::error::Result;

/// Entries kept free in front of a block's positions, for those of the unfinished record before it.
const FRONT: usize = 256;

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// A block with what can be known about it before its turn.
#[derive(Debug)]
pub struct Piece {
    raw: RawBlock,
    /// Where the input ends in the buffer, a supplied last newline included.
    end: usize,
    /// Separators, from [`FRONT`] on, if the block starts outside of quotes.
    positions: Vec<u32>,
    found: Found,
}

impl Piece {
    /// Indexes a block. `positions` is a buffer to use.
    pub fn new(raw: RawBlock, dialect: Dialect, positions: Vec<u32>) -> Self {
        let end = HEAD_BYTES + raw.bytes;
        let mut piece = Self { raw, end, positions, found: Found::default() };
        if piece.raw.is_last && piece.raw.bytes > 0 && piece.raw.buffer.bytes[end - 1] != b'\n' {
            piece.supply_newline();
        }
        piece.index(dialect, false);
        piece
    }

    /// Number of the block.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.raw.index
    }

    /// The stream that it is of.
    #[must_use]
    pub fn stream(&self) -> u32 {
        self.raw.stream
    }

    /// No other block of its stream follows.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.raw.is_last
    }

    /// That nothing comes of it, because an earlier block was refused.
    #[must_use]
    pub fn moot(self) -> Cut {
        Cut { bytes: self.raw.input_bytes, records: Records::Moot, spare: Some(self.positions) }
    }

    /// Ends the last record of a file that does not end with a newline.
    fn supply_newline(&mut self) {
        self.raw.buffer.bytes[self.end] = b'\n';
        self.end += 1;
    }

    fn index(&mut self, dialect: Dialect, is_inside: bool) {
        self.positions.clear();
        self.positions.resize(FRONT, 0);
        let bytes = &self.raw.buffer.bytes;
        self.found = index(bytes, HEAD_BYTES, self.end, dialect, is_inside, &mut self.positions);
    }

    fn input(&self) -> &[u8] {
        &self.raw.buffer.bytes[HEAD_BYTES..self.end]
    }
}

/// What a turn makes of a block.
#[derive(Debug)]
pub struct Cut {
    /// Bytes of input in the block.
    pub bytes: u64,
    /// The whole records that end in it.
    pub records: Records,
    /// A buffer for positions that is not needed any more.
    pub spare: Option<Vec<u32>>,
}

/// The records of a cut.
#[derive(Debug)]
pub enum Records {
    /// None end in this block.
    None,
    /// To be put together after the turn.
    Unassembled(Box<Unassembled>),
    /// Put together.
    Region(Box<Region>),
    /// An earlier block was refused, which ends the job: nothing comes of this one.
    Moot,
}

/// The state that goes from block to block of one stream.
#[derive(Debug)]
pub struct Carry {
    /// None until the file's first record is known.
    shape: Option<Arc<Shape>>,
    /// No byte of the file has been consumed: a byte order mark may be in front.
    is_file_start: bool,
    /// The tail ends inside of quotes.
    is_inside: bool,
    /// Bytes of the record that is not finished.
    tail: Vec<u8>,
    tail_newlines: u64,
    /// Number of the line that the tail starts, from 1.
    line: u64,
    /// The rest of a refused record is to be passed over, up to the next newline.
    discards_line: bool,
    /// A block was refused in its turn: what follows it means nothing.
    is_broken: bool,
}

impl Default for Carry {
    fn default() -> Self {
        Self {
            shape: None,
            is_file_start: false,
            is_inside: false,
            tail: Vec::new(),
            tail_newlines: 0,
            line: 1,
            discards_line: false,
            is_broken: false,
        }
    }
}

impl Carry {
    /// A block was refused in its turn, which ends the job.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Cuts the block whose turn it is into whole records.
    pub fn advance<F: RecordFormat>(&mut self, mut piece: Piece, format: &F) -> Cut {
        let bytes = piece.raw.input_bytes;
        if piece.raw.is_first {
            *self = Self { is_file_start: true, ..Self::default() };
        }
        if let Some(damage) = piece.raw.damage.take() {
            return Cut {
                bytes,
                records: Records::Region(Box::new(self.damaged(piece, *damage, format))),
                spare: None,
            };
        }
        if piece.raw.is_last && self.is_file_start && self.is_mark_alone(&piece) {
            return Cut { bytes, records: Records::None, spare: Some(piece.positions) };
        }
        if piece.raw.is_last && piece.raw.bytes == 0 && !self.tail.is_empty() {
            piece.supply_newline();
            piece.index(format.dialect(), false);
        }
        if self.needs_care(&piece, format) {
            return self.cut_with_care(piece, format);
        }
        let Some(end) = (if self.is_inside { piece.found.last_inside } else { piece.found.last_end }) else {
            self.tail.extend_from_slice(piece.input());
            self.tail_newlines += piece.found.newlines;
            self.is_inside ^= piece.found.quotes % 2 == 1;
            return Cut { bytes, records: Records::None, spare: Some(piece.positions) };
        };
        let unassembled = self.cut_at(end as usize + 1, piece);
        if self.shape.is_some() {
            return Cut { bytes, records: Records::Unassembled(Box::new(unassembled)), spare: None };
        }
        let mut region = unassembled.assemble(format.dialect());
        self.meet_first_record(&mut region, format);
        Cut { bytes, records: Records::Region(Box::new(region)), spare: None }
    }

    /// Ends a stream that is known not to be whole: the record that it breaks off in is part of the reject.
    fn damaged<F: RecordFormat>(&mut self, piece: Piece, damage: Reject, format: &F) -> Region {
        let tail = std::mem::take(&mut self.tail);
        let reject = Reject {
            offset: damage.offset - tail.len() as u64,
            line: self.line,
            record: tail[..tail.len().min(REJECT_BYTES_MAX)].to_vec(),
            ..damage
        };
        let RawBlock { buffer, origin, .. } = piece.raw;
        let mut region = Region::new(buffer, origin, HEAD_BYTES..HEAD_BYTES, 0, self.line, self.shape.clone());
        region.rows = Rows::Listed(Vec::new());
        match format.bad_input().on_error {
            OnError::Fail => region.error = Some(reject.into_error()),
            on_error => region.rejects.add(on_error, RejectReason::Corrupt, || reject),
        }
        region
    }

    /// The whole file is a byte order mark: as empty as without it.
    fn is_mark_alone(&self, piece: &Piece) -> bool {
        let rest = &piece.raw.buffer.bytes[HEAD_BYTES..HEAD_BYTES + piece.raw.bytes];
        self.tail.len() + rest.len() == MARK.len() && MARK.strip_prefix(&self.tail[..]) == Some(rest)
    }

    fn needs_care<F: RecordFormat>(&self, piece: &Piece, format: &F) -> bool {
        let ends_inside = self.is_inside ^ (piece.found.quotes % 2 == 1);
        format.dialect().comments
            || self.discards_line
            || self.tail.len() + piece.input().len() > format.bad_input().record_bytes_max
            || (piece.raw.is_last && ends_inside)
    }

    /// Splits off everything up to `end`, a position in the piece's buffer behind a record's end.
    fn cut_at(&mut self, end: usize, piece: Piece) -> Unassembled {
        let rest = &piece.raw.buffer.bytes[end..piece.end];
        // After the last record end only a quoted newline can follow.
        let has_quotes = self.is_inside || piece.found.quotes > 0;
        let rest_newlines = if has_quotes { newlines(rest) } else { 0 };
        let tail = std::mem::replace(&mut self.tail, rest.to_vec());
        let line = self.line;
        self.line += self.tail_newlines + piece.found.newlines - rest_newlines;
        self.tail_newlines = rest_newlines;
        let is_inside = self.is_inside;
        self.is_inside ^= piece.found.quotes % 2 == 1;
        Unassembled { piece, end, tail, is_inside, line, shape: self.shape.clone() }
    }

    /// Strips a byte order mark and a header, and sets the shape.
    fn meet_first_record<F: RecordFormat>(&mut self, region: &mut Region, format: &F) {
        if std::mem::take(&mut self.is_file_start)
            && let Err(error) = region.strip_byte_order_mark()
        {
            self.is_broken = true;
            region.refuse_all(error);
            return;
        }
        let (row, first) = match first_record(region, format) {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => {
                self.is_broken = true;
                region.refuse_all(error);
                return;
            }
        };
        if first.is_header {
            region.drop_through(&row);
        }
        let shape = Arc::new(first.shape);
        self.shape = Some(Arc::clone(&shape));
        region.shape = Some(shape);
    }

    /// Cuts a block record by record, for all that [`Carry::needs_care`] names.
    fn cut_with_care<F: RecordFormat>(&mut self, piece: Piece, format: &F) -> Cut {
        let (bytes, is_last) = (piece.raw.input_bytes, piece.raw.is_last);
        let end = piece.end;
        let unassembled = Unassembled {
            tail: std::mem::take(&mut self.tail),
            is_inside: false,
            line: self.line,
            shape: self.shape.clone(),
            end,
            piece,
        };
        let mut region = unassembled.join();
        let walk = self.walk(&mut region, is_last, format);
        let consumed = &region.buffer.bytes[region.start..walk.end];
        self.line += newlines(consumed);
        let tail = &region.buffer.bytes[walk.end..region.end];
        self.tail.extend_from_slice(tail);
        self.tail_newlines = newlines(tail);
        self.is_inside = walk.is_inside;
        region.end = walk.end;
        if walk.end > region.start {
            if self.shape.is_none() {
                self.meet_first_record(&mut region, format);
            }
            self.is_file_start = false;
        }
        Cut { bytes, records: Records::Region(Box::new(region)), spare: None }
    }

    /// Finds the records of a region one by one, passes over comments, and refuses what is too long or never ends.
    fn walk<F: RecordFormat>(&mut self, region: &mut Region, is_last: bool, format: &F) -> Walk {
        let (dialect, on_error) = (format.dialect(), format.bad_input().on_error);
        let limit = format.bad_input().record_bytes_max;
        let bytes = &region.buffer.bytes;
        let end = region.end;
        let mut rows = Vec::new();
        let mut positions = Vec::new();
        let mut rejects = Rejects::default();
        let mut walk = Walk { end: region.start, is_inside: false };
        let mut at = region.start;
        if self.is_file_start && !is_last && MARK.starts_with(&bytes[at..end]) {
            return walk;
        }
        if self.is_file_start && bytes[at..end].starts_with(MARK) {
            at += 3;
            region.anchor = at;
        }
        while at < end {
            let newline = || memchr::memchr(b'\n', &bytes[at..end]).map(|offset| at + offset);
            if self.discards_line || (dialect.comments && bytes[at] == b'#') {
                let line_end = newline();
                // Nothing needs to be kept of a line that is passed over, but that it has not ended.
                self.discards_line = line_end.is_none();
                at = line_end.map_or(end, |newline| newline + 1);
                walk.end = at;
                continue;
            }
            let first = positions.len();
            let record = RecordEnd::find(bytes, at, end, dialect, &mut positions);
            let length = record.end.unwrap_or(end) - at;
            if length > limit || (record.end.is_none() && is_last) {
                let reject = || refused_record(region, at..at + length, record.last_quote, limit, dialect);
                if on_error == OnError::Fail {
                    region.error = Some(reject().into_error());
                    self.is_broken = true;
                    break;
                }
                // Whatever is wrong with it, the record's first line is all that is given up.
                let reason = if length > limit { RejectReason::TooLong } else { RejectReason::Quote };
                rejects.add(on_error, reason, reject);
                positions.truncate(first);
                let line_end = newline();
                self.discards_line = line_end.is_none();
                at = line_end.map_or(end, |newline| newline + 1);
                walk.end = at;
                continue;
            }
            let Some(record_end) = record.end else {
                positions.truncate(first);
                walk.is_inside = record.is_inside;
                break;
            };
            let fields = (positions.len() - first) as u32;
            rows.push(Row { start: at as u32, first: first as u32, fields });
            at = record_end + 1;
            walk.end = at;
        }
        region.has_quotes = dialect.quote.is_some();
        region.rejects = rejects;
        region.positions = positions;
        region.rows = Rows::Listed(rows);
        walk
    }
}

/// The first record that says what records look like, if there is one.
fn first_record<F: RecordFormat>(region: &Region, format: &F) -> Result<Option<(Row, FirstRecord)>> {
    for row in region.rows() {
        let at = region.place_of(row.start as usize);
        if let Some(first) = format.first_record(&region.texts(&row), &at)? {
            return Ok(Some((row, first)));
        }
    }
    Ok(None)
}

/// How far [`Carry::walk`] came.
struct Walk {
    /// Behind the last byte that is done with.
    end: usize,
    /// The record that is left unfinished ends inside of quotes.
    is_inside: bool,
}

/// The end of one record.
pub struct RecordEnd {
    /// Its newline; none if the text ends before.
    pub end: Option<usize>,
    is_inside: bool,
    /// The quote that was opened last.
    last_quote: usize,
}

impl RecordEnd {
    /// Looks for the end of the record at `at`, in a text that ends at `end`; its separators are added to `positions`.
    pub fn find(bytes: &[u8], at: usize, end: usize, dialect: Dialect, positions: &mut Vec<u32>) -> Self {
        let (mut is_inside, mut last_quote) = (false, at);
        for (offset, &byte) in bytes[at..end].iter().enumerate() {
            let position = at + offset;
            if dialect.quote == Some(byte) {
                is_inside = !is_inside;
                if is_inside {
                    last_quote = position;
                }
            } else if !is_inside && (byte == b'\n' || dialect.delimiter == Some(byte)) {
                positions.push(position as u32);
                if byte == b'\n' {
                    return Self { end: Some(position), is_inside, last_quote };
                }
            }
        }
        Self { end: None, is_inside, last_quote }
    }
}

/// A record that is too long, or ends within the quote that was opened at `last_quote`.
fn refused_record(region: &Region, record: Range<usize>, last_quote: usize, limit: usize, dialect: Dialect) -> Reject {
    let bytes = &region.buffer.bytes;
    if record.len() > limit {
        let quotes = if dialect.quote.is_some() { "a quote may be opened and never closed; if not, " } else { "" };
        // How much more of it is known here depends on where the block ends.
        let known = record.start..record.start + limit;
        return Reject {
            message: format!("the record that starts here is longer than {limit} bytes"),
            help: format!("{quotes}raise 'max-record-bytes', or pass over such records with 'on-error' = 'skip'"),
            ..region.reject(bytes, known, record.start, RejectReason::TooLong)
        };
    }
    Reject {
        message: "the quote that is opened here is never closed".to_owned(),
        help: "close it, set 'csv.disable-quote-character' = 'true' if quotes mean nothing, or set 'on-error' = 'skip'"
            .to_owned(),
        ..region.reject(bytes, record, last_quote, RejectReason::Quote)
    }
}

/// A block after its turn, with the unfinished record of the blocks before it not yet put in front.
#[derive(Debug)]
pub struct Unassembled {
    piece: Piece,
    /// Behind the last record end, in the piece's buffer.
    end: usize,
    tail: Vec<u8>,
    /// The block starts inside of quotes.
    is_inside: bool,
    /// Number of the tail's first line.
    line: u64,
    shape: Option<Arc<Shape>>,
}

impl Unassembled {
    /// Puts the unfinished record in front, and the separators of both together.
    #[must_use]
    pub fn assemble(mut self, dialect: Dialect) -> Region {
        if self.is_inside {
            // The guess was wrong: once more, knowing.
            self.piece.index(dialect, true);
        }
        let mut found = self.piece.found;
        let mut positions = std::mem::take(&mut self.piece.positions);
        let block_end = self.end;
        let keep = positions.partition_point(|&position| (position as usize) < block_end);
        // Delimiters of the record that is left for the next block.
        positions.truncate(keep.max(FRONT));
        let mut region = self.join();
        let shift = region.end - block_end;
        if shift > 0 {
            positions[FRONT..].iter_mut().for_each(|position| *position += shift as u32);
        }
        let mut front = Vec::new();
        let block_start = HEAD_BYTES + shift;
        let tail = index(&region.buffer.bytes, region.start, block_start, dialect, false, &mut front);
        // One entry stays in front: what comes before the first field of the first record.
        let kept = (FRONT - 1).saturating_sub(front.len());
        positions.splice(kept + 1..FRONT, front.iter().copied());
        region.first = kept + 1;
        found.quotes += tail.quotes;
        region.positions = positions;
        region.record_ends = found.record_ends;
        region.has_quotes = found.quotes > 0;
        region
    }

    /// Puts the bytes together; separators are left to do.
    fn join(self) -> Region {
        let mut buffer = self.piece.raw.buffer;
        let room = HEAD_BYTES - PAD_BYTES;
        let shift = self.tail.len().saturating_sub(room);
        if shift > 0 {
            buffer.grow_head(shift);
        }
        let block_start = HEAD_BYTES + shift;
        let start = block_start - self.tail.len();
        buffer.bytes[start..block_start].copy_from_slice(&self.tail);
        let end = self.end + shift;
        let base = self.piece.raw.offset as i64 - block_start as i64;
        Region::new(buffer, self.piece.raw.origin, start..end, base, self.line, self.shape)
    }
}

fn newlines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}
