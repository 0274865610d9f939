//! The pages of a column as they are once decompressed: read into buffers that are used again, by codecs that are kept.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;

use super::super::file::FileBytes;
use super::super::headers::{PageHeaders, PagePlace};
use super::codec::{Codec, Decompressor};
use super::shelf::Shelf;

/// What a worker loads pages with.
pub struct Loader {
    /// Pages as they are in the file.
    compressed: Vec<u8>,
    decompressor: Decompressor,
    shelf: Arc<Shelf>,
}

impl Loader {
    /// One that takes its buffers from `shelf`.
    #[must_use]
    pub fn new(shelf: Arc<Shelf>) -> Self {
        Self { compressed: Vec::new(), decompressor: Decompressor::default(), shelf }
    }
}

/// What is left to load of a column of a row group.
pub struct RawPages {
    bytes: Arc<FileBytes>,
    headers: PageHeaders,
    codec: Codec,
}

/// A page.
#[derive(Debug)]
pub struct RawPage {
    /// What it is.
    pub kind: PageKind,
    /// Values in it, NULL among them.
    pub values: usize,
    /// How its values are written.
    pub encoding: Option<ValueEncoding>,
    /// Levels and values.
    pub content: Bytes,
}

/// What a page is, and where its levels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// Values that codes stand for.
    Dictionary,
    /// Data whose levels are behind their length, if it is `true` that they are written as a hybrid.
    Data1(bool),
    /// Data that begins with levels of so many bytes.
    Data2(usize),
}

/// The encodings that are decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueEncoding {
    /// One value behind the other.
    Plain,
    /// Numbers of values in a dictionary.
    Codes,
}

impl RawPages {
    /// Of a column; `None` if it is compressed in a way that is not known here. Nothing is read.
    #[must_use]
    pub fn new(bytes: &Arc<FileBytes>, column: &ColumnChunkMetaData) -> Option<Self> {
        let codec = Codec::of(column.compression())?;
        Some(Self { bytes: Arc::clone(bytes), headers: PageHeaders::new(Arc::clone(bytes), column), codec })
    }

    /// The next page; `None` if there is none, or it is not as it should be.
    #[must_use]
    pub fn next(&mut self, loader: &mut Loader) -> Option<RawPage> {
        let place = self.headers.peek().ok()??;
        let page = self.load(&place, loader)?;
        self.headers.advance();
        Some(page)
    }

    fn load(&self, PagePlace { header, at }: &PagePlace, loader: &mut Loader) -> Option<RawPage> {
        let (stored, length) = (header.compressed as usize, header.uncompressed as usize);
        let kind = match header.kind {
            2 => PageKind::Dictionary,
            0 => PageKind::Data1(header.level_encoding == 3),
            // A row holds one value at most, so there are no levels of repetition.
            _ if header.level_bytes[1] == 0 => PageKind::Data2(usize::try_from(header.level_bytes[0]).ok()?),
            _ => return None,
        };
        let levels = if let PageKind::Data2(levels) = kind { levels } else { 0 };
        if levels > stored || levels > length {
            return None;
        }
        let codec = if header.is_plain { Codec::None } else { self.codec };
        let mut buffer = loader.shelf.take(length);
        let is_whole = if codec == Codec::None {
            stored == length && self.bytes.read_exact(*at, &mut buffer[..length]).is_ok()
        } else {
            let stored = self.bytes.read_to(*at, stored as u64, &mut loader.compressed).ok()?;
            buffer[..levels].copy_from_slice(&stored[..levels]);
            // Where no row has a value, there may be nothing that could be decompressed.
            levels == length
                || loader.decompressor.fill(codec, &stored[levels..], &mut buffer[levels..length]).is_some()
        };
        let content = loader.shelf.share(buffer, length);
        let encoding = match (header.encoding, kind) {
            (0, _) | (2, PageKind::Dictionary) => Some(ValueEncoding::Plain),
            (2 | 8, PageKind::Data1(_) | PageKind::Data2(_)) => Some(ValueEncoding::Codes),
            _ => None,
        };
        is_whole.then_some(RawPage { kind, values: header.values as usize, encoding, content })
    }
}

/// Whether pages that are compressed so are read here.
#[must_use]
pub fn is_known(compression: Compression) -> bool {
    Codec::of(compression).is_some()
}
