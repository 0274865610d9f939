//! Lines to batches: records that fit a shape many at a time, the others one by one.
//!
//! What a batch holds does not depend on which way a record went: what fits a shape becomes what the [`Decoder`] would have
//! made of it, and everything else goes there, which alone refuses. Shapes are learnt from records that fit none, as long as
//! these are many.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave;
use thalweg_operators::kernels::Kernels;

use super::decode::Decoder;
use super::fit::{Fitting, Lines};
use super::options::JsonOptions;
use super::refusal::Refused;
use super::shape::{ReadColumns, Shape, Unread};
use super::vector::{Finders, PAD_BYTES};
use crate::connect::format::csv::vector::Vectors;
use crate::error::{Error, Result};

/// Shapes that are kept.
const SHAPES_MAX: usize = 8;

/// Shapes that are learnt from one batch.
const LEARNT_MAX: usize = 2;

/// One of so many records must be of a shape, for it to be worth the look; or without one, for another to be learnt.
const WORTH_ONE_OF: usize = 16;

/// Records from which on that can be told.
const TELLING_RECORDS: usize = 64;

/// Batches, as a power of two, that pass at most before another shape is looked for in vain.
const WAIT_MAX: u32 = 6;

/// Why a record is not among the rows.
pub enum LeftOut {
    /// It is a line of white space.
    Blank,
    /// It is refused.
    Refused(Box<Refused>),
}

/// Turns lines into batches, and keeps what it learns of them.
pub struct BatchDecoder {
    schema: SchemaRef,
    decoder: Decoder,
    columns: ReadColumns,
    fitting: Option<Fitting>,
    shapes: Vec<Known>,
    /// Until objects that nobody reads turn out to have too many shapes of their own.
    unread: Unread,
    /// Shapes that were learnt in vain, one after the other.
    futile: u32,
    /// Batches left before the next is looked for.
    wait: u32,
}

struct Known {
    shape: Shape,
    /// Records of the last batch.
    taken: usize,
}

/// A batch on its way: pieces of it that are decoded, and where each record is in them.
struct Parts {
    parts: Vec<Vec<ArrayRef>>,
    /// By record: the part, and the row there. Empty if all are in the one part that there is, or none is in any.
    places: Vec<Option<(usize, usize)>>,
    /// Records that are in none yet, ascending.
    rest: Vec<u32>,
}

impl BatchDecoder {
    /// A decoder of these columns.
    ///
    /// # Errors
    /// `Statement`, if JSON cannot hold one of them.
    pub fn new(schema: &SchemaRef, options: &JsonOptions, kernels: Kernels) -> Result<Self> {
        let fitting =
            Finders::of(kernels).map(|finders| Fitting::new(finders, Vectors::of(kernels), options.timestamps));
        Ok(Self {
            schema: Arc::clone(schema),
            decoder: Decoder::new(schema, options)?,
            columns: ReadColumns::new(schema.fields(), options),
            fitting,
            shapes: Vec::new(),
            unread: Unread::ByField,
            futile: 0,
            wait: 0,
        })
    }

    /// One batch; none if no record is a row. `is_utf8` says that all lines are. `leave_out` gets the lines that are not
    /// among the rows, in order.
    ///
    /// # Errors
    /// Those of `leave_out`; `Internal`, if arrow does not take the rows. After one the decoder is of no use.
    pub fn decode(
        &mut self,
        lines: Lines<'_>,
        is_utf8: bool,
        mut leave_out: impl FnMut(usize, LeftOut) -> Result<()>,
    ) -> Result<Option<RecordBatch>> {
        let records = lines.starts.len();
        let mut parts = Parts { parts: Vec::new(), places: Vec::new(), rest: (0..records as u32).collect() };
        let is_padded = lines.ends.last().is_some_and(|&end| end as usize + PAD_BYTES < lines.block.len());
        if is_utf8 && is_padded {
            self.fit_shapes(lines, &mut parts)?;
        }
        if !parts.rest.is_empty() {
            parts.places.resize(records, None);
        }
        for record in std::mem::take(&mut parts.rest) {
            let record = record as usize;
            let (start, end) = (lines.starts[record] as usize, lines.ends[record] as usize);
            let text = &lines.block.as_slice()[..end];
            let line = &text[start..];
            if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
                leave_out(record, LeftOut::Blank)?;
                continue;
            }
            let taken = match std::str::from_utf8(if is_utf8 { &[] } else { line }) {
                Ok(_) => self.decoder.push(text, start),
                Err(error) => Err(Box::new(Refused::not_utf8(text, start + error.valid_up_to()))),
            };
            match taken {
                Ok(()) => parts.places[record] = Some((parts.parts.len(), self.decoder.rows() - 1)),
                Err(refused) => leave_out(record, LeftOut::Refused(refused))?,
            }
        }
        if self.decoder.rows() > 0 {
            parts.parts.push(self.decoder.finish(lines.block)?);
        }
        self.assemble(parts, records)
    }

    /// Holds records against the shapes that are known, and learns others.
    fn fit_shapes(&mut self, lines: Lines<'_>, parts: &mut Parts) -> Result<()> {
        let Some(mut fitting) = self.fitting.take() else { return Ok(()) };
        self.shapes.sort_by_key(|known| std::cmp::Reverse(known.taken));
        let mut number = 0;
        while number < self.shapes.len() && !parts.rest.is_empty() {
            let is_worth_it = self.fit(number, &mut fitting, lines, parts)?;
            if is_worth_it {
                number += 1;
            } else {
                self.shapes.remove(number);
            }
        }
        self.wait = self.wait.saturating_sub(1);
        let mut is_nested = self.shapes.iter().any(|known| known.shape.is_nested());
        for _ in 0..LEARNT_MAX {
            if self.wait > 0 || parts.rest.is_empty() || parts.rest.len() * WORTH_ONE_OF < lines.starts.len() {
                break;
            }
            let learnt = self.learn(lines, &parts.rest);
            let mut is_worth_it = false;
            if let Some(number) = learnt {
                is_nested |= self.shapes[number].shape.is_nested();
                is_worth_it = self.fit(number, &mut fitting, lines, parts)?;
                if !is_worth_it {
                    self.shapes.remove(number);
                }
            }
            self.futile = if is_worth_it { 0 } else { self.futile + 1 };
            if !is_worth_it {
                self.wait = 1 << self.futile.min(WAIT_MAX);
            }
        }
        let is_missed = parts.rest.len() >= TELLING_RECORDS && 2 * parts.rest.len() > lines.starts.len();
        if is_missed && is_nested {
            self.unread = Unread::Whole;
            self.shapes.clear();
            (self.futile, self.wait) = (0, 0);
        }
        self.fitting = Some(fitting);
        Ok(())
    }

    /// Holds what is left against a shape; whether enough records were of it.
    fn fit(&mut self, number: usize, fitting: &mut Fitting, lines: Lines<'_>, parts: &mut Parts) -> Result<bool> {
        let known = &mut self.shapes[number];
        let fields = self.schema.fields();
        let is_all = parts.rest.len() == lines.starts.len();
        let part = if is_all {
            fitting.columns(&known.shape, lines, fields, &mut self.decoder)?
        } else {
            let gathered = |of: &[u32]| parts.rest.iter().map(|&record| of[record as usize]).collect::<Vec<_>>();
            let (starts, ends) = (gathered(lines.starts), gathered(lines.ends));
            let some = Lines { starts: &starts, ends: &ends, ..lines };
            fitting.columns(&known.shape, some, fields, &mut self.decoder)?
        };
        let (tried, fits) = (parts.rest.len(), fitting.fits());
        known.taken = fits.iter().filter(|fits| **fits).count();
        if known.taken == lines.starts.len() {
            parts.parts.push(part);
            parts.rest.clear();
        } else if known.taken > 0 {
            parts.places.resize(lines.starts.len(), None);
            let number = parts.parts.len();
            parts.parts.push(part);
            for (row, &record) in parts.rest.iter().enumerate().filter(|(row, _)| fits[*row]) {
                parts.places[record as usize] = Some((number, row));
            }
            let mut fits = fits.iter();
            parts.rest.retain(|_| !fits.next().expect("one for each record"));
        }
        Ok(tried < TELLING_RECORDS || known.taken * WORTH_ONE_OF >= tried)
    }

    /// The number of a shape that was learnt from records that have none, if there is anything to learn.
    fn learn(&mut self, lines: Lines<'_>, rest: &[u32]) -> Option<usize> {
        // Another, if the first is no record.
        let candidates = [rest.first(), rest.get(rest.len() / 2).filter(|_| rest.len() > 1)];
        let mut learnt = candidates.into_iter().flatten().filter_map(|&record| {
            let text = &lines.block.as_slice()[..lines.ends[record as usize] as usize];
            Shape::of(text, lines.starts[record as usize] as usize, &mut self.columns, self.unread)
        });
        let shape = learnt.next()?;
        if let Some(number) = self.shapes.iter().position(|known| known.shape.has_frame_of(&shape)) {
            return self.shapes[number].shape.widen(&shape, &self.columns).then_some(number);
        }
        if self.shapes.len() == SHAPES_MAX {
            let least = (0..SHAPES_MAX).min_by_key(|&number| self.shapes[number].taken);
            self.shapes.remove(least.expect("there are shapes"));
        }
        self.shapes.push(Known { shape, taken: 0 });
        Some(self.shapes.len() - 1)
    }

    /// The rows in the order of their records.
    fn assemble(&self, parts: Parts, records: usize) -> Result<Option<RecordBatch>> {
        let Parts { mut parts, places, .. } = parts;
        let rows = if places.is_empty() { records } else { places.iter().flatten().count() };
        if rows == 0 {
            return Ok(None);
        }
        let is_whole =
            parts.len() == 1 && (places.is_empty() || parts[0].first().is_none_or(|part| part.len() == rows));
        let columns = if is_whole {
            parts.swap_remove(0)
        } else {
            let places = places.into_iter().flatten().collect::<Vec<_>>();
            let column = |column: usize| {
                let arrays = parts.iter().map(|part| &*part[column] as &dyn Array).collect::<Vec<_>>();
                interleave(&arrays, &places)
            };
            let columns = (0..self.schema.fields().len()).map(column).collect::<std::result::Result<Vec<_>, _>>();
            columns.map_err(|error| unfit(&error))?
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        batch.map(Some).map_err(|error| unfit(&error))
    }
}

fn unfit(error: &arrow_schema::ArrowError) -> Error {
    Error::internal(format!("a batch of JSON does not fit its schema: {error}"))
}
