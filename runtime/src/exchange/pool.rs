//! A pool of buffers that are used again instead of allocated anew.
//!
//! The pool is never waited for: when it is empty a new buffer is made, when it is full a returned one is freed. So no
//! number of buffers in flight can stop a worker that holds work, and the capacity bounds only what is kept in reserve.

use crate::sync::{Receiver, Sender, bounded};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// What a pool can take back: emptied, but with its memory.
pub trait Recycle: Default + Send {
    /// Makes it as good as new, keeping the memory.
    fn recycle(&mut self);
    /// Bytes of memory that it keeps.
    fn reserved_bytes(&self) -> usize;
}

impl<T: Send> Recycle for Vec<T> {
    fn recycle(&mut self) {
        self.clear();
    }

    fn reserved_bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
}

/// A shared pool. Cloning it gives another handle on the same buffers.
pub struct Pool<B> {
    put: Sender<B>,
    get: Receiver<B>,
    buffer_bytes_max: usize,
}

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self { put: self.put.clone(), get: self.get.clone(), buffer_bytes_max: self.buffer_bytes_max }
    }
}

impl<B> fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("buffer_bytes_max", &self.buffer_bytes_max).finish_non_exhaustive()
    }
}

impl<B: Recycle> Pool<B> {
    /// A pool that keeps at most `buffers` buffers in reserve, none larger than `buffer_bytes_max`: one giant record must
    /// not cost its memory for ever.
    #[must_use]
    pub fn new(buffers: usize, buffer_bytes_max: usize) -> Self {
        let (put, get) = bounded(buffers);
        Self { put, get, buffer_bytes_max }
    }

    /// A buffer from the reserve, or a new one. It comes back when it is dropped, on whichever thread.
    #[must_use]
    pub fn take(&self) -> Pooled<B> {
        Pooled { buffer: self.get.try_recv().unwrap_or_default(), pool: self.clone() }
    }

    fn give_back(&self, mut buffer: B) {
        if !(1..=self.buffer_bytes_max).contains(&buffer.reserved_bytes()) {
            return;
        }
        buffer.recycle();
        // A full pool gives the buffer back to us, and it is freed.
        drop(self.put.try_send(buffer));
    }
}

/// A buffer on loan from a [`Pool`].
#[derive(Debug)]
pub struct Pooled<B: Recycle> {
    buffer: B,
    pool: Pool<B>,
}

impl<B: Recycle> Pooled<B> {
    /// Keeps the buffer for good; the pool makes another one when it needs to.
    #[must_use]
    pub fn detach(mut self) -> B {
        std::mem::take(&mut self.buffer)
    }
}

impl<B: Recycle> Deref for Pooled<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.buffer
    }
}

impl<B: Recycle> DerefMut for Pooled<B> {
    fn deref_mut(&mut self) -> &mut B {
        &mut self.buffer
    }
}

impl<B: Recycle + AsRef<[u8]>> AsRef<[u8]> for Pooled<B> {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref()
    }
}

impl<B: Recycle> Drop for Pooled<B> {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(all(test, not(thalweg_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_comes_again_empty_and_with_its_memory() {
        let pool: Pool<Vec<u8>> = Pool::new(1, 1 << 20);
        let mut buffer = pool.take();
        buffer.extend_from_slice(&[7; 1000]);
        let address = buffer.as_ptr();
        drop(buffer);
        let again = pool.take();
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), address);
    }

    #[test]
    fn an_empty_pool_makes_and_a_full_pool_frees() {
        let pool: Pool<Vec<u8>> = Pool::new(1, 1 << 20);
        let [mut a, mut b] = [pool.take(), pool.take()];
        a.push(1);
        b.push(2);
        drop((a, b));
        assert!(pool.take().capacity() > 0);
        let (_one, two) = (pool.take(), pool.take());
        assert_eq!(two.capacity(), 0, "only one was kept");
    }

    #[test]
    fn a_giant_is_not_kept_nor_a_detached_buffer() {
        let pool: Pool<Vec<u8>> = Pool::new(4, 100);
        pool.take().resize(101, 0);
        assert_eq!(pool.take().capacity(), 0);
        let mut kept = pool.take();
        kept.push(9);
        assert_eq!(kept.detach(), [9]);
        assert_eq!(pool.take().capacity(), 0);
    }
}
