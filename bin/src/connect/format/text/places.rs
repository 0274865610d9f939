//! Where the rows of a region stand, found again when one of them is refused after it was decoded.
//!
//! Nothing is kept for each row: the text is read once more, as far as the last row that is asked for.

use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::Buffer;

use super::dialect::Dialect;
use super::scan::{Scan, Stop};
use crate::connect::bad_input::{REJECT_BYTES_MAX, RowPlace, RowPlaces};

/// The text of a region and which of its records are rows. Made by [`Region::places`](super::Region::places).
#[derive(Debug)]
pub struct TextPlaces {
    /// The region's buffer; a view, so that it costs no copy.
    pub(super) text: Buffer,
    pub(super) origin: Arc<str>,
    /// As in the region.
    pub(super) base: i64,
    pub(super) anchor: usize,
    pub(super) line: u64,
    pub(super) range: Range<usize>,
    pub(super) dialect: Dialect,
    pub(super) records: PlacedRecords,
}

/// Which records of a region are rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacedRecords {
    /// All of them, one after the other with nothing between, but for those with these numbers, ascending.
    AllBut(Vec<u32>),
    /// Those that start at these positions, ascending.
    Starts(Vec<u32>),
}

impl RowPlaces for TextPlaces {
    fn locate(&self, rows: &[u32]) -> Vec<RowPlace> {
        let mut places = Vec::with_capacity(rows.len());
        let (mut counted, mut line) = (self.anchor, self.line);
        let mut wanted = rows.iter().copied().peekable();
        let mut row = 0;
        let mut records = Records { places: self, number: 0, at: self.range.start, left_out: 0 };
        while wanted.peek().is_some() {
            let Some(record) = records.next() else { break };
            if wanted.peek() == Some(&row) {
                line += memchr::memchr_iter(b'\n', &self.text[counted..record.start]).count() as u64;
                counted = record.start;
                let offset = self.base.saturating_add_unsigned(record.start as u64).max(0) as u64;
                let shown = record.start..record.end.min(record.start + REJECT_BYTES_MAX);
                let place =
                    RowPlace { origin: Arc::clone(&self.origin), offset, line, record: self.text[shown].to_vec() };
                while wanted.next_if_eq(&row).is_some() {
                    places.push(place.clone());
                }
            }
            row += 1;
        }
        places
    }
}

/// The records that are rows, without their newlines.
struct Records<'a> {
    places: &'a TextPlaces,
    /// Of the next record, over all.
    number: u32,
    /// Where it starts, if all are rows.
    at: usize,
    /// How many were left out so far.
    left_out: usize,
}

impl Iterator for Records<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let number = self.number;
            self.number += 1;
            match &self.places.records {
                PlacedRecords::Starts(starts) => {
                    let start = *starts.get(number as usize)? as usize;
                    return Some(start..self.end(start)?);
                }
                PlacedRecords::AllBut(left_out) => {
                    let start = self.at;
                    let end = self.end(start)?;
                    self.at = end + 1;
                    if left_out.get(self.left_out) == Some(&number) {
                        self.left_out += 1;
                        continue;
                    }
                    return Some(start..end);
                }
            }
        }
    }
}

impl Records<'_> {
    fn end(&self, start: usize) -> Option<usize> {
        let TextPlaces { text, range, dialect, .. } = self.places;
        match Scan::default().run(&text[start..range.end], *dialect, range.end, |_| ()) {
            Some(Stop::End(newline)) => Some(start + newline),
            _ => None,
        }
    }
}
