//! Arrays as sets: ARRAY_DISTINCT, ARRAY_UNION, ARRAY_INTERSECT, ARRAY_EXCEPT; and ARRAY_CONCAT, which keeps all.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::ArrayRef;
use datafusion_expr::ScalarUDF;

use super::lists::{Lists, NewLists, common, element, expect};
use crate::error::Result;
use crate::sql::functions::binding::{Argument, Binding, Declared, Form, Value};
use crate::sql::functions::encoded::Encoded;
use crate::sql::types::FlinkType;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let call = |name, bind| Declared::udf(name, Form::Call, bind);
    vec![
        call("ARRAY_DISTINCT", bind_distinct),
        call("ARRAY_UNION", bind_two),
        call("ARRAY_INTERSECT", bind_two),
        call("ARRAY_EXCEPT", bind_two),
        call("ARRAY_CONCAT", bind_concat),
    ]
}

fn bind_distinct(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "ARRAY_DISTINCT(array)";
    expect(name, usage, arguments, 1..2)?;
    element(name, usage, arguments, 0)?;
    let of = arguments[0].flink;
    let kernel = move |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        let values = Encoded::of(lists.values())?;
        let mut made = NewLists::default();
        let mut seen = HashSet::new();
        for row in 0..rows {
            seen.clear();
            let range = lists.get(row);
            let is_valid = range.is_some();
            made.extend(0, range.into_iter().flatten().filter(|place| seen.insert(values.row(*place))));
            made.end(is_valid);
        }
        made.finish(&[lists.values()], of)
    };
    Ok(Binding::strict(vec![of], of, kernel))
}

/// The type of arrays that all arguments can be.
fn common_array(name: &'static str, usage: &str, arguments: &[Argument]) -> Result<FlinkType> {
    let elements = (0..arguments.len()).map(|place| element(name, usage, arguments, place));
    common(name, &elements.collect::<Result<Vec<_>>>()?).map(FlinkType::array)
}

fn bind_two(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = format!("{name}(array, array)");
    expect(name, &usage, arguments, 2..3)?;
    let of = common_array(name, &usage, arguments)?;
    let kernel = move |arguments: &[Value], rows: usize| {
        let (left, right) = (Lists::of(&arguments[0])?, Lists::of(&arguments[1])?);
        let (lefts, rights) = Encoded::pair(left.values(), right.values())?;
        let mut made = NewLists::default();
        for row in 0..rows {
            let pair = left.get(row).zip(right.get(row));
            let is_valid = pair.is_some();
            if let Some((of_left, of_right)) = pair {
                let others: HashSet<_> = match name {
                    "ARRAY_UNION" => HashSet::new(),
                    _ => of_right.clone().map(|place| rights.row(place)).collect(),
                };
                let is_wanted = |place: usize| match name {
                    "ARRAY_UNION" => true,
                    "ARRAY_INTERSECT" => others.contains(&lefts.row(place)),
                    _ => !others.contains(&lefts.row(place)),
                };
                let mut seen = HashSet::new();
                made.extend(0, of_left.filter(|place| is_wanted(*place) && seen.insert(lefts.row(*place))));
                if name == "ARRAY_UNION" {
                    made.extend(1, of_right.filter(|place| seen.insert(rights.row(*place))));
                }
            }
            made.end(is_valid);
        }
        made.finish(&[left.values(), right.values()], of)
    };
    Ok(Binding::strict(vec![of; 2], of, kernel))
}

fn bind_concat(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "ARRAY_CONCAT(array, array)";
    expect(name, usage, arguments, 1..usize::MAX)?;
    let of = common_array(name, usage, arguments)?;
    let kernel = move |arguments: &[Value], rows: usize| {
        let lists = arguments.iter().map(Lists::of).collect::<Result<Vec<_>, _>>()?;
        let mut made = NewLists::default();
        for row in 0..rows {
            let ranges: Option<Vec<_>> = lists.iter().map(|list| list.get(row)).collect();
            let is_valid = ranges.is_some();
            for (source, range) in ranges.into_iter().flatten().enumerate() {
                made.extend(source, range);
            }
            made.end(is_valid);
        }
        let values: Vec<&ArrayRef> = lists.iter().map(Lists::values).collect();
        made.finish(&values, of)
    };
    Ok(Binding::strict(vec![of; arguments.len()], of, kernel))
}
