//! What the project promises of sessions: over drivers, in cookies, and behind the tower layer.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[cfg(all(test, feature = "cookie-session"))]
mod astro_session_readme;
#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod corners;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod gone;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod lifetime;
#[cfg(test)]
mod lost_changes;
#[cfg(test)]
mod new_ids;
#[cfg(test)]
mod renewal;
#[cfg(test)]
mod round_trips;
#[cfg(all(test, feature = "cookie-session"))]
mod storages;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod twin_cookies;
#[cfg(all(test, feature = "cookie-session"))]
mod typed;
#[cfg(test)]
mod values;
#[cfg(test)]
mod waiting;
