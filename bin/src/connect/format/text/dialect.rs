//! What separates fields and records.

/// What separates fields and records. All of it is ASCII; records end with LF or CR LF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Stands between the fields of a record; none where a record is a line as a whole.
    pub delimiter: Option<u8>,
    /// Opens and closes text in which nothing separates; none if quotes mean nothing.
    pub quote: Option<u8>,
    /// Takes the meaning of the byte behind it; none if nothing does.
    pub escape: Option<u8>,
    /// Records that start with `#` are left out.
    pub comments: bool,
}

impl Dialect {
    /// Records are lines, whatever is in them.
    pub const LINES: Self = Self { delimiter: None, quote: None, escape: None, comments: false };

    /// A byte that always separates: the delimiter, or the newline where there is none.
    #[must_use]
    pub fn separator(self) -> u8 {
        self.delimiter.unwrap_or(b'\n')
    }
}
