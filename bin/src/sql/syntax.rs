//! Forms of Flink's syntax that DataFusion's front-end does not plan, rewritten into forms that it does.
//!
//! Literals keep their exact type here (`1e3` is a DOUBLE, `TIMESTAMP '… .123'` a TIMESTAMP(3)), intervals are reduced to
//! months or milliseconds, and units of time become strings: `FLOOR(ts TO HOUR)` is `floor(ts, 'HOUR')`.

use sqlparser::ast::{
    AccessExpr, CastKind, CeilFloorKind, DataType, DateTimeField, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Interval, ObjectName, Spanned, Subscript,
    TimezoneInfo, TypedString, UnaryOperator, Value,
};
use sqlparser::tokenizer::Span;

use super::cast;
use super::functions::moments::{parse_date, parse_time, parse_timestamp};
use super::functions::nested;
use super::types::FlinkType;
use crate::error::{Error, Result};

/// Rewrites one expression, whose parts are rewritten already: for `VisitorMut::post_visit_expr`.
///
/// # Errors
/// If a literal is malformed.
pub fn rewrite(expr: &mut Expr) -> Result<()> {
    let span = expr.span();
    let replacement = match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.contains(['e', 'E']) => {
                constant(digits.clone(), &DataType::Double(ExactNumberInfo::None))?
            }
            _ => return Ok(()),
        },
        Expr::Floor { expr, field } => match rounded("floor", expr, field)? {
            Some(call) => call,
            None => return Ok(()),
        },
        Expr::Ceil { expr, field } => match rounded("ceil", expr, field)? {
            Some(call) => call,
            None => return Ok(()),
        },
        Expr::Cast { kind, expr: operand, data_type, .. } => {
            let name = if *kind == CastKind::TryCast { cast::TRY_CAST_TO } else { cast::CAST_TO };
            called(name, span, vec![(**operand).clone(), text(FlinkType::from_ast(data_type)?.to_string())])
        }
        Expr::CompoundFieldAccess { root, access_chain } => accessed(root, access_chain)?,
        Expr::Tuple(values) => called(nested::ROW, span, values.clone()),
        Expr::Interval(interval) => reduced(interval)?,
        Expr::TypedString(literal) => typed_literal(literal)?,
        Expr::Function(function) => {
            unit_argument(function);
            return Ok(());
        }
        _ => return Ok(()),
    };
    *expr = replacement;
    Ok(())
}

fn text(value: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).into())
}

fn constant(value: String, data_type: &DataType) -> Result<Expr> {
    let to = FlinkType::from_ast(data_type)?.to_string();
    Ok(called(cast::CAST_TO, Span::empty(), vec![text(value), text(to)]))
}

fn rounded(name: &str, expr: &Expr, field: &CeilFloorKind) -> Result<Option<Expr>> {
    let unit = match field {
        CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => return Ok(None),
        CeilFloorKind::DateTimeField(field) => field.to_string(),
        CeilFloorKind::Scale(_) => {
            let shown = name.to_uppercase();
            return Err(Error::statement(format!("{shown} takes one number")).help("ROUND(x, digits) keeps digits"));
        }
    };
    Ok(Some(called(name, Span::empty(), vec![expr.clone(), text(unit)])))
}

/// `a[1].f` as calls of the functions that take an item and a field.
fn accessed(root: &Expr, chain: &[AccessExpr]) -> Result<Expr> {
    let mut value = root.clone();
    for access in chain {
        value = match (value, access) {
            // What may still be the name of a table and a column.
            (Expr::Identifier(first), AccessExpr::Dot(Expr::Identifier(name))) => {
                Expr::CompoundIdentifier(vec![first, name.clone()])
            }
            (Expr::CompoundIdentifier(mut names), AccessExpr::Dot(Expr::Identifier(name))) => {
                names.push(name.clone());
                Expr::CompoundIdentifier(names)
            }
            (value, AccessExpr::Dot(Expr::Identifier(name))) => {
                called(nested::FIELD, name.span, vec![value, text(name.value.clone())])
            }
            (value, AccessExpr::Subscript(Subscript::Index { index })) => {
                called(nested::ITEM, value.span(), vec![value, index.clone()])
            }
            (_, AccessExpr::Subscript(slice)) => {
                return Err(Error::statement(format!("`[{slice}]` is not Flink's"))
                    .help("a[1] is one item; ARRAY_SLICE(a, 1, 3) takes several"));
            }
            (_, AccessExpr::Dot(other)) => {
                return Err(Error::statement(format!("`{other}` is no field of a row")).help("r.f takes a field"));
            }
        };
    }
    Ok(value)
}

/// A call of a function by position.
pub(crate) fn called(name: &str, span: Span, arguments: Vec<Expr>) -> Expr {
    let argument = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_span(span, name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(argument).collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// `TIMESTAMPADD(DAY, …)`: the unit is a word, which would be taken for a column.
fn unit_argument(function: &mut Function) {
    let name = function.name.to_string();
    if !["TIMESTAMPADD", "TIMESTAMPDIFF"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return;
    }
    let FunctionArguments::List(list) = &mut function.args else { return };
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit))) = list.args.first_mut()
        && let Expr::Identifier(word) = unit
    {
        *unit = text(word.value.to_uppercase());
    }
}

fn typed_literal(literal: &TypedString) -> Result<Expr> {
    let TypedString { data_type, value, .. } = literal;
    let Some(written) = value.clone().into_string() else {
        return Err(Error::statement(format!("{data_type} takes a string, not {value}")));
    };
    let digits = || written.trim().rsplit_once('.').map_or(0, |(_, fraction)| fraction.len().min(9) as u64);
    let malformed = |form: &str| {
        Error::statement(format!("{data_type} '{written}' is not a value of its type"))
            .help(format!("the form is {form}"))
    };
    let data_type = match data_type {
        DataType::Date if parse_date(&written).is_none() => return Err(malformed("DATE '2026-01-31'")),
        DataType::Time(..) if parse_time(&written).is_none() => return Err(malformed("TIME '23:59:59'")),
        DataType::Timestamp(None, TimezoneInfo::None) if parse_timestamp(&written).is_none() => {
            return Err(malformed("TIMESTAMP '2026-01-31 23:59:59.123'"));
        }
        DataType::Time(None, zone) => DataType::Time(Some(digits().min(3)), *zone),
        DataType::Timestamp(None, TimezoneInfo::None) => DataType::Timestamp(Some(digits()), TimezoneInfo::None),
        other => other.clone(),
    };
    constant(written, &data_type)
}

/// An interval in months, or in days and milliseconds.
fn reduced(interval: &Interval) -> Result<Expr> {
    let malformed = || {
        Error::statement(format!("{interval} is not an interval")).help(
            "INTERVAL '5' SECOND, INTERVAL '1:30' HOUR TO MINUTE, INTERVAL '1 02:03:04.5' DAY TO SECOND, \
             INTERVAL '2-6' YEAR TO MONTH",
        )
    };
    let (written, is_negated) = signed_text(&interval.value).ok_or_else(malformed)?;
    let first = interval.leading_field.as_ref().and_then(Unit::of).ok_or_else(malformed)?;
    let last = match &interval.last_field {
        None => first,
        Some(field) => Unit::of(field).ok_or_else(malformed)?,
    };
    let written = written.trim();
    let (is_minus, unsigned) = match written.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, written.strip_prefix('+').unwrap_or(written)),
    };
    let amount = match (first, last) {
        (first, last) if first == last => single(unsigned, first),
        (Unit::Year, Unit::Month) => years_and_months(unsigned),
        (first, last) if first.ms() > last.ms() && last.ms() > 0 => fields(unsigned, first, last),
        _ => None,
    };
    let amount = amount.filter(|amount| *amount <= i64::MAX / 2).ok_or_else(malformed)?;
    let amount = if is_minus != is_negated { -amount } else { amount };
    let reduced = if first.ms() == 0 {
        i32::try_from(amount).map_err(|_| malformed())?;
        format!("{amount} months")
    } else {
        let (days, ms) = (amount / 86_400_000, amount % 86_400_000);
        i32::try_from(days).map_err(|_| malformed())?;
        format!("{days} days {ms} milliseconds")
    };
    Ok(Expr::Interval(Interval {
        value: Box::new(text(reduced)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }))
}

fn signed_text(value: &Expr) -> Option<(String, bool)> {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some((text.clone(), false)),
            Value::Number(digits, _) => Some((digits.clone(), false)),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            signed_text(expr).map(|(text, is_negated)| (text, !is_negated))
        }
        Expr::Nested(expr) | Expr::UnaryOp { op: UnaryOperator::Plus, expr } => signed_text(expr),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

impl Unit {
    fn of(field: &DateTimeField) -> Option<Self> {
        Some(match field {
            DateTimeField::Year | DateTimeField::Years => Self::Year,
            DateTimeField::Quarter => Self::Quarter,
            DateTimeField::Month | DateTimeField::Months => Self::Month,
            DateTimeField::Week(None) | DateTimeField::Weeks => Self::Week,
            DateTimeField::Day | DateTimeField::Days => Self::Day,
            DateTimeField::Hour | DateTimeField::Hours => Self::Hour,
            DateTimeField::Minute | DateTimeField::Minutes => Self::Minute,
            DateTimeField::Second | DateTimeField::Seconds => Self::Second,
            _ => return None,
        })
    }

    /// 0 for units of months.
    fn ms(self) -> i64 {
        match self {
            Self::Year | Self::Quarter | Self::Month => 0,
            Self::Week => 604_800_000,
            Self::Day => 86_400_000,
            Self::Hour => 3_600_000,
            Self::Minute => 60_000,
            Self::Second => 1_000,
        }
    }
}

fn number(digits: &str) -> Option<i64> {
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| digits.parse().ok())?
}

/// Milliseconds of `5` or `5.25` seconds.
fn seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let ms: String = fraction.chars().chain("000".chars()).take(3).collect();
    number(whole)?.checked_mul(1_000)?.checked_add(number(&ms)?)
}

fn single(text: &str, unit: Unit) -> Option<i64> {
    match unit {
        Unit::Second => seconds(text),
        Unit::Year => number(text)?.checked_mul(12),
        Unit::Quarter => number(text)?.checked_mul(3),
        Unit::Month => number(text),
        unit => number(text)?.checked_mul(unit.ms()),
    }
}

fn years_and_months(text: &str) -> Option<i64> {
    let (years, months) = text.split_once('-')?;
    let months = number(months).filter(|months| *months < 12)?;
    number(years)?.checked_mul(12)?.checked_add(months)
}

/// `1 02:03:04.5`, from its first unit to its last.
fn fields(text: &str, first: Unit, last: Unit) -> Option<i64> {
    const UNITS: [Unit; 4] = [Unit::Day, Unit::Hour, Unit::Minute, Unit::Second];
    let place = |unit: Unit| UNITS.iter().position(|known| *known == unit);
    let units = &UNITS[place(first)?..=place(last)?];
    let mut rest = text;
    let mut total = 0_i64;
    for (index, unit) in units.iter().enumerate() {
        let is_last = index + 1 == units.len();
        let separator = if *unit == Unit::Day { ' ' } else { ':' };
        let (part, behind) = if is_last { (rest, "") } else { rest.split_once(separator)? };
        let amount = if *unit == Unit::Second { seconds(part)? } else { number(part)?.checked_mul(unit.ms())? };
        // All but the first have a bound: 24 hours are a day.
        if index > 0 && amount >= UNITS[place(*unit)? - 1].ms() {
            return None;
        }
        total = total.checked_add(amount)?;
        rest = behind.trim_start();
    }
    Some(total)
}
