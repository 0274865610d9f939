//! The files of a table as one row of blocks: which rows of which row group each block is.
//!
//! A row group is cut into pieces where it is large, so that several workers share it, and little is held at a time. A
//! piece is worth so many bytes once decompressed, of the columns that are read: few enough to stay near the caches, many
//! enough that beginning in the middle of a row group, which costs a look at its pages, is rare.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::FieldRef;
use parquet::file::metadata::ParquetMetaData;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::direct::{DirectColumns, GroupChunks};
use super::file::{Fault, FileBytes};
use super::prune::{self, FileTest};
use super::schema::{Projection, file_fields};
use crate::error::{Error, Result};
use crate::plan::pruning::ColumnTest;

/// Bytes of a piece, decompressed, for each byte of a block of text: 4 MiB where a block has its usual 128 KiB.
const PIECE_BYTES_PER_BLOCK_BYTE: u64 = 32;

/// Rows of a piece at most, however narrow they are.
const PIECE_ROWS_MAX: u64 = 1 << 17;

/// The same of a piece that can be decoded without a look at what is before it.
const DIRECT_PIECE_ROWS_MAX: u64 = 1 << 13;

/// Files that stay open from planning on; of more, each is opened again when its turn comes.
const OPEN_FILES_MAX: usize = 16;

/// What is read: the same for all files.
pub struct Plan<'a> {
    /// The table's columns that are read.
    pub wanted: &'a [FieldRef],
    /// Tests of the filter above, whose columns are places in `wanted`.
    pub tests: &'a [ColumnTest],
    /// `block_bytes` of the job.
    pub block_bytes: usize,
    /// Whether rows may be given out before the whole row group is known to be in order.
    pub gives_out_early: bool,
}

/// All blocks of a table.
#[derive(Debug)]
pub struct Layout {
    /// In the order in which they are read.
    pub files: Vec<PlannedFile>,
    /// How many blocks there are.
    pub blocks: u64,
    wanted: Vec<FieldRef>,
}

/// One file.
#[derive(Debug)]
pub struct PlannedFile {
    path: PathBuf,
    /// The path, for messages.
    pub origin: Arc<str>,
    first_block: u64,
    blocks: u64,
    /// Its length, by which it is known again.
    bytes: u64,
    /// What is wrong with the file as a whole, which then has one block.
    pub damage: Option<String>,
    /// In order.
    pub groups: Vec<PlannedGroup>,
    open: Mutex<Option<Arc<OpenFile>>>,
    blocks_left: AtomicU64,
}

/// One row group.
#[derive(Debug)]
pub struct PlannedGroup {
    /// Of the file, before those of this group.
    pub rows_before: u64,
    /// All of them.
    pub rows: u64,
    /// Those that are read: ascending and apart.
    pub kept: Vec<Range<u64>>,
    /// Compressed, of the columns that are read.
    pub bytes: u64,
    /// Blocks of the file before those of this group.
    first_piece: u64,
    /// Not 0.
    pub pieces: u64,
    /// Whether all of it can be decoded.
    pub verdict: Mutex<Verdict>,
    /// Whether its pieces are decoded from the pages that workers share.
    is_direct: bool,
    /// These pages, from its first piece to its last.
    chunks: Mutex<Option<Arc<GroupChunks>>>,
    pieces_left: AtomicU64,
}

/// Whether the rows of a row group that are read can all be decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// A worker is looking.
    Checking,
    /// They can.
    Whole,
    /// They cannot, and why.
    Damaged(String),
}

/// A file that blocks are read from.
#[derive(Debug)]
pub struct OpenFile {
    /// Its bytes.
    pub bytes: Arc<FileBytes>,
    /// Its metadata.
    pub metadata: Arc<ParquetMetaData>,
    /// How the table's columns are read from it.
    pub projection: Projection,
    /// All its columns, as they are decoded.
    pub fields: arrow_schema::Fields,
    /// The columns that are read, if all of them are plain.
    pub direct: Option<DirectColumns>,
}

/// One block.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Which block.
    pub index: u64,
    /// Of which file.
    pub file: usize,
    /// Of which row group; `None` for a file that is damaged as a whole.
    pub group: Option<usize>,
    /// Which piece of it.
    pub piece: u64,
}

impl Layout {
    /// Looks at the metadata of all files, side by side.
    ///
    /// # Errors
    /// `Connector`, if the system refuses; `Data`, if a column is not in a file or of another type. That a file is damaged
    /// is no error here.
    pub fn new(paths: Vec<PathBuf>, plan: &Plan<'_>) -> Result<Self> {
        let keeps_open = paths.len() <= OPEN_FILES_MAX;
        let planned: Vec<Result<PlannedFile>> =
            paths.par_iter().map(|path| plan_file(path, plan, keeps_open)).collect();
        let mut files = Vec::with_capacity(planned.len());
        let mut blocks = 0;
        for file in planned {
            let mut file = file?;
            file.first_block = blocks;
            blocks += file.blocks;
            files.push(file);
        }
        Ok(Self { files, blocks, wanted: plan.wanted.to_vec() })
    }

    /// Compressed bytes of what is read of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let groups = self.files.iter().flat_map(|file| &file.groups);
        groups.filter(|group| !group.kept.is_empty()).map(|group| group.bytes).sum()
    }

    /// The block of a number below [`blocks`](Self::blocks).
    #[must_use]
    pub fn piece(&self, index: u64) -> Piece {
        // The last file that starts at or before the block; files without blocks start where the next one does.
        let file = self.files.partition_point(|file| file.first_block <= index) - 1;
        let within = index - self.files[file].first_block;
        let groups = &self.files[file].groups;
        if groups.is_empty() {
            return Piece { index, file, group: None, piece: 0 };
        }
        let group = groups.partition_point(|group| group.first_piece <= within) - 1;
        Piece { index, file, group: Some(group), piece: within - groups[group].first_piece }
    }

    /// The file, open.
    ///
    /// # Errors
    /// `Connector`, if it cannot be opened again, or is not the same any more.
    pub fn open(&self, file: usize) -> Result<Arc<OpenFile>> {
        let planned = &self.files[file];
        let mut slot = planned.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*slot {
            return Ok(Arc::clone(open));
        }
        let open = Arc::new(match open_file(&planned.path, &planned.origin, &self.wanted)? {
            Ok(open)
                if open.bytes.bytes() == planned.bytes && open.metadata.num_row_groups() == planned.groups.len() =>
            {
                open
            }
            _ => {
                return Err(Error::connector(format!("`{}` changed while it was read", planned.origin))
                    .help("read files that nobody writes any more, for example a copy"));
            }
        });
        *slot = Some(Arc::clone(&open));
        Ok(open)
    }

    /// A block of the file is done: the last one closes it.
    pub fn block_done(&self, file: usize) {
        let planned = &self.files[file];
        // Relaxed: only who takes the count to 0 closes, and the lock orders that.
        if planned.blocks_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            planned.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

impl PlannedGroup {
    /// The rows of a piece, whether they are read or not.
    #[must_use]
    pub fn rows_of(&self, piece: u64) -> Range<u64> {
        let place = |piece: u64| (u128::from(self.rows) * u128::from(piece) / u128::from(self.pieces)) as u64;
        place(piece)..place(piece + 1)
    }

    /// The pages of row group number `group`, which this is, if it is decoded from them.
    #[must_use]
    pub fn chunks(&self, open: &OpenFile, group: usize) -> Option<Arc<GroupChunks>> {
        let columns = open.direct.as_ref().filter(|_| self.is_direct)?;
        // Relaxed: a row group whose last piece is done is asked for only to load it ahead of time, which is in vain.
        if self.pieces_left.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(chunks.get_or_insert_with(|| Arc::new(GroupChunks::new(open, columns, group)))))
    }

    /// A piece is done: the last one lets the pages go.
    pub fn piece_done(&self) {
        // Relaxed: only who takes the count to 0 lets go, and the lock orders that.
        if self.pieces_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.chunks.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// The bytes that a piece stands for.
    #[must_use]
    pub fn bytes_of(&self, piece: u64) -> u64 {
        let place = |piece: u64| (u128::from(self.bytes) * u128::from(piece) / u128::from(self.pieces)) as u64;
        if self.kept.is_empty() { 0 } else { place(piece + 1) - place(piece) }
    }

    /// Those of `rows` that are read.
    pub fn kept_in(&self, rows: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.kept.partition_point(|kept| kept.end <= rows.start);
        self.kept[first..]
            .iter()
            .map(move |kept| kept.start.max(rows.start)..kept.end.min(rows.end))
            .take_while(|kept| kept.start < kept.end)
    }

    /// How many of `rows` are read.
    #[must_use]
    pub fn count_in(&self, rows: Range<u64>) -> u64 {
        self.kept_in(rows).map(|kept| kept.end - kept.start).sum()
    }
}

fn open_file(path: &Path, origin: &str, wanted: &[FieldRef]) -> Result<Result<OpenFile, String>> {
    let bytes = Arc::new(FileBytes::open(path)?);
    let metadata = match bytes.footer() {
        Ok(metadata) => Arc::new(metadata),
        Err(Fault::Damaged(why)) => return Ok(Err(why)),
        Err(Fault::Fatal(error)) => return Err(error),
    };
    let fields = match file_fields(&metadata) {
        Ok(fields) => fields,
        Err(why) => return Ok(Err(format!("its schema cannot be read: {why}"))),
    };
    let projection = Projection::new(origin, &metadata, &fields, wanted)?;
    let direct = DirectColumns::new(&metadata, &projection);
    Ok(Ok(OpenFile { bytes, metadata, projection, fields, direct }))
}

fn plan_file(path: &Path, plan: &Plan<'_>, keeps_open: bool) -> Result<PlannedFile> {
    let origin: Arc<str> = path.to_string_lossy().into();
    let mut planned = PlannedFile {
        path: path.to_owned(),
        origin: Arc::clone(&origin),
        first_block: 0,
        blocks: 1,
        bytes: 0,
        damage: None,
        groups: Vec::new(),
        open: Mutex::new(None),
        blocks_left: AtomicU64::new(1),
    };
    let open = match open_file(path, &origin, plan.wanted)? {
        Ok(open) => open,
        Err(damage) => {
            planned.damage = Some(damage);
            return Ok(planned);
        }
    };
    planned.bytes = open.bytes.bytes();
    planned.groups = plan_groups(&open, plan);
    planned.blocks = planned.groups.iter().map(|group| group.pieces).sum();
    planned.blocks_left = AtomicU64::new(planned.blocks);
    if keeps_open && planned.blocks > 0 {
        planned.open = Mutex::new(Some(Arc::new(open)));
    }
    Ok(planned)
}

fn plan_groups(open: &OpenFile, plan: &Plan<'_>) -> Vec<PlannedGroup> {
    let tests: Vec<FileTest<'_>> = plan
        .tests
        .iter()
        .filter_map(|test| Some(FileTest { test: &test.test, column: open.projection.columns.get(test.column)? }))
        .collect();
    let kept = prune::kept(&open.bytes, &open.metadata, &tests);
    let block_bytes = (plan.block_bytes as u64).max(1);
    let (mut rows_before, mut first_piece) = (0, 0);
    let groups = open.metadata.row_groups().iter().zip(kept).map(|(group, kept)| {
        let rows = group.num_rows() as u64;
        let leaves = || open.projection.leaves.iter().map(|leaf| group.column(*leaf));
        let bytes = leaves().map(|column| column.compressed_size() as u64).sum();
        let decoded: u64 = leaves().map(|column| column.uncompressed_size().max(0) as u64).fold(0, u64::saturating_add);
        let is_whole = kept.len() == 1 && kept[0] == (0..rows);
        let is_direct = is_whole && open.direct.as_ref().is_some_and(|direct| direct.takes(group));
        let (piece_bytes, piece_rows) = match is_direct && plan.gives_out_early {
            true => (block_bytes, DIRECT_PIECE_ROWS_MAX),
            false => (block_bytes.saturating_mul(PIECE_BYTES_PER_BLOCK_BYTE), PIECE_ROWS_MAX),
        };
        let pieces = match kept.is_empty() {
            true => 1,
            false => decoded.div_ceil(piece_bytes).max(rows.div_ceil(piece_rows)).clamp(1, rows.max(1)),
        };
        let planned = PlannedGroup {
            rows_before,
            rows,
            kept,
            bytes,
            first_piece,
            pieces,
            verdict: Mutex::default(),
            is_direct,
            chunks: Mutex::default(),
            pieces_left: AtomicU64::new(pieces),
        };
        rows_before += rows;
        first_piece += pieces;
        planned
    });
    groups.collect()
}
