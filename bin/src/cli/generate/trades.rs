//! Trades: who bought what, at what price, when.

use std::ops::Range;

use super::zipf::Zipf;
use super::{Rows, TradesArgs, append_number};
use crate::random::Random;

/// 2023-11-14 22:13:20 UTC: event time of row 0, before it is set back.
const START_MS: i64 = 1_700_000_000_000;

/// Prices are nearly normal around 100 with a deviation of 15, in cents.
const PRICE_MEAN_CENTS: i64 = 10_000;
const PRICE_DEVIATION_CENTS: i64 = 1_500;
const PRICE_LEAST_CENTS: i64 = 100;
const PRICE_GREATEST_CENTS: i64 = 99_900;

const QUANTITY_MAX: u64 = 999;

const DAY_MS: i64 = 86_400_000;

/// The rows of `gen trades`.
pub(super) struct Trades {
    seed: u64,
    /// `TRADER1,` and so on.
    traders: Vec<String>,
    zipf: Option<Zipf>,
    symbols: Vec<String>,
    disorder_ms: u64,
}

impl Trades {
    pub(super) fn new(args: &TradesArgs) -> Self {
        Self {
            seed: args.common.seed,
            traders: (1..=args.traders).map(|number| format!("TRADER{number},")).collect(),
            zipf: args.zipf.map(|exponent| Zipf::new(args.traders as usize, exponent)),
            symbols: (1..=args.symbols).map(|number| format!("SYM{number},")).collect(),
            disorder_ms: u64::from(args.disorder_ms),
        }
    }
}

impl Rows for Trades {
    fn header(&self) -> &'static str {
        "trader_id,symbol,price,quantity,trade_time\n"
    }

    fn append(&self, chunk: u64, rows: Range<u64>, out: &mut Vec<u8>) {
        let mut random = Random::new(self.seed, &[chunk]);
        let mut clock = ClockText::default();
        for row in rows {
            let trader = match &self.zipf {
                Some(zipf) => zipf.draw(&mut random),
                None => random.below(self.traders.len() as u64) as usize,
            };
            out.extend_from_slice(self.traders[trader].as_bytes());
            out.extend_from_slice(self.symbols[random.below(self.symbols.len() as u64) as usize].as_bytes());
            let price = PRICE_MEAN_CENTS + ((random.normal_16() * PRICE_DEVIATION_CENTS) >> 16);
            let price = price.clamp(PRICE_LEAST_CENTS, PRICE_GREATEST_CENTS) as u64;
            append_number(price / 100, out);
            out.extend_from_slice(&[b'.', digit(price / 10), digit(price), b',']);
            append_number(1 + random.below(QUANTITY_MAX), out);
            out.push(b',');
            let back = random.below(self.disorder_ms + 1);
            // 2⁶³ ms are 292 million years: a file cannot hold so many rows.
            clock.append(START_MS.wrapping_add(row as i64).wrapping_sub(back as i64), out);
            out.push(b'\n');
        }
    }
}

/// Writes `2023-11-14 22:13:19.741`; keeps the date, which is mostly the one before.
#[derive(Default)]
struct ClockText {
    day: Option<i64>,
    date: Vec<u8>,
}

impl ClockText {
    fn append(&mut self, time_ms: i64, out: &mut Vec<u8>) {
        let day = time_ms.div_euclid(DAY_MS);
        if self.day != Some(day) {
            let time = chrono::DateTime::from_timestamp_millis(time_ms).unwrap_or_default();
            self.date = time.format("%Y-%m-%d ").to_string().into_bytes();
            self.day = Some(day);
        }
        out.extend_from_slice(&self.date);
        let millis = time_ms.rem_euclid(DAY_MS) as u64;
        let (seconds, minutes, hours) = (millis / 1_000 % 60, millis / 60_000 % 60, millis / 3_600_000);
        out.extend_from_slice(&[digit(hours / 10), digit(hours), b':', digit(minutes / 10), digit(minutes), b':']);
        out.extend_from_slice(&[digit(seconds / 10), digit(seconds), b'.']);
        out.extend_from_slice(&[digit(millis / 100), digit(millis / 10), digit(millis)]);
    }
}

/// The last decimal digit.
fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}
