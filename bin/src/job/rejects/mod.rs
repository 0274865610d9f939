//! What a source refuses: counted, shown, written down and limited in the order of input, whatever the workers.
//!
//! Workers decode and compute blocks side by side. Each tells the [`Ledger`] of its source what a block gave up, also if that
//! is nothing; the ledger takes the blocks in their order. So the first refused record of the input ends a job under
//! `fail`, `max-rejects` counts up to the same record in every run, and a file of rejects has the order of the input.
//!
//! **Bounded.** What waits for an earlier block, and what waits for the disk, is bytes in memory. Beyond [`HELD_BYTES_MAX`]
//! of either, [`Ledger::may_pass`] says no and the worker keeps its block, hence stops reading. The block that all others
//! wait for is only ever held up by the disk. That block is the least that has not been told of; it is the first in the
//! hands of its worker, or its worker has none in hand and goes on reading until it gets it. So nobody waits for ever.
//!
//! A table without rejects costs one short lock for each block, and no thread.

mod line;
mod salvage;
mod subject;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use thalweg_runtime::exchange::doorbell::Doorbells;

pub(super) use self::salvage::{FailedRow, Salvaged, evaluate, salvage};
use self::subject::Subject;
use self::writer::{RejectsFile, Writer, WriterState, rejects_path};
use super::control::{JobControl, Progress};
use crate::connect::bad_input::{BadInput, LateRows, OnError, Reject, RejectCounts, Rejects, RowPlaces};
use crate::error::{Error, Result};
use crate::plan::Table;

/// Bytes of rejects that may wait for an earlier block, and that may wait for the disk.
const HELD_BYTES_MAX: usize = 8 << 20;

/// What a block counts as while it waits, even if nothing was refused.
const BLOCK_BYTES: usize = 64;

/// The rejects of one source, or its late rows.
pub(super) struct Ledger {
    table: String,
    subject: Subject,
    policy: BadInput,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What workers and the writing thread share.
struct Shared {
    state: Mutex<State>,
    /// Whether a worker may be told to wait; only ever a hint, `state` decides.
    is_congested: AtomicBool,
    writer: Writer,
    bells: Doorbells,
    progress: Arc<Progress>,
}

/// What changes from block to block.
#[derive(Default)]
struct State {
    /// The block that all others wait for.
    next: u64,
    waiting: BTreeMap<u64, Refused>,
    waiting_bytes: usize,
    /// Of the blocks before `next`.
    counts: RejectCounts,
    /// Bytes of lines that were given to the writer so far.
    file_bytes: u64,
    /// The job has been told to fail: what comes now means nothing.
    is_failed: bool,
    /// A worker was told to wait.
    is_awaited: bool,
    writer: WriterState,
}

/// Opens the ledgers of a job.
#[derive(Default)]
pub(super) struct Ledgers {
    /// Scans of each table so far.
    scans: BTreeMap<String, usize>,
    /// Files of rejects and late rows, and whose they are.
    files: BTreeMap<PathBuf, String>,
}

/// What one scan has beside its rows.
pub(super) struct ScanLedgers {
    pub(super) rejects: Arc<Ledger>,
    /// If late rows are kept.
    pub(super) late: Option<Arc<Ledger>>,
}

impl ScanLedgers {
    /// Waits until all is written; what was rejected.
    ///
    /// # Errors
    /// `Connector`, if a file cannot be written.
    pub(super) fn finish(&self) -> Result<RejectCounts> {
        let rejected = self.rejects.finish();
        let late = self.late.as_ref().map_or(Ok(RejectCounts::default()), |late| late.finish());
        late.and(rejected)
    }
}

impl Ledgers {
    /// The ledgers of one more scan of `table`. `may_be_late`: its rows are put into windows.
    ///
    /// # Errors
    /// As for [`Ledger::open`]; `Statement`, if two of the job have the same file.
    pub(super) fn open(
        &mut self,
        table: &Table,
        may_be_late: bool,
        (bells, control): (&Doorbells, &JobControl),
    ) -> Result<ScanLedgers> {
        let policy = table.connector.bad_input().cloned().unwrap_or_default();
        let scan = self.scans.entry(table.name.clone()).or_default();
        let number = *scan;
        *scan += 1;
        let mut ledger = |subject, policy: &BadInput| {
            if policy.on_error == OnError::Divert {
                self.claim(&table.name, rejects_path(&table.name, subject, policy.rejects_path.as_deref(), number))?;
            }
            Ledger::open((&table.name, subject), policy, number, (bells, control)).map(Arc::new)
        };
        let rejects = ledger(Subject::Rejects, &policy)?;
        let late = match &policy.late_rows {
            LateRows::Divert { path, file_bytes_max } if may_be_late => {
                let (rejects_path, rejects_file_bytes_max) = (path.clone(), *file_bytes_max);
                let on_error = OnError::Divert;
                let policy = BadInput { on_error, rejects_path, rejects_file_bytes_max, ..BadInput::default() };
                Some(ledger(Subject::LateRows, &policy)?)
            }
            LateRows::Divert { .. } | LateRows::Drop => None,
        };
        Ok(ScanLedgers { rejects, late })
    }

    /// Notes that `table` writes to `path`.
    fn claim(&mut self, table: &str, path: PathBuf) -> Result<()> {
        let path = std::path::absolute(&path).unwrap_or(path);
        match self.files.insert(path, table.to_owned()) {
            None => Ok(()),
            Some(other) if other == table => {
                Err(Error::statement(format!("the rejects and the late rows of table `{table}` have the same file"))
                    .help("give 'rejects-path' and 'late-rows-path' different names"))
            }
            Some(other) => {
                Err(Error::statement(format!("the tables `{other}` and `{table}` have the same file of rejects"))
                    .help("give each a 'rejects-path' and a 'late-rows-path' of its own"))
            }
        }
    }
}

/// What one block gave up.
#[derive(Default)]
pub(super) struct Refused {
    counts: RejectCounts,
    /// In the order of input: all where the policy must know which is which, else the first or none.
    records: Vec<Reject>,
    /// For the file of rejects, and where each of them ends.
    lines: Vec<u8>,
    ends: Vec<usize>,
    /// The source cannot be read beyond this block.
    failure: Option<Error>,
}

impl Ledger {
    /// Opens the file of rejects, if the policy asks for one. `scan`: how many scans of the same table come before this one
    /// in the job.
    ///
    /// # Errors
    /// `Connector`, if the file cannot be made; `Statement`, if the policy's options contradict each other.
    fn open(
        (table, subject): (&str, Subject),
        policy: &BadInput,
        scan: usize,
        (bells, control): (&Doorbells, &JobControl),
    ) -> Result<Self> {
        if policy.on_error == OnError::Fail && policy.rejects_max.is_some() {
            return Err(Error::statement(format!("option 'max-rejects' of table `{table}` has no meaning here")).help(
                "it is for 'on-error' = 'skip' or 'divert'; under 'fail' the first refused record ends the job",
            ));
        }
        let file = match policy.on_error {
            OnError::Divert => {
                let path = rejects_path(table, subject, policy.rejects_path.as_deref(), scan);
                Some(RejectsFile::create(table, subject, &path)?)
            }
            OnError::Fail | OnError::Skip => None,
        };
        let shared = Shared {
            state: Mutex::default(),
            is_congested: AtomicBool::new(false),
            writer: Writer::new(table, subject, file, control.clone()),
            bells: bells.clone(),
            progress: control.counters(),
        };
        let (table, policy) = (table.to_owned(), policy.clone());
        Ok(Self { table, subject, policy, shared: Arc::new(shared), thread: Mutex::default() })
    }

    /// Whether block `index` may be worked on. If not, the workers are rung when it is worth asking again.
    ///
    /// # Errors
    /// `Connector`, if the file of rejects cannot be written.
    pub(super) fn may_pass(&self, index: u64) -> Result<bool> {
        // Relaxed: a block that slips through is one more block at most for each worker.
        if !self.shared.is_congested.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let mut state = self.shared.lock();
        if let Some(error) = state.writer.take_failure() {
            return Err(error);
        }
        let is_due = index == state.next || state.waiting_bytes < HELD_BYTES_MAX;
        let may_pass = is_due && state.writer.queued_bytes() < HELD_BYTES_MAX;
        state.is_awaited |= !may_pass;
        Ok(may_pass)
    }

    /// What a block gave up: what its format refused, and the rows that failed later, in any order.
    pub(super) fn gather(
        &self,
        rejects: Rejects,
        mut failed: Vec<FailedRow>,
        places: Option<&dyn RowPlaces>,
    ) -> Refused {
        let mut refused = Refused { counts: *rejects.counts(), ..Refused::default() };
        if rejects.total() == 0 && failed.is_empty() {
            return refused;
        }
        refused.records = rejects.records;
        for row in &failed {
            refused.counts.add(row.reason, 1);
        }
        failed.sort_by_key(|failed| failed.row);
        let must_keep_all = self.policy.for_format().on_error == OnError::Divert;
        if !must_keep_all {
            failed.truncate(1);
        }
        let rows: Vec<u32> = failed.iter().map(|failed| failed.row).collect();
        let mut located = places.map(|places| places.locate(&rows)).unwrap_or_default().into_iter();
        let origin: Arc<str> = self.table.as_str().into();
        let of_row = |failed: FailedRow| failed.at(located.next(), &origin);
        refused.records.extend(failed.into_iter().map(of_row));
        refused.records.sort_by_key(|reject| reject.offset);
        match self.policy.on_error {
            OnError::Fail => refused.records.truncate(1),
            OnError::Skip if !must_keep_all => refused.records.truncate(1),
            OnError::Skip => {}
            OnError::Divert => self.write_lines(&mut refused),
        }
        refused
    }

    fn write_lines(&self, refused: &mut Refused) {
        for reject in &refused.records {
            line::write(reject, &mut refused.lines);
            refused.ends.push(refused.lines.len());
        }
        if self.policy.rejects_max.is_none() {
            refused.records.truncate(1);
        }
    }

    /// Block `index` is done with. Every block is told of once.
    ///
    /// # Errors
    /// `Data` for the refused record that ends the job, if it is in this block or in one that waited for it; what ended
    /// the source; `Connector`, if the file of rejects cannot be written.
    pub(super) fn submit(&self, index: u64, refused: Refused) -> Result<()> {
        let mut state = self.shared.lock();
        if state.is_failed {
            return Ok(());
        }
        let mut due = Some(refused);
        // As a rule a block is the one that is due, and nothing waits.
        if index != state.next {
            let refused = due.take().unwrap_or_default();
            state.waiting_bytes += refused.bytes();
            state.waiting.insert(index, refused);
        }
        while let Some(refused) = due.take().or_else(|| state.take_due()) {
            state.next += 1;
            if let Err(error) = self.release(&mut state, refused) {
                state.is_failed = true;
                return Err(error);
            }
        }
        if let Some(error) = state.writer.take_failure() {
            return Err(error);
        }
        self.shared.update_congestion(&mut state);
        Ok(())
    }

    /// The source cannot be read beyond block `index`: that ends the job, unless something before it does.
    ///
    /// # Errors
    /// As for [`submit`](Self::submit).
    pub(super) fn fail(&self, index: u64, error: Error) -> Result<()> {
        self.submit(index, Refused { failure: Some(error), ..Refused::default() })
    }

    /// Takes in the block whose turn it is.
    fn release(&self, state: &mut State, mut refused: Refused) -> Result<()> {
        let count = refused.counts.total();
        let left = self.policy.rejects_max.map(|max| max - state.counts.total().min(max));
        let outcome = match left {
            _ if count == 0 => Ok(()),
            _ if self.policy.on_error == OnError::Fail => {
                let first = refused.records.into_iter().next();
                return Err(first.map_or_else(|| Error::internal("a reject without a record"), Reject::into_error));
            }
            Some(left) if count > left => {
                let last = refused.records.get(left as usize).cloned();
                refused.truncate(left as usize);
                Err(last)
            }
            _ => Ok(()),
        };
        state.counts.add_all(&refused.counts);
        if self.subject == Subject::Rejects {
            self.shared.progress.add_rejected(&refused.counts);
        }
        if refused.counts.total() > 0 {
            self.hand_over(state, refused.records, refused.lines, &refused.ends)?;
        }
        if let Err(last) = outcome {
            return Err(self.too_many(&state.counts, last));
        }
        refused.failure.map_or(Ok(()), Err)
    }

    /// Gives the writing thread what it shows and writes.
    fn hand_over(&self, state: &mut State, records: Vec<Reject>, mut lines: Vec<u8>, ends: &[usize]) -> Result<()> {
        let room = self.policy.rejects_file_bytes_max - state.file_bytes.min(self.policy.rejects_file_bytes_max);
        if state.writer.is_full {
            lines.clear();
        } else if lines.len() as u64 > room {
            let fitting = ends.partition_point(|&end| end as u64 <= room);
            lines.truncate(fitting.checked_sub(1).map_or(0, |last| ends[last]));
            state.writer.is_full = true;
        }
        state.file_bytes += lines.len() as u64;
        state.writer.take_in(records.into_iter().next(), lines, state.counts.total());
        self.start_thread()?;
        self.shared.writer.wake();
        Ok(())
    }

    fn start_thread(&self) -> Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_some() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new().name("thalweg-rejects".into()).spawn(move || writer::run(&shared));
        *thread = Some(spawned.map_err(|error| {
            Error::connector(format!("no thread to write the rejects of table `{}`: {error}", self.table))
        })?);
        Ok(())
    }

    fn too_many(&self, counts: &RejectCounts, last: Option<Reject>) -> Error {
        let Some(last) = last else { return Error::internal("a reject without a record") };
        let max = self.policy.rejects_max.unwrap_or_default();
        let mut error = last.into_error();
        let before = if counts.total() == 0 { String::new() } else { format!(": {counts}") };
        let table = &self.table;
        error.message.push_str(&format!("; one more than 'max-rejects' accepts for table `{table}` ({max}{before})"));
        error.help("raise 'max-rejects', or see what is wrong with the input")
    }

    /// The job has ended: waits until all is written that was handed over, and answers what was refused.
    ///
    /// # Errors
    /// `Connector`, if the file of rejects cannot be written.
    pub(super) fn finish(&self) -> Result<RejectCounts> {
        self.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.join().map_err(|_| Error::internal("the thread that writes rejects panicked"))?;
        }
        let mut state = self.shared.lock();
        match state.writer.take_failure() {
            Some(error) => Err(error),
            None => Ok(state.counts),
        }
    }

    fn close(&self) {
        self.shared.lock().writer.is_closed = true;
        self.shared.writer.wake();
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere ends the job; what is counted here stays consistent, since nothing in a lock panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called whenever what is held has changed.
    fn update_congestion(&self, state: &mut State) {
        let is_congested = state.waiting_bytes >= HELD_BYTES_MAX
            || state.writer.queued_bytes() >= HELD_BYTES_MAX
            || state.writer.has_failed();
        self.is_congested.store(is_congested, Ordering::Relaxed);
        // Also while it lasts: who was told to wait may hold the very block that is due now.
        if std::mem::take(&mut state.is_awaited) {
            self.bells.ring_all();
        }
    }
}

impl State {
    /// The block whose turn it is, if it waits.
    fn take_due(&mut self) -> Option<Refused> {
        let refused = self.waiting.remove(&self.next)?;
        self.waiting_bytes -= refused.bytes();
        Some(refused)
    }
}

impl Refused {
    fn bytes(&self) -> usize {
        let records = self
            .records
            .iter()
            .map(|reject| size_of::<Reject>() + reject.message.len() + reject.help.len() + reject.record.len());
        BLOCK_BYTES + self.lines.len() + records.sum::<usize>()
    }

    /// Leaves the first `records`.
    fn truncate(&mut self, records: usize) {
        self.records.truncate(records);
        self.ends.truncate(records);
        self.lines.truncate(self.ends.last().copied().unwrap_or_default());
        self.counts = RejectCounts::default();
        for reject in &self.records {
            self.counts.add(reject.reason, 1);
        }
    }
}

#[cfg(test)]
mod tests;
