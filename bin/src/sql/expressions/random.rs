//! Random expressions: arithmetic against an oracle of big integers, and every function on values at the edge of its types.

use num_bigint::BigInt;
use proptest::prelude::*;

use super::*;
use crate::sql::arithmetic::{Operation, decimals};

/// `l operation r` as digits: the obvious way, on integers without a limit.
fn oracle(
    operation: Operation,
    (l, left_scale): (i128, u8),
    (r, right_scale): (i128, u8),
    scale: u8,
) -> Option<BigInt> {
    let ten = |digits: u8| BigInt::from(10).pow(u32::from(digits));
    let common = left_scale.max(right_scale);
    let (l, r) = (BigInt::from(l) * ten(common - left_scale), BigInt::from(r) * ten(common - right_scale));
    // The exact result is `numerator / denominator`.
    let (numerator, denominator) = match operation {
        Operation::Add => (l + r, ten(common)),
        Operation::Subtract => (l - r, ten(common)),
        Operation::Multiply => (l * r, ten(common) * ten(common)),
        Operation::Divide | Operation::Remainder if r == BigInt::ZERO => return None,
        Operation::Divide => (l, r),
        Operation::Remainder => (&l - (&l / &r) * &r, ten(common)),
    };
    let (numerator, denominator) = (numerator * ten(scale) * 2, denominator);
    // Half up: add half a unit away from zero, and cut.
    let is_negative = (numerator < BigInt::ZERO) != (denominator < BigInt::ZERO);
    let magnitude = |number: BigInt| if number < BigInt::ZERO { -number } else { number };
    let (numerator, denominator) = (magnitude(numerator), magnitude(denominator));
    let rounded: BigInt = (numerator + &denominator) / (denominator * 2);
    Some(if is_negative { -rounded } else { rounded })
}

/// A DECIMAL type and an unscaled value of it.
fn decimal() -> impl Strategy<Value = (u8, u8, i128)> {
    (1..=38_u8).prop_flat_map(|precision| (Just(precision), 0..=precision)).prop_flat_map(|(precision, scale)| {
        let max = decimals::power_of_ten(precision) - 1;
        let value = prop_oneof![Just(0), Just(1), Just(-1), Just(max), Just(-max), -9999..9999_i128, -max..=max];
        (Just(precision), Just(scale), value.prop_map(move |value| value.clamp(-max, max)))
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop::sample::select(vec![
        Operation::Add,
        Operation::Subtract,
        Operation::Multiply,
        Operation::Divide,
        Operation::Remainder,
    ])
}

fn one_row(columns: Vec<(&str, FlinkType, ArrayRef)>) -> Table {
    let fields: Vec<_> = columns.iter().map(|(name, flink, _)| flink.to_field(*name, true)).collect();
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).expect("one row");
    Table { schema: DFSchema::try_from(schema).expect("different names"), batch }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn decimals_equal_the_oracle((p1, s1, l) in decimal(), (p2, s2, r) in decimal(), operation in operation()) {
        let session = Session::new();
        let column = |precision: u8, scale: u8, value: i128| -> ArrayRef {
            let array = arrow_array::Decimal128Array::from(vec![value]);
            Arc::new(array.with_precision_and_scale(precision, scale as i8).expect("a DECIMAL"))
        };
        let table = one_row(vec![
            ("l", FlinkType::Decimal(p1, s1), column(p1, s1, l)),
            ("r", FlinkType::Decimal(p2, s2), column(p2, s2, r)),
        ]);
        let sql = format!("l{}r", operation.spaced());
        let FlinkType::Decimal(precision, scale) = decimals::result_type(operation, (p1, s1), (p2, s2)) else {
            unreachable!("a DECIMAL")
        };
        let expected = oracle(operation, (l, s1), (r, s2), scale);
        let fitting = expected.filter(|value| value.magnitude() < BigInt::from(10).pow(u32::from(precision)).magnitude());
        match (evaluate(&session, &sql, &table), fitting) {
            (Err(error), None) => prop_assert!(!error.contains("internal"), "{}", error),
            (Ok((flink, values)), Some(expected)) => {
                prop_assert_eq!(flink, FlinkType::Decimal(precision, scale));
                let digits: String = values[0].chars().filter(|digit| *digit != '.').collect();
                prop_assert_eq!(digits.parse::<BigInt>().expect("digits"), expected);
            }
            (found, expected) => prop_assert!(false, "{:?} instead of {:?}", found, expected),
        }
    }

    #[test]
    fn integers_equal_the_oracle(l in any::<i64>(), r in prop_oneof![any::<i64>(), -3..3_i64], operation in operation(), bits in 0..4_u32) {
        let session = Session::new();
        let shift = 64 - (8 << bits);
        let (l, r) = (l >> shift, if r.abs() < 4 { r } else { r >> shift });
        let flink = [FlinkType::TinyInt, FlinkType::SmallInt, FlinkType::Int, FlinkType::BigInt][bits as usize];
        let column = |value: i64| {
            let wide: ArrayRef = Arc::new(arrow_array::Int64Array::from(vec![value]));
            arrow_cast::cast(&wide, &flink.to_arrow()).expect("it fits")
        };
        let table = one_row(vec![("l", flink, column(l)), ("r", flink, column(r))]);
        let (wide_l, wide_r) = (i128::from(l), i128::from(r));
        let expected = match operation {
            Operation::Add => Some(wide_l + wide_r),
            Operation::Subtract => Some(wide_l - wide_r),
            Operation::Multiply => Some(wide_l * wide_r),
            Operation::Divide => wide_l.checked_div(wide_r),
            Operation::Remainder => wide_l.checked_rem(wide_r),
        };
        let limit = 1_i128 << ((8 << bits) - 1);
        let expected = expected.filter(|value| (-limit..limit).contains(value));
        match (evaluate(&session, &format!("l{}r", operation.spaced()), &table), expected) {
            (Err(error), None) => prop_assert!(!error.contains("internal"), "{}", error),
            (Ok((found, values)), Some(expected)) => {
                prop_assert_eq!(found, flink);
                prop_assert_eq!(&values[0], &expected.to_string());
            }
            (found, expected) => prop_assert!(false, "{:?} instead of {:?}", found, expected),
        }
    }

    #[test]
    fn doubles_survive_their_text(value in any::<f64>()) {
        let mut text = String::new();
        crate::sql::functions::numerals::write_double(value, &mut text);
        let read = crate::sql::functions::numerals::parse_double(&text).expect("Java's form is read");
        prop_assert!(read == value || read.is_nan() && value.is_nan(), "{} {}", value, text);
    }

    #[test]
    fn days_survive_their_date(days in -2_000_000_000..2_000_000_000_i64) {
        use crate::sql::functions::calendar::{civil_from_days, days_from_civil, iso_weekday};
        let (year, month, day) = civil_from_days(days);
        prop_assert_eq!(days_from_civil(year, month, day), days);
        if let Some(date) = chrono::NaiveDate::from_epoch_days(days as i32) {
            use chrono::Datelike as _;
            prop_assert_eq!((year, month, day), (i64::from(date.year()), date.month(), date.day()));
            prop_assert_eq!(iso_weekday(days), date.weekday().number_from_monday());
            let week = crate::sql::functions::calendar::iso_week(days);
            prop_assert_eq!(week, (i64::from(date.iso_week().year()), date.iso_week().week()));
        }
    }
}

/// Values at the edges of every type, and NULL.
fn extremes() -> Table {
    use arrow_array::*;
    let strings = ["", "a", "äöü\u{1F980}", "  ", "-1", "%_\\", "2026-02-29", "9999-12-31 23:59:59", "(", "yyyy-MM-dd"];
    let texts = |count: usize| strings.iter().cycle().take(count);
    let rows = strings.len();
    let filled = |values: Vec<i64>| values.into_iter().cycle().take(rows - 1).map(Some).chain([None]);
    let longs = || filled(vec![0, 1, -1, i64::MAX, i64::MIN, 86_400_000, 38, 1 << 40]);
    let ints = || filled(vec![0, 1, -1, i64::from(i32::MAX), i64::from(i32::MIN), 7]);
    let doubles = [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, -1e300];
    let double = || doubles.iter().copied().map(Some).chain([None]);
    let max = decimals::power_of_ten(38) - 1;
    let decimal = |values: Vec<i128>, precision, scale| {
        let values: Decimal128Array = values.into_iter().cycle().take(rows - 1).map(Some).chain([None]).collect();
        Arc::new(values.with_precision_and_scale(precision, scale).expect("a DECIMAL")) as ArrayRef
    };
    one_row(vec![
        (
            "t",
            FlinkType::TinyInt,
            Arc::new(filled(vec![0, 1, -1, 127, -128]).map(|v| v.map(|v| v as i8)).collect::<Int8Array>()),
        ),
        ("i", FlinkType::Int, Arc::new(ints().map(|v| v.map(|v| v as i32)).collect::<Int32Array>())),
        ("l", FlinkType::BigInt, Arc::new(longs().collect::<Int64Array>())),
        ("f", FlinkType::Float, Arc::new(double().map(|v| v.map(|v| v as f32)).collect::<Float32Array>())),
        ("d", FlinkType::Double, Arc::new(double().collect::<Float64Array>())),
        ("wide", FlinkType::Decimal(38, 0), decimal(vec![0, 1, max, -max], 38, 0)),
        ("fine", FlinkType::Decimal(38, 38), decimal(vec![0, 1, max, -max], 38, 38)),
        ("dec", FlinkType::Decimal(10, 2), decimal(vec![0, 5, 9_999_999_999, -1], 10, 2)),
        ("str", FlinkType::STRING, Arc::new(texts(rows - 1).map(Some).chain([None]).collect::<StringViewArray>())),
        ("pat", FlinkType::STRING, Arc::new(texts(rows * 2 - 4).skip(rows - 4).map(Some).collect::<StringViewArray>())),
        (
            "b",
            FlinkType::Boolean,
            Arc::new((0..rows).map(|row| [Some(true), Some(false), None][row % 3]).collect::<BooleanArray>()),
        ),
        ("dt", FlinkType::Date, Arc::new(ints().map(|v| v.map(|v| v as i32)).collect::<Date32Array>())),
        (
            "tm",
            FlinkType::Time(3),
            Arc::new(filled(vec![0, 86_399_999, 1]).map(|v| v.map(|v| v as i32)).collect::<Time32MillisecondArray>()),
        ),
        ("ts", FlinkType::Timestamp(3), Arc::new(longs().collect::<TimestampMillisecondArray>())),
        ("tn", FlinkType::Timestamp(9), Arc::new(longs().collect::<TimestampNanosecondArray>())),
        (
            "ltz",
            FlinkType::TimestampLtz(6),
            Arc::new(longs().collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        ),
        (
            "months",
            FlinkType::IntervalYearMonth,
            Arc::new(ints().map(|v| v.map(|v| v as i32)).collect::<IntervalYearMonthArray>()),
        ),
        ("ms", FlinkType::IntervalDayTime, Arc::new(longs().collect::<DurationMillisecondArray>())),
        ("bin", FlinkType::BYTES, Arc::new(texts(rows).map(|text| Some(text.as_bytes())).collect::<BinaryViewArray>())),
    ])
}

/// Each row alone gives what it gives among the others; no input makes a kernel panic.
fn check_rows(session: &Session, sql: &str, table: &Table) -> bool {
    let whole = evaluate(session, sql, table);
    if let Err(error) = &whole {
        assert!(!error.contains("internal"), "{sql}: {error}");
    }
    let Ok((flink, values)) = whole else {
        // Refused as a whole because of some row, or because of its types: each row still has to be well-behaved.
        for row in 0..table.batch.num_rows() {
            let part = Table { schema: table.schema.clone(), batch: table.batch.slice(row, 1) };
            if let Err(error) = evaluate(session, sql, &part) {
                assert!(!error.contains("internal"), "{sql}, row {row}: {error}");
            }
        }
        return false;
    };
    for (row, value) in values.iter().enumerate() {
        let part = Table { schema: table.schema.clone(), batch: table.batch.slice(row, 1) };
        let (alone, values) = evaluate(session, sql, &part).expect(sql);
        assert_eq!((alone, &values[0]), (flink, value), "{sql}, row {row}");
    }
    true
}

#[test]
fn every_function_bears_every_value() {
    let session = Session::new();
    let table = extremes();
    let columns: Vec<String> = table.schema.fields().iter().map(|field| field.name().clone()).collect();
    let units = [
        "'DAY'",
        "'MONTH'",
        "'MILLENNIUM'",
        "'HOUR'",
        "'NANOSECOND'",
        "'yyyy MMM dd''x'' hh:mm:ss.SSS a'",
        "NULL",
        "3",
        "-1",
        "0",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        // xorshift64*, https://en.wikipedia.org/wiki/Xorshift
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    };
    let mut evaluated = 0;
    for function in scalar_functions() {
        let name = function.name();
        for _ in 0..60 {
            let arguments: Vec<_> = (0..1 + next(3))
                .map(|_| {
                    if next(4) == 0 {
                        units[next(units.len())].to_owned()
                    } else {
                        columns[next(columns.len())].clone()
                    }
                })
                .collect();
            let sql = match (name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), &arguments[..]) {
                (false, [left, right, ..]) => format!("{left} {name} {right}"),
                (false, [operand]) => format!("{operand} {name} {operand}"),
                _ => format!("`{name}`({})", arguments.join(", ")),
            };
            evaluated += usize::from(check_rows(&session, &sql, &table));
        }
    }
    assert!(evaluated > 500, "only {evaluated} calls fit the types of their functions");
}

#[test]
fn every_cast_bears_every_value() {
    let session = Session::new();
    let table = extremes();
    let types = [
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL(5, 2)",
        "DECIMAL(38, 0)",
        "DECIMAL(38, 38)",
        "CHAR(3)",
        "VARCHAR(3)",
        "STRING",
        "BINARY(3)",
        "BYTES",
        "DATE",
        "TIME(0)",
        "TIME(3)",
        "TIMESTAMP(0)",
        "TIMESTAMP(6)",
        "TIMESTAMP(9)",
        "TIMESTAMP_LTZ(3)",
    ];
    for field in table.schema.fields() {
        for flink in types {
            for cast in ["CAST", "TRY_CAST"] {
                let sql = format!("{cast}({} AS {flink})", field.name());
                let is_whole = check_rows(&session, &sql, &table);
                let is_refused = session.plan(&sql, &table.schema).is_err();
                assert!(is_whole || is_refused || cast == "CAST", "{sql}: TRY_CAST fails for no value");
            }
        }
    }
}
