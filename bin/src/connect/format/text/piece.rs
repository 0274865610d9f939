//! A block before its turn.

use thalweg_operators::kernels::Kernels;

use super::dialect::Dialect;
use super::index::Found;
use super::scan::{Scan, Stop};
use super::simd::index;
use crate::connect::block::{HEAD_BYTES, RawBlock};

/// Entries kept free in front of a block's positions, for those of the unfinished record before it.
pub const FRONT: usize = 256;

/// A block with what can be known about it before its turn.
#[derive(Debug)]
pub struct Piece {
    pub(super) raw: RawBlock,
    pub(super) kernels: Kernels,
    /// Where the input ends in the buffer, a supplied last newline included.
    pub(super) end: usize,
    /// Separators, from [`FRONT`] on, if the block starts outside of quotes.
    pub(super) positions: Vec<u32>,
    pub(super) found: Found,
    /// If it starts outside of quotes, and if inside: the records behind the first record end in it hold together.
    pub(super) is_sound: [bool; 2],
}

impl Piece {
    /// Indexes a block. `positions` is a buffer to use.
    pub fn new(raw: RawBlock, dialect: Dialect, kernels: Kernels, positions: Vec<u32>) -> Self {
        let end = HEAD_BYTES + raw.bytes;
        let mut piece = Self { raw, kernels, end, positions, found: Found::default(), is_sound: [true; 2] };
        if piece.raw.is_last && piece.raw.bytes > 0 && piece.raw.buffer.bytes[end - 1] != b'\n' {
            piece.supply_newline();
        }
        if dialect.escape.is_none() {
            piece.index(dialect, false);
            // Only quoted newlines can make a record of what is none.
            if piece.found.record_ends > 0 && piece.found.newlines > piece.found.record_ends as u64 {
                piece.is_sound = [false, true].map(|is_inside| piece.check(dialect, is_inside));
            }
        }
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

    /// Ends the last record of a file that does not end with a newline.
    pub(super) fn supply_newline(&mut self) {
        self.raw.buffer.bytes[self.end] = b'\n';
        self.end += 1;
    }

    pub(super) fn index(&mut self, dialect: Dialect, is_inside: bool) {
        self.positions.clear();
        self.positions.resize(FRONT, 0);
        let bytes = &self.raw.buffer.bytes;
        self.found = index(self.kernels, bytes, (HEAD_BYTES, self.end), dialect, is_inside, &mut self.positions);
    }

    fn check(&self, dialect: Dialect, mut is_inside: bool) -> bool {
        let text = self.input();
        let last = if is_inside { self.found.last_inside } else { self.found.last_end };
        let first = text.iter().position(|&byte| {
            is_inside ^= dialect.quote == Some(byte);
            byte == b'\n' && !is_inside
        });
        let (Some(first), Some(last)) = (first, last) else { return true };
        let mut rest = &text[first + 1..=last as usize - HEAD_BYTES];
        while !rest.is_empty() {
            let Some(Stop::End(end)) = Scan::default().run(rest, dialect, rest.len(), |_| ()) else { return false };
            rest = &rest[end + 1..];
        }
        true
    }

    pub(super) fn input(&self) -> &[u8] {
        &self.raw.buffer.bytes[HEAD_BYTES..self.end]
    }
}
