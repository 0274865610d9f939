//! What a predicate asks of single columns, for sources that can leave out what cannot pass.

use arrow_array::Array;
use arrow_select::concat::concat;
use datafusion_common::DFSchema;
use datafusion_expr::Expr;

use super::{Node, Test as Truth, comparison, node};
use crate::plan::pruning::{ColumnTest, Comparison, Test};
use crate::sql::typing::{Literals, rewritten};

/// The conditions on single columns among those that `predicate` joins by AND. `schema` is that of the columns by number.
/// What is not so simple is left out: the tests ask no more than the predicate does.
#[must_use]
pub(crate) fn column_tests(predicate: &Expr, schema: &DFSchema) -> Vec<ColumnTest> {
    let mut tests = Vec::new();
    let typed = rewritten(predicate.clone(), schema, Literals::Typed);
    if let Ok(root) = typed.map_err(drop).and_then(|expr| node(&expr, schema, 0).map_err(drop)) {
        gather(&root, &mut tests);
    }
    tests
}

fn gather(node: &Node, tests: &mut Vec<ColumnTest>) {
    let test = match node {
        Node::Logic { is_and: true, left, right } => {
            gather(left, tests);
            gather(right, tests);
            return;
        }
        Node::Compare { op, left, right } => compared(*op, left, right),
        Node::Is { test: Truth::Null, operand } => column_of(operand).map(|column| (column, Test::IsNull)),
        Node::Is { test: Truth::NotNull, operand } => column_of(operand).map(|column| (column, Test::IsNotNull)),
        Node::In { operand, list, is_negated: false } => among(operand, list),
        _ => None,
    };
    if let Some((column, test)) = test {
        tests.push(ColumnTest { column, test, text: node.text() });
    }
}

fn compared(op: comparison::Comparison, left: &Node, right: &Node) -> Option<(usize, Test)> {
    let op = match op {
        comparison::Comparison::Eq => Comparison::Eq,
        comparison::Comparison::Lt => Comparison::Lt,
        comparison::Comparison::LtEq => Comparison::LtEq,
        comparison::Comparison::Gt => Comparison::Gt,
        comparison::Comparison::GtEq => Comparison::GtEq,
        _ => return None,
    };
    let (column, op, literal) = match (left, right) {
        (Node::Column { index, .. }, Node::Literal { value, .. }) => (*index, op, value),
        (Node::Literal { value, .. }, Node::Column { index, .. }) => (*index, op.flipped(), value),
        _ => return None,
    };
    (!literal.is_null(0)).then(|| (column, Test::Compare(op, literal.array.clone())))
}

fn among(operand: &Node, list: &[Node]) -> Option<(usize, Test)> {
    let column = column_of(operand)?;
    let mut values: Vec<&dyn Array> = Vec::with_capacity(list.len());
    for item in list {
        let Node::Literal { value, .. } = item else { return None };
        // A NULL in the list lets no row through.
        if !value.is_null(0) {
            values.push(value.array.as_ref());
        }
    }
    Some((column, Test::In(concat(&values).ok()?)))
}

fn column_of(node: &Node) -> Option<usize> {
    match node {
        Node::Column { index, .. } => Some(*index),
        _ => None,
    }
}
