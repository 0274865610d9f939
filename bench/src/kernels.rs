//! Kernels of a GROUP BY, stage by stage: nanoseconds for a row, scalar against vector instructions.
//!
//! Two string keys and four aggregates: COUNT(*), SUM of integers, AVG and SUM of doubles. Kernels take turns on the same
//! batch, so that both find it in the caches, as a batch that was just decoded is; at the end their tables must be equal
//! to the last bit.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema};
use thalweg::random::Random;
use thalweg_operators::aggregate::{GroupWords, Layout, UpdateScratch, merge, update};
use thalweg_operators::batch::{Ordinal, Ordinals};
use thalweg_operators::kernels::Kernels;
use thalweg_operators::key::{LongKeys, PackedKeys, WINDOW};
use thalweg_operators::spec::{AggregateFunction as F, AggregateSpec, GroupSpec, KeyColumn};
use thalweg_operators::table::{Fresh, GroupTable, Keys};
use thalweg_runtime::Fault;

use crate::conditions::Conditions;

/// Rows of a batch: what a block of 128 KiB holds.
const BATCH_ROWS: usize = 2048;
/// Groups that are merged in each round.
const MERGED_GROUPS: usize = 100 * BATCH_ROWS;

/// What is timed.
const STAGES: [&str; 5] = ["pack+hash", "assign", "update", "merge: assign", "merge"];

/// Nanoseconds of each stage.
type Times = [f64; STAGES.len()];

/// What to run.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct KernelsArguments {
    /// Rounds over all batches
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A few batches: does it run, and do the kernels agree?
    #[arg(long)]
    small: bool,
}

/// Times all stages and prints them.
///
/// # Errors
/// If the kernels disagree.
pub fn run(arguments: KernelsArguments) -> Result<(), Fault> {
    let (rounds, is_small) = (arguments.rounds as usize, arguments.small);
    println!("{}", Conditions::now().line());
    println!("instructions: {}; {rounds} rounds; ns a row: best (median)", Kernels::Simd.instructions());
    println!("{:>9} {:8} {:7}{}", "keys", "spread", "kernels", STAGES.map(|stage| format!("{stage:>20}")).concat());
    for keys in if is_small { [1, 200, 5_000] } else { [200, 10_000, 1_000_000] } {
        for spread in [Spread::Uniform, Spread::Zipf] {
            compare(keys, spread, rounds, if is_small { 8 } else { 128.max(keys / 2_000) })?;
        }
    }
    Ok(())
}

/// Nanoseconds for a row of packing and hashing, of finding groups and of updating them, with vector instructions: the best of
/// `rounds` over keys that come all alike.
///
/// # Errors
/// If the kernels disagree.
pub fn best(keys: usize, rounds: usize, batch_count: usize) -> Result<[f64; 3], Fault> {
    let Compared { simd, .. } = times(keys, Spread::Uniform, rounds, batch_count)?;
    Ok([0, 1, 2].map(|stage| simd.iter().map(|times| times[stage]).fold(f64::INFINITY, f64::min)))
}

/// How often each key comes.
#[derive(Clone, Copy, Debug)]
enum Spread {
    Uniform,
    /// Key *i* about 1/*i* as often as the first.
    Zipf,
}

/// Times of all rounds.
struct Compared {
    groups: usize,
    scalar: Vec<Times>,
    simd: Vec<Times>,
}

/// Times both kinds of kernels, and compares the tables that they leave.
fn times(keys: usize, spread: Spread, rounds: usize, batch_count: usize) -> Result<Compared, Fault> {
    let mut random = Random::new(42, &[]);
    let batches: Vec<RecordBatch> =
        (0..batch_count).map(|_| batch(keys, spread, &mut random)).collect::<Result<_, Fault>>()?;
    let mut sides = [Side::new(Kernels::Scalar)?, Side::new(Kernels::Simd)?];
    let mut times: [Vec<Times>; 2] = [Vec::new(), Vec::new()];
    // The first round makes the groups.
    for round in 0..=rounds {
        let mut sums = [[0.0; STAGES.len()]; 2];
        for batch in &batches {
            warm(batch);
            for (side, sum) in sides.iter_mut().zip(&mut sums) {
                side.fold(batch, sum)?;
            }
        }
        for (side, sum) in sides.iter_mut().zip(&mut sums) {
            let groups = side.merge(sum)?;
            let rows = (batch_count * BATCH_ROWS) as f64;
            let per_row = [rows, rows, rows, groups as f64, groups as f64];
            sum.iter_mut().zip(per_row).for_each(|(time, rows)| *time /= rows);
        }
        if round > 0 {
            times.iter_mut().zip(sums).for_each(|(all, sum)| all.push(sum));
        }
    }
    let [scalar, simd] = &sides;
    let is_same = |a: &GroupTable, b: &GroupTable| a.rows() == b.rows() && a.hashes() == b.hashes();
    if !is_same(&scalar.table, &simd.table) || !is_same(&scalar.merged, &simd.merged) {
        return Err(format!("{keys} keys, {spread:?}: scalar and vector kernels disagree").into());
    }
    let groups = scalar.table.groups();
    let [scalar, simd] = times;
    Ok(Compared { groups, scalar, simd })
}

fn compare(keys: usize, spread: Spread, rounds: usize, batch_count: usize) -> Result<(), Fault> {
    let Compared { groups, scalar, simd } = times(keys, spread, rounds, batch_count)?;
    for (kernels, times) in [(Kernels::Scalar, scalar), (Kernels::Simd, simd)] {
        let stage = |stage: usize| {
            let mut times: Vec<f64> = times.iter().map(|times| times[stage]).collect();
            times.sort_by(f64::total_cmp);
            format!("{:>11.2} ({:6.2})", times[0], times[times.len() / 2])
        };
        let stages: String = (0..STAGES.len()).map(stage).collect();
        println!("{groups:>9} {:8} {:7}{stages}", format!("{spread:?}"), kernels.name());
    }
    Ok(())
}

/// Brings a batch to where a batch is that was just decoded.
fn warm(batch: &RecordBatch) {
    for column in batch.columns() {
        for buffer in column.to_data().buffers() {
            black_box(buffer.iter().fold(0_u8, |all, byte| all ^ byte));
        }
    }
}

/// One of the two that are compared.
struct Side {
    kernels: Kernels,
    layout: Layout,
    table: GroupTable,
    /// Takes in the groups of `table` again and again.
    merged: GroupTable,
    packed: PackedKeys,
    ids: Vec<u32>,
    fresh: Fresh,
    scratch: UpdateScratch,
}

impl Side {
    fn new(kernels: Kernels) -> Result<Self, Fault> {
        let layout = Layout::new(&spec(), &schema(), kernels)?;
        let (table, merged) = (layout.table(), layout.table());
        let (packed, ids, scratch) = (PackedKeys::default(), Vec::new(), UpdateScratch::default());
        Ok(Self { kernels, layout, table, merged, packed, ids, fresh: Fresh::default(), scratch })
    }

    fn fold(&mut self, batch: &RecordBatch, times: &mut Times) -> Result<(), Fault> {
        let key_columns = [batch.column(0), batch.column(1)];
        let start = Instant::now();
        self.packed.pack(&key_columns, batch.num_rows(), self.kernels)?;
        let packed = Instant::now();
        let keys =
            Keys { cells: &self.packed.cells, stride: 4, hashes: &self.packed.hashes, long: None::<NoLongStrings> };
        self.table.assign(&keys, &mut self.ids)?;
        let assigned = Instant::now();
        let ordinals = Ordinals::Run(Ordinal::of_row(0));
        update(&self.layout, self.table.words_mut(), &mut [], (batch, &ordinals), &self.ids, &mut self.scratch)?;
        let updated = Instant::now();
        for (time, span) in times.iter_mut().zip([packed - start, assigned - packed, updated - assigned]) {
            *time += span.as_secs_f64() * 1e9;
        }
        Ok(())
    }

    /// Merges groups of the table as they would come from another worker; returns their number.
    fn merge(&mut self, times: &mut Times) -> Result<usize, Fault> {
        let stride = self.table.stride();
        let groups = self.table.groups().min(MERGED_GROUPS);
        // No sum wraps and nothing is NULL, so there is nothing beside the rows.
        let rows = &self.table.rows()[..groups * stride];
        let cold = self.table.words().cold;
        let repeats = (MERGED_GROUPS / groups).max(1);
        for _ in 0..repeats {
            for (rows, hashes) in rows.chunks(stride * BATCH_ROWS).zip(self.table.hashes().chunks(BATCH_ROWS)) {
                let start = Instant::now();
                let keys = Keys { cells: rows, stride, hashes, long: None::<NoLongStrings> };
                self.merged.assign_rows(&keys, &mut self.ids, &mut self.fresh)?;
                let assigned = Instant::now();
                let from = GroupWords { rows, stride, cold };
                merge(&self.layout, &mut self.merged.words_mut(), from, &self.ids, &self.fresh);
                times[3] += (assigned - start).as_secs_f64() * 1e9;
                times[4] += assigned.elapsed().as_secs_f64() * 1e9;
            }
        }
        Ok(groups * repeats)
    }
}

/// All keys are short.
struct NoLongStrings;

impl LongKeys for NoLongStrings {
    fn bytes(&self, _row: usize, _column: usize) -> &[u8] {
        &[]
    }

    fn windows<'a>(&'a self, _first: usize, _column: usize, windows: &mut [Option<&'a [u8; WINDOW]>]) {
        windows.fill(None);
    }
}

fn schema() -> Arc<Schema> {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        field("trader", DataType::Utf8View),
        field("symbol", DataType::Utf8View),
        field("price", DataType::Float64),
        field("quantity", DataType::Int64),
        field("value", DataType::Float64),
    ]))
}

fn spec() -> GroupSpec {
    let call = |function: F, argument: Option<usize>, input_type: DataType, output_type: DataType| {
        let name = format!("{function:?}");
        AggregateSpec { function, argument, input_type, filter: None, distinct: false, output_type, name }
    };
    GroupSpec {
        keys: [0, 1].map(|column| KeyColumn { column, data_type: DataType::Utf8View }).to_vec(),
        aggregates: vec![
            call(F::Count, None, DataType::Null, DataType::Int64),
            call(F::Sum, Some(3), DataType::Int64, DataType::Int64),
            call(F::Avg, Some(2), DataType::Float64, DataType::Float64),
            call(F::Sum, Some(4), DataType::Float64, DataType::Float64),
        ],
        window: None,
        is_global: false,
    }
}

fn batch(keys: usize, spread: Spread, random: &mut Random) -> Result<RecordBatch, Fault> {
    let mut key = || {
        let unit = random.unit();
        match spread {
            Spread::Uniform => (unit * keys as f64) as usize,
            Spread::Zipf => ((keys as f64 + 1.0).powf(unit) as usize).min(keys) - 1,
        }
    };
    let keys: Vec<usize> = (0..BATCH_ROWS).map(|_| key()).collect();
    let quantities: Vec<i64> = keys.iter().map(|_| random.below(1_000) as i64).collect();
    let prices: Vec<f64> = keys.iter().map(|_| random.below(100_000) as f64 / 7.0).collect();
    let values: Vec<f64> = prices.iter().zip(&quantities).map(|(price, &quantity)| price * quantity as f64).collect();
    let traders: StringViewArray = keys.iter().map(|key| Some(format!("T{:07}", key / 7))).collect();
    let symbols: StringViewArray = keys.iter().map(|key| Some(format!("SYM{}", key % 7))).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(traders),
        Arc::new(symbols),
        Arc::new(Float64Array::from(prices)),
        Arc::new(Int64Array::from(quantities)),
        Arc::new(Float64Array::from(values)),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
