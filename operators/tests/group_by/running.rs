//! Running aggregates against an oracle that applies the rows one by one, whoever owns the keys and wherever batches end.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;
use thalweg_operators::batch::Batch;
use thalweg_operators::changelog::RowKind;
use thalweg_operators::kernels::Kernels;
use thalweg_operators::route::{Routed, Router, RowByRow};
use thalweg_operators::running::{RunningAggregation, RunningGroups};
use thalweg_operators::spec::{AggregateFunction as F, AggregateSpec, GroupSpec};

use crate::oracle::{self, Expected, Row};
use crate::values::{Value, values};
use crate::{Case, all_aggregates, any_case, batch};

/// Kind and values of a row of a changelog.
pub type Change = (RowKind, Vec<Value>);

fn is_moment(spec: &AggregateSpec) -> bool {
    matches!(spec.function, F::VarPop | F::VarSamp | F::StddevPop | F::StddevSamp)
}

/// Some of all aggregates. Those that are only near what the oracle says come with a COUNT(*), for which every row counts.
pub fn some_aggregates(case: &Case, choice: u64) -> Vec<AggregateSpec> {
    let all = all_aggregates(&case.argument_type);
    let count = all.iter().find(|spec| spec.argument.is_none() && spec.filter.is_none()).cloned();
    let chosen = all.into_iter().enumerate().filter(|(index, _)| choice >> (index % 64) & 1 != 0);
    let mut chosen: Vec<AggregateSpec> = chosen.map(|(_, spec)| spec).collect();
    if chosen.iter().any(is_moment) {
        chosen.extend(count);
    }
    chosen
}

/// What each key must give: rows are applied one after the other.
fn expected(
    rows: &[Row],
    keys: usize,
    aggregates: &[AggregateSpec],
    scale: i32,
) -> BTreeMap<String, Vec<(RowKind, Vec<Expected>)>> {
    let mut groups: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut changes: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let all: Vec<usize> = (0..keys).collect();
    for row in rows {
        let key: Vec<String> = row.values[..keys].iter().map(Value::text).collect();
        let known = groups.entry(key.join("|")).or_default();
        let values = |rows: &[Row]| results(rows, &all, aggregates, scale);
        let before = values(known);
        known.push(Row { windows: vec![(i64::MIN, i64::MAX)], stamp: i64::MIN, ..row.clone() });
        let after = values(known).expect("a group");
        let log = changes.entry(key.join("|")).or_default();
        match before {
            None => log.push((RowKind::Insert, after)),
            Some(before) => {
                let is_same = |(a, b): (&Expected, &Expected)| a.value.text() == b.value.text();
                if !before.iter().zip(&after).all(is_same) {
                    log.push((RowKind::UpdateBefore, before));
                    log.push((RowKind::UpdateAfter, after));
                }
            }
        }
    }
    changes
}

/// What the oracle says of the rows of one group, if there are any.
pub fn results(rows: &[Row], keys: &[usize], aggregates: &[AggregateSpec], scale: i32) -> Option<Vec<Expected>> {
    let (groups, _) = oracle::group_by(rows, keys, aggregates, scale);
    let as_declared = |(expected, spec): (Expected, &AggregateSpec)| match expected.value {
        Value::Double(value) if spec.output_type == DataType::Float32 => {
            Expected { value: Value::Double(f64::from(value as f32)), tolerance: value.abs() * 1e-6 }
        }
        _ => expected,
    };
    groups.into_values().next().map(|values| values.into_iter().zip(aggregates).map(as_declared).collect())
}

pub fn is_near(value: &Value, expected: &Expected) -> bool {
    match (value, &expected.value) {
        (Value::Double(a), Value::Double(b)) if a.is_finite() && b.is_finite() => (a - b).abs() <= expected.tolerance,
        (a, b) => a.text() == b.text(),
    }
}

/// The changelog of each key, from `owners` owners and batches of the sizes of the case's steps.
fn run(case: &Case, rows: &[Row], spec: GroupSpec, owners: usize) -> BTreeMap<String, Vec<Change>> {
    let schema: Arc<Schema> = case.schema();
    let keys = spec.keys.len();
    let running = RunningAggregation::new(Arc::new(spec), &schema, Kernels::ALL[owners % 2]).expect("a plan");
    let running = Arc::new(running);
    let mut router = Router::new(running.routing(), owners);
    let mut groups: Vec<RunningGroups> = (0..owners).map(|_| RunningGroups::new(Arc::clone(&running))).collect();
    let mut logs: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    let (mut rest, mut step) = (rows, 0);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(case.steps[step % case.steps.len()].rows.min(rest.len()));
        (rest, step) = (later, step + 1);
        let mut routed: Vec<(usize, Routed)> = Vec::new();
        router.route(&batch(&schema, now), |owner, part| routed.push((owner, part))).expect("rows fit");
        assert_eq!(routed.iter().map(|(_, part)| part.rows()).sum::<usize>(), now.len());
        for (owner, part) in routed {
            let mut taken = 0;
            while taken < part.rows() {
                let applied = groups[owner].apply(&part, taken).expect("no overflow");
                assert!(applied.rows > 0);
                taken += applied.rows;
                take(&applied.changes, keys, &mut logs);
            }
        }
    }
    logs
}

pub fn take(changes: &Batch, keys: usize, logs: &mut BTreeMap<String, Vec<Change>>) {
    let columns: Vec<Vec<Value>> = changes.columns.columns().iter().map(values).collect();
    for row in 0..changes.rows() {
        let key: Vec<String> = columns[..keys].iter().map(|column| column[row].text()).collect();
        let values = columns[keys..].iter().map(|column| column[row].clone()).collect();
        logs.entry(key.join("|")).or_default().push((changes.kinds.get(row), values));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_are_what_rows_applied_one_by_one_give(case in any_case(), choice in any::<u64>(), few in any::<u64>()) {
        let case = Case { window: None, ..case };
        let rows = case.rows();
        // Mostly few aggregates, so that rows that change nothing are met.
        let aggregates = some_aggregates(&case, if choice.is_multiple_of(4) { choice } else { choice & few & few.rotate_left(9) });
        let expected = expected(&rows, case.key_types.len(), &aggregates, case.scale());
        for owners in [1, 2, 4, 7] {
            let spec = GroupSpec { aggregates: aggregates.clone(), ..case.spec() };
            let found = run(&case, &rows, spec, owners);
            prop_assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
            for (key, changes) in found {
                let expected = &expected[&key];
                prop_assert_eq!(
                    changes.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
                    expected.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
                    "kinds of {}: {:?} and {:?}", key, changes, expected
                );
                for ((_, values), (_, expected)) in changes.iter().zip(expected) {
                    for ((value, expected), spec) in values.iter().zip(expected).zip(&aggregates) {
                        prop_assert!(is_near(value, expected), "{}: {:?}, expected {:?}", spec.name, value, expected);
                    }
                }
            }
        }
    }
}

#[test]
fn a_long_list_is_emitted_in_bounded_batches() {
    let schema: Arc<Schema> = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8View, true)]));
    let function = F::ListAgg { separator: ",".to_owned() };
    let (input_type, output_type) = (DataType::Utf8View, DataType::Utf8View);
    let list = AggregateSpec {
        function,
        argument: Some(0),
        input_type,
        filter: None,
        distinct: false,
        output_type,
        name: "LISTAGG(s)".to_owned(),
    };
    let spec = GroupSpec { keys: Vec::new(), aggregates: vec![list], window: None, is_global: true };
    let running = Arc::new(RunningAggregation::new(Arc::new(spec), &schema, Kernels::default()).expect("a plan"));
    let row = |ordinal: u128| Row {
        ordinal,
        values: vec![Value::Bytes(vec![b'x'; 3_000])],
        windows: vec![(i64::MIN, i64::MAX)],
        stamp: i64::MIN,
    };
    let rows: Vec<Row> = (0..300).map(row).collect();
    let mut groups = RunningGroups::new(Arc::clone(&running));
    let mut parts = Vec::new();
    Router::new(running.routing(), 1).route(&batch(&schema, &rows), |_, part| parts.push(part)).expect("rows fit");
    let (mut taken, mut calls, mut changes) = (0, 0, 0);
    while taken < rows.len() {
        let applied = groups.apply(&parts[0], taken).expect("no overflow");
        assert!(applied.changes.columns.get_array_memory_size() < 64 << 20);
        taken += applied.rows;
        calls += 1;
        changes += applied.changes.rows();
    }
    assert!(calls > 5, "{calls} calls");
    assert_eq!(changes, 599);
}
