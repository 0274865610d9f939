//! Runs a model, and tells how much of it there was.

use crate::table::{Channel, MODELS, WITNESSES};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thalweg_runtime::sync::model_channel::SEES_AT_ONCE;
use thalweg_runtime::sync::mutation::VARIABLE;

/// Branches of one execution after which it is held to be endless: the longest model needs a tenth.
const BRANCHES_MAX: usize = 10_000;

/// Runs a model under every schedule of at most as many preemptions as the table says, prints how many executions that
/// were, and fails if they are not as many as the table says: a model that explores almost nothing proves almost nothing.
///
/// # Panics
/// If an execution panics or deadlocks, if there were too few or too many, or if the table has no such model.
pub fn explore(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let _turn = one_at_a_time();
    let row = MODELS.iter().find(|row| row.name == name);
    let row = row.unwrap_or_else(|| panic!("no model {name} in the table"));
    // Counted outside of the model: std's atomic is none of loom's business.
    let executions = Arc::new(AtomicUsize::new(0));
    SEES_AT_ONCE.store(row.channel == Channel::SeenAtOnce, Ordering::Relaxed);
    check(row.preemptions, Arc::clone(&executions), model);
    let executions = executions.load(Ordering::Relaxed);
    println!("model {name}: {executions} executions");
    let expected = row.floor..=row.ceiling;
    assert!(is_mutated() || expected.contains(&executions), "model {name}: {executions} executions, not {expected:?}");
}

/// Runs a model of a protocol that is known to be broken until it fails, and prints what led there: `model` is given a
/// place to write down its steps.
///
/// # Panics
/// If no execution fails, or one fails for another reason than the table says.
pub fn refute(name: &str, model: impl Fn(&Steps) + Send + Sync + 'static) {
    let _turn = one_at_a_time();
    let row = WITNESSES.iter().find(|row| row.name == name);
    let row = row.unwrap_or_else(|| panic!("no witness {name} in the table"));
    let (executions, steps) = (Arc::new(AtomicUsize::new(0)), Steps::default());
    let (counted, seen) = (Arc::clone(&executions), steps.clone());
    let run = move || {
        check(None, counted, move || {
            seen.lines().clear();
            model(&seen);
        });
    };
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("a protocol that is broken fails under some schedule");
    let message = panic.downcast_ref::<String>().cloned();
    let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    assert!(message.contains(row.fails_with), "{name} failed with {message:?}");
    println!("witness {name}: refuted in execution {}: {}", executions.load(Ordering::Relaxed), row.fails_with);
    steps.lines().iter().for_each(|step| println!("    {step}"));
}

/// This process runs a mutant: what is counted over all executions means nothing then.
#[must_use]
pub fn is_mutated() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// What the threads of one execution did, in the order in which they did it.
#[derive(Clone, Debug, Default)]
pub struct Steps(Arc<Mutex<Vec<String>>>);

impl Steps {
    /// Writes a step down.
    pub fn note(&self, step: String) {
        self.lines().push(step);
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(preemptions: Option<usize>, executions: Arc<AtomicUsize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = BRANCHES_MAX;
    // Either would end a model early, and call that success.
    (builder.max_duration, builder.max_permutations) = (None, None);
    builder.check(move || {
        executions.fetch_add(1, Ordering::Relaxed);
        model();
    });
}

fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // A model that failed has poisoned the lock, and has nothing to do with the next one.
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}
