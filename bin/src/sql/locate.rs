//! Finds the place of an error that the planner reports without one: the smallest expression that fails by itself.

use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion_common::DFSchema;
use datafusion_expr::ExprSchemable;
use datafusion_sql::planner::{PlannerContext, SqlToRel};
use sqlparser::ast::{
    Expr, GroupByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Spanned, Statement, TableFactor, Visit, Visitor,
};

use super::binder::{Binder, analyze};
use super::diagnostic::statement_error;
use super::rewrite::Rewritten;
use super::types::FlinkType;
use super::typing::{type_of, typed};
use super::values;
use super::window;
use crate::error::Error;

/// The same error with a place, if one can be found.
pub(crate) fn error(error: Error, rewritten: &Rewritten, planner: &SqlToRel<'_, Binder<'_>>) -> Error {
    if error.span.is_some() {
        return error;
    }
    errors(rewritten, planner).into_iter().next().unwrap_or(error)
}

/// Everything in the query that fails by itself, innermost first.
pub(crate) fn errors(rewritten: &Rewritten, planner: &SqlToRel<'_, Binder<'_>>) -> Vec<Error> {
    let mut search = Search { rewritten, planner, found: Vec::new() };
    search.query(&rewritten.query);
    search.found
}

struct Search<'a, 'b> {
    rewritten: &'a Rewritten,
    planner: &'a SqlToRel<'b, Binder<'b>>,
    found: Vec<Error>,
}

impl Search<'_, '_> {
    /// The innermost queries come first: what is wrong there is wrong everywhere above.
    fn query(&mut self, query: &Query) {
        // A query of WITH is visible only within it, so each is searched by itself and without the ones before it.
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.query(&cte.query);
        }
        self.body(&query.body, query);
    }

    fn body(&mut self, body: &SetExpr, query: &Query) {
        match body {
            SetExpr::Select(select) => self.select(select, query),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                let before = self.found.len();
                self.body(left, query);
                self.body(right, query);
                if self.found.len() == before {
                    let found = self.set_operation(body, right, query);
                    self.found.extend(found);
                }
            }
            _ => {}
        }
    }

    /// What is wrong with two queries that are right by themselves.
    fn set_operation(&self, body: &SetExpr, right: &SetExpr, query: &Query) -> Option<Error> {
        let whole = Query { body: Box::new(body.clone()), order_by: None, limit_clause: None, ..query.clone() };
        let planned = self.planner.sql_statement_to_plan(Statement::Query(Box::new(whole)));
        let error = planned.and_then(analyze).err()?;
        let place = self.rewritten.text.place(right.span())?;
        Some(statement_error(&error, &self.rewritten.text).at(place))
    }

    fn select(&mut self, select: &Select, query: &Query) {
        let before = self.found.len();
        for from in &select.from {
            if let TableFactor::Derived { subquery, .. } = &from.relation {
                self.query(subquery);
            }
            if let Some(table) = values::table_of(&from.relation, &self.rewritten.values) {
                let schema = DFSchema::empty();
                for cell in table.rows.iter().flatten() {
                    self.expression(&cell.value, &schema);
                }
            }
            // The input of a window is not in the syntax tree any more.
            if let Some(call) = window::call_of(&from.relation, &self.rewritten.windows)
                && let TableFactor::Derived { subquery, .. } = &call.input
            {
                self.query(subquery);
            }
        }
        if self.found.len() > before {
            return;
        }
        let Some(schema) = self.schema_of_from(select, query) else { return };
        let items = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let keys = match &select.group_by {
            GroupByExpr::Expressions(keys, _) => &keys[..],
            GroupByExpr::All(_) => &[],
        };
        for expression in items.chain(&select.selection).chain(keys).chain(&select.having) {
            self.expression(expression, &schema);
        }
        for error in &mut self.found[before..] {
            explain_alias(error, select);
        }
        if self.found.len() == before {
            for (clause, condition) in [("WHERE", &select.selection), ("HAVING", &select.having)] {
                let found = condition.as_ref().and_then(|condition| self.condition(clause, condition, &schema));
                self.found.extend(found);
            }
        }
        if self.found.len() == before {
            self.order_by(select, query, schema);
        }
    }

    /// A condition that is no truth value.
    fn condition(&self, clause: &str, condition: &Expr, schema: &DFSchema) -> Option<Error> {
        let planned = self.planner.sql_to_expr(condition.clone(), schema, &mut PlannerContext::new()).ok()?;
        let data_type = typed(planned, schema).and_then(|typed| type_of(&typed, schema)).ok()?;
        if matches!(data_type, FlinkType::Boolean | FlinkType::Null) {
            return None;
        }
        let place = self.rewritten.text.place(condition.span())?;
        let error = Error::statement(format!("{clause} takes a BOOLEAN, not {data_type}"));
        Some(error.help("compare it with something: x > 0, x IS NOT NULL").at(place))
    }

    /// A key of ORDER BY, which may name columns of the result and of FROM.
    fn order_by(&mut self, select: &Select, query: &Query, mut schema: DFSchema) {
        let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order_by| &order_by.kind) else {
            return;
        };
        let body = Box::new(SetExpr::Select(Box::new(select.clone())));
        let result = Query { body, order_by: None, limit_clause: None, ..query.clone() };
        let Ok(result) = self.planner.sql_statement_to_plan(Statement::Query(Box::new(result))) else { return };
        schema.merge(result.schema());
        for key in keys {
            self.expression(&key.expr, &schema);
        }
    }

    /// The columns that the expressions of a SELECT may name.
    fn schema_of_from(&self, select: &Select, query: &Query) -> Option<DFSchema> {
        if select.from.is_empty() {
            return Some(DFSchema::empty());
        }
        let mut from_only = Select { selection: None, having: None, distinct: None, ..select.clone() };
        from_only.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
        from_only.projection = vec![SelectItem::Wildcard(sqlparser::ast::WildcardAdditionalOptions::default())];
        let body = Box::new(SetExpr::Select(Box::new(from_only)));
        let query = Query { body, order_by: None, limit_clause: None, ..query.clone() };
        let plan = self.planner.sql_statement_to_plan(Statement::Query(Box::new(query))).ok()?;
        Some(plan.schema().as_ref().clone())
    }

    /// The smallest failing parts of an expression.
    fn expression(&mut self, expression: &Expr, schema: &DFSchema) {
        let mut smallest = Smallest { search: self, schema, found: Vec::new(), open: Vec::new() };
        let ControlFlow::Continue(()) = expression.visit(&mut smallest);
        let found = smallest.found;
        self.found.extend(found);
    }

    fn check(&self, expression: &Expr, schema: &DFSchema) -> Option<Error> {
        let planned = self.planner.sql_to_expr(expression.clone(), schema, &mut PlannerContext::new());
        let error = planned
            .and_then(|planned| typed(planned, schema))
            .and_then(|typed| typed.to_field(schema).map(drop))
            .err()?;
        let place = self.rewritten.text.place(expression.span())?;
        Some(statement_error(&error, &self.rewritten.text).at(place))
    }
}

/// A name that SELECT gives is not known in the other clauses.
fn explain_alias(error: &mut Error, select: &Select) {
    let unknown = error.message.strip_prefix("there is no column `").and_then(|rest| rest.strip_suffix('`'));
    let is_alias = |item: &&SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if Some(alias.value.as_str()) == unknown);
    if let Some(SelectItem::ExprWithAlias { expr, alias }) = select.projection.iter().find(is_alias) {
        let name = &alias.value;
        error.message = format!("`{name}` is a name that SELECT gives, and is not known here");
        error.help = Some(match expr.to_string() {
            text if text.len() <= 60 && !text.contains('$') => {
                format!("write `{text}` again, or name it in a query in FROM")
            }
            _ => "write the expression again, or name it in a query in FROM".to_owned(),
        });
    }
}

struct Smallest<'a, 'b, 'c> {
    search: &'a Search<'b, 'c>,
    schema: &'a DFSchema,
    found: Vec<Error>,
    /// How many were found when each of the expressions began that the visitor is in the middle of.
    open: Vec<usize>,
}

impl Visitor for Smallest<'_, '_, '_> {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<Infallible> {
        self.open.push(self.found.len());
        ControlFlow::Continue(())
    }

    /// Inner expressions come first; where one fails, that the outer one fails too says nothing.
    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Infallible> {
        if self.open.pop() == Some(self.found.len()) {
            self.found.extend(self.search.check(expr, self.schema));
        }
        ControlFlow::Continue(())
    }
}
