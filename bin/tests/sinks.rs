//! Files as sinks: which rows are where, what is left when a process dies, and what the system may refuse.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use thalweg::job::{self, Account, JobControl, JobOptions, Pin};
use thalweg::sql::{Outcome, Session, SessionOptions};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The numbers from 0 on with a key, as CSV.
fn numbers(rows: usize) -> String {
    (0..rows).map(|number| format!("{number},k{}\n", number * 7 % 5)).collect()
}

fn table(name: &str, clause: &str, path: &Path, more: &str) -> String {
    format!(
        "CREATE TABLE {name} (n BIGINT, k STRING) {clause}
         WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}'{more});",
        path.display()
    )
}

fn run(sql: &str, options: &JobOptions) -> Vec<Account> {
    let mut session = Session::new(SessionOptions::default());
    let script = session.parse(sql).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut accounts = Vec::new();
    for statement in &script.statements {
        match session.execute(statement).unwrap_or_else(|error| panic!("{error:?}")) {
            Outcome::Job(plan) => {
                let account = job::run(plan, options, &JobControl::new()).unwrap_or_else(|error| panic!("{error:?}"));
                account.check().unwrap_or_else(|why| panic!("{why}"));
                accounts.push(account);
            }
            Outcome::Done => {}
            other => panic!("{other:?}"),
        }
    }
    accounts
}

fn options(workers: usize, batch_rows: usize, block_bytes: usize) -> JobOptions {
    JobOptions { workers, batch_rows, block_bytes, pin: Pin::Off, ..JobOptions::default() }
}

/// All files below `directory` by their names, hidden ones too.
fn tree(directory: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(next) = directories.pop() {
        // A directory may go while it is listed.
        for path in fs::read_dir(next).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(directory).expect("it is below").to_string_lossy().into_owned();
                files.insert(name, fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    files
}

fn sorted_lines<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut lines: Vec<String> = texts.flat_map(|text| text.lines()).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn which_rows_are_written_does_not_depend_on_workers_batches_or_blocks() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let input = directory.path().join("in.csv");
    fs::write(&input, numbers(3_000)).expect("it can be written");
    let whole = fs::read_to_string(&input).expect("it is there");
    let expected = sorted_lines([whole].iter());
    for (name, clause, more) in [
        ("parts", "", ", 'sink.parallelism' = '3'"),
        ("rolled", "", ", 'sink.rolling-policy.file-size' = '2 kb', 'sink.parallelism' = '2'"),
        ("keys", "PARTITIONED BY (k)", ", 'sink.rolling-policy.file-size' = '1 kb'"),
    ] {
        let mut trees: BTreeMap<usize, BTreeMap<String, String>> = BTreeMap::new();
        for (workers, batch_rows, block_bytes) in
            [(1, 4096, 1500), (2, 4096, 1500), (4, 7, 1500), (1, 100, 256), (4, 4096, 256), (2, 4096, 1 << 17)]
        {
            let out = directory.path().join(format!("{name}-{workers}-{batch_rows}-{block_bytes}"));
            let script = table("source", "", &input, "")
                + &table("sink", clause, &out, more)
                + "INSERT INTO sink SELECT * FROM source;"
                + &table("back", "", &directory.path().join("back.csv"), "")
                + "INSERT INTO back SELECT * FROM sink;";
            let accounts = run(&script, &options(workers, batch_rows, block_bytes));
            assert_eq!((accounts[0].emitted, accounts[1].emitted), (3_000, 3_000));
            let files = tree(&out);
            assert!(files.keys().all(|file| !file.contains("/.") && !file.starts_with('.')), "{files:?}");
            let back = fs::read_to_string(directory.path().join("back.csv")).expect("it was written");
            let is_same = sorted_lines([back].iter()) == expected;
            assert!(is_same, "{name}, {workers}, {batch_rows}, {block_bytes}: other rows");
            if name == "rolled" && block_bytes < 2_000 {
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

fn thalweg(sql: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(["run", "-e", sql]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RUST_BACKTRACE");
    command
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary was built with this test");
    let text = |bytes| String::from_utf8(bytes).expect("all output is UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// Waits until `found` gives something.
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: it does not come");
        std::thread::yield_now();
    }
}

fn hidden_bytes(directory: &Path) -> Option<u64> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let hidden = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".tmp"));
    hidden.filter_map(|entry| Some(entry.metadata().ok()?.len())).max()
}

/// A kill at any moment leaves the old file, the new one, or none where there was none; and the next run cleans up.
#[test]
fn a_killed_job_leaves_nothing_half_written() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let input = directory.path().join("in.csv");
    let whole = numbers(100_000);
    fs::write(&input, &whole).expect("it can be written");
    let out = directory.path().join("out");
    fs::create_dir(&out).expect("it can be made");
    let destination = out.join("new.csv");
    let script = table("source", "", &input, "")
        + &table("sink", "", &destination, "")
        + "INSERT INTO sink SELECT * FROM source;";
    let mut rng = StdRng::seed_from_u64(9);
    let mut killed_early = 0;
    for round in 0..20 {
        let old = (round % 2 == 1).then_some("old\n");
        match old {
            Some(old) => fs::write(&destination, old).expect("it can be written"),
            None => _ = fs::remove_file(&destination),
        }
        let mut child = thalweg(&script).spawn().expect("it runs");
        // A moment by what has been done and not by the clock: so many bytes, or the end.
        let bytes = rng.random_range(0..whole.len() as u64 * 11 / 10);
        wait_for("the hidden file", || {
            let is_over = child.try_wait().expect("it can be asked").is_some();
            (is_over || hidden_bytes(&out).is_some_and(|found| found >= bytes)).then_some(())
        });
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let left = fs::read_to_string(&destination).ok();
        let is_new = left.as_deref() == Some(whole.as_str());
        assert!(is_new || left.as_deref() == old, "round {round}: {} bytes", left.unwrap_or_default().len());
        killed_early += usize::from(!is_new);
        let names = tree(&out);
        assert!(names.keys().all(|name| name == "new.csv" || (name.starts_with('.') && name.ends_with(".tmp"))));
        assert!(names.len() <= 2, "a later run removes what an earlier one left: {:?}", names.keys());
    }
    assert!(killed_early >= 5, "only {killed_early} were killed before the end");
    assert_eq!(output(&mut thalweg(&script)).0, Some(0));
    assert_eq!(tree(&out).into_keys().collect::<Vec<_>>(), ["new.csv"]);
    assert_eq!(fs::read_to_string(&destination).expect("it is there"), whole);
}

/// A job that reads lines from its standard input, as they come.
fn fed(sink: &str) -> Child {
    let script = "CREATE TABLE lines (n BIGINT, k STRING) WITH ('connector' = 'stdin', 'format' = 'csv');".to_owned()
        + sink
        + "INSERT INTO sink SELECT * FROM lines;";
    thalweg(&script).stdin(Stdio::piped()).spawn().expect("it runs")
}

fn feed(child: &mut Child, lines: &str) {
    let pipe = child.stdin.as_mut().expect("it is piped");
    pipe.write_all(lines.as_bytes()).expect("it reads");
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn a_neighbour_that_is_alive_keeps_its_hidden_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let destination = directory.path().join("out.csv");
    let sink = table("sink", "", &destination, "");
    let mut slow = fed(&sink);
    wait_for("the hidden file", || hidden_bytes(directory.path()));
    let mut quick = fed(&sink);
    feed(&mut quick, "1,quick\n");
    end(quick);
    assert_eq!(fs::read_to_string(&destination).expect("it was written"), "1,quick\n");
    assert!(hidden_bytes(directory.path()).is_some(), "the slow one is still writing");
    feed(&mut slow, "2,slow\n");
    end(slow);
    assert_eq!(fs::read_to_string(&destination).expect("it was written"), "2,slow\n");
    assert_eq!(tree(directory.path()).len(), 1);
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
fn what_the_system_refuses_is_an_error_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let input = directory.path().join("in.csv");
    fs::write(&input, numbers(30_000)).expect("it can be written");
    let out = directory.path().join("out");
    fs::create_dir(&out).expect("it can be made");
    let script = |clause: &str, path: &Path, more: &str| {
        table("source", "", &input, "") + &table("sink", clause, path, more) + "INSERT INTO sink SELECT * FROM source;"
    };
    let (code, _, told) = output(&mut thalweg(&script("", Path::new("/dev/full"), "")));
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("cannot write '/dev/full': No space left on device") && told.contains("make room"), "{told}");
    // No file may grow beyond some KiB: the nearest to a full disk that every system allows.
    let limited = |sql: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f 16 && exec \"$0\" run -e \"$1\"", env!("CARGO_BIN_EXE_thalweg"), sql]);
        output(&mut command)
    };
    for (clause, path) in [("", "file.csv"), ("", "parts/"), ("PARTITIONED BY (k)", "keys")] {
        let (code, _, told) = limited(&script(clause, &out.join(path), ""));
        assert_eq!(code, Some(5), "{path}: {told}");
        assert!(told.contains("File too large") && told.contains("ulimit"), "{told}");
        assert_eq!(tree(&out), BTreeMap::new(), "{path}");
    }
    // Nobody makes files in /proc, not even root.
    for path in ["/proc/out.csv", "/proc/self/parts/"] {
        let (code, _, told) = output(&mut thalweg(&script("", Path::new(path), "")));
        assert_eq!(code, Some(5), "{path}: {told}");
        assert!(told.contains("error: cannot") && told.contains("/proc"), "{told}");
    }
    let (code, _, told) = output(&mut thalweg(&script("", &input, ", 'sink.parallelism' = '2'")));
    assert_eq!(code, Some(2), "{told}");
    let (code, _, told) = output(&mut thalweg(&script("", &input.join("below.csv"), "")));
    assert_eq!(code, Some(5), "a file is no directory: {told}");
    let (code, _, _) = output(&mut thalweg(&script("", &directory.path().join("made/on/the/way.csv"), "")));
    assert_eq!(code, Some(0));
    assert!(directory.path().join("made/on/the/way.csv").is_file());
}

#[test]
fn two_sinks_with_one_destination_are_refused_and_in_one_directory_they_are_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = |path: &str| {
        let path = directory.path().join(path);
        table("a", "", &path, "")
            + &table("b", "", &path, "")
            + "EXECUTE STATEMENT SET BEGIN INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (2, 'y'); END;"
    };
    let (code, _, told) = output(&mut thalweg(&script("one.csv")));
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("two sinks write"), "{told}");
    assert_eq!(tree(directory.path()), BTreeMap::new());
    let (code, _, told) = output(&mut thalweg(&script("parts/")));
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(sorted_lines(tree(directory.path()).values()), ["1,x", "2,y"]);
}

fn number_before(text: &str, words: &str) -> u64 {
    let before = text.split(words).next().unwrap_or_default();
    let digits = before.rsplit(|character: char| !character.is_ascii_digit()).find(|word| !word.is_empty());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no number before '{words}': {text}"))
}

fn number_after(text: &str, words: &str) -> u64 {
    let after = text.split(words).nth(1).unwrap_or_else(|| panic!("no '{words}': {text}"));
    let digits: String = after.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after '{words}': {text}"))
}

#[test]
fn a_reader_that_goes_away_ends_the_job_and_its_account_says_what_did_not_arrive() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let input = directory.path().join("in.csv");
    fs::write(&input, numbers(200_000)).expect("it can be written");
    let fifo = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let select = format!("SELECT c1, c2 FROM '{}'", input.display());
    let insert =
        table("source", "", &input, "") + &table("sink", "", &fifo, "") + "INSERT INTO sink SELECT * FROM source;";
    for (sql, is_fifo) in [(select, false), (insert, true)] {
        let mut child = thalweg(&sql).spawn().expect("it runs");
        let reader: Box<dyn Read> = match is_fifo {
            // A pipe without a reader is waited for.
            true => Box::new(fs::File::open(&fifo).expect("it has a writer")),
            false => Box::new(child.stdout.take().expect("it is piped")),
        };
        let mut first = String::new();
        let mut reader = BufReader::with_capacity(1, reader);
        reader.read_line(&mut first).expect("a line comes");
        assert!(first == "c1,c2\n" || first == "0,k0\n", "{first}");
        drop(reader);
        let ended = child.wait_with_output().expect("it ends");
        let told = String::from_utf8(ended.stderr).expect("UTF-8");
        assert_eq!(ended.status.code(), Some(0), "{told}");
        assert!(!told.contains("error"), "{told}");
        let (passed, emitted) = (number_after(&told, "passed"), number_after(&told, "emitted"));
        let lost = number_before(&told, "rows were on their way");
        assert_eq!(passed, emitted + lost, "{told}");
        // The pipe itself takes 64 KiB, of which a reader of one byte at a time had hardly any.
        assert!(emitted > 1_000 && lost > 0, "{told}");
        assert!(told.ends_with("every row is accounted for\n"), "{told}");
    }
}

#[test]
fn a_pipe_without_a_reader_is_waited_for_until_somebody_reads() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let fifo = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let script = table("sink", "", &fifo, "") + "INSERT INTO sink VALUES (1, 'a'), (2, 'b');";
    let child = thalweg(&script).spawn().expect("it runs");
    assert_eq!(fs::read_to_string(&fifo).expect("it has a writer"), "1,a\n2,b\n");
    end(child);
    assert!(fifo.exists(), "a pipe is not replaced by a file");
}

/// Nobody reads: the job stands still, and has read no more than fits into its lanes.
#[test]
fn an_unread_pipe_holds_the_job_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let input = directory.path().join("in.csv");
    let bytes = 64 << 20;
    fs::write(&input, "0123456789,abcdefghi\n".repeat(bytes / 21)).expect("it can be written");
    let mut command = thalweg(&format!("SELECT * FROM '{}'", input.display()));
    let mut child = command.args(["--workers", "2"]).spawn().expect("it runs");
    let counters = PathBuf::from(format!("/proc/{}/io", child.id()));
    let mut seen = (0, Instant::now());
    wait_for("standing still", || {
        let read = number_after(&fs::read_to_string(&counters).expect("it is alive"), "rchar:");
        if read != seen.0 {
            seen = (read, Instant::now());
        }
        (read > 1 << 20 && seen.1.elapsed() > Duration::from_millis(700)).then_some(())
    });
    assert!(seen.0 < bytes as u64 / 4, "{} bytes were read", seen.0);
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
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
        let (code, _, told) = output(&mut thalweg(&script("fail")).args(["--workers", "4"]));
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
