//! Dynamic values: what a record's fields hold.

use std::collections::HashMap;
use std::fmt;

/// A record: its fields by name.
pub type Record = HashMap<String, Value>;

/// A value of any type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// TRUE or FALSE.
    Boolean(bool),
    /// 64 bits.
    Integer(i64),
    /// A double.
    Float(f64),
    /// Text.
    String(String),
    /// Milliseconds since 1970.
    Timestamp(i64),
}

impl Value {
    /// The sum; `None` if these have none, or if it is too great.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Option<Self> {
        self.combine(other, i64::checked_add, |a, b| a + b)
    }

    /// The product; `None` if these have none, or if it is too great.
    #[must_use]
    pub fn times(&self, other: &Self) -> Option<Self> {
        self.combine(other, i64::checked_mul, |a, b| a * b)
    }

    fn combine(
        &self,
        other: &Self,
        integers: impl Fn(i64, i64) -> Option<i64>,
        floats: impl Fn(f64, f64) -> f64,
    ) -> Option<Self> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => integers(*a, *b).map(Self::Integer),
            (Self::Null, _) | (_, Self::Null) => Some(Self::Null),
            _ => Some(Self::Float(floats(self.float()?, other.float()?))),
        }
    }

    /// As a double, if it is a number.
    #[must_use]
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => write!(f, "NULL"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) | Self::Timestamp(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::String(value) => write!(f, "{value}"),
        }
    }
}
