//! Stages: a pipeline's tree cut where rows must move to another worker.
//!
//! A stage starts with a [`Head`] (a scan, or what arrives over an exchange), goes on with [`Step`]s that see one batch
//! at a time, and ends with a [`Tail`]. A UNION ALL is no stage: each input runs the steps above it by itself, and
//! several stages send to the same consumer.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use thalweg_operators::expr::Scalar;
use thalweg_operators::rank::RankSpec;
use thalweg_operators::session::SessionSpec;
use thalweg_operators::spec::GroupSpec;
use thalweg_operators::unnest::UnnestSpec;

use super::changelog::{ChangelogMode, with_kinds};
use super::pruning::ColumnTest;
use super::{JobPlan, MiniBatch, Node, NodeOp, SinkTable, SortKey, Table, WatermarkStrategy};

/// The stages of a job in topological order: a stage sends only to later ones.
#[derive(Debug)]
pub struct StageGraph {
    /// All stages of all pipelines.
    pub stages: Vec<Stage>,
    /// Where results go, one for each pipeline.
    pub sinks: Vec<Sink>,
}

/// Where the rows of a pipeline go.
#[derive(Clone, Debug)]
pub struct Sink {
    /// The result, or a table.
    pub table: SinkTable,
    /// The columns written.
    pub schema: SchemaRef,
    /// What rows come.
    pub mode: ChangelogMode,
}

impl Sink {
    /// The columns with the kind of each row in front, where they are shown.
    #[must_use]
    pub fn with_kinds(&self) -> Option<SchemaRef> {
        let is_shown = self.mode != ChangelogMode::APPEND_ONLY && self.table.shows_kinds();
        is_shown.then(|| with_kinds(&self.schema))
    }
}

/// What every worker runs between two exchanges.
#[derive(Clone, Debug)]
pub struct Stage {
    /// For EXPLAIN, the account and thread panics: `scan trades`, `merge`, `sort`.
    pub name: String,
    /// Where rows come from.
    pub head: Head,
    /// What happens to each batch, in this order.
    pub steps: Vec<Step>,
    /// Where rows go.
    pub tail: Tail,
    /// Columns before the tail.
    pub schema: SchemaRef,
}

/// The start of a stage.
#[derive(Clone, Debug)]
pub enum Head {
    /// Blocks of a source.
    Scan {
        /// What is read.
        table: Arc<Table>,
        /// Physical columns, ascending.
        columns: Vec<usize>,
        /// What every row must pass that is let through above.
        pruning: Vec<ColumnTest>,
        /// Places among `columns` of those that may come as codes of a dictionary, ascending.
        codes: Vec<usize>,
    },
    /// Rows of the plan itself, emitted by worker 0.
    Values(RecordBatch),
    /// Groups at their owner, from whatever the strategy sends it.
    Merge {
        /// What is aggregated.
        spec: Arc<GroupSpec>,
        /// Columns of the batches that were folded.
        input: SchemaRef,
    },
    /// Groups at their owner, who takes in row by row and tells what changes.
    Running {
        /// What is aggregated.
        spec: Arc<GroupSpec>,
        /// Columns of the rows.
        input: SchemaRef,
        /// What rows come.
        mode: ChangelogMode,
    },
    /// Groups without a window at their owner, who merges what was folded elsewhere and tells what has changed.
    MiniBatched {
        /// What is aggregated.
        spec: Arc<GroupSpec>,
        /// Columns of the batches that were folded.
        input: SchemaRef,
        /// For how long they are folded.
        batch: MiniBatch,
    },
    /// The first rows of each key at its owner, who takes in row by row.
    Rank {
        /// What is kept.
        spec: RankSpec,
        /// Columns of the rows.
        input: SchemaRef,
    },
    /// The rows of each key at its owner, held until their session is over.
    Session {
        /// Which sessions.
        spec: SessionSpec,
        /// Columns of the rows.
        input: SchemaRef,
    },
    /// All rows at worker 0.
    Sort {
        /// Most significant first.
        keys: Vec<SortKey>,
        /// Rows left out at the start.
        offset: u64,
        /// Rows at most.
        limit: Option<u64>,
    },
    /// Rows of several stages that end in one sink, on the worker where they are.
    Union,
}

/// Work on one batch.
#[derive(Clone, Debug)]
pub enum Step {
    /// Stamps rows with the watermark before them.
    Watermark {
        /// Column of event time.
        time_column: usize,
        /// How the watermark follows from it.
        strategy: WatermarkStrategy,
    },
    /// Keeps some rows.
    Filter {
        /// Boolean; what is TRUE is kept.
        predicate: Arc<dyn Scalar>,
        /// Whether what is kept of an update is a row that comes or goes, and has its kind.
        of_whole_keys: bool,
    },
    /// Computes the next columns.
    Project(Vec<Arc<dyn Scalar>>, SchemaRef),
    /// Makes a row of each value of an array or map.
    Unnest(Arc<UnnestSpec>),
}

/// The end of a stage.
#[derive(Clone, Debug)]
pub enum Tail {
    /// Gives rows to the state of an aggregation, or to the owners of their keys, at this stage.
    Fold {
        /// What is aggregated.
        spec: Arc<GroupSpec>,
        /// When groups leave that no window lets go of.
        batch: Option<MiniBatch>,
        /// The stage with the matching [`Head::Merge`] or [`Head::MiniBatched`].
        to: usize,
    },
    /// Rows go to the owners of their keys, block by block.
    Route {
        /// The stage with the matching [`Head::Running`], [`Head::Rank`] or [`Head::Session`].
        to: usize,
    },
    /// Rows go to worker 0 of this stage.
    Gather {
        /// The stage with [`Head::Sort`].
        to: usize,
    },
    /// Rows go to the same worker of this stage.
    Pass {
        /// The stage with [`Head::Union`].
        to: usize,
    },
    /// Rows are encoded and written.
    Sink {
        /// Index into [`StageGraph::sinks`].
        sink: usize,
    },
}

impl StageGraph {
    /// Cuts every pipeline of `plan` into stages.
    #[must_use]
    pub fn new(plan: JobPlan) -> Self {
        let mut sinks = Vec::new();
        let mut cutter = Cutter { stages: Vec::new() };
        for (index, pipeline) in plan.pipelines.into_iter().enumerate() {
            let (schema, mode) = (Arc::clone(&pipeline.root.schema), pipeline.root.changelog_mode());
            sinks.push(Sink { table: pipeline.sink, schema, mode });
            cutter.cut_root(pipeline.root, index);
        }
        // Consumers were made before their producers; topological order is the other way round.
        let mut stages = cutter.stages;
        stages.reverse();
        let last = stages.len().saturating_sub(1);
        for stage in &mut stages {
            stage.take_codes();
            match &mut stage.tail {
                Tail::Fold { to, .. } | Tail::Route { to } | Tail::Gather { to } | Tail::Pass { to } => {
                    *to = last - *to;
                }
                Tail::Sink { .. } => {}
            }
        }
        Self { stages, sinks }
    }

    /// The last aggregation that the rows of `stage` go through; the stage itself, if there is none. Sources for which
    /// this is the same stage have one event time: their rows meet in the same windows.
    #[must_use]
    pub fn last_aggregation(&self, stage: usize) -> usize {
        match self.stages[stage].tail {
            Tail::Fold { to, .. } | Tail::Route { to } => self.last_aggregation(to),
            Tail::Gather { .. } | Tail::Pass { .. } | Tail::Sink { .. } => stage,
        }
    }

    /// The stages whose rows `stage` gathers, if its head is that of an aggregation: those that fold into it.
    #[must_use]
    pub fn feeders(&self, stage: usize) -> Vec<&Stage> {
        let feeds = |other: &&Stage| matches!(other.tail, Tail::Fold { to, .. } if to == stage);
        self.stages.iter().filter(feeds).collect()
    }

    /// The aggregation at the head of `stage`, and whether sources alone feed it: then it can take any strategy of sharing
    /// its state. One that gathers what another aggregation or a sort sends on does not.
    #[must_use]
    pub fn aggregation(&self, stage: usize) -> Option<(&Arc<GroupSpec>, bool)> {
        let Head::Merge { spec, .. } = &self.stages[stage].head else { return None };
        let is_source = |feeder: &&Stage| matches!(feeder.head, Head::Scan { .. } | Head::Values(_));
        Some((spec, self.feeders(stage).iter().all(is_source)))
    }
}

struct Cutter {
    stages: Vec<Stage>,
}

impl Cutter {
    fn cut_root(&mut self, root: Node, sink: usize) {
        let schema = Arc::clone(&root.schema);
        let tail = Tail::Sink { sink };
        let tail = if sources_of_union(&root) > 1 {
            Tail::Pass { to: self.push("union".to_owned(), Head::Union, Vec::new(), tail, Arc::clone(&schema)) }
        } else {
            tail
        };
        self.cut(root, Vec::new(), tail, schema);
    }

    /// `steps` are those above `node`, in the order in which they run; `schema` is the columns after them.
    fn cut(&mut self, node: Node, mut steps: Vec<Step>, tail: Tail, schema: SchemaRef) {
        match node.op {
            NodeOp::Scan { table, columns, pruning } => {
                let name = format!("scan {}", table.name);
                self.push(name, Head::Scan { table, columns, pruning, codes: Vec::new() }, steps, tail, schema);
            }
            NodeOp::Values(rows) => {
                self.push("values".to_owned(), Head::Values(rows), steps, tail, schema);
            }
            NodeOp::Watermark { input, time_column, strategy } => {
                steps.insert(0, Step::Watermark { time_column, strategy });
                self.cut(*input, steps, tail, schema);
            }
            NodeOp::Filter { input, predicate, of_whole_keys } => {
                steps.insert(0, Step::Filter { predicate, of_whole_keys });
                self.cut(*input, steps, tail, schema);
            }
            NodeOp::Project { input, expressions } => {
                steps.insert(0, Step::Project(expressions, node.schema));
                self.cut(*input, steps, tail, schema);
            }
            NodeOp::Unnest { input, spec } => {
                steps.insert(0, Step::Unnest(Arc::new(spec)));
                self.cut(*input, steps, tail, schema);
            }
            NodeOp::Union { inputs } => {
                for input in inputs {
                    self.cut(input, steps.clone(), tail.clone(), Arc::clone(&schema));
                }
            }
            NodeOp::Aggregate { input, spec } => {
                let (spec, folded) = (Arc::new(spec), Arc::clone(&input.schema));
                let head = Head::Merge { spec: Arc::clone(&spec), input: Arc::clone(&folded) };
                let to = self.push("merge".to_owned(), head, steps, tail, schema);
                self.cut(*input, Vec::new(), Tail::Fold { spec, batch: None, to }, folded);
            }
            NodeOp::Running { input, spec, mini_batch: Some(batch) } => {
                let (spec, folded) = (Arc::new(spec), Arc::clone(&input.schema));
                let head = Head::MiniBatched { spec: Arc::clone(&spec), input: Arc::clone(&folded), batch };
                let to = self.push("running".to_owned(), head, steps, tail, schema);
                self.cut(*input, Vec::new(), Tail::Fold { spec, batch: Some(batch), to }, folded);
            }
            NodeOp::Running { input, spec, mini_batch: None } => {
                let (spec, rows) = (Arc::new(spec), Arc::clone(&input.schema));
                let head = Head::Running { spec, input: Arc::clone(&rows), mode: input.changelog_mode() };
                let to = self.push("running".to_owned(), head, steps, tail, schema);
                self.cut(*input, Vec::new(), Tail::Route { to }, rows);
            }
            NodeOp::Rank { input, spec } => {
                let rows = Arc::clone(&input.schema);
                let to =
                    self.push("rank".to_owned(), Head::Rank { spec, input: Arc::clone(&rows) }, steps, tail, schema);
                self.cut(*input, Vec::new(), Tail::Route { to }, rows);
            }
            NodeOp::Session { input, spec } => {
                let rows = Arc::clone(&input.schema);
                let head = Head::Session { spec, input: Arc::clone(&rows) };
                let to = self.push("session".to_owned(), head, steps, tail, schema);
                self.cut(*input, Vec::new(), Tail::Route { to }, rows);
            }
            NodeOp::Sort { input, keys, offset, limit } => {
                let gathered = Arc::clone(&input.schema);
                let to = self.push("sort".to_owned(), Head::Sort { keys, offset, limit }, steps, tail, schema);
                self.cut(*input, Vec::new(), Tail::Gather { to }, gathered);
            }
        }
    }

    fn push(&mut self, name: String, head: Head, steps: Vec<Step>, tail: Tail, schema: SchemaRef) -> usize {
        self.stages.push(Stage { name, head, steps, tail, schema });
        self.stages.len() - 1
    }
}

/// How many stages would end in the tail of `node`: more than one only below a UNION ALL.
fn sources_of_union(node: &Node) -> usize {
    match &node.op {
        NodeOp::Union { inputs } => inputs.iter().map(sources_of_union).sum(),
        NodeOp::Filter { input, .. }
        | NodeOp::Project { input, .. }
        | NodeOp::Unnest { input, .. }
        | NodeOp::Watermark { input, .. } => sources_of_union(input),
        NodeOp::Scan { .. }
        | NodeOp::Values(_)
        | NodeOp::Aggregate { .. }
        | NodeOp::Running { .. }
        | NodeOp::Rank { .. }
        | NodeOp::Session { .. }
        | NodeOp::Sort { .. } => 1,
    }
}
