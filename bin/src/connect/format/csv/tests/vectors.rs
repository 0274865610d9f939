//! Tables read with the kernels and without: the same rows, the same rejects.

use super::*;

/// A column of each type that has a kernel, and strings.
fn all_kinds() -> Reading {
    let zone = || Some("UTC".into());
    Reading::of(&[
        ("name", DataType::Utf8View),
        ("tiny", DataType::Int8),
        ("int", DataType::Int32),
        ("big", DataType::Int64),
        ("double", DataType::Float64),
        ("float", DataType::Float32),
        ("decimal", DataType::Decimal128(10, 2)),
        ("date", DataType::Date32),
        ("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("instant", DataType::Timestamp(TimeUnit::Nanosecond, zone())),
    ])
}

/// A text of a column of `all_kinds`; few are wrong, or most records would be.
fn a_text(column: usize) -> BoxedStrategy<String> {
    let usual = match column {
        0 => "[a-z]{0,30}|[a-zé€]{1,15}",
        1 => "-?[0-9]{1,2}",
        2 => "-?[0-9]{1,9}",
        3 => "-?[0-9]{1,18}",
        4 => "-?[0-9]{1,7}[.][0-9]{0,7}",
        5 => "-?[0-9]{1,4}[.][0-9]{0,3}",
        6 => "-?[0-9]{1,7}([.][0-9]{1,3})?",
        7 => "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])",
        8 => "2023-11-14[ T]2[0-3]:[0-5][0-9]:[0-5][0-9][.][0-9]{3}",
        _ => "2023-1[12]-14 [01][0-9]:[0-5][0-9]:[0-5][0-9]([.][0-9]{0,9})?(Z|[+]01:00)",
    };
    let odd = prop_oneof![
        3 => Just(String::new()),
        1 => Just("0".to_owned()),
        1 => "[-+0-9. eE:TZ]{0,20}",
        1 => "[a-zé]{1,14}",
    ];
    let text = prop_oneof![60 => usual.prop_map(|text: String| text), 1 => odd];
    (text, prop_oneof![30 => Just(""), 1 => Just(" ")], prop_oneof![30 => Just(""), 1 => Just("\"")])
        .prop_map(|(text, space, quote)| format!("{quote}{space}{text}{quote}"))
        .boxed()
}

fn a_table() -> impl Strategy<Value = String> {
    let record = (0..10).map(a_text).collect::<Vec<_>>();
    let end = prop_oneof![40 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\n\n"), 1 => Just(",\n")];
    let records = proptest::collection::vec((record, end), 0..90);
    records.prop_map(|records| {
        records.into_iter().map(|(fields, end)| format!("{}{end}", fields.join(","))).collect::<String>()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn kernels_change_no_row_and_no_reject(
        text in a_table(),
        columns in proptest::sample::subsequence((0..10).collect::<Vec<usize>>(), 1..=10).prop_shuffle(),
        literal in prop_oneof![4 => Just(None), 1 => Just(Some("0")), 1 => Just(Some("abc"))],
        on_error in prop_oneof![Just(OnError::Divert), Just(OnError::Fail)],
        block_bytes in prop_oneof![Just(1 << 17), 100_usize..3000],
        batch_rows in prop_oneof![Just(4096), 1_usize..40],
        is_crlf in any::<bool>(),
    ) {
        let text = if is_crlf { text.replace('\n', "\r\n") } else { text };
        let mut reading = Reading { columns, block_bytes, batch_rows, ..all_kinds() };
        reading.options.null_literal = literal.map(str::to_owned);
        reading.bad_input.on_error = on_error;
        let message = |outcome: Result<Outcome, Error>| outcome.map_err(|error| error.message);
        let with_kernels = message(reading.read_text(&text));
        let without = message(Reading { kernels: Kernels::Scalar, ..reading }.read_text(&text));
        prop_assert_eq!(with_kernels, without);
    }
}
