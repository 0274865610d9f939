//! What is known about time and completeness: frontiers, the carry from block to block, barriers.

pub mod barrier;
pub mod carry;
pub mod frontier;
