//! Reads types as Flink writes them, nested ones among them: `ROW<a INT, b ARRAY<STRING NOT NULL>>`.
//!
//! The tree that comes out is the parser's own, with one convention: a type within another that may be NULL stands in
//! `Nullable`, one that is NOT NULL stands bare.

use sqlparser::ast::{ArrayElemTypeDef, DataType, ObjectName, StructBracketKind, StructField};
use sqlparser::ast::{Ident, ObjectNamePart};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::reserved::is_reserved;
use super::types::NESTING_MAX;

/// Reads a type.
///
/// # Errors
/// If what comes next is none, or it is nested too deep.
pub(crate) fn parse_type(parser: &mut Parser) -> Result<DataType, ParserError> {
    let mut reader = TypeReader { parser, open_angles: 0, depth: 0 };
    let data_type = reader.nested_type()?;
    if reader.open_angles != 0 {
        return Err(ParserError::ParserError("a `>` too many after the type".to_owned()));
    }
    Ok(data_type)
}

struct TypeReader<'p, 'a> {
    parser: &'p mut Parser<'a>,
    /// Closing angles of a `>>` that was taken whole: they end the types around.
    open_angles: usize,
    depth: usize,
}

impl TypeReader<'_, '_> {
    /// A type, and the ARRAY or MULTISET that may stand behind it.
    fn nested_type(&mut self) -> Result<DataType, ParserError> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(ParserError::ParserError(format!("a type is nested more than {NESTING_MAX} deep")));
        }
        let mut data_type = self.prefix_type()?;
        let mut arrays = 0;
        while self.open_angles == 0 && self.parser.parse_keyword(Keyword::ARRAY) {
            arrays += 1;
            if self.depth + arrays > NESTING_MAX {
                return Err(ParserError::ParserError(format!("a type is nested more than {NESTING_MAX} deep")));
            }
            data_type = DataType::Array(ArrayElemTypeDef::AngleBracket(Box::new(nullable(data_type))));
        }
        self.depth -= 1;
        Ok(data_type)
    }

    fn prefix_type(&mut self) -> Result<DataType, ParserError> {
        let is_opened = matches!(self.parser.peek_nth_token_ref(1).token, Token::Lt | Token::Neq);
        let is_in_parentheses = matches!(self.parser.peek_nth_token_ref(1).token, Token::LParen);
        match self.word().as_deref() {
            Some("ARRAY") if is_opened => {
                self.open()?;
                let element = self.type_within()?;
                self.close()?;
                Ok(DataType::Array(ArrayElemTypeDef::AngleBracket(Box::new(element))))
            }
            Some("MAP") if is_opened => {
                self.open()?;
                let key = self.type_within()?;
                self.comma()?;
                let value = self.type_within()?;
                self.close()?;
                Ok(DataType::Map(Box::new(key), Box::new(value)))
            }
            Some("ROW") if is_opened => {
                self.open()?;
                let fields = self.fields()?;
                self.close()?;
                Ok(DataType::Struct(fields, StructBracketKind::AngleBrackets))
            }
            Some("ROW") if is_in_parentheses => {
                self.parser.next_token();
                self.parser.expect_token(&Token::LParen)?;
                let fields = self.fields()?;
                self.parser.expect_token(&Token::RParen)?;
                Ok(DataType::Struct(fields, StructBracketKind::Parentheses))
            }
            // Without what is within, they are refused where the tree is read.
            Some(name @ ("ARRAY" | "MAP" | "ROW" | "MULTISET")) => {
                let name = name.to_owned();
                self.parser.next_token();
                Ok(custom(&name, Vec::new()))
            }
            Some("TIMESTAMP") => self.timestamp(),
            _ => self.parser.parse_data_type(),
        }
    }

    /// `TIMESTAMP(n) WITH LOCAL TIME ZONE` is TIMESTAMP_LTZ(n).
    fn timestamp(&mut self) -> Result<DataType, ParserError> {
        let has_digits = matches!(self.parser.peek_nth_token_ref(1).token, Token::LParen);
        let with = if has_digits { 4 } else { 1 };
        let is_keyword = |parser: &Parser<'_>, place: usize, keyword: Keyword| matches!(&parser.peek_nth_token_ref(place).token, Token::Word(word) if word.keyword == keyword);
        if !is_keyword(self.parser, with, Keyword::WITH) || !is_keyword(self.parser, with + 1, Keyword::LOCAL) {
            return self.parser.parse_data_type();
        }
        let digits = match &self.parser.peek_nth_token_ref(2).token {
            Token::Number(digits, _) if has_digits => vec![digits.clone()],
            _ => Vec::new(),
        };
        for _ in 0..with {
            self.parser.next_token();
        }
        self.parser.expect_keywords(&[Keyword::WITH, Keyword::LOCAL, Keyword::TIME, Keyword::ZONE])?;
        Ok(custom("TIMESTAMP_LTZ", digits))
    }

    fn type_within(&mut self) -> Result<DataType, ParserError> {
        let data_type = self.nested_type()?;
        if self.open_angles == 0 {
            if self.parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) {
                return Ok(data_type);
            }
            let _is_written = self.parser.parse_keyword(Keyword::NULL);
        }
        Ok(nullable(data_type))
    }

    fn fields(&mut self) -> Result<Vec<StructField>, ParserError> {
        let mut fields = Vec::new();
        loop {
            let field_name = Some(self.field_name()?);
            let field_type = self.type_within()?;
            if self.open_angles == 0 && matches!(self.parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
                // A comment.
                self.parser.next_token();
            }
            fields.push(StructField { field_name, field_type, options: None });
            if self.open_angles > 0 || !self.parser.consume_token(&Token::Comma) {
                return Ok(fields);
            }
        }
    }

    fn field_name(&mut self) -> Result<Ident, ParserError> {
        let name = self.parser.parse_identifier()?;
        if name.quote_style.is_none() && is_reserved(&name.value) {
            let (word, place) = (&name.value, name.span.start);
            return Err(ParserError::ParserError(format!(
                "Expected: an identifier for a field (a reserved word stands in back-ticks), found: {word}{place}"
            )));
        }
        Ok(name)
    }

    /// The next word, in capitals, unless it is quoted.
    fn word(&self) -> Option<String> {
        match &self.parser.peek_token_ref().token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
            _ => None,
        }
    }

    fn open(&mut self) -> Result<(), ParserError> {
        self.parser.next_token();
        self.parser.expect_token(&Token::Lt).map(drop)
    }

    fn comma(&mut self) -> Result<(), ParserError> {
        if self.open_angles > 0 {
            return self.parser.expected_ref("a comma", self.parser.get_current_token());
        }
        self.parser.expect_token(&Token::Comma).map(drop)
    }

    fn close(&mut self) -> Result<(), ParserError> {
        if self.open_angles > 0 {
            self.open_angles -= 1;
            return Ok(());
        }
        match self.parser.peek_token_ref().token {
            Token::Gt => {
                self.parser.next_token();
            }
            Token::ShiftRight => {
                self.parser.next_token();
                self.open_angles = 1;
            }
            _ => return self.parser.expected_ref("`>` after the type", self.parser.peek_token_ref()),
        }
        Ok(())
    }
}

fn nullable(data_type: DataType) -> DataType {
    DataType::Nullable(Box::new(data_type))
}

fn custom(name: &str, arguments: Vec<String>) -> DataType {
    DataType::Custom(ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]), arguments)
}
