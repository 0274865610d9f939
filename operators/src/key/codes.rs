//! Key columns as codes of a dictionary, as files of columns have them: a key is looked up once for each combination of codes
//! that a batch holds, and not for each row.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, UInt32Array};
use arrow_schema::{ArrowError, DataType};
use arrow_select::take::take;

/// Combinations of codes that are told apart by their numbers. More would not stay in the caches.
const COMBINATIONS_MAX: usize = 1 << 16;

/// The type of a column of strings that comes as codes: of `UInt32`, for `Utf8View`.
#[must_use]
pub fn coded_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8View))
}

/// A column of strings as codes, each row with one of its own.
///
/// # Panics
/// If there are 2³² rows or more.
#[must_use]
pub fn coded(texts: &ArrayRef) -> ArrayRef {
    let rows = u32::try_from(texts.len()).expect("a batch has fewer than 2^32 rows");
    let codes = UInt32Array::new((0..rows).collect::<Vec<_>>().into(), texts.logical_nulls());
    Arc::new(DictionaryArray::new(codes, Arc::clone(texts)))
}

/// The strings that codes stand for; any other column as it is.
///
/// # Errors
/// If Arrow refuses: a bug.
pub fn plain(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match codes_of(column) {
        Some(coded) => take(coded.values(), coded.keys(), None),
        None => Ok(Arc::clone(column)),
    }
}

fn codes_of(column: &ArrayRef) -> Option<&DictionaryArray<UInt32Type>> {
    column.as_dictionary_opt::<UInt32Type>()
}

/// The distinct keys of a batch whose key columns are all codes. Memory is used again by the next one.
#[derive(Debug, Default)]
pub struct DistinctKeys {
    /// By combination: 0, or the number of the key in this batch, and 1. All are 0 between two batches.
    numbers: Vec<u32>,
    /// The combinations in this batch, in the order in which they come first.
    combinations: Vec<u32>,
    /// By row: its combination, then the number of its key.
    rows: Vec<u32>,
}

impl DistinctKeys {
    /// The columns of the distinct keys, in the order in which they come first, as strings. `None` if a column is not of codes
    /// without NULL, or they combine in too many ways.
    ///
    /// # Errors
    /// If Arrow refuses: a bug.
    pub fn find(&mut self, columns: &[&ArrayRef]) -> Result<Option<Vec<ArrayRef>>, ArrowError> {
        let coded: Option<Vec<_>> =
            columns.iter().map(|column| codes_of(column).filter(|coded| coded.null_count() == 0)).collect();
        let Some(coded) = coded.filter(|coded| !coded.is_empty()) else { return Ok(None) };
        let sizes = || coded.iter().map(|coded| coded.values().len());
        let all = sizes().try_fold(1, |all: usize, size| all.checked_mul(size).filter(|all| *all <= COMBINATIONS_MAX));
        let Some(all) = all else { return Ok(None) };
        self.combine(coded.iter().map(|coded| &**coded.keys().values()).zip(sizes()));
        self.number(all);
        let mut factor = 1;
        let mut distinct = Vec::with_capacity(coded.len());
        for column in &coded {
            let size = column.values().len().max(1) as u32;
            let codes = self.combinations.iter().map(|combination| combination / factor % size);
            distinct.push(take(column.values(), &UInt32Array::from_iter_values(codes), None)?);
            factor *= size;
        }
        Ok(Some(distinct))
    }

    /// By row: the number of its key among those that [`find`](Self::find) gave.
    #[must_use]
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Puts the combination of each row into `rows`; the first column's codes count ones.
    fn combine<'a>(&mut self, columns: impl Iterator<Item = (&'a [u32], usize)>) {
        let mut factor = 1;
        self.rows.clear();
        for (codes, size) in columns {
            if self.rows.is_empty() {
                self.rows.extend_from_slice(codes);
            } else {
                self.rows.iter_mut().zip(codes).for_each(|(row, code)| *row += code * factor);
            }
            factor *= size as u32;
        }
    }

    /// Numbers the combinations of the rows, which are fewer than `all`.
    fn number(&mut self, all: usize) {
        let Self { numbers, combinations, rows } = self;
        if numbers.len() < all {
            numbers.resize(all, 0);
        }
        combinations.clear();
        for row in rows {
            let number = &mut numbers[*row as usize];
            if *number == 0 {
                combinations.push(*row);
                *number = combinations.len() as u32;
            }
            *row = *number - 1;
        }
        combinations.iter().for_each(|combination| numbers[*combination as usize] = 0);
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringViewArray;
    use proptest::prelude::*;

    use super::*;

    /// Codes within 0..values, for so many rows, and the values.
    fn any_column(rows: usize) -> impl Strategy<Value = ArrayRef> {
        (1..9_usize).prop_flat_map(move |values| {
            let codes = proptest::collection::vec(0..values as u32, rows);
            let values = proptest::collection::vec(proptest::option::weighted(0.9, "[a-c]{0,15}"), values);
            let nulls = proptest::option::weighted(0.2, proptest::collection::vec(any::<bool>(), rows));
            (codes, values, nulls).prop_map(|(codes, values, nulls)| {
                let codes = UInt32Array::new(codes.into(), nulls.map(Into::into));
                Arc::new(DictionaryArray::new(codes, Arc::new(StringViewArray::from(values)))) as ArrayRef
            })
        })
    }

    fn any_columns() -> impl Strategy<Value = Vec<ArrayRef>> {
        (0..60_usize).prop_flat_map(|rows| proptest::collection::vec(any_column(rows), 1..4))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn each_row_has_the_key_of_its_number(batches in proptest::collection::vec(any_columns(), 1..4)) {
            let mut distinct = DistinctKeys::default();
            for columns in &batches {
                let columns: Vec<&ArrayRef> = columns.iter().collect();
                let found = distinct.find(&columns).unwrap();
                let has_nulls = columns.iter().any(|column| column.null_count() > 0);
                prop_assert_eq!(found.is_none(), has_nulls);
                let Some(found) = found else { continue };
                let rows = UInt32Array::from(distinct.rows().to_vec());
                for (column, found) in columns.iter().zip(&found) {
                    prop_assert_eq!(&plain(column).unwrap(), &take(found, &rows, None).unwrap());
                }
                // In the order in which they come first, and each once.
                let mut next = 0;
                for &number in distinct.rows() {
                    prop_assert!(number <= next);
                    next = next.max(number + 1);
                }
                prop_assert_eq!(next as usize, found[0].len());
            }
        }

        #[test]
        fn strings_come_back_from_codes_of_their_own(texts in proptest::collection::vec(any::<Option<String>>(), 0..30)) {
            let texts: ArrayRef = Arc::new(StringViewArray::from(texts));
            let coded = coded(&texts);
            prop_assert_eq!(coded.data_type(), &coded_type());
            prop_assert_eq!(coded.null_count(), texts.null_count());
            prop_assert_eq!(&plain(&coded).unwrap(), &texts);
        }
    }

    #[test]
    fn too_many_combinations_are_left_alone() {
        let values: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..300).map(|value| value.to_string())));
        let column: ArrayRef = Arc::new(DictionaryArray::new(UInt32Array::from(vec![0, 299]), values));
        let mut distinct = DistinctKeys::default();
        assert!(distinct.find(&[&column, &column]).unwrap().is_none());
        assert_eq!(distinct.find(&[&column]).unwrap().unwrap()[0].len(), 2);
    }
}
