//! Every figure as JSON.

use serde_json::{Map, Value, json};

use super::Report;
use crate::cell::{Cell, Entry};
use crate::contender::DataModel;
use crate::statistics::Spread;

/// The document.
#[must_use]
pub fn text(report: &Report) -> String {
    format!("{:#}\n", value(report))
}

/// The document, as a value. What was not measured is null.
#[must_use]
pub fn value(report: &Report) -> Value {
    let Report { title, conditions, notes, cells } = report;
    let facts = conditions.facts().map(|(name, value)| (name.replace(' ', "_"), Value::from(value)));
    json!({
        "title": title,
        "conditions": Map::from_iter(facts),
        "notes": notes,
        "cells": cells.iter().map(cell).collect::<Vec<_>>(),
    })
}

fn cell(cell: &Cell) -> Value {
    let Cell { name, workload, producers, rounds, entries } = cell;
    json!({
        "name": name,
        "producers": producers,
        "keys": workload.keys,
        "distribution": workload.distribution.to_string(),
        "rows": workload.rows,
        "batch_rows": workload.batch_rows,
        "is_prefilled": workload.is_prefilled,
        "rounds": rounds,
        "entries": entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn entry(entry: &Entry) -> Value {
    let Entry { contender, rows, is_cut, rate, times_current, times_row_current, latencies, parts, predicted } = entry;
    let nanos = |(name, nanos): (&str, f64)| (name.to_owned(), Value::from(nanos));
    let parts = parts.map(|parts| parts.all().into_iter().chain([("held", parts.held)]).map(nanos));
    json!({
        "strategy": contender.name(),
        "data": match contender.model { DataModel::Columns => "columns", DataModel::Rows => "rows" },
        "metrics": contender.metrics(),
        "kernels": match contender.model {
            DataModel::Columns => Some(contender.kernels()),
            DataModel::Rows => None,
        },
        "rows": rows,
        "is_cut": is_cut,
        "rows_per_s": spread(rate),
        "times_current": times_current.as_ref().map(spread),
        "times_row_current": times_row_current.as_ref().map(spread),
        "batch_ns": {
            "count": latencies.count(),
            "p50": latencies.percentile(0.5),
            "p99": latencies.percentile(0.99),
            "p99.9": latencies.percentile(0.999),
            "max": latencies.max(),
        },
        "ns_per_row": parts.map(Map::from_iter),
        "predicted": predicted.map(|p| json!({ "rows_per_s": p.rate, "times_current": p.times_current })),
    })
}

fn spread(spread: &Spread) -> Value {
    json!({ "median": spread.median, "low": spread.low, "high": spread.high, "count": spread.count })
}
