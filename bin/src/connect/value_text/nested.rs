//! Arrays, maps and rows as text: `[1, 2]`, `{k=1}`, `(1, a)`.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_schema::DataType;

use super::{ColumnText, Style};

impl ColumnText<'_> {
    /// Appends the array, map or row of row `row`, which is not NULL.
    pub(super) fn nested(&self, row: usize, out: &mut String) {
        match self.array.data_type() {
            DataType::List(_) => self.elements(range(self.array.as_list::<i32>().value_offsets(), row), out),
            DataType::Map(..) => self.entries(range(self.array.as_map().value_offsets(), row), out),
            _ => self.row(row, out),
        }
    }

    /// `(a, b)`, or `+I[a, b]` where Java shows it.
    fn row(&self, row: usize, out: &mut String) {
        let (open, close) = if self.style == Style::Print { ("+I[", ']') } else { ("(", ')') };
        out.push_str(open);
        for (number, part) in self.parts.iter().enumerate() {
            out.push_str(if number > 0 { ", " } else { "" });
            part.write_or_null(row, out);
        }
        out.push(close);
    }

    /// `[a, b]`.
    fn elements(&self, rows: Range<usize>, out: &mut String) {
        out.push('[');
        for (number, row) in rows.enumerate() {
            out.push_str(if number > 0 { ", " } else { "" });
            self.parts[0].write_or_null(row, out);
        }
        out.push(']');
    }

    /// `{k=v, l=w}`.
    fn entries(&self, rows: Range<usize>, out: &mut String) {
        out.push('{');
        for (number, row) in rows.enumerate() {
            out.push_str(if number > 0 { ", " } else { "" });
            self.parts[0].write_or_null(row, out);
            out.push('=');
            self.parts[1].write_or_null(row, out);
        }
        out.push('}');
    }

    /// The value of a part.
    fn write_or_null(&self, row: usize, out: &mut String) {
        match (self.is_null(row), self.style) {
            (false, _) => self.write(row, out),
            (true, Style::Cast) => out.push_str("NULL"),
            (true, Style::Print) => out.push_str("null"),
        }
    }
}

fn range(offsets: &[i32], row: usize) -> Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
    use arrow_array::{ArrayRef, StructArray};

    use super::*;

    fn written(array: &ArrayRef, row: usize) -> [String; 2] {
        [Style::Cast, Style::Print].map(|style| {
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
        assert_eq!(written(&lists, 0), ["[1, NULL]", "[1, null]"]);
        assert_eq!(written(&lists.slice(1, 1), 0), ["[]", "[]"]);

        let mut maps = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
        maps.keys().append_value(7);
        maps.values().append_value("a\"");
        maps.append(true).unwrap();
        let maps: ArrayRef = Arc::new(maps.finish());
        assert_eq!(written(&maps, 0), ["{7=a\"}", "{7=a\"}"]);

        let field = |name: &str, array: &ArrayRef| {
            (Arc::new(arrow_schema::Field::new(name, array.data_type().clone(), true)), array.slice(0, 1))
        };
        let rows: ArrayRef = Arc::new(StructArray::from(vec![field("l", &lists), field("m", &maps)]));
        let expected = ["([1, NULL], {7=a\"})", "+I[[1, null], {7=a\"}]"];
        assert_eq!(written(&rows, 0), expected);
    }
}
