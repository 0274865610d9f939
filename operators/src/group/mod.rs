//! GROUP BY as an [`Aggregation`](thalweg_runtime::state::Aggregation): rows are folded into the groups of a
//! [`GroupShard`], groups travel between shards as [`Partials`], and windows that are over leave as rows by an
//! [`Emission`], each once.
//!
//! Which shards there are, who may touch them and when groups travel is the strategy's business
//! (`thalweg_runtime::state`); whatever it does, the same rows come out.

mod aggregation;
mod division;
mod emission;
mod fold;
mod key;
mod mini_batch;
mod output;
mod partials;
mod shard;
mod slices;
mod spares;
mod store;

pub use aggregation::{CloseMode, GroupAggregation};
pub use emission::Emission;
pub use key::GroupKey;
pub use mini_batch::MiniBatchedGroups;
pub use output::output_schema;
pub use partials::Partials;
pub use shard::{ClosedWindow, GroupShard};
pub use store::FoldScratch;
