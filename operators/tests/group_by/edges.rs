//! Cases at the edges, one by one.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use thalweg_operators::aggregate::AggregateError;
use thalweg_operators::batch::{Batch, Ordinal, Ordinals, Stamps};
use thalweg_operators::group::{CloseMode, EmptyInput, Flush, FoldCounts, LocalFold, Shard, output_schema};
use thalweg_operators::spec::{AggregateFunction as F, AggregateSpec, GroupSpec, KeyColumn, Tumbling};
use thalweg_runtime::EventTimeMs;

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
    }
}

fn global(aggregates: Vec<AggregateSpec>) -> Arc<GroupSpec> {
    Arc::new(GroupSpec { keys: Vec::new(), aggregates, window: None, is_global: true })
}

fn shard(spec: &Arc<GroupSpec>, schema: &SchemaRef, mode: CloseMode) -> Shard {
    Shard::new(Arc::clone(spec), schema, mode, EmptyInput::Emits).expect("a plan")
}

/// One result for each value list: folded by as many workers as there are lists.
fn evaluate(spec: &AggregateSpec, lists: &[Vec<Value>]) -> Result<Value, AggregateError> {
    let spec = global(vec![spec.clone()]);
    let data_type = &spec.aggregates[0].input_type;
    let schema = Arc::new(Schema::new(vec![Field::new("x", data_type.clone(), true)]));
    let mut shard = shard(&spec, &schema, CloseMode::AtEnd);
    for list in lists {
        let mut fold = LocalFold::new(Arc::clone(&spec), &schema, 1)?;
        fold.fold(&batch(vec![("x", array(data_type, list))]))?;
        for (_, partials) in fold.flush(Flush::All) {
            shard.merge(partials)?;
        }
    }
    shard.close(EventTimeMs::END)?;
    let batch = shard.next_batch(10)?.expect("a global aggregation has one row");
    assert!(shard.next_batch(10)?.is_none());
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
    let mut shard = shard(&spec, &schema, CloseMode::WhenPassed);
    shard.close(EventTimeMs(i64::MAX - 1)).expect("no data to fail on");
    assert!(!shard.is_due());
    shard.close(EventTimeMs::END).expect("no data to fail on");
    let row = shard.next_batch(10).expect("no overflow").expect("one row").columns;
    assert_eq!(values_of(&row), [Value::Integer(0), Value::Null, Value::Null, Value::Null]);
    let silent = Shard::new(spec, &schema, CloseMode::WhenPassed, EmptyInput::Silent);
    let mut silent = silent.expect("a plan");
    silent.close(EventTimeMs::END).expect("no data to fail on");
    assert!(silent.next_batch(10).expect("no overflow").is_none());
}

fn windowed() -> (Arc<GroupSpec>, SchemaRef) {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    let fields = vec![Field::new("key", DataType::Utf8View, true), Field::new("time", time, false)];
    let mut count = call(F::Count, &DataType::Null, DataType::Int64);
    count.argument = None;
    let spec = GroupSpec {
        keys: vec![KeyColumn { column: 0, data_type: DataType::Utf8View }],
        aggregates: vec![count],
        window: Some(Tumbling { time_column: 1, size_ms: 10, offset_ms: 0 }),
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
    let mut fold = LocalFold::new(Arc::clone(&spec), &schema, 1).expect("a plan");
    fold.fold(&timed(&["a"], &[3])).expect("a row");
    let mut shard = shard(&spec, &schema, CloseMode::WhenPassed);
    shard.close(EventTimeMs(9)).expect("no data to fail on");
    for (_, partials) in fold.flush(Flush::All) {
        let error = shard.merge(partials).expect_err("the window is closed");
        assert!(matches!(error, AggregateError::ClosedWindow { last: EventTimeMs(9) }) && error.is_internal());
    }
}

#[test]
fn a_row_is_late_by_its_own_stamp_also_where_the_row_that_moved_the_watermark_was_filtered_out() {
    let (spec, schema) = windowed();
    let mut fold = LocalFold::new(spec, &schema, 1).expect("a plan");
    let mut batch = timed(&["a"; 4], &[3, 4, 5, 6]);
    batch.stamps = Stamps::Each([8, 8, 9, 10].map(EventTimeMs).into());
    assert_eq!(fold.fold(&batch).expect("rows"), FoldCounts { folded: 2, late: 2 });
}

#[test]
fn rows_at_the_ends_of_time_have_windows() {
    let (spec, schema) = windowed();
    let mut fold = LocalFold::new(Arc::clone(&spec), &schema, 1).expect("a plan");
    let mut batch = timed(&["a"; 4], &[i64::MIN, i64::MAX, i64::MIN + 1, i64::MAX - 1]);
    assert_eq!(fold.fold(&batch).expect("rows"), FoldCounts { folded: 4, late: 0 });
    batch.stamps = Stamps::Uniform(EventTimeMs::END);
    assert_eq!(fold.fold(&batch).expect("rows"), FoldCounts { folded: 0, late: 4 });
    let mut shard = shard(&spec, &schema, CloseMode::WhenPassed);
    for (_, partials) in fold.flush(Flush::All) {
        shard.merge(partials).expect("an open window");
    }
    shard.close(EventTimeMs::END).expect("no data to fail on");
    let mut counts = Vec::new();
    while let Some(batch) = shard.next_batch(1).expect("no overflow") {
        counts.push((values(batch.columns.column(1))[0].integer(), values(batch.columns.column(4))[0].integer()));
    }
    assert_eq!(counts, [(2, i128::from(i64::MIN + 7)), (2, i128::from(i64::MAX))]);
}

#[test]
fn a_hundred_thousand_groups_are_counted_and_their_memory_is_given_back() {
    let (spec, schema) = windowed();
    let mut folds: Vec<LocalFold> =
        (0..2).map(|_| LocalFold::new(Arc::clone(&spec), &schema, 2).expect("a plan")).collect();
    let mut shards: Vec<Shard> = (0..2).map(|_| shard(&spec, &schema, CloseMode::WhenPassed)).collect();
    let keys: Vec<String> =
        (0..100_000).map(|i| format!("{i}{}", if i % 3 == 0 { ", with a long tail" } else { "" })).collect();
    for (index, keys) in keys.chunks(4_096).enumerate() {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let batch = timed(&keys, &vec![7; keys.len()]);
        folds[index % 2].fold(&batch).expect("rows");
        folds[(index + 1) % 2].fold(&batch).expect("rows");
    }
    assert_eq!(folds[0].groups() + folds[1].groups(), 200_000);
    for fold in &mut folds {
        assert!(fold.state_bytes() > 100_000 * 40);
        for (owner, partials) in fold.flush(Flush::ClosedBy(EventTimeMs(9))) {
            shards[usize::from(owner.0)].merge(partials).expect("an open window");
        }
    }
    let mut groups = 0;
    for shard in &mut shards {
        let full = shard.state_bytes();
        shard.close(EventTimeMs::END).expect("no data to fail on");
        while let Some(batch) = shard.next_batch(4_096).expect("no overflow") {
            assert!(batch.columns.column(1).as_primitive::<Int64Type>().values().iter().all(|&count| count == 2));
            groups += batch.rows();
        }
        assert!(full > 50_000 * 40);
        assert_eq!(shard.state_bytes(), 0);
    }
    assert_eq!(groups, 100_000);
}

#[test]
fn groups_do_not_keep_the_input_alive() {
    let (spec, schema) = windowed();
    let mut first = call(F::FirstValue, &DataType::Utf8View, DataType::Utf8View);
    first.distinct = true;
    let list = call(F::ListAgg { separator: ",".into() }, &DataType::Utf8View, DataType::Utf8View);
    let least = call(F::Min, &DataType::Utf8View, DataType::Utf8View);
    let spec = Arc::new(GroupSpec { aggregates: vec![first, list, least], ..(*spec).clone() });
    let mut fold = LocalFold::new(Arc::clone(&spec), &schema, 1).expect("a plan");
    let batch = timed(&["a string that is longer than its cell", "another one that is longer"], &[3, 14]);
    let buffer = batch.columns.column(0).as_string_view().data_buffers()[0].clone();
    fold.fold(&batch).expect("rows");
    drop(batch);
    assert_eq!(buffer.strong_count(), 1);
    assert_eq!(fold.groups(), 2);
}

#[test]
fn what_cannot_be_computed_is_refused_when_it_is_planned() {
    let refused = |function, data_type: &DataType| {
        let schema = Arc::new(Schema::new(vec![Field::new("x", data_type.clone(), true)]));
        let error = LocalFold::new(global(vec![call(function, data_type, data_type.clone())]), &schema, 1);
        error.expect_err("no such aggregate").to_string()
    };
    assert_eq!(refused(F::Sum, &DataType::Utf8View), "the argument of Sum(x) cannot be of type Utf8View");
    refused(F::Avg, &DataType::Boolean);
    refused(F::VarPop, &DataType::Date32);
    refused(F::ListAgg { separator: String::new() }, &DataType::Int64);
    refused(F::Min, &DataType::Null);
    let wrong = call(F::Sum, &DataType::Int64, DataType::Float64);
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    let error = LocalFold::new(global(vec![wrong]), &schema, 1).expect_err("no such result");
    assert_eq!(error.to_string(), "the result of Sum(x) cannot be of type Float64");
    let (mut spec, schema) = ((*windowed().0).clone(), windowed().1);
    spec.keys[0].data_type = DataType::Int64;
    let error = LocalFold::new(Arc::new(spec), &schema, 1).expect_err("another type than planned");
    assert!(error.is_internal());
}

#[test]
fn a_filter_that_is_null_takes_no_row_whatever_lies_under_the_null() {
    let values = Arc::new(Int64Array::from(vec![1, 2, 4]));
    let filter = BooleanArray::new(vec![true; 3].into(), Some(vec![true, false, true].into()));
    let mut sum = call(F::Sum, &DataType::Int64, DataType::Int64);
    sum.filter = Some(1);
    let (spec, batch) = (global(vec![sum]), batch(vec![("x", values), ("filter", Arc::new(filter))]));
    let mut fold = LocalFold::new(Arc::clone(&spec), &batch.columns.schema(), 1).expect("a plan");
    fold.fold(&batch).expect("rows");
    let mut shard = shard(&spec, &batch.columns.schema(), CloseMode::AtEnd);
    for (_, partials) in fold.flush(Flush::All) {
        shard.merge(partials).expect("an open window");
    }
    shard.close(EventTimeMs::END).expect("no data to fail on");
    let row = shard.next_batch(1).expect("no overflow").expect("one row").columns;
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
    let mut fold = LocalFold::new(spec, &schema, 1).expect("a plan");
    let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    assert!(fold.fold(&batch(vec![("x", column)])).expect_err("a NULL").is_internal());
}
