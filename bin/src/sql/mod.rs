//! SQL: from text to a plan of compiled expressions.

pub mod types;
