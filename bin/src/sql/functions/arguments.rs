//! What a function accepts, checked and worded in one place.

use datafusion_common::ScalarValue;

use super::binding::Argument;
use crate::error::{Error, Result};
use crate::sql::types::FlinkType;

/// A parameter of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    /// CHAR, VARCHAR or STRING.
    Text,
    /// Any plain value: CAST makes a string of it.
    AsText,
    /// Any integer; bound as BIGINT.
    Integer,
    /// Any number; bound as DOUBLE.
    Double,
}

/// The types to which the arguments are cast; `required` of the parameters cannot be left out.
///
/// # Errors
/// If there are too few arguments, too many, or one of another type. `usage` shows the call.
pub(crate) fn accept(
    name: &str,
    usage: &str,
    parameters: &[Parameter],
    required: usize,
    arguments: &[Argument],
) -> Result<Vec<FlinkType>> {
    if !(required..=parameters.len()).contains(&arguments.len()) {
        let expected = match (required, parameters.len()) {
            (0, 0) => "no arguments".to_owned(),
            (1, 1) => "one argument".to_owned(),
            (few, many) if few == many => format!("{few} arguments"),
            (few, many) => format!("{few} to {many} arguments"),
        };
        return Err(
            Error::statement(format!("{name} takes {expected}, not {}", arguments.len())).help(usage.to_owned())
        );
    }
    let pairs = arguments.iter().zip(parameters).enumerate();
    pairs.map(|(place, (argument, parameter))| accept_one(name, usage, place, *parameter, argument.flink)).collect()
}

fn accept_one(name: &str, usage: &str, place: usize, parameter: Parameter, flink: FlinkType) -> Result<FlinkType> {
    let (is_accepted, bound, expected) = match parameter {
        Parameter::Text => (flink.is_string(), FlinkType::STRING, "a string"),
        Parameter::AsText => (!flink.is_nested(), FlinkType::STRING, "a string"),
        Parameter::Integer => (flink.is_integer(), FlinkType::BigInt, "an integer"),
        Parameter::Double => (flink.is_numeric(), FlinkType::Double, "a number"),
    };
    if is_accepted || flink == FlinkType::Null {
        return Ok(bound);
    }
    let error = Error::statement(format!("argument {} of {name} is {expected}, not {flink}", place + 1));
    Err(error.help(format!("{usage}; CAST changes a type")))
}

/// The constant string of an argument, where it is one.
pub(crate) fn literal_text(argument: Option<&Argument>) -> Option<&str> {
    match argument?.literal.as_ref()? {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => text.as_deref(),
        _ => None,
    }
}

/// The constant integer of an argument, where it is one.
pub(crate) fn literal_integer(argument: Option<&Argument>) -> Option<i64> {
    match argument?.literal.as_ref()? {
        ScalarValue::Int8(number) => number.map(i64::from),
        ScalarValue::Int16(number) => number.map(i64::from),
        ScalarValue::Int32(number) => number.map(i64::from),
        ScalarValue::Int64(number) => *number,
        _ => None,
    }
}
