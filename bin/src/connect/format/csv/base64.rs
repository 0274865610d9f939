//! Base64 (RFC 4648, section 4), the text of BYTES.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the bytes that `text` stands for; false if it is not base64. Padding may be left out.
#[must_use]
pub fn decode(text: &[u8], out: &mut Vec<u8>) -> bool {
    let unpadded = match text {
        [rest @ .., b'=', b'='] | [rest @ .., b'='] if text.len().is_multiple_of(4) => rest,
        _ => text,
    };
    for quad in unpadded.chunks(4) {
        let mut bits = 0_u32;
        for &character in quad {
            let Some(value) = sextet(character) else { return false };
            bits = bits << 6 | u32::from(value);
        }
        let missing = 4 - quad.len();
        bits <<= 6 * missing;
        // One character alone holds no byte, and bits that no byte takes must be 0.
        if missing == 3 || bits & ((1 << (8 * missing)) - 1) != 0 {
            return false;
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - missing]);
    }
    true
}

/// Appends the text of `bytes`, padded.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for triple in bytes.chunks(3) {
        let mut bits = 0_u32;
        for position in 0..3 {
            bits = bits << 8 | u32::from(triple.get(position).copied().unwrap_or(0));
        }
        for position in 0..4 {
            let is_padding = position > triple.len();
            let value = (bits >> (18 - 6 * position)) & 63;
            out.push(if is_padding { b'=' } else { ALPHABET[value as usize] });
        }
    }
}

fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_survive_their_text(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let (mut text, mut back) = (Vec::new(), Vec::new());
            encode(&bytes, &mut text);
            prop_assert!(text.len() % 4 == 0);
            prop_assert!(decode(&text, &mut back));
            prop_assert_eq!(back, bytes);
        }
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            let mut encoded = Vec::new();
            encode(bytes.as_bytes(), &mut encoded);
            assert_eq!(encoded, text.as_bytes());
        }
        for bad in ["Z", "Zg=", "Z===", "Zh==", "Zm9v!A==", "Zg==Zg=="] {
            assert!(!decode(bad.as_bytes(), &mut Vec::new()), "{bad}");
        }
        let mut unpadded = Vec::new();
        assert!(decode(b"Zm8", &mut unpadded));
        assert_eq!(unpadded, b"fo");
    }
}
