//! Keys of two columns, and how they are hashed.

use std::hash::Hasher;

/// Trader and symbol, as their bytes.
pub type Key = (u128, u64);

/// A hash of a key, to find its owner by.
pub fn folded(key: &Key) -> u64 {
    let word = key.0 as u64 ^ (key.0 >> 64) as u64 ^ key.1.rotate_left(32);
    let product = u128::from(word).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    product as u64 ^ (product >> 64) as u64
}

/// Folds the words of a key by multiplication.
#[derive(Default)]
pub struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers");
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
