//! Casts until they are typed: functions that are told the type by its name.

use std::sync::Arc;

use datafusion_common::ScalarValue;
use datafusion_expr::ScalarUDF;

use crate::error::{Error, Result};
use crate::sql::functions::binding::{Argument, Binding, Declared, Form, Nullness};
use crate::sql::types::FlinkType;

/// `CAST(operand AS type)` until it is typed: a function of the operand and the type's name. DataFusion's own cast has no
/// type in its name, so that two aggregates over casts of one column would be taken for one.
pub(crate) const CAST_TO: &str = "$CAST";

/// `TRY_CAST(operand AS type)` until it is typed.
pub(crate) const TRY_CAST_TO: &str = "$TRY_CAST";

/// The functions that stand for casts; typing replaces their calls.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    [CAST_TO, TRY_CAST_TO].map(|name| Declared::udf(name, Form::Cast, bind_named)).to_vec()
}

fn bind_named(_: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let to = named_type(arguments.get(1).and_then(|argument| argument.literal.as_ref()))?;
    let kernel = |_: &[_], _: usize| Err("internal error: evaluated elsewhere".to_owned());
    let types = arguments.iter().map(|argument| argument.flink).collect();
    Ok(Binding::strict(types, to, kernel).with_nullness(Nullness::Possible))
}

/// The type that the second argument of such a function names.
///
/// # Errors
/// Never, if `sql::syntax` made the call.
pub(crate) fn named_type(name: Option<&ScalarValue>) -> Result<FlinkType> {
    let parsed = name.and_then(|name| name.try_as_str().flatten()).and_then(FlinkType::parse);
    parsed.ok_or_else(|| Error::internal("a cast to a type without a name"))
}
