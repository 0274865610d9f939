//! Base64 (RFC 4648, section 4), the text of BYTES.

use arrow_cast::base64::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine as _};

/// Appends the bytes that `text` stands for; false if it is not base64. Padding may be left out, but not in part.
#[must_use]
pub fn decode(text: &[u8], out: &mut Vec<u8>) -> bool {
    let unpadded = match text {
        [rest @ .., b'=', b'='] | [rest @ .., b'='] if text.len().is_multiple_of(4) => rest,
        _ => text,
    };
    BASE64_STANDARD_NO_PAD.decode_vec(unpadded, out).is_ok()
}

/// Appends the text of `bytes`, padded.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    BASE64_STANDARD.encode_slice(bytes, &mut out[start..]).expect("four characters hold three bytes");
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
        for bad in [
            "Z", "Zg=", "Z===", "====", "=", "Zh==", "Zh", "Zm9v!A==", "Zg==Zg==", "Zm9 v", "Zm9v\r\n", "Zm9-", "Zm9v=",
        ] {
            assert!(!decode(bad.as_bytes(), &mut Vec::new()), "{bad}");
        }
        let mut unpadded = Vec::new();
        assert!(decode(b"Zm8", &mut unpadded));
        assert_eq!(unpadded, b"fo");
    }
}
