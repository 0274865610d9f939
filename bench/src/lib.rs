//! What the benchmarks are made of: generated rows with exact answers, the rig that runs strategies, what is reported of
//! them, and the conditions that a figure travels with.

pub mod answer;
pub mod breakdown;
pub mod cell;
pub mod column_sums;
pub mod columns;
pub mod conditions;
pub mod contender;
pub mod job;
pub mod kernels;
pub mod model;
pub mod predicted;
pub mod report;
pub mod rig;
pub mod row_at_a_time;
pub mod seed;
pub mod stages;
pub mod statistics;
pub mod strategies;
pub mod trades;
pub mod workload;
