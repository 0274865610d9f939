//! The actor, owned shards and the local merges are what their names say: locks, merges and messages for each batch.

use crate::by_hand::ByHand;
use thalweg_runtime::Nanos;
use thalweg_runtime::state::{Folded, Meter, Processed, Release, StrategyName, WitnessCounts};

/// One row for each of so many keys, all at this time.
fn keys(count: u64, time: i64) -> Vec<(u64, i64)> {
    (0..count).map(|key| (key, time)).collect()
}

/// How many groups each owner takes out, and whether it was elected.
fn closed_groups(hands: &mut ByHand, frontier: i64) -> Vec<(usize, bool)> {
    hands.close(frontier).into_iter().map(|(groups, is_elected)| (groups.len(), is_elected)).collect()
}

#[test]
fn local_merge_merges_what_a_batch_came_to_under_one_lock() {
    let mut hands = ByHand::new(StrategyName::LocalMerge, 2, Meter::on());
    for batch in 0..4 {
        let Processed { folded, passed, cost } = hands.process(batch % 2, &[keys(50, 1), keys(50, 11)].concat());
        assert_eq!((folded, passed), (Folded { folded: 100, late: 0 }, 0));
        assert!(cost.fold.0 > 0 && cost.merge > cost.held && cost.held.0 > 0, "a split, then a merge: {cost:?}");
        assert_eq!((cost.clone, cost.channel), (Nanos(0), Nanos(0)), "{cost:?}");
    }
    // Two windows are two partials, merged in one turn.
    assert_eq!(
        hands.strategy.witness(),
        WitnessCounts { batches: 4, locks: 4, merges_locked: 8, ..WitnessCounts::default() }
    );
    assert!(hands.scan().len() == 100 && hands.scan().iter().all(|output| output.group.count == 4));
    hands.process(0, &[]);
    assert_eq!(hands.strategy.witness().locks, 4, "what comes to nothing takes no lock");
    assert_eq!(closed_groups(&mut hands, 9), [(50, true), (0, false)]);
    assert_eq!(closed_groups(&mut hands, 9), [(0, false), (0, false)]);
    assert_eq!(hands.strategy.witness().elections, 1);
}

#[test]
fn local_merge_partitioned_takes_the_lock_of_each_partition_once_for_a_batch() {
    for (workers, partitions) in [(1, 4), (2, 8), (3, 16), (4, 16)] {
        let mut hands = ByHand::new(StrategyName::LocalMergePartitioned, workers, Meter::on());
        let pieces = hands.strategy.reader().scan().expect("the toy can be read");
        assert_eq!(pieces.len(), partitions as usize, "{workers} workers");
        let Processed { folded, cost, .. } = hands.process(workers - 1, &[keys(500, 1), keys(500, 11)].concat());
        assert_eq!(folded, Folded { folded: 1000, late: 0 });
        assert!(cost.fold.0 > 0 && cost.merge > cost.held && cost.held.0 > 0, "{cost:?}");
        assert_eq!((cost.clone, cost.channel), (Nanos(0), Nanos(0)), "{cost:?}");
        let both_windows =
            WitnessCounts { batches: 1, locks: partitions, merges_locked: 2 * partitions, ..WitnessCounts::default() };
        assert_eq!(hands.strategy.witness(), both_windows, "{workers} workers, nobody else there");
        hands.process(0, &[(3, 1), (3, 2), (3, 3)]);
        assert_eq!(hands.strategy.witness().locks, partitions + 1, "one key, one partition");
        let pieces = hands.strategy.reader().scan().expect("the toy can be read");
        let versions: u64 = pieces.iter().map(|(version, _)| version.0).sum();
        assert_eq!(versions, partitions + 1, "one change for each lock");
        let closed = closed_groups(&mut hands, i64::MAX);
        assert_eq!(closed[0], (1000, true));
        assert!(closed[1..].iter().all(|rest| *rest == (0, false)));
    }
}

#[test]
fn actor_sends_each_batch_as_it_is_to_worker_0() {
    let mut hands = ByHand::new(StrategyName::Actor, 3, Meter::on());
    for batch in 0..6 {
        let Processed { folded, passed, cost } = hands.process(batch % 3, &keys(10, batch as i64));
        assert_eq!((folded, passed), (Folded::default(), 10), "the owner tells what became of them");
        assert!(cost.channel.0 > 0 && cost.total().0 == cost.channel.0 + cost.metrics.0, "{cost:?}");
    }
    // Two of three producers are on other workers.
    assert_eq!(
        hands.strategy.witness(),
        WitnessCounts { batches: 6, messages: 6, lane_messages: 4, rows_sent: 60, ..WitnessCounts::default() }
    );
    assert!(hands.received.fold.0 > 0 && hands.received.total() == hands.received.fold, "{:?}", hands.received);
    assert_eq!(closed_groups(&mut hands, 9), [(10, true), (0, false), (0, false)]);
}

#[test]
fn owned_shards_fold_batches_together_and_send_each_owner_its_groups() {
    let mut hands = ByHand::new(StrategyName::OwnedShards, 2, Meter::on());
    for batch in 0..4 {
        let Processed { folded, passed, cost } = hands.process(batch % 2, &[keys(50, 1), keys(50, 11)].concat());
        assert_eq!((folded, passed), (Folded { folded: 100, late: 0 }, 0));
        assert!(cost.fold.0 > 0 && cost.total().0 == cost.fold.0 + cost.metrics.0, "nothing leaves: {cost:?}");
    }
    assert_eq!(hands.strategy.witness(), WitnessCounts { batches: 4, ..WitnessCounts::default() });
    let mut sends = Vec::new();
    let cost = hands.producers[0].release(Release::All, &mut sends).expect("the toy can be split");
    assert!(
        cost.merge.0 > 0 && cost.channel.0 > 0 && cost.total().0 == cost.merge.0 + cost.channel.0 + cost.metrics.0,
        "{cost:?}"
    );
    hands.deliver(sends);
    // For each of two windows, one message to each owner; no lock anywhere.
    let counts =
        WitnessCounts { batches: 4, messages: 4, lane_messages: 2, merges_owned: 4, ..WitnessCounts::default() };
    assert_eq!(hands.strategy.witness(), counts);
    assert!(hands.received.merge.0 > 0 && hands.received.total() == hands.received.merge, "{:?}", hands.received);
    let [(first, true), (second, false)] = closed_groups(&mut hands, 9)[..] else {
        panic!("worker 0 speaks for all");
    };
    assert!(first + second == 50 && first > 10 && second > 10, "{first} + {second}");
    // Of the window that was closed, producer 1 sent what it had.
    let counts = WitnessCounts { messages: 6, lane_messages: 3, merges_owned: 6, ..counts };
    assert_eq!(hands.strategy.witness(), counts);
}

#[test]
fn owned_shards_send_all_when_private_tables_are_as_large_as_pays() {
    let mut hands = ByHand::new(StrategyName::OwnedShards, 2, Meter::OFF);
    // Every row meets its group once: the tables are worth having.
    let all = keys((1 << 16) - 1, 1);
    hands.process(0, &[all.clone(), all].concat());
    assert_eq!(hands.strategy.witness().messages, 0);
    let full = hands.producers[0].bytes();
    hands.process(0, &[(1 << 20, 11), (1 << 20, 11)]);
    // Both owners have keys of the first window, and one has the key of the second.
    assert_eq!((hands.strategy.witness().messages, hands.strategy.witness().merges_owned), (3, 3));
    assert!(hands.producers[0].bytes() < full / 100, "{} of {full} bytes", hands.producers[0].bytes());
}

#[test]
fn owned_shards_hold_nothing_back_where_nearly_every_row_is_a_group() {
    let sent = |rows: &[(u64, i64)]| {
        let mut hands = ByHand::new(StrategyName::OwnedShards, 2, Meter::OFF);
        hands.process(0, rows);
        hands.strategy.witness().messages
    };
    assert_eq!(sent(&keys((1 << 12) - 1, 1)), 0, "small tables cost nothing");
    assert_eq!(sent(&keys(1 << 12, 1)), 2, "to each owner");
    assert_eq!(sent(&[keys(1 << 12, 1), keys(500, 1)].concat()), 2, "8 of 9 rows are groups of their own");
    assert_eq!(sent(&[keys(1 << 12, 1), keys(600, 1)].concat()), 0, "7 of 8 rows are, and no more");
}

#[test]
fn owned_shards_divide_batches_as_they_are_while_folding_does_not_pay() {
    let mut hands = ByHand::new(StrategyName::OwnedShards, 2, Meter::OFF);
    hands.process(0, &keys(1 << 12, 1));
    assert_eq!(hands.strategy.witness().messages, 2, "every row was a group");
    let Processed { folded, passed, .. } = hands.process(0, &keys(1000, 1));
    assert_eq!((folded, passed), (Folded { folded: 1000, late: 0 }, 0));
    let counts =
        WitnessCounts { batches: 2, messages: 4, lane_messages: 2, merges_owned: 4, ..WitnessCounts::default() };
    assert_eq!(hands.strategy.witness(), counts, "nothing stays here");
    hands.process(0, &keys(100, 1));
    assert_eq!(hands.strategy.witness().messages, 4, "few rows wait for others");
    let groups: usize = closed_groups(&mut hands, 9).iter().map(|(groups, _)| groups).sum();
    assert_eq!(groups, 1 << 12);
}
