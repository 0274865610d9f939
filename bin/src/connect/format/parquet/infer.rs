//! The columns of files that nobody declared.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::file::{Fault, FileBytes};
use super::options::ParquetOptions;
use super::schema::{file_fields, table_type, type_name};
use crate::error::{Error, Result};
use crate::sql::types::FlinkType;

/// The columns of a table of these files, and how it would be written: all files must have the same columns with the same
/// types, in any order.
///
/// # Errors
/// `Connector`, if the system refuses; `Data`, if a file is damaged, has a column of a type that no table has, or differs
/// from the first.
pub fn infer(paths: &[PathBuf]) -> Result<(SchemaRef, ParquetOptions)> {
    let schemas: Vec<Result<Schema>> = paths.par_iter().map(|path| infer_one(path)).collect();
    let mut files = paths.iter().zip(schemas);
    let Some((first, schema)) = files.next() else {
        return Err(Error::connector("no file to infer columns from"));
    };
    let mut fields: Vec<Field> = schema?.fields().iter().map(|field| field.as_ref().clone()).collect();
    for (path, schema) in files {
        let schema = schema?;
        let differs = |why: String| {
            Error::data(format!("`{}` does not have the columns of `{}`: {why}", path.display(), first.display()))
                .help("read files that agree, or declare the columns that all have with CREATE TABLE")
        };
        for field in &mut fields {
            let name = field.name();
            let found = schema.field_with_name(name).map_err(|_| differs(format!("it has no column `{name}`")))?;
            if !is_same_type(found.data_type(), field.data_type()) {
                let (found, wanted) = (type_name(found.data_type()), type_name(field.data_type()));
                return Err(differs(format!("column `{name}` is {found} there, and {wanted} here")));
            }
            if found.is_nullable() && !field.is_nullable() {
                *field = field.clone().with_nullable(true);
            }
        }
        if let Some(more) =
            schema.fields().iter().find(|other| !fields.iter().any(|field| field.name() == other.name()))
        {
            return Err(differs(format!("it has a column `{}` more", more.name())));
        }
    }
    Ok((Arc::new(Schema::new(fields)), ParquetOptions::default()))
}

/// Whether two types are one but for NOT NULL within them.
fn is_same_type(a: &DataType, b: &DataType) -> bool {
    type_name(a) == type_name(b)
}

fn infer_one(path: &Path) -> Result<Schema> {
    let origin = path.display();
    let damaged =
        |why: String| Error::data(format!("`{origin}`: {why}")).help("see whether it is the file that is meant");
    let bytes = FileBytes::open(path)?;
    let metadata = bytes.footer().map_err(|fault| match fault {
        Fault::Damaged(why) => damaged(why),
        Fault::Fatal(error) => error,
    })?;
    let fields = file_fields(&metadata).map_err(|why| damaged(format!("its schema cannot be read: {why}")))?;
    let mut columns: Vec<Field> = Vec::with_capacity(fields.len());
    for field in &fields {
        let name = field.name();
        let Some(data_type) = table_type(field.data_type()) else {
            let file_type = type_name(field.data_type());
            return Err(Error::data(format!("`{origin}`: column `{name}` is {file_type}, which no table can have"))
                .help("declare the other columns with CREATE TABLE: those that are not named are not read"));
        };
        if columns.iter().any(|column| column.name() == name) {
            return Err(Error::data(format!("`{origin}` has two columns `{name}`")).help("write it with other names"));
        }
        columns.push(match FlinkType::from_arrow(&data_type) {
            Ok(flink) if !data_type.is_nested() => flink.to_field(name, field.is_nullable()),
            _ => Field::new(name, data_type, field.is_nullable()),
        });
    }
    Ok(Schema::new(columns))
}
