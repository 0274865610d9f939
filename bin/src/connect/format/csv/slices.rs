//! Which bytes of a region are which field: from the separators of records to the texts of columns.

use crate::connect::format::text::{Region, Row, Rows, Shape};

/// Where the texts of one column are, by row of a region.
#[derive(Debug, Default)]
pub struct Slices {
    /// First bytes.
    pub starts: Vec<u32>,
    /// Behind the last bytes.
    pub ends: Vec<u32>,
    /// Empty if no field was quoted.
    pub quoted: Vec<bool>,
}

/// The records of a region that have as many fields as they should.
pub enum Selected {
    /// All of them, back to back.
    Dense {
        /// How many.
        rows: usize,
    },
    /// These.
    Listed(Vec<Row>),
}

impl Selected {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Dense { rows } => *rows,
            Self::Listed(rows) => rows.len(),
        }
    }

    /// One of them, of a region whose records have so many fields.
    pub fn get(&self, row: usize, region: &Region, fields: usize) -> Row {
        match self {
            Self::Listed(rows) => rows[row],
            Self::Dense { .. } => {
                let first = region.first + row * fields;
                let start = if row == 0 { region.start as u32 } else { region.positions[first - 1] + 1 };
                Row { start, first: first as u32, fields: fields as u32 }
            }
        }
    }
}

/// Cuts regions into the texts of columns, and keeps the buffers for that.
#[derive(Debug, Default)]
pub struct Slicer {
    /// By requested column.
    pub columns: Vec<Slices>,
    /// Where the records end, if they are dense.
    ends: Vec<u32>,
    /// Some record of these may end with CR LF.
    has_returns: bool,
}

impl Slicer {
    /// Whether all records of a region have as many fields as they should and nothing is between them; their number.
    pub fn dense_rows(&mut self, region: &Region, fields: usize) -> Option<usize> {
        let separators = region.positions.get(region.first..)?;
        let rows = region.record_ends;
        if region.rows != Rows::Dense || rows == 0 || separators.len() != rows * fields {
            return None;
        }
        every(&separators[fields - 1..], fields, rows, &mut self.ends);
        // As many newlines as rows, and each where it belongs: then none is elsewhere.
        let bytes = &region.buffer.bytes;
        let (mut are_newlines, mut has_returns) = (true, false);
        for &end in &self.ends {
            // There is a byte before each: a block is padded in front.
            let before = &bytes[end as usize - 1..=end as usize];
            are_newlines &= before[1] == b'\n';
            has_returns |= before[0] == b'\r';
        }
        self.has_returns = has_returns;
        are_newlines.then_some(rows)
    }

    /// Finds the texts of the requested columns. Dense rows are those that [`Slicer::dense_rows`] was asked about last.
    pub fn slice(&mut self, region: &Region, shape: &Shape, rows: &Selected, escape: Option<u8>) {
        self.columns.resize_with(shape.columns.len(), Slices::default);
        let bytes = &region.buffer.bytes;
        for (column, &field) in shape.columns.iter().enumerate() {
            let is_last = field + 1 == shape.fields;
            let (before, rest) = self.columns.split_at_mut(column);
            let slices = &mut rest[0];
            slices.starts.clear();
            slices.ends.clear();
            slices.quoted.clear();
            match rows {
                Selected::Dense { rows } => {
                    let separators = |field: usize| &region.positions[region.first + field..];
                    if is_last {
                        slices.ends.extend_from_slice(&self.ends);
                    } else {
                        every(separators(field), shape.fields, *rows, &mut slices.ends);
                    }
                    // A field starts behind the separator before it, which may have been found for its neighbour.
                    if field == 0 {
                        slices.starts.push(region.start as u32);
                        slices.starts.extend(self.ends[..rows - 1].iter().map(|end| end + 1));
                    } else if let Some(neighbour) = shape.columns[..column].iter().position(|&of| of + 1 == field) {
                        slices.starts.extend(before[neighbour].ends.iter().map(|end| end + 1));
                    } else {
                        every(separators(field - 1), shape.fields, *rows, &mut slices.starts);
                        slices.starts.iter_mut().for_each(|start| *start += 1);
                    }
                    if is_last && self.has_returns {
                        for (&start, end) in slices.starts.iter().zip(&mut slices.ends) {
                            *end -= u32::from(*end > start && bytes[*end as usize - 1] == b'\r');
                        }
                    }
                }
                Selected::Listed(rows) => {
                    slices.starts.extend(rows.iter().map(|row| field_start(region, row, field)));
                    slices.ends.extend(rows.iter().map(|row| region.positions[row.first as usize + field]));
                    if is_last {
                        for (&start, end) in slices.starts.iter().zip(&mut slices.ends) {
                            let is_return = *end > start && bytes[*end as usize - 1] == b'\r';
                            let is_end = || ends_record(&bytes[start as usize..=*end as usize], escape);
                            *end -= u32::from(is_return && is_end());
                        }
                    }
                }
            }
        }
    }

    /// Copies the texts of a row to another, in all columns.
    pub fn move_row(&mut self, from: usize, to: usize) {
        for slices in &mut self.columns {
            slices.starts[to] = slices.starts[from];
            slices.ends[to] = slices.ends[from];
            if !slices.quoted.is_empty() {
                slices.quoted[to] = slices.quoted[from];
            }
        }
    }
}

/// Where a field of a record starts.
pub fn field_start(region: &Region, row: &Row, field: usize) -> u32 {
    if field == 0 { row.start } else { region.positions[row.first as usize + field - 1] + 1 }
}

/// Whether a field that ends with a carriage return, shown with the separator behind it, ends there: not where the return
/// is escaped, or where surplus fields follow.
fn ends_record(field: &[u8], escape: Option<u8>) -> bool {
    let [before @ .., _, separator] = field else { return false };
    let escapes = before.iter().rev().take_while(|byte| Some(**byte) == escape).count();
    *separator == b'\n' && escapes % 2 == 0
}

/// The first of each `stride` positions, `rows` times. A loop of single loads: gathers of the processor took longer.
fn every(positions: &[u32], stride: usize, rows: usize, into: &mut Vec<u32>) {
    into.resize(rows, 0);
    for (value, chunk) in into.iter_mut().zip(positions.chunks(stride)) {
        *value = chunk[0];
    }
}
