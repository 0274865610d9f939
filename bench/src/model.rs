//! A data model under measurement: how rows are held, how they are aggregated, and how results leave.

use std::sync::Arc;

use thalweg_runtime::state::Aggregation;
use thalweg_runtime::{EventTimeMs, Fault};

use crate::answer::Answer;
use crate::workload::{FIRST_WATERMARK, Pool, Repetition, Script, Slice};

/// Rows of one pool, in one data model.
pub trait Model: Send + Sync + 'static {
    /// What is computed over them.
    type Aggregation: Aggregation;

    /// The seed query, planned anew: memory that one run leaves behind is of no use to the next.
    ///
    /// # Errors
    /// If it cannot be planned: a bug.
    fn aggregation(&self) -> Result<Arc<Self::Aggregation>, Fault>;

    /// These rows as a batch.
    ///
    /// # Errors
    /// If they cannot be put together: a bug.
    fn batch(&self, slice: &Slice, stamp: EventTimeMs) -> Result<<Self::Aggregation as Aggregation>::Batch, Fault>;

    /// Nothing emitted yet.
    fn results(&self, aggregation: &Arc<Self::Aggregation>) -> Box<dyn Results<Self::Aggregation>>;
}

/// Windows on their way out as rows of the result, and those rows, until they are compared.
pub trait Results<A: Aggregation>: Send {
    /// Takes windows that are over.
    ///
    /// # Errors
    /// If they do not fit together: a bug.
    fn push(&mut self, windows: Vec<A::Closed>) -> Result<(), Fault>;

    /// Makes the next rows of the result; false if there are none left.
    ///
    /// # Errors
    /// If a value does not fit its type.
    fn emit(&mut self) -> Result<bool, Fault>;

    /// What has been emitted since the last call, with the starts of windows moved back by `offset_ms`.
    ///
    /// # Errors
    /// If the rows are not what the query says.
    fn take(&mut self, offset_ms: i64) -> Result<Answer, Fault>;
}

/// The batch type of a model.
pub type BatchOf<M> = <<M as Model>::Aggregation as Aggregation>::Batch;

/// A batch that is ready to be fed.
#[derive(Debug)]
pub struct Fed<B> {
    /// The batch.
    pub batch: B,
    /// Its rows.
    pub rows: u64,
    /// The producer's watermark behind it.
    pub watermark: EventTimeMs,
}

/// A script with its batches made.
#[derive(Debug)]
pub struct Prepared<B> {
    /// What is fed when.
    pub script: Script,
    /// By repetition, producer and turn.
    pub feeds: Vec<Vec<Vec<Fed<B>>>>,
}

impl<B> Prepared<B> {
    /// Makes the batches of `script` over `pool`.
    ///
    /// # Errors
    /// As [`Model::batch`].
    pub fn new<M: Model>(model: &M, pool: &Pool, script: Script) -> Result<Self, Fault>
    where
        M::Aggregation: Aggregation<Batch = B>,
    {
        let mut watermarks = vec![FIRST_WATERMARK; script.producers()];
        let mut feeds = Vec::with_capacity(script.repetitions.len());
        for Repetition { feeds: slices, .. } in &script.repetitions {
            let mut producers = Vec::with_capacity(slices.len());
            for (slices, watermark) in slices.iter().zip(&mut watermarks) {
                let mut feed = Vec::with_capacity(slices.len());
                for slice in slices {
                    let batch = model.batch(slice, *watermark)?;
                    *watermark = pool.watermark(slice).max(*watermark);
                    feed.push(Fed { batch, rows: slice.rows.len() as u64, watermark: *watermark });
                }
                producers.push(feed);
            }
            feeds.push(producers);
        }
        Ok(Self { script, feeds })
    }
}
