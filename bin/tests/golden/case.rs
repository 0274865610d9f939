//! One golden file.
//!
//! ```text
//! # why: the reason of the case; it may go on in further lines of comment
//! # modes: batch streaming          in which it must give these rows; batch if nothing is said
//! # tables: flights                 DDL of `sql/tables` that goes first
//! # late: 2                         late rows in streaming mode; 0 if nothing is said
//! # rejected: 1                     records that do not become rows, and rows that fail; as many as `rejects` if not said
//! # ordered                         the rows come in this order
//! # keyed: 2                        rows of a changelog, of which those with the same 2 columns behind the first come in this order
//! # net                             rows are what a changelog leaves; what it gives on the way may differ from run to run
//! # by hand                         no other engine was asked
//! # by Flink                        the SQL is Flink's, which gave the rows: `oracle/flink.py`
//! ==> file clicks.csv               a file for the job, as it stands
//! ==> escaped lines.csv             the same with \n, \r, \t, \xNN; line ends of the section itself do not count
//! ==> sql                           what is run; `${data}` is `tests/data`, `${dir}` where the files above are
//! ==> oracle                        the query that gave the rows, for `oracle/oracle.py`
//! ==> late oracle                   the same for `late`
//! ==> output sums.csv               what an INSERT must have left in that file, in any order
//! ==> rejects bad.ndjson            what must be in that file of rejects, in order: `source offset line column reason` a
//!                                   line, the source without its directory, `-` for what is null
//! ==> rows                          what the SELECT must give: CSV, NULL an empty field, the empty string ""
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use thalweg::plan::RuntimeMode;

use crate::rows::{self, Fields};
use crate::tests_directory;

/// What is asked, and what must come out.
#[derive(Debug, Default)]
pub struct Case {
    /// `feature/case`.
    pub name: String,
    /// Modes in which it must give its rows; never empty.
    pub modes: Vec<RuntimeMode>,
    /// Tables of `sql/tables`.
    pub tables: Vec<String>,
    /// Late rows in streaming mode, over all operators.
    pub late: u64,
    /// Rejected records, over all sources.
    pub rejected: Option<u64>,
    /// Rows are compared in order.
    pub is_ordered: bool,
    /// Rows with the same values in so many columns, behind the first, are compared in order.
    pub key_columns: Option<usize>,
    /// Rows of a changelog are applied, and what is left is compared.
    pub is_net: bool,
    /// Name and bytes of the files that are written for it.
    pub files: Vec<(String, Vec<u8>)>,
    /// What is run.
    pub sql: String,
    /// Rows of the SELECT, if there is one.
    pub rows: Option<Vec<Fields>>,
    /// Rows of each sink's file.
    pub outputs: Vec<(String, Vec<Fields>)>,
    /// Lines of each file of rejects.
    pub rejects: Vec<(String, Vec<String>)>,
}

impl Case {
    /// All golden files, in the order of their names.
    pub fn all() -> Vec<Self> {
        let mut paths: Vec<PathBuf> = Vec::new();
        for feature in fs::read_dir(tests_directory().join("sql")).expect("tests/sql is a directory") {
            let feature = feature.expect("tests/sql can be listed").path();
            for file in fs::read_dir(&feature).expect("tests/sql holds directories alone") {
                let path = file.expect("the directory can be listed").path();
                if path.extension().is_some_and(|extension| extension == "test") {
                    paths.push(path);
                }
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let feature =
            path.parent().and_then(Path::file_name).expect("a golden file is in the directory of its feature");
        let name =
            format!("{}/{}", feature.to_string_lossy(), path.file_stem().expect("it has a name").to_string_lossy());
        Self::parse(name.clone(), &text).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    fn parse(name: String, text: &str) -> Result<Self, String> {
        let mut case = Self { name, ..Self::default() };
        let mut sections = Vec::<(&str, String)>::new();
        for line in text.split_inclusive('\n') {
            match (line.strip_prefix("==> "), sections.last_mut()) {
                (Some(title), _) => sections.push((title.trim_end(), String::new())),
                (None, Some((_, body))) => body.push_str(line),
                (None, None) => case.header(line.trim_end())?,
            }
        }
        for (title, body) in sections {
            case.section(title, body)?;
        }
        if case.modes.is_empty() {
            case.modes.push(RuntimeMode::Batch);
        }
        if case.sql.is_empty() || (case.rows.is_none() && case.outputs.is_empty()) {
            return Err("there is nothing to run or nothing to expect".into());
        }
        Ok(case)
    }

    fn header(&mut self, line: &str) -> Result<(), String> {
        let line = line.strip_prefix('#').ok_or_else(|| format!("`{line}` is in front of the first section"))?;
        let (key, value) = line.trim_start().split_once(':').unwrap_or((line.trim(), ""));
        let count = || value.trim().parse().map_err(|error| format!("{key}: {error}"));
        match key {
            "modes" => {
                for mode in value.split_whitespace() {
                    self.modes.push(match mode {
                        "batch" => RuntimeMode::Batch,
                        "streaming" => RuntimeMode::Streaming,
                        _ => return Err(format!("there is no mode `{mode}`")),
                    });
                }
            }
            "tables" => self.tables = value.split_whitespace().map(str::to_owned).collect(),
            "late" => self.late = count()?,
            "rejected" => self.rejected = Some(count()?),
            "net" => self.is_net = true,
            "ordered" => self.is_ordered = true,
            "keyed" => self.key_columns = Some(count()? as usize),
            // `why`, the lines that it goes on in, `by hand` and `by Flink` are for people.
            _ => {}
        }
        Ok(())
    }

    fn section(&mut self, title: &str, body: String) -> Result<(), String> {
        match title.split_once(' ').unwrap_or((title, "")) {
            ("file", name) => self.files.push((name.to_owned(), body.into_bytes())),
            ("escaped", name) => self.files.push((name.to_owned(), unescape(&body)?)),
            ("sql", "") => self.sql = body,
            ("rows", "") => self.rows = Some(rows::parse(&body)),
            ("output", name) => self.outputs.push((name.to_owned(), rows::parse(&body))),
            ("rejects", name) => self.rejects.push((name.to_owned(), body.lines().map(str::to_owned).collect())),
            ("oracle", "") | ("late", "oracle") => {}
            _ => return Err(format!("there is no section `{title}`")),
        }
        Ok(())
    }

    /// Records and rows that must be rejected.
    pub fn rejected(&self) -> u64 {
        self.rejected.unwrap_or_else(|| self.rejects.iter().map(|(_, lines)| lines.len() as u64).sum())
    }

    /// Writes the files that the case brings along.
    pub fn write_files(&self, directory: &Path) -> Result<(), String> {
        for (name, bytes) in &self.files {
            let path = directory.join(name);
            let parent = path.parent().expect("a file is in a directory");
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, bytes))
                .map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }

    /// The whole text that is run: mode, tables, then the case's own statements.
    pub fn script(&self, mode: RuntimeMode, directory: &Path) -> String {
        let mode = match mode {
            RuntimeMode::Batch => "batch",
            RuntimeMode::Streaming => "streaming",
        };
        let mut script = format!("SET 'execution.runtime-mode' = '{mode}';\n");
        for table in &self.tables {
            let path = tests_directory().join("sql/tables").join(format!("{table}.sql"));
            script += &fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        script += &self.sql;
        let data = tests_directory().join("data");
        script.replace("${data}", &data.to_string_lossy()).replace("${dir}", &directory.to_string_lossy())
    }

    /// Bytes of the longest of its own files: where it can be cut into blocks.
    pub fn file_bytes_max(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0)
    }
}

/// Bytes of a section of escapes.
fn unescape(body: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = body.bytes().filter(|&byte| byte != b'\n');
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).map_err(|error| format!("\\x{digits}: {error}"))?
            }
            other => return Err(format!("unknown escape {other:?}")),
        });
    }
    Ok(bytes)
}
