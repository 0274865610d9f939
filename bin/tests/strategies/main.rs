//! Strategies of sharing state, as a job uses them: what readers of live state see, what is measured, how much memory they
//! may take, which one is shown and chosen. That all give the rows of the golden files is `golden`'s.

mod live;
mod shown;
mod sources;

use std::path::Path;

use thalweg::job::JobOptions;
use thalweg::job::Pin;
use thalweg::plan::JobPlan;
use thalweg::plan::strategy::StrategyChoice;
use thalweg::sql::{Outcome, Session, SessionOptions};
use thalweg_runtime::state::StrategyName;

/// The plan of the only job of a script.
fn plan(script: &str) -> JobPlan {
    let mut session = Session::new(SessionOptions::default());
    let mut plan = None;
    for statement in &session.parse(script).expect("the script can be read").statements {
        if let Outcome::Job(job) = session.execute(statement).expect("the script is correct") {
            plan = Some(job);
        }
    }
    plan.expect("the script runs a job")
}

fn options(strategy: StrategyName, workers: usize) -> JobOptions {
    JobOptions { workers, strategy: StrategyChoice::Named(strategy), pin: Pin::Off, ..JobOptions::default() }
}

/// Writes `text` as `name` in `directory`; answers the path as SQL has it.
fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("a temporary file can be written");
    path.to_str().expect("a plain path").to_owned()
}
