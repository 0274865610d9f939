//! Which key of an object is which field.
//!
//! Records of one file name their fields in one order, as a rule. So the keys of the object before are kept in their order,
//! with what they were; a key that is the same text at the same place needs no looking up.

use std::collections::HashMap;

use super::scan::{Quoted, unescape};

/// Keys of the object before that are kept.
const RECENT_MAX: usize = 256;

/// Bytes of a key that is kept.
const RECENT_KEY_BYTES_MAX: usize = 64;

/// The names of a ROW's fields.
#[derive(Debug)]
pub struct Names {
    fields: HashMap<Box<[u8]>, usize>,
    /// By place in the object.
    recent: Vec<Recent>,
    unescaped: Vec<u8>,
}

/// A key as it was written, and the field that it names.
#[derive(Debug)]
struct Recent {
    key: Vec<u8>,
    field: Option<usize>,
}

impl Names {
    /// These names, in the order of the fields.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let fields = names.enumerate().map(|(field, name)| (name.as_bytes().into(), field)).collect();
        Self { fields, recent: Vec::new(), unescaped: Vec::new() }
    }

    /// The field that the key names, which is the object's key number `place`; none if no field has the name.
    #[inline]
    pub fn field(&mut self, place: usize, text: &[u8], key: Quoted) -> Option<usize> {
        let written = &text[key.start..key.end];
        match self.recent.get(place) {
            Some(recent) if recent.key == written => recent.field,
            _ => self.look_up(place, text, key),
        }
    }

    fn look_up(&mut self, place: usize, text: &[u8], key: Quoted) -> Option<usize> {
        let written = &text[key.start..key.end];
        let field = if key.has_escapes {
            self.unescaped.clear();
            unescape(text, key, &mut self.unescaped);
            self.fields.get(self.unescaped.as_slice())
        } else {
            self.fields.get(written)
        };
        let field = field.copied();
        if written.len() <= RECENT_KEY_BYTES_MAX {
            if let Some(recent) = self.recent.get_mut(place) {
                recent.key.clear();
                recent.key.extend_from_slice(written);
                recent.field = field;
            } else if place == self.recent.len() && place < RECENT_MAX {
                self.recent.push(Recent { key: written.to_vec(), field });
            }
        }
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::format::json::scan::Scanner;

    #[test]
    fn names_are_found_in_any_order_and_as_escapes() {
        let mut names = Names::new(["a", "é", ""].into_iter());
        let mut field = |place: usize, key: &str| {
            let quoted = Scanner::new(key.as_bytes(), 0).string().unwrap();
            names.field(place, key.as_bytes(), quoted)
        };
        for _ in 0..3 {
            assert_eq!(field(0, "\"a\""), Some(0));
            assert_eq!(field(1, "\"\\u00e9\""), Some(1));
            assert_eq!(field(0, "\"é\""), Some(1));
            assert_eq!(field(2, "\"A\""), None);
            assert_eq!(field(7, "\"\""), Some(2));
            assert_eq!(field(500, "\"a\""), Some(0));
        }
    }
}
