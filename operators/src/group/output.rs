//! Groups as rows: what leaves a GROUP BY, and what a reader sees of it.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::GroupAggregation;
use super::store::GroupStore;
use crate::aggregate::AggregateError;
use crate::batch::Ordinals;
use crate::spec::{AggregateFunction, GroupSpec};
use crate::window::TimeWindow;

/// The columns of a GROUP BY: keys under their names in the input, aggregates under their calls, and, for windows,
/// `window_start`, `window_end` and `window_time`.
#[must_use]
pub fn output_schema(spec: &GroupSpec, input: &SchemaRef) -> SchemaRef {
    let keys = spec.keys.iter().map(|key| {
        let field = input.fields().get(key.column);
        let (name, is_nullable) = field.map_or(("", true), |field| (field.name(), field.is_nullable()));
        Field::new(name, key.data_type.clone(), is_nullable)
    });
    let aggregates = spec.aggregates.iter().map(|aggregate| {
        let is_nullable = aggregate.function != AggregateFunction::Count;
        Field::new(&aggregate.name, aggregate.output_type.clone(), is_nullable)
    });
    let times = ["window_start", "window_end", "window_time"].into_iter().filter(|_| spec.window.is_some());
    let times = times.map(|name| Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, None), false));
    Arc::new(Schema::new(keys.chain(aggregates).chain(times).collect::<Vec<_>>()))
}

impl GroupAggregation {
    /// `groups` groups of a window, from `first` on, with the columns of the output.
    pub(super) fn rows(
        &self,
        window: TimeWindow,
        store: &GroupStore,
        (first, groups): (usize, usize),
    ) -> Result<RecordBatch, AggregateError> {
        let mut columns = store.columns(&self.layout, &self.spec.keys, (first, groups))?;
        if self.spec.window.is_some() {
            let times = [window.start, window.end(), window.last];
            columns.extend(
                times.map(|time| -> ArrayRef { Arc::new(TimestampMillisecondArray::from_value(time.0, groups)) }),
            );
        }
        let options = RecordBatchOptions::new().with_row_count(Some(groups));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// The ordinals of groups: from the window's end and the hashes of the keys, whoever emits them.
pub(super) fn ordinals(window: TimeWindow, hashes: &[u64]) -> Ordinals {
    // Flipping the sign bit keeps the order of times among unsigned numbers.
    Ordinals::Groups(window.end().0 as u64 ^ (1 << 63), hashes.into())
}
