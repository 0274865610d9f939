//! Bytes of a state that several workers change: each worker reports a share, and the shares add up.

use crate::sync::{Arc, AtomicUsize, Mutex, Ordering, lock};

/// The size of one shared state.
///
/// Workers publish what they hold one by one, so a shared state is divided: a [`Share`] reports what no other share has
/// reported yet. The sum is the size as of the last report, or less than the greatest size so far while the state shrinks.
#[derive(Clone, Debug, Default)]
pub struct SharedBytes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bytes: AtomicUsize,
    shares: Mutex<Vec<Arc<AtomicUsize>>>,
}

/// What one worker answers for. What it had reported is for the others to report once it is dropped.
#[derive(Debug)]
pub struct Share {
    whole: SharedBytes,
    reported: Arc<AtomicUsize>,
}

impl SharedBytes {
    /// The state grew or shrank.
    pub fn change(&self, was: usize, is: usize) {
        // Relaxed, as all published numbers: nothing else hangs on them.
        // Most merges change nothing, and then nobody's cache line is taken away.
        if is > was {
            self.0.bytes.fetch_add(is - was, Ordering::Relaxed);
        } else if is < was {
            self.0.bytes.fetch_sub(was - is, Ordering::Relaxed);
        }
    }

    /// The size now.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// One more share, which has reported nothing.
    #[must_use]
    pub fn share(&self) -> Share {
        let reported = Arc::new(AtomicUsize::new(0));
        lock(&self.0.shares).push(Arc::clone(&reported));
        Share { whole: self.clone(), reported }
    }
}

impl Share {
    /// Bytes to be published for this share: what of the whole no other share reports.
    #[must_use]
    pub fn report(&self) -> usize {
        let shares = lock(&self.whole.0.shares);
        let others = shares.iter().filter(|share| !Arc::ptr_eq(share, &self.reported));
        let others: usize = others.map(|share| share.load(Ordering::Relaxed)).sum();
        let mine = self.whole.get().saturating_sub(others);
        self.reported.store(mine, Ordering::Relaxed);
        mine
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        lock(&self.whole.0.shares).retain(|share| !Arc::ptr_eq(share, &self.reported));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_whole_and_never_beyond_the_peak() {
        let whole = SharedBytes::default();
        let (first, second) = (whole.share(), whole.share());
        whole.change(0, 100);
        assert_eq!((first.report(), second.report()), (100, 0));
        whole.change(100, 160);
        assert_eq!((second.report(), first.report()), (60, 100));
        whole.change(160, 10);
        assert_eq!(first.report() + 60, 60, "the other share is not told yet");
        assert_eq!((second.report(), first.report()), (10, 0));
    }

    #[test]
    fn what_a_share_had_reported_passes_to_the_others_when_it_is_dropped() {
        let whole = SharedBytes::default();
        let (first, second) = (whole.share(), whole.share());
        whole.change(0, 100);
        assert_eq!((first.report(), second.report()), (100, 0));
        drop(first);
        assert_eq!(second.report(), 100);
    }
}
