//! The columns of a tumbling window computed row by row: for where they are wanted without a windowed aggregation.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, TimeUnit};
use thalweg_operators::expr::{EvaluateError, Scalar};
use thalweg_operators::spec::WindowShape;

use super::catalog::as_time_attribute;
use super::relation::WindowColumn;
use super::window::WindowPart;

/// The start, end or time of the window of a time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WindowBound {
    window: WindowColumn,
    data_type: DataType,
    /// The time is a window's already, and becomes an instant without being changed.
    is_passed: bool,
    time_name: String,
}

impl WindowBound {
    /// Over the column `time`. The window's time has the same type, its start and end have no zone.
    pub(crate) fn new(window: WindowColumn, time: &Field) -> Self {
        let data_type = match window.part {
            WindowPart::Time => time.data_type().clone(),
            WindowPart::Start | WindowPart::End => DataType::Timestamp(TimeUnit::Millisecond, None),
        };
        Self { window, data_type, is_passed: false, time_name: time.name().clone() }
    }

    /// The column `time` as it is, in the zone of `zoned`.
    pub(crate) fn in_zone(time: usize, zoned: &DataType, field: &Field) -> Self {
        let window = WindowColumn { part: WindowPart::Time, time, shape: WindowShape::tumbling(1, 0), is_given: true };
        Self { window, data_type: zoned.clone(), is_passed: true, time_name: field.name().clone() }
    }

    /// Name, type and metadata of the column.
    pub(crate) fn field(&self) -> Field {
        let field = Field::new(self.name(), self.data_type.clone(), false);
        if self.window.part == WindowPart::Time { as_time_attribute(field) } else { field }
    }

    fn name(&self) -> &'static str {
        match self.window.part {
            WindowPart::Start => "window_start",
            WindowPart::End => "window_end",
            WindowPart::Time => "window_time",
        }
    }

    fn failed(&self, message: String) -> EvaluateError {
        EvaluateError { message, expression: self.describe() }
    }

    /// The bound of the window of one time; `None` out of range.
    fn bound_ms(&self, time_ms: i64) -> Option<i64> {
        if self.is_passed {
            return Some(time_ms);
        }
        let WindowShape { size_ms, offset_ms, .. } = self.window.shape;
        let start = window_start_ms(time_ms, size_ms, offset_ms)?;
        match self.window.part {
            WindowPart::Start => Some(start),
            WindowPart::End => start.checked_add(size_ms),
            WindowPart::Time => start.checked_add(size_ms - 1),
        }
    }
}

impl Scalar for WindowBound {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, EvaluateError> {
        let column = batch.columns().get(self.window.time);
        let Some(times) = column.and_then(|times| times.as_primitive_opt::<TimestampMillisecondType>()) else {
            return Err(self.failed(format!("internal error: column {} is no timestamp", self.window.time)));
        };
        let out_of_range = |time: i64| self.failed(format!("the window of {time} ms is out of range"));
        let bounds: TimestampMillisecondArray =
            times.try_unary(|time| self.bound_ms(time).ok_or_else(|| out_of_range(time)))?;
        Ok(Arc::new(bounds.with_data_type(self.data_type.clone())))
    }

    fn data_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn column(&self) -> Option<usize> {
        None
    }

    fn columns(&self) -> Vec<usize> {
        vec![self.window.time]
    }

    fn describe(&self) -> String {
        format!("{}({})", self.name(), self.time_name)
    }
}

/// Start of the window of `time_ms`; `None` out of range. The window of a time before 1970 begins before it, too.
fn window_start_ms(time_ms: i64, size_ms: i64, offset_ms: i64) -> Option<i64> {
    let from_offset = time_ms.checked_sub(offset_ms)?;
    time_ms.checked_sub(from_offset.rem_euclid(size_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_aligned_to_the_offset_before_and_after_1970() {
        for (time, size, offset, start) in [
            (0, 10, 0, 0),
            (9, 10, 0, 0),
            (10, 10, 0, 10),
            (-1, 10, 0, -10),
            (3, 10, 4, -6),
            (4, 10, 4, 4),
            (3, 10, -8, 2),
        ] {
            assert_eq!(window_start_ms(time, size, offset), Some(start), "{time} {size} {offset}");
        }
        assert_eq!(window_start_ms(i64::MIN, 10, 0), None);
    }
}
