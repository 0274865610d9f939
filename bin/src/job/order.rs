//! What comes block by block, in the order of the blocks.

use std::collections::BTreeMap;

/// Restores the order of blocks that come in any, each once. Those that came too early wait here: as few as their producers
/// are apart.
pub(super) struct Order<T> {
    next: u64,
    waiting: BTreeMap<u64, T>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self { next: 0, waiting: BTreeMap::new() }
    }
}

impl<T> Order<T> {
    /// Takes in what came of block `block`.
    pub(super) fn take_in(&mut self, block: u64, item: T) {
        self.waiting.insert(block, item);
    }

    /// What is due, if it is there: that of the block behind the last one that was given out.
    pub(super) fn next(&mut self) -> Option<T> {
        let item = self.waiting.remove(&self.next)?;
        self.next += 1;
        Some(item)
    }

    /// The number of the block that is due next.
    pub(super) fn next_block(&self) -> u64 {
        self.next
    }

    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_leave_in_their_order() {
        let mut order = Order::default();
        let mut left = Vec::new();
        for block in [2, 0, 3, 1, 4] {
            order.take_in(block, block);
            left.push(std::iter::from_fn(|| order.next()).collect::<Vec<_>>());
        }
        assert_eq!(left, [vec![], vec![0], vec![], vec![1, 2, 3], vec![4]]);
        assert!(order.is_empty() && order.next_block() == 5);
    }
}
