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
        hash = fold(hash ^ word, WORD);
        // Keeps the word that would make the product zero from wiping out all before it.
        hash = hash.wrapping_add(SEED);
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
    fold(hash ^ first, WORD ^ second.rotate_left(32)).wrapping_add(fold(hash ^ second, SECOND)).wrapping_add(SEED)
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
