//! What a strategy did: counts by which a test can tell that it is what its name says.

use crate::sync::{AtomicU64, Ordering};

macro_rules! witness {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters, shared by all producers and owners of one state. Added to a few times per batch, never per row. On cache
        /// lines of their own: what lies beside them is read by everybody for every batch.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Witness {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct WitnessCounts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Witness {
            /// The counts now.
            #[must_use]
            pub fn counts(&self) -> WitnessCounts {
                WitnessCounts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

witness! {
    /// Batches that producers took in.
    batches,
    /// Times that state was cloned for a batch.
    clones,
    /// Bytes of state that were cloned for batches.
    bytes_cloned,
    /// Locks of the state, or of a part of it, taken for batches.
    locks,
    /// Locks of a single key among them.
    key_locks,
    /// Locks among them that another thread held when they were first wanted, where a strategy looks before it waits.
    locks_awaited,
    /// Messages sent to owners.
    messages,
    /// Messages sent to the owner on another worker.
    lane_messages,
    /// Rows that travelled as rows.
    rows_sent,
    /// Partials merged under a lock.
    merges_locked,
    /// Partials merged by their owner, without a lock.
    merges_owned,
    /// Versions published for readers.
    versions,
    /// Frontiers for which an owner was elected.
    elections,
}

impl Witness {
    /// Adds to a counter. Relaxed: a counter orders nothing.
    pub fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}
