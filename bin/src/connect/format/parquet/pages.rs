//! The pages of one row group for the decoder of the `parquet` crate, each looked at before that may see it.

use std::sync::Arc;

use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::Result;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::SerializedPageReader;

use super::delta;
use super::file::FileBytes;
use super::headers::{PAGE_BYTES_MAX, PageHeaders, wrong};

/// One row group for the decoder.
pub struct GroupPages {
    /// The file.
    pub bytes: Arc<FileBytes>,
    /// Its metadata.
    pub metadata: Arc<ParquetMetaData>,
    /// Which row group.
    pub group: usize,
}

impl GroupPages {
    fn group(&self) -> &RowGroupMetaData {
        self.metadata.row_group(self.group)
    }
}

impl RowGroups for GroupPages {
    fn num_rows(&self) -> usize {
        self.group().num_rows() as usize
    }

    fn column_chunks(&self, index: usize) -> Result<Box<dyn PageIterator>> {
        let column = self.group().column(index);
        let inner = SerializedPageReader::new(Arc::clone(&self.bytes), column, self.num_rows(), None)?;
        let description = column.column_descr();
        let pages = CheckedPages {
            inner,
            headers: PageHeaders::new(Arc::clone(&self.bytes), column),
            physical: description.physical_type(),
            levels: Levels { definition: description.max_def_level(), repetition: description.max_rep_level() },
        };
        Ok(Box::new(OneChunk(Some(Box::new(pages)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.group()))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}

/// Greatest levels of a column.
#[derive(Clone, Copy)]
struct Levels {
    definition: i16,
    repetition: i16,
}

/// The pages of one column. Goes along with `inner`, one header ahead of it.
struct CheckedPages {
    inner: SerializedPageReader<FileBytes>,
    headers: PageHeaders,
    physical: Type,
    levels: Levels,
}

impl CheckedPages {
    /// What is in a page, as far as the decoder would take it at its word: encodings that declare lengths of their own,
    /// and INT96, which it would cut off.
    fn check_content(&self, page: &Page) -> Result<()> {
        let (encoding, most) = (page.encoding(), page.num_values() as usize);
        if self.physical == Type::INT96 && (encoding == Encoding::PLAIN || page.is_dictionary_page()) {
            let values = if page.is_dictionary_page() { Some(&page.buffer()[..]) } else { self.values_of(page) };
            return check_int96(values.unwrap_or_default());
        }
        if !matches!(
            encoding,
            Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY
        ) || page.is_dictionary_page()
        {
            return Ok(());
        }
        let values = self.values_of(page).ok_or_else(|| wrong("the levels of a page go on beyond its end"))?;
        if values.is_empty() {
            return Ok(());
        }
        let checked = match encoding {
            Encoding::DELTA_BINARY_PACKED => delta::check_header(values, most),
            Encoding::DELTA_LENGTH_BYTE_ARRAY => delta::check_lengths(values, most),
            _ => delta::check_prefixes(values, most, PAGE_BYTES_MAX),
        };
        checked.map_err(wrong)
    }

    /// The values of a page, behind its levels.
    fn values_of<'a>(&self, page: &'a Page) -> Option<&'a [u8]> {
        match page {
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                buf.get(*def_levels_byte_len as usize + *rep_levels_byte_len as usize..)
            }
            Page::DataPage { buf, num_values, def_level_encoding, rep_level_encoding, .. } => {
                let mut rest: &[u8] = buf;
                let Levels { definition, repetition } = self.levels;
                for (level, encoding) in [(repetition, rep_level_encoding), (definition, def_level_encoding)] {
                    if level > 0 {
                        rest = rest.get(level_bytes(rest, level, *encoding, *num_values)?..)?;
                    }
                }
                Some(rest)
            }
            Page::DictionaryPage { .. } => None,
        }
    }
}

/// INT96 is nanoseconds of a day, then the day: read as microseconds, since nanoseconds would not reach far enough.
fn check_int96(values: &[u8]) -> Result<()> {
    let nanos = values.chunks_exact(12).filter_map(|value| value.first_chunk::<8>());
    match nanos.into_iter().any(|nanos| i64::from_le_bytes(*nanos) % 1_000 != 0) {
        true => Err(wrong("a timestamp of INT96 has nanoseconds, which are not read from this type")),
        false => Ok(()),
    }
}

/// Bytes of the levels at the start of `rest`.
fn level_bytes(rest: &[u8], level: i16, encoding: Encoding, values: u32) -> Option<usize> {
    if encoding == Encoding::RLE {
        let length = rest.first_chunk::<4>()?;
        return (u32::from_le_bytes(*length) as usize).checked_add(4);
    }
    let bits = (i16::BITS - level.leading_zeros()) as usize;
    Some((values as usize * bits).div_ceil(8))
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.headers.peek()?;
        let page = self.inner.get_next_page()?;
        if let Some(page) = &page {
            self.check_content(page)?;
        }
        self.headers.advance();
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.headers.peek()?;
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.headers.peek()?;
        self.inner.skip_next_page()?;
        self.headers.advance();
        Ok(())
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.headers.peek()?;
        self.inner.at_record_boundary()
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
