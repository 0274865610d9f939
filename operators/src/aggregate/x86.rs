//! A pass with AVX-512: four words of a row in one register.
#![allow(unsafe_code)] // Intrinsics: one walk over the rows instead of one for each part.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_set_epi64x, _mm_unpackhi_epi64, _mm_unpacklo_epi64, _mm256_castpd_si256,
    _mm256_castsi256_pd, _mm256_cmplt_epu64_mask, _mm256_loadu_si256, _mm256_mask_add_epi64, _mm256_mask_add_pd,
    _mm256_mask_max_epi64, _mm256_mask_min_epi64, _mm256_mask_sub_epi64, _mm256_movepi64_mask, _mm256_set_m128i,
    _mm256_set1_epi64x, _mm256_storeu_si256, _mm256_ternarylogic_epi64,
};

use super::pass::{Operands, PASS_WORDS, Pass};
use super::update::{Rows, add_carry};
use crate::kernels::Avx512;
use crate::table::{Fresh, KEYS_OF_WORD};

/// Adds the operands of row `i` to group `ids[i]`.
///
/// # Panics
/// If an id is not of `rows` or operands are missing.
pub(super) fn fold(_: Avx512, pass: &Pass, rows: &mut Rows<'_>, ids: &[u32], operands: [Operands<'_>; 2]) {
    let is_enough = |operands: &Operands<'_>| match operands {
        Operands::Each(first, second) => first.len() >= ids.len() && second.len() >= ids.len(),
        Operands::Both(both) => both.len() >= ids.len() * 2,
    };
    assert!(operands.iter().all(is_enough), "operands are missing");
    let call = match (pass.low != 0, pass.least | pass.greatest != 0) {
        (false, false) => fold_avx512::<false, false>,
        (false, true) => fold_avx512::<false, true>,
        (true, false) => fold_avx512::<true, false>,
        (true, true) => fold_avx512::<true, true>,
    };
    // SAFETY: there is an `Avx512` only where the processor has the instructions; each row has operands, as asserted.
    unsafe { call(pass, rows, ids, operands) }
}

/// Adds the words of row `i` of `from`, whose rows are `from_stride` words apart, to group `ids[i]`, if it is not fresh.
/// Returns for how many rows it did: the others end too soon to be read in one piece.
///
/// # Panics
/// If an id is not of `rows`.
pub(super) fn merge(
    _: Avx512,
    pass: &Pass,
    rows: &mut Rows<'_>,
    (ids, fresh): (&[u32], &Fresh),
    (from, from_stride): (&[u64], usize),
) -> usize {
    let whole = from.len().checked_sub(pass.at + PASS_WORDS).map_or(0, |rest| rest / from_stride + 1);
    let ids = &ids[..whole.min(ids.len())];
    let call = match (pass.low != 0, pass.least | pass.greatest != 0) {
        (false, false) => merge_avx512::<false, false>,
        (false, true) => merge_avx512::<false, true>,
        (true, false) => merge_avx512::<true, false>,
        (true, true) => merge_avx512::<true, true>,
    };
    // SAFETY: there is an `Avx512` only where the processor has the instructions; each row of `from` that is read has all
    // words of the pass.
    unsafe { call(pass, rows, (ids, fresh), from, from_stride) }
    ids.len()
}

/// # Safety
/// Each of `ids` must have operands.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn fold_avx512<const WIDE: bool, const EXTREMES: bool>(
    pass: &Pass,
    rows: &mut Rows<'_>,
    ids: &[u32],
    [low, high]: [Operands<'_>; 2],
) {
    check(pass, rows, ids);
    let mut row = 0;
    while row + 2 <= ids.len() {
        // SAFETY: the operands of two rows are there.
        let [low0, low1] = unsafe { two(low, row) };
        // SAFETY: as above.
        let [high0, high1] = unsafe { two(high, row) };
        let values = [_mm256_set_m128i(high0, low0), _mm256_set_m128i(high1, low1)];
        // SAFETY: `check` has passed.
        unsafe { step::<WIDE, EXTREMES>(pass, rows, ids[row], values[0]) };
        // SAFETY: as above.
        unsafe { step::<WIDE, EXTREMES>(pass, rows, ids[row + 1], values[1]) };
        row += 2;
    }
    if row < ids.len() {
        let value = _mm256_set_m128i(one(high, row), one(low, row));
        // SAFETY: `check` has passed.
        unsafe { step::<WIDE, EXTREMES>(pass, rows, ids[row], value) };
    }
}

/// # Safety
/// For each of `ids`, all words of the pass must be in its row of `from`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn merge_avx512<const WIDE: bool, const EXTREMES: bool>(
    pass: &Pass,
    rows: &mut Rows<'_>,
    (ids, fresh): (&[u32], &Fresh),
    from: &[u64],
    from_stride: usize,
) {
    check(pass, rows, ids);
    for (word, ids) in ids.chunks(KEYS_OF_WORD).enumerate() {
        let mut known = !fresh.word(word) & (u64::MAX >> (KEYS_OF_WORD - ids.len()));
        while known != 0 {
            let key = known.trailing_zeros() as usize;
            let words = from.as_ptr().wrapping_add((word * KEYS_OF_WORD + key) * from_stride + pass.at);
            // SAFETY: the caller says that they are there.
            let value = unsafe { _mm256_loadu_si256(words.cast::<__m256i>()) };
            // SAFETY: `check` has passed.
            unsafe { step::<WIDE, EXTREMES>(pass, rows, ids[key], value) };
            known &= known - 1;
        }
    }
}

/// The rows of all ids are there, with all words of the pass.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn check(pass: &Pass, rows: &Rows<'_>, ids: &[u32]) {
    let last = ids.iter().fold(0, |last, &id| id.max(last)) as usize;
    assert!(
        ids.is_empty() || last * rows.stride + pass.at + PASS_WORDS <= rows.words.len(),
        "group {last} of {} is not there",
        rows.words.len() / rows.stride,
    );
}

/// The operands of two words for two rows.
///
/// # Safety
/// They must be there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn two(operands: Operands<'_>, row: usize) -> [__m128i; 2] {
    let load = |words: &[u64], at: usize| {
        let words = words.as_ptr().wrapping_add(at).cast::<__m128i>();
        // SAFETY: the caller says that these two words are there.
        unsafe { _mm_loadu_si128(words) }
    };
    match operands {
        Operands::Each(first, second) => {
            let (first, second) = (load(first, row), load(second, row));
            [_mm_unpacklo_epi64(first, second), _mm_unpackhi_epi64(first, second)]
        }
        Operands::Both(both) => [load(both, row * 2), load(both, row * 2 + 2)],
    }
}

/// The operands of two words for one row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn one(operands: Operands<'_>, row: usize) -> __m128i {
    let (first, second) = match operands {
        Operands::Each(first, second) => (first[row], second[row]),
        Operands::Both(both) => (both[row * 2], both[row * 2 + 1]),
    };
    _mm_set_epi64x(second as i64, first as i64)
}

/// Adds `value` to the words of group `id`.
///
/// # Safety
/// `check` must have passed for it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn step<const WIDE: bool, const EXTREMES: bool>(pass: &Pass, rows: &mut Rows<'_>, id: u32, value: __m256i) {
    let row = id as usize * rows.stride;
    let words = rows.words.as_mut_ptr().wrapping_add(row + pass.at).cast::<__m256i>();
    // SAFETY: all words of the pass are in `rows`, as checked.
    let state = unsafe { _mm256_loadu_si256(words) };
    let mut next = _mm256_mask_add_epi64(state, pass.add, state, value);
    if WIDE {
        // A low half that is less than what was added has wrapped: one more for the high half behind it.
        let wrapped = _mm256_cmplt_epu64_mask(next, value) & pass.low;
        next = _mm256_mask_sub_epi64(next, wrapped << 1, next, _mm256_set1_epi64x(-1));
    }
    let (doubles, values) = (_mm256_castsi256_pd(state), _mm256_castsi256_pd(value));
    next = _mm256_castpd_si256(_mm256_mask_add_pd(_mm256_castsi256_pd(next), pass.double, doubles, values));
    if EXTREMES {
        next = _mm256_mask_min_epi64(next, pass.least, state, value);
        next = _mm256_mask_max_epi64(next, pass.greatest, state, value);
    }
    // SAFETY: as above.
    unsafe { _mm256_storeu_si256(words, next) };
    // (state ^ next) & (value ^ next): the sign is set where two numbers of one sign have a sum of the other.
    let wrapped = _mm256_movepi64_mask(_mm256_ternarylogic_epi64::<0x42>(state, value, next)) & pass.checked;
    if wrapped != 0 {
        carry(pass, rows, id, (wrapped, _mm256_movepi64_mask(value)));
    }
}

#[cold]
#[inline(never)]
fn carry(pass: &Pass, rows: &mut Rows<'_>, id: u32, (wrapped, negative): (u8, u8)) {
    for word in (0..PASS_WORDS).filter(|word| wrapped >> word & 1 != 0) {
        add_carry(rows.cold.word(id as usize, pass.carries[word]), negative >> word & 1 != 0);
    }
}
