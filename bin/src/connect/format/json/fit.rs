//! Records held against a shape: which of them fit, and their values as columns.
//!
//! A record fits if all of it is as the shape says and each value is one of its column. Nothing is said of a record that
//! does not fit: not even that anything is wrong with it.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, ArrowTimestampType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{ArrayRef, PrimitiveArray, new_null_array};
use arrow_buffer::Buffer;
use arrow_schema::{DataType, FieldRef, TimeUnit};

use super::column::Column;
use super::decode::Decoder;
use super::options::TimestampFormat;
use super::refusal::Refusal;
use super::scalar::{self, Plain, PlainKind};
use super::scan::Scanner;
use super::shape::{Kind, Shape};
use super::vector::{Finders, Places};
use crate::connect::format::csv::temporal::DateCache;
use crate::connect::format::csv::vector::{Texts, Vectors, Zone};
use crate::connect::format::text::string_views;
use crate::error::Result;

/// Records that pass all fields of a shape before the next do, so that their text is still near.
const TILE_RECORDS: usize = 128;

/// Where records are.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// The block. Behind the last record are [`super::vector::PAD_BYTES`].
    pub block: &'a Buffer,
    /// First bytes.
    pub starts: &'a [u32],
    /// Behind the last bytes; as many.
    pub ends: &'a [u32],
}

/// Finds the values of records that fit a shape, and keeps the buffers for that.
pub struct Fitting {
    finders: Finders,
    vectors: Option<Vectors>,
    timestamps: TimestampFormat,
    /// Which records fit.
    fits: Vec<bool>,
    /// How far each was looked at.
    at: Vec<u32>,
    /// By column.
    values: Vec<Values>,
    /// Starts of values that nobody reads.
    unread: Vec<u32>,
    odd: Vec<u32>,
    dates: DateCache,
}

/// The values of one column, by record.
#[derive(Default)]
struct Values {
    /// The kind of the field in the shape; none if there is no such field.
    kind: Option<Kind>,
    starts: Vec<u32>,
    ends: Vec<u32>,
    /// Of [`Kind::Any`], the values themselves.
    any: Option<Column>,
}

impl Fitting {
    /// What finds values, and what reads them where the processor has the instructions.
    pub fn new(finders: Finders, vectors: Option<Vectors>, timestamps: TimestampFormat) -> Self {
        Self {
            finders,
            vectors,
            timestamps,
            fits: Vec::new(),
            at: Vec::new(),
            values: Vec::new(),
            unread: Vec::new(),
            odd: Vec::new(),
            dates: DateCache::default(),
        }
    }

    /// Which records fit, of those that were looked at last.
    #[must_use]
    pub fn fits(&self) -> &[bool] {
        &self.fits
    }

    /// Holds records against a shape. Their values as columns of `fields`, in which those of records that do not fit are
    /// anything. `decoder` reads single values.
    ///
    /// # Errors
    /// `Internal`, if arrow does not take an array.
    pub fn columns(
        &mut self,
        shape: &Shape,
        lines: Lines<'_>,
        fields: &[FieldRef],
        decoder: &mut Decoder,
    ) -> Result<Vec<ArrayRef>> {
        self.start(shape, lines, fields)?;
        for first in (0..lines.starts.len()).step_by(TILE_RECORDS) {
            let last = lines.starts.len().min(first + TILE_RECORDS);
            self.pass(shape, lines, first..last, decoder);
        }
        let mut values = std::mem::take(&mut self.values);
        let columns = fields.iter().zip(&mut values).map(|(field, values)| self.column(field, values, lines.block));
        let columns = columns.collect();
        self.values = values;
        columns
    }

    fn start(&mut self, shape: &Shape, lines: Lines<'_>, fields: &[FieldRef]) -> Result<()> {
        let records = lines.starts.len();
        self.fits.clear();
        self.fits.resize(records, true);
        self.at.clear();
        self.at.extend_from_slice(lines.starts);
        self.unread.resize(TILE_RECORDS, 0);
        self.values.resize_with(fields.len(), Values::default);
        for values in &mut self.values {
            values.kind = None;
        }
        for slot in shape.slots() {
            let Some(column) = slot.column() else { continue };
            let values = &mut self.values[column];
            values.kind = Some(slot.kind());
            if slot.kind() == Kind::Any {
                match &mut values.any {
                    Some(any) => any.truncate(0),
                    None => values.any = Some(Column::new(&fields[column])?),
                }
            } else {
                values.starts.resize(records, 0);
                values.ends.resize(records, 0);
            }
        }
        Ok(())
    }

    /// Takes some records through the whole shape.
    fn pass(&mut self, shape: &Shape, lines: Lines<'_>, tile: std::ops::Range<usize>, decoder: &mut Decoder) {
        let bytes = lines.block.as_slice();
        let ends = &lines.ends[tile.clone()];
        let mut places = Places { bytes, at: &mut self.at[tile.clone()], fits: &mut self.fits[tile.clone()] };
        for slot in shape.slots() {
            let mut values = slot.column().map(|column| &mut self.values[column]);
            let unread = &mut self.unread[..tile.len()];
            match slot.kind() {
                Kind::Any => {
                    self.finders.leads(&mut places, slot.lead());
                    let any = values.and_then(|values| values.any.as_mut());
                    pass_any(&mut places, ends, slot.depth(), any, decoder);
                    continue;
                }
                kind => {
                    let starts = values.as_mut().map_or(unread, |values| &mut values.starts[tile.clone()]);
                    match kind {
                        Kind::Number => self.finders.numbers(&mut places, slot.lead(), starts),
                        _ => self.finders.strings(&mut places, slot.lead(), starts),
                    }
                }
            }
            if let Some(values) = values {
                values.ends[tile.clone()].copy_from_slice(places.at);
            }
        }
        self.finders.leads(&mut places, shape.end());
        for ((fits, at), end) in places.fits.iter_mut().zip(&*places.at).zip(ends) {
            *fits &= at == end;
        }
    }

    /// The values of a column. Records whose value is refused do not fit.
    fn column(&mut self, field: &FieldRef, values: &mut Values, block: &Buffer) -> Result<ArrayRef> {
        let Some(kind) = values.kind else { return Ok(new_null_array(field.data_type(), self.fits.len())) };
        if let (Kind::Any, Some(any)) = (kind, &mut values.any) {
            return any.finish(block);
        }
        let texts = Texts { bytes: block.as_slice(), starts: &values.starts, ends: &values.ends };
        let mut cells = Cells { fitting: self, texts, kind };
        Ok(match field.data_type() {
            DataType::Utf8View => {
                // The whole region is UTF-8, and values end at quotes, digits and signs.
                Arc::new(string_views(block, texts.starts, texts.ends, None, true, &mut Vec::new()))
            }
            DataType::Int8 => cells.integers::<Int8Type>(),
            DataType::Int16 => cells.integers::<Int16Type>(),
            DataType::Int32 => cells.integers::<Int32Type>(),
            DataType::Int64 => cells.integers::<Int64Type>(),
            DataType::Float32 => {
                Arc::new(cells.made::<Float32Type>(Vectors::floats, |plain, _| scalar::float(plain.trimmed())))
            }
            DataType::Float64 => {
                Arc::new(cells.made::<Float64Type>(Vectors::doubles, |plain, _| scalar::double(plain.trimmed())))
            }
            &DataType::Decimal128(precision, scale) => {
                let decimals = cells.made::<Decimal128Type>(
                    |vectors, texts, odd| vectors.decimals(texts, precision, scale, odd),
                    |plain, _| scalar::decimal(plain.trimmed(), precision, scale),
                );
                Arc::new(decimals.with_data_type(field.data_type().clone()))
            }
            DataType::Date32 => {
                Arc::new(cells.made::<Date32Type>(Vectors::dates, |plain, dates| scalar::date(plain.text(), dates)))
            }
            DataType::Timestamp(unit, zone) => {
                let zone = zone.clone();
                match unit {
                    TimeUnit::Second => cells.timestamps::<TimestampSecondType, 1>(zone),
                    TimeUnit::Millisecond => cells.timestamps::<TimestampMillisecondType, 1_000>(zone),
                    TimeUnit::Microsecond => cells.timestamps::<TimestampMicrosecondType, 1_000_000>(zone),
                    TimeUnit::Nanosecond => cells.timestamps::<TimestampNanosecondType, 1_000_000_000>(zone),
                }
            }
            // A shape has any value in such a column.
            other => {
                return Err(crate::error::Error::internal(format!("a column of {other} has no values in a shape")));
            }
        })
    }
}

/// Passes over any value of each record, and appends it to the column, where there is one.
fn pass_any(places: &mut Places<'_>, ends: &[u32], depth: u32, mut column: Option<&mut Column>, decoder: &mut Decoder) {
    for ((at, fits), &end) in places.at.iter_mut().zip(&mut *places.fits).zip(ends) {
        let text = &places.bytes[..end as usize];
        let start = *at as usize;
        // The carriage return of a line end may have been taken for white space.
        let behind = match (&mut column, *fits && start < text.len()) {
            (_, false) => None,
            (Some(column), true) => decoder.push_value(column, text, start),
            (None, true) => {
                let mut scanner = Scanner::within(text, start, depth);
                scanner.skip().ok().map(|()| scanner.at())
            }
        };
        match behind {
            Some(behind) => *at = behind as u32,
            None => {
                *fits = false;
                // NULL, so that fields of a ROW that must not be NULL may be.
                if let Some(column) = &mut column {
                    column.push_null();
                }
            }
        }
    }
}

/// The texts of one column.
struct Cells<'a> {
    fitting: &'a mut Fitting,
    texts: Texts<'a>,
    kind: Kind,
}

impl Cells<'_> {
    /// Values of a fixed width: `kernel` takes those that are plain, `parse` those that it leaves.
    fn made<T: ArrowPrimitiveType>(
        &mut self,
        kernel: impl FnOnce(Vectors, Texts<'_>, &mut Vec<u32>) -> Vec<T::Native>,
        parse: impl Fn(Plain<'_>, &mut DateCache) -> std::result::Result<T::Native, Refusal>,
    ) -> PrimitiveArray<T> {
        let Self { texts, kind, .. } = *self;
        let Fitting { vectors, fits, odd, dates, .. } = &mut *self.fitting;
        odd.clear();
        let mut values = match *vectors {
            Some(vectors) => kernel(vectors, texts, odd),
            None => {
                odd.extend(0..texts.starts.len() as u32);
                vec![T::default_value(); texts.starts.len()]
            }
        };
        for &row in &*odd {
            let row = row as usize;
            if !fits[row] {
                continue;
            }
            let plain = plain(texts, kind, row);
            match parse(plain, dates) {
                Ok(value) => values[row] = value,
                Err(_) => fits[row] = false,
            }
        }
        PrimitiveArray::new(values.into(), None)
    }

    fn integers<T: ArrowPrimitiveType>(&mut self) -> ArrayRef
    where
        T::Native: TryFrom<i64>,
    {
        let narrow = |vectors: Vectors, texts: Texts<'_>, odd: &mut Vec<u32>| {
            let wide = vectors.integers(texts, odd);
            let numbers = wide.into_iter().zip(0..).map(|(number, row)| {
                T::Native::try_from(number).unwrap_or_else(|_| {
                    odd.push(row);
                    T::default_value()
                })
            });
            numbers.collect()
        };
        Arc::new(self.made::<T>(narrow, |plain, _| {
            T::Native::try_from(scalar::integer(plain.trimmed())?).map_err(|_| Refusal::OutOfRange)
        }))
    }

    /// The unit is a constant, so that no row divides.
    fn timestamps<T: ArrowTimestampType, const PER_SECOND: i64>(&mut self, zone: Option<Arc<str>>) -> ArrayRef {
        let format = self.fitting.timestamps;
        let (scalar_zone, vector_zone) = match &zone {
            Some(_) => (scalar::Zone::Instant, Zone::Utc),
            None => (scalar::Zone::Local, Zone::Local),
        };
        let values = self.made::<T>(
            |vectors, texts, odd| {
                let values = vectors.timestamps::<PER_SECOND>(texts, vector_zone, odd);
                // The kernel takes either separator.
                let separator = format.separator();
                let other = |(row, (&start, &end)): (usize, (&u32, &u32))| {
                    let is_other = end > start + 10 && texts.bytes[start as usize + 10] != separator;
                    is_other.then_some(row as u32)
                };
                odd.extend(texts.starts.iter().zip(texts.ends).enumerate().filter_map(other));
                values
            },
            |plain, dates| scalar::timestamp(plain.text(), format, scalar_zone, PER_SECOND, dates),
        );
        Arc::new(values.with_timezone_opt(zone))
    }
}

/// The text of a value as the scalar code takes it.
fn plain(texts: Texts<'_>, kind: Kind, row: usize) -> Plain<'_> {
    let (start, end) = (texts.starts[row] as usize, texts.ends[row] as usize);
    let is_fractional = || texts.bytes[start..end].contains(&b'.');
    let kind = match kind {
        Kind::Number if is_fractional() => PlainKind::Fractional,
        Kind::Number => PlainKind::Whole,
        Kind::Text | Kind::Any => PlainKind::String,
    };
    Plain { bytes: texts.bytes, start, end, kind }
}
