//! Window functions in FROM, with and without `TABLE(…)`, with positional and with named arguments.

use sqlparser::ast::{
    self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Spanned,
    TableAlias, TableFactor,
};
use sqlparser::tokenizer::Span;

use thalweg_operators::spec::WindowKind;

use super::dialect::TABLE_PREFIX;
use super::nearest;
use super::rewrite::Rewriter;
use super::syntax;
use super::window::{WindowCall, WindowNames};
use super::window_function::{FUNCTIONS, WindowFunction};
use crate::error::{Error, Result};

const FORM: &str = FUNCTIONS[0].form;

/// The table factor that stands for a window function's call.
///
/// # Errors
/// If the function is another one, or its arguments are wrong.
pub(crate) fn rewrite(rewriter: &mut Rewriter<'_>, factor: &TableFactor) -> Result<TableFactor> {
    let span = factor.span();
    let (name, args, alias): (&ObjectName, Vec<FunctionArg>, &Option<TableAlias>) = match factor {
        TableFactor::Table { name, args: Some(args), alias, .. } => (name, args.args.clone(), alias),
        TableFactor::TableFunction { expr: Expr::Function(Function { name, args, .. }), alias } => match args {
            FunctionArguments::List(list) => (name, list.args.clone(), alias),
            _ => return Err(rewriter.refuse(span, "a window function needs arguments", FORM)),
        },
        _ => return Err(rewriter.refuse(span, "TABLE(…) takes the call of a window function", FORM)),
    };
    let function = function(rewriter, name)?;
    let mut args = arguments(rewriter, function, args, name.span())?.into_iter();
    let mut required = |parameter: &str, form: &str| {
        args.next().flatten().ok_or_else(|| {
            let message = format!("{} lacks {parameter}", function.name);
            rewriter.refuse(name.span(), message, format!("{form}; the whole: {}", function.form))
        })
    };
    let data = required("its rows (DATA)", "TABLE t")?;
    let time = required("its time attribute (TIMECOL)", "DESCRIPTOR(time_column)")?;
    let intervals = function.parameters[2..].iter().take(function.intervals());
    let intervals =
        intervals.map(|name| required(&format!("its {} ({name})", name.to_lowercase()), "INTERVAL '1' MINUTE"));
    let intervals = intervals.collect::<Result<Vec<_>>>()?;
    let offset = args.next().flatten();
    let time = descriptor(rewriter, &time)?;
    let shape = function.shape(rewriter, &intervals, offset.as_ref())?;
    let (data, partition) = with_keys(data);
    if let Some(key) = partition.first().filter(|_| function.kind != WindowKind::Session) {
        let message = format!("{} has no PARTITION BY: its windows are the same for all rows", function.name);
        return Err(rewriter.refuse(key.span(), message, function.form));
    }
    let mut input = input(rewriter, data)?;
    rewriter.table_factor(&mut input)?;
    let time_span = rewriter.place(time.span());
    let call = WindowCall { input, time, time_span, shape, partition, names: WindowNames::TABLE_FUNCTION };
    Ok(rewriter.window(call, alias.clone()))
}

/// The window function of this name.
fn function(rewriter: &Rewriter<'_>, name: &ObjectName) -> Result<&'static WindowFunction> {
    let upper = name.to_string().to_uppercase();
    if let Some(function) = WindowFunction::named(&upper) {
        return Ok(function);
    }
    let error = rewriter.refuse(name.span(), format!("there is no table function `{name}`"), FORM);
    Err(match nearest(&upper, FUNCTIONS.iter().map(|function| function.name)) {
        Some(near) => Error { help: Some(format!("did you mean {near}?")), ..error },
        None => error,
    })
}

/// The arguments in the order of the parameters.
fn arguments(
    rewriter: &Rewriter<'_>,
    function: &WindowFunction,
    args: Vec<FunctionArg>,
    call: Span,
) -> Result<Vec<Option<Expr>>> {
    let WindowFunction { name, parameters, form, .. } = *function;
    let mut by_parameter = vec![None; parameters.len()];
    for (position, arg) in args.into_iter().enumerate() {
        let span = arg.span();
        let (index, value) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if position < parameters.len() => (position, value),
            FunctionArg::Unnamed(_) => {
                let numbers = match parameters.len() {
                    3 => "three",
                    4 => "three or four",
                    _ => "four or five",
                };
                return Err(rewriter.refuse(span, format!("{name} takes {numbers} arguments"), form));
            }
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                (parameter(rewriter, function, &name)?, value)
            }
            FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
                return Err(rewriter.refuse(span, format!("this is not an argument of {name}"), form));
            }
        };
        if by_parameter[index].replace(value).is_some() {
            let message = format!("{} is given twice", parameters[index]);
            return Err(rewriter.refuse(if span == Span::empty() { call } else { span }, message, form));
        }
    }
    Ok(by_parameter)
}

fn parameter(rewriter: &Rewriter<'_>, function: &WindowFunction, name: &Ident) -> Result<usize> {
    let upper = name.value.to_uppercase();
    if let Some(index) = function.parameters.iter().position(|parameter| *parameter == upper) {
        return Ok(index);
    }
    let help = match nearest(&upper, function.parameters.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("they are {}", function.parameters.join(", ")),
    };
    Err(rewriter.refuse(name.span, format!("{} has no parameter `{}`", function.name, name.value), help))
}

/// The column in `DESCRIPTOR(column)`.
fn descriptor(rewriter: &Rewriter<'_>, argument: &Expr) -> Result<Expr> {
    let refuse =
        |span: Span| rewriter.refuse(span, "the time attribute of a window is given as DESCRIPTOR(column)", FORM);
    let Expr::Function(function) = argument else { return Err(refuse(argument.span())) };
    let FunctionArguments::List(list) = &function.args else { return Err(refuse(argument.span())) };
    match &list.args[..] {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(column @ Expr::Identifier(_)))]
            if function.name.to_string().eq_ignore_ascii_case("DESCRIPTOR") =>
        {
            Ok(column.clone())
        }
        _ => Err(refuse(argument.span())),
    }
}

/// The milliseconds of a literal interval.
///
/// # Errors
/// If it is not one, or counts months, which have no fixed length.
pub(crate) fn interval_ms(rewriter: &Rewriter<'_>, argument: &Expr) -> Result<i64> {
    let span = argument.span();
    if !matches!(argument, Expr::Interval(_)) {
        return Err(rewriter.refuse(span, "the size and offset of a window are intervals", "INTERVAL '1' MINUTE"));
    }
    let fixed = fixed_interval_ms(argument).map_err(|error| error.at(rewriter.place(span)))?;
    fixed.ok_or_else(|| {
        rewriter.refuse(span, "a window's size and offset have a fixed length; months have none", "INTERVAL '30' DAY")
    })
}

/// The milliseconds of a literal interval; `None` if it counts months, or is not one.
///
/// # Errors
/// If the literal is malformed.
pub(crate) fn fixed_interval_ms(interval: &Expr) -> Result<Option<i64>> {
    let mut interval = interval.clone();
    // A literal comes out as `3 days 250 milliseconds`, or as so many months.
    syntax::rewrite(&mut interval)?;
    let Expr::Interval(ast::Interval { value, leading_field: None, .. }) = interval else { return Ok(None) };
    let Expr::Value(value) = *value else { return Ok(None) };
    let Some(text) = value.into_string() else { return Ok(None) };
    let words: Vec<&str> = text.split(' ').collect();
    let [days, "days", ms, "milliseconds"] = words[..] else { return Ok(None) };
    let (Ok(days), Ok(ms)) = (days.parse::<i64>(), ms.parse::<i64>()) else { return Ok(None) };
    Ok(days.checked_mul(86_400_000).and_then(|days_ms| days_ms.checked_add(ms)))
}

/// `TABLE t PARTITION BY k` as `TABLE t` and its keys.
fn with_keys(data: Expr) -> (Expr, Vec<Expr>) {
    match data {
        Expr::Prefixed { prefix, value } => match *value {
            Expr::Tuple(mut parts) if !parts.is_empty() => {
                let keys = parts.split_off(1);
                (Expr::Prefixed { prefix, value: Box::new(parts.remove(0)) }, keys)
            }
            value => (Expr::Prefixed { prefix, value: Box::new(value) }, Vec::new()),
        },
        data => (data, Vec::new()),
    }
}

/// `TABLE t`, or a query in parentheses.
fn input(rewriter: &Rewriter<'_>, argument: Expr) -> Result<TableFactor> {
    match argument {
        Expr::Prefixed { prefix, value } if prefix.value.eq_ignore_ascii_case(TABLE_PREFIX) => {
            let Expr::CompoundIdentifier(parts) = *value else {
                return Err(rewriter.refuse(value.span(), "a window's rows come from a table", "TABLE t"));
            };
            let name = ObjectName(parts.into_iter().map(ObjectNamePart::Identifier).collect());
            Ok(TableFactor::Table {
                name,
                alias: None,
                args: None,
                with_hints: Vec::new(),
                version: None,
                with_ordinality: false,
                partitions: Vec::new(),
                json_path: None,
                sample: None,
                index_hints: Vec::new(),
            })
        }
        Expr::Subquery(subquery) => Ok(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None }),
        other => {
            let help = match &other {
                Expr::Identifier(name) => format!("write TABLE {name}"),
                _ => "TABLE t, or a query in parentheses".to_owned(),
            };
            Err(rewriter.refuse(other.span(), "a window's rows come from a table or a query", help))
        }
    }
}
