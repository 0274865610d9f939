//! Functions that look into arrays or make new ones: CARDINALITY, ELEMENT, ARRAY_CONTAINS and the like.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_select::take::take;
use datafusion_expr::ScalarUDF;

use super::lists::{Lists, NewLists, common, element, expect};
use crate::error::{Error, Result};
use crate::sql::functions::binding::{Argument, Binding, Declared, Form, Nullness, Value};
use crate::sql::functions::columns::{Booleans, Numbers, Strings, boolean_rows, primitive_rows, string_rows};
use crate::sql::functions::encoded::Encoded;
use crate::sql::types::FlinkType;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let call = |name, bind| Declared::udf(name, Form::Call, bind);
    vec![
        call("CARDINALITY", bind_cardinality),
        call("ELEMENT", bind_element),
        call("ARRAY_CONTAINS", bind_contains),
        call("ARRAY_POSITION", bind_position),
        call("ARRAY_APPEND", bind_append),
        call("ARRAY_PREPEND", bind_append),
        call("ARRAY_REMOVE", bind_remove),
        call("ARRAY_REVERSE", bind_reverse),
        call("ARRAY_SLICE", bind_slice),
        call("ARRAY_SORT", bind_sort),
        call("ARRAY_MAX", bind_extreme),
        call("ARRAY_MIN", bind_extreme),
        call("ARRAY_JOIN", bind_join),
        call("SPLIT", bind_split),
    ]
}

fn bind_cardinality(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    expect(name, "CARDINALITY(array)", arguments, 1..2)?;
    let of = arguments[0].flink;
    if !matches!(of, FlinkType::Array(_) | FlinkType::Map(_)) {
        return Err(Error::statement(format!("{name} counts the values of an ARRAY or a MAP, not of {of}"))
            .help("CHAR_LENGTH counts the characters of a string"));
    }
    let kernel = |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        primitive_rows::<Int32Type>(rows, FlinkType::Int, |row| Ok(lists.get(row).map(|range| range.len() as i32)))
    };
    Ok(Binding::strict(vec![of], FlinkType::Int, kernel))
}

fn bind_element(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "ELEMENT(array)";
    expect(name, usage, arguments, 1..2)?;
    let result = element(name, usage, arguments, 0)?;
    let kernel = |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        let place = |row| match lists.get(row) {
            Some(range) if range.len() > 1 => Err(format!("ELEMENT of an array of {} values", range.len())),
            range => Ok(range.and_then(|range| range.into_iter().next()).map(|place| place as u32)),
        };
        let places = (0..rows).map(place).collect::<Result<UInt32Array, String>>()?;
        take(lists.values(), &places, None).map_err(|error| error.to_string())
    };
    Ok(Binding::strict(vec![arguments[0].flink], result, kernel).with_nullness(Nullness::Possible))
}

/// The array and the value of one type, for functions that look for a value.
fn bind_needle(name: &'static str, usage: &str, arguments: &[Argument]) -> Result<[FlinkType; 2]> {
    expect(name, usage, arguments, 2..3)?;
    let to = common(name, &[element(name, usage, arguments, 0)?, arguments[1].flink])?;
    Ok([FlinkType::array(to), to])
}

/// The places of a row's values, and which of them equal the value that is looked for.
type Matches = (Range<usize>, Vec<bool>);

/// The matches of each row whose array is not NULL; a NULL within equals NULL.
fn matches<'a>(lists: &'a Lists, needle: &'a Value) -> Result<impl Fn(usize) -> Option<Matches> + 'a, String> {
    let (values, needles) = Encoded::pair(lists.values(), &needle.array)?;
    let stride = needle.stride();
    Ok(move |row: usize| {
        let range = lists.get(row)?;
        let wanted = needles.row(row * stride);
        let found = range.clone().map(|place| values.row(place) == wanted).collect();
        Some((range, found))
    })
}

fn bind_contains(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [array, value] = bind_needle(name, "ARRAY_CONTAINS(array, value)", arguments)?;
    let kernel = |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        let matches = matches(&lists, &arguments[1])?;
        boolean_rows(rows, |row| Ok(matches(row).map(|(_, found)| found.contains(&true))))
    };
    Ok(Binding::strict(vec![array, value], FlinkType::Boolean, kernel).with_nullness(Nullness::Possible))
}

fn bind_position(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [array, value] = bind_needle(name, "ARRAY_POSITION(array, value)", arguments)?;
    let kernel = |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        let matches = matches(&lists, &arguments[1])?;
        primitive_rows::<Int32Type>(rows, FlinkType::Int, |row| {
            let found = matches(row).filter(|_| !arguments[1].is_null(row));
            Ok(found.map(|(_, found)| found.iter().position(|found| *found).map_or(0, |place| place as i32 + 1)))
        })
    };
    Ok(Binding::strict(vec![array, value], FlinkType::Int, kernel))
}

fn bind_remove(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [array, value] = bind_needle(name, "ARRAY_REMOVE(array, value)", arguments)?;
    let kernel = move |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        let matches = matches(&lists, &arguments[1])?;
        let mut made = NewLists::default();
        for row in 0..rows {
            let kept = matches(row);
            let is_valid = kept.is_some();
            if let Some((range, found)) = kept {
                made.extend(0, range.zip(found).filter(|(_, found)| !found).map(|(place, _)| place));
            }
            made.end(is_valid);
        }
        made.finish(&[lists.values()], array)
    };
    Ok(Binding::strict(vec![array, value], array, kernel).with_nullness(Nullness::Possible))
}

fn bind_append(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let is_first = name == "ARRAY_PREPEND";
    let [array, value] = bind_needle(name, &format!("{name}(array, value)"), arguments)?;
    let kernel = move |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        let mut made = NewLists::default();
        for row in 0..rows {
            let range = lists.get(row);
            let is_valid = range.is_some();
            let added = row * arguments[1].stride();
            if let Some(range) = range {
                if is_first {
                    made.push(1, added);
                }
                made.extend(0, range);
                if !is_first {
                    made.push(1, added);
                }
            }
            made.end(is_valid);
        }
        made.finish(&[lists.values(), &arguments[1].array], array)
    };
    Ok(Binding::strict(vec![array, value], array, kernel).with_nullness(Nullness::Possible))
}

/// A function from an array to an array of some of its values.
fn rearranged(
    types: Vec<FlinkType>,
    result: FlinkType,
    places: impl Fn(&Lists, &[Value], usize) -> Option<Vec<usize>> + Send + Sync + 'static,
) -> Binding {
    Binding::strict(types, result, move |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        let mut made = NewLists::default();
        for row in 0..rows {
            let chosen = places(&lists, arguments, row);
            let is_valid = chosen.is_some();
            made.extend(0, chosen.into_iter().flatten());
            made.end(is_valid);
        }
        made.finish(&[lists.values()], result)
    })
}

fn bind_reverse(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "ARRAY_REVERSE(array)";
    expect(name, usage, arguments, 1..2)?;
    element(name, usage, arguments, 0)?;
    let of = arguments[0].flink;
    Ok(rearranged(vec![of], of, |lists, _, row| Some(lists.get(row)?.rev().collect())))
}

fn bind_slice(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "ARRAY_SLICE(array, first, last)";
    expect(name, usage, arguments, 2..4)?;
    element(name, usage, arguments, 0)?;
    for (place, argument) in arguments.iter().enumerate().skip(1) {
        if !argument.flink.is_integer() && argument.flink != FlinkType::Null {
            let message = format!("argument {} of {name} is an INT, not {}", place + 1, argument.flink);
            return Err(Error::statement(message).help(usage));
        }
    }
    let of = arguments[0].flink;
    let types = [of].into_iter().chain(arguments[1..].iter().map(|_| FlinkType::BigInt)).collect();
    Ok(rearranged(types, of, |lists, arguments, row| {
        let range = lists.get(row)?;
        let length = range.len() as i64;
        let bound = |place: usize| match arguments.get(place) {
            Some(bound) => Numbers::<Int64Type>::of(bound).get(row),
            None => Some(length),
        };
        // From the end where it is negative.
        let from_start = |bound: i64| if bound < 0 { bound.saturating_add(length + 1) } else { bound };
        let (first, last) = (from_start(bound(1)?).max(1), from_start(bound(2)?));
        let last = if last == 0 { 1 } else { last.min(length) };
        if last < first {
            return Some(Vec::new());
        }
        Some((range.start + first as usize - 1..range.start + last as usize).collect())
    }))
}

/// Refuses arrays of values without an order.
fn ordered_element(name: &str, usage: &str, arguments: &[Argument]) -> Result<FlinkType> {
    let of = element(name, usage, arguments, 0)?;
    if of.is_nested() || of == FlinkType::Null {
        return Err(Error::statement(format!("{name}: values of {of} have no order")).help(usage));
    }
    Ok(of)
}

fn bind_sort(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "ARRAY_SORT(array, ascending, nulls_first)";
    expect(name, usage, arguments, 1..4)?;
    ordered_element(name, usage, arguments)?;
    for (place, argument) in arguments.iter().enumerate().skip(1) {
        if !matches!(argument.flink, FlinkType::Boolean | FlinkType::Null) {
            let message = format!("argument {} of {name} is a BOOLEAN, not {}", place + 1, argument.flink);
            return Err(Error::statement(message).help(usage));
        }
    }
    let of = arguments[0].flink;
    let types = [of].into_iter().chain(arguments[1..].iter().map(|_| FlinkType::Boolean)).collect();
    let kernel = move |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        let order = Encoded::of(lists.values())?;
        let nulls = lists.values().logical_nulls();
        let is_null = |place: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(place));
        let mut made = NewLists::default();
        for row in 0..rows {
            let flag = |place: usize, default: bool| match arguments.get(place) {
                Some(flag) => Booleans::of(flag).get(row),
                None => Some(default),
            };
            let sorted = flag(1, true).and_then(|ascending| {
                let nulls_first = flag(2, ascending)?;
                let mut places: Vec<usize> = lists.get(row)?.collect();
                places.sort_by(|a, b| match (is_null(*a), is_null(*b)) {
                    (false, false) if ascending => order.row(*a).cmp(&order.row(*b)),
                    (false, false) => order.row(*b).cmp(&order.row(*a)),
                    (true, true) => Ordering::Equal,
                    (a, _) => {
                        if a == nulls_first {
                            Ordering::Less
                        } else {
                            Ordering::Greater
                        }
                    }
                });
                Some(places)
            });
            let is_valid = sorted.is_some();
            made.extend(0, sorted.into_iter().flatten());
            made.end(is_valid);
        }
        made.finish(&[lists.values()], of)
    };
    Ok(Binding::strict(types, of, kernel))
}

fn bind_extreme(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = format!("{name}(array)");
    expect(name, &usage, arguments, 1..2)?;
    let result = ordered_element(name, &usage, arguments)?;
    let is_max = name == "ARRAY_MAX";
    let kernel = move |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        let order = Encoded::of(lists.values())?;
        let nulls = lists.values().logical_nulls();
        let is_valid = |place: &usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*place));
        let places = (0..rows).map(|row| {
            let values = lists.get(row)?.filter(is_valid);
            let compare = |a: &usize, b: &usize| order.row(*a).cmp(&order.row(*b));
            let place = if is_max { values.max_by(compare) } else { values.min_by(compare) };
            place.map(|place| place as u32)
        });
        take(lists.values(), &places.collect::<UInt32Array>(), None).map_err(|error| error.to_string())
    };
    Ok(Binding::strict(vec![arguments[0].flink], result, kernel).with_nullness(Nullness::Possible))
}

fn bind_join(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "ARRAY_JOIN(array, delimiter, text_for_null)";
    expect(name, usage, arguments, 2..4)?;
    let of = element(name, usage, arguments, 0)?;
    if !of.is_string() && of != FlinkType::Null {
        return Err(Error::statement(format!("{name} joins strings, not {of}"))
            .help("CAST(array AS ARRAY<STRING>) makes strings of the values"));
    }
    for (place, argument) in arguments.iter().enumerate().skip(1) {
        if !argument.flink.is_string() && argument.flink != FlinkType::Null {
            let message = format!("argument {} of {name} is a string, not {}", place + 1, argument.flink);
            return Err(Error::statement(message).help(usage));
        }
    }
    let strings = arguments[1..].iter().map(|_| FlinkType::STRING);
    let types = [FlinkType::array(FlinkType::STRING)].into_iter().chain(strings).collect();
    let kernel = |arguments: &[Value], rows: usize| {
        let lists = Lists::of(&arguments[0])?;
        let values = Value::column(ArrayRef::clone(lists.values()));
        let (values, delimiters) = (Strings::of(&values), Strings::of(&arguments[1]));
        let replacements = arguments.get(2).map(Strings::of);
        string_rows(rows, |row, out| {
            let (Some(range), Some(delimiter)) = (lists.get(row), delimiters.get(row)) else { return Ok(false) };
            let replacement = match &replacements {
                None => None,
                Some(texts) => match texts.get(row) {
                    None => return Ok(false),
                    found => found,
                },
            };
            let mut is_first = true;
            for text in range.filter_map(|place| values.get(place).or(replacement)) {
                if !std::mem::take(&mut is_first) {
                    out.push_str(delimiter);
                }
                out.push_str(text);
            }
            Ok(true)
        })
    };
    Ok(Binding::strict(types, FlinkType::STRING, kernel))
}

fn bind_split(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "SPLIT(string, delimiter)";
    expect(name, usage, arguments, 2..3)?;
    if let Some(argument) = arguments.iter().find(|it| !it.flink.is_string() && it.flink != FlinkType::Null) {
        return Err(Error::statement(format!("{name} takes strings, not {}", argument.flink)).help(usage));
    }
    let result = FlinkType::array(FlinkType::STRING);
    let kernel = move |arguments: &[Value], rows: usize| {
        let (texts, delimiters) = (Strings::of(&arguments[0]), Strings::of(&arguments[1]));
        let mut parts: Vec<&str> = Vec::new();
        let mut made = NewLists::default();
        for row in 0..rows {
            let pair = texts.get(row).zip(delimiters.get(row));
            let before = parts.len();
            match pair {
                None => {}
                Some((text, "")) => parts.extend(text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()])),
                Some((text, delimiter)) => parts.extend(text.split(delimiter)),
            }
            made.extend(0, before..parts.len());
            made.end(pair.is_some());
        }
        let parts: ArrayRef = Arc::new(arrow_array::StringViewArray::from_iter_values(parts));
        made.finish(&[&parts], result)
    };
    Ok(Binding::strict(vec![FlinkType::STRING; 2], result, kernel))
}
