//! The sum of each column of a result: integers and decimals exactly, doubles, the lengths and the bytes of texts,
//! timestamps in milliseconds. It does not depend on the order of rows.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, StringViewArray};
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use serde_json::{Value, json};

/// Sums of all columns of a result.
#[derive(Clone, Debug)]
pub struct ColumnSums {
    schema: SchemaRef,
    pairing: Pairing,
    rows: u64,
    columns: Vec<Sum>,
}

/// Whether the values of a row are tied to each other: two counts that changed places leave every sum as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Each number is also summed in proportion to a weight of its row's texts and timestamps.
    Checked,
    /// Each column by itself.
    Unchecked,
}

/// What is kept of one column.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    nulls: u64,
    /// Integers, unscaled decimals, days, milliseconds, or how many are true.
    whole: i128,
    doubles: f64,
    /// Bytes of all texts: how many, and their sum as numbers.
    length: u64,
    bytes: u64,
    /// As `whole` and `doubles`, each value times its row's weight; whole numbers modulo 2^64.
    weighted_whole: u64,
    weighted_doubles: f64,
}

impl ColumnSums {
    /// Of no rows.
    ///
    /// # Errors
    /// The name of a column whose type has no sum.
    pub fn new(schema: &SchemaRef, pairing: Pairing) -> Result<Self, String> {
        match schema.fields().iter().find(|field| !has_sum(field.data_type())) {
            Some(field) => Err(format!("column `{}` of type {} has no sum", field.name(), field.data_type())),
            None => {
                let columns = vec![Sum::default(); schema.fields().len()];
                Ok(Self { schema: Arc::clone(schema), pairing, rows: 0, columns })
            }
        }
    }

    /// Adds the rows of a batch of the schema.
    pub fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        for (sum, column) in self.columns.iter_mut().zip(batch.columns()) {
            sum.add(column);
        }
        if self.pairing == Pairing::Checked {
            let weights = weights(batch);
            for (sum, column) in self.columns.iter_mut().zip(batch.columns()) {
                sum.add_weighted(column, &weights);
            }
        }
    }

    /// The sums of both.
    #[must_use]
    pub fn merged(mut self, other: Self) -> Self {
        self.rows += other.rows;
        for (sum, other) in self.columns.iter_mut().zip(other.columns) {
            sum.nulls += other.nulls;
            sum.whole += other.whole;
            sum.doubles += other.doubles;
            sum.length += other.length;
            sum.bytes += other.bytes;
            sum.weighted_whole = sum.weighted_whole.wrapping_add(other.weighted_whole);
            sum.weighted_doubles += other.weighted_doubles;
        }
        self
    }

    /// One line: what was read, and for each column its name and its sums.
    #[must_use]
    pub fn to_json(&self, records: u64, late: u64, state_peak_bytes: u64) -> String {
        let columns: Vec<Value> = self
            .schema
            .fields()
            .iter()
            .zip(&self.columns)
            .map(|(field, sum)| {
                let mut object = match field.data_type() {
                    DataType::Float32 | DataType::Float64 => json!({"kind": "double", "sum": sum.doubles}),
                    DataType::Utf8View => json!({"kind": "text", "length": sum.length, "bytes": sum.bytes}),
                    // Whole numbers may be too large for JSON's.
                    _ => json!({"kind": "whole", "sum": sum.whole.to_string()}),
                };
                object["name"] = json!(field.name());
                object["nulls"] = json!(sum.nulls);
                if self.pairing == Pairing::Checked {
                    object["weighted_whole"] = json!(sum.weighted_whole.to_string());
                    object["weighted_double"] = json!(sum.weighted_doubles);
                }
                object
            })
            .collect();
        json!({"rows": self.rows, "records": records, "late": late, "state_peak_bytes": state_peak_bytes,
               "columns": columns})
        .to_string()
    }
}

impl Sum {
    fn add(&mut self, column: &ArrayRef) {
        self.nulls += column.null_count() as u64;
        match column.data_type() {
            DataType::Float64 => self.doubles += doubles(column.as_primitive::<Float64Type>()),
            DataType::Float32 => {
                self.doubles += column.as_primitive::<Float32Type>().iter().flatten().map(f64::from).sum::<f64>();
            }
            DataType::Decimal128(..) => {
                self.whole += column.as_primitive::<Decimal128Type>().iter().flatten().sum::<i128>()
            }
            DataType::Boolean => self.whole += i128::from(trues(column.as_boolean())),
            DataType::Utf8View => {
                let (length, bytes) = text(column.as_string_view());
                self.length += length;
                self.bytes += bytes;
            }
            _ => self.whole += whole(column),
        }
    }

    fn add_weighted(&mut self, column: &ArrayRef, weights: &[u64]) {
        match column.data_type() {
            DataType::Float64 => {
                let values = column.as_primitive::<Float64Type>().iter().zip(weights);
                self.weighted_doubles +=
                    values.map(|(value, &weight)| value.unwrap_or(0.0) * weight as f64).sum::<f64>();
            }
            DataType::Int64 => {
                for (value, weight) in column.as_primitive::<Int64Type>().iter().zip(weights) {
                    let product = (value.unwrap_or(0) as u64).wrapping_mul(*weight);
                    self.weighted_whole = self.weighted_whole.wrapping_add(product);
                }
            }
            _ => {}
        }
    }
}

fn has_sum(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(
        data_type,
        T::Int8
            | T::Int16
            | T::Int32
            | T::Int64
            | T::Float32
            | T::Float64
            | T::Boolean
            | T::Date32
            | T::Utf8View
            | T::Decimal128(..)
            | T::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _)
    )
}

/// The sum of integers, days or milliseconds.
fn whole(column: &ArrayRef) -> i128 {
    fn narrow<T: ArrowPrimitiveType<Native: Into<i64>>>(column: &ArrayRef) -> i128 {
        column.as_primitive::<T>().iter().flatten().map(|value| i128::from(value.into())).sum()
    }
    match column.data_type() {
        DataType::Int8 => narrow::<Int8Type>(column),
        DataType::Int16 => narrow::<Int16Type>(column),
        DataType::Int32 => narrow::<Int32Type>(column),
        DataType::Date32 => narrow::<Date32Type>(column),
        DataType::Int64 => wide(column.as_primitive::<Int64Type>()),
        DataType::Timestamp(TimeUnit::Millisecond, _) => wide(column.as_primitive::<TimestampMillisecondType>()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => column
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .flatten()
            .map(|time| i128::from(time / 1_000))
            .sum(),
        _ => column
            .as_primitive::<TimestampNanosecondType>()
            .iter()
            .flatten()
            .map(|time| i128::from(time / 1_000_000))
            .sum(),
    }
}

/// The halves of each word are summed by themselves, so that nothing overflows and the processor can take many at once.
fn wide<T: ArrowPrimitiveType<Native = i64>>(column: &PrimitiveArray<T>) -> i128 {
    if column.null_count() > 0 {
        return column.iter().flatten().map(i128::from).sum();
    }
    // A batch has fewer than 2^31 rows.
    let (mut low, mut high) = (0_u64, 0_i64);
    for &value in column.values().iter() {
        low += value as u64 & 0xffff_ffff;
        high += value >> 32;
    }
    (i128::from(high) << 32) + i128::from(low)
}

/// Eight sums side by side: additions of one would wait for each other.
fn doubles(column: &PrimitiveArray<Float64Type>) -> f64 {
    if column.null_count() > 0 {
        return column.iter().flatten().sum();
    }
    let (chunks, rest) = column.values().as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

fn trues(column: &BooleanArray) -> u64 {
    column.iter().flatten().filter(|is_true| *is_true).count() as u64
}

/// Bytes of all texts: how many, and their sum.
fn text(column: &StringViewArray) -> (u64, u64) {
    /// Of a view whose text is within it: what follows the text is zero, and the length is one byte.
    const INLINE_MAX: u32 = 12;
    let views = column.views();
    let longest = views.iter().fold(0, |longest, &view| longest.max(view as u32));
    if column.null_count() > 0 || longest > INLINE_MAX {
        return column.iter().flatten().fold((0, 0), |(length, bytes), text| {
            (length + text.len() as u64, bytes + text.bytes().map(u64::from).sum::<u64>())
        });
    }
    const EVEN: u128 = 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff;
    let (mut length, mut bytes) = (0, 0);
    // Sixteen bits hold 255 sums of two bytes less than 128 times.
    for views in views.chunks(128) {
        let mut pairs = [0_u16; 8];
        let mut lengths = 0;
        for &view in views {
            lengths += view as u32;
            let sum = (view & EVEN) + (view >> 8 & EVEN);
            let lanes = sum.to_le_bytes();
            for (pair, lane) in pairs.iter_mut().zip(lanes.as_chunks::<2>().0) {
                *pair += u16::from_le_bytes(*lane);
            }
        }
        length += u64::from(lengths);
        bytes += pairs.iter().map(|&pair| u64::from(pair)).sum::<u64>() - u64::from(lengths);
    }
    (length, bytes)
}

/// For each row, a number that its texts and timestamps give: a byte counts as often as its place says, a timestamp in
/// seconds.
fn weights(batch: &RecordBatch) -> Vec<u64> {
    let mut weights = vec![1_u64; batch.num_rows()];
    for (number, column) in (1_u64..).zip(batch.columns()) {
        match column.data_type() {
            DataType::Utf8View => {
                for (weight, text) in weights.iter_mut().zip(column.as_string_view()) {
                    let bytes = (1_u64..).zip(text.unwrap_or_default().bytes());
                    *weight += number * bytes.map(|(place, byte)| place * u64::from(byte)).sum::<u64>();
                }
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                for (weight, time) in weights.iter_mut().zip(column.as_primitive::<TimestampMillisecondType>()) {
                    *weight += time.unwrap_or(0) as u64 / 1_000 % 1_000_003;
                }
            }
            _ => {}
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int64Array, TimestampMillisecondArray};
    use arrow_schema::{Field, Schema};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_are_those_of_plain_code(
            rows in prop::collection::vec((any::<Option<i64>>(), -1e6..1e6, prop::option::of("[a-zé]{0,15}")), 0..600),
            is_short in any::<bool>(),
        ) {
            let texts: Vec<Option<String>> = rows.iter().map(|row| match (&row.2, is_short) {
                (text, false) => text.clone(),
                (text, true) => Some(text.as_deref().unwrap_or_default().chars().take(6).collect()),
            }).collect();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
                Arc::new(rows.iter().map(|row| Some(row.1)).collect::<PrimitiveArray<Float64Type>>()),
                Arc::new(texts.iter().map(Option::as_deref).collect::<StringViewArray>()),
            ];
            let schema = Arc::new(Schema::new(vec![
                Field::new("a", DataType::Int64, true),
                Field::new("b", DataType::Float64, true),
                Field::new("c", DataType::Utf8View, true),
            ]));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
            let mut sums = ColumnSums::new(&schema, Pairing::Unchecked).unwrap();
            sums.add(&batch);
            let half = batch.slice(0, batch.num_rows() / 2);
            let mut halves = ColumnSums::new(&schema, Pairing::Unchecked).unwrap();
            halves.add(&half);
            let mut rest = ColumnSums::new(&schema, Pairing::Unchecked).unwrap();
            rest.add(&batch.slice(half.num_rows(), batch.num_rows() - half.num_rows()));
            for sums in [sums, halves.merged(rest)] {
                prop_assert_eq!(sums.rows, rows.len() as u64);
                prop_assert_eq!(sums.columns[0].whole, rows.iter().flat_map(|row| row.0).map(i128::from).sum::<i128>());
                prop_assert_eq!(sums.columns[0].nulls, rows.iter().filter(|row| row.0.is_none()).count() as u64);
                let doubles: f64 = rows.iter().map(|row| row.1).sum();
                prop_assert!((sums.columns[1].doubles - doubles).abs() < 1e-3);
                let bytes = || texts.iter().flatten().flat_map(|text| text.bytes());
                prop_assert_eq!(sums.columns[2].length, bytes().count() as u64);
                prop_assert_eq!(sums.columns[2].bytes, bytes().map(u64::from).sum::<u64>());
            }
        }
    }

    #[test]
    fn values_that_change_places_change_the_weighted_sums_alone() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("name", DataType::Utf8View, false),
            Field::new("start", DataType::Timestamp(TimeUnit::Millisecond, None), false),
            Field::new("count", DataType::Int64, false),
        ]));
        let sums = |counts: [i64; 2]| {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(StringViewArray::from(vec!["ab", "ba"])),
                Arc::new(TimestampMillisecondArray::from(vec![1_700_000_000_000, 1_700_000_060_000])),
                Arc::new(Int64Array::from(counts.to_vec())),
            ];
            let mut sums = ColumnSums::new(&schema, Pairing::Checked).unwrap();
            sums.add(&RecordBatch::try_new(Arc::clone(&schema), columns).unwrap());
            (sums.columns[2].whole, sums.columns[2].weighted_whole)
        };
        assert_eq!(sums([1, 2]).0, sums([2, 1]).0);
        assert_ne!(sums([1, 2]).1, sums([2, 1]).1);
    }
}
