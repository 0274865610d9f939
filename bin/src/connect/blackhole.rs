//! The `blackhole` connector: takes rows and throws them away.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::{Encoder, OpenSink, SinkRows, SinkWriter, WriteOutcome};
use crate::error::Result;

/// Opens one for rows of `schema`.
#[must_use]
pub fn open(schema: &SchemaRef) -> OpenSink {
    OpenSink {
        encoder: Some(Arc::new(|| Box::new(Blackhole))),
        writer: Box::new(Blackhole),
        schema: Arc::clone(schema),
    }
}

struct Blackhole;

impl Encoder for Blackhole {
    fn encode(&mut self, _batch: &RecordBatch, _out: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

impl SinkWriter for Blackhole {
    fn write(&mut self, _rows: SinkRows<'_>) -> Result<WriteOutcome> {
        Ok(WriteOutcome::Written)
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
