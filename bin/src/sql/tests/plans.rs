//! Queries and the plans that they become.

use super::*;

/// Query and plan, over `trades`.
fn check(cases: &[(&str, &str)]) {
    for (query, plan) in cases {
        let query = query.replace("TUMBLED", TUMBLE);
        let plan: Vec<&str> = plan.lines().map(|line| line.strip_prefix("      ").unwrap_or(line)).collect();
        let expected = plan.join("\n");
        assert_eq!(plan_of(&query), expected.trim(), "{query}");
    }
}

#[test]
fn a_scan_reads_what_is_used_and_filters_stand_above_it() {
    check(&[
        ("SELECT * FROM trades", "scan trades: trader, symbol, price, quantity, fee, ts"),
        ("SELECT COUNT(*) FROM trades", "
      project COUNT(*) AS EXPR$0
        aggregate [] [Count(*)] global
          scan trades: "),
        ("SELECT quantity AS q, symbol FROM trades WHERE price > 1.5", "
      project quantity AS q, symbol
        filter price > 1.5
          scan trades: symbol, price, quantity"),
    ]);
}
    #[test]
fn dump() {
    for q in [
        r#"SELECT trader, window_start, window_end, COUNT(*) AS n FROM TUMBLED GROUP BY window_start, window_end, trader"#,
        r#"SELECT window_end, SUM(price) FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '3' SECOND) GROUP BY window_end, window_start"#,
        r#"SELECT window_start, MAX(price) AS m FROM TABLE(TUMBLE(DATA => TABLE trades, TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '1' HOUR, OFFSET => INTERVAL '-5' MINUTE)) AS w GROUP BY window_start, window_end, window_time"#,
        r#"SELECT w.symbol, COUNT(*) FROM TABLE(TUMBLE((SELECT * FROM trades WHERE price > 1), DESCRIPTOR(ts), INTERVAL '1' DAY)) w GROUP BY w.window_start, w.window_end, w.symbol"#,
        r#"SELECT TUMBLE_START(ts, INTERVAL '1' HOUR) AS s, TUMBLE_END(ts, INTERVAL '1' HOUR), TUMBLE_ROWTIME(ts, INTERVAL '1' HOUR) AS t, symbol, COUNT(*) FROM trades WHERE price > 0 GROUP BY symbol, TUMBLE(ts, INTERVAL '1' HOUR) HAVING TUMBLE_START(ts, INTERVAL '1' HOUR) > TIMESTAMP '2024-01-01 00:00:00' ORDER BY TUMBLE_END(ts, INTERVAL '1' HOUR)"#,
        r#"SELECT COUNT(*) FROM trades GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)"#,
        r#"SELECT COUNT(*) FROM trades AS x GROUP BY TUMBLE(x.ts, INTERVAL '1' MINUTE), x.symbol"#,
        r#"SELECT DISTINCT window_start, window_end, symbol FROM TUMBLED"#,
        r#"SELECT symbol, window_start FROM TUMBLED"#,
        r#"SELECT window_start + INTERVAL '1' SECOND AS x, window_time FROM TUMBLED WHERE window_end > TIMESTAMP '2024-01-01 00:00:00'"#,
        r#"SELECT window_start, COUNT(*) FROM TUMBLED GROUP BY window_start"#,
        r#"SELECT s, COUNT(*) FROM (SELECT window_start AS s, window_end AS e, price FROM TUMBLED WHERE price > 3) GROUP BY s, e"#,
        r#"SELECT w2.window_start, SUM(n) AS n FROM TABLE(TUMBLE((SELECT window_time AS t, COUNT(*) AS n FROM TUMBLED GROUP BY window_start, window_end, window_time), DESCRIPTOR(t), INTERVAL '1' HOUR)) w2 GROUP BY w2.window_start, w2.window_end"#,
        r#"SELECT window_start, window_end, MAX(n) FROM (SELECT window_start, window_end, symbol, COUNT(*) AS n FROM TUMBLED GROUP BY window_start, window_end, symbol) GROUP BY window_start, window_end"#,
        r#"SELECT window_start, SUM(price) FROM TABLE(TUMBLE((SELECT window_time AS t, price FROM TUMBLED), DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end"#,
        r#"SELECT TUMBLE_START(t, INTERVAL '1' HOUR), SUM(n) FROM (SELECT TUMBLE_ROWTIME(ts, INTERVAL '1' MINUTE) AS t, COUNT(*) AS n FROM trades GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)) GROUP BY TUMBLE(t, INTERVAL '1' HOUR)"#,
        r#"SELECT window_start, COUNT(*) FROM (SELECT window_start, window_end, symbol FROM TUMBLED UNION ALL SELECT window_start, window_end, trader FROM TUMBLED) GROUP BY window_start, window_end"#,
        r#"SELECT symbol, AVG(quantity), COUNT(DISTINCT trader) FILTER (WHERE price > 2), SUM(price * quantity) FROM trades GROUP BY symbol HAVING COUNT(*) > 1"#,
        r#"SELECT COALESCE(symbol, 'none') AS s, MIN(price + 1), MAX(price + 1) FROM trades GROUP BY COALESCE(symbol, 'none')"#,
        r#"SELECT CASE WHEN price > 1 THEN 'high' ELSE 'low' END AS kind, COUNT(*) FROM trades GROUP BY CASE WHEN price > 1 THEN 'high' ELSE 'low' END"#,
        r#"SELECT symbol AS s, COUNT(*) FROM trades GROUP BY s"#,
        r#"SELECT symbol, quantity % 2, COUNT(*) FROM trades GROUP BY 1, 2"#,
        r#"SELECT COUNT(*), COUNT(symbol), COUNT(1), COUNT(DISTINCT symbol), LISTAGG(symbol, ';'), FIRST_VALUE(price), STDDEV_POP(price) FROM trades"#,
        r#"SELECT MAX(n) FROM (SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol)"#,
        r#"SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol, trader"#,
        r#"SELECT DISTINCT symbol, trader FROM trades"#,
        r#"SELECT symbol FROM trades UNION ALL SELECT trader FROM trades"#,
        r#"SELECT symbol FROM trades UNION SELECT trader FROM trades"#,
        r#"SELECT quantity FROM trades UNION ALL SELECT price FROM trades"#,
        r#"SELECT symbol, price FROM trades ORDER BY quantity DESC, symbol LIMIT 3 OFFSET 1"#,
        r#"SELECT symbol FROM trades ORDER BY price * 2 NULLS LAST FETCH FIRST 2 ROWS ONLY"#,
        r#"SELECT symbol FROM trades LIMIT 5"#,
        r#"SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol ORDER BY COUNT(*) DESC, 1"#,
        r#"SELECT 1 + 1 AS two, 'a'"#,
        r#"VALUES (1, 'a'), (2, NULL)"#,
        r#"SELECT a, b + 1 FROM (VALUES (1, 2), (3, 4)) AS t(a, b) WHERE a > 1"#,
        r#"WITH x AS (SELECT symbol, price FROM trades WHERE price > 1), y AS (SELECT symbol FROM x) SELECT * FROM y"#,
        r#"SELECT symbol, symbol, price AS symbol FROM trades"#,
        r#"SELECT t.symbol, `t`.`price` FROM trades AS t"#,
        r#"SELECT symbol FROM trades WHERE symbol IN ('a', 'b') AND price BETWEEN 1 AND 2 AND trader LIKE 'x%' AND fee IS NOT DISTINCT FROM 1.5 AND (price > 1) IS TRUE"#,
        r#"SELECT *, price, price + 1 FROM trades"#,
        r#"SELECT t.*, window_start FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) AS t"#,
        r#"WITH x AS (SELECT symbol, price FROM trades) SELECT *, price * 2 AS d FROM x"#,
    ] { let query = q.replace("TUMBLED", TUMBLE); println!("@@ {q}\n{}\n@@", plan_of(&query)); }
}
