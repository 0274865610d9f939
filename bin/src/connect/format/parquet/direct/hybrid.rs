//! The hybrid of run lengths and packed bits in which Parquet writes levels and indices of a dictionary: read from any
//! value on.

use std::ops::Range;

use bytes::Bytes;

/// Values between two marks at least.
const MARK_VALUES: usize = 1 << 10;

/// Values that are packed together begin at a whole byte.
const GROUP_VALUES: usize = 8;

/// Bytes that an unpacking loop may read behind a group.
const SLACK_BYTES: usize = 8;

/// Values of so many bits each.
#[derive(Debug)]
pub struct Hybrid {
    bytes: Bytes,
    /// Bits of a value: at most 32.
    width: usize,
    /// Ascending; the first is at 0.
    marks: Vec<Mark>,
}

/// Where a run begins.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Its first value.
    value: usize,
    /// Its header in the bytes.
    at: usize,
}

struct Run {
    values: usize,
    content: Content,
    /// Behind it in the bytes.
    end: usize,
}

enum Content {
    Same(u32),
    /// From this place in the bytes on.
    Packed(usize),
}

impl Hybrid {
    /// Of `values` values. `None` if the bytes are not as they should be.
    #[must_use]
    pub fn new(bytes: Bytes, width: usize, values: usize) -> Option<Self> {
        if width > 32 {
            return None;
        }
        let mut marks: Vec<Mark> = Vec::new();
        let (mut value, mut at) = (0_usize, 0);
        while value < values {
            if marks.last().is_none_or(|last| value - last.value >= MARK_VALUES) {
                marks.push(Mark { value, at });
            }
            let run = run(&bytes, width, at)?;
            value = value.checked_add(run.values)?;
            at = run.end;
        }
        Some(Self { bytes, width, marks })
    }

    /// Adds `values`, which are among those that there are, to `out`. `None` if there are not so many.
    #[must_use]
    pub fn read(&self, values: Range<usize>, out: &mut Vec<u32>) -> Option<()> {
        if values.is_empty() {
            return Some(());
        }
        let Mark { value: mut first, mut at } =
            *self.marks[..self.marks.partition_point(|mark| mark.value <= values.start)].last()?;
        let mut next = values.start;
        while next < values.end {
            let run = run(&self.bytes, self.width, at)?;
            let end = first.checked_add(run.values)?;
            if end > next {
                let until = end.min(values.end);
                match run.content {
                    Content::Same(value) => out.resize(out.len() + (until - next), value),
                    Content::Packed(start) => {
                        unpack(self.bytes.get(start..run.end)?, self.width, next - first..until - first, out);
                    }
                }
                next = until;
            }
            (first, at) = (end, run.end);
        }
        Some(())
    }

    /// Whether all of `values` values are the same one, as is usual for levels.
    #[must_use]
    pub fn is_all(&self, value: u32, values: usize) -> bool {
        let run = run(&self.bytes, self.width, 0);
        run.is_some_and(|run| run.values >= values && matches!(run.content, Content::Same(same) if same == value))
    }
}

fn run(bytes: &[u8], width: usize, at: usize) -> Option<Run> {
    let (header, at) = varint(bytes, at)?;
    let count = (header >> 1) as usize;
    let (values, length) = match header & 1 {
        1 => (count.checked_mul(GROUP_VALUES)?, count.checked_mul(width)?),
        _ => (count, width.div_ceil(8)),
    };
    let end = at.checked_add(length)?;
    let content = bytes.get(at..end)?;
    let content = match header & 1 {
        1 => Content::Packed(at),
        _ => Content::Same(content.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))),
    };
    Some(Run { values, content, end })
}

fn varint(bytes: &[u8], mut at: usize) -> Option<(u32, usize)> {
    let mut value = 0_u64;
    for shift in [0, 7, 14, 21, 28] {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((u32::try_from(value).ok()?, at));
        }
    }
    None
}

/// Adds `values` of those that `bytes` holds, which are so many groups, to `out`.
fn unpack(bytes: &[u8], width: usize, values: Range<usize>, out: &mut Vec<u32>) {
    let start = out.len();
    out.resize(start + values.len(), 0);
    let mut out = &mut out[start..];
    let mut next = values.start;
    // The first value of a group begins at a whole byte; none of these loops reads beyond the bytes.
    let head = (next.next_multiple_of(GROUP_VALUES) - next).min(out.len());
    let (ahead, rest) = std::mem::take(&mut out).split_at_mut(head);
    for value in ahead {
        *value = one(bytes, width, next);
        next += 1;
    }
    let from = next / GROUP_VALUES * width;
    let readable = match width {
        0 => usize::MAX,
        width => (bytes.len() - from.min(bytes.len())).saturating_sub(SLACK_BYTES) / width,
    };
    let groups = (rest.len() / GROUP_VALUES).min(readable);
    let (body, tail) = rest.split_at_mut(groups * GROUP_VALUES);
    if let Some(unpack) = UNPACK.get(width) {
        unpack(bytes.get(from..).unwrap_or_default(), body);
    }
    next += body.len();
    for value in tail {
        *value = one(bytes, width, next);
        next += 1;
    }
}

/// One packed value; 0 beyond the end.
fn one(bytes: &[u8], width: usize, value: usize) -> u32 {
    let bit = value * width;
    let mut word = [0; 8];
    let from = bytes.get(bit / 8..).unwrap_or_default();
    let length = from.len().min(8);
    word[..length].copy_from_slice(&from[..length]);
    (u64::from_le_bytes(word) >> (bit % 8) & mask(width)) as u32
}

const fn mask(width: usize) -> u64 {
    (1 << width) - 1
}

/// Fills the second with what the first holds.
type Unpack = fn(&[u8], &mut [u32]);

/// By width.
const UNPACK: [Unpack; 33] = {
    macro_rules! widths {
        ($($width:literal)*) => { [$(unpack_groups::<$width>),*] };
    }
    widths!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
};

/// Fills `out`, which has room for whole groups; behind them are at least [`SLACK_BYTES`]. With the width known, a value is
/// a load, a shift and a mask, all of them constant.
fn unpack_groups<const WIDTH: usize>(bytes: &[u8], out: &mut [u32]) {
    for (group, out) in out.chunks_exact_mut(GROUP_VALUES).enumerate() {
        let packed = &bytes[group * WIDTH..][..if WIDTH == 0 { 0 } else { WIDTH + SLACK_BYTES }];
        for (place, value) in out.iter_mut().enumerate() {
            let bit = place * WIDTH;
            *value = match packed.get(bit / 8..).and_then(|from| from.first_chunk()) {
                Some(word) => (u64::from_le_bytes(*word) >> (bit % 8) & mask(WIDTH)) as u32,
                None => 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs as bytes, and their values.
    fn written(runs: &[(bool, usize, u32)], width: usize) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        for &(is_packed, count, seed) in runs {
            let mut header = if is_packed { (count << 1 | 1) as u32 } else { (count << 1) as u32 };
            while header >= 0x80 {
                bytes.push(header as u8 | 0x80);
                header >>= 7;
            }
            bytes.push(header as u8);
            let value = |place: u32| (u64::from(seed.wrapping_mul(place.wrapping_add(7))) & mask(width)) as u32;
            if is_packed {
                let packed: Vec<u32> = (0..count as u32 * 8).map(value).collect();
                let mut bits = vec![false; packed.len() * width];
                for (place, value) in packed.iter().enumerate() {
                    (0..width).for_each(|bit| bits[place * width + bit] = value >> bit & 1 == 1);
                }
                bytes
                    .extend(bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, &bit| all << 1 | u8::from(bit))));
                values.extend(packed);
            } else {
                bytes.extend(&value(1).to_le_bytes()[..width.div_ceil(8)]);
                values.resize(values.len() + count, value(1));
            }
        }
        (bytes, values)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_values_are_read_as_they_were_written(
            runs in proptest::collection::vec((any::<bool>(), 0..300_usize, any::<u32>()), 0..12),
            width in 0..33_usize,
            (start, end) in (0.0..1.0, 0.0..1.0_f64),
        ) {
            let (bytes, values) = written(&runs, width);
            let hybrid = Hybrid::new(bytes.into(), width, values.len()).unwrap();
            let place = |part: f64| (part * values.len() as f64) as usize;
            let range = place(start).min(place(end))..place(start).max(place(end));
            let mut out = vec![7];
            hybrid.read(range.clone(), &mut out).unwrap();
            prop_assert_eq!(&out[1..], &values[range]);
        }

        #[test]
        fn no_bytes_are_too_strange(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            width in 0..40_usize,
            values in 0..5_000_usize,
        ) {
            if let Some(hybrid) = Hybrid::new(bytes.into(), width, values) {
                let mut out = Vec::new();
                hybrid.read(0..values, &mut out).unwrap();
                prop_assert_eq!(out.len(), values);
            }
        }
    }

    #[test]
    fn levels_that_are_all_alike_are_known_by_their_only_run() {
        let (bytes, values) = written(&[(false, 500, 1)], 1);
        let is_one = values[0] == 1;
        let hybrid = Hybrid::new(bytes.into(), 1, 500).unwrap();
        assert_eq!((hybrid.is_all(1, 500), hybrid.is_all(1, 501)), (is_one, false));
    }
}
