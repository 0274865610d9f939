//! From the separators of records to those of columns.

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_cmpeq_epi32_mask, _mm512_cmpge_epu32_mask, _mm512_cmplt_epu32_mask,
    _mm512_i32gather_epi32, _mm512_loadu_si512, _mm512_mullo_epi32, _mm512_set1_epi32, _mm512_setr_epi32,
    _mm512_srli_epi32, _mm512_storeu_si512,
};

use super::LineEnds;

/// The first of each `stride` positions, `rows` times.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
pub fn every(positions: &[u32], stride: usize, rows: usize, into: &mut Vec<u32>) {
    into.resize(rows, 0);
    let numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let steps = _mm512_mullo_epi32(numbers, _mm512_set1_epi32(stride as i32));
    let (groups, rest) = into.as_chunks_mut::<16>();
    // Steps are counted in 32 bits.
    let groups = if stride < 1 << 24 { groups } else { &mut [] };
    let done = 16 * groups.len();
    for (number, group) in groups.iter_mut().enumerate() {
        let from = &positions[16 * number * stride..][..=15 * stride];
        // SAFETY: the steps are 0 to 15 strides, all of which are in `from`.
        let found = unsafe { _mm512_i32gather_epi32::<4>(steps, from.as_ptr().cast()) };
        // SAFETY: sixteen numbers of four bytes.
        unsafe { _mm512_storeu_si512(group.as_mut_ptr().cast::<__m512i>(), found) };
    }
    let rest = if done == 0 { &mut into[..] } else { rest };
    for (row, value) in (done..).zip(rest) {
        *value = positions[row * stride];
    }
}

/// How records end; `None` if one of `ends` is too near an end of `bytes` to tell.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
pub fn line_ends(bytes: &[u8], ends: &[u32]) -> Option<LineEnds> {
    let limit = i32::try_from(bytes.len()).ok()?;
    let (groups, rest) = ends.as_chunks::<16>();
    let (mut newlines, mut returns) = (u16::MAX, 0);
    for group in groups {
        // SAFETY: sixteen numbers of four bytes.
        let ends = unsafe { _mm512_loadu_si512(group.as_ptr().cast()) };
        let is_inside = _mm512_cmpge_epu32_mask(ends, _mm512_set1_epi32(3))
            & _mm512_cmplt_epu32_mask(ends, _mm512_set1_epi32(limit));
        if is_inside != u16::MAX {
            return None;
        }
        // SAFETY: each end is at least 3 and below the length: the four bytes up to and with the one there are within.
        let words = unsafe { _mm512_i32gather_epi32::<1>(ends, bytes.as_ptr().wrapping_sub(3).cast()) };
        let before = _mm512_and_si512(_mm512_srli_epi32::<16>(words), _mm512_set1_epi32(0xFF));
        newlines &= _mm512_cmpeq_epi32_mask(_mm512_srli_epi32::<24>(words), _mm512_set1_epi32(b'\n'.into()));
        returns |= _mm512_cmpeq_epi32_mask(before, _mm512_set1_epi32(b'\r'.into()));
    }
    let mut line_ends = LineEnds { are_newlines: newlines == u16::MAX, has_returns: returns != 0 };
    for &end in rest {
        let &[before, at] = bytes.get((end as usize).checked_sub(1)?..)?.first_chunk()?;
        line_ends.are_newlines &= at == b'\n';
        line_ends.has_returns |= before == b'\r';
    }
    Some(line_ends)
}
