//! The older form of a windowed aggregation: `GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)` with TUMBLE_START, TUMBLE_END and
//! TUMBLE_ROWTIME. It becomes a window over what is in FROM, grouped by the window's start, end and time.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Select, SelectItem, Spanned,
    VisitMut, VisitorMut,
};

use super::rewrite::Rewriter;
use super::table_function::interval_ms;
use super::window::{WindowCall, WindowNames};
use crate::error::{Error, Result};

const FORM: &str = "GROUP BY TUMBLE(time_column, INTERVAL '1' MINUTE)";

/// Rewrites a SELECT that groups by TUMBLE, and gives that call's arguments; leaves others as they are.
///
/// # Errors
/// If the call is wrong, or its time is not the group's.
pub(crate) fn rewrite(rewriter: &mut Rewriter<'_>, select: &mut Select) -> Result<Option<Vec<Expr>>> {
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
    if name != "TUMBLE" {
        return Err(rewriter.refuse(
            span,
            format!("{name} windows are not supported yet"),
            format!("TUMBLE windows are: {FORM}"),
        ));
    }
    if let Some(second) = keys[at + 1..].iter().find(|key| window_function(key).is_some()) {
        return Err(rewriter.refuse(second.span(), "one GROUP BY has one window", FORM));
    }
    let [time @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)), size] = &args[..] else {
        return Err(rewriter.refuse(span, "TUMBLE takes a time attribute and the window's size", FORM));
    };
    let size_ms = interval_ms(rewriter, size)?;
    if size_ms <= 0 {
        return Err(rewriter.refuse(size.span(), "a window's size must be greater than zero", FORM));
    }
    let [from] = &mut select.from[..] else {
        return Err(rewriter.refuse(span, "a window needs a FROM", FORM));
    };
    let names = WindowNames::GROUP;
    let call = WindowCall {
        input: from.relation.clone(),
        time: time.clone(),
        time_span: rewriter.place(time.span()),
        size_ms,
        offset_ms: 0,
        names,
    };
    from.relation = rewriter.window(call, None);
    let columns = [names.start, names.end, names.time].map(|name| Expr::Identifier(Ident::with_span(span, name)));
    keys.splice(at..=at, columns);
    replace_bounds(rewriter, select, &args)?;
    Ok(Some(args))
}

/// Replaces TUMBLE_START and its kin in SELECT and HAVING by the window's columns.
fn replace_bounds(rewriter: &Rewriter<'_>, select: &mut Select, args: &[Expr]) -> Result<()> {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            replace_bounds_in(rewriter, expr, args)?;
        }
    }
    select.having.iter_mut().try_for_each(|having| replace_bounds_in(rewriter, having, args))
}

/// The same in one expression, of ORDER BY for example.
///
/// # Errors
/// If the arguments are not those of the window in GROUP BY.
pub(crate) fn replace_bounds_in(rewriter: &Rewriter<'_>, expr: &mut Expr, args: &[Expr]) -> Result<()> {
    match expr.visit(&mut Bounds { rewriter, args }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Bounds<'a, 'r> {
    rewriter: &'a Rewriter<'r>,
    /// Of the window in GROUP BY.
    args: &'a [Expr],
}

impl VisitorMut for Bounds<'_, '_> {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Some((name, args)) = call(expr) else { return ControlFlow::Continue(()) };
        let Some(column) = bound_column(&name) else { return ControlFlow::Continue(()) };
        // Syntax trees compare without their places.
        if args != self.args {
            let message = format!("{name} is not of the window in GROUP BY");
            let help = "give it the same column and the same interval as TUMBLE in GROUP BY";
            return ControlFlow::Break(self.rewriter.refuse(expr.span(), message, help));
        }
        *expr = Expr::Identifier(Ident::with_span(expr.span(), column));
        ControlFlow::Continue(())
    }
}

fn bound_column(name: &str) -> Option<&'static str> {
    match name {
        "TUMBLE_START" => Some(WindowNames::GROUP.start),
        "TUMBLE_END" => Some(WindowNames::GROUP.end),
        "TUMBLE_ROWTIME" => Some(WindowNames::GROUP.time),
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
