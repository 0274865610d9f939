//! GROUP BY over records, one after the other.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;
use std::sync::Arc;

use thalweg_runtime::EventTimeMs;
use thalweg_runtime::exchange::key_group;
use thalweg_runtime::state::{Aggregation, Folded, Release};

use super::value::{Record, Value};

/// A GROUP BY over tumbling windows.
#[derive(Debug)]
pub struct RowAggregation {
    keys: Vec<String>,
    selects: Vec<Select>,
    time: String,
    window_ms: i64,
}

/// One aggregate, under its name in the result.
#[derive(Clone, Debug)]
pub struct Select {
    /// Its name.
    pub name: String,
    /// What it gathers.
    pub function: Function,
}

/// An aggregate function, of an expression.
#[derive(Clone, Debug)]
pub enum Function {
    /// Records.
    Count,
    /// Sum of the values that are not NULL.
    Sum(Expression),
    /// Their average.
    Avg(Expression),
}

/// What is evaluated for each record.
#[derive(Clone, Debug)]
pub enum Expression {
    /// A field's value; NULL if there is no such field.
    Field(String),
    /// The product of two.
    Multiply(Box<Self>, Box<Self>),
}

/// Some records of a pool, with their times moved on.
#[derive(Clone, Debug)]
pub struct RowBatch {
    /// The pool.
    pub records: Arc<Vec<Record>>,
    /// Places in it.
    pub rows: Range<usize>,
    /// To be added to every time.
    pub shift_ms: i64,
    /// The watermark before the batch.
    pub stamp: EventTimeMs,
}

/// All groups that are held: by the start of their window, and the text of their key.
#[derive(Clone, Debug)]
pub struct RowShard {
    windows: BTreeMap<i64, Groups>,
    frontier: EventTimeMs,
}

type Groups = HashMap<String, Group>;

/// One group: its key, and what its aggregates have gathered, by name.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    key: Vec<Value>,
    gathered: HashMap<String, Accumulator>,
}

#[derive(Clone, Debug, PartialEq)]
enum Accumulator {
    Count(i64),
    Sum(Value),
    Avg { sum: Value, count: i64 },
}

/// Groups of one window.
#[derive(Debug)]
pub struct RowPartial {
    window: i64,
    groups: Vec<(String, Group)>,
}

/// A window that is over.
#[derive(Debug)]
pub struct Closed {
    window: i64,
    groups: Groups,
}

/// Why records cannot be aggregated.
#[derive(Clone, Debug, PartialEq)]
pub enum RowError {
    /// The record has no time.
    NoTime,
    /// Values that have no sum or product.
    NotNumbers(Value, Value),
    /// Groups of a window that is closed.
    ClosedWindow(i64),
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTime => write!(f, "a record has no event time"),
            Self::NotNumbers(a, b) => write!(f, "{a} and {b} have no sum or product"),
            Self::ClosedWindow(window) => write!(f, "the window from {window} is closed"),
        }
    }
}

impl std::error::Error for RowError {}

/// About what a group of the seed query takes, with its maps and strings.
const GROUP_BYTES: usize = 900;

impl RowAggregation {
    /// Groups by `keys` and windows of `window_ms` (above 0) over the field `time`.
    #[must_use]
    pub fn new(keys: Vec<String>, selects: Vec<Select>, time: String, window_ms: i64) -> Self {
        Self { keys, selects, time, window_ms }
    }

    fn add(
        &self,
        shard: &mut RowShard,
        record: &Record,
        batch: &RowBatch,
        folded: &mut Folded,
    ) -> Result<(), RowError> {
        let Some(Value::Timestamp(time)) = record.get(&self.time) else { return Err(RowError::NoTime) };
        let time = time + batch.shift_ms;
        let window = time - time.rem_euclid(self.window_ms);
        if self.is_over(window, batch.stamp) {
            folded.late += 1;
            return Ok(());
        }
        let key: Vec<Value> = self.keys.iter().map(|key| record.get(key).cloned().unwrap_or(Value::Null)).collect();
        let group = shard.windows.entry(window).or_default().entry(text(&key)).or_insert_with(|| self.group(key));
        for Select { name, function } in &self.selects {
            if let Some(accumulator) = group.gathered.get_mut(name) {
                accumulator.add(function, record)?;
            }
        }
        folded.folded += 1;
        Ok(())
    }

    fn group(&self, key: Vec<Value>) -> Group {
        let empty = |select: &Select| {
            let accumulator = match select.function {
                Function::Count => Accumulator::Count(0),
                Function::Sum(_) => Accumulator::Sum(Value::Null),
                Function::Avg(_) => Accumulator::Avg { sum: Value::Null, count: 0 },
            };
            (select.name.clone(), accumulator)
        };
        Group { key, gathered: self.selects.iter().map(empty).collect() }
    }

    fn is_over(&self, window: i64, watermark: EventTimeMs) -> bool {
        window.saturating_add(self.window_ms - 1) <= watermark.0 && watermark != EventTimeMs::MIN
    }

    /// The groups of a window as records.
    ///
    /// # Errors
    /// If an average is of something other than numbers.
    pub fn records(&self, closed: &Closed) -> Result<Vec<Record>, RowError> {
        closed.groups.values().map(|group| self.record(closed.window, group)).collect()
    }

    fn record(&self, window: i64, group: &Group) -> Result<Record, RowError> {
        let mut record: Record = self.keys.iter().cloned().zip(group.key.iter().cloned()).collect();
        record.insert("window_start".to_owned(), Value::Timestamp(window));
        for (name, accumulator) in &group.gathered {
            record.insert(name.clone(), accumulator.value()?);
        }
        Ok(record)
    }

    fn take_due(&self, shard: &mut RowShard, release: Release) -> Vec<(i64, Groups)> {
        let mut due = Vec::new();
        while let Some(entry) = shard.windows.first_entry() {
            if let Release::ClosedBy(watermark) = release
                && !self.is_over(*entry.key(), watermark)
            {
                break;
            }
            due.push(entry.remove_entry());
        }
        due
    }
}

/// The key as one text: what it is found by. Lengths keep keys apart that read the same when put together.
fn text(key: &[Value]) -> String {
    key.iter().fold(String::new(), |mut text, value| {
        let start = text.len();
        // Writing to a string does not fail.
        let _ = write!(text, "{value}");
        let length = text.len() - start;
        let _ = write!(text, ":{length}|");
        text
    })
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl Expression {
    fn evaluate(&self, record: &Record) -> Result<Value, RowError> {
        match self {
            Self::Field(name) => Ok(record.get(name).cloned().unwrap_or(Value::Null)),
            Self::Multiply(left, right) => {
                let (left, right) = (left.evaluate(record)?, right.evaluate(record)?);
                left.times(&right).ok_or(RowError::NotNumbers(left, right))
            }
        }
    }
}

impl Accumulator {
    fn add(&mut self, function: &Function, record: &Record) -> Result<(), RowError> {
        match (self, function) {
            (Self::Count(count), _) => *count += 1,
            (Self::Sum(sum), Function::Sum(argument)) => _ = add_value(sum, argument.evaluate(record)?)?,
            (Self::Avg { sum, count }, Function::Avg(argument)) => {
                *count += i64::from(add_value(sum, argument.evaluate(record)?)?);
            }
            (Self::Sum(_) | Self::Avg { .. }, _) => {}
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<(), RowError> {
        match (self, other) {
            (Self::Count(count), Self::Count(more)) => *count += more,
            (Self::Sum(sum), Self::Sum(more)) => _ = add_value(sum, more)?,
            (Self::Avg { sum, count }, Self::Avg { sum: more, count: values }) => {
                add_value(sum, more)?;
                *count += values;
            }
            _ => {}
        }
        Ok(())
    }

    fn value(&self) -> Result<Value, RowError> {
        Ok(match self {
            Self::Count(count) => Value::Integer(*count),
            Self::Sum(sum) => sum.clone(),
            Self::Avg { count: 0, .. } => Value::Null,
            Self::Avg { sum, count } => {
                let float = sum.float().ok_or_else(|| RowError::NotNumbers(sum.clone(), Value::Integer(*count)))?;
                Value::Float(float / *count as f64)
            }
        })
    }
}

/// Adds a value that is not NULL; says whether there was one.
fn add_value(sum: &mut Value, value: Value) -> Result<bool, RowError> {
    match (&*sum, &value) {
        (_, Value::Null) => return Ok(false),
        (Value::Null, _) => *sum = value,
        (before, _) => match before.plus(&value) {
            Some(after) => *sum = after,
            None => return Err(RowError::NotNumbers(sum.clone(), value)),
        },
    }
    Ok(true)
}

impl Aggregation for RowAggregation {
    type Batch = RowBatch;
    type Partial = RowPartial;
    type Shard = RowShard;
    type Closed = Closed;
    type Key = [Value];
    type Rows = Vec<Record>;
    type Scratch = ();
    type Error = RowError;

    fn shard(&self) -> RowShard {
        RowShard { windows: BTreeMap::new(), frontier: EventTimeMs::MIN }
    }

    fn fold(&self, shard: &mut RowShard, batch: &RowBatch, (): &mut ()) -> Result<Folded, RowError> {
        let mut folded = Folded::default();
        for record in &batch.records[batch.rows.clone()] {
            self.add(shard, record, batch, &mut folded)?;
        }
        Ok(folded)
    }

    fn split(&self, shard: &mut RowShard, release: Release, parts: usize) -> Vec<(usize, RowPartial)> {
        let mut all = Vec::new();
        for (window, groups) in self.take_due(shard, release) {
            let mut divided: Vec<Vec<(String, Group)>> = (0..parts).map(|_| Vec::new()).collect();
            for (text, group) in groups {
                divided[usize::from(key_group::owner(hash_of(&text), parts).0)].push((text, group));
            }
            let parts = divided.into_iter().enumerate().filter(|(_, groups)| !groups.is_empty());
            all.extend(parts.map(|(part, groups)| (part, RowPartial { window, groups })));
        }
        all
    }

    fn split_keys(&self, shard: &mut RowShard) -> Vec<(u64, RowPartial)> {
        let alone = |window, (text, group): (String, Group)| {
            (hash_of(&text), RowPartial { window, groups: vec![(text, group)] })
        };
        let windows = self.take_due(shard, Release::All).into_iter();
        windows.flat_map(|(window, groups)| groups.into_iter().map(move |group| alone(window, group))).collect()
    }

    fn merge(&self, shard: &mut RowShard, partial: RowPartial) -> Result<(), RowError> {
        let RowPartial { window, groups } = partial;
        if self.is_over(window, shard.frontier) {
            return Err(RowError::ClosedWindow(window));
        }
        let held = shard.windows.entry(window).or_default();
        for (text, group) in groups {
            match held.get_mut(&text) {
                Some(held) => {
                    for (name, accumulator) in group.gathered {
                        if let Some(held) = held.gathered.get_mut(&name) {
                            held.merge(accumulator)?;
                        }
                    }
                }
                None => _ = held.insert(text, group),
            }
        }
        Ok(())
    }

    fn close(&self, shard: &mut RowShard, frontier: EventTimeMs) -> Vec<Closed> {
        shard.frontier = shard.frontier.max(frontier);
        let due = self.take_due(shard, Release::ClosedBy(frontier));
        due.into_iter().map(|(window, groups)| Closed { window, groups }).collect()
    }

    fn lookup(&self, shard: &RowShard, key: &[Value]) -> Result<Vec<Record>, RowError> {
        let text = text(key);
        let groups = shard.windows.iter().filter_map(|(&window, groups)| Some((window, groups.get(&text)?)));
        groups.map(|(window, group)| self.record(window, group)).collect()
    }

    fn scan(&self, shard: &RowShard) -> Result<Vec<Record>, RowError> {
        let windows = shard.windows.iter();
        let groups = windows.flat_map(|(&window, groups)| groups.values().map(move |group| (window, group)));
        groups.map(|(window, group)| self.record(window, group)).collect()
    }

    fn next_close(&self, shard: &RowShard) -> Option<EventTimeMs> {
        let (first, _) = shard.windows.first_key_value()?;
        Some(EventTimeMs(first.saturating_add(self.window_ms - 1)))
    }

    fn end(&self, closed: &Closed) -> EventTimeMs {
        EventTimeMs(closed.window.saturating_add(self.window_ms - 1))
    }

    fn hash(&self, key: &[Value]) -> u64 {
        hash_of(&text(key))
    }

    fn own(&self, batch: &RowBatch) -> Result<RowBatch, RowError> {
        Ok(RowBatch {
            records: Arc::new(batch.records[batch.rows.clone()].to_vec()),
            rows: 0..batch.rows.len(),
            ..*batch
        })
    }

    fn rows(&self, batch: &RowBatch) -> u64 {
        batch.rows.len() as u64
    }

    fn groups(&self, shard: &RowShard) -> usize {
        shard.windows.values().map(HashMap::len).sum()
    }

    fn bytes(&self, shard: &RowShard) -> usize {
        self.groups(shard) * GROUP_BYTES
    }
}
