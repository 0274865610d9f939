//! Lines as records: a format without fields, quotes or header.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringViewArray};
use proptest::prelude::*;
use thalweg_operators::kernels::Kernels;
use thalweg_runtime::WorkerId;
use thalweg_runtime::exchange::doorbell::Doorbells;

use super::{Decoded, Dialect, RecordFormat, Region, TextSource};
use crate::connect::bad_input::{BadInput, OnError, Reject, RejectReason};
use crate::connect::block::{BlockInput, BlockPool, RawBlock, Taken};
use crate::connect::{Source, SourceEvent};
use crate::error::Result;

/// Each line is a row of one column; lines with a `!` are bad.
#[derive(Debug, Default)]
struct Lines {
    bad_input: BadInput,
}

impl RecordFormat for Lines {
    type Decoder = ();

    fn dialect(&self) -> Dialect {
        Dialect::LINES
    }

    fn bad_input(&self) -> &BadInput {
        &self.bad_input
    }

    fn kernels(&self) -> Kernels {
        Kernels::default()
    }

    fn decode(&self, (): &mut (), mut region: Region) -> Result<Decoded> {
        let mut rejects = std::mem::take(&mut region.rejects);
        let (mut rows, mut records) = (Vec::new(), rejects.total());
        for record in region.records() {
            records += 1;
            let bytes = &region.buffer.bytes;
            let text = String::from_utf8_lossy(&bytes[record.clone()]);
            let Some(fault) = text.find('!') else {
                rows.push(text.into_owned());
                continue;
            };
            let reject = || Reject {
                message: "a `!`".to_owned(),
                help: "remove it".to_owned(),
                ..region.reject(bytes, record.clone(), record.start + fault, RejectReason::Syntax)
            };
            if self.bad_input.on_error == OnError::Fail {
                return Err(reject().into_error());
            }
            rejects.add(self.bad_input.on_error, RejectReason::Syntax, reject);
        }
        if let Some(error) = region.error {
            return Err(error);
        }
        let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(rows));
        let batches = vec![RecordBatch::try_from_iter([("line", column)]).unwrap()];
        Ok(Decoded { batches, records, rejects, places: None, positions: region.positions })
    }
}

/// Blocks of several streams, in the order in which they come.
struct Script {
    pool: Arc<BlockPool>,
    /// Stream, place in it, text, whether it is the last.
    blocks: Vec<(u32, u64, Vec<u8>, bool)>,
    next: AtomicUsize,
}

impl Script {
    /// Cuts each text into blocks of so many bytes, and lets the streams take turns as `turns` says.
    fn new(texts: &[String], block_bytes: usize, turns: &[usize]) -> Self {
        let mut places = vec![0; texts.len()];
        let mut is_ended = vec![false; texts.len()];
        let mut blocks = Vec::new();
        let mut turns = turns.iter().copied().cycle();
        while is_ended.contains(&false) {
            let turn = turns.next().unwrap() % texts.len();
            // The next that has not ended, so that any turns lead to the end.
            let stream = (turn..texts.len()).chain(0..turn).find(|stream| !is_ended[*stream]).unwrap();
            let (text, from) = (texts[stream].as_bytes(), places[stream]);
            let to = text.len().min(from + block_bytes);
            is_ended[stream] = to == text.len();
            places[stream] = to;
            blocks.push((stream as u32, from as u64, text[from..to].to_vec(), is_ended[stream]));
        }
        Self { pool: BlockPool::new(block_bytes), blocks, next: AtomicUsize::new(0) }
    }
}

impl BlockInput for Script {
    fn take(&self) -> Taken {
        let index = self.next.fetch_add(1, Ordering::SeqCst);
        let Some((stream, offset, text, is_last)) = self.blocks.get(index) else { return Taken::End };
        let mut buffer = self.pool.buffer();
        buffer.input()[..text.len()].copy_from_slice(text);
        Taken::Block(RawBlock {
            index: index as u64,
            origin: format!("f{stream}").into(),
            buffer,
            bytes: text.len(),
            input_bytes: text.len() as u64,
            stream: *stream,
            offset: *offset,
            is_first: *offset == 0,
            is_last: *is_last,
            damage: None,
            arrived: std::time::Instant::now(),
        })
    }

    fn next_index(&self) -> u64 {
        self.next.load(Ordering::SeqCst) as u64
    }

    fn stop(&self) {
        self.next.store(usize::MAX / 2, Ordering::SeqCst);
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }
}

/// The rows by stream, and the rejects in the order of input.
fn read(script: Script, workers: usize) -> (Vec<(u32, String)>, Vec<Reject>) {
    let streams: Vec<u32> = script.blocks.iter().map(|block| block.0).collect();
    let format = Lines { bad_input: BadInput { on_error: OnError::Divert, ..BadInput::default() } };
    let source = TextSource::new(script, format, workers, &Doorbells::new(workers));
    let mut readers: Vec<_> = (0..workers).map(|worker| source.reader(WorkerId(worker as u16))).collect();
    let (mut blocks, mut ended) = (Vec::new(), 0);
    while !readers.is_empty() {
        ended = (ended + 1) % readers.len();
        match readers[ended].poll().unwrap() {
            SourceEvent::Block(block) => blocks.push(block),
            SourceEvent::Pending => {}
            SourceEvent::End => drop(readers.remove(ended)),
        }
        ended = ended.min(readers.len().saturating_sub(1));
    }
    blocks.sort_by_key(|block| block.index);
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    for block in blocks {
        for batch in &block.batches {
            let lines = batch.column(0).as_string_view();
            rows.extend(lines.iter().flatten().map(|line| (streams[block.index as usize], line.to_owned())));
        }
        rejects.extend(block.rejects.records);
    }
    (rows, rejects)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn streams_that_take_turns_do_not_mix(
        texts in proptest::collection::vec("(\u{feff})?[ab\"#,!\n\r]{0,40}", 1..4),
        turns in proptest::collection::vec(0_usize..4, 1..20),
        block_bytes in 1_usize..12,
        workers in 1_usize..4,
    ) {
        let (rows, rejects) = read(Script::new(&texts, block_bytes, &turns), workers);
        for (stream, text) in texts.iter().enumerate() {
            let marked = text.len() - text.trim_start_matches('\u{feff}').len();
            // A mark alone is no line.
            let lines: Vec<_> = text[marked..].split_inclusive('\n').collect();
            let kept = |line: &&&str| !line.contains('!');
            let without_end = |line: &str| {
                let line = line.strip_suffix('\n').unwrap_or(line);
                line.strip_suffix('\r').unwrap_or(line).to_owned()
            };
            let expected: Vec<_> = lines.iter().filter(kept).map(|line| without_end(line)).collect();
            let found: Vec<_> = rows.iter().filter(|row| row.0 as usize == stream).map(|row| row.1.clone()).collect();
            prop_assert_eq!(found, expected, "{}", stream);
            let of_stream: Vec<_> = rejects.iter().filter(|reject| *reject.origin == *format!("f{stream}")).collect();
            prop_assert_eq!(of_stream.len(), lines.iter().filter(|line| line.contains('!')).count());
            for reject in of_stream {
                let at = reject.offset as usize;
                prop_assert_eq!(&text.as_bytes()[at..][..reject.record.len()], &reject.record[..]);
                prop_assert!(at == marked || text.as_bytes()[at - 1] == b'\n');
                let line = text[..at].matches('\n').count();
                prop_assert_eq!(reject.line, line as u64 + 1);
                prop_assert_eq!(reject.column as usize, lines[line].find('!').unwrap() + 1);
            }
        }
    }
}

#[test]
fn a_line_of_utf_16_is_refused_with_its_place() {
    let script = Script::new(&["a\n".to_owned()], 4, &[0]);
    let mut script = script;
    script.blocks[0].2 = b"\xFF\xFEa\n".to_vec();
    let source = TextSource::new(script, Lines::default(), 1, &Doorbells::new(1));
    let error = source.reader(WorkerId(0)).poll().map(drop).unwrap_err();
    assert_eq!(error.message, "f0:1:1: the file is in UTF-16, not in UTF-8");
}
