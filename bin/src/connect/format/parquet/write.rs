//! Rows as a file of Parquet.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;

use super::adapt::{Column, Refusal, Step, Texts};
use super::options::ParquetOptions;
use super::schema::type_name;
use crate::error::{Error, Result};

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
    /// Begins a file of rows of `schema`, which [`check_schema`] has accepted, in `out`.
    ///
    /// # Errors
    /// If `out` refuses.
    pub fn new(out: W, schema: &Schema, options: &ParquetOptions) -> io::Result<Self> {
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
    /// If `out` refuses; or one that holds an [`Error`], of kind `Data` if a timestamp has more digits than
    /// `parquet.timestamp.time.unit`.
    pub fn write(&mut self, batches: &[RecordBatch]) -> io::Result<()> {
        for batch in batches {
            let batch = self.as_written(batch).map_err(io::Error::other)?;
            self.writer()?.write(&batch).map_err(failed)?;
        }
        Ok(())
    }

    fn writer(&mut self) -> io::Result<&mut ArrowWriter<W>> {
        self.writer.as_mut().ok_or_else(|| io::Error::other(Error::internal("a file was written after its end")))
    }

    fn as_written(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = match &self.columns {
            None => batch.columns().to_vec(),
            Some(columns) => {
                let mut refusals = Vec::new();
                let adapted = columns.iter().zip(batch.columns());
                let adapted = adapted.map(|(column, array)| column.adapt(array, Texts::CheckedEach, &mut refusals));
                let adapted =
                    adapted.collect::<Result<Vec<_>, _>>().map_err(|error| Error::internal(error.to_string()))?;
                if let Some(Refusal { message, .. }) = refusals.into_iter().min_by_key(|refusal| refusal.row) {
                    return Err(Error::data(message).help("choose a finer 'parquet.timestamp.time.unit'"));
                }
                adapted
            }
        };
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| Error::internal(format!("rows that do not match the sink's columns: {error}")))
    }

    /// What is written to; `None` behind the end.
    #[must_use]
    pub fn inner(&self) -> Option<&W> {
        self.writer.as_ref().map(ArrowWriter::inner)
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
    pub fn finish(&mut self) -> io::Result<W> {
        let writer = self.writer.take();
        let writer = writer.ok_or_else(|| io::Error::other(Error::internal("a file was finished twice")))?;
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
        (DataType::List(from), DataType::List(to)) => {
            Step::List(Box::new(column_between(from, to, &format!("{path}[]"))))
        }
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

/// An error of the writer: the device's as it is, any other in one that holds it.
fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        other => io::Error::other(Error::internal(format!("a file of Parquet cannot be written: {other}"))),
    }
}
