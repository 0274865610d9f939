//! For tests of what reads files: a table of CSV with one column of numbers.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::bad_input::{BadInput, OnError};
use super::format::Format;
use super::format::csv::CsvOptions;
use super::{Doorbells, ReadOptions, TableScan};

/// What a scan of the table `t (n BIGINT)` by one worker borrows.
pub struct Numbers {
    schema: SchemaRef,
    format: Format,
    bad_input: BadInput,
    read: ReadOptions,
    /// The worker's.
    pub bells: Doorbells,
}

impl Numbers {
    /// Read in such batches and blocks, with this policy.
    pub fn new(batch_rows: usize, block_bytes: usize, on_error: OnError) -> Self {
        Self {
            schema: Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)])),
            format: Format::Csv(CsvOptions::default()),
            bad_input: BadInput { on_error, ..BadInput::default() },
            read: ReadOptions { batch_rows, block_bytes, workers: 1, kernels: Default::default() },
            bells: Doorbells::new(1),
        }
    }

    /// The scan.
    pub fn scan(&self) -> TableScan<'_> {
        let Self { schema, format, bad_input, read, bells } = self;
        TableScan { name: "t", schema, columns: &[0], codes: &[], format, bad_input, read, bells }
    }
}
