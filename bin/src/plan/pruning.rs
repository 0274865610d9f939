//! What a filter asks of single columns: a hint with which a source may leave out what it need not read.
//!
//! A hint is conservative: a row that fails one of the tests fails the filter, and the filter still runs over all that is
//! read. Only a filter that stands above a scan with nothing but columns passed on in between becomes one: a watermark
//! must see every row, and an expression in between might have no value for a row that was left out.

use arrow_array::{Array, ArrayRef};

use super::{Node, NodeOp};

/// A condition on one column. All tests of a scan hold for every row that its filter lets through.
#[derive(Clone, Debug)]
pub struct ColumnTest {
    /// The column: an index into the table's physical columns.
    pub column: usize,
    /// What is asked of it.
    pub test: Test,
    /// The condition as EXPLAIN shows it.
    pub text: String,
}

/// What is asked of a column. NULL passes [`Test::IsNull`] alone.
#[derive(Clone, Debug)]
pub enum Test {
    /// It compares so with the one value of the array, which has the column's type and is not NULL.
    Compare(Comparison, ArrayRef),
    /// It equals one of the values, which have the column's type.
    In(ArrayRef),
    /// It is NULL.
    IsNull,
    /// It is not.
    IsNotNull,
}

/// How a column compares with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Eq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
}

impl Comparison {
    /// The same between the operands the other way round.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Eq => Self::Eq,
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
        }
    }
}

impl Node {
    /// Gives the scan below this node the tests of a filter that is about to stand above it. `tests` are of this node's
    /// columns.
    pub fn prune(&mut self, tests: Vec<ColumnTest>) {
        if tests.is_empty() {
            return;
        }
        match &mut self.op {
            NodeOp::Scan { table, columns, pruning } => {
                for mut test in tests {
                    let Some(column) = columns.get(test.column) else { continue };
                    test.column = *column;
                    let is_typed = |values: &ArrayRef| values.data_type() == table.schema.field(*column).data_type();
                    if match &test.test {
                        Test::Compare(_, value) => value.len() == 1 && value.null_count() == 0 && is_typed(value),
                        Test::In(values) => is_typed(values),
                        Test::IsNull | Test::IsNotNull => true,
                    } {
                        pruning.push(test);
                    }
                }
            }
            NodeOp::Filter { input, .. } => input.prune(tests),
            NodeOp::Project { input, expressions } => {
                if expressions.iter().any(|expression| expression.column().is_none()) {
                    return;
                }
                let below = tests.into_iter().filter_map(|test| {
                    let column = expressions.get(test.column)?.column()?;
                    Some(ColumnTest { column, ..test })
                });
                input.prune(below.collect());
            }
            NodeOp::Values(_)
            | NodeOp::Watermark { .. }
            | NodeOp::Unnest { .. }
            | NodeOp::Aggregate { .. }
            | NodeOp::Running { .. }
            | NodeOp::Rank { .. }
            | NodeOp::Session { .. }
            | NodeOp::Union { .. }
            | NodeOp::Sort { .. } => {}
        }
    }
}

/// The tests as EXPLAIN shows them; `None` if there are none.
#[must_use]
pub fn describe(tests: &[ColumnTest]) -> Option<String> {
    let texts: Vec<&str> = tests.iter().map(|test| test.text.as_str()).collect();
    (!texts.is_empty()).then(|| texts.join(" AND "))
}
