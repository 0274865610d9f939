//! The group table's probe for many keys at once.
//!
//! Two steps, without a branch that depends on the data: the first reads all slots near a key's home in one vector and names
//! the group with its tag, the second compares the whole keys. What the first says is a hint: only the second decides, so
//! keys whose group is elsewhere, or nowhere yet, are left to the scalar probe in their order.
#![allow(unsafe_code)] // Intrinsics: the branches of the scalar probe are mispredicted for every fourth key.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _MM_HINT_ET0, _MM_HINT_T0, _mm_cmpeq_epi8, _mm_cmpneq_epi64_mask, _mm_loadu_si128,
    _mm_movemask_epi8, _mm_prefetch, _mm256_castsi256_pd, _mm256_castsi256_ps, _mm256_cmpeq_epi8, _mm256_cmpeq_epi32,
    _mm256_cmpeq_epi64, _mm256_cmpneq_epi64_mask, _mm256_load_si256, _mm256_loadu_si256, _mm256_movemask_epi8,
    _mm256_movemask_pd, _mm256_movemask_ps, _mm256_set1_epi32, _mm256_setzero_si256, _mm512_load_si512,
    _mm512_mask_cmpeq_epi32_mask, _mm512_set1_epi32, _mm512_testn_epi64_mask,
};
use std::hint::select_unpredictable;

use super::slots::{LINE_SLOTS, Line, Slots};
use super::{GroupTable, Keys};
use crate::kernels::{Avx2, Avx512};
use crate::key::{CELL_WORDS, INLINE_BYTES_MAX, LongKeys, WINDOW};

/// Keys that are compared in one call: a bit for each in the answer.
pub(super) const BLOCK: usize = 64;

/// Rows of a table, and keys to compare with them.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) rows: &'a [u64],
    pub(super) row_stride: usize,
    pub(super) keys: &'a [u64],
    pub(super) key_stride: usize,
    pub(super) words: usize,
}

/// A table, and the long strings of keys from `first` on.
pub(super) struct LongSides<'a, L> {
    pub(super) table: &'a GroupTable,
    pub(super) keys: &'a Keys<'a, L>,
    pub(super) long: &'a L,
    pub(super) first: usize,
}

/// Where the keys of a block that are not there yet would be entered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hints {
    /// The first empty slot of each key's line, from its home on; [`NOT_VACANT`] if there is none, or if some slot of the
    /// line has its tag.
    vacant: [u8; BLOCK],
    /// How many slots there were.
    count: usize,
}

const NOT_VACANT: u8 = LINE_SLOTS as u8;

impl Default for Hints {
    fn default() -> Self {
        Self { vacant: [NOT_VACANT; BLOCK], count: 0 }
    }
}

impl Hints {
    /// Where key `key` of the block, which has this hash, is to be entered. `None`: nothing is known of that any more.
    ///
    /// When the hint was made, a search would have ended at this slot. If it is still empty, no key of this hash has come
    /// since: it would be there, for slots before it were taken then and are so for ever.
    #[inline(always)]
    pub(super) fn vacant(&self, slots: &Slots, key: usize, hash: u64) -> Option<usize> {
        let lane = usize::from(self.vacant[key]);
        let slot = slots.home(hash) & !(LINE_SLOTS - 1) | lane & (LINE_SLOTS - 1);
        (lane < LINE_SLOTS && self.count == slots.count() && slots.is_vacant(slot)).then_some(slot)
    }
}

/// The two steps, with the instructions of one kind.
pub(super) trait Probe: Copy {
    /// Writes for each hash the number of a group below `groups` (at least 1): the one whose tag it has if there is such a
    /// one near its home, otherwise the last. Far rows are asked for. `NEW`: keys are likely not to be there, so hints are
    /// worth having.
    ///
    /// # Panics
    /// If there are more than [`BLOCK`] hashes.
    fn candidates<const NEW: bool>(
        self,
        slots: &Slots,
        groups: usize,
        hashes: &[u64],
        ids: &mut [u32],
        rows: Option<(&[u64], usize)>,
    ) -> Hints;

    /// Bit *i* says whether key *i* differs from that of group `ids[i]`. `WORDS` is the length of a key, 0 if any.
    ///
    /// # Panics
    /// If there are more than [`BLOCK`] ids, or if keys or rows are missing.
    fn differing<const WORDS: usize>(self, sides: Sides<'_>, ids: &[u32]) -> u64;

    /// Bit *i*, if it is in `of`, says whether key *i*, whose cells are those of group `ids[i]`, has other bytes behind them.
    fn differing_long<L: LongKeys>(self, sides: &LongSides<'_, L>, ids: &[u32], of: u64) -> u64;
}

impl Probe for Avx512 {
    #[inline]
    fn candidates<const NEW: bool>(
        self,
        slots: &Slots,
        groups: usize,
        hashes: &[u64],
        ids: &mut [u32],
        rows: Option<(&[u64], usize)>,
    ) -> Hints {
        // SAFETY: there is an `Avx512` only where the processor has the instructions.
        unsafe { candidates_avx512::<NEW>(slots, groups, hashes, ids, rows) }
    }

    #[inline]
    fn differing<const WORDS: usize>(self, sides: Sides<'_>, ids: &[u32]) -> u64 {
        // SAFETY: there is an `Avx512` only where the processor has the instructions.
        unsafe { differing_avx512::<WORDS>(sides, ids) }
    }

    #[inline]
    fn differing_long<L: LongKeys>(self, sides: &LongSides<'_, L>, ids: &[u32], of: u64) -> u64 {
        // SAFETY: there is an `Avx512` only where the processor has the instructions.
        unsafe { differing_long(sides, ids, of) }
    }
}

impl Probe for Avx2 {
    #[inline]
    fn candidates<const NEW: bool>(
        self,
        slots: &Slots,
        groups: usize,
        hashes: &[u64],
        ids: &mut [u32],
        rows: Option<(&[u64], usize)>,
    ) -> Hints {
        // SAFETY: there is an `Avx2` only where the processor has the instructions.
        unsafe { candidates_avx2::<NEW>(slots, groups, hashes, ids, rows) }
    }

    #[inline]
    fn differing<const WORDS: usize>(self, sides: Sides<'_>, ids: &[u32]) -> u64 {
        // SAFETY: there is an `Avx2` only where the processor has the instructions.
        unsafe { differing_avx2::<WORDS>(sides, ids) }
    }

    #[inline]
    fn differing_long<L: LongKeys>(self, sides: &LongSides<'_, L>, ids: &[u32], of: u64) -> u64 {
        // SAFETY: there is an `Avx2` only where the processor has the instructions.
        unsafe { differing_long(sides, ids, of) }
    }
}

/// Asks for the memory that begins with this word, or would if there were as much, to be written to.
#[inline(always)]
pub(super) fn prefetch_write(words: &[u64], at: usize) {
    // SAFETY: a prefetch changes nothing that can be observed, whatever the address; every x86-64 has it.
    unsafe { _mm_prefetch::<_MM_HINT_ET0>(words.as_ptr().wrapping_add(at).cast()) };
}

/// Asks for the slots of these hashes.
pub(super) fn prefetch_slots(slots: &Slots, hashes: &[u64]) {
    let (lines, mask) = slots.parts();
    for &hash in hashes {
        let home = lines.as_ptr().wrapping_add((hash as usize & mask) / LINE_SLOTS);
        // SAFETY: a prefetch changes nothing that can be observed, whatever the address; every x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(home.cast()) };
    }
}

/// What was seen of the line of a key, a bit for each of its slots.
#[derive(Clone, Copy)]
struct Seen {
    /// Which have its tag. Bits are those of 32-bit halves, tags the odd ones.
    tagged: u32,
    empty: u32,
}

impl Seen {
    /// The group with the tag, without a branch. A new key is compared with the group that was made last, whose row is
    /// near, and not with a far one that would have to be fetched to no purpose.
    #[inline(always)]
    fn group(self, line: &Line, last: u32) -> u32 {
        let lane = (self.tagged | 0x8000).trailing_zeros() as usize / 2;
        let group = (line.0[lane & (LINE_SLOTS - 1)] as u32).wrapping_sub(1);
        // A plain `min` became a branch on whether a slot is empty.
        select_unpredictable((self.tagged != 0) & (group < last), group, last)
    }

    /// The first empty slot from `home` on, round to it.
    #[inline(always)]
    fn vacant(self, home: usize) -> u8 {
        let from_home = (self.empty | self.empty << LINE_SLOTS) >> (home & (LINE_SLOTS - 1));
        let lane = (from_home.trailing_zeros() as usize + home) & (LINE_SLOTS - 1);
        select_unpredictable(self.tagged == 0 && self.empty != 0, lane as u8, NOT_VACANT)
    }
}

#[inline(always)]
fn prefetch_row((rows, stride): (&[u64], usize), group: u32) {
    let row = rows.as_ptr().wrapping_add(group as usize * stride);
    // SAFETY: a prefetch changes nothing that can be observed, whatever the address; every x86-64 has it.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(row.cast()) };
}

/// [`Probe::candidates`], with what `see` finds out about the line of a hash.
#[inline(always)]
fn candidates<const NEW: bool>(
    slots: &Slots,
    groups: usize,
    (hashes, ids): (&[u64], &mut [u32]),
    rows: Option<(&[u64], usize)>,
    see: impl Fn(&Line, u64) -> Seen,
) -> Hints {
    let (lines, mask) = slots.parts();
    assert!(lines.len() == (mask + 1) / LINE_SLOTS && groups > 0 && hashes.len() <= BLOCK);
    let last = (groups - 1) as u32;
    let mut hints = Hints { vacant: [NOT_VACANT; BLOCK], count: slots.count() };
    for ((&hash, id), vacant) in hashes.iter().zip(ids).zip(&mut hints.vacant) {
        let home = hash as usize & mask;
        // SAFETY: `home` is at most `mask`, and there are all lines of `mask + 1` slots, as asserted.
        let line = unsafe { lines.get_unchecked(home / LINE_SLOTS) };
        let seen = see(line, hash);
        *id = seen.group(line, last);
        if NEW {
            *vacant = seen.vacant(home);
        }
        if let Some(rows) = rows {
            prefetch_row(rows, *id);
        }
    }
    hints
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn candidates_avx512<const NEW: bool>(
    slots: &Slots,
    groups: usize,
    hashes: &[u64],
    ids: &mut [u32],
    rows: Option<(&[u64], usize)>,
) -> Hints {
    candidates::<NEW>(slots, groups, (hashes, ids), rows, |line, hash| {
        // SAFETY: a line is 64 bytes, at a multiple of 64.
        let near = unsafe { _mm512_load_si512(line.0.as_ptr().cast::<__m512i>()) };
        let tagged = _mm512_mask_cmpeq_epi32_mask(0xAAAA, near, _mm512_set1_epi32(hash as i32));
        Seen { tagged: u32::from(tagged), empty: u32::from(_mm512_testn_epi64_mask(near, near)) }
    })
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn candidates_avx2<const NEW: bool>(
    slots: &Slots,
    groups: usize,
    hashes: &[u64],
    ids: &mut [u32],
    rows: Option<(&[u64], usize)>,
) -> Hints {
    candidates::<NEW>(slots, groups, (hashes, ids), rows, |line, hash| {
        let mut seen = Seen { tagged: 0, empty: 0 };
        for (half, slots) in line.0.as_chunks::<4>().0.iter().enumerate() {
            // SAFETY: half a line is 32 bytes, at a multiple of 32.
            let near = unsafe { _mm256_load_si256(slots.as_ptr().cast::<__m256i>()) };
            let equal = _mm256_cmpeq_epi32(near, _mm256_set1_epi32(hash as i32));
            let empty = _mm256_cmpeq_epi64(near, _mm256_setzero_si256());
            seen.tagged |= (_mm256_movemask_ps(_mm256_castsi256_ps(equal)) as u32 & 0xAA) << (8 * half);
            seen.empty |= (_mm256_movemask_pd(_mm256_castsi256_pd(empty)) as u32) << (4 * half);
        }
        seen
    })
}

/// All keys and rows of `ids` are there.
#[inline]
fn check(sides: &Sides<'_>, ids: &[u32]) {
    let Sides { rows, row_stride, keys, key_stride, words } = *sides;
    let last = ids.iter().fold(0, |last, &id| id.max(last));
    if ids.is_empty() {
        return;
    }
    assert!(ids.len() <= BLOCK, "{} keys at once", ids.len());
    assert!((ids.len() - 1) * key_stride + words <= keys.len(), "keys are missing");
    assert!(last as usize * row_stride + words <= rows.len(), "rows are missing");
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn differing_avx512<const WORDS: usize>(mut sides: Sides<'_>, ids: &[u32]) -> u64 {
    if WORDS != 0 {
        sides.words = WORDS;
    }
    check(&sides, ids);
    let Sides { rows, row_stride, keys, key_stride, words } = sides;
    let mut differing = 0;
    for (index, &id) in ids.iter().enumerate() {
        let key = keys.as_ptr().wrapping_add(index * key_stride);
        let row = rows.as_ptr().wrapping_add(id as usize * row_stride);
        let mut lanes = 0;
        let mut word = 0;
        while word + 4 <= words {
            // SAFETY: the words of the key are there, as checked.
            let a = unsafe { _mm256_loadu_si256(key.wrapping_add(word).cast::<__m256i>()) };
            // SAFETY: and so are those of the row.
            let b = unsafe { _mm256_loadu_si256(row.wrapping_add(word).cast::<__m256i>()) };
            lanes |= _mm256_cmpneq_epi64_mask(a, b);
            word += 4;
        }
        // Cells are two words each.
        if word < words {
            // SAFETY: as above.
            let a = unsafe { _mm_loadu_si128(key.wrapping_add(word).cast::<__m128i>()) };
            // SAFETY: as above.
            let b = unsafe { _mm_loadu_si128(row.wrapping_add(word).cast::<__m128i>()) };
            lanes |= _mm_cmpneq_epi64_mask(a, b);
        }
        differing |= u64::from(lanes != 0) << index;
    }
    differing
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn differing_avx2<const WORDS: usize>(mut sides: Sides<'_>, ids: &[u32]) -> u64 {
    if WORDS != 0 {
        sides.words = WORDS;
    }
    check(&sides, ids);
    let Sides { rows, row_stride, keys, key_stride, words } = sides;
    let mut differing = 0;
    for (index, &id) in ids.iter().enumerate() {
        let key = keys.as_ptr().wrapping_add(index * key_stride);
        let row = rows.as_ptr().wrapping_add(id as usize * row_stride);
        let mut is_different = false;
        let mut word = 0;
        while word + 4 <= words {
            // SAFETY: the words of the key are there, as checked.
            let a = unsafe { _mm256_loadu_si256(key.wrapping_add(word).cast::<__m256i>()) };
            // SAFETY: and so are those of the row.
            let b = unsafe { _mm256_loadu_si256(row.wrapping_add(word).cast::<__m256i>()) };
            is_different |= _mm256_movemask_epi8(_mm256_cmpeq_epi64(a, b)) != -1;
            word += 4;
        }
        // Cells are two words each.
        if word < words {
            // SAFETY: as above.
            let a = unsafe { _mm_loadu_si128(key.wrapping_add(word).cast::<__m128i>()) };
            // SAFETY: as above.
            let b = unsafe { _mm_loadu_si128(row.wrapping_add(word).cast::<__m128i>()) };
            is_different |= _mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) != 0xFFFF;
        }
        differing |= u64::from(is_different) << index;
    }
    differing
}

/// Strings up to [`WINDOW`] are compared without a branch on their lengths; longer ones, and the few behind which memory
/// ends, one after the other.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn differing_long<L: LongKeys>(sides: &LongSides<'_, L>, ids: &[u32], of: u64) -> u64 {
    let LongSides { table, keys, long, first } = *sides;
    let mut starts = [0; BLOCK];
    for (start, &id) in starts.iter_mut().zip(ids) {
        // Groups without long strings may have no entry.
        *start = table.long_starts.get(id as usize).copied().unwrap_or_default();
    }
    let mut windows = [None; BLOCK];
    let windows = &mut windows[..ids.len()];
    let (mut differing, mut others) = (0, 0);
    for &column in table.shape.byte_columns() {
        long.windows(first, column, windows);
        let cells = &keys.cells[first * keys.stride + column * CELL_WORDS..];
        for (index, (window, start)) in windows.iter().zip(&mut starts).enumerate() {
            let length = cells[index * keys.stride] as u32 as usize;
            let length = select_unpredictable(length > INLINE_BYTES_MAX, length, 0);
            let stored = table.arena.get(*start..).and_then(|bytes| bytes.first_chunk());
            if let (Some(a), Some(b), 0..=WINDOW) = (stored, window, length) {
                let unequal = differing_bytes(a, b) & ((1_u64 << length) - 1) as u32;
                differing |= u64::from(unequal != 0) << index;
            } else {
                others |= u64::from(length > 0) << index;
            }
            *start += length;
        }
    }
    // What differs already needs no second look.
    others &= of & !differing;
    while others != 0 {
        let index = others.trailing_zeros() as usize;
        let is_same = table.is_same_long(ids[index] as usize, long, first + index);
        differing |= u64::from(!is_same) << index;
        others &= others - 1;
    }
    differing & of
}

/// Which bytes are not the same.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn differing_bytes(a: &[u8; WINDOW], b: &[u8; WINDOW]) -> u32 {
    // SAFETY: all of it is there.
    let a = unsafe { _mm256_loadu_si256(a.as_ptr().cast::<__m256i>()) };
    // SAFETY: as above.
    let b = unsafe { _mm256_loadu_si256(b.as_ptr().cast::<__m256i>()) };
    !_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)) as u32
}
