//! Random tables of every type, written and read back.

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, ListArray, MapArray, PrimitiveArray, RecordBatch, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::{JsonOptions, TimestampFormat};
use super::{Reading, list_of, map_of, written};

/// Any type that JSON holds.
fn random_type(rng: &mut StdRng, depth: usize) -> DataType {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    let kinds = if depth == 0 { 18 } else { 24 };
    match rng.random_range(0..kinds) {
        0 => DataType::Boolean,
        1 => DataType::Int8,
        2 => DataType::Int16,
        3 => DataType::Int32,
        4 => DataType::Int64,
        5 => DataType::Float32,
        6 => DataType::Float64,
        7 => DataType::Decimal128(38, 18),
        8 => DataType::BinaryView,
        9 => DataType::Date32,
        10 => DataType::Time32([Second, Millisecond][rng.random_range(0..2)]),
        11 => DataType::Time64([Microsecond, Nanosecond][rng.random_range(0..2)]),
        12 | 13 => DataType::Timestamp([Second, Millisecond, Microsecond, Nanosecond][rng.random_range(0..4)], None),
        14 => DataType::Timestamp(Millisecond, Some("UTC".into())),
        15..18 => DataType::Utf8View,
        18 | 19 => list_of(random_type(rng, depth - 1)),
        20 | 21 => map_of(random_type(rng, depth - 1)),
        _ => DataType::Struct(random_fields(rng, depth - 1)),
    }
}

fn random_fields(rng: &mut StdRng, depth: usize) -> Fields {
    const NAMES: [&str; 6] = ["a", "a name that is longer", "é", "quo\"te", "", "b\\c"];
    let count = rng.random_range(1..=NAMES.len());
    NAMES[..count].iter().map(|name| Field::new(*name, random_type(rng, depth), true)).collect()
}

/// Any values of a type that its text can hold.
fn random_array(rng: &mut StdRng, data_type: &DataType, length: usize, is_nullable: bool) -> ArrayRef {
    let nulls = is_nullable
        .then(|| NullBuffer::from((0..length).map(|_| rng.random_range(0..4) > 0).collect::<Vec<_>>()))
        .filter(|nulls| nulls.null_count() > 0);
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    match data_type {
        DataType::Boolean => {
            Arc::new(BooleanArray::new((0..length).map(|_| rng.random()).collect::<Vec<bool>>().into(), nulls))
        }
        DataType::Utf8View => {
            let mut builder = StringViewBuilder::new();
            (0..length).for_each(|row| builder.append_option((!is_null(row)).then(|| random_text(rng))));
            Arc::new(builder.finish())
        }
        DataType::BinaryView => {
            let mut builder = BinaryViewBuilder::new();
            (0..length).for_each(|row| builder.append_option((!is_null(row)).then(|| random_text(rng))));
            Arc::new(builder.finish())
        }
        DataType::Struct(fields) => {
            let parts = fields.iter().map(|field| random_array(rng, field.data_type(), length, true)).collect();
            Arc::new(StructArray::new(fields.clone(), parts, nulls))
        }
        DataType::List(element) => {
            let offsets = random_offsets(rng, length);
            let elements = random_array(rng, element.data_type(), offsets[length] as usize, true);
            Arc::new(ListArray::new(Arc::clone(element), offsets, elements, nulls))
        }
        DataType::Map(entry, _) => {
            let offsets = random_offsets(rng, length);
            let DataType::Struct(fields) = entry.data_type() else { panic!("entries are rows") };
            let count = offsets[length] as usize;
            let keys = (0..count).map(|number| format!("{number}{}", random_text(rng)));
            let keys = Arc::new(arrow_array::StringViewArray::from_iter_values(keys));
            let values = random_array(rng, fields[1].data_type(), count, true);
            let entries = StructArray::new(fields.clone(), vec![keys, values], None);
            Arc::new(MapArray::new(Arc::clone(entry), offsets, entries, nulls, false))
        }
        _ => random_numbers(rng, data_type, length, nulls),
    }
}

fn random_numbers(rng: &mut StdRng, data_type: &DataType, length: usize, nulls: Option<NullBuffer>) -> ArrayRef {
    fn made<T: ArrowPrimitiveType>(
        data_type: &DataType,
        length: usize,
        nulls: Option<NullBuffer>,
        mut value: impl FnMut() -> T::Native,
    ) -> ArrayRef {
        let values = (0..length).map(|_| value()).collect::<Vec<_>>();
        Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(data_type.clone()))
    }
    // Years 0000 to 9999; and what 64 bits of nanoseconds hold.
    let seconds = |rng: &mut StdRng| rng.random_range(-62_167_219_200..253_402_300_800_i64);
    match data_type {
        DataType::Int8 => made::<Int8Type>(data_type, length, nulls, || rng.random()),
        DataType::Int16 => made::<Int16Type>(data_type, length, nulls, || rng.random()),
        DataType::Int32 => made::<Int32Type>(data_type, length, nulls, || rng.random()),
        DataType::Int64 => made::<Int64Type>(data_type, length, nulls, || rng.random()),
        DataType::Float32 => made::<Float32Type>(data_type, length, nulls, || {
            let any = f32::from_bits(rng.random());
            if any.is_nan() { f32::NAN } else { any }
        }),
        DataType::Float64 => made::<Float64Type>(data_type, length, nulls, || match rng.random_range(0..4) {
            0 => f64::from(rng.random_range(-1_000_000..1_000_000)) / 100.0,
            1 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE][rng.random_range(0..5)],
            _ => Some(f64::from_bits(rng.random())).filter(|any| !any.is_nan()).unwrap_or(f64::NAN),
        }),
        DataType::Decimal128(..) => made::<Decimal128Type>(data_type, length, nulls, || {
            rng.random::<i128>() % 10_i128.pow(38) / 10_i128.pow(rng.random_range(0..38))
        }),
        DataType::Date32 => made::<Date32Type>(data_type, length, nulls, || seconds(rng).div_euclid(86_400) as i32),
        DataType::Time32(TimeUnit::Second) => {
            made::<Time32SecondType>(data_type, length, nulls, || rng.random_range(0..86_400))
        }
        DataType::Time32(_) => {
            made::<Time32MillisecondType>(data_type, length, nulls, || rng.random_range(0..86_400_000))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            made::<Time64MicrosecondType>(data_type, length, nulls, || rng.random_range(0..86_400_000_000))
        }
        DataType::Time64(_) => {
            made::<Time64NanosecondType>(data_type, length, nulls, || rng.random_range(0..86_400_000_000_000))
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            made::<TimestampSecondType>(data_type, length, nulls, || seconds(rng))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            made::<TimestampMillisecondType>(data_type, length, nulls, || {
                seconds(rng) * 1_000 + rng.random_range(0..1_000)
            })
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            made::<TimestampMicrosecondType>(data_type, length, nulls, || {
                seconds(rng) * 1_000_000 + rng.random_range(0..1_000_000)
            })
        }
        _ => made::<TimestampNanosecondType>(data_type, length, nulls, || rng.random()),
    }
}

fn random_offsets(rng: &mut StdRng, length: usize) -> OffsetBuffer<i32> {
    OffsetBuffer::from_lengths((0..length).map(|_| rng.random_range(0..4)))
}

fn random_text(rng: &mut StdRng) -> String {
    const PIECES: [&str; 12] =
        ["a", "xyz", "\"", "\\", "\n", "\t", "\0", "\u{1f}", "é", "😀", "\u{2028}", "a longer piece of text"];
    (0..rng.random_range(0..5)).map(|_| PIECES[rng.random_range(0..PIECES.len())]).collect()
}

/// The values themselves, whatever stands where there is NULL.
fn shown(rows: &RecordBatch) -> String {
    written(rows, &JsonOptions { writes_plain_decimals: true, ..JsonOptions::default() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn what_is_written_is_read_back_as_the_same(seed in any::<u64>(), block_bytes in 1_usize..400) {
        let rng = &mut StdRng::seed_from_u64(seed);
        let fields = random_fields(rng, 3);
        let columns = fields.iter().map(|field| random_array(rng, field.data_type(), 20, true)).collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), columns).unwrap();
        let options = JsonOptions {
            timestamps: [TimestampFormat::Sql, TimestampFormat::Iso][rng.random_range(0..2)],
            writes_plain_decimals: rng.random(),
            omits_null_fields: rng.random(),
            ..JsonOptions::default()
        };
        let text = written(&rows, &options);
        let cuts = (1..text.len().div_ceil(block_bytes)).map(|block| block * block_bytes).collect();
        let of_fields = fields.iter().map(|field| field.as_ref().clone()).collect();
        let reading = Reading { options, cuts, workers: 2, batch_rows: 7, ..Reading::of(of_fields) };
        let outcome = reading.read(text.as_bytes()).unwrap();
        prop_assert_eq!(&outcome.rejects, &[]);
        prop_assert_eq!(shown(&outcome.rows), shown(&rows), "{}", text);
        // Compared as arrays too, where arrow compares what is NULL as such.
        let is_flat = fields.iter().all(|field| !field.data_type().is_nested());
        prop_assert!(!is_flat || outcome.rows == rows, "{text}");
    }
}
