//! Cases at the edges, one by one.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use thalweg_operators::aggregate::AggregateError;
use thalweg_operators::batch::{Batch, Ordinal, Ordinals, Stamps};
use thalweg_operators::changelog::RowKinds;
use thalweg_operators::group::{CloseMode, Emission, FoldScratch, GroupAggregation, GroupShard, output_schema};
use thalweg_operators::kernels::Kernels;
use thalweg_operators::spec::{AggregateFunction as F, AggregateSpec, GroupSpec, KeyColumn, Windows};
use thalweg_runtime::EventTimeMs;
use thalweg_runtime::state::{Aggregation, Folded, Release};

use crate::values::{Value, array, values};

fn call(function: F, input_type: &DataType, output_type: DataType) -> AggregateSpec {
    let (name, input_type) = (format!("{function:?}(x)"), input_type.clone());
    AggregateSpec { function, argument: Some(0), input_type, filter: None, distinct: false, output_type, name }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Batch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), *name != "time")).collect();
    let columns = columns.into_iter().map(|(_, array)| array).collect();
    Batch {
        columns: RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of equal length"),
        ordinals: Ordinals::Run(Ordinal::of_row(0)),
        stamps: Stamps::Uniform(EventTimeMs::MIN),
        kinds: RowKinds::Inserts,
    }
}

fn global(aggregates: Vec<AggregateSpec>) -> Arc<GroupSpec> {
    Arc::new(GroupSpec { keys: Vec::new(), aggregates, window: None, is_global: true })
}

fn plan(spec: &Arc<GroupSpec>, schema: &SchemaRef, mode: CloseMode) -> Result<Arc<GroupAggregation>, AggregateError> {
    GroupAggregation::new(Arc::clone(spec), schema, mode, Kernels::default()).map(Arc::new)
}

fn streaming(spec: &Arc<GroupSpec>, schema: &SchemaRef) -> Arc<GroupAggregation> {
    plan(spec, schema, CloseMode::WhenPassed).expect("a plan")
}

/// A shard that holds the groups of this batch alone.
fn folded(aggregation: &GroupAggregation, batch: &Batch) -> (GroupShard, Folded) {
    let mut shard = aggregation.shard();
    let folded = aggregation.fold(&mut shard, batch, &mut FoldScratch::default()).expect("rows");
    (shard, folded)
}

fn merge_all(aggregation: &GroupAggregation, from: &mut GroupShard, into: &mut GroupShard) {
    for (_, partials) in aggregation.split(from, Release::All, 1) {
        aggregation.merge(into, partials).expect("an open window");
    }
}

/// Closes all windows of a whole state that is not needed any more.
fn end(aggregation: &Arc<GroupAggregation>, mut shard: GroupShard) -> Emission {
    let mut emission = Emission::new(Arc::clone(aggregation));
    emission.push(aggregation.close(&mut shard, EventTimeMs::END)).expect("few groups");
    emission.end().expect("few groups");
    emission
}

#[test]
fn windows_that_close_at_the_end_stay_whatever_the_watermark_says() {
    let rows = batch(vec![("x", array(&DataType::Int64, &integers(&[1, 2, 3])))]);
    let tumbling = Windows::tumbling(1, 10, 0);
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1, 2, 11]));
    let rows = batch(vec![("x", Arc::clone(rows.columns.column(0))), ("time", times)]);
    let spec = GroupSpec { keys: Vec::new(), aggregates: Vec::new(), window: Some(tumbling), is_global: false };
    let aggregation = plan(&Arc::new(spec), &rows.columns.schema(), CloseMode::AtEnd).expect("a plan");
    let (mut shard, _) = folded(&aggregation, &rows);
    let early = EventTimeMs(1_000);
    assert!(aggregation.split(&mut shard, Release::ClosedBy(early), 2).is_empty());
    assert!(aggregation.close(&mut shard, early).is_empty());
    assert_eq!(aggregation.groups(&shard), 2);
    assert_eq!(aggregation.close(&mut shard, EventTimeMs::END).len(), 2);
}

/// One result for each value list: folded by as many workers as there are lists.
fn evaluate(spec: &AggregateSpec, lists: &[Vec<Value>]) -> Result<Value, AggregateError> {
    let spec = global(vec![spec.clone()]);
    let data_type = &spec.aggregates[0].input_type;
    let schema = Arc::new(Schema::new(vec![Field::new("x", data_type.clone(), true)]));
    let aggregation = plan(&spec, &schema, CloseMode::AtEnd)?;
    let mut shard = aggregation.shard();
    for list in lists {
        let mut fold = folded(&aggregation, &batch(vec![("x", array(data_type, list))])).0;
        merge_all(&aggregation, &mut fold, &mut shard);
    }
    let mut emission = end(&aggregation, shard);
    let batch = emission.next_batch(10)?.expect("a global aggregation has one row");
    assert!(emission.next_batch(10)?.is_none());
    Ok(values(batch.columns.column(0))[0].clone())
}

fn integers(values: &[i128]) -> Vec<Value> {
    values.iter().map(|&value| Value::Integer(value)).collect()
}

#[test]
fn sums_are_exact_whatever_they_pass_through_and_overflow_only_at_the_end() {
    let (least, greatest) = (i128::from(i64::MIN), i128::from(i64::MAX));
    let nines = 10i128.pow(38) - 1;
    let (big, decimal) = (DataType::Int64, DataType::Decimal128(38, 0));
    let cases = [
        (&big, vec![vec![greatest, greatest], vec![least, least, 5]], Some(3)),
        (&big, vec![vec![greatest; 9], vec![-greatest; 9]], Some(0)),
        (&big, vec![vec![greatest], vec![1]], None),
        (&big, vec![vec![least, -1]], None),
        (&big, vec![vec![least, least, least], vec![greatest, greatest, greatest]], Some(-3)),
        (&decimal, vec![vec![nines, nines, nines], vec![-nines, -nines, 7]], None),
        (&decimal, vec![vec![nines, nines, nines], vec![-nines, -nines]], Some(nines)),
        (&decimal, vec![vec![-nines], vec![-nines], vec![nines, nines]], Some(0)),
        (&decimal, vec![vec![nines, 1]], None),
        (&decimal, vec![vec![-nines; 8], vec![nines; 8], vec![4]], Some(4)),
    ];
    for (data_type, lists, expected) in cases {
        let lists: Vec<Vec<Value>> = lists.iter().map(|list| integers(list)).collect();
        match (evaluate(&call(F::Sum, data_type, data_type.clone()), &lists), expected) {
            (Ok(got), Some(expected)) => assert_eq!(got, Value::Integer(expected), "{lists:?}"),
            (Err(AggregateError::Overflow { aggregate, .. }), None) => assert_eq!(aggregate, "Sum(x)"),
            (got, _) => panic!("{got:?}, expected {expected:?} of {lists:?}"),
        }
    }
}

#[test]
fn averages_of_values_whose_sum_does_not_fit_are_exact() {
    let nines = 10i128.pow(32) - 1;
    let cases = [
        (DataType::Int64, DataType::Int64, vec![i64::MAX.into(); 7], i64::MAX.into()),
        (DataType::Int8, DataType::Int8, vec![-1, -2], -1),
        (DataType::Decimal128(38, 6), DataType::Decimal128(38, 6), vec![10i128.pow(38) - 1; 9], 10i128.pow(38) - 1),
        (DataType::Decimal128(32, 0), DataType::Decimal128(38, 6), vec![nines; 90], nines * 1_000_000),
        // 1/6 = 0.1666666…, 2.5 micros away from zero.
        (DataType::Decimal128(5, 0), DataType::Decimal128(38, 6), vec![1, 0, 0, 0, 0, 0], 166_667),
        (DataType::Decimal128(7, 6), DataType::Decimal128(38, 6), vec![2, 3], 3),
        (DataType::Decimal128(7, 6), DataType::Decimal128(38, 6), vec![-2, -3], -3),
        (DataType::Decimal128(7, 6), DataType::Decimal128(38, 6), vec![-2, -2, -3], -2),
    ];
    for (input, output, list, expected) in cases {
        let got = evaluate(&call(F::Avg, &input, output), &[integers(&list)]).expect("an average fits");
        assert_eq!(got, Value::Integer(expected), "{list:?}");
    }
    let nines = integers(&[10i128.pow(38) - 1]);
    let too_long = evaluate(&call(F::Avg, &DataType::Decimal128(38, 0), DataType::Decimal128(38, 6)), &[nines]);
    assert!(matches!(too_long, Err(AggregateError::Overflow { .. })));
}

#[test]
fn the_least_and_greatest_doubles_put_nan_above_infinity() {
    let list = [1.0, f64::INFINITY, f64::NEG_INFINITY, -f64::NAN].map(Value::Double).to_vec();
    let double = DataType::Float64;
    assert_eq!(
        evaluate(&call(F::Min, &double, double.clone()), std::slice::from_ref(&list)).expect("a number"),
        Value::Double(f64::NEG_INFINITY)
    );
    let greatest = evaluate(&call(F::Max, &double, double.clone()), &[list]).expect("a number");
    assert!(matches!(greatest, Value::Double(value) if value.is_nan()));
}

#[test]
fn variance_is_sound_far_from_zero_however_the_rows_are_divided() {
    let list: Vec<Value> = (0..1000).map(|i| Value::Double(1e9 + f64::from(i % 10))).collect();
    for parts in [1, 3, 500] {
        let lists: Vec<Vec<Value>> = list.chunks(list.len() / parts).map(<[Value]>::to_vec).collect();
        let got = evaluate(&call(F::VarPop, &DataType::Float64, DataType::Float64), &lists).expect("a number");
        assert!((got.double(0) - 8.25).abs() < 1e-12 * 8.25, "{got:?} in {parts} parts");
    }
}

#[test]
fn a_global_aggregation_of_nothing_is_one_row_from_one_worker() {
    let mut count = call(F::Count, &DataType::Null, DataType::Int64);
    count.argument = None;
    let mut distinct = call(F::Sum, &DataType::Int64, DataType::Int64);
    distinct.distinct = true;
    let first = call(F::FirstValue, &DataType::Int64, DataType::Int64);
    let spec = global(vec![count, distinct, call(F::Max, &DataType::Int64, DataType::Int64), first]);
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    let aggregation = streaming(&spec, &schema);
    let mut shard = aggregation.shard();
    assert!(aggregation.close(&mut shard, EventTimeMs(i64::MAX - 1)).is_empty());
    let mut silent = Emission::new(Arc::clone(&aggregation));
    silent.push(aggregation.close(&mut aggregation.shard(), EventTimeMs::END)).expect("few groups");
    assert!(!silent.is_due() && silent.next_batch(10).expect("no overflow").is_none());
    let mut emission = end(&aggregation, shard);
    let row = emission.next_batch(10).expect("no overflow").expect("one row").columns;
    assert_eq!(values_of(&row), [Value::Integer(0), Value::Null, Value::Null, Value::Null]);
    assert!(!emission.is_due());
}

fn windowed() -> (Arc<GroupSpec>, SchemaRef) {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    let fields = vec![Field::new("key", DataType::Utf8View, true), Field::new("time", time, false)];
    let mut count = call(F::Count, &DataType::Null, DataType::Int64);
    count.argument = None;
    let spec = GroupSpec {
        keys: vec![KeyColumn { column: 0, data_type: DataType::Utf8View }],
        aggregates: vec![count],
        window: Some(Windows::tumbling(1, 10, 0)),
        is_global: false,
    };
    (Arc::new(spec), Arc::new(Schema::new(fields)))
}

fn timed(keys: &[&str], times: &[i64]) -> Batch {
    let keys: Vec<Value> = keys.iter().map(|key| Value::Bytes(key.as_bytes().into())).collect();
    let times = Arc::new(TimestampMillisecondArray::from(times.to_vec()));
    batch(vec![("key", array(&DataType::Utf8View, &keys)), ("time", times)])
}

#[test]
fn groups_for_a_closed_window_are_refused_and_not_lost_in_silence() {
    let (spec, schema) = windowed();
    let aggregation = streaming(&spec, &schema);
    let mut fold = folded(&aggregation, &timed(&["a"], &[3])).0;
    let mut shard = aggregation.shard();
    assert!(aggregation.close(&mut shard, EventTimeMs(9)).is_empty());
    let is_refused = |error: AggregateError| {
        matches!(error, AggregateError::ClosedWindow { last: EventTimeMs(9) }) && error.is_internal()
    };
    let partials = aggregation.split_keys(&mut fold);
    assert_eq!(partials.len(), 1);
    for (_, partials) in partials {
        assert!(is_refused(aggregation.merge(&mut shard, partials).expect_err("the window is closed")));
    }
    // Rows that are not late for their source, folded where their window is closed already.
    let error = aggregation.fold(&mut shard, &timed(&["a"], &[3]), &mut FoldScratch::default());
    assert!(is_refused(error.expect_err("the window is closed")));
    assert_eq!((aggregation.groups(&shard), aggregation.bytes(&shard)), (0, 0));
}

#[test]
fn a_row_is_late_by_its_own_stamp_also_where_the_row_that_moved_the_watermark_was_filtered_out() {
    let (spec, schema) = windowed();
    let mut batch = timed(&["a"; 4], &[3, 4, 5, 6]);
    batch.stamps = Stamps::Each([8, 8, 9, 10].map(EventTimeMs).into());
    assert_eq!(folded(&streaming(&spec, &schema), &batch).1, Folded { folded: 2, late: 2 });
}

#[test]
fn rows_at_the_ends_of_time_have_windows() {
    let (spec, schema) = windowed();
    let aggregation = streaming(&spec, &schema);
    let mut batch = timed(&["a"; 4], &[i64::MIN, i64::MAX, i64::MIN + 1, i64::MAX - 1]);
    let (mut fold, counts) = folded(&aggregation, &batch);
    assert_eq!(counts, Folded { folded: 4, late: 0 });
    batch.stamps = Stamps::Uniform(EventTimeMs::END);
    let counts = aggregation.fold(&mut fold, &batch, &mut FoldScratch::default()).expect("rows");
    assert_eq!(counts, Folded { folded: 0, late: 4 });
    let mut shard = aggregation.shard();
    merge_all(&aggregation, &mut fold, &mut shard);
    let mut emission = end(&aggregation, shard);
    let mut counts = Vec::new();
    while let Some(batch) = emission.next_batch(1).expect("no overflow") {
        counts.push((values(batch.columns.column(1))[0].integer(), values(batch.columns.column(4))[0].integer()));
    }
    assert_eq!(counts, [(2, i128::from(i64::MIN + 7)), (2, i128::from(i64::MAX))]);
}

#[test]
fn a_hundred_thousand_groups_are_counted_and_their_memory_is_given_back() {
    let (spec, schema) = windowed();
    let aggregation = streaming(&spec, &schema);
    let mut folds = [aggregation.shard(), aggregation.shard()];
    let mut shards = [aggregation.shard(), aggregation.shard()];
    let keys: Vec<String> =
        (0..100_000).map(|i| format!("{i}{}", if i % 3 == 0 { ", with a long tail" } else { "" })).collect();
    let mut scratch = FoldScratch::default();
    for keys in keys.chunks(4_096) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let batch = timed(&keys, &vec![7; keys.len()]);
        for fold in &mut folds {
            aggregation.fold(fold, &batch, &mut scratch).expect("rows");
        }
    }
    assert_eq!(aggregation.groups(&folds[0]) + aggregation.groups(&folds[1]), 200_000);
    for fold in &mut folds {
        assert!(aggregation.bytes(fold) > 100_000 * 40);
        for (owner, partials) in aggregation.split(fold, Release::ClosedBy(EventTimeMs(9)), 2) {
            aggregation.merge(&mut shards[owner], partials).expect("an open window");
        }
        // The table that is kept for the next window is as large; nothing else is left.
        assert!(aggregation.groups(fold) == 0 && aggregation.bytes(fold) > 100_000 * 40);
        assert_eq!(aggregation.bytes(&fold.clone()), 0);
    }
    let mut groups = 0;
    for shard in shards {
        assert!(aggregation.bytes(&shard) > 50_000 * 40);
        let mut emission = end(&aggregation, shard);
        assert!(emission.bytes() > 50_000 * 40);
        while let Some(batch) = emission.next_batch(4_096).expect("no overflow") {
            assert!(batch.columns.column(1).as_primitive::<Int64Type>().values().iter().all(|&count| count == 2));
            groups += batch.rows();
        }
        assert_eq!(emission.bytes(), 0);
    }
    assert_eq!(groups, 100_000);
}

#[test]
fn the_table_of_a_window_that_was_emitted_serves_a_later_one_until_the_input_ends() {
    let (spec, schema) = windowed();
    let aggregation = streaming(&spec, &schema);
    let keys: Vec<String> = (0..1_000).map(|i| i.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (mut shard, mut emissions) = (aggregation.shard(), Vec::new());
    emissions.extend((0..2).map(|_| Emission::new(Arc::clone(&aggregation))));
    let mut scratch = FoldScratch::default();
    let mut waiting = Vec::new();
    for window in 0..4 {
        aggregation.fold(&mut shard, &timed(&keys, &vec![window * 10; 1_000]), &mut scratch).expect("rows");
        waiting.push(emissions.iter().map(Emission::bytes).sum::<usize>());
        let closed = aggregation.close(&mut shard, EventTimeMs(window * 10 + 9));
        assert_eq!((closed.len(), closed[0].groups(), aggregation.bytes(&shard)), (1, 1_000, 0));
        let owner = &mut emissions[window as usize % 2];
        owner.push(closed).expect("few groups");
        while owner.next_batch(300).expect("no overflow").is_some() {}
        assert!(owner.bytes() > 1_000 * 40);
    }
    assert_eq!(waiting, [0; 4], "each window took the table of the one before");
    assert!(aggregation.close(&mut shard, EventTimeMs::END).is_empty());
    assert_eq!(emissions.iter().map(Emission::bytes).sum::<usize>(), 0);
}

#[test]
fn a_shard_of_one_group_is_small() {
    let (spec, schema) = windowed();
    let aggregation = streaming(&spec, &schema);
    let shard = folded(&aggregation, &timed(&["a"; 100], &[3; 100])).0;
    assert!(aggregation.bytes(&shard) < 512, "{} bytes", aggregation.bytes(&shard));
    assert_eq!(aggregation.bytes(&aggregation.shard()), 0);
}

#[test]
fn groups_do_not_keep_the_input_alive() {
    let (spec, schema) = windowed();
    let mut first = call(F::FirstValue, &DataType::Utf8View, DataType::Utf8View);
    first.distinct = true;
    let list = call(F::ListAgg { separator: ",".into() }, &DataType::Utf8View, DataType::Utf8View);
    let least = call(F::Min, &DataType::Utf8View, DataType::Utf8View);
    let spec = Arc::new(GroupSpec { aggregates: vec![first, list, least], ..(*spec).clone() });
    let aggregation = streaming(&spec, &schema);
    let batch = timed(&["a string that is longer than its cell", "another one that is longer"], &[3, 14]);
    let buffer = batch.columns.column(0).as_string_view().data_buffers()[0].clone();
    let fold = folded(&aggregation, &batch).0;
    drop(batch);
    assert_eq!(buffer.strong_count(), 1);
    assert_eq!(aggregation.groups(&fold), 2);
}

#[test]
fn what_cannot_be_computed_is_refused_when_it_is_planned() {
    let refused = |function, data_type: &DataType| {
        let schema = Arc::new(Schema::new(vec![Field::new("x", data_type.clone(), true)]));
        let spec = global(vec![call(function, data_type, data_type.clone())]);
        let error = plan(&spec, &schema, CloseMode::AtEnd);
        error.expect_err("no such aggregate").to_string()
    };
    assert_eq!(refused(F::Sum, &DataType::Utf8View), "the argument of Sum(x) cannot be of type Utf8View");
    refused(F::Avg, &DataType::Boolean);
    refused(F::VarPop, &DataType::Date32);
    refused(F::ListAgg { separator: String::new() }, &DataType::Int64);
    refused(F::Min, &DataType::Null);
    let wrong = call(F::Sum, &DataType::Int64, DataType::Float64);
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    let error = plan(&global(vec![wrong]), &schema, CloseMode::AtEnd).expect_err("no such result");
    assert_eq!(error.to_string(), "the result of Sum(x) cannot be of type Float64");
    let (mut spec, schema) = ((*windowed().0).clone(), windowed().1);
    spec.keys[0].data_type = DataType::Int64;
    let error = plan(&Arc::new(spec), &schema, CloseMode::AtEnd).expect_err("another type than planned");
    assert!(error.is_internal());
}

#[test]
fn a_filter_that_is_null_takes_no_row_whatever_lies_under_the_null() {
    let values = Arc::new(Int64Array::from(vec![1, 2, 4]));
    let filter = BooleanArray::new(vec![true; 3].into(), Some(vec![true, false, true].into()));
    let mut sum = call(F::Sum, &DataType::Int64, DataType::Int64);
    sum.filter = Some(1);
    let (spec, batch) = (global(vec![sum]), batch(vec![("x", values), ("filter", Arc::new(filter))]));
    let aggregation = streaming(&spec, &batch.columns.schema());
    let mut emission = end(&aggregation, folded(&aggregation, &batch).0);
    let row = emission.next_batch(1).expect("no overflow").expect("one row").columns;
    assert_eq!(values_of(&row), [Value::Integer(5)]);
}

fn values_of(row: &RecordBatch) -> Vec<Value> {
    row.columns().iter().map(|column| values(column)[0].clone()).collect()
}

#[test]
fn columns_are_named_for_the_plan() {
    let (spec, schema) = windowed();
    let names: Vec<String> = output_schema(&spec, &schema).fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["key", "Count(x)", "window_start", "window_end", "window_time"]);
}

#[test]
fn a_column_with_nulls_that_its_schema_rules_out_is_an_error_of_ours() {
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false)]));
    let spec = global(vec![call(F::Sum, &DataType::Int64, DataType::Int64)]);
    let aggregation = streaming(&spec, &schema);
    let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let batch = batch(vec![("x", column)]);
    let error = aggregation.fold(&mut aggregation.shard(), &batch, &mut FoldScratch::default());
    assert!(error.expect_err("a NULL").is_internal());
}
