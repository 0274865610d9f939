//! thalweg binary
fn main() {}
