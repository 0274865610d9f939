//! The sessions of one owner, with the rows that they hold.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMillisecondArray};
use thalweg_runtime::EventTimeMs;

use super::SessionWindows;
use crate::aggregate::AggregateError;
use crate::batch::{Batch, Ordinal, Ordinals, Stamps};
use crate::changelog::RowKinds;
use crate::route::{Applied, Routed, RowByRow};

/// Rows and bytes of rows, encoded, that leave in one batch, as far as one row is no more.
const ROWS_MAX: usize = 8 << 10;
const WEIGHT_MAX: usize = 4 << 20;

/// Bytes that a session needs beside its rows: its places in the maps and the heap, estimated.
const SESSION_BYTES: usize = size_of::<Session>() + 96;

/// Sessions that are not over, by key, and rows of those that are and have not left yet.
#[derive(Debug)]
pub struct OpenSessions {
    windows: Arc<SessionWindows>,
    /// By key, encoded, and by start. No two of one key overlap or touch, so they are ordered by their ends, too.
    open: HashMap<Key, BTreeMap<i64, Session>>,
    /// For each session an entry with its start, at its end or before: it may have grown since. Others are of sessions that
    /// have become part of others.
    due: BinaryHeap<Reverse<(i64, Key, i64)>>,
    closed: VecDeque<(i64, Session)>,
    /// Rows of the first of `closed` that have left.
    left: usize,
    late: u64,
    bytes: usize,
}

type Key = Arc<[u8]>;

/// Rows of a key without a gap.
#[derive(Debug, Default)]
struct Session {
    /// The last instant: end − 1 ms.
    last: i64,
    /// Encoded, one after the other.
    rows: Vec<u8>,
    /// Where each row ends, and its ordinal.
    ends: Vec<(usize, Ordinal)>,
}

impl Session {
    fn bytes(&self) -> usize {
        SESSION_BYTES + self.rows.capacity() + self.ends.capacity() * size_of::<(usize, Ordinal)>()
    }

    fn push(&mut self, row: &[u8], ordinal: Ordinal) {
        self.rows.extend_from_slice(row);
        self.ends.push((self.rows.len(), ordinal));
    }

    /// Takes the rows of another one in.
    fn join(&mut self, other: Self) {
        // The shorter one is copied.
        let (mut long, short) = if self.ends.len() < other.ends.len() {
            (other, std::mem::take(self))
        } else {
            (std::mem::take(self), other)
        };
        let before = long.rows.len();
        long.last = long.last.max(short.last);
        long.rows.extend_from_slice(&short.rows);
        long.ends.extend(short.ends.iter().map(|(end, ordinal)| (before + end, *ordinal)));
        *self = long;
    }

    fn row(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before].0);
        &self.rows[start..self.ends[number].0]
    }
}

impl OpenSessions {
    /// Without a session.
    #[must_use]
    pub fn new(windows: Arc<SessionWindows>) -> Self {
        let (open, due, closed) = (HashMap::new(), BinaryHeap::new(), VecDeque::new());
        Self { windows, open, due, closed, left: 0, late: 0, bytes: 0 }
    }

    /// Puts a row of `time` into the sessions of its key. False: it is late.
    fn enter(&mut self, key: &[u8], (time, stamp): (i64, i64), row: &[u8], ordinal: Ordinal) -> bool {
        let Self { windows, open, due, closed, bytes, .. } = self;
        let gap_ms = windows.spec.gap_ms;
        // Cut to what an `i64` holds, as the bounds of all windows.
        let (mut start, mut last) = (time, time.saturating_add(gap_ms - 1));
        let mut joined = Vec::new();
        if let Some(sessions) = open.get_mut(key) {
            // What no row can join any more must not lie within what others become.
            while let Some(first) = sessions.first_entry()
                && first.get().last < stamp
            {
                closed.push_back(first.remove_entry());
            }
            let before = sessions.range(..=time.saturating_add(gap_ms)).rev();
            let touching = before.take_while(|(_, session)| session.last.saturating_add(1) >= time);
            for (other, session) in touching {
                (start, last) = (start.min(*other), last.max(session.last));
                joined.push(*other);
            }
        }
        if last <= stamp && stamp != i64::MIN {
            return false;
        }
        let key: Key = open.get_key_value(key).map_or_else(|| key.into(), |(key, _)| Arc::clone(key));
        let sessions = open.entry(Arc::clone(&key)).or_default();
        let mut session = Session::default();
        for other in &joined {
            if let Some(other) = sessions.remove(other) {
                *bytes -= other.bytes();
                session.join(other);
            }
        }
        session.last = last;
        session.push(row, ordinal);
        *bytes += session.bytes();
        // A session that grows at its end has an entry already.
        if !joined.contains(&start) {
            due.push(Reverse((last, key, start)));
        }
        sessions.insert(start, session);
        true
    }

    /// Takes out the sessions that end at or before `frontier`.
    fn take_closed(&mut self, frontier: EventTimeMs) {
        let is_over = |last: i64| last < frontier.0 || frontier == EventTimeMs::END;
        while let Some(Reverse((last, _, _))) = self.due.peek()
            && is_over(*last)
            && let Some(Reverse((_, key, start))) = self.due.pop()
        {
            let Some(sessions) = self.open.get_mut(&key) else { continue };
            match sessions.get(&start).map(|session| session.last) {
                Some(last) if !is_over(last) => self.due.push(Reverse((last, key, start))),
                _ => {
                    let session = sessions.remove(&start);
                    self.closed.extend(session.map(|session| (start, session)));
                    if sessions.is_empty() {
                        self.open.remove(&key);
                    }
                }
            }
        }
    }

    /// Rows of sessions that are over; `None`: all have left.
    fn next_batch(&mut self) -> Result<Option<Batch>, AggregateError> {
        let Self { windows, closed, left, bytes, .. } = self;
        let (mut bounds, mut ordinals, mut weight) = ([const { Vec::new() }; 3], Vec::new(), 0);
        let parser = windows.row.parser();
        let mut rows = Vec::new();
        let mut done = 0;
        'sessions: for (start, session) in closed.iter() {
            for number in *left..session.ends.len() {
                let row = session.row(number);
                if !rows.is_empty() && (rows.len() == ROWS_MAX || weight + row.len() > WEIGHT_MAX) {
                    break 'sessions;
                }
                weight += row.len();
                rows.push(parser.parse(row));
                ordinals.push(session.ends[number].1);
                let end = session.last.saturating_add(1);
                bounds.iter_mut().zip([*start, end, session.last]).for_each(|(bound, time)| bound.push(time));
                *left += 1;
            }
            (*left, done) = (0, done + 1);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let mut columns = windows.row.convert_rows(rows)?;
        let fields = &windows.schema.fields()[columns.len()..];
        columns.extend(bounds.into_iter().zip(fields).map(|(bound, field)| -> ArrayRef {
            Arc::new(TimestampMillisecondArray::from(bound).with_data_type(field.data_type().clone()))
        }));
        for (_, session) in closed.drain(..done) {
            *bytes -= session.bytes();
        }
        Ok(Some(Batch {
            columns: RecordBatch::try_new(Arc::clone(&windows.schema), columns)?,
            ordinals: Ordinals::Each(ordinals.into()),
            stamps: Stamps::Uniform(EventTimeMs::MIN),
            kinds: RowKinds::Inserts,
        }))
    }
}

impl RowByRow for OpenSessions {
    fn apply(&mut self, routed: &Routed, first: usize) -> Result<Applied, AggregateError> {
        let windows = Arc::clone(&self.windows);
        let column = routed.columns.column(windows.spec.time_column);
        if column.null_count() > 0 {
            return Err(AggregateError::Mismatch("a row has no event time"));
        }
        let times = column.as_primitive::<TimestampMillisecondType>().values();
        let keys = windows.keys(&routed.columns)?;
        let encoded = windows.row.convert_columns(routed.columns.columns())?;
        let mut late = 0;
        for row in first..routed.rows() {
            let key = if windows.spec.keys.is_empty() { &[][..] } else { keys.row(row).data() };
            let at = (times[row], routed.stamps.get(row).0);
            if !self.enter(key, at, encoded.row(row).data(), routed.ordinals.get(row)) {
                late += 1;
            }
        }
        self.late += late;
        let changes = Batch {
            columns: RecordBatch::new_empty(Arc::clone(&windows.schema)),
            ordinals: Ordinals::Run(Ordinal::default()),
            stamps: Stamps::Uniform(EventTimeMs::MIN),
            kinds: RowKinds::Inserts,
        };
        Ok(Applied { rows: routed.rows() - first, changes })
    }

    fn is_windowed(&self) -> bool {
        true
    }

    fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }

    fn close(&mut self, frontier: EventTimeMs) {
        self.take_closed(frontier);
    }

    fn finish(&mut self) -> Result<Option<Batch>, AggregateError> {
        self.next_batch()
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
