//! The same GROUP BY over rows of a schedule, for its latency: `paced-groups RATE SECONDS WORKERS BATCH`.
//!
//! Row *n* is due *n* ÷ RATE after the start, whether or not anybody is there to take it. A worker makes the rows of its part as soon
//! as BATCH of them are due, with all that are due by then, and spins otherwise. Each row carries when it was due, and the owner of its
//! key records how long ago that was when it has added it to its group. 200 keys, numbers from a counter. Prints microseconds as JSON.

#[path = "../fold.rs"]
mod fold;

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::time::Instant;

use hdrhistogram::Histogram;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::{Input, Probe};

use fold::{Folded, Key, folded};

/// Key, price in cents, quantity, and when it was due in nanoseconds.
type Row = (Key, i64, i64, u64);
type Groups = HashMap<Key, [i64; 4], BuildHasherDefault<Folded>>;

const KEYS: u64 = 200;
/// Rows that are made at once at most.
const BLOCK: u64 = 4_096;

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let mut argument = || arguments.next().expect("RATE SECONDS WORKERS BATCH");
    let (rate, seconds, workers, batch) = (argument(), argument(), argument(), argument());
    let rows = rate * seconds;
    let (all, start, ready) = (Arc::new(Mutex::new(histogram())), OnceLock::new(), Barrier::new(workers as usize));
    let shared = (Arc::clone(&all), Arc::new((start, ready)));
    let guards = timely::execute(timely::Config::process(workers as usize), move |worker| {
        let (all, at_start) = &shared;
        let (index, peers) = (worker.index() as u64, worker.peers() as u64);
        let mut input = InputHandle::new();
        let late = Rc::new(RefCell::new(histogram()));
        let recorded = Rc::clone(&late);
        let begin = Rc::new(RefCell::new(Instant::now()));
        let clock = Rc::clone(&begin);
        let probe = worker.dataflow::<u64, _, _>(|scope| {
            let mut groups = Groups::default();
            let rows = scope.input_from(&mut input);
            let updates = rows.unary(Exchange::new(|row: &Row| folded(&row.0) >> 32), "running", move |_, _| {
                move |input, output| {
                    input.for_each(|time, rows: &mut Vec<Row>| {
                        let mut session = output.session(&time);
                        let dues: Vec<u64> = rows.iter().map(|row| row.3).collect();
                        for (key, cents, quantity, _) in rows.drain(..) {
                            let sums = groups.entry(key).or_default();
                            sums[0] += 1;
                            sums[1] += cents;
                            sums[2] += quantity;
                            sums[3] += cents * quantity;
                            session.give((key, *sums));
                        }
                        let now = clock.borrow().elapsed().as_nanos() as u64;
                        let mut late = recorded.borrow_mut();
                        dues.into_iter().for_each(|due| late.saturating_record(now.saturating_sub(due)));
                    });
                }
            });
            updates.container::<Vec<(Key, [i64; 4])>>().probe().0
        });
        at_start.1.wait();
        *begin.borrow_mut() = *at_start.0.get_or_init(Instant::now);
        let due = |row: u64| (u128::from(row) * 1_000_000_000 / u128::from(rate)) as u64;
        // The next row of this worker, which has each `peers`-th one.
        let mut next = index;
        while next < rows {
            let now = begin.borrow().elapsed().as_nanos() as u64;
            if due((next + (batch - 1) * peers).min(rows - 1)) <= now {
                let end = next + BLOCK * peers;
                while next < end.min(rows) && due(next) <= now {
                    let (key, value) = (next % KEYS, next as i64);
                    input.send((
                        (u128::from(key / 10) + 1, key % 10 + 1),
                        value % 9_900 + 100,
                        value % 1_000 + 1,
                        due(next),
                    ));
                    next += peers;
                }
                input.flush();
            }
            worker.step();
        }
        input.close();
        while !probe.done() {
            worker.step();
        }
        all.lock().expect("no worker panics").add(&*late.borrow()).expect("of the same bounds");
    })
    .expect("timely starts");
    drop(guards);
    let all = all.lock().expect("no worker panics");
    let at = |percent: f64| all.value_at_percentile(percent) as f64 / 1e3;
    println!(
        "{{\"rows\": {}, \"p50\": {}, \"p90\": {}, \"p99\": {}, \"p99.9\": {}, \"p99.99\": {}, \"max\": {}}}",
        all.len(),
        at(50.0),
        at(90.0),
        at(99.0),
        at(99.9),
        at(99.99),
        all.max() as f64 / 1e3
    );
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("an hour to three digits")
}
