//! Reads statements off the tokens: what is Flink's own by hand, queries and expressions with `sqlparser`.

use std::ops::Range;
use std::sync::Arc;

use sqlparser::ast::{Expr, Ident, Query};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer, Whitespace};

use super::dialect::FlinkDialect;
use super::mistake;
use super::reserved;
use super::text::SqlText;
use crate::error::{Error, Result};

/// Depth to which expressions, queries and joins may be nested.
pub(super) const DEPTH_MAX: usize = 200;

/// Operators between two commas, and queries in a UNION.
const CHAIN_MAX: usize = 1_000;

/// A name of the user's, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// As it is written, without back-ticks.
    pub(crate) value: String,
    /// Place in the text.
    pub(crate) span: Range<usize>,
}

/// A position in the tokens of a text.
pub(crate) struct Reader {
    parser: Parser<'static>,
    text: Arc<SqlText>,
    /// What is wrong and does not keep the statement from being read on.
    errors: Vec<Error>,
}

impl Reader {
    /// # Errors
    /// If the text does not fall into tokens: a string without an end, say; or if it holds a hint.
    pub(crate) fn new(text: &Arc<SqlText>) -> Result<Self> {
        let (reader, mut errors) = Self::lenient(text);
        if errors.is_empty() { Ok(reader) } else { Err(errors.swap_remove(0)) }
    }

    /// A reader of the statements ahead of the first place that is no token, and what is wrong with the tokens.
    pub(crate) fn lenient(text: &Arc<SqlText>) -> (Self, Vec<Error>) {
        let mut tokens = Vec::new();
        let mut errors = Vec::new();
        if let Err(error) = Tokenizer::new(&FlinkDialect, text.replaced()).tokenize_with_location_into_buf(&mut tokens)
        {
            errors.push(mistake::no_token(&error, &tokens, text));
            // The statement with the place is not whole.
            let whole = tokens.iter().rposition(|token| token.token == Token::SemiColon);
            tokens.truncate(whole.map_or(0, |last| last + 1));
        }
        errors.extend(refuse_hints(text, &tokens).err());
        errors.extend(refuse_double_equals(text, &tokens));
        if let Err(error) = refuse_chains(text, &tokens) {
            errors.push(error);
            // The parser must not see it: the tree would be too deep for the stack.
            tokens.clear();
        }
        let parser = Parser::new(&FlinkDialect).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens);
        (Self { parser, text: Arc::clone(text), errors: Vec::new() }, errors)
    }

    /// The next token.
    pub(crate) fn peek(&self) -> &TokenWithSpan {
        self.parser.peek_token_ref()
    }

    /// The keyword `n` tokens ahead; `NoKeyword` for anything else, quoted words included.
    pub(crate) fn keyword_at(&self, n: usize) -> Keyword {
        match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(word) if word.quote_style.is_none() => word.keyword,
            _ => Keyword::NoKeyword,
        }
    }

    /// The unquoted word `n` tokens ahead, in capitals.
    pub(crate) fn word_at(&self, n: usize) -> Option<String> {
        match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
            _ => None,
        }
    }

    /// The token `n` tokens ahead.
    pub(crate) fn nth(&self, n: usize) -> &Token {
        &self.parser.peek_nth_token_ref(n).token
    }

    pub(crate) fn is_end(&self) -> bool {
        self.peek().token == Token::EOF
    }

    /// Place of the next token.
    pub(crate) fn here(&self) -> Range<usize> {
        self.place(self.peek().span)
    }

    /// Place of a span of the parser; the end of the text where it knows none.
    pub(crate) fn place(&self, span: Span) -> Range<usize> {
        self.text.range(span).unwrap_or_else(|| {
            let end = self.text.end();
            end..end
        })
    }

    /// The unquoted word that was taken last, and its place.
    pub(crate) fn previous_word(&self) -> Option<(String, Range<usize>)> {
        let token = self.parser.get_current_token();
        match &token.token {
            Token::Word(word) if word.quote_style.is_none() => Some((word.value.clone(), self.place(token.span))),
            _ => None,
        }
    }

    /// Whether the last tokens taken are LIMIT and a number.
    pub(crate) fn follows_limit(&self) -> bool {
        let mut before = (0..self.parser.index()).rev().map(|index| &self.parser.token_at(index).token);
        before.find_map(|token| match token {
            Token::Whitespace(_) | Token::Number(..) => None,
            Token::Word(word) => Some(word.keyword == Keyword::LIMIT),
            _ => Some(false),
        }) == Some(true)
    }

    /// From `start` to the end of the last token taken.
    pub(crate) fn since(&self, start: &Range<usize>) -> Range<usize> {
        let end = self.text.range(self.parser.get_current_token().span).map_or(start.end, |range| range.end);
        start.start..end.max(start.start)
    }

    /// Takes the next token.
    pub(crate) fn next(&mut self) -> TokenWithSpan {
        self.parser.next_token()
    }

    /// Takes the keywords if they come next.
    pub(crate) fn take(&mut self, keywords: &[Keyword]) -> bool {
        self.parser.parse_keywords(keywords)
    }

    /// Takes the unquoted word if it comes next, whatever its case.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let is_next = self.word_at(0).is_some_and(|next| next == word);
        if is_next {
            self.next();
        }
        is_next
    }

    /// Takes the token if it comes next.
    pub(crate) fn take_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// Takes the keywords that must come next.
    ///
    /// # Errors
    /// If something else does.
    pub(crate) fn expect(&mut self, keywords: &[Keyword]) -> Result<()> {
        self.parse(|parser| parser.expect_keywords(keywords))
    }

    /// Takes the token that must come next.
    ///
    /// # Errors
    /// If something else does.
    pub(crate) fn expect_token(&mut self, token: &Token) -> Result<()> {
        self.parse(|parser| parser.expect_token(token).map(drop))
    }

    /// An error that says what was expected instead of the next token.
    pub(crate) fn expected(&self, what: &str) -> Error {
        let found = self.peek();
        Error::statement(format!("expected {what}, found {}", shown(&found.token))).at(self.here())
    }

    /// Lets `sqlparser` read on.
    ///
    /// # Errors
    /// If it refuses what it finds.
    pub(crate) fn parse<T>(&mut self, read: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>) -> Result<T> {
        let start = self.parser.index();
        read(&mut self.parser).map_err(|error| {
            let tokens = self.tokens_from(start);
            mistake::syntax_error(&error, &tokens, &self.text)
        })
    }

    /// The tokens of the statement from an index on, without white space.
    fn tokens_from(&self, start: usize) -> Vec<TokenWithSpan> {
        (start..)
            .map(|index| self.parser.token_at(index))
            .take_while(|token| !matches!(token.token, Token::EOF | Token::SemiColon))
            .filter(|token| !matches!(token.token, Token::Whitespace(_)))
            .cloned()
            .collect()
    }

    /// Keeps an error that the statement can be read on after.
    pub(crate) fn report(&mut self, error: Error) {
        self.errors.push(error);
    }

    /// What was [reported](Self::report) since the last time.
    pub(crate) fn take_errors(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.errors)
    }

    /// An identifier.
    ///
    /// # Errors
    /// If none comes next.
    pub(crate) fn identifier(&mut self) -> Result<Ident> {
        match self.peek().token {
            Token::Word(_) => self.parse(Parser::parse_identifier),
            _ => Err(self.expected("a name")),
        }
    }

    /// An identifier with its place.
    ///
    /// # Errors
    /// If none comes next.
    pub(crate) fn name(&mut self) -> Result<Name> {
        let ident = self.identifier()?;
        Ok(Name { span: self.place(ident.span), value: ident.value })
    }

    /// A name that is declared here. One that is reserved and not quoted is reported, and taken all the same.
    ///
    /// # Errors
    /// If none comes next.
    pub(crate) fn declared_name(&mut self) -> Result<Name> {
        let ident = self.identifier()?;
        let (is_quoted, span) = (ident.quote_style.is_some(), self.place(ident.span));
        let name = Name { value: ident.value, span };
        if let Some(error) = reserved::refused(&name).filter(|_| !is_quoted) {
            self.report(error);
        }
        Ok(name)
    }

    /// The name of a table or view. Flink's default catalog and database may be written before it.
    ///
    /// # Errors
    /// If none comes next, or it belongs to another catalog or database.
    pub(crate) fn object_name(&mut self) -> Result<Name> {
        let start = self.here();
        let mut parts = vec![self.name()?];
        while self.take_token(&Token::Period) {
            parts.push(self.name()?);
        }
        let value = object_name(&parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>());
        let span = self.since(&start);
        value.map(|value| Name { value, span: span.clone() }).map_err(|error| error.at(span))
    }

    /// `(a, b, c)`.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) fn names_in_parentheses(&mut self) -> Result<Vec<Name>> {
        self.expect_token(&Token::LParen)?;
        let mut names = vec![self.name()?];
        while self.take_token(&Token::Comma) {
            names.push(self.name()?);
        }
        self.expect_token(&Token::RParen)?;
        Ok(names)
    }

    /// A string in quotes.
    ///
    /// # Errors
    /// If none comes next.
    pub(crate) fn string(&mut self, what: &str) -> Result<(String, Range<usize>)> {
        let place = self.here();
        match self.peek().token.clone() {
            Token::SingleQuotedString(value) => {
                self.next();
                Ok((value, place))
            }
            _ => Err(self.expected(what)),
        }
    }

    /// `COMMENT 'text'`, if it comes next.
    ///
    /// # Errors
    /// If COMMENT comes without a string.
    pub(crate) fn comment(&mut self) -> Result<Option<String>> {
        if self.take(&[Keyword::COMMENT]) { Ok(Some(self.string("the comment in quotes")?.0)) } else { Ok(None) }
    }

    /// An expression.
    ///
    /// # Errors
    /// If what comes next is none.
    pub(crate) fn expression(&mut self) -> Result<Expr> {
        self.parse(Parser::parse_expr)
    }

    /// A query, and its place.
    ///
    /// # Errors
    /// If what comes next is none.
    pub(crate) fn query(&mut self) -> Result<(Box<Query>, Range<usize>)> {
        let start = self.here();
        match self.keyword_at(0) {
            Keyword::SELECT | Keyword::WITH | Keyword::VALUES => {}
            _ if self.peek().token == Token::LParen => {}
            _ => return Err(self.expected("a query (SELECT, WITH or VALUES)")),
        }
        let query = self.parse(Parser::parse_query)?;
        Ok((query, self.since(&start)))
    }

    /// Goes on behind the next semicolon, to read the rest of a text after an error. The semicolons within a statement
    /// set do not count.
    pub(crate) fn skip_statement(&mut self) {
        let mut is_first = true;
        let mut in_set = false;
        loop {
            if is_first && matches!(self.keyword_at(0), Keyword::EXECUTE | Keyword::BEGIN) {
                in_set = (0..3).any(|n| self.keyword_at(n) == Keyword::STATEMENT);
            }
            is_first = false;
            in_set &= self.keyword_at(0) != Keyword::END;
            match self.next().token {
                Token::EOF => return,
                Token::SemiColon if !in_set => return,
                _ => {}
            }
        }
    }

    /// Index of the next token, for [`Reader::rewind`].
    pub(crate) fn index(&self) -> usize {
        self.parser.index()
    }

    /// Goes back to an index.
    pub(crate) fn rewind(&mut self, index: usize) {
        while self.parser.index() > index {
            self.parser.prev_token();
        }
        // A step back passes over white space, and may go too far.
        while self.parser.index() < index && self.parser.next_token_no_skip().is_some() {}
    }
}

/// The table's own name of `catalog.database.table`.
///
/// # Errors
/// For any other catalog or database than Flink's defaults.
pub(crate) fn object_name(parts: &[&str]) -> Result<String> {
    match parts {
        [name] | ["default_database", name] | ["default_catalog", "default_database", name] => Ok((*name).to_owned()),
        [.., name] => Err(match mistake::file_without_quotes(parts) {
            Some(error) => error,
            None => Error::statement("catalogs and databases are not supported").help(format!("write `{name}` alone")),
        }),
        [] => Err(Error::internal("a name without a part")),
    }
}

/// Flink reads options from `/*+ OPTIONS(..) */`: as a comment, they would be lost in silence.
fn refuse_hints(text: &SqlText, tokens: &[TokenWithSpan]) -> Result<()> {
    for token in tokens {
        if let Token::Whitespace(Whitespace::MultiLineComment(comment)) = &token.token
            && comment.starts_with('+')
        {
            let error = Error::statement("hints are not supported")
                .help("write the options into the table's WITH, or SET 'thalweg.table.NAME.OPTION' = '…'");
            return Err(text.range(token.span).into_iter().fold(error, Error::at));
        }
    }
    Ok(())
}

/// The parser would take `==` for `=`, and Flink does not.
fn refuse_double_equals(text: &SqlText, tokens: &[TokenWithSpan]) -> impl Iterator<Item = Error> {
    tokens.iter().filter(|token| token.token == Token::DoubleEq).map(|token| {
        let error = Error::statement("the operator == is not Flink's").help("= compares: a = b");
        text.range(token.span).into_iter().fold(error, Error::at)
    })
}

/// A chain of operators is a tree as deep as it is long, however flat it looks.
fn refuse_chains(text: &SqlText, tokens: &[TokenWithSpan]) -> Result<()> {
    let (mut operators, mut unions) = (0_usize, 0_usize);
    for token in tokens {
        match &token.token {
            Token::Comma | Token::SemiColon => operators = 0,
            Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::DoubleColon => {
                operators += 1;
            }
            Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq => operators += 1,
            Token::Word(word) => match word.keyword {
                Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::IS | Keyword::LIKE | Keyword::IN => operators += 1,
                Keyword::BETWEEN | Keyword::COLLATE | Keyword::AT => operators += 1,
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => unions += 1,
                _ => {}
            },
            _ => {}
        }
        if token.token == Token::SemiColon {
            unions = 0;
        }
        if operators > CHAIN_MAX || unions > CHAIN_MAX {
            let (what, help) = if operators > CHAIN_MAX {
                (
                    "operators",
                    "IN (…) takes a list of any length; views and derived tables take a part of an expression",
                )
            } else {
                ("queries in a UNION", "take them together in views")
            };
            let error = Error::statement(format!("more than {CHAIN_MAX} {what} in one expression")).help(help);
            return Err(text.range(token.span).into_iter().fold(error, Error::at));
        }
    }
    Ok(())
}

/// A token as an error names it.
fn shown(token: &Token) -> String {
    match token {
        Token::EOF => "the end of the text".to_owned(),
        other => format!("`{other}`"),
    }
}
