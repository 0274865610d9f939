//! Flink's types for the expressions of a plan.
//!
//! DataFusion's front-end leaves literals as BIGINT, casts as Arrow's, and operands of different types side by side. The
//! rule [`FlinkTyping`] stands in the place of DataFusion's `TypeCoercion`: it gives literals Flink's types, binds every
//! function to the types of its arguments (see `functions::binding`), and casts where Flink casts silently. It runs once
//! on a plan, before any optimizer rule.

mod common_type;
pub(crate) mod nested;
pub(crate) mod set_operation;

use std::sync::Arc;

use datafusion_common::config::ConfigOptions;
use datafusion_common::metadata::FieldMetadata;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError, Diagnostic, ScalarValue, Span};
use datafusion_expr::expr::{Between, InList, Like, ScalarFunction};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::logical_plan::{LogicalPlan, Projection, Union};
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{BinaryExpr, Case, Expr, ExprSchemable, Operator};
use datafusion_optimizer::analyzer::AnalyzerRule;

use self::common_type::{comparison_type, not_comparable};
use super::arithmetic::decimals;
use super::cast::{CAST_TO, OnFailure, TRY_CAST_TO, cast, named_type};
use super::functions::binding::{Argument, Bound, Declared, Form, Value, to_datafusion};
use super::functions::named;
use super::types::FlinkType;
use crate::error::{Error, Result};

pub(crate) use self::common_type::common_type;

/// The analyzer rule: `Analyzer::with_rules(vec![Arc::new(FlinkTyping)])`.
#[derive(Debug, Default)]
pub struct FlinkTyping;

impl AnalyzerRule for FlinkTyping {
    fn name(&self) -> &str {
        "flink_typing"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> datafusion_common::Result<LogicalPlan> {
        let flat = plan.transform_down_with_subqueries(flattened)?.data;
        Ok(flat.transform_up_with_subqueries(typed_node)?.data)
    }
}

/// One expression as the parser's front-end made it, with Flink's types; for expressions that are not part of a plan,
/// such as computed columns and watermarks.
///
/// # Errors
/// If Flink has no such operation on such types; `functions::binding::from_datafusion` finds the message and its help.
pub fn typed(expr: Expr, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    rewritten(expr, schema, Literals::FromParser)
}

/// The Flink type of a typed expression.
///
/// # Errors
/// If a column is unknown, or a value has no type in Flink.
pub fn type_of(expr: &Expr, schema: &DFSchema) -> datafusion_common::Result<FlinkType> {
    let (_, field) = expr.to_field(schema)?;
    FlinkType::from_field(&field).map_err(to_datafusion)
}

/// Where an expression comes from, which decides what a plain integer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literals {
    /// From the parser, which makes all of them 64 bits wide.
    FromParser,
    /// Typed already, perhaps changed by an optimizer.
    Typed,
}

/// The expression with bound functions only.
pub(crate) fn rewritten(expr: Expr, schema: &DFSchema, literals: Literals) -> datafusion_common::Result<Expr> {
    let rewrite = |expr: Expr| {
        let span = first_span(&expr);
        typed_expr(expr, schema, literals).map(Transformed::yes).map_err(|error| match (span, error) {
            (Some(span), error @ DataFusionError::External(_)) => {
                let diagnostic = Diagnostic::new_error(error.to_string(), Some(span));
                error.with_diagnostic(diagnostic)
            }
            (_, error) => error,
        })
    };
    Ok(expr.transform_up(rewrite)?.data)
}

/// The place of the first column of an expression, where the front-end knows it.
fn first_span(expr: &Expr) -> Option<Span> {
    let mut found = None;
    expr.apply(|part| {
        use datafusion_common::tree_node::TreeNodeRecursion;
        found = part.spans().and_then(|spans| spans.first());
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .ok()?;
    found
}

fn typed_node(plan: LogicalPlan) -> datafusion_common::Result<Transformed<LogicalPlan>> {
    // LIMIT takes DataFusion's own literals; VALUES have their types from where they are planned.
    if matches!(plan, LogicalPlan::Limit(_) | LogicalPlan::Values(_)) {
        return Ok(Transformed::no(plan));
    }
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
    }
    let names = NamePreserver::new(&plan);
    let transformed = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(Transformed::yes(name.restore(typed(expr, &schema)?)))
    })?;
    transformed
        .map_data(|plan| match plan {
            LogicalPlan::Union(union) => typed_union(union, "a UNION"),
            LogicalPlan::Join(join) if set_operation::is_set_operation(&join) => {
                set_operation::typed_set_operation(join)
            }
            LogicalPlan::Filter(filter) => {
                expect_boolean("WHERE", &filter.predicate, &schema)?;
                Ok(LogicalPlan::Filter(filter))
            }
            plan => Ok(plan),
        })?
        .map_data(LogicalPlan::recompute_schema)
}

fn expect_boolean(place: &str, expr: &Expr, schema: &DFSchema) -> datafusion_common::Result<()> {
    match type_of(expr, schema)? {
        FlinkType::Boolean | FlinkType::Null => Ok(()),
        other => Err(to_datafusion(Error::statement(format!("{place} takes a BOOLEAN, not {other}")))),
    }
}

/// A chain of UNION ALL, which joins queries two by two, as one union: then each column gets one type for all of them, and
/// not a wider one at each step.
fn flattened(plan: LogicalPlan) -> datafusion_common::Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Union(Union { inputs, schema }) = plan else { return Ok(Transformed::no(plan)) };
    let mut flat = Vec::with_capacity(inputs.len());
    let mut open: Vec<Arc<LogicalPlan>> = inputs.into_iter().rev().collect();
    while let Some(input) = open.pop() {
        match Arc::unwrap_or_clone(input) {
            LogicalPlan::Union(inner) => open.extend(inner.inputs.into_iter().rev()),
            other => flat.push(Arc::new(other)),
        }
    }
    Ok(Transformed::yes(LogicalPlan::Union(Union { inputs: flat, schema })))
}

/// Casts the columns of all inputs of a UNION, or of what `operation` says, to common types.
fn typed_union(union: Union, operation: &str) -> datafusion_common::Result<LogicalPlan> {
    let width = union.schema.fields().len();
    let mut common = Vec::with_capacity(width);
    for column in 0..width {
        let of_input = |input: &Arc<LogicalPlan>| FlinkType::from_field(input.schema().field(column));
        let types = union.inputs.iter().map(of_input).collect::<Result<Vec<_>>>().map_err(to_datafusion)?;
        let found = common_type(&types).ok_or_else(|| {
            let mut listed: Vec<_> = types.iter().map(ToString::to_string).collect();
            listed.dedup();
            let name = union.schema.field(column).name();
            to_datafusion(
                Error::statement(format!("column {name} of {operation} has the types {}", listed.join(" and ")))
                    .help("cast the columns to one type"),
            )
        })?;
        common.push(found);
    }
    let inputs = union.inputs.into_iter().map(|input| casted_input(input, &common)).collect::<Result<Vec<_>, _>>()?;
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
}

fn casted_input(input: Arc<LogicalPlan>, to: &[FlinkType]) -> datafusion_common::Result<Arc<LogicalPlan>> {
    let schema = Arc::clone(input.schema());
    if schema.fields().iter().zip(to).all(|(field, to)| *field.data_type() == to.to_arrow()) {
        return Ok(input);
    }
    let expressions = schema.iter().zip(to).map(|((qualifier, field), to)| {
        let from = FlinkType::from_field(field).map_err(to_datafusion)?;
        let column = Expr::from((qualifier, field));
        let casted = implicit(column, from, *to).map_err(to_datafusion)?;
        Ok(casted.alias_qualified(qualifier.cloned(), field.name()))
    });
    let expressions = expressions.collect::<datafusion_common::Result<Vec<_>>>()?;
    Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(expressions, input)?)))
}

/// One expression whose parts are typed.
fn typed_expr(expr: Expr, schema: &DFSchema, literals: Literals) -> datafusion_common::Result<Expr> {
    match expr {
        Expr::Literal(value, metadata) => literal(value, metadata, literals).map_err(to_datafusion),
        Expr::Cast(call) => {
            let to = FlinkType::from_field(&call.field).map_err(to_datafusion)?;
            casted(*call.expr, to, schema, OnFailure::Error)
        }
        Expr::TryCast(call) => {
            let to = FlinkType::from_field(&call.field).map_err(to_datafusion)?;
            casted(*call.expr, to, schema, OnFailure::Null)
        }
        Expr::ScalarFunction(call) => match call.func.inner().downcast_ref::<Declared>() {
            Some(declared) if [CAST_TO, TRY_CAST_TO].contains(&declared.name) => {
                let on_failure = if declared.name == CAST_TO { OnFailure::Error } else { OnFailure::Null };
                let [operand, to] = <[Expr; 2]>::try_from(call.args)
                    .map_err(|_| to_datafusion(Error::internal("a cast takes a value and a type")))?;
                let to = named_type(to.as_literal()).map_err(to_datafusion)?;
                casted(operand, to, schema, on_failure)
            }
            Some(declared) => bound(declared, call.args, schema),
            None => Ok(Expr::ScalarFunction(call)),
        },
        Expr::Negative(operand) => call("negate", vec![*operand], schema),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => typed_binary(*left, op, *right, schema),
        Expr::Between(Between { expr, negated, low, high }) => {
            let low = compared((*expr).clone(), Operator::GtEq, *low, schema)?;
            let high = compared(*expr, Operator::LtEq, *high, schema)?;
            let both = Expr::BinaryExpr(BinaryExpr::new(Box::new(low), Operator::And, Box::new(high)));
            Ok(if negated { Expr::Not(Box::new(both)) } else { both })
        }
        Expr::InList(list) => typed_list(list, schema),
        Expr::Case(case) => typed_case(case, schema),
        Expr::Like(like) => typed_like("like", like, schema),
        Expr::SimilarTo(like) => typed_like("similar", like, schema),
        Expr::Not(operand) => {
            expect_boolean("NOT", &operand, schema)?;
            Ok(Expr::Not(operand))
        }
        Expr::IsTrue(operand) => {
            expect_boolean("IS TRUE", &operand, schema)?;
            Ok(Expr::IsTrue(operand))
        }
        Expr::IsFalse(operand) => {
            expect_boolean("IS FALSE", &operand, schema)?;
            Ok(Expr::IsFalse(operand))
        }
        Expr::IsUnknown(operand) => {
            expect_boolean("IS UNKNOWN", &operand, schema)?;
            Ok(Expr::IsUnknown(operand))
        }
        other => Ok(other),
    }
}

/// A literal as the parser leaves it, with Flink's type.
fn literal(value: ScalarValue, metadata: Option<FieldMetadata>, literals: Literals) -> Result<Expr> {
    let value = match value {
        ScalarValue::Int64(Some(number)) if literals == Literals::FromParser && metadata.is_none() => {
            return Ok(match i32::try_from(number) {
                Ok(number) => Expr::Literal(ScalarValue::Int32(Some(number)), None),
                Err(_) => bigint(number),
            });
        }
        ScalarValue::UInt64(Some(number)) => ScalarValue::Decimal128(Some(i128::from(number)), 20, 0),
        ScalarValue::Decimal256(..) => {
            return Err(Error::statement("a number of more than 38 digits").help("a DECIMAL has up to 38 digits"));
        }
        ScalarValue::Decimal128(Some(number), precision, scale) if scale < 0 => {
            let zeros = scale.unsigned_abs();
            let scaled = (zeros <= 38).then(|| decimals::rescale(number, 0, zeros)).flatten();
            let digits = precision.saturating_add(zeros);
            match scaled.filter(|_| digits <= 38) {
                Some(scaled) => ScalarValue::Decimal128(Some(scaled), digits, 0),
                None => {
                    return Err(Error::statement("a number of more than 38 digits").help("write it as 1e40, a DOUBLE"));
                }
            }
        }
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) => ScalarValue::Utf8View(text),
        ScalarValue::Binary(bytes) | ScalarValue::LargeBinary(bytes) => ScalarValue::BinaryView(bytes),
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            let ms = i128::from(interval.days) * 86_400_000 + i128::from(interval.nanoseconds / 1_000_000);
            match (interval.months, i64::try_from(ms)) {
                (0, Ok(ms)) => ScalarValue::DurationMillisecond(Some(ms)),
                (months, Ok(0)) => ScalarValue::IntervalYearMonth(Some(months)),
                _ => {
                    return Err(Error::statement("an interval of months and days at once")
                        .help("write two intervals: … + INTERVAL '1' MONTH + INTERVAL '2' DAY"));
                }
            }
        }
        other => other,
    };
    Ok(Expr::Literal(value, metadata))
}

/// A BIGINT that stays one when the expression is typed again.
fn bigint(number: i64) -> Expr {
    let metadata = FieldMetadata::from(&FlinkType::BigInt.to_field("", false));
    Expr::Literal(ScalarValue::Int64(Some(number)), Some(metadata))
}

fn casted(operand: Expr, to: FlinkType, schema: &DFSchema, on_failure: OnFailure) -> datafusion_common::Result<Expr> {
    let from = type_of(&operand, schema)?;
    cast(operand, from, to, Form::Cast, on_failure).map(folded).map_err(to_datafusion)
}

/// A cast that Flink makes silently; of a constant, the constant that it gives.
///
/// # Errors
/// If there is no such cast.
pub(crate) fn implicit(operand: Expr, from: FlinkType, to: FlinkType) -> Result<Expr> {
    // What differs in length or precision alone is the same to every kernel.
    if from.to_arrow() == to.to_arrow() {
        return Ok(operand);
    }
    cast(operand, from, to, Form::Implicit, OnFailure::Error).map(folded)
}

/// Calls a function by name.
pub(crate) fn call(name: &str, arguments: Vec<Expr>, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    let function = named(name).ok_or_else(|| DataFusionError::Internal(format!("no function {name}")))?;
    match function.inner().downcast_ref::<Declared>() {
        Some(declared) => bound(declared, arguments, schema),
        None => Err(DataFusionError::Internal(format!("{name} is no function of ours"))),
    }
}

fn bound(declared: &Declared, arguments: Vec<Expr>, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    if let Some(case) = as_case(declared.name, &arguments) {
        let case = case.map_err(to_datafusion)?;
        return case
            .transform_up(|part| match part {
                Expr::Case(case) => typed_case(case, schema).map(Transformed::yes),
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) if declared.name == "NULLIF" => {
                    compared(*left, Operator::Eq, *right, schema).map(Transformed::yes)
                }
                part => Ok(Transformed::no(part)),
            })
            .map(|transformed| transformed.data);
    }
    let mut seen = Vec::with_capacity(arguments.len());
    for argument in &arguments {
        let literal = match argument.clone().unalias() {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        };
        seen.push(Argument { flink: type_of(argument, schema)?, literal });
    }
    let binding = (declared.bind)(declared.name, &seen).map_err(to_datafusion)?;
    let casts = arguments.into_iter().zip(seen.iter().zip(&binding.arguments));
    let arguments = casts
        .map(|(argument, (seen, to))| implicit(argument.unalias(), seen.flink, *to))
        .collect::<Result<Vec<_>>>()
        .map_err(to_datafusion)?;
    let function = Bound::udf(declared.name, declared.form, binding);
    Ok(folded(Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))))
}

/// Conditional functions as CASE, of which only the branch that is taken is evaluated.
fn as_case(name: &str, arguments: &[Expr]) -> Option<Result<Expr>> {
    let case = |when: Expr, then: Expr, otherwise: Expr| {
        Expr::Case(Case::new(None, vec![(Box::new(when), Box::new(then))], Some(Box::new(otherwise))))
    };
    let null = Expr::Literal(ScalarValue::Null, None);
    match (name, arguments) {
        ("IF", [condition, then, otherwise]) => Some(Ok(case(condition.clone(), then.clone(), otherwise.clone()))),
        ("NULLIF", [value, other]) => {
            let equal = BinaryExpr::new(Box::new(value.clone()), Operator::Eq, Box::new(other.clone()));
            Some(Ok(case(Expr::BinaryExpr(equal), null, value.clone())))
        }
        ("IF", _) => Some(Err(Error::statement("IF takes a condition and two values: IF(a > 0, 'yes', 'no')"))),
        ("NULLIF", _) => Some(Err(Error::statement("NULLIF takes two values"))),
        _ => None,
    }
}

/// A call on constants as the constant that it gives; as it is where it fails, so that it fails only if a row needs it.
fn folded(expr: Expr) -> Expr {
    let Expr::ScalarFunction(call) = &expr else { return expr };
    let Some(function) = call.func.inner().downcast_ref::<Bound>() else { return expr };
    let mut values = Vec::with_capacity(call.args.len());
    for argument in &call.args {
        let Expr::Literal(value, _) = argument else { return expr };
        let Ok(array) = value.to_array_of_size(1) else { return expr };
        values.push(Value::scalar(array));
    }
    let result =
        function.binding.call(&values, 1).ok().and_then(|value| ScalarValue::try_from_array(&value.array, 0).ok());
    // A length or a precision that Arrow's type does not carry stays with the literal.
    let flink = function.binding.result;
    match result {
        None => expr,
        Some(ScalarValue::Int64(Some(number))) => bigint(number),
        Some(value) => {
            let is_plain = FlinkType::from_arrow(&flink.to_arrow()).is_ok_and(|widest| widest == flink);
            let metadata = (!is_plain).then(|| FieldMetadata::from(&flink.to_field("", true)));
            Expr::Literal(value, metadata)
        }
    }
}

fn typed_binary(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    match op {
        Operator::And | Operator::Or => {
            for operand in [&left, &right] {
                expect_boolean(if op == Operator::And { "AND" } else { "OR" }, operand, schema)?;
            }
            let boolean = |operand: Expr| match operand {
                Expr::Literal(ScalarValue::Null, _) => Expr::Literal(ScalarValue::Boolean(None), None),
                operand => operand,
            };
            Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(boolean(left)), op, Box::new(boolean(right)))))
        }
        Operator::Plus => call("+", vec![left, right], schema),
        Operator::Minus => call("-", vec![left, right], schema),
        Operator::Multiply => call("*", vec![left, right], schema),
        Operator::Divide => call("/", vec![left, right], schema),
        Operator::Modulo => call("%", vec![left, right], schema),
        Operator::StringConcat => call("||", vec![left, right], schema),
        op if op.supports_propagation()
            || matches!(op, Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) =>
        {
            compared(left, op, right, schema)
        }
        op => Err(to_datafusion(Error::statement(format!("the operator {op} is not part of Flink SQL")))),
    }
}

/// A comparison of two values, cast to a common type.
fn compared(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    let (l, r) = (type_of(&left, schema)?, type_of(&right, schema)?);
    let common = comparison_type(l, r).ok_or_else(|| to_datafusion(not_comparable(l, r)))?;
    let left = implicit(left, l, common).map_err(to_datafusion)?;
    let right = implicit(right, r, common).map_err(to_datafusion)?;
    if common.is_nested() {
        return call(nested::name_of(op), vec![left, right], schema);
    }
    Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
}

fn typed_list(list: InList, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    let InList { expr, list, negated } = list;
    let from = type_of(&expr, schema)?;
    let types = list.iter().map(|item| type_of(item, schema)).collect::<Result<Vec<_>, _>>()?;
    let mut common = from;
    for item in &types {
        common = comparison_type(common, *item).ok_or_else(|| to_datafusion(not_comparable(from, *item)))?;
    }
    if common.is_nested() {
        return nested::is_among(*expr, list, negated, schema);
    }
    let expr = implicit(*expr, from, common).map_err(to_datafusion)?;
    let casts = list.into_iter().zip(types).map(|(item, from)| implicit(item, from, common));
    let list = casts.collect::<Result<Vec<_>>>().map_err(to_datafusion)?;
    Ok(Expr::InList(InList::new(Box::new(expr), list, negated)))
}

fn typed_case(case: Case, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    let mut branches = Vec::with_capacity(case.when_then_expr.len());
    for (when, then) in case.when_then_expr {
        // `CASE x WHEN 1 …` is `CASE WHEN x = 1 …`.
        let when = match &case.expr {
            Some(operand) => compared((**operand).clone(), Operator::Eq, *when, schema)?,
            None => {
                expect_boolean("WHEN", &when, schema)?;
                *when
            }
        };
        branches.push((when, *then));
    }
    let otherwise = case.else_expr.map_or(Expr::Literal(ScalarValue::Null, None), |otherwise| *otherwise);
    let results = branches.iter().map(|(_, then)| then).chain([&otherwise]);
    let types = results.map(|result| type_of(result, schema)).collect::<Result<Vec<_>, _>>()?;
    let to = common_type(&types).ok_or_else(|| {
        let listed: Vec<_> = types.iter().map(ToString::to_string).collect();
        to_datafusion(
            Error::statement(format!("the branches of a CASE have the types {}", listed.join(", ")))
                .help("cast them to one type"),
        )
    })?;
    let otherwise = implicit(otherwise, types[branches.len()], to).map_err(to_datafusion)?;
    let typed = branches
        .into_iter()
        .zip(types)
        .map(|((when, then), from)| Ok((Box::new(when), Box::new(implicit(then, from, to)?))));
    let typed = typed.collect::<Result<Vec<_>>>().map_err(to_datafusion)?;
    Ok(Expr::Case(Case::new(None, typed, Some(Box::new(otherwise)))))
}

fn typed_like(name: &str, like: Like, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    if like.case_insensitive {
        return Err(to_datafusion(
            Error::statement("ILIKE is not part of Flink SQL").help("LOWER(…) LIKE 'pattern in small letters'"),
        ));
    }
    let mut arguments = vec![*like.expr, *like.pattern];
    if let Some(escape) = like.escape_char {
        arguments.push(Expr::Literal(ScalarValue::Utf8View(Some(escape.to_string())), None));
    }
    let matched = call(name, arguments, schema)?;
    Ok(if like.negated { Expr::Not(Box::new(matched)) } else { matched })
}
