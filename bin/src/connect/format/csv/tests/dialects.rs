//! Escape characters, ARRAYs and ROWs, and the options that change what a record is.

use super::*;
use crate::connect::Encoder;
use crate::connect::format::csv::CsvEncoder;
use crate::connect::format::csv::options::Surplus;

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, true)))
}

fn row_of(fields: &[(&str, DataType, bool)]) -> DataType {
    let fields = fields.iter().map(|(name, data_type, is_nullable)| Field::new(*name, data_type.clone(), *is_nullable));
    DataType::Struct(fields.collect())
}

fn rows_of(reading: &Reading, text: &str) -> Result<Vec<Vec<String>>, String> {
    reading.read_every_way(text).map(|outcome| outcome.rows).map_err(|error| error.message)
}

fn row<const N: usize>(values: [&str; N]) -> Vec<String> {
    values.map(str::to_owned).to_vec()
}

#[test]
fn an_escape_character_takes_the_meaning_of_what_follows() {
    let mut reading = three_columns();
    reading.options.dialect.escape = Some(b'\\');
    let text = "a\\,b,1,\\\\\n\"q\\\"\n,\",2,line\\\nbreak\r\nx\\n\\ty,3,\\\"z\nr\\\r\n";
    let mut text = text.to_owned();
    // Escaped return at the end of a record: kept.
    text.truncate(text.len() - "r\\\r\n".len());
    text.push_str("r,4,s\\\r\n");
    assert_eq!(
        rows_of(&reading, &text),
        Ok(vec![
            row(["a,b", "1", "\\"]),
            row(["q\"\n,", "2", "line\nbreak"]),
            row(["x\n\ty", "3", "\"z"]),
            row(["r", "4", "s\r"]),
        ])
    );
    for (text, message) in [
        ("a,1,b\\", "f0:1:1: the input ends behind an escape character"),
        ("a,1,b\\\n", "f0:1:1: the input ends behind an escape character"),
        ("a,1,\"b\\\"\nc,2,d\n", "f0:1:5: the quote that is opened here is never closed"),
    ] {
        assert_eq!(rows_of(&reading, text), Err(message.to_owned()), "{text:?}");
    }
    reading.bad_input.on_error = OnError::Divert;
    let outcome = reading.read_every_way("a,1,\"b\\\"\nc,2,d\\,\ne,\\3,f\ng,\\x,h\n").unwrap();
    assert_eq!(outcome.rows, [row(["c", "2", "d,"]), row(["e", "3", "f"])]);
    let reasons: Vec<_> = outcome.rejects.iter().map(|reject| (reject.line, reject.reason)).collect();
    assert_eq!(reasons, [(1, RejectReason::Quote), (4, RejectReason::Malformed)]);
    reading.options.dialect.quote = None;
    reading.bad_input.on_error = OnError::Fail;
    assert_eq!(rows_of(&reading, "\"a,1,b\\\nc\"\n"), Ok(vec![row(["\"a", "1", "b\nc\""])]));
}

proptest! {
    #[test]
    fn text_with_escapes_reads_the_same_however_it_is_cut(text in "[a1,\"\\\\\n\r]{0,50}", limit in 5_usize..60) {
        let mut reading = three_columns();
        reading.options.dialect.escape = Some(b'\\');
        reading.bad_input.record_bytes_max = limit;
        reading.bad_input.on_error = OnError::Divert;
        let outcome = reading.read_every_way(&text).unwrap();
        for reject in &outcome.rejects {
            prop_assert_eq!(&text.as_bytes()[reject.offset as usize..][..reject.record.len()], &reject.record[..]);
        }
    }

    #[test]
    fn elements_are_read_as_they_were_written(
        rows in proptest::collection::vec((
            proptest::option::of(proptest::collection::vec(proptest::option::of("[a-z\"\n |]{0,5}"), 0..4)),
            proptest::option::of(proptest::collection::vec(proptest::option::of(any::<i32>()), 0..4)),
            proptest::option::of((proptest::option::of("[a-z,é]{0,4}"), any::<i64>())),
        ), 1..12),
        delimiter in prop_oneof![Just(";"), Just("||"), Just(",")],
        block_bytes in 1_usize..60,
    ) {
        use arrow_array::builder::{Int32Builder, Int64Builder, ListBuilder, StringViewBuilder, StructBuilder};
        let element = |data_type| Field::new("element", data_type, true);
        let mut texts = ListBuilder::new(StringViewBuilder::new()).with_field(element(DataType::Utf8View));
        let mut numbers = ListBuilder::new(Int32Builder::new()).with_field(element(DataType::Int32));
        let fields = vec![Field::new("s", DataType::Utf8View, true), Field::new("n", DataType::Int64, false)];
        let mut pairs = StructBuilder::from_fields(fields, rows.len());
        for (text, number, pair) in &rows {
            texts.append_option(text.clone());
            numbers.append_option(number.clone());
            let (s, n) = pair.clone().unwrap_or_default();
            pairs.field_builder::<StringViewBuilder>(0).unwrap().append_option(s);
            pairs.field_builder::<Int64Builder>(1).unwrap().append_value(n);
            pairs.append(pair.is_some());
        }
        let columns: Vec<(&str, arrow_array::ArrayRef)> = vec![
            ("texts", Arc::new(texts.finish())),
            ("numbers", Arc::new(numbers.finish())),
            ("pair", Arc::new(pairs.finish())),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut reading = Reading { block_bytes, workers: 2, schema: batch.schema(), ..Reading::of(&[]) };
        reading.columns = vec![0, 1, 2];
        reading.options.element_delimiter = delimiter.to_owned();
        reading.options.null_literal = Some("~".to_owned());
        let mut out = Vec::new();
        let encoded = CsvEncoder::new(&batch.schema(), &reading.options).unwrap().encode(&batch, &mut out);
        let is_kept = |parts: &[&str]| parts.join(delimiter).split(delimiter).eq(parts.iter().copied());
        let is_array_kept = |texts: &Vec<Option<String>>| {
            let parts: Vec<_> = texts.iter().map(|text| text.as_deref().unwrap_or("~")).collect();
            parts.is_empty() || (parts != [""] && is_kept(&parts))
        };
        let cannot = rows.iter().any(|(texts, _, pair)| {
            let pair = pair.as_ref().map(|(text, number)| (text.as_deref().unwrap_or("~"), number.to_string()));
            !texts.iter().all(is_array_kept) || !pair.iter().all(|(text, number)| is_kept(&[text, number]))
        });
        prop_assert_eq!(encoded.is_err(), cannot);
        if cannot {
            return Ok(());
        }
        let found = reading.read(&[out]).unwrap().rows;
        let expected: Vec<_> = (0..batch.num_rows()).map(|row| shown_row(&batch, row)).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn arrays_and_rows_are_split_at_their_delimiter() {
    let pair = row_of(&[("n", DataType::Int32, false), ("s", DataType::Utf8View, true)]);
    let reading = Reading::of(&[("a", list_of(DataType::Int64)), ("r", pair.clone())]);
    let text = "1;2;3,4;x\n,\n\"\",\"5;\"\n 7 ;;8,9;a b\n";
    assert_eq!(
        rows_of(&reading, text),
        Ok(vec![
            row(["[1, 2, 3]", "{n: 4, s: x}"]),
            row(["∅", "∅"]),
            row(["[]", "{n: 5, s: }"]),
            row(["[7, , 8]", "{n: 9, s: a b}"]),
        ])
    );
    for (text, message) in [
        ("1;x,4;x\n", "f0:1:1: \"1;x\" is not an ARRAY<BIGINT> (column `a`)"),
        ("1,2\n", "f0:1:3: \"2\" is not a ROW<`n` INT NOT NULL, `s` STRING> (column `r`)"),
        ("1,2;x;y\n", "f0:1:3: \"2;x;y\" is not a ROW<`n` INT NOT NULL, `s` STRING> (column `r`)"),
        ("1,;x\n", "f0:1:3: NULL in column `r`, which is NOT NULL (ROW<`n` INT NOT NULL, `s` STRING>)"),
    ] {
        assert_eq!(rows_of(&reading, text), Err(message.to_owned()));
    }
    let mut skipping = reading.clone();
    skipping.bad_input.on_error = OnError::Skip;
    let outcome = skipping.read_every_way("1;x,4;x\n2,5;y\n3,6\n4,;x\n,\n").unwrap();
    assert_eq!((outcome.rows, outcome.rejected), (vec![row(["[2]", "{n: 5, s: y}"]), row(["∅", "∅"])], 3));
    let map = DataType::Map(
        Arc::new(Field::new(
            "entries",
            row_of(&[("key", DataType::Utf8View, false), ("value", DataType::Int32, true)]),
            false,
        )),
        false,
    );
    for (data_type, name) in [
        (map, "MAP<STRING, INT>"),
        (list_of(list_of(DataType::Int32)), "ARRAY<ARRAY<INT>>"),
        (list_of(pair), "ARRAY<ROW<`n` INT NOT NULL, `s` STRING>>"),
    ] {
        let error = Reading::of(&[("m", data_type)]).read_text("x\n").unwrap_err();
        assert_eq!(error.message, format!("column `m` of type {name} cannot be held by CSV"));
    }
}

#[test]
fn surplus_fields_are_read_as_the_options_say() {
    let read = |surplus, text: &str| {
        let mut reading = three_columns();
        reading.options.surplus = surplus;
        rows_of(&reading, text)
    };
    let good = || Ok(vec![row(["a", "1", "b"]), row(["c", "2", "d"])]);
    for text in ["a,1,b,\r\nc,2,d\r\n", "a,1,b\nc,2,d,"] {
        assert_eq!(read(Surplus::TrailingDelimiter, text), good());
        assert_eq!(read(Surplus::Ignored, text), good());
        assert!(read(Surplus::Refused, text).unwrap_err().contains("a record of 4 fields where 3 fields should be"));
    }
    let text = "a,1,b,x,y\r\nc,2,d\r\n";
    assert_eq!(read(Surplus::Ignored, text), good());
    assert!(read(Surplus::TrailingDelimiter, text).unwrap_err().contains("a record of 5 fields"));
}

#[test]
fn the_first_line_can_be_ignored_and_empty_strings_be_null() {
    let mut reading = three_columns();
    reading.options.header = Header::Ignored;
    reading.options.empty_is_null = true;
    assert_eq!(rows_of(&reading, "\nx,y,z\n,1,\"\"\n"), Ok(vec![row(["∅", "1", "∅"])]));
}

#[test]
fn nul_bytes_are_kept_and_lone_returns_are_pointed_out() {
    let reading = three_columns();
    assert_eq!(rows_of(&reading, "a\0b,1,\0\n"), Ok(vec![row(["a\0b", "1", "\0"])]));
    let error = reading.read_every_way("a,1,b\rc,2,d\r").unwrap_err();
    assert_eq!(error.message, "f0:1:9: a record of 5 fields where 3 fields should be: \"a,1,b\\rc,2,d\"");
    assert!(error.help.unwrap().contains("lines of the file end with CR alone"));
}

#[test]
fn decimals_are_written_as_java_writes_them() {
    use arrow_array::Decimal128Array;
    let options = CsvOptions { scientific_decimals: true, ..CsvOptions::default() };
    for (unscaled, scale, expected) in [
        (10_000_000, 2, "1E+5"),
        (12_000, 2, "1.2E+2"),
        (-150, 2, "-1.5"),
        (0, 2, "0"),
        (5, 8, "5E-8"),
        (-55, 8, "-5.5E-7"),
        (500, 8, "0.000005"),
        (12_345, 3, "12.345"),
    ] {
        let column = Decimal128Array::from(vec![unscaled]).with_precision_and_scale(38, scale).unwrap();
        let batch = RecordBatch::try_from_iter([("m", Arc::new(column) as arrow_array::ArrayRef)]).unwrap();
        let mut out = Vec::new();
        CsvEncoder::new(&batch.schema(), &options).unwrap().encode(&batch, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap().trim_end(), expected);
    }
}
