//! Types as text: as Flink's DESCRIBE prints them, and back.

use std::fmt;

use super::nested::{MapType, NESTING_MAX, RowField, TypeWithin};
use super::{FlinkType, LENGTH_MAX};

impl fmt::Display for FlinkType {
    /// As Flink's DESCRIBE prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal(precision, scale) => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Char(length) => write!(f, "CHAR({length})"),
            Self::VarChar(LENGTH_MAX) => f.write_str("STRING"),
            Self::VarChar(length) => write!(f, "VARCHAR({length})"),
            Self::Binary(length) => write!(f, "BINARY({length})"),
            Self::VarBinary(LENGTH_MAX) => f.write_str("BYTES"),
            Self::VarBinary(length) => write!(f, "VARBINARY({length})"),
            Self::Date => f.write_str("DATE"),
            Self::Time(digits) => write!(f, "TIME({digits})"),
            Self::Timestamp(digits) => write!(f, "TIMESTAMP({digits})"),
            Self::TimestampLtz(digits) => write!(f, "TIMESTAMP_LTZ({digits})"),
            Self::IntervalYearMonth => f.write_str("INTERVAL YEAR TO MONTH"),
            Self::IntervalDayTime => f.write_str("INTERVAL DAY TO SECOND(3)"),
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Map(map) => write!(f, "MAP<{}, {}>", map.key, map.value),
            Self::Row(row) => {
                f.write_str("ROW<")?;
                for (index, field) in row.fields.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}`{}` {}", field.name.replace('`', "``"), field.value)?;
                }
                f.write_str(">")
            }
            Self::Null => f.write_str("NULL"),
        }
    }
}

impl fmt::Display for TypeWithin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.flink, if self.is_nullable { "" } else { " NOT NULL" })
    }
}

impl FlinkType {
    /// Reads what `Display` writes of a type that a column can have; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let flink = read(&mut rest, 0)?;
        rest.is_empty().then_some(flink)
    }
}

fn read(rest: &mut &str, depth: usize) -> Option<FlinkType> {
    if depth > NESTING_MAX {
        return None;
    }
    let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
    let (name, behind) = rest.split_at(end);
    *rest = behind;
    Some(match name {
        "ARRAY" => {
            take(rest, "<")?;
            let element = read_within(rest, depth)?;
            take(rest, ">")?;
            FlinkType::array_of(element)
        }
        "MAP" => {
            take(rest, "<")?;
            let key = read(rest, depth + 1)?;
            take(rest, ", ")?;
            let value = read_within(rest, depth)?;
            take(rest, ">")?;
            FlinkType::map_of(MapType { key, value })
        }
        "ROW" => {
            take(rest, "<")?;
            let mut fields = Vec::new();
            loop {
                let name = read_name(rest)?;
                take(rest, " ")?;
                fields.push(RowField { name, value: read_within(rest, depth)? });
                if take(rest, ", ").is_none() {
                    break;
                }
            }
            take(rest, ">")?;
            FlinkType::row_of(fields)
        }
        name => return read_plain(name, rest),
    })
}

fn read_plain(name: &str, rest: &mut &str) -> Option<FlinkType> {
    let mut numbers = [None; 2];
    if take(rest, "(").is_some() {
        let (inner, behind) = rest.split_once(')')?;
        for (number, text) in numbers.iter_mut().zip(inner.split(',')) {
            *number = Some(text.trim().parse::<u32>().ok()?);
        }
        *rest = behind;
    }
    let [first, second] = numbers;
    let digits = |number: Option<u32>| number.and_then(|number| u8::try_from(number).ok());
    Some(match name {
        "BOOLEAN" => FlinkType::Boolean,
        "TINYINT" => FlinkType::TinyInt,
        "SMALLINT" => FlinkType::SmallInt,
        "INT" => FlinkType::Int,
        "BIGINT" => FlinkType::BigInt,
        "FLOAT" => FlinkType::Float,
        "DOUBLE" => FlinkType::Double,
        "DECIMAL" => FlinkType::Decimal(digits(first)?, digits(second)?),
        "CHAR" => FlinkType::Char(first?),
        "VARCHAR" => FlinkType::VarChar(first?),
        "STRING" => FlinkType::STRING,
        "BINARY" => FlinkType::Binary(first?),
        "VARBINARY" => FlinkType::VarBinary(first?),
        "BYTES" => FlinkType::BYTES,
        "DATE" => FlinkType::Date,
        "TIME" => FlinkType::Time(digits(first)?),
        "TIMESTAMP" => FlinkType::Timestamp(digits(first)?),
        "TIMESTAMP_LTZ" => FlinkType::TimestampLtz(digits(first)?),
        "NULL" => FlinkType::Null,
        _ => return None,
    })
}

fn read_within(rest: &mut &str, depth: usize) -> Option<TypeWithin> {
    let flink = read(rest, depth + 1)?;
    let is_nullable = take(rest, " NOT NULL").is_none();
    Some(TypeWithin { flink, is_nullable })
}

/// A name in back-ticks, each within it written twice.
fn read_name(rest: &mut &str) -> Option<String> {
    take(rest, "`")?;
    let mut name = String::new();
    loop {
        let (part, behind) = rest.split_once('`')?;
        name.push_str(part);
        *rest = behind;
        if take(rest, "`").is_none() {
            return Some(name);
        }
        name.push('`');
    }
}

fn take(rest: &mut &str, token: &str) -> Option<()> {
    *rest = rest.strip_prefix(token)?;
    Some(())
}
