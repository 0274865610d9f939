//! The groups of one owner, and the changelog that rows make of them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_select::take::{take, take_record_batch};
use thalweg_runtime::EventTimeMs;

use super::RunningAggregation;
use super::changed::changed;
use super::net::{Net, net};
use crate::aggregate::{AggregateError, Changes, History, Places, Side, UpdateScratch};
use crate::batch::{Batch, Ordinal, Ordinals, Stamps};
use crate::changelog::{RowKind, RowKinds};
use crate::key::canonical_column;
use crate::route::{Applied, Routed, RowByRow};
use crate::table::GroupTable;

/// Bytes of strings, estimated, that the changes of one call repeat: a list of a million values is one long string before
/// and after each row.
const WEIGHT_MAX: usize = 16 << 20;

/// Groups that change row by row.
#[derive(Debug)]
pub struct RunningGroups {
    aggregation: Arc<RunningAggregation>,
    table: GroupTable,
    sides: Vec<Side>,
    /// Groups whose first row was taken in: the next one that is gets this number.
    begun: u32,
    /// By group, where rows may be taken back: how many it has.
    alive: Vec<u64>,
    /// The group of each row of what is being taken in.
    ids: Vec<u32>,
    places: Vec<Places>,
    history: History,
    update: UpdateScratch,
}

impl RunningGroups {
    /// Without a group.
    #[must_use]
    pub fn new(aggregation: Arc<RunningAggregation>) -> Self {
        let layout = &aggregation.layout;
        let (table, sides) = (layout.table(), layout.sides.iter().map(|_| Side::new()).collect());
        let (ids, places, alive) = (Vec::new(), Vec::new(), Vec::new());
        let (history, update) = (History::default(), UpdateScratch::default());
        Self { aggregation, table, sides, begun: 0, alive, ids, places, history, update }
    }

    /// Finds or makes the group of each row.
    fn assign(&mut self, routed: &Routed) -> Result<(), AggregateError> {
        let Self { aggregation, table, sides, alive, ids, .. } = self;
        let RunningAggregation { spec, layout, .. } = &**aggregation;
        routed.assign(spec, layout, table, ids)?;
        let groups = table.groups();
        sides.iter_mut().for_each(|side| side.grow(groups));
        if aggregation.takes_back {
            alive.resize(groups, 0);
        }
        Ok(())
    }

    /// How many rows from `first` on are taken in at once; at least one, if there is one.
    fn light_rows(&self, routed: &Routed, first: usize) -> usize {
        let rows = routed.rows() - first;
        if self.sides.is_empty() {
            return rows;
        }
        // What comes with a row may take the place of what its group holds; a list keeps it from then on.
        let of_row = routed.bytes() / routed.rows().max(1);
        let has_lists = self.aggregation.layout.has_lists();
        let (mut weight, mut come) = (0, of_row);
        for (taken, &id) in self.ids[first..].iter().enumerate() {
            let held: usize = self.sides.iter().map(|side| side.entry(id as usize).repeated()).sum();
            weight += 2 * (held + come);
            come += if has_lists { of_row } else { 0 };
            if weight > WEIGHT_MAX && taken > 0 {
                return taken;
            }
        }
        rows
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.table.groups()
    }
}

impl RowByRow for RunningGroups {
    fn apply(&mut self, routed: &Routed, first: usize) -> Result<Applied, AggregateError> {
        if first == 0 {
            self.assign(routed)?;
        }
        let rows = self.light_rows(routed, first);
        let columns = match rows == routed.rows() {
            true => routed.columns.clone(),
            false => routed.columns.slice(first, rows),
        };
        let Self { aggregation, table, sides, begun, alive, ids, places, history, update } = self;
        let RunningAggregation { spec, layout, .. } = &**aggregation;
        let mut ids = Cow::Borrowed(&ids[first..first + rows]);
        let (mut columns, mut back) = (columns, Vec::new());
        let Emitted { kinds, of_rows } = if aggregation.takes_back {
            let is_back = |row: usize| routed.kinds.get(first + row).takes_back();
            let Net { emitted, passed } = net((&ids, is_back), alive, !layout.outputs.is_empty(), places);
            back.extend((0..rows).map(is_back));
            if !passed.is_empty() {
                let is_kept = |row: &u32| passed.binary_search(row).is_err();
                let kept = UInt32Array::from_iter_values((0..rows as u32).filter(is_kept));
                columns = take_record_batch(&columns, &kept)?;
                ids = kept.values().iter().map(|&row| ids[row as usize]).collect();
                back = kept.values().iter().map(|&row| back[row as usize]).collect();
            }
            emitted
        } else {
            emitted(&ids, begun, !layout.outputs.is_empty(), places)
        };
        let slots = kinds.len();
        let mut outputs = Vec::with_capacity(spec.keys.len() + layout.outputs.len());
        for key in &spec.keys {
            outputs.push(take(&canonical_column(columns.column(key.column)), &of_rows, None)?);
        }
        let mut kept = None;
        if !layout.outputs.is_empty() {
            let ordinals = routed.ordinals.slice(first, rows);
            let changes = Changes { columns: &columns, ordinals: &ordinals, ids: &ids, places, back: &back, slots };
            history.record(layout, &mut table.words_mut(), sides, &changes, update)?;
            let values = history.columns(layout, sides)?;
            kept = if aggregation.always_changes { None } else { changed(&values, places, slots) };
            outputs.extend(values);
        }
        let changes = aggregation.changes(outputs, kinds)?;
        let changes = match kept {
            Some(kept) => changes.filter(&BooleanArray::new(kept, None))?,
            None => changes,
        };
        Ok(Applied { rows, changes })
    }

    fn finish(&mut self) -> Result<Option<Batch>, AggregateError> {
        Ok(None)
    }

    fn bytes(&self) -> usize {
        self.table.bytes() + self.sides.iter().map(Side::bytes).sum::<usize>()
    }
}

/// What is emitted for some rows, unless they change nothing.
pub(super) struct Emitted {
    pub(super) kinds: Vec<RowKind>,
    /// The row that each is for.
    pub(super) of_rows: UInt32Array,
}

/// What is emitted for rows of these groups, of which the first `begun` had a row before. Where groups have no values, only
/// their first rows give anything.
fn emitted(ids: &[u32], begun: &mut u32, has_values: bool, places: &mut Vec<Places>) -> Emitted {
    let mut kinds = Vec::with_capacity(ids.len() * 2);
    let mut of_rows = Vec::with_capacity(ids.len() * 2);
    places.clear();
    for (row, &id) in (0..).zip(ids) {
        let before = kinds.len() as u32;
        if id == *begun {
            *begun += 1;
            kinds.push(RowKind::Insert);
            of_rows.push(row);
            places.push(Places { before, after: before });
        } else if has_values {
            kinds.extend([RowKind::UpdateBefore, RowKind::UpdateAfter]);
            of_rows.extend([row, row]);
            places.push(Places { before, after: before + 1 });
        }
    }
    Emitted { kinds, of_rows: UInt32Array::from(of_rows) }
}

impl RunningAggregation {
    /// A batch of a changelog.
    fn changes(&self, columns: Vec<ArrayRef>, kinds: Vec<RowKind>) -> Result<Batch, AggregateError> {
        let options = RecordBatchOptions::new().with_row_count(Some(kinds.len()));
        Ok(Batch {
            columns: RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?,
            ordinals: Ordinals::Run(Ordinal::default()),
            stamps: Stamps::Uniform(EventTimeMs::MIN),
            kinds: RowKinds::Each(kinds.into()),
        })
    }
}
