//! Strings and bytes as Parquet writes them plainly, each behind its length: views of them, from any value on.

use std::ops::Range;

use arrow_buffer::Buffer;

/// Values between two marks.
const MARK_VALUES: usize = 1 << 9;

/// A string of so many bytes at most is within its view.
const INLINE_BYTES_MAX: usize = 12;

/// By the length of a string within its view: the bytes of the view that mean something.
const INLINE_MASKS: [u128; INLINE_BYTES_MAX + 1] = {
    let mut masks = [u128::MAX; INLINE_BYTES_MAX + 1];
    let mut length = 0;
    while length < INLINE_BYTES_MAX {
        masks[length] = (1 << (32 + 8 * length)) - 1;
        length += 1;
    }
    masks
};

/// Values one behind the other.
#[derive(Debug)]
pub struct PlainText {
    bytes: Buffer,
    /// The place of every [`MARK_VALUES`]-th value's length.
    marks: Vec<u32>,
    /// Whether a value does not fit into its view, which then points into the bytes.
    has_long: bool,
}

impl PlainText {
    /// Of `values` values. `None` if there are fewer, or one `is_text` and not UTF-8.
    #[must_use]
    pub fn new(bytes: Buffer, values: usize, is_text: bool) -> Option<Self> {
        // Of ASCII with the lengths between, each part is as well.
        let is_checked = is_text && !bytes.is_ascii();
        let mut marks = Vec::with_capacity((values / MARK_VALUES).min(bytes.len() / 4) + 1);
        let (mut at, mut longest) = (0, 0);
        for value in 0..values {
            if value % MARK_VALUES == 0 {
                marks.push(u32::try_from(at).ok()?);
            }
            let (start, end) = place(&bytes, at)?;
            if is_checked {
                std::str::from_utf8(&bytes[start..end]).ok()?;
            }
            longest = longest.max(end - start);
            at = end;
        }
        u32::try_from(at).ok()?;
        Some(Self { bytes, marks, has_long: longest > INLINE_BYTES_MAX })
    }

    /// What the views point into, if one does.
    #[must_use]
    pub fn buffer(&self) -> Option<&Buffer> {
        self.has_long.then_some(&self.bytes)
    }

    /// Adds views of `values`, which are among those that there are, to `out`; the bytes are the array's buffer number
    /// `buffer`. `None` if there are not so many.
    #[must_use]
    pub fn views(&self, values: Range<usize>, buffer: u32, out: &mut Vec<u128>) -> Option<()> {
        if values.is_empty() {
            return Some(());
        }
        let bytes: &[u8] = &self.bytes;
        let mark = values.start / MARK_VALUES;
        let mut at = *self.marks.get(mark)? as usize;
        for _ in mark * MARK_VALUES..values.start {
            (_, at) = place(bytes, at)?;
        }
        out.reserve(values.len());
        for _ in values {
            let (start, end) = place(bytes, at)?;
            out.push(view(bytes, start..end, buffer));
            at = end;
        }
        Some(())
    }
}

/// Where the value lies whose length is at `at`.
#[inline]
fn place(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let length = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize;
    let (start, end) = (at + 4, at + 4 + length);
    (end <= bytes.len()).then_some((start, end))
}

/// The length in the low 32 bits; then the bytes, or the first four, the buffer and the place in it.
#[inline]
fn view(bytes: &[u8], value: Range<usize>, buffer: u32) -> u128 {
    let length = value.len();
    let Some(mask) = INLINE_MASKS.get(length) else {
        let prefix = bytes[value.start..].first_chunk().map_or(0, |prefix| u32::from_le_bytes(*prefix));
        return length as u128 | u128::from(prefix) << 32 | u128::from(buffer) << 64 | (value.start as u128) << 96;
    };
    let behind = match bytes[value.start..].first_chunk() {
        Some(word) => u128::from_le_bytes(*word),
        None => {
            let mut word = [0; 16];
            word[..length].copy_from_slice(&bytes[value]);
            u128::from_le_bytes(word)
        }
    };
    (behind << 32 | length as u128) & mask
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::StringViewArray;
    use arrow_buffer::ScalarBuffer;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_values_are_viewed_as_they_were_written(
            lengths in proptest::collection::vec(0..20_usize, 0..1_200),
            (start, end) in (0.0..1.0, 0.0..1.0_f64),
        ) {
            let text = |length: &usize| ["a", "bc", "é", "日"].iter().cycle().skip(length % 3).take(*length).copied().collect();
            let texts: Vec<String> = lengths.iter().map(text).collect();
            let mut bytes = Vec::new();
            for text in &texts {
                bytes.extend((text.len() as u32).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
            let plain = PlainText::new(bytes.into(), texts.len(), true).unwrap();
            let place = |part: f64| (part * texts.len() as f64) as usize;
            let range = place(start).min(place(end))..place(start).max(place(end));
            let mut views = Vec::new();
            plain.views(range.clone(), 0, &mut views).unwrap();
            let buffers: Arc<[Buffer]> = plain.buffer().cloned().into_iter().collect();
            let array = StringViewArray::try_new(ScalarBuffer::from(views), buffers, None).unwrap();
            prop_assert!(array.iter().flatten().eq(texts[range].iter().map(String::as_str)));
        }
    }

    #[test]
    fn what_is_cut_off_or_no_text_is_refused() {
        let bytes = [3, 0, 0, 0, b'a', 0xff, b'c', 9, 0, 0, 0];
        assert!(PlainText::new(bytes.into(), 1, false).is_some());
        assert!(PlainText::new(bytes.into(), 1, true).is_none());
        assert!(PlainText::new(bytes.into(), 2, false).is_none());
        assert!(PlainText::new(bytes.into(), usize::MAX, false).is_none());
    }
}
