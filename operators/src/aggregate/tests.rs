//! Vector kernels against the scalar ones, word for word.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;

use super::{Layout, UpdateScratch, merge, update};
use crate::batch::{Ordinal, Ordinals};
use crate::kernels::Kernels;
use crate::key::{ColumnBytes, PackedKeys};
use crate::spec::{AggregateFunction as F, AggregateSpec, GroupSpec, KeyColumn};
use crate::table::Fresh;
use crate::table::{GroupTable, Keys};

const DECIMAL: DataType = DataType::Decimal128(38, 2);
const FILTER: usize = 5;

/// One row: key, then what the columns hold.
#[derive(Clone, Debug)]
struct Row {
    key: i64,
    integer: Option<i64>,
    double: Option<f64>,
    decimal: Option<i128>,
    never_null: i32,
    filter: Option<bool>,
}

#[derive(Clone, Debug)]
struct Case {
    /// Indices into [`calls`], and whether the call has a filter.
    calls: Vec<(usize, bool)>,
    keys: usize,
    batches: Vec<Vec<Row>>,
}

/// Function, argument and its type, type of the result.
fn calls() -> Vec<(F, Option<usize>, DataType, DataType)> {
    let (i32, i64, f64) = (DataType::Int32, DataType::Int64, DataType::Float64);
    vec![
        (F::Count, None, DataType::Null, i64.clone()),
        (F::Count, Some(1), i64.clone(), i64.clone()),
        (F::Sum, Some(1), i64.clone(), i64.clone()),
        (F::Min, Some(1), i64.clone(), i64.clone()),
        (F::Max, Some(1), i64.clone(), i64.clone()),
        (F::Sum, Some(2), f64.clone(), f64.clone()),
        (F::Min, Some(2), f64.clone(), f64.clone()),
        (F::Max, Some(2), f64.clone(), f64.clone()),
        (F::VarPop, Some(2), f64.clone(), f64.clone()),
        (F::Sum, Some(3), DECIMAL, DECIMAL),
        (F::Max, Some(3), DECIMAL, DECIMAL),
        (F::Sum, Some(4), i32.clone(), i64),
        (F::Min, Some(4), i32.clone(), i32),
    ]
}

fn any_row() -> impl Strategy<Value = Row> {
    let integer = prop_oneof![
        3 => -100..100_i64,
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(i64::MAX / 2 + 1), Just(i64::MIN / 2 - 1)]
    ];
    let double = prop_oneof![
        4 => -1e3..1e3_f64,
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(1e300), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::NAN)]
    ];
    let greatest = 10_i128.pow(38) - 1;
    let decimal = prop_oneof![3 => -100..100_i128, 1 => prop_oneof![Just(greatest), Just(-greatest), Just(1 << 64)]];
    (
        prop_oneof![0..3_i64, 0..50_i64],
        proptest::option::weighted(0.9, integer),
        proptest::option::weighted(0.9, double),
        proptest::option::weighted(0.9, decimal),
        any::<i32>(),
        proptest::option::weighted(0.9, any::<bool>()),
    )
        .prop_map(|(key, integer, double, decimal, never_null, filter)| Row {
            key,
            integer,
            double,
            decimal,
            never_null,
            filter,
        })
}

fn any_case() -> impl Strategy<Value = Case> {
    let calls = proptest::collection::vec((0..calls().len(), any::<bool>()), 0..9);
    let batches = proptest::collection::vec(proptest::collection::vec(any_row(), 1..80), 1..5);
    (calls, 0..4_usize, batches, any::<bool>()).prop_map(|(calls, keys, mut batches, has_nulls)| {
        if !has_nulls {
            for row in batches.iter_mut().flatten() {
                row.integer = row.integer.or(Some(7));
                row.double = row.double.or(Some(-0.0));
                row.decimal = row.decimal.or(Some(7));
                row.filter = Some(true);
            }
        }
        Case { calls, keys, batches }
    })
}

impl Case {
    fn schema() -> Arc<Schema> {
        let field = |name, data_type, is_nullable| Field::new(name, data_type, is_nullable);
        Arc::new(Schema::new(vec![
            field("key", DataType::Int64, false),
            field("integer", DataType::Int64, true),
            field("double", DataType::Float64, true),
            field("decimal", DECIMAL, true),
            field("never_null", DataType::Int32, false),
            field("filter", DataType::Boolean, true),
        ]))
    }

    fn spec(&self) -> GroupSpec {
        let call = |&(index, is_filtered): &(usize, bool)| {
            let (function, argument, input_type, output_type) = calls()[index].clone();
            let (filter, name) = (is_filtered.then_some(FILTER), format!("{function:?}"));
            AggregateSpec { function, argument, input_type, filter, distinct: false, output_type, name }
        };
        GroupSpec {
            keys: (0..self.keys).map(|_| KeyColumn { column: 0, data_type: DataType::Int64 }).collect(),
            aggregates: self.calls.iter().map(call).collect(),
            window: None,
            is_global: false,
        }
    }

    fn batch(rows: &[Row]) -> RecordBatch {
        let decimals: Decimal128Array = rows.iter().map(|row| row.decimal).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|row| Some(row.key)).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.integer).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.double).collect::<Float64Array>()),
            Arc::new(decimals.with_precision_and_scale(38, 2).expect("DECIMAL(38, 2)")),
            Arc::new(rows.iter().map(|row| Some(row.never_null)).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|row| row.filter).collect::<BooleanArray>()),
        ];
        RecordBatch::try_new(Self::schema(), columns).expect("columns of the schema")
    }

    /// The table of all batches, and one that took in the groups of it after each batch.
    fn run(&self, kernels: Kernels) -> [GroupTable; 2] {
        let layout = Layout::new(&self.spec(), &Self::schema(), kernels).expect("a plan");
        let (mut table, mut merged, mut fresh) = (layout.table(), layout.table(), Fresh::default());
        let mut from_empty = layout.table();
        let (mut packed, mut ids, mut scratch) = (PackedKeys::default(), Vec::new(), UpdateScratch::default());
        let ordinals = Ordinals::Run(Ordinal::of_row(0));
        for batch in self.batches.iter().map(|rows| Self::batch(rows)) {
            let columns: Vec<&ArrayRef> = (0..self.keys).map(|_| batch.column(0)).collect();
            packed.pack(&columns, batch.num_rows(), kernels).expect("a key");
            let stride = self.keys * 2;
            let keys = Keys { cells: &packed.cells, stride, hashes: &packed.hashes, long: None::<ColumnBytes<'_>> };
            table.assign(&keys, &mut ids).expect("few groups");
            update(&layout, table.words_mut(), &mut [], (&batch, &ordinals), &ids, &mut scratch)
                .expect("columns as planned");

            let (cells, stride) = (table.rows(), table.stride());
            let keys = Keys { cells, stride, hashes: table.hashes(), long: None::<ColumnBytes<'_>> };
            merged.assign_rows(&keys, &mut ids, &mut fresh).expect("few groups");
            merge(&layout, &mut merged.words_mut(), table.words(), &ids, &fresh);

            // The same into groups that begin empty.
            let keys = Keys { cells, stride, hashes: table.hashes(), long: None::<ColumnBytes<'_>> };
            from_empty.assign(&keys, &mut ids).expect("few groups");
            merge(&layout, &mut from_empty.words_mut(), table.words(), &ids, &Fresh::default());
            assert!(is_same(merged.rows(), from_empty.rows()), "{:?}\n{:?}", merged.rows(), from_empty.rows());
            assert_eq!(merged.words().cold, from_empty.words().cold);
        }
        [table, merged]
    }
}

/// Infinities of both signs make a NaN, and which of two NaNs a sum is, is not said.
fn is_same(a: &[u64], b: &[u64]) -> bool {
    let is_nan = |word: u64| f64::from_bits(word).is_nan();
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| a == b || (is_nan(a) && is_nan(b)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_of_groups_do_not_depend_on_the_kernels(case in any_case()) {
        let [scalar, scalar_merged] = case.run(Kernels::Scalar);
        let [simd, simd_merged] = case.run(Kernels::Simd);
        prop_assert_eq!(scalar.hashes(), simd.hashes());
        prop_assert!(is_same(scalar.rows(), simd.rows()), "{:?}\n{:?}", scalar.rows(), simd.rows());
        prop_assert!(is_same(scalar_merged.rows(), simd_merged.rows()), "merged");
        prop_assert_eq!(scalar.words().cold, simd.words().cold);
        prop_assert_eq!(scalar_merged.words().cold, simd_merged.words().cold);
    }
}
