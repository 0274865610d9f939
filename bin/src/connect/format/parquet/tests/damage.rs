//! Files that are damaged, cut off or made to do harm: rows or an error, never a panic, and never more memory than a page
//! may have.

use arrow_array::{Int64Array, StringViewArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::Encoding;
use parquet::file::properties::{WriterProperties, WriterVersion};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::round_trip::random_rows;
use super::*;
use crate::error::Kind;

/// Reads a file under every policy: rows or an error in the data, with all records accounted for.
fn check(path: &Path, schema: &SchemaRef, what: &str) -> bool {
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let mut is_read = true;
    for way in [
        Way::default(),
        Way { workers: 2, batch_rows: 7, block_bytes: 4, on_error: OnError::Fail },
        Way { workers: 2, batch_rows: 16, block_bytes: 8, on_error: OnError::Divert },
    ] {
        match read(path, schema, &all, &[], &way) {
            Ok(outcome) => is_read &= outcome.rejected.is_empty(),
            Err(error) => {
                assert_eq!(error.kind, Kind::Data, "{what}: {error}");
                assert!(error.message.contains("t.parquet"), "{what}: {error}");
                is_read = false;
            }
        }
    }
    is_read
}

/// Small files that between them have every kind of page.
fn seeds() -> Vec<(SchemaRef, Vec<u8>)> {
    let mut rng = StdRng::seed_from_u64(7);
    let mut seeds = Vec::new();
    let nested = every_type();
    let flat = Arc::new(nested.project(&[0, 3, 5, 8, 10, 12, 16]).unwrap());
    let deep = Arc::new(nested.project(&[20, 22, 23, 24]).unwrap());
    let plain = super::direct::plain_types();
    for (schema, rows) in [(&flat, 40), (&deep, 15), (&plain, 40)] {
        let rows = random_rows(&mut rng, schema, rows);
        for dictionary in [true, false] {
            let options =
                ParquetOptions { dictionary, block_bytes: 3_000, page_bytes: 200, ..ParquetOptions::default() };
            seeds.push((Arc::clone(schema), written(&rows, &options)));
        }
    }
    let strings = schema_of(vec![("n", DataType::Int64, true), ("s", DataType::Utf8View, true)]);
    let rows = random_rows(&mut rng, &strings, 60);
    for (encoding, version) in [
        (Encoding::DELTA_BYTE_ARRAY, WriterVersion::PARQUET_2_0),
        (Encoding::DELTA_LENGTH_BYTE_ARRAY, WriterVersion::PARQUET_1_0),
    ] {
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_dictionary_enabled(false)
            .set_column_encoding("n".into(), Encoding::DELTA_BINARY_PACKED)
            .set_column_encoding("s".into(), encoding)
            .build();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        seeds.push((Arc::clone(&strings), writer.into_inner().unwrap()));
    }
    seeds
}

#[test]
fn thousands_of_damaged_files_are_rows_or_errors() {
    let mut rng = StdRng::seed_from_u64(11);
    let (mut files, mut refused) = (0, 0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.parquet");
    for (number, (schema, bytes)) in seeds().into_iter().enumerate() {
        for variant in 0..400 {
            let mut damaged = bytes.clone();
            match variant % 8 {
                0 => damaged.truncate(rng.random_range(0..bytes.len())),
                1 => {
                    // Footer and page headers are where sizes are.
                    let place = bytes.len() - 1 - rng.random_range(0..(bytes.len() - 1).min(600));
                    damaged[place] ^= 1 << rng.random_range(0..8);
                }
                2 => {
                    for _ in 0..rng.random_range(1..6) {
                        let place = rng.random_range(0..bytes.len());
                        damaged[place] = rng.random();
                    }
                }
                3 => {
                    let place = rng.random_range(0..bytes.len());
                    damaged[place] = [0, 0x7f, 0x80, 0xff][rng.random_range(0..4)];
                }
                4 => {
                    let start = rng.random_range(0..bytes.len());
                    let end = (start + rng.random_range(1..40)).min(bytes.len());
                    damaged.drain(start..end);
                }
                5 => {
                    let start = rng.random_range(0..bytes.len() - 8);
                    damaged[start..start + 5].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
                }
                _ => {
                    let place = rng.random_range(0..bytes.len());
                    damaged[place] ^= 1 << rng.random_range(0..8);
                }
            }
            std::fs::write(&path, &damaged).unwrap();
            files += 1;
            refused += usize::from(!check(&path, &schema, &format!("file {number}, variant {variant}")));
        }
    }
    assert!(files >= 2_000, "{files}");
    // Of the whole process with all the tests that run beside this one.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    assert!(peak.is_none_or(|kib| kib < 1 << 20), "{peak:?} KiB");
    assert!(refused > files / 2, "only {refused} of {files} were found damaged");
}

#[test]
fn what_is_no_file_of_parquet_says_so() {
    let schema = schema_of(vec![("n", DataType::Int64, true)]);
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]).unwrap();
    let whole = written(&rows, &ParquetOptions::default());
    let mut lying = whole.clone();
    let at = lying.len() - 8;
    lying[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    for (bytes, message) in [
        (Vec::new(), "it is empty, which no Parquet file is"),
        (b"id,name\n1,x\n".to_vec(), "it is not a Parquet file: it does not begin with PAR1"),
        (b"PAR1".to_vec(), "it is not a Parquet file"),
        (whole[..whole.len() - 1].to_vec(), "it does not end with PAR1: its end is cut off"),
        (lying, "it says that its metadata has 4294967295 bytes"),
    ] {
        let (_directory, path) = file_of(&bytes);
        let error = read_all(&path, &schema).unwrap_err();
        assert!(error.message.contains(message), "{error}");
        assert!(error.help.is_some());
        for on_error in [OnError::Skip, OnError::Divert] {
            let found = read(&path, &schema, &[0], &[], &Way { on_error, ..Way::default() }).unwrap();
            assert_eq!((found.rows.num_rows(), found.records), (0, 1));
            assert_eq!(found.rejected, [(RejectReason::Corrupt, 1)]);
        }
    }
    // No rows, and no row groups, are in order.
    let (_directory, path) = file_of(&written(&rows.slice(0, 0), &ParquetOptions::default()));
    assert_eq!(read_all(&path, &schema).unwrap().num_rows(), 0);
}

/// Four row groups of 100 rows, the third of which is damaged in the middle.
fn damaged_in_the_third() -> (tempfile::TempDir, PathBuf, SchemaRef) {
    let schema = schema_of(vec![("n", DataType::Int64, true), ("s", DataType::Utf8View, true)]);
    let texts: StringViewArray = (0..400).map(|n| Some(format!("text number {n}"))).collect();
    let numbers = Int64Array::from_iter_values(0..400);
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(numbers), Arc::new(texts)]).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(100))
        .set_data_page_row_count_limit(20)
        .set_write_batch_size(20)
        .set_dictionary_enabled(false)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    let mut bytes = writer.into_inner().unwrap();
    // The last byte of a character's string in the page of rows 260 to 279.
    let place = bytes.windows(15).position(|window| window == b"text number 270").unwrap();
    bytes[place] = 0xff;
    let (directory, path) = file_of(&bytes);
    (directory, path, schema)
}

#[test]
fn a_damaged_row_group_is_left_out_as_a_whole_and_the_others_are_read() {
    let (_directory, path, schema) = damaged_in_the_third();
    let mut outcomes = Vec::new();
    for way in ways(OnError::Divert) {
        outcomes.push(read(&path, &schema, &[0, 1], &[], &way).unwrap());
    }
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:#?}");
    let Outcome { rows, records, rejected, rejects, .. } = &outcomes[0];
    assert_eq!((rows.num_rows(), *records), (300, 301));
    assert_eq!(rejected, &[(RejectReason::Corrupt, 1)]);
    assert_eq!((rejects.len(), rejects[0].offset, rejects[0].line), (1, 200, 0));
    assert!(rejects[0].message.starts_with("row group 2, column `s`: "), "{}", rejects[0].message);
    let mut messages: Vec<String> =
        ways(OnError::Fail).iter().map(|way| read(&path, &schema, &[0, 1], &[], way).unwrap_err().message).collect();
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("t.parquet: row group 2, column `s`: "), "{}", messages[0]);
    // Who does not read the column does not meet the damage.
    assert_eq!(read(&path, &schema, &[0], &[], &Way::default()).unwrap().rows.num_rows(), 400);
}

#[test]
fn a_string_that_begins_within_a_character_is_not_let_in() {
    // `é` is two bytes: a length moved by one cuts it in half, though all bytes together are UTF-8.
    let schema = schema_of(vec![("s", DataType::Utf8View, true)]);
    let texts = StringViewArray::from(vec!["aé", "bc"]);
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(texts)]).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding("s".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    let whole = writer.into_inner().unwrap();
    let place = whole.windows(5).position(|window| window == "aébc".as_bytes()).unwrap();
    // Lengths 3 and 2: the first value 3 as zigzag 6, the least delta -1 as zigzag 1. They become 2 and 3.
    let head = whole[..place].windows(4).rposition(|window| window == [4, 2, 6, 1]).unwrap();
    let mut damaged = whole.clone();
    damaged[head + 2] = 4;
    damaged[head + 3] = 2;
    let (_directory, path) = file_of(&damaged);
    assert!(!check(&path, &schema, "cut within a character"));
    let way = Way { on_error: OnError::Divert, ..Way::default() };
    let found = read(&path, &schema, &[0], &[], &way).unwrap();
    assert_eq!(found.rows.num_rows(), 0, "{found:?}");
}
