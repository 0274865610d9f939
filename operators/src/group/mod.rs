//! GROUP BY in two steps: each worker folds its rows into private tables ([`LocalFold`]), and groups ([`Partials`]) travel
//! to the worker that owns their key, which merges them ([`Shard`]) and emits each window once, when it is over.

mod local;
mod partials;
mod shard;
mod store;

pub use local::{Flush, FoldCounts, LocalFold};
pub use partials::Partials;
pub use shard::{CloseMode, EmptyInput, Shard, output_schema};
