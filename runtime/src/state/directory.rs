//! The directory of `partition-lock`: from the hash of a key to the cell that holds it, each cell with a lock of its own.
//!
//! The directory is striped: a hash leads to one of [`STRIPES`] maps, each behind a read-write lock, which is written only
//! where a key is new or gone. No lock of a stripe is held while the lock of a cell is awaited: whoever looks a cell up
//! takes a reference and lets go of the stripe.
//!
//! So a cell may be dropped between being found and being locked. A cell that is dropped is emptied under its own lock
//! first, and an empty cell takes nothing in: whoever locks it and finds it empty puts a new cell in its place and starts
//! again. The one that empties a cell takes it off the map afterwards, unless it was replaced by then. Hence nothing is
//! ever put into a cell that is off the map.

use super::bytes::SharedBytes;
use crate::sync::{Arc, Mutex, RwLock, lock, mutant, read, write};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Maps in a directory: so many that two producers seldom meet where keys are new. A model needs no more than one.
const STRIPES: usize = if cfg!(thalweg_loom) { 1 } else { 64 };

/// Cells by hash. Two keys with the same hash share a cell.
pub(super) struct Directory<T> {
    stripes: Vec<RwLock<Stripe<T>>>,
    /// Counts maps and cells, but not what the cells hold.
    bytes: SharedBytes,
}

type Stripe<T> = HashMap<u64, Arc<Cell<T>>, BuildHasherDefault<AsItIs>>;

/// None once it is dropped.
struct Cell<T>(Mutex<Option<T>>);

/// Whether a cell is still needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Yes,
    No,
}

impl<T> Directory<T> {
    /// Without cells.
    pub fn new(bytes: &SharedBytes) -> Self {
        Self { stripes: (0..STRIPES).map(|_| RwLock::new(Stripe::default())).collect(), bytes: bytes.clone() }
    }

    /// Works on the cell of `hash` under its lock; `make` fills it if it is new.
    pub fn with<R>(&self, hash: u64, make: impl Fn() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let found = read(self.stripe(hash)).get(&hash).cloned();
        let mut cell = found.unwrap_or_else(|| self.insert(hash, None, &make));
        loop {
            {
                let mut content = lock(&cell.0);
                if mutant!(directory_fills_a_dropped_cell) {
                    content.get_or_insert_with(&make);
                }
                if let Some(content) = content.as_mut() {
                    return work(content);
                }
            }
            cell = self.insert(hash, Some(&cell), &make);
        }
    }

    /// Looks at the cell of `hash` under its lock, if there is one.
    pub fn look<R>(&self, hash: u64, look: impl FnOnce(&T) -> R) -> Option<R> {
        let cell = read(self.stripe(hash)).get(&hash).cloned()?;
        let content = lock(&cell.0);
        content.as_ref().map(look)
    }

    /// Looks at all cells, one after the other, until one fails.
    pub fn look_at_all<E>(&self, mut look: impl FnMut(&T) -> Result<(), E>) -> Result<(), E> {
        let look = &mut look;
        self.stripes.iter().flat_map(cells).try_for_each(|(_, cell)| lock(&cell.0).as_ref().map_or(Ok(()), &mut *look))
    }

    /// Works on all cells, one after the other, until one fails. Those that are needed no more are dropped.
    pub fn sweep<E>(&self, mut work: impl FnMut(&mut T) -> Result<Keep, E>) -> Result<(), E> {
        for stripe in &self.stripes {
            let mut dropped = Vec::new();
            for (hash, cell) in cells(stripe) {
                let mut content = lock(&cell.0);
                let keep = content.as_mut().map_or(Ok(Keep::Yes), &mut work)?;
                if keep == Keep::No {
                    *content = None;
                    drop(content);
                    dropped.push((hash, cell));
                }
            }
            self.remove(stripe, &dropped);
        }
        Ok(())
    }

    fn stripe(&self, hash: u64) -> &RwLock<Stripe<T>> {
        // Bits that neither the maps inside (the lowest and the highest) nor the key groups (the highest) go by.
        &self.stripes[(hash >> 32) as usize % STRIPES]
    }

    /// A new cell for `hash`, unless there is one already that is not `dropped`.
    fn insert(&self, hash: u64, dropped: Option<&Arc<Cell<T>>>, make: &impl Fn() -> T) -> Arc<Cell<T>> {
        let mut stripe = write(self.stripe(hash));
        if let Some(cell) = stripe.get(&hash)
            && !mutant!(directory_replaces_a_live_cell)
            && dropped.is_none_or(|dropped| !Arc::ptr_eq(dropped, cell))
        {
            return Arc::clone(cell);
        }
        let cell = Arc::new(Cell(Mutex::new(Some(make()))));
        self.change(&mut stripe, |stripe| stripe.insert(hash, Arc::clone(&cell)));
        cell
    }

    fn remove(&self, stripe: &RwLock<Stripe<T>>, dropped: &[(u64, Arc<Cell<T>>)]) {
        if dropped.is_empty() {
            return;
        }
        let mut stripe = write(stripe);
        self.change(&mut stripe, |stripe| {
            for (hash, cell) in dropped {
                if stripe.get(hash).is_some_and(|known| Arc::ptr_eq(known, cell) || mutant!(directory_removes_any_cell))
                {
                    stripe.remove(hash);
                }
            }
            // Memory of keys that are gone, once it is most of it.
            if stripe.len() * 4 <= stripe.capacity() {
                stripe.shrink_to(stripe.len() * 2);
            }
        });
    }

    fn change<R>(&self, stripe: &mut Stripe<T>, change: impl FnOnce(&mut Stripe<T>) -> R) {
        let bytes = |stripe: &Stripe<T>| {
            // A slot has a byte of control; a cell is behind two counts of references.
            let slot = size_of::<(u64, Arc<Cell<T>>)>() + 1;
            stripe.capacity() * slot + stripe.len() * (size_of::<Cell<T>>() + 2 * size_of::<usize>())
        };
        let was = bytes(stripe);
        change(stripe);
        self.bytes.change(was, bytes(stripe));
    }
}

/// The cells of a stripe as they are now.
fn cells<T>(stripe: &RwLock<Stripe<T>>) -> Vec<(u64, Arc<Cell<T>>)> {
    read(stripe).iter().map(|(hash, cell)| (*hash, Arc::clone(cell))).collect()
}

/// Takes a hash as its own hash.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not called for u64; right for whatever may be.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(all(test, not(thalweg_loom)))]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::thread;

    #[test]
    fn nothing_is_put_into_a_cell_that_is_dropped() {
        const ADDS: u64 = 20_000;
        let bytes = SharedBytes::default();
        let directory = Directory::<u64>::new(&bytes);
        let mut swept = 0;
        // Takes all out, and drops every cell.
        let mut sweep = || {
            let Ok(()) = directory.sweep(|sum| {
                swept += std::mem::take(sum);
                Ok::<_, Infallible>(Keep::No)
            });
        };
        thread::scope(|scope| {
            let add = |_| scope.spawn(|| (0..ADDS).for_each(|add| directory.with(add % 3, || 0, |sum| *sum += 1)));
            let threads: Vec<_> = (0..3).map(add).collect();
            while !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
                sweep();
            }
        });
        sweep();
        assert_eq!(swept, 3 * ADDS);
        assert_eq!(bytes.get(), 0, "the maps have let go of their memory");
    }

    #[test]
    fn a_cell_that_took_the_place_of_a_dropped_one_stays() {
        let directory = Directory::<u64>::new(&SharedBytes::default());
        directory.with(7, || 0, |sum| *sum += 1);
        let (_, dropped) = cells(directory.stripe(7)).remove(0);
        // As a sweep does it, and a producer comes before it has taken the cell off the map.
        *lock(&dropped.0) = None;
        directory.with(7, || 0, |sum| *sum += 2);
        directory.remove(directory.stripe(7), &[(7, dropped)]);
        assert_eq!(directory.look(7, |sum| *sum), Some(2));
    }

    #[test]
    fn every_key_that_is_kept_is_found_and_counts_as_memory() {
        let bytes = SharedBytes::default();
        let directory = Directory::new(&bytes);
        let hash = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for key in 0..1000 {
            directory.with(hash(key), || key, |_| ());
            directory.with(hash(key), || unreachable!("there is a cell"), |content| assert_eq!(*content, key));
        }
        let full = bytes.get();
        assert!(full > 1000 * size_of::<(u64, Cell<u64>)>(), "{full}");
        let keep = |key: &mut u64| Ok::<_, Infallible>(if *key < 10 { Keep::Yes } else { Keep::No });
        let Ok(()) = directory.sweep(keep);
        assert!(bytes.get() < full / 10, "{} of {full}", bytes.get());
        let seen: Vec<u64> = (0..1000).filter_map(|key| directory.look(hash(key), |content| *content)).collect();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        let mut all = Vec::new();
        let Ok(()) = directory.look_at_all(|key| {
            all.push(*key);
            Ok::<_, Infallible>(())
        });
        all.sort_unstable();
        assert_eq!(all, seen);
    }
}
