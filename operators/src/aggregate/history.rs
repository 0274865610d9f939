//! Groups as they were before and after each row: what a changelog is made of.
//!
//! A row of the input has two places in the history, one for its group before and one behind it for its group after; a row
//! that makes its group has one for both. Words are kept as they stand in the groups' rows, so that they evaluate as groups do.

use arrow_array::{ArrayRef, RecordBatch};

use super::bag::written;
use super::evaluate::{Numbers, byte_values, decoded, lists};
use super::input::{Taken, decimals, doubles, integers, ordered};
use super::layout::{Layout, Output, OutputKind, Part, PartKind};
use super::net;
use super::side::{Entry, Side, SideKind, for_each_value};
use super::update::{Rows, UpdateScratch, add_carry, halves, join};
use super::{AggregateError, ColdWords, Groups, moments};
use crate::batch::Ordinals;

/// Where the states of a row's group go: before the row, and after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    pub before: u32,
    /// [`GONE`]: no group is left.
    pub after: u32,
}

/// Where nothing goes.
pub(crate) const GONE: u32 = u32::MAX;

/// States of groups, place by place. Its memory is used again by the next batch.
#[derive(Debug, Default)]
pub(crate) struct History {
    words: Vec<u64>,
    cold: ColdWords,
    places: usize,
    /// Some cold word of some group is or was not 0. Until then all of them are 0 here, too, and none is written.
    has_cold: bool,
    sides: Vec<SideHistory>,
    taken: Vec<Taken>,
}

/// What a side held at each place.
#[derive(Debug)]
enum SideHistory {
    /// Start and end in the bytes; `None` where there was no value.
    Values { bytes: Vec<u8>, places: Vec<Option<(usize, usize)>> },
    /// The group, and how many pieces it had: pieces are only ever added at the end.
    Lists(Vec<(u32, u32)>),
    /// What is DISTINCT shows in words.
    Nothing,
}

/// Rows to be taken in: the `i`-th one is of group `ids[i]`.
pub(crate) struct Changes<'a> {
    pub columns: &'a RecordBatch,
    pub ordinals: &'a Ordinals,
    pub ids: &'a [u32],
    pub places: &'a [Places],
    /// Which rows are taken back; empty if rows only come.
    pub back: &'a [bool],
    /// How many there are.
    pub slots: usize,
}

impl History {
    /// Adds rows to their groups, one after the other, and keeps each group as it was before and after.
    ///
    /// # Errors
    /// If a column has not the type that was planned.
    pub(crate) fn record(
        &mut self,
        layout: &Layout,
        rows: &mut Rows<'_>,
        sides: &mut [Side],
        changes: &Changes<'_>,
        scratch: &mut UpdateScratch,
    ) -> Result<(), AggregateError> {
        let Changes { columns, ordinals, ids, slots, .. } = *changes;
        self.places = slots;
        self.words.resize(slots * layout.accumulators.len(), 0);
        self.taken.clear();
        for input in &layout.inputs {
            let taken = Taken::of(input, columns)?;
            self.taken.push(match input.distinct {
                None => taken,
                Some(side) => {
                    let argument = argument(layout, side, columns)?;
                    let plan = &layout.sides[side];
                    match plan.is_net {
                        true => sides[side].edges_of_each(plan, &taken, argument, (ids, changes.back))?,
                        false => sides[side].first_of_each(plan, &taken, argument, ordinals, ids)?,
                    }
                }
            });
        }
        let Self { words, cold, taken, has_cold, sides: side_histories, .. } = self;
        cold.resize(layout.cold_words);
        for part in &layout.parts {
            let argument = layout.inputs[part.input].argument.map(|column| columns.column(column));
            let taken = &taken[part.input];
            let recorder =
                Recorder::<'_, '_, false> { rows, history: words, cold, has_cold, layout, part, taken, changes };
            match changes.back.is_empty() {
                true => recorder.run(argument, scratch)?,
                false => recorder.taking_back().run(argument, scratch)?,
            }
        }
        side_histories.clear();
        for (index, side) in sides.iter_mut().enumerate() {
            side_histories.push(record_side((side, layout, index), &taken[layout.sides[index].input], changes)?);
        }
        Ok(())
    }

    /// The column of each aggregate, a row for each place. `sides`: those of the groups.
    ///
    /// # Errors
    /// If a result does not fit its type.
    pub(crate) fn columns(&self, layout: &Layout, sides: &[Side]) -> Result<Vec<ArrayRef>, AggregateError> {
        let stride = layout.accumulators.len();
        let words = &self.words[..self.places * stride];
        let (numbers, first_word) = (Numbers::From(0), layout.shape.words());
        let groups = Groups { words, stride, cold: &self.cold, sides: &[], numbers, first_word };
        let column = |output: &Output| match output.kind {
            OutputKind::Side(side) => self.side_column(layout, (side, &sides[side]), output),
            _ => super::evaluate::output(layout, groups, output),
        };
        layout.outputs.iter().map(column).collect()
    }

    fn side_column(
        &self,
        layout: &Layout,
        (index, side): (usize, &Side),
        output: &Output,
    ) -> Result<ArrayRef, AggregateError> {
        let plan = &layout.sides[index];
        match &self.sides[index] {
            SideHistory::Lists(places) => {
                let pieces = places.iter().map(|&(group, count)| match side.entry(group as usize) {
                    Entry::List(pieces) if count > 0 => Some(pieces.first(count as usize)),
                    _ => None,
                });
                lists(pieces, &output.spec)
            }
            SideHistory::Values { bytes, places } => {
                let values = places.iter().map(|place| place.map(|(start, end)| &bytes[start..end]));
                match (plan.kind, &plan.converter) {
                    (SideKind::List, _) => lists(values.map(|list| list.map(written)), &output.spec),
                    (_, None) => byte_values(values, &output.spec),
                    (_, Some(_)) => decoded(values, plan, &output.spec),
                }
            }
            SideHistory::Nothing => Err(AggregateError::Mismatch("a set has no value of its own")),
        }
    }
}

/// The argument of a side.
fn argument<'a>(layout: &Layout, side: usize, columns: &'a RecordBatch) -> Result<&'a ArrayRef, AggregateError> {
    let column = layout.inputs[layout.sides[side].input].argument;
    column.map(|column| columns.column(column)).ok_or(AggregateError::Mismatch("an aggregate has no argument"))
}

/// Adds rows to one part of their groups, and writes down its words. `BACK`: some of them are taken back.
struct Recorder<'a, 'r, const BACK: bool> {
    rows: &'a mut Rows<'r>,
    history: &'a mut [u64],
    cold: &'a mut ColdWords,
    has_cold: &'a mut bool,
    layout: &'a Layout,
    part: &'a Part,
    taken: &'a Taken,
    changes: &'a Changes<'a>,
}

impl<'a, 'r> Recorder<'a, 'r, false> {
    fn taking_back(self) -> Recorder<'a, 'r, true> {
        let Self { rows, history, cold, has_cold, layout, part, taken, changes } = self;
        Recorder { rows, history, cold, has_cold, layout, part, taken, changes }
    }
}

impl<const BACK: bool> Recorder<'_, '_, BACK> {
    fn run(self, argument: Option<&ArrayRef>, scratch: &mut UpdateScratch) -> Result<(), AggregateError> {
        let argument = || argument.ok_or(AggregateError::Mismatch("an aggregate has no argument"));
        let UpdateScratch { integers: integer_scratch, doubles: double_scratch, .. } = scratch;
        let level = self.layout.kernels.level();
        match self.part.kind {
            PartKind::Rows | PartKind::Count => self.each(
                |_| (),
                |[count]: &mut [u64; 1], (), is_back| {
                    *count = if is_back { count.wrapping_sub(1) } else { *count + 1 };
                },
            ),
            PartKind::Nulls => self.nulls(),
            PartKind::SumI64 => {
                let values = integers(argument()?, integer_scratch)?;
                self.sums(values, |[hot]: &mut [u64; 1], value, is_back| {
                    let (sum, is_wrapped) = if is_back {
                        (*hot as i64).overflowing_sub(value)
                    } else {
                        (*hot as i64).overflowing_add(value)
                    };
                    *hot = sum as u64;
                    is_wrapped.then_some((value < 0) != is_back)
                });
            }
            PartKind::SumI128 => self.sums(decimals(argument()?)?, |hot: &mut [u64; 2], value, is_back| {
                let sum = join(*hot);
                let (sum, is_wrapped) = if is_back { sum.overflowing_sub(value) } else { sum.overflowing_add(value) };
                *hot = halves(sum);
                is_wrapped.then_some((value < 0) != is_back)
            }),
            PartKind::SumF64 => self.values(doubles(argument()?, double_scratch)?, |[sum]: &mut [u64; 1], value, _| {
                *sum = (f64::from_bits(*sum) + value).to_bits();
            }),
            PartKind::MinI64 => {
                let values = ordered(argument()?, integer_scratch, level)?;
                self.values(values, |[least]: &mut [u64; 1], value, _| *least = value.min(*least as i64) as u64);
            }
            PartKind::MaxI64 => {
                let values = ordered(argument()?, integer_scratch, level)?;
                self.values(values, |[most]: &mut [u64; 1], value, _| *most = value.max(*most as i64) as u64);
            }
            PartKind::MinI128 => self.values(decimals(argument()?)?, |least: &mut [u64; 2], value, _| {
                *least = halves(value.min(join(*least)));
            }),
            PartKind::MaxI128 => self.values(decimals(argument()?)?, |most: &mut [u64; 2], value, _| {
                *most = halves(value.max(join(*most)));
            }),
            PartKind::Moments => {
                self.values(doubles(argument()?, double_scratch)?, |state, value, _| moments::add(state, value));
            }
            PartKind::NetF64 => self.values(doubles(argument()?, double_scratch)?, net::change_sum),
            PartKind::NetMoments => self.values(doubles(argument()?, double_scratch)?, net::change_moments),
        }
        Ok(())
    }

    fn values<const WORDS: usize, T: Copy>(self, values: &[T], step: impl Fn(&mut [u64; WORDS], T, bool)) {
        let values = &values[..self.changes.ids.len()];
        self.each(|row| values[row], step);
    }

    /// Every row in its turn: its group's hot words before, the step (with whether the row is taken back) if the row is
    /// taken, the words after. A group that is gone is as it was before its first row.
    #[inline]
    fn each<const WORDS: usize, T>(self, value: impl Fn(usize) -> T, step: impl Fn(&mut [u64; WORDS], T, bool)) {
        let Self { rows, history, layout, part, taken, changes, .. } = self;
        let (stride, kept, at) = (rows.stride, layout.accumulators.len(), part.hot - layout.shape.words());
        for_each_row(taken, changes, |row, id, Places { before, after }, is_taken| {
            let Some(state) = rows.words[id * stride + part.hot..].first_chunk_mut() else { return };
            keep(history, before as usize * kept + at, state);
            if is_taken {
                step(state, value(row), BACK && changes.back[row]);
            }
            if BACK && after == GONE {
                state.copy_from_slice(&layout.accumulators[at..at + WORDS]);
            } else {
                keep(history, after as usize * kept + at, state);
            }
        });
    }

    /// Sums that may wrap: `step` adds and answers whether it did, and if so whether downwards. The cold words are written
    /// down from the first time on that one of them is not 0.
    #[inline]
    fn sums<const WORDS: usize, T: Copy>(
        self,
        values: &[T],
        step: impl Fn(&mut [u64; WORDS], T, bool) -> Option<bool>,
    ) {
        let Self { rows, history, cold, has_cold, layout, part, taken, changes } = self;
        let (stride, kept, key) = (rows.stride, layout.accumulators.len(), layout.shape.words());
        let values = &values[..changes.ids.len()];
        for_each_row(taken, changes, |row, id, Places { before, after }, is_taken| {
            let state = &mut rows.words[id * stride..][..stride];
            let Some(hot) = state[part.hot..].first_chunk_mut() else { return };
            keep(history, before as usize * kept + part.hot - key, hot);
            let wrapped = if is_taken { step(hot, values[row], BACK && changes.back[row]) } else { None };
            let is_gone = BACK && after == GONE;
            if is_gone {
                *hot = [0; WORDS];
            } else {
                keep(history, after as usize * kept + part.hot - key, hot);
            }
            if *has_cold || wrapped.is_some() {
                *has_cold = true;
                let state = rows.cold.word(id, part.cold);
                *cold.word(before as usize, part.cold) = *state;
                wrapped.into_iter().for_each(|is_down| add_carry(state, is_down));
                if is_gone {
                    *state = 0;
                } else {
                    *cold.word(after as usize, part.cold) = *state;
                }
            }
        });
    }

    fn nulls(self) {
        let Self { rows, cold, has_cold, part, taken, changes, .. } = self;
        *has_cold |= !matches!(taken, Taken::All);
        if !*has_cold {
            return;
        }
        for_each_row(taken, changes, |row, id, Places { before, after }, is_taken| {
            let count = rows.cold.word(id, part.cold);
            *cold.word(before as usize, part.cold) = *count;
            let one = u64::from(!is_taken);
            *count = if BACK && changes.back[row] { count.wrapping_sub(one) } else { *count + one };
            if BACK && after == GONE {
                *count = 0;
            } else {
                *cold.word(after as usize, part.cold) = *count;
            }
        });
    }
}

/// Writes down some words.
#[inline]
fn keep<const WORDS: usize>(history: &mut [u64], at: usize, words: &[u64; WORDS]) {
    if let Some(kept) = history[at..].first_chunk_mut() {
        *kept = *words;
    }
}

/// Calls `change` with each row, its group, its places, and whether it is taken.
#[inline]
fn for_each_row(taken: &Taken, changes: &Changes<'_>, mut change: impl FnMut(usize, usize, Places, bool)) {
    let rows = changes.ids.iter().zip(changes.places).enumerate();
    match taken {
        Taken::All => rows.for_each(|(row, (&id, &places))| change(row, id as usize, places, true)),
        Taken::None => rows.for_each(|(row, (&id, &places))| change(row, id as usize, places, false)),
        Taken::Some(taken) => rows.for_each(|(row, (&id, &places))| change(row, id as usize, places, taken.value(row))),
    }
}

/// Adds rows to a side of their groups, and writes down what it held.
fn record_side(
    (side, layout, index): (&mut Side, &Layout, usize),
    taken: &Taken,
    changes: &Changes<'_>,
) -> Result<SideHistory, AggregateError> {
    let Changes { columns, ordinals, ids, places, slots, back } = *changes;
    let plan = &layout.sides[index];
    let mut history = match plan.kind {
        SideKind::Distinct => return Ok(SideHistory::Nothing),
        SideKind::List if !plan.is_net => SideHistory::Lists(vec![(0, 0); slots]),
        _ => SideHistory::Values { bytes: Vec::new(), places: vec![None; slots] },
    };
    // Rows that are not taken have their places, too: rows are caught up with before the next that is.
    let mut next = 0;
    let mut known = LastValues::default();
    for_each_value(plan, taken, argument(layout, index, columns)?, ids.len(), |row, value| {
        for skipped in next..row {
            history.keep((side, plan.kind), &mut known, ids[skipped], places[skipped].before);
            history.keep((side, plan.kind), &mut known, ids[skipped], places[skipped].after);
        }
        history.keep((side, plan.kind), &mut known, ids[row], places[row].before);
        if plan.is_net {
            side.change(plan.kind, ids[row], value, back[row]);
        } else {
            side.add(plan.kind, ids[row], ordinals.get(row), value);
        }
        history.keep((side, plan.kind), &mut known, ids[row], places[row].after);
        next = row + 1;
    })?;
    for row in next..ids.len() {
        history.keep((side, plan.kind), &mut known, ids[row], places[row].before);
        history.keep((side, plan.kind), &mut known, ids[row], places[row].after);
    }
    Ok(history)
}

/// Where each group's value was last written, so that a value that stays is written once for a batch.
type LastValues = hashbrown::HashMap<u32, (usize, usize)>;

impl SideHistory {
    /// Writes down what a group holds now.
    fn keep(&mut self, (side, kind): (&Side, SideKind), known: &mut LastValues, group: u32, place: u32) {
        if place == GONE {
            return;
        }
        match (self, side.entry(group as usize)) {
            // The group may be new here, and have gone before.
            (Self::Values { places, .. }, Entry::Nothing) => places[place as usize] = None,
            (Self::Values { bytes, places }, Entry::Bag(bag)) => {
                let start = bytes.len();
                match kind {
                    SideKind::List => bag.write(bytes),
                    _ => bytes.extend_from_slice(bag.value(kind).unwrap_or_default()),
                }
                let last = known.get(&group).filter(|(from, to)| bytes[*from..*to] == bytes[start..]);
                if let Some(&last) = last {
                    bytes.truncate(start);
                    places[place as usize] = Some(last);
                } else {
                    known.insert(group, (start, bytes.len()));
                    places[place as usize] = Some((start, bytes.len()));
                }
            }
            (Self::Lists(places), Entry::List(pieces)) => places[place as usize] = (group, pieces.len() as u32),
            (Self::Values { bytes, places }, Entry::One(_, value)) => {
                let last = known.get(&group).filter(|(start, end)| bytes[*start..*end] == **value);
                let found = last.copied().unwrap_or_else(|| {
                    let start = bytes.len();
                    bytes.extend_from_slice(value);
                    known.insert(group, (start, bytes.len()));
                    (start, bytes.len())
                });
                places[place as usize] = Some(found);
            }
            _ => {}
        }
    }
}
