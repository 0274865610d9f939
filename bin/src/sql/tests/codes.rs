//! Which columns of a scan may come as codes of a dictionary.

use super::*;
use crate::plan::stages::{Head, StageGraph};

const COLUMNAR: &str = "CREATE TABLE columnar (
  trader STRING, symbol STRING, quantity BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = 'trades.parquet', 'format' = 'parquet');
";

/// The columns that every scan of a query may give as codes.
fn codes(query: &str) -> String {
    let graph = StageGraph::new(job(&format!("{COLUMNAR}{query}")));
    let mut names = Vec::new();
    for stage in &graph.stages {
        if let Head::Scan { table, columns, codes, .. } = &stage.head {
            names.extend(codes.iter().map(|&place| table.schema.field(columns[place]).name().clone()));
        }
    }
    names.join(" ")
}

#[test]
fn strings_that_are_keys_and_nothing_else_stay_codes() {
    for (query, expected) in [
        ("SELECT symbol, COUNT(*) FROM columnar GROUP BY symbol", "symbol"),
        (
            "SELECT trader, symbol, SUM(quantity * 2) FROM columnar WHERE quantity > 1 GROUP BY trader, symbol",
            "trader symbol",
        ),
        (
            "SELECT s, COUNT(*) FROM (SELECT symbol AS s, quantity + 1 AS q FROM columnar) WHERE q > 1 GROUP BY s",
            "symbol",
        ),
        (
            "SELECT symbol, window_start, COUNT(*) FROM TABLE(HOP(TABLE columnar, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '2' MINUTE)) GROUP BY symbol, window_start, window_end",
            "symbol",
        ),
        ("SELECT DISTINCT symbol FROM columnar", "symbol"),
        // Somebody looks at them.
        ("SELECT symbol, COUNT(*) FROM columnar WHERE symbol <> 'a' GROUP BY symbol", ""),
        ("SELECT symbol, MAX(symbol) FROM columnar GROUP BY symbol", ""),
        ("SELECT symbol, COUNT(*) FILTER (WHERE trader = 'x') FROM columnar GROUP BY symbol", "symbol"),
        ("SELECT UPPER(symbol), COUNT(*) FROM columnar GROUP BY UPPER(symbol)", ""),
        // They are no keys, no strings, or not kept as codes.
        ("SELECT symbol FROM columnar", ""),
        ("SELECT quantity, COUNT(*) FROM columnar GROUP BY quantity", ""),
        ("SELECT symbol, COUNT(*) FROM trades GROUP BY symbol", ""),
        ("SELECT COUNT(*) FROM columnar", ""),
    ] {
        assert_eq!(codes(query), expected, "{query}");
    }
}
