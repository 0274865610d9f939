//! What a reader can check about the tree, so that no reviewer has to: names, sizes, reasons, and nothing unfinished.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names that say nothing, or that two versions of one thing are alive.
const STEMS_BANNED: [&str; 9] = ["util", "utils", "helper", "helpers", "common", "misc", "manager", "shared", "stuff"];
const SUFFIXES_BANNED: [&str; 5] = ["_v2", "_new", "_old", "_enhanced", "_manager"];
/// Lines before the tests: so long that a file is still read whole.
const LINES_MAX: usize = 500;
/// Files that may be longer, each with the reason.
const LINES_EXCEPTIONS: [(&str, &str); 1] = [(
    "bin/src/sql/expressions.rs",
    "tests alone: tables of expressions with their types and values, looked up line by line",
)];
/// All of the top level but dotfiles. `target` is where cargo builds.
const TOP_LEVEL: [&str; 14] = [
    "Cargo.toml",
    "operators",
    "runtime",
    "bin",
    "bench",
    "loom-tests",
    "docs",
    "Cargo.lock",
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "LICENSE",
    "target",
];
/// What stands for work that is not done. Put together here, so that this file does not hold the words itself.
const UNFINISHED: [(&str, &str); 4] = [("todo", "!("), ("unimplemented", "!("), ("#[ign", "ore"), ("dbg", "!(")];

#[test]
fn names_of_files_say_what_they_hold() {
    for path in files() {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let is_banned =
            STEMS_BANNED.contains(&stem.as_str()) || SUFFIXES_BANNED.iter().any(|suffix| stem.ends_with(suffix));
        assert!(!is_banned, "{}: name it for the noun that it owns", path.display());
    }
}

#[test]
fn files_are_short_enough_to_be_read_whole() {
    let mut exceptions: BTreeSet<&str> = LINES_EXCEPTIONS.iter().map(|(path, _)| *path).collect();
    let mut too_long = Vec::new();
    let is_test = |path: &PathBuf| path.ends_with("tests.rs") || path.iter().any(|part| part == "tests");
    for path in files_of("rs").into_iter().filter(|path| !is_test(path) || path.starts_with("bin/tests")) {
        let text = read(&path);
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        let is_excepted = exceptions.remove(path.to_string_lossy().as_ref());
        if lines > LINES_MAX && !is_excepted {
            too_long.push(format!("{}: {lines} lines before the tests", path.display()));
        }
    }
    assert!(too_long.is_empty(), "more than {LINES_MAX}: {too_long:#?}");
    assert!(exceptions.is_empty(), "exceptions for files that are not there: {exceptions:?}");
    assert!(LINES_EXCEPTIONS.iter().all(|(_, reason)| reason.len() > 20), "an exception has its reason");
}

#[test]
fn nothing_is_left_unfinished() {
    for path in files_of("rs") {
        let text = read(&path);
        for (head, tail) in UNFINISHED {
            let words = format!("{head}{tail}");
            assert!(!text.contains(&words), "{} holds {words}", path.display());
        }
    }
}

#[test]
fn every_golden_file_has_its_reason_and_its_oracle() {
    let golden: Vec<PathBuf> = files_of("test").into_iter().filter(|path| path.starts_with("bin/tests/sql")).collect();
    assert!(golden.len() >= 90, "only {} golden files", golden.len());
    for path in golden {
        let text = read(&path);
        let reason = text.lines().next().and_then(|line| line.strip_prefix("# why: ")).unwrap_or_default();
        assert!(reason.len() >= 20, "{} does not begin with its reason", path.display());
        let is_by_hand = text.lines().any(|line| line == "# by hand");
        let has_oracle = text.lines().any(|line| line == "==> oracle");
        let is_by_flink = text.lines().any(|line| line == "# by Flink");
        let sources = [is_by_hand, has_oracle, is_by_flink].into_iter().filter(|is_source| *is_source).count();
        assert!(sources == 1, "{} is by hand, by Flink or has an oracle, one of them", path.display());
    }
}

#[test]
fn the_top_level_is_read_at_a_glance() {
    for path in files() {
        let first =
            path.components().next().expect("a path has a component").as_os_str().to_string_lossy().into_owned();
        assert!(
            first.starts_with('.') || TOP_LEVEL.contains(&first.as_str()),
            "{first} does not belong to the top level"
        );
    }
}

#[test]
fn the_summary_of_the_book_lists_every_page() {
    let summary = read(Path::new("docs/SUMMARY.md"));
    let pages: Vec<PathBuf> = files_of("md").into_iter().filter(|path| path.starts_with("docs")).collect();
    assert!(pages.len() > 5, "only {} pages in docs", pages.len());
    for page in pages.iter().filter(|page| !page.ends_with("SUMMARY.md")) {
        let link = page.strip_prefix("docs").expect("it is in docs").to_string_lossy();
        assert!(summary.contains(&format!("({link})")), "docs/SUMMARY.md does not list {link}");
    }
    for link in summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(root().join("docs").join(link).is_file(), "docs/SUMMARY.md lists {link}, which is not there");
    }
}

/// A newcomer finds the room of each thing: directories by their names, files at the top of a crate too.
#[test]
fn the_map_of_the_architecture_names_every_room() {
    let text = read(Path::new("docs/ARCHITECTURE.md"));
    let map = text.split("## The map").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("there is a map");
    let words: BTreeSet<&str> = map.split_whitespace().collect();
    let mut rooms = BTreeSet::new();
    let files = files_of("rs");
    for path in &files {
        let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["runtime" | "operators" | "bin", "src", "lib.rs" | "main.rs" | "tests.rs"] => {}
            ["runtime" | "operators" | "bin", "src", file] => _ = rooms.insert(file.to_owned()),
            // What lies beside the file of its name belongs to that file.
            ["runtime" | "operators" | "bin", "src", ref directories @ .., _]
                if !files.contains(&path.parent().expect("it is in a directory").with_extension("rs")) =>
            {
                rooms.insert(format!("{}/", directories.join("/")));
            }
            _ => {}
        }
    }
    assert!(rooms.len() > 20, "only {} rooms", rooms.len());
    let is_named = |room: &String| {
        // Below a directory of the map, the last part alone may stand, indented.
        words.contains(room.as_str())
            || room.trim_end_matches('/').rsplit_once('/').is_some_and(|(_, last)| {
                words.contains(format!("{last}/").as_str()) || map.contains(&format!("/{last}/"))
            })
    };
    let missing: Vec<&String> = rooms.iter().filter(|room| !is_named(room)).collect();
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md does not name {missing:?}");
}

#[test]
fn the_sql_reference_names_every_function() {
    let text = read(Path::new("docs/sql.md"));
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let scalar = thalweg::sql::functions::scalar_functions().into_iter().map(|function| function.name().to_uppercase());
    let aggregate =
        thalweg::sql::aggregates::aggregate_functions().into_iter().map(|function| function.name().to_uppercase());
    // Operators have signs, but for the unary minus, which is no function to call.
    let is_called = |name: &String| name.starts_with(char::is_alphabetic) && name != "NEGATE";
    let names: BTreeSet<String> = scalar.chain(aggregate).filter(is_called).collect();
    assert!(names.len() > 80, "only {} functions", names.len());
    let missing: Vec<&String> = names.iter().filter(|name| !words.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "docs/sql.md does not name {missing:?}");
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in files_of("md") {
        let text = read(&page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let from = root().join(&page);
            let directory = from.parent().expect("a page is in a directory");
            assert!(directory.join(target).exists(), "{} links to {link}, which is not there", page.display());
        }
    }
}

fn files_of(extension: &str) -> Vec<PathBuf> {
    let has_extension = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    let files: Vec<PathBuf> = files().into_iter().filter(has_extension).collect();
    assert!(!files.is_empty(), "no file of `.{extension}` was found, so nothing was checked");
    files
}

/// All files of the project, relative to its root: those that git tracks, or where there is no git, all but build outputs.
fn files() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    if let Ok(listed) = listed
        && listed.status.success()
        && !listed.stdout.is_empty()
    {
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        return names.split('\0').filter(|name| root().join(name).is_file()).map(PathBuf::from).collect();
    }
    let mut files = Vec::new();
    let mut directories = vec![root().to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("the tree can be read") {
            let path = entry.expect("the tree can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match path.is_dir() {
                true if name != "target" && name != ".git" => directories.push(path),
                true => {}
                false => files.push(path.strip_prefix(root()).expect("it is in the tree").to_path_buf()),
            }
        }
    }
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is one directory below the root")
}
