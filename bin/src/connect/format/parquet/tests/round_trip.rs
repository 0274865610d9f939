//! What is written is what is read.

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, ListArray, MapArray, PrimitiveArray, StructArray, make_array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn primitive<P: ArrowPrimitiveType>(
    rng: &mut StdRng,
    rows: usize,
    nullable: bool,
    mut value: impl FnMut(&mut StdRng) -> P::Native,
) -> PrimitiveArray<P> {
    (0..rows).map(|_| (!nullable || rng.random_range(0..4) > 0).then(|| value(rng))).collect()
}

fn nulls(rng: &mut StdRng, rows: usize, nullable: bool) -> Option<NullBuffer> {
    nullable.then(|| (0..rows).map(|_| rng.random_range(0..4) > 0).collect())
}

/// Lengths of 0 to 3, of which those of NULL are 0.
fn offsets(rng: &mut StdRng, rows: usize, nulls: Option<&NullBuffer>) -> OffsetBuffer<i32> {
    let length = |row| match nulls {
        Some(nulls) if nulls.is_null(row) => 0,
        _ => rng.random_range(0..4),
    };
    OffsetBuffer::from_lengths((0..rows).map(length))
}

/// Mostly few different values, now and then any, also the ends of the range.
fn wide(rng: &mut StdRng) -> i64 {
    match rng.random_range(0..6) {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => rng.random(),
        _ => rng.random_range(-3..3),
    }
}

fn text(rng: &mut StdRng) -> String {
    let words = ["", "a", "é", "日本", "thirteen bytes", "\0", "\"quoted\", \n", "🚀🚀🚀🚀🚀🚀"];
    (0..rng.random_range(0..3)).map(|_| words[rng.random_range(0..words.len())]).collect()
}

pub(super) fn random_array(rng: &mut StdRng, data_type: &DataType, nullable: bool, rows: usize) -> ArrayRef {
    use DataType as T;
    let typed = |array: ArrayRef| {
        make_array(array.to_data().into_builder().data_type(data_type.clone()).build().expect("the same layout"))
    };
    match data_type {
        T::Boolean => {
            let values = (0..rows).map(|_| (!nullable || rng.random_range(0..4) > 0).then(|| rng.random_bool(0.3)));
            Arc::new(values.collect::<BooleanArray>())
        }
        T::Int8 => Arc::new(primitive::<Int8Type>(rng, rows, nullable, |rng| wide(rng) as i8)),
        T::Int16 => Arc::new(primitive::<Int16Type>(rng, rows, nullable, |rng| wide(rng) as i16)),
        T::Int32 => Arc::new(primitive::<Int32Type>(rng, rows, nullable, |rng| wide(rng) as i32)),
        T::Int64 => Arc::new(primitive::<Int64Type>(rng, rows, nullable, wide)),
        T::Float32 => Arc::new(primitive::<Float32Type>(rng, rows, nullable, |rng| match rng.random_range(0..5) {
            0 => f32::NAN,
            1 => -0.0,
            2 => f32::NEG_INFINITY,
            _ => rng.random(),
        })),
        T::Float64 => Arc::new(primitive::<Float64Type>(rng, rows, nullable, |rng| match rng.random_range(0..5) {
            0 => f64::NAN,
            1 => -0.0,
            2 => f64::MIN_POSITIVE,
            _ => rng.random(),
        })),
        T::Decimal128(precision, _) => {
            let end = 10_i128.pow(u32::from(*precision));
            typed(Arc::new(primitive::<Decimal128Type>(rng, rows, nullable, |rng| match rng.random_range(0..4) {
                0 => end - 1,
                1 => 1 - end,
                _ => rng.random_range(-end + 1..end),
            })))
        }
        T::Date32 => {
            Arc::new(primitive::<Date32Type>(rng, rows, nullable, |rng| rng.random_range(-719_162..2_932_896)))
        }
        T::Time32(_) => {
            Arc::new(primitive::<Time32MillisecondType>(rng, rows, nullable, |rng| rng.random_range(0..86_400_000)))
        }
        T::Timestamp(..) => typed(Arc::new(primitive::<Int64Type>(rng, rows, nullable, wide))),
        T::Utf8View => {
            let mut builder = StringViewBuilder::new();
            for _ in 0..rows {
                builder.append_option((!nullable || rng.random_range(0..4) > 0).then(|| text(rng)));
            }
            Arc::new(builder.finish())
        }
        T::BinaryView => {
            let mut builder = BinaryViewBuilder::new();
            for _ in 0..rows {
                let length = rng.random_range(0..20);
                let value = (!nullable || rng.random_range(0..4) > 0)
                    .then(|| (0..length).map(|_| rng.random()).collect::<Vec<u8>>());
                builder.append_option(value);
            }
            Arc::new(builder.finish())
        }
        T::List(element) => {
            let nulls = nulls(rng, rows, nullable);
            let offsets = offsets(rng, rows, nulls.as_ref());
            let length = *offsets.last().expect("there is one more than rows") as usize;
            let values = random_array(rng, element.data_type(), element.is_nullable(), length);
            Arc::new(ListArray::new(Arc::clone(element), offsets, values, nulls))
        }
        T::Map(entries, is_sorted) => {
            let nulls = nulls(rng, rows, nullable);
            let offsets = offsets(rng, rows, nulls.as_ref());
            let length = *offsets.last().expect("there is one more than rows") as usize;
            let parts = random_array(rng, entries.data_type(), false, length);
            let parts = parts.as_any().downcast_ref::<StructArray>().expect("entries are a struct").clone();
            Arc::new(MapArray::new(Arc::clone(entries), offsets, parts, nulls, *is_sorted))
        }
        T::Struct(fields) => {
            let parts = fields.iter().map(|field| random_array(rng, field.data_type(), field.is_nullable(), rows));
            let parts = parts.collect();
            let nulls = nulls(rng, rows, nullable);
            Arc::new(StructArray::new(fields.clone(), parts, nulls))
        }
        other => panic!("no table has {other}"),
    }
}

pub(super) fn random_rows(rng: &mut StdRng, schema: &SchemaRef, rows: usize) -> RecordBatch {
    let fields = schema.fields().iter();
    let columns = fields.map(|field| random_array(rng, field.data_type(), field.is_nullable(), rows)).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
}

fn random_options(rng: &mut StdRng) -> ParquetOptions {
    let compressions = [
        Compression::SNAPPY,
        Compression::UNCOMPRESSED,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
    ];
    ParquetOptions {
        compression: compressions[rng.random_range(0..compressions.len())],
        block_bytes: [2_000, 20_000, 1 << 27][rng.random_range(0..3)],
        page_bytes: [64, 500, 1 << 20][rng.random_range(0..3)],
        dictionary_page_bytes: [64, 1 << 20][rng.random_range(0..2)],
        dictionary: rng.random(),
        time_unit: None,
    }
}

#[test]
fn random_tables_of_every_type_are_read_as_they_were_written() {
    let schema = every_type();
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    for seed in 0..24 {
        let mut rng = StdRng::seed_from_u64(seed);
        let rows = [0, 1, 50, 300][rng.random_range(0..4)];
        let rows = random_rows(&mut rng, &schema, rows);
        let options = random_options(&mut rng);
        let (_directory, path) = file_of(&written(&rows, &options));
        for way in ways(OnError::Fail) {
            let found = read(&path, &schema, &all, &[], &way).unwrap();
            assert_eq!(found.rows, rows, "seed {seed}, {options:?}, {way:?}");
            assert_eq!((found.records, found.unread), (rows.num_rows() as u64, 0));
        }
        // Any columns, and none.
        let some: Vec<usize> = all.iter().copied().filter(|_| rng.random_bool(0.3)).collect();
        for columns in [some, Vec::new()] {
            let way = &ways(OnError::Divert)[rng.random_range(0..5)];
            let found = read(&path, &schema, &columns, &[], way).unwrap();
            assert_eq!(found.rows, rows.project(&columns).unwrap(), "seed {seed}, {columns:?}, {way:?}");
        }
    }
}

#[test]
fn timestamps_are_written_in_the_unit_that_is_asked_for() {
    use arrow_array::cast::AsArray;
    use arrow_array::{TimestampMicrosecondArray, TimestampMillisecondArray};
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let schema = schema_of(vec![("a", millis.clone(), true), ("b", list_of(micros.clone(), true), true)]);
    let b = |value: i64| -> ArrayRef {
        let element = Arc::new(Field::new("element", micros.clone(), true));
        let values = Arc::new(TimestampMicrosecondArray::from(vec![value]));
        Arc::new(ListArray::new(element, OffsetBuffer::from_lengths([0, 1]), values, None))
    };
    let a: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None]));
    let options = ParquetOptions { time_unit: Some(TimeUnit::Millisecond), ..ParquetOptions::default() };
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(&a), b(7_000)]).unwrap();
    let (_directory, path) = file_of(&written(&rows, &options));
    let (inferred, _) = super::super::infer(std::slice::from_ref(&path)).unwrap();
    assert_eq!(inferred.field(0).data_type(), &millis);
    assert_eq!(inferred.field(1).data_type(), &list_of(millis, true));
    let found = read_all(&path, &schema).unwrap();
    assert_eq!(found, rows);
    assert_eq!(found.column(1).as_list::<i32>().values().len(), 1);
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![a, b(7_001)]).unwrap();
    let mut writer = ParquetFileWriter::new(Vec::new(), &schema, &options).unwrap();
    let error = writer.write(&[rows]).unwrap_err().downcast::<crate::error::Error>().unwrap();
    assert!(error.message.contains("column `b[]` has more digits than TIMESTAMP(3) holds"), "{error}");
}

#[test]
fn what_parquet_cannot_hold_is_refused_before_anything_is_written() {
    let schema = schema_of(vec![("a", DataType::Int64, true), ("n", DataType::Null, true)]);
    let error = super::super::check_schema(&schema).unwrap_err();
    assert!(error.message.contains("column `n`"), "{error}");
}
