//! Groups into columns.

use std::sync::Arc;

use arrow_array::builder::BinaryViewBuilder;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type, Int64Type};
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Schema};

use super::decimal::{average, fit, from_f64, unwrap_sum};
use super::input::unordered_f64;
use super::layout::{Count, Layout, Output, OutputKind, ROWS, SidePlan};
use super::moments;
use super::side::{Entry, Side, SideKind, converter};
use super::update::{Rows, UpdateScratch, join, update};
use super::{AggregateError, ColdWords};
use crate::batch::{Ordinal, Ordinals};
use crate::key::array_of_cells;
use crate::spec::{AggregateFunction, AggregateSpec};
use crate::table::row_stride;

/// The numbers of some groups among all of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Numbers<'a> {
    /// From this one on.
    From(usize),
    /// These.
    Picked(&'a [u32]),
}

impl Numbers<'_> {
    /// That of the `index`-th of them.
    #[inline]
    pub(crate) fn get(self, index: usize) -> usize {
        match self {
            Self::From(first) => first + index,
            Self::Picked(ids) => ids[index] as usize,
        }
    }
}

/// The words of some groups of a table, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Groups<'a> {
    /// The rows of these groups alone.
    pub words: &'a [u64],
    pub stride: usize,
    /// What is beside the rows of all groups.
    pub cold: &'a ColdWords,
    /// The sides of all groups.
    pub sides: &'a [Side],
    /// Which of all groups they are.
    pub numbers: Numbers<'a>,
    /// The word of a row with which `words` begin: 0 for whole rows.
    pub first_word: usize,
}

/// The column of each aggregate.
///
/// # Errors
/// If a result does not fit its type.
pub(crate) fn evaluate(layout: &Layout, groups: Groups<'_>) -> Result<Vec<ArrayRef>, AggregateError> {
    layout.outputs.iter().map(|one| output(layout, groups, one)).collect()
}

/// The column of one aggregate.
///
/// # Errors
/// As for [`evaluate`].
pub(super) fn output(layout: &Layout, groups: Groups<'_>, output: &Output) -> Result<ArrayRef, AggregateError> {
    Evaluation { layout, groups, output }.run()
}

/// A group in words.
#[derive(Clone, Copy)]
struct Row<'a> {
    hot: &'a [u64],
    /// None if all of them are 0.
    cold: &'a [u64],
}

impl Row<'_> {
    fn cold(self, word: usize) -> u64 {
        self.cold.get(word).copied().unwrap_or_default()
    }
}

struct Evaluation<'a> {
    layout: &'a Layout,
    groups: Groups<'a>,
    output: &'a Output,
}

impl<'a> Evaluation<'a> {
    fn run(&self) -> Result<ArrayRef, AggregateError> {
        match &self.output.kind {
            OutputKind::Count => Ok(counts(self.counts())),
            &OutputKind::SumI64(part) if self.is_plain_i64(part) => {
                let hot = self.place(part).0;
                Ok(self.plain::<Int64Type>(&self.counts(), |row, _| row[hot] as i64))
            }
            &OutputKind::SumI64(part) => self.integers(|row| Some(self.sum_i64(part, row))),
            &OutputKind::AvgI64(part) => {
                self.integers(|row| Some(self.sum_i64(part, row) / i128::from(self.count(row))))
            }
            &OutputKind::SumI128(part) => self.decimals(|row| {
                let (hot, cold) = self.place(part);
                unwrap_sum(join([row.hot[hot], row.hot[hot + 1]]), row.cold(cold)).to_i128()
            }),
            &OutputKind::AvgI128(part) => self.decimals(|row| {
                let (hot, cold) = self.place(part);
                let sum = unwrap_sum(join([row.hot[hot], row.hot[hot + 1]]), row.cold(cold));
                average(sum, self.count(row), self.more_digits()?)
            }),
            &OutputKind::SumF64(part) if self.output.spec.output_type == DataType::Float64 => {
                let hot = self.place(part).0;
                Ok(self.plain::<Float64Type>(&self.counts(), |row, _| f64::from_bits(row[hot])))
            }
            &OutputKind::AvgF64(part) if self.output.spec.output_type == DataType::Float64 => {
                let hot = self.place(part).0;
                Ok(self.plain::<Float64Type>(&self.counts(), |row, count| f64::from_bits(row[hot]) / count as f64))
            }
            &OutputKind::SumF64(part) => self.doubles(|row| self.some(row, self.f64(part, row))),
            &OutputKind::AvgF64(part) => {
                self.doubles(|row| self.some(row, self.f64(part, row) / self.count(row) as f64))
            }
            &OutputKind::ExtremeI64(part) => self.extremes(part),
            &OutputKind::ExtremeI128(part) => {
                let hot = self.place(part).0;
                let cells = self.rows().map(|row| self.some(row, [row.hot[hot], row.hot[hot + 1]]));
                array_of_cells(cells, &self.output.spec.output_type)
            }
            &OutputKind::Moments(part) => self.doubles(|row| self.moment(part, row)),
            &OutputKind::Side(side) => self.side(side),
            OutputKind::Distinct(side, inner) => self.distinct(*side, inner),
        }
    }

    fn rows(&self) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let Groups { cold, numbers, .. } = self.groups;
        self.hot_rows().enumerate().map(move |(group, hot)| Row { hot, cold: cold.of(numbers.get(group)) })
    }

    fn hot_rows(&self) -> impl Iterator<Item = &'a [u64]> + use<'a> {
        self.groups.words.chunks_exact(self.groups.stride)
    }

    /// A part's first hot word, and its cold one.
    fn place(&self, part: usize) -> (usize, usize) {
        (self.layout.parts[part].hot - self.groups.first_word, self.layout.parts[part].cold)
    }

    /// Rows of the group that this aggregate took.
    fn count(&self, row: Row<'_>) -> u64 {
        let rows = row.hot[self.place(ROWS).0];
        match self.layout.inputs[self.output.input].count {
            Count::Rows => rows,
            Count::RowsBut(nulls) => rows.wrapping_sub(row.cold(self.place(nulls).1)),
            Count::Own(count) => row.hot[self.place(count).0],
        }
    }

    /// The same for all groups, in one loop without a choice.
    fn counts(&self) -> Vec<u64> {
        let rows = self.place(ROWS).0;
        match self.layout.inputs[self.output.input].count {
            Count::Rows => self.hot_rows().map(|row| row[rows]).collect(),
            Count::RowsBut(_) if self.groups.cold.is_empty() => self.hot_rows().map(|row| row[rows]).collect(),
            Count::RowsBut(nulls) => {
                let nulls = self.place(nulls).1;
                self.rows().map(|row| row.hot[rows].wrapping_sub(row.cold(nulls))).collect()
            }
            Count::Own(count) => {
                let count = self.place(count).0;
                self.hot_rows().map(|row| row[count]).collect()
            }
        }
    }

    /// Is the result a BIGINT, and has no sum wrapped?
    fn is_plain_i64(&self, part: usize) -> bool {
        let cold = self.place(part).1;
        self.output.spec.output_type == DataType::Int64
            && (self.groups.cold.is_empty() || self.rows().all(|row| row.cold(cold) == 0))
    }

    /// Values that need no check, from the row and the count of each group; NULL for groups that took no row.
    fn plain<T: ArrowPrimitiveType>(&self, counts: &[u64], value: impl Fn(&[u64], u64) -> T::Native) -> ArrayRef {
        let values: Vec<T::Native> = self.hot_rows().zip(counts).map(|(row, &count)| value(row, count)).collect();
        let nulls = counts.contains(&0).then(|| NullBuffer::from_iter(counts.iter().map(|&count| count > 0)));
        Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
    }

    fn some<T>(&self, row: Row<'_>, value: T) -> Option<T> {
        (self.count(row) > 0).then_some(value)
    }

    fn sum_i64(&self, part: usize, row: Row<'_>) -> i128 {
        let (hot, cold) = self.place(part);
        (i128::from(row.cold(cold) as i64) << 64) + i128::from(row.hot[hot] as i64)
    }

    fn f64(&self, part: usize, row: Row<'_>) -> f64 {
        f64::from_bits(row.hot[self.place(part).0])
    }

    fn more_digits(&self) -> Option<u32> {
        match (&self.output.spec.input_type, &self.output.spec.output_type) {
            (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) => u32::try_from(to - from).ok(),
            _ => None,
        }
    }

    fn moment(&self, part: usize, row: Row<'_>) -> Option<f64> {
        use AggregateFunction as F;
        let (count, squares) = moments::count_and_squares(&row.hot[self.place(part).0..]);
        let divisor = match self.output.spec.function {
            F::VarPop | F::StddevPop => count,
            _ => count.saturating_sub(1),
        };
        let variance = (divisor > 0).then(|| squares / divisor as f64)?;
        let is_root = matches!(self.output.spec.function, F::StddevPop | F::StddevSamp);
        Some(if is_root { variance.sqrt() } else { variance })
    }

    fn overflow(&self) -> AggregateError {
        let spec = &self.output.spec;
        AggregateError::Overflow { aggregate: spec.name.clone(), output_type: spec.output_type.clone() }
    }

    /// Exact integers as the output type; NULL for groups that took no row.
    fn integers(&self, value: impl Fn(Row<'a>) -> Option<i128>) -> Result<ArrayRef, AggregateError> {
        if let &DataType::Decimal128(_, scale) = &self.output.spec.output_type {
            let one = u32::try_from(scale).ok().and_then(|scale| 10i128.checked_pow(scale));
            return self.decimals(|row| value(row)?.checked_mul(one?));
        }
        self.cells(|row| self.integer_cell(value(row)?))
    }

    /// The cell of an integer of the output type.
    fn integer_cell(&self, value: i128) -> Option<[u64; 2]> {
        let range = match self.output.spec.output_type {
            DataType::Int8 => i128::from(i8::MIN)..=i128::from(i8::MAX),
            DataType::Int16 => i128::from(i16::MIN)..=i128::from(i16::MAX),
            DataType::Int32 => i128::from(i32::MIN)..=i128::from(i32::MAX),
            DataType::Int64 => i128::from(i64::MIN)..=i128::from(i64::MAX),
            _ => return None,
        };
        range.contains(&value).then_some([value as u64, 0])
    }

    /// Unscaled decimals as the output type; NULL for groups that took no row.
    fn decimals(&self, value: impl Fn(Row<'a>) -> Option<i128>) -> Result<ArrayRef, AggregateError> {
        let &DataType::Decimal128(precision, _) = &self.output.spec.output_type else {
            return Err(AggregateError::unsupported(&self.output.spec.name, &self.output.spec.output_type));
        };
        self.cells(|row| fit(value(row)?, precision).map(super::update::halves))
    }

    /// Cells of the output type for groups that took a row; it is an overflow if one of these has none.
    fn cells(&self, cell: impl Fn(Row<'a>) -> Option<[u64; 2]>) -> Result<ArrayRef, AggregateError> {
        let mut cells = Vec::with_capacity(self.groups.words.len() / self.groups.stride);
        for row in self.rows() {
            let has_value = self.count(row) > 0;
            cells.push(if has_value { Some(cell(row).ok_or_else(|| self.overflow())?) } else { None });
        }
        array_of_cells(cells.into_iter(), &self.output.spec.output_type)
    }

    /// Numbers as the output type: floating point as they are, integers truncated, decimals rounded.
    fn doubles(&self, value: impl Fn(Row<'a>) -> Option<f64>) -> Result<ArrayRef, AggregateError> {
        let values = self.rows().map(value);
        match &self.output.spec.output_type {
            DataType::Float64 => Ok(Arc::new(values.collect::<PrimitiveArray<Float64Type>>())),
            DataType::Float32 => {
                let values = values.map(|value| value.map(|value| value as f32));
                Ok(Arc::new(values.collect::<PrimitiveArray<Float32Type>>()))
            }
            other => {
                let cell = |value: f64| match other {
                    &DataType::Decimal128(precision, scale) => {
                        from_f64(value, precision, scale).map(super::update::halves)
                    }
                    // The cast saturates far beyond any integer type; NaN would become 0.
                    _ if value.is_nan() => None,
                    _ => self.integer_cell(value as i128),
                };
                let cells: Result<Vec<_>, _> = values
                    .map(|value| value.map(|value| cell(value).ok_or_else(|| self.overflow())).transpose())
                    .collect();
                array_of_cells(cells?.into_iter(), other)
            }
        }
    }

    fn extremes(&self, part: usize) -> Result<ArrayRef, AggregateError> {
        let output_type = &self.output.spec.output_type;
        let hot = self.place(part).0;
        let word = |ordered: u64| match output_type {
            DataType::Float64 => unordered_f64(ordered as i64).to_bits(),
            DataType::Float32 => u64::from((unordered_f64(ordered as i64) as f32).to_bits()),
            _ => ordered,
        };
        array_of_cells(self.rows().map(|row| self.some(row, [word(row.hot[hot]), 0])), output_type)
    }

    fn entries(&self, side: usize) -> impl Iterator<Item = &'a Entry> {
        let (numbers, groups) = (self.groups.numbers, self.groups.words.len() / self.groups.stride);
        let side = &self.groups.sides[side];
        (0..groups).map(move |group| side.entry(numbers.get(group)))
    }

    fn side(&self, side: usize) -> Result<ArrayRef, AggregateError> {
        let plan = &self.layout.sides[side];
        let values = self.entries(side).map(|entry| match entry {
            Entry::One(_, value) => Some(value.as_slice()),
            _ => None,
        });
        match plan.kind {
            SideKind::List => {
                let pieces = |entry: &'a Entry| match entry {
                    Entry::List(pieces) => Some(pieces.sorted().into_iter().map(|(_, value)| value)),
                    _ => None,
                };
                lists(self.entries(side).map(pieces), &self.output.spec)
            }
            SideKind::Min | SideKind::Max => byte_values(values, &self.output.spec),
            _ => decoded(values, plan, &self.output.spec),
        }
    }

    /// Feeds the distinct values to the plain aggregate: in their own order, so that sums of doubles are always the same;
    /// aggregates that go by ordinals do so themselves.
    fn distinct(&self, side: usize, inner: &Layout) -> Result<ArrayRef, AggregateError> {
        if self.output.spec.function == AggregateFunction::Count {
            return Ok(counts(self.entries(side).map(|entry| entry.distinct_count() as u64).collect()));
        }
        let (mut ids, mut values, mut ordinals) = (Vec::new(), Vec::new(), Vec::new());
        let parser = converter(&self.layout.sides[side])?.parser();
        for (id, entry) in (0..).zip(self.entries(side)) {
            let mut distinct: Vec<_> = entry.distinct().collect();
            distinct.sort_unstable();
            for (value, ordinal) in distinct {
                ids.push(id);
                values.push(parser.parse(value));
                ordinals.push(ordinal);
            }
        }
        let columns = converter(&self.layout.sides[side])?.convert_rows(values)?;
        let schema = Schema::new(vec![Field::new("value", self.output.spec.input_type.clone(), false)]);
        let columns = RecordBatch::try_new(Arc::new(schema), columns)?;
        evaluate_plain(inner, (&columns, ordinals.into()), &ids, self.groups.words.len() / self.groups.stride)
    }
}

/// The one aggregate of `layout` over `groups` groups, of which `ids` says which takes a row.
fn evaluate_plain(
    layout: &Layout,
    (columns, ordinals): (&RecordBatch, Arc<[Ordinal]>),
    ids: &[u32],
    groups: usize,
) -> Result<ArrayRef, AggregateError> {
    let mut row = layout.accumulators.clone();
    row.resize(row_stride(row.len()), 0);
    let stride = row.len();
    let mut words = row.repeat(groups);
    let mut sides: Vec<_> = layout.sides.iter().map(|_| Side::new()).collect();
    sides.iter_mut().for_each(|side| side.grow(groups));
    let mut cold = ColdWords::new(layout.cold_words);
    let rows = Rows { words: &mut words, stride, cold: &mut cold };
    let ordinals = Ordinals::Each(ordinals);
    update(layout, rows, &mut sides, (columns, &ordinals), ids, &mut UpdateScratch::default())?;
    let groups = Groups { words: &words, stride, cold: &cold, sides: &sides, numbers: Numbers::From(0), first_word: 0 };
    let columns = evaluate(layout, groups)?;
    columns.into_iter().next().ok_or(AggregateError::Mismatch("a plain aggregate has one result"))
}

/// The pieces of each list, with the separator of the call between them.
pub(super) fn lists<'a, P: Iterator<Item = &'a [u8]>>(
    lists: impl Iterator<Item = Option<P>>,
    spec: &AggregateSpec,
) -> Result<ArrayRef, AggregateError> {
    let AggregateFunction::ListAgg { separator } = &spec.function else {
        return Err(AggregateError::Mismatch("a list without a separator"));
    };
    let mut builder = BinaryViewBuilder::new();
    let mut list = Vec::new();
    for pieces in lists {
        let Some(pieces) = pieces else {
            builder.append_null();
            continue;
        };
        list.clear();
        for (index, value) in pieces.enumerate() {
            if index > 0 {
                list.extend_from_slice(separator.as_bytes());
            }
            list.extend_from_slice(value);
        }
        builder.try_append_value(&list)?;
    }
    Ok(Arc::new(builder.finish().to_string_view()?))
}

/// Strings or bytes as they are.
pub(super) fn byte_values<'a>(
    values: impl Iterator<Item = Option<&'a [u8]>>,
    spec: &AggregateSpec,
) -> Result<ArrayRef, AggregateError> {
    let mut builder = BinaryViewBuilder::new();
    values.for_each(|value| builder.append_option(value));
    let bytes = builder.finish();
    Ok(match spec.output_type {
        DataType::Utf8View => Arc::new(bytes.to_string_view()?),
        _ => Arc::new(bytes),
    })
}

/// Values that the side's converter has encoded.
pub(super) fn decoded<'a>(
    values: impl Iterator<Item = Option<&'a [u8]>>,
    plan: &SidePlan,
    spec: &AggregateSpec,
) -> Result<ArrayRef, AggregateError> {
    let converter = converter(plan)?;
    let parser = converter.parser();
    let null = converter.convert_columns(&[arrow_array::new_null_array(&spec.input_type, 1)])?;
    let columns = converter.convert_rows(values.map(|value| value.map_or(null.row(0), |value| parser.parse(value))))?;
    columns.into_iter().next().ok_or(AggregateError::Mismatch("an encoded value has one column"))
}

/// Integers, each in a word.
fn counts(counts: Vec<u64>) -> ArrayRef {
    Arc::new(PrimitiveArray::<Int64Type>::from_iter_values(counts.into_iter().map(|count| count as i64)))
}
