//! Models of the runtime's protocols. Loom runs each one under every schedule (up to a number of preemptions) and every
//! value that the memory model lets a thread see, over the same source as production.
//!
//! In a normal build there is nothing here but the tables of what has to run, and the test that starts the models in a
//! build of their own, as `cargo loom` does, and holds the outcome against the tables. What they prove, they prove over a
//! correct channel: `thalweg_runtime::sync` says why. `docs/verification.md` says it to readers.

#[cfg(all(thalweg_loom, feature = "model"))]
pub mod explore;
#[cfg(all(thalweg_loom, feature = "model"))]
pub mod sums;
pub mod table;
