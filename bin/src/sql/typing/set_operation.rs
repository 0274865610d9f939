//! INTERSECT and EXCEPT without a join: all rows of both sides, each with its side, grouped by all columns. A row of the
//! result is a group that has both sides, or only the left one. NULL equals NULL, as it does for GROUP BY.
//!
//! The front-end writes them as semi and anti joins in which NULL equals NULL, which no join in SQL text can ask for.

use std::fmt;
use std::sync::Arc;

use datafusion_common::{DataFusionError, NullEquality, ScalarValue};
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::logical_plan::{Aggregate, Distinct, Filter, Join, LogicalPlan, Projection, Union};
use datafusion_expr::{Expr, JoinType};

use super::super::aggregates::aggregate_function;
use super::typed_union;

const LEFT: i32 = 1;
const RIGHT: i32 = 2;

/// What is asked of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetOperation {
    /// Rows that both sides have.
    Intersect,
    /// Rows that the left side has and the right one has not.
    Except,
}

impl SetOperation {
    /// The column that says of which side a row is.
    fn side(self) -> &'static str {
        match self {
            Self::Intersect => "side of INTERSECT",
            Self::Except => "side of EXCEPT",
        }
    }

    /// The aggregates of the side that decide.
    fn aggregates(self) -> &'static [&'static str] {
        match self {
            Self::Intersect => &["min", "max"],
            Self::Except => &["max"],
        }
    }
}

impl fmt::Display for SetOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intersect => "INTERSECT",
            Self::Except => "EXCEPT",
        })
    }
}

/// The set operation that these groups are made for.
pub(crate) fn of_groups_by(aggregate: &Aggregate) -> Option<SetOperation> {
    let (Some(input), calls) = (aggregate.input.schema().fields().last(), &aggregate.aggr_expr) else { return None };
    let is_for =
        |operation: &SetOperation| input.name() == operation.side() && calls.len() == operation.aggregates().len();
    [SetOperation::Intersect, SetOperation::Except].into_iter().find(is_for)
}

/// As [`of_groups_by`], of any plan.
pub(crate) fn of_groups(plan: &LogicalPlan) -> Option<SetOperation> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => of_groups_by(aggregate),
        _ => None,
    }
}

/// Whether the join stands for INTERSECT or EXCEPT.
pub(super) fn is_set_operation(join: &Join) -> bool {
    join.null_equality == NullEquality::NullEqualsNull
        && matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
}

/// The join as a GROUP BY, with the columns of the join. Both inputs are typed.
///
/// # Errors
/// If a column has types on the two sides that have none in common.
pub(super) fn typed_set_operation(join: Join) -> datafusion_common::Result<LogicalPlan> {
    let Join { left, right, join_type, schema, .. } = join;
    let operation = if join_type == JoinType::LeftSemi { SetOperation::Intersect } else { SetOperation::Except };
    // The groups are distinct in any case.
    let left = match Arc::unwrap_or_clone(left) {
        LogicalPlan::Distinct(Distinct::All(input)) => input,
        other => Arc::new(other),
    };
    let both = typed_union(Union::try_new_with_loose_types(vec![left, right])?, &format!("an {operation}"))?;
    let LogicalPlan::Union(Union { inputs, .. }) = both else { return Ok(both) };
    let sided = inputs.into_iter().zip([LEFT, RIGHT]).map(|(input, side)| with_side(input, side, operation));
    let sided = sided.collect::<datafusion_common::Result<Vec<_>>>()?;
    let rows = Arc::new(LogicalPlan::Union(Union::try_new_with_loose_types(sided)?));

    let columns = rows.schema().columns();
    let width = columns.len() - 1;
    let mut keys: Vec<Expr> = columns.into_iter().map(Expr::Column).collect();
    let side = keys.split_off(width);
    let calls = operation
        .aggregates()
        .iter()
        .map(|name| AggregateFunction::new_udf(aggregate_function(name), side.clone(), false, None, vec![], None))
        .map(Expr::AggregateFunction)
        .collect();
    let groups = LogicalPlan::Aggregate(Aggregate::try_new(rows, keys, calls)?);
    let columns: Vec<Expr> = groups.schema().columns().into_iter().map(Expr::Column).collect();
    let predicate = match (operation, &columns[width..]) {
        (SetOperation::Intersect, [least, greatest, ..]) => {
            least.clone().eq(literal(LEFT)).and(greatest.clone().eq(literal(RIGHT)))
        }
        (_, [greatest, ..]) => greatest.clone().eq(literal(LEFT)),
        (_, []) => return Err(DataFusionError::Internal("the groups of a set operation have no aggregates".into())),
    };
    let kept = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(groups))?);
    let named = schema
        .iter()
        .zip(columns)
        .map(|((qualifier, field), column)| column.alias_qualified(qualifier.cloned(), field.name()));
    Ok(LogicalPlan::Projection(Projection::try_new(named.collect(), Arc::new(kept))?))
}

fn literal(side: i32) -> Expr {
    Expr::Literal(ScalarValue::Int32(Some(side)), None)
}

/// The same rows with their side as the last column.
fn with_side(
    input: Arc<LogicalPlan>,
    side: i32,
    operation: SetOperation,
) -> datafusion_common::Result<Arc<LogicalPlan>> {
    let columns = input.schema().columns().into_iter().map(Expr::Column);
    let expressions = columns.chain([literal(side).alias(operation.side())]).collect();
    Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(expressions, input)?)))
}
