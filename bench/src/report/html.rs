//! One page with everything in it: charts, figures, conditions. It asks the network for nothing and runs no script.

use std::fmt::Write;

use super::chart::{Bar, Group, Piece, Scale, bars, escaped};
use super::figures::{count, times};
use super::{Report, json, tables};
use crate::cell::{Cell, Entry};
use crate::contender::{Contender, DataModel};

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let title = escaped(&report.title);
    let mut body = format!("<h1>{title}</h1>\n<dl>\n");
    for (name, value) in report.conditions.facts() {
        writeln!(body, "<dt>{name}</dt><dd>{}</dd>", escaped(&value)).expect("a string takes all");
    }
    body.push_str("</dl>\n<ul>\n");
    for note in &report.notes {
        writeln!(body, "<li>{}</li>", escaped(note)).expect("a string takes all");
    }
    body.push_str("</ul>\n");
    report.cells.iter().for_each(|cell| body.push_str(&section(cell)));
    // Data, not a script: whoever has the page has the figures. `<` would end the element.
    let figures = json::text(report).replace('<', "\\u003c");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{body}\
         <script type=\"application/json\" id=\"figures\">\n{figures}</script>\n</body>\n</html>\n"
    )
}

fn section(cell: &Cell) -> String {
    let heading = escaped(&tables::heading(cell));
    let mut section = format!("<section>\n<h2>{heading}</h2>\n<h3>Throughput, rows/s</h3>\n");
    section.push_str(&throughput(cell));
    if cell.entries.iter().any(|entry| entry.parts.is_some()) {
        section.push_str("<h3>Where the time goes, nanoseconds of all workers for each row</h3>\n");
        section.push_str(&legend(&PARTS.map(|(name, _)| name)));
        section.push_str(&parts(cell));
    }
    if cell.entries.iter().any(|entry| entry.predicted.is_some()) {
        section.push_str("<h3>Predicted against measured, × current (logarithmic)</h3>\n");
        section.push_str(&legend(&["predicted", "measured", "by-row"]));
        section.push_str(&prediction(cell));
    }
    section.push_str("</section>\n");
    section
}

fn throughput(cell: &Cell) -> String {
    let group = |entry: &Entry| {
        let Entry { contender, rate, .. } = entry;
        let class = if contender.model == DataModel::Rows { "by-row" } else { "rate" };
        let title = format!("{} rows/s, quartiles {}–{}", count(rate.median), count(rate.low), count(rate.high));
        let current = entry.times_current.map_or_else(String::new, |ratio| format!(" · {} ×", times(ratio.median)));
        let cut = if entry.is_cut { " (cut)" } else { "" };
        let text = format!("{}{current}{cut}", count(rate.median));
        let pieces = vec![Piece { class, value: rate.median, title }];
        Group { label: label(cell, contender), bars: vec![Bar { text, pieces }] }
    };
    bars("Throughput", &cell.entries.iter().map(group).collect::<Vec<_>>(), Scale::Linear)
}

fn parts(cell: &Cell) -> String {
    let mut groups = Vec::new();
    for entry in &cell.entries {
        let Some(parts) = entry.parts else { continue };
        let sum: f64 = parts.all().iter().map(|(_, nanos)| nanos).sum();
        let piece = |((name, nanos), (_, class)): ((&str, f64), (&str, &'static str))| Piece {
            class,
            value: nanos,
            title: format!("{name}: {nanos:.1} ns, {:.0} %", nanos / sum * 100.0),
        };
        let pieces = parts.all().into_iter().zip(PARTS).map(piece).collect();
        let text = format!("{sum:.1} ns, lock held {:.1}", parts.held);
        groups.push(Group { label: label(cell, &entry.contender), bars: vec![Bar { text, pieces }] });
    }
    bars("Where the time goes", &groups, Scale::Linear)
}

fn prediction(cell: &Cell) -> String {
    let mut groups = Vec::new();
    for entry in &cell.entries {
        let Some(predicted) = entry.predicted else { continue };
        let bar = |class: &'static str, value: f64, of: &str| Bar {
            text: format!("{} ×", times(value)),
            pieces: vec![Piece { class, value, title: format!("{class}: {} × {of}", times(value)) }],
        };
        let mut bars = vec![bar("predicted", predicted.times_current, "current")];
        bars.extend(entry.times_current.map(|ratio| bar("measured", ratio.median, "clone-swap over the same columns")));
        bars.extend(entry.times_row_current.map(|ratio| bar("by-row", ratio.median, "clone-swap, row at a time")));
        groups.push(Group { label: label(cell, &entry.contender), bars });
    }
    bars("Predicted against measured", &groups, Scale::Logarithmic(0.1))
}

/// A contender's name; with its metrics and its kernels where the cell has several.
fn label(cell: &Cell, contender: &Contender) -> String {
    let mut others = cell.entries.iter().map(|entry| &entry.contender);
    let mut label = contender.name();
    if others.clone().any(|other| other.is_metered != contender.is_metered) {
        label += if contender.is_metered { ", metrics on" } else { ", off" };
    }
    if contender.model == DataModel::Columns && others.any(|other| other.kernels != contender.kernels) {
        label += ", ";
        label += contender.kernels();
    }
    label
}

fn legend(names: &[&str]) -> String {
    let item = |name: &&str| {
        let class = PARTS.iter().find(|(part, _)| part == name).map_or(*name, |(_, class)| class);
        let text = if class == "by-row" { "measured, against clone-swap row at a time" } else { name };
        format!("<span><i class=\"{class}\"></i>{text}</span>")
    };
    format!("<p class=\"legend\">{}</p>\n", names.iter().map(item).collect::<Vec<_>>().join(" "))
}

/// The parts of a cost, as in [`Parts::all`](crate::cell::Parts::all), and their classes.
const PARTS: [(&str, &str); 8] = [
    ("wait", "part-wait"),
    ("clone", "part-clone"),
    ("fold", "part-fold"),
    ("merge", "part-merge"),
    ("channel", "part-channel"),
    ("metrics", "part-metrics"),
    ("emit", "part-emit"),
    ("rest", "part-rest"),
];

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; max-width: 1000px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2.2em; border-top: 1px solid #d5dde5; padding-top: .8em; }
h3 { font-size: 1em; margin: 1.2em 0 .3em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1em 1em; } dt { color: #5b6b7b; } dd { margin: 0; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { dominant-baseline: middle; fill: #1c2733; } svg .label { text-anchor: end; } .axis { stroke: #b8c4cf; }
.legend { margin: .2em 0; font-size: 13px; } .legend span { margin-right: 1em; white-space: nowrap; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; }
.rate, .measured { fill: #2f6fb3; background: #2f6fb3; } .predicted { fill: #b9c3cd; background: #b9c3cd; }
.by-row { fill: #c98a2b; background: #c98a2b; }
.part-wait { fill: #b5403a; background: #b5403a; } .part-clone { fill: #dd8a3c; background: #dd8a3c; }
.part-fold { fill: #2f6fb3; background: #2f6fb3; } .part-merge { fill: #57a0a8; background: #57a0a8; }
.part-channel { fill: #7c5fa8; background: #7c5fa8; } .part-metrics { fill: #d3b93a; background: #d3b93a; }
.part-emit { fill: #6a9f4b; background: #6a9f4b; } .part-rest { fill: #cfd6dd; background: #cfd6dd; }
";
