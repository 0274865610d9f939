//! The syntax tree made ready for the planner: what is not supported is refused at its place, Flink's shapes become shapes
//! that the planner knows, literals get their types, columns their names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use sqlparser::ast::{
    self, Distinct, Expr, GroupByExpr, Ident, LimitClause, ObjectName, ObjectNamePart, OrderByKind, Query, Select,
    SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned, TableAlias, TableFactor, Value,
};
use sqlparser::tokenizer::Span;

use super::blank_query::empty_select;
use super::catalog::{Catalog, CatalogTable, Entry};
use super::expression::ExpressionRewriter;
use super::group_window::GroupWindow;
use super::known_functions::KnownFunctions;
use super::reader::object_name;
use super::select_names;
use super::star;
use super::text::SqlText;
use super::unnest::UnnestCall;
use super::values::{self, ValuesTable};
use super::window::{self, WindowCall};
use super::{group_window, table_function, unnest_syntax};
use crate::error::{Error, Result};

/// A query that is ready for the planner.
#[derive(Clone, Debug)]
pub(crate) struct Rewritten {
    pub(crate) query: Query,
    /// What the window markers in it stand for.
    pub(crate) windows: Arc<Vec<WindowCall>>,
    /// What the UNNEST markers in it stand for.
    pub(crate) unnests: Arc<Vec<UnnestCall>>,
    /// What the VALUES markers in it stand for.
    pub(crate) values: Arc<Vec<ValuesTable>>,
    /// Tables of `FROM 'file'`, by path.
    pub(crate) files: BTreeMap<String, Arc<CatalogTable>>,
    pub(crate) text: Arc<SqlText>,
    /// Place of the whole query.
    pub(crate) span: Range<usize>,
}

/// How `FROM 'file'` becomes a table.
pub(crate) type OpenFile<'a> = dyn Fn(&str) -> Result<CatalogTable> + 'a;

/// What the names in a query may stand for.
pub(crate) struct Scope<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) functions: &'a KnownFunctions,
    pub(crate) open_file: &'a OpenFile<'a>,
}

/// Makes a query ready, as far as that is possible. The errors are those of everything in it that is not supported, in the
/// order in which they were found; without one the query is ready.
pub(crate) fn rewrite(
    query: &Query,
    span: &Range<usize>,
    scope: &Scope<'_>,
    text: &Arc<SqlText>,
) -> (Rewritten, Vec<Error>) {
    let mut query = query.clone();
    let mut rewriter = Rewriter {
        scope,
        text,
        windows: Vec::new(),
        unnests: Vec::new(),
        values: Vec::new(),
        files: BTreeMap::new(),
        ctes: Vec::new(),
        group_window: None,
        whole: span.clone(),
        errors: RefCell::default(),
    };
    let done = rewriter.query(&mut query);
    let Rewriter { windows, unnests, values, files, errors, .. } = rewriter;
    let errors = errors.into_inner().into_iter().chain(done.err()).map(|error| error.at(span.clone())).collect();
    let (windows, unnests, values) = (Arc::new(windows), Arc::new(unnests), Arc::new(values));
    (Rewritten { query, windows, unnests, values, files, text: Arc::clone(text), span: span.clone() }, errors)
}

/// Makes an expression ready that stands alone: of a computed column or a watermark.
///
/// # Errors
/// For what is not supported in it.
pub(crate) fn rewrite_expression(expression: &Expr, functions: &KnownFunctions, text: &SqlText) -> Result<Expr> {
    let mut expression = expression.clone();
    let mut errors = ExpressionRewriter::new(functions, text, "here").without_aggregates().rewrite(&mut expression);
    if errors.is_empty() { Ok(expression) } else { Err(errors.swap_remove(0)) }
}

/// The state of one rewriting.
pub(crate) struct Rewriter<'a> {
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) text: &'a Arc<SqlText>,
    pub(crate) windows: Vec<WindowCall>,
    pub(crate) unnests: Vec<UnnestCall>,
    pub(crate) values: Vec<ValuesTable>,
    pub(crate) files: BTreeMap<String, Arc<CatalogTable>>,
    /// The queries of WITH that can be seen here, ready.
    pub(crate) ctes: Vec<ast::Cte>,
    /// The windows that the latest SELECT groups by.
    group_window: Option<GroupWindow>,
    pub(crate) whole: Range<usize>,
    /// What is wrong and does not keep the rest from being looked at.
    errors: RefCell<Vec<Error>>,
}

impl Rewriter<'_> {
    /// The place of a piece of syntax, or of the whole query where the parser knows none.
    pub(crate) fn place(&self, span: Span) -> Range<usize> {
        self.text.place(span).unwrap_or_else(|| self.whole.clone())
    }

    /// The error that refuses a piece of syntax.
    pub(crate) fn refuse(&self, span: Span, message: impl Into<String>, help: impl Into<String>) -> Error {
        Error::statement(message).help(help).at(self.place(span))
    }

    /// Keeps a window's call and gives the table factor that stands for it.
    pub(crate) fn window(&mut self, call: WindowCall, alias: Option<TableAlias>) -> TableFactor {
        self.windows.push(call);
        window::marker(self.windows.len() - 1, alias)
    }

    /// Makes the expressions of a clause ready. What is wrong in them is kept.
    ///
    /// # Errors
    /// None of its own: the callers' other steps have some.
    pub(crate) fn expression(&self, expression: &mut Expr, clause: &'static str) -> Result<()> {
        let wrong = ExpressionRewriter::new(self.scope.functions, self.text, clause).rewrite(expression);
        self.errors.borrow_mut().extend(wrong);
        Ok(())
    }

    fn query(&mut self, query: &mut Query) -> Result<()> {
        let visible = self.ctes.len();
        self.with(query)?;
        self.body(&mut query.body)?;
        self.order_by(query)?;
        self.limit(query)?;
        if !query.locks.is_empty() || query.for_clause.is_some() {
            return Err(self.refuse(query.body.span(), "FOR … after a query is not supported", "leave it out"));
        }
        if query.settings.is_some() || query.format_clause.is_some() || !query.pipe_operators.is_empty() {
            return Err(self.refuse(query.body.span(), "what follows the query is not Flink's", "leave it out"));
        }
        self.ctes.truncate(visible);
        Ok(())
    }

    fn with(&mut self, query: &mut Query) -> Result<()> {
        let Some(with) = &mut query.with else { return Ok(()) };
        if with.recursive {
            return Err(self.refuse(with.with_token.0.span, "WITH RECURSIVE is not supported", "leave out RECURSIVE"));
        }
        for cte in &mut with.cte_tables {
            self.query(&mut cte.query)?;
            self.ctes.push(cte.clone());
        }
        Ok(())
    }

    fn body(&mut self, body: &mut SetExpr) -> Result<()> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let is_by_row = match op {
                    SetOperator::Union => {
                        matches!(set_quantifier, SetQuantifier::All | SetQuantifier::None | SetQuantifier::Distinct)
                    }
                    SetOperator::Intersect | SetOperator::Except => {
                        matches!(set_quantifier, SetQuantifier::None | SetQuantifier::Distinct)
                    }
                    SetOperator::Minus => false,
                };
                if !is_by_row {
                    let (what, help) = match (*op, *set_quantifier) {
                        (SetOperator::Minus, _) => ("MINUS is not supported".to_owned(), "write EXCEPT"),
                        (_, SetQuantifier::All) => {
                            (format!("{op} ALL is not supported"), "leave out ALL: of equal rows, one is kept")
                        }
                        _ => (format!("{op} BY NAME is not Flink's"), "columns go by position"),
                    };
                    return Err(self.refuse(right.span(), what, help));
                }
                self.body(left)?;
                self.body(right)
            }
            SetExpr::Values(_) => self.values(body),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                let span = body.span();
                Err(self.refuse(span, "a statement is not a query", "write SELECT, WITH or VALUES"))
            }
            SetExpr::Table(_) => {
                let span = body.span();
                Err(self.refuse(span, "TABLE t is not a query here", "write SELECT * FROM t"))
            }
        }
    }

    /// VALUES becomes a table that is planned with Flink's types.
    fn values(&mut self, body: &mut SetExpr) -> Result<()> {
        match std::mem::replace(body, SetExpr::Select(Box::new(empty_select()))) {
            SetExpr::Values(values) => *body = SetExpr::Select(Box::new(values::rewrite(self, values)?)),
            other => *body = other,
        }
        Ok(())
    }

    fn select(&mut self, select: &mut Select) -> Result<()> {
        self.refuse_clauses(select)?;
        let tables = unnest_syntax::names_of(&select.from);
        let written = select.from.clone();
        if let Err(error) = unnest_syntax::fold(self, &mut select.from) {
            select.from = written;
            // Without its columns nothing can be said about the rest of the SELECT, but about other queries.
            self.errors.borrow_mut().push(error);
            return Ok(());
        }
        star::expand(self, select);
        select_names::name_columns(select, &tables);
        self.group_window = group_window::rewrite(self, select)?;
        for item in &mut select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    self.expression(expr, "SELECT")?
                }
                SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {}
                SelectItem::ExprWithAliases { expr, .. } => {
                    let span = expr.span();
                    return Err(self.refuse(span, "one expression has one name", "write AS name"));
                }
            }
        }
        if let Some(selection) = &mut select.selection {
            self.expression(selection, "WHERE")?;
        }
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            for key in keys {
                // A bare number is the position of a column in the result.
                if !is_number(key) {
                    self.expression(key, "GROUP BY")?;
                }
            }
        }
        if let Some(having) = &mut select.having {
            self.expression(having, "HAVING")?;
        }
        Ok(())
    }

    fn refuse_clauses(&self, select: &Select) -> Result<()> {
        let here = select.select_token.0.span;
        if let Some(Distinct::On(columns)) = &select.distinct {
            let span = Span::union_iter(columns.iter().map(Spanned::span));
            return Err(self.refuse(span, "DISTINCT ON is not Flink's", "GROUP BY with FIRST_VALUE or LAST_VALUE"));
        }
        if let Some(name) = select.named_window.first() {
            let span = name.0.span;
            return Err(self.refuse(span, "OVER windows are not supported", "a window table function with GROUP BY"));
        }
        if let Some(qualify) = &select.qualify {
            return Err(self.refuse(qualify.span(), "QUALIFY is not supported", "filter groups with HAVING"));
        }
        if let Some(into) = &select.into {
            return Err(self.refuse(into.name.span(), "SELECT INTO is not Flink's", "INSERT INTO t SELECT …"));
        }
        let is_other = select.top.is_some()
            || select.exclude.is_some()
            || select.prewhere.is_some()
            || select.select_modifiers.is_some()
            || select.value_table_mode.is_some()
            || !select.lateral_views.is_empty()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || !select.optimizer_hints.is_empty();
        if is_other {
            return Err(self.refuse(here, "this SELECT has clauses that are not Flink's", "see the SQL reference"));
        }
        self.refuse_group_by(&select.group_by)
    }

    fn refuse_group_by(&self, group_by: &GroupByExpr) -> Result<()> {
        let help = "one GROUP BY for each set of keys, put together with UNION ALL";
        match group_by {
            GroupByExpr::All(_) => Err(self.refuse(group_by.span(), "GROUP BY ALL is not Flink's", "name the keys")),
            GroupByExpr::Expressions(keys, modifiers) => {
                if !modifiers.is_empty() {
                    return Err(self.refuse(group_by.span(), "WITH ROLLUP, CUBE and TOTALS are not supported", help));
                }
                match keys
                    .iter()
                    .find(|key| matches!(key, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) | Expr::Tuple(_)))
                {
                    Some(Expr::Tuple(_)) => {
                        Err(self.refuse(group_by.span(), "keys in parentheses are not supported", "write them without"))
                    }
                    Some(_) => {
                        Err(self.refuse(group_by.span(), "GROUPING SETS, CUBE and ROLLUP are not supported", help))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    /// Makes something in FROM ready.
    pub(crate) fn table_factor(&mut self, factor: &mut TableFactor) -> Result<()> {
        let span = factor.span();
        match factor {
            TableFactor::Table { args: Some(_), .. } | TableFactor::TableFunction { .. } => {
                *factor = table_function::rewrite(self, factor)?;
                Ok(())
            }
            TableFactor::Table {
                name,
                version,
                sample,
                with_hints,
                with_ordinality,
                partitions,
                json_path,
                index_hints,
                ..
            } => {
                if version.is_some() {
                    return Err(self.refuse(span, "FOR SYSTEM_TIME is not supported", "read the table as it is"));
                }
                if sample.is_some() {
                    return Err(self.refuse(span, "TABLESAMPLE is not supported", "filter with WHERE"));
                }
                let is_other = !with_hints.is_empty()
                    || *with_ordinality
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_hints.is_empty();
                if is_other {
                    return Err(self.refuse(span, "what follows the table is not Flink's", "leave it out"));
                }
                self.table_name(name)
            }
            TableFactor::Derived { lateral, subquery, sample, .. } => {
                if *lateral {
                    return Err(self.refuse(span, "LATERAL is not supported", "a derived table without it"));
                }
                if sample.is_some() {
                    return Err(self.refuse(span, "TABLESAMPLE is not supported", "filter with WHERE"));
                }
                self.query(subquery)
            }
            TableFactor::NestedJoin { .. } => {
                Err(self.refuse(span, "joins are not supported", "read one table, or several with UNION ALL"))
            }
            TableFactor::UNNEST { .. } | TableFactor::Function { .. } => Err(self.refuse(
                span,
                "table functions other than those of windows are not supported",
                "TABLE(TUMBLE(TABLE t, …))",
            )),
            TableFactor::MatchRecognize { .. } => {
                Err(self.refuse(span, "MATCH_RECOGNIZE is not supported", "aggregate with GROUP BY"))
            }
            _ => Err(self.refuse(
                span,
                "this is not Flink's FROM",
                "a table, a view, a query in parentheses or TABLE(TUMBLE(…))",
            )),
        }
    }

    /// A table, a view, a WITH or a file: it must be there.
    fn table_name(&mut self, name: &mut ObjectName) -> Result<()> {
        let span = name.span();
        let parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
        if let [file] = &parts[..]
            && file.quote_style == Some('\'')
        {
            if !self.files.contains_key(&file.value) {
                let place = || self.text.path(&file.value, &self.whole).unwrap_or_else(|| self.place(span));
                let table = (self.scope.open_file)(&file.value).map_err(|error| error.at(place()))?;
                self.files.insert(file.value.clone(), Arc::new(table));
            }
            return Ok(());
        }
        let texts: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        let value = object_name(&texts).map_err(|error| error.at(self.place(span)))?;
        let is_cte = self.ctes.iter().any(|cte| cte.alias.name.value == value);
        if !is_cte && self.scope.catalog.get(&value).is_none() {
            let ctes = self.ctes.iter().map(|cte| cte.alias.name.value.as_str());
            return Err(self.scope.catalog.unknown(&value, "table", ctes, self.place(span)));
        }
        if !is_cte
            && let Some(Entry::Table(table)) = self.scope.catalog.get(&value)
            && !table.table.connector.supports_reading()
        {
            let connector = table.table.connector.name();
            let help = "FROM a table with 'filesystem', 'stdin' or 'datagen'";
            return Err(self.refuse(
                span,
                format!("`{value}` can only be written: its connector is '{connector}'"),
                help,
            ));
        }
        let last = parts.last().map_or(span, |part| part.span);
        *name = ObjectName(vec![ObjectNamePart::Identifier(Ident { value, quote_style: Some('`'), span: last })]);
        Ok(())
    }

    fn order_by(&self, query: &mut Query) -> Result<()> {
        let Some(order_by) = &mut query.order_by else { return Ok(()) };
        let span = query.body.span();
        let OrderByKind::Expressions(keys) = &mut order_by.kind else {
            return Err(self.refuse(span, "ORDER BY ALL is not Flink's", "name the columns"));
        };
        if order_by.interpolate.is_some() || keys.iter().any(|key| key.with_fill.is_some()) {
            return Err(self.refuse(span, "WITH FILL is not Flink's", "leave it out"));
        }
        let window = self.group_window.as_ref().filter(|_| matches!(*query.body, SetExpr::Select(_)));
        for key in keys {
            if let Some(window) = window {
                group_window::replace_bounds_in(self, &mut key.expr, window)?;
            }
            if !is_number(&key.expr) {
                self.expression(&mut key.expr, "ORDER BY")?;
            }
        }
        Ok(())
    }

    /// FETCH FIRST becomes LIMIT; numbers must be literals.
    fn limit(&self, query: &mut Query) -> Result<()> {
        let span = query.body.span();
        if let Some(fetch) = query.fetch.take() {
            if fetch.with_ties || fetch.percent {
                return Err(self.refuse(
                    span,
                    "FETCH WITH TIES and PERCENT are not supported",
                    "FETCH FIRST 10 ROWS ONLY",
                ));
            }
            let limit = Some(
                fetch.quantity.unwrap_or_else(|| Expr::Value(Value::Number("1".to_owned(), false).with_span(span))),
            );
            let offset = match query.limit_clause.take() {
                None => None,
                Some(LimitClause::LimitOffset { limit: None, offset, .. }) => offset,
                Some(_) => return Err(self.refuse(span, "LIMIT and FETCH say the same", "leave one of them out")),
            };
            query.limit_clause = Some(LimitClause::LimitOffset { limit, offset, limit_by: Vec::new() });
        }
        let numbers: Vec<&Expr> = match &query.limit_clause {
            None => return Ok(()),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                if let Some(by) = limit_by.first() {
                    return Err(self.refuse(by.span(), "LIMIT BY is not Flink's", "leave BY out"));
                }
                limit.iter().chain(offset.iter().map(|offset| &offset.value)).collect()
            }
            Some(LimitClause::OffsetCommaLimit { offset, .. }) => {
                return Err(self.refuse(
                    offset.span(),
                    "LIMIT offset, count is not Flink's",
                    "LIMIT count OFFSET offset",
                ));
            }
        };
        match numbers.into_iter().find(|number| !is_count(number)) {
            Some(wrong) => Err(self.refuse(wrong.span(), "LIMIT, OFFSET and FETCH take a whole number", "LIMIT 10")),
            None => Ok(()),
        }
    }
}

/// A number as it is written, before literals get their types.
fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(..)))
}

fn is_count(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(&value.value, Value::Number(text, _) if text.parse::<u32>().is_ok()))
}
