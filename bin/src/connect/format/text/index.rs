//! The structural index: where the delimiters and record ends of a piece of text are, outside of quotes.
//!
//! A quote character opens and closes, whatever stands around it: whether a byte is inside follows from the number of
//! quotes before it alone. So a block can be indexed before it is known how the blocks before it end: under the guess
//! that it starts outside of quotes. What it would take to know the other case is kept too: `last_inside`.

use super::dialect::Dialect;

/// What one pass over a piece of text found. Positions are those in the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Newlines outside of quotes: ends of records.
    pub record_ends: usize,
    /// All newlines.
    pub newlines: u64,
    /// Quote characters.
    pub quotes: u64,
    /// The last newline outside of quotes.
    pub last_end: Option<u32>,
    /// The last newline inside of quotes: the last record end, if the text starts inside.
    pub last_inside: Option<u32>,
    /// Some byte is not ASCII.
    pub has_non_ascii: bool,
}

/// Adds the positions of separators in `bytes[from..to]` to `positions`, in order, and says what else it met. The measure
/// of the vector versions (`simd::index`), and what runs on processors without their instructions.
pub fn index_scalar(
    bytes: &[u8],
    from: usize,
    to: usize,
    dialect: Dialect,
    mut is_inside: bool,
    positions: &mut Vec<u32>,
) -> Found {
    let mut found = Found::default();
    for (position, &byte) in bytes.iter().enumerate().take(to).skip(from) {
        found.has_non_ascii |= !byte.is_ascii();
        if dialect.quote == Some(byte) {
            is_inside = !is_inside;
            found.quotes += 1;
        } else if byte == b'\n' {
            found.newlines += 1;
            if is_inside {
                found.last_inside = Some(position as u32);
            } else {
                found.last_end = Some(position as u32);
                found.record_ends += 1;
                positions.push(position as u32);
            }
        } else if dialect.delimiter == Some(byte) && !is_inside {
            positions.push(position as u32);
        }
    }
    found
}
