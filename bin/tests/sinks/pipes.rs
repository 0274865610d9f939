//! Pipes as sinks: nobody reads, somebody reads later, or has read enough.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use super::*;

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
        let mut lines = String::new();
        let mut reader = BufReader::with_capacity(1, reader);
        while !lines.ends_with("0,k0\n") {
            assert!(reader.read_line(&mut lines).expect("a line comes") > 0, "{lines}");
        }
        drop(reader);
        let ended = child.wait_with_output().expect("it ends");
        // Figures are grouped by commas.
        let told = String::from_utf8(ended.stderr).expect("UTF-8").replace(',', "");
        assert_eq!(ended.status.code(), Some(0), "{told}");
        assert!(!told.contains("error"), "{told}");
        let (passed, emitted) = (number_after(&told, "passed"), number_after(&told, "emitted"));
        let lost = number_before(&told, "rows were on their way");
        assert_eq!(passed, emitted + lost, "{told}");
        // The first row was read, and the pipe may have taken more.
        assert!((1..100_000).contains(&emitted) && lost > 0, "{told}");
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
