//! What must come out, the slow and obvious way.

use crate::aggregation::{Group, Row, Toy};
use std::collections::BTreeMap;

/// Groups by window's start and key, and how many rows were late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub groups: BTreeMap<(i64, u64), Group>,
    pub late: u64,
}

/// Of all rows, in any order.
pub fn expected<'a>(window: i64, rows: impl IntoIterator<Item = &'a Row>) -> Expected {
    let toy = Toy { window, closes_at_end: false };
    let mut expected = Expected::default();
    for row in rows {
        let start = toy.window_start(row.time);
        if start + window - 1 <= row.stamp {
            expected.late += 1;
        } else {
            let group = Group::of(row);
            expected.groups.entry((start, row.key)).and_modify(|known| known.add(&group)).or_insert(group);
        }
    }
    expected
}
