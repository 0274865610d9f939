//! Which rows of a file need not be read: by the statistics of its row groups and pages, and by Bloom filters.
//!
//! Nothing here decides about a row that may pass: what is unknown, damaged or of an order that is not certain is read.

use std::cmp::Ordering;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, UInt64Array};
use arrow_ord::ord::make_comparator;
use arrow_schema::{DataType, SortOptions};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::basic::Type;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::contained::contained;
use super::file::FileBytes;
use super::schema::ProjectedColumn;
use crate::plan::pruning::{Comparison, Test};

/// Indexes of pages, or a Bloom filter, at most: more is not worth reading.
const INDEX_BYTES_MAX: u64 = 64 << 20;

/// One test and the column of the file that it is of.
#[derive(Clone, Copy)]
pub struct FileTest<'a> {
    /// What is asked.
    pub test: &'a Test,
    /// Of what.
    pub column: &'a ProjectedColumn,
}

/// The rows of each row group that may pass all tests: ascending, apart, and none empty.
#[must_use]
pub fn kept(bytes: &FileBytes, metadata: &ParquetMetaData, tests: &[FileTest<'_>]) -> Vec<Vec<Range<u64>>> {
    let all = |group: usize| std::iter::once(0..metadata.row_group(group).num_rows() as u64);
    let mut kept: Vec<Vec<Range<u64>>> =
        (0..metadata.num_row_groups()).map(|group| all(group).filter(|rows| !rows.is_empty()).collect()).collect();
    // Of a column that is nested, statistics are of its elements; INT96 has none to rely on.
    let is_plain = |test: &&FileTest<'_>| {
        let [leaf] = test.column.leaves[..] else { return false };
        let physical = metadata.file_metadata().schema_descr().column(leaf).physical_type();
        !test.column.field.data_type().is_nested() && physical != Type::INT96
    };
    let tests: Vec<FileTest<'_>> = tests.iter().filter(is_plain).copied().collect();
    for test in &tests {
        let judged = contained(|| by_statistics(metadata, test));
        let Ok(judged) = judged else { continue };
        kept.iter_mut().zip(judged).filter(|(_, may_pass)| !may_pass).for_each(|(rows, _)| rows.clear());
    }
    for (group, rows) in kept.iter_mut().enumerate() {
        let is_out = |test: &FileTest<'_>| contained(|| by_bloom_filter(bytes, metadata, test, group)) == Ok(false);
        if !rows.is_empty() && tests.iter().any(is_out) {
            rows.clear();
        }
    }
    if !tests.is_empty() && kept.iter().any(|rows| !rows.is_empty()) {
        let _ = contained(|| by_pages(bytes, metadata, &tests, &mut kept));
    }
    kept
}

/// For each row group whether one of its rows may pass.
fn by_statistics(metadata: &ParquetMetaData, test: &FileTest<'_>) -> Result<Vec<bool>, ParquetError> {
    let leaf = test.column.leaves[0];
    let converter = converter(metadata, test)?;
    let groups = metadata.row_groups();
    let bounds = Bounds {
        least: test.column.column.bounds(&converter.row_group_mins(groups)?)?,
        greatest: test.column.column.bounds(&converter.row_group_maxes(groups)?)?,
        nulls: converter.row_group_null_counts(groups)?,
    };
    let judged = groups.iter().enumerate().map(|(group, row_group)| {
        // Of old statistics it is not certain by which order they are the least and greatest.
        let statistics = row_group.column(leaf).statistics();
        let is_known = statistics.is_none_or(|found| !found.is_min_max_deprecated());
        bounds.may_pass(test.test, group, row_group.num_rows() as u64, is_known)
    });
    Ok(judged.collect())
}

fn converter<'a>(metadata: &'a ParquetMetaData, test: &FileTest<'a>) -> Result<StatisticsConverter<'a>, ParquetError> {
    let schema = metadata.file_metadata().schema_descr();
    let converter = StatisticsConverter::from_column_index(test.column.leaves[0], &test.column.field, schema)?;
    Ok(converter.with_missing_null_counts_as_zero(false))
}

/// Whether a row of the group may pass, by its Bloom filter.
fn by_bloom_filter(
    bytes: &FileBytes,
    metadata: &ParquetMetaData,
    test: &FileTest<'_>,
    group: usize,
) -> Result<bool, ParquetError> {
    let values = match test.test {
        Test::Compare(Comparison::Eq, value) => value,
        Test::In(values) => values,
        _ => return Ok(true),
    };
    let chunk = metadata.row_group(group).column(test.column.leaves[0]);
    let is_small =
        chunk.bloom_filter_length().is_some_and(|length| (0..=INDEX_BYTES_MAX as i64).contains(&i64::from(length)));
    // What is in the filter are the file's values: only where the table's are the same.
    let is_same = test.column.field.data_type() == values.data_type();
    if !is_small || !is_same {
        return Ok(true);
    }
    let Some(filter) = Sbbf::read_from_column_chunk(chunk, bytes)? else { return Ok(true) };
    let may_have = |row: usize| match values.data_type() {
        DataType::Int32 => filter.check(&values.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => filter.check(&values.as_primitive::<Int64Type>().value(row)),
        DataType::Utf8View => filter.check(values.as_string_view().value(row)),
        DataType::BinaryView => filter.check(values.as_binary_view().value(row)),
        _ => true,
    };
    Ok((0..values.len()).any(may_have))
}

/// Leaves out of `kept` the rows of pages that cannot pass.
fn by_pages(
    bytes: &FileBytes,
    metadata: &ParquetMetaData,
    tests: &[FileTest<'_>],
    kept: &mut [Vec<Range<u64>>],
) -> Result<(), ParquetError> {
    let columns = || metadata.row_groups().iter().flat_map(|group| group.columns());
    let sizes = columns().flat_map(|column| [column.column_index_length(), column.offset_index_length()]);
    let total: i64 = sizes.flatten().map(i64::from).sum();
    let has_all = columns().all(|column| column.column_index_length().is_some_and(|length| length >= 0));
    if !has_all || !(1..=INDEX_BYTES_MAX as i64).contains(&total) || index_span(metadata) > INDEX_BYTES_MAX {
        return Ok(());
    }
    let mut reader =
        ParquetMetaDataReader::new_with_metadata(metadata.clone()).with_page_index_policy(PageIndexPolicy::Optional);
    reader.read_page_indexes(bytes)?;
    let indexed = reader.finish()?;
    let (Some(columns), Some(offsets)) = (indexed.column_index(), indexed.offset_index()) else { return Ok(()) };
    for test in tests {
        let leaf = test.column.leaves[0];
        let converter = converter(&indexed, test)?;
        for (group, rows) in kept.iter_mut().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            let locations = offsets[group][leaf].page_locations();
            let ends = page_ends(
                &locations.iter().map(|page| page.first_row_index).collect::<Vec<_>>(),
                indexed.row_group(group).num_rows(),
            );
            let Some(ends) = ends else { continue };
            let bounds = Bounds {
                least: test.column.column.bounds(&converter.data_page_mins(columns, offsets, [&group])?)?,
                greatest: test.column.column.bounds(&converter.data_page_maxes(columns, offsets, [&group])?)?,
                nulls: converter.data_page_null_counts(columns, offsets, [&group])?,
            };
            if bounds.least.len() != ends.len()
                || bounds.greatest.len() != ends.len()
                || bounds.nulls.len() != ends.len()
            {
                continue;
            }
            let pages = ends.into_iter().enumerate();
            let passing = pages.filter(|(page, rows)| bounds.may_pass(test.test, *page, rows.end - rows.start, true));
            *rows = intersection(rows, &passing.map(|(_, rows)| rows).collect::<Vec<_>>());
        }
    }
    Ok(())
}

/// Bytes from the first index of pages to the end of the last, which the decoder reads at once.
fn index_span(metadata: &ParquetMetaData) -> u64 {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let places = columns.flat_map(|column| {
        [
            (column.column_index_offset(), column.column_index_length()),
            (column.offset_index_offset(), column.offset_index_length()),
        ]
    });
    let (mut first, mut last) = (u64::MAX, 0);
    for (offset, length) in places {
        if let (Some(offset), Some(length)) = (offset, length) {
            let (Ok(offset), Ok(length)) = (u64::try_from(offset), u64::try_from(length)) else { return u64::MAX };
            (first, last) = (first.min(offset), last.max(offset.saturating_add(length)));
        }
    }
    last.saturating_sub(first)
}

/// The rows of each page; `None` if they are not one after the other.
fn page_ends(firsts: &[i64], rows: i64) -> Option<Vec<Range<u64>>> {
    if firsts.first() != Some(&0) {
        return None;
    }
    let ends = firsts.iter().skip(1).copied().chain([rows]);
    firsts
        .iter()
        .zip(ends)
        .map(|(&first, end)| (first < end && end <= rows).then_some(first as u64..end as u64))
        .collect()
}

/// The rows that are in both; each is ascending.
fn intersection(left: &[Range<u64>], right: &[Range<u64>]) -> Vec<Range<u64>> {
    let (mut both, mut l, mut r): (Vec<Range<u64>>, usize, usize) = (Vec::new(), 0, 0);
    while let (Some(a), Some(b)) = (left.get(l), right.get(r)) {
        let (start, end) = (a.start.max(b.start), a.end.min(b.end));
        if start < end {
            match both.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => both.push(start..end),
            }
        }
        if a.end < b.end { l += 1 } else { r += 1 }
    }
    both
}

/// What is known of runs of rows: of each the least and greatest value, as the table has them, and the number of NULL.
struct Bounds {
    least: ArrayRef,
    greatest: ArrayRef,
    nulls: UInt64Array,
}

impl Bounds {
    /// Whether a row of run `run`, which has `rows`, may pass. `is_known`: its least and greatest may be relied on.
    fn may_pass(&self, test: &Test, run: usize, rows: u64, is_known: bool) -> bool {
        let nulls = self.nulls.is_valid(run).then(|| self.nulls.value(run));
        match test {
            Test::IsNull => nulls != Some(0),
            Test::IsNotNull => nulls != Some(rows),
            Test::Compare(..) | Test::In(_) if nulls == Some(rows) => false,
            Test::Compare(..) | Test::In(_) if !is_known => true,
            Test::Compare(comparison, value) => self.may_compare(*comparison, value, 0, run),
            Test::In(values) => (0..values.len()).any(|value| self.may_compare(Comparison::Eq, values, value, run)),
        }
    }

    fn may_compare(&self, comparison: Comparison, values: &ArrayRef, value: usize, run: usize) -> bool {
        let least = || compare(&self.least, run, values, value);
        let greatest = || compare(&self.greatest, run, values, value);
        let is_out = match comparison {
            Comparison::Eq => least() == Some(Ordering::Greater) || greatest() == Some(Ordering::Less),
            Comparison::Lt => least().is_some_and(Ordering::is_ge),
            Comparison::LtEq => least() == Some(Ordering::Greater),
            Comparison::Gt => greatest().is_some_and(Ordering::is_le),
            Comparison::GtEq => greatest() == Some(Ordering::Less),
        };
        !is_out
    }
}

/// How a bound compares with a value, as SQL has it: floats by IEEE 754. `None` if that is not known.
fn compare(bounds: &ArrayRef, run: usize, values: &ArrayRef, value: usize) -> Option<Ordering> {
    if bounds.is_null(run) || values.is_null(value) || bounds.data_type() != values.data_type() {
        return None;
    }
    match bounds.data_type() {
        DataType::Float32 => bounds
            .as_primitive::<Float32Type>()
            .value(run)
            .partial_cmp(&values.as_primitive::<Float32Type>().value(value)),
        DataType::Float64 => bounds
            .as_primitive::<Float64Type>()
            .value(run)
            .partial_cmp(&values.as_primitive::<Float64Type>().value(value)),
        _ => Some(make_comparator(bounds, values, SortOptions::default()).ok()?(run, value)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array};

    use super::*;

    #[test]
    fn only_what_cannot_pass_is_left_out() {
        use Comparison::{Eq, Gt, GtEq, Lt, LtEq};
        let bounds = Bounds {
            least: Arc::new(Int64Array::from(vec![Some(3), None])),
            greatest: Arc::new(Int64Array::from(vec![Some(5), None])),
            nulls: vec![Some(1), None].into(),
        };
        for (comparison, value, passes) in [
            (Eq, 2, false),
            (Eq, 3, true),
            (Eq, 6, false),
            (Lt, 3, false),
            (Lt, 4, true),
            (LtEq, 2, false),
            (LtEq, 3, true),
            (Gt, 5, false),
            (Gt, 4, true),
            (GtEq, 6, false),
            (GtEq, 5, true),
        ] {
            let test = Test::Compare(comparison, Arc::new(Int64Array::from(vec![value])));
            assert_eq!(bounds.may_pass(&test, 0, 9, true), passes, "{comparison:?} {value}");
            assert!(bounds.may_pass(&test, 0, 9, false), "of an order that is not certain");
            assert!(bounds.may_pass(&test, 1, 9, true), "unknown");
            assert!(!bounds.may_pass(&test, 0, 1, true), "all are NULL");
        }
        assert!(bounds.may_pass(&Test::IsNull, 0, 9, true) && bounds.may_pass(&Test::IsNotNull, 1, 9, true));
        assert!(!bounds.may_pass(&Test::IsNotNull, 0, 1, true));
        let list = |values: Vec<i64>| Test::In(Arc::new(Int64Array::from(values)));
        assert!(!bounds.may_pass(&list(vec![1, 9]), 0, 9, true) && bounds.may_pass(&list(vec![1, 4]), 0, 9, true));
    }

    #[test]
    fn floats_compare_as_ieee_has_it() {
        let of = |least, greatest| Bounds {
            least: Arc::new(Float64Array::from(vec![least])),
            greatest: Arc::new(Float64Array::from(vec![greatest])),
            nulls: vec![Some(0)].into(),
        };
        let eq = |value| Test::Compare(Comparison::Eq, Arc::new(Float64Array::from(vec![value])));
        assert!(of(0.0, 1.0).may_pass(&eq(-0.0), 0, 9, true));
        assert!(of(f64::NAN, f64::NAN).may_pass(&eq(1.0), 0, 9, true));
        assert!(of(0.0, 1.0).may_pass(&eq(f64::NAN), 0, 9, true));
        assert!(!of(0.0, 1.0).may_pass(&eq(2.0), 0, 9, true));
    }

    #[test]
    fn ranges_that_meet_become_one() {
        assert_eq!(intersection(&[0..10, 20..30], &[0..5, 5..7, 9..22, 25..40]), [0..7, 9..10, 20..22, 25..30]);
        assert_eq!(page_ends(&[0, 4, 9], 12), Some(vec![0..4, 4..9, 9..12]));
        for firsts in [vec![], vec![1, 4], vec![0, 0, 4], vec![0, 12], vec![0, 5, 3]] {
            assert_eq!(page_ends(&firsts, 12), None, "{firsts:?}");
        }
    }
}
