//! Values of any type as bytes: equal exactly where the values are equal in SQL.
//!
//! −0.0 is 0.0, every NaN is one, NULL equals NULL, and a map is the set of its entries, in whatever order it has them.
//! Arrow's row format does the rest.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BinaryViewArray, StructArray, UInt32Array, new_null_array};
use arrow_row::{Row, RowConverter, Rows, SortField};
use arrow_schema::DataType;
use arrow_select::take::take;

use super::entries::{Entries, fields_of};
use crate::sql::types::FlinkType;

/// A column's values as bytes.
#[derive(Debug)]
pub(crate) struct Encoded {
    rows: Rows,
}

impl Encoded {
    /// One column.
    ///
    /// # Errors
    /// If Arrow has no row format for its type.
    pub fn of(array: &ArrayRef) -> Result<Self, String> {
        let converter = converter(array.data_type())?;
        Ok(Self { rows: encode(&converter, array)? })
    }

    /// Two columns of one type, whose values can be compared with each other.
    ///
    /// # Errors
    /// If Arrow has no row format for the type.
    pub fn pair(left: &ArrayRef, right: &ArrayRef) -> Result<(Self, Self), String> {
        let converter = converter(left.data_type())?;
        Ok((Self { rows: encode(&converter, left)? }, Self { rows: encode(&converter, right)? }))
    }

    /// The bytes of a row; of NULL, too.
    pub fn row(&self, row: usize) -> Row<'_> {
        self.rows.row(row)
    }
}

fn converter(data_type: &DataType) -> Result<RowConverter, String> {
    RowConverter::new(vec![SortField::new(data_type.clone())]).map_err(|error| format!("internal error: {error}"))
}

fn encode(converter: &RowConverter, array: &ArrayRef) -> Result<Rows, String> {
    converter.convert_columns(&[canonical(array)?]).map_err(|error| format!("internal error: {error}"))
}

/// The column with one value for all that are equal.
pub(crate) fn canonical(array: &ArrayRef) -> Result<ArrayRef, String> {
    let flink = || FlinkType::from_arrow(array.data_type()).map_err(|error| error.message);
    Ok(match array.data_type() {
        // Adding 0.0 makes 0.0 of −0.0.
        DataType::Float32 => Arc::new(
            array
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v + 0.0 }),
        ),
        DataType::Float64 => Arc::new(
            array
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v + 0.0 }),
        ),
        DataType::List(_) => {
            let mut entries = Entries::of(array)?;
            entries.values = canonical(&entries.values)?;
            entries.into_array(flink()?)?
        }
        DataType::Map(..) => {
            let mut entries = Entries::of(array)?;
            let sorted = sorted_by_key(&entries)?;
            let pairs = sorted.as_struct();
            let columns = pairs.columns().iter().map(canonical).collect::<Result<_, _>>()?;
            entries.values = rebuilt(pairs, columns)?;
            entries.into_array(flink()?)?
        }
        DataType::Struct(_) => {
            let columns = fields_of(array)?.iter().map(canonical).collect::<Result<_, _>>()?;
            rebuilt(array.as_struct(), columns)?
        }
        _ => Arc::clone(array),
    })
}

fn rebuilt(like: &StructArray, columns: Vec<ArrayRef>) -> Result<ArrayRef, String> {
    let row = StructArray::try_new(like.fields().clone(), columns, like.nulls().cloned());
    Ok(Arc::new(row.map_err(|error| format!("internal error: {error}"))?))
}

/// The entries of maps, within each map in the order of their keys.
fn sorted_by_key(entries: &Entries) -> Result<ArrayRef, String> {
    let keys = Encoded::of(entries.values.as_struct().column(0))?;
    let mut places: Vec<u32> = (0..entries.values.len() as u32).collect();
    for row in 0..entries.len() {
        places[entries.range(row)].sort_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
    }
    take(&entries.values, &UInt32Array::from(places), None).map_err(|error| error.to_string())
}

/// The column as bytes, which are equal where its values are; NULL stays NULL.
pub(crate) fn to_bytes(array: &ArrayRef) -> Result<ArrayRef, String> {
    let encoded = Encoded::of(array)?;
    let nulls = array.logical_nulls();
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let bytes = (0..array.len()).map(|row| (!is_null(row)).then(|| encoded.rows.row(row).data().to_vec()));
    Ok(Arc::new(bytes.collect::<BinaryViewArray>()))
}

/// The values whose bytes [`to_bytes`] made.
pub(crate) fn from_bytes(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, String> {
    let converter = converter(data_type)?;
    let failed = |error: arrow_schema::ArrowError| format!("internal error: {error}");
    let null = encode(&converter, &new_null_array(data_type, 1))?;
    let parser = converter.parser();
    let bytes = array.as_binary_view();
    let rows = bytes.iter().map(|bytes| match bytes {
        Some(bytes) => parser.parse(bytes),
        None => null.row(0),
    });
    let columns = converter.convert_rows(rows).map_err(failed)?;
    columns.into_iter().next().ok_or_else(|| "internal error: no column".to_owned())
}
