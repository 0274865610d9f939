//! Bytes on their way into a file: as they are, or compressed as the ending of the path says.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::write::GzEncoder;

/// Bytes gathered before a write to the system.
const BUFFER_BYTES: usize = 128 * 1024;

/// How the bytes of a file are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
}

impl Compression {
    /// What the ending of `path` says.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("gz" | "gzip") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// A file that packs what is written into it. Each is one member or frame, finished by [`finish`](Self::finish).
pub enum PackedFile {
    /// As it is.
    Plain(BufWriter<CountedFile>),
    /// RFC 1952.
    Gzip(Box<GzEncoder<BufWriter<CountedFile>>>),
    /// RFC 8878.
    Zstd(Box<zstd::stream::write::Encoder<'static, BufWriter<CountedFile>>>),
}

/// A file that knows how many bytes it was given.
pub struct CountedFile {
    file: File,
    taken: u64,
}

impl Write for CountedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let (taken, written) = super::write_counted(&mut self.file, bytes);
        self.taken += taken as u64;
        // What was taken is told first; the error comes with the rest, if it lasts.
        if taken > 0 { Ok(taken) } else { written.map(|()| 0) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl PackedFile {
    /// Writes into `file` from its start.
    ///
    /// # Errors
    /// If there is no memory for the compressor.
    pub fn new(file: File, compression: Compression) -> std::io::Result<Self> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, CountedFile { file, taken: 0 });
        Ok(match compression {
            Compression::None => Self::Plain(out),
            Compression::Gzip => Self::Gzip(Box::new(GzEncoder::new(out, flate2::Compression::default()))),
            Compression::Zstd => Self::Zstd(Box::new(zstd::stream::write::Encoder::new(out, 0)?)),
        })
    }

    /// Bytes that the system has taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.buffer().get_ref().taken
    }

    /// Bytes of the file so far, but for those that the compressor holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.taken() + self.buffer().buffer().len() as u64
    }

    /// Writes what is still held, and gives the file back.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn finish(self) -> std::io::Result<File> {
        let out = match self {
            Self::Plain(out) => out,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        out.into_inner().map(|counted| counted.file).map_err(std::io::IntoInnerError::into_error)
    }

    fn buffer(&self) -> &BufWriter<CountedFile> {
        match self {
            Self::Plain(out) => out,
            Self::Gzip(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
        }
    }
}

impl Write for PackedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
            Self::Zstd(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() {
        let rows: Vec<u8> = (0..20_000).flat_map(|n| format!("{n},abc\n").into_bytes()).collect();
        for (name, plain) in [("a.csv", true), ("a.csv.gz", false), ("a.csv.ZST", false)] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(name);
            let mut out = PackedFile::new(File::create(&path).unwrap(), Compression::of_path(&path)).unwrap();
            rows.chunks(7_001).for_each(|piece| out.write_all(piece).unwrap());
            out.finish().unwrap();
            let packed = std::fs::read(&path).unwrap();
            let mut unpacked = Vec::new();
            match Compression::of_path(&path) {
                Compression::None => unpacked.clone_from(&packed),
                Compression::Gzip => _ = flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap(),
                Compression::Zstd => unpacked = zstd::stream::decode_all(&packed[..]).unwrap(),
            }
            assert_eq!(unpacked, rows, "{name}");
            assert!(plain || packed.len() * 2 < rows.len(), "{name} is packed");
        }
    }
}
