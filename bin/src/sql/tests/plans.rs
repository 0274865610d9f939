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
        (
            "SELECT COUNT(*) FROM trades",
            "
      project COUNT(*) AS EXPR$0
        aggregate [] [Count(*)] global
          scan trades: ",
        ),
        (
            "SELECT quantity AS q, symbol FROM trades WHERE price > 1.5",
            "
      project quantity AS q, symbol
        filter price > 1.5
          scan trades: symbol, price, quantity",
        ),
    ]);
}

#[test]
fn overlapping_windows_are_grouped_in_panes_and_spread_where_nobody_groups_by_them() {
    let hop = "TABLE(HOP(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '5' MINUTE))";
    let query = |text: &str| text.replace("HOPPED", hop);
    check(&[
        (
            &query("SELECT symbol, window_end, COUNT(*) AS n FROM HOPPED GROUP BY window_start, window_end, symbol"),
            "
      project symbol, window_end, COUNT(*) AS n
        aggregate [symbol] [Count(*)] window ts 300000 hop 60000
          scan trades: symbol, ts",
        ),
        (
            &query("SELECT symbol, COUNT(*) AS n FROM HOPPED GROUP BY symbol"),
            "
      project symbol, COUNT(*) AS n
        aggregate [symbol] [Count(*)]
          project symbol
            unnest ts 300000 hop 60000 beside [symbol, ts]: symbol, ts, window_start, window_end, window_time
              scan trades: symbol, ts",
        ),
        (
            &query("SELECT symbol FROM HOPPED"),
            "
      project symbol
        unnest ts 300000 hop 60000 beside [symbol, ts]: symbol, ts, window_start, window_end, window_time
          scan trades: symbol, ts",
        ),
        (
            &query(
                "SELECT window_start, window_end, MAX(n) FROM (SELECT window_start, window_end, symbol, COUNT(*) AS n FROM HOPPED GROUP BY window_start, window_end, symbol) GROUP BY window_start, window_end",
            ),
            "
      project window_start, window_end, MAX(n) AS EXPR$2
        aggregate [] [Max(n)] window window_time 300000 hop 60000 given
          project COUNT(*) AS n, window_time
            aggregate [symbol] [Count(*)] window ts 300000 hop 60000
              scan trades: symbol, ts",
        ),
        (
            &query(
                "SELECT window_start, COUNT(*) FROM (SELECT window_start, window_end, symbol FROM HOPPED UNION ALL SELECT window_start, window_end, trader FROM HOPPED) GROUP BY window_start, window_end",
            ),
            "
      project window_start, COUNT(*) AS EXPR$1
        aggregate [] [Count(*)] window window_time 300000 hop 60000
          union
            project ts AS window_time
              scan trades: ts
            project ts AS window_time
              scan trades: ts",
        ),
    ]);
}

#[test]
fn windows_are_recognised_in_every_form() {
    check(&[
        (
            "SELECT trader, window_start, window_end, COUNT(*) AS n FROM TUMBLED GROUP BY window_start, window_end, trader",
            "
      project trader, window_start, window_end, COUNT(*) AS n
        aggregate [trader] [Count(*)] window ts 60000
          scan trades: trader, ts",
        ),
        (
            "SELECT window_end, SUM(price) FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '3' SECOND) GROUP BY window_end, window_start",
            "
      project window_end, SUM(price) AS EXPR$1
        aggregate [] [Sum(price)] window ts 10000 offset 3000
          scan trades: price, ts",
        ),
        (
            "SELECT window_start, MAX(price) AS m FROM TABLE(TUMBLE(DATA => TABLE trades, TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '1' HOUR, OFFSET => INTERVAL '-5' MINUTE)) AS w GROUP BY window_start, window_end, window_time",
            "
      project window_start, MAX(price) AS m
        aggregate [] [Max(price)] window ts 3600000 offset -300000
          scan trades: price, ts",
        ),
        (
            "SELECT w.symbol, COUNT(*) FROM TABLE(TUMBLE((SELECT * FROM trades WHERE price > 1), DESCRIPTOR(ts), INTERVAL '1' DAY)) w GROUP BY w.window_start, w.window_end, w.symbol",
            "
      project symbol, COUNT(*) AS EXPR$1
        aggregate [symbol] [Count(*)] window ts 86400000
          project symbol, ts
            filter price > 1.0
              scan trades: symbol, price, ts",
        ),
        (
            "SELECT TUMBLE_START(ts, INTERVAL '1' HOUR) AS s, TUMBLE_END(ts, INTERVAL '1' HOUR), TUMBLE_ROWTIME(ts, INTERVAL '1' HOUR) AS t, symbol, COUNT(*) FROM trades WHERE price > 0 GROUP BY symbol, TUMBLE(ts, INTERVAL '1' HOUR) HAVING TUMBLE_START(ts, INTERVAL '1' HOUR) > TIMESTAMP '2024-01-01 00:00:00' ORDER BY TUMBLE_END(ts, INTERVAL '1' HOUR)",
            "
      sort [EXPR$1] offset 0 limit None
        project window_start AS s, window_end AS EXPR$1, window_time AS t, symbol, COUNT(*) AS EXPR$4
          aggregate [symbol] [Count(*)] window ts 3600000
            project symbol, ts
              filter window_start > TIMESTAMP '2024-01-01 00:00:00'
                project symbol, ts, window_start(ts) AS window_start
                  project symbol, ts
                    filter price > 0.0
                      scan trades: symbol, price, ts",
        ),
        (
            "SELECT COUNT(*) FROM trades GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)",
            "
      project COUNT(*) AS EXPR$0
        aggregate [] [Count(*)] window ts 60000
          scan trades: ts",
        ),
        (
            "SELECT COUNT(*) FROM trades AS x GROUP BY TUMBLE(x.ts, INTERVAL '1' MINUTE), x.symbol",
            "
      project COUNT(*) AS EXPR$0
        aggregate [symbol] [Count(*)] window ts 60000
          scan trades: symbol, ts",
        ),
        (
            "SELECT DISTINCT window_start, window_end, symbol FROM TUMBLED",
            "
      project window_start, window_end, symbol
        aggregate [symbol] [] window ts 60000
          scan trades: symbol, ts",
        ),
        (
            "SELECT symbol, window_start FROM TUMBLED",
            "
      project symbol, window_start(ts) AS window_start
        scan trades: symbol, ts",
        ),
        (
            "SELECT window_start + INTERVAL '1' SECOND AS x, window_time FROM TUMBLED WHERE window_end > TIMESTAMP '2024-01-01 00:00:00'",
            "
      project x, window_time(ts) AS window_time
        project window_start + INTERVAL '+0 00:00:01.000' AS x, ts
          project ts, window_end, window_start(ts) AS window_start
            filter window_end > TIMESTAMP '2024-01-01 00:00:00'
              project ts, window_end(ts) AS window_end
                scan trades: ts",
        ),
        (
            "SELECT window_start, COUNT(*) FROM TUMBLED GROUP BY window_start",
            "
      project window_start, COUNT(*) AS EXPR$1
        aggregate [window_start] [Count(*)]
          project window_start(ts) AS window_start
            scan trades: ts",
        ),
        (
            "SELECT s, COUNT(*) FROM (SELECT window_start AS s, window_end AS e, price FROM TUMBLED WHERE price > 3) GROUP BY s, e",
            "
      project window_start AS s, COUNT(*) AS EXPR$1
        aggregate [] [Count(*)] window ts 60000
          project ts
            filter price > 3.0
              scan trades: price, ts",
        ),
    ]);
}

#[test]
fn a_window_over_a_window_uses_its_time() {
    check(&[
        (
            "SELECT w2.window_start, SUM(n) AS n FROM TABLE(TUMBLE((SELECT window_time AS t, COUNT(*) AS n FROM TUMBLED GROUP BY window_start, window_end, window_time), DESCRIPTOR(t), INTERVAL '1' HOUR)) w2 GROUP BY w2.window_start, w2.window_end",
            "
      project window_start, SUM(n) AS n
        aggregate [] [Sum(n)] window t 3600000
          project COUNT(*) AS n, window_time AS t
            aggregate [] [Count(*)] window ts 60000
              scan trades: ts",
        ),
        (
            "SELECT window_start, window_end, MAX(n) FROM (SELECT window_start, window_end, symbol, COUNT(*) AS n FROM TUMBLED GROUP BY window_start, window_end, symbol) GROUP BY window_start, window_end",
            "
      project window_start, window_end, MAX(n) AS EXPR$2
        aggregate [] [Max(n)] window window_time 60000
          project COUNT(*) AS n, window_time
            aggregate [symbol] [Count(*)] window ts 60000
              scan trades: symbol, ts",
        ),
        (
            "SELECT window_start, SUM(price) FROM TABLE(TUMBLE((SELECT window_time AS t, price FROM TUMBLED), DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end",
            "
      project window_start, SUM(price) AS EXPR$1
        aggregate [] [Sum(price)] window window_time 3600000
          project price, window_time(ts) AS window_time
            scan trades: price, ts",
        ),
        (
            "SELECT TUMBLE_START(t, INTERVAL '1' HOUR), SUM(n) FROM (SELECT TUMBLE_ROWTIME(ts, INTERVAL '1' MINUTE) AS t, COUNT(*) AS n FROM trades GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)) GROUP BY TUMBLE(t, INTERVAL '1' HOUR)",
            "
      project window_start AS EXPR$0, SUM(n) AS EXPR$1
        aggregate [] [Sum(n)] window t 3600000
          project COUNT(*) AS n, window_time AS t
            aggregate [] [Count(*)] window ts 60000
              scan trades: ts",
        ),
        (
            "SELECT window_start, COUNT(*) FROM (SELECT window_start, window_end, symbol FROM TUMBLED UNION ALL SELECT window_start, window_end, trader FROM TUMBLED) GROUP BY window_start, window_end",
            "
      project window_start, COUNT(*) AS EXPR$1
        aggregate [] [Count(*)] window window_time 60000
          union
            project ts AS window_time
              scan trades: ts
            project ts AS window_time
              scan trades: ts",
        ),
    ]);
}

#[test]
fn aggregates_take_columns_of_a_projection() {
    check(&[
        ("SELECT symbol, AVG(quantity), COUNT(DISTINCT trader) FILTER (WHERE price > 2), SUM(price * quantity) FROM trades GROUP BY symbol HAVING COUNT(*) > 1", "
      project symbol, AVG(quantity) AS EXPR$1, COUNT(DISTINCT trader) FILTER (WHERE price > 2.0) AS EXPR$2, SUM(price * quantity) AS EXPR$3
        filter COUNT(*) > 1
          aggregate [symbol] [Avg(quantity), Count(distinct trader) if price > 2.0, Sum(price * quantity), Count(*)]
            project symbol, quantity, trader, price > 2.0, price * quantity
              scan trades: trader, symbol, price, quantity"),
        ("SELECT COALESCE(symbol, 'none') AS s, MIN(price + 1), MAX(price + 1) FROM trades GROUP BY COALESCE(symbol, 'none')", "
      project COALESCE(symbol, 'none') AS s, MIN(price + 1.0) AS EXPR$1, MAX(price + 1.0) AS EXPR$2
        aggregate [COALESCE(symbol, 'none')] [Min(price + 1.0), Max(price + 1.0)]
          project COALESCE(symbol, 'none'), price + 1.0
            scan trades: symbol, price"),
        ("SELECT CASE WHEN price > 1 THEN 'high' ELSE 'low' END AS kind, COUNT(*) FROM trades GROUP BY CASE WHEN price > 1 THEN 'high' ELSE 'low' END", "
      project CASE WHEN price > 1.0 THEN 'high' ELSE 'low' END AS kind, COUNT(*) AS EXPR$1
        aggregate [CASE WHEN price > 1.0 THEN 'high' ELSE 'low' END] [Count(*)]
          project CASE WHEN price > 1.0 THEN 'high' ELSE 'low' END
            scan trades: price"),
        ("SELECT symbol AS s, COUNT(*) FROM trades GROUP BY s", "
      project symbol AS s, COUNT(*) AS EXPR$1
        aggregate [symbol] [Count(*)]
          scan trades: symbol"),
        ("SELECT symbol, quantity % 2, COUNT(*) FROM trades GROUP BY 1, 2", "
      project symbol, quantity % 2 AS EXPR$1, COUNT(*) AS EXPR$2
        aggregate [symbol, quantity % 2] [Count(*)]
          project symbol, quantity % 2
            scan trades: symbol, quantity"),
        ("SELECT COUNT(*), COUNT(symbol), COUNT(1), COUNT(DISTINCT symbol), LISTAGG(symbol, ';'), FIRST_VALUE(price), STDDEV_POP(price) FROM trades", "
      project COUNT(*) AS EXPR$0, COUNT(symbol) AS EXPR$1, COUNT(*) AS EXPR$2, COUNT(DISTINCT symbol) AS EXPR$3, LISTAGG(symbol, ';') AS EXPR$4, FIRST_VALUE(price) AS EXPR$5, STDDEV_POP(price) AS EXPR$6
        aggregate [] [Count(*), Count(symbol), Count(distinct symbol), ListAgg { separator: \";\" }(symbol), FirstValue(price), StddevPop(price)] global
          scan trades: symbol, price"),
        ("SELECT MAX(n) FROM (SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol)", "
      project MAX(n) AS EXPR$0
        aggregate [] [Max(n)] global
          project COUNT(*) AS n
            aggregate [symbol] [Count(*)]
              scan trades: symbol"),
        ("SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol, trader", "
      project symbol, COUNT(*) AS n
        aggregate [symbol, trader] [Count(*)]
          project symbol, trader
            scan trades: trader, symbol"),
    ]);
}

#[test]
fn sets_sorts_and_values() {
    check(&[
        ("SELECT DISTINCT symbol, trader FROM trades", "
      aggregate [symbol, trader] []
        project symbol, trader
          scan trades: trader, symbol"),
        ("SELECT symbol FROM trades UNION ALL SELECT trader FROM trades", "
      union
        scan trades: symbol
        project trader AS symbol
          scan trades: trader"),
        ("SELECT symbol FROM trades UNION SELECT trader FROM trades", "
      aggregate [symbol] []
        union
          scan trades: symbol
          project trader AS symbol
            scan trades: trader"),
        ("SELECT quantity FROM trades UNION ALL SELECT price FROM trades", "
      union
        project quantity
          scan trades: quantity
        project price AS quantity
          scan trades: price"),
        ("SELECT symbol, price FROM trades ORDER BY quantity DESC, symbol LIMIT 3 OFFSET 1", "
      project symbol, price
        sort [quantity desc, symbol] offset 1 limit Some(3)
          scan trades: symbol, price, quantity"),
        ("SELECT symbol FROM trades ORDER BY price * 2 NULLS LAST FETCH FIRST 2 ROWS ONLY", "
      project symbol
        sort [price * 2.0 nulls moved] offset 0 limit Some(2)
          project symbol, price, price * 2.0
            scan trades: symbol, price"),
        ("SELECT symbol FROM trades LIMIT 5", "
      sort [] offset 0 limit Some(5)
        scan trades: symbol"),
        ("SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol ORDER BY COUNT(*) DESC, 1", "
      sort [n desc, symbol] offset 0 limit None
        project symbol, COUNT(*) AS n
          aggregate [symbol] [Count(*)]
            scan trades: symbol"),
        ("SELECT 1 + 1 AS two, 'a'", "
      project 2 AS two, 'a' AS EXPR$1
        values 1 x"),
        ("VALUES (1, 'a'), (2, NULL)", "
      values 2 x EXPR$0, EXPR$1"),
        ("SELECT a, b + 1 FROM (VALUES (1, 2), (3, 4)) AS t(a, b) WHERE a > 1", "
      project a, b + 1 AS EXPR$1
        project EXPR$0 AS a, EXPR$1 AS b
          filter EXPR$0 > 1
            values 2 x EXPR$0, EXPR$1"),
        ("WITH x AS (SELECT symbol, price FROM trades WHERE price > 1), y AS (SELECT symbol FROM x) SELECT * FROM y", "
      project symbol
        filter price > 1.0
          scan trades: symbol, price"),
        ("SELECT symbol, symbol, price AS symbol FROM trades", "
      project symbol, symbol AS symbol0, price AS symbol1
        scan trades: symbol, price"),
        ("SELECT t.symbol, `t`.`price` FROM trades AS t", "scan trades: symbol, price"),
        ("SELECT symbol FROM trades WHERE symbol IN ('a', 'b') AND price BETWEEN 1 AND 2 AND trader LIKE 'x%' AND fee IS NOT DISTINCT FROM 1.5 AND (price > 1) IS TRUE", "
      project symbol
        filter (symbol = 'a' OR symbol = 'b') AND fee IS NOT DISTINCT FROM 1.50 AND (price > 1.0) IS TRUE AND price >= 1.0 AND price <= 2.0 AND trader LIKE 'x%'
          scan trades: trader, symbol, price, fee"),
        ("SELECT *, price, price + 1 FROM trades", "
      project trader, symbol, price, quantity, fee, ts, price AS price0, price + 1.0 AS EXPR$7
        scan trades: trader, symbol, price, quantity, fee, ts"),
        ("SELECT t.*, window_start FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) AS t", "
      project trader, symbol, price, quantity, fee, ts, window_start(ts) AS window_start, window_end(ts) AS window_end, window_time(ts) AS window_time, window_start(ts) AS window_start0
        scan trades: trader, symbol, price, quantity, fee, ts"),
        ("WITH x AS (SELECT symbol, price FROM trades) SELECT *, price * 2 AS d FROM x", "
      project symbol, price, price * 2.0 AS d
        scan trades: symbol, price"),
    ]);
}
