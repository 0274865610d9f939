//! How rows are written into one file, in any format.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use arrow_schema::SchemaRef;

use super::compression::{Compression, PackedFile};
use super::{HeaderDefault, RowEnd, TextRows};
use crate::connect::format::Format;
use crate::connect::format::parquet::{self, ParquetFileWriter, ParquetOptions};
use crate::connect::{Encoder, MakeEncoder, SinkRows};
use crate::error::{Error, Result};

/// Rows on their way into one file.
pub trait RowFile: Send {
    /// Appends rows.
    ///
    /// # Errors
    /// If the system refuses, or a value cannot be written: then it holds an [`Error`].
    fn write(&mut self, rows: SinkRows<'_>) -> std::io::Result<()>;

    /// Hands the system what can be handed over before the end: somebody waits for it.
    ///
    /// # Errors
    /// As for `write`.
    fn flush(&mut self) -> std::io::Result<()>;

    /// Bytes that the system has taken.
    fn taken(&self) -> u64;

    /// Bytes of the file so far, about.
    fn bytes(&self) -> u64;

    /// Bytes of rows that stay in memory until more have come, beyond a small buffer.
    fn held_bytes(&self) -> u64;

    /// Writes what belongs to the end, and gives the file back.
    ///
    /// # Errors
    /// As for `write`.
    fn finish(self: Box<Self>) -> std::io::Result<File>;
}

/// A format as files are written in it: makes a [`RowFile`] for each.
pub enum RowFormat {
    /// Lines of text: a header, then what the encoder makes.
    Text {
        /// Makes an encoder, on the workers or beside a file; `None` if somebody else encodes.
        encoder: Option<MakeEncoder>,
        /// Ahead of the first row; may be empty.
        header: Vec<u8>,
        /// Where a row ends.
        row_end: RowEnd,
        /// Ending of a part's name, without the dot.
        extension: &'static str,
    },
    /// Row groups of columns.
    Parquet {
        /// Of the rows.
        schema: SchemaRef,
        /// How they are written.
        options: ParquetOptions,
    },
}

impl RowFormat {
    /// For rows of `schema` in files.
    ///
    /// # Errors
    /// `Statement`, if a column's type cannot be written.
    pub fn new(format: &Format, schema: &SchemaRef) -> Result<Self> {
        let extension = match format {
            Format::Csv(_) => "csv",
            Format::Json(_) => "json",
            Format::Parquet(options) => {
                parquet::check_schema(schema)?;
                return Ok(Self::Parquet { schema: schema.clone(), options: options.clone() });
            }
        };
        let TextRows { encoder, header, row_end } = TextRows::new(format, schema, HeaderDefault::Absent)?;
        Ok(Self::Text { encoder: Some(encoder), header, row_end, extension })
    }

    /// For lines that somebody else has made.
    #[must_use]
    pub fn lines() -> Self {
        Self::Text { encoder: None, header: Vec::new(), row_end: RowEnd::Line, extension: "txt" }
    }

    /// What workers encode rows with ahead of the writer; `None` where the writer takes batches.
    #[must_use]
    pub fn encoder(&self) -> Option<MakeEncoder> {
        match self {
            Self::Text { encoder, .. } => encoder.clone(),
            Self::Parquet { .. } => None,
        }
    }

    /// Ending of a part's name, without the dot.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Text { extension, .. } => extension,
            Self::Parquet { .. } => "parquet",
        }
    }

    /// Begins a file, packed as the ending of `path` says.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn begin(&self, file: File, path: &Path) -> std::io::Result<Box<dyn RowFile>> {
        match self {
            Self::Text { encoder, header, .. } => {
                let mut out = PackedFile::new(file, Compression::of_path(path))?;
                out.write_all(header)?;
                Ok(Box::new(TextFile { out, encoder: encoder.as_ref().map(|make| make()), text: Vec::new() }))
            }
            // Its pages are compressed, whatever the name says.
            Self::Parquet { schema, options } => {
                let out = PackedFile::new(file, Compression::None)?;
                Ok(Box::new(ParquetFile(ParquetFileWriter::new(out, schema, options)?)))
            }
        }
    }

    /// Whole rows in the first `taken` bytes of what was written last; none where that cannot be told.
    #[must_use]
    pub fn rows_taken(&self, rows: SinkRows<'_>, taken: u64, path: &Path) -> u64 {
        match (self, rows) {
            (Self::Text { row_end, .. }, SinkRows::Encoded(bytes))
                if Compression::of_path(path) == Compression::None =>
            {
                let taken = usize::try_from(taken).unwrap_or(usize::MAX).min(bytes.len());
                row_end.rows(&bytes[..taken])
            }
            _ => 0,
        }
    }
}

/// Lines of text.
struct TextFile {
    out: PackedFile,
    /// For rows that come as batches.
    encoder: Option<Box<dyn Encoder>>,
    text: Vec<u8>,
}

impl RowFile for TextFile {
    fn write(&mut self, rows: SinkRows<'_>) -> std::io::Result<()> {
        match rows {
            SinkRows::Encoded(bytes) => self.out.write_all(bytes),
            SinkRows::Batches(batches) => {
                let Some(encoder) = &mut self.encoder else {
                    return Err(of_format(Error::internal("batches for a file of lines without an encoder")));
                };
                for batch in batches {
                    self.text.clear();
                    encoder.encode(batch, &mut self.text).map_err(of_format)?;
                    self.out.write_all(&self.text)?;
                }
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }

    fn taken(&self) -> u64 {
        self.out.taken()
    }

    fn bytes(&self) -> u64 {
        self.out.bytes()
    }

    fn held_bytes(&self) -> u64 {
        0
    }

    fn finish(self: Box<Self>) -> std::io::Result<File> {
        self.out.finish()
    }
}

/// A file of Parquet.
struct ParquetFile(ParquetFileWriter<PackedFile>);

impl RowFile for ParquetFile {
    fn write(&mut self, rows: SinkRows<'_>) -> std::io::Result<()> {
        match rows {
            SinkRows::Batches(batches) => self.0.write(batches),
            SinkRows::Encoded(_) => Err(of_format(Error::internal("encoded rows for a file of Parquet"))),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        // A row group is written when it is full: there is nothing that could be read before.
        Ok(())
    }

    fn taken(&self) -> u64 {
        self.0.inner().map_or(0, PackedFile::taken)
    }

    fn bytes(&self) -> u64 {
        self.0.bytes_written()
    }

    fn held_bytes(&self) -> u64 {
        self.0.memory_bytes() as u64
    }

    fn finish(mut self: Box<Self>) -> std::io::Result<File> {
        self.0.finish()?.finish()
    }
}

/// A format's error on its way through a writer of bytes.
fn of_format(error: Error) -> std::io::Error {
    std::io::Error::other(error)
}
