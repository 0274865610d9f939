//! A source's watermark: what its rows are stamped with, and which rows have no event time that could be accepted.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, BooleanArray, PrimitiveArray};
use arrow_select::filter::filter;
use chrono::DateTime;
use thalweg_operators::batch::{Batch, Stamps};
use thalweg_operators::extent::extent;
use thalweg_operators::kernels::Kernels;
use thalweg_runtime::EventTimeMs;

use super::account::{StageCounters, add};
use super::event_time::Chain;
use super::rejects::{FailedRow, evaluate, salvage};
use super::steps;
use crate::connect::bad_input::RejectReason;
use crate::error::{Error, Result};
use crate::plan::{Table, WatermarkStrategy};

/// How rows are stamped, and with whom.
pub(super) struct Watermark {
    pub(super) time_column: usize,
    pub(super) strategy: WatermarkStrategy,
    pub(super) future: Option<Future>,
    pub(super) chain: Arc<Chain>,
    pub(super) kernels: Kernels,
}

/// How far ahead an event time may be, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Future {
    /// Ahead of the greatest event time before it: for input that gives the same rows again. Its first row is accepted.
    OfProgress(i64),
    /// Ahead of the wall clock: for live input.
    OfClock(i64),
}

impl Future {
    /// What `table` says.
    pub(super) fn of(table: &Table) -> Option<Self> {
        let limit_ms = table.connector.bad_input()?.future_ms_max?;
        Some(if table.connector.is_bounded() { Self::OfProgress(limit_ms) } else { Self::OfClock(limit_ms) })
    }
}

/// Rows that are looked at as one where it is asked whether any is late.
const SPAN_ROWS: usize = 256;

/// What the watermark needs to know of a batch's rows.
pub(super) struct RowTimes {
    /// Watermark value of each row: what it makes certain once it has passed.
    values: PrimitiveArray<TimestampMillisecondType>,
    /// Subtracted from `values`.
    lag_ms: i64,
    /// Of [`SPAN_ROWS`] rows each.
    spans: Vec<Span>,
    least_time: EventTimeMs,
    pub(super) greatest_time: EventTimeMs,
    /// Greatest watermark value.
    pub(super) greatest: EventTimeMs,
}

/// A few rows, one after the other.
#[derive(Clone, Copy)]
struct Span {
    least_time: i64,
    /// Greatest of `values`, without the lag.
    greatest_value: i64,
}

impl RowTimes {
    fn new(
        time: &PrimitiveArray<TimestampMillisecondType>,
        values: PrimitiveArray<TimestampMillisecondType>,
        lag_ms: i64,
        kernels: Kernels,
    ) -> Self {
        let is_time = values.values().ptr_eq(time.values()) && values.null_count() == 0;
        let (mut least_time, mut greatest_time, mut greatest) = (i64::MAX, i64::MIN, i64::MIN);
        let mut spans = Vec::with_capacity(time.len().div_ceil(SPAN_ROWS));
        for (number, times) in time.values().chunks(SPAN_ROWS).enumerate() {
            let (least, latest) = extent(times, kernels);
            let rows = number * SPAN_ROWS..number * SPAN_ROWS + times.len();
            let greatest_value = match (is_time, values.null_count()) {
                (true, _) => latest,
                (false, 0) => extent(&values.values()[rows], kernels).1,
                // A NULL promises nothing.
                _ => rows.filter(|&row| values.is_valid(row)).map(|row| values.value(row)).max().unwrap_or(i64::MIN),
            };
            (least_time, greatest_time) = (least_time.min(least), greatest_time.max(latest));
            greatest = greatest.max(greatest_value);
            spans.push(Span { least_time: least, greatest_value });
        }
        Self {
            values,
            lag_ms,
            spans,
            least_time: EventTimeMs(least_time),
            greatest_time: EventTimeMs(greatest_time),
            greatest: EventTimeMs(greatest.saturating_sub(lag_ms)),
        }
    }

    /// Whether it is certain that every row is above its own stamp, given the watermark `before` and that of the others.
    fn are_all_above(&self, before: EventTimeMs, others: EventTimeMs) -> bool {
        let mut running = before.0;
        self.spans.iter().all(|span| {
            running = running.max(span.greatest_value.saturating_sub(self.lag_ms));
            span.least_time > running.min(others.0)
        })
    }
}

impl Watermark {
    /// The times of a batch's rows, of which those that have none are left out; `None` if no row is left.
    pub(super) fn times(
        &self,
        batch: &mut Batch,
        counters: &StageCounters,
        failed: &mut Vec<FailedRow>,
    ) -> Result<Option<RowTimes>> {
        if let Some(nulls) = batch.columns.column(self.time_column).nulls().filter(|nulls| nulls.null_count() > 0) {
            let kept = BooleanArray::new(nulls.inner().clone(), None);
            let message = |name: &str, _| format!("event time `{name}` is NULL");
            self.leave_out(batch, &kept, RejectReason::Null, message, counters, failed)?;
        }
        if let Some(Future::OfClock(limit_ms)) = self.future {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            let now = i64::try_from(now).unwrap_or(i64::MAX);
            let latest = now.saturating_add(limit_ms);
            let kept: Vec<bool> = self.time(batch).values().iter().map(|&time| time <= latest).collect();
            if kept.contains(&false) {
                let message = |name: &str, time| {
                    format!("event time `{name}` is {}, more than {limit_ms} ms ahead of the clock", shown(time))
                };
                self.leave_out(batch, &kept.into(), RejectReason::Future, message, counters, failed)?;
            }
        }
        let (values, lag_ms) = match &self.strategy {
            WatermarkStrategy::Lag(lag_ms) => (self.time(batch).clone(), *lag_ms),
            WatermarkStrategy::Expression(expression) => {
                let expression = std::slice::from_ref(expression);
                let values = match evaluate(expression, &batch.columns) {
                    Ok(values) => values,
                    Err(_) => {
                        let salvaged = salvage(expression, &batch.columns)?;
                        steps::leave_out(salvaged, None, batch, counters, failed)?
                    }
                };
                (values[0].as_primitive::<TimestampMillisecondType>().clone(), 0)
            }
        };
        Ok((batch.rows() > 0).then(|| RowTimes::new(self.time(batch), values, lag_ms, self.kernels)))
    }

    /// Whether all rows up to `greatest` may follow when `reached` is the greatest event time before them.
    pub(super) fn reaches(&self, reached: EventTimeMs, greatest: EventTimeMs) -> bool {
        match self.future {
            Some(Future::OfProgress(limit_ms)) => greatest.0 <= reached.0.saturating_add(limit_ms),
            Some(Future::OfClock(_)) | None => true,
        }
    }

    /// Leaves out the rows that are further ahead than `max-future` of all before them, of which `reached` is the greatest
    /// event time; moves that on. `None` if no row is left.
    pub(super) fn reject_future(
        &self,
        times: RowTimes,
        reached: &mut EventTimeMs,
        batch: &mut Batch,
        counters: &StageCounters,
        failed: &mut Vec<FailedRow>,
    ) -> Result<Option<RowTimes>> {
        let Some(Future::OfProgress(limit_ms)) = self.future else { return Ok(Some(times)) };
        let keep = |&time: &i64| {
            let is_kept = *reached == EventTimeMs::MIN || time <= reached.0.saturating_add(limit_ms);
            if is_kept {
                *reached = EventTimeMs(reached.0.max(time));
            }
            is_kept
        };
        let kept: Vec<bool> = self.time(batch).values().iter().map(keep).collect();
        if !kept.contains(&false) {
            return Ok(Some(times));
        }
        let kept = BooleanArray::from(kept);
        let message = |name: &str, time| {
            format!("event time `{name}` is {}, more than {limit_ms} ms ahead of all rows before it", shown(time))
        };
        self.leave_out(batch, &kept, RejectReason::Future, message, counters, failed)?;
        let values = filter(&times.values, &kept).map_err(|error| Error::internal(error.to_string()))?;
        let values = values.as_primitive::<TimestampMillisecondType>().clone();
        Ok((batch.rows() > 0).then(|| RowTimes::new(self.time(batch), values, times.lag_ms, self.kernels)))
    }

    fn time<'a>(&self, batch: &'a Batch) -> &'a PrimitiveArray<TimestampMillisecondType> {
        batch.columns.column(self.time_column).as_primitive::<TimestampMillisecondType>()
    }

    fn leave_out(
        &self,
        batch: &mut Batch,
        kept: &BooleanArray,
        reason: RejectReason,
        message: impl Fn(&str, i64) -> String,
        counters: &StageCounters,
        failed: &mut Vec<FailedRow>,
    ) -> Result<()> {
        let schema = batch.columns.schema();
        let name = schema.field(self.time_column).name().as_str();
        let time = self.time(batch);
        let before = failed.len();
        failed.extend((0..kept.len()).filter(|&row| !kept.value(row)).map(|row| FailedRow {
            row: steps::number_in_block(batch, row),
            reason,
            field: Some(name.into()),
            message: message(name, time.value(row)),
            help: match reason {
                RejectReason::Null => {
                    "give such rows a time by a computed column with COALESCE, or set 'on-error' = 'skip'"
                }
                _ => "raise 'max-future', or set 'on-error' = 'skip' to go on without such rows",
            },
        }));
        add(&counters.failed, (failed.len() - before) as u64);
        *batch = batch.filter(kept).map_err(|error| Error::internal(error.to_string()))?;
        Ok(())
    }
}

/// A time as text, for messages.
pub(super) fn shown(time_ms: i64) -> String {
    DateTime::from_timestamp_millis(time_ms)
        .map_or_else(|| format!("{time_ms} ms"), |time| time.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

/// The stamps of a batch's rows and the watermark after them, given the watermark `before` and that of the other sources.
pub(super) fn stamps(times: Option<&RowTimes>, before: EventTimeMs, others: EventTimeMs) -> (Stamps, EventTimeMs) {
    let Some(times) = times else { return (Stamps::Uniform(before.min(others)), before) };
    let after = before.max(times.greatest);
    // No row at or below its stamp: whatever window holds it ends later still, so none can be late and one stamp for
    // all decides the same.
    if before == after || times.least_time > after.min(others) || times.are_all_above(before, others) {
        return (Stamps::Uniform(before.min(others)), after);
    }
    let mut running = before.0;
    let each = (0..times.values.len()).map(|row| {
        let stamp = EventTimeMs(running).min(others);
        if times.values.is_valid(row) {
            running = running.max(times.values.value(row).saturating_sub(times.lag_ms));
        }
        stamp
    });
    (Stamps::Each(each.collect()), after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row_times(values: &[i64], lag_ms: i64) -> RowTimes {
        let values = PrimitiveArray::from(values.to_vec());
        RowTimes::new(&values.clone(), values, lag_ms, Kernels::default())
    }

    #[test]
    fn a_row_is_stamped_with_the_watermark_of_the_rows_before_it() {
        let times = row_times(&[100, 300, 50, 400], 10);
        let (stamps, after) = stamps(Some(&times), EventTimeMs(60), EventTimeMs::END);
        let each: Vec<i64> = (0..4).map(|row| stamps.get(row).0).collect();
        assert_eq!((each, after.0), (vec![60, 90, 290, 290], 390));
    }

    #[test]
    fn a_batch_without_a_row_below_its_last_stamp_has_one_stamp() {
        let times = row_times(&[100, 101, 102], 50);
        let (stamps, after) = stamps(Some(&times), EventTimeMs(40), EventTimeMs::END);
        assert!(matches!(stamps, Stamps::Uniform(EventTimeMs(40))));
        assert_eq!(after.0, 52);
    }

    #[test]
    fn a_batch_that_spans_more_than_the_lag_has_one_stamp_while_no_row_is_late() {
        let ahead: Vec<i64> = (0..4096).collect();
        let (stamps_of, after) = stamps(Some(&row_times(&ahead, 300)), EventTimeMs(-500), EventTimeMs::END);
        assert!(matches!(stamps_of, Stamps::Uniform(EventTimeMs(-500))));
        assert_eq!(after.0, 3795);
        let mut with_late = ahead;
        with_late[3000] = 2699;
        let (stamps_of, _) = stamps(Some(&row_times(&with_late, 300)), EventTimeMs(-500), EventTimeMs::END);
        assert_eq!((stamps_of.get(0).0, stamps_of.get(3000).0, stamps_of.get(4095).0), (-500, 2699, 3794));
    }

    proptest! {
        #[test]
        fn one_stamp_for_all_makes_no_row_late_and_none_that_was_late_early(
            steps in proptest::collection::vec(-40..60_i64, 1..900),
            nulls in proptest::collection::vec(any::<bool>(), 900),
            is_own in any::<bool>(),
            (lag_ms, before, others) in (0..1500_i64, -100..100_i64, prop_oneof![Just(i64::MAX), -50..5000_i64]),
        ) {
            let mut time = 0;
            let times: Vec<i64> = steps.iter().map(|step| { time += step; time }).collect();
            let times = PrimitiveArray::<TimestampMillisecondType>::from(times);
            // A watermark of the time itself, or of an expression that has no value now and then.
            let values = match is_own {
                true => times.clone(),
                false => times.iter().zip(&nulls).map(|(time, null)| time.filter(|_| !null)).collect(),
            };
            let row_times = RowTimes::new(&times, values.clone(), lag_ms, Kernels::default());
            let (found, after) = stamps(Some(&row_times), EventTimeMs(before), EventTimeMs(others));
            let mut running = before;
            for row in 0..times.len() {
                let stamp = running.min(others);
                prop_assert_eq!(times.value(row) <= found.get(row).0, times.value(row) <= stamp, "row {}", row);
                prop_assert!(found.get(row).0 <= stamp);
                running = running.max(if values.is_valid(row) { values.value(row) - lag_ms } else { i64::MIN });
            }
            prop_assert_eq!(after.0, running);
        }
    }

    #[test]
    fn another_source_that_is_behind_holds_every_stamp_back() {
        let times = row_times(&[100, 300, 50, 400], 10);
        let (stamps, after) = stamps(Some(&times), EventTimeMs(60), EventTimeMs(70));
        let each: Vec<i64> = (0..4).map(|row| stamps.get(row).0).collect();
        assert_eq!((each, after.0), (vec![60, 70, 70, 70], 390));
    }
}
