//! The seed workload and its variations: which rows there are, in which batches, and which producer takes them when.
//!
//! Rows are made once, as a [`Pool`]; what is fed is the pool over and over, with its times moved on. So a workload of
//! millions of rows fits in memory also where each row is a map, and all data models are fed the same rows.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use thalweg_operators::spec::Windows;
use thalweg_operators::window::TimeWindow;
use thalweg_runtime::EventTimeMs;

use crate::answer::{Answer, ResultRow};
use crate::trades::{DISORDER_MS, FIRST_MS, Random};

/// Symbols that each trader trades in: 200 keys are 20 traders and 10 symbols.
pub const SYMBOLS: u32 = 10;
/// Windows of the query.
pub const WINDOW_MS: i64 = 60_000;
/// The watermark trails the greatest time of a producer by this much: no row is late.
pub const DELAY_MS: i64 = 5_000;
/// Of a producer that has seen no row.
pub const FIRST_WATERMARK: EventTimeMs = EventTimeMs::MIN;
/// Before every row, and in the window of the first ones: what is promised ahead of them closes nothing.
pub const START: EventTimeMs = EventTimeMs(FIRST_MS - 10_000);
/// Where state is prefilled, all rows lie within so much time, that is in one window.
const PREFILLED_SPAN_MS: i64 = 20_000;

/// The windows of the query, over the time column at this place.
#[must_use]
pub fn tumbling(time_column: usize) -> Windows {
    Windows::tumbling(time_column, WINDOW_MS, 0)
}

/// How often keys come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// All as often.
    Uniform,
    /// The k-th in proportion to 1 / k to this power.
    Zipf(f64),
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => write!(f, "uniform"),
            Self::Zipf(exponent) => write!(f, "zipf {exponent}"),
        }
    }
}

/// Draws keys.
#[derive(Debug)]
pub struct Keys {
    count: u32,
    /// Share of the keys up to and including each, for all but uniform.
    cumulative: Vec<f64>,
}

impl Keys {
    /// `count` keys, at least 1.
    #[must_use]
    pub fn new(count: u32, distribution: Distribution) -> Self {
        let mut cumulative = Vec::new();
        if let Distribution::Zipf(exponent) = distribution {
            let mut sum = 0.0;
            cumulative.extend((1..=count).map(|rank| {
                sum += f64::from(rank).powf(-exponent);
                sum
            }));
            cumulative.iter_mut().for_each(|share| *share /= sum);
        }
        Self { count, cumulative }
    }

    /// The next key, from 0; with Zipf, 0 is the most frequent.
    pub fn draw(&self, random: &mut Random) -> u32 {
        if self.cumulative.is_empty() {
            return random.below(u64::from(self.count)) as u32;
        }
        let share = random.unit();
        self.cumulative.partition_point(|&up_to| up_to <= share).min(self.count as usize - 1) as u32
    }
}

/// One row: a trade, with its time relative to the start of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Trader and symbol.
    pub key: u32,
    /// Whole cents.
    pub price_cents: i64,
    /// 1 to 999.
    pub quantity: i64,
    /// Event time in ms since the pool's start; a little before it for some.
    pub time_ms: i64,
}

impl Row {
    /// Name of the trader.
    #[must_use]
    pub fn trader(&self) -> String {
        format!("TRADER{}", self.key / SYMBOLS)
    }

    /// Name of the symbol.
    #[must_use]
    pub fn symbol(&self) -> String {
        format!("SYM{}", self.key % SYMBOLS)
    }
}

/// What a workload is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    /// Distinct keys.
    pub keys: u32,
    /// How often each comes.
    pub distribution: Distribution,
    /// Rows of one repetition.
    pub rows: u64,
    /// Rows that are made, a whole number of batches; the repetition is made of them, over and over.
    pub pool_rows: u64,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Every key is in the state before the first row that is measured, and all rows are in the same window. Then the
    /// measured time ends when every row is in its owner's state; closing the window comes after it.
    pub is_prefilled: bool,
}

/// The rows of a workload.
#[derive(Debug)]
pub struct Pool {
    /// What it was made for.
    pub workload: Workload,
    /// `workload.pool_rows` rows; where state is prefilled, followed by one of each key.
    pub rows: Vec<Row>,
}

impl Pool {
    /// Makes the rows, the same each time.
    ///
    /// # Panics
    /// If they are no whole number of batches.
    #[must_use]
    pub fn new(workload: Workload) -> Self {
        assert!(
            workload.pool_rows.is_multiple_of(workload.batch_rows as u64),
            "batches end with the pool: {workload:?}"
        );
        let keys = Keys::new(workload.keys, workload.distribution);
        let mut random = Random::new();
        let row = |row: u64| Row {
            key: keys.draw(&mut random),
            price_cents: 100 + random.below(99_900) as i64,
            quantity: 1 + random.below(999) as i64,
            time_ms: workload.time_ms(row) - random.below(DISORDER_MS + 1) as i64,
        };
        let mut rows: Vec<Row> = (0..workload.pool_rows).map(row).collect();
        if workload.is_prefilled {
            rows.extend((0..workload.keys).map(|key| Row { key, price_cents: 100, quantity: 1, time_ms: 0 }));
        }
        Self { workload, rows }
    }

    /// The watermark behind these rows, if none before was higher.
    #[must_use]
    pub fn watermark(&self, slice: &Slice) -> EventTimeMs {
        let latest = self.rows[slice.rows.clone()].iter().map(|row| row.time_ms).max();
        latest.map_or(FIRST_WATERMARK, |latest| EventTimeMs(FIRST_MS + latest + slice.shift_ms - DELAY_MS))
    }

    /// What the query answers to these slices of the pool, the slow and obvious way, with the starts of windows moved back
    /// by `offset_ms`.
    #[must_use]
    pub fn answer_from(&self, slices: impl IntoIterator<Item = Slice>, offset_ms: i64) -> Answer {
        #[derive(Default)]
        struct Totals {
            count: i64,
            cents: i64,
            quantity: i64,
            turnover: i64,
        }
        let mut groups: HashMap<(i64, u32), Totals> = HashMap::new();
        for slice in slices {
            for row in &self.rows[slice.rows] {
                let time_ms = FIRST_MS + row.time_ms + slice.shift_ms;
                let window = time_ms - time_ms.rem_euclid(WINDOW_MS);
                let totals = groups.entry((window, row.key)).or_default();
                totals.count += 1;
                totals.cents += row.price_cents;
                totals.quantity += row.quantity;
                totals.turnover += row.price_cents * row.quantity;
            }
        }
        let mut answer = Answer::default();
        for ((window, key), totals) in groups {
            let row = Row { key, price_cents: 0, quantity: 0, time_ms: 0 };
            answer.add(&ResultRow {
                trader: &row.trader(),
                symbol: &row.symbol(),
                window_start_ms: window - offset_ms,
                count: totals.count,
                average: totals.cents as f64 / totals.count as f64,
                quantity: totals.quantity,
                turnover: totals.turnover as f64,
            });
        }
        answer
    }
}

impl Workload {
    /// Event time of a row relative to the start, but for its disorder: one row a millisecond.
    fn time_ms(&self, row: u64) -> i64 {
        if self.is_prefilled { (row * PREFILLED_SPAN_MS as u64 / self.rows.max(1)) as i64 } else { row as i64 }
    }

    /// From the start of one repetition to that of the next: so many minutes that they share no window.
    #[must_use]
    pub fn period_ms(&self) -> i64 {
        let span = if self.is_prefilled { PREFILLED_SPAN_MS } else { self.rows as i64 };
        (span / WINDOW_MS + 2) * WINDOW_MS
    }

    /// Batches of the first `rows` rows of a repetition.
    fn slices(&self, rows: u64, shift_ms: i64) -> impl Iterator<Item = Slice> {
        let pool_batches = self.pool_rows.div_ceil(self.batch_rows as u64);
        let batches = rows.div_ceil(self.batch_rows as u64);
        let (batch_rows, pool_rows) = (self.batch_rows as u64, self.pool_rows);
        (0..batches).map(move |batch| {
            let (turn, place) = (batch / pool_batches, batch % pool_batches * batch_rows);
            let length = batch_rows.min(pool_rows - place).min(rows - batch * batch_rows);
            let rows = place as usize..(place + length) as usize;
            Slice { rows, shift_ms: shift_ms + (turn * pool_rows) as i64 }
        })
    }

    /// What producers are fed for one repetition, the `number`-th: `rows` rows, in turns.
    #[must_use]
    pub fn repetition(&self, number: usize, rows: u64, producers: usize) -> Repetition {
        let shift_ms = number as i64 * self.period_ms();
        let mut feeds = vec![Vec::new(); producers];
        self.slices(rows, shift_ms).enumerate().for_each(|(batch, slice)| feeds[batch % producers].push(slice));
        Repetition { feeds, until: self.over(number), is_measured: true, limit: None, offset_ms: shift_ms }
    }

    /// One of each key, in one batch for each producer: for state that is there before anything is measured.
    #[must_use]
    pub fn prefill(&self, producers: usize) -> Repetition {
        let (first, keys) = (self.pool_rows as usize, self.keys as usize);
        let part = |producer: usize| {
            let rows = first + keys * producer / producers..first + keys * (producer + 1) / producers;
            vec![Slice { rows, shift_ms: 0 }]
        };
        let feeds = (0..producers).map(part).collect();
        Repetition { feeds, until: START, is_measured: false, limit: None, offset_ms: 0 }
    }

    /// Everything of the repetition `number` is over.
    fn over(&self, number: usize) -> EventTimeMs {
        let end = FIRST_MS + (number as i64 + 1) * self.period_ms() - WINDOW_MS;
        TimeWindow::around(WINDOW_MS, 0, EventTimeMs(end)).last
    }
}

/// Some rows of the pool, as one batch, with their times moved on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Places in the pool.
    pub rows: Range<usize>,
    /// To be added to [`FIRST_MS`] and to the times of the rows.
    pub shift_ms: i64,
}

/// What all producers are fed before a promise that ends a measured time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repetition {
    /// Batches by producer.
    pub feeds: Vec<Vec<Slice>>,
    /// What the producers promise at its end; the repetition ends when every owner has acted on it.
    pub until: EventTimeMs,
    /// Does its time count?
    pub is_measured: bool,
    /// Producers stop at the first batch that would begin later than this after the repetition's start.
    pub limit: Option<Duration>,
    /// To be taken off the windows' starts, so that repetitions have equal answers.
    pub offset_ms: i64,
}

/// Everything that is fed in one run, one repetition after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// One after the other.
    pub repetitions: Vec<Repetition>,
    /// No repetition begins later than this after the first that is measured.
    pub limit: Option<Duration>,
}

impl Script {
    /// Number of producers.
    #[must_use]
    pub fn producers(&self) -> usize {
        self.repetitions.first().map_or(0, |repetition| repetition.feeds.len())
    }

    /// A run over `workload`: up to `repetitions` of it behind a few that warm the workers up.
    #[must_use]
    pub fn new(workload: &Workload, producers: usize, repetitions: usize, limit: Duration) -> Self {
        if workload.is_prefilled {
            let rows = Repetition {
                until: EventTimeMs(START.0 + 1),
                limit: Some(limit),
                ..workload.repetition(0, workload.rows, producers)
            };
            let close = Repetition { is_measured: false, ..workload.repetition(0, 0, producers) };
            return Self { repetitions: vec![workload.prefill(producers), rows, close], limit: None };
        }
        const WARM_ROWS: u64 = 50_000;
        let warm = (WARM_ROWS / workload.rows).clamp(1, 10) as usize;
        let repetition = |number: usize| {
            let is_measured = number >= warm;
            let rows = if is_measured { workload.rows } else { workload.rows.min(WARM_ROWS) };
            // Short ones are run to their end: only then are they the workload.
            let limit = (workload.rows > WARM_ROWS).then_some(limit);
            Repetition { is_measured, limit, ..workload.repetition(number, rows, producers) }
        };
        Self { repetitions: (0..warm + repetitions).map(repetition).collect(), limit: Some(limit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Workload = Workload {
        keys: 200,
        distribution: Distribution::Uniform,
        rows: 5_000,
        pool_rows: 5_000,
        batch_rows: 1_000,
        is_prefilled: false,
    };

    fn shares(count: u32, distribution: Distribution, draws: usize) -> Vec<f64> {
        let (keys, mut random) = (Keys::new(count, distribution), Random::new());
        let mut counts = vec![0.0; count as usize];
        (0..draws).for_each(|_| counts[keys.draw(&mut random) as usize] += 1.0 / draws as f64);
        counts
    }

    #[test]
    fn zipf_falls_by_its_power_and_uniform_does_not() {
        let zipf = shares(10_000, Distribution::Zipf(1.1), 2_000_000);
        for (rank, times) in [(2, 2f64.powf(1.1)), (10, 10f64.powf(1.1)), (100, 100f64.powf(1.1))] {
            let ratio = zipf[0] / zipf[rank - 1];
            assert!((ratio / times - 1.0).abs() < 0.1, "key {rank} comes {ratio} times less, not {times}");
        }
        assert!((zipf.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let uniform = shares(200, Distribution::Uniform, 2_000_000);
        assert!(uniform.iter().all(|share| (share * 200.0 - 1.0).abs() < 0.1), "{uniform:?}");
    }

    #[test]
    fn the_seed_workload_is_five_batches_of_a_thousand_rows_in_one_window() {
        let repetition = SEED.repetition(0, SEED.rows, 2);
        let rows: Vec<Vec<Range<usize>>> =
            repetition.feeds.iter().map(|feed| feed.iter().map(|slice| slice.rows.clone()).collect()).collect();
        assert_eq!(rows, [vec![0..1_000, 2_000..3_000, 4_000..5_000], vec![1_000..2_000, 3_000..4_000]]);
        let answer = Pool::new(SEED).answer_from(repetition.feeds.into_iter().flatten(), 0);
        assert_eq!((answer.groups, answer.count), (200, 5_000));
    }

    #[test]
    fn the_pool_comes_again_with_its_times_moved_on() {
        let workload = Workload { rows: 12_500, pool_rows: 5_000, ..SEED };
        let repetition = workload.repetition(3, workload.rows, 1);
        let slices = &repetition.feeds[0];
        assert_eq!(slices.iter().map(|slice| slice.rows.len()).sum::<usize>(), 12_500);
        assert_eq!(slices[12], Slice { rows: 2_000..2_500, shift_ms: 3 * workload.period_ms() + 10_000 });
    }

    /// The last row of a repetition is over at its end, and the first of the next is not.
    #[test]
    fn repetitions_share_no_window() {
        for rows in [1, 5_000, 50_000, 59_999, 60_000, 500_000] {
            let workload = Workload { rows, ..SEED };
            let window = |time| TimeWindow::around(WINDOW_MS, 0, EventTimeMs(time));
            for number in [0, 1, 7] {
                let until = workload.over(number);
                let start = FIRST_MS + number as i64 * workload.period_ms();
                assert!(window(start + rows as i64).last <= until, "{rows} rows");
                assert!(window(start + workload.period_ms() - DISORDER_MS as i64).last > until, "{rows} rows");
            }
        }
    }

    #[test]
    fn prefilled_state_holds_every_key_in_the_window_of_all_rows() {
        let workload = Workload { keys: 1_000, is_prefilled: true, ..SEED };
        let (pool, script) = (Pool::new(workload), Script::new(&workload, 3, 1, Duration::from_secs(1)));
        let [prefill, rows, close] = &script.repetitions[..] else { panic!("three repetitions") };
        assert_eq!(pool.answer_from(prefill.feeds.concat(), 0).groups, 1_000);
        let all = [prefill.feeds.concat(), rows.feeds.concat()].concat();
        let answer = pool.answer_from(all, 0);
        assert_eq!((answer.groups, answer.count), (1_000, 6_000));
        let earliest = pool.rows.iter().map(|row| FIRST_MS + row.time_ms).min().unwrap();
        let window = TimeWindow::around(WINDOW_MS, 0, START);
        assert!(rows.until.0 < earliest && window.contains(EventTimeMs(earliest)), "a promise is kept");
        assert!(close.feeds.concat().is_empty() && prefill.until < rows.until && rows.until < close.until);
        assert_eq!([prefill.is_measured, rows.is_measured, close.is_measured], [false, true, false]);
    }
}
