//! Statements about tables, views, sinks and the configuration.

use arrow_array::Array;
use arrow_array::cast::AsArray;

use super::*;

/// An answer as lines of cells; NULL is empty.
fn rows(session: &mut Session, text: &str) -> Vec<String> {
    let batch = match outcome_in(session, text) {
        Ok(Outcome::Rows(batch)) => batch,
        other => panic!("{text}: {other:?}"),
    };
    let cell = |column: usize, row: usize| {
        let column = batch.column(column).as_string_view();
        if column.is_null(row) { "" } else { column.value(row) }
    };
    let line = |row| (0..batch.num_columns()).map(|column| cell(column, row)).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(line).collect()
}

const EVERYTHING: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS everything (
  id BIGINT NOT NULL COMMENT 'it''s the key',
  `Mixed Case` STRING,
  price DECIMAL(10, 2),
  millis BIGINT,
  `at` TIMESTAMP(3) WITH LOCAL TIME ZONE,
  doubled AS price * 2 COMMENT 'twice',
  WATERMARK FOR `at` AS at - INTERVAL '1' MINUTE,
  CONSTRAINT pk PRIMARY KEY (id) NOT ENFORCED
) COMMENT 'all clauses' WITH (
  'connector' = 'filesystem',
  'path' = 'x.csv',
  'format' = 'csv'
);
";

#[test]
fn a_table_is_described_as_flink_does() {
    let mut session = session();
    assert_eq!(
        rows(&mut session, &format!("{EVERYTHING}DESCRIBE everything")),
        [
            "id|BIGINT|FALSE|PRI(id)||",
            "Mixed Case|STRING|TRUE|||",
            "price|DECIMAL(10, 2)|TRUE|||",
            "millis|BIGINT|TRUE|||",
            "at|TIMESTAMP_LTZ(3) *ROWTIME*|TRUE|||at - INTERVAL '1' MINUTE",
            "doubled|DECIMAL(21, 2)|TRUE||AS price * 2|",
        ]
    );
}

#[test]
fn show_create_makes_the_same_table_and_view_again() {
    let view = "CREATE VIEW v (a, b) AS\nSELECT `Mixed Case`, COUNT(*) FROM everything GROUP BY `Mixed Case`";
    let mut first = session();
    outcome_in(&mut first, &format!("{EVERYTHING}{view}")).unwrap();
    let table = rows(&mut first, "SHOW CREATE TABLE everything").remove(0);
    let shown_view = rows(&mut first, "SHOW CREATE VIEW v").remove(0);
    let mut second = session();
    outcome_in(&mut second, &format!("{table};\n{shown_view};")).unwrap();
    assert_eq!(rows(&mut second, "SHOW CREATE TABLE everything"), [table]);
    assert_eq!(rows(&mut second, "SHOW CREATE VIEW v"), [shown_view]);
    assert_eq!(rows(&mut first, "DESC everything"), rows(&mut second, "DESC everything"));
    assert_eq!(rows(&mut second, "DESC v"), ["a|STRING|TRUE|||", "b|BIGINT|FALSE|||"]);
}

#[test]
fn names_are_listed_and_dropped() {
    let mut session = session();
    let text = format!("{TRADES}CREATE VIEW v AS SELECT symbol FROM trades; CREATE VIEW IF NOT EXISTS v AS SELECT 1;");
    outcome_in(&mut session, &text).unwrap();
    assert_eq!(rows(&mut session, "SHOW TABLES"), ["trades", "v"]);
    assert_eq!(rows(&mut session, "SHOW VIEWS"), ["v"]);
    assert!(rows(&mut session, "SHOW FUNCTIONS").contains(&"COALESCE".to_owned()));
    outcome_in(&mut session, "DROP TABLE default_catalog.default_database.trades; DROP TABLE IF EXISTS trades")
        .unwrap();
    let error = outcome_in(&mut session, "SELECT * FROM v").unwrap_err();
    assert!(error.message.contains("the view `v` is no longer valid: there is no table `trades`"), "{error}");
    outcome_in(&mut session, "DROP VIEW v").unwrap();
    assert!(rows(&mut session, "SHOW TABLES").is_empty());
}

#[test]
fn settings_are_set_reset_and_beaten_by_the_command_line() {
    let settings = vec![("execution.runtime-mode".to_owned(), "streaming".to_owned())];
    let mut session = session_with(SessionOptions { settings, ..SessionOptions::default() });
    outcome_in(&mut session, "SET execution.runtime-mode = batch; SET 'a.b' = 'it''s'; SET x.y-z = 1 min;").unwrap();
    assert_eq!(rows(&mut session, "SET"), ["a.b|it's", "execution.runtime-mode|streaming", "x.y-z|1 min"]);
    assert_eq!(session.setting("a.b"), Some("it's"));
    outcome_in(&mut session, "RESET 'a.b'; RESET nothing").unwrap();
    assert_eq!(session.setting("a.b"), None);
    outcome_in(&mut session, "RESET").unwrap();
    assert_eq!(rows(&mut session, "SET"), ["execution.runtime-mode|streaming"]);
}

#[test]
fn options_of_a_table_may_come_from_the_configuration() {
    let text = "SET 'thalweg.table.t.path' = 'other.csv';
        CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'path' = 'x.csv', 'format' = 'csv');
        SHOW CREATE TABLE t";
    assert!(rows(&mut session(), text)[0].contains("'path' = 'other.csv'"));
}

#[test]
fn an_insert_goes_by_position_and_casts_where_flink_does() {
    let sink = "CREATE TABLE sink (a BIGINT, b DOUBLE, c STRING, d AS a + 1) WITH ('connector' = 'print');\n";
    for (insert, plan) in [
        ("INSERT INTO sink SELECT 1, quantity, symbol FROM trades", "project 1 AS a, quantity AS b, symbol AS c"),
        (
            "INSERT INTO sink (c, a) SELECT symbol, quantity FROM trades",
            "project quantity AS a, NULL AS b, symbol AS c",
        ),
        ("INSERT INTO sink VALUES (1, 2, 'x')", "project EXPR$0 AS a, EXPR$1 AS b, EXPR$2 AS c"),
        ("EXECUTE INSERT INTO sink SELECT 2 + 1, fee, 'x' FROM trades", "project 3 AS a, fee AS b, 'x' AS c"),
    ] {
        let found = plan_of(&format!("{sink}{insert}"));
        let lines: Vec<&str> = found.lines().map(str::trim).collect();
        assert_eq!(lines[..2], ["into sink", plan], "{insert}");
        assert_eq!(columns_of(&format!("{sink}{insert}")), ["a BIGINT", "b DOUBLE", "c STRING"], "{insert}");
    }
}

#[test]
fn a_statement_set_is_one_job() {
    let text = "CREATE TABLE a (n BIGINT) WITH ('connector' = 'print');
        CREATE TABLE b (s STRING) WITH ('connector' = 'blackhole');
        EXECUTE STATEMENT SET BEGIN
          INSERT INTO a SELECT quantity FROM trades;
          INSERT INTO b SELECT symbol FROM trades;
        END;";
    let expected =
        "into a\nproject quantity AS n\n  scan trades: quantity\ninto b\nproject symbol AS s\n  scan trades: symbol";
    assert_eq!(plan_of(text), expected);
    let text = text.replace("EXECUTE STATEMENT SET BEGIN", "BEGIN STATEMENT SET;");
    assert_eq!(plan_of(&text), expected);
    let text = text.replace("BEGIN STATEMENT SET;", "EXPLAIN STATEMENT SET BEGIN");
    assert!(matches!(outcome(&format!("{TRADES}{text}")), Ok(Outcome::Explain(job)) if job.pipelines.len() == 2));
}

#[test]
fn a_watermark_stands_above_the_computed_columns_and_below_the_filters() {
    let table = "CREATE TABLE clicks (
          millis BIGINT, user_id STRING, lag_ms BIGINT,
          ts AS TO_TIMESTAMP_LTZ(millis, 3),
          WATERMARK FOR ts AS ts - INTERVAL '1.5' SECOND
        ) WITH ('connector' = 'filesystem', 'path' = 'c.csv', 'format' = 'csv');
        SET 'execution.runtime-mode' = 'streaming';";
    let query = "SELECT user_id FROM clicks WHERE user_id <> 'x'";
    assert_eq!(
        plan_of(&format!("{table}{query}")),
        "streaming
project user_id
  filter user_id <> 'x'
    watermark ts lag 1500
      project user_id, TO_TIMESTAMP_LTZ(millis, 3) AS ts
        scan clicks: millis, user_id"
    );
    let by_expression = table.replace("ts - INTERVAL '1.5' SECOND", "ts - INTERVAL '1' SECOND - INTERVAL '2' SECOND");
    let plan = plan_of(&format!("{by_expression}{query}"));
    assert!(plan.contains("watermark ts ts - INTERVAL '+0 00:00:01.000' - INTERVAL '+0 00:00:02.000'"), "{plan}");
    let without_lag = table.replace("ts - INTERVAL '1.5' SECOND", "ts");
    assert!(plan_of(&format!("{without_lag}{query}")).contains("watermark ts lag 0"));
}

#[test]
fn windows_over_instants_start_and_end_without_a_zone() {
    let query = "SELECT window_start, window_end, window_time, COUNT(*) AS n
        FROM TABLE(TUMBLE(TABLE everything, DESCRIPTOR(at), INTERVAL '1' HOUR))
        GROUP BY window_start, window_end, window_time";
    let expected = ["window_start TIMESTAMP(3)", "window_end TIMESTAMP(3)", "window_time TIMESTAMP_LTZ(3)", "n BIGINT"];
    assert_eq!(columns_of(&format!("{EVERYTHING}{query}")), expected);
    let rows = "SELECT window_start, window_end, window_time, id AS n
        FROM TABLE(TUMBLE(TABLE everything, DESCRIPTOR(at), INTERVAL '1' HOUR))";
    assert_eq!(columns_of(&format!("{EVERYTHING}{rows}")), expected);
    let cascade = format!(
        "SELECT window_start, window_end, window_time, SUM(n) AS n FROM TABLE(TUMBLE(
          (SELECT window_time AS t, n FROM ({query})), DESCRIPTOR(t), INTERVAL '1' DAY)) GROUP BY window_start, window_end, window_time"
    );
    assert_eq!(columns_of(&format!("{EVERYTHING}{cascade}")), expected);
}

#[test]
fn a_view_keeps_time_attributes_and_its_own_names() {
    let text = "CREATE VIEW v (t, s) AS SELECT ts, symbol FROM trades WHERE price > 1;
        SELECT s, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE v, DESCRIPTOR(t), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, s";
    assert_eq!(
        plan_of(text),
        "project s, COUNT(*) AS n
  aggregate [s] [Count(*)] window t 60000
    project symbol AS s, ts AS t
      filter price > 1.0
        scan trades: symbol, price, ts"
    );
    let mut session = session();
    outcome_in(&mut session, &format!("{TRADES}{text}")).unwrap();
    assert_eq!(rows(&mut session, "DESCRIBE v"), ["t|TIMESTAMP(3) *ROWTIME*|TRUE|||", "s|STRING|TRUE|||"]);
}

#[test]
fn a_file_is_a_table_with_the_event_time_of_the_command_line() {
    let query =
        "SELECT symbol, MAX(price) AS top FROM TABLE(TUMBLE(TABLE 'trades.csv', DESCRIPTOR(ts), INTERVAL '1' DAY))
        GROUP BY window_start, window_end, symbol";
    let watermark = Some("ts - INTERVAL '5' SECOND".to_owned());
    let mut with = session_with(SessionOptions { watermark, ..SessionOptions::default() });
    let Ok(Outcome::Job(job)) = outcome_in(&mut with, &format!("{STREAMING}{query}")) else { panic!("no job") };
    let mut text = String::new();
    render(&job.pipelines[0].root, 0, &mut text);
    assert!(text.contains("watermark ts lag 5000\n"), "{text}");

    let error = outcome(query).unwrap_err();
    assert!(error.help.unwrap().contains("--watermark"));
    let watermark = Some("tss - INTERVAL '5' SECOND".to_owned());
    let mut wrong = session_with(SessionOptions { watermark, ..SessionOptions::default() });
    let error = outcome_in(&mut wrong, query).unwrap_err();
    assert!(error.message.starts_with("--watermark \"tss - INTERVAL '5' SECOND\": "), "{error}");
    assert!(outcome("SELECT t.price, COUNT(*) FROM 'a.csv' AS t GROUP BY t.price").is_ok());
}

#[test]
fn the_mode_follows_the_sources_unless_it_is_set() {
    let unbounded = "CREATE TABLE gen (a INT) WITH ('connector' = 'datagen');\n";
    let bounded = "CREATE TABLE gen (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = '5');\n";
    for (text, mode) in [
        (format!("{unbounded}SELECT a FROM gen"), RuntimeMode::Streaming),
        (format!("{bounded}SELECT a FROM gen"), RuntimeMode::Batch),
        ("SELECT 1".to_owned(), RuntimeMode::Batch),
        (format!("{STREAMING}SELECT 1"), RuntimeMode::Streaming),
        (format!("{bounded}SET 'execution.runtime-mode' = 'BATCH'; SELECT a FROM gen"), RuntimeMode::Batch),
    ] {
        assert_eq!(job(&text).mode, mode, "{text}");
    }
}

#[test]
fn comments_back_ticks_and_semicolons_are_read_as_flink_does() {
    let text = "-- a comment; with a semicolon\n/* another; */ ;;\nSELECT `Price` AS `a ``b` FROM (SELECT price AS `Price` FROM trades); ;";
    assert_eq!(columns_of(text), ["a `b DOUBLE"]);
    assert_eq!(
        columns_of("SELECT ';' AS x, '--' AS y, `symbol` FROM `trades`"),
        ["x STRING", "y STRING", "symbol STRING"]
    );
}
