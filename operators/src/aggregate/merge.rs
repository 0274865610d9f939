//! Groups into groups: what another table has gathered is added to this one's.

use super::layout::{Layout, Part, PartKind};
use super::moments;
use super::pass::is_passable;
use super::update::{Rows, add_carry, halves, join};
#[cfg(target_arch = "x86_64")]
use super::x86;
#[cfg(target_arch = "x86_64")]
use crate::kernels::Level;

/// Adds the `i`-th row of `from` to group `ids[i]`. Words only: sides are merged one by one.
pub fn merge(layout: &Layout, into: &mut Rows<'_>, from: &[u64], from_stride: usize, ids: &[u32]) {
    // Carries and counts of NULLs are seldom anything but 0: one look at all of them saves a walk for each, and the lines
    // that they are in.
    let is_cold = |row: &[u64]| row[layout.cold.clone()].iter().fold(0, |any, &word| any | word) != 0;
    let has_cold = from.chunks_exact(from_stride).any(is_cold);
    let has_passes = merge_in_passes(layout, into, (from, from_stride), ids, has_cold);
    let is_done = |kind| has_passes && is_passable(kind) || kind == PartKind::Nulls && !has_cold;
    for part in layout.parts.iter().filter(|part| !is_done(part.kind)) {
        merge_rows(part, into, from.chunks_exact(from_stride), ids);
    }
}

fn merge_rows<'a>(part: &Part, into: &mut Rows<'_>, from: impl Iterator<Item = &'a [u64]>, ids: &[u32]) {
    let (stride, words) = (into.stride, &mut *into.words);
    for (&id, from) in ids.iter().zip(from) {
        let at = id as usize * stride;
        merge_part(part, &mut words[at..at + stride], from);
    }
}

/// Merges the parts that passes can, if there are instructions for that.
#[cfg(target_arch = "x86_64")]
fn merge_in_passes(
    layout: &Layout,
    into: &mut Rows<'_>,
    (from, stride): (&[u64], usize),
    ids: &[u32],
    has_cold: bool,
) -> bool {
    let Level::Avx512(avx512) = layout.kernels.level() else { return false };
    for pass in &layout.passes {
        let whole = x86::merge(avx512, pass, into, ids, (from, stride));
        for cold in pass.cold_words().filter(|_| has_cold) {
            for (&id, from) in ids[..whole].iter().zip(from.chunks_exact(stride)) {
                let carries = &mut into.words[id as usize * into.stride + cold];
                *carries = carries.wrapping_add(from[cold]);
            }
        }
        for part in pass.parts() {
            merge_rows(&layout.parts[part], into, from.chunks_exact(stride).skip(whole), &ids[whole..]);
        }
    }
    true
}

/// There are none.
#[cfg(not(target_arch = "x86_64"))]
fn merge_in_passes(_: &Layout, _: &mut Rows<'_>, _: (&[u64], usize), _: &[u32], _: bool) -> bool {
    false
}

#[inline]
fn merge_part(part: &Part, into: &mut [u64], from: &[u64]) {
    let Part { hot, cold, .. } = *part;
    let pair = |words: &[u64]| join([words[hot], words[hot + 1]]);
    match part.kind {
        PartKind::Rows | PartKind::Count => into[hot] += from[hot],
        PartKind::Nulls => into[cold] += from[cold],
        PartKind::SumI64 => {
            let (sum, is_wrapped) = (into[hot] as i64).overflowing_add(from[hot] as i64);
            into[hot] = sum as u64;
            into[cold] = into[cold].wrapping_add(from[cold]);
            if is_wrapped {
                add_carry(&mut into[cold], (from[hot] as i64) < 0);
            }
        }
        PartKind::SumI128 => {
            let (sum, is_wrapped) = pair(into).overflowing_add(pair(from));
            into[hot..hot + 2].copy_from_slice(&halves(sum));
            into[cold] = into[cold].wrapping_add(from[cold]);
            if is_wrapped {
                add_carry(&mut into[cold], pair(from) < 0);
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
        PartKind::Moments => {
            if let (Some(into), Some(from)) = (into[hot..].first_chunk_mut(), from[hot..].first_chunk()) {
                moments::merge(into, from);
            }
        }
    }
}
