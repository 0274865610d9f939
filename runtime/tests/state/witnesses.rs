//! Each strategy is what its name says: what it counts, what it measures, and what it answers for.

use crate::aggregation::{GROUP_BYTES, SHARD_BYTES};
use crate::by_hand::ByHand;
use thalweg_runtime::state::{Meter, Processed, StrategyName, WitnessCounts};

/// Key and count of all groups that a reader sees.
fn counts_of(hands: &ByHand) -> Vec<(u64, u64)> {
    hands.scan().iter().map(|output| (output.key, output.group.count)).collect()
}

/// Bytes of a shard with so many groups.
fn bytes_of(groups: usize) -> u64 {
    (SHARD_BYTES + groups * GROUP_BYTES) as u64
}

#[test]
fn clone_swap_clones_all_state_twice_for_a_batch() {
    let mut hands = ByHand::new(StrategyName::CloneSwap, 2, Meter::on());
    // Groups before and after each batch.
    let mut bytes_cloned = 0;
    for (batch, (rows, before, after)) in
        [(vec![(1, 1), (2, 2)], 0, 2), (vec![(2, 1), (3, 2), (2, 3)], 2, 3), (vec![(1, 11)], 3, 4)]
            .into_iter()
            .enumerate()
    {
        let Processed { cost, .. } = hands.process(batch % 2, &rows);
        bytes_cloned += bytes_of(before) + bytes_of(after);
        let clones = 2 * (batch as u64 + 1);
        let counts = WitnessCounts {
            batches: clones / 2,
            clones,
            bytes_cloned,
            locks: 3 * clones / 2,
            ..hands.strategy.witness()
        };
        assert_eq!(hands.strategy.witness(), counts);
        assert!(cost.clone.0 > 0 && cost.fold.0 > 0 && cost.held.0 >= cost.clone.0 + cost.fold.0, "{cost:?}");
        assert_eq!((cost.merge.0, cost.channel.0), (0, 0), "{cost:?}");
    }
    assert_eq!(counts_of(&hands), [(1, 1), (2, 3), (3, 1), (1, 1)]);
    assert_eq!(hands.bytes() as u64, bytes_of(4), "no clone is left");
    hands.close(9);
    assert_eq!(counts_of(&hands), [(1, 1)]);
    assert_eq!((hands.strategy.witness().bytes_cloned, hands.strategy.witness().elections), (bytes_cloned, 1));
}

#[test]
fn read_write_lock_clones_one_snapshot_for_a_batch_and_merges_what_the_batch_alone_came_to() {
    let mut hands = ByHand::new(StrategyName::ReadWriteLock, 2, Meter::on());
    let mut bytes_cloned = 0;
    for (batch, (rows, before)) in [(vec![(1, 1), (2, 2)], 0), (vec![(2, 1), (3, 12)], 2)].into_iter().enumerate() {
        let Processed { cost, .. } = hands.process(batch % 2, &rows);
        bytes_cloned += bytes_of(before);
        assert!(cost.clone.0 > 0 && cost.fold.0 > 0 && cost.merge.0 > 0, "{cost:?}");
        assert!(cost.held.0 >= cost.clone.0 && cost.channel.0 == 0, "{cost:?}");
    }
    // The second batch touched two windows: two partials.
    let counts = WitnessCounts {
        batches: 2,
        clones: 2,
        bytes_cloned,
        locks: 4,
        merges_locked: 3,
        versions: 2,
        ..WitnessCounts::default()
    };
    assert_eq!(hands.strategy.witness(), counts);
    // A reader sees what was there before the last batch, and asks for more; once.
    assert_eq!(counts_of(&hands), [(1, 1), (2, 1)]);
    hands.owners[0].publish();
    hands.owners[1].publish();
    assert_eq!(counts_of(&hands), [(1, 1), (2, 2), (3, 1)]);
    hands.owners[1].publish();
    assert_eq!(hands.strategy.witness(), WitnessCounts { versions: 3, ..counts }, "nothing has changed since");
    hands.close(9);
    assert_eq!(counts_of(&hands), [(3, 1)], "what is closed is gone at once");
    assert_eq!(hands.strategy.witness().elections, 1);
}

#[test]
fn partition_lock_takes_one_lock_for_each_key_of_a_batch() {
    let mut hands = ByHand::new(StrategyName::PartitionLock, 2, Meter::on());
    let Processed { cost, .. } = hands.process(0, &[(1, 1), (2, 2), (1, 3), (1, 11), (2, 4)]);
    assert!(cost.fold.0 > 0 && cost.merge.0 >= cost.held.0 && cost.held.0 > 0, "{cost:?}");
    assert_eq!((cost.clone.0, cost.channel.0), (0, 0), "{cost:?}");
    let counts = WitnessCounts { batches: 1, locks: 2, key_locks: 2, merges_locked: 3, ..WitnessCounts::default() };
    assert_eq!(hands.strategy.witness(), counts);
    hands.process(1, &[(3, 1), (1, 2), (4, 3)]);
    let counts = WitnessCounts { batches: 2, locks: 5, key_locks: 5, merges_locked: 6, ..counts };
    assert_eq!(hands.strategy.witness(), counts);
    assert_eq!(counts_of(&hands), [(1, 3), (2, 2), (3, 1), (4, 1), (1, 1)]);
    let full = hands.bytes() as u64;
    let closed = hands.close(9);
    assert_eq!(closed.iter().map(|(groups, _)| groups.len()).collect::<Vec<_>>(), [4, 0]);
    // The cells of keys 2, 3 and 4 are gone, each with its shard and its group.
    assert!(hands.bytes() as u64 <= full - 3 * bytes_of(1), "{} of {full}", hands.bytes());
    assert_eq!((counts_of(&hands), hands.strategy.witness().elections), (vec![(1, 1)], 1));
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
