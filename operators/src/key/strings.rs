//! Keys of short strings alone, which are most: cells of all columns and the hash of a row in one go.
//!
//! The hash stays in a register from column to column, and with BMI2 its multiplications overlap. A column at a time takes
//! twice as long, as does looking for long strings beforehand.

use super::cell::{CELL_WORDS, INLINE_BYTES_MAX};
use super::hash;

/// Packs and hashes a key of `views` alone, none of them NULL. Returns whether it could: not if one is longer than a cell
/// holds; what was written is then of no use.
///
/// # Panics
/// If there are not as many cells and hashes as views.
#[inline(always)]
fn pack<const COLUMNS: usize>(views: [&[u128]; COLUMNS], cells: &mut [u64], hashes: &mut [u64]) -> bool {
    let rows = hashes.len();
    let views = views.map(|views| &views[..rows]);
    let cells = &mut cells[..rows * COLUMNS * CELL_WORDS];
    let mut longest = 0;
    for (row, (key, row_hash)) in cells.chunks_exact_mut(COLUMNS * CELL_WORDS).zip(hashes).enumerate() {
        let mut hash = hash::SEED;
        for (column, cell) in key.chunks_exact_mut(CELL_WORDS).enumerate() {
            let view = views[column][row];
            longest = longest.max(view as u32);
            let words = [view as u64, (view >> 64) as u64];
            cell.copy_from_slice(&words);
            hash = hash::add_cell(hash, words);
        }
        *row_hash = hash;
    }
    longest as usize <= INLINE_BYTES_MAX
}

/// [`pack`] with the instructions of `level`; `None`: there are none for so many columns.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // The multiplication of BMI2 needs no fixed registers.
pub(super) fn pack_strings(
    level: crate::kernels::Level,
    views: &[&[u128]],
    cells: &mut [u64],
    hashes: &mut [u64],
) -> Option<bool> {
    use crate::kernels::Level;
    let (Level::Avx2(_) | Level::Avx512(_)) = level else { return None };
    match *views {
        // SAFETY: the level says that the processor has the instructions.
        [a] => Some(unsafe { pack_bmi2::<1>([a], cells, hashes) }),
        // SAFETY: as above.
        [a, b] => Some(unsafe { pack_bmi2::<2>([a, b], cells, hashes) }),
        // SAFETY: as above.
        [a, b, c] => Some(unsafe { pack_bmi2::<3>([a, b, c], cells, hashes) }),
        _ => None,
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn pack_bmi2<const COLUMNS: usize>(views: [&[u128]; COLUMNS], cells: &mut [u64], hashes: &mut [u64]) -> bool {
    pack(views, cells, hashes)
}

/// There are none.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn pack_strings(_: crate::kernels::Level, _: &[&[u128]], _: &mut [u64], _: &mut [u64]) -> Option<bool> {
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, BinaryViewArray, Int64Array, StringViewArray};
    use proptest::prelude::*;

    use crate::kernels::Kernels;
    use crate::key::PackedKeys;

    #[derive(Clone, Debug)]
    enum Column {
        Texts(Vec<Option<String>>),
        Bytes(Vec<Option<String>>),
        Numbers,
    }

    fn any_column(rows: usize) -> impl Strategy<Value = Column> {
        let columns = |text: BoxedStrategy<Option<String>>| {
            prop_oneof![
                3 => proptest::collection::vec(text.clone(), rows).prop_map(Column::Texts),
                1 => proptest::collection::vec(text, rows).prop_map(Column::Bytes),
            ]
        };
        prop_oneof![
            6 => columns("[a-zé]{0,6}".prop_map(Some).boxed()),
            1 => columns("[a-z]{0,14}".prop_map(Some).boxed()),
            1 => columns(proptest::option::of("[a-z]{0,12}").boxed()),
            1 => Just(Column::Numbers),
        ]
    }

    fn any_columns() -> impl Strategy<Value = (usize, Vec<Column>)> {
        (0..70_usize).prop_flat_map(|rows| (Just(rows), proptest::collection::vec(any_column(rows), 0..5)))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn cells_and_hashes_do_not_depend_on_the_kernels((rows, columns) in any_columns()) {
            let array = |column: &Column| -> ArrayRef {
                match column {
                    Column::Texts(texts) => Arc::new(texts.iter().map(Option::as_deref).collect::<StringViewArray>()),
                    Column::Bytes(texts) => {
                        let bytes = texts.iter().map(|text| text.as_deref().map(str::as_bytes));
                        Arc::new(bytes.collect::<BinaryViewArray>())
                    }
                    Column::Numbers => Arc::new(Int64Array::from_iter_values(0..rows as i64)),
                }
            };
            let arrays: Vec<ArrayRef> = columns.iter().map(array).collect();
            let arrays: Vec<&ArrayRef> = arrays.iter().collect();
            let mut packed = Kernels::ALL.map(|_| PackedKeys::default());
            for (kernels, packed) in Kernels::ALL.into_iter().zip(&mut packed) {
                // What was packed before leaves nothing behind.
                packed.cells = vec![7; 100];
                packed.hashes = vec![7; 50];
                packed.has_long = true;
                packed.pack(&arrays, rows, kernels).unwrap();
            }
            prop_assert_eq!(&packed[0].cells, &packed[1].cells);
            prop_assert_eq!(&packed[0].hashes, &packed[1].hashes);
            prop_assert_eq!(packed[0].has_long, packed[1].has_long);
            prop_assert_eq!(packed[0].hashes.len(), rows);
        }
    }
}
