//! The shape of a file: how many fields its records have, and which of them are the requested columns.

/// What a record of one file looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Fields of each record.
    pub fields: usize,
    /// For each requested column, the field that holds it.
    pub columns: Vec<usize>,
}

/// What the first record of a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstRecord {
    /// The shape that follows from it.
    pub shape: Shape,
    /// It is the header, not a row.
    pub is_header: bool,
}

impl FirstRecord {
    /// A row like any other, of one field: what a line is to a format of lines.
    #[must_use]
    pub fn line() -> Self {
        Self { shape: Shape { fields: 1, columns: Vec::new() }, is_header: false }
    }
}
