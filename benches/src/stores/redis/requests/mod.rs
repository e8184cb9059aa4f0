//! Whole requests with sessions on Redis.

mod apps;
mod lost;

use crate::stores::contender::{Contender, Operation, filled};
use crate::stores::requests::Requests;
use crate::stores::{Backend, CALLERS, Location};

pub(crate) use lost::measure as lost;

use super::server;

pub(crate) const TITLE: &str = "requests: redis";
pub(crate) const VALKEY: &str = "requests: valkey";

pub(in crate::stores) const BACKEND: Backend = Backend {
    title: TITLE,
    note: "whole requests to an application of axum, without a network in front of it, by sessions with one value on \
           one server of Redis without persistence; read + commit is a request that reads the value and sets another; \
           ours is conditional by a script",
    location: Location::Server(server::redis),
    operations: &[Operation::Read, Operation::Commit],
    callers: &CALLERS,
    contenders: &CONTENDERS,
};

/// Valkey has a native compare-and-set.
pub(in crate::stores) const ON_VALKEY: Backend = Backend {
    title: VALKEY,
    note: "the same on Valkey 9; our conditional commits use `SET … IFEQ`",
    location: Location::Server(server::valkey),
    ..BACKEND
};

const CONTENDERS: [Contender; 5] = [
    Contender::at::<Requests<apps::Ours>>(|server| {
        Box::pin(async move { filled(Requests::<apps::Ours>::open(server).await).await })
    }),
    Contender::at::<Requests<apps::Cached>>(|server| {
        Box::pin(async move { filled(Requests::<apps::Cached>::open(server).await).await })
    }),
    Contender::at::<Requests<apps::Tower>>(|server| {
        Box::pin(async move { filled(Requests::<apps::Tower>::open(server).await).await })
    }),
    Contender::at::<Requests<apps::TowerMoka>>(|server| {
        Box::pin(async move { filled(Requests::<apps::TowerMoka>::open(server).await).await })
    }),
    Contender::at::<Requests<apps::AxumSession>>(|server| {
        Box::pin(async move { filled(Requests::<apps::AxumSession>::open(server).await).await })
    }),
];
