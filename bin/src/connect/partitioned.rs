//! Reading a table that is PARTITIONED BY columns: `a=1/b=x/…`, whose values are the same for all rows of a directory.
//!
//! Each directory of rows is a source of its own, and the table is one after the other, in the order of their paths. The
//! blocks of the whole are numbered without a gap, so a directory's first number is known only when the one before has
//! been read to its end by every worker. A worker need not wait for that: it goes on to the next directory and keeps what
//! it finds there, a few blocks, until their numbers are known.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, UInt32Array, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};
use arrow_select::take::take;
use thalweg_runtime::WorkerId;
use thalweg_runtime::exchange::doorbell::Doorbells;

use super::bad_input::BadInput;
use super::block::check_block_bytes;
use super::filesystem::{self, is_hidden, unreadable};
use super::format::Format;
use super::input::ListedFile;
use super::sink::{PartOptions, partition_columns, unescape};
use super::{Arrival, ReadOptions, Source, SourceBlock, SourceEvent, SourceReader, TableScan};
use crate::error::{Error, Result};

/// Blocks that a worker keeps at most until their numbers are known.
const KEPT_MAX: usize = 4;

/// Opens the directories of a partitioned table below `path`: they are listed now, and each is read when its turn comes.
///
/// # Errors
/// `Connector`, if there is none, or something else is in the way; `Data`, if a value in a path is not of its column's
/// type; `Statement`, if the format cannot hold one of the columns.
pub fn open(path: &str, options: &PartOptions, scan: &TableScan<'_>) -> Result<Arc<dyn Source>> {
    check_block_bytes(scan.read.block_bytes)?;
    let rest = partition_columns(scan.schema, &options.partitions)?;
    let in_file = |column: &usize| rest.iter().position(|known| known == column);
    let file_scan = FileScan {
        name: scan.name.to_owned(),
        schema: Arc::new(scan.schema.project(&rest).map_err(internal)?),
        columns: scan.columns.iter().filter_map(in_file).collect(),
        format: scan.format.clone(),
        bad_input: scan.bad_input.clone(),
        read: scan.read.clone(),
        bells: scan.bells.clone(),
    };
    let output: SchemaRef = Arc::new(scan.schema.project(scan.columns).map_err(internal)?);
    let mut directories = Vec::new();
    list(Path::new(path), &options.partitions, scan, &mut Vec::new(), &mut directories)?;
    let mut parts = Vec::with_capacity(directories.len());
    let mut bytes_total = 0;
    for Directory { path, files, values } in directories {
        let values = typed(&path, &values, options, scan)?;
        let mut file_column = 0;
        let column = |column: &usize| match options.partitions.iter().position(|known| known == column) {
            Some(partition) => OutputColumn::Constant(Arc::clone(&values[partition])),
            None => {
                file_column += 1;
                OutputColumn::File(file_column - 1)
            }
        };
        let columns = scan.columns.iter().map(column).collect();
        bytes_total += files.iter().map(|file| file.bytes).sum::<u64>();
        parts.push(Partition { state: Mutex::new(PartState::Listed(files)), columns });
    }
    if parts.is_empty() {
        return Err(Error::connector(format!("no partition of table `{}` at `{path}`", scan.name))
            .help(format!("its rows are in directories such as '{}'", example(&options.partitions, scan.schema))));
    }
    let numbers = Numbers { first: vec![0], blocks: vec![0; parts.len()], ended: vec![0; parts.len()] };
    let shared = Shared {
        parts,
        file_scan,
        output,
        bytes_total,
        numbers: Mutex::new(numbers),
        is_draining: AtomicBool::new(false),
    };
    // What is wrong with the columns is known before the job starts.
    shared.source(0)?;
    Ok(Arc::new(PartitionedSource(Arc::new(shared))))
}

fn internal(error: ArrowError) -> Error {
    Error::internal(error.to_string())
}

/// A directory of rows.
struct Directory {
    path: PathBuf,
    files: Vec<ListedFile>,
    /// As its path has them, without escapes.
    values: Vec<String>,
}

/// Adds the directories of rows below `directory`, with their values, in the order of their paths. `columns`: those of the
/// levels that are left.
fn list(
    directory: &Path,
    columns: &[usize],
    scan: &TableScan<'_>,
    values: &mut Vec<String>,
    found: &mut Vec<Directory>,
) -> Result<()> {
    let Some((&column, below)) = columns.split_first() else {
        let files: Vec<PathBuf> =
            entries(directory)?.into_iter().filter(|path| !is_hidden(path) && path.is_file()).collect();
        // A partition of which nothing but `_SUCCESS` is left has no rows.
        if !files.is_empty() {
            let files = files.into_iter().map(ListedFile::look).collect::<Result<_>>()?;
            found.push(Directory { path: directory.to_path_buf(), files, values: values.clone() });
        }
        return Ok(());
    };
    let column = scan.schema.field(column).name();
    for path in entries(directory)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let value = name.split_once('=').filter(|(key, _)| unescape(key).as_deref() == Some(column.as_str()));
        match value.filter(|_| path.is_dir()).map(|(_, value)| unescape(value)) {
            Some(Some(value)) => {
                values.push(value);
                list(&path, below, scan, values, found)?;
                values.pop();
            }
            None if name.starts_with(['.', '_']) => {}
            Some(None) | None => {
                let message = format!("`{}` is not a partition of table `{}`", path.display(), scan.name);
                return Err(Error::connector(message)
                    .help(format!("here are directories named '{column}=<value>', and hidden files")));
            }
        }
    }
    Ok(())
}

/// What is in a directory, by name.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| unreadable(directory, &error))?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// The values of a path as arrays of one row.
fn typed(path: &Path, values: &[String], options: &PartOptions, scan: &TableScan<'_>) -> Result<Vec<ArrayRef>> {
    let value = |(column, text): (&usize, &String)| {
        let field = scan.schema.field(*column);
        let text = (*text != options.default_name).then_some(text.as_str());
        of_text(text, field).ok_or_else(|| {
            let value = text.map_or("NULL".to_owned(), |text| format!("'{text}'"));
            let message = format!("`{}`: {value} is not a value of column `{}`", path.display(), field.name());
            Error::data(message).help("rename the directory, or declare the column with a type that has the value")
        })
    };
    options.partitions.iter().zip(values).map(value).collect()
}

/// A value of a path; `None` if the column's type does not have it.
fn of_text(text: Option<&str>, field: &Field) -> Option<ArrayRef> {
    let Some(text) = text else {
        return match (field.is_nullable(), field.data_type()) {
            (true, data_type) => Some(new_null_array(data_type, 1)),
            // The empty string has no name of its own.
            (false, DataType::Utf8View) => of_text(Some(""), field),
            (false, _) => None,
        };
    };
    match field.data_type() {
        DataType::Boolean if !["true", "false"].contains(&text.to_ascii_lowercase().as_str()) => return None,
        DataType::Decimal128(_, scale) => {
            // More digits than the type has would be rounded.
            let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
            if digits as i64 > i64::from(*scale) {
                return None;
            }
        }
        _ => {}
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&StringArray::from(vec![text]), field.data_type(), &options).ok()
}

fn example(partitions: &[usize], schema: &SchemaRef) -> String {
    partitions.iter().map(|column| format!("{}=…/", schema.field(*column).name())).collect()
}

/// One directory of rows, as a source of its own.
struct Partition {
    state: Mutex<PartState>,
    columns: Vec<OutputColumn>,
}

/// How far a partition is. A source may have a thread and open files, so there is one only while it is read.
enum PartState {
    /// Nobody has asked for it yet.
    Listed(Vec<ListedFile>),
    /// Some worker reads it.
    Open(Arc<dyn Source>),
    /// All have read it, or the job was drained before.
    Closed,
}

/// What is read of the files: a [`TableScan`] that outlives the call of [`open`].
struct FileScan {
    name: String,
    schema: SchemaRef,
    columns: Vec<usize>,
    format: Format,
    bad_input: BadInput,
    read: ReadOptions,
    bells: Doorbells,
}

/// Where a column of the result comes from.
enum OutputColumn {
    /// The column of this position in the file's batches.
    File(usize),
    /// The same value in every row.
    Constant(ArrayRef),
}

struct PartitionedSource(Arc<Shared>);

struct Shared {
    parts: Vec<Partition>,
    file_scan: FileScan,
    /// Columns of the result.
    output: SchemaRef,
    /// Of all files, as they are packed.
    bytes_total: u64,
    numbers: Mutex<Numbers>,
    is_draining: AtomicBool,
}

/// How the blocks of the whole are numbered.
struct Numbers {
    /// The first block of each partition, as far as it is known: always of one at least.
    first: Vec<u64>,
    /// By partition: blocks that were handed out.
    blocks: Vec<u64>,
    /// By partition: workers that have come to its end.
    ended: Vec<usize>,
}

impl Shared {
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source of a partition; `None` if it is not to be read any more.
    fn source(&self, part: usize) -> Result<Option<Arc<dyn Source>>> {
        let Some(part) = self.parts.get(part) else { return Ok(None) };
        let mut state = part.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let PartState::Listed(files) = &mut *state {
            // SeqCst: a drain raises the flag before it looks at the partitions; one of the two sees the other.
            *state = if self.is_draining.load(Ordering::SeqCst) {
                PartState::Closed
            } else {
                let FileScan { name, schema, columns, format, bad_input, read, bells } = &self.file_scan;
                let scan = TableScan { name, schema, columns, codes: &[], format, bad_input, read, bells };
                PartState::Open(filesystem::open_listed(std::mem::take(files), &scan)?)
            };
        }
        Ok(match &*state {
            PartState::Open(source) => Some(Arc::clone(source)),
            PartState::Listed(_) | PartState::Closed => None,
        })
    }

    /// A worker has come to the end of a partition, of which it had so many blocks.
    fn end(&self, part: usize, blocks: u64) {
        let mut numbers = self.numbers();
        numbers.blocks[part] += blocks;
        numbers.ended[part] += 1;
        let known = numbers.first.len();
        // Partitions are ended in any order: one that all have ended tells where the next one begins once it is known
        // where it began itself.
        while let Some(last) = numbers.first.len().checked_sub(1)
            && numbers.ended.get(last) == Some(&self.file_scan.read.workers)
        {
            let next = numbers.first[last] + numbers.blocks[last];
            numbers.first.push(next);
        }
        let is_last_worker = numbers.ended[part] == self.file_scan.read.workers;
        let is_news = numbers.first.len() > known;
        drop(numbers);
        if is_last_worker {
            *self.parts[part].state.lock().unwrap_or_else(PoisonError::into_inner) = PartState::Closed;
        }
        if is_news {
            self.file_scan.bells.ring_all();
        }
    }
}

impl Source for PartitionedSource {
    fn reader(&self, worker: WorkerId) -> Box<dyn SourceReader> {
        Box::new(PartitionedReader {
            shared: Arc::clone(&self.0),
            worker,
            part: 0,
            reader: None,
            blocks: 0,
            kept: VecDeque::new(),
            failed_at: None,
            arrival: None,
        })
    }

    fn bytes_total(&self) -> Option<u64> {
        Some(self.0.bytes_total)
    }

    fn drain(&self) {
        self.0.is_draining.store(true, Ordering::SeqCst);
        for part in &self.0.parts {
            let state = part.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let PartState::Open(source) = &*state {
                source.drain();
            }
        }
    }
}

/// A block of a partition and when its rows came, or an error and the block that it is about, if that is known.
type Kept = Result<(SourceBlock, Option<Arrival>), (Error, Option<u64>)>;

/// One worker's handle.
struct PartitionedReader {
    shared: Arc<Shared>,
    worker: WorkerId,
    /// The partition that is being read.
    part: usize,
    /// Its reader.
    reader: Option<Box<dyn SourceReader>>,
    /// Blocks that this worker had of it.
    blocks: u64,
    /// What waits until its number is known, with its partition; an error is the last.
    kept: VecDeque<(usize, Kept)>,
    /// The block of an error that was told.
    failed_at: Option<u64>,
    /// Of the block that was given out last.
    arrival: Option<Arrival>,
}

impl SourceReader for PartitionedReader {
    fn poll(&mut self) -> Result<SourceEvent> {
        loop {
            if let Some((part, _)) = self.kept.front() {
                let first = self.shared.numbers().first.get(*part).copied();
                if let Some(first) = first
                    && let Some((part, block)) = self.kept.pop_front()
                {
                    let (block, arrival) = block.map_err(|(error, block)| {
                        self.failed_at = block.map(|block| first + block);
                        error
                    })?;
                    self.arrival = arrival;
                    return Ok(SourceEvent::Block(self.shared.complete(part, first, block)?));
                }
            }
            let has_failed = self.kept.back().is_some_and(|(_, block)| block.is_err());
            if self.kept.len() >= KEPT_MAX || has_failed {
                return Ok(SourceEvent::Pending);
            }
            if self.part == self.shared.parts.len() {
                return Ok(if self.kept.is_empty() { SourceEvent::End } else { SourceEvent::Pending });
            }
            if self.reader.is_none() {
                match self.shared.source(self.part) {
                    Ok(source) => self.reader = source.map(|source| source.reader(self.worker)),
                    Err(error) => {
                        self.kept.push_back((self.part, Err((error, Some(0)))));
                        continue;
                    }
                }
            }
            let Some(reader) = &mut self.reader else {
                self.end_part();
                continue;
            };
            match reader.poll() {
                Ok(SourceEvent::Block(block)) => {
                    self.blocks += 1;
                    self.kept.push_back((self.part, Ok((block, reader.arrival()))));
                }
                Ok(SourceEvent::Pending) => return Ok(SourceEvent::Pending),
                Ok(SourceEvent::End) => self.end_part(),
                Err(error) => {
                    let block = reader.failed_at();
                    self.kept.push_back((self.part, Err((error, block))));
                }
            }
        }
    }

    fn arrival(&self) -> Option<Arrival> {
        self.arrival
    }

    fn failed_at(&self) -> Option<u64> {
        self.failed_at
    }
}

impl PartitionedReader {
    fn end_part(&mut self) {
        self.reader = None;
        self.shared.end(self.part, std::mem::take(&mut self.blocks));
        self.part += 1;
    }
}

impl Shared {
    /// The block with its number in the whole and all columns.
    fn complete(&self, part: usize, first: u64, block: SourceBlock) -> Result<SourceBlock> {
        let batches = block.batches.iter().map(|batch| self.with_constants(part, batch)).collect::<Result<_>>()?;
        Ok(SourceBlock { index: first + block.index, batches, ..block })
    }

    fn with_constants(&self, part: usize, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let column = |column: &OutputColumn| match column {
            OutputColumn::File(column) => Ok(Arc::clone(batch.column(*column))),
            OutputColumn::Constant(value) => {
                take(value.as_ref() as &dyn Array, &UInt32Array::from(vec![0; rows]), None).map_err(internal)
            }
        };
        let columns = self.parts[part].columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options).map_err(internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_paths_are_of_their_types_or_refused() {
        use DataType as D;
        use arrow_schema::TimeUnit::Millisecond;
        let field = |data_type: &D| Field::new("f", data_type.clone(), true);
        for (data_type, good, bad) in [
            (D::Int32, "-7", "7.5"),
            (D::Int8, "127", "128"),
            (D::Boolean, "true", "yes"),
            (D::Decimal128(5, 2), "123.45", "1.234"),
            (D::Decimal128(5, 2), "1", "12345"),
            (D::Date32, "2024-02-29", "2023-02-29"),
            (D::Timestamp(Millisecond, None), "2024-01-02T03:04:05.678", "yesterday"),
            (D::Float64, "1.5", "one"),
        ] {
            assert!(of_text(Some(good), &field(&data_type)).is_some(), "{data_type}: {good}");
            assert!(of_text(Some(bad), &field(&data_type)).is_none(), "{data_type}: {bad}");
            assert!(of_text(Some(""), &field(&data_type)).is_none_or(|value| value.null_count() == 0));
        }
        assert!(of_text(Some(""), &field(&D::Utf8View)).is_some());
        assert_eq!(of_text(None, &field(&D::Int32)).unwrap().null_count(), 1);
        assert!(of_text(None, &Field::new("f", D::Int32, false)).is_none());
        assert!(of_text(None, &Field::new("f", D::Utf8View, false)).is_some());
    }
}
