//! Rows on their way to the owners of their keys, without a look for the groups that they are in.
//!
//! Where nearly every row is a group of its own, a private table finds nothing to add up: each row would be looked for,
//! entered, taken out again and looked for once more at its owner. So a row is made a group by itself: its key's cells and
//! what the accumulators are after this one row. The owner's merge adds up those of the same key, as it does anyway.

use std::hint::select_unpredictable;

use thalweg_runtime::exchange::key_group::owner;
use thalweg_runtime::state::Divided;

use super::{FoldScratch, GroupAggregation, Partials};
use crate::aggregate::{AggregateError, Rows, Side, update};
use crate::batch::Batch;
use crate::key::{ColumnBytes, KeyShape, LongKeys, PackedKeys, is_long, plain};
use crate::table::HALF_LINE_WORDS;
use crate::window::TimeWindow;

impl GroupAggregation {
    /// Each row of a batch as a group by itself, except those that are late by their stamps: window by window, divided by
    /// the owners of their keys among `parts`.
    ///
    /// # Errors
    /// If a column is not what was planned.
    pub(super) fn divide_batch(
        &self,
        batch: &Batch,
        parts: usize,
        scratch: &mut FoldScratch,
    ) -> Result<Divided<Self>, AggregateError> {
        let mut all = Vec::with_capacity(parts);
        let folded = self.each_pane(batch, |window, batch| {
            let divided = self.divide_window(window, batch, parts, scratch)?;
            all.extend(divided.into_iter().enumerate().filter(|(_, part)| part.rows() > 0));
            Ok(())
        })?;
        Ok((folded, all))
    }

    fn divide_window(
        &self,
        window: TimeWindow,
        batch: &Batch,
        parts: usize,
        scratch: &mut FoldScratch,
    ) -> Result<Vec<Partials>, AggregateError> {
        let Self { layout, spec, spares, .. } = self;
        // Those of one owner get places side by side.
        let FoldScratch { packed, ids: places, rows, hashes: sorted, cold, update: update_scratch, .. } = scratch;
        cold.resize(layout.cold_words);
        cold.clear();
        let key_columns = spec.keys.iter().map(|key| plain(batch.columns.column(key.column)));
        let key_columns = key_columns.collect::<Result<Vec<_>, _>>()?;
        let key_columns: Vec<_> = key_columns.iter().collect();
        packed.pack(&key_columns, batch.rows(), layout.kernels)?;
        let counts = place(&packed.hashes, parts, places);
        let stride = layout.stride();
        rows.resize(batch.rows() * stride, 0);
        let mut empty = vec![0; layout.shape.words()];
        empty.extend_from_slice(&layout.accumulators);
        empty.resize(stride, 0);
        match layout.shape.words() {
            2 => put_keys::<2>(rows, &empty, &packed.cells, places),
            4 => put_keys::<4>(rows, &empty, &packed.cells, places),
            6 => put_keys::<6>(rows, &empty, &packed.cells, places),
            words => put_any_keys(rows, &empty, (&packed.cells, words), places),
        }
        let mut sides: Vec<Side> = layout.sides.iter().map(|_| Side::new()).collect();
        sides.iter_mut().for_each(|side| side.grow(batch.rows()));
        let words = Rows { words: rows, stride, cold };
        update(layout, words, &mut sides, (&batch.columns, &batch.ordinals), places, update_scratch)?;
        let mut first = 0;
        let mut partials: Vec<Partials> = Vec::with_capacity(parts);
        for &count in &counts {
            let mut buffer = spares.buffer(count, stride);
            buffer.rows.extend_from_slice(&rows[first * stride..(first + count) * stride]);
            let mut part = Partials::new(layout, window, buffer);
            if !cold.is_empty() {
                (0..count).for_each(|row| part.cold.add(row, cold.of(first + row)));
            }
            partials.push(part);
            first += count;
        }
        hand_out_hashes(&packed.hashes, places, sorted, &mut partials);
        if packed.has_long {
            hand_out_long(packed, (&layout.shape, ColumnBytes::new(&key_columns)), &mut partials);
        }
        for (index, side) in sides.iter_mut().enumerate() {
            let mut entries = side.drain();
            for (part, &count) in partials.iter_mut().zip(&counts) {
                entries.by_ref().take(count).for_each(|entry| part.sides[index].push(entry));
            }
        }
        Ok(partials)
    }
}

/// Writes the place of each row; returns how many rows each owner has.
fn place(hashes: &[u64], parts: usize, places: &mut Vec<u32>) -> Vec<usize> {
    places.clear();
    if parts == 1 {
        places.extend(0..hashes.len() as u32);
        return vec![hashes.len()];
    }
    if parts == 2 {
        return place_of_two(hashes, places);
    }
    let mut counts = vec![0; parts];
    hashes.iter().for_each(|&hash| counts[usize::from(owner(hash, parts).0)] += 1);
    let mut next: Vec<u32> = Vec::with_capacity(parts);
    let mut first = 0;
    for &count in &counts {
        next.push(first);
        first += count as u32;
    }
    places.extend(hashes.iter().map(|&hash| {
        let next = &mut next[usize::from(owner(hash, parts).0)];
        *next += 1;
        *next - 1
    }));
    counts
}

/// [`place`] for two owners: one counter in a register, where two in memory would make each row wait for the one before.
fn place_of_two(hashes: &[u64], places: &mut Vec<u32>) -> Vec<usize> {
    let is_first = |hash: u64| owner(hash, 2).0 == 0;
    let count = hashes.iter().map(|&hash| usize::from(is_first(hash))).sum::<usize>();
    let mut next = 0;
    places.extend(hashes.iter().zip(count as u32..).map(|(&hash, last)| {
        let place = select_unpredictable(is_first(hash), next, last - next);
        next += u32::from(is_first(hash));
        place
    }));
    vec![count, hashes.len() - count]
}

/// Writes empty groups with the keys of rows to their places. `WORDS`: of a key.
fn put_keys<const WORDS: usize>(rows: &mut [u64], empty: &[u64], cells: &[u64], places: &[u32]) {
    let halves = empty.as_chunks::<HALF_LINE_WORDS>().0;
    for (key, &place) in cells.as_chunks::<WORDS>().0.iter().zip(places) {
        let row = &mut rows[place as usize * empty.len()..][..empty.len()];
        // A copy of any length is a call.
        row.as_chunks_mut().0.iter_mut().zip(halves).for_each(|(row, half)| *row = *half);
        row[..WORDS].copy_from_slice(key);
    }
}

fn put_any_keys(rows: &mut [u64], empty: &[u64], (cells, words): (&[u64], usize), places: &[u32]) {
    for (index, &place) in places.iter().enumerate() {
        let row = &mut rows[place as usize * empty.len()..][..empty.len()];
        row.copy_from_slice(empty);
        row[..words].copy_from_slice(&cells[index * words..][..words]);
    }
}

/// Gives each part the hashes of its rows, which come in the order of `packed`.
fn hand_out_hashes(hashes: &[u64], places: &[u32], sorted: &mut Vec<u64>, partials: &mut [Partials]) {
    sorted.resize(hashes.len(), 0);
    hashes.iter().zip(places).for_each(|(&hash, &place)| sorted[place as usize] = hash);
    let mut rest = sorted.as_slice();
    for part in partials {
        let (of_part, others) = rest.split_at(part.rows.len() / part.stride);
        part.hashes.extend_from_slice(of_part);
        rest = others;
    }
}

/// Gives each part the long strings of its rows, which come in the order of `packed`.
fn hand_out_long(packed: &PackedKeys, (shape, columns): (&KeyShape, ColumnBytes<'_>), partials: &mut [Partials]) {
    let parts = partials.len();
    let keys = packed.cells.chunks_exact(shape.words());
    for (row, (&hash, key)) in packed.hashes.iter().zip(keys).enumerate() {
        let part = &mut partials[usize::from(owner(hash, parts).0)];
        part.long_starts.push(part.long.len());
        for (column, _) in shape.byte_cells(key).filter(|&(_, cell)| is_long(cell)) {
            part.long.extend_from_slice(columns.bytes(row, column));
        }
    }
}
