//! The scalar functions, under Flink's names.

pub(crate) mod arguments;
pub mod binding;
pub(crate) mod calendar;
pub(crate) mod columns;
mod conditional;
pub(crate) mod encoded;
mod encoding;
pub(crate) mod entries;
mod matching;
mod math;
pub(crate) mod moments;
pub(crate) mod nested;
pub(crate) mod numerals;
mod patterns;
mod strings;
mod temporal;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion_expr::ScalarUDF;

use super::{arithmetic, cast};

/// All scalar functions and operators, each under one name in small letters.
#[must_use]
pub fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    [
        arithmetic::operators(),
        cast::functions(),
        conditional::functions(),
        encoding::functions(),
        matching::functions(),
        math::functions(),
        nested::functions(),
        strings::functions(),
        temporal::functions(),
        super::typing::nested::functions(),
    ]
    .concat()
}

/// A function by its name in small letters.
pub(crate) fn named(name: &str) -> Option<Arc<ScalarUDF>> {
    static BY_NAME: LazyLock<HashMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
        scalar_functions().into_iter().map(|function| (function.name().to_owned(), function)).collect()
    });
    BY_NAME.get(name).cloned()
}
