//! Columns that are not nested, in the encodings that nearly all files have: decoded from any row on, by ourselves.
//!
//! The decoder of the `parquet` crate begins at the first row of a row group, has a page of each column for itself, and
//! looks at levels and lengths value by value. Here the workers share the pages of a row group, so its pieces are small: what
//! is decoded is still in the cache when it is used, all workers are at the same time of event time, and a file of one
//! row group occupies all of them.
//!
//! Whatever is not understood here, damage above all, is left to that decoder, from the piece on in which it was met. It
//! alone says what is wrong.

#![allow(unsafe_code)] // To check each view again costs more than to make it.

mod chunk;
mod codec;
mod hybrid;
mod page;
mod raw;
mod shelf;
mod text;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryViewArray, PrimitiveArray, RecordBatch, StringViewArray, make_array};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::basic::{Encoding, Type};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use thalweg_operators::key::{coded, coded_type};

pub use chunk::GroupChunks;
pub use raw::Loader;
pub use shelf::Shelf;

use super::adapt::Step;
use super::schema::Projection;
use chunk::Part;
use page::{Gathered, Kind};

/// The columns that are read of a file, if all of them can be decoded here.
#[derive(Debug)]
pub struct DirectColumns {
    schema: SchemaRef,
    columns: Vec<DirectColumn>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct DirectColumn {
    /// Which column of values.
    leaf: usize,
    kind: Kind,
    data_type: DataType,
    /// Whether its pages say which rows are NULL.
    is_optional: bool,
    /// Whether it is wanted as codes of a dictionary.
    is_coded: bool,
}

impl DirectColumns {
    /// The columns of `projection`, as the other decoder would give them; `None` if one of them is not for us.
    #[must_use]
    pub fn new(metadata: &ParquetMetaData, projection: &Projection) -> Option<Self> {
        let mut columns = Vec::with_capacity(projection.leaves.len());
        let mut fields = Vec::with_capacity(projection.leaves.len());
        for &leaf in &projection.leaves {
            let column = projection.columns.iter().find(|column| column.leaves == [leaf])?;
            let description = metadata.file_metadata().schema_descr().column(leaf);
            if description.max_rep_level() > 0 || description.max_def_level() > 1 {
                return None;
            }
            let data_type = column.field.data_type().clone();
            let kind = kind(description.physical_type(), &data_type)?;
            let is_optional = description.max_def_level() == 1;
            // The same column of a file may be read for several of a table's.
            let mut readers = projection.columns.iter().filter(|column| column.leaves == [leaf]);
            let is_coded = kind == Kind::Text && readers.all(|column| matches!(column.column.step, Step::Codes));
            let given = if is_coded { coded_type() } else { data_type.clone() };
            fields.push(Field::new(column.field.name(), given, is_optional));
            columns.push(DirectColumn { leaf, kind, data_type, is_optional, is_coded });
        }
        (!columns.is_empty()).then(|| Self { schema: Arc::new(Schema::new(fields)), columns })
    }

    /// How many there are; not 0.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether the columns of a row group are said to have no encodings and codecs but those that are decoded here.
    #[must_use]
    pub fn takes(&self, group: &RowGroupMetaData) -> bool {
        let is_known = |encoding| {
            use Encoding as E;
            #[expect(deprecated, reason = "old writers name it for levels that a column does not have")]
            let bit_packed = E::BIT_PACKED;
            [E::PLAIN, E::RLE, E::PLAIN_DICTIONARY, E::RLE_DICTIONARY, bit_packed].contains(&encoding)
        };
        let columns = self.columns.iter().map(|column| group.column(column.leaf));
        columns.into_iter().all(|column| column.encodings().all(is_known) && raw::is_known(column.compression()))
    }

    /// The rows of a row group in batches of at most `batch_rows`; `None` if they cannot be decoded here. `first` is the
    /// column to begin at; `meanwhile` is called while other workers load what is wanted, and says whether it did something.
    #[must_use]
    pub fn decode(
        &self,
        chunks: &GroupChunks,
        rows: &Range<u64>,
        batch_rows: usize,
        first: usize,
        loader: &mut Loader,
        meanwhile: impl FnMut(&mut Loader) -> bool,
    ) -> Option<Vec<RecordBatch>> {
        let parts = chunks.pages(rows, first, loader, meanwhile)?;
        let mut batches = Vec::new();
        let mut codes = Vec::with_capacity(batch_rows.min((rows.end - rows.start) as usize));
        for start in rows.clone().step_by(batch_rows) {
            let batch = start..rows.end.min(start.saturating_add(batch_rows as u64));
            let arrays = self.columns.iter().zip(&parts).map(|(column, parts)| column.array(parts, &batch, &mut codes));
            let arrays: Option<Vec<ArrayRef>> = arrays.collect();
            let batch = arrays.and_then(|arrays| RecordBatch::try_new(Arc::clone(&self.schema), arrays).ok());
            if batch.is_none() {
                chunks.refuse();
            }
            batches.push(batch?);
        }
        for (page, rows) in parts.iter().flatten() {
            page.done(rows.end - rows.start);
        }
        Some(batches)
    }
}

/// What values of a type are in a page; `None` for types that are not decoded here.
fn kind(physical: Type, data_type: &DataType) -> Option<Kind> {
    use DataType as T;
    Some(match (physical, data_type) {
        (Type::INT32, T::Int32 | T::UInt32 | T::Date32 | T::Time32(TimeUnit::Millisecond)) => Kind::Words4,
        (Type::FLOAT, T::Float32) => Kind::Words4,
        (Type::INT64, T::Int64 | T::UInt64 | T::Timestamp(_, _) | T::Time64(_)) => Kind::Words8,
        (Type::DOUBLE, T::Float64) => Kind::Words8,
        (Type::BYTE_ARRAY, T::Utf8View) => Kind::Text,
        (Type::BYTE_ARRAY, T::BinaryView) => Kind::Bytes,
        _ => return None,
    })
}

impl DirectColumn {
    /// `rows` of the row group, which lie in `parts`.
    fn array(&self, parts: &[Part], rows: &Range<u64>, codes: &mut Vec<u32>) -> Option<ArrayRef> {
        let length = (rows.end - rows.start) as usize;
        let whole = parts.iter().find(|(_, part)| part.start <= rows.start && part.end >= rows.end);
        if let Some(words) = whole.and_then(|(page, _)| page.words(rows)) {
            return match self.kind {
                Kind::Words4 => {
                    self.typed(&PrimitiveArray::<UInt32Type>::new(ScalarBuffer::new(words, 0, length), None))
                }
                _ => self.typed(&PrimitiveArray::<UInt64Type>::new(ScalarBuffer::new(words, 0, length), None)),
            };
        }
        if let Some(coded) = whole.filter(|_| self.is_coded).and_then(|(page, _)| page.codes(rows)) {
            return Some(coded);
        }
        let mut gathered = Gathered::with_capacity(self.kind, length);
        let mut valid = Vec::with_capacity(1);
        let mut lengths = Vec::with_capacity(1);
        for (page, part) in parts {
            let part = part.start.max(rows.start)..part.end.min(rows.end);
            if part.start < part.end {
                page.gather(&part, codes, &mut gathered, &mut valid)?;
                lengths.push((part.end - part.start) as usize);
            }
        }
        let nulls = match valid.iter().all(Option::is_none) {
            true => None,
            false => {
                let mut all = BooleanBufferBuilder::new(length);
                for (valid, length) in valid.iter().zip(lengths) {
                    match valid {
                        Some(valid) => all.append_buffer(valid),
                        None => all.append_n(length, true),
                    }
                }
                Some(NullBuffer::new(all.finish()))
            }
        };
        let array = self.finish(gathered, nulls, length)?;
        Some(if self.is_coded { coded(&array) } else { array })
    }

    /// The same bytes as values of this column.
    fn typed(&self, words: &dyn Array) -> Option<ArrayRef> {
        words.to_data().into_builder().data_type(self.data_type.clone()).build().ok().map(make_array)
    }

    fn finish(&self, gathered: Gathered, nulls: Option<NullBuffer>, length: usize) -> Option<ArrayRef> {
        match gathered {
            Gathered::Words4(words) => {
                let words = PrimitiveArray::<UInt32Type>::try_new(words.into(), nulls).ok()?;
                self.typed(&words)
            }
            Gathered::Words8(words) => {
                let words = PrimitiveArray::<UInt64Type>::try_new(words.into(), nulls).ok()?;
                self.typed(&words)
            }
            Gathered::Views(views, buffers) => {
                if views.len() != length || nulls.as_ref().is_some_and(|nulls| nulls.len() != length) {
                    return None;
                }
                let views = ScalarBuffer::from(views);
                Some(match self.kind {
                    // SAFETY: `PlainText` made the views from values whose bounds it had checked against the buffer that they
                    // point into, and checked each of a column of text to be UTF-8; a NULL's view is of length 0; there are
                    // as many as the array has rows.
                    Kind::Text => Arc::new(unsafe { StringViewArray::new_unchecked(views, buffers, nulls) }),
                    // SAFETY: as above; bytes need not be UTF-8.
                    _ => Arc::new(unsafe { BinaryViewArray::new_unchecked(views, buffers, nulls) }),
                })
            }
        }
    }
}
