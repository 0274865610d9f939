//! Where the rows of a piece stand in their file, and how a row is shown to people.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::array_value_to_string;
use arrow_schema::DataType;

use super::contained::contained;
use crate::connect::bad_input::{REJECT_BYTES_MAX, RowPlace, RowPlaces};
use crate::connect::format::json::write_string;

/// The rows of one piece.
#[derive(Debug)]
pub struct PiecePlaces {
    origin: Arc<str>,
    /// Of the file, before those of the row group.
    rows_before: u64,
    /// The rows of the row group that were read.
    kept: Vec<Range<u64>>,
    /// Those of them that were refused: numbers from 0 over all that were read, ascending.
    refused: Vec<u64>,
    /// The others.
    batches: Vec<RecordBatch>,
}

impl PiecePlaces {
    /// Of these rows of a row group that has `rows_before` it in its file.
    #[must_use]
    pub fn new(origin: &Arc<str>, rows_before: u64, kept: impl Iterator<Item = Range<u64>>) -> Self {
        let (kept, refused, batches) = (kept.collect(), Vec::new(), Vec::new());
        Self { origin: Arc::clone(origin), rows_before, kept, refused, batches }
    }

    /// Notes that row `number` of those that were read was refused, behind all that were noted before; and says which row
    /// of the file it is, from 0.
    pub fn refuse(&mut self, number: u64) -> u64 {
        self.refused.push(number);
        self.offset(number)
    }

    /// Keeps the rows that were not refused.
    pub fn hold(&mut self, batches: &[RecordBatch]) {
        self.batches = batches.to_vec();
    }

    fn offset(&self, number: u64) -> u64 {
        let mut left = number;
        for kept in &self.kept {
            let rows = kept.end - kept.start;
            if left < rows {
                return self.rows_before + kept.start + left;
            }
            left -= rows;
        }
        self.rows_before + self.kept.last().map_or(0, |kept| kept.end)
    }
}

impl RowPlaces for PiecePlaces {
    fn locate(&self, rows: &[u32]) -> Vec<RowPlace> {
        let place = |row: &u32| {
            // The row is as many places further on as rows were refused before it.
            let mut number = u64::from(*row);
            for refused in &self.refused {
                number += u64::from(*refused <= number);
            }
            let mut left = *row as usize;
            let mut record = Vec::new();
            for batch in &self.batches {
                if left < batch.num_rows() {
                    record = record_of(batch, left);
                    break;
                }
                left -= batch.num_rows();
            }
            RowPlace { origin: Arc::clone(&self.origin), offset: self.offset(number), line: 0, record }
        };
        rows.iter().map(place).collect()
    }
}

/// A row as JSON, for people: numbers and truth values as such, everything else as text.
#[must_use]
pub fn record_of(batch: &RecordBatch, row: usize) -> Vec<u8> {
    let written = contained(|| Ok::<_, String>(json_of(batch, row)));
    let mut record = written.unwrap_or_default();
    record.truncate(REJECT_BYTES_MAX);
    record
}

fn json_of(batch: &RecordBatch, row: usize) -> Vec<u8> {
    let mut out = b"{".to_vec();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if out.len() > REJECT_BYTES_MAX {
            break;
        }
        out.extend_from_slice(if out.len() > 1 { b",".as_slice() } else { b"" });
        write_string(field.name().as_bytes(), &mut out);
        out.push(b':');
        if column.is_null(row) {
            out.extend_from_slice(b"null");
        } else if let DataType::Boolean = column.data_type() {
            out.extend_from_slice(if column.as_boolean().value(row) { b"true".as_slice() } else { b"false" });
        } else {
            let text = array_value_to_string(column, row).unwrap_or_default();
            match column.data_type().is_integer() {
                true => out.extend_from_slice(text.as_bytes()),
                false => write_string(text.as_bytes(), &mut out),
            }
        }
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;

    use super::*;

    #[test]
    fn rows_are_found_past_those_that_are_unread_or_refused() {
        let mut places = PiecePlaces::new(&"a".into(), 100, [2..4, 10..15].into_iter());
        assert_eq!((places.refuse(0), places.refuse(3)), (102, 111));
        let numbers = Int64Array::from(vec![3, 10, 12, 13, 14]);
        let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)]).unwrap();
        places.hold(&[batch.slice(0, 2), batch.slice(2, 3)]);
        let found = places.locate(&[0, 1, 2, 2, 4]);
        let offsets: Vec<u64> = found.iter().map(|place| place.offset).collect();
        assert_eq!(offsets, [103, 110, 112, 112, 114]);
        assert_eq!(found[4].record, b"{\"n\":14}");
    }
}
