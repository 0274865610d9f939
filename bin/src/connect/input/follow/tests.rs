//! Followed files, read by one worker while the test writes, renames and truncates them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use thalweg_runtime::WorkerId;

use crate::connect::bad_input::{OnError, RejectReason};
use crate::connect::filesystem;
use crate::connect::numbers::Numbers;
use crate::connect::{Doorbells, Source, SourceEvent, SourceReader};

/// Looks follow each other as fast as a test wants them.
const INTERVAL: Duration = Duration::from_millis(2);

struct Followed {
    source: Arc<dyn Source>,
    reader: Box<dyn SourceReader>,
    bells: Doorbells,
    numbers: Vec<i64>,
    rejected: u64,
}

fn follow(path: &Path, block_bytes: usize) -> Followed {
    let numbers = Numbers::new(100, block_bytes, OnError::Skip);
    let path = path.to_str().expect("a path of the test is UTF-8");
    let source = filesystem::open(path, Some(INTERVAL), &numbers.scan(), &[]).expect("it can be followed");
    let reader = source.reader(WorkerId(0));
    Followed { source, reader, bells: numbers.bells, numbers: Vec::new(), rejected: 0 }
}

impl Followed {
    /// Reads until there are `count` numbers in all, and returns them sorted.
    fn until(&mut self, count: usize) -> Vec<i64> {
        let start = Instant::now();
        while self.numbers.len() < count {
            assert!(start.elapsed() < Duration::from_secs(120), "only {} of {count} came", self.numbers.len());
            assert!(self.poll(), "it ended after {} of {count}", self.numbers.len());
        }
        let mut numbers = self.numbers.clone();
        numbers.sort_unstable();
        numbers
    }

    /// Takes what there is; false at the end.
    fn poll(&mut self) -> bool {
        self.bells.bell(WorkerId(0)).take();
        match self.reader.poll().expect("it can be read") {
            SourceEvent::Block(block) => {
                self.rejected += block.rejects.total();
                for (reason, _) in block.rejects.counts().iter() {
                    assert_eq!(reason, RejectReason::Corrupt);
                }
                for batch in block.batches {
                    self.numbers.extend(batch.column(0).as_primitive::<Int64Type>().values());
                }
                true
            }
            SourceEvent::Pending => {
                self.bells.bell(WorkerId(0)).wait(Duration::from_millis(50));
                true
            }
            SourceEvent::End => false,
        }
    }

    /// Ends it, and returns all numbers in the order in which they came.
    fn drained(mut self) -> Vec<i64> {
        self.source.drain();
        while self.poll() {}
        self.numbers
    }
}

fn append(path: &Path, text: &[u8]) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text).unwrap();
}

fn lines(numbers: std::ops::Range<i64>) -> Vec<u8> {
    numbers.flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

fn range(to: usize) -> Vec<i64> {
    (0..to as i64).collect()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.csv");
    (directory, path)
}

#[test]
fn what_a_file_grows_by_is_read_and_half_a_line_waits() {
    for block_bytes in [1, 7, 1000] {
        let (_directory, path) = place();
        append(&path, &lines(0..10));
        let mut followed = follow(&path, block_bytes);
        assert_eq!(followed.until(10), range(10));
        append(&path, b"10\n1");
        assert_eq!(followed.until(11), range(11));
        append(&path, b"1\n12\n13");
        assert_eq!(followed.until(13), range(13));
        // Nobody knows whether it is whole.
        assert_eq!(followed.drained(), range(13));
    }
}

#[test]
fn pieces_of_any_size_make_the_same_records() {
    let (_directory, path) = place();
    let text = lines(0..20_000);
    let mut followed = follow(&path, 100);
    let writer = std::thread::spawn(move || {
        let mut random = 7_u64;
        let mut rest = &text[..];
        while !rest.is_empty() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bytes = rest.len().min(1 + (random >> 33) as usize % 700);
            append(&path, &rest[..bytes]);
            rest = &rest[bytes..];
        }
    });
    assert_eq!(followed.until(20_000), range(20_000));
    writer.join().unwrap();
    assert_eq!(followed.drained(), range(20_000), "in the order of the file");
}

#[test]
fn a_renamed_file_is_read_to_its_end_and_its_last_line_counts() {
    let (directory, path) = place();
    append(&path, b"0\n");
    let mut followed = follow(&path, 100);
    followed.until(1);
    append(&path, b"1\n2");
    fs::rename(&path, directory.path().join("app.csv.1")).unwrap();
    append(&path, b"3\n");
    assert_eq!(followed.until(4), range(4));
    fs::remove_file(&path).unwrap();
    append(&path, b"4\n");
    assert_eq!(followed.until(5), range(5));
    assert_eq!(followed.drained().len(), 5);
}

#[test]
fn a_thousand_rotations_lose_nothing_and_repeat_nothing() {
    let (directory, path) = place();
    append(&directory.path().join("app.csv.old"), b"-1\n");
    append(&path, b"0\n");
    let mut followed = follow(&path, 1000);
    followed.until(1);
    let keep = directory.path().to_owned();
    let writer = std::thread::spawn(move || {
        let mut next = 1;
        for rotation in 0..1000 {
            for _ in 0..3 {
                append(&path, &lines(next..next + 7));
                next += 7;
            }
            fs::rename(&path, keep.join(format!("app.csv.{rotation}"))).unwrap();
            append(&path, &lines(next..next + 1));
            next += 1;
        }
        next as usize
    });
    let expected = writer.join().unwrap();
    assert_eq!(followed.until(expected), range(expected));
    for _ in 0..20 {
        followed.poll();
    }
    assert_eq!(followed.drained().len(), expected, "nothing twice");
}

#[test]
fn rotations_while_lines_are_read_lose_nothing() {
    let (directory, path) = place();
    append(&path, b"0\n");
    let mut followed = follow(&path, 1000);
    followed.until(1);
    let mut next = 1;
    for rotation in 0..100 {
        append(&path, &lines(next..next + 9));
        fs::rename(&path, directory.path().join(format!("app.csv.{rotation}"))).unwrap();
        append(&path, &lines(next + 9..next + 10));
        next += 10;
        if rotation % 3 == 0 {
            followed.until(next as usize);
        }
    }
    assert_eq!(followed.until(next as usize), range(next as usize));
    assert_eq!(followed.drained().len(), next as usize);
}

#[test]
fn a_truncated_file_is_read_again_and_its_copy_is_not() {
    let (directory, path) = place();
    append(&path, &lines(0..500));
    let mut followed = follow(&path, 1000);
    followed.until(500);
    let mut next = 500;
    for copy in 0..20 {
        fs::copy(&path, directory.path().join(format!("app.csv.{copy}"))).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        append(&path, &lines(next..next + 5));
        next += 5;
        followed.until(next as usize);
    }
    // Longer than it was, but not the same from the start.
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    append(&path, &lines(next..next + 600));
    next += 600;
    assert_eq!(followed.until(next as usize), range(next as usize));
    assert_eq!(followed.drained().len(), next as usize);
}

#[test]
fn a_directory_gains_files_and_knows_a_renamed_one() {
    let directory = tempfile::tempdir().unwrap();
    append(&directory.path().join("a"), b"0\n");
    let mut followed = follow(directory.path(), 100);
    followed.until(1);
    append(&directory.path().join(".hidden"), b"9\n");
    append(&directory.path().join("b"), b"1\n2\n");
    assert_eq!(followed.until(3), range(3));
    fs::rename(directory.path().join("a"), directory.path().join("z")).unwrap();
    append(&directory.path().join("z"), b"3\n");
    assert_eq!(followed.until(4), range(4));
    assert_eq!(followed.drained().len(), 4);
}

#[test]
fn more_files_than_may_be_open_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |n: i64| directory.path().join(format!("f{n:04}"));
    let files = 1_500;
    for n in 0..files {
        append(&path(n), format!("{n}\n").as_bytes());
    }
    let mut followed = follow(directory.path(), 100);
    followed.until(files as usize);
    for n in (0..files).step_by(100) {
        append(&path(n), format!("{}\n", files + n / 100).as_bytes());
    }
    assert_eq!(followed.until(files as usize + 15), range(files as usize + 15));
    let open = fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or(0);
    assert!(open < 1_000, "{open} descriptors");
}

#[test]
fn a_compressed_file_is_followed_member_by_member() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.csv.gz");
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    append(&path, &gzip(&lines(0..100)));
    let mut followed = follow(&path, 64);
    followed.until(100);
    let member = gzip(&lines(100..2_000));
    append(&path, &member[..member.len() - 5]);
    followed.until(1_500);
    append(&path, &member[member.len() - 5..]);
    assert_eq!(followed.until(2_000), range(2_000));
    append(&path, b"garbage");
    while followed.rejected == 0 {
        followed.poll();
    }
    assert_eq!(followed.rejected, 1);
    assert_eq!(followed.drained().len(), 2_000);
}

#[test]
fn what_can_never_come_is_refused_and_what_may_come_is_awaited() {
    let (directory, path) = place();
    let mut followed = follow(&path, 100);
    assert!(followed.poll());
    append(&path, b"0\n");
    assert_eq!(followed.until(1), range(1));
    let watch = super::listing::Watch::new(directory.path().join("no/such.csv").to_str().unwrap());
    assert_eq!(watch.unwrap_err().kind, crate::error::Kind::Connector);
    assert!(super::listing::Watch::new("a/[").is_err());
}
