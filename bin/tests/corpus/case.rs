//! Cases as they are written down: several to a file, each a few lines.
//!
//! ```text
//! kind I1                                  of this case and those that follow; so also
//! format csv
//! columns a INT, b STRING
//! options 'csv.header' = 'false'
//!
//! case a thousands separator
//! in 1,000,x\n                             bytes of the file; \n \r \t \\ \xNN, and a blank at the end is \x20
//! repeat 1000 a                            the text, so many times
//! pack gzip                                what there is so far, compressed (gzip, zstd), or written as Parquet
//! cut 8                                    without its last bytes
//! flip 10                                  all bits of one byte turned
//! query a, b                               what is selected; * if nothing is said
//! row {"a":2,"b":"y"}                      a row that must come out, in order
//! reject 0 1:1 field-count                 byte, line:column and reason of a record that must not
//! error exits 3: the header does not name  the job fails, and how; the text is a part of the message
//! ```

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A file and what must come of it.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Kind, file of cases, name.
    pub name: String,
    /// One of the kinds of bad input.
    pub kind: String,
    pub format: String,
    pub columns: String,
    pub options: String,
    pub query: String,
    pub bytes: Vec<u8>,
    pub rows: Vec<String>,
    pub rejects: Vec<Reject>,
    /// Exit code and part of the message of the error that ends the job.
    pub error: Option<(u8, String)>,
}

/// Where a record was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub offset: u64,
    pub line: u64,
    pub column: u64,
    pub reason: String,
}

impl Case {
    /// The cases of all files in `directory`.
    pub fn all(directory: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(directory).expect("the corpus is there");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("the corpus can be listed").path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "cases"));
        files.sort();
        let mut cases = Vec::new();
        for path in &files {
            let file = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(path).expect("a file of cases is UTF-8");
            let mut context = Self::default();
            let mut current: Option<Self> = None;
            for (number, line) in text.lines().enumerate() {
                let at = || format!("{file}.cases:{}: {line}", number + 1);
                let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
                if line.is_empty() || word == "#" {
                    continue;
                }
                if word == "case" {
                    cases.extend(current.take());
                    let name = format!("{} {file}: {rest}", context.kind);
                    current = Some(Self { name, ..context.clone() });
                    continue;
                }
                if current.as_mut().is_some_and(|case| case.set(word, rest, &at)) {
                    continue;
                }
                // What is not of a case is of all that follow, and ends the one before.
                cases.extend(current.take());
                context.set_context(word, rest, &at);
            }
            cases.extend(current);
        }
        cases
    }

    fn set_context(&mut self, word: &str, rest: &str, at: &dyn Fn() -> String) {
        match word {
            "kind" => self.kind = rest.to_owned(),
            "format" => self.format = rest.to_owned(),
            "columns" => self.columns = rest.to_owned(),
            "options" => self.options = rest.to_owned(),
            _ => panic!("{}: not understood", at()),
        }
    }

    /// Whether the line is one of a case.
    fn set(&mut self, word: &str, rest: &str, at: &dyn Fn() -> String) -> bool {
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|error| panic!("{}: {error}", at()));
        match word {
            "in" => self.bytes.extend(unescaped(rest)),
            "repeat" => {
                let (times, text) = rest.split_once(' ').unwrap_or_else(|| panic!("{}: repeat what?", at()));
                self.bytes.extend(unescaped(text).repeat(number(times) as usize));
            }
            "pack" => self.bytes = packed(&self.bytes, rest, &self.columns),
            "cut" => self.bytes.truncate(self.bytes.len() - number(rest) as usize),
            "flip" => self.bytes[number(rest) as usize] ^= 0xFF,
            "query" => self.query = rest.to_owned(),
            "row" => self.rows.push(rest.to_owned()),
            "reject" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let [offset, place, reason] = words[..] else { panic!("{}: byte line:column reason", at()) };
                let (line, column) = place.split_once(':').unwrap_or_else(|| panic!("{}: line:column", at()));
                let (offset, line, column) = (number(offset), number(line), number(column));
                self.rejects.push(Reject { offset, line, column, reason: reason.to_owned() });
            }
            "error" => {
                let (code, message) = rest
                    .strip_prefix("exits ")
                    .and_then(|rest| rest.split_once(": "))
                    .unwrap_or_else(|| panic!("{}: error exits CODE: MESSAGE", at()));
                self.error = Some((number(code) as u8, message.to_owned()));
            }
            _ => return false,
        }
        true
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escaped, after) = rest.split_first().expect("an escape is finished");
        rest = after;
        bytes.push(match escaped {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let (digits, after) = rest.split_at(2);
                rest = after;
                u8::from_str_radix(std::str::from_utf8(digits).expect("hexadecimal"), 16).expect("hexadecimal")
            }
            other => other,
        });
    }
    bytes
}

fn packed(bytes: &[u8], how: &str, columns: &str) -> Vec<u8> {
    match how {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("it can be compressed")
        }
        "zstd" => zstd::encode_all(bytes, 3).expect("it can be compressed"),
        "parquet" => crate::run::parquet_of(bytes, columns),
        other => panic!("pack {other}: gzip, zstd or parquet"),
    }
}
