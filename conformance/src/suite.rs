//! The suite: one named test per case, for any implementation.

/// Makes a test of every case for logs, in the module that calls it.
///
/// `open` names an async function that opens an empty [`Guard`](crate::guard::Guard); each test
/// opens its own.
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
                an_event_one_tick_before_the_hour_and_one_on_it_are_adjacent
                events_around_every_bucket_boundary_are_read_in_order
                empty_stretches_are_skipped
            }
            follow {
                a_follower_resumes_from_its_cursor_and_gets_late_events
                arrivals_are_returned_in_arrival_order
                every_arrival_is_returned_once_for_any_page_size
                following_does_not_move_the_handle
                arrivals_and_timeline_hold_the_same_events
            }
            handles {
                a_closed_handle_refuses_everything
                a_handle_opened_before_the_log_exists_reads_it_later
                reading_an_unknown_log_fails_and_does_not_create_it
                two_handles_can_write_concurrently
                logs_do_not_see_each_others_events
                two_handles_on_one_log_do_not_move_each_other
            }
            read {
                a_handle_reads_its_own_writes_ahead_of_its_position
                events_of_any_size_are_read
                events_are_read_by_time_regardless_of_arrival_order
                single_reads_and_pages_can_be_mixed
                a_reader_at_the_end_reads_what_another_handle_writes
                reading_at_the_end_does_not_wait_and_a_later_write_is_read
                a_late_event_is_read_only_after_seeking_back
            }
            restart {
                events_survive_a_restart
                seqs_and_arrival_order_continue_after_restarts
            }
            seek {
                seeking_back_reads_events_again
                a_seek_finds_the_first_of_several_events_at_one_time
                seeking_before_the_first_event_finds_it
                seeking_between_two_events_finds_the_next
                seeking_to_the_time_of_an_event_is_exact
                nothing_is_read_after_seeking_to_the_end_of_time
                after_the_newest_event_a_handle_waits_at_the_requested_time
                seeking_to_the_first_and_the_last_event_is_exact
                the_resolved_position_is_read_next
            }
            streams {
                events_streams_the_timeline_from_the_position_to_the_end
                tail_streams_the_arrivals_and_then_an_event_that_another_handle_writes
                a_tail_of_a_missing_log_or_a_closed_handle_is_an_error
            }
            ties {
                a_tie_written_while_its_time_is_being_read_is_read_last
                ten_thousand_events_at_one_time_are_read_once_each_in_pages_of_seven
            }
            times {
                events_centuries_apart_are_read_in_order
                the_earliest_representable_time_can_be_used
                times_before_1970_are_read_in_order
            }
            write {
                a_time_in_seconds_is_accepted
                an_explicit_time_becomes_the_offset_and_is_removed_from_the_metadata
                an_unparsable_time_is_rejected
                a_time_too_far_ahead_is_rejected_and_nothing_is_stored
                an_event_is_read_at_the_position_that_its_write_returned
                spaces_around_a_value_are_trimmed
                data_is_returned_byte_for_byte
                a_batch_is_written_in_its_order
                a_batch_without_times_stays_in_its_order
                metadata_is_returned_value_for_value
                large_metadata_is_returned
                seqs_increase_with_every_write
                an_event_without_a_time_is_stored_at_its_arrival_time
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
                parked_after_the_newest
                quiet_years
                seek_back
                seek_reasons
                ties
                unknown_log
            }
        }
    };
}

/// Makes a test of every case for stores, in the module that calls it.
///
/// `open` names an async function that opens an empty [`StoreGuard`](crate::guard::StoreGuard).
#[macro_export]
macro_rules! store_suite {
    ($open:ident) => {
        $crate::tests! { $open, store_cases:
            archive_properties {
                a_property_is_set_once
                a_property_is_replaced_only_over_the_expected_value
                one_of_several_concurrent_attempts_to_set_a_property_succeeds
            }
            arrivals {
                a_clock_set_back_hides_no_event_from_a_follower
                following_an_unknown_log_is_not_found
                late_events_that_are_redelivered_in_other_parts_are_returned_once
                an_arrivals_page_is_limited_by_bytes
                a_reader_that_keeps_up_misses_nothing
                arrival_order_is_the_same_after_a_restart
                every_event_is_returned_once_by_seq_for_any_page_size
                events_above_the_visible_seq_are_neither_returned_nor_skipped
                two_equal_records_are_two_events
                a_redelivered_event_is_not_returned_again
            }
            counts {
                a_check_finds_every_bucket_whole
                a_bucket_that_is_too_large_gives_a_warning_with_a_better_width
                a_description_summarizes_what_was_written
                a_histogram_matches_counting_by_hand
                a_histogram_in_slices_equals_the_whole
                a_histogram_without_reads_says_what_it_does_not_know
                a_histogram_of_narrow_buckets_matches_counting_by_hand
                a_histogram_of_an_empty_range_is_refused
                redelivered_events_are_stored_once
                overlapping_writes_are_counted_once
                writing_the_same_rows_again_changes_no_count
            }
            cursors {
                the_newest_cursor_of_a_reader_wins
                a_cursor_can_be_reset_to_an_earlier_place
                a_deleted_cursor_can_be_created_again_at_an_earlier_place
                changes_of_one_write_apply_in_their_order
                cursors_are_listed_by_name
                concurrent_readers_leave_the_newest_cursor
            }
            index {
                a_scan_is_inclusive_and_limited
                a_span_selects_the_bucket_that_begins_before_it_and_those_within_it
                index_rows_far_apart_in_time_are_in_order
                one_event_is_found_by_its_position
                late_events_are_listed_by_their_arrival_time
            }
            pages {
                a_reverse_page_is_a_forward_page_reversed
                a_page_holds_nothing_above_the_visible_seq
                a_page_is_limited_by_bytes_but_holds_at_least_one_event
                a_range_is_half_open
                a_range_can_begin_and_end_between_events_of_one_time
                an_invisible_late_event_does_not_hide_the_visible_ones
                bounds_at_both_ends_of_time_are_respected
                a_page_of_an_unknown_log_is_not_found
                reverse_pages_continue_before_the_last_event
                the_end_of_a_page_says_why_it_ended
            }
            reads {
                a_bucket_in_which_only_late_events_arrived_is_not_read_for_the_timeline
                a_sparse_year_costs_one_read_per_existing_bucket
                a_year_of_hours_costs_one_read_per_bucket
                counts_are_answered_by_the_index_alone
                events_ahead_of_now_cost_one_read_of_the_index
            }
            records {
                an_epoch_is_begun_once
                rows_written_together_are_stored_together
                logs_are_listed_by_id_in_pages
                one_of_several_concurrent_attempts_to_begin_an_epoch_succeeds
                sources_are_stored_by_stream_and_slot
                the_checkpoint_and_head_of_a_source_only_move_forward
                the_settings_of_a_log_are_stored_unchanged
            }
            removal {
                a_bucket_is_dropped_again_once_its_late_events_are_too_old
                a_deleted_log_stays_deleted_when_its_source_is_read_again
                a_log_created_again_after_a_delete_keeps_its_deleted_to
                a_swept_row_stays_deleted_when_it_is_redelivered
                a_sweep_deletes_the_buckets_that_end_before_its_horizon
                a_skipped_duplicate_is_not_stored_after_a_sweep
                an_empty_index_row_is_removed_once_no_redelivery_can_reach_it
                a_late_event_in_a_swept_bucket_is_kept_until_the_next_sweep
                events_imported_again_after_a_delete_are_kept
                followers_skip_swept_events
            }
            settings {
                a_changed_width_applies_to_the_next_events
                a_created_log_can_be_deleted_and_created_again
                a_log_that_its_first_event_creates_has_the_width_of_the_write
                a_reader_of_removed_events_is_told
                events_imported_again_after_a_sweep_are_kept
                settings_change_and_only_move_forward
                settings_of_an_unknown_or_deleted_log_create_nothing
            }
            widths {
                a_log_is_created_once
                a_log_created_without_events_is_known_and_empty
                a_new_width_applies_from_its_time_on_and_the_old_one_before
                buckets_of_a_day
                buckets_of_a_second
                buckets_of_ten_seconds
                buckets_of_thirteen_minutes
                a_log_created_by_its_first_event_has_buckets_of_an_hour
            }
        }
    };
}

/// Makes tests of the named cases, with one module per file.
#[doc(hidden)]
#[macro_export]
macro_rules! tests {
    ($open:ident, self: $($file:ident { $($case:ident)* })*) => {
        $(mod $file { $($crate::test!(super::$open, $case, $crate::$file::$case);)* })*
    };
    ($open:ident, $folder:ident: $($file:ident { $($case:ident)* })*) => {
        $(mod $file { $($crate::test!(super::$open, $case, $crate::$folder::$file::$case);)* })*
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
    /// The text of this file, in which each case is on a line of its own.
    const LISTS: &str = include_str!("suite.rs");

    /// A case that is not listed would silently never run.
    #[test]
    fn every_case_is_listed() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut cases = 0;
        for folder in ["cases", "store_cases"] {
            for file in std::fs::read_dir(source.join(folder)).expect("the directory is part of the repository") {
                let path = file.expect("the directory can be read").path();
                let text = std::fs::read_to_string(&path).expect("the file can be read");
                for name in text.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                    let name = name.split('(').next().expect("a function has parentheses");
                    assert!(
                        LISTS.lines().any(|line| line.trim() == name),
                        "{name} of {} is not listed",
                        path.display()
                    );
                    cases += 1;
                }
            }
        }
        assert!(cases > 90, "found only {cases} cases");
        for scenario in crate::scenario::NAMES {
            assert!(LISTS.lines().any(|line| line.trim() == *scenario), "the scenario {scenario} is not listed");
        }
    }
}
