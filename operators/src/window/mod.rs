//! Which window holds a row, and when a window is over.

mod tumbling;

pub use tumbling::{TimeWindow, next_close_after};
