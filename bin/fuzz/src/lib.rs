//! What the fuzz targets share: a scratch file, a job over it, and what must hold whatever came out.
//!
//! A target fails by a panic: the engine's own, or that of an assertion here. An error of the user's or of the world's is
//! a good outcome; an internal error is a bug.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use thalweg::connect::bad_input::Reject;
use thalweg::connect::{Doorbells, ReadOptions, SourceEvent};
use thalweg::error::{Error, Kind};
use thalweg::job::{self, Account, JobOptions, Pin};
use thalweg::plan::{NodeOp, Table};
use thalweg::sql::{Outcome, Session, SessionOptions};
use thalweg_runtime::WorkerId;

thread_local! {
    static TABLES: RefCell<HashMap<String, Arc<Table>>> = RefCell::default();
    static SCRATCH: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

/// A file in a directory of this thread's own, in memory where the system has such a place.
pub fn scratch_file(name: &str, bytes: &[u8]) -> PathBuf {
    SCRATCH.with(|scratch| {
        let directory = scratch.get_or_init(|| {
            let in_memory = Path::new("/dev/shm");
            let made = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
            made.expect("a temporary directory can be made")
        });
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("the scratch file can be written");
        path
    })
}

/// How a job is run: none of it may show in what comes out.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub workers: usize,
    pub batch_rows: usize,
    pub block_bytes: usize,
}

impl Way {
    /// One worker, and blocks that hold any input of a fuzzer.
    pub const PLAIN: Self = Self { workers: 1, batch_rows: 4096, block_bytes: 1 << 17 };
}

/// Runs statements of which the last is a SELECT.
///
/// # Panics
/// On an internal error, and if the account does not balance.
pub fn run(sql: &str, way: Way) -> Result<(RecordBatch, Account), Error> {
    let mut session = Session::new(SessionOptions::default());
    let script = session.parse(sql).map_err(|errors| sound(errors.into_iter().next().expect("there is an error")))?;
    let options = JobOptions {
        workers: way.workers,
        batch_rows: way.batch_rows,
        block_bytes: way.block_bytes,
        pin: Pin::Off,
        ..JobOptions::default()
    };
    let mut result = None;
    for statement in &script.statements {
        if let Outcome::Job(plan) = session.execute(statement).map_err(sound)? {
            let schema = plan.pipelines[0].root.schema.clone();
            let (batches, account) = job::collect(plan, &options).map_err(sound)?;
            account.check().expect("the account balances");
            let rows = concat_batches(&schema, &batches).expect("batches of one job have one schema");
            result = Some((rows, account));
        }
    }
    Ok(result.expect("the last statement is a SELECT"))
}

/// The error, unless it is ours.
///
/// # Panics
/// If it is.
pub fn sound(error: Error) -> Error {
    assert_ne!(error.kind, Kind::Internal, "{error}");
    error
}

/// What came of a file: the rows, the refused records, and how many there were of both.
type Read = (RecordBatch, Vec<Reject>, u64);

/// Reads the file of a table in two ways, which must come to the same.
///
/// # Panics
/// If they do not, if a record is in no account, or on an internal error.
pub fn read_in_two_ways(ddl: &str, way: Way) {
    let table = table(ddl);
    match (read(&table, Way::PLAIN), read(&table, way)) {
        (Ok((rows, rejects, records)), Ok((other_rows, other_rejects, other_records))) => {
            assert_eq!(records, other_records, "{way:?}");
            assert_eq!(rejects, other_rejects, "{way:?}");
            // By text: NaN equals nothing, itself included.
            assert_eq!(format!("{rows:?}"), format!("{other_rows:?}"), "{way:?}");
        }
        (Err(error), Err(other)) => assert_eq!(error.message, other.message, "{way:?}"),
        (read, other) => panic!("{way:?}: {:?} against {:?}", read.map(|_| ()), other.map(|_| ())),
    }
}

/// The table that a CREATE TABLE declares; made once for each text, since planning takes longer than reading.
fn table(ddl: &str) -> Arc<Table> {
    TABLES.with_borrow_mut(|tables| {
        let made = tables.entry(ddl.to_owned()).or_insert_with(|| {
            let mut session = Session::new(SessionOptions::default());
            let script = session.parse(&format!("{ddl};\nSELECT * FROM t")).expect("the statements parse");
            let mut plan = None;
            for statement in &script.statements {
                if let Outcome::Job(job) = session.execute(statement).expect("the table is declared") {
                    plan = Some(job);
                }
            }
            let plan = plan.expect("the SELECT is a job");
            let mut node = &plan.pipelines[0].root;
            loop {
                node = match &node.op {
                    NodeOp::Scan { table, .. } => return Arc::clone(table),
                    NodeOp::Project { input, .. } => input,
                    other => panic!("SELECT * is no more than a scan: {other:?}"),
                };
            }
        });
        Arc::clone(made)
    })
}

/// All of a table's file, its readers polled in turn.
///
/// # Errors
/// The first of the readers'.
///
/// # Panics
/// On an internal error, and if a record is neither a row nor a reject.
pub fn read(table: &Table, way: Way) -> Result<Read, Error> {
    let bells = Doorbells::new(way.workers);
    let options = ReadOptions {
        batch_rows: way.batch_rows,
        block_bytes: way.block_bytes,
        workers: way.workers,
        kernels: Default::default(),
    };
    let columns: Vec<usize> = (0..table.schema.fields().len()).collect();
    let source = table.connector.open_source(table, &columns, &options, &bells).map_err(sound)?;
    let mut readers: Vec<_> = (0..way.workers).map(|worker| source.reader(WorkerId(worker as u16))).collect();
    let mut blocks = Vec::new();
    while !readers.is_empty() {
        let mut is_idle = true;
        let mut ended = Vec::new();
        for (number, reader) in readers.iter_mut().enumerate() {
            match reader.poll().map_err(sound)? {
                SourceEvent::Block(block) => {
                    blocks.push(block);
                    is_idle = false;
                }
                SourceEvent::Pending => {}
                SourceEvent::End => ended.push(number),
            }
        }
        is_idle &= ended.is_empty();
        ended.into_iter().rev().for_each(|number| drop(readers.remove(number)));
        if is_idle {
            // A thread decompresses.
            std::thread::yield_now();
        }
    }
    blocks.sort_by_key(|block| block.index);
    let (mut batches, mut rejects, mut records) = (Vec::new(), Vec::new(), 0);
    for block in blocks {
        records += block.records;
        batches.extend(block.batches);
        rejects.extend(block.rejects.records);
    }
    let rows = concat_batches(&table.schema, &batches).expect("batches of one table have its schema");
    assert_eq!(records, (rows.num_rows() + rejects.len()) as u64, "every record is a row or a reject");
    Ok((rows, rejects, records))
}

/// The first bytes of an input decide how it is read; the rest is what is read.
pub fn split(data: &[u8]) -> Option<(Way, u8, &[u8])> {
    let (&[workers, batch, block, choice], rest) = data.split_first_chunk::<4>()?;
    let way = Way {
        workers: 1 + usize::from(workers % 3),
        batch_rows: [1, 2, 7, 4096][usize::from(batch % 4)],
        block_bytes: 1 + usize::from(block) % 97,
    };
    Some((way, choice, rest))
}
