//! ARRAY, MAP and ROW: how types are written and shown, and what is refused.

use super::*;

/// What DESCRIBE says of a column that is declared with a type; its nullability goes with it.
fn described(declared: &str) -> Result<String> {
    let mut session = session();
    let text = format!("CREATE TABLE t (c {declared}) WITH ('connector' = 'blackhole'); DESCRIBE t;");
    let Outcome::Rows(rows) = outcome_in(&mut session, &text)? else { panic!("DESCRIBE has no rows") };
    let cell = |column: usize| {
        let column = arrow_array::cast::AsArray::as_string_view(rows.column(column));
        column.value(0).to_owned()
    };
    Ok(format!("{}{}", cell(1), if cell(2) == "TRUE" { "" } else { " NOT NULL" }))
}

#[test]
fn types_are_read_as_flink_writes_them_and_shown_as_flink_shows_them() {
    for (declared, shown) in [
        ("ARRAY<INT>", "ARRAY<INT>"),
        ("INT ARRAY", "ARRAY<INT>"),
        ("array < int not null > NOT NULL", "ARRAY<INT NOT NULL> NOT NULL"),
        ("INT ARRAY ARRAY", "ARRAY<ARRAY<INT>>"),
        ("ARRAY<ARRAY<ARRAY<VARCHAR(3)>>> NOT NULL", "ARRAY<ARRAY<ARRAY<VARCHAR(3)>>> NOT NULL"),
        ("ARRAY<ARRAY<INT>NOT NULL>", "ARRAY<ARRAY<INT> NOT NULL>"),
        ("MAP<STRING, BIGINT>", "MAP<STRING, BIGINT>"),
        ("MAP<STRING NOT NULL, ARRAY<DECIMAL(10, 2)> NOT NULL>", "MAP<STRING, ARRAY<DECIMAL(10, 2)> NOT NULL>"),
        ("ROW<a INT, b ROW<c STRING> NOT NULL>", "ROW<`a` INT, `b` ROW<`c` STRING> NOT NULL>"),
        ("ROW(a INT, `b c``d` TIMESTAMP(0) WITH LOCAL TIME ZONE)", "ROW<`a` INT, `b c``d` TIMESTAMP_LTZ(0)>"),
        (
            "ROW<a INT 'first', `row` ROW(x CHAR(2), y MAP<INT, INT>) 'second'>",
            "ROW<`a` INT, `row` ROW<`x` CHAR(2), `y` MAP<INT, INT>>>",
        ),
        ("ARRAY<TIMESTAMP>", "ARRAY<TIMESTAMP(6)>"),
        ("ROW<f ARRAY<ROW<g INT>>> ARRAY", "ARRAY<ROW<`f` ARRAY<ROW<`g` INT>>>>"),
    ] {
        assert_eq!(described(declared).unwrap(), shown, "{declared}");
        let flink = FlinkType::parse(shown.trim_end_matches(" NOT NULL")).unwrap();
        assert_eq!(FlinkType::parse(&flink.to_string()), Some(flink), "{declared}");
        // The field alone remembers lengths and precisions that Arrow's type does not say.
        assert_eq!(FlinkType::from_field(&flink.to_field("c", true)).unwrap(), flink, "{declared}");
    }
}

#[test]
fn what_display_does_not_write_is_not_parsed() {
    for text in ["ARRAY<INT", "ARRAY<INT>>", "ROW<>", "ROW<`a INT>", "MAP<INT>", "ARRAY<INT NULL>", "ARRAY", ""] {
        assert_eq!(FlinkType::parse(text), None, "{text}");
    }
    let deep = format!("{}INT{}", "ARRAY<".repeat(1_000), ">".repeat(1_000));
    assert_eq!(FlinkType::parse(&deep), None);
}

#[test]
fn wrong_types_are_refused_at_their_place() {
    for (declared, message) in [
        ("ARRAY", "ARRAY needs the types within"),
        ("MAP<INT>", "expected"),
        ("ROW<>", "expected"),
        ("ROW<a INT, a INT>", "two fields of a ROW are called `a`"),
        ("ARRAY<INT", "expected"),
        ("ARRAY<INT>>", "a `>` too many after the type"),
        ("ARRAY<TEXT>", "unknown type TEXT"),
        ("ARRAY<DECIMAL(50, 2)>", "a DECIMAL of 50 digits"),
        ("MULTISET<INT>", "MULTISET is not supported"),
        (&format!("{}INT{}", "ARRAY<".repeat(60), ">".repeat(60)), "a type is nested more than 32 deep"),
        (&format!("INT{}", " ARRAY".repeat(60)), "a type is nested more than 32 deep"),
    ] {
        let error = described(declared).unwrap_err();
        assert!(error.message.contains(message), "{declared}: {}", error.message);
        assert!(error.span.is_some(), "{declared}: {}", error.message);
    }
}

/// A view with an id, an array, a map and a row; the statement, the reason, and the text that the error points at.
const REFUSED: &[(&str, &str, &str)] = &[
    ("SELECT a[0] FROM n", "array items are counted from 1, so there is no item 0", "a[0]"),
    ("SELECT a['x'] FROM n", "an array is indexed by an INT, not STRING", "a['x']"),
    ("SELECT m[1] FROM n", "the keys of the map are STRING, not INT", "m[1]"),
    ("SELECT id[1] FROM n", "INT has no items", "id[1]"),
    ("SELECT a[1:2] FROM n", "`[1:2]` is not Flink's", "a[1:2]"),
    ("SELECT r.g FROM n", "the row has no field `g`", "r.g"),
    ("SELECT n.r.g FROM n", "the row has no field `g`", "n.r.g"),
    ("SELECT id.f FROM n", "INT has no field `f`", "id.f"),
    ("SELECT ARRAY[] FROM n", "ARRAY[] has no type", "ARRAY"),
    ("SELECT ARRAY[1, 'x'] FROM n", "ARRAY of INT, STRING", "ARRAY[1, 'x']"),
    ("SELECT MAP['x'] FROM n", "MAP[…] takes keys and values in turn", "MAP['x']"),
    ("SELECT a = 1 FROM n", "cannot compare ARRAY<INT> with INT", "a = 1"),
    ("SELECT a < a FROM n", "values of ARRAY<INT> have no order", "a < a"),
    ("SELECT id FROM n WHERE r BETWEEN r AND r", "values of ROW<`f` INT> have no order", "r BETWEEN r AND r"),
    ("SELECT a || a FROM n", "argument 1 of || is a string, not ARRAY<INT>", "a || a"),
    ("SELECT CONCAT('x', m) FROM n", "argument 2 of CONCAT is a string, not MAP<STRING, INT>", "CONCAT('x', m)"),
    ("SELECT CAST('[1]' AS ARRAY<INT>) FROM n", "cannot cast STRING to ARRAY<INT>", "'[1]'"),
    ("SELECT CAST(a AS INT) FROM n", "cannot cast ARRAY<INT> to INT", "a"),
    ("SELECT CAST(r AS ROW<x INT, y INT>) FROM n", "cannot cast ROW<`f` INT> to ROW<`x` INT, `y` INT>", "r"),
    ("SELECT MAX(a) FROM n", "MAX does not take ARRAY<INT>", "MAX(a)"),
    ("SELECT SUM(m) FROM n", "SUM does not take MAP<STRING, INT>", "SUM(m)"),
    ("SELECT id FROM n ORDER BY r", "values of ROW<`f` INT> have no order", "r"),
    ("SELECT ARRAY_SORT(ARRAY[a]) FROM n", "ARRAY_SORT: values of ARRAY<INT> have no order", "ARRAY_SORT(ARRAY[a])"),
    (
        "SELECT CARDINALITY(id) FROM n",
        "CARDINALITY counts the values of an ARRAY or a MAP, not of INT",
        "CARDINALITY(id)",
    ),
    ("SELECT ARRAY_CONTAINS(a, 'x') FROM n", "ARRAY_CONTAINS of INT, STRING", "ARRAY_CONTAINS(a, 'x')"),
    ("SELECT ARRAY_JOIN(a, ',') FROM n", "ARRAY_JOIN joins strings, not INT", "ARRAY_JOIN(a, ',')"),
    ("SELECT ARRAY_SLICE(a) FROM n", "ARRAY_SLICE takes 2 to 3 arguments, not 1", "ARRAY_SLICE(a)"),
    ("SELECT MAP_KEYS(a) FROM n", "argument 1 of MAP_KEYS is a MAP, not ARRAY<INT>", "MAP_KEYS(a)"),
    ("SELECT 1 FROM n WHERE 1 IN UNNEST(a)", "IN UNNEST is not Flink's", "1 IN UNNEST(a)"),
    ("SELECT * FROM n CROSS JOIN UNNEST(id) AS u (x)", "UNNEST takes an ARRAY or a MAP, not INT", "id"),
    ("SELECT * FROM n CROSS JOIN UNNEST(a) AS u (x, y)", "`u` names 2 columns, UNNEST of ARRAY<INT> gives 1", "a"),
    ("SELECT * FROM n CROSS JOIN UNNEST(a) AS n (x)", "two relations are called `n`", "a"),
    ("SELECT * FROM n, UNNEST(m), UNNEST(m)", "there are two columns `KEY`", "m"),
    ("SELECT * FROM n, UNNEST(missing) AS u (x)", "there is no column `missing`", "missing"),
    ("SELECT * FROM n, UNNEST(a, a) AS u (x)", "UNNEST takes one array or map", "UNNEST"),
    ("SELECT * FROM n, UNNEST(ARRAY[SUM(id)]) AS u (x)", "an aggregate function cannot stand in UNNEST", "SUM"),
    (
        "SELECT * FROM n RIGHT JOIN UNNEST(a) AS u (x) ON TRUE",
        "UNNEST is joined by CROSS JOIN, INNER JOIN or LEFT JOIN",
        "UNNEST(a) AS u (x)",
    ),
    (
        "SELECT * FROM n LEFT JOIN UNNEST(a) AS u (x) ON x > 1",
        "the condition of a join with UNNEST can only be TRUE",
        "x > 1",
    ),
    ("SELECT * FROM n JOIN n AS o ON TRUE", "joins are not supported", "n AS o"),
    (
        "INSERT INTO s SELECT a, r FROM n",
        "column 1 of the query is ARRAY<INT>, and `a` of `s` is ARRAY<STRING>",
        "SELECT a, r FROM n",
    ),
    (
        "INSERT INTO s (r) SELECT CAST(r AS ROW<f STRING>) FROM n",
        "column 1 of the query is ROW<`f` STRING>, and `r` of `s` is ROW<`g` BIGINT>",
        "SELECT CAST(r AS ROW<f STRING>) FROM n",
    ),
];

const NESTED: &str = "CREATE TEMPORARY VIEW n AS SELECT id, a, m, CAST(r AS ROW<f INT>) AS r FROM (VALUES (1, ARRAY[1], MAP['k', 1], ROW(1))) AS t (id, a, m, r);
CREATE TABLE s (a ARRAY<STRING>, r ROW<g BIGINT>) WITH ('connector' = 'blackhole');
";

#[test]
fn errors_say_why_and_where() {
    let mut wrong = Vec::new();
    for (statement, message, place) in REFUSED {
        let text = format!("{NESTED}{statement};");
        let Err(error) = outcome_in(&mut session(), &text) else { panic!("{statement} is not refused") };
        let found = error.span.clone().map(|span| &text[span]);
        if error.message != *message || found != Some(*place) || error.help.is_none() {
            wrong.push(format!("{statement}: {} at {found:?}, help {:?}", error.message, error.help));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn casts_that_nobody_wrote_go_within() {
    let text = format!("{NESTED}INSERT INTO s (r) SELECT r FROM n;");
    let Outcome::Job(job) = outcome_in(&mut session(), &text).unwrap() else { panic!("no job") };
    let fields: Vec<String> =
        job.pipelines[0].root.schema.fields().iter().map(|f| FlinkType::from_field(f).unwrap().to_string()).collect();
    assert_eq!(fields, ["ARRAY<STRING>", "ROW<`g` BIGINT>"]);
}

#[test]
fn an_unnested_array_goes_no_further_and_filters_of_the_row_go_below() {
    let plan = plan_of(
        "SELECT t.symbol, part FROM trades AS t LEFT JOIN UNNEST(SPLIT(t.trader, \',\')) AS u (part) ON TRUE \
         WHERE t.price > 1 AND part <> \'x\'",
    );
    let expected = "\
filter part <> 'x'
  unnest outer $array beside [symbol]: symbol, part
    project symbol, SPLIT(trader, ',') AS $array
      project trader, symbol
        filter price > 1.0
          scan trades: trader, symbol, price";
    assert_eq!(plan, expected);
}
