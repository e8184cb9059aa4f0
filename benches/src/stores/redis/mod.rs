//! Stores on one Redis or Valkey server. To add one, add a file and a line in `CONTENDERS`.

pub(crate) mod requests;
pub(crate) mod server;

mod bare;
mod fred;
mod ours;
mod tower;

use super::contender::{Contender, Operation, Runs, filled};
use super::memory::ByDyn;
use super::{Backend, CALLERS, Location, SESSIONS};

pub(crate) const TITLE: &str = "stores: redis";
pub(crate) const VALKEY: &str = "stores: valkey";

pub(super) const BACKEND: Backend = Backend {
    title: TITLE,
    note: "on one server of Redis without persistence, over TCP on loopback, by one connection each; all have the same \
           keys on it; where a commit is conditional, by the same script",
    location: Location::Server(server::redis),
    operations: &Operation::ALL,
    callers: &CALLERS,
    contenders: &CONTENDERS,
};

const CONTENDERS: [Contender; 7] = [
    Contender::at::<ours::ByType>(|server| {
        Box::pin(async move { filled(ours::ByType::open(server).await).await })
    }),
    Contender::at::<ByDyn<ours::Dynamic>>(|server| {
        Box::pin(async move { filled(ours::Dynamic::open(server).await).await })
    }),
    Contender::at::<bare::Untimed>(|server| {
        Box::pin(
            async move { filled(bare::Untimed::open(server, bare::Commit::Script).await).await },
        )
    }),
    Contender::at::<bare::Bare>(|server| {
        Box::pin(async move { filled(bare::Bare::open(server, bare::Commit::Script).await).await })
    }),
    Contender::at::<fred::Fred>(|server| {
        Box::pin(async move { filled(fred::Fred::open(server).await).await })
    }),
    Contender::at::<tower::TowerRedis>(|server| {
        Box::pin(async move { filled(tower::TowerRedis::open(server).await).await })
    }),
    Contender {
        name: "unstorage redis (Node)",
        note: "on ioredis with auto-pipelining, in one thread, which is all that Node.js gives; commits are not \
               conditional",
        is_ours: false,
        runs: Runs::InNode("redis", SESSIONS),
    },
];

/// Valkey has a native compare-and-set.
pub(super) const ON_VALKEY: Backend = Backend {
    title: VALKEY,
    note: "the same on Valkey 9; conditional commits use `SET … IFEQ`",
    location: Location::Server(server::valkey),
    operations: &Operation::ALL,
    callers: &CALLERS,
    contenders: &CONTENDERS_ON_VALKEY,
};

const CONTENDERS_ON_VALKEY: [Contender; 4] = [
    Contender::at::<ours::ByType>(|server| {
        Box::pin(async move { filled(ours::ByType::open(server).await).await })
    }),
    Contender::at::<ByDyn<ours::Dynamic>>(|server| {
        Box::pin(async move { filled(ours::Dynamic::open(server).await).await })
    }),
    Contender::at::<bare::Untimed>(|server| {
        Box::pin(
            async move { filled(bare::Untimed::open(server, bare::Commit::IfEqual).await).await },
        )
    }),
    Contender::at::<bare::Bare>(|server| {
        Box::pin(async move { filled(bare::Bare::open(server, bare::Commit::IfEqual).await).await })
    }),
];
