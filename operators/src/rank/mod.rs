//! Top-N: the first rows of each key in some order, as Flink's `ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) <= n`.
//!
//! The input only appends. A key's rows are taken in by its owner alone, in the order of their ordinals, as those of a
//! [running](crate::running) GROUP BY; a key holds no more rows than its last number. What a row changes is as in Flink's
//! `AppendOnlyTopNFunction` and `FastTop1Function`:
//!
//! - Only number 1 is asked for: `+I` for the first row of a key, then `-U` and `+U` with each row that takes its place.
//! - The first *n* are asked for, and nobody wants their numbers: `-D` for the row that leaves, then `+I` for the one that
//!   enters.
//! - Numbers are shown, or do not begin with 1: a row that enters moves those behind it. Each number that gets another row
//!   gives `-U` with the row it had and `+U` with the one it has, and a new number gives `+I`.

mod groups;
mod held;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, SortOptions};

pub use groups::RankedGroups;

use crate::aggregate::{AggregateError, Layout};
use crate::batch::Ordinals;
use crate::kernels::Kernels;
use crate::key::canonical_column;
use crate::route::Routing;
use crate::sort::SortKey;
use crate::spec::{GroupSpec, KeyColumn};

/// Bytes of [`Ordinal`](crate::batch::Ordinal).
const ORDINAL_BYTES: usize = 2 * size_of::<u128>();

/// What is asked for, in terms of the columns of the input.
#[derive(Clone, Debug)]
pub struct RankSpec {
    /// Columns of PARTITION BY; none for one order over all rows.
    pub keys: Vec<KeyColumn>,
    /// ORDER BY, most significant first.
    pub order: Vec<SortKey>,
    /// Which of the rows that tie comes first.
    pub ties: Ties,
    /// The first number that is asked for, at least 1.
    pub first: u64,
    /// The last one, at least `first`.
    pub last: u64,
    /// Name of the column of numbers behind the others, BIGINT NOT NULL; `None`: there is none.
    pub number: Option<String>,
    /// When rows leave.
    pub emit: Emit,
}

/// Which of the rows that tie has the smaller number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// The one that came first.
    EarlierFirst,
    /// The one that came last: what keeps the last row of a key by event time.
    LaterFirst,
}

/// When rows leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// As they come, as a changelog.
    Changes,
    /// At the end of the input: what is left then.
    Final,
}

/// One Top-N: the plan of its groups.
#[derive(Debug)]
pub struct Ranking {
    spec: RankSpec,
    /// Of the groups: a GROUP BY without aggregates.
    group: GroupSpec,
    layout: Layout,
    schema: SchemaRef,
    /// Encodes what rows are ordered by, to bytes of the same order.
    order: RowConverter,
    /// Encodes rows.
    row: RowConverter,
}

impl Ranking {
    /// Plans `spec` over batches with the columns `input`; groups are found with `kernels`.
    ///
    /// # Errors
    /// If a column cannot be a key, has no order, or cannot be held.
    pub fn new(spec: RankSpec, input: &SchemaRef, kernels: Kernels) -> Result<Self, AggregateError> {
        let is_global = spec.keys.is_empty();
        let group = GroupSpec { keys: spec.keys.clone(), aggregates: Vec::new(), window: None, is_global };
        let layout = Layout::running(&group, input, kernels)?;
        let order = spec.order.iter().map(|key| {
            let field = input.fields().get(key.column);
            let field =
                field.ok_or_else(|| ArrowError::SchemaError(format!("no column {} to order by", key.column)))?;
            let options = SortOptions { descending: key.is_descending, nulls_first: key.is_nulls_first };
            Ok(SortField::new_with_options(field.data_type().clone(), options))
        });
        let order = RowConverter::new(order.collect::<Result<_, ArrowError>>()?)?;
        let row = input.fields().iter().map(|field| SortField::new(field.data_type().clone()));
        let row = RowConverter::new(row.collect())?;
        let schema = output_schema(input, spec.number.as_deref());
        Ok(Self { spec, group, layout, schema, order, row })
    }

    /// How rows find their owners.
    #[must_use]
    pub fn routing(&self) -> Routing {
        Routing::new(&self.spec.keys, &self.layout, self.spec.emit == Emit::Final)
    }

    /// The columns of what comes out.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What these rows are ordered by. Final results go by the ordinals of rows that tie, so they do not depend on the order
    /// in which those of several sources come; else ties go by that order, and the ordinals are left out.
    fn order_keys(&self, columns: &RecordBatch, ordinals: &Ordinals) -> Result<OrderKeys, AggregateError> {
        let keys: Vec<ArrayRef> =
            self.spec.order.iter().map(|key| canonical_column(columns.column(key.column))).collect();
        let keys = self.order.convert_columns(&keys)?;
        Ok(match self.spec.emit {
            Emit::Changes => OrderKeys::Plain(keys),
            Emit::Final => OrderKeys::WithOrdinals { keys, ordinals: ordinals.clone(), ties: self.spec.ties },
        })
    }
}

/// The columns that come out: those of the input, then the number if there is a name for it.
#[must_use]
pub fn output_schema(input: &SchemaRef, number: Option<&str>) -> SchemaRef {
    let number = number.map(|name| Arc::new(Field::new(name, DataType::Int64, false)));
    Arc::new(Schema::new(input.fields().iter().cloned().chain(number).collect::<Vec<FieldRef>>()))
}

/// What the rows of a batch are ordered by, as bytes of that order.
#[derive(Debug)]
enum OrderKeys {
    Plain(Rows),
    WithOrdinals { keys: Rows, ordinals: Ordinals, ties: Ties },
}

impl OrderKeys {
    /// That of a row, put into `key`.
    fn put(&self, row: usize, key: &mut Vec<u8>) {
        key.clear();
        match self {
            Self::Plain(keys) => key.extend_from_slice(keys.row(row).data()),
            Self::WithOrdinals { keys, ordinals, ties } => {
                key.extend_from_slice(keys.row(row).data());
                let ordinal = ordinals.get(row);
                for part in [ordinal.row, ordinal.part] {
                    let part = if *ties == Ties::LaterFirst { !part } else { part };
                    key.extend_from_slice(&part.to_be_bytes());
                }
            }
        }
    }
}
