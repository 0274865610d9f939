//! The rows of one row group: decoded piece by piece, or looked at as a whole.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection, RowSelector};

use super::adapt::{Refusal, Texts};
use super::contained::contained;
use super::file::Fault;
use super::layout::{Layout, OpenFile, PlannedGroup};
use super::pages::GroupPages;
use super::schema::{ProjectedColumn, Projection};
use crate::error::{Error, Result};

/// Rows that are decoded at a time where only the outcome counts.
const CHECKED_ROWS: usize = 1024;

/// One worker's place in a row group: a piece behind the last one is decoded without beginning again.
#[derive(Default)]
pub struct PieceDecoder {
    place: Option<Place>,
}

struct Place {
    file: usize,
    group: usize,
    /// The first row that has not been given out.
    row: u64,
    decoder: ParquetRecordBatchReader,
    /// Decoded already, but of the next piece.
    rest: Option<RecordBatch>,
}

/// Which rows of which row group.
pub struct PieceRows {
    /// The file.
    pub file: usize,
    /// The row group.
    pub group: usize,
    /// Its rows, whether they are read or not.
    pub rows: Range<u64>,
}

impl PieceDecoder {
    /// The rows of a piece that are read, as the file has them, in batches of at most `batch_rows`.
    ///
    /// # Errors
    /// If they cannot be decoded. The next piece then begins afresh.
    pub fn decode(
        &mut self,
        layout: &Layout,
        open: &OpenFile,
        piece: &PieceRows,
        batch_rows: usize,
    ) -> Result<Vec<RecordBatch>, Fault> {
        let planned = &layout.files[piece.file].groups[piece.group];
        let expected = planned.count_in(piece.rows.clone()) as usize;
        if expected == 0 || open.projection.levels.is_none() {
            return Ok(without_columns(expected, batch_rows));
        }
        let is_ahead =
            |place: &Place| (place.file, place.group) == (piece.file, piece.group) && place.row <= piece.rows.start;
        let mut place = match self.place.take().filter(is_ahead) {
            Some(mut place) => {
                // To begin again would decode all that is before: each row as often as there are pieces behind it.
                let mut before = planned.count_in(place.row..piece.rows.start) as usize;
                while before > 0 {
                    let rows = before.min(CHECKED_ROWS);
                    place.take_rows(open, rows)?;
                    before -= rows;
                }
                place
            }
            None => Place {
                file: piece.file,
                group: piece.group,
                row: piece.rows.start,
                decoder: decoder(open, &open.projection, (piece.group, planned), piece.rows.start, batch_rows)?,
                rest: None,
            },
        };
        let batches = place.take_rows(open, expected)?;
        place.row = piece.rows.end;
        if place.row < planned.rows {
            self.place = Some(place);
        }
        Ok(batches)
    }
}

impl Place {
    /// The next `count` rows that are read.
    fn take_rows(&mut self, open: &OpenFile, count: usize) -> Result<Vec<RecordBatch>, Fault> {
        let mut batches = Vec::new();
        let mut have = 0;
        while have < count {
            let batch = match self.rest.take() {
                Some(batch) => batch,
                None => next(open, &mut self.decoder)?.ok_or_else(too_few)?,
            };
            let left = count - have;
            let batch = if batch.num_rows() > left {
                self.rest = Some(batch.slice(left, batch.num_rows() - left));
                batch.slice(0, left)
            } else {
                batch
            };
            have += batch.num_rows();
            batches.push(batch);
        }
        Ok(batches)
    }
}

fn too_few() -> Fault {
    Fault::Damaged("it has fewer rows than its metadata says".to_owned())
}

/// The next batch; `None` behind the last.
fn next(open: &OpenFile, decoder: &mut ParquetRecordBatchReader) -> Result<Option<RecordBatch>, Fault> {
    match contained(|| decoder.next().transpose()) {
        // The decoder ends without a word where the pages do.
        Ok(Some(batch)) if batch.num_rows() == 0 => Err(too_few()),
        Ok(batch) => Ok(batch),
        Err(why) => Err(open.bytes.fault(why)),
    }
}

/// A decoder of the rows that are read, from row `first` of the row group on.
fn decoder(
    open: &OpenFile,
    projection: &Projection,
    (group, planned): (usize, &PlannedGroup),
    first: u64,
    batch_rows: usize,
) -> Result<ParquetRecordBatchReader, Fault> {
    let Some(levels) = &projection.levels else {
        return Err(Fault::Fatal(Error::internal("a decoder of no columns")));
    };
    let mut selectors = Vec::new();
    let mut row = 0;
    for kept in planned.kept_in(first..planned.rows) {
        if kept.start > row {
            selectors.push(RowSelector::skip((kept.start - row) as usize));
        }
        selectors.push(RowSelector::select((kept.end - kept.start) as usize));
        row = kept.end;
    }
    let is_whole = row == planned.rows && selectors.len() == 1;
    let selection = (!is_whole).then(|| RowSelection::from(selectors));
    let pages = GroupPages { bytes: Arc::clone(&open.bytes), metadata: Arc::clone(&open.metadata), group };
    let batch_rows = batch_rows.min(planned.rows as usize).max(1);
    contained(|| ParquetRecordBatchReader::try_new_with_row_groups(levels, &pages, batch_rows, selection))
        .map_err(|why| open.bytes.fault(why))
}

/// What is wrong with the rows of a row group that are read, and in which column: the same for any number of workers and
/// any size of batches. `None` if all can be decoded.
///
/// # Errors
/// If the system refuses.
pub fn damage(open: &OpenFile, group: usize, planned: &PlannedGroup) -> Result<Option<String>> {
    for column in &open.projection.columns {
        match damage_of(open, column, (group, planned)) {
            Ok(()) => {}
            Err(Fault::Fatal(error)) => return Err(error),
            Err(Fault::Damaged(why)) => {
                return Ok(Some(format!("row group {group}, column `{}`: {why}", column.field.name())));
            }
        }
    }
    Ok(None)
}

fn damage_of(open: &OpenFile, column: &ProjectedColumn, group: (usize, &PlannedGroup)) -> Result<(), Fault> {
    let levels = Projection::levels_of(&open.metadata, &open.fields, &column.leaves).map_err(Fault::Damaged)?;
    let projection = Projection { levels: Some(levels), leaves: column.leaves.clone(), columns: Vec::new() };
    let mut decoder = decoder(open, &projection, group, 0, CHECKED_ROWS)?;
    let mut left = group.1.count_in(0..group.1.rows);
    while left > 0 {
        let batch = next(open, &mut decoder)?.ok_or_else(too_few)?;
        left = left.saturating_sub(batch.num_rows() as u64);
    }
    Ok(())
}

fn without_columns(rows: usize, batch_rows: usize) -> Vec<RecordBatch> {
    let schema: SchemaRef = Arc::new(Schema::empty());
    let starts = (0..rows).step_by(batch_rows);
    let batches = starts.map(|start| {
        let options = RecordBatchOptions::new().with_row_count(Some(batch_rows.min(rows - start)));
        RecordBatch::try_new_with_options(Arc::clone(&schema), Vec::new(), &options)
    });
    batches.map(|batch| batch.expect("a batch without columns has any number of rows")).collect()
}

/// A batch of the file as one of the table, and which of its rows cannot be one, in order.
///
/// # Errors
/// What Arrow does not accept, in words.
pub fn adapted(
    open: &OpenFile,
    schema: &SchemaRef,
    batch: &RecordBatch,
    texts: Texts,
) -> Result<(RecordBatch, Vec<Refusal>), String> {
    contained(|| {
        let mut refusals = Vec::new();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for column in &open.projection.columns {
            columns.push(column.column.adapt(batch.column(column.place), texts, &mut refusals)?);
        }
        // Of several in a row the first column's counts.
        refusals.sort_by_key(|refusal| refusal.row);
        refusals.dedup_by_key(|refusal| refusal.row);
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
        Ok::<_, arrow_schema::ArrowError>((batch, refusals))
    })
}
