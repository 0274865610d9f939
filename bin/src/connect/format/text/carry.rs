//! What block *k* tells block *k* + 1, and how it makes whole records of a block: see [`Carry::advance`].
//!
//! A block starts and ends anywhere. What its reader can find out alone, it finds out before its turn ([`Piece`]). In turn
//! it learns whether it starts inside of quotes, and gets the bytes of the record that the blocks before left unfinished;
//! it leaves the same for the next. All that costs more than copying an unfinished record is done after the turn, but for
//! these cases: the first record of a file (it may be the header), comments, escape characters, records near the limit of
//! length, and quoted newlines, in the record that the block before left unfinished or where quotes are wrong. Then the
//! block is walked through record by record, in turn.

use std::sync::Arc;

use super::RecordFormat;
use super::dialect::Dialect;
use super::piece::{FRONT, Piece};
use super::region::{Region, Row};
use super::scan::Stop;
use super::shape::{FirstRecord, Shape};
use super::simd::index;
use super::walk::{Unfinished, Walk};
use crate::connect::bad_input::Reject;
use crate::connect::block::{HEAD_BYTES, PAD_BYTES};
use crate::error::Result;

/// The byte order mark of UTF-8.
pub const MARK: &[u8] = b"\xEF\xBB\xBF";

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

impl Cut {
    /// That nothing comes of a block, because an earlier one was refused.
    #[must_use]
    pub fn moot(piece: Piece) -> Self {
        Self { bytes: piece.raw.input_bytes, records: Records::Moot, spare: Some(piece.positions) }
    }
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
    /// How far the tail was looked at; it may have grown since.
    unfinished: Unfinished,
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
            unfinished: Unfinished::default(),
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
            let region = self.break_off(piece, *damage, format);
            return Cut { bytes, records: Records::Region(Box::new(region)), spare: None };
        }
        if piece.raw.is_last && self.is_file_start && self.is_mark_alone(&piece) {
            return Cut { bytes, records: Records::None, spare: Some(piece.positions) };
        }
        if piece.raw.is_last && piece.raw.bytes == 0 && !self.tail.is_empty() {
            piece.supply_newline();
            piece.index(format.dialect(), false);
        }
        let (needs_walk, has_inner_newlines) = (self.needs_walk(&piece, format), self.has_inner_newlines(&piece));
        if needs_walk || has_inner_newlines {
            match self.go_on(&piece, format) {
                First::GoesOn => return Cut { bytes, records: Records::None, spare: Some(piece.positions) },
                First::Ends if !needs_walk && piece.is_sound[usize::from(self.is_inside)] => {}
                First::Ends | First::Unknown => {
                    let region = self.walk(piece, format);
                    return Cut { bytes, records: Records::Region(Box::new(region)), spare: None };
                }
            }
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

    /// Looks for the end of the first record that ends in the block; what only goes on is put aside at once, so that a
    /// long record costs its length, however small the blocks are.
    fn go_on<F: RecordFormat>(&mut self, piece: &Piece, format: &F) -> First {
        let (dialect, bytes_max) = (format.dialect(), format.bad_input().record_bytes_max);
        let is_comment = dialect.comments && self.tail.is_empty();
        // Whether the file starts with a mark, the walk finds out.
        let is_start = self.is_file_start && self.tail.len() < MARK.len();
        if is_start || self.discards_line || is_comment {
            return First::Unknown;
        }
        let mark = if self.is_file_start && self.tail.starts_with(MARK) { MARK.len() } else { 0 };
        let Unfinished { scan, delimiters } = &mut self.unfinished;
        let tail = &self.tail[mark + scan.bytes()..];
        if scan.run(tail, dialect, bytes_max, |place| delimiters.push(place as u32)).is_some() {
            self.unfinished = Unfinished::default();
            return First::Unknown;
        }
        let (before, kept) = (*scan, delimiters.len());
        match scan.run(piece.input(), dialect, bytes_max, |place| delimiters.push(place as u32)) {
            None if !piece.raw.is_last => {
                self.is_inside = scan.is_inside();
                self.tail.extend_from_slice(piece.input());
                self.tail_newlines += newlines(piece.input());
                return First::GoesOn;
            }
            Some(Stop::End(_)) => {
                *scan = before;
                delimiters.truncate(kept);
                return First::Ends;
            }
            _ => {}
        }
        *scan = before;
        delimiters.truncate(kept);
        First::Unknown
    }

    /// The whole file is a byte order mark: as empty as without it.
    fn is_mark_alone(&self, piece: &Piece) -> bool {
        let rest = &piece.raw.buffer.bytes[HEAD_BYTES..HEAD_BYTES + piece.raw.bytes];
        self.tail.len() + rest.len() == MARK.len() && MARK.strip_prefix(&self.tail[..]) == Some(rest)
    }

    /// The index of the block does not say where its records end, or not all that there is to know.
    fn needs_walk<F: RecordFormat>(&self, piece: &Piece, format: &F) -> bool {
        let ends_inside = self.is_inside ^ (piece.found.quotes % 2 == 1);
        let dialect = format.dialect();
        dialect.comments
            || dialect.escape.is_some()
            || self.discards_line
            || self.tail.len() + piece.input().len() > format.bad_input().record_bytes_max
            || (piece.raw.is_last && ends_inside)
    }

    /// There are newlines in quotes, whose records must be looked at.
    fn has_inner_newlines(&self, piece: &Piece) -> bool {
        let ends = piece.found.record_ends as u64;
        let inner = if self.is_inside { ends } else { piece.found.newlines - ends };
        self.tail_newlines > 0 || inner > 0
    }

    /// Splits off everything up to `end`, a position in the piece's buffer behind a record's end.
    fn cut_at(&mut self, end: usize, piece: Piece) -> Unassembled {
        let rest = &piece.raw.buffer.bytes[end..piece.end];
        // After the last record end only a quoted newline can follow.
        let has_quotes = self.is_inside || piece.found.quotes > 0;
        let rest_newlines = if has_quotes { newlines(rest) } else { 0 };
        let tail = std::mem::replace(&mut self.tail, rest.to_vec());
        self.unfinished = Unfinished::default();
        let line = self.line;
        self.line += self.tail_newlines + piece.found.newlines - rest_newlines;
        self.tail_newlines = rest_newlines;
        let is_inside = self.is_inside;
        self.is_inside ^= piece.found.quotes % 2 == 1;
        Unassembled { piece, end, tail, is_inside, line, shape: self.shape.clone() }
    }

    /// Ends a stream that is known not to be whole, with `piece`, in which there is nothing. What is left of the blocks
    /// before may hold whole records, where quotes are wrong; the record behind them is the one that breaks off.
    fn break_off<F: RecordFormat>(&mut self, mut piece: Piece, damage: Reject, format: &F) -> Region {
        piece.raw.is_last = false;
        let mut region = self.walk(piece, format);
        self.unfinished = Unfinished::default();
        region.break_off(damage, &std::mem::take(&mut self.tail), self.line, format.bad_input().on_error);
        self.is_broken = region.error.is_some();
        region
    }

    /// Cuts a block record by record.
    fn walk<F: RecordFormat>(&mut self, piece: Piece, format: &F) -> Region {
        let (is_last, end) = (piece.raw.is_last, piece.end);
        let unassembled = Unassembled {
            tail: std::mem::take(&mut self.tail),
            is_inside: false,
            line: self.line,
            shape: self.shape.clone(),
            end,
            piece,
        };
        let mut region = unassembled.join();
        let mut walk = Walk {
            end: 0,
            unfinished: std::mem::take(&mut self.unfinished),
            discards_line: self.discards_line,
            is_broken: self.is_broken,
            is_file_start: self.is_file_start,
            is_last,
        };
        walk.over(&mut region, format);
        let consumed = &region.buffer.bytes[region.start..walk.end];
        self.line += newlines(consumed);
        let tail = &region.buffer.bytes[walk.end..region.end];
        self.tail.extend_from_slice(tail);
        self.tail_newlines = newlines(tail);
        self.discards_line = walk.discards_line;
        self.is_broken = walk.is_broken;
        self.unfinished = walk.unfinished;
        self.is_inside = self.unfinished.scan.is_inside();
        region.end = walk.end;
        if walk.end > region.start {
            if self.shape.is_none() {
                self.meet_first_record(&mut region, format);
            }
            self.is_file_start = false;
        }
        region
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
}

/// What a block does to the record before it, or to its own first.
enum First {
    /// It ends in the block.
    Ends,
    /// It has not ended; the block is part of the tail.
    GoesOn,
    /// It is at fault, or it takes a walk to know.
    Unknown,
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
        let kernels = self.piece.kernels;
        let mut region = self.join();
        let shift = region.end - block_end;
        if shift > 0 {
            positions[FRONT..].iter_mut().for_each(|position| *position += shift as u32);
        }
        let mut front = Vec::new();
        let block_start = HEAD_BYTES + shift;
        let tail = index(kernels, &region.buffer.bytes, (region.start, block_start), dialect, false, &mut front);
        let kept = FRONT.saturating_sub(front.len());
        positions.splice(kept..FRONT, front.iter().copied());
        region.first = kept;
        found.quotes += tail.quotes;
        region.positions = positions;
        region.record_ends = found.record_ends;
        region.has_quotes = found.quotes > 0;
        region.is_ascii = !found.has_non_ascii && !tail.has_non_ascii;
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
