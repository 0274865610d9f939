//! Why a record is refused.

use arrow_schema::{DataType, Field, TimeUnit};

use crate::connect::bad_input::RejectReason;
use crate::connect::format::text::shown;
use crate::error::with_article;

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a value of the type.
    Malformed,
    /// A value, but beyond the type's range.
    OutOfRange,
    /// NULL in a column that is NOT NULL.
    Null,
    /// Bytes that are not UTF-8, in a string.
    NotUtf8,
    /// A quote within a field that does not start with one.
    QuoteInside,
    /// Something other than a delimiter after the closing quote.
    AfterQuote,
    /// An escape character with nothing behind it.
    Escape,
}

impl Refusal {
    /// What the record is counted as.
    #[must_use]
    pub fn reason(self) -> RejectReason {
        match self {
            Self::Malformed => RejectReason::Malformed,
            Self::OutOfRange => RejectReason::OutOfRange,
            Self::Null => RejectReason::Null,
            Self::NotUtf8 => RejectReason::NotUtf8,
            Self::QuoteInside | Self::AfterQuote => RejectReason::Quote,
            Self::Escape => RejectReason::Syntax,
        }
    }
}

/// A field that is refused: row of the batch or region, number of the requested column, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Row.
    pub row: usize,
    /// Position among the requested columns.
    pub column: usize,
    /// Why.
    pub refusal: Refusal,
}

/// What is wrong with a field, and how to mend it.
#[must_use]
pub fn explain(
    refusal: Refusal,
    text: &[u8],
    column: &str,
    data_type: &DataType,
    inferred_from: Option<u64>,
) -> (String, String) {
    let type_name = type_name(data_type);
    let text = shown(text);
    let message = match refusal {
        Refusal::Malformed => format!("{text} is not {} (column `{column}`)", with_article(&type_name)),
        Refusal::OutOfRange => format!("{text} does not fit {type_name} (column `{column}`)"),
        Refusal::Null => format!("NULL in column `{column}`, which is NOT NULL ({type_name})"),
        Refusal::NotUtf8 => format!("{text} is not UTF-8 (column `{column}`, {type_name})"),
        Refusal::QuoteInside => {
            format!("a quote within the unquoted field {text} (column `{column}`, {type_name})")
        }
        Refusal::AfterQuote => format!("text after the closing quote in {text} (column `{column}`, {type_name})"),
        Refusal::Escape => format!("nothing behind the escape character in {text} (column `{column}`, {type_name})"),
    };
    let advice = match refusal {
        Refusal::Malformed | Refusal::OutOfRange => match inferred_from {
            Some(records) => format!(
                "the type was inferred from the first {records} records; declare the columns instead: \
                 CREATE TABLE t (`{column}` STRING, …) WITH ('connector' = 'filesystem', 'path' = '…', 'format' = 'csv')"
            ),
            None => "declare the column as STRING, or pass over such records with 'on-error' = 'skip'".to_owned(),
        },
        Refusal::Null => "declare the column without NOT NULL, or set 'on-error' = 'skip'".to_owned(),
        Refusal::NotUtf8 => "convert the file to UTF-8, for example with iconv, or set 'on-error' = 'skip'".to_owned(),
        Refusal::Escape => "write an escape character that means itself twice".to_owned(),
        Refusal::QuoteInside | Refusal::AfterQuote => {
            "quote the whole field and write quotes within it twice, or set 'csv.disable-quote-character' = 'true'"
                .to_owned()
        }
    };
    (message, advice)
}

/// The SQL name of a column's type, as far as Arrow's type still knows it.
#[must_use]
pub fn type_name(data_type: &DataType) -> String {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    match data_type {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8View | DataType::Utf8 => "STRING".into(),
        DataType::BinaryView | DataType::Binary => "BYTES".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("TIME({})", digits(unit)),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(unit)),
        DataType::List(element) => format!("ARRAY<{}>", within(element)),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("`{}` {}", field.name().replace('`', "``"), within(field)));
            format!("ROW<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("MAP<{}, {}>", type_name(pair[0].data_type()), within(&pair[1]))
            }
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

fn within(field: &Field) -> String {
    let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
    format!("{}{not_null}", type_name(field.data_type()))
}
