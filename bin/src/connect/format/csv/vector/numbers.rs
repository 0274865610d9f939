//! Columns of numbers.

use std::arch::x86_64::{
    __m512d, __m512i, __mmask8, _mm256_div_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm512_add_epi64, _mm512_and_si512,
    _mm512_andnot_si512, _mm512_castpd_si512, _mm512_castsi512_pd, _mm512_cmpeq_epi8_mask, _mm512_cmpeq_epi64_mask,
    _mm512_cmpge_epu64_mask, _mm512_cmpgt_epu64_mask, _mm512_cmplt_epi64_mask, _mm512_cvtepu64_pd, _mm512_cvtepu64_ps,
    _mm512_cvtpd_ps, _mm512_div_pd, _mm512_loadu_pd, _mm512_lzcnt_epi64, _mm512_mask_add_epi64, _mm512_mask_mov_epi64,
    _mm512_mask_sub_epi64, _mm512_mask_xor_epi64, _mm512_max_epi64, _mm512_min_epu64, _mm512_movm_epi8,
    _mm512_mul_epu32, _mm512_mullo_epi64, _mm512_or_si512, _mm512_permutex2var_pd, _mm512_set1_epi8, _mm512_set1_epi64,
    _mm512_setr_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_sllv_epi64, _mm512_srli_epi64,
    _mm512_srlv_epi64, _mm512_storeu_pd, _mm512_storeu_si512, _mm512_sub_epi64, _mm512_test_epi64_mask,
    _mm512_xor_si512,
};

use super::Texts;
use super::words::{Eight, groups, not_digits, note, note_rest, value};

const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// 10⁰ to 10¹⁸.
const WHOLE_POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut exponent = 1;
    while exponent < 19 {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// The largest number whose product with each of them fits an `i64`.
const FACTORS_MAX: [i64; 19] = {
    let mut factors = [i64::MAX; 19];
    let mut exponent = 0;
    while exponent < 19 {
        factors[exponent] = i64::MAX / WHOLE_POWERS[exponent];
        exponent += 1;
    }
    factors
};

/// Integers: up to 19 digits, perhaps behind a `-`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
pub fn integers(texts: Texts<'_>, odd: &mut Vec<u32>) -> Vec<i64> {
    let mut values = vec![0_i64; texts.starts.len()];
    let (out, _) = values.as_chunks_mut::<8>();
    for ((first, starts, ends), out) in groups(&texts).zip(out) {
        let Some(eight) = Eight::new(texts.bytes, starts, ends) else {
            note(odd, first, __mmask8::MAX);
            continue;
        };
        let lengths = eight.lengths();
        let is_short = _mm512_cmpgt_epu64_mask(lengths, _mm512_set1_epi64(8)) == 0;
        let (magnitudes, negative, bad) =
            if is_short { short_integers(&eight, lengths) } else { long_integers(&eight, lengths) };
        note(odd, first, bad);
        let numbers = _mm512_mask_sub_epi64(magnitudes, negative, _mm512_setzero_si512(), magnitudes);
        // SAFETY: eight numbers of eight bytes.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast::<__m512i>(), numbers) };
    }
    note_rest(odd, values.len());
    values
}

/// Of texts up to 8 bytes: magnitudes, which are negative, which are odd.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn short_integers(eight: &Eight<'_>, lengths: __m512i) -> (__m512i, __mmask8, __mmask8) {
    let (words, shifts, negative) = signed_word(eight, lengths);
    let digits = _mm512_and_si512(_mm512_xor_si512(words, _mm512_set1_epi8(0x30)), ones_above(shifts));
    let bad = not_digits(digits) | _mm512_cmpge_epu64_mask(shifts, _mm512_set1_epi64(64));
    (value(digits), negative, bad)
}

/// Of texts up to 8 bytes: the word that ends with each, by how many bits what is no sign stands above its bottom, and
/// which have a sign.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn signed_word(eight: &Eight<'_>, lengths: __m512i) -> (__m512i, __m512i, __mmask8) {
    let words = eight.before_end::<8>();
    let shifts = _mm512_sub_epi64(_mm512_set1_epi64(64), _mm512_slli_epi64::<3>(lengths));
    let negative = are_minus(_mm512_srlv_epi64(words, shifts));
    (words, _mm512_mask_add_epi64(shifts, negative, shifts, _mm512_set1_epi64(8)), negative)
}

/// The words that start with a `-`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn are_minus(words: __m512i) -> __mmask8 {
    let first = _mm512_and_si512(words, _mm512_set1_epi64(0xFF));
    _mm512_cmpeq_epi64_mask(first, _mm512_set1_epi64(b'-'.into()))
}

/// All bits from these on; none from 64 on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn ones_above(shifts: __m512i) -> __m512i {
    _mm512_sllv_epi64(_mm512_set1_epi64(-1), shifts)
}

/// The bits of those bytes of a word that are among the last `count` of a text; the word's last byte is number `last`
/// from the text's end, counted in bits: 64, 128, 192.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn among_last<const LAST: i64>(count: __m512i) -> __m512i {
    let shifts = _mm512_sub_epi64(_mm512_set1_epi64(LAST), _mm512_slli_epi64::<3>(count));
    ones_above(_mm512_max_epi64(shifts, _mm512_setzero_si512()))
}

/// Numbers beyond `1..=most`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn beyond(counts: __m512i, most: i64) -> __mmask8 {
    let from_0 = _mm512_sub_epi64(counts, _mm512_set1_epi64(1));
    _mm512_cmpge_epu64_mask(from_0, _mm512_set1_epi64(most))
}

/// The same as [`short_integers`] of texts of any length.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn long_integers(eight: &Eight<'_>, lengths: __m512i) -> (__m512i, __mmask8, __mmask8) {
    let zeros = _mm512_set1_epi8(0x30);
    let negative = are_minus(eight.behind_start::<0>());
    let counts = _mm512_mask_sub_epi64(lengths, negative, lengths, _mm512_set1_epi64(1));
    let low = _mm512_and_si512(_mm512_xor_si512(eight.before_end::<8>(), zeros), among_last::<64>(counts));
    let middle = _mm512_and_si512(_mm512_xor_si512(eight.before_end::<16>(), zeros), among_last::<128>(counts));
    let mut bad = beyond(counts, 19) | not_digits(low) | not_digits(middle);
    let upper = _mm512_mul_epu32(value(middle), _mm512_set1_epi64(100_000_000));
    let mut numbers = _mm512_add_epi64(upper, value(low));
    if _mm512_cmpgt_epu64_mask(counts, _mm512_set1_epi64(16)) != 0 {
        let high = _mm512_and_si512(_mm512_xor_si512(eight.before_end::<24>(), zeros), among_last::<192>(counts));
        let top = _mm512_mullo_epi64(value(high), _mm512_set1_epi64(WHOLE_POWERS[16]));
        numbers = _mm512_add_epi64(numbers, top);
        // Below 10¹⁹, so it did not wrap: what is beyond an `i64` has the highest bit set.
        bad |= not_digits(high) | _mm512_cmplt_epi64_mask(numbers, _mm512_setzero_si512());
    }
    (numbers, negative, bad)
}

/// Eight numbers as all their digits, and how many of these follow the point.
struct Scaled {
    digits: __m512i,
    fractions: __m512i,
    negative: __mmask8,
    bad: __mmask8,
}

/// Up to 16 bytes of digits with at most one point among them, perhaps behind a `-`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn scaled(eight: &Eight<'_>) -> Scaled {
    let lengths = eight.lengths();
    if _mm512_cmpgt_epu64_mask(lengths, _mm512_set1_epi64(8)) == 0 {
        short_scaled(eight, lengths)
    } else {
        long_scaled(eight, lengths)
    }
}

/// Texts without their points: what is before the first point moves up by a byte and covers it. A second point becomes a
/// byte that is no digit.
struct Joined {
    /// Each point as a byte of ones.
    points: __m512i,
    /// The words that have one.
    has: __mmask8,
    /// What comes before the first point, moved up.
    before: __m512i,
    /// What follows it.
    behind: __m512i,
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn join(words: __m512i) -> Joined {
    let points = _mm512_movm_epi8(_mm512_cmpeq_epi8_mask(words, _mm512_set1_epi8(b'.' as i8)));
    let has = _mm512_test_epi64_mask(points, points);
    let lowest = _mm512_and_si512(points, _mm512_set1_epi8(1));
    let below = _mm512_sub_epi64(lowest, _mm512_set1_epi64(1));
    let before = _mm512_slli_epi64::<8>(_mm512_and_si512(words, below));
    let behind = _mm512_andnot_si512(_mm512_or_si512(below, points), words);
    Joined { points, has, before, behind }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn short_scaled(eight: &Eight<'_>, lengths: __m512i) -> Scaled {
    let (words, shifts, negative) = signed_word(eight, lengths);
    let words = _mm512_and_si512(words, ones_above(shifts));
    let Joined { points, has, before, behind } = join(words);
    let joined = _mm512_mask_mov_epi64(words, has, _mm512_or_si512(before, behind));
    // Of no point, 64 bits are zeros.
    let fractions = _mm512_srli_epi64::<3>(_mm512_lzcnt_epi64(points));
    let fractions = _mm512_and_si512(fractions, _mm512_set1_epi64(7));
    let shifts = _mm512_mask_add_epi64(shifts, has, shifts, _mm512_set1_epi64(8));
    let digits = _mm512_and_si512(_mm512_xor_si512(joined, _mm512_set1_epi8(0x30)), ones_above(shifts));
    let bad = not_digits(digits) | _mm512_cmpge_epu64_mask(shifts, _mm512_set1_epi64(64));
    Scaled { digits: value(digits), fractions, negative, bad }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn long_scaled(eight: &Eight<'_>, lengths: __m512i) -> Scaled {
    let (one, zeros) = (_mm512_set1_epi64(1), _mm512_set1_epi8(0x30));
    let negative = are_minus(eight.behind_start::<0>());
    let bytes = _mm512_mask_sub_epi64(lengths, negative, lengths, one);
    let low = _mm512_and_si512(eight.before_end::<8>(), among_last::<64>(bytes));
    let high = _mm512_and_si512(eight.before_end::<16>(), among_last::<128>(bytes));
    let (in_low, in_high) = (join(low), join(high));
    // A point in the low word makes room for the last byte of the high one.
    let moved = _mm512_or_si512(_mm512_or_si512(in_low.before, in_low.behind), _mm512_srli_epi64::<56>(high));
    let low = _mm512_mask_mov_epi64(low, in_low.has, moved);
    let joined = _mm512_mask_mov_epi64(high, in_high.has, _mm512_or_si512(in_high.before, in_high.behind));
    let high = _mm512_mask_mov_epi64(joined, in_low.has, _mm512_slli_epi64::<8>(high));
    let counts = _mm512_mask_sub_epi64(bytes, in_low.has | in_high.has, bytes, one);
    let low = _mm512_and_si512(_mm512_xor_si512(low, zeros), among_last::<64>(counts));
    let high = _mm512_and_si512(_mm512_xor_si512(high, zeros), among_last::<128>(counts));
    let bad = beyond(bytes, 16) | beyond(counts, 16) | (in_low.has & in_high.has) | not_digits(low) | not_digits(high);
    let upper = _mm512_mul_epu32(value(high), _mm512_set1_epi64(100_000_000));
    // A word without a point counts 8 bytes; both without, 16, which is no fraction.
    let behind = |points| _mm512_srli_epi64::<3>(_mm512_lzcnt_epi64(points));
    let low_fractions = behind(in_low.points);
    let both = _mm512_mask_add_epi64(low_fractions, !in_low.has, low_fractions, behind(in_high.points));
    let fractions = _mm512_and_si512(both, _mm512_set1_epi64(15));
    Scaled { digits: _mm512_add_epi64(upper, value(low)), fractions, negative, bad }
}

/// DOUBLEs: digits up to 2⁵³ and the powers of ten are exact, so their quotient is rounded once: correctly. After William
/// Clinger, "How to Read Floating Point Numbers Accurately".
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
pub fn doubles(texts: Texts<'_>, odd: &mut Vec<u32>) -> Vec<f64> {
    let mut values = vec![0.0_f64; texts.starts.len()];
    let (out, _) = values.as_chunks_mut::<8>();
    for ((first, starts, ends), out) in groups(&texts).zip(out) {
        let Some(eight) = Eight::new(texts.bytes, starts, ends) else {
            note(odd, first, __mmask8::MAX);
            continue;
        };
        let Scaled { digits, fractions, negative, bad } = scaled(&eight);
        note(odd, first, bad | _mm512_cmpgt_epu64_mask(digits, _mm512_set1_epi64(1 << 53)));
        let quotients = _mm512_div_pd(_mm512_cvtepu64_pd(digits), powers(fractions));
        let bits = _mm512_castpd_si512(quotients);
        let signed = _mm512_mask_xor_epi64(bits, negative, bits, _mm512_set1_epi64(i64::MIN));
        let numbers = _mm512_castsi512_pd(signed);
        // SAFETY: eight numbers of eight bytes.
        unsafe { _mm512_storeu_pd(out.as_mut_ptr(), numbers) };
    }
    note_rest(odd, values.len());
    values
}

/// 10⁰ to 10¹⁵.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn powers(exponents: __m512i) -> __m512d {
    // SAFETY: `POWERS` has sixteen; these are the first eight.
    let low = unsafe { _mm512_loadu_pd(POWERS.as_ptr()) };
    // SAFETY: and these the others.
    let high = unsafe { _mm512_loadu_pd(POWERS[8..].as_ptr()) };
    _mm512_permutex2var_pd(low, exponents, high)
}

/// FLOATs: the same with what an `f32` holds exactly, 2²⁴ and 10¹⁰.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
pub fn floats(texts: Texts<'_>, odd: &mut Vec<u32>) -> Vec<f32> {
    let mut values = vec![0.0_f32; texts.starts.len()];
    let (out, _) = values.as_chunks_mut::<8>();
    let signs = [1.0_f32, -1.0];
    for ((first, starts, ends), out) in groups(&texts).zip(out) {
        let Some(eight) = Eight::new(texts.bytes, starts, ends) else {
            note(odd, first, __mmask8::MAX);
            continue;
        };
        let Scaled { digits, fractions, negative, bad } = scaled(&eight);
        let is_inexact = _mm512_cmpgt_epu64_mask(digits, _mm512_set1_epi64(1 << 24))
            | _mm512_cmpgt_epu64_mask(fractions, _mm512_set1_epi64(10));
        note(odd, first, bad | is_inexact);
        let signed: [f32; 8] = std::array::from_fn(|row| signs[usize::from(negative >> row & 1)]);
        // SAFETY: eight numbers of four bytes.
        let signed = unsafe { _mm256_loadu_ps(signed.as_ptr()) };
        let magnitudes = _mm256_div_ps(_mm512_cvtepu64_ps(digits), _mm512_cvtpd_ps(powers(fractions)));
        // Once more divided, by 1 or -1: exact, and -0 keeps its sign.
        let numbers = _mm256_div_ps(magnitudes, signed);
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), numbers) };
    }
    note_rest(odd, values.len());
    values
}

/// Powers of ten with these exponents, 0 to 18, and the largest numbers whose product with them fits an `i64`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn factors(exponents: __m512i) -> (__m512i, __m512i) {
    let mut indices = [0_u64; 8];
    // SAFETY: eight numbers of eight bytes.
    unsafe { _mm512_storeu_si512(indices.as_mut_ptr().cast::<__m512i>(), exponents) };
    let power = |row: usize| WHOLE_POWERS[indices[row] as usize];
    let most = |row: usize| FACTORS_MAX[indices[row] as usize];
    (
        _mm512_setr_epi64(power(0), power(1), power(2), power(3), power(4), power(5), power(6), power(7)),
        _mm512_setr_epi64(most(0), most(1), most(2), most(3), most(4), most(5), most(6), most(7)),
    )
}

/// DECIMALs, unscaled.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
pub fn decimals(texts: Texts<'_>, precision: u8, scale: i8, odd: &mut Vec<u32>) -> Vec<i128> {
    let mut values = vec![0_i128; texts.starts.len()];
    let (out, _) = values.as_chunks_mut::<8>();
    let bound = WHOLE_POWERS.get(usize::from(precision)).map_or(i64::MAX, |power| power - 1);
    for ((first, starts, ends), out) in groups(&texts).zip(out) {
        let Some(eight) = Eight::new(texts.bytes, starts, ends) else {
            note(odd, first, __mmask8::MAX);
            continue;
        };
        let Scaled { digits, fractions, negative, bad } = scaled(&eight);
        // Below 0 if digits are to be rounded away: odd, as what is above 18.
        let missing = _mm512_sub_epi64(_mm512_set1_epi64(scale.into()), fractions);
        let exponents = _mm512_min_epu64(missing, _mm512_set1_epi64(18));
        let (factors, most) = factors(exponents);
        let unscaled = _mm512_mullo_epi64(digits, factors);
        let does_not_fit = _mm512_cmpgt_epu64_mask(missing, _mm512_set1_epi64(18))
            | _mm512_cmpgt_epu64_mask(digits, most)
            | _mm512_cmpgt_epu64_mask(unscaled, _mm512_set1_epi64(bound));
        note(odd, first, bad | does_not_fit);
        let signed = _mm512_mask_sub_epi64(unscaled, negative, _mm512_setzero_si512(), unscaled);
        let mut narrow = [0_i64; 8];
        // SAFETY: eight numbers of eight bytes.
        unsafe { _mm512_storeu_si512(narrow.as_mut_ptr().cast::<__m512i>(), signed) };
        *out = narrow.map(i128::from);
    }
    note_rest(odd, values.len());
    values
}
