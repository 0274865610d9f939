//! Decompression of pages into buffers of a known length. What a codec needs to work is made once for each worker.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use parquet::basic::Compression;

/// How pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all: such pages are read to where they are decoded.
    None,
    /// Snappy, without a frame.
    Snappy,
    /// Zstandard.
    Zstd,
    /// Gzip, of one or more members.
    Gzip,
    /// A block of LZ4, without a frame.
    Lz4,
}

/// The codecs of one worker.
#[derive(Default)]
pub struct Decompressor {
    snappy: snap::raw::Decoder,
    /// From the first page on that needs it.
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Codec {
    /// The codec of a column; `None` if it is left to the other decoder.
    #[must_use]
    pub fn of(compression: Compression) -> Option<Self> {
        Some(match compression {
            Compression::UNCOMPRESSED => Self::None,
            Compression::SNAPPY => Self::Snappy,
            Compression::ZSTD(_) => Self::Zstd,
            Compression::GZIP(_) => Self::Gzip,
            Compression::LZ4_RAW => Self::Lz4,
            // The name stands for three ways of writing it.
            Compression::LZ4 | Compression::LZO | Compression::BROTLI(_) => return None,
        })
    }
}

impl Decompressor {
    /// Fills `out` with what `bytes` hold. `None` if that is not so many bytes, or nothing that can be decompressed; `out` then
    /// holds anything.
    #[must_use]
    pub fn fill(&mut self, codec: Codec, bytes: &[u8], out: &mut [u8]) -> Option<()> {
        let length = match codec {
            Codec::None => {
                out.get_mut(..bytes.len())?.copy_from_slice(bytes);
                bytes.len()
            }
            Codec::Snappy => self.snappy.decompress(bytes, out).ok()?,
            Codec::Zstd => {
                if self.zstd.is_none() {
                    self.zstd = zstd::bulk::Decompressor::new().ok();
                }
                self.zstd.as_mut()?.decompress_to_buffer(bytes, out).ok()?
            }
            Codec::Gzip => {
                let mut members = MultiGzDecoder::new(bytes);
                members.read_exact(out).ok()?;
                out.len() + members.read(&mut [0]).ok()?
            }
            Codec::Lz4 => lz4_flex::block::decompress_into(bytes, out).ok()?,
        };
        (length == out.len()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// Bytes that repeat at all distances.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        let part = (proptest::collection::vec(any::<u8>(), 0..20), 1..40_usize);
        proptest::collection::vec(part, 0..30)
            .prop_map(|parts| parts.into_iter().flat_map(|(bytes, times)| bytes.repeat(times)).collect())
    }

    fn compressed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        match codec {
            Codec::None => bytes.to_vec(),
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            Codec::Zstd => zstd::bulk::compress(bytes, 3).unwrap(),
            Codec::Gzip => {
                // Two members.
                let (first, second) = bytes.split_at(bytes.len() / 3);
                let mut out = Vec::new();
                for part in [first, second] {
                    let mut member = flate2::write::GzEncoder::new(&mut out, flate2::Compression::default());
                    member.write_all(part).unwrap();
                    member.finish().unwrap();
                }
                out
            }
            Codec::Lz4 => lz4_flex::block::compress(bytes),
        }
    }

    const ALL: [Codec; 5] = [Codec::None, Codec::Snappy, Codec::Zstd, Codec::Gzip, Codec::Lz4];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_compressed_comes_back_and_no_other_length_does(bytes in content(), more in 1..9_usize) {
            let mut decompressor = Decompressor::default();
            for codec in ALL {
                let stored = compressed(codec, &bytes);
                let mut out = vec![7; bytes.len()];
                prop_assert_eq!(decompressor.fill(codec, &stored, &mut out), Some(()), "{:?}", codec);
                prop_assert_eq!(&out, &bytes);
                prop_assert_eq!(decompressor.fill(codec, &stored, &mut vec![0; bytes.len() + more]), None);
                if bytes.len() >= more {
                    let fewer = &mut vec![0; bytes.len() - more];
                    prop_assert_eq!(decompressor.fill(codec, &stored, fewer), None, "{:?}", codec);
                }
            }
        }

        #[test]
        fn no_bytes_are_too_strange(
            bytes in content(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut decompressor = Decompressor::default();
            for codec in ALL {
                let mut stored = compressed(codec, &bytes);
                for (place, byte) in &changes {
                    if !stored.is_empty() {
                        *place.get_mut(&mut stored) = *byte;
                    }
                }
                // An error or anything: not a panic.
                let _ = decompressor.fill(codec, &stored, &mut vec![0; bytes.len()]);
            }
        }
    }
}
