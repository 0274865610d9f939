//! How writing ends otherwise than well: killed, refused, beside a neighbour.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

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
    for (format, clause, path) in [
        ("csv", "", "file.csv"),
        ("csv", "", "parts/"),
        ("csv", "PARTITIONED BY (k)", "keys"),
        ("parquet", "", "file.parquet"),
        ("parquet", "", "parts/"),
        ("json", "", "file.json.gz"),
    ] {
        let script = table("source", "", &input, "")
            + &table_in(format, "sink", clause, &out.join(path), "")
            + "INSERT INTO sink SELECT * FROM source;";
        let (code, _, told) = limited(&script);
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
