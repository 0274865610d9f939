//! What the benchmarks share: generated trades with exact answers, and the conditions that a figure travels with.

pub mod conditions;
pub mod kernels;
pub mod trades;
