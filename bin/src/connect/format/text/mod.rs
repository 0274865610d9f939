//! Text in records, read in parallel from blocks that are cut anywhere: what formats of text share.
//!
//! Workers take blocks and index them; in the order of input each learns what the block before left unfinished, and then
//! decodes its whole records, a [`Region`], side by side with the others. A format says which bytes separate ([`Dialect`]),
//! what the first record of a file means, and how records become columns: [`RecordFormat`]. All else is here, with the
//! promise that rows, rejects and accounts do not depend on where blocks are cut, nor on the number of workers:
//! - records end at newlines outside of quotes; a last line without a newline is a record too,
//! - a byte order mark is passed over, and one of UTF-16 refused,
//! - what is longer than `max-record-bytes`, or ends within quotes, is given up as [`OnError`] says,
//! - under `on-error` = `fail` the error of the first bad record wins.
//!
//! [`OnError`]: crate::connect::bad_input::OnError

mod carry;
mod dialect;
mod index;
mod piece;
mod place;
mod places;
mod reader;
mod region;
mod scan;
mod shape;
mod simd;
mod stream;
mod utf8;
mod views;
mod walk;

use arrow_array::RecordBatch;
use thalweg_operators::kernels::Kernels;

use super::super::bad_input::{BadInput, Rejects};
use crate::error::{InputPlace, Result};

pub use dialect::Dialect;
pub use place::shown;
pub use places::{PlacedRecords, TextPlaces};
pub use reader::TextSource;
pub use region::{Region, Row, Rows};
pub use scan::{Scan, Stop};
pub use shape::{FirstRecord, Shape};
pub use utf8::is_utf8;
pub use views::string_views;

#[cfg(test)]
pub mod every_cut;
#[cfg(test)]
mod tests;

/// A format of records in text, and what is read of a table in it.
pub trait RecordFormat: Send + Sync + 'static {
    /// What a worker keeps from one region to the next.
    type Decoder: Default + Send;

    /// What separates. [`Dialect::LINES`] for a format of lines.
    fn dialect(&self) -> Dialect;

    /// What becomes of bad records.
    fn bad_input(&self) -> &BadInput;

    /// What the first record of a file says about it: `fields` as they are written, without the line end, `at` its place
    /// as errors show it. `None` if it says nothing, as a blank line; then the next is asked about. A format of lines
    /// leaves this as it is.
    ///
    /// # Errors
    /// `Data`, if the file cannot be read with such a first record; that ends the job.
    fn first_record(&self, fields: &[&[u8]], at: &InputPlace) -> Result<Option<FirstRecord>> {
        let _ = (fields, at);
        Ok(Some(FirstRecord::line()))
    }

    /// What records are found with.
    fn kernels(&self) -> Kernels;

    /// Makes rows of a region, see there.
    ///
    /// # Errors
    /// `Data` for the first bad record under `on-error` = `fail`.
    fn decode(&self, decoder: &mut Self::Decoder, region: Region) -> Result<Decoded>;
}

/// What a region became.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// Records, those that were rejected included.
    pub records: u64,
    /// Records that are not among the rows.
    pub rejects: Rejects,
    /// Where the rows stand, for those that are refused later; see [`Region::places`].
    pub places: Option<TextPlaces>,
    /// A buffer to use again.
    pub positions: Vec<u32>,
}
