//! Who reads standard input: it can be read once, by one.

use super::arguments::SqlArgs;
use super::script::is_from_stdin;
use crate::connect::Connector;
use crate::error::{Error, Result};
use crate::plan::Table;

/// Whether it has been read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StandardInput {
    is_read: bool,
}

impl StandardInput {
    /// Takes it for a job that reads these tables, if one of them is standard input.
    ///
    /// # Errors
    /// If the SQL came from there, an earlier job has read it, or the job would read it twice: each would miss rows.
    pub(super) fn take<'a>(&mut self, args: &SqlArgs, tables: impl Iterator<Item = &'a Table>) -> Result<()> {
        let readers = tables.filter(|table| matches!(table.connector, Connector::Stdin { .. })).count();
        if readers == 0 {
            return Ok(());
        }
        if is_from_stdin(args) {
            return Err(Error::statement("standard input holds the SQL, so it cannot hold rows as well")
                .help("put the SQL into a file, or give it with -e"));
        }
        if self.is_read {
            return Err(Error::statement("an earlier statement has read standard input to its end")
                .help("save the rows in a file, and read that as often as you like"));
        }
        if readers > 1 {
            return Err(Error::statement(format!(
                "this job reads standard input {readers} times, and its rows come once"
            ))
            .help("save the rows in a file, and read that as often as you like"));
        }
        self.is_read = true;
        Ok(())
    }
}
