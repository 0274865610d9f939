//! SESSION windows: the rows of a key as long as no gap comes between them.
//!
//! A row of time *t* is a session `[t, t + gap)`; sessions of one key that overlap or touch are one. So which windows there are
//! is known only when no row can come any more that would join two of them: the owner of a key holds its rows until then,
//! and lets them go with the bounds of their session in three columns more. What is computed of them is the business of a
//! GROUP BY above, for which the windows are given.
//!
//! **Order.** An owner takes in the rows of its keys in the order of their ordinals, and decides by the watermark that each row
//! was stamped with. So which sessions there are, and which rows are late, depends on the input alone.
//!
//! **When a session is over.** A row joins the sessions that end after its stamp, and is late if what comes of that would be
//! over at its stamp, as in Flink. A session is let go by a frontier that has reached its end, that is one
//! millisecond later than other windows: a row whose stamp is only known to be below its time is above that stamp, and such a
//! row may join a session that ends with it.

mod open;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

pub use open::OpenSessions;

use crate::aggregate::{AggregateError, Layout};
use crate::kernels::Kernels;
use crate::key::canonical_column;
use crate::route::Routing;
use crate::spec::{GroupSpec, KeyColumn};

/// What is asked for, in terms of the columns of the input.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// Columns of PARTITION BY; none for sessions over all rows.
    pub keys: Vec<KeyColumn>,
    /// Column of event time: `Timestamp(Millisecond, _)`, without NULL.
    pub time_column: usize,
    /// A session is over when so many milliseconds have gone without a row; above 0.
    pub gap_ms: i64,
    /// Names of the columns behind those of the input: start, end and time of the session.
    pub names: [String; 3],
}

/// SESSION windows: the plan of the sessions.
#[derive(Debug)]
pub struct SessionWindows {
    spec: SessionSpec,
    layout: Layout,
    schema: SchemaRef,
    /// Encodes keys.
    key: RowConverter,
    /// Encodes rows.
    row: RowConverter,
}

impl SessionWindows {
    /// Plans `spec` over batches with the columns `input`.
    ///
    /// # Errors
    /// If a column cannot be a key, or cannot be held.
    pub fn new(spec: SessionSpec, input: &SchemaRef, kernels: Kernels) -> Result<Self, AggregateError> {
        let is_global = spec.keys.is_empty();
        let group = GroupSpec { keys: spec.keys.clone(), aggregates: Vec::new(), window: None, is_global };
        let layout = Layout::running(&group, input, kernels)?;
        let key = spec.keys.iter().map(|key| SortField::new(key.data_type.clone()));
        let key = RowConverter::new(key.collect())?;
        let row = input.fields().iter().map(|field| SortField::new(field.data_type().clone()));
        let row = RowConverter::new(row.collect())?;
        let schema = output_schema(input, &spec)?;
        Ok(Self { spec, layout, schema, key, row })
    }

    /// How rows find their owners.
    #[must_use]
    pub fn routing(&self) -> Routing {
        Routing::new(&self.spec.keys, &self.layout, true)
    }

    /// The columns of what comes out.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The keys of rows, as bytes that are equal where keys are.
    fn keys(&self, columns: &RecordBatch) -> Result<Rows, AggregateError> {
        let keys: Vec<ArrayRef> =
            self.spec.keys.iter().map(|key| canonical_column(columns.column(key.column))).collect();
        match keys.is_empty() {
            true => Ok(self.key.empty_rows(0, 0)),
            false => Ok(self.key.convert_columns(&keys)?),
        }
    }
}

/// The columns that come out: those of the input, then start and end of the session without a zone, and its time, which has the
/// type of the column that the sessions are of.
///
/// # Errors
/// If there is no such column.
pub fn output_schema(input: &SchemaRef, spec: &SessionSpec) -> Result<SchemaRef, AggregateError> {
    let time = input.fields().get(spec.time_column);
    let time = time.ok_or_else(|| ArrowError::SchemaError(format!("no column {} of event time", spec.time_column)))?;
    let bound = DataType::Timestamp(TimeUnit::Millisecond, None);
    let [start, end, last] = &spec.names;
    let bounds = [
        Field::new(start, bound.clone(), false),
        Field::new(end, bound, false),
        Field::new(last, time.data_type().clone(), false).with_metadata(time.metadata().clone()),
    ];
    let bounds = bounds.into_iter().map(Arc::new);
    Ok(Arc::new(Schema::new(input.fields().iter().cloned().chain(bounds).collect::<Vec<FieldRef>>())))
}
