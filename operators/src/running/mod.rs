//! GROUP BY without an end: a result that changes with each row, and the changelog of it.
//!
//! The first row of a key gives `+I`, each later one `-U` with the values before it and `+U` with those after it; a row that
//! leaves all values as they are gives nothing, as in Flink without a time to live. DISTINCT is a GROUP BY without
//! aggregates, so only first rows give anything.
//!
//! The input may be a changelog itself: `-U` and `-D` take a row back. A group whose last row is taken back is gone, and
//! gives `-D`; a row of a group that is not there cannot be taken back, and is passed over.
//!
//! A key's rows are taken in by its owner alone, in the order of their ordinals: a [`Router`](crate::route::Router) divides a
//! batch among the owners, [`RunningGroups`] are the groups of one of them. Who brings the rows into their order is the
//! caller's business.

pub(crate) mod changed;
mod groups;
mod net;

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
    /// Rows may be taken back.
    takes_back: bool,
}

impl RunningAggregation {
    /// Plans `spec`, which has no window, over batches with the columns `input`; groups are found with `kernels`.
    ///
    /// # Errors
    /// If a key or an aggregate has no implementation for its type.
    pub fn new(spec: Arc<GroupSpec>, input: &SchemaRef, kernels: Kernels) -> Result<Self, AggregateError> {
        let layout = Layout::running(&spec, input, kernels)?;
        Ok(Self::with_layout(spec, layout, input, false))
    }

    /// As [`new`](Self::new), over a changelog. FIRST_VALUE, LAST_VALUE and LISTAGG go by the order in which rows come to
    /// their owner; of several equal ones the earliest is taken back.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn over_changes(spec: Arc<GroupSpec>, input: &SchemaRef, kernels: Kernels) -> Result<Self, AggregateError> {
        let layout = Layout::net(&spec, input, kernels)?;
        Ok(Self::with_layout(spec, layout, input, true))
    }

    fn with_layout(spec: Arc<GroupSpec>, layout: Layout, input: &SchemaRef, takes_back: bool) -> Self {
        let (schema, always_changes) = (output_schema(&spec, input), layout.counts_rows());
        Self { spec, layout, schema, always_changes, takes_back }
    }

    /// How rows find their owners.
    #[must_use]
    pub fn routing(&self) -> Routing {
        Routing::new(&self.spec.keys, &self.layout, !self.layout.sides.is_empty() && !self.takes_back)
    }

    /// The columns of the changelog: keys, then aggregates.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}
