//! The grammar of JSON (RFC 8259) over the bytes of one line: what is a string, a number, a value, and where it is not.
//!
//! The bytes are UTF-8, which the caller has seen to. Nothing here knows of columns: a value that nobody reads is checked
//! as strictly as one that is read, so that whether a line is accepted does not depend on which columns a query asks for.

/// Deepest nesting of objects and arrays, the object that is the record included.
pub const DEPTH_MAX: u32 = 128;

/// Where and how a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Position of the fault in the text.
    pub at: usize,
    /// What it is.
    pub fault: SyntaxFault,
}

/// How a text can fail to be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxFault {
    /// Not the start of any value.
    NoValue,
    /// `'` where a string should start.
    SingleQuote,
    /// `//`, `/*` or `#`.
    Comment,
    /// Neither `true`, `false` nor `null`, but a word: also `NaN` and `Infinity`.
    Word,
    /// A key that is not a string.
    NoKey,
    /// No `:` behind a key.
    NoColon,
    /// Neither `,` nor `}` behind a field.
    NoCommaInObject,
    /// Neither `,` nor `]` behind an element.
    NoCommaInArray,
    /// A `,` before a closing bracket.
    TrailingComma,
    /// The line ends in the middle of a value.
    End,
    /// The line ends in the middle of a string.
    EndInString,
    /// A control character in a string.
    Control,
    /// A backslash before what it cannot stand before.
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
    /// A number that starts with a superfluous 0.
    LeadingZero,
    /// A number that starts with `+` or `.`.
    NumberStart,
    /// Digits are missing: behind `-`, `.` or `e`.
    NoDigit,
    /// Text behind the record.
    Trailing,
    /// The record is JSON, but not an object.
    NoObject,
    /// More than [`DEPTH_MAX`] brackets are open.
    TooDeep,
}

/// A string: what is between its quotes, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// First byte behind the opening quote.
    pub start: usize,
    /// The closing quote.
    pub end: usize,
    /// There are escapes in it.
    pub has_escapes: bool,
}

/// A number, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// It has neither a fraction nor an exponent.
    pub is_whole: bool,
}

/// A place in a text that is read from front to back.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    /// The text ends with the line; what is before the line is never looked at.
    text: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Scanner<'a> {
    /// A scanner of what is from `start` on; positions are those of `text`.
    #[must_use]
    pub fn new(text: &'a [u8], start: usize) -> Self {
        Self { text, at: start, depth: 0 }
    }

    /// A scanner of what is from `start` on, where so many brackets are open.
    #[must_use]
    pub fn within(text: &'a [u8], start: usize, depth: u32) -> Self {
        Self { text, at: start, depth }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Position of the next byte.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Brackets that are open.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The next byte; none at the end.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Goes back to an earlier position at the same depth.
    pub fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// Passes over white space.
    #[inline]
    pub fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The fault `fault` at the next byte, or that the line ends there.
    #[cold]
    #[must_use]
    pub fn broken(&self, fault: SyntaxFault) -> Broken {
        let fault = match self.peek() {
            Some(_) => fault,
            None => SyntaxFault::End,
        };
        Broken { at: self.at, fault }
    }

    /// Passes over an opening bracket.
    ///
    /// # Errors
    /// If too many are open.
    #[inline]
    pub fn open(&mut self) -> Result<(), Broken> {
        if self.depth == DEPTH_MAX {
            return Err(Broken { at: self.at, fault: SyntaxFault::TooDeep });
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Passes over a closing bracket.
    #[inline]
    pub fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// At the start of an object's field, or behind one: its key, the `:` and the white space around them. `None` at the
    /// end of the object, which is passed over.
    ///
    /// # Errors
    /// If there is neither a field nor the end.
    #[inline]
    pub fn key(&mut self, is_first: bool) -> Result<Option<Quoted>, Broken> {
        self.space();
        match self.peek() {
            Some(b'}') => {
                self.close();
                return Ok(None);
            }
            Some(b',') if !is_first => {
                self.at += 1;
                self.space();
            }
            _ if is_first => {}
            _ => return Err(self.misplaced(SyntaxFault::NoCommaInObject)),
        }
        match self.peek() {
            Some(b'"') => {}
            Some(b'}') if !is_first => return Err(self.broken(SyntaxFault::TrailingComma)),
            Some(b'\'') => return Err(self.broken(SyntaxFault::SingleQuote)),
            _ => return Err(self.misplaced(SyntaxFault::NoKey)),
        }
        let key = self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.misplaced(SyntaxFault::NoColon));
        }
        self.at += 1;
        self.space();
        Ok(Some(key))
    }

    /// At the start of an array's element, or behind one: whether there is another, in front of which it then is. At the
    /// end of the array, which is passed over, there is none.
    ///
    /// # Errors
    /// If there is neither an element nor the end.
    #[inline]
    pub fn element(&mut self, is_first: bool) -> Result<bool, Broken> {
        self.space();
        match self.peek() {
            Some(b']') => {
                self.close();
                Ok(false)
            }
            Some(b',') if !is_first => {
                self.at += 1;
                self.space();
                match self.peek() {
                    Some(b']') => Err(self.broken(SyntaxFault::TrailingComma)),
                    _ => Ok(true),
                }
            }
            _ if is_first => Ok(true),
            _ => Err(self.misplaced(SyntaxFault::NoCommaInArray)),
        }
    }

    /// A string, at its opening quote.
    ///
    /// # Errors
    /// If it does not end, or holds what must not stand in it.
    #[inline]
    pub fn string(&mut self) -> Result<Quoted, Broken> {
        let start = self.at + 1;
        self.at = start;
        let mut has_escapes = false;
        loop {
            self.at = find_special(self.text, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Quoted { start, end: self.at - 1, has_escapes });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.broken(SyntaxFault::Control)),
                None => return Err(Broken { at: self.at, fault: SyntaxFault::EndInString }),
            }
        }
    }

    /// One escape, at its backslash; two if they are a surrogate pair.
    fn escape(&mut self) -> Result<(), Broken> {
        let start = self.at;
        match self.text.get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                return Ok(());
            }
            Some(b'u') => {}
            Some(_) => return Err(Broken { at: start, fault: SyntaxFault::Escape }),
            None => return Err(Broken { at: self.text.len(), fault: SyntaxFault::EndInString }),
        }
        match code_unit(self.text, start).ok_or(Broken { at: start, fault: SyntaxFault::Escape })? {
            0xD800..=0xDBFF => match code_unit(self.text, start + 6) {
                Some(0xDC00..=0xDFFF) => self.at += 12,
                _ => return Err(Broken { at: start, fault: SyntaxFault::Surrogate }),
            },
            0xDC00..=0xDFFF => return Err(Broken { at: start, fault: SyntaxFault::Surrogate }),
            _ => self.at += 6,
        }
        Ok(())
    }

    /// A number, at its sign or first digit.
    ///
    /// # Errors
    /// If it is not written as JSON has it.
    #[inline]
    pub fn number(&mut self) -> Result<Number, Broken> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.at;
        self.digits()?;
        if self.text[first] == b'0' && self.at > first + 1 {
            return Err(Broken { at: first, fault: SyntaxFault::LeadingZero });
        }
        let mut is_whole = true;
        if self.peek() == Some(b'.') {
            is_whole = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_whole = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Number { start, end: self.at, is_whole })
    }

    /// At least one digit, and all that follow.
    #[inline]
    fn digits(&mut self) -> Result<(), Broken> {
        let first = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == first { Err(self.broken(SyntaxFault::NoDigit)) } else { Ok(()) }
    }

    /// `true`, `false` or `null`.
    ///
    /// # Errors
    /// If it is another word.
    #[inline]
    pub fn word(&mut self, word: &'static [u8]) -> Result<(), Broken> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.broken(SyntaxFault::Word));
        }
        self.at += word.len();
        Ok(())
    }

    /// Any value; nothing is kept of it.
    ///
    /// # Errors
    /// If it is none.
    pub fn skip(&mut self) -> Result<(), Broken> {
        // What is open above `outer`: 1 for an object, 0 for an array, the innermost lowest. 128 bits are 128 brackets.
        let (mut is_object, outer) = (0_u128, self.depth);
        loop {
            // In front of a value.
            let mut is_first = false;
            match self.peek() {
                Some(b'"') => _ = self.string()?,
                Some(b'{') => {
                    self.open()?;
                    is_object = is_object << 1 | 1;
                    is_first = true;
                }
                Some(b'[') => {
                    self.open()?;
                    is_object <<= 1;
                    is_first = true;
                }
                Some(b'-' | b'0'..=b'9') => _ = self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                _ => return Err(self.no_value()),
            }
            // Behind a value, or just inside of a bracket.
            loop {
                if self.depth == outer {
                    return Ok(());
                }
                let has_next = if is_object & 1 == 1 { self.key(is_first)?.is_some() } else { self.element(is_first)? };
                if has_next {
                    break;
                }
                is_object >>= 1;
                is_first = false;
            }
        }
    }

    /// What is wrong where a value should start.
    #[cold]
    #[must_use]
    pub fn no_value(&self) -> Broken {
        self.misplaced(match self.peek() {
            Some(b'\'') => SyntaxFault::SingleQuote,
            Some(b'+' | b'.') => SyntaxFault::NumberStart,
            Some(byte) if byte.is_ascii_alphabetic() => SyntaxFault::Word,
            _ => SyntaxFault::NoValue,
        })
    }

    /// What is wrong behind the record.
    #[cold]
    #[must_use]
    pub fn trailing(&self) -> Broken {
        self.misplaced(SyntaxFault::Trailing)
    }

    /// `fault`, unless a comment starts here.
    #[cold]
    fn misplaced(&self, fault: SyntaxFault) -> Broken {
        let rest = &self.text[self.at..];
        let is_comment = rest.starts_with(b"//") || rest.starts_with(b"/*") || rest.starts_with(b"#");
        self.broken(if is_comment { SyntaxFault::Comment } else { fault })
    }
}

/// Position of the first byte from `at` on that a string cannot just hold: quote, backslash, control character; or the end.
#[inline]
#[must_use]
pub fn find_special(text: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        // The lowest bit that is set is right; those above it may be false.
        let zeros = (quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash);
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (zeros | controls) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

/// The code unit of an escape `\uXXXX` at `at`, if there is one.
fn code_unit(text: &[u8], at: usize) -> Option<u32> {
    let &[b'\\', b'u', a, b, c, d] = text.get(at..)?.first_chunk::<6>()? else { return None };
    [a, b, c, d].into_iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// Appends what a string stands for. It must have passed [`Scanner::string`].
pub fn unescape(text: &[u8], quoted: Quoted, out: &mut Vec<u8>) {
    let mut rest = &text[quoted.start..quoted.end];
    while let Some(backslash) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..backslash]);
        let escape = &rest[backslash..];
        let (character, length) = match escape.get(1) {
            Some(b'u') => long_escape(escape),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(&other) => (char::from(other), 2),
            None => break,
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &escape[length.min(escape.len())..];
    }
    out.extend_from_slice(rest);
}

/// The character of `\uXXXX` or of a surrogate pair, and the length of its text.
fn long_escape(escape: &[u8]) -> (char, usize) {
    let first = code_unit(escape, 0).unwrap_or_default();
    match (first, code_unit(escape, 6)) {
        (0xD800..=0xDBFF, Some(second @ 0xDC00..=0xDFFF)) => {
            let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        _ => (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(text: &str) -> Result<usize, Broken> {
        let mut scanner = Scanner::new(text.as_bytes(), 0);
        scanner.skip().map(|()| scanner.at())
    }

    #[test]
    fn a_value_is_passed_over_to_its_end() {
        for text in [
            "0",
            "-0.5e+7",
            "true",
            "null",
            "\"\"",
            "\"a\\\"b\\u00e9\"",
            "[]",
            "{}",
            "[1, [2, {}], {\"a\": []}]",
            "{ \"a\" : 1 , \"b\" : { } }",
            "[ ]",
        ] {
            assert_eq!(skipped(&format!("{text},")), Ok(text.len()), "{text}");
            assert_eq!(skipped(text), Ok(text.len()), "{text}");
        }
    }

    #[test]
    fn a_fault_has_its_place() {
        use SyntaxFault as F;
        for (text, at, fault) in [
            ("", 0, F::End),
            ("[1,]", 3, F::TrailingComma),
            ("{\"a\":1,}", 7, F::TrailingComma),
            ("[1 2]", 3, F::NoCommaInArray),
            ("{\"a\" 1}", 5, F::NoColon),
            ("{\"a\":1 \"b\":2}", 7, F::NoCommaInObject),
            ("{a:1}", 1, F::NoKey),
            ("{'a':1}", 1, F::SingleQuote),
            ("['a']", 1, F::SingleQuote),
            ("[,1]", 1, F::NoValue),
            ("[1", 2, F::End),
            ("[01]", 1, F::LeadingZero),
            ("[-012]", 2, F::LeadingZero),
            ("[+1]", 1, F::NumberStart),
            ("[.5]", 1, F::NumberStart),
            ("[1.]", 3, F::NoDigit),
            ("[1e]", 3, F::NoDigit),
            ("[-]", 2, F::NoDigit),
            ("-", 1, F::End),
            ("[NaN]", 1, F::Word),
            ("[nul]", 1, F::Word),
            ("[1 // x\n]", 3, F::Comment),
            ("[/* x */ 1]", 1, F::Comment),
            ("\"abc", 4, F::EndInString),
            ("\"abc\\", 5, F::EndInString),
            ("\"a\tb\"", 2, F::Control),
            ("\"a\\x\"", 2, F::Escape),
            ("\"a\\u12g4\"", 2, F::Escape),
            ("\"a\\ud800\"", 2, F::Surrogate),
            ("\"a\\ud800\\u0041\"", 2, F::Surrogate),
            ("\"a\\udc00\"", 2, F::Surrogate),
        ] {
            assert_eq!(skipped(text), Err(Broken { at, fault }), "{text}");
        }
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let limit = DEPTH_MAX as usize;
        assert_eq!(skipped(&nested(limit)), Ok(2 * limit));
        assert_eq!(skipped(&nested(limit + 1)), Err(Broken { at: limit, fault: SyntaxFault::TooDeep }));
        let objects = format!("{}1{}", "{\"a\":".repeat(limit), "}".repeat(limit));
        assert_eq!(skipped(&objects), Ok(objects.len()));
    }

    #[test]
    fn escapes_become_characters() {
        let text = r#""\"\\\/\b\f\n\r\t\u0000\u00e9\ud83d\ude00x""#.as_bytes();
        let quoted = Scanner::new(text, 0).string().unwrap();
        let mut out = Vec::new();
        unescape(text, quoted, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\"\\/\u{8}\u{c}\n\r\t\0é😀x");
    }

    #[test]
    fn special_bytes_are_found_wherever_they_are() {
        for length in 0..40 {
            for place in 0..=length {
                for special in [b'"', b'\\', 0, 0x1F, b'\n'] {
                    let mut text = "é€aþ~\u{7f}".as_bytes().iter().copied().cycle().take(length).collect::<Vec<_>>();
                    text.insert(place, special);
                    assert_eq!(find_special(&text, 0), place, "{text:?}");
                }
            }
        }
        assert_eq!(find_special(b"abcdefghij", 3), 10);
    }
}
