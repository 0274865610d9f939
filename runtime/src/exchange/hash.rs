//! The routing hash: which key group a key belongs to, for ever.
//!
//! A folded multiply: the two halves of a 64 × 64 → 128-bit product, XORed. It is what wyhash and its relatives are made
//! of (Wang Yi, *wyhash*, <https://github.com/wangyi-fudan/wyhash>). The constants are fixed, and golden tests hold the
//! values: the hash of a key goes into checkpoints and decides which worker owns the key, so it must not change with the
//! processor, the kernel that computes it or a library's version. It is no defence against keys chosen by an enemy.
//!
//! All 64 bits are used: the top ten are the key group, the low ones a table's slot, the middle a tag.

/// Where every hash starts: the fractional digits of π, as are the constants below (from the published tables of
/// Blowfish's initial state), with the lowest bit set where they multiply.
pub const SEED: u64 = 0x243f_6a88_85a3_08d3;
const WORD: u64 = 0x1319_8a2e_0370_7345;
const LENGTH: u64 = 0xa409_3822_299f_31d1;
const FINISH: u64 = 0x082e_fa98_ec4e_6c89;
const SECOND: u64 = 0x4528_21e6_38d0_1377;

/// The hash of a key of fixed-width words. Words that differ in number differ in hash, even if they are zero.
#[inline]
#[must_use]
pub fn hash_words(words: &[u64]) -> u64 {
    let mut hash = SEED;
    for word in words {
        // The sum keeps the one word that makes the product zero from wiping out all before it.
        hash = fold(hash ^ word, WORD).wrapping_add(hash);
    }
    finish(hash, words.len())
}

/// The hash of a key of bytes, read in pairs of little-endian words. The last pair overlaps the one before or is padded
/// with zeros; the length keeps padded keys apart.
#[inline]
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = SEED;
    let mut chunks = bytes.chunks_exact(16);
    for chunk in &mut chunks {
        hash = fold_pair(hash, word_at(chunk, 0), word_at(chunk, 8));
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let (first, second) = match bytes.len() {
            16.. => (word_at(bytes, bytes.len() - 16), word_at(bytes, bytes.len() - 8)),
            8..16 => (word_at(bytes, 0), word_at(bytes, bytes.len() - 8)),
            length => (short_word(rest, length), 0),
        };
        hash = fold_pair(hash, first, second);
    }
    finish(hash, bytes.len())
}

#[inline]
fn finish(hash: u64, length: usize) -> u64 {
    fold(hash ^ (length as u64).wrapping_mul(LENGTH), FINISH)
}

#[inline]
fn fold_pair(hash: u64, first: u64, second: u64) -> u64 {
    fold(hash ^ first, WORD).wrapping_add(fold(hash.rotate_left(32) ^ second, SECOND)).wrapping_add(hash)
}

/// The halves of the product, XORed.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn word_at(bytes: &[u8], start: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[start..start + 8]);
    u64::from_le_bytes(word)
}

/// Fewer than eight bytes, padded with zeros.
#[inline]
fn short_word(bytes: &[u8], length: usize) -> u64 {
    let mut word = [0; 8];
    word[..length].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Keys of the shapes that occur: numbers in a row, with strides, with only high bits, floats, pairs, short text.
    fn families() -> Vec<(&'static str, Vec<u64>)> {
        const KEYS: u64 = 1 << 16;
        let words = |key: fn(u64) -> u64| (0..KEYS).map(|i| hash_words(&[key(i)])).collect::<Vec<_>>();
        vec![
            ("in a row", words(|i| i)),
            ("stride 2^10", words(|i| i << 10)),
            ("stride 2^32", words(|i| i << 32)),
            ("top bits", words(|i| i << 48)),
            ("minutes in ms", words(|i| 1_700_000_000_000 + i * 60_000)),
            ("floats", words(|i| (i as f64 / 100.0).to_bits())),
            ("pairs", (0..KEYS).map(|i| hash_words(&[i / 256, i % 256])).collect()),
            ("zeros and one word", (0..KEYS).map(|i| hash_words(&[0, 0, i, 0])).collect()),
            ("short text", (0..KEYS).map(|i| hash_bytes(format!("t{i}").as_bytes())).collect()),
            ("long text", (0..KEYS).map(|i| hash_bytes(format!("trader number {i} of many").as_bytes())).collect()),
            (
                "text with the number first",
                (0..KEYS).map(|i| hash_bytes(format!("{i:06}_0123456789abcdef").as_bytes())).collect(),
            ),
        ]
    }

    #[test]
    fn the_values_are_fixed_for_ever() {
        let words: [(&[u64], u64); 5] = [
            (&[], 0x3429_48b3_7d99_fce2),
            (&[0], 0x92a8_617d_b10f_5d7b),
            (&[1], 0xf2fa_fe87_d188_070c),
            (&[1, 2, 3], 0x34b6_e494_c42a_43e3),
            (&[u64::MAX, SEED], 0x5430_335e_eab5_b0c8),
        ];
        for (words, expected) in words {
            assert_eq!(hash_words(words), expected, "{words:x?} gave {:#018x}", hash_words(words));
        }
        let bytes: [(&str, u64); 7] = [
            ("", 0x3429_48b3_7d99_fce2),
            ("a", 0xde82_bf6b_f5e0_227a),
            ("AAPL", 0x0c03_52ae_8ab0_1ccc),
            ("trader-1", 0x3f8c_3520_bbf4_6a1e),
            ("0123456789abcdef", 0xba38_ff73_4794_d5ca),
            ("0123456789abcdefg", 0x3814_7173_8b69_beec),
            ("a key of more than two times sixteen bytes", 0x34c4_00fb_fef5_bcec),
        ];
        for (text, expected) in bytes {
            assert_eq!(hash_bytes(text.as_bytes()), expected, "{text:?} gave {:#018x}", hash_bytes(text.as_bytes()));
        }
    }

    #[test]
    fn top_middle_and_low_bits_are_spread_evenly() {
        for (name, hashes) in families() {
            for (part, shift) in [("top", 54), ("middle", 27), ("low", 0)] {
                let mut buckets = [0u32; 1024];
                hashes.iter().for_each(|hash| buckets[(hash >> shift) as usize & 1023] += 1);
                let expected = hashes.len() as f64 / 1024.0;
                let chi_squared: f64 = buckets.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
                // 1,023 degrees of freedom: mean 1,023, deviation 45. Six deviations above.
                assert!(chi_squared < 1_023.0 + 6.0 * 45.2, "{name}, {part} bits: {chi_squared:.0}");
            }
        }
    }

    #[test]
    fn keys_of_one_key_group_still_spread_over_a_table() {
        for (name, hashes) in families() {
            let group: Vec<u64> = hashes.into_iter().filter(|hash| hash >> 58 == 17).collect();
            let slots: HashSet<u64> = group.iter().map(|hash| hash & 0xffff).collect();
            assert!(slots.len() * 100 >= group.len() * 97, "{name}: {} keys in {} slots", group.len(), slots.len());
        }
    }

    #[test]
    fn every_bit_of_a_key_changes_about_half_of_the_hash() {
        const SAMPLES: u64 = 2_000;
        for bit in 0..64 {
            let mut flips = [0u32; 64];
            for sample in 0..SAMPLES {
                let key = sample.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let changed = hash_words(&[key]) ^ hash_words(&[key ^ (1 << bit)]);
                (0..64).for_each(|out| flips[out] += (changed >> out & 1) as u32);
            }
            for (out, flips) in flips.iter().enumerate() {
                let share = f64::from(*flips) / SAMPLES as f64;
                assert!((0.4..0.6).contains(&share), "key bit {bit} flips hash bit {out} in {share:.2} of all keys");
            }
        }
    }

    #[test]
    fn order_length_and_padding_tell_keys_apart() {
        let hashes = [
            hash_words(&[1, 2]),
            hash_words(&[2, 1]),
            hash_words(&[0]),
            hash_words(&[0, 0]),
            hash_bytes(b"a"),
            hash_bytes(b"a\0"),
            hash_bytes(b"abcdefgh"),
            hash_bytes(b"abcdefghabcdefgh"),
            hash_bytes(b"0123456789abcdefABCDEFGHIJKLMNOP"),
            hash_bytes(b"ABCDEFGHIJKLMNOP0123456789abcdef"),
        ];
        assert_eq!(HashSet::from(hashes).len(), hashes.len());
    }
}
