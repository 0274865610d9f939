//! How the aggregates of a GROUP BY lie in a group's row: planned once, the same on every worker.
//!
//! Words that are nearly always 0 (carries, counts of NULLs) are not in the row but beside it, so that the usual two keys and
//! four aggregates are one cache line.

use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Schema, TimeUnit};

use super::AggregateError;
use super::moments;
use super::net;
use super::pass::{self, Pass, is_passable};
use super::side::SideKind;
use crate::kernels::Kernels;
use crate::key::{self, KeyShape};
use crate::spec::{AggregateFunction as F, AggregateSpec, GroupSpec, WindowKind, WindowShape};
use crate::table::{GroupTable, row_stride};

/// The planned shape of groups.
#[derive(Debug)]
pub struct Layout {
    pub(crate) shape: KeyShape,
    /// Arguments and filters, each pair once.
    pub(crate) inputs: Vec<Input>,
    /// What is kept in words.
    pub(crate) parts: Vec<Part>,
    /// What is kept beside the rows.
    pub(crate) sides: Vec<SidePlan>,
    /// One for each aggregate call.
    pub(crate) outputs: Vec<Output>,
    /// The words of a group without rows, without the key and the cold words, which are 0.
    pub(crate) accumulators: Vec<u64>,
    /// How many cold words a group has.
    pub(crate) cold_words: usize,
    /// Parts that are updated several at a time.
    pub(crate) passes: Vec<Pass>,
    /// How groups are found and updated.
    pub(crate) kernels: Kernels,
}

/// The rows that an aggregate takes: those where the filter is TRUE and the argument not NULL.
#[derive(Debug)]
pub(crate) struct Input {
    pub argument: Option<usize>,
    pub filter: Option<usize>,
    /// Of these, the first with each value: the side that knows the values so far. Running aggregates only.
    pub distinct: Option<usize>,
    pub count: Count,
}

/// Where the number of rows taken is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// All rows of the group are taken.
    Rows,
    /// All but those counted by this part: a batch without NULL has nothing to count.
    RowsBut(usize),
    /// This part counts them.
    Own(usize),
}

/// Some words of a row, updated by one kernel.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub kind: PartKind,
    pub input: usize,
    /// First hot word, counted from the start of the row.
    pub hot: usize,
    /// Its cold word, counted from the first of the group, if it has one.
    pub cold: usize,
}

/// What a part's words mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartKind {
    /// Rows of the group, for the input that takes all.
    Rows,
    /// Rows where the input's argument is NULL.
    Nulls,
    /// Rows that the input takes.
    Count,
    /// Wrapped sum of `i64`; cold: how often it wrapped.
    SumI64,
    /// Wrapped sum of `i128`, low half first; cold: how often it wrapped.
    SumI128,
    /// Sum of `f64`.
    SumF64,
    /// Least value, as an `i64` of the same order.
    MinI64,
    /// Greatest value, as an `i64` of the same order.
    MaxI64,
    /// Least `i128`, low half first.
    MinI128,
    /// Greatest `i128`, low half first.
    MaxI128,
    /// Number of values, their mean and spread.
    Moments,
    /// Sum of `f64` that may be taken back.
    NetF64,
    /// Moments of values that may be taken back.
    NetMoments,
}

impl PartKind {
    /// Number of hot words.
    pub(super) fn hot_words(self) -> usize {
        self.words().len()
    }

    /// Has it a cold word?
    fn has_cold_word(self) -> bool {
        matches!(self, Self::Nulls | Self::SumI64 | Self::SumI128)
    }

    /// The hot words of a group without rows.
    fn words(self) -> &'static [u64] {
        const LEAST: [u64; 2] = [0, 1 << 63];
        const GREATEST: [u64; 2] = [u64::MAX, u64::MAX >> 1];
        match self {
            Self::Rows | Self::Count | Self::SumI64 | Self::SumF64 => &[0],
            Self::Nulls => &[],
            Self::SumI128 => &[0, 0],
            Self::MinI64 => &[u64::MAX >> 1],
            Self::MaxI64 => &[1 << 63],
            Self::MinI128 => &GREATEST,
            Self::MaxI128 => &LEAST,
            Self::Moments => &[0; moments::WORDS],
            Self::NetF64 => &[0; net::SUM_WORDS],
            Self::NetMoments => &[0; net::MOMENT_WORDS],
        }
    }
}

/// A vector beside the rows.
#[derive(Debug)]
pub(crate) struct SidePlan {
    pub kind: SideKind,
    pub input: usize,
    /// Encodes values to bytes and back where any type can be kept.
    pub converter: Option<RowConverter>,
    /// Values may be taken back.
    pub is_net: bool,
}

/// How a result comes out of parts and sides.
#[derive(Debug)]
pub(crate) struct Output {
    pub kind: OutputKind,
    pub input: usize,
    pub spec: AggregateSpec,
}

/// Numbers are indices of parts or sides.
#[derive(Debug)]
pub(crate) enum OutputKind {
    Count,
    SumI64(usize),
    SumI128(usize),
    SumF64(usize),
    AvgI64(usize),
    AvgI128(usize),
    AvgF64(usize),
    ExtremeI64(usize),
    ExtremeI128(usize),
    Moments(usize),
    /// The side's own value.
    Side(usize),
    /// The distinct values of the side, fed to the plain aggregate of the inner layout.
    Distinct(usize, Box<Layout>),
}

impl Layout {
    /// Plans the groups of `spec` over batches with the columns `input`, to be found and updated with `kernels`.
    ///
    /// # Errors
    /// If a key or an aggregate has no implementation for its type.
    pub fn new(spec: &GroupSpec, input: &Schema, kernels: Kernels) -> Result<Self, AggregateError> {
        Self::plan(spec, input, Planner::new(kernels))
    }

    /// As [`new`](Self::new), for groups whose results are wanted after each row: what is DISTINCT is told row by row, so
    /// that an aggregate never goes through all values of a group again.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub(crate) fn running(spec: &GroupSpec, input: &Schema, kernels: Kernels) -> Result<Self, AggregateError> {
        Self::plan(spec, input, Planner { is_running: true, ..Planner::new(kernels) })
    }

    /// As [`running`](Self::running), for groups whose rows may be taken back.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub(crate) fn net(spec: &GroupSpec, input: &Schema, kernels: Kernels) -> Result<Self, AggregateError> {
        Self::plan(spec, input, Planner { is_running: true, is_net: true, ..Planner::new(kernels) })
    }

    fn plan(spec: &GroupSpec, input: &Schema, mut planner: Planner) -> Result<Self, AggregateError> {
        for key in &spec.keys {
            if !key::is_supported(&key.data_type) {
                return Err(AggregateError::unsupported("a group key", &key.data_type));
            }
            expect_type(input, key.column, &key.data_type)?;
        }
        if let Some(window) = &spec.window {
            let data_type = column_type(input, window.time_column)?;
            if !matches!(data_type, DataType::Timestamp(TimeUnit::Millisecond, _)) {
                return Err(AggregateError::unsupported("the time of a window", data_type));
            }
            let WindowShape { kind, size_ms, step_ms, .. } = window.shape;
            let is_sound = match kind {
                WindowKind::Tumble => step_ms == size_ms,
                WindowKind::Session => window.is_given && step_ms == 1,
                WindowKind::Hop => step_ms <= size_ms,
                WindowKind::Cumulate => step_ms > 0 && size_ms % step_ms == 0,
            };
            if size_ms <= 0 || step_ms <= 0 || !is_sound {
                return Err(AggregateError::Mismatch("a window's size and step are above 0 and fit each other"));
            }
        }
        // The first part of every layout, so that inputs can count by it.
        planner.input(None, None, false, None);
        planner.part(PartKind::Rows, 0);
        for aggregate in &spec.aggregates {
            planner.aggregate(aggregate, input)?;
        }
        Ok(planner.finish(KeyShape::new(spec.keys.iter().map(|key| &key.data_type))))
    }

    /// Does any result grow with each row?
    pub(crate) fn has_lists(&self) -> bool {
        self.sides.iter().any(|side| side.kind == SideKind::List)
    }

    /// Is the number of a group's rows one of its results?
    pub(crate) fn counts_rows(&self) -> bool {
        let is_count = |output: &Output| matches!(output.kind, OutputKind::Count);
        self.outputs.iter().any(|output| is_count(output) && self.inputs[output.input].count == Count::Rows)
    }

    /// An empty table for these groups.
    #[must_use]
    pub fn table(&self) -> GroupTable {
        GroupTable::new(self.shape.clone(), (&self.accumulators, self.cold_words), self.kernels)
    }

    /// Words of a group's row: its key, its accumulators and padding.
    #[must_use]
    pub fn stride(&self) -> usize {
        row_stride(self.shape.words() + self.accumulators.len())
    }
}

/// The part that counts the rows of a group.
pub(crate) const ROWS: usize = 0;

struct Planner {
    kernels: Kernels,
    is_running: bool,
    /// Rows may be taken back.
    is_net: bool,
    inputs: Vec<Input>,
    parts: Vec<Part>,
    sides: Vec<SidePlan>,
    outputs: Vec<Output>,
}

/// What a type's values are to an accumulator.
enum Family {
    I64,
    F64,
    I128,
    Bytes,
}

impl Planner {
    fn new(kernels: Kernels) -> Self {
        let (inputs, parts, sides, outputs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { kernels, is_running: false, is_net: false, inputs, parts, sides, outputs }
    }

    fn aggregate(&mut self, spec: &AggregateSpec, schema: &Schema) -> Result<(), AggregateError> {
        let mut is_nullable = false;
        if let Some(column) = spec.argument {
            expect_type(schema, column, &spec.input_type)?;
            is_nullable = schema.field(column).is_nullable();
        }
        if let Some(column) = spec.filter {
            expect_type(schema, column, &DataType::Boolean)?;
        }
        // The least, the greatest and the first of some values are the same if each counts once. If the first may be taken
        // back, another like it may follow later.
        let is_same_if_distinct =
            matches!(spec.function, F::Min | F::Max) || spec.function == F::FirstValue && !self.is_net;
        let is_distinct = spec.distinct && !is_same_if_distinct && spec.argument.is_some();
        let (input, kind) = if is_distinct && self.is_running {
            let input = self.first_of_each(spec)?;
            (input, self.plain(spec, input)?)
        } else {
            let input = self.input(spec.argument, spec.filter, is_nullable, None);
            (input, if is_distinct { self.distinct(spec, input)? } else { self.plain(spec, input)? })
        };
        if !is_output(&kind, spec) {
            return Err(AggregateError::unsupported(format!("the result of {}", spec.name), &spec.output_type));
        }
        self.outputs.push(Output { kind, input, spec: spec.clone() });
        Ok(())
    }

    fn plain(&mut self, spec: &AggregateSpec, input: usize) -> Result<OutputKind, AggregateError> {
        let unsupported = || AggregateError::unsupported(format!("the argument of {}", spec.name), &spec.input_type);
        let family = family(&spec.input_type);
        let is_number = spec.input_type.is_numeric();
        let sum_f64 = if self.is_net { PartKind::NetF64 } else { PartKind::SumF64 };
        let moments = if self.is_net { PartKind::NetMoments } else { PartKind::Moments };
        Ok(match (&spec.function, family) {
            (F::Count, _) => OutputKind::Count,
            (_, None) => return Err(unsupported()),
            (F::Sum, Some(Family::I64)) if is_number => OutputKind::SumI64(self.part(PartKind::SumI64, input)),
            (F::Sum, Some(Family::I128)) => OutputKind::SumI128(self.part(PartKind::SumI128, input)),
            (F::Sum, Some(Family::F64)) => OutputKind::SumF64(self.part(sum_f64, input)),
            (F::Avg, Some(Family::I64)) if is_number => OutputKind::AvgI64(self.part(PartKind::SumI64, input)),
            (F::Avg, Some(Family::I128)) => OutputKind::AvgI128(self.part(PartKind::SumI128, input)),
            (F::Avg, Some(Family::F64)) => OutputKind::AvgF64(self.part(sum_f64, input)),
            (F::Min, Some(_)) if self.is_net => OutputKind::Side(self.side(SideKind::Min, input, spec)?),
            (F::Max, Some(_)) if self.is_net => OutputKind::Side(self.side(SideKind::Max, input, spec)?),
            (F::Min, Some(Family::Bytes)) => OutputKind::Side(self.side(SideKind::Min, input, spec)?),
            (F::Max, Some(Family::Bytes)) => OutputKind::Side(self.side(SideKind::Max, input, spec)?),
            (F::Min, Some(Family::I128)) => OutputKind::ExtremeI128(self.part(PartKind::MinI128, input)),
            (F::Max, Some(Family::I128)) => OutputKind::ExtremeI128(self.part(PartKind::MaxI128, input)),
            (F::Min, Some(_)) => OutputKind::ExtremeI64(self.part(PartKind::MinI64, input)),
            (F::Max, Some(_)) => OutputKind::ExtremeI64(self.part(PartKind::MaxI64, input)),
            (F::VarPop | F::VarSamp | F::StddevPop | F::StddevSamp, Some(_)) if is_number => {
                OutputKind::Moments(self.part(moments, input))
            }
            (F::FirstValue, Some(_)) => OutputKind::Side(self.side(SideKind::First, input, spec)?),
            (F::LastValue, Some(_)) => OutputKind::Side(self.side(SideKind::Last, input, spec)?),
            (F::ListAgg { .. }, Some(Family::Bytes)) if spec.input_type == DataType::Utf8View => {
                OutputKind::Side(self.side(SideKind::List, input, spec)?)
            }
            _ => return Err(unsupported()),
        })
    }

    fn distinct(&mut self, spec: &AggregateSpec, input: usize) -> Result<OutputKind, AggregateError> {
        let side = self.side(SideKind::Distinct, input, spec)?;
        let plain = AggregateSpec { distinct: false, filter: None, argument: Some(0), ..spec.clone() };
        let field = arrow_schema::Field::new("value", spec.input_type.clone(), false);
        let inner = GroupSpec { keys: Vec::new(), aggregates: vec![plain], window: None, is_global: false };
        Ok(OutputKind::Distinct(side, Box::new(Layout::new(&inner, &Schema::new(vec![field]), self.kernels)?)))
    }

    /// The input of the first row with each value of the argument, and the side of these values.
    fn first_of_each(&mut self, spec: &AggregateSpec) -> Result<usize, AggregateError> {
        let is_same = |input: &Input| (input.argument, input.filter) == (spec.argument, spec.filter);
        let known = self.inputs.iter().position(|input| input.distinct.is_some() && is_same(input));
        if let Some(known) = known {
            return Ok(known);
        }
        // The side that is made next.
        let input = self.input(spec.argument, spec.filter, true, Some(self.sides.len()));
        self.side(SideKind::Distinct, input, spec)?;
        Ok(input)
    }

    fn input(
        &mut self,
        argument: Option<usize>,
        filter: Option<usize>,
        is_nullable: bool,
        distinct: Option<usize>,
    ) -> usize {
        // An argument that is never NULL takes the rows that no argument takes.
        let of = |input: &Input| (input.argument, input.filter, input.distinct);
        let known = self.inputs.iter().position(|input| of(input) == (argument, filter, distinct));
        known.unwrap_or_else(|| {
            let input = self.inputs.len();
            self.inputs.push(Input { argument, filter, distinct, count: Count::Rows });
            self.inputs[input].count = match (filter, is_nullable) {
                (None, false) => Count::Rows,
                (None, true) if distinct.is_none() => Count::RowsBut(self.part(PartKind::Nulls, input)),
                _ => Count::Own(self.part(PartKind::Count, input)),
            };
            input
        })
    }

    fn part(&mut self, kind: PartKind, input: usize) -> usize {
        self.parts.iter().position(|part| part.kind == kind && part.input == input).unwrap_or_else(|| {
            self.parts.push(Part { kind, input, hot: 0, cold: 0 });
            self.parts.len() - 1
        })
    }

    fn side(&mut self, kind: SideKind, input: usize, spec: &AggregateSpec) -> Result<usize, AggregateError> {
        if let Some(known) = self.sides.iter().position(|side| side.kind == kind && side.input == input) {
            return Ok(known);
        }
        let converter = match kind {
            SideKind::List => None,
            SideKind::Min | SideKind::Max if matches!(family(&spec.input_type), Some(Family::Bytes)) => None,
            _ => Some(RowConverter::new(vec![SortField::new(spec.input_type.clone())])?),
        };
        self.sides.push(SidePlan { kind, input, converter, is_net: self.is_net });
        Ok(self.sides.len() - 1)
    }

    fn finish(mut self, shape: KeyShape) -> Layout {
        let mut accumulators = Vec::new();
        // Words that passes update come first, those of 128 bits at even places among them.
        let is_wide = |kind: PartKind| kind == PartKind::SumI128;
        let turns: [&dyn Fn(PartKind) -> bool; 3] =
            [&is_wide, &|kind| is_passable(kind) && !is_wide(kind), &|kind| !is_passable(kind)];
        for turn in turns {
            for part in self.parts.iter_mut().filter(|part| turn(part.kind)) {
                part.hot = shape.words() + accumulators.len();
                accumulators.extend_from_slice(part.kind.words());
            }
        }
        let mut cold_words = 0;
        for part in self.parts.iter_mut().filter(|part| part.kind.has_cold_word()) {
            part.cold = cold_words;
            cold_words += 1;
        }
        let Self { kernels, inputs, parts, sides, outputs, .. } = self;
        let passes = pass::plan(&parts, row_stride(shape.words() + accumulators.len()));
        Layout { shape, inputs, parts, sides, outputs, accumulators, cold_words, passes, kernels }
    }
}

/// Can the result be of the type that the plan gives it?
fn is_output(kind: &OutputKind, spec: &AggregateSpec) -> bool {
    use DataType as T;
    let output = &spec.output_type;
    let more_digits = match (&spec.input_type, output) {
        (T::Decimal128(_, from), T::Decimal128(_, to)) => Some(i16::from(*to) - i16::from(*from)),
        _ => None,
    };
    let is_integer = matches!(output, T::Int8 | T::Int16 | T::Int32 | T::Int64);
    let is_number = is_integer || matches!(output, T::Decimal128(..) | T::Float32 | T::Float64);
    match kind {
        OutputKind::Count => *output == T::Int64,
        OutputKind::SumI64(_) | OutputKind::AvgI64(_) => is_integer || matches!(output, T::Decimal128(_, 0..)),
        OutputKind::SumI128(_) => more_digits == Some(0),
        OutputKind::AvgI128(_) => more_digits.is_some_and(|digits| (0..=38).contains(&digits)),
        OutputKind::SumF64(_) | OutputKind::AvgF64(_) | OutputKind::Moments(_) => is_number,
        OutputKind::ExtremeI64(_) | OutputKind::ExtremeI128(_) | OutputKind::Side(_) => *output == spec.input_type,
        // The inner layout was asked.
        OutputKind::Distinct(..) => true,
    }
}

fn family(data_type: &DataType) -> Option<Family> {
    use DataType as T;
    Some(match data_type {
        T::Float32 | T::Float64 => Family::F64,
        T::Decimal128(..) => Family::I128,
        T::Utf8View | T::BinaryView => Family::Bytes,
        other if key::is_supported(other) => Family::I64,
        _ => return None,
    })
}

fn column_type(schema: &Schema, column: usize) -> Result<&DataType, AggregateError> {
    match schema.fields().get(column) {
        Some(field) => Ok(field.data_type()),
        None => Err(AggregateError::Mismatch("a column of the plan is not in the input")),
    }
}

fn expect_type(schema: &Schema, column: usize, planned: &DataType) -> Result<(), AggregateError> {
    match column_type(schema, column)? == planned {
        true => Ok(()),
        false => Err(AggregateError::Mismatch("a column of the input has another type than planned")),
    }
}
