//! The doorbell: how a worker sleeps without losing a wake-up.
//!
//! Every worker (and every outside consumer) owns one bell. Whoever makes work for it, makes the work visible first and
//! rings second: a producer after it put a message in a lane, a consumer after it made room in a lane that was found
//! full, a helper thread after it filled a source, [`Control`](crate::Control) after it asked for the end.
//!
//! One byte holds the state:
//!
//! ```text
//!              ring                      ring: and unpark the owner
//!   QUIET ─────────────► RUNG ◄──────────────────────── ASLEEP
//!     ▲ ▲                 │ take                          ▲ │
//!     │ └─────────────────┘                               │ │ the time limit passed
//!     └───────────────────────────────────────────────────┼─┘
//!                 wait, if still QUIET ───────────────────┘
//! ```
//!
//! The owner works in rounds: [`take`](Doorbell::take), look everywhere, and only if nothing was found
//! [`wait`](Doorbell::wait). Both `ring` and `take` are read-modify-writes of one variable, so they have one order, and
//! each `take` sees what was made visible before the rings ahead of it (release and acquire). Take any `ring`:
//!
//! - It comes before a `take`. Then the round that the `take` opens sees the work.
//! - It comes after the last `take`. Then the byte is RUNG, and `wait`, which falls asleep only by changing QUIET to
//!   ASLEEP, refuses; or the owner is already ASLEEP, and the ring that finds it so unparks it. The thread's token makes
//!   an unpark before the park count.
//!
//! No third case exists, hence no wake-up is lost, and no sleep needs a time limit to be correct. A park that returns for
//! no reason is harmless: the owner stays in the loop until the byte says that somebody rang.
//!
//! A ring costs one read-modify-write on a line that the owner touches about once per step; the lock below is taken only
//! by a ring that finds its owner asleep, and by the owner on its way to sleep.

use crate::WorkerId;
use crate::sync::{Arc, AtomicU8, Mutex, Ordering, Thread, current, lock, mutant, ordering, park_timeout};
use std::time::{Duration, Instant};

const QUIET: u8 = 0;
const RUNG: u8 = 1;
const ASLEEP: u8 = 2;

/// Wakes one thread, its owner, from any other. On a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
pub struct Doorbell {
    /// QUIET, RUNG or ASLEEP. Anyone makes it RUNG; all else is the owner's.
    state: AtomicU8,
    /// Whom to unpark. Written by the owner before it becomes ASLEEP.
    owner: Mutex<Option<Thread>>,
}

impl Default for Doorbell {
    fn default() -> Self {
        Self { state: AtomicU8::new(QUIET), owner: Mutex::new(None) }
    }
}

impl Doorbell {
    /// A bell that nobody has rung.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the owner to look for work. Call it after the work is visible. Any thread may; it does not wait for anyone.
    pub fn ring(&self) {
        if mutant!(ring_leaves_it_rung) && self.is_rung() {
            return;
        }
        // Release: the owner's `take` that reads this, or the next ring, sees the work. Not Acquire: had the lock below been
        // held before the owner held it, to register, this would have come before the owner's change to ASLEEP.
        if self.state.swap(RUNG, ordering!(ring, Release)) == ASLEEP && !mutant!(ring_wakes_nobody) {
            let owner = lock(&self.owner).clone();
            if let Some(thread) = owner {
                thread.unpark();
            }
        }
    }

    /// The owner starts a round of looking for work: true if somebody rang since the last one.
    pub fn take(&self) -> bool {
        // Relaxed: an old QUIET only leaves the ring for the next round, and `wait` refuses to sleep over it.
        if mutant!(canary_looks_twice) {
            self.state.load(Ordering::Relaxed);
        }
        if self.state.load(ordering!(canary_is_relaxed, Relaxed)) != RUNG {
            return false;
        }
        if mutant!(take_overwrites) {
            self.state.load(Ordering::Acquire);
            self.state.store(QUIET, Ordering::Release);
            return true;
        }
        // Acquire: pairs with the Release of every `ring` so far.
        self.state.swap(QUIET, ordering!(take, Acquire)) == RUNG
    }

    /// Somebody rang since the last [`take`](Self::take).
    #[must_use]
    pub fn is_rung(&self) -> bool {
        // Relaxed: a hint for spinning; who acts on it calls `take`.
        self.state.load(Ordering::Relaxed) == RUNG
    }

    /// The owner sleeps until somebody rings or `limit` has passed; at once, if somebody rang since the last
    /// [`take`](Self::take). Only the owner may call this: the thread that calls is the one that is woken.
    pub fn wait(&self, limit: Duration) {
        if !mutant!(wait_before_it_is_known) {
            self.register();
        }
        if mutant!(wait_over_a_ring) {
            self.state.swap(ASLEEP, Ordering::AcqRel);
        // Relaxed: the lock makes the thread seen that was registered, see `ring`.
        } else if self.state.compare_exchange(QUIET, ASLEEP, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        if mutant!(wait_before_it_is_known) {
            self.register();
        }
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            park_timeout(left);
            // Relaxed: only this thread acts on it, and `take` acquires before the work is looked for.
            if self.state.load(Ordering::Relaxed) != ASLEEP || mutant!(wait_for_any_wake_up) {
                return;
            }
            if cfg!(not(thalweg_loom)) && start.elapsed() >= limit {
                // A ring may come in between: then the byte is RUNG and stays so for the next round.
                let _ = self.state.compare_exchange(ASLEEP, QUIET, Ordering::Relaxed, Ordering::Relaxed);
                return;
            }
        }
    }

    /// The thread that calls is the one to unpark.
    fn register(&self) {
        let mut owner = lock(&self.owner);
        let me = current();
        if owner.as_ref().is_none_or(|known| known.id() != me.id()) {
            *owner = Some(me);
        }
    }
}

/// The bells of all workers of a job. Made before the operators, so that sources and their helper threads can hold them.
#[derive(Clone, Debug)]
pub struct Doorbells(Arc<[Doorbell]>);

impl Doorbells {
    /// One bell for each of `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Doorbell::new()).collect())
    }

    /// Number of bells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There is no bell at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rings the bell of `worker`.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn ring(&self, worker: WorkerId) {
        self.bell(worker).ring();
    }

    /// Rings every bell.
    pub fn ring_all(&self) {
        self.0.iter().for_each(Doorbell::ring);
    }

    /// The bell of `worker`.
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn bell(&self, worker: WorkerId) -> &Doorbell {
        &self.0[usize::from(worker.0)]
    }
}

#[cfg(all(test, not(thalweg_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_not_lost() {
        let bell = Doorbell::new();
        bell.ring();
        // A limit that would fail the test by hanging it.
        bell.wait(Duration::from_secs(3600));
        assert!(bell.take());
        assert!(!bell.take(), "one ring is taken once");
    }

    #[test]
    fn the_limit_ends_a_wait_that_nobody_rings() {
        let bell = Doorbell::new();
        bell.wait(Duration::from_millis(1));
        assert!(!bell.take());
        // It can sleep again: a byte that is left ASLEEP would make every wait return at once.
        let (start, limit) = (Instant::now(), Duration::from_millis(5));
        bell.wait(limit);
        assert!(start.elapsed() >= limit);
        bell.ring();
        assert!(bell.is_rung());
    }

    #[test]
    fn two_threads_hand_a_token_to_and_fro_without_a_limit() {
        let bells = Doorbells::new(2);
        let rounds = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for me in 0..2u16 {
                let (bells, rounds) = (&bells, &rounds);
                scope.spawn(move || {
                    loop {
                        bells.bell(WorkerId(me)).take();
                        let round = rounds.load(Ordering::Acquire);
                        if round >= 2000 {
                            bells.ring_all();
                            break;
                        }
                        if round % 2 == u64::from(me) {
                            rounds.store(round + 1, Ordering::Release);
                            bells.ring(WorkerId(1 - me));
                        } else {
                            bells.bell(WorkerId(me)).wait(Duration::from_secs(3600));
                        }
                    }
                });
            }
        });
        assert_eq!(rounds.into_inner(), 2000);
    }
}
