//! Accumulators: what a group remembers of its rows, and what comes of it.
//!
//! An aggregate call is made of *parts*: a few words in the group's row that one plain kernel updates for a whole batch.
//! Calls over the same argument and filter share their parts, so `COUNT(x), SUM(x), AVG(x)` sum once. What does not fit
//! words (strings, sets) is a *side*: a vector with one entry per group.
//!
//! `update` takes rows in, `merge` takes in another table's groups, `evaluate` makes columns. How rows are divided among
//! tables does not change what comes out; sums and moments of floating-point numbers differ in the last bits only.

mod bag;
mod cold;
mod decimal;
mod error;
mod evaluate;
mod history;
mod input;
mod layout;
mod merge;
mod moments;
mod net;
mod pass;
mod side;
#[cfg(test)]
mod tests;
mod update;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use cold::ColdWords;
pub use error::AggregateError;
pub(crate) use evaluate::{Groups, Numbers, evaluate};
pub(crate) use history::{Changes, GONE, History, Places};
pub use layout::Layout;
pub use merge::{GroupWords, merge};
pub use side::Side;
pub use update::{Rows, UpdateScratch, update};
