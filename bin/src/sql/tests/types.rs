//! Flink's types through the whole of planning.

use super::*;

#[test]
fn results_have_the_types_of_flink() {
    for (expression, data_type) in [
        ("AVG(quantity)", "BIGINT"),
        ("SUM(quantity)", "BIGINT"),
        ("AVG(price)", "DOUBLE"),
        ("SUM(fee)", "DECIMAL(38, 2)"),
        ("AVG(fee)", "DECIMAL(38, 6)"),
        ("COUNT(DISTINCT symbol)", "BIGINT"),
        ("SUM(0.908 * quantity)", "DECIMAL(38, 3)"),
        ("MAX(0.908 * quantity)", "DECIMAL(23, 3)"),
        ("MAX(fee * fee)", "DECIMAL(21, 4)"),
        ("MAX(quantity / 2)", "BIGINT"),
        ("MIN(ts)", "TIMESTAMP(3)"),
        ("MAX(1)", "INT"),
        ("MAX(3000000000)", "BIGINT"),
        ("LISTAGG(symbol)", "STRING"),
        ("STDDEV_POP(price)", "DOUBLE"),
    ] {
        assert_eq!(
            columns_of(&format!("SELECT {expression} AS x FROM trades")),
            [format!("x {data_type}")],
            "{expression}"
        );
    }
}

#[test]
fn not_null_follows_the_columns() {
    let job = job("SELECT trader, symbol, COUNT(*) AS n, MAX(price) AS m FROM trades GROUP BY trader, symbol");
    let nullable: Vec<bool> = job.pipelines[0].root.schema.fields().iter().map(|field| field.is_nullable()).collect();
    assert_eq!(nullable, [false, true, false, true]);
}

#[test]
fn a_column_of_values_has_the_least_type_that_holds_all_rows() {
    for (values, data_type) in [
        ("('a'), ('b')", "CHAR(1)"),
        ("('a'), ('äbc')", "VARCHAR(3)"),
        ("('a'), (NULL), (CAST('x' AS CHAR(4)))", "VARCHAR(4)"),
        ("('a'), (CAST('x' AS STRING))", "STRING"),
        ("('a'), (CAST('x' AS VARCHAR(7)))", "VARCHAR(7)"),
        ("(X'01'), (X'02')", "BINARY(1)"),
        ("(X'01'), (X'0203')", "VARBINARY(2)"),
        ("(X'01'), (CAST(X'02' AS BYTES))", "BYTES"),
        ("(1), (3000000000)", "BIGINT"),
        ("(CAST(1 AS TINYINT)), (CAST(1 AS SMALLINT))", "SMALLINT"),
        ("(1), (2.25)", "DECIMAL(12, 2)"),
        ("(CAST(1 AS DECIMAL(20, 2))), (CAST(1 AS DECIMAL(10, 8)))", "DECIMAL(26, 8)"),
        ("(CAST(1 AS DECIMAL(38, 0))), (CAST(1 AS DECIMAL(38, 30)))", "DECIMAL(38, 0)"),
        ("(1), (CAST(2 AS FLOAT))", "FLOAT"),
        ("(1.5), (CAST(2 AS FLOAT))", "DOUBLE"),
        ("(CAST(2 AS FLOAT)), (1e0)", "DOUBLE"),
        ("(TIMESTAMP '2024-01-01 00:00:00'), (TIMESTAMP '2024-01-01 00:00:00.25')", "TIMESTAMP(2)"),
        ("(TIMESTAMP '2024-01-01 00:00:00'), (CAST(NULL AS TIMESTAMP(9)))", "TIMESTAMP(9)"),
        ("(CAST(NULL AS TIME(1))), (CAST(NULL AS TIME(3)))", "TIME(3)"),
        ("(NULL), (DATE '2024-01-01')", "DATE"),
        ("(NULL), (TRUE)", "BOOLEAN"),
        ("(ARRAY[1]), (ARRAY[2.5])", "ARRAY<DECIMAL(11, 1)>"),
    ] {
        for query in [format!("VALUES {values}"), format!("SELECT * FROM (VALUES {values}) AS t")] {
            assert_eq!(columns_of(&query), [format!("EXPR$0 {data_type}")], "{query}");
        }
    }
}
