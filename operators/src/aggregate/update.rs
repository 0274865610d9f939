//! Rows into groups: one plain kernel per part over the batch's group ids, or one pass for several parts.

use arrow_array::{ArrayRef, RecordBatch};

use super::input::{Taken, decimals, doubles, integers, ordered};
use super::layout::{Layout, Part, PartKind};
use super::moments;
use super::net;
#[cfg(target_arch = "x86_64")]
use super::pass::PassInput;
use super::pass::{PassScratch, is_passable};
use super::side::Side;
#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{AggregateError, ColdWords};
use crate::batch::Ordinals;
use crate::kernels::Level;

/// The rows of groups, to be changed: the words of group `i` start at `i × stride`.
#[derive(Debug)]
pub struct Rows<'a> {
    /// All rows of a table.
    pub words: &'a mut [u64],
    /// Words from one row to the next.
    pub stride: usize,
    /// What is kept beside the rows.
    pub cold: &'a mut ColdWords,
}

/// Memory that one update leaves for the next.
#[derive(Debug, Default)]
pub struct UpdateScratch {
    pub(super) integers: Vec<i64>,
    pub(super) doubles: Vec<f64>,
    pass: PassScratch,
}

/// Adds row `i` of `columns` to group `ids[i]`.
///
/// # Errors
/// If a column has not the type that was planned.
pub fn update(
    layout: &Layout,
    mut rows: Rows<'_>,
    sides: &mut [Side],
    (columns, ordinals): (&RecordBatch, &Ordinals),
    ids: &[u32],
    scratch: &mut UpdateScratch,
) -> Result<(), AggregateError> {
    let is_single = rows.words.len() == rows.stride;
    let level = layout.kernels.level();
    let taken: Vec<Taken> =
        layout.inputs.iter().map(|input| Taken::of(input, columns)).collect::<Result<_, AggregateError>>()?;
    let has_passes = !is_single && update_in_passes(layout, &mut rows, (columns, &taken), ids, &mut scratch.pass)?;
    for part in layout.parts.iter().filter(|part| !(has_passes && is_passable(part.kind))) {
        let argument = layout.inputs[part.input].argument.map(|column| columns.column(column));
        let kernel = Kernel { rows: &mut rows, part, taken: &taken[part.input], ids, is_single, level };
        kernel.run(argument, scratch)?;
    }
    for (side, plan) in sides.iter_mut().zip(&layout.sides) {
        let argument = layout.inputs[plan.input].argument.map(|column| columns.column(column));
        let argument = argument.ok_or(AggregateError::Mismatch("an aggregate has no argument"))?;
        side.update(plan, &taken[plan.input], argument, ordinals, ids)?;
    }
    Ok(())
}

/// Updates the parts that passes can, if there are instructions for that.
#[cfg(target_arch = "x86_64")]
fn update_in_passes(
    layout: &Layout,
    rows: &mut Rows<'_>,
    (columns, taken): (&RecordBatch, &[Taken]),
    ids: &[u32],
    scratch: &mut PassScratch,
) -> Result<bool, AggregateError> {
    let level = layout.kernels.level();
    let Level::Avx512(avx512) = level else { return Ok(false) };
    let input = PassInput { parts: &layout.parts, inputs: &layout.inputs, taken, columns, level };
    for pass in &layout.passes {
        x86::fold(avx512, pass, rows, ids, input.operands(pass, scratch)?);
    }
    Ok(true)
}

/// There are none.
#[cfg(not(target_arch = "x86_64"))]
fn update_in_passes(
    _: &Layout,
    _: &mut Rows<'_>,
    _: (&RecordBatch, &[Taken]),
    _: &[u32],
    _: &mut PassScratch,
) -> Result<bool, AggregateError> {
    Ok(false)
}

struct Kernel<'a, 'r> {
    rows: &'a mut Rows<'r>,
    part: &'a Part,
    taken: &'a Taken,
    ids: &'a [u32],
    /// There is one group: its words may stay in registers.
    is_single: bool,
    level: Level,
}

impl Kernel<'_, '_> {
    fn run(self, argument: Option<&ArrayRef>, scratch: &mut UpdateScratch) -> Result<(), AggregateError> {
        let argument = || argument.ok_or(AggregateError::Mismatch("an aggregate has no argument"));
        match self.part.kind {
            PartKind::Rows => self.count_all(),
            PartKind::Nulls => self.count_nulls(),
            PartKind::Count => self.fold(|_| (), |[count], ()| *count += 1),
            PartKind::SumI64 => self.sum_i64(integers(argument()?, &mut scratch.integers)?),
            PartKind::SumI128 => self.sum_i128(decimals(argument()?)?),
            PartKind::SumF64 => {
                let values = doubles(argument()?, &mut scratch.doubles)?;
                self.fold_values(values, |[sum], value| *sum = (f64::from_bits(*sum) + value).to_bits());
            }
            PartKind::MinI64 => {
                let values = ordered(argument()?, &mut scratch.integers, self.level)?;
                self.fold_values(values, |[least], value| *least = value.min(*least as i64) as u64);
            }
            PartKind::MaxI64 => {
                let values = ordered(argument()?, &mut scratch.integers, self.level)?;
                self.fold_values(values, |[greatest], value| *greatest = value.max(*greatest as i64) as u64);
            }
            PartKind::MinI128 => {
                let values = decimals(argument()?)?;
                self.fold_values(values, |least: &mut [u64; 2], value| *least = halves(value.min(join(*least))));
            }
            PartKind::MaxI128 => {
                let values = decimals(argument()?)?;
                self.fold_values(values, |most: &mut [u64; 2], value| *most = halves(value.max(join(*most))));
            }
            PartKind::NetF64 => self.fold_values(doubles(argument()?, &mut scratch.doubles)?, |sum, value| {
                net::change_sum(sum, value, false);
            }),
            PartKind::NetMoments => self.fold_values(doubles(argument()?, &mut scratch.doubles)?, |state, value| {
                net::change_moments(state, value, false);
            }),
            PartKind::Moments => self.fold_values(doubles(argument()?, &mut scratch.doubles)?, moments::add),
        }
        Ok(())
    }

    fn fold_values<const WORDS: usize, T: Copy>(self, values: &[T], step: impl Fn(&mut [u64; WORDS], T)) {
        let values = &values[..self.ids.len()];
        self.fold(|row| values[row], step);
    }

    /// Folds the value of each row taken into the hot words of its group.
    #[inline]
    fn fold<const WORDS: usize, T>(self, value: impl Fn(usize) -> T, step: impl Fn(&mut [u64; WORDS], T)) {
        let Self { rows: Rows { words, stride, .. }, ids, .. } = self;
        let (stride, at) = (*stride, self.part.hot);
        if self.is_single {
            let Some(state) = words[at..].first_chunk_mut() else { return };
            let mut local = *state;
            self.taken.for_each(ids.len(), |row| step(&mut local, value(row)));
            *state = local;
        } else {
            self.taken.for_each(ids.len(), |row| {
                if let Some(state) = words[ids[row] as usize * stride + at..].first_chunk_mut() {
                    step(state, value(row));
                }
            });
        }
    }

    fn count_all(self) {
        if self.is_single {
            self.rows.words[self.part.hot] += self.ids.len() as u64;
        } else {
            self.fold(|_| (), |[count], ()| *count += 1);
        }
    }

    fn count_nulls(self) {
        let mut count = |id: u32| *self.rows.cold.word(id as usize, self.part.cold) += 1;
        match self.taken {
            Taken::All => {}
            Taken::None => self.ids.iter().for_each(|&id| count(id)),
            Taken::Some(taken) => (!taken).set_indices().for_each(|row| count(self.ids[row])),
        }
    }

    fn sum_i64(self, values: &[i64]) {
        if self.is_single {
            return self.sum_all_i64(values);
        }
        let Self { rows: Rows { words, stride, cold }, part, ids, .. } = self;
        self.taken.for_each(values.len(), |row| {
            let at = ids[row] as usize * *stride;
            let (sum, is_wrapped) = (words[at + part.hot] as i64).overflowing_add(values[row]);
            words[at + part.hot] = sum as u64;
            if is_wrapped {
                add_carry(cold.word(ids[row] as usize, part.cold), values[row] < 0);
            }
        });
    }

    /// The exact sum first: low and high halves do not overflow for as many rows as a batch can have.
    fn sum_all_i64(self, values: &[i64]) {
        let (mut low, mut high) = (0_u64, 0_i64);
        let mut add = |value: i64| {
            low += u64::from(value as u32);
            high += value >> 32;
        };
        match self.taken {
            Taken::All => values.iter().for_each(|&value| add(value)),
            taken => taken.for_each(values.len(), |row| add(values[row])),
        }
        let Part { hot, cold, .. } = *self.part;
        let word = &mut self.rows.words[hot];
        let sum = i128::from(*word as i64) + (i128::from(high) << 32) + i128::from(low);
        *word = sum as u64;
        let carries = ((sum - i128::from(sum as i64)) >> 64) as u64;
        if carries != 0 {
            let known = self.rows.cold.word(0, cold);
            *known = known.wrapping_add(carries);
        }
    }

    fn sum_i128(self, values: &[i128]) {
        let Self { rows: Rows { words, stride, cold }, part, ids, .. } = self;
        self.taken.for_each(values.len(), |row| {
            let at = ids[row] as usize * *stride;
            let hot = &mut words[at + part.hot..at + part.hot + 2];
            let (sum, is_wrapped) = join([hot[0], hot[1]]).overflowing_add(values[row]);
            hot.copy_from_slice(&halves(sum));
            if is_wrapped {
                add_carry(cold.word(ids[row] as usize, part.cold), values[row] < 0);
            }
        });
    }
}

/// A sum wrapped when something was added to it: upwards, or downwards where that was negative.
pub(super) fn add_carry(carries: &mut u64, is_negative: bool) {
    *carries = carries.wrapping_add(if is_negative { u64::MAX } else { 1 });
}

pub(super) fn join([low, high]: [u64; 2]) -> i128 {
    (u128::from(high) << 64 | u128::from(low)) as i128
}

pub(super) fn halves(value: i128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}
