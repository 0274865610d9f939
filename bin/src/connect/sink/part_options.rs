//! The options of a directory of parts, under Flink's names.

use std::path::Path;
use std::time::Duration;

use arrow_schema::SchemaRef;

use super::partition::partition_columns;
use crate::connect::options::OptionReader;
use crate::error::Result;

/// How a directory of parts is written, and how its partitions are told apart in reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartOptions {
    /// A directory is meant, also if nothing is there yet.
    pub is_directory: bool,
    /// `sink.parallelism`: parts that are written at a time.
    pub writers: u32,
    /// `sink.rolling-policy.file-size`: a part is finished when it has at least so many bytes.
    pub file_bytes: u64,
    /// `sink.rolling-policy.rollover-interval`: and when it has been open for so long.
    pub rollover: Duration,
    /// `sink.rolling-policy.inactivity-interval`: and when nothing has come for so long.
    pub inactivity: Duration,
    /// `sink.rolling-policy.check-interval`: how often the two are looked at.
    pub check: Duration,
    /// PARTITIONED BY: physical columns, in the order of the clause.
    pub partitions: Vec<usize>,
    /// `partition.default-name`: stands for NULL and for the empty string.
    pub default_name: String,
    /// `sink.shuffle-by-partition.enable`: all rows of a partition go through one writer.
    pub by_partition: bool,
    /// `sink.partition-commit.policy.kind` = `success-file`: name of the file that says that a partition is complete.
    pub success_file: Option<String>,
    /// `sink.partition-commit.delay`: not before this time after its first row.
    pub commit_delay: Duration,
}

impl Default for PartOptions {
    /// One file or a directory, as the path says; Flink's defaults for the rest.
    fn default() -> Self {
        Self {
            is_directory: false,
            writers: 1,
            file_bytes: 128 << 20,
            rollover: Duration::from_secs(30 * 60),
            inactivity: Duration::from_secs(30 * 60),
            check: Duration::from_secs(60),
            partitions: Vec::new(),
            default_name: "__DEFAULT_PARTITION__".to_owned(),
            by_partition: false,
            success_file: None,
            commit_delay: Duration::ZERO,
        }
    }
}

const ONE_WRITER: &str = "the workers encode, and one thread writes all parts: there are no small files to compact";
const PROCESS_TIME: &str =
    "a partition is committed by the time of the machine ('process-time'): its values are not read as a time";

/// Options of Flink that have no meaning here, with the reason.
pub const REFUSED: [(&str, &str); 6] = [
    ("auto-compaction", ONE_WRITER),
    ("compaction.*", ONE_WRITER),
    ("partition.time-extractor.*", PROCESS_TIME),
    ("sink.partition-commit.watermark-time-zone", PROCESS_TIME),
    (
        "sink.partition-commit.policy.class*",
        "only 'success-file' is there: wait for that file to run something of your own",
    ),
    ("partition.*", "the options of partitions are 'partition.default-name' and 'sink.partition-commit.…'"),
];

const POLICY: &str = "sink.partition-commit.policy.kind";
const TO_DIRECTORY: &str = "this is for a directory of parts: end 'path' with '/'";

impl PartOptions {
    /// Reads the options of a table at `path` that is partitioned by these columns of `schema`.
    ///
    /// # Errors
    /// If a value is not accepted, or is for a directory and `path` names a file.
    pub fn read(reader: &mut OptionReader<'_>, path: &str, schema: &SchemaRef, partitions: &[usize]) -> Result<Self> {
        reader.refuse(&REFUSED);
        let mut options = Self { partitions: partitions.to_vec(), ..Self::default() };
        partition_columns(schema, partitions)?;
        let wants_parts = options.read_rolling(reader)?;
        options.read_partitions(reader)?;
        options.read_commit(reader)?;
        // A file that is there only when it is whole needs none that says so.
        let wants_parts = wants_parts.or(options.success_file.as_ref().map(|_| POLICY));
        if reader.flag("auto-compaction")? == Some(true) {
            return Err(reader.wrong_value("auto-compaction", "true", &format!("'false'; {ONE_WRITER}")));
        }
        options.is_directory = path.ends_with('/') || !partitions.is_empty() || wants_parts.is_some();
        if let Some(name) = wants_parts
            && path.contains(['*', '?', '['])
        {
            return Err(reader.wrong_value(
                name,
                reader.given(name),
                "nothing, where 'path' is a glob: it is only read",
            ));
        }
        if let Some(name) = wants_parts
            && names_a_file(path)
        {
            return Err(reader.wrong_value(name, reader.given(name), TO_DIRECTORY));
        }
        if !partitions.is_empty() && names_a_file(path) {
            return Err(reader.wrong_value("path", path, "a directory, since the table is PARTITIONED BY columns"));
        }
        Ok(options)
    }

    /// The name of an option that only a directory can have, if there is one.
    fn read_rolling(&mut self, reader: &mut OptionReader<'_>) -> Result<Option<&'static str>> {
        let mut wants_parts = None;
        if let Some(writers) = reader.number("sink.parallelism", 1, 64)? {
            self.writers = writers;
            wants_parts = (writers > 1).then_some("sink.parallelism");
        }
        const SIZE: &str = "sink.rolling-policy.file-size";
        if let Some(bytes) = reader.bytes(SIZE, 1, u64::MAX)? {
            self.file_bytes = bytes;
            wants_parts = Some(SIZE);
        }
        for (name, interval) in [
            ("sink.rolling-policy.rollover-interval", &mut self.rollover),
            ("sink.rolling-policy.inactivity-interval", &mut self.inactivity),
            ("sink.rolling-policy.check-interval", &mut self.check),
        ] {
            if let Some(given) = duration(reader, name)? {
                if given.is_zero() {
                    return Err(reader.wrong_value(name, reader.given(name), "at least '1 ms'"));
                }
                *interval = given;
                wants_parts = Some(name);
            }
        }
        Ok(wants_parts)
    }

    fn read_partitions(&mut self, reader: &mut OptionReader<'_>) -> Result<()> {
        const FOR_PARTITIONS: &str = "nothing, for a table that is not PARTITIONED BY columns";
        const NAME: &str = "partition.default-name";
        if let Some(name) = reader.text(NAME) {
            if self.partitions.is_empty() {
                return Err(reader.wrong_value(NAME, name, FOR_PARTITIONS));
            }
            if name.is_empty() {
                return Err(reader.wrong_value(NAME, name, "a name that no value of the partitions has"));
            }
            name.clone_into(&mut self.default_name);
        }
        const SHUFFLE: &str = "sink.shuffle-by-partition.enable";
        if let Some(by_partition) = reader.flag(SHUFFLE)? {
            if by_partition && self.partitions.is_empty() {
                return Err(reader.wrong_value(SHUFFLE, "true", FOR_PARTITIONS));
            }
            self.by_partition = by_partition;
        }
        Ok(())
    }

    fn read_commit(&mut self, reader: &mut OptionReader<'_>) -> Result<()> {
        match reader.text(POLICY) {
            Some("success-file") => self.success_file = Some("_SUCCESS".to_owned()),
            Some(other) => {
                let accepted = "'success-file': there is no metastore, and no code of yours runs here";
                return Err(reader.wrong_value(POLICY, other, accepted));
            }
            None => {}
        }
        let needs_policy = format!("it with '{POLICY}' = 'success-file' alone");
        const FILE: &str = "sink.partition-commit.success-file.name";
        if let Some(name) = reader.text(FILE) {
            // What begins otherwise would be read as rows.
            let is_name = name.starts_with(['_', '.']) && name.len() > 1 && !name.contains('/') && name != "..";
            match &mut self.success_file {
                None => return Err(reader.wrong_value(FILE, name, &needs_policy)),
                Some(_) if !is_name => {
                    return Err(reader.wrong_value(
                        FILE,
                        name,
                        "a name that begins with '_' or '.', so that it is not read",
                    ));
                }
                Some(file) => name.clone_into(file),
            }
        }
        const TRIGGER: &str = "sink.partition-commit.trigger";
        match reader.text(TRIGGER) {
            Some("process-time") | None => {}
            Some(other) => return Err(reader.wrong_value(TRIGGER, other, &format!("'process-time'; {PROCESS_TIME}"))),
        }
        const DELAY: &str = "sink.partition-commit.delay";
        if let Some(delay) = duration(reader, DELAY)? {
            if self.success_file.is_none() {
                return Err(reader.wrong_value(DELAY, reader.given(DELAY), &needs_policy));
            }
            self.commit_delay = delay;
        }
        Ok(())
    }
}

/// Whether the path ends as the name of a file does, so that a directory of that name cannot be meant.
fn names_a_file(path: &str) -> bool {
    const ENDINGS: [&str; 10] = ["csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet", "gz", "zst", "log"];
    let ending = Path::new(path).extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    !path.ends_with('/') && !Path::new(path).is_dir() && ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

fn duration(reader: &mut OptionReader<'_>, name: &str) -> Result<Option<Duration>> {
    Ok(reader.duration_ms(name)?.map(|millis| Duration::from_millis(millis.unsigned_abs())))
}
