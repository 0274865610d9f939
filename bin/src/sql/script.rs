//! A text of statements: where each ends, and how to go on after one that cannot be read.

use std::sync::Arc;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::nearest;
use super::reader::{Name, Reader};
use super::statement::{Statement, StatementKind, read_statement};
use super::text::SqlText;
use crate::error::{Error, Result};

/// The statements of a text, in order.
#[derive(Debug)]
pub struct Script {
    /// Without empty ones.
    pub statements: Vec<Statement>,
}

impl IntoIterator for Script {
    type Item = Statement;
    type IntoIter = std::vec::IntoIter<Statement>;

    fn into_iter(self) -> Self::IntoIter {
        self.statements.into_iter()
    }
}

/// Reads a whole text: the statements that can be read, and what is wrong with the others.
pub(crate) fn read_script(text: &Arc<SqlText>) -> (Script, Vec<Error>) {
    let (mut reader, mut errors) = Reader::lenient(text);
    let mut statements = Vec::new();
    loop {
        while reader.take_token(&Token::SemiColon) {}
        if reader.is_end() {
            break;
        }
        let start = (reader.index(), reader.here());
        let mut statement = |kind, span| statements.push(Statement { span, text: Arc::clone(text), kind });
        let read = read_statement(&mut reader);
        let mut wrong = reader.take_errors();
        match read {
            Ok(kind) => {
                let span = reader.since(&start.1);
                match expect_end(&reader) {
                    Ok(()) if wrong.is_empty() => statement(kind, span),
                    // Where only the semicolon is missing, both statements count.
                    Err(error) if begins_statement(&reader) => {
                        wrong.push(error);
                        statement(kind, span);
                    }
                    ended => {
                        wrong.extend(ended.err());
                        statement(StatementKind::Broken(declared_name(&mut reader, start.0)), span);
                        reader.skip_statement();
                    }
                }
            }
            Err(error) => {
                wrong.push(error);
                let name = declared_name(&mut reader, start.0);
                reader.rewind(start.0);
                reader.skip_statement();
                statement(StatementKind::Broken(name), start.1.clone());
            }
        }
        errors.append(&mut wrong);
    }
    (Script { statements }, errors)
}

/// Whether what comes next begins a statement, and can hardly be anything else.
fn begins_statement(reader: &Reader) -> bool {
    matches!(
        reader.keyword_at(0),
        Keyword::SELECT | Keyword::CREATE | Keyword::INSERT | Keyword::EXPLAIN | Keyword::DROP | Keyword::DESCRIBE
    )
}

/// The name that a statement declares, as far as it can be read; the reader is left where it is.
fn declared_name(reader: &mut Reader, start: usize) -> Option<Name> {
    let here = reader.index();
    reader.rewind(start);
    let name = read_declared_name(reader);
    reader.take_errors();
    reader.rewind(here);
    name
}

fn read_declared_name(reader: &mut Reader) -> Option<Name> {
    if !reader.take(&[Keyword::CREATE]) {
        return None;
    }
    reader.take(&[Keyword::TEMPORARY]);
    if !reader.take(&[Keyword::TABLE]) && !reader.take(&[Keyword::VIEW]) {
        return None;
    }
    reader.take(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    reader.object_name().ok()
}

fn expect_end(reader: &Reader) -> Result<()> {
    if reader.is_end() || reader.peek().token == Token::SemiColon {
        return Ok(());
    }
    let error = reader.expected("the end of the statement");
    if reader.peek().token == Token::Comma && reader.follows_limit() {
        return Err(error.help("the order is LIMIT count OFFSET offset: LIMIT 10 OFFSET 5"));
    }
    // What comes after a complete statement is mostly a clause's misspelt keyword; or that keyword was taken for an alias.
    let clauses = ["WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FETCH", "UNION", "FROM", "WITH", "AS"];
    let near = |word: &str| nearest(word, clauses.iter().copied()).filter(|near| *near != word);
    if let Some((word, place)) = reader.previous_word()
        && let Some(near) = near(&word.to_uppercase())
    {
        return Err(Error::statement(format!("expected a clause, found `{word}`"))
            .help(format!("did you mean {near}?"))
            .at(place));
    }
    let Some(word) = reader.word_at(0) else { return Err(error) };
    if begins_statement(reader) {
        return Err(error.help(format!("a semicolon ends a statement: one is missing before {word}")));
    }
    Err(match (near(&word), word.as_str()) {
        (_, "MATCH_RECOGNIZE") => {
            Error::statement("MATCH_RECOGNIZE is not supported").help("aggregate with GROUP BY").at(reader.here())
        }
        (Some(near), _) => error.help(format!("did you mean {near}?")),
        // An alias has been read already, so another word needs a comma before it.
        _ => match (reader.previous_word(), &reader.peek().token) {
            (Some((before, _)), _) if before.eq_ignore_ascii_case("WHEN") => {
                error.help("the form is CASE WHEN condition THEN value ELSE value END: END may be missing")
            }
            (Some(_), Token::Word(word)) => {
                error.help(format!("a comma is missing before `{}`, or a semicolon", word.value))
            }
            _ => error.help("statements end with a semicolon"),
        },
    })
}
