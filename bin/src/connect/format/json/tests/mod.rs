//! JSON as a whole: any lines, cut anywhere, read by any number of workers; values, rejects with their places, and what is
//! written, read back.

mod cuts;
mod oracle;
mod random;
mod shapes;
mod suite;
mod values;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use thalweg_operators::kernels::Kernels;
use thalweg_runtime::WorkerId;
use thalweg_runtime::exchange::doorbell::Doorbells;

use super::{JsonEncoder, JsonOptions, MapKeys, json_source};
use crate::connect::bad_input::{BadInput, OnError, Reject};
use crate::connect::block::{BlockInput, BlockPool, RawBlock, Taken};
use crate::connect::format::Format;
use crate::connect::{Encoder, ReadOptions, Source, SourceBlock, SourceEvent, TableScan};
use crate::error::Result;

/// One file in memory, cut at these places.
struct Memory {
    pool: Arc<BlockPool>,
    text: Vec<u8>,
    /// Where blocks end; the last is the text's end.
    ends: Vec<usize>,
    next: AtomicUsize,
}

impl Memory {
    fn new(text: &[u8], cuts: &[usize]) -> Self {
        let mut ends = cuts.to_vec();
        ends.push(text.len());
        Self { pool: BlockPool::new(text.len().max(1)), text: text.to_vec(), ends, next: AtomicUsize::new(0) }
    }
}

impl BlockInput for Memory {
    fn take(&self) -> Taken {
        let index = self.next.fetch_add(1, Ordering::SeqCst);
        let Some(&end) = self.ends.get(index) else { return Taken::End };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        let mut buffer = self.pool.buffer();
        buffer.input()[..end - start].copy_from_slice(&self.text[start..end]);
        Taken::Block(RawBlock {
            index: index as u64,
            origin: "f.json".into(),
            buffer,
            bytes: end - start,
            input_bytes: (end - start) as u64,
            damage: None,
            arrived: std::time::Instant::now(),
            stream: 0,
            offset: start as u64,
            is_first: index == 0,
            is_last: index + 1 == self.ends.len(),
        })
    }

    fn next_index(&self) -> u64 {
        self.next.load(Ordering::SeqCst) as u64
    }

    fn stop(&self) {
        self.next.store(usize::MAX / 2, Ordering::SeqCst);
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }
}

/// How a text is read.
#[derive(Clone)]
struct Reading {
    schema: SchemaRef,
    columns: Vec<usize>,
    options: JsonOptions,
    bad_input: BadInput,
    cuts: Vec<usize>,
    workers: usize,
    batch_rows: usize,
    kernels: Kernels,
}

/// What came of it.
#[derive(Debug, PartialEq)]
struct Outcome {
    rows: RecordBatch,
    rejects: Vec<Reject>,
    records: u64,
}

impl Reading {
    fn of(fields: Vec<Field>) -> Self {
        let columns = (0..fields.len()).collect();
        let bad_input = BadInput { on_error: OnError::Divert, ..BadInput::default() };
        let (options, cuts) = (JsonOptions::default(), Vec::new());
        let schema = Arc::new(Schema::new(fields));
        let kernels = Kernels::default();
        Self { schema, columns, options, bad_input, cuts, workers: 1, batch_rows: 4096, kernels }
    }

    /// All blocks in order, read by workers who take turns.
    fn blocks(&self, text: &[u8]) -> Result<Vec<SourceBlock>> {
        let bells = Doorbells::new(self.workers);
        let read = ReadOptions {
            batch_rows: self.batch_rows,
            block_bytes: text.len().max(1),
            workers: self.workers,
            kernels: self.kernels,
        };
        let scan = TableScan {
            name: "t",
            schema: &self.schema,
            columns: &self.columns,
            codes: &[],
            format: &Format::Json(self.options.clone()),
            bad_input: &self.bad_input,
            read: &read,
            bells: &bells,
        };
        let source = json_source(Memory::new(text, &self.cuts), self.options.clone(), &scan)?;
        let mut readers = (0..self.workers).map(|worker| source.reader(WorkerId(worker as u16))).collect::<Vec<_>>();
        let mut blocks = Vec::new();
        while !readers.is_empty() {
            let mut is_ended = Vec::new();
            for reader in &mut readers {
                let event = reader.poll()?;
                is_ended.push(matches!(event, SourceEvent::End));
                if let SourceEvent::Block(block) = event {
                    blocks.push(block);
                }
            }
            let mut ended = is_ended.into_iter();
            readers.retain(|_| !ended.next().unwrap());
        }
        blocks.sort_by_key(|block| block.index);
        Ok(blocks)
    }

    fn read(&self, text: &[u8]) -> Result<Outcome> {
        let blocks = self.blocks(text)?;
        let projected = Arc::new(self.schema.project(&self.columns).unwrap());
        let batches = blocks.iter().flat_map(|block| &block.batches);
        assert!(batches.clone().all(|batch| (1..=self.batch_rows).contains(&batch.num_rows())));
        let rows = concat_batches(&projected, batches).unwrap();
        let records = blocks.iter().map(|block| block.records).sum();
        let rejects = blocks.into_iter().flat_map(|block| block.rejects.records).collect::<Vec<_>>();
        assert_eq!(records, (rows.num_rows() + rejects.len()) as u64, "an account that does not balance");
        Ok(Outcome { rows, rejects, records })
    }
}

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(field("element", element)))
}

fn map_of(value: DataType) -> DataType {
    let entry = [Field::new("key", DataType::Utf8View, false), field("value", value)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(Fields::from(entry.to_vec())), false)), false)
}

fn row_of(fields: Vec<Field>) -> DataType {
    DataType::Struct(fields.into())
}

fn written(rows: &RecordBatch, options: &JsonOptions) -> String {
    let mut out = Vec::new();
    JsonEncoder::new(rows.schema_ref(), options, MapKeys::Strings).unwrap().encode(rows, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A text with something of everything, good and bad.
fn motley() -> (Reading, Vec<u8>) {
    let fields = vec![
        field("id", DataType::Int64),
        field("name", DataType::Utf8View),
        field("tags", list_of(DataType::Utf8View)),
        field("at", row_of(vec![field("x", DataType::Float64), field("y", DataType::Float64)])),
        field("more", map_of(list_of(DataType::Int64))),
    ];
    let lines = [
        r#"{"id":1,"name":"plain","tags":["a","a longer text than twelve bytes"],"at":{"x":1.5,"y":-2}}"#,
        "",
        r#"  { "name" : "a \"quoted\" name \ud83d\ude00 with escapes" , "id" : 2 , "unknown" : [ { "deep" : [ ] } ] }  "#,
        r#"{"id":"x","name":"no number"}"#,
        r#"{"id":3,"more":{"k":[1,2],"l":[],"k":[3]},"at":null}"#,
        "not json\r",
        r#"{"id":4,"tags":["é€😀","ü"],"more":{"a key of more than twelve bytes":[null]}}"#,
        "\t \r",
        r#"{"id":5,"id":6,"name":7.50,"tags":[{"a" : 1}, [2, "\u0041"], true, null]}"#,
        r#"{"id":7,"at":{"x":"1e999"}}"#,
        r#"{"id":8,"name":"cut short"#,
        r#"{"id":9.0,"name":"","tags":[],"at":{},"more":{}}"#,
        r#"{}"#,
    ];
    let mut text = b"\xEF\xBB\xBF".to_vec();
    text.extend_from_slice(lines.join("\n").as_bytes());
    text.extend_from_slice(b"\n{\"name\":\"\xFF\"}\r\n{\"id\":10}");
    (Reading::of(fields), text)
}

#[test]
fn what_is_accepted_does_not_depend_on_what_is_read() {
    let (reading, text) = motley();
    let none = Reading { columns: Vec::new(), ..reading.clone() }.read(&text).unwrap();
    let lines = |outcome: &Outcome| outcome.rejects.iter().map(|reject| reject.line).collect::<Vec<_>>();
    // What is not JSON in UTF-8, and nothing that is only no number.
    assert_eq!((none.records, lines(&none)), (13, vec![6, 11, 14]));
    assert_eq!(lines(&reading.read(&text).unwrap()), [4, 6, 10, 11, 14]);
    let names = Reading { columns: vec![1], ..reading.clone() }.read(&text).unwrap();
    assert_eq!(lines(&names), lines(&none));
    assert_eq!(names.rows.num_rows(), 10);
}
