use arrow_schema::DataType;
use proptest::prelude::*;

use super::*;
use crate::key::CELL_WORDS;

/// Long strings, one for each key.
struct Texts(Vec<&'static str>);

impl LongKeys for Texts {
    fn bytes(&self, row: usize, _column: usize) -> &[u8] {
        self.0[row].as_bytes()
    }

    fn windows<'a>(&'a self, first: usize, column: usize, windows: &mut [Option<&'a [u8; WINDOW]>]) {
        for (row, window) in (first..).zip(windows) {
            *window = self.bytes(row, column).first_chunk();
        }
    }
}

fn assign(table: &mut GroupTable, cells: &[u64], hashes: &[u64], long: Option<Texts>) -> Vec<u32> {
    let mut ids = Vec::new();
    table.assign(&Keys { cells, stride: 2, hashes, long }, &mut ids).unwrap();
    ids
}

fn table(data_type: DataType) -> GroupTable {
    GroupTable::new(KeyShape::new([data_type].iter()), (&[7], 0), Kernels::Simd)
}

#[test]
fn strings_whose_cells_and_hashes_are_equal_are_told_apart_by_their_bytes() {
    let mut table = table(DataType::Utf8View);
    let texts = ["the length is 19: a", "the length is 19: b", "the length is 19: a", "the length is 19: c"];
    let ids = assign(&mut table, &[19, 5].repeat(4), &[5; 4], Some(Texts(texts.to_vec())));
    assert_eq!(ids, [0, 1, 0, 2]);
    assert_eq!(table.long_bytes(1), b"the length is 19: b");
    let more = vec!["the length is 19: b", "the length is 19: d"];
    assert_eq!(assign(&mut table, &[19, 5].repeat(2), &[5; 2], Some(Texts(more))), [1, 3]);
}

#[test]
fn a_key_is_found_by_its_bytes_and_one_that_is_not_there_is_not() {
    let mut table = table(DataType::Utf8View);
    let find = |table: &GroupTable, hash, text| {
        table.find(&Keys { cells: &[19, 5], stride: 2, hashes: &[hash], long: Some(Texts(vec![text])) })
    };
    assert_eq!(find(&table, 5, "the length is 19: a"), None);
    let texts = ["the length is 19: a", "the length is 19: b"];
    assign(&mut table, &[19, 5].repeat(2), &[5; 2], Some(Texts(texts.to_vec())));
    assert_eq!(texts.map(|text| find(&table, 5, text)), [Some(0), Some(1)]);
    assert_eq!(find(&table, 5, "the length is 19: c"), None);
    assert_eq!(find(&table, 7, "the length is 19: d"), None);
}

#[test]
fn short_and_long_strings_share_a_table() {
    let mut table = table(DataType::Utf8View);
    let short = |ids: &[u64]| ids.iter().flat_map(|&id| [3, id]).collect::<Vec<_>>();
    assert_eq!(assign(&mut table, &short(&[1, 2]), &[1, 2], None), [0, 1]);
    assert!(!table.has_long());
    let cells = [3, 1, 13, 9, 3, 3];
    let texts = || Some(Texts(vec!["", "thirteen byte", ""]));
    assert_eq!(assign(&mut table, &cells, &[1, 9, 3], texts()), [0, 2, 3]);
    assert_eq!(assign(&mut table, &short(&[4]), &[4], None), [4]);
    assert_eq!(assign(&mut table, &cells, &[1, 9, 3], texts()), [0, 2, 3]);
    let long: Vec<&[u8]> = (0..5).map(|group| table.long_bytes(group)).collect();
    assert_eq!(long, [&b""[..], b"", b"thirteen byte", b"", b""]);
}

#[test]
fn groups_keep_their_numbers_and_rows_while_the_table_grows_and_come_back_after_a_clear() {
    let mut table = table(DataType::Int64);
    // Half of them share all the bits that choose a slot in a small table.
    let spread = |i: u64| if i.is_multiple_of(2) { i << 32 } else { i.wrapping_mul(0x9E37_79B9_7F4A_7C15) };
    let hashes: Vec<u64> = (0..2_000).map(spread).collect();
    for round in 0..2 {
        let cells: Vec<u64> = (0..hashes.len() as u64).flat_map(|i| [i + round, 0]).collect();
        for _ in 0..2 {
            let ids = assign(&mut table, &cells, &hashes, None);
            assert!(ids.iter().enumerate().all(|(key, &id)| key == id as usize));
        }
        assert_eq!(table.groups(), hashes.len());
        assert!(table.rows().chunks(table.stride()).all(|row| row[2] == 7));
        let bytes = table.bytes();
        table.clear();
        assert_eq!((table.groups(), table.bytes()), (0, bytes));
    }
}

#[test]
fn a_table_that_was_large_once_is_cleared_as_fast_as_a_small_one() {
    let mut table = table(DataType::Int64);
    let cells: Vec<u64> = (0..10_000).flat_map(|i| [i, 0]).collect();
    let hashes: Vec<u64> = (0..10_000u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
    assign(&mut table, &cells, &hashes, None);
    table.clear();
    assign(&mut table, &cells[..2], &hashes[..1], None);
    table.clear();
    assert_eq!(table.slots.count(), SLOTS_MIN);
    assert!(table.bytes() < 64 * SLOTS_MIN, "{} bytes", table.bytes());
}

/// All levels that this processor has.
fn levels() -> Vec<Level> {
    let mut levels = vec![Level::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        levels.extend(crate::kernels::Avx2::detect().map(Level::Avx2));
        levels.extend(crate::kernels::Avx512::detect().map(Level::Avx512));
    }
    levels
}

/// Long strings by key and column: of one length, so that cells and hashes may be equal where the bytes are not.
struct Digits<'a>(&'a [(u64, u8)]);

const DIGITS: [&str; 4] = ["thirteen byte", "Thirteen byte", "thirteen Byte", "THIRTEEN BYTE"];

impl LongKeys for Digits<'_> {
    fn bytes(&self, row: usize, _column: usize) -> &[u8] {
        DIGITS[usize::from(self.0[row].1) % 4].as_bytes()
    }

    fn windows<'a>(&'a self, first: usize, column: usize, windows: &mut [Option<&'a [u8; WINDOW]>]) {
        for (row, window) in (first..).zip(windows) {
            *window = self.bytes(row, column).first_chunk();
        }
    }
}

/// Batches of keys: a number, and which text is behind the long string among its columns.
#[derive(Clone, Debug)]
struct Case {
    columns: usize,
    gap: usize,
    has_long: bool,
    /// Bits of the hash that differ between keys: few, and keys share homes, tags or both.
    hash_bits: u64,
    batches: Vec<Vec<(u64, u8)>>,
}

fn any_case() -> impl Strategy<Value = Case> {
    let key = prop_oneof![3 => 0..40_u64, 1 => 0..400_u64].prop_flat_map(|key| (Just(key), 0..4_u8));
    let hash_bits = prop_oneof![
        4 => Just(u64::MAX),
        1 => Just(0x3F),
        1 => Just(0xFFFF_0000),
        1 => Just(0xFFFF_FFFF_0000_0000),
        1 => any::<u64>(),
    ];
    let batches = proptest::collection::vec(proptest::collection::vec(key, 0..700), 1..5);
    (1..6_usize, 0..3_usize, any::<bool>(), hash_bits, batches)
        .prop_map(|(columns, gap, has_long, hash_bits, batches)| Case { columns, gap, has_long, hash_bits, batches })
}

impl Case {
    /// The cells and hashes of a batch.
    fn keys(&self, batch: &[(u64, u8)]) -> (Vec<u64>, Vec<u64>) {
        let (mut cells, mut hashes) = (Vec::new(), Vec::new());
        for &(key, _) in batch {
            for column in 0..self.columns as u64 {
                // Only the last column tells keys apart.
                let value = if column + 1 == self.columns as u64 { key } else { column };
                cells.extend(if self.has_long && column == 0 { [13, value] } else { [4, value] });
            }
            cells.extend(std::iter::repeat_n(key, self.gap));
            hashes.push(key.wrapping_mul(0x9E37_79B9_7F4A_7C15) & self.hash_bits);
        }
        (cells, hashes)
    }

    /// A table that was made of rows like its own, the groups, and which keys were fresh.
    fn run_rows(&self, level: Level) -> (GroupTable, Vec<Vec<u32>>, Vec<Vec<bool>>) {
        let shape = KeyShape::new(vec![DataType::Utf8View; self.columns].iter());
        let mut table = GroupTable::new(shape, (&[7, 8, 9], 0), Kernels::Simd);
        table.level = level;
        let (mut all_ids, mut all_fresh) = (Vec::new(), Vec::new());
        for (number, batch) in self.batches.iter().enumerate() {
            let (keys, hashes) = Self { gap: 0, ..self.clone() }.keys(batch);
            let mut rows = Vec::new();
            for (index, key) in keys.chunks(self.columns * CELL_WORDS).enumerate() {
                rows.extend_from_slice(key);
                rows.extend([number as u64, index as u64]);
                rows.resize((index + 1) * table.stride(), 5);
            }
            let long = self.has_long.then_some(Digits(batch));
            let (mut ids, mut fresh) = (vec![99], Fresh::default());
            let keys = Keys { cells: &rows, stride: table.stride(), hashes: &hashes, long };
            table.assign_rows(&keys, &mut ids, &mut fresh).unwrap();
            let mut is_fresh = vec![true; ids.len()];
            fresh.known(0..ids.len()).for_each(|key| is_fresh[key] = false);
            all_ids.push(ids);
            all_fresh.push(is_fresh);
        }
        (table, all_ids, all_fresh)
    }

    fn run(&self, level: Level) -> (GroupTable, Vec<Vec<u32>>) {
        let shape = KeyShape::new(vec![DataType::Utf8View; self.columns].iter());
        let mut table = GroupTable::new(shape, (&[7, 8, 9], 0), Kernels::Simd);
        table.level = level;
        let assigned = self.batches.iter().map(|batch| {
            let (cells, hashes) = self.keys(batch);
            let long = self.has_long.then_some(Digits(batch));
            let mut ids = vec![99];
            let stride = self.columns * CELL_WORDS + self.gap;
            table.assign(&Keys { cells: &cells, stride, hashes: &hashes, long }, &mut ids).unwrap();
            ids
        });
        let assigned = assigned.collect();
        (table, assigned)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_are_the_same_whatever_finds_them(case in any_case()) {
        let (expected, expected_ids) = case.run(Level::Scalar);
        let mut numbers = std::collections::HashMap::new();
        for (batch, ids) in case.batches.iter().zip(&expected_ids) {
            for (&(key, digits), &id) in batch.iter().zip(ids) {
                let next = numbers.len() as u32;
                let number = *numbers.entry((key, if case.has_long { digits } else { 0 })).or_insert(next);
                prop_assert_eq!(number, id);
            }
        }
        // Whole rows make the same groups, each of the row of its first key.
        let mut next = 0;
        for level in levels() {
            let (table, ids, fresh) = case.run_rows(level);
            prop_assert_eq!(&ids, &expected_ids, "{:?}", level);
            let is_first = |&id: &u32| { let is_first = id == next; next += u32::from(is_first); is_first };
            let first: Vec<bool> = ids.iter().flatten().map(is_first).collect();
            prop_assert_eq!(fresh.concat(), &first[..], "{:?}", level);
            let places = ids.iter().enumerate().flat_map(|(batch, ids)| (0..ids.len()).map(move |key| (batch, key)));
            for (group, ((batch, key), _)) in places.zip(&first).filter(|(_, is_first)| **is_first).enumerate() {
                let row = &table.rows()[group * table.stride()..][case.columns * CELL_WORDS..][..2];
                prop_assert_eq!(row, [batch as u64, key as u64], "{:?}", level);
            }
            next = 0;
        }
        for level in levels() {
            let (table, ids) = case.run(level);
            prop_assert_eq!(&ids, &expected_ids, "{:?}", level);
            prop_assert_eq!(&table.rows, &expected.rows, "{:?}", level);
            prop_assert_eq!(&table.hashes, &expected.hashes, "{:?}", level);
            for group in 0..table.groups() {
                prop_assert_eq!(table.long_bytes(group), expected.long_bytes(group), "{:?}", level);
            }
        }
    }
}

#[test]
fn a_table_that_no_cache_holds_is_found_in_as_before() {
    let hash = |key: u64| key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let keys: Vec<u64> = (0..60_000_u64).chain((0..60_000).rev().step_by(7)).collect();
    let cells: Vec<u64> = keys.iter().flat_map(|&key| [key, 0]).collect();
    let hashes: Vec<u64> = keys.iter().map(|&key| hash(key)).collect();
    for level in levels() {
        let mut table = table(DataType::Int64);
        table.level = level;
        for (cells, hashes) in cells.chunks(2_000).zip(hashes.chunks(1_000)) {
            let ids = assign(&mut table, cells, hashes, None);
            assert!(ids.iter().zip(cells.chunks(2)).all(|(&id, key)| u64::from(id) == key[0]), "{level:?}");
        }
        assert_eq!(table.groups(), 60_000);
    }
}
