//! Files as sinks: one file, whole or not there at all; or, on request, a directory of parts.
//!
//! Rows go to a hidden file beside the one that they are for ([`Temporary`]); when it is finished it is synced, renamed,
//! and the directory is synced. Nothing half-written ever has the final name, also if the process is killed.
//!
//! A path that ends in `/` or is a directory, PARTITIONED BY, and the options that only parts can have
//! ([`PartOptions`]) stand for a directory of parts ([`PartsWriter`]); anything else is one file ([`FileWriter`]). How
//! rows are written into one file is behind [`RowFile`], so neither knows the format.

mod commit;
mod compression;
mod file;
mod part;
mod part_options;
mod partition;
mod parts;
mod row_end;
mod row_file;
mod temporary;
mod text_rows;

pub use file::FileWriter;
pub use part_options::PartOptions;
pub use partition::{partition_columns, unescape};
pub use parts::PartsWriter;
pub use row_end::RowEnd;
pub use row_file::{RowFile, RowFormat};
pub use temporary::{Temporary, remove_unfinished};
pub use text_rows::{HeaderDefault, TextRows};

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::OpenSink;
use super::format::Format;
use crate::error::{Error, Result};
use crate::plan::Table;

/// Opens the files of `table` at `path` for writing.
///
/// # Errors
/// `Statement`, if `path` is a glob or a column's type cannot be written; `Connector`, if nothing can be made there.
pub fn open(path: &str, format: &Format, options: &PartOptions, table: &Table) -> Result<OpenSink> {
    if path.contains(['*', '?', '[']) {
        return Err(Error::statement(format!("table `{}` is read from a glob, '{path}'", table.name))
            .help("to write, declare a table whose 'path' is one file, or a directory ending in '/'"));
    }
    let schema = Arc::clone(&table.schema);
    if !options.is_directory && !Path::new(path).is_dir() {
        let rows = RowFormat::new(format, &schema)?;
        let encoder = rows.encoder();
        let writer = Box::new(FileWriter::create(path, rows)?);
        return Ok(OpenSink { encoder, writer, schema });
    }
    let writer = PartsWriter::create(path, format, options, &schema)?;
    Ok(OpenSink { encoder: writer.encoder(), writer: Box::new(writer), schema })
}

/// The error for what the system refuses, with what can be done about it.
pub(super) fn cannot(what: &str, file: &Path, error: std::io::Error) -> Error {
    let kind = error.kind();
    // A format's own error on its way through a writer of bytes.
    let error = match error.downcast::<Error>() {
        Ok(own) => return own,
        Err(error) => error,
    };
    let refused = Error::connector(format!("cannot {what} '{}': {error}", file.display()));
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            refused.help("nothing of the unfinished file is left: make room and run the job again, or write elsewhere")
        }
        ErrorKind::FileTooLarge => refused.help("a limit on the size of files holds here (`ulimit -f`): raise it"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            refused.help("the user who runs the job needs the right to make files in that directory")
        }
        ErrorKind::InvalidFilename => refused.help("a name of a file has at most 255 bytes on most file systems"),
        _ => refused,
    }
}

/// Writes all of `bytes`, and says how many the system took, also where it then refused the rest.
pub(super) fn write_counted(out: &mut impl Write, bytes: &[u8]) -> (usize, std::io::Result<()>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match out.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(ErrorKind::WriteZero.into())),
            Ok(count) => taken += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Somebody who shares the pipe or terminal has made it non-blocking; this thread may wait.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

#[cfg(test)]
mod tests;
