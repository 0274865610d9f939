//! The thread of a source that refuses records: writes their lines, and shows some of them to the user. It may block.
//!
//! The file is appended to directly, whole lines at a time, since it is there to be read while an endless job runs. A job
//! starts it anew; what is there from an earlier one is replaced, but never a file that holds something else.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use super::subject::Subject;
use crate::connect::bad_input::Reject;
use crate::error::{Error, Result};
use crate::job::control::JobControl;

/// How every line starts: what tells a file of rejects from others.
const LINE_START: &[u8] = b"{\"source\":";

/// Time between two notes of one table: at first, and once [`FREQUENT_NOTES`] have been shown.
const NOTE_INTERVALS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Notes that come at the shorter interval.
const FREQUENT_NOTES: u64 = 10;

/// Characters of a note at most.
const NOTE_CHARS_MAX: usize = 400;

/// What the thread has apart from what changes.
pub(super) struct Writer {
    table: String,
    subject: Subject,
    /// Taken by the thread.
    file: Mutex<Option<RejectsFile>>,
    wake: Condvar,
    notes: JobControl,
}

/// What the ledger hands to the thread; part of its state, under its lock.
#[derive(Default)]
pub(super) struct WriterState {
    lines: Vec<Vec<u8>>,
    /// Bytes of `lines` and of what is being written.
    queued_bytes: usize,
    /// The first reject since the last note.
    note: Option<Reject>,
    /// Rejects in all.
    total: u64,
    /// The file has reached its limit.
    pub(super) is_full: bool,
    /// Nothing will be handed over any more.
    pub(super) is_closed: bool,
    has_failed: bool,
    failure: Option<Error>,
}

impl WriterState {
    pub(super) fn take_in(&mut self, first: Option<Reject>, lines: Vec<u8>, total: u64) {
        if self.note.is_none() {
            self.note = first;
        }
        self.total = total;
        if !lines.is_empty() {
            self.queued_bytes += lines.len();
            self.lines.push(lines);
        }
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    pub(super) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}

impl Writer {
    pub(super) fn new(table: &str, subject: Subject, file: Option<RejectsFile>, notes: JobControl) -> Self {
        Self { table: table.to_owned(), subject, file: Mutex::new(file), wake: Condvar::new(), notes }
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

/// Writes and shows what is handed over, until nothing more will be.
pub(super) fn run(shared: &Shared) {
    let writer = &shared.writer;
    let mut file = writer.file.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut log = Log::new(&writer.table, writer.subject);
    let mut is_full_told = false;
    loop {
        let mut state = shared.lock();
        while state.writer.lines.is_empty() && !state.writer.is_closed {
            let now = Instant::now();
            let until_note = match &state.writer.note {
                Some(_) if log.due <= now => break,
                Some(_) => log.due - now,
                None => NOTE_INTERVALS[1],
            };
            let waited = writer.wake.wait_timeout(state, until_note);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let lines = std::mem::take(&mut state.writer.lines);
        let (is_closed, is_full, total) = (state.writer.is_closed, state.writer.is_full, state.writer.total);
        let note = if log.due <= Instant::now() { state.writer.note.take() } else { None };
        drop(state);

        if let Some(reject) = note {
            writer.notes.note(&log.note(&reject, total, Instant::now()));
        }
        if is_full && !is_full_told {
            is_full_told = true;
            writer.notes.note(&format!(
                "table `{}`: the file of {} has reached '{}'; what comes now is only counted",
                writer.table,
                writer.subject.plural(),
                writer.subject.limit(),
            ));
        }
        let written = file.as_mut().map_or(Ok(()), |file| lines.iter().try_for_each(|lines| file.write(lines)));
        let mut state = shared.lock();
        state.writer.queued_bytes -= lines.iter().map(Vec::len).sum::<usize>();
        if let Err(error) = written
            && !state.writer.has_failed
        {
            state.writer.has_failed = true;
            state.writer.failure = Some(error);
        }
        shared.update_congestion(&mut state);
        if is_closed && state.writer.lines.is_empty() {
            break;
        }
    }
    let total = shared.lock().writer.total;
    if let Some(last) = log.last(total) {
        writer.notes.note(&last);
    }
    if let Some(Err(error)) = file.map(RejectsFile::finish) {
        let mut state = shared.lock();
        state.writer.failure.get_or_insert(error);
    }
}

/// Which rejects the user is shown: few enough that a million of them fill no disk and hide nothing else.
struct Log<'a> {
    table: &'a str,
    subject: Subject,
    /// When the next note may come.
    due: Instant,
    notes: u64,
    /// Rejects that the last note counted.
    told: u64,
}

impl<'a> Log<'a> {
    fn new(table: &'a str, subject: Subject) -> Self {
        Self { table, subject, due: Instant::now(), notes: 0, told: 0 }
    }

    /// The note of a reject, the `total`th or an earlier one.
    fn note(&mut self, reject: &Reject, total: u64, now: Instant) -> String {
        let mut note = format!("{}: {}", reject.place(), reject.message);
        if let Some((cut, _)) = note.char_indices().nth(NOTE_CHARS_MAX) {
            note.truncate(cut);
            note.push('…');
        }
        note.push_str(&format!("; {} (table `{}`", self.subject.verdict(reject.reason), self.table));
        match total.saturating_sub(self.told + 1) {
            0 => note.push(')'),
            more => note.push_str(&format!(", with {more} more)")),
        }
        self.told = total;
        self.notes += 1;
        self.due = now + NOTE_INTERVALS[usize::from(self.notes >= FREQUENT_NOTES)];
        note
    }

    /// What is to be said at the end.
    fn last(&self, total: u64) -> Option<String> {
        let more = total.saturating_sub(self.told);
        (more > 0).then(|| format!("table `{}`: {}", self.table, self.subject.more(more)))
    }
}

/// The file of one ledger.
#[derive(Debug)]
pub(super) struct RejectsFile {
    path: PathBuf,
    table: String,
    subject: Subject,
    file: File,
}

impl RejectsFile {
    /// Starts the file anew.
    ///
    /// # Errors
    /// `Connector`, if it cannot be made, or holds something else.
    pub(super) fn create(table: &str, subject: Subject, path: &Path) -> Result<Self> {
        let cannot = |error: &std::io::Error| unwritable((table, subject), path, error);
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            std::fs::create_dir_all(directory).map_err(|error| cannot(&error))?;
        }
        let is_special = std::fs::metadata(path).is_ok_and(|found| !found.is_file());
        if !is_special && holds_something_else(path).map_err(|error| cannot(&error))? {
            return Err(Error::connector(format!(
                "'{}' is there already and holds something else than {} (table `{table}`)",
                path.display(),
                subject.plural(),
            ))
            .help(format!("choose another '{}', or move the file away", subject.path_option())));
        }
        let file = OpenOptions::new().append(true).create(!is_special).open(path).map_err(|error| cannot(&error))?;
        if !is_special {
            file.set_len(0).map_err(|error| cannot(&error))?;
        }
        Ok(Self { path: path.to_path_buf(), table: table.to_owned(), subject, file })
    }

    fn write(&mut self, lines: &[u8]) -> Result<()> {
        self.file.write_all(lines).map_err(|error| unwritable((&self.table, self.subject), &self.path, &error))
    }

    fn finish(self) -> Result<()> {
        match self.file.metadata() {
            Ok(found) if found.is_file() => {
                self.file.sync_data().map_err(|error| unwritable((&self.table, self.subject), &self.path, &error))
            }
            _ => Ok(()),
        }
    }
}

/// Where a table's rejects go: `path`, or else `TABLE.rejects.ndjson`; its late rows, `TABLE.late.ndjson`. The second scan of
/// the table in a job has `-2` in the name: `TABLE.rejects-2.ndjson`, and so on.
pub(super) fn rejects_path(table: &str, subject: Subject, path: Option<&str>, scan: usize) -> PathBuf {
    let ending = subject.ending();
    let name = path.map_or_else(|| format!("{}.{ending}.ndjson", table.replace('/', "_")), str::to_owned);
    let path = Path::new(&name);
    if scan == 0 {
        return path.to_path_buf();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
    path.with_file_name(format!("{stem}-{}{ending}", scan + 1))
}

fn holds_something_else(path: &Path) -> std::io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut start = Vec::new();
    file.take(LINE_START.len() as u64).read_to_end(&mut start)?;
    Ok(!start.is_empty() && start != LINE_START)
}

fn unwritable((table, subject): (&str, Subject), path: &Path, error: &std::io::Error) -> Error {
    let (what, option) = (subject.plural(), subject.path_option());
    Error::connector(format!("cannot write the {what} of table `{table}` to '{}': {error}", path.display())).help(
        format!("see whether the directory may be written and the device has room; '{option}' says where they go"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::bad_input::RejectReason;

    fn reject(line: u64) -> Reject {
        Reject {
            origin: "a.csv".into(),
            offset: 0,
            line,
            column: 3,
            field: None,
            reason: RejectReason::Malformed,
            message: "no number".into(),
            help: String::new(),
            record: Vec::new(),
        }
    }

    #[test]
    fn ten_million_rejects_in_an_hour_are_a_few_lines() {
        let start = Instant::now();
        let mut log = Log { due: start, ..Log::new("t", Subject::Rejects) };
        let (mut shown, mut lines) = (String::new(), 0);
        for second in 0..3600 {
            let now = start + Duration::from_secs(second);
            if log.due <= now {
                shown += &log.note(&reject(second + 1), (second + 1) * 2778, now);
                lines += 1;
            }
        }
        assert_eq!(lines, 10 + 59, "ten at first, then one a minute");
        assert!(
            shown.starts_with("a.csv:1:3: no number; rejected as malformed (table `t`, with 2777 more)"),
            "{shown}"
        );
        assert_eq!(log.last(3600 * 2778), Some(format!("table `t`: {} more records rejected", 3600 * 2778 - log.told)));
        assert_eq!(log.last(log.told), None);
    }

    #[test]
    fn a_long_message_is_cut() {
        let long = Reject { message: "ä".repeat(100_000), ..reject(1) };
        assert!(Log::new("t", Subject::Rejects).note(&long, 1, Instant::now()).chars().count() < NOTE_CHARS_MAX + 100);
    }

    #[test]
    fn a_file_that_holds_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/rejects.ndjson");
        let mut file = RejectsFile::create("t", Subject::Rejects, &path).unwrap();
        file.write(b"{\"source\":1}\n").unwrap();
        file.finish().unwrap();
        drop(RejectsFile::create("t", Subject::Rejects, &path).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"", "a new job starts it anew");
        std::fs::write(&path, "a,b\n").unwrap();
        let error = RejectsFile::create("t", Subject::Rejects, &path).unwrap_err();
        assert!(error.message.contains("holds something else"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"a,b\n");
    }

    #[test]
    fn every_scan_of_a_table_has_a_file_of_its_own() {
        for (path, scan, expected) in [
            (None, 0, "a_b.rejects.ndjson"),
            (None, 1, "a_b.rejects-2.ndjson"),
            (Some("/tmp/r"), 2, "/tmp/r-3"),
            (Some("d.x/r.json"), 0, "d.x/r.json"),
        ] {
            assert_eq!(rejects_path("a/b", Subject::Rejects, path, scan), Path::new(expected));
        }
    }
}
