//! Tests of types and values: SQL text in, Flink's type and the printed value out.

mod random;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field, Schema};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, TableReference};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use sqlparser::ast::{self, VisitMut as _, VisitorMut};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use thalweg_operators::expr::EvaluateError;

use super::aggregates::aggregate_functions;
use super::arithmetic::FlinkExprPlanner;
use super::cast::writer;
use super::compile::compile;
use super::functions::binding::{Value, from_datafusion};
use super::functions::scalar_functions;
use super::syntax;
use super::types::{FlinkType, FlinkTypePlanner};
use super::typing::{type_of, typed};
use crate::error::{Error, Result};

/// What the front-end asks of a session, for expressions alone.
pub(super) struct Session {
    scalars: HashMap<String, Arc<ScalarUDF>>,
    aggregates: HashMap<String, Arc<AggregateUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
    options: ConfigOptions,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            scalars: scalar_functions().into_iter().map(|function| (function.name().to_owned(), function)).collect(),
            aggregates: aggregate_functions()
                .into_iter()
                .map(|function| (function.name().to_owned(), function))
                .collect(),
            planners: vec![Arc::new(FlinkExprPlanner)],
            options: ConfigOptions::new(),
        }
    }

    /// The expression, typed.
    pub(super) fn plan(&self, sql: &str, schema: &DFSchema) -> Result<Expr> {
        let parsed = Parser::new(&GenericDialect {}).try_with_sql(sql).and_then(|mut parser| {
            let parsed = parser.parse_expr()?;
            parser.expect_token(&sqlparser::tokenizer::Token::EOF)?;
            Ok(parsed)
        });
        let mut parsed = parsed.map_err(|error| Error::statement(error.to_string()))?;
        if let ControlFlow::Break(error) = parsed.visit(&mut Forms) {
            return Err(error);
        }
        let options = ParserOptions::new().with_parse_float_as_decimal(true).with_enable_ident_normalization(false);
        let planner = SqlToRel::new_with_options(self, options);
        let expr = planner.sql_to_expr(parsed, schema, &mut PlannerContext::new()).map_err(from_datafusion)?;
        typed(expr, schema).map_err(from_datafusion)
    }
}

struct Forms;

impl VisitorMut for Forms {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Error> {
        match syntax::rewrite(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl ContextProvider for Session {
    fn get_table_source(&self, name: TableReference) -> datafusion_common::Result<Arc<dyn TableSource>> {
        Err(datafusion_common::DataFusionError::Plan(format!("no table {name}")))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(FlinkTypePlanner))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(name).cloned()
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.scalars.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        vec![]
    }

    fn udaf_names(&self) -> Vec<String> {
        self.aggregates.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        vec![]
    }
}

/// Columns named after their types, of one row with a value and one with NULL.
pub(super) struct Table {
    pub(super) schema: DFSchema,
    pub(super) batch: RecordBatch,
}

impl Table {
    /// Columns given as name and constant expression.
    pub(super) fn new(session: &Session, columns: &[(&str, &str)]) -> Self {
        let empty = DFSchema::empty();
        let unit = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            vec![],
            &RecordBatchOptions::new().with_row_count(Some(1)),
        )
        .expect("a batch without columns");
        let mut fields = vec![];
        let mut arrays: Vec<ArrayRef> = vec![];
        for (name, sql) in columns {
            let expr = session.plan(sql, &empty).expect(sql);
            let flink = type_of(&expr, &empty).expect(sql);
            let value = compile(&expr, &empty).expect(sql).evaluate(&unit).expect(sql);
            let null = new_null_array(&flink.to_arrow(), 1);
            arrays.push(arrow_select::concat::concat(&[&*value, &*null]).expect(sql));
            fields.push(flink.to_field(*name, true));
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).expect("columns of one length");
        Self { schema: DFSchema::try_from(schema).expect("names are different"), batch }
    }
}

/// Type and printed values of an expression over a table.
pub(super) fn evaluate(session: &Session, sql: &str, table: &Table) -> Result<(FlinkType, Vec<String>), String> {
    let expr = session.plan(sql, &table.schema).map_err(|error| error.message)?;
    let flink = type_of(&expr, &table.schema).map_err(|error| from_datafusion(error).message)?;
    let compiled = compile(&expr, &table.schema).map_err(|error| error.message)?;
    assert_eq!(compiled.data_type(), flink.to_arrow(), "{sql}");
    let array = compiled.evaluate(&table.batch).map_err(|error: EvaluateError| error.to_string())?;
    Ok((flink, printed(array, flink)))
}

/// Values as CAST to STRING prints them.
pub(super) fn printed(array: ArrayRef, flink: FlinkType) -> Vec<String> {
    let value = Value::column(array);
    let write = writer(&value, flink).expect("every type is printed");
    (0..value.array.len())
        .map(|row| {
            let mut text = String::new();
            match value.is_null(row) {
                true => text.push_str("NULL"),
                false => write(row, &mut text),
            }
            text
        })
        .collect()
}

fn columns(session: &Session) -> Table {
    Table::new(
        session,
        &[
            ("t", "CAST(7 AS TINYINT)"),
            ("s", "CAST(300 AS SMALLINT)"),
            ("i", "42"),
            ("l", "CAST(1000 AS BIGINT)"),
            ("f", "CAST(1.5 AS FLOAT)"),
            ("d", "2.5e0"),
            ("dec", "CAST(12.34 AS DECIMAL(10, 2))"),
            ("str", "'Hello'"),
            ("b", "TRUE"),
            ("dt", "DATE '2026-03-31'"),
            ("tm", "TIME '12:34:56'"),
            ("ts", "TIMESTAMP '2026-03-31 12:34:56.789'"),
            ("ltz", "CAST(TIMESTAMP '2026-03-31 12:34:56.789' AS TIMESTAMP_LTZ(3))"),
            ("num", "'42'"),
            ("bytes", "CAST('abc' AS BYTES)"),
        ],
    )
}

/// Checks `sql`, type and value of the first row, for each line of a table.
fn check(cases: &[(&str, &str, &str)]) {
    let session = Session::new();
    let mut table = columns(&session);
    table.batch = table.batch.slice(0, 1);
    let mut failures = vec![];
    for (sql, flink, value) in cases {
        match evaluate(&session, sql, &table) {
            Ok((found, values)) if found.to_string() == *flink && values[0] == *value => {}
            Ok((found, values)) => failures.push(format!("{sql}: {found} {} instead of {flink} {value}", values[0])),
            Err(error) => failures.push(format!("{sql}: error {error} instead of {flink} {value}")),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Checks that each expression is refused, at planning or at evaluation, with words that hold the given ones.
fn check_errors(cases: &[(&str, &str)]) {
    let session = Session::new();
    let table = columns(&session);
    let mut failures = vec![];
    for (sql, words) in cases {
        match evaluate(&session, sql, &table) {
            Err(error) if error.contains(words) => {}
            Err(error) => failures.push(format!("{sql}: says {error}, not {words}")),
            Ok((flink, values)) => failures.push(format!("{sql}: {flink} {} instead of {words}", values[0])),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn literals_have_flinks_types() {
    check(&[
        ("1", "INT", "1"),
        ("2147483647", "INT", "2147483647"),
        ("-2147483648", "INT", "-2147483648"),
        ("2147483648", "BIGINT", "2147483648"),
        ("-9223372036854775808", "BIGINT", "-9223372036854775808"),
        ("0.908", "DECIMAL(3, 3)", "0.908"),
        ("1.50", "DECIMAL(3, 2)", "1.50"),
        ("-1.5", "DECIMAL(2, 1)", "-1.5"),
        ("1e3", "DOUBLE", "1000.0"),
        ("1.5E-5", "DOUBLE", "1.5E-5"),
        ("'it''s'", "STRING", "it's"),
        ("TRUE", "BOOLEAN", "TRUE"),
        ("DATE '2026-01-31'", "DATE", "2026-01-31"),
        ("TIME '01:02:03'", "TIME(0)", "01:02:03"),
        ("TIME '01:02:03.120'", "TIME(3)", "01:02:03.12"),
        ("TIMESTAMP '2026-01-31 01:02:03'", "TIMESTAMP(0)", "2026-01-31 01:02:03"),
        ("TIMESTAMP '2026-01-31 01:02:03.12'", "TIMESTAMP(2)", "2026-01-31 01:02:03.12"),
        ("TIMESTAMP '2026-01-31 01:02:03.123456'", "TIMESTAMP(6)", "2026-01-31 01:02:03.123456"),
        ("INTERVAL '5' SECOND", "INTERVAL DAY TO SECOND(3)", "+0 00:00:05.000"),
        ("INTERVAL '1:30' HOUR TO MINUTE", "INTERVAL DAY TO SECOND(3)", "+0 01:30:00.000"),
        ("INTERVAL '10' DAY", "INTERVAL DAY TO SECOND(3)", "+10 00:00:00.000"),
        ("INTERVAL '10 00:00:00.004' DAY TO SECOND", "INTERVAL DAY TO SECOND(3)", "+10 00:00:00.004"),
        ("INTERVAL -'5.5' SECOND", "INTERVAL DAY TO SECOND(3)", "-0 00:00:05.500"),
        ("INTERVAL '-1 01:00' DAY TO MINUTE", "INTERVAL DAY TO SECOND(3)", "-1 01:00:00.000"),
        ("INTERVAL '2-10' YEAR TO MONTH", "INTERVAL YEAR TO MONTH", "+2-10"),
        ("INTERVAL '3' QUARTER", "INTERVAL YEAR TO MONTH", "+0-09"),
        ("-INTERVAL '3' MONTH", "INTERVAL YEAR TO MONTH", "-0-03"),
    ]);
}

#[test]
fn arithmetic_has_flinks_types_and_is_exact() {
    check(&[
        ("i + 1", "INT", "43"),
        ("t + t", "TINYINT", "14"),
        ("t + s", "SMALLINT", "307"),
        ("i * l", "BIGINT", "42000"),
        ("i / 5", "INT", "8"),
        ("-7 / 2", "INT", "-3"),
        ("i % 5", "INT", "2"),
        ("-7 % 3", "INT", "-1"),
        ("l % i", "INT", "34"),
        ("i % l", "BIGINT", "42"),
        ("MOD(l, 7)", "INT", "6"),
        ("-i", "INT", "-42"),
        ("+i", "INT", "42"),
        ("0.908 * l", "DECIMAL(23, 3)", "908.000"),
        ("dec + dec", "DECIMAL(11, 2)", "24.68"),
        ("dec - 0.001", "DECIMAL(12, 3)", "12.339"),
        ("dec * dec", "DECIMAL(21, 4)", "152.2756"),
        ("dec / 3", "DECIMAL(21, 13)", "4.1133333333333"),
        ("dec / dec", "DECIMAL(23, 13)", "1.0000000000000"),
        ("dec % 5", "DECIMAL(10, 2)", "2.34"),
        ("CAST(7 AS DECIMAL(10, 0)) % i", "INT", "7"),
        ("i % CAST(5 AS DECIMAL(3, 0))", "DECIMAL(3, 0)", "2"),
        ("dec + i", "DECIMAL(13, 2)", "54.34"),
        ("-dec", "DECIMAL(10, 2)", "-12.34"),
        ("dec * d", "DOUBLE", "30.85"),
        ("dec * f", "DOUBLE", "18.509999999999998"),
        ("f * i", "FLOAT", "63.0"),
        ("f + d", "DOUBLE", "4.0"),
        ("d * l", "DOUBLE", "2500.0"),
        ("d / 0", "DOUBLE", "Infinity"),
        ("-d / 0", "DOUBLE", "-Infinity"),
        ("CAST(1 AS DECIMAL(38, 10)) * CAST(3 AS DECIMAL(38, 10))", "DECIMAL(38, 6)", "3.000000"),
        ("CAST(2 AS DECIMAL(38, 18)) / CAST(3 AS DECIMAL(38, 18))", "DECIMAL(38, 6)", "0.666667"),
        ("CAST(1 AS DECIMAL(38, 0)) + CAST(0.5 AS DECIMAL(38, 2))", "DECIMAL(38, 2)", "1.50"),
        ("i + NULL", "INT", "NULL"),
        ("NULL * dec", "DECIMAL(21, 4)", "NULL"),
        ("d * NULL", "DOUBLE", "NULL"),
        ("(i + 1) * 2 - 6 / 2", "INT", "83"),
    ]);
}

#[test]
fn points_in_time_move_by_intervals() {
    check(&[
        ("ts + INTERVAL '1' SECOND", "TIMESTAMP(3)", "2026-03-31 12:34:57.789"),
        ("ts - INTERVAL '1' MONTH", "TIMESTAMP(3)", "2026-02-28 12:34:56.789"),
        ("INTERVAL '1' YEAR + ts", "TIMESTAMP(3)", "2027-03-31 12:34:56.789"),
        ("ltz - INTERVAL '1' DAY", "TIMESTAMP_LTZ(3)", "2026-03-30 12:34:56.789"),
        ("dt + INTERVAL '1' DAY", "DATE", "2026-04-01"),
        ("dt + INTERVAL '36' HOUR", "DATE", "2026-04-01"),
        ("dt - INTERVAL '1' MONTH", "DATE", "2026-02-28"),
        ("tm + INTERVAL '12' HOUR", "TIME(0)", "00:34:56"),
        ("tm - INTERVAL '13' HOUR", "TIME(0)", "23:34:56"),
        ("INTERVAL '1' DAY + INTERVAL '2' HOUR", "INTERVAL DAY TO SECOND(3)", "+1 02:00:00.000"),
        ("INTERVAL '1' YEAR - INTERVAL '1' MONTH", "INTERVAL YEAR TO MONTH", "+0-11"),
    ]);
    check_errors(&[
        ("ts - ts", "cannot compute TIMESTAMP(3) - TIMESTAMP(3)"),
        ("ts + 1", "cannot compute TIMESTAMP(3) + INT"),
        ("ts * 2", "cannot compute"),
    ]);
}

#[test]
fn what_does_not_fit_is_an_error_that_shows_the_expression() {
    check_errors(&[
        ("2147483647 + i", "2147483647 + 42 does not fit INT in `2147483647 + i`"),
        ("i / 0", "division by zero in `i / 0`"),
        ("i % 0", "division by zero in `i % 0`"),
        ("dec / 0", "division by zero"),
        ("dec % 0.0", "division by zero"),
        ("-CAST(-128 AS TINYINT)", "-(-128) does not fit TINYINT"),
        ("t * t * t", "49 * 7 does not fit TINYINT"),
        ("CAST(9e37 AS DECIMAL(38, 0)) + CAST(9e37 AS DECIMAL(38, 0))", "does not fit DECIMAL(38, 0)"),
        ("CAST(s AS TINYINT)", "the SMALLINT 300 does not fit TINYINT in `CAST(s AS TINYINT)`"),
        ("CAST(str AS INT)", "'Hello' is not a value of INT"),
        ("CAST(1e30 AS BIGINT)", "does not fit BIGINT"),
        ("CAST(12345 AS DECIMAL(3, 0))", "does not fit DECIMAL(3, 0)"),
        ("CAST('2026-02-30' AS DATE)", "is not a value of DATE"),
        ("ABS(CAST(-9223372036854775808 AS BIGINT))", "does not fit BIGINT"),
    ]);
}

#[test]
fn casts_follow_flink() {
    check(&[
        ("CAST(' 42 ' AS INT)", "INT", "42"),
        ("CAST('42.9' AS INT)", "INT", "42"),
        ("CAST(num AS DOUBLE)", "DOUBLE", "42.0"),
        ("CAST('1e3' AS DOUBLE)", "DOUBLE", "1000.0"),
        ("CAST('NaN' AS DOUBLE)", "DOUBLE", "NaN"),
        ("CAST(d AS INT)", "INT", "2"),
        ("CAST(-2.9e0 AS BIGINT)", "BIGINT", "-2"),
        ("CAST(12.99 AS INT)", "INT", "12"),
        ("CAST(12.345 AS DECIMAL(5, 2))", "DECIMAL(5, 2)", "12.35"),
        ("CAST(-12.345 AS DECIMAL(5, 2))", "DECIMAL(5, 2)", "-12.35"),
        ("CAST(0.1e0 AS DECIMAL(20, 19))", "DECIMAL(20, 19)", "0.1000000000000000000"),
        ("CAST('12.345' AS DECIMAL(5, 2))", "DECIMAL(5, 2)", "12.35"),
        ("CAST('1.5e1' AS DECIMAL(5, 2))", "DECIMAL(5, 2)", "15.00"),
        ("CAST(i AS DECIMAL)", "DECIMAL(10, 0)", "42"),
        ("CAST(dec AS DOUBLE)", "DOUBLE", "12.34"),
        ("CAST(i AS STRING)", "STRING", "42"),
        ("CAST(d AS STRING)", "STRING", "2.5"),
        ("CAST(1e7 AS STRING)", "STRING", "1.0E7"),
        ("CAST(1e-4 AS STRING)", "STRING", "1.0E-4"),
        ("CAST(123456.75e0 AS STRING)", "STRING", "123456.75"),
        ("CAST(0.1e0 + 0.2e0 AS STRING)", "STRING", "0.30000000000000004"),
        ("CAST(dec AS STRING)", "STRING", "12.34"),
        ("CAST(b AS STRING)", "STRING", "TRUE"),
        ("CAST(b AS INT)", "INT", "1"),
        ("CAST(0 AS BOOLEAN)", "BOOLEAN", "FALSE"),
        ("CAST('yes' AS BOOLEAN)", "BOOLEAN", "TRUE"),
        ("CAST('f' AS BOOLEAN)", "BOOLEAN", "FALSE"),
        ("CAST(dt AS STRING)", "STRING", "2026-03-31"),
        ("CAST(tm AS STRING)", "STRING", "12:34:56"),
        ("CAST(ts AS STRING)", "STRING", "2026-03-31 12:34:56.789"),
        ("CAST(ltz AS STRING)", "STRING", "2026-03-31 12:34:56.789"),
        ("CAST(CAST(ts AS TIMESTAMP(0)) AS STRING)", "STRING", "2026-03-31 12:34:56"),
        ("CAST(CAST(ts AS TIMESTAMP(6)) AS STRING)", "STRING", "2026-03-31 12:34:56.789000"),
        ("CAST('2026-3-1' AS DATE)", "DATE", "2026-03-01"),
        ("CAST('2026-03-01 10:00:00' AS DATE)", "DATE", "2026-03-01"),
        ("CAST('2026-03-01' AS TIMESTAMP(3))", "TIMESTAMP(3)", "2026-03-01 00:00:00.000"),
        ("CAST('2026-03-01 1:2:3.4567' AS TIMESTAMP(3))", "TIMESTAMP(3)", "2026-03-01 01:02:03.456"),
        ("CAST('2026-03-01 1:2:3.4567' AS TIMESTAMP)", "TIMESTAMP(6)", "2026-03-01 01:02:03.456700"),
        ("CAST(ts AS DATE)", "DATE", "2026-03-31"),
        ("CAST(ts AS TIME)", "TIME(0)", "12:34:56"),
        ("CAST(dt AS TIMESTAMP(3))", "TIMESTAMP(3)", "2026-03-31 00:00:00.000"),
        ("CAST(ts AS TIMESTAMP_LTZ(3))", "TIMESTAMP_LTZ(3)", "2026-03-31 12:34:56.789"),
        ("CAST(TIMESTAMP '1969-12-31 23:59:59.5' AS DATE)", "DATE", "1969-12-31"),
        ("CAST(str AS CHAR(8))", "CHAR(8)", "Hello   "),
        ("CAST(str AS VARCHAR(2))", "VARCHAR(2)", "He"),
        ("CAST(12345 AS VARCHAR)", "STRING", "12345"),
        ("CAST('äöü' AS VARCHAR(2))", "VARCHAR(2)", "äö"),
        ("CAST(bytes AS STRING)", "STRING", "abc"),
        ("CAST(bytes AS BINARY(2))", "BINARY(2)", "ab"),
        ("CAST(NULL AS INT)", "INT", "NULL"),
        ("TRY_CAST(str AS INT)", "INT", "NULL"),
        ("TRY_CAST('7' AS INT)", "INT", "7"),
        ("TRY_CAST(s AS TINYINT)", "TINYINT", "NULL"),
        ("TRY_CAST('x' AS TIMESTAMP(3))", "TIMESTAMP(3)", "NULL"),
        ("CAST(l AS INT) + 1", "INT", "1001"),
        ("CAST(5 AS BIGINT)", "BIGINT", "5"),
        ("CAST(5 AS BIGINT) + 1", "BIGINT", "6"),
    ]);
    check_errors(&[
        ("CAST(l AS TIMESTAMP(3))", "cannot cast BIGINT to TIMESTAMP(3)"),
        ("CAST(ts AS BIGINT)", "cannot cast TIMESTAMP(3) to BIGINT"),
        ("CAST(d AS BOOLEAN)", "cannot cast DOUBLE to BOOLEAN"),
        ("CAST(dt AS INT)", "cannot cast DATE to INT"),
        ("CAST(i AS TIME(6))", "TIME(6) is not supported"),
        ("CAST(i AS DECIMAL(39, 0))", "a DECIMAL of 39 digits"),
        ("CAST(i AS INT8)", "unknown type INT8"),
        ("DATE '2026-02-30'", "is not a value of its type"),
    ]);
}

#[test]
fn comparisons_and_truth_values_follow_flink() {
    check(&[
        ("i = 42.0", "BOOLEAN", "TRUE"),
        ("i < l", "BOOLEAN", "TRUE"),
        ("dec > d", "BOOLEAN", "TRUE"),
        ("str <> 'hello'", "BOOLEAN", "TRUE"),
        ("ts > '2026-01-01 00:00:00'", "BOOLEAN", "TRUE"),
        ("dt = '2026-03-31'", "BOOLEAN", "TRUE"),
        ("ts > dt", "BOOLEAN", "TRUE"),
        ("i = NULL", "BOOLEAN", "NULL"),
        ("NULL = NULL", "BOOLEAN", "NULL"),
        ("i IS DISTINCT FROM NULL", "BOOLEAN", "TRUE"),
        ("NULL IS NOT DISTINCT FROM NULL", "BOOLEAN", "TRUE"),
        ("b AND NULL", "BOOLEAN", "NULL"),
        ("b OR NULL", "BOOLEAN", "TRUE"),
        ("NOT b AND NULL", "BOOLEAN", "FALSE"),
        ("NULL IS NULL", "BOOLEAN", "TRUE"),
        ("i IS NOT NULL", "BOOLEAN", "TRUE"),
        ("(i = NULL) IS UNKNOWN", "BOOLEAN", "TRUE"),
        ("(i = NULL) IS NOT TRUE", "BOOLEAN", "TRUE"),
        ("(i = NULL) IS FALSE", "BOOLEAN", "FALSE"),
        ("b IS NOT FALSE", "BOOLEAN", "TRUE"),
        ("12 BETWEEN 15 AND 12", "BOOLEAN", "FALSE"),
        ("12 BETWEEN 10 AND NULL", "BOOLEAN", "NULL"),
        ("12 BETWEEN NULL AND 10", "BOOLEAN", "FALSE"),
        ("12 NOT BETWEEN 15 AND NULL", "BOOLEAN", "TRUE"),
        ("i BETWEEN 41.5 AND l", "BOOLEAN", "TRUE"),
        ("4 IN (1, 2, 3)", "BOOLEAN", "FALSE"),
        ("1 IN (1, 2, NULL)", "BOOLEAN", "TRUE"),
        ("4 IN (1, 2, NULL)", "BOOLEAN", "NULL"),
        ("4 NOT IN (1, 2, NULL)", "BOOLEAN", "NULL"),
        ("i IN (41.5, 42.0)", "BOOLEAN", "TRUE"),
        ("str IN ('a', 'Hello')", "BOOLEAN", "TRUE"),
        ("dt IN ('2026-03-31')", "BOOLEAN", "TRUE"),
        ("CAST('NaN' AS DOUBLE) = CAST('NaN' AS DOUBLE)", "BOOLEAN", "FALSE"),
        ("-0e0 = 0e0", "BOOLEAN", "TRUE"),
        ("d > CAST('NaN' AS DOUBLE)", "BOOLEAN", "FALSE"),
        ("i <> 0 AND 10 / i = 0", "BOOLEAN", "TRUE"),
        ("i = 0 AND 10 / 0 = 1", "BOOLEAN", "FALSE"),
        ("i = 42 OR 10 / 0 = 1", "BOOLEAN", "TRUE"),
        ("10 / 0 = 1 AND i = 0", "BOOLEAN", "FALSE"),
    ]);
    check_errors(&[
        ("i = '42'", "cannot compare INT with STRING"),
        ("b = 1", "cannot compare BOOLEAN with INT"),
        ("ts = ltz", "cannot compare TIMESTAMP(3) with TIMESTAMP_LTZ(3)"),
        ("i AND b", "AND takes a BOOLEAN, not INT"),
        ("ts > 'yesterday'", "'yesterday' is not a value of TIMESTAMP(3)"),
    ]);
}

#[test]
fn conditions_evaluate_only_the_branch_they_take() {
    check(&[
        ("CASE WHEN i > 1 THEN 'a' ELSE 'b' END", "STRING", "a"),
        ("CASE i WHEN 41 THEN 1 WHEN 42 THEN 2.5 END", "DECIMAL(11, 1)", "2.5"),
        ("CASE WHEN i = 0 THEN 1 END", "INT", "NULL"),
        ("CASE WHEN i = 0 THEN 1 / 0 ELSE 7 END", "INT", "7"),
        ("CASE WHEN b THEN i ELSE d END", "DOUBLE", "42.0"),
        ("IF(i = 0, 1 / 0, i)", "INT", "42"),
        ("IF(NULL, 1, 2)", "INT", "2"),
        ("COALESCE(NULL, i, 1 / 0)", "INT", "42"),
        ("COALESCE(NULL, 'default')", "STRING", "default"),
        ("COALESCE(TRY_CAST('non-number' AS INT), 0)", "INT", "0"),
        ("COALESCE(t, 1.5)", "DECIMAL(4, 1)", "7.0"),
        ("NULLIF(5, 5)", "INT", "NULL"),
        ("NULLIF(5, 0)", "INT", "5"),
        ("IFNULL(NULL, 5)", "INT", "5"),
        ("NVL(i, 5)", "INT", "42"),
        ("GREATEST(1, 5, 3)", "INT", "5"),
        ("LEAST(i, 1.5)", "DECIMAL(11, 1)", "1.5"),
        ("GREATEST(i, NULL)", "INT", "NULL"),
        ("GREATEST('a', 'b')", "STRING", "b"),
    ]);
    check_errors(&[
        ("CASE WHEN b THEN 1 ELSE 'a' END", "the branches of a CASE have the types INT, STRING"),
        ("COALESCE(1, 'a')", "COALESCE of INT, STRING"),
        ("CASE WHEN i THEN 1 END", "WHEN takes a BOOLEAN"),
    ]);
}

#[test]
fn functions_of_strings_follow_flink() {
    check(&[
        ("LOWER(str)", "STRING", "hello"),
        ("UPPER('äß')", "STRING", "ÄSS"),
        ("TRIM('  a b ')", "STRING", "a b"),
        ("TRIM(BOTH 'x' FROM 'xxaxx')", "STRING", "a"),
        ("TRIM(LEADING 'xy' FROM 'yxaxy')", "STRING", "axy"),
        ("TRIM(TRAILING 'xy' FROM 'yxaxy')", "STRING", "yxa"),
        ("LTRIM('  a ')", "STRING", "a "),
        ("RTRIM('  a ')", "STRING", "  a"),
        ("BTRIM('  a ')", "STRING", "a"),
        ("CHAR_LENGTH('äöü')", "INT", "3"),
        ("CHARACTER_LENGTH(str)", "INT", "5"),
        ("OCTET_LENGTH('äöü')", "INT", "6"),
        ("SUBSTRING('hello' FROM 2 FOR 3)", "STRING", "ell"),
        ("SUBSTRING('hello' FROM 2)", "STRING", "ello"),
        ("SUBSTRING('hello', 0, 2)", "STRING", "he"),
        ("SUBSTR('hello', -3, 2)", "STRING", "ll"),
        ("SUBSTR('hello', -9)", "STRING", ""),
        ("SUBSTR('hello', 9)", "STRING", ""),
        ("SUBSTRING('hello', 1, -1)", "STRING", "NULL"),
        ("SUBSTRING('äöü', 2, 1)", "STRING", "ö"),
        ("LEFT('hello', 2)", "STRING", "he"),
        ("LEFT('hello', -2)", "STRING", ""),
        ("RIGHT('hello', 2)", "STRING", "lo"),
        ("RIGHT('hello', 20)", "STRING", "hello"),
        ("LPAD('hi', 4, '??')", "STRING", "??hi"),
        ("LPAD('hi', 1, '??')", "STRING", "h"),
        ("RPAD('hi', 5, 'ab')", "STRING", "hiaba"),
        ("RPAD('hi', -1, 'ab')", "STRING", "NULL"),
        ("LPAD('hi', 4, '')", "STRING", "NULL"),
        ("REPEAT('ab', 3)", "STRING", "ababab"),
        ("REPEAT('ab', -1)", "STRING", ""),
        ("REPLACE('ababab', 'abab', 'z')", "STRING", "zab"),
        ("REVERSE('äbc')", "STRING", "cbä"),
        ("POSITION('l' IN 'hello')", "INT", "3"),
        ("POSITION('x' IN 'hello')", "INT", "0"),
        ("LOCATE('l', 'hello')", "INT", "3"),
        ("LOCATE('l', 'hello', 4)", "INT", "4"),
        ("INSTR('hello', 'l')", "INT", "3"),
        ("INSTR('hello', 'l', 1, 2)", "INT", "4"),
        ("INSTR('hello', 'l', -1)", "INT", "4"),
        ("INITCAP('hello wORLD-x')", "STRING", "Hello World-X"),
        ("CONCAT('AA', 'BB', 'CC')", "STRING", "AABBCC"),
        ("CONCAT('AA', NULL, 'CC')", "STRING", "NULL"),
        ("CONCAT_WS('~', 'AA', CAST(NULL AS STRING), 'BB', '', 'CC')", "STRING", "AA~BB~~CC"),
        ("CONCAT_WS(CAST(NULL AS STRING), 'AA')", "STRING", "NULL"),
        ("str || '!' || num", "STRING", "Hello!42"),
        ("SPLIT_INDEX('a,b,c', ',', 1)", "STRING", "b"),
        ("SPLIT_INDEX('a,b,c', ',', 3)", "STRING", "NULL"),
        ("SPLIT_INDEX('a,b,c', ',', -1)", "STRING", "NULL"),
        ("SPLIT_INDEX('a,,c', 44, 1)", "STRING", ""),
        ("OVERLAY('xxxxxtest' PLACING 'xxxx' FROM 6)", "STRING", "xxxxxxxxx"),
        ("OVERLAY('xxxxxtest' PLACING 'xxxx' FROM 6 FOR 2)", "STRING", "xxxxxxxxxst"),
        ("TRANSLATE('hello', 'el', 'ip')", "STRING", "hippo"),
        ("ELT(2, 'a', 'b')", "STRING", "b"),
        ("ELT(3, 'a', 'b')", "STRING", "NULL"),
        ("STARTSWITH(str, 'He')", "BOOLEAN", "TRUE"),
        ("ENDSWITH(str, 'x')", "BOOLEAN", "FALSE"),
        ("ASCII('abc')", "INT", "97"),
        ("CHR(353)", "STRING", "a"),
        ("BIN(12)", "STRING", "1100"),
        ("HEX(100)", "STRING", "64"),
        ("HEX('hello,world')", "STRING", "68656C6C6F2C776F726C64"),
        ("TO_BASE64('hello world')", "STRING", "aGVsbG8gd29ybGQ="),
        ("FROM_BASE64('aGVsbG8gd29ybGQ=')", "STRING", "hello world"),
        ("IS_ALPHA('abc')", "BOOLEAN", "TRUE"),
        ("IS_DIGIT('12a')", "BOOLEAN", "FALSE"),
        ("IS_DECIMAL('1.5')", "BOOLEAN", "TRUE"),
        ("IS_DECIMAL('')", "BOOLEAN", "FALSE"),
        ("LOWER(CAST(NULL AS STRING))", "STRING", "NULL"),
    ]);
    check_errors(&[
        ("LOWER(i)", "argument 1 of LOWER is a string, not INT"),
        ("LOWER()", "LOWER takes one argument, not 0"),
        ("REPEAT('a', 2000000000)", "a string of 2000000000 characters"),
    ]);
}

#[test]
fn patterns_match_as_in_flink() {
    check(&[
        ("str LIKE 'He%'", "BOOLEAN", "TRUE"),
        ("str LIKE '%ll%'", "BOOLEAN", "TRUE"),
        ("str LIKE 'H_llo'", "BOOLEAN", "TRUE"),
        ("str NOT LIKE 'h%'", "BOOLEAN", "TRUE"),
        ("str LIKE ''", "BOOLEAN", "FALSE"),
        ("'' LIKE '%'", "BOOLEAN", "TRUE"),
        ("'a.c' LIKE 'a.c'", "BOOLEAN", "TRUE"),
        ("'abc' LIKE 'a.c'", "BOOLEAN", "FALSE"),
        ("'50%' LIKE '50!%' ESCAPE '!'", "BOOLEAN", "TRUE"),
        ("'505' LIKE '50!%' ESCAPE '!'", "BOOLEAN", "FALSE"),
        ("str LIKE str", "BOOLEAN", "TRUE"),
        ("str LIKE NULL", "BOOLEAN", "NULL"),
        ("str SIMILAR TO '(He|he)l+o'", "BOOLEAN", "TRUE"),
        ("str SIMILAR TO 'H%'", "BOOLEAN", "TRUE"),
        ("str SIMILAR TO 'ell'", "BOOLEAN", "FALSE"),
        ("REGEXP(str, 'l+')", "BOOLEAN", "TRUE"),
        ("REGEXP(str, '')", "BOOLEAN", "FALSE"),
        ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "STRING", "bar"),
        ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)')", "STRING", "foothebar"),
        ("REGEXP_EXTRACT('x', 'y')", "STRING", "NULL"),
        ("REGEXP_EXTRACT('a1b22', '\\d+$')", "STRING", "22"),
        ("REGEXP_REPLACE('foobar', 'oo|ar', '')", "STRING", "fb"),
        ("REGEXP_REPLACE('abc', 'b', '$0')", "STRING", "a$0c"),
    ]);
    check_errors(&[
        ("REGEXP_EXTRACT(str, '(', 1)", "is not valid"),
        ("REGEXP(str, 'a(?=b)')", "look-around"),
        ("REGEXP_EXTRACT(str, '(a)', 2)", "asks for group 2"),
        ("str ILIKE 'x'", "ILIKE is not part of Flink SQL"),
    ]);
}

#[test]
fn functions_of_numbers_follow_flink() {
    check(&[
        ("ABS(-5)", "INT", "5"),
        ("ABS(-dec)", "DECIMAL(10, 2)", "12.34"),
        ("SQRT(16)", "DOUBLE", "4.0"),
        ("LN(1)", "DOUBLE", "0.0"),
        ("LN(0)", "DOUBLE", "-Infinity"),
        ("LN(-1)", "DOUBLE", "NaN"),
        ("LOG10(100)", "DOUBLE", "2.0"),
        ("LOG2(8)", "DOUBLE", "3.0"),
        ("LOG(2, 8)", "DOUBLE", "3.0"),
        ("EXP(0)", "DOUBLE", "1.0"),
        ("POWER(2, 10)", "DOUBLE", "1024.0"),
        ("CEIL(dec)", "DECIMAL(10, 0)", "13"),
        ("CEILING(-12.34)", "DECIMAL(4, 0)", "-12"),
        ("FLOOR(-dec)", "DECIMAL(10, 0)", "-13"),
        ("FLOOR(d)", "DOUBLE", "2.0"),
        ("FLOOR(i)", "INT", "42"),
        ("ROUND(2.5e0)", "DOUBLE", "3.0"),
        ("ROUND(-2.5e0)", "DOUBLE", "-3.0"),
        ("ROUND(2.675e0, 2)", "DOUBLE", "2.68"),
        ("ROUND(1234.5e0, -2)", "DOUBLE", "1200.0"),
        ("ROUND(0.04e0, 1)", "DOUBLE", "0.0"),
        ("ROUND(0.05e0, 1)", "DOUBLE", "0.1"),
        ("ROUND(dec, 1)", "DECIMAL(10, 1)", "12.3"),
        ("ROUND(12.35, 1)", "DECIMAL(4, 1)", "12.4"),
        ("ROUND(99.99, 1)", "DECIMAL(4, 1)", "100.0"),
        ("ROUND(dec)", "DECIMAL(9, 0)", "12"),
        ("ROUND(1555.5, -2)", "DECIMAL(5, 0)", "1600"),
        ("ROUND(155, -1)", "INT", "160"),
        ("TRUNCATE(42.324, 2)", "DECIMAL(5, 2)", "42.32"),
        ("TRUNCATE(42.329e0, 2)", "DOUBLE", "42.32"),
        ("TRUNCATE(-159, -1)", "INT", "-150"),
        ("SIGN(-5)", "INT", "-1"),
        ("SIGN(dec)", "DECIMAL(10, 2)", "1.00"),
        ("SIGN(-d)", "DOUBLE", "-1.0"),
        ("SIN(0)", "DOUBLE", "0.0"),
        ("COS(0)", "DOUBLE", "1.0"),
        ("ATAN2(0, 1)", "DOUBLE", "0.0"),
        ("TANH(0)", "DOUBLE", "0.0"),
        ("COT(1)", "DOUBLE", "0.6420926159343306"),
        ("DEGREES(PI())", "DOUBLE", "180.0"),
        ("RADIANS(180)", "DOUBLE", "3.141592653589793"),
        ("E()", "DOUBLE", "2.718281828459045"),
        ("ROUND(i, NULL)", "INT", "NULL"),
    ]);
    check_errors(&[
        ("SQRT('4')", "argument 1 of SQRT is a number, not STRING"),
        ("PI(1)", "PI takes no arguments"),
        ("d % 2", "cannot compute DOUBLE % INT"),
        ("RAND()", "RAND is not supported"),
    ]);
}

#[test]
fn functions_of_time_follow_flink() {
    check(&[
        ("EXTRACT(YEAR FROM ts)", "BIGINT", "2026"),
        ("EXTRACT(QUARTER FROM ts)", "BIGINT", "1"),
        ("EXTRACT(MONTH FROM dt)", "BIGINT", "3"),
        ("EXTRACT(WEEK FROM dt)", "BIGINT", "14"),
        ("EXTRACT(DAY FROM DATE '2006-06-05')", "BIGINT", "5"),
        ("EXTRACT(DOW FROM dt)", "BIGINT", "3"),
        ("EXTRACT(ISODOW FROM dt)", "BIGINT", "2"),
        ("EXTRACT(DOY FROM dt)", "BIGINT", "90"),
        ("EXTRACT(HOUR FROM tm)", "BIGINT", "12"),
        ("EXTRACT(MILLISECOND FROM ts)", "BIGINT", "789"),
        ("EXTRACT(MICROSECOND FROM ts)", "BIGINT", "789000"),
        ("EXTRACT(EPOCH FROM TIMESTAMP '1970-01-02 00:00:01')", "BIGINT", "86401"),
        ("EXTRACT(CENTURY FROM dt)", "BIGINT", "21"),
        ("EXTRACT(MILLENNIUM FROM dt)", "BIGINT", "3"),
        ("EXTRACT(DECADE FROM dt)", "BIGINT", "202"),
        ("YEAR(DATE '1994-09-27')", "BIGINT", "1994"),
        ("QUARTER(DATE '1994-09-27')", "BIGINT", "3"),
        ("MONTH(DATE '1994-09-27')", "BIGINT", "9"),
        ("WEEK(DATE '1994-09-27')", "BIGINT", "39"),
        ("DAYOFYEAR(DATE '1994-09-27')", "BIGINT", "270"),
        ("DAYOFMONTH(DATE '1994-09-27')", "BIGINT", "27"),
        ("DAYOFWEEK(DATE '1994-09-27')", "BIGINT", "3"),
        ("HOUR(TIMESTAMP '1994-09-27 13:14:15')", "BIGINT", "13"),
        ("MINUTE(ts)", "BIGINT", "34"),
        ("SECOND(ts)", "BIGINT", "56"),
        ("FLOOR(ts TO HOUR)", "TIMESTAMP(3)", "2026-03-31 12:00:00.000"),
        ("FLOOR(TIME '12:44:31' TO MINUTE)", "TIME(0)", "12:44:00"),
        ("CEIL(TIME '12:44:31' TO MINUTE)", "TIME(0)", "12:45:00"),
        ("FLOOR(ts TO DAY)", "TIMESTAMP(3)", "2026-03-31 00:00:00.000"),
        ("FLOOR(ts TO WEEK)", "TIMESTAMP(3)", "2026-03-29 00:00:00.000"),
        ("FLOOR(dt TO MONTH)", "DATE", "2026-03-01"),
        ("CEIL(dt TO MONTH)", "DATE", "2026-04-01"),
        ("CEIL(DATE '2026-04-01' TO MONTH)", "DATE", "2026-04-01"),
        ("FLOOR(dt TO QUARTER)", "DATE", "2026-01-01"),
        ("FLOOR(dt TO YEAR)", "DATE", "2026-01-01"),
        ("FLOOR(dt TO DECADE)", "DATE", "2020-01-01"),
        ("FLOOR(dt TO CENTURY)", "DATE", "2001-01-01"),
        ("CEIL(ts TO SECOND)", "TIMESTAMP(3)", "2026-03-31 12:34:57.000"),
        ("FLOOR(TIMESTAMP '1969-12-31 23:59:59.5' TO SECOND)", "TIMESTAMP(1)", "1969-12-31 23:59:59.0"),
        ("DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')", "STRING", "2026-03-31 12:34"),
        ("DATE_FORMAT(ts, 'yy/M/d h:mm:ss.SSS a')", "STRING", "26/3/31 12:34:56.789 PM"),
        ("DATE_FORMAT(ts, 'EEE, d MMM yyyy')", "STRING", "Tue, 31 Mar 2026"),
        ("DATE_FORMAT(ts, 'EEEE MMMM')", "STRING", "Tuesday March"),
        ("DATE_FORMAT(ts, 'yyyy''y'' D')", "STRING", "2026y 90"),
        ("DATE_FORMAT('2026-01-02 03:04:05', 'HH')", "STRING", "03"),
        ("DATE_FORMAT(dt, 'dd.MM.yyyy')", "STRING", "31.03.2026"),
        ("TO_TIMESTAMP('2026-01-02 03:04:05')", "TIMESTAMP(3)", "2026-01-02 03:04:05.000"),
        ("TO_TIMESTAMP('02/01/2026 3:04', 'dd/MM/yyyy H:mm')", "TIMESTAMP(3)", "2026-01-02 03:04:00.000"),
        ("TO_TIMESTAMP('20260102030405', 'yyyyMMddHHmmss')", "TIMESTAMP(3)", "2026-01-02 03:04:05.000"),
        ("TO_TIMESTAMP('nonsense')", "TIMESTAMP(3)", "NULL"),
        ("TO_TIMESTAMP('2026-13-02 03:04:05')", "TIMESTAMP(3)", "NULL"),
        ("TO_DATE('2026-01-02')", "DATE", "2026-01-02"),
        ("TO_DATE('02.01.2026', 'dd.MM.yyyy')", "DATE", "2026-01-02"),
        ("TO_DATE('x')", "DATE", "NULL"),
        ("TO_TIMESTAMP_LTZ(1000, 3)", "TIMESTAMP_LTZ(3)", "1970-01-01 00:00:01.000"),
        ("TO_TIMESTAMP_LTZ(1000, 0)", "TIMESTAMP_LTZ(3)", "1970-01-01 00:16:40.000"),
        ("TO_TIMESTAMP_LTZ(9223372036854775807, 0)", "TIMESTAMP_LTZ(3)", "NULL"),
        ("FROM_UNIXTIME(44)", "STRING", "1970-01-01 00:00:44"),
        ("FROM_UNIXTIME(44, 'mm:ss')", "STRING", "00:44"),
        ("UNIX_TIMESTAMP('1970-01-01 08:00:01.001', 'yyyy-MM-dd HH:mm:ss.SSS')", "BIGINT", "28801"),
        ("UNIX_TIMESTAMP('x')", "BIGINT", "-9223372036854775808"),
        ("TIMESTAMPADD(DAY, 1, ts)", "TIMESTAMP(3)", "2026-04-01 12:34:56.789"),
        ("TIMESTAMPADD(MONTH, -1, dt)", "DATE", "2026-02-28"),
        ("TIMESTAMPADD(HOUR, 1, dt)", "TIMESTAMP(3)", "2026-03-31 01:00:00.000"),
        ("TIMESTAMPADD(WEEK, i, dt)", "DATE", "2027-01-19"),
        ("TIMESTAMPDIFF(DAY, dt, ts)", "INT", "0"),
        ("TIMESTAMPDIFF(SECOND, dt, ts)", "INT", "45296"),
        ("TIMESTAMPDIFF(MONTH, TIMESTAMP '2026-01-31 00:00:00', TIMESTAMP '2026-02-28 00:00:00')", "INT", "1"),
        ("TIMESTAMPDIFF(MONTH, TIMESTAMP '2026-01-15 12:00:00', TIMESTAMP '2026-02-15 11:00:00')", "INT", "0"),
        ("TIMESTAMPDIFF(YEAR, dt, DATE '2020-01-01')", "INT", "-6"),
        ("TIMESTAMPDIFF(HOUR, ts, TIMESTAMP '2026-03-31 10:00:00')", "INT", "-2"),
        ("CONVERT_TZ('1970-01-01 00:00:00', 'UTC', 'America/Los_Angeles')", "STRING", "1969-12-31 16:00:00"),
        ("CONVERT_TZ('2026-07-01 12:00:00', 'Europe/Berlin', 'GMT+8')", "STRING", "2026-07-01 18:00:00"),
    ]);
    check_errors(&[
        ("DATE_FORMAT(ts, 'yyyy Q')", "Q in the pattern 'yyyy Q' is not supported"),
        ("DATE_FORMAT(ts, 'yyyy''')", "is left open"),
        ("EXTRACT(YEAR FROM tm)", "has no Year"),
        ("EXTRACT(HOUR FROM str)", "not STRING"),
        ("FLOOR(dt TO HOUR)", "FLOOR of a DATE to Hour"),
        ("TIMESTAMPADD(FORTNIGHT, 1, ts)", "TIMESTAMPADD of the unit 'FORTNIGHT'"),
        ("TIMESTAMPDIFF(SECOND, ts, ltz)", "TIMESTAMPDIFF of TIMESTAMP(3) and TIMESTAMP_LTZ(3)"),
        ("TIMESTAMPDIFF(SECOND, DATE '0001-01-01', ts)", "does not fit INT"),
        ("TO_TIMESTAMP_LTZ(1, 6)", "the precision of TO_TIMESTAMP_LTZ is 0 or 3"),
        ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP is not supported"),
        ("NOW()", "NOW is not supported"),
        ("CONVERT_TZ('2026-07-01 12:00:00', 'Mars', 'UTC')", "'Mars' is no time zone"),
        ("INTERVAL '1:70' HOUR TO MINUTE", "is not an interval"),
        ("INTERVAL 'x' DAY", "is not an interval"),
    ]);
}

#[test]
fn every_function_gives_null_for_a_row_of_null() {
    let session = Session::new();
    let table = columns(&session);
    for sql in [
        "t + s",
        "i * l",
        "dec / 3",
        "d - 1",
        "ts + INTERVAL '1' DAY",
        "LOWER(str)",
        "SUBSTRING(str, 2)",
        "i = l",
        "NOT b",
        "CAST(i AS STRING)",
        "CAST(str AS DOUBLE)",
        "EXTRACT(YEAR FROM ts)",
        "FLOOR(ts TO HOUR)",
        "CONCAT(str, num)",
        "ROUND(dec, 1)",
        "str LIKE 'H%'",
        "DATE_FORMAT(ts, 'yyyy')",
        "IF(b, i, l)",
        "GREATEST(i, l)",
        "i IN (1, 2)",
        "TIMESTAMPDIFF(DAY, ts, ts)",
        "-i",
        "CAST(ts AS DATE)",
        "num || str",
    ] {
        // The first row may be refused ('Hello' is no number): only the second is looked at.
        let second = Table { schema: table.schema.clone(), batch: table.batch.slice(1, 1) };
        let (_, values) = evaluate(&session, sql, &second).expect(sql);
        assert_eq!(values, ["NULL"], "{sql}");
    }
}

#[test]
fn an_operand_is_asked_only_for_the_rows_that_need_it() {
    let session = Session::new();
    let schema =
        Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Int32, true)]));
    let numbers = |values: [Option<i32>; 5]| Arc::new(arrow_array::Int32Array::from(values.to_vec())) as ArrayRef;
    let a = numbers([Some(6), Some(7), None, Some(8), Some(9)]);
    let b = numbers([Some(3), Some(0), Some(0), None, Some(-1)]);
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![a, b]).expect("two columns");
    let table = Table { schema: DFSchema::try_from(schema).expect("two names"), batch };
    for (sql, expected) in [
        ("b <> 0 AND a / b > 0", ["TRUE", "FALSE", "FALSE", "NULL", "FALSE"]),
        ("a / b > 0 AND b <> 0", ["TRUE", "FALSE", "FALSE", "NULL", "FALSE"]),
        ("b = 0 OR a / b > 0", ["TRUE", "TRUE", "TRUE", "NULL", "FALSE"]),
        ("CASE WHEN b = 0 THEN -1 ELSE a / b END", ["2", "-1", "-1", "NULL", "-9"]),
        ("IF(b = 0, NULL, a / b)", ["2", "NULL", "NULL", "NULL", "-9"]),
        ("COALESCE(NULLIF(b, 0), a)", ["3", "7", "NULL", "8", "-1"]),
        ("COALESCE(CASE WHEN b = 0 THEN 5 END, a / b)", ["2", "5", "5", "NULL", "-9"]),
        ("CASE WHEN b = 0 THEN 'none' WHEN a / b > 0 THEN 'some' END", ["some", "none", "none", "NULL", "NULL"]),
        ("a IN (6, 7) AND b IN (0, NULL)", ["NULL", "TRUE", "NULL", "FALSE", "FALSE"]),
    ] {
        let (_, values) = evaluate(&session, sql, &table).expect(sql);
        assert_eq!(values, expected, "{sql}");
    }
    assert_eq!(evaluate(&session, "a / b", &table).expect_err("a row divides by 0"), "division by zero in `a / b`");
}

#[test]
fn unions_get_common_types() {
    use datafusion_optimizer::analyzer::{Analyzer, AnalyzerRule};
    let session = Session::new();
    let planned = |sql: &str| {
        let mut statements =
            Parser::parse_sql(&GenericDialect {}, sql).map_err(|error| Error::statement(error.to_string()))?;
        let options = ParserOptions::new().with_parse_float_as_decimal(true).with_enable_ident_normalization(false);
        let planner = SqlToRel::new_with_options(&session, options);
        let statement = statements.pop().expect("one statement");
        let plan = planner.sql_statement_to_plan(statement).map_err(from_datafusion)?;
        let rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(super::typing::FlinkTyping)];
        let analyzed = Analyzer::with_rules(rules).execute_and_check(plan, &ConfigOptions::new(), |_, _| {});
        let plan = analyzed.map_err(from_datafusion)?;
        let types =
            plan.schema().fields().iter().map(|field| FlinkType::from_field(field).map(|flink| flink.to_string()));
        Ok::<_, Error>(types.collect::<Result<Vec<_>>>()?.join(", "))
    };
    for (sql, expected) in [
        ("SELECT 1, 'a' UNION ALL SELECT 2.5, NULL", "DECIMAL(11, 1), STRING"),
        ("SELECT 1 + 1 AS x, CAST(3 AS BIGINT) AS y", "INT, BIGINT"),
        ("SELECT x + 1 FROM (SELECT 1 AS x UNION ALL SELECT 3000000000) t", "BIGINT"),
        ("SELECT x, COUNT(*), SUM(x) FROM (SELECT 1 AS x) t GROUP BY x HAVING SUM(x) > 0", "INT, BIGINT, INT"),
        ("SELECT AVG(x * 0.5) FROM (SELECT 1 AS x) t", "DECIMAL(38, 6)"),
        ("SELECT CASE WHEN x = 1 THEN 'a' END AS c FROM (SELECT 1 AS x) t ORDER BY c LIMIT 3", "STRING"),
    ] {
        assert_eq!(planned(sql).expect(sql), expected, "{sql}");
    }
    for (sql, words) in [
        ("SELECT 1 UNION ALL SELECT TRUE", "has the types INT and BOOLEAN"),
        ("SELECT SUM(TRUE)", "SUM does not take BOOLEAN"),
    ] {
        let error = planned(sql).expect_err(sql);
        assert!(error.message.contains(words), "{sql}: {error}");
    }
}

#[test]
fn a_column_is_passed_on_and_a_constant_becomes_a_column() {
    let session = Session::new();
    let table = columns(&session);
    let compiled = |sql: &str| compile(&session.plan(sql, &table.schema).expect(sql), &table.schema).expect(sql);
    assert_eq!(compiled("i").column(), Some(2));
    assert_eq!(compiled("i + 0").column(), None);
    assert_eq!(compiled("1 + 1").evaluate(&table.batch).expect("a constant").len(), 2);
    assert_eq!(compiled("1 / 0").evaluate(&table.batch.slice(0, 0)).expect("no row needs it").len(), 0);
    assert!(compiled("1 / 0").evaluate(&table.batch).is_err());
}

#[test]
fn expressions_are_shown_as_sql() {
    let session = Session::new();
    let table = columns(&session);
    for (sql, shown) in [
        ("(i + 1) * l", "(i + 1) * l"),
        ("i = 1 AND NOT (b OR str LIKE 'a%')", "i = 1 AND NOT (b OR str LIKE 'a%')"),
        ("(i = 1 OR b) AND b", "(i = 1 OR b) AND b"),
        ("i - (1 - l)", "i - (1 - l)"),
        ("-(i + 1)", "-(i + 1)"),
        ("CAST(str AS INT) + dec", "CAST(str AS INT) + dec"),
        ("CASE WHEN b THEN str ELSE 'it''s' END", "CASE WHEN b THEN str ELSE 'it''s' END"),
        ("COALESCE(i, 0) IN (1, 2)", "COALESCE(i, 0) IN (1, 2)"),
        ("i IS NOT NULL", "i IS NOT NULL"),
        ("FLOOR(ts TO HOUR)", "FLOOR(ts, 'HOUR')"),
        ("i * 0.5", "i * 0.5"),
    ] {
        let compiled = compile(&session.plan(sql, &table.schema).expect(sql), &table.schema).expect(sql);
        assert_eq!(compiled.describe(), shown);
    }
}

#[test]
fn aggregates_have_flinks_types() {
    let session = Session::new();
    let table = columns(&session);
    for (sql, expected) in [
        ("COUNT(*)", "BIGINT"),
        ("COUNT(i)", "BIGINT"),
        ("SUM(t)", "TINYINT"),
        ("SUM(i)", "INT"),
        ("SUM(l)", "BIGINT"),
        ("SUM(f)", "FLOAT"),
        ("SUM(dec)", "DECIMAL(38, 2)"),
        ("AVG(l)", "BIGINT"),
        ("AVG(d)", "DOUBLE"),
        ("AVG(dec)", "DECIMAL(38, 6)"),
        ("AVG(CAST(dec AS DECIMAL(20, 10)))", "DECIMAL(38, 10)"),
        ("MIN(str)", "STRING"),
        ("MAX(ts)", "TIMESTAMP(3)"),
        ("VAR_POP(i)", "INT"),
        ("STDDEV_SAMP(d)", "DOUBLE"),
        ("STDDEV_POP(dec)", "DECIMAL(38, 6)"),
        ("FIRST_VALUE(dt)", "DATE"),
        ("LISTAGG(str, ';')", "STRING"),
        ("SUM(1)", "INT"),
        ("SUM(i * 0.5)", "DECIMAL(38, 1)"),
    ] {
        let expr = session.plan(sql, &table.schema).expect(sql);
        assert_eq!(type_of(&expr, &table.schema).expect(sql).to_string(), expected, "{sql}");
        let Expr::AggregateFunction(call) = &expr else { panic!("{sql} is an aggregate") };
        super::aggregates::lower(call).expect(sql);
    }
    for (sql, words) in [
        ("SUM(str)", "SUM does not take STRING"),
        ("LISTAGG(i)", "LISTAGG does not take INT"),
        ("AVG(ts)", "AVG does not take TIMESTAMP(3)"),
        ("COUNT(i, l)", "COUNT of several values"),
    ] {
        let planned =
            session.plan(sql, &table.schema).map(|expr| type_of(&expr, &table.schema).map_err(from_datafusion));
        let error = planned.and_then(|flink| flink).expect_err(sql);
        assert!(error.message.contains(words), "{sql}: {error}");
    }
}

#[test]
fn types_print_and_parse() {
    for text in
        ["DECIMAL(10, 2)", "CHAR(5)", "VARCHAR(20)", "STRING", "BYTES", "TIME(0)", "TIMESTAMP_LTZ(3)", "BINARY(4)"]
    {
        assert_eq!(FlinkType::parse(text).expect(text).to_string(), text);
    }
    let field = Field::new("x", DataType::Int32, true);
    assert_eq!(FlinkType::from_field(&field).expect("INT"), FlinkType::Int);
}
