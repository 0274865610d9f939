//! Arrays, maps and rows as text: `[1, 2]`, `{k=1}`, `(1, a)`; as JSON `[1,2]`, `{"k":1}`, `{"id":1,"name":"a"}`.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;

use super::{ColumnText, Style, write_json_string};

impl ColumnText<'_> {
    /// Appends the array, map or row of row `row`, which is not NULL.
    pub(super) fn nested(&self, row: usize, out: &mut String) {
        match self.array.data_type() {
            DataType::List(_) => {
                let values = self.array.as_list::<i32>().value(row);
                self.listed("[", "]", values.len(), out, |index, out| self.within(values.as_ref(), index, out));
            }
            DataType::Map(..) => {
                let entries = self.array.as_map().value(row);
                let (keys, values) = (entries.column(0), entries.column(1));
                self.listed("{", "}", entries.len(), out, |index, out| {
                    self.key(keys.as_ref(), index, out);
                    self.within(values.as_ref(), index, out);
                });
            }
            _ => {
                let columns = self.array.as_struct().columns();
                let names = self.array.as_struct().column_names();
                let (open, close) = match self.style {
                    Style::Cast => ("(", ")"),
                    Style::Print => ("+I[", "]"),
                    Style::Json => ("{", "}"),
                };
                self.listed(open, close, columns.len(), out, |field, out| {
                    if self.style == Style::Json {
                        write_json_string(names[field], out);
                        out.push(':');
                    }
                    self.within(columns[field].as_ref(), row, out);
                });
            }
        }
    }

    fn listed(
        &self,
        open: &str,
        close: &str,
        count: usize,
        out: &mut String,
        mut write: impl FnMut(usize, &mut String),
    ) {
        out.push_str(open);
        for index in 0..count {
            if index > 0 {
                out.push_str(if self.style == Style::Json { "," } else { ", " });
            }
            write(index, out);
        }
        out.push_str(close);
    }

    /// A value, or the NULL of the style.
    fn within(&self, array: &dyn Array, row: usize, out: &mut String) {
        match ColumnText::new(array, self.style) {
            Ok(column) if !ColumnText::is_null(&column, row) => column.write(row, out),
            _ => out.push_str(if self.style == Style::Cast { "NULL" } else { "null" }),
        }
    }

    /// A key and what stands behind it. JSON's keys are strings.
    fn key(&self, keys: &dyn Array, index: usize, out: &mut String) {
        if self.style != Style::Json {
            self.within(keys, index, out);
            out.push('=');
            return;
        }
        let mut key = String::new();
        self.within(keys, index, &mut key);
        if key.starts_with('"') {
            out.push_str(&key);
        } else {
            write_json_string(&key, out);
        }
        out.push(':');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
    use arrow_array::{ArrayRef, StructArray};

    use super::*;

    fn written(array: &ArrayRef, row: usize) -> [String; 3] {
        [Style::Cast, Style::Print, Style::Json].map(|style| {
            let mut out = String::new();
            ColumnText::new(array.as_ref(), style).unwrap().write(row, &mut out);
            out
        })
    }

    #[test]
    fn each_style_writes_nested_values_its_way() {
        let mut lists = ListBuilder::new(Int32Builder::new());
        lists.append_value([Some(1), None]);
        lists.append_value([] as [Option<i32>; 0]);
        let lists: ArrayRef = Arc::new(lists.finish());
        assert_eq!(written(&lists, 0), ["[1, NULL]", "[1, null]", "[1,null]"]);
        assert_eq!(written(&lists.slice(1, 1), 0), ["[]", "[]", "[]"]);

        let mut maps = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
        maps.keys().append_value(7);
        maps.values().append_value("a\"");
        maps.append(true).unwrap();
        let maps: ArrayRef = Arc::new(maps.finish());
        assert_eq!(written(&maps, 0), ["{7=a\"}", "{7=a\"}", "{\"7\":\"a\\\"\"}"]);

        let field = |name: &str, array: &ArrayRef| {
            (Arc::new(arrow_schema::Field::new(name, array.data_type().clone(), true)), array.slice(0, 1))
        };
        let rows: ArrayRef = Arc::new(StructArray::from(vec![field("l", &lists), field("m", &maps)]));
        let expected = ["([1, NULL], {7=a\"})", "+I[[1, null], {7=a\"}]", "{\"l\":[1,null],\"m\":{\"7\":\"a\\\"\"}}"];
        assert_eq!(written(&rows, 0), expected);
    }
}
