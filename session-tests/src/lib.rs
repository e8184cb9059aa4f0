//! Tests of sessions over HTTP, which run through every web framework and over several drivers.
//!
//! The tests of `session-tower` and `session-actix` implement [`App`] with one handler, which calls [`act`], and generate
//! the tests with [`over_drivers!`]. What the tests say is in [`cases`].
//!
//! The crate is only for tests.

// Test helpers fail the test with a panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod act;
mod backend;
mod browser;
pub mod cases;
mod probe;

pub use act::{Meeting, act};
pub use backend::Backend;
pub use browser::{Answer, App, Browser};
pub use probe::Probe;

/// Generates a test for each of [`cases`] and each [`Backend`].
///
/// The first argument is the attribute of a test. The second one is a function that returns an [`App`] for a
/// `SessionManager`.
#[macro_export]
macro_rules! over_drivers {
    (#[$test:meta] $app:path) => {
        $crate::over_drivers! { #[$test] $app:
            a_stale_cookie_of_the_name_does_not_hide_the_session,
            a_login_beside_a_stale_cookie_leaves_no_other_record,
            a_logout_ends_the_sessions_of_all_cookies_of_the_name,
            two_logins_with_one_id_both_stand,
            updates_beside_a_login_are_stored_or_told,
            updates_beside_a_rotation_are_stored,
            a_value_that_was_computed_from_an_old_one_is_told,
            a_login_ends_the_old_id_although_others_write_to_it,
            a_logout_under_an_id_from_before_a_login_ends_the_login,
            requests_with_the_old_id_follow_a_rotation,
            a_planted_id_is_not_carried_into_a_login,
            a_lowered_absolute_timeout_ends_sessions_that_exist,
            a_visitor_with_a_damaged_record_can_log_in,
            a_read_does_not_remove_a_record_whose_values_have_expired,
        }
    };
    (#[$test:meta] $app:path: $($case:ident,)*) => {
        $(mod $case {
            #[$test]
            async fn over_memory() {
                $crate::cases::$case($app, $crate::Backend::memory()).await;
            }

            #[$test]
            async fn over_sqlite() {
                $crate::cases::$case($app, $crate::Backend::sqlite().await).await;
            }

            #[$test]
            async fn over_redis() {
                $crate::cases::$case($app, $crate::Backend::redis().await).await;
            }

            #[$test]
            async fn over_redis_with_a_near_cache() {
                $crate::cases::$case($app, $crate::Backend::cached_redis().await).await;
            }
        })*
    };
}
