//! A table of JSON lines as a source: regions of text to batches, and bad records to rejects.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use thalweg_operators::kernels::Kernels;

use super::batch::{BatchDecoder, LeftOut};
use super::fit::Lines;
use super::options::JsonOptions;
use super::refusal::Refused;
use crate::connect::TableScan;
use crate::connect::bad_input::{BadInput, OnError, Reject};
use crate::connect::block::BlockInput;
use crate::connect::format::text::{Decoded, Dialect, PlacedRecords, RecordFormat, Region, Rows, TextSource};
use crate::error::Result;

/// What is read of a table of JSON, and how.
pub struct JsonTable {
    /// The columns that are decoded.
    projected: SchemaRef,
    options: JsonOptions,
    bad_input: BadInput,
    /// Not 0.
    batch_rows: usize,
    kernels: Kernels,
}

impl JsonTable {
    /// What `scan` asks for.
    ///
    /// # Errors
    /// `Statement`, if one of the columns has a type that JSON cannot hold.
    pub fn new(options: JsonOptions, scan: &TableScan<'_>) -> Result<Self> {
        let fields = scan.columns.iter().map(|&column| Arc::clone(&scan.schema.fields()[column]));
        let projected = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        BatchDecoder::new(&projected, &options, scan.read.kernels)?;
        let (bad_input, batch_rows) = (scan.bad_input.clone(), scan.read.batch_rows.max(1));
        Ok(Self { projected, options, bad_input, batch_rows, kernels: scan.read.kernels })
    }

    /// Decodes the records of a region, and leaves what is wrong with its end to the caller.
    fn decode_records(&self, decoder: &mut BatchDecoder, region: &mut Region, decoded: &mut Decoded) -> Result<()> {
        let (starts, ends) = bounds(region);
        let range = region.start..region.end;
        let block = region.freeze();
        let text = block.as_slice();
        let mut left_out = Vec::new();
        // All at once is quicker, and as a rule nothing is wrong.
        let is_utf8 = region.is_ascii || std::str::from_utf8(&text[range]).is_ok();
        for first in (0..starts.len()).step_by(self.batch_rows) {
            let last = starts.len().min(first + self.batch_rows);
            let lines = Lines { block: &block, starts: &starts[first..last], ends: &ends[first..last] };
            decoded.records += (last - first) as u64;
            let batch = decoder.decode(lines, is_utf8, |number, why| {
                left_out.push((first + number) as u32);
                match why {
                    LeftOut::Blank => decoded.records -= 1,
                    LeftOut::Refused(refused) => {
                        let record = starts[first + number] as usize..ends[first + number] as usize;
                        self.refuse(*refused, record, region, text, decoded)?;
                    }
                }
                Ok(())
            })?;
            decoded.batches.extend(batch);
        }
        let records = match region.rows {
            Rows::Dense => PlacedRecords::AllBut(left_out),
            Rows::Listed(_) => {
                let mut left_out = left_out.into_iter().peekable();
                let kept = starts.iter().zip(0..).filter(|(_, number)| left_out.next_if_eq(number).is_none());
                PlacedRecords::Starts(kept.map(|(start, _)| *start).collect())
            }
        };
        decoded.places = Some(region.places(&block, Dialect::LINES, records));
        Ok(())
    }

    /// Counts a bad record, or ends the job with it.
    #[cold]
    fn refuse(
        &self,
        refused: Refused,
        record: Range<usize>,
        region: &Region,
        text: &[u8],
        decoded: &mut Decoded,
    ) -> Result<()> {
        let Refused { at, field, reason, message, help } = refused;
        let reject = || Reject { field, message, help, ..region.reject(text, record, at, reason) };
        match self.bad_input.on_error {
            OnError::Fail => return Err(reject().into_error()),
            policy => decoded.rejects.add(policy, reason, reject),
        }
        Ok(())
    }
}

impl RecordFormat for JsonTable {
    /// Made for the first region: it needs to know the columns.
    type Decoder = Option<BatchDecoder>;

    fn dialect(&self) -> Dialect {
        Dialect::LINES
    }

    fn bad_input(&self) -> &BadInput {
        &self.bad_input
    }

    fn kernels(&self) -> Kernels {
        self.kernels
    }

    fn decode(&self, kept: &mut Option<BatchDecoder>, mut region: Region) -> Result<Decoded> {
        let rejects = std::mem::take(&mut region.rejects);
        let mut decoded = Decoded { records: rejects.total(), rejects, ..Decoded::default() };
        if region.shape.is_some() {
            // What is left of a region that ended the job is left behind.
            let mut decoder = match kept.take() {
                Some(decoder) => decoder,
                None => BatchDecoder::new(&self.projected, &self.options, self.kernels)?,
            };
            self.decode_records(&mut decoder, &mut region, &mut decoded)?;
            *kept = Some(decoder);
        }
        if let Some(error) = region.error {
            return Err(error);
        }
        decoded.positions = region.positions;
        Ok(decoded)
    }
}

/// Where the records of a region start and end, without their line ends (LF or CR LF).
fn bounds(region: &Region) -> (Vec<u32>, Vec<u32>) {
    if region.rows != Rows::Dense {
        return region.records().map(|record| (record.start as u32, record.end as u32)).unzip();
    }
    let bytes = &region.buffer.bytes;
    let newlines = &region.positions[region.first..];
    let starts = std::iter::once(region.start as u32).chain(newlines.iter().map(|newline| newline + 1));
    let starts = starts.take(newlines.len()).collect::<Vec<_>>();
    let end = |(&start, &newline): (&u32, &u32)| {
        let has_return = newline > start && bytes[newline as usize - 1] == b'\r';
        newline - u32::from(has_return)
    };
    let ends = starts.iter().zip(newlines).map(end).collect();
    (starts, ends)
}

/// A source of what `scan` asks for.
///
/// # Errors
/// `Statement`, if one of the columns has a type that JSON cannot hold.
pub fn json_source<I: BlockInput + 'static>(
    input: I,
    options: JsonOptions,
    scan: &TableScan<'_>,
) -> Result<TextSource<JsonTable, I>> {
    Ok(TextSource::new(input, JsonTable::new(options, scan)?, scan.read.workers, scan.bells))
}
