//! The `blackhole` connector: takes rows and throws them away, where they are made.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::{OpenSink, SinkRows, SinkWriter, WriteOutcome};
use crate::error::Result;

/// Opens one for rows of `schema`.
#[must_use]
pub fn open(schema: &SchemaRef) -> OpenSink {
    OpenSink { encoder: None, writer: Box::new(Blackhole), schema: Arc::clone(schema) }
}

struct Blackhole;

impl SinkWriter for Blackhole {
    fn discards(&self) -> bool {
        true
    }

    fn write(&mut self, _rows: SinkRows<'_>) -> Result<WriteOutcome> {
        Ok(WriteOutcome::Written)
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
