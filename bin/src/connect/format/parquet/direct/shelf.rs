//! Buffers for decompressed pages, which are used again: memory that is new costs as much as what is written into it, since
//! the kernel clears it first.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Bytes that lie idle at most, over all buffers.
const IDLE_BYTES_MAX: usize = 32 << 20;

/// Buffers that lie idle at most.
const IDLE_BUFFERS_MAX: usize = 64;

/// A buffer is given out for less than this part of it only if nothing smaller is there and it is itself small.
const WASTE: usize = 8;
const SMALL_BYTES: usize = 1 << 16;

/// Buffers without a use, shared by the workers.
#[derive(Debug, Default)]
pub struct Shelf {
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// Each as long as it has room.
    buffers: Vec<Box<[u8]>>,
    bytes: usize,
}

/// The first bytes of a buffer, which goes back to its shelf in the end.
#[derive(Debug)]
struct Lent {
    buffer: Box<[u8]>,
    length: usize,
    shelf: Arc<Shelf>,
}

impl Shelf {
    /// A buffer of `length` bytes or more, with anything in it.
    #[must_use]
    pub fn take(&self, length: usize) -> Box<[u8]> {
        let most = length.saturating_mul(WASTE).max(SMALL_BYTES);
        {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let lengths = idle.buffers.iter().map(|buffer| buffer.len()).enumerate();
            let fitting = lengths.filter(|(_, available)| (length..=most).contains(available));
            if let Some((place, _)) = fitting.min_by_key(|(_, available)| *available) {
                let buffer = idle.buffers.swap_remove(place);
                idle.bytes -= buffer.len();
                return buffer;
            }
        }
        // Pages of a column are not all of one size: a little more makes a buffer fit for most of them.
        let step = (length.next_power_of_two() / 8).max(64);
        vec![0; length.next_multiple_of(step)].into_boxed_slice()
    }

    /// The first `length` bytes of `buffer`, to be shared; the last who has them puts it back.
    #[must_use]
    pub fn share(self: &Arc<Self>, buffer: Box<[u8]>, length: usize) -> Bytes {
        Bytes::from_owner(Lent { length: length.min(buffer.len()), buffer, shelf: Arc::clone(self) })
    }

    /// Puts a buffer back.
    pub fn put(&self, buffer: Box<[u8]>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.buffers.len() < IDLE_BUFFERS_MAX && idle.bytes + buffer.len() <= IDLE_BYTES_MAX {
            idle.bytes += buffer.len();
            idle.buffers.push(buffer);
        }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.shelf.put(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_nobody_has_its_bytes() {
        let shelf = Arc::new(Shelf::default());
        let mut buffer = shelf.take(1000);
        buffer[..3].copy_from_slice(b"abc");
        let bytes = shelf.share(buffer, 3);
        let part = bytes.slice(1..);
        drop(bytes);
        // Another one, as good as new.
        assert_eq!(shelf.take(1000)[..3], [0; 3]);
        assert_eq!(&part[..], b"bc");
        drop(part);
        assert_eq!(&shelf.take(900)[..3], b"abc");
    }

    #[test]
    fn a_large_buffer_is_kept_for_large_pages_and_little_lies_idle() {
        let shelf = Arc::new(Shelf::default());
        shelf.put(vec![0; 1 << 24].into());
        assert!(shelf.take(100).len() < 1000);
        assert_eq!(shelf.take(1 << 22).len(), 1 << 24);
        (0..100).for_each(|_| shelf.put(vec![0; 1 << 20].into()));
        let idle = shelf.idle.lock().unwrap();
        assert_eq!((idle.buffers.len(), idle.bytes), (32, IDLE_BYTES_MAX));
    }
}
