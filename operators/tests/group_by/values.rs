//! Values of all types that keys and arguments have, and arrays of them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::{DataType, TimeUnit};

/// A value as the oracle sees it.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Value {
    Null,
    /// Booleans, integers, dates, times and unscaled decimals.
    Integer(i128),
    Double(f64),
    Bytes(Vec<u8>),
}

impl Value {
    /// Equal texts mean values that SQL groups together.
    pub fn text(&self) -> String {
        match self {
            Self::Double(value) if value.is_nan() => "NaN".to_owned(),
            Self::Double(value) => format!("{:?}", value + 0.0),
            other => format!("{other:?}"),
        }
    }

    /// NaN is above all numbers.
    pub fn is_below(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Double(a), Self::Double(b)) => a < b || (b.is_nan() && !a.is_nan()),
            _ => self < other,
        }
    }

    pub fn double(&self, scale: i32) -> f64 {
        match self {
            Self::Integer(value) => *value as f64 / 10f64.powi(scale),
            Self::Double(value) => *value,
            other => panic!("{other:?} is no number"),
        }
    }

    pub fn integer(&self) -> i128 {
        match self {
            Self::Integer(value) => *value,
            other => panic!("{other:?} is no integer"),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(value) => value,
            other => panic!("{other:?} is no string"),
        }
    }
}

pub fn types() -> Vec<DataType> {
    use DataType as T;
    vec![
        T::Int64,
        T::Utf8View,
        T::Float64,
        T::Decimal128(33, 3),
        T::Int8,
        T::Int16,
        T::Int32,
        T::Float32,
        T::BinaryView,
        T::Boolean,
        T::Date32,
        T::Time32(TimeUnit::Second),
        T::Time32(TimeUnit::Millisecond),
        T::Time64(TimeUnit::Microsecond),
        T::Time64(TimeUnit::Nanosecond),
        T::Timestamp(TimeUnit::Second, None),
        T::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        T::Timestamp(TimeUnit::Microsecond, None),
        T::Timestamp(TimeUnit::Nanosecond, None),
    ]
}

/// The `choice`-th value of a type: NULL, ordinary ones and those at the edges.
pub fn pick(data_type: &DataType, choice: usize) -> Value {
    use DataType as T;
    if choice.is_multiple_of(7) {
        return Value::Null;
    }
    let integer = |(least, greatest): (i128, i128)| [0, 1, -1, least, greatest, 2, 7, -8, 100][choice % 9];
    Value::Integer(match data_type {
        T::Int8 => integer((i8::MIN.into(), i8::MAX.into())),
        T::Int16 => integer((i16::MIN.into(), i16::MAX.into())),
        T::Int32 | T::Date32 | T::Time32(_) => integer((i32::MIN.into(), i32::MAX.into())),
        T::Int64 | T::Time64(_) | T::Timestamp(..) => integer((i64::MIN.into(), i64::MAX.into())),
        T::Decimal128(precision, _) => {
            let greatest = 10i128.pow((*precision).into()) - 1;
            integer((-greatest, greatest))
        }
        T::Boolean => i128::from(choice.is_multiple_of(2)),
        T::Float32 | T::Float64 => {
            let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -f64::NAN];
            let ordinary = [0.0, -0.0, 0.25, -0.5, 3.0, -1024.0, 0.75, 100.5, 2.0, 8.0, 16.0];
            // Special values are rare, or every sum would be NaN.
            return Value::Double(match choice {
                200.. => special[choice % 4],
                _ => ordinary[choice % 11],
            });
        }
        _ => {
            let texts = [
                "",
                "a",
                "b",
                "ab",
                "twelve bytes",
                "thirteen byte",
                "thirteen byts",
                "a much longer string, one",
                "a much longer string, two",
                "a mucH longer string, two",
                "\0",
                "é",
                "a\0",
            ];
            return Value::Bytes(texts[choice % texts.len()].into());
        }
    })
}

/// An array of `data_type` with these values.
pub fn array(data_type: &DataType, values: &[Value]) -> ArrayRef {
    use DataType as T;
    let numbers = || values.iter().map(|v| if let Value::Null = v { None } else { Some(v.integer()) });
    let bytes = || values.iter().map(|v| if let Value::Null = v { None } else { Some(v.bytes()) });
    let doubles = || values.iter().map(|v| if let Value::Null = v { None } else { Some(v.double(0)) });
    fn of<T: ArrowPrimitiveType>(values: impl Iterator<Item = Option<T::Native>>, data_type: &DataType) -> ArrayRef {
        Arc::new(values.collect::<PrimitiveArray<T>>().with_data_type(data_type.clone()))
    }
    let as_i32 = || numbers().map(|v| v.map(|v| v as i32));
    let as_i64 = || numbers().map(|v| v.map(|v| v as i64));
    match data_type {
        T::Boolean => Arc::new(numbers().map(|v| v.map(|v| v != 0)).collect::<BooleanArray>()),
        T::Utf8View => {
            Arc::new(bytes().map(|v| v.map(|v| str::from_utf8(v).expect("texts"))).collect::<StringViewArray>())
        }
        T::BinaryView => Arc::new(bytes().collect::<BinaryViewArray>()),
        T::Float32 => of::<Float32Type>(doubles().map(|v| v.map(|v| v as f32)), data_type),
        T::Float64 => of::<Float64Type>(doubles(), data_type),
        T::Decimal128(..) => of::<Decimal128Type>(numbers(), data_type),
        T::Int8 => of::<Int8Type>(numbers().map(|v| v.map(|v| v as i8)), data_type),
        T::Int16 => of::<Int16Type>(numbers().map(|v| v.map(|v| v as i16)), data_type),
        T::Int32 => of::<Int32Type>(as_i32(), data_type),
        T::Int64 => of::<Int64Type>(as_i64(), data_type),
        T::Date32 => of::<Date32Type>(as_i32(), data_type),
        T::Time32(TimeUnit::Second) => of::<Time32SecondType>(as_i32(), data_type),
        T::Time32(_) => of::<Time32MillisecondType>(as_i32(), data_type),
        T::Time64(TimeUnit::Microsecond) => of::<Time64MicrosecondType>(as_i64(), data_type),
        T::Time64(_) => of::<Time64NanosecondType>(as_i64(), data_type),
        T::Timestamp(TimeUnit::Second, _) => of::<TimestampSecondType>(as_i64(), data_type),
        T::Timestamp(TimeUnit::Millisecond, _) => of::<TimestampMillisecondType>(as_i64(), data_type),
        T::Timestamp(TimeUnit::Microsecond, _) => of::<TimestampMicrosecondType>(as_i64(), data_type),
        T::Timestamp(TimeUnit::Nanosecond, _) => of::<TimestampNanosecondType>(as_i64(), data_type),
        other => panic!("no values of {other}"),
    }
}

/// The values of an array.
pub fn values(array: &ArrayRef) -> Vec<Value> {
    use DataType as T;
    let value = |row: usize| match array.data_type() {
        T::Utf8View => Value::Bytes(array.as_string_view().value(row).into()),
        T::BinaryView => Value::Bytes(array.as_binary_view().value(row).into()),
        T::Float32 => Value::Double(array.as_primitive::<Float32Type>().value(row).into()),
        T::Float64 => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        T::Boolean => Value::Integer(array.as_boolean().value(row).into()),
        T::Decimal128(..) => Value::Integer(array.as_primitive::<Decimal128Type>().value(row)),
        T::Int8 => Value::Integer(array.as_primitive::<Int8Type>().value(row).into()),
        T::Int16 => Value::Integer(array.as_primitive::<Int16Type>().value(row).into()),
        T::Int32 => Value::Integer(array.as_primitive::<Int32Type>().value(row).into()),
        T::Int64 => Value::Integer(array.as_primitive::<Int64Type>().value(row).into()),
        T::Date32 => Value::Integer(array.as_primitive::<Date32Type>().value(row).into()),
        T::Time32(TimeUnit::Second) => Value::Integer(array.as_primitive::<Time32SecondType>().value(row).into()),
        T::Time32(_) => Value::Integer(array.as_primitive::<Time32MillisecondType>().value(row).into()),
        T::Time64(TimeUnit::Microsecond) => {
            Value::Integer(array.as_primitive::<Time64MicrosecondType>().value(row).into())
        }
        T::Time64(_) => Value::Integer(array.as_primitive::<Time64NanosecondType>().value(row).into()),
        T::Timestamp(unit, _) => Value::Integer(match unit {
            TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row).into(),
            TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row).into(),
            TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row).into(),
            TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row).into(),
        }),
        other => panic!("no values of {other}"),
    };
    (0..array.len()).map(|row| if array.is_null(row) { Value::Null } else { value(row) }).collect()
}
