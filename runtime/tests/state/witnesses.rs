//! Each strategy is what its name says: what it counts, what it measures, and what it answers for.

use crate::by_hand::ByHand;
use thalweg_runtime::state::{Meter, Processed, StrategyName, WitnessCounts};

/// Key and count of all groups that a reader sees.
fn counts_of(hands: &ByHand) -> Vec<(u64, u64)> {
    hands.scan().iter().map(|output| (output.key, output.group.count)).collect()
}

#[test]
fn hold_lock_takes_one_lock_for_a_batch_and_copies_nothing() {
    let mut hands = ByHand::new(StrategyName::HoldLock, 2, Meter::on());
    let mut held = 0;
    for batch in 0..4 {
        let Processed { folded, cost, .. } = hands.process(batch % 2, &[(1, 1), (2, 2), (1, 3)]);
        assert_eq!(folded.folded, 3);
        assert!(cost.held >= cost.fold && cost.fold.0 > 0, "{cost:?}");
        assert_eq!((cost.clone.0, cost.merge.0, cost.channel.0), (0, 0, 0), "{cost:?}");
        held += cost.held.0;
    }
    assert!(held > 0);
    assert_eq!(counts_of(&hands), [(1, 8), (2, 4)]);
    hands.close(9);
    let counts = WitnessCounts { batches: 4, locks: 4, elections: 1, ..WitnessCounts::default() };
    assert_eq!(hands.strategy.witness(), counts);
}
