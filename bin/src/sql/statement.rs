//! The statements, and how each is read.

use std::ops::Range;
use std::sync::Arc;

use sqlparser::ast::Query;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::create_table::CreateTable;
use super::nearest;
use super::reader::{Name, Reader};
use super::text::SqlText;
use crate::error::{Error, Result};

/// One statement, read but not yet checked against the catalog.
#[derive(Debug)]
pub struct Statement {
    /// Its place in the text, in bytes, without the semicolon.
    pub span: Range<usize>,
    pub(crate) text: Arc<SqlText>,
    pub(crate) kind: StatementKind,
}

/// What a statement does.
#[derive(Debug)]
pub(crate) enum StatementKind {
    CreateTable(Box<CreateTable>),
    CreateView(Box<CreateView>),
    Drop {
        object: Object,
        name: Name,
        if_exists: bool,
    },
    Insert(Insert),
    StatementSet(Vec<Insert>),
    /// `SET` alone shows the configuration.
    Set(Option<(Name, String)>),
    /// `RESET` alone forgets everything that was set.
    Reset(Option<Name>),
    Explain(Box<StatementKind>),
    Describe(Name),
    Show(Object),
    ShowFunctions,
    ShowCreate {
        object: Object,
        name: Name,
    },
    Query(Box<Query>, Range<usize>),
    /// It cannot be read. If it declares something, that counts as declared.
    Broken(Option<Name>),
}

/// What DROP, SHOW and SHOW CREATE speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    Table,
    View,
}

impl Object {
    /// For messages.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
        }
    }
}

/// `CREATE VIEW`.
#[derive(Debug)]
pub(crate) struct CreateView {
    pub(crate) name: Name,
    pub(crate) if_not_exists: bool,
    pub(crate) is_temporary: bool,
    pub(crate) columns: Vec<Name>,
    pub(crate) query: Box<Query>,
    pub(crate) query_span: Range<usize>,
}

/// `INSERT INTO`.
#[derive(Debug)]
pub(crate) struct Insert {
    pub(crate) table: Name,
    /// `None`: all columns, in their order.
    pub(crate) columns: Option<Vec<Name>>,
    pub(crate) query: Box<Query>,
    pub(crate) query_span: Range<usize>,
}

/// Reads one statement, without its semicolon.
///
/// # Errors
/// If it is none, or is not supported.
pub(super) fn read_statement(reader: &mut Reader) -> Result<StatementKind> {
    match (reader.keyword_at(0), reader.keyword_at(1)) {
        (Keyword::CREATE, _) => read_create(reader),
        (Keyword::DROP, _) => read_drop(reader),
        (Keyword::INSERT, _) => read_insert(reader).map(StatementKind::Insert),
        (Keyword::EXECUTE, Keyword::STATEMENT)
        | (Keyword::BEGIN, Keyword::STATEMENT)
        | (Keyword::STATEMENT, Keyword::SET) => read_statement_set(reader),
        (Keyword::EXECUTE, Keyword::INSERT) => {
            reader.next();
            read_insert(reader).map(StatementKind::Insert)
        }
        (Keyword::SET, _) => read_set(reader),
        (Keyword::RESET, _) => read_reset(reader),
        (Keyword::EXPLAIN, _) => read_explain(reader),
        (Keyword::DESCRIBE | Keyword::DESC, _) => read_describe(reader),
        (Keyword::SHOW, _) => read_show(reader),
        (Keyword::SELECT | Keyword::WITH | Keyword::VALUES, _) => read_query(reader),
        _ if reader.peek().token == Token::LParen => read_query(reader),
        _ => Err(refused_statement(reader)),
    }
}

fn read_query(reader: &mut Reader) -> Result<StatementKind> {
    let (query, span) = reader.query()?;
    Ok(StatementKind::Query(query, span))
}

/// A statement that is none, or that Flink has and Thalweg has not.
fn refused_statement(reader: &Reader) -> Error {
    const REFUSED: [(&str, &str, &str); 14] = [
        ("UPDATE", "UPDATE is not supported: rows of a source are read, not changed", "INSERT INTO another table"),
        (
            "DELETE",
            "DELETE is not supported: rows of a source are read, not changed",
            "INSERT INTO another table what is to stay",
        ),
        ("TRUNCATE", "TRUNCATE is not supported", "remove the sink's file"),
        ("MERGE", "MERGE is not supported", "INSERT INTO another table"),
        ("ALTER", "ALTER is not supported", "DROP the table and CREATE it anew"),
        ("USE", "catalogs and databases are not supported", "write the tables' names alone"),
        ("ADD", "jars are not supported", "use the built-in functions"),
        ("REMOVE", "jars are not supported", "use the built-in functions"),
        ("LOAD", "modules are not supported", "use the built-in functions"),
        ("UNLOAD", "modules are not supported", "use the built-in functions"),
        ("ANALYZE", "ANALYZE is not supported: plans do not depend on statistics", "leave it out"),
        ("COMPILE", "compiled plans are not supported", "EXPLAIN shows the plan"),
        ("CALL", "procedures are not supported", "leave it out"),
        ("STOP", "jobs are not managed in SQL", "end the process: Ctrl-C drains the job"),
    ];
    const STATEMENTS: [&str; 13] = [
        "SELECT", "CREATE", "INSERT", "SET", "RESET", "EXPLAIN", "DESCRIBE", "DESC", "SHOW", "DROP", "WITH", "VALUES",
        "EXECUTE",
    ];
    let Some(word) = reader.word_at(0) else { return reader.expected("a statement") };
    if let Some((_, reason, help)) = REFUSED.iter().find(|(refused, ..)| *refused == word) {
        return Error::statement(*reason).help(*help).at(reader.here());
    }
    let error = reader.expected("a statement");
    match nearest(&word, STATEMENTS.iter().copied()) {
        Some(near) => error.help(format!("did you mean {near}?")),
        None => error.help("statements begin with SELECT, WITH, VALUES, CREATE, DROP, INSERT, SET, RESET, EXPLAIN, DESCRIBE, SHOW or EXECUTE STATEMENT SET"),
    }
}

fn read_create(reader: &mut Reader) -> Result<StatementKind> {
    let start = reader.here();
    reader.expect(&[Keyword::CREATE])?;
    if reader.take(&[Keyword::OR, Keyword::REPLACE]) {
        return Err(Error::statement("CREATE OR REPLACE is not supported")
            .help("DROP … IF EXISTS, then CREATE")
            .at(reader.since(&start)));
    }
    let is_temporary = reader.take(&[Keyword::TEMPORARY]);
    match reader.keyword_at(0) {
        Keyword::TABLE => {
            reader.next();
            let if_not_exists = reader.take(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
            let name = reader.object_name()?;
            let table = CreateTable::read(reader, name, if_not_exists, is_temporary)?;
            Ok(StatementKind::CreateTable(Box::new(table)))
        }
        Keyword::VIEW => {
            reader.next();
            read_create_view(reader, is_temporary).map(|view| StatementKind::CreateView(Box::new(view)))
        }
        _ => Err(match reader.word_at(0).as_deref() {
            Some("FUNCTION" | "SYSTEM") => Error::statement("functions of your own are not supported")
                .help("SHOW FUNCTIONS lists the built-in ones"),
            Some("DATABASE" | "CATALOG") => {
                Error::statement("catalogs and databases are not supported").help("CREATE TABLE needs neither")
            }
            Some("MATERIALIZED") => {
                Error::statement("materialized tables are not supported").help("CREATE TABLE, then INSERT INTO it")
            }
            Some("MODEL") => Error::statement("models are not supported"),
            Some(word) => {
                let error = reader.expected("TABLE or VIEW");
                match nearest(word, ["TABLE", "VIEW", "TEMPORARY"].into_iter()) {
                    Some(near) => error.help(format!("did you mean {near}?")),
                    None => error,
                }
            }
            None => reader.expected("TABLE or VIEW"),
        }
        .at(reader.here())),
    }
}

fn read_create_view(reader: &mut Reader, is_temporary: bool) -> Result<CreateView> {
    let if_not_exists = reader.take(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = reader.object_name()?;
    let mut columns = Vec::new();
    if reader.take_token(&Token::LParen) {
        loop {
            columns.push(reader.name()?);
            reader.comment()?;
            if !reader.take_token(&Token::Comma) {
                break;
            }
        }
        reader.expect_token(&Token::RParen)?;
    }
    reader.comment()?;
    reader.expect(&[Keyword::AS])?;
    let (query, query_span) = reader.query()?;
    Ok(CreateView { name, if_not_exists, is_temporary, columns, query, query_span })
}

fn read_drop(reader: &mut Reader) -> Result<StatementKind> {
    reader.expect(&[Keyword::DROP])?;
    reader.take(&[Keyword::TEMPORARY]);
    let object = match reader.keyword_at(0) {
        Keyword::TABLE => Object::Table,
        Keyword::VIEW => Object::View,
        _ => return Err(reader.expected("TABLE or VIEW")),
    };
    reader.next();
    let if_exists = reader.take(&[Keyword::IF, Keyword::EXISTS]);
    Ok(StatementKind::Drop { object, name: reader.object_name()?, if_exists })
}

fn read_insert(reader: &mut Reader) -> Result<Insert> {
    let start = reader.here();
    reader.expect(&[Keyword::INSERT])?;
    if reader.take(&[Keyword::OVERWRITE]) {
        return Err(Error::statement("INSERT OVERWRITE is not supported")
            .help("INSERT INTO replaces a sink that is one file, and adds parts to a directory: empty that before")
            .at(reader.since(&start)));
    }
    reader.expect(&[Keyword::INTO])?;
    let table = reader.object_name()?;
    if reader.keyword_at(0) == Keyword::PARTITION {
        return Err(Error::statement("PARTITION (…) is not supported")
            .help("INSERT INTO the table as a whole; the values of the partition's columns come from the query")
            .at(reader.here()));
    }
    // A parenthesis may also begin the query.
    let is_query = matches!(reader.keyword_at(1), Keyword::SELECT | Keyword::WITH | Keyword::VALUES);
    let columns = match reader.peek().token {
        Token::LParen if !is_query && !matches!(reader.nth(1), Token::LParen) => Some(reader.names_in_parentheses()?),
        _ => None,
    };
    let (query, query_span) = reader.query()?;
    Ok(Insert { table, columns, query, query_span })
}

/// `EXECUTE STATEMENT SET BEGIN …; END`, and the SQL client's `BEGIN STATEMENT SET; …; END`.
fn read_statement_set(reader: &mut Reader) -> Result<StatementKind> {
    let start = reader.here();
    if reader.take(&[Keyword::BEGIN, Keyword::STATEMENT, Keyword::SET]) {
        reader.expect_token(&Token::SemiColon)?;
    } else {
        reader.take(&[Keyword::EXECUTE]);
        reader.expect(&[Keyword::STATEMENT, Keyword::SET, Keyword::BEGIN])?;
    }
    let mut inserts = Vec::new();
    while !reader.take(&[Keyword::END]) {
        if reader.keyword_at(0) != Keyword::INSERT {
            return Err(reader.expected("INSERT INTO or END in the statement set"));
        }
        inserts.push(read_insert(reader)?);
        if reader.keyword_at(0) != Keyword::END {
            reader.expect_token(&Token::SemiColon)?;
        }
    }
    if inserts.is_empty() {
        return Err(Error::statement("a statement set needs at least one INSERT INTO").at(reader.since(&start)));
    }
    Ok(StatementKind::StatementSet(inserts))
}

/// `SET 'k' = 'v'`, `SET k = v`.
fn read_set(reader: &mut Reader) -> Result<StatementKind> {
    reader.expect(&[Keyword::SET])?;
    if is_statement_end(reader) {
        return Ok(StatementKind::Set(None));
    }
    let key = read_key(reader, &Token::Eq)?;
    reader.expect_token(&Token::Eq)?;
    let value = read_key(reader, &Token::SemiColon)?.value;
    Ok(StatementKind::Set(Some((key, value))))
}

fn read_reset(reader: &mut Reader) -> Result<StatementKind> {
    reader.expect(&[Keyword::RESET])?;
    if is_statement_end(reader) {
        return Ok(StatementKind::Reset(None));
    }
    Ok(StatementKind::Reset(Some(read_key(reader, &Token::SemiColon)?)))
}

fn is_statement_end(reader: &Reader) -> bool {
    reader.is_end() || reader.peek().token == Token::SemiColon
}

/// A string in quotes, or everything up to `end` as it is written.
fn read_key(reader: &mut Reader, end: &Token) -> Result<Name> {
    let start = reader.here();
    if let Token::SingleQuotedString(value) = reader.peek().token.clone() {
        reader.next();
        return Ok(Name { value, span: start });
    }
    let mut value = String::new();
    while !is_statement_end(reader) && reader.peek().token != *end {
        let before = reader.since(&start).end;
        let token = reader.next();
        // `1 min` keeps its blank.
        let has_blank = !value.is_empty() && reader.place(token.span).start > before;
        value.push_str(if has_blank { " " } else { "" });
        value.push_str(&token.token.to_string());
    }
    if value.is_empty() {
        return Err(reader.expected("a key or value; the form is SET 'key' = 'value'"));
    }
    Ok(Name { value, span: reader.since(&start) })
}

fn read_explain(reader: &mut Reader) -> Result<StatementKind> {
    reader.expect(&[Keyword::EXPLAIN])?;
    let place = reader.here();
    if reader.take_word("PLAN") {
        reader.expect(&[Keyword::FOR])?;
    } else if let Some(word) = reader.word_at(0)
        && matches!(word.as_str(), "ESTIMATED_COST" | "CHANGELOG_MODE" | "JSON_EXECUTION_PLAN" | "PLAN_ADVICE")
    {
        return Err(Error::statement(format!("EXPLAIN {word} is not supported")).help("write EXPLAIN alone").at(place));
    }
    let place = reader.here();
    match read_statement(reader)? {
        kind @ (StatementKind::Query(..) | StatementKind::Insert(_) | StatementKind::StatementSet(_)) => {
            Ok(StatementKind::Explain(Box::new(kind)))
        }
        _ => Err(Error::statement("there is no plan of this statement")
            .help("EXPLAIN a query, an INSERT INTO or a statement set")
            .at(reader.since(&place))),
    }
}

fn read_describe(reader: &mut Reader) -> Result<StatementKind> {
    reader.next();
    if reader.keyword_at(0) == Keyword::EXTENDED {
        return Err(Error::statement("DESCRIBE EXTENDED is not supported")
            .help("write DESCRIBE alone")
            .at(reader.here()));
    }
    reader.take(&[Keyword::TABLE]);
    Ok(StatementKind::Describe(reader.object_name()?))
}

fn read_show(reader: &mut Reader) -> Result<StatementKind> {
    let start = reader.here();
    reader.expect(&[Keyword::SHOW])?;
    if reader.take(&[Keyword::CREATE]) {
        let object = match reader.keyword_at(0) {
            Keyword::TABLE => Object::Table,
            Keyword::VIEW => Object::View,
            _ => return Err(reader.expected("TABLE or VIEW")),
        };
        reader.next();
        return Ok(StatementKind::ShowCreate { object, name: reader.object_name()? });
    }
    let word = reader.word_at(0);
    reader.next();
    match word.as_deref() {
        Some("TABLES") => Ok(StatementKind::Show(Object::Table)),
        Some("VIEWS") => Ok(StatementKind::Show(Object::View)),
        Some("FUNCTIONS") => Ok(StatementKind::ShowFunctions),
        _ => Err(Error::statement("there is nothing of that kind to show")
            .help("SHOW TABLES, SHOW VIEWS, SHOW FUNCTIONS, SHOW CREATE TABLE t or SHOW CREATE VIEW v")
            .at(reader.since(&start))),
    }
}
