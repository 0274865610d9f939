//! Broken text, cut everywhere: the same rows and the same rejects, by place, reason and text, as an oracle says.

use super::*;
use crate::connect::format::csv::options::Surplus;
use crate::connect::format::text::every_cut::{Summing, bytes_asked, for_each_pair, rejects};

/// What the oracle makes of a text, by place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Bytes of a record, without its newline.
    Record(usize, usize),
    /// Bytes of what is given up, the byte at fault, and why.
    Fault(usize, usize, usize, RejectReason),
    /// The text ends first; if within quotes, where they were opened.
    Open(Option<usize>),
}

/// The record from `start` on, as far as `text` goes.
fn naive_record(text: &[u8], start: usize) -> Piece {
    let find = |byte: u8, from: usize| text[from..].iter().position(|&found| found == byte).map(|offset| from + offset);
    let quote_fault = |quote: usize| match find(b'\n', quote) {
        Some(end) => Piece::Fault(start, end, quote, RejectReason::Quote),
        None => Piece::Open(None),
    };
    let mut at = start;
    loop {
        let field = at;
        if text.get(at) == Some(&b'"') {
            let mut close = find(b'"', at + 1);
            while let Some(quote) = close.filter(|quote| text.get(quote + 1) == Some(&b'"')) {
                close = find(b'"', quote + 2);
            }
            let Some(close) = close else { return Piece::Open(Some(field)) };
            at = close + 1;
            match &text[at..] {
                [] | [b'\r'] => return Piece::Open(None),
                [b',' | b'\n', ..] | [b'\r', b'\n', ..] => {}
                _ if text[field..close].contains(&b'\n') => return quote_fault(field),
                _ => {}
            }
        }
        // Outside of quotes: up to the end of the field, or a quote that is not closed in its line.
        loop {
            match text.get(at) {
                Some(b',') => {
                    at += 1;
                    break;
                }
                Some(b'\n') => return Piece::Record(start, at),
                Some(b'"') => match (find(b'"', at + 1), find(b'\n', at)) {
                    (Some(close), newline) if newline.is_none_or(|newline| close < newline) => at = close + 1,
                    _ => return quote_fault(at),
                },
                Some(_) => at += 1,
                None => return Piece::Open(None),
            }
        }
    }
}

/// All records and faults of a text that ends with a newline, or breaks off somewhere: then the last fault is that.
fn naive_pieces(text: &[u8], bytes_max: usize, comments: bool, breaks_off: bool) -> Vec<Piece> {
    let line_end =
        |at: usize| text[at..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |offset| at + offset);
    let (mut pieces, mut at) = (Vec::new(), 0);
    while at < text.len() {
        if comments && text[at] == b'#' {
            at = line_end(at) + 1;
            continue;
        }
        let seen = &text[..text.len().min(at + bytes_max + 1)];
        let piece = match naive_record(seen, at) {
            Piece::Open(_) if breaks_off && text.len() - at <= bytes_max => break,
            Piece::Open(Some(quote)) if line_end(quote) < seen.len() => {
                Piece::Fault(at, line_end(quote), quote, RejectReason::Quote)
            }
            Piece::Open(_) => Piece::Fault(at, at + bytes_max, at, RejectReason::TooLong),
            piece => piece,
        };
        at = match piece {
            Piece::Fault(start, _, _, RejectReason::TooLong) => line_end(start) + 1,
            Piece::Record(_, end) | Piece::Fault(_, end, ..) => end + 1,
            Piece::Open(_) => text.len(),
        };
        pieces.push(piece);
    }
    if breaks_off {
        let start = at.min(text.len());
        pieces.push(Piece::Fault(start, text.len(), start, RejectReason::Corrupt));
    }
    pieces
}

/// Rows, and rejects as offset, reason and text, of a table (STRING, BIGINT, STRING).
type Naive = (Vec<Vec<String>>, Vec<(u64, RejectReason, Vec<u8>)>);

fn naive(text: &str, bytes_max: usize, comments: bool, breaks_off: bool) -> Naive {
    let mut bytes = text.as_bytes().to_vec();
    if !breaks_off && bytes.last().is_some_and(|&last| last != b'\n') {
        bytes.push(b'\n');
    }
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    for piece in naive_pieces(&bytes, bytes_max, comments, breaks_off) {
        match piece {
            Piece::Record(start, end) => {
                let record = std::str::from_utf8(&bytes[start..end]).unwrap();
                let (mut found, rejected) = naive_rows(record, None);
                rows.append(&mut found);
                if rejected > 0 {
                    rejects.push((start as u64, naive_reason(record), bytes[start..end].to_vec()));
                }
            }
            Piece::Fault(start, end, _, reason) => rejects.push((start as u64, reason, bytes[start..end].to_vec())),
            Piece::Open(_) => unreachable!(),
        }
    }
    (rows, rejects)
}

/// Why a record that is one is refused: its number of fields comes first, then the first bad field.
fn naive_reason(record: &str) -> RejectReason {
    let fields = naive_records(record).remove(0);
    if fields.len() != 3 {
        return RejectReason::FieldCount;
    }
    let first_bad = fields.iter().enumerate().find_map(|(column, field)| match naive_field(field) {
        None => Some(RejectReason::Quote),
        Some((text, is_quoted)) if column == 1 => {
            let number = text.trim_matches(|c: char| c.is_ascii_whitespace()).parse::<i64>();
            let is_fine = number.is_ok() || (text.is_empty() && !is_quoted);
            (!is_fine).then_some(RejectReason::Malformed)
        }
        Some(_) => None,
    });
    first_bad.expect("the record was refused")
}

fn found(outcome: &Outcome) -> Naive {
    let rejects = outcome.rejects.iter().map(|reject| (reject.offset, reject.reason, reject.record.clone()));
    (outcome.rows.clone(), rejects.collect())
}

/// Each reject's place and text are those of the source.
fn check_places(text: &str, outcome: &Outcome) {
    for reject in &outcome.rejects {
        let start = reject.offset as usize;
        assert_eq!(&text.as_bytes()[start..][..reject.record.len()], &reject.record[..], "{reject:?}");
        let lines: Vec<_> = text.split('\n').collect();
        let line = text[..start].matches('\n').count() as u64 + 1;
        assert!(reject.line >= line, "{reject:?}");
        assert!(reject.column as usize <= lines[reject.line as usize - 1].chars().count() + 1, "{reject:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_text_is_read_as_the_oracle_says_however_it_is_cut(
        text in prop_oneof!["[a1,\"#\n\r ]{0,60}", "([a1\"]{0,3}[,\"\n]){0,20}", "(a,1,(b|\"b\n\"|\"b|b\"\"\n|\"b\"x)\n){0,8}"],
        comments in any::<bool>(),
        limit in prop_oneof![2 => Just(1000), 1 => 4_usize..40],
    ) {
        let mut reading = three_columns();
        reading.options.dialect.comments = comments;
        reading.options.surplus = Surplus::Refused;
        reading.bad_input.record_bytes_max = limit;
        reading.bad_input.on_error = OnError::Divert;
        let outcome = reading.read_every_way(&text).unwrap();
        prop_assert_eq!(found(&outcome), naive(&text, limit, comments, false));
        check_places(&text, &outcome);
        reading.bad_input.on_error = OnError::Fail;
        let failed = reading.read_every_way(&text);
        match (failed, outcome.rejects.first()) {
            (Ok(all), None) => prop_assert_eq!(all.rows, outcome.rows),
            (Err(error), Some(first)) => prop_assert_eq!(error.message, first.clone().into_error().message),
            (failed, first) => prop_assert!(false, "{:?} {:?}", failed, first),
        }
    }

    #[test]
    fn text_that_breaks_off_is_read_up_to_the_record_that_it_breaks_off_in_however_it_is_cut(
        text in prop_oneof!["[a1,\"#\n\r ]{0,60}", "(a,1,(b|\"b\n\"|\"b|b\"\"\n|\"b\"x)\n){0,8}[a1,\"\n]{0,9}"],
        comments in any::<bool>(),
        limit in prop_oneof![2 => Just(1000), 1 => 4_usize..40],
    ) {
        let mut reading = three_columns();
        reading.options.dialect.comments = comments;
        reading.options.surplus = Surplus::Refused;
        reading.bad_input.record_bytes_max = limit;
        reading.bad_input.on_error = OnError::Divert;
        reading.breaks_off = true;
        let outcome = reading.read_every_way(&text).unwrap();
        prop_assert_eq!(found(&outcome), naive(&text, limit, comments, true));
        let (first, last) = (outcome.rejects[0].clone().into_error(), outcome.rejects.last().unwrap());
        let whole = &text[..last.offset as usize];
        prop_assert_eq!(last.line, 1 + whole.matches('\n').count() as u64);
        reading.bad_input.on_error = OnError::Fail;
        prop_assert_eq!(reading.read_every_way(&text).unwrap_err().message, first.message);
    }
}

/// Quotes of all kinds, good and broken, CR LF, blank lines, wrong numbers and counts, text beyond ASCII.
const NASTY: &str = "a,1,b\r\n\
    \"q\r\n\"\"q\",2,\"x,y\"\n\
    wrong,\"two\",b\n\
    few,3\n\n\
    many,4,c,d\r\n\
    ä€😀,5,\"it's\"\n\
    6\"pipe,6,b\n\
    \"open,7,b\n\
    c,8,\"d\"\n\
    \"e\n\
    f\",9,\"g\n\
    \n\
    h\"\n\
    \"amiss\n\
    \",10,\"b\"\r\n\
    after,\"11\"x,b\n\
    \"k\",12,\"\"\n\
    l,13,\"never";

#[test]
fn nasty_text_is_read_the_same_cut_at_every_byte_and_every_pair_of_bytes() {
    let text = format!("{}{NASTY}", format!("{NASTY}\"\n").repeat(bytes_asked() / NASTY.len()));
    let mut diverting = three_columns();
    diverting.bad_input.on_error = OnError::Divert;
    let mut skipping = diverting.clone();
    skipping.bad_input.on_error = OnError::Skip;
    let all = diverting.read_text(&text).unwrap();
    assert_eq!(found(&all), naive(&text, diverting.bad_input.record_bytes_max, false, false));
    check_places(&text, &all);
    let nothing = RecordBatch::new_empty(Arc::clone(&diverting.schema));
    let whole = diverting.blocks(Memory::cut(text.as_bytes(), &[])).unwrap();
    let expected = Summing::of(&nothing).sum_up(&whole).clone();
    let state = || (Summing::of(&nothing), diverting.clone(), skipping.clone());
    // Cuts at the same place make an empty block.
    for_each_pair(text.len(), state, |(summing, diverting, skipping), first, second| {
        let is_diverting = second % 3 > 0;
        let cut = if is_diverting { diverting } else { skipping };
        (cut.workers, cut.seed) = (1 + (first + second) % 4, second as u64);
        let blocks = cut.blocks(Memory::cut(text.as_bytes(), &[first, second])).unwrap();
        assert!(*summing.sum_up(&blocks) == expected, "cut at {first} and {second}: {:?}", summing.summary);
        let are_rejects_equal = rejects(&blocks).eq(&all.rejects);
        assert!(are_rejects_equal || !is_diverting, "rejects of cuts at {first} and {second}");
    });
}

#[test]
fn a_quote_that_is_never_closed_costs_its_line() {
    let line = |number: u64| format!("row {number},{number},\"quoted, {number}\"\n");
    let mut text: String = (1..=20_000).map(line).collect();
    let open = text.find("row 10,").unwrap();
    for (broken, column) in [("\"row 10,10,x\n", 1), ("row 10,10,\"x\n", 11), ("r\"ow 10,10,x\n", 2)] {
        text.replace_range(open..open + text[open..].find('\n').unwrap() + 1, broken);
        for (block_bytes, bytes_max) in [(1 << 17, 16 << 20), (1000, 5000), (7, 100)] {
            let mut reading = Reading { block_bytes, workers: 3, ..three_columns() };
            reading.bad_input.record_bytes_max = bytes_max;
            reading.bad_input.on_error = OnError::Divert;
            let outcome = reading.read_text(&text).unwrap();
            assert_eq!((outcome.rows.len(), outcome.rejected), (19_999, 1), "{broken:?}");
            let reject = &outcome.rejects[0];
            assert_eq!((reject.line, reject.column, reject.reason), (10, column, RejectReason::Quote));
            assert_eq!(String::from_utf8_lossy(&reject.record), broken.trim_end());
            reading.bad_input.on_error = OnError::Fail;
            let error = reading.read_text(&text).unwrap_err();
            assert!(error.message.starts_with(&format!("f0:10:{column}: ")), "{}", error.message);
        }
    }
}

#[test]
fn a_long_record_costs_its_length_however_small_the_blocks_are() {
    // Looked at from its start for each block, this would take hours.
    let field = "line \"\"of\"\" text\n".repeat(1 << 13);
    let text = format!("a,1,\"{field}\"\nb,2,c\n");
    let reading = Reading { block_bytes: 1, workers: 2, ..three_columns() };
    let rows = reading.read_text(&text).unwrap().rows;
    assert_eq!((rows[0][2].len(), rows.len()), (field.len() - 4 * (1 << 13) / 2, 2));
}
