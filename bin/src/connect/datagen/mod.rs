//! The `datagen` connector: rows made up from a seed, with Flink's options.
//!
//! A row is a pure function of the seed, its number and the start time, so the rows are the same for any number of
//! workers, and wherever blocks are cut. Row *n* is due *n* ÷ `rows-per-second` after the start, which is when the first
//! worker asks for rows; a column of time takes its value from that schedule and not from the clock at which a worker gets
//! round to it. A block is handed over when `rows-per-batch` rows are due, and takes along all that are due by then: so
//! batches grow with the load, and who has fallen behind catches up. A helper thread rings the workers when a block is due.

mod fields;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use chrono::{NaiveDateTime, Utc};
use thalweg_runtime::WorkerId;

use self::fields::FieldGenerator;
use super::bad_input::{BadInput, Rejects, RowPlace, RowPlaces};
use super::options::OptionReader;
use super::{Arrival, Doorbells, ReadOptions, Source, SourceBlock, SourceEvent, SourceReader, Taken};
use crate::error::{Error, Result};
use crate::random::Random;

/// Rows of a block at most.
const BLOCK_ROWS_MAX: u64 = 4_096;

/// Blocks in a second where rows are due slowly.
const BLOCKS_PER_SECOND: u64 = 50;

/// How much later than a block is due its bells are rung. Workers come by themselves when it is due, since they are told
/// when that is; the bells are for those that go by bells alone.
const RING_AFTER: Duration = Duration::from_millis(10);

/// The options of a `datagen` table.
#[derive(Clone, Debug)]
pub struct DatagenOptions {
    rows_per_second: u64,
    /// Rows that are handed over together at least, if that was said.
    rows_per_batch: Option<u64>,
    /// Rows in all; `None`: without end.
    rows_max: Option<u64>,
    seed: u64,
    /// Time of row 0 in ms since 1970; `None`: when the job starts.
    start_ms: Option<i64>,
    /// One for each column of the table.
    fields: Vec<FieldGenerator>,
    bad_input: BadInput,
}

impl DatagenOptions {
    /// Reads the options of a table with these columns.
    ///
    /// # Errors
    /// If a value is not accepted, or a column's type or bounds cannot be generated.
    pub fn read(reader: &mut OptionReader<'_>, schema: &Schema) -> Result<Self> {
        reader.refuse(&[("scan.parallelism", "all workers generate together: use --workers to say how many")]);
        let rows_per_second = reader.number("rows-per-second", 1, 1_000_000_000_000_u64)?.unwrap_or(10_000);
        let rows_per_batch = reader.number("rows-per-batch", 1, BLOCK_ROWS_MAX)?;
        let rows_asked = reader.number("number-of-rows", 1, i64::MAX as u64)?;
        let seed = reader.number("seed", 0, u64::MAX)?.unwrap_or(0);
        let start_ms =
            match reader.text("start-time") {
                None => None,
                Some(text) => Some(parse_start_ms(text).ok_or_else(|| {
                    reader.wrong_value("start-time", text, "a time such as '2024-01-31 12:00:00' (UTC)")
                })?),
            };
        let fields =
            schema.fields().iter().map(|field| FieldGenerator::read(reader, field)).collect::<Result<Vec<_>>>()?;
        let sequences = fields.iter().filter_map(FieldGenerator::rows_max);
        let rows_max = sequences.chain(rows_asked).min();
        let bad_input = BadInput::read_for_rows(reader)?;
        Ok(Self { rows_per_second, rows_per_batch, rows_max, seed, start_ms, fields, bad_input })
    }

    /// What becomes of rows that an expression refuses.
    #[must_use]
    pub fn bad_input(&self) -> &BadInput {
        &self.bad_input
    }

    /// Whether the rows come to an end.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.rows_max.is_some()
    }

    /// Starts generating `columns` of the table.
    ///
    /// # Errors
    /// If the helper thread cannot be started.
    pub fn open(
        &self,
        schema: &SchemaRef,
        columns: &[usize],
        read: &ReadOptions,
        bells: &Doorbells,
    ) -> Result<Arc<dyn Source>> {
        let shared = self.share(schema, columns, read, bells, true)?;
        let (weak, stop) = (Arc::downgrade(&shared), Arc::clone(&shared.stop));
        std::thread::Builder::new()
            .name("datagen-pace".to_owned())
            .spawn(move || ring_when_due(&weak, &stop))
            .map_err(|error| Error::connector(format!("cannot start a thread to pace datagen: {error}")))?;
        Ok(Arc::new(DatagenSource { shared }))
    }

    /// The same rows, all of them due at once: to look at some beforehand.
    ///
    /// # Errors
    /// None that data could cause.
    pub fn open_unpaced(
        &self,
        schema: &SchemaRef,
        columns: &[usize],
        read: &ReadOptions,
        bells: &Doorbells,
    ) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(DatagenSource { shared: self.share(schema, columns, read, bells, false)? }))
    }

    fn share(
        &self,
        schema: &SchemaRef,
        columns: &[usize],
        read: &ReadOptions,
        bells: &Doorbells,
        is_paced: bool,
    ) -> Result<Arc<Shared>> {
        let schema = Arc::new(schema.project(columns).map_err(|error| Error::internal(error.to_string()))?);
        let generator =
            Generator { options: self.clone(), columns: columns.to_vec(), schema, batch_rows: read.batch_rows.max(1) };
        let paced_rows = (self.rows_per_second / BLOCKS_PER_SECOND).clamp(1, BLOCK_ROWS_MAX);
        Ok(Arc::new(Shared {
            generator,
            is_paced,
            rows_gathered: self.rows_per_batch.unwrap_or(paced_rows),
            start: OnceLock::new(),
            next: Mutex::default(),
            is_drained: AtomicBool::new(false),
            bells: bells.clone(),
            stop: Arc::default(),
        }))
    }
}

/// The rows of a block: as a place, a row has its number.
#[derive(Debug)]
struct GeneratedRows {
    first: u64,
}

impl RowPlaces for GeneratedRows {
    fn locate(&self, rows: &[u32]) -> Vec<RowPlace> {
        let origin: Arc<str> = "datagen".into();
        let place = |row: &u32| RowPlace {
            origin: Arc::clone(&origin),
            offset: self.first + u64::from(*row),
            line: 0,
            record: Vec::new(),
        };
        rows.iter().map(place).collect()
    }
}

/// The rows, each a pure function of its number and the start.
struct Generator {
    options: DatagenOptions,
    columns: Vec<usize>,
    schema: SchemaRef,
    batch_rows: usize,
}

/// When a schedule starts: on the machine's clock, and in the time of events.
#[derive(Clone, Copy)]
struct Start {
    at: Instant,
    ms: i64,
}

/// A run of rows, and the number of the block that it is.
#[derive(Clone, Default)]
struct Block {
    index: u64,
    rows: Range<u64>,
}

impl Generator {
    fn rows_max(&self) -> u64 {
        self.options.rows_max.unwrap_or(u64::MAX)
    }

    /// When row `row` is due, counted from the start.
    fn due(&self, row: u64) -> Duration {
        Duration::from_nanos(per_second(row, 1_000_000_000, self.options.rows_per_second))
    }

    /// How many rows are due when `passed` has passed since the start.
    fn rows_due(&self, passed: Duration) -> u64 {
        // Row n is due n ÷ rate after the start, cut to a nanosecond, so that it is if n ÷ rate is below the next one.
        let rows = ((passed.as_nanos() + 1) * u128::from(self.options.rows_per_second)).div_ceil(1_000_000_000);
        u64::try_from(rows).unwrap_or(u64::MAX)
    }

    fn block(&self, Block { index, rows: Range { start: first, end } }: Block, start: Start) -> Result<SourceBlock> {
        let rows = (end - first) as usize;
        let times_ms: Vec<i64> = (first..end).map(|row| self.time_ms(row, start)).collect();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (&column, field) in self.columns.iter().zip(self.schema.fields()) {
            let random = Random::new(self.options.seed, &[column as u64]);
            arrays.push(self.options.fields[column].generate(field.data_type(), &random, first, &times_ms)?);
        }
        let bytes = arrays.iter().map(|array| array.get_buffer_memory_size() as u64).sum();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| Error::internal(format!("datagen made a wrong batch: {error}")))?;
        let batches = (0..rows)
            .step_by(self.batch_rows)
            .map(|offset| batch.slice(offset, self.batch_rows.min(rows - offset)))
            .collect();
        let places: Option<Box<dyn RowPlaces>> = Some(Box::new(GeneratedRows { first }));
        Ok(SourceBlock { index, batches, records: rows as u64, rejects: Rejects::default(), places, bytes })
    }

    /// When row `row` is due, as event time.
    fn time_ms(&self, row: u64, start: Start) -> i64 {
        let after = per_second(row, 1_000, self.options.rows_per_second);
        start.ms.saturating_add(i64::try_from(after).unwrap_or(i64::MAX))
    }
}

/// `row * unit / rate`, at most `u64::MAX`.
fn per_second(row: u64, unit: u64, rate: u64) -> u64 {
    // A division of 128 bits takes several times as long, and is needed for rows that nobody lives to see.
    row.checked_mul(unit).map_or_else(
        || u64::try_from(u128::from(row) * u128::from(unit) / u128::from(rate)).unwrap_or(u64::MAX),
        |product| product / rate,
    )
}

/// What the source, its readers and the pacing thread share. When the last of the former goes, the latter stops.
struct Shared {
    generator: Generator,
    /// Whether a row waits until it is due.
    is_paced: bool,
    /// Rows that have to be due before a block is handed over.
    rows_gathered: u64,
    /// Known when the first worker asks for rows: before that nobody could take them.
    start: OnceLock<Start>,
    /// The block that comes next, still without rows.
    next: Mutex<Block>,
    is_drained: AtomicBool,
    bells: Doorbells,
    stop: Arc<Stop>,
}

impl Shared {
    fn start(&self) -> Start {
        *self.start.get_or_init(|| {
            let ms = self.generator.options.start_ms.unwrap_or_else(|| Utc::now().timestamp_millis());
            Start { at: Instant::now(), ms }
        })
    }

    fn next(&self) -> MutexGuard<'_, Block> {
        // No holder panics, and a block is never left half changed.
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a block that starts with row `first` is due, counted from the start: with the last of the rows that are
    /// gathered for it, so that no row comes before its time. `None`: there is no such row.
    fn block_due(&self, first: u64) -> Option<Duration> {
        let rows_max = self.generator.rows_max();
        let last = first.saturating_add(self.rows_gathered).min(rows_max) - 1;
        (first < rows_max).then(|| self.generator.due(last))
    }

    /// When the next block is due.
    fn next_due(&self) -> Option<Instant> {
        let first = self.next().rows.start;
        Some(self.start().at + self.block_due(first)?)
    }

    /// Takes all rows that are due, if they are enough for a block.
    fn claim(&self) -> Claim {
        let start = self.start();
        let mut next = self.next();
        let first = next.rows.start;
        // Relaxed: nothing rides on the flag.
        let due = self.block_due(first).filter(|_| !self.is_drained.load(Ordering::Relaxed));
        let Some(due) = due else { return Claim::End };
        let mut end = u64::MAX;
        if self.is_paced {
            let passed = start.at.elapsed();
            if passed < due {
                return Claim::NotDue;
            }
            end = self.generator.rows_due(passed);
        }
        let end = end.min(first.saturating_add(BLOCK_ROWS_MAX)).min(self.generator.rows_max()).max(first + 1);
        let block = Block { index: next.index, rows: first..end };
        *next = Block { index: next.index + 1, rows: end..end };
        drop(next);
        if end == self.generator.rows_max() {
            // The other workers may sleep until a block is due: there will be none.
            self.bells.ring_all();
        }
        Claim::Block(block)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.set();
    }
}

enum Claim {
    Block(Block),
    NotDue,
    End,
}

/// Ends the pacing thread, also in the middle of its sleep.
#[derive(Default)]
struct Stop {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn set(&self) {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Sleeps for `time`; true if it was ended before.
    fn wait(&self, time: Duration) -> bool {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_set, _) =
            self.changed.wait_timeout_while(is_set, time, |is_set| !*is_set).unwrap_or_else(PoisonError::into_inner);
        *is_set
    }
}

/// Body of the pacing thread: rings all workers when the next block has been due for a while, and again while nobody takes
/// it.
fn ring_when_due(shared: &Weak<Shared>, stop: &Stop) {
    loop {
        let wait = {
            let Some(shared) = shared.upgrade() else { return };
            let Some(due) = shared.next_due() else { return };
            due.saturating_duration_since(Instant::now())
        };
        if stop.wait(wait + RING_AFTER) {
            return;
        }
        let Some(shared) = shared.upgrade() else { return };
        shared.bells.ring_all();
    }
}

struct DatagenSource {
    shared: Arc<Shared>,
}

impl Source for DatagenSource {
    fn reader(&self, _worker: WorkerId) -> Box<dyn SourceReader> {
        Box::new(DatagenReader { shared: Arc::clone(&self.shared), arrival: None })
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }

    fn drain(&self) {
        self.shared.is_drained.store(true, Ordering::Relaxed);
        self.shared.stop.set();
        self.shared.bells.ring_all();
    }
}

struct DatagenReader {
    shared: Arc<Shared>,
    /// Of the block that was given out last.
    arrival: Option<Arrival>,
}

impl SourceReader for DatagenReader {
    fn poll(&mut self) -> Result<SourceEvent> {
        match self.shared.claim() {
            Claim::Block(block) => {
                let (generator, start, taken) = (&self.shared.generator, self.shared.start(), Instant::now());
                let due = |row: u64| start.at + generator.due(row);
                let (first_due, last_due) = (due(block.rows.start), due(block.rows.end - 1));
                let from = self.shared.block_due(block.rows.start).map_or(last_due, |due| start.at + due).min(last_due);
                self.arrival = Some(Arrival { first_due, last_due, taken: Some(Taken { from, at: taken }) });
                generator.block(block, start).map(SourceEvent::Block)
            }
            Claim::NotDue => Ok(SourceEvent::Pending),
            Claim::End => Ok(SourceEvent::End),
        }
    }

    fn arrival(&self) -> Option<Arrival> {
        self.arrival.filter(|_| self.shared.is_paced)
    }

    fn wakes_at(&self) -> Option<Instant> {
        // Whoever takes this block meanwhile only makes the worker wake up for nothing.
        self.shared.next_due()
    }
}

/// `2024-01-31 12:00:00[.123]` or with a `T`, in UTC, as ms since 1970.
fn parse_start_ms(text: &str) -> Option<i64> {
    let text = text.trim().replace('T', " ");
    let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(time.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, TimestampMillisecondType};
    use arrow_schema::{DataType, Field, TimeUnit};
    use arrow_select::concat::concat_batches;

    use super::*;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("name", DataType::Utf8View, true),
            Field::new("price", DataType::Decimal128(10, 2), true),
            Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        ]))
    }

    fn options(pairs: &[(&str, &str)]) -> Result<DatagenOptions> {
        let map: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut reader = OptionReader::new("t", "datagen", &map, &|_, _| None);
        let options = DatagenOptions::read(&mut reader, &schema())?;
        reader.finish()?;
        Ok(options)
    }

    fn read_all(options: &DatagenOptions, columns: &[usize], batch_rows: usize, workers: usize) -> RecordBatch {
        let read = ReadOptions { batch_rows, block_bytes: 1, workers, kernels: Default::default() };
        let source = options.open(&schema(), columns, &read, &Doorbells::new(workers)).unwrap();
        let mut readers: Vec<_> = (0..workers).map(|worker| source.reader(WorkerId(worker as u16))).collect();
        let mut blocks = BTreeMap::new();
        let mut ended = 0;
        while ended < workers {
            ended = 0;
            for reader in &mut readers {
                match reader.poll().unwrap() {
                    SourceEvent::Block(block) => assert!(blocks.insert(block.index, block.batches).is_none()),
                    SourceEvent::Pending => std::thread::yield_now(),
                    SourceEvent::End => ended += 1,
                }
            }
        }
        assert!(blocks.keys().copied().eq(0..blocks.len() as u64), "blocks are numbered without a gap");
        let batches: Vec<RecordBatch> = blocks.into_values().flatten().collect();
        assert!(batches.iter().all(|batch| batch.num_rows() <= batch_rows));
        concat_batches(&batches[0].schema(), &batches).unwrap()
    }

    const FAST: (&str, &str) = ("rows-per-second", "1000000000");

    #[test]
    fn rows_do_not_depend_on_workers_batches_or_columns() {
        let start = ("start-time", "2024-01-31 12:00:00");
        let options = options(&[FAST, start, ("number-of-rows", "10000"), ("fields.name.null-rate", "0.25")]).unwrap();
        let whole = read_all(&options, &[0, 1, 2, 3], 4_096, 1);
        assert_eq!(whole.num_rows(), 10_000);
        assert_eq!(read_all(&options, &[0, 1, 2, 3], 7, 3), whole);
        assert_eq!(read_all(&options, &[2], 4_096, 2).column(0), whole.column(2));
        assert_eq!(read_all(&options, &[], 4_096, 2).num_rows(), 10_000);
        let nulls = whole.column(1).null_count();
        assert!((2_200..2_800).contains(&nulls), "{nulls}");
    }

    #[test]
    fn rows_do_not_depend_on_how_many_are_gathered() {
        let start = ("start-time", "2024-01-31 12:00:00");
        let of = |batch| {
            options(&[
                FAST,
                start,
                ("number-of-rows", "5000"),
                ("rows-per-batch", batch),
                ("fields.id.null-rate", "0.5"),
            ])
        };
        let whole = read_all(&of("4096").unwrap(), &[0, 1, 2, 3], 4_096, 1);
        for batch in ["1", "7", "1000"] {
            assert_eq!(read_all(&of(batch).unwrap(), &[0, 1, 2, 3], 4_096, 2), whole, "{batch}");
        }
    }

    #[test]
    fn who_has_fallen_behind_takes_all_rows_that_are_due() {
        let options = options(&[("rows-per-second", "1000"), ("rows-per-batch", "1")]).unwrap();
        let read = ReadOptions { batch_rows: 4_096, block_bytes: 1, workers: 1, kernels: Default::default() };
        let source = options.open(&schema(), &[0], &read, &Doorbells::new(1)).unwrap();
        let mut reader = source.reader(WorkerId(0));
        // The schedule starts with this call, however long ago the source was opened.
        std::thread::sleep(Duration::from_millis(5));
        let SourceEvent::Block(first) = reader.poll().unwrap() else { panic!("the first row is due at once") };
        let mut rows = first.records;
        let start = reader.arrival().unwrap().first_due;
        std::thread::sleep(Duration::from_millis(30));
        let SourceEvent::Block(second) = reader.poll().unwrap() else { panic!("rows are due") };
        rows += second.records;
        assert_eq!((second.index, rows > 30), (1, true), "{rows}");
        let Arrival { first_due, last_due, taken } = reader.arrival().unwrap();
        let taken = taken.unwrap();
        let due = |row: u64| start + Duration::from_millis(row);
        assert_eq!((first_due, last_due), (due(first.records), due(rows - 1)));
        // It could have been taken with its first row.
        assert_eq!(taken.from, first_due);
        assert!(taken.at >= last_due, "{taken:?}");
    }

    #[test]
    fn rows_are_due_when_their_number_says_so() {
        for (row, unit, rate, expected) in [
            (0, 1_000_000_000, 3, 0),
            (1, 1_000_000_000, 3, 333_333_333),
            (u64::MAX, 1_000_000_000, 1_000_000_000, u64::MAX),
            (u64::MAX, 1_000_000_000, 1, u64::MAX),
            (u64::MAX, 1_000, 500_000, u64::MAX / 500),
        ] {
            assert_eq!(per_second(row, unit, rate), expected, "row {row} at {rate}");
        }
        let options = options(&[("rows-per-second", "3")]).unwrap();
        let columns = vec![0];
        let generator = Generator { options, columns, schema: schema(), batch_rows: 1 };
        for row in 0..1_000 {
            let due = generator.due(row);
            assert_eq!(generator.rows_due(due), row + 1);
            assert_eq!(generator.rows_due(due.saturating_sub(Duration::from_nanos(1))), row.max(1));
        }
    }

    #[test]
    fn another_seed_gives_other_rows() {
        let of = |seed| options(&[FAST, ("number-of-rows", "10"), ("seed", seed)]).unwrap();
        assert_ne!(read_all(&of("1"), &[0], 4_096, 1), read_all(&of("2"), &[0], 4_096, 1));
    }

    #[test]
    fn sequence_ends_the_source_and_keeps_its_order() {
        let options =
            options(&[FAST, ("fields.id.kind", "sequence"), ("fields.id.start", "-5"), ("fields.id.end", "4999")])
                .unwrap();
        assert!(options.is_bounded());
        let rows = read_all(&options, &[0], 4_096, 2);
        assert!(rows.column(0).as_primitive::<Int64Type>().values().iter().copied().eq(-5..5_000));
    }

    #[test]
    fn times_follow_the_schedule_less_the_past() {
        let start = ("start-time", "2024-01-31 12:00:00.500");
        let rate = ("rows-per-second", "100000");
        let options = options(&[start, rate, ("number-of-rows", "1000"), ("fields.ts.max-past", "2 s")]).unwrap();
        let rows = read_all(&options, &[3], 4_096, 1);
        let start_ms = parse_start_ms("2024-01-31 12:00:00.500").unwrap();
        for (row, time) in rows.column(0).as_primitive::<TimestampMillisecondType>().values().iter().enumerate() {
            let due = start_ms + row as i64 / 100;
            assert!((due - 2_000..=due).contains(time), "row {row}: {time} against {due}");
        }
    }

    #[test]
    fn slow_source_waits_rings_and_drains() {
        let options = options(&[("rows-per-second", "1")]).unwrap();
        let read = ReadOptions { batch_rows: 10, block_bytes: 1, workers: 1, kernels: Default::default() };
        let bells = Doorbells::new(1);
        let source = options.open(&schema(), &[0], &read, &bells).unwrap();
        let mut reader = source.reader(WorkerId(0));
        assert!(matches!(reader.poll().unwrap(), SourceEvent::Block(block) if block.records >= 1));
        assert!(matches!(reader.poll().unwrap(), SourceEvent::Pending));
        bells.bell(WorkerId(0)).take();
        source.drain();
        assert!(bells.bell(WorkerId(0)).take(), "who sleeps until the next row must learn that there is none");
        assert!(matches!(reader.poll().unwrap(), SourceEvent::End));
    }

    #[test]
    fn sleeping_worker_is_rung_for_each_block() {
        let options = options(&[("rows-per-second", "100")]).unwrap();
        let read = ReadOptions { batch_rows: 10, block_bytes: 1, workers: 1, kernels: Default::default() };
        let bells = Doorbells::new(1);
        let source = options.open(&schema(), &[0], &read, &bells).unwrap();
        let mut reader = source.reader(WorkerId(0));
        let mut blocks = 0;
        while blocks < 4 {
            bells.bell(WorkerId(0)).take();
            match reader.poll().unwrap() {
                SourceEvent::Block(block) => {
                    assert_eq!((block.index, block.records >= 2), (blocks, true), "{}", block.records);
                    blocks += 1;
                }
                // A limit that would fail the test by hanging it.
                SourceEvent::Pending => bells.bell(WorkerId(0)).wait(Duration::from_secs(3_600)),
                SourceEvent::End => panic!("it has no end"),
            }
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        for (pairs, message) in [
            (vec![("rows-per-second", "0")], "cannot be '0'"),
            (vec![("fields.id.kind", "serial")], "cannot be 'serial'"),
            (vec![("fields.id.kind", "sequence")], "needs option 'fields.id.start'"),
            (vec![("fields.ts.kind", "sequence")], "cannot be 'sequence'"),
            (vec![("fields.nothere.min", "1")], "is not known"),
            (vec![("fields.id.min", "5"), ("fields.id.max", "4")], "is below"),
            (vec![("fields.price.max", "1.234")], "cannot be '1.234'"),
            (vec![("fields.id.null-rate", "1.5")], "cannot be '1.5'"),
            (vec![("fields.id.length", "3")], "is not known"),
            (vec![("number-of-row", "3")], "is not known"),
        ] {
            let error = options(&pairs).unwrap_err();
            assert!(error.message.contains(message), "{pairs:?}: {}", error.message);
        }
    }
}
