//! Rows as the analysed job server held them: every record a map from field name to a dynamic value, every group a map
//! from the name of an aggregate to what it has gathered, looked up anew for every row.
//!
//! It is an [`Aggregation`](thalweg_runtime::state::Aggregation) like the engine's own, so it runs under the same strategies and answers the same query over
//! the same rows: what is slow about it is its data model alone. Nothing in it is slower than such code commonly is.

mod aggregation;
mod value;

use std::sync::Arc;

use thalweg_runtime::{EventTimeMs, Fault};

pub use aggregation::{Closed, Expression, Function, RowAggregation, RowBatch, RowError, RowPartial, RowShard, Select};
pub use value::{Record, Value};

use crate::answer::{Answer, ResultRow};
use crate::model::{Model, Results};
use crate::trades::FIRST_MS;
use crate::workload::{Pool, Slice, WINDOW_MS};

/// The rows of a pool as records.
#[derive(Debug)]
pub struct Records(Arc<Vec<Record>>);

impl Records {
    /// A record for each row.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        let record = |row: &crate::workload::Row| {
            Record::from([
                ("trader_id".to_owned(), Value::String(row.trader())),
                ("symbol".to_owned(), Value::String(row.symbol())),
                ("price".to_owned(), Value::Float(row.price_cents as f64)),
                ("quantity".to_owned(), Value::Integer(row.quantity)),
                ("trade_time".to_owned(), Value::Timestamp(FIRST_MS + row.time_ms)),
            ])
        };
        Self(Arc::new(pool.rows.iter().map(record).collect()))
    }
}

/// The seed query.
#[must_use]
pub fn seed_query() -> Vec<Select> {
    let field = |name: &str| Expression::Field(name.to_owned());
    let turnover = Expression::Multiply(Box::new(field("price")), Box::new(field("quantity")));
    vec![
        Select { name: "count".to_owned(), function: Function::Count },
        Select { name: "average_price".to_owned(), function: Function::Avg(field("price")) },
        Select { name: "quantity".to_owned(), function: Function::Sum(field("quantity")) },
        Select { name: "turnover".to_owned(), function: Function::Sum(turnover) },
    ]
}

impl Model for Records {
    type Aggregation = RowAggregation;

    fn aggregation(&self) -> Result<Arc<RowAggregation>, Fault> {
        let keys = vec!["trader_id".to_owned(), "symbol".to_owned()];
        Ok(Arc::new(RowAggregation::new(keys, seed_query(), "trade_time".to_owned(), WINDOW_MS)))
    }

    fn batch(&self, slice: &Slice, stamp: EventTimeMs) -> Result<RowBatch, Fault> {
        Ok(RowBatch { records: Arc::clone(&self.0), rows: slice.rows.clone(), shift_ms: slice.shift_ms, stamp })
    }

    fn results(&self, aggregation: &Arc<RowAggregation>) -> Box<dyn Results<RowAggregation>> {
        Box::new(RecordResults { aggregation: Arc::clone(aggregation), due: Vec::new(), emitted: Vec::new() })
    }
}

struct RecordResults {
    aggregation: Arc<RowAggregation>,
    due: Vec<Closed>,
    emitted: Vec<Record>,
}

impl Results<RowAggregation> for RecordResults {
    fn push(&mut self, windows: Vec<Closed>) -> Result<(), Fault> {
        self.due.extend(windows);
        Ok(())
    }

    fn emit(&mut self) -> Result<bool, Fault> {
        let Some(closed) = self.due.pop() else { return Ok(false) };
        self.emitted.extend(self.aggregation.records(&closed)?);
        Ok(true)
    }

    fn take(&mut self, offset_ms: i64) -> Result<Answer, Fault> {
        let mut answer = Answer::default();
        for record in self.emitted.drain(..) {
            let fields = ["trader_id", "symbol", "window_start", "count", "average_price", "quantity", "turnover"];
            let fields = fields.map(|name| record.get(name).unwrap_or(&Value::Null));
            let [
                Value::String(trader),
                Value::String(symbol),
                Value::Timestamp(window),
                Value::Integer(count),
                Value::Float(average),
                Value::Integer(quantity),
                Value::Float(turnover),
            ] = fields
            else {
                return Err(format!("not a row of the seed query: {record:?}").into());
            };
            answer.add(&ResultRow {
                trader,
                symbol,
                window_start_ms: window - offset_ms,
                count: *count,
                average: *average,
                quantity: *quantity,
                turnover: *turnover,
            });
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
