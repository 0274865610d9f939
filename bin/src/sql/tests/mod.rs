//! Statements in, plans and errors out.

mod codes;
mod nested;
mod plans;
mod pruning;
mod rank;
mod refusals;
mod statements;
mod types;

use std::fmt::Write;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use thalweg_operators::expr::Scalar;
use thalweg_operators::spec::{AggregateSpec, GroupSpec, WindowKind, WindowShape, Windows};
use thalweg_operators::unnest::UnnestBy;

use super::types::FlinkType;
use super::*;
use crate::connect::Connector;
use crate::error::Result;
use crate::plan::{JobPlan, Node, NodeOp, RuntimeMode, SinkTable, WatermarkStrategy};

/// The table that most tests read: bounded, with event time.
const TRADES: &str = "CREATE TABLE trades (
  trader STRING NOT NULL,
  symbol STRING,
  price DOUBLE,
  quantity BIGINT,
  fee DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'trades.csv', 'format' = 'csv');
";

const STREAMING: &str = "SET 'execution.runtime-mode' = 'streaming';\n";

const TUMBLE: &str = "TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE))";

/// A session whose files have two columns.
fn session() -> Session {
    session_with(SessionOptions::default())
}

fn session_with(options: SessionOptions) -> Session {
    let mut session = Session::new(options);
    session.infer_files_with(|path: &str| {
        let ts = DataType::Timestamp(TimeUnit::Millisecond, None);
        let fields = vec![
            Field::new("ts", ts, true),
            Field::new("symbol", DataType::Utf8View, true),
            Field::new("price", DataType::Float64, true),
        ];
        let schema = Arc::new(Schema::new(fields));
        let options = [("connector", "filesystem"), ("path", path), ("format", "csv")];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Ok((Arc::clone(&schema), Connector::new(path, &schema, &options)?))
    });
    session
}

/// What the last statement of a text comes to.
fn outcome_in(session: &mut Session, text: &str) -> Result<Outcome> {
    let script = session.parse(text).map_err(|mut errors| errors.remove(0))?;
    let mut outcome = Outcome::Done;
    for statement in &script.statements {
        outcome = session.execute(statement)?;
    }
    Ok(outcome)
}

fn outcome(text: &str) -> Result<Outcome> {
    outcome_in(&mut session(), text)
}

/// The job of the last statement, over `trades`.
fn job(text: &str) -> JobPlan {
    let text = format!("{TRADES}{text}");
    match outcome(&text) {
        Ok(Outcome::Job(job) | Outcome::Explain(job)) => job,
        Ok(other) => panic!("no job but {other:?}: {text}"),
        Err(error) => panic!("{error}\n{:?} {:?}\n{text}", error.help, error.span.clone().map(|span| &text[span])),
    }
}

/// The plan of the last statement as text.
fn plan_of(text: &str) -> String {
    let job = job(text);
    let mut out = String::new();
    if job.mode == RuntimeMode::Streaming {
        out.push_str("streaming\n");
    }
    for pipeline in &job.pipelines {
        if let SinkTable::Table(table) = &pipeline.sink {
            let _ = writeln!(out, "into {}", table.name);
        }
        render(&pipeline.root, 0, &mut out);
    }
    out.trim_end().to_owned()
}

/// Names and types of the result's columns.
fn columns_of(text: &str) -> Vec<String> {
    let job = job(text);
    let schema = &job.pipelines[0].root.schema;
    let column = |field: &Arc<Field>| format!("{} {}", field.name(), FlinkType::from_field(field).unwrap());
    schema.fields().iter().map(column).collect()
}

fn render(node: &Node, depth: usize, out: &mut String) {
    let names =
        |schema: &Schema| schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
    let _ = write!(out, "{:depth$}", "", depth = depth * 2);
    let mut inputs: Vec<&Node> = Vec::new();
    match &node.op {
        NodeOp::Scan { table, columns, .. } => {
            assert_eq!(names(&table.schema.project(columns).unwrap()), names(&node.schema));
            let _ = writeln!(out, "scan {}: {}", table.name, names(&node.schema));
        }
        NodeOp::Values(batch) => {
            let _ = writeln!(out, "values {} x {}", batch.num_rows(), names(&node.schema));
        }
        NodeOp::Watermark { input, time_column, strategy } => {
            let strategy = match strategy {
                WatermarkStrategy::Lag(ms) => format!("lag {ms}"),
                WatermarkStrategy::Expression(expression) => expression.describe(),
            };
            let _ = writeln!(out, "watermark {} {strategy}", node.schema.field(*time_column).name());
            inputs.push(input);
        }
        NodeOp::Filter { input, predicate, .. } => {
            let _ = writeln!(out, "filter {}", predicate.describe());
            inputs.push(input);
        }
        NodeOp::Project { input, expressions } => {
            let _ = writeln!(out, "project {}", projected(node, expressions));
            inputs.push(input);
        }
        NodeOp::Unnest { input, spec } => {
            let kept: Vec<usize> = spec.kept.clone();
            let kept = names(&input.schema.project(&kept).unwrap());
            let outer = if spec.is_outer { "outer " } else { "" };
            let unnested = match &spec.by {
                UnnestBy::Column(column) => input.schema.field(*column).name().clone(),
                UnnestBy::Windows(windows) => windows_of(windows, input.schema.field(windows.time_column).name()),
            };
            let _ = writeln!(out, "unnest {outer}{} beside [{kept}]: {}", unnested, names(&node.schema));
            inputs.push(input);
        }
        NodeOp::Aggregate { input, spec } => {
            let _ = writeln!(out, "aggregate {}", aggregated(input, spec));
            inputs.push(input);
        }
        NodeOp::Running { input, spec, .. } => {
            let _ = writeln!(out, "running {}", aggregated(input, spec));
            inputs.push(input);
        }
        NodeOp::Session { input, spec } => {
            let name = |column: usize| input.schema.field(column).name().as_str();
            let keys: Vec<&str> = spec.keys.iter().map(|key| name(key.column)).collect();
            let (time, gap) = (name(spec.time_column), spec.gap_ms);
            let _ = writeln!(out, "session {gap} of {time} by [{}]: {}", keys.join(", "), names(&node.schema));
            inputs.push(input);
        }
        NodeOp::Rank { input, spec } => {
            let keys: Vec<&str> = spec.keys.iter().map(|key| input.schema.field(key.column).name().as_str()).collect();
            let order: Vec<String> = spec
                .order
                .iter()
                .map(|key| {
                    format!("{}{}", input.schema.field(key.column).name(), if key.is_descending { " desc" } else { "" })
                })
                .collect();
            let _ = writeln!(
                out,
                "rank {}..={} by [{}] order [{}] {:?} {:?}: {}",
                spec.first,
                spec.last,
                keys.join(", "),
                order.join(", "),
                spec.ties,
                spec.emit,
                names(&node.schema)
            );
            inputs.push(input);
        }
        NodeOp::Union { inputs: all } => {
            let _ = writeln!(out, "union");
            inputs.extend(all);
        }
        NodeOp::Sort { input, keys, offset, limit } => {
            let keys = keys.iter().map(|key| {
                let direction = if key.is_descending { " desc" } else { "" };
                let nulls = if key.is_nulls_first == key.is_descending { " nulls moved" } else { "" };
                format!("{}{direction}{nulls}", input.schema.field(key.column).name())
            });
            let keys = keys.collect::<Vec<_>>().join(", ");
            let _ = writeln!(out, "sort [{keys}] offset {offset} limit {limit:?}");
            inputs.push(input);
        }
    }
    for input in inputs {
        render(input, depth + 1, out);
    }
}

fn projected(node: &Node, expressions: &[Arc<dyn Scalar>]) -> String {
    assert_eq!(node.schema.fields().len(), expressions.len());
    let column = |(field, expression): (&Arc<Field>, &Arc<dyn Scalar>)| {
        assert_eq!(field.data_type(), &expression.data_type(), "{field}");
        let text = expression.describe();
        if text == *field.name() { text } else { format!("{text} AS {}", field.name()) }
    };
    node.schema.fields().iter().zip(expressions).map(column).collect::<Vec<_>>().join(", ")
}

fn aggregated(input: &Node, spec: &GroupSpec) -> String {
    let name = |column: usize| input.schema.field(column).name().as_str();
    let keys: Vec<&str> = spec.keys.iter().map(|key| name(key.column)).collect();
    for key in &spec.keys {
        assert_eq!(&key.data_type, input.schema.field(key.column).data_type());
    }
    let call = |call: &AggregateSpec| {
        if let Some(argument) = call.argument {
            assert_eq!(&call.input_type, input.schema.field(argument).data_type());
        }
        let argument = call.argument.map_or("*", name);
        let distinct = if call.distinct { "distinct " } else { "" };
        let filter = call.filter.map(|filter| format!(" if {}", name(filter))).unwrap_or_default();
        format!("{:?}({distinct}{argument}){filter}", call.function)
    };
    let calls: Vec<String> = spec.aggregates.iter().map(call).collect();
    let window = spec.window.map(|window| format!(" window {}", windows_of(&window, name(window.time_column))));
    let global = if spec.is_global { " global" } else { "" };
    format!("[{}] [{}]{}{global}", keys.join(", "), calls.join(", "), window.unwrap_or_default())
}

/// The windows of a time: its name, the size, what is not TUMBLE's, the offset if there is one.
fn windows_of(windows: &Windows, time: &str) -> String {
    let WindowShape { kind, size_ms, step_ms, offset_ms } = windows.shape;
    let offset = if offset_ms == 0 { String::new() } else { format!(" offset {offset_ms}") };
    let kind = match kind {
        WindowKind::Tumble => String::new(),
        WindowKind::Hop => format!(" hop {step_ms}"),
        WindowKind::Session => " session".to_owned(),
        WindowKind::Cumulate => format!(" cumulate {step_ms}"),
    };
    let given = if windows.is_given { " given" } else { "" };
    format!("{time} {size_ms}{kind}{offset}{given}")
}
