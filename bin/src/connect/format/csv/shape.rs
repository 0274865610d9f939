//! The shape of a file from its first record, which may be its header.

use std::borrow::Cow;

use super::options::{CsvOptions, Header};
use super::quoting::unquoted;
use super::table::Table;
use crate::connect::format::text::{FirstRecord, Shape, shown};
use crate::error::{Error, InputPlace, Result};

/// Finds the shape of a file from the texts of its first record's fields; `at` is the place of that record.
///
/// # Errors
/// `Data`, if the file must have a header, or has one, that does not name all requested columns once.
pub fn resolve(table: &Table, options: &CsvOptions, fields: &[&[u8]], at: &InputPlace) -> Result<FirstRecord> {
    let by_position = Shape { fields: table.schema.fields().len(), columns: table.columns.clone() };
    let dialect = options.dialect;
    let is_header = match options.header {
        Header::Absent => false,
        Header::Ignored => return Ok(FirstRecord { shape: by_position, is_header: true }),
        Header::Present => true,
        Header::Auto => {
            let names: Option<Vec<_>> = fields.iter().map(|field| unquoted(field, dialect)).collect();
            names.is_some_and(|names| says_the_columns(table, &names))
        }
    };
    if !is_header {
        return Ok(FirstRecord { shape: by_position, is_header });
    }
    let names = fields.iter().map(|field| unquoted(field, dialect).unwrap_or(Cow::Borrowed(field))).collect::<Vec<_>>();
    let columns = table.columns.iter().map(|&column| find(table.schema.field(column).name(), &names, at));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(FirstRecord { shape: Shape { fields: names.len(), columns }, is_header })
}

/// Whether a record can only be meant as a header: it names all declared columns, or nothing but declared columns.
///
/// All declared columns are looked at, not only the requested ones: what a file holds must not depend on the query.
fn says_the_columns(table: &Table, names: &[Cow<'_, [u8]>]) -> bool {
    let declared = || table.schema.fields().iter().map(|field| field.name().as_bytes());
    let names_all = declared().all(|column| names.iter().any(|name| name.eq_ignore_ascii_case(column)));
    let names_only = names.iter().enumerate().all(|(position, name)| {
        declared().any(|column| name.eq_ignore_ascii_case(column))
            && !names[..position].iter().any(|earlier| earlier.eq_ignore_ascii_case(name))
    });
    names_all || names_only
}

/// The field with a name: the one that is spelt exactly so, or else the only one that differs in case.
fn find(column: &str, names: &[Cow<'_, [u8]>], at: &InputPlace) -> Result<usize> {
    let positions = |matches: &dyn Fn(&[u8]) -> bool| -> Vec<usize> {
        (0..names.len()).filter(|&position| matches(&names[position])).collect()
    };
    let mut found = positions(&|name| name == column.as_bytes());
    if found.is_empty() {
        found = positions(&|name| name.eq_ignore_ascii_case(column.as_bytes()));
    }
    match *found {
        [position] => Ok(position),
        [] => {
            let header = names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ");
            let header: String = header.chars().take(400).collect();
            Err(Error::data_at(at.clone(), format!("the header does not name column `{column}`"))
                .help(format!("it names {header}; without a header, set 'csv.header' = 'false'")))
        }
        _ => Err(Error::data_at(at.clone(), format!("the header names column `{column}` more than once"))
            .help("rename one of them, or match by position: remove the header and set 'csv.header' = 'false'")),
    }
}
