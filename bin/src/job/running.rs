//! The owner's side of a running aggregation or a Top-N on one worker: rows are taken in in the order of their blocks, and
//! what they change leaves at once; what only the end of the input makes final leaves then.
//!
//! Each source's blocks are in their own order; rows of several sources (UNION ALL) meet in the order in which they come,
//! as in Flink. Blocks that came too early wait here, as many as the [window](BlockWindow) is wide for each source. What
//! comes from no source has no order, and is taken in as it comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use thalweg_operators::batch::Batch;
use thalweg_operators::rank::{RankedGroups, Ranking};
use thalweg_operators::route::{Applied, Routed, Routing, RowByRow};
use thalweg_operators::running::{RunningAggregation, RunningGroups};
use thalweg_operators::session::{OpenSessions, SessionWindows};
use thalweg_runtime::latency::{Point, Span};
use thalweg_runtime::progress::window::BlockWindow;
use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Operator, WorkerId};

use super::account::{StageCounters, add};
use super::flow::{Flow, RoutedBlock};
use super::order::Order;
use super::steps;
use super::tail::{Tail, aggregate_refused};
use crate::error::{Error, Result};
use crate::plan::stages::Step;

/// Encoded changes that are gathered for the sink while there is more to take in. None waits for what is not there yet.
const OUTPUT_BYTES: usize = 256 << 10;
/// As many rows, where they are few bytes.
const OUTPUT_ROWS: u64 = 32 << 10;

/// What takes in row by row, as planned for all workers.
pub(super) enum RowPlan {
    /// A running GROUP BY.
    Aggregation(Arc<RunningAggregation>),
    /// A Top-N.
    Rank(Arc<Ranking>),
    /// SESSION windows.
    Session(Arc<SessionWindows>),
}

impl RowPlan {
    /// How rows find their owners.
    pub(super) fn routing(&self) -> Routing {
        match self {
            Self::Aggregation(aggregation) => aggregation.routing(),
            Self::Rank(ranking) => ranking.routing(),
            Self::Session(windows) => windows.routing(),
        }
    }

    /// One owner's groups.
    pub(super) fn groups(&self) -> Box<dyn RowByRow> {
        match self {
            Self::Aggregation(aggregation) => Box::new(RunningGroups::new(Arc::clone(aggregation))),
            Self::Rank(ranking) => Box::new(RankedGroups::new(Arc::clone(ranking))),
            Self::Session(windows) => Box::new(OpenSessions::new(Arc::clone(windows))),
        }
    }
}

/// Takes in and emits.
pub(super) struct RunningOperator {
    groups: Box<dyn RowByRow>,
    /// By edge: a source's blocks.
    sources: BTreeMap<EdgeId, SourceBlocks>,
    /// What comes from no source.
    unordered: VecDeque<RoutedBlock>,
    /// What is being taken in.
    current: Option<Current>,
    steps: Vec<Step>,
    tail: Tail,
    counters: Arc<StageCounters>,
    frontier: EventTimeMs,
    /// What was promised downstream, if rows become final as event time passes.
    promised: EventTimeMs,
    /// Of the blocks that wait.
    waiting_bytes: usize,
}

struct SourceBlocks {
    order: Order<RoutedBlock>,
    window: Arc<BlockWindow>,
}

/// A block whose turn it is.
struct Current {
    /// Where it came from, if it is the block of a source.
    edge: Option<EdgeId>,
    parts: std::vec::IntoIter<Routed>,
    part: Option<Routed>,
    /// Rows of the part that were taken in.
    taken: usize,
    /// When the rows were due, and how many of the block's were taken in.
    span: Option<Span>,
    done: u64,
}

impl RunningOperator {
    /// Without a group. `windows`: that of each edge that leads here.
    pub(super) fn new(
        groups: Box<dyn RowByRow>,
        windows: impl Iterator<Item = (EdgeId, Arc<BlockWindow>)>,
        (steps, tail): (Vec<Step>, Tail),
        counters: Arc<StageCounters>,
    ) -> Self {
        let sources = windows.map(|(edge, window)| (edge, SourceBlocks { order: Order::default(), window })).collect();
        let (unordered, current, waiting_bytes) = (VecDeque::new(), None, 0);
        let (frontier, promised) = (EventTimeMs::MIN, EventTimeMs::MIN);
        Self { groups, sources, unordered, current, steps, tail, counters, frontier, promised, waiting_bytes }
    }

    /// Takes up the next block that is due, if there is one.
    fn next_block(&mut self) -> bool {
        let due = self.sources.iter_mut().find_map(|(edge, source)| Some((Some(*edge), source.order.next()?)));
        let Some((edge, block)) = due.or_else(|| Some((None, self.unordered.pop_front()?))) else { return false };
        self.waiting_bytes -= block.bytes();
        self.current =
            Some(Current { edge, span: block.span, parts: block.parts.into_iter(), part: None, taken: 0, done: 0 });
        true
    }

    /// Takes in some rows of the block in hand; false if it has no more.
    fn take_in(&mut self, cx: &mut Context<'_, Flow>) -> Result<bool> {
        let Some(current) = &mut self.current else { return Ok(false) };
        if current.part.is_none() {
            (current.part, current.taken) = (current.parts.next(), 0);
        }
        let Some(part) = &current.part else { return Ok(false) };
        let Applied { rows, changes } = self.groups.apply(part, current.taken).map_err(aggregate_refused)?;
        current.taken += rows;
        if current.taken == part.rows() {
            current.part = None;
        }
        let done = current.done + rows as u64;
        let span = current.span.map(|span| span.part(current.done, done, span.rows));
        current.done = done;
        self.tail.track.record(Point::Merged, span);
        self.tail.track.begin(span);
        let late = self.groups.take_late();
        add(&self.counters.folded, rows as u64 - late);
        add(&self.counters.late, late);
        self.emit(changes, cx)?;
        Ok(true)
    }

    /// Passes rows on.
    fn emit(&mut self, batch: Batch, cx: &mut Context<'_, Flow>) -> Result<()> {
        add(&self.counters.rows_in, batch.rows() as u64);
        steps::run(&self.steps, batch, &self.counters, &mut |batch| self.tail.push(batch, &self.counters, cx))?;
        let (gathered_rows, gathered_bytes) = self.tail.gathered();
        if gathered_rows >= OUTPUT_ROWS || gathered_bytes >= OUTPUT_BYTES {
            self.tail.end_block(None, cx);
        }
        Ok(())
    }

    /// The block in hand is done with.
    fn end_block(&mut self, worker: WorkerId) {
        if let Some(current) = self.current.take()
            && let Some(source) = current.edge.and_then(|edge| self.sources.get(&edge))
        {
            source.window.take_in(worker, source.order.next_block());
        }
    }
}

impl Operator<Flow> for RunningOperator {
    fn receive(&mut self, _: &mut Context<'_, Flow>, edge: EdgeId, _: WorkerId, data: Flow) -> Result<(), Fault> {
        let (Flow::Routed(block), Some(source)) = (data, self.sources.get_mut(&edge)) else {
            return Err(Error::internal("rows for the owner of their keys come in blocks").into());
        };
        add(&self.counters.taken, block.rows());
        self.waiting_bytes += block.bytes();
        match block.block {
            Some(number) => source.order.take_in(number, block),
            None => self.unordered.push_back(block),
        }
        Ok(())
    }

    fn advance(&mut self, _: &mut Context<'_, Flow>, frontier: EventTimeMs) -> Result<(), Fault> {
        self.frontier = frontier;
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Flow>) -> Result<Activity, Fault> {
        if self.current.is_some() || self.next_block() {
            if !self.take_in(cx)? {
                self.end_block(cx.worker());
            }
            return Ok(Activity::Busy);
        }
        self.tail.end_block(None, cx);
        let is_over = self.frontier == EventTimeMs::END;
        if !is_over && (!self.groups.is_windowed() || self.frontier == self.promised) {
            return Ok(Activity::Waiting);
        }
        if is_over && self.sources.values().any(|source| !source.order.is_empty()) {
            return Err(Error::internal("a block is missing in front of others").into());
        }
        self.groups.close(self.frontier);
        if let Some(batch) = self.groups.finish().map_err(aggregate_refused)? {
            self.emit(batch, cx)?;
            return Ok(Activity::Busy);
        }
        self.tail.end_block(None, cx);
        if is_over {
            self.tail.finish(cx)?;
            return Ok(Activity::Done);
        }
        self.promised = self.frontier;
        // What ends with the frontier is not final yet.
        self.tail.advance(EventTimeMs(self.frontier.0.saturating_sub(1)), cx)?;
        Ok(Activity::Busy)
    }

    fn barrier(&mut self, cx: &mut Context<'_, Flow>, _: Epoch) -> Result<(), Fault> {
        self.tail.flush(cx)?;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.groups.bytes() + self.waiting_bytes + self.tail.state_bytes()
    }
}
