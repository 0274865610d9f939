//! Records to columns: straight from the bytes of a line, without anything in between.
//!
//! A record is taken or refused as a whole. What is not JSON is refused as such, whatever is read of it and wherever the
//! fault is; of a record that is JSON the first value that does not fit its column is what it is refused for. Of several
//! fields with one name the last counts, and the others may be anything.

use arrow_array::ArrayRef;
use arrow_buffer::Buffer;
use arrow_schema::{DataType, SchemaRef};

use super::column::{Column, Entries, List, Row, Values, offset};
use super::options::JsonOptions;
use super::refusal::{Fault, Refusal, Refused, Step};
use super::scalar::{self, Plain, PlainKind, Zone};
use super::scan::{Broken, Quoted, Scanner, SyntaxFault, unescape};
use crate::connect::format::csv::base64;
use crate::connect::format::csv::temporal::DateCache;
use crate::error::Result;

/// What a value turned out to be: fit for its column, or not; or no JSON at all.
type Read = std::result::Result<Option<Box<Fault>>, Broken>;

/// Turns records into rows of the columns that are asked for, one by one.
pub struct Decoder {
    row: Row,
    options: JsonOptions,
    dates: DateCache,
    scratch: Vec<u8>,
}

impl Decoder {
    /// A decoder of these columns.
    ///
    /// # Errors
    /// `Statement`, if JSON cannot hold one of them.
    pub fn new(schema: &SchemaRef, options: &JsonOptions) -> Result<Self> {
        Ok(Self {
            row: Row::new(schema.fields())?,
            options: options.clone(),
            dates: DateCache::default(),
            scratch: Vec::new(),
        })
    }

    /// Records taken since the last batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.row.length
    }

    /// Takes the record that is `text` from `start` on: one line, without its newline, in UTF-8.
    ///
    /// # Errors
    /// If it is refused; then nothing has changed.
    pub fn push(&mut self, text: &[u8], start: usize) -> std::result::Result<(), Box<Refused>> {
        let rows = self.row.length;
        let mut reading = Reading {
            scanner: Scanner::new(text, start),
            options: &self.options,
            dates: &mut self.dates,
            scratch: &mut self.scratch,
        };
        let refused = match reading.record(&mut self.row) {
            Ok(None) => return Ok(()),
            Ok(Some(fault)) => Refused::fault(text, &fault, self.options.inferred_from),
            Err(broken) => Refused::broken(text, broken),
        };
        self.row.truncate(rows);
        Err(Box::new(refused))
    }

    /// Appends the value at `start` of a record to a column that is not among those of the decoder; where it ends. `text`
    /// ends with the record. None if it is not JSON, or does not fit; then nothing has changed.
    pub fn push_value(&mut self, column: &mut Column, text: &[u8], start: usize) -> Option<usize> {
        let length = column.len();
        let scanner = Scanner::within(text, start, 1);
        let Self { options, dates, scratch, .. } = self;
        let mut reading = Reading { scanner, options, dates, scratch };
        match reading.value(column) {
            Ok(None) => Some(reading.scanner.at()),
            Ok(Some(_)) | Err(_) => {
                column.truncate(length);
                None
            }
        }
    }

    /// The rows since the last batch, as columns. `block` begins with all texts that they were taken from.
    ///
    /// # Errors
    /// `Internal`, if arrow does not take them.
    pub fn finish(&mut self, block: &Buffer) -> Result<Vec<ArrayRef>> {
        self.row.finish(block)
    }
}

/// One record as it is read.
struct Reading<'a, 'd> {
    scanner: Scanner<'a>,
    options: &'d JsonOptions,
    dates: &'d mut DateCache,
    scratch: &'d mut Vec<u8>,
}

impl<'a> Reading<'a, '_> {
    fn record(&mut self, row: &mut Row) -> Read {
        self.scanner.space();
        if self.scanner.peek() != Some(b'{') {
            return Err(self.no_object());
        }
        let fault = self.object(row)?;
        self.scanner.space();
        match self.scanner.peek() {
            None => Ok(fault),
            Some(_) => Err(self.scanner.trailing()),
        }
    }

    /// What is wrong with a record that does not start as an object: that, unless it is not even JSON.
    #[cold]
    fn no_object(&mut self) -> Broken {
        let fault = Broken { at: self.scanner.at(), fault: SyntaxFault::NoObject };
        let whole = self.scanner.skip().and_then(|()| {
            self.scanner.space();
            if self.scanner.peek().is_none() { Ok(()) } else { Err(self.scanner.trailing()) }
        });
        whole.err().unwrap_or(fault)
    }

    /// An object, at its `{`, as a row.
    fn object(&mut self, row: &mut Row) -> Read {
        let index = row.length;
        self.scanner.open()?;
        let (mut place, mut found) = (0, 0);
        let mut faults: Vec<(usize, Box<Fault>)> = Vec::new();
        while let Some(key) = self.scanner.key(place == 0)? {
            let field = row.names.field(place, self.scanner.text(), key);
            place += 1;
            let Some(field) = field else {
                self.scanner.skip()?;
                continue;
            };
            let column = &mut row.columns[field];
            if column.len() > index {
                column.truncate(index);
                faults.retain(|(faulty, _)| *faulty != field);
            } else {
                found += 1;
            }
            if let Some(mut fault) = self.value(column)? {
                fault.path.push(Step::Field(column.field.name().clone()));
                faults.push((field, fault));
            }
        }
        if found < row.columns.len() {
            self.fill_missing(row, &mut faults);
        }
        row.length += 1;
        Ok(faults.into_iter().map(|(_, fault)| fault).min_by_key(|fault| fault.at))
    }

    /// Appends NULL to the columns for which the object that just ended had no field.
    fn fill_missing(&self, row: &mut Row, faults: &mut Vec<(usize, Box<Fault>)>) {
        let at = self.scanner.at() - 1;
        let index = row.length;
        for (field, column) in row.columns.iter_mut().enumerate().filter(|(_, column)| column.len() == index) {
            column.push_null();
            let refusal = match (self.options.fails_on_missing_field, column.field.is_nullable()) {
                (true, _) => Refusal::Missing,
                (false, false) => Refusal::MissingNotNull,
                (false, true) => continue,
            };
            let mut fault = refused(column, refusal, at, at + 1);
            fault.path.push(Step::Field(column.field.name().clone()));
            faults.push((field, fault));
        }
    }

    /// Any value.
    #[inline]
    fn value(&mut self, column: &mut Column) -> Read {
        match self.scanner.peek() {
            Some(b'"') => {
                let quoted = self.scanner.string()?;
                Ok(self.string(column, quoted))
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = self.scanner.number()?;
                let kind = if number.is_whole { PlainKind::Whole } else { PlainKind::Fractional };
                let plain = Plain { bytes: self.scanner.text(), start: number.start, end: number.end, kind };
                Ok(self.scalar(column, plain, number.start))
            }
            Some(b'{') => self.braces(column),
            Some(b'[') => self.brackets(column),
            Some(b'n') => {
                let at = self.scanner.at();
                self.scanner.word(b"null")?;
                column.push_null();
                let is_accepted = column.field.is_nullable();
                Ok((!is_accepted).then(|| refused(column, Refusal::Null, at, at + 4)))
            }
            Some(b't') => self.boolean(column, b"true"),
            Some(b'f') => self.boolean(column, b"false"),
            _ => Err(self.scanner.no_value()),
        }
    }

    fn boolean(&mut self, column: &mut Column, word: &'static [u8]) -> Read {
        let start = self.scanner.at();
        self.scanner.word(word)?;
        let plain = Plain { bytes: self.scanner.text(), start, end: start + word.len(), kind: PlainKind::Boolean };
        Ok(self.scalar(column, plain, start))
    }

    #[inline]
    fn string(&mut self, column: &mut Column, quoted: Quoted) -> Option<Box<Fault>> {
        let text = self.scanner.text();
        let Quoted { start, end, has_escapes } = quoted;
        if let Values::String(views) = &mut column.values {
            match has_escapes {
                false => views.push_block(text, start, end),
                true => views.push_with(|own| unescape(text, quoted, own)),
            }
            return None;
        }
        if !has_escapes {
            let plain = Plain { bytes: text, start, end, kind: PlainKind::String };
            return self.scalar(column, plain, start - 1);
        }
        let mut scratch = std::mem::take(self.scratch);
        scratch.clear();
        unescape(text, quoted, &mut scratch);
        let plain = Plain { bytes: &scratch, start: 0, end: scratch.len(), kind: PlainKind::String };
        let fault = self.scalar(column, plain, start - 1);
        *self.scratch = scratch;
        fault
    }

    /// A scalar whose text starts at `at`, and ends where the scanner is.
    #[inline]
    fn scalar(&mut self, column: &mut Column, plain: Plain<'_>, at: usize) -> Option<Box<Fault>> {
        match self.push_scalar(column, plain) {
            Ok(()) => None,
            Err(refusal) => {
                column.push_default();
                Some(refused(column, refusal, at, self.scanner.at()))
            }
        }
    }

    fn push_scalar(&mut self, column: &mut Column, plain: Plain<'_>) -> std::result::Result<(), Refusal> {
        let is_string = plain.kind == PlainKind::String;
        let trimmed = if is_string { plain.trimmed() } else { plain };
        match &mut column.values {
            Values::Int64(values) => values.push(scalar::integer(trimmed)?),
            Values::Float64(values) => values.push(scalar::double(trimmed)?),
            Values::String(views) => views.push_block(plain.bytes, plain.start, plain.end),
            Values::Boolean(values) => values.push(scalar::boolean(trimmed)?),
            Values::Int8(values) => values.push(narrow(scalar::integer(trimmed)?)?),
            Values::Int16(values) => values.push(narrow(scalar::integer(trimmed)?)?),
            Values::Int32(values) => values.push(narrow(scalar::integer(trimmed)?)?),
            Values::Float32(values) => values.push(scalar::float(trimmed)?),
            Values::Decimal(values, precision, scale) => {
                values.push(scalar::decimal(trimmed, *precision, *scale)?);
            }
            _ if !is_string => return Err(Refusal::Malformed),
            Values::Date(values) => values.push(scalar::date(plain.text(), self.dates)?),
            Values::Time32(values, unit_ns) => values.push(narrow(scalar::time(plain.text(), *unit_ns)?)?),
            Values::Time64(values, unit_ns) => values.push(scalar::time(plain.text(), *unit_ns)?),
            Values::Timestamp(values, per_second) => {
                let zone = match column.field.data_type() {
                    DataType::Timestamp(_, Some(_)) => Zone::Instant,
                    _ => Zone::Local,
                };
                let format = self.options.timestamps;
                values.push(scalar::timestamp(plain.text(), format, zone, *per_second, self.dates)?);
            }
            Values::Bytes(views) => {
                // What is refused is replaced by an empty value, like all that is.
                let mut is_base64 = false;
                let length = views.len();
                views.push_with(|own| is_base64 = base64::decode(plain.text(), own));
                if !is_base64 {
                    views.truncate(length);
                    return Err(Refusal::Malformed);
                }
            }
            Values::Row(_) | Values::Array(_) | Values::Map(_) => return Err(Refusal::Malformed),
        }
        Ok(())
    }

    /// An object, at its `{`, for whatever column.
    fn braces(&mut self, column: &mut Column) -> Read {
        match &mut column.values {
            Values::Row(row) => self.object(row),
            Values::Map(entries) => self.entries(entries),
            _ => self.bracketed(column),
        }
    }

    /// An array, at its `[`, for whatever column.
    fn brackets(&mut self, column: &mut Column) -> Read {
        match &mut column.values {
            Values::Array(list) => self.elements(list),
            _ => self.bracketed(column),
        }
    }

    /// An object or array for a column that has no parts: a STRING takes its text, others nothing.
    fn bracketed(&mut self, column: &mut Column) -> Read {
        let start = self.scanner.at();
        self.scanner.skip()?;
        let end = self.scanner.at();
        if let Values::String(views) = &mut column.values {
            let text = self.scanner.text();
            views.push_with(|own| compact(text, start, end, own));
            return Ok(None);
        }
        column.push_default();
        Ok(Some(refused(column, Refusal::Malformed, start, end)))
    }

    fn elements(&mut self, list: &mut List) -> Read {
        self.scanner.open()?;
        let mut first_fault = None;
        let mut number = 0;
        while self.scanner.element(number == 0)? {
            number += 1;
            let fault = self.value(&mut list.elements)?;
            if first_fault.is_none()
                && let Some(mut fault) = fault
            {
                fault.path.push(Step::Element(number));
                first_fault = Some(fault);
            }
        }
        list.offsets.push(offset(list.elements.len()));
        Ok(first_fault)
    }

    fn entries(&mut self, entries: &mut Entries) -> Read {
        let (at, first) = (self.scanner.at(), entries.keys.len());
        let fault = self.read_entries(entries, &[])?;
        let is_superseded = superseded(&entries.keys, first, self.scanner.text());
        let fault = if is_superseded.is_empty() {
            fault
        } else {
            // Once more, without the entries that later ones replace.
            entries.keys.truncate(first);
            entries.values.truncate(first);
            self.scanner.rewind(at);
            self.read_entries(entries, &is_superseded)?
        };
        entries.offsets.push(offset(entries.keys.len()));
        Ok(fault)
    }

    fn read_entries(&mut self, entries: &mut Entries, is_superseded: &[bool]) -> Read {
        self.scanner.open()?;
        let mut first_fault = None;
        let mut place = 0;
        while let Some(key) = self.scanner.key(place == 0)? {
            place += 1;
            if is_superseded.get(place - 1) == Some(&true) {
                self.scanner.skip()?;
                continue;
            }
            // Keys are strings that nothing is wrong with.
            let _ = self.string(&mut entries.keys, key);
            let fault = self.value(&mut entries.values)?;
            if first_fault.is_none()
                && let Some(mut fault) = fault
            {
                let mut name = Vec::new();
                unescape(self.scanner.text(), key, &mut name);
                fault.path.push(Step::Key(String::from_utf8_lossy(&name).into_owned()));
                first_fault = Some(fault);
            }
        }
        Ok(first_fault)
    }
}

/// Which of a MAP's entries, whose keys start at `first`, have a key that comes again; empty if none has.
fn superseded(keys: &Column, first: usize, text: &[u8]) -> Vec<bool> {
    /// Entries up to which comparing each with each is quicker than hashing.
    const FEW: usize = 16;
    let Values::String(views) = &keys.values else { return Vec::new() };
    let last = views.len();
    let repeats = if last - first <= FEW {
        (first..last).filter(|&one| (one + 1..last).any(|other| views.are_same(one, other, text))).collect::<Vec<_>>()
    } else {
        let mut later = std::collections::HashMap::new();
        (first..last).filter_map(|row| later.insert(views.bytes_of(row, text), row)).collect()
    };
    let mut is_superseded = Vec::new();
    for row in repeats {
        is_superseded.resize(last - first, false);
        is_superseded[row - first] = true;
    }
    is_superseded
}

/// Appends an object or array without the white space between its parts, and without needless escapes.
fn compact(text: &[u8], start: usize, end: usize, out: &mut Vec<u8>) {
    let mut scanner = Scanner::new(&text[..end], start);
    while let Some(byte) = scanner.peek() {
        if byte == b'"' {
            // It was read once already, so that nothing is wrong with it.
            let Ok(quoted) = scanner.string() else { return };
            if quoted.has_escapes {
                let mut plain = Vec::new();
                unescape(text, quoted, &mut plain);
                super::text::write_string(&plain, out);
            } else {
                out.extend_from_slice(&text[quoted.start - 1..=quoted.end]);
            }
            continue;
        }
        if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            out.push(byte);
        }
        let at = scanner.at();
        scanner.rewind(at + 1);
    }
}

#[cold]
fn refused(column: &Column, refusal: Refusal, at: usize, end: usize) -> Box<Fault> {
    let data_type = column.field.data_type().clone();
    Box::new(Fault { at, end, refusal, data_type, path: Vec::new() })
}

fn narrow<W, N: TryFrom<W>>(wide: W) -> std::result::Result<N, Refusal> {
    N::try_from(wide).map_err(|_| Refusal::OutOfRange)
}
