//! Trades as the seed query reads them, from a fixed seed: prices in whole cents, so that every sum can be had exactly.

use std::io::{self, Write};

/// Milliseconds since 1970 of the first trade: 2023-11-14 22:13:20.
pub const FIRST_MS: i64 = 1_700_000_000_000;
/// A trade is up to this much older than its place in the file says.
pub const DISORDER_MS: u64 = 2_000;

/// One trade.
#[derive(Clone, Copy, Debug)]
pub struct Trade {
    /// 0-based.
    pub trader: u32,
    /// 0-based.
    pub symbol: u32,
    /// Hundredths, 1.00 to 999.99.
    pub price_cents: i64,
    /// 1 to 999.
    pub quantity: i64,
    /// Event time in ms since 1970.
    pub time_ms: i64,
}

/// Trader, symbol and start of the minute in ms: a group of the seed query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    trader: u32,
    symbol: u32,
    minute_ms: i64,
}

impl Group {
    /// The group with these names; names that no trade has give a group that no trade is in.
    #[must_use]
    pub fn named(trader: &str, symbol: &str, minute_ms: i64) -> Self {
        let number = |name: &str, prefix: &str| {
            name.strip_prefix(prefix).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
        };
        Self { trader: number(trader, "TRADER"), symbol: number(symbol, "SYM"), minute_ms }
    }
}

impl Trade {
    /// The trade's group.
    #[must_use]
    pub fn group(&self) -> Group {
        let minute_ms = self.time_ms - self.time_ms.rem_euclid(60_000);
        Group { trader: self.trader, symbol: self.symbol, minute_ms }
    }

    /// One line of CSV.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { trader, symbol, price_cents, quantity, time_ms } = *self;
        // One row a millisecond: November has room for 1.4 billion rows.
        let (day, in_day) = (14 + (time_ms - FIRST_DAY_MS) / DAY_MS, (time_ms - FIRST_DAY_MS) % DAY_MS);
        let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
        let (second, millisecond) = (in_day / 1_000 % 60, in_day % 1_000);
        let (whole, cents) = (price_cents / 100, price_cents % 100);
        writeln!(
            out,
            "TRADER{trader},SYM{symbol},{whole}.{cents:02},{quantity},\
             2023-11-{day:02} {hour:02}:{minute:02}:{second:02}.{millisecond:03}"
        )
    }
}

const DAY_MS: i64 = 86_400_000;
/// 2023-11-14 00:00:00.
const FIRST_DAY_MS: i64 = FIRST_MS - FIRST_MS % DAY_MS;

/// An endless sequence of trades, the same each time.
#[derive(Clone, Debug)]
pub struct Trades {
    traders: u32,
    symbols: u32,
    row: u64,
    random: Random,
}

impl Trades {
    /// Trades by `traders` traders in `symbols` symbols, both uniform.
    #[must_use]
    pub fn new(traders: u32, symbols: u32) -> Self {
        Self { traders, symbols, row: 0, random: Random::new() }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), from a fixed seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence from its start.
    #[expect(clippy::new_without_default, reason = "a default would hide that there is one sequence")]
    #[must_use]
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next whole number below `bound`, each as likely as the others.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(bound)) >> 64) as u64
    }

    /// The next number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Iterator for Trades {
    type Item = Trade;

    fn next(&mut self) -> Option<Trade> {
        let (traders, symbols) = (u64::from(self.traders), u64::from(self.symbols));
        let trade = Trade {
            trader: self.random.below(traders) as u32,
            symbol: self.random.below(symbols) as u32,
            price_cents: 100 + self.random.below(99_900) as i64,
            quantity: 1 + self.random.below(999) as i64,
            time_ms: FIRST_MS + self.row as i64 - self.random.below(DISORDER_MS + 1) as i64,
        };
        self.row += 1;
        Some(trade)
    }
}
