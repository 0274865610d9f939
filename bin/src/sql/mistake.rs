//! What was probably meant: syntax errors in our words, with their places and the way to mend them.

use std::ops::Range;

use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan, TokenizerError};

use super::nearest;
use super::reader::DEPTH_MAX;
use super::text::SqlText;
use crate::error::Error;

/// A syntax error with its place, which the parser gives in its text only.
pub(crate) fn syntax_error(error: &ParserError, tokens: &[TokenWithSpan], text: &SqlText) -> Error {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return Error::statement(format!("expressions or queries are nested more than {DEPTH_MAX} deep"));
        }
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
    };
    let (message, place) = split_place(message);
    let place = place.and_then(|(line, column)| text.range_at(line, column));
    let found = message.split_once(", found: ").map(|(_, found)| found);
    // The parser names one character, and sometimes that of the token after the one that it means.
    let place = place.map(|place| match found {
        Some(found) if found != "EOF" => text.last_before(found, &place).unwrap_or(place),
        _ => place,
    });
    let readable = message.replace("Expected: ", "expected ").replace(", found: EOF", ", found the end of the text");
    let error = Error::statement(lower_first(&readable.replace(", found: ", ", found ")));
    let place = place.unwrap_or_else(|| text.end()..text.end());
    let error = match found.and_then(|found| misspelt(found, message)) {
        Some(keyword) => error.help(format!("did you mean {keyword}?")),
        None => advise(error, message, found.unwrap_or_default(), &before(tokens, &place, text), text),
    };
    error.at(place)
}

/// The tokens ahead of a place.
fn before<'a>(tokens: &'a [TokenWithSpan], place: &Range<usize>, text: &SqlText) -> Vec<&'a TokenWithSpan> {
    let is_before = |token: &&TokenWithSpan| text.range(token.span).is_some_and(|range| range.start < place.start);
    tokens.iter().filter(is_before).collect()
}

/// The error with what was probably forgotten, going by the tokens ahead of it.
fn advise(error: Error, message: &str, found: &str, before: &[&TokenWithSpan], text: &SqlText) -> Error {
    if let Some(help) = pasted_quote(found) {
        return error.help(help);
    }
    let last = before.last().map(|token| &token.token);
    if message.contains("a unit of time") {
        const UNITS: [&str; 8] = ["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"];
        return match nearest(found, UNITS.into_iter()) {
            Some(near) => error.help(format!("did you mean {near}?")),
            None => error.help("INTERVAL '5' MINUTE"),
        };
    }
    if last == Some(&Token::Comma) && message.contains("an expression") {
        return error.help("leave out the comma before it, or write what is missing behind the comma");
    }
    if (message.starts_with("Expected: )") || message.contains("or ) after"))
        && let Some(opened) = unclosed(before)
        && let Some(place) = text.range(opened.span)
    {
        let (line, column) = text.position(place.start);
        return error.help(format!("the parenthesis of line {line}, column {column} is not closed before it"));
    }
    error
}

/// The last parenthesis that is opened and not closed.
fn unclosed<'a>(tokens: &[&'a TokenWithSpan]) -> Option<&'a TokenWithSpan> {
    let mut open = Vec::new();
    for token in tokens {
        match token.token {
            Token::LParen => open.push(*token),
            Token::RParen => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// What to say of a quote that is none: a text processor made it out of one.
fn pasted_quote(found: &str) -> Option<&'static str> {
    found
        .starts_with(['‘', '’', '‚', '“', '”', '„', '«', '»', '´'])
        .then_some("this is not a quote of SQL, though it looks like one: strings stand in ', names in `")
}

/// The error for what is no token.
pub(crate) fn no_token(error: &TokenizerError, tokens: &[TokenWithSpan], text: &SqlText) -> Error {
    let place = text.range_at(error.location.line, error.location.column);
    let (converted, place) = if error.message.contains("multi-line comment") {
        let end = tokens.last().and_then(|token| text.range(token.span)).map_or(0, |range| range.end);
        let start = text.original(&(end..text.end())).find("/*").map(|at| end + at..end + at + 2);
        let converted = Error::statement("the comment that begins here is never closed");
        (converted.help("a comment ends with */"), start.or(place))
    } else {
        let converted = Error::statement(lower_first(&error.message));
        let converted = if error.message.contains("string literal") {
            converted.help("a string ends with a single quote; '' is a quote within it")
        } else {
            converted
        };
        (converted, place)
    };
    place.into_iter().fold(converted, Error::at)
}

/// The error for `FROM trades.csv`, which reads like a table of another database.
pub(crate) fn file_without_quotes(parts: &[&str]) -> Option<Error> {
    const ENDINGS: [&str; 10] = ["csv", "tsv", "txt", "json", "ndjson", "jsonl", "parquet", "gz", "zst", "log"];
    let last = parts.last()?.to_lowercase();
    ENDINGS.contains(&last.as_str()).then(|| {
        let path = parts.join(".");
        Error::statement(format!("`{path}` is not a table")).help(format!("a file stands in quotes: FROM '{path}'"))
    })
}

/// What Flink calls a type of another database.
pub(crate) fn type_elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "TEXT" | "CLOB" | "NVARCHAR" | "UUID" | "JSON" | "JSONB" | "ENUM" => "STRING",
        "DATETIME" | "TIMESTAMPNTZ" => "TIMESTAMP(3)",
        "TIMESTAMPTZ" => "TIMESTAMP_LTZ(3)",
        "INT8" | "INT64" | "LONG" | "SERIAL" | "BIGSERIAL" | "UBIGINT" | "HUGEINT" => "BIGINT",
        "INT4" | "INT32" | "MEDIUMINT" | "UINTEGER" => "INT",
        "INT2" | "INT16" | "SHORT" => "SMALLINT",
        "BYTE" => "TINYINT",
        "FLOAT4" | "FLOAT32" | "REAL" => "FLOAT",
        "FLOAT8" | "FLOAT64" => "DOUBLE",
        "NUMBER" | "MONEY" => "DECIMAL(38, 2)",
        "BOOL" | "BIT" => "BOOLEAN",
        "BLOB" | "BYTEA" => "BYTES",
        _ => return None,
    })
}

/// What Flink has for a function of another database.
pub(crate) fn function_elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "DATE_TRUNC" => "FLOOR(ts TO HOUR)",
        "DATE_BIN" | "TIME_BUCKET" => "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))",
        "DATE_DIFF" | "DATEDIFF" => "TIMESTAMPDIFF(DAY, a, b)",
        "DATEADD" | "DATE_ADD" => "ts + INTERVAL '1' DAY",
        "DATE_SUB" => "ts - INTERVAL '1' DAY",
        "DATE_PART" => "EXTRACT(HOUR FROM ts)",
        "TO_CHAR" | "STRFTIME" | "FORMAT_TIMESTAMP" => "DATE_FORMAT(ts, 'yyyy-MM-dd')",
        "STRPTIME" | "PARSE_TIMESTAMP" => "TO_TIMESTAMP(string, 'yyyy-MM-dd HH:mm:ss')",
        "GETDATE" | "SYSDATE" => "CURRENT_TIMESTAMP",
        "TO_NUMBER" | "TO_INT" | "TOINT64" => "CAST(x AS INT)",
        "NVL" | "ISNULL" => "COALESCE(x, y)",
        "IFF" | "IIF" | "DECODE" => "CASE WHEN condition THEN a ELSE b END",
        "LEN" => "CHAR_LENGTH(string)",
        "STRING_AGG" | "GROUP_CONCAT" | "ARRAY_AGG" => "LISTAGG(string)",
        "UNIQ" | "APPROX_DISTINCT" | "COUNT_DISTINCT" => "COUNT(DISTINCT x)",
        "COUNTIF" | "COUNT_IF" => "COUNT(*) FILTER (WHERE condition)",
        "SUMIF" | "SUM_IF" => "SUM(x) FILTER (WHERE condition)",
        "FIRST" | "ANY_VALUE" | "ARBITRARY" => "FIRST_VALUE(x)",
        "LAST" => "LAST_VALUE(x)",
        "JSON_EXTRACT" | "JSON_EXTRACT_SCALAR" | "GET_JSON_OBJECT" | "JSON_EXTRACT_STRING" => "JSON_VALUE(json, '$.a')",
        "REGEXP_MATCHES" | "REGEXP_LIKE" => "REGEXP(string, 'pattern')",
        "STARTSWITH" | "STARTS_WITH" => "string LIKE 'start%'",
        "ENDSWITH" | "ENDS_WITH" => "string LIKE '%end'",
        "CONTAINS" => "string LIKE '%part%'",
        _ => return None,
    })
}

/// `message at Line: 3, Column: 14`.
fn split_place(message: &str) -> (&str, Option<(u64, u64)>) {
    let Some((head, place)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    let place =
        place.split_once(", Column: ").and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
    (head, place)
}

/// The keyword that `found` may have been meant to be.
fn misspelt(found: &str, message: &str) -> Option<&'static str> {
    const KEYWORDS: [&str; 24] = [
        "SELECT",
        "FROM",
        "WHERE",
        "GROUP BY",
        "HAVING",
        "ORDER BY",
        "LIMIT",
        "UNION",
        "VALUES",
        "INSERT",
        "CREATE",
        "TABLE",
        "TEMPORARY",
        "WATERMARK",
        "PRIMARY KEY",
        "INTERVAL",
        "BETWEEN",
        "DISTINCT",
        "DESCRIBE",
        "EXPLAIN",
        "WITH",
        "AND",
        "OFFSET",
        "FETCH",
    ];
    if found.len() < 3 || !found.chars().all(char::is_alphabetic) {
        return None;
    }
    let near =
        nearest(&found.to_uppercase(), KEYWORDS.iter().map(|keyword| keyword.split(' ').next().unwrap_or(keyword)))?;
    let keyword = KEYWORDS.iter().find(|keyword| keyword.split(' ').next() == Some(near))?;
    (*keyword != found.to_uppercase() && !message.contains("identifier")).then_some(*keyword)
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
