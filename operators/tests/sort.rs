//! ORDER BY, LIMIT and OFFSET against a stable sort of all rows.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use proptest::prelude::*;
use thalweg_operators::batch::{Batch, Ordinal, Ordinals, Stamps};
use thalweg_operators::changelog::RowKinds;
use thalweg_operators::sort::{SortKey, Sorter};
use thalweg_runtime::EventTimeMs;

type Row = (Option<i64>, Option<f64>, Option<String>);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("x", DataType::Float64, true),
        Field::new("s", DataType::Utf8View, true),
        Field::new("id", DataType::Int64, false),
    ]))
}

/// Rows with their ordinals, which are also their ids.
fn batch(rows: &[(usize, &Row)]) -> Batch {
    let columns = RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(rows.iter().map(|(_, row)| row.0).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|(_, row)| row.1).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|(_, row)| row.2.as_deref()).collect::<StringViewArray>()),
            Arc::new(rows.iter().map(|(id, _)| *id as i64).collect::<Int64Array>()),
        ],
    );
    Batch {
        columns: columns.expect("columns of the schema"),
        ordinals: Ordinals::Each(rows.iter().map(|(id, _)| Ordinal::of_row(*id as u128)).collect()),
        stamps: Stamps::Uniform(EventTimeMs::MIN),
        kinds: RowKinds::Inserts,
    }
}

fn order<T>(a: &Option<T>, b: &Option<T>, key: &SortKey, compare: impl Fn(&T, &T) -> Ordering) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if key.is_descending => compare(b, a),
        (Some(a), Some(b)) => compare(a, b),
        (None, None) => Ordering::Equal,
        (None, _) if key.is_nulls_first => Ordering::Less,
        (None, _) => Ordering::Greater,
        _ => order(b, a, key, compare).reverse(),
    }
}

fn compare(a: &Row, b: &Row, keys: &[SortKey]) -> Ordering {
    let by = |key: &SortKey| match key.column {
        0 => order(&a.0, &b.0, key, i64::cmp),
        1 => {
            order(&a.1, &b.1, key, |a, b| a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(b).unwrap_or(Ordering::Equal)))
        }
        _ => order(&a.2, &b.2, key, String::cmp),
    };
    keys.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn sort(sorter: Sorter, rows_max: usize) -> Vec<usize> {
    let mut sorted = sorter.finish().expect("an order");
    let mut ids = Vec::new();
    while let Some(batch) = sorted.next_batch(rows_max).expect("a batch") {
        assert!((1..=rows_max).contains(&batch.rows()));
        let values = batch.columns.column(3).as_primitive::<Int64Type>().values();
        assert!(values.iter().enumerate().all(|(row, id)| batch.ordinals.get(row).row == *id as u128));
        ids.extend(values.iter().map(|&id| id as usize));
    }
    ids
}

fn any_row() -> impl Strategy<Value = Row> {
    let double = proptest::sample::select(vec![0.0, -0.0, 1.5, -2.0, f64::NAN, -f64::NAN, f64::INFINITY]);
    let text = proptest::sample::select(vec!["", "a", "a rather long string", "a rather long strinh", "b"]);
    (proptest::option::of(-3..3i64), proptest::option::of(double), proptest::option::of(text.prop_map(str::to_owned)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_come_out_as_from_a_stable_sort(
        rows in proptest::collection::vec(any_row(), 0..60),
        keys in proptest::collection::vec((0..3usize, any::<bool>(), any::<bool>()), 0..4),
        (limit, offset) in (proptest::option::of(0..30usize), 0..20usize),
        (chunk, rows_max, middle) in (1..20usize, 1..20usize, 0..60usize),
    ) {
        let key = |(column, is_descending, is_nulls_first)| SortKey { column, is_descending, is_nulls_first };
        let keys: Vec<SortKey> = keys.into_iter().map(key).collect();
        let mut arriving: Vec<(usize, &Row)> = rows.iter().enumerate().collect();
        arriving.rotate_left(middle.min(rows.len()));
        let mut sorter = Sorter::new(schema(), keys.clone(), limit, offset).expect("keys");
        for rows in arriving.chunks(chunk) {
            sorter.push(&batch(rows)).expect("columns of the schema");
        }
        let mut expected: Vec<usize> = (0..rows.len()).collect();
        expected.sort_by(|&a, &b| compare(&rows[a], &rows[b], &keys));
        let expected: Vec<usize> = expected.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX)).collect();
        prop_assert_eq!(sort(sorter, rows_max), expected);
    }
}

#[test]
fn a_limit_bounds_what_is_held_and_the_order_stays_right() {
    let key = SortKey { column: 0, is_descending: true, is_nulls_first: false };
    // Keys are a permutation of all numbers below a prime, or they tie often.
    for distinct in [50_021, 3] {
        let mut sorter = Sorter::new(schema(), vec![key], Some(10), 5).expect("keys");
        let text = |i: i64| Some(format!("string number {i}, which is long"));
        let rows: Vec<Row> = (0..50_021i64).map(|i| (Some(i * 7_777 % 50_021 % distinct), None, text(i))).collect();
        let rows: Vec<(usize, &Row)> = rows.iter().enumerate().collect();
        let mut held_max = 0;
        for rows in rows.chunks(1_000).rev() {
            sorter.push(&batch(rows)).expect("columns of the schema");
            held_max = held_max.max(sorter.bytes());
        }
        assert!(held_max < 2_000_000, "{held_max} bytes held for 15 rows");
        let mut expected = rows.clone();
        expected.sort_by(|a, b| compare(a.1, b.1, &[key]));
        assert_eq!(sort(sorter, 4), expected[5..15].iter().map(|row| row.0).collect::<Vec<_>>());
    }
}

#[test]
fn rows_held_do_not_keep_the_input_alive() {
    let rows: Vec<Row> = (0..100).map(|i| (Some(i), None, Some(format!("string number {i}, which is long")))).collect();
    let batch = batch(&rows.iter().enumerate().collect::<Vec<_>>());
    let buffer = batch.columns.column(2).as_string_view().data_buffers()[0].clone();
    let mut sorter = Sorter::new(schema(), Vec::new(), None, 0).expect("keys");
    sorter.push(&batch.slice(3, 1)).expect("columns of the schema");
    let before = buffer.strong_count();
    drop(batch);
    assert_eq!((before, buffer.strong_count()), (2, 1));
    assert!(sorter.bytes() < 2_000, "{} bytes for one row", sorter.bytes());
    assert_eq!(sort(sorter, 9), [3]);
}

#[test]
fn a_limit_of_nothing_holds_nothing() {
    let mut sorter = Sorter::new(schema(), Vec::new(), Some(0), 0).expect("keys");
    sorter.push(&batch(&[(0, &(None, None, None))])).expect("columns of the schema");
    assert_eq!(sorter.bytes(), 0);
    assert!(sort(sorter, 9).is_empty());
}
