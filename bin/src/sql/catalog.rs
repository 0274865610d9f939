//! Tables and views by name.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion_expr::{Expr, TableSource};

use super::rewrite::Rewritten;
use super::statement::Object;
use super::types::FlinkType;
use super::{nearest, reader::Name};
use crate::error::{Error, Result};
use crate::plan;

/// Metadata key of a field that is a time attribute.
pub(crate) const TIME_KEY: &str = "thalweg.time";
/// Its value for event time.
pub(crate) const ROWTIME: &str = "rowtime";

/// Whether a field is an event-time attribute.
pub(crate) fn is_time_attribute(field: &Field) -> bool {
    // Metadata survives where a function changes the type: only such a time counts.
    matches!(field.data_type(), DataType::Timestamp(TimeUnit::Millisecond, _))
        && field.metadata().get(TIME_KEY).is_some_and(|kind| kind == ROWTIME)
}

/// The same field as an event-time attribute.
pub(crate) fn as_time_attribute(field: Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(TIME_KEY.to_owned(), ROWTIME.to_owned());
    field.with_metadata(metadata)
}

/// A table as queries see it.
#[derive(Debug)]
pub(crate) struct CatalogTable {
    /// The table as connectors see it.
    pub(crate) table: Arc<plan::Table>,
    /// All columns in declared order.
    pub(crate) columns: Vec<Column>,
    /// The same as fields, with time attributes marked.
    pub(crate) schema: SchemaRef,
    pub(crate) watermark: Option<Watermark>,
    pub(crate) primary_key: Vec<String>,
    /// As they were given, `connector` among them.
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) comment: Option<String>,
    pub(crate) is_temporary: bool,
}

/// A column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) data_type: FlinkType,
    pub(crate) is_nullable: bool,
    pub(crate) source: ColumnSource,
    pub(crate) comment: Option<String>,
}

/// Where a column's values come from.
#[derive(Debug)]
pub(crate) enum ColumnSource {
    /// The physical column of this index.
    Physical(usize),
    /// An expression over the physical columns, and its text.
    Computed { expression: Expr, text: String },
}

/// `WATERMARK FOR`.
#[derive(Debug)]
pub(crate) struct Watermark {
    /// Index among all columns.
    pub(crate) column: usize,
    pub(crate) strategy: WatermarkKind,
    /// The expression as it is written.
    pub(crate) text: String,
}

/// How the watermark follows from the row.
#[derive(Debug)]
pub(crate) enum WatermarkKind {
    /// Event time less so many milliseconds.
    Lag(i64),
    /// An expression over all columns.
    Expression(Expr),
}

impl CatalogTable {
    /// The fields of `columns`; the one of the watermark is a time attribute.
    pub(crate) fn fields(columns: &[Column], watermark: Option<usize>) -> SchemaRef {
        let field = |(index, column): (usize, &Column)| {
            let field = column.data_type.to_field(column.name.as_str(), column.is_nullable);
            Arc::new(if watermark == Some(index) { as_time_attribute(field) } else { field })
        };
        Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<FieldRef>>()))
    }
}

impl TableSource for CatalogTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A view: a query that is planned anew wherever it is used.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) name: String,
    /// Names of its columns, where the view gives them.
    pub(crate) columns: Vec<String>,
    pub(crate) query: Rewritten,
    /// The query as it is written.
    pub(crate) text: String,
    pub(crate) is_temporary: bool,
    /// Its columns when it was made.
    pub(crate) schema: SchemaRef,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Table(Arc<CatalogTable>),
    View(Arc<View>),
}

impl Entry {
    pub(crate) fn object(&self) -> Object {
        match self {
            Self::Table(_) => Object::Table,
            Self::View(_) => Object::View,
        }
    }
}

/// Tables and views; they share their names.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    entries: BTreeMap<String, Entry>,
}

impl Catalog {
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Whether a new table or view of that name may be made; `false` if there is one and that is accepted.
    ///
    /// # Errors
    /// If there is one and that is not accepted.
    pub(crate) fn is_free(&self, name: &Name, if_not_exists: bool) -> Result<bool> {
        match self.entries.get(&name.value) {
            None => Ok(true),
            Some(_) if if_not_exists => Ok(false),
            Some(entry) => {
                let noun = entry.object().noun();
                Err(Error::statement(format!("there is a {noun} `{}` already", name.value))
                    .help(format!("write IF NOT EXISTS, or DROP {} first", noun.to_uppercase()))
                    .at(name.span.clone()))
            }
        }
    }

    pub(crate) fn insert(&mut self, name: String, entry: Entry) {
        self.entries.insert(name, entry);
    }

    /// Forgets a table or view.
    ///
    /// # Errors
    /// If there is none of that kind, unless that is accepted.
    pub(crate) fn remove(&mut self, object: Object, name: &Name, if_exists: bool) -> Result<()> {
        match self.entries.get(&name.value).map(Entry::object) {
            Some(found) if found == object => {
                self.entries.remove(&name.value);
                Ok(())
            }
            Some(found) => {
                Err(Error::statement(format!("`{}` is a {}, not a {}", name.value, found.noun(), object.noun()))
                    .help(format!("DROP {}", found.noun().to_uppercase()))
                    .at(name.span.clone()))
            }
            None if if_exists => Ok(()),
            None => Err(self.unknown(&name.value, object.noun(), std::iter::empty(), name.span.clone())),
        }
    }

    /// The error for a name that stands for nothing; `more` are names known besides the catalog's.
    pub(crate) fn unknown<'a>(
        &'a self,
        name: &str,
        noun: &str,
        more: impl Iterator<Item = &'a str>,
        place: Range<usize>,
    ) -> Error {
        let error = Error::statement(format!("there is no {noun} `{name}`")).at(place);
        let mut known: Vec<&str> = self.names().chain(more).collect();
        known.sort_unstable();
        if let Some(near) = nearest(name, known.iter().copied()) {
            return error.help(format!("did you mean `{near}`?"));
        }
        match &known[..] {
            [] => error.help("CREATE TABLE makes one; FROM 'file.csv' reads a file without"),
            known => error.help(format!("there are {}", list(known))),
        }
    }
}

/// `a`, `b` and 3 more.
pub(crate) fn list(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let quoted: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}
