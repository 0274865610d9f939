//! Typed expressions as trees that evaluate a batch.
//!
//! AND, OR, CASE and COALESCE look at an operand only in the rows that need it, as Flink does row by row: `b <> 0 AND
//! a / b > 1` never divides by zero. An operand is tried on the whole batch first, which is the fast way and the usual
//! case; only where that fails it is evaluated again for just the rows that need it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Datum, RecordBatch, RecordBatchOptions, Scalar as ArrowScalar, UInt32Array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;
use arrow_select::{interleave::interleave, take::take, take::take_record_batch};
use datafusion_common::DFSchema;
use datafusion_expr::{BinaryExpr, Expr, Operator};
use thalweg_operators::expr::{EvaluateError, Scalar};

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
    Ok(Arc::new(Compiled { text: root.text(), data_type: flink.to_arrow(), root }))
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
enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    Distinct,
    NotDistinct,
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
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match comparison(*op) {
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

fn comparison(op: Operator) -> Option<Comparison> {
    Some(match op {
        Operator::Eq => Comparison::Eq,
        Operator::NotEq => Comparison::NotEq,
        Operator::Lt => Comparison::Lt,
        Operator::LtEq => Comparison::LtEq,
        Operator::Gt => Comparison::Gt,
        Operator::GtEq => Comparison::GtEq,
        Operator::IsDistinctFrom => Comparison::Distinct,
        Operator::IsNotDistinctFrom => Comparison::NotDistinct,
        _ => return None,
    })
}

fn literal_text(value: &Value, flink: FlinkType) -> String {
    if value.is_null(0) {
        return "NULL".to_owned();
    }
    let mut text = String::new();
    match super::cast::writer(value, flink) {
        Ok(write) => write(0, &mut text),
        Err(_) => return "?".to_owned(),
    }
    match flink {
        flink if flink.is_string() => format!("'{}'", text.replace('\'', "''")),
        FlinkType::Date => format!("DATE '{text}'"),
        FlinkType::Time(_) => format!("TIME '{text}'"),
        FlinkType::Timestamp(_) => format!("TIMESTAMP '{text}'"),
        FlinkType::IntervalYearMonth | FlinkType::IntervalDayTime => format!("INTERVAL '{text}'"),
        _ => text,
    }
}

impl Test {
    fn words(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::NotNull => "NOT NULL",
            Self::True => "TRUE",
            Self::NotTrue => "NOT TRUE",
            Self::False => "FALSE",
            Self::NotFalse => "NOT FALSE",
        }
    }
}

impl Comparison {
    fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
            Self::Distinct => "IS DISTINCT FROM",
            Self::NotDistinct => "IS NOT DISTINCT FROM",
        }
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

    /// The expression as SQL.
    fn text(&self) -> String {
        match self {
            Self::Column { name, .. } => name.clone(),
            Self::Literal { text, .. } => text.clone(),
            Self::Call { name, form, binding, arguments } => {
                let texts: Vec<_> = match (form, &arguments[..]) {
                    (Form::Infix, [left, right]) => vec![left.left_text(self), right.right_text(self)],
                    (Form::Negation, [operand]) => vec![operand.right_text(self)],
                    _ => arguments.iter().map(Self::text).collect(),
                };
                form.write(name, binding.result, &texts)
            }
            Self::Coalesce { arguments, name, .. } => format!("{name}({})", listed(arguments)),
            Self::Compare { op, left, right } => {
                format!("{} {} {}", left.right_text(self), op.symbol(), right.right_text(self))
            }
            Self::Logic { is_and, left, right } => {
                let symbol = if *is_and { "AND" } else { "OR" };
                format!("{} {symbol} {}", left.left_text(self), right.left_text(self))
            }
            Self::Not(operand) => format!("NOT {}", operand.right_text(self)),
            Self::Is { test, operand } => format!("{} IS {}", operand.right_text(self), test.words()),
            Self::In { operand, list, is_negated } => {
                let not = if *is_negated { "NOT " } else { "" };
                format!("{} {not}IN ({})", operand.right_text(self), listed(list))
            }
            Self::Case { branches, otherwise, .. } => {
                let mut text = String::from("CASE");
                for (when, then) in branches {
                    text.push_str(&format!(" WHEN {} THEN {}", when.text(), then.text()));
                }
                text.push_str(&format!(" ELSE {} END", otherwise.text()));
                text
            }
        }
    }

    /// How tightly the operation binds its operands.
    fn precedence(&self) -> u8 {
        match self {
            Self::Logic { is_and: false, .. } => 1,
            Self::Logic { is_and: true, .. } => 2,
            Self::Not(_) => 3,
            Self::Compare { .. } | Self::Is { .. } | Self::In { .. } => 4,
            Self::Call { form: Form::Implicit, arguments, .. } => arguments.first().map_or(8, Self::precedence),
            Self::Call { form: Form::Infix, name, .. } => match *name {
                "*" | "/" | "%" => 6,
                "+" | "-" | "||" => 5,
                _ => 4,
            },
            Self::Call { form: Form::Negation, .. } => 7,
            Self::Literal { text, .. } if text.starts_with('-') => 7,
            _ => 8,
        }
    }

    /// The text as the left operand of an operation, in parentheses where that binds more tightly.
    fn left_text(&self, operation: &Node) -> String {
        if self.precedence() < operation.precedence() { format!("({})", self.text()) } else { self.text() }
    }

    /// The text as an operand of an operation that does not associate on that side.
    fn right_text(&self, operation: &Node) -> String {
        if self.precedence() <= operation.precedence() { format!("({})", self.text()) } else { self.text() }
    }
}

fn listed(nodes: &[Node]) -> String {
    nodes.iter().map(Node::text).collect::<Vec<_>>().join(", ")
}

/// A comparison with SQL's NULL; numbers as IEEE 754 has them, so NaN equals nothing, and −0.0 equals 0.0.
fn compare(op: Comparison, left: &Value, right: &Value, rows: usize) -> Result<Value, String> {
    use arrow_ord::cmp;
    let is_scalar = left.is_scalar && right.is_scalar;
    let len = if is_scalar { 1 } else { rows };
    let is_null = |value: &Value| *value.array.data_type() == DataType::Null;
    if is_null(left) || is_null(right) {
        return Ok(compare_with_null(op, left, right, len, is_scalar));
    }
    let array = match left.array.data_type() {
        DataType::Float32 | DataType::Float64 => compare_floats(op, left, right, len)?,
        _ => {
            let as_datum = |value: &Value| -> Box<dyn Datum> {
                if value.is_scalar {
                    Box::new(ArrowScalar::new(Arc::clone(&value.array)))
                } else {
                    Box::new(Arc::clone(&value.array))
                }
            };
            let (l, r) = (as_datum(left), as_datum(right));
            let compared = match op {
                Comparison::Eq => cmp::eq(&*l, &*r),
                Comparison::NotEq => cmp::neq(&*l, &*r),
                Comparison::Lt => cmp::lt(&*l, &*r),
                Comparison::LtEq => cmp::lt_eq(&*l, &*r),
                Comparison::Gt => cmp::gt(&*l, &*r),
                Comparison::GtEq => cmp::gt_eq(&*l, &*r),
                Comparison::Distinct => cmp::distinct(&*l, &*r),
                Comparison::NotDistinct => cmp::not_distinct(&*l, &*r),
            };
            compared.map_err(|error| error.to_string())?
        }
    };
    Ok(Value { array: Arc::new(array), is_scalar })
}

/// A comparison where one side is a bare NULL.
fn compare_with_null(op: Comparison, left: &Value, right: &Value, len: usize, is_scalar: bool) -> Value {
    let both_null = |row: usize| {
        let is_null = |value: &Value| *value.array.data_type() == DataType::Null || value.is_null(row);
        is_null(left) && is_null(right)
    };
    let array = match op {
        Comparison::Distinct => BooleanArray::new(BooleanBuffer::collect_bool(len, |row| !both_null(row)), None),
        Comparison::NotDistinct => BooleanArray::new(BooleanBuffer::collect_bool(len, both_null), None),
        _ => BooleanArray::new_null(len),
    };
    Value { array: Arc::new(array), is_scalar }
}

fn compare_floats(op: Comparison, left: &Value, right: &Value, len: usize) -> Result<BooleanArray, String> {
    use super::functions::columns::{natives, nulls_of};
    if left.array.data_type() != right.array.data_type() {
        return Err("internal error: a comparison of two types".to_owned());
    }
    let pair = [left.clone(), right.clone()];
    let (l, r) = (left.stride(), right.stride());
    macro_rules! loops {
        ($kind:ty) => {{
            let (lefts, rights) = (natives::<$kind>(left), natives::<$kind>(right));
            let collect = |test: fn(&_, &_) -> bool| {
                BooleanBuffer::collect_bool(len, |row| test(&lefts[row * l], &rights[row * r]))
            };
            match op {
                Comparison::Eq | Comparison::NotDistinct | Comparison::Distinct => collect(|l, r| l == r),
                Comparison::NotEq => collect(|l, r| l != r),
                Comparison::Lt => collect(|l, r| l < r),
                Comparison::LtEq => collect(|l, r| l <= r),
                Comparison::Gt => collect(|l, r| l > r),
                Comparison::GtEq => collect(|l, r| l >= r),
            }
        }};
    }
    let values = match left.array.data_type() {
        DataType::Float32 => loops!(Float32Type),
        _ => loops!(Float64Type),
    };
    if !matches!(op, Comparison::Distinct | Comparison::NotDistinct) {
        return Ok(BooleanArray::new(values, nulls_of(&pair, len)));
    }
    let is_same = BooleanBuffer::collect_bool(len, |row| match (left.is_null(row), right.is_null(row)) {
        (true, true) => true,
        (false, false) => values.value(row),
        _ => false,
    });
    let values = if op == Comparison::NotDistinct { is_same } else { !&is_same };
    Ok(BooleanArray::new(values, None))
}
