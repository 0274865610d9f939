//! Groups on their way to the worker that owns them.

use super::spares::Buffer;
use crate::aggregate::{AggregateError, ColdWords, GroupWords, Layout, Side};
use crate::key::{KeyShape, LongKeys, WINDOW};
use crate::table::Keys;
use crate::window::TimeWindow;

/// Some groups of one window, of one owner: what one worker has gathered of them since it last sent any. Where it does not
/// look for groups, each row is one by itself, and a key comes as often as it has rows.
#[derive(Debug)]
pub struct Partials {
    pub(super) window: TimeWindow,
    /// Key cells, accumulators and padding, row by row.
    pub(super) rows: Vec<u64>,
    pub(super) stride: usize,
    /// What is beside the rows.
    pub(super) cold: ColdWords,
    pub(super) hashes: Vec<u64>,
    /// Where in `long` a group's long strings begin; empty if no group has any.
    pub(super) long_starts: Vec<usize>,
    pub(super) long: Vec<u8>,
    pub(super) sides: Vec<Side>,
}

impl Partials {
    /// No groups yet, in memory for some.
    pub(super) fn new(layout: &Layout, window: TimeWindow, memory: Buffer) -> Self {
        let Buffer { rows, hashes } = memory;
        Self {
            window,
            rows,
            stride: layout.stride(),
            cold: ColdWords::new(layout.cold_words),
            hashes,
            long_starts: Vec::new(),
            long: Vec::new(),
            sides: layout.sides.iter().map(|_| Side::new()).collect(),
        }
    }

    /// The window that all these groups belong to.
    #[must_use]
    pub fn window(&self) -> TimeWindow {
        self.window
    }

    /// Number of groups.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.hashes.len()
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let words = self.rows.capacity() + self.hashes.capacity() + self.long_starts.capacity();
        words * size_of::<u64>()
            + self.cold.bytes()
            + self.long.capacity()
            + self.sides.iter().map(Side::bytes).sum::<usize>()
    }

    /// Adds a group. `cold` may be none; `long` are its long strings, `None` if no group has any.
    pub(super) fn push(&mut self, hash: u64, (row, cold): (&[u64], &[u64]), long: Option<&[u8]>) {
        self.cold.add(self.hashes.len(), cold);
        self.hashes.push(hash);
        self.rows.extend_from_slice(row);
        if let Some(long) = long {
            self.long_starts.push(self.long.len());
            self.long.extend_from_slice(long);
        }
    }

    pub(super) fn words(&self) -> GroupWords<'_> {
        GroupWords { rows: &self.rows, stride: self.stride, cold: &self.cold }
    }

    pub(super) fn keys<'a>(&'a self, shape: &'a KeyShape) -> Keys<'a, PartialBytes<'a>> {
        let long = (!self.long.is_empty()).then_some(PartialBytes { partials: self, shape });
        Keys { cells: &self.rows, stride: self.stride, hashes: &self.hashes, long }
    }

    pub(super) fn expect_layout(&self, layout: &Layout) -> Result<(), AggregateError> {
        let is_same = self.stride == layout.stride() && self.sides.len() == layout.sides.len();
        if is_same { Ok(()) } else { Err(AggregateError::Mismatch("another number of words in a group")) }
    }
}

/// Long strings of groups on their way.
pub(super) struct PartialBytes<'a> {
    partials: &'a Partials,
    shape: &'a KeyShape,
}

impl PartialBytes<'_> {
    fn key(&self, row: usize) -> &[u64] {
        &self.partials.rows[row * self.partials.stride..][..self.shape.words()]
    }

    /// The long strings from those of this group on.
    fn long(&self, row: usize) -> &[u8] {
        &self.partials.long[self.partials.long_starts[row]..]
    }
}

impl LongKeys for PartialBytes<'_> {
    fn bytes(&self, row: usize, column: usize) -> &[u8] {
        self.shape.long_bytes(self.key(row), self.long(row), column)
    }

    fn windows<'b>(&'b self, first: usize, column: usize, windows: &mut [Option<&'b [u8; WINDOW]>]) {
        for (row, window) in (first..).zip(windows) {
            *window = self
                .long(row)
                .get(self.shape.long_start(self.key(row), column)..)
                .and_then(|bytes| bytes.first_chunk());
        }
    }
}
