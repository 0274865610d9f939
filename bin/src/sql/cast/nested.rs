//! Casts between arrays, between maps and between rows: value by value, rows field by field in order.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Fields};
use arrow_select::concat::concat;

use super::{OnFailure, convert};
use crate::sql::functions::binding::Value;
use crate::sql::functions::columns::all_null;
use crate::sql::functions::entries::{Entries, fields_of};
use crate::sql::types::{FlinkType, TypeWithin};

/// The column in another nested type. TRY_CAST is NULL as a whole where one value within has no counterpart.
pub(super) fn to_nested(
    array: &ArrayRef,
    from: FlinkType,
    to: FlinkType,
    on_failure: OnFailure,
) -> Result<ArrayRef, String> {
    let whole = recast(array, from, to);
    if whole.is_ok() || on_failure == OnFailure::Error {
        return whole;
    }
    let rows: Vec<ArrayRef> = (0..array.len())
        .map(|row| recast(&array.slice(row, 1), from, to).unwrap_or_else(|_| all_null(to, 1)))
        .collect();
    let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    concat(&rows).map_err(|error| error.to_string())
}

fn recast(array: &ArrayRef, from: FlinkType, to: FlinkType) -> Result<ArrayRef, String> {
    match (from, to) {
        (FlinkType::Array(from), FlinkType::Array(target)) => {
            let mut entries = Entries::of(array)?;
            entries.values = within(&entries.values, None, *from, *target)?;
            entries.into_array(to)
        }
        (FlinkType::Map(from), FlinkType::Map(target)) => {
            let mut entries = Entries::of(array)?;
            let columns = entries.values.as_struct().columns();
            let not_null = |flink| TypeWithin { flink, is_nullable: false };
            let keys = within(&columns[0], None, not_null(from.key), not_null(target.key))?;
            let values = within(&columns[1], None, from.value, target.value)?;
            entries.values = Arc::new(pairs(to, keys, values)?);
            entries.into_array(to)
        }
        (FlinkType::Row(from), FlinkType::Row(target)) => {
            let nulls = array.nulls();
            let columns = fields_of(array)?;
            let types = from.fields.iter().zip(&target.fields);
            let columns = columns.iter().zip(types);
            let columns = columns.map(|(column, (from, to))| within(column, nulls, from.value, to.value));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let DataType::Struct(fields) = to.to_arrow() else { return Err(format!("internal error: {to} is no row")) };
            let row = StructArray::try_new(fields, columns, nulls.cloned());
            Ok(Arc::new(row.map_err(|error| format!("internal error: {error}"))?))
        }
        _ => Err(format!("internal error: cast of {from} to {to}")),
    }
}

/// Entries for a map of type `flink`.
pub(crate) fn pairs(flink: FlinkType, keys: ArrayRef, values: ArrayRef) -> Result<StructArray, String> {
    let fields: Fields = match flink.to_arrow() {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.clone(),
            other => return Err(format!("internal error: a map of {other}")),
        },
        other => return Err(format!("internal error: {other} is no map")),
    };
    StructArray::try_new(fields, vec![keys, values], None).map_err(|error| format!("internal error: {error}"))
}

/// Values within a column whose own NULLs are `around`.
fn within(array: &ArrayRef, around: Option<&NullBuffer>, from: TypeWithin, to: TypeWithin) -> Result<ArrayRef, String> {
    let values = if from.flink == to.flink {
        Arc::clone(array)
    } else {
        convert(&Value::column(Arc::clone(array)), array.len(), from.flink, to.flink, OnFailure::Error)?
    };
    if !to.is_nullable
        && let Some(nulls) = values.logical_nulls()
        && (0..nulls.len()).any(|row| nulls.is_null(row) && around.is_none_or(|around| around.is_valid(row)))
    {
        return Err(format!("NULL is not a value of {to}"));
    }
    Ok(values)
}
