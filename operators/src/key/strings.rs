//! Keys of strings alone, which are most: cells of all columns and the hash of a row in one go.
//!
//! The hash stays in a register from column to column, and with BMI2 its multiplications overlap. A column at a time takes
//! twice as long, as does looking for long strings beforehand: keys are packed as if all strings were short, until one is
//! found that is not.

use super::cell::{CELL_WORDS, INLINE_BYTES_MAX};
use super::hash;
use super::long::Views;

/// Which strings are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lengths {
    /// Those that their cells hold whole. If there are others, what is written is of no use.
    Short,
    /// All.
    Any,
}

/// Packs and hashes a key of `columns` alone, none of them NULL. Returns whether a string is longer than a cell holds.
///
/// # Panics
/// If there are not as many cells and hashes as views.
#[inline(always)]
fn pack<const COLUMNS: usize>(
    lengths: Lengths,
    columns: [Views<'_>; COLUMNS],
    cells: &mut [u64],
    hashes: &mut [u64],
) -> bool {
    let rows = hashes.len();
    let views = columns.map(|column| &column.views[..rows]);
    let cells = &mut cells[..rows * COLUMNS * CELL_WORDS];
    let mut longest = 0;
    // By number: an iterator over all of them goes by way of memory.
    for row in 0..rows {
        let key = &mut cells[row * COLUMNS * CELL_WORDS..][..COLUMNS * CELL_WORDS];
        let mut hash = hash::SEED;
        for column in 0..COLUMNS {
            let view = views[column][row];
            longest = longest.max(view as u32);
            let words = match lengths {
                Lengths::Short => [view as u64, (view >> 64) as u64],
                Lengths::Any => columns[column].cell(view),
            };
            key[column * CELL_WORDS..][..CELL_WORDS].copy_from_slice(&words);
            hash = hash::add_cell(hash, words);
        }
        hashes[row] = hash;
    }
    longest as usize > INLINE_BYTES_MAX
}

/// [`pack`] with the instructions of `level`; `None`: there are none for so many columns.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // The multiplication of BMI2 needs no fixed registers.
pub(super) fn pack_strings(
    level: crate::kernels::Level,
    lengths: Lengths,
    columns: &[Views<'_>],
    cells: &mut [u64],
    hashes: &mut [u64],
) -> Option<bool> {
    use crate::kernels::Level;
    let (Level::Avx2(_) | Level::Avx512(_)) = level else { return None };
    match (lengths, columns) {
        // SAFETY: the level says that the processor has the instructions.
        (Lengths::Short, &[a]) => Some(unsafe { pack_short::<1>([a], cells, hashes) }),
        // SAFETY: as above.
        (Lengths::Short, &[a, b]) => Some(unsafe { pack_short::<2>([a, b], cells, hashes) }),
        // SAFETY: as above.
        (Lengths::Short, &[a, b, c]) => Some(unsafe { pack_short::<3>([a, b, c], cells, hashes) }),
        // SAFETY: as above.
        (Lengths::Any, &[a]) => Some(unsafe { pack_any::<1>([a], cells, hashes) }),
        // SAFETY: as above.
        (Lengths::Any, &[a, b]) => Some(unsafe { pack_any::<2>([a, b], cells, hashes) }),
        // SAFETY: as above.
        (Lengths::Any, &[a, b, c]) => Some(unsafe { pack_any::<3>([a, b, c], cells, hashes) }),
        _ => None,
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn pack_short<const COLUMNS: usize>(columns: [Views<'_>; COLUMNS], cells: &mut [u64], hashes: &mut [u64]) -> bool {
    pack(Lengths::Short, columns, cells, hashes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn pack_any<const COLUMNS: usize>(columns: [Views<'_>; COLUMNS], cells: &mut [u64], hashes: &mut [u64]) -> bool {
    pack(Lengths::Any, columns, cells, hashes)
}

/// There are none.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn pack_strings(
    _: crate::kernels::Level,
    _: Lengths,
    _: &[Views<'_>],
    _: &mut [u64],
    _: &mut [u64],
) -> Option<bool> {
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
            3 => columns("[a-zé]{0,40}".prop_map(Some).boxed()),
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
