//! Types of files that are not those of tables, and values that do not fit.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array as _, *};
use parquet::arrow::ArrowWriter;

use super::*;
use crate::error::Kind;

/// One column as some other program writes it.
fn foreign(name: &str, column: ArrayRef) -> (tempfile::TempDir, PathBuf) {
    let rows = RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    file_of(&writer.into_inner().unwrap())
}

/// The column as a table has it that declares it so.
fn as_declared(column: ArrayRef, declared: &DataType) -> Result<ArrayRef> {
    let (_directory, path) = foreign("c", column);
    let rows = read_all(&path, &schema_of(vec![("c", declared.clone(), true)]))?;
    Ok(Arc::clone(rows.column(0)))
}

#[test]
fn every_value_of_another_type_arrives_or_is_an_error() {
    use DataType as T;
    let arrays: Vec<(ArrayRef, T, Option<ArrayRef>)> = vec![
        (Arc::new(UInt8Array::from(vec![0, 255])), T::Int16, Some(Arc::new(Int16Array::from(vec![0, 255])))),
        (
            Arc::new(UInt32Array::from(vec![u32::MAX])),
            T::Int64,
            Some(Arc::new(Int64Array::from(vec![i64::from(u32::MAX)]))),
        ),
        (
            Arc::new(UInt64Array::from(vec![Some(7), None])),
            T::Int64,
            Some(Arc::new(Int64Array::from(vec![Some(7), None]))),
        ),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), T::Int64, None),
        (
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            T::Decimal128(20, 0),
            Some(Arc::new(Decimal128Array::from(vec![i128::from(u64::MAX)]).with_precision_and_scale(20, 0).unwrap())),
        ),
        (Arc::new(Int64Array::from(vec![128])), T::Int8, None),
        (Arc::new(Int64Array::from(vec![-128])), T::Int8, Some(Arc::new(Int8Array::from(vec![-128])))),
        (Arc::new(Int32Array::from(vec![7])), T::Float64, Some(Arc::new(Float64Array::from(vec![7.0])))),
        (Arc::new(Float32Array::from(vec![0.5])), T::Float64, Some(Arc::new(Float64Array::from(vec![0.5])))),
        (Arc::new(LargeStringArray::from(vec!["x"])), T::Utf8View, Some(Arc::new(StringViewArray::from(vec!["x"])))),
        (
            Arc::new(StringArray::from(vec!["x"])),
            T::BinaryView,
            Some(Arc::new(BinaryViewArray::from(vec![b"x".as_slice()]))),
        ),
        (
            Arc::new(BinaryArray::from(vec![b"x".as_slice()])),
            T::Utf8View,
            Some(Arc::new(StringViewArray::from(vec!["x"]))),
        ),
        (Arc::new(BinaryArray::from(vec![b"\xff".as_slice()])), T::Utf8View, None),
        (
            Arc::new(FixedSizeBinaryArray::try_from_iter([b"ab".as_slice(), b"cd".as_slice()].into_iter()).unwrap()),
            T::BinaryView,
            Some(Arc::new(BinaryViewArray::from(vec![b"ab".as_slice(), b"cd".as_slice()]))),
        ),
        (Arc::new(NullArray::new(2)), T::Int64, Some(new_null_array(&T::Int64, 2))),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![-1_000, 2_000])),
            T::Timestamp(TimeUnit::Millisecond, None),
            Some(Arc::new(TimestampMillisecondArray::from(vec![-1, 2]))),
        ),
        (Arc::new(TimestampMicrosecondArray::from(vec![1])), T::Timestamp(TimeUnit::Millisecond, None), None),
        (
            Arc::new(TimestampMillisecondArray::from(vec![5]).with_timezone("UTC")),
            T::Timestamp(TimeUnit::Nanosecond, None),
            Some(Arc::new(TimestampNanosecondArray::from(vec![5_000_000]))),
        ),
        (
            Arc::new(TimestampMillisecondArray::from(vec![5])),
            T::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Some(Arc::new(TimestampMillisecondArray::from(vec![5]).with_timezone("UTC"))),
        ),
        (Arc::new(TimestampMillisecondArray::from(vec![i64::MAX])), T::Timestamp(TimeUnit::Nanosecond, None), None),
        (
            Arc::new(Time64MicrosecondArray::from(vec![86_399_999_000])),
            T::Time32(TimeUnit::Millisecond),
            Some(Arc::new(Time32MillisecondArray::from(vec![86_399_999]))),
        ),
        (Arc::new(Time64MicrosecondArray::from(vec![1])), T::Time32(TimeUnit::Millisecond), None),
        (Arc::new(Time32MillisecondArray::from(vec![-1])), T::Time32(TimeUnit::Millisecond), None),
    ];
    for (column, declared, expected) in arrays {
        let from = column.data_type().clone();
        match (as_declared(column, &declared), expected) {
            (Ok(found), Some(expected)) => assert_eq!(&found, &expected, "{from} as {declared}"),
            (Err(error), None) => {
                assert_eq!(error.kind, Kind::Data);
                assert!(error.message.contains("t.parquet: row 0 (from 0): ") && error.help.is_some(), "{error}");
            }
            (found, expected) => panic!("{from} as {declared}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn decimals_keep_all_their_digits_however_they_are_stored() {
    let cases = [
        // In INT32, INT64 and bytes; the precision and scale of the table, and whether they fit.
        ((9, 2), (9, 2), 12_345, Some(12_345)),
        ((18, 4), (20, 6), 5, Some(500)),
        ((30, 4), (30, 2), 1_200, Some(12)),
        ((30, 4), (30, 2), 1_201, None),
        ((38, 0), (2, 0), 99, Some(99)),
        ((38, 0), (2, 0), 100, None),
        ((38, 0), (38, 5), 10_i128.pow(34), None),
    ];
    for ((precision, scale), (to_precision, to_scale), value, expected) in cases {
        let file = Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap();
        let found = as_declared(Arc::new(file), &DataType::Decimal128(to_precision, to_scale));
        let found = found.map(|array| array.as_primitive::<Decimal128Type>().value(0)).ok();
        assert_eq!(found, expected, "DECIMAL({precision}, {scale}) as DECIMAL({to_precision}, {to_scale})");
    }
    let wide = Decimal256Array::from(vec![arrow_buffer::i256::from_i128(-7)]).with_precision_and_scale(50, 3).unwrap();
    let found = as_declared(Arc::new(wide), &DataType::Decimal128(10, 3)).unwrap();
    assert_eq!(found.as_primitive::<Decimal128Type>().value(0), -7);
    let whole = Decimal128Array::from(vec![7]).with_precision_and_scale(10, 0).unwrap();
    let found = as_declared(Arc::new(whole), &DataType::Int64).unwrap();
    assert_eq!(found.as_primitive::<Int64Type>().value(0), 7);
}

#[test]
fn dictionaries_are_read_as_their_values() {
    let column: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("b"), Some("a")].into_iter().collect();
    let found = as_declared(Arc::new(column), &DataType::Utf8View).unwrap();
    let expected: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), None, Some("b"), Some("a")]));
    assert_eq!(&found, &expected);
}

#[test]
fn a_type_or_a_name_that_does_not_match_says_what_the_file_has() {
    let (_directory, path) = foreign("Price", Arc::new(Float64Array::from(vec![1.0])));
    for (name, declared, message, help) in [
        ("price", DataType::Float64, "", ""),
        ("prise", DataType::Float64, "has no column `prise`", "did you mean `Price`? there it has `Price`"),
        (
            "Price",
            DataType::Int64,
            "column `Price` is DOUBLE in the file and cannot be read as BIGINT",
            "declare it as DOUBLE",
        ),
        ("Price", DataType::Float32, "cannot be read as FLOAT", "declare it as DOUBLE"),
    ] {
        match read_all(&path, &schema_of(vec![(name, declared, true)])) {
            Ok(_) => assert_eq!(message, "", "{name}"),
            Err(error) => {
                assert!(error.message.contains(message) && !message.is_empty(), "{error}");
                assert!(error.help.as_deref().unwrap_or_default().contains(help), "{error:?}");
                assert_eq!(error.kind, Kind::Data);
            }
        }
    }
    let (_directory, path) = foreign("i", Arc::new(IntervalYearMonthArray::from(vec![1])));
    let error = read_all(&path, &schema_of(vec![("i", DataType::Int64, true)])).unwrap_err();
    assert!(error.message.contains("column `i` is INTERVAL of Parquet in the file"), "{error}");
    let rows = RecordBatch::try_from_iter([
        ("a", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("A", Arc::new(Int64Array::from(vec![2])) as ArrayRef),
    ]);
    let rows = rows.unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    let (_directory, path) = file_of(&writer.into_inner().unwrap());
    let found = read_all(&path, &schema_of(vec![("A", DataType::Int64, true)])).unwrap();
    assert_eq!(found.column(0).as_primitive::<Int64Type>().value(0), 2);
}

#[test]
fn parts_of_a_row_are_found_by_name_and_the_others_are_not_read() {
    let fields = vec![
        Field::new("x", DataType::Utf8, true),
        Field::new("y", DataType::Int32, true),
        Field::new("z", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ];
    let parts: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])),
        Arc::new(Int32Array::from(vec![Some(1), Some(2), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![1_000, 2_000, 3_000])),
    ];
    let row = StructArray::new(fields.into(), parts, Some(vec![true, false, true].into()));
    let (_directory, path) = foreign("r", Arc::new(row));
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    let declared = row_of(&[("Z", millis, true), ("x", DataType::Utf8View, true)]);
    let found = read_all(&path, &schema_of(vec![("r", declared, true)])).unwrap();
    let found = found.column(0).as_struct();
    assert!(found.is_null(1));
    assert_eq!(found.column(0).as_primitive::<TimestampMillisecondType>().value(2), 3);
    assert_eq!(found.column(1).as_string_view().value(2), "c");
    let declared = row_of(&[("w", DataType::Int64, true)]);
    let error = read_all(&path, &schema_of(vec![("r", declared, true)])).unwrap_err();
    assert!(error.message.contains("has no column `r.w`"), "{error}");
}

#[test]
fn rows_that_do_not_fit_are_refused_one_by_one() {
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(Int64Array::from(vec![1, 300, 3, 4, 5])) as ArrayRef, true),
        ("s", Arc::new(StringArray::from(vec![Some("a"), Some("b"), None, Some("d"), Some("e")])) as ArrayRef, true),
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![0, 0, 0, 1, 1_000])) as ArrayRef, true),
    ]);
    let rows = rows.unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    for start in 0..5 {
        writer.write(&rows.slice(start, 1)).unwrap();
        if start == 1 {
            writer.flush().unwrap();
        }
    }
    let (_directory, path) = file_of(&writer.into_inner().unwrap());
    let schema = schema_of(vec![("n", DataType::Int8, true), ("s", DataType::Utf8View, false), ("t", millis, true)]);
    let mut outcomes = Vec::new();
    for way in ways(OnError::Divert) {
        outcomes.push(read(&path, &schema, &[0, 1, 2], &[], &way).unwrap());
    }
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
    let Outcome { rows, records, rejected, rejects, .. } = &outcomes[0];
    assert_eq!((rows.num_rows(), *records), (2, 5));
    assert_eq!(rejected, &[(RejectReason::OutOfRange, 2), (RejectReason::Null, 1)]);
    let places: Vec<_> = rejects.iter().map(|reject| (reject.offset, reject.line, reject.field.as_deref())).collect();
    assert_eq!(places, [(1, 0, Some("n")), (2, 0, Some("s")), (3, 0, Some("t"))]);
    let record = String::from_utf8(rejects[0].record.clone()).unwrap();
    assert_eq!(record, r#"{"n":300,"s":"b","t":"1970-01-01T00:00:00"}"#);
    for way in ways(OnError::Fail) {
        let error = read(&path, &schema, &[0, 1, 2], &[], &way).unwrap_err();
        assert!(error.message.ends_with("row 1 (from 0): 300 in column `n` is out of range for TINYINT"), "{error}");
        let error = read(&path, &schema, &[1], &[], &way).unwrap_err();
        assert!(error.message.ends_with("row 2 (from 0): NULL in column `s`, which is NOT NULL"), "{error}");
    }
}

#[test]
fn not_null_holds_within_nested_columns_too() {
    let mut builder = builder::ListBuilder::new(builder::Int64Builder::new());
    builder.append_value([Some(1), Some(2)]);
    builder.append_null();
    builder.append_value([]);
    builder.append_value([Some(3), None, None]);
    let (_directory, path) = foreign("l", Arc::new(builder.finish()));
    let schema = schema_of(vec![("l", list_of(DataType::Int64, false), true)]);
    for way in ways(OnError::Divert) {
        let Outcome { rows, rejects, .. } = read(&path, &schema, &[0], &[], &way).unwrap();
        assert_eq!(rows.num_rows(), 3);
        let places: Vec<_> = rejects.iter().map(|reject| (reject.offset, reject.field.as_deref())).collect();
        assert_eq!(places, [(3, Some("l[]"))]);
    }
    // A ROW that is NULL has no parts that could be NULL.
    let fields = vec![Field::new("a", DataType::Int64, true)];
    let parts: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![Some(1), None, None]))];
    let row = StructArray::new(fields.into(), parts, Some(vec![true, false, true].into()));
    let (_directory, path) = foreign("r", Arc::new(row));
    let schema = schema_of(vec![("r", row_of(&[("a", DataType::Int64, false)]), true)]);
    let Outcome { rows, rejects, .. } = read(&path, &schema, &[0], &[], &ways(OnError::Divert)[0]).unwrap();
    assert_eq!((rows.num_rows(), rejects.len(), rejects[0].offset), (2, 1, 2));
}
