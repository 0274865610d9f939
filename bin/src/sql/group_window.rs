//! The older form of a windowed aggregation: `GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)` with TUMBLE_START, TUMBLE_END and
//! TUMBLE_ROWTIME, and the same with HOP and SESSION, whose sessions are those of the other keys. It becomes a window over what is in FROM, grouped by the window's start, end and time.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Select, SelectItem, Spanned,
    VisitMut, VisitorMut,
};
use thalweg_operators::spec::WindowKind;

use super::rewrite::Rewriter;
use super::window::WindowCall;
use super::window_function::WindowFunction;
use crate::error::{Error, Result};

const FORM: &str = "GROUP BY TUMBLE(time_column, INTERVAL '1' MINUTE)";

/// A window in GROUP BY.
#[derive(Clone, Debug)]
pub(crate) struct GroupWindow {
    function: &'static WindowFunction,
    args: Vec<Expr>,
}

/// Rewrites a SELECT that groups by windows, and gives that call; leaves others as they are.
///
/// # Errors
/// If the call is wrong, or its time is not the group's.
pub(crate) fn rewrite(rewriter: &mut Rewriter<'_>, select: &mut Select) -> Result<Option<GroupWindow>> {
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return Ok(None) };
    let Some(at) = keys.iter().position(|key| window_function(key).is_some()) else {
        return match bounds_without_group(rewriter, select) {
            Some(error) => Err(error),
            None => Ok(None),
        };
    };
    let key = keys[at].clone();
    let span = key.span();
    let (name, args) = window_function(&key).unwrap_or_default();
    let function = WindowFunction::named(&name).and_then(|function| Some((function, function.group_form?)));
    let Some((function, form)) = function else {
        let message = match WindowFunction::named(&name) {
            Some(function) => return Err(rewriter.refuse(span, format!("{name} stands in FROM"), function.form)),
            None => format!("{name} windows are not supported yet"),
        };
        return Err(rewriter.refuse(span, message, format!("TUMBLE windows are: {FORM}")));
    };
    if let Some(second) = keys[at + 1..].iter().find(|key| window_function(key).is_some()) {
        return Err(rewriter.refuse(second.span(), "one GROUP BY has one window", FORM));
    }
    let (time, intervals) = match args.split_first() {
        Some((time @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)), rest))
            if rest.len() == function.intervals() =>
        {
            (time, rest)
        }
        _ => {
            let what = match function.kind {
                WindowKind::Session => "the gap that ends a window",
                _ if function.intervals() == 1 => "the window's size",
                _ => "the slide and the size of its windows",
            };
            return Err(rewriter.refuse(span, format!("{name} takes a time attribute and {what}"), form));
        }
    };
    let shape = function.shape(rewriter, intervals, None)?;
    let partition = match function.kind {
        WindowKind::Session => {
            keys.iter().enumerate().filter(|(number, _)| *number != at).map(|(_, key)| key.clone()).collect()
        }
        _ => Vec::new(),
    };
    let is_column = |key: &&Expr| matches!(key, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    if let Some(key) = partition.iter().find(|key| !is_column(key)) {
        let help = "compute it in a subquery: FROM (SELECT …, expression AS k FROM t) GROUP BY k, SESSION(…)";
        return Err(rewriter.refuse(key.span(), "the groups beside SESSION are columns", help));
    }
    let [from] = &mut select.from[..] else {
        return Err(rewriter.refuse(span, "a window needs a FROM", FORM));
    };
    let names = function.names;
    let call = WindowCall {
        input: from.relation.clone(),
        time: time.clone(),
        time_span: rewriter.place(time.span()),
        shape,
        partition,
        names,
    };
    from.relation = rewriter.window(call, None);
    let columns = [names.start, names.end, names.time].map(|name| Expr::Identifier(Ident::with_span(span, name)));
    keys.splice(at..=at, columns);
    let window = GroupWindow { function, args };
    replace_bounds(rewriter, select, &window)?;
    Ok(Some(window))
}

/// Replaces TUMBLE_START and its kin in SELECT and HAVING by the window's columns.
fn replace_bounds(rewriter: &Rewriter<'_>, select: &mut Select, window: &GroupWindow) -> Result<()> {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            replace_bounds_in(rewriter, expr, window)?;
        }
    }
    select.having.iter_mut().try_for_each(|having| replace_bounds_in(rewriter, having, window))
}

/// The same in one expression, of ORDER BY for example.
///
/// # Errors
/// If the arguments are not those of the window in GROUP BY.
pub(crate) fn replace_bounds_in(rewriter: &Rewriter<'_>, expr: &mut Expr, window: &GroupWindow) -> Result<()> {
    match expr.visit(&mut Bounds { rewriter, window }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Bounds<'a, 'r> {
    rewriter: &'a Rewriter<'r>,
    window: &'a GroupWindow,
}

impl VisitorMut for Bounds<'_, '_> {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Some((name, args)) = call(expr) else { return ControlFlow::Continue(()) };
        let Some(column) = bound_column(&name) else { return ControlFlow::Continue(()) };
        // Syntax trees compare without their places.
        let GroupWindow { function, args: grouped } = self.window;
        let name_of_function = name.split('_').next();
        if args != *grouped || name_of_function != Some(function.name) {
            let message = format!("{name} is not of the window in GROUP BY");
            let help = format!("give it the same column and the same intervals as {} in GROUP BY", function.name);
            return ControlFlow::Break(self.rewriter.refuse(expr.span(), message, help));
        }
        *expr = Expr::Identifier(Ident::with_span(expr.span(), column));
        ControlFlow::Continue(())
    }
}

fn bound_column(name: &str) -> Option<&'static str> {
    let (function, bound) = name.split_once('_')?;
    let function = WindowFunction::named(function).filter(|function| function.group_form.is_some())?;
    match bound {
        "START" => Some(function.names.start),
        "END" => Some(function.names.end),
        "ROWTIME" => Some(function.names.time),
        _ => None,
    }
}

/// TUMBLE_START where no group has a window.
fn bounds_without_group(rewriter: &Rewriter<'_>, select: &Select) -> Option<Error> {
    let expressions = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    let wrong = expressions
        .chain(&select.having)
        .find(|expr| call(expr).is_some_and(|(name, _)| bound_column(&name).is_some()))?;
    let (name, _) = call(wrong)?;
    Some(rewriter.refuse(wrong.span(), format!("{name} needs a window in GROUP BY"), FORM))
}

/// Name and arguments of a group window function.
fn window_function(expr: &Expr) -> Option<(String, Vec<Expr>)> {
    call(expr).filter(|(name, _)| matches!(name.as_str(), "TUMBLE" | "HOP" | "SESSION" | "CUMULATE"))
}

/// Name in capitals and positional arguments of a call.
fn call(expr: &Expr) -> Option<(String, Vec<Expr>)> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else { return None };
    let args = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    Some((name.to_string().to_uppercase(), args.collect::<Option<Vec<_>>>()?))
}
