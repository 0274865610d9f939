//! What of a filter becomes a hint on the scan.

use super::*;
use crate::plan::pruning;

/// The hint of the only scan below a query over `trades`.
fn hint(query: &str) -> String {
    let job = job(query);
    let mut node = &job.pipelines[0].root;
    loop {
        node = match &node.op {
            NodeOp::Scan { table, pruning, .. } => {
                let names = pruning.iter().map(|test| table.schema.field(test.column).name().as_str());
                assert!(names.zip(pruning).all(|(name, test)| test.text.contains(name)), "{pruning:?}");
                return pruning::describe(pruning).unwrap_or_default();
            }
            NodeOp::Watermark { input, .. }
            | NodeOp::Filter { input, .. }
            | NodeOp::Project { input, .. }
            | NodeOp::Aggregate { input, .. }
            | NodeOp::Running { input, .. }
            | NodeOp::Rank { input, .. }
            | NodeOp::Sort { input, .. } => input,
            other => panic!("no such plan is tested: {other:?}"),
        };
    }
}

#[test]
fn simple_conditions_on_columns_become_a_hint() {
    for (condition, expected) in [
        ("quantity = 5", "quantity = 5"),
        ("5 < quantity", "quantity > 5"),
        ("symbol >= 'a' AND symbol IS NOT NULL", "symbol >= 'a' AND symbol IS NOT NULL"),
        ("quantity BETWEEN 1 AND 3", "quantity >= 1 AND quantity <= 3"),
        ("fee > 1.25", "fee > 1.25"),
        ("ts < TIMESTAMP '2024-01-01 00:00:00'", "ts < TIMESTAMP '2024-01-01 00:00:00'"),
        ("symbol IN ('a', 'b')", "symbol = 'a' OR symbol = 'b'"),
        ("symbol IN ('a', 'b', 'c', 'd')", "symbol IN ('a', 'b', 'c', 'd')"),
        ("quantity = 1 OR quantity > 5", ""),
        ("price IS NULL AND 10 / quantity > 1", "price IS NULL"),
        // What is not so simple asks nothing.
        ("quantity = 5 OR symbol = 'a'", ""),
        ("quantity <> 5", ""),
        ("NOT (quantity < 5)", "quantity >= 5"),
        ("quantity + 1 = 5", ""),
        ("price < quantity", ""),
        ("symbol LIKE 'a%'", ""),
        ("symbol NOT IN ('a')", ""),
    ] {
        assert_eq!(hint(&format!("SELECT trader FROM trades WHERE {condition}")), expected, "{condition}");
    }
}

#[test]
fn only_a_filter_above_columns_alone_becomes_one() {
    for (query, expected) in [
        ("SELECT q FROM (SELECT quantity AS q, symbol FROM trades) WHERE q > 1", "quantity > 1"),
        ("SELECT COUNT(*) FROM trades WHERE quantity > 1 GROUP BY symbol", "quantity > 1"),
        ("SELECT symbol FROM trades GROUP BY symbol HAVING COUNT(*) > 1", ""),
        ("SELECT q FROM (SELECT quantity + 1 AS q, quantity FROM trades) WHERE quantity > 1", ""),
    ] {
        let found = hint(query);
        // Whether a filter stands above a projection or below it is up to the optimizer; below, it is a hint.
        assert!(found == expected || (found.contains("quantity > 1") && query.contains("+ 1")), "{query}: {found}");
    }
    // A row that is filtered out still moves the watermark.
    assert_eq!(hint(&format!("{STREAMING}SELECT trader FROM trades WHERE quantity = 5")), "");
}

#[test]
fn explain_shows_the_hint_where_it_is_used() {
    let explained = |format: &str| {
        let text = format!(
            "CREATE TABLE t (a INT, b STRING) WITH ('connector' = 'filesystem', 'path' = 'x', 'format' = '{format}');
            EXPLAIN SELECT b FROM t WHERE a > 1"
        );
        match outcome(&text) {
            Ok(Outcome::Explain(job)) => crate::job::explain(job, &crate::job::JobOptions::default()),
            other => panic!("{other:?}"),
        }
    };
    assert!(
        explained("parquet").contains("read t (a, b)\n    but what cannot have a > 1\n  filter a > 1\n"),
        "{}",
        explained("parquet")
    );
    assert!(!explained("csv").contains("but what"));
}
