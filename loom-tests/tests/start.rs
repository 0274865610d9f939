//! Starts the models in a build of their own and checks that they ran.

#![cfg(not(thalweg_loom))]

use std::process::Command;

/// Fewer models than this, and something is wrong with the start, whatever the exit code says.
const MODELS_MIN: usize = 27;

#[test]
fn all_models_hold() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let config = std::fs::read_to_string(format!("{root}/.cargo/config.toml")).expect("the workspace has its aliases");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| env!("CARGO").to_owned());
    let output = Command::new(cargo)
        .args(alias_arguments(&config))
        .args(["--", "--nocapture"])
        .current_dir(root)
        // Both override the flags that the alias sets, and then no model would be compiled at all.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo, which built this test, can be started");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the models failed: {}\n{stdout}\n{stderr}", output.status);
    let counts: Vec<(&str, u64)> = stdout.lines().filter_map(model_count).collect();
    for (model, executions) in &counts {
        println!("{model}: {executions} executions");
    }
    assert!(counts.len() >= MODELS_MIN, "only {} models ran\n{stdout}\n{stderr}", counts.len());
    assert!(counts.iter().all(|(_, executions)| *executions > 0), "{stdout}");
}

/// The words of the alias `loom`, so that this test and `cargo loom` cannot drift apart.
fn alias_arguments(config: &str) -> Vec<&str> {
    let line = config.lines().find(|line| line.starts_with("loom = ")).expect("an alias `loom`, on one line");
    // Every argument is in double quotes and holds none.
    let arguments: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    assert_eq!(arguments.first(), Some(&"test"), "the alias is a list of quoted words: {line}");
    arguments
}

/// The name and count of a line "model NAME: N executions", wherever in the line it starts.
fn model_count(line: &str) -> Option<(&str, u64)> {
    let (name, rest) = line.split_once("model ")?.1.split_once(": ")?;
    Some((name, rest.strip_suffix(" executions")?.parse().ok()?))
}
