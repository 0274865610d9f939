//! What a field says, without its quotes and escape characters.

use std::borrow::Cow;

use super::refusal::Refusal;
use crate::connect::format::text::Dialect;

/// The text of a field without its quotes; `None` if they are not well-formed.
#[must_use]
pub fn unquoted(field: &[u8], dialect: Dialect) -> Option<Cow<'_, [u8]>> {
    let is_special = |byte: &u8| dialect.quote == Some(*byte) || dialect.escape == Some(*byte);
    if !field.iter().any(is_special) {
        return Some(Cow::Borrowed(field));
    }
    let mut text = Vec::with_capacity(field.len());
    plain_text(field, dialect, &mut text).ok().map(|_| Cow::Owned(text))
}

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// In quotes.
    Quoted,
    /// Without.
    Bare,
}

/// Appends what a field says to `text`: without quotes, escaped bytes as they are meant.
///
/// # Errors
/// If quotes or escape characters are not where they may be; `text` may be longer then.
pub fn plain_text(field: &[u8], dialect: Dialect, text: &mut Vec<u8>) -> Result<Quoting, Refusal> {
    let (inner, quoting) = match field.split_first() {
        Some((first, rest)) if dialect.quote == Some(*first) => (rest, Quoting::Quoted),
        _ => (field, Quoting::Bare),
    };
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        if dialect.escape == Some(byte) {
            text.push(unescaped(bytes.next().ok_or(Refusal::Escape)?));
        } else if dialect.quote != Some(byte) {
            text.push(byte);
        } else if quoting == Quoting::Bare {
            return Err(Refusal::QuoteInside);
        } else {
            match bytes.next() {
                Some(next) if next == byte => text.push(byte),
                Some(_) => return Err(Refusal::AfterQuote),
                None => return Ok(quoting),
            }
        }
    }
    // A quoted field must have ended with its quote.
    if quoting == Quoting::Quoted { Err(Refusal::AfterQuote) } else { Ok(quoting) }
}

/// What a byte behind an escape character means, as Jackson has it, and with it Flink.
fn unescaped(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_are_taken_off() {
        let dialect = Dialect { delimiter: Some(b','), quote: Some(b'"'), escape: Some(b'\\'), comments: false };
        for (field, expected) in [
            ("", Ok(("", Quoting::Bare))),
            ("a\\,b", Ok(("a,b", Quoting::Bare))),
            (r"\n\t\0\\\x", Ok(("\n\t\0\\x", Quoting::Bare))),
            (r#"\"a"#, Ok(("\"a", Quoting::Bare))),
            (r#""a\"b""c""#, Ok(("a\"b\"c", Quoting::Quoted))),
            (r#""""#, Ok(("", Quoting::Quoted))),
            (r#""a\""#, Err(Refusal::AfterQuote)),
            (r#"""#, Err(Refusal::AfterQuote)),
            (r#"a"b"#, Err(Refusal::QuoteInside)),
            (r#""a"b"#, Err(Refusal::AfterQuote)),
            ("a\\", Err(Refusal::Escape)),
        ] {
            let mut text = Vec::new();
            let found = plain_text(field.as_bytes(), dialect, &mut text);
            let found = found.map(|quoting| (std::str::from_utf8(&text).unwrap(), quoting));
            assert_eq!(found, expected, "{field}");
        }
        assert_eq!(unquoted(b"a\\", Dialect { escape: None, ..dialect }).as_deref(), Some(&b"a\\"[..]));
    }
}
