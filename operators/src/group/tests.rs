use std::sync::Arc;

use arrow_array::{Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow_schema::{DataType, SchemaRef};
use thalweg_runtime::EventTimeMs;

use super::*;
use crate::batch::{Batch, Ordinal, Ordinals, Stamps};
use crate::spec::{AggregateFunction, AggregateSpec, GroupSpec, KeyColumn, Tumbling};

fn call(function: AggregateFunction, argument: usize, input: &SchemaRef, output_type: DataType) -> AggregateSpec {
    AggregateSpec {
        name: format!("{function:?}({argument})"),
        function,
        argument: Some(argument),
        input_type: input.field(argument).data_type().clone(),
        filter: None,
        distinct: false,
        output_type,
    }
}

#[test]
fn two_windows_two_workers_two_keys() {
    let columns = RecordBatch::try_from_iter_with_nullable([
        ("name", Arc::new(StringViewArray::from(vec!["a", "a name longer than twelve", "a", "b"])) as _, true),
        ("n", Arc::new(Int64Array::from(vec![Some(1), Some(i64::MAX), None, Some(4)])) as _, true),
        ("x", Arc::new(Float64Array::from(vec![Some(0.5), None, Some(2.5), Some(-0.0)])) as _, true),
        ("time", Arc::new(TimestampMillisecondArray::from(vec![0, 9, 8, 12])) as _, false),
    ])
    .unwrap();
    let schema = columns.schema();
    let aggregates = vec![
        call(AggregateFunction::Count, 1, &schema, DataType::Int64),
        call(AggregateFunction::Sum, 1, &schema, DataType::Int64),
        call(AggregateFunction::Avg, 2, &schema, DataType::Float64),
    ];
    let spec = Arc::new(GroupSpec {
        keys: vec![KeyColumn { column: 0, data_type: DataType::Utf8View }],
        aggregates,
        window: Some(Tumbling { time_column: 3, size_ms: 10, offset_ms: 0 }),
        is_global: false,
    });
    let (ordinals, stamps) = (Ordinals::Run(Ordinal(0)), Stamps::Uniform(EventTimeMs(3)));
    let batch = Batch { columns, ordinals, stamps };
    let mut fold = LocalFold::new(Arc::clone(&spec), &schema, 1).unwrap();
    assert_eq!(fold.fold(&batch).unwrap(), FoldCounts { folded: 4, late: 0 });
    assert_eq!(fold.fold(&batch).unwrap(), FoldCounts { folded: 4, late: 0 });
    assert!(!fold.closes_before(EventTimeMs(8)) && fold.closes_before(EventTimeMs(9)));
    let mut shard = Shard::new(spec, &schema, CloseMode::WhenPassed, EmptyInput::Silent).unwrap();
    for (_, partials) in fold.flush(Flush::ClosedBy(EventTimeMs(9))) {
        shard.merge(partials).unwrap();
    }
    assert_eq!(fold.groups(), 1);
    shard.close(EventTimeMs(9)).unwrap();
    let error = shard.next_batch(10).unwrap_err();
    assert_eq!(error.to_string(), "the result of Sum(1) does not fit its type Int64");
    shard.close(EventTimeMs(9)).unwrap();
    let late = Batch { stamps: Stamps::Uniform(EventTimeMs(9)), ..batch };
    assert_eq!(fold.fold(&late).unwrap(), FoldCounts { folded: 1, late: 3 });
    for (_, partials) in fold.flush(Flush::All) {
        shard.merge(partials).unwrap();
    }
}
