//! From a CREATE TABLE, or from the schema of a file, to a table of the catalog.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_schema::{FieldRef, Schema, SchemaRef};
use datafusion_common::DFSchema;
use datafusion_expr::Expr;
use datafusion_sql::planner::PlannerContext;
use sqlparser::ast;

use super::binder::Binder;
use super::catalog::{Catalog, CatalogTable, Column, ColumnSource, Watermark, WatermarkKind};
use super::create_table::{ColumnKind, CreateTable, WatermarkDefinition};
use super::diagnostic::{place, statement_error};
use super::known_functions::KnownFunctions;
use super::nearest;
use super::reader::{Name, Reader};
use super::rewrite::rewrite_expression;
use super::table_function::fixed_interval_ms;
use super::text::SqlText;
use super::types::FlinkType;
use super::typing::{type_of, typed};
use crate::connect::Connector;
use crate::connect::bad_input::LateRows;
use crate::connect::options::OptionPart;
use crate::error::{Error, Result};
use crate::plan;

/// What a declaration is checked against.
pub(crate) struct Declaration<'a> {
    pub(crate) functions: &'a KnownFunctions,
    pub(crate) text: &'a SqlText,
}

impl Declaration<'_> {
    /// The table that a statement declares. `more` are options of the configuration, which beat the statement's.
    ///
    /// # Errors
    /// For the first thing that is wrong in the statement, at its place.
    pub(crate) fn table(
        &self,
        create: &CreateTable,
        more: impl Iterator<Item = (String, String)>,
    ) -> Result<CatalogTable> {
        let mut errors = Vec::new();
        let table = self.check(create, more, &mut errors);
        match (errors.into_iter().next(), table) {
            (None, Some(table)) => Ok(table),
            (Some(error), _) => Err(error),
            (None, None) => Err(Error::internal("a table is refused without a reason")),
        }
    }

    /// As [`table`](Self::table), but everything that is wrong goes to `errors`. There is a table all the same if its
    /// columns are right: queries can then be checked against it.
    pub(crate) fn check(
        &self,
        create: &CreateTable,
        more: impl Iterator<Item = (String, String)>,
        errors: &mut Vec<Error>,
    ) -> Option<CatalogTable> {
        let before = errors.len();
        errors.extend(same_names(create));
        let primary_key = primary_key(create, errors);
        let mut physical: Vec<FieldRef> = Vec::new();
        for definition in &create.columns {
            if let ColumnKind::Physical { data_type, is_nullable } = &definition.kind {
                let is_nullable = *is_nullable && !primary_key.contains(&definition.name.value);
                physical.push(Arc::new(data_type.to_field(definition.name.value.as_str(), is_nullable)));
            }
        }
        let schema: SchemaRef = Arc::new(Schema::new(physical));
        let options = options(create, more);
        let are_columns_right = errors.len() == before;
        let partitions = partitions(create, &schema, errors);
        let connector = connector(create, &schema, &options, &partitions, errors);
        let mut column_errors = Vec::new();
        let columns = self.columns(create, &schema, connector.as_ref(), &mut column_errors);
        let watermark = create.watermark.as_ref().map(|watermark| self.watermark(watermark, &columns));
        // What a column that is wrong does to the watermark is no error of its own.
        let watermark = match watermark.transpose() {
            Ok(watermark) => watermark,
            Err(error) => {
                if columns.len() == create.columns.len() {
                    column_errors.push(error);
                }
                None
            }
        };
        let are_columns_right = are_columns_right && column_errors.is_empty();
        errors.append(&mut column_errors);
        let connector = connector.filter(|_| are_columns_right)?;
        if let Some(policy) = connector.bad_input().filter(|_| watermark.is_none()) {
            let name = &create.name;
            let of_time = [
                ("max-future", policy.future_ms_max.is_some(), "it protects event time"),
                ("late-rows", policy.late_rows != LateRows::Drop, "without one no row is late"),
            ];
            for (option, _, why) in of_time.into_iter().filter(|(_, is_set, _)| *is_set) {
                let error = Error::statement(format!("option '{option}' of table `{}` needs a watermark", name.value))
                    .help(format!("{why}: declare WATERMARK FOR a column, or leave the option out"));
                errors.push(error.at(name.span.clone()));
            }
        }
        let fields = CatalogTable::fields(&columns, watermark.as_ref().map(|watermark| watermark.column));
        let table = Arc::new(plan::Table { name: create.name.value.clone(), schema, connector });
        Some(CatalogTable {
            table,
            columns,
            schema: fields,
            watermark,
            primary_key,
            options,
            comment: create.comment.clone(),
            is_temporary: create.is_temporary,
        })
    }

    /// The columns that are right; what is wrong with the others goes to `errors`.
    fn columns(
        &self,
        create: &CreateTable,
        schema: &SchemaRef,
        connector: Option<&Connector>,
        errors: &mut Vec<Error>,
    ) -> Vec<Column> {
        let mut columns = Vec::with_capacity(create.columns.len());
        for definition in &create.columns {
            let name = definition.name.value.clone();
            let comment = definition.comment.clone();
            match &definition.kind {
                ColumnKind::Physical { data_type, .. } => {
                    let Ok(index) = schema.index_of(&name) else { continue };
                    let is_nullable = schema.field(index).is_nullable();
                    let (data_type, source) = (*data_type, ColumnSource::Physical(index));
                    columns.push(Column { name, data_type, is_nullable, source, comment });
                }
                ColumnKind::Computed { expression, span } => match self.expression(expression, schema) {
                    Ok(typed) => {
                        let text = self.text.original(span).to_owned();
                        let source = ColumnSource::Computed { expression: typed.expr, text };
                        let (data_type, is_nullable) = (typed.data_type, typed.is_nullable);
                        columns.push(Column { name, data_type, is_nullable, source, comment });
                    }
                    Err(error) => errors.push(self.explain_computed(error, create).at(span.clone())),
                },
                ColumnKind::Metadata { key, span } => {
                    errors.extend(connector.map(|connector| no_metadata(connector, key).at(span.clone())));
                }
            }
        }
        columns
    }

    /// `WATERMARK FOR column AS expression`.
    fn watermark(&self, definition: &WatermarkDefinition, columns: &[Column]) -> Result<Watermark> {
        let WatermarkDefinition { column, expression, span } = definition;
        let index = columns.iter().position(|known| known.name == column.value).ok_or_else(|| {
            let error =
                Error::statement(format!("the watermark is for `{}`, and there is no such column", column.value));
            let error = match nearest(&column.value, columns.iter().map(|known| known.name.as_str())) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help("name the column that holds event time"),
            };
            error.at(column.span.clone())
        })?;
        let data_type = columns[index].data_type;
        if !matches!(data_type, FlinkType::Timestamp(0..=3) | FlinkType::TimestampLtz(0..=3)) {
            return Err(Error::statement(format!(
                "event time is TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3, and `{}` is {data_type}",
                column.value
            ))
            .help(match data_type {
                FlinkType::Timestamp(_) => "declare it as TIMESTAMP(3)".to_owned(),
                FlinkType::TimestampLtz(_) => "declare it as TIMESTAMP_LTZ(3)".to_owned(),
                FlinkType::BigInt => {
                    format!("add a computed column: event_time AS TO_TIMESTAMP_LTZ({}, 3)", column.value)
                }
                _ => format!("add a computed column: event_time AS TO_TIMESTAMP({})", column.value),
            })
            .at(column.span.clone()));
        }
        let text = self.text.original(span).to_owned();
        if let Some(lag_ms) = lag_ms(expression, &column.value).map_err(|error| error.at(span.clone()))? {
            return Ok(Watermark { column: index, strategy: WatermarkKind::Lag(lag_ms), text });
        }
        let schema = CatalogTable::fields(columns, None);
        let typed = self.expression(expression, &schema).map_err(|error| error.at(span.clone()))?;
        if typed.data_type.to_arrow() != data_type.to_arrow() {
            return Err(Error::statement(format!("the watermark is {}, its column is {data_type}", typed.data_type))
                .help(format!("{} - INTERVAL '5' SECOND", column.value))
                .at(span.clone()));
        }
        Ok(Watermark { column: index, strategy: WatermarkKind::Expression(typed.expr), text })
    }

    fn expression(&self, expression: &ast::Expr, schema: &SchemaRef) -> Result<Typed> {
        let rewritten = rewrite_expression(expression, self.functions, self.text)?;
        let catalog = Catalog::default();
        let binder = Binder::new(&catalog, self.functions, None);
        let schema = DFSchema::try_from(Arc::clone(schema)).map_err(|error| Error::internal(error.to_string()))?;
        let planned = binder
            .planner()
            .sql_to_expr(rewritten, &schema, &mut PlannerContext::new())
            .and_then(|expr| typed(expr, &schema))
            .and_then(|expr| {
                Ok((type_of(&expr, &schema)?, datafusion_expr::ExprSchemable::nullable(&expr, &schema)?, expr))
            });
        planned.map(|(data_type, is_nullable, expr)| Typed { expr, data_type, is_nullable }).map_err(|error| {
            let known = place(&error, self.text);
            known.into_iter().fold(statement_error(&error, self.text), Error::at)
        })
    }

    /// A computed column that names another one is an error that deserves its reason.
    fn explain_computed(&self, error: Error, create: &CreateTable) -> Error {
        let is_computed = |name: &str| {
            create
                .columns
                .iter()
                .any(|column| column.name.value == name && matches!(column.kind, ColumnKind::Computed { .. }))
        };
        match error.span.clone() {
            Some(span) if is_computed(self.text.original(&span).trim_matches('`')) => Error {
                message: "a computed column cannot use another computed column".to_owned(),
                help: Some("repeat its expression, or compute it in a view".to_owned()),
                ..error
            },
            _ => error,
        }
    }
}

/// An expression that stands alone.
struct Typed {
    expr: Expr,
    data_type: FlinkType,
    is_nullable: bool,
}

/// The table of `FROM 'file'`, with the event time that `watermark` declares.
///
/// # Errors
/// If the file's columns have no types of Flink, or the watermark does not fit.
pub(crate) fn file_table(
    path: &str,
    schema: &SchemaRef,
    connector: Connector,
    watermark: Option<&str>,
    functions: &KnownFunctions,
) -> Result<CatalogTable> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        let data_type = FlinkType::from_field(field)?;
        let source = ColumnSource::Physical(index);
        let (name, is_nullable) = (field.name().clone(), field.is_nullable());
        columns.push(Column { name, data_type, is_nullable, source, comment: None });
    }
    let watermark = match watermark {
        Some(text) => Some(file_watermark(text, &columns, functions).map_err(|error| Error {
            message: format!("--watermark \"{text}\": {}", error.message),
            span: None,
            ..error
        })?),
        None => None,
    };
    let fields = CatalogTable::fields(&columns, watermark.as_ref().map(|watermark| watermark.column));
    let table = Arc::new(plan::Table { name: path.to_owned(), schema: Arc::clone(schema), connector });
    Ok(CatalogTable {
        table,
        columns,
        schema: fields,
        watermark,
        primary_key: Vec::new(),
        options: BTreeMap::new(),
        comment: None,
        is_temporary: true,
    })
}

/// Whether the columns hold the one that `--watermark` is about; also if that cannot be read, so that it is looked at.
pub(crate) fn has_event_time(watermark: &str, schema: &SchemaRef) -> bool {
    let column = SqlText::new(watermark, &BTreeMap::new())
        .ok()
        .and_then(|text| Reader::new(&Arc::new(text)).ok()?.expression().ok())
        .and_then(|expression| first_column(&expression));
    column.is_none_or(|column| schema.index_of(&column).is_ok())
}

/// The watermark of the column that the expression begins with.
fn file_watermark(text: &str, columns: &[Column], functions: &KnownFunctions) -> Result<Watermark> {
    let text = SqlText::new(text, &BTreeMap::new()).map_err(|mut errors| errors.remove(0))?;
    let text = Arc::new(text);
    let mut reader = Reader::new(&text)?;
    let start = reader.here();
    let expression = reader.expression()?;
    let span = reader.since(&start);
    if !reader.is_end() {
        return Err(reader.expected("the end of the expression"));
    }
    let column = first_column(&expression).ok_or_else(|| {
        Error::statement("it does not begin with a column").help("--watermark \"ts - INTERVAL '5' SECOND\"")
    })?;
    let column = Name { value: column, span: span.clone() };
    Declaration { functions, text: &text }.watermark(&WatermarkDefinition { column, expression, span }, columns)
}

fn first_column(expression: &ast::Expr) -> Option<String> {
    match expression {
        ast::Expr::Identifier(name) => Some(name.value.clone()),
        ast::Expr::BinaryOp { left, .. } => first_column(left),
        ast::Expr::Nested(inner) | ast::Expr::Cast { expr: inner, .. } => first_column(inner),
        _ => None,
    }
}

/// The lag in milliseconds of `column - INTERVAL '5' SECOND`, or of the column alone.
fn lag_ms(expression: &ast::Expr, column: &str) -> Result<Option<i64>> {
    let is_column = |expr: &ast::Expr| matches!(expr, ast::Expr::Identifier(name) if name.value == column);
    match expression {
        ast::Expr::Nested(inner) => lag_ms(inner, column),
        expr if is_column(expr) => Ok(Some(0)),
        ast::Expr::BinaryOp { left, op: ast::BinaryOperator::Minus, right } if is_column(left) => {
            fixed_interval_ms(right)
        }
        _ => Ok(None),
    }
}

fn same_names(create: &CreateTable) -> impl Iterator<Item = Error> {
    let mut seen = HashSet::new();
    create.columns.iter().filter(move |column| !seen.insert(column.name.value.as_str())).map(|column| {
        Error::statement(format!("two columns are called `{}`", column.name.value))
            .help("give one of them another name")
            .at(column.name.span.clone())
    })
}

fn primary_key(create: &CreateTable, errors: &mut Vec<Error>) -> Vec<String> {
    let mut key = Vec::new();
    for name in create.primary_key.iter().flatten() {
        let column = create.columns.iter().find(|column| column.name.value == name.value);
        match column.map(|column| &column.kind) {
            Some(ColumnKind::Physical { .. }) => key.push(name.value.clone()),
            Some(_) => errors.push(
                Error::statement(format!("`{}` is not a physical column", name.value))
                    .help("a primary key is made of physical columns")
                    .at(name.span.clone()),
            ),
            None => {
                let error = Error::statement(format!("there is no column `{}`", name.value)).at(name.span.clone());
                let names = create.columns.iter().map(|column| column.name.value.as_str());
                errors.push(match nearest(&name.value, names) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help("a primary key is made of the table's physical columns"),
                });
            }
        }
    }
    key
}

/// The options of the statement, and those of the configuration, which beat them.
fn options(create: &CreateTable, more: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let written = create.options.iter().map(|option| (option.key.value.clone(), option.value.clone()));
    written.chain(more).collect()
}

/// The columns of PARTITIONED BY, as positions in `schema`.
fn partitions(create: &CreateTable, schema: &SchemaRef, errors: &mut Vec<Error>) -> Vec<usize> {
    let mut columns = Vec::with_capacity(create.partitions.len());
    for name in &create.partitions {
        let Ok(column) = schema.index_of(&name.value) else {
            let is_column = create.columns.iter().any(|column| column.name.value == name.value);
            let names = schema.fields().iter().map(|field| field.name().as_str());
            errors.push(
                match (is_column, nearest(&name.value, names)) {
                    (true, _) => Error::statement(format!("`{}` is computed, and a partition is not", name.value))
                        .help("partition by columns that hold rows' own values"),
                    (false, Some(near)) => Error::statement(format!("there is no column `{}`", name.value))
                        .help(format!("did you mean `{near}`?")),
                    (false, None) => Error::statement(format!("there is no column `{}`", name.value))
                        .help("declare it among the table's columns, with its type"),
                }
                .at(name.span.clone()),
            );
            continue;
        };
        if columns.contains(&column) {
            errors.push(
                Error::statement(format!("`{}` is twice in PARTITIONED BY", name.value))
                    .help("leave one of them out")
                    .at(name.span.clone()),
            );
            continue;
        }
        columns.push(column);
    }
    columns
}

/// The connector. An option that is wrong goes to `errors`, and the rest is read as if it were not there.
fn connector(
    create: &CreateTable,
    schema: &SchemaRef,
    options: &BTreeMap<String, String>,
    partitions: &[usize],
    errors: &mut Vec<Error>,
) -> Option<Connector> {
    let mut options = options.clone();
    let before = errors.len();
    loop {
        let place = |key: &str, part: OptionPart| {
            let option = create.options.iter().find(|option| option.key.value == key)?;
            // What the configuration set instead is not in the statement.
            (options.get(key) == Some(&option.value)).then(|| match part {
                OptionPart::Name => option.key.span.clone(),
                OptionPart::Value => option.value_span.clone(),
            })
        };
        let error = match Connector::new_at(&create.name.value, schema, &options, partitions, &place) {
            Ok(connector) => return Some(connector),
            Err(error) => error,
        };
        let blamed = create.options.iter().find(|option| {
            let spans = [Some(&option.key.span), Some(&option.value_span)];
            spans.contains(&error.span.as_ref())
        });
        match blamed {
            Some(option) if options.remove(&option.key.value).is_some() => errors.push(error),
            // An option that is missing: because it was wrong, if one was.
            _ => {
                if errors.len() == before {
                    errors.push(error.at(create.name.span.clone()));
                }
                return None;
            }
        }
    }
}

fn no_metadata(connector: &Connector, key: &str) -> Error {
    Error::statement(format!("the connector '{}' has no metadata '{key}'", connector.name()))
        .help("leave the column out, or make it a physical column of the input")
}
