//! Whether a text is UTF-8, 64 bytes at a time.
//!
//! Source: Keiser and Lemire, Validating UTF-8 In Less Than One Instruction Per Byte (2021). What may not follow each
//! other is looked up by both halves of a byte and the upper half of the next, in three tables of 16; a bit that is set in all three is a fault.
//! What must follow, a second or third continuation, is told by the bytes two and three places before.
#![allow(unsafe_code)] // Intrinsics: texts of ten bytes, each checked alone, took a third of a job's time.

use thalweg_operators::kernels::Kernels;

/// Whether `text` is UTF-8, with the best instructions that the processor has unless `kernels` are to be scalar.
#[must_use]
pub fn is_utf8(kernels: Kernels, text: &[u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if kernels == Kernels::Simd && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has the instructions.
        return unsafe { x86::is_utf8(text) };
    }
    std::str::from_utf8(text).is_ok()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m512i, _mm_loadu_si128, _mm512_and_si512, _mm512_broadcast_i32x4, _mm512_loadu_si512,
        _mm512_or_si512, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_srli_epi16,
        _mm512_subs_epu8, _mm512_test_epi64_mask, _mm512_xor_si512,
    };

    const TOO_SHORT: u8 = 1 << 0;
    const TOO_LONG: u8 = 1 << 1;
    const OVERLONG_3: u8 = 1 << 2;
    const TOO_LARGE: u8 = 1 << 3;
    const SURROGATE: u8 = 1 << 4;
    const OVERLONG_2: u8 = 1 << 5;
    /// Also an overlong text of four bytes: no byte can be both.
    const TOO_LARGE_1000: u8 = 1 << 6;
    const OVERLONG_4: u8 = 1 << 6;
    const TWO_CONTINUATIONS: u8 = 1 << 7;
    /// What the lower half of a byte says nothing about.
    const CARRY: u8 = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS;

    /// By the upper half of a byte.
    const UPPER: [u8; 16] = {
        let mut table = [TOO_LONG; 16];
        let mut half = 8;
        while half < 12 {
            table[half] = TWO_CONTINUATIONS;
            half += 1;
        }
        table[12] = TOO_SHORT | OVERLONG_2;
        table[13] = TOO_SHORT;
        table[14] = TOO_SHORT | OVERLONG_3 | SURROGATE;
        table[15] = TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4;
        table
    };
    /// By the lower half of the same byte.
    const LOWER: [u8; 16] = {
        let mut table = [CARRY | TOO_LARGE | TOO_LARGE_1000; 16];
        table[0] = CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4;
        table[1] = CARRY | OVERLONG_2;
        table[2] = CARRY;
        table[3] = CARRY;
        table[4] = CARRY | TOO_LARGE;
        table[13] |= SURROGATE;
        table
    };
    /// By the upper half of the byte behind it.
    const NEXT: [u8; 16] = {
        let mut table = [TOO_SHORT; 16];
        let second = TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS;
        table[8] = second | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4;
        table[9] = second | OVERLONG_3 | TOO_LARGE;
        table[10] = second | SURROGATE | TOO_LARGE;
        table[11] = second | SURROGATE | TOO_LARGE;
        table
    };

    /// Bytes in front of those that are looked at: as many as can belong to the same character, and some.
    const FRONT: usize = 4;

    /// A table in each of four parts of a register.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn table(bytes: &[u8; 16]) -> __m512i {
        // SAFETY: 16 bytes are read, which is what the reference is to.
        _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(std::ptr::from_ref::<[u8; 16]>(bytes).cast::<__m128i>()) })
    }

    /// The 64 bytes that end so many before the last of `bytes`.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn load(bytes: &[u8; FRONT + 64], before: usize) -> __m512i {
        let from: &[u8] = &bytes[FRONT - before..FRONT - before + 64];
        // SAFETY: 64 bytes are read, which is the length of the slice.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    /// The faults of 64 bytes behind four others.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn faults(bytes: &[u8; FRONT + 64], [upper, lower, next]: [__m512i; 3]) -> __m512i {
        let half = _mm512_set1_epi8(0x0F);
        let (here, before) = (load(bytes, 0), load(bytes, 1));
        let upper = _mm512_shuffle_epi8(upper, _mm512_and_si512(_mm512_srli_epi16::<4>(before), half));
        let lower = _mm512_shuffle_epi8(lower, _mm512_and_si512(before, half));
        let next = _mm512_shuffle_epi8(next, _mm512_and_si512(_mm512_srli_epi16::<4>(here), half));
        let pairs = _mm512_and_si512(_mm512_and_si512(upper, lower), next);
        // A byte of 0xE0 or more two places before, or of 0xF0 or more three places before, sets the highest bit.
        let third = _mm512_subs_epu8(load(bytes, 2), _mm512_set1_epi8(0x60));
        let fourth = _mm512_subs_epu8(load(bytes, 3), _mm512_set1_epi8(0x70));
        let must = _mm512_and_si512(_mm512_or_si512(third, fourth), _mm512_set1_epi8(0x80_u8 as i8));
        // There two continuations are no fault, and anything else is.
        _mm512_xor_si512(must, pairs)
    }

    /// Whether `text` is UTF-8.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn is_utf8(text: &[u8]) -> bool {
        let tables = [table(&UPPER), table(&LOWER), table(&NEXT)];
        let mut found = _mm512_setzero_si512();
        // The first bytes have nothing in front of them, and the last zeros behind them.
        let mut edge = [0; FRONT + 64];
        let first = text.len().min(64);
        edge[FRONT..FRONT + first].copy_from_slice(&text[..first]);
        if first == 64 {
            found = faults(&edge, tables);
            let mut at = 64;
            while let Some(bytes) = text[at - FRONT..].first_chunk() {
                found = _mm512_or_si512(found, faults(bytes, tables));
                at += 64;
            }
            edge = [0; FRONT + 64];
            let rest = &text[at - FRONT..];
            edge[..rest.len()].copy_from_slice(rest);
        }
        found = _mm512_or_si512(found, faults(&edge, tables));
        _mm512_test_epi64_mask(found, found) == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agrees(text: &[u8]) -> bool {
        let expected = std::str::from_utf8(text).is_ok();
        Kernels::ALL.into_iter().all(|kernels| is_utf8(kernels, text) == expected)
    }

    proptest! {
        #[test]
        fn kernels_agree_about_any_text(
            pieces in proptest::collection::vec(prop_oneof![
                4 => "[a-zé€😀]{0,30}".prop_map(String::into_bytes),
                1 => proptest::collection::vec(any::<u8>(), 0..3),
            ], 0..20),
        ) {
            let text = pieces.concat();
            for end in 0..=text.len() {
                prop_assert!(agrees(&text[..end]), "{:?}", &text[..end]);
            }
        }
    }

    #[test]
    fn kernels_agree_about_every_character_of_up_to_three_bytes_and_the_edges_of_four() {
        // At the edges of 64 bytes, and within.
        for front in [0, 10, 61, 62, 63, 64] {
            let mut text = vec![b'a'; 130];
            let pairs = (0..=0xFFFF_u16).step_by(if front == 10 { 1 } else { 7 });
            for [first, second] in pairs.map(u16::to_be_bytes) {
                text[front] = first;
                text[front + 1] = second;
                for third in [b'a', 0x7F, 0x80, 0xBF, 0xC0] {
                    text[front + 2] = third;
                    for fourth in [b'a', 0x80, 0xBF] {
                        text[front + 3] = fourth;
                        assert!(agrees(&text), "{:x?} at {front}", &text[front..front + 4]);
                    }
                }
            }
        }
    }

    #[test]
    fn what_ends_within_a_character_is_not_utf8() {
        for length in [0, 1, 60, 61, 62, 63, 64, 65, 127, 128] {
            let mut text = vec![b'a'; length];
            assert!(agrees(&text));
            text.push(0xE2);
            assert!(agrees(&text) && !is_utf8(Kernels::Simd, &text), "{length}");
            text.push(0x82);
            assert!(agrees(&text) && !is_utf8(Kernels::Simd, &text), "{length}");
            text.push(0xAC);
            assert!(is_utf8(Kernels::Simd, &text), "{length}");
        }
    }
}
