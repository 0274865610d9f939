//! Where the time of a row goes, stage by stage, on one worker: nanoseconds against what prototypes needed for the same.
//!
//! `cargo run --release -p thalweg-bench -- stages [--rounds N] [--small]`. Reading, indexing and decoding are the engine's
//! own source over a file of trades in the page cache; keys, groups and aggregates are its kernels and its operators over
//! batches in memory. The rows of `in memory` are the end-to-end rate without any text.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg::connect::{ReadOptions, SourceEvent};
use thalweg::job::JobOptions;
use thalweg::plan::{Node, NodeOp, Table};
use thalweg::sql::{Outcome, Session, SessionOptions};
use thalweg_operators::kernels::Kernels;
use thalweg_runtime::state::StrategyName;
use thalweg_runtime::{Doorbells, Fault, WorkerId};

use crate::cell::{CellPlan, Entry, Rounds, measure};
use crate::conditions::Conditions;
use crate::contender::Contender;
use crate::kernels;
use crate::trades::Trades;
use crate::workload::{Distribution, Workload};

/// Nanoseconds that prototypes of each stage took for a row of the seed query, alone on one core of the machine of
/// docs/performance.md: 128 KiB of text at a time, batches in the caches, AVX-512.
mod bound {
    pub const READ: f64 = 2.6;
    pub const INDEX: f64 = 1.9;
    pub const DECODE: f64 = 6.1;
    pub const KEYS: f64 = 2.2;
    pub const FIND: f64 = 1.6;
    /// One kernel for each aggregate; 0.8 fused.
    pub const UPDATE: f64 = 1.9;
    pub const WINDOW: f64 = 0.5;
    /// Results of 200 groups a minute: next to nothing.
    pub const EMIT: f64 = 0.02;
    /// A batch of rows from one core to another, where rows are what is exchanged.
    pub const EXCHANGE: f64 = 1.5;
    /// Keys, groups, update and window where nearly every row makes a group, and making the rows of the result.
    pub const FOLD_MANY: f64 = 15.3;
    pub const EMIT_MANY: f64 = 3.9;
    pub const MEMORY: f64 = 4.5;
}

/// What to run.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct StagesArguments {
    /// Runs of each stage; the median counts, of kernels the best
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// A few rows: does it run, and are the answers right?
    #[arg(long)]
    small: bool,
}

/// Times all stages and prints them.
///
/// # Errors
/// If a file cannot be made or read, rows are missing, or an answer is wrong.
pub fn run(arguments: StagesArguments) -> Result<(), Fault> {
    let rounds = usize::from(if arguments.small { 1 } else { arguments.rounds });
    let rows = if arguments.small { 100_000 } else { 4_000_000 };
    println!("{}", Conditions::now().line());
    println!("instructions: {}; {rounds} rounds; ns a row on one worker\n", Kernels::Simd.instructions());
    println!("{:34} {:>8} {:>8} {:>6}", "stage, 200 keys", "ns", "bound", "×");
    let text = text(rows, rounds)?;
    line("read", text.read, bound::READ);
    line("index", text.index, bound::INDEX);
    line("decode, five columns", text.decode, bound::DECODE);
    let [keys, find, update] = kernels::best(200, rounds, if arguments.small { 8 } else { 128 })?;
    line("keys and hash", keys, bound::KEYS);
    line("find groups", find, bound::FIND);
    line("update, four aggregates", update, bound::UPDATE);
    let few = in_memory(200, 1, rows as u64, rounds)?;
    line("window, and what is around kernels", (few.fold - keys - find - update).max(0.0), bound::WINDOW);
    line("emit", few.emit, bound::EMIT);
    line("steps, promises, merge", few.rest, 0.0);
    println!("\n{:34} {:>8} {:>8} {:>6}", "stage, 1 M keys", "ns", "bound", "×");
    let many = in_memory(1_000_000, 1, rows as u64, rounds)?;
    let many_on_two = in_memory(1_000_000, 2, rows as u64, rounds)?;
    line("keys to window", many.fold, bound::FOLD_MANY);
    line("emit", many.emit, bound::EMIT_MANY);
    line("steps, promises, merge", many.rest, 0.0);
    line("exchange, two workers", many_on_two.exchange, bound::EXCHANGE);
    println!("\n{:34} {:>8} {:>8} {:>6} {:>10}", "in memory", "ns", "bound", "×", "M rows/s");
    let few_on_two = in_memory(200, 2, rows as u64, rounds)?;
    for (name, memory, bound) in [
        ("200 keys, 1 worker", &few, Some(bound::MEMORY)),
        ("200 keys, 2 workers", &few_on_two, None),
        ("1 M keys, 1 worker", &many, None),
        ("1 M keys, 2 workers", &many_on_two, None),
    ] {
        let ns = 1e9 / memory.rate;
        let bound = bound.map_or_else(|| " ".repeat(15), |bound| format!("{bound:>8.2} {:>6.2}", ns / bound));
        println!("{name:34} {ns:>8.2} {bound} {:>10.1}", memory.rate / 1e6);
    }
    Ok(())
}

fn line(name: &str, ns: f64, bound: f64) {
    if bound > 0.0 {
        println!("{name:34} {ns:>8.2} {bound:>8.2} {:>6.2}", ns / bound);
    } else {
        println!("{name:34} {ns:>8.2}");
    }
}

/// Nanoseconds of a row of text, each without the stage before.
struct Text {
    read: f64,
    index: f64,
    decode: f64,
}

/// Reads a file of trades: into a buffer; then with the engine's source, without a column and with all of them.
fn text(rows: usize, rounds: usize) -> Result<Text, Fault> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("trades.csv");
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
    writeln!(file, "trader_id,symbol,price,quantity,trade_time")?;
    Trades::new(20, 10).take(rows).try_for_each(|trade| trade.write(&mut file))?;
    file.into_inner().map_err(|error| error.into_error())?;
    let table = table(&path)?;
    let (mut read, mut index, mut decode) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=rounds {
        let row = |time: Duration| time.as_secs_f64() * 1e9 / rows as f64;
        read.push(row(read_bytes(&path)?));
        index.push(row(scan(&table, &[], rows)?));
        decode.push(row(scan(&table, &[0, 1, 2, 3, 4], rows)?));
    }
    // The first round has brought the file into the page cache.
    let [read, index, decode] = [read, index, decode].map(|times| median(times[1..].to_vec()));
    Ok(Text { read, index: index - read, decode: decode - index })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn read_bytes(path: &Path) -> Result<Duration, Fault> {
    let (file, mut block, mut offset) = (File::open(path)?, vec![0; JobOptions::default().block_bytes], 0);
    let start = Instant::now();
    loop {
        match file.read_at(&mut block, offset)? {
            0 => return Ok(start.elapsed()),
            read => offset += black_box(read) as u64,
        }
        black_box(&block);
    }
}

/// The table of a script, as the engine has read its declaration.
fn table(path: &Path) -> Result<Arc<Table>, Fault> {
    let sql = format!(
        "CREATE TABLE trades (
           trader_id STRING, symbol STRING, price DOUBLE, quantity BIGINT, trade_time TIMESTAMP(3)
         ) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}');
         SELECT * FROM trades;",
        path.display()
    );
    let mut session = Session::new(SessionOptions::default());
    let script = session.parse(&sql).map_err(|errors| errors[0].clone())?;
    for statement in &script.statements {
        if let Outcome::Job(plan) = session.execute(statement)? {
            return scanned(&plan.pipelines[0].root).ok_or_else(|| "the plan scans no table".into());
        }
    }
    Err("the script has no query".into())
}

fn scanned(node: &Node) -> Option<Arc<Table>> {
    match &node.op {
        NodeOp::Scan { table, .. } => Some(Arc::clone(table)),
        NodeOp::Project { input, .. } => scanned(input),
        _ => None,
    }
}

/// Reads these columns of all rows, on this thread.
fn scan(table: &Table, columns: &[usize], rows: usize) -> Result<Duration, Fault> {
    let options = JobOptions::default();
    let read = ReadOptions {
        batch_rows: options.batch_rows,
        block_bytes: options.block_bytes,
        workers: 1,
        kernels: Kernels::Simd,
    };
    let start = Instant::now();
    let source = table.connector.open_source(table, columns, &read, &Doorbells::new(1))?;
    let mut reader = source.reader(WorkerId(0));
    let mut seen = 0;
    loop {
        match reader.poll()? {
            SourceEvent::Block(block) => {
                seen += block.batches.iter().map(|batch| black_box(batch).num_rows()).sum::<usize>()
            }
            SourceEvent::Pending => std::thread::yield_now(),
            SourceEvent::End => break,
        }
    }
    let elapsed = start.elapsed();
    if seen == rows { Ok(elapsed) } else { Err(format!("{seen} rows were read of {rows}").into()) }
}

/// What batches in memory came to.
struct Memory {
    /// Rows per second, unmetered.
    rate: f64,
    /// Nanoseconds of all workers for a row, metered.
    fold: f64,
    emit: f64,
    exchange: f64,
    rest: f64,
}

/// The seed query over batches in memory, as a job runs it: a source, a merge, and rows of the result.
fn in_memory(keys: u32, workers: usize, rows: u64, rounds: usize) -> Result<Memory, Fault> {
    const BATCH_ROWS: usize = 4_000;
    let workload = Workload {
        keys,
        distribution: Distribution::Uniform,
        rows,
        // Forty batches of 64 bytes a row: more than the caches of one core hold, less than what cores share.
        pool_rows: if keys > 1_000 { rows.min(1_000_000) } else { 40 * BATCH_ROWS as u64 }.min(rows),
        batch_rows: BATCH_ROWS,
        is_prefilled: false,
    };
    let contenders = [false, true]
        .map(|is_metered| Contender::shared(StrategyName::OwnedShards, is_metered, Kernels::Simd))
        .to_vec();
    let limit = Duration::from_secs(20);
    let plan =
        CellPlan { name: format!("{keys} keys"), workload, producers: workers, contenders, repetitions: 3, limit };
    let rounds = Rounds { min: rounds, max: rounds, budget: Duration::ZERO };
    let cell = measure(&plan, rounds, &mut |_| ())?;
    let [plain, metered] = &cell.entries[..] else { return Err("two contenders".into()) };
    let Some(parts) = metered.parts else { return Err("the second is metered".into()) };
    if [plain, metered].into_iter().any(|entry: &Entry| entry.is_cut) {
        return Err("a run took longer than its limit".into());
    }
    Ok(Memory {
        rate: plain.rate.median,
        fold: parts.fold,
        emit: parts.emit,
        exchange: parts.channel,
        rest: parts.wait + parts.clone + parts.merge + parts.rest,
    })
}
