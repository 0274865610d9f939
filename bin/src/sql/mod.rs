//! SQL: from text to a plan of compiled expressions.

pub mod aggregates;
pub mod arithmetic;
pub mod cast;
pub mod compile;
pub mod functions;
pub mod syntax;
pub mod types;
pub mod typing;

#[cfg(test)]
mod expressions;
