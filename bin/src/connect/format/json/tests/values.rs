//! Which text becomes which value of which type, and what is refused, where, and why.

use arrow_schema::{DataType, Field, TimeUnit};

use super::super::{JsonOptions, TimestampFormat};
use super::{Reading, field, list_of, map_of, row_of, written};
use crate::connect::bad_input::{BadInput, RejectReason};

/// The value under `v` as it is written again, or why it is refused.
fn read(data_type: &DataType, value: &str, options: &JsonOptions) -> Result<String, RejectReason> {
    let reading = Reading { options: options.clone(), ..Reading::of(vec![field("v", data_type.clone())]) };
    let outcome = reading.read(format!("{{\"v\":{value}}}").as_bytes()).unwrap();
    match outcome.rejects.first() {
        Some(reject) => Err(reject.reason),
        None => {
            let line = written(&outcome.rows, options);
            Ok(line.trim_end().strip_prefix("{\"v\":").unwrap().strip_suffix('}').unwrap().to_owned())
        }
    }
}

#[test]
fn a_value_becomes_what_its_column_asks_for() {
    use DataType::{BinaryView, Boolean, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Utf8View};
    use RejectReason::{Malformed, OutOfRange};
    let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let time = DataType::Time32(TimeUnit::Millisecond);
    let row = row_of(vec![field("a", Int64), field("b", Utf8View)]);
    let same = |data_type: DataType, value: &'static str| (data_type, value, Ok(value));
    for (data_type, value, expected) in [
        same(Boolean, "true"),
        (Boolean, "\" FALSE \"", Ok("false")),
        (Boolean, "1", Err(Malformed)),
        (Boolean, "\"yes\"", Err(Malformed)),
        same(Int8, "-128"),
        (Int8, "128", Err(OutOfRange)),
        (Int16, "\"32767\"", Ok("32767")),
        (Int32, "2147483648", Err(OutOfRange)),
        same(Int64, "-9223372036854775808"),
        (Int64, "9223372036854775808", Err(OutOfRange)),
        (Int64, "1.0", Ok("1")),
        (Int64, "1.5", Err(Malformed)),
        (Int64, "1e999", Err(OutOfRange)),
        (Int64, "\"\"", Err(Malformed)),
        (Int64, "true", Err(Malformed)),
        (Int64, "[1]", Err(Malformed)),
        (Int64, "{}", Err(Malformed)),
        same(Int64, "null"),
        (Float64, "1", Ok("1.0")),
        (Float64, "-1.5e300", Ok("-1.5E300")),
        (Float64, "1e999", Err(OutOfRange)),
        same(Float64, "\"NaN\""),
        same(Float64, "\"-Infinity\""),
        (Float64, "\"1e5\"", Ok("100000.0")),
        (Float32, "0.1", Ok("0.1")),
        (Float32, "1e39", Err(OutOfRange)),
        same(Decimal128(38, 10), "1234567890123456789012345678.0123456789"),
        (Decimal128(5, 2), "1.005", Ok("1.01")),
        (Decimal128(5, 2), "\" 1.5 \"", Ok("1.50")),
        (Decimal128(5, 2), "1000", Err(OutOfRange)),
        (Decimal128(5, 2), "1e2", Ok("100.00")),
        (Decimal128(5, 2), "\"x\"", Err(Malformed)),
        same(Utf8View, "\"\\u0000 \\\" \\\\ \\n é\""),
        (Utf8View, "\"\\ud83d\\ude00\"", Ok("\"😀\"")),
        (Utf8View, "1.50", Ok("\"1.50\"")),
        (Utf8View, "true", Ok("\"true\"")),
        (Utf8View, "[ 1 , {\"a\" : \"x y\\u0041\"} ]", Ok("\"[1,{\\\"a\\\":\\\"x yA\\\"}]\"")),
        same(BinaryView, "\"aGkAAA==\""),
        (BinaryView, "\"aGk\"", Ok("\"aGk=\"")),
        (BinaryView, "\"a!k=\"", Err(Malformed)),
        (BinaryView, "5", Err(Malformed)),
        same(Date32, "\"2024-02-29\""),
        (Date32, "\"2023-02-29\"", Err(Malformed)),
        (Date32, "19675", Err(Malformed)),
        same(time.clone(), "\"23:59:59.5\""),
        (time, "\"24:00:00\"", Err(Malformed)),
        same(timestamp.clone(), "\"2023-11-14 22:13:20.7\""),
        (timestamp.clone(), "\"2023-11-14T22:13:20\"", Err(Malformed)),
        (timestamp, "1700000000", Err(Malformed)),
        same(instant.clone(), "\"2023-11-14 22:13:20.000001Z\""),
        (instant, "\"2023-11-14 22:13:20\"", Err(Malformed)),
        same(row.clone(), "{\"a\":1,\"b\":\"x\"}"),
        (row.clone(), "{\"b\":[],\"A\":2}", Ok("{\"a\":null,\"b\":\"[]\"}")),
        (row.clone(), "[1,\"x\"]", Err(Malformed)),
        (row, "{\"a\":{}}", Err(Malformed)),
        same(list_of(list_of(Int64)), "[[1,2],[],null,[null]]"),
        (list_of(Int64), "1", Err(Malformed)),
        same(map_of(Int64), "{\"a\":1,\"\":null}"),
        (map_of(Int64), "{\"a\":1,\"b\":2,\"a\":3}", Ok("{\"b\":2,\"a\":3}")),
        (map_of(Int64), "{\"a\":\"x\",\"\\u0061\":3}", Ok("{\"a\":3}")),
        (map_of(Int64), "[]", Err(Malformed)),
    ] {
        let found = read(&data_type, value, &JsonOptions::default());
        assert_eq!(found.as_deref().map_err(|reason| *reason), expected, "{value} as {data_type}");
    }
}

#[test]
fn iso_8601_is_read_and_written_on_request() {
    let options = JsonOptions { timestamps: TimestampFormat::Iso, ..JsonOptions::default() };
    let instant = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    for (value, expected) in [
        ("\"2023-11-14T22:13:20.000000001Z\"", "\"2023-11-14T22:13:20.000000001Z\""),
        ("\"2023-11-14T23:13+01:00\"", "\"2023-11-14T22:13:00Z\""),
    ] {
        assert_eq!(read(&instant, value, &options).as_deref(), Ok(expected));
    }
    assert!(read(&instant, "\"2023-11-14 22:13:20Z\"", &options).is_err());
}

#[test]
fn a_large_map_has_each_key_once() {
    let entries = (0..100).map(|n| format!("\"k{}\":{n}", n % 40)).collect::<Vec<_>>();
    let found = read(&map_of(DataType::Int64), &format!("{{{}}}", entries.join(",")), &JsonOptions::default()).unwrap();
    let expected = (60..100).map(|n| format!("\"k{}\":{n}", n % 40)).collect::<Vec<_>>();
    assert_eq!(found, format!("{{{}}}", expected.join(",")));
}

/// Line, column, field and message of what is refused.
fn refused(fields: Vec<Field>, options: JsonOptions, text: &str) -> Vec<(u64, u64, Option<String>, String)> {
    let reading = Reading { options, ..Reading::of(fields) };
    let rejects = reading.read(text.as_bytes()).unwrap().rejects;
    rejects
        .into_iter()
        .map(|reject| (reject.line, reject.column, reject.field.map(String::from), reject.message))
        .collect()
}

#[test]
fn a_refusal_says_where_and_what() {
    let inner = row_of(vec![field("b", list_of(DataType::Int32)), Field::new("n", DataType::Int64, false)]);
    let fields = vec![field("a", inner), field("m", map_of(DataType::Date32)), field("s", DataType::Utf8View)];
    for (line, column, path, message) in [
        (r#"{"a":{"n":1,"b":[1,2,"é"]}}"#, 22, Some("a.b[3]"), "\"é\" is not an INT (column `a.b[3]`)"),
        (
            r#"{"s":"é","a":{"n":1,"b":[3000000000]}}"#,
            26,
            Some("a.b[1]"),
            "\"3000000000\" does not fit INT (column `a.b[1]`)",
        ),
        (r#"{"m":{"k":"2024-13-01"}}"#, 11, Some("m['k']"), "\"2024-13-01\" is not a DATE (column `m['k']`)"),
        (r#"{"a":{"n":null}}"#, 11, Some("a.n"), "NULL in column `a.n`, which is NOT NULL (BIGINT)"),
        (r#"{"a":{}}"#, 7, Some("a.n"), "the record has no field for column `a.n`, which is NOT NULL (BIGINT)"),
        (r#"{"a":{"n":"x"},"m":5}"#, 11, Some("a.n"), "\"x\" is not a BIGINT (column `a.n`)"),
        (r#"{"a":{"n":"x"},"m":5"#, 21, None, "the line ends in the middle of the record"),
        (r#"{"s":"é", x}"#, 11, None, "expected a name in double quotes, found \"x}\""),
        (r#"{"s":1} {}"#, 9, None, "text behind the record: \"{}\""),
        (r#"[{"s":1}]"#, 1, None, "a record is an object, found \"[{\\\"s\\\":1}]\""),
        (r#"[{"s":1}"#, 9, None, "the line ends in the middle of the record"),
        ("{\"s\":\"\\ud800\"}", 7, None, "half of a surrogate pair in a string: \"\\\\ud800\\\"}\""),
        ("{\"s\":\"a\tb\"}", 8, None, "a control character in a string: \"\\tb\\\"}\""),
    ] {
        let found = refused(fields.clone(), JsonOptions::default(), &format!("\n{{\"s\":\"good\"}}\n{line}\n"));
        assert_eq!(found, [(3, column, path.map(str::to_owned), message.to_owned())], "{line}");
    }
}

#[test]
fn of_fields_with_one_name_the_last_counts_whatever_the_others_are() {
    let fields = vec![field("a", DataType::Int64), field("b", row_of(vec![field("c", DataType::Int64)]))];
    let reading = Reading::of(fields);
    let text = r#"{"a":"x","b":{"c":"y"},"a":1,"b":{"c":[],"c":2}}
{"a":1,"b":{"c":1},"b":null,"a":null}
{"a":1,"\u0061":"z"}
"#;
    let outcome = reading.read(text.as_bytes()).unwrap();
    assert_eq!(written(&outcome.rows, &JsonOptions::default()), "{\"a\":1,\"b\":{\"c\":2}}\n{\"a\":null,\"b\":null}\n");
    assert_eq!(outcome.rejects.len(), 1);
    assert_eq!(outcome.rejects[0].message, "\"z\" is not a BIGINT (column `a`)");
}

#[test]
fn a_missing_field_is_null_or_refused_as_the_table_says() {
    let fields = vec![field("a", DataType::Int64), field("b", DataType::Int64)];
    let strict = JsonOptions { fails_on_missing_field: true, ..JsonOptions::default() };
    let found = refused(fields.clone(), strict, "{\"a\":1,\"b\":null}\n{\"a\":1}\n{\"A\":1,\"b\":2}\n");
    let message = |column: &str| format!("the record has no field for column `{column}` (BIGINT)");
    assert_eq!(found, [(2, 7, Some("b".into()), message("b")), (3, 13, Some("a".into()), message("a"))]);
    assert!(refused(fields, JsonOptions::default(), "{}\n").is_empty());
}

#[test]
fn the_first_bad_record_ends_the_job_where_that_is_asked_for() {
    let reading = Reading {
        bad_input: BadInput::default(),
        ..Reading::of(vec![field("ts", DataType::Timestamp(TimeUnit::Millisecond, None))])
    };
    let error = reading.read(b"{\"ts\":\"2023-11-14 22:13:20\"}\n{\"ts\":\"2023-11-14T22:13:20\"}\nno\n").unwrap_err();
    assert_eq!(error.message, "f.json:2:7: \"2023-11-14T22:13:20\" is not a TIMESTAMP(3) (column `ts`)");
    assert!(error.help.unwrap().contains("json.timestamp-format.standard"));
    let inferred = JsonOptions { inferred_from: Some(7), ..JsonOptions::default() };
    let reading =
        Reading { options: inferred, bad_input: BadInput::default(), ..Reading::of(vec![field("n", DataType::Int64)]) };
    let error = reading.read(b"{\"n\":\"x\"}").unwrap_err();
    assert!(error.help.unwrap().starts_with("the type was inferred from the first 7 records"));
}

#[test]
fn fields_that_are_null_are_left_out_on_request() {
    let row = row_of(vec![field("x", DataType::Int64), field("y", DataType::Int64)]);
    let text = "{\"a\":1,\"r\":{\"y\":2}}\n{\"r\":null}\n";
    let outcome = Reading::of(vec![field("a", DataType::Int64), field("r", row)]).read(text.as_bytes()).unwrap();
    let omitting = JsonOptions { omits_null_fields: true, ..JsonOptions::default() };
    assert_eq!(written(&outcome.rows, &omitting), "{\"a\":1,\"r\":{\"y\":2}}\n{}\n");
    let all = "{\"a\":1,\"r\":{\"x\":null,\"y\":2}}\n{\"a\":null,\"r\":null}\n";
    assert_eq!(written(&outcome.rows, &JsonOptions::default()), all);
}

#[test]
fn types_that_json_has_no_name_for_are_refused_when_the_table_is_opened() {
    let entry = [Field::new("key", DataType::Int64, false), field("value", DataType::Int64)];
    let numbered = DataType::Map(std::sync::Arc::new(Field::new("entries", row_of(entry.to_vec()), false)), false);
    let error = Reading::of(vec![field("m", numbered)]).read(b"").unwrap_err();
    assert_eq!(error.message, "column `m`: JSON has no MAP whose keys are of type BIGINT");
}
