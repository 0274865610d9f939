//! Typical mistakes, and what a user is told of each: the exact standard error and exit code.
//!
//! A case is `bin/tests/messages/NAME.txt`. It runs in a directory of its own that holds `trades.csv` and what the case
//! puts there:
//!
//! ```text
//! # why: the reason for the case
//! $ thalweg run job.sql                  the command; > /dev/full sends the results there
//! [file job.sql]                         a file in the directory
//! [bytes utf16.csv]                      the same, with \xNN for a byte and \n for a line end
//! [repeat 50000 long.csv]                the same, its second line so many times over
//! [directory data]                       an empty directory
//! [locked secret.csv] [locked out/]      a file or directory without any rights, for a user who is not root
//! [stdin]                                standard input
//! [exit]                                 expected: the exit code
//! [stderr]                               expected: standard error
//! ```
//!
//! `UPDATE_MESSAGES=1 cargo test -p thalweg --test messages` writes what is expected anew: read the difference as a user
//! would. `MESSAGES=json` runs only the cases whose names hold that word.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TRADES: &str = "\
symbol,trader,price,quantity,trade_time
A,t1,1.5,10,2024-01-01 00:00:01
B,t2,2.5,20,2024-01-01 00:00:02
A,t1,3.5,30,2024-01-01 00:00:03
";

/// What a user without rights is called on every Unix.
const NOBODY: u32 = 65_534;

struct Case {
    path: PathBuf,
    /// Everything ahead of what is expected.
    head: String,
    command: Vec<String>,
    into_full_disk: bool,
    sections: Vec<(String, String)>,
}

impl Case {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("a case can be read");
        assert!(text.starts_with("# why: "), "{}: say why", path.display());
        let head = text.find("\n[exit]\n").map_or(text.trim_end(), |at| &text[..at]);
        let line = text.lines().find_map(|line| line.strip_prefix("$ thalweg"));
        let line = line.unwrap_or_else(|| panic!("{}: `$ thalweg …` is missing", path.display()));
        let (line, into_full_disk) = match line.strip_suffix(" > /dev/full") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                Some(name) => sections.push((name.to_owned(), String::new())),
                None => {
                    if let Some((_, content)) = sections.last_mut() {
                        content.extend([line, "\n"]);
                    }
                }
            }
        }
        Self { head: head.to_owned(), command: words(line), into_full_disk, sections, path }
    }

    fn section(&self, name: &str) -> Option<&str> {
        self.sections.iter().find(|(section, _)| section == name).map(|(_, content)| content.as_str())
    }

    /// Runs it; gives its exit code and standard error.
    fn run(&self) -> (i32, String) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::write(root.join("trades.csv"), TRADES).expect("it can be written");
        let mut binary = PathBuf::from(env!("CARGO_BIN_EXE_thalweg"));
        let locks: Vec<PathBuf> = self.sections.iter().filter_map(|(name, content)| lay(root, name, content)).collect();
        let is_root = fs::metadata(root).expect("it is there").uid() == 0;
        if !locks.is_empty() && is_root {
            // The build's directory may be closed to other users.
            let copy = root.join("thalweg");
            fs::copy(&binary, &copy).expect("the binary can be copied");
            binary = copy;
        }
        let mut command = Command::new(binary);
        command.args(&self.command).current_dir(root).stdin(Stdio::piped()).stderr(Stdio::piped());
        command.env_clear().env("HOME", "/home/me").env("LANG", "C.UTF-8");
        command.stdout(match self.into_full_disk {
            true => Stdio::from(fs::File::create("/dev/full").expect("Linux has it")),
            false => Stdio::null(),
        });
        if !locks.is_empty() && is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut child = command.spawn().expect("the binary was built with this test");
        let mut input = child.stdin.take().expect("it is piped");
        // A process that ends without reading its input closes the pipe.
        let _ = input.write_all(self.section("stdin").unwrap_or_default().as_bytes());
        drop(input);
        let ended = child.wait_with_output().expect("it ends");
        for lock in locks {
            fs::set_permissions(lock, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        let told = String::from_utf8(ended.stderr).expect("all output is UTF-8");
        (ended.status.code().expect("no signal ended it"), told)
    }

    fn with_expected(&self, code: i32, told: &str) -> String {
        format!("{}\n[exit]\n{code}\n[stderr]\n{told}", self.head)
    }
}

/// Puts what a section says into the directory; gives the path if it is to be locked.
fn lay(root: &Path, name: &str, content: &str) -> Option<PathBuf> {
    let (kind, name) = name.split_once(' ')?;
    let path = root.join(name);
    match kind {
        "file" => fs::write(path, content).expect("it can be written"),
        "bytes" => fs::write(path, bytes(content.trim_end())).expect("it can be written"),
        "directory" => fs::create_dir(path).expect("it can be made"),
        "repeat" => {
            let (count, name) = name.split_once(' ').expect("[repeat COUNT NAME]");
            let lines: Vec<&str> = content.lines().collect();
            let mut text = format!("{}\n", lines[0]);
            text.push_str(&format!("{}\n", lines[1]).repeat(count.parse().expect("a number")));
            lines[2..].iter().for_each(|line| text.extend([line, "\n"]));
            fs::write(root.join(name), text).expect("it can be written");
        }
        "locked" => {
            if name.ends_with('/') {
                fs::create_dir(&path).expect("it can be made");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).expect("it is ours");
            } else {
                fs::write(&path, content).expect("it can be written");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("it is ours");
            }
            return Some(path);
        }
        _ => panic!("there is no section [{kind} {name}]"),
    }
    None
}

/// `\xNN` and `\n` as the bytes that they stand for.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some(hex) = rest.strip_prefix("\\x") {
            out.push(u8::from_str_radix(&hex[..2], 16).expect("two hexadecimal digits"));
            rest = &hex[2..];
        } else if let Some(behind) = rest.strip_prefix("\\n") {
            out.push(b'\n');
            rest = behind;
        } else {
            out.extend(character.to_string().as_bytes());
            rest = &rest[character.len_utf8()..];
        }
    }
    out
}

/// The words of a command: separated by blanks, but not within quotes; `\"` is a quote within double ones.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, ' ') => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (Some('"'), '\\') if characters.peek() == Some(&'"') => {
                word.get_or_insert_default().extend(characters.next());
            }
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let wanted = std::env::var("MESSAGES").unwrap_or_default();
    let entries = fs::read_dir(directory).expect("the cases are there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths.retain(|path| path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains(&wanted)));
    paths.into_iter().map(Case::read).collect()
}

#[test]
fn each_mistake_is_told_as_it_was_agreed() {
    let is_update = std::env::var_os("UPDATE_MESSAGES").is_some();
    let mut differences = String::new();
    let cases = cases();
    for case in &cases {
        let (code, told) = case.run();
        if is_update {
            fs::write(&case.path, case.with_expected(code, &told)).expect("it can be written");
        }
        let expected = (case.section("exit").unwrap_or_default().trim(), case.section("stderr").unwrap_or_default());
        if !is_update && (expected.0 != code.to_string() || expected.1 != told) {
            let _ = writeln!(
                differences,
                "---- {}: exit {} expected, {code} found\n{}---- found\n{told}",
                case.path.display(),
                expected.0,
                expected.1
            );
        }
    }
    assert!(differences.is_empty(), "{differences}\nUPDATE_MESSAGES=1 writes the cases anew");
}

#[test]
fn no_message_is_technical() {
    for case in cases() {
        let told = case.section("stderr").unwrap_or_default();
        for noise in ["panicked", "RUST_BACKTRACE", "os error", "DataFusion", "sqlparser", "Ident {", "Some(", "EOF"] {
            assert!(!told.contains(noise), "{}: {noise}\n{told}", case.path.display());
        }
        let mends = ["help: ", "tip: ", "\"help\":\"", "write ", "[possible values: "];
        let is_mended = mends.iter().any(|mend| told.contains(mend));
        assert!(is_mended, "{}: nothing says how to mend it\n{told}", case.path.display());
    }
}
