//! Strings as views into a block of text.
#![allow(unsafe_code)] // To check each view again costs more than to make it.

use arrow_array::StringViewArray;
use arrow_buffer::{Buffer, NullBuffer};

/// Bytes that a view holds itself.
const INLINE_BYTES: usize = 12;

/// Views of `block[starts[i]..ends[i]]`, without a copy of those longer than 12 bytes. Rows whose bytes are not UTF-8 go
/// to `not_utf8`, in any order, and are empty.
///
/// # Panics
/// If a range is not one of `block`, or the lengths differ.
#[must_use]
pub fn string_views(
    block: &Buffer,
    starts: &[u32],
    ends: &[u32],
    nulls: Option<NullBuffer>,
    not_utf8: &mut Vec<usize>,
) -> StringViewArray {
    assert_eq!(starts.len(), ends.len(), "each text has a start and an end");
    let bytes = block.as_slice();
    let mut views = Vec::with_capacity(starts.len());
    let mut high_bits = 0;
    let mut has_long = false;
    for (row, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let text = &bytes[start as usize..end as usize];
        if text.len() <= INLINE_BYTES {
            let inline = inline_view(bytes, start as usize, text.len());
            high_bits |= inline >> 32;
            views.push(inline);
        } else if text.is_ascii() || std::str::from_utf8(text).is_ok() {
            has_long = true;
            let prefix = u32::from_le_bytes([text[0], text[1], text[2], text[3]]);
            views.push(text.len() as u128 | u128::from(prefix) << 32 | u128::from(start) << 96);
        } else {
            not_utf8.push(row);
            views.push(0);
        }
    }
    if high_bits & 0x8080_8080_8080_8080_8080_8080 != 0 {
        check_short(bytes, starts, ends, &mut views, not_utf8);
    }
    let blocks = if has_long { vec![block.clone()] } else { Vec::new() };
    assert!(nulls.as_ref().is_none_or(|nulls| nulls.len() == views.len()), "a bit for each text");
    // SAFETY: each view is one that arrow asks for. Up to 12 bytes: length, the bytes, zeros behind them. Longer ones:
    // length, the first four bytes, block number 0 (its only bytes are zeros, and `blocks` has it), and a start such that
    // start and length lie in `block`, by the slicing above. All bytes viewed are UTF-8: long texts were checked one by
    // one; short ones are either all ASCII, or were checked one by one too. The assertion holds the nulls' length.
    unsafe { StringViewArray::new_unchecked(views.into(), blocks, nulls) }
}

/// The view of a text of up to 12 bytes.
#[inline]
fn inline_view(bytes: &[u8], start: usize, length: usize) -> u128 {
    let word = match bytes[start..].first_chunk::<16>() {
        Some(chunk) => u128::from_le_bytes(*chunk),
        None => bytes[start..start + length].iter().rev().fold(0, |word, &byte| word << 8 | u128::from(byte)),
    };
    (word & ((1 << (8 * length)) - 1)) << 32 | length as u128
}

#[cold]
fn check_short(bytes: &[u8], starts: &[u32], ends: &[u32], views: &mut [u128], not_utf8: &mut Vec<usize>) {
    for (row, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let text = &bytes[start as usize..end as usize];
        if text.len() <= INLINE_BYTES && std::str::from_utf8(text).is_err() {
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
        ) {
            let (mut bytes, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
            for piece in &pieces {
                starts.push(bytes.len() as u32);
                bytes.extend_from_slice(piece);
                ends.push(bytes.len() as u32);
            }
            bytes.resize(bytes.len() + padding, b'x');
            let mut not_utf8 = Vec::new();
            let views = string_views(&Buffer::from(bytes), &starts, &ends, None, &mut not_utf8);
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
