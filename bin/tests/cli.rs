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
        &["bench", "latency", "--help"],
        &["report", "--help"],
        &["gen", "trades", "--help"],
        &["gen", "measurements", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
    ] {
        let help = output(args);
        assert_eq!(code(&help), 0, "{args:?}");
        assert!(text(&help.stdout).contains("Examples:\n  thalweg "), "{args:?}");
    }
}

#[test]
fn what_does_not_work_is_not_in_the_help() {
    let help = text(&output(&["run", "--help"]).stdout) + &text(&output(&["--help"]).stdout);
    for absent in ["--flink", "serve", "nexmark"] {
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
        (&["run", "-e", "SELECT 1", "--workers", "0"], "write a number from 1 to 1024"),
        (&["run", "-e", "SELECT 1", "--pin", "some"], "'0,2,4'"),
        (&["run", "-e", "SELECT 1", "--set", "a"], "KEY=VALUE"),
        (&["run", "-e", "SELECT 1", "--memory", "lots"], "512M or 4G"),
        (&["run", "-e", "SELECT 1", "--batch-rows", "5000"], "4096"),
        (&["run", "-e", "SELECT 1", "--kernels", "avx512"], "[possible values: scalar, simd]"),
        (&["run", "-e", "SELECT 1", "--set", "thalweg.kernels=avx512"], "'scalar' or 'simd'"),
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
    assert!(text(&refused.stderr).starts_with("i/o error: cannot make the directory of '/proc/no/such/file': "));
}

/// The options of `run` that every shell and the manual must know.
const RUN_OPTIONS: [&str; 8] = ["execute", "set", "var", "watermark", "workers", "memory", "error-format", "quiet"];

#[test]
fn completions_know_commands_and_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let written = output(&["completions", shell]);
        assert_eq!(code(&written), 0, "{shell}: {}", text(&written.stderr));
        let written = text(&written.stdout);
        for word in ["run", "explain", "check", "gen", "completions", "man"].iter().chain(&RUN_OPTIONS) {
            assert!(written.contains(word), "{shell}: {word}");
        }
    }
    let refused = output(&["completions", "tcsh"]);
    assert_eq!(code(&refused), 2);
    assert!(text(&refused.stderr).contains("possible values: bash, elvish, fish, powershell, zsh"));
}

#[test]
fn bash_takes_its_completions() {
    let script = output(&["completions", "bash"]).stdout;
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("thalweg.bash");
    fs::write(&path, script).expect("it can be written");
    let complete = format!(
        "source {} && COMP_WORDS=(thalweg run --work) COMP_CWORD=2 && _thalweg thalweg --work run && echo \"${{COMPREPLY[@]}}\"",
        path.display()
    );
    let completed = Command::new("bash").args(["--norc", "-c", &complete]).output().expect("bash runs");
    assert_eq!(text(&completed.stdout), "--workers\n", "{}", text(&completed.stderr));
}

#[test]
fn manual_has_a_page_for_each_command() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let out = directory.path().join("man1");
    assert_eq!(code(&output(&["man", "--out", out.to_str().expect("a plain path")])), 0);
    let mut pages = names(&out);
    pages.sort();
    let expected = [
        "bench",
        "bench-latency",
        "check",
        "completions",
        "explain",
        "gen",
        "gen-measurements",
        "gen-trades",
        "man",
        "report",
        "run",
    ];
    let mut expected: Vec<String> = expected.iter().map(|name| format!("thalweg-{name}.1")).collect();
    expected.push("thalweg.1".to_owned());
    expected.sort();
    assert_eq!(pages, expected);
    let run = fs::read_to_string(out.join("thalweg-run.1")).expect("it was written");
    // The pages are in troff, where a hyphen is escaped.
    let run = run.replace("\\-", "-");
    for option in RUN_OPTIONS {
        assert!(run.contains(&format!("--{option}")), "{option}");
    }
    assert!(run.starts_with(".ie") && run.contains(".TH thalweg-run 1"), "{run}");
    assert!(run.contains("thalweg run job.sql --workers 4"), "the examples are in it");
    assert_eq!(text(&output(&["man", "run"]).stdout).replace("\\-", "-"), run);
    let whole = text(&output(&["man"]).stdout).replace("\\-", "-");
    assert!(whole.contains("thalweg-explain(1)") && whole.contains("130 ended by Ctrl-C"), "{whole}");
    let refused = output(&["man", "rum"]);
    assert_eq!(code(&refused), 2);
    assert!(
        text(&refused.stderr).contains("there are run, explain, check, bench, report, gen"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn version_is_that_of_the_package() {
    for flag in ["-V", "--version"] {
        assert_eq!(text(&output(&[flag]).stdout), concat!("thalweg ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[test]
fn short_help_is_shorter_and_every_option_says_what_it_does() {
    let (short, long) = (text(&output(&["run", "-h"]).stdout), text(&output(&["run", "--help"]).stdout));
    assert!(short.lines().count() < long.lines().count(), "{short}");
    let options: Vec<&str> = long.lines().map(str::trim).filter(|line| line.starts_with('-')).collect();
    assert!(options.len() > 12, "{options:?}");
    for default in ["[default: auto]", "[default: adaptive]", "[default: 4096]", "[default: 128K]"] {
        assert!(long.contains(default), "{default}");
    }
}
