//! Rows as the engine holds them: columns of Arrow, in batches that are views into the pool.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use thalweg_operators::batch::{Batch, Ordinal, Ordinals, Stamps};
use thalweg_operators::changelog::RowKinds;
use thalweg_operators::group::{CloseMode, ClosedWindow, Emission, GroupAggregation};
use thalweg_operators::kernels::Kernels;
use thalweg_operators::spec::{AggregateFunction, AggregateSpec, GroupSpec, KeyColumn};
use thalweg_runtime::{EventTimeMs, Fault};

use crate::answer::{Answer, ResultRow};
use crate::model::{Model, Results};
use crate::trades::FIRST_MS;
use crate::workload::{Pool, Slice, tumbling};

/// Rows of the result that are made at a time, as in a job.
const EMIT_ROWS: usize = 4_096;
const TURNOVER: usize = 4;
const TIME: usize = 5;

/// The rows of a pool as columns. `price * quantity` is one of them: an expression is evaluated before a batch gets here.
#[derive(Clone, Debug)]
pub struct Columns {
    rows: RecordBatch,
    /// Of the rows, relative to the pool's start.
    times_ms: Arc<[i64]>,
    kernels: Kernels,
}

impl Columns {
    /// The columns of these rows, to be aggregated with these kernels.
    ///
    /// # Errors
    /// If Arrow refuses them: a bug.
    pub fn new(pool: &Pool, kernels: Kernels) -> Result<Self, Fault> {
        let rows = &pool.rows;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|row| Some(row.trader())).collect::<StringViewArray>()),
            Arc::new(rows.iter().map(|row| Some(row.symbol())).collect::<StringViewArray>()),
            Arc::new(rows.iter().map(|row| row.price_cents as f64).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.quantity).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.price_cents as f64 * row.quantity as f64).collect::<Float64Array>()),
            Arc::new(TimestampMillisecondArray::from(vec![0; rows.len()])),
        ];
        let times_ms = rows.iter().map(|row| row.time_ms).collect();
        Ok(Self { rows: RecordBatch::try_new(schema(), columns)?, times_ms, kernels })
    }

    /// The same columns, to be aggregated with other kernels.
    #[must_use]
    pub fn with_kernels(&self, kernels: Kernels) -> Self {
        Self { kernels, ..self.clone() }
    }

    fn times(&self, rows: Range<usize>, shift_ms: i64) -> ArrayRef {
        let times = self.times_ms[rows].iter().map(|time| FIRST_MS + time + shift_ms);
        Arc::new(TimestampMillisecondArray::from_iter_values(times))
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("trader_id", DataType::Utf8View, false),
        Field::new("symbol", DataType::Utf8View, false),
        Field::new("price", DataType::Float64, false),
        Field::new("quantity", DataType::Int64, false),
        Field::new("price * quantity", DataType::Float64, false),
        Field::new("trade_time", DataType::Timestamp(TimeUnit::Millisecond, None), false),
    ]))
}

/// The seed query.
fn spec() -> GroupSpec {
    let key = |column| KeyColumn { column, data_type: DataType::Utf8View };
    let aggregate = |function, argument, input_type: DataType, output_type, name: &str| AggregateSpec {
        function,
        argument,
        input_type,
        filter: None,
        distinct: false,
        output_type,
        name: name.to_owned(),
    };
    GroupSpec {
        keys: vec![key(0), key(1)],
        aggregates: vec![
            aggregate(AggregateFunction::Count, None, DataType::Null, DataType::Int64, "COUNT(*)"),
            aggregate(AggregateFunction::Avg, Some(2), DataType::Float64, DataType::Float64, "AVG(price)"),
            aggregate(AggregateFunction::Sum, Some(3), DataType::Int64, DataType::Int64, "SUM(quantity)"),
            aggregate(
                AggregateFunction::Sum,
                Some(TURNOVER),
                DataType::Float64,
                DataType::Float64,
                "SUM(price * quantity)",
            ),
        ],
        window: Some(tumbling(TIME)),
        is_global: false,
    }
}

impl Model for Columns {
    type Aggregation = GroupAggregation;

    fn aggregation(&self) -> Result<Arc<GroupAggregation>, Fault> {
        Ok(Arc::new(GroupAggregation::new(Arc::new(spec()), &schema(), CloseMode::WhenPassed, self.kernels)?))
    }

    fn batch(&self, slice: &Slice, stamp: EventTimeMs) -> Result<Batch, Fault> {
        let rows = slice.rows.clone();
        let mut columns = self.rows.slice(rows.start, rows.len()).columns().to_vec();
        columns[TIME] = self.times(rows.clone(), slice.shift_ms);
        // Nothing here goes by ordinals; they only have to differ.
        let first = (FIRST_MS + slice.shift_ms) as u128 * self.times_ms.len() as u128 + rows.start as u128;
        Ok(Batch {
            columns: RecordBatch::try_new(self.rows.schema(), columns)?,
            ordinals: Ordinals::Run(Ordinal::of_row(first)),
            stamps: Stamps::Uniform(stamp),
            kinds: RowKinds::Inserts,
        })
    }

    fn results(&self, aggregation: &Arc<GroupAggregation>) -> Box<dyn Results<GroupAggregation>> {
        Box::new(ColumnResults { emission: Emission::new(Arc::clone(aggregation)), emitted: Vec::new() })
    }
}

struct ColumnResults {
    emission: Emission,
    emitted: Vec<RecordBatch>,
}

impl Results<GroupAggregation> for ColumnResults {
    fn push(&mut self, windows: Vec<ClosedWindow>) -> Result<(), Fault> {
        Ok(self.emission.push(windows)?)
    }

    fn emit(&mut self) -> Result<bool, Fault> {
        let batch = self.emission.next_batch(EMIT_ROWS)?;
        let is_some = batch.is_some();
        self.emitted.extend(batch.map(|batch| batch.columns));
        Ok(is_some)
    }

    fn take(&mut self, offset_ms: i64) -> Result<Answer, Fault> {
        let mut answer = Answer::default();
        for batch in self.emitted.drain(..) {
            let (traders, symbols) = (batch.column(0).as_string_view(), batch.column(1).as_string_view());
            let counts = batch.column(2).as_primitive::<Int64Type>().values();
            let averages = batch.column(3).as_primitive::<Float64Type>().values();
            let quantities = batch.column(4).as_primitive::<Int64Type>().values();
            let turnovers = batch.column(5).as_primitive::<Float64Type>().values();
            let starts = batch.column(6).as_primitive::<TimestampMillisecondType>().values();
            for row in 0..batch.num_rows() {
                answer.add(&ResultRow {
                    trader: traders.value(row),
                    symbol: symbols.value(row),
                    window_start_ms: starts[row] - offset_ms,
                    count: counts[row],
                    average: averages[row],
                    quantity: quantities[row],
                    turnover: turnovers[row],
                });
            }
        }
        Ok(answer)
    }
}
