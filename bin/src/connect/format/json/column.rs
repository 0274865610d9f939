//! Columns as they grow, value by value, nested to any depth; and as they are cut back when a record is given up.
//!
//! Invariant: between two values of a column its parts have the lengths that the values so far ask for. While a value is
//! being read, parts may be longer than that; [`Column::truncate`] makes good whatever was left unfinished.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{
    ArrayRef, BinaryViewArray, BooleanArray, ListArray, MapArray, PrimitiveArray, StringViewArray, StructArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};

use super::names::Names;
use super::views::Views;
use crate::connect::format::csv::type_name;
use crate::error::{Error, Result};

/// One column, or what is in one.
pub struct Column {
    /// Name and type.
    pub field: FieldRef,
    /// The values so far.
    pub values: Values,
    /// Which of them are NULL, in ascending order.
    nulls: Vec<usize>,
}

/// Values of a column, by type.
pub enum Values {
    /// BOOLEAN.
    Boolean(Vec<bool>),
    /// TINYINT.
    Int8(Vec<i8>),
    /// SMALLINT.
    Int16(Vec<i16>),
    /// INT.
    Int32(Vec<i32>),
    /// BIGINT.
    Int64(Vec<i64>),
    /// FLOAT.
    Float32(Vec<f32>),
    /// DOUBLE.
    Float64(Vec<f64>),
    /// DECIMAL of a precision and a scale.
    Decimal(Vec<i128>, u8, i8),
    /// STRING.
    String(Views),
    /// BYTES.
    Bytes(Views),
    /// DATE.
    Date(Vec<i32>),
    /// TIME in units of so many nanoseconds, in 32 bits.
    Time32(Vec<i32>, i64),
    /// TIME in units of so many nanoseconds.
    Time64(Vec<i64>, i64),
    /// TIMESTAMP or TIMESTAMP_LTZ with so many units per second.
    Timestamp(Vec<i64>, i64),
    /// ROW.
    Row(Box<Row>),
    /// ARRAY.
    Array(Box<List>),
    /// MAP.
    Map(Box<Entries>),
}

/// The columns of a ROW, or of a record.
pub struct Row {
    /// One for each field.
    pub columns: Vec<Column>,
    /// Which name is which field.
    pub names: Names,
    /// Rows so far.
    pub length: usize,
}

/// The elements of an ARRAY.
pub struct List {
    /// Where each value starts among the elements, and where the last ends.
    pub offsets: Vec<i32>,
    /// All elements.
    pub elements: Column,
}

/// The entries of a MAP.
pub struct Entries {
    /// Where each value starts among the entries, and where the last ends.
    pub offsets: Vec<i32>,
    /// All keys, which are strings.
    pub keys: Column,
    /// All values.
    pub values: Column,
}

impl Column {
    /// An empty column.
    ///
    /// # Errors
    /// `Statement`, if JSON cannot hold the type.
    pub fn new(field: &FieldRef) -> Result<Self> {
        let values = match field.data_type() {
            DataType::Boolean => Values::Boolean(Vec::new()),
            DataType::Int8 => Values::Int8(Vec::new()),
            DataType::Int16 => Values::Int16(Vec::new()),
            DataType::Int32 => Values::Int32(Vec::new()),
            DataType::Int64 => Values::Int64(Vec::new()),
            DataType::Float32 => Values::Float32(Vec::new()),
            DataType::Float64 => Values::Float64(Vec::new()),
            &DataType::Decimal128(precision, scale) if scale >= 0 => Values::Decimal(Vec::new(), precision, scale),
            DataType::Utf8View => Values::String(Views::default()),
            DataType::BinaryView => Values::Bytes(Views::default()),
            DataType::Date32 => Values::Date(Vec::new()),
            DataType::Time32(TimeUnit::Second) => Values::Time32(Vec::new(), 1_000_000_000),
            DataType::Time32(_) => Values::Time32(Vec::new(), 1_000_000),
            DataType::Time64(TimeUnit::Microsecond) => Values::Time64(Vec::new(), 1000),
            DataType::Time64(_) => Values::Time64(Vec::new(), 1),
            DataType::Timestamp(unit, _) => Values::Timestamp(Vec::new(), per_second(*unit)),
            DataType::Struct(fields) => Values::Row(Box::new(Row::new(fields)?)),
            DataType::List(element) => {
                Values::Array(Box::new(List { offsets: vec![0], elements: Self::new(element)? }))
            }
            DataType::Map(entry, _) => Values::Map(Box::new(Entries::new(field, entry)?)),
            _ => return Err(not_held(field)),
        };
        Ok(Self { field: Arc::clone(field), values, nulls: Vec::new() })
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Boolean(values) => values.len(),
            Values::Int8(values) => values.len(),
            Values::Int16(values) => values.len(),
            Values::Int32(values) | Values::Date(values) | Values::Time32(values, _) => values.len(),
            Values::Int64(values) | Values::Time64(values, _) | Values::Timestamp(values, _) => values.len(),
            Values::Float32(values) => values.len(),
            Values::Float64(values) => values.len(),
            Values::Decimal(values, ..) => values.len(),
            Values::String(views) | Values::Bytes(views) => views.len(),
            Values::Row(row) => row.length,
            Values::Array(list) => list.offsets.len() - 1,
            Values::Map(entries) => entries.offsets.len() - 1,
        }
    }

    /// Appends NULL, whether or not the column may hold it.
    pub fn push_null(&mut self) {
        self.nulls.push(self.len());
        self.push_default();
    }

    /// Appends any value, for one that is refused or NULL.
    pub fn push_default(&mut self) {
        match &mut self.values {
            Values::Boolean(values) => values.push(false),
            Values::Int8(values) => values.push(0),
            Values::Int16(values) => values.push(0),
            Values::Int32(values) | Values::Date(values) | Values::Time32(values, _) => values.push(0),
            Values::Int64(values) | Values::Time64(values, _) | Values::Timestamp(values, _) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Decimal(values, ..) => values.push(0),
            Values::String(views) | Values::Bytes(views) => views.push_empty(),
            Values::Row(row) => {
                row.columns.iter_mut().for_each(Self::push_null);
                row.length += 1;
            }
            Values::Array(list) => list.offsets.push(offset(list.elements.len())),
            Values::Map(entries) => entries.offsets.push(offset(entries.keys.len())),
        }
    }

    /// Leaves the first `length` values.
    pub fn truncate(&mut self, length: usize) {
        while self.nulls.last().is_some_and(|&last| last >= length) {
            self.nulls.pop();
        }
        match &mut self.values {
            Values::Boolean(values) => values.truncate(length),
            Values::Int8(values) => values.truncate(length),
            Values::Int16(values) => values.truncate(length),
            Values::Int32(values) | Values::Date(values) | Values::Time32(values, _) => values.truncate(length),
            Values::Int64(values) | Values::Time64(values, _) | Values::Timestamp(values, _) => {
                values.truncate(length);
            }
            Values::Float32(values) => values.truncate(length),
            Values::Float64(values) => values.truncate(length),
            Values::Decimal(values, ..) => values.truncate(length),
            Values::String(views) | Values::Bytes(views) => views.truncate(length),
            Values::Row(row) => row.truncate(length),
            Values::Array(list) => {
                list.offsets.truncate(length + 1);
                list.elements.truncate(last(&list.offsets));
            }
            Values::Map(entries) => {
                entries.offsets.truncate(length + 1);
                let entries_left = last(&entries.offsets);
                entries.keys.truncate(entries_left);
                entries.values.truncate(entries_left);
            }
        }
    }

    /// All values as an array, after which there are none. `block` is what views were made of.
    ///
    /// # Errors
    /// `Internal`, if arrow does not take the array.
    pub fn finish(&mut self, block: &Buffer) -> Result<ArrayRef> {
        let length = self.len();
        let nulls = null_buffer(std::mem::take(&mut self.nulls), length);
        let data_type = self.field.data_type().clone();
        Ok(match &mut self.values {
            Values::Boolean(values) => {
                let bits = BooleanBuffer::collect_bool(length, |row| values[row]);
                values.clear();
                Arc::new(BooleanArray::new(bits, nulls))
            }
            Values::Int8(values) => primitive::<Int8Type>(values, nulls, data_type),
            Values::Int16(values) => primitive::<Int16Type>(values, nulls, data_type),
            Values::Int32(values) => primitive::<Int32Type>(values, nulls, data_type),
            Values::Int64(values) => primitive::<Int64Type>(values, nulls, data_type),
            Values::Float32(values) => primitive::<Float32Type>(values, nulls, data_type),
            Values::Float64(values) => primitive::<Float64Type>(values, nulls, data_type),
            Values::Decimal(values, ..) => primitive::<Decimal128Type>(values, nulls, data_type),
            Values::Date(values) => primitive::<Date32Type>(values, nulls, data_type),
            Values::Time32(values, 1_000_000_000) => primitive::<Time32SecondType>(values, nulls, data_type),
            Values::Time32(values, _) => primitive::<Time32MillisecondType>(values, nulls, data_type),
            Values::Time64(values, 1000) => primitive::<Time64MicrosecondType>(values, nulls, data_type),
            Values::Time64(values, _) => primitive::<Time64NanosecondType>(values, nulls, data_type),
            Values::Timestamp(values, per_second) => match per_second {
                1 => primitive::<TimestampSecondType>(values, nulls, data_type),
                1_000 => primitive::<TimestampMillisecondType>(values, nulls, data_type),
                1_000_000 => primitive::<TimestampMicrosecondType>(values, nulls, data_type),
                _ => primitive::<TimestampNanosecondType>(values, nulls, data_type),
            },
            Values::String(views) => {
                let (views, buffers) = views.finish(block);
                Arc::new(StringViewArray::try_new(views, buffers, nulls).map_err(|error| unfit(&error))?)
            }
            Values::Bytes(views) => {
                let (views, buffers) = views.finish(block);
                Arc::new(BinaryViewArray::try_new(views, buffers, nulls).map_err(|error| unfit(&error))?)
            }
            Values::Row(row) => {
                let columns = row.finish(block)?;
                let fields = row.columns.iter().map(|column| Arc::clone(&column.field)).collect::<Fields>();
                let array = StructArray::try_new_with_length(fields, columns, nulls, length);
                Arc::new(array.map_err(|error| unfit(&error))?)
            }
            Values::Array(list) => {
                let elements = list.elements.finish(block)?;
                let element = Arc::clone(&list.elements.field);
                let offsets = OffsetBuffer::new(std::mem::replace(&mut list.offsets, vec![0]).into());
                Arc::new(ListArray::try_new(element, offsets, elements, nulls).map_err(|error| unfit(&error))?)
            }
            Values::Map(entries) => Arc::new(entries.finish(&data_type, nulls, block)?),
        })
    }
}

impl Row {
    /// No rows of these fields.
    ///
    /// # Errors
    /// As for [`Column::new`].
    pub fn new(fields: &Fields) -> Result<Self> {
        let columns = fields.iter().map(Column::new).collect::<Result<Vec<_>>>()?;
        let names = Names::new(fields.iter().map(|field| field.name().as_str()));
        Ok(Self { columns, names, length: 0 })
    }

    /// Leaves the first `length` rows.
    pub fn truncate(&mut self, length: usize) {
        self.length = length;
        self.columns.iter_mut().for_each(|column| column.truncate(length));
    }

    /// All columns as arrays, after which there are no rows.
    ///
    /// # Errors
    /// As for [`Column::finish`].
    pub fn finish(&mut self, block: &Buffer) -> Result<Vec<ArrayRef>> {
        self.length = 0;
        self.columns.iter_mut().map(|column| column.finish(block)).collect()
    }
}

impl Entries {
    fn new(map: &Field, entry: &Field) -> Result<Self> {
        let DataType::Struct(fields) = entry.data_type() else { return Err(not_held(map)) };
        let [key, value] = &fields[..] else { return Err(not_held(map)) };
        if *key.data_type() != DataType::Utf8View {
            let (name, key) = (map.name(), type_name(key.data_type()));
            return Err(Error::statement(format!("column `{name}`: JSON has no MAP whose keys are of type {key}"))
                .help("keys of objects are strings: declare the column as MAP<STRING, …>"));
        }
        Ok(Self { offsets: vec![0], keys: Column::new(key)?, values: Column::new(value)? })
    }

    fn finish(&mut self, data_type: &DataType, nulls: Option<NullBuffer>, block: &Buffer) -> Result<MapArray> {
        let DataType::Map(entry, is_sorted) = data_type else {
            return Err(Error::internal("a MAP of JSON is none to arrow"));
        };
        let DataType::Struct(fields) = entry.data_type() else {
            return Err(Error::internal("a MAP of JSON has no entries"));
        };
        let columns = vec![self.keys.finish(block)?, self.values.finish(block)?];
        let entries = StructArray::try_new(fields.clone(), columns, None).map_err(|error| unfit(&error))?;
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.offsets, vec![0]).into());
        MapArray::try_new(Arc::clone(entry), offsets, entries, nulls, *is_sorted).map_err(|error| unfit(&error))
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: DataType,
) -> ArrayRef {
    let values = ScalarBuffer::from(std::mem::take(values));
    Arc::new(PrimitiveArray::<T>::new(values, nulls).with_data_type(data_type))
}

fn null_buffer(nulls: Vec<usize>, length: usize) -> Option<NullBuffer> {
    if nulls.is_empty() {
        return None;
    }
    let mut is_valid = vec![true; length];
    for row in nulls {
        is_valid[row] = false;
    }
    Some(NullBuffer::from(is_valid))
}

/// Where the next value of an ARRAY or MAP starts. A region has fewer than 2^31 bytes, and each element takes one of them.
pub fn offset(elements: usize) -> i32 {
    i32::try_from(elements).expect("an element takes a byte of a text that is shorter than 2 GiB")
}

fn last(offsets: &[i32]) -> usize {
    offsets.last().map_or(0, |&offset| offset as usize)
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn not_held(field: &Field) -> Error {
    let (name, type_name) = (field.name(), type_name(field.data_type()));
    Error::statement(format!("column `{name}` of type {type_name} cannot be held by JSON"))
        .help("declare it as STRING, which takes the text of any value")
}

fn unfit(error: &arrow_schema::ArrowError) -> Error {
    Error::internal(format!("a batch of JSON does not fit its schema: {error}"))
}
