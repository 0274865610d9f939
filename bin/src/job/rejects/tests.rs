//! The ledger of rejects, told of blocks in any order.

use std::path::Path;

use proptest::prelude::*;
use thalweg_runtime::WorkerId;

use super::*;
use crate::connect::bad_input::RejectReason;

fn reject(offset: u64, record: &[u8]) -> Reject {
    Reject {
        origin: "a.csv".into(),
        offset,
        line: offset + 1,
        column: 0,
        field: None,
        reason: if offset.is_multiple_of(2) { RejectReason::Quote } else { RejectReason::Malformed },
        message: "bad".into(),
        help: "mend it".into(),
        record: record.to_vec(),
    }
}

/// Blocks of these offsets each.
fn blocks(rejected: &[Vec<u64>], record: &[u8]) -> Vec<Rejects> {
    let block = |offsets: &Vec<u64>| {
        let mut rejects = Rejects::default();
        for &offset in offsets {
            let reject = reject(offset, record);
            rejects.add(OnError::Divert, reject.reason, || reject);
        }
        rejects
    };
    rejected.iter().map(block).collect()
}

fn ledger(policy: &BadInput) -> (Ledger, Doorbells, JobControl) {
    let (bells, control) = (Doorbells::new(1), JobControl::new());
    (Ledger::open(("t", Subject::Rejects), policy, 0, (&bells, &control)).unwrap(), bells, control)
}

fn divert_to(path: &Path) -> BadInput {
    let rejects_path = Some(path.to_str().expect("a path of ours").to_owned());
    BadInput { on_error: OnError::Divert, rejects_path, ..BadInput::default() }
}

/// What submitting the blocks in the order of `turns` gives first, as an error.
fn submit_all(ledger: &Ledger, blocks: Vec<Rejects>, turns: &[usize]) -> Option<Error> {
    let mut blocks: Vec<Option<Rejects>> = blocks.into_iter().map(Some).collect();
    let mut first = None;
    for &turn in turns {
        let refused = ledger.gather(blocks[turn].take().expect("each block has one turn"), Vec::new(), None);
        if let Err(error) = ledger.submit(turn as u64, refused) {
            assert!(first.is_none(), "one error ends the job");
            first = Some(error);
        }
    }
    first
}

fn lines_of(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Offsets in ascending order, cut into blocks, and an order of turns.
fn a_job() -> impl Strategy<Value = (Vec<Vec<u64>>, Vec<usize>)> {
    proptest::collection::vec(0_u64..6, 1..12).prop_flat_map(|counts| {
        let mut next = 0;
        let blocks: Vec<Vec<u64>> = counts
            .iter()
            .map(|&count| {
                next += count;
                (next - count..next).collect()
            })
            .collect();
        let turns: Vec<usize> = (0..blocks.len()).collect();
        (Just(blocks), Just(turns).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_file_has_the_order_of_the_input_whatever_the_order_of_the_blocks((rejected, turns) in a_job()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.ndjson");
        let (ledger, _, control) = ledger(&divert_to(&path));
        prop_assert!(submit_all(&ledger, blocks(&rejected, b"x"), &turns).is_none());
        let counts = ledger.finish().unwrap();
        let offsets: Vec<u64> = rejected.concat();
        let expected: Vec<String> = offsets.iter().map(|offset| format!("{{\"source\":\"a.csv\",\"offset\":{offset},")).collect();
        let lines = lines_of(&path);
        prop_assert_eq!(lines.len(), expected.len());
        prop_assert!(lines.iter().zip(&expected).all(|(line, start)| line.starts_with(start.as_str())));
        prop_assert_eq!(counts.total(), offsets.len() as u64);
        prop_assert_eq!(control.progress().rejected, counts);
    }

    #[test]
    fn the_record_after_max_rejects_ends_the_job_and_all_before_it_are_written(
        (rejected, turns) in a_job(),
        max in 0_u64..20,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.ndjson");
        let (ledger, ..) = ledger(&BadInput { rejects_max: Some(max), ..divert_to(&path) });
        let error = submit_all(&ledger, blocks(&rejected, b"x"), &turns);
        let total = rejected.concat().len() as u64;
        let counted = ledger.finish().unwrap().total();
        prop_assert_eq!(counted, total.min(max));
        prop_assert_eq!(lines_of(&path).len() as u64, total.min(max));
        // Offsets count from 0, so the record after `max` others is the one at `max`.
        let expected = (total > max).then(|| format!("a.csv:{}: bad; one more than 'max-rejects' accepts for table `t` ({max}", max + 1));
        match (error, expected) {
            (Some(error), Some(start)) => prop_assert!(error.message.starts_with(&start), "{}", error),
            (error, expected) => prop_assert!(error.is_none() && expected.is_none(), "{error:?} {expected:?}"),
        }
    }

    #[test]
    fn under_fail_the_first_reject_of_the_input_ends_the_job((rejected, turns) in a_job()) {
        let (ledger, ..) = ledger(&BadInput::default());
        let error = submit_all(&ledger, blocks(&rejected, b"x"), &turns);
        let expected = rejected.concat().first().map(|offset| reject(*offset, b"x").into_error().message);
        prop_assert_eq!(error.map(|error| error.message), expected);
    }
}

#[test]
fn what_ends_the_source_waits_for_the_blocks_before_it() {
    for first_is_bad in [false, true] {
        let (ledger, ..) = ledger(&BadInput::default());
        ledger.fail(1, Error::connector("the disk is gone")).unwrap();
        let block = blocks(&[if first_is_bad { vec![7] } else { Vec::new() }], b"x").remove(0);
        let error = ledger.submit(0, ledger.gather(block, Vec::new(), None)).unwrap_err();
        assert_eq!(error.message, if first_is_bad { "a.csv:8: bad" } else { "the disk is gone" });
    }
}

#[test]
fn the_file_ends_with_a_whole_line_at_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.ndjson");
    let rejected = [vec![0, 1, 2], vec![3, 4]];
    let (whole, ..) = ledger(&divert_to(&path));
    assert!(submit_all(&whole, blocks(&rejected, b"x"), &[0, 1]).is_none());
    whole.finish().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let ends: Vec<usize> = text.match_indices('\n').map(|(newline, _)| newline + 1).collect();
    for (limit, lines) in [(0, 0), (ends[0] - 1, 0), (ends[0], 1), (ends[1] + 1, 2), (ends[4] - 1, 4), (ends[4], 5)] {
        let policy = BadInput { rejects_file_bytes_max: limit as u64, ..divert_to(&path) };
        let (capped, _, control) = ledger(&policy);
        let notes = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&notes);
        control.on_note(move |note| heard.lock().unwrap().push(note.to_owned()));
        assert!(submit_all(&capped, blocks(&rejected, b"x"), &[1, 0]).is_none());
        assert_eq!(capped.finish().unwrap().total(), 5, "all are counted");
        assert_eq!(lines_of(&path).len(), lines, "a limit of {limit} bytes");
        let warnings = notes.lock().unwrap().iter().filter(|note| note.contains("'rejects-max-bytes'")).count();
        assert_eq!(warnings, usize::from(lines < 5));
    }
}

#[test]
fn blocks_ahead_of_a_slow_one_are_held_up_and_it_alone_may_pass() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, bells, _) = ledger(&divert_to(&directory.path().join("r.ndjson")));
    let heavy = vec![b'x'; 1024];
    let mut told = 1;
    while ledger.may_pass(told).unwrap() {
        let offsets: Vec<u64> = (0..1000).collect();
        let block = blocks(&[offsets], &heavy).remove(0);
        ledger.submit(told, ledger.gather(block, Vec::new(), None)).unwrap();
        told += 1;
        assert!(told < 100, "nothing holds the blocks up");
    }
    assert!(told > 2, "held up too early");
    assert!(ledger.may_pass(0).unwrap(), "all wait for block 0");
    assert!(!ledger.may_pass(told).unwrap());
    bells.bell(WorkerId(0)).take();
    ledger.submit(0, Refused::default()).unwrap();
    // The thread rings once the disk has taken what was queued.
    while !ledger.may_pass(told).unwrap() {
        bells.bell(WorkerId(0)).wait(std::time::Duration::from_secs(3600));
        bells.bell(WorkerId(0)).take();
    }
    assert_eq!(ledger.finish().unwrap().total(), (told - 1) * 1000);
}

#[test]
fn a_disk_that_takes_nothing_ends_the_job_as_an_error_of_the_world() {
    let (ledger, ..) = ledger(&divert_to(Path::new("/dev/full")));
    let block = || blocks(&[vec![1]], b"x").remove(0);
    ledger.submit(0, ledger.gather(block(), Vec::new(), None)).unwrap();
    let error = ledger.finish().unwrap_err();
    assert_eq!(error.kind, crate::error::Kind::Connector);
    assert!(error.message.starts_with("cannot write the rejects of table `t` to '/dev/full'"), "{error}");
}

#[test]
fn a_clean_block_keeps_nothing() {
    let (ledger, ..) = ledger(&BadInput { on_error: OnError::Skip, ..BadInput::default() });
    let refused = ledger.gather(Rejects::default(), Vec::new(), None);
    assert_eq!((refused.bytes(), refused.records.capacity(), refused.lines.capacity()), (BLOCK_BYTES, 0, 0));
    for index in [3, 1, 2, 0] {
        ledger.submit(index, Refused::default()).unwrap();
    }
    assert!(ledger.shared.lock().waiting.is_empty());
    assert!(ledger.thread.lock().unwrap().is_none(), "no thread without a reject");
}
