//! Finds the place of an error that the planner reports without one: the smallest expression that fails by itself.

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
use crate::error::Error;

/// The same error with a place, if one can be found.
pub(crate) fn error(error: Error, rewritten: &Rewritten, planner: &SqlToRel<'_, Binder<'_>>) -> Error {
    if error.span.is_some() {
        return error;
    }
    let mut search = Search { rewritten, planner };
    search.query(&rewritten.query).unwrap_or(error)
}

struct Search<'a, 'b> {
    rewritten: &'a Rewritten,
    planner: &'a SqlToRel<'b, Binder<'b>>,
}

impl Search<'_, '_> {
    /// The innermost queries come first: what is wrong there is wrong everywhere above.
    fn query(&mut self, query: &Query) -> Option<Error> {
        // A query of WITH is visible only within it, so each is searched by itself and without the ones before it.
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        for cte in ctes {
            if let Some(found) = self.query(&cte.query) {
                return Some(found);
            }
        }
        self.body(&query.body, query)
    }

    fn body(&mut self, body: &SetExpr, query: &Query) -> Option<Error> {
        match body {
            SetExpr::Select(select) => self.select(select, query),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                let within = self.body(left, query).or_else(|| self.body(right, query));
                within.or_else(|| {
                    let whole =
                        Query { body: Box::new(body.clone()), order_by: None, limit_clause: None, ..query.clone() };
                    let planned = self.planner.sql_statement_to_plan(Statement::Query(Box::new(whole)));
                    let error = planned.and_then(analyze).err()?;
                    let place = self.rewritten.text.place(right.span())?;
                    Some(statement_error(&error, &self.rewritten.text).at(place))
                })
            }
            SetExpr::Values(values) => {
                let schema = DFSchema::empty();
                values.rows.iter().flat_map(|row| &row.content).find_map(|value| self.expression(value, &schema))
            }
            _ => None,
        }
    }

    fn select(&mut self, select: &Select, query: &Query) -> Option<Error> {
        for from in &select.from {
            let within = match &from.relation {
                TableFactor::Derived { subquery, .. } => self.query(subquery),
                _ => None,
            };
            if within.is_some() {
                return within;
            }
        }
        for call in self.rewritten.windows.iter() {
            if let TableFactor::Derived { subquery, .. } = &call.input
                && let Some(found) = self.query(subquery)
            {
                return Some(found);
            }
        }
        let schema = self.schema_of_from(select, query)?;
        let items = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let keys = match &select.group_by {
            GroupByExpr::Expressions(keys, _) => &keys[..],
            GroupByExpr::All(_) => &[],
        };
        let expressions: Vec<&Expr> = items.chain(&select.selection).chain(keys).chain(&select.having).collect();
        let conditions = [("WHERE", &select.selection), ("HAVING", &select.having)];
        expressions
            .into_iter()
            .find_map(|expression| self.expression(expression, &schema))
            .or_else(|| {
                conditions.iter().find_map(|(clause, condition)| self.condition(clause, condition.as_ref()?, &schema))
            })
            .or_else(|| self.order_by(select, query, schema))
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
    fn order_by(&self, select: &Select, query: &Query, mut schema: DFSchema) -> Option<Error> {
        let OrderByKind::Expressions(keys) = &query.order_by.as_ref()?.kind else { return None };
        let body = Box::new(SetExpr::Select(Box::new(select.clone())));
        let result = Query { body, order_by: None, limit_clause: None, ..query.clone() };
        let result = self.planner.sql_statement_to_plan(Statement::Query(Box::new(result))).ok()?;
        schema.merge(result.schema());
        keys.iter().find_map(|key| self.expression(&key.expr, &schema))
    }

    /// The columns that the expressions of a SELECT may name.
    fn schema_of_from(&self, select: &Select, query: &Query) -> Option<DFSchema> {
        let mut from_only = Select { selection: None, having: None, distinct: None, ..select.clone() };
        from_only.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
        from_only.projection = vec![if select.from.is_empty() {
            SelectItem::UnnamedExpr(Expr::value(sqlparser::ast::Value::Null))
        } else {
            SelectItem::Wildcard(sqlparser::ast::WildcardAdditionalOptions::default())
        }];
        let body = Box::new(SetExpr::Select(Box::new(from_only)));
        let query = Query { body, order_by: None, limit_clause: None, ..query.clone() };
        let plan = self.planner.sql_statement_to_plan(Statement::Query(Box::new(query))).ok()?;
        Some(plan.schema().as_ref().clone())
    }

    /// The smallest failing part of an expression.
    fn expression(&self, expression: &Expr, schema: &DFSchema) -> Option<Error> {
        let mut smallest = Smallest { search: self, schema };
        match expression.visit(&mut smallest) {
            ControlFlow::Break(error) => Some(error),
            ControlFlow::Continue(()) => None,
        }
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

struct Smallest<'a, 'b, 'c> {
    search: &'a Search<'b, 'c>,
    schema: &'a DFSchema,
}

impl Visitor for Smallest<'_, '_, '_> {
    type Break = Error;

    /// Inner expressions come first.
    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        match self.search.check(expr, self.schema) {
            Some(error) => ControlFlow::Break(error),
            None => ControlFlow::Continue(()),
        }
    }
}
