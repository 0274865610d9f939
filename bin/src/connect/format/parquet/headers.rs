//! The headers of a column's pages, each checked before anybody believes it: what a header declares is allocated, so it must
//! be no more than a page may have, and no more than is there.

use std::sync::Arc;

use parquet::basic::Type;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;

use super::file::FileBytes;
use super::thrift::{self, Malformed, PageHeader};

/// A page at most, once decompressed. Writers aim at 1 MiB; one is known that writes 100 MB.
pub const PAGE_BYTES_MAX: i64 = 256 << 20;

/// Values of a page at most where a row may hold many.
const REPEATED_PAGE_VALUES_MAX: i64 = 1 << 25;

/// Bytes read for a header at first, and at most: old writers put whole values into it as statistics.
const HEADER_BYTES_USUAL: u64 = 256;
const HEADER_BYTES_MAX: u64 = 16 << 20;

/// The headers of one column of a row group, one after the other.
pub struct PageHeaders {
    bytes: Arc<FileBytes>,
    /// Place of the next header in the file.
    at: u64,
    end: u64,
    /// The one at `at`, once it was found to be in order.
    next: Option<PageHeader>,
    /// Values that the pages to come may have, by the metadata of the column.
    values_left: i64,
    physical: Type,
    /// Of a value of fixed length.
    value_bytes: i32,
    /// Whether a row may hold many values.
    is_repeated: bool,
    /// What headers are read into.
    buffer: Vec<u8>,
}

/// A page in the file.
#[derive(Clone, Copy, Debug)]
pub struct PagePlace {
    /// Its header.
    pub header: PageHeader,
    /// Where its content begins.
    pub at: u64,
}

impl PageHeaders {
    /// Of a column whose place has been checked against the file.
    #[must_use]
    pub fn new(bytes: Arc<FileBytes>, column: &ColumnChunkMetaData) -> Self {
        let (at, length) = column.byte_range();
        let description = column.column_descr();
        Self {
            bytes,
            at,
            end: at + length,
            next: None,
            values_left: column.num_values(),
            physical: description.physical_type(),
            value_bytes: description.type_length(),
            is_repeated: description.max_rep_level() > 0,
            buffer: Vec::new(),
        }
    }

    /// Looks at the next page, unless it was looked at already; `None` behind the last. Pages of an index are passed over.
    ///
    /// # Errors
    /// If its header cannot be, or the system refuses.
    pub fn peek(&mut self) -> Result<Option<PagePlace>> {
        while self.next.is_none() && self.at < self.end {
            let header = self.header()?;
            if header.kind == 1 {
                self.at += header.length as u64 + header.compressed as u64;
                continue;
            }
            self.next = Some(header);
        }
        Ok(self.next.map(|header| PagePlace { header, at: self.at + header.length as u64 }))
    }

    /// The page that was looked at last was taken or passed over.
    pub fn advance(&mut self) {
        if let Some(header) = self.next.take() {
            self.at += header.length as u64 + header.compressed as u64;
            self.values_left -= if header.kind == 2 { 0 } else { header.values };
        }
    }

    fn header(&mut self) -> Result<PageHeader> {
        let left = self.end - self.at;
        let mut length = HEADER_BYTES_USUAL.min(left);
        let header = loop {
            let bytes = self.bytes.read_to(self.at, length, &mut self.buffer);
            match thrift::page_header(bytes.map_err(|error| wrong(error.to_string()))?) {
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
            0 | 3 if self.is_repeated && header.values > REPEATED_PAGE_VALUES_MAX => Err(wrong(format!(
                "a page of {} values; at most {REPEATED_PAGE_VALUES_MAX} are read where a row may hold many",
                header.values
            ))),
            2 => self.check_dictionary(&header).map(|()| header),
            0 | 1 | 3 => Ok(header),
            _ => Err(wrong("a page is of no known kind")),
        }
    }

    fn check_dictionary(&self, header: &PageHeader) -> Result<()> {
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
}

/// Damage, in words.
pub fn wrong(why: impl Into<String>) -> ParquetError {
    ParquetError::General(why.into())
}
