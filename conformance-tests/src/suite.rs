/// Makes a test of each case of the suite.
///
/// ```
/// mod conformance {
///     use conformance_tests::Subject;
///     use driver_memory::MemoryDriver;
///     use std::time::Duration;
///
///     conformance_tests::suite!(|| async {
///         let ttl = Duration::from_secs(60);
///         Subject::new(MemoryDriver::new().with_ttl(ttl)).with_default_ttl(ttl)
///     });
/// }
/// ```
///
/// The factory is an async closure that gives a driver, or a [`Subject`](crate::Subject) with more to it; see
/// [`run`](crate::run) for what it must keep to. Each test has a tokio runtime of its own. A case that does not
/// apply to the driver prints why (`cargo test -- --nocapture` shows it); [`run`](crate::run) reports it too.
#[macro_export]
macro_rules! suite {
    ($factory:expr) => {
        $crate::__each_case! {
            $factory;
                empty_values_come_back
                binary_values_come_back
                values_of_a_mebibyte_come_back
                unicode_values_come_back
                values_that_look_like_base64_come_back
                values_that_look_like_json_come_back
                an_overwrite_replaces_the_whole_value
                a_missing_key_is_a_miss
                a_removed_key_is_a_miss
                removing_twice_succeeds
                existence_and_metadata_agree_with_reads
                keys_are_normalised_as_unstorage_does
                special_characters_in_keys_are_ordinary
                keys_that_differ_little_are_apart
                a_key_and_a_key_below_it_are_apart
                a_key_below_another_is_refused_where_it_has_no_place
                the_start_of_a_key_is_no_entry
                dots_in_keys_lead_nowhere
                long_keys_that_differ_at_their_end_are_apart
                keys_longer_than_the_limit_are_refused
                an_entry_is_there_until_its_end
                an_entry_is_gone_after_its_end
                an_entry_ends_as_exactly_as_declared
                reading_does_not_move_the_end
                an_ended_entry_does_not_exist
                an_ended_entry_is_not_listed
                an_ended_entry_is_not_in_batches
                an_ended_entry_can_be_written_and_removed
                an_end_in_the_past_is_at_once
                an_entry_may_never_end
                an_entry_may_live_for_ten_years
                an_overwrite_sets_the_end_anew
                the_end_is_reported_as_it_was_set
                the_default_expiry_is_the_drivers
                a_foreign_write_clears_the_end
                a_foreign_write_at_once_and_of_equal_length_clears_the_end
                a_touch_moves_the_end_later
                a_touch_moves_the_end_earlier
                a_touch_may_take_the_end_away
                a_touch_leaves_value_and_version_alone
                a_touch_on_another_version_moves_nothing
                a_touch_of_a_missing_key_makes_nothing
                a_touch_does_not_revive
                if_absent_writes_where_nothing_is
                if_absent_meets_what_is_there
                if_absent_writes_where_one_was_removed
                if_absent_writes_where_one_has_ended
                if_version_writes_over_its_version
                if_version_meets_a_change
                if_version_meets_nothing
                if_version_meets_what_has_ended
                if_version_works_again_and_again
                a_conditional_write_sets_the_end
                versions_change_with_values_of_equal_length
                versions_are_the_same_wherever_they_are_told
                a_foreign_write_changes_the_version
                a_conditional_removal_removes_its_version
                a_conditional_removal_meets_a_change
                a_conditional_removal_meets_nothing
                a_conditional_removal_meets_what_has_ended
                sixty_four_tasks_lose_no_increment
                two_drivers_lose_no_increment
                of_many_that_write_if_absent_one_does
                of_many_that_remove_a_version_one_does
                a_read_beside_writes_sees_one_of_them
                a_batch_of_reads_keeps_order_and_duplicates
                a_batch_of_writes_writes_all
                of_two_writes_to_a_key_the_later_wins
                each_write_of_a_batch_has_its_expiry
                each_write_of_a_batch_has_its_condition
                a_batch_of_removals_removes_all_and_no_more
                batches_of_nothing_succeed
                large_batches_work
                an_empty_listing_ends
                a_listing_keeps_to_its_prefix
                special_characters_in_prefixes_are_ordinary
                a_listing_gives_keys_as_they_were_written
                removed_keys_are_not_listed
                pages_give_every_key
                a_listing_while_others_write_misses_none
                a_listing_while_others_write_shows_nothing_else
                clearing_keeps_to_its_prefix
                clearing_a_base_keeps_its_neighbours
                clearing_takes_everything_below
                clearing_nothing_succeeds
                special_characters_in_a_cleared_prefix_are_ordinary
                capabilities_stay_as_they_are
                the_driver_has_a_name
                conditions_are_refused_where_there_are_none
                writing_is_refused_where_it_does_not_work
                touching_is_refused_where_it_does_not_work
                listing_is_refused_where_it_does_not_work
                watching_is_refused_where_it_does_not_work
                values_longer_than_the_limit_are_refused
                errors_tell_no_secret
                a_dropped_write_leaves_the_old_value_or_the_new
                a_dropped_conditional_write_leaves_the_old_value_or_the_new
                a_dropped_removal_leaves_the_entry_or_none
                a_dropped_batch_leaves_whole_values
                a_driver_goes_on_after_dropped_operations
                an_outage_is_never_a_miss
                an_outage_is_told_by_every_change
                an_error_says_truly_what_was_not_applied
                an_outage_has_a_kind_and_a_context
                a_watcher_is_told_of_writes_and_removals
                a_watcher_is_told_of_its_prefix_alone
                closing_twice_succeeds
                after_closing_all_operations_are_refused_or_none
                what_was_written_outlives_closing
        }
    };
}

/// One test for each name.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_case {
    ($factory:expr; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::test_case(stringify!($name), $factory);
            }
        )*

        #[test]
        fn no_case_of_the_suite_is_left_out() {
            let tested = [$(stringify!($name)),*];
            assert!($crate::case_names().eq(tested));
        }
    };
}
