//! Which rows of a plan change earlier ones, and who can take such rows.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use thalweg_operators::rank::{Emit, RankSpec};
use thalweg_operators::spec::GroupSpec;

use super::{Node, NodeOp, SinkTable};
use crate::connect::Connector;

/// What the rows of a stream can be, as Flink's EXPLAIN has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangelogMode {
    /// Rows are replaced by others: `-U` and `+U`.
    pub has_updates: bool,
    /// Rows go: `-D`.
    pub has_deletes: bool,
}

impl ChangelogMode {
    /// `[I]`: every row is new.
    pub const APPEND_ONLY: Self = Self { has_updates: false, has_deletes: false };

    /// `[I,UB,UA]`: rows are replaced by others.
    pub const UPDATING: Self = Self { has_updates: true, has_deletes: false };

    /// `[I,D]`: rows come and go.
    pub const DELETING: Self = Self { has_updates: false, has_deletes: true };

    /// As EXPLAIN shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.has_updates, self.has_deletes) {
            (false, false) => "[I]",
            (true, false) => "[I,UB,UA]",
            (false, true) => "[I,D]",
            (true, true) => "[I,UB,UA,D]",
        }
    }

    /// What the rows of two streams together can be.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { has_updates: self.has_updates || other.has_updates, has_deletes: self.has_deletes || other.has_deletes }
    }

    /// What comes out of a GROUP BY without a window over such rows: without a value, nothing of a group can change; where no
    /// row is taken back, none goes.
    #[must_use]
    pub fn of_running(spec: &GroupSpec, input: Self) -> Self {
        Self { has_updates: !spec.aggregates.is_empty(), has_deletes: input != Self::APPEND_ONLY }
    }

    /// What comes out of a Top-N.
    #[must_use]
    pub fn of_rank(spec: &RankSpec) -> Self {
        match spec.emit {
            Emit::Final => Self::APPEND_ONLY,
            Emit::Changes if spec.last > 1 && spec.first == 1 && spec.number.is_none() => Self::DELETING,
            Emit::Changes => Self::UPDATING,
        }
    }
}

impl Node {
    /// What rows come out.
    #[must_use]
    pub fn changelog_mode(&self) -> ChangelogMode {
        match &self.op {
            NodeOp::Running { input, spec, .. } => ChangelogMode::of_running(spec, input.changelog_mode()),
            NodeOp::Rank { spec, .. } => ChangelogMode::of_rank(spec),
            NodeOp::Filter { input, of_whole_keys: true, .. } => match input.changelog_mode() {
                ChangelogMode::APPEND_ONLY => ChangelogMode::APPEND_ONLY,
                _ => ChangelogMode::DELETING,
            },
            NodeOp::Filter { input, .. } | NodeOp::Project { input, .. } | NodeOp::Unnest { input, .. } => {
                input.changelog_mode()
            }
            NodeOp::Union { inputs } => {
                inputs.iter().map(Self::changelog_mode).fold(ChangelogMode::APPEND_ONLY, ChangelogMode::or)
            }
            NodeOp::Scan { .. }
            | NodeOp::Values(_)
            | NodeOp::Watermark { .. }
            | NodeOp::Aggregate { .. }
            | NodeOp::Session { .. }
            | NodeOp::Sort { .. } => ChangelogMode::APPEND_ONLY,
        }
    }

    /// The aggregation, Top-N or sort that the rows come out of, if there is one: its rows do not come in the order of a source.
    #[must_use]
    pub fn regrouped(&self) -> Option<&NodeOp> {
        match &self.op {
            NodeOp::Aggregate { .. }
            | NodeOp::Running { .. }
            | NodeOp::Rank { .. }
            | NodeOp::Session { .. }
            | NodeOp::Sort { .. } => Some(&self.op),
            NodeOp::Filter { input, .. }
            | NodeOp::Project { input, .. }
            | NodeOp::Unnest { input, .. }
            | NodeOp::Watermark { input, .. } => input.regrouped(),
            NodeOp::Union { inputs } => inputs.iter().find_map(Self::regrouped),
            NodeOp::Scan { .. } | NodeOp::Values(_) => None,
        }
    }
}

impl SinkTable {
    /// Whether rows can be shown with what they do to earlier ones.
    #[must_use]
    pub fn takes_updates(&self) -> bool {
        match self {
            Self::Result => true,
            Self::Table(table) => {
                matches!(table.connector, Connector::Print(_) | Connector::Blackhole | Connector::Stdout { .. })
            }
        }
    }

    /// Whether the kinds of rows are wanted in a column in front of the others.
    #[must_use]
    pub fn shows_kinds(&self) -> bool {
        !matches!(self, Self::Table(table) if matches!(table.connector, Connector::Blackhole))
    }
}

/// The columns of a changelog with the kind of each row in front, as `op`; with more letters where that is taken.
#[must_use]
pub fn with_kinds(schema: &SchemaRef) -> SchemaRef {
    let mut name = "op".to_owned();
    while schema.fields().iter().any(|field| *field.name() == name) {
        name.push('_');
    }
    let kind = Arc::new(Field::new(name, DataType::Utf8View, false));
    Arc::new(Schema::new(std::iter::once(kind).chain(schema.fields().iter().cloned()).collect::<Vec<_>>()))
}
