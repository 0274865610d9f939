//! Rows as a file of Parquet.

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;

use super::adapt::{Column, Refusal, Step};
use super::options::ParquetOptions;
use super::schema::type_name;
use crate::connect::{SinkRows, SinkWriter, WriteOutcome};
use crate::error::{Error, Kind, Result};

/// Bytes gathered before they are handed on.
const BUFFER_BYTES: usize = 256 * 1024;

/// Checks that every column of a table can be written.
///
/// # Errors
/// `Statement`, naming the first that cannot.
pub fn check_schema(schema: &Schema) -> Result<()> {
    match schema.fields().iter().find(|field| !is_written(field.data_type())) {
        None => Ok(()),
        Some(field) => {
            let (name, data_type) = (field.name(), type_name(field.data_type()));
            Err(Error::statement(format!("column `{name}` of type {data_type} cannot be held by Parquet"))
                .help("declare it as STRING, and CAST to that in the INSERT"))
        }
    }
}

fn is_written(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => true,
        DataType::Float32 | DataType::Float64 | DataType::Utf8View | DataType::BinaryView | DataType::Date32 => true,
        DataType::Decimal128(precision, scale) => (0..=*precision as i8).contains(scale),
        DataType::Time32(TimeUnit::Millisecond) => true,
        DataType::Timestamp(unit, _) => *unit != TimeUnit::Second,
        DataType::List(element) | DataType::Map(element, _) => is_written(element.data_type()),
        DataType::Struct(fields) => !fields.is_empty() && fields.iter().all(|field| is_written(field.data_type())),
        _ => false,
    }
}

/// Writes one file. Rows are held until a row group is full, in their compressed form as far as their pages are.
pub struct ParquetFileWriter<W: Write + Send> {
    /// `None` once it is finished, or has failed.
    writer: Option<ArrowWriter<W>>,
    schema: SchemaRef,
    /// Where timestamps are written in another unit: what becomes of each column.
    columns: Option<Vec<Column>>,
}

impl<W: Write + Send> ParquetFileWriter<W> {
    /// Begins a file of rows of `schema` in `out`.
    ///
    /// # Errors
    /// `Statement`, if a column cannot be written; `Connector`, if `out` refuses.
    pub fn new(out: W, schema: &Schema, options: &ParquetOptions) -> Result<Self> {
        check_schema(schema)?;
        let fields: Fields = schema.fields().iter().map(|field| plain(field, options.time_unit)).collect();
        let columns = options.time_unit.map(|_| {
            schema.fields().iter().zip(&fields).map(|(from, to)| column_between(from, to, from.name())).collect()
        });
        let written: SchemaRef = Arc::new(Schema::new(fields));
        // How the rows are in memory is nobody's business: the types of Parquet say all that they mean.
        let options = ArrowWriterOptions::new()
            .with_properties(options.properties().as_ref().clone())
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(out, Arc::clone(&written), options);
        Ok(Self { writer: Some(writer.map_err(failed)?), schema: written, columns })
    }

    /// Writes rows, whose columns are those of the schema by place and type.
    ///
    /// # Errors
    /// `Data`, if a timestamp has more digits than `parquet.timestamp.time.unit`; `Connector`, if the device refuses.
    pub fn write(&mut self, batches: &[RecordBatch]) -> Result<()> {
        for batch in batches {
            let columns = match &self.columns {
                None => batch.columns().to_vec(),
                Some(columns) => {
                    let mut refusals = Vec::new();
                    let adapted = columns.iter().zip(batch.columns());
                    let adapted = adapted.map(|(column, array)| column.adapt(array, &mut refusals));
                    let adapted = adapted.collect::<Result<Vec<_>, _>>().map_err(|error| Error::internal(error.to_string()))?;
                    if let Some(Refusal { message, .. }) = refusals.into_iter().min_by_key(|refusal| refusal.row) {
                        return Err(Error::data(message).help("choose a finer 'parquet.timestamp.time.unit'"));
                    }
                    adapted
                }
            };
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
                .map_err(|error| Error::internal(format!("rows that do not match the sink's columns: {error}")))?;
            let writer = self.writer.as_mut().ok_or_else(|| Error::internal("a file was written after its end"))?;
            writer.write(&batch).map_err(failed)?;
        }
        Ok(())
    }

    /// Bytes of the file so far, with an estimate of those of the row group that is not full yet.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.writer.as_ref().map_or(0, |writer| (writer.bytes_written() + writer.in_progress_size()) as u64)
    }

    /// Bytes of memory that hold what is not written yet.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, ArrowWriter::memory_size)
    }

    /// Writes what is held and the metadata, and gives back what was written to.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub fn finish(&mut self) -> Result<W> {
        let writer = self.writer.take().ok_or_else(|| Error::internal("a file was finished twice"))?;
        writer.into_inner().map_err(failed)
    }
}

/// The same field with nothing but its type, timestamps in `unit` if there is one.
fn plain(field: &FieldRef, unit: Option<TimeUnit>) -> FieldRef {
    let data_type = match (field.data_type(), unit) {
        (DataType::Timestamp(_, zone), Some(unit)) => DataType::Timestamp(unit, zone.clone()),
        (DataType::List(element), _) => DataType::List(plain(element, unit)),
        (DataType::Map(entries, is_sorted), _) => DataType::Map(plain(entries, unit), *is_sorted),
        (DataType::Struct(fields), _) => DataType::Struct(fields.iter().map(|field| plain(field, unit)).collect()),
        (other, _) => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

/// From a field to the one that [`plain`] makes of it.
fn column_between(from: &FieldRef, to: &FieldRef, path: &str) -> Column {
    let parts = |from: &Fields, to: &Fields| -> Vec<Column> {
        let parts = from.iter().zip(to);
        parts.map(|(from, to)| column_between(from, to, &format!("{path}.{}", from.name()))).collect()
    };
    let step = match (from.data_type(), to.data_type()) {
        (DataType::List(from), DataType::List(to)) => Step::List(Box::new(column_between(from, to, &format!("{path}[]")))),
        (DataType::Struct(from), DataType::Struct(to)) => Step::Row(parts(from, to).into_iter().enumerate().collect()),
        (DataType::Map(from, _), DataType::Map(to, _)) => match (from.data_type(), to.data_type()) {
            (DataType::Struct(from), DataType::Struct(to)) => match <[Column; 2]>::try_from(parts(from, to)) {
                Ok(parts) => Step::Map(Box::new(parts)),
                Err(_) => Step::Same,
            },
            _ => Step::Same,
        },
        (from @ DataType::Timestamp(..), to) => Step::of(from, to).unwrap_or(Step::Same),
        _ => Step::Same,
    };
    Column { field: Arc::clone(to), path: path.to_owned(), file_type: type_name(from.data_type()), step }
}

/// An error of the writer: the device's, unless it is ours.
fn failed(error: ParquetError) -> Error {
    match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => match error.downcast::<Error>() {
                Ok(error) => error,
                Err(error) => Error::connector(format!("cannot write: {error}")),
            },
            Err(error) => Error::connector(format!("cannot write: {error}")),
        },
        other => Error::internal(format!("a file of Parquet cannot be written: {other}")),
    }
}

/// A sink of Parquet over a device of bytes.
pub struct ParquetSink<S: SinkWriter> {
    file: Option<ParquetFileWriter<ByteSink<S>>>,
    is_closed: bool,
}

impl<S: SinkWriter> ParquetSink<S> {
    /// A sink of rows of `schema` that writes to `device`.
    ///
    /// # Errors
    /// As for [`ParquetFileWriter::new`].
    pub fn new(device: S, schema: &Schema, options: &ParquetOptions) -> Result<Self> {
        let out = ByteSink { device, buffer: Vec::with_capacity(BUFFER_BYTES), is_closed: false };
        Ok(Self { file: Some(ParquetFileWriter::new(out, schema, options)?), is_closed: false })
    }
}

impl<S: SinkWriter> SinkWriter for ParquetSink<S> {
    fn write(&mut self, rows: SinkRows<'_>) -> Result<WriteOutcome> {
        let SinkRows::Batches(batches) = rows else {
            return Err(Error::internal("a sink of Parquet was given bytes"));
        };
        let file = self.file.as_mut().ok_or_else(|| Error::internal("a file was written after its end"))?;
        match file.write(batches) {
            Ok(()) => Ok(WriteOutcome::Written),
            Err(error) if is_hung_up(&error) => {
                self.is_closed = true;
                Ok(WriteOutcome::Closed)
            }
            Err(error) => Err(error),
        }
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        if self.is_closed {
            return Ok(());
        }
        let mut out = match file.finish() {
            Err(error) if is_hung_up(&error) => return Ok(()),
            other => other?,
        };
        match out.flush() {
            Ok(()) => out.device.finish(),
            Err(_) if out.is_closed => Ok(()),
            Err(error) => Err(of_device(error)),
        }
    }
}

/// What [`ByteSink`] says when nobody reads any more.
const HUNG_UP: &str = "nobody reads any more";

fn is_hung_up(error: &Error) -> bool {
    error.kind == Kind::Connector && error.message == HUNG_UP
}

fn of_device(error: std::io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::connector(format!("cannot write: {error}")))
}

/// A device as something to write bytes to.
struct ByteSink<S: SinkWriter> {
    device: S,
    buffer: Vec<u8>,
    is_closed: bool,
}

impl<S: SinkWriter> Write for ByteSink<S> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let outcome = match self.buffer.is_empty() {
            true => Ok(WriteOutcome::Written),
            false => self.device.write(SinkRows::Encoded(&self.buffer)),
        };
        self.buffer.clear();
        match outcome {
            Ok(WriteOutcome::Written) => Ok(()),
            Ok(WriteOutcome::Closed) => {
                self.is_closed = true;
                Err(std::io::Error::other(Error::connector(HUNG_UP)))
            }
            Err(error) => Err(std::io::Error::other(error)),
        }
    }
}
