//! The columns of one row group, which all workers share: whoever needs a page that is not there yet loads it for all.
//!
//! A page is read and decompressed once, by the worker that holds its column, and goes when the last of its rows has been
//! decoded. While another worker holds a column, one looks for a column that nobody holds.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::super::contained::contained;
use super::super::layout::OpenFile;
use super::page::{DataPage, Dictionary};
use super::raw::{Loader, PageKind, RawPages};
use super::{DirectColumn, DirectColumns};

/// The columns that are read of one row group.
pub struct GroupChunks {
    chunks: Vec<Mutex<Chunk>>,
    /// Something is in it that is not read here.
    is_refused: AtomicBool,
}

/// One column.
struct Chunk {
    column: DirectColumn,
    /// What is left to load; `None` if it cannot be read here.
    pages: Option<RawPages>,
    dictionary: Option<Arc<Dictionary>>,
    /// In order, without those that all rows were decoded of.
    loaded: VecDeque<Arc<DataPage>>,
    /// Rows in front of what is left to load.
    rows_loaded: u64,
}

/// Rows of a page.
pub type Part = (Arc<DataPage>, Range<u64>);

impl std::fmt::Debug for GroupChunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupChunks").field("chunks", &self.chunks.len()).finish_non_exhaustive()
    }
}

impl GroupChunks {
    /// Of a row group; nothing is read.
    #[must_use]
    pub fn new(open: &OpenFile, columns: &DirectColumns, group: usize) -> Self {
        let group = open.metadata.row_group(group);
        let chunk = |column: &DirectColumn| Chunk {
            column: column.clone(),
            pages: RawPages::new(&open.bytes, group.column(column.leaf)),
            dictionary: None,
            loaded: VecDeque::new(),
            rows_loaded: 0,
        };
        let chunks = columns.columns.iter().map(|column| Mutex::new(chunk(column))).collect();
        Self { chunks, is_refused: AtomicBool::new(false) }
    }

    /// The pages that hold `rows`, for each column. While another worker holds a column that is still wanted, calls
    /// `meanwhile`, until that has nothing to do. `None` if a page cannot be read here.
    #[must_use]
    pub fn pages(
        &self,
        rows: &Range<u64>,
        first: usize,
        loader: &mut Loader,
        mut meanwhile: impl FnMut(&mut Loader) -> bool,
    ) -> Option<Vec<Vec<Part>>> {
        let count = self.chunks.len();
        let mut found: Vec<Option<Vec<Part>>> = vec![None; count];
        let mut waits = false;
        loop {
            // Workers begin at different columns.
            for place in (0..count).map(|place| (place + first) % count) {
                if found[place].is_some() {
                    continue;
                }
                if self.is_refused() {
                    return None;
                }
                let Some(mut chunk) = self.lock(place, waits) else { continue };
                let parts = chunk.parts(rows, loader);
                if parts.is_none() {
                    self.refuse();
                }
                found[place] = Some(parts?);
            }
            if found.iter().all(Option::is_some) {
                return found.into_iter().collect();
            }
            waits = !meanwhile(loader);
        }
    }

    /// Loads the first page of a column that nobody has begun; whether there was one.
    #[must_use]
    pub fn begin_any(&self, loader: &mut Loader) -> bool {
        (0..self.chunks.len()).any(|place| self.begin(place, loader))
    }

    /// Loads the first page of column `place`; whether nobody had begun it.
    pub fn begin(&self, place: usize, loader: &mut Loader) -> bool {
        if self.is_refused() {
            return false;
        }
        let Some(mut chunk) = self.lock(place, false).filter(|chunk| chunk.rows_loaded == 0) else { return false };
        if chunk.load(loader).is_none() {
            self.refuse();
        }
        chunk.rows_loaded > 0
    }

    /// Column `place`; waits for it only if `waits`.
    fn lock(&self, place: usize, waits: bool) -> Option<MutexGuard<'_, Chunk>> {
        match self.chunks[place].try_lock() {
            Ok(chunk) => Some(chunk),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if waits => {
                Some(self.chunks[place].lock().unwrap_or_else(PoisonError::into_inner))
            }
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Leaves the row group to the other decoder from here on.
    pub fn refuse(&self) {
        // Relaxed: nothing rides on it; who misses it comes to the same end.
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// Whether it is left to the other decoder.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }
}

impl Chunk {
    fn parts(&mut self, rows: &Range<u64>, loader: &mut Loader) -> Option<Vec<Part>> {
        while self.loaded.front().is_some_and(|page| page.is_done()) {
            self.loaded.pop_front();
        }
        while self.rows_loaded < rows.end {
            self.load(loader)?;
        }
        let parts = self.loaded.iter().map(|page| {
            let part = rows.start.max(page.rows.start)..rows.end.min(page.rows.end);
            (Arc::clone(page), part)
        });
        Some(parts.filter(|(_, part)| part.start < part.end).collect())
    }

    /// Loads the next page of data.
    fn load(&mut self, loader: &mut Loader) -> Option<()> {
        let column = &self.column;
        loop {
            let pages = self.pages.as_mut()?;
            let page = contained(|| Ok::<_, String>(pages.next(loader))).ok()??;
            if page.kind == PageKind::Dictionary {
                self.dictionary = Some(Arc::new(Dictionary::new(&page, column.kind)?));
                continue;
            }
            let dictionary = self.dictionary.as_ref();
            let page = DataPage::new(&page, self.rows_loaded, column.kind, column.is_optional, dictionary)?;
            if page.rows.is_empty() {
                continue;
            }
            self.rows_loaded = page.rows.end;
            self.loaded.push_back(Arc::new(page));
            return Some(());
        }
    }
}
