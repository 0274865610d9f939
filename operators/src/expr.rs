//! Scalar expressions, as operators see them: columns in, one column out.
//!
//! What an expression means is compiled elsewhere (`bin/src/sql`); here it is only evaluated, a batch at a time.

use std::fmt::Debug;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::DataType;

/// Why an expression has no value for a row of the batch: bad data under the SQL's own rules (CAST, ÷ 0, overflow).
#[derive(Debug)]
pub struct EvaluateError {
    /// What went wrong, without the expression.
    pub message: String,
    /// The expression as the user would recognise it.
    pub expression: String,
}

impl std::fmt::Display for EvaluateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in `{}`", self.message, self.expression)
    }
}

impl std::error::Error for EvaluateError {}

/// One expression, compiled against the columns of its input.
pub trait Scalar: Debug + Send + Sync {
    /// The value for every row of `batch`: an array of `data_type()` and of the batch's length.
    ///
    /// # Errors
    /// If a row has no value; the whole batch is refused.
    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, EvaluateError>;

    /// Type of the result.
    fn data_type(&self) -> DataType;

    /// The input column that this expression only passes on, if it is no more than that.
    fn column(&self) -> Option<usize>;

    /// The input columns that are looked at, in any order.
    fn columns(&self) -> Vec<usize>;

    /// The expression for EXPLAIN and for errors.
    fn describe(&self) -> String;
}
