//! Every ordering and every step that a protocol hangs on is weakened, one at a time, and a model has to fail.
//!
//! Each mutant runs in a process of its own, which is this test again with one model and the name of the mutant: nothing
//! is compiled twice, and an endless loop or a dead process is one mutant's.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use thalweg_loom_tests::table::{CANARIES, MUTANTS};
use thalweg_runtime::sync::mutation::VARIABLE;

/// How long a model may look for one mutant. Alone on a machine, all but a few take less than a second.
const LIMIT: Duration = Duration::from_secs(120);

/// What a model said to a mutant.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It failed, with this message.
    Killed(String),
    /// It held.
    Survived,
    /// It neither failed nor held in time.
    Endless,
}

#[test]
fn every_mutant_is_killed_and_every_canary_lives() {
    let start = Instant::now();
    let runs: Vec<&(&str, &str)> = MUTANTS.iter().chain(CANARIES).collect();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut verdicts = Vec::new();
        while let Some((mutant, model)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            verdicts.push((*mutant, *model, run(mutant, model)));
        }
        verdicts
    };
    let mut verdicts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("children can be started")).collect::<Vec<_>>()
    });
    verdicts.sort_by_key(|(mutant, _, _)| *mutant);
    let mut wrong = Vec::new();
    for (mutant, model, verdict) in &verdicts {
        let is_canary = CANARIES.iter().any(|(canary, _)| canary == mutant);
        match verdict {
            Verdict::Killed(message) => println!("mutant {mutant}: killed by {model}: {message}"),
            Verdict::Survived if is_canary => println!("canary {mutant}: alive under {model}"),
            other => println!("mutant {mutant}: {other:?} under {model}"),
        }
        if is_canary != (*verdict == Verdict::Survived) {
            wrong.push(mutant);
        }
    }
    let (mutants, canaries) = (MUTANTS.len(), CANARIES.len());
    assert!(wrong.is_empty(), "mutants that live, or canaries that do not: {wrong:?}");
    println!("mutants: {mutants} killed, canaries: {canaries} alive, {:.1} s", start.elapsed().as_secs_f64());
}

fn run(mutant: &str, model: &str) -> Verdict {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{mutant}.log"));
    let file = File::create(&log).expect("the target directory can be written to");
    let mut child = Command::new(std::env::current_exe().expect("this test is a file"))
        .args(["--exact", model, "--nocapture", "--test-threads", "1"])
        .env(VARIABLE, mutant)
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a file can be written to by two"))
        .stderr(file)
        .spawn()
        .expect("this test can be started again");
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child that was killed ends");
            return Verdict::Endless;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = String::from_utf8_lossy(&std::fs::read(&log).expect("the log was written")).into_owned();
    let panic = text.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
    match panic {
        Some(message) if !status.success() => Verdict::Killed(message.to_owned()),
        _ if status.success() && text.contains("1 passed") => Verdict::Survived,
        _ => panic!("{mutant} under {model}: {status}, and no model ran\n{text}"),
    }
}
