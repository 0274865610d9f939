//! What no filter would let through is not read, is counted, and changes no result.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, StringViewArray};
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::plan::pruning::{Comparison, Test};

const ROWS: i64 = 1_000;

/// Row groups of 100 rows in pages of 20; `n` ascends, `s` has NULL for a while.
fn ascending() -> (tempfile::TempDir, PathBuf, SchemaRef) {
    let schema = schema_of(vec![("n", DataType::Int64, true), ("s", DataType::Utf8View, true)]);
    let numbers = Int64Array::from_iter_values(0..ROWS);
    let texts: StringViewArray =
        (0..ROWS).map(|n| (!(300..=420).contains(&n)).then(|| format!("{:04}", n / 7))).collect();
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(numbers), Arc::new(texts)]).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(100))
        .set_data_page_row_count_limit(20)
        .set_write_batch_size(20)
        .set_bloom_filter_enabled(true)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    let (directory, path) = file_of(&writer.into_inner().unwrap());
    (directory, path, schema)
}

fn number(comparison: Comparison, value: i64) -> ColumnTest {
    let test = Test::Compare(comparison, Arc::new(Int64Array::from(vec![value])));
    ColumnTest { column: 0, test, text: String::new() }
}

fn text(test: Test) -> ColumnTest {
    ColumnTest { column: 1, test, text: String::new() }
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringViewArray::from(values.to_vec()))
}

#[test]
fn row_groups_and_pages_that_cannot_pass_are_left_unread() {
    let (_directory, path, schema) = ascending();
    for (tests, records) in [
        (vec![], 1_000),
        (vec![number(Comparison::Eq, 555)], 20),
        (vec![number(Comparison::Lt, 130)], 140),
        (vec![number(Comparison::GtEq, 950), number(Comparison::LtEq, 955)], 20),
        (vec![number(Comparison::Gt, 2_000)], 0),
        (vec![text(Test::IsNull)], 140),
        (vec![text(Test::IsNotNull), number(Comparison::Lt, 500)], 380),
        (vec![text(Test::In(texts(&["0003", "0141"])))], 40),
        // By the Bloom filter alone: it lies between others.
        (vec![text(Test::Compare(Comparison::Eq, texts(&["0003x"])))], 0),
    ] {
        let mut found = Vec::new();
        for way in ways(OnError::Fail) {
            let outcome = read(&path, &schema, &[0, 1], &tests, &way).unwrap();
            assert_eq!((outcome.records, outcome.unread), (records, 1_000 - records), "{tests:?} {way:?}");
            found.push(outcome);
        }
        assert!(found.iter().all(|outcome| *outcome == found[0]));
        // The column that is tested need not be the first that is read.
        let outcome = read(&path, &schema, &[1], &tests, &Way::default()).unwrap();
        assert!(outcome.records >= records && outcome.records + outcome.unread == 1_000);
    }
}

#[test]
fn every_row_that_passes_is_read() {
    let mut rng = StdRng::seed_from_u64(1);
    for seed in 0..40 {
        let values: Vec<Option<i64>> =
            (0..200).map(|row| (rng.random_range(0..5) > 0).then(|| row / 10 + rng.random_range(-3..3))).collect();
        let schema = schema_of(vec![("n", DataType::Int64, true)]);
        let column: ArrayRef = Arc::new(Int64Array::from(values));
        let rows = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        let options =
            ParquetOptions { block_bytes: 300, page_bytes: 64, dictionary: rng.random(), ..ParquetOptions::default() };
        let (_directory, path) = file_of(&written(&rows, &options));
        let value = rng.random_range(-3..23);
        for comparison in [Comparison::Eq, Comparison::Lt, Comparison::LtEq, Comparison::Gt, Comparison::GtEq] {
            let passes = |n: i64| match comparison {
                Comparison::Eq => n == value,
                Comparison::Lt => n < value,
                Comparison::LtEq => n <= value,
                Comparison::Gt => n > value,
                Comparison::GtEq => n >= value,
            };
            let filtered = |rows: &RecordBatch| {
                let numbers = rows.column(0).as_primitive::<Int64Type>();
                let keep: BooleanArray = numbers.iter().map(|n| Some(n.is_some_and(passes))).collect();
                filter_record_batch(rows, &keep).unwrap()
            };
            let way = &ways(OnError::Fail)[seed % 5];
            let found = read(&path, &schema, &[0], &[number(comparison, value)], way).unwrap();
            assert_eq!(filtered(&found.rows), filtered(&rows), "seed {seed}, {comparison:?} {value}, {way:?}");
            assert_eq!(found.records + found.unread, 200);
        }
    }
}

#[test]
fn bounds_of_the_file_are_compared_as_the_table_has_them() {
    use arrow_array::{TimestampMicrosecondArray, TimestampMillisecondArray};
    let micros = TimestampMicrosecondArray::from_iter_values((0..100).map(|n| n * 1_000));
    let rows = RecordBatch::try_from_iter([("t", Arc::new(micros) as ArrayRef)]).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(10)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    let (_directory, path) = file_of(&writer.into_inner().unwrap());
    let schema = schema_of(vec![("t", DataType::Timestamp(TimeUnit::Millisecond, None), false)]);
    let value: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![35]));
    let test = ColumnTest { column: 0, test: Test::Compare(Comparison::GtEq, value), text: String::new() };
    let found = read(&path, &schema, &[0], &[test], &Way::default()).unwrap();
    assert_eq!((found.records, found.unread), (70, 30));
}
