//! SQL: from text to a plan of compiled expressions.
//!
//! `text` keeps places right, `reader` and `statement` read statements off the tokens, `rewrite` makes a query's syntax
//! tree ready, `binder` has DataFusion's front-end plan it with Flink's types (`typing`), and `lower` makes the plan of a
//! job out of that. A [`Session`] holds what statements change.
//!
//! Invariant: what is refused is refused here, before a job runs, at its place in the user's text.

pub mod aggregates;
pub mod arithmetic;
mod binder;
mod blank_query;
pub mod cast;
mod catalog;
mod check;
pub mod compile;
mod configuration;
mod create_table;
mod declaration;
mod diagnostic;
mod dialect;
mod expression;
pub mod functions;
mod group_window;
mod job;
mod known_functions;
mod locate;
mod lower;
mod lower_aggregate;
mod lower_rank;
mod lower_scan;
mod lower_session;
mod lower_unnest;
mod mistake;
mod reader;
mod relation;
mod reserved;
mod rewrite;
mod row_number;
mod script;
mod select_names;
mod session;
mod show;
mod stack;
mod star;
mod statement;
pub mod syntax;
mod table_function;
mod text;
mod type_syntax;
pub mod types;
pub mod typing;
mod unnest;
mod unnest_syntax;
mod values;
mod window;
mod window_bound;
mod window_function;

#[cfg(test)]
mod expressions;
#[cfg(test)]
mod tests;

pub use check::Checked;
pub use script::Script;
pub use session::{Outcome, Session, SessionOptions};
pub use statement::Statement;

/// The candidate that `name` was probably meant to be; itself, if it is one.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    // One slip in three letters, but never a short name for another.
    let allowed = (name.chars().count() / 3).min(3);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}
