//! A figure travels with its conditions: machine, commit, command and date go before it, wherever it is printed.

use std::process::Command;

/// Where and how figures were measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The processor.
    pub machine: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Of the working tree; `-dirty` if it differs.
    pub commit: String,
    /// The command line.
    pub command: String,
    /// When it began, UTC.
    pub date: String,
    /// Processes that were running or waiting at that time, on average over a minute: more than 0 is other work.
    pub load: String,
    /// The compiler's settings: figures of a debug build say nothing.
    pub build: String,
}

impl Conditions {
    /// Those of this process, now.
    #[must_use]
    pub fn now() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let mut arguments = std::env::args();
        let program = arguments.next().unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or_default().to_owned();
        let command: Vec<String> = std::iter::once(name).chain(arguments).collect();
        Self {
            machine: processor(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            commit: output("git", &["describe", "--always", "--dirty"]),
            command: command.join(" "),
            date: chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        }
    }

    /// Names and values, in the order in which they are told.
    #[must_use]
    pub fn facts(&self) -> [(&'static str, String); 7] {
        [
            ("machine", self.machine.clone()),
            ("cores", self.cores.to_string()),
            ("commit", self.commit.clone()),
            ("build", self.build.clone()),
            ("command", self.command.clone()),
            ("date", self.date.clone()),
            ("load before", self.load.clone()),
        ]
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        self.facts().map(|(name, value)| format!("{name}: {value}")).join("; ")
    }
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
