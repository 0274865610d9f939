//! Which windows hold a row, which rows can be gathered together, and when a window is over.

mod late;
mod panes;
mod time_window;

pub use late::late_rows;
pub use panes::{
    OutOfRange, PaneCursor, first_window, next_close_after, next_pane, nth_window, pane_after, window_ending,
    windows_of,
};
pub use time_window::TimeWindow;
