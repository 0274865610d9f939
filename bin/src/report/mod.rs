//! What a person reads beside the results: errors in the SQL, the progress line, and numbers as people write them.

pub mod diagnostic;
pub mod json;
pub mod latency;
pub mod number;
mod place;
pub mod progress;
pub mod stderr;
