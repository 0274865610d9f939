//! One generation of a followed file: an inode, and how far it has been read.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::feed::{Feeder, Stream};
use super::super::packing::{Fault, Unpacker};
use super::super::sequence::{Fill, Pumped, pump};
use super::listing::{Extent, FileId, Listed};

/// First bytes by which a file is known.
pub const HEAD_BYTES: usize = 1024;

/// A file that is or was followed.
pub struct Generation {
    /// Where it was seen last.
    pub path: PathBuf,
    /// Which file it is.
    pub id: FileId,
    /// None before it is begun, and after it has ended or was found damaged.
    pub stream: Option<Stream>,
    /// How far it has been read.
    pub unpacker: Unpacker,
    /// No file that is followed is this one any more: it was renamed, or deleted.
    pub is_gone: bool,
    /// Looks without growth since it is gone.
    pub quiet_looks: u32,
    /// Number of the read that found it grown last.
    pub last_growth: u64,
    file: Option<File>,
    /// What was read of its first bytes.
    head: Vec<u8>,
    /// Its state at the last look.
    extent: Option<Extent>,
    is_ended: bool,
}

/// What a look at a file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Nothing is new.
    None,
    /// So many bytes have not been read.
    Grown(u64),
    /// It is not what was read before: truncated, or another file.
    Replaced,
}

impl Generation {
    /// The file at `path`, of which nothing has been read.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let id = FileId::of(&file.metadata()?);
        Ok(Self {
            path: path.to_owned(),
            id,
            stream: None,
            unpacker: Unpacker::new(path.to_str()),
            is_gone: false,
            quiet_looks: 0,
            last_growth: 0,
            file: Some(file),
            head: Vec::new(),
            extent: None,
            is_ended: false,
        })
    }

    /// It is there, perhaps under another name.
    pub fn is_listed_as(&mut self, path: &Path) {
        (self.is_gone, self.quiet_looks) = (false, 0);
        if self.path != path {
            path.clone_into(&mut self.path);
        }
    }

    /// Looks at a file that is there.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn look(&mut self, listed: &Listed) -> std::io::Result<Growth> {
        if self.extent == Some(listed.extent) {
            return Ok(Growth::None);
        }
        if self.file.is_none() {
            let file = File::open(&listed.path)?;
            // Another one by now: the next look lists it.
            if FileId::of(&file.metadata()?) != self.id {
                return Ok(Growth::None);
            }
            self.file = Some(file);
        }
        Ok(self.look_through_handle().unwrap_or(Growth::None))
    }

    /// Looks at the file whatever its name is now; `None` if it is not open, or cannot be looked at.
    pub fn look_through_handle(&mut self) -> Option<Growth> {
        let file = self.file.as_ref()?;
        let extent = Extent::of(&file.metadata().ok()?);
        if self.extent == Some(extent) {
            return Some(Growth::None);
        }
        self.extent = Some(extent);
        let read = self.unpacker.read_offset();
        if extent.bytes < read || !self.begins_as_before() {
            return Some(Growth::Replaced);
        }
        Some(if extent.bytes > read { Growth::Grown(extent.bytes - read) } else { Growth::None })
    }

    /// Whether the first bytes are still those that were read.
    fn begins_as_before(&self) -> bool {
        let mut head = vec![0; self.head.len()];
        // What cannot be read now is told by the reading that follows.
        self.file.as_ref().is_none_or(|file| file.read_exact_at(&mut head, 0).is_err() || head == self.head)
    }

    /// Reads up to `bytes` more, and hands them out.
    ///
    /// # Errors
    /// As [`pump`].
    pub fn pump(&mut self, feeder: &mut Feeder, bytes: u64) -> Result<Pumped, Fault> {
        let (Some(file), Some(stream)) = (&self.file, &mut self.stream) else { return Ok(Pumped::Dry) };
        let at = self.unpacker.read_offset();
        let mut window = Window { file, at, end: at + bytes, head: &mut self.head };
        let outcome = pump(feeder, stream, &mut self.unpacker, &mut window, Fill::Whole);
        self.unpacker.rest();
        outcome
    }

    /// It is done with.
    pub fn end(&mut self) {
        self.is_ended = true;
        self.file = None;
    }

    /// Whether it is done with.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether it holds a descriptor.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Gives its descriptor back, until it grows.
    pub fn close(&mut self) {
        self.file = None;
    }

    /// Its first bytes, as they were read.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Its state at the last look.
    #[must_use]
    pub fn extent(&self) -> Option<Extent> {
        self.extent
    }
}

/// The part of a file that is to be read now.
struct Window<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    head: &'a mut Vec<u8>,
}

impl Read for Window<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let wanted = (self.end - self.at).min(out.len() as u64) as usize;
        let bytes = self.file.read_at(&mut out[..wanted], self.at)?;
        if self.at == self.head.len() as u64 {
            let more = bytes.min(HEAD_BYTES - self.head.len());
            self.head.extend_from_slice(&out[..more]);
        }
        self.at += bytes as u64;
        Ok(bytes)
    }
}
