//! Files written and read back, damaged, pruned and of other writers.

mod damage;
mod direct;
mod peers;
mod pruning;
mod round_trip;
mod types;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow_select::concat::concat_batches;
use thalweg_runtime::WorkerId;
use thalweg_runtime::exchange::doorbell::Doorbells;

use super::{ParquetFileWriter, ParquetOptions, open};
use crate::connect::bad_input::{BadInput, OnError, Reject, RejectReason};
use crate::connect::format::Format;
use crate::connect::{ReadOptions, SourceEvent, SourceReader, TableScan};
use crate::error::Result;
use crate::plan::pruning::ColumnTest;

/// A way to read a table.
#[derive(Clone, Debug)]
struct Way {
    batch_rows: usize,
    block_bytes: usize,
    workers: usize,
    on_error: OnError,
}

impl Default for Way {
    fn default() -> Self {
        Self { batch_rows: 4096, block_bytes: 128 * 1024, workers: 1, on_error: OnError::Fail }
    }
}

/// Ways that must all come to the same.
fn ways(on_error: OnError) -> Vec<Way> {
    let mut ways = Vec::new();
    for (workers, batch_rows, block_bytes) in [(1, 4096, 1 << 17), (2, 7, 1), (3, 100, 16), (1, 1, 3), (4, 64, 100)] {
        ways.push(Way { batch_rows, block_bytes, workers, on_error });
    }
    ways
}

/// What came out of a table.
#[derive(Debug, PartialEq)]
struct Outcome {
    rows: RecordBatch,
    records: u64,
    unread: u64,
    /// By reason.
    rejected: Vec<(RejectReason, u64)>,
    rejects: Vec<Reject>,
}

/// Reads `columns` of the files at `path`; workers take turns.
fn read(path: &Path, schema: &SchemaRef, columns: &[usize], tests: &[ColumnTest], way: &Way) -> Result<Outcome> {
    let read = ReadOptions {
        batch_rows: way.batch_rows,
        block_bytes: way.block_bytes,
        workers: way.workers,
        kernels: Default::default(),
    };
    let format = Format::Parquet(ParquetOptions::default());
    let bad_input = BadInput { on_error: way.on_error, ..BadInput::default() };
    let bells = Doorbells::new(way.workers);
    let scan = TableScan {
        name: "t",
        schema,
        columns,
        codes: &[],
        format: &format,
        bad_input: &bad_input,
        read: &read,
        bells: &bells,
    };
    let source = open(vec![path.to_path_buf()], &scan, tests)?;
    let mut readers: Vec<Option<Box<dyn SourceReader>>> =
        (0..way.workers).map(|worker| Some(source.reader(WorkerId(worker as u16)))).collect();
    let mut blocks = Vec::new();
    while readers.iter().any(Option::is_some) {
        for slot in &mut readers {
            let Some(reader) = slot else { continue };
            match reader.poll()? {
                SourceEvent::Block(block) => blocks.push(block),
                SourceEvent::Pending => {}
                SourceEvent::End => *slot = None,
            }
        }
    }
    blocks.sort_by_key(|block| block.index);
    assert!(blocks.iter().enumerate().all(|(number, block)| block.index == number as u64));
    let bytes: u64 = blocks.iter().map(|block| block.bytes).sum();
    if way.on_error == OnError::Fail {
        // As the job does.
        if let Some(reject) = blocks.iter().flat_map(|block| &block.rejects.records).next() {
            return Err(reject.clone().into_error());
        }
        assert_eq!(Some(bytes), source.bytes_total());
    }
    let projected = Arc::new(schema.project(columns).expect("the columns are the schema's"));
    let batches: Vec<&RecordBatch> = blocks.iter().flat_map(|block| &block.batches).collect();
    assert!(batches.iter().all(|batch| batch.num_rows() <= way.batch_rows && batch.schema() == projected));
    let rows = match columns.is_empty() {
        false => concat_batches(&projected, batches).expect("batches of one schema"),
        true => {
            let rows = batches.iter().map(|batch| batch.num_rows()).sum();
            let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(projected, Vec::new(), &options).expect("no columns")
        }
    };
    let rejected = RejectReason::ALL.into_iter().filter_map(|reason| {
        let counts = blocks.iter().flat_map(|block| block.rejects.counts().iter());
        let count = counts.filter(|(other, _)| *other == reason).map(|(_, count)| count).sum();
        (count > 0).then_some((reason, count))
    });
    let rejected: Vec<_> = rejected.collect();
    let records: u64 = blocks.iter().map(|block| block.records).sum();
    assert_eq!(records, rows.num_rows() as u64 + rejected.iter().map(|(_, count)| count).sum::<u64>());
    let rejects = blocks.iter().flat_map(|block| block.rejects.records.clone()).collect();
    Ok(Outcome { rows, records, unread: source.unread(), rejected, rejects })
}

/// Reads all columns in the usual way.
fn read_all(path: &Path, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns: Vec<usize> = (0..schema.fields().len()).collect();
    read(path, schema, &columns, &[], &Way::default()).map(|outcome| outcome.rows)
}

/// Writes rows as the sink does.
fn written(rows: &RecordBatch, options: &ParquetOptions) -> Vec<u8> {
    let mut writer = ParquetFileWriter::new(Vec::new(), &rows.schema(), options).unwrap();
    let batch_rows = 10;
    for start in (0..rows.num_rows()).step_by(batch_rows) {
        writer.write(&[rows.slice(start, batch_rows.min(rows.num_rows() - start))]).unwrap();
    }
    writer.finish().unwrap()
}

/// A directory with one file.
fn file_of(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.parquet");
    std::fs::write(&path, bytes).unwrap();
    (directory, path)
}

fn list_of(element: DataType, nullable: bool) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, nullable)))
}

fn row_of(fields: &[(&str, DataType, bool)]) -> DataType {
    DataType::Struct(
        fields.iter().map(|(name, data_type, nullable)| Field::new(*name, data_type.clone(), *nullable)).collect(),
    )
}

fn map_of(key: DataType, value: DataType) -> DataType {
    let entries = row_of(&[("key", key, false), ("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
}

fn schema_of(fields: Vec<(&str, DataType, bool)>) -> SchemaRef {
    let fields: Vec<FieldRef> =
        fields.into_iter().map(|(name, data_type, nullable)| Arc::new(Field::new(name, data_type, nullable))).collect();
    Arc::new(Schema::new(fields))
}

/// A column of every type that a table can have, nested ones too.
fn every_type() -> SchemaRef {
    use DataType as T;
    let utc = || Some("UTC".into());
    schema_of(vec![
        ("boolean", T::Boolean, true),
        ("tinyint", T::Int8, true),
        ("smallint", T::Int16, false),
        ("int", T::Int32, true),
        ("bigint", T::Int64, true),
        ("float", T::Float32, true),
        ("double", T::Float64, true),
        ("small_decimal", T::Decimal128(9, 2), true),
        ("decimal", T::Decimal128(18, 18), true),
        ("large_decimal", T::Decimal128(38, 10), false),
        ("string", T::Utf8View, true),
        ("required_string", T::Utf8View, false),
        ("bytes", T::BinaryView, true),
        ("date", T::Date32, true),
        ("time", T::Time32(TimeUnit::Millisecond), true),
        ("millis", T::Timestamp(TimeUnit::Millisecond, None), true),
        ("micros", T::Timestamp(TimeUnit::Microsecond, None), true),
        ("nanos", T::Timestamp(TimeUnit::Nanosecond, None), false),
        ("instant", T::Timestamp(TimeUnit::Millisecond, utc()), true),
        ("fine_instant", T::Timestamp(TimeUnit::Nanosecond, utc()), true),
        ("array", list_of(T::Int64, true), true),
        ("required_array", list_of(T::Utf8View, false), false),
        ("row", row_of(&[("a", T::Int32, true), ("b", T::Utf8View, true)]), true),
        ("map", map_of(T::Utf8View, T::Int64), true),
        (
            "deep",
            list_of(
                row_of(&[("m", map_of(T::Int32, list_of(T::Utf8View, true)), true), ("n", T::Date32, false)]),
                true,
            ),
            true,
        ),
        (
            "deeper",
            row_of(&[
                ("r", row_of(&[("x", list_of(list_of(T::Float64, true), true), true)]), true),
                ("k", T::Boolean, false),
            ]),
            true,
        ),
    ])
}
