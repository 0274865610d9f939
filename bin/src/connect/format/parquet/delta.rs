//! Delta encodings, as far as their own headers must be believed before the decoder allocates what they declare.
//!
//! A stream is a header (values in a block, parts of a block, values in all, the first value) and blocks; a block has
//! its least delta, the width of each part in bits, and the parts. See the Parquet format, `Encodings.md`.

/// Values of a block at most; writers use 128.
const BLOCK_VALUES_MAX: u64 = 1 << 16;

struct Stream<'a> {
    bytes: &'a [u8],
    at: usize,
    block_values: usize,
    parts: usize,
    values: usize,
    first: i64,
}

/// Whether a stream declares no more than `most` values.
///
/// # Errors
/// If it does, or is none.
pub fn check_header(bytes: &[u8], most: usize) -> Result<(), &'static str> {
    Stream::new(bytes, most).map(drop)
}

/// Whether a stream of lengths declares no more than `most`.
///
/// # Errors
/// If it does, or is none.
pub fn check_lengths(bytes: &[u8], most: usize) -> Result<(), &'static str> {
    check_header(bytes, most)
}

/// Whether values that share prefixes with those before them have no more than `bytes_max` bytes in all.
///
/// # Errors
/// If they have, or there are more than `most`.
pub fn check_prefixes(bytes: &[u8], most: usize, bytes_max: i64) -> Result<(), &'static str> {
    let mut prefixes = Stream::new(bytes, most)?;
    let mut total = bytes.len() as i64;
    prefixes.each(&mut |length| {
        if !(0..=bytes_max).contains(&length) {
            return Err("a prefix has a length that none can have");
        }
        total += length;
        if total > bytes_max { Err("its values are larger than a page may be") } else { Ok(()) }
    })?;
    let suffixes = bytes.get(prefixes.at..).ok_or("its lengths end in the middle")?;
    check_header(suffixes, most)
}

impl<'a> Stream<'a> {
    fn new(bytes: &'a [u8], most: usize) -> Result<Self, &'static str> {
        let mut stream = Self { bytes, at: 0, block_values: 0, parts: 0, values: 0, first: 0 };
        let (block, parts, values) = (stream.varint()?, stream.varint()?, stream.varint()?);
        stream.first = stream.zigzag()?;
        if block == 0 || block > BLOCK_VALUES_MAX || parts == 0 || !block.is_multiple_of(parts) {
            return Err("its deltas are in blocks that cannot be");
        }
        if values > most as u64 {
            return Err("it declares more deltas than the page has values");
        }
        (stream.block_values, stream.parts, stream.values) = (block as usize, parts as usize, values as usize);
        Ok(stream)
    }

    /// Calls `take` for every value, and ends behind the last block.
    fn each(&mut self, take: &mut dyn FnMut(i64) -> Result<(), &'static str>) -> Result<(), &'static str> {
        if self.values == 0 {
            return Ok(());
        }
        let part_values = self.block_values / self.parts;
        let (mut left, mut value) = (self.values - 1, self.first);
        take(value)?;
        while left > 0 {
            let least = self.zigzag()?;
            let widths = self.bytes.get(self.at..self.at + self.parts).ok_or("its deltas end in the middle")?;
            self.at += self.parts;
            for &width in widths {
                if left == 0 {
                    // What is written of the parts that have no values is of no matter.
                    break;
                }
                if width > 64 {
                    return Err("its deltas have too many bits");
                }
                let bytes = self.bytes.get(self.at..).unwrap_or_default();
                let count = left.min(part_values);
                if (count * usize::from(width)).div_ceil(8) > bytes.len() {
                    return Err("its deltas end in the middle");
                }
                for index in 0..count {
                    let delta = bits(bytes, index * usize::from(width), width);
                    value = value.wrapping_add(least).wrapping_add(delta as i64);
                    // Lengths have 32 bits; a delta may take the long way round.
                    value = i64::from(value as i32);
                    take(value)?;
                }
                left -= count;
                self.at += part_values * usize::from(width) / 8;
            }
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or("its deltas end in the middle")?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number of its deltas is longer than 64 bits")
    }

    fn zigzag(&mut self) -> Result<i64, &'static str> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

/// `width` bits from bit `start` on, the least significant first.
fn bits(bytes: &[u8], start: usize, width: u8) -> u64 {
    let mut value = 0_u128;
    for (place, byte) in bytes[start / 8..].iter().take(9).enumerate() {
        value |= u128::from(*byte) << (8 * place);
    }
    let value = (value >> (start % 8)) as u64;
    if width == 64 { value } else { value & ((1 << width) - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths 3, 3, 5, 4 in one block of 128 in 4 parts: least delta -1, offsets 1, 3, 0 in 2 bits.
    const LENGTHS: [u8; 18] = [0x80, 1, 4, 4, 6, 1, 2, 0, 0, 0, 0b0000_1101, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn the_lengths_of_prefixes_are_summed_up() {
        let mut values = Vec::new();
        let mut stream = Stream::new(&LENGTHS, 4).unwrap();
        let mut push = |value| {
            values.push(value);
            Ok(())
        };
        stream.each(&mut push).unwrap();
        assert_eq!((values, stream.at), (vec![3, 3, 5, 4], LENGTHS.len()));
        let mut both = LENGTHS.to_vec();
        both.extend(LENGTHS);
        let bytes = both.len() as i64;
        assert_eq!(check_prefixes(&both, 4, bytes + 15), Ok(()));
        assert!(check_prefixes(&both, 4, bytes + 14).is_err());
        assert!(check_prefixes(&LENGTHS, 4, 1000).is_err(), "there are no suffixes");
    }

    #[test]
    fn more_values_than_the_page_has_are_refused() {
        assert!(check_header(&LENGTHS, 3).is_err());
        for length in 0..5 {
            assert!(check_header(&LENGTHS[..length], 4).is_err(), "{length}");
        }
    }
}
