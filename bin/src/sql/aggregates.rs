//! The aggregate functions: names, result types, and how a call becomes a specification for the operators.
//!
//! Result types are Flink's: COUNT is BIGINT and never NULL; SUM, MIN, MAX, FIRST_VALUE and LAST_VALUE have the
//! argument's type, but SUM of DECIMAL(p, s) is DECIMAL(38, s); AVG has the argument's type, but AVG of DECIMAL(p, s) is
//! DECIMAL(38, max(s, 6)); the variances have the argument's type, as AVG.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::expr::{self, AggregateFunctionParams, NullTreatment};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility};
use thalweg_operators::spec::AggregateFunction;

use super::arithmetic::{Operation, decimals};
use super::functions::binding::to_datafusion;
use super::types::FlinkType;
use crate::error::{Error, Result};

/// The aggregate functions, each under one name in small letters.
#[must_use]
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    NAMES.into_iter().map(aggregate_function).collect()
}

/// The aggregate function of this name, one of those of [`aggregate_functions`].
pub(crate) fn aggregate_function(name: &'static str) -> Arc<AggregateUDF> {
    debug_assert!(NAMES.contains(&name), "{name} is no aggregate function");
    Arc::new(AggregateUDF::from(Aggregate::new(name)))
}

const NAMES: [&str; 14] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "var_pop",
    "var_samp",
    "variance",
    "stddev_pop",
    "stddev_samp",
    "stddev",
    "first_value",
    "last_value",
    "listagg",
];

/// What a call needs beside its argument, which is the first of its arguments if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoweredAggregate {
    /// The function for the operators.
    pub function: AggregateFunction,
    /// The argument whose column is aggregated; `None` for COUNT(*) and for COUNT of a constant that is not NULL.
    pub argument: Option<Expr>,
    /// Whether only distinct values count. Never for MIN and MAX, where it makes no difference.
    pub distinct: bool,
}

/// A typed call as the operators know it. FILTER is left to the caller.
///
/// # Errors
/// If the call has an ORDER BY, IGNORE NULLS, or a separator that is no constant.
pub fn lower(call: &expr::AggregateFunction) -> Result<LoweredAggregate> {
    let AggregateFunctionParams { args, distinct, order_by, null_treatment, .. } = &call.params;
    let name = call.func.name();
    let shown = name.to_ascii_uppercase();
    if !order_by.is_empty() {
        return Err(Error::statement(format!("ORDER BY within {shown}(…) is not supported"))
            .help("values are taken in the order of their input"));
    }
    if *null_treatment == Some(NullTreatment::RespectNulls) {
        return Err(
            Error::statement(format!("{shown} … RESPECT NULLS is not supported")).help(format!("{shown} ignores NULL"))
        );
    }
    let argument = args.first().cloned().map(Expr::unalias);
    let function = match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        "var_pop" => AggregateFunction::VarPop,
        "var_samp" | "variance" => AggregateFunction::VarSamp,
        "stddev_pop" => AggregateFunction::StddevPop,
        "stddev_samp" | "stddev" => AggregateFunction::StddevSamp,
        "first_value" => AggregateFunction::FirstValue,
        "last_value" => AggregateFunction::LastValue,
        "listagg" => AggregateFunction::ListAgg { separator: separator(args)? },
        other => return Err(Error::internal(format!("the aggregate {other} is not known"))),
    };
    let argument = match (&function, argument) {
        // Every row counts.
        (AggregateFunction::Count, Some(Expr::Literal(value, _))) if !value.is_null() && !*distinct => None,
        (_, argument) => argument,
    };
    let is_idempotent = matches!(function, AggregateFunction::Min | AggregateFunction::Max);
    Ok(LoweredAggregate { distinct: *distinct && !is_idempotent, function, argument })
}

fn separator(arguments: &[Expr]) -> Result<String> {
    match arguments.get(1).cloned().map(Expr::unalias) {
        None => Ok(",".to_owned()),
        Some(Expr::Literal(
            ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)),
            _,
        )) => Ok(text),
        Some(_) => Err(Error::statement("the separator of LISTAGG is a constant string: LISTAGG(name, ', ')")),
    }
}

/// One aggregate function as DataFusion's front-end sees it: a name and types. It is executed by `thalweg_operators`.
#[derive(Debug)]
struct Aggregate {
    name: &'static str,
    signature: Signature,
}

impl Aggregate {
    fn new(name: &'static str) -> Self {
        Self { name, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn result(&self, arguments: &[FlinkType]) -> Result<FlinkType> {
        let shown = self.name.to_ascii_uppercase();
        let argument = match (self.name, arguments) {
            ("count", []) => return Ok(FlinkType::BigInt),
            ("listagg", [text] | [text, _]) => *text,
            (_, [argument]) => *argument,
            ("count", _) => {
                return Err(Error::statement("COUNT of several values is not supported")
                    .help("COUNT(DISTINCT a || '-' || b), or COUNT(*) with a condition in FILTER (WHERE …)"));
            }
            _ => return Err(Error::statement(format!("{shown} takes one argument, not {}", arguments.len()))),
        };
        let refused = || Err(Error::statement(format!("{shown} does not take {argument}")));
        match (self.name, argument) {
            ("count", _) => Ok(FlinkType::BigInt),
            ("min" | "max" | "first_value" | "last_value", FlinkType::Null) => refused(),
            ("min" | "max", argument) if argument.is_bytes() || argument.is_interval() => refused(),
            ("min" | "max", argument) if argument.is_nested() => refused().map_err(|error| {
                error.help("arrays, maps and rows have no order; FIRST_VALUE and LAST_VALUE take one of them")
            }),
            ("min" | "max" | "first_value" | "last_value", argument) => Ok(argument),
            ("listagg", argument) if argument.is_string() => Ok(FlinkType::STRING),
            ("listagg", _) => refused().map_err(|error| error.help("cast the argument to STRING")),
            ("sum", FlinkType::Decimal(_, scale)) => Ok(FlinkType::Decimal(38, scale)),
            (_, FlinkType::Decimal(_, scale)) => Ok(decimals::result_type(Operation::Divide, (38, scale), (20, 0))),
            (_, argument) if argument.is_numeric() => Ok(argument),
            _ => refused().map_err(|error| error.help("cast the argument to a number")),
        }
    }
}

impl PartialEq for Aggregate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Aggregate {}

impl Hash for Aggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> datafusion_common::Result<Vec<DataType>> {
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> datafusion_common::Result<DataType> {
        let arguments = arg_types.iter().map(FlinkType::from_arrow).collect::<Result<Vec<_>>>();
        arguments.and_then(|arguments| self.result(&arguments)).map(FlinkType::to_arrow).map_err(to_datafusion)
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> datafusion_common::Result<FieldRef> {
        let arguments = arg_fields.iter().map(|field| FlinkType::from_field(field)).collect::<Result<Vec<_>>>();
        let result = arguments.and_then(|arguments| self.result(&arguments)).map_err(to_datafusion)?;
        Ok(Arc::new(Field::new(self.name, result.to_arrow(), self.is_nullable())))
    }

    fn is_nullable(&self) -> bool {
        self.name != "count"
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> datafusion_common::Result<Box<dyn Accumulator>> {
        Err(DataFusionError::NotImplemented(format!("{} is executed by the operators", self.name)))
    }

    fn state_fields(&self, _: StateFieldsArgs<'_>) -> datafusion_common::Result<Vec<FieldRef>> {
        Err(DataFusionError::NotImplemented(format!("{} is executed by the operators", self.name)))
    }

    fn default_value(&self, data_type: &DataType) -> datafusion_common::Result<ScalarValue> {
        match self.name {
            "count" => Ok(ScalarValue::Int64(Some(0))),
            _ => ScalarValue::try_from(data_type),
        }
    }

    fn supports_null_handling_clause(&self) -> bool {
        matches!(self.name, "first_value" | "last_value")
    }
}
