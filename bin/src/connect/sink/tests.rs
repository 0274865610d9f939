//! Directories of parts, with made-up times.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::parts::OPEN_PARTS_MAX;
use super::*;
use crate::connect::format::csv::CsvOptions;
use crate::connect::options::{OptionPart, OptionReader};
use crate::connect::{SinkRows, SinkWriter};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("k", DataType::Utf8View, true)]))
}

fn batch(rows: &[(i64, &str)]) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(rows.iter().map(|(number, _)| Some(*number)).collect::<Int64Array>());
    let keys: ArrayRef = Arc::new(rows.iter().map(|(_, key)| Some(*key)).collect::<StringViewArray>());
    RecordBatch::try_new(schema(), vec![numbers, keys]).unwrap()
}

fn create(directory: &Path, options: &PartOptions) -> PartsWriter {
    let format = Format::Csv(CsvOptions::default());
    PartsWriter::create(directory.to_str().unwrap(), &format, options, &schema()).unwrap()
}

/// All files below `directory` with their texts, hidden ones too.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(next) = directories.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

fn expect(directory: &Path, expected: &[(&str, &str)]) {
    let expected = expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    assert_eq!(files(directory), expected);
}

#[test]
fn blocks_go_to_the_writers_in_turn_and_a_second_run_adds_parts() {
    let directory = tempfile::tempdir().unwrap();
    let options = PartOptions { writers: 2, ..PartOptions::default() };
    for rows in [["1\n", "2\n", "3\n"], ["4\n", "5\n", "6\n"]] {
        let mut writer = create(directory.path(), &options);
        assert!(writer.encoder().is_some(), "the workers encode");
        for rows in rows {
            writer.write(SinkRows::Encoded(rows.as_bytes())).unwrap();
        }
        writer.finish().unwrap();
    }
    expect(
        directory.path(),
        &[("part-0-0.csv", "1\n3\n"), ("part-0-1.csv", "4\n6\n"), ("part-1-0.csv", "2\n"), ("part-1-1.csv", "5\n")],
    );
}

#[test]
fn a_part_is_visible_once_it_is_large_enough_and_a_failed_job_leaves_whole_parts_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options = PartOptions { file_bytes: 4, ..PartOptions::default() };
    let mut writer = create(directory.path(), &options);
    for rows in ["1\n", "2\n", "3\n"] {
        writer.write(SinkRows::Encoded(rows.as_bytes())).unwrap();
    }
    assert_eq!(files(directory.path())["part-0-0.csv"], "1\n2\n");
    assert!(files(directory.path()).contains_key(".part-0-1.csv.tmp"));
    drop(writer);
    expect(directory.path(), &[("part-0-0.csv", "1\n2\n")]);
}

#[test]
fn parts_are_finished_by_their_age_and_by_their_stillness() {
    let directory = tempfile::tempdir().unwrap();
    let second = Duration::from_secs(1);
    let options =
        PartOptions { rollover: 10 * second, inactivity: 3 * second, check: second, ..PartOptions::default() };
    let mut writer = create(directory.path(), &options);
    let start = Instant::now() + second;
    let visible = || files(directory.path()).keys().filter(|name| !name.starts_with('.')).count();
    for (after, has_rows, parts) in
        [(0, true, 0), (2, true, 0), (4, false, 0), (5, false, 1), (6, true, 1), (8, true, 1), (10, true, 1)]
            .into_iter()
            .chain([(12, true, 1), (14, true, 1), (16, false, 2), (30, false, 2)])
    {
        let wake = writer.look(start + after * second).unwrap().expect("it has something to look after");
        assert!(wake <= second);
        if has_rows {
            writer.write(SinkRows::Encoded(format!("{after}\n").as_bytes())).unwrap();
        }
        assert_eq!(visible(), parts, "after {after} s");
    }
    writer.finish().unwrap();
    expect(directory.path(), &[("part-0-0.csv", "0\n2\n"), ("part-0-1.csv", "6\n8\n10\n12\n14\n")]);
}

#[test]
fn partitions_are_directories_and_their_columns_are_not_in_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let options = PartOptions { partitions: vec![1], ..PartOptions::default() };
    let mut writer = create(directory.path(), &options);
    assert!(writer.encoder().is_none(), "partitions need batches");
    writer.write(SinkRows::Batches(&[batch(&[(1, "a"), (2, "b:c"), (3, "a")]), batch(&[(4, "")])])).unwrap();
    writer.write(SinkRows::Batches(&[batch(&[(5, "a")])])).unwrap();
    writer.finish().unwrap();
    expect(
        directory.path(),
        &[
            ("k=__DEFAULT_PARTITION__/part-0-0.csv", "4\n"),
            ("k=a/part-0-0.csv", "1\n3\n5\n"),
            ("k=b%3Ac/part-0-0.csv", "2\n"),
        ],
    );
}

#[test]
fn no_more_parts_are_open_than_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let options = PartOptions { partitions: vec![1], ..PartOptions::default() };
    let mut writer = create(directory.path(), &options);
    let keys: Vec<String> = (0..OPEN_PARTS_MAX + 40).map(|key| format!("{key:03}")).collect();
    // The first key is used again and again, so it is never the one to go.
    for key in &keys {
        writer.write(SinkRows::Batches(&[batch(&[(1, key), (0, "000")])])).unwrap();
        let open = files(directory.path()).keys().filter(|name| name.contains("/.part")).count();
        assert!(open <= OPEN_PARTS_MAX, "{open} are open");
    }
    writer.write(SinkRows::Batches(&[batch(&[(2, "001")])])).unwrap();
    writer.finish().unwrap();
    let files = files(directory.path());
    assert_eq!(files.len(), keys.len() + 1);
    assert_eq!(files["k=001/part-0-0.csv"], "1\n");
    assert_eq!(files["k=001/part-0-1.csv"], "2\n");
    assert_eq!(files["k=000/part-0-0.csv"].lines().count(), keys.len() + 1);
}

#[test]
fn one_partition_has_one_writer_if_that_is_asked_for() {
    let names = |by_partition| {
        let directory = tempfile::tempdir().unwrap();
        let options = PartOptions { partitions: vec![1], writers: 3, by_partition, ..PartOptions::default() };
        let mut writer = create(directory.path(), &options);
        for number in 0..6 {
            writer.write(SinkRows::Batches(&[batch(&[(number, "a"), (number, "b")])])).unwrap();
        }
        writer.finish().unwrap();
        files(directory.path()).into_keys().collect::<BTreeSet<_>>()
    };
    assert_eq!(names(false).len(), 6);
    assert_eq!(names(true).len(), 2);
}

#[test]
fn a_partition_is_committed_when_it_is_old_enough_and_has_no_open_part() {
    let directory = tempfile::tempdir().unwrap();
    let second = Duration::from_secs(1);
    let options = PartOptions {
        partitions: vec![1],
        inactivity: 2 * second,
        check: second,
        success_file: Some("_DONE".to_owned()),
        commit_delay: 5 * second,
        ..PartOptions::default()
    };
    let mut writer = create(directory.path(), &options);
    let start = Instant::now() + second;
    writer.look(start).unwrap();
    writer.write(SinkRows::Batches(&[batch(&[(1, "a"), (2, "b")])])).unwrap();
    let is_done = |key: &str| directory.path().join(format!("k={key}/_DONE")).exists();
    writer.look(start + 3 * second).unwrap();
    assert!(directory.path().join("k=a/part-0-0.csv").exists() && !is_done("a"), "finished, but not old enough");
    writer.write(SinkRows::Batches(&[batch(&[(3, "b")])])).unwrap();
    writer.look(start + 4 * second).unwrap();
    writer.look(start + 5 * second - Duration::from_millis(1)).unwrap();
    writer.write(SinkRows::Batches(&[batch(&[(4, "b")])])).unwrap();
    writer.look(start + 6 * second).unwrap();
    assert!(is_done("a"));
    assert!(!is_done("b"), "a part of it is open");
    writer.finish().unwrap();
    assert!(is_done("b"));
    assert!(!directory.path().join("_DONE").exists());
}

#[test]
fn a_directory_without_partitions_is_committed_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let options = PartOptions { file_bytes: 1, success_file: Some("_SUCCESS".to_owned()), ..PartOptions::default() };
    let mut writer = create(directory.path(), &options);
    writer.write(SinkRows::Encoded(b"1\n")).unwrap();
    expect(directory.path(), &[("part-0-0.csv", "1\n")]);
    writer.finish().unwrap();
    expect(directory.path(), &[("_SUCCESS", ""), ("part-0-0.csv", "1\n")]);
}

#[test]
fn two_writers_in_one_directory_do_not_take_each_others_names() {
    let directory = tempfile::tempdir().unwrap();
    let mut writers: Vec<PartsWriter> = (0..3).map(|_| create(directory.path(), &PartOptions::default())).collect();
    for round in 0..2 {
        for (number, writer) in writers.iter_mut().enumerate() {
            writer.write(SinkRows::Encoded(format!("{round}{number}\n").as_bytes())).unwrap();
        }
    }
    for mut writer in writers {
        writer.finish().unwrap();
    }
    expect(
        directory.path(),
        &[("part-0-0.csv", "00\n10\n"), ("part-0-1.csv", "01\n11\n"), ("part-0-2.csv", "02\n12\n")],
    );
}

#[test]
fn leftovers_in_partitions_are_removed_and_what_is_in_the_way_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(at("k=old")).unwrap();
    std::fs::create_dir_all(at("other")).unwrap();
    for name in ["k=old/.part-0-3.csv.tmp", ".part-1-0.csv.tmp", "other/.part-0-0.csv.tmp"] {
        std::fs::write(at(name), "half").unwrap();
    }
    let options = PartOptions { partitions: vec![1], ..PartOptions::default() };
    create(directory.path(), &options).finish().unwrap();
    expect(directory.path(), &[("other/.part-0-0.csv.tmp", "half")]);
    std::fs::write(at("k=x"), "a file").unwrap();
    let mut writer = create(directory.path(), &options);
    let refused = writer.write(SinkRows::Batches(&[batch(&[(1, "x")])])).unwrap_err();
    assert!(refused.message.contains("cannot make the directory"), "{refused}");
    let format = Format::Csv(CsvOptions::default());
    let refused = PartsWriter::create(at("k=x").to_str().unwrap(), &format, &options, &schema()).err().unwrap();
    assert!(refused.message.ends_with("is a file, and a directory of parts is to be written"), "{refused}");
}

fn read(path: &str, partitions: &[usize], given: &[(&str, &str)]) -> Result<PartOptions> {
    let options = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let place = |_: &str, _: OptionPart| None;
    let mut reader = OptionReader::new("t", "filesystem", &options, &place);
    let read = PartOptions::read(&mut reader, path, &schema(), partitions)?;
    reader.finish()?;
    Ok(read)
}

#[test]
fn options_have_flinks_names_and_defaults() {
    assert_eq!(read("out.csv", &[], &[]).unwrap(), PartOptions::default());
    assert!(read("out/", &[], &[]).unwrap().is_directory);
    let all = read(
        "out",
        &[1],
        &[
            ("sink.parallelism", "4"),
            ("sink.rolling-policy.file-size", "1 MB"),
            ("sink.rolling-policy.rollover-interval", "1 min"),
            ("sink.rolling-policy.inactivity-interval", "20 s"),
            ("sink.rolling-policy.check-interval", "1 s"),
            ("partition.default-name", "none"),
            ("sink.shuffle-by-partition.enable", "true"),
            ("sink.partition-commit.policy.kind", "success-file"),
            ("sink.partition-commit.success-file.name", "_DONE"),
            ("sink.partition-commit.trigger", "process-time"),
            ("sink.partition-commit.delay", "1 h"),
            ("auto-compaction", "false"),
        ],
    );
    let expected = PartOptions {
        is_directory: true,
        writers: 4,
        file_bytes: 1 << 20,
        rollover: Duration::from_secs(60),
        inactivity: Duration::from_secs(20),
        check: Duration::from_secs(1),
        partitions: vec![1],
        default_name: "none".to_owned(),
        by_partition: true,
        success_file: Some("_DONE".to_owned()),
        commit_delay: Duration::from_secs(3600),
    };
    assert_eq!(all.unwrap(), expected);
}

#[test]
fn options_without_an_effect_are_refused() {
    for (path, partitions, name, value, said) in [
        ("out.csv", &[][..], "sink.parallelism", "2", "end 'path' with '/'"),
        ("out.csv", &[], "sink.rolling-policy.file-size", "1 MB", "end 'path' with '/'"),
        ("out/*.csv", &[], "sink.rolling-policy.file-size", "1 MB", "it is only read"),
        ("out.csv", &[], "sink.partition-commit.policy.kind", "success-file", "end 'path' with '/'"),
        ("out/", &[], "sink.rolling-policy.rollover-interval", "0", "at least '1 ms'"),
        ("out/", &[], "partition.default-name", "x", "not PARTITIONED BY"),
        ("out/", &[], "sink.shuffle-by-partition.enable", "true", "not PARTITIONED BY"),
        ("out/", &[], "sink.parallelism", "0", "a number from 1 to 64"),
        ("out/", &[1], "auto-compaction", "true", "no small files"),
        ("out/", &[1], "compaction.file-size", "1 MB", "no small files"),
        ("out/", &[1], "sink.partition-commit.trigger", "partition-time", "'process-time'"),
        ("out/", &[1], "sink.partition-commit.policy.kind", "metastore", "'success-file'"),
        ("out/", &[1], "sink.partition-commit.delay", "1 s", "'sink.partition-commit.policy.kind' = 'success-file'"),
        ("out/", &[1], "partition.time-extractor.kind", "default", "process-time"),
    ] {
        let refused = read(path, partitions, &[(name, value)]).unwrap_err();
        assert!(refused.help.as_deref().unwrap_or_default().contains(said), "{name}: {refused} / {:?}", refused.help);
    }
    let visible =
        [("sink.partition-commit.policy.kind", "success-file"), ("sink.partition-commit.success-file.name", "done")];
    assert!(read("out/", &[1], &visible).unwrap_err().help.unwrap().contains("begins with '_' or '.'"));
    assert!(read("out.csv", &[1], &[]).unwrap_err().help.unwrap().contains("a directory"));
    assert!(read("out", &[0, 1], &[]).unwrap_err().message.contains("none is left"));
}
