//! The structural index with vector instructions.
//!
//! Each kernel is chosen at run time, and its loop lies wholly inside the function that enables its instructions: across a
//! call each intrinsic would be a call of its own. No load is masked (three times slower, measured): what is read beyond
//! the end is padding, and its bits are masked out.
#![allow(unsafe_code)] // Intrinsics: a byte at a time is several times slower.

use thalweg_operators::kernels::Kernels;

use super::dialect::Dialect;
use super::index::{Found, index_scalar};

/// [`index_scalar`] of the bytes from the first number to the second, with the best instructions that the processor has
/// unless `kernels` are to be scalar.
///
/// Of `bytes` at least 64 must follow the last, or the scalar version runs.
pub fn index(
    kernels: Kernels,
    bytes: &[u8],
    (from, to): (usize, usize),
    dialect: Dialect,
    is_inside: bool,
    positions: &mut Vec<u32>,
) -> Found {
    #[cfg(target_arch = "x86_64")]
    if kernels == Kernels::Simd && to.checked_add(64).is_some_and(|padded| padded <= bytes.len()) {
        if x86::has_avx512() {
            // SAFETY: the processor has the instructions.
            return unsafe { x86::index_avx512(bytes, from, to, dialect, is_inside, positions) };
        }
        if x86::has_avx2() {
            // SAFETY: the processor has the instructions.
            return unsafe { x86::index_avx2(bytes, from, to, dialect, is_inside, positions) };
        }
    }
    index_scalar(bytes, from, to, dialect, is_inside, positions)
}

/// What the vector versions share: from the masks of 64 bytes to the mask of separators outside of quotes.
#[cfg(target_arch = "x86_64")]
struct Masks {
    /// All ones while inside of quotes.
    inside: u64,
    found: Found,
    /// The last 64 bytes that held a record end, or a newline inside of quotes: their place and mask.
    last_end: (usize, u64),
    last_inside: (usize, u64),
}

#[cfg(target_arch = "x86_64")]
impl Masks {
    fn new(is_inside: bool) -> Self {
        let inside = if is_inside { u64::MAX } else { 0 };
        Self { inside, found: Found::default(), last_end: (0, 0), last_inside: (0, 0) }
    }

    /// Takes the masks of the 64 bytes at `base`; gives that of separators outside of quotes.
    #[inline(always)]
    fn separators(&mut self, base: usize, newlines: u64, delimiters: u64, quotes: u64) -> u64 {
        self.found.newlines += u64::from(newlines.count_ones());
        let mut ends = newlines;
        let mut separators = newlines | delimiters;
        if quotes | self.inside != 0 {
            let inside = prefix_xor(quotes) ^ self.inside;
            // The last byte's state, for all of the next.
            self.inside = ((inside as i64) >> 63) as u64;
            self.found.quotes += u64::from(quotes.count_ones());
            ends &= !inside;
            separators &= !inside;
            if newlines & inside != 0 {
                self.last_inside = (base, newlines & inside);
            }
        }
        if ends != 0 {
            self.last_end = (base, ends);
        }
        self.found.record_ends += ends.count_ones() as usize;
        separators
    }

    fn finish(mut self) -> Found {
        let last = |(base, mask): (usize, u64)| (mask != 0).then(|| (base + 63 - mask.leading_zeros() as usize) as u32);
        self.found.last_end = last(self.last_end);
        self.found.last_inside = last(self.last_inside);
        self.found
    }
}

/// Bit *i* is the parity of bits 0 to *i*.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefix_xor(mut mask: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << shift;
    }
    mask
}

/// The bits of the 64 bytes at `base` that come before `to`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn valid(base: usize, to: usize) -> u64 {
    if to - base >= 64 { u64::MAX } else { (1 << (to - base)) - 1 }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8, _mm512_add_epi32,
        _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_cvtepu8_epi32, _mm512_extracti32x4_epi32,
        _mm512_loadu_si512, _mm512_maskz_compress_epi8, _mm512_movepi8_mask, _mm512_or_si512, _mm512_set1_epi8,
        _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    };

    use super::{Dialect, Found, Masks, valid};

    /// Each byte its own number.
    const IOTA: [u8; 64] = {
        let mut iota = [0; 64];
        let mut byte = 0;
        while byte < 64 {
            iota[byte] = byte as u8;
            byte += 1;
        }
        iota
    };

    pub fn has_avx512() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("bmi1")
    }

    pub fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("bmi1")
    }

    /// 64 bytes at a time: compare to masks, compress the numbers of the set bits, widen and store them.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt,lzcnt,bmi1")]
    pub fn index_avx512(
        bytes: &[u8],
        from: usize,
        to: usize,
        dialect: Dialect,
        is_inside: bool,
        positions: &mut Vec<u32>,
    ) -> Found {
        let newline = _mm512_set1_epi8(b'\n' as i8);
        let delimiter = _mm512_set1_epi8(dialect.separator() as i8);
        let quote = _mm512_set1_epi8(dialect.quote.unwrap_or(0) as i8);
        let quote_mask = if dialect.quote.is_some() { u64::MAX } else { 0 };
        // SAFETY: `IOTA` has 64 bytes.
        let iota = unsafe { _mm512_loadu_si512(IOTA.as_ptr().cast()) };
        let mut masks = Masks::new(is_inside);
        // All bytes but the last 64 at most, one or another.
        let mut seen = _mm512_setzero_si512();
        let mut base = from;
        while base < to {
            let chunk = &bytes[base..base + 64];
            // SAFETY: the chunk has 64 bytes.
            let chunk = unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) };
            let valid = valid(base, to);
            if valid == u64::MAX {
                seen = _mm512_or_si512(seen, chunk);
            } else {
                masks.found.has_non_ascii |= _mm512_movepi8_mask(chunk) & valid != 0;
            }
            let separators = masks.separators(
                base,
                _mm512_cmpeq_epi8_mask(chunk, newline) & valid,
                _mm512_cmpeq_epi8_mask(chunk, delimiter) & valid,
                _mm512_cmpeq_epi8_mask(chunk, quote) & valid & quote_mask,
            );
            let numbers = _mm512_maskz_compress_epi8(separators, iota);
            let count = separators.count_ones() as usize;
            let length = positions.len();
            if positions.capacity() - length < 64 {
                positions.reserve(bytes.len() / 8 + 64);
            }
            let spare = positions.spare_capacity_mut()[..64].as_mut_ptr().cast::<u32>();
            let offset = _mm512_set1_epi32(base as i32);
            let widened = |lane| _mm512_add_epi32(_mm512_cvtepu8_epi32(lane), offset);
            let first = widened(_mm512_castsi512_si128(numbers));
            // SAFETY: `spare` points to 64 places of 4 bytes; this writes the first 16.
            unsafe { _mm512_storeu_si512(spare.cast::<__m512i>(), first) };
            if count > 16 {
                let lanes = [
                    widened(_mm512_extracti32x4_epi32::<1>(numbers)),
                    widened(_mm512_extracti32x4_epi32::<2>(numbers)),
                    widened(_mm512_extracti32x4_epi32::<3>(numbers)),
                ];
                // SAFETY: places 16 to 63 of the 64 remain.
                let rest = unsafe { spare.add(16) };
                // SAFETY: three times 16 places, as said.
                unsafe { rest.cast::<[__m512i; 3]>().write_unaligned(lanes) };
            }
            // SAFETY: `count` is at most 64, all of which are within the capacity and were written above.
            unsafe { positions.set_len(length + count) };
            base += 64;
        }
        masks.found.has_non_ascii |= _mm512_movepi8_mask(seen) != 0;
        masks.finish()
    }

    /// The same with two vectors of 32 bytes, and the set bits taken one by one.
    #[target_feature(enable = "avx2,popcnt,lzcnt,bmi1")]
    pub fn index_avx2(
        bytes: &[u8],
        from: usize,
        to: usize,
        dialect: Dialect,
        is_inside: bool,
        positions: &mut Vec<u32>,
    ) -> Found {
        let newline = _mm256_set1_epi8(b'\n' as i8);
        let delimiter = _mm256_set1_epi8(dialect.separator() as i8);
        let quote = _mm256_set1_epi8(dialect.quote.unwrap_or(0) as i8);
        let quote_mask = if dialect.quote.is_some() { u64::MAX } else { 0 };
        let mut masks = Masks::new(is_inside);
        let mut base = from;
        while base < to {
            let chunk = &bytes[base..base + 64];
            // SAFETY: the chunk has 64 bytes; this reads the first 32.
            let low = unsafe { _mm256_loadu_si256(chunk[..32].as_ptr().cast()) };
            // SAFETY: and this the others.
            let high = unsafe { _mm256_loadu_si256(chunk[32..].as_ptr().cast()) };
            let mask = |byte| {
                let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, byte)) as u32;
                let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, byte)) as u32;
                u64::from(low) | u64::from(high) << 32
            };
            let valid = valid(base, to);
            let not_ascii = [low, high].map(|half| u64::from(_mm256_movemask_epi8(half) as u32));
            masks.found.has_non_ascii |= (not_ascii[0] | not_ascii[1] << 32) & valid != 0;
            let (newlines, delimiters) = (mask(newline) & valid, mask(delimiter) & valid);
            let mut separators = masks.separators(base, newlines, delimiters, mask(quote) & valid & quote_mask);
            let count = separators.count_ones() as usize;
            let length = positions.len();
            if positions.capacity() - length < 64 {
                positions.reserve(bytes.len() / 8 + 64);
            }
            let spare = &mut positions.spare_capacity_mut()[..64];
            // Four at a time, also where fewer are left: cheaper than to guess their number wrong.
            for four in spare.chunks_exact_mut(4).take(count.div_ceil(4)) {
                for place in four {
                    place.write((base + separators.trailing_zeros() as usize) as u32);
                    separators &= separators.wrapping_sub(1);
                }
            }
            // SAFETY: `count` is at most 64, all of which are within the capacity and were written above.
            unsafe { positions.set_len(length + count) };
            base += 64;
        }
        masks.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Index = fn(&[u8], usize, usize, Dialect, bool, &mut Vec<u32>) -> Found;

    fn kernels() -> Vec<(&'static str, Index)> {
        let mut kernels: Vec<(&'static str, Index)> = vec![
            ("dispatched", |b, f, t, d, i, p| index(Kernels::Simd, b, (f, t), d, i, p)),
            ("scalar", |b, f, t, d, i, p| index(Kernels::Scalar, b, (f, t), d, i, p)),
        ];
        #[cfg(target_arch = "x86_64")]
        {
            if x86::has_avx512() {
                // SAFETY: the processor has the instructions.
                kernels.push(("avx512", |b, f, t, d, i, p| unsafe { x86::index_avx512(b, f, t, d, i, p) }));
            }
            if x86::has_avx2() {
                // SAFETY: the processor has the instructions.
                kernels.push(("avx2", |b, f, t, d, i, p| unsafe { x86::index_avx2(b, f, t, d, i, p) }));
            }
        }
        kernels
    }

    proptest! {
        #[test]
        fn vector_kernels_find_what_the_scalar_one_finds(
            text in prop_oneof![
                "[a,\"\n]{0,300}",
                "[a-z]{0,5}(,[a-z]{0,9}){0,30}\n[a-z,\"\n]{0,200}",
                proptest::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| bytes.iter().map(|&b| char::from(b)).collect()),
            ],
            from in 0_usize..70,
            delimiter in prop_oneof![Just(None), Just(Some(b','))],
            quote in prop_oneof![Just(None), Just(Some(b'"')), Just(Some(0))],
            is_inside in any::<bool>(),
        ) {
            // What is behind the end must not be seen.
            let mut bytes = text.into_bytes();
            let to = bytes.len();
            bytes.extend_from_slice(&b",\n\"".repeat(22));
            let from = from.min(to);
            let dialect = Dialect { delimiter, quote, escape: None, comments: false };
            let mut expected_positions = vec![7];
            let expected = index_scalar(&bytes, from, to, dialect, is_inside, &mut expected_positions);
            for (name, kernel) in kernels() {
                let mut positions = vec![7];
                let found = kernel(&bytes, from, to, dialect, is_inside, &mut positions);
                prop_assert_eq!(found, expected, "{}", name);
                prop_assert_eq!(&positions, &expected_positions, "{}", name);
            }
        }
    }
}
