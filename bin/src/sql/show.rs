//! Answers about the catalog and the configuration: SHOW, DESCRIBE, SET alone.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema};

use super::catalog::{Catalog, CatalogTable, ColumnSource, Entry, View, is_time_attribute};
use super::statement::Object;
use super::types::FlinkType;
use crate::error::{Error, Result};

/// A table of strings under a header.
///
/// # Errors
/// Never, unless a row is shorter than the header: a bug.
pub(crate) fn rows(header: &[&str], rows: Vec<Vec<Option<String>>>) -> Result<RecordBatch> {
    let fields: Vec<Field> = header.iter().map(|name| Field::new(*name, DataType::Utf8View, true)).collect();
    let columns = (0..header.len()).map(|column| {
        let cells = rows.iter().map(|row| row.get(column).cloned().flatten());
        Arc::new(cells.collect::<StringViewArray>()) as ArrayRef
    });
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect())
        .map_err(|error| Error::internal(error.to_string()))
}

/// SHOW TABLES lists views as well, as Flink does; SHOW VIEWS only them.
///
/// # Errors
/// Never.
pub(crate) fn show(catalog: &Catalog, object: Object) -> Result<RecordBatch> {
    let wanted = catalog.iter().filter(|(_, entry)| object == Object::Table || entry.object() == Object::View);
    let names = wanted.map(|(name, _)| vec![Some(name.to_owned())]).collect();
    rows(&[if object == Object::Table { "table name" } else { "view name" }], names)
}

/// DESCRIBE: the columns as Flink shows them.
///
/// # Errors
/// If a column has no type of Flink: a bug.
pub(crate) fn describe(entry: &Entry) -> Result<RecordBatch> {
    let header = ["name", "type", "null", "key", "extras", "watermark"];
    let mut lines = Vec::new();
    match entry {
        Entry::Table(table) => {
            for (index, column) in table.columns.iter().enumerate() {
                let watermark = table.watermark.as_ref().filter(|watermark| watermark.column == index);
                let is_key = table.primary_key.contains(&column.name);
                lines.push(vec![
                    Some(column.name.clone()),
                    Some(shown_type(column.data_type, watermark.is_some())),
                    Some(column.is_nullable.to_string().to_uppercase()),
                    is_key.then(|| format!("PRI({})", table.primary_key.join(", "))),
                    match &column.source {
                        ColumnSource::Computed { text, .. } => Some(format!("AS {text}")),
                        ColumnSource::Physical(_) => None,
                    },
                    watermark.map(|watermark| watermark.text.clone()),
                ]);
            }
        }
        Entry::View(view) => {
            for field in view.schema.fields() {
                let data_type = shown_type(FlinkType::from_field(field)?, is_time_attribute(field));
                let null = field.is_nullable().to_string().to_uppercase();
                lines.push(vec![Some(field.name().clone()), Some(data_type), Some(null), None, None, None]);
            }
        }
    }
    rows(&header, lines)
}

fn shown_type(data_type: FlinkType, is_rowtime: bool) -> String {
    if is_rowtime { format!("{data_type} *ROWTIME*") } else { data_type.to_string() }
}

/// SHOW CREATE: a statement that makes the same.
///
/// # Errors
/// If the name is of another kind.
pub(crate) fn show_create(entry: &Entry, object: Object) -> Result<RecordBatch> {
    let text = match (entry, object) {
        (Entry::Table(table), Object::Table) => create_table(table),
        (Entry::View(view), Object::View) => create_view(view),
        (entry, _) => {
            let noun = entry.object().noun();
            return Err(Error::statement(format!("it is a {noun}, not a {}", object.noun()))
                .help(format!("SHOW CREATE {}", noun.to_uppercase())));
        }
    };
    rows(&["result"], vec![vec![Some(text)]])
}

fn create_table(table: &CatalogTable) -> String {
    let mut lines = Vec::new();
    for column in &table.columns {
        let mut line = match &column.source {
            ColumnSource::Computed { text, .. } => format!("{} AS {text}", quoted(&column.name)),
            ColumnSource::Physical(_) => {
                let not_null = if column.is_nullable { "" } else { " NOT NULL" };
                format!("{} {}{not_null}", quoted(&column.name), column.data_type)
            }
        };
        if let Some(comment) = &column.comment {
            let _ = write!(line, " COMMENT {}", string(comment));
        }
        lines.push(line);
    }
    if let Some(watermark) = &table.watermark {
        let column = quoted(&table.columns[watermark.column].name);
        lines.push(format!("WATERMARK FOR {column} AS {}", watermark.text));
    }
    if !table.primary_key.is_empty() {
        let key: Vec<String> = table.primary_key.iter().map(|name| quoted(name)).collect();
        lines.push(format!("PRIMARY KEY ({}) NOT ENFORCED", key.join(", ")));
    }
    let options: Vec<String> =
        table.options.iter().map(|(key, value)| format!("  {} = {}", string(key), string(value))).collect();
    let temporary = if table.is_temporary { "TEMPORARY " } else { "" };
    let comment = table.comment.as_ref().map(|comment| format!("COMMENT {}\n", string(comment))).unwrap_or_default();
    let partitions: Vec<String> = table.table.partition_names().map(quoted).collect();
    let partitions = match &partitions[..] {
        [] => String::new(),
        names => format!("PARTITIONED BY ({})\n", names.join(", ")),
    };
    format!(
        "CREATE {temporary}TABLE {} (\n  {}\n)\n{comment}{partitions}WITH (\n{}\n)",
        quoted(&table.table.name),
        lines.join(",\n  "),
        options.join(",\n")
    )
}

fn create_view(view: &View) -> String {
    let temporary = if view.is_temporary { "TEMPORARY " } else { "" };
    let columns: Vec<String> = view.columns.iter().map(|name| quoted(name)).collect();
    let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
    format!("CREATE {temporary}VIEW {}{columns} AS\n{}", quoted(&view.name), view.text)
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
