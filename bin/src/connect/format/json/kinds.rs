//! What the values at one place of records are, and the type that holds them all.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::options::TimestampFormat;
use super::scalar::{Zone, instant};
use crate::connect::format::csv::number;
use crate::connect::format::csv::temporal::{self, DateCache};

/// Fields from which on objects are taken for a MAP: such names are data.
const ROW_FIELDS_MAX: usize = 256;

/// ROWs, ARRAYs and MAPs within each other; what is deeper is text.
const TYPE_DEPTH_MAX: usize = 16;

/// What values are; joined value by value. Nothing at all if they are NULL.
#[derive(Debug, Default)]
pub struct Kinds {
    has_boolean: bool,
    numbers: Option<Numbers>,
    texts: Option<Texts>,
    row: Option<Box<RowFields>>,
    /// Elements of arrays.
    array: Option<Box<Kinds>>,
}

/// What numbers are.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    /// All are whole and fit 64 bits.
    are_integers: bool,
    /// All are whole and have up to 38 digits.
    are_whole: bool,
    /// A DOUBLE is near enough to all of them.
    are_doubles: bool,
}

/// What strings can all be read as.
#[derive(Clone, Copy, Debug)]
struct Texts {
    are_dates: bool,
    /// By [`TimestampFormat::ALL`].
    are_local: [bool; 2],
    are_instants: [bool; 2],
    /// Most digits of a fraction of a second.
    fraction_digits: usize,
    /// Some timestamp does not fit 64 bits of nanoseconds.
    is_beyond_nanos: bool,
}

/// The fields of objects, in the order in which they appear first.
#[derive(Debug, Default)]
struct RowFields {
    fields: Vec<(String, Kinds)>,
    places: HashMap<String, usize>,
}

impl Kinds {
    /// TRUE or FALSE.
    #[must_use]
    pub fn of_boolean() -> Self {
        Self { has_boolean: true, ..Self::default() }
    }

    /// A number.
    #[must_use]
    pub fn of_number(text: &[u8], is_whole: bool) -> Self {
        let are_integers = is_whole && number::integer(text, 0, text.len()).is_ok();
        let digits = text.strip_prefix(b"-").unwrap_or(text).len();
        // Infinite is what is too large, and a long whole number would lose its last digits.
        let is_finite = number::double(text, 0, text.len()).is_ok_and(f64::is_finite);
        let are_doubles = is_finite && (are_integers || !is_whole);
        let numbers = Numbers { are_integers, are_whole: is_whole && digits <= 38, are_doubles };
        Self { numbers: Some(numbers), ..Self::default() }
    }

    /// A string.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        let mut dates = DateCache::default();
        let mut read = |zone| TimestampFormat::ALL.map(|format| instant(text, format, zone, &mut dates));
        let (local, instants) = (read(Zone::Local), read(Zone::Instant));
        let fraction = text.get(19..).and_then(|rest| rest.strip_prefix(b".")).unwrap_or_default();
        let found = local.into_iter().chain(instants).flatten().next();
        let texts = Texts {
            are_dates: temporal::date(text).is_some(),
            are_local: local.map(|instant| instant.is_some()),
            are_instants: instants.map(|instant| instant.is_some()),
            fraction_digits: fraction.iter().take_while(|digit| digit.is_ascii_digit()).count(),
            is_beyond_nanos: found.is_some_and(|instant| instant.in_units(1_000_000_000).is_none()),
        };
        Self { texts: Some(texts), ..Self::default() }
    }

    /// An object without fields, which are joined to it.
    #[must_use]
    pub fn of_object() -> Self {
        Self { row: Some(Box::default()), ..Self::default() }
    }

    /// An array without elements, which are joined to it.
    #[must_use]
    pub fn of_array() -> Self {
        Self { array: Some(Box::default()), ..Self::default() }
    }

    /// Adds a field to what is an object.
    pub fn join_field(&mut self, name: &str, value: Self) {
        self.row.get_or_insert_default().join(name, value);
    }

    /// Adds an element to what is an array.
    pub fn join_element(&mut self, element: Self) {
        self.array.get_or_insert_default().join(element);
    }

    /// Adds other values.
    pub fn join(&mut self, other: Self) {
        self.has_boolean |= other.has_boolean;
        self.numbers = joined(self.numbers, other.numbers, |a, b| Numbers {
            are_integers: a.are_integers && b.are_integers,
            are_whole: a.are_whole && b.are_whole,
            are_doubles: a.are_doubles && b.are_doubles,
        });
        self.texts = joined(self.texts, other.texts, Texts::join);
        self.array = match (self.array.take(), other.array) {
            (Some(mut one), Some(other)) => {
                one.join(*other);
                Some(one)
            }
            (one, other) => one.or(other),
        };
        if let Some(other) = other.row {
            let row = self.row.get_or_insert_default();
            other.fields.into_iter().for_each(|(name, value)| row.join(&name, value));
        }
    }

    /// The format of the first timestamps, if there are any.
    #[must_use]
    pub fn timestamp_format(&self) -> Option<TimestampFormat> {
        let of_texts = self
            .texts
            .filter(|_| self.is_one_kind())
            .and_then(|texts| (0..2).find(|&format| texts.are_local[format] || texts.are_instants[format]));
        let of_fields = || self.row.iter().flat_map(|row| &row.fields).find_map(|(_, kinds)| kinds.timestamp_format());
        let of_elements = || self.array.as_ref().and_then(|elements| elements.timestamp_format());
        of_texts.map(|format| TimestampFormat::ALL[format]).or_else(of_fields).or_else(of_elements)
    }

    /// The columns of records, which are objects.
    #[must_use]
    pub fn columns(&self, timestamps: TimestampFormat) -> Vec<Field> {
        let fields = self.row.iter().flat_map(|row| &row.fields);
        fields.map(|(name, kinds)| Field::new(name, kinds.data_type(timestamps, 0), true)).collect()
    }

    /// All values are of the kind that the first is of.
    fn is_one_kind(&self) -> bool {
        let kinds =
            [self.has_boolean, self.numbers.is_some(), self.texts.is_some(), self.row.is_some(), self.array.is_some()];
        kinds.into_iter().filter(|kind| *kind).count() == 1
    }

    fn data_type(&self, timestamps: TimestampFormat, depth: usize) -> DataType {
        if !self.is_one_kind() || depth == TYPE_DEPTH_MAX {
            return DataType::Utf8View;
        }
        let part = |name: &str, kinds: &Self| Field::new(name, kinds.data_type(timestamps, depth + 1), true);
        if let Some(elements) = &self.array {
            return DataType::List(Arc::new(part("element", elements)));
        }
        if let Some(numbers) = self.numbers {
            return numbers.data_type();
        }
        if let Some(texts) = &self.texts {
            return texts.data_type(timestamps);
        }
        match &self.row {
            None => DataType::Boolean,
            // A ROW has fields.
            Some(row) if row.fields.is_empty() => DataType::Utf8View,
            Some(row) if row.fields.len() <= ROW_FIELDS_MAX => {
                DataType::Struct(row.fields.iter().map(|(name, kinds)| part(name, kinds)).collect())
            }
            Some(row) => {
                let types = row.fields.iter().map(|(_, kinds)| kinds.data_type(timestamps, depth + 1));
                let first = types.clone().next().unwrap_or(DataType::Utf8View);
                let value = if types.clone().all(|other| other == first) { first } else { DataType::Utf8View };
                let entry = vec![Field::new("key", DataType::Utf8View, false), Field::new("value", value, true)];
                let entry = Field::new("entries", DataType::Struct(Fields::from(entry)), false);
                DataType::Map(Arc::new(entry), false)
            }
        }
    }
}

impl RowFields {
    fn join(&mut self, name: &str, value: Kinds) {
        match self.places.get(name) {
            Some(&place) => self.fields[place].1.join(value),
            None => {
                self.places.insert(name.to_owned(), self.fields.len());
                self.fields.push((name.to_owned(), value));
            }
        }
    }
}

impl Numbers {
    fn data_type(self) -> DataType {
        match self {
            Self { are_integers: true, .. } => DataType::Int64,
            Self { are_doubles: true, .. } => DataType::Float64,
            Self { are_whole: true, .. } => DataType::Decimal128(38, 0),
            _ => DataType::Utf8View,
        }
    }
}

impl Texts {
    fn join(self, other: Self) -> Self {
        let both = |a: [bool; 2], b: [bool; 2]| [a[0] && b[0], a[1] && b[1]];
        Self {
            are_dates: self.are_dates && other.are_dates,
            are_local: both(self.are_local, other.are_local),
            are_instants: both(self.are_instants, other.are_instants),
            fraction_digits: self.fraction_digits.max(other.fraction_digits),
            is_beyond_nanos: self.is_beyond_nanos || other.is_beyond_nanos,
        }
    }

    fn data_type(&self, timestamps: TimestampFormat) -> DataType {
        let format = usize::from(timestamps == TimestampFormat::Iso);
        let unit = match self.fraction_digits {
            0..=3 => TimeUnit::Millisecond,
            7.. if !self.is_beyond_nanos => TimeUnit::Nanosecond,
            _ => TimeUnit::Microsecond,
        };
        match self {
            _ if self.are_dates => DataType::Date32,
            _ if self.are_local[format] => DataType::Timestamp(unit, None),
            _ if self.are_instants[format] => DataType::Timestamp(unit, Some("UTC".into())),
            _ => DataType::Utf8View,
        }
    }
}

fn joined<T>(one: Option<T>, other: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(join(one, other)),
        (one, other) => one.or(other),
    }
}
