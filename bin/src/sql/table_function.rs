//! TUMBLE in FROM, with and without `TABLE(…)`, with positional and with named arguments.

use sqlparser::ast::{
    self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Spanned,
    TableAlias, TableFactor,
};
use sqlparser::tokenizer::Span;

use super::dialect::TABLE_PREFIX;
use super::nearest;
use super::rewrite::Rewriter;
use super::syntax;
use super::window::{WindowCall, WindowNames};
use crate::error::{Error, Result};

const FORM: &str = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(time_column), INTERVAL '1' MINUTE))";

/// The parameters in their order, under Flink's names.
const PARAMETERS: [&str; 4] = ["DATA", "TIMECOL", "SIZE", "OFFSET"];

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
    check_name(rewriter, name)?;
    let [data, time, size, offset] = arguments(rewriter, args, name.span())?;
    let required = |argument: Option<Expr>, parameter: &str, form: &str| {
        argument.ok_or_else(|| {
            rewriter.refuse(name.span(), format!("TUMBLE lacks {parameter}"), format!("{form}; the whole: {FORM}"))
        })
    };
    let data = required(data, "its rows (DATA)", "TABLE t")?;
    let time = required(time, "its time attribute (TIMECOL)", "DESCRIPTOR(time_column)")?;
    let size = required(size, "its size (SIZE)", "INTERVAL '1' MINUTE")?;
    let time = descriptor(rewriter, &time)?;
    let size_ms = interval_ms(rewriter, &size)?;
    if size_ms <= 0 {
        return Err(rewriter.refuse(size.span(), "a window's size must be greater than zero", "INTERVAL '1' MINUTE"));
    }
    let offset_ms = offset.as_ref().map_or(Ok(0), |offset| interval_ms(rewriter, offset))?;
    let mut input = input(rewriter, data)?;
    rewriter.table_factor(&mut input)?;
    let time_span = rewriter.place(time.span());
    let call = WindowCall { input, time, time_span, size_ms, offset_ms, names: WindowNames::TABLE_FUNCTION };
    Ok(rewriter.window(call, alias.clone()))
}

/// Only TUMBLE is there yet.
fn check_name(rewriter: &Rewriter<'_>, name: &ObjectName) -> Result<()> {
    let upper = name.to_string().to_uppercase();
    match upper.as_str() {
        "TUMBLE" => Ok(()),
        "HOP" | "CUMULATE" | "SESSION" => Err(rewriter.refuse(
            name.span(),
            format!("{upper} windows are not supported yet"),
            format!("TUMBLE windows are: {FORM}"),
        )),
        _ => {
            let error = rewriter.refuse(name.span(), format!("there is no table function `{name}`"), FORM);
            Err(match nearest(&upper, ["TUMBLE"].into_iter()) {
                Some(near) => Error { help: Some(format!("did you mean {near}?")), ..error },
                None => error,
            })
        }
    }
}

/// The arguments in the order of [`PARAMETERS`].
fn arguments(rewriter: &Rewriter<'_>, args: Vec<FunctionArg>, call: Span) -> Result<[Option<Expr>; 4]> {
    let mut by_parameter: [Option<Expr>; 4] = [const { None }; 4];
    for (position, arg) in args.into_iter().enumerate() {
        let span = arg.span();
        let (index, value) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if position < PARAMETERS.len() => (position, value),
            FunctionArg::Unnamed(_) => {
                return Err(rewriter.refuse(span, "TUMBLE takes three or four arguments", FORM));
            }
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => (parameter(rewriter, &name)?, value),
            FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
                return Err(rewriter.refuse(span, "this is not an argument of TUMBLE", FORM));
            }
        };
        if by_parameter[index].replace(value).is_some() {
            let message = format!("{} is given twice", PARAMETERS[index]);
            return Err(rewriter.refuse(if span == Span::empty() { call } else { span }, message, FORM));
        }
    }
    Ok(by_parameter)
}

fn parameter(rewriter: &Rewriter<'_>, name: &Ident) -> Result<usize> {
    let upper = name.value.to_uppercase();
    if let Some(index) = PARAMETERS.iter().position(|parameter| *parameter == upper) {
        return Ok(index);
    }
    let help = match nearest(&upper, PARAMETERS.into_iter()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("they are {}", PARAMETERS.join(", ")),
    };
    Err(rewriter.refuse(name.span, format!("TUMBLE has no parameter `{}`", name.value), help))
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
