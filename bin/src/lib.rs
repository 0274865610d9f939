//! Thalweg: streaming SQL in Apache Flink's dialect, in one binary for one machine.

pub mod cli;
pub mod connect;
pub mod error;
pub mod job;
pub mod plan;
pub mod random;
pub mod report;
pub mod sql;
