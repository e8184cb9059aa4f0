//! `Storage` over real drivers.

#[cfg(test)]
mod batches;
#[cfg(test)]
mod checklist;
#[cfg(test)]
mod clearing;
#[cfg(test)]
mod closing;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod copying;
#[cfg(test)]
mod every_driver;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod mounts;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod support;
#[cfg(test)]
mod text;
#[cfg(test)]
#[cfg(test)]
mod watching;
