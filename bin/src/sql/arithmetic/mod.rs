//! Operators: `+ − * / %` on numbers, times and intervals, with Flink's result types.
//!
//! Integers and decimals are exact. A result that its type cannot hold is an error that shows the operation, where Flink
//! wraps around (integers) or gives NULL (decimals); so is a division by zero. FLOAT and DOUBLE follow IEEE 754.

pub(crate) mod decimals;
mod temporal;

use std::ops::{Add, Div, Mul, Rem, Sub};
use std::sync::Arc;

use arrow_array::ArrowPrimitiveType;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_buffer::ArrowNativeType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion_expr::{Expr, ExprSchemable, ScalarUDF};
use sqlparser::ast::BinaryOperator;

use super::functions::binding::{Argument, Binding, Declared, Form};
use super::functions::columns::{binary, checked_binary, try_unary, unary};
use super::functions::named;
use super::types::FlinkType;
use crate::error::{Error, Result};

/// Plans the operators and the special forms of calls (`EXTRACT(… FROM …)`, `POSITION(… IN …)`) as our functions.
#[derive(Debug, Default)]
pub struct FlinkExprPlanner;

/// An operator on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operation {
    /// As written between two operands.
    pub fn spaced(self) -> &'static str {
        match self {
            Self::Add => " + ",
            Self::Subtract => " - ",
            Self::Multiply => " * ",
            Self::Divide => " / ",
            Self::Remainder => " % ",
        }
    }
}

impl ExprPlanner for FlinkExprPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> datafusion_common::Result<PlannerResult<RawBinaryExpr>> {
        let name = match expr.op {
            BinaryOperator::Plus => "+",
            BinaryOperator::Minus => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
            BinaryOperator::StringConcat => "||",
            // DataFusion would refuse many arrays, maps and rows before their types are made equal.
            _ => match comparison(&expr.op) {
                Some(name) if is_nested(&[&expr.left, &expr.right], schema) => name,
                _ => return Ok(PlannerResult::Original(expr)),
            },
        };
        planned(name, vec![expr.left, expr.right])
    }

    fn plan_extract(&self, args: Vec<Expr>) -> datafusion_common::Result<PlannerResult<Vec<Expr>>> {
        planned("extract", args)
    }

    fn plan_position(&self, args: Vec<Expr>) -> datafusion_common::Result<PlannerResult<Vec<Expr>>> {
        planned("position", args)
    }

    fn plan_substring(&self, mut args: Vec<Expr>) -> datafusion_common::Result<PlannerResult<Vec<Expr>>> {
        // The front-end has no FROM as a start of 0 or 1 already; a plain literal is the same.
        if let [_, Expr::Literal(start, _), ..] = &mut args[..]
            && matches!(start, ScalarValue::Null)
        {
            *start = ScalarValue::Int64(Some(1));
        }
        planned("substring", args)
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> datafusion_common::Result<PlannerResult<Vec<Expr>>> {
        planned("overlay", args)
    }
}

fn comparison(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        _ => return None,
    })
}

fn is_nested(operands: &[&Expr], schema: &DFSchema) -> bool {
    operands.iter().any(|operand| operand.get_type(schema).is_ok_and(|data_type| data_type.is_nested()))
}

fn planned<T>(name: &str, arguments: Vec<Expr>) -> datafusion_common::Result<PlannerResult<T>> {
    let function = named(name)
        .ok_or_else(|| datafusion_common::DataFusionError::Internal(format!("the function {name} is not declared")))?;
    Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))))
}

/// The operators as functions.
pub(crate) fn operators() -> Vec<Arc<ScalarUDF>> {
    let infix = |name, bind| Declared::udf(name, Form::Infix, bind);
    vec![
        infix("+", |name, arguments| bind(Operation::Add, name, arguments)),
        infix("-", |name, arguments| bind(Operation::Subtract, name, arguments)),
        infix("*", |name, arguments| bind(Operation::Multiply, name, arguments)),
        infix("/", |name, arguments| bind(Operation::Divide, name, arguments)),
        infix("%", |name, arguments| bind(Operation::Remainder, name, arguments)),
        Declared::udf("MOD", Form::Call, |name, arguments| bind(Operation::Remainder, name, arguments)),
        Declared::udf("NEGATE", Form::Negation, bind_negate),
    ]
}

fn bind(operation: Operation, name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [left, right] = arguments else {
        return Err(Error::statement(format!("{name} takes two arguments, not {}", arguments.len())));
    };
    let (l, r) = match (left.flink, right.flink) {
        (FlinkType::Null, FlinkType::Null) => (FlinkType::Int, FlinkType::Int),
        (FlinkType::Null, r) if r.is_numeric() => (r, r),
        (l, FlinkType::Null) if l.is_numeric() => (l, l),
        (l, r) => (l, r),
    };
    if !l.is_numeric() || !r.is_numeric() {
        return temporal::bind(operation, l, r).unwrap_or_else(|| Err(refused(operation, l, r)));
    }
    if l.is_approximate() || r.is_approximate() {
        if operation == Operation::Remainder {
            return Err(refused(operation, l, r).help("% takes exact numbers: cast to DECIMAL or BIGINT"));
        }
        let is_float = [l, r].iter().all(|flink| !matches!(flink, FlinkType::Double | FlinkType::Decimal(..)));
        return Ok(match is_float {
            true => approximate::<Float32Type>(operation, FlinkType::Float),
            false => approximate::<Float64Type>(operation, FlinkType::Double),
        });
    }
    if let (FlinkType::Decimal(..), _) | (_, FlinkType::Decimal(..)) = (l, r) {
        let (Some(left), Some(right)) = (l.digits(), r.digits()) else { return Err(refused(operation, l, r)) };
        let arguments = vec![FlinkType::Decimal(left.0, left.1), FlinkType::Decimal(right.0, right.1)];
        // Flink's one exception: a remainder of whole numbers has the type of the divisor.
        if operation == Operation::Remainder && left.1 == 0 && right.1 == 0 && r.is_integer() {
            return Ok(narrowed_remainder(left, right, arguments, r));
        }
        let result = decimals::result_type(operation, left, right);
        return Ok(Binding::strict(arguments, result, move |arguments, rows| {
            decimals::compute(operation, left, right, arguments, rows)
        }));
    }
    // Both operands in the wider type; a remainder has the type of the divisor, which it never exceeds.
    let wide = if l.digits() >= r.digits() { l } else { r };
    let result = if operation == Operation::Remainder { r } else { wide };
    Ok(integers(operation, wide, result))
}

/// A remainder of whole DECIMALs as an integer: it is less than the divisor, so it fits the divisor's type.
fn narrowed_remainder(left: (u8, u8), right: (u8, u8), arguments: Vec<FlinkType>, result: FlinkType) -> Binding {
    Binding::strict(arguments, result, move |arguments, rows| {
        let remainder = decimals::compute(Operation::Remainder, left, right, arguments, rows)?;
        arrow_cast::cast(&remainder, &result.to_arrow()).map_err(|error| error.to_string())
    })
}

fn refused(operation: Operation, left: FlinkType, right: FlinkType) -> Error {
    let mut message = String::from("cannot compute ");
    message.push_str(&left.to_string());
    message.push_str(operation.spaced());
    message.push_str(&right.to_string());
    let error = Error::statement(message);
    match (left.is_string(), right.is_string()) {
        (true, true) => error.help("|| joins strings: a || b; CAST(… AS DOUBLE) makes a number of one"),
        (true, _) | (_, true) => error.help("cast the string: CAST(… AS DOUBLE)"),
        _ => error.help("CAST changes the type of one of them"),
    }
}

fn approximate<T>(operation: Operation, flink: FlinkType) -> Binding
where
    T: ArrowPrimitiveType,
    T::Native: Add<Output = T::Native>
        + Sub<Output = T::Native>
        + Mul<Output = T::Native>
        + Div<Output = T::Native>
        + Rem<Output = T::Native>,
{
    Binding::strict(vec![flink, flink], flink, move |arguments, rows| {
        Ok(match operation {
            Operation::Add => binary::<T, T, T>(arguments, rows, flink, |l, r| l + r),
            Operation::Subtract => binary::<T, T, T>(arguments, rows, flink, |l, r| l - r),
            Operation::Multiply => binary::<T, T, T>(arguments, rows, flink, |l, r| l * r),
            Operation::Divide => binary::<T, T, T>(arguments, rows, flink, |l, r| l / r),
            Operation::Remainder => binary::<T, T, T>(arguments, rows, flink, |l, r| l % r),
        })
    })
}

fn integers(operation: Operation, wide: FlinkType, result: FlinkType) -> Binding {
    let binding = match wide {
        FlinkType::TinyInt => integer::<Int8Type>(operation, wide),
        FlinkType::SmallInt => integer::<Int16Type>(operation, wide),
        FlinkType::Int => integer::<Int32Type>(operation, wide),
        _ => integer::<Int64Type>(operation, FlinkType::BigInt),
    };
    if result == wide {
        return binding;
    }
    // Only a remainder: it is less than the divisor, so it fits the divisor's type.
    let kernel = Arc::clone(&binding.kernel);
    Binding::strict(binding.arguments, result, move |arguments, rows| {
        let remainder = kernel(arguments, rows)?;
        arrow_cast::cast(&remainder, &result.to_arrow()).map_err(|error| error.to_string())
    })
}

/// What the loops need of a machine integer.
trait Integer: ArrowNativeType + std::fmt::Display {
    fn apply(self, operation: Operation, other: Self) -> (Self, bool);
    fn negated(self) -> Option<Self>;
    fn is_zero(self) -> bool;
}

macro_rules! integer {
    ($($native:ty),*) => {$(
        impl Integer for $native {
            #[inline(always)]
            fn apply(self, operation: Operation, other: Self) -> (Self, bool) {
                match operation {
                    Operation::Add => self.overflowing_add(other),
                    Operation::Subtract => self.overflowing_sub(other),
                    Operation::Multiply => self.overflowing_mul(other),
                    Operation::Divide | Operation::Remainder if other == 0 => (0, true),
                    Operation::Divide => self.overflowing_div(other),
                    Operation::Remainder => (self.wrapping_rem(other), false),
                }
            }

            fn negated(self) -> Option<Self> {
                self.checked_neg()
            }

            fn is_zero(self) -> bool {
                self == 0
            }
        }
    )*};
}

integer!(i8, i16, i32, i64);

fn integer<T>(operation: Operation, flink: FlinkType) -> Binding
where
    T: ArrowPrimitiveType,
    T::Native: Integer,
{
    let complain = move |l: T::Native, r: T::Native| match operation {
        Operation::Divide | Operation::Remainder if r.is_zero() => "division by zero".to_owned(),
        _ => format!("{l}{}{r} does not fit {flink}", operation.spaced()),
    };
    // One loop for each operation, so that none decides within the loop.
    Binding::strict(vec![flink, flink], flink, move |arguments, rows| match operation {
        Operation::Add => {
            checked_binary::<T, T, T>(arguments, rows, flink, |l, r| l.apply(Operation::Add, r), complain)
        }
        Operation::Subtract => {
            checked_binary::<T, T, T>(arguments, rows, flink, |l, r| l.apply(Operation::Subtract, r), complain)
        }
        Operation::Multiply => {
            checked_binary::<T, T, T>(arguments, rows, flink, |l, r| l.apply(Operation::Multiply, r), complain)
        }
        Operation::Divide => {
            checked_binary::<T, T, T>(arguments, rows, flink, |l, r| l.apply(Operation::Divide, r), complain)
        }
        Operation::Remainder => {
            checked_binary::<T, T, T>(arguments, rows, flink, |l, r| l.apply(Operation::Remainder, r), complain)
        }
    })
}

fn bind_negate(_: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [Argument { flink, .. }] = arguments else {
        return Err(Error::statement("the sign - takes one operand"));
    };
    let flink = if *flink == FlinkType::Null { FlinkType::Int } else { *flink };
    Ok(match flink {
        FlinkType::TinyInt => negate_integer::<Int8Type>(flink),
        FlinkType::SmallInt => negate_integer::<Int16Type>(flink),
        FlinkType::Int => negate_integer::<Int32Type>(flink),
        FlinkType::BigInt => negate_integer::<Int64Type>(flink),
        FlinkType::Float => Binding::strict(vec![flink], flink, move |arguments, rows| {
            Ok(unary::<Float32Type, Float32Type>(arguments, rows, flink, |value| -value))
        }),
        FlinkType::Double => Binding::strict(vec![flink], flink, move |arguments, rows| {
            Ok(unary::<Float64Type, Float64Type>(arguments, rows, flink, |value| -value))
        }),
        FlinkType::Decimal(..) => Binding::strict(vec![flink], flink, move |arguments, rows| {
            use arrow_array::types::Decimal128Type as D;
            Ok(unary::<D, D>(arguments, rows, flink, i128::wrapping_neg))
        }),
        FlinkType::IntervalDayTime | FlinkType::IntervalYearMonth => temporal::negate(flink),
        other => return Err(Error::statement(format!("cannot take the negative of {other}"))),
    })
}

fn negate_integer<T>(flink: FlinkType) -> Binding
where
    T: ArrowPrimitiveType,
    T::Native: Integer,
{
    Binding::strict(vec![flink], flink, move |arguments, rows| {
        try_unary::<T, T>(arguments, rows, flink, |value| {
            value.negated().ok_or_else(|| format!("-({value}) does not fit {flink}"))
        })
    })
}
