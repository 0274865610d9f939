//! Loops over one or two columns, each of which may be a constant.

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryViewArray, BooleanArray, PrimitiveArray, StringViewArray, new_null_array,
};
use arrow_buffer::{NullBuffer, ScalarBuffer};

use super::binding::Value;
use crate::sql::types::FlinkType;

/// Where an entry of the result is NULL because an argument is; `None` where no argument has a NULL.
pub(crate) fn nulls_of(arguments: &[Value], rows: usize) -> Option<NullBuffer> {
    let of = |argument: &Value| match (argument.is_scalar, argument.array.logical_nulls()) {
        (true, Some(nulls)) if nulls.null_count() > 0 => Some(NullBuffer::new_null(rows)),
        (true, _) => None,
        (false, nulls) => nulls,
    };
    arguments.iter().fold(None, |nulls, argument| NullBuffer::union(nulls.as_ref(), of(argument).as_ref()))
}

/// Whether some argument is the constant NULL, so that a strict function has nothing to compute.
pub(crate) fn has_null_scalar(arguments: &[Value]) -> bool {
    arguments.iter().any(|argument| argument.is_scalar && argument.is_null(0))
}

/// NULL for every row.
pub(crate) fn all_null(result: FlinkType, rows: usize) -> ArrayRef {
    new_null_array(&result.to_arrow(), rows)
}

/// The values of a column of numbers; a constant has one.
pub(crate) fn natives<T: ArrowPrimitiveType>(argument: &Value) -> &[T::Native] {
    argument.array.as_primitive::<T>().values()
}

/// `f` of each value, also where there is none: it must not fail.
pub(crate) fn unary<T: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    arguments: &[Value],
    rows: usize,
    result: FlinkType,
    f: impl Fn(T::Native) -> O::Native,
) -> ArrayRef {
    let values: Vec<O::Native> = natives::<T>(&arguments[0]).iter().map(|value| f(*value)).collect();
    primitive::<O>(values, nulls_of(arguments, rows), result)
}

/// `f` of each value that there is.
pub(crate) fn try_unary<T: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    arguments: &[Value],
    rows: usize,
    result: FlinkType,
    f: impl Fn(T::Native) -> Result<O::Native, String>,
) -> Result<ArrayRef, String> {
    let nulls = nulls_of(arguments, rows);
    let input = natives::<T>(&arguments[0]);
    let values = try_rows(rows, nulls.as_ref(), |row| f(input[row]))?;
    Ok(primitive::<O>(values, nulls, result))
}

/// `f` of each pair of values, also where there is none: it must not fail.
pub(crate) fn binary<L: ArrowPrimitiveType, R: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    arguments: &[Value],
    rows: usize,
    result: FlinkType,
    f: impl Fn(L::Native, R::Native) -> O::Native,
) -> ArrayRef {
    if has_null_scalar(arguments) {
        return all_null(result, rows);
    }
    let (left, right) = (natives::<L>(&arguments[0]), natives::<R>(&arguments[1]));
    let values: Vec<O::Native> = match (arguments[0].is_scalar, arguments[1].is_scalar) {
        (false, false) => left.iter().zip(right).map(|(l, r)| f(*l, *r)).collect(),
        (false, true) => left.iter().map(|l| f(*l, right[0])).collect(),
        (true, false) => right.iter().map(|r| f(left[0], *r)).collect(),
        (true, true) => vec![f(left[0], right[0])],
    };
    primitive::<O>(values, nulls_of(arguments, rows), result)
}

/// `f` of each pair, which says beside the value whether the pair is refused; `complain` then words it.
/// The loop has no branch: whether a refused pair belongs to a NULL is looked at only when there is one.
pub(crate) fn checked_binary<L: ArrowPrimitiveType, R: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    arguments: &[Value],
    rows: usize,
    result: FlinkType,
    f: impl Fn(L::Native, R::Native) -> (O::Native, bool),
    complain: impl Fn(L::Native, R::Native) -> String,
) -> Result<ArrayRef, String> {
    if has_null_scalar(arguments) {
        return Ok(all_null(result, rows));
    }
    let mut is_refused = false;
    let array = binary::<L, R, O>(arguments, rows, result, {
        let is_refused = std::cell::Cell::from_mut(&mut is_refused);
        |l, r| {
            let (value, refused) = f(l, r);
            is_refused.set(is_refused.get() | refused);
            value
        }
    });
    if is_refused {
        let (left, right) = (natives::<L>(&arguments[0]), natives::<R>(&arguments[1]));
        let (left_stride, right_stride) = (arguments[0].stride(), arguments[1].stride());
        for row in (0..rows).filter(|&row| array.is_valid(row)) {
            let (l, r) = (left[row * left_stride], right[row * right_stride]);
            if f(l, r).1 {
                return Err(complain(l, r));
            }
        }
    }
    Ok(array)
}

/// `f` of each row that is not NULL, the default elsewhere.
pub(crate) fn try_rows<N: Default + Clone>(
    rows: usize,
    nulls: Option<&NullBuffer>,
    mut f: impl FnMut(usize) -> Result<N, String>,
) -> Result<Vec<N>, String> {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => (0..rows).map(f).collect(),
        Some(nulls) => {
            let mut values = vec![N::default(); rows];
            for row in nulls.valid_indices() {
                values[row] = f(row)?;
            }
            Ok(values)
        }
    }
}

/// A column of numbers of the type that goes with `result`.
pub(crate) fn primitive<O: ArrowPrimitiveType>(
    values: Vec<O::Native>,
    nulls: Option<NullBuffer>,
    result: FlinkType,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<O>::new(ScalarBuffer::from(values), nulls).with_data_type(result.to_arrow()))
}

/// A column of numbers from what `f` gives for each row: a value or NULL.
pub(crate) fn primitive_rows<O: ArrowPrimitiveType>(
    rows: usize,
    result: FlinkType,
    mut f: impl FnMut(usize) -> Result<Option<O::Native>, String>,
) -> Result<ArrayRef, String> {
    let mut builder = PrimitiveArray::<O>::builder(rows).with_data_type(result.to_arrow());
    for row in 0..rows {
        builder.append_option(f(row)?);
    }
    Ok(Arc::new(builder.finish()))
}

/// A column of truth values from what `f` gives for each row: TRUE, FALSE or NULL.
pub(crate) fn boolean_rows(
    rows: usize,
    mut f: impl FnMut(usize) -> Result<Option<bool>, String>,
) -> Result<ArrayRef, String> {
    let mut builder = BooleanArray::builder(rows);
    for row in 0..rows {
        builder.append_option(f(row)?);
    }
    Ok(Arc::new(builder.finish()))
}

/// The strings of an argument.
pub(crate) struct Strings<'a> {
    array: &'a StringViewArray,
    stride: usize,
}

impl<'a> Strings<'a> {
    /// Of an argument that is bound as a string.
    pub fn of(argument: &'a Value) -> Self {
        Self { array: argument.array.as_string_view(), stride: argument.stride() }
    }

    /// The string of a row, unless it is NULL.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        let entry = row * self.stride;
        self.array.is_valid(entry).then(|| self.array.value(entry))
    }
}

/// The byte strings of an argument.
pub(crate) struct Bytes<'a> {
    array: &'a BinaryViewArray,
    stride: usize,
}

impl<'a> Bytes<'a> {
    /// Of an argument that is bound as bytes.
    pub fn of(argument: &'a Value) -> Self {
        Self { array: argument.array.as_binary_view(), stride: argument.stride() }
    }

    /// The bytes of a row, unless they are NULL.
    pub fn get(&self, row: usize) -> Option<&'a [u8]> {
        let entry = row * self.stride;
        self.array.is_valid(entry).then(|| self.array.value(entry))
    }
}

/// The numbers of an argument.
pub(crate) struct Numbers<'a, T: ArrowPrimitiveType> {
    array: &'a PrimitiveArray<T>,
    stride: usize,
}

impl<'a, T: ArrowPrimitiveType> Numbers<'a, T> {
    /// Of an argument that is bound as this type.
    pub fn of(argument: &'a Value) -> Self {
        Self { array: argument.array.as_primitive(), stride: argument.stride() }
    }

    /// The number of a row, unless it is NULL.
    pub fn get(&self, row: usize) -> Option<T::Native> {
        let entry = row * self.stride;
        self.array.is_valid(entry).then(|| self.array.value(entry))
    }
}

/// The truth values of an argument.
pub(crate) struct Booleans<'a> {
    array: &'a BooleanArray,
    stride: usize,
}

impl<'a> Booleans<'a> {
    /// Of an argument that is bound as BOOLEAN.
    pub fn of(argument: &'a Value) -> Self {
        Self { array: argument.array.as_boolean(), stride: argument.stride() }
    }

    /// The truth value of a row, unless it is NULL.
    pub fn get(&self, row: usize) -> Option<bool> {
        let entry = row * self.stride;
        self.array.is_valid(entry).then(|| self.array.value(entry))
    }
}

/// Longest string that a function makes: what Arrow's views can address.
pub(crate) const STRING_BYTES_MAX: usize = i32::MAX as usize;

/// A column of strings: `f` writes the one of a row into an empty buffer and says whether there is one.
pub(crate) fn string_rows(
    rows: usize,
    mut f: impl FnMut(usize, &mut String) -> Result<bool, String>,
) -> Result<ArrayRef, String> {
    let mut builder = StringViewBuilder::with_capacity(rows);
    let mut text = String::new();
    for row in 0..rows {
        text.clear();
        match f(row, &mut text)? {
            true if text.len() > STRING_BYTES_MAX => return Err("a string of more than 2 GiB".to_owned()),
            true => builder.append_value(&text),
            false => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// A column of strings that are parts of others.
pub(crate) fn slice_rows<'a>(
    rows: usize,
    mut f: impl FnMut(usize) -> Result<Option<&'a str>, String>,
) -> Result<ArrayRef, String> {
    let mut builder = StringViewBuilder::with_capacity(rows);
    for row in 0..rows {
        builder.append_option(f(row)?);
    }
    Ok(Arc::new(builder.finish()))
}

/// A column of byte strings, as [`string_rows`].
pub(crate) fn bytes_rows(
    rows: usize,
    mut f: impl FnMut(usize, &mut Vec<u8>) -> Result<bool, String>,
) -> Result<ArrayRef, String> {
    let mut builder = BinaryViewBuilder::with_capacity(rows);
    let mut bytes = Vec::new();
    for row in 0..rows {
        bytes.clear();
        match f(row, &mut bytes)? {
            true => builder.append_value(&bytes),
            false => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}
