//! Stores in memory, one file each. To add one, add a file and a line in `CONTENDERS`.

mod dashmap;
mod moka;
mod ours;
mod tower;

use super::contender::{Contender, Operation, Runs, filled};
use super::{Backend, CALLERS, Location, SESSIONS};

pub(crate) use ours::{ByDyn, Named, Session, commit, key_text, read, write};

pub(crate) const TITLE: &str = "stores: memory";

pub(super) const BACKEND: Backend = Backend {
    title: TITLE,
    note: "the limit is a bare `dashmap` of `Bytes`, without expiry, versions and bounds",
    location: Location::Memory,
    operations: &Operation::ALL,
    callers: &CALLERS,
    contenders: &CONTENDERS,
};

const CONTENDERS: [Contender; 8] = [
    Contender::here::<ByDyn>(|| Box::pin(filled(ByDyn::default()))),
    Contender::here::<ours::ByAsyncTrait>(|| Box::pin(filled(ours::ByAsyncTrait::default()))),
    Contender::here::<ours::ByType>(|| Box::pin(filled(ours::ByType::default()))),
    Contender::here::<dashmap::DashMapStore>(|| Box::pin(filled(dashmap::DashMapStore::default()))),
    Contender::here::<moka::MokaStore>(|| Box::pin(filled(moka::MokaStore::new()))),
    Contender::here::<tower::TowerMemory>(|| Box::pin(filled(tower::memory()))),
    Contender::here::<tower::TowerMoka>(|| Box::pin(filled(tower::moka()))),
    Contender {
        name: "unstorage memory (Node)",
        note: "on the single thread of Node.js; the callers are promises",
        is_ours: false,
        runs: Runs::InNode("memory", SESSIONS),
    },
];
