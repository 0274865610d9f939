//! What an aggregate reads of a batch: which rows it takes, and their values as the few types that kernels know.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, TimeUnit};

use super::AggregateError;
use super::layout::{Count, Input};
use crate::kernels::Level;
use crate::key::canonical_f64;

/// The rows of a batch that an aggregate takes.
#[derive(Debug)]
pub(crate) enum Taken {
    All,
    None,
    Some(BooleanBuffer),
}

impl Taken {
    /// The rows where the input's filter is TRUE and its argument not NULL.
    pub(crate) fn of(input: &Input, columns: &RecordBatch) -> Result<Self, AggregateError> {
        let valid = input.argument.and_then(|column| columns.column(column).logical_nulls());
        let valid = valid.filter(|nulls| nulls.null_count() > 0).map(|nulls| nulls.inner().clone());
        if input.count == Count::Rows && valid.is_some() {
            return Err(AggregateError::Mismatch("a column has NULLs that its schema rules out"));
        }
        let passed = input.filter.map(|column| {
            let filter = columns.column(column).as_boolean();
            match filter.nulls() {
                Some(nulls) => filter.values() & nulls.inner(),
                None => filter.values().clone(),
            }
        });
        let taken = match (valid, passed) {
            (None, None) => return Ok(Self::All),
            (Some(taken), None) | (None, Some(taken)) => taken,
            (Some(valid), Some(passed)) => &valid & &passed,
        };
        Ok(Self::these(taken))
    }

    /// The rows that are set.
    pub(crate) fn these(taken: BooleanBuffer) -> Self {
        match taken.count_set_bits() {
            0 => Self::None,
            all if all == taken.len() => Self::All,
            _ => Self::Some(taken),
        }
    }

    /// Calls `f` with each row taken, of `rows`.
    #[inline]
    pub(crate) fn for_each(&self, rows: usize, mut f: impl FnMut(usize)) {
        match self {
            Self::None => {}
            Self::All => (0..rows).for_each(f),
            Self::Some(taken) => taken.set_indices().for_each(&mut f),
        }
    }
}

/// The values of an integer, boolean, date or time column.
pub(crate) fn integers<'a>(array: &'a ArrayRef, scratch: &'a mut Vec<i64>) -> Result<&'a [i64], AggregateError> {
    use DataType as T;
    scratch.clear();
    Ok(match array.data_type() {
        T::Int64 => array.as_primitive::<Int64Type>().values(),
        T::Time64(TimeUnit::Microsecond) => array.as_primitive::<Time64MicrosecondType>().values(),
        T::Time64(_) => array.as_primitive::<Time64NanosecondType>().values(),
        T::Timestamp(TimeUnit::Second, _) => array.as_primitive::<TimestampSecondType>().values(),
        T::Timestamp(TimeUnit::Millisecond, _) => array.as_primitive::<TimestampMillisecondType>().values(),
        T::Timestamp(TimeUnit::Microsecond, _) => array.as_primitive::<TimestampMicrosecondType>().values(),
        T::Timestamp(TimeUnit::Nanosecond, _) => array.as_primitive::<TimestampNanosecondType>().values(),
        T::Boolean => {
            scratch.extend(array.as_boolean().values().iter().map(i64::from));
            scratch
        }
        T::Int8 => widen::<Int8Type>(array, scratch),
        T::Int16 => widen::<Int16Type>(array, scratch),
        T::Int32 => widen::<Int32Type>(array, scratch),
        T::Date32 => widen::<Date32Type>(array, scratch),
        T::Time32(TimeUnit::Second) => widen::<Time32SecondType>(array, scratch),
        T::Time32(_) => widen::<Time32MillisecondType>(array, scratch),
        other => return Err(AggregateError::unsupported("the argument of an aggregate", other)),
    })
}

fn widen<'a, T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef, scratch: &'a mut Vec<i64>) -> &'a [i64] {
    scratch.extend(array.as_primitive::<T>().values().iter().map(|&value| value.into()));
    scratch
}

/// The values of a column as `i64` of the same order: also for floating point, where NaN is the greatest.
pub(crate) fn ordered<'a>(
    array: &'a ArrayRef,
    scratch: &'a mut Vec<i64>,
    level: Level,
) -> Result<&'a [i64], AggregateError> {
    match array.data_type() {
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            scratch.resize(values.len(), 0);
            order(values, scratch, level);
            Ok(scratch)
        }
        DataType::Float32 => {
            scratch.clear();
            let values = array.as_primitive::<Float32Type>().values();
            scratch.extend(values.iter().map(|&value| ordered_f64(f64::from(value))));
            Ok(scratch)
        }
        _ => integers(array, scratch),
    }
}

/// The values of a column of numbers as `f64`.
pub(crate) fn doubles<'a>(array: &'a ArrayRef, scratch: &'a mut Vec<f64>) -> Result<&'a [f64], AggregateError> {
    scratch.clear();
    match array.data_type() {
        DataType::Float64 => return Ok(array.as_primitive::<Float64Type>().values()),
        DataType::Float32 => {
            scratch.extend(array.as_primitive::<Float32Type>().values().iter().map(|&value| f64::from(value)));
        }
        DataType::Decimal128(_, scale) => {
            let one = 10f64.powi((*scale).into());
            scratch.extend(array.as_primitive::<Decimal128Type>().values().iter().map(|&value| value as f64 / one));
        }
        _ => {
            let mut widened = Vec::new();
            scratch.extend(integers(array, &mut widened)?.iter().map(|&value| value as f64));
        }
    }
    Ok(scratch)
}

/// The unscaled values of a DECIMAL column.
pub(crate) fn decimals(array: &ArrayRef) -> Result<&[i128], AggregateError> {
    match array.data_type() {
        DataType::Decimal128(..) => Ok(array.as_primitive::<Decimal128Type>().values()),
        other => Err(AggregateError::unsupported("the argument of an aggregate", other)),
    }
}

/// Writes [`ordered_f64`] of each value.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // Eight at once: there is no comparison of 64-bit integers in the instructions that every processor has.
fn order(values: &[f64], ordered: &mut [i64], level: Level) {
    match level {
        // SAFETY: the level says that the processor has the instructions.
        Level::Avx512(_) => unsafe { order_avx512(values, ordered) },
        Level::Avx2(_) | Level::Scalar => order_each(values, ordered),
    }
}

/// One by one.
#[cfg(not(target_arch = "x86_64"))]
fn order(values: &[f64], ordered: &mut [i64], _: Level) {
    order_each(values, ordered);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn order_avx512(values: &[f64], ordered: &mut [i64]) {
    order_each(values, ordered);
}

#[inline(always)]
fn order_each(values: &[f64], ordered: &mut [i64]) {
    for (ordered, &value) in ordered.iter_mut().zip(values) {
        *ordered = ordered_f64(value);
    }
}

/// An integer of the same order among numbers, with NaN above all and one zero.
#[inline]
pub(crate) fn ordered_f64(value: f64) -> i64 {
    flip(canonical_f64(value).to_bits() as i64)
}

/// The number that [`ordered_f64`] stands for.
pub(crate) fn unordered_f64(ordered: i64) -> f64 {
    f64::from_bits(flip(ordered) as u64)
}

/// Negative floating-point numbers count away from zero, integers towards it. Its own inverse.
#[inline]
fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}
