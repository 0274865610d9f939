//! Jobs in trouble: workers and sinks that stand still, a panic, a fault, a cancel, a drain and a restart, under every
//! strategy. One seed decides all of it, and plays it again.

use crate::aggregation::Group;
use crate::job::{Job, Outcome};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use thalweg_runtime::simulate::random::Random;
use thalweg_runtime::state::StrategyName;
use thalweg_runtime::*;

/// Seeds that are run unless [`SEEDS_VARIABLE`] says how many.
const SEEDS: u64 = 2_000;

const SEEDS_VARIABLE: &str = "THALWEG_SEEDS";

/// What happens to a job, when its first source is polled for the time that is given, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    Panic(u64),
    Fault(u64),
    /// Ended from outside, at once.
    Cancel(u64),
    /// Ended from outside, in order; what was not read is for another job.
    Drain(u64),
}

impl Trouble {
    fn of(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x7261_696e);
        let poll = random.below(8);
        [Self::None, Self::Panic(poll), Self::Fault(poll), Self::Cancel(poll), Self::Drain(poll)]
            [random.below(5) as usize]
    }
}

/// Brings the trouble about.
pub struct Troubled {
    trouble: Trouble,
    polls: u64,
    control: Arc<OnceLock<Control>>,
}

impl Troubled {
    pub fn new(trouble: Trouble, control: &Arc<OnceLock<Control>>) -> Self {
        Self { trouble, polls: 0, control: Arc::clone(control) }
    }

    /// The source is polled once more.
    pub fn strike(&mut self) -> Result<(), Fault> {
        let poll = self.polls;
        self.polls += 1;
        let control = self.control.get().expect("the job is built before it runs");
        match self.trouble {
            Trouble::Panic(at) if at == poll => panic!("as it should"),
            Trouble::Fault(at) if at == poll => return Err("as it should".into()),
            Trouble::Cancel(at) if at == poll => control.fail("as it should".into()),
            Trouble::Drain(at) if at == poll => control.drain(),
            _ => {}
        }
        Ok(())
    }
}

/// What a run of a seed came to: equal if and only if it went the same way.
#[derive(Debug, PartialEq)]
enum Ran {
    InOrder(Box<(SimulationReport, Outcome)>),
    Failed(String),
}

fn run(job: &Job, simulator: &Simulator, trouble: Trouble) -> Ran {
    match job.simulate_in(simulator, trouble) {
        Ok(done) => Ran::InOrder(Box::new(done)),
        Err(failure) => Ran::Failed(failure.to_string()),
    }
}

/// Runs the job twice, and checks that both went the same way.
fn replay(job: &Job, simulator: &Simulator, trouble: Trouble) -> Ran {
    let [first, second] = [(), ()].map(|()| run(job, simulator, trouble));
    assert_eq!(first, second, "the same seed takes another way in {job:#?}");
    first
}

/// A job that was drained is as good as one whose input was what it has read; another one reads the rest, and together
/// they come to what one alone would have come to.
fn check_drained(job: &Job, first: &Outcome, simulator: &Simulator) {
    let sources = job.feeds.len() / job.workers;
    let names = (0..sources).flat_map(|stage| (0..job.workers).map(move |worker| (stage as u16, worker as u16)));
    let rest: Vec<_> =
        names.map(|(stage, worker)| first.tally.unread[&(EdgeId(stage), WorkerId(worker))].clone()).collect();
    let read = job.feeds.iter().zip(&rest).map(|(feed, rest)| feed[..feed.len() - rest.len()].to_vec()).collect();
    Job { feeds: read, ..job.clone() }.check(first);
    let restarted = Job { feeds: rest, ..job.clone() };
    let (_, second) = restarted.simulate_in(simulator, Trouble::None).unwrap_or_else(|failure| panic!("{failure}"));
    restarted.check(&second);
    let mut both: BTreeMap<(i64, u64), Group> = first.groups.clone();
    for (name, group) in second.groups {
        both.entry(name).and_modify(|known| known.add(&group)).or_insert(group);
    }
    assert_eq!(both, job.expected().groups, "drained and restarted: {job:#?}");
}

/// Every row once in its window, nobody stuck, snapshots that hold what was before their barriers, readers that see no
/// version go back, accounts that balance, failures that reach the caller: whatever happens, and the same again.
#[test]
fn jobs_in_trouble_keep_what_they_promise_and_replay() {
    let seeds = std::env::var(SEEDS_VARIABLE).map_or(SEEDS, |seeds| seeds.parse().expect("a number of seeds"));
    let mut outcomes = BTreeMap::new();
    // The panics are ours, and thousands of them.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<&str>() != Some(&"as it should") {
            hook(panic);
        }
    }));
    for seed in 0..seeds {
        let strategy = StrategyName::ALL[(seed % 8) as usize];
        let (job, trouble) = (Job::seeded(strategy, seed, 20), Trouble::of(seed));
        let simulator = Simulator::new(seed).with_stalls();
        let kind = match (replay(&job, &simulator, trouble), trouble) {
            (Ran::InOrder(done), Trouble::Drain(_)) => {
                check_drained(&job, &done.1, &simulator);
                "drained and restarted"
            }
            (Ran::InOrder(done), _) => {
                // In time or not, the trouble did not come before the source had ended.
                job.check(&done.1);
                "in order"
            }
            (Ran::Failed(message), Trouble::Panic(_) | Trouble::Fault(_) | Trouble::Cancel(_)) => {
                assert!(
                    message.ends_with("as it should") && message.starts_with(&format!("seed {seed}, ")),
                    "{message}"
                );
                "failed as it should"
            }
            (Ran::Failed(message), _) => panic!("{message}: {job:#?}"),
        };
        *outcomes.entry(kind).or_insert(0) += 1;
    }
    println!("{seeds} seeds: {outcomes:?}");
    assert!(outcomes.len() == 3 || seeds < 100, "every kind of outcome was met: {outcomes:?}");
}
