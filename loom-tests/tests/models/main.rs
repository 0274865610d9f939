//! The models, and the mutants that they have to find.

#![cfg(all(thalweg_loom, feature = "model"))]

mod carry;
mod doorbell;
mod jobs;
mod lane;
mod locks;
mod mutants;
mod state;
mod window;
mod workers;
