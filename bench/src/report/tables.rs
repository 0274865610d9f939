//! The figures as tables: for a terminal, and as Markdown.

use std::fmt::Write;

use super::Report;
use super::figures::{count, duration, quartiles, times, whole};
use super::grid::Grid;
use crate::cell::{Cell, Entry};

/// Everything, for a terminal.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut text = format!("{}\n{}\n\n", report.title, report.conditions.line());
    for note in &report.notes {
        writeln!(text, "* {note}").expect("a string takes all");
    }
    for cell in &report.cells {
        write!(text, "\n{}\n\n{}", heading(cell), throughput(cell).text()).expect("a string takes all");
        if let Some(parts) = parts(cell) {
            write!(text, "\nnanoseconds of all workers for each row\n\n{}", parts.text()).expect("a string takes all");
        }
    }
    text
}

/// Everything, as Markdown to be published.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    for (name, value) in report.conditions.facts() {
        let value = if name == "command" { format!("`{value}`") } else { value };
        writeln!(text, "- {name}: {value}").expect("a string takes all");
    }
    text.push('\n');
    for note in &report.notes {
        writeln!(text, "- {note}").expect("a string takes all");
    }
    for cell in &report.cells {
        write!(text, "\n### {}\n\n{}", heading(cell), throughput(cell).markdown()).expect("a string takes all");
        if let Some(parts) = parts(cell) {
            write!(text, "\nNanoseconds of all workers for each row:\n\n{}", parts.markdown())
                .expect("a string takes all");
        }
    }
    text
}

/// What a cell is, in one line.
#[must_use]
pub fn heading(cell: &Cell) -> String {
    let Cell { name, workload, producers, rounds, .. } = cell;
    let keys = whole(u64::from(workload.keys));
    let prefilled = if workload.is_prefilled { ", all of them in the state from the start" } else { "" };
    let plural = if *producers == 1 { "" } else { "s" };
    let distribution = workload.distribution;
    format!("{name}: {producers} producer{plural}, {keys} keys {distribution}{prefilled}; {rounds} rounds")
}

fn throughput(cell: &Cell) -> Grid {
    let header = [
        "strategy",
        "metrics",
        "kernels",
        "rows/s",
        "quartiles",
        "× current",
        "quartiles",
        "× current by row",
        "rows fed",
        "batch p50",
        "p99",
        "p99.9",
        "max",
        "predicted",
        "predicted ×",
    ];
    let mut grid = Grid::new(&header, 3);
    for entry in &cell.entries {
        let Entry { contender, rate, times_current, times_row_current, latencies, predicted, .. } = entry;
        let percentile = |share| latencies.percentile(share).map_or_else(String::new, |nanos| duration(nanos as f64));
        grid.push(vec![
            contender.name(),
            contender.metrics().to_owned(),
            contender.kernels().to_owned(),
            count(rate.median),
            quartiles(rate, count),
            times_current.map_or_else(String::new, |spread| times(spread.median)),
            times_current.map_or_else(String::new, |spread| quartiles(&spread, times)),
            times_row_current.map_or_else(String::new, |spread| times(spread.median)),
            whole(entry.rows) + if entry.is_cut { " (cut)" } else { "" },
            percentile(0.5),
            percentile(0.99),
            percentile(0.999),
            latencies.max().map_or_else(String::new, |nanos| duration(nanos as f64)),
            predicted.map_or_else(String::new, |predicted| count(predicted.rate)),
            predicted.map_or_else(String::new, |predicted| times(predicted.times_current)),
        ]);
    }
    grid.without_empty_columns()
}

fn parts(cell: &Cell) -> Option<Grid> {
    let mut grid: Option<Grid> = None;
    for entry in &cell.entries {
        let Some(parts) = entry.parts else { continue };
        let names = parts.all().map(|(name, _)| name);
        let header: Vec<&str> = ["strategy", "kernels"].into_iter().chain(names).chain(["sum", "lock held"]).collect();
        let sum: f64 = parts.all().iter().map(|(_, nanos)| nanos).sum();
        let figures = parts.all().into_iter().map(|(_, nanos)| nanos).chain([sum, parts.held]);
        let names = [entry.contender.name(), entry.contender.kernels().to_owned()];
        let row = names.into_iter().chain(figures.map(|nanos| format!("{nanos:.1}"))).collect();
        grid.get_or_insert_with(|| Grid::new(&header, 2)).push(row);
    }
    grid
}
