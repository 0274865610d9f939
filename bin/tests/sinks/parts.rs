//! Directories of parts and partitions: written, read back, refused.

use std::io::Read;

use super::*;

#[test]
fn which_rows_are_written_does_not_depend_on_workers_batches_or_blocks() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let input = directory.path().join("in.csv");
    fs::write(&input, numbers(3_000)).expect("it can be written");
    let whole = fs::read_to_string(&input).expect("it is there");
    let expected = sorted_lines([whole].iter());
    for (name, format, clause, more) in [
        ("parts", "csv", "", ", 'sink.parallelism' = '3'"),
        ("rolled", "csv", "", ", 'sink.rolling-policy.file-size' = '2 kb', 'sink.parallelism' = '2'"),
        ("keys", "csv", "PARTITIONED BY (k)", ", 'sink.rolling-policy.file-size' = '1 kb'"),
        ("rolled-json", "json", "", ", 'sink.rolling-policy.file-size' = '2 kb', 'sink.parallelism' = '2'"),
        ("rolled-parquet", "parquet", "", ", 'sink.rolling-policy.file-size' = '2 kb', 'sink.parallelism' = '2'"),
        ("keys-parquet", "parquet", "PARTITIONED BY (k)", ", 'sink.rolling-policy.file-size' = '4 kb'"),
        ("keys-json", "json", "PARTITIONED BY (k)", ", 'sink.rolling-policy.file-size' = '1 kb'"),
    ] {
        let mut trees: BTreeMap<usize, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
        for (workers, batch_rows, block_bytes) in
            [(1, 4096, 1500), (2, 4096, 1500), (4, 7, 1500), (1, 100, 256), (4, 4096, 256), (2, 4096, 1 << 17)]
        {
            let out = directory.path().join(format!("{name}-{workers}-{batch_rows}-{block_bytes}"));
            let script = table("source", "", &input, "")
                + &table_in(format, "sink", clause, &out, more)
                + "INSERT INTO sink SELECT * FROM source;"
                + &table("back", "", &directory.path().join("back.csv"), "")
                + "INSERT INTO back SELECT * FROM sink;";
            let accounts = run(&script, &options(workers, batch_rows, block_bytes));
            assert_eq!((accounts[0].emitted, accounts[1].emitted), (3_000, 3_000));
            let files = bytes(&out);
            let is_part = |file: &String| file.contains("part-") && file.ends_with(&format!(".{format}"));
            assert!(files.keys().all(is_part), "{:?}", files.keys());
            let back = fs::read_to_string(directory.path().join("back.csv")).expect("it was written");
            let is_same = sorted_lines([back].iter()) == expected;
            assert!(is_same, "{name}, {workers}, {batch_rows}, {block_bytes}: other rows");
            if name.starts_with("rolled") && block_bytes < 2_000 {
                assert!(files.len() >= 6, "{} parts", files.len());
            }
            // The order of the input is kept, so even the files are the same ones.
            let first = trees.entry(block_bytes).or_insert_with(|| files.clone());
            let is_same = *first == files;
            assert!(is_same, "{name}, {workers} workers, batches of {batch_rows} rows: {:?}", files.keys());
        }
    }
}

#[test]
fn groups_are_written_to_partitions_from_all_workers() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let input = directory.path().join("in.csv");
    fs::write(&input, numbers(1_000)).expect("it can be written");
    for workers in [1, 2, 4] {
        let out = directory.path().join(format!("out-{workers}"));
        let script = table("source", "", &input, "")
            + &table("sink", "PARTITIONED BY (k)", &out, ", 'sink.shuffle-by-partition.enable' = 'true'")
            + "INSERT INTO sink SELECT COUNT(*), k FROM source GROUP BY k;";
        assert_eq!(run(&script, &options(workers, 4096, 512))[0].emitted, 5);
        let expected = (0..5).map(|key| (format!("k=k{key}/part-0-0.csv"), "200\n".to_owned())).collect();
        assert_eq!(tree(&out), expected, "{workers} workers");
    }
}

#[test]
fn finished_parts_are_visible_while_the_job_goes_on() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, more) in [
        ("size", ", 'sink.rolling-policy.file-size' = '1 b'"),
        ("age", ", 'sink.rolling-policy.rollover-interval' = '20 ms', 'sink.rolling-policy.check-interval' = '5 ms'"),
        (
            "stillness",
            ", 'sink.rolling-policy.inactivity-interval' = '20 ms', 'sink.rolling-policy.check-interval' = '5 ms',
               'sink.partition-commit.policy.kind' = 'success-file'",
        ),
    ] {
        let out = directory.path().join(name);
        let mut child = fed(&table("sink", "PARTITIONED BY (k)", &out, more));
        for part in 0..3 {
            feed(&mut child, &format!("{part},a\n"));
            let path = out.join(format!("k=a/part-0-{part}.csv"));
            let text = wait_for(name, || fs::read_to_string(&path).ok());
            assert_eq!(text, format!("{part}\n"), "{name}");
        }
        if name == "stillness" {
            wait_for("the commit", || out.join("k=a/_SUCCESS").exists().then_some(()));
        }
        assert!(child.try_wait().expect("it can be asked").is_none(), "the job goes on");
        end(child);
    }
}

#[test]
fn text_is_packed_as_the_ending_of_its_path_says() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let input = directory.path().join("in.csv");
    fs::write(&input, numbers(20_000)).expect("it can be written");
    for ending in ["gz", "zst"] {
        let path = directory.path().join(format!("out.csv.{ending}"));
        let script = table("source", "", &input, "")
            + &table("sink", "", &path, ", 'csv.header' = 'true'")
            + "INSERT INTO sink SELECT * FROM source;"
            + &table("back", "", &directory.path().join("back.csv"), "")
            + "INSERT INTO back SELECT * FROM sink;";
        run(&script, &options(2, 4096, 1 << 14));
        let back = fs::read_to_string(directory.path().join("back.csv")).expect("it was written");
        assert!(back == numbers(20_000), "{ending}: other rows came back");
        let packed = fs::read(&path).expect("it was written");
        let mut text = String::new();
        match ending {
            "gz" => _ = flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).expect("gzip"),
            _ => text = String::from_utf8(zstd::decode_all(&packed[..]).expect("zstd")).expect("UTF-8"),
        }
        assert_eq!(text, "n,k\n".to_owned() + &numbers(20_000));
        assert!(packed.len() * 2 < text.len());
    }
}

#[test]
fn packed_partitions_and_bad_records_in_them_are_read_as_others_are() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for key in 0..40 {
        let partition = directory.path().join(format!("t/k={key}"));
        fs::create_dir_all(&partition).expect("it can be made");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"1\n2\n").expect("it is in memory");
        fs::write(partition.join("a.csv.gz"), packer.finish().expect("it is in memory")).expect("it can be written");
        fs::write(partition.join("b.csv"), if key % 9 == 5 { "3\nx\n" } else { "3\n4\n" }).expect("it can be written");
    }
    let script = |policy: &str| {
        let (path, out) = (directory.path().join("t"), directory.path().join("out.csv"));
        table("t", "PARTITIONED BY (k)", &path, &format!(", 'on-error' = '{policy}'"))
            + &table("sums", "", &out, "")
            + "INSERT INTO sums SELECT SUM(n), k FROM t GROUP BY k;"
    };
    for workers in [1, 2, 4] {
        for block_bytes in [1, 3, 1 << 17] {
            let account = &run(&script("skip"), &options(workers, 4096, block_bytes))[0];
            assert_eq!((account.sources[0].records, account.sources[0].rejected), (160, 4), "{workers}, {block_bytes}");
            let sums = fs::read_to_string(directory.path().join("out.csv")).expect("it was written");
            let expected: Vec<String> =
                (0..40).map(|key| format!("{},{key}\n", if key % 9 == 5 { 6 } else { 10 })).collect();
            assert!(sorted_lines([sums].iter()) == sorted_lines(expected.iter()), "{workers}, {block_bytes}");
        }
    }
    // The first bad record in the order of the paths, however many workers read on.
    for _ in 0..5 {
        let (code, _, told) = output(thalweg(&script("fail")).args(["--workers", "4"]));
        assert_eq!(code, Some(3), "{told}");
        assert!(told.contains("t/k=14/b.csv:2:1"), "{told}");
    }
}

#[test]
fn partitions_that_cannot_be_are_refused_with_the_reason() {
    let refused = |sql: &str, code: i32, said: &str| {
        let (found, _, told) = output(&mut thalweg(sql));
        assert_eq!(found, Some(code), "{sql}: {told}");
        assert!(told.contains(said), "{sql}: {told}");
    };
    let declared = |clause: &str, more: &str| table("t", clause, Path::new("/no/such"), more) + "SELECT * FROM t;";
    refused(&declared("PARTITIONED BY (x)", ""), 2, "there is no column `x`");
    refused(&declared("PARTITIONED BY (k, k)", ""), 2, "`k` is twice in PARTITIONED BY");
    refused(&declared("PARTITIONED BY (n, k)", ""), 2, "every column is in PARTITIONED BY");
    refused(&declared("PARTITIONED BY (k)", ""), 5, "cannot read `/no/such`");
    refused(&declared("", ", 'auto-compaction' = 'true'"), 2, "auto-compaction");
    refused(
        "CREATE TABLE t (n INT, k INT) PARTITIONED BY (k) WITH ('connector' = 'print');",
        2,
        "cannot be PARTITIONED BY",
    );
    refused("INSERT OVERWRITE t SELECT 1;", 2, "empty that before");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let read = |column: &str| {
        format!(
            "CREATE TABLE t (n INT, k {column}) PARTITIONED BY (k)
             WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}'); SELECT * FROM t;",
            directory.path().display()
        )
    };
    refused(&read("INT"), 5, "no partition of table `t`");
    fs::create_dir(directory.path().join("k=x1")).expect("it can be made");
    fs::write(directory.path().join("k=x1/a.csv"), "1\n").expect("it can be written");
    refused(&read("INT"), 3, "k=x1`: 'x1' is not a value of column `k`");
    fs::write(directory.path().join("stray.csv"), "1\n").expect("it can be written");
    refused(&read("STRING"), 5, "stray.csv` is not a partition of table `t`");
}
