//! What the project promises of sessions, seen from an application that depends on the façade.

#[cfg(test)]
mod astro_session_readme;
#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod corners;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod gone;
#[cfg(test)]
mod hostile;
#[cfg(test)]
#[cfg(test)]
mod lifetime;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod readme_storage;
#[cfg(test)]
mod storages;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod typed;
