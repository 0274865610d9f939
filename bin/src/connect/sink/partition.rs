//! Partitions: rows told apart by the values of columns, which are in the path and not in the file: `day=1/city=Rome/`.
//!
//! Names are escaped as Flink and Hive do it, so that any value is one name of a directory: what a path or a shell would
//! take amiss is written as `%` and two hexadecimal digits.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::{DataType, SchemaRef};
use arrow_select::take::take_record_batch;

use crate::connect::value_text::{ColumnText, Style};
use crate::error::{Error, Result};

/// Which columns are in the path, and which in the file.
pub struct Partitioning {
    /// By partition column: its index in the table, and its escaped name with `=`.
    keys: Vec<(usize, String)>,
    /// The columns of the file, as indices in the table.
    rest: Vec<usize>,
    default_name: String,
}

/// Checks that these columns of `schema` can be in a path, and gives those that are left for the file.
///
/// # Errors
/// `Statement`, if a column's values have no name, or none is left.
pub fn partition_columns(schema: &SchemaRef, partitions: &[usize]) -> Result<Vec<usize>> {
    for &column in partitions {
        let field = schema.field(column);
        if field.data_type().is_nested() || is_bytes(field.data_type()) {
            return Err(Error::statement(format!(
                "`{}` cannot name a partition: its values have no text",
                field.name()
            ))
            .help("partition by a column of characters, numbers, dates or times"));
        }
    }
    let rest: Vec<usize> = (0..schema.fields().len()).filter(|column| !partitions.contains(column)).collect();
    if rest.is_empty() && !partitions.is_empty() {
        return Err(Error::statement("every column is in PARTITIONED BY, and none is left for the files")
            .help("leave out one of them"));
    }
    Ok(rest)
}

impl Partitioning {
    /// For rows of `schema`, partitioned by these columns.
    ///
    /// # Errors
    /// As [`partition_columns`].
    pub fn new(schema: &SchemaRef, partitions: &[usize], default_name: &str) -> Result<Self> {
        let rest = partition_columns(schema, partitions)?;
        let key = |&column: &usize| {
            let mut name = String::new();
            escape(schema.field(column).name(), &mut name);
            name.push('=');
            (column, name)
        };
        Ok(Self { keys: partitions.iter().map(key).collect(), rest, default_name: default_name.to_owned() })
    }

    /// The columns of a file.
    ///
    /// # Errors
    /// `Internal`, if `schema` is another one than that of `new`.
    pub fn file_schema(&self, schema: &SchemaRef) -> Result<SchemaRef> {
        schema.project(&self.rest).map(Arc::new).map_err(|error| Error::internal(error.to_string()))
    }

    /// The rows of each partition in `batch`, in the order in which they first appear, with the partition's path.
    ///
    /// # Errors
    /// `Internal`, if `batch` has other columns than the table.
    pub fn split(&self, batch: &RecordBatch) -> Result<Vec<(String, RecordBatch)>> {
        let internal = |error: arrow_schema::ArrowError| Error::internal(error.to_string());
        let texts = self.keys.iter().map(|(column, _)| ColumnText::new(batch.column(*column).as_ref(), Style::Print));
        let texts: Vec<ColumnText<'_>> = texts.collect::<Result<_>>()?;
        let file = batch.project(&self.rest).map_err(internal)?;
        let mut partitions: Vec<(String, Vec<u32>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let (mut last, mut path, mut value) = (0, String::new(), String::new());
        for row in 0..batch.num_rows() {
            self.path(&texts, row, &mut value, &mut path);
            // Rows of one partition often come together.
            if partitions.get(last).is_none_or(|(found, _)| *found != path) {
                last = *known.entry(path.clone()).or_insert_with(|| {
                    partitions.push((path.clone(), Vec::new()));
                    partitions.len() - 1
                });
            }
            partitions[last].1.push(row as u32);
        }
        let one = |(path, rows): (String, Vec<u32>)| {
            let rows = match rows.len() == file.num_rows() {
                true => file.clone(),
                false => take_record_batch(&file, &UInt32Array::from(rows)).map_err(internal)?,
            };
            Ok((path, rows))
        };
        partitions.into_iter().map(one).collect()
    }

    fn path(&self, texts: &[ColumnText<'_>], row: usize, value: &mut String, path: &mut String) {
        path.clear();
        for ((_, name), text) in self.keys.iter().zip(texts) {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(name);
            value.clear();
            if !text.is_null(row) {
                text.write(row, value);
            }
            escape(if value.is_empty() { &self.default_name } else { value }, path);
        }
    }
}

fn is_bytes(data_type: &DataType) -> bool {
    use DataType as D;
    matches!(data_type, D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_))
}

/// Appends `text` as a name of a directory.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        if character.is_ascii_control() || "\"#%'*/:=?\\{}[]^".contains(character) {
            const HEXADECIMAL: &[u8; 16] = b"0123456789ABCDEF";
            let code = character as usize;
            out.push('%');
            out.push(char::from(HEXADECIMAL[code >> 4]));
            out.push(char::from(HEXADECIMAL[code & 15]));
        } else {
            out.push(character);
        }
    }
}

/// The text that a name of a directory stands for: a `%` without two hexadecimal digits stands for itself, as in Flink.
/// `None` if it is not UTF-8.
#[must_use]
pub fn unescape(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while place < bytes.len() {
        let code = bytes.get(place + 1..place + 3).and_then(|digits| {
            let is_code = bytes[place] == b'%' && digits.iter().all(u8::is_ascii_hexdigit);
            let digits = std::str::from_utf8(digits).ok().filter(|_| is_code)?;
            u8::from_str_radix(digits, 16).ok()
        });
        out.push(code.unwrap_or(bytes[place]));
        place += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Array, Date32Array, Int64Array, StringViewArray};
    use arrow_schema::{Field, Schema};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_escaped_as_flink_does_it() {
        for (text, name) in [
            ("a b", "a b"),
            ("10:30/x", "10%3A30%2Fx"),
            ("50%", "50%25"),
            ("ü\u{1}\u{7f}", "ü%01%7F"),
            ("[a]{b}^'\"#*=?\\", "%5Ba%5D%7Bb%7D%5E%27%22%23%2A%3D%3F%5C"),
            ("..", ".."),
        ] {
            let mut escaped = String::new();
            escape(text, &mut escaped);
            assert_eq!(escaped, name);
            assert_eq!(unescape(&escaped).as_deref(), Some(text));
        }
        assert_eq!(unescape("a%zz%4").as_deref(), Some("a%zz%4"));
        assert_eq!(unescape("%FF"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_one_name_and_comes_back(text in any::<String>()) {
            let mut name = String::new();
            escape(&text, &mut name);
            prop_assert!(!name.contains(['/', '\0', '=']));
            prop_assert_eq!(unescape(&name), Some(text));
        }
    }

    #[test]
    fn rows_go_to_their_partitions_without_the_columns_of_the_path() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("city", DataType::Utf8View, true),
            Field::new("day", DataType::Date32, true),
        ]));
        let columns: Vec<Arc<dyn Array>> = vec![
            Arc::new(Int64Array::from(vec![1, 2, 3, 4])),
            Arc::new(StringViewArray::from(vec![Some("a/b"), None, Some("a/b"), Some("")])),
            Arc::new(Date32Array::from(vec![0, 0, 0, 0])),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let partitioning = Partitioning::new(&schema, &[2, 1], "none").unwrap();
        let split = partitioning.split(&batch).unwrap();
        let shown: Vec<(&str, Vec<i64>)> = split
            .iter()
            .map(|(path, rows)| (path.as_str(), rows.column(0).as_primitive::<Int64Type>().values().to_vec()))
            .collect();
        assert_eq!(shown, [("day=1970-01-01/city=a%2Fb", vec![1, 3]), ("day=1970-01-01/city=none", vec![2, 4])]);
        assert_eq!(split[0].1.schema(), partitioning.file_schema(&schema).unwrap());
        assert!(Partitioning::new(&schema, &[0, 1, 2], "none").is_err(), "nothing is left for the files");
    }
}
