//! Windows that are over, on their way out as rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use thalweg_runtime::EventTimeMs;
use thalweg_runtime::state::{Aggregation, Share};

use super::output::ordinals;
use super::slices::{Slice, Slices};
use super::store::{GroupStore, MergeScratch};
use super::{ClosedWindow, GroupAggregation};
use crate::aggregate::AggregateError;
use crate::batch::{Batch, Stamps};
use crate::changelog::RowKinds;
use crate::window::TimeWindow;

/// What one owner emits: the windows that it was given, as batches of rows, the earliest end first.
///
/// State that is kept in parts gives a window in pieces, and windows that overlap come as panes; they are put together
/// here, so that a window leaves as one. Of windows that overlap only the one that leaves is held whole.
/// Its tables then go back to the shards of the same aggregation, for windows to come.
#[derive(Debug)]
pub struct Emission {
    aggregation: Arc<GroupAggregation>,
    /// Windows without overlap.
    due: BTreeMap<TimeWindow, Arc<GroupStore>>,
    /// Panes of windows that overlap.
    slices: Slices,
    /// The window whose rows are leaving.
    current: Option<Current>,
    /// Of all these tables.
    bytes: usize,
    /// In the tables that wait for windows to come.
    share: Share,
    scratch: MergeScratch,
}

#[derive(Debug)]
struct Current {
    window: TimeWindow,
    store: Arc<GroupStore>,
    /// Groups that are out already.
    emitted: usize,
    /// Bytes of it that are counted here.
    bytes: usize,
}

impl Emission {
    /// Nothing to emit yet of this aggregation.
    #[must_use]
    pub fn new(aggregation: Arc<GroupAggregation>) -> Self {
        let share = aggregation.spares.place();
        Self {
            aggregation,
            due: BTreeMap::new(),
            slices: Slices::default(),
            current: None,
            bytes: 0,
            share,
            scratch: MergeScratch::default(),
        }
    }

    /// What is emitted.
    #[must_use]
    pub fn aggregation(&self) -> &Arc<GroupAggregation> {
        &self.aggregation
    }

    /// Takes windows that are over. Pieces of one window may come in any order, as long as it has not begun to leave; they
    /// may hold different groups or parts of the same.
    ///
    /// # Errors
    /// If a window has too many groups.
    pub fn push(&mut self, windows: Vec<ClosedWindow>) -> Result<(), AggregateError> {
        let has_overlaps = self.aggregation.has_overlaps();
        for ClosedWindow { pane, until, store, is_kept, error } in windows {
            if let Some(error) = error {
                return Err(error);
            }
            if store.groups() == 0 {
                continue;
            }
            self.bytes += if is_kept { 0 } else { store.bytes() };
            if has_overlaps {
                self.slices.push(pane, Slice { until, store, is_kept });
            } else {
                self.push_whole(pane, store)?;
            }
        }
        Ok(())
    }

    fn push_whole(&mut self, window: TimeWindow, mut piece: Arc<GroupStore>) -> Result<(), AggregateError> {
        let Self { aggregation, due, bytes, scratch, .. } = self;
        match due.entry(window) {
            Entry::Vacant(entry) => _ = entry.insert(piece),
            Entry::Occupied(mut entry) => {
                let whole = entry.get_mut();
                if piece.groups() > whole.groups() {
                    std::mem::swap(whole, &mut piece);
                }
                *bytes -= whole.bytes() + piece.bytes();
                let result = add(aggregation, Arc::make_mut(whole), piece, scratch);
                *bytes += whole.bytes();
                result?;
            }
        }
        Ok(())
    }

    /// The next window that is due, whole.
    fn next_window(&mut self) -> Result<Option<Current>, AggregateError> {
        if let Some((window, store)) = self.due.pop_first() {
            let bytes = store.bytes();
            return Ok(Some(Current { window, store, emitted: 0, bytes }));
        }
        let Some(windows) = &self.aggregation.spec.window else { return Ok(None) };
        let Some((window, mut slices)) = self.slices.pop_window(windows) else { return Ok(None) };
        let held = |slice: &Slice| if slice.is_kept { 0 } else { slice.store.bytes() };
        let held: usize = slices.iter().map(held).sum();
        if let [_] = slices[..] {
            let store = slices.remove(0).store;
            return Ok(Some(Current { window, store, emitted: 0, bytes: held }));
        }
        let groups = slices.iter().map(|slice| slice.store.groups()).max().unwrap_or(0);
        let spare = self.aggregation.spares.take(groups);
        let mut whole = spare.unwrap_or_else(|| GroupStore::new(&self.aggregation.layout));
        for slice in slices {
            add(&self.aggregation, &mut whole, slice.store, &mut self.scratch)?;
        }
        let bytes = whole.bytes();
        self.bytes = self.bytes + bytes - held;
        Ok(Some(Current { window, store: Arc::new(whole), emitted: 0, bytes }))
    }

    /// The input is over, all of its windows were pushed, and this owner speaks for the whole state: a global aggregation
    /// has one row even if there was no input. COUNT is 0 then, other aggregates are NULL.
    ///
    /// # Errors
    /// None that data could cause.
    pub fn end(&mut self) -> Result<(), AggregateError> {
        let GroupAggregation { layout, spec, .. } = &*self.aggregation;
        let is_leaving = self.current.as_ref().is_some_and(|current| current.window == TimeWindow::ALL);
        if spec.is_global && !is_leaving {
            let store = self.due.entry(TimeWindow::ALL).or_insert_with(|| {
                let store = Arc::new(GroupStore::new(layout));
                self.bytes += store.bytes();
                store
            });
            self.bytes -= store.bytes();
            let result = Arc::make_mut(store).add_empty_key();
            self.bytes += store.bytes();
            result?;
        }
        Ok(())
    }

    /// Are there groups that are not out yet?
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.current.is_some() || !self.due.is_empty() || !self.slices.is_empty()
    }

    /// The next rows of what is due, of one window and at most `rows_max` (at least 1): key columns, aggregates and, for
    /// windows, `window_start`, `window_end` and `window_time`. `None`: nothing is due.
    ///
    /// The ordinals come from the window's end and the group's hash, so they do not depend on who emits a group.
    /// The rows within a window are in no order.
    ///
    /// # Errors
    /// If a result does not fit its type.
    pub fn next_batch(&mut self, rows_max: usize) -> Result<Option<Batch>, AggregateError> {
        if self.current.is_none() {
            self.current = self.next_window()?;
        }
        let Some(Current { window, store, emitted, .. }) = &mut self.current else { return Ok(None) };
        let (window, first) = (*window, *emitted);
        let groups = (store.groups() - first).min(rows_max.max(1));
        let columns = self.aggregation.rows(window, store, (first, groups))?;
        let ordinals = ordinals(window, &store.hashes()[first..first + groups]);
        *emitted += groups;
        if *emitted == store.groups()
            && let Some(Current { store, bytes, .. }) = self.current.take()
        {
            self.bytes -= bytes;
            if let Ok(store) = Arc::try_unwrap(store) {
                self.aggregation.spares.put(store);
            }
        }
        let stamps = Stamps::Uniform(EventTimeMs::MIN);
        Ok(Some(Batch { columns, ordinals, stamps, kinds: RowKinds::Inserts }))
    }

    /// Bytes held: windows that are due, and this owner's share in the tables that wait for windows to come. Cheap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.share.report()
    }
}

/// Adds a piece of a window, whose memory goes to windows to come if nobody else holds it.
fn add(
    aggregation: &GroupAggregation,
    whole: &mut GroupStore,
    piece: Arc<GroupStore>,
    scratch: &mut MergeScratch,
) -> Result<(), AggregateError> {
    match Arc::try_unwrap(piece) {
        Ok(mut piece) => {
            whole.absorb(&aggregation.layout, &mut piece, scratch)?;
            aggregation.spares.put(piece);
            Ok(())
        }
        Err(shared) => whole.add(&aggregation.layout, &shared, scratch),
    }
}
