//! Whether rows are folded before they travel, by what folding has lately come to.
//!
//! ```text
//!               of 8 rows, 5 or more stayed groups of their own
//!   ┌─────────┐ ───────────────────────────────────────────────► ┌──────┐
//!   │ folding │                                                  │ rows │
//!   └─────────┘ ◄─────────────────────────────────────────────── └──────┘
//!               after 64 batches, then 128, … 1,024: a trial
//! ```
//!
//! A private table is for rows that meet their group there. Where few do, it costs a search and an entry for each row, and
//! saves hardly a message. That shows only while folding, so it is tried again and again, and each trial that finds the
//! same as before puts the next one off. What is decided changes the cost of a batch, never what comes of it.

/// Groups in private tables from which on it counts whether they are worth having: tables that fit a core's own cache.
const WORTH_GROUPS_MIN: usize = 1 << 12;

/// Where at least this share of a batch's rows, in eighths, are groups of their own, hardly any will meet. Measured at
/// 1,000,000 keys: 18 M rows/s without this rule, 29 M with it.
const BATCH_EIGHTHS_MIN: u64 = 7;

/// The same over all rows since the last groups left: what was folded before counts too.
const PERIOD_EIGHTHS_MIN: u64 = 5;

/// Batches with fewer rows are not worth a message for each owner.
const BATCH_ROWS_MIN: u64 = 512;

/// Batches from one trial to the next: at first, and at most.
const TRIAL_BATCHES: [u32; 2] = [64, 1024];

/// The choice of one producer.
#[derive(Debug)]
pub(super) struct Folding {
    /// Batches to be sent as rows before folding is tried again; 0 while folding.
    left: u32,
    /// As many the next time.
    next: u32,
    /// Rows folded since groups were last released, and how many of them made a group.
    rows: u64,
    groups: u64,
}

impl Folding {
    pub(super) fn new() -> Self {
        Self { left: 0, next: TRIAL_BATCHES[0], rows: 0, groups: 0 }
    }

    /// Is a batch of so many rows to be folded before it travels? Asked once for each.
    pub(super) fn folds(&mut self, rows: u64) -> bool {
        if self.left == 0 || rows < BATCH_ROWS_MIN {
            return true;
        }
        self.left -= 1;
        false
    }

    /// A batch was folded, and made `made` of the `held` groups that are held now. Returns whether it is better to let go
    /// of them.
    pub(super) fn folded(&mut self, rows: u64, made: usize, held: usize) -> bool {
        self.rows += rows;
        self.groups += made as u64;
        let is_vain = held >= WORTH_GROUPS_MIN && made as u64 * 8 >= rows * BATCH_EIGHTHS_MIN;
        if is_vain {
            self.send_rows();
        }
        is_vain
    }

    /// Groups were released.
    pub(super) fn released(&mut self) {
        // Few rows say nothing about those to come.
        if self.rows >= WORTH_GROUPS_MIN as u64 {
            if self.groups * 8 >= self.rows * PERIOD_EIGHTHS_MIN {
                self.send_rows();
            } else {
                self.next = TRIAL_BATCHES[0];
            }
            (self.rows, self.groups) = (0, 0);
        }
    }

    fn send_rows(&mut self) {
        self.left = self.next;
        self.next = (self.next * 2).min(TRIAL_BATCHES[1]);
        (self.rows, self.groups) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `batches` batches of 1,024 rows are folded, where each makes `made` groups and groups leave at 16,384.
    fn folds(folding: &mut Folding, batches: usize, made: usize) -> usize {
        let (mut folds, mut held) = (0, 0);
        for _ in 0..batches {
            if folding.folds(1024) {
                folds += 1;
                held += made;
                if folding.folded(1024, made, held) || held >= 1 << 14 {
                    folding.released();
                    held = 0;
                }
            }
        }
        folds
    }

    #[test]
    fn rows_that_meet_their_groups_are_folded() {
        assert_eq!(folds(&mut Folding::new(), 10_000, 600), 10_000);
    }

    #[test]
    fn nearly_unique_rows_are_folded_on_trial_only() {
        // Each trial ends at 4,096 groups; batches between trials: 64, 128, …, 1,024.
        assert_eq!(folds(&mut Folding::new(), 4 + 64 + 4 + 128 + 4, 1024), 12);
        assert!(folds(&mut Folding::new(), 100_000, 1000) < 600);
    }

    #[test]
    fn rows_of_which_most_make_a_group_are_sent_after_a_whole_table() {
        let mut folding = Folding::new();
        assert_eq!(folds(&mut folding, 24 + 64, 700), 24);
        // What has become worth folding is folded from the next trial on.
        assert_eq!(folds(&mut folding, 1000, 100), 1000);
    }

    #[test]
    fn small_batches_are_folded() {
        let mut folding = Folding::new();
        folds(&mut folding, 4, 1024);
        assert!(folding.folds(100) && !folding.folds(1024));
    }
}
