//! Versions of state for readers: made by the owner when somebody asked, read without touching the state.

use crate::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, lock, mutant, try_lock};

/// How often the state had changed when it was read; per part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// The latest version that was made of one part of the state. On cache lines of its own.
///
/// A reader takes what is there, and asks for a newer one; the owner makes it in one of its next steps. The lock guards
/// the exchange of one pointer, and the owner does not even wait for that.
#[derive(Debug)]
#[repr(align(128))]
pub struct Published<T> {
    is_wanted: AtomicBool,
    latest: Mutex<(Version, Arc<T>)>,
}

impl<T> Published<T> {
    /// With a first version.
    pub fn new(first: T) -> Self {
        Self { is_wanted: AtomicBool::new(false), latest: Mutex::new((Version(0), Arc::new(first))) }
    }

    /// Did a reader ask since the last call? The answer is to be followed by [`publish`](Self::publish), if there is
    /// anything newer.
    pub fn take_request(&self) -> bool {
        // Looked at in every step: the line is only written to where somebody asked. What is published is ordered by the
        // lock, so Relaxed is enough.
        self.is_wanted.load(Ordering::Relaxed) && self.is_wanted.swap(false, Ordering::Relaxed)
    }

    /// How new the latest version is; asks for nothing.
    #[must_use]
    pub fn version(&self) -> Version {
        lock(&self.latest).0
    }

    /// Replaces the latest version, unless it is as new. May wait for a reader that is taking the latest version.
    pub fn publish(&self, version: Version, value: Arc<T>) {
        replace(lock(&self.latest), version, value);
    }

    /// As [`publish`](Self::publish), but never waits.
    ///
    /// # Errors
    /// The value, if a reader is taking the latest version just now. That reader rings when it has it; then try again.
    pub fn try_publish(&self, version: Version, value: Arc<T>) -> Result<(), Arc<T>> {
        match try_lock(&self.latest) {
            Some(latest) => {
                replace(latest, version, value);
                Ok(())
            }
            None if mutant!(published_drops_an_offer) => Ok(()),
            None => Err(value),
        }
    }

    /// The latest version; asks for a newer one. Whoever calls rings the owner's bell afterwards.
    #[must_use]
    pub fn read(&self) -> (Version, Arc<T>) {
        let latest = lock(&self.latest);
        // Relaxed: the bell makes the wish visible. Behind the lock, whose cache line it shares.
        self.is_wanted.store(!mutant!(published_asks_for_nothing), Ordering::Relaxed);
        (latest.0, Arc::clone(&latest.1))
    }
}

fn replace<T>(mut latest: MutexGuard<'_, (Version, Arc<T>)>, version: Version, value: Arc<T>) {
    if version > latest.0 || mutant!(published_goes_back) {
        let old = std::mem::replace(&mut *latest, (version, value));
        // Nobody waits while an old version is freed, if this was the last one to hold it.
        drop(latest);
        drop(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_made_on_request_and_versions_do_not_go_back() {
        let published = Published::new("empty");
        assert!(!published.take_request());
        assert_eq!((*published.read().1, published.take_request(), published.take_request()), ("empty", true, false));
        published.publish(Version(7), Arc::new("seven"));
        assert_eq!(published.try_publish(Version(3), Arc::new("three")), Ok(()), "nobody is in the way");
        assert_eq!(published.read(), (Version(7), Arc::new("seven")));
    }

    #[test]
    fn an_owner_does_not_wait_for_a_reader_that_is_taking_a_version() {
        let published = Published::new(0);
        let reading = lock(&published.latest);
        assert_eq!(published.try_publish(Version(1), Arc::new(1)), Err(Arc::new(1)));
        drop(reading);
        assert_eq!(published.try_publish(Version(1), Arc::new(1)), Ok(()));
        assert_eq!(published.read(), (Version(1), Arc::new(1)));
    }
}
