//! The plan of a job: a tree of [`Node`]s for each sink, with expressions compiled and columns numbered.
//!
//! `sql` makes it; [`stages`] cuts it where rows must move to the owner of another key; `job` runs it.

pub mod changelog;
pub mod codes;
pub mod distinct;
pub mod explain;
pub mod pruning;
pub mod stages;
pub mod strategy;

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use thalweg_operators::expr::Scalar;
use thalweg_operators::rank::RankSpec;
use thalweg_operators::session::SessionSpec;
pub use thalweg_operators::sort::SortKey;
use thalweg_operators::spec::GroupSpec;
use thalweg_operators::unnest::UnnestSpec;

use self::pruning::ColumnTest;
use crate::connect::Connector;

/// `execution.runtime-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeMode {
    /// Windows close as the frontier passes; rows of closed windows are late.
    Streaming,
    /// All sources are bounded; no row is late; results come at the end of input.
    Batch,
}

/// One job: what one statement, or one statement set, runs.
#[derive(Debug)]
pub struct JobPlan {
    /// Resolved: never "automatic".
    pub mode: RuntimeMode,
    /// One for each INSERT of a statement set; one for a bare SELECT.
    pub pipelines: Vec<Pipeline>,
}

/// From sources to one sink.
#[derive(Debug)]
pub struct Pipeline {
    /// What is written.
    pub root: Node,
    /// Where: columns of `root` match the sink's physical columns by position and type.
    pub sink: SinkTable,
}

/// Where the rows of a pipeline go.
#[derive(Clone, Debug)]
pub enum SinkTable {
    /// The result of a bare SELECT: stdout, in the format of `--format`.
    Result,
    /// A table of the catalog.
    Table(Arc<Table>),
}

/// A table as connectors see it.
#[derive(Debug)]
pub struct Table {
    /// As the user wrote it.
    pub name: String,
    /// The physical columns (not the computed ones) in declared order, as a source decodes or a sink encodes them.
    pub schema: SchemaRef,
    /// What it reads or writes, options parsed and checked.
    pub connector: Connector,
}

impl Table {
    /// Names of the columns of PARTITIONED BY, in its order.
    pub fn partition_names(&self) -> impl Iterator<Item = &str> {
        let columns: &[usize] = match &self.connector {
            Connector::Filesystem { parts, .. } => &parts.partitions,
            _ => &[],
        };
        columns.iter().map(|column| self.schema.field(*column).name().as_str())
    }
}

/// An operator of the plan and the columns that come out of it.
#[derive(Debug)]
pub struct Node {
    /// Columns, in order.
    pub schema: SchemaRef,
    /// What makes them.
    pub op: NodeOp,
}

/// The operators.
#[derive(Debug)]
pub enum NodeOp {
    /// Reads a table: these of its physical columns, in this order.
    Scan {
        /// What is read.
        table: Arc<Table>,
        /// Indices into `table.schema`, ascending. May be empty: only the number of rows counts.
        columns: Vec<usize>,
        /// What every row must pass that is let through above: what fails need not be read.
        pruning: Vec<ColumnTest>,
    },
    /// Rows of the plan itself: VALUES, SELECT without FROM.
    Values(RecordBatch),
    /// Stamps each row with the watermark before it. Directly above a scan and its computed columns, below any filter.
    Watermark {
        /// Input; must not contain another `Watermark`, nor an aggregate.
        input: Box<Node>,
        /// Column of event time, `Timestamp(Millisecond, _)`. NULL in it is an error in the data.
        time_column: usize,
        /// The DDL's expression.
        strategy: WatermarkStrategy,
    },
    /// Rows for which the predicate is TRUE.
    Filter {
        /// Input.
        input: Box<Node>,
        /// Boolean.
        predicate: Arc<dyn Scalar>,
        /// Whether no row replaces another that passed: what passes of an update is a row that comes or goes.
        of_whole_keys: bool,
    },
    /// One expression for each output column.
    Project {
        /// Input.
        input: Box<Node>,
        /// In the order of `schema`.
        expressions: Vec<Arc<dyn Scalar>>,
    },
    /// A row for each value of an array or map.
    Unnest {
        /// Input.
        input: Box<Node>,
        /// Which column, and what comes out.
        spec: UnnestSpec,
    },
    /// Groups. Output: the keys, the aggregates, then for a windowed one `window_start`, `window_end`, `window_time`
    /// (each `Timestamp(Millisecond, None)`).
    Aggregate {
        /// Input, which holds keys, arguments and filters as columns.
        input: Box<Node>,
        /// What is computed.
        spec: GroupSpec,
    },
    /// Groups whose rows change with each row of the input, which may be a changelog, too: a changelog. Output: the keys, the
    /// aggregates.
    Running {
        /// Input, which holds keys, arguments and filters as columns.
        input: Box<Node>,
        /// What is computed; without a window.
        spec: GroupSpec,
        /// Whether changes are gathered.
        mini_batch: Option<MiniBatch>,
    },
    /// The first rows of each key in some order. Output: the columns of the input, then the number if it is asked for.
    Rank {
        /// Input, append-only, which holds keys and what rows are ordered by as columns.
        input: Box<Node>,
        /// What is kept.
        spec: RankSpec,
    },
    /// Rows of a key as long as no gap comes between them. Output: the columns of the input, then start, end and time of the
    /// session.
    Session {
        /// Input, append-only, which holds keys and event time as columns.
        input: Box<Node>,
        /// Which sessions.
        spec: SessionSpec,
    },
    /// All rows of all inputs (UNION ALL); their schemas are equal in types.
    Union {
        /// Inputs, at least one.
        inputs: Vec<Node>,
    },
    /// ORDER BY, LIMIT and OFFSET on a bounded input. Without keys: by ordinal.
    Sort {
        /// Input.
        input: Box<Node>,
        /// Most significant first.
        keys: Vec<SortKey>,
        /// Rows left out at the start.
        offset: u64,
        /// Rows at most.
        limit: Option<u64>,
    },
}

/// `table.exec.mini-batch.*`: for how long the changes of a running aggregation are gathered before they leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiniBatch {
    /// Until so many rows were taken in, at least 1.
    pub rows: u64,
    /// Or until the first of them has been waiting for so long.
    pub latency: Duration,
}

/// How a watermark follows from event time.
#[derive(Clone, Debug)]
pub enum WatermarkStrategy {
    /// Greatest event time − this many ms: `ts - INTERVAL '5' SECOND`; 0 for `WATERMARK FOR ts AS ts`.
    Lag(i64),
    /// Any other expression over the row's columns, `Timestamp(Millisecond, _)`: the greatest value so far is the watermark.
    Expression(Arc<dyn Scalar>),
}
