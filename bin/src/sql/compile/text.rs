//! Expressions as SQL, for EXPLAIN and for errors.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};

use super::{Node, Test};
use crate::sql::cast::writer;
use crate::sql::functions::binding::{Form, Value};
use crate::sql::types::FlinkType;

/// A constant as it would be written in SQL.
pub(super) fn literal_text(value: &Value, flink: FlinkType) -> String {
    if value.is_null(0) {
        return "NULL".to_owned();
    }
    if flink.is_nested() {
        return nested_text(&value.array, flink);
    }
    let mut text = String::new();
    match writer(value, flink) {
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

/// A constant array, map or row, in an array of length 1.
fn nested_text(array: &ArrayRef, flink: FlinkType) -> String {
    let listed = |values: &ArrayRef, of: FlinkType| {
        let texts = (0..values.len()).map(|index| literal_text(&Value::scalar(values.slice(index, 1)), of));
        texts.collect::<Vec<_>>()
    };
    match flink {
        FlinkType::Array(element) => {
            format!("ARRAY[{}]", listed(&array.as_list::<i32>().value(0), element.flink).join(", "))
        }
        FlinkType::Map(map) => {
            let entries = array.as_map().value(0);
            let keys = listed(entries.column(0), map.key);
            let pairs = keys.into_iter().zip(listed(entries.column(1), map.value.flink));
            format!("MAP[{}]", pairs.map(|(key, value)| format!("{key}, {value}")).collect::<Vec<_>>().join(", "))
        }
        FlinkType::Row(row) => {
            let columns = array.as_struct().columns().iter().zip(&row.fields);
            let texts = columns.flat_map(|(column, field)| listed(column, field.value.flink));
            format!("ROW({})", texts.collect::<Vec<_>>().join(", "))
        }
        _ => "?".to_owned(),
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

impl Node {
    /// The expression as SQL.
    pub(super) fn text(&self) -> String {
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
