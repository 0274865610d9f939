//! The options of a table of Parquet: how it is written. Reading needs none.

use std::sync::Arc;

use arrow_schema::TimeUnit;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};

use crate::connect::options::{OptionReader, any_of};
use crate::error::Result;

/// Options of Flink or parquet-mr that have no meaning here, with the reason.
const REFUSED: [(&str, &str); 6] = [
    ("parquet.batch-size", "rows are read in batches of the size that the job works with"),
    ("parquet.writer.version", "pages of version 1 are written, which every reader knows"),
    ("parquet.bloom.filter.*", "no Bloom filters are written; those of files that are read are used"),
    ("parquet.encryption.*", "encrypted files are not supported"),
    ("parquet.crypto.*", "encrypted files are not supported"),
    ("parquet.avro.*", "files are read and written as they are, without Avro"),
];

/// How files are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParquetOptions {
    /// `parquet.compression`.
    pub compression: Compression,
    /// `parquet.block.size`: bytes of a row group, about.
    pub block_bytes: usize,
    /// `parquet.page.size`: bytes of a page, about.
    pub page_bytes: usize,
    /// `parquet.dictionary.page.size`.
    pub dictionary_page_bytes: usize,
    /// `parquet.enable.dictionary`.
    pub dictionary: bool,
    /// `parquet.timestamp.time.unit`, for all timestamps; without it each has the unit of its type.
    pub time_unit: Option<TimeUnit>,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            compression: Compression::SNAPPY,
            block_bytes: 128 << 20,
            page_bytes: 1 << 20,
            dictionary_page_bytes: 1 << 20,
            dictionary: true,
            time_unit: None,
        }
    }
}

impl ParquetOptions {
    /// Takes them out of a table's.
    ///
    /// # Errors
    /// If a value is not accepted.
    pub fn read(reader: &mut OptionReader<'_>) -> Result<Self> {
        reader.refuse(&REFUSED);
        let mut options = Self::default();
        let compressions = [
            ("SNAPPY", Compression::SNAPPY),
            ("GZIP", Compression::GZIP(GzipLevel::default())),
            ("ZSTD", Compression::ZSTD(ZstdLevel::default())),
            ("LZ4_RAW", Compression::LZ4_RAW),
            ("UNCOMPRESSED", Compression::UNCOMPRESSED),
        ];
        options.compression = reader.choice("parquet.compression", &compressions)?.unwrap_or(options.compression);
        let mut bytes = |name, usual: usize, least, greatest| {
            Ok::<usize, crate::error::Error>(reader.bytes(name, least, greatest)?.map_or(usual, |bytes| bytes as usize))
        };
        options.block_bytes = bytes("parquet.block.size", options.block_bytes, 1 << 10, 1 << 30)?;
        options.page_bytes = bytes("parquet.page.size", options.page_bytes, 64, 64 << 20)?;
        options.dictionary_page_bytes =
            bytes("parquet.dictionary.page.size", options.dictionary_page_bytes, 64, 64 << 20)?;
        options.dictionary = reader.flag("parquet.enable.dictionary")?.unwrap_or(options.dictionary);
        let units =
            [("millis", TimeUnit::Millisecond), ("micros", TimeUnit::Microsecond), ("nanos", TimeUnit::Nanosecond)];
        options.time_unit = reader.choice("parquet.timestamp.time.unit", &units)?;
        for (name, why) in [
            (
                "parquet.write.int64.timestamp",
                "timestamps are written as INT64: the INT96 that 'false' asks for is deprecated",
            ),
            ("parquet.utc-timezone", "timestamps are written as they are, in UTC: there is no other time zone here"),
        ] {
            if reader.flag(name)? == Some(false) {
                return Err(reader.wrong_value(name, "false", &format!("{}; {why}", any_of(&["true"]))));
            }
        }
        Ok(options)
    }

    /// What the writer is told.
    #[must_use]
    pub fn properties(&self) -> WriterPropertiesPtr {
        let properties = WriterProperties::builder()
            .set_compression(self.compression)
            .set_dictionary_enabled(self.dictionary)
            .set_data_page_size_limit(self.page_bytes)
            .set_dictionary_page_size_limit(self.dictionary_page_bytes)
            .set_max_row_group_bytes(Some(self.block_bytes))
            .set_created_by(concat!("thalweg ", env!("CARGO_PKG_VERSION")).to_owned())
            // Names within lists and maps as the format has them, whatever they are in memory.
            .set_coerce_types(true);
        Arc::new(properties.build())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<ParquetOptions> {
        let options: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut reader = OptionReader::new("t", "filesystem", &options, &|_, _| None);
        let read = ParquetOptions::read(&mut reader)?;
        reader.finish()?;
        Ok(read)
    }

    #[test]
    fn options_are_read_or_refused_with_the_reason() {
        let options = read(&[
            ("parquet.compression", "zstd"),
            ("parquet.block.size", "1 mb"),
            ("parquet.page.size", "4096"),
            ("parquet.enable.dictionary", "false"),
            ("parquet.timestamp.time.unit", "nanos"),
            ("parquet.utc-timezone", "true"),
            ("parquet.write.int64.timestamp", "TRUE"),
        ]);
        let options = options.unwrap();
        assert_eq!(options.compression, Compression::ZSTD(ZstdLevel::default()));
        assert_eq!((options.block_bytes, options.page_bytes, options.dictionary), (1 << 20, 4096, false));
        assert_eq!(options.time_unit, Some(TimeUnit::Nanosecond));
        for (name, value, help) in [
            ("parquet.compression", "BROTLI", "'ZSTD'"),
            ("parquet.write.int64.timestamp", "false", "INT96"),
            ("parquet.utc-timezone", "false", "UTC"),
            ("parquet.bloom.filter.enabled", "true", "no Bloom filters"),
            ("parquet.page.sise", "1", "did you mean 'parquet.page.size'?"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.help.as_deref().is_some_and(|found| found.contains(help)), "{name}: {error:?}");
        }
    }
}
