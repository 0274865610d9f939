//! Everything that is wrong with a statement, for `thalweg check`: not only the first thing, and nothing twice.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use sqlparser::ast::{Expr, ObjectName, Query, Visit, Visitor};

use super::binder;
use super::catalog::Entry;
use super::declaration::Declaration;
use super::dialect::TABLE_PREFIX;
use super::job::Planner;
use super::reader::Name;
use super::session::Session;
use super::stack::on_large_stack;
use super::statement::{Insert, Statement, StatementKind};
use super::text::SqlText;
use crate::error::Error;

/// How a statement fared.
#[derive(Debug)]
pub enum Checked {
    /// It would run.
    Accepted,
    /// It would be refused, for each of these.
    Refused(Vec<Error>),
    /// It uses a table or view whose declaration was refused, or could not be read itself: nothing can be said about it.
    Unchecked,
}

impl Session {
    /// Finds everything that is wrong with a statement, short of running a job. What it declares is declared.
    pub fn check(&mut self, statement: &Statement) -> Checked {
        let whole = statement.span.clone();
        match on_large_stack(|| self.check_kind(&statement.kind, &statement.text)) {
            Checked::Refused(errors) => {
                Checked::Refused(apart(errors.into_iter().map(|error| error.at(whole.clone()))))
            }
            other => other,
        }
    }

    fn check_kind(&mut self, kind: &StatementKind, text: &Arc<SqlText>) -> Checked {
        let declared = match kind {
            StatementKind::CreateTable(create) => Some(&create.name),
            StatementKind::CreateView(create) => Some(&create.name),
            StatementKind::Broken(name) => name.as_ref(),
            _ => None,
        };
        let checked = match kind {
            // It was told of when it could not be read.
            StatementKind::Broken(_) => Checked::Accepted,
            _ if names_used(kind).iter().any(|name| self.broken.contains(name)) => Checked::Unchecked,
            _ => match self.errors(kind, text) {
                errors if errors.is_empty() => Checked::Accepted,
                errors => Checked::Refused(errors),
            },
        };
        if let Some(name) = declared {
            match self.catalog.get(&name.value) {
                Some(_) => drop(self.broken.remove(&name.value)),
                None => drop(self.broken.insert(name.value.clone())),
            }
        }
        if let StatementKind::Drop { name, .. } = kind {
            self.broken.remove(&name.value);
        }
        checked
    }

    fn errors(&mut self, kind: &StatementKind, text: &Arc<SqlText>) -> Vec<Error> {
        let mut errors = match kind {
            StatementKind::CreateTable(create) => match self.catalog.is_free(&create.name, create.if_not_exists) {
                Ok(true) => {
                    let mut errors = Vec::new();
                    let more = self.configuration.table_options(&create.name.value);
                    let declaration = Declaration { functions: &self.functions, text };
                    if let Some(table) = declaration.check(create, more, &mut errors) {
                        self.catalog.insert(create.name.value.clone(), Entry::Table(Arc::new(table)));
                    }
                    return errors;
                }
                Ok(false) => return Vec::new(),
                Err(error) => return vec![error],
            },
            StatementKind::CreateView(create) => self.query_errors(&create.query, &create.query_span, text),
            StatementKind::Query(query, span) => self.query_errors(query, span, text),
            StatementKind::Insert(insert) => self.insert_errors(insert, text),
            StatementKind::StatementSet(inserts) => {
                inserts.iter().flat_map(|insert| self.insert_errors(insert, text)).collect()
            }
            StatementKind::Explain(inner) => return self.errors(inner, text),
            _ => Vec::new(),
        };
        if errors.is_empty() {
            // What only the statement as a whole shows.
            errors.extend(self.execute_kind(kind, text).err());
        }
        errors
    }

    fn insert_errors(&self, insert: &Insert, text: &Arc<SqlText>) -> Vec<Error> {
        let planner =
            Planner { catalog: &self.catalog, functions: &self.functions, configuration: &self.configuration };
        let sink = planner.sink(&insert.table).err();
        sink.into_iter().chain(self.query_errors(&insert.query, &insert.query_span, text)).collect()
    }

    fn query_errors(&self, query: &Query, span: &Range<usize>, text: &Arc<SqlText>) -> Vec<Error> {
        let (rewritten, mut errors) = self.rewrite_leniently(query, span, text);
        let found = binder::errors(&rewritten, &self.catalog, &self.functions);
        // The planner stumbles over what has been refused already.
        let is_told = |error: &Error| {
            let span = error.span.as_ref();
            errors.iter().any(|told| told.span.as_ref().zip(span).is_none_or(|(told, span)| touches(told, span)))
        };
        let more: Vec<Error> = found.into_iter().filter(|error| !is_told(error)).collect();
        errors.extend(more);
        errors
    }
}

fn touches(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// The errors without those that say the same of the same place.
fn apart(errors: impl Iterator<Item = Error>) -> Vec<Error> {
    let mut told = BTreeSet::new();
    let place = |error: &Error| error.span.as_ref().map(|span| (span.start, span.end));
    errors.filter(|error| told.insert((place(error), error.message.clone()))).collect()
}

/// The tables and views that a statement uses.
fn names_used(kind: &StatementKind) -> BTreeSet<String> {
    let mut names = Names(BTreeSet::new());
    names.statement(kind);
    names.0
}

struct Names(BTreeSet<String>);

impl Names {
    fn statement(&mut self, kind: &StatementKind) {
        match kind {
            StatementKind::CreateView(create) => self.query(&create.query),
            StatementKind::Query(query, _) => self.query(query),
            StatementKind::Insert(insert) => self.insert(insert),
            StatementKind::StatementSet(inserts) => inserts.iter().for_each(|insert| self.insert(insert)),
            StatementKind::Explain(inner) => self.statement(inner),
            StatementKind::Describe(name) | StatementKind::ShowCreate { name, .. } => self.name(name),
            StatementKind::Drop { name, .. } => self.name(name),
            StatementKind::CreateTable(_)
            | StatementKind::Set(_)
            | StatementKind::Reset(_)
            | StatementKind::Show(_)
            | StatementKind::ShowFunctions
            | StatementKind::Broken(_) => {}
        }
    }

    fn name(&mut self, name: &Name) {
        self.0.insert(name.value.clone());
    }

    fn insert(&mut self, insert: &Insert) {
        self.name(&insert.table);
        self.query(&insert.query);
    }

    fn query(&mut self, query: &Query) {
        let ControlFlow::Continue(()) = query.visit(self);
    }

    fn last_part(&mut self, name: &ObjectName) {
        self.0.extend(name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()));
    }
}

impl Visitor for Names {
    type Break = Infallible;

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Infallible> {
        self.last_part(relation);
        ControlFlow::Continue(())
    }

    /// `TABLE t` as an argument of a window function.
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Infallible> {
        if let Expr::Prefixed { prefix, value } = expr
            && prefix.value.eq_ignore_ascii_case(TABLE_PREFIX)
        {
            match &**value {
                Expr::Identifier(ident) => drop(self.0.insert(ident.value.clone())),
                Expr::CompoundIdentifier(parts) => self.0.extend(parts.last().map(|ident| ident.value.clone())),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}
