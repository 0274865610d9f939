//! What a GROUP BY means, slowly: all rows in a list, each group's values in a list, one pass for each aggregate.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_operators::spec::{AggregateFunction as F, AggregateSpec, WindowKind, WindowShape};

use crate::values::Value;

/// A row of the input.
#[derive(Clone, Debug)]
pub struct Row {
    pub ordinal: u128,
    /// One for each column.
    pub values: Vec<Value>,
    /// First and last event times of its windows.
    pub windows: Vec<(i64, i64)>,
    /// The watermark before it.
    pub stamp: i64,
}

/// A result, and how far a sum of doubles may be from it.
#[derive(Clone, Debug)]
pub struct Expected {
    pub value: Value,
    pub tolerance: f64,
}

/// The window's end and, with its start, the keys to the results of all aggregates; the number of late rows.
pub type Groups = BTreeMap<(i64, String), Vec<Expected>>;

/// All windows that hold a time, found by trying.
pub fn windows_of(shape: &WindowShape, time: i64) -> Vec<(i64, i64)> {
    let WindowShape { kind, size_ms, step_ms, offset_ms } = *shape;
    let starts = |every: i64| (time - size_ms + 1..=time).filter(move |start| (start - offset_ms) % every == 0);
    match kind {
        WindowKind::Session => unreachable!("sessions are given"),
        WindowKind::Tumble => starts(size_ms).map(|start| (start, start + size_ms - 1)).collect(),
        WindowKind::Hop => starts(step_ms).map(|start| (start, start + size_ms - 1)).collect(),
        WindowKind::Cumulate => {
            let ends = |start: i64| (1..=size_ms / step_ms).map(move |steps| (start, start + steps * step_ms - 1));
            starts(size_ms).flat_map(ends).filter(|(_, last)| *last >= time).collect()
        }
    }
}

pub fn group_by(rows: &[Row], keys: &[usize], aggregates: &[AggregateSpec], scale: i32) -> (Groups, u64) {
    let mut groups: BTreeMap<(i64, String), Vec<&Row>> = BTreeMap::new();
    let mut late = 0;
    for row in rows {
        let key: Vec<String> = keys.iter().map(|&key| row.values[key].text()).collect();
        let open = row.windows.iter().filter(|(_, last)| *last > row.stamp || row.stamp == i64::MIN);
        for &(start, last) in open.clone() {
            let key = match last {
                i64::MAX => (last, key.join("|")),
                _ => (last + 1, [&[start.to_string()], &key[..]].concat().join("|")),
            };
            groups.entry(key).or_default().push(row);
        }
        late += u64::from(open.count() == 0);
    }
    let evaluate = |rows: Vec<&Row>| aggregates.iter().map(|spec| aggregate(&rows, spec, scale)).collect();
    (groups.into_iter().map(|(key, rows)| (key, evaluate(rows))).collect(), late)
}

fn aggregate(rows: &[&Row], spec: &AggregateSpec, scale: i32) -> Expected {
    let mut rows: Vec<&Row> = rows.to_vec();
    rows.sort_by_key(|row| row.ordinal);
    rows.retain(|row| spec.filter.is_none_or(|filter| row.values[filter] == Value::Integer(1)));
    let exact = |value| Expected { value, tolerance: 0.0 };
    let Some(argument) = spec.argument else {
        return exact(Value::Integer(rows.len() as i128));
    };
    let mut values: Vec<&Value> = rows.iter().map(|row| &row.values[argument]).collect();
    values.retain(|value| **value != Value::Null);
    if spec.distinct {
        let mut seen = BTreeSet::new();
        values.retain(|value| seen.insert(value.text()));
    }
    if spec.function == F::Count {
        return exact(Value::Integer(values.len() as i128));
    }
    if values.is_empty() {
        return exact(Value::Null);
    }
    let n = values.len();
    match &spec.function {
        F::Min => exact((*values.iter().fold(&values[0], |a, b| if b.is_below(a) { b } else { a })).clone()),
        F::Max => exact((*values.iter().fold(&values[0], |a, b| if a.is_below(b) { b } else { a })).clone()),
        F::FirstValue => exact(values[0].clone()),
        F::LastValue => exact(values[n - 1].clone()),
        F::ListAgg { separator } => {
            let pieces: Vec<&[u8]> = values.iter().map(|value| value.bytes()).collect();
            exact(Value::Bytes(pieces.join(separator.as_bytes())))
        }
        F::Sum | F::Avg => match values[0] {
            Value::Double(_) => {
                let (sum, size) = values.iter().fold((0.0, 0.0), |s, v| (s.0 + v.double(0), s.1 + v.double(0).abs()));
                let count = if spec.function == F::Avg { n as f64 } else { 1.0 };
                Expected { value: Value::Double(sum / count), tolerance: size / count * 1e-12 }
            }
            _ => {
                let sum: i128 = values.iter().map(|value| value.integer()).sum();
                exact(Value::Integer(match (&spec.function, scale) {
                    (F::Sum, _) => sum,
                    (_, 0) => sum / n as i128,
                    // Three more digits; away from zero from the half on.
                    _ => {
                        let (parts, n) = (sum * 1000, n as i128);
                        parts / n + if (parts % n).abs() * 2 >= n { sum.signum() } else { 0 }
                    }
                }))
            }
        },
        _ => moment(&values.iter().map(|value| value.double(scale)).collect::<Vec<_>>(), &spec.function),
    }
}

fn moment(values: &[f64], function: &F) -> Expected {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let size: f64 = values.iter().map(|value| value * value).sum();
    let divisor = if matches!(function, F::VarPop | F::StddevPop) { n } else { n - 1.0 };
    if divisor == 0.0 {
        return Expected { value: Value::Null, tolerance: 0.0 };
    }
    let is_root = matches!(function, F::StddevPop | F::StddevSamp);
    let (variance, tolerance) = (squares / divisor, size / divisor * 1e-12);
    if is_root {
        // The root of an error of the variance, at the worst place: at zero.
        Expected { value: Value::Double(variance.sqrt()), tolerance: tolerance.sqrt() }
    } else {
        Expected { value: Value::Double(variance), tolerance }
    }
}
