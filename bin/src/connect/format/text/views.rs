//! Strings as views into a block of text.
#![allow(unsafe_code)] // To check each view again costs more than to make it.

use arrow_array::StringViewArray;
use arrow_buffer::{Buffer, NullBuffer};

/// Bytes that a view holds itself.
const INLINE_BYTES: usize = 12;

/// Bytes of a view in front of what it holds itself.
const LENGTH_BYTES: usize = 4;

/// The highest bits of the bytes that a view holds itself.
const NOT_ASCII: u128 = (u128::MAX / 0xFF * 0x80) << (8 * LENGTH_BYTES);

/// By the length of a text, up to one above [`INLINE_BYTES`]: the bits of a view that hold its bytes. Of a longer one that is
/// a prefix of four bytes.
const HELD: [u128; INLINE_BYTES + 2] = {
    let mut held = [0; INLINE_BYTES + 2];
    let mut length = 1;
    while length <= INLINE_BYTES {
        held[length] = ((1 << (8 * length)) - 1) << (8 * LENGTH_BYTES);
        length += 1;
    }
    held[INLINE_BYTES + 1] = held[4];
    held
};

/// Views of `block[starts[i]..ends[i]]`, without a copy of those longer than 12 bytes. Rows whose bytes are not UTF-8 go
/// to `not_utf8`, in any order, and are empty; where `is_utf8` says that there are none, nobody looks.
///
/// # Panics
/// If a range is not one of `block`, or the lengths differ.
#[must_use]
pub fn string_views(
    block: &Buffer,
    starts: &[u32],
    ends: &[u32],
    nulls: Option<NullBuffer>,
    is_utf8: bool,
    not_utf8: &mut Vec<usize>,
) -> StringViewArray {
    assert_eq!(starts.len(), ends.len(), "each text has a start and an end");
    assert!(nulls.as_ref().is_none_or(|nulls| nulls.len() == starts.len()), "a bit for each text");
    let bytes = block.as_slice();
    let mut views = Views { views: Vec::with_capacity(starts.len()), held: 0, has_long: false };
    if are_padded(bytes, starts, ends) {
        // SAFETY: the texts are padded.
        unsafe { views.fill_padded(bytes, starts, ends) };
    } else {
        views.fill(bytes, starts, ends);
    }
    let Views { mut views, held, has_long } = views;
    if !is_utf8 && (has_long || held & NOT_ASCII != 0) {
        check(bytes, starts, ends, &mut views, not_utf8);
    }
    let blocks = if has_long { vec![block.clone()] } else { Vec::new() };
    // SAFETY: each view is one that arrow asks for. Up to 12 bytes: length, the bytes, zeros behind them. Longer ones:
    // length, the first four bytes, block number 0 (its only bytes are zeros, and `blocks` has it), and a start such that
    // start and length lie in `block`: `are_padded` or slicing saw to that. All bytes viewed are UTF-8: the
    // caller or the bytes held say so, or `check` has looked at each text. An assertion holds the nulls' length.
    unsafe { StringViewArray::new_unchecked(views.into(), blocks, nulls) }
}

/// Each text is one of `bytes`, and around it are enough bytes to read 16 from [`LENGTH_BYTES`] before it on.
fn are_padded(bytes: &[u8], starts: &[u32], ends: &[u32]) -> bool {
    let Some(last) = bytes.len().checked_sub(16) else { return false };
    let last = u32::try_from(last).unwrap_or(u32::MAX);
    let rows = starts.iter().zip(ends);
    rows.fold(true, |all, (&start, &end)| all & (start >= LENGTH_BYTES as u32) & (start <= end) & (end <= last))
}

/// Views on their way.
struct Views {
    views: Vec<u128>,
    /// The bytes that they hold themselves, one or another.
    held: u128,
    /// Some text is longer than that.
    has_long: bool,
}

impl Views {
    /// Without a branch for a text's length.
    ///
    /// # Safety
    /// As [`are_padded`] says.
    unsafe fn fill_padded(&mut self, bytes: &[u8], starts: &[u32], ends: &[u32]) {
        // A plain loop: in a closure these two would be written to memory for each text, and be waited for by the next.
        let (mut has_long, mut all_held) = (false, 0);
        self.views.resize(starts.len(), 0);
        for ((view, &start), &end) in self.views.iter_mut().zip(starts).zip(ends) {
            let length = end - start;
            let is_long = length > INLINE_BYTES as u32;
            // SAFETY: the start is at least 4, and within the bytes.
            let from = unsafe { bytes.as_ptr().add(start as usize - LENGTH_BYTES) };
            // SAFETY: 16 bytes from there end before `start + 16`, and so before `end + 16`, which is within the bytes.
            let around = u128::from_le(unsafe { from.cast::<u128>().read_unaligned() });
            let held = around & HELD[length.min(INLINE_BYTES as u32 + 1) as usize];
            all_held |= held;
            has_long |= is_long;
            let offset = if is_long { start } else { 0 };
            *view = held | u128::from(length) | u128::from(offset) << 96;
        }
        self.held = all_held;
        self.has_long = has_long;
    }

    /// For texts wherever they are.
    #[cold]
    fn fill(&mut self, bytes: &[u8], starts: &[u32], ends: &[u32]) {
        for (&start, &end) in starts.iter().zip(ends) {
            let text = &bytes[start as usize..end as usize];
            let is_long = text.len() > INLINE_BYTES;
            let first = if is_long { &text[..4] } else { text };
            let held = first.iter().rev().fold(0, |word, &byte| word << 8 | u128::from(byte)) << (8 * LENGTH_BYTES);
            self.held |= held;
            self.has_long |= is_long;
            let offset = if is_long { start } else { 0 };
            self.views.push(held | text.len() as u128 | u128::from(offset) << 96);
        }
    }
}

/// Empties the views of texts that are not UTF-8.
#[cold]
fn check(bytes: &[u8], starts: &[u32], ends: &[u32], views: &mut [u128], not_utf8: &mut Vec<usize>) {
    for (row, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let text = &bytes[start as usize..end as usize];
        let is_held = text.len() <= INLINE_BYTES;
        let is_ascii = if is_held { views[row] & NOT_ASCII == 0 } else { text.is_ascii() };
        if !is_ascii && std::str::from_utf8(text).is_err() {
            not_utf8.push(row);
            views[row] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn views_are_the_texts_that_are_utf8(
            pieces in proptest::collection::vec(prop_oneof![
                "[a-zé€😀]{0,30}".prop_map(String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..16),
            ], 0..20),
            padding in 0_usize..20,
            front in 0_usize..6,
        ) {
            let (mut bytes, mut starts, mut ends) = (vec![b'x'; front], Vec::new(), Vec::new());
            for piece in &pieces {
                starts.push(bytes.len() as u32);
                bytes.extend_from_slice(piece);
                ends.push(bytes.len() as u32);
            }
            bytes.resize(bytes.len() + padding, b'x');
            let mut not_utf8 = Vec::new();
            let is_utf8 = pieces.iter().all(|piece| std::str::from_utf8(piece).is_ok());
            let views = string_views(&Buffer::from(bytes), &starts, &ends, None, is_utf8, &mut not_utf8);
            views.to_data().validate_full().unwrap();
            for (row, piece) in pieces.iter().enumerate() {
                match std::str::from_utf8(piece) {
                    Ok(text) => prop_assert_eq!(views.value(row), text),
                    Err(_) => prop_assert!(not_utf8.contains(&row) && views.value(row).is_empty()),
                }
            }
            prop_assert_eq!(not_utf8.len(), pieces.iter().filter(|piece| std::str::from_utf8(piece).is_err()).count());
        }
    }
}
