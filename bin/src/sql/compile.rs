//! Typed expressions as trees that evaluate a batch.
//!
//! AND, OR, CASE and COALESCE look at an operand only in the rows that need it, as Flink does row by row: `b <> 0 AND
//! a / b > 1` never divides by zero. An operand is tried on the whole batch first, which is the fast way and the usual
//! case; only where that fails it is evaluated again for just the rows that need it.

mod comparison;
mod pruning;
mod text;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;
use arrow_select::{interleave::interleave, take::take, take::take_record_batch};
use datafusion_common::DFSchema;
use datafusion_expr::{BinaryExpr, Expr, Operator};
use thalweg_operators::expr::{EvaluateError, Scalar};

pub(super) use self::comparison::{Comparison, compare};
pub(crate) use self::pruning::column_tests;
use self::text::literal_text;
use super::functions::binding::{Binding, Bound, Form, Value, from_datafusion};
use super::functions::columns::all_null;
use super::types::FlinkType;
use super::typing::{Literals, rewritten, type_of};
use crate::error::{Error, Result};

/// Deepest nesting of an expression; a chain `a + b + c …` of n operators is n deep.
const DEPTH_MAX: usize = 400;

/// Compiles an expression over the columns of `schema`, which are those of the batches in the same order.
///
/// The expression is typed (see `typing`); what an optimizer may have put in since is typed here.
///
/// # Errors
/// If it holds what is not evaluated row by row (an aggregate, a subquery), or a type error.
pub fn compile(expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn Scalar>> {
    let expr = rewritten(expr.clone(), schema, Literals::Typed).map_err(from_datafusion)?;
    let root = node(&expr, schema, 0)?;
    let flink = type_of(&expr, schema).map_err(from_datafusion)?;
    let columns = expr.column_refs().into_iter().map(|column| schema.index_of_column(column));
    let columns = columns.collect::<Result<_, _>>().map_err(from_datafusion)?;
    Ok(Arc::new(Compiled { text: root.text(), data_type: flink.to_arrow(), columns, root }))
}

/// An expression as SQL text, as EXPLAIN and errors show it.
#[must_use]
pub fn describe(expr: &Expr, schema: &DFSchema) -> String {
    node(expr, schema, 0).map_or_else(|_| expr.to_string(), |node| node.text())
}

#[derive(Debug)]
struct Compiled {
    root: Node,
    data_type: DataType,
    columns: Vec<usize>,
    text: String,
}

impl Scalar for Compiled {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, EvaluateError> {
        let rows = batch.num_rows();
        let value = if rows == 0 {
            Value::column(arrow_array::new_empty_array(&self.data_type))
        } else {
            self.root.evaluate(batch)?
        };
        let array = expanded(value, rows).map_err(|message| self.root.failed(message))?;
        if array.len() == rows && *array.data_type() == self.data_type {
            return Ok(array);
        }
        let message = format!("internal error: {} × {} came out", array.len(), array.data_type());
        Err(self.root.failed(message))
    }

    fn data_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn column(&self) -> Option<usize> {
        match self.root {
            Node::Column { index, .. } => Some(index),
            _ => None,
        }
    }

    fn columns(&self) -> Vec<usize> {
        self.columns.clone()
    }

    fn describe(&self) -> String {
        self.text.clone()
    }
}

/// A constant as a column.
fn expanded(value: Value, rows: usize) -> Result<ArrayRef, String> {
    if !value.is_scalar {
        return Ok(value.array);
    }
    take(&value.array, &UInt32Array::from_value(0, rows), None).map_err(|error| error.to_string())
}

/// A part of an expression.
#[derive(Debug)]
enum Node {
    Column {
        index: usize,
        name: String,
    },
    Literal {
        value: Value,
        text: String,
    },
    Call {
        name: &'static str,
        form: Form,
        binding: Binding,
        arguments: Vec<Node>,
    },
    Coalesce {
        arguments: Vec<Node>,
        result: FlinkType,
        name: &'static str,
    },
    Compare {
        op: Comparison,
        left: Box<Node>,
        right: Box<Node>,
    },
    Logic {
        is_and: bool,
        left: Box<Node>,
        right: Box<Node>,
    },
    Not(Box<Node>),
    /// `operand IS [NOT] NULL` and the like.
    Is {
        test: Test,
        operand: Box<Node>,
    },
    In {
        operand: Box<Node>,
        list: Vec<Node>,
        is_negated: bool,
    },
    Case {
        branches: Vec<(Node, Node)>,
        otherwise: Box<Node>,
        result: FlinkType,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Null,
    NotNull,
    True,
    NotTrue,
    False,
    NotFalse,
}

fn node(expr: &Expr, schema: &DFSchema, depth: usize) -> Result<Node> {
    if depth > DEPTH_MAX {
        return Err(Error::statement(format!("an expression nested more than {DEPTH_MAX} deep"))
            .help("compute a part of it in a derived table or view"));
    }
    let child = |expr: &Expr| node(expr, schema, depth + 1);
    let boxed = |expr: &Expr| Ok::<_, Error>(Box::new(child(expr)?));
    let is = |test, operand: &Expr| Ok(Node::Is { test, operand: boxed(operand)? });
    match expr {
        Expr::Alias(alias) => child(&alias.expr),
        Expr::Column(column) => {
            let index = schema.index_of_column(column).map_err(from_datafusion)?;
            Ok(Node::Column { index, name: column.name.clone() })
        }
        Expr::Literal(value, _) => {
            let array = value.to_array_of_size(1).map_err(from_datafusion)?;
            let flink = type_of(expr, schema).map_err(from_datafusion)?;
            let value = Value::scalar(array);
            Ok(Node::Literal { text: literal_text(&value, flink), value })
        }
        Expr::ScalarFunction(call) => {
            let Some(function) = call.func.inner().downcast_ref::<Bound>() else {
                return Err(Error::internal(format!("the function {} is not bound", call.func.name())));
            };
            let arguments = call.args.iter().map(child).collect::<Result<Vec<_>>>()?;
            let binding = function.binding.clone();
            if matches!(function.name, "COALESCE" | "IFNULL" | "NVL") {
                return Ok(Node::Coalesce { arguments, result: binding.result, name: function.name });
            }
            Ok(Node::Call { name: function.name, form: function.form, binding, arguments })
        }
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            Ok(Node::Logic { is_and: *op == Operator::And, left: boxed(left)?, right: boxed(right)? })
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match Comparison::of(*op) {
            Some(op) => Ok(Node::Compare { op, left: boxed(left)?, right: boxed(right)? }),
            None => Err(Error::internal(format!("the operator {op} is not bound"))),
        },
        Expr::Not(operand) => Ok(Node::Not(boxed(operand)?)),
        Expr::IsNull(operand) | Expr::IsUnknown(operand) => is(Test::Null, operand),
        Expr::IsNotNull(operand) | Expr::IsNotUnknown(operand) => is(Test::NotNull, operand),
        Expr::IsTrue(operand) => is(Test::True, operand),
        Expr::IsNotTrue(operand) => is(Test::NotTrue, operand),
        Expr::IsFalse(operand) => is(Test::False, operand),
        Expr::IsNotFalse(operand) => is(Test::NotFalse, operand),
        Expr::InList(list) => {
            let items = list.list.iter().map(child).collect::<Result<Vec<_>>>()?;
            Ok(Node::In { operand: boxed(&list.expr)?, list: items, is_negated: list.negated })
        }
        Expr::Case(case) if case.expr.is_none() => {
            let mut branches = Vec::with_capacity(case.when_then_expr.len());
            for (when, then) in &case.when_then_expr {
                branches.push((child(when)?, child(then)?));
            }
            let null = Expr::Literal(datafusion_common::ScalarValue::Null, None);
            let otherwise = boxed(case.else_expr.as_deref().unwrap_or(&null))?;
            let result = type_of(expr, schema).map_err(from_datafusion)?;
            Ok(Node::Case { branches, otherwise, result })
        }
        other => Err(Error::statement(format!("cannot compute {other} row by row"))
            .help("aggregates belong in SELECT or HAVING of a GROUP BY; subqueries are not supported here")),
    }
}

impl Node {
    /// The value for every row of a batch that has rows.
    fn evaluate(&self, batch: &RecordBatch) -> Result<Value, EvaluateError> {
        let rows = batch.num_rows();
        match self {
            Self::Column { index, name } => match batch.columns().get(*index) {
                Some(array) => Ok(Value::column(Arc::clone(array))),
                None => Err(self.failed(format!("internal error: the batch has no column {index} for {name}"))),
            },
            Self::Literal { value, .. } => Ok(value.clone()),
            Self::Call { binding, arguments, .. } => {
                let values = arguments.iter().map(|node| node.evaluate(batch)).collect::<Result<Vec<_>, _>>()?;
                binding.call(&values, rows).map_err(|message| self.failed(message))
            }
            Self::Coalesce { arguments, result, .. } => self.coalesce(arguments, *result, batch),
            Self::Compare { op, left, right } => {
                let (left, right) = (left.evaluate(batch)?, right.evaluate(batch)?);
                compare(*op, &left, &right, rows).map_err(|message| self.failed(message))
            }
            Self::Logic { is_and, left, right } => self.logic(*is_and, left, right, batch),
            Self::Not(operand) => {
                let value = operand.evaluate(batch)?;
                let truth = self.truth(&value)?;
                let negated = BooleanArray::new(!truth.values(), truth.nulls().cloned());
                Ok(Value { array: Arc::new(negated), is_scalar: value.is_scalar })
            }
            Self::Is { test, operand } => {
                let value = operand.evaluate(batch)?;
                let array = self.tested(*test, &value)?;
                Ok(Value { array: Arc::new(array), is_scalar: value.is_scalar })
            }
            Self::In { operand, list, is_negated } => self.membership(operand, list, *is_negated, batch),
            Self::Case { branches, otherwise, result } => self.case(branches, otherwise, *result, batch),
        }
    }

    fn failed(&self, message: String) -> EvaluateError {
        EvaluateError { message, expression: self.text() }
    }

    fn truth(&self, value: &Value) -> Result<BooleanArray, EvaluateError> {
        match value.array.data_type() {
            DataType::Boolean => Ok(value.array.as_boolean().clone()),
            DataType::Null => Ok(BooleanArray::new_null(value.array.len())),
            other => Err(self.failed(format!("internal error: {other} as a truth value"))),
        }
    }

    fn tested(&self, test: Test, value: &Value) -> Result<BooleanArray, EvaluateError> {
        let len = value.array.len();
        let valid = || match value.array.logical_nulls() {
            Some(nulls) => nulls.into_inner(),
            None => BooleanBuffer::new_set(len),
        };
        let is = |wanted: bool| {
            let truth = self.truth(value)?;
            let values = if wanted { truth.values().clone() } else { !truth.values() };
            Ok(&values & &valid())
        };
        let buffer = match test {
            Test::Null => !&valid(),
            Test::NotNull => valid(),
            Test::True => is(true)?,
            Test::NotTrue => !&is(true)?,
            Test::False => is(false)?,
            Test::NotFalse => !&is(false)?,
        };
        Ok(BooleanArray::new(buffer, None))
    }

    /// The value where `needed` is set; what stands elsewhere has no meaning.
    fn evaluate_where(&self, batch: &RecordBatch, needed: &BooleanBuffer) -> Result<Value, EvaluateError> {
        let whole = self.evaluate(batch);
        let Err(error) = whole else { return whole };
        let count = needed.count_set_bits();
        if count == needed.len() {
            return Err(error);
        }
        let rows: UInt32Array = needed.set_indices().map(|row| row as u32).collect();
        if count == 0 {
            return Ok(Value::scalar(arrow_array::new_null_array(&DataType::Null, 1)));
        }
        let fail = |error: arrow_schema::ArrowError| self.failed(format!("internal error: {error}"));
        let part = if batch.num_columns() == 0 {
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            RecordBatch::try_new_with_options(batch.schema(), vec![], &options).map_err(fail)?
        } else {
            take_record_batch(batch, &rows).map_err(fail)?
        };
        let value = self.evaluate(&part)?;
        if value.is_scalar {
            return Ok(value);
        }
        // Back to the places of the rows.
        let mut places = vec![None; batch.num_rows()];
        for (place, row) in rows.values().iter().enumerate() {
            places[*row as usize] = Some(place as u32);
        }
        Ok(Value::column(take(&value.array, &UInt32Array::from(places), None).map_err(fail)?))
    }

    /// AND and OR with three truth values.
    fn logic(&self, is_and: bool, left: &Node, right: &Node, batch: &RecordBatch) -> Result<Value, EvaluateError> {
        let rows = batch.num_rows();
        // Either operand may decide a row, and an optimizer may have put them in another order than the user: an operand
        // that fails goes second, so that it is asked only for the rows that the other leaves open.
        let (left, right) = match left.evaluate(batch) {
            Ok(value) => (value, right),
            Err(error) => match right.evaluate(batch) {
                Ok(value) => (value, left),
                Err(_) => return Err(error),
            },
        };
        let array = expanded(left, rows).map_err(|message| self.failed(message))?;
        let left = self.truth(&Value::column(array))?;
        // `false AND …` and `true OR …` are decided.
        let known = left.nulls().map_or_else(|| BooleanBuffer::new_set(rows), |nulls| nulls.inner().clone());
        let decided = if is_and { &known & &!left.values() } else { &known & left.values() };
        if decided.count_set_bits() == rows {
            return Ok(Value::column(Arc::new(BooleanArray::new(left.values().clone(), None))));
        }
        let right = right.evaluate_where(batch, &!&decided)?;
        let array = expanded(right, rows).map_err(|message| self.failed(message))?;
        let right = self.truth(&Value::column(array))?;
        let right_known = right.nulls().map_or_else(|| BooleanBuffer::new_set(rows), |nulls| nulls.inner().clone());
        let right_decided = if is_and { &right_known & &!right.values() } else { &right_known & right.values() };
        let any_decided = &decided | &right_decided;
        let values = if is_and { !&any_decided } else { any_decided.clone() };
        let valid = &any_decided | &(&known & &right_known);
        let nulls = NullBuffer::new(valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        Ok(Value::column(Arc::new(BooleanArray::new(values, nulls))))
    }

    fn coalesce(&self, arguments: &[Node], result: FlinkType, batch: &RecordBatch) -> Result<Value, EvaluateError> {
        let rows = batch.num_rows();
        let mut missing = BooleanBuffer::new_set(rows);
        let mut sources: Vec<Value> = vec![];
        let mut choice = vec![(0, 0); rows];
        for argument in arguments {
            let value = argument.evaluate_where(batch, &missing)?;
            let place = sources.len();
            let found: Vec<usize> = missing.set_indices().filter(|row| !value.is_null(*row)).collect();
            if found.len() == rows && value.array.data_type() == &result.to_arrow() {
                return Ok(value);
            }
            for row in &found {
                choice[*row] = (place, row * value.stride());
            }
            let found: BooleanBuffer = {
                let mut is_found = vec![false; rows];
                found.iter().for_each(|row| is_found[*row] = true);
                BooleanBuffer::from(is_found)
            };
            missing = &missing & &!&found;
            sources.push(value);
            if missing.count_set_bits() == 0 {
                break;
            }
        }
        for row in missing.set_indices() {
            choice[row] = (sources.len(), 0);
        }
        sources.push(Value::scalar(all_null(result, 1)));
        self.interleaved(&sources, &choice, result)
    }

    fn interleaved(
        &self,
        sources: &[Value],
        choice: &[(usize, usize)],
        result: FlinkType,
    ) -> Result<Value, EvaluateError> {
        let expected = result.to_arrow();
        // A branch that no row takes may have no type.
        let null = all_null(result, 1);
        let arrays: Vec<&dyn Array> = sources
            .iter()
            .map(|value| if *value.array.data_type() == expected { &*value.array } else { &*null })
            .collect();
        let fix = |(source, row): &(usize, usize)| {
            let is_typed = *sources[*source].array.data_type() == expected;
            (*source, if is_typed { *row } else { 0 })
        };
        let choice: Vec<_> = choice.iter().map(fix).collect();
        let array = interleave(&arrays, &choice).map_err(|error| self.failed(format!("internal error: {error}")))?;
        Ok(Value::column(array))
    }

    fn case(
        &self,
        branches: &[(Node, Node)],
        otherwise: &Node,
        result: FlinkType,
        batch: &RecordBatch,
    ) -> Result<Value, EvaluateError> {
        let rows = batch.num_rows();
        let mut open = BooleanBuffer::new_set(rows);
        let mut sources = vec![];
        let mut choice = vec![(0, 0); rows];
        let mut take_branch = |node: &Node, taken: &BooleanBuffer| -> Result<(), EvaluateError> {
            let value = node.evaluate_where(batch, taken)?;
            for row in taken.set_indices() {
                choice[row] = (sources.len(), row * value.stride());
            }
            sources.push(value);
            Ok(())
        };
        for (when, then) in branches {
            let truth = when.evaluate_where(batch, &open)?;
            let array = expanded(truth, rows).map_err(|message| self.failed(message))?;
            let truth = self.tested(Test::True, &Value::column(array))?;
            let taken = &open & truth.values();
            if taken.count_set_bits() > 0 {
                take_branch(then, &taken)?;
            }
            open = &open & &!&taken;
            if open.count_set_bits() == 0 {
                break;
            }
        }
        if open.count_set_bits() > 0 {
            take_branch(otherwise, &open)?;
        }
        if let [only] = &sources[..]
            && *only.array.data_type() == result.to_arrow()
        {
            return Ok(only.clone());
        }
        self.interleaved(&sources, &choice, result)
    }

    fn membership(
        &self,
        operand: &Node,
        list: &[Node],
        is_negated: bool,
        batch: &RecordBatch,
    ) -> Result<Value, EvaluateError> {
        let rows = batch.num_rows();
        let operand = operand.evaluate(batch)?;
        let mut found = BooleanBuffer::new_unset(rows);
        let mut unknown = BooleanBuffer::new_unset(rows);
        for item in list {
            let open = !&found;
            let item = item.evaluate_where(batch, &open)?;
            let equal = compare(Comparison::Eq, &operand, &item, rows).map_err(|message| self.failed(message))?;
            let array = expanded(equal, rows).map_err(|message| self.failed(message))?;
            let equal = self.truth(&Value::column(array))?;
            let known = equal.nulls().map_or_else(|| BooleanBuffer::new_set(rows), |nulls| nulls.inner().clone());
            found = &found | &(&known & equal.values());
            unknown = &unknown | &!&known;
        }
        let valid = &found | &!&unknown;
        let values = if is_negated { !&found } else { found };
        let nulls = NullBuffer::new(valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        Ok(Value::column(Arc::new(BooleanArray::new(values, nulls))))
    }
}
