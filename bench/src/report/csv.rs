//! Every figure as comma-separated values: one line for each contender of each cell.

use super::Report;
use crate::cell::{Cell, Entry};
use crate::contender::DataModel;
use crate::statistics::Spread;

/// The lines, behind a header. What was not measured is empty.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut lines = Vec::new();
    for cell in &report.cells {
        for entry in &cell.entries {
            let fields = fields(cell, entry);
            if lines.is_empty() {
                lines.push(fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(","));
            }
            lines.push(fields.iter().map(|(_, value)| quoted(value)).collect::<Vec<_>>().join(","));
        }
    }
    lines.join("\n") + "\n"
}

fn fields(cell: &Cell, entry: &Entry) -> Vec<(String, String)> {
    let Entry { contender, rows, is_cut, rate, times_current, times_row_current, latencies, parts, predicted } = entry;
    let model = match contender.model {
        DataModel::Columns => "columns",
        DataModel::Rows => "rows",
    };
    let mut fields = Vec::new();
    let mut add = |name: &str, value: String| fields.push((name.to_owned(), value));
    add("cell", cell.name.clone());
    add("producers", cell.producers.to_string());
    add("keys", cell.workload.keys.to_string());
    add("distribution", cell.workload.distribution.to_string());
    add("repetition_rows", cell.workload.rows.to_string());
    add("rounds", cell.rounds.to_string());
    add("strategy", contender.name());
    add("data", model.to_owned());
    add("metrics", contender.metrics().to_owned());
    add("kernels", contender.kernels().to_owned());
    add("rows", rows.to_string());
    add("is_cut", is_cut.to_string());
    let spreads =
        [("rows_per_s", Some(*rate)), ("times_current", *times_current), ("times_row_current", *times_row_current)];
    for (name, spread) in spreads {
        let of =
            |figure: fn(&Spread) -> f64| spread.as_ref().map_or_else(String::new, |spread| figure(spread).to_string());
        add(name, of(|spread| spread.median));
        add(&format!("{name}_low"), of(|spread| spread.low));
        add(&format!("{name}_high"), of(|spread| spread.high));
    }
    add("batches", latencies.count().to_string());
    for (name, nanos) in [
        ("batch_p50_ns", latencies.percentile(0.5)),
        ("batch_p99_ns", latencies.percentile(0.99)),
        ("batch_p999_ns", latencies.percentile(0.999)),
        ("batch_max_ns", latencies.max()),
    ] {
        add(name, nanos.map_or_else(String::new, |nanos| nanos.to_string()));
    }
    let values = parts.unwrap_or_default();
    for (name, nanos) in values.all().into_iter().chain([("held", values.held)]) {
        add(&format!("{name}_ns_per_row"), parts.map_or_else(String::new, |_| nanos.to_string()));
    }
    add("predicted_rows_per_s", predicted.map_or_else(String::new, |predicted| predicted.rate.to_string()));
    add("predicted_times_current", predicted.map_or_else(String::new, |predicted| predicted.times_current.to_string()));
    fields
}

fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\n']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.to_owned() }
}
