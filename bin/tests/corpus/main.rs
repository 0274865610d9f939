//! Nasty files, small, each with its stated outcome: which rows, and which rejects at which byte, line and column.
//!
//! Every case is read under `divert` by one and by several workers, with blocks cut after every byte, every few, and not
//! at all, and once more under `fail`, which must end with the first of the rejects.

mod case;
mod run;

use std::collections::BTreeMap;
use std::path::PathBuf;

use case::Case;

/// The kinds of bad input that must be there: numbers, field counts, encodings, NUL, long records, open quotes, cuts, byte
/// order marks, line ends, empty things, JSON, Parquet, compression, garbage and devices, nothing but rejects.
const KINDS: [&str; 15] =
    ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13", "I14", "I15"];

/// Fewer would mean that cases have been lost.
const CASES_MIN: usize = 300;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

#[test]
fn every_file_has_its_stated_outcome() {
    let cases = Case::all(&directory());
    let filter = std::env::var("CORPUS").unwrap_or_default();
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| case.name.contains(&filter)) {
        if let Err(why) = run::check(case) {
            wrong.push(format!("{}: {why}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} files", cases.len());
}

#[test]
fn all_kinds_of_bad_input_are_there() {
    let cases = Case::all(&directory());
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        *by_kind.entry(case.kind.as_str()).or_default() += 1;
    }
    let missing: Vec<_> = KINDS.iter().filter(|kind| !by_kind.contains_key(*kind)).collect();
    assert!(missing.is_empty(), "no case of {missing:?}: {by_kind:?}");
    assert!(by_kind.keys().all(|kind| KINDS.contains(kind)), "unknown kinds: {by_kind:?}");
    assert!(cases.len() >= CASES_MIN, "only {} cases", cases.len());
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two cases have the same name");
}
