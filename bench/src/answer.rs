//! What a run of the seed query came to, small enough to be compared after every run, and exact.
//!
//! Prices are whole cents in a DOUBLE, so that every sum is exact whatever its order, and an average is one division of
//! exact numbers: two answers are equal bit for bit or one of them is wrong.

use std::fmt;
use std::ops::AddAssign;

/// One row of the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResultRow<'a> {
    /// First key column.
    pub trader: &'a str,
    /// Second key column.
    pub symbol: &'a str,
    /// Start of the window, in ms since the start of its repetition.
    pub window_start_ms: i64,
    /// COUNT(*).
    pub count: i64,
    /// AVG(price), in cents.
    pub average: f64,
    /// SUM(quantity).
    pub quantity: i64,
    /// SUM(price * quantity), in cents.
    pub turnover: f64,
}

/// All rows of a result, in any order: their number, their totals, and a fingerprint of every value in them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answer {
    /// Rows of the result.
    pub groups: u64,
    /// Sum of their counts.
    pub count: i64,
    /// Sum of their quantities.
    pub quantity: i64,
    /// Sum of their turnovers.
    pub turnover: f64,
    /// Sum of the rows' hashes, modulo 2^128: does not depend on the order of rows, and no row is like another.
    pub fingerprint: u128,
}

impl Answer {
    /// Adds one row.
    pub fn add(&mut self, row: &ResultRow<'_>) {
        self.groups += 1;
        self.count += row.count;
        self.quantity += row.quantity;
        self.turnover += row.turnover;
        let mut hash = Hash(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        hash.text(row.trader);
        hash.text(row.symbol);
        for word in [
            row.window_start_ms as u64,
            row.count as u64,
            row.average.to_bits(),
            row.quantity as u64,
            row.turnover.to_bits(),
        ] {
            hash.word(word);
        }
        self.fingerprint = self.fingerprint.wrapping_add(hash.0);
    }

    /// The answer to the same input `times` over, each time in windows of its own.
    #[must_use]
    pub fn repeated(&self, times: u64) -> Self {
        Self {
            groups: self.groups * times,
            count: self.count * times as i64,
            quantity: self.quantity * times as i64,
            turnover: self.turnover * times as f64,
            fingerprint: self.fingerprint.wrapping_mul(u128::from(times)),
        }
    }
}

impl AddAssign for Answer {
    fn add_assign(&mut self, other: Self) {
        let Self { groups, count, quantity, turnover, fingerprint } = other;
        self.groups += groups;
        self.count += count;
        self.quantity += quantity;
        self.turnover += turnover;
        self.fingerprint = self.fingerprint.wrapping_add(fingerprint);
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { groups, count, quantity, turnover, fingerprint } = self;
        write!(f, "{groups} groups of {count} rows, quantity {quantity}, turnover {turnover}, print {fingerprint:032x}")
    }
}

/// A wide multiplicative hash: rows that differ in one bit differ in about half of the 128.
struct Hash(u128);

impl Hash {
    fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ u128::from(word)).wrapping_mul(0xda94_2042_e4dd_58b5_2f90_9f0f_3f1b_86d5);
        self.0 = mixed ^ (mixed >> 61);
    }

    fn text(&mut self, text: &str) {
        self.word(text.len() as u64);
        for chunk in text.as_bytes().chunks(8) {
            self.word(chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: ResultRow<'static> = ResultRow {
        trader: "TRADER1",
        symbol: "SYM2",
        window_start_ms: 60_000,
        count: 3,
        average: 100.5,
        quantity: 17,
        turnover: 1_701.0,
    };

    fn answer(rows: &[ResultRow<'_>]) -> Answer {
        let mut answer = Answer::default();
        rows.iter().for_each(|row| answer.add(row));
        answer
    }

    #[test]
    fn order_and_division_do_not_matter_and_every_value_does() {
        let other = ResultRow { symbol: "SYM3", ..ROW };
        let mut parts = answer(&[other]);
        parts += answer(&[ROW]);
        assert_eq!(parts, answer(&[ROW, other]));
        for changed in [
            ResultRow { trader: "TRADER", symbol: "1SYM2", ..ROW },
            ResultRow { symbol: "SYM20", ..ROW },
            ResultRow { window_start_ms: 0, ..ROW },
            ResultRow { average: 100.5f64.next_up(), ..ROW },
            ResultRow { count: 4, ..ROW },
            ResultRow { quantity: 18, ..ROW },
            ResultRow { turnover: 1_701.0f64.next_up(), ..ROW },
        ] {
            assert_ne!(answer(&[changed]).fingerprint, answer(&[ROW]).fingerprint, "{changed:?}");
        }
        assert_eq!(answer(&[ROW, ROW, ROW]), answer(&[ROW]).repeated(3));
    }
}
