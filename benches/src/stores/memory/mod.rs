//! Stores in the memory of a process, one file each. A further one is a file and a line in [`contenders`].

mod dashmap;
mod moka;
mod ours;
mod tower;

use std::path::Path;

use super::contender::Contender;
use super::in_process;
use super::javascript::Unstorage;

pub(crate) use ours::{ByDyn, Session, key_text};

pub(crate) const TITLE: &str = "stores: memory";
pub(super) const NOTE: &str =
    "the limit is the bare `dashmap` of `Bytes`: it knows no expiry, no versions and no bound";

pub(super) async fn contenders() -> Vec<Box<dyn Contender>> {
    let unstorage = Unstorage::start(
        "unstorage memory (Node)",
        "one thread, which is all that Node.js gives; its callers are promises",
        "memory",
        Path::new("-"),
    );
    vec![
        in_process(ours::ByDyn::default()).await,
        in_process(ours::ByAsyncTrait::default()).await,
        in_process(ours::ByType::default()).await,
        in_process(dashmap::DashMapStore::default()).await,
        in_process(moka::MokaStore::new()).await,
        in_process(tower::memory()).await,
        in_process(tower::moka()).await,
        unstorage.await.expect("unstorage must run"),
    ]
}
