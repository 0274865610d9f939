//! Windows that are over, on their way out as rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use thalweg_runtime::EventTimeMs;
use thalweg_runtime::state::Share;

use super::output::ordinals;
use super::store::{GroupStore, MergeScratch};
use super::{ClosedWindow, GroupAggregation};
use crate::aggregate::AggregateError;
use crate::batch::{Batch, Stamps};
use crate::changelog::RowKinds;
use crate::window::TimeWindow;

/// What one owner emits: the windows that it was given, as batches of rows, the earliest end first.
///
/// State that is kept in parts gives a window in pieces; they are put together here, so that a window leaves as one.
/// Its tables then go back to the shards of the same aggregation, for windows to come.
#[derive(Debug)]
pub struct Emission {
    aggregation: Arc<GroupAggregation>,
    due: BTreeMap<TimeWindow, Box<GroupStore>>,
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
    store: Box<GroupStore>,
    /// Groups that are out already.
    emitted: usize,
}

impl Emission {
    /// Nothing to emit yet of this aggregation.
    #[must_use]
    pub fn new(aggregation: Arc<GroupAggregation>) -> Self {
        let share = aggregation.spares.place();
        Self { aggregation, due: BTreeMap::new(), current: None, bytes: 0, share, scratch: MergeScratch::default() }
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
        for ClosedWindow { window, store: mut piece } in windows {
            if piece.groups() == 0 {
                continue;
            }
            self.bytes += piece.bytes();
            match self.due.entry(window) {
                Entry::Vacant(entry) => _ = entry.insert(piece),
                Entry::Occupied(mut entry) => {
                    let whole = entry.get_mut();
                    if piece.groups() > whole.groups() {
                        std::mem::swap(whole, &mut piece);
                    }
                    self.bytes -= whole.bytes() + piece.bytes();
                    let result = whole.absorb(&self.aggregation.layout, &mut piece, &mut self.scratch);
                    self.bytes += whole.bytes();
                    result?;
                    self.aggregation.spares.put(*piece);
                }
            }
        }
        Ok(())
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
                let store = Box::new(GroupStore::new(layout));
                self.bytes += store.bytes();
                store
            });
            self.bytes -= store.bytes();
            let result = store.add_empty_key();
            self.bytes += store.bytes();
            result?;
        }
        Ok(())
    }

    /// Are there groups that are not out yet?
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.current.is_some() || !self.due.is_empty()
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
            self.current = self.due.pop_first().map(|(window, store)| Current { window, store, emitted: 0 });
        }
        let Some(Current { window, store, emitted }) = &mut self.current else { return Ok(None) };
        let (window, first) = (*window, *emitted);
        let groups = (store.groups() - first).min(rows_max.max(1));
        let columns = self.aggregation.rows(window, store, (first, groups))?;
        let ordinals = ordinals(window, &store.hashes()[first..first + groups]);
        *emitted += groups;
        if *emitted == store.groups()
            && let Some(Current { store, .. }) = self.current.take()
        {
            self.bytes -= store.bytes();
            self.aggregation.spares.put(*store);
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
