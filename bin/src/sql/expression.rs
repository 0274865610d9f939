//! Expressions made ready for the planner: literals get their types, Flink's forms the names of functions, and what is not
//! supported is refused at its place.

use std::convert::Infallible;
use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    self, Expr, Function, FunctionArg, FunctionArguments, Ident, Spanned, UnaryOperator, Value, ValueWithSpan,
    VisitMut, VisitorMut, WindowType,
};
use sqlparser::tokenizer::Span;

use super::known_functions::KnownFunctions;
use super::mistake;
use super::nearest;
use super::row_number::ROW_NUMBER;
use super::syntax;
use super::text::SqlText;
use super::types::FlinkType;
use crate::error::{Error, Result};

/// Rewrites the expressions of one clause.
pub(crate) struct ExpressionRewriter<'a> {
    functions: &'a KnownFunctions,
    text: &'a SqlText,
    /// Where the expression stands: `WHERE`, say.
    clause: &'static str,
    allows_aggregates: bool,
    errors: Vec<Error>,
    /// Expressions that the visitor is in the middle of.
    depth: usize,
    /// The depth of the outermost one that is refused as a whole: what is within it does not matter.
    refused_at: Option<usize>,
}

impl<'a> ExpressionRewriter<'a> {
    pub(crate) fn new(functions: &'a KnownFunctions, text: &'a SqlText, clause: &'static str) -> Self {
        let allows_aggregates = !matches!(clause, "WHERE" | "GROUP BY" | "VALUES" | "UNNEST");
        Self { functions, text, clause, allows_aggregates, errors: Vec::new(), depth: 0, refused_at: None }
    }

    /// The same, but aggregate functions are refused.
    pub(crate) fn without_aggregates(self) -> Self {
        Self { allows_aggregates: false, ..self }
    }

    /// Makes an expression ready in place, and gives everything in it that is not supported: then it is not ready.
    pub(crate) fn rewrite(mut self, expression: &mut Expr) -> Vec<Error> {
        let ControlFlow::Continue(()) = expression.visit(&mut self);
        self.errors
    }

    fn refuse(&self, span: Span, message: impl Into<String>, help: impl Into<String>) -> Error {
        self.at(Error::statement(message).help(help), span)
    }

    fn at(&self, error: Error, span: Span) -> Error {
        let place: Option<Range<usize>> = self.text.place(span);
        place.into_iter().fold(error, Error::at)
    }

    /// What cannot be planned, before anything within is looked at.
    fn check(&self, expr: &Expr) -> Result<()> {
        let span = expr.span();
        match expr {
            Expr::Subquery(_)
            | Expr::Exists { .. }
            | Expr::InSubquery { .. }
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. } => {
                Err(self.refuse(span, "subqueries in expressions are not supported", "a derived table in FROM"))
            }
            Expr::InUnnest { .. } => Err(self.refuse(span, "IN UNNEST is not Flink's", "ARRAY_CONTAINS(array, value)")),
            Expr::Array(_) | Expr::Map(_) | Expr::Struct { .. } => Err(self.refuse(
                span,
                "this form of a nested value is not Flink's",
                "ARRAY[1, 2], MAP['k', 1], ROW(1, 'a')",
            )),
            Expr::Prefixed { prefix, .. } => Err(self.refuse(
                prefix.span,
                "TABLE is an argument of window functions only",
                "FROM TABLE(TUMBLE(TABLE t, …))",
            )),
            Expr::Cast { data_type, format, kind, .. } => {
                if format.is_some() || !matches!(kind, ast::CastKind::Cast | ast::CastKind::TryCast) {
                    return Err(self.refuse(
                        span,
                        "this form of a cast is not Flink's",
                        "CAST(x AS type) or TRY_CAST(x AS type)",
                    ));
                }
                FlinkType::from_ast(data_type).map(drop).map_err(|error| {
                    let place = self.text.range(span).map(|range| self.text.to_closing(&range));
                    place.into_iter().fold(error, Error::at)
                })
            }
            Expr::BinaryOp { op, .. } => self.check_operator(op, span),
            Expr::UnaryOp { op, .. }
                if !matches!(op, UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not) =>
            {
                Err(self.refuse(
                    span,
                    format!("the operator {op} is not Flink's"),
                    "see the list of functions: SHOW FUNCTIONS",
                ))
            }
            Expr::Substring { substring_from: None, .. } => Err(self.refuse(
                span,
                "SUBSTRING lacks where to start",
                "SUBSTRING(string, start) or SUBSTRING(string, start, length)",
            )),
            Expr::ILike { .. } => Err(self.refuse(span, "ILIKE is not Flink's", "LOWER(x) LIKE 'pattern'")),
            Expr::RLike { .. } => Err(self.refuse(span, "RLIKE is not Flink's", "REGEXP(x, 'pattern')")),
            Expr::AtTimeZone { .. } => {
                Err(self.refuse(span, "AT TIME ZONE is not supported", "CONVERT_TZ or TO_TIMESTAMP_LTZ"))
            }
            Expr::Collate { .. } => {
                Err(self.refuse(span, "COLLATE is not supported", "strings compare by their bytes"))
            }
            Expr::Value(ValueWithSpan { value, .. }) => self.check_value(value, span),
            Expr::Identifier(name) => self.check_name(name),
            Expr::Function(function) => self.check_function(function),
            _ => Ok(()),
        }
    }

    fn check_operator(&self, op: &ast::BinaryOperator, span: Span) -> Result<()> {
        use ast::BinaryOperator as B;
        let help = match op {
            B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo | B::StringConcat => return Ok(()),
            B::Gt | B::Lt | B::GtEq | B::LtEq | B::Eq | B::NotEq | B::And | B::Or => return Ok(()),
            B::Spaceship => "IS NOT DISTINCT FROM",
            B::Arrow | B::LongArrow | B::HashArrow | B::HashLongArrow => "JSON_VALUE(json, '$.a')",
            B::BitwiseAnd | B::BitwiseOr | B::BitwiseXor | B::PGBitwiseXor => "write the arithmetic out",
            B::PGRegexMatch | B::PGRegexIMatch | B::PGRegexNotMatch => "REGEXP(x, 'pattern')",
            B::Xor => "a <> b",
            _ => "see the list of functions: SHOW FUNCTIONS",
        };
        Err(self.refuse(span, format!("the operator {op} is not Flink's"), help))
    }

    fn check_value(&self, value: &Value, span: Span) -> Result<()> {
        match value {
            Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null => Ok(()),
            Value::HexStringLiteral(_) => Ok(()),
            Value::Placeholder(name) => Err(self.refuse(
                span,
                format!("`{name}` has no value"),
                "write ${NAME} and give it one with --var NAME=VALUE",
            )),
            Value::DoubleQuotedString(text) => Err(self.refuse(
                span,
                "double quotes mean nothing",
                format!("'{text}' is a string, `{text}` is a name"),
            )),
            _ => Err(self.refuse(span, "this literal is not Flink's", "strings stand in single quotes")),
        }
    }

    fn check_name(&self, name: &Ident) -> Result<()> {
        match name.quote_style {
            Some('"') => Err(self.refuse(
                name.span,
                "double quotes mean nothing",
                format!("`{}` in back-ticks is a name, '{}' is a string", name.value, name.value),
            )),
            _ => Ok(()),
        }
    }

    fn check_function(&self, function: &Function) -> Result<()> {
        let Function { name, args, filter, null_treatment, over, within_group, parameters, .. } = function;
        let upper = name.to_string().to_uppercase();
        let span = name.span();
        if let Some(over) = over {
            return self.check_over(&upper, function, over);
        }
        if let Some(error) = self.special_function(&upper, span) {
            return Err(error);
        }
        let is_aggregate = self.functions.aggregate(&upper).is_some();
        if !is_aggregate && self.functions.scalar(&upper).is_none() {
            return Err(self.unknown_function(&name.to_string(), &upper, span));
        }
        if is_aggregate && !self.allows_aggregates {
            let help =
                if self.clause == "WHERE" { "filter groups with HAVING" } else { "aggregate in SELECT or HAVING" };
            return Err(self.refuse(
                span,
                format!("an aggregate function cannot stand in {}", self.clause_name()),
                help,
            ));
        }
        let list = match args {
            FunctionArguments::List(list) => Some(list),
            FunctionArguments::None => None,
            FunctionArguments::Subquery(_) => {
                return Err(self.refuse(
                    span,
                    "subqueries in expressions are not supported",
                    "a derived table in FROM",
                ));
            }
        };
        let is_distinct =
            list.is_some_and(|list| matches!(list.duplicate_treatment, Some(ast::DuplicateTreatment::Distinct)));
        if !is_aggregate && (filter.is_some() || is_distinct) {
            return Err(self.refuse(
                span,
                format!("FILTER and DISTINCT are for aggregate functions, and {upper} is none"),
                "CASE WHEN … END",
            ));
        }
        let has_clauses = list.is_some_and(|list| !list.clauses.is_empty());
        if null_treatment.is_some() || !within_group.is_empty() || has_clauses || *parameters != FunctionArguments::None
        {
            return Err(self.refuse(
                span,
                format!("this form of {upper} is not supported"),
                format!("{upper}(arguments)"),
            ));
        }
        let is_named = |arg: &&FunctionArg| !matches!(arg, FunctionArg::Unnamed(_));
        if let Some(named) = list.and_then(|list| list.args.iter().find(is_named)) {
            return Err(self.refuse(
                named.span(),
                format!("{upper} takes its arguments by position"),
                "leave out the name and =>",
            ));
        }
        Ok(())
    }

    /// Of the functions over windows, ROW_NUMBER is there: where rows of a smaller number than some are wanted.
    fn check_over(&self, upper: &str, function: &Function, over: &WindowType) -> Result<()> {
        let span = function.name.span();
        if matches!(upper, "RANK" | "DENSE_RANK") {
            return Err(self.refuse(
                span,
                format!("{upper} is not supported: rows that tie have numbers of their own"),
                "ROW_NUMBER() OVER (PARTITION BY k ORDER BY c DESC), and WHERE rn <= 10 around it",
            ));
        }
        if upper != ROW_NUMBER {
            return Err(self.refuse(
                span,
                "OVER windows are not supported",
                "a window table function with GROUP BY: TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))",
            ));
        }
        let has_order = matches!(over, WindowType::WindowSpec(spec)
            if spec.window_name.is_none() && spec.window_frame.is_none() && !spec.order_by.is_empty());
        let Function { args, filter, null_treatment, within_group, .. } = function;
        let has_no_arguments = matches!(args, FunctionArguments::List(list)
            if list.args.is_empty() && list.clauses.is_empty() && list.duplicate_treatment.is_none());
        if !has_order || !has_no_arguments || filter.is_some() || null_treatment.is_some() || !within_group.is_empty() {
            return Err(self.refuse(
                span,
                "this form of ROW_NUMBER is not supported",
                "ROW_NUMBER() OVER (PARTITION BY k ORDER BY c DESC); PARTITION BY may be left out",
            ));
        }
        match self.clause {
            "SELECT" => Ok(()),
            clause => Err(self.refuse(
                span,
                format!("ROW_NUMBER cannot stand in {clause}"),
                "SELECT … FROM (SELECT *, ROW_NUMBER() OVER (…) AS rn FROM t) WHERE rn <= 10",
            )),
        }
    }

    fn clause_name(&self) -> &'static str {
        if self.clause == "here" { "a computed column or a watermark" } else { self.clause }
    }

    /// Functions that are known and yet not there.
    fn special_function(&self, upper: &str, span: Span) -> Option<Error> {
        let (message, help) = match upper {
            "PROCTIME" => (
                "processing time is not supported: the result would depend on when the job runs".to_owned(),
                "declare event time: WATERMARK FOR ts AS ts - INTERVAL '5' SECOND",
            ),
            "TUMBLE" | "HOP" | "SESSION" => (
                format!("{upper} stands in FROM or in GROUP BY"),
                "TUMBLE_START(ts, INTERVAL '1' MINUTE) is the start of the window in GROUP BY",
            ),
            "CUMULATE" => (
                "CUMULATE stands in FROM".to_owned(),
                "TABLE(CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR, INTERVAL '1' DAY))",
            ),
            ROW_NUMBER => ("ROW_NUMBER lacks OVER".to_owned(), "ROW_NUMBER() OVER (PARTITION BY k ORDER BY c DESC)"),
            "DESCRIPTOR" => (
                "DESCRIPTOR is an argument of window functions only".to_owned(),
                "FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))",
            ),
            "GROUPING" | "GROUP_ID" | "GROUPING_ID" => (
                "GROUPING SETS, CUBE and ROLLUP are not supported".to_owned(),
                "one GROUP BY for each set of keys, put together with UNION ALL",
            ),
            _ => return None,
        };
        Some(self.refuse(span, message, help))
    }

    fn unknown_function(&self, name: &str, upper: &str, span: Span) -> Error {
        let names = self.functions.scalar_names().chain(self.functions.aggregate_names());
        let help = match (mistake::function_elsewhere(upper), nearest(upper, names)) {
            (Some(elsewhere), _) => format!("in Flink: {elsewhere}"),
            (None, Some(near)) => format!("did you mean {near}?"),
            (None, None) => "SHOW FUNCTIONS lists them".to_owned(),
        };
        self.refuse(span, format!("there is no function `{name}`"), help)
    }
}

impl VisitorMut for ExpressionRewriter<'_> {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        self.depth += 1;
        if self.refused_at.is_none()
            && let Err(error) = self.check(expr)
        {
            self.errors.push(error);
            // The arguments of a function that is not there are expressions of their own.
            let is_call = matches!(expr, Expr::Function(_));
            self.refused_at = (!is_call).then_some(self.depth);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        let span = expr.span();
        if self.refused_at.is_none()
            && let Err(error) = syntax::rewrite(expr)
        {
            let error = self.at(error, span);
            self.errors.push(error);
        }
        if self.refused_at == Some(self.depth) {
            self.refused_at = None;
        }
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}
