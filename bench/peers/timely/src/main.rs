//! A running GROUP BY as a hand-written timely dataflow: `running-groups FILE.csv WORKERS`.
//!
//! Trades in; COUNT(*), AVG(price), SUM(quantity) and SUM(price * quantity) by trader and symbol. Each row of input gives
//! one update of its group, which goes into a sink that counts it and keeps nothing. Written for these columns alone: keys are
//! numbers of fixed size, money is whole cents, nothing is checked that `thalweg gen` never writes. At its end it prints the time and
//! the totals of all groups as JSON.

mod fold;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::hash::BuildHasherDefault;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::{Input, Probe};

use fold::{Folded, Key, folded};

/// Key, price in cents, quantity.
type Row = (Key, i64, i64);
/// Key, and its count, sum of cents, quantity and turnover after a row.
type Update = (Key, [i64; 4]);

const BLOCK: usize = 1 << 18;

#[derive(Default)]
struct Totals {
    updates: u64,
    groups: u64,
    count: i64,
    average: f64,
    quantity: i64,
    turnover: i64,
    names: [u64; 2],
    checksum: i64,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("a file");
    let workers: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(2);
    let started = Instant::now();
    let totals: Arc<Mutex<Totals>> = Arc::default();
    let shared = Arc::clone(&totals);
    let configuration = timely::Config::process(workers);
    let guards = timely::execute(configuration, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let mut input = InputHandle::new();
        let groups: Rc<RefCell<HashMap<Key, [i64; 4], BuildHasherDefault<Folded>>>> = Rc::default();
        let sunk: Rc<RefCell<(u64, i64)>> = Rc::default();
        let (state, sink) = (Rc::clone(&groups), Rc::clone(&sunk));
        let probe = worker.dataflow::<u64, _, _>(|scope| {
            let rows = scope.input_from(&mut input);
            let updates = rows.unary(Exchange::new(|row: &Row| folded(&row.0) >> 32), "running", move |_, _| {
                move |input, output| {
                    let mut groups = state.borrow_mut();
                    input.for_each(|time, rows: &mut Vec<Row>| {
                        let mut session = output.session(&time);
                        for (key, cents, quantity) in rows.drain(..) {
                            let sums = groups.entry(key).or_default();
                            sums[0] += 1;
                            sums[1] += cents;
                            sums[2] += quantity;
                            sums[3] += cents * quantity;
                            session.give((key, *sums));
                        }
                    });
                }
            });
            type Nothing = CapacityContainerBuilder<Vec<()>>;
            let done = updates.unary::<Nothing, _, _, _>(Pipeline, "sink", move |_, _| {
                move |input, _| {
                    let mut sunk = sink.borrow_mut();
                    input.for_each(|_, updates: &mut Vec<Update>| {
                        sunk.0 += updates.len() as u64;
                        for (_, sums) in updates.drain(..) {
                            sunk.1 = sunk.1.wrapping_add(sums[0] + sums[3]);
                        }
                    });
                }
            });
            done.probe().0
        });
        read(&path, index, peers, |row| input.send(row), || worker.step());
        input.close();
        while !probe.done() {
            worker.step();
        }
        let (updates, checksum) = *sunk.borrow();
        let mut totals = shared.lock().expect("no worker panics");
        totals.updates += updates;
        totals.checksum = totals.checksum.wrapping_add(checksum);
        for (key, [count, cents, quantity, turnover]) in groups.borrow().iter() {
            totals.groups += 1;
            totals.count += count;
            totals.average += *cents as f64 / 100.0 / *count as f64;
            totals.quantity += quantity;
            totals.turnover += turnover;
            totals.names[0] += u64::from(16 - key.0.leading_zeros() / 8);
            totals.names[1] += u64::from(8 - key.1.leading_zeros() / 8);
        }
    })
    .expect("timely starts");
    drop(guards);
    let seconds = started.elapsed().as_secs_f64();
    let totals = totals.lock().expect("no worker panics");
    let Totals { updates, groups, count, average, quantity, turnover, names, checksum } = &*totals;
    let turnover = *turnover as f64 / 100.0;
    println!(
        "{{\"seconds\": {seconds}, \"updates\": {updates}, \"checksum\": {checksum}, \
         \"totals\": [{groups}, {}, {}, {count}, {average}, {quantity}, {turnover}]}}",
        names[0], names[1]
    );
}

/// Reads this worker's part of the file: the lines that begin in it, but for the header.
fn read(path: &str, index: usize, peers: usize, mut send: impl FnMut(Row), mut step: impl FnMut() -> bool) {
    let file = File::open(path).expect("the file opens");
    let length = file.metadata().expect("the file has a length").len();
    let (mut offset, end) = (length * index as u64 / peers as u64, length * (index as u64 + 1) / peers as u64);
    let mut block = vec![0; BLOCK];
    // A line begins behind a newline; the first part begins with the header.
    if index > 0 {
        offset -= 1;
    }
    let mut is_first = true;
    while offset < end {
        let filled = file.read_at(&mut block, offset).expect("the file can be read");
        let mut rest = &block[..filled];
        if is_first {
            let Some(newline) = rest.iter().position(|&byte| byte == b'\n') else { break };
            rest = &rest[newline + 1..];
            is_first = false;
        }
        while offset + ((filled - rest.len()) as u64) < end {
            let Some((row, length)) = parse(rest) else { break };
            send(row);
            rest = &rest[length..];
        }
        let taken = filled - rest.len();
        if taken == 0 {
            break;
        }
        offset += taken as u64;
        step();
    }
}

/// The row at the start of some lines, and the length of its line; `None` if it is not all there.
fn parse(lines: &[u8]) -> Option<(Row, usize)> {
    let mut at = 0;
    let mut trader = 0_u128;
    while *lines.get(at)? != b',' {
        trader = trader << 8 | u128::from(lines[at]);
        at += 1;
    }
    at += 1;
    let mut symbol = 0_u64;
    while *lines.get(at)? != b',' {
        symbol = symbol << 8 | u64::from(lines[at]);
        at += 1;
    }
    at += 1;
    let mut cents = 0;
    while *lines.get(at)? != b',' {
        if lines[at] != b'.' {
            cents = cents * 10 + i64::from(lines[at] - b'0');
        }
        at += 1;
    }
    at += 1;
    let mut quantity = 0;
    while *lines.get(at)? != b',' {
        quantity = quantity * 10 + i64::from(lines[at] - b'0');
        at += 1;
    }
    // The time has 23 characters.
    at += 24;
    (*lines.get(at)? == b'\n').then_some((((trader, symbol), cents, quantity), at + 1))
}
