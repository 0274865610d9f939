//! The smallest aggregation: sums of ones by window and key. Window 0 is over at 0, window 1 at 1.

use std::collections::BTreeMap;
use std::convert::Infallible;
use thalweg_runtime::EventTimeMs;
use thalweg_runtime::exchange::key_group;
use thalweg_runtime::state::{Aggregation, Folded, Release};

/// Ones by (window, key).
pub type Sums = BTreeMap<(i64, u64), u64>;

/// Each row, a (window, key), counts one.
#[derive(Debug)]
pub struct Ones;

fn hash(key: u64) -> u64 {
    // Keys 0 and 1 lie as far apart as can be: in different partitions, and with different owners of two.
    key << (u64::BITS - 1)
}

fn take(shard: &mut Sums, release: Release) -> Sums {
    let is_over = |window: i64| match release {
        Release::All => true,
        Release::ClosedBy(frontier) => window <= frontier.0,
    };
    shard.extract_if(.., |(window, _), _| is_over(*window)).collect()
}

impl Aggregation for Ones {
    type Batch = Vec<(i64, u64)>;
    type Partial = Sums;
    type Shard = Sums;
    type Closed = Sums;
    type Key = u64;
    type Rows = Sums;
    type Scratch = ();
    type Error = Infallible;

    fn shard(&self) -> Sums {
        Sums::new()
    }

    fn fold(&self, shard: &mut Sums, batch: &Vec<(i64, u64)>, (): &mut ()) -> Result<Folded, Infallible> {
        for row in batch {
            *shard.entry(*row).or_default() += 1;
        }
        Ok(Folded { folded: batch.len() as u64, late: 0 })
    }

    fn split(&self, shard: &mut Sums, release: Release, parts: usize) -> Vec<(usize, Sums)> {
        let mut divided: BTreeMap<(i64, usize), Sums> = BTreeMap::new();
        for ((window, key), sum) in take(shard, release) {
            let part = usize::from(key_group::owner(hash(key), parts).0);
            divided.entry((window, part)).or_default().insert((window, key), sum);
        }
        divided.into_iter().map(|((_, part), sums)| (part, sums)).collect()
    }

    fn split_keys(&self, shard: &mut Sums) -> Vec<(u64, Sums)> {
        take(shard, Release::All).into_iter().map(|(name, sum)| (hash(name.1), Sums::from([(name, sum)]))).collect()
    }

    fn merge(&self, shard: &mut Sums, partial: Sums) -> Result<(), Infallible> {
        for (name, sum) in partial {
            *shard.entry(name).or_default() += sum;
        }
        Ok(())
    }

    fn close(&self, shard: &mut Sums, frontier: EventTimeMs) -> Vec<Sums> {
        let over = take(shard, Release::ClosedBy(frontier));
        let mut windows: BTreeMap<i64, Sums> = BTreeMap::new();
        over.into_iter().for_each(|(name, sum)| _ = windows.entry(name.0).or_default().insert(name, sum));
        windows.into_values().collect()
    }

    fn next_close(&self, shard: &Sums) -> Option<EventTimeMs> {
        shard.keys().next().map(|(window, _)| EventTimeMs(*window))
    }

    fn lookup(&self, shard: &Sums, key: &u64) -> Result<Sums, Infallible> {
        Ok(shard.iter().filter(|(name, _)| name.1 == *key).map(|(name, sum)| (*name, *sum)).collect())
    }

    fn scan(&self, shard: &Sums) -> Result<Sums, Infallible> {
        Ok(shard.clone())
    }

    fn end(&self, closed: &Sums) -> EventTimeMs {
        closed.keys().next().map_or(EventTimeMs::MIN, |(window, _)| EventTimeMs(*window))
    }

    fn hash(&self, key: &u64) -> u64 {
        hash(*key)
    }

    fn own(&self, batch: &Vec<(i64, u64)>) -> Result<Vec<(i64, u64)>, Infallible> {
        Ok(batch.clone())
    }

    fn rows(&self, batch: &Vec<(i64, u64)>) -> u64 {
        batch.len() as u64
    }

    fn groups(&self, shard: &Sums) -> usize {
        shard.len()
    }

    fn bytes(&self, shard: &Sums) -> usize {
        shard.len()
    }
}
