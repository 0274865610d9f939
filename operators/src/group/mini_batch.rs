//! GROUP BY without a window, mini-batched: groups that gather what comes for a while, and then tell what it has changed.
//!
//! Rows are folded where they come in, as for every GROUP BY, and their groups travel to the owner of the key as
//! [`Partials`]. The owner merges them. Of a group that is touched for the first time since its changes left last, it keeps
//! its results as they were; when the changes are to leave, a group gives `-U` with these and `+U` with those that it has by
//! then, or `+I` if it is new, or nothing if it is as it was. What was in between is never worked out.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_select::concat::concat;
use arrow_select::take::take;
use thalweg_runtime::EventTimeMs;
use thalweg_runtime::state::Share;

use super::store::{GroupStore, MergeScratch};
use super::{GroupAggregation, Partials};
use crate::aggregate::AggregateError;
use crate::batch::{Batch, Ordinal, Ordinals, Stamps};
use crate::changelog::{RowKind, RowKinds};
use crate::running::changed::sameness;
use crate::table::{Fresh, KEYS_OF_WORD};

/// Bytes of strings, estimated, that the rows of one call repeat.
const WEIGHT_MAX: usize = 16 << 20;

/// The groups of one owner, and what they were when their changes left last.
#[derive(Debug)]
pub struct MiniBatchedGroups {
    aggregation: Arc<GroupAggregation>,
    store: GroupStore,
    /// By group: whether it is in `touched`.
    is_touched: Vec<bool>,
    touched: VecDeque<Touched>,
    /// Of what groups were.
    before_bytes: usize,
    /// Every change shows: there is a COUNT(*).
    always_changes: bool,
    /// In the memory of groups that have travelled.
    share: Share,
    scratch: MergeScratch,
}

/// Groups that were touched by one message.
#[derive(Debug)]
struct Touched {
    ids: Vec<u32>,
    /// The aggregates as they were, row by row those of `ids`; `None`: the groups are new.
    before: Option<Vec<ArrayRef>>,
    /// How many have left.
    left: usize,
}

impl MiniBatchedGroups {
    /// Without a group. `aggregation` has no window.
    #[must_use]
    pub fn new(aggregation: Arc<GroupAggregation>) -> Self {
        let (store, always_changes) = (GroupStore::new(&aggregation.layout), aggregation.layout.counts_rows());
        let (is_touched, touched, scratch) = (Vec::new(), VecDeque::new(), MergeScratch::default());
        let share = aggregation.spares.place();
        Self { aggregation, store, is_touched, touched, before_bytes: 0, always_changes, share, scratch }
    }

    /// Adds groups that were gathered elsewhere.
    ///
    /// # Errors
    /// If they were planned differently, if there are too many groups, or if a result of what they were does not fit its
    /// type.
    pub fn merge(&mut self, partials: Partials) -> Result<(), AggregateError> {
        let Self { aggregation, store, is_touched, touched, before_bytes, scratch, .. } = self;
        let layout = &aggregation.layout;
        partials.expect_layout(layout)?;
        let memory = store.merge_after(layout, partials, scratch, |store, ids, fresh| {
            is_touched.resize(store.groups(), false);
            let (new, known) = newly_touched(ids, fresh, is_touched);
            if !new.is_empty() {
                touched.push_back(Touched { ids: new, before: None, left: 0 });
            }
            if !known.is_empty() {
                let before = store.values_of(layout, &known)?;
                *before_bytes += memory_of(&before);
                touched.push_back(Touched { ids: known, before: Some(before), left: 0 });
            }
            Ok(())
        })?;
        aggregation.spares.put_buffer(memory);
        Ok(())
    }

    /// Some of the changes since the last call: those of at most `groups_max` groups (at least 1). `None`: there are no
    /// more. Groups may be merged in between.
    ///
    /// # Errors
    /// If a result does not fit its type.
    pub fn next_changes(&mut self, groups_max: usize) -> Result<Option<Batch>, AggregateError> {
        while let Some(front) = self.touched.front_mut() {
            let mut weight = 0;
            let is_light = |&&id: &&u32| {
                weight += 2 * self.store.weight(id);
                weight <= WEIGHT_MAX
            };
            let first = front.left;
            let rest = &front.ids[first..];
            let groups = rest.iter().take(groups_max).take_while(is_light).count().max(1).min(rest.len());
            front.left += groups;
            let ids = front.ids[first..front.left].to_vec();
            ids.iter().for_each(|&id| self.is_touched[id as usize] = false);
            let before = front.before.as_ref().map(|columns| slices(columns, first, groups));
            if front.left == front.ids.len()
                && let Some(over) = self.touched.pop_front()
            {
                self.before_bytes -= over.before.as_deref().map_or(0, memory_of);
            }
            let changes = match before {
                None => self.insertions(&ids)?,
                Some(before) => self.updates(&ids, &before)?,
            };
            if changes.rows() > 0 {
                return Ok(Some(changes));
            }
        }
        Ok(None)
    }

    fn insertions(&self, ids: &[u32]) -> Result<Batch, AggregateError> {
        let GroupAggregation { layout, spec, .. } = &*self.aggregation;
        let mut columns = self.store.keys_of(layout, &spec.keys, ids)?;
        columns.extend(self.store.values_of(layout, ids)?);
        self.changes(columns, vec![RowKind::Insert; ids.len()])
    }

    /// What became of groups that were as in `before`.
    fn updates(&self, ids: &[u32], before: &[ArrayRef]) -> Result<Batch, AggregateError> {
        let GroupAggregation { layout, spec, .. } = &*self.aggregation;
        let after = self.store.values_of(layout, ids)?;
        let both = before.iter().zip(&after).map(|(before, after)| concat(&[before, after]));
        let both = both.collect::<Result<Vec<_>, _>>()?;
        let groups = ids.len() as u32;
        let is_same = sameness(&both);
        let has_changed = |&group: &u32| self.always_changes || !is_same(group as usize, (group + groups) as usize);
        let kept: Vec<u32> = (0..groups).filter(has_changed).collect();
        let twice = UInt32Array::from_iter_values(kept.iter().flat_map(|&group| [group, group]));
        let pairs = UInt32Array::from_iter_values(kept.iter().flat_map(|&group| [group, group + groups]));
        let mut columns = Vec::with_capacity(spec.keys.len() + both.len());
        for key in self.store.keys_of(layout, &spec.keys, ids)? {
            columns.push(take(&key, &twice, None)?);
        }
        for values in &both {
            columns.push(take(values, &pairs, None)?);
        }
        self.changes(columns, [RowKind::UpdateBefore, RowKind::UpdateAfter].repeat(kept.len()))
    }

    /// A batch of a changelog.
    fn changes(&self, columns: Vec<ArrayRef>, kinds: Vec<RowKind>) -> Result<Batch, AggregateError> {
        let options = RecordBatchOptions::new().with_row_count(Some(kinds.len()));
        let columns = RecordBatch::try_new_with_options(Arc::clone(&self.aggregation.schema), columns, &options)?;
        Ok(Batch {
            columns,
            ordinals: Ordinals::Run(Ordinal::default()),
            stamps: Stamps::Uniform(EventTimeMs::MIN),
            kinds: RowKinds::Each(kinds.into()),
        })
    }

    /// No groups will come any more: memory that waits for some is given back.
    pub fn end(&self) {
        self.aggregation.spares.end();
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.store.groups()
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.store.bytes() + self.is_touched.capacity() + self.before_bytes + self.share.report()
    }
}

/// Of the groups that partials belong to, the new ones, and those that were not touched before.
fn newly_touched(ids: &[u32], fresh: &Fresh, is_touched: &mut [bool]) -> (Vec<u32>, Vec<u32>) {
    let (mut new, mut known) = (Vec::new(), Vec::new());
    for (row, &id) in ids.iter().enumerate() {
        let was_touched = std::mem::replace(&mut is_touched[id as usize], true);
        if fresh.word(row / KEYS_OF_WORD) >> (row % KEYS_OF_WORD) & 1 != 0 {
            new.push(id);
        } else if !was_touched {
            known.push(id);
        }
    }
    (new, known)
}

fn slices(columns: &[ArrayRef], first: usize, rows: usize) -> Vec<ArrayRef> {
    columns.iter().map(|column| column.slice(first, rows)).collect()
}

fn memory_of(columns: &[ArrayRef]) -> usize {
    columns.iter().map(|column| column.get_array_memory_size()).sum()
}
