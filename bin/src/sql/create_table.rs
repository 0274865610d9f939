//! `CREATE TABLE`, which Flink writes unlike anybody else: computed columns, METADATA, WATERMARK FOR.

use std::ops::Range;

use sqlparser::ast::{self, Expr};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::mistake;
use super::nearest;
use super::reader::{Name, Reader};
use super::type_syntax::parse_type;
use super::types::FlinkType;
use crate::error::{Error, Result};

/// The statement as it is written.
#[derive(Debug)]
pub(crate) struct CreateTable {
    pub(crate) name: Name,
    pub(crate) if_not_exists: bool,
    pub(crate) is_temporary: bool,
    pub(crate) columns: Vec<ColumnDefinition>,
    pub(crate) watermark: Option<WatermarkDefinition>,
    pub(crate) primary_key: Option<Vec<Name>>,
    pub(crate) comment: Option<String>,
    /// `PARTITIONED BY`.
    pub(crate) partitions: Vec<Name>,
    pub(crate) options: Vec<TableOption>,
}

/// One column.
#[derive(Debug)]
pub(crate) struct ColumnDefinition {
    pub(crate) name: Name,
    pub(crate) kind: ColumnKind,
    pub(crate) comment: Option<String>,
}

/// Where a column's values come from.
#[derive(Debug)]
pub(crate) enum ColumnKind {
    /// From the input.
    Physical { data_type: FlinkType, is_nullable: bool },
    /// From an expression over the physical columns.
    Computed { expression: Box<Expr>, span: Range<usize> },
    /// From the connector.
    Metadata { key: String, span: Range<usize> },
}

/// `WATERMARK FOR column AS expression`.
#[derive(Debug)]
pub(crate) struct WatermarkDefinition {
    pub(crate) column: Name,
    pub(crate) expression: Expr,
    pub(crate) span: Range<usize>,
}

/// `'key' = 'value'`.
#[derive(Debug)]
pub(crate) struct TableOption {
    pub(crate) key: Name,
    pub(crate) value: String,
    pub(crate) value_span: Range<usize>,
}

impl CreateTable {
    /// Reads what comes after the table's name.
    ///
    /// # Errors
    /// For what is not Flink's CREATE TABLE, and for clauses that are not supported.
    pub(crate) fn read(reader: &mut Reader, name: Name, if_not_exists: bool, is_temporary: bool) -> Result<Self> {
        let mut table = Self {
            name,
            if_not_exists,
            is_temporary,
            columns: Vec::new(),
            watermark: None,
            primary_key: None,
            comment: None,
            partitions: Vec::new(),
            options: Vec::new(),
        };
        if !reader.take_token(&Token::LParen) {
            return Err(without_columns(reader));
        }
        loop {
            table.read_element(reader)?;
            if !reader.take_token(&Token::Comma) {
                break;
            }
        }
        if reader.peek().token != Token::RParen {
            let error = reader.expected("`,` or `)` after the column");
            return Err(match reader.word_at(0) {
                Some(_) => error.help("columns are separated by commas: one may be missing before it"),
                None => error,
            });
        }
        reader.next();
        table.comment = reader.comment()?;
        if reader.take_word("PARTITIONED") {
            reader.expect(&[Keyword::BY])?;
            table.partitions = reader.names_in_parentheses()?;
        }
        refuse_clauses(reader)?;
        if reader.keyword_at(0) != Keyword::WITH {
            return Err(reader.expected("WITH and the table's options").help("WITH ('connector' = 'filesystem', …)"));
        }
        reader.next();
        table.read_options(reader)?;
        refuse_clauses(reader)?;
        Ok(table)
    }

    /// A column, a key or the watermark.
    fn read_element(&mut self, reader: &mut Reader) -> Result<()> {
        let start = reader.here();
        if reader.word_at(0).as_deref() == Some("WATERMARK") && reader.keyword_at(1) == Keyword::FOR {
            reader.next();
            reader.next();
            let column = reader.name()?;
            if reader.peek().token == Token::Period {
                return Err(Error::statement("a watermark over a field of a row is not supported")
                    .help("declare a computed column for it")
                    .at(reader.since(&start)));
            }
            reader.expect(&[Keyword::AS])?;
            let expression_start = reader.here();
            let expression = reader.expression()?;
            if self.watermark.is_some() {
                return Err(Error::statement("a table has at most one watermark").at(reader.since(&start)));
            }
            let span = reader.since(&expression_start);
            self.watermark = Some(WatermarkDefinition { column, expression, span });
            return Ok(());
        }
        let is_constraint = reader.take(&[Keyword::CONSTRAINT]);
        if is_constraint {
            reader.name()?;
        }
        match reader.keyword_at(0) {
            Keyword::PRIMARY if is_constraint || reader.keyword_at(1) == Keyword::KEY => {
                reader.expect(&[Keyword::PRIMARY, Keyword::KEY])?;
                let columns = reader.names_in_parentheses()?;
                return self.read_primary_key(reader, columns, &start);
            }
            Keyword::UNIQUE if is_constraint || matches!(reader.nth(1), Token::LParen) => {
                return Err(Error::statement("UNIQUE is not supported")
                    .help("PRIMARY KEY (…) NOT ENFORCED")
                    .at(reader.here()));
            }
            _ if is_constraint => return Err(reader.expected("PRIMARY KEY")),
            _ => {}
        }
        self.read_column(reader)
    }

    fn read_column(&mut self, reader: &mut Reader) -> Result<()> {
        let name = reader.declared_name()?;
        if reader.take(&[Keyword::AS]) {
            let expression_start = reader.here();
            let expression = reader.expression()?;
            let kind = ColumnKind::Computed { expression: Box::new(expression), span: reader.since(&expression_start) };
            let comment = reader.comment()?;
            self.columns.push(ColumnDefinition { name, kind, comment });
            return Ok(());
        }
        let data_type = read_type(reader)?;
        let mut is_nullable = true;
        let mut metadata = None;
        let mut comment = None;
        loop {
            let here = reader.here();
            if reader.take(&[Keyword::NOT, Keyword::NULL]) {
                is_nullable = false;
            } else if reader.take(&[Keyword::NULL]) {
                is_nullable = true;
            } else if reader.take_word("METADATA") {
                let key = if reader.take(&[Keyword::FROM]) {
                    reader.string("the metadata's key in quotes")?.0
                } else {
                    name.value.clone()
                };
                reader.take_word("VIRTUAL");
                metadata = Some((key, reader.since(&here)));
            } else if reader.take(&[Keyword::PRIMARY, Keyword::KEY]) {
                is_nullable = false;
                self.read_primary_key(reader, vec![name.clone()], &here)?;
            } else if reader.keyword_at(0) == Keyword::COMMENT {
                comment = reader.comment()?;
            } else {
                break;
            }
        }
        refuse_column_options(reader)?;
        let kind = match metadata {
            Some((key, span)) => ColumnKind::Metadata { key, span },
            None => ColumnKind::Physical { data_type, is_nullable },
        };
        self.columns.push(ColumnDefinition { name, kind, comment });
        Ok(())
    }

    fn read_primary_key(&mut self, reader: &mut Reader, columns: Vec<Name>, start: &Range<usize>) -> Result<()> {
        if !(reader.take(&[Keyword::NOT]) && reader.take_word("ENFORCED")) {
            let error = Error::statement("a primary key is not enforced: a stream's rows come and go")
                .help("PRIMARY KEY … NOT ENFORCED")
                .at(reader.since(start));
            reader.report(error);
        }
        if self.primary_key.is_some() {
            return Err(Error::statement("a table has at most one primary key").at(reader.since(start)));
        }
        self.primary_key = Some(columns);
        Ok(())
    }

    fn read_options(&mut self, reader: &mut Reader) -> Result<()> {
        reader.expect_token(&Token::LParen)?;
        while reader.peek().token != Token::RParen {
            let (key, span) = reader.string("an option's key in quotes")?;
            if self.options.iter().any(|option| option.key.value == key) {
                let error = Error::statement(format!("the option '{key}' is given twice"))
                    .help("leave one of them out")
                    .at(span.clone());
                reader.report(error);
            }
            reader.expect_token(&Token::Eq)?;
            let (value, value_span) = reader.string("the option's value in quotes")?;
            self.options.push(TableOption { key: Name { value: key, span }, value, value_span });
            if !reader.take_token(&Token::Comma) {
                break;
            }
        }
        if reader.peek().token != Token::RParen {
            return Err(reader.expected("`,` or `)` after the option"));
        }
        reader.next();
        Ok(())
    }
}

/// A type of a column.
fn read_type(reader: &mut Reader) -> Result<FlinkType> {
    let start = reader.here();
    let word = reader.word_at(0);
    let data_type = reader.parse(parse_type)?;
    let span = reader.since(&start);
    let known = FlinkType::from_ast(&data_type).map_err(|error| {
        if let Some(elsewhere) = word.as_deref().and_then(mistake::type_elsewhere) {
            return Error { help: Some(format!("Flink calls it {elsewhere}")), ..error }.at(span);
        }
        let names = [
            "BOOLEAN",
            "TINYINT",
            "SMALLINT",
            "INT",
            "BIGINT",
            "FLOAT",
            "DOUBLE",
            "DECIMAL",
            "CHAR",
            "VARCHAR",
            "STRING",
            "BINARY",
            "VARBINARY",
            "BYTES",
            "DATE",
            "TIME",
            "TIMESTAMP",
            "TIMESTAMP_LTZ",
            "ARRAY",
            "MAP",
            "ROW",
        ];
        let near = word.and_then(|word| nearest(&word, names.into_iter()).filter(|near| *near != word));
        match near {
            Some(near) if matches!(data_type, ast::DataType::Custom(..)) => {
                error.help(format!("did you mean {near}?")).at(span)
            }
            _ => error.at(span),
        }
    });
    // The rest of the statement can be read all the same.
    known.or_else(|error| {
        reader.report(error);
        Ok(FlinkType::STRING)
    })
}

fn refuse_column_options(reader: &Reader) -> Result<()> {
    let (message, help) = match reader.word_at(0).as_deref() {
        Some("DEFAULT") => ("default values are not supported", "COALESCE(column, value) in the query"),
        Some("GENERATED") => ("GENERATED is not Flink's", "`column AS expression` declares a computed column"),
        Some("UNIQUE") => ("UNIQUE is not supported", "PRIMARY KEY NOT ENFORCED"),
        Some("CHECK") => ("CHECK is not supported", "filter with WHERE"),
        Some("REFERENCES") => ("foreign keys are not supported", "leave them out"),
        _ => return Ok(()),
    };
    Err(Error::statement(message).help(help).at(reader.here()))
}

fn refuse_clauses(reader: &Reader) -> Result<()> {
    let (message, help) = match reader.word_at(0).as_deref() {
        Some("PARTITIONED") => ("PARTITIONED BY is out of place", "CREATE TABLE t (…) PARTITIONED BY (…) WITH (…)"),
        Some("DISTRIBUTED") => ("DISTRIBUTED BY is not supported", "leave it out"),
        Some("LIKE") => ("LIKE is not supported", "write the columns and options out"),
        Some("AS") => ("CREATE TABLE AS is not supported", "CREATE TABLE with columns, then INSERT INTO it"),
        _ => return Ok(()),
    };
    Err(Error::statement(message).help(help).at(reader.here()))
}

fn without_columns(reader: &Reader) -> Error {
    match refuse_clauses(reader) {
        Err(error) => error,
        Ok(()) => reader.expected("the table's columns in parentheses"),
    }
}
