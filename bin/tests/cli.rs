//! The command line as a user meets it, as far as it needs no job: help, usage errors, generated data.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn thalweg(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(args).stdin(Stdio::null()).env_remove("RUST_BACKTRACE");
    command
}

fn output(args: &[&str]) -> Output {
    thalweg(args).output().expect("the binary was built with this test")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal ended it")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("all output is UTF-8")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    entries.map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn help_shows_examples() {
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["explain", "--help"],
        &["check", "--help"],
        &["gen", "trades", "--help"],
        &["gen", "measurements", "--help"],
    ] {
        let help = output(args);
        assert_eq!(code(&help), 0, "{args:?}");
        assert!(text(&help.stdout).contains("Examples:\n  thalweg "), "{args:?}");
    }
}

#[test]
fn what_does_not_work_is_not_in_the_help() {
    let help = text(&output(&["run", "--help"]).stdout) + &text(&output(&["--help"]).stdout);
    for absent in ["--strategy", "--batch-delay", "--latency-report", "--flink", "serve", "bench", "nexmark"] {
        assert!(!help.contains(absent), "{absent}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_accepted() {
    for (args, said) in [
        (&[][..], "Usage: thalweg"),
        (&["rum"], "run"),
        (&["run"], "no SQL was given"),
        (&["run", "-e", "SELECT 1", "--format", "xml"], "[possible values: table, csv, json]"),
        (&["run", "-e", "SELECT 1", "--worker", "2"], "--workers"),
        (&["run", "-e", "SELECT 1", "--workers", "0"], "0 is not in 1..="),
        (&["run", "-e", "SELECT 1", "--pin", "some"], "'0,2,4'"),
        (&["run", "-e", "SELECT 1", "--set", "a"], "KEY=VALUE"),
        (&["run", "-e", "SELECT 1", "--memory", "lots"], "512M or 4G"),
        (&["run", "-e", "SELECT 1", "--batch-rows", "5000"], "4096"),
        (&["run", "no/such.sql"], "cannot read 'no/such.sql'"),
        (&["gen", "trades", "--zipf", "11"], "a number from 0 to 10"),
        (&["gen", "trade"], "'trades'"),
        (&["gen", "weather"], "unrecognized subcommand 'weather'"),
    ] {
        let refused = output(args);
        assert_eq!(code(&refused), 2, "{args:?}");
        assert!(refused.stdout.is_empty(), "{args:?}");
        let told = text(&refused.stderr);
        assert!(told.contains(said), "{args:?}: {told}");
    }
}

#[test]
fn script_that_is_not_utf8_is_refused_with_its_line() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("job.sql");
    fs::write(&path, b"SELECT 1;\nSELECT '\xe9';\n").expect("it can be written");
    let refused = output(&["run", path.to_str().expect("a plain path")]);
    assert_eq!(code(&refused), 2);
    assert!(text(&refused.stderr).contains("is not UTF-8 on line 2"));
}

#[test]
fn generated_bytes_depend_on_the_seed_alone() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("trades.csv");
    let args = ["gen", "trades", "--rows", "60000", "--seed", "5", "--traders", "7", "--zipf"];
    let one = thalweg(&args).env("RAYON_NUM_THREADS", "1").output().expect("it runs");
    let three = thalweg(&args).env("RAYON_NUM_THREADS", "3").output().expect("it runs");
    assert_eq!(code(&one), 0);
    assert!(one.stderr.is_empty(), "nothing is said where there is no terminal");
    assert!(one.stdout == three.stdout);
    let out = ["--out", path.to_str().expect("a plain path")];
    assert_eq!(code(&output(&[&args[..], &out].concat())), 0);
    assert!(fs::read(&path).expect("it was written") == one.stdout);
    let csv = text(&one.stdout);
    assert!(csv.starts_with("trader_id,symbol,price,quantity,trade_time\nTRADER"));
    assert_eq!(csv.lines().count(), 60_001);
    let other = output(&["gen", "trades", "--rows", "10", "--seed", "6"]);
    assert!(!one.stdout.starts_with(&other.stdout));
}

#[test]
fn closed_pipe_ends_it_quietly() {
    let mut child = thalweg(&["gen", "measurements", "--rows", "1000000000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut head = [0; 100];
    child.stdout.take().expect("it is piped").read_exact(&mut head).expect("rows come");
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(code(&ended), 0);
    assert!(ended.stderr.is_empty(), "{}", text(&ended.stderr));
}

#[test]
fn interrupt_leaves_no_file() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("trades.csv");
    let mut child =
        thalweg(&["gen", "trades", "--rows", "1000000000000", "--out", path.to_str().expect("a plain path")])
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
    while names(directory.path()).is_empty() {
        assert!(child.try_wait().expect("it can be asked").is_none(), "it must not end by itself");
        std::thread::yield_now();
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(names(directory.path()), Vec::<String>::new());
}

#[test]
fn output_that_cannot_be_made_exits_with_5() {
    let refused = output(&["gen", "trades", "--rows", "1", "--out", "/proc/no/such/file"]);
    assert_eq!(code(&refused), 5);
    assert!(text(&refused.stderr).starts_with("error: cannot make the directory of '/proc/no/such/file': "));
}
