//! A running job: from a plan to operators on workers, to rows in a sink, to the account of where every row went.

mod account;
mod build;
mod control;
mod costs;
mod event_time;
mod flow;
mod late;
mod latency;
mod merge;
mod mini_batch;
mod order;
mod rejects;
mod route;
mod running;
mod sample;
mod sink;
mod sort;
mod source;
mod state;
mod steps;
mod tail;
mod union;
mod unnest;
mod values;
mod watermark;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use thalweg_operators::kernels::Kernels;
use thalweg_runtime::driver::{DriveOptions, JobFailure, drive};
pub use thalweg_runtime::driver::{Idle, Pin};
use thalweg_runtime::exchange::doorbell::Doorbells;
use thalweg_runtime::latency::Latencies;
use thalweg_runtime::mesh::{self, Mesh};
use thalweg_runtime::simulate::{SimulationFailure, Simulator};
use thalweg_runtime::state::Meter;
use thalweg_runtime::{Control, EdgeId};

pub use account::{Account, EdgeAccount, OperatorAccount, SourceAccount};
pub use control::{JobControl, ProgressSnapshot};
pub use costs::{AggregationAccount, CostAccount};
pub use latency::{LatencyAccount, Metrics, Percentiles};
pub use state::LiveState;

use self::account::StageCounters;
use self::build::{Build, BuildOptions, SinkInput};
use self::flow::Flow;
use self::sink::Collector;
use crate::connect::bad_input::RejectCounts;
use crate::connect::result::{self, ResultFormat};
use crate::connect::{OpenSink, ReadOptions, SinkWriter};
use crate::error::{Error, Kind, Result};
use crate::plan::explain::{Run, render};
use crate::plan::stages::{Sink, StageGraph};
use crate::plan::strategy::StrategyChoice;
use crate::plan::{JobPlan, RuntimeMode, SinkTable};
use crate::report::number::bytes;

/// How a job is run; none of it changes its result.
#[derive(Clone, Debug)]
pub struct JobOptions {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Which cores they are bound to.
    pub pin: Pin,
    /// What a worker without work does.
    pub idle: Idle,
    /// Rows of a batch at most, at least 1.
    pub batch_rows: usize,
    /// Bytes of a block of a file, at least 1.
    pub block_bytes: usize,
    /// Bytes of state over all workers at most; the job ends with a report beyond it.
    pub memory_bytes: Option<u64>,
    /// How a bare SELECT prints its rows.
    pub format: ResultFormat,
    /// How workers share the state of aggregations that are fed by sources.
    pub strategy: StrategyChoice,
    /// How loops over rows are computed.
    pub kernels: Kernels,
    /// What is measured, for the account.
    pub metrics: Metrics,
    /// How long folded rows may wait for others before they go to the owners of their keys; they do not wait for input that
    /// is not there. `None`: as is fastest, that is until a window closes.
    pub batch_delay: Option<Duration>,
    /// Readers of live state that will be attached: what [`StrategyChoice::Auto`] goes by, among others.
    pub readers: usize,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            pin: Pin::Auto,
            idle: Idle::Adaptive,
            batch_rows: 4096,
            block_bytes: 128 * 1024,
            memory_bytes: None,
            format: ResultFormat::Csv,
            strategy: StrategyChoice::default(),
            kernels: Kernels::default(),
            metrics: Metrics::default(),
            batch_delay: None,
            readers: 0,
        }
    }
}

/// Runs a job until its input ends or it is drained, and completes its sinks.
///
/// # Errors
/// Whatever ends the job early; nothing is then visible under the final name of a file.
pub fn run(plan: JobPlan, options: &JobOptions, control: &JobControl) -> Result<Account> {
    run_into(plan, &|sink| open_sink(sink, options), options, control)
}

/// As [`run`], but into sinks that the caller opens, for the rows of a table or of a bare SELECT: how a program has a result
/// worked on where it is made. Encoders are called by the workers, writers by a thread for each sink.
///
/// # Errors
/// As for [`run`], and those of `open`.
pub fn run_into(
    plan: JobPlan,
    open: &dyn Fn(&Sink) -> Result<OpenSink>,
    options: &JobOptions,
    control: &JobControl,
) -> Result<Account> {
    let mode = plan.mode;
    let graph = StageGraph::new(plan);
    let sinks: Vec<OpenSink> = graph.sinks.iter().map(open).collect::<Result<_>>()?;
    let wanted = sinks.iter().map(SinkInput::of).collect();
    let mut writers: Vec<Box<dyn SinkWriter>> = sinks.into_iter().map(|sink| sink.writer).collect();
    let started = Instant::now();
    let (build, mesh) = assemble(graph, mode, wanted, options, control)?;
    let Mesh { workers, externals, control: runtime } = mesh;
    let progress = control.counters();
    let (outcome, emitted) = std::thread::scope(|scope| {
        let mut waiting: Vec<Option<&mut Box<dyn SinkWriter>>> = writers.iter_mut().map(Some).collect();
        let mut threads = Vec::new();
        for external in externals {
            let sink = build.sink_of_edge(external.edge()).expect("an edge that leaves the workers leads to a sink");
            let writer = waiting[sink].take().expect("one edge leads to each sink");
            let (runtime, progress, latencies) = (&runtime, &progress, &build.latencies);
            let edge = external.edge();
            threads.push((
                edge,
                scope.spawn(move || sink::write(external, writer.as_mut(), runtime, control, progress, latencies)),
            ));
        }
        let outcome = drive(workers, &drive_options(options), &runtime);
        let emitted: BTreeMap<EdgeId, u64> =
            threads.into_iter().map(|(edge, thread)| (edge, thread.join().unwrap_or_default())).collect();
        (outcome, emitted)
    });
    control.end();
    // Whatever became of the job, what was rejected until then is written.
    let rejects = build.end_rejects();
    outcome.map_err(failed)?;
    // A sink that failed after the workers had ended.
    runtime.take_failure().map_or(Ok(()), |failure| Err(failed(failure)))?;
    let rejects = rejects?;
    for writer in &mut writers {
        writer.finish()?;
    }
    let mut account = account(&build, &rejects, &runtime, options, control, started);
    account.undelivered = undelivered(&runtime, &emitted);
    Ok(account)
}

/// Runs a job whose rows are wanted in this process: the batches of its only pipeline, in the sink's order.
///
/// # Errors
/// As for [`run`].
pub fn collect(plan: JobPlan, options: &JobOptions) -> Result<(Vec<RecordBatch>, Account)> {
    let control = JobControl::new();
    let started = Instant::now();
    let mode = plan.mode;
    let graph = StageGraph::new(plan);
    let wanted = graph.sinks.iter().map(|_| SinkInput::Batches).collect();
    let (build, mesh) = assemble(graph, mode, wanted, options, &control)?;
    let Mesh { workers, externals, control: runtime } = mesh;
    let progress = control.counters();
    let (outcome, batches) = std::thread::scope(|scope| {
        let collectors: Vec<_> = externals
            .into_iter()
            .map(|external| {
                let progress = &progress;
                scope.spawn(move || sink::collect(external, progress))
            })
            .collect();
        let outcome = drive(workers, &drive_options(options), &runtime);
        let batches = collectors.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect();
        (outcome, batches)
    });
    control.end();
    let rejects = build.end_rejects();
    outcome.map_err(failed)?;
    Ok((batches, account(&build, &rejects?, &runtime, options, &control, started)))
}

/// As [`collect`], but on this thread alone: the seed decides which worker steps when. The same seed takes the same
/// schedule, so a failure can be played again.
///
/// # Errors
/// As for [`run`]; also if the workers come to a standstill before the job is done. The seed is in the message.
pub fn simulate(plan: JobPlan, options: &JobOptions, seed: u64) -> Result<(Vec<RecordBatch>, Account)> {
    let control = JobControl::new();
    let started = Instant::now();
    let mode = plan.mode;
    let graph = StageGraph::new(plan);
    let wanted = graph.sinks.iter().map(|_| SinkInput::Batches).collect();
    let (build, mesh) = assemble(graph, mode, wanted, options, &control)?;
    let (runtime, progress) = (mesh.control.clone(), control.counters());
    let mut collectors: BTreeMap<EdgeId, Collector> = BTreeMap::new();
    let outcome = Simulator::new(seed).run(mesh, |edge, _, data| {
        collectors.entry(edge).or_default().take_in(data, &progress);
        ControlFlow::Continue(())
    });
    control.end();
    let rejects = build.end_rejects();
    outcome.map_err(|failure| match failure {
        SimulationFailure::Job { failure, .. } => failed(failure),
        other => Error::internal(other.to_string()),
    })?;
    let batches = collectors.into_values().flat_map(|collector| collector.batches).collect();
    Ok((batches, account(&build, &rejects?, &runtime, options, &control, started)))
}

/// EXPLAIN: how [`run`] would run the plan. To tell what [`StrategyChoice::Auto`] takes, the first rows of files are read.
#[must_use]
pub fn explain(plan: JobPlan, options: &JobOptions) -> String {
    let mode = plan.mode;
    let graph = StageGraph::new(plan);
    let decisions = state::decide(&graph, options, &read_options(options));
    render(&graph, &Run { mode, workers: options.workers, strategy: options.strategy, decisions })
}

fn read_options(options: &JobOptions) -> ReadOptions {
    ReadOptions {
        batch_rows: options.batch_rows.max(1),
        block_bytes: options.block_bytes.max(1),
        workers: options.workers,
        kernels: options.kernels,
    }
}

fn open_sink(sink: &Sink, options: &JobOptions) -> Result<OpenSink> {
    let with_kinds = sink.with_kinds();
    match &sink.table {
        SinkTable::Result => result::open(options.format, with_kinds.as_ref().unwrap_or(&sink.schema)),
        SinkTable::Table(table) => table.connector.open_sink(table, with_kinds),
    }
}

fn assemble(
    graph: StageGraph,
    mode: RuntimeMode,
    wanted: Vec<SinkInput>,
    options: &JobOptions,
    control: &JobControl,
) -> Result<(Build, Mesh<Flow>)> {
    let bells = Doorbells::new(options.workers);
    let read = read_options(options);
    let decisions = state::decide(&graph, options, &read);
    let meter = if options.metrics == Metrics::All { Meter::on() } else { Meter::OFF };
    let latencies = if options.metrics == Metrics::Off { Latencies::OFF } else { Latencies::on() };
    control.show_latencies(latencies.clone());
    let how = BuildOptions {
        mode,
        read: &read,
        bells: &bells,
        decisions: &decisions,
        meter,
        latencies: &latencies,
        batch_delay: options.batch_delay,
    };
    let build = Build::open(graph, wanted, &how, control)?;
    let sources = build.sources();
    control.show_stages(build.counters.clone());
    control.show_states(build.live_states());
    control.counters().set_bytes_total(sources.iter().map(|source| source.bytes_total()).sum());
    let mut refused = None;
    let mut operators = Vec::new();
    let topology = build.topology();
    for stage in 0..topology.stages.len() {
        for worker in 0..options.workers {
            let ids = (thalweg_runtime::StageId(stage as u16), thalweg_runtime::WorkerId(worker as u16));
            match build.operator(ids.0, ids.1) {
                Ok(operator) => operators.push((ids, operator)),
                Err(error) => refused = Some(error),
            }
        }
    }
    if let Some(error) = refused {
        return Err(error);
    }
    let mut operators: BTreeMap<_, _> = operators.into_iter().collect();
    let mesh = mesh::build(&topology, options.workers, &bells, |stage, worker| {
        operators.remove(&(stage, worker)).expect("one operator was made for each stage and worker")
    });
    if let Some(bytes) = options.memory_bytes {
        mesh.control.set_memory_limit(bytes as usize);
    }
    control.start(mesh.control.clone(), sources);
    Ok((build, mesh))
}

fn drive_options(options: &JobOptions) -> DriveOptions {
    DriveOptions { pin: options.pin.clone(), idle: options.idle }
}

/// What ended the workers, as the user's, the world's or our error.
fn failed(failure: JobFailure) -> Error {
    match failure {
        JobFailure::Fault { stage, fault, .. } => match fault.downcast::<Error>() {
            Ok(error) => *error,
            Err(fault) => Error::internal(format!("stage {stage}: {fault}")),
        },
        other => match &other {
            JobFailure::MemoryExhausted { used, limit, stages } => {
                Error::new(Kind::Memory, exhausted(*used, *limit, stages)).help(
                    "raise --memory, or make the state smaller: shorter windows, fewer keys, fewer DISTINCT values",
                )
            }
            _ => Error::internal(other.to_string()),
        },
    }
}

/// How much state there is, how much there may be, and which stage holds the most.
fn exhausted(used: usize, limit: usize, stages: &[(String, usize)]) -> String {
    let size = |size: usize| bytes(size as u64);
    let greatest = stages.iter().max_by_key(|(_, bytes)| *bytes).filter(|(_, bytes)| *bytes < used);
    let greatest = greatest.map(|(stage, bytes)| format!(", {} of it in stage `{stage}`", size(*bytes)));
    format!("the state needs {}{}, and --memory allows {}", size(used), greatest.unwrap_or_default(), size(limit))
}

/// Rows that were on their way to sinks whose readers had gone away. `emitted`: what each sink wrote.
fn undelivered(runtime: &Control, emitted: &BTreeMap<EdgeId, u64>) -> u64 {
    let edges = runtime.edge_accounts();
    let lost = |(edge, emitted): (&EdgeId, &u64)| {
        let counts = edges.get(usize::from(edge.0)).filter(|counts| counts.is_hung_up)?;
        Some((counts.sent_rows + counts.discarded_rows).saturating_sub(*emitted))
    };
    emitted.iter().filter_map(lost).sum()
}

fn account(
    build: &Build,
    rejects: &[RejectCounts],
    runtime: &Control,
    options: &JobOptions,
    control: &JobControl,
    started: Instant,
) -> Account {
    let mut account = Account {
        emitted: control.counters().emitted(),
        state_peak_bytes: runtime.state_peak_bytes() as u64,
        elapsed: started.elapsed(),
        workers: options.workers,
        is_drained: control.is_draining(),
        aggregations: build.aggregations(),
        latency: LatencyAccount { histograms: build.latencies.total() },
        ..Account::default()
    };
    // Relaxed: the workers have been joined.
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let edges = runtime.edge_accounts();
    for (index, (name, table, edge)) in build.names().into_iter().enumerate() {
        let counters: &StageCounters = &build.counters[index];
        if let Some(table) = table {
            let unread = build.unread(index);
            account.sources.push(SourceAccount {
                table,
                records: read(&counters.records) + unread,
                unread,
                rows: read(&counters.rows_in),
                rejected: read(&counters.rejected),
                rejects: rejects.get(index).copied().unwrap_or_default(),
                bytes: read(&counters.bytes),
            });
        }
        account.operators.push(OperatorAccount {
            name,
            rows_in: read(&counters.rows_in),
            folded: read(&counters.folded),
            passed: read(&counters.passed),
            updates: read(&counters.updates),
            filtered: read(&counters.filtered),
            late: read(&counters.late),
            handed: read(&counters.handed),
            taken: read(&counters.taken),
            failed: read(&counters.failed),
            unnested: read(&counters.unnested),
            produced: read(&counters.produced),
        });
        let counts = &edges[index];
        account.edges.push(EdgeAccount {
            name: edge,
            sent: counts.sent_rows,
            received: counts.received_rows,
            is_hung_up: counts.is_hung_up,
        });
    }
    account
}
