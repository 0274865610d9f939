//! Versions of state for readers: made by the owner when somebody asked, read without touching the state.

use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};

/// How often the state had changed when it was read; per part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// The latest version that was made of one part of the state.
///
/// A reader takes what is there, and asks for a newer one; the owner makes it in one of its next steps. The lock guards
/// the exchange of one pointer.
#[derive(Debug)]
pub struct Published<T> {
    is_wanted: AtomicBool,
    latest: Mutex<(Version, Arc<T>)>,
}

impl<T> Published<T> {
    /// With a first version.
    pub fn new(first: T) -> Self {
        Self { is_wanted: AtomicBool::new(false), latest: Mutex::new((Version(0), Arc::new(first))) }
    }

    /// Did a reader ask since the last call? The answer is to be followed by [`publish`](Self::publish).
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

    /// Replaces the latest version, unless it is as new.
    pub fn publish(&self, version: Version, value: T) {
        let mut latest = lock(&self.latest);
        if version > latest.0 {
            *latest = (version, Arc::new(value));
        }
    }

    /// The latest version; asks for a newer one. Whoever calls rings the owner's bell afterwards.
    #[must_use]
    pub fn read(&self) -> (Version, Arc<T>) {
        self.is_wanted.store(true, Ordering::Relaxed);
        let latest = lock(&self.latest);
        (latest.0, Arc::clone(&latest.1))
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
        published.publish(Version(7), "seven");
        published.publish(Version(3), "three");
        assert_eq!(published.read(), (Version(7), Arc::new("seven")));
    }
}
