//! A figure travels with its conditions: machine, commit and command are printed before it.

use std::process::Command;

/// Prints the processor, its cores, the commit of the working tree and the command line.
pub fn print() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let commit = output("git", &["describe", "--always", "--dirty"]);
    let command: Vec<String> = std::env::args().collect();
    println!("machine: {}, {cores} cores; commit: {commit}; command: {}", processor(), command.join(" "));
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.to_owned())
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map_or_else(|| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
