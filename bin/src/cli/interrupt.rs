//! Ctrl-C and SIGTERM: the first drains the running job, the second ends the process at once.
//!
//! A drain needs the sources to stop and the sinks to take what is left. If nothing moves any more, because nobody reads
//! standard output or a source hangs, the process ends all the same, without the rest of the results.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::connect::{sink, stdout};
use crate::error::{Error, Result};
use crate::job::{JobControl, ProgressSnapshot};
use crate::report::stderr::note;

/// Exit code of a process that a signal ended before it was done.
const EXIT_INTERRUPTED: u8 = 130;

/// How long nothing may move while the job drains, if the process does not compute either.
const STILL_MAX: Duration = Duration::from_secs(3);

/// How long nothing may move in any case: closing large windows can take a while.
const BUSY_MAX: Duration = Duration::from_secs(60);

/// Between two looks at a job that drains.
const LOOK_EVERY: Duration = Duration::from_millis(100);

static STATE: Mutex<State> = Mutex::new(State { job: None, is_asked: false });

struct State {
    /// The job that a signal drains.
    job: Option<JobControl>,
    /// A signal has come.
    is_asked: bool,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes over SIGINT and SIGTERM for the rest of the process.
///
/// # Errors
/// If the system refuses.
pub(super) fn install() -> Result<()> {
    let refused = |error: std::io::Error| Error::internal(format!("cannot listen to signals: {error}"));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(refused)?;
    // A file that reaches a limit on its size is then an error of the write and not the end of the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map_err(refused)?;
    let listen = move || signals.forever().for_each(|_| answer_signal());
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(refused)?;
    Ok(())
}

/// Whether a signal has come: no further statement is begun.
pub(super) fn is_asked() -> bool {
    state().is_asked
}

/// Until the answer is dropped, the first signal drains this job.
pub(super) fn attend(job: JobControl) -> Attended {
    let mut state = state();
    if state.is_asked {
        job.drain();
    }
    state.job = Some(job);
    Attended
}

/// See [`attend`].
pub(super) struct Attended;

impl Drop for Attended {
    fn drop(&mut self) {
        state().job = None;
    }
}

/// Ends the process now: no unfinished file is left, and no thread is waited for.
pub(super) fn end(code: u8) -> ! {
    sink::remove_unfinished();
    signal_hook::low_level::exit(i32::from(code))
}

fn answer_signal() {
    let job = {
        let mut state = state();
        match state.job.clone() {
            Some(job) if !state.is_asked => {
                state.is_asked = true;
                job
            }
            _ => {
                drop(state);
                end(EXIT_INTERRUPTED)
            }
        }
    };
    note("\ndraining: what was read is finished; Ctrl-C again ends at once");
    job.drain();
    // If there is no thread to watch, the second Ctrl-C still ends it.
    let _ = std::thread::Builder::new().name("drain-watch".to_owned()).spawn(watch_drain);
}

/// Ends the process if the job makes no progress on its way to the end.
fn watch_drain() {
    let mut stillness = Stillness::new(Instant::now());
    loop {
        std::thread::sleep(LOOK_EVERY);
        let Some(job) = state().job.clone() else { return };
        match stillness.look(job.progress(), cpu_time(), Instant::now()) {
            Some(StillFor::Idle) if stdout::is_writing() => {
                note("standard output is not being read: ended without the rest of the results");
                end(EXIT_INTERRUPTED)
            }
            Some(_) => {
                note("the job does not come to an end: ended without the rest of the results");
                end(EXIT_INTERRUPTED)
            }
            None => {}
        }
    }
}

/// How long a job has made no progress.
struct Stillness {
    last: Option<ProgressSnapshot>,
    since: Instant,
    cpu_since: Option<Duration>,
}

/// That it was for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StillFor {
    /// And hardly computed.
    Idle,
    /// Though it computed.
    Busy,
}

impl Stillness {
    fn new(now: Instant) -> Self {
        Self { last: None, since: now, cpu_since: None }
    }

    /// Takes note of where the job is and what the process has computed so far.
    fn look(&mut self, progress: ProgressSnapshot, cpu: Option<Duration>, now: Instant) -> Option<StillFor> {
        if self.last.as_ref() != Some(&progress) {
            *self = Self { last: Some(progress), since: now, cpu_since: cpu };
            return None;
        }
        let still = now.saturating_duration_since(self.since);
        let computed = cpu.zip(self.cpu_since).map_or(Duration::ZERO, |(now, then)| now.saturating_sub(then));
        if still >= STILL_MAX && computed < still / 10 {
            return Some(StillFor::Idle);
        }
        (still >= BUSY_MAX).then_some(StillFor::Busy)
    }
}

/// Processor time of this process, where the system says it the Linux way.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold anything; user and system time are the 12th and 13th field behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    // A tick is 1/100 s on every Linux that reports it to programs.
    Some(Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rows: u64) -> ProgressSnapshot {
        ProgressSnapshot { rows, ..ProgressSnapshot::default() }
    }

    #[test]
    fn job_that_moves_is_left_alone() {
        let start = Instant::now();
        let mut stillness = Stillness::new(start);
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            assert_eq!(stillness.look(at(second), Some(Duration::ZERO), now), None);
        }
    }

    #[test]
    fn job_that_waits_is_given_up_sooner_than_one_that_computes() {
        let start = Instant::now();
        let after = |millis: u64| start + Duration::from_millis(millis);
        let mut stillness = Stillness::new(start);
        stillness.look(at(1), Some(Duration::ZERO), start);
        assert_eq!(stillness.look(at(1), Some(Duration::from_millis(20)), after(2_900)), None);
        assert_eq!(stillness.look(at(1), Some(Duration::from_millis(20)), after(3_000)), Some(StillFor::Idle));
        assert_eq!(stillness.look(at(1), Some(Duration::from_secs(3)), after(3_000)), None);
        assert_eq!(stillness.look(at(1), Some(Duration::from_secs(90)), after(60_000)), Some(StillFor::Busy));
        assert_eq!(stillness.look(at(1), None, after(3_000)), Some(StillFor::Idle));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn processor_time_is_known() {
        assert!(cpu_time().is_some());
    }
}
