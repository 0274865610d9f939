//! The only door to atomics, locks, parking and channels.
//!
//! A normal build gets std and crossbeam-channel. Under `--cfg thalweg_loom` the same names are loom's, so that the
//! models run the source that production runs. Loom cannot look into crossbeam-channel: there, a channel is its
//! specification instead, a bounded first-in-first-out queue behind one lock. What the models prove therefore holds for
//! our protocols over *a correct* channel; that crossbeam's is one, its own tests must say.
//!
//! `Arc` is std's in both: nothing here hangs on the order in which references are counted.

pub use std::sync::Arc;
use std::sync::TryLockError;

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

/// The specification of a bounded channel, for models: one lock, one queue, and who is still there.
#[cfg(thalweg_loom)]
mod model_channel {
    use super::Arc;
    use loom::sync::Mutex;
    use std::collections::VecDeque;

    struct State<T> {
        queue: VecDeque<T>,
        capacity: usize,
        senders: usize,
        receivers: usize,
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

    /// The sending side.
    pub struct Sender<T>(Arc<Mutex<State<T>>>);

    /// The receiving side.
    pub struct Receiver<T>(Arc<Mutex<State<T>>>);

    /// A channel that holds at most `capacity` messages.
    pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let state = State { queue: VecDeque::new(), capacity, senders: 1, receivers: 1 };
        let state = Arc::new(Mutex::new(state));
        (Sender(Arc::clone(&state)), Receiver(state))
    }

    impl<T> Sender<T> {
        /// Sends at once, or gives the message back.
        pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
            let mut state = super::lock(&self.0);
            if state.receivers == 0 {
                return Err(TrySendError::Disconnected(message));
            }
            if state.queue.len() >= state.capacity {
                return Err(TrySendError::Full(message));
            }
            state.queue.push_back(message);
            Ok(())
        }
    }

    impl<T> Receiver<T> {
        /// Receives at once, or says why not.
        pub fn try_recv(&self) -> Result<T, TryRecvError> {
            let mut state = super::lock(&self.0);
            match state.queue.pop_front() {
                Some(message) => Ok(message),
                None if state.senders == 0 => Err(TryRecvError::Disconnected),
                None => Err(TryRecvError::Empty),
            }
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            super::lock(&self.0).senders += 1;
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Clone for Receiver<T> {
        fn clone(&self) -> Self {
            super::lock(&self.0).receivers += 1;
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            super::lock(&self.0).senders -= 1;
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            let left = {
                let mut state = super::lock(&self.0);
                state.receivers -= 1;
                if state.receivers == 0 { std::mem::take(&mut state.queue) } else { VecDeque::new() }
            };
            // Dropped outside of the lock: a message may own the other end of a channel.
            drop(left);
        }
    }
}
