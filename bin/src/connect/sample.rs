//! Looking at a table's first rows before a job reads them.

use std::sync::Arc;

use super::connector::is_live;
use super::{Connector, Doorbells, ReadOptions, ScanHints, Source};
use crate::error::Result;
use crate::plan::Table;

impl Connector {
    /// Opens it to look at its first rows, as [`open_hinted_source`](Self::open_hinted_source) would; `None` if what is
    /// read so would be missing afterwards, or may keep the reader waiting: a pipe, standard input, followed files.
    ///
    /// # Errors
    /// As for [`open_source`](Self::open_source).
    pub fn open_sample(
        &self,
        table: &Table,
        columns: &[usize],
        hints: &ScanHints<'_>,
        read: &ReadOptions,
        bells: &Doorbells,
    ) -> Result<Option<Arc<dyn Source>>> {
        match self {
            Self::Filesystem { path, monitor_interval: None, .. } if path != "-" && !is_live(path) => {
                self.open_hinted_source(table, columns, hints, read, bells).map(Some)
            }
            Self::Datagen(options) => options.open_unpaced(&table.schema, columns, read, bells).map(Some),
            _ => Ok(None),
        }
    }
}
