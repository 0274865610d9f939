//! What is emitted for rows that come and are taken back.

use arrow_array::UInt32Array;

use super::groups::Emitted;
use crate::aggregate::{GONE, Places};
use crate::changelog::RowKind;

/// What becomes of some rows.
pub(super) struct Net {
    /// For the rows that are not passed over, numbered without those that are.
    pub(super) emitted: Emitted,
    /// Rows that take back what is not there, ascending.
    pub(super) passed: Vec<u32>,
}

/// What is emitted for rows of these groups, where `is_back` says which are taken back, and `alive` how many rows each group
/// has. Where groups have no values, only their first and their last rows give anything. The places of rows that are passed
/// over are left out.
pub(super) fn net(
    (ids, is_back): (&[u32], impl Fn(usize) -> bool),
    alive: &mut [u64],
    has_values: bool,
    places: &mut Vec<Places>,
) -> Net {
    let mut kinds = Vec::with_capacity(ids.len() * 2);
    let mut of_rows = Vec::with_capacity(ids.len() * 2);
    let mut passed = Vec::new();
    places.clear();
    for (row, &id) in ids.iter().enumerate() {
        let rows = &mut alive[id as usize];
        let (before, of) = (kinds.len() as u32, (row - passed.len()) as u32);
        match (is_back(row), *rows) {
            (true, 0) => {
                passed.push(row as u32);
                continue;
            }
            (false, 0) => {
                kinds.push(RowKind::Insert);
                of_rows.push(of);
                places.push(Places { before, after: before });
            }
            (true, 1) => {
                kinds.push(RowKind::Delete);
                of_rows.push(of);
                places.push(Places { before, after: GONE });
            }
            _ if has_values => {
                kinds.extend([RowKind::UpdateBefore, RowKind::UpdateAfter]);
                of_rows.extend([of, of]);
                places.push(Places { before, after: before + 1 });
            }
            _ => {}
        }
        *rows = if is_back(row) { *rows - 1 } else { *rows + 1 };
    }
    Net { emitted: Emitted { kinds, of_rows: UInt32Array::from(of_rows) }, passed }
}
