//! The two stages of the job: what every job does with producers and owners.

use crate::aggregation::{Output, Toy};
use crate::faults::Troubled;
use crate::job::{EPOCHS_MAX, Feed, Parcel, Tally};
use crate::watch::Watch;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use thalweg_runtime::state::*;
use thalweg_runtime::*;

/// Hands prepared batches to a producer.
pub struct Source {
    producer: Box<dyn Producer<Toy>>,
    edge: EdgeId,
    feed: std::vec::IntoIter<crate::job::Step>,
    watch: Option<Watch>,
    troubled: Option<Troubled>,
    /// Rows that were folded or passed on, and epochs that were ended.
    rows: u64,
    epochs: usize,
    tally: Arc<Mutex<Tally>>,
}

impl Source {
    pub fn new(
        producer: Box<dyn Producer<Toy>>,
        edge: EdgeId,
        feed: Feed,
        watch: Option<Watch>,
        troubled: Option<Troubled>,
        tally: &Arc<Mutex<Tally>>,
    ) -> Self {
        let feed = feed.into_iter();
        Self { producer, edge, feed, watch, troubled, rows: 0, epochs: 0, tally: Arc::clone(tally) }
    }

    /// Ends an epoch, or all those that are still to come.
    fn count_before_barrier(&mut self, epochs: std::ops::Range<usize>) {
        let mut tally = self.tally.lock().expect("no operator panics");
        tally.before_barrier[epochs].iter_mut().for_each(|rows| *rows += self.rows);
    }

    fn send(&self, cx: &mut Context<'_, Parcel>, sends: Sends<Toy>) -> Result<(), Fault> {
        for (to, message) in sends {
            if matches!(&message, Message::Rows(batch) if batch.is_view) {
                return Err("a view of a batch travels".into());
            }
            cx.send(self.edge, to, Parcel::Message(message));
        }
        Ok(())
    }

    fn release(&mut self, cx: &mut Context<'_, Parcel>, release: Release) -> Result<(), Fault> {
        let mut sends = Vec::new();
        let cost = self.producer.release(release, &mut sends)?;
        self.tally.lock().expect("no operator panics").cost += cost;
        self.send(cx, sends)
    }
}

impl Operator<Parcel> for Source {
    fn receive(&mut self, _: &mut Context<'_, Parcel>, _: EdgeId, _: WorkerId, _: Parcel) -> Result<(), Fault> {
        Err("a source has no inputs".into())
    }

    fn advance(&mut self, _: &mut Context<'_, Parcel>, _: EventTimeMs) -> Result<(), Fault> {
        Err("a source has no frontier".into())
    }

    fn poll(&mut self, cx: &mut Context<'_, Parcel>) -> Result<Activity, Fault> {
        if let Some(watch) = &mut self.watch {
            watch.look();
        }
        if let Some(troubled) = &mut self.troubled {
            troubled.strike()?;
        }
        if self.producer.is_awaited() {
            self.release(cx, Release::All)?;
        }
        let step = if cx.is_draining() { None } else { self.feed.next() };
        let Some(step) = step else {
            self.release(cx, Release::All)?;
            self.count_before_barrier(self.epochs..EPOCHS_MAX);
            let rest = std::mem::take(&mut self.feed).collect();
            self.tally.lock().expect("no operator panics").unread.insert((self.edge, cx.worker()), rest);
            return Ok(Activity::Done);
        };
        let mut sends = Vec::new();
        let processed = self.producer.process(&step.batch, &mut sends)?;
        {
            let mut tally = self.tally.lock().expect("no operator panics");
            tally.batches += 1;
            tally.folded.folded += processed.folded.folded;
            tally.folded.late += processed.folded.late;
            tally.passed += processed.passed;
            tally.cost += processed.cost;
        }
        self.rows += processed.folded.folded + processed.passed;
        self.send(cx, sends)?;
        if let Some(promise) = step.promise {
            self.release(cx, Release::ClosedBy(promise))?;
            cx.promise(promise);
        }
        Ok(Activity::Busy)
    }

    fn barrier(&mut self, cx: &mut Context<'_, Parcel>, _: Epoch) -> Result<(), Fault> {
        self.release(cx, Release::All)?;
        self.count_before_barrier(self.epochs..self.epochs + 1);
        self.epochs += 1;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.producer.bytes()
    }
}

/// Hands messages to an owner, and emits the windows that it closes, a few groups at a time.
pub struct Merge {
    owner: Box<dyn Owner<Toy>>,
    out: EdgeId,
    emit_groups: usize,
    frontier: EventTimeMs,
    closed: EventTimeMs,
    /// Groups of windows that are closed.
    groups: VecDeque<Output>,
    /// Rows that came, as rows or in groups, and epochs that ended.
    rows: u64,
    epochs: usize,
    tally: Arc<Mutex<Tally>>,
}

impl Merge {
    pub fn new(owner: Box<dyn Owner<Toy>>, out: EdgeId, emit_groups: usize, tally: &Arc<Mutex<Tally>>) -> Self {
        let (frontier, closed) = (EventTimeMs::MIN, EventTimeMs::MIN);
        Self {
            owner,
            out,
            emit_groups,
            frontier,
            closed,
            groups: VecDeque::new(),
            rows: 0,
            epochs: 0,
            tally: Arc::clone(tally),
        }
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Closing { windows, is_elected, cost } = self.owner.close(self.frontier)?;
        self.closed = self.frontier;
        if !windows.windows(2).all(|pair| pair[0][0].window <= pair[1][0].window) {
            return Err("windows are closed out of order".into());
        }
        self.groups.extend(windows.into_iter().flatten());
        let mut tally = self.tally.lock().expect("no operator panics");
        tally.elected_at_end += u64::from(is_elected && self.frontier == EventTimeMs::END);
        tally.cost += cost;
        Ok(())
    }
}

impl Operator<Parcel> for Merge {
    fn receive(&mut self, _: &mut Context<'_, Parcel>, _: EdgeId, _: WorkerId, parcel: Parcel) -> Result<(), Fault> {
        let Parcel::Message(message) = parcel else { return Err("a group came back from outside".into()) };
        self.rows += match &message {
            Message::Rows(batch) => batch.rows.len() as u64,
            Message::Groups(partial) => partial.rows(),
        };
        let received = self.owner.receive(message)?;
        let mut tally = self.tally.lock().expect("no operator panics");
        tally.received.folded += received.folded.folded;
        tally.received.late += received.folded.late;
        tally.cost += received.cost;
        Ok(())
    }

    fn advance(&mut self, _: &mut Context<'_, Parcel>, frontier: EventTimeMs) -> Result<(), Fault> {
        self.frontier = frontier;
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Parcel>) -> Result<Activity, Fault> {
        self.owner.publish();
        if self.frontier > self.closed {
            self.close()?;
        }
        let emitted = self.emit_groups.min(self.groups.len());
        if emitted > 0 {
            cx.send(self.out, cx.worker(), Parcel::Groups(self.groups.drain(..emitted).collect()));
        }
        if !self.groups.is_empty() {
            return Ok(Activity::Busy);
        }
        cx.promise(self.closed);
        Ok(if self.closed == EventTimeMs::END { Activity::Done } else { Activity::Waiting })
    }

    fn barrier(&mut self, _: &mut Context<'_, Parcel>, _: Epoch) -> Result<(), Fault> {
        let mut tally = self.tally.lock().expect("no operator panics");
        tally.at_barrier[self.epochs] += self.rows;
        tally.barriers[self.epochs] += 1;
        self.epochs += 1;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.owner.bytes()
    }
}
