//! The suite: one named test a case, for whatever implementation is opened.

/// Makes a test of every case that a log must pass, in the module where it stands.
///
/// `open` names an async function that opens an empty [`Guard`](crate::guard::Guard); each test opens its own.
///
/// ```
/// # mod tests {
/// mod memory {
///     use conformance::guards::memory as open;
///     conformance::suite!(open);
///     conformance::store_suite!(open);
/// }
/// # }
/// ```
#[macro_export]
macro_rules! suite {
    ($open:ident) => {
        $crate::tests! { $open, cases:
            edges {
                a_tick_before_the_hour_and_the_hour_are_neighbours
                both_sides_of_every_kind_of_edge_are_read_in_order
                empty_stretches_are_passed_over
            }
            follow {
                a_follower_resumes_from_its_cursor_however_late_the_rest_comes
                events_are_followed_in_the_order_they_came
                every_event_is_followed_once_whatever_the_page
                following_does_not_move_the_handle
                what_is_followed_is_what_is_read
            }
            handles {
                a_closed_handle_refuses_everything
                a_handle_that_found_nothing_is_of_use_once_there_is_something
                a_log_that_nobody_wrote_to_is_not_found_and_reading_does_not_make_it
                handles_may_write_side_by_side
                logs_do_not_see_each_others_events
                two_handles_on_one_log_do_not_move_each_other
            }
            read {
                a_handle_reads_what_it_wrote_ahead_of_itself
                an_event_of_every_size_fits_a_page
                events_are_read_by_time_whatever_order_they_came_in
                single_reads_and_pages_may_be_mixed
                the_end_is_left_when_another_handle_writes
                the_end_is_none_at_once_and_a_later_write_is_read
                what_came_late_is_not_read_unless_one_seeks_back
            }
            restart {
                events_are_there_after_a_restart
                seqs_and_arrival_order_go_on_over_restarts
            }
            seek {
                a_seek_back_reads_again
                a_seek_leads_to_the_first_of_equal_times
                a_time_before_the_first_event_leads_to_it
                a_time_between_two_events_leads_to_the_next
                a_time_that_an_event_has_is_exact
                behind_everything_there_is_nothing_to_read
                behind_the_newest_a_handle_waits_at_that_time
                the_first_and_the_last_event_are_exact
                what_resolved_says_is_what_is_read
            }
            ties {
                a_tie_that_is_written_while_its_time_is_read_comes_behind
                ten_thousand_events_at_one_time_are_read_once_each_in_pages_of_seven
            }
            times {
                centuries_lie_side_by_side
                the_earliest_time_there_is_can_be_used
                times_before_1970_are_in_their_place
            }
            write {
                a_time_in_seconds_is_taken_too
                a_time_of_its_own_becomes_the_offset_and_leaves_the_metadata
                a_time_that_cannot_be_read_is_rejected
                a_time_too_far_ahead_is_rejected_and_nothing_is_kept
                an_event_is_read_at_the_position_that_its_write_answered
                blanks_around_a_value_are_not_kept
                data_comes_back_byte_for_byte
                many_records_are_written_in_their_order
                many_records_without_times_stay_in_their_order
                metadata_comes_back_value_for_value
                much_metadata_comes_back
                seqs_rise_from_one_write_to_the_next
                without_a_time_of_its_own_an_event_is_kept_at_its_arrival
                writing_no_records_creates_nothing
            }
        }
        $crate::tests! { $open, self:
            scenario {
                ahead_of_time
                before_1970
                beginning_of_time
                closed_handle
                end_of_the_log
                follow_late_events
                hour_boundary
                independent_handles
                late_event
                own_writes_ahead
                parked_behind_the_newest
                quiet_years
                seek_back
                seek_reasons
                ties
                unknown_log
            }
        }
    };
}

/// Makes a test of every case that a store must pass, in the module where it stands.
///
/// `open` names an async function that opens an empty [`StoreGuard`](crate::guard::StoreGuard).
#[macro_export]
macro_rules! store_suite {
    ($open:ident) => {
        $crate::tests! { $open, store_cases:
            arrivals {
                a_clock_that_is_set_back_and_goes_on_misleads_no_reader
                a_log_that_is_not_there_cannot_be_followed
                a_page_in_arrival_order_is_bounded_by_bytes
                a_reader_that_keeps_up_misses_nothing
                arrival_order_is_the_same_after_a_restart
                every_event_comes_once_by_seq_in_pages_of_any_size
                nothing_above_the_visible_seq_is_followed_nor_passed_over
                the_same_event_twice_is_two_events
                what_comes_again_is_not_followed_again
            }
            counts {
                a_crowded_bucket_is_warned_of_with_the_width_that_fits
                a_description_sums_up_what_was_written
                a_timeline_counts_as_one_counts_by_hand
                a_timeline_of_narrow_buckets_counts_them_whole
                an_empty_timeline_is_refused
                events_that_come_again_are_there_once
                what_overlaps_what_was_written_counts_once
                writing_the_same_rows_again_moves_no_count
            }
            index {
                a_scan_is_inclusive_and_bounded
                a_span_holds_the_bucket_that_begins_before_it_and_those_that_begin_in_it
                index_rows_of_far_apart_times_are_in_order
                one_event_is_found_by_its_position
                placed_events_are_listed_by_the_time_they_came_in
            }
            pages {
                a_page_backwards_is_a_page_forwards_turned_round
                a_page_holds_nothing_above_the_visible_seq
                a_page_is_bounded_by_bytes_but_holds_one_event
                a_range_is_half_open
                a_range_may_begin_and_end_between_events_of_one_time
                an_event_that_came_late_and_is_held_back_does_not_hold_up_the_rest
                bounds_at_the_ends_of_time_are_bounds
                no_page_of_a_log_that_is_not_there
                pages_backwards_go_on_below_the_last_event
                the_end_of_a_page_says_why_it_ended
            }
            reads {
                a_bucket_of_late_events_only_is_not_read_in_timeline_order
                a_sparse_year_costs_one_read_a_bucket_that_is_there
                a_year_of_hours_costs_one_read_a_bucket
                the_index_alone_answers_counts
            }
            records {
                an_epoch_is_begun_once
                everything_that_is_written_together_is_there_together
                logs_are_listed_by_id_in_pages
                of_many_who_begin_one_epoch_at_once_one_has_begun_it
                sources_are_kept_by_stream_and_slot
                the_newest_cursor_of_a_reader_wins
                the_places_of_a_source_move_forward_only
                what_is_known_of_a_log_is_kept_as_it_was_written
            }
            removal {
                a_deleted_log_is_not_there_and_does_not_come_back_when_its_source_is_read_again
                a_log_that_is_made_again_after_it_was_deleted_keeps_what_was_cut
                a_row_that_comes_again_after_it_was_swept_stays_away
                a_sweep_takes_buckets_that_lie_wholly_before_its_horizon
                an_empty_row_leaves_the_index_once_nothing_of_it_can_come_again
                what_comes_late_to_a_swept_bucket_lives_until_the_next_sweep
                what_is_imported_again_after_a_delete_lives
                who_follows_passes_over_what_was_swept
            }
            widths {
                a_log_is_made_once
                a_made_log_without_events_is_known_and_empty
                a_new_width_holds_from_its_time_on_and_the_old_one_before
                buckets_of_a_day
                buckets_of_a_second
                buckets_of_ten_seconds
                buckets_of_thirteen_minutes
                without_being_made_a_log_has_buckets_of_an_hour
            }
        }
    };
}

/// Makes tests of the named cases, in a module for each of their files.
#[doc(hidden)]
#[macro_export]
macro_rules! tests {
    ($open:ident, self: $($file:ident { $($case:ident)* })*) => {
        $(mod $file { $($crate::test!(super::$open, $case, $crate::$file::$case);)* })*
    };
    ($open:ident, $room:ident: $($file:ident { $($case:ident)* })*) => {
        $(mod $file { $($crate::test!(super::$open, $case, $crate::$room::$file::$case);)* })*
    };
}

/// Makes a test of one case.
#[doc(hidden)]
#[macro_export]
macro_rules! test {
    ($open:path, $name:ident, $case:path) => {
        #[tokio::test]
        async fn $name() -> $crate::Outcome {
            $case($open().await).await
        }
    };
}

#[cfg(test)]
mod tests {
    /// The text of this file, where a case is a line of its own.
    const LISTS: &str = include_str!("suite.rs");

    /// A case that nobody listed would never run, and nobody would know.
    #[test]
    fn every_case_is_in_a_list() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut cases = 0;
        for room in ["cases", "store_cases"] {
            for file in std::fs::read_dir(source.join(room)).expect("the directory is part of the source") {
                let path = file.expect("it can be read").path();
                let text = std::fs::read_to_string(&path).expect("it can be read");
                for name in text.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                    let name = name.split('(').next().expect("a function has parentheses");
                    assert!(
                        LISTS.lines().any(|line| line.trim() == name),
                        "{name} of {} is in no list",
                        path.display()
                    );
                    cases += 1;
                }
            }
        }
        assert!(cases > 90, "only {cases} cases were found");
        for scenario in crate::scenario::NAMES {
            assert!(LISTS.lines().any(|line| line.trim() == *scenario), "the scenario {scenario} is in no list");
        }
    }
}
