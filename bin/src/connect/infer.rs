//! The table that `FROM 'file'` stands for: its format by the name, its columns from a sample.
//!
//! The format follows from the ending of the path (in front of `.gz` or `.zst`), else from the ending of the first file in a
//! directory, else from the first bytes. The sample is the beginning of each file; of many files some, evenly chosen. What
//! a sample does not show may still come: a value that does not fit its column is then refused with its place, and the
//! error says that the type was inferred.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use arrow_schema::SchemaRef;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::bad_input::BadInput;
use super::connector::Connector;
use super::filesystem::{files, unreadable};
use super::format::Format;
use super::format::csv::{self, CsvOptions};
use super::format::json::{self, JsonOptions};
use super::format::parquet;
use super::input::packing::{Fault, Packing};
use super::input::peek::{Peeked, unpacked_head};
use super::input::pipe::STDIN;
use super::sink::PartOptions;
use crate::error::{Error, Result};

/// Files that are looked at, of those in a directory or glob: the first, the last, and others between.
const FILES_MAX: usize = 64;

/// Decompressed bytes that are looked at, over all files, but for [`FILE_BYTES_MIN`].
const SAMPLE_BYTES: usize = 8 << 20;

/// Bytes of each file that are looked at in any case.
const FILE_BYTES_MIN: usize = 256 << 10;

/// The beginning of one input.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What errors call it: a path, or `<stdin>`.
    pub origin: String,
    /// Its first bytes, decompressed.
    pub text: Vec<u8>,
    /// They are all of it.
    pub is_whole: bool,
}

/// What a file is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileFormat {
    /// Fields, with this delimiter or one to be found.
    Csv(Option<u8>),
    /// Objects, one a line.
    Json,
    Parquet,
}

/// Endings, and what they say.
const ENDINGS: [(&str, FileFormat); 9] = [
    ("csv", FileFormat::Csv(None)),
    ("txt", FileFormat::Csv(None)),
    ("tsv", FileFormat::Csv(Some(b'\t'))),
    ("tab", FileFormat::Csv(Some(b'\t'))),
    ("psv", FileFormat::Csv(Some(b'|'))),
    ("ndjson", FileFormat::Json),
    ("jsonl", FileFormat::Json),
    ("json", FileFormat::Json),
    ("parquet", FileFormat::Parquet),
];

const SPREADSHEET: &str = "save the sheet as CSV";
const COLUMNAR: &str = "convert it to Parquet, or to CSV";
const ARCHIVE: &str = "unpack it first; single files compressed with gzip or zstd are read as they are";
const DATABASE: &str = "export the table as CSV or Parquet";

/// Endings of files that would only give a puzzling error if they were read as text, with advice.
const NOT_READ: [(&str, &str); 24] = [
    ("xlsx", SPREADSHEET),
    ("xls", SPREADSHEET),
    ("ods", SPREADSHEET),
    ("avro", COLUMNAR),
    ("orc", COLUMNAR),
    ("arrow", COLUMNAR),
    ("arrows", COLUMNAR),
    ("feather", COLUMNAR),
    ("ipc", COLUMNAR),
    ("protobuf", COLUMNAR),
    ("msgpack", COLUMNAR),
    ("xml", COLUMNAR),
    ("zip", ARCHIVE),
    ("tar", ARCHIVE),
    ("tgz", ARCHIVE),
    ("7z", ARCHIVE),
    ("rar", ARCHIVE),
    ("bz2", ARCHIVE),
    ("xz", ARCHIVE),
    ("lz4", ARCHIVE),
    ("br", ARCHIVE),
    ("sqlite", DATABASE),
    ("db", DATABASE),
    ("duckdb", DATABASE),
];

/// The table that `FROM 'path'` stands for; `path` is a file, a directory, a glob, or `-` for standard input.
///
/// # Errors
/// `Statement`, if it is in a format that is not read; `Connector`, if nothing is there; `Data`, if it is not what its
/// name says.
pub fn infer_file(path: &str) -> Result<(SchemaRef, Connector)> {
    let path = path.strip_prefix("file://").unwrap_or(path);
    if path == "-" {
        return infer_stdin();
    }
    let named = format_of_name(path)?;
    if Path::new(path).metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Err(Error::statement(format!("the columns of the pipe `{path}` cannot be inferred before it is read"))
            .help(
                "read it as standard input, FROM '-', or declare the columns: CREATE TABLE t (…) WITH ('connector' = \
                 'filesystem', 'path' = '…', 'format' = 'csv')",
            ));
    }
    let chosen = evenly_chosen(files(path, path)?);
    let named = match (named, chosen.first().and_then(|first| first.to_str())) {
        (None, Some(first)) => format_of_name(first)?,
        (named, _) => named,
    };
    let bytes_max = (SAMPLE_BYTES / chosen.len().max(1)).max(FILE_BYTES_MIN);
    let (schema, format) = match named {
        Some(FileFormat::Parquet) => infer_parquet(&chosen)?,
        named => {
            let samples: Vec<Sample> = chosen.par_iter().map(|file| sample(file, bytes_max)).collect::<Result<_>>()?;
            match named.unwrap_or_else(|| format_of_content(&samples)) {
                FileFormat::Parquet => infer_parquet(&chosen)?,
                format => infer_text(format, &samples)?,
            }
        }
    };
    let (path, bad_input, parts) = (path.to_owned(), BadInput::default(), PartOptions::default());
    Ok((schema, Connector::Filesystem { path, format, bad_input, monitor_interval: None, parts }))
}

fn infer_stdin() -> Result<(SchemaRef, Connector)> {
    let peeked = Peeked::stdin()?;
    let (text, is_whole) = peeked.text(SAMPLE_BYTES).map_err(|fault| fault_error(STDIN, Path::new(STDIN), fault))?;
    let samples = [Sample { origin: STDIN.to_owned(), text, is_whole }];
    let (schema, format) = match format_of_content(&samples) {
        FileFormat::Parquet => {
            return Err(Error::statement("standard input holds Parquet, which is read from its end")
                .help("write it to a file, and read that: FROM 'file.parquet'"));
        }
        format => infer_text(format, &samples)?,
    };
    Ok((schema, Connector::Stdin { format, bad_input: BadInput::default(), peeked: Some(peeked) }))
}

fn infer_text(format: FileFormat, samples: &[Sample]) -> Result<(SchemaRef, Format)> {
    match format {
        FileFormat::Csv(delimiter) => {
            let mut options = CsvOptions::default();
            if let Some(delimiter) = delimiter {
                options.dialect.delimiter = Some(delimiter);
            }
            let (schema, options) = csv::infer(samples, &options)?;
            Ok((schema, Format::Csv(options)))
        }
        FileFormat::Json => {
            let (schema, options) = json::infer(samples, &JsonOptions::default())?;
            Ok((schema, Format::Json(options)))
        }
        FileFormat::Parquet => Err(Error::internal("Parquet is not inferred from text")),
    }
}

fn infer_parquet(files: &[PathBuf]) -> Result<(SchemaRef, Format)> {
    let (schema, options) = parquet::infer(files)?;
    Ok((schema, Format::Parquet(options)))
}

/// Some of the files: the first, the last and others at equal distances, in their order.
fn evenly_chosen(files: Vec<PathBuf>) -> Vec<PathBuf> {
    if files.len() <= FILES_MAX {
        return files;
    }
    let last = files.len() - 1;
    (0..FILES_MAX).map(|n| files[n * last / (FILES_MAX - 1)].clone()).collect()
}

/// The format that the ending of a name says, if it says any.
///
/// # Errors
/// `Statement`, if it says one that is not read.
fn format_of_name(name: &str) -> Result<Option<FileFormat>> {
    let ending = |name: &str| {
        let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
        ending.unwrap_or_default().to_ascii_lowercase()
    };
    let packing = Packing::of_name(name);
    let inner = if packing.is_some() { name.rsplit_once('.').map_or(name, |(inner, _)| inner) } else { name };
    let ending = ending(inner);
    if let Some((_, advice)) = NOT_READ.iter().find(|(refused, _)| *refused == ending) {
        return Err(
            Error::statement(format!("'{name}' is not read: its ending says .{ending}")).help((*advice).to_owned())
        );
    }
    let found = ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, format)| *format);
    if let (Some(FileFormat::Parquet), Some(packing)) = (found, packing) {
        return Err(Error::statement(format!("'{name}' is not read: Parquet within {}", packing.name()))
            .help("unpack it: Parquet compresses its own pages, and is read from its end"));
    }
    Ok(found)
}

/// The format that the first bytes suggest.
fn format_of_content(samples: &[Sample]) -> FileFormat {
    let texts = samples.iter().map(|sample| sample.text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&sample.text));
    let first = texts.map(<[u8]>::trim_ascii_start).find(|text| !text.is_empty());
    match first {
        Some(text) if text.starts_with(b"PAR1") => FileFormat::Parquet,
        Some(text) if text.starts_with(b"{") => FileFormat::Json,
        _ => FileFormat::Csv(None),
    }
}

/// The beginning of a file.
fn sample(path: &PathBuf, bytes_max: usize) -> Result<Sample> {
    let origin = path.to_string_lossy().into_owned();
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let source: &mut dyn Read = &mut file;
    let (text, is_whole) =
        unpacked_head(source, path.to_str(), bytes_max).map_err(|fault| fault_error(&origin, path, fault))?;
    Ok(Sample { origin, text, is_whole })
}

fn fault_error(origin: &str, path: &Path, fault: Fault) -> Error {
    match fault {
        Fault::Io(error) => unreadable(path, &error),
        Fault::Damage(damage) => Error::data(format!("{origin}: {}", damage.message())).help(damage.help()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use arrow_schema::DataType;

    use super::*;
    use crate::error::Kind;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn columns(path: &Path) -> Result<Vec<(String, DataType)>> {
        let (schema, connector) = infer_file(path.to_str().unwrap())?;
        assert!(connector.is_bounded());
        Ok(schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect())
    }

    #[test]
    fn the_ending_before_the_packing_says_the_format() {
        let csv = Some(FileFormat::Csv(None));
        for (name, expected) in [
            ("a.csv", csv),
            ("a.CSV.GZ", csv),
            ("data/*.csv.gz", csv),
            ("a.tsv.zst", Some(FileFormat::Csv(Some(b'\t')))),
            ("a.ndjson.zst", Some(FileFormat::Json)),
            ("a.parquet", Some(FileFormat::Parquet)),
            ("data/", None),
            ("part-0", None),
            ("a.gz", None),
        ] {
            assert_eq!(format_of_name(name).unwrap(), expected, "{name}");
        }
        for (name, advice) in [
            ("a.xlsx", "save the sheet"),
            ("a.avro", "convert it to Parquet"),
            ("a.csv.bz2", "unpack it"),
            ("a.tar.gz", "unpack it"),
            ("a.parquet.gz", "compresses its own pages"),
        ] {
            let error = format_of_name(name).unwrap_err();
            assert_eq!(error.kind, Kind::Statement);
            assert!(error.help.unwrap().contains(advice), "{name}");
        }
    }

    #[test]
    fn all_files_of_a_glob_have_a_say_in_the_types() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes).unwrap();
        write("0.csv", b"");
        write("a.csv", b"id,name\n1,2\n");
        write("b.csv.gz", &gzip("name,id\nx,2.5\n"));
        let expected = vec![("id".to_owned(), DataType::Float64), ("name".to_owned(), DataType::Utf8View)];
        assert_eq!(columns(directory.path()).unwrap(), expected);
        assert_eq!(columns(&directory.path().join("*")).unwrap(), expected);
        let only = columns(&directory.path().join("[a0].csv")).unwrap();
        assert_eq!(only[0].1, DataType::Int64);
    }

    #[test]
    fn of_many_files_some_are_looked_at() {
        let files: Vec<PathBuf> = (0..10_000).map(|n| PathBuf::from(n.to_string())).collect();
        let chosen = evenly_chosen(files);
        assert_eq!((chosen.len(), chosen[0].to_str(), chosen[63].to_str()), (64, Some("0"), Some("9999")));
        assert!(chosen.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn what_is_not_what_its_name_says_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv.gz");
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        let error = columns(&path).unwrap_err();
        assert_eq!(error.kind, Kind::Data);
        assert!(error.message.contains("does not start as gzip does"), "{}", error.message);
        assert_eq!(columns(&directory.path().join("none.csv")).unwrap_err().kind, Kind::Connector);
        let path = directory.path().join("empty.csv");
        std::fs::write(&path, "").unwrap();
        let error = columns(&path).unwrap_err();
        assert!(error.message.ends_with("holds no record to infer columns from"), "{}", error.message);
    }
}
