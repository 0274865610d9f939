//! How the place of something in a text, and the text itself, are shown.

use std::fmt::Write as _;

/// Characters of a field that an error shows.
const SHOWN_CHARS_MAX: usize = 60;

/// `text` in quotes, control characters escaped, cut to `SHOWN_CHARS_MAX` characters.
#[must_use]
pub fn shown(text: &[u8]) -> String {
    // A character is at most four bytes: more than this many cannot be shown anyway.
    let head = &text[..text.len().min(4 * (SHOWN_CHARS_MAX + 1))];
    let lossy = String::from_utf8_lossy(head);
    let mut shown = String::from("\"");
    let mut chars = 0;
    for character in lossy.chars() {
        let escaped = character.escape_debug();
        chars += escaped.len();
        if chars > SHOWN_CHARS_MAX {
            shown.push('…');
            break;
        }
        // An apostrophe needs no escape between double quotes.
        let _ = if character == '\'' { shown.write_char(character) } else { write!(shown, "{escaped}") };
    }
    shown.push('"');
    shown
}

/// The column, in characters from 1, behind a text that starts where a line does.
#[must_use]
pub fn column(text_before: &[u8]) -> u64 {
    let line_start = memchr::memrchr(b'\n', text_before).map_or(0, |newline| newline + 1);
    // Every byte but those that continue a character; holds for what is not UTF-8 too, more or less.
    let chars = text_before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
    chars as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_texts_are_shown_short_and_escaped() {
        assert_eq!(shown(b"a'b\n\"\x01"), "\"a'b\\n\\\"\\u{1}\"");
        assert_eq!(shown(b"\xFF"), "\"\u{FFFD}\"");
        let long = shown("ä".repeat(1000).as_bytes());
        assert_eq!(long.chars().count(), SHOWN_CHARS_MAX + 3);
        assert!(long.ends_with("ä…\""));
    }

    #[test]
    fn columns_are_characters_from_one() {
        assert_eq!(column(b""), 1);
        assert_eq!(column("ab\nä,".as_bytes()), 3);
    }
}
