//! COALESCE, IFNULL, NVL, IF, NULLIF, GREATEST, LEAST.

use std::sync::Arc;

use datafusion_expr::ScalarUDF;

use super::binding::{Argument, Binding, Declared, Form, Nullness};
use crate::error::{Error, Result};
use crate::sql::types::FlinkType;
use crate::sql::typing::common_type;

/// The functions of this family.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let call = |name, bind| Declared::udf(name, Form::Call, bind);
    vec![
        call("COALESCE", bind_coalesce),
        call("IFNULL", bind_two),
        call("NVL", bind_two),
        call("IF", bind_if),
        call("NULLIF", bind_nullif),
    ]
}

fn bind_two(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    match arguments {
        [_, _] => bind_coalesce(name, arguments),
        _ => Err(Error::statement(format!("{name} takes two arguments, not {}", arguments.len()))),
    }
}

/// The first argument that is not NULL. Evaluated by `compile`, which looks at an argument only where it must.
fn bind_coalesce(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types: Vec<_> = arguments.iter().map(|argument| argument.flink).collect();
    let result = common_type(&types).ok_or_else(|| no_common_type(name, &types))?;
    if arguments.is_empty() {
        return Err(Error::statement(format!("{name} takes at least one argument")));
    }
    let kernel = |_: &[_], _| Err("internal error: evaluated elsewhere".to_owned());
    Ok(Binding::strict(vec![result; arguments.len()], result, kernel).with_nullness(Nullness::Possible))
}

/// The type of IF; typing replaces the call by CASE.
fn bind_if(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    match arguments {
        [_, then, otherwise] => bind_coalesce(name, &[then.clone(), otherwise.clone()]),
        _ => Err(Error::statement("IF takes a condition and two values: IF(a > 0, 'yes', 'no')")),
    }
}

/// The type of NULLIF; typing replaces the call by CASE.
fn bind_nullif(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    match arguments {
        [value, _] => bind_coalesce(name, std::slice::from_ref(value)),
        _ => Err(Error::statement("NULLIF takes two values")),
    }
}

/// The error for arguments that have no type in common.
pub(crate) fn no_common_type(name: &str, types: &[FlinkType]) -> Error {
    let listed: Vec<_> = types.iter().map(ToString::to_string).collect();
    Error::statement(format!("{name} of {}", listed.join(", "))).help("cast the arguments to one type")
}
