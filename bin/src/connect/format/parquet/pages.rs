//! The pages of one row group, each looked at before the decoder may see it: what a header declares is allocated, so it
//! must be no more than a page may have, and no more than is there.

use std::sync::Arc;

use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::SerializedPageReader;

use super::delta;
use super::file::FileBytes;
use super::thrift::{self, Malformed};

/// A page at most, once decompressed. Writers aim at 1 MiB; one is known that writes 100 MB.
pub const PAGE_BYTES_MAX: i64 = 256 << 20;

/// Values of a page at most where a row may hold many.
const REPEATED_PAGE_VALUES_MAX: i64 = 1 << 25;

/// Bytes read for a header at first, and at most: old writers put whole values into it as statistics.
const HEADER_BYTES_USUAL: u64 = 256;
const HEADER_BYTES_MAX: u64 = 16 << 20;

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
        let (at, length) = column.byte_range();
        let description = column.column_descr();
        let pages = CheckedPages {
            inner,
            bytes: Arc::clone(&self.bytes),
            at,
            end: at + length,
            next: None,
            values_left: column.num_values(),
            physical: description.physical_type(),
            value_bytes: description.type_length(),
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
    bytes: Arc<FileBytes>,
    /// Place of the next header in the file.
    at: u64,
    end: u64,
    /// The page at `at`, once its header was found to be in order.
    next: Option<NextPage>,
    /// Values that the pages to come may have, by the metadata of the column.
    values_left: i64,
    physical: Type,
    /// Of a value of fixed length.
    value_bytes: i32,
    levels: Levels,
}

/// What the header of a page says, as far as it is needed to pass over it.
#[derive(Clone, Copy)]
struct NextPage {
    /// From its header to its end.
    bytes: u64,
    /// Values of a page of data; 0 for a dictionary.
    values: i64,
}

impl CheckedPages {
    /// Looks at the header of the next page, unless it was looked at already.
    fn check_next(&mut self) -> Result<()> {
        while self.next.is_none() && self.at < self.end {
            let header = self.header()?;
            let is_index = header.kind == 1;
            let bytes = header.length as u64 + header.compressed as u64;
            if is_index {
                // The decoder passes over it as well.
                self.at += bytes;
                continue;
            }
            let is_data = header.kind != 2;
            self.next = Some(NextPage { bytes, values: if is_data { header.values } else { 0 } });
        }
        Ok(())
    }

    fn header(&self) -> Result<thrift::PageHeader> {
        let left = self.end - self.at;
        let mut length = HEADER_BYTES_USUAL.min(left);
        let header = loop {
            let bytes = self.bytes.range(self.at, length).map_err(|error| wrong(error.to_string()))?;
            match thrift::page_header(&bytes) {
                Ok(header) => break header,
                Err(Malformed::Short) if length < left.min(HEADER_BYTES_MAX) => {
                    length = (length * 16).min(left).min(HEADER_BYTES_MAX);
                }
                Err(Malformed::Short) => return Err(wrong("the header of a page ends in the middle")),
                Err(Malformed::Wrong(why)) => return Err(wrong(format!("the header of a page is damaged: {why}"))),
            }
        };
        if header.compressed < 0 || header.compressed as u64 > left - header.length as u64 {
            return Err(wrong(format!("a page of {} bytes goes on beyond its column", header.compressed)));
        }
        if !(0..=PAGE_BYTES_MAX).contains(&header.uncompressed) {
            let bytes = header.uncompressed;
            return Err(wrong(format!("a page says that it has {bytes} bytes; at most {PAGE_BYTES_MAX} are read")));
        }
        match header.kind {
            0 | 3 if header.values < 0 || header.values > self.values_left => {
                Err(wrong(format!("a page says that it has {} values, the column {}", header.values, self.values_left)))
            }
            0 | 3 if self.levels.repetition > 0 && header.values > REPEATED_PAGE_VALUES_MAX => Err(wrong(format!(
                "a page of {} values; at most {REPEATED_PAGE_VALUES_MAX} are read where a row may hold many",
                header.values
            ))),
            2 => self.check_dictionary(&header).map(|()| header),
            0 | 1 | 3 => Ok(header),
            _ => Err(wrong("a page is of no known kind")),
        }
    }

    fn check_dictionary(&self, header: &thrift::PageHeader) -> Result<()> {
        let least = match self.physical {
            Type::BOOLEAN => return Err(wrong("a dictionary of truth values")),
            Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::FIXED_LEN_BYTE_ARRAY => i64::from(self.value_bytes.max(1)),
        };
        if header.values < 0 || header.values.saturating_mul(least) > header.uncompressed {
            let (values, bytes) = (header.values, header.uncompressed);
            return Err(wrong(format!("a dictionary says that it has {values} values in {bytes} bytes")));
        }
        Ok(())
    }

    /// The page at `at` was taken or passed over.
    fn advance(&mut self) {
        if let Some(page) = self.next.take() {
            self.at += page.bytes;
            self.values_left -= page.values;
        }
    }

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
        self.check_next()?;
        let page = self.inner.get_next_page()?;
        if let Some(page) = &page {
            self.check_content(page)?;
        }
        self.advance();
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.check_next()?;
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.check_next()?;
        self.inner.skip_next_page()?;
        self.advance();
        Ok(())
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.check_next()?;
        self.inner.at_record_boundary()
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

fn wrong(why: impl Into<String>) -> ParquetError {
    ParquetError::General(why.into())
}
