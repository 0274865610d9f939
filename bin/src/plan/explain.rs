//! EXPLAIN: the stages of a job, what each does to a row, where rows change worker, and how event time moves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use thalweg_operators::expr::Scalar;
use thalweg_operators::rank::{Emit, RankSpec, Ties};
use thalweg_operators::session::SessionSpec;
use thalweg_operators::spec::{GroupSpec, WindowKind, WindowShape, Windows};
use thalweg_operators::unnest::UnnestBy;
use thalweg_runtime::state::StrategyName;

use super::changelog::ChangelogMode;
use super::pruning;
use super::stages::{Head, Sink, Stage, StageGraph, Step, Tail};
use super::strategy::{Decision, StrategyChoice};
use super::{MiniBatch, RuntimeMode, SinkTable, SortKey, WatermarkStrategy};
use crate::report::number::duration;

/// How a job would be run, as far as EXPLAIN shows it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Whether windows close as the input goes on.
    pub mode: RuntimeMode,
    /// Workers.
    pub workers: usize,
    /// What was asked for.
    pub strategy: StrategyChoice,
    /// By stage: how the state of the aggregation there is shared.
    pub decisions: BTreeMap<usize, Decision>,
}

/// The text of EXPLAIN for a job that is run so.
#[must_use]
pub fn render(graph: &StageGraph, run: &Run) -> String {
    let Run { mode, workers, strategy, .. } = run;
    let mut out = String::new();
    let mode_text = match mode {
        RuntimeMode::Streaming => "streaming",
        RuntimeMode::Batch => "batch",
    };
    line(&mut out, 0, &format!("Job: {mode_text} mode, {workers} workers, state strategy {strategy}"));
    for (index, stage) in graph.stages.iter().enumerate() {
        render_stage(&mut out, index, stage, graph, run);
    }
    out
}

fn render_stage(out: &mut String, index: usize, stage: &Stage, graph: &StageGraph, run: &Run) {
    line(out, 0, &format!("Stage {index}: {}", stage.name));
    match &stage.head {
        Head::Scan { table, columns, pruning, codes } => {
            let names: Vec<&str> = columns.iter().map(|&column| table.schema.field(column).name().as_str()).collect();
            line(out, 1, &format!("read {} ({})", table.name, names.join(", ")));
            if let Some(tests) = pruning::describe(pruning).filter(|_| table.connector.is_pruned()) {
                line(out, 2, &format!("but what cannot have {tests}"));
            }
            if !codes.is_empty() {
                let names: Vec<&str> = codes.iter().map(|&place| names[place]).collect();
                line(out, 2, &format!("as codes of dictionaries: {}", names.join(", ")));
            }
        }
        Head::Values(rows) => line(out, 1, &format!("rows of the statement: {}", rows.num_rows())),
        Head::Merge { spec, .. } => {
            line(out, 1, &format!("{}: {}", at_owner(run.strategy_of(index)), aggregates(spec)));
            if let Some(decision) = run.decisions.get(&index) {
                line(out, 1, &format!("state: {decision}"));
            }
            let close = match (spec.window, run.mode) {
                (Some(_), RuntimeMode::Streaming) => {
                    "emit each window once, when the frontier reaches its end - 1 ms; free it"
                }
                (Some(_) | None, _) => "emit at the end of input",
            };
            line(out, 1, close);
        }
        Head::Running { spec, mode, .. } => render_running(out, (spec, *mode), None, run),
        Head::MiniBatched { spec, batch, .. } => {
            render_running(out, (spec, ChangelogMode::APPEND_ONLY), Some(*batch), run);
        }
        Head::Rank { spec, .. } => render_rank(out, spec, run),
        Head::Session { spec, .. } => {
            let SessionSpec { keys, time_column, gap_ms, .. } = spec;
            let keys = keys.len();
            let what = format!("sessions with a gap of {gap_ms} ms over column {time_column}, by {keys} key columns");
            line(out, 1, &format!("hold rows at the owner of their key: {what}"));
            line(
                out,
                1,
                match run.mode {
                    RuntimeMode::Streaming => {
                        "emit the rows of each session once, when the frontier reaches its end; free it"
                    }
                    _ => "emit at the end of input",
                },
            );
            line(out, 1, &owned_state(run, "as all sessions"));
        }
        Head::Sort { keys, offset, limit } => {
            let keys = if keys.is_empty() { "order of input".to_owned() } else { order(keys) };
            let limit = limit.map_or(String::new(), |rows| format!(", at most {rows} rows"));
            line(out, 1, &format!("sort on worker 0: {keys}, from row {offset}{limit}"));
        }
        Head::Union => line(out, 1, "rows of several stages"),
    }
    for step in &stage.steps {
        render_step(out, step);
    }
    match &stage.tail {
        Tail::Fold { spec, to, .. } => {
            let [fold, exchange] = at_producer(run.strategy_of(*to));
            line(out, 1, &format!("{fold}: {}", aggregates(spec)));
            line(out, 1, &format!("{exchange} stage {to}"));
        }
        Tail::Route { to } => {
            line(out, 1, &format!("exchange: rows by key group, in the order of the input, to stage {to}"));
        }
        Tail::Gather { to } => line(out, 1, &format!("exchange: rows to worker 0 of stage {to}")),
        Tail::Pass { to } => line(out, 1, &format!("rows to the same worker of stage {to}")),
        Tail::Sink { sink } => {
            let Sink { table, mode, .. } = &graph.sinks[*sink];
            let name = match table {
                SinkTable::Result => "the result",
                SinkTable::Table(table) => table.name.as_str(),
            };
            let mode = if *mode == ChangelogMode::APPEND_ONLY { "append-only" } else { mode.name() };
            line(out, 1, &format!("write {name} ({mode})"));
        }
    }
}

/// Groups whose changes leave as they come.
fn render_running(out: &mut String, (spec, input): (&GroupSpec, ChangelogMode), batch: Option<MiniBatch>, run: &Run) {
    let how = match batch {
        None => "aggregate row by row at the owner of their key",
        Some(_) => at_owner(StrategyName::OwnedShards),
    };
    line(out, 1, &format!("{how}: {}", aggregates(spec)));
    if input != ChangelogMode::APPEND_ONLY {
        line(out, 2, &format!("of a changelog {}: what it takes back is taken out again", input.name()));
    }
    let mode = ChangelogMode::of_running(spec, input);
    let of = match batch {
        None => "what each row changes".to_owned(),
        Some(MiniBatch { rows, latency }) => {
            format!("what mini-batches of {rows} rows change, or those of {}", duration(latency))
        }
    };
    line(out, 1, &format!("emit {of}: {}", mode.name()));
    line(out, 1, &owned_state(run, "as every running aggregation"));
}

/// The first rows of each key.
fn render_rank(out: &mut String, spec: &RankSpec, run: &Run) {
    let ties = match spec.ties {
        Ties::EarlierFirst => "",
        Ties::LaterFirst => ", later rows first",
    };
    let numbers =
        if spec.first == spec.last { spec.first.to_string() } else { format!("{} to {}", spec.first, spec.last) };
    let keys = spec.keys.len();
    line(
        out,
        1,
        &format!("number row by row at the owner of their key: {}{ties}, by {keys} key columns", order(&spec.order)),
    );
    let emit = match spec.emit {
        Emit::Changes => format!("what each row changes: {}", ChangelogMode::of_rank(spec).name()),
        Emit::Final => "at the end of input".to_owned(),
    };
    let shown = spec.number.as_ref().map_or(String::new(), |name| format!(", shown as {name}"));
    line(out, 1, &format!("emit numbers {numbers}{shown}, {emit}"));
    line(out, 1, &owned_state(run, "as every Top-N"));
}

fn owned_state(run: &Run, what: &str) -> String {
    match run.strategy {
        StrategyChoice::Named(StrategyName::OwnedShards) => format!("state: owned-shards, {what}"),
        other => format!("state: owned-shards, {what}; {other} is for final results"),
    }
}

fn order(keys: &[SortKey]) -> String {
    let keys = keys.iter().map(|key| {
        let direction = if key.is_descending { "desc" } else { "asc" };
        let nulls = if key.is_nulls_first { "nulls first" } else { "nulls last" };
        format!("column {} {direction} {nulls}", key.column)
    });
    keys.collect::<Vec<_>>().join(", ")
}

impl Run {
    fn strategy_of(&self, stage: usize) -> StrategyName {
        self.decisions.get(&stage).map_or(StrategyName::OwnedShards, |decision| decision.strategy)
    }
}

/// What a worker does with a batch, and how what comes of it reaches a stage.
fn at_producer(strategy: StrategyName) -> [&'static str; 2] {
    match strategy {
        StrategyName::CloneSwap => ["fold into a clone of all state, in turn", "write it back: the state of"],
        StrategyName::HoldLock => ["fold into the state, locked for the whole batch", "one state: that of"],
        StrategyName::PartitionLock => ["fold, then add each group to its key, locked alone", "one state: that of"],
        StrategyName::ReadWriteLock => {
            ["fold beside a snapshot, then merge under the write lock", "one state: that of"]
        }
        StrategyName::Actor => ["send rows as they are, to be folded", "exchange: rows to worker 0 of"],
        StrategyName::LocalMerge => ["fold into a private table, then merge it under one lock", "one state: that of"],
        StrategyName::LocalMergePartitioned => {
            ["fold into a private table, then merge it into locked partitions", "one state: that of"]
        }
        StrategyName::OwnedShards => ["fold into a private table", "exchange: partials by key group to"],
    }
}

/// What the stage behind it does.
fn at_owner(strategy: StrategyName) -> &'static str {
    match strategy {
        StrategyName::OwnedShards => "merge partials at the owner of their key",
        StrategyName::Actor => "fold all rows on worker 0",
        _ => "take closed windows out of the shared state, on the worker that is elected",
    }
}

fn render_step(out: &mut String, step: &Step) {
    match step {
        Step::Watermark { time_column, strategy } => {
            let text = match strategy {
                WatermarkStrategy::Lag(lag_ms) => format!("greatest time so far - {lag_ms} ms"),
                WatermarkStrategy::Expression(expression) => format!("greatest of {} so far", expression.describe()),
            };
            line(out, 1, &format!("watermark of column {time_column}: {text}"));
        }
        Step::Filter { predicate, .. } => line(out, 1, &format!("filter {}", predicate.describe())),
        Step::Unnest(spec) => {
            let fields = spec.schema.fields().iter();
            let names: Vec<&str> = fields.skip(spec.kept.len()).map(|field| field.name().as_str()).collect();
            let outer = if spec.is_outer { ", or a row of NULLs for none" } else { "" };
            let what = match &spec.by {
                UnnestBy::Column(column) => format!("unnest column {column}"),
                UnnestBy::Windows(windows) => format!("each row for {}", windows_of(windows)),
            };
            line(out, 1, &format!("{what} as {}{outer}", names.join(", ")));
        }
        Step::Project(expressions, schema) => {
            let columns: Vec<String> = expressions
                .iter()
                .zip(schema.fields())
                .map(|(expression, field)| named(expression, field.name()))
                .collect();
            line(out, 1, &format!("project {}", columns.join(", ")));
        }
    }
}

fn named(expression: &Arc<dyn Scalar>, name: &str) -> String {
    let text = expression.describe();
    if text == name { text } else { format!("{text} AS {name}") }
}

fn aggregates(spec: &GroupSpec) -> String {
    let calls: Vec<&str> = spec.aggregates.iter().map(|aggregate| aggregate.name.as_str()).collect();
    let calls = if calls.is_empty() { "distinct keys".to_owned() } else { calls.join(", ") };
    let keys = spec.keys.len();
    let window = spec.window.map_or(String::new(), |window| format!(", {}", windows_of(&window)));
    format!("{calls} by {keys} key columns{window}")
}

fn windows_of(windows: &Windows) -> String {
    let WindowShape { kind, size_ms, step_ms, offset_ms } = windows.shape;
    let what = match kind {
        WindowKind::Tumble => format!("tumbling windows of {size_ms} ms"),
        WindowKind::Hop => format!("hopping windows of {size_ms} ms every {step_ms} ms"),
        WindowKind::Session => format!("session windows with a gap of {size_ms} ms"),
        WindowKind::Cumulate => format!("cumulating windows up to {size_ms} ms by {step_ms} ms"),
    };
    let of = if windows.is_given { "that end at column" } else { "over column" };
    format!("{what} (offset {offset_ms} ms) {of} {}", windows.time_column)
}

fn line(out: &mut String, depth: usize, text: &str) {
    let _ = writeln!(out, "{:indent$}{text}", "", indent = depth * 2);
}
