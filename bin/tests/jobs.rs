//! Jobs as a user runs them: rows on standard output, everything else on standard error, exit codes, interrupts.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn thalweg(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RUST_BACKTRACE");
    command
}

fn run(sql: &str) -> Output {
    run_with(sql, &[])
}

fn run_with(sql: &str, more: &[&str]) -> Output {
    thalweg(&[&["run", "-e", sql][..], more].concat()).output().expect("the binary was built with this test")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("all output is UTF-8")
}

fn interrupt(child: &Child) {
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
}

fn file(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, content).expect("a temporary file can be written");
    path.to_str().expect("a plain path").to_owned()
}

/// More rows than any pipe holds, for as long as somebody lets it.
const ENDLESS: &str = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000000');
                       SELECT n FROM numbers;";

#[test]
fn a_file_without_a_declaration_gives_rows_and_an_account() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = file(directory.path(), "trades.csv", "symbol,quantity\nA,1\nB,5\nA,2\n");
    let done = run(&format!("SELECT symbol, SUM(quantity) AS total FROM '{path}' GROUP BY symbol ORDER BY symbol"));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "symbol,total\nA,3\nB,5\n");
    let account = text(&done.stderr);
    assert!(account.starts_with("read 3 records"), "{account}");
    assert!(account.contains("aggregated 3,") && account.ends_with("every row is accounted for\n"), "{account}");
}

#[test]
fn results_come_as_json_and_as_a_table() {
    let sql = "SELECT * FROM (VALUES (1, 'a'), (2, CAST(NULL AS STRING))) AS t(n, s) ORDER BY n";
    let json = run_with(sql, &["--format", "json"]);
    assert_eq!(text(&json.stdout), "{\"n\":1,\"s\":\"a\"}\n{\"n\":2,\"s\":null}\n");
    let table = run_with(sql, &["--format", "table"]);
    let table = text(&table.stdout);
    assert!(table.contains(" n ") && table.contains(" a ") && table.lines().count() > 4, "{table}");
}

#[test]
fn an_error_says_whose_it_is_by_its_code_and_where_it_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ragged = file(directory.path(), "ragged.csv", "a,b\n1,2\n3\n");
    let words = file(directory.path(), "words.csv", "a\nx1\n");
    let wide = file(directory.path(), "wide.csv", &(0..20_000).map(|n| format!("{n},{n}\n")).collect::<String>());
    for (sql, more, code, said) in [
        (format!("SELECT c FROM '{ragged}'"), &[][..], 2, "-e:1:8"),
        ("SELECT 1 FRM t".to_owned(), &[], 2, "-e:1:10"),
        ("SELECT * FROM '/no/such/file.csv'".to_owned(), &[], 5, "/no/such/file.csv"),
        (format!("SELECT * FROM '{ragged}'"), &[], 3, "ragged.csv:3:2"),
        (format!("SELECT CAST(a AS INT) FROM '{words}'"), &[], 3, "'x1' is not a value of INT in `CAST(a AS INT)`"),
        ("SELECT 1 / (n - n) FROM (VALUES (1)) AS t(n)".to_owned(), &[], 3, "1 / (n - n)"),
        (format!("SELECT c1, COUNT(*) FROM '{wide}' GROUP BY c1"), &["--memory", "64K"], 6, "--memory allows 64.0 KiB"),
    ] {
        let failed = run_with(&sql, more);
        let told = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(code), "{sql}: {told}");
        assert!(told.contains("error: ") && told.contains(said), "{sql}: {told}");
    }
}

#[test]
fn a_statement_set_writes_all_its_files_and_a_failed_job_none() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let input = file(directory.path(), "in.csv", "a,b\n1,x\n2,y\n");
    let (left, right) = (directory.path().join("left.csv"), directory.path().join("right.csv"));
    let script = |last: &str| {
        format!(
            "CREATE TABLE l (a BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}');
             CREATE TABLE r (b {last}) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}');
             EXECUTE STATEMENT SET BEGIN
             INSERT INTO l SELECT a FROM '{input}';
             INSERT INTO r SELECT CAST(b AS {last}) FROM '{input}';
             END;",
            left.display(),
            right.display()
        )
    };
    let failed = run(&script("INT"));
    assert_eq!(failed.status.code(), Some(3), "{}", text(&failed.stderr));
    let names: Vec<_> = fs::read_dir(directory.path()).expect("it is there").flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["in.csv"], "nothing half-written is left");
    let done = run(&script("STRING"));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(fs::read_to_string(&left).expect("it was written"), "1\n2\n");
    assert_eq!(fs::read_to_string(&right).expect("it was written"), "x\ny\n");
}

#[test]
fn a_null_does_not_go_into_a_column_that_is_not_null() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = directory.path().join("out.csv");
    let script = |value: &str| {
        format!(
            "CREATE TABLE t (a INT NOT NULL, b INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}');
             INSERT INTO t SELECT a, b FROM (VALUES (1, CAST(NULL AS INT)), ({value}, 2)) AS v(a, b);",
            output.display()
        )
    };
    let refused = run(&script("CAST(NULL AS INT)"));
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("column `a`, which is NOT NULL"), "{}", text(&refused.stderr));
    assert!(!output.exists());
    assert_eq!(run(&script("7")).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&output).expect("it was written"), "1,\n7,2\n");
}

#[test]
fn a_closed_pipe_ends_an_endless_job_quietly() {
    let mut child = thalweg(&["run", "-e", ENDLESS]).spawn().expect("it runs");
    let mut head = [0; 100];
    child.stdout.take().expect("it is piped").read_exact(&mut head).expect("rows come");
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    assert!(!text(&ended.stderr).contains("error"), "{}", text(&ended.stderr));
}

#[test]
fn an_interrupt_drains_a_job_whose_input_is_silent() {
    let sql = "CREATE TABLE lines (a STRING) WITH ('connector' = 'stdin', 'format' = 'csv'); SELECT a FROM lines;";
    let mut child = thalweg(&["run", "-e", sql]).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut input = child.stdin.take().expect("it is piped");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    input.write_all(b"first\n").and_then(|()| input.flush()).expect("it reads");
    let mut line = String::new();
    for expected in ["a\n", "first\n"] {
        line.clear();
        output.read_line(&mut line).expect("a row comes while the input stays open");
        assert_eq!(line, expected);
    }
    interrupt(&child);
    let ended = child.wait_with_output().expect("it ends though nobody closes its input");
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    assert!(text(&ended.stderr).contains("drained before the end of input"), "{}", text(&ended.stderr));
    drop(input);
}

#[test]
fn an_interrupt_ends_a_job_whose_output_nobody_reads() {
    let mut child = thalweg(&["run", "-e", ENDLESS]).spawn().expect("it runs");
    let mut output = child.stdout.take().expect("it is piped");
    output.read_exact(&mut [0; 100]).expect("rows come");
    // From here on nobody reads: the pipe fills, and the thread that writes it blocks.
    interrupt(&child);
    let ended = child.wait_with_output().expect("it ends though nobody reads its output");
    assert_eq!(ended.status.code(), Some(130), "{}", text(&ended.stderr));
    drop(output);
}

/// Rows of a query over two files, one of them with a blank and a quote in its name.
fn rows_of_files(sql: &str, more: &[&str]) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    file(directory.path(), "a.csv", "ts,n\n2024-01-01 00:00:01,1\n2024-01-01 00:00:03,2\n");
    file(directory.path(), "it's b.csv", "ts,n\n2024-01-01 00:00:02,10\n2024-01-01 00:01:02,20\n");
    file(directory.path(), "names.csv", "n,name\n1,one\n");
    let arguments = [&["run", "--quiet", "-e", sql][..], more].concat();
    let done = thalweg(&arguments).current_dir(directory.path()).output().expect("it runs");
    assert_eq!(done.status.code(), Some(0), "{sql}: {}", text(&done.stderr));
    let mut rows: Vec<String> = text(&done.stdout).lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

#[test]
fn a_query_reads_several_files_without_declarations() {
    for (sql, expected) in [
        ("SELECT n FROM 'a.csv' UNION ALL SELECT n FROM 'it''s b.csv'", &["1", "10", "2", "20"][..]),
        (
            "SELECT SUM(n) AS n FROM (SELECT n FROM 'a.csv' UNION ALL SELECT n FROM 'it''s b.csv') AS both_files",
            &["33"],
        ),
        (
            "WITH a AS (SELECT n FROM 'a.csv'), b AS (SELECT n FROM 'it''s b.csv' WHERE n > 10)
             SELECT n FROM a UNION ALL SELECT n FROM b",
            &["1", "2", "20"],
        ),
        ("SELECT n FROM 'a.csv' UNION ALL SELECT n * 100 FROM 'a.csv' AS again", &["1", "100", "2", "200"]),
        ("SELECT `a.csv`.n FROM 'a.csv'", &["1", "2"]),
        ("SELECT t.n FROM 'it''s b.csv' AS t WHERE t.n < 20", &["10"]),
    ] {
        assert_eq!(rows_of_files(sql, &[]), expected, "{sql}");
    }
}

#[test]
fn a_watermark_is_for_those_of_several_files_that_have_its_column() {
    let windows =
        "SELECT window_start, SUM(n) FROM TABLE(TUMBLE(TABLE both_files, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
                   GROUP BY window_start, window_end";
    let both = "CREATE VIEW both_files AS SELECT ts, n FROM 'a.csv' UNION ALL SELECT ts, n FROM 'it''s b.csv';";
    let watermark = ["--watermark", "ts - INTERVAL '5' SECOND", "--set", "execution.runtime-mode=streaming"];
    let expected = ["2024-01-01 00:00:00.000,13", "2024-01-01 00:01:00.000,20"];
    assert_eq!(rows_of_files(&format!("{both} {windows}"), &watermark), expected);
    let beside = "SELECT CAST(n AS STRING) AS v FROM 'a.csv' UNION ALL SELECT name FROM 'names.csv'";
    assert_eq!(rows_of_files(beside, &watermark), ["1", "2", "one"]);
}

#[test]
fn the_strategy_is_that_of_the_flag_else_of_set_else_the_default() {
    let query = "EXPLAIN SELECT n, COUNT(*) FROM (VALUES (1), (2)) AS t(n) GROUP BY n";
    let set = format!("SET 'thalweg.state.strategy' = 'hold-lock'; {query}");
    for (sql, more, state) in [
        (query, &[][..], "owned-shards"),
        (&set, &[], "hold-lock"),
        (&set, &["--strategy", "actor"], "actor"),
        (&set, &["--set", "thalweg.state.strategy=local-merge"], "local-merge"),
        (
            query,
            &["--strategy", "auto", "--workers", "1"],
            "hold-lock, chosen by auto because one worker shares with nobody: 1 source, 1 worker, no readers, about 2 keys \
             (2 in the first 2 rows)",
        ),
    ] {
        let done = run_with(sql, more);
        assert!(text(&done.stdout).contains(&format!("\n  state: {state}\n")), "{}", text(&done.stdout));
        let explained = thalweg(&[&["explain", "-e", sql][..], more].concat()).output().expect("it runs");
        assert_eq!(text(&explained.stdout), text(&done.stdout).trim_end().to_owned() + "\n\n");
    }
}

#[test]
fn metrics_are_shown_if_they_are_asked_for() {
    let query = "SELECT n, COUNT(*) FROM (VALUES (1), (2), (2)) AS t(n) GROUP BY n";
    let set = format!("SET 'thalweg.metrics' = 'on'; {query}");
    for (sql, more, is_shown) in [
        (query, &[][..], false),
        (query, &["--metrics", "on"], true),
        (&set, &[], true),
        (&set, &["--metrics", "off"], false),
    ] {
        let done = run_with(sql, more);
        let told = text(&done.stderr);
        assert_eq!(told.contains("\nstage 1 merge, state: owned-shards\n  3 rows in 1 batch, "), is_shown, "{told}");
        assert!(told.ends_with("every row is accounted for\n"), "{told}");
        let json = run_with(sql, &[more, &["--error-format", "json"]].concat());
        let told = text(&json.stderr);
        let aggregation = r#""aggregations":[{"stage":"1 merge","strategy":"owned-shards","state":"owned-shards""#;
        assert!(told.contains(aggregation), "{told}");
        assert_eq!(told.contains(r#""fold_ns":"#), is_shown, "{told}");
    }
}

#[test]
fn a_program_reads_the_account_as_json() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = file(directory.path(), "in.csv", "a\n1\n2\n");
    let done = run_with(&format!("SELECT a FROM '{path}' WHERE a > 1"), &["--format", "json"]);
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(text(&done.stdout), "{\"a\":2}\n");
    let account = text(&done.stderr);
    assert_eq!(account.lines().count(), 1, "{account}");
    assert!(account.starts_with("{\"type\":\"account\",\"records\":2,\"rejected\":0,"), "{account}");
    assert!(account.contains("\"filtered\":1,\"aggregated\":0,\"passed\":1,\"late\":0,\"emitted\":1,"), "{account}");
}
