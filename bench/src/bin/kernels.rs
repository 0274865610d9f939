//! `cargo run --release -p thalweg-bench --bin kernels -- [--rounds N] [--small]`

fn main() -> Result<(), Box<dyn std::error::Error>> {
    thalweg_bench::kernels::run(std::env::args().skip(1))
}
