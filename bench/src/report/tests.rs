use thalweg_operators::kernels::Kernels;
use thalweg_runtime::state::StrategyName;

use super::*;
use crate::cell::{Entry, Parts};
use crate::contender::Contender;
use crate::predicted::predicted;
use crate::statistics::{Durations, Spread};
use crate::workload::{Distribution, Workload};

fn spread(median: f64) -> Spread {
    Spread { median, low: median * 0.9, high: median * 1.1, count: 5 }
}

fn entry(contender: Contender, rate: f64) -> Entry {
    let parts = Parts { wait: 1.5, clone: 2.0, fold: 3.0, rest: rate / 1e6, held: 4.0, ..Parts::default() };
    Entry {
        contender,
        rows: 5_000,
        is_cut: rate < 1e6,
        rate: spread(rate),
        times_current: Some(spread(rate / 2e6)),
        times_row_current: Some(spread(rate / 1e5)),
        latencies: Durations::new((1..=1_000).collect()),
        parts: contender.is_metered.then_some(parts),
        predicted: predicted(&contender),
    }
}

fn report() -> Report {
    let workload = Workload {
        keys: 10_000,
        distribution: Distribution::Zipf(1.1),
        rows: 5_000,
        pool_rows: 5_000,
        batch_rows: 1_000,
        is_prefilled: false,
    };
    let entries = vec![
        entry(Contender::pure(false, Kernels::Scalar), 20e6),
        entry(Contender::shared(StrategyName::CloneSwap, true, Kernels::Scalar), 2e6),
        entry(Contender::shared(StrategyName::LocalMergePartitioned, true, Kernels::Scalar), 16e6),
        entry(Contender::shared(StrategyName::OwnedShards, false, Kernels::Scalar), 19e6),
        entry(Contender::shared(StrategyName::CloneSwap, true, Kernels::Scalar).by_row(), 1e5),
    ];
    let name = "\"<quoted>\" & more".to_owned();
    let cell = Cell { name, workload, producers: 2, rounds: 5, entries };
    let conditions = Conditions { machine: "a <machine>".to_owned(), cores: 2, ..Conditions::default() };
    let notes = vec!["one </script> note".to_owned()];
    Report { title: "Strategies & costs".to_owned(), conditions, notes, cells: vec![cell] }
}

/// Every element is closed by its own end, and no text holds what begins one.
fn check_elements(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(start) = rest.find('<') {
        let (text, tail) = rest.split_at(start);
        assert!(!text.contains('>') || open.last() == Some(&"style") || open.last() == Some(&"script"), "{text}");
        let (tag, after) = tail[1..].split_once('>').unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = after;
    }
    assert!(open.is_empty(), "{open:?}");
}

/// Values of all bars with this class, in the order of the page.
fn values(page: &str, class: &str) -> Vec<f64> {
    let start = format!("<rect class=\"{class}\"");
    let bars = page.split(&start).skip(1);
    bars.map(|bar| bar.split("data-value=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn the_page_is_well_formed_and_asks_nobody_for_anything() {
    let page = html::page(&report());
    check_elements(&page);
    for word in ["href", "src=", "url(", "@import"] {
        assert!(!page.contains(word), "{word}");
    }
    assert_eq!(page.matches("http").count(), page.matches("http://www.w3.org/2000/svg").count());
}

#[test]
fn the_bars_of_the_page_are_the_figures_of_the_document() {
    let (page, document) = (html::page(&report()), json::value(&report()));
    let entries = document["cells"][0]["entries"].as_array().unwrap();
    let figures =
        |path: &str| -> Vec<f64> { entries.iter().filter_map(|entry| entry.pointer(path)?.as_f64()).collect() };
    let rates = figures("/rows_per_s/median");
    assert_eq!(values(&page, "rate"), rates[..4]);
    assert_eq!(values(&page, "by-row")[0], rates[4], "in a colour of its own");
    assert_eq!(values(&page, "part-clone"), figures("/ns_per_row/clone"));
    assert_eq!(values(&page, "part-rest"), figures("/ns_per_row/rest"));
    assert_eq!(values(&page, "predicted"), figures("/predicted/times_current"));
    assert_eq!(values(&page, "predicted"), [34.0, 1.0, 17.0]);
    let embedded = page.split("id=\"figures\">").nth(1).unwrap().split("</script>").next().unwrap();
    assert_eq!(embedded.trim_start().replace("\\u003c", "<"), json::text(&report()));
    assert!(serde_json::from_str::<serde_json::Value>(embedded).is_ok());
}

#[test]
fn bars_are_as_long_as_their_values() {
    let page = html::page(&report());
    let widths: Vec<f64> = page
        .split("<rect class=\"rate\"")
        .skip(1)
        .map(|bar| bar.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
        .collect();
    for (width, value) in widths.iter().zip(values(&page, "rate")) {
        assert!((width / widths[0] - value / 20e6).abs() < 0.001, "{width} for {value}");
    }
}

#[test]
fn every_line_of_the_values_has_every_field_of_the_header() {
    let text = csv::text(&report());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6);
    let header: Vec<&str> = lines[0].split(',').collect();
    assert!(lines[1].starts_with(
        "\"\"\"<quoted>\"\" & more\",2,10000,zipf 1.1,5000,5,pure engine,columns,off,scalar,5000,false,20000000,"
    ));
    let field = |line: &str, name: &str| {
        // The only other comma is within the name of the last contender.
        let fields: Vec<&str> = line.split(',').collect();
        fields[header.iter().position(|field| *field == name).unwrap()].to_owned()
    };
    assert!(lines[1..5].iter().all(|line| line.split(',').count() == header.len()));
    assert_eq!(field(lines[2], "wait_ns_per_row"), "1.5");
    assert_eq!(field(lines[1], "wait_ns_per_row"), "");
    assert_eq!((field(lines[3], "batch_p99_ns"), field(lines[3], "batch_p999_ns")), ("990".to_owned(), String::new()));
}

#[test]
fn tables_leave_out_what_nobody_has_and_say_what_was_cut() {
    let text = tables::text(&report());
    assert!(text.contains("pure engine") && text.contains("5,000 (cut)") && !text.contains("p99.9"), "{text}");
    let markdown = tables::markdown(&report());
    assert!(markdown.contains("### \"<quoted>\" & more: 2 producers, 10,000 keys zipf 1.1; 5 rounds\n\n| strategy"));
    let row = markdown.lines().find(|line| line.starts_with("| local-merge-partitioned ")).unwrap();
    assert_eq!(row.matches('|').count(), 15, "{row}");
    assert!(
        row.contains(" 16.0 M ") && row.contains(" 8.00 ") && row.contains(" 400 K ") && row.contains(" 17.0 "),
        "{row}"
    );
}

#[test]
fn files_are_refused_before_anything_is_measured() {
    let directory = tempfile::tempdir().unwrap();
    let outputs = Outputs { json: Some(directory.path().join("none/figures.json")), ..Outputs::default() };
    assert!(outputs.check().unwrap_err().to_string().contains("figures.json"));
    let path = directory.path().join("page.html");
    let outputs = Outputs { html: Some(path.clone()), ..Outputs::default() };
    outputs.check().unwrap();
    outputs.write(&report()).unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), html::page(&report()));
}
