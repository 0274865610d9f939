//! Thalweg: streaming SQL in Apache Flink's dialect, in one binary for one machine.

pub mod connect;
pub mod error;
pub mod plan;
pub mod sql;
