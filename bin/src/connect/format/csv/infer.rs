//! Columns, types, delimiter and header of files that nobody declared, from samples of their beginnings.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::number;
use super::options::{CsvOptions, Header};
use super::quoting::unquoted;
use super::temporal::{self, DateCache, Instant};
use crate::connect::format::text::{Dialect, Scan, Stop};
use crate::connect::infer::Sample;
use crate::error::{Error, InputPlace, Result};

/// Records that are looked at, over all samples, but for [`FILE_RECORDS_MIN`].
const SAMPLE_RECORDS: usize = 20_480;

/// Records of each sample that are looked at in any case.
const FILE_RECORDS_MIN: usize = 1_024;

/// Texts that stand for "no value" in files of the wild. One of them is taken as NULL, if a column would otherwise not be
/// of the type of all its other values.
const NULL_TEXTS: [&str; 5] = ["NA", "N/A", "null", "NULL", "\\N"];

/// Finds the columns of tables of CSV that begin with `samples`, at least one, and completes `options` with the delimiter,
/// header and NULL literal that were found. A delimiter other than `,`, a header other than [`Header::Auto`] and a NULL
/// literal are left as they are.
///
/// Names, delimiter and header are those of the first sample that is not empty. A column is BIGINT, DOUBLE, BOOLEAN, DATE,
/// TIMESTAMP or TIMESTAMP_LTZ (of precision 3, or what is needed), if all its values in the samples are; else STRING. So
/// are whole numbers with leading zeros or beyond 64 bits. At most the first 20,480 records are looked at, or, of many
/// files, an equal part of that in each.
///
/// # Errors
/// `Connector`, if there is no record; `Data`, if it is not CSV in UTF-8.
pub fn infer(samples: &[Sample], options: &CsvOptions) -> Result<(SchemaRef, CsvOptions)> {
    let mut found = options.clone();
    let Some(lead) = samples.iter().find(|sample| !sample.text.is_empty()).or(samples.first()) else {
        return Err(Error::internal("columns are inferred from no sample"));
    };
    let text = text_of(lead)?;
    if options.dialect.delimiter == Some(b',') {
        found.dialect.delimiter = Some(delimiter(text, lead.is_whole, found.dialect));
    }
    let records_max = (SAMPLE_RECORDS / samples.len()).max(FILE_RECORDS_MIN);
    let first_records = records(text, lead.is_whole, found.dialect, records_max + 1);
    let Some(first) = first_records.first() else {
        return Err(Error::connector(format!("`{}` holds no record to infer columns from", lead.origin)).help(
            "declare the columns: CREATE TABLE t (…) WITH ('connector' = 'filesystem', 'path' = '…', 'format' = 'csv')",
        ));
    };
    let has_header = match options.header {
        Header::Present => true,
        Header::Absent | Header::Ignored => false,
        Header::Auto => looks_like_header(&first_records, options.null_literal.as_deref()),
    };
    let names = match has_header {
        true => header_names(first, &lead.origin)?,
        false => (1..=first.len()).map(|n| format!("c{n}")).collect(),
    };
    let (dialect, null_literal) = (found.dialect, options.null_literal.as_deref());
    let is_skipped = has_header || options.header == Header::Ignored;
    let columns = Columns { names: &names, has_header, is_skipped, dialect, null_literal };
    let seen = samples.par_iter().map(|sample| columns.see(sample, records_max)).collect::<Result<Vec<_>>>()?;
    let mut kinds = vec![Kinds::default(); names.len()];
    let mut rows = 0;
    for (seen, records) in &seen {
        kinds.iter_mut().zip(seen).for_each(|(kinds, seen)| kinds.join(seen));
        rows += records;
    }
    if found.null_literal.is_none() {
        found.null_literal = needed_null_text(&kinds).map(str::to_owned);
    }
    let types = kinds.iter().map(|kinds| kinds.data_type(found.null_literal.as_deref()));
    let fields = names.iter().zip(types).map(|(name, data_type)| Field::new(name, data_type, true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    found.header = match options.header {
        Header::Ignored => Header::Ignored,
        _ if has_header => Header::Present,
        _ => Header::Absent,
    };
    found.inferred_from = Some(rows);
    Ok((schema, found))
}

/// The columns that the first sample has, looked for in each.
struct Columns<'a> {
    names: &'a [String],
    has_header: bool,
    /// The first record is no row.
    is_skipped: bool,
    dialect: Dialect,
    null_literal: Option<&'a str>,
}

impl Columns<'_> {
    /// What the values of each column can be in a sample, and how many records say so. A file whose header does not name
    /// all columns says nothing: reading it will tell.
    fn see(&self, sample: &Sample, records_max: usize) -> Result<(Vec<Kinds>, u64)> {
        let mut kinds = vec![Kinds::default(); self.names.len()];
        let records = records(text_of(sample)?, sample.is_whole, self.dialect, records_max + 1);
        let Some(first) = records.first() else { return Ok((kinds, 0)) };
        let place = |name: &String| first.iter().position(|value| value.text == *name);
        let places: Option<Vec<usize>> = match self.has_header {
            true => self.names.iter().map(place).collect(),
            false => Some((0..self.names.len()).collect()),
        };
        let Some(places) = places else { return Ok((kinds, 0)) };
        let fields = if self.has_header { first.len() } else { self.names.len() };
        let rows = records[usize::from(self.is_skipped)..].iter().filter(|record| record.len() == fields);
        let mut count = 0;
        for row in rows.take(records_max) {
            count += 1;
            for (kinds, &place) in kinds.iter_mut().zip(&places) {
                kinds.see(&row[place], self.null_literal);
            }
        }
        Ok((kinds, count))
    }
}

/// The text of a sample without its byte order mark.
fn text_of(sample: &Sample) -> Result<&[u8]> {
    let text = &sample.text[..];
    if text.starts_with(b"\xFF\xFE") || text.starts_with(b"\xFE\xFF") {
        return Err(Error::data_at(InputPlace::start_of(&sample.origin), "the file is in UTF-16, not in UTF-8")
            .help("convert it, for example with `iconv -f UTF-16 -t UTF-8`"));
    }
    Ok(text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text))
}

/// A field of the sample.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Value {
    text: String,
    is_quoted: bool,
}

/// The first records of a text that are not blank.
fn records(text: &[u8], is_whole: bool, dialect: Dialect, records_max: usize) -> Vec<Vec<Value>> {
    let mut ended = text.to_vec();
    if is_whole && ended.last().is_some_and(|&last| last != b'\n') {
        ended.push(b'\n');
    }
    let mut records = Vec::new();
    let mut at = 0;
    let mut positions = Vec::new();
    while at < ended.len() && records.len() < records_max {
        if dialect.comments && ended[at] == b'#' {
            at = memchr::memchr(b'\n', &ended[at..]).map_or(ended.len(), |newline| at + newline + 1);
            continue;
        }
        positions.clear();
        let mut scan = Scan::default();
        let stop = scan.run(&ended[at..], dialect, usize::MAX - 1, |place| positions.push(place));
        let end = match stop {
            Some(Stop::End(newline)) => newline,
            Some(Stop::Fault(fault)) => match fault.newline {
                // As when it is read: a broken record costs its lines.
                Some(newline) => {
                    at += newline + 1;
                    continue;
                }
                None => break,
            },
            None => match scan.at_end().newline.filter(|_| is_whole) {
                Some(newline) => {
                    at += newline + 1;
                    continue;
                }
                None => break,
            },
        };
        let mut record = Vec::with_capacity(positions.len() + 1);
        let mut start = at;
        for position in positions.iter().map(|place| at + place).chain([at + end]) {
            record.push(value(&ended[start..position], position == at + end, dialect));
            start = position + 1;
        }
        let is_blank = record.len() == 1 && record[0].text.is_empty() && !record[0].is_quoted;
        if !is_blank {
            records.push(record);
        }
        at += end + 1;
    }
    records
}

fn value(field: &[u8], is_last: bool, dialect: Dialect) -> Value {
    let field = if is_last { field.strip_suffix(b"\r").unwrap_or(field) } else { field };
    let text = unquoted(field, dialect);
    let is_quoted = dialect.quote.is_some() && field.first() == dialect.quote.as_ref();
    let text = String::from_utf8_lossy(text.as_deref().unwrap_or(field)).into_owned();
    Value { text, is_quoted }
}

/// The delimiter with which the first records have the same number of fields, and most of them.
fn delimiter(text: &[u8], is_whole: bool, dialect: Dialect) -> u8 {
    let score = |delimiter: u8| {
        let records = records(text, is_whole, Dialect { delimiter: Some(delimiter), ..dialect }, 64);
        let fields = records.first().map_or(0, Vec::len);
        let is_even = records.iter().all(|record| record.len() == fields);
        (is_even && fields > 1, fields)
    };
    // The first of equals is the last that `max_by_key` meets.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|&delimiter| score(delimiter)).unwrap_or(b',')
}

/// Whether the first record names the columns: each field is a distinct word, and either some column of the others has
/// another type, or, if all are strings, none of the words comes again in its column.
fn looks_like_header(records: &[Vec<Value>], null_literal: Option<&str>) -> bool {
    let Some((first, others)) = records.split_first() else { return false };
    let is_word = |value: &Value| {
        let mut alone = Kinds::default();
        alone.see(value, None);
        !value.text.trim().is_empty() && alone.data_type(None) == DataType::Utf8View && !value.text.contains('\n')
    };
    // One column may be without a name: tables with an index column are often written so.
    let unnamed = first.iter().filter(|value| value.text.trim().is_empty()).count();
    let are_words =
        first.iter().all(|value| is_word(value) || value.text.is_empty()) && unnamed <= 1 && unnamed < first.len();
    let are_distinct =
        first.iter().enumerate().all(|(n, value)| first[..n].iter().all(|other| other.text != value.text));
    if !are_words || !are_distinct {
        return false;
    }
    (0..first.len()).any(|column| {
        let mut kinds = Kinds::default();
        let values = others.iter().filter(|record| record.len() == first.len()).map(|record| &record[column]);
        values.for_each(|value| kinds.see(value, null_literal));
        let literal = null_literal.or_else(|| needed_null_text(std::slice::from_ref(&kinds)));
        kinds.values > 0 && kinds.data_type(literal) != DataType::Utf8View
    }) || (0..first.len()).all(|column| {
        others.iter().filter_map(|record| record.get(column)).all(|value| value.text != first[column].text)
    })
}

fn header_names(first: &[Value], origin: &str) -> Result<Vec<String>> {
    for (number, value) in first.iter().enumerate() {
        if first[..number].iter().any(|earlier| earlier.text == value.text) {
            return Err(Error::data_at(
                InputPlace::start_of(origin),
                format!("the header names column `{}` more than once", value.text),
            )
            .help("rename one of them, or declare the columns and set 'csv.header' = 'false'"));
        }
    }
    Ok(first.iter().map(|value| value.text.clone()).collect())
}

/// The text that stands for NULL in most of the columns that need one.
fn needed_null_text(kinds: &[Kinds]) -> Option<&'static str> {
    let count = |number: &usize| -> u64 {
        kinds.iter().filter(|kinds| kinds.typed().is_some()).map(|kinds| kinds.null_texts[*number]).sum()
    };
    let most = (0..NULL_TEXTS.len()).rev().max_by_key(count)?;
    (count(&most) > 0).then_some(NULL_TEXTS[most])
}

/// What the values of a column can all be.
#[derive(Clone, Debug)]
struct Kinds {
    /// Values that are not NULL, whatever NULL will turn out to be.
    values: u64,
    /// By [`NULL_TEXTS`]: how often it occurs.
    null_texts: [u64; NULL_TEXTS.len()],
    integer: bool,
    double: bool,
    boolean: bool,
    date: bool,
    timestamp: bool,
    timestamp_ltz: bool,
    /// Most digits of a fraction of a second.
    fraction_digits: usize,
    /// Some timestamp does not fit 64 bits of nanoseconds.
    is_beyond_nanos: bool,
    dates: DateCache,
}

impl Default for Kinds {
    fn default() -> Self {
        Self {
            values: 0,
            null_texts: [0; NULL_TEXTS.len()],
            integer: true,
            double: true,
            boolean: true,
            date: true,
            timestamp: true,
            timestamp_ltz: true,
            fraction_digits: 0,
            is_beyond_nanos: false,
            dates: DateCache::default(),
        }
    }
}

impl Kinds {
    fn see(&mut self, value: &Value, null_literal: Option<&str>) {
        let text = value.text.trim_matches(|character: char| character.is_ascii_whitespace());
        if !value.is_quoted {
            if value.text.is_empty() || null_literal == Some(&value.text) {
                return;
            }
            let number = NULL_TEXTS.iter().position(|null_text| *null_text == value.text);
            if let (Some(number), None) = (number, null_literal) {
                self.null_texts[number] += 1;
                return;
            }
        }
        self.values += 1;
        let bytes = text.as_bytes();
        let is_number = !has_leading_zero(bytes);
        let is_integer = is_number && number::integer(bytes, 0, bytes.len()).is_ok();
        self.integer &= is_integer;
        self.double &= is_number
            && !is_long_integer(bytes, is_integer)
            && starts_number(bytes)
            && number::double(bytes, 0, bytes.len()).is_ok();
        self.boolean &= text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
        self.date &= temporal::date(bytes).is_some();
        let local = temporal::timestamp(bytes, &mut self.dates);
        self.timestamp &= local.is_some();
        let zoned = temporal::timestamp_with_zone(bytes, &mut self.dates);
        self.timestamp_ltz &= zoned.is_some();
        if let Some(instant) = local.or(zoned) {
            self.see_precision(bytes, instant);
        }
    }

    /// Adds what another part of the column is.
    fn join(&mut self, other: &Self) {
        self.values += other.values;
        self.null_texts.iter_mut().zip(other.null_texts).for_each(|(count, more)| *count += more);
        self.integer &= other.integer;
        self.double &= other.double;
        self.boolean &= other.boolean;
        self.date &= other.date;
        self.timestamp &= other.timestamp;
        self.timestamp_ltz &= other.timestamp_ltz;
        self.fraction_digits = self.fraction_digits.max(other.fraction_digits);
        self.is_beyond_nanos |= other.is_beyond_nanos;
    }

    fn see_precision(&mut self, text: &[u8], instant: Instant) {
        let fraction = text.get(19..).and_then(|rest| rest.strip_prefix(b".")).unwrap_or_default();
        let digits = fraction.iter().take_while(|digit| digit.is_ascii_digit()).count();
        self.fraction_digits = self.fraction_digits.max(digits);
        self.is_beyond_nanos |= instant.in_units(1_000_000_000).is_none();
    }

    /// The type if it is not STRING, texts for NULL left aside.
    fn typed(&self) -> Option<DataType> {
        let unit = match self.fraction_digits {
            0..=3 => TimeUnit::Millisecond,
            7.. if !self.is_beyond_nanos => TimeUnit::Nanosecond,
            _ => TimeUnit::Microsecond,
        };
        match self {
            _ if self.values == 0 => None,
            _ if self.integer => Some(DataType::Int64),
            _ if self.double => Some(DataType::Float64),
            _ if self.boolean => Some(DataType::Boolean),
            _ if self.date => Some(DataType::Date32),
            _ if self.timestamp => Some(DataType::Timestamp(unit, None)),
            _ if self.timestamp_ltz => Some(DataType::Timestamp(unit, Some("UTC".into()))),
            _ => None,
        }
    }

    /// The type, if this text is NULL and no other.
    fn data_type(&self, null_literal: Option<&str>) -> DataType {
        let mut others = NULL_TEXTS.iter().zip(self.null_texts).filter(|(text, _)| null_literal != Some(**text));
        let has_other = others.any(|(_, count)| count > 0);
        self.typed().filter(|_| !has_other).unwrap_or(DataType::Utf8View)
    }
}

/// `007` is a name, not a number: as a number it would lose its zeros.
fn has_leading_zero(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    matches!(digits, [b'0', b'0'..=b'9', ..])
}

/// A whole number beyond 64 bits is a name too: as a DOUBLE it would lose its last digits.
fn is_long_integer(text: &[u8], is_integer: bool) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    !is_integer && digits.iter().all(u8::is_ascii_digit)
}

/// Words like `Infinity` and `NaN` are numbers where a DOUBLE is declared, but do not make one.
fn starts_number(text: &[u8]) -> bool {
    text.iter().find(|byte| !matches!(byte, b'-' | b'+' | b'.')).is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred_as(text: &str, options: &CsvOptions) -> Result<(Vec<(String, DataType)>, CsvOptions)> {
        let sample = Sample { origin: "t.csv".to_owned(), text: text.as_bytes().to_vec(), is_whole: true };
        let (schema, options) = infer(&[sample], options)?;
        Ok((schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect(), options))
    }

    fn inferred(text: &str) -> (Vec<(String, DataType)>, CsvOptions) {
        inferred_as(text, &CsvOptions::default()).unwrap()
    }

    #[test]
    fn types_are_those_of_all_values() {
        let text = "i,d,b,day,ts,z,n,zip,long,none\n\
            1,1,true,2023-01-01,2023-01-01 00:00:00.1,2023-01-01T00:00:00Z,1,007,99999999999999999999,\n\
            -5,2.5e3,FALSE,2023-02-28,2023-01-01 00:00:00.1234,2023-01-01 00:00:00.5Z,x,12,1,\n";
        let (columns, options) = inferred(text);
        let expected = [
            ("i", DataType::Int64),
            ("d", DataType::Float64),
            ("b", DataType::Boolean),
            ("day", DataType::Date32),
            ("ts", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ("z", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
            ("n", DataType::Utf8View),
            ("zip", DataType::Utf8View),
            ("long", DataType::Utf8View),
            ("none", DataType::Utf8View),
        ];
        assert_eq!(columns, expected.map(|(name, data_type)| (name.to_owned(), data_type)));
        assert_eq!((options.header, options.inferred_from), (Header::Present, Some(2)));
        assert_eq!(options.null_literal, None);
    }

    #[test]
    fn a_header_is_told_from_a_row() {
        for (text, header, first) in [
            ("1,2\n3,4\n", Header::Absent, "c1"),
            ("a,2\n3,4\n", Header::Absent, "c1"),
            ("id,name\n3,x\n", Header::Present, "id"),
            ("city,name\nRome,x\n", Header::Present, "city"),
            ("Rome,x\nOslo,y\nRome,z\n", Header::Absent, "c1"),
            ("a,a\n1,2\n", Header::Absent, "c1"),
            ("id,name\n", Header::Present, "id"),
            (",x\n0,1\n", Header::Present, ""),
        ] {
            let (columns, options) = inferred(text);
            assert_eq!((options.header, columns[0].0.as_str()), (header, first), "{text}");
        }
        let forced = CsvOptions { header: Header::Present, ..CsvOptions::default() };
        assert_eq!(inferred_as("2019,2020\n1,2\n", &forced).unwrap().0[1].0, "2020");
    }

    #[test]
    fn delimiters_are_found() {
        for (text, expected) in [
            ("a;b\n1,5;2\n3;4\n", b';'),
            ("a|b,c\n1|2\n", b'|'),
            ("a\tb\n1\t2\n", b'\t'),
            ("\"a;b\",c\n\"1;2\",3\n", b','),
            ("a\n1\n", b','),
        ] {
            let (_, options) = inferred_as(text, &CsvOptions::default()).unwrap();
            assert_eq!(options.dialect.delimiter, Some(expected), "{text}");
        }
    }

    #[test]
    fn one_text_stands_for_null() {
        let (columns, options) = inferred("a,b,c\n1,NA,x\nNA,2.5,NA\n3,null,\n");
        assert_eq!(options.null_literal.as_deref(), Some("NA"));
        assert_eq!(columns[0].1, DataType::Int64);
        assert_eq!(columns[1].1, DataType::Utf8View, "two texts for NULL in one column");
        let (columns, options) = inferred("a,b\nNA,x\nNA,y\n");
        assert_eq!((options.null_literal, &columns[0].1), (None, &DataType::Utf8View));
    }

    #[test]
    fn what_cannot_be_inferred_says_why() {
        let error = inferred_as("", &CsvOptions::default()).unwrap_err();
        assert!(error.message.ends_with("holds no record to infer columns from"), "{}", error.message);
        assert!(inferred_as("\u{FEFF}a\n1\n", &CsvOptions::default()).is_ok());
        let forced = CsvOptions { header: Header::Present, ..CsvOptions::default() };
        assert!(inferred_as("a,a\n1,2\n", &forced).is_err());
    }
}
