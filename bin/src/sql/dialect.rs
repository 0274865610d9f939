//! Flink's dialect of SQL, for `sqlparser`.

use sqlparser::ast::{CastFormat, CastKind, DateTimeField, Expr, Interval, UnaryOperator, Value};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::functions::nested::{ARRAY, MAP};
use super::syntax::called;
use super::type_syntax::parse_type;

/// Back-ticks around identifiers, named arguments with `=>`, `TABLE t` as an argument, SQL's intervals with their units.
#[derive(Debug)]
pub(crate) struct FlinkDialect;

/// The prefix operator that stands for `TABLE t` as an argument of a window function.
pub(crate) const TABLE_PREFIX: &str = "TABLE";

impl Dialect for FlinkDialect {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('`')
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || ch == '$'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    /// CUBE, ROLLUP and GROUPING SETS are read so that they can be refused by name.
    fn supports_group_by_expr(&self) -> bool {
        true
    }

    /// FOR SYSTEM_TIME AS OF is read so that it can be refused by name.
    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn require_interval_qualifier(&self) -> bool {
        true
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let Token::Word(word) = &parser.peek_token_ref().token else { return None };
        if word.quote_style.is_some() {
            return None;
        }
        match word.keyword {
            Keyword::TABLE => Some(table_argument(parser)),
            Keyword::INTERVAL if is_interval(parser) => Some(interval(parser)),
            Keyword::CAST if is_followed_by(parser, &Token::LParen) => Some(cast(parser, CastKind::Cast)),
            Keyword::TRY_CAST if is_followed_by(parser, &Token::LParen) => Some(cast(parser, CastKind::TryCast)),
            Keyword::ARRAY if is_followed_by(parser, &Token::LBracket) => Some(listed(parser, ARRAY)),
            Keyword::MAP if is_followed_by(parser, &Token::LBracket) => Some(listed(parser, MAP)),
            _ => None,
        }
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        distinct_from(parser, expr, precedence)
    }
}

/// `IS [NOT] DISTINCT FROM`, whose right side the parser would let run over an AND.
fn distinct_from(parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
    let is_negated = if parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
        false
    } else if parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]) {
        true
    } else {
        return None;
    };
    let left = Box::new(left.clone());
    Some(parser.parse_subexpr(precedence).map(|right| match is_negated {
        true => Expr::IsNotDistinctFrom(left, Box::new(right)),
        false => Expr::IsDistinctFrom(left, Box::new(right)),
    }))
}

fn is_followed_by(parser: &Parser, token: &Token) -> bool {
    parser.peek_nth_token_ref(1).token == *token
}

/// `CAST(x AS type)`, with Flink's types, and the fields or items that are taken of it.
fn cast(parser: &mut Parser, kind: CastKind) -> Result<Expr, ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let expr = Box::new(parser.parse_expr()?);
    parser.expect_keyword_is(Keyword::AS)?;
    let data_type = parse_type(parser)?;
    let format =
        if parser.parse_keyword(Keyword::FORMAT) { Some(CastFormat::Value(parser.parse_value()?)) } else { None };
    parser.expect_token(&Token::RParen)?;
    let cast = Expr::Cast { kind, expr, data_type, array: false, format };
    parser.parse_compound_expr(cast, Vec::new())
}

/// `ARRAY[a, b]`, `MAP[k, v]` as calls of functions that nobody else can name.
fn listed(parser: &mut Parser, function: &'static str) -> Result<Expr, ParserError> {
    let word = parser.next_token();
    parser.expect_token(&Token::LBracket)?;
    let values = parser.parse_comma_separated0(Parser::parse_expr, Token::RBracket)?;
    parser.expect_token(&Token::RBracket)?;
    parser.parse_compound_expr(called(function, word.span, values), Vec::new())
}

/// `TABLE t`, `TABLE t PARTITION BY k`, `TABLE t PARTITION BY (k, l)`: the table, or a tuple of it and its keys.
fn table_argument(parser: &mut Parser) -> Result<Expr, ParserError> {
    let prefix = parser.parse_identifier()?;
    let name = parser.parse_object_name(true)?;
    let parts = name.0.into_iter().filter_map(|part| part.as_ident().cloned()).collect();
    let table = Expr::CompoundIdentifier(parts);
    if !parser.parse_keywords(&[Keyword::PARTITION, Keyword::BY]) {
        return Ok(Expr::Prefixed { prefix, value: Box::new(table) });
    }
    let keys = match parser.consume_token(&Token::LParen) {
        true => {
            let keys = parser.parse_comma_separated(Parser::parse_identifier)?;
            parser.expect_token(&Token::RParen)?;
            keys
        }
        false => vec![parser.parse_identifier()?],
    };
    let with_keys = std::iter::once(table).chain(keys.into_iter().map(Expr::Identifier)).collect();
    Ok(Expr::Prefixed { prefix, value: Box::new(Expr::Tuple(with_keys)) })
}

/// INTERVAL is a name as well: only a string or a sign after it makes it a literal.
fn is_interval(parser: &Parser) -> bool {
    matches!(parser.peek_nth_token_ref(1).token, Token::SingleQuotedString(_) | Token::Minus | Token::Plus)
        && matches!(parser.peek_nth_token_ref(2).token, Token::Word(_) | Token::SingleQuotedString(_))
}

/// `INTERVAL [+|-] '5' SECOND`, `INTERVAL '1 02:03:04.5' DAY TO SECOND`; a sign goes into the value.
fn interval(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_keyword_is(Keyword::INTERVAL)?;
    let is_negative = parser.consume_token(&Token::Minus);
    let _is_positive = !is_negative && parser.consume_token(&Token::Plus);
    let token = parser.next_token();
    let Token::SingleQuotedString(text) = token.token else {
        return parser.expected("the value of the interval in quotes", token);
    };
    let value = Expr::Value(Value::SingleQuotedString(text).with_span(token.span));
    let value = if is_negative { Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(value) } } else { value };
    let leading_field = Some(unit(parser)?);
    let leading_precision = precision(parser)?;
    let last_field = if parser.parse_keyword(Keyword::TO) { Some(unit(parser)?) } else { None };
    let fractional_seconds_precision = if last_field.is_some() { precision(parser)? } else { None };
    Ok(Expr::Interval(Interval {
        value: Box::new(value),
        leading_field,
        leading_precision,
        last_field,
        fractional_seconds_precision,
    }))
}

fn unit(parser: &mut Parser) -> Result<DateTimeField, ParserError> {
    let token = parser.next_token();
    let keyword = match &token.token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    };
    Ok(match keyword {
        Keyword::YEAR | Keyword::YEARS => DateTimeField::Year,
        Keyword::QUARTER => DateTimeField::Quarter,
        Keyword::MONTH | Keyword::MONTHS => DateTimeField::Month,
        Keyword::WEEK | Keyword::WEEKS => DateTimeField::Weeks,
        Keyword::DAY | Keyword::DAYS => DateTimeField::Day,
        Keyword::HOUR | Keyword::HOURS => DateTimeField::Hour,
        Keyword::MINUTE | Keyword::MINUTES => DateTimeField::Minute,
        Keyword::SECOND | Keyword::SECONDS => DateTimeField::Second,
        _ => return parser.expected("a unit of time (YEAR, MONTH, DAY, HOUR, MINUTE or SECOND)", token),
    })
}

/// `(3)`, or `(2, 3)` after a leading SECOND: the first number.
fn precision(parser: &mut Parser) -> Result<Option<u64>, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(None);
    }
    let digits = parser.parse_comma_separated(Parser::parse_literal_uint)?;
    parser.expect_token(&Token::RParen)?;
    Ok(digits.first().copied())
}
