//! Passes: up to four words side by side of a group's row, changed together.
//!
//! A kernel for each part walks over the ids and the rows again for each part. A pass loads four words of a row at once,
//! adds (or compares) the four operands of a batch's row, and stores them: one walk, and one chain of stores and loads where
//! neighbouring rows are of one group. Operands of rows that an input does not take are such that they change nothing.
//! Each word sees the same operations in the same order as with one kernel for each part.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Only there are instructions for it so far.

use arrow_array::{ArrayRef, RecordBatch};

use super::AggregateError;
use super::input::{Taken, decimals, doubles, integers, ordered};
use super::layout::{Input, Part, PartKind};
use crate::kernels::Level;

/// Words of a pass.
pub(super) const PASS_WORDS: usize = 4;

/// Which words a pass changes, and how. Bit *i* of a mask is word *i*.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pass {
    /// Its first word, counted from the start of the row.
    pub(super) at: usize,
    /// The parts that its words are of.
    parts: [Option<usize>; PASS_WORDS],
    /// The cold word with the carries of a word, if it has any.
    pub(super) carries: [usize; PASS_WORDS],
    /// Integers to be added.
    pub(super) add: u8,
    /// Those among them whose overflow is carried: sums, and high halves of sums of 128 bits.
    pub(super) checked: u8,
    /// Low halves of sums of 128 bits.
    pub(super) low: u8,
    /// Floating-point numbers to be added.
    pub(super) double: u8,
    /// Of which the lesser stays.
    pub(super) least: u8,
    /// Of which the greater stays.
    pub(super) greatest: u8,
}

/// Can a pass update parts of this kind?
pub(super) fn is_passable(kind: PartKind) -> bool {
    use PartKind as K;
    matches!(kind, K::SumI128 | K::Rows | K::Count | K::SumI64 | K::SumF64 | K::MinI64 | K::MaxI64)
}

/// The passes over parts, whose words are placed: those that can be come first in a row and without gaps, sums of 128 bits
/// at even places. Rows are `stride` words apart, at least [`PASS_WORDS`].
pub(super) fn plan(parts: &[Part], stride: usize) -> Vec<Pass> {
    let mut words: Vec<(usize, usize)> = Vec::new();
    for (index, part) in parts.iter().enumerate().filter(|(_, part)| is_passable(part.kind)) {
        words.extend((part.hot..part.hot + part.kind.hot_words()).map(|word| (word, index)));
    }
    words.sort_unstable();
    let pass = |words: &[(usize, usize)]| {
        // Words before the first, if the row ends too soon, stay as they are.
        let mut pass = Pass { at: words[0].0.min(stride - PASS_WORDS), ..Pass::default() };
        for &(word, index) in words {
            pass.add_word(word - pass.at, index, word - parts[index].hot, &parts[index]);
        }
        pass
    };
    words.chunks(PASS_WORDS).map(pass).collect()
}

impl Pass {
    fn add_word(&mut self, word: usize, index: usize, of_part: usize, part: &Part) {
        let bit = 1 << word;
        self.parts[word] = Some(index);
        self.carries[word] = part.cold;
        match part.kind {
            PartKind::SumF64 => self.double |= bit,
            PartKind::MinI64 => self.least |= bit,
            PartKind::MaxI64 => self.greatest |= bit,
            _ => self.add |= bit,
        }
        match (part.kind, of_part) {
            (PartKind::SumI128, 0) => self.low |= bit,
            (PartKind::SumI64 | PartKind::SumI128, _) => self.checked |= bit,
            _ => {}
        }
    }

    /// The parts that this pass updates, each once.
    pub(super) fn parts(&self) -> impl Iterator<Item = usize> {
        let is_first = |&word: &usize| word == 0 || self.parts[word - 1] != self.parts[word];
        (0..PASS_WORDS).filter(is_first).filter_map(|word| self.parts[word])
    }
}

/// The operands of two words of a pass, for the rows of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operands<'a> {
    /// Those of the first word, and those of the second.
    Each(&'a [u64], &'a [u64]),
    /// Of both words, row by row.
    Both(&'a [u64]),
}

/// Memory for the operands of one word.
#[derive(Debug, Default)]
pub(super) struct OperandScratch {
    integers: Vec<i64>,
    doubles: Vec<f64>,
    masked: Vec<u64>,
    masked_decimals: Vec<i128>,
}

/// Memory that the passes of one batch leave for the next.
#[derive(Debug, Default)]
pub(super) struct PassScratch {
    ones: Vec<u64>,
    words: [OperandScratch; PASS_WORDS],
}

/// What a pass reads.
pub(super) struct PassInput<'a> {
    pub(super) parts: &'a [Part],
    pub(super) inputs: &'a [Input],
    pub(super) taken: &'a [Taken],
    pub(super) columns: &'a RecordBatch,
    pub(super) level: Level,
}

impl<'a> PassInput<'a> {
    /// The operands of both halves of a pass.
    ///
    /// # Errors
    /// If a column has not the type that was planned.
    pub(super) fn operands(
        &'a self,
        pass: &Pass,
        scratch: &'a mut PassScratch,
    ) -> Result<[Operands<'a>; 2], AggregateError> {
        let PassScratch { ones, words } = scratch;
        let rows = self.columns.num_rows();
        if ones.len() < rows {
            ones.resize(rows, 1);
        }
        let ones: &'a [u64] = &ones[..rows];
        let [first, second, third, fourth] = words;
        let low = self.half(pass, 0, ones, [first, second])?;
        Ok([low, self.half(pass, 2, ones, [third, fourth])?])
    }

    fn half(
        &'a self,
        pass: &Pass,
        word: usize,
        ones: &'a [u64],
        [first, second]: [&'a mut OperandScratch; 2],
    ) -> Result<Operands<'a>, AggregateError> {
        if pass.low >> word & 1 != 0
            && let Some(part) = pass.parts[word]
        {
            return Ok(Operands::Both(self.decimals(&self.parts[part], first)?));
        }
        let first = self.word(pass.parts[word], ones, first)?;
        Ok(Operands::Each(first, self.word(pass.parts[word + 1], ones, second)?))
    }

    fn argument(&self, part: &Part) -> Result<&'a ArrayRef, AggregateError> {
        let column = self.inputs[part.input].argument;
        column.map(|column| self.columns.column(column)).ok_or(AggregateError::Mismatch("an aggregate has no argument"))
    }

    fn decimals(&'a self, part: &Part, scratch: &'a mut OperandScratch) -> Result<&'a [u64], AggregateError> {
        let values = decimals(self.argument(part)?)?;
        let taken = &self.taken[part.input];
        if let Taken::All = taken {
            return Ok(words_of_decimals(values));
        }
        let masked = &mut scratch.masked_decimals;
        masked.clear();
        masked.resize(values.len(), 0);
        taken.for_each(values.len(), |row| masked[row] = values[row]);
        Ok(words_of_decimals(masked))
    }

    fn word(
        &'a self,
        part: Option<usize>,
        ones: &'a [u64],
        scratch: &'a mut OperandScratch,
    ) -> Result<&'a [u64], AggregateError> {
        // A word that stays as it is.
        let Some(part) = part.map(|part| &self.parts[part]) else { return Ok(ones) };
        let OperandScratch { integers: integer_scratch, doubles: double_scratch, masked, .. } = scratch;
        let (values, neutral) = match part.kind {
            PartKind::Rows | PartKind::Count => (ones, 0),
            PartKind::SumF64 => {
                let values = doubles(self.argument(part)?, double_scratch)?;
                // With 0.0 a sum of −0.0 would become 0.0.
                (words_of_doubles(values), (-0.0_f64).to_bits())
            }
            PartKind::MinI64 => {
                (words_of_integers(ordered(self.argument(part)?, integer_scratch, self.level)?), i64::MAX as u64)
            }
            PartKind::MaxI64 => {
                (words_of_integers(ordered(self.argument(part)?, integer_scratch, self.level)?), i64::MIN as u64)
            }
            _ => (words_of_integers(integers(self.argument(part)?, integer_scratch)?), 0),
        };
        let taken = &self.taken[part.input];
        if let Taken::All = taken {
            return Ok(values);
        }
        masked.clear();
        masked.resize(values.len(), neutral);
        taken.for_each(values.len(), |row| masked[row] = values[row]);
        Ok(masked)
    }
}

#[allow(unsafe_code)] // Copying a column only to call its words by another type cost more than adding them.
fn words_of_integers(values: &[i64]) -> &[u64] {
    // SAFETY: same size and alignment, and every pattern of bits is a `u64`.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

#[allow(unsafe_code)] // As above.
fn words_of_doubles(values: &[f64]) -> &[u64] {
    // SAFETY: same size and alignment, and every pattern of bits is a `u64`.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// Low half first: this is compiled for little-endian processors only.
#[allow(unsafe_code)] // As above.
fn words_of_decimals(values: &[i128]) -> &[u64] {
    // SAFETY: two words each, of no greater alignment, and every pattern of bits is two `u64`.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len() * 2) }
}
