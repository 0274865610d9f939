//! The hiccup control: how late this machine is by itself, with nothing to do.
//!
//! A thread waits for one time after the other, as a worker that waits for rows of a schedule would, and records how late
//! it was for each. Whatever it finds is the machine's own: other threads, interrupts, a hypervisor that gives the core to
//! somebody else. After Gil Tene's jHiccup; as there, a time that passed while the thread was held up counts too.

use super::histogram;
use crate::affinity::{Pin, pin_current, plan, usable_cores};
use hdrhistogram::Histogram;
use std::thread;
use std::time::{Duration, Instant};

/// Between two times that are waited for.
const EVERY: Duration = Duration::from_micros(100);

/// Measures for `length` on `threads` threads, bound to cores as workers would be, and gives the sum. A thread spins up to
/// each time if `spins`, and sleeps otherwise.
#[must_use]
pub fn measure(length: Duration, threads: usize, pin: &Pin, spins: bool) -> Histogram<u64> {
    let choices = plan(pin, threads, usable_cores().as_deref());
    let parts: Vec<Histogram<u64>> = thread::scope(|scope| {
        let start = |choice| {
            scope.spawn(move || {
                let _ = pin_current(choice);
                wait_and_see(length, spins)
            })
        };
        let threads: Vec<_> = choices.into_iter().map(start).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut all = histogram();
    for part in parts {
        all.add(part).expect("histograms of the same bounds add up");
    }
    all
}

fn wait_and_see(length: Duration, spins: bool) -> Histogram<u64> {
    let mut late = histogram();
    let start = Instant::now();
    let mut due = EVERY;
    while due < length {
        let passed = loop {
            let passed = start.elapsed();
            if passed >= due {
                break passed;
            }
            if spins {
                std::hint::spin_loop();
            } else {
                thread::sleep(due - passed);
            }
        };
        // Every time that has passed by now, the last one included.
        while due <= passed && due < length {
            late.saturating_record((passed - due).as_nanos() as u64);
            due += EVERY;
        }
    }
    late
}

#[cfg(all(test, not(thalweg_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_seen_once() {
        for spins in [false, true] {
            let late = measure(Duration::from_millis(20), 2, &Pin::Off, spins);
            assert_eq!(late.len(), 2 * 199);
        }
    }
}
