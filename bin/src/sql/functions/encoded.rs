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
use datafusion_expr::Expr;
use datafusion_expr::expr::ScalarFunction;

use super::binding::{Binding, Bound, Form, Value};
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
            entries.into_array_of(array.data_type())?
        }
        DataType::Map(..) => {
            let mut entries = Entries::of(array)?;
            let sorted = sorted_by_key(&entries)?;
            let pairs = sorted.as_struct();
            let columns = pairs.columns().iter().map(canonical).collect::<Result<_, _>>()?;
            entries.values = rebuilt(pairs, columns)?;
            entries.into_array_of(array.data_type())?
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

/// How values become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// To be compared: the bytes are equal where the values are.
    Key,
    /// To be kept: what comes back is what went in, to the bit.
    Value,
}

/// A value of type `flink` as BYTES, for operators that know no nested values; NULL stays NULL.
pub(crate) fn packed(value: Expr, flink: FlinkType, purpose: Purpose) -> Expr {
    let kernel = move |arguments: &[Value], _: usize| to_bytes(&arguments[0].array, purpose);
    let name = if purpose == Purpose::Key { "$KEY" } else { "$PACK" };
    let function = Bound::udf(name, Form::Implicit, Binding::strict(vec![flink], FlinkType::BYTES, kernel));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![value]))
}

/// The value of type `flink` whose bytes [`packed`] made.
pub(crate) fn unpacked(bytes: Expr, flink: FlinkType) -> Expr {
    let kernel = move |arguments: &[Value], _: usize| from_bytes(&arguments[0].array, &flink.to_arrow());
    let function = Bound::udf("$UNPACK", Form::Implicit, Binding::strict(vec![FlinkType::BYTES], flink, kernel));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![bytes]))
}

fn to_bytes(array: &ArrayRef, purpose: Purpose) -> Result<ArrayRef, String> {
    let encoded = match purpose {
        Purpose::Key => Encoded::of(array)?,
        Purpose::Value => {
            let rows = converter(array.data_type())?.convert_columns(&[Arc::clone(array)]);
            Encoded { rows: rows.map_err(|error| format!("internal error: {error}"))? }
        }
    };
    let nulls = array.logical_nulls();
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let bytes = (0..array.len()).map(|row| (!is_null(row)).then(|| encoded.rows.row(row).data().to_vec()));
    Ok(Arc::new(bytes.collect::<BinaryViewArray>()))
}

fn from_bytes(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, String> {
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

#[cfg(test)]
mod tests {
    use arrow_array::builder::{
        Float64Builder, Int32Builder, ListBuilder, MapBuilder, MapFieldNames, StringViewBuilder,
    };

    use super::*;

    type Row<'a> = (&'a [(&'a str, i32)], Option<&'a [Option<f64>]>);

    /// Maps with string keys, and lists of numbers, as a column of rows.
    fn column(rows: &[Row<'_>]) -> ArrayRef {
        let [entry, key, value] = ["entries", "key", "value"].map(str::to_owned);
        let names = MapFieldNames { entry, key, value };
        let mut maps = MapBuilder::new(Some(names), StringViewBuilder::new(), Int32Builder::new());
        let mut lists = ListBuilder::new(Float64Builder::new());
        for (entries, list) in rows {
            for (key, value) in *entries {
                maps.keys().append_value(key);
                maps.values().append_value(*value);
            }
            maps.append(true).unwrap();
            match list {
                Some(values) => lists.append_value(values.iter().copied()),
                None => lists.append_null(),
            }
        }
        let [maps, lists]: [ArrayRef; 2] = [Arc::new(maps.finish()), Arc::new(lists.finish())];
        let flink = FlinkType::row([
            ("m".to_owned(), FlinkType::map(FlinkType::STRING, FlinkType::Int)),
            ("l".to_owned(), FlinkType::array(FlinkType::Double)),
        ]);
        let columns = [maps, lists].into_iter().zip(match flink {
            FlinkType::Row(row) => row.fields.iter(),
            _ => unreachable!("it is a row"),
        });
        let columns = columns.map(|(array, field)| Entries::of(&array).unwrap().into_array(field.value.flink).unwrap());
        let DataType::Struct(fields) = flink.to_arrow() else { unreachable!("it is a row") };
        Arc::new(StructArray::new(fields, columns.collect(), None))
    }

    #[test]
    fn equal_values_have_equal_bytes_and_others_have_others() {
        let left = column(&[
            (&[("a", 1), ("b", 2)], Some(&[Some(0.0), None])),
            (&[], Some(&[Some(f64::NAN)])),
            (&[("a", 1)], None),
            (&[("a", 1)], Some(&[])),
        ]);
        let right = column(&[
            (&[("b", 2), ("a", 1)], Some(&[Some(-0.0), None])),
            (&[], Some(&[Some(-f64::NAN)])),
            (&[("a", 1)], None),
            (&[("a", 1)], Some(&[None])),
        ]);
        let (lefts, rights) = Encoded::pair(&left, &right).unwrap();
        let equal: Vec<Vec<bool>> = (0..4).map(|l| (0..4).map(|r| lefts.row(l) == rights.row(r)).collect()).collect();
        let expected = [
            [true, false, false, false],
            [false, true, false, false],
            [false, false, true, false],
            [false, false, false, false],
        ];
        assert_eq!(equal, expected);
        // A slice is encoded as the rows that it has.
        let (whole, part) = Encoded::pair(&left, &left.slice(1, 3)).unwrap();
        assert!((0..3).all(|row| whole.row(row + 1) == part.row(row)));
    }

    #[test]
    fn bytes_give_the_values_back_and_null_stays_null() {
        let whole = column(&[
            (&[("b", 2), ("a", 1)], Some(&[Some(-0.0), None])),
            (&[], None),
            (&[("a string that is longer than its view", -1)], Some(&[Some(1.5)])),
        ]);
        for array in [Arc::clone(&whole), whole.slice(1, 2), whole.slice(0, 0)] {
            let bytes = to_bytes(&array, Purpose::Value).unwrap();
            assert_eq!(&from_bytes(&bytes, array.data_type()).unwrap(), &array);
        }
        let row = whole.as_struct();
        let nulls = Some(arrow_buffer::NullBuffer::from(vec![true, false, true]));
        let with_null: ArrayRef = Arc::new(StructArray::new(row.fields().clone(), row.columns().to_vec(), nulls));
        let bytes = to_bytes(&with_null, Purpose::Key).unwrap();
        assert!(bytes.is_null(1) && bytes.is_valid(0));
        let back = from_bytes(&bytes, with_null.data_type()).unwrap();
        assert_eq!(back.nulls(), with_null.nulls());
    }
}
