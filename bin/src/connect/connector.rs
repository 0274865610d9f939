//! What a table reads or writes: `connector` and its options, parsed and checked when the table is declared.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;

use super::bad_input::{BadInput, OnError};
use super::datagen::DatagenOptions;
use super::format::{Format, FormatUse};
use super::input::peek::Peeked;
use super::input::pipe;
use super::options::{OptionPart, OptionPlace, OptionReader, any_of, nearest};
use super::print::PrintOptions;
use super::sink::{self, HeaderDefault, PartOptions, TextRows};
use super::stdout::{Stream, StreamWriter};
use super::{Doorbells, OpenSink, ReadOptions, ScanHints, Source, TableScan, blackhole, filesystem, partitioned};
use crate::error::{Error, Result};
use crate::plan::Table;

/// Where a table's rows are.
#[derive(Clone, Debug)]
pub enum Connector {
    /// Files; written as one file, or as the parts of a directory.
    Filesystem {
        /// File, directory or glob; without a leading `file://`.
        path: String,
        /// How rows are written down.
        format: Format,
        /// What becomes of records that cannot be read.
        bad_input: BadInput,
        /// How a directory is written, and which columns are in the paths.
        parts: PartOptions,
        /// `source.monitor-interval`: look for what is new so often, for ever; `None`: read what is there, once.
        monitor_interval: Option<Duration>,
    },
    /// Rows from standard input.
    Stdin {
        /// How rows are written down.
        format: Format,
        /// What becomes of records that cannot be read.
        bad_input: BadInput,
        /// Its beginning, if that was looked at to find the columns.
        peeked: Option<Peeked>,
    },
    /// Rows to standard output.
    Stdout {
        /// How rows are written down.
        format: Format,
    },
    /// Rows made up from a seed.
    Datagen(DatagenOptions),
    /// Rows shown the way Flink's `print` shows them.
    Print(PrintOptions),
    /// Rows thrown away.
    Blackhole,
}

/// The connectors, as the option `connector` names them.
const NAMES: [&str; 6] = ["filesystem", "stdin", "stdout", "datagen", "print", "blackhole"];

/// Connectors of Flink that are not here.
const ELSEWHERE: [&str; 12] = [
    "kafka",
    "upsert-kafka",
    "kinesis",
    "firehose",
    "dynamodb",
    "jdbc",
    "mongodb",
    "elasticsearch-7",
    "opensearch",
    "hbase-2.2",
    "faker",
    "pulsar",
];

const PARALLELISM: &str = "every worker reads and encodes, and one file or pipe is written: --workers says how many";

impl Connector {
    /// Parses and checks the options of a table with these physical columns. `options` holds those of `WITH` and those
    /// set as `thalweg.table.NAME.OPTION`.
    ///
    /// # Errors
    /// If the connector, an option or a value is not accepted; the help names the nearest that is.
    pub fn new(table_name: &str, schema: &SchemaRef, options: &BTreeMap<String, String>) -> Result<Self> {
        Self::new_at(table_name, schema, options, &[], &|_, _| None)
    }

    /// As [`new`](Self::new), for a table PARTITIONED BY these columns of `schema`; errors point at the place of the option
    /// that they are about.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn new_at(
        table_name: &str,
        schema: &SchemaRef,
        options: &BTreeMap<String, String>,
        partitions: &[usize],
        place: &OptionPlace<'_>,
    ) -> Result<Self> {
        let name = options.get("connector").ok_or_else(|| {
            Error::statement(format!("table `{table_name}` does not say what it reads or writes"))
                .help(format!("add WITH ('connector' = ...): {}", any_of(&NAMES)))
        })?;
        let mut reader = OptionReader::new(table_name, name, options, place);
        reader.refuse(&[("sink.parallelism", PARALLELISM), ("scan.parallelism", PARALLELISM)]);
        let connector = match name.as_str() {
            "filesystem" => Self::read_filesystem(&mut reader, schema, partitions)?,
            other if NAMES.contains(&other) && !partitions.is_empty() => {
                return Err(Error::statement(format!(
                    "a table with connector '{other}' cannot be PARTITIONED BY columns"
                ))
                .help("partitions are directories: the connector is 'filesystem'"));
            }
            "stdin" => {
                let (format, bad_input) = Format::read(&mut reader, FormatUse::Reading)?;
                if let Format::Parquet(_) = format {
                    let accepted = "'csv'; Parquet is read from its end: write the input to a file first";
                    return Err(reader.wrong_value("format", "parquet", accepted));
                }
                Self::Stdin { format, bad_input, peeked: None }
            }
            "stdout" => match Format::read(&mut reader, FormatUse::Writing)?.0 {
                Format::Parquet(_) => {
                    let accepted = "'csv'; Parquet is written to files: 'connector' = 'filesystem'";
                    return Err(reader.wrong_value("format", "parquet", accepted));
                }
                format => Self::Stdout { format },
            },
            "datagen" => Self::Datagen(DatagenOptions::read(&mut reader, schema)?),
            "print" => Self::Print(PrintOptions::read(&mut reader)?),
            "blackhole" => Self::Blackhole,
            other => {
                let error = unknown_connector(table_name, other);
                return Err(match place("connector", OptionPart::Value) {
                    Some(span) => error.at(span),
                    None => error,
                });
            }
        };
        let ends_at_once = |policy: &&BadInput| policy.on_error == OnError::Fail && policy.rejects_max.is_some();
        if connector.bad_input().filter(ends_at_once).is_some() {
            let accepted =
                "nothing, unless 'on-error' is 'skip' or 'divert': else the first refused record ends the job";
            return Err(reader.wrong_value("max-rejects", reader.given("max-rejects"), accepted));
        }
        reader.finish()?;
        Ok(connector)
    }

    /// The value of the option `connector`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Filesystem { .. } => "filesystem",
            Self::Stdin { .. } => "stdin",
            Self::Stdout { .. } => "stdout",
            Self::Datagen(_) => "datagen",
            Self::Print(_) => "print",
            Self::Blackhole => "blackhole",
        }
    }

    /// Whether reading it comes to an end: what runtime mode `automatic` goes by. Followed files do not; a pipe or a
    /// terminal counts as unbounded, though it may end.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        match self {
            Self::Filesystem { path, monitor_interval, .. } => monitor_interval.is_none() && !is_live(path),
            // FROM '-' asks for what is there, as `cat` does; a pipe that goes on for ever is declared, or the mode is set.
            Self::Stdin { peeked, .. } => peeked.is_some() || !is_live("/dev/stdin"),
            Self::Datagen(options) => options.is_bounded(),
            Self::Stdout { .. } | Self::Print(_) | Self::Blackhole => false,
        }
    }

    /// What becomes of records and rows that cannot be accepted; `None` where the connector has no say.
    #[must_use]
    pub fn bad_input(&self) -> Option<&BadInput> {
        match self {
            Self::Filesystem { bad_input, .. } | Self::Stdin { bad_input, .. } => Some(bad_input),
            Self::Datagen(options) => Some(options.bad_input()),
            Self::Stdout { .. } | Self::Print(_) | Self::Blackhole => None,
        }
    }

    /// Whether a query may read it.
    #[must_use]
    pub fn supports_reading(&self) -> bool {
        matches!(self, Self::Filesystem { .. } | Self::Stdin { .. } | Self::Datagen(_))
    }

    /// Whether INSERT may write it.
    #[must_use]
    pub fn supports_writing(&self) -> bool {
        !matches!(self, Self::Stdin { .. } | Self::Datagen(_))
    }

    fn read_filesystem(reader: &mut OptionReader<'_>, schema: &SchemaRef, partitions: &[usize]) -> Result<Self> {
        reader.refuse(&[
            ("source.path.regex-pattern", "use a glob in 'path': 'data/2024-*.csv'"),
            ("source.report-statistics", "no statistics are used here"),
        ]);
        let path = reader.required("path", "data/trades.csv")?;
        let path = match path.split_once("://") {
            Some(("file", local)) => local,
            Some((scheme, _)) if !scheme.contains('/') => {
                return Err(reader.wrong_value("path", path, "a path of this machine, with or without 'file://'"));
            }
            _ => path,
        };
        if path.is_empty() {
            return Err(reader.wrong_value("path", path, "a file, a directory or a glob"));
        }
        reader.required("format", "csv")?;
        let (format, bad_input) = Format::read(reader, FormatUse::Both)?;
        let monitor_interval = monitor_interval(reader, path, &format, partitions)?;
        let parts = PartOptions::read(reader, path, schema, partitions)?;
        Ok(Self::Filesystem { path: path.to_owned(), format, bad_input, monitor_interval, parts })
    }
}

/// `source.monitor-interval`, where following makes sense.
fn monitor_interval(
    reader: &mut OptionReader<'_>,
    path: &str,
    format: &Format,
    partitions: &[usize],
) -> Result<Option<Duration>> {
    const NAME: &str = "source.monitor-interval";
    let Some(interval) = reader.duration_ms(NAME)? else { return Ok(None) };
    let accepted = match (path, format, partitions) {
        _ if interval == 0 => "a duration above 0, such as '1 s'",
        ("-", _, _) => "nothing, for standard input: it is read as it comes, to its end",
        (_, Format::Parquet(_), _) => "nothing, for Parquet: a file has no rows before it is whole",
        (_, _, [_, ..]) => "nothing, for a table that is PARTITIONED BY columns: its directories are read once",
        _ => return Ok(Some(Duration::from_millis(interval.unsigned_abs()))),
    };
    Err(reader.wrong_value(NAME, reader.given(NAME), accepted))
}

/// Whether `path` is a pipe, a socket or a device and not files.
pub(super) fn is_live(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Opening.
impl Connector {
    /// Whether reading may leave out what fails the tests of a filter.
    #[must_use]
    pub fn is_pruned(&self) -> bool {
        matches!(self, Self::Filesystem { format: Format::Parquet(_), parts, .. } if parts.partitions.is_empty())
    }

    /// Whether strings may come as codes of a dictionary.
    #[must_use]
    pub fn gives_codes(&self) -> bool {
        self.is_pruned()
    }

    /// Starts reading `columns` of `table`, whose connector this is, in that order.
    ///
    /// # Errors
    /// `Statement`, if the connector can only be written; `Connector`, if the source cannot be opened.
    pub fn open_source(
        &self,
        table: &Table,
        columns: &[usize],
        read: &ReadOptions,
        bells: &Doorbells,
    ) -> Result<Arc<dyn Source>> {
        self.open_hinted_source(table, columns, &ScanHints::default(), read, bells)
    }

    /// As [`open_source`](Self::open_source); rows that fail one of the tests in `hints` need not be read, and
    /// columns may come as codes.
    ///
    /// # Errors
    /// As for [`open_source`](Self::open_source).
    pub fn open_hinted_source(
        &self,
        table: &Table,
        columns: &[usize],
        hints: &ScanHints<'_>,
        read: &ReadOptions,
        bells: &Doorbells,
    ) -> Result<Arc<dyn Source>> {
        // A row group that is damaged may be an error or a reject: a reader of Parquet has to know which.
        let policy = if self.is_pruned() { BadInput::clone } else { BadInput::for_format };
        let bad_input = self.bad_input().map(policy).unwrap_or_default();
        let scan = |format| TableScan {
            name: &table.name,
            schema: &table.schema,
            columns,
            codes: hints.codes,
            format,
            bad_input: &bad_input,
            read,
            bells,
        };
        match self {
            Self::Filesystem { path, format, parts, monitor_interval, .. } if parts.partitions.is_empty() => {
                filesystem::open(path, *monitor_interval, &scan(format), hints.pruning)
            }
            Self::Filesystem { path, format, parts, .. } => partitioned::open(path, parts, &scan(format)),
            Self::Stdin { format, peeked, .. } => pipe::open_stdin(peeked.as_ref(), &scan(format)),
            Self::Datagen(options) => options.open(&table.schema, columns, read, bells),
            Self::Stdout { .. } | Self::Print(_) | Self::Blackhole => Err(Error::statement(format!(
                "table `{}` with connector '{}' can only be written",
                table.name,
                self.name()
            ))
            .help("tables can be read with the connectors 'filesystem', 'stdin' and 'datagen'")),
        }
    }

    /// Opens `table`, whose connector this is, for writing. `with_kinds`: the columns that come if rows come with their kinds
    /// in front, in a column more.
    ///
    /// # Errors
    /// `Statement`, if the connector can only be read or a column's type cannot be written; `Connector`, if the file
    /// cannot be made.
    pub fn open_sink(&self, table: &Table, with_kinds: Option<SchemaRef>) -> Result<OpenSink> {
        let has_kinds = with_kinds.is_some();
        let schema = with_kinds.unwrap_or_else(|| Arc::clone(&table.schema));
        match self {
            Self::Filesystem { path, format, parts, .. } => sink::open(path, format, parts, table),
            Self::Stdout { format } => {
                let TextRows { encoder, header, row_end } = TextRows::new(format, &schema, HeaderDefault::Present)?;
                let writer = Box::new(StreamWriter::new(Stream::Stdout, header).with_row_end(row_end));
                Ok(OpenSink { encoder: Some(encoder), writer, schema })
            }
            Self::Print(options) => options.open(&schema, has_kinds),
            Self::Blackhole => Ok(blackhole::open(&schema)),
            Self::Stdin { .. } | Self::Datagen(_) => Err(Error::statement(format!(
                "table `{}` with connector '{}' can only be read",
                table.name,
                self.name()
            ))
            .help("tables can be written with the connectors 'filesystem', 'stdout', 'print' and 'blackhole'")),
        }
    }
}

fn unknown_connector(table_name: &str, name: &str) -> Error {
    let error = Error::statement(format!("table `{table_name}` names connector '{name}', which is not known"));
    let list = format!("connectors: {}", any_of(&NAMES));
    if ELSEWHERE.contains(&name) {
        let error = Error::statement(format!("table `{table_name}` names connector '{name}', which is not supported"));
        return error.help(format!("{list}; a client of that system can be piped into 'stdin'"));
    }
    match nearest(name, &NAMES) {
        Some(near) => error.help(format!("did you mean '{near}'? {list}")),
        None => error.help(list),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::RecordBatch;
    use arrow_schema::{DataType, Field, Schema, TimeUnit};
    use arrow_select::concat::concat_batches;
    use thalweg_runtime::WorkerId;

    use super::*;
    use crate::connect::infer::infer_file;
    use crate::connect::{SinkRows, SourceEvent};

    fn connector(pairs: &[(&str, &str)]) -> Result<Connector> {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let options = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Connector::new("t", &schema, &options)
    }

    #[test]
    fn accepted_options_make_the_connector() {
        let files = connector(&[("connector", "filesystem"), ("path", "file:///tmp/x.csv"), ("format", "csv")]);
        let files = files.unwrap();
        assert!(matches!(&files, Connector::Filesystem { path, .. } if path == "/tmp/x.csv"));
        assert!(files.is_bounded() && files.supports_reading() && files.supports_writing());
        let print = connector(&[("connector", "print"), ("print-identifier", "p")]).unwrap();
        assert!(!print.supports_reading() && print.supports_writing());
        let datagen = connector(&[("connector", "datagen")]).unwrap();
        assert!(!datagen.is_bounded() && !datagen.supports_writing());
        assert!(connector(&[("connector", "datagen"), ("number-of-rows", "1")]).unwrap().is_bounded());
    }

    #[test]
    fn what_is_not_accepted_is_refused_with_advice() {
        for (pairs, advice) in [
            (vec![], "add WITH ('connector' = ...)"),
            (vec![("connector", "filesytem")], "did you mean 'filesystem'?"),
            (vec![("connector", "kafka")], "piped into 'stdin'"),
            (vec![("connector", "filesystem"), ("format", "csv")], "'path' = 'data/trades.csv'"),
            (vec![("connector", "filesystem"), ("path", "x.csv")], "'format' = 'csv'"),
            (vec![("connector", "filesystem"), ("path", "s3://b/x"), ("format", "csv")], "a path of this machine"),
            (vec![("connector", "filesystem"), ("path", "x"), ("format", "avro")], "'csv', 'json' or 'parquet'"),
            (
                vec![("connector", "filesystem"), ("path", "x"), ("format", "csv"), ("source.monitor-interval", "0")],
                "a duration above 0",
            ),
            (
                vec![("connector", "filesystem"), ("path", "x"), ("format", "csv"), ("csv.headr", "true")],
                "did you mean 'csv.header'?",
            ),
            (vec![("connector", "blackhole"), ("sink.parallelism", "2")], "--workers"),
            (vec![("connector", "stdout"), ("on-error", "skip")], "this connector only writes"),
            (vec![("connector", "stdout"), ("max-record-bytes", "1 kb")], "this connector only writes"),
            (vec![("connector", "stdout"), ("csv.ignore-parse-errors", "true")], "this connector only writes"),
            (vec![("connector", "stdout"), ("csv.allow-trailing-comma", "true")], "this connector only writes"),
            (
                vec![("connector", "stdout"), ("format", "json"), ("json.fail-on-missing-field", "true")],
                "this connector only writes",
            ),
            (
                vec![("connector", "stdin"), ("format", "json"), ("json.encode.ignore-null-fields", "true")],
                "this connector only reads",
            ),
            (
                vec![("connector", "stdin"), ("csv.write-bigdecimal-in-scientific-notation", "true")],
                "this connector only reads",
            ),
            (vec![("connector", "stdin"), ("max-rejects", "3")], "unless 'on-error' is 'skip' or 'divert'"),
            (vec![("connector", "datagen"), ("max-rejects", "3")], "unless 'on-error' is 'skip' or 'divert'"),
            (vec![("connector", "print"), ("on-error", "skip")], "connector 'print' accepts"),
            (vec![("connector", "blackhole"), ("on-error", "skip")], "connector 'blackhole' accepts"),
            (vec![("connector", "blackhole"), ("colour", "red")], "connector 'blackhole' accepts 'connector'"),
        ] {
            let error = connector(&pairs).unwrap_err();
            let help = error.help.unwrap_or_default();
            assert!(help.contains(advice), "{pairs:?}: {} / {help}", error.message);
        }
    }

    /// All rows of a table, read with one reader.
    fn rows(table: &Table, block_bytes: usize) -> RecordBatch {
        let read = ReadOptions { batch_rows: 100, block_bytes, workers: 1, kernels: Default::default() };
        let columns: Vec<usize> = (0..table.schema.fields().len()).collect();
        let source = table.connector.open_source(table, &columns, &read, &Doorbells::new(1)).unwrap();
        let mut reader = source.reader(WorkerId(0));
        let mut batches = Vec::new();
        loop {
            match reader.poll().unwrap() {
                SourceEvent::Block(block) => batches.extend(block.batches),
                SourceEvent::Pending => std::thread::yield_now(),
                SourceEvent::End => return concat_batches(&table.schema, &batches).unwrap(),
            }
        }
    }

    fn table(name: &str, schema: &SchemaRef, options: &[(&str, &str)]) -> Table {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let connector = Connector::new(name, schema, &options).unwrap();
        Table { name: name.to_owned(), schema: Arc::clone(schema), connector }
    }

    #[test]
    fn what_datagen_makes_is_written_and_read_back() {
        let types = [
            DataType::Boolean,
            DataType::Int8,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Decimal128(20, 5),
            DataType::Utf8View,
            DataType::Date32,
            DataType::Time32(TimeUnit::Millisecond),
            DataType::Timestamp(TimeUnit::Millisecond, None),
        ];
        let fields = types.iter().enumerate().map(|(index, kind)| Field::new(format!("f{index}"), kind.clone(), true));
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let generated = table(
            "g",
            &schema,
            &[
                ("connector", "datagen"),
                ("rows-per-second", "1000000000"),
                ("number-of-rows", "1000"),
                ("fields.f1.null-rate", "0.5"),
                ("fields.f6.length", "7"),
            ],
        );
        let expected = rows(&generated, 1);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out/").to_str().unwrap().to_owned();
        let options = [("connector", "filesystem"), ("path", path.as_str()), ("format", "csv"), ("csv.header", "true")];
        let file = table("f", &schema, &options);
        let mut sink = file.connector.open_sink(&file, None).unwrap();
        let mut bytes = Vec::new();
        (sink.encoder.unwrap())().encode(&expected, &mut bytes).unwrap();
        sink.writer.write(SinkRows::Encoded(&bytes)).unwrap();
        sink.writer.finish().unwrap();
        assert_eq!(rows(&file, 100), expected);
        let (inferred, connector) = infer_file(&path).unwrap();
        assert!(connector.is_bounded());
        assert_eq!(inferred.fields().len(), types.len());
        assert_eq!(inferred.field(2).data_type(), &DataType::Int64);
    }

    #[test]
    fn errors_point_at_the_option() {
        for (name, value, part, found) in [
            ("connector", "nothing", OptionPart::Value, 9..10),
            ("csv.header", "maybe", OptionPart::Value, 10..11),
            ("csv.headr", "true", OptionPart::Name, 9..10),
            ("source.monitor-interval", "1 eon", OptionPart::Value, 23..24),
        ] {
            let pairs = [("connector", "filesystem"), ("path", "x"), ("format", "csv"), (name, value)];
            let options = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            // A place that says which option and part was asked for.
            let place = |asked: &str, of: OptionPart| (of == part).then_some(asked.len()..asked.len() + 1);
            let error = Connector::new_at("t", &Arc::new(Schema::empty()), &options, &[], &place).unwrap_err();
            assert_eq!(error.span, Some(found), "{name}: {}", error.message);
        }
    }

    #[test]
    fn tables_are_read_or_written_only_where_that_is_possible() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let read = ReadOptions { batch_rows: 1, block_bytes: 1, workers: 1, kernels: Default::default() };
        let print = table("p", &schema, &[("connector", "print")]);
        let refused = print.connector.open_source(&print, &[0], &read, &Doorbells::new(1)).err().unwrap();
        assert_eq!(refused.message, "table `p` with connector 'print' can only be written");
        let many = [("connector", "filesystem"), ("path", "data/*.csv"), ("format", "csv")];
        let many = table("m", &schema, &many);
        let refused = many.connector.open_sink(&many, None).err().unwrap();
        assert_eq!(refused.message, "table `m` is read from a glob, 'data/*.csv'");
        let made = table("d", &schema, &[("connector", "datagen")]);
        let refused = made.connector.open_sink(&made, None).err().unwrap();
        assert_eq!(refused.message, "table `d` with connector 'datagen' can only be read");
    }
}
