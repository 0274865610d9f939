//! Mini-batched running aggregates: whatever is gathered where and for how long, the changes of each mini-batch lead from the
//! result over the rows before it to the result over the rows up to its end, and each group changes once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use thalweg_operators::changelog::RowKind;
use thalweg_operators::group::{FoldScratch, GroupAggregation, MiniBatchedGroups};
use thalweg_operators::kernels::Kernels;
use thalweg_operators::spec::GroupSpec;
use thalweg_runtime::state::{Aggregation, Release};

use crate::values::{Value, values};
use crate::{Case, CloseMode, all_aggregates, any_case, batch, is_same, oracle};

/// The result as the changelog has left it.
#[derive(Default)]
struct Net {
    groups: BTreeMap<String, Vec<Value>>,
}

impl Net {
    /// Applies all changes that an owner has, a few groups at a time, and checks that they are valid.
    fn take(&mut self, owner: &mut MiniBatchedGroups, keys: usize, groups_max: usize) -> Result<(), TestCaseError> {
        let mut seen = BTreeSet::new();
        while let Some(changes) = owner.next_changes(groups_max).expect("no overflow") {
            prop_assert!(changes.rows() > 0 && changes.rows() <= 2 * groups_max);
            let columns: Vec<Vec<Value>> = changes.columns.columns().iter().map(values).collect();
            let mut open: Option<(String, Vec<Value>)> = None;
            for row in 0..changes.rows() {
                let key: Vec<String> = columns[..keys].iter().map(|column| column[row].text()).collect();
                let (key, kind) = (key.join("|"), changes.kinds.get(row));
                let result: Vec<Value> = columns[keys..].iter().map(|column| column[row].clone()).collect();
                match (kind, open.take()) {
                    (RowKind::Insert, None) => {
                        prop_assert!(seen.insert(key.clone()), "{} changes twice", key);
                        prop_assert!(self.groups.insert(key.clone(), result).is_none(), "{} was there", key);
                    }
                    (RowKind::UpdateBefore, None) => {
                        prop_assert!(seen.insert(key.clone()), "{} changes twice", key);
                        let known = self.groups.get(&key).map(|known| texts(known));
                        prop_assert_eq!(known, Some(texts(&result)), "what is taken back is what was given");
                        open = Some((key, result));
                    }
                    (RowKind::UpdateAfter, Some((of, before))) => {
                        prop_assert_eq!(&of, &key);
                        prop_assert_ne!(texts(&before), texts(&result), "nothing changes");
                        self.groups.insert(key, result);
                    }
                    (kind, open) => prop_assert!(false, "{} of {} after {:?}", kind, key, open),
                }
            }
            prop_assert!(open.is_none(), "an update is in one batch");
        }
        Ok(())
    }
}

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().map(Value::text).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mini_batches_lead_from_result_to_result(case in any_case(), choice in any::<u64>(), few in any::<u64>()) {
        let case = Case { window: None, mode: CloseMode::WhenPassed, ..case };
        let (rows, schema, keys) = (case.rows(), case.schema(), case.key_types.len());
        // Mostly few aggregates, so that groups that do not change are met.
        let choice = if choice.is_multiple_of(4) { choice } else { choice & few & few.rotate_left(9) };
        let all = all_aggregates(&case.argument_type).into_iter().enumerate();
        let aggregates: Vec<_> = all.filter(|(index, _)| choice >> (index % 64) & 1 != 0).map(|(_, spec)| spec).collect();
        let spec = GroupSpec { aggregates: aggregates.clone(), ..case.spec() };
        let kernels = Kernels::ALL[case.workers % 2];
        let aggregation = GroupAggregation::new(Arc::new(spec), &schema, case.mode, kernels).expect("a plan");
        let aggregation = Arc::new(aggregation);
        let mut owners: Vec<_> = (0..case.workers).map(|_| MiniBatchedGroups::new(Arc::clone(&aggregation))).collect();
        let mut folds: Vec<_> = (0..case.workers).map(|_| aggregation.shard()).collect();
        let (mut scratch, mut net, mut next) = (FoldScratch::default(), Net::default(), 0);
        let mut steps = case.steps.iter().cycle();
        while next < rows.len() {
            let step = steps.next().expect("a cycle");
            let end = rows.len().min(next + step.rows);
            let batch = batch(&schema, &rows[next..end]);
            next = end;
            let mut parts = Vec::new();
            if step.rotation.is_multiple_of(3) {
                parts.extend(aggregation.divide(&batch, case.workers, &mut scratch).expect("rows fit").1);
            } else {
                aggregation.fold(&mut folds[step.worker % case.workers], &batch, &mut scratch).expect("rows fit");
            }
            let is_whole = step.advances || next == rows.len();
            for (worker, fold) in folds.iter_mut().enumerate() {
                if is_whole || step.flushes && worker == step.worker % case.workers {
                    parts.extend(aggregation.split(fold, Release::All, case.workers));
                }
            }
            let middle = step.rotation % parts.len().max(1);
            parts.rotate_left(middle);
            for (owner, partials) in parts {
                owners[owner].merge(partials).expect("few groups");
                if step.flushes {
                    net.take(&mut owners[owner], keys, 1 + step.rotation)?;
                }
            }
            if is_whole {
                owners.iter_mut().try_for_each(|owner| net.take(owner, keys, 1 + step.worker))?;
                let by: Vec<usize> = (0..keys).collect();
                let (expected, _) = oracle::group_by(&rows[..next], &by, &aggregates, case.scale());
                let expected: BTreeMap<&str, _> = expected.iter().map(|((_, key), results)| (&**key, results)).collect();
                prop_assert_eq!(
                    net.groups.keys().map(String::as_str).collect::<Vec<_>>(),
                    expected.keys().copied().collect::<Vec<_>>()
                );
                for (key, want) in expected {
                    for ((got, want), spec) in net.groups[key].iter().zip(want).zip(&aggregates) {
                        let is_same = is_same(got, want, &spec.output_type);
                        prop_assert!(is_same, "{} of {}: {:?}, expected {:?}", spec.name, key, got, want);
                    }
                }
            }
        }
    }
}
