//! Expressions put together from functions, operators, casts and edge values: evaluated over a few rows, whole and row by
//! row, with the same values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thalweg_fuzz::{Way, run};

const LEAVES: [&str; 36] = [
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "0",
    "1",
    "-1",
    "2147483647",
    "9223372036854775807",
    "0.5",
    "1e308",
    "1e-308",
    "CAST(NULL AS INT)",
    "NULL",
    "''",
    "'x'",
    "' 12 '",
    "'2024-02-29'",
    "'äöü€😀'",
    "TRUE",
    "FALSE",
    "DATE '0001-01-01'",
    "DATE '9999-12-31'",
    "TIMESTAMP '2024-02-29 23:59:59.999'",
    "TIME '23:59:59'",
    "INTERVAL '1' DAY",
    "INTERVAL '-5' MONTH",
    "X'00FF'",
    "ARRAY[1, 2, NULL]",
    "MAP['k', 1]",
    "ROW(1, 'a')",
    "99999999999999999999999999999999999999",
    "0.00000000000000000000000000000000000001",
    "'[1,2]'",
];
const TYPES: [&str; 19] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(38, 0)",
    "DECIMAL(10, 5)",
    "DECIMAL(38, 38)",
    "STRING",
    "CHAR(3)",
    "VARCHAR(2)",
    "BYTES",
    "DATE",
    "TIME(3)",
    "TIMESTAMP(3)",
    "TIMESTAMP_LTZ(9)",
    "ARRAY<STRING>",
];
const OPERATORS: [&str; 16] =
    ["+", "-", "*", "/", "%", "=", "<>", "<", "<=", ">", ">=", "AND", "OR", "||", "LIKE", "IS DISTINCT FROM"];
const FUNCTIONS: [&str; 64] = [
    "ABS",
    "CEIL",
    "FLOOR",
    "ROUND",
    "TRUNCATE",
    "POWER",
    "SQRT",
    "LN",
    "LOG10",
    "LOG2",
    "EXP",
    "SIGN",
    "MOD",
    "UPPER",
    "LOWER",
    "TRIM",
    "LTRIM",
    "RTRIM",
    "CHAR_LENGTH",
    "POSITION",
    "SUBSTRING",
    "SUBSTR",
    "LEFT",
    "RIGHT",
    "REPLACE",
    "REPEAT",
    "REVERSE",
    "LPAD",
    "RPAD",
    "CONCAT",
    "CONCAT_WS",
    "SPLIT_INDEX",
    "REGEXP_REPLACE",
    "REGEXP_EXTRACT",
    "COALESCE",
    "NULLIF",
    "IF",
    "IFNULL",
    "GREATEST",
    "LEAST",
    "DATE_FORMAT",
    "TO_DATE",
    "TO_TIMESTAMP",
    "YEAR",
    "QUARTER",
    "MONTH",
    "WEEK",
    "DAYOFYEAR",
    "HOUR",
    "TIMESTAMPADD",
    "TIMESTAMPDIFF",
    "UNIX_TIMESTAMP",
    "FROM_UNIXTIME",
    "HEX",
    "FROM_BASE64",
    "TO_BASE64",
    "ASCII",
    "CHR",
    "INITCAP",
    "LOCATE",
    "INSTR",
    "CARDINALITY",
    "ELEMENT",
    "BIN",
];

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.next() % words.len()]
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 || self.0.is_empty() {
            return self.pick(&LEAVES).to_owned();
        }
        let depth = depth - 1;
        match self.next() % 8 {
            0 => self.pick(&LEAVES).to_owned(),
            1 | 2 => {
                let (left, operator, right) = (self.expression(depth), self.pick(&OPERATORS), self.expression(depth));
                format!("({left} {operator} {right})")
            }
            3 => format!("CAST({} AS {})", self.expression(depth), self.pick(&TYPES)),
            4 => format!("TRY_CAST({} AS {})", self.expression(depth), self.pick(&TYPES)),
            5 => {
                let (condition, then, other) = (self.expression(depth), self.expression(depth), self.expression(depth));
                format!("CASE WHEN {condition} THEN {then} ELSE {other} END")
            }
            6 => format!("({} IS NULL)", self.expression(depth)),
            _ => {
                let function = self.pick(&FUNCTIONS);
                let count = 1 + self.next() % 3;
                let arguments: Vec<String> = (0..count).map(|_| self.expression(depth)).collect();
                format!("{function}({})", arguments.join(", "))
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let expression = Bytes(data).expression(4);
    let sql = format!(
        "SELECT {expression} AS x FROM (VALUES (1, 'x', 1.5, DATE '2024-01-31', CAST(0.1 AS DOUBLE), TRUE), \
         (-7, '', -99.9, DATE '1969-12-31', CAST('NaN' AS DOUBLE), FALSE), (2147483647, '2024-01-01 00:00:00', 0.0, \
         DATE '2000-02-29', CAST('Infinity' AS DOUBLE), CAST(NULL AS BOOLEAN))) AS t (a, b, c, d, e, f)"
    );
    let whole = run(&sql, Way::PLAIN);
    let by_row = run(&sql, Way { batch_rows: 1, ..Way::PLAIN });
    match (whole, by_row) {
        (Ok((rows, _)), Ok((other, _))) => assert_eq!(format!("{rows:?}"), format!("{other:?}"), "{expression}"),
        (Err(_), Err(_)) => {}
        (whole, by_row) => panic!("{expression}: {:?} against {:?}", whole.map(|_| ()), by_row.map(|_| ())),
    }
});
