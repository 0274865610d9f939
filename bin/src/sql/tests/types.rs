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
