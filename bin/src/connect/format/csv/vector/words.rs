//! Eight texts at once: their bytes as words, and words as numbers.

use std::arch::x86_64::{
    __m256i, __m512i, __mmask8, _mm256_cmpge_epu32_mask, _mm256_cmple_epu32_mask, _mm256_loadu_si256,
    _mm256_set1_epi32, _mm256_sub_epi32, _mm512_add_epi8, _mm512_add_epi64, _mm512_cvtepu32_epi64, _mm512_madd_epi16,
    _mm512_maddubs_epi16, _mm512_mul_epu32, _mm512_or_si512, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32,
    _mm512_set1_epi64, _mm512_setr_epi64, _mm512_srli_epi64, _mm512_test_epi64_mask,
};

use super::Texts;

/// Bytes that a word may reach in front of a text's end.
const FRONT_BYTES: usize = 24;

/// Bytes that a word may reach behind a text's start, and so at most behind its end.
const BACK_BYTES: usize = 32;

/// Eight texts. Invariant: around each there are [`FRONT_BYTES`] before its start and [`BACK_BYTES`] behind its end within
/// `bytes`, and its positions are below 2³¹.
///
/// Words are loaded one by one: a gather of the processor takes about twice as long.
#[derive(Clone, Copy)]
pub struct Eight<'a> {
    bytes: &'a [u8],
    starts: &'a [u32; 8],
    ends: &'a [u32; 8],
    lengths: __m256i,
}

impl<'a> Eight<'a> {
    /// The texts; `None` if one of them is too near an end of `bytes`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
    pub fn new(bytes: &'a [u8], starts: &'a [u32; 8], ends: &'a [u32; 8]) -> Option<Self> {
        let last = i32::try_from(bytes.len().checked_sub(BACK_BYTES)?).unwrap_or(i32::MAX);
        // SAFETY: eight numbers of four bytes.
        let first = unsafe { _mm256_loadu_si256(starts.as_ptr().cast()) };
        // SAFETY: as above.
        let behind = unsafe { _mm256_loadu_si256(ends.as_ptr().cast()) };
        let is_inside = _mm256_cmpge_epu32_mask(first, _mm256_set1_epi32(FRONT_BYTES as i32))
            & _mm256_cmple_epu32_mask(first, behind)
            & _mm256_cmple_epu32_mask(behind, _mm256_set1_epi32(last));
        let lengths = _mm256_sub_epi32(behind, first);
        (is_inside == __mmask8::MAX).then_some(Self { bytes, starts, ends, lengths })
    }

    /// Their lengths.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
    pub fn lengths(&self) -> __m512i {
        _mm512_cvtepu32_epi64(self.lengths)
    }

    /// The eight bytes from `OFFSET` behind the start on. What is behind the end means nothing.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
    pub fn behind_start<const OFFSET: usize>(&self) -> __m512i {
        const { assert!(OFFSET + 8 <= BACK_BYTES, "no word reaches further") };
        let word = |text: usize| {
            // SAFETY: by the invariant, `start + OFFSET + 8` is at most `end + BACK_BYTES`, which is within `bytes`.
            let from = unsafe { self.bytes.as_ptr().add(self.starts[text] as usize + OFFSET) };
            // SAFETY: as above.
            unsafe { from.cast::<i64>().read_unaligned() }
        };
        _mm512_setr_epi64(word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7))
    }

    /// The eight bytes from `OFFSET` before the end on. What is before the start means nothing.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
    pub fn before_end<const OFFSET: usize>(&self) -> __m512i {
        const { assert!(OFFSET >= 8 && OFFSET <= FRONT_BYTES, "no word reaches further") };
        let word = |text: usize| {
            // SAFETY: by the invariant, `end - OFFSET` is at least `start - FRONT_BYTES`, which is at least 0; the word ends
            // at or before `end`.
            let from = unsafe { self.bytes.as_ptr().add(self.ends[text] as usize - OFFSET) };
            // SAFETY: as above.
            unsafe { from.cast::<i64>().read_unaligned() }
        };
        _mm512_setr_epi64(word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7))
    }
}

/// The rows of `texts` in groups of eight: number of the first, starts, ends.
pub fn groups<'a>(texts: &Texts<'a>) -> impl Iterator<Item = (usize, &'a [u32; 8], &'a [u32; 8])> + use<'a> {
    assert_eq!(texts.starts.len(), texts.ends.len(), "each text has a start and an end");
    let (starts, _) = texts.starts.as_chunks::<8>();
    let (ends, _) = texts.ends.as_chunks::<8>();
    starts.iter().zip(ends).enumerate().map(|(number, (starts, ends))| (8 * number, starts, ends))
}

/// Notes the rows of a group that are odd.
#[inline]
pub fn note(odd: &mut Vec<u32>, first: usize, mask: __mmask8) {
    if mask != 0 {
        note_some(odd, first as u32, mask);
    }
}

#[cold]
fn note_some(odd: &mut Vec<u32>, first: u32, mask: __mmask8) {
    odd.extend((0..8).filter(|row| mask >> row & 1 == 1).map(|row| first + row));
}

/// Notes the rows behind the last whole group.
pub fn note_rest(odd: &mut Vec<u32>, rows: usize) {
    odd.extend((rows - rows % 8..rows).map(|row| row as u32));
}

/// The words in which some byte is not 0 to 9.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
pub fn not_digits(words: __m512i) -> __mmask8 {
    let carried = _mm512_or_si512(_mm512_add_epi8(words, _mm512_set1_epi8(0x76)), words);
    _mm512_test_epi64_mask(carried, _mm512_set1_epi8(0x80_u8 as i8))
}

/// The number of eight digits, 0 to 9, the first in the lowest byte.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
pub fn value(digits: __m512i) -> __m512i {
    let pairs = _mm512_maddubs_epi16(digits, _mm512_set1_epi16(0x010A));
    let fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x0001_0064));
    let upper = _mm512_mul_epu32(fours, _mm512_set1_epi64(10_000));
    _mm512_add_epi64(upper, _mm512_srli_epi64::<32>(fours))
}
