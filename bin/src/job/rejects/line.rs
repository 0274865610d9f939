//! A reject as a line of JSON: `source`, `offset`, `line`, `column`, `field`, `reason`, `message`, `record`.

use std::io::Write as _;

use crate::connect::bad_input::Reject;
use crate::connect::format::csv::base64;
use crate::connect::format::json::write_string;

/// Appends the line of `reject`. `line` and `column` are null where the format or the fault has none, as is `field`. A
/// record that is not UTF-8 has its bytes in `record_base64`, and in `record` what can be shown of them.
pub(super) fn write(reject: &Reject, out: &mut Vec<u8>) {
    out.reserve(256 + reject.record.len());
    out.extend_from_slice(b"{\"source\":");
    write_string(reject.origin.as_bytes(), out);
    // Writing to memory cannot fail.
    let _ = write!(out, ",\"offset\":{}", reject.offset);
    for (key, number) in [("line", reject.line), ("column", reject.column)] {
        let _ = match number {
            0 => write!(out, ",\"{key}\":null"),
            number => write!(out, ",\"{key}\":{number}"),
        };
    }
    out.extend_from_slice(b",\"field\":");
    match &reject.field {
        Some(field) => write_string(field.as_bytes(), out),
        None => out.extend_from_slice(b"null"),
    }
    let _ = write!(out, ",\"reason\":\"{}\",\"message\":", reject.reason.name());
    write_string(reject.message.as_bytes(), out);
    out.extend_from_slice(b",\"record\":");
    match std::str::from_utf8(whole_characters(&reject.record)) {
        Ok(record) => write_string(record.as_bytes(), out),
        Err(_) => {
            write_string(String::from_utf8_lossy(&reject.record).as_bytes(), out);
            let mut encoded = Vec::new();
            base64::encode(&reject.record, &mut encoded);
            out.extend_from_slice(b",\"record_base64\":\"");
            out.extend(encoded);
            out.push(b'"');
        }
    }
    out.extend_from_slice(b"}\n");
}

/// Without the character that was cut in two by keeping the first bytes alone.
fn whole_characters(record: &[u8]) -> &[u8] {
    if record.len() < crate::connect::bad_input::REJECT_BYTES_MAX {
        return record;
    }
    match std::str::from_utf8(record) {
        // `error_len` is none only for an unfinished character at the end.
        Err(error) if error.error_len().is_none() => &record[..error.valid_up_to()],
        _ => record,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::bad_input::RejectReason;

    fn reject(record: &[u8]) -> Reject {
        Reject {
            origin: "a \"b\".csv".into(),
            offset: 7,
            line: 2,
            column: 0,
            field: Some("n".into()),
            reason: RejectReason::OutOfRange,
            message: "too\nlarge".into(),
            help: "none".into(),
            record: record.to_vec(),
        }
    }

    fn line(reject: &Reject) -> String {
        let mut out = Vec::new();
        write(reject, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_reject_is_one_line_whatever_its_record() {
        assert_eq!(
            line(&reject(b"1,\"x\ny\"")),
            "{\"source\":\"a \\\"b\\\".csv\",\"offset\":7,\"line\":2,\"column\":null,\"field\":\"n\",\
             \"reason\":\"out-of-range\",\"message\":\"too\\nlarge\",\"record\":\"1,\\\"x\\ny\\\"\"}\n"
        );
        let nowhere = Reject { line: 0, column: 3, field: None, ..reject(b"\xFFa") };
        assert!(line(&nowhere).contains(",\"line\":null,\"column\":3,\"field\":null,"));
        assert!(line(&nowhere).ends_with(",\"record\":\"\u{FFFD}a\",\"record_base64\":\"/2E=\"}\n"));
    }

    #[test]
    fn a_character_cut_in_two_is_left_out() {
        let mut record = vec![b'x'; 1023];
        record.extend("ä".as_bytes());
        record.truncate(1024);
        let line = line(&reject(&record));
        assert!(line.ends_with("x\"}\n") && !line.contains("base64"), "{line}");
    }
}
