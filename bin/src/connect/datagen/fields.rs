//! How one column of a `datagen` table gets its values.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BinaryViewBuilder, BooleanBuilder, LargeBinaryBuilder, LargeStringBuilder, StringBuilder,
    StringViewBuilder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::connect::format::csv::type_name;
use crate::connect::options::OptionReader;
use crate::error::{Error, Result};
use crate::random::Random;

/// Characters or bytes of a random text if nothing is said, as in Flink.
const LENGTH_DEFAULT: usize = 100;

/// Characters or bytes of a random text at most.
const LENGTH_MAX: usize = 1 << 20;

const DAY_MS: i64 = 86_400_000;

/// How one column gets its values.
#[derive(Clone, Debug)]
pub(super) struct FieldGenerator {
    kind: FieldKind,
    /// Share of NULLs, 0 to 1.
    null_rate: f64,
}

#[derive(Clone, Debug)]
enum FieldKind {
    /// `start`, `start + 1`, … `end`.
    Sequence {
        start: i64,
        end: i64,
    },
    Boolean,
    Integer {
        min: i64,
        max: i64,
    },
    Float {
        min: f64,
        max: f64,
    },
    /// Unscaled.
    Decimal {
        min: i128,
        max: i128,
    },
    /// Hexadecimal digits, or as many random bytes.
    Text {
        length: usize,
        length_varies: bool,
    },
    /// The schedule's time, less up to this; a date or a time of day takes its part of it.
    Time {
        past_max_ms: i64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Random,
    Sequence,
}

impl FieldGenerator {
    /// Reads `fields.NAME.…` for this column.
    pub(super) fn read(reader: &mut OptionReader<'_>, field: &Field) -> Result<Self> {
        let option = |name: &str| format!("fields.{}.{name}", field.name());
        let kinds: &[(&str, Kind)] = match can_count(field.data_type()) {
            true => &[("random", Kind::Random), ("sequence", Kind::Sequence)],
            false => &[("random", Kind::Random)],
        };
        let kind = match reader.choice(&option("kind"), kinds)?.unwrap_or(Kind::Random) {
            Kind::Random => FieldKind::random(reader, field, option)?,
            Kind::Sequence => FieldKind::sequence(reader, field, option)?,
        };
        let null_rate = reader.number(&option("null-rate"), 0.0, 1.0)?.unwrap_or(0.0);
        if null_rate > 0.0 && !field.is_nullable() {
            return Err(Error::statement(format!("column `{}` is NOT NULL, but has a null-rate", field.name()))
                .help(format!("leave out NOT NULL or '{}'", option("null-rate"))));
        }
        Ok(Self { kind, null_rate })
    }

    /// Rows until a sequence ends; `None` for what has no end.
    pub(super) fn rows_max(&self) -> Option<u64> {
        match self.kind {
            FieldKind::Sequence { start, end } => Some((end.wrapping_sub(start) as u64).saturating_add(1)),
            _ => None,
        }
    }

    /// One value for each entry of `times_ms`: the rows from number `first` on and when they are due. Each row draws from
    /// a stream of its own, which is found from `random`.
    pub(super) fn generate(
        &self,
        data_type: &DataType,
        random: &Random,
        first: u64,
        times_ms: &[i64],
    ) -> Result<ArrayRef> {
        let column = Column { generator: self, random, first, times_ms };
        Ok(match data_type {
            DataType::Boolean => {
                let mut builder = BooleanBuilder::with_capacity(times_ms.len());
                column.each(|value| builder.append_option(value.map(|mut drawn| drawn.random.bits() & 1 == 1)));
                Arc::new(builder.finish())
            }
            DataType::Int8 => column.primitive::<Int8Type>(data_type, |drawn| drawn.integer() as i8),
            DataType::Int16 => column.primitive::<Int16Type>(data_type, |drawn| drawn.integer() as i16),
            DataType::Int32 => column.primitive::<Int32Type>(data_type, |drawn| drawn.integer() as i32),
            DataType::Int64 => column.primitive::<Int64Type>(data_type, |drawn| drawn.integer()),
            DataType::Float32 => column.primitive::<Float32Type>(data_type, |drawn| drawn.float() as f32),
            DataType::Float64 => column.primitive::<Float64Type>(data_type, |drawn| drawn.float()),
            DataType::Decimal128(_, scale) => {
                let unit = power_of_ten(*scale);
                column.primitive::<Decimal128Type>(data_type, |drawn| drawn.decimal(unit))
            }
            DataType::Date32 => {
                column.primitive::<Date32Type>(data_type, |drawn| drawn.time_ms().div_euclid(DAY_MS) as i32)
            }
            DataType::Time32(TimeUnit::Second) => column
                .primitive::<Time32SecondType>(data_type, |drawn| (drawn.time_ms().rem_euclid(DAY_MS) / 1_000) as i32),
            DataType::Time32(_) => {
                column.primitive::<Time32MillisecondType>(data_type, |drawn| drawn.time_ms().rem_euclid(DAY_MS) as i32)
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                column.primitive::<Time64MicrosecondType>(data_type, |drawn| drawn.time_ms().rem_euclid(DAY_MS) * 1_000)
            }
            DataType::Time64(_) => column
                .primitive::<Time64NanosecondType>(data_type, |drawn| drawn.time_ms().rem_euclid(DAY_MS) * 1_000_000),
            DataType::Timestamp(TimeUnit::Second, _) => {
                column.primitive::<TimestampSecondType>(data_type, |drawn| drawn.time_ms().div_euclid(1_000))
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                column.primitive::<TimestampMillisecondType>(data_type, |drawn| drawn.time_ms())
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                column.primitive::<TimestampMicrosecondType>(data_type, |drawn| drawn.time_ms().saturating_mul(1_000))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => column
                .primitive::<TimestampNanosecondType>(data_type, |drawn| drawn.time_ms().saturating_mul(1_000_000)),
            _ => return column.text(data_type),
        })
    }
}

impl FieldKind {
    fn sequence(reader: &mut OptionReader<'_>, field: &Field, option: impl Fn(&str) -> String) -> Result<Self> {
        let range = counting_range(field.data_type());
        let mut bound = |name: &str| {
            let name = option(name);
            reader.required(&name, "1")?;
            Ok(reader.number(&name, *range.start(), *range.end())?.unwrap_or_default())
        };
        let (start, end) = (bound("start")?, bound("end")?);
        in_order(&option("end"), end, &option("start"), start)?;
        Ok(Self::Sequence { start, end })
    }

    fn random(reader: &mut OptionReader<'_>, field: &Field, option: impl Fn(&str) -> String) -> Result<Self> {
        let (min_name, max_name) = (option("min"), option("max"));
        Ok(match field.data_type() {
            DataType::Boolean => Self::Boolean,
            data_type @ (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64) => {
                let range = counting_range(data_type);
                let mut bound = |name: &str, default: i64| {
                    Ok::<_, Error>(reader.number(name, *range.start(), *range.end())?.unwrap_or(default))
                };
                let (min, max) = (bound(&min_name, *range.start())?, bound(&max_name, *range.end())?);
                in_order(&max_name, max, &min_name, min)?;
                Self::Integer { min, max }
            }
            data_type @ (DataType::Float32 | DataType::Float64) => {
                let limit = if *data_type == DataType::Float32 { f64::from(f32::MAX) } else { f64::MAX };
                let min = reader.number(&min_name, -limit, limit)?.unwrap_or(-limit);
                let max = reader.number(&max_name, -limit, limit)?.unwrap_or(limit);
                in_order(&max_name, max, &min_name, min)?;
                Self::Float { min, max }
            }
            DataType::Decimal128(precision, scale) => {
                let limit = power_of_ten(*precision as i8) - 1;
                let mut bound = |name: &str, default: i128| match reader.text(name) {
                    None => Ok(default),
                    Some(text) => parse_decimal(text, *scale)
                        .filter(|number| number.abs() <= limit)
                        .ok_or_else(|| reader.wrong_value(name, text, &format!("a DECIMAL({precision}, {scale})"))),
                };
                let (min, max) = (bound(&min_name, -limit)?, bound(&max_name, limit)?);
                in_order(&max_name, max, &min_name, min)?;
                Self::Decimal { min, max }
            }
            DataType::Date32 | DataType::Time32(_) | DataType::Time64(_) => Self::Time { past_max_ms: 0 },
            DataType::Timestamp(..) => {
                Self::Time { past_max_ms: reader.duration_ms(&option("max-past"))?.unwrap_or(0) }
            }
            data_type if is_text(data_type) => Self::Text {
                length: reader.number(&option("length"), 1, LENGTH_MAX)?.unwrap_or(LENGTH_DEFAULT),
                length_varies: reader.flag(&option("var-len"))?.unwrap_or(false),
            },
            other => return Err(not_generated(other)),
        })
    }
}

/// The rows of one column while they are made.
struct Column<'a> {
    generator: &'a FieldGenerator,
    random: &'a Random,
    first: u64,
    times_ms: &'a [i64],
}

/// One row's value while it is drawn.
struct Drawn<'a> {
    kind: &'a FieldKind,
    random: Random,
    row: u64,
    due_ms: i64,
}

impl Column<'_> {
    /// Calls `take` for each row, with `None` for a NULL.
    fn each(&self, mut take: impl FnMut(Option<Drawn<'_>>)) {
        for drawn in self.rows() {
            let (drawn, is_null) = self.is_null(drawn);
            take((!is_null).then_some(drawn));
        }
    }

    /// The rows, before it is drawn which of them are NULL.
    fn rows(&self) -> impl ExactSizeIterator<Item = Drawn<'_>> {
        let rows = self.times_ms.iter().enumerate();
        rows.map(|(offset, &due_ms)| {
            let row = self.first + offset as u64;
            Drawn { kind: &self.generator.kind, random: self.random.branch(row), row, due_ms }
        })
    }

    fn is_null<'a>(&self, mut drawn: Drawn<'a>) -> (Drawn<'a>, bool) {
        let is_null = self.generator.null_rate > 0.0 && drawn.random.unit() < self.generator.null_rate;
        (drawn, is_null)
    }

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        data_type: &DataType,
        mut value: impl FnMut(Drawn<'_>) -> T::Native,
    ) -> ArrayRef {
        let values = match self.generator.null_rate > 0.0 {
            false => PrimitiveArray::<T>::from_iter_values(self.rows().map(value)),
            true => {
                let drawn = self.rows().map(|drawn| self.is_null(drawn));
                PrimitiveArray::<T>::from_iter(drawn.map(|(drawn, is_null)| (!is_null).then(|| value(drawn))))
            }
        };
        Arc::new(values.with_data_type(data_type.clone()))
    }

    fn text(&self, data_type: &DataType) -> Result<ArrayRef> {
        macro_rules! build {
            ($builder:expr, $is_bytes:expr, $cut:expr) => {{
                let (mut builder, mut buffer) = ($builder, Vec::new());
                self.each(|drawn| match drawn {
                    None => builder.append_null(),
                    Some(drawn) => {
                        buffer.clear();
                        drawn.text($is_bytes, &mut buffer);
                        builder.append_value($cut(&buffer));
                    }
                });
                Arc::new(builder.finish()) as ArrayRef
            }};
        }
        Ok(match data_type {
            DataType::Utf8 => build!(StringBuilder::new(), false, as_text),
            DataType::LargeUtf8 => build!(LargeStringBuilder::new(), false, as_text),
            DataType::Utf8View => build!(StringViewBuilder::new(), false, as_text),
            DataType::Binary => build!(BinaryBuilder::new(), true, <[u8]>::to_vec),
            DataType::LargeBinary => build!(LargeBinaryBuilder::new(), true, <[u8]>::to_vec),
            DataType::BinaryView => build!(BinaryViewBuilder::new(), true, <[u8]>::to_vec),
            other => return Err(not_generated(other)),
        })
    }
}

impl Drawn<'_> {
    fn counted(&self) -> Option<i64> {
        match self.kind {
            FieldKind::Sequence { start, .. } => Some(start.wrapping_add(self.row as i64)),
            _ => None,
        }
    }

    fn integer(mut self) -> i64 {
        match self.kind {
            FieldKind::Integer { min, max } => self.random.between(*min, *max),
            _ => self.counted().unwrap_or_default(),
        }
    }

    fn float(mut self) -> f64 {
        match self.kind {
            FieldKind::Float { min, max } => {
                // Not `min + unit * (max - min)`: the difference of the extremes is infinite.
                let unit = self.random.unit();
                min * (1.0 - unit) + max * unit
            }
            _ => self.counted().unwrap_or_default() as f64,
        }
    }

    /// Unscaled; `unit` is one whole in the column's scale.
    fn decimal(mut self, unit: i128) -> i128 {
        match self.kind {
            FieldKind::Decimal { min, max } => {
                let span = max.wrapping_sub(*min) as u128;
                let bits = u128::from(self.random.bits()) << 64 | u128::from(self.random.bits());
                min.wrapping_add((bits % span.saturating_add(1)) as i128)
            }
            _ => i128::from(self.counted().unwrap_or_default()).saturating_mul(unit),
        }
    }

    fn time_ms(mut self) -> i64 {
        let past_max_ms = match self.kind {
            FieldKind::Time { past_max_ms } => *past_max_ms,
            _ => 0,
        };
        self.due_ms.saturating_sub(self.random.between(0, past_max_ms))
    }

    fn text(mut self, is_bytes: bool, out: &mut Vec<u8>) {
        let FieldKind::Text { length, length_varies } = self.kind else {
            out.extend_from_slice(self.counted().unwrap_or_default().to_string().as_bytes());
            return;
        };
        let length = if *length_varies { self.random.between(1, *length as i64) as usize } else { *length };
        while out.len() < length {
            let bits = self.random.bits();
            match is_bytes {
                true => out.extend_from_slice(&bits.to_le_bytes()),
                false => out.extend((0..16).map(|digit| b"0123456789abcdef"[(bits >> (4 * digit) & 15) as usize])),
            }
        }
        out.truncate(length);
    }
}

/// Whether a column of this type can be a sequence.
fn can_count(data_type: &DataType) -> bool {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64};
    matches!(data_type, Int8 | Int16 | Int32 | Int64 | Float32 | Float64 | Decimal128(..)) || is_text(data_type)
}

/// The whole numbers that a column of this type can hold, as far as they are BIGINT.
fn counting_range(data_type: &DataType) -> RangeInclusive<i64> {
    match data_type {
        DataType::Int8 => i64::from(i8::MIN)..=i64::from(i8::MAX),
        DataType::Int16 => i64::from(i16::MIN)..=i64::from(i16::MAX),
        DataType::Int32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
        DataType::Decimal128(precision, scale) => {
            let limit = power_of_ten((*precision as i8).saturating_sub(*scale)) - 1;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            -limit..=limit
        }
        _ => i64::MIN..=i64::MAX,
    }
}

fn is_text(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, LargeBinary, LargeUtf8, Utf8, Utf8View};
    matches!(data_type, Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView)
}

/// 10 to the given power; 1 for a negative one. The greatest DECIMAL has 38 digits, which fit.
fn power_of_ten(exponent: i8) -> i128 {
    10_i128.saturating_pow(exponent.max(0) as u32)
}

/// `-12.5` at scale 2 is -1250; `None` if it is not a number or has more decimals.
fn parse_decimal(text: &str, scale: i8) -> Option<i128> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let scale = usize::try_from(scale).ok()?;
    if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) || fraction.len() > scale {
        return None;
    }
    format!("{whole}{fraction:0<scale$}").parse::<i128>().ok().map(|number| sign * number)
}

fn in_order<T: PartialOrd>(high_name: &str, high: T, low_name: &str, low: T) -> Result<()> {
    if high >= low {
        return Ok(());
    }
    Err(Error::statement(format!("'{high_name}' is below '{low_name}'")).help("exchange the two"))
}

fn not_generated(data_type: &DataType) -> Error {
    Error::statement(format!("datagen makes no values of type {}", type_name(data_type)))
        .help("plain types can be generated; compute others in a view above the table")
}

/// The bytes, which are ASCII digits.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_at_their_scale() {
        for (text, scale, expected) in [
            ("12.5", 2, Some(1_250)),
            ("-0.01", 2, Some(-1)),
            ("7", 0, Some(7)),
            (".5", 1, Some(5)),
            ("1.234", 2, None),
            ("", 2, None),
            ("-", 2, None),
            ("1e3", 2, None),
            ("--1", 2, None),
        ] {
            assert_eq!(parse_decimal(text, scale), expected, "{text}");
        }
    }

    #[test]
    fn every_scalar_type_is_generated_within_its_bounds() {
        let types = [
            DataType::Boolean,
            DataType::Int8,
            DataType::Int16,
            DataType::Int32,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Decimal128(38, 10),
            DataType::Decimal128(1, 0),
            DataType::Utf8,
            DataType::Utf8View,
            DataType::Binary,
            DataType::BinaryView,
            DataType::Date32,
            DataType::Time32(TimeUnit::Second),
            DataType::Time32(TimeUnit::Millisecond),
            DataType::Time64(TimeUnit::Microsecond),
            DataType::Timestamp(TimeUnit::Second, None),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        ];
        for data_type in types {
            let map = std::collections::BTreeMap::new();
            let mut reader = OptionReader::new("t", "datagen", &map, &|_, _| None);
            let generator = FieldGenerator::read(&mut reader, &Field::new("f", data_type.clone(), true)).unwrap();
            let column = generator.generate(&data_type, &Random::new(1, &[]), 0, &[1_700_000_000_000; 50]).unwrap();
            assert_eq!((column.len(), column.null_count()), (50, 0), "{data_type}");
            assert_eq!(column.data_type(), &data_type);
            if let DataType::Decimal128(precision, _) = data_type {
                use arrow_array::cast::AsArray;
                column.as_primitive::<Decimal128Type>().validate_decimal_precision(precision).unwrap();
            }
        }
    }

    #[test]
    fn nested_types_are_refused() {
        let map = std::collections::BTreeMap::new();
        let mut reader = OptionReader::new("t", "datagen", &map, &|_, _| None);
        let list = DataType::new_list(DataType::Int64, true);
        assert!(FieldGenerator::read(&mut reader, &Field::new("f", list, true)).is_err());
    }
}
