//! Top-N and deduplication: which plans ROW_NUMBER becomes, and what is refused.

use super::*;

#[test]
fn the_filter_becomes_the_numbers_that_are_kept() {
    let numbered =
        "SELECT symbol, price, ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY price DESC) AS rn FROM trades";
    for (columns, condition, expected) in [
        ("*", "rn <= 3", "rank 1..=3 by [symbol] order [price desc] EarlierFirst Changes: symbol, price, row_number"),
        ("symbol", "rn < 3", "rank 1..=2 by [symbol] order [price desc] EarlierFirst Changes: symbol, price"),
        ("symbol", "3 > rn", "rank 1..=2 by [symbol] order [price desc] EarlierFirst Changes: symbol, price"),
        (
            "symbol",
            "rn BETWEEN 2 AND 4",
            "rank 2..=4 by [symbol] order [price desc] EarlierFirst Changes: symbol, price",
        ),
        ("*", "rn = 2", "rank 2..=2 by [symbol] order [price desc] EarlierFirst Changes: symbol, price"),
        (
            "rn",
            "rn >= -1 AND 5 >= rn AND rn <= 9",
            "rank 1..=5 by [symbol] order [price desc] EarlierFirst Changes: symbol, price, row_number",
        ),
    ] {
        let plan = plan_of(&format!("{STREAMING}SELECT {columns} FROM ({numbered}) WHERE {condition}"));
        assert!(plan.contains(expected), "{condition}: {plan}");
        assert!(!plan.contains("filter"), "{condition}: {plan}");
    }
    let last = "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY ts DESC) AS rn FROM trades) AS t WHERE t.rn = 1";
    assert!(plan_of(&format!("{STREAMING}{last}")).contains("[ts desc] LaterFirst Changes"));
    assert!(plan_of(&format!("SET 'execution.runtime-mode' = 'batch';{last}")).contains("[ts desc] LaterFirst Final"));
}

#[test]
fn what_cannot_be_numbered_is_refused_at_its_place() {
    let around = |over: &str, condition: &str| {
        format!("SELECT symbol FROM (SELECT *, {over} AS rn FROM trades) WHERE {condition}")
    };
    let by_price = "ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY price)";
    for (statement, message, place) in [
        (format!("SELECT symbol, {by_price} FROM trades"), "ROW_NUMBER is supported only where", "symbol"),
        (around(by_price, "rn > 3"), "ROW_NUMBER is supported only where", "symbol"),
        (around(by_price, "rn < 1"), "no row can have a number from 1 to 0", "symbol"),
        (around("ROW_NUMBER() OVER (PARTITION BY symbol)", "rn < 3"), "this form of ROW_NUMBER", "ROW_NUMBER"),
        (around("RANK() OVER (ORDER BY price)", "rn < 3"), "RANK is not supported", "RANK"),
        (around("ROW_NUMBER()", "rn < 3"), "ROW_NUMBER lacks OVER", "ROW_NUMBER"),
        (format!("SELECT symbol FROM trades WHERE {by_price} < 3"), "ROW_NUMBER cannot stand in WHERE", "ROW_NUMBER"),
        (
            around(&format!("{by_price} AS other, ROW_NUMBER() OVER (ORDER BY ts)"), "rn < 3 AND other < 3"),
            "several functions over windows",
            "ts",
        ),
        (around("ROW_NUMBER() OVER (ORDER BY ARRAY[price])", "rn < 3"), "ORDER BY of ARRAY<", "price"),
    ] {
        let text = format!("{TRADES}{STREAMING}{statement}");
        let error = outcome(&text).unwrap_err();
        assert!(error.message.starts_with(message), "{statement}: {error:?}");
        assert!(error.help.is_some(), "{statement}: no help");
        let span = error.span.unwrap_or_else(|| panic!("{statement}: no place"));
        assert_eq!(&text[span], place, "{statement}");
    }
}

#[test]
fn what_would_have_to_be_taken_back_is_refused_in_streaming_mode() {
    let changing = "(SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol)";
    let ranked = "(SELECT * FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY price) AS rn FROM trades) WHERE rn < 3)";
    for (statement, message) in [
        (
            format!("SELECT symbol FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY n) AS rn FROM {changing}) WHERE rn < 3"),
            "ROW_NUMBER over the changing rows of an aggregation is not supported in streaming mode",
        ),
        (
            format!("SELECT COUNT(*) FROM {ranked} GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)"),
            "a windowed aggregation over the changing rows of ROW_NUMBER is not supported in streaming mode",
        ),
    ] {
        let error = outcome(&format!("{TRADES}{STREAMING}{statement}")).unwrap_err();
        assert_eq!(error.message, message, "{statement}");
        outcome(&format!("{TRADES}SET 'execution.runtime-mode' = 'batch';{statement}")).unwrap();
    }
}
