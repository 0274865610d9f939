//! What is read of a table: the declared columns and those that a query asks for.

use std::sync::Arc;

use arrow_schema::{DataType, Schema, SchemaRef, TimeUnit};
use thalweg_operators::kernels::Kernels;

use super::decode::Decoder;
use super::options::{CsvOptions, Header};
use super::refusal::type_name;
use super::shape::resolve;
use super::vector::Vectors;
use crate::connect::TableScan;
use crate::connect::bad_input::BadInput;
use crate::connect::block::BlockInput;
use crate::connect::format::text::{Decoded, Dialect, FirstRecord, RecordFormat, Region, TextSource};
use crate::error::{Error, InputPlace, Result};

/// The columns of a table of CSV, and how its text is read.
#[derive(Debug)]
pub struct Table {
    /// All physical columns as declared.
    pub schema: SchemaRef,
    /// Those that are decoded, as positions in `schema`.
    pub columns: Vec<usize>,
    /// The decoded columns, in the order of `columns`.
    pub projected: SchemaRef,
    /// Separators, header.
    pub options: CsvOptions,
    /// What to do with bad records.
    pub bad_input: BadInput,
    /// Rows of a batch at most; not 0.
    pub batch_rows: usize,
    /// What records are found and decoded with.
    pub kernels: Kernels,
    /// The kernels of columns, where these are to be used and the processor has their instructions.
    pub vectors: Option<Vectors>,
}

impl Table {
    /// # Errors
    /// `Statement`, if a requested column has a type that CSV cannot hold.
    pub fn new(options: CsvOptions, scan: &TableScan<'_>) -> Result<Self> {
        let TableScan { schema, columns, .. } = *scan;
        let fields = columns.iter().map(|&column| Arc::clone(&schema.fields()[column])).collect::<Vec<_>>();
        for field in &fields {
            check_type(field.name(), field.data_type())?;
        }
        let projected = Arc::new(Schema::new(fields));
        let schema = Arc::clone(schema);
        let (bad_input, batch_rows) = (scan.bad_input.clone(), scan.read.batch_rows.max(1));
        let kernels = scan.read.kernels;
        let vectors = Vectors::of(kernels);
        Ok(Self { schema, columns: columns.to_vec(), projected, options, bad_input, batch_rows, kernels, vectors })
    }
}

impl RecordFormat for Table {
    type Decoder = Decoder;

    fn dialect(&self) -> Dialect {
        self.options.dialect
    }

    fn bad_input(&self) -> &BadInput {
        &self.bad_input
    }

    fn kernels(&self) -> Kernels {
        self.kernels
    }

    fn first_record(&self, fields: &[&[u8]], at: &InputPlace) -> Result<Option<FirstRecord>> {
        // In a table of one column a blank line is a field, but no header.
        let skips_blank = self.options.header != Header::Auto || self.schema.fields().len() > 1;
        if skips_blank && *fields == [b""] {
            return Ok(None);
        }
        resolve(self, &self.options, fields, at).map(Some)
    }

    fn decode(&self, decoder: &mut Decoder, region: Region) -> Result<Decoded> {
        decoder.decode(region, self)
    }
}

/// A source of a table of CSV.
pub type CsvSource<I> = TextSource<Table, I>;

/// A source of what `scan` asks for.
///
/// # Errors
/// `Statement`, if one of the columns has a type that CSV cannot hold.
pub fn csv_source<I: BlockInput + 'static>(
    input: I,
    options: CsvOptions,
    scan: &TableScan<'_>,
) -> Result<CsvSource<I>> {
    Ok(TextSource::new(input, Table::new(options, scan)?, scan.read.workers, scan.bells))
}

/// Whether CSV can hold a column: simple types, and ARRAYs and ROWs of them, as in Flink.
///
/// # Errors
/// `Statement`, if it cannot.
pub fn check_type(column: &str, data_type: &DataType) -> Result<()> {
    let is_held = match data_type {
        DataType::List(element) => is_simple(element.data_type()),
        DataType::Struct(fields) => !fields.is_empty() && fields.iter().all(|field| is_simple(field.data_type())),
        other => is_simple(other),
    };
    if is_held {
        return Ok(());
    }
    let name = type_name(data_type);
    let reason = if matches!(data_type, DataType::List(_) | DataType::Struct(_)) {
        "within a field of CSV there is one level of elements; "
    } else {
        ""
    };
    Err(Error::statement(format!("column `{column}` of type {name} cannot be held by CSV"))
        .help(format!("{reason}declare it as STRING, or choose a format with nested types, for example 'json'")))
}

/// Whether a type is written as one value.
#[must_use]
pub fn is_simple(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => true,
        DataType::Float32 | DataType::Float64 | DataType::Utf8View | DataType::BinaryView | DataType::Date32 => true,
        DataType::Decimal128(_, scale) => *scale >= 0,
        DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond) => true,
        DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) => true,
        DataType::Timestamp(_, _) => true,
        _ => false,
    }
}
