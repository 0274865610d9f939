//! Compression: recognised by the first bytes of an input, and undone piece by piece.
//!
//! gzip may have several members, zstd several frames and frames to be skipped; both are read as their own tools read
//! them, as one text. Memory is bounded whatever the ratio of compression: gzip needs 32 KiB of history, zstd what its
//! frames ask for up to [`ZSTD_WINDOW_LOG_MAX`], and text comes out in pieces of the caller's size.
//!
//! **What comes out before a fault does not depend on the sizes of the pieces.** A decompressor that stops at a fault must
//! have given out all that lies before it. zlib does. zstd may forget what it wrote in the call that fails; so it is fed up
//! to the end of a block, and the header of the next one, at which it could fail, by itself.

use std::io::{ErrorKind, Read};

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// Greatest window of a zstd frame, as the power of two: 128 MiB, as for the `zstd` tool without `--long`.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Compressed bytes that are read at a time.
const INPUT_BYTES: usize = 64 << 10;

/// Bytes by which any packing is recognised.
pub const MAGIC_BYTES: usize = 6;

/// How an input is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// In a way that is not read here: its name.
    Foreign(&'static str),
}

/// First bytes and what they say. None of them starts a table of text: they are not UTF-8, or have control characters.
/// (bzip2's is text, but none that a table would start with.)
const MAGICS: [(&[u8], Packing); 7] = [
    (b"\x1F\x8B", Packing::Gzip),
    (b"\x28\xB5\x2F\xFD", Packing::Zstd),
    (b"\xFD7zXZ\0", Packing::Foreign("xz")),
    (b"\x04\x22\x4D\x18", Packing::Foreign("lz4")),
    (b"PK\x03\x04", Packing::Foreign("zip")),
    (b"BZh91A", Packing::Foreign("bzip2")),
    (b"\x1F\x9D", Packing::Foreign("compress")),
];

impl Packing {
    /// Recognises the packing by the first bytes; `None` if they are too few to know.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        // Frames of zstd that are to be skipped: 0x184D2A50 to 0x184D2A5F, the least byte first.
        let skippable: [u8; 4] = [0x50, 0x2A, 0x4D, 0x18];
        let masked: Vec<u8> =
            head.iter().take(4).enumerate().map(|(n, byte)| if n == 0 { byte & 0xF0 } else { *byte }).collect();
        let magics = MAGICS.iter().map(|(magic, packing)| (*magic, *packing, head));
        let magics = magics.chain([(&skippable[..], Self::Zstd, &masked[..])]);
        let mut may_be = false;
        for (magic, packing, head) in magics {
            if head.starts_with(magic) {
                return Some(packing);
            }
            may_be |= magic.starts_with(head);
        }
        (!may_be).then_some(Self::Plain)
    }

    /// What the ending of a name promises, if it promises a packing that is read here.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let ending = name.rsplit_once('.')?.1;
        match () {
            () if ending.eq_ignore_ascii_case("gz") || ending.eq_ignore_ascii_case("gzip") => Some(Self::Gzip),
            () if ending.eq_ignore_ascii_case("zst") || ending.eq_ignore_ascii_case("zstd") => Some(Self::Zstd),
            () => None,
        }
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Foreign(name) => name,
        }
    }
}

/// Why an input cannot be read on.
#[derive(Debug)]
pub enum Fault {
    /// The system refuses.
    Io(std::io::Error),
    /// The bytes are not what they should be.
    Damage(Damage),
}

/// A damaged place of a compressed input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What is damaged.
    pub packing: Packing,
    /// Bytes of the input, still compressed, before the fault was noticed.
    pub packed_offset: u64,
    /// Bytes of the text before it.
    pub offset: u64,
    /// What is wrong.
    pub detail: String,
}

impl Damage {
    /// What is wrong, without the name of the input.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { packing, packed_offset, offset, detail } = self;
        match packing {
            Packing::Foreign(name) => format!("data packed with {name} is not read"),
            _ => format!(
                "the {} data cannot be read on from byte {packed_offset} (byte {offset} when decompressed): {detail}",
                packing.name()
            ),
        }
    }

    /// How to mend it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.packing {
            Packing::Foreign(_) => "unpack it first, or pack it with gzip or zstd",
            _ => {
                "get the file again from where it came from, or keep what can be read with 'on-error' = 'skip' or 'divert'"
            }
        }
    }
}

/// Undoes the compression of one input. The input itself is an argument: a followed file is not open all the time.
pub struct Unpacker {
    state: State,
    /// What the name promises.
    promised: Option<Packing>,
    input: Vec<u8>,
    /// The part of `input` that is not used up.
    start: usize,
    end: usize,
    /// Bytes used up.
    packed_offset: u64,
    /// Bytes given out.
    offset: u64,
}

enum State {
    /// Not enough has come to know.
    Sniffing,
    Plain,
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
    /// Nothing more comes: a fault was told.
    Broken,
}

/// What became of one step of a decompressor.
struct Step {
    used: usize,
    made: usize,
}

impl Unpacker {
    /// For an input of which nothing is known but, perhaps, its name.
    #[must_use]
    pub fn new(name: Option<&str>) -> Self {
        Self {
            state: State::Sniffing,
            promised: name.and_then(Packing::of_name),
            input: Vec::new(),
            start: 0,
            end: 0,
            packed_offset: 0,
            offset: 0,
        }
    }

    /// Bytes of the input that were used up so far.
    #[must_use]
    pub fn packed_offset(&self) -> u64 {
        self.packed_offset
    }

    /// Bytes that were read from the input: used up, or waiting here.
    #[must_use]
    pub fn read_offset(&self) -> u64 {
        self.packed_offset + (self.end - self.start) as u64
    }

    /// Bytes of text given out so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Puts the next bytes of text into `out` and says how many; 0 once `source` gives nothing, for now or for ever. At
    /// most one read of `source` is waited for if that gives any text.
    ///
    /// # Errors
    /// As [`Fault`] says. All text before a fault has been given out.
    pub fn read(&mut self, source: &mut dyn Read, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            if matches!(self.state, State::Sniffing) && !self.sniff(source)? {
                return Ok(0);
            }
            if matches!(self.state, State::Broken) {
                return Ok(0);
            }
            if matches!(self.state, State::Plain) && self.start == self.end {
                let bytes = retried(|| source.read(out)).map_err(Fault::Io)?;
                self.packed_offset += bytes as u64;
                self.offset += bytes as u64;
                return Ok(bytes);
            }
            let step = self.step(out)?;
            self.start += step.used;
            self.packed_offset += step.used as u64;
            self.offset += step.made as u64;
            if step.made > 0 {
                return Ok(step.made);
            }
            if step.used == 0 && !self.fill(source)? {
                return Ok(0);
            }
        }
    }

    /// Gives back memory that is not needed while nothing comes.
    pub fn rest(&mut self) {
        if self.start == self.end {
            self.input = Vec::new();
            (self.start, self.end) = (0, 0);
        }
        match &mut self.state {
            State::Gzip(gzip) if gzip.is_between => gzip.inflate = None,
            State::Zstd(zstd) if zstd.is_between => zstd.decoder = None,
            _ => {}
        }
    }

    /// To be called when nothing will come any more: puts what is left of a text that is as short as some packing's mark
    /// into `out`, and says how many bytes that are.
    ///
    /// # Errors
    /// If the input ends in the middle of what was compressed together.
    pub fn finish(&mut self, out: &mut [u8]) -> Result<usize, Damage> {
        let rest = self.start..self.end;
        let is_whole = match &self.state {
            State::Sniffing if self.promised.is_none() => {
                self.state = State::Broken;
                out[..rest.len()].copy_from_slice(&self.input[rest.clone()]);
                (self.start, self.packed_offset) = (self.end, self.packed_offset + rest.len() as u64);
                self.offset += rest.len() as u64;
                return Ok(rest.len());
            }
            State::Sniffing => false,
            State::Plain | State::Broken => true,
            State::Gzip(gzip) => gzip.is_between,
            State::Zstd(zstd) => zstd.is_between,
        };
        if is_whole {
            return Ok(0);
        }
        Err(self.damage("it stops in the middle: the file is truncated".to_owned()))
    }

    /// Finds out how the input is packed; false if too little has come.
    fn sniff(&mut self, source: &mut dyn Read) -> Result<bool, Fault> {
        loop {
            let head = &self.input[self.start..self.end];
            match if head.is_empty() { None } else { Packing::of(head) } {
                Some(Packing::Plain) => match self.promised {
                    None => self.state = State::Plain,
                    Some(packing) => {
                        let detail =
                            format!("it does not start as {} does: if it is not compressed, rename it", packing.name());
                        return Err(Fault::Damage(self.damage(detail)));
                    }
                },
                Some(Packing::Gzip) => self.state = State::Gzip(Box::default()),
                Some(Packing::Zstd) => self.state = State::Zstd(Box::new(Zstd::new())),
                Some(foreign @ Packing::Foreign(_)) => {
                    self.promised = Some(foreign);
                    return Err(Fault::Damage(self.damage(String::new())));
                }
                None if !self.fill(source)? => return Ok(false),
                None => continue,
            }
            return Ok(true);
        }
    }

    /// Reads more input behind what is there; false if none comes.
    fn fill(&mut self, source: &mut dyn Read) -> Result<bool, Fault> {
        self.input.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        self.input.resize(INPUT_BYTES, 0);
        let bytes = retried(|| source.read(&mut self.input[self.end..])).map_err(Fault::Io)?;
        self.end += bytes;
        Ok(bytes > 0)
    }

    fn step(&mut self, out: &mut [u8]) -> Result<Step, Fault> {
        let input = &self.input[self.start..self.end];
        let outcome = match &mut self.state {
            State::Plain => {
                let bytes = input.len().min(out.len());
                out[..bytes].copy_from_slice(&input[..bytes]);
                Ok(Step { used: bytes, made: bytes })
            }
            State::Gzip(gzip) => gzip.step(input, out),
            State::Zstd(zstd) => zstd.step(input, out),
            State::Sniffing | State::Broken => Ok(Step { used: 0, made: 0 }),
        };
        outcome.map_err(|detail| Fault::Damage(self.damage(detail)))
    }

    fn damage(&mut self, detail: String) -> Damage {
        let packing = match self.state {
            State::Gzip(_) => Packing::Gzip,
            State::Zstd(_) => Packing::Zstd,
            _ => self.promised.unwrap_or(Packing::Plain),
        };
        self.state = State::Broken;
        self.promised = None;
        (self.start, self.end) = (0, 0);
        Damage { packing, packed_offset: self.packed_offset, offset: self.offset, detail }
    }
}

/// One member of gzip after the other.
struct Gzip {
    /// None while it is not needed.
    inflate: Option<Box<Decompress>>,
    /// No member has been begun that is not finished.
    is_between: bool,
    /// Zeros have come behind a member: padding of tapes, behind which nothing else may come.
    is_padded: bool,
    /// A fault that comes with text before it: told by the next step.
    fault: Option<String>,
    members: u64,
}

impl Default for Gzip {
    fn default() -> Self {
        Self { inflate: None, is_between: true, is_padded: false, fault: None, members: 0 }
    }
}

impl Gzip {
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, String> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if self.is_between && self.members > 0 {
            let zeros = input.iter().take_while(|byte| **byte == 0).count();
            if zeros > 0 {
                self.is_padded = true;
                return Ok(Step { used: zeros, made: 0 });
            }
            match input {
                [] => return Ok(Step { used: 0, made: 0 }),
                [0x1F, ..] if !self.is_padded => {}
                _ => return Err("something else follows the compressed data".to_owned()),
            }
        }
        if input.is_empty() && self.is_between {
            return Ok(Step { used: 0, made: 0 });
        }
        self.is_between = false;
        let inflate = self.inflate.get_or_insert_with(|| Box::new(Decompress::new_gzip(15)));
        let (used, made) = (inflate.total_in(), inflate.total_out());
        let outcome = inflate.decompress(input, out, FlushDecompress::None);
        let step = Step { used: (inflate.total_in() - used) as usize, made: (inflate.total_out() - made) as usize };
        match outcome {
            Ok(Status::StreamEnd) => {
                inflate.reset(true);
                self.is_between = true;
                self.members += 1;
                Ok(step)
            }
            Ok(Status::Ok | Status::BufError) => Ok(step),
            Err(error) => {
                let detail = error.message().map_or_else(|| "it is not valid".to_owned(), str::to_owned);
                if step.made == 0 {
                    return Err(detail);
                }
                self.fault = Some(detail);
                Ok(step)
            }
        }
    }
}

/// One frame of zstd after the other.
struct Zstd {
    /// None while it is not needed.
    decoder: Option<Decoder<'static>>,
    /// Bytes that the decoder would take next at best.
    wanted: usize,
    /// The last step filled its output: more may be ready without more input.
    is_pending: bool,
    is_between: bool,
}

/// Bytes of the header of a block within a frame.
const BLOCK_HEADER_BYTES: usize = 3;

impl Zstd {
    fn new() -> Self {
        Self { decoder: None, wanted: 1, is_pending: false, is_between: true }
    }

    fn decoder() -> std::io::Result<Decoder<'static>> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
        Ok(decoder)
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, String> {
        // See the module's page: the end of a block and the header of the next one are not fed together.
        let wanted = if self.wanted > BLOCK_HEADER_BYTES { self.wanted - BLOCK_HEADER_BYTES } else { self.wanted };
        let fed = if self.is_pending { 0 } else { wanted.min(input.len()) };
        if fed == 0 && !self.is_pending {
            return Ok(Step { used: 0, made: 0 });
        }
        let mut from = InBuffer::around(&input[..fed]);
        let mut to = OutBuffer::around(out);
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(Self::decoder().map_err(|error| error.to_string())?),
        };
        let hint = decoder.run(&mut from, &mut to).map_err(|error| zstd_detail(&error))?;
        let step = Step { used: from.pos(), made: to.pos() };
        let was_pending = self.is_pending;
        self.is_pending = step.made == out.len();
        self.is_between = hint == 0;
        self.wanted = hint.max(1);
        if was_pending && step.made == 0 {
            return self.step(input, out);
        }
        Ok(step)
    }
}

fn zstd_detail(error: &std::io::Error) -> String {
    let text = error.to_string();
    if text.contains("too much memory") {
        return format!(
            "its window is larger than {} MiB: compress it without --long",
            (1u64 << ZSTD_WINDOW_LOG_MAX) >> 20
        );
    }
    match text.as_str() {
        "Unknown frame descriptor" => "something else than a frame of zstd is there".to_owned(),
        _ => text,
    }
}

fn retried(mut read: impl FnMut() -> std::io::Result<usize>) -> std::io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Gives at most so many bytes at once.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let bytes = self.0.len().min(self.1).min(out.len());
            out[..bytes].copy_from_slice(&self.0[..bytes]);
            self.0 = &self.0[bytes..];
            Ok(bytes)
        }
    }

    /// All text, in pieces of `out_bytes` from pieces of `in_bytes`, and the fault that comes behind it.
    fn unpacked(packed: &[u8], name: Option<&str>, in_bytes: usize, out_bytes: usize) -> (Vec<u8>, Option<Damage>) {
        let mut unpacker = Unpacker::new(name);
        let mut source = Dribble(packed, in_bytes);
        let (mut text, mut out) = (Vec::new(), vec![0; out_bytes]);
        let damage = loop {
            match unpacker.read(&mut source, &mut out) {
                Ok(0) => break None,
                Ok(bytes) => text.extend_from_slice(&out[..bytes]),
                Err(Fault::Damage(damage)) => break Some(damage),
                Err(Fault::Io(error)) => panic!("{error}"),
            }
        };
        if damage.is_some() {
            return (text, damage);
        }
        let mut rest = [0; MAGIC_BYTES];
        match unpacker.finish(&mut rest) {
            Ok(bytes) => text.extend_from_slice(&rest[..bytes]),
            Err(damage) => return (text, Some(damage)),
        }
        assert_eq!(unpacker.packed_offset(), packed.len() as u64);
        assert_eq!(unpacker.offset(), text.len() as u64);
        (text, None)
    }

    fn sizes() -> impl Iterator<Item = (usize, usize)> {
        [(1, 1), (1, 1000), (7, 3), (1 << 20, 1), (1 << 20, 1 << 20), (100, 64), (65_536, 131_072)].into_iter()
    }

    /// Numbers that compress to a third or so.
    fn numbers(count: u64) -> Vec<u8> {
        (0..count).flat_map(|n| format!("{},{n}\n", n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40).into_bytes()).collect()
    }

    #[test]
    fn members_and_frames_are_one_text() {
        let (a, b) = (numbers(3_000), numbers(20));
        let text = [&a[..], &b].concat();
        let skippable = [0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
        for packed in [
            [gzip(&a), gzip(b""), gzip(&b)].concat(),
            [gzip(&a), gzip(&b), vec![0; 700]].concat(),
            [zstd(&a), zstd(&b)].concat(),
            [&skippable[..], &zstd(&a), &skippable, &zstd(b""), &zstd(&b), &skippable].concat(),
            text.clone(),
        ] {
            for (in_bytes, out_bytes) in sizes() {
                let (found, damage) = unpacked(&packed, None, in_bytes, out_bytes);
                assert!(found == text && damage.is_none(), "{in_bytes} {out_bytes}: {damage:?}");
            }
        }
    }

    #[test]
    fn a_text_that_starts_like_a_mark_is_a_text() {
        for text in [&b""[..], b"P", b"PK", b"BZh91", b"(", b"_*M", b"Symbol,x\n", b"PKZ\n"] {
            for (in_bytes, out_bytes) in sizes() {
                assert_eq!(unpacked(text, None, in_bytes, out_bytes), (text.to_vec(), None));
            }
        }
    }

    #[test]
    fn a_file_cut_anywhere_gives_what_is_before_the_cut_and_says_so() {
        let text = numbers(200);
        for packed in [gzip(&text), zstd(&text), [zstd(&text), zstd(&text)].concat()] {
            for cut in (7..packed.len()).step_by(4) {
                let expected = unpacked(&packed[..cut], None, 1 << 20, 1 << 20);
                for (in_bytes, out_bytes) in [(1, 1), (5, 100), (1 << 20, 2)] {
                    let found = unpacked(&packed[..cut], None, in_bytes, out_bytes);
                    assert_eq!(found, expected, "{cut} {in_bytes} {out_bytes}");
                }
                let (found, damage) = expected;
                let is_between_frames = packed[cut..].starts_with(b"\x28\xB5\x2F\xFD");
                assert_eq!(damage.is_none(), is_between_frames, "{cut}");
                assert!([&text[..], &text].concat().starts_with(&found));
            }
        }
    }

    #[test]
    fn what_comes_before_a_broken_byte_does_not_depend_on_the_pieces() {
        let text = numbers(300);
        let (gzip, zstd) = (gzip(&text), [zstd(&text[..1_000]), zstd(&text[1_000..])].concat());
        for packed in [gzip, zstd] {
            let mut told = 0;
            for place in (2..packed.len()).step_by(5) {
                let mut broken = packed.clone();
                broken[place] ^= 0x55;
                let expected = unpacked(&broken, None, 1 << 20, 1 << 20);
                for (in_bytes, out_bytes) in [(1, 1), (3, 64), (1 << 20, 100), (4096, 131_072)] {
                    let (found, damage) = unpacked(&broken, None, in_bytes, out_bytes);
                    assert!(found == expected.0, "{place} {in_bytes} {out_bytes}");
                    assert_eq!(damage.is_some(), expected.1.is_some(), "{place}");
                }
                told += usize::from(expected.1.is_some());
            }
            assert!(told > 50, "only {told} faults were noticed");
        }
    }

    #[test]
    fn what_is_not_whole_says_where() {
        let text = numbers(100);
        let packed = gzip(&text);
        let garbage = [&packed[..], b"garbage"].concat();
        let (found, damage) = unpacked(&garbage, None, 1000, 1000);
        let damage = damage.unwrap();
        assert_eq!(
            (found.len(), damage.packed_offset, damage.offset),
            (text.len(), packed.len() as u64, text.len() as u64)
        );
        assert!(damage.message().ends_with("something else follows the compressed data"), "{}", damage.message());
        let zeros_and_more = [&packed[..], b"\0\0", &packed].concat();
        assert!(unpacked(&zeros_and_more, None, 1000, 1000).1.is_some());
        let after_zstd = [zstd(&text), b"garbage".to_vec()].concat();
        let (found, damage) = unpacked(&after_zstd, None, 1000, 1000);
        assert_eq!((found.len(), damage.is_some()), (text.len(), true));
        for (name, content) in [("t.csv.gz", &b""[..]), ("t.csv.gz", b"a\n"), ("t.ZST", b"("), ("t.zst", b"a,b\n")] {
            assert!(unpacked(content, Some(name), 1, 10).1.is_some(), "{name}");
        }
        let (found, damage) = unpacked(b"PK\x03\x04....", None, 1, 10);
        assert_eq!((found, damage.unwrap().message()), (Vec::new(), "data packed with zip is not read".to_owned()));
    }

    #[test]
    fn a_bomb_comes_out_in_pieces() {
        let zeros = vec![0; 8 << 20];
        for packed in [gzip(&zeros), zstd(&zeros)] {
            let (mut unpacker, mut out, mut bytes) = (Unpacker::new(None), vec![0; 4096], 0);
            let mut source = &packed[..];
            while let Ok(more @ 1..) = unpacker.read(&mut source, &mut out) {
                bytes += more;
            }
            assert_eq!(bytes, zeros.len());
            assert!(packed.len() < 100_000 && unpacker.input.capacity() <= INPUT_BYTES);
        }
    }

    #[test]
    fn a_window_beyond_the_limit_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(28).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.write_all(&numbers(1_000)).unwrap();
        let packed = encoder.finish().unwrap();
        let (found, damage) = unpacked(&packed, None, 1000, 1000);
        assert!(found.is_empty());
        assert!(damage.unwrap().detail.contains("larger than 128 MiB"));
    }
}
