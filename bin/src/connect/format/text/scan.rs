//! One record, byte by byte: where its fields and it itself end, and whether its quotes hold together over line ends.
//!
//! A quoted field may hold newlines. So a quote that is opened and never closed makes one record of all that follows, up to
//! the next quote, which then opens where it should close. Hence a field is only believed to go on over a line end while
//! it can still be right: it starts with a quote, and what closes it is followed by a separator. Where that fails, or the
//! record grows beyond the limit within quotes, the line in which the quote was opened is at fault, and reading starts anew
//! behind it. It follows that at most one record is looked ahead into, and that a broken quote costs the lines that it
//! stands in, not the file. A record of one line is never at fault here: whether its fields are right is for its decoder.

use super::dialect::Dialect;

/// What ends a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The record ends with the newline at this place.
    End(usize),
    /// It is not to be believed.
    Fault(Fault),
}

/// Why a record is given up. Places are counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// Where: the quote, or the start of the record.
    pub place: usize,
    /// The newline behind which to start anew; none if none was seen yet.
    pub newline: Option<usize>,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A quote is opened, and the input ends.
    Unclosed,
    /// A quote is opened, and not closed as far as is looked ahead.
    UnclosedSoFar,
    /// A quote is opened, and lines later there is a quote that does not close it.
    ClosedAmiss,
    /// A quote within a field that does not start with one, or after its end, is not closed in its line.
    Stray,
    /// Longer than the limit.
    TooLong,
    /// The input ends after an escape character.
    Escape,
}

/// Where in a field a scan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// In front of its first byte.
    #[default]
    Start,
    /// Outside of quotes, in a field that does not start with one.
    Plain,
    /// In the quotes that it starts with.
    Quoted,
    /// Behind a quote that closes it, unless another follows.
    Closed,
    /// As `Closed`, and behind a carriage return.
    Return,
    /// Outside of quotes, in a field whose quotes are wrong.
    Broken,
    /// Inside of quotes, in such a field.
    BrokenInside,
}

/// The state of a scan. Starts at a record's start; goes on where the text was cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    at: At,
    /// The next byte means itself.
    is_escaped: bool,
    /// Bytes looked at.
    bytes: usize,
    /// The quote that was opened last.
    opener: usize,
    /// The first newline inside of quotes in this field.
    inner_newline: Option<usize>,
    /// The first newline of the record.
    first_newline: Option<usize>,
}

impl Scan {
    /// Bytes of the record that were looked at.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next byte is inside of quotes.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        matches!(self.at, At::Quoted | At::BrokenInside)
    }

    /// Goes on with `more` of the record, which may have more text behind it, and calls `delimiter` with the places of
    /// delimiters. None if the record is neither ended nor at fault so far.
    pub fn run(
        &mut self,
        more: &[u8],
        dialect: Dialect,
        bytes_max: usize,
        mut delimiter: impl FnMut(usize),
    ) -> Option<Stop> {
        let room = bytes_max.saturating_add(1) - self.bytes;
        let text = &more[..more.len().min(room)];
        let start = self.bytes;
        let mut at = 0;
        while at < text.len() {
            if self.at == At::Quoted && !self.is_escaped {
                at += self.skip_quoted(&text[at..], dialect);
                if at == text.len() {
                    break;
                }
            }
            let (byte, place) = (text[at], start + at);
            at += 1;
            if self.is_escaped {
                self.is_escaped = false;
                if byte == b'\n' {
                    self.see_newline(place);
                }
                continue;
            }
            if dialect.escape == Some(byte) && matches!(self.at, At::Start | At::Plain | At::Quoted) {
                self.is_escaped = true;
                if self.at == At::Start {
                    self.at = At::Plain;
                }
            } else if self.at == At::Return
                && byte != b'\n'
                && let Some(fault) = self.closed_amiss()
            {
                self.bytes = place;
                return Some(Stop::Fault(fault));
            } else if dialect.quote == Some(byte) {
                self.quote(place);
            } else if byte == b'\n' && !self.is_inside() {
                self.bytes = place;
                return Some(Stop::End(place));
            } else if dialect.delimiter == Some(byte) && !self.is_inside() {
                self.at = At::Start;
                self.inner_newline = None;
                delimiter(place);
            } else if let Some(fault) = self.other(byte, place) {
                self.bytes = place;
                return Some(Stop::Fault(fault));
            }
        }
        self.bytes += text.len();
        (self.bytes > bytes_max).then(|| Stop::Fault(self.beyond_limit()))
    }

    /// What is wrong if no byte follows.
    #[must_use]
    pub fn at_end(&self) -> Fault {
        let kind = if self.is_inside() { FaultKind::Unclosed } else { FaultKind::Escape };
        let (place, newline) = match kind {
            FaultKind::Unclosed => (self.opener, self.inner_newline),
            _ => (0, self.first_newline),
        };
        Fault { kind, place, newline }
    }

    fn beyond_limit(&self) -> Fault {
        match self.inner_newline {
            Some(newline) if self.is_inside() => {
                Fault { kind: FaultKind::UnclosedSoFar, place: self.opener, newline: Some(newline) }
            }
            _ => Fault { kind: FaultKind::TooLong, place: 0, newline: self.first_newline },
        }
    }

    /// Bytes up to the next that may mean something.
    fn skip_quoted(&self, text: &[u8], dialect: Dialect) -> usize {
        let quote = dialect.quote.unwrap_or(b'\n');
        let found = match (self.inner_newline, dialect.escape) {
            (Some(_), None) => memchr::memchr(quote, text),
            (None, None) => memchr::memchr2(quote, b'\n', text),
            (_, Some(escape)) => memchr::memchr3(quote, b'\n', escape, text),
        };
        found.unwrap_or(text.len())
    }

    fn see_newline(&mut self, place: usize) {
        self.first_newline = self.first_newline.or(Some(place));
        if self.is_inside() {
            self.inner_newline = self.inner_newline.or(Some(place));
        }
    }

    fn quote(&mut self, place: usize) {
        self.at = match self.at {
            At::Start => {
                self.opener = place;
                At::Quoted
            }
            At::Quoted => At::Closed,
            // Twice: one that is meant.
            At::Closed => At::Quoted,
            At::BrokenInside => At::Broken,
            At::Plain | At::Return | At::Broken => {
                self.opener = place;
                At::BrokenInside
            }
        };
    }

    /// The fault of a quoted field that goes on behind its closing quote, if it has lines.
    fn closed_amiss(&self) -> Option<Fault> {
        let kind = FaultKind::ClosedAmiss;
        self.inner_newline.map(|newline| Fault { kind, place: self.opener, newline: Some(newline) })
    }

    /// A byte that neither separates nor quotes, or does not where it is.
    fn other(&mut self, byte: u8, place: usize) -> Option<Fault> {
        if byte == b'\n' {
            self.see_newline(place);
        }
        match self.at {
            At::Start => self.at = At::Plain,
            At::Closed if byte == b'\r' => self.at = At::Return,
            At::Closed | At::Return => {
                self.at = At::Broken;
                return self.closed_amiss();
            }
            At::BrokenInside if byte == b'\n' => {
                return Some(Fault { kind: FaultKind::Stray, place: self.opener, newline: Some(place) });
            }
            At::Plain | At::Quoted | At::Broken | At::BrokenInside => {}
        }
        None
    }
}
