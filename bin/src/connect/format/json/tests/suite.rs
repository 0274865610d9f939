//! The JSON Parsing Test Suite: what every parser must accept, must refuse, and may decide.

use arrow_schema::DataType;

use super::{Reading, field};
use crate::connect::bad_input::{BadInput, RejectReason};
use crate::connect::format::json::JsonOptions;
use crate::connect::format::json::decode::Decoder;
use crate::connect::format::json::refusal::Refused;

const CASES: &str = include_str!("../../../../../tests/corpus/json-suite/cases.txt");

/// Names and bytes of all cases.
fn cases() -> Vec<(String, Vec<u8>)> {
    let mut cases = CASES
        .lines()
        .map(|line| {
            let (name, text) = line.split_once(' ').unwrap();
            (name.to_owned(), unescaped(text))
        })
        .collect::<Vec<_>>();
    cases.push(("n_structure_100000_opening_arrays".to_owned(), vec![b'['; 100_000]));
    cases.push(("n_structure_open_array_object".to_owned(), [&b"[{\"\":".repeat(50_000)[..], b"\n"].concat()));
    cases
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(backslash) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..backslash]);
        let (byte, length) = match rest.as_bytes()[backslash + 1] {
            b'x' => (u8::from_str_radix(&rest[backslash + 2..backslash + 4], 16).unwrap(), 4),
            b's' => (b' ', 2),
            _ => (b'\\', 2),
        };
        bytes.push(byte);
        rest = &rest[backslash + length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The text as the value of a field that is read as a STRING, whatever it is, and as one that is not read.
fn as_field(text: &[u8]) -> Result<(), RejectReason> {
    let record = [b"{\"v\":", text, b"}"].concat();
    let outcomes = [vec![field("v", DataType::Utf8View)], vec![]].map(|fields| {
        let schema = std::sync::Arc::new(arrow_schema::Schema::new(fields));
        let mut decoder = Decoder::new(&schema, &JsonOptions::default()).unwrap();
        match std::str::from_utf8(&record) {
            Ok(_) => decoder.push(&record, 0).map_err(|refused| refused.reason),
            Err(error) => Err(Refused::not_utf8(&record, error.valid_up_to()).reason),
        }
    });
    assert_eq!(outcomes[0], outcomes[1], "{}", String::from_utf8_lossy(text));
    outcomes[0]
}

/// How many rows the text is as a file.
fn rows_of_file(text: &[u8]) -> usize {
    let reading = Reading::of(vec![]);
    // Only what is no text at all ends a job that passes over bad records.
    reading.read(text).map_or(0, |outcome| outcome.rows.num_rows())
}

#[test]
fn what_must_be_accepted_is_and_what_must_be_refused_is() {
    let cases = cases();
    assert_eq!(cases.len(), 318);
    for (name, text) in &cases {
        // An object over several lines is JSON, but no record: that is the one difference.
        let is_line = !text.trim_ascii().contains(&b'\n');
        let is_object = text.trim_ascii_start().starts_with(b"{") && is_line;
        if name.starts_with("y_") {
            assert_eq!(as_field(text), Ok(()), "{name}");
            assert_eq!(rows_of_file(text), usize::from(is_object), "{name}");
        } else if name.starts_with("n_") {
            assert!(as_field(text).is_err(), "{name}");
            assert_eq!(rows_of_file(text), 0, "{name}");
        }
    }
}

#[test]
fn what_may_be_decided_is_decided_so() {
    use RejectReason::{NotUtf8, Syntax, TooDeep};
    // Numbers of any size are JSON; whether they fit is for the column that reads them. Half a surrogate pair is no
    // character, and a mark of byte order belongs to a file, not to a value.
    let decide = |name: &str| match name {
        _ if name.starts_with("i_number_") => Ok(()),
        "i_structure_500_nested_arrays" => Err(TooDeep),
        "i_structure_UTF-8_BOM_empty_object" | "i_object_key_lone_2nd_surrogate" => Err(Syntax),
        _ if name.contains("surrogate") && name != "i_string_UTF8_surrogate_U+D800" => Err(Syntax),
        _ => match name {
            "i_string_UTF-16LE_with_BOM"
            | "i_string_UTF-8_invalid_sequence"
            | "i_string_UTF8_surrogate_U+D800"
            | "i_string_invalid_utf-8"
            | "i_string_iso_latin_1"
            | "i_string_lone_utf8_continuation_byte"
            | "i_string_not_in_unicode_range"
            | "i_string_overlong_sequence_2_bytes"
            | "i_string_overlong_sequence_6_bytes"
            | "i_string_overlong_sequence_6_bytes_null"
            | "i_string_truncated-utf-8"
            | "i_string_utf16BE_no_BOM"
            | "i_string_utf16LE_no_BOM" => Err(NotUtf8),
            other => panic!("{other} is not decided"),
        },
    };
    let mut decided = 0;
    for (name, text) in cases().iter().filter(|(name, _)| name.starts_with("i_")) {
        assert_eq!(as_field(text), decide(name), "{name}");
        decided += 1;
    }
    assert_eq!(decided, 35);
    // As a file, with the mark at its start, the empty object is a record.
    assert_eq!(rows_of_file(b"\xEF\xBB\xBF{}"), 1);
    let strict = Reading { bad_input: BadInput::default(), ..Reading::of(vec![]) };
    let error = strict.read(b"\xFF\xFE[\0\"\0").unwrap_err();
    assert_eq!(error.message, "f.json:1:1: the file is in UTF-16, not in UTF-8");
}
