//! The bytes of one file: read at places, never beyond its end, and never more than is there.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use super::contained::contained;
use super::thrift::{self, Malformed};
use crate::connect::filesystem::unreadable;
use crate::error::{Error, Result};

/// What a file begins and ends with.
const MAGIC: &[u8] = b"PAR1";
/// The same of one whose metadata is encrypted.
const MAGIC_ENCRYPTED: &[u8] = b"PARE";
/// Length of the metadata and the magic, at the end of a file.
const TAIL_BYTES: u64 = 8;

/// Metadata of one file at most. Files in the wild have kilobytes; a megabyte is a thousand columns in ten row groups.
const FOOTER_BYTES_MAX: u64 = 256 << 20;

/// Values of a column whose rows hold many, in a row group: this and so many for each byte in the file. More are those
/// of a file that was made to fill the memory.
const REPEATED_VALUES_MAX: i64 = 1 << 25;
const REPEATED_VALUES_PER_BYTE: i64 = 256;

/// Bytes read for the header of a page.
const READ_BUFFER_BYTES: usize = 512;

/// An open file. What the system refuses is kept, so that it is not taken for damage.
#[derive(Debug)]
pub struct FileBytes {
    path: PathBuf,
    file: Arc<File>,
    /// When it was opened.
    bytes: u64,
    failure: Mutex<Option<Error>>,
}

/// Why nothing can be had from a file, or from a part of it.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The file does not hold what it should.
    Damaged(String),
    /// The system, or the table: no policy for bad input helps.
    Fatal(Error),
}

impl FileBytes {
    /// Opens a file.
    ///
    /// # Errors
    /// `Connector`, if the system refuses.
    pub fn open(path: &Path) -> Result<Self> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = opened.map_err(|error| unreadable(path, &error))?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), bytes, failure: Mutex::new(None) })
    }

    /// Its length when it was opened.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What became of a read: the error of the system if there was one, else damage.
    #[must_use]
    pub fn fault(&self, message: String) -> Fault {
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Fault::Fatal(error.clone()),
            None => Fault::Damaged(message),
        }
    }

    /// The bytes of a range.
    ///
    /// # Errors
    /// If it is not within the file, or the system refuses.
    pub fn range(&self, start: u64, length: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to(start, length, &mut bytes)?;
        bytes.truncate(length as usize);
        Ok(bytes)
    }

    /// The bytes of a range, at the start of `buffer`, which grows to hold them.
    ///
    /// # Errors
    /// As for [`range`](Self::range).
    pub fn read_to<'a>(&self, start: u64, length: u64, buffer: &'a mut Vec<u8>) -> std::io::Result<&'a [u8]> {
        if start.checked_add(length).is_none_or(|end| end > self.bytes) {
            return Err(std::io::Error::other("a part of it lies beyond its end"));
        }
        let length = length as usize;
        if buffer.len() < length {
            // Zeros from the system need not be written.
            *buffer = vec![0; length];
        }
        self.read_exact(start, &mut buffer[..length])?;
        Ok(&buffer[..length])
    }

    /// Fills `bytes` with those from `start` on, which must be there.
    ///
    /// # Errors
    /// If the system refuses, or the file has become shorter.
    pub fn read_exact(&self, start: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        self.file.read_exact_at(bytes, start).inspect_err(|error| self.note(error))
    }

    fn note(&self, error: &std::io::Error) {
        let noted = match error.kind() {
            ErrorKind::UnexpectedEof => {
                let (path, bytes) = (self.path.display(), self.bytes);
                Error::connector(format!("`{path}` became shorter than the {bytes} bytes it had when it was opened"))
                    .help("read a file that nobody truncates, for example a copy")
            }
            _ => unreadable(&self.path, error),
        };
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(noted);
    }

    /// The metadata at its end, every size in it checked against the file.
    ///
    /// # Errors
    /// If there is none, or it contradicts itself.
    pub fn footer(&self) -> Result<ParquetMetaData, Fault> {
        let bytes = self.footer_bytes()?;
        thrift::check_footer(&bytes).map_err(|malformed| {
            Fault::Damaged(match malformed {
                Malformed::Short => "its metadata ends in the middle".to_owned(),
                Malformed::Wrong(why) => format!("its metadata is damaged: {why}"),
            })
        })?;
        let metadata = contained(|| ParquetMetaDataReader::decode_metadata(&bytes));
        let metadata = metadata.map_err(|why| Fault::Damaged(format!("its metadata is damaged: {why}")))?;
        match contained(|| check(&metadata, self.bytes)) {
            Ok(()) => Ok(metadata),
            Err(why) => Err(Fault::Damaged(format!("its metadata is damaged: {why}"))),
        }
    }

    fn footer_bytes(&self) -> Result<Vec<u8>, Fault> {
        let damaged = |why: &str| Fault::Damaged(why.to_owned());
        let read = |start, length| self.range(start, length).map_err(|error| self.fault(error.to_string()));
        if self.bytes == 0 {
            return Err(damaged("it is empty, which no Parquet file is"));
        }
        let magic = MAGIC.len() as u64;
        let head = read(0, magic.min(self.bytes))?;
        if self.bytes < magic + TAIL_BYTES || (head != MAGIC && head != MAGIC_ENCRYPTED) {
            return Err(damaged("it is not a Parquet file: it does not begin with PAR1"));
        }
        let tail = read(self.bytes - TAIL_BYTES, TAIL_BYTES)?;
        let (length, end) = tail.split_at(4);
        if end == MAGIC_ENCRYPTED || head == MAGIC_ENCRYPTED {
            return Err(damaged("it is encrypted, which is not supported"));
        }
        if end != MAGIC {
            return Err(damaged("it does not end with PAR1: its end is cut off, or it is still being written"));
        }
        let length = u64::from(u32::from_le_bytes(length.try_into().unwrap_or_default()));
        if length > self.bytes - magic - TAIL_BYTES {
            let bytes = self.bytes;
            return Err(Fault::Damaged(format!("it says that its metadata has {length} bytes, but it has {bytes}")));
        }
        if length > FOOTER_BYTES_MAX {
            return Err(Fault::Damaged(format!("its metadata has {length} bytes, more than {FOOTER_BYTES_MAX}")));
        }
        read(self.bytes - TAIL_BYTES - length, length)
    }
}

/// Whether the metadata agrees with itself and with a file of `bytes`.
fn check(metadata: &ParquetMetaData, bytes: u64) -> Result<(), String> {
    let mut rows = 0_i64;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        check_group(metadata, group, bytes).map_err(|why| format!("row group {index}: {why}"))?;
        rows = rows.saturating_add(group.num_rows());
    }
    let all = metadata.file_metadata().num_rows();
    if rows != all {
        return Err(format!("its row groups have {rows} rows, but the file says {all}"));
    }
    Ok(())
}

fn check_group(metadata: &ParquetMetaData, group: &RowGroupMetaData, bytes: u64) -> Result<(), String> {
    let rows = group.num_rows();
    if !(0..=i64::from(i32::MAX)).contains(&rows) {
        return Err(format!("{rows} rows"));
    }
    if group.columns().len() != metadata.file_metadata().schema_descr().num_columns() {
        return Err("it has another number of columns than the file".to_owned());
    }
    for column in group.columns() {
        let name = column.column_path().string();
        if column.file_path().is_some_and(|path| !path.is_empty()) {
            return Err(format!("column {name} lies in another file, which is not supported"));
        }
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let (size, values) = (column.compressed_size(), column.num_values());
        let end = start.checked_add(size).filter(|_| start >= 0 && size >= 0);
        if end.is_none_or(|end| end as u64 > bytes) {
            return Err(format!("column {name} does not lie within the file"));
        }
        let is_repeated = column.column_descr().max_rep_level() > 0;
        let most = REPEATED_VALUES_MAX.saturating_add(size.saturating_mul(REPEATED_VALUES_PER_BYTE));
        if values < 0 || (is_repeated && values > most) || (!is_repeated && values != rows) {
            return Err(format!("column {name} has {values} values for {rows} rows"));
        }
        if rows > 0 && size == 0 {
            return Err(format!("column {name} has no bytes for {rows} rows"));
        }
    }
    Ok(())
}

/// Whether the pages of a column can be decompressed.
#[must_use]
pub fn is_supported(compression: Compression) -> bool {
    !matches!(compression, Compression::LZO | Compression::BROTLI(_))
}

impl Length for FileBytes {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for FileBytes {
    type T = BufReader<ReadAt>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let read = ReadAt { file: Arc::clone(&self.file), at: start, end: self.bytes };
        Ok(BufReader::with_capacity(READ_BUFFER_BYTES, read))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.range(start, length as u64).map_err(|error| ParquetError::General(error.to_string()))?;
        Ok(bytes.into())
    }
}

/// A file from a place on, without a position that others share.
#[derive(Debug)]
pub struct ReadAt {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for ReadAt {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.end.saturating_sub(self.at).min(buffer.len() as u64) as usize;
        let count = self.file.read_at(&mut buffer[..left], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
