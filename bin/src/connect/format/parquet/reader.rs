//! A table of Parquet as a source: workers take pieces of row groups and decode them.
//!
//! **The first bad record wins**, as in [CSV](super::super::csv): a worker that cannot read its piece keeps the error back
//! until no other holds an earlier one. For that each notes the earliest piece that it has or may be about to get,
//! *before* it takes one.
//!
//! **Damage** is found when pages are decoded, and how far the decoder comes depends on the size of batches. Where the
//! job goes on without what is damaged, it goes on without the row group as a whole: a row group of several pieces is
//! therefore looked through before its first row is given out, by whoever comes first; the others wait for the verdict.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use thalweg_runtime::WorkerId;
use thalweg_runtime::exchange::doorbell::Doorbells;

use super::adapt::{Refusal, Texts};
use super::direct::{GroupChunks, Loader, Shelf};
use super::file::Fault;
use super::group::{self, PieceDecoder, PieceRows};
use super::layout::{Layout, OpenFile, Piece, Plan, PlannedGroup, Verdict};
use super::places::{PiecePlaces, record_of};
use crate::connect::bad_input::{OnError, Reject, RejectReason, Rejects, RowPlaces};
use crate::connect::{Source, SourceBlock, SourceEvent, SourceReader, TableScan};
use crate::error::{Error, Result};
use crate::plan::codes::coded_fields;
use crate::plan::pruning::ColumnTest;

/// "No block": above every block's number.
const NONE: u64 = u64::MAX;

/// A row group of more columns is not begun ahead of time: its pages take memory.
const AHEAD_COLUMNS_MAX: u64 = 32;

/// What to do about a damaged file.
const DAMAGE_HELP: &str = "write the file again, or read what is whole of it with 'on-error' = 'skip'";

/// Opens the files of a table. Under `on-error` = `fail`, what is damaged is an error of the reader; rows that do not fit are
/// rejects under every policy, since the job knows which is the first.
///
/// # Errors
/// `Connector`, if the system refuses; `Data`, if a column is not in a file, or of a type that cannot
/// be read as the table's.
pub fn open(files: Vec<PathBuf>, scan: &TableScan<'_>, pruning: &[ColumnTest]) -> Result<Arc<dyn Source>> {
    let schema = coded_fields(scan.schema, scan.columns, scan.codes);
    let tests = pruning.iter().filter_map(|test| {
        let column = scan.columns.iter().position(|column| *column == test.column)?;
        Some(ColumnTest { column, ..test.clone() })
    });
    let tests: Vec<ColumnTest> = tests.collect();
    let plan = Plan {
        wanted: schema.fields(),
        tests: &tests,
        block_bytes: scan.read.block_bytes,
        gives_out_early: scan.bad_input.on_error == OnError::Fail,
    };
    let layout = Layout::new(files, &plan)?;
    let bytes = layout.bytes();
    Ok(Arc::new(ParquetSource {
        shared: Arc::new(Shared {
            layout,
            shelf: Arc::default(),
            bytes,
            schema,
            keeps: scan.bad_input.for_format().on_error,
            on_error: scan.bad_input.on_error,
            batch_rows: scan.read.batch_rows.max(1),
            bells: scan.bells.clone(),
            next: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
            unread: AtomicU64::new(0),
            earliest: (0..scan.read.workers).map(|_| AtomicU64::new(NONE)).collect(),
            is_failing: AtomicBool::new(false),
        }),
    }))
}

struct ParquetSource {
    shared: Arc<Shared>,
}

/// What the readers share.
struct Shared {
    layout: Layout,
    /// What pages are decompressed into.
    shelf: Arc<Shelf>,
    bytes: u64,
    /// Columns of the batches.
    schema: SchemaRef,
    /// What becomes of damage.
    on_error: OnError,
    /// Which rejects are kept.
    keeps: OnError,
    batch_rows: usize,
    bells: Doorbells,
    /// The next block. Taking is one `fetch_add`.
    next: AtomicU64,
    is_stopped: AtomicBool,
    /// Rows that were passed over.
    unread: AtomicU64,
    /// By worker: no block below this is in its hands, nor will be. [`NONE`] while it has none and asks for none.
    earliest: Vec<AtomicU64>,
    /// Some worker keeps an error back: all others ring when they are done with a block.
    is_failing: AtomicBool,
}

impl Source for ParquetSource {
    fn reader(&self, worker: WorkerId) -> Box<dyn SourceReader> {
        Box::new(ParquetReader {
            shared: Arc::clone(&self.shared),
            worker,
            held: None,
            decoder: PieceDecoder::default(),
            loader: Loader::new(Arc::clone(&self.shared.shelf)),
            ahead: None,
            failure: None,
            failed_at: None,
        })
    }

    fn bytes_total(&self) -> Option<u64> {
        Some(self.shared.bytes)
    }

    fn unread(&self) -> u64 {
        self.shared.unread.load(Ordering::Relaxed)
    }

    fn drain(&self) {
        // Relaxed: the flag carries no data, and one block more or less after it is as good.
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        self.shared.bells.ring_all();
    }
}

/// One worker's handle.
struct ParquetReader {
    shared: Arc<Shared>,
    worker: WorkerId,
    /// A piece that was taken and waits for the verdict on its row group.
    held: Option<Piece>,
    decoder: PieceDecoder,
    loader: Loader,
    /// To be loaded before the next piece is taken.
    ahead: Option<Ahead>,
    /// What is wrong with a block, kept back until all blocks before it are known to be in order.
    failure: Option<(u64, Error)>,
    /// The block of the error that was given out.
    failed_at: Option<u64>,
}

/// Columns of a row group that will be wanted soon.
struct Ahead {
    group: Arc<GroupChunks>,
    columns: Range<usize>,
}

/// What became of a piece.
enum Outcome {
    Block(SourceBlock),
    /// Another worker is looking through its row group.
    Waits,
}

impl SourceReader for ParquetReader {
    fn poll(&mut self) -> Result<SourceEvent> {
        if self.failure.is_some() {
            return self.fail();
        }
        if let Some(Ahead { group, columns }) = self.ahead.take() {
            for column in columns {
                group.begin(column, &mut self.loader);
            }
        }
        let Some(piece) = self.held.take().or_else(|| self.take()) else { return Ok(SourceEvent::End) };
        match self.read(piece) {
            Ok(Outcome::Block(block)) => {
                self.shared.layout.block_done(piece.file);
                self.note(NONE);
                Ok(SourceEvent::Block(block))
            }
            Ok(Outcome::Waits) => {
                self.held = Some(piece);
                Ok(SourceEvent::Pending)
            }
            Err(error) => {
                self.failure = Some((piece.index, error));
                self.fail()
            }
        }
    }

    fn failed_at(&self) -> Option<u64> {
        self.failed_at
    }
}

impl ParquetReader {
    /// Takes the next piece that nobody has taken.
    fn take(&self) -> Option<Piece> {
        let shared = &self.shared;
        if shared.is_stopped.load(Ordering::Relaxed) {
            return None;
        }
        // SeqCst, with the counter and the reads in `fail`: one order for all, see above.
        let earliest = &shared.earliest[usize::from(self.worker.0)];
        earliest.store(shared.next.load(Ordering::SeqCst), Ordering::SeqCst);
        let index = shared.next.fetch_add(1, Ordering::SeqCst);
        if index >= shared.layout.blocks {
            self.note(NONE);
            return None;
        }
        self.note(index);
        Some(shared.layout.piece(index))
    }

    /// Notes the earliest block in hand, and rings who may wait for it.
    fn note(&self, earliest: u64) {
        self.shared.earliest[usize::from(self.worker.0)].store(earliest, Ordering::SeqCst);
        if self.shared.is_failing.load(Ordering::SeqCst) {
            self.shared.bells.ring_all();
        }
    }

    /// Gives the error out if nobody can come with an earlier one.
    fn fail(&mut self) -> Result<SourceEvent> {
        let Some((index, error)) = self.failure.take() else { return Ok(SourceEvent::Pending) };
        // Before the notes are read: whoever lowers a note afterwards sees the flag, and rings.
        self.shared.is_failing.store(true, Ordering::SeqCst);
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        let me = usize::from(self.worker.0);
        let others = self.shared.earliest.iter().enumerate().filter(|(worker, _)| *worker != me);
        if others.map(|(_, earliest)| earliest.load(Ordering::SeqCst)).all(|earliest| earliest >= index) {
            self.failed_at = Some(index);
            return Err(error);
        }
        self.failure = Some((index, error));
        Ok(SourceEvent::Pending)
    }

    fn read(&mut self, piece: Piece) -> Result<Outcome> {
        let shared = Arc::clone(&self.shared);
        let file = &shared.layout.files[piece.file];
        let Some(group) = piece.group else {
            let damage = file.damage.clone().unwrap_or_default();
            return self.damaged(piece, 0, damage);
        };
        let planned = &file.groups[group];
        let rows = PieceRows { file: piece.file, group, rows: planned.rows_of(piece.piece) };
        let kept = planned.count_in(rows.rows.clone());
        if planned.kept.is_empty() {
            self.pass_over(planned.rows);
            return Ok(Outcome::Block(empty_block(piece, 0)));
        }
        let open = shared.layout.open(piece.file)?;
        if shared.on_error != OnError::Fail && planned.pieces > 1 {
            match self.verdict(&open, group, planned)? {
                Verdict::Damaged(why) => {
                    self.pass_over(rows.rows.end - rows.rows.start - kept);
                    return self.damaged_group(piece, planned, why);
                }
                Verdict::Checking => return Ok(Outcome::Waits),
                Verdict::Unknown | Verdict::Whole => {}
            }
        }
        let (decoded, texts) = match self.decode_direct(&open, &rows) {
            Some(decoded) => (Ok(decoded), Texts::CheckedEach),
            None => {
                let decoded = self.decoder.decode(&shared.layout, &open, &rows, shared.batch_rows);
                (decoded, Texts::CheckedTogether)
            }
        };
        self.ahead = self.next_columns(&open, piece);
        planned.piece_done();
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(Fault::Fatal(error)) => return Err(error),
            Err(Fault::Damaged(why)) => {
                let found = group::damage(&open, group, planned)?;
                let why = found.unwrap_or_else(|| format!("row group {group}: {why}"));
                self.pass_over(rows.rows.end - rows.rows.start - kept);
                return self.damaged_group(piece, planned, why);
            }
        };
        self.pass_over(rows.rows.end - rows.rows.start - kept);
        let block = SourceBlock { bytes: planned.bytes_of(piece.piece), ..empty_block(piece, 0) };
        self.adapt(&open, planned, &rows, (decoded, texts), block).map(Outcome::Block)
    }

    /// The rows of a piece from the pages that all workers share; `None` if they must be decoded otherwise. While others
    /// load what is wanted, loads what the next row group begins with.
    fn decode_direct(&mut self, open: &OpenFile, piece: &PieceRows) -> Option<Vec<RecordBatch>> {
        let groups = &self.shared.layout.files[piece.file].groups;
        let columns = open.direct.as_ref()?;
        let chunks = groups[piece.group].chunks(open, piece.group).filter(|chunks| !chunks.is_refused())?;
        let next = piece.group + 1;
        let ahead = groups.get(next).and_then(|group| group.chunks(open, next));
        let meanwhile = |loader: &mut Loader| ahead.as_ref().is_some_and(|ahead| ahead.begin_any(loader));
        let first = usize::from(self.worker.0);
        columns.decode(&chunks, &piece.rows, self.shared.batch_rows, first, &mut self.loader, meanwhile)
    }

    /// What is to be loaded of the row group behind that of `piece`, by the worker that has it: so much with each piece that all
    /// of it is there in time, and no worker waits for another where a row group begins.
    fn next_columns(&self, open: &OpenFile, piece: Piece) -> Option<Ahead> {
        let groups = &self.shared.layout.files[piece.file].groups;
        let (group, next) = (piece.group?, piece.group? + 1);
        let count = open.direct.as_ref()?.len() as u64;
        // The last pieces leave time for what was begun late.
        let pieces = (groups[group].pieces * 2 / 3).max(1);
        let place = |piece: u64| (piece.min(pieces) * count / pieces) as usize;
        let columns = place(piece.piece)..place(piece.piece + 1);
        if columns.is_empty() || count > AHEAD_COLUMNS_MAX {
            return None;
        }
        let group = groups.get(next)?.chunks(open, next)?;
        Some(Ahead { group, columns })
    }

    fn pass_over(&self, rows: u64) {
        self.shared.unread.fetch_add(rows, Ordering::Relaxed);
    }

    /// Whether the row group of a piece can be decoded; [`Verdict::Checking`] while another worker looks.
    fn verdict(&self, open: &OpenFile, group: usize, planned: &PlannedGroup) -> Result<Verdict> {
        {
            let mut verdict = planned.verdict.lock().unwrap_or_else(PoisonError::into_inner);
            if *verdict != Verdict::Unknown {
                return Ok(verdict.clone());
            }
            *verdict = Verdict::Checking;
        }
        let outcome = group::damage(open, group, planned);
        // Who waits must not wait for one that failed: an earlier piece may be among them, and comes to the same end.
        let found = match &outcome {
            Ok(Some(why)) => Verdict::Damaged(why.clone()),
            Ok(None) => Verdict::Whole,
            Err(_) => Verdict::Unknown,
        };
        *planned.verdict.lock().unwrap_or_else(PoisonError::into_inner) = found.clone();
        self.shared.bells.ring_all();
        outcome.map(|_| found)
    }

    /// A piece of a row group that is damaged: the first speaks for all of them, unless the job ends.
    fn damaged_group(&self, piece: Piece, planned: &PlannedGroup, why: String) -> Result<Outcome> {
        let bytes = planned.bytes_of(piece.piece);
        if piece.piece > 0 && self.shared.on_error != OnError::Fail {
            return Ok(Outcome::Block(empty_block(piece, bytes)));
        }
        let count = planned.count_in(0..planned.rows);
        let outcome = self.damaged(piece, planned.rows_before, format!("{why}; {count} rows are lost"))?;
        Ok(match outcome {
            Outcome::Block(block) => Outcome::Block(SourceBlock { bytes, ..block }),
            Outcome::Waits => Outcome::Waits,
        })
    }

    /// A piece that stands for what is damaged, from row `offset` of the file on: one record, whatever is lost with it.
    fn damaged(&self, piece: Piece, offset: u64, message: String) -> Result<Outcome> {
        let origin = &self.shared.layout.files[piece.file].origin;
        if self.shared.on_error == OnError::Fail {
            return Err(Error::data(format!("{origin}: {message}")).help(DAMAGE_HELP));
        }
        let mut rejects = Rejects::default();
        rejects.add(self.shared.keeps, RejectReason::Corrupt, || Reject {
            origin: Arc::clone(origin),
            offset,
            line: 0,
            column: 0,
            field: None,
            reason: RejectReason::Corrupt,
            message,
            help: DAMAGE_HELP.to_owned(),
            record: Vec::new(),
        });
        Ok(Outcome::Block(SourceBlock { records: 1, rejects, ..empty_block(piece, 0) }))
    }

    /// Adds decoded rows to `block` as the table's, without those that cannot be.
    fn adapt(
        &self,
        open: &OpenFile,
        planned: &PlannedGroup,
        piece: &PieceRows,
        (decoded, texts): (Vec<RecordBatch>, Texts),
        mut block: SourceBlock,
    ) -> Result<SourceBlock> {
        let origin = &self.shared.layout.files[piece.file].origin;
        let kept = planned.kept_in(piece.rows.clone());
        let mut places = PiecePlaces::new(origin, planned.rows_before, kept);
        let mut before = 0;
        for source in decoded {
            let (mut batch, refusals) = group::adapted(open, &self.shared.schema, &source, texts)
                .map_err(|why| Error::internal(format!("{origin}: row group {}: {why}", piece.group)))?;
            if !refusals.is_empty() {
                let mut keep = vec![true; source.num_rows()];
                // What a damaged string holds must not be looked at as one.
                let is_text_damaged = refusals.iter().any(|refusal| refusal.reason == RejectReason::NotUtf8);
                for refusal in refusals {
                    let number = before + refusal.row as u64;
                    let shown = if is_text_damaged { &batch } else { &source };
                    keep[refusal.row] = false;
                    let offset = places.refuse(number);
                    block.rejects.add(self.shared.keeps, refusal.reason, || reject(origin, offset, shown, refusal));
                }
                batch = filter_record_batch(&batch, &BooleanArray::from(keep))
                    .map_err(|error| Error::internal(error.to_string()))?;
            }
            before += source.num_rows() as u64;
            block.batches.push(batch);
        }
        places.hold(&block.batches);
        block.records = before;
        block.places = Some(Box::new(places) as Box<dyn RowPlaces>);
        Ok(block)
    }
}

fn empty_block(piece: Piece, bytes: u64) -> SourceBlock {
    let (batches, rejects) = (Vec::new(), Rejects::default());
    SourceBlock { index: piece.index, batches, records: 0, rejects, places: None, bytes }
}

fn reject(origin: &Arc<str>, offset: u64, batch: &RecordBatch, refusal: Refusal) -> Reject {
    let Refusal { row, reason, path, message, help } = refusal;
    Reject {
        origin: Arc::clone(origin),
        offset,
        line: 0,
        column: 0,
        field: Some(path.into_boxed_str()),
        reason,
        message: format!("row {offset} (from 0): {message}"),
        help,
        record: record_of(batch, row),
    }
}
