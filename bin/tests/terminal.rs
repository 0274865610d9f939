//! What a person at a terminal sees: the progress line and colours, and neither where they do not belong.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal, and everything that was written to it.
struct Terminal {
    seen: Arc<(Mutex<String>, Condvar)>,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Runs `thalweg` with its standard error on a terminal of 200 columns.
    fn run(arguments: &[&str], environment: &[(&str, &str)], stdout: Stdio) -> (Self, Child) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("the system has terminals");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
        let size = Winsize { ws_row: 25, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).expect("it is a terminal");
        let name = ptsname(&master, Vec::new()).expect("it has a name").into_string().expect("a plain path");
        let slave = File::options().read(true).write(true).open(name).expect("it can be opened");
        let child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
            .args(arguments)
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(slave)
            .spawn()
            .expect("the binary was built with this test");
        let seen = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let reader = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || read_all(File::from(master), &seen)
        });
        (Self { seen, reader }, child)
    }

    /// Waits until `text` was written.
    fn wait_for(&self, text: &str) {
        let (seen, changed) = &*self.seen;
        let seen = seen.lock().expect("the reader does not panic");
        let until = changed.wait_while(seen, |seen| !seen.contains(text) && !seen.ends_with('\0'));
        let seen = until.expect("the reader does not panic");
        assert!(seen.contains(text), "no `{text}` in {seen:?}");
    }

    /// Everything that was written until the last process closed it.
    fn all(self) -> String {
        self.reader.join().expect("it does not panic");
        let seen = self.seen.0.lock().expect("it does not panic");
        seen.trim_end_matches('\0').to_owned()
    }
}

/// Reads until nobody has the terminal open any more; a NUL marks the end.
fn read_all(mut master: File, seen: &(Mutex<String>, Condvar)) {
    let mut bytes = [0; 4096];
    loop {
        // Linux ends a terminal that nobody has open with an error.
        let count = master.read(&mut bytes).unwrap_or(0);
        let text = if count == 0 { "\0".into() } else { String::from_utf8_lossy(&bytes[..count]) };
        seen.0.lock().expect("nobody panics").push_str(&text);
        seen.1.notify_all();
        if count == 0 {
            return;
        }
    }
}

/// A job of a second that writes nothing to standard output.
const SECOND: &str = "CREATE TABLE n (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10', \
                      'number-of-rows' = '10'); CREATE TABLE b (n BIGINT) WITH ('connector' = 'blackhole'); \
                      INSERT INTO b SELECT n FROM n;";

/// 20 MB: more than anything between a file and a pipe that nobody reads can hold.
fn trades(directory: &Path) -> String {
    let mut text = String::from("symbol,price,ts\n");
    for second in 0..500_000 {
        let (minute, second) = (second / 60 % 60, second % 60);
        text.push_str(&format!("SYMBOL,1.5,2024-01-01 08:{minute:02}:{second:02}.000\n"));
    }
    let path = directory.join("trades.csv");
    fs::write(&path, text).expect("a temporary file can be written");
    path.to_str().expect("a plain path").to_owned()
}

#[test]
fn progress_says_how_far_a_job_is_and_goes_away() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = trades(directory.path());
    let sql = format!("SET 'execution.runtime-mode' = 'streaming'; SELECT symbol, ts FROM '{path}'");
    let arguments = ["run", "--watermark", "ts", "-e", &sql];
    let (terminal, mut child) = Terminal::run(&arguments, &[], Stdio::piped());
    // Nobody reads the rows: the job stands still, and its end cannot come before its progress.
    for part in [" rows in · ", "/s · ", " MiB (", " %)", "watermark 2024-01-01 08:", " rows out", " s left"] {
        terminal.wait_for(part);
    }
    let mut rows = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut rows).expect("the rows are text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(rows.lines().count(), 500_001);
    let all = terminal.all();
    let (_, last) = all.rsplit_once(" rows in · ").expect("it was seen above");
    let cleared = last.find("\x1b[2K").unwrap_or_else(|| panic!("the line is taken away: {last:?}"));
    assert!(last[cleared..].contains("read 500,000 records"), "{last:?}");
}

#[test]
fn progress_is_for_a_person_alone() {
    let shown = |arguments: &[&str], environment: &[(&str, &str)]| {
        let (terminal, mut child) = Terminal::run(arguments, environment, Stdio::null());
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        terminal.all().contains(" rows in · ")
    };
    let run = ["run", "-e", SECOND];
    assert!(shown(&run, &[]));
    assert!(!shown(&run, &[("TERM", "dumb")]));
    assert!(!shown(&[&run[..], &["--quiet"]].concat(), &[]));
    assert!(!shown(&[&run[..], &["--error-format", "json"]].concat(), &[]));
    let logged = Command::new(env!("CARGO_BIN_EXE_thalweg")).args(run).stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(logged.status.code(), Some(0));
    let log = String::from_utf8(logged.stderr).expect("all output is UTF-8");
    assert!(!log.contains(" rows in") && !log.contains('\x1b') && !log.contains('\r'), "{log:?}");
}

#[test]
fn errors_are_in_colour_unless_nobody_wants_it() {
    let told = |environment: &[(&str, &str)]| {
        let (terminal, mut child) = Terminal::run(&["run", "-e", "SELECT 1 FRM t"], environment, Stdio::null());
        assert_eq!(child.wait().expect("it ends").code(), Some(2));
        terminal.all()
    };
    assert!(told(&[]).starts_with("\x1b[1;31merror\x1b[0m"));
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let told = told(&[plain]);
        assert!(told.starts_with("error: ") && !told.contains('\x1b'), "{told:?}");
    }
    assert!(told(&[("NO_COLOR", "")]).contains('\x1b'), "an empty NO_COLOR says nothing");
}
