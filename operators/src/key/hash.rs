//! The routing hash: where a key lives, and where in a table it is found.
//!
//! The top 10 bits are the key group, of which workers own contiguous ranges; the low bits choose the slot in a table, bits
//! between them are the slot's tag. Folded multiplication (`lo ^ hi` of a 128-bit product) after wyhash and foldhash:
//! <https://github.com/wangyi-fudan/wyhash>. The seed is fixed and golden values hold the function still: state that was
//! divided by one version cannot be found by another.

use std::hint::select_unpredictable;

use super::long::WINDOW;

/// The hash of the key without columns, that is the only group of a global aggregation. Worker 0 owns it.
pub const EMPTY_KEY: u64 = 0;

/// The hash of a key starts here.
pub(crate) const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const CELL: u64 = 0xE703_7ED1_A0B4_28DB;
const BYTES: [u64; 3] = [0x8EBC_6AF0_9C88_C6E3, 0x5899_65CC_7537_4CC3, 0x1D8E_4E27_C47D_124F];

/// The hash of a key whose columns so far hash to `hash`, with one more cell.
#[inline]
pub(crate) fn add_cell(hash: u64, cell: [u64; 2]) -> u64 {
    fold(cell[0] ^ hash, cell[1] ^ CELL)
}

/// 64 bits that stand for `bytes` in a cell. Equality is decided by the bytes themselves.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = BYTES[0] ^ bytes.len() as u64;
    let (pairs, rest) = bytes.as_chunks::<16>();
    for pair in pairs {
        hash = fold(word(&pair[..8]) ^ BYTES[1], word(&pair[8..]) ^ hash);
    }
    let rest = match bytes.last_chunk() {
        // The rest is the end of the last 16 bytes, which one load brings.
        Some(&last) => u128::from_le_bytes(last).checked_shr(8 * (16 - rest.len() as u32)).unwrap_or(0),
        None => u128::from(word(&rest[..rest.len().min(8)])) | u128::from(word(&rest[rest.len().min(8)..])) << 64,
    };
    fold(rest as u64 ^ BYTES[2], (rest >> 64) as u64 ^ hash)
}

/// [`hash_bytes`] of the first `length` bytes of `window`, without a branch on the length: that of names is as good as
/// random.
///
/// # Panics
/// If that is all of it.
#[inline]
pub(crate) fn hash_window(window: &[u8; WINDOW], length: usize) -> u64 {
    assert!(length < WINDOW, "{length} bytes of {WINDOW}");
    let at = length & 16;
    let (first, rest) = (&window[..16], &window[at..at + 16]);
    let start = BYTES[0] ^ length as u64;
    let paired = fold(word(&first[..8]) ^ BYTES[1], word(&first[8..]) ^ start);
    let hash = select_unpredictable(at == 0, start, paired);
    let [low, high] = KEPT[length & 15];
    fold(word(&rest[..8]) & low ^ BYTES[2], word(&rest[8..]) & high ^ hash)
}

/// Which bits of 16 bytes are those of the first bytes, by their number.
const KEPT: [[u64; 2]; 16] = {
    let mut kept = [[0; 2]; 16];
    let mut bytes = 0;
    while bytes < 16 {
        let bits = (1_u128 << (8 * bytes)) - 1;
        kept[bytes] = [bits as u64, (bits >> 64) as u64];
        bytes += 1;
    }
    kept
};

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Up to eight bytes, little-endian, padded with zeros.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    if let Ok(eight) = bytes.try_into() {
        return u64::from_le_bytes(eight);
    }
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use thalweg_runtime::WorkerId;
    use thalweg_runtime::exchange::key_group::{KEY_GROUPS, owner};

    use super::*;

    fn of(cells: &[[u64; 2]]) -> u64 {
        cells.iter().fold(SEED, |hash, &cell| add_cell(hash, cell))
    }

    /// Counts per key group of `keys` hashes: near a Poisson distribution, so no group is empty or overfull.
    fn assert_even(what: &str, hashes: &[u64]) {
        for shift in [0, 22, 54] {
            let mut counts = vec![0usize; KEY_GROUPS];
            hashes.iter().for_each(|hash| counts[(hash >> shift) as usize & (KEY_GROUPS - 1)] += 1);
            let mean = (hashes.len() / KEY_GROUPS) as f64;
            let chi_square: f64 = counts.iter().map(|&n| (n as f64 - mean).powi(2) / mean).sum();
            // 1,023 degrees of freedom: 1,023 ± 45; structure in the keys may make it more even than chance.
            assert!(chi_square < 1_300.0, "{what}, bits from {shift}: chi square {chi_square}");
        }
    }

    #[test]
    fn keys_spread_over_groups_tags_and_slots() {
        let n = 64 * KEY_GROUPS as u64;
        assert_even("sequential integers", &(0..n).map(|i| of(&[[i, 0]])).collect::<Vec<_>>());
        assert_even("multiples of 4,096", &(0..n).map(|i| of(&[[i << 12, 0]])).collect::<Vec<_>>());
        assert_even("pairs", &(0..n).map(|i| of(&[[i & 255, 0], [i >> 8, 0]])).collect::<Vec<_>>());
        let strings = |i: u64| of(&[[7, u64::from_le_bytes(*b"00000000") + i]]);
        assert_even("strings", &(0..n).map(strings).collect::<Vec<_>>());
        let doubles = |i: u64| of(&[[(i as f64).to_bits(), 0]]);
        assert_even("doubles", &(0..n).map(doubles).collect::<Vec<_>>());
        let long = |i: u64| of(&[[20, hash_bytes(format!("a longer string {i}").as_bytes())]]);
        assert_even("long strings", &(0..n).map(long).collect::<Vec<_>>());
    }

    #[test]
    fn worker_0_owns_the_key_without_columns() {
        assert_eq!(owner(EMPTY_KEY, 7), WorkerId(0));
    }

    #[test]
    fn golden_values_hold_the_function_still() {
        let bytes: Vec<u8> = (0..40).collect();
        let got: Vec<u64> = [0, 1, 8, 13, 16, 17, 32, 40].iter().map(|&n| hash_bytes(&bytes[..n])).collect();
        assert_eq!(got, GOLDEN_BYTES);
        for length in 0..WINDOW {
            // Bytes behind do not count.
            let window: [u8; WINDOW] = std::array::from_fn(|at| if at < length { bytes[at] } else { 0xA5 });
            assert_eq!(hash_window(&window, length), hash_bytes(&bytes[..length]), "{length} bytes");
        }
        assert_eq!([of(&[[0, 0]]), of(&[[1, 0]]), of(&[[0, 1]]), of(&[[1, 2], [3, 4]])], GOLDEN_CELLS);
    }
    // Computed by another program.
    const GOLDEN_BYTES: [u64; 8] = [
        0x5922_38D1_FD01_BCD8,
        0x3BB0_8A8A_3882_A96B,
        0x2C39_C1A0_B686_A978,
        0x43ED_4BFF_C00F_8115,
        0x8666_84A7_AF66_B4B2,
        0x89D5_3674_3DBD_A5B9,
        0x12D5_EF90_7565_98FB,
        0xCDC5_4A87_0FF3_9E59,
    ];
    const GOLDEN_CELLS: [u64; 4] =
        [0x0850_F979_4D51_08B4, 0x1155_780E_EDA5_205E, 0x6699_6336_CC1A_94A0, 0xBF24_CD4E_5CF1_2B38];
}
