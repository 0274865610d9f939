//! A large stack for what walks syntax trees and plans: they are as deep as the user's expressions, and an overflow would
//! end the process without a word.

use std::any::Any;
use std::panic::resume_unwind;
use std::thread::Builder;

/// Reserved, not used: pages are mapped when they are touched. An expression as deep as the reader lets through needs a
/// tenth of it in an unoptimised build.
const STACK_BYTES: usize = 256 << 20;

/// Runs `work` on a stack of its own and gives what it gives; a panic within goes on here.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let mut work = Some(work);
    let mut run = || work.take().map(|work| work());
    let on_thread = std::thread::scope(|scope| {
        let spawned = Builder::new().name("planner".to_owned()).stack_size(STACK_BYTES).spawn_scoped(scope, &mut run);
        spawned.ok().map(|thread| thread.join())
    });
    match on_thread {
        Some(Ok(Some(result))) => result,
        Some(Err(panic)) => resume_unwind(panic),
        // No thread could be started: the stack at hand must do.
        Some(Ok(None)) | None => {
            run().unwrap_or_else(|| resume_unwind(Box::new("work is done once") as Box<dyn Any + Send>))
        }
    }
}
