//! Memory that goes round: tables whose windows were emitted, kept empty for windows to come, and what partials travelled in.

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
    /// Owners put here what producers take: memory that one worker asks for and another gives back is asked for anew, page
    /// by page, again and again.
    buffers: Mutex<Vec<Buffer>>,
    /// Of the tables on the shelf and of buffers; 0 exactly where there are none.
    bytes: SharedBytes,
    /// No window will be opened any more.
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct Shelf {
    stores: Vec<GroupStore>,
    places: usize,
}

/// Memory of groups on their way: their rows and their hashes.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) rows: Vec<u64>,
    pub(super) hashes: Vec<u64>,
}

impl Buffer {
    /// For so many groups.
    pub(super) fn new(groups: usize, stride: usize) -> Self {
        Self { rows: Vec::with_capacity(groups * stride), hashes: Vec::with_capacity(groups) }
    }

    fn bytes(&self) -> usize {
        (self.rows.capacity() + self.hashes.capacity()) * size_of::<u64>()
    }
}

/// Buffers that are kept for each place: about as many as are on their way between two workers.
const BUFFERS_MAX: usize = 8;
/// Larger ones come seldom, and together would be much.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// Tables that are smaller are dropped; so are buffers.
const BYTES_MIN: usize = 4096;
/// Rows or groups that open a window, or that it is likely to have: for fewer, a new table does.
const ROWS_MIN: usize = 64;

impl Spares {
    /// One more place, and a share in what the tables hold.
    pub(super) fn place(&self) -> Share {
        lock(&self.shelf).places += 1;
        self.bytes.share()
    }

    /// An empty table for a window that begins with so many rows or groups, or will have them, if there is one.
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

    /// Empty memory for so many groups.
    pub(super) fn buffer(&self, groups: usize, stride: usize) -> Buffer {
        if groups < ROWS_MIN || self.bytes.get() == 0 {
            return Buffer::new(groups, stride);
        }
        let Some(mut buffer) = lock(&self.buffers).pop() else { return Buffer::new(groups, stride) };
        self.bytes.change(buffer.bytes(), 0);
        buffer.rows.clear();
        buffer.hashes.clear();
        buffer.rows.reserve(groups * stride);
        buffer.hashes.reserve(groups);
        buffer
    }

    /// Keeps the memory of groups that have arrived, if there is room.
    pub(super) fn put_buffer(&self, buffer: Buffer) {
        let bytes = buffer.bytes();
        // Relaxed: who misses it finds no place.
        if !(BYTES_MIN..=BUFFER_BYTES_MAX).contains(&bytes) || self.is_over.load(Ordering::Relaxed) {
            return;
        }
        let shelf = lock(&self.shelf);
        let mut buffers = lock(&self.buffers);
        if buffers.len() < shelf.places * BUFFERS_MAX {
            self.bytes.change(0, bytes);
            buffers.push(buffer);
        }
    }

    /// No window will be opened any more.
    pub(super) fn end(&self) {
        // Relaxed: the shelf is cleared by whoever comes first, under its lock.
        if !self.is_over.swap(true, Ordering::Relaxed) {
            let mut shelf = lock(&self.shelf);
            self.bytes.change(shelf.stores.iter().map(GroupStore::bytes).sum(), 0);
            *shelf = Shelf::default();
            // The shelf has no places any more, so that no buffer comes from now on.
            let buffers = std::mem::take(&mut *lock(&self.buffers));
            self.bytes.change(buffers.iter().map(Buffer::bytes).sum(), 0);
        }
    }
}
