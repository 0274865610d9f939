//! Texts and bytes as views: short ones are in the view itself, longer ones lie in the block that was read or, if they had
//! to be written anew, in a buffer of the column.

use arrow_buffer::{Buffer, ScalarBuffer};

/// Bytes that a view holds itself.
const INLINE_BYTES: usize = 12;

/// Number of the column's own buffer.
const OWN: u32 = 0;

/// Number of the block.
const BLOCK: u32 = 1;

/// The texts of one column.
#[derive(Debug, Default)]
pub struct Views {
    views: Vec<u128>,
    own: Vec<u8>,
    has_block: bool,
}

impl Views {
    /// Number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Appends `text[start..end]` of the block.
    #[inline]
    pub fn push_block(&mut self, text: &[u8], start: usize, end: usize) {
        self.has_block |= end - start > INLINE_BYTES;
        self.views.push(view(&text[start..end], BLOCK, start));
    }

    /// Appends what `write` appends to the bytes that it is given.
    #[inline]
    pub fn push_with<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let start = self.own.len();
        let written = write(&mut self.own);
        let bytes = &self.own[start..];
        let is_inline = bytes.len() <= INLINE_BYTES;
        self.views.push(view(bytes, OWN, start));
        if is_inline {
            self.own.truncate(start);
        }
        written
    }

    /// Appends an empty text.
    pub fn push_empty(&mut self) {
        self.views.push(0);
    }

    /// Leaves the first `length` texts.
    pub fn truncate(&mut self, length: usize) {
        self.views.truncate(length);
        if length == 0 {
            self.own.clear();
        }
    }

    /// A copy of a text.
    #[must_use]
    pub fn bytes_of(&self, row: usize, block: &[u8]) -> Vec<u8> {
        let view = self.views[row];
        let length = view as u32 as usize;
        if length <= INLINE_BYTES {
            return view.to_le_bytes()[4..4 + length].to_vec();
        }
        let offset = (view >> 96) as usize;
        let buffer = if (view >> 64) as u32 == OWN { &self.own } else { block };
        buffer[offset..offset + length].to_vec()
    }

    /// Whether two texts are the same.
    #[must_use]
    pub fn are_same(&self, one: usize, other: usize, block: &[u8]) -> bool {
        let (a, b) = (self.views[one], self.views[other]);
        // Length and the first four bytes; of a short text all of the view.
        a as u64 == b as u64
            && (a == b
                || (a as u32 as usize > INLINE_BYTES && self.bytes_of(one, block) == self.bytes_of(other, block)))
    }

    /// The views and what they are views of, after which there are none.
    #[must_use]
    pub fn finish(&mut self, block: &Buffer) -> (ScalarBuffer<u128>, Vec<Buffer>) {
        let own = Buffer::from_vec(std::mem::take(&mut self.own));
        let buffers = match std::mem::take(&mut self.has_block) {
            true => vec![own, block.clone()],
            false if own.is_empty() => Vec::new(),
            false => vec![own],
        };
        (std::mem::take(&mut self.views).into(), buffers)
    }
}

/// The view of a text that is at `start` in a buffer.
#[inline]
fn view(bytes: &[u8], buffer: u32, start: usize) -> u128 {
    let length = bytes.len();
    if length <= INLINE_BYTES {
        let mut inline = [0; 16];
        inline[..4].copy_from_slice(&(length as u32).to_le_bytes());
        inline[4..4 + length].copy_from_slice(bytes);
        return u128::from_le_bytes(inline);
    }
    let prefix = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    length as u128 | u128::from(prefix) << 32 | u128::from(buffer) << 64 | (start as u128) << 96
}

#[cfg(test)]
mod tests {
    use arrow_array::{Array, StringViewArray};

    use super::*;

    #[test]
    fn texts_are_found_again_wherever_they_lie() {
        let block = b"..short..a text of more than twelve bytes..".to_vec();
        let long = 9..41;
        let mut views = Views::default();
        views.push_block(&block, 2, 7);
        views.push_block(&block, long.start, long.end);
        views.push_with(|own| own.extend_from_slice(b"short"));
        views.push_with(|own| own.extend_from_slice(&block[long.clone()]));
        views.push_with(|own| own.extend_from_slice(b"a text of other bytes"));
        views.push_empty();
        assert!(views.are_same(0, 2, &block) && views.are_same(1, 3, &block));
        assert!(!views.are_same(3, 4, &block) && !views.are_same(0, 1, &block));
        assert_eq!(views.bytes_of(1, &block), &block[long]);
        let (array, buffers) = views.finish(&Buffer::from(block));
        let array = StringViewArray::try_new(array, buffers, None).unwrap();
        let texts = (0..array.len()).map(|row| array.value(row)).collect::<Vec<_>>();
        let text = "a text of more than twelve bytes";
        assert_eq!(texts, ["short", text, "short", text, "a text of other bytes", ""]);
        assert_eq!(views.len(), 0);
    }
}
