//! GROUP BY without an end: a result that changes with each row, and the changelog of it.
//!
//! The first row of a key gives `+I`, each later one `-U` with the values before it and `+U` with those after it; a row that
//! leaves all values as they are gives nothing, as in Flink without a time to live. DISTINCT is a GROUP BY without
//! aggregates, so only first rows give anything.
//!
//! A key's rows are taken in by its owner alone, in the order of their ordinals: a [`Router`](crate::route::Router) divides a
//! batch among the owners, [`RunningGroups`] are the groups of one of them. Who brings the rows into their order is the
//! caller's business.

pub(crate) mod changed;
mod groups;

use std::sync::Arc;

use arrow_schema::SchemaRef;

pub use groups::RunningGroups;

use crate::aggregate::{AggregateError, Layout};
use crate::group::output_schema;
use crate::kernels::Kernels;
use crate::route::Routing;
use crate::spec::GroupSpec;

/// One running GROUP BY: the plan of its groups.
#[derive(Debug)]
pub struct RunningAggregation {
    spec: Arc<GroupSpec>,
    layout: Layout,
    schema: SchemaRef,
    /// Every row changes some value of its group: there is a COUNT(*).
    always_changes: bool,
}

impl RunningAggregation {
    /// Plans `spec`, which has no window, over batches with the columns `input`; groups are found with `kernels`.
    ///
    /// # Errors
    /// If a key or an aggregate has no implementation for its type.
    pub fn new(spec: Arc<GroupSpec>, input: &SchemaRef, kernels: Kernels) -> Result<Self, AggregateError> {
        let (layout, schema) = (Layout::running(&spec, input, kernels)?, output_schema(&spec, input));
        let always_changes = layout.counts_rows();
        Ok(Self { spec, layout, schema, always_changes })
    }

    /// How rows find their owners.
    #[must_use]
    pub fn routing(&self) -> Routing {
        Routing::new(&self.spec.keys, &self.layout, !self.layout.sides.is_empty())
    }

    /// The columns of the changelog: keys, then aggregates.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}
