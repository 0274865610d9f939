//! The unfinished records of all streams of an input.
//!
//! Files of a directory follow each other, but pipes and files that grow take turns: a block of one may come between two
//! of another. What each left unfinished waits here for its next block, and is dropped with its last.

use std::collections::HashMap;

use super::RecordFormat;
use super::carry::{Carry, Cut};
use super::piece::Piece;

/// A [`Carry`] for each stream.
#[derive(Debug, Default)]
pub struct Streams {
    /// The stream of the block before, unless that was its last.
    current: Option<u32>,
    /// Its carry; a new one if there is no current stream.
    carry: Carry,
    others: HashMap<u32, Carry>,
    is_broken: bool,
}

impl Streams {
    /// Cuts the block whose turn it is into whole records.
    pub fn advance<F: RecordFormat>(&mut self, piece: Piece, format: &F) -> Cut {
        if self.is_broken {
            return Cut::moot(piece);
        }
        let (stream, is_last) = (piece.stream(), piece.is_last());
        if self.current != Some(stream) {
            let next = self.others.remove(&stream).unwrap_or_default();
            let before = std::mem::replace(&mut self.carry, next);
            if let Some(current) = self.current.replace(stream) {
                self.others.insert(current, before);
            }
        }
        let cut = self.carry.advance(piece, format);
        self.is_broken = self.carry.is_broken();
        if is_last {
            self.current = None;
            self.carry = Carry::default();
        }
        cut
    }
}
