//! Runs a model, and tells how much of it there was.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `model` under every schedule of at most `preemptions` preemptions, prints how many executions that were, and fails
/// below `floor`: a model that explores almost nothing proves almost nothing.
///
/// # Panics
/// If an execution panics or deadlocks, or if there were too few.
pub fn explore(name: &str, preemptions: Option<usize>, floor: usize, model: impl Fn() + Send + Sync + 'static) {
    // Counted outside of the model: std's atomic is none of loom's business.
    static EXECUTIONS: AtomicUsize = AtomicUsize::new(0);
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    // A model that failed has poisoned the lock, and has nothing to do with the next one.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    EXECUTIONS.store(0, Ordering::Relaxed);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        EXECUTIONS.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let executions = EXECUTIONS.load(Ordering::Relaxed);
    println!("model {name}: {executions} executions");
    assert!(executions >= floor, "model {name} explored {executions} executions, fewer than {floor}");
}
