//! Lines cut everywhere: the same rows, and the same rejects by place, reason and text.

use super::*;
use crate::connect::format::text::every_cut::{Summing, bytes_asked, for_each_pair, rejects};

#[test]
fn wherever_a_text_is_cut_rows_and_rejects_are_the_same() {
    let (reading, text) = motley();
    let whole = reading.read(&text).unwrap();
    assert_eq!((whole.records, whole.rejects.len()), (13, 5));
    for cut in 0..=text.len() {
        for (workers, batch_rows) in [(1, 4096), (2, 1)] {
            let cut = Reading { cuts: vec![cut], workers, batch_rows, ..reading.clone() };
            assert_eq!(cut.read(&text).unwrap(), whole, "{:?}", cut.cuts);
        }
    }
}

/// Blanks, escapes, characters of several bytes, values of the wrong kind, what is no JSON, repeated names.
const NASTY: &str = "{\"a\":1,\"s\":\"a text of \\ud83d\\ude00 and é\"}\r\n\n\
    {\"a\":\"x\"}\n no {\"s\":[ 1, {\"b\" : 2}]}\n {\"s\":[ 1, {\"b\" : 2}]}\n\
    {\"l\":[3,4],\"l\":[5],\"a\":-6e0}\r\n{\"s\":\"open\n{\"a\":7}";

#[test]
fn wherever_a_text_is_cut_twice_rows_and_rejects_are_the_same() {
    let copies = bytes_asked() / NASTY.len();
    let text = format!("\u{feff}{}{NASTY}", format!("{NASTY}\n").repeat(copies));
    let fields =
        vec![field("a", DataType::Int64), field("s", DataType::Utf8View), field("l", list_of(DataType::Int64))];
    let reading = Reading::of(fields);
    let whole = reading.read(text.as_bytes()).unwrap();
    assert_eq!((whole.records, whole.rejects.len()), (7 * (copies as u64 + 1), 3 * (copies + 1)));
    let expected = Summing::of(&whole.rows).sum_up(&reading.blocks(text.as_bytes()).unwrap()).clone();
    let state = || (Summing::of(&whole.rows), reading.clone());
    for_each_pair(text.len(), state, |(summing, cut), first, second| {
        cut.cuts = vec![first, second];
        (cut.workers, cut.batch_rows) = (1 + second % 2, if first % 2 == 0 { 4096 } else { 3 });
        let blocks = cut.blocks(text.as_bytes()).unwrap();
        assert!(*summing.sum_up(&blocks) == expected, "cut at {first} and {second}: {:?}", summing.summary);
        assert!(rejects(&blocks).eq(&whole.rejects), "rejects of cuts at {first} and {second}");
    });
}
