//! GROUP BY against a naive oracle: every aggregate over every type of key and argument, rows divided, flushed, merged and
//! closed at random.

mod edges;
mod laws;
mod mini_batch;
mod net;
mod oracle;
mod running;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{DictionaryArray, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use oracle::{Expected, Groups, Row};
use proptest::prelude::*;
use thalweg_operators::batch::{Batch, Ordinal, Ordinals, Stamps};
use thalweg_operators::changelog::RowKinds;
use thalweg_operators::group::{CloseMode, Emission, FoldScratch, GroupAggregation, GroupShard, Partials};
use thalweg_operators::kernels::Kernels;
use thalweg_operators::key::{coded_type, is_supported};
use thalweg_operators::spec::{
    AggregateFunction as F, AggregateSpec, GroupSpec, KeyColumn, WindowKind, WindowShape, Windows,
};
use thalweg_runtime::EventTimeMs;
use thalweg_runtime::exchange::key_group::owner;
use thalweg_runtime::state::{Aggregation, Folded, Release};
use values::{Value, array, pick, types, values};

/// Columns of the input: up to three keys, then these.
const ARGUMENT: usize = 3;
const NEVER_NULL: usize = 4;
const FILTER: usize = 5;
const TIME: usize = 6;

#[derive(Clone, Debug)]
struct Case {
    workers: usize,
    key_types: Vec<DataType>,
    argument_type: DataType,
    window: Option<WindowShape>,
    mode: CloseMode,
    /// Milliseconds by which the watermark trails the greatest time.
    lag_ms: i64,
    rows: Vec<RowChoices>,
    steps: Vec<Step>,
}

/// Which of a type's values a row has, by column, and its time.
#[derive(Clone, Debug)]
struct RowChoices {
    keys: [usize; 3],
    argument: usize,
    filter: usize,
    time: i64,
}

/// Some rows to some worker, and what happens then.
#[derive(Clone, Debug)]
struct Step {
    rows: usize,
    worker: usize,
    flushes: bool,
    advances: bool,
    /// Turns the order in which partials arrive.
    rotation: usize,
    /// Keys that are strings come as codes of a dictionary.
    is_coded: bool,
}

fn any_type() -> impl Strategy<Value = DataType> {
    proptest::sample::select(types())
}

fn any_shape() -> impl Strategy<Value = WindowShape> {
    let kind = proptest::sample::select(vec![WindowKind::Tumble, WindowKind::Hop, WindowKind::Cumulate]);
    (kind, 1..40i64, 1..9i64, -50..50i64).prop_map(|(kind, size_ms, part, offset_ms)| match kind {
        WindowKind::Session => unreachable!("sessions are given"),
        WindowKind::Tumble => WindowShape::tumbling(size_ms, offset_ms),
        WindowKind::Hop => WindowShape { kind, size_ms, step_ms: 1 + (size_ms - 1) * part / 8, offset_ms },
        WindowKind::Cumulate => WindowShape { kind, size_ms: size_ms * part, step_ms: size_ms, offset_ms },
    })
}

fn any_case() -> impl Strategy<Value = Case> {
    let time = prop_oneof![8 => -30..60i64, 1 => -1000..1000i64];
    let row = (proptest::array::uniform3(0..12usize), 0..256usize, 0..6usize, time)
        .prop_map(|(keys, argument, filter, time)| RowChoices { keys, argument, filter, time });
    let step = (1..20usize, 0..4usize, any::<bool>(), any::<bool>(), 0..8usize, any::<bool>()).prop_map(
        |(rows, worker, flushes, advances, rotation, is_coded)| Step {
            rows,
            worker,
            flushes,
            advances,
            rotation,
            is_coded,
        },
    );
    let window = proptest::option::weighted(0.8, any_shape());
    let mode = prop_oneof![Just(CloseMode::WhenPassed), Just(CloseMode::AtEnd)];
    let types = (proptest::collection::vec(any_type(), 0..4), any_type());
    (
        (1..5usize, types, window, mode, 0..20i64),
        proptest::collection::vec(row, 0..60),
        proptest::collection::vec(step, 1..12),
    )
        .prop_map(|((workers, (key_types, argument_type), window, mode, lag_ms), rows, steps)| Case {
            workers,
            key_types,
            argument_type,
            window,
            mode,
            lag_ms,
            rows,
            steps,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_aggregates_are_what_the_oracle_says(case in any_case()) {
        check(&case)?;
    }
}

impl Case {
    fn schema(&self) -> SchemaRef {
        let key = |index: usize| self.key_types.get(index).cloned().unwrap_or(DataType::Int8);
        let time = DataType::Timestamp(TimeUnit::Millisecond, None);
        Arc::new(Schema::new(vec![
            Field::new("k0", key(0), true),
            Field::new("k1", key(1), true),
            Field::new("k2", key(2), true),
            Field::new("argument", self.argument_type.clone(), true),
            Field::new("never_null", DataType::Int32, false),
            Field::new("filter", DataType::Boolean, true),
            Field::new("time", time, false),
        ]))
    }

    fn spec(&self) -> GroupSpec {
        let keys = self.key_types.iter().cloned().enumerate();
        GroupSpec {
            keys: keys.map(|(column, data_type)| KeyColumn { column, data_type }).collect(),
            aggregates: all_aggregates(&self.argument_type),
            window: self.windows(),
            is_global: self.key_types.is_empty() && self.window.is_none(),
        }
    }

    fn aggregation(&self) -> Arc<GroupAggregation> {
        let kernels = Kernels::ALL[self.workers % 2];
        let aggregation = GroupAggregation::new(Arc::new(self.spec()), &self.schema(), self.mode, kernels);
        Arc::new(aggregation.expect("a plan"))
    }

    /// Digits behind the point of an argument that is a decimal.
    fn scale(&self) -> i32 {
        if let DataType::Decimal128(_, scale) = self.argument_type { scale.into() } else { 0 }
    }

    fn windows(&self) -> Option<Windows> {
        self.window.map(|shape| Windows { time_column: TIME, shape, is_given: false })
    }

    fn rows(&self) -> Vec<Row> {
        let mut greatest = None;
        let schema = self.schema();
        let is_streaming = self.mode == CloseMode::WhenPassed && self.window.is_some();
        let row = |(ordinal, choices): (usize, &RowChoices)| {
            let stamp = greatest.filter(|_| is_streaming).map_or(i64::MIN, |time: i64| time - self.lag_ms);
            greatest = greatest.max(Some(choices.time));
            let windows =
                self.window.map_or(vec![(i64::MIN, i64::MAX)], |shape| oracle::windows_of(&shape, choices.time));
            let mut values: Vec<Value> =
                choices.keys.iter().enumerate().map(|(key, &at)| pick(schema.field(key).data_type(), at)).collect();
            values.push(pick(&self.argument_type, choices.argument));
            values.push(Value::Integer(choices.argument as i128 - 100));
            values.push(if choices.filter == 0 { Value::Null } else { Value::Integer((choices.filter % 2) as i128) });
            values.push(Value::Integer(choices.time.into()));
            Row { ordinal: 1000 + ordinal as u128, values, windows, stamp }
        };
        self.rows.iter().enumerate().map(row).collect()
    }
}

/// Each function that takes the type, plain, with DISTINCT, with FILTER and with both; some over a column without NULL.
fn all_aggregates(argument_type: &DataType) -> Vec<AggregateSpec> {
    let is_number = argument_type.is_numeric();
    let scaled = |data_type: &DataType, precision: u8, digits: i8| match data_type {
        DataType::Decimal128(_, scale) => DataType::Decimal128(precision, digits.max(*scale)),
        other if other.is_integer() => DataType::Decimal128(38, 0),
        other => other.clone(),
    };
    let mut functions = vec![(F::Count, DataType::Int64)];
    for function in [F::Min, F::Max, F::FirstValue, F::LastValue] {
        functions.push((function, argument_type.clone()));
    }
    if is_number {
        let average = if argument_type.is_integer() { argument_type.clone() } else { scaled(argument_type, 38, 6) };
        functions.extend([(F::Sum, scaled(argument_type, 38, 0)), (F::Avg, average)]);
        functions.extend([F::VarPop, F::VarSamp, F::StddevPop, F::StddevSamp].map(|f| (f, DataType::Float64)));
    }
    if *argument_type == DataType::Utf8View {
        functions.push((F::ListAgg { separator: ", ".to_owned() }, DataType::Utf8View));
    }
    let mut calls = Vec::new();
    for (function, output_type) in functions {
        for (distinct, filter) in [(false, None), (true, None), (false, Some(FILTER)), (true, Some(FILTER))] {
            let name = format!("{function:?} distinct {distinct} filter {filter:?}");
            let (argument, input_type) = (Some(ARGUMENT), argument_type.clone());
            let (function, output_type) = (function.clone(), output_type.clone());
            calls.push(AggregateSpec { function, argument, input_type, filter, distinct, output_type, name });
        }
    }
    for (function, argument) in [(F::Count, None), (F::Sum, Some(NEVER_NULL)), (F::Max, Some(NEVER_NULL))] {
        for filter in [None, Some(FILTER)] {
            let name = format!("{function:?} {argument:?} filter {filter:?}");
            let input_type = if argument.is_some() { DataType::Int32 } else { DataType::Null };
            let (function, distinct, output_type) = (function.clone(), false, DataType::Int64);
            let output_type = if function == F::Max { DataType::Int32 } else { output_type };
            calls.push(AggregateSpec { function, argument, input_type, filter, distinct, output_type, name });
        }
    }
    calls
}

fn batch(schema: &SchemaRef, rows: &[Row]) -> Batch {
    let column = |index: usize| {
        let values: Vec<Value> = rows.iter().map(|row| row.values[index].clone()).collect();
        array(schema.field(index).data_type(), &values)
    };
    let columns = (0..schema.fields().len()).map(column).collect();
    let stamps: Arc<[EventTimeMs]> = rows.iter().map(|row| EventTimeMs(row.stamp)).collect();
    let is_uniform = stamps.iter().all(|stamp| *stamp == stamps[0]);
    Batch {
        columns: RecordBatch::try_new(Arc::clone(schema), columns).expect("columns of the schema"),
        ordinals: Ordinals::Run(Ordinal::of_row(rows[0].ordinal)),
        stamps: if is_uniform { Stamps::Uniform(stamps[0]) } else { Stamps::Each(stamps) },
        kinds: RowKinds::Inserts,
    }
}

impl Step {
    fn batch(&self, schema: &SchemaRef, rows: &[Row]) -> Batch {
        let batch = batch(schema, rows);
        if self.is_coded { with_codes(&batch) } else { batch }
    }
}

/// The same rows with codes for the strings among the first three columns.
fn with_codes(batch: &Batch) -> Batch {
    let mut columns = batch.columns.columns().to_vec();
    let mut fields = batch.columns.schema().fields().to_vec();
    for (column, field) in columns.iter_mut().zip(&mut fields).take(ARGUMENT) {
        if *field.data_type() == DataType::Utf8View {
            let codes: DictionaryArray<UInt32Type> = column.as_string_view().iter().collect();
            let values: StringViewArray = codes.values().as_string::<i32>().iter().collect();
            *column = Arc::new(DictionaryArray::new(codes.keys().clone(), Arc::new(values)));
            *field = Arc::new(Field::clone(field).with_data_type(coded_type()));
        }
    }
    batch.with_columns(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of the schema"))
}

/// A job of several workers in one thread.
struct Job {
    aggregation: Arc<GroupAggregation>,
    /// Private tables.
    folds: Vec<GroupShard>,
    scratch: FoldScratch,
    shards: Vec<GroupShard>,
    emissions: Vec<Emission>,
    /// Window and keys to results.
    results: BTreeMap<(i64, String), Vec<Value>>,
    ordinals: Vec<Ordinal>,
}

impl Job {
    fn new(case: &Case) -> Self {
        let aggregation = case.aggregation();
        Self {
            folds: (0..case.workers).map(|_| aggregation.shard()).collect(),
            scratch: FoldScratch::default(),
            shards: (0..case.workers).map(|_| aggregation.shard()).collect(),
            emissions: (0..case.workers).map(|_| Emission::new(Arc::clone(&aggregation))).collect(),
            results: BTreeMap::new(),
            ordinals: Vec::new(),
            aggregation,
        }
    }

    fn fold(&mut self, worker: usize, batch: &Batch) -> Folded {
        self.aggregation.fold(&mut self.folds[worker], batch, &mut self.scratch).expect("rows fit")
    }

    /// The rows go to their owners as they are.
    fn divide(&mut self, batch: &Batch) -> Folded {
        let divided = self.aggregation.divide(batch, self.shards.len(), &mut self.scratch);
        let (folded, parts) = divided.expect("rows fit");
        assert_eq!(parts.iter().map(|(_, partials)| partials.rows() as u64).sum::<u64>(), folded.folded);
        for (owner, partials) in parts {
            self.aggregation.merge(&mut self.shards[owner], partials).expect("an open window");
        }
        folded
    }

    fn flush(&mut self, release: Release, rotation: usize) {
        let workers = self.shards.len();
        let split = |fold| self.aggregation.split(fold, release, workers);
        let mut partials: Vec<(usize, Partials)> = self.folds.iter_mut().flat_map(split).collect();
        if !partials.is_empty() {
            let middle = rotation % partials.len();
            partials.rotate_left(middle);
        }
        for (owner, partials) in partials {
            assert!(partials.rows() > 0 && partials.bytes() > 0);
            self.aggregation.merge(&mut self.shards[owner], partials).expect("an open window");
        }
    }

    /// The ends of the windows that a worker holds in private.
    fn private_ends(&self, worker: usize) -> Vec<i64> {
        let rows = self.aggregation.scan(&self.folds[worker]).expect("no overflow");
        let groups = self.aggregation.groups(&self.folds[worker]);
        assert!(rows.num_rows() == groups || self.aggregation.has_overlaps());
        rows.column_by_name("window_end")
            .map_or_else(Vec::new, |ends| values(ends).iter().map(|end| end.integer() as i64).collect())
    }

    fn close(&mut self, frontier: EventTimeMs) {
        for worker in 0..self.shards.len() {
            let closed = self.aggregation.close(&mut self.shards[worker], frontier);
            self.emissions[worker].push(closed).expect("few groups");
            if frontier == EventTimeMs::END && worker == 0 {
                self.emissions[worker].end().expect("few groups");
            }
            let mut last_end = i64::MIN;
            while let Some(batch) = self.emissions[worker].next_batch(3).expect("no overflow") {
                let end = self.take_results(&batch, worker);
                assert!(last_end <= end, "windows are due in the order of their ends");
                assert!(end == i64::MAX || end - 1 <= frontier.0, "a window is emitted when it is over");
                last_end = end;
            }
            assert!(!self.emissions[worker].is_due());
        }
    }

    /// Returns the end of the batch's window.
    fn take_results(&mut self, batch: &Batch, worker: usize) -> i64 {
        assert!(batch.rows() <= 3 && batch.rows() > 0);
        for (group, results) in groups_of(&self.aggregation, &batch.columns) {
            let known = self.results.insert(group, results);
            assert!(known.is_none(), "a group is emitted once");
        }
        for row in 0..batch.rows() {
            let ordinal = batch.ordinals.get(row);
            assert_eq!(usize::from(owner(ordinal.row as u64, self.shards.len()).0), worker);
            self.ordinals.push(ordinal);
        }
        let ends = batch.columns.column_by_name("window_end").map(values);
        assert!(ends.iter().all(|ends| ends.iter().all(|end| *end == ends[0])), "a batch is of one window");
        ends.map_or(i64::MAX, |ends| ends[0].integer() as i64)
    }
}

/// Window and keys to results, of rows that a GROUP BY gave.
fn groups_of(aggregation: &GroupAggregation, rows: &RecordBatch) -> BTreeMap<(i64, String), Vec<Value>> {
    let (keys, aggregates) = (aggregation.spec().keys.len(), aggregation.spec().aggregates.len());
    assert_eq!(rows.schema_ref(), aggregation.schema());
    let columns: Vec<Vec<Value>> = rows.columns().iter().map(values).collect();
    let group = |row: usize| {
        let mut texts: Vec<String> = columns[..keys].iter().map(|column| column[row].text()).collect();
        let times: Vec<i64> = columns[keys + aggregates..].iter().map(|c| c[row].integer() as i64).collect();
        let end = match times[..] {
            [start, end, time] => {
                assert_eq!(end - 1, time);
                texts.insert(0, start.to_string());
                end
            }
            _ => i64::MAX,
        };
        let results = columns[keys..][..aggregates].iter().map(|column| column[row].clone()).collect();
        ((end, texts.join("|")), results)
    };
    let groups: BTreeMap<_, _> = (0..rows.num_rows()).map(group).collect();
    assert_eq!(groups.len(), rows.num_rows(), "a group is one row");
    groups
}

/// What the oracle says of the rows of a case, and how many are late.
fn expected(case: &Case, rows: &[Row]) -> (Groups, u64) {
    let keys: Vec<usize> = (0..case.key_types.len()).collect();
    oracle::group_by(rows, &keys, &case.spec().aggregates, case.scale())
}

/// Adds the row of a global aggregation whose input is empty.
fn add_empty_input(case: &Case, expected: &mut Groups) {
    let spec = case.spec();
    if spec.is_global && expected.is_empty() {
        let count = |spec: &AggregateSpec| if spec.function == F::Count { Value::Integer(0) } else { Value::Null };
        let results = spec.aggregates.iter().map(|spec| Expected { value: count(spec), tolerance: 0.0 });
        expected.insert((i64::MAX, String::new()), results.collect());
    }
}

fn expect_same(case: &Case, got: &BTreeMap<(i64, String), Vec<Value>>, expected: &Groups) -> Result<(), TestCaseError> {
    prop_assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    let spec = case.spec();
    for (key, want) in expected {
        for ((got, want), spec) in got[key].iter().zip(want).zip(&spec.aggregates) {
            prop_assert!(is_same(got, want, &spec.output_type), "{} of {key:?}: {got:?}, expected {want:?}", spec.name);
        }
    }
    Ok(())
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let (rows, schema) = (case.rows(), case.schema());
    let (mut expected, late_expected) = expected(case, &rows);
    add_empty_input(case, &mut expected);

    let mut job = Job::new(case);
    let (mut late, mut folded, mut next) = (0, 0, 0);
    let mut steps = case.steps.iter().cycle();
    while next < rows.len() {
        let step = steps.next().expect("a cycle");
        let end = rows.len().min(next + step.rows);
        let batch = step.batch(&schema, &rows[next..end]);
        let counts = if step.rotation.is_multiple_of(3) {
            job.divide(&batch)
        } else {
            job.fold(step.worker % case.workers, &batch)
        };
        (late, folded, next) = (late + counts.late, folded + counts.folded, end);
        if step.flushes {
            job.flush(Release::All, step.rotation);
        }
        if let Some(row) = rows.get(next).filter(|_| step.advances) {
            let frontier = EventTimeMs(row.stamp);
            job.flush(Release::ClosedBy(frontier), step.rotation);
            let is_open = |end: i64| frontier == EventTimeMs::MIN || end - 1 > frontier.0;
            prop_assert!((0..case.workers).all(|worker| job.private_ends(worker).into_iter().all(is_open)));
            job.close(frontier);
        }
    }
    job.flush(Release::All, case.steps[0].rotation);
    prop_assert!(job.folds.iter().all(|fold| job.aggregation.groups(fold) == 0));
    job.close(EventTimeMs::END);
    prop_assert_eq!((late, folded), (late_expected, rows.len() as u64 - late_expected));
    expect_same(case, &job.results, &expected)?;
    job.ordinals.sort();
    job.ordinals.dedup();
    prop_assert_eq!(job.ordinals.len(), expected.len(), "each row has an ordinal of its own");
    Ok(())
}

fn is_same(got: &Value, want: &Expected, data_type: &DataType) -> bool {
    let half_digit = if *data_type == DataType::Float32 { f64::from(f32::EPSILON) } else { 0.0 };
    match (got, &want.value) {
        (Value::Double(got), Value::Double(value)) => {
            got == value
                || (got.is_nan() && value.is_nan())
                || (got - value).abs() <= want.tolerance + half_digit * value.abs()
        }
        (got, value) => got == value,
    }
}

#[test]
fn every_type_of_the_tests_is_a_key() {
    assert!(types().iter().all(is_supported));
}
