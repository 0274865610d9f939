//! State of variable size: one entry per group, beside the rows.
//!
//! Values are kept as bytes: strings as they are where only strings come (MIN, MAX, LISTAGG), any type encoded by
//! `arrow-row` elsewhere, which keeps the order of values.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBufferBuilder;
use arrow_row::RowConverter;
use arrow_schema::DataType;
use hashbrown::HashMap;

use super::AggregateError;
use super::bag::Bag;
use super::input::Taken;
use super::layout::SidePlan;
use crate::batch::{Ordinal, Ordinals};
use crate::key::canonical_column;

/// What a side remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SideKind {
    /// The least string.
    Min,
    /// The greatest string.
    Max,
    /// The value with the least ordinal.
    First,
    /// The value with the greatest ordinal.
    Last,
    /// All strings with their ordinals.
    List,
    /// All distinct values with their first ordinals.
    Distinct,
}

/// One entry for each group.
#[derive(Clone, Debug)]
pub struct Side {
    entries: Vec<Entry>,
    /// What entries hold outside of their vector, roughly.
    held: usize,
}

/// What one group remembers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Entry {
    /// No value was taken yet.
    #[default]
    Nothing,
    /// Min, Max, First and Last.
    One(Ordinal, Vec<u8>),
    List(Box<Pieces>),
    /// From the value to its first ordinal.
    Set(Box<HashMap<Box<[u8]>, Ordinal>>),
    /// Values that may be taken back.
    Bag(Box<Bag>),
}

/// Strings in no order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    /// Ordinal, start and length in `bytes`.
    places: Vec<(Ordinal, usize, usize)>,
    bytes: Vec<u8>,
}

/// What a value of a set or list costs besides its bytes.
const PLACE_BYTES: usize = 48;

impl Side {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), held: 0 }
    }

    /// Adds empty entries for new groups.
    pub(crate) fn grow(&mut self, groups: usize) {
        self.entries.resize_with(groups, Entry::default);
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.held = 0;
    }

    /// Bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.held
    }

    /// The entry of a group.
    pub(crate) fn entry(&self, group: usize) -> &Entry {
        &self.entries[group]
    }

    /// Adds the rows taken to the entries of their groups.
    pub(crate) fn update(
        &mut self,
        plan: &SidePlan,
        taken: &Taken,
        argument: &ArrayRef,
        ordinals: &Ordinals,
        ids: &[u32],
    ) -> Result<(), AggregateError> {
        let Self { entries, held } = self;
        let add = |row: usize, value: &[u8]| {
            *held += entries[ids[row] as usize].add(plan.kind, ordinals.get(row), value);
        };
        for_each_value(plan, taken, argument, ids.len(), add)
    }

    /// Adds one value to the entry of its group.
    pub(super) fn add(&mut self, kind: SideKind, group: u32, ordinal: Ordinal, value: &[u8]) {
        self.held += self.entries[group as usize].add(kind, ordinal, value);
    }

    /// Adds a value to those of its group that may be taken back, or takes it back. Whether it is now the only one like it,
    /// or none like it is left.
    pub(super) fn change(&mut self, kind: SideKind, group: u32, value: &[u8], is_back: bool) -> bool {
        let entry = &mut self.entries[group as usize];
        if let Entry::Nothing = entry {
            *entry = Entry::Bag(Box::new(Bag::new(kind)));
        }
        let Entry::Bag(bag) = entry else { return false };
        let is_edge = if is_back { bag.take_back(value) } else { bag.add(value) };
        if is_edge && is_back {
            self.held = self.held.saturating_sub(Bag::bytes_of(value));
        } else if is_edge {
            self.held += Bag::bytes_of(value);
        }
        if bag.is_empty() {
            *entry = Entry::Nothing;
        }
        is_edge
    }

    /// As [`first_of_each`](Self::first_of_each), where rows may be taken back: those after which there is a value that was
    /// not there, or none of one that was.
    pub(super) fn edges_of_each(
        &mut self,
        plan: &SidePlan,
        taken: &Taken,
        argument: &ArrayRef,
        (ids, back): (&[u32], &[bool]),
    ) -> Result<Taken, AggregateError> {
        let mut edges = BooleanBufferBuilder::new(ids.len());
        edges.append_n(ids.len(), false);
        for_each_value(plan, taken, argument, ids.len(), |row, value| {
            let is_edge = self.change(plan.kind, ids[row], value, back[row]);
            edges.set_bit(row, is_edge);
        })?;
        Ok(Taken::these(edges.finish()))
    }

    /// Adds the rows taken to the sets of their groups; which of them were the first with their value.
    pub(super) fn first_of_each(
        &mut self,
        plan: &SidePlan,
        taken: &Taken,
        argument: &ArrayRef,
        ordinals: &Ordinals,
        ids: &[u32],
    ) -> Result<Taken, AggregateError> {
        let Self { entries, held } = self;
        let mut first = BooleanBufferBuilder::new(ids.len());
        first.append_n(ids.len(), false);
        for_each_value(plan, taken, argument, ids.len(), |row, value| {
            let cost = entries[ids[row] as usize].add(plan.kind, ordinals.get(row), value);
            *held += cost;
            first.set_bit(row, cost > 0);
        })?;
        Ok(Taken::these(first.finish()))
    }

    /// Adds the `i`-th entry of `from` to group `ids[i]`.
    pub(crate) fn merge(&mut self, plan: &SidePlan, from: Self, ids: &[u32]) {
        for (&id, entry) in ids.iter().zip(from.entries) {
            self.held += self.entries[id as usize].merge(plan.kind, entry);
        }
    }

    /// Takes all entries out, in the order of their groups.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry> {
        self.held = 0;
        self.entries.drain(..)
    }

    /// Adds the entry of another group.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.held += entry.held();
        self.entries.push(entry);
    }
}

/// Calls `add` with each row taken and the bytes that the side keeps of its value.
pub(super) fn for_each_value(
    plan: &SidePlan,
    taken: &Taken,
    argument: &ArrayRef,
    rows: usize,
    mut add: impl FnMut(usize, &[u8]),
) -> Result<(), AggregateError> {
    match &plan.converter {
        Some(converter) => {
            let values = converter.convert_columns(&[encodable(argument, plan)])?;
            taken.for_each(rows, |row| add(row, values.row(row).as_ref()));
        }
        None if *argument.data_type() == DataType::Utf8View => {
            let values = argument.as_string_view();
            taken.for_each(rows, |row| add(row, values.value(row).as_bytes()));
        }
        None => {
            let values = argument.as_binary_view();
            taken.for_each(rows, |row| add(row, values.value(row)));
        }
    }
    Ok(())
}

impl Entry {
    /// Takes in a value; returns the bytes that this costs.
    fn add(&mut self, kind: SideKind, ordinal: Ordinal, value: &[u8]) -> usize {
        match self {
            Self::Nothing => {
                *self = Self::with(kind, ordinal, value);
                self.held()
            }
            Self::One(known_ordinal, known) => {
                if !is_better(kind, (ordinal, value), (*known_ordinal, known)) {
                    return 0;
                }
                let before = known.capacity();
                *known_ordinal = ordinal;
                known.clear();
                known.extend_from_slice(value);
                known.capacity() - before
            }
            Self::List(pieces) => pieces.push(ordinal, value),
            // Changed by whoever says whether it is taken back.
            Self::Bag(_) => 0,
            Self::Set(values) => match values.get_mut(value) {
                Some(first) => {
                    *first = ordinal.min(*first);
                    0
                }
                None => {
                    values.insert(value.into(), ordinal);
                    value.len() + PLACE_BYTES
                }
            },
        }
    }

    fn with(kind: SideKind, ordinal: Ordinal, value: &[u8]) -> Self {
        match kind {
            SideKind::Min | SideKind::Max | SideKind::First | SideKind::Last => Self::One(ordinal, value.to_vec()),
            SideKind::List => {
                let mut pieces = Box::<Pieces>::default();
                pieces.push(ordinal, value);
                Self::List(pieces)
            }
            SideKind::Distinct => Self::Set(Box::new(HashMap::from_iter([(value.into(), ordinal)]))),
        }
    }

    /// Takes in all that another group remembers; returns the bytes that this costs.
    fn merge(&mut self, kind: SideKind, from: Self) -> usize {
        if let Self::Nothing = self {
            *self = from;
            return self.held();
        }
        match from {
            // Groups that rows are taken back from do not travel.
            Self::Nothing | Self::Bag(_) => 0,
            Self::One(ordinal, value) => self.add(kind, ordinal, &value),
            Self::List(pieces) => pieces.iter().map(|(ordinal, value)| self.add(kind, ordinal, value)).sum(),
            Self::Set(values) => values.iter().map(|(value, &ordinal)| self.add(kind, ordinal, value)).sum(),
        }
    }

    /// Bytes that a result with the entry's value repeats, roughly.
    pub(crate) fn repeated(&self) -> usize {
        match self {
            Self::Nothing | Self::Set(_) => 0,
            Self::One(..) | Self::List(_) => self.held(),
            Self::Bag(bag) => bag.repeated(),
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Nothing | Self::Bag(_) => 0,
            Self::One(_, value) => value.capacity(),
            Self::List(pieces) => pieces.places.len() * PLACE_BYTES + pieces.bytes.len(),
            Self::Set(values) => values.keys().map(|value| value.len() + PLACE_BYTES).sum(),
        }
    }

    /// Number of distinct values.
    pub(crate) fn distinct_count(&self) -> usize {
        if let Self::Set(values) = self { values.len() } else { 0 }
    }

    /// The distinct values with their first ordinals, in no order.
    pub(crate) fn distinct(&self) -> impl Iterator<Item = (&[u8], Ordinal)> {
        let values = if let Self::Set(values) = self { Some(values.iter()) } else { None };
        values.into_iter().flatten().map(|(value, &ordinal)| (&**value, ordinal))
    }
}

/// Does the first value take the place of the second? Never undecided, so that the order of coming does not matter.
fn is_better(kind: SideKind, new: (Ordinal, &[u8]), known: (Ordinal, &[u8])) -> bool {
    match kind {
        SideKind::Min => new.1 < known.1,
        SideKind::Max => new.1 > known.1,
        SideKind::First => new < known,
        _ => new > known,
    }
}

impl Pieces {
    fn push(&mut self, ordinal: Ordinal, value: &[u8]) -> usize {
        self.places.push((ordinal, self.bytes.len(), value.len()));
        self.bytes.extend_from_slice(value);
        value.len() + PLACE_BYTES
    }

    fn iter(&self) -> impl Iterator<Item = (Ordinal, &[u8])> {
        self.places.iter().map(|&(ordinal, start, length)| (ordinal, &self.bytes[start..start + length]))
    }

    /// Number of strings.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The first `count` strings that were added, in the order in which they were.
    pub(super) fn first(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        self.iter().take(count).map(|(_, value)| value)
    }

    /// All strings in the order of their ordinals.
    pub(crate) fn sorted(&self) -> Vec<(Ordinal, &[u8])> {
        let mut pieces: Vec<_> = self.iter().collect();
        pieces.sort_unstable();
        pieces
    }
}

/// First and last values come out as they went in; values of a set, and those that are taken back, are equal where SQL has
/// them equal.
fn encodable(argument: &ArrayRef, plan: &SidePlan) -> ArrayRef {
    let is_compared = plan.is_net || plan.kind == SideKind::Distinct;
    if is_compared { canonical_column(argument) } else { Arc::clone(argument) }
}

/// The converter of a side that has one.
pub(super) fn converter(plan: &SidePlan) -> Result<&RowConverter, AggregateError> {
    plan.converter.as_ref().ok_or(AggregateError::Mismatch("values of this state are not encoded"))
}
