//! A table of text as a source: workers take blocks, index them, wait for their turn, and decode.
//!
//! **The first bad record wins.** Blocks are decoded side by side, so a worker may refuse block 7 while another still works
//! on block 5. It then keeps the error back until no other worker holds an earlier block. For that each reader notes
//! the earliest block that it has or may be about to get, *before* it asks for one: whoever got block 7 came later than
//! all who will ever hold an earlier one, and sees their notes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use thalweg_runtime::WorkerId;
use thalweg_runtime::exchange::doorbell::Doorbells;
use thalweg_runtime::progress::carry::OrderedCarry;

use super::carry::{Cut, Records};
use super::piece::Piece;
use super::stream::Streams;
use super::{Decoded, RecordFormat};
use crate::connect::bad_input::RowPlaces;
use crate::connect::block::{BlockInput, Taken};
use crate::connect::{Arrival, Source, SourceBlock, SourceEvent, SourceReader};
use crate::error::{Error, Result};

/// Blocks that a reader holds at most while it waits for the turn of the first.
const HELD_BLOCKS_MAX: usize = 4;

/// "No block": above every block's number.
const NONE: u64 = u64::MAX;

/// A table of text in a format, over any input of blocks.
pub struct TextSource<F, I> {
    shared: Arc<Shared<F, I>>,
}

/// What the readers share.
struct Shared<F, I> {
    input: I,
    format: F,
    carry: OrderedCarry<Streams>,
    bells: Doorbells,
    /// By worker: no block below this is in its hands, nor will be. [`NONE`] while it has none and asks for none.
    earliest: Vec<AtomicU64>,
    /// Some worker keeps an error back: all others ring when they are done with a block.
    is_failing: AtomicBool,
}

impl<F: RecordFormat, I: BlockInput + 'static> TextSource<F, I> {
    /// A source of the rows in `input`, for so many workers.
    pub fn new(input: I, format: F, workers: usize, bells: &Doorbells) -> Self {
        let carry = OrderedCarry::new(Streams::default(), bells.clone());
        let earliest = (0..workers).map(|_| AtomicU64::new(NONE)).collect();
        let is_failing = AtomicBool::new(false);
        Self { shared: Arc::new(Shared { input, format, carry, bells: bells.clone(), earliest, is_failing }) }
    }
}

impl<F: RecordFormat, I: BlockInput + 'static> Source for TextSource<F, I> {
    fn reader(&self, worker: WorkerId) -> Box<dyn SourceReader> {
        Box::new(TextReader {
            shared: Arc::clone(&self.shared),
            worker,
            held: VecDeque::new(),
            cut: VecDeque::new(),
            decoder: F::Decoder::default(),
            spare_positions: Vec::new(),
            failure: None,
            failed_at: None,
            arrivals: VecDeque::new(),
            given: None,
            is_at_end: false,
        })
    }

    fn bytes_total(&self) -> Option<u64> {
        self.shared.input.bytes_total()
    }

    fn drain(&self) {
        self.shared.input.stop();
        self.shared.bells.ring_all();
    }
}

/// One worker's handle.
struct TextReader<F: RecordFormat, I> {
    shared: Arc<Shared<F, I>>,
    worker: WorkerId,
    /// Blocks that wait for their turn, in order.
    held: VecDeque<Piece>,
    /// Blocks that had their turn, in order; all come before those that are held.
    cut: VecDeque<(u64, Cut)>,
    decoder: F::Decoder,
    spare_positions: Vec<Vec<u32>>,
    /// What is wrong with a block, kept back until all blocks before it are known to be in order.
    failure: Option<(u64, Error)>,
    /// The block whose error was given out.
    failed_at: Option<u64>,
    /// When the blocks in hand arrived, in order.
    arrivals: VecDeque<(u64, Instant)>,
    /// When the one arrived that was given out last.
    given: Option<Instant>,
    is_at_end: bool,
}

impl<F: RecordFormat, I: BlockInput + 'static> SourceReader for TextReader<F, I> {
    fn poll(&mut self) -> Result<SourceEvent> {
        loop {
            self.take_turns();
            if let Some(event) = self.decode() {
                return Ok(event);
            }
            if self.failure.is_some() {
                return self.fail();
            }
            let has_room = self.held.len() < HELD_BLOCKS_MAX && !self.is_at_end;
            if has_room && self.take() {
                continue;
            }
            if self.failure.is_none() {
                let is_done = self.first_in_hand().is_none() && self.is_at_end;
                return Ok(if is_done { SourceEvent::End } else { SourceEvent::Pending });
            }
        }
    }

    fn arrival(&self) -> Option<Arrival> {
        self.given.map(|arrived| Arrival { first_due: arrived, last_due: arrived, taken: None })
    }

    fn failed_at(&self) -> Option<u64> {
        self.failed_at
    }
}

impl<F: RecordFormat, I: BlockInput + 'static> TextReader<F, I> {
    /// Cuts all held blocks whose turn it is, before any of them is decoded: who waits for the turn behind them must not
    /// wait for that as well.
    fn take_turns(&mut self) {
        while let Some(first) = self.held.front() {
            let index = first.number();
            let Some(mut carry) = self.shared.carry.try_turn(index, self.worker) else { return };
            let piece = self.held.pop_front().expect("the first was just looked at");
            self.cut.push_back((index, carry.advance(piece, &self.shared.format)));
            carry.pass();
        }
    }

    /// The first block that had its turn, as rows.
    fn decode(&mut self) -> Option<SourceEvent> {
        let (index, cut) = self.cut.pop_front()?;
        while let Some((_, arrived)) = self.arrivals.pop_front_if(|(arrived, _)| *arrived <= index) {
            self.given = Some(arrived);
        }
        let format = &self.shared.format;
        self.spare_positions.extend(cut.spare);
        let region = match cut.records {
            Records::None => None,
            Records::Unassembled(parts) => Some(parts.assemble(format.dialect())),
            Records::Region(region) => Some(*region),
            // The job ends with the error of an earlier block, which somebody keeps.
            Records::Moot => {
                self.note();
                return Some(SourceEvent::Pending);
            }
        };
        let decoded = region.map_or_else(|| Ok(Decoded::default()), |region| format.decode(&mut self.decoder, region));
        let mut decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                self.failure = Some((index, error));
                self.held.clear();
                self.cut.clear();
                self.note();
                return None;
            }
        };
        self.note();
        // What was refused in the cut, or for one reason before another, comes where it stands in the text.
        decoded.rejects.records.sort_by_key(|reject| reject.offset);
        self.spare_positions.push(decoded.positions);
        let Decoded { batches, records, rejects, places, .. } = decoded;
        let places = places.map(|places| Box::new(places) as Box<dyn RowPlaces>);
        Some(SourceEvent::Block(SourceBlock { index, batches, records, rejects, places, bytes: cut.bytes }))
    }

    /// The number of the earliest block that this reader has and has not given out.
    fn first_in_hand(&self) -> Option<u64> {
        self.cut.front().map(|(index, _)| *index).or_else(|| self.held.front().map(Piece::number))
    }

    /// Takes one block more; false if there is none now.
    fn take(&mut self) -> bool {
        let shared = &self.shared;
        let earliest = &shared.earliest[usize::from(self.worker.0)];
        if self.first_in_hand().is_none() {
            // SeqCst, with the counter of the input and the reads in `fail`: one order for all, see above.
            earliest.store(shared.input.next_index(), Ordering::SeqCst);
        }
        let taken = shared.input.take();
        let is_taken = match taken {
            Taken::Block(block) => {
                self.arrivals.push_back((block.index, block.arrived));
                let positions = self.spare_positions.pop().unwrap_or_default();
                self.held.push_back(Piece::new(block, shared.format.dialect(), shared.format.kernels(), positions));
                true
            }
            Taken::Failed { index, error } => {
                self.failure = Some((index, error));
                // Nothing is behind it; what is held comes before it.
                self.is_at_end = true;
                false
            }
            Taken::Pending => false,
            Taken::End => {
                self.is_at_end = true;
                false
            }
        };
        self.note();
        is_taken
    }

    /// Notes the earliest block in hand, and rings who may wait for it.
    fn note(&self) {
        let of_failure = self.failure.as_ref().map(|(index, _)| *index);
        let first = self.first_in_hand().or(of_failure).unwrap_or(NONE);
        self.shared.earliest[usize::from(self.worker.0)].store(first, Ordering::SeqCst);
        if self.shared.is_failing.load(Ordering::SeqCst) {
            self.shared.bells.ring_all();
        }
    }

    /// Gives the error out if nobody can come with an earlier one.
    fn fail(&mut self) -> Result<SourceEvent> {
        let Some((index, error)) = self.failure.take() else { return Ok(SourceEvent::Pending) };
        if self.first_in_hand().is_some_and(|first| first < index) {
            self.failure = Some((index, error));
            return Ok(SourceEvent::Pending);
        }
        // Before the notes are read: whoever lowers a note afterwards sees the flag, and rings.
        self.shared.is_failing.store(true, Ordering::SeqCst);
        self.shared.input.stop();
        let me = usize::from(self.worker.0);
        let others = self.shared.earliest.iter().enumerate().filter(|(worker, _)| *worker != me);
        let is_first = others.map(|(_, earliest)| earliest.load(Ordering::SeqCst)).all(|earliest| earliest >= index);
        if is_first {
            self.failed_at = Some(index);
            return Err(error);
        }
        self.failure = Some((index, error));
        Ok(SourceEvent::Pending)
    }
}
