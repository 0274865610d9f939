//! How fields of CSV are written: what stands between them, what must be quoted, what cannot be written at all.

use super::cells::Cells;
use super::options::CsvOptions;
use crate::connect::format::text::shown;
use crate::error::Error;

/// Bytes that are looked at together.
const BYTES: usize = 16;
/// Bytes that a text must not have without quotes, at most: delimiter, quote, escape, comment, and two ends of lines.
const SPECIAL: usize = 6;

/// How fields are written.
pub struct Style {
    /// Between two fields.
    pub delimiter: u8,
    quote: Option<u8>,
    /// What NULL is written as.
    pub null_literal: Vec<u8>,
    /// By byte: a text that has it must be quoted.
    needs_quotes: [bool; 256],
    /// The same bytes, each as often as bytes are looked at together.
    special: [[u8; BYTES]; SPECIAL],
    /// A number or date could have a byte that must be quoted, or could be the NULL literal.
    pub checks_values: bool,
    escape: Option<u8>,
    element_delimiter: Vec<u8>,
    /// Decimals without zeros at their end, in Java's notation.
    pub scientific_decimals: bool,
}

/// A text that would not be read as what it is.
pub enum Unwritable {
    /// It would have to be quoted, and quotes are disabled.
    Unquoted(Vec<u8>),
    /// The element of an ARRAY or field of a ROW holds their delimiter.
    Delimiter(Vec<u8>),
    /// Such an element looks like NULL, or like no element at all.
    Ambiguous(Vec<u8>),
}

impl Unwritable {
    /// The error for the column of this name.
    pub fn into_error(self, column: &str) -> Error {
        match self {
            Self::Unquoted(text) => {
                let text = shown(&text);
                Error::data(format!("{text} in column `{column}` cannot be written as CSV without quotes"))
                    .help("remove 'csv.disable-quote-character', or choose a delimiter that is not in the data")
            }
            Self::Delimiter(text) => {
                let text = shown(&text);
                Error::data(format!("{text} in column `{column}` holds the delimiter of elements"))
                    .help("choose a 'csv.array-element-delimiter' that is not in the data, or another format")
            }
            Self::Ambiguous(text) => {
                let text = shown(&text);
                Error::data(format!("the element {text} of column `{column}` would not be read as it was written"))
                    .help("set a 'csv.null-literal' that is not in the data, or choose another format, for example 'json'")
            }
        }
    }
}

impl Style {
    /// For a table with these options.
    pub fn new(options: &CsvOptions) -> Self {
        let dialect = options.dialect;
        let mut needs_quotes = [false; 256];
        // A comment starts with `#` in the first field only; elsewhere quotes do no harm.
        let comment = dialect.comments.then_some(b'#');
        let special = [Some(dialect.separator()), dialect.quote, dialect.escape, comment, Some(b'\n'), Some(b'\r')];
        for byte in special.into_iter().flatten() {
            needs_quotes[usize::from(byte)] = true;
        }
        let repeated = special.map(|byte| [byte.unwrap_or(b'\n'); BYTES]);
        let is_special = |byte: &u8| needs_quotes[usize::from(*byte)];
        let in_values =
            (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z').chain(*b"+-.: /=").any(|byte| is_special(&byte));
        let null_literal = options.null_literal.clone().unwrap_or_default().into_bytes();
        let checks_values = in_values || !null_literal.is_empty();
        Self {
            delimiter: dialect.separator(),
            quote: dialect.quote,
            null_literal,
            needs_quotes,
            special: repeated,
            checks_values,
            escape: dialect.escape,
            element_delimiter: options.element_delimiter.clone().into_bytes(),
            scientific_decimals: options.scientific_decimals,
        }
    }

    /// The text is written as it is. May be false also for one that could be.
    #[inline]
    pub fn is_plain(&self, text: &[u8]) -> bool {
        if text.is_empty() || text.len() == self.null_literal.len() {
            return false;
        }
        if let Some(last) = text.last_chunk::<BYTES>() {
            !self.has_special(last) && text.as_chunks().0.iter().all(|bytes| !self.has_special(bytes))
        } else {
            let mut bytes = [0; BYTES];
            bytes[..text.len()].copy_from_slice(text);
            !self.has_special(&bytes)
        }
    }

    /// As [`is_plain`](Self::is_plain), of the first `length` of `bytes`; the others are 0.
    #[inline]
    pub fn is_plain_short(&self, bytes: &[u8; BYTES], length: usize) -> bool {
        length != 0 && length != self.null_literal.len() && !self.has_special(bytes)
    }

    /// One of the bytes must not be in a text without quotes.
    #[inline]
    fn has_special(&self, bytes: &[u8; BYTES]) -> bool {
        let mut found = [0_u8; BYTES];
        for special in &self.special {
            for place in 0..BYTES {
                found[place] |= u8::from(bytes[place] == special[place]);
            }
        }
        u128::from_ne_bytes(found) != 0
    }

    /// Writes a string.
    pub fn text(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unwritable> {
        if self.is_plain(text) {
            out.extend_from_slice(text);
            return Ok(());
        }
        let is_special = text.iter().any(|&byte| self.needs_quotes[usize::from(byte)]);
        if !is_special && text != self.null_literal && !text.is_empty() {
            out.extend_from_slice(text);
            return Ok(());
        }
        match self.quote {
            Some(quote) => quoted(text, quote, self.escape, out),
            // An empty string reads as one even without quotes.
            None if text.is_empty() => {}
            None => match self.escape.filter(|_| text != self.null_literal) {
                Some(escape) => {
                    for &byte in text {
                        if self.needs_quotes[usize::from(byte)] {
                            out.push(escape);
                        }
                        out.push(byte);
                    }
                }
                None => return Err(Unwritable::Unquoted(text.to_vec())),
            },
        }
        Ok(())
    }

    /// Writes a value that is no string.
    pub fn value(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Unwritable> {
        let start = out.len();
        write(out);
        // No bytes at all are a value too, and not NULL.
        if self.checks_values || out.len() == start {
            let text = out.split_off(start);
            if text.is_empty() && self.quote.is_none() {
                return Err(Unwritable::Unquoted(text));
            }
            return self.text(&text, out);
        }
        Ok(())
    }

    /// Writes the elements of an ARRAY, or the fields of a ROW, as one field.
    pub fn elements<'a>(
        &self,
        cells: impl ExactSizeIterator<Item = (&'a Cells<'a>, usize)>,
        kind: Nested,
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        let (count, mut field) = (cells.len(), Vec::new());
        for (number, (cells, row)) in cells.enumerate() {
            let start = field.len();
            let (is_null, is_string) = cells.write_element(row, &self.null_literal, &mut field);
            let element = &field[start..];
            // What is not a string reads as NULL if it is empty.
            let is_literal = element == self.null_literal && !(is_string && element.is_empty());
            let reads_as_null = is_literal || (!is_string && element.is_empty());
            if is_null != reads_as_null || (count == 1 && kind == Nested::Array && element.is_empty()) {
                return Err(Unwritable::Ambiguous(element.to_vec()));
            }
            let end = field.len();
            let delimiter = if number + 1 < count { &self.element_delimiter[..] } else { &[] };
            field.extend_from_slice(delimiter);
            // The first delimiter from here on is the one behind the element, also where the two overlap.
            let found = memchr::memmem::find(&field[start..], &self.element_delimiter);
            if found != (number + 1 < count).then_some(end - start) {
                return Err(Unwritable::Delimiter(field[start..end].to_vec()));
            }
        }
        if field.is_empty() && self.quote.is_none() {
            return Err(Unwritable::Unquoted(field));
        }
        self.text(&field, out)
    }
}

/// What has elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nested {
    /// Any number of elements.
    Array,
    /// As many as it has fields.
    Row,
}

/// Quotes within the text are doubled, and so are escape characters.
fn quoted(text: &[u8], quote: u8, escape: Option<u8>, out: &mut Vec<u8>) {
    out.push(quote);
    let mut rest = text;
    while let Some(position) = memchr::memchr2(quote, escape.unwrap_or(quote), rest) {
        out.extend_from_slice(&rest[..=position]);
        out.push(rest[position]);
        rest = &rest[position + 1..];
    }
    out.extend_from_slice(rest);
    out.push(quote);
}
