//! `Storage` over real drivers.

mod batches;
mod checklist;
mod clearing;
mod closing;
mod conformance;
mod copying;
mod listing;
mod memory;
mod metadata;
mod mounts;
mod snapshots;
mod support;
mod text;
mod watching;
