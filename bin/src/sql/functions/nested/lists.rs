//! Arrays as arguments, and arrays made of the values of arguments.

use std::ops::Range;

use arrow_array::{Array, ArrayRef};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_select::interleave::interleave;

use crate::error::{Error, Result};
use crate::sql::functions::binding::{Argument, Value};
use crate::sql::functions::columns::all_null;
use crate::sql::functions::conditional::no_common_type;
use crate::sql::functions::entries::Entries;
use crate::sql::types::FlinkType;
use crate::sql::typing::common_type;

/// The arrays or maps of an argument.
pub(super) struct Lists {
    pub(super) entries: Entries,
    stride: usize,
}

impl Lists {
    pub(super) fn of(argument: &Value) -> Result<Self, String> {
        Ok(Self { entries: Entries::of(&argument.array)?, stride: argument.stride() })
    }

    /// The places of a row's values; `None` if the row is NULL.
    pub(super) fn get(&self, row: usize) -> Option<Range<usize>> {
        let entry = row * self.stride;
        (!self.entries.is_null(entry)).then(|| self.entries.range(entry))
    }

    pub(super) fn values(&self) -> &ArrayRef {
        &self.entries.values
    }
}

/// New arrays, row after row, of values that stand in several columns.
#[derive(Default)]
pub(super) struct NewLists {
    /// Column and place of each value.
    places: Vec<(usize, usize)>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
    start: usize,
}

impl NewLists {
    /// Adds a value to the array of the row.
    pub(super) fn push(&mut self, source: usize, place: usize) {
        self.places.push((source, place));
    }

    pub(super) fn extend(&mut self, source: usize, places: impl Iterator<Item = usize>) {
        self.places.extend(places.map(|place| (source, place)));
    }

    /// Ends the array of the row; `is_valid` is false where it is NULL, and then it must have no values.
    pub(super) fn end(&mut self, is_valid: bool) {
        self.lengths.push(self.places.len() - self.start);
        self.valid.push(is_valid);
        self.start = self.places.len();
    }

    /// The column of type `flink`, from the columns that the places are in.
    pub(super) fn finish(self, sources: &[&ArrayRef], flink: FlinkType) -> Result<ArrayRef, String> {
        if self.places.is_empty() {
            let all_are_null = self.valid.iter().all(|valid| !valid);
            if all_are_null {
                return Ok(all_null(flink, self.valid.len()));
            }
        }
        let arrays: Vec<&dyn Array> = sources.iter().map(|source| source.as_ref()).collect();
        let values = interleave(&arrays, &self.places).map_err(|error| error.to_string())?;
        let total = i32::try_from(self.places.len()).map_err(|_| "arrays of more than 2^31 values in one batch")?;
        debug_assert!(total >= 0);
        let nulls = NullBuffer::from(self.valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        Entries { values, offsets: OffsetBuffer::from_lengths(self.lengths), nulls }.into_array(flink)
    }
}

/// The type of the values of the argument at `place`, which is an ARRAY.
pub(super) fn element(name: &str, usage: &str, arguments: &[Argument], place: usize) -> Result<FlinkType> {
    match arguments.get(place).map(|argument| argument.flink) {
        Some(FlinkType::Array(element)) => Ok(element.flink),
        Some(other) => {
            Err(Error::statement(format!("argument {} of {name} is an ARRAY, not {other}", place + 1)).help(usage))
        }
        None => Err(Error::internal(format!("{name} has no argument {}", place + 1))),
    }
}

/// The type that the values of these types have in common.
pub(super) fn common(name: &str, types: &[FlinkType]) -> Result<FlinkType> {
    common_type(types).ok_or_else(|| no_common_type(name, types))
}

/// As many arguments as there may be.
pub(super) fn expect(name: &str, usage: &str, arguments: &[Argument], counts: Range<usize>) -> Result<()> {
    if counts.contains(&arguments.len()) {
        return Ok(());
    }
    let expected = match (counts.start, counts.end) {
        (1, 2) => "one argument".to_owned(),
        (few, usize::MAX) => format!("at least {few}"),
        (few, end) if end == few + 1 => format!("{few} arguments"),
        (few, end) => format!("{few} to {} arguments", end - 1),
    };
    Err(Error::statement(format!("{name} takes {expected}, not {}", arguments.len())).help(usage))
}
