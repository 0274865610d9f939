//! Where rows come from: compressed and followed files, pipes, devices, many files, standard input.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn thalweg(sql: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(["run", "-e", sql]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RUST_BACKTRACE");
    command
}

fn run(sql: &str) -> Output {
    thalweg(sql).output().expect("the binary was built with this test")
}

/// Runs a job with `input` on its standard input.
fn run_fed(sql: &str, input: &[u8]) -> Output {
    let mut child = thalweg(sql).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut pipe = child.stdin.take().expect("it is piped");
    // A job that refuses its input does not read it.
    let _ = pipe.write_all(input);
    drop(pipe);
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("all output is UTF-8")
}

/// What a job that must succeed writes.
fn rows(sql: &str) -> String {
    let done = run(sql);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    text(&done.stdout).to_owned()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(text).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).expect("memory takes all")
}

fn lines(numbers: std::ops::Range<u32>) -> Vec<u8> {
    numbers.flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().to_owned();
    (directory, path)
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a temporary file can be written");
}

fn append(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(bytes)).expect("a temporary file can be written");
}

/// A table `t` of one number, and what follows.
fn table(path: &Path, more: &str, query: &str) -> String {
    let path = path.display();
    format!(
        "CREATE TABLE t (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv'{more}); {query};"
    )
}

fn interrupt(child: &Child) {
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
}

#[test]
fn compressed_and_plain_files_are_one_table() {
    let (_kept, at) = place();
    write(&at.join("a.csv.gz"), &[gzip(b"n,s\n1,x\n2,"), gzip(b"y\n3,z\n")].concat());
    write(&at.join("b.csv"), b"s,n\nv,4\n");
    write(&at.join("c.csv.zst"), &[zstd(b"n,s\n5,"), b"\x50\x2A\x4D\x18\x02\0\0\0xx".to_vec(), zstd(b"u\n")].concat());
    let of_glob = rows(&format!("SELECT n, s FROM '{}/*' ORDER BY n", at.display()));
    assert_eq!(of_glob, "n,s\n1,x\n2,y\n3,z\n4,v\n5,u\n");
    // Without an ending that says so, too.
    fs::rename(at.join("a.csv.gz"), at.join("a.csv")).expect("it is there");
    assert_eq!(rows(&format!("SELECT SUM(n) AS n FROM '{}'", at.display())), "n\n15\n");
    assert_eq!(rows(&format!("SELECT SUM(n) AS n FROM '{}/a.csv'", at.display())), "n\n6\n");
}

#[test]
fn a_truncated_file_ends_the_job_or_costs_one_reject() {
    let (_kept, at) = place();
    let whole = gzip(&lines(0..50_000));
    write(&at.join("a.csv.gz"), &whole[..whole.len() / 2]);
    write(&at.join("b.csv"), b"-7\n");
    let query = "SELECT COUNT(*) AS c, MIN(n) AS m FROM t";
    let failed = run(&table(&at, "", query));
    assert_eq!(failed.status.code(), Some(3));
    let told = text(&failed.stderr);
    assert!(told.contains("a.csv.gz:") && told.contains("the gzip data cannot be read on from byte"), "{told}");
    assert!(told.contains("truncated"), "{told}");
    let mut found = Vec::new();
    for workers in ["1", "4"] {
        let skipped = thalweg(&table(&at, ", 'on-error' = 'skip'", query)).args(["--workers", workers]).output();
        let skipped = skipped.expect("it runs");
        assert_eq!(skipped.status.code(), Some(0), "{}", text(&skipped.stderr));
        let account = text(&skipped.stderr);
        assert!(account.contains("1 rejected") || account.contains("rejected 1"), "{account}");
        assert!(account.ends_with("every row is accounted for\n"), "{account}");
        found.push(text(&skipped.stdout).to_owned());
    }
    assert_eq!(found[0], found[1]);
    let kept = at.join("kept.ndjson");
    let diverted = run(&table(&at, &format!(", 'on-error' = 'divert', 'rejects-path' = '{}'", kept.display()), query));
    assert_eq!(text(&diverted.stdout), found[0], "{}", text(&diverted.stderr));
    let reject = fs::read_to_string(&kept).expect("there is a reject");
    assert!(reject.contains("\"corrupt\"") && reject.contains("a.csv.gz"), "{reject}");
    let (count, least) = found[0].lines().nth(1).and_then(|row| row.split_once(',')).expect("a row of two");
    let count: u32 = count.parse().expect("a number");
    assert!((10_000..50_000).contains(&count), "{count}: the rows before the cut");
    assert_eq!(least, "-7", "the next file is read");
}

#[test]
fn a_followed_file_is_read_through_rotations_until_ctrl_c() {
    let (_kept, at) = place();
    let path = at.join("app.csv");
    append(&path, &lines(0..3));
    let sql = table(&path, ", 'source.monitor-interval' = '5 ms'", "SELECT n FROM t");
    let mut child = thalweg(&sql).spawn().expect("it runs");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || output.next().expect("a line comes").expect("it can be read");
    assert_eq!([next(), next(), next(), next()], ["n", "0", "1", "2"]);
    let mut numbers = Vec::new();
    for rotation in 0..20 {
        append(&path, &lines(3 + 10 * rotation..12 + 10 * rotation));
        fs::rename(&path, at.join(format!("app.csv.{rotation}"))).expect("it is there");
        append(&path, &lines(12 + 10 * rotation..13 + 10 * rotation));
        if rotation % 4 == 0 {
            (0..10).for_each(|_| numbers.push(next()));
        }
    }
    while numbers.len() < 200 {
        numbers.push(next());
    }
    let mut numbers: Vec<u32> = numbers.iter().map(|n| n.parse().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (3..203).collect::<Vec<_>>());
    interrupt(&child);
    assert_eq!(output.next().map(|line| line.expect("it can be read")), None, "nothing twice");
    let ended = child.wait_with_output().expect("it ends");
    let told = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{told}");
    assert_eq!(told.matches("was rotated: the old file is read").count(), 1, "{told}");
    assert!(told.contains("was rotated 20 times"), "{told}");
    assert!(told.contains("every row is accounted for"), "{told}");
}

#[test]
fn a_fifo_ends_with_its_writer_unless_it_is_monitored() {
    let (_kept, at) = place();
    let path = at.join("fifo");
    make_fifo(&path);
    let query = "SELECT n FROM t";
    let child = thalweg(&table(&path, "", query)).spawn().expect("it runs");
    append(&path, b"1\n2");
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), text(&ended.stdout)), (Some(0), "n\n1\n2\n"));

    let mut child = thalweg(&table(&path, ", 'source.monitor-interval' = '5 ms'", query)).spawn().expect("it runs");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || output.next().expect("a line comes").expect("it can be read");
    append(&path, b"1\n2");
    assert_eq!([next(), next(), next()], ["n", "1", "2"]);
    append(&path, &gzip(b"3\n"));
    assert_eq!(next(), "3");
    interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn standard_input_needs_no_declaration() {
    let query = "SELECT SUM(b) AS s, MAX(a) AS m FROM '-'";
    let mut big = b"a,b\n".to_vec();
    (0..200_000).for_each(|n| big.extend_from_slice(format!("x{n:07},{n}\n").as_bytes()));
    for input in [big.clone(), gzip(&big), zstd(&big)] {
        let done = run_fed(query, &input);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert_eq!(text(&done.stdout), "s,m\n19999900000,x0199999\n");
    }
    for (sql, input, code, said) in [
        ("SELECT * FROM '-' UNION ALL SELECT * FROM '-'", &b"a\n1\n"[..], 2, "reads standard input 2 times"),
        ("SELECT * FROM '-'", b"", 5, "holds no record"),
        ("SELECT * FROM '-'", b"PAR1....", 2, "holds Parquet"),
        ("SELECT a FROM '-'", b"a\n1\n2\nx\n\"", 3, "<stdin>:5:1"),
        ("SELECT a FROM '-'", b"PK\x03\x04......", 3, "packed with zip"),
    ] {
        let failed = run_fed(sql, input);
        let told = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(code), "{sql}: {told}");
        assert!(told.contains(said), "{sql}: {told}");
    }
}

#[test]
fn parquet_needs_no_declaration_and_no_ending() {
    let (_kept, at) = place();
    let script = |part: u32, values: &str| {
        let path = at.join(format!("{part}.parquet"));
        format!(
            "CREATE TABLE p (n BIGINT, s STRING) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'parquet');
             INSERT INTO p VALUES {values};",
            path.display()
        )
    };
    rows(&script(1, "(1, 'a'), (2, 'b')"));
    rows(&script(2, "(3, 'c')"));
    let query = |path: &Path| rows(&format!("SELECT n, s FROM '{}' ORDER BY n", path.display()));
    assert_eq!(query(&at.join("*.parquet")), "n,s\n1,a\n2,b\n3,c\n");
    fs::rename(at.join("2.parquet"), at.join("part")).expect("it is there");
    assert_eq!(query(&at.join("part")), "n,s\n3,c\n");
    let followed =
        run(&table(&at, ", 'source.monitor-interval' = '1 s'", "SELECT n FROM t").replace("'csv'", "'parquet'"));
    assert_eq!(followed.status.code(), Some(2));
    assert!(text(&followed.stderr).contains("a file has no rows before it is whole"), "{}", text(&followed.stderr));
}

#[test]
fn ten_thousand_files_need_few_descriptors() {
    let (_kept, at) = place();
    for n in 0..10_000 {
        write(&at.join(format!("{n:05}.csv")), format!("n\n{n}\n").as_bytes());
    }
    let sql = format!("SELECT COUNT(*) AS c, SUM(n) AS s FROM '{}'", at.display());
    let limited = |sql: &str| {
        let script = format!("ulimit -n 64; exec {} run -e \"{sql}\"", env!("CARGO_BIN_EXE_thalweg"));
        Command::new("sh").args(["-c", &script]).output().expect("sh runs")
    };
    let done = limited(&sql);
    assert_eq!(text(&done.stdout), "c,s\n10000,49995000\n", "{}", text(&done.stderr));
    write(&at.join("00000.csv"), &gzip(b"n\n0\n"));
    let done = limited(&sql);
    assert_eq!(text(&done.stdout), "c,s\n10000,49995000\n", "{}", text(&done.stderr));
}

#[test]
fn an_endless_device_stays_within_its_memory() {
    let failed = run(&table(Path::new("/dev/zero"), ", 'max-record-bytes' = '64 kb'", "SELECT n FROM t"));
    assert_eq!(failed.status.code(), Some(3), "{}", text(&failed.stderr));
    assert!(text(&failed.stderr).contains("longer than 65536 bytes"), "{}", text(&failed.stderr));
    let failed = run(&table(Path::new("/dev/urandom"), "", "SELECT n FROM t"));
    assert_eq!(failed.status.code(), Some(3), "{}", text(&failed.stderr));

    let child = thalweg(&table(Path::new("/dev/zero"), ", 'on-error' = 'skip'", "SELECT n FROM t")).spawn();
    let child = child.expect("it runs");
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
    let field = |file: &str, name: &str| {
        let value = read(file).lines().find_map(|line| line.strip_prefix(name).map(str::to_owned)).unwrap_or_default();
        value.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0)
    };
    let start = Instant::now();
    while field("io", "rchar:") < 300 << 20 {
        assert!(start.elapsed() < Duration::from_secs(120), "it does not read on");
        std::thread::yield_now();
    }
    let peak_kib = field("status", "VmHWM:");
    assert!((1..200 << 10).contains(&peak_kib), "{peak_kib} KiB");
    interrupt(&child);
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
}

#[test]
fn what_cannot_be_read_says_why() {
    let (_kept, at) = place();
    fs::create_dir(at.join("empty")).expect("it can be made");
    std::os::unix::fs::symlink(at.join("nowhere"), at.join("dangling")).expect("it can be made");
    write(&at.join("sheet.xlsx"), b"PK\x03\x04");
    write(&at.join("text.csv.gz"), b"n\n1\n");
    let query = "SELECT n FROM t";
    for (sql, code, said) in [
        (table(&at.join("empty"), "", query), 5, "there is no file in the directory"),
        (table(&at.join("dangling"), "", query), 5, "No such file"),
        (table(&at.join("text.csv.gz"), "", query), 3, "it does not start as gzip does"),
        (table(&at.join("sheet.xlsx"), "", query), 3, "data packed with zip is not read"),
        (format!("SELECT * FROM '{}/sheet.xlsx'", at.display()), 2, "its ending says .xlsx"),
        (table(&at.join("no/such/app.csv"), ", 'source.monitor-interval' = '1 s'", query), 5, "No such file"),
    ] {
        let failed = run(&sql);
        let told = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(code), "{sql}: {told}");
        assert!(told.contains(said), "{sql}: {told}");
    }
}
