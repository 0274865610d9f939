//! Tables whose windows were emitted, kept empty for windows to come.

use thalweg_runtime::state::{Share, SharedBytes};
use thalweg_runtime::sync::{AtomicBool, Mutex, Ordering, lock};

use super::store::GroupStore;

/// The way back for tables from those who emit windows to the shards that open new ones, whoever holds them: one place
/// for each emission. Its lock is taken once for each large window, never for a row.
///
/// Tables that are small are made as fast as they are handed around, so they do not come here; a million shards of one
/// group each never meet at this lock.
#[derive(Debug, Default)]
pub(super) struct Spares {
    shelf: Mutex<Shelf>,
    /// Of the tables on the shelf; 0 exactly where it is empty.
    bytes: SharedBytes,
    /// No window will be opened any more.
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct Shelf {
    stores: Vec<GroupStore>,
    places: usize,
}

/// Tables that are smaller are dropped.
const BYTES_MIN: usize = 4096;
/// Rows or groups that open a window: for fewer, a new table does.
const ROWS_MIN: usize = 64;

impl Spares {
    /// One more place, and a share in what the tables hold.
    pub(super) fn place(&self) -> Share {
        lock(&self.shelf).places += 1;
        self.bytes.share()
    }

    /// An empty table for a window that begins with so many rows or groups, if there is one.
    pub(super) fn take(&self, rows: usize) -> Option<GroupStore> {
        if rows < ROWS_MIN || self.bytes.get() == 0 {
            return None;
        }
        let mut shelf = lock(&self.shelf);
        let store = shelf.stores.pop()?;
        self.bytes.change(store.bytes(), 0);
        Some(store)
    }

    /// Keeps a table whose groups are not needed any more, if there is room.
    pub(super) fn put(&self, mut store: GroupStore) {
        // Relaxed: who misses it finds no place.
        if store.bytes() < BYTES_MIN || self.is_over.load(Ordering::Relaxed) {
            return;
        }
        store.clear();
        let mut shelf = lock(&self.shelf);
        if shelf.stores.len() < shelf.places {
            self.bytes.change(0, store.bytes());
            shelf.stores.push(store);
        }
    }

    /// No window will be opened any more.
    pub(super) fn end(&self) {
        // Relaxed: the shelf is cleared by whoever comes first, under its lock.
        if !self.is_over.swap(true, Ordering::Relaxed) {
            let mut shelf = lock(&self.shelf);
            self.bytes.change(shelf.stores.iter().map(GroupStore::bytes).sum(), 0);
            *shelf = Shelf::default();
        }
    }
}
