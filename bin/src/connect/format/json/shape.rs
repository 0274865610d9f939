//! The shape of records: their keys, what stands around their values, and what kind each value is of.
//!
//! Records of one file name their fields in one order, with the same white space, as a rule. A shape is what one record says
//! about that; others are held against it byte by byte. Whatever is not just so is no matter of shapes.

use arrow_schema::{DataType, Fields};

use super::names::Names;
use super::options::JsonOptions;
use super::scan::Scanner;
use super::vector::Lead;

/// Fields of a record that has a shape.
const SLOTS_MAX: usize = 1024;

/// Bytes of a record around its values, up to which it has a shape.
const BYTES_MAX: usize = 1 << 16;

/// What a value is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string without escapes.
    Text,
    /// A number without an exponent.
    Number,
    /// Any value, nested ones included.
    Any,
}

/// One field of a shape.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Between the value before, or the start of the record, and this one. No quotes of strings.
    between: Box<[u8]>,
    kind: Kind,
    /// The value that was seen is no such [`Kind::Text`] or [`Kind::Number`].
    is_odd: bool,
    /// Brackets that are open around it.
    depth: u32,
    /// The column, as its number among those that are read.
    column: Option<usize>,
    /// Columns of its type are read as any value is.
    reads_any: bool,
    /// What leads to the value, as [`Shape::compile`] has it.
    lead: Lead,
}

impl Slot {
    /// What leads to the value: for a string, up to and including its opening quote.
    #[must_use]
    pub fn lead(&self) -> &Lead {
        &self.lead
    }

    /// The column that the value is for.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.column
    }

    /// Brackets that are open around the value.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// What the value is to be read as.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.reads_any { Kind::Any } else { self.kind }
    }
}

/// The columns that are read, as far as shapes are concerned.
#[derive(Debug)]
pub struct ReadColumns {
    names: Names,
    fields: Fields,
    /// Every record must have a field for every column.
    must_have_all: bool,
}

impl ReadColumns {
    /// These columns.
    #[must_use]
    pub fn new(fields: &Fields, options: &JsonOptions) -> Self {
        let names = Names::new(fields.iter().map(|field| field.name().as_str()));
        Self { names, fields: fields.clone(), must_have_all: options.fails_on_missing_field }
    }

    /// Whether values of this kind become values of the column many at a time.
    fn takes(&self, column: usize, kind: Kind) -> bool {
        use DataType as T;
        match (self.fields[column].data_type(), kind) {
            (_, Kind::Any) => false,
            (T::Utf8View | T::Int8 | T::Int16 | T::Int32 | T::Int64, _) => true,
            (T::Float32 | T::Float64 | T::Decimal128(..), _) => true,
            (T::Date32 | T::Timestamp(..), kind) => kind == Kind::Text,
            _ => false,
        }
    }

    fn may_miss(&self, column: usize) -> bool {
        !self.must_have_all && self.fields[column].is_nullable()
    }
}

/// How an object that nobody reads is part of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// By its fields, as the record itself.
    ByField,
    /// As any value.
    Whole,
}

/// The shape of a record.
#[derive(Clone, Debug)]
pub struct Shape {
    slots: Vec<Slot>,
    /// Behind the last value.
    rest: Box<[u8]>,
    end: Lead,
}

impl Shape {
    /// The shape of the record that is `text` from `start` on; none if it is no record, or one that has to be looked at by
    /// itself: with several fields for a column, or without one that it must have.
    #[must_use]
    pub fn of(text: &[u8], start: usize, columns: &mut ReadColumns, unread: Unread) -> Option<Self> {
        let mut scanner = Scanner::new(text, start);
        scanner.space();
        if scanner.peek() != Some(b'{') {
            return None;
        }
        scanner.open().ok()?;
        let (mut slots, mut from, mut bytes) = (Vec::new(), start, 0);
        let mut is_found = vec![false; columns.fields.len()];
        let (mut place, mut is_first) = (0, true);
        loop {
            let Some(key) = scanner.key(is_first).ok()? else {
                if scanner.depth() == 0 {
                    break;
                }
                is_first = false;
                continue;
            };
            let mut column = None;
            if scanner.depth() == 1 {
                column = columns.names.field(place, text, key);
                place += 1;
            }
            if let Some(column) = column
                && std::mem::replace(&mut is_found[column], true)
            {
                return None;
            }
            is_first = column.is_none() && unread == Unread::ByField && scanner.peek() == Some(b'{');
            if is_first {
                scanner.open().ok()?;
                continue;
            }
            let between: Box<[u8]> = text[from..scanner.at()].into();
            bytes += between.len();
            let (kind, is_odd) = kind_of(&mut scanner)?;
            from = scanner.at();
            let depth = scanner.depth();
            slots.push(Slot { between, kind, is_odd, depth, column, reads_any: false, lead: Lead::new(b"") });
            if slots.len() > SLOTS_MAX || bytes > BYTES_MAX {
                return None;
            }
        }
        scanner.space();
        let is_complete = is_found.iter().enumerate().all(|(column, found)| *found || columns.may_miss(column));
        if scanner.peek().is_some() || !is_complete {
            return None;
        }
        let mut shape = Self { slots, rest: text[from..].into(), end: Lead::new(b"") };
        shape.compile(columns);
        Some(shape)
    }

    /// There are fields of objects within the record.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.slots.iter().any(|slot| slot.depth > 1)
    }

    /// The fields, in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// What follows the last value.
    #[must_use]
    pub fn end(&self) -> &Lead {
        &self.end
    }

    /// Whether another record has the same keys and the same white space, whatever its values are.
    #[must_use]
    pub fn has_frame_of(&self, other: &Self) -> bool {
        let are_same = |(a, b): (&Slot, &Slot)| a.between == b.between;
        self.slots.len() == other.slots.len()
            && self.rest == other.rest
            && self.slots.iter().zip(&other.slots).all(are_same)
    }

    /// Takes what is of several kinds here and in a record of the same frame for any value; whether that changes anything.
    pub fn widen(&mut self, other: &Self, columns: &ReadColumns) -> bool {
        let mut is_wider = false;
        for (slot, other) in self.slots.iter_mut().zip(&other.slots) {
            if slot.kind != Kind::Any && (slot.kind != other.kind || other.is_odd) {
                slot.kind = Kind::Any;
                is_wider = true;
            }
        }
        if is_wider {
            self.compile(columns);
        }
        is_wider
    }

    /// Works out how the values are read, and what leads to them: quotes of strings belong to the leads around them.
    fn compile(&mut self, columns: &ReadColumns) {
        let mut text = Vec::new();
        for slot in &mut self.slots {
            slot.reads_any = slot.column.is_some_and(|column| !columns.takes(column, slot.kind));
            text.extend_from_slice(&slot.between);
            let is_text = slot.kind() == Kind::Text;
            text.extend(is_text.then_some(b'"'));
            slot.lead = Lead::new(&text);
            text.clear();
            text.extend(is_text.then_some(b'"'));
        }
        text.extend_from_slice(&self.rest);
        self.end = Lead::new(&text);
    }
}

/// Passes over a value: what it is taken for, and whether it is no such.
fn kind_of(scanner: &mut Scanner<'_>) -> Option<(Kind, bool)> {
    Some(match scanner.peek() {
        Some(b'"') => (Kind::Text, scanner.string().ok()?.has_escapes),
        Some(b'-' | b'0'..=b'9') => {
            let number = scanner.number().ok()?;
            let mut text = scanner.text()[number.start..number.end].iter();
            (Kind::Number, text.any(|byte| matches!(byte, b'e' | b'E')))
        }
        _ => {
            scanner.skip().ok()?;
            (Kind::Any, false)
        }
    })
}
