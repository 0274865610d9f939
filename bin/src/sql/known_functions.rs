//! The functions that a query may call, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion_expr::{AggregateUDF, ScalarUDF};

/// Flink's functions; their names count whatever their case.
pub(crate) struct KnownFunctions {
    scalar: BTreeMap<String, Arc<ScalarUDF>>,
    aggregate: BTreeMap<String, Arc<AggregateUDF>>,
}

impl KnownFunctions {
    /// All that Thalweg has.
    pub(crate) fn new() -> Self {
        let mut scalar = BTreeMap::new();
        for function in super::functions::scalar_functions() {
            for name in function.aliases().iter().map(String::as_str).chain([function.name()]) {
                scalar.insert(name.to_uppercase(), Arc::clone(&function));
            }
        }
        let mut aggregate = BTreeMap::new();
        for function in super::aggregates::aggregate_functions() {
            for name in function.aliases().iter().map(String::as_str).chain([function.name()]) {
                aggregate.insert(name.to_uppercase(), Arc::clone(&function));
            }
        }
        Self { scalar, aggregate }
    }

    pub(crate) fn scalar(&self, name: &str) -> Option<&Arc<ScalarUDF>> {
        self.scalar.get(&name.to_uppercase())
    }

    pub(crate) fn aggregate(&self, name: &str) -> Option<&Arc<AggregateUDF>> {
        self.aggregate.get(&name.to_uppercase())
    }

    pub(crate) fn scalar_names(&self) -> impl Iterator<Item = &str> {
        self.scalar.keys().map(String::as_str)
    }

    /// All names that are words, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.scalar_names().chain(self.aggregate_names()).collect();
        names.retain(|name| name.starts_with(char::is_alphabetic));
        names.sort_unstable();
        names.into_iter()
    }

    pub(crate) fn aggregate_names(&self) -> impl Iterator<Item = &str> {
        self.aggregate.keys().map(String::as_str)
    }
}

impl fmt::Debug for KnownFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.scalar_names().chain(self.aggregate_names())).finish()
    }
}
