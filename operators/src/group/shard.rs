//! The groups that somebody holds, a table for each open window.

use std::collections::BTreeMap;

use thalweg_runtime::EventTimeMs;
use thalweg_runtime::state::Release;

use super::store::GroupStore;
use crate::aggregate::AggregateError;
use crate::window::TimeWindow;

/// Groups by window and key: all of a job's, those of one worker, or those of one key.
///
/// What it holds is data alone; a [`GroupAggregation`](super::GroupAggregation) knows what it means. A new shard
/// owns no memory.
#[derive(Debug)]
pub struct GroupShard {
    /// Windows that this closes are gone: their groups are refused.
    frontier: EventTimeMs,
    /// Boxed, because a node of the map has room for eleven: a shard of one group would be air for the most part.
    open: BTreeMap<TimeWindow, Box<GroupStore>>,
    /// Empty tables, the last one split on top: the next window is likely to be as large.
    spare: Vec<GroupStore>,
    /// Of the last window that was closed: the next is likely to have as many, however few it begins with.
    usual: usize,
    /// In all windows.
    groups: usize,
    /// Of all tables, spare ones included.
    bytes: usize,
}

/// The groups of a window that is over.
#[derive(Debug)]
pub struct ClosedWindow {
    pub(super) window: TimeWindow,
    pub(super) store: Box<GroupStore>,
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

    /// Open windows with their groups, the earliest end first.
    pub(super) fn open(&self) -> impl Iterator<Item = (TimeWindow, &GroupStore)> {
        self.open.iter().map(|(window, store)| (*window, &**store))
    }

    /// Changes the groups of a window that is open from now on. `make`: a table, if none is to spare here.
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
            Box::new(spare.pop().unwrap_or_else(|| {
                let store = make();
                *bytes += store.bytes();
                store
            }))
        });
        *groups -= store.groups();
        *bytes -= store.bytes();
        let result = change(store);
        *groups += store.groups();
        *bytes += store.bytes();
        result
    }

    /// Calls `split` with each window that is released, the earliest end first, and forgets its groups.
    pub(super) fn split(&mut self, release: Release, mut split: impl FnMut(TimeWindow, &mut GroupStore)) {
        while let Some(entry) = self.open.first_entry() {
            if let Release::ClosedBy(watermark) = release
                && !entry.key().is_closed_by(watermark)
            {
                break;
            }
            let (window, mut store) = entry.remove_entry();
            self.groups -= store.groups();
            self.bytes -= store.bytes();
            split(window, &mut store);
            if self.spare.len() < SPARE_MAX {
                store.clear();
                self.bytes += store.bytes();
                self.spare.push(*store);
            }
        }
    }

    /// Takes out the windows that are over at `frontier`, and refuses their groups from now on.
    pub(super) fn close(&mut self, frontier: EventTimeMs) -> Vec<ClosedWindow> {
        let mut closed = Vec::new();
        self.frontier = frontier.max(self.frontier);
        while let Some(entry) = self.open.first_entry()
            && entry.key().is_closed_by(frontier)
        {
            let (window, store) = entry.remove_entry();
            self.groups -= store.groups();
            self.bytes -= store.bytes();
            self.usual = store.groups();
            closed.push(ClosedWindow { window, store });
        }
        if frontier == EventTimeMs::END {
            self.bytes = 0;
            self.spare = Vec::new();
        }
        closed
    }
}

/// The groups alone: tables that wait for windows to come are not copied.
impl Clone for GroupShard {
    fn clone(&self) -> Self {
        let open = self.open.clone();
        // Not those of the original: a copy has no free capacity.
        let bytes = open.values().map(|store| store.bytes()).sum();
        Self { frontier: self.frontier, open, spare: Vec::new(), usual: self.usual, groups: self.groups, bytes }
    }
}

impl ClosedWindow {
    /// Which one.
    #[must_use]
    pub fn window(&self) -> TimeWindow {
        self.window
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
