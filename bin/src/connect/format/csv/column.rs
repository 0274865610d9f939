//! One column of text to one Arrow array.

use std::sync::Arc;

use arrow_array::builder::BinaryViewBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{ArrayRef, BinaryViewArray, BooleanArray, ListArray, PrimitiveArray, StructArray, new_null_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields as ArrowFields, TimeUnit};
use memchr::memmem::Finder;

use super::base64;
use super::number::{self, BadNumber};
use super::refusal::{Refusal, Refused};
use super::temporal::{self, DateCache, Instant};
use super::vector::{Texts, Vectors, Zone};
use crate::connect::format::text::string_views;

/// The texts of a column's fields, without their quotes, in rows of one batch.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    /// Where the texts are. Padded at both ends.
    pub block: &'a Buffer,
    /// First bytes.
    pub starts: &'a [u32],
    /// Behind the last bytes; as many as `starts`.
    pub ends: &'a [u32],
    /// Which fields were quoted; empty if none was.
    pub quoted: &'a [bool],
    /// All texts are known to be UTF-8.
    pub is_utf8: bool,
}

impl<'a> Fields<'a> {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The text of a row.
    #[must_use]
    pub fn text(&self, row: usize) -> &'a [u8] {
        &self.block.as_slice()[self.starts[row] as usize..self.ends[row] as usize]
    }

    fn is_quoted(&self, row: usize) -> bool {
        self.quoted.get(row).copied().unwrap_or(false)
    }
}

/// A column as it is decoded.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    /// Name, type, and whether NULL is accepted.
    pub field: &'a Field,
    /// Position among the requested columns.
    pub number: usize,
    /// An unquoted field of just this is NULL.
    pub null_literal: Option<&'a [u8]>,
    /// An empty field is NULL whatever its type, quoted or not.
    pub empty_is_null: bool,
    /// Between the elements of an ARRAY and the fields of a ROW; not empty.
    pub element_delimiter: &'a [u8],
    /// Decode many rows at a time where that can be done.
    pub vectors: Option<Vectors>,
}

/// Decodes a column. What is refused goes to `refused`, and stands in the array as anything.
pub fn decode(column: Column<'_>, fields: Fields<'_>, dates: &mut DateCache, refused: &mut Vec<Refused>) -> ArrayRef {
    let mut out = Out { column, fields, refused, nulls: Nulls::default() };
    match column.field.data_type() {
        DataType::Boolean => out.booleans(),
        DataType::Int8 => out.integers::<Int8Type>(),
        DataType::Int16 => out.integers::<Int16Type>(),
        DataType::Int32 => out.integers::<Int32Type>(),
        DataType::Int64 => Arc::new(out.plain::<Int64Type>(Vectors::integers, |b, s, e| Ok(number::integer(b, s, e)?))),
        DataType::Float32 => Arc::new(out.plain::<Float32Type>(Vectors::floats, |b, s, e| Ok(number::float(b, s, e)?))),
        DataType::Float64 => {
            Arc::new(out.plain::<Float64Type>(Vectors::doubles, |b, s, e| Ok(number::double(b, s, e)?)))
        }
        &DataType::Decimal128(precision, scale) => {
            let numbers = out.plain::<Decimal128Type>(
                |vectors, texts, odd| vectors.decimals(texts, precision, scale, odd),
                |b, s, e| Ok(number::decimal(b, s, e, precision, scale)?),
            );
            Arc::new(numbers.with_data_type(DataType::Decimal128(precision, scale)))
        }
        DataType::Utf8View => out.strings(),
        DataType::BinaryView => Arc::new(out.binaries()),
        DataType::Date32 => Arc::new(out.plain::<Date32Type>(Vectors::dates, |b, s, e| match dates.days(&b[s..e]) {
            Some(days) if e - s == 10 => Ok(days),
            _ => Err(Refusal::Malformed),
        })),
        DataType::Time32(TimeUnit::Second) => Arc::new(out.times::<Time32SecondType>(1_000_000_000)),
        DataType::Time32(_) => Arc::new(out.times::<Time32MillisecondType>(1_000_000)),
        DataType::Time64(TimeUnit::Microsecond) => Arc::new(out.times::<Time64MicrosecondType>(1000)),
        DataType::Time64(_) => Arc::new(out.times::<Time64NanosecondType>(1)),
        DataType::Timestamp(unit, zone) => {
            let zone = zone.clone();
            match unit {
                TimeUnit::Second => Arc::new(out.timestamps::<TimestampSecondType, 1>(zone, dates)),
                TimeUnit::Millisecond => Arc::new(out.timestamps::<TimestampMillisecondType, 1000>(zone, dates)),
                TimeUnit::Microsecond => Arc::new(out.timestamps::<TimestampMicrosecondType, 1_000_000>(zone, dates)),
                TimeUnit::Nanosecond => Arc::new(out.timestamps::<TimestampNanosecondType, 1_000_000_000>(zone, dates)),
            }
        }
        DataType::List(element) => out.lists(element, dates),
        DataType::Struct(children) => out.structs(children, dates),
        // Refused when the table was opened.
        other => new_null_array(other, fields.len()),
    }
}

/// What is on its way out: a column, its texts, and what became of the rows so far.
struct Out<'a, 'r> {
    column: Column<'a>,
    fields: Fields<'a>,
    refused: &'r mut Vec<Refused>,
    nulls: Nulls,
}

impl Out<'_, '_> {
    /// Values of a fixed width. `parse` gets the padded buffer and a range in it.
    #[inline]
    fn primitive<T: ArrowPrimitiveType>(
        &mut self,
        mut parse: impl FnMut(&[u8], usize, usize) -> Result<T::Native, Refusal>,
    ) -> PrimitiveArray<T> {
        let rows = self.fields.len();
        // `extend` knows the number of rows: nothing is checked for each but the row itself.
        let mut values = Vec::new();
        values.extend((0..rows).map(|row| self.value(row, &mut parse)));
        PrimitiveArray::new(values.into(), self.nulls.finish(rows))
    }

    /// The same, where `kernel` takes the rows that are plain, and `parse` those that it leaves.
    fn plain<T: ArrowPrimitiveType>(
        &mut self,
        kernel: impl FnOnce(Vectors, Texts<'_>, &mut Vec<u32>) -> Vec<T::Native>,
        mut parse: impl FnMut(&[u8], usize, usize) -> Result<T::Native, Refusal>,
    ) -> PrimitiveArray<T> {
        // A kernel takes no text without a digit, but knows of no text that stands for NULL.
        let has_digit = self.column.null_literal.is_some_and(|literal| literal.iter().any(u8::is_ascii_digit));
        let Some(vectors) = self.column.vectors.filter(|_| !has_digit) else { return self.primitive(parse) };
        let Fields { block, starts, ends, .. } = self.fields;
        let mut odd = Vec::new();
        let mut values = kernel(vectors, Texts { bytes: block.as_slice(), starts, ends }, &mut odd);
        for row in odd {
            values[row as usize] = self.value(row as usize, &mut parse);
        }
        PrimitiveArray::new(values.into(), self.nulls.finish(self.fields.len()))
    }

    /// The value of a row; anything if it is NULL or refused.
    #[inline]
    fn value<V: Default>(
        &mut self,
        row: usize,
        parse: &mut impl FnMut(&[u8], usize, usize) -> Result<V, Refusal>,
    ) -> V {
        let (start, end) = (self.fields.starts[row] as usize, self.fields.ends[row] as usize);
        if (start == end || self.column.null_literal.is_some()) && self.is_null(row) {
            self.null(row);
            return V::default();
        }
        match parse(self.fields.block.as_slice(), start, end) {
            Ok(value) => value,
            Err(refusal) => self.parse_trimmed(row, refusal, parse).unwrap_or_default(),
        }
    }

    /// Spaces around a value are accepted, as Flink does; they are not looked for before there is a need.
    #[cold]
    fn parse_trimmed<V>(
        &mut self,
        row: usize,
        refusal: Refusal,
        parse: &mut impl FnMut(&[u8], usize, usize) -> Result<V, Refusal>,
    ) -> Option<V> {
        let text = self.fields.text(row);
        let start = self.fields.starts[row] as usize + (text.len() - text.trim_ascii_start().len());
        let end = self.fields.ends[row] as usize - (text.len() - text.trim_ascii_end().len());
        let parsed = if start < end { parse(self.fields.block.as_slice(), start, end) } else { Err(refusal) };
        parsed.map_err(|refusal| self.refuse(row, refusal)).ok()
    }

    fn integers<T: ArrowPrimitiveType>(&mut self) -> ArrayRef
    where
        T::Native: TryFrom<i64>,
    {
        let narrow = |vectors: Vectors, texts: Texts<'_>, odd: &mut Vec<u32>| {
            let wide = vectors.integers(texts, odd);
            let left = odd.len();
            let narrowed = wide.into_iter().zip(0..).map(|(number, row)| {
                T::Native::try_from(number).unwrap_or_else(|_| {
                    odd.push(row);
                    T::Native::default()
                })
            });
            let values = narrowed.collect();
            if odd.len() > left {
                odd.sort_unstable();
                odd.dedup();
            }
            values
        };
        Arc::new(self.plain::<T>(narrow, |b, s, e| {
            T::Native::try_from(number::integer(b, s, e)?).map_err(|_| Refusal::OutOfRange)
        }))
    }

    fn times<T: ArrowPrimitiveType>(&mut self, unit_ns: i64) -> PrimitiveArray<T>
    where
        T::Native: TryFrom<i64>,
    {
        self.primitive::<T>(|b, s, e| {
            let time_ns = temporal::time_ns(&b[s..e]).ok_or(Refusal::Malformed)?;
            T::Native::try_from(time_ns / unit_ns).map_err(|_| Refusal::OutOfRange)
        })
    }

    /// The unit is a constant, so that no row divides.
    fn timestamps<T: arrow_array::types::ArrowTimestampType, const PER_SECOND: i64>(
        &mut self,
        zone: Option<Arc<str>>,
        dates: &mut DateCache,
    ) -> PrimitiveArray<T> {
        let in_units = |instant: Option<Instant>| {
            instant.ok_or(Refusal::Malformed)?.in_units(PER_SECOND).ok_or(Refusal::OutOfRange)
        };
        let values = if zone.is_some() {
            self.plain::<T>(
                |vectors, texts, odd| vectors.timestamps::<PER_SECOND>(texts, Zone::Utc, odd),
                |b, s, e| in_units(temporal::timestamp_with_zone(&b[s..e], dates)),
            )
        } else {
            self.plain::<T>(
                |vectors, texts, odd| vectors.timestamps::<PER_SECOND>(texts, Zone::Local, odd),
                |b, s, e| in_units(temporal::timestamp(&b[s..e], dates)),
            )
        };
        values.with_timezone_opt(zone)
    }

    fn booleans(&mut self) -> ArrayRef {
        // Through bytes: a bit is written when all are known.
        let parsed = self.primitive::<Int8Type>(|b, s, e| match &b[s..e] {
            text if text.eq_ignore_ascii_case(b"true") => Ok(1),
            text if text.eq_ignore_ascii_case(b"false") => Ok(0),
            _ => Err(Refusal::Malformed),
        });
        let (_, values, nulls) = parsed.into_parts();
        Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(values.len(), |row| values[row] == 1), nulls))
    }

    fn strings(&mut self) -> ArrayRef {
        let fields = self.fields;
        if self.column.null_literal.is_some() || self.column.empty_is_null {
            for row in 0..fields.len() {
                if self.is_null(row) {
                    self.null(row);
                }
            }
        }
        let nulls = self.nulls.finish(fields.len());
        let mut not_utf8 = Vec::new();
        let views = string_views(fields.block, fields.starts, fields.ends, nulls, fields.is_utf8, &mut not_utf8);
        not_utf8.into_iter().for_each(|row| self.refuse(row, Refusal::NotUtf8));
        Arc::new(views)
    }

    fn binaries(&mut self) -> BinaryViewArray {
        let mut builder = BinaryViewBuilder::with_capacity(self.fields.len());
        let mut decoded = Vec::new();
        for row in 0..self.fields.len() {
            let is_null = self.is_null(row);
            if is_null {
                self.null(row);
                builder.append_null();
                continue;
            }
            decoded.clear();
            if !base64::decode(self.fields.text(row).trim_ascii(), &mut decoded) {
                self.refuse(row, Refusal::Malformed);
            }
            builder.append_value(&decoded);
        }
        builder.finish()
    }

    /// ARRAYs. An empty text that is not NULL has no elements.
    fn lists(&mut self, element: &FieldRef, dates: &mut DateCache) -> ArrayRef {
        let finder = Finder::new(self.column.element_delimiter);
        let (mut starts, mut ends, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
        for row in 0..self.fields.len() {
            if self.is_null(row) {
                self.null(row);
            } else if self.fields.starts[row] < self.fields.ends[row] {
                self.split(row, &finder, |start, end| {
                    starts.push(start);
                    ends.push(end);
                });
            }
            offsets.push(starts.len() as i32);
        }
        let row_of = |child: usize| offsets.partition_point(|&offset| offset as usize <= child) - 1;
        let refused_before = self.refused.len();
        let values = self.nested(element, &starts, &ends, dates, row_of);
        if self.refused.len() > refused_before {
            // A NULL may stand where none may be; nobody looks at it.
            return new_null_array(self.column.field.data_type(), self.fields.len());
        }
        let nulls = self.nulls.finish(self.fields.len());
        let offsets = OffsetBuffer::new(offsets.into());
        Arc::new(ListArray::new(Arc::clone(element), offsets, values, nulls))
    }

    /// ROWs: as many texts as fields.
    fn structs(&mut self, children: &ArrowFields, dates: &mut DateCache) -> ArrayRef {
        let finder = Finder::new(self.column.element_delimiter);
        let mut texts = vec![(Vec::new(), Vec::new()); children.len()];
        let refused_before = self.refused.len();
        let mut is_masked = vec![false; self.fields.len()];
        for (row, is_masked) in is_masked.iter_mut().enumerate() {
            let is_null = self.is_null(row);
            let mut found = 0;
            if is_null {
                self.null(row);
            } else {
                self.split(row, &finder, |start, end| {
                    if let Some((starts, ends)) = texts.get_mut(found) {
                        starts.push(start);
                        ends.push(end);
                    }
                    found += 1;
                });
                if found != children.len() {
                    self.refuse(row, Refusal::Malformed);
                }
            }
            *is_masked = is_null || found != children.len();
            for (starts, ends) in texts.iter_mut().skip(found) {
                starts.push(0);
                ends.push(0);
            }
        }
        let mut arrays = Vec::with_capacity(children.len());
        for (child, (starts, ends)) in children.iter().zip(&texts) {
            let count = self.refused.len();
            let array = self.nested(child, starts, ends, dates, |row| row);
            // What stands in for the fields of a NULL is no fault.
            let mut number = 0;
            self.refused.retain(|refused| {
                number += 1;
                number <= count || !is_masked[refused.row]
            });
            arrays.push(array);
        }
        if self.refused.len() > refused_before {
            return new_null_array(self.column.field.data_type(), self.fields.len());
        }
        let nulls = self.nulls.finish(self.fields.len());
        Arc::new(StructArray::new(children.clone(), arrays, nulls))
    }

    /// Calls `part` with the ends of each element of a row's text.
    fn split(&self, row: usize, delimiter: &Finder<'_>, mut part: impl FnMut(u32, u32)) {
        let text = self.fields.text(row);
        let start = self.fields.starts[row];
        let mut from = 0;
        for at in delimiter.find_iter(text) {
            part(start + from, start + at as u32);
            from = (at + self.column.element_delimiter.len()) as u32;
        }
        part(start + from, self.fields.ends[row]);
    }

    /// Decodes elements; what is refused of one is refused of its row.
    fn nested(
        &mut self,
        field: &Field,
        starts: &[u32],
        ends: &[u32],
        dates: &mut DateCache,
        row_of: impl Fn(usize) -> usize,
    ) -> ArrayRef {
        let mut refused = Vec::new();
        let elements = Fields { starts, ends, quoted: &[], ..self.fields };
        let array = decode(Column { field, ..self.column }, elements, dates, &mut refused);
        self.refused.extend(refused.into_iter().map(|refused| Refused { row: row_of(refused.row), ..refused }));
        array
    }

    /// An unquoted field is NULL if it is the literal; or if it is empty, and the type is not a string.
    #[inline]
    fn is_null(&self, row: usize) -> bool {
        let text = self.fields.text(row);
        let is_literal = self.column.null_literal.is_some_and(|literal| literal == text);
        let is_empty = text.is_empty() && *self.column.field.data_type() != DataType::Utf8View;
        let is_null = (is_literal || is_empty) && !self.fields.is_quoted(row);
        is_null || (self.column.empty_is_null && text.is_empty())
    }

    fn null(&mut self, row: usize) {
        if !self.column.field.is_nullable() {
            self.refuse(row, Refusal::Null);
        }
        self.nulls.add(row);
    }

    #[cold]
    fn refuse(&mut self, row: usize, refusal: Refusal) {
        self.refused.push(Refused { row, column: self.column.number, refusal });
    }
}

impl From<BadNumber> for Refusal {
    fn from(bad: BadNumber) -> Self {
        match bad {
            BadNumber::Malformed => Self::Malformed,
            BadNumber::OutOfRange => Self::OutOfRange,
        }
    }
}

/// The rows that are NULL, in ascending order; costs nothing where there are none.
#[derive(Default)]
struct Nulls {
    rows: Vec<usize>,
}

impl Nulls {
    fn add(&mut self, row: usize) {
        self.rows.push(row);
    }

    fn finish(&mut self, length: usize) -> Option<NullBuffer> {
        if self.rows.is_empty() {
            return None;
        }
        let mut is_valid = vec![true; length];
        for &row in &self.rows {
            is_valid[row] = false;
        }
        Some(NullBuffer::from(is_valid))
    }
}
