//! The groups that somebody holds, a table for each open pane.
//!
//! A [pane](crate::window) is what some windows have in common; of tumbling ones, the window itself. When its first window
//! is over, its groups are given out for that and stay for the others. They are shared then, not copied, with whoever emits
//! the window; only a row that comes too late for one window of its pane and not for another may find them in use, and
//! makes a copy.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use thalweg_runtime::EventTimeMs;
use thalweg_runtime::state::Release;

use super::store::{GroupStore, MergeScratch};
use crate::aggregate::{AggregateError, Layout};
use crate::spec::Windows;
use crate::window::{TimeWindow, pane_after};

/// Groups by pane and key: all of a job's, those of one worker, or those of one key.
///
/// What it holds is data alone; a [`GroupAggregation`](super::GroupAggregation) knows what it means. A new shard
/// owns no memory.
#[derive(Debug)]
pub struct GroupShard {
    /// Windows that this closes are gone: their groups are refused.
    frontier: EventTimeMs,
    /// By pane. Not in place, because a node of the map has room for eleven: a shard of one group would be air for the most
    /// part.
    open: BTreeMap<TimeWindow, Arc<GroupStore>>,
    /// Empty tables, the last one split on top: the next window is likely to be as large.
    spare: Vec<GroupStore>,
    /// Of the last window that was closed: the next is likely to have as many, however few it begins with.
    usual: usize,
    /// In all panes.
    groups: usize,
    /// Of all tables, spare ones included.
    bytes: usize,
}

/// The groups of a pane whose first window is over.
#[derive(Debug)]
pub struct ClosedWindow {
    pub(super) pane: TimeWindow,
    /// They are due for the pane's windows up to here.
    pub(super) until: EventTimeMs,
    pub(super) store: Arc<GroupStore>,
    /// The shard holds on to them for windows to come.
    pub(super) is_kept: bool,
    /// Why it could not.
    pub(super) error: Option<AggregateError>,
}

/// Tables that a shard keeps when its groups are split: private tables hold the window in progress and the one before.
const SPARE_MAX: usize = 2;

impl GroupShard {
    pub(super) fn new() -> Self {
        Self { frontier: EventTimeMs::MIN, open: BTreeMap::new(), spare: Vec::new(), usual: 0, groups: 0, bytes: 0 }
    }

    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Has this shard closed windows, whose tables went elsewhere? Those that are only split keep theirs.
    pub(super) fn has_closed(&self) -> bool {
        self.frontier != EventTimeMs::MIN
    }

    /// Groups that a window is likely to have by the time it is closed; 0 if nothing is known of that.
    pub(super) fn usual(&self) -> usize {
        self.usual
    }

    /// Open panes with their groups, the earliest end first.
    pub(super) fn open(&self) -> impl Iterator<Item = (TimeWindow, &GroupStore)> {
        self.open.iter().map(|(pane, store)| (*pane, &**store))
    }

    /// Changes the groups of a pane that is open from now on. `make`: a table, if none is to spare here.
    pub(super) fn change<R>(
        &mut self,
        window: TimeWindow,
        make: impl FnOnce() -> GroupStore,
        change: impl FnOnce(&mut GroupStore) -> Result<R, AggregateError>,
    ) -> Result<R, AggregateError> {
        if window.is_closed_by(self.frontier) {
            return Err(AggregateError::ClosedWindow { last: window.last });
        }
        let Self { open, spare, groups, bytes, .. } = self;
        let store = open.entry(window).or_insert_with(|| {
            Arc::new(spare.pop().unwrap_or_else(|| {
                let store = make();
                *bytes += store.bytes();
                store
            }))
        });
        *groups -= store.groups();
        *bytes -= store.bytes();
        let store = Arc::make_mut(store);
        let result = change(store);
        *groups += store.groups();
        *bytes += store.bytes();
        result
    }

    /// Calls `split` with each pane that is released, the earliest end first, and forgets its groups.
    pub(super) fn split(&mut self, release: Release, mut split: impl FnMut(TimeWindow, &mut GroupStore)) {
        while let Some(entry) = self.open.first_entry() {
            if let Release::ClosedBy(watermark) = release
                && !entry.key().is_closed_by(watermark)
            {
                break;
            }
            let (pane, store) = entry.remove_entry();
            self.groups -= store.groups();
            self.bytes -= store.bytes();
            let mut store = Arc::unwrap_or_clone(store);
            split(pane, &mut store);
            if self.spare.len() < SPARE_MAX {
                store.clear();
                self.bytes += store.bytes();
                self.spare.push(store);
            }
        }
    }

    /// Gives out what is in the windows that are over at `frontier`, and refuses their groups from now on. What belongs to
    /// later windows, too, stays.
    pub(super) fn close(
        &mut self,
        (windows, layout): (Option<&Windows>, &Layout),
        frontier: EventTimeMs,
    ) -> Vec<ClosedWindow> {
        let mut closed = Vec::new();
        self.frontier = frontier.max(self.frontier);
        while let Some(entry) = self.open.first_entry()
            && entry.key().is_closed_by(frontier)
        {
            let (pane, store) = entry.remove_entry();
            self.groups -= store.groups();
            self.bytes -= store.bytes();
            self.usual = store.groups();
            let rest = windows.and_then(|windows| pane_after(windows, pane, frontier));
            let kept = rest.map(|rest| self.keep(layout, rest, Arc::clone(&store)));
            let is_kept = kept.is_some();
            closed.push(ClosedWindow { pane, until: frontier, store, is_kept, error: kept.and_then(Result::err) });
        }
        if frontier == EventTimeMs::END {
            self.bytes = 0;
            self.spare = Vec::new();
        }
        closed
    }

    /// Puts groups into the pane of the windows that they still belong to.
    fn keep(&mut self, layout: &Layout, pane: TimeWindow, kept: Arc<GroupStore>) -> Result<(), AggregateError> {
        let mut added = Ok(());
        let store = match self.open.entry(pane) {
            Entry::Vacant(entry) => entry.insert(kept),
            Entry::Occupied(entry) => {
                let store = entry.into_mut();
                self.groups -= store.groups();
                self.bytes -= store.bytes();
                added = Arc::make_mut(store).add(layout, &kept, &mut MergeScratch::default());
                store
            }
        };
        self.groups += store.groups();
        self.bytes += store.bytes();
        added
    }
}

/// The groups alone: tables that wait for windows to come are not copied.
impl Clone for GroupShard {
    fn clone(&self) -> Self {
        let copy = |(&pane, store): (&TimeWindow, &Arc<GroupStore>)| (pane, Arc::new(GroupStore::clone(store)));
        let open: BTreeMap<_, _> = self.open.iter().map(copy).collect();
        // Not those of the original: a copy has no free capacity.
        let bytes = open.values().map(|store| store.bytes()).sum();
        Self { frontier: self.frontier, open, spare: Vec::new(), usual: self.usual, groups: self.groups, bytes }
    }
}

impl ClosedWindow {
    /// The last event time of the window that is over; of several, of the first.
    #[must_use]
    pub fn last(&self) -> EventTimeMs {
        self.pane.last
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.store.groups()
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.store.bytes()
    }
}
