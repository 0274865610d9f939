//! What the fuzz targets share: a scratch file, a job over it on one thread, and what must hold whatever came out.
//!
//! A target fails by a panic: the engine's own, or that of an assertion here. An error of the user's or of the world's is
//! a good outcome; an internal error is a bug.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use thalweg::error::{Error, Kind};
use thalweg::job::{self, Account, JobOptions};
use thalweg::sql::{Outcome, Session, SessionOptions};

thread_local! {
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
    /// Of the schedule.
    pub seed: u64,
}

impl Way {
    /// One worker, and blocks that hold any input of a fuzzer.
    pub const PLAIN: Self = Self { workers: 1, batch_rows: 4096, block_bytes: 1 << 17, seed: 0 };
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
        ..JobOptions::default()
    };
    let mut result = None;
    for statement in &script.statements {
        if let Outcome::Job(plan) = session.execute(statement).map_err(sound)? {
            let schema = plan.pipelines[0].root.schema.clone();
            let (batches, account) = job::simulate(plan, &options, way.seed).map_err(sound)?;
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

/// Reads a file in two ways under `skip`, which must come to the same, and once under `fail`, which must fail exactly if
/// something was refused.
///
/// # Panics
/// If it is not so.
pub fn read_in_two_ways(ddl: impl Fn(&str) -> String, query: &str, way: Way) {
    let skip = format!("{};\n{query}", ddl("skip"));
    let plain = run(&skip, Way::PLAIN);
    let other = run(&skip, way);
    match (&plain, &other) {
        (Ok((rows, account)), Ok((other_rows, other_account))) => {
            assert_eq!(account.records(), other_account.records(), "{way:?}");
            assert_eq!(account.rejected(), other_account.rejected(), "{way:?}");
            // By text: NaN equals nothing, itself included.
            assert_eq!(format!("{rows:?}"), format!("{other_rows:?}"), "{way:?}");
            let fails = run(&format!("{};\n{query}", ddl("fail")), way).is_err();
            assert_eq!(fails, account.rejected() > 0, "fail and skip disagree");
        }
        (Err(error), Err(other)) => assert_eq!(error.message, other.message, "{way:?}"),
        _ => panic!("{way:?}: {:?} against {:?}", plain.map(|_| ()), other.map(|_| ())),
    }
}

/// The first bytes of an input decide how it is read; the rest is what is read.
pub fn split(data: &[u8]) -> Option<(Way, u8, &[u8])> {
    let (&[workers, batch, block, choice], rest) = data.split_first_chunk::<4>()?;
    let way = Way {
        workers: 1 + usize::from(workers % 3),
        batch_rows: [1, 2, 7, 4096][usize::from(batch % 4)],
        block_bytes: 1 + usize::from(block) % 97,
        seed: u64::from(batch),
    };
    Some((way, choice, rest))
}
