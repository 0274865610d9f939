//! The ways in which a case is run. All must give the same rows.

use std::fmt;

use thalweg::plan::RuntimeMode;
use thalweg::plan::strategy::StrategyChoice;
use thalweg_operators::kernels::Kernels;

use crate::case::Case;

/// Numbers of workers: one, as many as the smallest machine has cores, more than that, and one that divides nothing.
const WORKERS: [usize; 4] = [1, 2, 4, 7];
/// Rows of a batch: one, a few, and the default.
const BATCH_ROWS: [usize; 3] = [1, 7, 4096];
/// Bytes of a block: the default, and so few that one file keeps every worker busy.
const BLOCK_BYTES: [usize; 2] = [128 * 1024, 1500];
/// Numbers of workers with every other strategy than the default.
const STRATEGY_WORKERS: [usize; 2] = [1, 3];
/// Inputs up to here are cut at every byte.
const CUT_EVERYWHERE_BYTES_MAX: usize = 1024;

/// One way to run a case.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// `execution.runtime-mode`.
    pub mode: RuntimeMode,
    /// Threads, each with its shard.
    pub workers: usize,
    /// Rows of a batch at most.
    pub batch_rows: usize,
    /// Bytes of a block of a file.
    pub block_bytes: usize,
    /// How the state of a GROUP BY is shared.
    pub strategy: StrategyChoice,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, workers, batch_rows, block_bytes, strategy } = self;
        write!(
            f,
            "{mode:?}, {workers} workers, batches of {batch_rows} rows, blocks of {block_bytes} bytes, {strategy}"
        )
    }
}

impl Way {
    /// Scalar ones in the ways of small batches with an odd number of workers, so in some of each case.
    pub fn kernels(&self) -> Kernels {
        if self.workers % 2 == 1 && self.batch_rows < 4096 { Kernels::Scalar } else { Kernels::Simd }
    }
}

/// All ways for `case`: every number of workers with every batch size, in each of its modes, and for small inputs of its own
/// every size of a block, which is to say a cut at every byte.
pub fn ways(case: &Case) -> Vec<Way> {
    let strategy = StrategyChoice::default();
    let mut ways = Vec::new();
    for &mode in &case.modes {
        for (w, &workers) in WORKERS.iter().enumerate() {
            for (b, &batch_rows) in BATCH_ROWS.iter().enumerate() {
                // Each pair of any two dimensions occurs; all three of them would double the time for little.
                let block_bytes = BLOCK_BYTES[(w + b) % BLOCK_BYTES.len()];
                ways.push(Way { mode, workers, batch_rows, block_bytes, strategy });
            }
        }
        if case.file_bytes_max() <= CUT_EVERYWHERE_BYTES_MAX {
            for block_bytes in 1..=case.file_bytes_max() {
                let workers = 1 + block_bytes % 2;
                let batch_rows = BATCH_ROWS[block_bytes % BATCH_ROWS.len()];
                ways.push(Way { mode, workers, batch_rows, block_bytes, strategy });
            }
        }
    }
    ways
}

/// What a case with a GROUP BY is run with on top: every strategy but the default, and `auto`, in each of its modes. Its own
/// number decides where batches and blocks are cut, so that over all cases every strategy meets every cut.
pub fn strategy_ways(case: &Case, number: usize) -> Vec<Way> {
    let mut ways = Vec::new();
    let strategies = StrategyChoice::NAMES.map(|name| name.parse().expect("the names are those of strategies"));
    let others = strategies.into_iter().filter(|strategy| *strategy != StrategyChoice::default());
    for (s, strategy) in others.enumerate() {
        for (w, &workers) in STRATEGY_WORKERS.iter().enumerate() {
            for &mode in &case.modes {
                let batch_rows = BATCH_ROWS[(number + s + w) % BATCH_ROWS.len()];
                let block_bytes = BLOCK_BYTES[(number / 3 + s + w) % BLOCK_BYTES.len()];
                ways.push(Way { mode, workers, batch_rows, block_bytes, strategy });
            }
        }
    }
    ways
}
