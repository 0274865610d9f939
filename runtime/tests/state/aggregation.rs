//! A toy aggregation with checks of its own: count, sum and greatest value by key and tumbling window.
//!
//! A bug of a strategy is an error here, not a wrong number alone: groups for a window that is closed, a batch that
//! travels as a view. Each group also adds up the fingerprints of its rows, so that a row that came twice shows even where
//! another one is missing.

use std::collections::BTreeMap;
use std::fmt;
use thalweg_runtime::EventTimeMs;
use thalweg_runtime::exchange::key_group::owner;
use thalweg_runtime::state::{Aggregation, Folded, Release};

/// A row, stamped with the watermark at its place in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// No two rows of a job have the same.
    pub ordinal: u64,
    pub key: u64,
    pub time: i64,
    pub value: i64,
    pub stamp: i64,
}

/// Rows that come in together. A view of them must not travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub rows: Vec<Row>,
    pub is_view: bool,
}

/// What was gathered of one key in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub count: u64,
    pub sum: i64,
    pub max: i64,
    /// Fingerprints of the rows, added up.
    pub rows: u64,
}

impl Group {
    pub fn of(row: &Row) -> Self {
        Self { count: 1, sum: row.value, max: row.value, rows: mix(row.ordinal) }
    }

    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
        self.rows = self.rows.wrapping_add(other.rows);
    }
}

/// A group with its window's start and its key: what a window is emitted as, and what a reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    pub window: i64,
    pub key: u64,
    pub group: Group,
}

/// Groups by window and key.
#[derive(Clone, Debug)]
pub struct Shard {
    groups: BTreeMap<(i64, u64), Group>,
    closed: EventTimeMs,
}

/// Groups of one window.
pub struct Partial(Vec<Output>);

impl Partial {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Rows that were gathered.
    pub fn rows(&self) -> u64 {
        self.0.iter().map(|output| output.group.count).sum()
    }
}

/// A bug of the strategy.
#[derive(Debug, PartialEq, Eq)]
pub enum ToyError {
    /// Groups came for a window that is over.
    Closed { window: i64, closed: EventTimeMs },
}

impl fmt::Display for ToyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Closed { window, closed } = self;
        write!(f, "groups for window {window}, which was closed at {}", closed.0)
    }
}

impl std::error::Error for ToyError {}

/// Windows of `window` milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Toy {
    pub window: i64,
    /// No window is closed before the end of input, whatever the frontier says, as in batch mode.
    pub closes_at_end: bool,
}

/// Bytes of a shard without groups, and of a group.
pub const SHARD_BYTES: usize = 64;
pub const GROUP_BYTES: usize = 48;

impl Toy {
    pub fn window_start(&self, time: i64) -> i64 {
        time - time.rem_euclid(self.window)
    }

    /// Is the window over when there is nothing more at or below `frontier`?
    pub fn is_over(&self, window: i64, frontier: i64) -> bool {
        window + self.window - 1 <= frontier
    }

    fn add(&self, shard: &mut Shard, window: i64, key: u64, group: &Group) -> Result<(), ToyError> {
        if self.is_over(window, shard.closed.0) {
            return Err(ToyError::Closed { window, closed: shard.closed });
        }
        shard.groups.entry((window, key)).and_modify(|known| known.add(group)).or_insert(*group);
        Ok(())
    }

    /// Takes out the groups of windows that are over at `frontier`, in order.
    fn take(&self, shard: &mut Shard, frontier: i64) -> Vec<Output> {
        let is_over = |window| self.is_over(window, frontier);
        let over = shard.groups.extract_if(.., |(window, _), _| is_over(*window));
        over.map(|((window, key), group)| Output { window, key, group }).collect()
    }
}

impl Aggregation for Toy {
    type Batch = Batch;
    type Partial = Partial;
    type Shard = Shard;
    type Closed = Vec<Output>;
    type Key = u64;
    type Rows = Vec<Output>;
    type Scratch = u64;
    type Error = ToyError;

    fn shard(&self) -> Shard {
        Shard { groups: BTreeMap::new(), closed: EventTimeMs::MIN }
    }

    fn fold(&self, shard: &mut Shard, batch: &Batch, scratch: &mut u64) -> Result<Folded, ToyError> {
        let mut folded = Folded::default();
        for row in &batch.rows {
            let window = self.window_start(row.time);
            if self.is_over(window, row.stamp) {
                folded.late += 1;
            } else {
                self.add(shard, window, row.key, &Group::of(row))?;
                folded.folded += 1;
            }
        }
        *scratch += folded.folded;
        Ok(folded)
    }

    fn split(&self, shard: &mut Shard, release: Release, parts: usize) -> Vec<(usize, Partial)> {
        let groups = match release {
            Release::All => self.take(shard, i64::MAX),
            Release::ClosedBy(frontier) => self.take(shard, frontier.0),
        };
        let mut partials: BTreeMap<(i64, usize), Vec<Output>> = BTreeMap::new();
        for output in groups {
            let part = usize::from(owner(mix(output.key), parts).0);
            partials.entry((output.window, part)).or_default().push(output);
        }
        partials.into_iter().map(|((_, part), groups)| (part, Partial(groups))).collect()
    }

    fn split_keys(&self, shard: &mut Shard) -> Vec<(u64, Partial)> {
        let groups = self.take(shard, i64::MAX);
        groups.into_iter().map(|output| (mix(output.key), Partial(vec![output]))).collect()
    }

    fn merge(&self, shard: &mut Shard, partial: Partial) -> Result<(), ToyError> {
        partial.0.iter().try_for_each(|output| self.add(shard, output.window, output.key, &output.group))
    }

    fn close(&self, shard: &mut Shard, frontier: EventTimeMs) -> Vec<Vec<Output>> {
        if self.closes_at_end && frontier != EventTimeMs::END {
            return Vec::new();
        }
        shard.closed = shard.closed.max(frontier);
        let over = self.take(shard, frontier.0);
        over.chunk_by(|a, b| a.window == b.window).map(<[Output]>::to_vec).collect()
    }

    fn next_close(&self, shard: &Shard) -> Option<EventTimeMs> {
        let (window, _) = *shard.groups.first_key_value()?.0;
        Some(if self.closes_at_end { EventTimeMs::END } else { EventTimeMs(window + self.window - 1) })
    }

    fn lookup(&self, shard: &Shard, key: &u64) -> Result<Vec<Output>, ToyError> {
        Ok(self.scan(shard)?.into_iter().filter(|output| output.key == *key).collect())
    }

    fn scan(&self, shard: &Shard) -> Result<Vec<Output>, ToyError> {
        Ok(shard.groups.iter().map(|(&(window, key), &group)| Output { window, key, group }).collect())
    }

    fn end(&self, closed: &Vec<Output>) -> EventTimeMs {
        EventTimeMs(closed[0].window + self.window - 1)
    }

    fn hash(&self, key: &u64) -> u64 {
        mix(*key)
    }

    fn own(&self, batch: &Batch) -> Result<Batch, ToyError> {
        Ok(Batch { rows: batch.rows.clone(), is_view: false })
    }

    fn rows(&self, batch: &Batch) -> u64 {
        batch.rows.len() as u64
    }

    fn groups(&self, shard: &Shard) -> usize {
        shard.groups.len()
    }

    fn bytes(&self, shard: &Shard) -> usize {
        SHARD_BYTES + shard.groups.len() * GROUP_BYTES
    }
}

/// Spreads small numbers over all 64 bits; no two numbers meet (SplitMix64's last steps).
pub fn mix(number: u64) -> u64 {
    let word = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
