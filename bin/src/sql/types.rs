//! Flink's SQL types, and the Arrow types that carry their values.
//!
//! | Flink | Arrow |
//! | --- | --- |
//! | BOOLEAN, TINYINT … BIGINT, FLOAT, DOUBLE | `Boolean`, `Int8` … `Int64`, `Float32`, `Float64` |
//! | DECIMAL(p, s) | `Decimal128(p, s)` |
//! | CHAR(n), VARCHAR(n), STRING | `Utf8View` |
//! | BINARY(n), VARBINARY(n), BYTES | `BinaryView` |
//! | DATE, TIME(p) | `Date32`, `Time32(Millisecond)` with p ≤ 3 |
//! | TIMESTAMP(p), TIMESTAMP_LTZ(p) | `Timestamp` without a zone, with "UTC"; ms for p ≤ 3, µs for p ≤ 6, else ns |
//! | INTERVAL of years and months, of days and times | `Interval(YearMonth)`, `Duration(Millisecond)` |
//! | `ARRAY<t>`, `ROW<f t, …>` | `List` of a field "element", `Struct` |
//! | MAP<k, v> | `Map` of a field "entries": a `Struct` of "key", never NULL, and "value"; keys are not sorted |
//!
//! Arrow does not carry the length of a string, nor the precision of a time within its unit: an expression has the
//! widest type of its unit. [`FlinkType::to_field`] keeps the declared type in the field's metadata.

mod nested;
mod text;

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion_common::DataFusionError;
use datafusion_expr::planner::TypePlanner;
use sqlparser::ast::{self, BinaryLength, CharacterLength, ExactNumberInfo, TimezoneInfo};

use crate::error::{Error, Result};

pub(crate) use self::nested::NESTING_MAX;
pub use self::nested::{MapType, RowField, RowType, TypeWithin};

/// Greatest precision of a DECIMAL.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// Length of STRING, which is VARCHAR(2147483647), and of BYTES.
pub const LENGTH_MAX: u32 = i32::MAX as u32;

/// Metadata key under which a field keeps its declared type.
const TYPE_KEY: &str = "thalweg.type";

/// A type of Flink SQL, without nullability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlinkType {
    /// TRUE, FALSE.
    Boolean,
    /// 8 bits.
    TinyInt,
    /// 16 bits.
    SmallInt,
    /// 32 bits.
    Int,
    /// 64 bits.
    BigInt,
    /// 32-bit IEEE 754.
    Float,
    /// 64-bit IEEE 754.
    Double,
    /// Digits in all (1 to 38), and those after the point (0 to the first).
    Decimal(u8, u8),
    /// So many characters, padded with blanks.
    Char(u32),
    /// At most so many characters.
    VarChar(u32),
    /// So many bytes.
    Binary(u32),
    /// At most so many bytes.
    VarBinary(u32),
    /// Days since 1970-01-01.
    Date,
    /// Time of day, with so many digits of a second (0 to 3 here).
    Time(u8),
    /// Date and time on a wall, with so many digits of a second (0 to 9).
    Timestamp(u8),
    /// An instant, with so many digits of a second (0 to 9); shown in the session's time zone.
    TimestampLtz(u8),
    /// Months. In expressions only.
    IntervalYearMonth,
    /// Milliseconds. In expressions only.
    IntervalDayTime,
    /// Values of one type, in order.
    Array(&'static TypeWithin),
    /// Values by key.
    Map(&'static MapType),
    /// Named values of several types, in order.
    Row(&'static RowType),
    /// The type of a bare NULL.
    Null,
}

impl FlinkType {
    /// STRING.
    pub const STRING: Self = Self::VarChar(LENGTH_MAX);
    /// BYTES.
    pub const BYTES: Self = Self::VarBinary(LENGTH_MAX);

    /// The type that Flink understands by these words, with Flink's defaults: DECIMAL is DECIMAL(10, 0), TIMESTAMP is
    /// TIMESTAMP(6), CHAR is CHAR(1), and VARCHAR is as long as STRING.
    ///
    /// # Errors
    /// If Flink has no such type, or this version does not support it.
    pub fn from_ast(name: &ast::DataType) -> Result<Self> {
        use ast::DataType as T;
        let string = |length: &Option<u64>| match length {
            None => Ok(Self::STRING),
            Some(_) => Err(unknown(name).help("STRING takes no length: write VARCHAR(n)")),
        };
        match name {
            T::Boolean | T::Bool => Ok(Self::Boolean),
            T::TinyInt(None) => Ok(Self::TinyInt),
            T::SmallInt(None) => Ok(Self::SmallInt),
            T::Int(None) | T::Integer(None) => Ok(Self::Int),
            T::BigInt(None) => Ok(Self::BigInt),
            T::Float(ExactNumberInfo::None) | T::Real => Ok(Self::Float),
            T::Double(ExactNumberInfo::None) | T::DoublePrecision => Ok(Self::Double),
            T::Decimal(info) | T::Numeric(info) | T::Dec(info) => decimal_from_ast(info),
            T::Char(length) | T::Character(length) => Ok(Self::Char(characters(name, length.as_ref(), 1)?)),
            T::Varchar(length) | T::CharVarying(length) | T::CharacterVarying(length) => {
                Ok(Self::VarChar(characters(name, length.as_ref(), u64::from(LENGTH_MAX))?))
            }
            T::String(length) => string(length),
            T::Binary(length) => Ok(Self::Binary(length_in_range(name, length.unwrap_or(1))?)),
            T::Varbinary(None) => Ok(Self::BYTES),
            T::Varbinary(Some(BinaryLength::IntegerLength { length })) => {
                Ok(Self::VarBinary(length_in_range(name, *length)?))
            }
            T::Bytes(None) => Ok(Self::BYTES),
            T::Date => Ok(Self::Date),
            T::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                match fraction_digits("TIME", precision.unwrap_or(0))? {
                    digits @ 0..=3 => Ok(Self::Time(digits)),
                    digits => Err(Error::statement(format!(
                        "TIME({digits}) is not supported: times of day have milliseconds"
                    ))
                    .help("use TIME(3) or less")),
                }
            }
            T::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                Ok(Self::Timestamp(fraction_digits("TIMESTAMP", precision.unwrap_or(6))?))
            }
            T::Timestamp(..) => Err(Error::statement("TIMESTAMP WITH TIME ZONE is not supported, nor is it in Flink")
                .help("use TIMESTAMP_LTZ(3), an instant, or TIMESTAMP(3)")),
            T::Custom(custom, arguments) => from_custom(name, &custom.to_string(), arguments),
            T::Text | T::Int2(_) | T::Int4(_) | T::Int8(_) | T::Float4 | T::Float8 | T::Datetime(_) => {
                Err(unknown(name)
                    .help("Flink's names are STRING, SMALLINT, INT, BIGINT, FLOAT, DOUBLE and TIMESTAMP(3)"))
            }
            T::Array(_) | T::Map(..) | T::Struct(..) => nested::from_ast(name),
            _ => Err(unknown(name)),
        }
    }

    /// The Arrow type of a column of this type.
    #[must_use]
    pub fn to_arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale as i8),
            Self::Char(_) | Self::VarChar(_) => DataType::Utf8View,
            Self::Binary(_) | Self::VarBinary(_) => DataType::BinaryView,
            Self::Date => DataType::Date32,
            Self::Time(_) => DataType::Time32(TimeUnit::Millisecond),
            Self::Timestamp(digits) => DataType::Timestamp(unit_of(digits), None),
            Self::TimestampLtz(digits) => DataType::Timestamp(unit_of(digits), Some("UTC".into())),
            Self::IntervalYearMonth => DataType::Interval(IntervalUnit::YearMonth),
            Self::IntervalDayTime => DataType::Duration(TimeUnit::Millisecond),
            Self::Array(element) => nested::array_to_arrow(element),
            Self::Map(map) => nested::map_to_arrow(map),
            Self::Row(fields) => nested::row_to_arrow(fields),
            Self::Null => DataType::Null,
        }
    }

    /// The widest type whose values such a column can hold.
    ///
    /// # Errors
    /// If no type of Flink has such values.
    pub fn from_arrow(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::TinyInt,
            DataType::Int16 => Self::SmallInt,
            DataType::Int32 => Self::Int,
            DataType::Int64 => Self::BigInt,
            DataType::UInt64 => Self::Decimal(20, 0),
            DataType::Float32 => Self::Float,
            DataType::Float64 => Self::Double,
            DataType::Decimal128(precision, scale) if (0..=*precision as i8).contains(scale) => {
                Self::Decimal(*precision, *scale as u8)
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::STRING,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::BYTES,
            DataType::Date32 => Self::Date,
            DataType::Time32(TimeUnit::Millisecond) => Self::Time(3),
            DataType::Timestamp(unit, zone) => {
                let digits = match unit {
                    TimeUnit::Second => 0,
                    TimeUnit::Millisecond => 3,
                    TimeUnit::Microsecond => 6,
                    TimeUnit::Nanosecond => 9,
                };
                if zone.is_some() { Self::TimestampLtz(digits) } else { Self::Timestamp(digits) }
            }
            DataType::Interval(IntervalUnit::YearMonth) => Self::IntervalYearMonth,
            DataType::Interval(IntervalUnit::MonthDayNano) | DataType::Duration(_) => Self::IntervalDayTime,
            DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => nested::from_arrow(data_type)?,
            DataType::Null => Self::Null,
            other => {
                return Err(Error::statement(format!("values of the Arrow type {other} have no type in Flink SQL")));
            }
        })
    }

    /// A field of this type that remembers it to the letter, lengths and precision included.
    #[must_use]
    pub fn to_field(self, name: impl Into<String>, nullable: bool) -> Field {
        let metadata = [(TYPE_KEY.to_owned(), self.to_string())].into();
        Field::new(name, self.to_arrow(), nullable).with_metadata(metadata)
    }

    /// The declared type of a field that [`FlinkType::to_field`] made, or else the widest type of its Arrow type.
    ///
    /// # Errors
    /// If no type of Flink has such values.
    pub fn from_field(field: &Field) -> Result<Self> {
        let widest = Self::from_arrow(field.data_type())?;
        // Metadata rides along where a cast or a function changes the type: it counts only where it still agrees.
        let declared = field.metadata().get(TYPE_KEY).and_then(|text| Self::parse(text));
        Ok(declared.filter(|declared| declared.to_arrow() == widest.to_arrow()).unwrap_or(widest))
    }

    /// TINYINT, SMALLINT, INT, BIGINT.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(self, Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt)
    }

    /// An integer or a DECIMAL.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self.is_integer() || matches!(self, Self::Decimal(..))
    }

    /// FLOAT, DOUBLE.
    #[must_use]
    pub fn is_approximate(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Any number.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        self.is_exact() || self.is_approximate()
    }

    /// CHAR, VARCHAR.
    #[must_use]
    pub fn is_string(self) -> bool {
        matches!(self, Self::Char(_) | Self::VarChar(_))
    }

    /// BINARY, VARBINARY.
    #[must_use]
    pub fn is_bytes(self) -> bool {
        matches!(self, Self::Binary(_) | Self::VarBinary(_))
    }

    /// TIMESTAMP, TIMESTAMP_LTZ.
    #[must_use]
    pub fn is_timestamp(self) -> bool {
        matches!(self, Self::Timestamp(_) | Self::TimestampLtz(_))
    }

    /// An interval.
    #[must_use]
    pub fn is_interval(self) -> bool {
        matches!(self, Self::IntervalYearMonth | Self::IntervalDayTime)
    }

    /// Precision and scale of an exact number, as Flink counts them: INT is (10, 0).
    #[must_use]
    pub fn digits(self) -> Option<(u8, u8)> {
        match self {
            Self::TinyInt => Some((3, 0)),
            Self::SmallInt => Some((5, 0)),
            Self::Int => Some((10, 0)),
            Self::BigInt => Some((19, 0)),
            Self::Decimal(precision, scale) => Some((precision, scale)),
            _ => None,
        }
    }

    /// ARRAY, MAP, ROW.
    #[must_use]
    pub fn is_nested(self) -> bool {
        matches!(self, Self::Array(_) | Self::Map(_) | Self::Row(_))
    }
}

/// Gives DataFusion's front-end the types of CAST and of typed literals.
#[derive(Debug, Default)]
pub struct FlinkTypePlanner;

impl TypePlanner for FlinkTypePlanner {
    fn plan_type_field(&self, name: &ast::DataType) -> datafusion_common::Result<Option<FieldRef>> {
        let flink = FlinkType::from_ast(name).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Some(Arc::new(flink.to_field("", true))))
    }
}

fn unknown(name: &ast::DataType) -> Error {
    Error::statement(format!("unknown type {name}")).help(
        "types are BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), CHAR(n), VARCHAR(n), STRING, \
         BINARY(n), VARBINARY(n), BYTES, DATE, TIME(p), TIMESTAMP(p), TIMESTAMP_LTZ(p), ARRAY<t>, MAP<k, v>, ROW<f t, …>",
    )
}

fn unit_of(fraction_digits: u8) -> TimeUnit {
    match fraction_digits {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

fn decimal_from_ast(info: &ExactNumberInfo) -> Result<FlinkType> {
    let (precision, scale) = match *info {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    if !(1..=u64::from(DECIMAL_PRECISION_MAX)).contains(&precision) {
        return Err(Error::statement(format!("a DECIMAL of {precision} digits")).help("a DECIMAL has 1 to 38 digits"));
    }
    if scale < 0 || scale as u64 > precision {
        return Err(Error::statement(format!("DECIMAL({precision}, {scale}): the scale is out of range"))
            .help(format!("of {precision} digits, 0 to {precision} can stand after the point")));
    }
    Ok(FlinkType::Decimal(precision as u8, scale as u8))
}

fn characters(name: &ast::DataType, length: Option<&CharacterLength>, default: u64) -> Result<u32> {
    match length {
        None => length_in_range(name, default),
        Some(CharacterLength::IntegerLength { length, unit: None }) => length_in_range(name, *length),
        Some(_) => Err(unknown(name)),
    }
}

fn length_in_range(name: &ast::DataType, length: u64) -> Result<u32> {
    match u32::try_from(length) {
        Ok(length @ 1..=LENGTH_MAX) => Ok(length),
        _ => Err(Error::statement(format!("{name}: the length is out of range")).help(format!("1 to {LENGTH_MAX}"))),
    }
}

fn fraction_digits(name: &str, digits: u64) -> Result<u8> {
    match digits {
        0..=9 => Ok(digits as u8),
        _ => Err(Error::statement(format!("{name}({digits}): the precision is out of range"))
            .help("a second has 0 to 9 digits after the point")),
    }
}

/// Names that the parser does not know as types.
fn from_custom(name: &ast::DataType, custom: &str, arguments: &[String]) -> Result<FlinkType> {
    match (custom.to_ascii_uppercase().as_str(), arguments) {
        ("TIMESTAMP_LTZ", []) => Ok(FlinkType::TimestampLtz(6)),
        ("TIMESTAMP_LTZ", [digits]) => {
            let digits = digits.trim().parse().map_err(|_| unknown(name))?;
            Ok(FlinkType::TimestampLtz(fraction_digits("TIMESTAMP_LTZ", digits)?))
        }
        ("STRING", []) => Ok(FlinkType::STRING),
        ("BYTES", []) => Ok(FlinkType::BYTES),
        ("MULTISET", _) => Err(Error::statement("MULTISET is not supported").help("MAP<t, INT> counts each value")),
        ("ARRAY" | "MAP" | "ROW", _) => Err(Error::statement(format!("{custom} needs the types within"))
            .help("ARRAY<INT>, MAP<STRING, INT>, ROW<a INT, b STRING>")),
        _ => Err(unknown(name)),
    }
}
