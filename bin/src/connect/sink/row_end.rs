//! Where a row ends in text that was written: what a reader who went away had been given.

/// How rows are told apart in a sink's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowEnd {
    /// Every line end is the end of a row: JSON lines, or CSV without quotes.
    #[default]
    Line,
    /// A line end within these quotes is not.
    LineOutside(u8),
}

impl RowEnd {
    /// Whole rows at the start of `bytes`, which begin with a row.
    #[must_use]
    pub fn rows(self, bytes: &[u8]) -> u64 {
        match self {
            Self::Line => memchr::memchr_iter(b'\n', bytes).count() as u64,
            Self::LineOutside(quote) => {
                let mut rows = 0;
                let mut is_quoted = false;
                for place in memchr::memchr2_iter(b'\n', quote, bytes) {
                    // A quote within quotes is written twice, which changes nothing in the end.
                    if bytes[place] == quote {
                        is_quoted = !is_quoted;
                    } else if !is_quoted {
                        rows += 1;
                    }
                }
                rows
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_within_quotes_ends_no_row() {
        let text = b"1,\"a\nb\"\n2,\"say \"\"x\n\"\"\"\n3,c";
        assert_eq!(RowEnd::Line.rows(text), 4);
        assert_eq!(RowEnd::LineOutside(b'"').rows(text), 2);
        assert_eq!(RowEnd::LineOutside(b'"').rows(b""), 0);
    }
}
