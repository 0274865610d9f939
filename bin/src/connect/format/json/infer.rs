//! Columns and types of JSON lines that nobody declared, from samples of their beginnings.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::kinds::Kinds;
use super::options::{JsonOptions, TimestampFormat};
use super::refusal::Refused;
use super::scan::{Broken, Quoted, Scanner, SyntaxFault, unescape};
use crate::connect::infer::Sample;
use crate::error::{Error, Result};

/// Records that are looked at, over all samples, but for [`FILE_RECORDS_MIN`].
const SAMPLE_RECORDS: usize = 20_480;

/// Records of each sample that are looked at in any case.
const FILE_RECORDS_MIN: usize = 1_024;

/// Finds the columns of tables of JSON that begin with `samples`, at least one, and completes `options` with the format of
/// timestamps that was found.
///
/// A column is BOOLEAN, BIGINT, DECIMAL(38, 0) (whole numbers beyond 64 bits), DOUBLE, STRING, DATE, TIMESTAMP or
/// TIMESTAMP_LTZ (of precision 3, or what is needed), if all its values in the samples are; ROW if they are objects, ARRAY if
/// they are arrays, with fields and elements found the same way; STRING, which takes the text of any value, if they are of
/// different kinds. Objects of very many names are a MAP. Columns and fields come in the order in which they appear first. At most the
/// first 20,480 records are looked at, or, of many files, an equal part of that in each; lines that are no records are
/// passed over.
///
/// # Errors
/// `Connector`, if there is no line; `Data`, if the first line is no record, and no other is.
pub fn infer(samples: &[Sample], options: &JsonOptions) -> Result<(SchemaRef, JsonOptions)> {
    let Some(lead) = samples.iter().find(|sample| !sample.text.is_empty()).or(samples.first()) else {
        return Err(Error::internal("columns are inferred from no sample"));
    };
    let records_max = (SAMPLE_RECORDS / samples.len()).max(FILE_RECORDS_MIN);
    let seen = samples.par_iter().map(|sample| see(sample, records_max)).collect::<Result<Vec<_>>>()?;
    let mut all = Kinds::default();
    let (mut records, mut first_error) = (0, None);
    for seen in seen {
        all.join(seen.kinds);
        records += seen.records;
        first_error = first_error.or(seen.first_error);
    }
    if records == 0 {
        return Err(first_error.unwrap_or_else(|| {
            Error::connector(format!("`{}` holds no record to infer columns from", lead.origin)).help(
                "declare the columns: CREATE TABLE t (…) WITH ('connector' = 'filesystem', 'path' = '…', 'format' = \
                 'json')",
            )
        }));
    }
    let timestamps = all.timestamp_format().unwrap_or(options.timestamps);
    let schema = Arc::new(Schema::new(all.columns(timestamps)));
    Ok((schema, JsonOptions { timestamps, inferred_from: Some(records), ..options.clone() }))
}

/// What a sample shows.
struct Seen {
    kinds: Kinds,
    records: u64,
    /// What is wrong with the first line that is no record.
    first_error: Option<Error>,
}

fn see(sample: &Sample, records_max: usize) -> Result<Seen> {
    let text = &sample.text[..];
    if text.starts_with(b"\xFF\xFE") || text.starts_with(b"\xFE\xFF") {
        return Err(Error::data(format!("{}:1:1: the file is in UTF-16, not in UTF-8", sample.origin))
            .help("convert it, for example with `iconv -f UTF-16 -t UTF-8`"));
    }
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    // What is cut off in the middle of a line says nothing.
    let end = match memchr::memrchr(b'\n', text) {
        Some(newline) if !sample.is_whole => newline,
        _ => text.len(),
    };
    let mut seen = Seen { kinds: Kinds::default(), records: 0, first_error: None };
    for (number, line) in text[..end].split(|&byte| byte == b'\n').enumerate() {
        if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            continue;
        }
        let refused = match see_record(line) {
            Ok(record) => {
                seen.kinds.join(record);
                seen.records += 1;
                None
            }
            Err(refused) => Some(refused),
        };
        if let (Some(refused), None) = (refused, &seen.first_error) {
            let column = String::from_utf8_lossy(&line[..refused.at.min(line.len())]).chars().count() + 1;
            let (origin, message) = (&sample.origin, refused.message);
            let error = Error::data(format!("{origin}:{}:{column}: {message}", number + 1)).help(refused.help);
            seen.first_error = Some(error);
        }
        if seen.records as usize == records_max {
            break;
        }
    }
    Ok(seen)
}

fn see_record(line: &[u8]) -> std::result::Result<Kinds, Refused> {
    if let Err(error) = std::str::from_utf8(line) {
        return Err(Refused::not_utf8(line, error.valid_up_to()));
    }
    let mut scanner = Scanner::new(line, 0);
    scanner.space();
    let is_object = scanner.peek() == Some(b'{');
    let start = scanner.at();
    let mut read = || {
        let kinds = see_value(&mut scanner)?;
        scanner.space();
        match scanner.peek() {
            None if is_object => Ok(kinds),
            None => Err(Broken { at: start, fault: SyntaxFault::NoObject }),
            Some(_) => Err(scanner.trailing()),
        }
    };
    read().map_err(|broken| Refused::broken(line, broken))
}

fn see_value(scanner: &mut Scanner<'_>) -> std::result::Result<Kinds, Broken> {
    let text = scanner.text();
    Ok(match scanner.peek() {
        Some(b'"') => {
            let quoted = scanner.string()?;
            Kinds::of_text(&plain(text, quoted))
        }
        Some(b'-' | b'0'..=b'9') => {
            let number = scanner.number()?;
            Kinds::of_number(&text[number.start..number.end], number.is_whole)
        }
        Some(b'{') => {
            scanner.open()?;
            let mut kinds = Kinds::of_object();
            let mut is_first = true;
            while let Some(key) = scanner.key(is_first)? {
                is_first = false;
                let value = see_value(scanner)?;
                kinds.join_field(&String::from_utf8_lossy(&plain(text, key)), value);
            }
            kinds
        }
        Some(b'[') => {
            scanner.open()?;
            let mut kinds = Kinds::of_array();
            let mut is_first = true;
            while scanner.element(is_first)? {
                is_first = false;
                kinds.join_element(see_value(scanner)?);
            }
            kinds
        }
        Some(b't') => scanner.word(b"true").map(|()| Kinds::of_boolean())?,
        Some(b'f') => scanner.word(b"false").map(|()| Kinds::of_boolean())?,
        Some(b'n') => scanner.word(b"null").map(|()| Kinds::default())?,
        _ => return Err(scanner.no_value()),
    })
}

fn plain(text: &[u8], quoted: Quoted) -> Vec<u8> {
    let mut plain = Vec::with_capacity(quoted.end - quoted.start);
    unescape(text, quoted, &mut plain);
    plain
}

impl TimestampFormat {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Sql, Self::Iso];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::format::csv::type_name;

    fn sample(text: &str) -> Sample {
        Sample { origin: "t.json".to_owned(), text: text.as_bytes().to_vec(), is_whole: true }
    }

    fn types(samples: &[Sample]) -> (Vec<String>, JsonOptions) {
        let (schema, options) = infer(samples, &JsonOptions::default()).unwrap();
        let column = |field: &Arc<arrow_schema::Field>| format!("{} {}", field.name(), type_name(field.data_type()));
        (schema.fields().iter().map(column).collect(), options)
    }

    #[test]
    fn types_are_those_of_all_values() {
        let text = r#"
            {"i":1,"d":1,"b":true,"s":"x","day":"2024-02-29","ts":"2023-11-14 22:13:20.1","z":"2023-11-14 22:13:20Z","n":null}
            {"i":-5,"d":2.5e3,"b":false,"s":"1","day":"2024-03-01","ts":"2023-11-14 22:13:20.1234","z":null}
            {"long":12345678901234567890,"huge":1e999,"mixed":1,"word":"12"}
            {"long":1,"huge":1,"mixed":"x","word":"13"}"#;
        let (columns, options) = types(&[sample(text)]);
        let expected = [
            "i BIGINT",
            "d DOUBLE",
            "b BOOLEAN",
            "s STRING",
            "day DATE",
            "ts TIMESTAMP(6)",
            "z TIMESTAMP_LTZ(3)",
            "n STRING",
            "long DECIMAL(38, 0)",
            "huge STRING",
            "mixed STRING",
            "word STRING",
        ];
        assert_eq!(columns, expected);
        assert_eq!((options.inferred_from, options.timestamps), (Some(4), TimestampFormat::Sql));
    }

    #[test]
    fn nested_values_are_joined_over_records_and_samples() {
        let one = sample("{\"r\":{\"x\":1},\"a\":[1,null]}\n{\"a\":[]}");
        let other =
            sample("{\"a\":[2.5],\"r\":{\"y\":[{\"z\":true}],\"x\":2},\"e\":{},\"o\":[[]]}\n{\"r\":null,\"m\":[1,{}]}");
        let (columns, _) = types(&[one, other]);
        let expected = [
            "r ROW<`x` BIGINT, `y` ARRAY<ROW<`z` BOOLEAN>>>",
            "a ARRAY<DOUBLE>",
            "e STRING",
            "o ARRAY<ARRAY<STRING>>",
            "m ARRAY<STRING>",
        ];
        assert_eq!(columns, expected);
    }

    #[test]
    fn the_first_timestamp_says_the_format_and_others_are_texts() {
        let text = "{\"a\":{\"t\":\"2023-11-14T22:13\"},\"b\":\"2023-11-14 22:13:20\",\"c\":\"2023-11-14T22:13:20.123456789Z\"}";
        let (columns, options) = types(&[sample(text)]);
        assert_eq!(columns, ["a ROW<`t` TIMESTAMP(3)>", "b STRING", "c TIMESTAMP_LTZ(9)"]);
        assert_eq!(options.timestamps, TimestampFormat::Iso);
    }

    #[test]
    fn objects_of_very_many_names_are_maps() {
        let fields = (0..300).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",");
        let (columns, _) = types(&[sample(&format!("{{\"m\":{{{fields}}}}}"))]);
        assert_eq!(columns, ["m MAP<STRING, BIGINT>"]);
    }

    #[test]
    fn deep_nesting_ends_in_text() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        let (columns, _) = types(&[sample(&text)]);
        assert!(columns[0].contains("STRING") && columns[0].len() < 200, "{columns:?}");
    }

    #[test]
    fn lines_that_are_no_records_are_passed_over_unless_all_are() {
        let (columns, options) = types(&[sample("no\n{\"a\":1}\n[2]\n"), sample("{\"a\":")]);
        assert_eq!((columns, options.inferred_from), (vec!["a BIGINT".to_owned()], Some(1)));
        let error = infer(&[sample("[\n  {\"a\": 1},\n")], &JsonOptions::default()).unwrap_err();
        assert_eq!(error.message, "t.json:1:2: the line ends in the middle of the record");
        let error = infer(&[sample("\n[{\"é\":1}]\n")], &JsonOptions::default()).unwrap_err();
        assert!(error.message.starts_with("t.json:2:1: a record is an object"), "{}", error.message);
        let error = infer(&[sample("\n")], &JsonOptions::default()).unwrap_err();
        assert_eq!(error.message, "`t.json` holds no record to infer columns from");
        let cut = Sample { is_whole: false, ..sample("{\"a\":1}\n{\"a\":2.5") };
        assert_eq!(types(&[cut]).0, ["a BIGINT"]);
    }
}
