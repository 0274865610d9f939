use std::collections::BTreeMap;

use proptest::prelude::*;
use thalweg_runtime::state::{Aggregation, Folded, Release};

use super::*;

const KEYS: [&str; 3] = ["a", "b", "a:1|"];

/// Key, price, quantity (NULL if negative), time.
type Trade = (usize, i64, i64, i64);

fn aggregation() -> RowAggregation {
    RowAggregation::new(vec!["k".to_owned()], seed_query(), "trade_time".to_owned(), 100)
}

fn batch(trades: &[Trade], stamp: i64) -> RowBatch {
    let record = |&(key, price, quantity, time): &Trade| {
        Record::from([
            ("k".to_owned(), Value::String(KEYS[key].to_owned())),
            ("price".to_owned(), Value::Float(price as f64)),
            ("quantity".to_owned(), if quantity < 0 { Value::Null } else { Value::Integer(quantity) }),
            ("trade_time".to_owned(), Value::Timestamp(time - 7)),
        ])
    };
    let records = Arc::new(trades.iter().map(record).collect());
    RowBatch { records, rows: 0..trades.len(), shift_ms: 7, stamp: EventTimeMs(stamp) }
}

/// Rows by window and key: count, average, quantity, turnover.
type Totals = BTreeMap<(i64, String), (Value, Value, Value, Value)>;

fn totals(records: &[Record]) -> Totals {
    let row = |record: &Record| {
        let get = |name: &str| record[name].clone();
        let Value::Timestamp(window) = record["window_start"] else { panic!("{record:?}") };
        ((window, record["k"].to_string()), (get("count"), get("average_price"), get("quantity"), get("turnover")))
    };
    let totals: Totals = records.iter().map(row).collect();
    assert_eq!(totals.len(), records.len(), "a group comes once");
    totals
}

fn naive(trades: &[Trade], stamp: i64) -> (Totals, u64) {
    let mut totals = Totals::new();
    let window = |time: i64| time.div_euclid(100) * 100;
    let (on_time, late): (Vec<_>, Vec<_>) = trades.iter().partition(|trade| window(trade.3) + 99 > stamp);
    for &(key, _, _, time) in &on_time {
        let rows = || on_time.iter().filter(|other| other.0 == key && window(other.3) == window(time));
        let valid = || rows().filter(|trade| trade.2 >= 0);
        let count = rows().count() as i64;
        let price: i64 = rows().map(|trade| trade.1).sum();
        let (quantity, turnover) = if valid().count() == 0 {
            (Value::Null, Value::Null)
        } else {
            let turnover: i64 = valid().map(|trade| trade.1 * trade.2).sum();
            (Value::Integer(valid().map(|trade| trade.2).sum()), Value::Float(turnover as f64))
        };
        let row = (Value::Integer(count), Value::Float(price as f64 / count as f64), quantity, turnover);
        totals.insert((window(time), KEYS[key].to_owned()), row);
    }
    (totals, late.len() as u64)
}

fn fold(aggregation: &RowAggregation, trades: &[Trade], stamp: i64) -> (RowShard, Folded) {
    let mut shard = aggregation.shard();
    let folded = aggregation.fold(&mut shard, &batch(trades, stamp), &mut ()).expect("the records are whole");
    (shard, folded)
}

fn any_trades() -> impl Strategy<Value = Vec<Trade>> {
    proptest::collection::vec((0..KEYS.len(), 1..1_000i64, -1..50i64, -250..250i64), 0..60)
}

proptest! {
    #[test]
    fn records_add_up_to_what_a_naive_sum_says(trades in any_trades(), stamp in -300..300i64) {
        let aggregation = aggregation();
        let (shard, folded) = fold(&aggregation, &trades, stamp);
        let (expected, late) = naive(&trades, stamp);
        prop_assert_eq!(totals(&aggregation.scan(&shard).unwrap()), expected);
        prop_assert_eq!(folded, Folded { folded: trades.len() as u64 - late, late });
    }

    /// However rows are divided, by rows, by owners or by keys: what is merged is what is folded in one go.
    #[test]
    fn splitting_and_merging_is_folding(trades in any_trades(), cut in 0..60usize, parts in 1..5usize) {
        let aggregation = aggregation();
        let (whole, _) = fold(&aggregation, &trades, i64::MIN);
        let expected = totals(&aggregation.scan(&whole).unwrap());
        let (left, right) = trades.split_at(cut.min(trades.len()));
        let mut owners: Vec<RowShard> = (0..parts).map(|_| aggregation.shard()).collect();
        let mut one = aggregation.shard();
        for trades in [left, right] {
            let (shard, _) = fold(&aggregation, trades, i64::MIN);
            for (part, partial) in aggregation.split(&mut shard.clone(), Release::All, parts) {
                aggregation.merge(&mut owners[part], partial).unwrap();
            }
            for (_, partial) in aggregation.split_keys(&mut shard.clone()) {
                aggregation.merge(&mut one, partial).unwrap();
            }
        }
        let scan = |shard: &RowShard| aggregation.scan(shard).unwrap();
        prop_assert_eq!(totals(&owners.iter().flat_map(scan).collect::<Vec<_>>()), expected.clone());
        prop_assert_eq!(totals(&scan(&one)), expected.clone());
        let closed = aggregation.close(&mut one, EventTimeMs::END);
        let records: Vec<Record> = closed.iter().flat_map(|closed| aggregation.records(closed).unwrap()).collect();
        prop_assert_eq!(totals(&records), expected);
        prop_assert_eq!(aggregation.groups(&one), 0);
    }
}

#[test]
fn a_closed_window_takes_no_group_and_a_clone_is_independent() {
    let aggregation = aggregation();
    let (mut shard, _) = fold(&aggregation, &[(0, 5, 1, 10), (0, 5, 1, 110)], i64::MIN);
    let mut clone = shard.clone();
    assert_eq!(aggregation.close(&mut shard, EventTimeMs(99)).len(), 1);
    assert_eq!((aggregation.groups(&shard), aggregation.groups(&clone)), (1, 2));
    let (_, partial) = aggregation.split(&mut clone, Release::ClosedBy(EventTimeMs(99)), 1).remove(0);
    assert_eq!(aggregation.merge(&mut shard, partial), Err(RowError::ClosedWindow(0)));
    assert_eq!(aggregation.lookup(&shard, &[Value::String("a".to_owned())]).unwrap().len(), 1);
    assert!(aggregation.lookup(&shard, &[Value::String("b".to_owned())]).unwrap().is_empty());
}

#[test]
fn what_is_no_number_is_an_error_and_not_a_panic() {
    let aggregation = aggregation();
    let mut wrong = batch(&[(0, 5, 1, 10)], i64::MIN);
    let mut record = wrong.records[0].clone();
    record.insert("price".to_owned(), Value::Boolean(true));
    wrong.records = Arc::new(vec![record]);
    let error = aggregation.fold(&mut aggregation.shard(), &wrong, &mut ()).unwrap_err();
    assert_eq!(error, RowError::NotNumbers(Value::Boolean(true), Value::Integer(1)));
    wrong.records = Arc::new(vec![Record::new()]);
    assert_eq!(aggregation.fold(&mut aggregation.shard(), &wrong, &mut ()), Err(RowError::NoTime));
}
