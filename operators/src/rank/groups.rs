//! The keys of one owner with the rows that they hold, and the changelog that rows make of them.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_row::Rows;
use arrow_select::take::take_record_batch;
use thalweg_runtime::EventTimeMs;

use super::held::{Held, HeldRow};
use super::{Emit, OrderKeys, Ranking};
use crate::aggregate::AggregateError;
use crate::batch::{Batch, Ordinal, Ordinals, Stamps};
use crate::changelog::{RowKind, RowKinds};
use crate::route::{Applied, Routed, RowByRow};
use crate::table::GroupTable;

/// Bytes of rows, encoded, that one call emits: with their numbers shown, a row may move many others.
const WEIGHT_MAX: usize = 4 << 20;

/// Rows that one call emits.
const ROWS_MAX: usize = 32 << 10;

/// The first rows of each key.
#[derive(Debug)]
pub struct RankedGroups {
    ranking: Arc<Ranking>,
    table: GroupTable,
    /// By group.
    groups: Vec<Held>,
    /// Of the rows and lists that groups hold.
    held_bytes: usize,
    /// The group of each row of what is being taken in.
    ids: Vec<u32>,
    /// Rows of what is being taken in that may enter.
    candidates: Option<Candidates>,
    /// What a row is ordered by.
    key: Vec<u8>,
    changes: Changes,
    /// At the end: the next group and row to leave.
    left: (usize, usize),
}

/// Rows that were among the first of their keys before any row of their batch was taken in.
#[derive(Debug)]
struct Candidates {
    /// Ascending.
    rows: Vec<u32>,
    /// Of all rows of the batch.
    keys: OrderKeys,
    /// Of the candidates.
    encoded: Rows,
    next: usize,
}

impl RankedGroups {
    /// Without a group.
    #[must_use]
    pub fn new(ranking: Arc<Ranking>) -> Self {
        let (table, changes) = (ranking.layout.table(), Changes::default());
        let (groups, ids, key) = (Vec::new(), Vec::new(), Vec::new());
        Self { ranking, table, groups, held_bytes: 0, ids, candidates: None, key, changes, left: (0, 0) }
    }

    /// Finds the groups of the rows, and those rows that may enter.
    fn begin(&mut self, routed: &Routed) -> Result<Candidates, AggregateError> {
        let Self { ranking, table, groups, ids, key, .. } = self;
        let Ranking { spec, group, layout, .. } = &**ranking;
        routed.assign(group, layout, table, ids)?;
        groups.resize_with(table.groups(), Held::default);
        let keys = ranking.order_keys(&routed.columns, &routed.ordinals)?;
        let last = ranking.last();
        let mut rows = Vec::new();
        for (row, &id) in (0_u32..).zip(ids.iter()) {
            keys.put(row as usize, key);
            if groups[id as usize].takes(key, spec.ties, last) {
                rows.push(row);
            }
        }
        let columns = match rows.len() == routed.rows() {
            true => routed.columns.clone(),
            false => take_record_batch(&routed.columns, &UInt32Array::from(rows.clone()))?,
        };
        Ok(Candidates { rows, keys, encoded: ranking.row.convert_columns(columns.columns())?, next: 0 })
    }

    /// Puts a row that is among the first of group `id` to its place, and says what it changes.
    fn enter(&mut self, id: usize, row: &[u8]) {
        let Self { ranking, groups, held_bytes, key, changes, .. } = self;
        let (spec, last, held) = (&ranking.spec, ranking.last(), &mut groups[id]);
        let place = held.place(key, spec.ties);
        let list_before = held.list_bytes();
        let entered = HeldRow::new(key, row);
        *held_bytes += entered.bytes();
        let left = held.insert(place, entered, last);
        *held_bytes += held.list_bytes() - list_before;
        *held_bytes -= left.as_ref().map_or(0, HeldRow::bytes);
        let left = left.as_ref().map(HeldRow::row);
        match spec.emit {
            Emit::Final => {}
            Emit::Changes if last == 1 => changes.replace(left, row, 1),
            Emit::Changes if spec.number.is_none() && spec.first == 1 => {
                changes.extend(left.map(|left| (RowKind::Delete, left, 0)));
                changes.extend([(RowKind::Insert, row, 0)]);
            }
            Emit::Changes => {
                let first = usize::try_from(spec.first).unwrap_or(usize::MAX);
                let rows = held.rows();
                for index in place.max(first - 1)..rows.len() {
                    // Each number had the row that has the next one now; the last one had the row that left, or none.
                    let before = rows.get(index + 1).map(HeldRow::row).or(left);
                    changes.replace(before, rows[index].row(), index as i64 + 1);
                }
            }
        }
    }
}

impl RowByRow for RankedGroups {
    fn apply(&mut self, routed: &Routed, first: usize) -> Result<Applied, AggregateError> {
        let mut candidates = match self.candidates.take() {
            Some(candidates) if first > 0 => candidates,
            _ => self.begin(routed)?,
        };
        let (ties, last) = (self.ranking.spec.ties, self.ranking.last());
        let mut rows = routed.rows() - first;
        while let Some(&row) = candidates.rows.get(candidates.next) {
            if self.changes.is_heavy() {
                rows = row as usize - first;
                break;
            }
            let id = self.ids[row as usize] as usize;
            candidates.keys.put(row as usize, &mut self.key);
            // Rows of the same batch may have come before it.
            if self.groups[id].takes(&self.key, ties, last) {
                self.enter(id, candidates.encoded.row(candidates.next).data());
            }
            candidates.next += 1;
        }
        self.candidates = (candidates.next < candidates.rows.len()).then_some(candidates);
        let changes = self.changes.take(&self.ranking)?;
        Ok(Applied { rows, changes })
    }

    fn finish(&mut self) -> Result<Option<Batch>, AggregateError> {
        let Self { ranking, groups, changes, left: (group, row), .. } = self;
        let spec = &ranking.spec;
        if spec.emit == Emit::Changes {
            return Ok(None);
        }
        let first = usize::try_from(spec.first - 1).unwrap_or(usize::MAX);
        let mut ordinals = Vec::new();
        while let Some(held) = groups.get(*group).filter(|_| !changes.is_heavy()) {
            match held.rows().get((*row).max(first)) {
                Some(held) => {
                    *row = (*row).max(first) + 1;
                    changes.extend([(RowKind::Insert, held.row(), *row as i64)]);
                    ordinals.push(held.ordinal(spec.ties));
                }
                None => (*group, *row) = (*group + 1, 0),
            }
        }
        if ordinals.is_empty() {
            return Ok(None);
        }
        let batch = changes.take(ranking)?;
        Ok(Some(Batch { ordinals: Ordinals::Each(ordinals.into()), kinds: RowKinds::Inserts, ..batch }))
    }

    fn bytes(&self) -> usize {
        let candidates = self.candidates.as_ref().map_or(0, |candidates| candidates.encoded.size());
        self.table.bytes() + self.groups.capacity() * size_of::<Held>() + self.held_bytes + candidates
    }
}

impl Ranking {
    /// Rows that a key holds at most.
    fn last(&self) -> usize {
        usize::try_from(self.spec.last).unwrap_or(usize::MAX)
    }

    /// These rows as they were.
    fn decode<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>, AggregateError> {
        let parser = self.row.parser();
        // A parsed row borrows the parser, too.
        let rows: Vec<_> = rows.collect();
        Ok(self.row.convert_rows(rows.iter().map(|row| parser.parse(row)))?)
    }
}

/// Changes that are to be emitted.
#[derive(Debug, Default)]
struct Changes {
    kinds: Vec<RowKind>,
    numbers: Vec<i64>,
    /// The rows, encoded, one after the other.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Changes {
    fn extend<'a>(&mut self, changes: impl IntoIterator<Item = (RowKind, &'a [u8], i64)>) {
        for (kind, row, number) in changes {
            self.kinds.push(kind);
            self.numbers.push(number);
            self.bytes.extend_from_slice(row);
            self.ends.push(self.bytes.len());
        }
    }

    /// A number has another row, or is new.
    fn replace(&mut self, before: Option<&[u8]>, after: &[u8], number: i64) {
        match before {
            None => self.extend([(RowKind::Insert, after, number)]),
            Some(before) => {
                self.extend([(RowKind::UpdateBefore, before, number), (RowKind::UpdateAfter, after, number)]);
            }
        }
    }

    fn is_heavy(&self) -> bool {
        self.bytes.len() >= WEIGHT_MAX || self.kinds.len() >= ROWS_MAX
    }

    /// The changes so far, as a batch.
    fn take(&mut self, ranking: &Ranking) -> Result<Batch, AggregateError> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let rows = starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end]);
        let mut columns = ranking.decode(rows)?;
        if ranking.spec.number.is_some() {
            columns.push(Arc::new(Int64Array::from(std::mem::take(&mut self.numbers))));
        }
        let kinds = RowKinds::Each(self.kinds.as_slice().into());
        self.kinds.clear();
        self.numbers.clear();
        self.bytes.clear();
        self.ends.clear();
        Ok(Batch {
            columns: RecordBatch::try_new(Arc::clone(&ranking.schema), columns)?,
            ordinals: Ordinals::Run(Ordinal::default()),
            stamps: Stamps::Uniform(EventTimeMs::MIN),
            kinds,
        })
    }
}
