//! The only door to atomics, locks, parking and channels.
//!
//! A normal build gets std and crossbeam-channel. Under `--cfg thalweg_loom` the same names are loom's, so that the
//! models run the source that production runs. Loom cannot look into crossbeam-channel: there, a channel is its
//! specification instead, the weakest bounded first-in-first-out queue that our protocols can do with. What the models
//! prove therefore holds over *a correct* channel; that crossbeam's is one, its own tests must say.
//!
//! Orderings and steps that a protocol hangs on are *sites*: `ordering!(lane_raise, Acquire)` is an ordering, and
//! `mutant!(lane_rings_nobody)` is false. Under loom one of them, named by the environment, is weaker than it should be or
//! true, and a model has to fail; a normal build compiles to the orderings and to nothing.
//!
//! `Arc` is std's in both: nothing here hangs on the order in which references are counted.

pub use std::sync::Arc;
use std::sync::TryLockError;

/// An ordering with a name: what it says.
#[cfg(not(thalweg_loom))]
macro_rules! ordering {
    ($site:ident, $ordering:ident) => {
        $crate::sync::Ordering::$ordering
    };
}

/// A step with a name, to be left out or done wrong by a model: false.
#[cfg(not(thalweg_loom))]
macro_rules! mutant {
    ($site:ident) => {
        false
    };
}

/// An ordering that is Relaxed if the models ask for this mutant.
#[cfg(thalweg_loom)]
macro_rules! ordering {
    ($site:ident, $ordering:ident) => {
        if $crate::sync::mutation::is_active(stringify!($site)) {
            $crate::sync::Ordering::Relaxed
        } else {
            $crate::sync::Ordering::$ordering
        }
    };
}

/// True if the models ask for this mutant.
#[cfg(thalweg_loom)]
macro_rules! mutant {
    ($site:ident) => {
        $crate::sync::mutation::is_active(stringify!($site))
    };
}

pub(crate) use {mutant, ordering};

#[cfg(not(thalweg_loom))]
mod real {
    pub use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
    pub use std::hint::spin_loop;
    pub use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub use std::thread::{Thread, ThreadId, current, park_timeout};
}

#[cfg(thalweg_loom)]
mod real {
    pub use super::model_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
    pub use loom::hint::spin_loop;
    pub use loom::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub use loom::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub use loom::thread::{Thread, ThreadId, current};

    /// Parks without a bound: a model must not be saved by a time limit from a wake-up that was lost.
    pub fn park_timeout(_limit: std::time::Duration) {
        loom::thread::park();
    }
}

pub use real::*;

/// Locks `mutex`, whether or not a thread panicked while it held it: a panic ends the job by another way
/// ([`Control`](crate::Control)), and all that our locks guard stays whole between two statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// Locks `mutex` if nobody holds it; otherwise as [`lock`].
pub fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Locks `rw_lock` for reading, beside others; as [`lock`] where a thread panicked.
pub fn read<T>(rw_lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    match rw_lock.read() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// Locks `rw_lock` for writing, alone; as [`lock`] where a thread panicked.
pub fn write<T>(rw_lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    match rw_lock.write() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// Which site is weak, in models only.
#[cfg(thalweg_loom)]
pub mod mutation {
    use std::sync::OnceLock;

    /// The environment variable that names the mutant; without it there is none.
    pub const VARIABLE: &str = "THALWEG_MUTANT";

    /// Is this the mutant? Read once per process, so that every execution of a model sees the same.
    pub fn is_active(site: &str) -> bool {
        static ACTIVE: OnceLock<Option<String>> = OnceLock::new();
        ACTIVE.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref() == Some(site)
    }
}

/// The specification of a bounded channel with one sender and one receiver, for models.
///
/// It promises what every such channel does and nothing else: messages arrive in order and once, at most `capacity` are
/// under way, who receives a message sees what its sender did before, and an end that is gone is noticed behind the last
/// message. It does *not* promise that a message or a free place is seen at once: each end counts by itself, and the
/// other end may look at an old count as long as nothing else tells it that time has passed. So a protocol that sleeps on
/// a full or empty channel must bring along what makes the look before the sleep a fresh one.
#[cfg(thalweg_loom)]
pub mod model_channel {
    use super::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use std::collections::VecDeque;
    // Std's: loom's threads take turns on one thread of the system, so nobody meets at this lock and loom need not know.
    use std::sync::Mutex;

    struct State<T> {
        queue: Mutex<VecDeque<T>>,
        capacity: usize,
        /// Messages sent, and [`GONE`] if there will be no other. Written by the sender alone.
        sent: AtomicUsize,
        /// The same of messages received and the receiver.
        received: AtomicUsize,
    }

    /// In whole jobs, whose loads are too many to look at every old value of: both ends see each other's count at once.
    pub static SEES_AT_ONCE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

    /// The count of the other end.
    fn look(count: &AtomicUsize) -> usize {
        if SEES_AT_ONCE.load(std::sync::atomic::Ordering::Relaxed) {
            count.fetch_add(0, Ordering::AcqRel)
        } else {
            count.load(Ordering::Acquire)
        }
    }

    /// Set in an end's count when the end is gone.
    const GONE: usize = 1 << (usize::BITS - 1);

    impl<T> State<T> {
        fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<T>> {
            self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }

    /// Why a message was not sent; it comes back.
    #[derive(Debug)]
    pub enum TrySendError<T> {
        /// No room.
        Full(T),
        /// No receiver is left.
        Disconnected(T),
    }

    /// Why no message was received.
    #[derive(Debug, PartialEq, Eq)]
    pub enum TryRecvError {
        /// Nothing there now.
        Empty,
        /// Nothing there, and no sender is left.
        Disconnected,
    }

    /// The sending side, and how much went through it.
    pub struct Sender<T>(Arc<State<T>>, std::cell::Cell<usize>);

    /// The receiving side, and how much went through it.
    pub struct Receiver<T>(Arc<State<T>>, std::cell::Cell<usize>);

    /// A channel that holds at most `capacity` messages.
    pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let [sent, received] = [(), ()].map(|()| AtomicUsize::new(0));
        let state = Arc::new(State { queue: Mutex::new(VecDeque::new()), capacity, sent, received });
        (Sender(Arc::clone(&state), 0.into()), Receiver(state, 0.into()))
    }

    impl<T> Sender<T> {
        /// Sends at once, or gives the message back.
        pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
            let Self(state, sent) = self;
            let received = look(&state.received);
            if received & GONE != 0 {
                return Err(TrySendError::Disconnected(message));
            }
            if sent.get() - received >= state.capacity {
                return Err(TrySendError::Full(message));
            }
            state.queue().push_back(message);
            sent.set(sent.get() + 1);
            state.sent.fetch_add(1, Ordering::Release);
            Ok(())
        }
    }

    impl<T> Receiver<T> {
        /// Receives at once, or says why not.
        pub fn try_recv(&self) -> Result<T, TryRecvError> {
            let Self(state, received) = self;
            let sent = look(&state.sent);
            if sent & !GONE == received.get() {
                return Err(if sent & GONE == 0 { TryRecvError::Empty } else { TryRecvError::Disconnected });
            }
            let message = state.queue().pop_front().expect("what was sent and not received is in the queue");
            received.set(received.get() + 1);
            state.received.fetch_add(1, Ordering::Release);
            Ok(message)
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.sent.fetch_add(GONE, Ordering::Release);
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            self.0.received.fetch_add(GONE, Ordering::Release);
            // As in crossbeam, the last receiver takes what is left with it. Not under the lock: a message may own the other
            // end of a channel.
            let left = std::mem::take(&mut *self.0.queue());
            drop(left);
        }
    }
}
