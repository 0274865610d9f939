//! UNNEST: a row for each value of a row's array, for each entry of its map, or for each window that holds it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int32Array, RecordBatch, RecordBatchOptions, TimestampMillisecondArray, UInt32Array,
};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use arrow_select::nullif::nullif;
use arrow_select::take::take;
use thalweg_runtime::EventTimeMs;

use crate::batch::{Batch, Ordinal, Ordinals, Stamps};
use crate::spec::Windows;
use crate::window::{PaneCursor, nth_window, windows_of};

/// Rows of a batch that comes out. Rows are made until there are as many, or as much as [`WEIGHT_MAX`] is repeated.
const ROWS_MAX: usize = 4096;

/// Bytes, estimated, of the nested values that the rows of one batch repeat: an array that is carried along into a row
/// for each of its own values grows by the square of its length.
const WEIGHT_MAX: usize = 8 << 20;

/// What is unnested, and what comes out: the kept columns, then those of the values, then the number.
#[derive(Clone, Debug)]
pub struct UnnestSpec {
    /// What a row becomes several rows by.
    pub by: UnnestBy,
    /// Columns of the input that go on, in this order.
    pub kept: Vec<usize>,
    /// LEFT JOIN: a row whose array is empty or NULL goes on with NULLs.
    pub is_outer: bool,
    /// WITH ORDINALITY: the number of the value from 1, an INT, is the last column.
    pub with_ordinality: bool,
    /// Columns that come out: a ROW within an array has one for each field, a map has two.
    pub schema: SchemaRef,
}

/// What a row becomes several rows by.
#[derive(Clone, Debug)]
pub enum UnnestBy {
    /// The values of this column of arrays or maps.
    Column(usize),
    /// The windows that hold its time, the first one first: start, end and last instant.
    Windows(Windows),
}

/// The batches that come of one batch.
#[derive(Debug)]
pub struct Unnest<'a> {
    spec: &'a UnnestSpec,
    input: &'a Batch,
    /// The next row, and the next value within it.
    row: usize,
    value: usize,
}

/// Rows that are made together.
#[derive(Default)]
struct Chunk {
    /// The row of the input that each is of.
    parents: Vec<u32>,
    /// The value that each has.
    places: Vec<Option<u32>>,
    /// Its number from 1.
    numbers: Vec<Option<i32>>,
}

impl<'a> Unnest<'a> {
    /// Over the rows of `input`.
    #[must_use]
    pub fn new(spec: &'a UnnestSpec, input: &'a Batch) -> Self {
        Self { spec, input, row: 0, value: 0 }
    }

    /// The next rows, in order; `None` after the last.
    ///
    /// # Errors
    /// `ComputeError`, if the windows of a time are out of range. Others are a bug of the caller: the column is neither a list
    /// nor a map, or the schema is another.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, ArrowError> {
        let column = match &self.spec.by {
            UnnestBy::Column(column) => self.input.columns.column(*column),
            UnnestBy::Windows(windows) => return self.next_windows(windows),
        };
        let (offsets, values) = match column.data_type() {
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                (list.value_offsets(), Arc::clone(list.values()))
            }
            DataType::Map(..) => {
                let map = column.as_map();
                (map.value_offsets(), Arc::new(map.entries().clone()) as ArrayRef)
            }
            other => return Err(ArrowError::InvalidArgumentError(format!("UNNEST of {other}"))),
        };
        let length = |row: usize| if column.is_null(row) { 0 } else { (offsets[row + 1] - offsets[row]) as usize };
        let chunk = self.chunk(|row| Ok((offsets[row] as usize, length(row))))?;
        if chunk.parents.is_empty() {
            return Ok(None);
        }
        let places = UInt32Array::from_iter(chunk.places.iter().copied());
        let columns = columns_of(take(&values, &places, None)?)?;
        self.batch(chunk, columns).map(Some)
    }

    fn next_windows(&mut self, windows: &Windows) -> Result<Option<Batch>, ArrowError> {
        let column = self.input.columns.column(windows.time_column);
        let times = column.as_primitive::<TimestampMillisecondType>();
        let out_of_range = |time: i64| ArrowError::ComputeError(format!("the windows of {time} ms are out of range"));
        let all = |row: usize| {
            let mut cursor = PaneCursor::new(windows);
            let pane = cursor.pane(EventTimeMs(times.value(row)), EventTimeMs::MIN).ok().flatten();
            pane.ok_or_else(|| out_of_range(times.value(row)))
        };
        let chunk = self.chunk(|row| Ok((0, windows_of(windows, all(row)?))))?;
        if chunk.parents.is_empty() {
            return Ok(None);
        }
        let mut bounds = [const { Vec::new() }; 3];
        for (parent, place) in chunk.parents.iter().zip(&chunk.places) {
            let window = nth_window(windows, all(*parent as usize)?, place.unwrap_or(0));
            for (bound, time) in bounds.iter_mut().zip([window.start, window.end(), window.last]) {
                bound.push(time.0);
            }
        }
        let columns = bounds.into_iter().zip(&self.spec.schema.fields()[self.spec.kept.len()..]);
        let columns = columns.map(|(bound, field)| -> ArrayRef {
            Arc::new(TimestampMillisecondArray::from(bound).with_data_type(field.data_type().clone()))
        });
        self.batch(chunk, columns.collect()).map(Some)
    }

    /// The next rows. `values`: where the values of a row begin, and how many there are.
    fn chunk(&mut self, values: impl Fn(usize) -> Result<(usize, usize), ArrowError>) -> Result<Chunk, ArrowError> {
        let mut chunk = Chunk::default();
        let mut weight = 0;
        while self.row < self.input.rows() && chunk.parents.len() < ROWS_MAX && weight < WEIGHT_MAX {
            let (start, length) = values(self.row)?;
            let parent = self.row as u32;
            let row_weight = self.row_weight(self.row);
            let fitting = (WEIGHT_MAX - weight) / row_weight.max(1);
            if fitting == 0 && !chunk.parents.is_empty() {
                break;
            }
            if length == 0 && self.spec.is_outer {
                chunk.parents.push(parent);
                chunk.places.push(None);
                chunk.numbers.push(None);
            }
            let room = (ROWS_MAX - chunk.parents.len()).min(fitting.max(1));
            let end = length.min(self.value + room);
            for value in self.value..end {
                chunk.parents.push(parent);
                chunk.places.push(Some((start + value) as u32));
                chunk.numbers.push(Some(value as i32 + 1));
            }
            weight += row_weight * (end - self.value);
            if end == length {
                (self.row, self.value) = (self.row + 1, 0);
            } else {
                self.value = end;
            }
        }
        Ok(chunk)
    }

    /// What it costs to repeat a row's nested values.
    fn row_weight(&self, row: usize) -> usize {
        self.spec.kept.iter().map(|column| nested_weight(self.input.columns.column(*column), row, row + 1)).sum()
    }

    /// The rows of a chunk, with the columns of their values.
    fn batch(&self, chunk: Chunk, values: Vec<ArrayRef>) -> Result<Batch, ArrowError> {
        let Chunk { parents, numbers, .. } = chunk;
        let ordinals: Arc<[Ordinal]> = parents
            .iter()
            .zip(&numbers)
            .map(|(parent, number)| {
                self.input.ordinals.get(*parent as usize).part(number.map_or(0, |number| number as u32))
            })
            .collect();
        let stamps = match &self.input.stamps {
            Stamps::Uniform(stamp) => Stamps::Uniform(*stamp),
            Stamps::Each(each) => Stamps::Each(parents.iter().map(|parent| each[*parent as usize]).collect()),
        };
        let kinds = self.input.kinds.of(parents.iter().map(|parent| *parent as usize));
        let rows = parents.len();
        let parents = UInt32Array::from(parents);
        let kept = self.spec.kept.iter().map(|column| take(self.input.columns.column(*column), &parents, None));
        let mut columns = kept.collect::<Result<Vec<ArrayRef>, _>>()?;
        columns.extend(values);
        if self.spec.with_ordinality {
            columns.push(Arc::new(Int32Array::from(numbers)));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = RecordBatch::try_new_with_options(Arc::clone(&self.spec.schema), columns, &options)?;
        Ok(Batch { columns, ordinals: Ordinals::Each(ordinals), stamps, kinds })
    }
}

/// A column of rows as the columns of its fields, which are NULL where the row is; any other as it is.
fn columns_of(values: ArrayRef) -> Result<Vec<ArrayRef>, ArrowError> {
    let Some(row) = values.as_struct_opt() else { return Ok(vec![values]) };
    match row.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => Ok(row.columns().to_vec()),
        Some(nulls) => {
            let is_null = BooleanArray::new(!nulls.inner(), None);
            row.columns().iter().map(|column| nullif(column, &is_null)).collect()
        }
    }
}

/// An estimate of the bytes of the nested values of some rows; 0 for a column that is not nested.
fn nested_weight(array: &ArrayRef, start: usize, end: usize) -> usize {
    /// Of one value.
    const VALUE: usize = 16;
    let within = |values: &ArrayRef, offsets: &[i32]| {
        let (first, last) = (offsets[start] as usize, offsets[end] as usize);
        (last - first) * VALUE + nested_weight(values, first, last)
    };
    match array.data_type() {
        DataType::List(_) => within(array.as_list::<i32>().values(), array.as_list::<i32>().value_offsets()),
        DataType::Map(..) => {
            let map = array.as_map();
            within(map.keys(), map.value_offsets()) + within(map.values(), map.value_offsets())
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter();
            (end - start) * fields.len() * VALUE
                + columns.map(|column| nested_weight(column, start, end)).sum::<usize>()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::types::Int32Type;
    use arrow_array::{Int64Array, ListArray, StructArray};
    use arrow_buffer::{NullBuffer, OffsetBuffer};
    use arrow_schema::{Field, Fields, Schema};

    use super::*;
    use crate::changelog::RowKinds;

    fn batch(lists: ArrayRef) -> Batch {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..lists.len() as i64));
        let fields = vec![Field::new("id", DataType::Int64, false), Field::new("l", lists.data_type().clone(), true)];
        Batch {
            columns: RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![ids, lists]).unwrap(),
            ordinals: Ordinals::Run(Ordinal::of_row(7)),
            stamps: Stamps::Uniform(EventTimeMs::MIN),
            kinds: RowKinds::Inserts,
        }
    }

    fn spec(of: &[DataType], kept: Vec<usize>, is_outer: bool) -> UnnestSpec {
        let mut fields = vec![Field::new("id", DataType::Int64, false)];
        if kept.len() > 1 {
            let element = Arc::new(Field::new("item", DataType::Int32, true));
            fields.push(Field::new("l", DataType::List(element), true));
        }
        fields.extend(of.iter().enumerate().map(|(i, t)| Field::new(format!("v{i}"), t.clone(), true)));
        fields.push(Field::new("n", DataType::Int32, true));
        UnnestSpec {
            by: UnnestBy::Column(1),
            kept,
            is_outer,
            with_ordinality: true,
            schema: Arc::new(Schema::new(fields)),
        }
    }

    fn all(spec: &UnnestSpec, input: &Batch) -> Vec<Batch> {
        let mut unnest = Unnest::new(spec, input);
        std::iter::from_fn(|| unnest.next_batch().unwrap()).collect()
    }

    type Line = (i64, Option<i32>, Option<i32>, Ordinal);

    fn lines(batches: &[Batch], value: usize) -> Vec<Line> {
        let ints = |batch: &Batch, column: usize, row: usize| {
            let column = batch.columns.column(column).as_primitive::<Int32Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        let line = |batch: &Batch, row: usize| {
            let id = batch.columns.column(0).as_primitive::<arrow_array::types::Int64Type>().value(row);
            let last = batch.columns.num_columns() - 1;
            (id, ints(batch, value, row), ints(batch, last, row), batch.ordinals.get(row))
        };
        batches.iter().flat_map(|batch| (0..batch.rows()).map(move |row| line(batch, row))).collect()
    }

    fn lists(rows: &[Option<&[Option<i32>]>]) -> ListArray {
        let mut builder = ListBuilder::new(Int32Builder::new());
        for row in rows {
            match row {
                Some(values) => builder.append_value(values.iter().copied()),
                None => builder.append_null(),
            }
        }
        builder.finish()
    }

    fn at(row: u128, part: u128) -> Ordinal {
        Ordinal { row, part }
    }

    #[test]
    fn each_value_becomes_a_row_in_order_and_sliced_lists_count_from_their_own_start() {
        let whole = lists(&[Some(&[Some(9)]), Some(&[Some(1), None]), None, Some(&[]), Some(&[Some(3)])]);
        let input = batch(Arc::new(whole.slice(1, 4)));
        let inner = all(&spec(&[DataType::Int32], vec![0], false), &input);
        let expected =
            [(0, Some(1), Some(1), at(7, 1)), (0, None, Some(2), at(7, 2)), (3, Some(3), Some(1), at(10, 1))];
        assert_eq!(lines(&inner, 1), expected);
        let outer = lines(&all(&spec(&[DataType::Int32], vec![0], true), &input), 1);
        assert_eq!(outer.len(), 5);
        assert_eq!(outer[2..4], [(1, None, None, at(8, 0)), (2, None, None, at(9, 0))]);
    }

    #[test]
    fn a_null_list_hides_what_lies_beneath_it() {
        let values = arrow_array::Int32Array::from(vec![1, 2, 3]);
        let field = Arc::new(Field::new("item", DataType::Int32, true));
        let nulls = Some(NullBuffer::from(vec![false, true]));
        let list = ListArray::new(field, OffsetBuffer::from_lengths([2, 1]), Arc::new(values), nulls);
        let made = all(&spec(&[DataType::Int32], vec![0], false), &batch(Arc::new(list)));
        assert_eq!(lines(&made, 1), [(1, Some(3), Some(1), at(8, 1))]);
    }

    #[test]
    fn a_row_within_becomes_columns_and_a_null_row_nulls() {
        let fields: Fields =
            vec![Field::new("a", DataType::Int32, false), Field::new("b", DataType::Int32, true)].into();
        let a: ArrayRef = Arc::new(arrow_array::Int32Array::from(vec![1, 2]));
        let rows = StructArray::new(fields.clone(), vec![Arc::clone(&a), a], Some(NullBuffer::from(vec![true, false])));
        let element = Arc::new(Field::new("element", DataType::Struct(fields), true));
        let list = ListArray::new(element, OffsetBuffer::from_lengths([2]), Arc::new(rows), None);
        let made = all(&spec(&[DataType::Int32, DataType::Int32], vec![0], false), &batch(Arc::new(list)));
        assert_eq!(lines(&made, 1), [(0, Some(1), Some(1), at(7, 1)), (0, None, Some(2), at(7, 2))]);
        assert_eq!(lines(&made, 2), lines(&made, 1));
    }

    #[test]
    fn long_arrays_come_in_bounded_batches_with_ordinals_that_rise() {
        let long: Vec<Option<i32>> = (0..10_000).map(Some).collect();
        let input = batch(Arc::new(lists(&[Some(&long), Some(&long)])));
        let made = all(&spec(&[DataType::Int32], vec![0], false), &input);
        assert!(made.iter().all(|batch| batch.rows() <= ROWS_MAX));
        let rows = lines(&made, 1);
        assert_eq!(rows.len(), 20_000);
        assert!(rows.windows(2).all(|pair| pair[0].3 < pair[1].3));
        assert_eq!(rows[10_000], (1, Some(0), Some(1), at(8, 1)));
        // Where the array itself goes on, fewer rows of it fit.
        let heavy = all(&spec(&[DataType::Int32], vec![0, 1], false), &input);
        assert_eq!(lines(&heavy, 2), rows);
        assert!(heavy.iter().all(|batch| batch.rows() * 16 * 10_000 <= WEIGHT_MAX));
    }
}
