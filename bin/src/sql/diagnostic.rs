//! Errors of DataFusion's planner in our words and with their places.

use std::ops::Range;

use datafusion_common::{Column, DataFusionError, SchemaError};
use sqlparser::tokenizer::Span;

use super::catalog::list;
use super::nearest;
use super::text::SqlText;
use crate::error::Error;

/// Our error as DataFusion's, for the hooks that its planner calls. [`statement_error`] takes it out again.
pub(crate) fn wrap(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The place that the planner knows.
pub(crate) fn place(error: &DataFusionError, text: &SqlText) -> Option<Range<usize>> {
    let span = error.diagnostic()?.span?;
    text.range(parser_span(span))
}

/// A span of DataFusion as the parser has it.
pub(crate) fn parser_span(span: datafusion_common::Span) -> Span {
    Span { start: location(span.start), end: location(span.end) }
}

/// What the planner found wrong. Its own errors come with a place where it knows one; for ours, it knows only that of the
/// first column.
pub(crate) fn statement_error(error: &DataFusionError, text: &SqlText) -> Error {
    if let Some(own) = find(error, &|error| match error {
        DataFusionError::External(inner) => inner.downcast_ref::<Error>(),
        _ => None,
    }) {
        return own.clone();
    }
    let schema = find(error, &|error| match error {
        DataFusionError::SchemaError(schema, _) => Some(&**schema),
        _ => None,
    });
    let converted = match schema {
        Some(schema) => schema_error(schema),
        None => other_error(error),
    };
    place(error, text).into_iter().fold(converted, Error::at)
}

/// The first error in the chain for which `pick` has something.
fn find<'a, T: ?Sized>(
    error: &'a DataFusionError,
    pick: &impl Fn(&'a DataFusionError) -> Option<&'a T>,
) -> Option<&'a T> {
    let mut next = error;
    // A chain of contexts is short; the bound is against a cycle that cannot be.
    for _ in 0..64 {
        if let Some(found) = pick(next) {
            return Some(found);
        }
        next = match next {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => inner,
            DataFusionError::Shared(inner) => inner,
            DataFusionError::Collection(inner) => inner.first()?,
            DataFusionError::External(inner) => inner.downcast_ref::<DataFusionError>()?,
            _ => return None,
        };
    }
    None
}

fn schema_error(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            Error::statement(format!("the column `{}` is ambiguous", shown(&field.name)))
                .help("name the table before it, or give one of them another name with AS")
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::statement(format!("two columns are called `{}`", shown(name)))
                .help("give one of them another name with AS")
        }
    }
}

/// Words that no column is called, unless in back-ticks.
const CLAUSES: [&str; 9] = ["FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "SELECT", "THEN"];

fn unknown_column(field: &Column, valid: &[Column]) -> Error {
    // The parser takes a keyword for a column where an expression should be.
    if field.relation.is_none() && CLAUSES.contains(&field.name.to_uppercase().as_str()) {
        return Error::statement(format!("expected an expression, found {}", field.name)).help(format!(
            "write what is missing before it; a column of that name stands in back-ticks: `{}`",
            field.name
        ));
    }
    let error = Error::statement(match &field.relation {
        Some(relation) => format!("there is no column `{}` in `{}`", field.name, relation.table()),
        None => format!("there is no column `{}`", shown(&field.name)),
    });
    let mut names: Vec<&str> =
        valid.iter().map(|column| column.name.as_str()).filter(|name| !name.starts_with('$')).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    if let Some(same) = names.iter().find(|name| **name == field.name) {
        return error.help(format!("write `{same}` without the table before it"));
    }
    if let Some(near) = nearest(&field.name, names.iter().copied()) {
        return error.help(format!("did you mean `{near}`?"));
    }
    match &names[..] {
        [] => error,
        names => error.help(format!("there are {}", list(names))),
    }
}

/// The names that window functions have within the planner, as the user writes them.
fn shown(name: &str) -> &str {
    match name {
        "$tumble_start" => "TUMBLE_START",
        "$tumble_end" => "TUMBLE_END",
        "$tumble_rowtime" => "TUMBLE_ROWTIME",
        "$hop_start" => "HOP_START",
        "$hop_end" => "HOP_END",
        "$hop_rowtime" => "HOP_ROWTIME",
        name => name,
    }
}

fn other_error(error: &DataFusionError) -> Error {
    let text = error.diagnostic().map_or_else(|| error.strip_backtrace(), |diagnostic| diagnostic.message.clone());
    let mut message = text.lines().next().unwrap_or_default();
    for prefix in [
        "Error during planning: ",
        "This feature is not implemented: ",
        "type_coercion\ncaused by\n",
        "Execution error: ",
        "Arrow error: ",
        "Schema error: ",
        "External error: ",
    ] {
        message = message.strip_prefix(prefix).unwrap_or(message);
    }
    if matches!(error.find_root(), DataFusionError::Internal(_)) {
        return Error::internal(message);
    }
    if let Some(rest) = message.strip_prefix("Projections require unique expression names") {
        let name = rest.split('"').nth(1).unwrap_or_default();
        return Error::statement(format!("two columns of the result are called `{}`", unqualified(name)))
            .help("give one of them another name with AS");
    }
    if let Some(name) = message.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        return Error::statement(format!("there is no table `{name}`"));
    }
    if message.contains("must appear in") && message.contains("GROUP BY") {
        let name = message.split(['\'', '"']).nth(1).map_or("an expression", unqualified);
        return Error::statement(format!("`{name}` is neither a key of GROUP BY nor aggregated"))
            .help(format!("add it to GROUP BY, or aggregate it: FIRST_VALUE({name})"));
    }
    if message.starts_with("Aggregate function calls cannot be nested") {
        return Error::statement("an aggregate of an aggregate needs two queries").help(
            "aggregate in a query in FROM, and that again: SELECT MAX(s) FROM (SELECT SUM(x) AS s FROM t GROUP BY k)",
        );
    }
    if let Some(parts) = message.strip_prefix("could not parse compound identifier from ") {
        let parts: Vec<&str> = parts.split('"').skip(1).step_by(2).collect();
        if let [column, field, ..] = parts[..] {
            return Error::statement(format!("`{column}` has no field `{field}`, nor is there a table `{column}`"))
                .help("a point takes a field of a ROW, or a column of a table");
        }
    }
    if message.starts_with("UNION queries have different number of columns") {
        return Error::statement("the queries of a UNION have different numbers of columns")
            .help("a UNION goes by position: select as many columns in each");
    }
    Error::statement(tidy(message))
}

fn unqualified(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// A message begins in lower case and ends without a full stop.
fn tidy(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut chars = message.chars();
    let is_word = message.chars().nth(1).is_some_and(char::is_lowercase);
    match chars.next() {
        Some(first) if is_word => first.to_lowercase().chain(chars).collect(),
        _ => message.to_owned(),
    }
}

fn location(location: datafusion_common::Location) -> sqlparser::tokenizer::Location {
    sqlparser::tokenizer::Location { line: location.line, column: location.column }
}
