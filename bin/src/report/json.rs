//! Errors and the closing account as JSON, one object a line: for programs that start Thalweg.

use std::io::Write;

use super::diagnostic::{SourceText, help_of, without_error_number};
use super::place::Place;
use crate::connect::format::json::write_string;
use crate::error::Error;
use crate::job::{Account, AggregationAccount, Percentiles};

/// An object in the making; keys come in the order in which they are put.
pub(super) struct Object(pub(super) Vec<u8>);

impl Object {
    /// Without a key.
    pub(super) fn bare() -> Self {
        Self(b"{".to_vec())
    }

    /// One of the kinds of lines on standard error.
    pub(super) fn new(kind: &str) -> Self {
        let mut object = Self::bare();
        object.text("type", Some(kind));
        object
    }

    pub(super) fn key(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        write_string(name.as_bytes(), &mut self.0);
        self.0.push(b':');
    }

    pub(super) fn text(&mut self, name: &str, value: Option<&str>) {
        self.key(name);
        match value {
            Some(value) => write_string(value.as_bytes(), &mut self.0),
            None => self.0.extend_from_slice(b"null"),
        }
    }

    pub(super) fn number(&mut self, name: &str, value: Option<u64>) {
        self.key(name);
        match value {
            Some(value) => put(&mut self.0, format_args!("{value}")),
            None => self.0.extend_from_slice(b"null"),
        }
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.key(name);
        self.0.extend_from_slice(if value { b"true".as_slice() } else { b"false" });
    }

    pub(super) fn end(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8(self.0).expect("keys and values are text")
    }
}

/// `{"type":"error",…}` without a line end. The place is that in the input, if the error has one, else that in the SQL.
#[must_use]
pub fn error(error: &Error, source: Option<&SourceText>) -> String {
    let mut object = Object::new("error");
    object.text("kind", Some(error.kind.name()));
    object.text("message", Some(&without_error_number(error.bare_message())));
    object.text("help", error.help.as_deref().or_else(|| help_of(error)));
    let sql = source.zip(error.span.as_ref()).map(|(source, span)| (&source.name, Place::find(&source.text, span)));
    match (&error.input, sql) {
        (Some(input), _) => {
            object.text("file", Some(&input.file));
            object.number("line", Some(input.line).filter(|line| *line > 0));
            object.number("column", Some(input.column).filter(|column| *column > 0));
            object.number("end_line", None);
            object.number("end_column", None);
        }
        (None, Some((name, place))) => {
            object.text("file", Some(name));
            object.number("line", Some(place.line as u64));
            object.number("column", Some(place.column as u64));
            object.number("end_line", Some(place.end_line as u64));
            object.number("end_column", Some(place.end_column as u64));
        }
        (None, None) => {
            object.text("file", None);
            for name in ["line", "column", "end_line", "end_column"] {
                object.number(name, None);
            }
        }
    }
    object.number("exit_code", Some(u64::from(error.kind.exit_code())));
    object.end()
}

/// `{"type":"note",…}`: anything else that is said.
#[must_use]
pub fn note(text: &str) -> String {
    let mut object = Object::new("note");
    object.text("message", Some(text.trim()));
    object.end()
}

/// `{"type":"summary",…}`: how a check went.
#[must_use]
pub fn summary(statements: u64, errors: u64, unchecked: u64) -> String {
    let mut object = Object::new("summary");
    object.number("statements", Some(statements));
    object.number("errors", Some(errors));
    object.number("unchecked", Some(unchecked));
    object.end()
}

/// `{"point":"merged","rows":100,"p50_ns":…}`: how long rows took to one point.
#[must_use]
pub(super) fn percentiles(point: &str, figures: &Percentiles) -> String {
    let mut object = Object(b"{".to_vec());
    object.text("point", Some(point));
    object.number("rows", Some(figures.count));
    for (name, nanos) in figures.figures() {
        object.number(&format!("{}_ns", name.replace('.', "_")), Some(nanos.0));
    }
    object.end()
}

/// `{"type":"account",…}`: where the rows of a job went.
#[must_use]
pub fn account(account: &Account) -> String {
    let mut object = Object::new("account");
    let operators = |of: fn(&crate::job::OperatorAccount) -> u64| account.operators.iter().map(of).sum::<u64>();
    object.number("records", Some(account.records()));
    object.number("rejected", Some(account.rejected()));
    object.key("rejects");
    let counts: Vec<String> =
        account.rejects().iter().map(|(reason, count)| format!("\"{}\":{count}", reason.name())).collect();
    put(&mut object.0, format_args!("{{{}}}", counts.join(",")));
    object.number("unread", Some(account.unread()));
    object.number("bytes", Some(account.sources.iter().map(|source| source.bytes).sum()));
    object.number("filtered", Some(operators(|operator| operator.filtered)));
    object.number("aggregated", Some(operators(|operator| operator.folded)));
    object.number("passed", Some(operators(|operator| operator.passed)));
    object.number("late", Some(account.late()));
    object.number("emitted", Some(account.emitted));
    object.number("state_peak_bytes", Some(account.state_peak_bytes));
    object.number("workers", Some(account.workers as u64));
    object.number("elapsed_us", Some(u64::try_from(account.elapsed.as_micros()).unwrap_or(u64::MAX)));
    object.flag("drained", account.is_drained);
    object.text("imbalance", account.check().err().as_deref());
    object.key("sources");
    object.0.push(b'[');
    for (index, source) in account.sources.iter().enumerate() {
        let mut of_source = Object(b"{".to_vec());
        of_source.text("table", Some(&source.table));
        of_source.number("records", Some(source.records));
        of_source.number("rows", Some(source.rows));
        of_source.number("rejected", Some(source.rejects.total()));
        of_source.number("bytes", Some(source.bytes));
        object.0.extend_from_slice(if index > 0 { b",".as_slice() } else { b"" });
        object.0.extend_from_slice(of_source.end().as_bytes());
    }
    object.0.push(b']');
    object.key("latency");
    let points: Vec<String> =
        account.latency.points().map(|(point, figures)| percentiles(point.name(), &figures)).collect();
    put(&mut object.0, format_args!("[{}]", points.join(",")));
    object.key("aggregations");
    let aggregations: Vec<String> = account.aggregations.iter().map(aggregation).collect();
    put(&mut object.0, format_args!("[{}]", aggregations.join(",")));
    object.end()
}

/// How the state of an aggregation was shared; the costs are there if they were measured.
fn aggregation(account: &AggregationAccount) -> String {
    let AggregationAccount { name, decision, cost } = account;
    let mut object = Object(b"{".to_vec());
    object.text("stage", Some(name));
    object.text("strategy", Some(decision.strategy.as_str()));
    object.text("state", Some(&decision.to_string()));
    let Some(account) = cost else { return object.end() };
    object.number("rows", Some(account.rows));
    object.number("batches", Some(account.batches));
    for (part, time) in account.parts() {
        object.number(&format!("{part}_ns"), Some(time.0));
    }
    object.number("held_ns", Some(account.cost.held.0));
    object.number("batch_p50_ns", account.batch_p50.map(|time| time.0));
    object.number("batch_p99_ns", account.batch_p99.map(|time| time.0));
    object.end()
}

/// Writing to memory cannot fail.
pub(super) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::bad_input::{RejectCounts, RejectReason};
    use crate::error::InputPlace;
    use crate::job::{CostAccount, SourceAccount};
    use crate::plan::strategy::{Basis, Decision};
    use thalweg_runtime::Nanos;
    use thalweg_runtime::state::{Cost, StrategyName};

    #[test]
    fn an_error_has_all_fields_whatever_is_known() {
        let source = SourceText { name: "job.sql".into(), text: "SELECT\n \"é\" x,\n y".into() };
        let with_place = Error::statement("no \"é\"").help("yes").at(8..17);
        assert_eq!(
            error(&with_place, Some(&source)),
            r#"{"type":"error","kind":"statement","message":"no \"é\"","help":"yes","file":"job.sql","line":2,"column":2,"end_line":3,"end_column":2,"exit_code":2}"#
        );
        let without = Error::connector("cannot read `a`: Permission denied (os error 13)");
        assert_eq!(
            error(&without, Some(&source)),
            r#"{"type":"error","kind":"connector","message":"cannot read `a`: Permission denied","help":"the user who runs the job needs the right to do that","file":null,"line":null,"column":null,"end_line":null,"end_column":null,"exit_code":5}"#
        );
        let place = InputPlace { file: "a.csv".into(), line: 7, column: 0, record: Vec::new() };
        assert_eq!(
            error(&Error::data_at(place, "no").at(0..1), Some(&source)),
            r#"{"type":"error","kind":"data","message":"no","help":null,"file":"a.csv","line":7,"column":null,"end_line":null,"end_column":null,"exit_code":3}"#
        );
    }

    #[test]
    fn an_account_names_every_source_and_aggregation() {
        let source = |table: &str| {
            let mut rejects = RejectCounts::default();
            rejects.add(RejectReason::Null, 1);
            SourceAccount { table: table.into(), records: 3, rows: 2, rejected: 1, unread: 0, rejects, bytes: 9 }
        };
        let sources = vec![source("a"), source("b")];
        let cost = CostAccount {
            rows: 5,
            batches: 2,
            cost: Cost { fold: Nanos(70), held: Nanos(60), ..Cost::default() },
            batch_p50: Some(Nanos(35)),
            batch_p99: None,
        };
        let decision = Decision { strategy: StrategyName::HoldLock, basis: Basis::Named };
        let aggregations = vec![
            AggregationAccount { name: "2 merge".into(), decision, cost: Some(cost) },
            AggregationAccount { name: "3 merge".into(), decision: Decision::LATER, cost: None },
        ];
        let text = account(&Account { sources, workers: 2, aggregations, ..Account::default() });
        assert!(
            text.starts_with(
                r#"{"type":"account","records":6,"rejected":2,"rejects":{"null":2},"unread":0,"bytes":18,"#
            ),
            "{text}"
        );
        assert!(text.contains(r#""drained":false,"imbalance":null,"#), "{text}");
        let (_, rest) = text.split_once(r#"{"table":"b","#).expect("both sources are there");
        assert_eq!(
            rest,
            r#""records":3,"rows":2,"rejected":1,"bytes":9}],"latency":[],"aggregations":[{"stage":"2 merge","strategy":"hold-lock","state":"hold-lock","rows":5,"batches":2,"wait_ns":0,"clone_ns":0,"fold_ns":70,"merge_ns":0,"channel_ns":0,"metrics_ns":0,"held_ns":60,"batch_p50_ns":35,"batch_p99_ns":null},{"stage":"3 merge","strategy":"owned-shards","state":"owned-shards (later exchange)"}]}"#
        );
    }
}
