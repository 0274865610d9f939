//! Files of plain columns alone, whose row groups the workers share.

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::round_trip::random_rows;
use super::*;

/// A column of every type that is decoded from shared pages.
pub(super) fn plain_types() -> SchemaRef {
    use DataType as T;
    schema_of(vec![
        ("int", T::Int32, true),
        ("bigint", T::Int64, true),
        ("required_bigint", T::Int64, false),
        ("float", T::Float32, true),
        ("double", T::Float64, true),
        ("string", T::Utf8View, true),
        ("required_string", T::Utf8View, false),
        ("bytes", T::BinaryView, true),
        ("date", T::Date32, true),
        ("time", T::Time32(TimeUnit::Millisecond), true),
        ("millis", T::Timestamp(TimeUnit::Millisecond, None), true),
        ("nanos", T::Timestamp(TimeUnit::Nanosecond, None), false),
        ("instant", T::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true),
    ])
}

/// As writers may: dictionaries that overflow, pages of a few rows, both versions.
fn random_file(rng: &mut StdRng, rows: &RecordBatch) -> Vec<u8> {
    let versions = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0];
    let version = versions[rng.random_range(0..2)];
    // Without a dictionary the second version has encodings that are not for us.
    let is_dictionary = version == WriterVersion::PARQUET_2_0 || rng.random();
    let dictionary_bytes =
        if version == WriterVersion::PARQUET_2_0 { 1 << 20 } else { [40, 400, 1 << 20][rng.random_range(0..3)] };
    // The last is left to the other decoder.
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4_RAW,
        Compression::LZ4,
    ];
    let properties = WriterProperties::builder()
        .set_writer_version(version)
        .set_compression(codecs[rng.random_range(0..codecs.len())])
        .set_dictionary_enabled(is_dictionary)
        .set_dictionary_page_size_limit(dictionary_bytes)
        .set_data_page_row_count_limit([3, 100, 1 << 20][rng.random_range(0..3)])
        .set_write_batch_size(10)
        .set_max_row_group_row_count(Some([50, 1_000, 1 << 20][rng.random_range(0..3)]))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn random_tables_of_plain_columns_are_read_as_they_were_written() {
    let schema = plain_types();
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    for seed in 0..24 {
        let mut rng = StdRng::seed_from_u64(seed);
        let rows = [1, 30, 700][rng.random_range(0..3)];
        let rows = random_rows(&mut rng, &schema, rows);
        let (_directory, path) = file_of(&random_file(&mut rng, &rows));
        for way in ways(OnError::Fail).into_iter().chain(ways(OnError::Divert)) {
            let found = read(&path, &schema, &all, &[], &way).unwrap();
            assert_eq!(found.rows, rows, "seed {seed}, {way:?}");
        }
        let some: Vec<usize> = all.iter().copied().filter(|_| rng.random_bool(0.3)).collect();
        for way in ways(OnError::Fail) {
            let found = read(&path, &schema, &some, &[], &way).unwrap();
            assert_eq!(found.rows, rows.project(&some).unwrap(), "seed {seed}, {some:?}, {way:?}");
        }
    }
}

/// How many blocks a file of plain columns is read in.
fn blocks(path: &Path, schema: &SchemaRef, on_error: OnError) -> usize {
    let read = ReadOptions { batch_rows: 4096, block_bytes: 1 << 17, workers: 1, kernels: Default::default() };
    let format = Format::Parquet(ParquetOptions::default());
    let bad_input = BadInput { on_error, ..BadInput::default() };
    let (columns, bells) = ((0..schema.fields().len()).collect::<Vec<_>>(), Doorbells::new(1));
    let scan = TableScan {
        name: "t",
        schema,
        columns: &columns,
        codes: &[],
        format: &format,
        bad_input: &bad_input,
        read: &read,
        bells: &bells,
    };
    let mut reader = open(vec![path.to_path_buf()], &scan, &[]).unwrap().reader(WorkerId(0));
    let mut blocks = 0;
    while let SourceEvent::Block(block) = reader.poll().unwrap() {
        assert!(block.records <= 1 << 13 || on_error != OnError::Fail);
        blocks += 1;
    }
    blocks
}

#[test]
fn a_row_group_of_plain_columns_comes_in_small_blocks() {
    let schema = schema_of(vec![("n", DataType::Int64, true), ("s", DataType::Utf8View, true)]);
    let rows = random_rows(&mut StdRng::seed_from_u64(3), &schema, 20_000);
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    let (_directory, path) = file_of(&writer.into_inner().unwrap());
    assert!(blocks(&path, &schema, OnError::Fail) >= 3);
    // Else all of it would have to be decoded twice.
    assert_eq!(blocks(&path, &schema, OnError::Skip), 1);
}
