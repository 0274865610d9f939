//! Bytes on their way into a file: as they are, or compressed as the ending of the path says.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::path::Path;

use flate2::write::GzEncoder;

/// Bytes gathered before a write to the system. What workers encode of one block is more, and goes there without a copy.
const BUFFER_BYTES: usize = 32 * 1024;

/// Bytes after which the system is asked to write them back: what the disk has done by the end need not be waited for then.
const WRITE_BACK_BYTES: u64 = 8 << 20;

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
    /// Up to where the system was asked to write it back.
    written_back: u64,
}

impl Write for CountedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let (taken, written) = super::write_counted(&mut self.file, bytes);
        self.taken += taken as u64;
        if self.taken - self.written_back >= WRITE_BACK_BYTES {
            write_back(&self.file, self.written_back..self.taken);
            self.written_back = self.taken;
        }
        // What was taken is told first; the error comes with the rest, if it lasts.
        if taken > 0 { Ok(taken) } else { written.map(|()| 0) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Asks the system to begin to write a part of the file to the disk, and does not wait for it. It is a hint: a device or a
/// pipe refuses it, and other systems than Linux do not have it; whether the file is durable is told by `sync_all` alone.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a call of the system; 244 MB are durable 2 ms after the last write instead of 70 ms")]
fn write_back(file: &File, range: Range<u64>) {
    let (Ok(start), Ok(bytes)) = (i64::try_from(range.start), i64::try_from(range.end - range.start)) else { return };
    // SAFETY: the descriptor is open as long as `file` is borrowed, and the call takes no pointers.
    let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), start, bytes, libc::SYNC_FILE_RANGE_WRITE) };
}

#[cfg(not(target_os = "linux"))]
fn write_back(_: &File, _: Range<u64>) {}

impl PackedFile {
    /// Writes into `file` from its start.
    ///
    /// # Errors
    /// If there is no memory for the compressor.
    pub fn new(file: File, compression: Compression) -> std::io::Result<Self> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, CountedFile { file, taken: 0, written_back: 0 });
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
