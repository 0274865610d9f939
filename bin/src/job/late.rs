//! Late rows that are kept: found ahead of the fold that would only count them, and described for their ledger.
//!
//! Whether a row is late is decided by its stamp, here as there, so that it is the same for all strategies of sharing state.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, BooleanArray};
use thalweg_operators::batch::Batch;
use thalweg_operators::kernels::Kernels;
use thalweg_operators::spec::Windows;
use thalweg_operators::window::late_rows;

use super::account::{StageCounters, add};
use super::rejects::FailedRow;
use super::steps::number_in_block;
use super::watermark::shown;
use crate::connect::bad_input::RejectReason;
use crate::error::{Error, Result};

/// The batch without the rows all of whose `windows` are over. They are counted, and described in `late`.
pub(super) fn leave_out_late(
    (windows, kernels): (&Windows, Kernels),
    batch: Batch,
    counters: &StageCounters,
    late: &mut Vec<FailedRow>,
) -> Result<Batch> {
    let column = batch.columns.column(windows.time_column);
    if column.null_count() > 0 {
        // A fold refuses them.
        return Ok(batch);
    }
    let times = column.as_primitive::<TimestampMillisecondType>().values();
    let rows = late_rows(windows, times, &batch.stamps, kernels);
    if rows.is_empty() {
        return Ok(batch);
    }
    let schema = batch.columns.schema();
    let name = schema.field(windows.time_column).name().as_str();
    let mut kept = vec![true; batch.rows()];
    for row in rows.iter().map(|row| *row as usize) {
        kept[row] = false;
        late.push(FailedRow {
            row: number_in_block(&batch, row),
            reason: RejectReason::Late,
            field: Some(name.into()),
            message: format!(
                "late: `{name}` is {}, and the watermark was at {} by then, past the end of all windows of the row",
                shown(times[row]),
                shown(batch.stamps.get(row).0)
            ),
            help: "a greater lag in WATERMARK FOR makes fewer rows late, and all results later",
        });
    }
    add(&counters.late, rows.len() as u64);
    batch.filter(&BooleanArray::from(kept)).map_err(|error| Error::internal(error.to_string()))
}
