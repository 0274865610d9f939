//! What is refused: the statement, the reason, and the text that the error points at.

use std::collections::BTreeMap;

use super::*;

/// Before a statement: STREAM and BATCH set the mode; TUMBLED is a window over `trades`.
const REFUSED: &[(&str, &str, &str)] = &[
    ("SELCT * FROM trades", "expected a statement, found `SELCT`", "SELCT"),
    ("SELECT * FORM trades", "expected the end of the statement, found `FORM`", "FORM"),
    ("SELECT * FROM trades WHER price > 1", "expected a clause, found `WHER`", "WHER"),
    ("SELECT * FROM trade", "there is no table `trade`", "trade"),
    ("SELECT prise FROM trades", "there is no column `prise`", "prise"),
    ("SELECT t.prise FROM trades AS t", "there is no column `prise` in `t`", "t.prise"),
    ("SELECT x.price FROM trades AS t", "there is no column `price` in `x`", "x.price"),
    ("SELECT Price FROM trades", "there is no column `Price`", "Price"),
    ("SELECT price, FROM trades", "expected an expression, found FROM", "FROM"),
    ("SELECT 'abc FROM trades", "unterminated string literal", "'"),
    ("SELECT (price FROM trades", "expected ), found FROM", "FROM"),
    ("SELECT SUMM(price) FROM trades", "there is no function `SUMM`", "SUMM"),
    ("SELECT COALESE(price, 1) FROM trades", "there is no function `COALESE`", "COALESE"),
    ("SELECT price FROM trades a JOIN trades b ON a.symbol = b.symbol", "joins are not supported", "trades b"),
    ("SELECT price FROM trades, trades AS b", "joins are not supported", "trades AS b"),
    ("SELECT price FROM trades AS t, LATERAL (SELECT 1) AS x", "joins are not supported", "SELECT 1) AS x"),
    ("SELECT SUM(price) OVER (PARTITION BY symbol) FROM trades", "OVER windows are not supported", "SUM"),
    (
        "SELECT * FROM trades WHERE price IN (SELECT price FROM trades)",
        "subqueries in expressions are not supported",
        "price IN (SELECT price FROM trades)",
    ),
    (
        "SELECT * FROM trades WHERE EXISTS (SELECT 1 FROM trades)",
        "subqueries in expressions are not supported",
        "SELECT 1 FROM trades",
    ),
    (
        "SELECT (SELECT MAX(price) FROM trades) FROM trades",
        "subqueries in expressions are not supported",
        "SELECT MAX(price) FROM trades",
    ),
    (
        "SELECT symbol FROM trades INTERSECT ALL SELECT trader FROM trades",
        "INTERSECT ALL is not supported",
        "SELECT trader FROM trades",
    ),
    (
        "SELECT symbol FROM trades EXCEPT ALL SELECT trader FROM trades",
        "EXCEPT ALL is not supported",
        "SELECT trader FROM trades",
    ),
    (
        "SELECT symbol FROM trades MINUS SELECT trader FROM trades",
        "MINUS is not supported",
        "SELECT trader FROM trades",
    ),
    (
        "SELECT symbol, COUNT(*) FROM trades GROUP BY ROLLUP (symbol)",
        "GROUPING SETS, CUBE and ROLLUP are not supported",
        "symbol",
    ),
    (
        "SELECT symbol, COUNT(*) FROM trades GROUP BY GROUPING SETS ((symbol), ())",
        "GROUPING SETS, CUBE and ROLLUP are not supported",
        "symbol",
    ),
    (
        "SELECT symbol, COUNT(*) FROM trades GROUP BY CUBE (symbol, trader)",
        "GROUPING SETS, CUBE and ROLLUP are not supported",
        "symbol, trader",
    ),
    (
        "SELECT * FROM trades FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-01 00:00:00'",
        "FOR SYSTEM_TIME is not supported",
        "trades",
    ),
    (
        "SELECT * FROM TABLE(HOP(TABLE trades, DESCRIPTOR(ts), INTERVAL '2' MINUTE, INTERVAL '1' MINUTE))",
        "HOP's slide is longer than its size: rows in between would be in no window",
        "'2' MINUTE, INTERVAL '1'",
    ),
    (
        "SELECT * FROM TABLE(HOP(TABLE trades, DESCRIPTOR(ts), INTERVAL '0.001' SECOND, INTERVAL '1' DAY))",
        "each row would be in 86400000 windows",
        "'0.001' SECOND, INTERVAL '1'",
    ),
    ("SELECT * FROM TABLE(HOP(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE))", "HOP lacks its size (SIZE)", "HOP"),
    (
        "SELECT * FROM TABLE(CUMULATE(TABLE trades, DESCRIPTOR(ts), INTERVAL '2' MINUTE, INTERVAL '5' MINUTE))",
        "CUMULATE's greatest size must be a multiple of its step",
        "'2' MINUTE, INTERVAL '5'",
    ),
    (
        "SELECT * FROM TABLE(CUMULATE(DATA => TABLE trades, TIMECOL => DESCRIPTOR(ts), SLIDE => INTERVAL '1' MINUTE))",
        "CUMULATE has no parameter `SLIDE`",
        "SLIDE",
    ),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE trades PARTITION BY symbol, DESCRIPTOR(ts), INTERVAL '1' MINUTE))",
        "TUMBLE has no PARTITION BY: its windows are the same for all rows",
        "symbol",
    ),
    (
        "SELECT * FROM TABLE(TUMBEL(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE))",
        "there is no table function `TUMBEL`",
        "TUMBEL",
    ),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(price), INTERVAL '1' MINUTE))",
        "a window needs a time attribute, and `price` is none",
        "price",
    ),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(tss), INTERVAL '1' MINUTE))",
        "there is no column `tss`",
        "tss",
    ),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE trades, ts, INTERVAL '1' MINUTE))",
        "the time attribute of a window is given as DESCRIPTOR(column)",
        "ts",
    ),
    (
        "SELECT * FROM TABLE(TUMBLE(trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE))",
        "a window's rows come from a table or a query",
        "trades",
    ),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MONTH))",
        "a window's size and offset have a fixed length; months have none",
        "'1'",
    ),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '0' MINUTE))",
        "a window's size must be greater than zero",
        "'0'",
    ),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), 60))",
        "the size and offset of a window are intervals",
        "60",
    ),
    ("SELECT * FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts)))", "TUMBLE lacks its size (SIZE)", "TUMBLE"),
    (
        "SELECT * FROM TABLE(TUMBLE(DATA => TABLE trades, TIMECOLUMN => DESCRIPTOR(ts), SIZE => INTERVAL '1' MINUTE))",
        "TUMBLE has no parameter `TIMECOLUMN`",
        "TIMECOLUMN",
    ),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE trade, DESCRIPTOR(ts), INTERVAL '1' MINUTE))",
        "there is no table `trade`",
        "trade",
    ),
    (
        "SELECT COUNT(*) FROM trades GROUP BY HOP(ts, INTERVAL '1' MINUTE)",
        "HOP takes a time attribute and the slide and the size of its windows",
        "HOP(ts, INTERVAL '1' MINUTE)",
    ),
    (
        "SELECT COUNT(*) FROM trades GROUP BY UPPER(symbol), SESSION(ts, INTERVAL '1' MINUTE)",
        "the groups beside SESSION are columns",
        "UPPER(symbol)",
    ),
    (
        "SELECT COUNT(*) FROM trades GROUP BY CUMULATE(ts, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)",
        "CUMULATE stands in FROM",
        "CUMULATE(ts, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)",
    ),
    (
        "SELECT TUMBLE_START(ts, INTERVAL '1' MINUTE) FROM trades GROUP BY HOP(ts, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)",
        "TUMBLE_START is not of the window in GROUP BY",
        "TUMBLE_START(ts, INTERVAL '1' MINUTE)",
    ),
    (
        "SELECT TUMBLE_START(ts, INTERVAL '2' MINUTE) FROM trades GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)",
        "TUMBLE_START is not of the window in GROUP BY",
        "TUMBLE_START(ts, INTERVAL '2' MINUTE)",
    ),
    (
        "SELECT TUMBLE_START(ts, INTERVAL '2' MINUTE) FROM trades",
        "TUMBLE_START needs a window in GROUP BY",
        "TUMBLE_START(ts, INTERVAL '2' MINUTE)",
    ),
    (
        "SELECT COUNT(*) FROM trades GROUP BY TUMBLE(price, INTERVAL '1' MINUTE)",
        "a window needs a time attribute, and `price` is none",
        "price",
    ),
    (
        "SELECT symbol, price FROM trades GROUP BY symbol",
        "`price` is neither a key of GROUP BY nor aggregated",
        "price",
    ),
    ("SELECT symbol FROM trades WHERE SUM(price) > 1", "an aggregate function cannot stand in WHERE", "SUM"),
    ("SELECT symbol FROM trades WHERE price", "WHERE takes a BOOLEAN, not DOUBLE", "price"),
    ("SELECT symbol + 1 FROM trades WHERE price > 0", "cannot compute STRING + INT", "symbol + 1"),
    (
        "SELECT symbol FROM trades WHERE symbol - price > 0 AND price > 0",
        "cannot compute STRING - DOUBLE",
        "symbol - price",
    ),
    ("SELECT SUM(symbol) FROM trades", "SUM does not take STRING", "SUM(symbol)"),
    ("SELECT CAST(price AS TEXT) FROM trades", "unknown type TEXT", "price AS TEXT"),
    ("SELECT CAST(price AS DECIMAL(50, 2)) FROM trades", "a DECIMAL of 50 digits", "price AS DECIMAL(50, 2)"),
    (
        "SELECT INTERVAL '1:99' HOUR TO MINUTE FROM trades",
        "INTERVAL '1:99' HOUR TO MINUTE is not an interval",
        "'1:99'",
    ),
    (
        "SELECT TIMESTAMP '2024-13-01 00:00:00'",
        "TIMESTAMP '2024-13-01 00:00:00' is not a value of its type",
        "'2024-13-01 00:00:00'",
    ),
    ("SELECT \"symbol\" FROM trades", "double quotes mean nothing", "\"symbol\""),
    ("SELECT price ~ 'a' FROM trades", "the operator ~ is not Flink's", "price ~ 'a'"),
    ("SELECT PROCTIME()", "processing time is not supported: the result would depend on when the job runs", "PROCTIME"),
    ("SELECT symbol FROM trades LIMIT 1.5", "LIMIT, OFFSET and FETCH take a whole number", "1.5"),
    ("SELECT symbol FROM trades LIMIT price", "LIMIT, OFFSET and FETCH take a whole number", "price"),
    ("SELECT DISTINCT ON (symbol) price FROM trades", "DISTINCT ON is not Flink's", "symbol"),
    ("SELECT symbol FROM trades QUALIFY 1 = 1", "QUALIFY is not supported", "1 = 1"),
    (
        "SELECT symbol FROM trades UNION ALL SELECT symbol, price FROM trades",
        "the queries of a UNION have different numbers of columns",
        "SELECT symbol FROM trades UNION ALL SELECT symbol, price FROM trades",
    ),
    (
        "SELECT symbol FROM trades UNION ALL SELECT ts FROM trades",
        "column symbol of a UNION has the types STRING and TIMESTAMP(3)",
        "SELECT ts FROM trades",
    ),
    (
        "VALUES (1, TIMESTAMP '2024-01-01 00:00:00'), (2, TIMESTAMP '2024-01-01 00:00:00.5'), (3, DATE '2024-01-01')",
        "row 3 of VALUES has DATE in column 2, where the rows before it have TIMESTAMP(1)",
        "'2024-01-01'",
    ),
    ("VALUES (1, 2), (3)", "this row has 1 value, the first one has 2", "3"),
    ("SELECT symbol FROM trades ORDER BY nothing", "there is no column `nothing`", "nothing"),
    ("SELECT a FROM (SELECT symbol FROM trades)", "there is no column `a`", "a"),
    ("WITH RECURSIVE r AS (SELECT 1) SELECT * FROM r", "WITH RECURSIVE is not supported", "WITH"),
    (
        "SELECT * FROM trades MATCH_RECOGNIZE (PARTITION BY symbol)",
        "MATCH_RECOGNIZE is not supported",
        "MATCH_RECOGNIZE",
    ),
    ("SELECT /*+ OPTIONS('a'='b') */ * FROM trades", "hints are not supported", "/*+ OPTIONS('a'='b') */"),
    ("SELECT * FROM trades TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE is not supported", "trades"),
    ("SELECT ${NO_SUCH_VARIABLE}", "the variable `NO_SUCH_VARIABLE` has no value", "${NO_SUCH_VARIABLE}"),
    ("UPDATE trades SET price = 1", "UPDATE is not supported: rows of a source are read, not changed", "UPDATE"),
    ("DELETE FROM trades", "DELETE is not supported: rows of a source are read, not changed", "DELETE"),
    ("ALTER TABLE trades RENAME TO t", "ALTER is not supported", "ALTER"),
    ("USE CATALOG x", "catalogs and databases are not supported", "USE"),
    ("INSERT OVERWRITE trades SELECT * FROM trades", "INSERT OVERWRITE is not supported", "INSERT OVERWRITE"),
    ("INSERT INTO trade SELECT * FROM trades", "there is no table `trade`", "trade"),
    (
        "INSERT INTO trades SELECT symbol FROM trades",
        "the query has 1 column, `trades` takes 6",
        "SELECT symbol FROM trades",
    ),
    (
        "INSERT INTO trades (symbol, prise) SELECT symbol, price FROM trades",
        "there is no column `prise` in `trades`",
        "prise",
    ),
    (
        "INSERT INTO trades (symbol) SELECT symbol FROM trades",
        "`trader` of `trades` is NOT NULL and gets no value",
        "SELECT symbol FROM trades",
    ),
    (
        "INSERT INTO trades (trader, price) SELECT trader, symbol FROM trades",
        "column 2 of the query is STRING, and `price` of `trades` is DOUBLE",
        "SELECT trader, symbol FROM trades",
    ),
    ("EXPLAIN CREATE VIEW v AS SELECT 1", "there is no plan of this statement", "CREATE VIEW v AS SELECT 1"),
    ("DESCRIBE trade", "there is no table `trade`", "trade"),
    ("SHOW JOBS", "there is nothing of that kind to show", "SHOW JOBS"),
    ("DROP VIEW trades", "`trades` is a table, not a view", "trades"),
    ("DROP TABLE trade", "there is no table `trade`", "trade"),
    ("CREATE TABLE trades (a INT) WITH ('connector' = 'print')", "there is a table `trades` already", "trades"),
    (
        "CREATE OR REPLACE TABLE t (a INT) WITH ('connector' = 'print')",
        "CREATE OR REPLACE is not supported",
        "CREATE OR REPLACE",
    ),
    ("CREATE FUNCTION f AS 'a.b'", "functions of your own are not supported", "FUNCTION"),
    ("CREATE TABEL t (a INT)", "expected TABLE or VIEW, found `TABEL`", "TABEL"),
    ("CREATE TABLE t (a INTT) WITH ('connector' = 'print')", "unknown type INTT", "INTT"),
    ("CREATE TABLE t (order INT) WITH ('connector' = 'print')", "order is a reserved word", "order"),
    (
        "CREATE TABLE t (r ROW<a INT, value STRING>) WITH ('connector' = 'print')",
        "expected an identifier for a field (a reserved word stands in back-ticks), found value",
        "value",
    ),
    ("CREATE TABLE t (a INT, a STRING) WITH ('connector' = 'print')", "two columns are called `a`", "a"),
    ("CREATE TABLE t (a INT)", "expected WITH and the table's options, found the end of the text", ""),
    ("CREATE TABLE t (a INT) WITH ('path' = 'x')", "table `t` does not say what it reads or writes", "t"),
    (
        "CREATE TABLE t (a INT) WITH ('connector' = 'print', 'connector' = 'print')",
        "the option 'connector' is given twice",
        "'connector'",
    ),
    (
        "CREATE TABLE t (a INT) PARTITIONED BY (a) WITH ('connector' = 'print')",
        "a table with connector 'print' cannot be PARTITIONED BY columns",
        "t",
    ),
    ("CREATE TABLE t LIKE trades", "LIKE is not supported", "LIKE"),
    (
        "CREATE TABLE t (a INT PRIMARY KEY) WITH ('connector' = 'print')",
        "a primary key is not enforced: a stream's rows come and go",
        "PRIMARY KEY",
    ),
    (
        "CREATE TABLE t (a INT, PRIMARY KEY (b) NOT ENFORCED) WITH ('connector' = 'print')",
        "there is no column `b`",
        "b",
    ),
    (
        "CREATE TABLE t (a INT, b TIMESTAMP(3) METADATA FROM 'timestamp') WITH ('connector' = 'print')",
        "the connector 'print' has no metadata 'timestamp'",
        "METADATA FROM 'timestamp'",
    ),
    ("CREATE TABLE t (a INT, b AS a + c) WITH ('connector' = 'print')", "there is no column `c`", "c"),
    (
        "CREATE TABLE t (a INT, b AS a + 1, c AS b + 1) WITH ('connector' = 'print')",
        "a computed column cannot use another computed column",
        "b",
    ),
    (
        "CREATE TABLE t (a INT, b AS SUM(a)) WITH ('connector' = 'print')",
        "an aggregate function cannot stand in a computed column or a watermark",
        "SUM",
    ),
    (
        "CREATE TABLE t (ts STRING, WATERMARK FOR ts AS ts) WITH ('connector' = 'print')",
        "event time is TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3, and `ts` is STRING",
        "ts",
    ),
    (
        "CREATE TABLE t (ts TIMESTAMP(6), WATERMARK FOR ts AS ts) WITH ('connector' = 'print')",
        "event time is TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3, and `ts` is TIMESTAMP(6)",
        "ts",
    ),
    (
        "CREATE TABLE t (ts TIMESTAMP(3), WATERMARK FOR tss AS ts) WITH ('connector' = 'print')",
        "the watermark is for `tss`, and there is no such column",
        "tss",
    ),
    (
        "CREATE TABLE t (ts TIMESTAMP(3), a INT, WATERMARK FOR ts AS a) WITH ('connector' = 'print')",
        "the watermark is INT, its column is TIMESTAMP(3)",
        "a",
    ),
    ("CREATE TABLE t (a INT DEFAULT 1) WITH ('connector' = 'print')", "default values are not supported", "DEFAULT"),
    (
        "CREATE TABLE other.t (a INT) WITH ('connector' = 'print')",
        "catalogs and databases are not supported",
        "other.t",
    ),
    ("CREATE VIEW v (a, b) AS SELECT symbol FROM trades", "the view names 2 columns, its query has 1", "a"),
    ("CREATE VIEW v AS SELECT prise FROM trades", "there is no column `prise`", "prise"),
    ("SET 'execution.runtime-mode' = 'stream'", "'stream' is not a runtime mode", "'execution.runtime-mode'"),
    ("SET 'execution.runtime-mod' = 'batch'", "there is no setting 'execution.runtime-mod'", "'execution.runtime-mod'"),
    (
        "SET 'table.local-time-zone' = 'Europe/Berlin'",
        "the time zone 'Europe/Berlin' is not supported",
        "'table.local-time-zone'",
    ),
    ("SET 'k'", "expected =, found the end of the text", ""),
    (
        "EXECUTE STATEMENT SET BEGIN SELECT 1; END",
        "expected INSERT INTO or END in the statement set, found `SELECT`",
        "SELECT",
    ),
    (
        "STREAM SELECT symbol FROM trades ORDER BY symbol",
        "ORDER BY is not supported in streaming mode: its result would never be final",
        "SELECT symbol FROM trades ORDER BY symbol",
    ),
    (
        "STREAM SELECT symbol FROM trades LIMIT 3",
        "LIMIT is not supported in streaming mode: its result would never be final",
        "SELECT symbol FROM trades LIMIT 3",
    ),
    ("BATCH SELECT a FROM gen", "the input of `gen` has no end, and batch mode needs one", "SELECT a FROM gen"),
];

#[test]
fn what_is_refused_is_refused_at_its_place_with_the_reason_and_help() {
    for (statement, message, place) in REFUSED {
        let text = setup(statement);
        let error = match outcome(&text) {
            Err(error) => error,
            Ok(other) => panic!("{statement}: {other:?}"),
        };
        assert_eq!(&error.message, message, "{statement}");
        let span = error.span.clone().unwrap_or_else(|| panic!("{statement}: no place"));
        assert_eq!(&text[span], *place, "{statement}");
        // What was expected instead is help enough.
        assert!(error.help.is_some() || message.starts_with("expected"), "{statement}: no help");
    }
}

/// A statement after the tables that it may use.
fn setup(statement: &str) -> String {
    const UNBOUNDED: &str = "CREATE TABLE gen (a INT) WITH ('connector' = 'datagen');\n";
    let (prefix, statement) = match statement.split_once(' ') {
        Some(("STREAM", rest)) => (STREAMING, rest),
        Some(("BATCH", rest)) => ("SET 'execution.runtime-mode' = 'batch';\n", rest),
        _ => ("", statement),
    };
    format!("{TRADES}{UNBOUNDED}{prefix}{}", statement.replace("TUMBLED", TUMBLE))
}

/// What the help of a refused statement says.
fn help_of(statement: &str) -> String {
    outcome(&setup(statement)).unwrap_err().help.unwrap_or_default()
}

#[test]
fn names_that_are_a_slip_away_are_offered() {
    for (statement, help) in [
        ("SELCT 1", "did you mean SELECT?"),
        ("SELECT * FORM trades", "did you mean FROM?"),
        ("SELECT * FROM trades WHER price > 1", "did you mean WHERE?"),
        ("SELECT * FROM trade", "did you mean `trades`?"),
        ("SELECT prise FROM trades", "did you mean `price`?"),
        ("SELECT SUMM(price) FROM trades", "did you mean SUM?"),
        ("SELECT * FROM TABLE(TUMBEL(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' DAY))", "did you mean TUMBLE?"),
        ("CREATE TABLE t (a BIGNIT) WITH ('connector' = 'print')", "did you mean BIGINT?"),
        ("SET 'execution.runtime-mode' = 'steaming'", "did you mean 'streaming'?"),
        (
            "SELECT * FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(price), INTERVAL '1' DAY))",
            "time attributes here: `ts`",
        ),
        ("SELECT * FROM TABLE(TUMBLE(TABLE gen, DESCRIPTOR(a), INTERVAL '1' DAY))", "WATERMARK FOR column"),
        ("CREATE TABLE t (a BIGINT, WATERMARK FOR a AS a) WITH ('connector' = 'print')", "TO_TIMESTAMP_LTZ(a, 3)"),
    ] {
        let found = help_of(statement);
        assert!(found.contains(help), "{statement}: {found}");
    }
}

#[test]
fn every_statement_of_a_text_that_cannot_be_read_is_named() {
    let text = "SELCT 1;\nSELECT 1;\nEXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; oops; END;\nSELECT * FORM t;";
    let errors = session().parse(text).unwrap_err();
    let places: Vec<&str> = errors.iter().map(|error| &text[error.span.clone().unwrap()]).collect();
    assert_eq!(places, ["SELCT", "oops", "FORM"]);
}

#[test]
fn places_are_right_after_variables_and_wide_characters() {
    let variables = BTreeMap::from([("COLUMN".to_owned(), "a_rather_long_name".to_owned())]);
    let text = format!("{TRADES}SELECT 'é→😀',\n  ${{COLUMN}}, prise FROM trades");
    for (variable, place) in [("a_rather_long_name", "${COLUMN}"), ("price", "prise")] {
        let variables = variables.keys().map(|name| (name.clone(), variable.to_owned())).collect();
        let mut session = session_with(SessionOptions { variables, ..SessionOptions::default() });
        let error = outcome_in(&mut session, &text).unwrap_err();
        assert_eq!(&text[error.span.unwrap()], place);
    }
}

#[test]
fn no_text_makes_the_planner_panic() {
    let whole = format!("{TRADES}SELECT symbol, SUM(price) FROM {TUMBLE} GROUP BY window_start, window_end, symbol;");
    for end in (0..=whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        let _ = outcome(&whole[..end]);
        // An error sends the reader back to the start, which is white space here.
        let _ = outcome(&format!("\t \n-- c\n{}", &whole[..end]));
    }
    for text in [
        "(".repeat(10_000),
        format!("SELECT {}1{}", "(".repeat(1_000), ")".repeat(1_000)),
        format!("SELECT 1{}", " + 1".repeat(900)),
        format!("SELECT 1{}", " + 1".repeat(200_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(400)),
        format!("SELECT * FROM trades WHERE price = 1{}", " OR price = 2".repeat(300)),
        format!("SELECT {}1", "- ".repeat(2_000)),
        format!("SELECT {}TRUE", "NOT ".repeat(2_000)),
        "SELECT * FROM ".repeat(500),
        "\u{0}".to_owned(),
        "'".to_owned(),
        "`".to_owned(),
        "/*".to_owned(),
        "${".to_owned(),
        ";;;".to_owned(),
    ] {
        let _ = outcome(&text);
    }
}
