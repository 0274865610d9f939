//! Lines on their way into a buffer: fields are copied with more bytes than they have, and the next one covers those.

/// Bytes of lines that are gathered, in the nearest cache.
const LINES_BYTES: usize = 8 * 1024;
/// Bytes that a field is copied with at most, and its end.
const FIELD_BYTES_MAX: usize = 33;

/// Gathers short fields.
pub struct Lines {
    bytes: Box<[u8; LINES_BYTES]>,
    used: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self { bytes: Box::new([0; LINES_BYTES]), used: 0 }
    }
}

impl Lines {
    /// Adds the first `length` of `padded`, and the byte that ends the field. `out` takes what there is no room for.
    #[inline]
    pub fn field<const N: usize>(&mut self, padded: &[u8; N], length: usize, end: u8, out: &mut Vec<u8>) {
        const { assert!(N < FIELD_BYTES_MAX) };
        if self.used > LINES_BYTES - FIELD_BYTES_MAX {
            self.flush(out);
        }
        self.bytes[self.used..self.used + N].copy_from_slice(padded);
        self.used += length.min(N);
        self.bytes[self.used] = end;
        self.used += 1;
    }

    /// Moves what was gathered to the end of `out`.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[..self.used]);
        self.used = 0;
    }
}
