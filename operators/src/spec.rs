//! What a grouped aggregation is to compute, in terms of the columns of its input batches.
//!
//! Expressions are gone by now: keys, arguments and filters are columns that a projection computed before.

use arrow_schema::DataType;

/// A GROUP BY: keys, aggregates, and the window that holds a row.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    /// Input columns that are the group key; none for one group over all rows.
    pub keys: Vec<KeyColumn>,
    /// What is computed for each group.
    pub aggregates: Vec<AggregateSpec>,
    /// The windows of a row; `None`: one window over everything.
    pub window: Option<Windows>,
    /// `GROUP BY ()`, that is no GROUP BY at all: one row comes out even if none went in.
    pub is_global: bool,
}

/// One column of a group key.
#[derive(Clone, Debug)]
pub struct KeyColumn {
    /// Index in the input batch.
    pub column: usize,
    /// Its type, also of the output column.
    pub data_type: DataType,
}

/// The windows of a GROUP BY, and where a row's place among them is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Input column of event time: `Timestamp(Millisecond, _)`, without NULL.
    pub time_column: usize,
    /// Which windows there are.
    pub shape: WindowShape,
    /// The time is the last instant of the one window that the row belongs to: the `window_time` of rows that were put into
    /// their windows before. Otherwise a row belongs to every window that holds its time.
    pub is_given: bool,
}

/// Windows that repeat all along time, `[start, end)`, aligned to an offset from the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowShape {
    /// Which ones.
    pub kind: WindowKind,
    /// Length, of CUMULATE the greatest; above 0.
    pub size_ms: i64,
    /// From one start to the next (TUMBLE: the size; HOP: at most the size), or from one end to the next (CUMULATE: a whole
    /// part of the size).
    pub step_ms: i64,
    /// Some window starts here; may be negative.
    pub offset_ms: i64,
}

/// How windows lie beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WindowKind {
    /// One after the other: each time is in one.
    Tumble,
    /// One more with each step, as long as all others.
    Hop,
    /// As long as no gap of the size comes between rows, and so different for each key. Only ever given: rows were put into
    /// them before, and the start is a key of their groups. The step is 1 ms.
    Session,
    /// From one start of the greatest size to the next: one for each step, all with that start.
    Cumulate,
}

impl WindowShape {
    /// Windows of one size without overlap.
    #[must_use]
    pub fn tumbling(size_ms: i64, offset_ms: i64) -> Self {
        Self { kind: WindowKind::Tumble, size_ms, step_ms: size_ms, offset_ms }
    }
}

impl Windows {
    /// Windows of one size without overlap, of the time in `time_column`.
    #[must_use]
    pub fn tumbling(time_column: usize, size_ms: i64, offset_ms: i64) -> Self {
        Self { time_column, shape: WindowShape::tumbling(size_ms, offset_ms), is_given: false }
    }

    /// May a row belong to several?
    #[must_use]
    pub fn has_overlaps(&self) -> bool {
        self.shape.kind != WindowKind::Tumble && !self.is_given
    }
}

/// One aggregate call.
#[derive(Clone, Debug)]
pub struct AggregateSpec {
    /// Which one.
    pub function: AggregateFunction,
    /// Input column of its argument; `None` for COUNT(*).
    pub argument: Option<usize>,
    /// Type of that column; `Null` for COUNT(*).
    pub input_type: DataType,
    /// Boolean input column: only rows where it is TRUE are taken (`FILTER (WHERE …)`).
    pub filter: Option<usize>,
    /// Each distinct non-NULL value of the argument counts once.
    pub distinct: bool,
    /// Type of the result column, as Flink has it; evaluating converts the state to it or reports an overflow.
    pub output_type: DataType,
    /// The call for EXPLAIN and for errors: `SUM(price)`.
    pub name: String,
}

/// The aggregate functions. All but COUNT give NULL for a group without a non-NULL value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AggregateFunction {
    /// Rows, or non-NULL values: BIGINT NOT NULL.
    Count,
    /// Exact for integers and decimals; an overflow of the declared type is an error.
    Sum,
    /// Sum ÷ count in the argument's own kind: AVG of BIGINT is BIGINT (truncated), of DECIMAL(p, s) DECIMAL(38, max(s, 6)).
    Avg,
    /// Least value; by bytes for strings; NaN is the greatest.
    Min,
    /// Greatest value.
    Max,
    /// Population variance.
    VarPop,
    /// Sample variance; NULL for fewer than two values.
    VarSamp,
    /// Square root of the population variance.
    StddevPop,
    /// Square root of the sample variance.
    StddevSamp,
    /// First non-NULL value by ordinal.
    FirstValue,
    /// Last non-NULL value by ordinal.
    LastValue,
    /// Non-NULL strings in the order of ordinals, with this separator between them.
    ListAgg {
        /// `,` in Flink where none is given.
        separator: String,
    },
}
