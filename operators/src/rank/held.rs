//! The rows that one key holds, in their order.

use crate::batch::Ordinal;

use super::{ORDINAL_BYTES, Ties};

/// The first rows of a key, in order.
#[derive(Debug, Default)]
pub(super) struct Held {
    rows: Vec<HeldRow>,
}

/// A row: what it is ordered by, then all of it, each encoded.
#[derive(Debug)]
pub(super) struct HeldRow {
    bytes: Box<[u8]>,
    /// Bytes of what it is ordered by.
    key: u32,
}

impl HeldRow {
    pub(super) fn new(key: &[u8], row: &[u8]) -> Self {
        let key_bytes = u32::try_from(key.len()).expect("Arrow's row format of one column is below 4 GiB");
        Self { bytes: [key, row].concat().into_boxed_slice(), key: key_bytes }
    }

    fn key(&self) -> &[u8] {
        &self.bytes[..self.key as usize]
    }

    /// The row, encoded.
    pub(super) fn row(&self) -> &[u8] {
        &self.bytes[self.key as usize..]
    }

    /// Its ordinal, if it is ordered by that in the end.
    pub(super) fn ordinal(&self, ties: Ties) -> Ordinal {
        let key = self.key();
        let (row, part) = key[key.len() - ORDINAL_BYTES..].split_at(size_of::<u128>());
        let number = |bytes: &[u8]| {
            let number = u128::from_be_bytes(bytes.try_into().expect("16 bytes of a key that ends in an ordinal"));
            if ties == Ties::LaterFirst { !number } else { number }
        };
        Ordinal { row: number(row), part: number(part) }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl Held {
    /// The rows, in order.
    pub(super) fn rows(&self) -> &[HeldRow] {
        &self.rows
    }

    /// Where a row belongs.
    pub(super) fn place(&self, key: &[u8], ties: Ties) -> usize {
        self.rows.partition_point(|held| match ties {
            Ties::EarlierFirst => held.key() <= key,
            Ties::LaterFirst => held.key() < key,
        })
    }

    /// Whether a row is among the first `last`.
    pub(super) fn takes(&self, key: &[u8], ties: Ties, last: usize) -> bool {
        match self.rows.last() {
            Some(worst) if self.rows.len() >= last => match ties {
                Ties::EarlierFirst => key < worst.key(),
                Ties::LaterFirst => key <= worst.key(),
            },
            _ => true,
        }
    }

    /// Puts a row to its place, and gives the one that is not among the first `last` any more.
    pub(super) fn insert(&mut self, place: usize, row: HeldRow, last: usize) -> Option<HeldRow> {
        let left = if self.rows.len() >= last { self.rows.pop() } else { None };
        if self.rows.len() == self.rows.capacity() && self.rows.len() < 4 {
            // Most keys of many have few rows.
            self.rows.reserve_exact(1);
        }
        self.rows.insert(place, row);
        left
    }

    /// Bytes of the list itself.
    pub(super) fn list_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<HeldRow>()
    }
}
