//! What must be known of a structure in Thrift's compact protocol before the decoder may see it: that it ends where it
//! says, nests no deeper than is safe, and declares no sizes that are not there.
//!
//! The decoder allocates what a header declares, and recurses as deep as a schema does. Both ends of that cannot be caught
//! once they happen: no memory and no stack end the process.

/// Levels of structures and lists within each other. Parquet's own need 8.
const DEPTH_MAX: usize = 32;

/// Levels of groups in a schema.
const SCHEMA_DEPTH_MAX: usize = 64;

/// Columns of a schema with all their groups.
const SCHEMA_ELEMENTS_MAX: usize = 1 << 20;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They end within the structure: with more of them it may be in order.
    Short,
    /// They are no such structure.
    Wrong(&'static str),
}

type Result<T> = std::result::Result<T, Malformed>;

/// What a page says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageHeader {
    /// 0: data, 1: index, 2: dictionary, 3: data of version 2.
    pub kind: i64,
    /// Bytes of the page once decompressed.
    pub uncompressed: i64,
    /// Bytes of the page in the file.
    pub compressed: i64,
    /// Values in it, NULL among them.
    pub values: i64,
    /// The number of their encoding.
    pub encoding: i64,
    /// Version 1: the number of the encoding of the levels that say which are NULL.
    pub level_encoding: i64,
    /// Version 2: bytes of the levels of definition and of repetition at its start, which are not compressed.
    pub level_bytes: [i64; 2],
    /// Version 2: what is behind the levels is not compressed either.
    pub is_plain: bool,
    /// Bytes of the header itself.
    pub length: usize,
}

/// Reads the header at the start of `bytes`.
///
/// # Errors
/// If there is none, or it goes on beyond `bytes`.
pub fn page_header(bytes: &[u8]) -> Result<PageHeader> {
    let mut cursor = Cursor { bytes, at: 0 };
    let mut header = PageHeader { kind: -1, values: -1, encoding: -1, level_encoding: -1, ..PageHeader::default() };
    cursor.fields(0, &mut |cursor, id, kind| {
        match (id, kind) {
            (1, kind) if is_integer(kind) => header.kind = cursor.zigzag()?,
            (2, kind) if is_integer(kind) => header.uncompressed = cursor.zigzag()?,
            (3, kind) if is_integer(kind) => header.compressed = cursor.zigzag()?,
            (page @ (5 | 7 | 8), STRUCT) => cursor.fields(1, &mut |cursor, id, kind| {
                let number = match (page, id) {
                    _ if !is_integer(kind) => None,
                    // They all begin with the number of values.
                    (_, 1) => Some(&mut header.values),
                    (5 | 7, 2) | (8, 4) => Some(&mut header.encoding),
                    (5, 3) => Some(&mut header.level_encoding),
                    (8, 5) => Some(&mut header.level_bytes[0]),
                    (8, 6) => Some(&mut header.level_bytes[1]),
                    _ => None,
                };
                match number {
                    Some(number) => *number = cursor.zigzag()?,
                    None => cursor.skip(kind, 2)?,
                }
                header.is_plain |= (page, id, kind) == (8, 7, FALSE);
                Ok(())
            })?,
            (_, kind) => cursor.skip(kind, 1)?,
        }
        Ok(())
    })?;
    header.length = cursor.at;
    Ok(header)
}

/// Checks the metadata of a file, which must fill `bytes`.
///
/// # Errors
/// If it does not, or its schema is deeper or wider than is safe.
pub fn check_footer(bytes: &[u8]) -> Result<()> {
    let mut cursor = Cursor { bytes, at: 0 };
    cursor.fields(0, &mut |cursor, id, kind| match (id, kind) {
        (2, LIST) => cursor.schema(),
        (_, kind) => cursor.skip(kind, 1),
    })
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// Bytes, 16, 32 and 64 bits: all but the first are written alike.
fn is_integer(kind: u8) -> bool {
    matches!(kind, 4..=6)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or(Malformed::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip_bytes(&mut self, count: u64) -> Result<()> {
        if count > (self.bytes.len() - self.at) as u64 {
            return Err(Malformed::Short);
        }
        self.at += count as usize;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Wrong("a number is longer than 64 bits"))
    }

    fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Calls `read` for each field of a structure, with its number and kind; it must take the field's value.
    fn fields(&mut self, depth: usize, read: &mut dyn FnMut(&mut Self, i64, u8) -> Result<()>) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(Malformed::Wrong("its parts are nested too deep"));
        }
        let mut id = 0_i64;
        loop {
            let head = self.byte()?;
            let kind = head & 0x0f;
            if kind == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => self.zigzag()?,
                delta => id.saturating_add(i64::from(delta)),
            };
            read(self, id, kind)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Result<()> {
        match kind {
            TRUE | FALSE => Ok(()),
            3 => self.skip_bytes(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip_bytes(8),
            8 => {
                let length = self.varint()?;
                self.skip_bytes(length)
            }
            LIST | 10 => {
                let (count, element) = self.list_head()?;
                for _ in 0..count {
                    self.skip_element(element, depth + 1)?;
                }
                Ok(())
            }
            11 => {
                let count = self.varint()?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                for _ in 0..count {
                    self.skip_element(kinds >> 4, depth + 1)?;
                    self.skip_element(kinds & 0x0f, depth + 1)?;
                }
                Ok(())
            }
            STRUCT => self.fields(depth + 1, &mut |cursor, _, kind| cursor.skip(kind, depth + 1)),
            _ => Err(Malformed::Wrong("a field is of no known kind")),
        }
    }

    /// An element of a list: there, unlike in a field, a boolean takes a byte. So every element takes one at least, and
    /// walking a list takes no longer than its bytes.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(Malformed::Wrong("its parts are nested too deep"));
        }
        match kind {
            TRUE | FALSE => self.skip_bytes(1),
            kind => self.skip(kind, depth),
        }
    }

    fn list_head(&mut self) -> Result<(u64, u8)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        if count > (self.bytes.len() - self.at) as u64 {
            return Err(Malformed::Short);
        }
        Ok((count, head & 0x0f))
    }

    /// The elements of a schema, depth first: each group says how many of those that follow are its own.
    fn schema(&mut self) -> Result<()> {
        let (count, kind) = self.list_head()?;
        if kind != STRUCT || count as usize > SCHEMA_ELEMENTS_MAX {
            return Err(Malformed::Wrong("its schema is no list of columns"));
        }
        // Columns that are still to come, by level.
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..count {
            let mut children = 0;
            self.fields(1, &mut |cursor, id, kind| {
                if id == 5 && is_integer(kind) {
                    children = cursor.zigzag()?;
                    return Ok(());
                }
                cursor.skip(kind, 2)
            })?;
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
            }
            if open.len() > SCHEMA_DEPTH_MAX {
                return Err(Malformed::Wrong("its columns are nested too deep"));
            }
            while open.last().is_some_and(|left| *left <= 0) {
                open.pop();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_header_is_read_or_refused_at_every_length() {
        // type 0, uncompressed 10, compressed 8, data page header { values 5, encoding 0, levels 3, 3 }
        let bytes = [0x15, 0, 0x15, 20, 0x15, 16, 0x2c, 0x15, 10, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0, 0xff];
        let header = page_header(&bytes).unwrap();
        let sizes = PageHeader { kind: 0, uncompressed: 10, compressed: 8, values: 5, ..PageHeader::default() };
        assert_eq!(header, PageHeader { encoding: 0, level_encoding: 3, length: 17, ..sizes });
        for length in 0..17 {
            assert_eq!(page_header(&bytes[..length]), Err(Malformed::Short), "{length}");
        }
        // Of version 2: { values 5, NULL 1, rows 5, encoding 8, levels of 2 and 0 bytes, is not compressed }
        let bytes =
            [0x15, 6, 0x15, 20, 0x15, 16, 0x5c, 0x15, 10, 0x15, 2, 0x15, 10, 0x15, 16, 0x15, 4, 0x15, 0, 0x12, 0, 0];
        let version_2 = PageHeader { encoding: 8, level_encoding: -1, level_bytes: [2, 0], length: 22, ..sizes };
        let header = page_header(&bytes).unwrap();
        assert_eq!(header, PageHeader { kind: 3, is_plain: true, ..version_2 });
    }

    #[test]
    fn lists_and_depth_are_bounded() {
        // A list of 2^34 structures, none of which is there.
        assert_eq!(check_footer(&[0x19, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x40, 0]), Err(Malformed::Short));
        // A structure within a structure, for ever.
        assert!(matches!(check_footer(&[0x1c; 1000]), Err(Malformed::Wrong(_))));
        // A schema of groups with one child each: 100 levels. Each is { 5: 1 }.
        let mut schema = vec![0x29, 0xfc, 100];
        schema.extend([0x55, 2, 0].repeat(100));
        schema.push(0);
        assert_eq!(check_footer(&schema), Err(Malformed::Wrong("its columns are nested too deep")));
        let mut schema = vec![0x29, 0xfc, 60];
        schema.extend([0x55, 2, 0].repeat(60));
        schema.push(0);
        assert_eq!(check_footer(&schema), Ok(()));
    }
}
