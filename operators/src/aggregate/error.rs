//! What can go wrong with an aggregate.

use std::fmt;

use arrow_schema::{ArrowError, DataType};
use thalweg_runtime::EventTimeMs;

use crate::window::OutOfRange;

/// Why an aggregation cannot be planned or has no result.
#[derive(Debug)]
pub enum AggregateError {
    /// The user's data: the exact result does not fit the type that the SQL gives it.
    Overflow {
        /// The call, as in `SUM(price)`.
        aggregate: String,
        /// The type that is too small.
        output_type: DataType,
    },
    /// The user's statement: there is no such aggregate or key for this type.
    Unsupported {
        /// The call or the part of the statement.
        what: String,
        /// The type that it does not take.
        data_type: DataType,
    },
    /// The user's data: more than 2^32 − 2 groups in one table.
    TooManyGroups,
    /// The user's data: windows of this event time would begin or end beyond what a timestamp can say.
    OutOfRange(EventTimeMs),
    /// Ours: groups arrived for a window that this shard has closed. They are not in the result.
    ClosedWindow {
        /// The last event time of the window.
        last: EventTimeMs,
    },
    /// Ours: what one side of an exchange sent is not what the other side expects.
    Mismatch(&'static str),
    /// Ours: a kernel refused its arguments.
    Arrow(ArrowError),
}

impl AggregateError {
    pub(crate) fn unsupported(what: impl Into<String>, data_type: &DataType) -> Self {
        Self::Unsupported { what: what.into(), data_type: data_type.clone() }
    }

    /// Is it a bug of ours, rather than something that the user can mend?
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::ClosedWindow { .. } | Self::Mismatch(_) | Self::Arrow(_))
    }
}

impl fmt::Display for AggregateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow { aggregate, output_type } => {
                write!(f, "the result of {aggregate} does not fit its type {output_type}")
            }
            Self::Unsupported { what, data_type } => write!(f, "{what} cannot be of type {data_type}"),
            Self::TooManyGroups => f.write_str("a GROUP BY has more than 4,294,967,294 groups at once"),
            Self::OutOfRange(time) => write!(f, "the windows of the event time {} ms are out of range", time.0),
            Self::ClosedWindow { last } => {
                write!(f, "groups arrived for the window up to {} ms after it was closed", last.0)
            }
            Self::Mismatch(what) => write!(f, "groups were sent in another layout than expected: {what}"),
            Self::Arrow(error) => write!(f, "a column has not the shape that was planned: {error}"),
        }
    }
}

impl std::error::Error for AggregateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Arrow(error) => Some(error),
            _ => None,
        }
    }
}

impl From<OutOfRange> for AggregateError {
    fn from(OutOfRange(time): OutOfRange) -> Self {
        Self::OutOfRange(time)
    }
}

impl From<ArrowError> for AggregateError {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}
