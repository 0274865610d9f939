//! Which columns of a file are read for a table's, and how the types of the one become those of the other.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels, parquet_to_arrow_schema};
use parquet::basic::Type;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::SchemaDescriptor;

use super::adapt::{Column, Step};
use super::contained::contained;
use super::file::is_supported;
use crate::connect::options::nearest;
use crate::error::{Error, Result};
use crate::sql::types::FlinkType;

/// Columns that an error lists at most.
const LISTED_MAX: usize = 20;

/// The columns of a file with the Arrow types in which they are decoded: strings and bytes as views into the pages.
///
/// The Arrow schema that some writers put into the metadata is not looked at: it says how the writer had the values in
/// memory, which is of no use here, and is one more thing that can be wrong.
///
/// # Errors
/// What is wrong with the schema, in words.
pub fn file_fields(metadata: &ParquetMetaData) -> Result<Fields, String> {
    let schema = metadata.file_metadata().schema_descr();
    contained(|| {
        let plain = parquet_to_arrow_schema(schema, None)?;
        let mut leaf = 0;
        Ok::<_, parquet::errors::ParquetError>(
            plain.fields().iter().map(|field| decoded(field, schema, &mut leaf)).collect(),
        )
    })
}

/// `field` with the types that are asked of the decoder. `leaf` is the first column of values in it, and becomes the
/// first behind it.
fn decoded(field: &FieldRef, schema: &SchemaDescriptor, leaf: &mut usize) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| decoded(field, schema, leaf)).collect()),
        DataType::List(element) => DataType::List(decoded(element, schema, leaf)),
        DataType::Map(entries, is_sorted) => DataType::Map(decoded(entries, schema, leaf), *is_sorted),
        other => {
            let is_int96 = *leaf < schema.num_columns() && schema.column(*leaf).physical_type() == Type::INT96;
            *leaf += 1;
            match other {
                DataType::Utf8 => DataType::Utf8View,
                DataType::Binary => DataType::BinaryView,
                // In nanoseconds it would wrap around outside of 1677 to 2262.
                _ if is_int96 => DataType::Timestamp(TimeUnit::Microsecond, None),
                other => other.clone(),
            }
        }
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// The columns of values in a field.
fn leaves_in(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaves_in(field.data_type())).sum(),
        DataType::List(element) | DataType::Map(element, _) => leaves_in(element.data_type()),
        _ => 1,
    }
}

/// How a table's columns are read from one file.
#[derive(Debug)]
pub struct Projection {
    /// What the decoder is asked for; `None` if no column is read.
    pub levels: Option<FieldLevels>,
    /// Columns of values that are read, ascending.
    pub leaves: Vec<usize>,
    /// One for each column of the table that is read, in its order.
    pub columns: Vec<ProjectedColumn>,
}

/// One column of the table in one file.
#[derive(Debug)]
pub struct ProjectedColumn {
    /// Place in what the decoder gives.
    pub place: usize,
    /// Its columns of values.
    pub leaves: Vec<usize>,
    /// The file's field, as decoded.
    pub field: FieldRef,
    /// How it becomes the table's.
    pub column: Column,
}

impl Projection {
    /// Finds `wanted`, columns of a table, in a file: by name, or by the only one that differs in case alone.
    ///
    /// # Errors
    /// `Data`, if one is not there, or is of a type that cannot be read as the table's.
    pub fn new(origin: &str, metadata: &ParquetMetaData, fields: &Fields, wanted: &[FieldRef]) -> Result<Self> {
        let mut columns = Vec::with_capacity(wanted.len());
        let mut roots = Vec::with_capacity(wanted.len());
        let firsts = first_leaves(fields);
        for table in wanted {
            let at = |error: Mismatch| error.into_error(origin);
            let root = find(table.name(), fields).map_err(at)?;
            let mut leaves = Vec::new();
            let column = matched(&fields[root], table, table.name(), firsts[root], &mut leaves).map_err(at)?;
            check_codecs(origin, metadata, &leaves)?;
            roots.push(root);
            columns.push(ProjectedColumn { place: 0, leaves, field: Arc::clone(&fields[root]), column });
        }
        let mut order = roots.clone();
        order.sort_unstable();
        order.dedup();
        for (column, root) in columns.iter_mut().zip(&roots) {
            column.place = order.partition_point(|other| other < root);
        }
        let mut leaves: Vec<usize> = columns.iter().flat_map(|column| column.leaves.iter().copied()).collect();
        leaves.sort_unstable();
        leaves.dedup();
        let levels = match leaves.is_empty() {
            true => None,
            false => Some(Self::levels_of(metadata, fields, &leaves).map_err(|why| {
                Error::data(format!("`{origin}`: its schema is damaged: {why}")).help("write the file again")
            })?),
        };
        Ok(Self { levels, leaves, columns })
    }

    /// What the decoder is asked for to read some columns of values.
    ///
    /// # Errors
    /// What is wrong with the schema, in words.
    pub fn levels_of(metadata: &ParquetMetaData, fields: &Fields, leaves: &[usize]) -> Result<FieldLevels, String> {
        let schema = metadata.file_metadata().schema_descr();
        let mask = ProjectionMask::leaves(schema, leaves.iter().copied());
        contained(|| parquet_to_arrow_field_levels(schema, mask, Some(fields)))
    }
}

fn first_leaves(fields: &Fields) -> Vec<usize> {
    let mut next = 0;
    let firsts = fields.iter().map(|field| {
        let first = next;
        next += leaves_in(field.data_type());
        first
    });
    firsts.collect()
}

fn check_codecs(origin: &str, metadata: &ParquetMetaData, leaves: &[usize]) -> Result<()> {
    for (index, group) in metadata.row_groups().iter().enumerate() {
        for column in leaves.iter().map(|leaf| group.column(*leaf)) {
            if !is_supported(column.compression()) {
                let (name, codec) = (column.column_path().string(), column.compression());
                let codec = codec.to_string().split('(').next().unwrap_or_default().to_owned();
                return Err(Error::data(format!(
                    "`{origin}`: column `{name}` of row group {index} is compressed with {codec}, which is not read"
                ))
                .help("write the file with SNAPPY, ZSTD, GZIP, LZ4_RAW or UNCOMPRESSED"));
            }
        }
    }
    Ok(())
}

/// Why a column cannot be had from a file.
enum Mismatch {
    Missing { path: String, found: Vec<String> },
    Ambiguous { path: String, found: Vec<String> },
    Type { path: String, file: String, table: String },
}

impl Mismatch {
    fn into_error(self, origin: &str) -> Error {
        match self {
            Self::Missing { path, found } => {
                let name = path.rsplit('.').next().unwrap_or(&path);
                let names: Vec<&str> = found.iter().map(String::as_str).collect();
                let near = nearest(name, &names).map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                let listed: Vec<String> = found.iter().take(LISTED_MAX).map(|name| format!("`{name}`")).collect();
                let more = if found.len() > LISTED_MAX { ", …" } else { "" };
                Error::data(format!("`{origin}` has no column `{path}`"))
                    .help(format!("{near}there it has {}{more}", listed.join(", ")))
            }
            Self::Ambiguous { path, found } => {
                let listed: Vec<String> = found.iter().map(|name| format!("`{name}`")).collect();
                Error::data(format!("`{origin}` has no column `{path}`, but several that differ from it in case alone"))
                    .help(format!("name one of them as it is written: {}", listed.join(", ")))
            }
            Self::Type { path, file, table } => {
                let error = Error::data(format!(
                    "`{origin}`: column `{path}` is {file} in the file and cannot be read as {table}, as it is declared"
                ));
                error.help(match file.contains(' ') && !file.contains('(') {
                    true => "leave the column out of the table, or write it as another type".to_owned(),
                    false => format!("declare it as {file}, and CAST it in the query"),
                })
            }
        }
    }
}

/// The place of `name` among `fields`: as written, else the only one that differs in case alone.
fn find(name: &str, fields: &Fields) -> Result<usize, Mismatch> {
    if let Some(place) = fields.iter().position(|field| field.name() == name) {
        return Ok(place);
    }
    let lower = name.to_lowercase();
    let like: Vec<usize> = (0..fields.len()).filter(|place| fields[*place].name().to_lowercase() == lower).collect();
    let names = |places: &[usize]| places.iter().map(|place| fields[*place].name().clone()).collect();
    match like[..] {
        [place] => Ok(place),
        [] => Err(Mismatch::Missing { path: name.to_owned(), found: names(&(0..fields.len()).collect::<Vec<_>>()) }),
        _ => Err(Mismatch::Ambiguous { path: name.to_owned(), found: names(&like) }),
    }
}

/// How `file`, whose columns of values begin with `leaf`, is read as `table`; adds those that are read to `leaves`.
fn matched(
    file: &Field,
    table: &FieldRef,
    path: &str,
    leaf: usize,
    leaves: &mut Vec<usize>,
) -> Result<Column, Mismatch> {
    let step = match (file.data_type(), table.data_type()) {
        (DataType::List(from), DataType::List(to)) => {
            Step::List(Box::new(matched(from, to, &format!("{path}[]"), leaf, leaves)?))
        }
        (DataType::Struct(from), DataType::Struct(to)) => matched_row(from, to, path, leaf, leaves)?,
        (DataType::Map(from, _), DataType::Map(to, _)) => match (from.data_type(), to.data_type()) {
            (DataType::Struct(from), DataType::Struct(to)) if from.len() == 2 && to.len() == 2 => {
                let key = matched(&from[0], &to[0], &format!("{path}.key"), leaf, leaves)?;
                let value_leaf = leaf + leaves_in(from[0].data_type());
                let value = matched(&from[1], &to[1], &format!("{path}.value"), value_leaf, leaves)?;
                Step::Map(Box::new([key, value]))
            }
            _ => return Err(mismatch(file, table, path)),
        },
        (from, to) => {
            leaves.push(leaf);
            Step::of(from, to).ok_or_else(|| mismatch(file, table, path))?
        }
    };
    let file_type = type_name(file.data_type());
    Ok(Column { field: Arc::clone(table), path: path.to_owned(), file_type, step })
}

fn matched_row(from: &Fields, to: &Fields, path: &str, leaf: usize, leaves: &mut Vec<usize>) -> Result<Step, Mismatch> {
    let firsts = first_leaves(from);
    let mut found = Vec::with_capacity(to.len());
    for field in to {
        let place = find(field.name(), from).map_err(|error| match error {
            Mismatch::Missing { path: name, found } => Mismatch::Missing { path: format!("{path}.{name}"), found },
            Mismatch::Ambiguous { path: name, found } => Mismatch::Ambiguous { path: format!("{path}.{name}"), found },
            other => other,
        })?;
        let below = format!("{path}.{}", field.name());
        found.push((place, matched(&from[place], field, &below, leaf + firsts[place], leaves)?));
    }
    // The decoder leaves out what is not read.
    let mut order: Vec<usize> = found.iter().map(|(place, _)| *place).collect();
    order.sort_unstable();
    order.dedup();
    let place_of = |place: usize| order.partition_point(|other| *other < place);
    Ok(Step::Row(found.into_iter().map(|(place, column)| (place_of(place), column)).collect()))
}

fn mismatch(file: &Field, table: &Field, path: &str) -> Mismatch {
    let (file, table) = (type_name(file.data_type()), type_name(table.data_type()));
    Mismatch::Type { path: path.to_owned(), file, table }
}

/// A type in Flink's words where it has some: what to declare a column as.
#[must_use]
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::List(element) => format!("ARRAY<{}>", type_name(element.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{} {}", field.name(), type_name(field.data_type()))).collect();
            format!("ROW<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                format!("MAP<{}, {}>", type_name(fields[0].data_type()), type_name(fields[1].data_type()))
            }
            _ => "MAP".to_owned(),
        },
        DataType::Interval(_) => "INTERVAL of Parquet".to_owned(),
        other => match table_type(other) {
            Some(table) => FlinkType::from_arrow(&table).map_or_else(|_| other.to_string(), |flink| flink.to_string()),
            None => format!("{other} of Arrow"),
        },
    }
}

/// The type of a table's column that holds all values of a file's; `None` if there is none. Nested types: part by part.
#[must_use]
pub fn table_type(file: &DataType) -> Option<DataType> {
    Some(match file {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal256(precision, scale) if *precision <= 38 => DataType::Decimal128(*precision, *scale),
        DataType::FixedSizeBinary(_) => DataType::BinaryView,
        // Codes are of what they stand for.
        DataType::Dictionary(_, values) => table_type(values)?,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Null => DataType::Utf8View,
        DataType::List(element) => {
            let data_type = table_type(element.data_type())?;
            DataType::List(Arc::new(Field::new("element", data_type, element.is_nullable())))
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                Some(Arc::new(Field::new(field.name(), table_type(field.data_type())?, field.is_nullable())))
            });
            DataType::Struct(fields.collect::<Option<Fields>>()?)
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(parts) = entries.data_type() else { return None };
            let [key, value] = &parts[..] else { return None };
            let parts = vec![
                Field::new("key", table_type(key.data_type())?, false),
                Field::new("value", table_type(value.data_type())?, value.is_nullable()),
            ];
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(parts.into()), false)), false)
        }
        DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => file.clone(),
        DataType::Float32 | DataType::Float64 | DataType::Date32 => file.clone(),
        DataType::Utf8View | DataType::BinaryView | DataType::Timestamp(_, _) => file.clone(),
        DataType::Decimal128(precision, scale) if (0..=*precision as i8).contains(scale) => file.clone(),
        _ => return None,
    })
}
