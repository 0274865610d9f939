//! CSV as a whole: any text, cut anywhere, read by any number of workers, against a parser of a few obvious lines.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::{Array, RecordBatch};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use crossbeam_channel::{Receiver, Sender, bounded};
use proptest::prelude::*;
use thalweg_operators::kernels::Kernels;
use thalweg_runtime::WorkerId;
use thalweg_runtime::exchange::doorbell::Doorbells;

use super::{CsvOptions, CsvSource, Header, csv_source};
use crate::connect::bad_input::{BadInput, OnError, Reject, RejectReason};
use crate::connect::block::{BlockInput, BlockPool, RawBlock, Taken};
use crate::connect::format::Format;
use crate::connect::{ReadOptions, Source, SourceBlock, SourceEvent, TableScan};
use crate::error::Error;
use crate::random::Random;

mod cuts;
mod dialects;
mod vectors;

/// Files in memory.
struct Memory {
    blocks: Vec<(usize, std::ops::Range<usize>, bool)>,
    files: Vec<Vec<u8>>,
    next: AtomicU64,
    pool: Arc<BlockPool>,
    /// The last block says that the input breaks off.
    breaks_off: bool,
}

impl Memory {
    fn new(files: &[Vec<u8>], block_bytes: usize) -> Self {
        let mut blocks = Vec::new();
        for (number, file) in files.iter().enumerate() {
            for from in (0..file.len()).step_by(block_bytes) {
                let to = file.len().min(from + block_bytes);
                blocks.push((number, from..to, to == file.len()));
            }
        }
        let (files, pool) = (files.to_vec(), BlockPool::new(block_bytes));
        Self { blocks, files, next: AtomicU64::new(0), pool, breaks_off: false }
    }

    /// The last file breaks off behind what is there of it.
    fn broken_off(mut self) -> Self {
        let end = self.files.last().expect("there is a file").len();
        self.blocks.iter_mut().for_each(|block| block.2 = false);
        self.blocks.push((self.files.len() - 1, end..end, true));
        Self { breaks_off: true, ..self }
    }

    /// One file, cut at these places, in ascending order; blocks may be empty.
    fn cut(file: &[u8], cuts: &[usize]) -> Self {
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([file.len()]);
        let last = cuts.len();
        let blocks = starts.zip(ends).enumerate().map(|(number, (from, to))| (0, from..to, number == last)).collect();
        let (files, pool) = (vec![file.to_vec()], BlockPool::new(file.len().max(1)));
        Self { blocks, files, next: AtomicU64::new(0), pool, breaks_off: false }
    }
}

impl BlockInput for Memory {
    fn take(&self) -> Taken {
        let index = self.next.fetch_add(1, Ordering::SeqCst);
        let Some((file, range, is_last)) = self.blocks.get(index as usize).cloned() else { return Taken::End };
        let mut buffer = self.pool.buffer();
        buffer.input()[..range.len()].copy_from_slice(&self.files[file][range.clone()]);
        let (bytes, is_first) = (range.len(), index == 0 || self.blocks[index as usize - 1].0 != file);
        Taken::Block(RawBlock {
            index,
            origin: format!("f{file}").into(),
            buffer,
            bytes,
            input_bytes: bytes as u64,
            arrived: std::time::Instant::now(),
            stream: file as u32,
            offset: range.start as u64,
            is_first,
            is_last,
            damage: (self.breaks_off && is_last).then(|| Box::new(broken_off_at(range.end as u64))),
        })
    }

    fn next_index(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    fn stop(&self) {
        self.next.store(u64::from(u32::MAX), Ordering::SeqCst);
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }
}

/// What a stream that breaks off at a byte says.
fn broken_off_at(offset: u64) -> Reject {
    Reject {
        origin: "f0".into(),
        offset,
        line: 0,
        column: 0,
        field: None,
        reason: RejectReason::Corrupt,
        message: "it breaks off".to_owned(),
        help: String::new(),
        record: Vec::new(),
    }
}

/// How a text is read.
#[derive(Clone, Debug)]
struct Reading {
    schema: SchemaRef,
    columns: Vec<usize>,
    options: CsvOptions,
    bad_input: BadInput,
    block_bytes: usize,
    workers: usize,
    batch_rows: usize,
    seed: u64,
    kernels: Kernels,
    breaks_off: bool,
}

impl Reading {
    fn of(columns: &[(&str, DataType)]) -> Self {
        let fields = columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = CsvOptions { header: Header::Absent, ..CsvOptions::default() };
        let columns = (0..columns.len()).collect();
        let bad_input = BadInput::default();
        Self {
            schema,
            columns,
            options,
            bad_input,
            block_bytes: 1 << 17,
            workers: 1,
            batch_rows: 4096,
            seed: 0,
            kernels: Kernels::Simd,
            breaks_off: false,
        }
    }

    fn open<I: BlockInput + 'static>(
        &self,
        input: I,
        read: &ReadOptions,
        bells: &Doorbells,
    ) -> Result<CsvSource<I>, Error> {
        let scan = TableScan {
            name: "t",
            schema: &self.schema,
            columns: &self.columns,
            codes: &[],
            format: &Format::Csv(self.options.clone()),
            bad_input: &self.bad_input,
            read,
            bells,
        };
        csv_source(input, self.options.clone(), &scan)
    }

    fn read(&self, files: &[Vec<u8>]) -> Result<Outcome, Error> {
        let memory = Memory::new(files, self.block_bytes);
        self.read_blocks(if self.breaks_off { memory.broken_off() } else { memory })
    }

    /// All blocks in order, read by workers who take turns at random.
    fn blocks(&self, input: Memory) -> Result<Vec<SourceBlock>, Error> {
        let bells = Doorbells::new(self.workers);
        let read = ReadOptions {
            batch_rows: self.batch_rows,
            block_bytes: self.block_bytes,
            workers: self.workers,
            kernels: self.kernels,
        };
        let block_count = input.blocks.len() as u64;
        let source = self.open(input, &read, &bells)?;
        let mut readers: Vec<_> = (0..self.workers).map(|worker| source.reader(WorkerId(worker as u16))).collect();
        let mut random = Random::new(self.seed, &[]);
        let (mut blocks, mut ended) = (Vec::new(), vec![false; self.workers]);
        while ended.contains(&false) {
            let worker = random.below(self.workers as u64) as usize;
            match readers[worker].poll()? {
                SourceEvent::Block(block) => blocks.push(block),
                SourceEvent::Pending => {}
                SourceEvent::End => ended[worker] = true,
            }
        }
        blocks.sort_by_key(|block| block.index);
        assert!(blocks.iter().map(|block| block.index).eq(0..block_count), "each block comes out once");
        Ok(blocks)
    }

    fn read_blocks(&self, input: Memory) -> Result<Outcome, Error> {
        let blocks = self.blocks(input)?;
        let mut outcome = Outcome::default();
        for block in &blocks {
            outcome.records += block.records;
            outcome.rejected += block.rejects.total();
            for (reason, count) in block.rejects.counts().iter() {
                *outcome.reasons.entry(reason).or_default() += count;
            }
            if self.bad_input.on_error == OnError::Divert {
                outcome.rejects.extend(block.rejects.records.iter().cloned());
            }
            for batch in &block.batches {
                assert!((1..=self.batch_rows).contains(&batch.num_rows()));
                for column in batch.columns() {
                    column.to_data().validate_full().expect("arrow accepts the array");
                }
                for row in 0..batch.num_rows() {
                    outcome.rows.push(shown_row(batch, row));
                }
            }
        }
        assert_eq!(outcome.records, outcome.rows.len() as u64 + outcome.rejected, "every record is accounted for");
        Ok(outcome)
    }

    fn read_text(&self, text: &str) -> Result<Outcome, Error> {
        self.read(&[text.as_bytes().to_vec()])
    }

    /// What the workers come to as threads: all blocks, or the errors of those that have one.
    fn read_by_threads(&self, text: &str) -> Result<Vec<SourceBlock>, Vec<Error>> {
        let bells = Doorbells::new(self.workers);
        let read = ReadOptions {
            batch_rows: self.batch_rows,
            block_bytes: self.block_bytes,
            workers: self.workers,
            kernels: self.kernels,
        };
        let input = Memory::new(&[text.as_bytes().to_vec()], self.block_bytes);
        let source = self.open(input, &read, &bells);
        let source = source.expect("the table opens");
        let (blocks, errors) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for worker in (0..self.workers).map(|worker| WorkerId(worker as u16)) {
                let (blocks, errors, bells, source) = (&blocks, &errors, &bells, &source);
                scope.spawn(move || {
                    let mut reader = source.reader(worker);
                    loop {
                        bells.bell(worker).take();
                        match reader.poll() {
                            Ok(SourceEvent::Block(block)) => blocks.lock().expect("no panic").push(block),
                            Ok(SourceEvent::End) => break,
                            // As in a job: an error of one worker ends all.
                            Ok(SourceEvent::Pending) if !errors.lock().expect("no panic").is_empty() => break,
                            Ok(SourceEvent::Pending) => bells.bell(worker).wait(Duration::from_secs(3600)),
                            Err(error) => {
                                errors.lock().expect("no panic").push(error);
                                bells.ring_all();
                                break;
                            }
                        }
                    }
                });
            }
        });
        let errors = errors.into_inner().expect("no panic");
        let mut blocks = blocks.into_inner().expect("no panic");
        blocks.sort_by_key(|block| block.index);
        if errors.is_empty() { Ok(blocks) } else { Err(errors) }
    }

    /// The rows, the same for each way to cut and share `text`.
    fn read_every_way(&self, text: &str) -> Result<Outcome, Error> {
        let whole = self.read_text(text);
        let message = |outcome: &Result<Outcome, Error>| outcome.clone().map_err(|error| error.message);
        for block_bytes in 1..=text.len().max(1) {
            let workers = 1 + block_bytes % 4;
            let seed = block_bytes as u64;
            let cut = Self { block_bytes, workers, seed, batch_rows: 1 + block_bytes % 7, ..self.clone() };
            assert_eq!(message(&cut.read_text(text)), message(&whole), "blocks of {block_bytes} of {text:?}");
        }
        whole
    }
}

fn shown_row(batch: &RecordBatch, row: usize) -> Vec<String> {
    batch.columns().iter().map(|column| shown(column, row)).collect()
}

fn shown(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) { "∅".to_owned() } else { array_value_to_string(column, row).expect("arrow shows it") }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    rows: Vec<Vec<String>>,
    records: u64,
    rejected: u64,
    reasons: BTreeMap<RejectReason, u64>,
    /// Under `divert`.
    rejects: Vec<Reject>,
}

/// Records as fields as they are written: the oracle.
fn naive_records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field, mut is_inside) = (Vec::new(), Vec::new(), String::new(), false);
    let ended = if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    for character in ended.chars() {
        is_inside ^= character == '"';
        match character {
            ',' if !is_inside => record.push(std::mem::take(&mut field)),
            '\n' if !is_inside => {
                record.push(field.strip_suffix('\r').unwrap_or(&field).to_owned());
                field.clear();
                records.push(std::mem::take(&mut record));
            }
            _ => field.push(character),
        }
    }
    records
}

/// The text of a field and whether it was quoted; none if the quotes are wrong.
fn naive_field(field: &str) -> Option<(String, bool)> {
    if !field.contains('"') {
        return Some((field.to_owned(), false));
    }
    let inner = field.strip_prefix('"')?.strip_suffix('"')?;
    let text = inner.replace("\"\"", "\u{1}");
    (!text.contains('"')).then(|| (text.replace('\u{1}', "\""), true))
}

/// The rows of a table (STRING, BIGINT, STRING), and how many records are bad.
fn naive_rows(text: &str, null_literal: Option<&str>) -> (Vec<Vec<String>>, u64) {
    let (mut rows, mut rejected) = (Vec::new(), 0);
    for record in naive_records(text).into_iter().filter(|record| *record != [""]) {
        let row = record.iter().enumerate().map(|(column, field)| {
            let (text, is_quoted) = naive_field(field)?;
            let is_null = null_literal == Some(text.as_str()) || (column == 1 && text.is_empty());
            match column {
                _ if is_null && !is_quoted => Some("∅".to_owned()),
                1 => text.trim_matches(|c: char| c.is_ascii_whitespace()).parse::<i64>().ok().map(|n| n.to_string()),
                _ => Some(text),
            }
        });
        match row.collect::<Option<Vec<_>>>() {
            Some(row) if row.len() == 3 => rows.push(row),
            _ => rejected += 1,
        }
    }
    (rows, rejected)
}

fn three_columns() -> Reading {
    Reading::of(&[("name", DataType::Utf8View), ("qty", DataType::Int64), ("note", DataType::Utf8View)])
}

fn a_field() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[a-zäß€😀 ]{0,20}",
        "[a,\"\n\r]{0,8}",
        Just("NULL".to_owned()),
        Just(String::new()),
        "[-]?[0-9]{1,19}",
    ];
    (text, any::<bool>()).prop_map(|(text, is_quoted)| {
        let must = text.contains([',', '"', '\n', '\r']);
        if is_quoted || must { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    })
}

fn a_record() -> impl Strategy<Value = String> {
    let number = prop_oneof!["[-]?[0-9]{1,18}", Just(String::new()), Just("NULL".to_owned()), " [0-9]{1,3} "];
    (a_field(), number, a_field(), prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n"), Just("\n\r\n")])
        .prop_map(|(first, number, last, end)| format!("{first},{number},{last}{end}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn well_formed_text_reads_the_same_however_it_is_cut(
        records in proptest::collection::vec(a_record(), 0..12),
        has_last_newline in any::<bool>(),
        null_literal in prop_oneof![Just(None), Just(Some("NULL")), Just(Some(""))],
    ) {
        let mut text = records.concat();
        if !has_last_newline {
            text = text.trim_end_matches(['\r', '\n']).to_owned();
        }
        let mut reading = three_columns();
        reading.options.null_literal = null_literal.map(str::to_owned);
        reading.bad_input.on_error = OnError::Skip;
        let outcome = reading.read_every_way(&text).unwrap();
        let (rows, rejected) = naive_rows(&text, null_literal);
        prop_assert_eq!(outcome.rows, rows);
        prop_assert_eq!(outcome.rejected, rejected);
    }

    #[test]
    fn columns_can_be_left_out_and_files_follow_each_other(
        files in proptest::collection::vec(proptest::collection::vec(a_record(), 0..5), 1..4),
        columns in proptest::sample::subsequence(vec![0_usize, 1, 2], 0..=3),
        block_bytes in 1_usize..40,
        workers in 1_usize..5,
        seed in any::<u64>(),
    ) {
        let files = files.into_iter().map(|records| records.concat().trim_end().to_owned()).collect::<Vec<_>>();
        let mut reading = Reading { block_bytes, workers, seed, columns: columns.clone(), batch_rows: 2, ..three_columns() };
        reading.bad_input.on_error = OnError::Skip;
        let expected = files.iter().flat_map(|file| naive_rows(file, None).0);
        let expected = expected.map(|row| columns.iter().map(|&column| row[column].clone()).collect::<Vec<_>>());
        let bytes = files.iter().map(|file| file.clone().into_bytes()).collect::<Vec<_>>();
        let outcome = reading.read(&bytes).unwrap();
        // What is not asked for is not looked at: there may be more rows then.
        if columns.len() == 3 {
            prop_assert_eq!(outcome.rows, expected.collect::<Vec<_>>());
        } else {
            prop_assert!(outcome.rows.len() >= expected.count());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), block_bytes in 1_usize..50, skips in any::<bool>()) {
        let mut reading = Reading { block_bytes, workers: 2, ..three_columns() };
        reading.bad_input.on_error = if skips { OnError::Skip } else { OnError::Fail };
        let outcome = reading.read(std::slice::from_ref(&bytes));
        prop_assert!(!skips || outcome.is_ok() || bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF"));
    }
}

#[test]
fn the_first_bad_record_is_shown_with_its_place_however_the_text_is_cut() {
    let long = "x".repeat(100);
    for (text, expected) in [
        ("a,1,b\nä\"\"x,1,b\n", "f0:2:1: a quote within the unquoted field \"ä\\\"\\\"x\" (column `name`, STRING)"),
        ("a,1,b\n\"ä\nö\",zwei,b\nc,drei,d\n", "f0:3:4: \"zwei\" is not a BIGINT (column `qty`)"),
        ("a,1,\"b\"x\n", "f0:1:5: text after the closing quote in \"\\\"b\\\"x\" (column `note`, STRING)"),
        ("a,1,b\r\n\r\na,2\r\n", "f0:3:5: a record of 2 fields where 3 fields should be: \"a,2\""),
        ("a,1,b,c\n", "f0:1:7: a record of 4 fields where 3 fields should be: \"a,1,b,c\""),
        ("a,1,b\na,99999999999999999999,b\n", "f0:2:3: \"99999999999999999999\" does not fit BIGINT (column `qty`)"),
        ("a,1,b\na,2,\"b\n\nc,3,d\n", "f0:2:5: the quote that is opened here is never closed"),
        ("a,x,\"b\"c\n", "f0:1:3: \"x\" is not a BIGINT (column `qty`)"),
        ("a,1,b\na,x,b\na,2\n", "f0:2:3: \"x\" is not a BIGINT (column `qty`)"),
        ("\"ä\n\nö\",1,b\nc,2,d\n\ne,x,f\n", "f0:6:3: \"x\" is not a BIGINT (column `qty`)"),
        ("\u{feff}a,x,b\n", "f0:1:3: \"x\" is not a BIGINT (column `qty`)"),
    ] {
        let error = three_columns().read_every_way(text).unwrap_err();
        assert_eq!(error.message, expected, "{text:?}");
        assert_eq!(error.kind, crate::error::Kind::Data);
        assert!(error.help.is_some());
    }
    let mut reading = three_columns();
    reading.bad_input.record_bytes_max = 50;
    let error = reading.read_every_way(&format!("a,1,b\nc,1,{long}\nd,1,e\n")).unwrap_err();
    assert_eq!(error.message, "f0:2:1: the record that starts here is longer than 50 bytes");
    reading.bad_input.on_error = OnError::Skip;
    let outcome = reading.read_every_way(&format!("a,1,b\nc,1,\"{long}\nd,1,\"\"e\n")).unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejected), (1, 2));
}

#[test]
fn threads_read_what_one_worker_reads() {
    let text = (0..400).map(|n| format!("\"a\n{n}\",{n},\"{}\"\n", "\"\"x,\n".repeat(n % 5))).collect::<String>();
    let expected = three_columns().read_text(&text).unwrap().rows;
    for round in 0..20 {
        let reading = Reading { workers: 4, block_bytes: 16 + 7 * round, ..three_columns() };
        let blocks = reading.read_by_threads(&text).unwrap();
        assert!(blocks.iter().map(|block| block.index).eq(0..text.len().div_ceil(reading.block_bytes) as u64));
        let batches = blocks.iter().flat_map(|block| &block.batches);
        let rows = batches.flat_map(|batch| (0..batch.num_rows()).map(|row| shown_row(batch, row)));
        assert!(rows.eq(expected.iter().cloned()), "round {round}");
    }
}

#[test]
fn threads_come_with_the_first_error_and_no_other() {
    let good = "a,1,b\n".repeat(300);
    let bad = (0..300).map(|n| format!("a,{n}?,b\n")).collect::<String>();
    for round in 0..30 {
        let reading = Reading { workers: 4, block_bytes: 8 + 3 * round, ..three_columns() };
        let errors = reading.read_by_threads(&(good.clone() + &bad)).map(drop).unwrap_err();
        let messages = errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>();
        assert_eq!(messages, ["f0:301:3: \"0?\" is not a BIGINT (column `qty`)"], "round {round}");
    }
}

#[test]
fn a_header_gives_the_order_of_columns() {
    let header = |header, text: &str| {
        let mut reading = three_columns();
        reading.options.header = header;
        reading.read_every_way(text).map(|outcome| outcome.rows).map_err(|error| error.message)
    };
    let row = |values: [&str; 3]| values.map(str::to_owned).to_vec();
    // Present: by name, further columns ignored.
    let text = "\u{feff}\nextra,NOTE,\"qty\",name\r\n1,n,2,a\n";
    assert_eq!(header(Header::Present, text), Ok(vec![row(["a", "2", "n"])]));
    assert_eq!(header(Header::Auto, text), Ok(vec![row(["a", "2", "n"])]));
    assert_eq!(header(Header::Present, "name,qty\n"), Err("f0:1:1: the header does not name column `note`".to_owned()));
    assert_eq!(header(Header::Present, "name,qty,note,Qty,QTY\n"), Ok(vec![]),);
    assert_eq!(
        header(Header::Present, "name,Qty,note,QTY\n"),
        Err("f0:1:1: the header names column `qty` more than once".to_owned())
    );
    // Automatic: only what can be nothing else.
    assert_eq!(header(Header::Auto, "name,5,note\n"), Ok(vec![row(["name", "5", "note"])]));
    assert_eq!(header(Header::Auto, ""), Ok(vec![]));
    assert_eq!(header(Header::Present, "\n\n"), Ok(vec![]));
    // Absent: the names are a row like any other.
    assert_eq!(
        header(Header::Absent, "name,qty,note\n"),
        Err("f0:1:6: \"qty\" is not a BIGINT (column `qty`)".to_owned())
    );
}

#[test]
fn a_blank_line_is_a_field_only_in_a_table_of_one_column() {
    let one = Reading::of(&[("n", DataType::Int32)]);
    let rows = one.read_every_way("1\n\n3\r\n\r\n").unwrap().rows;
    assert_eq!(rows, [["1"], ["∅"], ["3"], ["∅"]].map(|row| row.map(str::to_owned).to_vec()));
    assert_eq!(three_columns().read_every_way("\n\na,1,b\n\r\n").unwrap().rows.len(), 1);
}

#[test]
fn comments_may_hold_anything() {
    let mut reading = three_columns();
    reading.options.dialect.comments = true;
    let text = "# it's \"odd, \n\u{20}a,1,b\n#\nc,2,\"#\n#\"\n# last";
    let rows = reading.read_every_way(text).unwrap().rows;
    let expected = [[" a", "1", "b"], ["c", "2", "#\n#"]].map(|row| row.map(str::to_owned).to_vec());
    assert_eq!(rows, expected);
}

#[test]
fn null_in_a_not_null_column_is_a_bad_record() {
    let mut reading = three_columns();
    let fields = vec![
        Field::new("name", DataType::Utf8View, false),
        Field::new("qty", DataType::Int64, false),
        Field::new("note", DataType::Utf8View, true),
    ];
    reading.schema = Arc::new(Schema::new(fields));
    let error = reading.read_every_way("a,1,\n,,\n").unwrap_err();
    assert_eq!(error.message, "f0:2:2: NULL in column `qty`, which is NOT NULL (BIGINT)");
    reading.options.null_literal = Some(String::new());
    let error = reading.read_every_way("a,1,\n,,\n").unwrap_err();
    assert_eq!(error.message, "f0:2:1: NULL in column `name`, which is NOT NULL (STRING)");
    reading.bad_input.on_error = OnError::Skip;
    assert_eq!(reading.read_every_way("a,1,\n,,\nb,2,\"\"\n").unwrap().rejected, 1);
}

#[test]
fn records_of_all_lengths_pass_block_ends_and_head_rooms() {
    // Around the head room of a block, and with more delimiters than there are places kept for them.
    for length in [0, 4000, 4031, 4032, 4033, 4096, 9000] {
        let long = "é".repeat(length / 2) + &"x".repeat(length % 2);
        let text = format!("a,1,\"{long}\n\"\"{}\"\nb,2,c\n", ",".repeat(500));
        for block_bytes in [1, 7, 1000, 4096, 5000, 20_000] {
            let reading = Reading { block_bytes, workers: 3, ..three_columns() };
            let rows = reading.read_text(&text).unwrap().rows;
            assert_eq!(rows[0][2], format!("{long}\n\"{}", ",".repeat(500)));
            assert_eq!(rows[1], ["b", "2", "c"]);
        }
    }
    let names = (0..600).map(|column| format!("c{column}")).collect::<Vec<_>>();
    let columns = names.iter().map(|name| (name.as_str(), DataType::Int16)).collect::<Vec<_>>();
    let text = (0..5).map(|row| format!("{row}{}\n", ",7".repeat(599))).collect::<String>();
    for block_bytes in [1, 100, 1199, 1200, 1201, 5000] {
        let rows = Reading { block_bytes, workers: 2, ..Reading::of(&columns) }.read_text(&text).unwrap().rows;
        assert!(rows.iter().enumerate().all(|(row, values)| values[0] == row.to_string() && values[599] == "7"));
        assert_eq!(rows.len(), 5);
    }
}

#[test]
fn bytes_that_are_not_text_are_refused_where_a_string_is_read() {
    let text = b"ok,1,x\nb\xFFd,2,x\nshort,3,\xC3\nlong enough for a view,4,and not \xFF text in it\n".to_vec();
    let mut reading = Reading { block_bytes: 10, ..three_columns() };
    let error = reading.read(std::slice::from_ref(&text)).unwrap_err();
    assert_eq!(error.message, "f0:2:1: \"b\u{FFFD}d\" is not UTF-8 (column `name`, STRING)");
    reading.bad_input.on_error = OnError::Skip;
    assert_eq!(reading.read(std::slice::from_ref(&text)).unwrap().rejected, 3);
    reading.columns = vec![1];
    assert_eq!(reading.read(std::slice::from_ref(&text)).unwrap().rows.len(), 4);
    let utf16 = "a,1,b\n".encode_utf16().flat_map(u16::to_le_bytes);
    let error = three_columns().read(&[b"\xFF\xFE".iter().copied().chain(utf16).collect()]).unwrap_err();
    assert_eq!(error.message, "f0:1:1: the file is in UTF-16, not in UTF-8");
}

#[test]
fn every_type_is_read_at_its_edges() {
    let reading = Reading::of(&[
        ("t", DataType::Int8),
        ("s", DataType::Int16),
        ("f", DataType::Float32),
        ("b", DataType::Boolean),
        ("m", DataType::Decimal128(10, 2)),
        ("d", DataType::Date32),
        ("c", DataType::Time32(TimeUnit::Millisecond)),
        ("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("z", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ("x", DataType::BinaryView),
    ]);
    let text = "-128,32767,1e-45,TRUE,-99999999.995e-1,1969-12-31,23:59:59.9999,1969-12-31 23:59:59.9999,2000-02-29T00:00:00.123456789+00:30,AP8=\n,,,,,,,,,\n";
    let rows = reading.read_every_way(text).unwrap().rows;
    let expected = [
        "-128",
        "32767",
        "1e-45",
        "true",
        "-10000000.00",
        "1969-12-31",
        "23:59:59.999",
        "1969-12-31T23:59:59.999",
        "2000-02-28T23:30:00.123456Z",
        "00ff",
    ];
    assert_eq!(rows[0], expected);
    assert!(rows[1].iter().all(|value| value == "∅"));
    for (text, bad) in [
        ("128,,,,,,,,,", "\"128\" does not fit TINYINT (column `t`)"),
        (",,,yes,,,,,,", "\"yes\" is not a BOOLEAN (column `b`)"),
        (",,,,100000000,,,,,", "\"100000000\" does not fit DECIMAL(10, 2) (column `m`)"),
        (",,,,,2023-02-29,,,,", "\"2023-02-29\" is not a DATE (column `d`)"),
        (",,,,,,24:00:00,,,", "\"24:00:00\" is not a TIME(3) (column `c`)"),
        (",,,,,,,2023-01-01,,", "\"2023-01-01\" is not a TIMESTAMP(3) (column `ts`)"),
        (",,,,,,,,2023-01-01 00:00:00,", "\"2023-01-01 00:00:00\" is not a TIMESTAMP_LTZ(6) (column `z`)"),
        (",,,,,,,,,?", "\"?\" is not a BYTES (column `x`)"),
        ("\"\",,,,,,,,,", "\"\" is not a TINYINT (column `t`)"),
    ] {
        let error = reading.read_text(text).unwrap_err();
        assert!(error.message.ends_with(bad), "{}", error.message);
    }
}

mod round_trip {
    use arrow_array::{
        ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
        Int16Array, Int32Array, Int64Array, StringViewArray, Time32MillisecondArray, Time64NanosecondArray,
        TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
    };

    use super::*;
    use crate::connect::Encoder;
    use crate::connect::format::csv::{CsvEncoder, header_line};

    fn columns(bits: &[Option<u64>], texts: &[Option<String>]) -> RecordBatch {
        const DAY_MS: i64 = 86_400_000;
        // Years 0000 to 9999.
        let days = |b: u64| (b % 3_652_425) as i64 - 719_528;
        let map = |f: &dyn Fn(u64) -> i64| bits.iter().map(|bits| bits.map(f)).collect::<Vec<_>>();
        let ms = map(&|b| days(b) * DAY_MS + (b >> 20) as i64 % DAY_MS);
        let int32 = |values: Vec<Option<i64>>| values.into_iter().map(|v| v.map(|v| v as i32)).collect::<Vec<_>>();
        let double = |b: u64| f64::from_bits(b);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("bool", Arc::new(bits.iter().map(|b| b.map(|b| b % 2 == 1)).collect::<BooleanArray>())),
            ("i8", Arc::new(bits.iter().map(|b| b.map(|b| b as i8)).collect::<Int8Array>())),
            ("i16", Arc::new(bits.iter().map(|b| b.map(|b| b as i16)).collect::<Int16Array>())),
            ("i32", Arc::new(bits.iter().map(|b| b.map(|b| b as i32)).collect::<Int32Array>())),
            ("i64", Arc::new(bits.iter().map(|b| b.map(|b| b as i64)).collect::<Int64Array>())),
            ("f32", Arc::new(bits.iter().map(|b| b.map(|b| f32::from_bits(b as u32))).collect::<Float32Array>())),
            ("f64", Arc::new(bits.iter().map(|b| b.map(double)).collect::<Float64Array>())),
            (
                "dec",
                Arc::new(
                    bits.iter()
                        .map(|b| b.map(|b| i128::from(b as i64) * i128::from(b as u32)))
                        .collect::<Decimal128Array>()
                        .with_precision_and_scale(38, 9)
                        .unwrap(),
                ),
            ),
            ("date", Arc::new(Date32Array::from(int32(map(&|b| days(b)))))),
            ("time", Arc::new(Time32MillisecondArray::from(int32(map(&|b| b as i64 & 0x3FF_FFFF))))),
            ("time9", Arc::new(Time64NanosecondArray::from(map(&|b| (b % 86_400_000_000_000) as i64)))),
            ("ts0", Arc::new(TimestampSecondArray::from(map(&|b| days(b) * 86_400 + b as i64 % 1000)))),
            ("ts3", Arc::new(TimestampMillisecondArray::from(ms.clone()))),
            ("ltz3", Arc::new(TimestampMillisecondArray::from(ms).with_timezone("UTC"))),
            (
                "ts6",
                Arc::new(TimestampMicrosecondArray::from(map(&|b| days(b) * DAY_MS * 1000 + b as i64 % 1_000_000))),
            ),
            ("ts9", Arc::new(TimestampNanosecondArray::from(map(&|b| b as i64)))),
            ("text", Arc::new(texts.iter().cloned().collect::<StringViewArray>())),
            ("bytes", Arc::new(texts.iter().map(|t| t.as_ref().map(|t| t.as_bytes())).collect::<BinaryViewArray>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    fn a_text() -> impl Strategy<Value = Option<String>> {
        prop_oneof![
            Just(None),
            Just(Some(String::new())),
            Just(Some("NULL".to_owned())),
            "[a-zé,\"\n\r;0-9 -]{0,30}".prop_map(Some)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_written_is_read_again(
            rows in proptest::collection::vec((proptest::option::weighted(0.9, any::<u64>()), a_text()), 1..20),
            delimiter in prop_oneof![Just(b','), Just(b';'), Just(b'-'), Just(b'1'), Just(b'e')],
            null_literal in prop_oneof![Just("NULL"), Just(""), Just("0"), Just("true")],
            escape in prop_oneof![Just(None), Just(Some(b'\\')), Just(Some(b'x'))],
            has_quotes in any::<bool>(),
            scientific_decimals in any::<bool>(),
            block_bytes in 1_usize..3000,
        ) {
            // Refused when the options are read.
            prop_assume!(!null_literal.contains(char::from(delimiter)));
            // Without either, not all texts can be written.
            let has_quotes = has_quotes || escape != Some(b'\\');
            let (bits, texts): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            // Without quotes no bytes at all and NULL are the same.
            prop_assume!(has_quotes || texts.iter().flatten().all(|text| !text.is_empty()));
            let batch = columns(&bits, &texts);
            let mut reading = Reading { block_bytes, workers: 2, schema: batch.schema(), ..Reading::of(&[]) };
            reading.columns = (0..batch.num_columns()).collect();
            reading.options.header = Header::Present;
            reading.options.dialect.delimiter = Some(delimiter);
            reading.options.null_literal = Some(null_literal.to_owned());
            reading.options.dialect.escape = escape;
            reading.options.scientific_decimals = scientific_decimals;
            if !has_quotes {
                reading.options.dialect.quote = None;
                // What only quotes can keep apart from it.
                reading.options.null_literal = Some("~".to_owned());
                reading.options.header = Header::Absent;
            }
            let mut out = Vec::new();
            if has_quotes {
                out = header_line(&batch.schema(), &reading.options).unwrap();
            }
            CsvEncoder::new(&batch.schema(), &reading.options).unwrap().encode(&batch, &mut out).unwrap();
            let rows = reading.read(&[out]).unwrap().rows;
            for (row, values) in rows.iter().enumerate() {
                for (column, value) in batch.columns().iter().zip(values) {
                    prop_assert_eq!(value, &shown(column, row));
                }
            }
            prop_assert_eq!(rows.len(), batch.num_rows());
        }
    }
}

/// Two blocks: the first comes out when the test says so, the second cannot be read.
struct Gate {
    blocks: Memory,
    is_asked: Sender<()>,
    goes_on: Receiver<()>,
}

impl BlockInput for Gate {
    fn take(&self) -> Taken {
        match self.blocks.take() {
            Taken::Block(block) if block.index == 0 => {
                self.is_asked.send(()).expect("the test listens");
                self.goes_on.recv().expect("the test goes on");
                Taken::Block(block)
            }
            Taken::Block(block) => Taken::Failed { index: block.index, error: Error::connector("the disk is gone") },
            other => other,
        }
    }

    fn next_index(&self) -> u64 {
        self.blocks.next_index()
    }

    fn stop(&self) {
        self.blocks.stop();
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }
}

#[test]
fn an_error_is_kept_back_while_another_worker_holds_an_earlier_block() {
    for (text, first_is_bad) in [("a,1,b\na,2,b\n", false), ("a,x,b\na,2,b\n", true)] {
        let bells = Doorbells::new(2);
        let reading = three_columns();
        let read = ReadOptions { batch_rows: 10, block_bytes: 6, workers: 2, kernels: Default::default() };
        let (is_asked, asked) = bounded(1);
        let (go, goes_on) = bounded(1);
        let gate = Gate { blocks: Memory::new(&[text.as_bytes().to_vec()], 6), is_asked, goes_on };
        let source = reading.open(gate, &read, &bells).unwrap();
        let (mut early, mut late) = (source.reader(WorkerId(0)), source.reader(WorkerId(1)));
        let early = std::thread::scope(|scope| {
            let early = scope.spawn(move || early.poll().map(|event| matches!(event, SourceEvent::Block(_))));
            // Gone with this scope, so that a failing test lets the other thread go.
            let go = go;
            asked.recv().unwrap();
            bells.bell(WorkerId(1)).take();
            assert!(matches!(late.poll(), Ok(SourceEvent::Pending)), "block 0 may be bad");
            go.send(()).unwrap();
            early.join().unwrap()
        });
        assert!(bells.bell(WorkerId(1)).is_rung(), "block 0 is done");
        let late = late.poll();
        if first_is_bad {
            assert!(early.unwrap_err().message.contains("\"x\" is not a BIGINT"));
            assert!(matches!(late, Ok(SourceEvent::Pending)), "one error is enough");
        } else {
            assert!(early.unwrap());
            assert_eq!(late.err().map(|error| error.message).as_deref(), Some("the disk is gone"));
        }
    }
}
