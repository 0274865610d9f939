//! Expressions on a batch of which some rows have no value: which rows these are, and the values of the others.
//!
//! An expression refuses a whole batch. The rows to blame are found by halving: a half that is refused is halved again, down
//! to single rows. With `bad` such rows among `n` that is O(bad · log n) evaluations. What a row gives depends on the row
//! alone, so the rows found are the same however rows are put into batches.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, new_empty_array};
use arrow_select::concat::concat;
use thalweg_operators::expr::{EvaluateError, Scalar};

use crate::connect::bad_input::{Reject, RejectReason, RowPlace};
use crate::error::{Error, Result};

/// A row that was decoded and then refused.
#[derive(Debug)]
pub(in crate::job) struct FailedRow {
    /// Its number in its block.
    pub(in crate::job) row: u32,
    pub(in crate::job) reason: RejectReason,
    /// The column that it has no value for.
    pub(in crate::job) field: Option<Box<str>>,
    pub(in crate::job) message: String,
    pub(in crate::job) help: &'static str,
}

impl FailedRow {
    /// As a reject at `place`; where that is not known, as row of `table`.
    pub(super) fn at(self, place: Option<RowPlace>, table: &Arc<str>) -> Reject {
        let Self { row, reason, field, message, help } = self;
        let nowhere = || RowPlace { origin: Arc::clone(table), offset: u64::from(row), line: 0, record: Vec::new() };
        let RowPlace { origin, offset, line, record } = place.unwrap_or_else(nowhere);
        Reject { origin, offset, line, column: 0, field, reason, message, help: help.to_owned(), record }
    }
}

/// Why a batch is refused: which of the expressions, and its error.
pub(in crate::job) type Refusal = (usize, EvaluateError);

/// One column for each of `expressions`.
pub(in crate::job) fn evaluate(expressions: &[Arc<dyn Scalar>], batch: &RecordBatch) -> Result<Vec<ArrayRef>, Refusal> {
    let columns = expressions.iter().enumerate().map(|(number, expression)| match expression.column() {
        Some(column) => Ok(Arc::clone(batch.column(column))),
        None => expression.evaluate(batch).map_err(|error| (number, error)),
    });
    columns.collect()
}

/// A batch without the rows that have no value.
pub(in crate::job) struct Salvaged {
    /// One column for each expression.
    pub(in crate::job) columns: Vec<ArrayRef>,
    /// Which rows are left; as many as the batch had.
    pub(in crate::job) kept: BooleanArray,
    /// The others, ascending.
    pub(in crate::job) failed: Vec<(usize, Refusal)>,
}

/// The values of all rows that have some, of a batch that `expressions` refused as a whole.
///
/// # Errors
/// `Internal`, if the parts do not fit together.
pub(in crate::job) fn salvage(expressions: &[Arc<dyn Scalar>], batch: &RecordBatch) -> Result<Salvaged> {
    let rows = batch.num_rows();
    let mut parts: Vec<Vec<ArrayRef>> = Vec::new();
    let mut failed: Vec<(usize, Refusal)> = Vec::new();
    let mut kept = vec![true; rows];
    let mut left: Vec<Range<usize>> = halves(0..rows);
    // The part to the left is always on top: what comes out is in order.
    while let Some(range) = left.pop() {
        match evaluate(expressions, &batch.slice(range.start, range.len())) {
            Ok(columns) => parts.push(columns),
            Err(refusal) if range.len() <= 1 => {
                kept[range.start] = false;
                failed.push((range.start, refusal));
            }
            Err(_) => left.extend(halves(range)),
        }
    }
    let joined = |number: usize, expression: &Arc<dyn Scalar>| {
        let columns: Vec<&dyn arrow_array::Array> = parts.iter().map(|part| part[number].as_ref()).collect();
        match columns.as_slice() {
            [] => Ok(new_empty_array(&expression.data_type())),
            columns => concat(columns).map_err(|error| Error::internal(error.to_string())),
        }
    };
    let columns = expressions.iter().enumerate().map(|(number, expression)| joined(number, expression));
    Ok(Salvaged { columns: columns.collect::<Result<_>>()?, kept: kept.into(), failed })
}

/// Both halves, the second first; the range itself if it cannot be halved.
fn halves(range: Range<usize>) -> Vec<Range<usize>> {
    if range.len() <= 1 {
        return if range.is_empty() { Vec::new() } else { vec![range] };
    }
    let middle = range.start + range.len() / 2;
    vec![middle..range.end, range.start..middle]
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow_array::Int64Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    /// 100 / x.
    #[derive(Debug)]
    struct Quotient(AtomicUsize);

    impl Scalar for Quotient {
        fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, EvaluateError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let values = batch.column(0).as_primitive::<Int64Type>().values();
            let quotients: Option<Vec<i64>> = values.iter().map(|value| 100_i64.checked_div(*value)).collect();
            let failed = || EvaluateError { message: "division by zero".into(), expression: "100 / x".into() };
            Ok(Arc::new(Int64Array::from(quotients.ok_or_else(failed)?)))
        }

        fn data_type(&self) -> DataType {
            DataType::Int64
        }

        fn column(&self) -> Option<usize> {
            None
        }

        fn columns(&self) -> Vec<usize> {
            vec![0]
        }

        fn describe(&self) -> String {
            "100 / x".into()
        }
    }

    fn batch(values: &[i64]) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("x", DataType::Int64, false)]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(values.to_vec()))]).unwrap()
    }

    #[test]
    fn every_set_of_bad_rows_is_found_and_the_others_have_their_values() {
        for bits in 1_u32..1 << 9 {
            let values: Vec<i64> = (0..9).map(|row| if bits >> row & 1 == 1 { 0 } else { row + 1 }).collect();
            let expressions: Vec<Arc<dyn Scalar>> = vec![Arc::new(Quotient(AtomicUsize::new(0)))];
            let salvaged = salvage(&expressions, &batch(&values)).unwrap();
            let expected: Vec<i64> = values.iter().filter(|value| **value != 0).map(|value| 100 / value).collect();
            assert_eq!(salvaged.columns[0].as_primitive::<Int64Type>().values().to_vec(), expected, "{values:?}");
            let failed: Vec<usize> = salvaged.failed.iter().map(|(row, _)| *row).collect();
            let zeros: Vec<usize> = (0..9).filter(|&row| values[row] == 0).collect();
            assert_eq!(failed, zeros, "{values:?}");
            assert_eq!((salvaged.kept.len(), salvaged.kept.true_count()), (9, expected.len()));
        }
    }

    #[test]
    fn one_bad_row_costs_a_number_of_evaluations_that_grows_with_the_logarithm() {
        let mut values = vec![1; 4096];
        values[2741] = 0;
        let quotient = Arc::new(Quotient(AtomicUsize::new(0)));
        salvage(&[Arc::clone(&quotient) as Arc<dyn Scalar>], &batch(&values)).unwrap();
        assert_eq!(quotient.0.load(Ordering::Relaxed), 2 * 12);
    }
}
