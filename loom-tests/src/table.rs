//! What has to run: the models with the executions that they explore, the witnesses, and the mutants with the models that
//! find them. A row that does not run, or a site of the source without a row, fails the tests.

/// A model that has to hold.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// As it prints itself.
    pub name: &'static str,
    /// Preemptions after which no other is explored; None is all there are.
    pub preemptions: Option<usize>,
    /// What the specification of a channel promises.
    pub channel: Channel,
    /// The fewest executions: with fewer, the model has become empty.
    pub floor: usize,
    /// The most executions: with more, it takes more time than was agreed.
    pub ceiling: usize,
}

/// When the ends of a channel see each other's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// When something else tells them that time has passed, or sooner: the weakest that can be relied on.
    SeenAsLate,
    /// At once: for whole jobs, in which there would be too many old values to look at.
    SeenAtOnce,
}

/// A model of a protocol that is known to be broken.
#[derive(Clone, Copy, Debug)]
pub struct Witness {
    /// As it prints itself.
    pub name: &'static str,
    /// What its failing execution says.
    pub fails_with: &'static str,
}

const fn model(name: &'static str, preemptions: Option<usize>, floor: usize, ceiling: usize) -> Model {
    Model { name, preemptions, channel: Channel::SeenAsLate, floor, ceiling }
}

const fn job(name: &'static str, preemptions: Option<usize>, floor: usize, ceiling: usize) -> Model {
    Model { channel: Channel::SeenAtOnce, ..model(name, preemptions, floor, ceiling) }
}

/// All models, by the file that holds them.
pub const MODELS: &[Model] = &[
    model("carry, blocks 0 and 2 against 1", Some(5), 1_485, 2_322),
    model("carry, blocks 1 and 2 against 0", Some(5), 232, 364),
    model("carry, a turn that is seen to have passed", None, 6, 8),
    model("doorbell, one ringer", None, 1_484, 2_320),
    model("doorbell, two ringers", Some(3), 2_391, 3_737),
    model("doorbell, spurious wake-ups", Some(3), 88, 139),
    job("clone-swap, a job of two workers", Some(1), 515, 805),
    job("hold-lock, a job of two workers", Some(1), 438, 685),
    job("partition-lock, a job of two workers", Some(1), 856, 1_338),
    job("read-write-lock, a job of two workers", Some(1), 592, 925),
    job("actor, a job of two workers", Some(1), 636, 995),
    job("local-merge, a job of two workers", Some(1), 496, 775),
    job("local-merge-partitioned, a job of two workers", Some(1), 496, 775),
    job("owned-shards, a job of two workers", Some(1), 3_011, 4_705),
    job("owned-shards, a barrier", Some(1), 24_415, 38_149),
    job("actor, a barrier", Some(1), 13_248, 20_700),
    job("job, drained", Some(4), 147, 230),
    job("job, an epoch from outside", Some(4), 160, 252),
    model("lane, hand-over", Some(4), 28_181, 44_034),
    model("lane, producer gone", None, 3_489, 5_453),
    model("lane, consumer gone", None, 48_348, 75_545),
    model("lane, watermark behind data", Some(1), 6_612, 10_332),
    model("hold-lock", Some(4), 63, 99),
    model("clone-swap", Some(4), 392, 613),
    model("read-write-lock", Some(4), 2_600, 4_064),
    model("partition-lock", Some(4), 5_105, 7_978),
    model("clone-swap beside a closing", Some(3), 8, 10),
    model("read-write-lock beside a closing", Some(3), 48, 77),
    model("partition-lock beside a closing", Some(3), 226, 354),
    model("read-write-lock, a reader", Some(2), 176, 277),
    model("clone-swap, two frontiers", Some(4), 25, 40),
    model("hold-lock, two frontiers", Some(4), 25, 40),
    model("partition-lock, two frontiers", Some(4), 25, 40),
    model("read-write-lock, two frontiers", Some(4), 25, 40),
    model("local-merge, two frontiers", Some(4), 25, 40),
    model("local-merge-partitioned, two frontiers", Some(4), 25, 40),
    model("local-merge, two producers and an election", Some(3), 707, 1_105),
    model("local-merge-partitioned, two producers and an election", Some(3), 1_380, 2_158),
    model("shared frontier, two owners", None, 11, 19),
    model("published, an owner and a reader", None, 132, 207),
    model("published, two publishers", None, 4, 6),
    model("published, a reader in the way", None, 38, 60),
    model("actor, a question to a sleeping owner", Some(3), 230, 360),
    model("owned-shards, a question to a sleeping owner", Some(3), 230, 360),
    model("owned-shards, a question to a silent source", Some(3), 25, 40),
    model("window, one producer and two consumers", Some(5), 227, 355),
    model("window, two producers", Some(4), 400, 625),
    job("workers, full lanes", Some(2), 45_652, 71_333),
    job("workers, full lanes on two edges", Some(1), 135_823, 212_224),
    model("workers, a consumer outside", Some(3), 8_422, 13_160),
    job("workers, a fault and its consequence", Some(2), 165, 259),
    job("workers, a fault reaches all", None, 25, 40),
];

/// Protocols as they are often sketched, refuted.
pub const WITNESSES: &[Witness] = &[
    Witness { name: "clone-swap without turns", fails_with: "an update is lost" },
    Witness { name: "read-write-lock that merges its snapshot", fails_with: "an update is counted twice" },
];

/// Mutants: the site in `runtime`, and the test of the model that finds it.
pub const MUTANTS: &[(&str, &str)] = &[
    ("ring", "doorbell::work_is_seen_by_whoever_went_to_sleep"),
    ("ring_leaves_it_rung", "doorbell::work_is_seen_by_whoever_went_to_sleep"),
    ("ring_wakes_nobody", "doorbell::work_is_seen_by_whoever_went_to_sleep"),
    ("take", "doorbell::work_is_seen_by_whoever_went_to_sleep"),
    ("take_overwrites", "doorbell::work_is_seen_by_whoever_went_to_sleep"),
    ("wait_before_it_is_known", "doorbell::work_is_seen_by_whoever_went_to_sleep"),
    ("wait_over_a_ring", "doorbell::work_is_seen_by_whoever_went_to_sleep"),
    ("wait_for_any_wake_up", "doorbell::a_wake_up_for_no_reason_changes_nothing"),
    ("carry_turn_read", "carry::who_sees_a_turn_pass_sees_what_was_done_in_it"),
    ("carry_turn_write", "carry::who_sees_a_turn_pass_sees_what_was_done_in_it"),
    ("carry_raise", "carry::two_workers_carry_three_blocks_in_order"),
    ("carry_lower", "carry::two_workers_carry_three_blocks_in_order"),
    ("carry_leaves_no_note", "carry::two_workers_carry_three_blocks_in_order"),
    ("carry_looks_once", "carry::two_workers_carry_three_blocks_in_order"),
    ("carry_rings_early", "carry::two_workers_carry_three_blocks_in_order"),
    ("carry_rings_nobody", "carry::two_workers_carry_three_blocks_in_order"),
    ("carry_passes_before_it_is_free", "carry::two_workers_carry_three_blocks_in_order"),
    ("window_raise", "window::a_closed_window_opens_for_whoever_waits"),
    ("window_lower", "window::a_closed_window_opens_for_whoever_waits"),
    ("window_leaves_no_note", "window::a_closed_window_opens_for_whoever_waits"),
    ("window_looks_once", "window::a_closed_window_opens_for_whoever_waits"),
    ("window_rings_early", "window::a_closed_window_opens_for_whoever_waits"),
    ("window_rings_nobody", "window::a_closed_window_opens_for_whoever_waits"),
    ("window_of_the_fastest", "window::a_closed_window_opens_for_whoever_waits"),
    ("lane_raise", "lane::a_full_lane_hands_over_all_in_order"),
    ("lane_lower", "lane::a_full_lane_hands_over_all_in_order"),
    ("lane_leaves_no_note", "lane::a_full_lane_hands_over_all_in_order"),
    ("lane_tries_once", "lane::a_full_lane_hands_over_all_in_order"),
    ("lane_lowers_early", "lane::a_full_lane_hands_over_all_in_order"),
    ("lane_makes_room_in_silence", "lane::a_full_lane_hands_over_all_in_order"),
    ("lane_sends_in_silence", "lane::a_full_lane_hands_over_all_in_order"),
    ("lane_rings_early", "lane::a_full_lane_hands_over_all_in_order"),
    ("lane_drops_when_full", "lane::a_full_lane_hands_over_all_in_order"),
    ("lane_puts_back_at_the_end", "lane::a_full_lane_hands_over_all_in_order"),
    ("lane_watermark_goes_first", "lane::no_watermark_overtakes_the_data_it_speaks_for"),
    ("frontier_of_the_fastest", "lane::no_watermark_overtakes_the_data_it_speaks_for"),
    ("lane_sender_rings_early", "lane::a_producer_that_goes_away_is_noticed_behind_its_last_message"),
    ("lane_sender_leaves_in_silence", "lane::a_producer_that_goes_away_is_noticed_behind_its_last_message"),
    ("lane_receiver_rings_early", "lane::a_consumer_that_goes_away_frees_a_producer_that_waits_for_room"),
    ("lane_receiver_leaves_in_silence", "lane::a_consumer_that_goes_away_frees_a_producer_that_waits_for_room"),
    ("clone_swap_takes_no_turn", "locks::clone_swap_counts_and_closes_once"),
    ("clone_swap_closes_out_of_turn", "locks::clone_swap_brings_no_closed_window_back"),
    ("elected_twice", "locks::hold_lock_counts_and_closes_once"),
    ("snapshot_counts_what_it_missed", "locks::what_a_reader_of_read_write_lock_sees_does_not_go_back"),
    ("snapshot_keeps_what_is_closed", "locks::what_a_reader_of_read_write_lock_sees_does_not_go_back"),
    ("directory_fills_a_dropped_cell", "locks::partition_lock_puts_nothing_into_a_cell_that_is_dropped"),
    ("directory_replaces_a_live_cell", "locks::partition_lock_counts_and_closes_once"),
    ("directory_removes_any_cell", "locks::partition_lock_puts_nothing_into_a_cell_that_is_dropped"),
    ("partition_expects_nothing", "locks::partition_lock_counts_and_closes_once"),
    ("elected_ahead_of_closing", "locks::two_frontiers_side_by_side_take_every_window_once"),
    ("partition_forgets_late", "locks::partition_lock_puts_nothing_into_a_cell_that_is_dropped"),
    ("partitioned_leaves_what_is_taken", "state::local_merge_partitioned_loses_nothing_and_closes_once"),
    ("published_asks_for_nothing", "state::a_question_to_an_owner_that_sleeps_is_answered"),
    ("published_drops_an_offer", "state::an_owner_that_found_a_reader_in_its_way_is_rung"),
    ("published_goes_back", "state::of_two_versions_the_newer_one_stays"),
    ("owned_asks_in_silence", "state::a_question_to_an_owner_that_sleeps_is_answered"),
    ("shards_answer_nobody", "state::a_question_to_a_worker_that_sleeps_brings_out_what_it_holds_back"),
    ("worker_takes_the_bell_late", "workers::two_workers_with_full_lanes_to_each_other_make_progress"),
    ("worker_ends_with_a_backlog", "workers::two_workers_with_full_lanes_to_each_other_make_progress"),
    ("stage_ends_in_silence", "workers::two_workers_with_full_lanes_to_each_other_make_progress"),
    ("barrier_of_the_first", "jobs::a_snapshot_holds_the_rows_before_its_barrier_and_no_other"),
    ("barrier_holds_nobody", "jobs::a_snapshot_holds_the_rows_before_its_barrier_and_no_other"),
    ("barrier_holds_for_ever", "jobs::a_snapshot_holds_the_rows_before_its_barrier_and_no_other"),
    ("barrier_waits_for_the_ended", "jobs::a_snapshot_holds_the_rows_before_its_barrier_and_no_other"),
    ("stage_flushes_behind_the_barrier", "jobs::a_snapshot_holds_the_rows_before_its_barrier_and_no_other"),
    ("drain_in_silence", "jobs::a_drain_ends_sources_that_wait"),
    ("epoch_ends_in_silence", "jobs::an_epoch_ends_where_sources_wait"),
    ("owned_keeps_the_end_to_itself", "state::a_question_to_an_owner_that_sleeps_is_answered"),
    ("external_takes_the_bell_late", "workers::a_consumer_outside_gets_all_and_the_end"),
    ("stop_keeps_the_last_failure", "workers::of_a_fault_and_its_consequences_the_fault_is_reported"),
    ("stop_in_silence", "workers::a_fault_of_one_worker_wakes_the_other"),
];

/// Mutants that change nothing: the models must hold all the same, or the way in which mutants are run proves nothing.
pub const CANARIES: &[(&str, &str)] = &[
    ("canary_is_relaxed", "doorbell::work_is_seen_by_whoever_went_to_sleep"),
    ("canary_looks_twice", "doorbell::work_is_seen_by_whoever_went_to_sleep"),
];
