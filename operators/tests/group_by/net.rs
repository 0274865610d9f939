//! Running aggregates over a changelog: rows come and are taken back, and after each of them a group is what the oracle makes
//! of the rows that are left.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::DataType;
use proptest::prelude::*;
use thalweg_operators::batch::Batch;
use thalweg_operators::changelog::{RowKind, RowKinds};
use thalweg_operators::kernels::Kernels;
use thalweg_operators::route::{Routed, Router, RowByRow};
use thalweg_operators::running::{RunningAggregation, RunningGroups};
use thalweg_operators::spec::{AggregateFunction as F, AggregateSpec, GroupSpec};

use crate::oracle::{Expected, Row};
use crate::running::{Change, is_near, results, some_aggregates, take};
use crate::values::Value;
use crate::{Case, any_case, batch};

/// A changelog of rows: those of the case, and some of them taken back later. `choices` say which; the largest ones take back
/// a row of a group that has none.
fn changelog(rows: &[Row], keys: usize, choices: &[u16]) -> Vec<(RowKind, Row)> {
    let (mut log, mut left): (Vec<(RowKind, Row)>, Vec<Row>) = (Vec::new(), Vec::new());
    for (index, row) in rows.iter().enumerate() {
        let choice = usize::from(choices[index % choices.len()]);
        let is_absent = !left.iter().any(|other| key(other, keys) == key(row, keys));
        if choice > 60_000 && is_absent {
            log.push((RowKind::Delete, row.clone()));
        }
        log.push((if choice % 5 == 0 { RowKind::UpdateAfter } else { RowKind::Insert }, row.clone()));
        left.push(row.clone());
        for _ in 0..choice % 4 {
            if !left.is_empty() {
                let back = left.remove((choice / 4) % left.len());
                log.push((if choice % 3 == 0 { RowKind::Delete } else { RowKind::UpdateBefore }, back));
            }
        }
    }
    log
}

fn key(row: &Row, keys: usize) -> String {
    row.values[..keys].iter().map(Value::text).collect::<Vec<_>>().join("|")
}

/// The rows that one aggregate still has: taking back strikes out the earliest row that is the same to it. Of DISTINCT values
/// the earliest stays in its place as long as one like it is there.
fn left_for(spec: &AggregateSpec, log: &[(bool, Row)]) -> Vec<Row> {
    let same = |row: &Row| {
        let of = |column: Option<usize>| column.map(|column| row.values[column].text());
        (of(spec.argument), of(spec.filter))
    };
    let mut left: Vec<Row> = Vec::new();
    for (is_back, row) in log {
        if !is_back {
            left.push(row.clone());
            continue;
        }
        let mut alike = left.iter().enumerate().filter(|(_, other)| same(other) == same(row)).map(|(index, _)| index);
        let place = if spec.distinct { alike.next_back() } else { alike.next() };
        left.remove(place.expect("only what is there is taken back"));
    }
    left
}

/// The result with what squares of twice a double's digits may lose: a part of the greatest ones that ever came.
fn near(result: Expected, spec: &AggregateSpec, log: &[(bool, Row)], scale: i32) -> Expected {
    let square = |(_, row): &(bool, Row)| match &row.values[spec.argument.unwrap_or_default()] {
        Value::Null => 0.0,
        value => value.double(scale).powi(2),
    };
    let lost = || log.iter().map(square).filter(|square| square.is_finite()).sum::<f64>() * 1e-28;
    let more = match spec.function {
        F::VarPop | F::VarSamp => lost(),
        F::StddevPop | F::StddevSamp => lost().sqrt(),
        _ => 0.0,
    };
    Expected { tolerance: result.tolerance + more, ..result }
}

type Log = BTreeMap<String, Vec<(RowKind, Vec<Expected>)>>;

fn expected(log: &[(RowKind, Row)], keys: usize, aggregates: &[AggregateSpec], scale: i32) -> Log {
    let mut groups: BTreeMap<String, Vec<(bool, Row)>> = BTreeMap::new();
    let mut changes: Log = BTreeMap::new();
    let all: Vec<usize> = (0..keys).collect();
    let values = |log: &[(bool, Row)]| -> Option<Vec<Expected>> {
        let rows = |(is_back, _): &(bool, Row)| if *is_back { -1 } else { 1 };
        if log.iter().map(rows).sum::<i32>() == 0 {
            return None;
        }
        let one = |spec: &AggregateSpec| {
            let rows = left_for(spec, log);
            let result = results(&rows, &all, std::slice::from_ref(spec), scale).expect("a group").remove(0);
            near(result, spec, log, scale)
        };
        Some(aggregates.iter().map(one).collect())
    };
    for (ordinal, (kind, row)) in log.iter().enumerate() {
        let known = groups.entry(key(row, keys)).or_default();
        let before = values(known);
        if kind.takes_back() && before.is_none() {
            continue;
        }
        let windows = vec![(i64::MIN, i64::MAX)];
        known.push((kind.takes_back(), Row { ordinal: ordinal as u128, windows, stamp: i64::MIN, ..row.clone() }));
        let after = values(known);
        if after.is_none() {
            known.clear();
        }
        let log = changes.entry(key(row, keys)).or_default();
        match (before, after) {
            (None, Some(after)) => log.push((RowKind::Insert, after)),
            (Some(before), None) => log.push((RowKind::Delete, before)),
            (Some(before), Some(after)) => {
                let is_same = |(a, b): (&Expected, &Expected)| a.value.text() == b.value.text();
                if !before.iter().zip(&after).all(is_same) {
                    log.push((RowKind::UpdateBefore, before));
                    log.push((RowKind::UpdateAfter, after));
                }
            }
            (None, None) => {}
        }
    }
    changes
}

fn run(case: &Case, log: &[(RowKind, Row)], spec: GroupSpec, owners: usize) -> BTreeMap<String, Vec<Change>> {
    let (schema, keys) = (case.schema(), spec.keys.len());
    let running = RunningAggregation::over_changes(Arc::new(spec), &schema, Kernels::ALL[owners % 2]).expect("a plan");
    let running = Arc::new(running);
    let mut router = Router::new(running.routing(), owners);
    let mut groups: Vec<RunningGroups> = (0..owners).map(|_| RunningGroups::new(Arc::clone(&running))).collect();
    let mut logs: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    let (mut rest, mut step) = (log, 0);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(case.steps[step % case.steps.len()].rows.min(rest.len()));
        (rest, step) = (later, step + 1);
        let rows: Vec<Row> = now.iter().map(|(_, row)| row.clone()).collect();
        let kinds = RowKinds::Each(now.iter().map(|(kind, _)| *kind).collect());
        let mut routed: Vec<(usize, Routed)> = Vec::new();
        let batch = Batch { kinds, ..batch(&schema, &rows) };
        router.route(&batch, |owner, part| routed.push((owner, part))).expect("rows fit");
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_are_what_is_left_of_their_rows(
        case in any_case(),
        choice in any::<u64>(),
        few in any::<u64>(),
        choices in proptest::collection::vec(any::<u16>(), 1..40),
    ) {
        let case = Case { window: None, ..case };
        let log = changelog(&case.rows(), case.key_types.len(), &choices);
        let chosen = if choice.is_multiple_of(4) { choice } else { choice & few & few.rotate_left(9) };
        let mut aggregates = some_aggregates(&case, chosen);
        if matches!(case.argument_type, DataType::Float32 | DataType::Float64) {
            // Whether a sum of doubles has changed is a matter of its last digit.
            aggregates.extend(some_aggregates(&case, u64::MAX).into_iter().find(|spec| spec.argument.is_none()));
        }
        let expected = expected(&log, case.key_types.len(), &aggregates, case.scale());
        for owners in [1, 3] {
            let spec = GroupSpec { aggregates: aggregates.clone(), ..case.spec() };
            let found = run(&case, &log, spec, owners);
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
