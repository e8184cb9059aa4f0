/// Defines a test for each case of the suite, among other tests of a program with Rust's own harness.
///
/// [`TestProgram`](crate::TestProgram) is for a test target of its own. Only there a case that does not apply to the
/// driver is reported as ignored: Rust's harness cannot ignore a test that has begun, so such a test passes here, and
/// prints a line with `ignored` and the reason to stderr.
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
/// The factory is an async closure that returns a driver or a [`Subject`](crate::Subject). Its requirements are
/// documented at [`run`](crate::run). Each test has its own tokio runtime.
#[macro_export]
macro_rules! suite {
    ($factory:expr) => {
        $crate::__each_case! {
            $factory;
                empty_values_round_trip
                binary_values_round_trip
                values_of_one_mebibyte_round_trip
                unicode_values_round_trip
                values_that_look_like_base64_round_trip
                values_that_look_like_json_round_trip
                an_overwrite_replaces_the_whole_value
                a_missing_key_is_a_miss
                a_removed_key_is_a_miss
                removing_twice_succeeds
                exists_and_metadata_agree_with_read
                keys_are_normalised_like_unstorage
                special_characters_in_keys_are_literal
                similar_keys_are_distinct
                a_key_and_its_child_are_distinct
                nested_keys_are_rejected_if_unsupported
                the_parent_of_a_key_is_not_an_entry
                dots_in_keys_do_not_traverse
                long_keys_are_not_truncated
                keys_over_the_size_limit_are_rejected
                an_entry_exists_until_it_expires
                an_expired_entry_is_not_read
                expiry_is_as_precise_as_declared
                reading_does_not_renew_the_expiry
                an_expired_entry_does_not_exist
                an_expired_entry_is_not_listed
                an_expired_entry_is_not_read_in_batches
                an_expired_entry_can_be_written_and_removed
                an_expiry_in_the_past_takes_effect_at_once
                an_entry_may_never_expire
                a_ttl_of_ten_years_works
                an_overwrite_replaces_the_expiry
                the_expiry_is_reported_as_set
                the_default_expiry_is_the_ttl_of_the_driver
                a_foreign_write_clears_the_expiry
                an_immediate_foreign_write_of_equal_length_clears_the_expiry
                a_touch_extends_the_expiry
                a_touch_shortens_the_expiry
                a_touch_can_remove_the_expiry
                a_touch_keeps_value_and_version
                a_touch_on_another_version_changes_nothing
                a_touch_of_a_missing_key_creates_nothing
                a_touch_does_not_revive_an_expired_entry
                if_absent_writes_a_missing_key
                if_absent_conflicts_with_an_existing_entry
                if_absent_writes_a_removed_key
                if_absent_writes_an_expired_key
                if_version_replaces_that_version
                if_version_conflicts_with_a_changed_entry
                if_version_conflicts_with_a_missing_key
                if_version_conflicts_with_an_expired_entry
                if_version_accepts_the_version_of_the_last_write
                a_conditional_write_sets_the_expiry
                versions_change_with_values_of_equal_length
                every_operation_reports_the_same_version
                a_foreign_write_changes_the_version
                a_conditional_removal_removes_that_version
                a_conditional_removal_conflicts_with_a_changed_entry
                a_conditional_removal_conflicts_with_a_missing_key
                a_conditional_removal_conflicts_with_an_expired_entry
                sixty_four_tasks_lose_no_increment
                two_drivers_lose_no_increment
                one_of_many_concurrent_if_absent_writes_succeeds
                one_of_many_concurrent_conditional_removals_succeeds
                a_read_during_writes_returns_a_whole_value
                a_write_on_a_version_does_not_survive_a_removal
                a_batch_on_a_version_does_not_survive_a_removal
                a_write_on_a_version_does_not_survive_a_batch_of_removals
                of_a_write_and_a_removal_of_one_version_one_succeeds
                of_many_batches_on_one_version_one_succeeds
                of_many_batches_if_absent_one_succeeds
                a_touch_beside_a_write_loses_no_write
                a_touch_beside_a_removal_brings_nothing_back
                two_hundred_tasks_finish
                a_batch_of_reads_keeps_order_and_duplicates
                a_batch_of_writes_writes_all
                the_last_write_to_a_key_in_a_batch_wins
                each_write_of_a_batch_has_its_own_expiry
                each_write_of_a_batch_has_its_own_condition
                a_batch_of_removals_removes_only_its_keys
                empty_batches_succeed
                large_batches_work
                an_empty_listing_terminates
                a_listing_contains_only_its_prefix
                special_characters_in_prefixes_are_literal
                a_listing_returns_keys_as_written
                removed_keys_are_not_listed
                pages_contain_every_key
                a_listing_during_writes_misses_no_key
                a_listing_during_writes_contains_no_unknown_key
                clear_removes_only_its_prefix
                clear_of_a_base_keeps_its_neighbours
                clear_removes_everything_below_its_prefix
                clear_of_an_empty_prefix_succeeds
                special_characters_in_a_cleared_prefix_are_literal
                capabilities_do_not_change
                the_driver_has_a_name
                unsupported_conditions_are_rejected
                writes_to_a_read_only_driver_are_rejected
                unsupported_touch_is_rejected
                unsupported_list_is_rejected
                unsupported_watch_is_rejected
                unsupported_invalidations_are_rejected
                values_over_the_size_limit_are_rejected
                errors_contain_no_key_or_value
                a_dropped_write_leaves_the_old_or_the_new_value
                a_dropped_conditional_write_leaves_the_old_or_the_new_value
                a_dropped_removal_leaves_a_whole_entry_or_none
                a_dropped_batch_leaves_whole_values
                a_driver_works_after_dropped_operations
                an_outage_is_never_a_miss
                every_change_fails_during_an_outage
                not_applied_means_not_applied
                not_applied_means_not_applied_in_every_method
                one_wrong_write_of_a_batch_does_not_stop_the_others
                an_outage_error_has_a_kind_and_a_driver
                a_watcher_sees_writes_and_removals
                a_watcher_sees_only_its_prefix
                a_watcher_sees_the_changes_of_every_method
                a_watcher_sees_an_entry_expire
                a_watcher_sees_the_changes_of_another_driver
                each_watcher_sees_each_change
                a_tracked_read_returns_what_a_read_does
                a_listener_hears_of_the_changes_of_every_method
                a_listener_hears_of_the_changes_of_another_driver
                a_listener_hears_of_others_after_a_change_of_ones_own
                a_listener_hears_that_an_entry_expires
                each_listener_hears_of_each_change
                closing_twice_succeeds
                after_close_all_operations_fail_or_none
                written_entries_survive_close
                an_entry_that_is_written_anew_at_its_expiry_stays
                an_entry_that_is_touched_before_its_expiry_stays
                a_version_does_not_come_back
                another_driver_sees_each_change_at_once
                a_foreign_write_is_seen_at_once
                a_listing_of_the_root_contains_every_key
                keys_that_stay_are_listed_while_others_are_removed
                a_batch_of_long_values_works
                a_large_batch_of_conditional_writes_works
                the_times_in_the_metadata_are_those_of_the_writes
                operations_do_not_block_the_runtime
                a_driver_works_in_another_runtime
                every_kind_of_key_works_in_every_method
                every_kind_of_value_works_in_every_method
                every_form_of_expiry_works_in_every_method
                an_expired_entry_is_gone_for_every_method
                random_programs_on_hostile_keys_follow_the_model
                random_programs_with_hostile_values_follow_the_model
                random_programs_with_every_expiry_follow_the_model
                random_programs_of_batches_and_conditions_follow_the_model
                concurrent_operations_have_an_order
                concurrent_operations_with_expiry_have_an_order
                operations_during_a_fault_have_an_order
        }
    };
}

/// Defines one test for each name.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_case {
    ($factory:expr; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::test_case(module_path!(), stringify!($name), $factory);
            }
        )*

        #[test]
        fn every_case_of_the_suite_is_tested() {
            let tested = [$(stringify!($name)),*];
            assert!($crate::case_names().eq(tested));
        }
    };
}
