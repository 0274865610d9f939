//! Ranks drawn by Zipf's law.

use crate::random::Random;

/// Draws rank `k` (from 0) in proportion to 1 ÷ (k + 1)^exponent, in constant time.
///
/// Walker's alias method, built as by Vose (A Linear Algorithm For Generating Random Numbers With a Given Distribution,
/// 1991): each cell is split between its own rank and one other.
pub(super) struct Zipf {
    cells: Vec<Cell>,
}

#[derive(Clone, Copy)]
struct Cell {
    /// Share of the cell, of 2⁶⁴, that is its own rank's.
    own: u64,
    /// Whose the rest is.
    other: u32,
}

impl Zipf {
    /// Ranks 0 to `ranks` − 1; at least one.
    pub(super) fn new(ranks: usize, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=ranks).map(|rank| (rank as f64).powf(-exponent)).collect();
        let scale = ranks as f64 / weights.iter().sum::<f64>();
        let mut shares: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
        let mut cells: Vec<Cell> = (0..ranks).map(|rank| Cell { own: u64::MAX, other: rank as u32 }).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..ranks).partition(|&rank| shares[rank] < 1.0);
        while let (Some(poor), Some(rich)) = (small.pop(), large.pop()) {
            cells[poor] = Cell { own: (shares[poor] * 2_f64.powi(64)) as u64, other: rich as u32 };
            shares[rich] -= 1.0 - shares[poor];
            if shares[rich] < 1.0 { small.push(rich) } else { large.push(rich) }
        }
        Self { cells }
    }

    /// One rank.
    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let rank = random.below(self.cells.len() as u64) as usize;
        let cell = self.cells[rank];
        if random.bits() <= cell.own { rank } else { cell.other as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_come_in_proportion() {
        let zipf = Zipf::new(1_000, 1.1);
        let mut random = Random::new(5, &[]);
        let mut counts = vec![0_u32; 1_000];
        for _ in 0..1_000_000 {
            counts[zipf.draw(&mut random)] += 1;
        }
        let sum: f64 = (1..=1_000).map(|rank| f64::from(rank).powf(-1.1)).sum();
        for rank in [1, 2, 10, 100] {
            let expected = 1e6 * f64::from(rank).powf(-1.1) / sum;
            let found = f64::from(counts[rank as usize - 1]);
            assert!((found - expected).abs() < 5.0 * expected.sqrt(), "rank {rank}: {found} against {expected}");
        }
    }

    #[test]
    fn single_rank_is_always_drawn() {
        assert_eq!(Zipf::new(1, 1.1).draw(&mut Random::new(1, &[])), 0);
    }
}
