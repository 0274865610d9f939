//! A region to batches: which bytes are which field, quotes taken off, columns decoded, bad records refused.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::Buffer;
use arrow_schema::DataType;

use super::column::{self, Column, Fields};
use super::options::Surplus;
use super::quoting::{Quoting, plain_text};
use super::refusal::{self, Refusal, Refused};
use super::slices::{Selected, Slicer, field_start};
use super::table::Table;
use super::temporal::DateCache;
use crate::connect::bad_input::{OnError, Reject, RejectReason};
use crate::connect::block::PAD_BYTES;
use crate::connect::format::text::{Decoded, Dialect, PlacedRecords, Region, Row, Shape, is_utf8, shown};
use crate::error::{Error, Result, counted};

/// Decodes regions, and keeps what it needs for that from one to the next.
#[derive(Debug, Default)]
pub struct Decoder {
    slicer: Slicer,
    dates: DateCache,
    refused: Vec<Refused>,
    /// What a field with escape characters says.
    plain: Vec<u8>,
}

impl Decoder {
    /// Decodes a region.
    ///
    /// # Errors
    /// `Data` for the first bad record, unless such are to be skipped.
    pub fn decode(&mut self, mut region: Region, table: &Table) -> Result<Decoded> {
        let rejects = std::mem::take(&mut region.rejects);
        let mut decoded = Decoded { records: rejects.total(), rejects, ..Decoded::default() };
        if let Some(shape) = region.shape.clone() {
            let rows = match self.slicer.dense_rows(&region, shape.fields) {
                Some(rows) => {
                    decoded.records += rows as u64;
                    Selected::Dense { rows }
                }
                None => Selected::Listed(select_rows(&mut region, &shape, table, &mut decoded)),
            };
            self.slicer.slice(&region, &shape, &rows, table.options.dialect.escape);
            self.refused.clear();
            if region.has_quotes {
                self.unquote(&mut region, table);
            }
            let is_utf8 = has_only_utf8(&region, table);
            let batches = Batches { decoder: self, table, rows: &rows, shape: &shape, decoded: &mut decoded, is_utf8 };
            batches.decode(&mut region)?;
        }
        if let Some(error) = region.error {
            return Err(error);
        }
        decoded.positions = region.positions;
        Ok(decoded)
    }

    /// Takes the quotes off. Texts with doubled quotes are written anew behind the input.
    fn unquote(&mut self, region: &mut Region, table: &Table) {
        let dialect = table.options.dialect;
        if dialect.escape.is_some() {
            return self.unescape(region, dialect);
        }
        let Some(quote) = dialect.quote else { return };
        let bytes = &mut region.buffer.bytes;
        for (column, slices) in self.slicer.columns.iter_mut().enumerate() {
            for row in 0..slices.starts.len() {
                let (start, end) = (slices.starts[row] as usize, slices.ends[row] as usize);
                let Some(first_quote) = memchr::memchr(quote, &bytes[start..end]) else { continue };
                if first_quote > 0 {
                    self.refused.push(Refused { row, column, refusal: Refusal::QuoteInside });
                    continue;
                }
                slices.quoted.resize(slices.starts.len(), false);
                slices.quoted[row] = true;
                match unquoted(bytes, start, end, quote) {
                    Some((start, end)) => {
                        slices.starts[row] = start as u32;
                        slices.ends[row] = end as u32;
                    }
                    None => self.refused.push(Refused { row, column, refusal: Refusal::AfterQuote }),
                }
            }
        }
        bytes.resize(bytes.len() + PAD_BYTES, 0);
    }

    /// Takes quotes and escape characters off. Texts that have some are written anew behind the input.
    fn unescape(&mut self, region: &mut Region, dialect: Dialect) {
        let bytes = &mut region.buffer.bytes;
        let is_special = |byte: &u8| dialect.quote == Some(*byte) || dialect.escape == Some(*byte);
        for (column, slices) in self.slicer.columns.iter_mut().enumerate() {
            for row in 0..slices.starts.len() {
                let field = &bytes[slices.starts[row] as usize..slices.ends[row] as usize];
                if !field.iter().any(is_special) {
                    continue;
                }
                self.plain.clear();
                match plain_text(field, dialect, &mut self.plain) {
                    Ok(quoting) => {
                        slices.quoted.resize(slices.starts.len(), false);
                        slices.quoted[row] = quoting == Quoting::Quoted;
                        slices.starts[row] = bytes.len() as u32;
                        bytes.extend_from_slice(&self.plain);
                        slices.ends[row] = bytes.len() as u32;
                    }
                    Err(refusal) => self.refused.push(Refused { row, column, refusal }),
                }
            }
        }
        bytes.resize(bytes.len() + PAD_BYTES, 0);
    }
}

/// Where the text of a quoted field is: in its place, or, if quotes in it are doubled, at the end of `bytes`. `None` if the
/// quotes are not well-formed.
fn unquoted(bytes: &mut Vec<u8>, start: usize, end: usize, quote: u8) -> Option<(usize, usize)> {
    let (inner_start, inner_end) = (start + 1, end - 1);
    if inner_end < inner_start || bytes[inner_end] != quote {
        return None;
    }
    let Some(doubled) = memchr::memchr(quote, &bytes[inner_start..inner_end]) else {
        return Some((inner_start, inner_end));
    };
    let new_start = bytes.len();
    let (mut from, mut at) = (inner_start, inner_start + doubled);
    loop {
        if at + 1 >= inner_end || bytes[at + 1] != quote {
            bytes.truncate(new_start);
            return None;
        }
        bytes.extend_from_within(from..=at);
        from = at + 2;
        match memchr::memchr(quote, &bytes[from..inner_end]) {
            Some(offset) => at = from + offset,
            None => break,
        }
    }
    bytes.extend_from_within(from..inner_end);
    Some((new_start, bytes.len()))
}

/// Whether all of the text is UTF-8, where somebody asks for strings. Then so is every field: a field begins behind an ASCII
/// character and ends in front of one, and so does what quotes and escape characters leave of it.
fn has_only_utf8(region: &Region, table: &Table) -> bool {
    let has_strings = || table.projected.fields().iter().any(|field| *field.data_type() == DataType::Utf8View);
    let text = || &region.buffer.bytes[region.start..region.end];
    region.is_ascii || (has_strings() && is_utf8(table.kernels, text()))
}

/// Leaves out blank lines and records with another number of fields.
fn select_rows(region: &mut Region, shape: &Shape, table: &Table, decoded: &mut Decoded) -> Vec<Row> {
    let mut selected = Vec::new();
    let mut error = None;
    for row in region.rows() {
        if shape.fields > 1 && region.is_blank(&row) {
            continue;
        }
        decoded.records += 1;
        if row.fields as usize == shape.fields || is_accepted_surplus(region, &row, shape, table.options.surplus) {
            selected.push(row);
        } else if table.bad_input.on_error == OnError::Fail {
            error = Some(wrong_field_count(region, &row, shape).into_error());
            break;
        } else {
            let reject = || wrong_field_count(region, &row, shape);
            decoded.rejects.add(table.bad_input.on_error, RejectReason::FieldCount, reject);
        }
    }
    if error.is_some() {
        // Comes before what the region's cut found wrong behind it.
        region.error = error;
    }
    selected
}

/// The record has too many fields, and is read all the same.
#[cold]
fn is_accepted_surplus(region: &Region, row: &Row, shape: &Shape, surplus: Surplus) -> bool {
    let fields = row.fields as usize;
    match surplus {
        Surplus::Refused => false,
        Surplus::TrailingDelimiter => {
            fields == shape.fields + 1 && region.texts(row).last().is_some_and(|last| last.is_empty())
        }
        Surplus::Ignored => fields > shape.fields,
    }
}

fn wrong_field_count(region: &Region, row: &Row, shape: &Shape) -> Reject {
    let (found, expected) = (row.fields as usize, shape.fields);
    // Where the first superfluous field starts, or where the record ends.
    let last = region.positions[row.first as usize + found - 1];
    let position = if found > expected { field_start(region, row, expected) } else { last };
    let record = row.start as usize..last as usize;
    let bytes = &region.buffer.bytes;
    let shown = shown(bytes[record.clone()].trim_ascii_end());
    let help = if memchr::memchr(b'\r', bytes[record.clone()].trim_ascii_end()).is_some() {
        "the record holds carriage returns: if the lines of the file end with CR alone, \
         convert it first, for example with `tr '\\r' '\\n'`"
    } else {
        "check 'csv.field-delimiter' and quotes; columns are declared in the order of the file, \
         or matched to its header; 'on-error' = 'skip' passes over such records"
    };
    Reject {
        message: format!(
            "a record of {} where {} should be: {shown}",
            counted(found, "field"),
            counted(expected, "field")
        ),
        help: help.to_owned(),
        ..region.reject(bytes, record, position as usize, RejectReason::FieldCount)
    }
}

/// Decodes the rows of one region batch by batch.
struct Batches<'a> {
    decoder: &'a mut Decoder,
    table: &'a Table,
    rows: &'a Selected,
    shape: &'a Shape,
    decoded: &'a mut Decoded,
    /// All texts of fields are known to be UTF-8.
    is_utf8: bool,
}

impl Batches<'_> {
    fn decode(mut self, region: &mut Region) -> Result<()> {
        let block = region.freeze();
        let mut left_out = Vec::new();
        let mut quote_refused = std::mem::take(&mut self.decoder.refused);
        quote_refused.sort_by_key(|refused| refused.row);
        let mut from = 0;
        while from < self.rows.len() {
            let to = self.rows.len().min(from + self.table.batch_rows);
            let in_batch = quote_refused.iter().filter(|refused| (from..to).contains(&refused.row));
            let mut refused =
                in_batch.map(|refused| Refused { row: refused.row - from, ..*refused }).collect::<Vec<_>>();
            let mut columns = self.columns(&block, from..to, &mut refused);
            let mut rows = to - from;
            if !refused.is_empty() {
                if self.table.bad_input.on_error == OnError::Fail {
                    // Of several for one field the first is the cause: `min_by_key` returns it.
                    let order = |refused: &&Refused| self.order(refused);
                    let first = *refused.iter().min_by_key(order).expect("something is refused");
                    return Err(self.reject(first, from, region, &block).into_error());
                }
                // Stable: of several for one field the first, which is the cause, stays in front.
                refused.sort_by_key(|refused| self.order(refused));
                refused.dedup_by_key(|refused| refused.row);
                for &first in &refused {
                    let mut rejects = std::mem::take(&mut self.decoded.rejects);
                    let reject = || self.reject(first, from, region, &block);
                    rejects.add(self.table.bad_input.on_error, first.refusal.reason(), reject);
                    self.decoded.rejects = rejects;
                }
                left_out.extend(refused.iter().map(|refused| (from + refused.row) as u32));
                rows = self.leave_out(&refused, from, to);
                columns = self.columns(&block, from..from + rows, &mut Vec::new());
            }
            if rows > 0 {
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                let schema = Arc::clone(&self.table.projected);
                let batch = RecordBatch::try_new_with_options(schema, columns, &options)
                    .map_err(|error| Error::internal(format!("a batch of CSV does not fit its schema: {error}")))?;
                self.decoded.batches.push(batch);
            }
            from = to;
        }
        self.decoder.refused = quote_refused;
        let records = match self.rows {
            Selected::Dense { .. } => PlacedRecords::AllBut(left_out),
            Selected::Listed(rows) => {
                let mut left_out = left_out.into_iter().peekable();
                let kept = rows.iter().zip(0..).filter(|(_, row)| left_out.next_if_eq(row).is_none());
                PlacedRecords::Starts(kept.map(|(row, _)| row.start).collect())
            }
        };
        self.decoded.places = Some(region.places(&block, self.table.options.dialect, records));
        Ok(())
    }

    fn columns(&mut self, block: &Buffer, rows: Range<usize>, refused: &mut Vec<Refused>) -> Vec<ArrayRef> {
        let options = &self.table.options;
        let null_literal = options.null_literal.as_ref().map(String::as_bytes);
        let (empty_is_null, element_delimiter) = (options.empty_is_null, options.element_delimiter.as_bytes());
        let (vectors, is_utf8) = (self.table.vectors, self.is_utf8);
        let fields = self.table.projected.fields().iter().enumerate();
        let columns = fields.zip(&self.decoder.slicer.columns).map(|((number, field), slices)| {
            let column = Column { field, number, null_literal, empty_is_null, element_delimiter, vectors };
            let quoted = if slices.quoted.is_empty() { &[][..] } else { &slices.quoted[rows.clone()] };
            let (starts, ends) = (&slices.starts[rows.clone()], &slices.ends[rows.clone()]);
            column::decode(column, Fields { block, starts, ends, quoted, is_utf8 }, &mut self.decoder.dates, refused)
        });
        columns.collect()
    }

    /// Moves the rows from `from` to `to` that are not refused to the front; returns their number.
    fn leave_out(&mut self, refused: &[Refused], from: usize, to: usize) -> usize {
        let mut is_kept = vec![true; to - from];
        for refused in refused {
            is_kept[refused.row] = false;
        }
        let mut kept = from;
        for (row, _) in (from..to).zip(&is_kept).filter(|(_, is_kept)| **is_kept) {
            self.decoder.slicer.move_row(row, kept);
            kept += 1;
        }
        kept - from
    }

    /// Where a refused field comes in the order of the text.
    fn order(&self, refused: &Refused) -> (usize, usize) {
        (refused.row, self.shape.columns[refused.column])
    }

    /// The record that is refused because of a field.
    fn reject(&self, refused: Refused, from: usize, region: &Region, block: &Buffer) -> Reject {
        let row = self.rows.get(from + refused.row, region, self.shape.fields);
        let fault = field_start(region, &row, self.shape.columns[refused.column]) as usize;
        let end = region.positions[(row.first + row.fields) as usize - 1] as usize;
        let slices = &self.decoder.slicer.columns[refused.column];
        let text = slices.starts[from + refused.row] as usize..slices.ends[from + refused.row] as usize;
        let field = self.table.projected.field(refused.column);
        let bytes = block.as_slice();
        let inferred_from = self.table.options.inferred_from;
        let (message, help) =
            refusal::explain(refused.refusal, &bytes[text], field.name(), field.data_type(), inferred_from);
        let record = row.start as usize..end;
        let field = Some(field.name().as_str().into());
        Reject { message, help, field, ..region.reject(bytes, record, fault, refused.refusal.reason()) }
    }
}
