//! How arrays, maps and rows are made, and how an item or a field is taken of them.

mod arrays;
mod lists;
mod maps;
mod sets;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, StructArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use arrow_select::take::take;
use datafusion_common::ScalarValue;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{Expr, ScalarUDF};

use super::binding::{Argument, Binding, Declared, Form, Nullness, Value};
use super::columns::Numbers;
use super::conditional::no_common_type;
use super::encoded::Encoded;
use super::entries::{Entries, field_of};
use super::named;
use crate::error::{Error, Result};
use crate::sql::cast::pairs;
use crate::sql::nearest;
use crate::sql::types::FlinkType;
use crate::sql::typing::common_type;

/// `ARRAY[…]` as a function.
pub(crate) const ARRAY: &str = "$ARRAY";
/// `MAP[…]` as a function.
pub(crate) const MAP: &str = "$MAP";
/// `ROW(…)`.
pub(crate) const ROW: &str = "ROW";
/// `a[i]` as a function.
pub(crate) const ITEM: &str = "$ITEM";
/// `r.f` as a function of the row and the field's name.
pub(crate) const FIELD: &str = "$FIELD";

/// The functions of this family.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let values = vec![
        Declared::udf(ARRAY, Form::Listed, bind_array),
        Declared::udf(MAP, Form::Listed, bind_map),
        Declared::udf(ROW, Form::Call, bind_row),
        Declared::udf(ITEM, Form::Item, bind_item),
        Declared::udf(FIELD, Form::Field, bind_field),
    ];
    [values, arrays::functions(), sets::functions(), maps::functions()].concat()
}

/// `row.name`.
///
/// # Errors
/// Never: the function is known.
pub(crate) fn field(row: Expr, name: &str) -> Result<Expr> {
    let function = named(&FIELD.to_lowercase()).ok_or_else(|| Error::internal("no function for fields"))?;
    let name = Expr::Literal(ScalarValue::Utf8View(Some(name.to_owned())), None);
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![row, name])))
}

fn types_of(arguments: &[Argument]) -> Vec<FlinkType> {
    arguments.iter().map(|argument| argument.flink).collect()
}

fn bind_array(_: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = types_of(arguments);
    if types.is_empty() {
        return Err(Error::statement("ARRAY[] has no type").help("CAST(NULL AS ARRAY<INT>), or at least one value"));
    }
    let element = common_type(&types).ok_or_else(|| no_common_type("ARRAY", &types))?;
    let result = FlinkType::array(element);
    let kernel = move |arguments: &[Value], rows: usize| {
        let values = interleaved(arguments, rows)?;
        let offsets = OffsetBuffer::from_repeated_length(arguments.len(), rows);
        Entries { values, offsets, nulls: None }.into_array(result)
    };
    Ok(Binding::strict(vec![element; types.len()], result, kernel).with_nullness(Nullness::Impossible))
}

/// The first row's values, then the second row's.
fn interleaved(arguments: &[Value], rows: usize) -> Result<ArrayRef, String> {
    let arrays: Vec<&dyn Array> = arguments.iter().map(|argument| argument.array.as_ref()).collect();
    let places: Vec<(usize, usize)> = (0..rows)
        .flat_map(|row| arguments.iter().enumerate().map(move |(index, value)| (index, row * value.stride())))
        .collect();
    interleave(&arrays, &places).map_err(|error| error.to_string())
}

fn bind_map(_: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = types_of(arguments);
    if types.is_empty() || types.len() % 2 == 1 {
        return Err(Error::statement("MAP[…] takes keys and values in turn").help("MAP['a', 1, 'b', 2]"));
    }
    let keys: Vec<FlinkType> = types.iter().copied().step_by(2).collect();
    let values: Vec<FlinkType> = types.iter().copied().skip(1).step_by(2).collect();
    let key = common_type(&keys).ok_or_else(|| no_common_type("the keys of MAP", &keys))?;
    let value = common_type(&values).ok_or_else(|| no_common_type("the values of MAP", &values))?;
    let result = FlinkType::map(key, value);
    let casts = [key, value].into_iter().cycle().take(types.len()).collect();
    let kernel = move |arguments: &[Value], rows: usize| {
        let every = |first: usize| arguments.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>();
        let (keys, values) = (interleaved(&every(0), rows)?, interleaved(&every(1), rows)?);
        let offsets = OffsetBuffer::from_repeated_length(arguments.len() / 2, rows);
        map_of(result, &keys, &values, &offsets, None)
    };
    Ok(Binding::strict(casts, result, kernel).with_nullness(Nullness::Impossible))
}

/// A column of maps from keys and values row by row; of equal keys the last counts, at the place of the first.
///
/// # Errors
/// If a key is NULL.
pub(crate) fn map_of(
    flink: FlinkType,
    keys: &ArrayRef,
    values: &ArrayRef,
    offsets: &OffsetBuffer<i32>,
    nulls: Option<arrow_buffer::NullBuffer>,
) -> Result<ArrayRef, String> {
    if keys.logical_null_count() > 0 {
        return Err("a key of a MAP is NULL".to_owned());
    }
    let encoded = Encoded::of(keys)?;
    let mut kept: Vec<u32> = Vec::with_capacity(keys.len());
    let mut taken: Vec<u32> = Vec::with_capacity(keys.len());
    let mut seen = std::collections::HashMap::new();
    let lengths: Vec<usize> = offsets
        .windows(2)
        .map(|pair| {
            seen.clear();
            let before = kept.len();
            for place in pair[0] as usize..pair[1] as usize {
                match seen.entry(encoded.row(place)) {
                    std::collections::hash_map::Entry::Occupied(known) => taken[*known.get()] = place as u32,
                    std::collections::hash_map::Entry::Vacant(new) => {
                        new.insert(kept.len());
                        kept.push(place as u32);
                        taken.push(place as u32);
                    }
                }
            }
            kept.len() - before
        })
        .collect();
    let failed = |error: arrow_schema::ArrowError| error.to_string();
    let keys = take(keys, &UInt32Array::from(kept), None).map_err(failed)?;
    let values = take(values, &UInt32Array::from(taken), None).map_err(failed)?;
    let entries: ArrayRef = Arc::new(pairs(flink, keys, values)?);
    Entries { values: entries, offsets: OffsetBuffer::from_lengths(lengths), nulls }.into_array(flink)
}

fn bind_row(_: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = types_of(arguments);
    if types.is_empty() {
        return Err(Error::statement("ROW() has no fields").help("ROW(1, 'a')"));
    }
    let named = types.iter().enumerate().map(|(index, flink)| (format!("EXPR${index}"), *flink));
    let result = FlinkType::row(named);
    let kernel = move |arguments: &[Value], rows: usize| {
        let DataType::Struct(fields) = result.to_arrow() else { return Err("internal error: no row".to_owned()) };
        let column = |value: &Value| match value.is_scalar {
            true => take(&value.array, &UInt32Array::from_value(0, rows), None).map_err(|error| error.to_string()),
            false => Ok(Arc::clone(&value.array)),
        };
        let columns = arguments.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let row = StructArray::try_new(fields, columns, None).map_err(|error| format!("internal error: {error}"))?;
        Ok(Arc::new(row) as ArrayRef)
    };
    Ok(Binding::strict(types, result, kernel).with_nullness(Nullness::Impossible))
}

fn bind_item(_: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [of, index] = arguments else { return Err(Error::internal("an item takes a value and an index")) };
    match of.flink {
        FlinkType::Array(element) => {
            if !index.flink.is_integer() && index.flink != FlinkType::Null {
                return Err(Error::statement(format!("an array is indexed by an INT, not {}", index.flink))
                    .help("the first item is a[1]"));
            }
            if let Some(ScalarValue::Int32(Some(number))) = index.literal
                && number < 1
            {
                return Err(Error::statement(format!("array items are counted from 1, so there is no item {number}"))
                    .help("the first item is a[1]"));
            }
            let kernel = |arguments: &[Value], rows: usize| array_items(&arguments[0], &arguments[1], rows);
            Ok(Binding::strict(vec![of.flink, FlinkType::BigInt], element.flink, kernel)
                .with_nullness(Nullness::Possible))
        }
        FlinkType::Map(map) => {
            if !is_same_family(map.key, index.flink) {
                return Err(Error::statement(format!("the keys of the map are {}, not {}", map.key, index.flink))
                    .help(format!("CAST the key to {}", map.key)));
            }
            let kernel = |arguments: &[Value], rows: usize| map_items(&arguments[0], &arguments[1], rows);
            Ok(Binding::strict(vec![of.flink, map.key], map.value.flink, kernel).with_nullness(Nullness::Possible))
        }
        other => Err(Error::statement(format!("{other} has no items"))
            .help("a[1] is an item of an ARRAY, m['k'] a value of a MAP; r.f is a field of a ROW")),
    }
}

/// Whether a key of one type may be looked up by a value of the other.
fn is_same_family(key: FlinkType, by: FlinkType) -> bool {
    key == by || (key.is_string() && by.is_string()) || (key.is_numeric() && by.is_numeric()) || by == FlinkType::Null
}

fn array_items(array: &Value, index: &Value, rows: usize) -> Result<ArrayRef, String> {
    let lists = array.array.as_list::<i32>();
    let indexes = Numbers::<Int64Type>::of(index);
    let places = (0..rows).map(|row| {
        let (list, index) = (row * array.stride(), indexes.get(row)?);
        let length = i64::from(lists.value_length(list));
        let is_there = !lists.is_null(list) && (1..=length).contains(&index);
        is_there.then(|| (i64::from(lists.value_offsets()[list]) + index - 1) as u32)
    });
    take(lists.values(), &places.collect::<UInt32Array>(), None).map_err(|error| error.to_string())
}

fn map_items(map: &Value, key: &Value, rows: usize) -> Result<ArrayRef, String> {
    let maps = map.array.as_map();
    let (known, wanted) = Encoded::pair(maps.keys(), &key.array)?;
    let places = (0..rows).map(|row| {
        let at = row * map.stride();
        if maps.is_null(at) || key.is_null(row) {
            return None;
        }
        let wanted = wanted.row(row * key.stride());
        let range = maps.value_offsets()[at] as usize..maps.value_offsets()[at + 1] as usize;
        range.into_iter().find(|place| known.row(*place) == wanted).map(|place| place as u32)
    });
    take(maps.values(), &places.collect::<UInt32Array>(), None).map_err(|error| error.to_string())
}

fn bind_field(_: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let [of, name] = arguments else { return Err(Error::internal("a field takes a row and a name")) };
    let name = name.literal.as_ref().and_then(|name| name.try_as_str().flatten()).unwrap_or_default();
    let FlinkType::Row(row) = of.flink else {
        return Err(Error::statement(format!("{} has no field `{name}`", of.flink)).help("r.f is a field of a ROW"));
    };
    let Some(index) = row.fields.iter().position(|field| field.name == name) else {
        let error = Error::statement(format!("the row has no field `{name}`"));
        let names: Vec<&str> = row.fields.iter().map(|field| field.name.as_str()).collect();
        return Err(match nearest(name, names.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!("it is {}", of.flink)),
        });
    };
    let result = row.fields[index].value.flink;
    let kernel = move |arguments: &[Value], _: usize| {
        let rows = arguments[0].array.as_struct_opt().ok_or("internal error: no column of rows")?;
        field_of(rows, index)
    };
    Ok(Binding::strict(vec![of.flink, FlinkType::STRING], result, kernel).with_nullness(Nullness::Possible))
}
