//! What is computed: batches of columns in, batches out. No threads, no I/O, no clock.
//!
//! Time reaches an operator only as an argument: the stamps of a [`batch::Batch`], the frontier of a close.
//! Not here: SQL and expressions' meaning (`bin` compiles them to [`expr::Scalar`]), who computes what (`thalweg-runtime`).

pub mod aggregate;
pub mod batch;
pub mod changelog;
pub mod expr;
pub mod extent;
pub mod group;
pub mod kernels;
pub mod key;
pub mod own;
pub mod rank;
pub mod route;
pub mod running;
pub mod session;
pub mod sort;
pub mod spec;
pub mod table;
pub mod unnest;
pub mod window;
