//! Groups into groups: what another table has gathered is added to this one's.

use super::ColdWords;
use super::layout::{Layout, Part, PartKind};
use super::moments;
use super::pass::is_passable;
use super::update::{Rows, add_carry, halves, join};
#[cfg(target_arch = "x86_64")]
use super::x86;
#[cfg(target_arch = "x86_64")]
use crate::kernels::Level;
use crate::table::Fresh;

/// What groups have in words, to be added to others: the words of group `i` start at `i × stride`.
#[derive(Clone, Copy, Debug)]
pub struct GroupWords<'a> {
    /// All rows.
    pub rows: &'a [u64],
    /// Words from one row to the next.
    pub stride: usize,
    /// What is kept beside the rows.
    pub cold: &'a ColdWords,
}

/// Adds the `i`-th group of `from` to group `ids[i]`, except for the rows of groups that are `fresh`: these were begun with
/// them. Words only: sides are merged one by one.
pub fn merge(layout: &Layout, into: &mut Rows<'_>, from: GroupWords<'_>, ids: &[u32], fresh: &Fresh) {
    into.cold.add_all(from.cold, ids);
    let has_passes = merge_in_passes(layout, into, from, ids, fresh);
    let is_done = |kind| has_passes && is_passable(kind) || kind == PartKind::Nulls;
    for part in layout.parts.iter().filter(|part| !is_done(part.kind)) {
        merge_rows(part, into, from, ids, fresh.known(0..ids.len()));
    }
}

fn merge_rows(part: &Part, into: &mut Rows<'_>, from: GroupWords<'_>, ids: &[u32], known: impl Iterator<Item = usize>) {
    for row in known {
        merge_part(part, into, ids[row] as usize, &from.rows[row * from.stride..][..from.stride]);
    }
}

/// Merges the parts that passes can, if there are instructions for that.
#[cfg(target_arch = "x86_64")]
fn merge_in_passes(layout: &Layout, into: &mut Rows<'_>, from: GroupWords<'_>, ids: &[u32], fresh: &Fresh) -> bool {
    let Level::Avx512(avx512) = layout.kernels.level() else { return false };
    for pass in &layout.passes {
        let whole = x86::merge(avx512, pass, into, (ids, fresh), (from.rows, from.stride));
        for part in pass.parts() {
            merge_rows(&layout.parts[part], into, from, ids, fresh.known(whole..ids.len()));
        }
    }
    true
}

/// There are none.
#[cfg(not(target_arch = "x86_64"))]
fn merge_in_passes(_: &Layout, _: &mut Rows<'_>, _: GroupWords<'_>, _: &[u32], _: &Fresh) -> bool {
    false
}

#[inline]
fn merge_part(part: &Part, rows: &mut Rows<'_>, group: usize, from: &[u64]) {
    let Part { hot, cold, .. } = *part;
    let into = &mut rows.words[group * rows.stride..][..rows.stride];
    let pair = |words: &[u64]| join([words[hot], words[hot + 1]]);
    match part.kind {
        PartKind::Rows | PartKind::Count => into[hot] += from[hot],
        PartKind::Nulls => {}
        PartKind::SumI64 => {
            let (sum, is_wrapped) = (into[hot] as i64).overflowing_add(from[hot] as i64);
            into[hot] = sum as u64;
            if is_wrapped {
                add_carry(rows.cold.word(group, cold), (from[hot] as i64) < 0);
            }
        }
        PartKind::SumI128 => {
            let (sum, is_wrapped) = pair(into).overflowing_add(pair(from));
            into[hot..hot + 2].copy_from_slice(&halves(sum));
            if is_wrapped {
                add_carry(rows.cold.word(group, cold), pair(from) < 0);
            }
        }
        PartKind::SumF64 => into[hot] = (f64::from_bits(into[hot]) + f64::from_bits(from[hot])).to_bits(),
        PartKind::MinI64 => into[hot] = (into[hot] as i64).min(from[hot] as i64) as u64,
        PartKind::MaxI64 => into[hot] = (into[hot] as i64).max(from[hot] as i64) as u64,
        PartKind::MinI128 => {
            let least = pair(into).min(pair(from));
            into[hot..hot + 2].copy_from_slice(&halves(least));
        }
        PartKind::MaxI128 => {
            let greatest = pair(into).max(pair(from));
            into[hot..hot + 2].copy_from_slice(&halves(greatest));
        }
        // Groups that rows are taken back from do not travel.
        PartKind::NetF64 | PartKind::NetMoments => {}
        PartKind::Moments => {
            if let (Some(into), Some(from)) = (into[hot..].first_chunk_mut(), from[hot..].first_chunk()) {
                moments::merge(into, from);
            }
        }
    }
}
