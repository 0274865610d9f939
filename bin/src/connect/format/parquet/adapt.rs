//! A file's columns as the table's: every value checked, none cut off or wrapped around.
//!
//! A value that does not fit makes a [`Refusal`] of its row. What stands in its place in the column means nothing: the
//! row never leaves the reader.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, Decimal128Array, FixedSizeBinaryArray, ListArray, MapArray, PrimitiveArray,
    StringViewArray, StructArray, make_array,
};
use arrow_buffer::NullBuffer;
use arrow_cast::display::array_value_to_string;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, FieldRef, TimeUnit};
use arrow_select::nullif::nullif;
use thalweg_operators::key::{coded, coded_type};

use super::schema::type_name;
use crate::connect::bad_input::RejectReason;

/// A row that cannot become one of the table's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which, in the batch.
    pub row: usize,
    /// What it is counted as.
    pub reason: RejectReason,
    /// The column, with the parts of a nested one.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

/// How one column, or a part of a nested one, becomes the table's.
#[derive(Debug)]
pub struct Column {
    /// The table's.
    pub field: FieldRef,
    /// The column for messages: `a.b[]`.
    pub path: String,
    /// The file's type for messages, in Flink's words.
    pub file_type: String,
    /// What is done.
    pub step: Step,
}

/// What is known of the strings that are not nested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// Each was found to be UTF-8.
    CheckedEach,
    /// All of a page as one: between two of them, a damaged file may cut a character in half, which then is one neither here
    /// nor there.
    CheckedTogether,
}

/// What is done to the values of a column.
#[derive(Debug)]
pub enum Step {
    /// Nothing: the types are equal.
    Same,
    /// Strings, which are looked at if they come from [`Texts::CheckedTogether`].
    Text,
    /// Bytes that must be UTF-8.
    BytesAsText,
    /// Strings, or bytes that must be UTF-8, as codes; if they are not already.
    Codes,
    /// All NULL.
    Nothing,
    /// Every value has a counterpart or none, and none is rounded.
    Cast(DataType),
    /// Timestamps and times in a coarser unit: divided by this, without a rest.
    Coarser(i64, DataType),
    /// A decimal, of which so many digits behind the point must be 0; then of the second precision.
    Decimal(u32, u8, i8),
    /// A time of day, which must be one; then divided as in `Coarser`.
    TimeOfDay(i64),
    /// ARRAY.
    List(Box<Column>),
    /// ROW: for each field of the table's the place among those that are decoded.
    Row(Vec<(usize, Column)>),
    /// MAP: key and value.
    Map(Box<[Column; 2]>),
}

impl Step {
    /// From a type of a file that is not nested to that of a table's column; `None` if there is no way without loss.
    #[must_use]
    pub fn of(from: &DataType, to: &DataType) -> Option<Self> {
        use DataType as T;
        let is_integer = |data_type: &T| data_type.is_integer();
        Some(match (from, to) {
            (T::Null, _) => Self::Nothing,
            (T::Utf8View, T::Utf8View) => Self::Text,
            (T::BinaryView, T::Utf8View) => Self::BytesAsText,
            (T::Utf8View | T::BinaryView, to) if *to == coded_type() => Self::Codes,
            (T::Utf8View | T::FixedSizeBinary(_), T::BinaryView) => Self::Cast(to.clone()),
            (T::Time32(_) | T::Time64(_), T::Time32(TimeUnit::Millisecond)) => Self::TimeOfDay(match from {
                T::Time64(TimeUnit::Microsecond) => 1_000,
                T::Time64(_) => 1_000_000,
                _ => 1,
            }),
            (T::Timestamp(from, _), T::Timestamp(to_unit, _)) => match per_second(*from) / per_second(*to_unit) {
                0 | 1 => Self::Cast(to.clone()),
                factor => Self::Coarser(factor, to.clone()),
            },
            (T::Decimal128(_, from) | T::Decimal256(_, from), T::Decimal128(precision, scale)) => {
                Self::Decimal((*from - *scale).max(0) as u32, *precision, *scale)
            }
            (T::Decimal128(_, 0), to) if is_integer(to) => Self::Cast(to.clone()),
            (from, T::Decimal128(precision, scale)) if is_integer(from) => Self::Decimal(0, *precision, *scale),
            (from, to) if from == to => Self::Same,
            (from, to) if is_integer(from) && is_integer(to) => Self::Cast(to.clone()),
            (T::Float16, T::Float32 | T::Float64) | (T::Float32, T::Float64) => Self::Cast(to.clone()),
            (T::Int8 | T::Int16 | T::UInt8 | T::UInt16, T::Float32 | T::Float64) => Self::Cast(to.clone()),
            (T::Int32 | T::UInt32, T::Float64) => Self::Cast(to.clone()),
            _ => return None,
        })
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

const MILLIS_OF_DAY: i64 = 86_400_000;

impl Column {
    /// The values of `array`, a column of the file, as the table's.
    ///
    /// # Errors
    /// If Arrow refuses, which it should not.
    pub fn adapt(&self, array: &ArrayRef, texts: Texts, refusals: &mut Vec<Refusal>) -> Result<ArrayRef, ArrowError> {
        self.adapt_within(array, texts, None, refusals)
    }

    /// Bounds of the file's values as those of the table's; NULL where there is none.
    ///
    /// # Errors
    /// As for [`adapt`](Self::adapt).
    pub fn bounds(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let mut refusals = Vec::new();
        let bounds = self.step(array, Texts::CheckedTogether, &mut refusals)?;
        let mut is_unknown = vec![false; bounds.len()];
        refusals.iter().for_each(|refusal| is_unknown[refusal.row] = true);
        nullif(&bounds, &is_unknown.into())
    }

    /// As [`adapt`](Self::adapt) for a part of a ROW: where the row itself is NULL, nothing is asked of its parts.
    fn adapt_within(
        &self,
        array: &ArrayRef,
        texts: Texts,
        parent: Option<&NullBuffer>,
        refusals: &mut Vec<Refusal>,
    ) -> Result<ArrayRef, ArrowError> {
        let adapted = self.step(array, texts, refusals)?;
        if self.field.is_nullable() || adapted.null_count() == 0 {
            return Ok(adapted);
        }
        // What the step had to leave out it has refused by itself.
        let nulls = array.logical_nulls().unwrap_or_else(|| NullBuffer::new_valid(array.len()));
        for row in (0..array.len()).filter(|&row| nulls.is_null(row)) {
            if parent.is_none_or(|parent| parent.is_valid(row)) {
                refusals.push(self.null(row));
            }
        }
        without_nulls(&adapted)
    }

    fn step(&self, array: &ArrayRef, texts: Texts, refusals: &mut Vec<Refusal>) -> Result<ArrayRef, ArrowError> {
        match &self.step {
            Step::Same => Ok(Arc::clone(array)),
            Step::Text if texts == Texts::CheckedEach => Ok(Arc::clone(array)),
            Step::Nothing => Ok(arrow_array::new_null_array(self.field.data_type(), array.len())),
            Step::Text => Ok(self.text(array, refusals)),
            Step::BytesAsText => Ok(Arc::new(self.bytes_as_text(array.as_binary_view(), refusals))),
            Step::Codes => Ok(self.codes(array, texts, refusals)),
            Step::Cast(to) => self.cast(array, to, refusals),
            Step::Coarser(factor, to) => self.coarser(array, *factor, to, refusals),
            Step::Decimal(cut, precision, scale) => self.decimal(array, *cut, (*precision, *scale), refusals),
            Step::TimeOfDay(factor) => self.time_of_day(array, *factor, refusals),
            Step::List(element) => self.list(array.as_list::<i32>(), element, refusals),
            Step::Row(columns) => self.row(array.as_struct(), columns, refusals),
            Step::Map(parts) => self.map(array.as_map(), parts, refusals),
        }
    }

    fn cast(&self, array: &ArrayRef, to: &DataType, refusals: &mut Vec<Refusal>) -> Result<ArrayRef, ArrowError> {
        if let (DataType::FixedSizeBinary(_), DataType::BinaryView) = (array.data_type(), to) {
            let bytes: &FixedSizeBinaryArray = array.as_fixed_size_binary();
            return Ok(Arc::new(bytes.iter().collect::<BinaryViewArray>()));
        }
        if let (DataType::Timestamp(from, _), DataType::Timestamp(unit, _)) = (array.data_type(), to)
            && from == unit
        {
            // Only the zone differs, and all of them are UTC.
            return Ok(make_array(array.to_data().into_builder().data_type(to.clone()).build()?));
        }
        // A zone would shift a timestamp that has none.
        let array = match (array.data_type(), to) {
            (DataType::Timestamp(from, _), DataType::Timestamp(_, zone)) => {
                let zoned = DataType::Timestamp(*from, zone.clone());
                make_array(array.to_data().into_builder().data_type(zoned).build()?)
            }
            _ => Arc::clone(array),
        };
        let cast = cast_with_options(&array, to, &CastOptions { safe: true, ..CastOptions::default() })?;
        if cast.null_count() > array.logical_null_count() {
            for row in (0..array.len()).filter(|&row| cast.is_null(row) && is_valid(&array, row)) {
                refusals.push(self.unfit(&array, row));
            }
        }
        Ok(cast)
    }

    fn coarser(
        &self,
        array: &ArrayRef,
        factor: i64,
        to: &DataType,
        refusals: &mut Vec<Refusal>,
    ) -> Result<ArrayRef, ArrowError> {
        let fine = array.to_data().into_builder().data_type(DataType::Int64).build()?;
        let fine: PrimitiveArray<Int64Type> = fine.into();
        let divided: PrimitiveArray<Int64Type> = fine.unary(|value| value.div_euclid(factor));
        if fine.values().iter().any(|value| value.rem_euclid(factor) != 0) {
            for row in (0..fine.len()).filter(|&row| fine.is_valid(row) && fine.value(row).rem_euclid(factor) != 0) {
                refusals.push(self.too_fine(array, row));
            }
        }
        Ok(make_array(divided.into_data().into_builder().data_type(to.clone()).build()?))
    }

    fn time_of_day(&self, array: &ArrayRef, factor: i64, refusals: &mut Vec<Refusal>) -> Result<ArrayRef, ArrowError> {
        let units: PrimitiveArray<Int64Type> = match array.data_type() {
            DataType::Time32(unit) => {
                let units: PrimitiveArray<Int32Type> =
                    array.to_data().into_builder().data_type(DataType::Int32).build()?.into();
                let to_millis = 1_000 / per_second(*unit).min(1_000);
                units.unary(|value| i64::from(value) * to_millis)
            }
            _ => array.to_data().into_builder().data_type(DataType::Int64).build()?.into(),
        };
        for row in (0..units.len()).filter(|&row| units.is_valid(row)) {
            let value = units.value(row);
            if !(0..MILLIS_OF_DAY * factor).contains(&value) {
                refusals.push(self.refusal(row, RejectReason::OutOfRange, format!("{value} is no time of day"), ""));
            } else if value % factor != 0 {
                refusals.push(self.too_fine(array, row));
            }
        }
        let millis: PrimitiveArray<Int32Type> = units.unary(|value| (value / factor) as i32);
        let to = DataType::Time32(TimeUnit::Millisecond);
        Ok(make_array(millis.into_data().into_builder().data_type(to).build()?))
    }

    /// Scale and precision of a decimal or an integer; digits behind the point that go must be 0.
    fn decimal(
        &self,
        array: &ArrayRef,
        cut: u32,
        (precision, scale): (u8, i8),
        refusals: &mut Vec<Refusal>,
    ) -> Result<ArrayRef, ArrowError> {
        let wide_scale = scale + cut as i8;
        let wide = match array.data_type() {
            DataType::Decimal128(_, from) if *from == wide_scale => Arc::clone(array),
            _ => self.cast(array, &DataType::Decimal128(38, wide_scale), refusals)?,
        };
        let wide = wide.as_primitive::<Decimal128Type>();
        let unit = 10_i128.pow(cut.min(38));
        let end = 10_i128.pow(u32::from(precision.min(38)));
        let is_refused = |value: i128| value % unit != 0 || (value / unit).unsigned_abs() >= end.unsigned_abs();
        if wide.values().iter().any(|&value| is_refused(value)) {
            for row in (0..wide.len()).filter(|&row| wide.is_valid(row) && is_refused(wide.value(row))) {
                refusals.push(match wide.value(row) % unit {
                    0 => self.unfit(array, row),
                    _ => self.too_fine(array, row),
                });
            }
        }
        let values = match unit {
            1 => wide.clone(),
            unit => wide.unary::<_, Decimal128Type>(|value| value / unit),
        };
        let data = values.into_data().into_builder().data_type(DataType::Decimal128(precision, scale)).build()?;
        Ok(Arc::new(Decimal128Array::from(data)))
    }

    fn text(&self, array: &ArrayRef, refusals: &mut Vec<Refusal>) -> ArrayRef {
        let text = array.as_string_view();
        if !is_cut(text) {
            return Arc::clone(array);
        }
        Arc::new(self.bytes_as_text(&text.clone().to_binary_view(), refusals))
    }

    fn codes(&self, array: &ArrayRef, texts: Texts, refusals: &mut Vec<Refusal>) -> ArrayRef {
        match array.data_type() {
            DataType::Utf8View if texts == Texts::CheckedEach => coded(array),
            DataType::Utf8View => coded(&self.text(array, refusals)),
            DataType::BinaryView => {
                coded(&(Arc::new(self.bytes_as_text(array.as_binary_view(), refusals)) as ArrayRef))
            }
            _ => Arc::clone(array),
        }
    }

    fn bytes_as_text(&self, bytes: &BinaryViewArray, refusals: &mut Vec<Refusal>) -> StringViewArray {
        if let Ok(text) = bytes.clone().to_string_view() {
            return text;
        }
        let texts = bytes.iter().enumerate().map(|(row, bytes)| match std::str::from_utf8(bytes?) {
            Ok(text) => Some(text),
            Err(_) => {
                let help = "declare the column as BYTES, and DECODE it in the query";
                let message = format!("column `{}` is not UTF-8", self.path);
                refusals.push(self.refusal(row, RejectReason::NotUtf8, message, help));
                Some("")
            }
        });
        texts.collect()
    }

    fn list(&self, list: &ListArray, element: &Column, refusals: &mut Vec<Refusal>) -> Result<ArrayRef, ArrowError> {
        let mut inner = Vec::new();
        let values = element.adapt(list.values(), Texts::CheckedTogether, &mut inner)?;
        raise(inner, list.value_offsets(), list.nulls(), refusals);
        let DataType::List(field) = self.field.data_type() else { return Err(self.not_planned()) };
        let list = ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned())?;
        Ok(Arc::new(list))
    }

    fn row(
        &self,
        row: &StructArray,
        columns: &[(usize, Column)],
        refusals: &mut Vec<Refusal>,
    ) -> Result<ArrayRef, ArrowError> {
        let DataType::Struct(fields) = self.field.data_type() else { return Err(self.not_planned()) };
        let mut inner = Vec::new();
        let mut parts = Vec::with_capacity(columns.len());
        for (place, column) in columns {
            let part = row.columns().get(*place).ok_or_else(|| self.not_planned())?;
            parts.push(column.adapt_within(part, Texts::CheckedTogether, row.nulls(), &mut inner)?);
        }
        refusals.extend(inner.into_iter().filter(|refusal| row.is_valid(refusal.row)));
        Ok(Arc::new(StructArray::try_new(fields.clone(), parts, row.nulls().cloned())?))
    }

    fn map(
        &self,
        map: &MapArray,
        [key, value]: &[Column; 2],
        refusals: &mut Vec<Refusal>,
    ) -> Result<ArrayRef, ArrowError> {
        let DataType::Map(entries, is_sorted) = self.field.data_type() else { return Err(self.not_planned()) };
        let DataType::Struct(fields) = entries.data_type() else { return Err(self.not_planned()) };
        let mut inner = Vec::new();
        let texts = Texts::CheckedTogether;
        let parts = vec![key.adapt(map.keys(), texts, &mut inner)?, value.adapt(map.values(), texts, &mut inner)?];
        raise(inner, map.value_offsets(), map.nulls(), refusals);
        let parts = StructArray::try_new(fields.clone(), parts, None)?;
        let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
        Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, parts, nulls, *is_sorted)?))
    }

    fn not_planned(&self) -> ArrowError {
        ArrowError::SchemaError(format!("column `{}` was not decoded as planned", self.path))
    }

    fn refusal(&self, row: usize, reason: RejectReason, message: String, help: &str) -> Refusal {
        Refusal { row, reason, path: self.path.clone(), message, help: help.to_owned() }
    }

    fn null(&self, row: usize) -> Refusal {
        let message = format!("NULL in column `{}`, which is NOT NULL", self.path);
        let help = "declare the column without NOT NULL, or leave such rows out with 'on-error' = 'skip'";
        self.refusal(row, RejectReason::Null, message, help)
    }

    fn unfit(&self, array: &ArrayRef, row: usize) -> Refusal {
        let (value, to) = (shown(array, row), type_name(self.field.data_type()));
        let message = format!("{value} in column `{}` is out of range for {to}", self.path);
        let help = format!("the file has {}: declare the column so", self.file_type);
        self.refusal(row, RejectReason::OutOfRange, message, &help)
    }

    fn too_fine(&self, array: &ArrayRef, row: usize) -> Refusal {
        let (value, to) = (shown(array, row), type_name(self.field.data_type()));
        let message = format!("{value} in column `{}` has more digits than {to} holds", self.path);
        let help = format!("declare the column as {}, and CAST it to what is wanted", self.file_type);
        self.refusal(row, RejectReason::OutOfRange, message, &help)
    }
}

/// Makes the refusals of elements those of the rows that hold them.
fn raise(inner: Vec<Refusal>, offsets: &[i32], nulls: Option<&NullBuffer>, refusals: &mut Vec<Refusal>) {
    for refusal in inner {
        // The last row that begins at or before the element; the element may lie outside of all.
        let row = offsets.partition_point(|offset| *offset as usize <= refusal.row);
        if row > 0 && row < offsets.len() && nulls.is_none_or(|nulls| nulls.is_valid(row - 1)) {
            refusals.push(Refusal { row: row - 1, ..refusal });
        }
    }
}

/// Whether a string begins within a character.
fn is_cut(text: &StringViewArray) -> bool {
    // A view holds the length in its low 32 bits, the first bytes of the string behind it.
    let is_cut = |view: u128| (view as u32 > 0) & ((view >> 32) as u8 & 0xc0 == 0x80);
    // All are looked at: it is rare that one is, and so there is no branch for each.
    text.views().iter().fold(false, |any, view| any | is_cut(*view))
}

fn is_valid(array: &ArrayRef, row: usize) -> bool {
    array.is_valid(row) && *array.data_type() != DataType::Null
}

/// Rows that were refused get some value, so that a column that is NOT NULL has no NULL.
fn without_nulls(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(make_array(array.to_data().into_builder().nulls(None).build()?))
}

fn shown(array: &ArrayRef, row: usize) -> String {
    array_value_to_string(array, row).map_or_else(|_| "a value".to_owned(), |text| text.chars().take(80).collect())
}
