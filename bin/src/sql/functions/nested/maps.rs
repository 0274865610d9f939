//! Functions of maps: MAP_KEYS, MAP_VALUES, MAP_ENTRIES, MAP_FROM_ARRAYS, MAP_UNION, STR_TO_MAP.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringViewArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use datafusion_expr::ScalarUDF;

use super::lists::{Lists, common, element, expect};
use super::map_of;
use crate::error::{Error, Result};
use crate::sql::functions::binding::{Argument, Binding, Declared, Form, Value};
use crate::sql::functions::columns::{Strings, nulls_of};
use crate::sql::functions::entries::Entries;
use crate::sql::types::{FlinkType, MapType, RowField, TypeWithin};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let call = |name, bind| Declared::udf(name, Form::Call, bind);
    vec![
        call("MAP_KEYS", bind_part),
        call("MAP_VALUES", bind_part),
        call("MAP_ENTRIES", bind_entries),
        call("MAP_FROM_ARRAYS", bind_from_arrays),
        call("MAP_UNION", bind_union),
        call("STR_TO_MAP", bind_str_to_map),
    ]
}

fn map_type(name: &str, usage: &str, arguments: &[Argument], place: usize) -> Result<&'static MapType> {
    match arguments.get(place).map(|argument| argument.flink) {
        Some(FlinkType::Map(map)) => Ok(map),
        Some(other) => {
            Err(Error::statement(format!("argument {} of {name} is a MAP, not {other}", place + 1)).help(usage))
        }
        None => Err(Error::internal(format!("{name} has no argument {}", place + 1))),
    }
}

fn bind_part(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = format!("{name}(map)");
    expect(name, &usage, arguments, 1..2)?;
    let map = map_type(name, &usage, arguments, 0)?;
    let (part, of) = match name {
        "MAP_KEYS" => (0, TypeWithin { flink: map.key, is_nullable: false }),
        _ => (1, map.value),
    };
    let result = FlinkType::array_of(of);
    let kernel = move |arguments: &[Value], _: usize| {
        let Entries { values, offsets, nulls } = Entries::of(&arguments[0].array)?;
        let values = Arc::clone(values.as_struct().column(part));
        Entries { values, offsets, nulls }.into_array(result)
    };
    Ok(Binding::strict(vec![arguments[0].flink], result, kernel))
}

fn bind_entries(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "MAP_ENTRIES(map)";
    expect(name, usage, arguments, 1..2)?;
    let map = map_type(name, usage, arguments, 0)?;
    let key = RowField { name: "key".to_owned(), value: TypeWithin { flink: map.key, is_nullable: false } };
    let value = RowField { name: "value".to_owned(), value: map.value };
    let row = FlinkType::row_of(vec![key, value]);
    let result = FlinkType::array_of(TypeWithin { flink: row, is_nullable: false });
    let kernel = move |arguments: &[Value], _: usize| {
        let Entries { values, offsets, nulls } = Entries::of(&arguments[0].array)?;
        let DataType::Struct(fields) = row.to_arrow() else { return Err("internal error: no row".to_owned()) };
        let pairs = StructArray::try_new(fields, values.as_struct().columns().to_vec(), None);
        let values: ArrayRef = Arc::new(pairs.map_err(|error| format!("internal error: {error}"))?);
        Entries { values, offsets, nulls }.into_array(result)
    };
    Ok(Binding::strict(vec![arguments[0].flink], result, kernel))
}

fn bind_from_arrays(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "MAP_FROM_ARRAYS(keys, values)";
    expect(name, usage, arguments, 2..3)?;
    let (key, value) = (element(name, usage, arguments, 0)?, element(name, usage, arguments, 1)?);
    let result = FlinkType::map(key, value);
    let kernel = move |arguments: &[Value], rows: usize| {
        let (keys, values) = (Lists::of(&arguments[0])?, Lists::of(&arguments[1])?);
        let mut lengths = Vec::with_capacity(rows);
        let (mut key_places, mut value_places) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let Some((of_keys, of_values)) = keys.get(row).zip(values.get(row)) else {
                lengths.push(0);
                continue;
            };
            if of_keys.len() != of_values.len() {
                return Err(format!("a map of {} keys and {} values", of_keys.len(), of_values.len()));
            }
            lengths.push(of_keys.len());
            key_places.extend(of_keys.map(|place| (0, place)));
            value_places.extend(of_values.map(|place| (0, place)));
        }
        let gathered = |lists: &Lists, places: &[(usize, usize)]| {
            interleave(&[lists.values().as_ref()], places).map_err(|error| error.to_string())
        };
        let (keys, values) = (gathered(&keys, &key_places)?, gathered(&values, &value_places)?);
        map_of(result, &keys, &values, &OffsetBuffer::from_lengths(lengths), nulls_of(arguments, rows))
    };
    Ok(Binding::strict(arguments.iter().map(|argument| argument.flink).collect(), result, kernel))
}

fn bind_union(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "MAP_UNION(map, map)";
    expect(name, usage, arguments, 1..usize::MAX)?;
    let maps = (0..arguments.len()).map(|place| map_type(name, usage, arguments, place));
    let maps = maps.collect::<Result<Vec<_>>>()?;
    let key = common(name, &maps.iter().map(|map| map.key).collect::<Vec<_>>())?;
    let value = common(name, &maps.iter().map(|map| map.value.flink).collect::<Vec<_>>())?;
    let result = FlinkType::map(key, value);
    let kernel = move |arguments: &[Value], rows: usize| {
        let maps = arguments.iter().map(Lists::of).collect::<Result<Vec<_>, _>>()?;
        let mut lengths = Vec::with_capacity(rows);
        let mut places = Vec::new();
        for row in 0..rows {
            let before = places.len();
            if let Some(ranges) = maps.iter().map(|map| map.get(row)).collect::<Option<Vec<_>>>() {
                let of_map = |(source, range): (usize, std::ops::Range<usize>)| range.map(move |place| (source, place));
                places.extend(ranges.into_iter().enumerate().flat_map(of_map));
            }
            lengths.push(places.len() - before);
        }
        let part = |index: usize| {
            let columns: Vec<&dyn Array> =
                maps.iter().map(|map| map.values().as_struct().column(index).as_ref()).collect();
            interleave(&columns, &places).map_err(|error| error.to_string())
        };
        map_of(result, &part(0)?, &part(1)?, &OffsetBuffer::from_lengths(lengths), nulls_of(arguments, rows))
    };
    Ok(Binding::strict(vec![result; arguments.len()], result, kernel))
}

fn bind_str_to_map(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "STR_TO_MAP(string, pair_delimiter, key_value_delimiter)";
    expect(name, usage, arguments, 1..4)?;
    if let Some(argument) = arguments.iter().find(|it| !it.flink.is_string() && it.flink != FlinkType::Null) {
        return Err(Error::statement(format!("{name} takes strings, not {}", argument.flink)).help(usage));
    }
    let result = FlinkType::map(FlinkType::STRING, FlinkType::STRING);
    let kernel = move |arguments: &[Value], rows: usize| {
        let texts: Vec<Strings<'_>> = arguments.iter().map(Strings::of).collect();
        let mut lengths = Vec::with_capacity(rows);
        let (mut keys, mut values): (Vec<&str>, Vec<Option<&str>>) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let before = keys.len();
            let delimiter = |place: usize, default: &'static str| match texts.get(place) {
                Some(texts) => texts.get(row),
                None => Some(default),
            };
            if let (Some(text), Some(of_pairs), Some(of_key)) =
                (texts[0].get(row), delimiter(1, ","), delimiter(2, "="))
            {
                if of_pairs.is_empty() || of_key.is_empty() {
                    return Err("STR_TO_MAP with an empty delimiter".to_owned());
                }
                for pair in text.split(of_pairs).filter(|_| !text.is_empty()) {
                    let (key, value) = pair.split_once(of_key).map_or((pair, None), |(key, value)| (key, Some(value)));
                    keys.push(key);
                    values.push(value);
                }
            }
            lengths.push(keys.len() - before);
        }
        let keys: ArrayRef = Arc::new(StringViewArray::from_iter_values(keys));
        let values: ArrayRef = Arc::new(values.into_iter().collect::<StringViewArray>());
        let nulls: Option<NullBuffer> = nulls_of(arguments, rows);
        map_of(result, &keys, &values, &OffsetBuffer::from_lengths(lengths), nulls)
    };
    Ok(Binding::strict(vec![FlinkType::STRING; arguments.len()], result, kernel))
}
