//! From the stages of a plan to operators: one of every stage for every worker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use thalweg_operators::group::{Emission, MiniBatchedGroups};
use thalweg_operators::kernels::Kernels;
use thalweg_operators::rank::Ranking;
use thalweg_operators::route::Router;
use thalweg_operators::running::RunningAggregation;
use thalweg_operators::session::SessionWindows;
use thalweg_operators::sort::Sorter;
use thalweg_runtime::exchange::doorbell::Doorbells;
use thalweg_runtime::latency::Latencies;
use thalweg_runtime::progress::window::BlockWindow;
use thalweg_runtime::state::Meter;
use thalweg_runtime::topology::{EdgeSpec, Target, Topology};
use thalweg_runtime::{EdgeId, EventTimeMs, Nanos, Operator, StageId, WorkerId};

use super::account::{Counters, StageCounters};
use super::control::{JobControl, Progress};
use super::costs::AggregationAccount;
use super::event_time::{Chain, EventTime};
use super::flow::{Flow, Output};
use super::latency::Track;
use super::merge::MergeOperator;
use super::mini_batch::MiniBatchOperator;
use super::rejects::{Ledgers, ScanLedgers};
use super::route::Route;
use super::running::{RowPlan, RunningOperator};
use super::sort::SortOperator;
use super::source::SourceOperator;
use super::state::{LiveState, State};
use super::tail::{Destination, Fold, Hold, SinkTail, Tail, Writes, aggregate_refused};
use super::union::UnionOperator;
use super::values::ValuesOperator;
use super::watermark::{Future, Watermark};
use crate::connect::bad_input::{LateRows, RejectCounts};
use crate::connect::{MakeEncoder, OpenSink, ReadOptions, ScanHints, Source};
use crate::error::{Error, Result};
use crate::plan::changelog::ChangelogMode;
use crate::plan::stages::{Head, Sink, Stage, StageGraph, Step, Tail as PlannedTail};
use crate::plan::strategy::Decision;
use crate::plan::{RuntimeMode, SinkTable, SortKey};

/// Messages in one lane at most: enough to ride out a neighbour's block, few enough to stay in the caches.
const LANE_CAPACITY: usize = 8;

/// Blocks of a source that may be sent to owners who take in row by row while an earlier one is missing. Enough to
/// ride out a neighbour that was put to sleep in the middle of a block.
const BLOCKS_AHEAD_MAX: u64 = 64;

/// A job's stages with their sources opened, ready to give operators to workers.
pub(super) struct Build {
    stages: Vec<BuildStage>,
    /// By sink.
    wanted: Vec<SinkInput>,
    /// By sink: its columns that are NOT NULL.
    required: Vec<Vec<(usize, String)>>,
    /// By sink: its columns with the kinds of rows in front, where they are shown.
    with_kinds: Vec<Option<SchemaRef>>,
    pub(super) counters: Counters,
    progress: Arc<Progress>,
    batch_rows: usize,
    batch_delay: Option<Duration>,
    kernels: Kernels,
    workers: usize,
    pub(super) latencies: Latencies,
}

struct BuildStage {
    plan: Stage,
    source: Option<Arc<dyn Source>>,
    chain: Option<Arc<Chain>>,
    /// Of a scan.
    ledgers: Option<ScanLedgers>,
    /// Of an aggregation.
    state: Option<State>,
    /// Of what takes in row by row.
    row_plan: Option<RowPlan>,
    /// Of a stage that sends to one: how far its blocks may run ahead.
    window: Option<Arc<BlockWindow>>,
}

/// What the writer of a sink takes.
pub(super) enum SinkInput {
    /// Rows that workers have encoded.
    Encoded(MakeEncoder),
    /// Batches as they are.
    Batches,
    /// No rows at all.
    Nothing,
}

impl SinkInput {
    pub(super) fn of(sink: &OpenSink) -> Self {
        match &sink.encoder {
            _ if sink.writer.discards() => Self::Nothing,
            Some(make) => Self::Encoded(Arc::clone(make)),
            None => Self::Batches,
        }
    }
}

/// How a job's stages are to be run.
pub(super) struct BuildOptions<'a> {
    pub(super) mode: RuntimeMode,
    pub(super) read: &'a ReadOptions,
    pub(super) bells: &'a Doorbells,
    /// By stage: how the state of the aggregation there is shared.
    pub(super) decisions: &'a BTreeMap<usize, Decision>,
    pub(super) meter: Meter,
    pub(super) latencies: &'a Latencies,
    pub(super) batch_delay: Option<Duration>,
}

impl Build {
    /// Opens the sources of `graph`. `wanted`: by sink.
    pub(super) fn open(
        graph: StageGraph,
        wanted: Vec<SinkInput>,
        options: &BuildOptions<'_>,
        control: &JobControl,
    ) -> Result<Self> {
        let BuildOptions { mode, read, bells, decisions, meter, latencies, batch_delay } = *options;
        let mut event_times = event_times(&graph);
        let aggregations: Vec<usize> = (0..graph.stages.len()).map(|stage| graph.last_aggregation(stage)).collect();
        let required = graph.sinks.iter().map(|sink| required(&sink.table)).collect();
        let with_kinds = graph.sinks.iter().map(Sink::with_kinds).collect();
        let counters = graph.stages.iter().map(|_| Arc::new(StageCounters::default())).collect();
        let mut stages = Vec::with_capacity(graph.stages.len());
        for (index, (plan, aggregation)) in graph.stages.into_iter().zip(aggregations).enumerate() {
            let source = match &plan.head {
                Head::Scan { table, columns, pruning, codes } => {
                    let hints = ScanHints { pruning, codes };
                    Some(table.connector.open_hinted_source(table, columns, &hints, read, bells)?)
                }
                _ => None,
            };
            let event_time = event_times.get_mut(&aggregation).filter(|_| has_watermark(&plan));
            let chain = event_time.map(|(event_time, chains)| {
                *chains += 1;
                event_time.chain(*chains - 1, read.workers, bells)
            });
            let state = match &plan.head {
                Head::Merge { spec, input } | Head::MiniBatched { spec, input, .. } => {
                    let decision = decisions.get(&index).copied().unwrap_or(Decision::LATER);
                    Some(State::new(decision, (spec, input), mode, (read, bells, meter))?)
                }
                _ => None,
            };
            let row_plan = match &plan.head {
                Head::Running { spec, input, mode } => {
                    let running = match *mode {
                        ChangelogMode::APPEND_ONLY => RunningAggregation::new(Arc::clone(spec), input, read.kernels),
                        _ => RunningAggregation::over_changes(Arc::clone(spec), input, read.kernels),
                    };
                    Some(RowPlan::Aggregation(Arc::new(running.map_err(aggregate_refused)?)))
                }
                Head::Session { spec, input } => {
                    let windows = SessionWindows::new(spec.clone(), input, read.kernels);
                    Some(RowPlan::Session(Arc::new(windows.map_err(aggregate_refused)?)))
                }
                Head::Rank { spec, input } => {
                    let ranking = Ranking::new(spec.clone(), input, read.kernels);
                    Some(RowPlan::Rank(Arc::new(ranking.map_err(aggregate_refused)?)))
                }
                _ => None,
            };
            let is_routed = matches!(plan.tail, PlannedTail::Route { .. });
            let window = is_routed.then(|| Arc::new(BlockWindow::new(BLOCKS_AHEAD_MAX, bells)));
            stages.push(BuildStage { plan, source, chain, ledgers: None, state, row_plan, window });
        }
        let mut ledgers = Ledgers::default();
        refuse_diverted_sessions(&stages)?;
        // Consumers come after their producers, statements after those that follow them: backwards is as it was written.
        for stage in stages.iter_mut().rev() {
            if let Head::Scan { table, .. } = &stage.plan.head {
                let has_windows = matches!(&stage.plan.tail, PlannedTail::Fold { spec, .. } if spec.window.is_some());
                stage.ledgers = Some(ledgers.open(table, has_windows && stage.chain.is_some(), (bells, control))?);
            }
        }
        Ok(Self {
            stages,
            wanted,
            required,
            with_kinds,
            counters,
            progress: control.counters(),
            batch_rows: read.batch_rows,
            batch_delay,
            kernels: read.kernels,
            workers: read.workers,
            latencies: latencies.clone(),
        })
    }

    /// Every stage has one outgoing edge, of the same number.
    pub(super) fn topology(&self) -> Topology {
        let edge = |(from, stage): (usize, &BuildStage)| EdgeSpec {
            from: StageId(from as u16),
            to: match stage.plan.tail {
                PlannedTail::Fold { to, .. }
                | PlannedTail::Route { to }
                | PlannedTail::Gather { to }
                | PlannedTail::Pass { to } => Target::Stage(StageId(to as u16)),
                PlannedTail::Sink { .. } => Target::External,
            },
            lane_capacity: LANE_CAPACITY,
        };
        Topology {
            stages: self.stages.iter().map(|stage| stage.plan.name.clone()).collect(),
            edges: self.stages.iter().enumerate().map(edge).collect(),
        }
    }

    /// The index of the sink that each edge leads to, for the edges that leave the workers.
    pub(super) fn sink_of_edge(&self, edge: EdgeId) -> Option<usize> {
        match self.stages.get(usize::from(edge.0))?.plan.tail {
            PlannedTail::Sink { sink } => Some(sink),
            _ => None,
        }
    }

    /// Stage, table (for a scan) and destination of each stage, for the account.
    pub(super) fn names(&self) -> Vec<(String, Option<String>, String)> {
        let names = self.stages.iter().enumerate().map(|(index, stage)| {
            let table = match &stage.plan.head {
                Head::Scan { table, .. } => Some(table.name.clone()),
                _ => None,
            };
            let name = format!("{index} {}", stage.plan.name);
            let to = match stage.plan.tail {
                PlannedTail::Fold { to, .. }
                | PlannedTail::Route { to }
                | PlannedTail::Gather { to }
                | PlannedTail::Pass { to } => {
                    format!("{name} -> {to} {}", self.stages[to].plan.name)
                }
                PlannedTail::Sink { .. } => format!("{name} -> sink"),
            };
            (name, table, to)
        });
        names.collect()
    }

    /// The state of every aggregation, for readers.
    pub(super) fn live_states(&self) -> Vec<LiveState> {
        // What a running aggregation holds leaves as it changes: who wants it reads the changelog.
        let is_shared = |stage: &BuildStage| matches!(stage.plan.head, Head::Merge { .. });
        self.states(is_shared).map(|(name, state)| state.live(name)).collect()
    }

    /// What became of the state of every aggregation, for the account.
    pub(super) fn aggregations(&self) -> Vec<AggregationAccount> {
        let account = |(name, state): (String, &State)| AggregationAccount {
            name,
            decision: state.decision,
            cost: state.costs.account(),
        };
        self.states(|_| true).map(account).collect()
    }

    /// The states of the stages that are `wanted`.
    fn states(&self, wanted: impl Fn(&BuildStage) -> bool) -> impl Iterator<Item = (String, &State)> {
        let stages = self.stages.iter().enumerate().filter(move |(_, stage)| wanted(stage));
        stages.filter_map(|(index, stage)| Some((format!("{index} {}", stage.plan.name), stage.state.as_ref()?)))
    }

    /// Records that the source of `stage` did not read, since no filter would let them through.
    pub(super) fn unread(&self, stage: usize) -> u64 {
        self.stages[stage].source.as_ref().map_or(0, |source| source.unread())
    }

    /// The opened sources.
    pub(super) fn sources(&self) -> Vec<Arc<dyn Source>> {
        self.stages.iter().filter_map(|stage| stage.source.clone()).collect()
    }

    /// Waits until all rejects are written; what was rejected, by stage.
    ///
    /// # Errors
    /// `Connector`, if a file of rejects cannot be written.
    pub(super) fn end_rejects(&self) -> Result<Vec<RejectCounts>> {
        let ledgers = self.stages.iter().map(|stage| stage.ledgers.as_ref());
        // All are ended before the first error is looked at.
        let ended: Vec<Result<RejectCounts>> =
            ledgers.map(|ledgers| ledgers.map_or_else(|| Ok(RejectCounts::default()), ScanLedgers::finish)).collect();
        ended.into_iter().collect()
    }

    /// The operator of `stage` on `worker`.
    pub(super) fn operator(&self, stage: StageId, worker: WorkerId) -> Result<Box<dyn Operator<Flow>>> {
        let index = usize::from(stage.0);
        let BuildStage { plan, source, chain, ledgers, .. } = &self.stages[index];
        let counters = Arc::clone(&self.counters[index]);
        let tail = self.tail(index, worker);
        let steps = plan.steps.clone();
        Ok(match &plan.head {
            Head::Scan { table, .. } => {
                let (computed, watermark, steps) = split_at_watermark(steps, chain.as_ref(), self.kernels);
                let watermark = watermark.map(|watermark| Watermark { future: Future::of(table), ..watermark });
                let source = source.as_ref().expect("every scan has its source opened");
                let ledgers = ledgers.as_ref().expect("every scan has a ledger of its rejects");
                Box::new(SourceOperator {
                    ledger: Arc::clone(&ledgers.rejects),
                    late: ledgers.late.clone(),
                    reader: source.reader(worker),
                    source: index as u32,
                    computed,
                    watermark,
                    steps,
                    tail,
                    counters,
                    progress: Arc::clone(&self.progress),
                    stash: VecDeque::new(),
                    is_ended: false,
                })
            }
            Head::Values(rows) => Box::new(ValuesOperator {
                rows: (worker == WorkerId(0)).then(|| rows.clone()),
                source: index as u32,
                steps,
                tail,
                counters,
            }),
            Head::Merge { .. } => {
                let state = self.state(index);
                Box::new(MergeOperator {
                    owner: state.strategy.owner(worker),
                    emission: Emission::new(Arc::clone(&state.aggregation)),
                    batch_rows: self.batch_rows,
                    steps,
                    tail,
                    counters,
                    tally: state.costs.tally(),
                    frontier: EventTimeMs::MIN,
                    is_emitting: false,
                    closed_at: Nanos(0),
                })
            }
            Head::MiniBatched { .. } => {
                let groups = MiniBatchedGroups::new(Arc::clone(&self.state(index).aggregation));
                Box::new(MiniBatchOperator::new(groups, self.batch_rows, (steps, tail), counters))
            }
            Head::Running { .. } | Head::Rank { .. } | Head::Session { .. } => {
                let groups = self.row_plan(index).groups();
                Box::new(RunningOperator::new(groups, self.windows_to(index), (steps, tail), counters))
            }
            Head::Sort { keys, offset, limit } => Box::new(SortOperator {
                sorter: Some(self.sorter(index, keys, *offset, *limit)?),
                sorted: None,
                sorted_bytes: 0,
                batch_rows: self.batch_rows,
                steps,
                tail,
                counters,
            }),
            Head::Union => Box::new(UnionOperator { steps, tail, counters, frontier: EventTimeMs::MIN }),
        })
    }

    fn state(&self, stage: usize) -> &State {
        self.stages[stage].state.as_ref().expect("every aggregation has its state")
    }

    fn row_plan(&self, stage: usize) -> &RowPlan {
        self.stages[stage].row_plan.as_ref().expect("every stage that takes in row by row has its plan")
    }

    fn window(&self, stage: usize) -> Arc<BlockWindow> {
        Arc::clone(self.stages[stage].window.as_ref().expect("every stage that routes has its window"))
    }

    /// The edges that lead to a stage that takes in row by row, each with the window of its blocks.
    fn windows_to(&self, stage: usize) -> impl Iterator<Item = (EdgeId, Arc<BlockWindow>)> {
        let leads_here = move |other: &BuildStage| matches!(other.plan.tail, PlannedTail::Route { to } if to == stage);
        let senders = (0..self.stages.len()).filter(move |&sender| leads_here(&self.stages[sender]));
        senders.map(|sender| (EdgeId(sender as u16), self.window(sender)))
    }

    fn sorter(&self, stage: usize, keys: &[SortKey], offset: u64, limit: Option<u64>) -> Result<Sorter> {
        let input =
            self.stages.iter().find(|other| matches!(other.plan.tail, PlannedTail::Gather { to } if to == stage));
        let input = input.expect("a sort has an input");
        // More rows than fit in memory are no limit.
        let rows = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        Sorter::new(Arc::clone(&input.plan.schema), keys.to_vec(), limit.map(rows), rows(offset))
            .map_err(|error| Error::statement(format!("ORDER BY: {error}")))
    }

    fn tail(&self, stage: usize, worker: WorkerId) -> Tail {
        let edge = EdgeId(stage as u16);
        let to = match &self.stages[stage].plan.tail {
            PlannedTail::Fold { spec, batch, to } => {
                let state = self.state(*to);
                Destination::Fold(Box::new(Fold {
                    producer: state.strategy.producer(worker),
                    sends: Vec::new(),
                    window: spec.window,
                    kernels: self.kernels,
                    edge,
                    next_close: EventTimeMs::MIN,
                    tally: state.costs.tally(),
                    merges_at_once: !state.decision.strategy.sends(),
                    hold: match (batch, self.batch_delay) {
                        (Some(batch), _) => Hold::MiniBatch(*batch),
                        (None, Some(delay)) => Hold::Delay(delay),
                        (None, None) => Hold::Window,
                    },
                    held_since: None,
                    held_rows: 0,
                }))
            }
            PlannedTail::Route { to } => Destination::Route(Box::new(Route {
                edge,
                router: Router::new(self.row_plan(*to).routing(), self.workers),
                parts: (0..self.workers).map(|_| Vec::new()).collect(),
                gathered: (0, 0),
                window: self.window(stage),
                promised: matches!(self.row_plan(*to), RowPlan::Session(_)).then_some(EventTimeMs::MIN),
            })),
            PlannedTail::Gather { .. } => Destination::Gather(edge),
            PlannedTail::Pass { .. } => Destination::Pass(edge),
            PlannedTail::Sink { sink } => Destination::Sink(SinkTail {
                edge,
                writes: match &self.wanted[*sink] {
                    SinkInput::Encoded(make) => Writes::Encoded(make()),
                    SinkInput::Batches => Writes::Batches,
                    SinkInput::Nothing => Writes::Nothing(Arc::clone(&self.progress)),
                },
                output: Output::default(),
                required: self.required[*sink].clone(),
                with_kinds: self.with_kinds[*sink].clone(),
            }),
        };
        Tail { to, track: Track::new(&self.latencies) }
    }
}

/// Which rows are late for a session is known to the owners of keys, who do not have their records.
fn refuse_diverted_sessions(stages: &[BuildStage]) -> Result<()> {
    for stage in stages {
        let (Head::Scan { table, .. }, PlannedTail::Route { to }) = (&stage.plan.head, &stage.plan.tail) else {
            continue;
        };
        let keeps = table.connector.bad_input().is_some_and(|policy| policy.late_rows != LateRows::Drop);
        if keeps && matches!(stages[*to].plan.head, Head::Session { .. }) {
            let message =
                format!("'late-rows' = 'divert' of table `{}` does not work with SESSION windows", table.name);
            return Err(Error::statement(message).help("leave the option out: late rows are counted"));
        }
    }
    Ok(())
}

/// The columns of a sink that are NOT NULL, with their names.
fn required(table: &SinkTable) -> Vec<(usize, String)> {
    let SinkTable::Table(table) = table else { return Vec::new() };
    let fields = table.schema.fields().iter().enumerate();
    fields.filter(|(_, field)| !field.is_nullable()).map(|(column, field)| (column, field.name().clone())).collect()
}

fn has_watermark(stage: &Stage) -> bool {
    stage.steps.iter().any(|step| matches!(step, Step::Watermark { .. }))
}

/// One event time for each last aggregation, over the sources with a watermark that lead to it; and how many of them have
/// their chain.
fn event_times(graph: &StageGraph) -> BTreeMap<usize, (Arc<EventTime>, usize)> {
    let mut sources: BTreeMap<usize, usize> = BTreeMap::new();
    for stage in (0..graph.stages.len()).filter(|&stage| has_watermark(&graph.stages[stage])) {
        *sources.entry(graph.last_aggregation(stage)).or_default() += 1;
    }
    sources.into_iter().map(|(aggregation, sources)| (aggregation, (EventTime::new(sources), 0))).collect()
}

/// The steps below the watermark, the watermark, and the steps above it.
fn split_at_watermark(
    steps: Vec<Step>,
    chain: Option<&Arc<Chain>>,
    kernels: Kernels,
) -> (Vec<Step>, Option<Watermark>, Vec<Step>) {
    let place = steps.iter().position(|step| matches!(step, Step::Watermark { .. }));
    let (Some(place), Some(chain)) = (place, chain) else { return (Vec::new(), None, steps) };
    let mut computed = steps;
    let mut above = computed.split_off(place).into_iter();
    let watermark = match above.next() {
        Some(Step::Watermark { time_column, strategy }) => {
            Some(Watermark { time_column, strategy, future: None, chain: Arc::clone(chain), kernels })
        }
        _ => None,
    };
    (computed, watermark, above.collect())
}
