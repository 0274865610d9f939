//! Files of DuckDB, Polars and pyarrow: the same small table in each of them. `bin/tests/data/parquet/make.py` made them.

use arrow_array::types::Int32Type;
use arrow_array::*;
use arrow_buffer::OffsetBuffer;

use super::*;

const FILES: [&str; 8] = [
    "duckdb",
    "duckdb-pages-2",
    "polars",
    "pyarrow",
    "pyarrow-decimals-as-integers",
    "pyarrow-deltas",
    "pyarrow-int96",
    "pyarrow-zstd-pages-2",
];

fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/parquet/{name}.parquet"))
}

/// Polars has no maps. DuckDB's deltas between the ends of the range of 32 bits are not accepted by the decoder.
fn has(file: &str, column: &str) -> bool {
    !matches!((file, column), ("polars", "map") | ("duckdb-pages-2", "medium" | "unsigned"))
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// What every file has to give, but for what it has not: see [`has`].
fn expected() -> RecordBatch {
    let element = Arc::new(Field::new("element", DataType::Int64, true));
    let numbers = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let nulls = || Some(vec![true, false, true].into());
    let list = ListArray::new(element, OffsetBuffer::from_lengths([3, 0, 0]), numbers, nulls());
    let DataType::Struct(fields) = row_of(&[("a", DataType::Int32, true), ("b", DataType::Utf8View, true)]) else {
        panic!("a row is a struct")
    };
    let parts: Vec<ArrayRef> = vec![
        Arc::new(PrimitiveArray::<Int32Type>::from(vec![Some(1), None, None])),
        Arc::new(StringViewArray::from(vec![Some("x"), None, None])),
    ];
    let row = StructArray::new(fields, parts, nulls());
    let DataType::Map(entries, _) = map_of(DataType::Utf8View, DataType::Int64) else { panic!("a map is a map") };
    let DataType::Struct(fields) = entries.data_type() else { panic!("entries are a struct") };
    let parts: Vec<ArrayRef> =
        vec![Arc::new(StringViewArray::from(vec!["k", "l"])), Arc::new(Int64Array::from(vec![Some(1), None]))];
    let parts = StructArray::new(fields.clone(), parts, None);
    let map = MapArray::new(Arc::clone(&entries), OffsetBuffer::from_lengths([2, 0, 0]), parts, nulls(), false);
    let decimal = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    let micros =
        || TimestampMicrosecondArray::from(vec![Some(1_699_999_999_741_000), None, Some(-2_177_452_799_999_000)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("tiny", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)]))),
        ("small", Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)]))),
        ("medium", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]))),
        ("large", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        ("unsigned", Arc::new(Int64Array::from(vec![Some(0), None, Some(4_294_967_295)]))),
        ("unsigned_large", decimal(vec![Some(0), None, Some(i128::from(u64::MAX))], 20, 0)),
        ("single", Arc::new(Float32Array::from(vec![Some(0.5), None, Some(f32::NEG_INFINITY)]))),
        ("double", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(-0.0)]))),
        ("price", decimal(vec![Some(-123_456_789), None, Some(1)], 9, 2)),
        ("amount", decimal(vec![Some(12_345_678_901_234_567_890_123_456_789_123_456_789), None, Some(0)], 38, 9)),
        ("name", Arc::new(StringViewArray::from(vec![Some("žluťoučký kůň"), None, Some("")]))),
        ("bytes", Arc::new(BinaryViewArray::from(vec![Some(b"\x00\xff".as_slice()), None, Some(b"")]))),
        ("day", Arc::new(Date32Array::from(vec![Some(19_675), None, Some(-719_162)]))),
        ("moment", Arc::new(micros())),
        ("instant", Arc::new(micros().with_timezone("UTC"))),
        ("list", Arc::new(list)),
        ("row", Arc::new(row)),
        ("time", Arc::new(Time32MillisecondArray::from(vec![Some(86_399_999), None, Some(0)]))),
        ("map", Arc::new(map)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

#[test]
fn files_of_other_programs_give_the_same_rows() {
    let expected = expected();
    for name in FILES {
        let schema = expected.schema();
        let columns: Vec<usize> =
            (0..expected.num_columns()).filter(|column| has(name, schema.field(*column).name())).collect();
        for way in ways(OnError::Fail) {
            let found = read(&path_of(name), &schema, &columns, &[], &way).unwrap();
            assert_eq!(found.rows, expected.project(&columns).unwrap(), "{name}, {way:?}");
        }
    }
}

#[test]
fn what_is_inferred_holds_every_value() {
    let expected = expected();
    for name in FILES {
        let (schema, _) = super::super::infer(&[path_of(name)]).unwrap();
        for field in expected.schema().fields().iter().filter(|field| has(name, field.name())) {
            let inferred = schema.field_with_name(field.name()).unwrap();
            // Of the instants, INT96 does not say that they are some.
            let is_lost = name == "pyarrow-int96" && field.data_type() == &utc();
            assert!(inferred.data_type() == field.data_type() || is_lost, "{name}: {inferred:?}, not {field:?}");
        }
        read_all(&path_of(name), &schema).unwrap();
    }
}

#[test]
fn files_are_inferred_together_or_not_at_all() {
    let (schema, _) = super::super::infer(&[path_of("pyarrow"), path_of("pyarrow-deltas"), path_of("duckdb")]).unwrap();
    assert_eq!(schema.fields().len(), expected().num_columns());
    let error = super::super::infer(&[path_of("pyarrow"), path_of("polars")]).unwrap_err();
    assert!(
        error.message.contains("polars.parquet` does not have the columns of") && error.message.contains("`map`"),
        "{error}"
    );
    let error = super::super::infer(&[path_of("pyarrow"), path_of("pyarrow-int96")]).unwrap_err();
    assert!(error.message.contains("column `instant` is TIMESTAMP(6) there, and TIMESTAMP_LTZ(6) here"), "{error}");
}

#[test]
fn int96_with_nanoseconds_is_refused_rather_than_cut_off() {
    // One row: 1 ns after the beginning of 1970, which is day 2,440,588 of the Julian calendar.
    let mut value = 1_u64.to_le_bytes().to_vec();
    value.extend(2_440_588_u32.to_le_bytes());
    let whole = std::fs::read(path_of("pyarrow-int96")).unwrap();
    let schema = schema_of(vec![("moment", DataType::Timestamp(TimeUnit::Microsecond, None), true)]);
    // The dictionary of the column holds two values of 12 bytes; the first becomes ours.
    let nanos = (22 * 3600 + 13 * 60 + 19) * 1_000_000_000_u64 + 741_000_000;
    let place =
        whole.windows(8).position(|window| window == nanos.to_le_bytes()).expect("pages are not compressed away");
    let mut fine = whole.clone();
    fine[place..place + 12].copy_from_slice(&value);
    let (_directory, path) = file_of(&fine);
    let error = read_all(&path, &schema).unwrap_err();
    assert!(error.message.contains("has nanoseconds"), "{error}");
}
