//! Starts the models and the mutants in a build of their own, and holds what they say against the tables.

#![cfg(not(thalweg_loom))]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use thalweg_loom_tests::table::{CANARIES, MODELS, MUTANTS, WITNESSES};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn all_models_hold_and_find_all_mutants() {
    let config = std::fs::read_to_string(format!("{ROOT}/.cargo/config.toml")).expect("the workspace has its aliases");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| env!("CARGO").to_owned());
    let output = Command::new(cargo)
        .args(alias_arguments(&config))
        .args(["--", "--nocapture"])
        .current_dir(ROOT)
        // Both override the flags that the alias sets, and then no model would be compiled at all.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo, which built this test, can be started");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the models failed: {}\n{stdout}\n{stderr}", output.status);
    let mut all = 0;
    // Not `println!`, which the test runner keeps to itself when all is well.
    for model in MODELS {
        let executions =
            executions(&stdout, model.name).unwrap_or_else(|| panic!("{} did not run\n{stdout}", model.name));
        let _ = writeln!(std::io::stderr(), "model {}: {executions} executions", model.name);
        assert!((model.floor..=model.ceiling).contains(&executions), "{executions} executions: {model:?}");
        all += executions;
    }
    for witness in WITNESSES {
        assert!(stdout.contains(&format!("witness {}: refuted", witness.name)), "{} lives\n{stdout}", witness.name);
    }
    let verdict = format!("mutants: {} killed, canaries: {} alive", MUTANTS.len(), CANARIES.len());
    assert!(stdout.contains(&verdict), "not {verdict}\n{stdout}");
    let (models, witnesses) = (MODELS.len(), WITNESSES.len());
    let _ = writeln!(std::io::stderr(), "{models} models, {all} executions; {witnesses} witnesses refuted; {verdict}");
}

/// What is not in the table is not run: a site that somebody adds needs a model that finds it.
#[test]
fn every_site_of_the_source_is_a_mutant_or_a_canary() {
    let mut sites = BTreeSet::new();
    gather_sites(Path::new(&format!("{ROOT}/runtime/src")), &mut sites);
    let rows = MUTANTS.iter().chain(CANARIES).map(|(site, _)| (*site).to_owned());
    assert_eq!(rows.clone().count(), rows.clone().collect::<BTreeSet<_>>().len(), "a mutant is run once");
    assert_eq!(rows.collect::<BTreeSet<_>>(), sites);
    assert!(MUTANTS.len() >= 40 && CANARIES.len() == 2);
}

/// The page that tells readers what is proved speaks of what runs.
#[test]
fn the_page_on_verification_names_every_model_and_every_mutant() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/verification.md")).expect("the book has the page");
    let names = MODELS.iter().map(|model| model.name).chain(WITNESSES.iter().map(|witness| witness.name));
    let sites = MUTANTS.iter().chain(CANARIES).map(|(site, _)| *site);
    for name in names.chain(sites) {
        assert!(page.contains(&format!("`{name}`")), "docs/verification.md does not name `{name}`");
    }
    let counts = format!("{} models, {} mutants", MODELS.len(), MUTANTS.len());
    assert!(page.contains(&counts), "docs/verification.md does not say {counts:?}");
}

/// The names in `ordering!(NAME, …)` and `mutant!(NAME)`.
fn gather_sites(folder: &Path, sites: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the source is there") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            gather_sites(&path, sites);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("source is text");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for opening in ["ordering!(", "mutant!("] {
                for rest in line.split(opening).skip(1) {
                    let name = rest.split([',', ')']).next().expect("a split has a first piece");
                    sites.insert(name.trim().to_owned());
                }
            }
        }
    }
}

/// The words of the alias `loom`, so that this test and `cargo loom` cannot drift apart.
fn alias_arguments(config: &str) -> Vec<&str> {
    let line = config.lines().find(|line| line.starts_with("loom = ")).expect("an alias `loom`, on one line");
    // Every argument is in double quotes and holds none.
    let arguments: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    assert_eq!(arguments.first(), Some(&"test"), "the alias is a list of quoted words: {line}");
    arguments
}

/// How many executions a model said that it explored, wherever in a line it said so.
fn executions(stdout: &str, model: &str) -> Option<usize> {
    let (_, rest) = stdout.split_once(&format!("model {model}: "))?;
    rest.split_once(" executions")?.0.parse().ok()
}
