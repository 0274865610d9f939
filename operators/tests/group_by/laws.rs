//! The laws of the aggregation: however rows are dealt to shards, and however groups then move between them, key by key,
//! in parts or whole, what is held, looked up and emitted is what the oracle says of all rows at once.

use super::*;

/// Rows to shards, then groups from shard to shard.
#[derive(Clone, Debug)]
struct Journey {
    case: Case,
    shards: usize,
    moves: Vec<Move>,
}

/// Groups of one shard to others.
#[derive(Clone, Debug)]
struct Move {
    from: usize,
    to: usize,
    how: How,
    /// Turns the order in which partials arrive.
    rotation: usize,
    /// Between the shards that partials go to, one after the other; 0: all to one.
    spread: usize,
}

#[derive(Clone, Debug)]
enum How {
    Parts(usize),
    Keys,
    ClosedBy(i64, usize),
}

fn any_move() -> impl Strategy<Value = Move> {
    let how = prop_oneof![
        (1..6usize).prop_map(How::Parts),
        Just(How::Keys),
        (-40..70i64, 1..4usize).prop_map(|(time, parts)| How::ClosedBy(time, parts)),
    ];
    (0..5usize, 0..5usize, how, 0..8usize, 0..3usize).prop_map(|(from, to, how, rotation, spread)| Move {
        from,
        to,
        how,
        rotation,
        spread,
    })
}

fn any_journey() -> impl Strategy<Value = Journey> {
    (any_case(), 1..5usize, proptest::collection::vec(any_move(), 0..12)).prop_map(|(mut case, shards, moves)| {
        // Stamps that close nothing, so that every row is folded wherever it goes.
        case.lag_ms = 1 << 20;
        Journey { case, shards, moves }
    })
}

impl Journey {
    /// The shards after all moves.
    fn travel(&self, aggregation: &GroupAggregation) -> Vec<GroupShard> {
        let (rows, schema, mut scratch) = (self.case.rows(), self.case.schema(), FoldScratch::default());
        let mut shards: Vec<GroupShard> = (0..self.shards).map(|_| aggregation.shard()).collect();
        let (mut next, mut moves) = (0, self.moves.iter());
        for step in self.case.steps.iter().cycle() {
            if next == rows.len() {
                break;
            }
            let end = rows.len().min(next + step.rows);
            let batch = step.batch(&schema, &rows[next..end]);
            let folded = if step.flushes {
                let (folded, parts) = aggregation.divide(&batch, step.rotation + 1, &mut scratch).expect("rows fit");
                for (to, partials) in parts {
                    aggregation.merge(&mut shards[to % self.shards], partials).expect("an open window");
                }
                folded
            } else {
                aggregation.fold(&mut shards[step.worker % self.shards], &batch, &mut scratch).expect("rows fit")
            };
            assert_eq!(folded, Folded { folded: (end - next) as u64, late: 0 });
            next = end;
            moves.next().iter().for_each(|step| step.run(aggregation, &mut shards));
        }
        moves.for_each(|step| step.run(aggregation, &mut shards));
        shards
    }
}

impl Move {
    fn run(&self, aggregation: &GroupAggregation, shards: &mut [GroupShard]) {
        let from = &mut shards[self.from % shards.len()];
        let mut partials: Vec<Partials> = match self.how {
            How::Parts(parts) => {
                let split = aggregation.split(from, Release::All, parts);
                split.into_iter().map(|(_, partials)| partials).collect()
            }
            How::Keys => split_keys(aggregation, from),
            How::ClosedBy(time, parts) => {
                let release = Release::ClosedBy(EventTimeMs(time));
                let split = aggregation.split(from, release, parts);
                assert!(split.iter().all(|(_, partials)| partials.window().is_closed_by(EventTimeMs(time))));
                split.into_iter().map(|(_, partials)| partials).collect()
            }
        };
        let middle = self.rotation % partials.len().max(1);
        partials.rotate_left(middle);
        for (index, partials) in partials.into_iter().enumerate() {
            let to = (self.to + index * self.spread) % shards.len();
            aggregation.merge(&mut shards[to], partials).expect("an open window");
        }
    }
}

fn split_keys(aggregation: &GroupAggregation, shard: &mut GroupShard) -> Vec<Partials> {
    let groups = aggregation.groups(shard);
    let split = aggregation.split_keys(shard);
    assert_eq!(split.len(), groups);
    assert!(split.iter().all(|(_, partials)| partials.rows() == 1));
    split.into_iter().map(|(_, partials)| partials).collect()
}

/// All groups of these shards in one.
fn gather(aggregation: &GroupAggregation, shards: Vec<GroupShard>) -> GroupShard {
    let mut whole = aggregation.shard();
    for (index, mut shard) in shards.into_iter().enumerate() {
        let how = if index % 2 == 0 { How::Keys } else { How::Parts(3) };
        let mut both = [shard, whole];
        Move { from: 0, to: 1, how, rotation: index, spread: 0 }.run(aggregation, &mut both);
        [shard, whole] = both;
        assert_eq!(aggregation.groups(&shard), 0);
        assert_eq!(aggregation.scan(&shard).expect("no overflow").num_rows(), 0);
    }
    whole
}

fn scanned(aggregation: &GroupAggregation, shard: &GroupShard) -> BTreeMap<(i64, String), Vec<Value>> {
    let rows = aggregation.scan(shard).expect("no overflow");
    if !aggregation.has_overlaps() {
        assert_eq!(rows.num_rows(), aggregation.groups(shard));
    }
    groups_of(aggregation, &rows)
}

/// All rows of `emission`; a window leaves as one, the earliest end first.
fn emitted(emission: &mut Emission, rows_max: usize) -> BTreeMap<(i64, String), Vec<Value>> {
    let mut groups = BTreeMap::new();
    let mut last_end = None;
    while let Some(batch) = emission.next_batch(rows_max).expect("no overflow") {
        let end = batch.columns.column_by_name("window_end").map(|ends| values(ends)[0].integer());
        assert!(last_end <= end, "windows leave in the order of their ends");
        last_end = end;
        let ordinal = batch.ordinals.get(0);
        assert_eq!(ordinal.row >> 64, end.map_or((1 << 64) - 1, |end| (end + (1 << 63)) as u128));
        for (group, results) in groups_of(emission.aggregation(), &batch.columns) {
            assert!(groups.insert(group, results).is_none(), "a group is emitted once");
        }
    }
    assert!(!emission.is_due());
    groups
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_merged_in_any_order_and_grouping_are_those_of_one_fold(journey in any_journey()) {
        let aggregation = journey.case.aggregation();
        let expected = expected(&journey.case, &journey.case.rows()).0;
        let whole = gather(&aggregation, journey.travel(&aggregation));
        expect_same(&journey.case, &scanned(&aggregation, &whole), &expected)?;
    }

    #[test]
    fn a_lookup_finds_the_rows_of_its_key_in_all_windows(journey in any_journey(), absent in 0..12usize) {
        let Journey { case, .. } = &journey;
        let aggregation = case.aggregation();
        let expected = expected(case, &case.rows()).0;
        let whole = gather(&aggregation, journey.travel(&aggregation));
        let schema = aggregation.key_schema();
        let mut keys: Vec<Vec<Value>> =
            case.rows().iter().map(|row| row.values[..case.key_types.len()].to_vec()).collect();
        keys.push(case.key_types.iter().map(|data_type| pick(data_type, absent)).collect());
        let split = aggregation.split_keys(&mut whole.clone());
        let hashes: Vec<u64> = split.iter().map(|(hash, _)| *hash).collect();
        let mut found = BTreeMap::new();
        for key in keys {
            let columns = schema.fields().iter().zip(&key).map(|(field, value)| array(field.data_type(), std::slice::from_ref(value)));
            let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(1));
            let row = RecordBatch::try_new_with_options(Arc::clone(&schema), columns.collect(), &options).expect("a key");
            let key = aggregation.key(&row).expect("a key");
            let rows = groups_of(&aggregation, &aggregation.lookup(&whole, &key).expect("no overflow"));
            let text = row.columns().iter().map(|column| values(column)[0].text()).collect::<Vec<_>>().join("|");
            // The start of the window is in front.
            let of = |of: &str| match case.window {
                Some(_) => of.split_once('|').map_or_else(String::new, |(_, key)| key.to_owned()),
                None => of.to_owned(),
            };
            prop_assert!(rows.keys().all(|(_, group)| of(group) == text), "{rows:?} of {text}");
            // What travels alone carries the hash that it is looked up by.
            let panes = hashes.iter().filter(|hash| **hash == aggregation.hash(&key)).count();
            prop_assert!(panes == rows.len() || panes > 0 && aggregation.has_overlaps());
            found.extend(rows);
        }
        expect_same(case, &found, &expected)?;
    }

    #[test]
    fn each_window_is_closed_once_and_pieces_of_it_leave_as_one(
        journey in any_journey(),
        frontiers in proptest::collection::vec(-60..80i64, 0..6),
        rows_max in 1..9usize,
    ) {
        let Journey { case, .. } = &journey;
        let aggregation = case.aggregation();
        let mut expected = expected(case, &case.rows()).0;
        add_empty_input(case, &mut expected);
        let mut shards = journey.travel(&aggregation);
        // Half of the journeys end as one shard for each key, and one shard for all.
        if journey.shards % 2 == 0 {
            let keys = split_keys(&aggregation, &mut shards[0]);
            shards.extend(keys.into_iter().map(|partials| {
                let mut shard = aggregation.shard();
                aggregation.merge(&mut shard, partials).expect("an open window");
                shard
            }));
        }
        let mut emission = Emission::new(Arc::clone(&aggregation));
        let (mut got, mut greatest) = (BTreeMap::new(), EventTimeMs::MIN);
        for frontier in frontiers.into_iter().map(EventTimeMs).chain([EventTimeMs::END]) {
            for shard in &mut shards {
                let held = aggregation.groups(shard);
                let is_due = aggregation.next_close(shard).is_some_and(|next| next <= frontier);
                let closed = aggregation.close(shard, frontier);
                prop_assert_eq!(!closed.is_empty(), is_due);
                prop_assert!(closed.is_empty() || frontier > greatest, "a frontier that went back closes nothing");
                prop_assert!(closed.is_empty() || case.mode == CloseMode::WhenPassed || frontier == EventTimeMs::END);
                prop_assert!(closed.is_sorted_by_key(|closed| closed.last()));
                prop_assert!(closed.iter().all(|closed| closed.last() <= frontier));
                let taken: usize = closed.iter().map(|closed| closed.groups()).sum();
                let left = aggregation.groups(shard);
                prop_assert!(left == held - taken || aggregation.has_overlaps() && (held - taken..=held).contains(&left));
                let bytes: usize = closed.iter().map(|closed| closed.bytes()).sum();
                prop_assert_eq!(bytes > 0, taken > 0);
                emission.push(closed).expect("few groups");
            }
            if frontier == EventTimeMs::END {
                emission.end().expect("few groups");
            }
            greatest = greatest.max(frontier);
            for (group, results) in emitted(&mut emission, rows_max) {
                prop_assert!(got.insert(group, results).is_none(), "a window is closed once");
            }
        }
        expect_same(case, &got, &expected)?;
        prop_assert!(shards.iter().all(|shard| (aggregation.groups(shard), aggregation.bytes(shard)) == (0, 0)));
        prop_assert_eq!(emission.bytes(), 0);
    }

    #[test]
    fn a_clone_and_its_original_know_nothing_of_each_other(journey in any_journey()) {
        let Journey { case, .. } = &journey;
        let aggregation = case.aggregation();
        let mut whole = gather(&aggregation, journey.travel(&aggregation));
        let held = format!("{:?}", scanned(&aggregation, &whole));
        let mut copy = whole.clone();
        prop_assert!(aggregation.bytes(&copy) <= aggregation.bytes(&whole));
        let rows = case.rows();
        if !rows.is_empty() {
            let batch = batch(&case.schema(), &rows);
            aggregation.fold(&mut copy, &batch, &mut FoldScratch::default()).expect("rows fit");
        }
        prop_assert_eq!(format!("{:?}", scanned(&aggregation, &whole)), held.clone());
        let second = whole.clone();
        drop(aggregation.split_keys(&mut whole));
        prop_assert_eq!(aggregation.groups(&copy), aggregation.groups(&second));
        prop_assert_eq!(format!("{:?}", scanned(&aggregation, &second)), held);
        drop(aggregation.close(&mut copy, EventTimeMs::END));
        prop_assert_eq!((aggregation.groups(&copy), aggregation.bytes(&copy)), (0, 0));
    }
}
