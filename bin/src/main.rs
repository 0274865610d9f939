//! The `thalweg` command: everything is in the library, so that tests can reach it.

use std::process::ExitCode;

/// Rows pass through many short-lived buffers on several threads: the system's allocator is slower at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    thalweg::cli::main()
}
