//! Formats: how rows are written as bytes.

pub mod csv;
