//! ORDER BY, LIMIT and OFFSET over a bounded input.
//! Invariant: rows held own their strings, so no input block stays alive for them; with a limit, at most about twice the
//! rows that can still come out are held.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_row::{OwnedRow, RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType, SchemaRef, SortOptions};
use arrow_select::interleave::interleave;
use thalweg_runtime::EventTimeMs;

use crate::batch::{Batch, Ordinal, Ordinals, Stamps};
use crate::changelog::RowKinds;
use crate::key::canonical_column;

/// Collects rows and gives them back in order: by the keys, rows that tie by their ordinals. NaN is the greatest number,
/// −0.0 ties with 0.0.
#[derive(Debug)]
pub struct Sorter {
    schema: SchemaRef,
    keys: Vec<SortKey>,
    /// Encodes the keys of a row to bytes of the same order; `None` where ordinals alone decide.
    converter: Option<RowConverter>,
    offset: usize,
    /// Rows that can come out, those skipped by the offset included.
    rows_max: usize,
    pieces: Vec<Piece>,
    rows: usize,
    bytes: usize,
    /// The last row that can come out, once so many were seen: no row after it needs to be held.
    last: Option<(Option<OwnedRow>, Ordinal)>,
}

/// One key of ORDER BY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// Column of the batches.
    pub column: usize,
    /// Greatest first?
    pub is_descending: bool,
    /// NULL before all values, whatever the direction?
    pub is_nulls_first: bool,
}

/// Rows in order.
#[derive(Debug)]
pub struct Sorted {
    schema: SchemaRef,
    pieces: Vec<Piece>,
    order: Vec<Place>,
    next: usize,
}

/// Some rows with their keys.
#[derive(Debug)]
struct Piece {
    columns: RecordBatch,
    keys: Option<Rows>,
    ordinals: Vec<Ordinal>,
}

/// A piece and a row in it.
type Place = (usize, usize);

/// Rows beyond those that can come out before the first are dropped: sorting is not worth it for a few.
const SURPLUS_MIN: usize = 4_096;

impl Sorter {
    /// A sorter of batches with the columns `schema`, of whose rows it gives back `limit` (`None`: all) after the first
    /// `offset`.
    ///
    /// # Errors
    /// If there is no order of a key's type.
    pub fn new(schema: SchemaRef, keys: Vec<SortKey>, limit: Option<usize>, offset: usize) -> Result<Self, ArrowError> {
        let field = |key: &SortKey| {
            let options = SortOptions { descending: key.is_descending, nulls_first: key.is_nulls_first };
            let field = schema.fields().get(key.column);
            let field = field.ok_or_else(|| ArrowError::SchemaError(format!("no column {} to sort by", key.column)))?;
            Ok(SortField::new_with_options(field.data_type().clone(), options))
        };
        let fields = keys.iter().map(field).collect::<Result<Vec<_>, ArrowError>>()?;
        let converter = if fields.is_empty() { None } else { Some(RowConverter::new(fields)?) };
        let rows_max = limit.map_or(usize::MAX, |limit| limit.saturating_add(offset));
        Ok(Self { schema, keys, converter, offset, rows_max, pieces: Vec::new(), rows: 0, bytes: 0, last: None })
    }

    /// Takes in rows.
    ///
    /// # Errors
    /// If the batch has other columns than the schema: a bug of the caller.
    pub fn push(&mut self, batch: &Batch) -> Result<(), ArrowError> {
        if batch.rows() == 0 || self.rows_max == 0 {
            return Ok(());
        }
        let keys = self.encode(&batch.columns)?;
        let mut rows: Vec<u32> = (0..batch.rows() as u32).collect();
        if let Some((last_key, last_ordinal)) = &self.last {
            let last = (last_key.as_ref().map(OwnedRow::row), *last_ordinal);
            let key = |row: usize| (keys.as_ref().map(|keys| keys.row(row)), batch.ordinals.get(row));
            rows.retain(|&row| key(row as usize) < last);
            if rows.is_empty() {
                return Ok(());
            }
        }
        let ordinals = rows.iter().map(|&row| batch.ordinals.get(row as usize)).collect();
        let columns = arrow_select::take::take_record_batch(&batch.columns, &UInt32Array::from(rows))?;
        self.hold(own_strings(columns)?, ordinals)?;
        if self.rows > self.rows_max.saturating_mul(2).max(self.rows_max.saturating_add(SURPLUS_MIN)) {
            self.drop_surplus()?;
        }
        Ok(())
    }

    /// Bytes held. Cheap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts all rows in order.
    ///
    /// # Errors
    /// None that data could cause.
    pub fn finish(self) -> Result<Sorted, ArrowError> {
        let mut order = self.order();
        order.drain(..self.offset.min(order.len()));
        Ok(Sorted { schema: self.schema, pieces: self.pieces, order, next: 0 })
    }

    fn encode(&self, columns: &RecordBatch) -> Result<Option<Rows>, ArrowError> {
        let Some(converter) = &self.converter else { return Ok(None) };
        let keys: Vec<ArrayRef> = self.keys.iter().map(|key| canonical_column(columns.column(key.column))).collect();
        Ok(Some(converter.convert_columns(&keys)?))
    }

    fn hold(&mut self, columns: RecordBatch, ordinals: Vec<Ordinal>) -> Result<(), ArrowError> {
        let piece = Piece { keys: self.encode(&columns)?, columns, ordinals };
        self.rows += piece.ordinals.len();
        self.bytes += piece.bytes();
        self.pieces.push(piece);
        Ok(())
    }

    /// The places of the rows that can come out, in order.
    fn order(&self) -> Vec<Place> {
        let places = |(index, piece): (usize, &Piece)| (0..piece.ordinals.len()).map(move |row| (index, row));
        let mut order: Vec<Place> = self.pieces.iter().enumerate().flat_map(places).collect();
        let compare = |a: &Place, b: &Place| self.compare(*a, *b);
        if self.rows_max < order.len() {
            order.select_nth_unstable_by(self.rows_max, compare);
            order.truncate(self.rows_max);
        }
        // Places decide between rows that tie even by ordinal, so that the order is whole.
        order.sort_unstable_by(|a, b| compare(a, b).then_with(|| a.cmp(b)));
        order
    }

    fn compare(&self, a: Place, b: Place) -> Ordering {
        let ((a, row_a), (b, row_b)) = ((&self.pieces[a.0], a.1), (&self.pieces[b.0], b.1));
        let keys = match (&a.keys, &b.keys) {
            (Some(keys_a), Some(keys_b)) => keys_a.row(row_a).cmp(&keys_b.row(row_b)),
            _ => Ordering::Equal,
        };
        keys.then_with(|| a.ordinals[row_a].cmp(&b.ordinals[row_b]))
    }

    /// Keeps only the rows that can still come out.
    fn drop_surplus(&mut self) -> Result<(), ArrowError> {
        let order = self.order();
        if let Some(&(piece, row)) = order.last() {
            let piece = &self.pieces[piece];
            self.last = Some((piece.keys.as_ref().map(|keys| keys.row(row).owned()), piece.ordinals[row]));
        }
        let columns = own_strings(gather(&self.schema, &self.pieces, &order)?)?;
        let ordinals = order.iter().map(|&(piece, row)| self.pieces[piece].ordinals[row]).collect();
        self.pieces.clear();
        (self.rows, self.bytes) = (0, 0);
        self.hold(columns, ordinals)
    }
}

impl Sorted {
    /// The next rows, at most `rows_max` (at least 1); `None` after the last. They keep their ordinals.
    ///
    /// # Errors
    /// If strings of more than 4 GiB meet in a batch.
    pub fn next_batch(&mut self, rows_max: usize) -> Result<Option<Batch>, ArrowError> {
        let order = &self.order[self.next..];
        let order = &order[..order.len().min(rows_max.max(1))];
        if order.is_empty() {
            return Ok(None);
        }
        self.next += order.len();
        let columns = gather(&self.schema, &self.pieces, order)?;
        let ordinals = order.iter().map(|&(piece, row)| self.pieces[piece].ordinals[row]).collect();
        Ok(Some(Batch {
            columns,
            ordinals: Ordinals::Each(ordinals),
            stamps: Stamps::Uniform(EventTimeMs::MIN),
            kinds: RowKinds::Inserts,
        }))
    }
}

impl Piece {
    fn bytes(&self) -> usize {
        self.columns.get_array_memory_size()
            + self.keys.as_ref().map_or(0, Rows::size)
            + self.ordinals.capacity() * size_of::<Ordinal>()
    }
}

fn gather(schema: &SchemaRef, pieces: &[Piece], order: &[Place]) -> Result<RecordBatch, ArrowError> {
    let column = |index: usize| {
        let arrays: Vec<_> = pieces.iter().map(|piece| piece.columns.column(index).as_ref()).collect();
        interleave(&arrays, order)
    };
    let columns = (0..schema.fields().len()).map(column).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(order.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// The same rows with strings in buffers of their own.
fn own_strings(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (schema, columns, rows) = batch.into_parts();
    let own = |column: ArrayRef| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => column,
        }
    };
    let columns = columns.into_iter().map(own).collect();
    RecordBatch::try_new_with_options(schema, columns, &RecordBatchOptions::new().with_row_count(Some(rows)))
}
