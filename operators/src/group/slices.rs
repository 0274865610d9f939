//! Panes put together to windows: what is combined at the close, instead of each row being put into each of its windows.

use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg_runtime::EventTimeMs;

use super::store::GroupStore;
use crate::spec::Windows;
use crate::window::{TimeWindow, first_window, next_pane};

/// Panes whose first window is due, the earliest end first. All that end together are one window.
#[derive(Debug, Default)]
pub(super) struct Slices {
    due: BTreeMap<TimeWindow, Vec<Slice>>,
}

/// The groups of a pane.
#[derive(Debug)]
pub(super) struct Slice {
    /// They are due for the pane's windows up to here.
    pub(super) until: EventTimeMs,
    pub(super) store: Arc<GroupStore>,
    /// Somebody else answers for its memory.
    pub(super) is_kept: bool,
}

impl Slices {
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    pub(super) fn push(&mut self, pane: TimeWindow, slice: Slice) {
        self.due.entry(pane).or_default().push(slice);
    }

    /// The next window, and the panes in it; those that are not due for a later one leave.
    pub(super) fn pop_window(&mut self, windows: &Windows) -> Option<(TimeWindow, Vec<Slice>)> {
        let last = self.due.first_key_value()?.0.last;
        let (mut window, mut all) = (None, Vec::new());
        while let Some(entry) = self.due.first_entry()
            && entry.key().last == last
        {
            let (pane, slices) = entry.remove_entry();
            window = Some(first_window(windows, pane));
            for slice in slices {
                let next = next_pane(windows, pane).filter(|next| next.is_closed_by(slice.until));
                if let Some(next) = next {
                    let (until, store, is_kept) = (slice.until, Arc::clone(&slice.store), slice.is_kept);
                    self.push(next, Slice { until, store, is_kept });
                    all.push(Slice { is_kept: true, ..slice });
                } else {
                    all.push(slice);
                }
            }
        }
        window.map(|window| (window, all))
    }
}

/// The panes of each window that has some, the earliest end first.
pub(super) fn windows_of<'a>(
    windows: &Windows,
    panes: impl Iterator<Item = (TimeWindow, &'a GroupStore)>,
) -> BTreeMap<TimeWindow, Vec<&'a GroupStore>> {
    let mut all: BTreeMap<TimeWindow, Vec<&GroupStore>> = BTreeMap::new();
    for (pane, store) in panes {
        let mut rest = Some(pane);
        while let Some(pane) = rest {
            all.entry(first_window(windows, pane)).or_default().push(store);
            rest = next_pane(windows, pane);
        }
    }
    all
}
