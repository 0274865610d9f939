//! Top-N against an oracle that keeps all rows of a key in order: after every record, the changelog applied is what the oracle
//! has, and every prefix of it can be applied; whoever owns the keys and wherever batches end, each key gets the same.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use proptest::prelude::*;
use thalweg_operators::batch::{Batch, Ordinal, Ordinals, Stamps};
use thalweg_operators::changelog::{RowKind, RowKinds};
use thalweg_operators::kernels::Kernels;
use thalweg_operators::rank::{Emit, RankSpec, RankedGroups, Ranking, Ties};
use thalweg_operators::route::{Router, RowByRow};
use thalweg_operators::sort::SortKey;
use thalweg_operators::spec::KeyColumn;
use thalweg_runtime::EventTimeMs;

/// A row: the columns `k`, `n` (both keys), `a`, `b` (both orders) and `v`.
#[derive(Clone, Debug)]
struct Row {
    k: Option<String>,
    n: Option<i64>,
    a: Option<f64>,
    b: Option<String>,
    v: Option<i32>,
}

#[derive(Clone, Debug)]
struct Case {
    rows: Vec<Row>,
    keys: usize,
    /// Column, descending, NULL first.
    order: Vec<(usize, bool, bool)>,
    first: u64,
    last: u64,
    ties: Ties,
    has_number: bool,
    batch_rows: Vec<usize>,
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("k", DataType::Utf8View),
        field("n", DataType::Int64),
        field("a", DataType::Float64),
        field("b", DataType::Utf8View),
        field("v", DataType::Int32),
    ]))
}

fn batch(rows: &[Row], first: usize) -> Batch {
    let text = |cell: fn(&Row) -> &Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| cell(row).as_deref()).collect::<StringViewArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        text(|row| &row.k),
        Arc::new(rows.iter().map(|row| row.n).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.a).collect::<Float64Array>()),
        text(|row| &row.b),
        Arc::new(rows.iter().map(|row| row.v).collect::<Int32Array>()),
    ];
    Batch {
        columns: RecordBatch::try_new(schema(), columns).expect("columns of the schema"),
        ordinals: Ordinals::Run(Ordinal::of_row(first as u128)),
        stamps: Stamps::Uniform(EventTimeMs::MIN),
        kinds: RowKinds::Inserts,
    }
}

/// A row as text, exact: −0.0 is not 0.0, and NULL is not a string.
fn text(row: &Row) -> String {
    format!("{:?} {:?} {:?} {:?} {:?}", row.k, row.n, row.a.map(f64::to_bits), row.b, row.v)
}

/// Rows of a batch as text, each with its key and its number, if there is one.
fn rows_of(batch: &Batch, keys: usize, has_number: bool) -> Vec<(String, String, Option<i64>)> {
    let columns = &batch.columns;
    let some = |array: &ArrayRef, row: usize| array.is_valid(row);
    let of = |row: usize| Row {
        k: some(columns.column(0), row).then(|| columns.column(0).as_string_view().value(row).to_owned()),
        n: some(columns.column(1), row).then(|| columns.column(1).as_primitive::<Int64Type>().value(row)),
        a: some(columns.column(2), row).then(|| columns.column(2).as_primitive::<Float64Type>().value(row)),
        b: some(columns.column(3), row).then(|| columns.column(3).as_string_view().value(row).to_owned()),
        v: some(columns.column(4), row).then(|| columns.column(4).as_primitive::<Int32Type>().value(row)),
    };
    let number = |row: usize| has_number.then(|| columns.column(5).as_primitive::<Int64Type>().value(row));
    (0..batch.rows()).map(|row| (key_of(&of(row), keys), text(&of(row)), number(row))).collect()
}

fn key_of(row: &Row, keys: usize) -> String {
    [format!("{:?}", row.k), format!("{:?}", row.n)][..keys].join("|")
}

fn compare(a: &Row, b: &Row, order: &[(usize, bool, bool)]) -> Ordering {
    /// As SQL orders: NaN is the greatest, −0.0 is 0.0.
    fn double(a: f64, b: f64) -> Ordering {
        match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(&b).expect("no NaN"),
            (a, b) => a.cmp(&b),
        }
    }
    fn nullable<T>(
        a: Option<T>,
        b: Option<T>,
        descending: bool,
        nulls_first: bool,
        order: impl Fn(T, T) -> Ordering,
    ) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) if descending => order(b, a),
            (Some(a), Some(b)) => order(a, b),
            (None, None) => Ordering::Equal,
            (None, Some(_)) if nulls_first => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) if nulls_first => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
        }
    }
    let column = |&(column, descending, nulls_first): &(usize, bool, bool)| match column {
        2 => nullable(a.a, b.a, descending, nulls_first, double),
        3 => nullable(a.b.as_ref(), b.b.as_ref(), descending, nulls_first, |a, b| a.as_bytes().cmp(b.as_bytes())),
        _ => nullable(a.v, b.v, descending, nulls_first, |a, b| a.cmp(&b)),
    };
    order.iter().map(column).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

/// All rows of a key, in order.
#[derive(Default)]
struct Oracle {
    rows: BTreeMap<String, Vec<Row>>,
}

impl Oracle {
    fn take_in(&mut self, row: &Row, case: &Case) {
        let rows = self.rows.entry(key_of(row, case.keys)).or_default();
        rows.push(row.clone());
        match case.ties {
            Ties::EarlierFirst => rows.sort_by(|a, b| compare(a, b, &case.order)),
            Ties::LaterFirst => {
                // The new row goes in front of those that it ties with; the others are in order.
                let row = rows.pop().expect("a row was pushed");
                let place = rows.iter().take_while(|other| compare(other, &row, &case.order).is_lt()).count();
                rows.insert(place, row);
            }
        }
    }

    /// What the result is now: rows with numbers, in order of text.
    fn result(&self, case: &Case) -> Vec<(String, String, Option<i64>)> {
        let mut result = Vec::new();
        for (key, rows) in &self.rows {
            for (number, row) in (1_u64..).zip(rows) {
                if (case.first..=case.last).contains(&number) {
                    result.push((key.clone(), text(row), case.has_number.then_some(number as i64)));
                }
            }
        }
        result.sort();
        result
    }
}

/// A result that a changelog makes.
#[derive(Default)]
struct Applied {
    rows: Vec<(String, String, Option<i64>)>,
    /// Key and number of a row that was taken back to be replaced.
    replaced: Option<(String, Option<i64>)>,
}

impl Applied {
    fn apply(&mut self, kind: RowKind, row: (String, String, Option<i64>)) {
        let place = (row.0.clone(), row.2);
        match kind {
            RowKind::UpdateAfter => assert_eq!(self.replaced.take(), Some(place), "+U follows -U of the same number"),
            _ => assert_eq!(self.replaced, None, "-U is followed by +U"),
        }
        match kind {
            RowKind::Insert | RowKind::UpdateAfter => self.rows.push(row),
            RowKind::UpdateBefore | RowKind::Delete => {
                let held = self.rows.iter().position(|held| *held == row);
                self.rows.swap_remove(held.unwrap_or_else(|| panic!("{kind} of a row that is not there: {row:?}")));
                if kind == RowKind::UpdateBefore {
                    self.replaced = Some((row.0, row.2));
                }
            }
        }
    }

    fn result(&self) -> Vec<(String, String, Option<i64>)> {
        assert_eq!(self.replaced, None, "a record leaves no update half done");
        let mut rows = self.rows.clone();
        rows.sort();
        rows
    }
}

impl Case {
    fn ranking(&self, emit: Emit, kernels: Kernels) -> Arc<Ranking> {
        let schema = schema();
        let key = |column: usize| KeyColumn { column, data_type: schema.field(column).data_type().clone() };
        let order = |&(column, is_descending, is_nulls_first): &(usize, bool, bool)| SortKey {
            column,
            is_descending,
            is_nulls_first,
        };
        let spec = RankSpec {
            keys: (0..self.keys).map(key).collect(),
            order: self.order.iter().map(order).collect(),
            ties: self.ties,
            first: self.first,
            last: self.last,
            number: self.has_number.then(|| "rn".to_owned()),
            emit,
        };
        Arc::new(Ranking::new(spec, &schema, kernels).expect("a plan"))
    }

    /// The changelog in the order in which it comes, of `owners` owners and batches of some sizes; then what is left at the end.
    fn run(
        &self,
        ranking: &Arc<Ranking>,
        owners: usize,
        batch_rows: &[usize],
        mut take: impl FnMut(Batch),
    ) -> Vec<Batch> {
        let mut router = Router::new(ranking.routing(), owners);
        let mut groups: Vec<RankedGroups> = (0..owners).map(|_| RankedGroups::new(Arc::clone(ranking))).collect();
        let (mut next, mut step) = (0, 0);
        while next < self.rows.len() {
            let rows = batch_rows[step % batch_rows.len()].min(self.rows.len() - next);
            let mut parts = Vec::new();
            let batch = batch(&self.rows[next..next + rows], next);
            router.route(&batch, |owner, part| parts.push((owner, part))).expect("rows fit");
            for (owner, part) in parts {
                let mut taken = 0;
                while taken < part.rows() {
                    let applied = groups[owner].apply(&part, taken).expect("rows fit");
                    assert!(applied.rows > 0);
                    taken += applied.rows;
                    take(applied.changes);
                }
            }
            (next, step) = (next + rows, step + 1);
        }
        let mut last = Vec::new();
        for groups in &mut groups {
            while let Some(batch) = groups.finish().expect("rows fit") {
                last.push(batch);
            }
        }
        last
    }

    /// The changelog of each key.
    fn logs(
        &self,
        owners: usize,
        batch_rows: &[usize],
        kernels: Kernels,
    ) -> BTreeMap<String, Vec<(RowKind, String, Option<i64>)>> {
        let mut logs: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let left = self.run(&self.ranking(Emit::Changes, kernels), owners, batch_rows, |changes| {
            for (row, (key, text, number)) in rows_of(&changes, self.keys, self.has_number).into_iter().enumerate() {
                logs.entry(key).or_default().push((changes.kinds.get(row), text, number));
            }
        });
        assert!(left.is_empty(), "a changelog leaves nothing for the end");
        logs
    }
}

fn any_row() -> impl Strategy<Value = Row> {
    let k = prop_oneof![
        Just(None),
        Just(Some(String::new())),
        Just(Some("a".to_owned())),
        Just(Some("b".to_owned())),
        Just(Some("a key that does not fit into its cell".to_owned())),
    ];
    let n = prop_oneof![Just(None), (0..2_i64).prop_map(Some), Just(Some(i64::MIN))];
    let a = prop_oneof![
        Just(None),
        Just(Some(0.0)),
        Just(Some(-0.0)),
        Just(Some(f64::NAN)),
        Just(Some(-f64::NAN)),
        Just(Some(f64::NEG_INFINITY)),
        (-3..3_i32).prop_map(|value| Some(f64::from(value))),
    ];
    let b = prop_oneof![Just(None), "[ab]{0,2}".prop_map(Some), "[ab]{11,14}".prop_map(Some)];
    let v = prop_oneof![Just(None), (0..4).prop_map(Some), any::<i32>().prop_map(Some)];
    (k, n, a, b, v).prop_map(|(k, n, a, b, v)| Row { k, n, a, b, v })
}

fn any_case() -> impl Strategy<Value = Case> {
    let order = prop::collection::vec((2..5_usize, any::<bool>(), any::<bool>()), 1..3);
    let ties = prop_oneof![3 => Just(Ties::EarlierFirst), 1 => Just(Ties::LaterFirst)];
    let numbers = (prop_oneof![3 => Just(1_u64), 1 => 1..4_u64], prop_oneof![Just(0), 0..4_u64, Just(1 << 40)]);
    let rows = prop::collection::vec(any_row(), 0..60);
    (rows, 0..=2_usize, order, numbers, ties, any::<bool>(), prop::collection::vec(1..20_usize, 1..4)).prop_map(
        |(rows, keys, order, (first, more), ties, has_number, batch_rows)| {
            let (last, has_number) = (first + more, has_number);
            Case { rows, keys, order, first, last, ties, has_number, batch_rows }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_every_record_the_changelog_gives_the_first_rows(case in any_case()) {
        let (mut oracle, mut applied, mut record) = (Oracle::default(), Applied::default(), 0);
        case.run(&case.ranking(Emit::Changes, Kernels::Scalar), 1, &[1], |changes| {
            for (row, values) in rows_of(&changes, case.keys, case.has_number).into_iter().enumerate() {
                let kind = changes.kinds.get(row);
                let is_moved = case.last > 1 && (case.has_number || case.first > 1);
                match kind {
                    RowKind::Insert => {}
                    RowKind::Delete => assert!(!is_moved && case.last > 1, "-D without a row moved"),
                    _ => assert!(is_moved || case.last == 1, "{kind} where rows come and go"),
                }
                applied.apply(kind, values);
            }
            oracle.take_in(&case.rows[record], &case);
            record += 1;
            assert_eq!(applied.result(), oracle.result(&case), "after {record} records");
        });
    }

    #[test]
    fn a_key_has_one_changelog_whoever_owns_it(case in any_case()) {
        let expected = case.logs(1, &[1], Kernels::Scalar);
        for (owners, kernels) in [1, 2, 4, 7].into_iter().zip(Kernels::ALL.into_iter().cycle()) {
            prop_assert_eq!(&case.logs(owners, &case.batch_rows, kernels), &expected);
        }
    }

    #[test]
    fn the_end_gives_the_first_rows_in_whatever_order_they_come(case in any_case(), seed in any::<u64>()) {
        let mut oracle = Oracle::default();
        case.rows.iter().for_each(|row| oracle.take_in(row, &case));
        for owners in [1, 3] {
            let ranking = case.ranking(Emit::Final, Kernels::ALL[owners % 2]);
            let mut router = Router::new(ranking.routing(), owners);
            let mut groups: Vec<RankedGroups> = (0..owners).map(|_| RankedGroups::new(Arc::clone(&ranking))).collect();
            // Rows of several sources meet in any order; their ordinals say which was first.
            let mut order: Vec<usize> = (0..case.rows.len()).collect();
            order.sort_by_key(|&row| (row as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
            for row in order {
                let batch = batch(&case.rows[row..=row], row);
                router.route(&batch, |owner, part| {
                    let applied = groups[owner].apply(&part, 0).expect("rows fit");
                    assert_eq!((applied.rows, applied.changes.rows()), (1, 0));
                }).expect("rows fit");
            }
            let mut result = Vec::new();
            for groups in &mut groups {
                while let Some(batch) = groups.finish().expect("rows fit") {
                    let rows = rows_of(&batch, case.keys, case.has_number);
                    for (row, (_, found, _)) in rows.iter().enumerate() {
                        let source = usize::try_from(batch.ordinals.get(row).row).expect("the place of a row");
                        prop_assert_eq!(found, &text(&case.rows[source]));
                    }
                    result.extend(rows);
                }
            }
            result.sort();
            prop_assert_eq!(result, oracle.result(&case));
        }
    }
}

#[test]
fn what_rows_move_leaves_in_pieces() {
    let row = |v: i32| Row { k: Some("x".repeat(1_000)), n: None, a: None, b: None, v: Some(v) };
    let case = Case {
        rows: (0..400).map(row).collect(),
        keys: 1,
        order: vec![(4, true, false)],
        first: 1,
        last: 1_000,
        ties: Ties::EarlierFirst,
        has_number: true,
        batch_rows: vec![400],
    };
    let (mut calls, mut changes) = (0, 0);
    case.run(&case.ranking(Emit::Changes, Kernels::default()), 1, &[400], |batch| {
        assert!(batch.columns.get_array_memory_size() < 16 << 20);
        calls += 1;
        changes += batch.rows();
    });
    // Each row is the first, so it moves all before it.
    assert_eq!(changes, (0..400).map(|held| 2 * held + 1).sum::<usize>());
    assert!(calls > 5, "{calls} calls");
}
