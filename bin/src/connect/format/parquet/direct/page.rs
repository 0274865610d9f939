//! One page of a column whose rows have one value each, decompressed: any rows of it, as values of Arrow.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::types::UInt32Type;
use arrow_array::{ArrayRef, DictionaryArray, StringViewArray, UInt32Array};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, ScalarBuffer};
use bytes::Bytes;

use super::hybrid::Hybrid;
use super::raw::{PageKind, RawPage, ValueEncoding};
use super::text::PlainText;

/// Rows of a page with NULLs at most: which have a value is noted for all of them, and a few bytes may stand for any number.
const LEVELS_MAX: usize = 1 << 22;

/// What a column's values are in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of four bytes.
    Words4,
    /// Of eight bytes.
    Words8,
    /// Bytes of any length.
    Bytes,
    /// The same, which must be UTF-8.
    Text,
}

/// Values that codes stand for.
#[derive(Debug)]
pub enum Dictionary {
    /// [`Kind::Words4`].
    Words4(Vec<u32>),
    /// [`Kind::Words8`].
    Words8(Vec<u64>),
    /// Views, and what the long ones point into as buffer 0; the same as an array, if they are text.
    Views(ScalarBuffer<u128>, Option<Buffer>, Option<ArrayRef>),
}

/// A page of values.
#[derive(Debug)]
pub struct DataPage {
    /// Of the row group.
    pub rows: Range<u64>,
    /// Rows that nobody has decoded yet.
    left: AtomicU64,
    /// Which rows have a value; `None`: all.
    valid: Option<BooleanBuffer>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Codes(Hybrid, Arc<Dictionary>),
    /// One behind the other, each of so many bytes.
    Words(Bytes, usize),
    Text(PlainText),
}

/// Values of rows one after the other, from as many pages as they lie in.
#[derive(Debug)]
pub enum Gathered {
    /// [`Kind::Words4`].
    Words4(Vec<u32>),
    /// [`Kind::Words8`].
    Words8(Vec<u64>),
    /// Views, and the buffers that the long ones point into.
    Views(Vec<u128>, Vec<Buffer>),
}

impl Dictionary {
    /// The values of a dictionary page. `None` if they are not as they should be.
    #[must_use]
    pub fn new(page: &RawPage, kind: Kind) -> Option<Self> {
        let RawPage { kind: PageKind::Dictionary, encoding: Some(ValueEncoding::Plain), values, content: buf } = page
        else {
            return None;
        };
        let values = *values;
        Some(match kind {
            Kind::Words4 => Self::Words4(words(buf, 0..values)?.map(u32::from_le_bytes).collect()),
            Kind::Words8 => Self::Words8(words(buf, 0..values)?.map(u64::from_le_bytes).collect()),
            Kind::Bytes | Kind::Text => {
                let text = PlainText::new(Buffer::from(buf.clone()), values, kind == Kind::Text)?;
                let mut views = Vec::new();
                text.views(0..values, 0, &mut views)?;
                let (views, buffer) = (ScalarBuffer::from(views), text.buffer().cloned());
                let texts = (kind == Kind::Text).then(|| {
                    let buffers: Vec<Buffer> = buffer.iter().cloned().collect();
                    // SAFETY: `PlainText` made the views from values that it had checked to be UTF-8 and to lie within the
                    // buffer that they point into.
                    Arc::new(unsafe { StringViewArray::new_unchecked(views.clone(), buffers, None) }) as ArrayRef
                });
                Self::Views(views, buffer, texts)
            }
        })
    }
}

impl DataPage {
    /// A page of data whose first row is row `first` of the row group. `None` if it is of a kind that is not read here, or
    /// not as it should be.
    #[must_use]
    pub fn new(
        page: &RawPage,
        first: u64,
        kind: Kind,
        is_optional: bool,
        dictionary: Option<&Arc<Dictionary>>,
    ) -> Option<Self> {
        let (levels, content) = parts(page, is_optional)?;
        let rows = page.values;
        let valid = match levels {
            Some(levels) => valid_rows(levels, rows)?,
            None => None,
        };
        let count = valid.as_ref().map_or(rows, BooleanBuffer::count_set_bits);
        let values = match (page.encoding?, kind) {
            (ValueEncoding::Codes, _) => {
                let dictionary = Arc::clone(dictionary?);
                match content.first() {
                    Some(&width) => Values::Codes(Hybrid::new(content.slice(1..), width.into(), count)?, dictionary),
                    None if count == 0 => Values::Codes(Hybrid::new(content, 0, 0)?, dictionary),
                    None => return None,
                }
            }
            (ValueEncoding::Plain, Kind::Words4 | Kind::Words8) => {
                let width = if kind == Kind::Words4 { 4 } else { 8 };
                let bytes = count.checked_mul(width).filter(|bytes| *bytes <= content.len())?;
                Values::Words(content.slice(..bytes), width)
            }
            (ValueEncoding::Plain, Kind::Bytes | Kind::Text) => {
                Values::Text(PlainText::new(content.into(), count, kind == Kind::Text)?)
            }
        };
        let rows = first..first.checked_add(rows as u64)?;
        Some(Self { left: AtomicU64::new(rows.end - rows.start), rows, valid, values })
    }

    /// Adds `rows` of the row group, which are in this page, to `out`, and which of them have values to `valid`, which
    /// stays `None` as long as all have. `None` if they cannot be decoded.
    #[must_use]
    pub fn gather(
        &self,
        rows: &Range<u64>,
        codes: &mut Vec<u32>,
        out: &mut Gathered,
        valid: &mut Vec<Option<BooleanBuffer>>,
    ) -> Option<()> {
        let (start, length) = ((rows.start - self.rows.start) as usize, (rows.end - rows.start) as usize);
        let Some(all) = &self.valid else {
            valid.push(None);
            return self.gather_values(start..start + length, codes, out);
        };
        let here = all.slice(start, length);
        let first = all.slice(0, start).count_set_bits();
        let begin = out.len();
        self.gather_values(first..first + here.count_set_bits(), codes, out)?;
        out.spread(begin, &here);
        valid.push(Some(here));
        Some(())
    }

    fn gather_values(&self, values: Range<usize>, codes: &mut Vec<u32>, out: &mut Gathered) -> Option<()> {
        match (&self.values, out) {
            (Values::Codes(hybrid, dictionary), out) => {
                codes.clear();
                hybrid.read(values, codes)?;
                match (&**dictionary, out) {
                    (Dictionary::Words4(words), Gathered::Words4(out)) => pick(words, codes, out),
                    (Dictionary::Words8(words), Gathered::Words8(out)) => pick(words, codes, out),
                    (Dictionary::Views(views, buffer, _), Gathered::Views(out, buffers)) => {
                        let first = out.len();
                        pick(views, codes, out)?;
                        let Some(buffer) = buffer else { return Some(()) };
                        let number = buffers.len() as u128;
                        buffers.push(buffer.clone());
                        let is_long = |view: &&mut u128| **view as u32 > 12;
                        if number > 0 {
                            out[first..].iter_mut().filter(is_long).for_each(|view| *view |= number << 64);
                        }
                        Some(())
                    }
                    _ => None,
                }
            }
            (Values::Words(bytes, 4), Gathered::Words4(out)) => {
                out.extend(words(bytes, values)?.map(u32::from_le_bytes));
                Some(())
            }
            (Values::Words(bytes, 8), Gathered::Words8(out)) => {
                out.extend(words(bytes, values)?.map(u64::from_le_bytes));
                Some(())
            }
            (Values::Text(text), Gathered::Views(out, buffers)) => {
                text.views(values, buffers.len() as u32, out)?;
                buffers.extend(text.buffer().cloned());
                Some(())
            }
            _ => None,
        }
    }

    /// The bytes of `rows` of the row group, which are in this page, if they are here as Arrow has them: plain numbers, none of
    /// them NULL, at places where such numbers may be.
    #[must_use]
    pub fn words(&self, rows: &Range<u64>) -> Option<Buffer> {
        let Values::Words(bytes, width) = &self.values else { return None };
        if self.valid.is_some() || bytes.as_ptr().align_offset(*width) != 0 {
            return None;
        }
        let place = |row: u64| (row - self.rows.start) as usize * width;
        Some(Buffer::from(bytes.slice(place(rows.start)..place(rows.end))))
    }

    /// `rows` of the row group, which are in this page, as codes of its dictionary, if it is one of text and none of the page's
    /// rows is NULL.
    #[must_use]
    pub fn codes(&self, rows: &Range<u64>) -> Option<ArrayRef> {
        let Values::Codes(hybrid, dictionary) = &self.values else { return None };
        let Dictionary::Views(_, _, Some(texts)) = &**dictionary else { return None };
        if self.valid.is_some() {
            return None;
        }
        let (start, length) = ((rows.start - self.rows.start) as usize, (rows.end - rows.start) as usize);
        let mut codes = Vec::with_capacity(length);
        hybrid.read(start..start + length, &mut codes)?;
        if greatest(&codes) as usize >= texts.len() {
            return None;
        }
        let codes = UInt32Array::new(codes.into(), None);
        // SAFETY: each code is less than the number of texts, and none is NULL.
        Some(Arc::new(unsafe { DictionaryArray::<UInt32Type>::new_unchecked(codes, Arc::clone(texts)) }))
    }

    /// Notes that `rows` rows have been decoded, once and for all.
    pub fn done(&self, rows: u64) {
        // Relaxed: it only decides when the page may go; who reads it holds an `Arc`.
        self.left.fetch_sub(rows, Ordering::Relaxed);
    }

    /// Whether nobody needs the page any more.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

impl Gathered {
    /// Nothing yet, with room for `rows`.
    #[must_use]
    pub fn with_capacity(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Words4 => Self::Words4(Vec::with_capacity(rows)),
            Kind::Words8 => Self::Words8(Vec::with_capacity(rows)),
            Kind::Bytes | Kind::Text => Self::Views(Vec::with_capacity(rows), Vec::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Words4(words) => words.len(),
            Self::Words8(words) => words.len(),
            Self::Views(views, _) => views.len(),
        }
    }

    /// Moves the values from `begin` on to the rows that have one; the others get a zero.
    fn spread(&mut self, begin: usize, valid: &BooleanBuffer) {
        match self {
            Self::Words4(words) => spread(words, begin, valid),
            Self::Words8(words) => spread(words, begin, valid),
            Self::Views(views, _) => spread(views, begin, valid),
        }
    }
}

fn spread<T: Copy + Default>(values: &mut Vec<T>, begin: usize, valid: &BooleanBuffer) {
    let mut from = values.len();
    values.resize(begin + valid.len(), T::default());
    for row in (0..valid.len()).rev() {
        values[begin + row] = match valid.value(row) {
            true => {
                from -= 1;
                values[from]
            }
            false => T::default(),
        };
    }
}

/// Adds what `codes` stand for; `None` if one stands for nothing.
fn pick<T: ArrowNativeType>(dictionary: &[T], codes: &[u32], out: &mut Vec<T>) -> Option<()> {
    if greatest(codes) as usize >= dictionary.len() {
        return codes.is_empty().then_some(());
    }
    out.extend(codes.iter().map(|&code| dictionary[code as usize]));
    Some(())
}

fn greatest(codes: &[u32]) -> u32 {
    codes.iter().fold(0, |greatest, &code| code.max(greatest))
}

fn words<const BYTES: usize>(bytes: &[u8], words: Range<usize>) -> Option<impl ExactSizeIterator<Item = [u8; BYTES]>> {
    let bytes = bytes.get(words.start.checked_mul(BYTES)?..words.end.checked_mul(BYTES)?)?;
    let (words, _) = bytes.as_chunks::<BYTES>();
    Some(words.iter().copied())
}

/// The levels of a page, if the column has some, and the values behind them.
fn parts(page: &RawPage, is_optional: bool) -> Option<(Option<Bytes>, Bytes)> {
    let content = &page.content;
    match page.kind {
        PageKind::Dictionary => None,
        PageKind::Data1(_) if !is_optional => Some((None, content.clone())),
        PageKind::Data1(is_hybrid) => {
            let length = u32::from_le_bytes(*content.first_chunk().filter(|_| is_hybrid)?) as usize;
            let end = length.checked_add(4).filter(|&end| end <= content.len())?;
            Some((Some(content.slice(4..end)), content.slice(end..)))
        }
        PageKind::Data2(end) if end <= content.len() => {
            let levels = match is_optional {
                true => Some(content.slice(..end)),
                false if end == 0 => None,
                false => return None,
            };
            Some((levels, content.slice(end..)))
        }
        PageKind::Data2(_) => None,
    }
}

/// Which of `rows` rows have a value; `Some(None)`: all.
fn valid_rows(levels: Bytes, rows: usize) -> Option<Option<BooleanBuffer>> {
    let levels = Hybrid::new(levels, 1, rows)?;
    if levels.is_all(1, rows) {
        return Some(None);
    }
    if rows > LEVELS_MAX {
        return None;
    }
    let mut each = Vec::new();
    levels.read(0..rows, &mut each)?;
    if each.iter().any(|&level| level > 1) {
        return None;
    }
    let valid = BooleanBuffer::collect_bool(rows, |row| each[row] == 1);
    Some((valid.count_set_bits() < rows).then_some(valid))
}
