//! What is known about time and completeness: frontiers, the carry from block to block, how far blocks may run ahead, barriers.

pub mod barrier;
pub mod carry;
pub mod frontier;
pub mod window;
