use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::connection::{Connection, Dial};
use crate::endpoint::Endpoint;
use crate::lane::{Lane, NoConnection};
use crate::sentinel::Sentinels;
use crate::target::{Role, Target, TargetPlace};

/// One server, and the connections to it, which end with this value.
pub(crate) struct Server {
    first: Lane,
    others: Vec<Lane>,
    turn: AtomicUsize,
    _stop: DropGuard,
}

/// What the servers of a driver have in common.
#[derive(Clone)]
pub(crate) struct Fleet {
    pub(crate) dial: Dial,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Fleet {
    pub(crate) fn server_at(&self, endpoint: &Endpoint, role: Role) -> Server {
        self.start(TargetPlace::Fixed(endpoint.clone()), role)
    }

    pub(crate) fn server_by(&self, sentinels: &Arc<Sentinels>, role: Role) -> Server {
        self.start(TargetPlace::Sentinels(Arc::clone(sentinels)), role)
    }

    fn start(&self, place: TargetPlace, role: Role) -> Server {
        let target = Arc::new(Target::new(self.dial.clone(), place, role));
        let stop = self.stop.child_token();
        let lane = || {
            let target = Arc::clone(&target);
            let (lane, keep) = Lane::new(target, self.timeout, self.connect_timeout, stop.clone());
            self.tasks.spawn(keep);
            lane
        };
        Server {
            first: lane(),
            others: (1..self.connections).map(|_| lane()).collect(),
            turn: AtomicUsize::new(0),
            _stop: stop.drop_guard(),
        }
    }
}

impl Server {
    /// A connection, if one is there; callers take them in turn.
    pub(crate) fn connected(&self) -> Option<Arc<Connection>> {
        if self.others.is_empty() {
            return self.first.connected();
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let lanes = || std::iter::once(&self.first).chain(&self.others);
        let start = turn % (self.others.len() + 1);
        let in_turn = lanes().skip(start).chain(lanes().take(start));
        in_turn.into_iter().find_map(Lane::connected)
    }

    /// Always the same connection, if it is there: for what must not change to another.
    pub(crate) fn first_connected(&self) -> Option<Arc<Connection>> {
        self.first.connected()
    }

    /// A connection, once one is there.
    pub(crate) async fn connection(&self, until: Instant) -> Result<Arc<Connection>, NoConnection> {
        match self.connected() {
            Some(connection) => Ok(connection),
            None => self.first.connection(until).await,
        }
    }

    pub(crate) async fn first_connection(
        &self,
        until: Instant,
    ) -> Result<Arc<Connection>, NoConnection> {
        self.first.connection(until).await
    }
}
